//! What narrows the incident list down: tabs, facets and times.

use std::collections::BTreeMap;

use super::{
    incidents::DEFAULT_QUERY,
    terms::{self, href},
    ui,
};
use crate::{model::*, store::Overview};

/// A tab.
#[derive(Clone, Debug)]
pub struct Tab {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) href: String,
    pub(super) count: Option<String>,
    pub(super) current: bool,
}

/// A facet form.
#[derive(Clone, Debug)]
pub struct Facet {
    pub(super) name: &'static str,
    pub(super) field: &'static str,
    pub(super) options: Vec<Choice>,
    pub(super) chosen: usize,
    pub(super) free: bool,
    pub(super) help: &'static str,
    pub(super) text: String,
}

/// One value of a facet.
#[derive(Clone, Debug)]
pub struct Choice {
    pub(super) value: String,
    pub(super) name: String,
    pub(super) checked: bool,
    /// How many incidents have it, where that is known.
    pub(super) count: Option<String>,
}

/// A link with a name.
#[derive(Clone, Debug)]
pub struct Link {
    pub(super) name: String,
    pub(super) href: String,
}

pub(super) fn tabs(o: &Overview, mine: Option<usize>, q: &str) -> Vec<Tab> {
    let tab = |key, name, query: &str, count: Option<u64>| Tab {
        key,
        name,
        href: if query == DEFAULT_QUERY { "/incidents".to_owned() } else { href("/incidents", query, &[]) },
        count: count.map(|n| if n > 99 { "99+".to_owned() } else { n.to_string() }),
        current: q == query,
    };
    vec![
        tab("open", "Open", DEFAULT_QUERY, Some(o.open)),
        tab("unowned", "Nobody yet", "status:open owner:none", Some(o.unowned)),
        tab("mine", "Mine", "status:open owner:me", mine.map(|n| n as u64)),
        tab("done", "Closed", "status:resolved", None),
    ]
}

/// `counts`: as the text index tells them, `status:resolved`.
pub(super) fn facets(q: &str, sources: &[(String, String)], counts: &BTreeMap<String, u64>) -> Vec<Facet> {
    let facet = |name, field, options: Vec<(String, String)>| {
        let set = terms::values(q, field);
        let options: Vec<Choice> = options
            .into_iter()
            .map(|(value, name)| {
                let open = field == "status"
                    && set.iter().any(|s| s == "open")
                    && matches!(value.as_str(), "investigating" | "analyzed");
                let count = counts.get(&format!("{field}:{value}")).map(|n| ui::count(*n));
                Choice { checked: open || set.contains(&value), value, name, count }
            })
            .collect();
        // "open" is what the list means anyway: a number beside the button would say nothing.
        let chosen = if set == ["open"] { 0 } else { options.iter().filter(|o| o.checked).count() };
        Facet { name, field, options, chosen, free: false, help: "", text: String::new() }
    };
    let pair = |s: &str, name: &str| (s.to_owned(), name.to_owned());
    let mut facets = vec![
        facet(
            "Status",
            "status",
            IncidentStatus::ALL.iter().map(|s| pair(s.as_str(), super::words::status(*s))).collect(),
        ),
        facet("Severity", "severity", Severity::ALL.iter().map(|s| pair(s.as_str(), s.title())).collect()),
        facet("Source", "source", sources.to_vec()),
    ];
    // Before the first delivery there is nothing to choose from.
    facets.retain(|f| !f.options.is_empty());
    let services = terms::values(q, "service");
    facets.push(Facet {
        name: "Service",
        field: "service",
        options: Vec::new(),
        chosen: services.len(),
        free: true,
        help: "Name, or its beginning with * after it",
        text: services.join(","),
    });
    facets
}

pub(super) fn sinces(q: &str) -> Vec<Link> {
    [("1h", "1 hour"), ("12h", "12 hours"), ("24h", "24 hours"), ("7d", "7 days"), ("", "Any time")]
        .into_iter()
        .map(|(value, name)| {
            let values: Vec<String> = Some(value.to_owned()).into_iter().filter(|v| !v.is_empty()).collect();
            Link { name: name.to_owned(), href: href("/incidents", &terms::exchange(q, "since", &values), &[]) }
        })
        .collect()
}
