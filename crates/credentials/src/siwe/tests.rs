//! Tests with EIP-4361's examples, signatures of real wallets, and altered texts.

use proptest::prelude::*;

use super::{
    super::{
        ethereum::{self, tests::Wallet},
        stellar,
    },
    *,
};

/// 2026-01-01T00:00:00Z.
const NOW_MS: i64 = 1_767_225_600_000;
const MINUTE_MS: i64 = 60_000;

/// EIP-4361's own example.
const EXAMPLE: &str = "example.com wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the ExampleOrg Terms of Service: https://example.com/tos

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/my-web2-claim.json";

const FULL: &str = "https://hatch.sh:8443 wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2


URI: https://hatch.sh:8443/auth?x=%20#y
Version: 1
Chain ID: 8453
Nonce: abcDEF123
Issued At: 2026-01-01T01:00:00.5+01:00
Expiration Time: 2026-01-01T00:10:00Z
Not Before: 2025-12-31T23:59:00Z
Request ID: a:b@c
Resources:
- urn:isbn:0451450523";

fn domains() -> Vec<String> {
    ["hatch.sh", "localhost:8787"].map(str::to_owned).to_vec()
}

fn challenge(wallet: &Wallet) -> Message {
    Challenge {
        domain: "hatch.sh",
        uri: "https://hatch.sh/auth/wallet",
        address: Address::Ethereum(wallet.address()),
        chain_id: Some(1),
        nonce: &nonce(&[0xAB; 16]),
        now_ms: NOW_MS,
    }
    .message()
}

/// Signs `message` and verifies it at `now_ms`.
fn judge(wallet: &Wallet, message: &Message, now_ms: i64) -> Result<Message, SiweRefusal> {
    let text = message.to_string();
    verify(&text, &wallet.sign(&text), &Expectation { domains: &domains(), chain_ids: &[1, 8453], now_ms })
}

/// The result for a challenge that was altered by `change` and then signed.
fn judge_changed(change: impl FnOnce(&mut Message)) -> Result<Message, SiweRefusal> {
    let wallet = Wallet::new(1);
    let mut message = challenge(&wallet);
    change(&mut message);
    judge(&wallet, &message, NOW_MS)
}

fn parse_error(text: &str) -> MalformedMessage {
    Message::parse(text).expect_err(text)
}

#[test]
fn the_example_of_eip_4361_is_read_and_written() {
    let message = Message::parse(EXAMPLE).unwrap();
    assert_eq!(message.domain, "example.com");
    assert_eq!(
        message.statement.as_deref(),
        Some("I accept the ExampleOrg Terms of Service: https://example.com/tos")
    );
    assert_eq!(message.issued_at_ms, 1_633_019_124_000);
    assert_eq!(message.resources.len(), 2);
    assert_eq!(message.to_string(), EXAMPLE.replace("24Z", "24.000Z"));
}

#[test]
fn every_field_is_read_from_a_text_without_a_statement() {
    let expected = Message {
        scheme: Some("https".to_owned()),
        domain: "hatch.sh:8443".to_owned(),
        address: "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2".parse().unwrap(),
        statement: None,
        uri: "https://hatch.sh:8443/auth?x=%20#y".to_owned(),
        chain_id: Some(8453),
        nonce: "abcDEF123".to_owned(),
        issued_at_ms: NOW_MS + 500,
        expires_at_ms: Some(NOW_MS + 10 * MINUTE_MS),
        not_before_ms: Some(NOW_MS - MINUTE_MS),
        request_id: Some("a:b@c".to_owned()),
        resources: vec!["urn:isbn:0451450523".to_owned()],
    };
    assert_eq!(Message::parse(FULL), Ok(expected));
}

/// From the test suite of the reference implementation, spruceid/siwe (`verification_positive.json`): signed by real
/// wallets, the second with a recovery byte of 1.
#[test]
fn texts_that_real_wallets_signed_are_verified() {
    let cases = [
        (
            "login.xyz wants you to sign in with your Ethereum account:\n0x9D85ca56217D2bb651b00f15e694EB7E713637D4\n\n\
             Sign-In With Ethereum Example Statement\n\nURI: https://login.xyz\nVersion: 1\nChain ID: 1\n\
             Nonce: bTyXgcQxn2htgkjJn\nIssued At: 2022-01-27T17:09:38.578Z\nExpiration Time: 2100-01-07T14:31:43.952Z",
            "0xdc35c7f8ba2720df052e0092556456127f00f7707eaa8e3bbff7e56774e7f2e0\
             5a093cfc9e02964c33d86e8e066e221b7d153d27e5a2e97ccd5ca7d3f2ce06cb1b",
            1_643_303_400_000,
        ),
        (
            "www.tally.xyz wants you to sign in with your Ethereum account:\n\
             0xc95EB884FE852e241D409234bfC7045CB9E31BD7\n\nSign in with Ethereum to Tally\n\nURI: https://tally.xyz\n\
             Version: 1\nChain ID: 1\nNonce: 15050747\nIssued At: 2022-06-30T14:08:51.382Z",
            "0x8c46b6eb8505939892d8e9b075f89f8277321b17b993151f37810cdda38cce6f\
             4a85909d2b53e6a14629c74c0ac38bf4becde78ee5b2529812bf6cceaf7b2a2501",
            1_656_598_200_000,
        ),
    ];
    let domains = ["login.xyz", "www.tally.xyz", "tally.xyz"].map(str::to_owned);
    for (text, signature, now_ms) in cases {
        let expected = Expectation { domains: &domains, chain_ids: &[1], now_ms };
        let message = verify(text, signature, &expected).unwrap();
        assert_eq!(message.address.checksummed(), text.lines().nth(1).unwrap());
    }
}

#[test]
fn a_signed_challenge_signs_in() {
    let wallet = Wallet::new(1);
    let message = judge(&wallet, &challenge(&wallet), NOW_MS).unwrap();
    assert_eq!(message.address, Address::Ethereum(wallet.address()));
    assert_eq!(message.nonce, nonce(&[0xAB; 16]));
}

const STELLAR: &str = "hatch.sh wants you to sign in with your Stellar account:
GBXFXNDLV4LSWA4VB7YIL5GBD7BVNR22SGBTDKMO2SBZZHDXSKZYCP7L

Sign in.

URI: https://hatch.sh
Version: 1
Chain ID: pubnet
Nonce: abcDEF123
Issued At: 2026-01-01T00:00:00.000Z";

#[test]
fn a_stellar_wallet_signs_the_same_text_with_its_chains_name() {
    assert_eq!(Message::parse(STELLAR).unwrap().to_string(), STELLAR);
    let wallet = stellar::tests::Wallet::new(1);
    let message =
        Message { address: Address::Stellar(wallet.address()), chain_id: None, ..challenge(&Wallet::new(1)) };
    let text = message.to_string();
    let expected = Expectation { domains: &domains(), chain_ids: &[1], now_ms: NOW_MS };
    assert_eq!(verify(&text, &wallet.sign(&text), &expected), Ok(message));
    let other = stellar::tests::Wallet::new(2);
    assert_eq!(verify(&text, &other.sign(&text), &expected), Err(SiweRefusal::Signer));
    assert_eq!(verify(&text, &wallet.sign(&format!("{text} ")), &expected), Err(SiweRefusal::Signer));
    let foreign = Wallet::new(1).sign(&text);
    assert_eq!(
        verify(&text, &foreign, &expected),
        Err(SiweRefusal::Signature(SignatureError::Stellar(stellar::SignatureError)))
    );
    // The same checks apply to Stellar.
    let elsewhere = text.replace("hatch.sh wants", "evil.sh wants");
    assert_eq!(verify(&elsewhere, &wallet.sign(&elsewhere), &expected), Err(SiweRefusal::Domain));
    let late = Expectation { now_ms: NOW_MS + LIFETIME_MS, ..expected };
    assert_eq!(verify(&text, &wallet.sign(&text), &late), Err(SiweRefusal::Expired));
}

#[test]
fn a_text_that_mixes_two_chains_is_refused() {
    for (from, to, expected) in [
        ("Stellar account", "Ethereum account", MalformedMessage::Address),
        ("Stellar account", "stellar account", MalformedMessage::Address),
        ("Stellar account", "account", MalformedMessage::Domain),
        ("GBXFX", "gbxfx", MalformedMessage::Address),
        ("GBXFX", "GBXFY", MalformedMessage::Address),
        ("pubnet", "1", MalformedMessage::ChainId),
        ("pubnet", "testnet", MalformedMessage::ChainId),
        ("pubnet", "Pubnet", MalformedMessage::ChainId),
    ] {
        assert_eq!(parse_error(&STELLAR.replace(from, to)), expected, "{from} -> {to}");
    }
    assert_eq!(parse_error(&FULL.replace("8453", "pubnet")), MalformedMessage::ChainId);
    assert_eq!(parse_error(&EXAMPLE.replace("Ethereum", "Stellar")), MalformedMessage::Address);
}

#[test]
fn each_malformed_line_is_reported() {
    for (from, to, expected) in [
        ("https://hatch.sh:8443 wants", "9https://hatch.sh:8443 wants", MalformedMessage::Domain),
        ("https://hatch.sh:8443 wants", " wants", MalformedMessage::Domain),
        ("https://hatch.sh:8443 wants", "hatch.sh@evil.com wants", MalformedMessage::Domain),
        ("https://hatch.sh:8443 wants", "hatch.sh/x wants", MalformedMessage::Domain),
        ("account:", "account: ", MalformedMessage::Domain),
        ("0xC02aaA39b", "0xc02aaa39b", MalformedMessage::Address),
        ("0xC02aaA39b", "C02aaA39b", MalformedMessage::Address),
        (
            "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
            "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
            MalformedMessage::Address,
        ),
        ("\n\n\nURI", "\n\nURI", MalformedMessage::EmptyLine),
        ("\n\n\nURI", "\n \n\nURI", MalformedMessage::EmptyLine),
        ("\n\n\nURI", "\n\na\nb\n\nURI", MalformedMessage::EmptyLine),
        ("\n\n\nURI", "\n\ngr\u{fc}\u{df}e\n\nURI", MalformedMessage::Statement),
        ("\n\n\nURI", "\n\n\n\nURI", MalformedMessage::Uri),
        ("\n\n\nURI", "\n\n\nuri", MalformedMessage::Uri),
        ("URI: https://hatch.sh:8443/auth?x=%20#y", "URI: _not_a_uri_", MalformedMessage::Uri),
        ("x=%20", "x=%2", MalformedMessage::Uri),
        ("x=%20", "x=\u{e4}", MalformedMessage::Uri),
        ("Version: 1", "Version: 2", MalformedMessage::Version),
        ("Version: 1", "Version: 1 ", MalformedMessage::Version),
        ("Version: 1\nChain ID: 8453", "Chain ID: 8453\nVersion: 1", MalformedMessage::Version),
        ("8453", "08453", MalformedMessage::ChainId),
        ("8453", "+8453", MalformedMessage::ChainId),
        ("8453", "0", MalformedMessage::ChainId),
        ("8453", "18446744073709551616", MalformedMessage::ChainId),
        ("abcDEF123", "abcDEF1", MalformedMessage::Nonce),
        ("abcDEF123", "abcDEF-123", MalformedMessage::Nonce),
        (
            "2026-01-01T01:00:00.5+01:00",
            "Wed Oct 05 2011 16:48:00 GMT+0200 (CEST)",
            MalformedMessage::IssuedAt,
        ),
        ("2026-01-01T01:00:00.5+01:00", "2026-01-01 01:00:00.5+01:00", MalformedMessage::IssuedAt),
        ("2026-01-01T01:00:00.5+01:00", "2026-01-01T01:00:00.5", MalformedMessage::IssuedAt),
        ("2026-01-01T00:10:00Z", "2026-02-30T00:10:00Z", MalformedMessage::ExpirationTime),
        ("2025-12-31T23:59:00Z", "1767225540", MalformedMessage::NotBefore),
        ("a:b@c", "a b", MalformedMessage::RequestId),
        ("- urn", "-urn", MalformedMessage::Resources),
        ("- urn", "- https://a - urn", MalformedMessage::Resources),
        ("0451450523", "0451450523\n", MalformedMessage::Resources),
        ("Resources:\n- urn:isbn:0451450523", "Resource:", MalformedMessage::Rest),
        (
            "Not Before: 2025-12-31T23:59:00Z\nRequest ID: a:b@c",
            "Request ID: a\nNot Before: x",
            MalformedMessage::Rest,
        ),
        ("Request ID: a:b@c", "Request ID: a\nRequest ID: b", MalformedMessage::Rest),
    ] {
        let bent = FULL.replace(from, to);
        assert_ne!(bent, FULL, "{from}");
        assert_eq!(parse_error(&bent), expected, "{from} -> {to}");
    }
}

#[test]
fn carriage_returns_and_a_last_line_feed_are_refused() {
    assert_eq!(parse_error(&EXAMPLE.replace('\n', "\r\n")), MalformedMessage::Domain);
    let short = EXAMPLE.split_once("\nResources").unwrap().0;
    assert!(Message::parse(short).is_ok());
    assert_eq!(parse_error(&format!("{short}\n")), MalformedMessage::Rest);
}

#[test]
fn a_text_of_more_than_4_kb_is_refused() {
    let long = format!("{EXAMPLE}\n- https://example.com/{}", "a".repeat(4096 - EXAMPLE.len() - 22));
    assert_eq!(parse_error(&format!("{long}a")), MalformedMessage::TooLong);
    assert!(Message::parse(long.get(..4096).unwrap()).is_ok());
}

#[test]
fn a_text_for_another_site_is_refused() {
    for domain in ["evil-hatch.sh", "hatch.sh.evil.com", "hatch.sh:443", "HATCH.sh", "localhost"] {
        assert_eq!(judge_changed(|m| m.domain = domain.to_owned()), Err(SiweRefusal::Domain), "{domain}");
    }
    assert_eq!(judge_changed(|m| m.scheme = Some("http".to_owned())), Err(SiweRefusal::Domain));
    assert!(judge_changed(|m| m.scheme = Some("https".to_owned())).is_ok());
}

#[test]
fn a_uri_of_another_site_is_refused() {
    for uri in [
        "https://evil.com/hatch.sh",
        "https://hatch.sh@evil.com/",
        "https://hatch.sh.evil.com",
        "https://hatch.sh:444/",
        "http://hatch.sh/",
        "ftp://hatch.sh/",
        "urn:hatch.sh",
        "https:hatch.sh",
    ] {
        assert_eq!(judge_changed(|m| m.uri = uri.to_owned()), Err(SiweRefusal::Uri), "{uri}");
    }
    for uri in ["https://hatch.sh", "https://hatch.sh?x", "https://hatch.sh#x", "http://localhost:8787/x"] {
        assert!(judge_changed(|m| m.uri = uri.to_owned()).is_ok(), "{uri}");
    }
}

#[test]
fn another_chain_is_refused() {
    assert!(judge_changed(|m| m.chain_id = Some(8453)).is_ok());
    assert_eq!(judge_changed(|m| m.chain_id = Some(2)), Err(SiweRefusal::ChainId));
}

#[test]
fn a_text_from_the_future_is_refused_beyond_a_clocks_error() {
    assert!(judge_changed(|m| m.issued_at_ms = NOW_MS + MINUTE_MS).is_ok());
    assert_eq!(judge_changed(|m| m.issued_at_ms = NOW_MS + MINUTE_MS + 1), Err(SiweRefusal::IssuedAhead));
    assert!(judge_changed(|m| m.not_before_ms = Some(NOW_MS + MINUTE_MS)).is_ok());
    assert_eq!(
        judge_changed(|m| m.not_before_ms = Some(NOW_MS + MINUTE_MS + 1)),
        Err(SiweRefusal::NotYetValid)
    );
}

#[test]
fn a_text_is_valid_for_ten_minutes_at_most_even_if_it_says_more() {
    let old = |age| judge_changed(|m| (m.issued_at_ms, m.expires_at_ms) = (NOW_MS - age, None));
    assert!(old(10 * MINUTE_MS).is_ok());
    assert_eq!(old(10 * MINUTE_MS + 1), Err(SiweRefusal::TooOld));
    assert_eq!(judge_changed(|m| m.issued_at_ms = -62_135_596_800_000), Err(SiweRefusal::TooOld));
}

#[test]
fn a_text_is_refused_from_the_moment_it_expires() {
    let wallet = Wallet::new(1);
    assert!(judge(&wallet, &challenge(&wallet), NOW_MS + LIFETIME_MS - 1).is_ok());
    assert_eq!(judge(&wallet, &challenge(&wallet), NOW_MS + LIFETIME_MS), Err(SiweRefusal::Expired));
}

#[test]
fn the_signature_of_another_account_is_refused() {
    assert_eq!(judge(&Wallet::new(2), &challenge(&Wallet::new(1)), NOW_MS), Err(SiweRefusal::Signer));
}

#[test]
fn the_signature_is_verified_over_the_received_bytes_and_not_over_a_rewritten_text() {
    let wallet = Wallet::new(1);
    let ours = challenge(&wallet).to_string();
    let theirs = ours.replace("2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00+01:00");
    assert_eq!(Message::parse(&theirs), Message::parse(&ours));
    let expected = Expectation { domains: &domains(), chain_ids: &[1], now_ms: NOW_MS };
    assert!(verify(&theirs, &wallet.sign(&theirs), &expected).is_ok());
    assert_eq!(verify(&theirs, &wallet.sign(&ours), &expected), Err(SiweRefusal::Signer));
}

#[test]
fn a_malformed_signature_is_reported_as_such() {
    let wallet = Wallet::new(1);
    let text = challenge(&wallet).to_string();
    let expected = Expectation { domains: &domains(), chain_ids: &[1], now_ms: NOW_MS };
    assert_eq!(
        verify(&text, "0x", &expected),
        Err(SiweRefusal::Signature(SignatureError::Ethereum(ethereum::SignatureError::Form)))
    );
}

/// Times that RFC 3339 can write: the years 0 to 9999.
fn times() -> impl Strategy<Value = i64> {
    -62_167_219_200_000_i64..253_402_300_800_000
}

prop_compose! {
    fn messages()(
        scheme in proptest::option::of("[a-z][a-z0-9+.-]{0,6}"),
        domain in "[a-z0-9.-]{1,20}(:[0-9]{1,5})?",
        seed: u8,
        statement in proptest::option::of("[ -!#-$&-;=?-Z\\[\\]_a-z~]{1,40}"),
        uri in "[a-z]{1,5}:[a-zA-Z0-9/?#.=&-]{0,20}(%[0-9A-F]{2})?",
        is_stellar: bool,
        chain_id in 1_u64..,
        nonce in "[a-zA-Z0-9]{8,40}",
        issued_at_ms in times(),
        expires_at_ms in proptest::option::of(times()),
        not_before_ms in proptest::option::of(times()),
        request_id in proptest::option::of("[a-zA-Z0-9:@._~-]{0,20}"),
        resources in proptest::collection::vec("[a-z]{1,5}:[a-z/]{0,20}", 0..4),
    ) -> Message {
        let (address, chain_id) = match is_stellar {
            true => (Address::Stellar(stellar::tests::Wallet::new(seed).address()), None),
            false => (Address::Ethereum(Wallet::new(seed).address()), Some(chain_id)),
        };
        Message {
            scheme, domain, address, statement, uri, chain_id, nonce,
            issued_at_ms, expires_at_ms, not_before_ms, request_id, resources,
        }
    }
}

proptest! {
    #[test]
    fn a_written_message_is_parsed_back(message in messages()) {
        let text = message.to_string();
        prop_assert_eq!(Message::parse(&text), Ok(message), "{}", text);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,200}") {
        let _ = Message::parse(&text);
    }

    #[test]
    fn any_altered_text_is_parsed_or_refused(at: prop::sample::Index, cut in 0_usize..30, put in "[\\n\\PC]{0,10}") {
        let mut text = FULL.to_owned();
        let at = at.index(text.len());
        text.replace_range(at..text.len().min(at + cut), &put);
        let _ = Message::parse(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_of_a_signed_text_never_signs_in(bit: prop::sample::Index) {
        let wallet = Wallet::new(1);
        let text = challenge(&wallet).to_string();
        let signature = wallet.sign(&text);
        let mut bytes = text.into_bytes();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        // A text that is no longer UTF-8 does not reach the parser.
        if let Ok(changed) = String::from_utf8(bytes) {
            let expected = Expectation { domains: &domains(), chain_ids: &[1], now_ms: NOW_MS };
            prop_assert!(verify(&changed, &signature, &expected).is_err());
        }
    }

    #[test]
    fn any_texts_are_verified_or_refused(text in "\\PC{0,60}", signature in "\\PC{0,140}") {
        let expected = Expectation { domains: &domains(), chain_ids: &[1], now_ms: NOW_MS };
        prop_assert!(verify(&text, &signature, &expected).is_err());
    }
}
