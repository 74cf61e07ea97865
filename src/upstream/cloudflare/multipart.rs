//! `multipart/form-data` (RFC 7578), byte for byte as browsers write it. Pure.

use std::fmt::Write as _;

/// One field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// Of characters that need no quoting: ours all are.
    pub(super) name: &'a str,
    /// The media type of a part that is a file, named as its field.
    pub(super) file: Option<&'a str>,
    pub(super) body: &'a str,
}

/// The form's text. No part may contain `boundary`, which is random.
pub(super) fn form<'a>(parts: impl IntoIterator<Item = Part<'a>>, boundary: &str) -> String {
    let mut form = String::new();
    for Part { name, file, body } in parts {
        // Writing to a String cannot fail.
        let _ = write!(form, "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
        if let Some(media_type) = file {
            let _ = write!(form, "; filename=\"{name}\"\r\nContent-Type: {media_type}");
        }
        let _ = write!(form, "\r\n\r\n{body}\r\n");
    }
    let _ = write!(form, "--{boundary}--\r\n");
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_what_a_browser_sends() {
        let parts = [
            Part { name: "metadata", file: None, body: "{}" },
            Part { name: "ab12", file: Some("text/html"), body: "PGgxPg==" },
        ];
        assert_eq!(
            form(parts, "B"),
            "--B\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{}\r\n\
             --B\r\nContent-Disposition: form-data; name=\"ab12\"; filename=\"ab12\"\r\n\
             Content-Type: text/html\r\n\r\nPGgxPg==\r\n--B--\r\n"
        );
    }
}
