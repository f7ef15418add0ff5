//! Any JSON with something like a title: scripts, small tools, custom payload templates of the other platforms.

mod item;
mod names;
pub(super) mod words;

use serde_json::Value;

pub(super) use self::item::{Flat, Given, Item};
use self::{names::LISTS, words::normal};
use super::{
    Connector, Info, Overload, Request, Signature,
    body::{self, Body, limited, problem},
    explain::{Explained, Log, MOST_EXPLAINED, pointer_part},
    fields::Obj,
    signature,
};
use crate::model::{Note, Parsed, Problem};

pub(super) struct Generic;

static INFO: Info = Info {
    slug: "generic",
    name: "Generic JSON",
    tile: "{}",
    way: "Anything that can send JSON",
    success: 202,
    overload: Overload::TooMany,
    lenient: false,
    builds: false,
    signature: Some("Hex HMAC-SHA256 of the body in the header X-Watchfire-Signature"),
    steps: &[
        "Send a JSON object by POST to {url} with the header `Authorization: Bearer {key}`.",
        "Give it at least a `title`. Useful besides: `status` (firing or resolved), `severity`, `service`, `host`, \
         `environment`, `description`, `url`, `labels`, `started_at`.",
        "Send the same `dedup_key` (or the same title, service and host) with `status` resolved when it is over.",
        "Several alerts go into one request as a list, or as a list under `alerts`.",
    ],
    fields: &[
        ("Title", "title, summary, subject, alertname, name, check, message, …"),
        ("Description", "description, details, message, text, body"),
        ("Severity", "severity, level, priority, urgency"),
        ("State", "status, state, action, transition, …; without any: firing"),
        ("Service, host, environment", "the fields of these names, else labels or tags"),
        ("Identity", "dedup_key, fingerprint, alert_id, id, …; else name or title with service and host"),
        ("Link", "url, link, source_url, …"),
        ("Time", "started_at, startsAt, timestamp, time, date, …"),
    ],
    sample: include_str!("../samples/generic.json"),
};

impl Connector for Generic {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn takes_query(&self) -> bool {
        true
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let mut parsed =
            read(INFO.slug, "a title (`title`, `summary`, `alertname`, `name`, `message` and their like)", &body)?;
        parsed.notes.extend(body.notes);
        Ok(parsed)
    }

    fn verify(&self, request: &Request<'_>, secrets: &[&str]) -> Signature {
        signature::verify_hex(request, &["x-watchfire-signature"], secrets)
    }

    fn explain(&self, request: &Request<'_>) -> Vec<Explained> {
        let mut explained = Vec::new();
        if let Ok(body) = body::read(request) {
            // What could not be read has been said by `parse`.
            let _ = read_explained(INFO.slug, "", &body, Some(&mut explained));
        }
        explained
    }
}

/// Reads any JSON for this platform; `looked_for` is said when nothing is found. Notes of the body stay with it.
pub(super) fn read(platform: &str, looked_for: &str, body: &Body) -> Result<Parsed, Problem> {
    read_explained(platform, looked_for, body, None)
}

fn read_explained(
    platform: &str,
    looked_for: &str,
    body: &Body,
    mut explained: Option<&mut Vec<Explained>>,
) -> Result<Parsed, Problem> {
    let (items, path, around) = items(&body.root)?;
    let mut around = Flat::new(around);
    let mut parsed = Parsed::default();
    if around.keep(AROUND / items.len().max(1)) {
        parsed.notes.push(Note::Warning(
            "Some labels around the list of alerts were left out: they are too long for so many alerts.".to_owned(),
        ));
    }
    for (index, item) in items.iter().enumerate() {
        let here = path.as_ref().map_or_else(String::new, |p| format!("{p}/{index}"));
        let own = item.as_object().map(|map| Flat::new(Obj::new(map)));
        let asked = explained.as_ref().is_some_and(|all| all.len() < MOST_EXPLAINED);
        let mut log = if asked { Log::kept() } else { Log::default() };
        let read = own.map(|own| Item { own, around: &around, path: &here });
        match read.and_then(|item| item.signal(platform, Given::default(), &mut log)) {
            Some(mut signal) => {
                if let Some(all) = explained.as_mut().filter(|_| asked) {
                    all.push(Explained { path: here.clone(), findings: log.into_findings() });
                }
                signal.path = here;
                signal.repaired = body.repaired;
                parsed.signals.push(signal);
            }
            None if path.is_some() => parsed.notes.push(Note::Warning(format!("Left out {here}: it has no title."))),
            None => {}
        }
    }
    if !parsed.signals.is_empty() {
        return Ok(parsed);
    }
    match (items.first(), path) {
        (Some(Value::Object(map)), path) => {
            let mut problem = body::unrecognised("a sender with its own JSON", looked_for, Obj::new(map));
            problem.detail.push_str(" The smallest body that works: `{\"title\": \"Disk full\"}`.");
            problem.path = Some(path.map_or_else(String::new, |p| format!("{p}/0")));
            Err(problem)
        }
        (Some(other), path) => Err(problem(
            "unrecognised",
            format!("An object such as `{{\"title\": \"Disk full\"}}` is needed; this is {}.", body::kind(other)),
            Some(path.map_or_else(String::new, |p| format!("{p}/0"))),
        )),
        (None, _) => Ok(Parsed { notes: vec![Note::Ignored("An empty list of alerts.".to_owned())], ..parsed }),
    }
}

/// The alerts of a body: its list, with the path of it and what stands around it, or the body itself.
pub(super) fn items(root: &Value) -> Result<(&[Value], Option<String>, Obj<'_>), Problem> {
    match root {
        Value::Array(list) => Ok((limited(list, "")?, Some(String::new()), Obj::default())),
        Value::Object(map) => {
            for wanted in LISTS {
                let found = map.iter().find(|(name, value)| {
                    normal(name) == *wanted && value.as_array().is_some_and(|l| l.first().is_none_or(Value::is_object))
                });
                if let Some((name, Value::Array(list))) = found {
                    let path = format!("/{}", pointer_part(name));
                    return Ok((limited(list, &path)?, Some(path), Obj::new(map)));
                }
            }
            Ok((std::slice::from_ref(root), None, Obj::default()))
        }
        other => Ok((std::slice::from_ref(other), None, Obj::default())),
    }
}

/// What stands around a list comes with each of its alerts; altogether it may take this many bytes.
pub(super) const AROUND: usize = 8 << 20;
