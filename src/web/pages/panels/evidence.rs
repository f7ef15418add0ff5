//! What the sentences rest on.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::{
    model::*,
    web::pages::{
        text,
        ui::{self, Markup, When},
        words,
    },
};

/// One piece of evidence.
#[derive(Debug)]
pub struct EvidenceRow {
    id: String,
    kind: &'static str,
    title: Markup,
    at: When,
    url: Option<String>,
    data: Vec<(String, String)>,
}

/// What the sentences rest on.
#[derive(Debug, Template)]
#[template(path = "fragments/evidence.html")]
pub struct EvidenceList {
    rows: Vec<EvidenceRow>,
}
impl HtmlSafe for EvidenceList {}

impl EvidenceList {
    /// In order of discovery.
    pub fn new(all: &[Evidence], now: Time) -> Self {
        let rows = all
            .iter()
            .map(|e| EvidenceRow {
                id: e.id.clone(),
                kind: words::evidence(e.kind),
                title: ui::foreign(&e.title),
                at: When::clock(e.at, now),
                // Paths of this product are links as well: earlier incidents and alerts.
                url: match e.url.as_deref() {
                    Some(path) if path.starts_with("/incidents/") || path.starts_with("/alerts?") => {
                        Some(path.to_owned())
                    }
                    _ => text::url(&e.url).map(str::to_owned),
                },
                data: facts_of(&e.data),
            })
            .collect();
        Self { rows }
    }
}

/// Short facts only: names with plain values.
fn facts_of(data: &serde_json::Value) -> Vec<(String, String)> {
    let value = |v: &serde_json::Value| match v {
        serde_json::Value::String(s) => Some(s.clone()),
        serde_json::Value::Number(n) => Some(n.to_string()),
        serde_json::Value::Bool(b) => Some(b.to_string()),
        _ => None,
    };
    let Some(map) = data.as_object() else { return Vec::new() };
    map.iter()
        // Ids are for programs.
        .filter(|(k, _)| !k.ends_with("_id"))
        .filter_map(|(k, v)| value(v).map(|v| (text::visible(k), text::shorten(&text::visible(&v), 80))))
        .take(6)
        .collect()
}
