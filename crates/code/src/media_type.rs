//! Media types of files.

/// The media type of a path, by its extension (IANA, and WHATWG MIME Sniffing
/// for JavaScript).
#[must_use]
pub fn media_type(path: &str) -> &'static str {
    match extension(path).to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json; charset=utf-8",
        "webmanifest" => "application/manifest+json; charset=utf-8",
        "svg" => "image/svg+xml; charset=utf-8",
        "xml" => "application/xml; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "vtt" => "text/vtt; charset=utf-8",
        "ics" => "text/calendar; charset=utf-8",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "gltf" => "model/gltf+json; charset=utf-8",
        "geojson" => "application/geo+json; charset=utf-8",
        "yaml" | "yml" => "application/yaml; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    }
}

fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_those_that_browsers_expect() {
        assert!(media_type("a/b.JS").starts_with("text/javascript"));
        assert!(media_type("index.html").starts_with("text/html"));
        assert!(media_type("LICENSE").starts_with("text/plain"));
    }
}
