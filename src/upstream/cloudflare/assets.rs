//! Static assets: the list of files is sent first, and only files that Cloudflare lacks are
//! uploaded.
//! <https://developers.cloudflare.com/workers/static-assets/direct-upload/>

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use worker::Method;

use super::{Api, api::Body, errors::ApiFailure};
use crate::{
    error::Error,
    upstream::multipart::{Form, Part},
};

/// Concurrent uploads, as in wrangler.
const UPLOADS: usize = 3;
/// The length of the hash by which Cloudflare identifies a file.
const HASH_DIGITS: usize = 32;

/// A file of an app.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asset<'a> {
    /// The path without a leading slash.
    pub(crate) path: &'a str,
    pub(crate) content: &'a str,
    /// The media type with which it is served.
    pub(crate) media_type: &'a str,
}

/// Cloudflare's hash of a file: over its content and its extension, because the extension decides
/// how the file is served.
fn hash(asset: &Asset<'_>) -> String {
    let name = asset.path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let digest = Sha256::new().chain_update(asset.content).chain_update(extension).finalize();
    base16ct::lower::encode_string(digest.get(..HASH_DIGITS / 2).unwrap_or_default())
}

/// How a manifest encodes a path.
type Written = fn(&str) -> String;

/// `{"/path": {"hash", "size"}}`, sizes in bytes.
fn manifest(assets: &[(String, Asset<'_>)], written: Written) -> Value {
    let entry = |(hash, asset): &(String, Asset<'_>)| {
        (format!("/{}", written(asset.path)), json!({ "hash": hash, "size": asset.content.len() }))
    };
    Value::Object(assets.iter().map(entry).collect::<Map<_, _>>())
}

/// Encodes each part of a path like JavaScript's `encodeURIComponent`.
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => {
                out.push(char::from(byte))
            }
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The files that Cloudflare asks for.
#[derive(Debug, Deserialize)]
struct Session {
    /// The token for the uploads or, when there is nothing to upload, the completion token.
    #[serde(default)]
    jwt: Option<String>,
    #[serde(default)]
    buckets: Option<Vec<Vec<String>>>,
}

#[derive(Debug, Default, Deserialize)]
struct Uploaded {
    /// Only in the response to the last upload.
    #[serde(default)]
    jwt: Option<String>,
}

/// The result when Cloudflare has all files of an app.
#[derive(Debug)]
pub(crate) struct Complete {
    pub(crate) jwt: String,
    pub(crate) uploaded: usize,
}

impl Api<'_> {
    /// Uploads the assets of a script that Cloudflare lacks.
    pub(crate) async fn bring_assets(&self, script: &str, assets: &[Asset<'_>]) -> Result<Complete, Error> {
        let assets: Vec<_> = assets.iter().map(|asset| (hash(asset), *asset)).collect();
        let path = self.script(script, "/assets-upload-session");
        let begun = self.begin_session(&path, &assets, str::to_owned).await;
        // wrangler sends paths unencoded; the API reports when it wants them encoded.
        let session = match begun {
            Err(failure) if failure.wants_encoded_paths() => {
                self.begin_session(&path, &assets, encoded).await?
            }
            begun => begun?,
        };
        let jwt = session.jwt.ok_or_else(ApiFailure::unexpected)?;
        let buckets: Vec<_> =
            session.buckets.unwrap_or_default().into_iter().filter(|bucket| !bucket.is_empty()).collect();
        let uploaded = buckets.iter().map(Vec::len).sum();
        if buckets.is_empty() {
            return Ok(Complete { jwt, uploaded });
        }
        let uploads = buckets.iter().map(|bucket| self.upload(bucket, &assets, &jwt));
        let answers: Vec<Option<String>> = stream::iter(uploads).buffered(UPLOADS).try_collect().await?;
        // Responses may arrive out of order: the last token counts.
        let jwt = answers.into_iter().flatten().next_back().ok_or_else(ApiFailure::unexpected)?;
        Ok(Complete { jwt, uploaded })
    }

    async fn begin_session(
        &self,
        path: &str,
        assets: &[(String, Asset<'_>)],
        written: Written,
    ) -> Result<Session, ApiFailure> {
        let body = Body::Json(json!({ "manifest": manifest(assets, written) }));
        self.call(Method::Post, path, &body).await
    }

    /// Uploads a bucket with its session's token.
    async fn upload(
        &self,
        bucket: &[String],
        assets: &[(String, Asset<'_>)],
        jwt: &str,
    ) -> Result<Option<String>, Error> {
        let find = |wanted: &String| assets.iter().find(|(hash, _)| hash == wanted).map(|(_, asset)| asset);
        let wanted: Option<Vec<(&String, &Asset<'_>)>> =
            bucket.iter().map(|hash| Some((hash, find(hash)?))).collect();
        // Cloudflare asks for a file that is not in our list.
        let wanted = wanted.ok_or_else(ApiFailure::unexpected)?;
        let encoded: Vec<String> = wanted.iter().map(|(_, asset)| STANDARD.encode(asset.content)).collect();
        let parts = wanted.iter().zip(&encoded).map(|((hash, asset), body)| Part {
            name: hash,
            file: Some((hash.as_str(), asset.media_type)),
            body: body.as_bytes(),
        });
        let body = Body::Multipart(Form::of(parts)?);
        let path = self.in_account("assets/upload?base64=true");
        let uploaded: Option<Uploaded> = self.call_with(jwt, Method::Post, &path, &body).await?;
        Ok(uploaded.and_then(|uploaded| uploaded.jwt).filter(|jwt| !jwt.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset<'a>(path: &'a str, content: &'a str) -> Asset<'a> {
        Asset { path, content, media_type: "text/html" }
    }

    #[test]
    fn a_hash_is_of_content_and_extension() {
        assert_eq!(hash(&asset("index.html", "<h1>hi</h1>")), "1a27371965b24ea67226cd8b4483e389");
        assert_eq!(hash(&asset("a/b.html", "x")), hash(&asset("c.html", "x")));
        assert_ne!(hash(&asset("a.html", "x")), hash(&asset("a.js", "x")));
        assert_ne!(hash(&asset("a.b/c", "x")), hash(&asset("a.b", "x")));
    }

    #[test]
    fn a_manifest_has_bytes_for_sizes_and_slashes_before_paths() {
        let file = asset("a/ü.html", "ü");
        let message = |written: Written| manifest(&[("h".to_owned(), file)], written);
        assert_eq!(message(str::to_owned), json!({ "/a/ü.html": { "hash": "h", "size": 2 } }));
        assert_eq!(message(encoded), json!({ "/a/%C3%BC.html": { "hash": "h", "size": 2 } }));
        assert_eq!(encoded("a b/50%/it's(1).txt"), "a%20b/50%25/it's(1).txt");
    }
}
