//! What the web room keeps in memory.

/// Limits, the one-time set-up secret, metrics.
#[derive(Debug)]
pub struct Shared {}
