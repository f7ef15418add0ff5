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

    const THEN: i64 = 1_000_000;
    const DAY: i64 = 24 * 3600;

    fn linked() -> Linked {
        Linked { incident: IncidentId(42), notice: NoticeId(7) }
    }

    #[test]
    fn only_a_whole_link_of_this_server_is_taken() {
        let links = Links::new([7; 32]);
        let token = links.token(linked(), Time::from_secs(THEN));
        let (text, signature) = token.rsplit_once('.').unwrap();
        let of_another = Links::new([8; 32]).token(linked(), Time::from_secs(THEN));
        let other = links.token(Linked { notice: NoticeId(8), ..linked() }, Time::from_secs(THEN));
        let other_signature = other.rsplit_once('.').unwrap().1;
        let later = text.replacen(&(THEN * 1000 + VALID).to_string(), &(THEN * 1000 + 2 * VALID).to_string(), 1);
        assert_ne!(later, text);
        for (what, wrong) in [
            ("another key", of_another),
            ("another incident", token.replacen("42.", "43.", 1)),
            ("another message", token.replacen("42.7.", "42.8.", 1)),
            ("the signature of another", format!("{text}.{other_signature}")),
            ("a longer life", format!("{later}.{signature}")),
            ("its end left out", token[..token.len() - 4].to_owned()),
            ("something behind it", format!("{token}A")),
            ("a part more", format!("{token}.{signature}")),
            ("padding", format!("{token}=")),
            ("standard letters", token.replace(['-', '_'], "+") + "+"),
            ("no signature", text.to_owned()),
            ("an empty one", format!("{text}.")),
            ("a space", format!(" {token}")),
            ("nothing", String::new()),
            ("a dot", ".".to_owned()),
            ("dots", "....".to_owned()),
            ("no numbers", "a.b.c.d".to_owned()),
            ("numbers alone", "42.7.99999999999999.AA".to_owned()),
        ] {
            assert_eq!(links.read(&wrong, Time::from_secs(THEN + DAY)), Err(LinkError::Wrong), "{what}: {wrong}");
        }
    }

    #[test]
    fn a_link_works_for_three_days_and_as_often_as_it_is_pressed() {
        let links = Links::new([7; 32]);
        let token = links.token(linked(), Time::from_secs(THEN));
        for (secs, want) in [
            (0, Ok(linked())),
            (0, Ok(linked())),
            (DAY, Ok(linked())),
            (3 * DAY - 1, Ok(linked())),
            (3 * DAY, Err(LinkError::Old)),
            (400 * DAY, Err(LinkError::Old)),
            // A clock that was set back makes no link wrong.
            (-DAY, Ok(linked())),
        ] {
            assert_eq!(links.read(&token, Time::from_secs(THEN + secs)), want, "{secs}");
        }
        // Nothing of an address needs to be written otherwise.
        assert!(token.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)), "{token}");
        assert_eq!(format!("{links:?}"), "Links(…)");
    }
}
