//! A source that people declare themselves: where in its bodies the fields of an alert stand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Severity, words};

words! {
    /// What an expression of a declaration gives.
    DeclaredField {
        /// The list of alerts inside the body.
        Items = "items",
        /// What names the alert whatever else changes.
        Key = "key",
        /// A word for its state.
        Status = "status",
        /// A word for its severity.
        Severity = "severity",
        /// One line.
        Title = "title",
        /// Longer text.
        Description = "description",
        /// Names with values, or a list of tags.
        Labels = "labels",
        /// The service concerned.
        Service = "service",
        /// The machine concerned.
        Host = "host",
        /// `production`, …
        Environment = "environment",
        /// When it began, or ended when it is over.
        Time = "time",
        /// Where to see it at the sender.
        Link = "link",
    }
}

/// A declared source: expressions in the language of Jinja over `item` (one alert) and `body` (the whole body). A field
/// that is left out is found as for the generic connector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Declaration {
    /// The list of alerts inside the body, such as `body.alerts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<String>,
    /// What names the alert whatever else changes; the same for firing and resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// A word for its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// A word for its severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Longer text.
    #[serde(default, alias = "body", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Names with values, or a list of tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// The service concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The machine concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// `production`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// When it began, or ended when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Where to see it at the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The words of `status` that mean that it is over; empty means the words that all senders share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<String>,
    /// Words of `severity` with our severity for each; other words as for all senders.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub severities: BTreeMap<String, Severity>,
    /// The sender never says that it is over: resolve after this many seconds without a repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_after_secs: Option<u32>,
    /// A body as the sender sends it, for tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
}

impl Declaration {
    /// The expression of a field.
    pub fn expression(&self, field: DeclaredField) -> Option<&str> {
        let of = match field {
            DeclaredField::Items => &self.items,
            DeclaredField::Key => &self.key,
            DeclaredField::Status => &self.status,
            DeclaredField::Severity => &self.severity,
            DeclaredField::Title => &self.title,
            DeclaredField::Description => &self.description,
            DeclaredField::Labels => &self.labels,
            DeclaredField::Service => &self.service,
            DeclaredField::Host => &self.host,
            DeclaredField::Environment => &self.environment,
            DeclaredField::Time => &self.time,
            DeclaredField::Link => &self.link,
        };
        of.as_deref().map(str::trim).filter(|e| !e.is_empty())
    }

    /// Sets the expression of a field; an empty one takes it away.
    pub fn set(&mut self, field: DeclaredField, expression: &str) {
        let to = match field {
            DeclaredField::Items => &mut self.items,
            DeclaredField::Key => &mut self.key,
            DeclaredField::Status => &mut self.status,
            DeclaredField::Severity => &mut self.severity,
            DeclaredField::Title => &mut self.title,
            DeclaredField::Description => &mut self.description,
            DeclaredField::Labels => &mut self.labels,
            DeclaredField::Service => &mut self.service,
            DeclaredField::Host => &mut self.host,
            DeclaredField::Environment => &mut self.environment,
            DeclaredField::Time => &mut self.time,
            DeclaredField::Link => &mut self.link,
        };
        *to = Some(expression.trim().to_owned()).filter(|e| !e.is_empty());
    }
}
