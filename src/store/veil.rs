//! Keeps senders from choosing what stands in the intake's file byte by byte.
//!
//! The intake commits in one phase: one sync for data and header. What a power cut left of such a commit is told from the
//! whole by checksums, which are made against accidents and not against people: who chooses the bytes of a page before and
//! after could make both have the same one. So a group's bodies are stored under a key that is drawn when it is written,
//! beside them. It hides nothing, and nobody can know it before.

use std::borrow::Cow;

use chacha20::{
    ChaCha8,
    cipher::{KeyIvInit, StreamCipher},
};

use super::{StoreError, seal};

/// In front of what is veiled. Packed deliveries begin with their length, which is never this.
const MARK: [u8; 4] = [0xff; 4];
const KEY: usize = 32;

/// Veils a packed value.
pub fn over(packed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut key = [0; KEY];
    seal::random(&mut key)?;
    let mut veiled = Vec::with_capacity(MARK.len() + KEY + packed.len());
    veiled.extend_from_slice(&MARK);
    veiled.extend_from_slice(&key);
    veiled.extend(under(&key, packed));
    Ok(veiled)
}

/// What was packed, veiled or not: the main file has its values as they are, as had the intake's of older versions.
pub fn lifted(stored: &[u8]) -> Cow<'_, [u8]> {
    let veiled = stored.strip_prefix(&MARK).and_then(|rest| rest.split_first_chunk::<KEY>());
    veiled.map_or(Cow::Borrowed(stored), |(key, veiled)| Cow::Owned(under(key, veiled)))
}

fn under(key: &[u8; KEY], text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    // Each key is used once, so that the nonce may be the same.
    ChaCha8::new(&(*key).into(), &[0; 12].into()).apply_keystream(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_veiled_comes_back_and_looks_different_each_time() {
        for packed in [&b""[..], b"x", &[7; 100_000], &MARK] {
            let (one, other) = (over(packed).unwrap(), over(packed).unwrap());
            assert_eq!((lifted(&one).as_ref(), lifted(&other).as_ref()), (packed, packed));
            assert_ne!(one, other);
            let chosen: &[u8] = if packed.is_empty() { b"not there" } else { packed };
            assert!(packed.len() < 4 || memchr::memmem::find(&one[36..], chosen).is_none());
        }
    }

    #[test]
    fn what_is_not_veiled_stays() {
        for stored in [&b""[..], b"abc", &[0xff; 20]] {
            assert!(matches!(lifted(stored), Cow::Borrowed(same) if same == stored));
        }
    }
}
