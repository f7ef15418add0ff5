//! Every field that can be asked for, with what may stand after its colon: reading, errors, completion and help follow it.

use super::{AlertIs, IncidentIs};
use crate::model::*;

/// What may stand after the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// One of these words.
    Fixed(&'static [&'static str]),
    /// Names that are in use: completion asks for them.
    Names,
    /// A number, also compared: `>10`.
    Number,
    /// How long ago: `6h`, `7d`, or a time.
    Moment,
    /// Incidents: `INC-7`.
    Incidents,
    /// Words that are said.
    Words,
}

/// A field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// As it is typed.
    pub name: &'static str,
    /// What it is, in a few words.
    pub help: &'static str,
    /// What it is compared with.
    pub values: Values,
}

const fn of(name: &'static str, values: Values, help: &'static str) -> Field {
    Field { name, help, values }
}

/// Fields of incidents, the most used first.
pub const INCIDENTS: &[Field] = &[
    of(
        "status",
        Values::Fixed(&["open", "closed", "investigating", "analyzed", "resolved", "merged"]),
        "where it stands",
    ),
    of("severity", Values::Fixed(Severity::WORDS), "how bad; >=high is high and worse"),
    of("service", Values::Names, "a service of its alerts; pay* is a beginning"),
    of("source", Values::Names, "the platform that it came from"),
    of("owner", Values::Names, "who has it; me, none"),
    of("host", Values::Names, "a host of its alerts"),
    of("state", Values::Fixed(InvestigationState::WORDS), "where its investigation stands"),
    of("strategy", Values::Fixed(Strategy::WORDS), "why alerts joined it"),
    of("alerts", Values::Number, "how many alerts; >10"),
    of("age", Values::Moment, "how long ago it was opened; >2h is older"),
    of("since", Values::Moment, "opened since"),
    of("until", Values::Moment, "opened before"),
    of("closed", Values::Moment, "ended less than so long ago; with status:open those too"),
    of("incident", Values::Incidents, "by number"),
    of("is", Values::Fixed(IncidentIs::WORDS), "a mark that it has"),
    of("label.*", Values::Names, "a label that its alerts share"),
    of("text", Values::Words, "words that are said in it"),
];

/// Fields of alerts.
pub const ALERTS: &[Field] = &[
    of("status", Values::Fixed(&["open", "firing", "acknowledged", "resolved"]), "where it stands"),
    of("severity", Values::Fixed(Severity::WORDS), "how bad; >=high is high and worse"),
    of("name", Values::Words, "what it is called; disk* is a beginning"),
    of("service", Values::Names, "its service; pay* is a beginning"),
    of("host", Values::Names, "its host"),
    of("source", Values::Names, "the platform that sent it"),
    of("incident", Values::Incidents, "part of this one; any, none"),
    of("since", Values::Moment, "last seen since"),
    of("until", Values::Moment, "last seen before"),
    of("age", Values::Moment, "how long ago it was first seen; >2h is older"),
    of("closed", Values::Moment, "open, or ended less than so long ago"),
    of("state", Values::Fixed(&["open", "firing", "acknowledged", "resolved"]), "the same as status"),
    of("strategy", Values::Fixed(Strategy::WORDS), "why it is part of its incident"),
    of("repeats", Values::Number, "how often it was received; >10"),
    of("is", Values::Fixed(AlertIs::WORDS), "a mark that it has"),
    of("label.*", Values::Names, "a label"),
    of("text", Values::Words, "words that it says"),
];

/// The field of a list by its name; names of labels are all one field.
pub fn field(of: &'static [Field], name: &str) -> Option<&'static Field> {
    let label = name.strip_prefix("label.").is_some_and(|n| !n.is_empty());
    of.iter().find(|f| if label { f.name == "label.*" } else { f.name == name && name != "label.*" })
}
