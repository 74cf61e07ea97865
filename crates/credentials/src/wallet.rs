//! Wallet addresses of all supported chains, and verification of texts that wallets signed.

use std::{fmt, str::FromStr};

use super::{ethereum, stellar};

/// An account's address. `Display` writes the stored form: Ethereum's in lower case, Stellar's in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address {
    /// 20 bytes of a hash of the account's key.
    Ethereum(ethereum::Address),
    /// The account's public key.
    Stellar(stellar::Address),
}

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// It has the format of neither chain.
    Form,
    /// It begins like an address on Ethereum and is not a valid one.
    Ethereum(ethereum::AddressError),
    /// It begins like an address on Stellar and is not a valid one.
    Stellar(stellar::AddressError),
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => {
                f.write_str("a wallet's address is 0x and 40 hexadecimal digits, or a Stellar key, G and 55 letters and digits")
            }
            Self::Ethereum(error) => error.fmt(f),
            Self::Stellar(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.as_bytes() {
            [b'0', b'x', ..] => text.parse().map(Self::Ethereum).map_err(AddressError::Ethereum),
            [b'G' | b'g', ..] => text.parse().map(Self::Stellar).map_err(AddressError::Stellar),
            _ => Err(AddressError::Form),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ethereum(address) => address.fmt(f),
            Self::Stellar(address) => address.fmt(f),
        }
    }
}

/// Why a signature is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureError {
    /// Of an account on Ethereum.
    Ethereum(ethereum::SignatureError),
    /// Of an account on Stellar.
    Stellar(stellar::SignatureError),
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ethereum(error) => error.fmt(f),
            Self::Stellar(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SignatureError {}

impl Address {
    /// The address with its checksum, which Ethereum writes as EIP-55's mixed case.
    pub fn checksummed(self) -> String {
        match self {
            Self::Ethereum(address) => address.checksummed(),
            Self::Stellar(address) => address.to_string(),
        }
    }

    /// Whether this account signed the exact bytes of `message`, by its chain's standard: EIP-191 or SEP-53.
    ///
    /// # Errors
    /// [`SignatureError`] if the signature is malformed.
    pub fn has_signed(self, message: &[u8], signature: &str) -> Result<bool, SignatureError> {
        match self {
            Self::Ethereum(address) => ethereum::signer(message, signature)
                .map(|signer| signer == address)
                .map_err(SignatureError::Ethereum),
            Self::Stellar(address) => address.has_signed(message, signature).map_err(SignatureError::Stellar),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STELLAR: &str = "GBXFXNDLV4LSWA4VB7YIL5GBD7BVNR22SGBTDKMO2SBZZHDXSKZYCP7L";

    #[test]
    fn an_address_is_parsed_by_the_rules_of_its_chain() {
        let ethereum = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        for (given, kept, checksummed) in
            [(ethereum, &*ethereum.to_ascii_lowercase(), ethereum), (STELLAR, STELLAR, STELLAR)]
        {
            let address: Address = given.parse().unwrap();
            assert_eq!((&*address.to_string(), &*address.checksummed()), (kept, checksummed));
        }
        let error = |text: &str| text.parse::<Address>().unwrap_err();
        assert_eq!(error("0x12"), AddressError::Ethereum(ethereum::AddressError::Form));
        assert_eq!(error(&STELLAR.to_ascii_lowercase()), AddressError::Stellar(stellar::AddressError::Case));
        for neither in ["", "0", "x", "SAKICEVQLYWGSOJS4WW7HZJWAHZVEEBS527LHK5V4MLJALYKICQCJXMW", " 0x", "é"]
        {
            assert_eq!(error(neither), AddressError::Form, "{neither}");
        }
    }

    #[test]
    fn a_signature_of_one_chain_is_not_valid_on_the_other() {
        let (ethereum, stellar) = (ethereum::tests::Wallet::new(1), stellar::tests::Wallet::new(1));
        let of_ethereum = Address::Ethereum(ethereum.address());
        let of_stellar = Address::Stellar(stellar.address());
        assert_eq!(of_ethereum.has_signed(b"x", &ethereum.sign("x")), Ok(true));
        assert_eq!(of_stellar.has_signed(b"x", &stellar.sign("x")), Ok(true));
        assert!(of_ethereum.has_signed(b"x", &stellar.sign("x")).is_err());
        assert!(of_stellar.has_signed(b"x", &ethereum.sign("x")).is_err());
    }
}
