//! What people and programs declare through the API: incidents by hand, and changes. They go the way of deliveries, so
//! that they are kept, ordered and applied like them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::accept::Door;
use crate::{
    connectors,
    model::*,
    store::{NewDelivery, SubmitError, Submitted, acting},
};

/// An incident declared by hand.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
pub struct NewIncident {
    /// Which kind of source declares it, `a-z 0-9 _ -`; `manual` when left out.
    #[serde(default)]
    pub source_type: Option<String>,
    /// One line, 1 to 500 characters.
    #[serde(default, alias = "title")]
    pub alert_title: Option<String>,
    /// The service concerned.
    #[serde(default, alias = "service")]
    pub alert_service: Option<String>,
    /// `production`, …
    #[serde(default, alias = "environment")]
    pub alert_environment: Option<String>,
    /// critical, high, medium, low or info, or a word of that meaning; medium when left out.
    #[serde(default)]
    pub severity: Option<String>,
    /// Anything else; `description` becomes the description.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub alert_metadata: Option<Map<String, Value>>,
    /// The source's own id: a repeat while the incident is open updates it.
    #[serde(default)]
    pub source_alert_id: Option<String>,
    /// When it began; now when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub started_at: Option<Value>,
}

/// A change: evidence for investigations.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
pub struct NewChange {
    /// Where.
    #[serde(default)]
    pub service: Option<String>,
    /// What kind; `other` when left out.
    #[serde(default)]
    pub kind: Option<ChangeKind>,
    /// One line, 1 to 500 characters.
    #[serde(default)]
    pub title: String,
    /// Where to see it.
    #[serde(default)]
    pub url: Option<String>,
    /// Version, commit or build number.
    #[serde(default)]
    pub version: Option<String>,
    /// When; now when left out.
    #[serde(default)]
    pub at: Option<Time>,
}

/// A wrong field: its JSON pointer and what is wrong.
pub type Wrong = (&'static str, String);

impl NewIncident {
    /// The signal that opens it, or everything that is wrong with it. `unique` stands in for a missing id.
    pub fn signal(&self, unique: &str, actor: &Actor) -> Result<Signal, Vec<Wrong>> {
        let mut wrong: Vec<Wrong> = Vec::new();
        let title = self.alert_title.as_deref().map_or("", str::trim);
        let shown = connectors::line(title, 500);
        if shown.is_empty() || title.chars().count() > 500 {
            wrong.push(("/alert_title", "a title of 1 to 500 characters is needed".into()));
        }
        let source_type = self.source_type.as_deref().unwrap_or("manual");
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
        if !(1..=50).contains(&source_type.len()) || !source_type.bytes().all(plain) {
            wrong.push(("/source_type", "1 to 50 characters of a-z, 0-9, `_` and `-` are taken".into()));
        }
        let mut severity = Severity::Medium;
        if let Some(word) = &self.severity {
            match connectors::severity(word) {
                Some(known) => severity = known,
                None => wrong.push(("/severity", "one of critical, high, medium, low, info is needed".into())),
            }
        }
        for (path, value, most) in [
            ("/alert_service", &self.alert_service, 255),
            ("/alert_environment", &self.alert_environment, 255),
            ("/source_alert_id", &self.source_alert_id, 512),
        ] {
            if value.as_ref().is_some_and(|v| v.chars().count() > most) {
                wrong.push((path, format!("at most {most} characters are taken")));
            }
        }
        let started_at = match &self.started_at {
            None | Some(Value::Null) => None,
            Some(value) => {
                let read = connectors::moment(value);
                if read.is_none() {
                    wrong.push(("/started_at", "a time such as 2026-03-03T10:30:00Z is needed".into()));
                }
                read
            }
        };
        let metadata = self.alert_metadata.clone().unwrap_or_default();
        if metadata.iter().map(|(k, v)| k.len() + v.to_string().len()).sum::<usize>() > 64 * 1024 {
            wrong.push(("/alert_metadata", "at most 64 KB are taken".into()));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let given = |v: &Option<String>| v.as_deref().map(|v| connectors::line(v, 255)).filter(|v| !v.is_empty());
        let own_id = self.source_alert_id.as_deref().map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned);
        let key = own_id.as_deref().unwrap_or(unique);
        let mut signal = Signal::new(format!("manual:{key}"), shown);
        signal.identity = IdentityRule {
            rule: match own_id {
                Some(_) => "the id that the declaring program gave".into(),
                None => "declared once, by itself".into(),
            },
            fields: vec![("source_alert_id".into(), key.to_owned())],
            missing: Vec::new(),
        };
        signal.severity = severity;
        signal.severity_raw = given(&self.severity);
        signal.service = given(&self.alert_service);
        signal.environment = given(&self.alert_environment);
        signal.started_at = started_at;
        signal.labels = BTreeMap::from([("source_type".to_owned(), source_type.to_owned())]);
        signal.annotations.insert("declared_by".into(), actor.to_string());
        for (name, value) in metadata {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            if name == "description" {
                signal.description = Some(text);
            } else {
                signal.annotations.insert(name, text);
            }
        }
        Ok(signal)
    }
}

impl NewChange {
    /// The change, or everything that is wrong with it.
    pub fn change(self, actor: &Actor) -> Result<Change, Vec<Wrong>> {
        let mut wrong: Vec<Wrong> = Vec::new();
        let title = connectors::line(&self.title, 501);
        if title.is_empty() || title.chars().count() > 500 {
            wrong.push(("/title", "a title of 1 to 500 characters is needed".into()));
        }
        for (path, value, most) in
            [("/service", &self.service, 255), ("/version", &self.version, 255), ("/url", &self.url, 2000)]
        {
            if value.as_ref().is_some_and(|v| v.chars().count() > most) {
                wrong.push((path, format!("at most {most} characters are taken")));
            }
        }
        if self.url.as_deref().is_some_and(|u| !u.starts_with("https://") && !u.starts_with("http://")) {
            wrong.push(("/url", "an address that begins with http:// or https:// is needed".into()));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Change {
            service: self.service.map(|s| connectors::line(&s, 255)).filter(|s| !s.is_empty()),
            kind: self.kind.unwrap_or(ChangeKind::Other),
            title,
            url: self.url,
            version: self.version.map(|v| connectors::line(&v, 255)).filter(|v| !v.is_empty()),
            at: self.at,
            source: "changes".to_owned(),
            outcome: None,
            details: BTreeMap::from([("reported_by".to_owned(), actor.to_string())]),
        })
    }
}

impl Door {
    /// Stores what was declared. `retry_id` is the caller's own, and holds for that caller alone.
    pub async fn declare(
        &self,
        platform: &'static str,
        mut parsed: Parsed,
        body: Vec<u8>,
        retry_id: Option<&str>,
        actor: &Actor,
    ) -> Result<Submitted, SubmitError> {
        parsed.retry_id = retry_id.map(|id| format!("{actor}:{id}"));
        // For the audit log, which is written when it is applied: that may be after this process.
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if matches!(actor, Actor::Person(_) | Actor::Program(_)) {
            headers.push((DECLARED_BY.to_owned(), actor.to_string()));
            headers.extend(acting::here().map(|from| (DECLARED_FROM.to_owned(), from)));
        }
        self.store
            .submit(NewDelivery {
                at: self.clock.now(),
                platform: platform.to_owned(),
                outcome: DeliveryOutcome::Accepted,
                problem: None,
                headers,
                body,
                parsed,
                replay_of: None,
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Signal, Vec<Wrong>> {
        let new: NewIncident = serde_json::from_str(json).unwrap();
        new.signal("u-1", &Actor::Program("ci".into()))
    }

    #[test]
    fn a_declared_incident_becomes_a_signal() {
        let s = read(
            r#"{"source_type":"custom","alert_title":" Pool used up ","alert_service":"db","severity":"P1",
                "alert_metadata":{"description":"since the deploy","region":"eu","n":3},
                "source_alert_id":"x-7","started_at":"2026-03-03T10:30:00Z"}"#,
        )
        .unwrap();
        assert_eq!(s.dedup_key, "manual:x-7");
        assert_eq!((s.title.as_str(), s.severity), ("Pool used up", Severity::Critical));
        assert_eq!(s.labels["source_type"], "custom");
        assert_eq!(s.description.as_deref(), Some("since the deploy"));
        assert_eq!((s.annotations["region"].as_str(), s.annotations["n"].as_str()), ("eu", "3"));
        assert_eq!(s.started_at, Some("2026-03-03T10:30:00Z".parse().unwrap()));
    }

    #[test]
    fn little_is_enough() {
        let s = read(r#"{"title":"x"}"#).unwrap();
        assert_eq!((s.dedup_key.as_str(), s.severity, s.service), ("manual:u-1", Severity::Medium, None));
        assert_eq!(s.labels["source_type"], "manual");
    }

    #[test]
    fn all_wrong_fields_are_named_at_once() {
        let wrong = read(r#"{"source_type":"Bad Type","severity":"purple","started_at":"soon"}"#).unwrap_err();
        let paths: Vec<&str> = wrong.iter().map(|(p, _)| *p).collect();
        assert_eq!(paths, ["/alert_title", "/source_type", "/severity", "/started_at"]);
        assert!(read(&format!(r#"{{"title":"{}"}}"#, "x".repeat(501))).is_err());
        let big = "x".repeat(70_000);
        assert_eq!(
            read(&format!(r#"{{"title":"x","alert_metadata":{{"a":"{big}"}}}}"#)).unwrap_err()[0].0,
            "/alert_metadata"
        );
    }

    #[test]
    fn changes_need_a_title_and_a_real_address() {
        let change = |json: &str| serde_json::from_str::<NewChange>(json).unwrap().change(&Actor::System);
        assert_eq!(change(r#"{"title":"v2 out","kind":"deploy"}"#).unwrap().kind, ChangeKind::Deploy);
        assert_eq!(change(r#"{"url":"javascript:alert(1)"}"#).unwrap_err().len(), 2);
    }
}
