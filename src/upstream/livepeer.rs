//! Livepeer's AI gateway: generates a picture from a prompt, and a short video from the picture
//! (https://docs.livepeer.org/ai/api-reference). These are two calls because each costs money:
//! store the picture before asking for the video.

use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use worker::Method;

use super::multipart::{Form, Part};
use crate::{
    error::Error,
    platform::{
        self,
        fetch::{self, Deadline, Failure, OutboundRequest},
    },
    settings::{FromVars, ParseSettings, Vars, parses},
    upstream::web::address,
};

/// Reports faults in its variables.
pub(crate) const SETTINGS: &[ParseSettings] = &[parses::<Option<Livepeer>>()];

const LONGEST_ANSWER: usize = 256 * 1024;
/// The largest picture, in bytes.
const LARGEST_PICTURE: usize = 8 * 1024 * 1024;
const WIDTH: u32 = 1024;
const HEIGHT: u32 = 576;
/// Stable Video Diffusion makes this many frames from one picture.
const FRAMES: u32 = 25;
const FRAMES_PER_SECOND: u32 = 6;

/// The gateway that generates startups' videos.
pub(crate) struct Livepeer {
    key: String,
    base_url: String,
    /// The time limit of a picture, and again of its video.
    timeout_ms: u64,
}

/// `None` means that startups get no video.
impl FromVars for Option<Livepeer> {
    fn from_vars(vars: &Vars) -> Result<Self, Error> {
        let Some(key) = vars.get("LIVEPEER_API_KEY") else { return Ok(None) };
        let base_url = vars.base_url("LIVEPEER_BASE_URL", "https://dream-gateway.livepeer.cloud")?;
        // A model needs time, and a cold one needs more.
        let timeout_ms = vars.number("LIVEPEER_TIMEOUT_MS", 180_000)?;
        Ok(Some(Livepeer { key, base_url, timeout_ms }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Status {
    Completed,
    Failed,
    NotConfigured,
}

/// A startup's video, or the reason why it has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Video {
    pub(crate) video_url: Option<String>,
    /// Its first frame; also set when only the video failed.
    pub(crate) thumbnail_url: Option<String>,
    /// In seconds.
    pub(crate) duration: Option<u32>,
    pub(crate) status: Status,
}

impl Video {
    pub(crate) fn not_configured() -> Self {
        Self { video_url: None, thumbnail_url: None, duration: None, status: Status::NotConfigured }
    }

    /// A missing or unfinished video, perhaps with its picture.
    pub(crate) fn failed(thumbnail_url: Option<String>) -> Self {
        Self { thumbnail_url, status: Status::Failed, ..Self::not_configured() }
    }
}

/// Generates a picture for `prompt`; returns its URL.
///
/// # Errors
/// The reason, in words for the user.
pub(crate) async fn picture(prompt: &str, livepeer: &Livepeer) -> Result<String, String> {
    let deadline = Deadline::after(livepeer.timeout_ms);
    let body = json!({
        "prompt": prompt, "width": WIDTH, "height": HEIGHT, "num_images_per_prompt": 1, "safety_check": true,
    });
    let request =
        OutboundRequest::post_json(format!("{}/text-to-image", livepeer.base_url), body.to_string());
    generate(request, livepeer, deadline).await.map(String::from)
}

/// Generates a video from a [`picture`].
///
/// # Errors
/// The reason, in words for the user.
pub(crate) async fn video(picture: &str, livepeer: &Livepeer) -> Result<Video, String> {
    let deadline = Deadline::after(livepeer.timeout_ms);
    let image = download(picture, deadline).await?;
    let form = form(&image)?;
    let request = OutboundRequest::new(Method::Post, format!("{}/image-to-video", livepeer.base_url))
        .carrying(form.media_type, form.body);
    let video = generate(request, livepeer, deadline).await?;
    Ok(Video {
        video_url: Some(video.into()),
        thumbnail_url: Some(picture.to_owned()),
        duration: Some(FRAMES.div_ceil(FRAMES_PER_SECOND)),
        status: Status::Completed,
    })
}

fn form(image: &[u8]) -> Result<Form, String> {
    let (fps, width, height) = (FRAMES_PER_SECOND.to_string(), WIDTH.to_string(), HEIGHT.to_string());
    let parts = [("fps", &*fps), ("width", &*width), ("height", &*height), ("safety_check", "true")]
        .map(|(name, value)| Part { name, file: None, body: value.as_bytes() });
    let picture = Part { name: "image", file: Some(("image.png", "image/png")), body: image };
    Form::of(parts.into_iter().chain([picture])).map_err(|_| "there is no randomness".to_owned())
}

#[derive(Deserialize)]
struct Made {
    images: Vec<Media>,
}

#[derive(Deserialize)]
struct Media {
    url: String,
    #[serde(default)]
    nsfw: bool,
}

/// Requests media and returns its URL.
async fn generate(request: OutboundRequest, livepeer: &Livepeer, deadline: Deadline) -> Result<Url, String> {
    let request = request.with("authorization", format!("Bearer {}", livepeer.key));
    let answer = fetch::send(request, left(deadline)?).await.map_err(|failure| unreached(&failure))?;
    match answer.status() {
        200 => {}
        401 | 403 => return Err("Livepeer refused our key: check LIVEPEER_API_KEY".to_owned()),
        429 => return Err("Livepeer takes no more requests for now".to_owned()),
        status => return Err(format!("Livepeer answered {status}")),
    }
    let body = answer.text(LONGEST_ANSWER, left(deadline)?).await.map_err(|failure| unreached(&failure))?;
    let made: Made = hatch_json::from_str(&body)
        .map_err(|_| "Livepeer answered something that is not its API".to_owned())?;
    let Some(media) = made.images.first() else { return Err("Livepeer made nothing".to_owned()) };
    if media.nsfw {
        return Err("Livepeer marked its result as unsafe to show".to_owned());
    }
    resolve(&media.url, &livepeer.base_url)
        .ok_or_else(|| "Livepeer names an address that is not public".to_owned())
}

/// The URL of generated media, which some gateways give relative to themselves. Any other URL must
/// be on the public web, like every address from outside.
fn resolve(media: &str, base_url: &str) -> Option<Url> {
    let base = Url::parse(&format!("{base_url}/")).ok()?;
    let url = platform::url::parse(media, Some(&base)).ok()?;
    if url.origin() == base.origin() {
        return Some(url);
    }
    address::public(url, None).ok()
}

async fn download(picture: &str, deadline: Deadline) -> Result<Vec<u8>, String> {
    let answer = fetch::send(OutboundRequest::get(picture.to_owned()), left(deadline)?)
        .await
        .map_err(|failure| unreached(&failure))?;
    let media_type = answer.header("content-type").unwrap_or_default();
    if answer.status() != 200 || !media_type.starts_with("image/") {
        return Err("Livepeer's picture cannot be read".to_owned());
    }
    let image = answer.beginning(LARGEST_PICTURE + 1, left(deadline)?).await;
    match image.len() {
        1..=LARGEST_PICTURE => Ok(image),
        _ => Err("Livepeer's picture is too large".to_owned()),
    }
}

fn left(deadline: Deadline) -> Result<u64, String> {
    deadline.left().map_err(|failure| unreached(&failure))
}

fn unreached(failure: &Failure) -> String {
    match failure {
        Failure::Timeout => "Livepeer did not answer in time".to_owned(),
        Failure::Network(_) | Failure::TooLong => "Livepeer cannot be reached".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_resolves_against_the_gateway_or_is_refused() {
        let base = "https://dream-gateway.livepeer.cloud";
        let at = |media: &str| resolve(media, base).map(String::from);
        assert_eq!(
            at("/stream/ab/1.png").as_deref(),
            Some("https://dream-gateway.livepeer.cloud/stream/ab/1.png")
        );
        assert_eq!(at("stream/1.png").as_deref(), Some("https://dream-gateway.livepeer.cloud/stream/1.png"));
        assert_eq!(at("https://obj.example/1.png").as_deref(), Some("https://obj.example/1.png"));
        for media in [
            "http://obj.example/1.png",
            "https://127.0.0.1/1.png",
            "//localhost/x",
            "data:image/png,x",
            "https://",
        ] {
            assert_eq!(at(media), None, "{media}");
        }
        assert_eq!(
            resolve("out/1.mp4", "https://livepeer.studio/api/beta/generate").map(String::from).as_deref(),
            Some("https://livepeer.studio/api/beta/generate/out/1.mp4")
        );
    }

    #[test]
    fn a_form_ends_each_part_as_it_began_it() {
        let form = form(b"\x89PNG\r\n").unwrap();
        let boundary = form.media_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let text = String::from_utf8_lossy(&form.body);
        assert_eq!(text.matches(&format!("--{boundary}\r\n")).count(), 5);
        assert!(text.ends_with(&format!("PNG\r\n\r\n--{boundary}--\r\n")));
        assert!(text.contains("name=\"fps\"\r\n\r\n6\r\n"));
        assert!(text.contains("name=\"image\"; filename=\"image.png\"\r\nContent-Type: image/png\r\n\r\n"));
    }
}
