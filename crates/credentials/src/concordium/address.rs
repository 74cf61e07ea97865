//! Account addresses: base58check with version byte 1, 50 characters for 32
//! bytes. Pure.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// An account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account(pub [u8; 32]);

/// The text is not an account address, or it is mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidAccount;

impl FromStr for Account {
    type Err = InvalidAccount;

    fn from_str(text: &str) -> Result<Self, InvalidAccount> {
        let bytes = bs58::decode(text).into_vec().map_err(|_| InvalidAccount)?;
        let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(InvalidAccount)?;
        match body.split_first() {
            Some((&VERSION, account)) if checksum_of(body) == *checksum => {
                account.try_into().map(Self).map_err(|_| InvalidAccount)
            }
            _ => Err(InvalidAccount),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = [&[VERSION][..], &self.0].concat();
        f.write_str(&bs58::encode([&body[..], &checksum_of(&body)].concat()).into_string())
    }
}

/// The first bytes of the double SHA-256.
fn checksum_of(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash: [u8; 32] = Sha256::digest(Sha256::digest(body)).into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_of_concordiums_own_documentation_is_read() {
        let text = "4ZJBYQbVp3zVZyjCXfZAAYBVkJMyVj8UKUNj9ox5YqTCBdBq2M";
        let account: Account = text.parse().unwrap();
        assert_eq!((account.to_string().as_str(), text.len()), (text, 50));
    }

    #[test]
    fn texts_that_are_not_accounts_are_refused() {
        for text in ["", "1", "4ZJBYQbVp3zVZyjCXfZAAYBVkJMyVj8UKUNj9ox5YqTCBdBq2N", "0OIl", "é"] {
            assert_eq!(text.parse::<Account>(), Err(InvalidAccount), "{text}");
        }
        // A Bitcoin address has another version and length.
        assert_eq!("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa".parse::<Account>(), Err(InvalidAccount));
    }

    proptest! {
        #[test]
        fn every_account_is_read_back_and_one_wrong_letter_is_detected(bytes: [u8; 32], at in 0_usize..50, letter in "[1-9A-HJ-NP-Za-km-z]") {
            let text = Account(bytes).to_string();
            prop_assert_eq!(text.parse(), Ok(Account(bytes)));
            let mut mistyped = text.clone();
            mistyped.replace_range(at.min(text.len() - 1)..=at.min(text.len() - 1), &letter);
            prop_assert!(mistyped == text || mistyped.parse::<Account>().is_err());
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,60}|[1-9A-HJ-NP-Za-km-z]{0,120}") {
            let _ = text.parse::<Account>();
        }
    }
}
