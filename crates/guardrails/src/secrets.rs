//! Detects keys, tokens and passwords.
//!
//! Most rules have a prefix with which a vendor marks its secrets, followed by a run of characters. The minimum length
//! of the run decides, so that no more text is held back; the rest of the run is redacted too. The run must look
//! random: `sk-ant-xxxxxxxxxxxxxxxxxxxxx` in a manual is not a secret.

use std::sync::LazyLock;

use crate::cursor::Cursor;
use crate::trie::{Trie, folded};

/// A secret at a position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Secret {
    pub(crate) rule: &'static str,
    pub(crate) bytes: usize,
    pub(crate) swallow: Option<Swallow>,
}

/// The rest of a secret after the part that identified it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Swallow {
    /// All characters of a set.
    Run(Set),
    /// All up to the end mark of a private key.
    Key,
}

/// The characters that a secret consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    Hex,
    Upper,
    Alphanumeric,
    /// Letters, digits and `_`.
    Word,
    /// `Word` and `-`, as in URL-safe base64.
    Url,
    /// `Url`, `.` and `=`.
    Dotted,
    /// `Dotted`, `+` and `/`.
    Base64,
}

impl Set {
    pub(crate) fn has(self, c: char) -> bool {
        match self {
            Self::Hex => c.is_ascii_hexdigit(),
            Self::Upper => c.is_ascii_uppercase() || c.is_ascii_digit(),
            Self::Alphanumeric => c.is_ascii_alphanumeric(),
            Self::Word => c.is_ascii_alphanumeric() || c == '_',
            Self::Url => c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
            Self::Dotted => c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '='),
            Self::Base64 => c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '=' | '+' | '/'),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Body {
    /// At least this many characters.
    AtLeast(Set, usize),
    /// The same, for a prefix that also occurs in words: no alphanumeric character may precede it.
    WordAtLeast(Set, usize),
    /// Exactly this many characters, with no alphanumeric character before the prefix.
    Exactly(Set, usize),
    /// The rest of a base64 header, and the beginning of the payload.
    Jwt,
    /// The rest of the first line of a private key.
    PrivateKey,
    /// A user and a password in a URL.
    Password,
}

use Body::{AtLeast, Exactly, WordAtLeast};
use Set::{Alphanumeric, Base64, Dotted, Hex, Upper, Url, Word};

/// Rule, prefix, and the text after the prefix.
const RULES: &[(&str, &str, Body)] = &[
    ("anthropic-key", "sk-ant-", AtLeast(Url, 20)),
    ("openai-key", "sk-proj-", AtLeast(Url, 20)),
    ("openai-key", "sk-svcacct-", AtLeast(Url, 20)),
    ("openai-key", "sk-admin-", AtLeast(Url, 20)),
    ("openrouter-key", "sk-or-v1-", AtLeast(Hex, 32)),
    ("langfuse-key", "sk-lf-", AtLeast(Url, 20)),
    ("api-key", "sk-", WordAtLeast(Alphanumeric, 32)),
    ("groq-key", "gsk_", AtLeast(Alphanumeric, 32)),
    ("xai-key", "xai-", WordAtLeast(Alphanumeric, 40)),
    ("perplexity-key", "pplx-", AtLeast(Alphanumeric, 32)),
    ("replicate-key", "r8_", WordAtLeast(Alphanumeric, 32)),
    ("huggingface-token", "hf_", WordAtLeast(Alphanumeric, 30)),
    ("huggingface-token", "api_org_", AtLeast(Alphanumeric, 30)),
    ("nvidia-key", "nvapi-", AtLeast(Url, 40)),
    ("langsmith-key", "lsv2_pt_", AtLeast(Word, 30)),
    ("langsmith-key", "lsv2_sk_", AtLeast(Word, 30)),
    ("tavily-key", "tvly-", AtLeast(Url, 20)),
    ("cerebras-key", "csk-", WordAtLeast(Alphanumeric, 32)),
    ("github-token", "ghp_", AtLeast(Alphanumeric, 36)),
    ("github-token", "gho_", AtLeast(Alphanumeric, 36)),
    ("github-token", "ghu_", AtLeast(Alphanumeric, 36)),
    ("github-token", "ghs_", AtLeast(Alphanumeric, 36)),
    ("github-token", "ghr_", AtLeast(Alphanumeric, 36)),
    ("github-token", "github_pat_", AtLeast(Word, 50)),
    ("gitlab-token", "glpat-", AtLeast(Url, 20)),
    ("gitlab-token", "gldt-", AtLeast(Url, 20)),
    ("gitlab-token", "glrt-", AtLeast(Url, 20)),
    ("gitlab-token", "glptt-", AtLeast(Hex, 40)),
    ("gitlab-token", "glcbt-", AtLeast(Url, 20)),
    ("gitlab-token", "glft-", AtLeast(Url, 20)),
    ("gitlab-token", "glimt-", AtLeast(Url, 20)),
    ("gitlab-token", "glagent-", AtLeast(Url, 40)),
    ("gitlab-token", "gloas-", AtLeast(Url, 40)),
    ("gitlab-token", "glsoat-", AtLeast(Url, 20)),
    ("gitlab-token", "GR1348941", AtLeast(Url, 20)),
    ("atlassian-token", "ATATT3", AtLeast(Dotted, 60)),
    ("bitbucket-token", "ATBB", WordAtLeast(Alphanumeric, 28)),
    ("slack-token", "xoxb-", AtLeast(Url, 20)),
    ("slack-token", "xoxp-", AtLeast(Url, 20)),
    ("slack-token", "xoxa-", AtLeast(Url, 20)),
    ("slack-token", "xoxr-", AtLeast(Url, 20)),
    ("slack-token", "xoxs-", AtLeast(Url, 20)),
    ("slack-token", "xoxe-", AtLeast(Url, 20)),
    ("slack-token", "xoxe.xoxb-", AtLeast(Url, 20)),
    ("slack-token", "xoxe.xoxp-", AtLeast(Url, 20)),
    ("slack-token", "xapp-", AtLeast(Url, 20)),
    ("slack-webhook", "hooks.slack.com/services/", AtLeast(Base64, 30)),
    ("stripe-key", "sk_live_", AtLeast(Alphanumeric, 16)),
    ("stripe-key", "sk_test_", AtLeast(Alphanumeric, 16)),
    ("stripe-key", "sk_prod_", AtLeast(Alphanumeric, 16)),
    ("stripe-key", "rk_live_", AtLeast(Alphanumeric, 16)),
    ("stripe-key", "rk_test_", AtLeast(Alphanumeric, 16)),
    ("stripe-webhook-secret", "whsec_", AtLeast(Base64, 24)),
    ("aws-access-key", "AKIA", Exactly(Upper, 16)),
    ("aws-access-key", "ASIA", Exactly(Upper, 16)),
    ("aws-access-key", "ABIA", Exactly(Upper, 16)),
    ("aws-access-key", "ACCA", Exactly(Upper, 16)),
    ("aws-bedrock-key", "ABSK", WordAtLeast(Base64, 100)),
    ("google-api-key", "AIza", WordAtLeast(Url, 35)),
    ("google-oauth-secret", "GOCSPX-", AtLeast(Url, 24)),
    ("google-oauth-token", "ya29.", WordAtLeast(Url, 30)),
    ("azure-storage-key", "AccountKey=", AtLeast(Base64, 60)),
    ("alibaba-access-key", "LTAI", Exactly(Alphanumeric, 20)),
    ("cloudflare-origin-key", "v1.0-", WordAtLeast(Url, 60)),
    ("digitalocean-token", "dop_v1_", AtLeast(Hex, 40)),
    ("digitalocean-token", "doo_v1_", AtLeast(Hex, 40)),
    ("digitalocean-token", "dor_v1_", AtLeast(Hex, 40)),
    ("fly-token", "fm2_", WordAtLeast(Base64, 60)),
    ("fly-token", "fo1_", WordAtLeast(Url, 40)),
    ("heroku-token", "HRKU-", AtLeast(Url, 30)),
    ("netlify-token", "nfp_", WordAtLeast(Alphanumeric, 36)),
    ("vercel-token", "vcp_", WordAtLeast(Alphanumeric, 24)),
    ("railway-token", "rw_", WordAtLeast(Alphanumeric, 40)),
    ("supabase-token", "sbp_", AtLeast(Hex, 36)),
    ("supabase-key", "sb_secret_", AtLeast(Url, 20)),
    ("neon-key", "napi_", AtLeast(Alphanumeric, 40)),
    ("planetscale-token", "pscale_tkn_", AtLeast(Dotted, 30)),
    ("planetscale-password", "pscale_pw_", AtLeast(Dotted, 30)),
    ("planetscale-token", "pscale_oauth_", AtLeast(Dotted, 30)),
    ("databricks-token", "dapi", WordAtLeast(Hex, 32)),
    ("vault-token", "hvs.", WordAtLeast(Url, 60)),
    ("vault-token", "hvb.", WordAtLeast(Url, 60)),
    ("doppler-token", "dp.pt.", AtLeast(Alphanumeric, 40)),
    ("doppler-token", "dp.st.", AtLeast(Dotted, 40)),
    ("pulumi-token", "pul-", WordAtLeast(Hex, 40)),
    ("1password-token", "ops_eyJ", AtLeast(Url, 100)),
    ("npm-token", "npm_", WordAtLeast(Alphanumeric, 36)),
    ("pypi-token", "pypi-AgEIcHlwaS5vcmc", AtLeast(Url, 40)),
    ("rubygems-key", "rubygems_", AtLeast(Hex, 48)),
    ("sendgrid-key", "SG.", WordAtLeast(Dotted, 60)),
    ("mailgun-key", "key-", WordAtLeast(Hex, 32)),
    ("brevo-key", "xkeysib-", AtLeast(Url, 60)),
    ("resend-key", "re_", WordAtLeast(Word, 30)),
    ("twilio-key", "SK", Exactly(Hex, 32)),
    ("shopify-token", "shpat_", AtLeast(Hex, 32)),
    ("shopify-token", "shpca_", AtLeast(Hex, 32)),
    ("shopify-token", "shppa_", AtLeast(Hex, 32)),
    ("shopify-secret", "shpss_", AtLeast(Hex, 32)),
    ("square-token", "sq0atp-", AtLeast(Url, 22)),
    ("square-secret", "sq0csp-", AtLeast(Url, 40)),
    ("easypost-key", "EZAK", WordAtLeast(Alphanumeric, 54)),
    ("easypost-key", "EZTK", WordAtLeast(Alphanumeric, 54)),
    ("grafana-token", "glc_", AtLeast(Base64, 32)),
    ("grafana-token", "glsa_", AtLeast(Word, 32)),
    ("sentry-token", "sntrys_", AtLeast(Base64, 60)),
    ("sentry-token", "sntryu_", AtLeast(Hex, 60)),
    ("newrelic-key", "NRAK-", AtLeast(Upper, 27)),
    ("dynatrace-token", "dt0c01.", AtLeast(Dotted, 60)),
    ("linear-key", "lin_api_", AtLeast(Alphanumeric, 40)),
    ("notion-token", "ntn_", WordAtLeast(Alphanumeric, 40)),
    ("airtable-token", "patA", WordAtLeast(Dotted, 60)),
    ("postman-key", "PMAK-", AtLeast(Url, 50)),
    ("typeform-token", "tfp_", WordAtLeast(Dotted, 40)),
    ("sourcegraph-token", "sgp_", AtLeast(Word, 40)),
    ("age-key", "AGE-SECRET-KEY-1", AtLeast(Upper, 58)),
    ("jwt", "eyJ", Body::Jwt),
    ("private-key", "-----BEGIN ", Body::PrivateKey),
    ("password-in-url", "postgres://", Body::Password),
    ("password-in-url", "postgresql://", Body::Password),
    ("password-in-url", "mysql://", Body::Password),
    ("password-in-url", "mariadb://", Body::Password),
    ("password-in-url", "mongodb://", Body::Password),
    ("password-in-url", "mongodb+srv://", Body::Password),
    ("password-in-url", "redis://", Body::Password),
    ("password-in-url", "rediss://", Body::Password),
    ("password-in-url", "amqp://", Body::Password),
    ("password-in-url", "amqps://", Body::Password),
    ("password-in-url", "ftp://", Body::Password),
    ("password-in-url", "http://", Body::Password),
    ("password-in-url", "https://", Body::Password),
];

/// The longest header of a JSON Web Token.
const MAX_JWT_HEADER: usize = 512;

static PREFIXES: LazyLock<Trie<usize>> = LazyLock::new(|| {
    let mut prefixes = Trie::default();
    for (index, (_, prefix, _)) in RULES.iter().enumerate() {
        prefixes.insert(prefix.chars(), index);
    }
    prefixes
});

/// Whether a secret may begin with this character.
pub(crate) fn may_begin(c: char) -> bool {
    PREFIXES.begins_with(c)
}

/// Reports the secrets at the cursor.
pub(crate) fn detect(cursor: &mut Cursor<'_>, found: &mut impl FnMut(Secret)) {
    let mut ahead = cursor.clone();
    let mut is_starved = false;
    PREFIXES.walk(&mut ahead, |index, behind| {
        let Some((rule, _, body)) = RULES.get(index) else { return };
        let mut body_cursor = behind.clone();
        if let Some(swallow) = verify(*body, &mut body_cursor) {
            found(Secret { rule, bytes: body_cursor.read(), swallow });
        }
        is_starved |= body_cursor.is_starved();
    });
    cursor.starve_if(is_starved || ahead.is_starved());
}

/// Checks the text after a prefix. Returns how the secret continues, or `None` if it does not match.
fn verify(body: Body, cursor: &mut Cursor<'_>) -> Option<Option<Swallow>> {
    let is_word = || !cursor.before().is_some_and(|c| c.is_ascii_alphanumeric());
    match body {
        AtLeast(set, least) => mixed_run(cursor, set, least).then_some(Some(Swallow::Run(set))),
        WordAtLeast(set, least) => {
            (is_word() && mixed_run(cursor, set, least)).then_some(Some(Swallow::Run(set)))
        }
        Exactly(set, count) => {
            let fits =
                is_word() && mixed_run(cursor, set, count) && !cursor.peek_any().is_some_and(|c| set.has(c));
            fits.then_some(None)
        }
        Body::Jwt => {
            let is_token = !cursor.before().is_some_and(|c| Set::Url.has(c))
                && cursor.run(|c| Set::Url.has(c), MAX_JWT_HEADER) >= 10
                && cursor.literal(".eyJ");
            is_token.then_some(Some(Swallow::Run(Set::Dotted)))
        }
        Body::PrivateKey => is_private_key(cursor).then_some(Some(Swallow::Key)),
        Body::Password => has_password(cursor).then_some(None),
    }
}

fn mixed_run(cursor: &mut Cursor<'_>, set: Set, least: usize) -> bool {
    let start = cursor.clone();
    cursor.run(|c| set.has(c), least) == least && is_mixed(&start.ahead(least))
}

/// Whether ASCII characters look random, by their entropy.
fn is_mixed(text: &str) -> bool {
    entropy(text) >= 2.5
}

/// Entropy in bits per character.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 128];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total: f64 = counts.iter().copied().map(f64::from).sum();
    let bits = |count: u32| f64::from(count) / total * (total / f64::from(count)).log2();
    counts.into_iter().filter(|count| *count > 0).map(bits).sum()
}

/// Reads the words between `-----BEGIN ` and the dashes: they end in `PRIVATE KEY`, or for PGP in `PRIVATE KEY BLOCK`.
fn is_private_key(cursor: &mut Cursor<'_>) -> bool {
    let start = cursor.clone();
    let count = cursor.run(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ', 40);
    let words = start.ahead(count);
    (words.ends_with("PRIVATE KEY") || words.ends_with("PRIVATE KEY BLOCK")) && cursor.literal("-----")
}

/// Reads the mark that ends a private key.
pub(crate) fn is_key_end(cursor: &mut Cursor<'_>) -> bool {
    cursor.literal("-----END ")
        && cursor.run(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ', 40) > 0
        && cursor.literal("-----")
}

/// `user:password@`. Placeholders from manuals do not count as passwords.
fn has_password(cursor: &mut Cursor<'_>) -> bool {
    let is_part = |c: char| {
        !c.is_whitespace() && !matches!(c, '/' | '@' | ':' | '"' | '\'' | '`' | '<' | '>' | '\\' | '(' | ')')
    };
    cursor.run(is_part, 64);
    if cursor.next_if(|c| c == ':').is_none() {
        return false;
    }
    let start = cursor.clone();
    let count = cursor.run(|c| is_part(c) || c == ':', 128);
    let password: String = start.ahead(count);
    let is_named = matches!(
        password.to_ascii_lowercase().as_str(),
        "" | "password"
            | "pass"
            | "passwd"
            | "pwd"
            | "secret"
            | "changeme"
            | "your-password"
            | "your_password"
    );
    let is_variable = password.starts_with(['$', '{', '[', '%']);
    let is_mark = password.chars().all(|c| matches!(c, '*' | 'x' | 'X' | '.'));
    cursor.next_if(|c| c == '@').is_some() && !(is_named || is_variable || is_mark)
}

static NAMES: LazyLock<Trie<()>> = LazyLock::new(|| {
    let mut names = Trie::default();
    for name in [
        "api_key",
        "api-key",
        "api key",
        "apikey",
        "secret_key",
        "secret-key",
        "secret key",
        "client_secret",
        "access_token",
        "access-token",
        "access_key",
        "auth_token",
        "private_key",
        "password",
        "passwd",
        "secret",
        "token",
    ] {
        names.insert(folded(name).chars(), ());
    }
    names
});

/// Detects a value that is named like a secret, such as `api_key = "…"`, and is long and mixed.
pub(crate) fn detect_named(cursor: &mut Cursor<'_>, found: &mut impl FnMut(usize)) {
    if cursor.before().is_some_and(char::is_alphanumeric) {
        return;
    }
    let mut ahead = cursor.clone();
    let mut is_starved = false;
    NAMES.walk_folded(&mut ahead, |(), behind| {
        let mut value = behind.clone();
        if is_assigned(&mut value) {
            found(value.read());
        }
        is_starved |= value.is_starved();
    });
    cursor.starve_if(is_starved || ahead.is_starved());
}

fn is_assigned(cursor: &mut Cursor<'_>) -> bool {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`');
    cursor.next_if(is_quote);
    cursor.run(|c| c == ' ', 3);
    if cursor.run(|c| matches!(c, ':' | '=' | '>'), 2) == 0 {
        return false;
    }
    cursor.run(|c| c == ' ', 3);
    cursor.next_if(is_quote);
    let start = cursor.clone();
    let count = cursor.run(|c| Set::Base64.has(c), 64);
    let value = start.ahead(count);
    let has = |is: fn(&u8) -> bool| value.bytes().any(|byte| is(&byte));
    count >= 16 && entropy(&value) >= 3.3 && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}
