//! `/v1/embeddings`: vectors as numbers or as base64 of little-endian floats.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{
    Error, Json,
    inbound::shown,
    json::Raw,
    read::{At, Fields, body},
    usage, write,
};

/// A request for embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The name that the client sent.
    pub model: String,
    /// As the client sent it: a text, texts, tokens, or lists of tokens.
    pub input: Json,
    /// How many inputs there are.
    pub count: usize,
    /// How many numbers each embedding should have; `None` is the model's default.
    pub dimensions: Option<u64>,
    /// The client wants base64.
    pub is_base64: bool,
    /// The end user, as the client names them.
    pub user: Option<String>,
}

const MAX_INPUTS: usize = 2_048;

/// Reads a body of `/v1/embeddings`.
///
/// # Errors
/// [`Error`] of the class `Invalid`, with the member at fault.
pub fn parse_embeddings(bytes: &[u8]) -> Result<Embeddings, Error> {
    let f = Fields::of(body(bytes)?, At::ROOT)?;
    let at = f.at().key("input");
    let input = f.need("input")?;
    let is_tokens = input.items().next().is_some_and(|item| item.as_f64().is_some());
    let count = if input.is_string() || is_tokens { 1 } else { input.items().count() };
    let is_text_or_tokens = |item: Raw<'_>| {
        item.as_str().is_some_and(|text| !text.is_empty())
            || (item.items().next().is_some() && item.items().all(|token| token.as_u64().is_some()))
    };
    let is_right = if input.is_array() && !is_tokens {
        count > 0 && input.items().all(is_text_or_tokens)
    } else {
        is_text_or_tokens(input)
    };
    if !is_right {
        return Err(at.invalid("expected a text that is not empty, tokens, or an array of either"));
    }
    if count > MAX_INPUTS {
        return Err(at.invalid(format!("expected at most {MAX_INPUTS} inputs")));
    }
    let is_base64 = match f.str("encoding_format")?.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => {
            let message = format!("Unsupported value: '{}'", shown(other));
            return Err(f.at().key("encoding_format").unsupported(message));
        }
    };
    Ok(Embeddings {
        model: f.need_string("model")?,
        input: input.into(),
        count,
        dimensions: f.u64("dimensions")?.filter(|dimensions| *dimensions > 0),
        is_base64,
        user: f.string("user")?,
    })
}

/// The request for an upstream. It asks for numbers, which every upstream
/// supports.
pub fn render_embeddings(request: &Embeddings, model: &str) -> String {
    write::object(|o| {
        o.str("model", model);
        o.raw("input", request.input.as_str());
        o.opt("dimensions", request.dimensions);
        o.str("encoding_format", "float");
        o.opt_str("user", request.user.as_deref());
    })
}

/// The response for the client, and the tokens that the upstream counted.
/// `model` is the name that the client used.
pub fn translate_embeddings(
    upstream: &[u8],
    request: &Embeddings,
    model: &str,
) -> Result<(String, Option<crate::Usage>), Error> {
    let text = std::str::from_utf8(upstream).map_err(|_| Error::malformed())?;
    let raw = Raw::parse(text).ok_or_else(Error::malformed)?;
    let mut rows: Vec<(u64, Raw<'_>)> = Vec::with_capacity(request.count);
    let data = raw.get("data").ok_or_else(|| Error::of_upstream(502, upstream))?;
    for (nth, row) in (0_u64..).zip(data.items()) {
        let embedding = row.get("embedding").ok_or_else(Error::malformed)?;
        rows.push((row.get_u64("index").unwrap_or(nth), embedding));
    }
    if rows.len() != request.count {
        return Err(Error::malformed());
    }
    rows.sort_by_key(|(index, _)| *index);
    let counts = raw.get("usage").and_then(usage::of_openai);
    let mut result = Ok(());
    let answer = write::object(|o| {
        o.str("object", "list");
        o.array("data", |a| {
            for (index, embedding) in &rows {
                a.object(|o| {
                    o.str("object", "embedding");
                    o.put("index", index);
                    let written = vector(*embedding, request.is_base64, o.key("embedding"));
                    result = std::mem::replace(&mut result, Ok(())).and(written);
                });
            }
        });
        o.str("model", model);
        o.object("usage", |o| {
            let tokens = counts.unwrap_or_default().prompt();
            o.put("prompt_tokens", tokens);
            o.put("total_tokens", tokens);
        });
    });
    result.map(|()| (answer, counts))
}

fn vector(raw: Raw<'_>, is_base64: bool, out: &mut String) -> Result<(), Error> {
    let is_wanted = if is_base64 { raw.is_string() } else { raw.is_array() };
    if is_wanted {
        out.push_str(raw.text());
        return Ok(());
    }
    if is_base64 {
        let numbers: Option<Vec<f64>> = raw.items().map(Raw::as_f64).collect();
        let numbers = numbers.filter(|_| raw.is_array()).ok_or_else(Error::malformed)?;
        #[expect(clippy::cast_possible_truncation, reason = "embeddings have single precision")]
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect();
        write::string(out, &STANDARD.encode(bytes));
        return Ok(());
    }
    let text = raw.as_str().ok_or_else(Error::malformed)?;
    let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| Error::malformed())?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Error::malformed());
    }
    write::array_into(out, |a| {
        for number in numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)) {
            write::display(a.item(), if number.is_finite() { number } else { 0.0 });
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(body: &Value) -> Result<Embeddings, Error> {
        parse_embeddings(body.to_string().as_bytes())
    }

    #[test]
    fn numbers_become_base64_and_base64_numbers() {
        let numbers = br#"{"data":[{"index":1,"embedding":[0.5,-2]},{"index":0,"embedding":[1,0.25]}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#;
        let request =
            parse(&json!({ "model": "m", "input": ["a", "b"], "encoding_format": "base64" })).unwrap();
        let (answer, usage) = translate_embeddings(numbers, &request, "m").unwrap();
        assert_eq!(usage.unwrap().prompt(), 3);
        let value: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(value["data"][0]["index"], 0);
        let again = Embeddings { is_base64: false, ..request };
        let (answer, _) = translate_embeddings(answer.as_bytes(), &again, "m").unwrap();
        let value: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(value["data"][1]["embedding"], json!([0.5, -2]));
    }

    #[test]
    fn every_form_of_input_is_accepted_and_an_empty_one_is_refused() {
        for (input, count) in
            [(json!("a"), 1), (json!(["a", "b"]), 2), (json!([1, 2]), 1), (json!([[1], [2, 3]]), 2)]
        {
            assert_eq!(parse(&json!({ "model": "m", "input": input })).unwrap().count, count);
        }
        for input in
            [json!(""), json!([]), json!([""]), json!([[]]), json!({}), json!(1), json!(vec!["a"; 2049])]
        {
            assert!(parse(&json!({ "model": "m", "input": input })).is_err(), "{input}");
        }
    }

    #[test]
    fn a_response_without_all_vectors_is_an_error() {
        let request = parse(&json!({ "model": "m", "input": ["a", "b"] })).unwrap();
        assert!(translate_embeddings(br#"{"data":[{"embedding":[1]}]}"#, &request, "m").is_err());
        let cut = br#"{"data":[{"embedding":"AAA="},{"embedding":"AAA="}]}"#;
        assert!(translate_embeddings(cut, &request, "m").is_err());
    }
}
