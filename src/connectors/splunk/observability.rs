//! Detectors of Splunk Observability (SignalFx).

use base64::{Engine, prelude::BASE64_STANDARD};

use super::INFO;
use crate::{
    connectors::{
        Request, Signature,
        fields::Obj,
        identity, labels,
        signature::{self, Right},
        text,
    },
    model::{Severity, Signal, SignalStatus},
};

const SIGNATURE: &str = "x-sfx-signature";
/// Bytes of a SHA-1.
const SHA1: usize = 20;

pub(super) fn is(root: Obj<'_>) -> bool {
    root.has("incidentId") || (root.has("detector") && root.has("status")) || root.has("detectorId")
}

/// The same of a request that has not been read.
pub(super) fn is_from(request: &Request<'_>) -> bool {
    request.header(SIGNATURE).is_some()
        || [&b"\"detectorId\""[..], b"\"incidentId\""]
            .iter()
            .any(|key| memchr::memmem::find(request.body, key).is_some())
}

pub(super) fn verify(request: &Request<'_>, secrets: &[&str]) -> Signature {
    let Some(sent) = request.header(SIGNATURE) else { return Signature::Absent };
    let digest = BASE64_STANDARD.decode(sent.trim()).unwrap_or_default();
    // The documentation says SHA-256; older senders use SHA-1. The length tells them apart.
    let right = if digest.len() == SHA1 { Right::sha1 } else { Right::sha256 }(secrets, &[request.body]);
    signature::verdict(right.is(&digest))
}

pub(super) fn read(root: Obj<'_>) -> Option<Signal> {
    let detector = root.text("detector");
    let title = root.first(&["messageTitle", "rule"]).or_else(|| detector.clone()).and_then(|t| text::title(&t));
    let title = title.unwrap_or_else(|| "Splunk Observability alert".to_owned());
    let incident = root.text("incidentId");
    let mut signal = if incident.is_some() {
        let parts = [("incidentId", incident.as_deref())];
        identity::signal(INFO.slug, "The id of the detector's incident.", &parts, title)
    } else {
        let (id, rule) = (root.text("detectorId").or(detector), root.text("rule"));
        id.as_ref().or(rule.as_ref())?;
        let parts = [("detector", id.as_deref()), ("rule", rule.as_deref())];
        identity::signal(INFO.slug, "Detector and rule, as no `incidentId` was sent.", &parts, title)
    };
    let status = root.text("status").or_else(|| root.text("statusExtended"));
    signal.status = match status.as_deref() {
        Some(s) if s.eq_ignore_ascii_case("anomalous") => SignalStatus::Firing,
        _ => SignalStatus::Resolved,
    };
    let word = root.text("severity");
    signal.severity = match word.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("critical") => Severity::Critical,
        Some("major") => Severity::High,
        Some("minor") => Severity::Medium,
        Some("warning") => Severity::Low,
        Some("info") => Severity::Info,
        _ => Severity::Medium,
    };
    signal.severity_raw = word.and_then(|w| text::name(&w));
    signal.description = root.first(&["messageBody", "description"]).and_then(|d| text::description(&d));
    // The documentation calls `inputs` a list, the sender makes it an object.
    let inputs = root.object("inputs");
    for input in inputs.iter().map(|(_, v)| v).chain(root.list("inputs")).map(|v| Obj::of(Some(v))) {
        for name in ["key", "dimensions"] {
            for (name, value) in labels::read(input.get(name)) {
                labels::add(&mut signal.labels, &name, Some(&value));
            }
        }
    }
    signal.service = labels::first(&signal.labels, &["sf_service"]).or_else(|| labels::service(&signal.labels));
    signal.host = labels::host(&signal.labels);
    signal.environment =
        labels::first(&signal.labels, &["sf_environment"]).or_else(|| labels::environment(&signal.labels));
    let at = root.time("timestamp");
    signal.observed_at = at;
    match signal.status {
        SignalStatus::Firing => signal.started_at = at,
        _ => signal.ended_at = at,
    }
    signal.url = root.url("detectorUrl");
    signal.image_url = root.url("imageUrl");
    signal.runbook_url = root.url("runbookUrl");
    let values: Vec<String> = inputs
        .iter()
        .filter_map(|(name, input)| Some(format!("{name}={}", Obj::of(Some(input)).first(&["value", "fragment"])?)))
        .collect();
    labels::add(&mut signal.annotations, "inputs", Some(&values.join(", ")));
    for name in
        ["detector", "rule", "statusExtended", "tip", "originatingMetric", "detectOnCondition", "triggeredWhileMuted"]
    {
        labels::add(&mut signal.annotations, name, root.text(name).as_deref());
    }
    Some(signal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    #[test]
    fn signature_is_base64_of_the_bodys_hmac() {
        let check = |sent: &str, want| {
            let headers = [(SIGNATURE.to_owned(), sent.to_owned())];
            let body = br#"{"status":"firing"}"#;
            let request =
                Request { headers: &headers, query: &[], body, received_at: Time::default(), rca_enabled: false };
            assert_eq!(verify(&request, &["watchfire"]), want, "{sent}");
        };
        check("IQfRvFzMUoj7W9xCR0JS3s7FcggwQ94aEnV9Nt9AZQg=", Signature::Valid);
        check("IQfRvFzMUoj7W9xCR0JS3s7FcggwQ94aEnV9Nt9AZQQ=", Signature::Invalid);
        check("CPtWHLCHexFR0Rrgf0+Y5xahtgo=", Signature::Valid);
        check("CPtWHLCHexFR0Rrgf0+Y5xahtgA=", Signature::Invalid);
        check("", Signature::Invalid);
        check("not base64", Signature::Invalid);
    }
}
