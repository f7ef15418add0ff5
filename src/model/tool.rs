//! Monitoring tools that investigations ask, and how they did.

use super::{Time, Tool};

/// How a tool did since the start of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolStatus {
    /// Which tool.
    pub tool: Tool,
    /// Host and port.
    pub at: String,
    /// Named by the settings; otherwise people declared it for a service.
    pub configured: bool,
    /// Questions that were answered.
    pub answered: u64,
    /// Questions without a good answer.
    pub failed: u64,
    /// The last question; none when nothing was asked yet.
    pub last: Option<LastAnswer>,
    /// It failed several times in a row and is not asked before then.
    pub left_alone_until: Option<Time>,
}

/// How the last question went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAnswer {
    /// When.
    pub at: Time,
    /// Why there was no good answer, as a clause about the host; none when there was one.
    pub failure: Option<String>,
}

impl ToolStatus {
    /// One that was not asked yet.
    pub fn new(tool: Tool, at: String, configured: bool) -> Self {
        Self { tool, at, configured, answered: 0, failed: 0, last: None, left_alone_until: None }
    }
}
