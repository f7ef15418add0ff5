//! What people's corrections of the grouping leave behind.

use serde::{Deserialize, Serialize};

use super::{Fingerprint, Time};

/// Two alerts are kept apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Apart {
    /// Who took them apart.
    pub by: String,
    /// When.
    pub at: Time,
}

/// A kind of alert, or a kind of incident: where, and what it says without numbers and hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Side {
    /// Its service, else its host; lower case.
    #[serde(default)]
    pub place: Option<String>,
    /// The words of its title that stay the same from one to the next.
    pub name: String,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Some(place) => write!(f, "“{}” of {place}", self.name),
            None => write!(f, "“{}”", self.name),
        }
    }
}

/// How often people put a kind of alert into a kind of incident, or took it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// The alerts.
    pub alert: Side,
    /// The incidents.
    pub incident: Side,
    /// Corrections that put them together.
    #[serde(default)]
    pub joined: u32,
    /// Corrections that took them apart.
    #[serde(default)]
    pub parted: u32,
    /// The latest correction.
    pub last_at: Time,
    /// Who made it.
    pub last_by: String,
}

/// What a lesson says, once it was confirmed often enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Such an alert joins such an incident.
    Join,
    /// Such an alert stays out of such an incident.
    Apart,
}

/// Equal corrections that are needed.
const ENOUGH: u32 = 3;
/// Opposite ones may be this part of them at most.
const AGAINST: u32 = 3;

impl Lesson {
    /// What is to be done by it: after three equal corrections, and at most a third as many opposite ones.
    pub fn learned(&self) -> Option<Learned> {
        let holds = |times: u32, against: u32| times >= ENOUGH && against.saturating_mul(AGAINST) <= times;
        match (self.joined, self.parted) {
            (joined, parted) if holds(joined, parted) => Some(Learned::Join),
            (joined, parted) if holds(parted, joined) => Some(Learned::Apart),
            _ => None,
        }
    }

    /// Its name: the same for the same two kinds.
    pub fn id(&self) -> String {
        let part = |s: &Side| format!("{}\u{1f}{}", s.place.as_deref().unwrap_or_default(), s.name);
        Fingerprint::of(&format!("{}\u{1e}{}", part(&self.alert), part(&self.incident))).to_string()
    }
}
