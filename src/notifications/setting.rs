//! Settings of channels as people give them: checked by the list of the kind's fields, secrets apart, and the proof of
//! ownership where the kind has one.

use std::collections::BTreeMap;

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{
    Caller,
    channels::{Channel, FieldKind, Settings, text},
    opened,
};
use crate::{
    model::*,
    outgoing::Url,
    store::{StoreError, seal::Sealer},
};

/// Longest value, in bytes: a chain of certificates.
const LONGEST: usize = 64 << 10;

/// Settings that were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// Everything that is no secret.
    pub settings: BTreeMap<String, String>,
    /// Secrets that are new, with how each is shown; none takes one away. Those not named stay.
    pub secrets: BTreeMap<String, Option<(Sealed, String)>>,
    /// All of them, as messages will have them.
    pub whole: Settings,
}

/// How a secret is shown: the host of an address, and the last four letters.
pub fn shown(value: &str) -> String {
    let last: String = value.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    let last = if value.chars().count() < 12 { String::new() } else { last };
    match Url::parse(value).ok().and_then(|u| u.host_str().map(ToOwned::to_owned)) {
        Some(host) => format!("{host}/…{last}"),
        None => format!("…{last}"),
    }
}

/// Why settings cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// Some are wrong.
    #[error("{}", .0.first().map_or("a setting is wrong", |m| &m.what))]
    Wrong(Vec<Mistake>),
    /// A secret cannot be sealed or opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads what was given for a channel. `before` is the channel as it is: a secret that is not given stays, one that is
/// given empty goes. A field that is no secret and is not given is empty.
pub fn read(
    channel: &dyn Channel,
    given: &BTreeMap<String, String>,
    before: Option<&ChannelRow>,
    sealer: &Sealer,
    plain_http: bool,
) -> Result<Given, SettingError> {
    let mut wrong = Vec::new();
    let mut out = Given { settings: BTreeMap::new(), secrets: BTreeMap::new(), whole: Settings::default() };
    let fields = channel.info().fields;
    for key in given.keys().filter(|key| !fields.iter().any(|f| f.key == key.as_str())) {
        let known: Vec<&str> = fields.iter().map(|f| f.key).collect();
        let key: String = key.chars().take(60).collect();
        let what = format!("{} has no setting `{key}`; it has {}", channel.info().name, known.join(", "));
        wrong.push(Mistake::new(format!("/settings/{key}"), what));
    }
    let known = before.map(|row| opened(sealer, channel, row, None)).transpose()?;
    for field in fields {
        let path = format!("/settings/{}", field.key);
        let value = match given.get(field.key) {
            Some(value) if is_long(field.kind) => Some(value.trim().replace("\r\n", "\n")),
            Some(value) => Some(value.trim().to_owned()),
            None => None,
        };
        let stays = known.as_ref().filter(|_| value.is_none() && field.secret).map(|k| k.get(field.key).to_owned());
        let whole = stays.clone().or_else(|| value.clone()).unwrap_or_default();
        let effective = if whole.is_empty() { field.default.to_owned() } else { whole.clone() };
        if field.required && effective.is_empty() {
            wrong.push(Mistake::new(&path, format!("{} is needed", field.label)));
        } else if !effective.is_empty()
            && let Err(what) = check(field.kind, &effective, plain_http)
        {
            wrong.push(Mistake::new(&path, what));
        }
        out.whole.0.insert(field.key.to_owned(), effective);
        match (field.secret, value) {
            (false, value) => {
                if let Some(value) = value.filter(|v| !v.is_empty()) {
                    out.settings.insert(field.key.to_owned(), value);
                }
            }
            (true, Some(value)) if value.is_empty() => drop(out.secrets.insert(field.key.to_owned(), None)),
            (true, Some(value)) => {
                let sealed = (sealer.seal(&value)?, shown(&value));
                out.secrets.insert(field.key.to_owned(), Some(sealed));
            }
            (true, None) => {}
        }
    }
    if wrong.is_empty() {
        wrong = channel.check(&out.whole);
    }
    if wrong.is_empty() { Ok(out) } else { Err(SettingError::Wrong(wrong)) }
}

/// It may have several lines.
fn is_long(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::Lines | FieldKind::Certificates)
}

fn check(kind: FieldKind, value: &str, plain_http: bool) -> Result<(), String> {
    if value.len() > LONGEST {
        return Err(format!("it has {} bytes; {LONGEST} are allowed", value.len()));
    }
    if !is_long(kind) && value.chars().any(char::is_control) {
        return Err("it has control characters, such as a line end; one line is needed".to_owned());
    }
    match kind {
        FieldKind::Text | FieldKind::Lines => Ok(()),
        FieldKind::Certificates => {
            match CertificateDer::pem_slice_iter(value.as_bytes()).collect::<Result<Vec<_>, _>>() {
                Ok(found) if !found.is_empty() => Ok(()),
                _ => Err("this holds no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----".to_owned()),
            }
        }
        FieldKind::Switch if matches!(value, "on" | "off") => Ok(()),
        FieldKind::Switch => Err("on or off is needed".to_owned()),
        FieldKind::Number(least, most) => match value.parse::<u32>() {
            Ok(n) if (least..=most).contains(&n) => Ok(()),
            _ => Err(format!("a whole number from {least} to {most} is needed")),
        },
        FieldKind::Choice(words) if words.contains(&value) => Ok(()),
        FieldKind::Choice(words) => Err(format!("one of {} is needed", words.join(", "))),
        FieldKind::Url => match Url::parse(value) {
            Ok(url) if url.host_str().is_none() => Err("an address with a host is needed".to_owned()),
            Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && plain_http) => Ok(()),
            Ok(url) if url.scheme() == "http" => {
                Err("an address that begins with https:// is needed; others only with notifications.plain_http"
                    .to_owned())
            }
            _ => Err("an address that begins with https:// is needed".to_owned()),
        },
    }
}

/// Has the receiver show that it is whoever it should be, where the kind asks for that; `nonce` is random. Nothing may be
/// saved before.
///
/// # Errors
/// Which condition failed.
pub async fn prove(
    caller: &Caller,
    channel: &dyn Channel,
    settings: &Settings,
    nonce: &str,
) -> Result<(), SettingError> {
    let Some(call) = channel.challenge(settings, nonce) else { return Ok(()) };
    let shown = match caller.make(settings, &call).await {
        Ok(answer) => channel.shown(settings, nonce, &answer),
        Err(e) => Err(e.to_string()),
    };
    shown.map_err(|why| {
        let why = text::cut(&caller.without_secrets(settings, channel, &why), 500);
        SettingError::Wrong(vec![Mistake::new("/settings/challenge_secret", why)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifications::channels;

    #[test]
    fn settings_are_checked_by_their_fields_and_secrets_are_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::open_file(dir.path(), true).unwrap();
        let channel = channels::find("mattermost").unwrap();
        let given = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let url = "https://chat.example.com/hooks/abcdefgh1234";
        let out = read(channel, &given(&[("url", url), ("channel", "ops")]), None, &sealer, false).unwrap();
        assert_eq!(out.settings, given(&[("channel", "ops")]));
        assert_eq!(out.secrets["url"].as_ref().unwrap().1, "chat.example.com/…1234");
        assert_eq!((out.whole.get("url"), out.whole.get("username")), (url, "Watchfire"));
        for (pairs, path) in [
            (vec![], "/settings/url"),
            (vec![("url", "chat.example.com")], "/settings/url"),
            (vec![("url", "http://chat.example.com/hooks/x")], "/settings/url"),
            (vec![("url", url), ("channel", "a\nb")], "/settings/channel"),
            (vec![("url", url), ("color", "red")], "/settings/color"),
            (vec![("url", url), ("ca", "no certificate")], "/settings/ca"),
            (vec![("url", url), ("ca", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----")], "/settings/ca"),
        ] {
            match read(channel, &given(&pairs), None, &sealer, false) {
                Err(SettingError::Wrong(wrong)) => assert_eq!(wrong[0].path, path, "{pairs:?}"),
                other => panic!("{pairs:?}: {other:?}"),
            }
        }
        assert!(read(channel, &given(&[("url", "http://chat.example.com/x")]), None, &sealer, true).is_ok());
        let ca = include_str!("../../tests/keys/sns.pem").replace('\n', "\r\n");
        let out = read(channel, &given(&[("url", url), ("ca", &ca)]), None, &sealer, false).unwrap();
        assert!(out.settings["ca"].starts_with("-----BEGIN CERTIFICATE-----\n"), "{}", out.settings["ca"]);
    }
}
