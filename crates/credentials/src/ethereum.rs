//! Ethereum's addresses, and recovery of a text's signer.
//!
//! A wallet signs a text by EIP-191 (`personal_sign`); the signer's address is recovered from the signature (secp256k1
//! public-key recovery, SEC 1 section 4.1.6). Contract wallets (EIP-1271) would need a node and are not supported:
//! their signatures are refused like any other that is not 65 bytes of ECDSA.

use std::{fmt, str::FromStr};

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest as _, Keccak256};

/// The 20 bytes of an account's address. `Display` writes lower case, as stored in the database;
/// [`Address::checksummed`] is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address([u8; 20]);

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// Not `0x` and 40 hexadecimal digits.
    Form,
    /// Mixed case that does not match the EIP-55 checksum: mistyped.
    Checksum,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "an address is 0x and 40 hexadecimal digits",
            Self::Checksum => {
                "the address's upper and lower case do not match its EIP-55 checksum: was it mistyped?"
            }
        })
    }
}

impl std::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    /// Accepts the EIP-55 form, and the forms without a checksum: all lower case, all upper case.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix("0x").ok_or(AddressError::Form)?;
        let bytes = base16ct::mixed::decode_vec(digits).map_err(|_| AddressError::Form)?;
        let address = Self(bytes.try_into().map_err(|_| AddressError::Form)?);
        let one_case = !digits.contains(char::is_uppercase) || !digits.contains(char::is_lowercase);
        if one_case || address.checksummed() == text { Ok(address) } else { Err(AddressError::Checksum) }
    }
}

impl Address {
    /// The address in the mixed case of EIP-55: a letter is upper case where the Keccak-256 of the lower-case digits
    /// has a nibble above 7 at its place.
    pub fn checksummed(self) -> String {
        let lower = base16ct::lower::encode_string(&self.0);
        let hash = Keccak256::digest(lower.as_bytes());
        let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
        let digits = lower.chars().zip(nibbles);
        let cased = digits.map(|(digit, nibble)| if nibble > 7 { digit.to_ascii_uppercase() } else { digit });
        "0x".chars().chain(cased).collect()
    }

    /// The last 20 bytes of the Keccak-256 of the public key's two coordinates.
    fn of(key: &VerifyingKey) -> Self {
        let point = key.to_sec1_point(false);
        let coordinates = point.as_bytes().iter().skip(1).copied().collect::<Vec<u8>>();
        let mut address = [0; 20];
        for (to, from) in address.iter_mut().zip(Keccak256::digest(&coordinates).iter().skip(12)) {
            *to = *from;
        }
        Self(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", base16ct::lower::encode_string(&self.0))
    }
}

/// Why a signature is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureError {
    /// Not `0x` and 130 hexadecimal digits (r, s, v). A contract wallet's signature often is not.
    Form,
    /// v is not 0, 1, 27 or 28.
    RecoveryByte,
    /// r or s is zero, or not below the order of the curve.
    Scalar,
    /// s is in the upper half: anyone can compute such a twin of a signature (EIP-2 forbids it).
    HighS,
    /// No public key fits this signature and text.
    NoSigner,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => {
                "the signature is not 0x and 130 hexadecimal digits (contract wallets, EIP-1271, are not supported)"
            }
            Self::RecoveryByte => "the signature's last byte is not 0, 1, 27 or 28",
            Self::Scalar => "the signature has a number that is out of range",
            Self::HighS => "the signature is malleated: its s is in the upper half",
            Self::NoSigner => "no account makes this signature over this text",
        })
    }
}

impl std::error::Error for SignatureError {}

/// The address whose key signed the exact bytes of `message` by EIP-191, version 0x45. `signature` is the result of
/// `personal_sign`: `0x` and the hex of r (32 bytes), s (32) and v (1).
///
/// Any well-formed signature has some signer, so the caller must compare the result with the expected address.
///
/// # Errors
/// [`SignatureError`].
pub fn signer(message: &[u8], signature: &str) -> Result<Address, SignatureError> {
    let digits = signature.strip_prefix("0x").ok_or(SignatureError::Form)?;
    let bytes = base16ct::mixed::decode_vec(digits).map_err(|_| SignatureError::Form)?;
    let (v, scalars) =
        bytes.split_last().filter(|(_, scalars)| scalars.len() == 64).ok_or(SignatureError::Form)?;
    let is_y_odd = match v {
        0 | 27 => false,
        1 | 28 => true,
        _ => return Err(SignatureError::RecoveryByte),
    };
    let signature = Signature::from_slice(scalars).map_err(|_| SignatureError::Scalar)?;
    if signature.normalize_s() != signature {
        return Err(SignatureError::HighS);
    }
    let id = RecoveryId::new(is_y_odd, false);
    VerifyingKey::recover_from_prehash(&personal_message_hash(message), &signature, id)
        .map(|key| Address::of(&key))
        .map_err(|_| SignatureError::NoSigner)
}

/// EIP-191's hash of a text. The prefix ensures that it is never a valid transaction.
fn personal_message_hash(message: &[u8]) -> [u8; 32] {
    let mut hash = Keccak256::new();
    hash.update(format!("\x19Ethereum Signed Message:\n{}", message.len()));
    hash.update(message);
    hash.finalize().into()
}

#[cfg(test)]
pub(crate) mod tests {
    use k256::ecdsa::SigningKey;
    use proptest::prelude::*;

    use super::*;

    /// An account that signs in tests.
    pub(crate) struct Wallet(SigningKey);

    impl Wallet {
        pub(crate) fn new(seed: u8) -> Self {
            let mut secret = [1; 32];
            secret[31] = seed;
            Self(SigningKey::from_slice(&secret).unwrap())
        }

        pub(crate) fn address(&self) -> Address {
            Address::of(self.0.verifying_key())
        }

        pub(crate) fn sign(&self, message: &str) -> String {
            let (signature, id) = self.0.sign_prehash_recoverable(&personal_message_hash(message.as_bytes()));
            hex(&signature.to_bytes(), 27 + id.to_byte())
        }
    }

    fn hex(scalars: &[u8], v: u8) -> String {
        format!("0x{}", base16ct::lower::encode_string(&[scalars, &[v]].concat()))
    }

    fn bytes(signature: &str) -> Vec<u8> {
        base16ct::lower::decode_vec(signature.strip_prefix("0x").unwrap()).unwrap()
    }

    const MESSAGE: &str = "Some data";
    const SIGNATURE: &str = "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd\
                             6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c";
    const SIGNER: &str = "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23";

    #[test]
    fn keccak_is_the_one_of_ethereum_not_sha3() {
        let hash = base16ct::lower::encode_string(&Keccak256::digest(b""));
        assert_eq!(hash, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    }

    #[test]
    fn the_known_text_has_the_known_hash_and_signer() {
        let hash = base16ct::lower::encode_string(&personal_message_hash(MESSAGE.as_bytes()));
        assert_eq!(hash, "1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655");
        assert_eq!(signer(MESSAGE.as_bytes(), SIGNATURE).unwrap().to_string(), SIGNER);
    }

    #[test]
    fn only_the_two_forms_of_the_recovery_byte_are_accepted() {
        let with_v = |v| signer(MESSAGE.as_bytes(), &hex(bytes(SIGNATURE).get(..64).unwrap(), v));
        assert_eq!(with_v(1), with_v(28));
        assert_eq!(with_v(28).unwrap().to_string(), SIGNER);
        assert_eq!(with_v(0), with_v(27));
        assert_ne!(with_v(0), with_v(1));
        for v in (2..=26).chain(29..=255) {
            assert_eq!(with_v(v), Err(SignatureError::RecoveryByte));
        }
    }

    #[test]
    fn a_high_s_twin_is_refused() {
        let low = Signature::from_slice(bytes(SIGNATURE).get(..64).unwrap()).unwrap();
        let high = Signature::from_scalars(*low.r(), -*low.s()).unwrap();
        // The twin with the other parity recovers the same key, so only the explicit check refuses it.
        assert_eq!(signer(MESSAGE.as_bytes(), &hex(&high.to_bytes(), 27)), Err(SignatureError::HighS));
    }

    #[test]
    fn scalars_out_of_range_are_refused() {
        const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        let (zero, one) = ("0".repeat(64), format!("{}1", "0".repeat(63)));
        for (r, s) in [(&*zero, &*one), (&*one, &*zero), (ORDER, &*one), (&*one, ORDER)] {
            assert_eq!(signer(b"x", &format!("0x{r}{s}1b")), Err(SignatureError::Scalar));
        }
    }

    #[test]
    fn a_signature_that_is_not_65_bytes_of_hex_is_refused() {
        let good = SIGNATURE.strip_prefix("0x").unwrap();
        for bad in [
            "",
            "0x",
            good,
            SIGNATURE.get(..130).unwrap(),
            &format!("{SIGNATURE}00"),
            &SIGNATURE.replace('b', "g"),
        ] {
            assert_eq!(signer(MESSAGE.as_bytes(), bad), Err(SignatureError::Form));
        }
    }

    #[test]
    fn the_addresses_of_eip_55_are_their_own_checksum() {
        for address in [
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0xde709f2102306220921060314715629080e2fb77",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            assert_eq!(address.parse::<Address>().unwrap().checksummed(), address);
        }
    }

    #[test]
    fn an_address_in_one_case_is_accepted_and_in_wrong_mixed_case_is_not() {
        let mixed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let lower = mixed.to_ascii_lowercase();
        let upper = format!("0x{}", lower.strip_prefix("0x").unwrap().to_ascii_uppercase());
        assert_eq!(lower.parse::<Address>(), mixed.parse());
        assert_eq!(upper.parse::<Address>(), mixed.parse());
        assert_eq!(lower.parse::<Address>().unwrap().to_string(), lower);
        assert_eq!(mixed.replace("5aA", "5Aa").parse::<Address>(), Err(AddressError::Checksum));
        for bad in [
            "",
            "0x",
            "0X5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            mixed.get(2..).unwrap(),
            mixed.get(..41).unwrap(),
            "0xé",
        ] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError::Form), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_flipped_bit_of_the_text_is_another_signer_or_none(text in ".{1,80}", seed: u8, bit: prop::sample::Index) {
            let wallet = Wallet::new(seed);
            let signature = wallet.sign(&text);
            prop_assert_eq!(signer(text.as_bytes(), &signature), Ok(wallet.address()));
            let mut changed = text.into_bytes();
            let bit = bit.index(changed.len() * 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(signer(&changed, &signature), Ok(wallet.address()));
        }

        #[test]
        fn a_flipped_bit_of_the_signature_is_another_signer_or_none(seed: u8, bit in 0_usize..520) {
            let wallet = Wallet::new(seed);
            let mut signature = bytes(&wallet.sign(MESSAGE));
            signature[bit / 8] ^= 1 << (bit % 8);
            let changed = hex(&signature[..64], signature[64]);
            prop_assert_ne!(signer(MESSAGE.as_bytes(), &changed), Ok(wallet.address()));
        }

        #[test]
        fn any_texts_are_parsed_or_refused(message: Vec<u8>, signature in "(0x)?[0-9a-fA-F]{120,132}|\\PC{0,20}") {
            let _ = signer(&message, &signature);
            let _ = signature.parse::<Address>();
        }
    }
}
