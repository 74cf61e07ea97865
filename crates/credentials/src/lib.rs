//! Parses and verifies credentials: access tokens, wallets' signatures, JSON Web Tokens, signed links, and AWS's
//! signatures. Pure: the caller passes in time, keys and random bytes; nothing is fetched or stored.

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
