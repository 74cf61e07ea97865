//! A ZIP of a startup's files: the same files give the same bytes. Pure.
//!
//! Written by hand rather than with the `zip` crate, whose readers, ciphers and dates would be in the Worker too: what is
//! needed of PKWARE's APPNOTE 6.3.10 is a local header (4.3.7), a central header (4.3.12) and the end record (4.3.16).

use std::collections::{BTreeMap, BTreeSet};

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use hatch_code::safe_path;
use miniz_oxide::deflate::compress_to_vec;

/// APPNOTE 4.4.7.
const CHECKSUM: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
/// 1 January 1980, 00:00:00: the first moment that the format knows. A real time would make each archive another one.
const DATE: u16 = 0x0021;
const TIME: u16 = 0;
/// 2.0, which brought deflate.
const NEEDS: u16 = 20;
/// The same, and that the attributes are Unix's.
const MADE_BY: u16 = (3 << 8) | NEEDS;
/// Names are UTF-8.
const UTF_8: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// What `gzip` uses, too.
const LEVEL: u8 = 6;
/// A regular file, and who may read, write and run it.
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;

/// The archive, with every file below `root` (a plain name, such as a slug). Reads with Info-ZIP, Python's zipfile and
/// macOS; scripts may be run.
///
/// # Errors
/// The path that no archive should hold, and why.
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

    /// What the local and the central header say alike.
    fn describe(&self, header: &mut Vec<u8>) {
        for field in [NEEDS, UTF_8, self.method, TIME, DATE] {
            header.extend(field.to_le_bytes());
        }
        // The data is shorter than 4 GB when the content is: it is stored where deflate gains nothing.
        let packed = u32::try_from(self.data.len()).unwrap_or(self.size);
        for field in [self.crc, packed, self.size] {
            header.extend(field.to_le_bytes());
        }
        header.extend(self.name_length.to_le_bytes());
        // No extra field.
        header.extend([0; 2]);
    }
}

/// The files' paths below the root, in the map's order. Unpacked, each of them is a file of its own, inside the root, on
/// every file system.
fn checked_paths(root: &str, files: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    if root.contains('/') || safe_path(root).as_deref() != Ok(root) {
        return Err(format!("{root:?} is not the name of a directory"));
    }
    let mut seen = BTreeSet::new();
    let mut paths = Vec::with_capacity(files.len());
    for path in files.keys() {
        match safe_path(path) {
            Err(reason) => return Err(format!("{path:?}: {reason}")),
            Ok(normal) if normal != *path => return Err(format!("{path:?}: not in normal form")),
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

/// Every directory that a path is in.
fn directories(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at))
}

/// The format's sizes and offsets have 32 bits; an application has a few million bytes.
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

    /// Asks a program that reads archives; `None` where it is not installed.
    fn asked(program: &str, arguments: &[&str], zip: &[u8]) -> Option<String> {
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
    fn the_same_files_give_the_same_bytes_in_whatever_order_they_came() {
        let mut reversed = BTreeMap::new();
        reversed.extend(example().into_iter().rev());
        assert_eq!(archive("shop", &example()), archive("shop", &reversed));
        assert_ne!(archive("shop", &example()), archive("shop2", &example()));
    }

    #[test]
    fn info_zip_and_python_read_every_file_back() {
        let zip = archive("shop", &example()).unwrap();
        if let Some(message) = asked("unzip", &["-tqq"], &zip) {
            assert_eq!(message, "");
        }
        let script = "import sys, json, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
            print(json.dumps([[i.filename, z.read(i).decode(), oct(i.external_attr >> 16), list(i.date_time)] for i in z.infolist()]))";
        let Some(message) = asked("python3", &["-c", script], &zip) else { return };
        let read: Vec<(String, String, String, Vec<u32>)> = serde_json::from_str(&message).unwrap();
        assert_eq!(read.len(), example().len());
        for ((path, content), (name, text, mode, date)) in example().iter().zip(&read) {
            assert_eq!((&format!("shop/{path}"), content), (name, text));
            assert_eq!(mode == "0o100755", path.ends_with(".sh") || path == "bin/run", "{name} {mode}");
            assert_eq!(date, &[1980, 1, 1, 0, 0, 0]);
        }
    }

    #[test]
    fn no_path_leaves_the_root_or_falls_onto_another() {
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

    proptest! {
        #[test]
        fn what_is_packed_unpacks_to_itself(files in proptest::collection::btree_map("x[a-z]{1,3}[.]txt", "\\PC{0,200}", 0..5)) {
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
