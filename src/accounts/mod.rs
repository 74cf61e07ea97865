//! Who somebody is, and what they may do.
//!
//! The rules, pure: time and random bytes are handed in, nothing is fetched
//! or kept here. A secret is never compared with a secret: a presented token
//! is hashed and looked up by its hash, and the rest are signatures, so that
//! no comparison's time can tell anything.

mod jwks;
mod jwks_cache;
mod jws;
mod keys;
mod scopes;
mod siwe;
mod stack_auth;
mod wallet;
