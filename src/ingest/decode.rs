//! `Content-Encoding` undone, with the limit held while it grows: a small body can unpack to any size.

use std::{borrow::Cow, io::Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Why a body could not be unpacked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Larger than the limit once unpacked.
    #[error("the body is larger than allowed")]
    TooLarge,
    /// The bytes are not what `Content-Encoding` says.
    #[error("the body is not valid {0}")]
    Broken(String),
    /// Not a known encoding.
    #[error("Content-Encoding `{0}` is not known; use gzip, deflate or none")]
    Unknown(String),
}

// Nobody packs a webhook more often; each layer costs time.
const MOST_LAYERS: usize = 2;

/// The body without its encodings.
pub fn decode(body: &[u8], encoding: Option<&str>, limit: usize) -> Result<Vec<u8>, DecodeError> {
    let names: Vec<String> = encoding
        .unwrap_or_default()
        .split(',')
        .map(|e| e.trim().to_ascii_lowercase())
        .filter(|e| !e.is_empty() && e != "identity")
        .collect();
    if names.len() > MOST_LAYERS {
        return Err(DecodeError::Unknown(names.join(", ")));
    }
    // Applied from left to right, so undone from right to left.
    let unpacked = names.iter().rev().try_fold(Cow::Borrowed(body), |body, name| {
        Ok(Cow::Owned(match name.as_str() {
            "gzip" | "x-gzip" => unpack(MultiGzDecoder::new(&*body), name, limit)?,
            // `deflate` means zlib, but some senders leave its frame out.
            "deflate" if is_zlib(&body) => unpack(ZlibDecoder::new(&*body), name, limit)?,
            "deflate" => unpack(DeflateDecoder::new(&*body), name, limit)?,
            other => return Err(DecodeError::Unknown(other.chars().take(40).collect())),
        }))
    })?;
    if unpacked.len() > limit { Err(DecodeError::TooLarge) } else { Ok(unpacked.into_owned()) }
}

fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [cmf, flg, ..] if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0)
}

fn unpack(from: impl Read, name: &str, limit: usize) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    let at_most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(at_most).read_to_end(&mut out).map_err(|_| DecodeError::Broken(name.to_owned()))?;
    if out.len() > limit { Err(DecodeError::TooLarge) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut e = GzEncoder::new(Vec::new(), Compression::best());
        e.write_all(bytes).unwrap();
        e.finish().unwrap()
    }

    #[test]
    fn encodings_are_undone() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(b"{}").unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(b"{}").unwrap();
        for (body, encoding) in [
            (b"{}".to_vec(), None),
            (b"{}".to_vec(), Some("identity")),
            (gzip(b"{}"), Some("gzip")),
            (gzip(b"{}"), Some("X-GZIP")),
            (zlib.finish().unwrap(), Some("deflate")),
            (raw.finish().unwrap(), Some("deflate")),
            (gzip(&gzip(b"{}")), Some("gzip, gzip")),
        ] {
            assert_eq!(decode(&body, encoding, 100), Ok(b"{}".to_vec()), "{encoding:?}");
        }
    }

    #[test]
    fn bombs_are_refused_without_unpacking_them() {
        let bomb = gzip(&vec![0; 50 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(decode(&bomb, Some("gzip"), 1 << 20), Err(DecodeError::TooLarge));
        assert_eq!(decode(&gzip(&bomb), Some("gzip, gzip"), 1 << 20), Err(DecodeError::TooLarge));
        assert_eq!(decode(&gzip(&[0; 10]), Some("gzip"), 10).map(|b| b.len()), Ok(10));
        assert_eq!(decode(&gzip(&[0; 11]), Some("gzip"), 10), Err(DecodeError::TooLarge));
    }

    #[test]
    fn what_cannot_be_undone_is_said() {
        assert_eq!(decode(b"{}", Some("gzip"), 10), Err(DecodeError::Broken("gzip".into())));
        assert_eq!(decode(b"{}", Some("br"), 10), Err(DecodeError::Unknown("br".into())));
        assert!(decode(b"{}", Some("gzip,gzip,gzip"), 10).is_err());
    }
}
