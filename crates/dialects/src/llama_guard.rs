//! Llama Guard as a moderation model. It is a chat model that answers `safe`, or
//! `unsafe` and the codes of the categories
//! (llama.com/docs/model-cards-and-prompt-formats/llama-guard-3).

use crate::{
    Dialect, Error, Moderation,
    json::Raw,
    request::Part,
    write::{self, Array},
};

/// Whether a model of this name answers as Llama Guard does.
pub fn is_llama_guard(model: &str) -> bool {
    model.to_ascii_lowercase().contains("llama-guard")
}

/// Its codes, with OpenAI's category for each. Some have none.
const CODES: &[(&str, Option<&str>)] = &[
    ("S1", Some("violence")),
    ("S2", Some("illicit")),
    ("S3", Some("sexual")),
    ("S4", Some("sexual/minors")),
    ("S5", Some("harassment")),
    ("S9", Some("illicit/violent")),
    ("S10", Some("hate")),
    ("S11", Some("self-harm")),
    ("S12", Some("sexual")),
];

/// The texts of an input. Each is moderated by itself; pictures are not moderated.
pub fn texts_of(request: &Moderation) -> Vec<String> {
    let raw = request.input.raw();
    if let Some(text) = raw.as_str() {
        return vec![text.into_owned()];
    }
    let text = |item: Raw<'_>| {
        let text = item.as_str().or_else(|| item.get_str("text"))?;
        Some(text.into_owned())
    };
    raw.items().filter_map(text).collect()
}

/// Renders the request for the verdict about one text.
pub fn render_llama_guard(text: &str, model: &str) -> String {
    write::object(|o| {
        o.str("model", model);
        o.array("messages", |a| {
            a.object(|o| {
                o.str("role", "user");
                o.str("content", text);
            });
        });
        o.put("max_tokens", 100);
        o.put("temperature", 0);
    })
}

/// Turns its answers, one for each text, into the response of OpenAI's moderation API.
///
/// # Errors
/// If an answer is not a verdict.
pub fn verdicts(answers: &[Vec<u8>]) -> Result<String, Error> {
    let texts: Result<Vec<String>, Error> = answers.iter().map(|bytes| text_of(bytes)).collect();
    let verdicts: Result<Vec<Vec<&str>>, Error> = texts?.iter().map(|text| codes_in(text)).collect();
    let verdicts = verdicts?;
    Ok(write::object(|o| {
        o.array("results", |a| verdicts.iter().for_each(|codes| write_verdict(codes, a)));
    }))
}

fn text_of(answer: &[u8]) -> Result<String, Error> {
    let answer = Dialect::Chat.parse_response(answer)?;
    let parts = answer.choices.iter().flat_map(|choice| &choice.parts);
    Ok(parts.filter_map(Part::as_text).collect())
}

/// Reads `safe`, or `unsafe` and on the next line `S1,S10`. An unsafe text without a
/// known code gets one empty code.
fn codes_in(verdict: &str) -> Result<Vec<&'static str>, Error> {
    let mut words = verdict.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    match words.next() {
        Some("safe") => Ok(Vec::new()),
        Some("unsafe") => {
            let known = |word: &str| CODES.iter().map(|(code, _)| *code).find(|code| *code == word);
            let mut codes: Vec<&str> = words.filter_map(known).collect();
            if codes.is_empty() {
                codes.push("");
            }
            Ok(codes)
        }
        _ => Err(Error::malformed()),
    }
}

fn write_verdict(codes: &[&str], a: &mut Array<'_>) {
    let mut named: Vec<&str> = Vec::new();
    for (code, category) in CODES {
        let category = category.filter(|category| codes.contains(code) && !named.contains(category));
        named.extend(category);
    }
    a.object(|o| {
        o.put("flagged", !codes.is_empty());
        o.object("categories", |o| named.iter().for_each(|name| o.put(name, true)));
        o.object("category_scores", |o| named.iter().for_each(|name| o.put(name, 1)));
        o.object("category_applied_input_types", |o| {
            named.iter().for_each(|name| o.array(name, |a| a.str("text")));
        });
    });
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{parse_moderation, translate_moderation};

    fn answer(text: &str) -> Vec<u8> {
        let message = json!({ "role": "assistant", "content": text });
        json!({ "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] })
            .to_string()
            .into_bytes()
    }

    #[test]
    fn verdicts_are_translated_into_openais_categories() {
        let answers = ["safe", "\n\nunsafe\nS1,S12,S3", "unsafe\nS8", "unsafe"].map(answer);
        let verdicts = verdicts(&answers).unwrap();
        let translated: Value =
            serde_json::from_str(&translate_moderation(verdicts.as_bytes(), "1", "m").unwrap()).unwrap();
        let results = translated["results"].as_array().unwrap();
        let flagged: Vec<_> = results.iter().map(|result| result["flagged"].as_bool().unwrap()).collect();
        assert_eq!(flagged, [false, true, true, true]);
        let of = |result: &Value| -> Vec<String> {
            let categories = result["categories"].as_object().unwrap();
            categories.iter().filter(|(_, is)| **is == json!(true)).map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(of(&results[1]), ["sexual", "violence"]);
        assert_eq!(results[1]["category_applied_input_types"]["violence"], json!(["text"]));
        assert!(of(&results[2]).is_empty() && of(&results[3]).is_empty());
    }

    #[test]
    fn an_answer_that_is_not_a_verdict_is_an_error() {
        for text in ["", "I think it is safe", "Safe"] {
            assert!(verdicts(&[answer(text)]).is_err(), "{text}");
        }
    }

    #[test]
    fn each_text_of_an_input_is_moderated() {
        let texts = |input: Value| {
            texts_of(&parse_moderation(json!({ "input": input }).to_string().as_bytes()).unwrap())
        };
        assert_eq!(texts(json!("a")), ["a"]);
        assert_eq!(texts(json!(["a", "b"])), ["a", "b"]);
        assert_eq!(texts(json!([{ "type": "text", "text": "a" }, { "type": "image_url" }])), ["a"]);
        assert!(is_llama_guard("@cf/meta/llama-guard-3-8b") && !is_llama_guard("omni-moderation-latest"));
    }
}
