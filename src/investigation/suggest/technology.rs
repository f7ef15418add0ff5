//! Which technologies a place runs, by what names it: never by one vague word, never by what it merely calls.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::Detect;
use crate::{
    investigation::{case::Case, rank::Candidate, symptoms::split},
    model::Alert,
};

/// Labels whose values are names of what runs there.
const NAMING: &[&str] = &[
    "job",
    "exported_job",
    "container",
    "container_name",
    "app",
    "application",
    "component",
    "app_kubernetes_io_name",
    "app.kubernetes.io/name",
    "k8s_app",
    "k8s-app",
    "db_system",
    "db.system",
    "dbms",
    "engine",
    "technology",
    "integration",
    "check",
    "exporter",
    "collector",
    "module",
    "_collect_module",
    "plugin",
    "statefulset",
    "kube_stateful_set",
    "deployment",
    "kube_deployment",
    "service",
    "entity_type",
    "unit",
    "unit_name",
    "chart",
    "context",
    "alertname",
    "alert",
    "alarm",
    "rulename",
];
/// Labels whose values name an image.
const IMAGES: &[&str] = &["image", "image_name", "image_spec", "container_image"];
/// Labels whose values are names of figures.
const FIGURES: &[&str] = &["__name__", "metric", "metric_name", "chart", "context", "alertname", "alert", "alarm"];
/// After these words a title names what is called, not what is ill.
const CALLED: &[&str] = &[
    "to",
    "by",
    "from",
    "calling",
    "with",
    "via",
    "against",
    "upstream",
    "downstream",
    "reach",
    "reaching",
    "contacting",
    "into",
    "dependency",
];
/// What measures is not what is measured.
const MEASURING: &[&str] = &[
    "kube-state-metrics",
    "node-exporter",
    "prometheus",
    "alertmanager",
    "grafana",
    "cadvisor",
    "kubelet",
    "netdata",
    "datadog-agent",
];

/// The technologies of a cause.
pub(super) fn of(case: &Case, cause: &Candidate, table: &BTreeMap<String, Detect>) -> BTreeSet<String> {
    let alerts: Vec<&Alert> = cause.alerts.iter().filter_map(|i| case.alerts.get(*i)).collect();
    let mut evident = Evident::default();
    for service in cause.service.iter().chain(case.aliases_of(cause.service.as_deref())) {
        evident.name(service);
    }
    for alert in &alerts {
        let values = NAMING.iter().filter_map(|l| alert.labels.get(*l));
        values.filter(|v| !MEASURING.contains(&v.to_lowercase().as_str())).for_each(|v| evident.name(v));
        // Without the registry, which says nothing of what is in an image.
        let images = IMAGES.iter().filter_map(|l| alert.labels.get(*l)).filter_map(|v| v.rsplit('/').next());
        images.for_each(|v| evident.name(v));
        evident.figures.extend(FIGURES.iter().filter_map(|l| alert.labels.get(*l)).map(|v| v.to_lowercase()));
        evident.labels.extend(alert.labels.keys().map(String::as_str));
        evident.senders.insert(&alert.platform);
        evident.title(&alert.title);
    }
    if alerts.is_empty() && cause.service.is_some() && cause.service == case.incident.service {
        evident.title(&case.incident.title);
    }
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut left: Vec<&String> = table.iter().filter(|(_, d)| evident.shows(d)).map(|(name, _)| name).collect();
    while let Some(name) = left.pop() {
        if found.insert(name.clone()) {
            left.extend(table.get(name).into_iter().flat_map(|d| &d.also));
        }
    }
    found
}

#[derive(Default)]
struct Evident<'a> {
    names: Vec<Vec<String>>,
    titles: Vec<Vec<String>>,
    figures: Vec<String>,
    labels: BTreeSet<&'a str>,
    senders: BTreeSet<&'a str>,
}

impl<'a> Evident<'a> {
    fn name(&mut self, text: &str) {
        self.names.push(words(text));
    }

    fn title(&mut self, text: &str) {
        self.titles.push(words(text));
        // A title that is the name of a figure is read as one.
        self.figures.push(text.to_lowercase());
    }

    fn shows(&self, detect: &Detect) -> bool {
        detect.senders.iter().any(|s| self.senders.contains(s.as_str()))
            || detect.labels.iter().any(|l| self.labels.contains(l.as_str()))
            || detect.metrics.iter().any(|m| self.figures.iter().any(|f| f.starts_with(m.as_str())))
            || detect.names.iter().any(|n| self.says(n))
    }

    fn says(&self, pattern: &str) -> bool {
        let wanted: Vec<&str> = pattern.split_whitespace().collect();
        let at = |words: &[String]| {
            (0..words.len())
                .find(|i| wanted.iter().enumerate().all(|(n, w)| words.get(i + n).is_some_and(|word| same(w, word))))
        };
        let called = |words: &[String], i: usize| {
            let before = words.get(i.saturating_sub(2)..i).unwrap_or(&[]);
            before.iter().any(|w| CALLED.contains(&w.as_str()))
        };
        !wanted.is_empty()
            && (self.names.iter().any(|words| at(words).is_some())
                || self.titles.iter().any(|words| at(words).is_some_and(|i| !called(words, i))))
    }
}

fn same(wanted: &str, word: &str) -> bool {
    let bare = word.trim_end_matches(|c: char| c.is_ascii_digit());
    match wanted.strip_suffix('*') {
        Some(stem) => word.starts_with(stem),
        None => word == wanted || bare == wanted,
    }
}

/// Words as people read them; `PostgreSQL` and `RabbitMQ` are one each.
fn words(text: &str) -> Vec<String> {
    const WHOLE: &[(&str, &str)] = &[
        ("PostgreSQL", "postgresql"),
        ("MySQL", "mysql"),
        ("MariaDB", "mariadb"),
        ("RabbitMQ", "rabbitmq"),
        ("HAProxy", "haproxy"),
        ("OpenSearch", "opensearch"),
        ("ElasticSearch", "elasticsearch"),
        ("GitLab", "gitlab"),
        ("GitHub", "github"),
        ("CoreDNS", "coredns"),
        ("MongoDB", "mongodb"),
    ];
    let mut text = text.to_owned();
    for (written, plain) in WHOLE.iter().filter(|(w, _)| text.contains(w)).collect::<Vec<_>>() {
        // A capital of its own keeps it apart from what stands before it.
        text = text.replace(written, &format!(" {plain} "));
    }
    split(&text)
}

#[cfg(test)]
#[path = "technology_tests.rs"]
mod tests;
