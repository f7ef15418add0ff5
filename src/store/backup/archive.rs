//! The tar file around a backup: written by hand where the length is known only afterwards, and read with every sum
//! compared.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{BackupError, FORMAT, Manifest, digest::hex, every::Part, key, private_new};
use crate::{model::Time, store::tables};

/// Tar's unit.
pub const BLOCK: u64 = 512;
/// The file with the sums of all others.
pub const SUMS: &str = "SHA256SUMS";
const MANIFEST: &str = "manifest.json";
/// Small files in an archive are at most this large.
const SMALL: u64 = 4 << 20;
/// Read at once.
const CHUNK: usize = 1 << 20;

/// The header of a file.
pub fn header(name: &str, length: u64, at: Time) -> [u8; 512] {
    let mut header = tar::Header::new_gnu();
    // Our own names are short; the result says only that one is too long.
    let _ = header.set_path(name);
    header.set_size(length);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(at.millis() / 1000).unwrap_or(0));
    header.set_cksum();
    *header.as_bytes()
}

/// Fills the file up to a whole block.
pub fn pad(file: &mut File) -> io::Result<()> {
    let end = file.seek(SeekFrom::End(0))?;
    file.set_len(end.next_multiple_of(BLOCK))
}

/// Adds a small file at the end.
pub fn append(file: &mut File, name: &str, bytes: &[u8], at: Time) -> io::Result<()> {
    file.seek(SeekFrom::End(0))?;
    file.write_all(&header(name, bytes.len() as u64, at))?;
    file.write_all(bytes)?;
    pad(file)
}

/// Two empty blocks end an archive.
pub fn end(file: &mut File) -> io::Result<()> {
    let end = file.seek(SeekFrom::End(0))?;
    file.set_len(end + 2 * BLOCK)
}

/// SHA-256 of a part of a file; none when `going` said no.
pub fn sum(file: &mut File, start: u64, length: u64, going: &mut dyn FnMut(u64) -> bool) -> io::Result<Option<String>> {
    file.seek(SeekFrom::Start(start))?;
    hash_into(&mut file.take(length), &mut io::sink(), going)
}

/// SHA-256 of bytes.
pub fn sum_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hash_into(
    from: &mut impl Read,
    to: &mut impl Write,
    going: &mut dyn FnMut(u64) -> bool,
) -> io::Result<Option<String>> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = from.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else { break };
        hash.update(bytes);
        to.write_all(bytes)?;
        if !going(n as u64) {
            return Ok(None);
        }
    }
    Ok(Some(hex(&hash.finalize())))
}

/// What an archive holds besides the databases.
#[derive(Debug)]
pub struct Contents {
    /// What it says about itself.
    pub manifest: Manifest,
    /// The key file under a passphrase.
    pub sealed_key: Option<Vec<u8>>,
}

fn broken(why: impl Into<String>) -> BackupError {
    BackupError::Broken(why.into())
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> BackupError + '_ {
    move |e| match e.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::Other => broken(format!("{} cannot be read as tar ({e})", path.display())),
        _ => BackupError::File { path: path.display().to_string(), why: e.to_string() },
    }
}

fn opened(path: &Path) -> Result<BufReader<File>, BackupError> {
    Ok(BufReader::with_capacity(64 << 10, File::open(path).map_err(BackupError::file(path))?))
}

/// The name of an entry, if it is one of ours.
fn name_of<R: Read>(entry: &tar::Entry<'_, R>) -> Result<&'static str, BackupError> {
    let known = [Part::Main.file(), Part::Intake.file(), key::FILE, MANIFEST, SUMS];
    let path = entry.path_bytes();
    let name = known.into_iter().find(|k| k.as_bytes() == path.as_ref());
    match name {
        Some(name) if entry.header().entry_type().is_file() => Ok(name),
        _ => Err(broken(format!("it holds `{}`, which belongs to no backup", String::from_utf8_lossy(&path)))),
    }
}

/// Reads what an archive says about itself, without its databases; refuses what this version cannot restore.
pub fn look(path: &Path) -> Result<Contents, BackupError> {
    let mut archive = tar::Archive::new(opened(path)?);
    let mut small = BTreeMap::new();
    for entry in archive.entries_with_seek().map_err(unreadable(path))? {
        let entry = entry.map_err(unreadable(path))?;
        let name = name_of(&entry)?;
        if [key::FILE, MANIFEST].contains(&name) {
            let mut bytes = Vec::new();
            entry.take(SMALL).read_to_end(&mut bytes).map_err(unreadable(path))?;
            small.insert(name, bytes);
        }
    }
    let manifest = small.get(MANIFEST).ok_or_else(|| broken("it is cut off, or not a backup of Watchfire"))?;
    contents(manifest, small.get(key::FILE).cloned())
}

fn contents(manifest: &[u8], sealed_key: Option<Vec<u8>>) -> Result<Contents, BackupError> {
    #[derive(serde::Deserialize)]
    struct Numbers {
        format: u32,
        schema: u32,
        version: String,
    }
    let not_ours = |e: serde_json::Error| broken(format!("its manifest cannot be read ({e})"));
    let numbers: Numbers = serde_json::from_slice(manifest).map_err(not_ours)?;
    for (what, found, known) in [("format", numbers.format, FORMAT), ("schema", numbers.schema, tables::SCHEMA)] {
        if found > known {
            let what = format!("{what} {found}, known here up to {known}");
            return Err(BackupError::Newer { version: numbers.version, what });
        }
    }
    Ok(Contents { manifest: serde_json::from_slice(manifest).map_err(not_ours)?, sealed_key })
}

/// Reads a whole archive and compares every sum; writes its databases into a folder when one is given.
pub fn verify(path: &Path, into: Option<&Path>, going: &mut dyn FnMut(u64) -> bool) -> Result<Contents, BackupError> {
    let mut archive = tar::Archive::new(opened(path)?);
    let mut sums: BTreeMap<&str, String> = BTreeMap::new();
    let mut small: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for entry in archive.entries().map_err(unreadable(path))? {
        let mut entry = entry.map_err(unreadable(path))?;
        let name = name_of(&entry)?;
        if sums.contains_key(name) || sums.contains_key(SUMS) {
            return Err(broken(format!("{name} is in it where nothing should be")));
        }
        let sum = if Part::ALL.iter().any(|p| p.file() == name) {
            match into {
                Some(dir) => {
                    let to = dir.join(name);
                    let mut file = private_new(&to).map_err(BackupError::file(&to))?;
                    let sum = hash_into(&mut entry, &mut file, going).map_err(unreadable(path))?;
                    file.sync_all().map_err(BackupError::file(&to))?;
                    sum
                }
                None => hash_into(&mut entry, &mut io::sink(), going).map_err(unreadable(path))?,
            }
        } else {
            let mut bytes = Vec::new();
            let sum = hash_into(&mut entry.by_ref().take(SMALL), &mut bytes, going).map_err(unreadable(path))?;
            small.insert(name, bytes);
            sum
        };
        sums.insert(name, sum.ok_or(BackupError::Stopped)?);
    }
    let listed = small.get(SUMS).ok_or_else(|| broken(format!("it has no {SUMS} at its end, so it was cut off")))?;
    let listed: BTreeMap<&str, &str> = std::str::from_utf8(listed)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once("  ").map(|(sum, name)| (name, sum)))
        .collect();
    sums.remove(SUMS);
    for (name, sum) in &sums {
        if listed.get(name) != Some(&sum.as_str()) {
            return Err(broken(format!("{name} in it is damaged: its SHA-256 is {sum}")));
        }
    }
    if let Some(name) =
        listed.keys().chain(&["watchfire.redb", "intake.redb", MANIFEST]).find(|n| !sums.contains_key(*n))
    {
        return Err(broken(format!("{name} is missing in it")));
    }
    contents(small.get(MANIFEST).map_or(&[][..], Vec::as_slice), small.get(key::FILE).cloned())
}
