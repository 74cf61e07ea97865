//! Sign-in with a wallet: writes the text to sign (EIP-4361, "Sign-In with Ethereum"), and parses and verifies signed
//! texts strictly. A Stellar wallet signs the same text with its own chain's name in it, as CAIP-122 defines for every
//! chain.
//!
//! A client asks for a [`Challenge`], has its wallet sign the text, and sends text and signature back to [`verify`].
//! The caller handles the nonce: it stores a nonce for [`LIFETIME_MS`], and consumes it (`DELETE … RETURNING`) after a
//! text has been verified here and before a session is created.
//!
//! Stricter than EIP-4361 where the standard leaves a choice: no user name in the domain, no empty statement, an EIP-55
//! address, times with a `T`, one form of a chain id, and at most 4 KB.

use std::{fmt, str::Split};

use chrono::{DateTime, SecondsFormat};

use super::wallet::{Address, SignatureError};

/// How long a challenge and its nonce are valid.
pub const LIFETIME_MS: i64 = 10 * 60 * 1000;
/// How far a client's clock may run ahead of ours.
const SKEW_MS: i64 = 60 * 1000;
const MAX_MESSAGE_BYTES: usize = 4096;
/// Stellar's public network, by CAIP-28. An account has the same key on all of Stellar's networks.
const STELLAR_CHAIN_ID: &str = "pubnet";
const STATEMENT: &str = "Sign in to Hatch. This costs nothing and sends no transaction.";

/// A parsed sign-in text. `Display` writes the text again, with times in UTC and milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The scheme of the requesting origin; `None` means `https`.
    pub scheme: Option<String>,
    /// The requesting host, with its port if it has one.
    pub domain: String,
    /// The account that signs in.
    pub address: Address,
    /// The statement that the wallet shows to the user.
    pub statement: Option<String>,
    /// What the account signs in to.
    pub uri: String,
    /// The EIP-155 chain id for an Ethereum address; `None` for Stellar.
    pub chain_id: Option<u64>,
    /// 8 or more letters and digits, which the server has issued for one sign-in.
    pub nonce: String,
    /// When the text was made, in milliseconds of the Unix epoch.
    pub issued_at_ms: i64,
    /// The text is invalid from this time on, in milliseconds of the Unix epoch.
    pub expires_at_ms: Option<i64>,
    /// The text is invalid before this time, in milliseconds of the Unix epoch.
    pub not_before_ms: Option<i64>,
    /// The requesting site's own id of the sign-in.
    pub request_id: Option<String>,
    /// URIs that the user agrees to besides.
    pub resources: Vec<String>,
}

/// The first line that is wrong in a sign-in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MalformedMessage {
    /// The text has more than 4,096 bytes.
    TooLong,
    /// The first line does not name a host and a chain.
    Domain,
    /// The second line is no address of that chain, or one with a wrong checksum.
    Address,
    /// An empty line is missing or not empty.
    EmptyLine,
    /// The statement has characters that EIP-4361 does not allow.
    Statement,
    /// `URI: ` is missing, or is not a URI.
    Uri,
    /// `Version: 1` is missing.
    Version,
    /// `Chain ID: ` is missing, or is not of the address's chain.
    ChainId,
    /// `Nonce: ` is missing, too short, or has other characters than letters and digits.
    Nonce,
    /// `Issued At: ` is missing, or is not a time of RFC 3339.
    IssuedAt,
    /// `Expiration Time: ` is not a time of RFC 3339.
    ExpirationTime,
    /// `Not Before: ` is not a time of RFC 3339.
    NotBefore,
    /// `Request ID: ` has characters that EIP-4361 does not allow.
    RequestId,
    /// A line after `Resources:` is not `- ` and a URI.
    Resources,
    /// Lines that are unknown, duplicated, or out of order.
    Rest,
}

impl fmt::Display for MalformedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the message is longer than 4096 bytes",
            Self::Domain => {
                "the first line is not '<domain> wants you to sign in with your Ethereum account:', or 'Stellar account:'"
            }
            Self::Address => "the second line is not an address of the first line's chain, with its EIP-55 checksum on Ethereum",
            Self::EmptyLine => "the statement, or its absence, is not between two empty lines",
            Self::Statement => "the statement has characters that EIP-4361 does not allow",
            Self::Uri => "the line 'URI: ' is missing or is not a URI",
            Self::Version => "the line 'Version: 1' is missing",
            Self::ChainId => "the line 'Chain ID: ' is missing or is not a number, or not 'pubnet' on Stellar",
            Self::Nonce => "the line 'Nonce: ' is missing or is not 8 or more letters and digits",
            Self::IssuedAt => "the line 'Issued At: ' is missing or is not a time of RFC 3339",
            Self::ExpirationTime => "the line 'Expiration Time: ' is not a time of RFC 3339",
            Self::NotBefore => "the line 'Not Before: ' is not a time of RFC 3339",
            Self::RequestId => "the line 'Request ID: ' has characters that EIP-4361 does not allow",
            Self::Resources => "a line after 'Resources:' is not '- ' and a URI",
            Self::Rest => "the message has lines that are unknown or out of order",
        })
    }
}

impl std::error::Error for MalformedMessage {}

impl Message {
    /// Parses the text of EIP-4361: exact lines, separated by line feeds, without one after the last line.
    ///
    /// # Errors
    /// [`MalformedMessage`], by the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, MalformedMessage> {
        if text.len() > MAX_MESSAGE_BYTES {
            return Err(MalformedMessage::TooLong);
        }
        let mut lines = Lines { rest: text.split('\n') };
        let (chain, scheme, domain) = lines.next().and_then(origin).ok_or(MalformedMessage::Domain)?;
        let address = lines.next().and_then(address).ok_or(MalformedMessage::Address)?;
        if chain != chain_name(address) {
            return Err(MalformedMessage::Address);
        }
        let statement = statement(&mut lines)?;
        let uri = lines.required("URI: ", uri).ok_or(MalformedMessage::Uri)?;
        lines
            .required("Version: ", |version| (version == "1").then_some(()))
            .ok_or(MalformedMessage::Version)?;
        let message = Self {
            scheme,
            domain,
            address,
            statement,
            uri,
            chain_id: lines
                .required("Chain ID: ", |id| chain_id(address, id))
                .ok_or(MalformedMessage::ChainId)?,
            nonce: lines.required("Nonce: ", nonce_text).ok_or(MalformedMessage::Nonce)?,
            issued_at_ms: lines.required("Issued At: ", time).ok_or(MalformedMessage::IssuedAt)?,
            expires_at_ms: lines.optional("Expiration Time: ", time, MalformedMessage::ExpirationTime)?,
            not_before_ms: lines.optional("Not Before: ", time, MalformedMessage::NotBefore)?,
            request_id: lines.optional("Request ID: ", request_id, MalformedMessage::RequestId)?,
            resources: resources(&mut lines)?,
        };
        match lines.next() {
            None => Ok(message),
            Some(_) => Err(MalformedMessage::Rest),
        }
    }
}

struct Lines<'a> {
    rest: Split<'a, char>,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.rest.next()
    }

    fn peek(&self) -> Option<&'a str> {
        self.rest.clone().next()
    }

    fn required<T>(&mut self, name: &str, read: impl Fn(&'a str) -> Option<T>) -> Option<T> {
        self.next()?.strip_prefix(name).and_then(read)
    }

    /// The value of the next line, if it has this name; otherwise the line is not consumed.
    fn optional<T>(
        &mut self,
        name: &str,
        read: impl Fn(&'a str) -> Option<T>,
        error: MalformedMessage,
    ) -> Result<Option<T>, MalformedMessage> {
        let Some(value) = self.peek().and_then(|line| line.strip_prefix(name)) else {
            return Ok(None);
        };
        self.next();
        read(value).map(Some).ok_or(error)
    }
}

/// The chain, and the scheme and host of the requesting origin.
fn origin(line: &str) -> Option<(&str, Option<String>, String)> {
    let (origin, chain) = line.strip_suffix(" account:")?.split_once(" wants you to sign in with your ")?;
    let (scheme, domain) = match origin.split_once("://") {
        Some((scheme, domain)) => (Some(scheme), domain),
        None => (None, origin),
    };
    // RFC 3986's authority without a user name, which could be made to look like a host.
    let is_authority = !domain.is_empty() && is_made_of(domain, "-._~!$&'()*+,;=:[]%");
    (scheme.is_none_or(is_scheme) && is_authority)
        .then(|| (chain, scheme.map(str::to_owned), domain.to_owned()))
}

/// The name of an address's chain in the first line.
fn chain_name(address: Address) -> &'static str {
    match address {
        Address::Ethereum(_) => "Ethereum",
        Address::Stellar(_) => "Stellar",
    }
}

fn address(line: &str) -> Option<Address> {
    line.parse().ok().filter(|address: &Address| address.checksummed() == line)
}

/// `LF [statement LF] LF`: one line between two empty ones, or just two empty ones.
fn statement(lines: &mut Lines<'_>) -> Result<Option<String>, MalformedMessage> {
    lines.next().filter(|line| line.is_empty()).ok_or(MalformedMessage::EmptyLine)?;
    let text = lines.next().ok_or(MalformedMessage::EmptyLine)?;
    if text.is_empty() {
        return Ok(None);
    }
    // Checked first, so that a missing empty line is reported as such, and not as a bad statement.
    lines.next().filter(|line| line.is_empty()).ok_or(MalformedMessage::EmptyLine)?;
    if !is_made_of(text, " -._~:/?#[]@!$&'()*+,;=") {
        return Err(MalformedMessage::Statement);
    }
    Ok(Some(text.to_owned()))
}

fn uri(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(':')?;
    let is_uri = is_scheme(scheme) && is_made_of(rest, "-._~:/?#[]@!$&'()*+,;=%");
    is_uri.then(|| text.to_owned())
}

fn chain_id(address: Address, text: &str) -> Option<Option<u64>> {
    match address {
        Address::Ethereum(_) => {
            text.parse().ok().filter(|id: &u64| *id > 0 && id.to_string() == text).map(Some)
        }
        Address::Stellar(_) => (text == STELLAR_CHAIN_ID).then_some(None),
    }
}

fn nonce_text(text: &str) -> Option<String> {
    (text.len() >= 8 && is_made_of(text, "")).then(|| text.to_owned())
}

fn request_id(text: &str) -> Option<String> {
    is_made_of(text, "-._~!$&'()*+,;=:@%").then(|| text.to_owned())
}

/// RFC 3339, in milliseconds of the Unix epoch.
fn time(text: &str) -> Option<i64> {
    // chrono would also take a space for the `T`.
    let time = DateTime::parse_from_rfc3339(text).ok().filter(|_| !text.contains(' '))?;
    Some(time.timestamp_millis())
}

fn resources(lines: &mut Lines<'_>) -> Result<Vec<String>, MalformedMessage> {
    if lines.peek() != Some("Resources:") {
        return Ok(Vec::new());
    }
    lines
        .rest
        .by_ref()
        .skip(1)
        .map(|line| line.strip_prefix("- ").and_then(uri).ok_or(MalformedMessage::Resources))
        .collect()
}

/// Whether a text has only letters, digits and `marks`. A `%` must begin one of RFC 3986's escapes.
fn is_made_of(text: &str, marks: &str) -> bool {
    let is_known = text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c));
    let mut after_percent = text.split('%').skip(1);
    is_known && after_percent.all(|s| s.len() >= 2 && s.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        let chain = chain_name(self.address);
        writeln!(f, "{} wants you to sign in with your {chain} account:", self.domain)?;
        writeln!(f, "{}\n", self.address.checksummed())?;
        if let Some(statement) = &self.statement {
            writeln!(f, "{statement}")?;
        }
        let chain_id = self.chain_id.map_or_else(|| STELLAR_CHAIN_ID.to_owned(), |id| id.to_string());
        write!(f, "\nURI: {}\nVersion: 1\nChain ID: {chain_id}", self.uri)?;
        write!(f, "\nNonce: {}\nIssued At: {}", self.nonce, rfc3339(self.issued_at_ms))?;
        if let Some(time) = self.expires_at_ms {
            write!(f, "\nExpiration Time: {}", rfc3339(time))?;
        }
        if let Some(time) = self.not_before_ms {
            write!(f, "\nNot Before: {}", rfc3339(time))?;
        }
        if let Some(id) = &self.request_id {
            write!(f, "\nRequest ID: {id}")?;
        }
        if !self.resources.is_empty() {
            f.write_str("\nResources:")?;
        }
        self.resources.iter().try_for_each(|resource| write!(f, "\n- {resource}"))
    }
}

/// A time beyond chrono's range becomes 1970, which no check accepts.
fn rfc3339(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The text that a wallet is asked to sign.
#[derive(Debug, Clone, Copy)]
pub struct Challenge<'a> {
    /// The requesting host, one of [`Expectation::domains`].
    pub domain: &'a str,
    /// The URI of the service, on one of [`Expectation::domains`].
    pub uri: &'a str,
    /// The account that wants to sign in.
    pub address: Address,
    /// For an address on Ethereum.
    pub chain_id: Option<u64>,
    /// From [`nonce`]; the caller stores it until it is used.
    pub nonce: &'a str,
    /// When the text is made, in milliseconds of the Unix epoch.
    pub now_ms: i64,
}

impl Challenge<'_> {
    /// The message to sign. It expires together with its nonce.
    pub fn message(&self) -> Message {
        Message {
            scheme: None,
            domain: self.domain.to_owned(),
            address: self.address,
            statement: Some(STATEMENT.to_owned()),
            uri: self.uri.to_owned(),
            chain_id: self.chain_id,
            nonce: self.nonce.to_owned(),
            issued_at_ms: self.now_ms,
            expires_at_ms: Some(self.now_ms.saturating_add(LIFETIME_MS)),
            not_before_ms: None,
            request_id: None,
            resources: Vec::new(),
        }
    }
}

/// Makes a nonce of 32 letters and digits from 16 random bytes.
pub fn nonce(random: &[u8; 16]) -> String {
    base16ct::lower::encode_string(random)
}

/// What a valid sign-in must contain, at the current time.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// Our hosts with ports, as browsers write them: `hatch.sh`, `localhost:8787`.
    pub domains: &'a [String],
    /// Accepted EIP-155 chain ids.
    pub chain_ids: &'a [u64],
    /// When the sign-in arrives, in milliseconds of the Unix epoch.
    pub now_ms: i64,
}

/// Why a sign-in was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiweRefusal {
    /// The text is not one of EIP-4361.
    Malformed(MalformedMessage),
    /// Made for another site, like a phished signature.
    Domain,
    /// The URI belongs to another site.
    Uri,
    /// For a chain that is not one of [`Expectation::chain_ids`].
    ChainId,
    /// Issued in the future, by more than the allowed clock error.
    IssuedAhead,
    /// Issued longer ago than [`LIFETIME_MS`].
    TooOld,
    /// The text has expired.
    Expired,
    /// Its time "Not Before" has not come.
    NotYetValid,
    /// The signature is malformed.
    Signature(SignatureError),
    /// A valid signature of another account than the text names.
    Signer,
}

impl fmt::Display for SiweRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(malformed) => return malformed.fmt(f),
            Self::Signature(error) => return error.fmt(f),
            Self::Domain => "the message was made for another site",
            Self::Uri => "the message's URI belongs to another site",
            Self::ChainId => "the message is for a chain that is not accepted here",
            Self::IssuedAhead => "the message was issued in the future: check your clock",
            Self::TooOld => "the message was issued more than 10 minutes ago: ask for a new one",
            Self::Expired => "the message has expired: ask for a new one",
            Self::NotYetValid => "the message is not valid yet",
            Self::Signer => "the signature was made by another account than the message names",
        })
    }
}

impl std::error::Error for SiweRefusal {}

/// Verifies `signature` over the exact bytes of `text` and returns the signed message. The caller must then consume its
/// `nonce`; only if that succeeds is `address` signed in.
///
/// # Errors
/// [`SiweRefusal`]: the text is checked before the signature.
pub fn verify(text: &str, signature: &str, expected: &Expectation<'_>) -> Result<Message, SiweRefusal> {
    let message = Message::parse(text).map_err(SiweRefusal::Malformed)?;
    expected.check(&message)?;
    match message.address.has_signed(text.as_bytes(), signature) {
        Ok(true) => Ok(message),
        Ok(false) => Err(SiweRefusal::Signer),
        Err(error) => Err(SiweRefusal::Signature(error)),
    }
}

impl Expectation<'_> {
    fn check(&self, message: &Message) -> Result<(), SiweRefusal> {
        let soon = self.now_ms.saturating_add(SKEW_MS);
        let is_ahead = |time: i64| time > soon;
        if !self.is_ours(message.scheme.as_deref().unwrap_or("https"), &message.domain) {
            return Err(SiweRefusal::Domain);
        }
        if !self.is_our_uri(&message.uri) {
            return Err(SiweRefusal::Uri);
        }
        if message.chain_id.is_some_and(|id| !self.chain_ids.contains(&id)) {
            return Err(SiweRefusal::ChainId);
        }
        if is_ahead(message.issued_at_ms) {
            return Err(SiweRefusal::IssuedAhead);
        }
        if self.now_ms.saturating_sub(message.issued_at_ms) > LIFETIME_MS {
            return Err(SiweRefusal::TooOld);
        }
        if message.expires_at_ms.is_some_and(|end| self.now_ms >= end) {
            return Err(SiweRefusal::Expired);
        }
        if message.not_before_ms.is_some_and(is_ahead) {
            return Err(SiweRefusal::NotYetValid);
        }
        Ok(())
    }

    fn is_our_uri(&self, uri: &str) -> bool {
        let Some((scheme, rest)) = uri.split_once("://") else { return false };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        self.is_ours(scheme, authority)
    }

    /// Compared as text: another spelling of the same host is not what our challenge contains.
    fn is_ours(&self, scheme: &str, authority: &str) -> bool {
        let is_safe = scheme == "https" || (scheme == "http" && is_loopback(authority));
        is_safe && self.domains.iter().any(|domain| domain == authority)
    }
}

/// The development server on this machine, where TLS is not needed.
fn is_loopback(authority: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .filter_map(|host| authority.strip_prefix(host))
        .any(|port| port.is_empty() || port.starts_with(':'))
}

#[cfg(test)]
mod tests;
