//! Reads variables; each error names the variable.

use std::{fmt, str::FromStr};

use worker::{Env, js_sys::Reflect, wasm_bindgen::JsValue};

use crate::error::Error;

/// The variables and secrets of an environment. A blank one counts as not set.
pub(crate) struct Vars {
    read: Box<Reader>,
    /// The environment's bindings. Native tests have none.
    env: Option<Env>,
}

type Reader = dyn Fn(&str) -> Option<String>;

impl fmt::Debug for Vars {
    /// Values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vars").finish_non_exhaustive()
    }
}

impl Vars {
    pub(super) fn of(env: &Env) -> Self {
        let vars = env.clone();
        let read = Box::new(move |name: &str| Some(vars.var(name).ok()?.to_string()));
        Self { read, env: Some(env.clone()) }
    }

    #[cfg(test)]
    pub(crate) fn for_test(vars: &[(&str, &str)]) -> Self {
        let vars: Vec<(String, String)> =
            vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let read =
            Box::new(move |name: &str| vars.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()));
        Self { read, env: None }
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = (self.read)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// A binding that wrangler.toml may have.
    pub(crate) fn binding(&self, name: &str) -> Option<JsValue> {
        let binding = Reflect::get(self.env.as_ref()?, &name.into()).ok()?;
        binding.is_object().then_some(binding)
    }

    /// An http or https URL without a slash at its end.
    pub(crate) fn base_url(&self, name: &'static str, default: &str) -> Result<String, Error> {
        let Some(value) = self.get(name) else { return Ok(default.to_owned()) };
        match url::Url::parse(&value) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(value.trim_end_matches('/').to_owned()),
            _ => Err(wrong(name, "an http or https URL")),
        }
    }

    pub(crate) fn number<N: FromStr>(&self, name: &'static str, default: N) -> Result<N, Error> {
        let Some(value) = self.get(name) else { return Ok(default) };
        value.parse().map_err(|_| wrong(name, "a whole number"))
    }

    /// A list separated by commas; none when it is not set.
    pub(crate) fn words(&self, name: &str) -> Option<Vec<String>> {
        let list = self.get(name)?;
        Some(list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }
}

/// The error for a wrong variable; `expected` completes "must be …".
pub(crate) fn wrong(variable: &'static str, expected: &str) -> Error {
    Error::NotConfigured { variable, detail: format!("{variable} must be {expected}") }
}
