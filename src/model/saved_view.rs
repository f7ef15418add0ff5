//! Views of lists that people keep: a name and a query.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::{Mistake, Time, words};

/// Letters of a name.
const NAME: usize = 60;

/// A saved view's name in addresses: `V-3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewId(pub u64);

impl fmt::Display for ViewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V-{}", self.0)
    }
}

/// It is no name of a saved view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a saved view such as V-3 is needed")]
pub struct NotAView;

impl FromStr for ViewId {
    type Err = NotAView;

    fn from_str(s: &str) -> Result<Self, NotAView> {
        let digits = s.strip_prefix("V-").or_else(|| s.strip_prefix("v-")).unwrap_or(s);
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten().map(Self).ok_or(NotAView)
    }
}

// As text in rows too, as other names are.
impl Serialize for ViewId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ViewId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for ViewId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .examples(["V-3"])
            .into()
    }
}
impl ToSchema for ViewId {}

words! {
    /// What a saved view lists.
    ViewKind {
        /// Incidents.
        Incidents = "incidents",
        /// Alerts.
        Alerts = "alerts",
    }
}

impl ViewKind {
    /// What a view lists that says nothing of it.
    pub const fn usual() -> Self {
        Self::Incidents
    }
}

/// A view of a list that somebody keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SavedView {
    /// `V-3`.
    pub id: ViewId,
    /// One line.
    pub name: String,
    /// What it lists.
    #[serde(default = "ViewKind::usual")]
    pub kind: ViewKind,
    /// What it shows, in the language of that list. `owner:me` is whoever looks.
    pub q: String,
    /// Everybody sees it; otherwise only its owner.
    pub shared: bool,
    /// Who made it.
    pub owner: String,
    /// When.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl SavedView {
    /// Whether somebody sees it.
    pub fn is_for(&self, name: &str) -> bool {
        self.shared || self.owner == name
    }

    /// Everything that is wrong with it, but for its query.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut wrong = Vec::new();
        let letters = self.name.chars().count();
        if letters == 0 || letters > NAME || self.name.chars().any(char::is_control) {
            wrong.push(Mistake::new("/name", format!("1 to {NAME} characters are needed")));
        }
        if self.q.trim().is_empty() {
            wrong.push(Mistake::new("/q", "a query is needed, such as status:open service:pay*"));
        }
        wrong
    }
}
