//! Writes the files of a project as a ZIP, the same bytes for the same files, and reads such
//! archives. Pure.
//!
//! Written without the `zip` crate, whose decoders, ciphers and dates would be in the Worker too.
//! PKWARE's APPNOTE 6.3.10 needs only a local header (4.3.7), a central header (4.3.12) and the end
//! record (4.3.16).

use std::collections::{BTreeMap, BTreeSet};

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use hatch_code::{composed, safe_path};
use miniz_oxide::{deflate::compress_to_vec, inflate::decompress_to_vec_with_limit};

/// APPNOTE 4.4.7.
const CHECKSUM: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
/// 1 January 1980, 00:00:00, the format's first moment. A real time would make the bytes differ
/// each time.
const DATE: u16 = 0x0021;
const TIME: u16 = 0;
/// Version 2.0, which introduced deflate.
const NEEDS: u16 = 20;
/// Version 2.0, with Unix file attributes.
const MADE_BY: u16 = (3 << 8) | NEEDS;
/// Names are UTF-8.
const UTF_8: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The default level of `gzip`.
const LEVEL: u8 = 6;
/// A regular file, and its permissions.
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;

/// An archive of the files, each below `root` (a plain name, such as a slug). Info-ZIP, Python's
/// zipfile and macOS read it; scripts are executable.
///
/// # Errors
/// The path that must not be in an archive, and why.
pub(crate) fn archive(root: &str, files: &BTreeMap<String, String>) -> Result<Vec<u8>, String> {
    let paths = checked_paths(root, files)?;
    let entries = u16::try_from(files.len()).map_err(|_| "more files than an archive can hold".to_owned())?;
    let mut zip = Vec::new();
    let mut central = Vec::new();
    for (path, content) in paths.iter().zip(files.values()) {
        let offset = small(zip.len())?;
        let entry = Entry::new(path, content)?;
        zip.extend(b"PK\x03\x04");
        entry.describe(&mut zip);
        zip.extend(path.as_bytes());
        zip.extend(&entry.data);
        central.extend(b"PK\x01\x02");
        central.extend(MADE_BY.to_le_bytes());
        entry.describe(&mut central);
        // No comment, on the first disk, no internal attributes.
        central.extend([0; 6]);
        central.extend((entry.mode << 16).to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(path.as_bytes());
    }
    let (start, length) = (small(zip.len())?, small(central.len())?);
    zip.append(&mut central);
    zip.extend(b"PK\x05\x06");
    // This disk, the first disk, the entries here and in all.
    zip.extend([0; 4]);
    zip.extend(entries.to_le_bytes());
    zip.extend(entries.to_le_bytes());
    zip.extend(length.to_le_bytes());
    zip.extend(start.to_le_bytes());
    // No comment.
    zip.extend([0; 2]);
    Ok(zip)
}

/// The most bytes that an archive may unpack to; no project is larger.
const MOST_UNPACKED: usize = 4 * 1024 * 1024;
/// The most entries of an archive.
const MOST_ENTRIES: usize = 4_000;

/// The text files of an archive, path to content. A folder that contains all of them is stripped.
///
/// # Errors
/// The fault of the archive, in words for its sender.
pub(crate) fn unpack(zip: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let damaged = || "it is no ZIP, or a damaged one".to_owned();
    let end = zip.windows(4).rposition(|window| window == b"PK\x05\x06").ok_or_else(damaged)?;
    // The length of the comment is the last field of the end record.
    at::<2>(zip, end + 20).ok_or_else(damaged)?;
    let count = usize::from(u16::from_le_bytes(at(zip, end + 10).ok_or_else(damaged)?));
    if count > MOST_ENTRIES {
        return Err(format!("it has more than {MOST_ENTRIES} entries"));
    }
    let mut place =
        usize::try_from(u32::from_le_bytes(at(zip, end + 16).ok_or_else(damaged)?)).map_err(|_| damaged())?;
    let (mut files, mut bytes) = (BTreeMap::new(), 0_usize);
    for _ in 0..count {
        let entry = Listed::read(zip, place).ok_or_else(damaged)?;
        place = entry.next;
        if entry.name.ends_with('/') {
            continue;
        }
        let content = entry.content(zip)?;
        bytes = bytes.saturating_add(content.len());
        if bytes > MOST_UNPACKED {
            return Err(format!("it unpacks to more than {MOST_UNPACKED} bytes"));
        }
        let text = String::from_utf8(content).map_err(|_| format!("{:?} is not text", entry.name))?;
        files.insert(entry.name, text);
    }
    Ok(without_root(files))
}

/// The bytes at an offset of an archive.
fn at<const N: usize>(zip: &[u8], place: usize) -> Option<[u8; N]> {
    zip.get(place..place.checked_add(N)?)?.try_into().ok()
}

/// An entry as the central directory lists it.
struct Listed {
    name: String,
    method: u16,
    crc: u32,
    packed: usize,
    size: usize,
    offset: usize,
    next: usize,
}

impl Listed {
    fn read(zip: &[u8], place: usize) -> Option<Self> {
        let number = |by: usize| usize::try_from(u32::from_le_bytes(at(zip, place.checked_add(by)?)?)).ok();
        let short = |by: usize| Some(u16::from_le_bytes(at(zip, place.checked_add(by)?)?));
        (at(zip, place)? == *b"PK\x01\x02").then_some(())?;
        let name_ends = place.checked_add(46)?.checked_add(short(28)?.into())?;
        let name = String::from_utf8(zip.get(place + 46..name_ends)?.to_vec()).ok()?;
        Some(Self {
            name,
            method: short(10)?,
            crc: u32::from_le_bytes(at(zip, place.checked_add(16)?)?),
            packed: number(20)?,
            size: number(24)?,
            offset: number(42)?,
            next: name_ends.checked_add(short(30)?.into())?.checked_add(short(32)?.into())?,
        })
    }

    fn content(&self, zip: &[u8]) -> Result<Vec<u8>, String> {
        let damaged = || format!("{:?} is damaged", self.name);
        let data = || {
            let short =
                |by: usize| Some(usize::from(u16::from_le_bytes(at(zip, self.offset.checked_add(by)?)?)));
            let starts = self.offset.checked_add(30)?.checked_add(short(26)?)?.checked_add(short(28)?)?;
            zip.get(starts..starts.checked_add(self.packed)?)
        };
        let data = data().ok_or_else(damaged)?;
        let content = match self.method {
            _ if self.size > MOST_UNPACKED => return Err(format!("{:?} is too large", self.name)),
            STORED => data.to_vec(),
            DEFLATED => decompress_to_vec_with_limit(data, self.size).map_err(|_| damaged())?,
            _ => return Err(format!("{:?} is packed in a way that is not known here", self.name)),
        };
        let is_whole = content.len() == self.size && CHECKSUM.checksum(&content) == self.crc;
        if is_whole { Ok(content) } else { Err(damaged()) }
    }
}

fn without_root(files: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let root = files.keys().next().and_then(|path| path.split_once('/')).map(|(root, _)| format!("{root}/"));
    match root.filter(|root| files.keys().all(|path| path.starts_with(root.as_str()))) {
        Some(root) => files
            .into_iter()
            .map(|(path, text)| (path.get(root.len()..).unwrap_or_default().to_owned(), text))
            .collect(),
        None => files,
    }
}

struct Entry {
    method: u16,
    crc: u32,
    size: u32,
    name_length: u16,
    mode: u32,
    data: Vec<u8>,
}

impl Entry {
    fn new(path: &str, content: &str) -> Result<Self, String> {
        let bytes = content.as_bytes();
        let deflated = compress_to_vec(bytes, LEVEL);
        let (method, data) = match deflated.len() < bytes.len() {
            true => (DEFLATED, deflated),
            false => (STORED, bytes.to_vec()),
        };
        let is_program = path.ends_with(".sh") || content.starts_with("#!");
        Ok(Self {
            method,
            crc: CHECKSUM.checksum(bytes),
            size: small(bytes.len())?,
            name_length: u16::try_from(path.len()).map_err(|_| format!("{path}: path is too long"))?,
            mode: if is_program { PROGRAM } else { FILE },
            data,
        })
    }

    /// Writes the fields that the local and the central header share.
    fn describe(&self, header: &mut Vec<u8>) {
        for field in [NEEDS, UTF_8, self.method, TIME, DATE] {
            header.extend(field.to_le_bytes());
        }
        // The data is at most as long as the content: content that deflate does not shrink is
        // stored.
        let packed = u32::try_from(self.data.len()).unwrap_or(self.size);
        for field in [self.crc, packed, self.size] {
            header.extend(field.to_le_bytes());
        }
        header.extend(self.name_length.to_le_bytes());
        // No extra field.
        header.extend([0; 2]);
    }
}

/// The files' paths below the root, in the map's order. On every file system each unpacks to its
/// own file inside the root.
fn checked_paths(root: &str, files: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    if root.contains('/') || safe_path(root).as_deref() != Ok(root) {
        return Err(format!("{root:?} is not the name of a directory"));
    }
    let mut seen = BTreeSet::new();
    let mut paths = Vec::with_capacity(files.len());
    for path in files.keys() {
        // What a project has since before names were composed is unpacked composed.
        let path = &*composed(path);
        match safe_path(path) {
            Err(reason) => return Err(format!("{path:?}: {reason}")),
            Ok(normal) if normal != path => return Err(format!("{path:?}: not in normal form")),
            Ok(_) => {}
        }
        if !seen.insert(path.to_lowercase()) {
            return Err(format!("{path:?}: another path differs from it only in case"));
        }
        paths.push(format!("{root}/{path}"));
    }
    match files
        .keys()
        .find(|path| directories(path).any(|directory| seen.contains(&directory.to_lowercase())))
    {
        Some(path) => Err(format!("{path:?}: a file has the name of its directory")),
        None => Ok(paths),
    }
}

/// All directories above a path.
fn directories(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at))
}

/// The format has 32 bits for sizes and offsets; an application has a few million bytes.
fn small(size: usize) -> Result<u32, String> {
    u32::try_from(size).map_err(|_| "the archive would be larger than 4 GB".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{io::Write, process::Command};

    use proptest::prelude::*;

    use super::*;

    fn files(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
    }

    /// Runs a program that reads archives; `None` when it is not installed.
    fn run_reader(program: &str, arguments: &[&str], zip: &[u8]) -> Option<String> {
        let name = format!("hatch-archive-{}-{program}.zip", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::File::create(&path).unwrap().write_all(zip).unwrap();
        let output = Command::new(program).args(arguments).arg(&path).output();
        std::fs::remove_file(&path).unwrap();
        let output = output.ok()?;
        let message = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{program}: {message} {}", String::from_utf8_lossy(&output.stderr));
        Some(message)
    }

    fn example() -> BTreeMap<String, String> {
        files(&[
            ("README.md", "Grüße, 日本 🐣\n"),
            ("app/(site)/[...slug]/日本.tsx", &"export {};\n".repeat(500)),
            ("empty.txt", ""),
            ("scripts/start.sh", "echo hi\n"),
            ("bin/run", "#!/usr/bin/env node\n"),
        ])
    }

    #[test]
    fn the_same_files_in_any_order_give_the_same_bytes() {
        let mut reversed = BTreeMap::new();
        reversed.extend(example().into_iter().rev());
        assert_eq!(archive("shop", &example()), archive("shop", &reversed));
        assert_ne!(archive("shop", &example()), archive("shop2", &example()));
    }

    #[test]
    fn info_zip_and_python_read_every_file_back() {
        let zip = archive("shop", &example()).unwrap();
        if let Some(message) = run_reader("unzip", &["-tqq"], &zip) {
            assert_eq!(message, "");
        }
        let script = "import sys, json, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
            print(json.dumps([[i.filename, z.read(i).decode(), oct(i.external_attr >> 16), list(i.date_time)] for i in z.infolist()]))";
        let Some(message) = run_reader("python3", &["-c", script], &zip) else { return };
        let read: Vec<(String, String, String, Vec<u32>)> = hatch_json::from_str(&message).unwrap();
        assert_eq!(read.len(), example().len());
        for ((path, content), (name, text, mode, date)) in example().iter().zip(&read) {
            assert_eq!((&format!("shop/{path}"), content), (name, text));
            assert_eq!(mode == "0o100755", path.ends_with(".sh") || path == "bin/run", "{name} {mode}");
            assert_eq!(date, &[1980, 1, 1, 0, 0, 0]);
        }
    }

    #[test]
    fn a_path_outside_the_root_or_equal_to_another_is_refused() {
        for path in ["/etc/passwd", "../up", "a/../../b", "a\\b", "a\0b", "C:/x", "a//b", "./a", "a/", ""] {
            assert!(archive("shop", &files(&[(path, "")])).is_err(), "{path:?}");
        }
        assert!(archive("shop", &files(&[("App.tsx", ""), ("app.tsx", "")])).is_err());
        assert!(archive("shop", &files(&[("a", ""), ("a/b", "")])).is_err());
        assert!(archive("shop", &files(&[("a", ""), ("a-b", ""), ("a/b", "")])).is_err());
        for root in ["", "..", "a/b", "/", "a\\b", "."] {
            assert!(archive(root, &example()).is_err(), "{root:?}");
        }
    }

    #[test]
    fn a_damaged_archive_is_refused() {
        let zip = archive("shop", &example()).unwrap();
        assert_eq!(unpack(&zip), Ok(example()));
        for end in [0, 10, zip.len() / 2, zip.len() - 1] {
            assert!(unpack(&zip[..end]).is_err(), "{end}");
        }
        let packed = zip.windows(4).position(|window| window == "Grü".as_bytes()).unwrap_or(60);
        let mut bent = zip.clone();
        bent[packed] ^= 1;
        assert!(unpack(&bent).is_err() || unpack(&bent) != Ok(example()));
        assert!(unpack(b"").is_err() && unpack(b"PK\x05\x06").is_err());
    }

    proptest! {
        #[test]
        fn reading_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..300) {
            let _ = unpack(&bytes);
            let mut zip = archive("shop", &example()).unwrap();
            for (n, byte) in bytes.iter().enumerate().take(4) {
                if let Some(place) = zip.get_mut((at * 7 + n * 31) % 900) {
                    *place ^= byte;
                }
            }
            let _ = unpack(&zip);
        }

        #[test]
        fn an_archive_unpacks_to_its_files(files in proptest::collection::btree_map("x[a-z]{1,3}[.]txt", "\\PC{0,200}", 1..5)) {
            prop_assert_eq!(unpack(&archive("root", &files).unwrap()), Ok(files));
        }

        #[test]
        fn each_entry_of_an_archive_inflates_to_its_content(files in proptest::collection::btree_map("x[a-z]{1,3}[.]txt", "\\PC{0,200}", 0..5)) {
            let zip = archive("root", &files).unwrap();
            let mut rest = zip.as_slice();
            for (path, content) in &files {
                let (header, after) = rest.split_at(30);
                prop_assert_eq!(&header[..4], b"PK\x03\x04");
                let packed = u32::from_le_bytes(header[18..22].try_into().unwrap()) as usize;
                let (name, after) = after.split_at(5 + path.len());
                prop_assert_eq!(String::from_utf8_lossy(name), format!("root/{path}"));
                let (data, after) = after.split_at(packed);
                let text = match header[8] {
                    0 => data.to_vec(),
                    _ => miniz_oxide::inflate::decompress_to_vec(data).unwrap(),
                };
                prop_assert_eq!(text, content.as_bytes());
                rest = after;
            }
            prop_assert_eq!(&rest[..2], b"PK");
        }
    }
}
