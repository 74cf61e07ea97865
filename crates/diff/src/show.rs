//! Writes unified diffs, for people and for agents.

use std::fmt::Write as _;
use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

use crate::unified::quoted;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// The difference between two contents of a file, as `git diff` writes it; empty if they are equal. `None` means that
/// the file does not exist.
pub fn unified(old: Option<&str>, new: Option<&str>, path: &str) -> String {
    if old == new {
        return String::new();
    }
    let (old_name, new_name) = (format!("a/{path}"), format!("b/{path}"));
    let mut out = format!("diff --git {} {}\n", quoted(&old_name), quoted(&new_name));
    match (old, new) {
        (None, _) => out.push_str("new file mode 100644\n"),
        (_, None) => out.push_str("deleted file mode 100644\n"),
        _ => {}
    }
    let old_field = old.map_or("/dev/null".to_owned(), |_| field(&old_name));
    let new_field = new.map_or("/dev/null".to_owned(), |_| field(&new_name));
    let sides = Sides::new(old.unwrap_or_default(), new.unwrap_or_default());
    let hunks = sides.hunks();
    if !hunks.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(out, "--- {old_field}\n+++ {new_field}\n");
    }
    for hunk in &hunks {
        sides.write(hunk, &mut out);
    }
    out
}

/// A name after `---` or `+++`. A name with spaces is followed by a tab, so that the rest is not taken for a timestamp.
fn field(name: &str) -> String {
    let quoted = quoted(name);
    if quoted.starts_with('"') || !name.contains(' ') { quoted } else { quoted + "\t" }
}

/// A range of lines and the range that replaces it.
#[derive(Clone)]
struct Replaced {
    old: Range<usize>,
    new: Range<usize>,
}

struct Sides<'a> {
    old: Vec<&'a str>,
    new: Vec<&'a str>,
}

impl<'a> Sides<'a> {
    fn new(old: &'a str, new: &'a str) -> Self {
        Self { old: old.split_inclusive('\n').collect(), new: new.split_inclusive('\n').collect() }
    }

    /// The replacements, grouped into hunks where their contexts touch.
    fn hunks(&self) -> Vec<Vec<Replaced>> {
        let mut input = InternedInput::default();
        input.update_before(self.old.iter().copied());
        input.update_after(self.new.iter().copied());
        let mut diff = Diff::compute(Algorithm::Histogram, &input);
        diff.postprocess_lines(&input);
        let mut hunks: Vec<Vec<Replaced>> = Vec::new();
        for hunk in diff.hunks() {
            let replaced = Replaced { old: range(&hunk.before), new: range(&hunk.after) };
            let last = hunks.last_mut();
            let touches = |hunk: &Vec<Replaced>| {
                hunk.last().is_some_and(|last| last.old.end + 2 * CONTEXT >= replaced.old.start)
            };
            match last.filter(|hunk| touches(hunk)) {
                Some(hunk) => hunk.push(replaced),
                None => hunks.push(vec![replaced]),
            }
        }
        hunks
    }

    fn write(&self, hunk: &[Replaced], out: &mut String) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { return };
        let before = first.old.start.min(CONTEXT);
        let after = (self.old.len() - last.old.end).min(CONTEXT);
        let old = first.old.start - before..last.old.end + after;
        let new = first.new.start - before..last.new.end + after;
        let _ = writeln!(out, "@@ -{} +{} @@", numbers(&old), numbers(&new));
        let mut at = old.start;
        for replaced in hunk {
            push_lines(out, ' ', self.old.get(at..replaced.old.start));
            push_lines(out, '-', self.old.get(replaced.old.clone()));
            push_lines(out, '+', self.new.get(replaced.new.clone()));
            at = replaced.old.end;
        }
        push_lines(out, ' ', self.old.get(at..old.end));
    }
}

fn range(lines: &Range<u32>) -> Range<usize> {
    // The lines of a string in memory: their number fits.
    usize::try_from(lines.start).unwrap_or(usize::MAX)..usize::try_from(lines.end).unwrap_or(usize::MAX)
}

/// The first line, counted from one, and the number of lines. For an empty range, the line before it.
fn numbers(lines: &Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start + 1),
        count => format!("{},{count}", lines.start + 1),
    }
}

fn push_lines(out: &mut String, mark: char, lines: Option<&[&str]>) {
    for line in lines.unwrap_or_default() {
        out.push(mark);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}
