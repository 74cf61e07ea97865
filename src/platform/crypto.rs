//! Signatures by the platform's own crypto: it knows RSA, which would be
//! kilobytes of Wasm.

use worker::{
    js_sys::{Array, JSON, Promise, Uint8Array, futures::JsFuture},
    wasm_bindgen::{self, JsValue, prelude::wasm_bindgen},
};

use crate::error::Error;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = importKey)]
    fn import_key(
        format: &str,
        key: &Uint8Array,
        algorithm: &JsValue,
        is_extractable: bool,
        usages: &Array,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"])]
    fn sign(algorithm: &str, key: &JsValue, message: &Uint8Array) -> Result<Promise, JsValue>;
}

const RSA: &str = "RSASSA-PKCS1-v1_5";

/// The signature of `message` by RS256, with an RSA key in PKCS#8.
///
/// # Errors
/// [`Error::Internal`] where it is no such key.
pub(crate) async fn rs256(pkcs8: &[u8], message: &[u8]) -> Result<Vec<u8>, Error> {
    // The platform's words may repeat the key.
    let failed = |_: JsValue| Error::Internal("the platform did not sign".to_owned());
    let algorithm = JSON::parse(&format!(r#"{{"name":"{RSA}","hash":"SHA-256"}}"#)).map_err(failed)?;
    let usages = Array::of1(&JsValue::from_str("sign"));
    let key = import_key("pkcs8", &Uint8Array::from(pkcs8), &algorithm, false, &usages).map_err(failed)?;
    let key = JsFuture::from(key).await.map_err(failed)?;
    let signature = sign(RSA, &key, &Uint8Array::from(message)).map_err(failed)?;
    let signature = JsFuture::from(signature).await.map_err(failed)?;
    Ok(Uint8Array::new(&signature).to_vec())
}
