//! Any JSON with something like a title: scripts, small tools, custom payload templates of the other platforms.

mod names;

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::Value;

use self::names::*;
use super::{
    Connector, Info, Overload, Request, Signature,
    body::{self, Body, limited, problem},
    fields::Obj,
    identity, labels, moment, signature, text,
};
use crate::model::{Note, Parsed, Problem, Severity, Signal, SignalStatus, Time};

pub(super) struct Generic;

static INFO: Info = Info {
    slug: "generic",
    name: "Generic JSON",
    tile: "{}",
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
}

/// Reads any JSON for this platform; `looked_for` is said when nothing is found. Notes of the body stay with it.
pub(super) fn read(platform: &str, looked_for: &str, body: &Body) -> Result<Parsed, Problem> {
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
        let read = item.as_object().map(|map| Item { own: Flat::new(Obj::new(map)), around: &around });
        match read.and_then(|item| item.signal(platform)) {
            Some(mut signal) => {
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
fn items(root: &Value) -> Result<(&[Value], Option<String>, Obj<'_>), Problem> {
    match root {
        Value::Array(list) => Ok((limited(list, "")?, Some(String::new()), Obj::default())),
        Value::Object(map) => {
            for wanted in LISTS {
                let found = map.iter().find(|(name, value)| {
                    normal(name) == *wanted && value.as_array().is_some_and(|l| l.first().is_none_or(Value::is_object))
                });
                if let Some((name, Value::Array(list))) = found {
                    let path = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                    return Ok((limited(list, &path)?, Some(path), Obj::new(map)));
                }
            }
            Ok((std::slice::from_ref(root), None, Obj::default()))
        }
        other => Ok((std::slice::from_ref(other), None, Obj::default())),
    }
}

fn normal(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9')) {
        return Cow::Borrowed(name);
    }
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// What stands around a list comes with each of its alerts; altogether it may take this many bytes.
const AROUND: usize = 8 << 20;

/// Scalar fields by their plain names, with the names as sent, and labels.
#[derive(Default)]
struct Flat<'a> {
    fields: BTreeMap<Cow<'a, str>, (&'a str, &'a Value)>,
    labels: labels::Labels,
}

impl<'a> Flat<'a> {
    /// An object's own fields first, then those of the objects in it.
    fn new(object: Obj<'a>) -> Self {
        let mut flat = Self::default();
        for (name, value) in object.iter().filter(|(_, v)| text::scalar(v).is_some()) {
            flat.fields.entry(normal(name)).or_insert((name, value));
        }
        for (name, value) in object.iter() {
            if !(value.is_object() || value.is_array() || name.eq_ignore_ascii_case("tags")) {
                continue;
            }
            let plain = normal(name);
            if matches!(&*plain, "labels" | "tags" | "commonlabels") {
                for (name, value) in labels::tags(Some(value)) {
                    labels::add(&mut flat.labels, &name, Some(&value));
                }
            }
            if NESTED.contains(&&*plain) {
                for (name, value) in Obj::of(Some(value)).iter().filter(|(_, v)| text::scalar(v).is_some()) {
                    flat.fields.entry(normal(name)).or_insert((name, value));
                }
            }
        }
        flat
    }

    /// Keeps labels and fields of `most` bytes in all; whether any were left out.
    fn keep(&mut self, most: usize) -> bool {
        let all = self.labels.len() + self.fields.len();
        let mut left = most;
        let mut fits = |length: usize| {
            let fits = length <= left;
            left -= if fits { length } else { 0 };
            fits
        };
        // In an order that is always the same, so that a body is always read the same way.
        self.labels.retain(|name, value| fits(name.len() + value.len()));
        self.fields.retain(|_, (name, value)| fits(name.len() + value.as_str().map_or(24, str::len)));
        self.labels.len() + self.fields.len() < all
    }

    fn find(&self, names: &[&str]) -> Option<(&'a str, String)> {
        names.iter().find_map(|name| self.fields.get(*name).and_then(|(n, v)| Some((*n, text::scalar(v)?))))
    }
}

/// An alert, and what stands around the list that it is in: that may tell of state, severity and place, but names no
/// single alert.
struct Item<'a> {
    own: Flat<'a>,
    around: &'a Flat<'a>,
}

impl<'a> Item<'a> {
    /// The first of these fields that says something, as (name sent, text).
    fn find(&self, names: &[&str]) -> Option<(&'a str, String)> {
        self.own.find(names)
    }

    fn text(&self, names: &[&str]) -> Option<String> {
        self.own.find(names).or_else(|| self.around.find(names)).map(|(_, text)| text)
    }

    fn time(&self, names: &[&str]) -> Option<Time> {
        names.iter().find_map(|name| self.text(&[name]).and_then(|t| moment::parse(&t)))
    }

    fn url(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.text(&[name]).and_then(|u| text::url(&u)))
    }

    fn label(&self, rule: fn(&labels::Labels) -> Option<String>) -> Option<String> {
        rule(&self.own.labels).or_else(|| rule(&self.around.labels))
    }

    fn signal(self, platform: &str) -> Option<Signal> {
        let (title_field, title) = TITLE.iter().find_map(|name| {
            let (field, words) = self.find(&[name])?;
            Some((field, text::title(&words)?))
        })?;
        let service = self.text(SERVICE).and_then(|s| text::name(&s)).or_else(|| self.label(labels::service));
        let host = self.text(HOST).and_then(|h| text::host(&h)).or_else(|| self.label(labels::host));
        let mut signal = if let Some((field, key)) = self.find(KEY) {
            let rule = format!("The field `{field}`, which names the alert whatever else changes.");
            identity::signal(platform, &rule, &[(field, Some(&key))], title.as_str())
        } else {
            let (field, name) = self.find(NAME).unwrap_or_else(|| (title_field, without_state(&title).to_owned()));
            let rule = format!(
                "`{}` with service and host, as no field such as `dedup_key`, `fingerprint` or `id` was sent.",
                text::line(field, 40)
            );
            let parts = [(field, Some(name.as_str())), ("service", service.as_deref()), ("host", host.as_deref())];
            identity::signal(platform, &rule, &parts, title.as_str())
        };
        let words = STATUS.iter().filter_map(|name| self.text(&[name])).find(|w| status_word(w).is_some());
        signal.status = self.status(words.as_deref(), &title);
        let level = self.text(SEVERITY);
        signal.severity = level
            .as_deref()
            .and_then(text::severity)
            .or_else(|| words.as_deref().and_then(text::severity).filter(|s| *s != Severity::Info))
            .unwrap_or(Severity::Medium);
        signal.severity_raw = level.and_then(|l| text::name(&l));
        signal.description = DESCRIPTION
            .iter()
            .filter_map(|name| self.find(&[name]))
            .filter_map(|(_, d)| text::description(&d))
            .find(|d| *d != title);
        signal.service = service;
        signal.host = host;
        signal.environment =
            self.text(ENVIRONMENT).and_then(|e| text::name(&e)).or_else(|| self.label(labels::environment));
        let observed = self.time(OBSERVED);
        let over = signal.status == SignalStatus::Resolved;
        signal.started_at = self.time(STARTED).or(observed.filter(|_| !over));
        signal.ended_at = self.time(ENDED).or(observed).filter(|_| over);
        signal.observed_at = observed;
        signal.url = self.url(LINK);
        signal.image_url = self.url(IMAGE);
        signal.runbook_url = self.url(RUNBOOK);
        signal.is_test =
            ["test", "istest"].iter().any(|name| self.text(&[name]).is_some_and(|t| t.eq_ignore_ascii_case("true")));
        signal.labels = self.own.labels;
        for (name, value) in &self.around.labels {
            labels::add(&mut signal.labels, name, Some(value));
        }
        Some(signal)
    }

    fn status(&self, words: Option<&str>, title: &str) -> SignalStatus {
        let flag = |name: &str| self.text(&[name]).and_then(|t| t.to_ascii_lowercase().parse::<bool>().ok());
        if let Some(status) = words.and_then(status_word) {
            return status;
        }
        if flag("resolved") == Some(true) || flag("firing") == Some(false) || flag("active") == Some(false) {
            return SignalStatus::Resolved;
        }
        state_of_title(title).map_or(SignalStatus::Firing, |(status, _)| status)
    }
}

/// A word for a state; none for words that say nothing about it.
fn status_word(word: &str) -> Option<SignalStatus> {
    let plain = normal(word);
    let plain: &str = &plain;
    Some(match plain.strip_prefix("incident").or_else(|| plain.strip_prefix("alert")).unwrap_or(plain) {
        "resolved" | "resolve" | "ok" | "okay" | "closed" | "close" | "recovered" | "recovery" | "up" | "normal"
        | "clear" | "cleared" | "inactive" | "success" | "healthy" | "fixed" | "done" | "passing" | "green" => {
            SignalStatus::Resolved
        }
        "acknowledged" | "acknowledge" | "ack" | "acked" => SignalStatus::Acknowledged,
        "paused" | "pending" | "muted" | "suppressed" | "silenced" | "maintenance" => SignalStatus::Info,
        "firing" | "fire" | "ing" | "triggered" | "trigger" | "open" | "opened" | "active" | "down" | "failed"
        | "failing" | "failure" | "unhealthy" | "red" | "reopened" | "nodata" => SignalStatus::Firing,
        _ => return text::severity(word).filter(|s| *s != Severity::Info).map(|_| SignalStatus::Firing),
    })
}

/// A state at the head of a title, as in `[RESOLVED] Disk full` or `OK: Disk full`, and the title without it.
fn state_of_title(title: &str) -> Option<(SignalStatus, &str)> {
    let (word, rest) = match title.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => title.split_once(':')?,
    };
    let rest = rest.trim_start_matches([':', '-', ' ']);
    // `[FIRING:2]` counts alerts.
    let status = status_word(word.split(':').next().unwrap_or(word))?;
    (!rest.is_empty()).then_some((status, rest))
}

/// The title without its state, so that both ends of an alert have one identity.
fn without_state(title: &str) -> &str {
    state_of_title(title).map_or(title, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_in_words_and_titles() {
        for (word, want) in [
            ("Resolved", Some(SignalStatus::Resolved)),
            ("OK", Some(SignalStatus::Resolved)),
            ("incident.acknowledged", Some(SignalStatus::Acknowledged)),
            ("alerting", Some(SignalStatus::Firing)),
            ("critical", Some(SignalStatus::Firing)),
            ("deployed", None),
        ] {
            assert_eq!(status_word(word), want, "{word}");
        }
        for (title, want) in [
            ("[RESOLVED] Disk full", "Disk full"),
            ("[FIRING:2] Disk full", "Disk full"),
            ("Recovered: Disk full", "Disk full"),
            ("api: too slow", "api: too slow"),
            ("[web] down", "[web] down"),
            ("OK:", "OK:"),
        ] {
            assert_eq!(without_state(title), want);
        }
    }
}
