//! Reads members of a request's body and tracks their path, so that an error
//! can name it.

use std::{
    borrow::Cow,
    fmt::{self, Display},
};

use crate::{
    Error, Json,
    json::{MAX_DEPTH, Raw},
};

/// The path of a value: `messages[3].content`. It costs nothing until it is
/// written into an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'p> {
    parent: Option<&'p Self>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> At<'p> {
    pub(crate) const ROOT: At<'static> = At { parent: None, step: Step::Root };

    pub(crate) fn key<'c>(&'c self, name: &'c str) -> At<'c>
    where
        'p: 'c,
    {
        At { parent: Some(self), step: Step::Key(name) }
    }

    pub(crate) fn index<'c>(&'c self, index: usize) -> At<'c>
    where
        'p: 'c,
    {
        At { parent: Some(self), step: Step::Index(index) }
    }

    pub(crate) fn invalid(&self, message: impl Into<String>) -> Error {
        Error::invalid(self.to_string(), message)
    }

    pub(crate) fn unsupported(&self, message: impl Into<String>) -> Error {
        Error::unsupported(self.to_string(), message)
    }
}

impl Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(name) if self.parent.is_none_or(|parent| matches!(parent.step, Step::Root)) => {
                f.write_str(name)
            }
            Step::Key(name) => write!(f, ".{name}"),
        }
    }
}

/// Parses a request's body: it must be UTF-8 and a JSON object, and not nested
/// too deeply.
pub(crate) fn body(bytes: &[u8]) -> Result<Raw<'_>, Error> {
    let wrong = |message: &str| Error::new(crate::Class::Invalid, message);
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("The body is not UTF-8"))?;
    let raw = Raw::parse(text).ok_or_else(|| wrong("We could not parse the JSON body of your request"))?;
    if !raw.is_object() {
        return Err(wrong("The body must be a JSON object"));
    }
    if raw.depth() > MAX_DEPTH {
        return Err(wrong("The body is nested too deeply"));
    }
    Ok(raw)
}

/// An object's members. Null counts as absent.
#[derive(Debug)]
pub(crate) struct Fields<'a, 'p> {
    members: Vec<(Cow<'a, str>, Raw<'a>)>,
    at: At<'p>,
}

impl<'a, 'p> Fields<'a, 'p> {
    pub(crate) fn of(raw: Raw<'a>, at: At<'p>) -> Result<Self, Error> {
        if !raw.is_object() {
            return Err(at.invalid("expected an object"));
        }
        Ok(Self { members: raw.members().collect(), at })
    }

    pub(crate) fn at(&self) -> &At<'p> {
        &self.at
    }

    pub(crate) fn get(&self, name: &str) -> Option<Raw<'a>> {
        let found = self.members.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| *value).filter(|value| !value.is_null())
    }

    pub(crate) fn need(&self, name: &str) -> Result<Raw<'a>, Error> {
        self.get(name).ok_or_else(|| {
            self.at.key(name).invalid("Field required").with_code("missing_required_parameter")
        })
    }

    fn typed<T>(
        &self,
        name: &str,
        what: &str,
        read: impl FnOnce(Raw<'a>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let wrong = || self.at.key(name).invalid(format!("expected {what}")).with_code("invalid_type");
        read(value).map(Some).ok_or_else(wrong)
    }

    pub(crate) fn str(&self, name: &str) -> Result<Option<Cow<'a, str>>, Error> {
        self.typed(name, "a string", Raw::as_str)
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.str(name)?.map(Cow::into_owned))
    }

    pub(crate) fn need_str(&self, name: &str) -> Result<Cow<'a, str>, Error> {
        self.need(name)?;
        Ok(self.str(name)?.unwrap_or_default())
    }

    pub(crate) fn need_string(&self, name: &str) -> Result<String, Error> {
        Ok(self.need_str(name)?.into_owned())
    }

    /// The `type` of a part, an item or a tool.
    pub(crate) fn kind(&self) -> Result<Cow<'a, str>, Error> {
        self.need_str("type")
    }

    pub(crate) fn bool(&self, name: &str) -> Result<Option<bool>, Error> {
        self.typed(name, "a boolean", Raw::as_bool)
    }

    pub(crate) fn u64(&self, name: &str) -> Result<Option<u64>, Error> {
        self.typed(name, "a whole number of at least 0", Raw::as_u64)
    }

    pub(crate) fn i64(&self, name: &str) -> Result<Option<i64>, Error> {
        self.typed(name, "a whole number", Raw::as_i64)
    }

    pub(crate) fn number(&self, name: &str, from: f64, to: f64) -> Result<Option<f64>, Error> {
        let Some(number) = self.typed(name, "a number", Raw::as_f64)? else { return Ok(None) };
        if (from..=to).contains(&number) {
            return Ok(Some(number));
        }
        let message = format!("expected a number from {from} to {to}, not {number}");
        Err(self.at.key(name).invalid(message).with_code("invalid_value"))
    }

    pub(crate) fn array(&self, name: &str) -> Result<Option<Vec<Raw<'a>>>, Error> {
        self.typed(name, "an array", |raw| raw.is_array().then(|| raw.items().collect()))
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<Json>, Error> {
        self.typed(name, "an object", |raw| raw.is_object().then(|| raw.into()))
    }

    pub(crate) fn json(&self, name: &str) -> Option<Json> {
        self.get(name).map(Json::from)
    }

    /// The members besides `known`, without nulls.
    pub(crate) fn others(&self, known: &[&str]) -> Vec<(String, Json)> {
        let others =
            self.members.iter().filter(|(key, value)| !known.contains(&key.as_ref()) && !value.is_null());
        others.map(|(key, value)| (key.clone().into_owned(), Json::from(*value))).collect()
    }

    /// The members with these names, unchanged.
    pub(crate) fn these(&self, names: &[&str]) -> Vec<(String, Json)> {
        names.iter().filter_map(|name| Some(((*name).to_owned(), self.json(name)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_in_openais_form() {
        let at = At::ROOT;
        let (messages, root) = (at.key("messages"), &at);
        let third = messages.index(3);
        assert_eq!(third.key("content").to_string(), "messages[3].content");
        assert_eq!(root.key("model").to_string(), "model");
    }

    #[test]
    fn a_wrong_type_is_reported_and_null_means_absent() {
        let raw = Raw::parse(r#"{"n":"1","m":null,"x":2.5}"#).unwrap();
        let fields = Fields::of(raw, At::ROOT).unwrap();
        assert_eq!(fields.u64("n").unwrap_err().param.as_deref(), Some("n"));
        assert_eq!(fields.u64("m").unwrap(), None);
        assert_eq!(
            fields.number("x", 0.0, 2.0).unwrap_err().to_string(),
            "x: expected a number from 0 to 2, not 2.5"
        );
        assert_eq!(fields.need("m").unwrap_err().code.as_deref(), Some("missing_required_parameter"));
    }

    #[test]
    fn a_body_that_is_not_an_object_or_too_deep_is_refused() {
        for bad in [&b"[]"[..], b"", b"{", b"\xff", b"1"] {
            assert!(body(bad).is_err());
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(500), "]".repeat(500));
        assert!(body(deep.as_bytes()).is_err());
    }
}
