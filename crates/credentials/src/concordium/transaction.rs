//! The bytes of a transaction that registers data on chain, as Concordium's
//! SDKs make them (concordium-base, `Transactions.hs` and `Cost.hs`). Pure.
//!
//! Ed25519 signatures are deterministic, so the same input gives the same
//! transaction with the same hash. It can be sent repeatedly and is executed
//! once.

use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::address::Account;

/// The most bytes that one transaction can register.
pub const MAX_DATA_BYTES: usize = 256;

const REGISTER_DATA: u8 = 21;
const HEADER_BYTES: u64 = 60;
const SIGNATURE_BYTES: u16 = 64;
/// Energy for each signature, for each byte, and for registering data.
const PER_SIGNATURE: u64 = 100;
const PER_BYTE: u64 = 1;
const REGISTRATION: u64 = 300;

/// A signed transaction. It must be stored before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTransaction {
    /// The block item in the wallet proxy's format, in hex.
    hex: String,
    /// The transaction's hash on chain, in lower-case hex.
    pub hash: String,
    /// The account's sequence number that it uses up.
    pub nonce: u64,
    /// Seconds since the epoch.
    pub expires_s: u64,
}

impl SignedTransaction {
    /// The block item; `None` if the stored text is not hex.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        base16ct::lower::decode_vec(&self.hex).ok()
    }
}

/// The fields of a transaction besides its data.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// The account that registers the data, and pays for it.
    pub sender: Account,
    /// The account's next sequence number.
    pub nonce: u64,
    /// Seconds since the epoch; after this time it cannot be executed.
    pub expires_s: u64,
}

/// Signs the registration of `data` with the account's only key; `None` if the
/// data is too long.
pub fn register_data(header: &Header, data: &[u8], key: &SigningKey) -> Option<SignedTransaction> {
    let body = body(header, &payload(data)?)?;
    let signature = key.sign(&Sha256::digest(&body)).to_bytes();
    let mut bytes = vec![
        0, // an account's transaction
        1, 0, // of one credential, the first
        1, 0, // with one key, the first
    ];
    bytes.extend(SIGNATURE_BYTES.to_be_bytes());
    bytes.extend(signature);
    bytes.extend(body);
    let hash = base16ct::lower::encode_string(&Sha256::digest(&bytes));
    let hex = base16ct::lower::encode_string(&bytes);
    Some(SignedTransaction { hex, hash, nonce: header.nonce, expires_s: header.expires_s })
}

fn payload(data: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(data.len()).ok().filter(|_| data.len() <= MAX_DATA_BYTES)?;
    Some([&[REGISTER_DATA][..], &length.to_be_bytes(), data].concat())
}

/// The signed bytes: header and payload.
fn body(header: &Header, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(payload.len()).ok()?;
    let energy = PER_SIGNATURE + PER_BYTE * (HEADER_BYTES + u64::from(length)) + REGISTRATION;
    let mut body = header.sender.0.to_vec();
    body.extend(header.nonce.to_be_bytes());
    body.extend(energy.to_be_bytes());
    body.extend(length.to_be_bytes());
    body.extend(header.expires_s.to_be_bytes());
    body.extend(payload);
    Some(body)
}

/// `text` in CBOR (RFC 8949), the format in which wallets display registered
/// data; `None` if it is too long to be registered.
pub fn cbor_text(text: &str) -> Option<Vec<u8>> {
    const TEXT: u8 = 3 << 5;
    let length = u8::try_from(text.len()).ok()?;
    let head = if length < 24 { vec![TEXT | length] } else { vec![TEXT | 24, length] };
    let data = [&head, text.as_bytes()].concat();
    (data.len() <= MAX_DATA_BYTES).then_some(data)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Verifier as _;
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        let sender = Account(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        Header { sender, nonce: 7, expires_s: 1_767_225_600 }
    }

    #[test]
    fn the_known_transaction_has_the_known_digest() {
        let payload = payload(&[0xde, 0xad, 0xbe, 0xef]).unwrap();
        assert_eq!(base16ct::lower::encode_string(&payload), "150004deadbeef");
        let body = body(&header(), &payload).unwrap();
        assert_eq!(u64::from_be_bytes(body[40..48].try_into().unwrap()), 467);
        let digest = base16ct::lower::encode_string(&Sha256::digest(&body));
        assert_eq!(digest, "f0f3cdec23bb5e6e1525400350672eb4fc9971c629e354c0d474526fbe131d33");
    }

    #[test]
    fn a_text_is_encoded_as_cbor_that_wallets_display() {
        assert_eq!(cbor_text("abc").unwrap(), b"\x63abc");
        assert_eq!(cbor_text(&"a".repeat(77)).unwrap()[..3], *b"\x78\x4da");
        assert_eq!(cbor_text(&"a".repeat(254)).unwrap().len(), MAX_DATA_BYTES);
        assert_eq!(cbor_text(&"a".repeat(255)), None);
    }

    proptest! {
        #[test]
        fn a_transaction_is_signed_by_its_key_and_always_the_same(
            data in prop::collection::vec(any::<u8>(), 0..=300), seed: [u8; 32], nonce: u64
        ) {
            let (key, header) = (SigningKey::from_bytes(&seed), Header { nonce, ..header() });
            let signed = register_data(&header, &data, &key);
            prop_assert_eq!(signed.is_some(), data.len() <= MAX_DATA_BYTES);
            prop_assert_eq!(&signed, &register_data(&header, &data, &key));
            if let Some(bytes) = signed.and_then(|signed| signed.bytes()) {
                prop_assert_eq!(&bytes[..7], &[0, 1, 0, 1, 0, 0, 64][..]);
                let signature = ed25519_dalek::Signature::from_slice(&bytes[7..71]).unwrap();
                prop_assert!(key.verifying_key().verify(&Sha256::digest(&bytes[71..]), &signature).is_ok());
                prop_assert_eq!(bytes.len(), 71 + 60 + 3 + data.len());
            }
        }
    }
}
