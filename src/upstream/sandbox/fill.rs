//! Fills templates with text, which is escaped first.

use serde_json::{Map, Value};

/// Replaces each `{{name}}` of `template` with its value, in one pass, so that values are not
/// expanded. A name without a value is removed.
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

/// Escapes text for HTML elements and quoted attributes. Braces are escaped too, so that no text
/// looks like a template.
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

/// The line `const app = {…};` with one field per line; strings in it can neither end a script nor
/// open a template.
pub(super) fn script_data(data: &Map<String, Value>) -> String {
    let fields: Vec<String> =
        data.iter().map(|(name, value)| format!("  {name}: {}", harmless(&value_lines(value)))).collect();
    match fields.is_empty() {
        true => String::new(),
        false => format!("const app = {{\n{},\n}};\n\n", fields.join(",\n")),
    }
}

/// Writes lists of lists or objects with one entry per line, as a person would.
fn value_lines(value: &Value) -> String {
    match value.as_array() {
        Some(entries) if entries.iter().any(|entry| entry.is_array() || entry.is_object()) => {
            let lines: Vec<String> = entries.iter().map(|entry| format!("    {entry},\n")).collect();
            format!("[\n{}  ]", lines.concat())
        }
        _ => value.to_string(),
    }
}

/// JSON that is safe in a script: these characters only occur inside strings, where an escape means
/// the same.
fn harmless(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
        .replace("{{", "{\\u007b")
}
