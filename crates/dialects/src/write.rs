//! Writes JSON directly into one String.

use std::fmt::{Display, Write as _};

use crate::json::Json;

/// Appends a JSON string.
pub(crate) fn string(out: &mut String, text: &str) {
    out.push('"');
    escaped(out, text);
    out.push('"');
}

/// Appends the escaped content of a JSON string, without the quotes.
pub(crate) fn escaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or_default();
        out.push_str(plain);
        let mut chars = tail.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => display(out, format_args!("\\u{:04x}", u32::from(control))),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// Appends a value's `Display` form.
pub(crate) fn display(out: &mut String, value: impl Display) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

/// A new object.
pub(crate) fn object(fill: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = String::new();
    object_into(&mut out, fill);
    out
}

/// Appends an object.
pub(crate) fn object_into(out: &mut String, fill: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    fill(&mut Object { out, is_first: true });
    out.push('}');
}

/// Appends an array.
pub(crate) fn array_into(out: &mut String, fill: impl FnOnce(&mut Array<'_>)) {
    out.push('[');
    fill(&mut Array { out, is_first: true });
    out.push(']');
}

/// An object while it is written.
#[derive(Debug)]
pub(crate) struct Object<'o> {
    out: &'o mut String,
    is_first: bool,
}

impl Object<'_> {
    /// Begins the next member and returns the buffer for its value.
    pub(crate) fn key(&mut self, name: &str) -> &mut String {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(',');
        }
        string(self.out, name);
        self.out.push(':');
        self.out
    }

    pub(crate) fn str(&mut self, name: &str, value: &str) {
        string(self.key(name), value);
    }

    /// A number or a boolean.
    pub(crate) fn put(&mut self, name: &str, value: impl Display) {
        display(self.key(name), value);
    }

    /// Appends raw JSON.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.key(name).push_str(json);
    }

    pub(crate) fn null(&mut self, name: &str) {
        self.raw(name, "null");
    }

    pub(crate) fn str_or_null(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.str(name, value),
            None => self.null(name),
        }
    }

    /// Leaves the member out if there is no value.
    pub(crate) fn opt_str(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.str(name, value);
        }
    }

    pub(crate) fn opt(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    pub(crate) fn opt_json(&mut self, name: &str, value: Option<&Json>) {
        if let Some(value) = value {
            self.raw(name, value.as_str());
        }
    }

    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        object_into(self.key(name), fill);
    }

    pub(crate) fn array(&mut self, name: &str, fill: impl FnOnce(&mut Array<'_>)) {
        array_into(self.key(name), fill);
    }
}

/// An array while it is written.
#[derive(Debug)]
pub(crate) struct Array<'o> {
    out: &'o mut String,
    is_first: bool,
}

impl Array<'_> {
    /// Begins the next item and returns the buffer for it.
    pub(crate) fn item(&mut self) -> &mut String {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(',');
        }
        self.out
    }

    pub(crate) fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        object_into(self.item(), fill);
    }

    pub(crate) fn str(&mut self, value: &str) {
        string(self.item(), value);
    }

    pub(crate) fn raw(&mut self, json: &str) {
        self.item().push_str(json);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    proptest! {
        #[test]
        fn any_text_survives_as_a_json_string(text: String) {
            let mut out = String::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn commas_separate_members_and_items() {
        let text = object(|o| {
            o.str("a", "x");
            o.array("b", |a| {
                a.str("y");
                a.object(|o| o.put("c", 1));
            });
            o.opt_str("d", None);
            o.null("e");
        });
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, json!({ "a": "x", "b": ["y", { "c": 1 }], "e": null }));
    }
}
