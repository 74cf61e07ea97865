//! Reads the fields of a body one by one, so that one response names all wrong ones.

use chrono::DateTime;
use serde_json::{Map, Value};

use crate::{
    error::{Error, Violation},
    http::body,
};

/// The fields of a JSON object, and the violations found so far.
#[derive(Debug)]
pub(super) struct Fields {
    fields: Map<String, Value>,
    violations: Vec<Violation>,
}

impl Fields {
    pub(super) fn new(fields: Map<String, Value>) -> Self {
        Self { fields, violations: Vec::new() }
    }

    /// Takes the one field that has one of `names`, unless it is null. `read`
    /// returns its value, or what is wrong with it.
    pub(super) fn optional<T>(
        &mut self,
        names: &[&str],
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let mut given = names.iter().filter_map(|name| Some((*name, self.fields.get(*name)?)));
        let (name, value) = given.next()?;
        if let Some((again, _)) = given.next() {
            let detail = format!("is another name of `{name}`: send one of them");
            self.violations.push(Violation { pointer: format!("/{again}"), detail });
            return None;
        }
        if value.is_null() {
            return None;
        }
        match read(value) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.violations.push(Violation { pointer: format!("/{name}"), detail });
                None
            }
        }
    }

    /// [`Self::optional`] for a required field.
    pub(super) fn required<T>(
        &mut self,
        names: &[&str],
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let is_there = names.iter().any(|name| self.fields.get(*name).is_some_and(|value| !value.is_null()));
        if !is_there {
            let pointer = format!("/{}", names.first().copied().unwrap_or_default());
            self.violations.push(Violation { pointer, detail: "is missing".to_owned() });
            return None;
        }
        self.optional(names, read)
    }

    /// Returns what `build` makes of the fields, if there were no violations; then
    /// each required field is present.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all violations.
    pub(super) fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Error> {
        match build() {
            Some(built) if self.violations.is_empty() => Ok(built),
            _ => Err(Error::Invalid(self.violations)),
        }
    }
}

/// Text of 1 to `most` characters that `rule` admits.
pub(super) fn text(
    most: usize,
    rule: fn(&str) -> bool,
    message: &str,
) -> impl FnOnce(&Value) -> Result<String, String> {
    move |value| match value.as_str() {
        Some(text) if (1..=most).contains(&text.chars().count()) && rule(text) => Ok(text.to_owned()),
        _ => Err(format!("must be {message}")),
    }
}

/// A whole number from `least` to `most`.
pub(super) fn number(least: u32, most: u32) -> impl FnOnce(&Value) -> Result<u32, String> {
    move |value| {
        let number = body::integer(value).ok().and_then(|number| u32::try_from(number).ok());
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
    }
}

/// A time of RFC 3339, in milliseconds of the Unix epoch, not before it.
pub(super) fn time(value: &Value) -> Result<i64, String> {
    let time = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    time.map(|time| time.timestamp_millis())
        .filter(|ms| *ms >= 0)
        .ok_or_else(|| "must be a time of RFC 3339, such as 2026-11-01T00:00:00Z".to_owned())
}

/// A wallet's address, in the database's form.
pub(super) fn wallet(value: &Value) -> Result<String, String> {
    let text =
        value.as_str().ok_or("must be a wallet's address: 0x and 40 hexadecimal digits, or a Stellar key")?;
    text.parse::<hatch_credentials::wallet::Address>()
        .map(|address| address.to_string())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_read_with_its_zone() {
        assert_eq!(time(&json!("1970-01-01T00:00:01Z")), Ok(1000));
        assert_eq!(time(&json!("1970-01-01T02:00:00.5+02:00")), Ok(500));
        for bad in [
            json!(0),
            json!(""),
            json!("yesterday"),
            json!("2026-13-01T00:00:00Z"),
            json!("1969-12-31T23:59:59Z"),
            json!(null),
        ] {
            assert!(time(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_wrong_field_is_named_and_aliases_count() {
        let Value::Object(body) = json!({ "app_name": 1, "port": 0, "replicas": null }) else { panic!() };
        let mut fields = Fields::new(body);
        fields.required(&["name", "app_name"], text(20, |_| true, "a name"));
        fields.optional(&["port"], number(1, 65_535));
        assert_eq!(fields.optional(&["replicas"], number(1, 10)), None);
        fields.required(&["creator"], wallet);
        let Err(Error::Invalid(violations)) = fields.finish(|| Some(())) else { panic!() };
        let pointers: Vec<_> = violations.iter().map(|violation| violation.pointer.as_str()).collect();
        assert_eq!(pointers, ["/app_name", "/port", "/creator"]);
    }
    #[test]
    fn a_field_under_two_names_is_named() {
        let Value::Object(body) = json!({ "name": "a", "app_name": "b" }) else { panic!() };
        let mut fields = Fields::new(body);
        fields.required(&["name", "app_name"], text(20, |_| true, "a name"));
        let Err(Error::Invalid(violations)) = fields.finish(|| Some(())) else { panic!() };
        let details: Vec<_> = violations.iter().map(|v| (v.pointer.as_str(), v.detail.as_str())).collect();
        assert_eq!(details, [("/app_name", "is another name of `name`: send one of them")]);
    }
}
