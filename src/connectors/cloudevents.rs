//! CloudEvents 1.0 over HTTP: one event as JSON, a batch, or the event's data with what is around it in headers. What the
//! data says is read as for the generic connector; what it leaves open, the event's own attributes say.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use super::{
    Connector, Info, Overload, Request,
    body::{self, Body},
    fields::Obj,
    generic::{self, words},
    identity, labels, moment, text,
};
use crate::model::{Note, Parsed, Problem, Signal, SignalStatus};

pub(super) struct CloudEvents;

static INFO: Info = Info {
    slug: "cloudevents",
    name: "CloudEvents",
    tile: "Ce",
    way: "Any broker, over HTTP",
    success: 202,
    overload: Overload::TooMany,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "Have the broker or producer deliver to {url} by HTTP, in structured, batched or binary mode, with the header \
         `Authorization: Bearer {key}`; where it cannot set headers, to {url}/{key}.",
        "Brokers that ask with OPTIONS whether this address wants their events are answered, when the key is in the URL.",
        "Let the data of events say title, status, severity, service and host. Without them the type is the title, and a \
         type that ends with a word such as resolved or recovered ends what the type before it began.",
    ],
    fields: &[
        ("Title", "data.title and its like, else type and subject"),
        ("Severity", "data.severity and its like, else medium"),
        ("Service, host, environment", "the fields of these names in data, else its labels"),
        ("Identity", "data.dedup_key and its like, else source, type without its last word for a state, and subject"),
        ("State", "data.status and its like, else the last part of type"),
        ("Link", "data.url and its like"),
        ("Time", "in data, else time"),
    ],
    sample: include_str!("samples/cloudevents.json"),
};

/// The attributes of an event.
const ATTRIBUTES: [&str; 5] = ["id", "source", "type", "subject", "time"];

impl Connector for CloudEvents {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        if request.header("ce-type").is_some() {
            return binary(request);
        }
        let mut body = body::read(request)?;
        let mut parsed = Parsed { notes: std::mem::take(&mut body.notes), ..Parsed::default() };
        match &body.root {
            Value::Array(list) => {
                for (n, item) in body::limited(list, "")?.iter().enumerate() {
                    if let Err(problem) = event(Obj::of(Some(item)), &format!("/{n}"), body.repaired, &mut parsed) {
                        parsed.notes.push(Note::Warning(format!("Left out /{n}: {}", problem.detail)));
                    }
                }
                if parsed.signals.is_empty() && !list.is_empty() {
                    return Err(unknown(Obj::of(list.first())));
                }
            }
            _ => {
                let root = body.object(INFO.name)?;
                event(root, "", body.repaired, &mut parsed)?;
                parsed.retry_id = retry_id(root);
            }
        }
        Ok(parsed)
    }
}

fn unknown(found: Obj<'_>) -> Problem {
    body::unrecognised(INFO.name, "`specversion`, `id`, `source` and `type`, or headers such as `ce-type`", found)
}

/// Source and id name an event for ever: a retry repeats them.
fn retry_id(event: Obj<'_>) -> Option<String> {
    Some(format!("{} {}", event.text("source")?, event.text("id")?))
}

/// Attributes in headers, percent-encoded, and the data as body, which may be anything.
fn binary(request: &Request<'_>) -> Result<Parsed, Problem> {
    let mut map = Map::new();
    for name in ATTRIBUTES {
        if let Some(value) = request.header(&format!("ce-{name}")) {
            map.insert(name.to_owned(), Value::String(decoded(value)));
        }
    }
    let mut parsed = Parsed::default();
    let (data, repaired) = match body::read(request) {
        Ok(body) => {
            parsed.notes = body.notes;
            (body.root, body.repaired)
        }
        Err(_) => (Value::String(String::from_utf8_lossy(request.body).into_owned()), false),
    };
    map.insert("data".to_owned(), data);
    event(Obj::new(&map), "", repaired, &mut parsed)?;
    // The body is the data itself.
    parsed.signals.iter_mut().for_each(|s| s.path = s.path.strip_prefix("/data").unwrap_or_default().to_owned());
    parsed.retry_id = retry_id(Obj::new(&map));
    Ok(parsed)
}

fn decoded(value: &str) -> String {
    // A plus is a plus here.
    let form = format!("v={}", value.replace('+', "%2B").replace('&', "%26"));
    form_urlencoded::parse(form.as_bytes()).next().map(|(_, v)| v.into_owned()).unwrap_or_default()
}

fn event(event: Obj<'_>, path: &str, repaired: bool, parsed: &mut Parsed) -> Result<(), Problem> {
    let kind = event.text("type").ok_or_else(|| unknown(event))?;
    let from = parsed.signals.len();
    let data = event.get("data").cloned();
    let data = match (data, event.text("data_base64")) {
        (None, Some(packed)) => {
            let inner = unpacked(&packed);
            if inner.is_none() {
                let what = "data_base64 holds no text that can be read; the event's attributes are read alone.";
                parsed.notes.push(Note::Warning(what.to_owned()));
            }
            inner.map(as_json)
        }
        (Some(Value::String(inner)), _) => Some(as_json(inner)),
        (data, _) => data,
    };
    if let Some(root @ (Value::Object(_) | Value::Array(_))) = &data {
        let inner = Body { root: root.clone(), notes: Vec::new(), repaired };
        if let Ok(read) = generic::read(INFO.slug, "", &inner) {
            parsed.notes.extend(read.notes);
            parsed.signals.extend(read.signals);
            let said = Obj::of(Some(root));
            let of_type = words::of_field("type", last(&kind)).filter(|_| !said.has("status") && !said.has("state"));
            for signal in parsed.signals.iter_mut().skip(from) {
                signal.path = format!("{path}/data{}", signal.path);
                // What an item says of itself stays.
                if let Some(status) = of_type.filter(|_| signal.status == SignalStatus::Firing) {
                    signal.status = status;
                }
            }
        }
    }
    if parsed.signals.len() == from {
        let mut signal = bare(event, &kind);
        signal.description = match &data {
            Some(Value::String(said)) => text::description(said),
            Some(other) if !other.is_null() => text::description(&other.to_string()),
            _ => None,
        };
        signal.path = path.to_owned();
        signal.repaired = repaired;
        parsed.signals.push(signal);
    }
    let at = event.get("time").and_then(moment::time);
    for signal in parsed.signals.iter_mut().skip(from) {
        signal.observed_at = signal.observed_at.or(at);
        match signal.status {
            SignalStatus::Firing => signal.started_at = signal.started_at.or(at),
            SignalStatus::Resolved => signal.ended_at = signal.ended_at.or(at),
            SignalStatus::Acknowledged | SignalStatus::Info => {}
        }
        for name in ["source", "type", "subject"] {
            labels::add(&mut signal.labels, &format!("ce_{name}"), event.text(name).as_deref());
        }
    }
    Ok(())
}

/// The text in `data_base64`; none when it is none.
fn unpacked(packed: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(packed.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let plain = |c: char| !c.is_control() || c.is_whitespace();
    text.chars().all(plain).then_some(text)
}

/// As JSON, whatever datacontenttype says.
fn as_json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// The last part of a type such as `com.example.disk.resolved` or `DiskFull/v1.cleared`.
fn last(kind: &str) -> &str {
    kind.rsplit(['.', '/', ':']).next().unwrap_or(kind)
}

/// An event whose data says nothing that is known: its attributes are all there is.
fn bare(event: Obj<'_>, kind: &str) -> Signal {
    let status = words::of_field("type", last(kind));
    // Both ends have one identity.
    let stem = match status {
        Some(_) => kind.strip_suffix(last(kind)).map_or(kind, |s| s.trim_end_matches(['.', '/', ':'])),
        None => kind,
    };
    let subject = event.text("subject");
    let title = subject.as_ref().map_or_else(|| kind.to_owned(), |s| format!("{kind}: {s}"));
    let source = event.text("source");
    let parts = [("source", source.as_deref()), ("type", Some(stem)), ("subject", subject.as_deref())];
    let rule = "Source, type without its word for a state, and subject, as the data names no alert.";
    let title = text::title(&title).unwrap_or_else(|| INFO.name.to_owned());
    let mut signal = identity::signal(INFO.slug, rule, &parts, title);
    // Whoever sends an event here wants to know of it.
    signal.status = status.unwrap_or(SignalStatus::Firing);
    signal
}
