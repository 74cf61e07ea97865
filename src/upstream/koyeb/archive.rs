//! Packs files into the archive that Koyeb builds from, a gzipped tar. Pure; the same files give
//! the same bytes.

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use miniz_oxide::deflate::compress_to_vec;

use crate::error::Error;

/// zlib's default level.
const LEVEL: u8 = 6;

/// RFC 1952, section 8.
const CHECKSUM: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
/// RFC 1952: deflate, no flags, no time, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A `.tar.gz` of paths and contents.
pub(crate) fn pack<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Vec<u8>, Error> {
    let unpacked = |e: std::io::Error| Error::Internal(format!("no archive of the project: {e}"));
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, path, content.as_bytes()).map_err(unpacked)?;
    }
    Ok(gzip(&archive.into_inner().map_err(unpacked)?))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let checksum = CHECKSUM.checksum(bytes).to_le_bytes();
    // RFC 1952 defines the length modulo 2^32.
    #[expect(clippy::cast_possible_truncation, reason = "modulo 2^32")]
    let length = (bytes.len() as u32).to_le_bytes();
    [&GZIP_HEADER[..], &compress_to_vec(bytes, LEVEL), &checksum, &length].concat()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        process::{Command, Stdio},
    };

    use super::*;

    fn pack_all(files: &[(&str, &str)]) -> Vec<u8> {
        pack(files.iter().copied()).unwrap()
    }

    /// Extracts a file from an archive with tar(1).
    fn unpacked(archive: &[u8], path: &str) -> String {
        let mut tar = Command::new("tar")
            .args(["-xzOf", "-", path])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        tar.stdin.take().unwrap().write_all(archive).unwrap();
        let mut text = String::new();
        tar.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(tar.wait().unwrap().success());
        text
    }

    #[test]
    fn tar_reads_the_archive_with_long_paths() {
        let long = format!("src/{}/{}.ts", "d".repeat(110), "f".repeat(110));
        let archive = pack_all(&[("Dockerfile", "FROM scratch"), (&long, "grüße"), ("empty.txt", "")]);
        assert_eq!(unpacked(&archive, "Dockerfile"), "FROM scratch");
        assert_eq!(unpacked(&archive, &long), "grüße");
        assert_eq!(unpacked(&archive, "empty.txt"), "");
    }

    #[test]
    fn the_same_files_are_the_same_bytes() {
        let files = [("a.txt", "1"), ("b/c.txt", "2")];
        assert_eq!(pack_all(&files), pack_all(&files));
    }
}
