//! `multipart/form-data` (RFC 7578), byte for byte as browsers send it.

use crate::{error::Error, platform::random};

/// One field of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// In characters that need no quoting, as all of ours.
    pub(super) name: &'a str,
    /// The file name, with the same limits, and the media type of a file.
    pub(super) file: Option<(&'a str, &'a str)>,
    pub(super) body: &'a [u8],
}

/// A complete form.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) media_type: String,
    pub(super) body: Vec<u8>,
}

impl Form {
    /// # Errors
    /// [`Error::Internal`] without randomness.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = Part<'a>>) -> Result<Self, Error> {
        // The boundary is random, so that no part contains it by chance.
        let boundary = format!("----hatch-{}", random::uuid()?);
        let body = serialize(parts, &boundary);
        Ok(Self { media_type: format!("multipart/form-data; boundary={boundary}"), body })
    }
}

fn serialize<'a>(parts: impl IntoIterator<Item = Part<'a>>, boundary: &str) -> Vec<u8> {
    let mut form = Vec::new();
    for Part { name, file, body } in parts {
        let file =
            file.map(|(name, media_type)| format!("; filename=\"{name}\"\r\nContent-Type: {media_type}"));
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{}\r\n\r\n",
            file.unwrap_or_default()
        );
        form.extend_from_slice(head.as_bytes());
        form.extend_from_slice(body);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    form
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_form_is_what_a_browser_sends() {
        let parts = [
            Part { name: "metadata", file: None, body: b"{}" },
            Part { name: "ab12", file: Some(("ab12", "text/html")), body: b"PGgxPg==" },
        ];
        assert_eq!(
            String::from_utf8(serialize(parts, "B")).unwrap(),
            "--B\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{}\r\n\
             --B\r\nContent-Disposition: form-data; name=\"ab12\"; filename=\"ab12\"\r\n\
             Content-Type: text/html\r\n\r\nPGgxPg==\r\n--B--\r\n"
        );
    }

    #[test]
    fn each_form_has_a_boundary_of_its_own_and_names_it() {
        let [first, second] =
            [(); 2].map(|()| Form::of([Part { name: "a", file: None, body: b"1" }]).unwrap());
        let boundary = first.media_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert!(first.body.ends_with(format!("\r\n--{boundary}--\r\n").as_bytes()));
        assert_ne!(first.media_type, second.media_type);
    }

    proptest! {
        #[test]
        fn each_parts_bytes_are_in_the_form_unchanged(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..5)) {
            let boundary = "a boundary that no body has by chance";
            let form = serialize(bodies.iter().map(|body| Part { name: "n", file: None, body }), boundary);
            let mut rest = form.as_slice();
            for body in &bodies {
                let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n");
                rest = rest.strip_prefix(head.as_bytes()).unwrap();
                rest = rest.strip_prefix(body.as_slice()).unwrap().strip_prefix(b"\r\n").unwrap();
            }
            let end = format!("--{boundary}--\r\n");
            prop_assert_eq!(rest, end.as_bytes());
        }
    }
}
