//! Links that acknowledge with one press: signed for one message, valid for some days. Whoever has the link may do that one
//! thing, and nothing else.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::model::*;

/// How long a link works, in milliseconds: three days.
const VALID: i64 = 3 * 24 * 3600 * 1000;

/// Makes and reads links.
#[derive(Clone)]
pub struct Links {
    key: [u8; 32],
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Links(…)")
    }
}

/// What a link stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The incident that it acknowledges.
    pub incident: IncidentId,
    /// The message that it was sent with.
    pub notice: NoticeId,
}

/// Why a link does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It was not made here, or was changed.
    #[error("this link is not one of this server, or a part of it is missing; open the incident instead")]
    Wrong,
    /// It is too old.
    #[error("this link is more than three days old; open the incident instead")]
    Old,
}

impl Links {
    /// Signs with this key.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    fn signature(&self, text: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(text.as_bytes());
        Some(mac)
    }

    /// The token of a link.
    pub fn token(&self, linked: Linked, now: Time) -> String {
        let text = format!("{}.{}.{}", linked.incident.0, linked.notice.0, now.millis().saturating_add(VALID));
        let signature = self.signature(&text).map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default();
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// Reads the token of a link.
    ///
    /// # Errors
    /// It is wrong or too old.
    pub fn read(&self, token: &str, now: Time) -> Result<Linked, LinkError> {
        let (text, signature) = token.rsplit_once('.').ok_or(LinkError::Wrong)?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| LinkError::Wrong)?;
        // In constant time.
        let mac = self.signature(text).ok_or(LinkError::Wrong)?;
        mac.verify_slice(&signature).map_err(|_| LinkError::Wrong)?;
        let mut parts = text.split('.');
        let mut number = || parts.next().and_then(|p| p.parse::<u64>().ok()).ok_or(LinkError::Wrong);
        let (incident, notice, until) = (IncidentId(number()?), NoticeId(number()?), number()?);
        if i64::try_from(until).map_or(true, |until| now.millis() >= until) {
            return Err(LinkError::Old);
        }
        Ok(Linked { incident, notice })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_fresh_link_of_this_server_is_taken() {
        let links = Links::new([7; 32]);
        let (then, linked) = (Time::from_secs(1_000_000), Linked { incident: IncidentId(42), notice: NoticeId(7) });
        let token = links.token(linked, then);
        let day = Time::from_secs(1_000_000 + 24 * 3600);
        assert_eq!(links.read(&token, day), Ok(linked));
        assert_eq!(links.read(&token, Time::from_secs(1_000_000 + 4 * 24 * 3600)), Err(LinkError::Old));
        assert_eq!(Links::new([8; 32]).read(&token, day), Err(LinkError::Wrong));
        let other = token.replacen("42", "43", 1);
        let short = &token[..token.len() - 4];
        for wrong in [other.as_str(), short, "", ".", "42.7.9", "42.7.99999999999999.AA"] {
            assert_eq!(links.read(wrong, day), Err(LinkError::Wrong), "{wrong}");
        }
    }
}
