//! Writes a project's files as Markdown, for a model.

use super::CodeMap;

/// Each file in a fence with its path, in the format that models are asked to
/// answer in. The fence is longer than any fence in the file. Empty without
/// files.
pub fn fenced(code: &CodeMap) -> String {
    files(code.iter())
}

/// The same for some files, given as path and content.
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
