//! Presses of buttons, as Slack tells of them (<https://docs.slack.dev/interactivity/handling-user-interaction>): a form
//! with JSON in its field `payload`, signed (<https://docs.slack.dev/authentication/verifying-requests-from-slack>).

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::{super::text, ACKNOWLEDGE, Settings, chat, is_bot};
use crate::{
    model::{IncidentId, Time},
    notifications::channels::{Press, PressError, Receipt, Told},
};

/// How far the time of a signature may be from ours: Slack's own advice.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Longest name that is kept of somebody, in characters.
const NAME: usize = 80;

/// Reads what Slack tells of: none when it is nothing that is to be done here, such as a press of a link.
pub fn read(settings: &Settings, told: &Told<'_>) -> Result<Option<Press>, PressError> {
    let secret = settings.given("signing_secret").filter(|_| is_bot(settings)).ok_or(PressError::NotSetUp)?;
    let at = proven(secret, told)?;
    let payload = form_urlencoded::parse(told.body).find(|(name, _)| name == "payload");
    let Some((_, payload)) = payload else { return Err(PressError::Unreadable) };
    let payload: Value = serde_json::from_str(&payload).map_err(|_| PressError::Unreadable)?;
    if chat::at(&payload, "type") != "block_actions" {
        return Ok(None);
    }
    let mut actions = chat::at(&payload, "actions").as_array().into_iter().flatten();
    let Some(action) = actions.find(|a| chat::at(a, "action_id") == ACKNOWLEDGE) else { return Ok(None) };
    let incident = chat::at(action, "value").as_str().and_then(|v| v.parse::<IncidentId>().ok());
    let (user, place) = (chat::at(&payload, "user"), chat::at(&payload, "container"));
    let by = chat::at(user, "id").as_str().filter(|id| !id.is_empty());
    let (Some(incident), Some(by)) = (incident, by) else { return Err(PressError::Unreadable) };
    let name = ["username", "name"].iter().find_map(|key| chat::at(user, key).as_str()).unwrap_or(by);
    let word = |key: &str| chat::at(place, key).as_str().unwrap_or_default().to_owned();
    let place = [("ts", word("message_ts")), ("channel", word("channel_id"))];
    Ok(Some(Press {
        incident,
        by: by.to_owned(),
        name: text::cut(&text::line(name), NAME),
        at,
        place: place.into_iter().map(|(k, v)| (k.to_owned(), v)).filter(|(_, v)| !v.is_empty()).collect::<Receipt>(),
    }))
}

/// When it was signed with this secret, if it was and that is not long ago.
fn proven(secret: &str, told: &Told<'_>) -> Result<Time, PressError> {
    let stamp = told.header("x-slack-request-timestamp").ok_or(PressError::Unsigned)?;
    let signature = told.header("x-slack-signature").and_then(|s| s.strip_prefix("v0=")).ok_or(PressError::Unsigned)?;
    let digits = !stamp.is_empty() && stamp.len() <= 12 && stamp.bytes().all(|b| b.is_ascii_digit());
    let secs: i64 = stamp.parse().ok().filter(|_| digits).ok_or(PressError::Unsigned)?;
    let at = Time::from_secs(secs);
    if at.distance(told.now) > WINDOW {
        return Err(PressError::Old);
    }
    let signature = unhex(signature).ok_or(PressError::Forged)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| PressError::NotSetUp)?;
    for part in [b"v0:", stamp.as_bytes(), b":", told.body] {
        mac.update(part);
    }
    // In constant time.
    mac.verify_slice(&signature).map_err(|_| PressError::Forged)?;
    Ok(at)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|p| p.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u8::from_str_radix(pair, 16).ok()
    });
    if text.len() == 64 { pairs.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's documentation.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const STAMP: &str = "1531420618";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNED: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn told(stamp: &str, signature: &str, body: &str, now: i64) -> Result<Time, PressError> {
        let headers = [("x-slack-request-timestamp", stamp), ("x-slack-signature", signature)];
        let headers: Vec<(String, String)> = headers.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        proven(SECRET, &Told { headers: &headers, body: body.as_bytes(), now: Time::from_secs(now) })
    }

    #[test]
    fn only_fresh_signatures_over_the_very_bytes_count() {
        let then = 1_531_420_618;
        for (stamp, signature, body, now, want) in [
            (STAMP, SIGNED, BODY, then, Ok(Time::from_secs(then))),
            (STAMP, SIGNED, BODY, then + 300, Ok(Time::from_secs(then))),
            (STAMP, SIGNED, BODY, then - 300, Ok(Time::from_secs(then))),
            (STAMP, SIGNED, BODY, then + 301, Err(PressError::Old)),
            (STAMP, SIGNED, BODY, then - 301, Err(PressError::Old)),
            (STAMP, SIGNED, &BODY.replace("roadrunner", "coyote"), then, Err(PressError::Forged)),
            // The time is part of what is signed.
            ("1531420619", SIGNED, BODY, then, Err(PressError::Forged)),
            ("01531420618", SIGNED, BODY, then, Err(PressError::Forged)),
            (STAMP, &SIGNED.replace("v0=a2", "v0=a3"), BODY, then, Err(PressError::Forged)),
            (STAMP, &SIGNED[..65], BODY, then, Err(PressError::Forged)),
            (STAMP, "v0=", BODY, then, Err(PressError::Forged)),
            (STAMP, &format!("v0={}", "+1".repeat(32)), BODY, then, Err(PressError::Forged)),
            (STAMP, &SIGNED.replace("v0=", "v1="), BODY, then, Err(PressError::Unsigned)),
            (STAMP, &SIGNED.replace("v0=", ""), BODY, then, Err(PressError::Unsigned)),
            ("", SIGNED, BODY, then, Err(PressError::Unsigned)),
            ("+1531420618", SIGNED, BODY, then, Err(PressError::Unsigned)),
            ("-1531420618", SIGNED, BODY, then, Err(PressError::Unsigned)),
            ("1531420618.5", SIGNED, BODY, then, Err(PressError::Unsigned)),
            ("99999999999999999999", SIGNED, BODY, then, Err(PressError::Unsigned)),
        ] {
            assert_eq!(told(stamp, signature, body, now), want, "{stamp} {signature} {now}");
        }
        // None at all, and two of one name.
        let twice =
            [("x-slack-signature", SIGNED), ("x-slack-signature", SIGNED), ("x-slack-request-timestamp", STAMP)];
        let twice: Vec<(String, String)> = twice.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        for headers in [&[][..], &twice] {
            let told = Told { headers, body: BODY.as_bytes(), now: Time::from_secs(then) };
            assert_eq!(proven(SECRET, &told), Err(PressError::Unsigned));
        }
    }

    fn signed(settings: &[(&str, &str)], payload: &str) -> Result<Option<Press>, PressError> {
        let settings = Settings(settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("payload", payload).finish();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(format!("v0:{STAMP}:{body}").as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
        let headers = [("x-slack-request-timestamp", STAMP.to_owned()), ("x-slack-signature", format!("v0={hex}"))];
        let headers: Vec<(String, String)> = headers.map(|(n, v)| (n.to_owned(), v)).to_vec();
        read(&settings, &Told { headers: &headers, body: body.as_bytes(), now: Time::from_secs(1_531_420_618) })
    }

    #[test]
    fn a_press_is_read_and_nothing_else() {
        let bot = [("mode", "bot"), ("signing_secret", SECRET)];
        let payload = |kind: &str, action: &str, value: &str, user: &str| {
            format!(
                r#"{{"type":"{kind}","user":{user},"container":{{"type":"message_attachment","message_ts":"17.01","channel_id":"C1"}},"actions":[{{"action_id":"other"}},{{"action_id":"{action}","value":"{value}","type":"button"}}]}}"#
            )
        };
        let ada = r#"{"id":"U1","username":"ada\n\u202e","name":"ada"}"#;
        let press = Press {
            incident: IncidentId(42),
            by: "U1".to_owned(),
            name: "ada".to_owned(),
            at: Time::from_secs(1_531_420_618),
            place: [("ts", "17.01"), ("channel", "C1")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        };
        for (text, want) in [
            (payload("block_actions", "watchfire_ack", "INC-42", ada), Ok(Some(press))),
            (payload("block_actions", "watchfire_open", "INC-42", ada), Ok(None)),
            (payload("block_actions", "watchfire_ack_link", "INC-42", ada), Ok(None)),
            (payload("view_submission", "watchfire_ack", "INC-42", ada), Ok(None)),
            (payload("block_actions", "watchfire_ack", "42; drop", ada), Err(PressError::Unreadable)),
            (payload("block_actions", "watchfire_ack", "INC-42", "{}"), Err(PressError::Unreadable)),
            ("{".to_owned(), Err(PressError::Unreadable)),
            ("[]".to_owned(), Ok(None)),
        ] {
            assert_eq!(signed(&bot, &text), want, "{text}");
        }
        let right = payload("block_actions", "watchfire_ack", "INC-42", ada);
        for settings in [
            &[("mode", "bot")][..],
            &[("mode", "webhook"), ("signing_secret", SECRET)],
            &[("mode", "bot"), ("signing_secret", "")],
        ] {
            assert_eq!(signed(settings, &right), Err(PressError::NotSetUp), "{settings:?}");
        }
        assert_eq!(signed(&[("mode", "bot"), ("signing_secret", "another")], &right), Err(PressError::Forged));
    }
}
