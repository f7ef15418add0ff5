//! What must hold for any bytes, one function for each door that bytes come through. The targets under `fuzz/` call these
//! for as long as they are let; `cargo test --lib fuzzing` runs them over the seeds and some thousand mutations of them.
//!
//! Not part of the product: compiled for tests and fuzzing only.

mod site;
#[cfg(test)]
mod tests;

use std::{path::Path, time::Duration};

pub use site::Site;

use crate::{
    config,
    connectors::{self, Connector, Request, declared::Declared},
    ingest::decode::decode,
    model::*,
    query,
    store::{self, AlertFilter, IncidentFilter},
    web,
};

/// The most that the signals of one body may take in memory, whatever the body.
const WEIGHT: usize = 96 << 20;

/// When every body is received.
fn now() -> Time {
    Time::from_secs(1_772_533_800)
}

/// Rows and packed rows, as they lie on the disk.
pub fn codec(bytes: &[u8]) {
    store::fuzzing::read(bytes);
}

/// Every platform: two bytes choose it and what is said of the body, the rest is the body.
pub fn connectors(bytes: &[u8]) {
    let Some(([which, how], body)) = bytes.split_first_chunk::<2>() else { return };
    let Some(connector) = connectors::ALL.get(usize::from(*which) % connectors::ALL.len()).copied() else { return };
    let types =
        ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", ""];
    let content_type = types.get(usize::from(how & 0x7f) % types.len()).copied().unwrap_or_default();
    let headers = [
        ("content-type".to_owned(), content_type.to_owned()),
        ("x-grafana-alerting-signature".to_owned(), "00".to_owned()),
    ];
    let request = Request { headers: &headers, query: &[], body, received_at: now(), rca_enabled: how & 0x80 != 0 };
    let read = connector.parse(&request);
    assert_eq!(read, connector.parse(&request), "the same body is read the same way");
    let _ = (connector.verify(&request, &["secret"]), connector.success(&request), connector.reply(&request));
    if let Some(certified) = connector.certified() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
        let _ = (certified.check(&request, pem), certified.signed_by(&request, pem));
        let _ = (certified.allows(&request, "123456789012"), certified.confirmation(&request));
    }
    let mut kept = body.to_vec();
    connector.redact(&mut kept);
    assert_eq!(kept.len(), body.len(), "what is not kept is overwritten, not cut out");
    match read {
        Ok(parsed) => sound(connector, &parsed),
        Err(problem) => {
            assert!(!problem.code.is_empty() && problem.detail.len() > 10, "{problem:?}");
            assert!(problem.detail.len() < 4096, "an answer that nobody can read: {problem:?}");
        }
    }
}

/// Declared sources: up to the first zero byte one expression a line, for the fields in their order; then the body.
pub fn declarations(bytes: &[u8]) {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (lines, body) = bytes.split_at(end);
    let mut declaration = Declaration::default();
    for (field, line) in DeclaredField::ALL.iter().zip(String::from_utf8_lossy(lines).lines()) {
        declaration.set(*field, line);
    }
    let declared = match Declared::new("fuzzed", declaration, false) {
        Ok(declared) => declared,
        Err(wrong) => {
            assert!(wrong.iter().all(|w| w.what.len() < 4096 && !w.field.is_empty()), "{wrong:?}");
            return;
        }
    };
    let body = body.get(1..).unwrap_or_default();
    let request = Request { headers: &[], query: &[], body, received_at: now(), rca_enabled: false };
    let read = declared.parse(&request);
    assert_eq!(read, declared.try_on(&request).parsed, "it is tried as it is read");
    if let Ok(parsed) = read {
        sound(&declared, &parsed);
    }
}

/// What holds for everything that a connector says.
fn sound(connector: &dyn Connector, parsed: &Parsed) {
    let slug = connector.slug();
    assert!(parsed.weight() <= WEIGHT, "{} bytes of signals from one body", parsed.weight());
    assert!(parsed.signals.len() <= 10_000 && parsed.changes.len() <= 10_000);
    for signal in &parsed.signals {
        assert!(signal.dedup_key.starts_with(&format!("{slug}:")), "{}", signal.dedup_key);
        assert!(signal.dedup_key.len() < 16 << 10, "{}", signal.dedup_key.len());
        assert!(!signal.identity.rule.is_empty() && !signal.identity.fields.is_empty(), "{signal:?}");
        let length = signal.title.chars().count();
        assert!((1..=500).contains(&length), "a title of {length} characters");
        assert!(!signal.title.chars().any(char::is_control), "{:?}", signal.title);
        for name in [&signal.service, &signal.host, &signal.environment].into_iter().flatten() {
            assert!(!name.trim().is_empty() && name.chars().count() <= 250, "{name:?}");
        }
        for (name, value) in signal.labels.iter().chain(&signal.annotations) {
            assert!(name.chars().count() <= 250 && value.len() <= 32 << 10, "{name}: {} bytes", value.len());
        }
        assert!(signal.description.as_ref().is_none_or(|d| d.len() <= 64 << 10));
        for url in [&signal.url, &signal.image_url, &signal.runbook_url].into_iter().flatten() {
            let scheme = url.split("://").next().unwrap_or_default();
            assert!(["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s)), "{url:?}");
            assert!(url.len() <= 4096 && !url.chars().any(|c| c.is_control() || c.is_whitespace()), "{url:?}");
        }
        // In the store, on pages and in streams a signal is written; that must work for each.
        assert!(serde_json::to_string(signal).is_ok());
    }
    for change in &parsed.changes {
        assert!(change.source == slug && !change.title.is_empty(), "{change:?}");
    }
}

/// `Content-Encoding`: a byte chooses it. What comes out is never longer than the limit.
pub fn encodings(bytes: &[u8]) {
    const LIMIT: usize = 100_000;
    let Some((which, body)) = bytes.split_first() else { return };
    let names = ["gzip", "deflate", "gzip, deflate", "deflate,gzip", "identity", "br", "x-gzip, identity"];
    let name = names.get(usize::from(*which) % names.len()).copied();
    if let Ok(unpacked) = decode(body, name, LIMIT) {
        assert!(unpacked.len() <= LIMIT, "{}", unpacked.len());
    }
}

/// Query strings: filters, times, cursors, ids, and what a sender offers as proof.
pub fn queries(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let query: Vec<(String, String)> = form_urlencoded::parse(bytes).into_owned().collect();
    let values = query.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    for q in values.chain([&*text]) {
        let asker = query::Asker { now: now(), me: Some("me") };
        let (mut incidents, mut alerts) = (IncidentFilter::default(), AlertFilter::default());
        for error in [query::incidents(q, asker, &mut incidents).err(), query::alerts(q, asker, &mut alerts).err()]
            .into_iter()
            .flatten()
        {
            assert!(error.at <= q.chars().count() && !error.message.is_empty(), "{error:?}");
        }
        let _ = query::time(q, now());
        if let Ok(time) = q.parse::<Time>() {
            assert_eq!(time.to_string().parse::<Time>().ok(), Some(time), "a time that is written is read: {q:?}");
        }
        if let Ok(id) = q.parse::<IncidentId>() {
            assert_eq!(id.to_string().parse::<IncidentId>().ok(), Some(id));
        }
        let _ = (q.parse::<DeliveryId>(), q.parse::<AlertId>(), q.parse::<Fingerprint>(), q.parse::<Severity>());
        let _ = (connectors::near(q), connectors::severity(q), connectors::moment(&q.into()));
        assert!(connectors::line(q, 40).chars().count() <= 40);
        let _ = config::parse_duration(q);
    }
    let params = web::api::params::Params::of(&query);
    assert!(params.limit().map_or(params.one("limit").is_some(), |n| (1..=200).contains(&n)));
    let _ = (params.cursor(), params.words("status"), params.time("since", now()));
    let _ = crate::ingest::credentials::Offered::read(&[("authorization".to_owned(), text.into_owned())], &query, None);
}

/// Text on its way to a language model.
pub fn redaction(bytes: &[u8]) {
    crate::investigation::fuzzing::redaction(bytes);
}

/// What comes from the endpoint of a language model.
pub fn model_streams(bytes: &[u8]) {
    crate::investigation::fuzzing::streams(bytes);
}

/// The configuration file. Problems name their place; a good one is a configuration.
pub fn configuration(bytes: &[u8], dir: &Path) {
    let file = dir.join("watchfire.toml");
    if std::fs::write(&file, bytes).is_err() {
        return;
    }
    let env = vec![("HOME".to_owned(), dir.display().to_string())];
    let sources = config::Sources { file: Some(file), flags: Vec::new(), env };
    match config::load(&sources, &crate::app::platforms()) {
        Ok(config) => assert!(config.max_body <= 10 << 20 && config.body_deadline >= Duration::from_secs(1)),
        Err(problems) => assert!(!problems.to_string().trim().is_empty()),
    }
}
