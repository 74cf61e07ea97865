//! Workers AI through its binding: `env.AI.run(model, inputs, options)`
//! (developers.cloudflare.com/workers-ai/configuration/bindings).

use worker::{
    AbortController, AbortSignal,
    js_sys::{JSON, Object, Promise, Reflect, futures::JsFuture},
    wasm_bindgen::{self, JsCast as _, JsValue, prelude::wasm_bindgen},
    web_sys,
};

use super::fetch::{self, Failure, FetchResponse};

#[wasm_bindgen]
extern "C" {
    #[derive(Debug)]
    type AiBinding;

    #[wasm_bindgen(method, catch)]
    fn run(this: &AiBinding, model: &str, inputs: &JsValue, options: &JsValue) -> Result<Promise, JsValue>;
}

/// The binding of Workers AI.
#[derive(Debug)]
pub(crate) struct Ai(AiBinding);

impl Ai {
    pub(crate) fn new(binding: JsValue) -> Self {
        Self(binding.unchecked_into())
    }

    /// Runs a model with `inputs`, a JSON object, and waits at most `timeout_ms` for
    /// the response's head. The response is the service's own, errors included.
    pub(crate) async fn run(
        &self,
        model: &str,
        inputs: &str,
        timeout_ms: u64,
    ) -> Result<FetchResponse, Failure> {
        let failed = |error: JsValue| Failure::Network(format!("{error:?}"));
        let abort = AbortController::default();
        let inputs = JSON::parse(inputs).map_err(failed)?;
        let options = options(&abort.signal()).map_err(failed)?;
        let answer = JsFuture::from(self.0.run(model, &inputs, &options).map_err(failed)?);
        let answer = fetch::within(timeout_ms, abort, answer).await?;
        let response: web_sys::Response = answer.and_then(JsValue::dyn_into).map_err(failed)?;
        Ok(FetchResponse::new(response.into()))
    }
}

/// Without `returnRawResponse` an error has no status, and a stream no content type.
fn options(signal: &AbortSignal) -> Result<JsValue, JsValue> {
    let options = Object::new();
    Reflect::set(&options, &"returnRawResponse".into(), &JsValue::TRUE)?;
    let signal: &web_sys::AbortSignal = signal;
    Reflect::set(&options, &"signal".into(), signal)?;
    Ok(options.into())
}
