//! Prometheus, or what speaks its API: the figures behind alerts, and the usual metrics of services and machines, an hour
//! before the onset and since. <https://prometheus.io/docs/prometheus/latest/querying/api/>

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use super::{
    Named, Probe, Question, Reply, Scene, Settings, Step, Subject, Wanted, What, credentials, expression,
    robust::{Course, Rule, course},
    usual::Metric,
};
use crate::{
    investigation::{case::same, finding::Found},
    model::*,
    outgoing::address,
};

/// Expressions of alerts, services, machines that are asked about, and metrics of each.
const EXPRESSIONS: usize = 4;
const SERVICES: usize = 4;
const HOSTS: usize = 3;
const METRICS: usize = 5;
/// Places that are asked about when more is wanted, and names of metrics that are told of each.
const PLACES: usize = 4;
const NAMES: usize = 300;
/// Series of one answer that are looked at.
const SERIES: usize = 50;
/// Seconds between two points, at least; and points of an answer.
const STEP: i64 = 15;
const POINTS: i64 = 600;
/// Labels of an alert by which the series of its service are found, when nobody declared how.
const NAMING: [&str; 3] = ["namespace", "job", "service"];

/// What a question was for.
#[derive(Clone, Debug)]
enum Asked {
    /// Which metrics there are of this service or machine.
    Names { selector: String, subject: Option<Box<Subject>>, host: Option<String> },
    /// The figure behind an alert.
    Alert(usize),
    /// A usual one.
    Usual(Box<Metric>),
    /// The names themselves are wanted.
    List,
    /// One that is wanted by its name.
    Wanted(String),
}

#[derive(Debug)]
struct Prometheus {
    settings: Arc<Settings>,
    asked: Vec<Asked>,
}

pub(super) fn probe(settings: &Arc<Settings>) -> Box<dyn Probe> {
    Box::new(Prometheus { settings: Arc::clone(settings), asked: Vec::new() })
}

impl Probe for Prometheus {
    fn begin(&mut self, scene: &Scene) -> Vec<Question> {
        let mut questions = Vec::new();
        let mut known: Vec<String> = Vec::new();
        for (n, (alert, _)) in scene.alerts.iter().enumerate() {
            let Some(measured) = alert.source_url.as_deref().and_then(expression::of_link) else { continue };
            if known.len() < EXPRESSIONS && !known.contains(&measured) {
                let question = self.range(scene, &measured, Asked::Alert(n));
                questions.extend(question.map(|q| Question {
                    service: alert.service.clone(),
                    host: alert.host.clone(),
                    ..q
                }));
                known.push(measured);
            }
        }
        for subject in &scene.subjects {
            let selector = selector_of(scene, subject);
            if let Some(selector) = selector.filter(|_| questions.len() < EXPRESSIONS + SERVICES) {
                let asked = Asked::Names { selector, subject: Some(Box::new(subject.clone())), host: None };
                questions.extend(self.names(scene, asked));
            }
        }
        for host in scene.hosts.iter().take(HOSTS) {
            let selector = of_machine(host);
            questions.extend(self.names(scene, Asked::Names { selector, subject: None, host: Some(host.clone()) }));
        }
        questions
    }

    fn wanted(&mut self, scene: &Scene, wanted: &Wanted) -> Vec<Question> {
        let mut places: Vec<(String, Option<String>, Option<String>)> = Vec::new();
        for subject in scene.subjects.iter().filter(|s| wanted.host.is_none() && wanted.service(&s.name)) {
            let selector = selector_of(scene, subject);
            places.extend(selector.map(|s| (s, Some(subject.name.clone()), None)));
        }
        for host in scene.hosts.iter().filter(|h| wanted.service.is_none() && wanted.host(h)) {
            places.push((of_machine(host), None, Some(host.clone())));
        }
        if let (Some(service), Some(host)) = (&wanted.service, &wanted.host) {
            // What runs on it is told apart by the address that is asked for figures.
            let selector = scene.subjects.first().and_then(|s| selector_of(scene, s));
            let both = selector.map(|s| format!("{s},{}", of_machine(host)));
            places.extend(both.map(|s| (s, Some(service.clone()), Some(host.clone()))));
        }
        let mut questions = Vec::new();
        for (selector, service, host) in places.into_iter().take(PLACES) {
            let question = match &wanted.what {
                What::Names => self.listed(scene, &selector),
                What::Figure(name) => self.figure(scene, name, &selector, host.is_some()),
                What::Lines(_) => None,
            };
            questions.extend(question.map(|q| Question { service, host, ..q }));
        }
        questions
    }

    fn read(&mut self, scene: &Scene, question: &Question, reply: &Reply) -> Result<Step, &'static str> {
        match self.asked.get(question.tag).cloned() {
            Some(Asked::List) => {
                let names: Vec<String> = parse(&reply.text)?;
                let named = |name: String| Named {
                    tool: Tool::Prometheus,
                    name,
                    service: question.service.clone(),
                    host: question.host.clone(),
                };
                let (all, names) = (names.len(), names.into_iter().take(NAMES).map(named).collect());
                let note =
                    (all > NAMES).then(|| format!("Prometheus has {all} metrics there; the first {NAMES} are named"));
                Ok(Step { names, note, ..Step::default() })
            }
            Some(Asked::Wanted(name)) => {
                let figure = Figure { name, symptom: Symptom::Unknown, unit: None, rule: Rule::default() };
                judged(scene, question, reply, &figure, &BTreeMap::new())
            }
            Some(Asked::Names { selector, subject, host }) => {
                let names: Vec<String> = parse(&reply.text)?;
                let symptoms = subject
                    .as_ref()
                    .map_or_else(|| scene.alerts.iter().map(|(_, s)| *s).collect(), |s| s.symptoms.clone());
                let settings = Arc::clone(&self.settings);
                let mut step = Step::default();
                for metric in settings.usual.of(host.is_some(), &names, &symptoms).into_iter().take(METRICS) {
                    let query = metric.query.replace("$selector", &selector);
                    let asked = self.range(scene, &query, Asked::Usual(Box::new(metric.clone())));
                    let about = |q| Question { service: question.service.clone(), host: question.host.clone(), ..q };
                    step.further.extend(asked.map(about));
                }
                if step.further.is_empty() {
                    let whose = question.service.as_deref().or(question.host.as_deref()).unwrap_or("it");
                    step.note = Some(format!("Prometheus has none of the usual metrics of {whose}"));
                }
                Ok(step)
            }
            Some(Asked::Alert(n)) => {
                let Some((alert, symptom)) = scene.alerts.get(n) else { return Ok(Step::default()) };
                let figure =
                    Figure { name: question.query.clone(), symptom: *symptom, unit: None, rule: Rule::default() };
                judged(scene, question, reply, &figure, &alert.labels)
            }
            Some(Asked::Usual(metric)) => {
                let Metric { symptom, rule, name, unit, .. } = *metric;
                judged(scene, question, reply, &Figure { name, symptom, unit, rule }, &BTreeMap::new())
            }
            None => Ok(Step::default()),
        }
    }
}

impl Prometheus {
    fn tagged(&mut self, asked: Asked, path: &str, fields: &[(&str, &str)]) -> Option<Question> {
        let base = self.settings.given.prometheus.as_ref()?;
        let who = credentials(self.settings.given.prometheus_credentials.as_ref());
        self.asked.push(asked);
        let tag = self.asked.len() - 1;
        Some(Question { tag, ..Question::new(Tool::Prometheus, base, path, fields, who) })
    }

    fn names(&mut self, scene: &Scene, asked: Asked) -> Option<Question> {
        let Asked::Names { selector, subject, host } = &asked else { return None };
        let (service, host, selector) =
            (subject.as_ref().map(|s| s.name.clone()), host.clone(), format!("{{{selector}}}"));
        let (start, end) = (seconds(scene.onset.minus(super::BEFORE)), seconds(scene.until));
        let fields = [("match[]", selector.as_str()), ("start", &start.to_string()), ("end", &end.to_string())];
        let question = self.tagged(asked, "api/v1/label/__name__/values", &fields)?;
        Some(Question { query: format!("names of metrics of {selector}"), service, host, ..question })
    }

    /// The names of all metrics there.
    fn listed(&mut self, scene: &Scene, selector: &str) -> Option<Question> {
        let selector = format!("{{{selector}}}");
        let (start, end) = (seconds(scene.onset.minus(super::BEFORE)), seconds(scene.until));
        let fields = [("match[]", selector.as_str()), ("start", &start.to_string()), ("end", &end.to_string())];
        let question = self.tagged(Asked::List, "api/v1/label/__name__/values", &fields)?;
        Some(Question { query: format!("names of metrics of {selector}"), ..question })
    }

    /// A metric by its name: as the list of usual ones asks for it, else its value, or how fast it grows.
    fn figure(&mut self, scene: &Scene, name: &str, selector: &str, of_machine: bool) -> Option<Question> {
        if !is_name(name) {
            return None;
        }
        let settings = Arc::clone(&self.settings);
        if let Some(metric) = settings.usual.of(of_machine, &[name.to_owned()], &[]).first() {
            let query = metric.query.replace("$selector", selector);
            return self.range(scene, &query, Asked::Usual(Box::new((*metric).clone())));
        }
        let query = if is_counter(name) {
            format!("sum(rate({name}{{{selector}}}[5m]))")
        } else {
            format!("{name}{{{selector}}}")
        };
        self.range(scene, &query, Asked::Wanted(name.to_owned()))
    }

    fn range(&mut self, scene: &Scene, query: &str, asked: Asked) -> Option<Question> {
        let (start, end) = (seconds(scene.onset.minus(super::BEFORE)), seconds(scene.until));
        let step = ((end - start) / POINTS).max(STEP);
        // The last point is the end itself, so that what is newest is seen.
        let start = end - (end - start) / step * step;
        let limit = format!("{}ms", self.settings.given.question_time.as_millis());
        let fields = [
            ("query", query),
            ("start", &start.to_string()),
            ("end", &end.to_string()),
            ("step", &step.to_string()),
            ("timeout", &limit),
        ];
        let question = self.tagged(asked, "api/v1/query_range", &fields)?;
        let base = self.settings.given.prometheus.as_ref()?;
        let shown = scene.until.timestamp().strftime("%Y-%m-%d %H:%M:%S").to_string();
        let page = [("g0.expr", query), ("g0.tab", "0"), ("g0.range_input", "2h"), ("g0.end_input", &shown)];
        Some(Question { query: query.to_owned(), link: Some(address::under(base, "graph", &page).into()), ..question })
    }
}

/// The labels by which the series of a service are found: those that people declared, else those of its alerts.
fn selector_of(scene: &Scene, subject: &Subject) -> Option<String> {
    let selected = |a: &Alert| a.service.as_deref().is_some_and(|s| same(s, &subject.name));
    let declared =
        subject.declared.as_ref().and_then(|d| d.prometheus.as_deref()).and_then(|p| selector::matchers(p).ok());
    let labelled = || scene.alerts.iter().filter(|(a, _)| selected(a)).find_map(|(a, _)| by_labels(a));
    declared.or_else(labelled)
}

fn of_machine(host: &str) -> String {
    format!("instance=~{}", expression::quoted_pattern(host, "(:[0-9]+)?"))
}

/// Whether it can be the name of a metric, and so nothing more than that.
fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b':'));
    first && text.len() <= 200 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'))
}

/// Counters only ever grow: what tells is how fast.
fn is_counter(name: &str) -> bool {
    ["_total", "_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end))
}

fn seconds(at: Time) -> i64 {
    at.millis().div_euclid(1_000)
}

/// The labels by which the series of an alert's service are found: where it has a job, since that is what Prometheus
/// gives every series.
fn by_labels(alert: &Alert) -> Option<String> {
    alert.labels.get("job")?;
    let found =
        NAMING.iter().filter_map(|name| Some(format!("{name}={}", expression::quoted(alert.labels.get(*name)?))));
    // `service` is often a label of the rule alone; with a job it only narrows to nothing.
    Some(found.filter(|m| !m.starts_with("service=")).collect::<Vec<_>>().join(","))
}

struct Figure {
    name: String,
    symptom: Symptom,
    unit: Option<String>,
    rule: Rule,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, &'static str> {
    let envelope: Envelope<T> = serde_json::from_str(text).map_err(|_| "an answer of Prometheus")?;
    Ok(envelope.data)
}

/// What the series of an answer say: the one that went farthest.
fn judged(
    scene: &Scene,
    question: &Question,
    reply: &Reply,
    figure: &Figure,
    labels: &BTreeMap<String, String>,
) -> Result<Step, &'static str> {
    let matrix: Matrix = parse(&reply.text)?;
    let mut farthest: Option<(f64, Time, Found)> = None;
    let mut steady = false;
    for series in matrix.result.iter().filter(|s| expression::fits(&s.metric, labels)).take(SERIES) {
        let points: Vec<(Time, f64)> = series
            .values
            .iter()
            .filter_map(|(at, v)| Some((Time::from_millis((at * 1_000.0) as i64), v.parse::<f64>().ok()?)))
            .collect();
        match course(&points, scene.onset, figure.rule) {
            Course::Left { before, after, deviation, since } => {
                if farthest.as_ref().is_none_or(|(d, ..)| deviation > *d) {
                    let found = Found::Shift {
                        metric: figure.name.clone(),
                        symptom: figure.symptom,
                        before,
                        after,
                        unit: figure.unit.clone(),
                        deviation,
                        since: Some(since),
                    };
                    farthest = Some((deviation, since, found));
                }
            }
            Course::Steady => steady = true,
            Course::Unknown => {}
        }
    }
    Ok(match farthest {
        Some((_, at, found)) => Step { findings: vec![question.found(at, found)], ..Step::default() },
        None if steady => Step { findings: vec![question.found(scene.until, Found::Quiet)], ..Step::default() },
        None => Step::note(format!("Prometheus has too few points of `{}` around the onset", question.query)),
    })
}
