//! What a monitoring tool answered when it was asked about a place: plain data, made by probes, read by the ranking.

use serde::{Deserialize, Serialize};

use crate::model::{Symptom, Time, Tool};

/// One question to a tool with its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which tool.
    pub tool: Tool,
    /// The question, as it was put: a query, a path.
    pub query: String,
    /// The service that it is about.
    pub service: Option<String>,
    /// The machine that it is about.
    pub host: Option<String>,
    /// When what was found happened; when nothing was found, when it was asked.
    pub at: Time,
    /// Where a person can see it.
    pub url: Option<String>,
    /// The answer.
    pub found: Found,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Found {
    /// A figure left what it was before.
    Shift {
        /// Its name in the tool.
        metric: String,
        /// What it is a sign of.
        symptom: Symptom,
        /// Its median before the onset.
        before: f64,
        /// Its most distant value since.
        after: f64,
        /// Its unit, as the tool names it.
        unit: Option<String>,
        /// How far it went, in median absolute deviations of the time before; 0 and more.
        deviation: f64,
        /// When it left.
        since: Option<Time>,
    },
    /// Lines of a log that tell what went wrong.
    Lines {
        /// The first telling lines, each cut to a bounded length.
        lines: Vec<String>,
        /// How many such lines there were, as far as was read.
        count: usize,
    },
    /// An alarm that the tool itself raised and nobody sent.
    Alarm {
        /// Its name.
        name: String,
        /// What it is a sign of.
        symptom: Symptom,
        /// What it says.
        text: String,
    },
    /// The tool was asked and saw nothing unusual.
    Quiet,
    /// There was no answer.
    Failed {
        /// Why, as a clause.
        reason: String,
    },
}
