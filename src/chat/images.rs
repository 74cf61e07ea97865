//! Pictures in a message.

use garde::Validate;
use hatch_dialects::request::{Content, Image as Picture, MediaSource, Part};
use serde::{Deserialize, Serialize};

/// The most pictures in a message.
pub(super) const MAX_IMAGES: usize = 4;

/// The pattern of base64 (RFC 4648, section 4).
#[cfg(test)]
const BASE64: &str = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";

/// A picture of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(inline))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Image {
    #[garde(skip)]
    media_type: MediaType,
    /// The file, in base64.
    #[garde(length(bytes, min = 4, max = 400_000), custom(is_base64))]
    #[cfg_attr(test, schemars(length(min = 4, max = 400_000), regex(pattern = BASE64)))]
    data: String,
}

/// The picture formats that Claude reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(inline))]
enum MediaType {
    #[serde(rename = "image/png")]
    Png,
    #[serde(rename = "image/jpeg")]
    Jpeg,
    #[serde(rename = "image/webp")]
    WebP,
    #[serde(rename = "image/gif")]
    Gif,
}

impl MediaType {
    fn name(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }
}

fn is_base64(data: &str, (): &()) -> garde::Result {
    let digits = data.strip_suffix("==").or_else(|| data.strip_suffix('=')).unwrap_or(data);
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match data.len().is_multiple_of(4) && digits.bytes().all(is_digit) {
        true => Ok(()),
        false => Err(garde::Error::new("is not base64")),
    }
}

impl Image {
    /// The picture as a part of a message.
    pub(super) fn part(&self) -> Part {
        let media_type = self.media_type.name().to_owned();
        let source = MediaSource::Base64 { media_type, data: self.data.clone() };
        Content::Image(Picture { source, detail: None }).into()
    }
}
