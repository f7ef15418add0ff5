//! `messages[]` of PagerDuty's webhooks V2 and V1.

use serde_json::Value;

use super::{of_incident, own, reply};
use crate::{
    connectors::{
        body::{limited, problem},
        fields::Obj,
        labels, text,
    },
    model::{Note, Parsed, Problem, ReplyAct, SignalStatus},
};

pub(super) fn read(root: Obj<'_>) -> Result<Parsed, Problem> {
    let mut parsed = Parsed::default();
    let messages = root.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (index, message) in limited(messages, "/messages")?.iter().map(|m| Obj::of(Some(m))).enumerate() {
        let path = format!("/messages/{index}");
        let kind = message.first(&["event", "type"]).unwrap_or_default();
        let incident = if message.has("incident") {
            message.object("incident")
        } else {
            message.object("data").object("incident")
        };
        let Some(id) = incident.first(&["id", "incident_key"]) else {
            parsed.notes.push(Note::Warning(format!("Left out {path}: it names no incident.")));
            continue;
        };
        let happened = kind.strip_prefix("incident.").unwrap_or(&kind);
        if let Some(key) = own(incident) {
            let act = match happened {
                "acknowledge" => Some(ReplyAct::Acknowledge),
                "resolve" => Some(ReplyAct::Resolve),
                _ => None,
            };
            // V2 says with each message what was done by whom; V1 has only who ended it.
            let entry = message.list("log_entries").first();
            let mut agents = vec![Obj::of(entry).object("agent")];
            match act {
                Some(ReplyAct::Resolve) => agents.push(incident.object("resolved_by_user")),
                _ => {
                    let last = incident.list("acknowledgements").last();
                    agents.push(Obj::of(last).object("acknowledger"));
                }
            }
            agents.push(incident.object("last_status_change_by"));
            parsed.replies.extend(reply(&key, act, &agents, message.time("created_on")));
            parsed.notes.push(Note::Ignored(format!("PagerDuty's incident was made from ours ({key}).")));
            continue;
        }
        let trigger = incident.object("trigger_summary_data");
        let title = incident.first(&["title", "description"]).or_else(|| trigger.first(&["subject", "description"]));
        let mut signal = of_incident(incident, &id, title);
        signal.status = match happened {
            "resolve" => SignalStatus::Resolved,
            "acknowledge" => SignalStatus::Acknowledged,
            "trigger" | "unacknowledge" => SignalStatus::Firing,
            // Assigned, escalated, delegated: in whatever state it is.
            "assign" | "escalate" | "delegate" => match incident.text("status").as_deref() {
                Some("acknowledged") => SignalStatus::Acknowledged,
                Some("resolved") => SignalStatus::Info,
                _ => SignalStatus::Firing,
            },
            _ => SignalStatus::Info,
        };
        signal.observed_at = message.time("created_on");
        signal.started_at = signal.started_at.or_else(|| incident.time("created_on"));
        if signal.status == SignalStatus::Resolved {
            signal.ended_at = incident.time("resolved_at").or(signal.observed_at);
        }
        let keys: Vec<String> =
            incident.list("alerts").iter().filter_map(|a| Obj::of(Some(a)).text("alert_key")).collect();
        labels::add(&mut signal.labels, "alert_key", Some(&keys.join(",")));
        labels::add(&mut signal.annotations, "resolve_reason", incident.text("resolve_reason").as_deref());
        if happened == "annotate" {
            let note = message
                .list("log_entries")
                .iter()
                .find_map(|l| Obj::of(Some(l)).object("channel").first(&["content", "summary"]));
            if let Some(title) = note.as_deref().and_then(|n| text::title(&format!("Note: {n}"))) {
                signal.title = title;
            }
        }
        signal.path = path;
        parsed.signals.push(signal);
    }
    if parsed.signals.is_empty() && !parsed.notes.iter().any(|n| matches!(n, Note::Ignored(_))) {
        return Err(problem(
            "unrecognised",
            "`messages` holds no message with an `incident`.",
            Some("/messages".to_owned()),
        ));
    }
    if let [only] = messages {
        parsed.retry_id = Obj::of(Some(only)).text("id");
    }
    Ok(parsed)
}
