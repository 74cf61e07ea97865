//! A project's files as a model is shown them.

use super::CodeMap;

/// Each file in a fence that nothing in it ends, with its path, as models are
/// asked to answer; empty without files.
pub fn fenced(code: &CodeMap) -> String {
    files(code.iter())
}

/// The same of some files, path and content.
pub(super) fn files<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let fenced = files.map(|(path, content)| {
        let fence = "`".repeat(longest_run(content).max(2) + 1);
        format!("{fence}:{path}\n{content}\n{fence}\n")
    });
    fenced.collect::<Vec<_>>().join("\n")
}

fn longest_run(content: &str) -> usize {
    content.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_in_a_file_does_not_end_its_fence() {
        let code = CodeMap::parse(r#"{"a.md":"````\ncode\n````"}"#).unwrap();
        assert_eq!(fenced(&code), "`````:a.md\n````\ncode\n````\n`````\n");
        assert_eq!(fenced(&CodeMap::default()), "");
    }
}
