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

/// The settings of a kind's fixtures, the `n`th way, with nothing told before.
pub fn to(channel: &dyn Channel, n: usize) -> To {
    let given = fixtures(channel).swap_remove(n);
    To { settings: settings(channel, &given), receipt: Receipt::new(), lasting: Receipt::new() }
}

/// A step that is expected, and the answer to it: status, body.
pub type Step = (&'static str, u16, &'static str);

/// Tells samples one after the other, as a runner would: each call must have the step that is expected, gets the answer
/// beside it, and what that says is kept for the next. At the end the receipt must have these.
pub fn follow(channel: &dyn Channel, told: &[(&str, &[Step])], kept: &[(&str, &str)]) -> Vec<Call> {
    follow_from(channel, to(channel, 0), told, kept)
}

/// The same from where something was told before.
pub fn follow_from(channel: &dyn Channel, mut to: To, told: &[(&str, &[Step])], kept: &[(&str, &str)]) -> Vec<Call> {
    let mut made = Vec::new();
    for (name, steps) in told {
        let (_, message) = samples::all().into_iter().find(|(n, _)| n == name).unwrap();
        let mut waiting = channel.calls(&to, &message);
        let mut steps = steps.iter();
        while !waiting.is_empty() {
            let call = waiting.remove(0);
            let (step, status, body) = steps.next().unwrap_or_else(|| panic!("{name}: {} too many", call.step()));
            assert_eq!(call.step(), *step, "{name}");
            let answer = Answered { status: *status, headers: Vec::new(), body: (*body).to_owned() };
            match channel.judge(&to, &message, &call, &answer) {
                Judged::Done { receipt, lasting } => {
                    to.receipt.extend(receipt);
                    to.lasting.extend(lasting);
                }
                Judged::Instead { calls, lasting, forget } => {
                    waiting.retain(|w| calls.iter().all(|c| c.step() != w.step()));
                    waiting.splice(0..0, calls);
                    to.lasting.extend(lasting);
                    to.receipt.retain(|k, _| !forget.contains(k));
                }
                other => panic!("{name} {step}: {other:?}"),
            }
            made.push(call);
        }
        assert_eq!(steps.next(), None, "{name}: expected more");
    }
    for (key, value) in kept {
        assert_eq!(to.receipt.get(*key).map(String::as_str), Some(*value), "{key} in {:?}", to.receipt);
    }
    made
}

/// Holds answers (status, headers as `name: value` by line, body) to the first call of a sample against what they mean:
/// `done`, `later`, `later 30` (seconds), `never: words of it`, `broken: words of it`, `instead`.
pub fn judged(channel: &dyn Channel, sample: &str, table: &[(u16, &str, &str, &str)]) {
    judged_from(channel, &to(channel, 0), sample, 0, table);
}

/// The same for the `n`th call, from where something was told before.
pub fn judged_from(channel: &dyn Channel, to: &To, sample: &str, n: usize, table: &[(u16, &str, &str, &str)]) {
    let (_, message) = samples::all().into_iter().find(|(name, _)| *name == sample).unwrap();
    let call = channel.calls(to, &message).swap_remove(n);
    for (status, headers, body, want) in table {
        let pair = |l: &str| l.split_once(": ").map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap();
        let headers = headers.lines().map(pair).collect();
        let answer = Answered { status: *status, headers, body: (*body).to_owned() };
        let (word, why) = match channel.judge(to, &message, &call, &answer) {
            Judged::Done { .. } => ("done".to_owned(), String::new()),
            Judged::Later { after: None, why } => ("later".to_owned(), why),
            Judged::Later { after: Some(after), why } => (format!("later {}", after.as_secs_f64()), why),
            Judged::Never { broken: false, why } => ("never".to_owned(), why),
            Judged::Never { broken: true, why } => ("broken".to_owned(), why),
            Judged::Gone { why } => ("gone".to_owned(), why),
            Judged::Instead { .. } => ("instead".to_owned(), String::new()),
        };
        let (want, words) = want.split_once(": ").unwrap_or((want, ""));
        assert!(word == want && why.contains(words), "{status} {body}: {word}: {why}, not {want}: {words}");
    }
}
