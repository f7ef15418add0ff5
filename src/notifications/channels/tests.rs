//! Every channel over every sample, held against `tests/fixtures/channels/<kind>/<sample>.json`, which was read against the
//! wire's document before it was committed. `WATCHFIRE_BLESS=1 cargo test --lib channels` writes them anew.
//!
//! A kind's settings are `tests/fixtures/channels/<kind>/settings.json`, an object, or a list of objects for a channel with
//! several ways; with several, the fixtures are `<n>-<sample>.json`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};

use super::*;

fn folder(kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/channels").join(kind)
}

/// Settings as a form would leave them: what is given, and defaults.
fn settings(channel: &dyn Channel, given: &Value) -> Settings {
    let of = |f: &Field| given[f.key].as_str().unwrap_or(f.default).to_owned();
    Settings(channel.info().fields.iter().map(|f| (f.key.to_owned(), of(f))).collect())
}

/// All settings of the kind's fixtures.
pub fn fixtures(channel: &dyn Channel) -> Vec<Value> {
    let path = folder(channel.info().kind).join("settings.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    match serde_json::from_str(&text).unwrap() {
        Value::Array(all) => all,
        one => vec![one],
    }
}

fn body(body: &Body) -> Value {
    match body {
        Body::Empty => Value::Null,
        Body::Json(value) => value.clone(),
        Body::Form(fields) => json!({ "form": fields.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>() }),
    }
}

/// A call as a fixture has it. Credentials are shown: they are made up.
fn shown(call: &Call) -> Value {
    match call {
        Call::Mail(mail) => json!({
            "from": mail.from, "to": mail.to, "subject": mail.subject, "message_id": mail.message_id,
            "reply_to": mail.reply_to, "headers": mail.headers, "text": mail.text, "html": mail.html,
        }),
        Call::Http(call) => {
            let credentials = match &call.credentials {
                Credentials::None => Value::Null,
                Credentials::Bearer(token) => json!(format!("Bearer {token}")),
                Credentials::Basic(user, password) => json!(format!("Basic {user}:{password}")),
                Credentials::Other(whole) => json!(whole),
            };
            json!({
                "step": call.step, "request": format!("{} {}", format!("{:?}", call.method).to_uppercase(), call.url),
                "headers": call.headers, "credentials": credentials, "body": body(&call.body), "signed": call.sign.is_some(),
            })
        }
    }
}

#[test]
fn every_channel_tells_every_sample_as_its_fixture_says() {
    let bless = std::env::var_os("WATCHFIRE_BLESS").is_some();
    let mut wrong = Vec::new();
    for channel in ALL {
        let ways = fixtures(*channel);
        for (n, given) in ways.iter().enumerate() {
            let settings = settings(*channel, given);
            assert_eq!(channel.check(&settings), [], "{}", channel.info().kind);
            for (name, message) in samples::all() {
                let file = if ways.len() > 1 { format!("{n}-{name}.json") } else { format!("{name}.json") };
                let path = folder(channel.info().kind).join(file);
                let to = To { settings: settings.clone(), receipt: Receipt::new(), lasting: Receipt::new() };
                let calls: Vec<Value> = channel.calls(&to, &message).iter().map(shown).collect();
                let got = format!("{}\n", serde_json::to_string_pretty(&calls).unwrap());
                if bless {
                    fs::write(&path, &got).unwrap();
                } else if fs::read_to_string(&path).unwrap_or_default() != got {
                    wrong.push(path.display().to_string());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these tell something else now: {wrong:#?}");
}

#[test]
fn what_is_fixed_about_channels_fits() {
    let mut kinds = BTreeMap::new();
    for channel in ALL {
        let info = channel.info();
        assert!(kinds.insert(info.kind, ()).is_none(), "{} is there twice", info.kind);
        assert!(info.kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", info.kind);
        assert!(!info.steps.is_empty() && info.rate.0 > 0, "{}", info.kind);
        let keys: Vec<&str> = info.fields.iter().map(|f| f.key).collect();
        assert!(info.address.is_none_or(|a| keys.contains(&a)), "{}: the address is no field", info.kind);
        for field in info.fields {
            assert!(!field.help.is_empty() && field.label.chars().count() <= 40, "{}: {}", info.kind, field.key);
            if let FieldKind::Choice(words) = field.kind {
                assert!(words.contains(&field.default), "{}: {}", info.kind, field.key);
            }
        }
    }
}

/// No channel lets alert text call a whole room, or run markup, and no body is larger than targets take.
#[test]
fn hostile_text_calls_nobody() {
    for channel in ALL {
        for given in fixtures(*channel) {
            let to = To { settings: settings(*channel, &given), receipt: Receipt::new(), lasting: Receipt::new() };
            for (name, message) in samples::all() {
                for call in channel.calls(&to, &message) {
                    let text = shown(&call).to_string();
                    for bad in ["<!channel>", "<!here>", "@everyone", "@here", "\u{202e}", "\\u0000"] {
                        // A target that takes data, not markup, may have it as it is.
                        let allowed = channel.info().follows != Follows::Read;
                        assert!(allowed || !text.contains(bad), "{} {name}: {bad} in {text}", channel.info().kind);
                    }
                    assert!(text.len() < 600_000, "{} {name}: {} bytes", channel.info().kind, text.len());
                }
            }
        }
    }
}
