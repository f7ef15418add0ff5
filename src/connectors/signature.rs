//! Signatures of senders over the raw body, compared in constant time.

use hmac::{Hmac, KeyInit, Mac};
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

/// Whether this digest, in hex, is the HMAC of the parts under any of the secrets. Empty secrets sign nothing.
pub(super) fn hex_matches(digest: &str, secrets: &[&str], parts: &[&[u8]]) -> bool {
    unhex(digest.trim()).is_some_and(|digest| matches(&digest, secrets, parts))
}

/// The same for raw bytes.
pub(super) fn matches(digest: &[u8], secrets: &[&str], parts: &[&[u8]]) -> bool {
    secrets.iter().filter(|s| !s.is_empty()).fold(false, |found, secret| {
        let right: bool = hmac_sha256(secret.as_bytes(), parts).ct_eq(digest).into();
        found | right
    })
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
    verdict(hex_matches(digest.strip_prefix("sha256=").unwrap_or(digest), secrets, &[request.body]))
}

/// Of a signature that is there.
pub(super) fn verdict(right: bool) -> Signature {
    if right { Signature::Valid } else { Signature::Invalid }
}
