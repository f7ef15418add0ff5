//! Secrets at rest: ChaCha20-Poly1305 with a key file beside the databases, so that a copied database alone tells none.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};

use sha2::{Digest, Sha256};

use super::{StoreError, open};
use crate::model::{Sealed, Time};

const FILE: &str = "secret.key";
const NONCE: usize = 12;

/// The key file of a data folder.
pub(super) fn key_file(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Has the names of a folder on the disk: a file that was made or renamed is not, until then.
pub(super) fn sync_folder(dir: &Path) -> std::io::Result<()> {
    if cfg!(unix) { fs::File::open(dir)?.sync_all() } else { Ok(()) }
}

/// Encrypts and decrypts secrets.
#[derive(Clone)]
pub struct Sealer {
    cipher: ChaCha20Poly1305,
    // Follows from the key, and tells nothing of it.
    links: [u8; 32],
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    /// Reads the key file of the data folder, or makes it (readable by the owner alone) when `may_make`: with an existing
    /// database a missing key must be said, not replaced.
    pub fn open_file(dir: &Path, may_make: bool) -> Result<Self, StoreError> {
        let path = key_file(dir);
        let key = match fs::read(&path) {
            Ok(key) => key,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && may_make => make(&path)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::NoKey(path.display().to_string()));
            }
            Err(e) => return Err(e.into()),
        };
        let cipher = ChaCha20Poly1305::new_from_slice(&key).map_err(|_| {
            StoreError::Damaged(format!("the key file {} has {} bytes instead of 32", path.display(), key.len()))
        })?;
        Ok(Self { cipher, links: derived(&key) })
    }

    /// The key for links that are signed.
    pub fn link_key(&self) -> [u8; 32] {
        self.links
    }

    /// Makes a new key file; the one that is there is moved aside under the name returned. For a folder that no process
    /// has open.
    pub fn renew_file(dir: &Path, now: Time) -> Result<Option<PathBuf>, StoreError> {
        let path = dir.join(FILE);
        let aside = path.with_extension(format!("key.before-{}", now.timestamp().strftime("%Y%m%dT%H%M%SZ")));
        let moved = match fs::rename(&path, &aside) {
            Ok(()) => Some(aside),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(e.into()),
        };
        make(&path)?;
        Ok(moved)
    }

    /// Encrypts a secret.
    pub fn seal(&self, secret: &str) -> Result<Sealed, StoreError> {
        let mut nonce = [0u8; NONCE];
        random(&mut nonce)?;
        let text = self
            .cipher
            .encrypt(&nonce.into(), secret.as_bytes())
            .map_err(|_| StoreError::Damaged("a secret could not be encrypted".to_owned()))?;
        Ok(Sealed(nonce.into_iter().chain(text).collect()))
    }

    /// Decrypts a secret. Fails when the key file is another one.
    pub fn open(&self, sealed: &Sealed) -> Result<String, StoreError> {
        let wrong = || {
            StoreError::Damaged(
                "a secret cannot be decrypted: the key file does not belong to this database".to_owned(),
            )
        };
        let (nonce, text) = sealed.0.split_first_chunk::<NONCE>().ok_or_else(wrong)?;
        let plain = self.cipher.decrypt(&(*nonce).into(), text).map_err(|_| wrong())?;
        String::from_utf8(plain).map_err(|_| wrong())
    }
}

/// Fills with random bytes.
pub fn random(buffer: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(buffer).map_err(|e| StoreError::Io(format!("no random numbers from the system: {e}")))
}

fn derived(key: &[u8]) -> [u8; 32] {
    let mut all = Sha256::new();
    all.update(b"watchfire links 1");
    all.update(key);
    all.finalize().into()
}

fn make(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut key = vec![0u8; 32];
    random(&mut key)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Under another name until it is whole: half a key would look like a damaged one at the next start.
    let unfinished = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
        _ => {}
    }
    let mut file = options.open(&unfinished)?;
    open::for_owner(&unfinished, &file);
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    if let Some(dir) = path.parent() {
        sync_folder(dir)?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_and_opens_with_the_same_key_only() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sealer = Sealer::open_file(one.path(), true).unwrap();
        let sealed = sealer.seal("wf_secret").unwrap();
        assert!(!format!("{sealed:?}").contains("secret"));
        assert_eq!(Sealer::open_file(one.path(), false).unwrap().open(&sealed).unwrap(), "wf_secret");
        assert!(Sealer::open_file(two.path(), true).unwrap().open(&sealed).is_err());
        assert!(Sealer::open_file(tempfile::tempdir().unwrap().path(), false).is_err());
        assert!(sealer.open(&Sealed(vec![1, 2])).is_err());
    }
}
