//! One alert of any JSON: its fields by the names that they usually go by, and what stands around it.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::Value;

use super::{
    names::*,
    words::{self, normal, without_state},
};
use crate::{
    connectors::{
        explain::{Finding, Log, pointer_part},
        fields::Obj,
        identity, labels, moment, text,
    },
    model::{Severity, Signal, SignalStatus, Time},
};

/// What a declaration says of an alert itself; the rest is found.
#[derive(Default)]
pub(in crate::connectors) struct Given {
    pub title: Option<String>,
    /// The expression, and what it gave.
    pub key: Option<(String, String)>,
    pub status: Option<SignalStatus>,
    /// With the sender's word.
    pub severity: Option<(Severity, String)>,
    pub description: Option<String>,
    pub service: Option<String>,
    pub host: Option<String>,
    pub environment: Option<String>,
    pub time: Option<Time>,
    pub link: Option<String>,
    pub labels: Option<labels::Labels>,
}

/// A field as it was sent: its name, its value, and the object inside the alert that it stands in.
#[derive(Clone, Copy)]
struct Sent<'a> {
    name: &'a str,
    value: &'a Value,
    inside: Option<&'a str>,
}

/// Scalar fields by their plain names, with the names as sent, and labels.
#[derive(Default)]
pub(in crate::connectors) struct Flat<'a> {
    fields: BTreeMap<Cow<'a, str>, Sent<'a>>,
    labels: labels::Labels,
}

impl<'a> Flat<'a> {
    /// An object's own fields first, then those of the objects in it.
    pub fn new(object: Obj<'a>) -> Self {
        let mut flat = Self::default();
        for (name, value) in object.iter().filter(|(_, v)| text::scalar(v).is_some()) {
            flat.fields.entry(normal(name)).or_insert(Sent { name, value, inside: None });
        }
        for (parent, value) in object.iter() {
            if !(value.is_object() || value.is_array() || parent.eq_ignore_ascii_case("tags")) {
                continue;
            }
            let plain = normal(parent);
            if matches!(&*plain, "labels" | "tags" | "commonlabels") {
                for (name, value) in labels::tags(Some(value)) {
                    labels::add(&mut flat.labels, &name, Some(&value));
                }
            }
            if NESTED.contains(&&*plain) {
                for (name, value) in Obj::of(Some(value)).iter().filter(|(_, v)| text::scalar(v).is_some()) {
                    flat.fields.entry(normal(name)).or_insert(Sent { name, value, inside: Some(parent) });
                }
            }
        }
        flat
    }

    /// Keeps labels and fields of `most` bytes in all; whether any were left out.
    pub fn keep(&mut self, most: usize) -> bool {
        let all = self.labels.len() + self.fields.len();
        let mut left = most;
        let mut fits = |length: usize| {
            let fits = length <= left;
            left -= if fits { length } else { 0 };
            fits
        };
        // In an order that is always the same, so that a body is always read the same way.
        self.labels.retain(|name, value| fits(name.len() + value.len()));
        self.fields.retain(|_, sent| fits(sent.name.len() + sent.value.as_str().map_or(24, str::len)));
        self.labels.len() + self.fields.len() < all
    }

    fn find(&self, names: &[&str], around: bool) -> Option<Hit<'a>> {
        names.iter().find_map(|name| {
            let sent = *self.fields.get(*name)?;
            Some(Hit { sent, around, text: text::scalar(sent.value)? })
        })
    }
}

/// A field that says something.
struct Hit<'a> {
    sent: Sent<'a>,
    /// It stands around the list of alerts.
    around: bool,
    text: String,
}

impl Hit<'_> {
    fn pointer(&self, item: &str) -> String {
        let mut pointer = if self.around { String::new() } else { item.to_owned() };
        for part in self.sent.inside.into_iter().chain([self.sent.name]) {
            pointer.push('/');
            pointer.push_str(&pointer_part(part));
        }
        pointer
    }
}

/// An alert, and what stands around the list that it is in: that may tell of state, severity and place, but names no
/// single alert.
pub(in crate::connectors) struct Item<'a> {
    pub own: Flat<'a>,
    pub around: &'a Flat<'a>,
    /// Where it stands, as a JSON pointer.
    pub path: &'a str,
}

/// The names that were looked for, as people are told.
fn looked_for(names: &[&str]) -> String {
    let mut shown: Vec<String> = names.iter().take(5).map(|n| format!("`{n}`")).collect();
    if names.len() > shown.len() {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

impl<'a> Item<'a> {
    /// The first of these fields of the alert itself that says something.
    fn find(&self, names: &[&str]) -> Option<Hit<'a>> {
        self.own.find(names, false)
    }

    /// The same, or one that stands around the alert.
    fn anywhere(&self, names: &[&str]) -> Option<Hit<'a>> {
        self.find(names).or_else(|| self.around.find(names, true))
    }

    fn text(&self, names: &[&str]) -> Option<String> {
        self.anywhere(names).map(|hit| hit.text)
    }

    /// The first of these that can be read so; it is taken down as the finding of this field.
    fn read<T>(
        &self,
        field: &'static str,
        names: &[&str],
        log: &mut Log,
        read: impl Fn(&str) -> Option<T>,
        shown: impl Fn(&T) -> String,
    ) -> Option<T> {
        let found = names.iter().find_map(|name| {
            let hit = self.anywhere(&[name])?;
            Some((read(&hit.text)?, hit))
        });
        let (value, hit) = found?;
        log.add(|| self.finding(field, &shown(&value), &hit, names));
        Some(value)
    }

    fn finding(&self, field: &'static str, value: &str, hit: &Hit<'_>, names: &[&str]) -> Finding {
        let place = if hit.around { ", which stands around the alerts" } else { "" };
        let why = match names {
            [_] => format!("the field of this name{place}"),
            _ => format!("the first of {} that says something{place}", looked_for(names)),
        };
        Finding::new(field, Some(value), Some(hit.pointer(self.path)), why)
    }

    /// A name from a field, else from the labels.
    fn name(
        &self,
        field: &'static str,
        names: &[&str],
        log: &mut Log,
        read: fn(&str) -> Option<String>,
        rule: fn(&labels::Labels) -> Option<String>,
    ) -> Option<String> {
        let hit = self.anywhere(names);
        if let Some((name, hit)) = hit.and_then(|hit| Some((read(&hit.text)?, hit))) {
            log.add(|| self.finding(field, &name, &hit, names));
            return Some(name);
        }
        let of_labels = rule(&self.own.labels).or_else(|| rule(&self.around.labels));
        log.add(|| {
            let why = match &of_labels {
                Some(_) => "no field of its own says it; a label or tag does".to_owned(),
                None => format!("none of {} was sent, and no label or tag says it", looked_for(names)),
            };
            Finding::new(field, of_labels.as_deref(), None, why)
        });
        of_labels
    }

    /// The signal; none when nothing gives it a title. What is given is not looked for.
    pub fn signal(mut self, platform: &str, given: Given, log: &mut Log) -> Option<Signal> {
        if let Some(labels) = given.labels {
            self.own.labels = labels;
        }
        let title_hit = if given.title.is_some() {
            None
        } else {
            TITLE.iter().find_map(|name| {
                let hit = self.find(&[name])?;
                Some((text::title(&hit.text)?, hit))
            })
        };
        let (title_field, title) = match (given.title, &title_hit) {
            (Some(title), _) => ("title", title),
            (None, Some((title, hit))) => {
                log.add(|| self.finding("title", title, hit, TITLE));
                (hit.sent.name, title.clone())
            }
            (None, None) => return None,
        };
        let service = given.service.or_else(|| self.name("service", SERVICE, log, text::name, labels::service));
        let host = given.host.or_else(|| self.name("host", HOST, log, text::host, labels::host));
        let mut signal = if let Some((expression, key)) = given.key {
            let rule = format!("What the declared `key` gives: `{}`.", text::line(&expression, 200));
            identity::signal(platform, &rule, &[("key", Some(&key))], title.as_str())
        } else if let Some(hit) = self.find(KEY) {
            let (field, key) = (hit.sent.name, &hit.text);
            log.add(|| self.finding("key", key, &hit, KEY));
            let rule = format!("The field `{field}`, which names the alert whatever else changes.");
            identity::signal(platform, &rule, &[(field, Some(key))], title.as_str())
        } else {
            let named = self.find(NAME);
            let (field, name) = match &named {
                Some(hit) => (hit.sent.name, hit.text.clone()),
                None => (title_field, without_state(&title).to_owned()),
            };
            let rule = format!(
                "`{}` with service and host, as no field such as `dedup_key`, `fingerprint` or `id` was sent.",
                text::line(field, 40)
            );
            log.add(|| {
                let hit = named.as_ref().or(title_hit.as_ref().map(|(_, hit)| hit));
                Finding::new("key", Some(&name), hit.map(|hit| hit.pointer(self.path)), rule.clone())
            });
            let parts = [(field, Some(name.as_str())), ("service", service.as_deref()), ("host", host.as_deref())];
            identity::signal(platform, &rule, &parts, title.as_str())
        };
        let words = STATUS
            .iter()
            .filter_map(|name| self.anywhere(&[name]))
            .find(|hit| words::of_field(hit.sent.name, &hit.text).is_some());
        signal.status = given.status.unwrap_or_else(|| self.status(words.as_ref(), &title, log));
        match given.severity {
            Some((severity, raw)) => (signal.severity, signal.severity_raw) = (severity, text::name(&raw)),
            None => {
                let level = self.anywhere(SEVERITY);
                signal.severity = self.severity(level.as_ref(), words.as_ref(), log);
                signal.severity_raw = level.and_then(|l| text::name(&l.text));
            }
        }
        signal.description = given.description.or_else(|| {
            let mut all = DESCRIPTION.iter().filter_map(|name| self.find(&[name]));
            let (found, hit) = all.find_map(|hit| {
                let read = text::description(&hit.text).filter(|d| *d != title)?;
                Some((read, hit))
            })?;
            log.add(|| self.finding("description", &found, &hit, DESCRIPTION));
            Some(found)
        });
        signal.service = service;
        signal.host = host;
        signal.environment =
            given.environment.or_else(|| self.name("environment", ENVIRONMENT, log, text::name, labels::environment));
        self.times(&mut signal, given.time, log);
        let same = |url: &String| url.clone();
        signal.url = given.link.or_else(|| self.read("link", LINK, log, text::url, same));
        signal.image_url = self.read("image", IMAGE, log, text::url, same);
        signal.runbook_url = self.read("runbook", RUNBOOK, log, text::url, same);
        signal.is_test =
            ["test", "istest"].iter().any(|name| self.text(&[name]).is_some_and(|t| t.eq_ignore_ascii_case("true")));
        signal.labels = self.own.labels;
        for (name, value) in &self.around.labels {
            labels::add(&mut signal.labels, name, Some(value));
        }
        Some(signal)
    }

    fn times(&self, signal: &mut Signal, given: Option<Time>, log: &mut Log) {
        let over = signal.status == SignalStatus::Resolved;
        let mut unsaid = Log::default();
        // One finding for the time that counts.
        let at = |field, names, log: &mut Log| self.read(field, names, log, moment::parse, ToString::to_string);
        let started = given.filter(|_| !over);
        let ended = given.filter(|_| over);
        let observed = at("time", OBSERVED, &mut unsaid);
        let started = match started {
            None if given.is_none() && !over => at("time", STARTED, log).or_else(|| at("time", OBSERVED, log)),
            None => at("time", STARTED, &mut unsaid),
            some => some,
        };
        let ended = match ended {
            None if given.is_none() && over => at("time", ENDED, log).or_else(|| at("time", OBSERVED, log)),
            some => some,
        };
        (signal.started_at, signal.ended_at, signal.observed_at) = (started, ended, observed);
    }

    fn severity(&self, level: Option<&Hit<'a>>, words: Option<&Hit<'a>>, log: &mut Log) -> Severity {
        if let Some((severity, hit)) = level.and_then(|hit| Some((text::severity(&hit.text)?, hit))) {
            log.add(|| self.finding("severity", severity.as_str(), hit, SEVERITY));
            return severity;
        }
        let of_state = words
            .and_then(|hit| Some((text::severity(&hit.text)?, hit)))
            .filter(|(severity, _)| *severity != Severity::Info);
        log.add(|| match (&of_state, level) {
            (Some((severity, hit)), _) => Finding::new(
                "severity",
                Some(severity.as_str()),
                Some(hit.pointer(self.path)),
                "no field for severity says it; the word for the state does".to_owned(),
            ),
            (None, Some(hit)) => Finding::new(
                "severity",
                Some(Severity::Medium.as_str()),
                Some(hit.pointer(self.path)),
                format!(
                    "`{}` is no word that is known; medium is assumed. The connector's severity map can give it a \
                     meaning",
                    text::line(&hit.text, 60)
                ),
            ),
            (None, None) => Finding::new(
                "severity",
                Some(Severity::Medium.as_str()),
                None,
                format!("none of {} was sent; medium is assumed", looked_for(SEVERITY)),
            ),
        });
        of_state.map_or(Severity::Medium, |(severity, _)| severity)
    }

    fn status(&self, words: Option<&Hit<'a>>, title: &str, log: &mut Log) -> SignalStatus {
        if let Some((status, hit)) = words.and_then(|hit| Some((words::of_field(hit.sent.name, &hit.text)?, hit))) {
            log.add(|| self.finding("status", status.as_str(), hit, STATUS));
            return status;
        }
        let flag = |name: &'static str, over: bool| {
            self.anywhere(&[name]).filter(|hit| hit.text.to_ascii_lowercase().parse() == Ok(over))
        };
        if let Some(hit) = flag("resolved", true).or_else(|| flag("firing", false)).or_else(|| flag("active", false)) {
            let why = "a true or false that says that it is over".to_owned();
            log.add(|| {
                Finding::new("status", Some(SignalStatus::Resolved.as_str()), Some(hit.pointer(self.path)), why)
            });
            return SignalStatus::Resolved;
        }
        let of_title = words::of_title(title).map(|(status, _)| status);
        log.add(|| {
            let why = match of_title {
                Some(_) => "the word at the head of the title".to_owned(),
                None => format!("none of {} was sent with a word for a state; firing is assumed", looked_for(STATUS)),
            };
            Finding::new("status", Some(of_title.unwrap_or(SignalStatus::Firing).as_str()), None, why)
        });
        of_title.unwrap_or(SignalStatus::Firing)
    }
}
