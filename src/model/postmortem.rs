//! Postmortems: what is written about an incident when it is over, section by section, in versions.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{IncidentId, Time, words};

words! {
    /// A part of a postmortem that is written in Markdown, in the order in which they stand.
    PostmortemSection {
        /// What happened, in a few sentences.
        Summary = "summary",
        /// Who and what was affected, and how much.
        Impact = "impact",
        /// What happened when.
        Timeline = "timeline",
        /// What it came from, with the evidence.
        Causes = "causes",
        /// What helped.
        WentWell = "went_well",
        /// What did not help, and where luck did.
        WentBadly = "went_badly",
    }
}
words! {
    /// Whether a postmortem is finished.
    PostmortemState {
        /// It is being written.
        Draft = "draft",
        /// It was published.
        Published = "published",
    }
}
words! {
    /// How far an action is.
    ActionState {
        /// Not begun.
        Open = "open",
        /// Somebody is at it.
        InProgress = "in_progress",
        /// Done.
        Done = "done",
        /// Will not be done.
        Dropped = "dropped",
    }
}
words! {
    /// How a version came about.
    VersionKind {
        /// Written from what is stored, without a person.
        Draft = "draft",
        /// A person saved it.
        Edit = "edit",
        /// An earlier version, or a part of one, was taken back.
        Restore = "restore",
    }
}

impl PostmortemSection {
    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Summary => "Summary",
            Self::Impact => "Impact",
            Self::Timeline => "Timeline",
            Self::Causes => "Causes",
            Self::WentWell => "What went well",
            Self::WentBadly => "What went badly, and where we got lucky",
        }
    }
}

impl ActionState {
    /// As people read it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in progress",
            Self::Done => "done",
            Self::Dropped => "dropped",
        }
    }
}

/// Something to do so that it does not happen again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PostmortemAction {
    /// In one sentence.
    pub text: String,
    /// Who does it.
    #[serde(default)]
    pub owner: Option<String>,
    /// By when.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    pub due: Option<Date>,
    /// How far it is.
    #[serde(default)]
    pub state: ActionState,
}

#[allow(clippy::derivable_impls, reason = "the list of words leaves no place for the attribute")]
impl Default for ActionState {
    fn default() -> Self {
        Self::Open
    }
}

impl PostmortemAction {
    /// Not done although its day is over.
    pub fn is_overdue(&self, today: Date) -> bool {
        matches!(self.state, ActionState::Open | ActionState::InProgress) && self.due.is_some_and(|due| due < today)
    }
}

/// What a postmortem says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PostmortemText {
    /// One line.
    pub title: String,
    /// Markdown by section; a section that is missing is empty.
    #[serde(default)]
    pub sections: BTreeMap<PostmortemSection, String>,
    /// What is to be done.
    #[serde(default)]
    pub actions: Vec<PostmortemAction>,
}

impl PostmortemText {
    /// The Markdown of a section.
    pub fn section(&self, section: PostmortemSection) -> &str {
        self.sections.get(&section).map_or("", String::as_str)
    }

    /// Bytes of all its texts.
    pub fn size(&self) -> usize {
        let sections: usize = self.sections.values().map(String::len).sum();
        let actions: usize = self.actions.iter().map(|a| a.text.len() + a.owner.as_ref().map_or(0, String::len)).sum();
        self.title.len() + sections + actions
    }
}

/// A postmortem as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Postmortem {
    /// Of which incident.
    pub incident: IncidentId,
    /// Whether it is finished.
    pub state: PostmortemState,
    /// The version whose text it has.
    pub version: u64,
    /// The last version there is: a draft that was made again is a later one, and stands beside the text.
    pub last_version: u64,
    /// When it was begun.
    pub created_at: Time,
    /// When its text changed last.
    pub updated_at: Time,
    /// Who changed it.
    pub updated_by: String,
    /// When it was published.
    #[serde(default)]
    pub published_at: Option<Time>,
    /// Who published it.
    #[serde(default)]
    pub published_by: Option<String>,
    /// What it says.
    pub text: PostmortemText,
}

/// A postmortem as somebody left it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PostmortemVersion {
    /// 1, 2, 3 … in order.
    pub version: u64,
    /// When.
    pub at: Time,
    /// Who; `system` for a draft.
    pub by: String,
    /// How it came about.
    pub kind: VersionKind,
    /// What was done: `changed Causes`.
    pub what: String,
    /// What it said then.
    pub text: PostmortemText,
}
