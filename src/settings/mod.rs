//! Settings from the Worker's environment. Those that every route needs are
//! here; each module has its own ([`FromVars`]). All are parsed once in an
//! isolate, a module's when they are first used, so that a wrong value fails
//! only the routes that need it.

pub(crate) mod vars;

use std::{
    any::{Any, TypeId},
    cell::RefCell,
    rc::Rc,
};

use worker::Env;

pub(crate) use vars::Vars;

use self::vars::wrong;
use crate::error::Error;

/// Names of the bindings in wrangler.toml.
pub(crate) mod binding {
    pub(crate) const AI: &str = "AI";
    pub(crate) const DATABASE: &str = "DB";
    pub(crate) const FILES: &str = "FILES";
    pub(crate) const HEARTBEATS: &str = "WORKER_HEARTBEATS";
    pub(crate) const JOBS: &str = "JOBS";
    pub(crate) const RATE_LIMITER: &str = "RATE_LIMITER";
    pub(crate) const MAIL_LIMITER: &str = "MAIL_LIMITER";
    pub(crate) const COMPILER: &str = "COMPILER";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    /// Responds without credentials and keys, for one local developer.
    Development,
    /// Every environment that is not declared as development.
    Production,
}

impl Environment {
    /// # Errors
    /// [`Error::NotConfigured`] for any other value.
    pub(crate) fn of(vars: &Vars) -> Result<Self, Error> {
        match vars.get("ENVIRONMENT").as_deref() {
            Some("development") => Ok(Self::Development),
            Some("production") | None => Ok(Self::Production),
            Some(_) => Err(wrong("ENVIRONMENT", "`development` or `production`")),
        }
    }

    pub(crate) fn is_development(self) -> bool {
        self == Self::Development
    }
}

/// Which requests are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logs {
    All,
    /// Only requests of which Cloudflare's own invocation log says too little.
    Notable,
}

impl Logs {
    fn of(vars: &Vars, environment: Environment) -> Result<Self, Error> {
        match vars.get("LOG").as_deref() {
            Some("all") => Ok(Self::All),
            Some("notable") => Ok(Self::Notable),
            None if environment.is_development() => Ok(Self::All),
            None => Ok(Self::Notable),
            Some(_) => Err(wrong("LOG", "`all` or `notable`")),
        }
    }
}

/// The settings of one module.
pub(crate) trait FromVars: Sized + 'static {
    /// # Errors
    /// [`Error::NotConfigured`] with the first variable that has an invalid value.
    fn from_vars(vars: &Vars) -> Result<Self, Error>;

    /// The settings in this isolate.
    ///
    /// # Errors
    /// As [`Self::from_vars`].
    fn of(settings: &Settings) -> Result<&'static Self, Error> {
        settings.module()
    }
}

/// Timeouts of outside services, in milliseconds.
#[derive(Debug)]
pub(crate) struct Timeouts {
    /// Until the response headers.
    pub(crate) head_ms: u64,
    /// Between two chunks of a streamed body.
    pub(crate) idle_ms: i64,
}

/// Parses the settings of a module, so that a wrong value is found before a
/// request needs it.
pub(crate) type ParseSettings = fn(&Settings) -> Result<(), Error>;

/// [`ParseSettings`] of a type.
pub(crate) const fn parses<T: FromVars>() -> ParseSettings {
    |settings| T::of(settings).map(drop)
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) environment: Environment,
    pub(crate) timeouts: Timeouts,
    /// Every hosted app has an origin under this domain.
    pub(crate) hosting_domain: Option<String>,
    /// Origins whose pages may call us, as browsers write them. In development
    /// more are allowed, see [`Self::allows_pages_of`].
    pub(crate) cors_origins: Vec<String>,
    /// Whether the Rate Limiting binding is used.
    pub(crate) limits_rate: bool,
    pub(crate) logs: Logs,
    vars: Vars,
    modules: RefCell<Vec<(TypeId, &'static dyn Any)>>,
}

thread_local! {
    static SETTINGS: RefCell<Option<Rc<Settings>>> = const { RefCell::new(None) };
}

impl Settings {
    /// The settings of this isolate, whose environment never changes.
    ///
    /// # Errors
    /// [`Error::NotConfigured`] with the first variable that has an invalid value.
    pub(crate) fn of(env: &Env) -> Result<Rc<Self>, Error> {
        if let Some(settings) = SETTINGS.with_borrow(Clone::clone) {
            return Ok(settings);
        }
        let settings = Rc::new(Self::parse(Vars::of(env))?);
        SETTINGS.set(Some(settings.clone()));
        Ok(settings)
    }

    fn parse(vars: Vars) -> Result<Self, Error> {
        let environment = Environment::of(&vars)?;
        Ok(Self {
            environment,
            timeouts: Timeouts {
                head_ms: vars.number("UPSTREAM_HEAD_TIMEOUT_MS", 60_000)?,
                idle_ms: vars.number("UPSTREAM_IDLE_TIMEOUT_MS", 60_000)?,
            },
            hosting_domain: vars.get("HOSTING_DOMAIN").or_else(|| local_domain(environment)),
            cors_origins: vars
                .words("CORS_ORIGINS")
                .map(|list| origins(&list))
                .transpose()?
                .unwrap_or_default(),
            limits_rate: match vars.get("RATE_LIMITS").as_deref() {
                Some("on") => true,
                Some("off") => false,
                None => environment == Environment::Production,
                Some(_) => return Err(wrong("RATE_LIMITS", "`on` or `off`")),
            },
            logs: Logs::of(&vars, environment)?,
            vars,
            modules: RefCell::default(),
        })
    }

    /// A module's settings, parsed on first use. They are leaked on purpose: the
    /// environment, and so the settings, live as long as the isolate.
    fn module<T: FromVars>(&self) -> Result<&'static T, Error> {
        let id = TypeId::of::<T>();
        let parsed =
            self.modules.borrow().iter().find(|(parsed, _)| *parsed == id).map(|(_, module)| *module);
        if let Some(module) = parsed.and_then(|module| module.downcast_ref()) {
            return Ok(module);
        }
        let module: &'static T = Box::leak(Box::new(T::from_vars(&self.vars)?));
        self.modules.borrow_mut().push((id, module));
        Ok(module)
    }

    pub(crate) fn is_development(&self) -> bool {
        self.environment.is_development()
    }

    /// Whether pages of any other origin may call us.
    pub(crate) fn allows_pages(&self) -> bool {
        self.is_development() || !self.cors_origins.is_empty()
    }

    /// Whether pages of this origin may call us: those in `CORS_ORIGINS`, and in
    /// development those of local servers.
    pub(crate) fn allows_pages_of(&self, origin: &str) -> bool {
        self.cors_origins.iter().any(|listed| listed == origin)
            || (self.is_development() && is_local_origin(origin))
    }
}

/// Browsers resolve `*.localhost` by themselves.
fn local_domain(environment: Environment) -> Option<String> {
    (environment == Environment::Development).then(|| "localhost".to_owned())
}

fn origins(list: &[String]) -> Result<Vec<String>, Error> {
    let origins: Option<Vec<String>> = list.iter().map(|text| origin(text)).collect();
    origins.ok_or(wrong("CORS_ORIGINS", "origins, such as https://hatch.sh, with commas between them"))
}

/// An origin as browsers write it. `*` and `null` are refused, because they
/// would admit every page, with the user's credentials.
fn origin(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let origin = match url.origin() {
        // The origin of an app that is not a browser, such as tauri://localhost.
        url::Origin::Opaque(_) => format!("{}://{}", url.scheme(), url.host_str()?),
        tuple => tuple.ascii_serialization(),
    };
    // Only a scheme, a host and a port, and no pattern.
    (url.as_str().trim_end_matches('/') == origin && !origin.contains('*')).then_some(origin)
}

/// Exactly `http://localhost` and `http://127.0.0.1`, on any port. Names under
/// `localhost` belong to hosted apps, which are untrusted pages.
fn is_local_origin(text: &str) -> bool {
    let is_local = |url: url::Url| {
        url.scheme() == "http"
            && matches!(url.host_str(), Some("localhost" | "127.0.0.1"))
            && url.origin().ascii_serialization() == text
    };
    url::Url::parse(text).is_ok_and(is_local)
}

#[cfg(test)]
impl Settings {
    pub(crate) fn for_test(vars: &[(&str, &str)]) -> Self {
        Self::parse(Vars::for_test(vars)).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(vars: &[(&str, &str)]) -> Result<Settings, Error> {
        Settings::parse(Vars::for_test(vars))
    }

    #[test]
    fn an_empty_environment_is_production() {
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.environment, Environment::Production);
        assert_eq!(settings.hosting_domain, None);
        assert_eq!(settings.logs, Logs::Notable);
        assert_eq!(parse(&[("ENVIRONMENT", "development")]).unwrap().logs, Logs::All);
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (name, value) in [
            ("ENVIRONMENT", "staging"),
            ("UPSTREAM_HEAD_TIMEOUT_MS", "soon"),
            ("RATE_LIMITS", "yes"),
            ("LOG", "some"),
        ] {
            let error = parse(&[(name, value)]).unwrap_err();
            assert!(matches!(error, Error::NotConfigured { variable, .. } if variable == name));
        }
    }

    #[derive(Debug)]
    struct Port(u16);

    impl FromVars for Port {
        fn from_vars(vars: &Vars) -> Result<Self, Error> {
            vars.number("PORT", 80).map(Self)
        }
    }

    #[test]
    fn a_wrong_value_affects_only_its_module() {
        let settings = parse(&[("PORT", "many")]).unwrap();
        assert!(matches!(Port::of(&settings), Err(Error::NotConfigured { variable: "PORT", .. })));
        let settings = parse(&[("PORT", " 8080 ")]).unwrap();
        let first = Port::of(&settings).unwrap();
        assert_eq!(first.0, 8080);
        assert!(std::ptr::eq(first, Port::of(&settings).unwrap()));
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
    fn in_development_only_pages_of_the_local_machine_may_call() {
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
