//! Stellar's addresses, and verification of texts that they signed.
//!
//! An address is an Ed25519 public key in the format of SEP-23 ("strkey"): base32 of a version byte, the key, and a
//! checksum. A wallet signs a text by SEP-53, as Freighter's `signMessage` does. A contract's address (`C…`) has no
//! key, and a muxed address (`M…`) is only a part of an account: neither can sign in.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crc::{CRC_16_XMODEM, Crc, NoTable};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// The version byte of an account's public key, which makes the first letter a `G`.
const VERSION: u8 = 6 << 3;
const CHECKSUM: Crc<u16, NoTable> = Crc::<u16, NoTable>::new(&CRC_16_XMODEM);

/// An account's public key. `Display` writes the usual form in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address([u8; 32]);

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// Not `G` and 55 of base32's letters and digits.
    Form,
    /// Correct except for the case.
    Case,
    /// The checksum in the last three characters does not match: mistyped.
    Checksum,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "a Stellar key is G and 55 letters from A to Z and digits from 2 to 7",
            Self::Case => "a Stellar key is written in upper case",
            Self::Checksum => "the Stellar key's checksum does not match: was it mistyped?",
        })
    }
}

impl std::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let upper = text.to_ascii_uppercase();
        let key = decode(&upper).ok_or(AddressError::Form)?;
        let address = Self(key.ok_or(AddressError::Checksum)?);
        if upper == text { Ok(address) } else { Err(AddressError::Case) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [&[VERSION], self.0.as_slice()].concat();
        bytes.extend(CHECKSUM.checksum(&bytes).to_le_bytes());
        // 35 bytes are exactly 56 digits of 5 bits.
        for five in bytes.chunks(5) {
            let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for shift in (0..8).rev() {
                let digit = usize::try_from(bits >> (5 * shift) & 31).unwrap_or_default();
                write!(f, "{}", ALPHABET.get(digit).map_or('?', |letter| char::from(*letter)))?;
            }
        }
        Ok(())
    }
}

/// Decodes an address. The outer `None` means a wrong format, the inner one a wrong checksum.
fn decode(text: &str) -> Option<Option<[u8; 32]>> {
    let digits: Vec<u64> = text.bytes().map(digit).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(8)
        .flat_map(|eight| {
            let bits = eight.iter().fold(0, |bits, digit| bits << 5 | digit);
            bits.to_be_bytes().into_iter().skip(3)
        })
        .collect();
    let (version, rest) = bytes.split_first()?;
    let (key, checksum) = rest.split_at_checked(32)?;
    let key: [u8; 32] = key.try_into().ok()?;
    if text.len() != 56 || *version != VERSION {
        return None;
    }
    let body = [&[VERSION], key.as_slice()].concat();
    Some((checksum == CHECKSUM.checksum(&body).to_le_bytes()).then_some(key))
}

fn digit(letter: u8) -> Option<u64> {
    ALPHABET.iter().position(|each| *each == letter).and_then(|place| u64::try_from(place).ok())
}

/// The signature is not the base64 of 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureError;

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature is not the base64 of 64 bytes, as Freighter's signMessage gives it")
    }
}

impl std::error::Error for SignatureError {}

impl Address {
    /// Whether this account's key signed the exact bytes of `message` by SEP-53.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn has_signed(self, message: &[u8], signature: &str) -> Result<bool, SignatureError> {
        let bytes = STANDARD.decode(signature).map_err(|_| SignatureError)?;
        let signature = Signature::from_slice(&bytes).map_err(|_| SignatureError)?;
        // Strictly: for some weak keys anyone can make signatures that a lenient check accepts.
        let verified = |key: VerifyingKey| key.verify_strict(&hash(message), &signature).is_ok();
        Ok(VerifyingKey::from_bytes(&self.0).is_ok_and(verified))
    }
}

/// SEP-53's hash of a text. The prefix ensures that it is never a valid transaction.
fn hash(message: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update("Stellar Signed Message:\n").chain_update(message).finalize().into()
}

#[cfg(test)]
pub(crate) mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};
    use proptest::prelude::*;

    use super::*;

    /// An account that signs in tests.
    pub(crate) struct Wallet(SigningKey);

    impl Wallet {
        pub(crate) fn new(seed: u8) -> Self {
            Self(SigningKey::from_bytes(&[seed; 32]))
        }

        pub(crate) fn address(&self) -> Address {
            Address(self.0.verifying_key().to_bytes())
        }

        pub(crate) fn sign(&self, message: &str) -> String {
            STANDARD.encode(self.0.sign(&hash(message.as_bytes())).to_bytes())
        }
    }

    /// The account of SEP-53's test cases.
    const SIGNER: &str = "GBXFXNDLV4LSWA4VB7YIL5GBD7BVNR22SGBTDKMO2SBZZHDXSKZYCP7L";
    const HELLO: &str =
        "fO5dbYhXUhBMhe6kId/cuVq/AfEnHRHEvsP8vXh03M1uLpi5e46yO2Q8rEBzu3feXQewcQE5GArp88u6ePK6BA==";

    fn signer() -> Address {
        SIGNER.parse().unwrap()
    }

    #[test]
    fn the_test_cases_of_sep_53_are_verified() {
        let binary = STANDARD.decode("2zZDP1sa1BVBfLP7TeeMk3sUbaxAkUhBhDiNdrksaFo=").unwrap();
        for (message, signature) in [
            ("Hello, World!".as_bytes(), HELLO),
            (
                "こんにちは、世界！".as_bytes(),
                "CDU265Xs8y3OWbB/56H9jPgUss5G9A0qFuTqH2zs2YDgTm+++dIfmAEceFqB7bhfN3am59lCtDXrCtwH2k1GBA==",
            ),
            (
                binary.as_slice(),
                "VA1+7hefNwv2NKScH6n+Sljj15kLAge+M2wE7fzFOf+L0MMbssA1mwfJZRyyrhBORQRle10X1Dxpx+UOI4EbDQ==",
            ),
        ] {
            assert_eq!(signer().has_signed(message, signature), Ok(true));
            assert_eq!(Wallet::new(1).address().has_signed(message, signature), Ok(false));
        }
        assert_eq!(signer().has_signed(b"Hello, World", HELLO), Ok(false));
    }

    /// The examples of SEP-23: accounts, and addresses of other kinds.
    #[test]
    fn a_key_is_accepted_only_with_its_checksum_and_in_upper_case() {
        for good in [SIGNER, "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        let error = |text: &str| text.parse::<Address>().unwrap_err();
        assert_eq!(error(&SIGNER.to_ascii_lowercase()), AddressError::Case);
        assert_eq!(error(&SIGNER.replace("GBXF", "GBxF")), AddressError::Case);
        assert_eq!(error(&SIGNER.replace("GBXF", "GBXG")), AddressError::Checksum);
        assert_eq!(error(&SIGNER.replace("CP7L", "CP7M")), AddressError::Checksum);
        for bad in [
            "",
            "G",
            SIGNER.get(..55).unwrap(),
            &format!("{SIGNER}A"),
            &format!("{SIGNER}AAAAAAAA"),
            &format!(" {SIGNER}"),
            &format!("{SIGNER}\n"),
            &SIGNER.replace('X', "1"),
            &SIGNER.replace('X', "="),
            &SIGNER.replace('X', "é"),
            // A secret seed, a muxed account, a contract, a version that does not exist.
            "SAKICEVQLYWGSOJS4WW7HZJWAHZVEEBS527LHK5V4MLJALYKICQCJXMW",
            "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUQ",
            "CA3D5KRYM6CB7OWQ6TWYRR3Z4T7GNZLKERYNZGGA5SOAOPIFY6YQGAXE",
            "G47QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVP2I",
        ] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError::Form), "{bad}");
        }
    }

    #[test]
    fn a_signature_that_is_not_64_bytes_of_base64_is_refused() {
        let url_safe = HELLO.replace('/', "_");
        for bad in ["", "=", "AAAA", &url_safe, HELLO.trim_end_matches('='), &format!("{HELLO}\n")] {
            assert_eq!(signer().has_signed(b"Hello, World!", bad), Err(SignatureError), "{bad}");
        }
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        // The neutral element: a lenient check accepts (identity, 0) as its signature of any text.
        let mut identity = [0; 32];
        identity[0] = 1;
        let signature = STANDARD.encode([identity, [0; 32]].concat());
        assert_eq!(Address(identity).has_signed(b"x", &signature), Ok(false));
        // Not a point on the curve.
        let mut none = [0; 32];
        none[0] = 2;
        assert_eq!(Address(none).has_signed(b"x", HELLO), Ok(false));
    }

    proptest! {
        #[test]
        fn every_written_key_is_parsed_back(key: [u8; 32]) {
            let text = Address(key).to_string();
            prop_assert_eq!(text.parse::<Address>(), Ok(Address(key)));
            prop_assert!(text.len() == 56 && text.starts_with('G'));
        }

        #[test]
        fn a_changed_or_swapped_character_is_detected(key: [u8; 32], at in 0_usize..56, put in "[A-Z2-7]") {
            let text = Address(key).to_string();
            let mut changed = text.clone();
            changed.replace_range(at..=at, &put);
            prop_assert_eq!(changed.parse::<Address>().is_ok(), changed == text);
            let mut swapped = text.clone().into_bytes();
            swapped.swap(at, (at + 1) % 56);
            let swapped = String::from_utf8(swapped).unwrap();
            prop_assert_eq!(swapped.parse::<Address>().is_ok(), swapped == text);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "G?[A-Z2-7]{50,60}|\\PC{0,60}", signature in "[A-Za-z0-9+/]{86}==|\\PC{0,20}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string(), text.clone());
            }
            prop_assert_ne!(signer().has_signed(text.as_bytes(), &signature), Ok(true));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_flipped_bit_of_the_text_or_of_the_signature_is_not_signed(text in ".{1,80}", seed: u8, bit: prop::sample::Index) {
            let wallet = Wallet::new(seed);
            let signature = wallet.sign(&text);
            prop_assert_eq!(wallet.address().has_signed(text.as_bytes(), &signature), Ok(true));
            let flipped = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                let bit = bit.index(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                bytes
            };
            prop_assert_eq!(wallet.address().has_signed(&flipped(text.as_bytes()), &signature), Ok(false));
            let changed = STANDARD.encode(flipped(&STANDARD.decode(&signature).unwrap()));
            prop_assert_eq!(wallet.address().has_signed(text.as_bytes(), &changed), Ok(false));
        }
    }
}
