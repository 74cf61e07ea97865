//! A regular user's token, and all known attacks on it.

use std::sync::LazyLock;

use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        jwks::{
            Jwks,
            tests::{jwk, jwks},
        },
        jwks_cache::{Decision, Event, JwksCache},
        jws::tests::{HEADER, encode, key, token},
    },
    *,
};

const NOW_S: i64 = 1_767_225_600;
const BASE: &str = "https://api.stack-auth.com";
const PROJECT: &str = "f5a1b8e2-0c3d-4e5f-8a9b-1c2d3e4f5a6b";

fn project() -> Project {
    Project::new(BASE, &["https://api.hexclave.com"], PROJECT)
}

fn claims() -> Value {
    json!({
        "iss": format!("{BASE}/api/v1/projects/{PROJECT}"), "aud": PROJECT, "sub": "user-1",
        "exp": NOW_S + 600, "iat": NOW_S, "project_id": PROJECT, "branch_id": "main",
        "refresh_token_id": "r1", "role": "authenticated", "name": "Ada", "email": "ada@example.com",
        "email_verified": true, "selected_team_id": null, "is_anonymous": false, "is_restricted": false,
        "restricted_reason": null, "requires_totp_mfa": false, "signed_up_at": 1_767_000_000_000_i64,
    })
}

/// Keys as Stack Auth publishes them: the current one and the previous one.
static KEYS: LazyLock<Jwks> = LazyLock::new(|| jwks(&[jwk("k1", 1), jwk("legacy", 2)]).unwrap());

/// Processes a token like the Worker: decodes it, gets its key from the cache,
/// and verifies it.
fn judge(token: &str) -> Result<Claims, StackAuthRefusal> {
    let mut cache = JwksCache::default();
    cache.apply(Event::Fetched(KEYS.clone()), NOW_S * 1000);
    let jws = Jws::decode(token)?;
    match cache.decide(jws.kid(), NOW_S * 1000) {
        Decision::Use(key) => project().verify(&jws, &key, NOW_S),
        other => panic!("no key: {other:?}"),
    }
}

fn judge_claims(claims: &Value) -> Result<Claims, StackAuthRefusal> {
    judge(&token(HEADER, &claims.to_string(), &key(1)))
}

/// A correctly signed token in which one claim is `value`.
fn with(name: &str, value: Value) -> Result<Claims, StackAuthRefusal> {
    let mut claims = claims();
    claims.as_object_mut().unwrap().insert(name.to_owned(), value);
    judge_claims(&claims)
}

fn without(name: &str) -> Result<Claims, StackAuthRefusal> {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    judge_claims(&claims)
}

/// A token of `header` and valid claims, with arbitrary signature bytes.
fn with_signature(header: &str, sign: impl FnOnce(&str) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", encode(header), encode(claims().to_string()));
    let signature = encode(sign(&signed));
    format!("{signed}.{signature}")
}

#[test]
fn a_regular_users_token_is_accepted() {
    let expected = Claims {
        sub: "user-1".to_owned(),
        email: Some("ada@example.com".to_owned()),
        email_verified: true,
        name: Some("Ada".to_owned()),
        expires_at_s: NOW_S + 600,
    };
    assert_eq!(judge_claims(&claims()), Ok(expected));
}

#[test]
fn the_legacy_key_is_accepted_too() {
    let header = r#"{"alg":"ES256","kid":"legacy","typ":"JWT"}"#;
    assert!(judge(&token(header, &claims().to_string(), &key(2))).is_ok());
}

#[test]
fn the_keys_are_fetched_from_the_project_without_those_of_other_kinds_of_users() {
    assert_eq!(
        project().jwks_url(),
        format!("https://api.stack-auth.com/api/v1/projects/{PROJECT}/.well-known/jwks.json")
    );
}

#[test]
fn a_missing_or_unverified_email_is_not_returned_as_verified() {
    assert_eq!(judge_claims(&claims()).unwrap().verified_email(), Some("ada@example.com"));
    assert_eq!(with("email_verified", json!(false)).unwrap().verified_email(), None);
    assert_eq!(with("email", json!(null)).unwrap().verified_email(), None);
    assert_eq!(without("email").unwrap().email, None);
}

#[test]
fn alg_none_is_refused() {
    let token = with_signature(r#"{"alg":"none","kid":"k1"}"#, |_| Vec::new());
    assert_eq!(judge(&token), Err(StackAuthRefusal::Token(JwsError::Algorithm)));
}

#[test]
fn an_es256_token_without_a_signature_is_refused() {
    let token = with_signature(HEADER, |_| Vec::new());
    assert_eq!(judge(&token), Err(StackAuthRefusal::Token(JwsError::SignatureForm)));
}

#[test]
fn hs256_with_the_public_key_as_its_secret_is_refused() {
    let public = key(1).verifying_key().to_sec1_point(false);
    let header = r#"{"alg":"HS256","kid":"k1"}"#;
    let token = with_signature(header, |signed| hmac_sha256(public.as_bytes(), signed.as_bytes()));
    assert_eq!(judge(&token), Err(StackAuthRefusal::Token(JwsError::Algorithm)));
}

/// RFC 2104.
fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = Sha256::digest(secret).to_vec();
    block.resize(64, 0);
    let pad = |byte: u8| block.iter().map(|b| b ^ byte).collect::<Vec<u8>>();
    let inner = Sha256::digest([&pad(0x36), message].concat());
    Sha256::digest([pad(0x5C), inner.to_vec()].concat()).to_vec()
}

#[test]
fn a_wrong_issuer_is_refused() {
    for issuer in [
        format!("{BASE}/api/v1/projects/{PROJECT}/"),
        format!("{BASE}/api/v1/projects/other"),
        format!("{BASE}.evil.com/api/v1/projects/{PROJECT}"),
        format!("http://api.stack-auth.com/api/v1/projects/{PROJECT}"),
        String::new(),
    ] {
        assert_eq!(with("iss", json!(issuer)), Err(StackAuthRefusal::Issuer), "{issuer}");
    }
}

#[test]
fn the_issuer_is_accepted_under_its_new_name() {
    assert!(with("iss", json!(format!("https://api.hexclave.com/api/v1/projects/{PROJECT}"))).is_ok());
}

#[test]
fn a_wrong_audience_is_refused() {
    assert_eq!(with("aud", json!("other")), Err(StackAuthRefusal::Audience));
    assert_eq!(with("aud", json!([PROJECT])), Err(StackAuthRefusal::Audience));
    assert_eq!(with("aud", json!([PROJECT, "other"])), Err(StackAuthRefusal::Audience));
    assert_eq!(without("aud"), Err(StackAuthRefusal::Audience));
}

#[test]
fn the_audience_of_anonymous_and_of_restricted_users_is_refused() {
    assert_eq!(with("aud", json!(format!("{PROJECT}:anon"))), Err(StackAuthRefusal::Audience));
    assert_eq!(with("aud", json!(format!("{PROJECT}:restricted"))), Err(StackAuthRefusal::Audience));
}

#[test]
fn an_anonymous_users_token_is_refused_even_by_its_flag_alone() {
    let mut anonymous = claims();
    let members = anonymous.as_object_mut().unwrap();
    members.insert("iss".to_owned(), json!(format!("{BASE}/api/v1/projects-anonymous-users/{PROJECT}")));
    members.insert("aud".to_owned(), json!(format!("{PROJECT}:anon")));
    members.insert("is_anonymous".to_owned(), json!(true));
    assert_eq!(judge_claims(&anonymous), Err(StackAuthRefusal::Issuer));
    assert_eq!(with("is_anonymous", json!(true)), Err(StackAuthRefusal::Anonymous));
}

#[test]
fn a_restricted_users_token_is_refused_by_its_flag_and_by_its_reason() {
    assert_eq!(with("is_restricted", json!(true)), Err(StackAuthRefusal::Restricted));
    assert_eq!(
        with("restricted_reason", json!({ "type": "email_not_verified" })),
        Err(StackAuthRefusal::Restricted)
    );
    let issuer = format!("{BASE}/api/v1/projects-restricted-users/{PROJECT}");
    assert_eq!(with("iss", json!(issuer)), Err(StackAuthRefusal::Issuer));
}

#[test]
fn another_project_branch_or_role_is_refused() {
    assert_eq!(with("project_id", json!("other")), Err(StackAuthRefusal::Project));
    assert_eq!(with("branch_id", json!("dev")), Err(StackAuthRefusal::Branch));
    assert_eq!(with("role", json!("anonymous")), Err(StackAuthRefusal::Role));
}

#[test]
fn an_expired_token_is_refused_a_minute_after_its_end() {
    assert!(with("exp", json!(NOW_S - 59)).is_ok());
    assert_eq!(with("exp", json!(NOW_S - 60)), Err(StackAuthRefusal::Expired));
    assert_eq!(with("exp", json!(i64::MIN)), Err(StackAuthRefusal::Expired));
}

#[test]
fn a_token_of_the_future_is_refused_beyond_a_minute() {
    assert!(with("nbf", json!(NOW_S + 60)).is_ok());
    assert_eq!(with("nbf", json!(NOW_S + 61)), Err(StackAuthRefusal::NotYetValid));
    assert!(with("iat", json!(NOW_S + 60)).is_ok());
    assert_eq!(with("iat", json!(NOW_S + 61)), Err(StackAuthRefusal::IssuedAhead));
}

#[test]
fn a_claim_that_is_missing_or_of_a_wrong_type_is_reported() {
    for name in [
        "iss",
        "sub",
        "exp",
        "iat",
        "project_id",
        "branch_id",
        "role",
        "email_verified",
        "is_anonymous",
        "is_restricted",
    ] {
        assert_eq!(without(name), Err(StackAuthRefusal::Claim(name)));
        assert_eq!(with(name, json!({})), Err(StackAuthRefusal::Claim(name)));
    }
    for (name, value) in [
        ("exp", json!((NOW_S + 600).to_string())),
        ("exp", json!(1e300)),
        ("is_anonymous", json!("false")),
        ("is_restricted", json!(0)),
        ("nbf", json!("0")),
        ("email", json!(["ada@example.com"])),
        ("sub", json!("")),
        ("sub", json!("u".repeat(129))),
    ] {
        assert_eq!(with(name, value), Err(StackAuthRefusal::Claim(name)));
    }
}

#[test]
fn a_flood_of_unknown_kids_is_refused_and_fetches_once() {
    let mut cache = JwksCache::default();
    cache.apply(Event::Fetched(KEYS.clone()), NOW_S * 1000 - 120_000);
    let mut fetches = 0;
    for n in 0..1000 {
        let header = json!({ "alg": "ES256", "kid": format!("made-up-{n}") }).to_string();
        let token = with_signature(&header, |_| vec![1; 64]);
        let jws = Jws::decode(&token).unwrap();
        let now_ms = NOW_S * 1000 + n;
        if cache.decide(jws.kid(), now_ms) == Decision::Fetch {
            fetches += 1;
            cache.apply(Event::Started, now_ms);
            cache.apply(Event::Fetched(KEYS.clone()), now_ms);
        }
        assert_eq!(cache.decide(jws.kid(), now_ms), Decision::Unknown);
    }
    assert_eq!(fetches, 1);
}

#[test]
fn a_token_of_sixty_four_kilobytes_is_refused_without_parsing() {
    let mut long = claims();
    long.as_object_mut().unwrap().insert("name".to_owned(), json!("x".repeat(48 * 1024)));
    assert_eq!(judge_claims(&long), Err(StackAuthRefusal::Token(JwsError::TooLong)));
    assert_eq!(judge(&".".repeat(64 * 1024)), Err(StackAuthRefusal::Token(JwsError::TooLong)));
}

#[test]
fn a_token_of_up_to_8_kb_is_read() {
    let mut long = claims();
    long.as_object_mut().unwrap().insert("name".to_owned(), json!("x".repeat(5 * 1024)));
    assert!(judge_claims(&long).is_ok());
}

#[test]
fn duplicated_claims_are_refused() {
    let twice = claims().to_string().replacen('{', r#"{"sub":"admin","#, 1);
    assert_eq!(judge(&token(HEADER, &twice, &key(1))), Err(StackAuthRefusal::Token(JwsError::DuplicateKey)));
    let unread = claims().to_string().replacen('{', r#"{"x":1,"x":1,"#, 1);
    assert_eq!(judge(&token(HEADER, &unread, &key(1))), Err(StackAuthRefusal::Token(JwsError::DuplicateKey)));
}

#[test]
fn a_der_signature_is_refused() {
    let token = with_signature(HEADER, |signed| {
        let signature: Signature = key(1).sign(signed.as_bytes());
        signature.to_der().as_bytes().to_vec()
    });
    assert_eq!(judge(&token), Err(StackAuthRefusal::Token(JwsError::SignatureForm)));
}

#[test]
fn a_key_or_key_url_in_the_token_is_not_used() {
    let thief: SigningKey = key(9);
    for header in [
        json!({ "alg": "ES256", "kid": "k1", "jku": "https://evil.com/jwks.json" }),
        json!({ "alg": "ES256", "kid": "k1", "jwk": jwk("k1", 9) }),
        json!({ "alg": "ES256", "kid": "k1", "x5u": "https://evil.com/cert.pem", "x5c": ["MIIB"] }),
    ] {
        let forged = token(&header.to_string(), &claims().to_string(), &thief);
        assert_eq!(judge(&forged), Err(StackAuthRefusal::Token(JwsError::Signature)), "{header}");
        let real = token(&header.to_string(), &claims().to_string(), &key(1));
        assert!(judge(&real).is_ok(), "{header}");
    }
}

#[test]
fn a_valid_signature_with_other_claims_is_refused() {
    let good = token(HEADER, &claims().to_string(), &key(1));
    let mut other = claims();
    other.as_object_mut().unwrap().insert("sub".to_owned(), json!("admin"));
    let parts: Vec<&str> = good.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], encode(other.to_string()), parts[2]);
    assert_eq!(judge(&forged), Err(StackAuthRefusal::Token(JwsError::Signature)));
}
