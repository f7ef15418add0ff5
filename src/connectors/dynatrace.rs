//! Dynatrace problem notifications: a template of the operator with `{Placeholder}`s.

use std::collections::HashMap;

use serde_json::Value;

use super::{Connector, Info, Overload, Request, body, fields::Obj, identity, labels, moment, repair::repair, text};
use crate::model::{Parsed, Problem, Severity, Signal, SignalStatus};

pub(super) struct Dynatrace;

static INFO: Info = Info {
    slug: "dynatrace",
    name: "Dynatrace",
    tile: "Dt",
    way: "Problem notification",
    success: 202,
    overload: Overload::NeverRefuse,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In Dynatrace, open Settings, Integration, Problem notifications, and choose Add notification, Custom \
         integration.",
        "Set Webhook URL to {url}, and under Add HTTP header set Authorization to the secret value Bearer {key}.",
        "Turn on Call webhook if problem is closed, or nothing will ever resolve.",
        "Set Custom payload to: {\"PID\":\"{PID}\",\"ProblemID\":\"{ProblemID}\",\"State\":\"{State}\",\
         \"ProblemTitle\":\"{ProblemTitle}\",\"ProblemSeverity\":\"{ProblemSeverity}\",\"ProblemImpact\":\"{ProblemImpact}\",\
         \"ProblemURL\":\"{ProblemURL}\",\"ImpactedEntity\":\"{ImpactedEntity}\",\"ImpactedEntities\":{ImpactedEntities},\
         \"Tags\":\"{Tags}\",\"ProblemDetailsJSON\":{ProblemDetailsJSON}}. Where your version has the placeholder \
         {ProblemDetailsJSONv2}, put it in the place of the last one: it tells Davis' evidence as well.",
        "Choose the Alerting profile, press Send test notification, and save.",
    ],
    fields: &[
        ("Title", "ProblemTitle"),
        ("Description", "ProblemDetailsText, ProblemDetailsMarkdown or ProblemDetailsHTML, else the impacted entities"),
        ("Severity", "ProblemSeverity, else the details' severityLevel"),
        ("Service, host", "ImpactedEntities of these types, ImpactedEntity, tags Service: and Host:"),
        ("Environment", "tag Environment: or env:"),
        ("Identity", "PID, else ProblemID with the host of ProblemURL"),
        ("State", "State, else the details' status and endTime"),
        ("Time", "the details' startTime and endTime"),
        ("Root cause and evidence", "the details' rootCauseEntity and evidenceDetails, or rankedEvents"),
    ],
    sample: include_str!("samples/dynatrace.json"),
};

impl Connector for Dynatrace {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let root = body.object(INFO.name)?;
        let inner = details(root);
        let problem = Template::new(root, Obj::of(inner.as_ref()));
        let Some(mut signal) = problem.signal() else {
            return Err(body::unrecognised(INFO.name, "`PID` or `ProblemID`, or `ProblemTitle`", root));
        };
        signal.repaired = body.repaired;
        Ok(Parsed { signals: vec![signal], notes: body.notes, ..Parsed::default() })
    }
}

/// Names are what the operator typed: compared in lower case, without spaces and underscores.
fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The details are an object, or the text of one where the placeholder stood in quotation marks. Of several the one that
/// says most.
fn details(root: Obj<'_>) -> Option<Value> {
    let all = root.iter().filter(|(name, _)| normal(name).starts_with("problemdetailsjson"));
    let read = all.filter_map(|(_, value)| match value {
        Value::Object(_) => Some(value.clone()),
        Value::String(text) => {
            let value: Option<Value> = serde_json::from_str(text).or_else(|_| serde_json::from_str(&repair(text))).ok();
            value.filter(Value::is_object)
        }
        _ => None,
    });
    read.max_by_key(|value| value.as_object().map_or(0, serde_json::Map::len))
}

/// What Davis found, as it stands in the details of version 2, else of version 1.
struct Davis {
    /// The entity, and for version 1 the event on it.
    root_cause: Option<String>,
    /// Its id in Dynatrace.
    entity: Option<String>,
    /// One line for each piece of evidence.
    evidence: Option<String>,
}

/// Pieces of evidence that are kept; the link leads to the rest.
const EVIDENCE: usize = 12;

impl Davis {
    fn of(details: Obj<'_>) -> Self {
        let named = |entity: Obj<'_>| entity.first(&["name", "entityName"]);
        let id = |entity: Obj<'_>| entity.object("entityId").text("id").or_else(|| entity.text("entityId"));
        let root = details.object("rootCauseEntity");
        let events = || details.list("rankedEvents").iter().map(|e| Obj::of(Some(e)));
        let cause = events().find(|e| e.flag("isRootCause") == Some(true)).unwrap_or_default();
        let of_event = |event: Obj<'_>| match (named(event), event.text("eventType")) {
            (Some(entity), Some(kind)) => Some(format!("{entity}: {kind}")),
            (entity, kind) => entity.or(kind),
        };
        let found = details.object("evidenceDetails").list("details").iter().map(|e| Obj::of(Some(e)));
        let mut lines: Vec<String> = found
            .filter_map(|e| {
                let what = e.first(&["displayName", "eventType", "evidenceType"])?;
                let on = named(e.object("entity")).map_or_else(String::new, |name| format!(" on {name}"));
                let mark = if e.flag("rootCauseRelevant") == Some(true) { " (root cause)" } else { "" };
                Some(format!("{what}{on}{mark}"))
            })
            .collect();
        if lines.is_empty() {
            lines = events().filter_map(of_event).collect();
        }
        lines.truncate(EVIDENCE);
        Self {
            root_cause: named(root).or_else(|| of_event(cause)),
            entity: id(root).or_else(|| id(cause)),
            evidence: (!lines.is_empty()).then(|| lines.join("\n")),
        }
    }
}

struct Template<'a> {
    fields: HashMap<String, &'a Value>,
    details: Obj<'a>,
}

impl<'a> Template<'a> {
    fn new(root: Obj<'a>, details: Obj<'a>) -> Self {
        Self { fields: root.iter().map(|(name, value)| (normal(name), value)).collect(), details }
    }

    fn text(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.fields.get(*name).and_then(|v| text::scalar(v)))
    }

    fn signal(&self) -> Option<Signal> {
        let sent_title = self.text(&["problemtitle", "title"]);
        let pid = self.text(&["pid"]);
        let display = self.text(&["problemid"]).or_else(|| self.details.first(&["displayId", "problemId", "id"]));
        let url = self.text(&["problemurl", "url"]).and_then(|u| text::url(&u));
        let title = sent_title
            .clone()
            .or_else(|| self.details.first(&["title", "displayName"]))
            .or_else(|| display.as_ref().map(|id| format!("Dynatrace problem {id}")))
            .or_else(|| pid.as_ref().map(|id| format!("Dynatrace problem {id}")))
            .and_then(|t| text::title(&t))?;
        let host = url.as_deref().and_then(text::url_host);
        let mut signal = if let Some(pid) = &pid {
            identity::signal(INFO.slug, "The internal id of the problem.", &[("PID", Some(pid))], title)
        } else if let Some(id) = &display {
            let parts = [("ProblemURL host", host.as_deref()), ("ProblemID", Some(id.as_str()))];
            let parts = if host.is_some() { &parts[..] } else { parts.get(1..).unwrap_or(&parts) };
            identity::signal(INFO.slug, "The number of the problem, as no `PID` was sent.", parts, title)
        } else {
            let entity = self.text(&["impactedentity", "impactedentitynames", "namesofimpactedentities"]);
            let parts = [("ProblemTitle", sent_title.as_deref()), ("ImpactedEntity", entity.as_deref())];
            identity::signal(
                INFO.slug,
                "Title and impacted entity, as neither `PID` nor `ProblemID` was sent.",
                &parts,
                title,
            )
        };
        let state = self.text(&["state", "status"]).or_else(|| self.details.text("status"));
        let ended = self.details.time("endTime").or_else(|| self.time("problemendtime"));
        signal.status = match state.as_deref().map(str::to_ascii_uppercase).as_deref() {
            Some("RESOLVED" | "CLOSED" | "MERGED") => SignalStatus::Resolved,
            None if ended.is_some() => SignalStatus::Resolved,
            _ => SignalStatus::Firing,
        };
        signal.started_at = self.details.time("startTime").or_else(|| self.time("problemstarttime"));
        signal.ended_at = ended.filter(|_| signal.status == SignalStatus::Resolved);
        let level = self.text(&["problemseverity", "severity"]).or_else(|| self.details.text("severityLevel"));
        signal.severity = level.as_deref().and_then(severity).unwrap_or(Severity::Medium);
        signal.severity_raw = level.and_then(|l| text::name(&l));
        signal.labels = labels::tags(self.fields.get("tags").or_else(|| self.fields.get("problemtags")).copied());
        for name in ["tagsOfAffectedEntities", "entityTags"] {
            for (name, value) in labels::tags(self.details.get(name)) {
                labels::add(&mut signal.labels, &name, Some(&value));
            }
        }
        let place = self.place();
        let tag = |names: &[&str]| labels::first(&signal.labels, names);
        signal.service = place.service.or_else(|| labels::service(&signal.labels)).or(place.service_id);
        signal.host = place.host.or_else(|| tag(&["host", "hostname"]).and_then(|h| text::host(&h))).or(place.host_id);
        signal.environment = labels::environment(&signal.labels);
        let davis = Davis::of(self.details);
        let entities = self.text(&["impactedentity", "impactedentitynames", "namesofimpactedentities"]);
        let named = self.details.text("displayName").filter(|d| *d != signal.title && Some(d) != display.as_ref());
        signal.description = self
            .text(&["problemdetailstext", "problemdetailsmarkdown", "problemdetailshtml", "problemdetails"])
            .or(named)
            .or_else(|| entities.clone())
            .or_else(|| davis.root_cause.as_ref().map(|cause| format!("Root cause found by Davis: {cause}")))
            .and_then(|d| text::description(&d));
        signal.is_test = self.is_test(sent_title.as_deref(), pid.as_deref(), display.as_deref());
        let zones: Vec<String> =
            self.details.list("managementZones").iter().filter_map(|z| Obj::of(Some(z)).text("name")).collect();
        let zones = (!zones.is_empty()).then(|| zones.join(", "));
        for (name, value) in [
            ("state", state),
            ("impact", self.impact()),
            ("impacted_entity", entities),
            ("problem_id", display),
            ("root_cause", davis.root_cause),
            ("root_cause_entity", davis.entity),
            ("evidence", davis.evidence),
            ("management_zones", zones),
        ] {
            labels::add(&mut signal.annotations, name, value.as_deref());
        }
        signal.url = url;
        if signal.is_test {
            signal.quiet_after_secs = Some(600);
        }
        Some(signal)
    }

    fn time(&self, name: &str) -> Option<crate::model::Time> {
        self.fields.get(name).and_then(|v| moment::time(v))
    }

    fn impact(&self) -> Option<String> {
        self.text(&["problemimpact"]).or_else(|| self.details.text("impactLevel"))
    }

    fn place(&self) -> Place {
        let mut place = Place::default();
        let lists = [self.fields.get("impactedentities").and_then(|v| v.as_array()).map(Vec::as_slice)];
        let lists = lists
            .into_iter()
            .flatten()
            .chain(["affectedEntities", "impactedEntities", "rankedEvents"].map(|name| self.details.list(name)));
        for entity in lists.flatten().map(|e| Obj::of(Some(e))) {
            let id = entity.object("entityId").text("id").or_else(|| entity.first(&["entity", "entityId"]));
            let kind = entity
                .first(&["type"])
                .or_else(|| entity.object("entityId").text("type"))
                .or_else(|| id.as_deref().and_then(|id| id.split_once('-')).map(|(kind, _)| kind.to_owned()));
            place.add(kind.as_deref(), entity.first(&["name", "entityName"]).as_deref());
        }
        // A text may be one name, an id, several names or a sentence; only the first two say something.
        if let Some(text) = self.text(&["impactedentity", "impactedentitynames", "namesofimpactedentities"]) {
            match text.split_once('-') {
                Some(("SERVICE", _)) if one_word(&text) => place.service_id = text::name(&text),
                Some(("HOST", _)) if one_word(&text) => place.host_id = text::name(&text),
                _ if one_word(&text) => place.add(self.impact().as_deref(), Some(&text)),
                _ => {}
            }
        }
        place
    }

    fn is_test(&self, title: Option<&str>, pid: Option<&str>, id: Option<&str>) -> bool {
        title.is_some_and(|t| t.eq_ignore_ascii_case("Dynatrace problem notification test run"))
            || id == Some("TESTID")
            || (id == Some("999") && matches!(pid, Some("99999" | "999999")))
    }
}

/// The first service and the first host that the problem names.
#[derive(Default)]
struct Place {
    service: Option<String>,
    host: Option<String>,
    service_id: Option<String>,
    host_id: Option<String>,
}

impl Place {
    fn add(&mut self, kind: Option<&str>, name: Option<&str>) {
        let (Some(kind), Some(name)) = (kind, name) else { return };
        match kind.to_ascii_uppercase().as_str() {
            "SERVICE" | "SERVICES" => self.service = self.service.take().or_else(|| text::name(name)),
            "HOST" | "INFRASTRUCTURE" => self.host = self.host.take().or_else(|| text::host(name)),
            _ => {}
        }
    }
}

fn one_word(text: &str) -> bool {
    !text.contains([' ', ','])
}

fn severity(level: &str) -> Option<Severity> {
    Some(match level.to_ascii_uppercase().as_str() {
        "AVAILABILITY" => Severity::Critical,
        "MONITORING_UNAVAILABLE" | "ERROR" => Severity::High,
        "PERFORMANCE" | "RESOURCE_CONTENTION" | "RESOURCE" => Severity::Medium,
        "CUSTOM_ALERT" | "CUSTOM" => Severity::Low,
        "INFO" => Severity::Info,
        other => return text::severity(other),
    })
}
