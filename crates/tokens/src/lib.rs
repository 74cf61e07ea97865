//! Tokens and signatures: what they say, and whether they hold. Pure: time,
//! keys and random bytes are handed in, nothing is fetched or kept.

pub mod concordium;
pub mod ethereum;
pub mod github_app;
pub mod jwks;
pub mod jwks_cache;
pub mod jws;
pub mod signed_url;
pub mod sigv4;
pub mod siwe;
pub mod stack_auth;
pub mod stellar;
pub mod token;
pub mod wallet;
