//! What the disk of a folder has left.

use std::{io, path::Path};

/// Bytes that this process may still write on the disk of that folder.
#[cfg(unix)]
pub fn free(dir: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Not known here.
#[cfg(not(unix))]
pub fn free(_: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}
