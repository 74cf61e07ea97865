//! Makes new tokens.

use hatch_credentials::token::{RANDOM_BYTES, Token, TokenKind};

use crate::{error::Error, platform::random};

/// A new token from the platform's randomness.
pub(crate) fn fresh(kind: TokenKind) -> Result<Token, Error> {
    let mut secret = [0; RANDOM_BYTES];
    random::fill(&mut secret)?;
    Ok(Token::mint(kind, &secret))
}
