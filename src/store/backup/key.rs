//! The key file under a passphrase: argon2id makes the key that encrypts it, and everything that is needed to do that
//! again stands beside it.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use serde::{Deserialize, Serialize};

use super::BackupError;
use crate::store::{StoreError, seal};

/// The file in a backup that holds it.
pub const FILE: &str = "secret.key.sealed";
/// Shortest passphrase, in characters: the file can be tried offline by whoever has it.
pub const SHORTEST: usize = 10;
/// Longest passphrase, in bytes.
const LONGEST: usize = 4096;
/// So that the text cannot be taken for a secret of another place.
const WHAT: &[u8] = b"watchfire backup key 1";
/// Memory in KiB and rounds for new ones.
const MEMORY: u32 = 64 * 1024;
const ROUNDS: u32 = 3;
/// A file that asks for more is no file of ours.
const MOST_MEMORY: u32 = 1 << 20;
const MOST_ROUNDS: u32 = 64;

/// The key file, encrypted.
#[derive(Serialize, Deserialize)]
struct SealedKey {
    /// `argon2id`.
    kdf: String,
    memory_kib: u32,
    rounds: u32,
    /// All in Base64.
    salt: String,
    nonce: String,
    text: String,
}

/// Whether a passphrase is long enough, in words when not.
pub fn check(passphrase: &str) -> Result<(), BackupError> {
    if passphrase.chars().count() < SHORTEST || passphrase.len() > LONGEST {
        return Err(BackupError::Passphrase(format!("a passphrase has {SHORTEST} to {LONGEST} characters")));
    }
    Ok(())
}

/// Encrypts the key file.
pub fn seal(key: &[u8], passphrase: &str) -> Result<Vec<u8>, BackupError> {
    check(passphrase)?;
    let (mut salt, mut nonce) = ([0u8; 16], [0u8; 12]);
    seal::random(&mut salt)?;
    seal::random(&mut nonce)?;
    let payload = Payload { msg: key, aad: WHAT };
    let text = cipher(passphrase, &salt, MEMORY, ROUNDS)?
        .encrypt(&nonce.into(), payload)
        .map_err(|_| StoreError::Damaged("the key file could not be encrypted".to_owned()))?;
    let sealed = SealedKey {
        kdf: "argon2id".to_owned(),
        memory_kib: MEMORY,
        rounds: ROUNDS,
        salt: STANDARD.encode(salt),
        nonce: STANDARD.encode(nonce),
        text: STANDARD.encode(text),
    };
    serde_json::to_vec_pretty(&sealed).map_err(|e| StoreError::Damaged(e.to_string()).into())
}

/// Decrypts it.
pub fn open(sealed: &[u8], passphrase: &str) -> Result<Vec<u8>, BackupError> {
    let strange = || BackupError::Broken(format!("{FILE} is not what this version writes"));
    let sealed: SealedKey = serde_json::from_slice(sealed).map_err(|_| strange())?;
    if sealed.kdf != "argon2id" || sealed.memory_kib > MOST_MEMORY || sealed.rounds > MOST_ROUNDS {
        return Err(strange());
    }
    let decoded = |text: &str| STANDARD.decode(text).map_err(|_| strange());
    let nonce: [u8; 12] = decoded(&sealed.nonce)?.try_into().map_err(|_| strange())?;
    let text = decoded(&sealed.text)?;
    cipher(passphrase, &decoded(&sealed.salt)?, sealed.memory_kib, sealed.rounds)?
        .decrypt(&nonce.into(), Payload { msg: text.as_slice(), aad: WHAT })
        .map_err(|_| {
            BackupError::Passphrase("the passphrase is not the one of this backup; nothing was changed".to_owned())
        })
}

fn cipher(passphrase: &str, salt: &[u8], memory: u32, rounds: u32) -> Result<ChaCha20Poly1305, BackupError> {
    let failed = |e: argon2::Error| StoreError::Damaged(format!("no key can be made of the passphrase: {e}"));
    let params = Params::new(memory, rounds, 1, Some(32)).map_err(failed)?;
    let mut key = [0u8; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut key)
        .map_err(failed)?;
    Ok(ChaCha20Poly1305::new(&key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_passphrase_opens_and_no_other() {
        let sealed = seal(&[7; 32], "correct horse").unwrap();
        assert_eq!(open(&sealed, "correct horse").unwrap(), [7; 32]);
        assert!(matches!(open(&sealed, "correct horsf"), Err(BackupError::Passphrase(_))));
        assert!(matches!(seal(&[7; 32], "short"), Err(BackupError::Passphrase(_))));
        assert!(matches!(open(b"{}", "correct horse"), Err(BackupError::Broken(_))));
        let greedy = String::from_utf8(sealed).unwrap().replace("65536", "4000000000");
        assert!(
            matches!(open(greedy.as_bytes(), "correct horse"), Err(BackupError::Broken(_))),
            "no such memory is asked for"
        );
    }
}
