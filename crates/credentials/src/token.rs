//! Tokens that Hatch issues: API keys, session tokens, and tokens of worker machines.
//!
//! A token has a prefix for its kind, 32 random bytes in base62, and a checksum. With the prefix and the checksum we
//! and any secret scanner can recognise a real token without a database (the scheme that GitHub described in "Behind
//! GitHub's new authentication token formats", 2021). A plain SHA-256 is enough for storage: 256 random bits cannot be
//! guessed, so a slow hash would add nothing.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The number of random bytes in a token.
pub const RANDOM_BYTES: usize = 32;
/// Base62 digits for any 32 bytes: 62^43 > 2^256.
const RANDOM_DIGITS: usize = 43;
/// Base62 digits for any CRC-32: 62^6 > 2^32.
const CHECKSUM_DIGITS: usize = 6;
/// How many of a token's last characters are shown, so that users can distinguish their tokens.
const SHOWN_DIGITS: usize = 4;
/// Minimum interval between two writes of a token's last use: a write for every request would cost more than the
/// request.
const LAST_USED_EVERY_MS: i64 = 5 * 60 * 1000;

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// `hk_live_`: a user's program.
    ApiKey,
    /// `hs_`: a user who signed in.
    Session,
    /// `wk_`: a machine of the fleet.
    Worker,
}

impl TokenKind {
    const ALL: [Self; 3] = [Self::ApiKey, Self::Session, Self::Worker];

    const fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "hk_live_",
            Self::Session => "hs_",
            Self::Worker => "wk_",
        }
    }
}

/// Why a text is not one of our tokens. Determined without a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// It has none of our prefixes; it may be another issuer's token, such as a JWT.
    Prefix,
    /// The prefix is ours, but what follows is not 49 digits of base62.
    Form,
    /// The checksum does not match: mistyped, truncated, or invented.
    Checksum,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "not a token of this service",
            Self::Form => "the token is incomplete, or has characters that no token has",
            Self::Checksum => "the token's checksum is wrong: was it copied whole?",
        })
    }
}

impl std::error::Error for TokenError {}

/// A token in plain text. Only [`Token::reveal`] returns it.
#[derive(Clone)]
pub struct Token {
    kind: TokenKind,
    text: String,
}

impl Token {
    /// Makes a new token of `kind` from 32 cryptographically random bytes.
    pub fn mint(kind: TokenKind, random: &[u8; RANDOM_BYTES]) -> Self {
        let mut text = format!("{}{}", kind.prefix(), base62(random, RANDOM_DIGITS));
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Self { kind, text }
    }

    /// Parses a presented token. A well-formed token is not proof: the caller must look up its [`Token::hash`].
    ///
    /// # Errors
    /// [`TokenError`], by what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let (kind, digits) = TokenKind::ALL
            .into_iter()
            .find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)))
            .ok_or(TokenError::Prefix)?;
        if digits.len() != RANDOM_DIGITS + CHECKSUM_DIGITS
            || !digits.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            return Err(TokenError::Form);
        }
        let (body, presented) =
            text.split_at_checked(text.len() - CHECKSUM_DIGITS).ok_or(TokenError::Form)?;
        if checksum(body) != presented {
            return Err(TokenError::Checksum);
        }
        Ok(Self { kind, text: text.to_owned() })
    }

    /// What the token is for.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The token in plain text, only for the response that issues it.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The hash that the database stores and looks up: SHA-256 of the whole token, in lower-case hex.
    pub fn hash(&self) -> String {
        base16ct::lower::encode_string(&Sha256::digest(self.text.as_bytes()))
    }

    /// The short form for lists, `hk_live_…wXyZ`. The last characters belong to the checksum, so they reveal at most 24
    /// of the token's 256 bits.
    pub fn hint(&self) -> String {
        let last = self.text.len() - SHOWN_DIGITS;
        format!("{}…{}", self.kind.prefix(), self.text.get(last..).unwrap_or_default())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.hint())
    }
}

/// The times in a token's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When it expires, in milliseconds of the Unix epoch; `None` is never.
    pub expires_at_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_at_ms: Option<i64>,
}

/// Why an issued token is no longer valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapsed {
    /// Its user or an operator revoked it.
    Revoked,
    /// It has expired.
    Expired,
}

impl Validity {
    /// Checks that the token is valid at `now_ms`. A revoked token is invalid even if the clock is behind; a token that
    /// expires now has expired.
    ///
    /// # Errors
    /// [`Lapsed`].
    pub fn check(self, now_ms: i64) -> Result<(), Lapsed> {
        if self.revoked_at_ms.is_some() {
            return Err(Lapsed::Revoked);
        }
        match self.expires_at_ms {
            Some(end) if now_ms >= end => Err(Lapsed::Expired),
            _ => Ok(()),
        }
    }
}

/// Whether a use at `now_ms` must be written, given the last written use: at most one in five minutes.
pub fn is_last_used_due(last_used_ms: Option<i64>, now_ms: i64) -> bool {
    last_used_ms.is_none_or(|last| now_ms.saturating_sub(last) >= LAST_USED_EVERY_MS)
}

fn checksum(body: &str) -> String {
    base62(&crc32(body.as_bytes()).to_be_bytes(), CHECKSUM_DIGITS)
}

/// CRC-32 of ISO 3309, zlib and PNG, computed bit by bit: 51 bytes are not worth a table of 1 to 16 KB in the Worker.
fn crc32(bytes: &[u8]) -> u32 {
    const REVERSED_POLYNOMIAL: u32 = 0xEDB8_8320;
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (REVERSED_POLYNOMIAL * (crc & 1)))
    })
}

/// The big-endian `number` in base62 (`0-9A-Za-z`), with leading zeros, so that all tokens have the same length.
fn base62(number: &[u8], width: usize) -> String {
    let mut rest = number.to_vec();
    let mut digits: Vec<u8> = (0..width).map(|_| digit(divide_by_62(&mut rest))).collect();
    digits.reverse();
    digits.into_iter().map(char::from).collect()
}

/// Divides in place and returns the remainder.
fn divide_by_62(number: &mut [u8]) -> u8 {
    number.iter_mut().fold(0, |carry, byte| {
        let dividend = u16::from(carry) * 256 + u16::from(*byte);
        *byte = (dividend / 62) as u8;
        (dividend % 62) as u8
    })
}

const fn digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        10..=35 => b'A' + (value - 10),
        _ => b'a' + (value - 36),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> Token {
        Token::mint(TokenKind::ApiKey, &[7; 32])
    }

    #[test]
    fn crc32_gives_the_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn base62_is_positional_with_leading_zeros() {
        assert_eq!(base62(&[0], 3), "000");
        assert_eq!(base62(&[61], 1), "z");
        assert_eq!(base62(&[62], 3), "010");
        assert_eq!(base62(&[0x0F, 0x04], 3), "100");
    }

    #[test]
    fn the_largest_random_bytes_fit_their_digits() {
        assert_eq!(base62(&[0xFF; 32], RANDOM_DIGITS + 2).get(..2), Some("00"));
    }

    #[test]
    fn a_key_has_the_documented_form() {
        let text = key().reveal().to_owned();
        assert!(text.starts_with("hk_live_"));
        assert_eq!(text.len(), 8 + 43 + 6);
    }

    #[test]
    fn a_key_is_hashed_with_sha256_over_its_whole_text() {
        let expected: String = Sha256::digest(key().reveal()).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(key().hash(), expected);
    }

    #[test]
    fn neither_the_hint_nor_debug_shows_the_key() {
        let key = key();
        assert_eq!(key.hint(), format!("hk_live_…{}", key.reveal().get(53..).unwrap()));
        assert_eq!(format!("{key:?}"), format!("Token({})", key.hint()));
    }

    #[test]
    fn a_key_renamed_to_another_kind_is_refused() {
        let renamed = key().reveal().replace("hk_live_", "hs_");
        assert_eq!(Token::parse(&renamed).unwrap_err(), TokenError::Checksum);
    }

    #[test]
    fn foreign_tokens_are_distinguished_from_broken_ones() {
        assert_eq!(Token::parse("eyJhbGciOiJFUzI1NiJ9.e30.AA").unwrap_err(), TokenError::Prefix);
        assert_eq!(Token::parse("").unwrap_err(), TokenError::Prefix);
        assert_eq!(Token::parse("hk_live_").unwrap_err(), TokenError::Form);
        assert_eq!(Token::parse(&format!("hk_live_{}", "é".repeat(49))).unwrap_err(), TokenError::Form);
        assert_eq!(Token::parse(&format!("{} ", key().reveal())).unwrap_err(), TokenError::Form);
    }

    #[test]
    fn an_expired_key_is_refused_from_the_moment_it_expires() {
        let key = Validity { expires_at_ms: Some(1000), revoked_at_ms: None };
        assert_eq!(key.check(999), Ok(()));
        assert_eq!(key.check(1000), Err(Lapsed::Expired));
        assert_eq!(Validity { expires_at_ms: None, revoked_at_ms: None }.check(i64::MAX), Ok(()));
    }

    #[test]
    fn a_revoked_key_is_refused_at_once_even_by_a_clock_that_lags() {
        let key = Validity { expires_at_ms: Some(9000), revoked_at_ms: Some(5000) };
        assert_eq!(key.check(4000), Err(Lapsed::Revoked));
    }

    #[test]
    fn the_last_use_is_written_at_most_once_in_five_minutes() {
        assert!(is_last_used_due(None, 0));
        assert!(!is_last_used_due(Some(0), 299_999));
        assert!(is_last_used_due(Some(0), 300_000));
    }

    fn kinds() -> impl Strategy<Value = TokenKind> {
        prop::sample::select(TokenKind::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn every_minted_token_is_read_back(kind in kinds(), random: [u8; 32]) {
            let minted = Token::mint(kind, &random);
            let read = Token::parse(minted.reveal()).unwrap();
            prop_assert_eq!(read.kind(), kind);
            prop_assert_eq!(read.hash(), minted.hash());
        }

        #[test]
        fn different_bytes_make_different_tokens(a: [u8; 32], b: [u8; 32]) {
            prop_assume!(a != b);
            prop_assert_ne!(Token::mint(TokenKind::Session, &a).hash(), Token::mint(TokenKind::Session, &b).hash());
        }

        #[test]
        fn one_wrong_character_is_detected(random: [u8; 32], at in 8_usize..57, other in "[0-9A-Za-z]") {
            let good = Token::mint(TokenKind::ApiKey, &random).reveal().to_owned();
            let mut bad = good.clone();
            bad.replace_range(at..=at, &other);
            prop_assume!(bad != good);
            prop_assert_eq!(Token::parse(&bad).unwrap_err(), TokenError::Checksum);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "(hk_live_|hs_|wk_)?\\PC{0,80}") {
            let _ = Token::parse(&text);
        }
    }
}
