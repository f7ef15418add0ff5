//! PagerDuty: webhook subscriptions (V3) and the `messages` of V2 and V1.

mod messages;

use serde_json::Value;

use super::{
    ClientCertificate, Connector, Info, Overload, Request, Signature, body,
    body::problem,
    fields::Obj,
    identity, labels,
    signature::{self, Right},
    text,
};
use crate::model::{Note, Parsed, Problem, Reply, ReplyAct, Severity, Signal, SignalStatus, Time};

pub(super) struct PagerDuty;

static INFO: Info = Info {
    slug: "pagerduty",
    name: "PagerDuty",
    tile: "Pd",
    way: "Generic webhook (v3)",
    success: 202,
    overload: Overload::TooMany,
    // Three answers of 4xx in a row switch the subscription off for a day.
    lenient: true,
    builds: false,
    signature: Some("X-PagerDuty-Signature with the secret shown when the subscription is made"),
    steps: &[
        "In PagerDuty, open Integrations, Generic Webhooks (v3), and choose New Webhook.",
        "Paste the Webhook URL {url}. PagerDuty needs a publicly trusted certificate and speaks TLS 1.2.",
        "Choose the Scope (account, team or service) and leave all incident events on.",
        "Add the Custom Header X-Watchfire-Key with the value {key}, or use the signature: Add Webhook shows a secret \
         once; put it here as signing secret.",
        "Open the webhook again and choose Send Test Event.",
    ],
    fields: &[
        ("Title", "data.title"),
        ("Severity", "data.priority.summary (P1 to P5), else data.urgency"),
        ("Service", "data.service.summary"),
        ("Environment", "custom field environment or env"),
        ("Runbook", "custom field runbook, runbook_url or runbook_link, else one in the alerts' details"),
        (
            "Identity",
            "data.id of the incident; those that Watchfire opened there (key watchfire:…) open nothing here, and who \
             acknowledges or resolves one there does so here",
        ),
        ("State", "event_type; updates go by data.status"),
        ("Link", "data.html_url"),
        ("Time", "data.created_at, event.occurred_at"),
    ],
    sample: include_str!("../samples/pagerduty.json"),
};

impl Connector for PagerDuty {
    fn info(&self) -> &'static Info {
        &INFO
    }

    // Issued by a public CA, which has to be named: then the name is what counts.
    // https://developer.pagerduty.com/docs/webhooks (Mutual TLS).
    fn client_certificate(&self) -> ClientCertificate {
        ClientCertificate { ca: None, names: &["webhooks.pagerduty.com"] }
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let root = body.object(INFO.name)?;
        let mut parsed = if root.object("event").exists() {
            event(root.object("event"))?
        } else if root.has("messages") {
            messages::read(root)?
        } else {
            return Err(body::unrecognised(INFO.name, "`event` (V3) or `messages` (V2)", root));
        };
        let sent = request.header("x-webhook-id").map(|id| text::line(id, 200)).filter(|id| !id.is_empty());
        parsed.retry_id = sent.or(parsed.retry_id);
        for signal in &mut parsed.signals {
            signal.repaired = body.repaired;
        }
        parsed.notes.extend(body.notes);
        Ok(parsed)
    }

    fn verify(&self, request: &Request<'_>, secrets: &[&str]) -> Signature {
        let Some(sent) = request.header("x-pagerduty-signature") else { return Signature::Absent };
        // Several stand here while a secret is rotated.
        let right = Right::sha256(secrets, &[request.body]);
        let mut known = sent.split(',').filter_map(|s| s.trim().strip_prefix("v1="));
        signature::verdict(known.any(|digest| right.is_hex(digest)))
    }
}

fn event(event: Obj<'_>) -> Result<Parsed, Problem> {
    let mut parsed = Parsed::default();
    let kind = event
        .text("event_type")
        .ok_or_else(|| problem("unrecognised", "`event` has no `event_type`.", Some("/event/event_type".to_owned())))?;
    let data = event.object("data");
    if kind == "pagey.ping" {
        let said = data.text("message").and_then(|m| text::title(&m));
        parsed.notes.push(Note::Ping(said.unwrap_or_else(|| "Ping from PagerDuty.".to_owned())));
        return Ok(parsed);
    }
    let Some(happened) = kind.strip_prefix("incident.") else {
        parsed.notes.push(Note::Ignored(format!("Event of the type {}.", text::line(&kind, 80))));
        return Ok(parsed);
    };
    let about_incident = data.text("type").is_none_or(|t| t == "incident");
    let incident = if about_incident { data } else { data.object("incident") };
    let Some(id) = incident.text("id") else {
        let path = if about_incident { "/event/data/id" } else { "/event/data/incident/id" };
        return Err(problem("unrecognised", format!("`{kind}` names no incident."), Some(path.to_owned())));
    };
    if let Some(key) = own(incident) {
        let act = match happened {
            "acknowledged" => Some(ReplyAct::Acknowledge),
            "resolved" => Some(ReplyAct::Resolve),
            _ => None,
        };
        parsed.replies.extend(reply(&key, act, &[event.object("agent")], event.time("occurred_at")));
        parsed.notes.push(Note::Ignored(format!("PagerDuty's incident was made from ours ({key}).")));
        return Ok(parsed);
    }
    let mut signal = if about_incident {
        let mut signal = of_incident(incident, &id, incident.first(&["title", "summary"]));
        signal.status = status(happened, incident.text("status").as_deref());
        signal
    } else {
        aside(happened, data, incident, &id)
    };
    signal.observed_at = event.time("occurred_at");
    match signal.status {
        SignalStatus::Resolved => signal.ended_at = signal.observed_at,
        SignalStatus::Firing => signal.started_at = signal.started_at.or(signal.observed_at),
        SignalStatus::Acknowledged | SignalStatus::Info => {}
    }
    signal.path = "/event".to_owned();
    labels::add(&mut signal.annotations, "agent", event.object("agent").text("summary").as_deref());
    parsed.signals.push(signal);
    Ok(parsed)
}

/// What begins the key of every incident that Watchfire opens in PagerDuty.
const OWN: &str = "watchfire:";

/// The key by which we opened this incident there, if it was us: it must not come back as an incident of its own. V3 has
/// the key of its first alert as `incident_key`, V2 all of them in `alerts`.
fn own(incident: Obj<'_>) -> Option<String> {
    let of_alerts = incident.list("alerts").iter().filter_map(|a| Obj::of(Some(a)).text("alert_key"));
    let mut keys = incident.text("incident_key").into_iter().chain(of_alerts);
    keys.find(|key| key.starts_with(OWN)).map(|key| text::line(&key, 60))
}

/// What a person did there to one of ours. What integrations and services do says nothing: by the Events API it was us, and
/// a time that runs out there ends nothing here.
fn reply(key: &str, act: Option<ReplyAct>, agents: &[Obj<'_>], at: Option<Time>) -> Option<Reply> {
    let incident = key.strip_prefix(OWN)?.parse().ok()?;
    let person = |agent: &&Obj<'_>| {
        // `user_reference` in V3; V2 says `user`, or leaves the type out.
        agent.exists() && agent.text("type").is_none_or(|t| matches!(t.as_str(), "user" | "user_reference"))
    };
    let by = agents.iter().find(|a| a.exists()).filter(person)?.first(&["summary", "name", "email"])?;
    let by = Some(text::line(&by, 120)).filter(|b| !b.is_empty())?;
    Some(Reply { incident, act: act?, by, at })
}

/// Updates tell of an incident in whatever state it is; one that is over must not be opened by a new priority.
fn status(happened: &str, state: Option<&str>) -> SignalStatus {
    match (happened, state) {
        ("resolved", _) => SignalStatus::Resolved,
        ("acknowledged", _) => SignalStatus::Acknowledged,
        ("triggered" | "reopened" | "unacknowledged", _) => SignalStatus::Firing,
        (_, Some("resolved")) => SignalStatus::Info,
        (_, Some("acknowledged")) => SignalStatus::Acknowledged,
        (
            "escalated" | "reassigned" | "delegated" | "priority_updated" | "service_updated" | "incident_type.changed",
            _,
        ) => SignalStatus::Firing,
        _ => SignalStatus::Info,
    }
}

/// The signal of an incident, of V3 or V2.
fn of_incident(incident: Obj<'_>, id: &str, title: Option<String>) -> Signal {
    let title = title.as_deref().and_then(text::title).unwrap_or_else(|| {
        let number = incident.first(&["number", "incident_number"]);
        format!("PagerDuty incident {}", text::line(number.as_deref().unwrap_or(id), 60))
    });
    let mut signal =
        identity::signal(INFO.slug, "The id of PagerDuty's incident.", &[("incident id", Some(id))], title);
    let priority = incident.object("priority").first(&["summary", "name"]);
    let urgency = incident.text("urgency");
    signal.severity = [&priority, &urgency]
        .into_iter()
        .find_map(|word| word.as_deref().and_then(severity))
        .unwrap_or(Severity::Medium);
    signal.severity_raw = priority.or(urgency).and_then(|p| text::name(&p));
    signal.service = incident.object("service").first(&["summary", "name"]).and_then(|s| text::name(&s));
    signal.description = incident.first(&["description", "summary"]).and_then(|d| text::description(&d));
    signal.description = signal.description.filter(|d| *d != signal.title);
    signal.url = incident.url("html_url");
    signal.started_at = incident.time("created_at");
    // Incidents that were made from ours carry our key here.
    labels::add(&mut signal.labels, "incident_key", incident.text("incident_key").as_deref());
    labels::add(&mut signal.labels, "number", incident.first(&["number", "incident_number"]).as_deref());
    labels::add(&mut signal.labels, "urgency", incident.text("urgency").as_deref());
    let policy = incident.object("escalation_policy").first(&["summary", "name"]);
    labels::add(&mut signal.labels, "escalation_policy", policy.as_deref());
    let teams: Vec<String> =
        incident.list("teams").iter().filter_map(|t| Obj::of(Some(t)).first(&["summary", "name"])).collect();
    labels::add(&mut signal.labels, "team", Some(&teams.join(",")));
    custom_fields(&mut signal, incident);
    signal.runbook_url =
        signal.runbook_url.or_else(|| ["body", "alerts"].iter().find_map(|at| runbook(incident.get(at)?, 0)));
    let reason = incident.object("resolve_reason");
    labels::add(&mut signal.annotations, "resolve_reason", reason.text("type").as_deref());
    labels::add(&mut signal.annotations, "merged_into", reason.object("incident").first(&["id", "summary"]).as_deref());
    signal
}

/// Fields that the account has defined: labels, and by their names the environment and the runbook.
fn custom_fields(signal: &mut Signal, of: Obj<'_>) {
    for field in of.list("custom_fields").iter().map(|f| Obj::of(Some(f))) {
        let Some(name) = field.first(&["name", "display_name"]).and_then(|n| text::name(&n)) else { continue };
        let chosen = || field.list("value").iter().filter_map(text::scalar).collect::<Vec<_>>().join(",");
        let value = field.text("value").unwrap_or_else(chosen);
        if is_runbook(&name) && signal.runbook_url.is_none() {
            signal.runbook_url = text::url(&value);
        }
        labels::add(&mut signal.labels, &name, Some(&value));
    }
    signal.environment = labels::environment(&signal.labels);
}

/// `runbook`, `Runbook URL`, `runbook-link`.
fn is_runbook(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
    matches!(plain.as_str(), "runbook" | "runbookurl" | "runbooklink")
}

/// A runbook in the details that the integration sent along, wherever they stand: it differs between integrations.
fn runbook(value: &Value, depth: u8) -> Option<String> {
    if depth > 5 {
        return None;
    }
    match value {
        Value::Object(map) => map
            .iter()
            .find_map(|(name, value)| text::url(value.as_str().filter(|_| is_runbook(name))?))
            .or_else(|| map.values().find_map(|inner| runbook(inner, depth + 1))),
        Value::Array(list) => list.iter().take(20).find_map(|inner| runbook(inner, depth + 1)),
        _ => None,
    }
}

/// Priorities are named by the account: `P1`, `SEV1`, `P1 - Critical`.
fn severity(word: &str) -> Option<Severity> {
    text::severity(word).or_else(|| text::severity(word.split([' ', ':']).next()?))
}

/// Notes, status updates, responders, tasks: a line for the timeline.
fn aside(happened: &str, data: Obj<'_>, incident: Obj<'_>, id: &str) -> Signal {
    let words = data.first(&["content", "message", "summary"]).or_else(|| data.object("user").text("summary"));
    let what = match happened {
        "annotated" => "Note".to_owned(),
        "status_update_published" => "Status update".to_owned(),
        other => {
            let other = other.replace(['.', '_'], " ");
            let mut letters = other.chars();
            letters.next().map_or_else(String::new, |c| c.to_uppercase().chain(letters).collect())
        }
    };
    let title = words.as_deref().map_or_else(|| what.clone(), |words| format!("{what}: {words}"));
    let mut signal = of_incident(incident, id, Some(title));
    custom_fields(&mut signal, data);
    signal.status = SignalStatus::Info;
    signal.severity = Severity::Info;
    signal.description = words.and_then(|w| text::description(&w));
    signal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    #[test]
    fn any_of_several_signatures_will_do() {
        let right = "2107d1bc5ccc5288fb5bdc42474252decec572083043de1a12757d36df406508";
        let check = |header: &str, secrets: &[&str], want| {
            let headers = [("x-pagerduty-signature".to_owned(), header.to_owned())];
            let request = Request {
                headers: &headers,
                query: &[],
                body: br#"{"status":"firing"}"#,
                received_at: Time::default(),
                rca_enabled: false,
            };
            assert_eq!(PagerDuty.verify(&request, secrets), want, "{header}");
        };
        let old = "0".repeat(64);
        check(&format!("v1={right}"), &["watchfire"], Signature::Valid);
        check(&format!("v1={old}, v1={right}"), &["old", "watchfire"], Signature::Valid);
        check(&format!("v1={old}"), &["watchfire"], Signature::Invalid);
        check(&format!("v2={right}"), &["watchfire"], Signature::Invalid);
        check(right, &["watchfire"], Signature::Invalid);
        check("", &["watchfire"], Signature::Invalid);
    }

    #[test]
    fn a_thousand_signatures_cost_no_more_than_one() {
        let headers = [("x-pagerduty-signature".to_owned(), format!("v1={},", "0".repeat(64)).repeat(5000))];
        let body = vec![b' '; 1 << 20];
        let request =
            Request { headers: &headers, query: &[], body: &body, received_at: Time::default(), rca_enabled: false };
        let began = std::time::Instant::now();
        assert_eq!(PagerDuty.verify(&request, &["watchfire"]), Signature::Invalid);
        // 5,000 digests of a megabyte take minutes in this build, and many seconds in any.
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }

    #[test]
    fn updates_go_by_the_state_of_the_incident() {
        for (happened, state, want) in [
            ("triggered", Some("triggered"), SignalStatus::Firing),
            ("escalated", Some("triggered"), SignalStatus::Firing),
            ("priority_updated", Some("resolved"), SignalStatus::Info),
            ("reassigned", Some("acknowledged"), SignalStatus::Acknowledged),
            ("delegated", None, SignalStatus::Firing),
            ("something.new", None, SignalStatus::Info),
        ] {
            assert_eq!(status(happened, state), want, "{happened}");
        }
    }
}
