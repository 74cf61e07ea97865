//! Livepeer's AI gateway: a picture from words, and a short video from the
//! picture (https://docs.livepeer.org/ai/api-reference).

use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use crate::{
    platform::{
        fetch::{self, Failure, Outgoing},
        random,
    },
    settings::{Livepeer, Settings},
    upstream::web::address,
};

/// A model takes its time, and a cold one more.
const DEADLINE_MS: u64 = 180_000;
const LONGEST_ANSWER: usize = 256 * 1024;
/// The largest picture, in bytes.
const LARGEST_PICTURE: usize = 8 * 1024 * 1024;
const WIDTH: u32 = 1024;
const HEIGHT: u32 = 576;
/// Stable Video Diffusion makes so many pictures of one.
const FRAMES: u32 = 25;
const FRAMES_PER_SECOND: u32 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Status {
    Completed,
    Failed,
    NotConfigured,
}

/// A startup's video, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Video {
    pub(crate) video_url: Option<String>,
    /// The picture that it begins with; also where only the video failed.
    pub(crate) thumbnail_url: Option<String>,
    /// Seconds.
    pub(crate) duration: Option<u32>,
    pub(crate) status: Status,
}

impl Video {
    fn none(status: Status) -> Self {
        Self { video_url: None, thumbnail_url: None, duration: None, status }
    }
}

/// Makes a video of what `prompt` describes. It never fails but says so; the
/// reason, in words for a person, is the second.
pub(crate) async fn video(prompt: &str, settings: &Settings) -> (Video, Option<String>) {
    let Some(livepeer) = &settings.livepeer else { return (Video::none(Status::NotConfigured), None) };
    let picture = match text_to_image(prompt, livepeer).await {
        Ok(picture) => picture,
        Err(reason) => return (Video::none(Status::Failed), Some(reason)),
    };
    let thumbnail_url = Some(picture.to_string());
    match image_to_video(&picture, livepeer).await {
        Ok(video) => {
            let duration = Some(FRAMES.div_ceil(FRAMES_PER_SECOND));
            let video_url = Some(video.to_string());
            (Video { video_url, thumbnail_url, duration, status: Status::Completed }, None)
        }
        Err(reason) => (Video { thumbnail_url, ..Video::none(Status::Failed) }, Some(reason)),
    }
}

async fn text_to_image(prompt: &str, livepeer: &Livepeer) -> Result<Url, String> {
    let wanted = json!({
        "prompt": prompt, "width": WIDTH, "height": HEIGHT, "num_images_per_prompt": 1, "safety_check": true,
    });
    made(Outgoing::post_json(format!("{}/text-to-image", livepeer.base_url), wanted.to_string()), livepeer)
        .await
}

async fn image_to_video(picture: &Url, livepeer: &Livepeer) -> Result<Url, String> {
    let image = download(picture).await?;
    let mut boundary = [0; 16];
    random::fill(&mut boundary).map_err(|_| "there is no randomness".to_owned())?;
    let boundary = base16ct::lower::encode_string(&boundary);
    let body = form(&boundary, &image);
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let url = format!("{}/image-to-video", livepeer.base_url);
    made(Outgoing::new(worker::Method::Post, url).carrying(content_type, body), livepeer).await
}

/// The fields of an image-to-video request (RFC 7578). Nothing in it but the
/// picture's bytes comes from outside, and no boundary of ours is in them by
/// chance.
fn form(boundary: &str, image: &[u8]) -> Vec<u8> {
    let fields = [
        ("fps", FRAMES_PER_SECOND.to_string()),
        ("width", WIDTH.to_string()),
        ("height", HEIGHT.to_string()),
        ("safety_check", "true".to_owned()),
    ];
    let mut body = Vec::with_capacity(image.len() + 1_024);
    for (name, value) in fields {
        body.extend(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .bytes(),
        );
    }
    let head =
        "Content-Disposition: form-data; name=\"image\"; filename=\"image.png\"\r\nContent-Type: image/png";
    body.extend(format!("--{boundary}\r\n{head}\r\n\r\n").bytes());
    body.extend(image);
    body.extend(format!("\r\n--{boundary}--\r\n").bytes());
    body
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

/// Asks for media and answers where it is.
async fn made(request: Outgoing, livepeer: &Livepeer) -> Result<Url, String> {
    let request = request.with("authorization", format!("Bearer {}", livepeer.key));
    let answer = fetch::send(request, DEADLINE_MS).await.map_err(|failure| unreached(&failure))?;
    match answer.status() {
        200 => {}
        401 | 403 => return Err("Livepeer refused our key: check LIVEPEER_API_KEY".to_owned()),
        429 => return Err("Livepeer takes no more requests for now".to_owned()),
        status => return Err(format!("Livepeer answered {status}")),
    }
    let body = answer.text(LONGEST_ANSWER, DEADLINE_MS).await.map_err(|failure| unreached(&failure))?;
    let made: Made = serde_json::from_str(&body)
        .map_err(|_| "Livepeer answered something that is not its API".to_owned())?;
    let Some(media) = made.images.first() else { return Err("Livepeer made nothing".to_owned()) };
    if media.nsfw {
        return Err("What Livepeer made is not fit to be shown".to_owned());
    }
    resolve(&media.url, &livepeer.base_url)
        .ok_or_else(|| "Livepeer names an address that is not public".to_owned())
}

/// Where media is: some gateways tell it relative to themselves. Anywhere
/// else it must be on the public web, like every address of somebody else's.
fn resolve(media: &str, base_url: &str) -> Option<Url> {
    let base = Url::parse(&format!("{base_url}/")).ok()?;
    let url = base.join(media).ok()?;
    if url.origin() == base.origin() {
        return Some(url);
    }
    address::public(url.as_str(), None).ok()
}

async fn download(picture: &Url) -> Result<Vec<u8>, String> {
    let answer = fetch::send(Outgoing::get(picture.to_string()), DEADLINE_MS)
        .await
        .map_err(|failure| unreached(&failure))?;
    let media_type = answer.header("content-type").unwrap_or_default();
    if answer.status() != 200 || !media_type.starts_with("image/") {
        return Err("Livepeer's picture cannot be read".to_owned());
    }
    let image = answer.beginning(LARGEST_PICTURE + 1, DEADLINE_MS).await;
    match image.len() {
        1..=LARGEST_PICTURE => Ok(image),
        _ => Err("Livepeer's picture is too large".to_owned()),
    }
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
    fn media_is_where_the_gateway_says_or_nowhere() {
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
        let form = form("b0", b"\x89PNG\r\n");
        let text = String::from_utf8_lossy(&form);
        assert_eq!(text.matches("--b0\r\n").count(), 5);
        assert!(text.ends_with("PNG\r\n\r\n--b0--\r\n"));
        assert!(text.contains("name=\"fps\"\r\n\r\n6\r\n"));
    }
}
