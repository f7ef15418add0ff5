//! From a body to signals by a declaration.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use minijinja::value::{Value, ValueKind};
use serde_json::Value as Json;

use super::{
    Declared, MAX_ITEMS,
    document::{Document, Node},
    language, moment, text,
};
use crate::{
    connectors::{
        Request,
        body::{self, limited, problem},
        explain::{self, Explained, Finding, Log, MOST_EXPLAINED},
        fields::Obj,
        generic::{self, AROUND, Flat, Given, Item, words},
        labels,
    },
    model::{DeclaredField, Note, Parsed, Problem, Severity, SignalStatus},
};

/// How a body would be read.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What it would say, or why it would not be understood.
    pub parsed: Result<Parsed, Problem>,
    /// The first alerts, field by field.
    pub explained: Vec<Explained>,
    /// Fields of the declaration that give nothing, or fail, in words.
    pub warnings: Vec<String>,
}

/// What is taken down while reading.
#[derive(Default)]
pub(super) struct Report {
    /// Alerts field by field, when they are asked for.
    explained: Option<Vec<Explained>>,
    /// Alerts for which a field gave nothing, and the first of them.
    nothing: BTreeMap<DeclaredField, (usize, String)>,
    /// Alerts for which a field could not be used, the first of them, and why.
    odd: BTreeMap<DeclaredField, (usize, String, String)>,
}

/// What an expression gave.
enum Got<T> {
    Said(T),
    Nothing,
    Odd(String),
}

/// The names that an expression sees, and what to do with what it gives.
struct Reading<'a> {
    source: &'a Declared,
    document: Arc<Document>,
    context: Value,
    path: &'a str,
    report: &'a mut Report,
    findings: Vec<Finding>,
    missed: Vec<DeclaredField>,
}

impl Reading<'_> {
    /// What the declaration says of a field; none when it says nothing of it, or nothing that can be used.
    fn get<T>(
        &mut self,
        field: DeclaredField,
        read: impl FnOnce(&Value) -> Got<T>,
        shown: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let (_, compiled) = self.source.compiled.iter().find(|(f, _)| *f == field)?;
        let got = match compiled.eval(self.context.clone()) {
            Ok(value) => read(&value),
            Err(e) => Got::Odd(language::failure(&e)),
        };
        let stood = self.document.take_read();
        match got {
            Got::Said(said) => {
                if self.report.explained.is_some() {
                    let expression = self.source.declaration.expression(field).unwrap_or_default();
                    let why = format!("declared: `{}`", text::line(expression, 200));
                    let from = Some(stood.join(", ")).filter(|s| !s.is_empty());
                    self.findings.push(Finding::new(field.as_str(), Some(&shown(&said)), from, why));
                }
                return Some(said);
            }
            Got::Nothing => {
                let entry = self.report.nothing.entry(field).or_insert_with(|| (0, self.path.to_owned()));
                entry.0 += 1;
            }
            Got::Odd(why) => {
                let entry = self.report.odd.entry(field).or_insert_with(|| (0, self.path.to_owned(), why));
                entry.0 += 1;
            }
        }
        self.missed.push(field);
        None
    }

    /// A field that is a text, in the form that this reading gives it.
    fn text<T>(
        &mut self,
        field: DeclaredField,
        read: impl Fn(&str) -> Option<T>,
        shown: fn(&T) -> String,
    ) -> Option<T> {
        self.get(
            field,
            |value| match scalar(value) {
                Got::Said(said) => match read(&said) {
                    Some(read) => Got::Said(read),
                    None => Got::Odd(format!("`{}` cannot be used for it", text::line(&said, 60))),
                },
                Got::Nothing => Got::Nothing,
                Got::Odd(why) => Got::Odd(why),
            },
            shown,
        )
    }

    fn given(&mut self) -> Given {
        let same = |s: &String| s.clone();
        let (source, plain) = (self.source, |t: &str| Some(t.to_owned()));
        let key = self.text(DeclaredField::Key, plain, same);
        let expression = source.declaration.expression(DeclaredField::Key).unwrap_or_default();
        Given {
            title: self.text(DeclaredField::Title, text::title, same),
            key: key.map(|key| (expression.to_owned(), key)),
            status: self.text(DeclaredField::Status, |w| Some(source.status(w)), |s| s.as_str().to_owned()),
            severity: self.text(
                DeclaredField::Severity,
                |w| Some((source.severity(w)?, w.to_owned())),
                |(s, _)| s.as_str().to_owned(),
            ),
            description: self.text(DeclaredField::Description, text::description, same),
            service: self.text(DeclaredField::Service, text::name, same),
            host: self.text(DeclaredField::Host, text::host, same),
            environment: self.text(DeclaredField::Environment, text::name, same),
            time: self.text(DeclaredField::Time, moment::parse, ToString::to_string),
            link: self.text(DeclaredField::Link, text::url, same),
            labels: self.get(DeclaredField::Labels, read_labels, |labels| {
                labels.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(", ")
            }),
        }
    }
}

/// A scalar as text.
fn scalar(value: &Value) -> Got<String> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Got::Nothing,
        ValueKind::String | ValueKind::Number | ValueKind::Bool => {
            let text = value.to_string();
            let json = Json::String(text::head(&text, super::document::LONGEST).to_owned());
            text::scalar(&json).map_or(Got::Nothing, Got::Said)
        }
        ValueKind::Seq | ValueKind::Iterable => Got::Odd(
            "it gives a list, and a text is needed: take one of it, such as `| first`, or `| join(\", \")`".to_owned(),
        ),
        ValueKind::Map => Got::Odd("it gives an object, and a text is needed: name one of its fields".to_owned()),
        _ => Got::Odd("it gives what is no text".to_owned()),
    }
}

fn read_labels(value: &Value) -> Got<labels::Labels> {
    let read = match value.kind() {
        ValueKind::Undefined | ValueKind::None => return Got::Nothing,
        ValueKind::Map | ValueKind::Seq | ValueKind::Iterable | ValueKind::String => json(value),
        _ => return Got::Odd("labels are an object, a list of tags, or a text with commas".to_owned()),
    };
    let labels = labels::tags(read.as_deref());
    if labels.is_empty() { Got::Nothing } else { Got::Said(labels) }
}

/// A value as JSON: borrowed when it stands in the body.
fn json(value: &Value) -> Option<Cow<'_, Json>> {
    match value.downcast_object_ref::<Node>() {
        Some(node) => node.value().map(Cow::Borrowed),
        None => serde_json::to_value(value).ok().map(Cow::Owned),
    }
}

fn too_much() -> Problem {
    problem(
        "too_much_work",
        "The expressions of this source look at more of this body than one delivery may cost. Look at single fields of \
         `item` instead of searching all of `body` for each alert, or send fewer alerts in one request.",
        Some(String::new()),
    )
}

impl Declared {
    /// The state for a word of this sender.
    fn status(&self, word: &str) -> SignalStatus {
        let plain = word.trim().to_lowercase();
        if self.resolved.contains(&plain) {
            return SignalStatus::Resolved;
        }
        match words::status(word) {
            // With words of its own, these alone say that it is over.
            Some(SignalStatus::Resolved) if !self.resolved.is_empty() => SignalStatus::Firing,
            found => found.unwrap_or(SignalStatus::Firing),
        }
    }

    /// The severity for a word of this sender.
    fn severity(&self, word: &str) -> Option<Severity> {
        let plain = word.trim().to_lowercase();
        let own = self.severities.iter().find(|(w, _)| *w == plain).map(|(_, severity)| *severity);
        own.or_else(|| text::severity(word))
    }

    pub(super) fn trial(&self, request: &Request<'_>) -> Trial {
        let mut report = Report { explained: Some(Vec::new()), ..Report::default() };
        let parsed = self.read(request, &mut report);
        let all = parsed.as_ref().map_or(0, |p| p.signals.len());
        let expression =
            |field: &DeclaredField| text::line(self.declaration.expression(*field).unwrap_or_default(), 120);
        let at = |path: &str| if path.is_empty() { "the body".to_owned() } else { format!("`{path}`") };
        let mut warnings = Vec::new();
        for (field, (count, first)) in &report.nothing {
            let of = if *count < all { format!("{count} of {all} alerts, first for ") } else { String::new() };
            warnings.push(format!("`{field}` (`{}`) gives nothing for {of}{}", expression(field), at(first)));
        }
        for (field, (_, first, why)) in &report.odd {
            warnings.push(format!("`{field}` (`{}`) cannot be used for {}: {why}", expression(field), at(first)));
        }
        Trial { parsed, explained: report.explained.unwrap_or_default(), warnings }
    }

    /// Reads a body.
    pub(super) fn read(&self, request: &Request<'_>, report: &mut Report) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let (mut notes, repaired) = (body.notes, body.repaired);
        let document = Document::new(body.root, report.explained.is_some());
        let whole = Node::body(&document);
        let (items, searched) = self.items(&document, &whole)?;
        // What stands around an alert is the body, unless the alert is the body.
        let around = match items.as_slice() {
            [only] if is_root(only) => Obj::default(),
            _ => Obj::of(Some(document.root())),
        };
        let mut around = Flat::new(around);
        if around.keep(AROUND / items.len().max(1)) {
            notes.push(Note::Warning(
                "Some labels around the list of alerts were left out: they are too long for so many alerts.".to_owned(),
            ));
        }
        let mut parsed = Parsed::default();
        for value in &items {
            let path = value.downcast_object_ref::<Node>().map(Node::pointer).unwrap_or_default();
            document.take_read();
            let context = minijinja::context! { item => value.clone(), body => whole.clone() };
            let mut reading = Reading {
                source: self,
                document: Arc::clone(&document),
                context,
                path: &path,
                report: &mut *report,
                findings: Vec::new(),
                missed: Vec::new(),
            };
            let given = reading.given();
            let (findings, missed) = (reading.findings, reading.missed);
            if document.exhausted() {
                return Err(too_much());
            }
            let own = json(value);
            let own = Flat::new(Obj::of(own.as_deref()));
            let asked = report.explained.as_ref().is_some_and(|all| all.len() < MOST_EXPLAINED);
            let mut log = if asked { Log::kept() } else { Log::default() };
            let item = Item { own, around: &around, path: &path };
            match item.signal(&self.slug, given, &mut log) {
                Some(mut signal) => {
                    signal.repaired = repaired;
                    signal.quiet_after_secs = self.declaration.quiet_after_secs;
                    signal.path.clone_from(&path);
                    parsed.signals.push(signal);
                }
                None if items.len() > 1 => {
                    notes.push(Note::Warning(format!("Left out {path}: nothing gives it a title.")));
                }
                None => {}
            }
            if let Some(all) = report.explained.as_mut().filter(|_| asked) {
                let findings = self.together(findings, &missed, log.into_findings());
                all.push(Explained { path, findings });
            }
        }
        if parsed.signals.is_empty() && !items.is_empty() {
            return Err(self.no_title(&items, &searched));
        }
        if items.is_empty() {
            notes.push(Note::Ignored("An empty list of alerts.".to_owned()));
        }
        // A field that gives nothing may be one that is seldom sent; one that fails is a mistake, and a missing key may
        // keep an alert from being the same one again.
        for (field, (count, first, why)) in &report.odd {
            notes.push(Note::Warning(format!(
                "The declared `{field}` could not be used for {count} of {} alerts, first at `{first}`: {why}.",
                items.len()
            )));
        }
        if let Some((count, first)) = report.nothing.get(&DeclaredField::Key) {
            notes.push(Note::Warning(format!(
                "The declared `key` gives nothing for {count} of {} alerts, first at `{first}`; what names them was \
                 found as for the generic connector.",
                items.len()
            )));
        }
        parsed.notes = notes;
        Ok(parsed)
    }

    /// The alerts of a body, and in words where they were looked for.
    fn items(&self, document: &Arc<Document>, whole: &Value) -> Result<(Vec<Value>, String), Problem> {
        let Some((_, compiled)) = self.compiled.iter().find(|(f, _)| *f == DeclaredField::Items) else {
            let (items, path, _) = generic::items(document.root())?;
            let Some(path) = path else { return Ok((vec![whole.clone()], "the body".to_owned())) };
            let name = path.strip_prefix('/').map(|name| name.replace("~1", "/").replace("~0", "~"));
            let nodes = (0..items.len()).filter_map(|n| Node::item(document, name.as_deref(), n));
            return Ok((nodes.collect(), format!("`{path}`")));
        };
        let expression = text::line(self.declaration.expression(DeclaredField::Items).unwrap_or_default(), 120);
        let wrong = |what: String| {
            let mut found = String::new();
            if let Json::Object(map) = document.root() {
                let names: Vec<String> = map.keys().take(12).map(|k| format!("`{}`", text::line(k, 40))).collect();
                found = format!(" The body has {}.", names.join(", "));
            }
            let detail = format!(
                "The declared `items` (`{expression}`) {what}.{found} Mend the declaration, then parse this delivery again."
            );
            problem("unrecognised", detail, Some(String::new()))
        };
        let context = minijinja::context! { item => whole.clone(), body => whole.clone() };
        let value =
            compiled.eval(context).map_err(|e| wrong(format!("cannot be evaluated: {}", language::failure(&e))))?;
        let items = match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                let list: Vec<Value> = value.try_iter().map(|i| i.take(MAX_ITEMS + 1).collect()).unwrap_or_default();
                if list.len() > MAX_ITEMS {
                    // The same words as for every list.
                    limited(&vec![Json::Null; list.len()], "")?;
                }
                list
            }
            ValueKind::Map => vec![value],
            ValueKind::Undefined | ValueKind::None => return Err(wrong("finds nothing in this body".to_owned())),
            other => return Err(wrong(format!("gives a {other}, and a list of alerts is needed"))),
        };
        if document.exhausted() {
            return Err(too_much());
        }
        Ok((items, format!("`{expression}`")))
    }

    fn no_title(&self, items: &[Value], searched: &str) -> Problem {
        let first = items.first().and_then(json);
        let path = items.first().and_then(|v| v.downcast_object_ref::<Node>()).map(Node::pointer).unwrap_or_default();
        let title = match self.declaration.expression(DeclaredField::Title) {
            Some(expression) => format!("the declared `title` (`{}`) gives none", text::line(expression, 120)),
            None => "there is no field that is usually one; declare a `title`".to_owned(),
        };
        let found = match first.as_deref() {
            Some(Json::Object(map)) => {
                let names: Vec<String> = map.keys().take(12).map(|k| format!("`{}`", text::line(k, 40))).collect();
                format!("it has {}", names.join(", "))
            }
            Some(other) => format!("it is {}", body::kind(other)),
            None => "it cannot be read".to_owned(),
        };
        problem(
            "unrecognised",
            format!("No alert in {searched} has a title: {title}. Of the first alert: {found}."),
            Some(path),
        )
    }

    /// What was declared and what was found, in the order of the page.
    fn together(&self, mut declared: Vec<Finding>, missed: &[DeclaredField], found: Vec<Finding>) -> Vec<Finding> {
        let missing = |name: &str| missed.iter().find(|f| f.as_str() == name);
        for mut finding in found {
            if let Some(field) = missing(finding.field) {
                let expression = text::line(self.declaration.expression(*field).unwrap_or_default(), 120);
                finding.why = format!("the declared `{expression}` gives nothing here; {}", finding.why);
            }
            declared.push(finding);
        }
        for field in missed {
            if declared.iter().all(|f| f.field != field.as_str()) {
                let expression = text::line(self.declaration.expression(*field).unwrap_or_default(), 120);
                let why = format!("the declared `{expression}` gives nothing here, and nothing else says it");
                declared.push(Finding::new(field.as_str(), None, None, why));
            }
        }
        explain::sort(&mut declared);
        declared
    }
}

fn is_root(value: &Value) -> bool {
    value.downcast_object_ref::<Node>().is_some_and(|node| node.pointer().is_empty())
}
