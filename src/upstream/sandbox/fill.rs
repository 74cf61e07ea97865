//! Putting text into templates, and making it harmless first.

use serde_json::{Map, Value};

/// Replaces each `{{name}}` of `template` by its value. One pass: what a value contains is not a template.
/// A name without a value becomes nothing.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        filled.push_str(before);
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            filled.push_str(value);
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// Text for HTML, in an element or in a quoted attribute. Braces are escaped too, so that nothing reads as a template.
pub(crate) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '{' => escaped.push_str("&#123;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The line `const app = {…};` with a field a line; strings in it can neither end a script nor open a template.
pub(super) fn script_data(data: &Map<String, Value>) -> String {
    let fields: Vec<String> =
        data.iter().map(|(name, value)| format!("  {name}: {}", harmless(&value_lines(value)))).collect();
    match fields.is_empty() {
        true => String::new(),
        false => format!("const app = {{\n{},\n}};\n\n", fields.join(",\n")),
    }
}

/// Lists of lists or objects have an entry a line, as a person would write them.
fn value_lines(value: &Value) -> String {
    match value.as_array() {
        Some(entries) if entries.iter().any(|entry| entry.is_array() || entry.is_object()) => {
            let lines: Vec<String> = entries.iter().map(|entry| format!("    {entry},\n")).collect();
            format!("[\n{}  ]", lines.concat())
        }
        _ => value.to_string(),
    }
}

/// JSON that is also safe as a script: these characters can only stand inside its strings, where an escape means the same.
fn harmless(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
        .replace("{{", "{\\u007b")
}
