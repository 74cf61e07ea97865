//! Masks secrets in text that is logged or stored.

/// The prefix of each kind of secret, and how many characters must follow it
/// at least.
const PREFIXES: &[(&str, usize)] = &[
    ("sk-ant-", 20),
    ("sk_live_", 16),
    ("sk-", 20),
    ("ghp_", 36),
    ("gho_", 36),
    ("ghu_", 36),
    ("ghs_", 36),
    ("ghr_", 36),
    ("github_pat_", 50),
    ("AKIA", 16),
    ("hk_live_", 10),
    ("hk_test_", 10),
    ("hs_", 16),
    ("wk_", 16),
    ("eyJ", 30),
    ("X-Amz-Signature=", 8),
    ("X-Amz-Credential=", 8),
    ("X-Amz-Security-Token=", 8),
    ("Bearer ", 8),
    ("?key=", 1),
    ("&key=", 1),
];

pub(crate) const MASK: &str = "[redacted]";

/// Masks every secret in `text`; the prefix, which names its kind, stays.
/// Redacting twice changes nothing more.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let Some((prefix, secret)) = secret_at(rest) else {
            let mut chars = rest.chars();
            out.extend(chars.next());
            rest = chars.as_str();
            continue;
        };
        out.push_str(prefix);
        out.push_str(MASK);
        rest = rest.get(prefix.len() + secret..).unwrap_or_default();
    }
    out
}

/// The secret at the beginning of `rest`: its prefix and the length after it.
fn secret_at(rest: &str) -> Option<(&'static str, usize)> {
    PREFIXES.iter().find_map(|(prefix, least)| {
        let secret = rest.strip_prefix(prefix)?;
        let length = secret.bytes().take_while(|b| is_secret_byte(*b)).count();
        (length >= *least).then_some((*prefix, length))
    })
}

fn is_secret_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'+' | b'=' | b'%')
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn secrets_are_masked_and_the_rest_stays() {
        let key = format!("sk-ant-{}", "a1B2".repeat(6));
        assert_eq!(text(&format!("key {key} failed")), "key sk-ant-[redacted] failed");
        assert_eq!(text("/x?key=abc&q=1"), "/x?key=[redacted]&q=1");
        assert_eq!(text("nothing here: sky-blue"), "nothing here: sky-blue");
        assert_eq!(text("grüße 🐣 eyes"), "grüße 🐣 eyes");
    }

    proptest::proptest! {
        #[test]
        fn redacting_twice_changes_nothing_more(
            s in ".*(sk-ant-|ghp_|hk_live_|Bearer |[?]key=)[A-Za-z0-9]{0,60}.*"
        ) {
            let once = text(&s);
            proptest::prop_assert_eq!(text(&once), once);
        }
    }
}
