//! Parses the lines of a `diff --git` header.

use super::name;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Change,
    Create,
    Delete,
    Rename,
    Copy,
}

/// What the header lines read so far say about a file.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) operation: Operation,
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
    pub(super) old_mode: Option<u32>,
    pub(super) new_mode: Option<u32>,
    /// `---` and `+++` as they are written.
    old_field: Option<String>,
    new_field: Option<String>,
}

/// The meaning of one line.
pub(super) enum HeaderLine {
    Read,
    /// It does not belong to the header.
    Other,
}

/// Handles the rest of a line after its keyword.
type Take = fn(&mut Header, &str) -> Result<(), &'static str>;

const LINES: [(&str, Take); 13] = [
    ("--- ", |header, field| put(&mut header.old_field, field)),
    ("+++ ", |header, field| put(&mut header.new_field, field)),
    ("old mode ", |header, field| put_mode(&mut header.old_mode, field)),
    ("new mode ", |header, field| put_mode(&mut header.new_mode, field)),
    ("deleted file mode ", |header, field| {
        put_mode(&mut header.old_mode, field)?;
        header.is(Operation::Delete)
    }),
    ("new file mode ", |header, field| {
        put_mode(&mut header.new_mode, field)?;
        header.is(Operation::Create)
    }),
    ("copy from ", |header, field| header.names_old(Operation::Copy, field)),
    ("copy to ", |header, field| header.names_new(Operation::Copy, field)),
    ("rename from ", |header, field| header.names_old(Operation::Rename, field)),
    ("rename to ", |header, field| header.names_new(Operation::Rename, field)),
    ("similarity index ", |_, _| Ok(())),
    ("dissimilarity index ", |_, _| Ok(())),
    ("index ", |header, field| match field.split_once(' ') {
        Some((_, mode)) => put_mode(&mut header.old_mode, mode),
        None => Ok(()),
    }),
];

impl Header {
    pub(super) fn new() -> Self {
        let operation = Operation::Change;
        Self {
            operation,
            old: None,
            new: None,
            old_mode: None,
            new_mode: None,
            old_field: None,
            new_field: None,
        }
    }

    /// Takes the next line of the header.
    pub(super) fn read(&mut self, line: &str) -> Result<HeaderLine, &'static str> {
        // The header ends once both files are named, because a deleted line may begin with two dashes.
        if self.new_field.is_some() {
            return Ok(HeaderLine::Other);
        }
        for (start, take) in LINES {
            if let Some(field) = line.strip_prefix(start) {
                take(self, field)?;
                return Ok(HeaderLine::Read);
            }
        }
        Ok(HeaderLine::Other)
    }

    /// Determines the two names at the end of the header. `pair` is the rest of the `diff --git` line.
    pub(super) fn resolve(&mut self, pair: &str) -> Result<(), &'static str> {
        if self.old_field.is_some() != self.new_field.is_some() {
            return Err("one of --- and +++ is missing");
        }
        self.resolve_absent()?;
        let (old, new) = match (&self.old_field, &self.new_field) {
            (Some(old), Some(new)) => agreeing(field_names(old, new)?, &pair_names(pair))?,
            _ => pair_names(pair),
        };
        if self.old.is_some() != self.new.is_some() {
            return Err("a renamed or copied file has two names");
        }
        if self.old.is_none() && self.new.is_none() {
            (self.old, self.new) = (old, new);
        } else if self.old_field.is_some() && (old != self.old || new != self.new) {
            return Err("the names of the file differ between lines");
        }
        self.check_names()
    }

    /// Checks that `/dev/null` is on the side without a file, and only there.
    fn resolve_absent(&mut self) -> Result<(), &'static str> {
        let is_absent = |field: &Option<String>| field.as_deref().is_some_and(is_dev_null);
        let absent = (is_absent(&self.old_field), is_absent(&self.new_field));
        let has_fields = self.old_field.is_some();
        match (absent, self.operation) {
            ((true, false), Operation::Change) => self.operation = Operation::Create,
            ((false, true), Operation::Change) => self.operation = Operation::Delete,
            ((true, false), Operation::Create) | ((false, true), Operation::Delete) => {}
            ((false, false), Operation::Create | Operation::Delete) if has_fields => {
                return Err("a new or deleted file has /dev/null on one side");
            }
            ((false, false), _) => {}
            _ => return Err("/dev/null is on a side where there is a file"),
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), &'static str> {
        match (self.operation, &self.old, &self.new) {
            (Operation::Create, _, Some(_)) | (Operation::Delete, Some(_), _) => Ok(()),
            (Operation::Change, Some(old), Some(new)) if old != new => {
                Err("a file with two names is neither renamed nor copied")
            }
            (Operation::Change | Operation::Rename | Operation::Copy, Some(_), Some(_)) => Ok(()),
            _ => Err("the header does not name its file"),
        }
    }

    /// The new file mode, if the header sets one.
    pub(super) fn set_mode(&self) -> Option<u32> {
        self.new_mode.filter(|mode| self.old_mode != Some(*mode))
    }

    /// Whether all modes are those of ordinary files.
    pub(super) fn is_of_file(&self) -> bool {
        [self.old_mode, self.new_mode].into_iter().flatten().all(|mode| mode & 0o170_000 == 0o100_000)
    }

    fn is(&mut self, operation: Operation) -> Result<(), &'static str> {
        if self.operation != Operation::Change && self.operation != operation {
            return Err("the header contradicts itself");
        }
        self.operation = operation;
        Ok(())
    }

    fn names_old(&mut self, operation: Operation, field: &str) -> Result<(), &'static str> {
        put(&mut self.old, &name::read(field).ok_or(UNREADABLE)?)?;
        self.is(operation)
    }

    fn names_new(&mut self, operation: Operation, field: &str) -> Result<(), &'static str> {
        put(&mut self.new, &name::read(field).ok_or(UNREADABLE)?)?;
        self.is(operation)
    }
}

const UNREADABLE: &str = "the name cannot be read";

fn put(slot: &mut Option<String>, field: &str) -> Result<(), &'static str> {
    match slot.replace(field.to_owned()) {
        None => Ok(()),
        Some(_) => Err("the header has the same line twice"),
    }
}

fn put_mode(slot: &mut Option<u32>, field: &str) -> Result<(), &'static str> {
    *slot = Some(u32::from_str_radix(field.trim_end(), 8).map_err(|_| "the mode is not a number")?);
    Ok(())
}

fn is_dev_null(field: &str) -> bool {
    field.split_whitespace().next() == Some("/dev/null")
}

/// The names of a `---` and a `+++` line; `None` if there is no file.
pub(super) fn field_names(old: &str, new: &str) -> Result<(Option<String>, Option<String>), &'static str> {
    let read = |field: &str| match is_dev_null(field) {
        true => Ok(None),
        false => name::read(field).map(Some).ok_or(UNREADABLE),
    };
    Ok(name::without_prefixes(read(old)?, read(new)?))
}

/// The names of a file before and after.
type Names = (Option<String>, Option<String>);

/// The names of the `---` and `+++` lines, if the `diff --git` line agrees.
fn agreeing(fields: Names, pair: &Names) -> Result<Names, &'static str> {
    let differs = |field: &Option<String>| field.is_some() && pair.0.is_some() && *field != pair.0;
    if differs(&fields.0) || differs(&fields.1) {
        return Err("the names of the file differ between lines");
    }
    Ok(fields)
}

/// The names of a `diff --git` line, if both are the same.
fn pair_names(pair: &str) -> Names {
    let Some((old, new)) = name::read_pair(pair) else { return (None, None) };
    let (old, new) = name::without_prefixes(Some(old), Some(new));
    if old == new { (old, new) } else { (None, None) }
}
