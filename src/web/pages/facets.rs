//! What narrows the incident list down: tabs, facets and times.

use super::{
    incidents::DEFAULT_QUERY,
    terms::{self, href},
    ui,
};
use crate::{model::*, search::Counts, store::Overview, web::saved_views::Kept};

/// A tab.
#[derive(Clone, Debug)]
pub struct Tab {
    pub(super) key: String,
    pub(super) name: ui::Markup,
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

/// Saved views among the tabs; the rail has all of them.
const TABS: usize = 6;
/// Names of one facet that are offered; others are typed.
const NAMES: usize = 8;

pub(super) fn tabs(o: &Overview, mine: Option<usize>, q: &str, view: Option<ViewId>, views: &[Kept]) -> Vec<Tab> {
    let tab = |key: &str, name, query: &str, count: Option<u64>| Tab {
        key: key.to_owned(),
        name: ui::own(name),
        href: if query == DEFAULT_QUERY { "/incidents".to_owned() } else { href("/incidents", query, &[]) },
        count: count.map(|n| if n > 99 { "99+".to_owned() } else { n.to_string() }),
        current: view.is_none() && q == query,
    };
    let saved = |v: &Kept| Tab {
        key: v.id.to_string(),
        name: ui::foreign(&v.name),
        href: href("/incidents", "", &[("view", &v.id.to_string())]),
        count: Some(v.badge()),
        current: view == Some(v.id),
    };
    let mut all = vec![
        tab("open", "Open", DEFAULT_QUERY, Some(o.open)),
        tab("unowned", "Nobody yet", "status:open owner:none", Some(o.unowned)),
        tab("mine", "Mine", "status:open owner:me", mine.map(|n| n as u64)),
    ];
    all.extend(views.iter().take(TABS).map(saved));
    all.push(tab("done", "Closed", "status:resolved", None));
    all
}

/// `counts`: as the text index tells them, `status:resolved`.
pub(super) fn facets(q: &str, sources: &[(String, String)], counts: &Counts) -> Vec<Facet> {
    let facet = |name, field, options: Vec<(String, String)>| {
        let set = terms::values(q, field);
        let options: Vec<Choice> = options
            .into_iter()
            .map(|(value, name)| {
                let open = field == "status"
                    && set.iter().any(|s| s == "open")
                    && matches!(value.as_str(), "investigating" | "analyzed");
                let count = counts.by.get(&format!("{field}:{}", value.to_lowercase()));
                let count = count.map(|n| ui::about(*n, !counts.about));
                Choice { checked: open || set.contains(&value), value, name, count }
            })
            .collect();
        // "open" is what the list means anyway: a number beside the button would say nothing.
        let chosen = if set == ["open"] { 0 } else { options.iter().filter(|o| o.checked).count() };
        Facet { name, field, options, chosen, free: false, help: "", text: String::new() }
    };
    // Names in use, the most frequent first, and those that were chosen.
    let named = |name, field: &'static str, help, first: &[(&str, &str)]| {
        let set = terms::values(q, field);
        let prefix = format!("{field}:");
        let of = |(value, n): (&String, &u64)| Some((value.strip_prefix(&prefix)?.to_owned(), *n));
        let mut names: Vec<(String, u64)> = counts.by.iter().filter_map(of).collect();
        names.retain(|(value, _)| value != "none");
        names.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        names.truncate(NAMES);
        let mut options: Vec<(String, String)> =
            first.iter().map(|(value, words)| ((*value).to_owned(), (*words).to_owned())).collect();
        options.extend(names.into_iter().map(|(value, _)| (value.clone(), ui::plain(&value))));
        let offered = |v: &String| options.iter().any(|(value, _)| value == v);
        let text: Vec<String> = set.iter().filter(|v| !offered(v)).map(|v| terms::quote(v)).collect();
        Facet { free: true, help, chosen: set.len(), text: text.join(","), ..facet(name, field, options) }
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
    facets.push(named("Service", "service", "Another, or its beginning with * after it", &[]));
    facets.push(named("Owner", "owner", "Another", &[("none", "Nobody yet"), ("me", "Me")]));
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
