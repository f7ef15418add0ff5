//! Grafana: unified alerting's webhook contact point, the dashboard alerts of Grafana 8 and before, custom payloads.

mod legacy;

use serde_json::Value;

use super::{
    Connector, Info, Overload, Request, Signature, alert_group,
    alert_group::GroupAlert,
    body,
    fields::Obj,
    generic, identity, labels,
    signature::{self, Right},
    text,
};
use crate::model::{Parsed, Problem, Severity};

pub(super) struct Grafana;

const SIGNATURE: &str = "x-grafana-alerting-signature";
/// How far the signed time may be from ours, in seconds.
const MAX_SKEW: u64 = 300;
/// Headers of a request that are tried as its signed time.
const MAX_STAMPS: usize = 3;

static INFO: Info = Info {
    slug: "grafana",
    name: "Grafana",
    tile: "Gr",
    way: "Contact point, type webhook",
    success: 202,
    overload: Overload::Unavailable,
    lenient: false,
    builds: false,
    signature: Some(
        "HMAC signature of the webhook contact point: header X-Grafana-Alerting-Signature, and \
         X-Grafana-Alerting-Timestamp as its timestamp header",
    ),
    steps: &[
        "In Grafana, open Alerting, Contact points, and choose Create contact point.",
        "Choose the integration Webhook and paste the URL {url}.",
        "Under Optional Webhook settings, leave HTTP Method on POST, set Authorization Header - Scheme to Bearer and \
         Authorization Header - Credentials to {key}. Leave Custom Payload empty.",
        "Or, under HMAC Signature, set a Secret and the timestamp header X-Grafana-Alerting-Timestamp, and put the \
         same secret here as signing secret.",
        "Leave Disable resolved message off, press Test, then Save contact point.",
        "Under Notification policies, point the default policy or your own at this contact point.",
    ],
    fields: &[
        ("Title", "annotation summary, else label alertname"),
        ("Description", "annotation description, else message, else valueString"),
        ("Severity", "label severity, else priority, else level; without any: high"),
        ("Service", "label service, service_name, app, application or component"),
        ("Host", "label host, hostname, instance or node"),
        ("Environment", "label environment, env, stage or tier"),
        ("Identity", "fingerprint, with Grafana's host and organisation"),
        ("State", "status of each alert"),
        ("Time", "startsAt and endsAt"),
    ],
    sample: include_str!("../samples/grafana.json"),
};

impl Connector for Grafana {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn groups(&self) -> bool {
        true
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let group = Obj::of(Some(&body.root));
        let mut parsed = if group.has("alerts") {
            unified(alert_group::recognise(INFO.name, &body)?, body.repaired)?
        } else if group.has("ruleId") {
            legacy::read(group, body.repaired)
        } else {
            // A custom payload template can make the body anything.
            generic::read(
                INFO.slug,
                "`alerts` (unified alerting), `ruleId` (dashboard alerts), or a title of a custom payload",
                &body,
            )?
        };
        parsed.notes.extend(body.notes);
        Ok(parsed)
    }

    fn verify(&self, request: &Request<'_>, secrets: &[&str]) -> Signature {
        // The names of both headers are free in Grafana: any value that has the form of one is tried.
        let named = request.header(SIGNATURE);
        let rights = rights(request, secrets);
        let valid = request.headers.iter().any(|(_, digest)| rights.iter().any(|right| right.is_hex(digest)));
        if valid || named.is_some() { signature::verdict(valid) } else { Signature::Absent }
    }
}

/// What is right: of the body alone, and of the body with each header that can be the signed time, which are few in an
/// honest request.
fn rights(request: &Request<'_>, secrets: &[&str]) -> Vec<Right> {
    let now = request.received_at.millis().div_euclid(1000);
    let fresh = |stamp: &&str| stamp.len() < 16 && stamp.parse::<i64>().is_ok_and(|at| at.abs_diff(now) <= MAX_SKEW);
    let stamps = request.headers.iter().map(|(_, value)| value.trim()).filter(fresh).take(MAX_STAMPS);
    std::iter::once(Right::sha256(secrets, &[request.body]))
        .chain(stamps.map(|stamp| Right::sha256(secrets, &[stamp.as_bytes(), b":", request.body])))
        .collect()
}

fn unified(group: Obj<'_>, repaired: bool) -> Result<Parsed, Problem> {
    let external = group.text("externalURL");
    let host = external.as_deref().and_then(text::url_host);
    let org = group.text("orgId");
    let group_title = group.text("title");
    alert_group::read(INFO.name, group, repaired, |alert| {
        let title = title(alert, group_title.as_deref())?;
        let org = alert.item.text("orgId").or_else(|| org.clone());
        let mut parts = Vec::new();
        if host.is_some() {
            parts.push(("externalURL host", host.as_deref()));
        }
        if org.is_some() {
            parts.push(("orgId", org.as_deref()));
        }
        parts.push(alert.identity(&title));
        let mut signal = identity::signal(INFO.slug, &alert.rule(INFO.name), &parts, title.clone());
        signal.description = labels::first_text(&alert.annotations, &["description", "message"])
            .or_else(|| alert.item.text("valueString"))
            .and_then(|d| text::description(&d));
        (signal.severity, signal.severity_raw) = severity(alert);
        signal.service = labels::service(&alert.labels);
        signal.host = labels::host(&alert.labels);
        signal.environment = labels::environment(&alert.labels);
        let link = |name| alert.item.url(name);
        signal.url = link("generatorURL")
            .or_else(|| link("panelURL"))
            .or_else(|| link("dashboardURL"))
            .or_else(|| external.as_deref().and_then(text::url));
        signal.image_url = link("imageURL");
        signal.is_test = is_test(alert);
        if signal.is_test {
            // The test button never sends the end of its alert.
            signal.quiet_after_secs = Some(600);
        }
        if let Some(values) = values(alert.item.object("values")) {
            labels::add(&mut signal.annotations, "values", Some(&values));
        }
        let enrichments = alert.item.get("enrichments").map(Value::to_string);
        labels::add(&mut signal.annotations, "enrichments", enrichments.as_deref());
        for name in ["valueString", "dashboardURL", "panelURL", "silenceURL", "ruleUID"] {
            labels::add(&mut signal.annotations, name, alert.item.text(name).as_deref());
        }
        Some(signal)
    })
}

/// `A=1.2, B=0`: what the rule's queries and expressions gave.
fn values(values: Obj<'_>) -> Option<String> {
    let all: Vec<String> = values.iter().filter_map(|(name, v)| Some(format!("{name}={}", text::scalar(v)?))).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn label<'a>(alert: &'a GroupAlert<'_>, name: &str) -> Option<&'a str> {
    alert.labels.get(name).map(String::as_str)
}

fn title(alert: &GroupAlert<'_>, group_title: Option<&str>) -> Option<String> {
    let name = label(alert, "alertname");
    let summary = labels::first_text(&alert.annotations, &["summary"]).and_then(|s| text::title(&s));
    summary
        .or_else(|| match (name, label(alert, "rulename")) {
            // Alerts about the data source carry the rule's name beside their own.
            (Some(name @ ("DatasourceNoData" | "DatasourceError")), Some(rule)) => {
                text::title(&format!("{name}: {rule}"))
            }
            (name, _) => name.and_then(text::title),
        })
        .or_else(|| group_title.and_then(text::title))
        .or_else(|| alert.fingerprint.as_ref().map(|f| format!("Grafana alert {}", text::line(f, 40))))
}

fn severity(alert: &GroupAlert<'_>) -> (Severity, Option<String>) {
    for name in ["severity", "priority", "level"] {
        if let Some(word) = label(alert, name)
            && let Some(severity) = text::severity(word)
        {
            return (severity, Some(text::line(word, 100)));
        }
    }
    let severity = match label(alert, "alertname") {
        Some("DatasourceError") => Severity::Medium,
        Some("DatasourceNoData") => Severity::Low,
        _ => Severity::High,
    };
    (severity, label(alert, "severity").and_then(text::name))
}

fn is_test(alert: &GroupAlert<'_>) -> bool {
    label(alert, "alertname") == Some("TestAlert") && label(alert, "instance") == Some("Grafana")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    const BODY: &[u8] = br#"{"status":"firing"}"#;
    const PLAIN: &str = "2107d1bc5ccc5288fb5bdc42474252decec572083043de1a12757d36df406508";
    const STAMPED: &str = "82fd3f2dea7c9d2a206616877f35d3f351ad60c49b02448fbf6acb4d3f54a9f1";

    fn check(headers: &[(&str, &str)], at: i64, body: &[u8], secrets: &[&str], want: Signature) {
        let headers: Vec<(String, String)> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let request =
            Request { headers: &headers, query: &[], body, received_at: Time::from_secs(at), rca_enabled: false };
        assert_eq!(Grafana.verify(&request, secrets), want, "{headers:?} at {at}");
    }

    #[test]
    fn signatures() {
        use Signature::{Absent, Invalid, Valid};
        let stamp = "x-grafana-alerting-timestamp";
        let now = 1_700_000_000;
        check(&[], now, BODY, &["watchfire"], Absent);
        check(&[(SIGNATURE, PLAIN)], now, BODY, &["other", "watchfire"], Valid);
        check(&[(SIGNATURE, PLAIN)], now, BODY, &["other"], Invalid);
        check(&[(SIGNATURE, PLAIN)], now, BODY, &[""], Invalid);
        check(&[(SIGNATURE, PLAIN)], now, b"{}", &["watchfire"], Invalid);
        check(&[(SIGNATURE, "nonsense")], now, BODY, &["watchfire"], Invalid);
        check(&[(SIGNATURE, STAMPED), (stamp, "1700000000")], now + 300, BODY, &["watchfire"], Valid);
        check(&[(SIGNATURE, STAMPED), (stamp, "1700000000")], now - 300, BODY, &["watchfire"], Valid);
        check(&[(SIGNATURE, STAMPED), (stamp, "1700000000")], now + 301, BODY, &["watchfire"], Invalid);
        check(&[(SIGNATURE, STAMPED), (stamp, "1700000001")], now, BODY, &["watchfire"], Invalid);
        check(&[(SIGNATURE, STAMPED)], now, BODY, &["watchfire"], Invalid);
        check(&[("x-our-signature", STAMPED), ("x-our-timestamp", "1700000000")], now, BODY, &["watchfire"], Valid);
        check(&[("x-proof", STAMPED), ("x-sent", "1700000000")], now, BODY, &["watchfire"], Valid);
        check(&[("x-other-signature", "v0=abc")], now, BODY, &["watchfire"], Absent);
    }
}
