//! Cloudflare's cache of its own place (developers.cloudflare.com/workers/runtime-apis/cache):
//! what is there may be gone at any time.

use worker::{Cache, Headers, Response};

/// Nobody else's addresses begin so.
const ORIGIN: &str = "https://cache.internal/";

/// What was put under a name; none when it is gone, or cannot be had now.
pub(crate) async fn get(name: &str) -> Option<String> {
    let mut found = Cache::default().get(format!("{ORIGIN}{name}"), false).await.ok()??;
    found.text().await.ok()
}

/// Keeps a text for so many seconds. That it is not kept is no error.
pub(crate) async fn put(name: &str, text: String, seconds: u32) {
    let headers = Headers::new();
    let put = async {
        headers.set("cache-control", &format!("max-age={seconds}"))?;
        Cache::default().put(format!("{ORIGIN}{name}"), Response::ok(text)?.with_headers(headers)).await
    };
    let _: worker::Result<()> = put.await;
}
