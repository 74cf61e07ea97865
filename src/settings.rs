//! Every variable, secret and binding name, parsed once an isolate.

mod clouds;
mod vars;

use std::{cell::RefCell, rc::Rc};

use ed25519_dalek::SigningKey;
use hatch_tokens::{concordium::address::Account, stack_auth::Project};
use worker::Env;

use self::vars::{base_url, number, wrong};
use crate::error::Error;

/// Names of the bindings in wrangler.toml.
pub(crate) mod binding {
    pub(crate) const DATABASE: &str = "DB";
    pub(crate) const FILES: &str = "FILES";
    pub(crate) const HEARTBEATS: &str = "WORKER_HEARTBEATS";
    pub(crate) const JOBS: &str = "JOBS";
    pub(crate) const RATE_LIMITER: &str = "RATE_LIMITER";
    pub(crate) const COMPILER: &str = "COMPILER";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    /// Answers without credentials and without keys, for one local developer.
    Development,
    /// Everything that is not expressly development.
    Production,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChatFormat {
    /// Claude's own events, byte for byte.
    Events,
    /// Data-only `{"text": …}` pieces.
    Text,
}

impl ChatFormat {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "events" => Some(Self::Events),
            "text" => Some(Self::Text),
            _ => None,
        }
    }
}

/// The client of Anthropic's API.
#[derive(Debug)]
pub(crate) struct Claude {
    pub(crate) key: Option<String>,
    pub(crate) base_url: String,
    pub(crate) model: String,
}

/// A source of skills.
#[derive(Debug)]
pub(crate) struct SkillSources {
    pub(crate) aitmpl_url: String,
    pub(crate) skillsmp_url: String,
    pub(crate) skillsmp_key: Option<String>,
    pub(crate) raw_github_url: String,
}

/// Who searches the web for us.
#[derive(Debug)]
pub(crate) enum Search {
    Brave {
        key: String,
        base_url: String,
    },
    /// Google's Custom Search JSON API, until it ends on 2027-01-01.
    Google {
        key: String,
        engine: String,
        base_url: String,
    },
    /// Claude's own web search.
    Claude,
}

/// The gateway that makes startups' videos.
#[derive(Debug)]
pub(crate) struct Livepeer {
    pub(crate) key: String,
    pub(crate) base_url: String,
    /// For a picture, and again for the video that it becomes.
    pub(crate) timeout_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConcordiumNetwork {
    Testnet,
    Mainnet,
}

impl ConcordiumNetwork {
    /// As it is in identifiers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Testnet => "testnet",
            Self::Mainnet => "mainnet",
        }
    }
}

/// The account that registers startups on Concordium's chain.
#[derive(Debug)]
pub(crate) struct Registrar {
    pub(crate) sender: Account,
    /// The first key of its first credential.
    pub(crate) key: SigningKey,
}

/// Concordium's services.
#[derive(Debug)]
pub(crate) struct Concordium {
    pub(crate) network: ConcordiumNetwork,
    pub(crate) verifier_url: String,
    pub(crate) wallet_proxy_url: String,
    /// None: nothing is registered.
    pub(crate) registrar: Option<Registrar>,
}

/// Whose access tokens are those of our users.
#[derive(Debug)]
pub(crate) struct StackAuth {
    pub(crate) project: Project,
}

/// How much a user may in a day; none is as much as they like.
#[derive(Debug)]
pub(crate) struct DailyLimits {
    /// Messages to Claude.
    pub(crate) chat: Option<i64>,
    pub(crate) deploy: Option<i64>,
    /// What Claude's answers cost.
    pub(crate) budget_micro_usd: Option<i64>,
}

/// Deadlines of outside services, in milliseconds.
#[derive(Debug)]
pub(crate) struct Timeouts {
    /// Until the head of an answer.
    pub(crate) head_ms: u64,
    /// Between two pieces of a streamed body.
    pub(crate) idle_ms: i64,
}

/// A libSQL server that is the database instead of D1.
pub(crate) struct Turso {
    /// `https://host`, or `http://host` in a private network.
    pub(crate) url: String,
    pub(crate) token: Option<String>,
    /// Until an answer begins, and again until it has ended.
    pub(crate) timeout_ms: u64,
}

impl std::fmt::Debug for Turso {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turso").field("url", &self.url).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) environment: Environment,
    /// None: the database is D1.
    pub(crate) turso: Option<Rc<Turso>>,
    pub(crate) claude: Claude,
    pub(crate) chat_format: ChatFormat,
    /// How much of a conversation Claude is told again, in tokens.
    chat_history_tokens: i64,
    pub(crate) skills: SkillSources,
    pub(crate) clouds: clouds::Clouds,
    /// None: startups are researched by what Claude knows.
    pub(crate) search: Option<Search>,
    /// What pages of the web are fetched through: `<it>/https://host/path`.
    pub(crate) web_proxy_url: Option<String>,
    /// None: startups get no video.
    pub(crate) livepeer: Option<Livepeer>,
    pub(crate) concordium: Concordium,
    pub(crate) timeouts: Timeouts,
    /// Every hosted app gets an origin under this domain.
    pub(crate) hosting_domain: Option<String>,
    /// Where hosted apps have the packages from that they import.
    pub(crate) esm_cdn_url: String,
    /// Origins whose pages may call us, as browsers write them. In development
    /// there are more, see [`Self::allows_pages_of`].
    pub(crate) cors_origins: Vec<String>,
    /// The operator's credential.
    pub(crate) admin_token: Option<String>,
    pub(crate) stack_auth: Option<StackAuth>,
    /// Domains whose verified addresses are those of staff, in lower case.
    staff_domains: Vec<String>,
    /// Chains (EIP-155) that a wallet may sign in on; the first is the default.
    pub(crate) wallet_chain_ids: Vec<u64>,
    /// Whether the Rate Limiting binding is asked.
    pub(crate) limits_rate: bool,
    pub(crate) daily_limits: DailyLimits,
    /// How many startups a user may have in the making at once.
    pub(crate) running_jobs: u32,
    /// What secrets are sealed with at rest.
    sealing_key: Option<[u8; 32]>,
    /// Whether a beat needs no proof that it is its machine's.
    pub(crate) heartbeats_are_open: bool,
    /// How often machines are asked to beat.
    pub(crate) heartbeat_seconds: u32,
    /// How old a machine's window in KV may be before a beat writes it anew;
    /// none writes nothing there.
    pub(crate) heartbeat_mirror_seconds: Option<u32>,
    /// What a second of uptime is worth, a uint256 in decimal.
    pub(crate) payout_rate: Option<String>,
    /// Under which the fleet's deployments answer, with a port if it has one.
    pub(crate) fleet_domain: String,
}

thread_local! {
    static SETTINGS: RefCell<Option<Rc<Settings>>> = const { RefCell::new(None) };
}

impl Settings {
    /// The settings of this isolate, whose environment never changes.
    ///
    /// # Errors
    /// [`Error::NotConfigured`] naming the first variable whose value makes no sense.
    pub(crate) fn of(env: &Env) -> Result<Rc<Self>, Error> {
        if let Some(settings) = SETTINGS.with_borrow(Clone::clone) {
            return Ok(settings);
        }
        let settings = Rc::new(Self::parse(|name| {
            let value = env.var(name).ok()?.to_string();
            let value = value.trim();
            (!value.is_empty()).then(|| value.to_owned())
        })?);
        SETTINGS.set(Some(settings.clone()));
        Ok(settings)
    }

    fn parse(var: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let environment = match var("ENVIRONMENT").as_deref() {
            Some("development") => Environment::Development,
            Some("production") | None => Environment::Production,
            Some(_) => return Err(wrong("ENVIRONMENT", "`development` or `production`")),
        };
        let chat_format = match var("CHAT_STREAM_FORMAT") {
            None => ChatFormat::Text,
            Some(name) => {
                ChatFormat::parse(&name).ok_or(wrong("CHAT_STREAM_FORMAT", "`events` or `text`"))?
            }
        };
        Ok(Self {
            environment,
            turso: turso(&var)?.map(Rc::new),
            chat_format,
            chat_history_tokens: number(&var, "CHAT_HISTORY_TOKENS", 100_000)?,
            claude: Claude {
                key: var("CLAUDE_API_KEY"),
                base_url: base_url(&var, "CLAUDE_BASE_URL", "https://api.anthropic.com")?,
                model: var("CLAUDE_MODEL").unwrap_or_else(|| "claude-sonnet-5-5".to_owned()),
            },
            skills: SkillSources {
                aitmpl_url: base_url(&var, "AITMPL_BASE_URL", "https://www.aitmpl.com")?,
                skillsmp_url: base_url(&var, "SKILLSMP_BASE_URL", "https://skillsmp.com")?,
                skillsmp_key: var("SKILLSMP_API_KEY"),
                raw_github_url: base_url(&var, "RAW_GITHUB_BASE_URL", "https://raw.githubusercontent.com")?,
            },
            clouds: clouds::Clouds::parse(&var)?,
            search: search(&var)?,
            web_proxy_url: proxy_url(&var)?,
            livepeer: livepeer(&var)?,
            concordium: concordium(&var, environment)?,
            timeouts: Timeouts {
                head_ms: number(&var, "UPSTREAM_HEAD_TIMEOUT_MS", 60_000)?,
                idle_ms: number(&var, "UPSTREAM_IDLE_TIMEOUT_MS", 60_000)?,
            },
            hosting_domain: var("HOSTING_DOMAIN").or_else(|| local_domain(environment)),
            esm_cdn_url: base_url(&var, "ESM_CDN_URL", "https://esm.sh")?,
            cors_origins: var("CORS_ORIGINS").map(|list| origins(&list)).transpose()?.unwrap_or_default(),
            admin_token: var("ADMIN_TOKEN"),
            stack_auth: stack_auth(&var)?,
            staff_domains: var("STAFF_EMAIL_DOMAINS")
                .map(|list| words(&list.to_ascii_lowercase()))
                .unwrap_or_default(),
            wallet_chain_ids: chain_ids(var("WALLET_CHAIN_IDS"))?,
            limits_rate: match var("RATE_LIMITS").as_deref() {
                Some("on") => true,
                Some("off") => false,
                None => environment == Environment::Production,
                Some(_) => return Err(wrong("RATE_LIMITS", "`on` or `off`")),
            },
            daily_limits: DailyLimits {
                chat: limit(&var, "DAILY_CHAT_LIMIT")?,
                deploy: limit(&var, "DAILY_DEPLOY_LIMIT")?,
                budget_micro_usd: limit(&var, "DAILY_BUDGET_MICRO_USD")?,
            },
            running_jobs: number(&var, "RUNNING_JOBS_LIMIT", 3)?,
            sealing_key: sealing_key(var("SEALING_KEY"), environment)?,
            heartbeats_are_open: match var("HEARTBEAT_AUTH").as_deref() {
                Some("open") => true,
                Some("required") => false,
                None => environment == Environment::Development,
                Some(_) => return Err(wrong("HEARTBEAT_AUTH", "`required` or `open`")),
            },
            heartbeat_seconds: heartbeat_seconds(&var)?,
            heartbeat_mirror_seconds: heartbeat_mirror_seconds(&var)?,
            payout_rate: payout_rate(var("PAYOUT_RATE"))?,
            fleet_domain: fleet_domain(var("FLEET_DOMAIN"))?,
        })
    }

    /// The history budget in bytes: a token of English or code is about four.
    pub(crate) fn chat_history_bytes(&self) -> i64 {
        self.chat_history_tokens.saturating_mul(4)
    }

    /// What secrets are sealed with.
    ///
    /// # Errors
    /// [`Error::NotConfigured`] when there is none: nothing is kept in clear instead.
    pub(crate) fn sealing_key(&self) -> Result<&[u8; 32], Error> {
        self.sealing_key.as_ref().ok_or_else(|| Error::NotConfigured {
            variable: "SEALING_KEY",
            detail: "Set SEALING_KEY, which secrets are kept under: `openssl rand -hex 32`".to_owned(),
        })
    }

    /// Whether a verified address is one of staff.
    pub(crate) fn is_staff(&self, email: Option<&str>) -> bool {
        let domain =
            email.and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain.to_ascii_lowercase());
        domain.is_some_and(|domain| self.staff_domains.contains(&domain))
    }

    /// Whether anybody can be staff, or the operator.
    pub(crate) fn has_staff(&self) -> bool {
        self.admin_token.is_some() || (self.stack_auth.is_some() && !self.staff_domains.is_empty())
    }

    pub(crate) fn is_development(&self) -> bool {
        self.environment == Environment::Development
    }

    /// Whether there are pages of other origins that may call us.
    pub(crate) fn allows_pages(&self) -> bool {
        self.is_development() || !self.cors_origins.is_empty()
    }

    /// Whether pages of this origin may call us: those of `CORS_ORIGINS`, and
    /// in development those that a developer's own servers give.
    pub(crate) fn allows_pages_of(&self, origin: &str) -> bool {
        self.cors_origins.iter().any(|listed| listed == origin)
            || (self.is_development() && is_local_origin(origin))
    }
}

/// The one that is named, or the one whose key is there. Claude's costs by the
/// search, so it must be asked for.
fn search(var: impl Fn(&str) -> Option<String>) -> Result<Option<Search>, Error> {
    let (name, brave, google) = (var("SEARCH_PROVIDER"), var("BRAVE_API_KEY"), var("GOOGLE_API_KEY"));
    match (name.as_deref(), brave, google) {
        (None | Some("brave"), Some(key), _) => {
            let base_url = base_url(&var, "BRAVE_BASE_URL", "https://api.search.brave.com")?;
            Ok(Some(Search::Brave { key, base_url }))
        }
        (None | Some("google"), _, Some(key)) => {
            let missing = wrong("GOOGLE_CSE_ID", "the id of a search engine, when GOOGLE_API_KEY is set");
            let engine = var("GOOGLE_CSE_ID").ok_or(missing)?;
            let base_url = base_url(&var, "GOOGLE_BASE_URL", "https://www.googleapis.com")?;
            Ok(Some(Search::Google { key, engine, base_url }))
        }
        (Some("claude"), ..) => Ok(Some(Search::Claude)),
        (None, None, None) => Ok(None),
        (Some("brave"), None, _) => Err(wrong("BRAVE_API_KEY", "set, when SEARCH_PROVIDER is brave")),
        (Some("google"), _, None) => Err(wrong("GOOGLE_API_KEY", "set, when SEARCH_PROVIDER is google")),
        (Some(_), ..) => Err(wrong("SEARCH_PROVIDER", "`brave`, `google` or `claude`")),
    }
}

fn proxy_url(var: impl Fn(&str) -> Option<String>) -> Result<Option<String>, Error> {
    var("WEB_PROXY_URL").map(|url| base_url(|_| Some(url.clone()), "WEB_PROXY_URL", "")).transpose()
}

fn livepeer(var: impl Fn(&str) -> Option<String>) -> Result<Option<Livepeer>, Error> {
    let Some(key) = var("LIVEPEER_API_KEY") else { return Ok(None) };
    let base_url = base_url(&var, "LIVEPEER_BASE_URL", "https://dream-gateway.livepeer.cloud")?;
    // A model takes its time, and a cold one more.
    let timeout_ms = number(&var, "LIVEPEER_TIMEOUT_MS", 180_000)?;
    Ok(Some(Livepeer { key, base_url, timeout_ms }))
}

/// A proof on the test network proves nothing, so that it is development's.
fn concordium(var: impl Fn(&str) -> Option<String>, environment: Environment) -> Result<Concordium, Error> {
    let network = match (var("CONCORDIUM_NETWORK").as_deref(), environment) {
        (Some("testnet"), _) | (None, Environment::Development) => ConcordiumNetwork::Testnet,
        (Some("mainnet"), _) | (None, Environment::Production) => ConcordiumNetwork::Mainnet,
        (Some(_), _) => return Err(wrong("CONCORDIUM_NETWORK", "`testnet` or `mainnet`")),
    };
    let domain = match network {
        ConcordiumNetwork::Testnet => "testnet.concordium.com",
        ConcordiumNetwork::Mainnet => "mainnet.concordium.software",
    };
    let service = |variable, name: &str| base_url(&var, variable, &format!("https://{name}.{domain}"));
    Ok(Concordium {
        network,
        verifier_url: service("CONCORDIUM_VERIFIER_URL", "web3id-verifier")?,
        wallet_proxy_url: service("CONCORDIUM_WALLET_PROXY_URL", "wallet-proxy")?,
        registrar: registrar(&var)?,
    })
}

fn registrar(var: impl Fn(&str) -> Option<String>) -> Result<Option<Registrar>, Error> {
    let (sender, key) = match (var("CONCORDIUM_SENDER"), var("CONCORDIUM_SIGNING_KEY")) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(wrong("CONCORDIUM_SIGNING_KEY", "set, when CONCORDIUM_SENDER is")),
        (None, Some(_)) => return Err(wrong("CONCORDIUM_SENDER", "set, when CONCORDIUM_SIGNING_KEY is")),
        (Some(sender), Some(key)) => (sender, key),
    };
    let sender = sender.parse().map_err(|_| wrong("CONCORDIUM_SENDER", "the address of an account"))?;
    let key = base16ct::mixed::decode_vec(&key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let key = key.ok_or(wrong("CONCORDIUM_SIGNING_KEY", "the 64 hexadecimal digits of its signing key"))?;
    Ok(Some(Registrar { sender, key: SigningKey::from_bytes(&key) }))
}

fn stack_auth(var: impl Fn(&str) -> Option<String>) -> Result<Option<StackAuth>, Error> {
    let Some(id) = var("STACK_PROJECT_ID") else { return Ok(None) };
    if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(wrong("STACK_PROJECT_ID", "the id of a Stack Auth project"));
    }
    let base = base_url(&var, "STACK_AUTH_URL", STACK_AUTH_URL)?;
    // Stack Auth is taking another name; its tokens may say either.
    let aliases: &[&str] = if base == STACK_AUTH_URL { &["https://api.hexclave.com"] } else { &[] };
    Ok(Some(StackAuth { project: Project::new(&base, aliases, &id) }))
}

const STACK_AUTH_URL: &str = "https://api.stack-auth.com";

fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn chain_ids(list: Option<String>) -> Result<Vec<u64>, Error> {
    let Some(list) = list else { return Ok(vec![1, 10, 137, 8453, 42161]) };
    let ids: Option<Vec<u64>> = words(&list).iter().map(|id| id.parse().ok()).collect();
    ids.filter(|ids| !ids.is_empty()).ok_or(wrong("WALLET_CHAIN_IDS", "chain ids with commas between them"))
}

fn limit(var: impl Fn(&str) -> Option<String>, name: &'static str) -> Result<Option<i64>, Error> {
    match var(name).map(|value| value.parse::<i64>()) {
        None => Ok(None),
        Some(Ok(limit)) if (0..=1 << 53).contains(&limit) => Ok(Some(limit)),
        Some(_) => Err(wrong(name, "a whole number of a day")),
    }
}

/// 64 hex digits. A development Worker has one that everybody knows.
fn sealing_key(hex: Option<String>, environment: Environment) -> Result<Option<[u8; 32]>, Error> {
    let Some(hex) = hex else { return Ok((environment == Environment::Development).then_some([0; 32])) };
    let bytes = base16ct::mixed::decode_vec(&hex).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(Some).ok_or(wrong("SEALING_KEY", "64 hexadecimal digits, as of `openssl rand -hex 32`"))
}

/// Rarer than half an hour, and a machine that lives would look dead.
fn heartbeat_seconds(var: impl Fn(&str) -> Option<String>) -> Result<u32, Error> {
    let seconds: u32 = number(var, "HEARTBEAT_SECONDS", 300)?;
    match seconds {
        60..=1500 => Ok(seconds),
        _ => Err(wrong("HEARTBEAT_SECONDS", "from 60 to 1500")),
    }
}

/// Together with the time between two beats less than half an hour, or a
/// machine that lives would look dead to readers of KV.
fn heartbeat_mirror_seconds(var: impl Fn(&str) -> Option<String>) -> Result<Option<u32>, Error> {
    const NAME: &str = "HEARTBEAT_MIRROR_SECONDS";
    if var(NAME).as_deref() == Some("off") {
        return Ok(None);
    }
    let seconds: u32 = number(&var, NAME, 0)?;
    match seconds.saturating_add(heartbeat_seconds(var)?) {
        ..=1500 => Ok(Some(seconds)),
        _ => Err(wrong(NAME, "`off`, or at most 1500 together with HEARTBEAT_SECONDS")),
    }
}

fn payout_rate(rate: Option<String>) -> Result<Option<String>, Error> {
    let is_amount =
        |rate: &String| rate.len() <= 78 && !rate.is_empty() && rate.bytes().all(|b| b.is_ascii_digit());
    match rate {
        Some(rate) if !is_amount(&rate) => Err(wrong("PAYOUT_RATE", "a whole number in decimal")),
        rate => Ok(rate),
    }
}

fn fleet_domain(domain: Option<String>) -> Result<String, Error> {
    let Some(domain) = domain else { return Ok("localhost".to_owned()) };
    let origin = format!("https://a.{domain}/");
    match url::Url::parse(&origin) {
        // As it was, so that it is a host, and a port, and nothing more.
        Ok(url) if url.as_str() == origin && url.path() == "/" && url.username().is_empty() => Ok(domain),
        _ => Err(wrong("FLEET_DOMAIN", "a domain in lower case, with a port if need be")),
    }
}

/// Browsers resolve `*.localhost` by themselves.
fn local_domain(environment: Environment) -> Option<String> {
    (environment == Environment::Development).then(|| "localhost".to_owned())
}

fn origins(list: &str) -> Result<Vec<String>, Error> {
    let origins: Option<Vec<String>> = words(list).iter().map(|text| origin(text)).collect();
    origins.ok_or(wrong("CORS_ORIGINS", "origins, such as https://hatch.sh, with commas between them"))
}

/// An origin as browsers write it. `*` and `null` are none: whoever answers to
/// them answers to everybody, and a page's credentials come along.
fn origin(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let origin = match url.origin() {
        // Of an app that is no browser, such as tauri://localhost.
        url::Origin::Opaque(_) => format!("{}://{}", url.scheme(), url.host_str()?),
        tuple => tuple.ascii_serialization(),
    };
    // Nothing but a scheme, a host and a port, and no pattern of them.
    (url.as_str().trim_end_matches('/') == origin && !origin.contains('*')).then_some(origin)
}

/// Exactly `http://localhost` and `http://127.0.0.1` on any port. Names under
/// `localhost` are those of hosted apps, which are strangers' pages.
fn is_local_origin(text: &str) -> bool {
    let is_local = |url: url::Url| {
        url.scheme() == "http"
            && matches!(url.host_str(), Some("localhost" | "127.0.0.1"))
            && url.origin().ascii_serialization() == text
    };
    url::Url::parse(text).is_ok_and(is_local)
}

fn turso(var: impl Fn(&str) -> Option<String>) -> Result<Option<Turso>, Error> {
    let Some(url) = var("DATABASE_URL") else { return Ok(None) };
    let token = var("DATABASE_AUTH_TOKEN");
    if token.as_ref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
        return Err(wrong("DATABASE_AUTH_TOKEN", "the token alone, in one line"));
    }
    let url = libsql_url(&url).ok_or(wrong(
        "DATABASE_URL",
        "libsql://host (http://host in a private network), without a path, a query or a password",
    ))?;
    Ok(Some(Turso { url, token, timeout_ms: number(&var, "DATABASE_TIMEOUT_MS", 10_000)? }))
}

/// `libsql://host` is Turso's way to write `https://host`. Plain http would
/// show the token to whoever carries it, so it is for private networks.
fn libsql_url(text: &str) -> Option<String> {
    let https = text.strip_prefix("libsql://").map(|host| format!("https://{host}"));
    let url = url::Url::parse(https.as_deref().unwrap_or(text)).ok()?;
    let allowed = match url.scheme() {
        "https" => true,
        "http" => url.host().is_some_and(|host| is_private(&host)),
        _ => false,
    };
    let origin = url.origin().ascii_serialization();
    // Nothing but a scheme, a host and a port.
    (allowed && url.as_str() == format!("{origin}/")).then_some(origin)
}

fn is_private(host: &url::Host<&str>) -> bool {
    match host {
        url::Host::Domain(name) => !name.contains('.') || name.ends_with(".localhost"),
        url::Host::Ipv4(address) => address.is_loopback() || address.is_private(),
        url::Host::Ipv6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

#[cfg(test)]
impl Settings {
    pub(crate) fn for_test(vars: &[(&str, &str)]) -> Self {
        Self::parse(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(vars: &[(&str, &str)]) -> Result<Settings, Error> {
        let found = |name: &str| vars.iter().find(|(n, v)| *n == name && !v.is_empty());
        Settings::parse(|name| found(name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn an_empty_environment_is_production() {
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.environment, Environment::Production);
        assert_eq!(settings.hosting_domain, None);
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (name, value) in [
            ("ENVIRONMENT", "staging"),
            ("CHAT_STREAM_FORMAT", "xml"),
            ("CLAUDE_BASE_URL", "localhost:9"),
            ("ESM_CDN_URL", "esm.sh"),
            ("UPSTREAM_HEAD_TIMEOUT_MS", "soon"),
            ("DATABASE_URL", "hatch.turso.io"),
            ("STACK_PROJECT_ID", "../x"),
            ("WALLET_CHAIN_IDS", "mainnet"),
            ("RATE_LIMITS", "yes"),
            ("DAILY_CHAT_LIMIT", "-1"),
            ("SEARCH_PROVIDER", "altavista"),
            ("WEB_PROXY_URL", "proxy:8080"),
            ("CONCORDIUM_NETWORK", "main"),
            ("FLEET_DOMAIN", "https://fleet.example"),
            ("FLEET_DOMAIN", "fleet.example/x"),
            ("FLEET_DOMAIN", "Fleet.example"),
            ("FLEET_DOMAIN", "b@fleet.example"),
            ("FLEET_DOMAIN", "fleet.example?x"),
        ] {
            let error = parse(&[(name, value)]).unwrap_err();
            assert!(matches!(error, Error::NotConfigured { variable, .. } if variable == name));
        }
    }

    fn database(url: &str) -> Result<Option<String>, Error> {
        parse(&[("DATABASE_URL", url)]).map(|settings| settings.turso.as_ref().map(|turso| turso.url.clone()))
    }

    #[test]
    fn a_libsql_url_is_https_and_http_is_for_private_networks() {
        for (url, reached) in [
            ("libsql://hatch-me.turso.io", "https://hatch-me.turso.io"),
            ("https://hatch-me.turso.io/", "https://hatch-me.turso.io"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://sqld:8080/", "http://sqld:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(database(url), Ok(Some(reached.to_owned())), "{url}");
        }
        for url in [
            "http://hatch-me.turso.io",
            "http://8.8.8.8",
            "file:hatch.db",
            "wss://hatch-me.turso.io",
            "libsql://",
            "libsql://user:password@hatch-me.turso.io",
            "libsql://hatch-me.turso.io?authToken=abc",
            "libsql://hatch-me.turso.io/hatch",
        ] {
            assert!(
                matches!(database(url), Err(Error::NotConfigured { variable: "DATABASE_URL", .. })),
                "{url}"
            );
        }
        assert_eq!(database(""), Ok(None));
    }

    #[test]
    fn a_token_that_is_no_token_is_refused_and_never_shown() {
        let set = |token| parse(&[("DATABASE_URL", "libsql://db.turso.io"), ("DATABASE_AUTH_TOKEN", token)]);
        let error = set("secret\nand more").unwrap_err();
        assert!(matches!(error, Error::NotConfigured { variable: "DATABASE_AUTH_TOKEN", .. }));
        assert!(!error.detail().contains("secret"));
        assert!(!format!("{:?}", set("secret").unwrap().turso).contains("secret"));
    }

    #[test]
    fn the_search_provider_is_named_or_told_by_its_key() {
        let search = |vars: &[(&str, &str)]| parse(vars).map(|settings| settings.search);
        assert!(matches!(search(&[]), Ok(None)));
        assert!(matches!(search(&[("CLAUDE_API_KEY", "k")]), Ok(None)));
        assert!(matches!(search(&[("SEARCH_PROVIDER", "claude")]), Ok(Some(Search::Claude))));
        let both = [("BRAVE_API_KEY", "b"), ("GOOGLE_API_KEY", "g"), ("GOOGLE_CSE_ID", "c")];
        assert!(matches!(search(&both), Ok(Some(Search::Brave { .. }))));
        let named = [&both[..], &[("SEARCH_PROVIDER", "google")]].concat();
        assert!(matches!(search(&named), Ok(Some(Search::Google { .. }))));
        for (vars, missing) in [
            (&[("SEARCH_PROVIDER", "brave")], "BRAVE_API_KEY"),
            (&[("SEARCH_PROVIDER", "google")], "GOOGLE_API_KEY"),
            (&[("GOOGLE_API_KEY", "g")], "GOOGLE_CSE_ID"),
        ] {
            assert!(
                matches!(search(vars), Err(Error::NotConfigured { variable, .. }) if variable == missing)
            );
        }
    }

    #[test]
    fn an_account_registers_with_its_key_or_not_at_all() {
        let (sender, key) = ("4ZJBYQbVp3zVZyjCXfZAAYBVkJMyVj8UKUNj9ox5YqTCBdBq2M", "ab".repeat(32));
        let set = |sender, key| parse(&[("CONCORDIUM_SENDER", sender), ("CONCORDIUM_SIGNING_KEY", key)]);
        let settings = set(sender, &key).unwrap();
        let registrar = settings.concordium.registrar.as_ref().unwrap();
        assert_eq!(registrar.sender.to_string(), sender);
        assert!(
            !format!("{settings:?}").contains(&"ab".repeat(16))
                && !format!("{settings:?}").contains("171, 171")
        );
        for (wrong_sender, wrong_key, named) in [
            (sender, "", "CONCORDIUM_SIGNING_KEY"),
            (sender, "abcd", "CONCORDIUM_SIGNING_KEY"),
            ("", key.as_str(), "CONCORDIUM_SENDER"),
            ("4ZJB", key.as_str(), "CONCORDIUM_SENDER"),
        ] {
            let error = set(wrong_sender, wrong_key).unwrap_err();
            assert!(matches!(error, Error::NotConfigured { variable, .. } if variable == named));
            assert!(!error.detail().contains(&key));
        }
        let network = |vars: &[(&str, &str)]| parse(vars).unwrap().concordium.network;
        assert_eq!(network(&[]), ConcordiumNetwork::Mainnet);
        assert_eq!(network(&[("ENVIRONMENT", "development")]), ConcordiumNetwork::Testnet);
    }

    #[test]
    fn cors_origins_are_a_list_without_trailing_slashes() {
        let settings = parse(&[("CORS_ORIGINS", "https://hatch.sh/, http://localhost:3000,")]).unwrap();
        assert_eq!(settings.cors_origins, ["https://hatch.sh", "http://localhost:3000"]);
        let same = parse(&[("CORS_ORIGINS", "https://Hatch.sh:443, tauri://localhost")]).unwrap();
        assert_eq!(same.cors_origins, ["https://hatch.sh", "tauri://localhost"]);
        for wrong in [
            "*",
            "null",
            "hatch.sh",
            "https://hatch.sh/app",
            "https://me@hatch.sh",
            "file:///",
            "https://*.hatch.sh",
        ] {
            let error = parse(&[("CORS_ORIGINS", wrong)]).unwrap_err();
            assert!(matches!(error, Error::NotConfigured { variable: "CORS_ORIGINS", .. }), "{wrong}");
        }
    }

    #[test]
    fn in_development_pages_of_this_very_machine_may_call_and_no_others() {
        let (development, production) =
            (parse(&[("ENVIRONMENT", "development")]).unwrap(), parse(&[]).unwrap());
        for origin in
            ["http://localhost:5173", "http://127.0.0.1:3000", "http://localhost", "http://127.0.0.1"]
        {
            assert!(development.allows_pages_of(origin), "{origin}");
            assert!(!production.allows_pages_of(origin), "{origin}");
        }
        for origin in [
            "http://app.localhost:5173",
            "https://localhost:5173",
            "http://localhost.evil.example",
            "http://localhost:80",
            "http://localhost:05173",
            "http://localhost:99999",
            "http://localhost:",
            "http://localhost/",
            "http://localhost:5173/",
            "http://localhost:5173 ",
            "http://localhost:5173, http://evil.example",
            "http://LOCALHOST:5173",
            "http://localhost.:5173",
            "http://me@localhost:5173",
            "http://localhost:5173#",
            "http://127.1:5173",
            "http://127.0.0.2:5173",
            "http://0.0.0.0:5173",
            "http://[::1]:5173",
            "http://192.168.1.5:5173",
            "http:localhost:5173",
            "//localhost:5173",
            "localhost:5173",
            "null",
            "*",
            "",
        ] {
            assert!(!development.allows_pages_of(origin), "{origin}");
        }
    }
}
