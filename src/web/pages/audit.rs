//! Settings: the audit log, for administrators.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    ask::{Ask, Params},
    frame::{Frame, Section, counts_and_seq},
    settings::{Tab, tabs},
    text,
    ui::{self, Markup, When},
};
use crate::{
    model::*,
    web::{error::ApiError, query, state::AppState},
};

const HERE: &str = "/settings/audit";
/// Entries on one page.
const SHOWN: usize = 100;
/// Letters of one value.
const VALUE: usize = 120;

/// One act.
struct Row {
    at: When,
    actor: Markup,
    action: String,
    subject: Markup,
    link: Option<String>,
    address: Markup,
    changes: Vec<Change>,
    more: Option<String>,
}

/// A field that has another value now.
struct Change {
    field: String,
    before: String,
    after: String,
}

#[derive(Template)]
#[template(path = "pages/audit.html")]
struct AuditPage {
    frame: Frame,
    tabs: Vec<Tab>,
    allowed: bool,
    error: Option<String>,
    actor: String,
    action: String,
    object: String,
    since: String,
    until: String,
    people: Vec<String>,
    areas: Vec<String>,
    total: String,
    rows: Vec<Row>,
    csv: String,
    ndjson: String,
    newest: Option<String>,
    older: Option<String>,
}

fn short(value: &serde_json::Value) -> String {
    let said = match value {
        serde_json::Value::Null => "nothing".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(all) => return all.iter().map(short).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    text::visible(&text::shorten(&said, VALUE))
}

/// What changed, field by field, and the rest as it stands.
fn told(data: &serde_json::Value) -> (Vec<Change>, Option<String>) {
    let Some(all) = data.as_object() else { return (Vec::new(), None) };
    let (before, after) = (all.get("before"), all.get("after"));
    let mut changes = Vec::new();
    let none = serde_json::Map::new();
    let object = |v: Option<&serde_json::Value>| v.and_then(|v| v.as_object()).unwrap_or(&none).clone();
    let (old, new) = (object(before), object(after));
    let mut fields: Vec<&String> = old.keys().chain(new.keys()).collect();
    fields.sort();
    fields.dedup();
    for field in fields {
        let (was, is) = (old.get(field), new.get(field));
        if was == is {
            continue;
        }
        let said = |v: Option<&serde_json::Value>| v.map(short).unwrap_or_default();
        changes.push(Change { field: text::visible(field), before: said(was), after: said(is) });
    }
    let rest: serde_json::Map<String, serde_json::Value> = all
        .iter()
        .filter(|(key, value)| {
            let said = matches!(key.as_str(), "before" | "after") && value.is_object();
            !said && !value.is_null()
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let more = (!rest.is_empty()).then(|| {
        let each = rest.iter().map(|(key, value)| format!("{key}: {}", short(value)));
        text::visible(&text::shorten(&each.collect::<Vec<_>>().join(", "), 4 * VALUE))
    });
    (changes, more)
}

impl Row {
    fn of(entry: &AuditEntry, now: Time) -> Self {
        let (changes, more) = told(&entry.data);
        let of_incident = entry.action.starts_with("incident.") && entry.subject.parse::<IncidentId>().is_ok();
        Self {
            at: When::clock(entry.at, now),
            actor: ui::foreign(&entry.actor),
            action: text::visible(&entry.action),
            subject: ui::foreign(&text::shorten(&entry.subject, VALUE)),
            link: of_incident.then(|| format!("/incidents/{}", entry.subject)),
            address: ui::foreign(entry.address.as_deref().unwrap_or("")),
            changes,
            more,
        }
    }
}

/// The first parts of what can be done, as the log names them.
const AREAS: [&str; 19] = [
    "incident",
    "postmortem",
    "user",
    "session",
    "token",
    "connector",
    "delivery",
    "service",
    "edge",
    "silence",
    "maintenance",
    "threshold",
    "runbook",
    "lesson",
    "correlation",
    "backtest",
    "backup",
    "audit",
    "change",
];

/// `GET /settings/audit?actor=&action=&object=&since=&until=&cursor=`
pub async fn audit(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let (now, allowed) = (ask.now, ask.identity.may_set_up());
    let of = |name: &str| params.get(name).trim().to_owned();
    let mut error = None;
    let mut time = |name: &str| {
        let typed = params.get(name).trim();
        let read = query::time(typed, now);
        if !typed.is_empty() && read.is_none() {
            let typed = text::visible(&text::shorten(typed, 40));
            error = Some(format!("“{typed}” is no time; write one such as 6h, 7d or 2026-03-02T15:14Z."));
        }
        read
    };
    let (since, until) = (time("since"), time("until"));
    let words =
        |name: &str| of(name).split([',', ' ']).filter(|w| !w.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    // `incident` is all of its acts.
    let action = words("action").into_iter().map(|w| if w.contains(['.', '*']) { w } else { format!("{w}.*") });
    let filter = AuditFilter { actor: words("actor"), action: action.collect(), object: words("object"), since, until };
    let cursor: Option<u64> = params.get("cursor").parse().ok();
    let shown = allowed && error.is_none();
    let wanted = filter.clone();
    let (overview, seq, page, accounts) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let page = if shown { Some(view.audit_of(&wanted, cursor, SHOWN)?) } else { None };
            let accounts = if allowed { view.accounts()? } else { Vec::new() };
            Ok((overview, seq, page, accounts))
        })
        .await?;
    let typed = ["actor", "action", "object", "since", "until"].map(|name| (name, of(name)));
    let address = |path: &str, more: &[(&str, &str)]| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        // The API takes what it is given; here `incident` is all of its acts.
        for (name, value) in typed.iter().filter(|(_, v)| !v.is_empty()) {
            match *name {
                "action" if path != HERE => query.append_pair(name, &filter.action.join(",")),
                _ => query.append_pair(name, value),
            };
        }
        query.extend_pairs(more);
        format!("{path}?{}", query.finish())
    };
    let (rows, next, total) = match &page {
        Some(p) => {
            let total = format!("{}{}", if p.total_is_exact { "" } else { "about " }, ui::count(p.total));
            (p.items.iter().map(|(_, e)| Row::of(e, now)).collect(), p.next, total)
        }
        None => (Vec::new(), None, "0".to_owned()),
    };
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut people: Vec<String> = accounts.into_iter().map(|a| a.name).collect();
    people.push("system".to_owned());
    let [actor, action, object, since, until] = typed.clone().map(|(_, value)| text::visible(&value));
    let page = AuditPage {
        frame: ask.frame("Audit", Section::Settings, &overview, seq),
        tabs: tabs(HERE),
        allowed,
        error,
        actor,
        action,
        object,
        since,
        until,
        people,
        areas: AREAS.iter().map(|a| (*a).to_owned()).collect(),
        total,
        rows,
        csv: address("/api/audit/export", &[("format", "csv")]),
        ndjson: address("/api/audit/export", &[("format", "ndjson")]),
        newest: cursor.map(|_| address(HERE, &[])),
        older: next.map(|n| address(HERE, &[("cursor", &n.to_string())])),
    };
    Ok(ask.page(status, &page))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_said_field_by_field() {
        let data = json!({"before": {"role": "viewer", "x": 1}, "after": {"role": "admin", "x": 1}, "reason": "asked"});
        let (changes, more) = told(&data);
        let said: Vec<_> = changes.iter().map(|c| (c.field.as_str(), c.before.as_str(), c.after.as_str())).collect();
        assert_eq!((said, more.as_deref()), (vec![("role", "viewer", "admin")], Some("reason: asked")));
        let (changes, more) = told(&json!({"after": {"owner": null}, "count": 3}));
        assert_eq!((changes[0].after.as_str(), more.as_deref()), ("nothing", Some("count: 3")));
        assert!(told(&serde_json::Value::Null).0.is_empty());
        let all = crate::web::api::routes().into_openapi();
        assert!(all.paths.paths.contains_key("/api/audit/export"), "where the page's links lead");
    }
}
