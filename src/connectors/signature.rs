//! Signatures of senders over the raw body, compared in constant time.
//!
//! A stranger chooses how many signatures a request carries, and may send a megabyte with them: the right ones are computed
//! once, and everything offered is compared with those.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{Request, Signature};

/// HMAC-SHA256 over these parts, one after the other.
pub(super) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // An HMAC takes a key of any length; the error type has no other use here.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// HMAC-SHA1, where an old sender knows nothing better. As a MAC it is not broken.
fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// The digests that are right: one for each secret. Empty secrets sign nothing.
pub(super) struct Right(Vec<Vec<u8>>);

impl Right {
    /// By HMAC-SHA256.
    pub fn sha256(secrets: &[&str], parts: &[&[u8]]) -> Self {
        Self::by(hmac_sha256, secrets, parts)
    }

    /// By HMAC-SHA1.
    pub fn sha1(secrets: &[&str], parts: &[&[u8]]) -> Self {
        Self::by(hmac_sha1, secrets, parts)
    }

    fn by(hmac: fn(&[u8], &[&[u8]]) -> Vec<u8>, secrets: &[&str], parts: &[&[u8]]) -> Self {
        Self(secrets.iter().filter(|s| !s.is_empty()).map(|s| hmac(s.as_bytes(), parts)).collect())
    }

    /// Whether this is one of them.
    pub fn is(&self, digest: &[u8]) -> bool {
        self.0.iter().fold(false, |found, right| {
            let same: bool = right.as_slice().ct_eq(digest).into();
            found | same
        })
    }

    /// The same for a digest in hex.
    pub fn is_hex(&self, digest: &str) -> bool {
        unhex(digest.trim()).is_some_and(|digest| self.is(&digest))
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok()))
        .collect()
}

/// A hex HMAC-SHA256 of the body in the first of these headers that is there, with or without `sha256=` before it.
pub(super) fn verify_hex(request: &Request<'_>, headers: &[&str], secrets: &[&str]) -> Signature {
    let Some(sent) = headers.iter().find_map(|name| request.header(name)) else { return Signature::Absent };
    let digest = sent.trim();
    verdict(Right::sha256(secrets, &[request.body]).is_hex(digest.strip_prefix("sha256=").unwrap_or(digest)))
}

/// Of a signature that is there.
pub(super) fn verdict(right: bool) -> Signature {
    if right { Signature::Valid } else { Signature::Invalid }
}
