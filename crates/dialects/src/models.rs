//! Lists of models, in OpenAI's and in Anthropic's form.

use crate::{
    json::Raw,
    write::{self, Object},
};

/// A model as clients see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// The name to ask for, such as `openai/gpt-6`.
    pub id: String,
    /// The provider.
    pub owned_by: String,
    /// The name for people; empty if it has none besides its id.
    pub display_name: String,
    /// Seconds since 1970.
    pub created: u64,
    /// [`Self::created`] as RFC 3339.
    pub created_at: String,
    /// The tokens of its context; `None` if unknown.
    pub max_input_tokens: Option<u64>,
    /// The most tokens that one answer can have; `None` if unknown.
    pub max_tokens: Option<u64>,
    /// Whether its vendor will retire it.
    pub is_deprecated: bool,
}

/// OpenAI's form of one model.
pub fn openai_model(model: &Model) -> String {
    write::object(|o| write_openai(model, o))
}

/// OpenAI's form of all models.
pub fn openai_models(models: &[Model]) -> String {
    write::object(|o| {
        o.str("object", "list");
        o.array("data", |a| models.iter().for_each(|model| a.object(|o| write_openai(model, o))));
    })
}

fn write_openai(model: &Model, o: &mut Object<'_>) {
    o.str("id", &model.id);
    o.str("object", "model");
    o.put("created", model.created);
    o.str("owned_by", &model.owned_by);
}

/// Anthropic's form of one model, for clients that send `anthropic-version`.
pub fn anthropic_model(model: &Model) -> String {
    write::object(|o| write_anthropic(model, o))
}

/// Anthropic's form of one page of models.
pub fn anthropic_models(models: &[Model], has_more: bool) -> String {
    write::object(|o| {
        o.array("data", |a| models.iter().for_each(|model| a.object(|o| write_anthropic(model, o))));
        o.put("has_more", has_more);
        o.str_or_null("first_id", models.first().map(|model| model.id.as_str()));
        o.str_or_null("last_id", models.last().map(|model| model.id.as_str()));
    })
}

fn write_anthropic(model: &Model, o: &mut Object<'_>) {
    o.str("id", &model.id);
    o.str("type", "model");
    o.str("display_name", if model.display_name.is_empty() { &model.id } else { &model.display_name });
    o.str("created_at", &model.created_at);
    match model.max_input_tokens {
        Some(tokens) => o.put("max_input_tokens", tokens),
        None => o.null("max_input_tokens"),
    }
    match model.max_tokens {
        Some(tokens) => o.put("max_tokens", tokens),
        None => o.null("max_tokens"),
    }
    o.null("capabilities");
    o.str("lifecycle", if model.is_deprecated { "deprecated" } else { "active" });
    o.null("line");
    o.null("deprecated_at");
    o.null("retires_at");
}

/// The model ids in an upstream's list, in either form.
pub fn model_ids(upstream: &[u8]) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(upstream) else { return Vec::new() };
    let data = Raw::parse(text).and_then(|raw| raw.get("data"));
    data.into_iter()
        .flat_map(Raw::items)
        .filter_map(|model| Some(model.get_str("id")?.into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_model_is_written_in_both_vendors_forms() {
        let model = Model {
            id: "openai/gpt".to_owned(),
            owned_by: "openai".to_owned(),
            created_at: "2026-01-01T00:00:00Z".to_owned(),
            ..Model::default()
        };
        let value: Value = serde_json::from_str(&openai_models(std::slice::from_ref(&model))).unwrap();
        assert_eq!(
            value["data"][0],
            json!({ "id": "openai/gpt", "object": "model", "created": 0, "owned_by": "openai" })
        );
        let page = anthropic_models(std::slice::from_ref(&model), false);
        let value: Value = serde_json::from_str(&page).unwrap();
        assert_eq!(
            (&value["last_id"], &value["data"][0]["display_name"]),
            (&json!("openai/gpt"), &json!("openai/gpt"))
        );
        assert_eq!(model_ids(page.as_bytes()), ["openai/gpt"]);
    }
}
