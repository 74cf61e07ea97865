//! Finds the value at fault: of `serde_json` we know how far it has read, and of the depth how
//! many objects and arrays that value is in. So the path need not be kept while a text is read.

use crate::Step;

/// What has been read up to a line and a column.
pub(crate) fn read(text: &str, line: usize, column: usize) -> &str {
    let before = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    text.get(..text.floor_char_boundary(before + column)).unwrap_or(text)
}

/// The steps to the value that begins last in what was read, but no more than `depth`.
pub(crate) fn path(read: &str, depth: usize) -> Vec<Step> {
    let mut path = Path::default();
    let bytes = read.as_bytes();
    // The whole needs no way to it.
    let mut at = if depth == 0 { bytes.len() } else { 0 };
    while let Some(byte) = bytes.get(at) {
        if *byte == b'"' {
            let end = end_of_string(bytes, at);
            path.string(read.get(at..end).unwrap_or_default());
            at = end;
        } else {
            path.punctuation(*byte);
            at += 1;
        }
    }
    path.steps.truncate(depth);
    path.steps
}

/// The offset behind the string that begins here.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The way to the value that was read last. It stays when an object or array ends, until a value
/// behind it begins: a fault may be found only then.
#[derive(Debug, Default)]
struct Path {
    steps: Vec<Step>,
    /// The objects and arrays that are open; `true` is an object in which a name comes next.
    open: Vec<bool>,
}

impl Path {
    fn punctuation(&mut self, byte: u8) {
        match byte {
            b'{' => self.open.push(true),
            b'[' => {
                self.open.push(false);
                self.step(Step::Index(0));
            }
            b'}' | b']' => {
                self.open.pop();
            }
            b',' => self.next(),
            _ => {}
        }
    }

    /// A string is a name only where one comes next.
    fn string(&mut self, text: &str) {
        let Some(is_name @ true) = self.open.last_mut() else { return };
        *is_name = false;
        self.step(Step::Name(serde_json::from_str(text).unwrap_or_default()));
    }

    /// Goes to the next value of the innermost array, or has a name come next.
    fn next(&mut self) {
        let depth = self.open.len();
        match self.steps.get(depth.saturating_sub(1)) {
            Some(Step::Index(index)) => self.step(Step::Index(index + 1)),
            _ => {
                if let Some(is_name) = self.open.last_mut() {
                    *is_name = true;
                }
            }
        }
    }

    /// Sets the innermost step.
    fn step(&mut self, step: Step) {
        self.steps.truncate(self.open.len().saturating_sub(1));
        self.steps.push(step);
    }
}
