//! `/v1/moderations`, with all thirteen categories that strict clients expect.

use crate::{
    Error, Json,
    json::Raw,
    read::{At, Fields, body},
    write::{self, Object},
};

/// A request to judge texts: `/v1/moderations`.
#[derive(Debug, Clone, PartialEq)]
pub struct Moderation {
    /// The name that the client sent; `None` leaves it to the gateway.
    pub model: Option<String>,
    /// As the client sent it: a text, texts, or parts.
    pub input: Json,
}

/// OpenAI's moderation categories.
pub const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// Reads a body of `/v1/moderations`.
///
/// # Errors
/// [`Error`] of the class `Invalid`, with the member at fault.
pub fn parse_moderation(bytes: &[u8]) -> Result<Moderation, Error> {
    let f = Fields::of(body(bytes)?, At::ROOT)?;
    let input = f.need("input")?;
    if !input.is_string() && !input.is_array() {
        return Err(f.at().key("input").invalid("expected a text or an array"));
    }
    Ok(Moderation { model: f.string("model")?, input: input.into() })
}

/// The body for a provider, with its name of the model.
pub fn render_moderation(request: &Moderation, model: &str) -> String {
    write::object(|o| {
        o.str("model", model);
        o.raw("input", request.input.as_str());
    })
}

/// The response for the client: the upstream's results, with the categories
/// that it left out added.
pub fn translate_moderation(upstream: &[u8], id: &str, model: &str) -> Result<String, Error> {
    let text = std::str::from_utf8(upstream).map_err(|_| Error::malformed())?;
    let raw = Raw::parse(text).ok_or_else(Error::malformed)?;
    let results = raw.get("results").filter(|results| results.is_array()).ok_or_else(Error::malformed)?;
    Ok(write::object(|o| {
        o.str("id", &raw.get_str("id").map_or_else(|| format!("modr-{id}"), std::borrow::Cow::into_owned));
        o.str("model", model);
        o.array("results", |a| results.items().for_each(|result| a.object(|o| write_result(result, o))));
    }))
}

fn write_result(result: Raw<'_>, o: &mut Object<'_>) {
    let value_of = |of: &str, category: &str| result.get(of).and_then(|of| of.get(category));
    let flagged =
        CATEGORIES.iter().any(|name| value_of("categories", name).and_then(Raw::as_bool) == Some(true));
    o.put("flagged", result.get("flagged").and_then(Raw::as_bool).unwrap_or(flagged));
    for (of, default) in
        [("categories", "false"), ("category_scores", "0"), ("category_applied_input_types", "[]")]
    {
        o.object(of, |o| {
            for name in CATEGORIES {
                o.raw(name, value_of(of, name).map_or(default, Raw::text));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn categories_that_the_upstream_left_out_are_added() {
        let upstream = br#"{"results":[{"categories":{"hate":true},"category_scores":{"hate":0.9}}]}"#;
        let value: Value = serde_json::from_str(&translate_moderation(upstream, "1", "m").unwrap()).unwrap();
        let result = &value["results"][0];
        assert_eq!(result["flagged"], true);
        for of in ["categories", "category_scores", "category_applied_input_types"] {
            assert_eq!(result[of].as_object().unwrap().len(), 13);
        }
        assert_eq!(result["category_scores"]["hate"], 0.9);
    }
}
