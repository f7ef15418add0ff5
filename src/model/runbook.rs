//! Runbooks that people wrote here or linked: what to do, and for which alerts, services and labels.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::{Mistake, Time};

/// Letters of a title, of one name, and of an address.
const TITLE: usize = 200;
const NAME: usize = 200;
const ADDRESS: usize = 2_000;
/// Names in one list.
const NAMES: usize = 50;
/// Bytes of a text.
const TEXT: usize = 64 * 1024;

/// A runbook's name: `R-3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunbookId(pub u64);

impl fmt::Display for RunbookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "R-{}", self.0)
    }
}

/// It is no name of a runbook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a runbook such as R-3 is needed")]
pub struct NotARunbook;

impl FromStr for RunbookId {
    type Err = NotARunbook;

    fn from_str(s: &str) -> Result<Self, NotARunbook> {
        let digits = s.strip_prefix("R-").or_else(|| s.strip_prefix("r-")).unwrap_or(s);
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten().map(Self).ok_or(NotARunbook)
    }
}

// As text in rows too, as other names are.
impl Serialize for RunbookId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunbookId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for RunbookId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .examples(["R-3"])
            .into()
    }
}
impl ToSchema for RunbookId {}

/// A runbook as people wrote or linked it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Runbook {
    /// `R-3`.
    pub id: RunbookId,
    /// One line.
    pub title: String,
    /// Where it is, when it is kept elsewhere.
    #[serde(default)]
    pub url: Option<String>,
    /// Its text, when it is kept here.
    #[serde(default)]
    pub markdown: Option<String>,
    /// Names of alerts that it is for; `*` stands for anything.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// Services that it is for.
    #[serde(default)]
    pub services: Vec<String>,
    /// Labels that an alert must have, all of them.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Words or phrases in titles and descriptions of alerts.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Who made it.
    pub author: String,
    /// When.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// By whom.
    #[serde(default)]
    pub updated_by: Option<String>,
}

impl Runbook {
    /// Everything that is wrong with it.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut wrong = Vec::new();
        let long = |text: &str, most: usize| text.chars().count() > most;
        if self.title.trim().is_empty() {
            wrong.push(Mistake::new("/title", "a title is needed"));
        } else if long(&self.title, TITLE) {
            wrong.push(Mistake::new("/title", format!("at most {TITLE} characters are allowed")));
        }
        match &self.url {
            Some(url) if long(url, ADDRESS) || !is_web(url) => {
                wrong.push(Mistake::new("/url", "an address that begins with https:// or http:// is needed"));
            }
            None if self.markdown.as_deref().is_none_or(|m| m.trim().is_empty()) => {
                wrong.push(Mistake::new("/url", "an address or a text (markdown) is needed"));
            }
            _ => {}
        }
        if self.markdown.as_ref().is_some_and(|m| m.len() > TEXT) {
            wrong.push(Mistake::new("/markdown", format!("at most {} KiB are allowed", TEXT / 1024)));
        }
        for (path, names) in [("/alerts", &self.alerts), ("/services", &self.services), ("/keywords", &self.keywords)] {
            if names.len() > NAMES {
                wrong.push(Mistake::new(path, format!("at most {NAMES} are allowed")));
            }
            for (i, _) in names.iter().enumerate().filter(|(_, n)| n.trim().is_empty() || long(n, NAME)).take(NAMES) {
                wrong.push(Mistake::new(format!("{path}/{i}"), format!("1 to {NAME} characters are needed")));
            }
        }
        if self.labels.len() > NAMES || self.labels.iter().any(|(k, v)| k.is_empty() || long(k, NAME) || long(v, NAME))
        {
            wrong.push(Mistake::new("/labels", format!("at most {NAMES} labels of {NAME} characters are allowed")));
        }
        wrong
    }
}

/// Whether a browser may be sent there.
fn is_web(url: &str) -> bool {
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|p| url.get(..p.len()).filter(|h| h.eq_ignore_ascii_case(p)).and_then(|_| url.get(p.len()..)));
    rest.is_some_and(|r| !r.is_empty()) && !url.chars().any(|c| c.is_whitespace() || c.is_control())
}
