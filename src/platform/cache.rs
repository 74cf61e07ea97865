//! The cache of a Cloudflare location (developers.cloudflare.com/workers/runtime-apis/cache): an
//! entry may disappear at any time.

use worker::{Cache, Headers, Response};

/// No real address starts like this.
const ORIGIN: &str = "https://cache.internal/";

/// The text stored under a name; `None` when it is gone or cannot be read.
pub(crate) async fn get(name: &str) -> Option<String> {
    let mut found = Cache::default().get(format!("{ORIGIN}{name}"), false).await.ok()??;
    found.text().await.ok()
}

/// Stores a text for so many seconds. A failure is not an error.
pub(crate) async fn put(name: &str, text: String, seconds: u32) {
    let headers = Headers::new();
    let put = async {
        headers.set("cache-control", &format!("max-age={seconds}"))?;
        Cache::default().put(format!("{ORIGIN}{name}"), Response::ok(text)?.with_headers(headers)).await
    };
    let _: worker::Result<()> = put.await;
}
