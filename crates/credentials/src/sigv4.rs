//! Signature Version 4 (docs.aws.amazon.com, "AWS Signature Version 4 for API
//! requests"). Pure: the caller passes in the request, the time and the key.

use std::fmt;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// An access key and its secret, which give access to the account.
pub struct Keys {
    /// The access key's id, which signed requests show.
    pub id: String,
    /// The secret access key, which signs and is never sent.
    pub secret: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// The only supported algorithm, in AWS's spelling.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The scope of a signature.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Such as `us-east-1`.
    pub region: &'a str,
    /// `ecr`, `s3`, …
    pub service: &'a str,
    /// The time of signing. AWS accepts a clock that is up to 15 minutes wrong.
    pub at: DateTime<Utc>,
}

/// A request to sign. Header names are in lower case and include `host`; the
/// query is not encoded.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method in capitals, as it is signed.
    pub method: &'a str,
    /// Not encoded. It is encoded once, as S3 requires; for paths of plain
    /// characters that is right for the other services as well.
    pub path: &'a str,
    /// Names and values, in any order.
    pub query: &'a [(&'a str, &'a str)],
    /// Names and values; all of them are signed.
    pub headers: &'a [(&'a str, &'a str)],
    /// SHA-256 of the body in hex, or `UNSIGNED-PAYLOAD`.
    pub payload: &'a str,
}

impl Scope<'_> {
    /// `x-amz-date`.
    pub fn timestamp(&self) -> String {
        self.at.format("%Y%m%dT%H%M%SZ").to_string()
    }

    /// `yyyymmdd/region/service/aws4_request`
    fn credential(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.at.format("%Y%m%d"), self.region, self.service)
    }
}

/// The `authorization` header of a request.
pub fn authorization(keys: &Keys, scope: Scope<'_>, request: &Request<'_>) -> String {
    format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={}",
        keys.id,
        scope.credential(),
        signed_headers(request),
        signature(keys, scope, request),
    )
}

/// A presigned URL, which permits its holder one request at `origin` for
/// `expires_s` seconds. The payload is not signed. `host` comes from the
/// origin; other headers must be sent as given here.
pub fn presigned(
    keys: &Keys,
    scope: Scope<'_>,
    origin: &str,
    request: &Request<'_>,
    expires_s: u32,
) -> String {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let headers: Vec<(&str, &str)> =
        request.headers.iter().copied().filter(|(name, _)| *name != "host").chain([("host", host)]).collect();
    let signed = signed_headers(&Request { headers: &headers, ..*request });
    let (credential, at, expires) =
        (format!("{}/{}", keys.id, scope.credential()), scope.timestamp(), expires_s.to_string());
    let own = [
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", credential.as_str()),
        ("X-Amz-Date", at.as_str()),
        ("X-Amz-Expires", expires.as_str()),
        ("X-Amz-SignedHeaders", signed.as_str()),
    ];
    let query: Vec<(&str, &str)> = request.query.iter().copied().chain(own).collect();
    let request = Request { query: &query, headers: &headers, payload: "UNSIGNED-PAYLOAD", ..*request };
    let path: Vec<String> = request.path.split('/').map(encode).collect();
    let shown: Vec<String> =
        query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let signature = signature(keys, scope, &request);
    format!("{origin}{}?{}&X-Amz-Signature={signature}", path.join("/"), shown.join("&"))
}

fn signature(keys: &Keys, scope: Scope<'_>, request: &Request<'_>) -> String {
    let digest = sha256_hex(canonical(request).as_bytes());
    let text = format!("{ALGORITHM}\n{}\n{}\n{digest}", scope.timestamp(), scope.credential());
    let date = scope.at.format("%Y%m%d").to_string();
    let first = format!("AWS4{}", keys.secret).into_bytes();
    let parts = [date.as_str(), scope.region, scope.service, "aws4_request"];
    let key = parts.iter().fold(first, |key, part| hmac(&key, part));
    base16ct::lower::encode_string(&hmac(&key, &text))
}

fn canonical(request: &Request<'_>) -> String {
    let path: Vec<String> = request.path.split('/').map(encode).collect();
    let mut query: Vec<(String, String)> =
        request.query.iter().map(|(name, value)| (encode(name), encode(value))).collect();
    query.sort();
    let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers: String =
        sorted(request.headers).iter().map(|(name, value)| format!("{name}:{}\n", spaced(value))).collect();
    [request.method, &path.join("/"), &query.join("&"), &headers, &signed_headers(request), request.payload]
        .join("\n")
}

fn signed_headers(request: &Request<'_>) -> String {
    let names: Vec<&str> = sorted(request.headers).into_iter().map(|(name, _)| name).collect();
    names.join(";")
}

fn sorted<'a>(headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut headers = headers.to_vec();
    headers.sort_unstable();
    headers
}

/// Trims blanks, and collapses runs of blanks into one.
fn spaced(value: &str) -> String {
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// RFC 3986's percent-encoding, of everything that is not unreserved.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The SHA-256 of a body in hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> Keys {
        Keys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        }
    }

    fn at(timestamp: &str) -> DateTime<Utc> {
        chrono::NaiveDateTime::parse_from_str(timestamp, "%Y%m%dT%H%M%SZ").unwrap().and_utc()
    }

    /// The signature of a presigned GET.
    fn signature_of(region: &str, host: &str, path: &str, timestamp: &str, expires_s: u32) -> String {
        let scope = Scope { region, service: "s3", at: at(timestamp) };
        let request = Request { method: "GET", path, query: &[], headers: &[], payload: "" };
        let url = presigned(&keys(), scope, &format!("https://{host}"), &request, expires_s);
        url.rsplit_once("&X-Amz-Signature=").unwrap().1.to_owned()
    }

    #[test]
    fn a_url_is_signed_as_in_the_example_of_aws() {
        let host = "examplebucket.s3.amazonaws.com";
        assert_eq!(
            signature_of("us-east-1", host, "/test.txt", "20130524T000000Z", 86_400),
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn a_path_with_blanks_and_brackets_is_signed_encoded_once() {
        let host = "0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com";
        let path = "/app-files/apps/a1/src/main (1).rs";
        assert_eq!(
            signature_of("auto", host, path, "20260101T000000Z", 900),
            "13f1137fb3ea4f59640d318afa09824db547d1f8a7ce203e44d5e78dae3cbe00"
        );
    }

    #[test]
    fn a_call_of_ecr_is_signed_with_its_four_headers() {
        let scope = Scope { region: "us-east-1", service: "ecr", at: at("20260101T000000Z") };
        let headers = [
            ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"),
            ("content-type", "application/x-amz-json-1.1"),
            ("host", "api.ecr.us-east-1.amazonaws.com"),
            ("x-amz-date", "20260101T000000Z"),
        ];
        let payload = sha256_hex(b"{}");
        let request = Request { method: "POST", path: "/", query: &[], headers: &headers, payload: &payload };
        assert_eq!(
            authorization(&keys(), scope, &request),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/ecr/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
             Signature=24bf09d1e4c73a352df2bf1348795912963d0587962fba92b0ed17ef55c28427"
        );
    }

    fn with_query(query: &[(&str, &str)]) -> String {
        canonical(&Request { method: "GET", path: "/", query, headers: &[("host", "h")], payload: "p" })
    }

    proptest! {
        #[test]
        fn encoding_is_plain_ascii_and_reversible(text: String) {
            let encoded = encode(&text);
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b);
            prop_assert!(encoded.bytes().all(is_plain), "{}", encoded);
            // A form decoder turns `+` into a blank; the output here contains
            // no `+`.
            let decoded = url::form_urlencoded::parse(encoded.as_bytes()).next();
            prop_assert_eq!(decoded.map(|(name, _)| name.into_owned()).unwrap_or_default(), text);
        }

        #[test]
        fn the_order_of_a_query_and_of_headers_does_not_matter(
            pairs in prop::collection::vec((".{0,8}", ".{0,8}"), 0..6)
        ) {
            let forth: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let back: Vec<_> = forth.iter().rev().copied().collect();
            prop_assert_eq!(with_query(&forth), with_query(&back));
        }

        #[test]
        fn input_cannot_add_lines_to_a_canonical_request(name in "(?s).*", value in "(?s).*", path in "(?s).*") {
            let text = canonical(&Request {
                method: "GET", path: &path, query: &[(&name, &value)], headers: &[("host", "h")], payload: "p",
            });
            prop_assert_eq!(text.lines().count(), 7);
        }

        #[test]
        fn blanks_in_a_header_count_once(words in prop::collection::vec("[a-z]{1,5}", 1..5), blanks in 1_usize..4) {
            let loose = format!("  {}  ", words.join(&" ".repeat(blanks)));
            prop_assert_eq!(spaced(&loose), words.join(" "));
        }
    }
}
