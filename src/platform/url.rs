//! Addresses, read as browsers read them (url.spec.whatwg.org).

use url::{ParseError, Url};
use worker::{
    js_sys::JsString,
    wasm_bindgen::{self, JsValue, prelude::wasm_bindgen},
};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = URL)]
    type PlatformUrl;

    #[wasm_bindgen(catch, constructor, js_class = URL)]
    fn new(text: &str, base: Option<&str>) -> Result<PlatformUrl, JsValue>;

    #[wasm_bindgen(method, getter)]
    fn href(this: &PlatformUrl) -> JsString;
}

/// The address that `text` is, from `base` where it is relative. A host outside ASCII is in its
/// ASCII form (UTS 46): the platform's own URL has the tables for that, which would be 36 KB of the
/// Wasm.
///
/// # Errors
/// Where it is no address.
pub(crate) fn parse(text: &str, base: Option<&Url>) -> Result<Url, ParseError> {
    match Url::options().base_url(base).parse(text) {
        Err(ParseError::IdnaError) => Url::parse(&by_platform(text, base)?),
        parsed => parsed,
    }
}

fn by_platform(text: &str, base: Option<&Url>) -> Result<String, ParseError> {
    // Native tests have no platform.
    if !cfg!(target_arch = "wasm32") {
        return Err(ParseError::IdnaError);
    }
    let url = PlatformUrl::new(text, base.map(Url::as_str)).map_err(|_| ParseError::IdnaError)?;
    Ok(url.href().into())
}
