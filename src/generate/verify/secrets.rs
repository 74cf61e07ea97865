//! Finds secrets in generated files: models repeat keys that they have seen, and the package is public.

use std::collections::BTreeSet;

/// Each kind of key: its prefix, how many characters must follow, and its name.
const KEYS: &[(&str, usize, &str)] = &[
    ("sk-ant-", 20, "an Anthropic key"),
    ("sk-proj-", 20, "an OpenAI key"),
    ("sk-", 40, "an API key"),
    ("sk_live_", 16, "a Stripe key"),
    ("sk_test_", 16, "a Stripe key"),
    ("rk_live_", 16, "a Stripe key"),
    ("whsec_", 24, "a webhook's secret"),
    ("ghp_", 36, "a GitHub token"),
    ("gho_", 36, "a GitHub token"),
    ("ghu_", 36, "a GitHub token"),
    ("ghs_", 36, "a GitHub token"),
    ("ghr_", 36, "a GitHub token"),
    ("github_pat_", 50, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("AKIA", 16, "an AWS key"),
    ("ASIA", 16, "an AWS key"),
    ("AIza", 35, "a Google key"),
    ("xoxb-", 20, "a Slack token"),
    ("xoxp-", 20, "a Slack token"),
    ("SG.", 40, "a SendGrid key"),
    ("npm_", 36, "an npm token"),
    ("hf_", 30, "a Hugging Face token"),
    ("sbp_", 36, "a Supabase token"),
    ("sb_secret_", 20, "a Supabase key"),
    ("re_", 30, "a Resend key"),
    ("hk_live_", 10, "a Hatch key"),
];
/// Words that mark a key or a password as an example.
const EXAMPLES: [&str; 9] =
    ["your", "example", "xxx", "placeholder", "change", "replace", "password", "secret", "here"];
/// The shortest parts of a signed JSON Web Token.
const JWT_PARTS: [usize; 3] = [16, 10, 20];
/// The digits of an Ethereum private key, after its `0x`.
const PRIVATE_HEX: usize = 64;
const LEAST_PASSWORD: usize = 8;

/// The lines that hold a secret, counted from 1, with the kind of secret; never the secret itself.
pub(super) fn secrets(path: &str, content: &str) -> Vec<(u32, &'static str)> {
    let next = content.lines().skip(1).chain([""]);
    let lines = content.lines().zip(next).enumerate();
    let found = lines.filter_map(|(at, (line, next))| {
        let kind = key(line)
            .or_else(|| token(line).then_some("a JSON Web Token"))
            .or_else(|| password(line).then_some("a password in an address"))
            .or_else(|| private_hex(line).then_some("a private key"))
            .or_else(|| private_key(line, next).then_some("a private key"))
            .or_else(|| (is_env(path) && is_value(line)).then_some("a value of a setting"))?;
        Some((u32::try_from(at + 1).unwrap_or(u32::MAX), kind))
    });
    found.collect()
}

fn key(line: &str) -> Option<&'static str> {
    KEYS.iter().find_map(|(prefix, least, kind)| {
        let found = after_each(line, prefix).any(|rest| {
            let secret = run(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            secret.len() >= *least && is_random(secret)
        });
        found.then_some(*kind)
    })
}

/// The text after each `prefix` that begins a word: `task-…` has no `sk-…`.
fn after_each<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(prefix).filter_map(move |(at, _)| {
        let before = line.get(..at)?.chars().next_back();
        let is_begin = !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
        is_begin.then(|| line.get(at + prefix.len()..)).flatten()
    })
}

fn run(text: &str, of: impl Fn(char) -> bool) -> &str {
    text.get(..text.find(|c| !of(c)).unwrap_or(text.len())).unwrap_or_default()
}

/// Whether the text looks random: many different letters and digits, in both cases or with several digits, and no word of
/// an example. `sk-loading-indicator-2` is the name of a style.
fn is_random(secret: &str) -> bool {
    let lower = secret.to_lowercase();
    let different: BTreeSet<char> = lower.chars().collect();
    let digits = secret.bytes().filter(u8::is_ascii_digit).count();
    let has_capitals = secret.contains(|c: char| c.is_ascii_uppercase());
    let is_mixed = digits >= 4 || (digits >= 1 && has_capitals);
    is_mixed && different.len() >= 6 && !EXAMPLES.iter().any(|word| lower.contains(word))
}

/// `eyJ….eyJ….…`: a header, a payload and a signature.
fn token(line: &str) -> bool {
    after_each(line, "eyJ").any(|rest| {
        let token = run(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let parts: Vec<&str> = token.split('.').collect();
        let long = parts.iter().zip(JWT_PARTS).filter(|(part, least)| part.len() >= *least).count();
        parts.len() == JWT_PARTS.len()
            && long == JWT_PARTS.len()
            && parts.get(1).is_some_and(|part| part.starts_with("eyJ"))
    })
}

/// `scheme://user:password@host`, unless the host is this machine or the password is an example.
fn password(line: &str) -> bool {
    line.match_indices("://").any(|(at, _)| {
        let rest = line.get(at + 3..).unwrap_or_default();
        let authority = run(rest, |c| !c.is_whitespace() && !"/'\"`<>{}$\\".contains(c));
        let Some((credentials, host)) = authority.rsplit_once('@') else { return false };
        let Some((_, password)) = credentials.split_once(':') else { return false };
        let host = host.split(':').next().unwrap_or_default();
        let is_here = ["localhost", "127.0.0.1", "db", "postgres", "redis"].contains(&host);
        !is_here && password.len() >= LEAST_PASSWORD && is_random(password)
    })
}

/// `PRIVATE_KEY = "0x…"`.
fn private_hex(line: &str) -> bool {
    let named = line.to_lowercase().replace(['_', '-'], "").contains("privatekey");
    named
        && after_each(line, "0x").any(|rest| {
            let digits = run(rest, |c| c.is_ascii_hexdigit());
            digits.len() == PRIVATE_HEX && is_random(digits)
        })
}

/// Whether a line begins a PEM private key with content, on this line or the next.
fn private_key(line: &str, next: &str) -> bool {
    let Some((_, after)) = line.split_once("PRIVATE KEY-----") else { return false };
    [after.replace("\\n", "").as_str(), next].iter().any(|text| {
        let text = text.trim_start_matches(|c: char| c.is_whitespace() || "'\"`+".contains(c));
        run(text, |c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')).len() >= 40
    })
}

/// `.env`, `.env.local`, `apps/web/.env.production`. Example files may be published.
fn is_env(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_example = ["example", "sample", "template", "dist"].iter().any(|ending| name.ends_with(ending));
    (name == ".env" || name.starts_with(".env.")) && !is_example
}

/// `NAME=value`, unless the bundler shows the variable to browsers anyway.
fn is_value(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let Some((name, value)) = line.split_once('=') else { return false };
    let is_public = ["NEXT_PUBLIC_", "VITE_", "PUBLIC_"].iter().any(|prefix| name.starts_with(prefix));
    let is_harmless = matches!(name.trim(), "NODE_ENV" | "PORT" | "HOSTNAME" | "NEXT_TELEMETRY_DISABLED");
    !line.starts_with('#') && !is_public && !is_harmless && !value.trim().trim_matches(['"', '\'']).is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(path: &str, content: &str) -> Vec<u32> {
        secrets(path, content).into_iter().map(|(line, _)| line).collect()
    }

    /// A random string that no secret scanner of this repository takes for a real secret.
    fn random(length: usize) -> String {
        "a1B2c3D4e5F6g7H8".chars().cycle().take(length).collect()
    }

    #[test]
    fn keys_of_every_known_form_are_found_on_their_lines() {
        for (prefix, least, kind) in KEYS {
            let content = format!("const a = 1;\n\nconst key = '{prefix}{}';\n", random(*least));
            let found = secrets("lib/key.ts", &content);
            assert_eq!(found.first().map(|(line, _)| *line), Some(3), "{prefix}");
            assert!(!kind.contains(prefix));
        }
        let jwt = format!("eyJ{}.eyJ{}.{}", random(20), random(20), random(43));
        assert_eq!(lines("a.ts", &jwt), [1]);
        let pem = format!("-----BEGIN {} KEY-----\n{}\n", "PRIVATE", random(64));
        assert_eq!(lines("a.pem", &pem), [1]);
        assert_eq!(lines("a.ts", &pem.replace('\n', "\\n")), [1]);
        let hex: String = "0123456789abcdef".repeat(4);
        assert_eq!(lines("a.ts", &format!("const PRIVATE_KEY = \"0x{hex}\"")), [1]);
        assert_eq!(lines("a.ts", &format!("postgresql://app:{}@db7.example.com/x", random(12))), [1]);
    }

    #[test]
    fn examples_and_words_are_no_secrets() {
        for line in [
            "ANTHROPIC_API_KEY=sk-ant-api03-your-key-goes-here-please",
            "const cls = 'sk-loading-indicator-container-with-a-very-long-name-1'",
            "className=\"task-management-dashboard-component-variant-number-12345678\"",
            "STRIPE_SECRET_KEY=sk_live_xxxxxxxxxxxxxxxxxxxxxxxx",
            "postgres://postgres:postgres@localhost:5432/app",
            "postgres://user:password@host:5432/app",
            "`postgres://${user}:${password1}@${host}/x`",
            "https://example.com/a:b1c2d3e4f5@x",
            "const hash = '0x0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'",
            "-----BEGIN PRIVATE KEY-----...-----END PRIVATE KEY-----",
            "eyJhbGciOi...",
            "Authorization: `Bearer ${token}`",
            "re_exports_are_fine_in_this_module_and_so_on",
        ] {
            assert_eq!(lines("lib/a.ts", line), Vec::<u32>::new(), "{line}");
        }
    }

    #[test]
    fn a_file_of_settings_has_names_only() {
        let content = "# values\nNODE_ENV=production\nA=\nB=1\nexport C='x'\nNEXT_PUBLIC_D=1\nE=\"\"\n";
        assert_eq!(lines(".env", content), [4, 5]);
        assert_eq!(lines("apps/web/.env.local", content), [4, 5]);
        assert_eq!(lines(".env.example", content), Vec::<u32>::new());
        assert_eq!(lines("lib/env.ts", content), Vec::<u32>::new());
    }

    proptest! {
        #[test]
        fn any_text_can_be_searched(path in "[a-z./]{0,9}", content in "(\\PC|[\n='\":@/.]|sk-|eyJ|0x|://|PRIVATE KEY-----){0,90}") {
            let count = content.lines().count();
            prop_assert!(secrets(&path, &content).iter().all(|(line, _)| (1..=count).contains(&(*line as usize))));
        }
    }
}
