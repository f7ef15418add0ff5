//! Loki: lines of a service around the onset that tell of failure.
//! <https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time>

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use super::{Probe, Question, Reply, Scene, Settings, Step, Wanted, What, credentials, expression, lines};
use crate::{investigation::finding::Found, model::*};

/// Services that are asked about.
const SERVICES: usize = 3;
/// Before the onset and after it.
const EARLY: Duration = Duration::from_secs(300);
const LATE: Duration = Duration::from_secs(1_800);
/// Lines of an answer.
const LINES: &str = "200";
/// What a line must have to be sent; which of them tell of failure is looked at here.
const WORDS: &str =
    "(?i)(error|fatal|panic|exception|traceback|fail|refused|timed out|timeout|denied|killed|memory|no space|critical)";

#[derive(Debug)]
struct Loki {
    settings: Arc<Settings>,
    // What lines are to have in them, by the tag of the question; those of the beginning are to tell of failure.
    texts: Vec<Option<String>>,
}

pub(super) fn probe(settings: &Arc<Settings>) -> Box<dyn Probe> {
    Box::new(Loki { settings: Arc::clone(settings), texts: vec![None] })
}

impl Probe for Loki {
    fn begin(&mut self, scene: &Scene) -> Vec<Question> {
        let filter = format!("|~ \"{WORDS}\"");
        scene.subjects.iter().take(SERVICES).filter_map(|s| self.about(scene, &s.name, &filter, 0)).collect()
    }

    fn wanted(&mut self, scene: &Scene, wanted: &Wanted) -> Vec<Question> {
        let What::Lines(text) = &wanted.what else { return Vec::new() };
        // Streams are found by service; nobody says by which label machines would be.
        if wanted.host.is_some() && wanted.service.is_none() {
            return Vec::new();
        }
        let filter = match text {
            // Text of a model, as text and no expression, in any case of its letters.
            Some(text) => format!("|~ {}", expression::quoted(&format!("(?i){}", regex::escape(text)))),
            None => format!("|~ \"{WORDS}\""),
        };
        self.texts.push(text.clone());
        let tag = self.texts.len() - 1;
        let subjects = scene.subjects.iter().filter(|s| wanted.service(&s.name)).take(SERVICES);
        subjects.filter_map(|s| self.about(scene, &s.name, &filter, tag)).collect()
    }

    fn read(&mut self, scene: &Scene, question: &Question, reply: &Reply) -> Result<Step, &'static str> {
        let read: Answer = serde_json::from_str(&reply.text).map_err(|_| "an answer of Loki")?;
        let streams = read.data.result.iter().flat_map(|s| &s.values);
        let mut all: Vec<(i64, &str)> =
            streams.filter_map(|Entry(at, line)| Some((at.parse::<i64>().ok()? / 1_000_000, line.as_str()))).collect();
        all.sort_unstable();
        let text = self.texts.get(question.tag).cloned().flatten();
        let found = match &text {
            Some(text) => lines::with(text, all),
            None => lines::telling(all),
        };
        let Some((first, _)) = found.lines.first().cloned() else {
            return Ok(Step { findings: vec![question.found(scene.until, Found::Quiet)], ..Step::default() });
        };
        let lines = found.lines.into_iter().map(|(_, line)| line).collect();
        let found = Found::Lines { lines, count: found.count };
        Ok(Step { findings: vec![question.found(Time::from_millis(first), found)], ..Step::default() })
    }
}

impl Loki {
    fn about(&self, scene: &Scene, name: &str, filter: &str, tag: usize) -> Option<Question> {
        let given = &self.settings.given;
        let base = given.loki.as_ref()?;
        let ns = |at: Time| format!("{}000000", at.millis());
        let (start, end) = (ns(scene.onset.minus(EARLY)), ns(scene.until.min(scene.onset.plus(LATE))));
        let selector = given.loki_selector.replace("\"$service\"", &expression::quoted(name));
        let query = format!("{selector} {filter}");
        let fields =
            [("query", query.as_str()), ("start", &start), ("end", &end), ("limit", LINES), ("direction", "forward")];
        let who = credentials(given.loki_credentials.as_ref());
        let question = Question::new(Tool::Loki, base, "loki/api/v1/query_range", &fields, who);
        let header = given.loki_tenant.as_ref().map(|t| ("x-scope-orgid", t.clone()));
        Some(Question { query, header, tag, service: Some(name.to_owned()), ..question })
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Streams,
}

#[derive(Deserialize)]
struct Streams {
    #[serde(default)]
    result: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    #[serde(default)]
    values: Vec<Entry>,
}

/// A time in nanoseconds, a line, and maybe metadata.
#[derive(Debug)]
struct Entry(String, String);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let parts: Vec<serde_json::Value> = Vec::deserialize(from)?;
        let text = |n: usize| parts.get(n).and_then(|v| v.as_str()).map(str::to_owned);
        match (text(0), text(1)) {
            (Some(at), Some(line)) => Ok(Self(at, line)),
            _ => Err(serde::de::Error::custom("an entry without time or line")),
        }
    }
}
