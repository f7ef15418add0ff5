//! Live events for programs and browsers (`text/event-stream`). Each stream pulls from its own place in the hub, so a
//! slow reader holds nothing but that place.

/// Events written once for all streams.
#[derive(Debug, Default)]
pub struct Rendered {}
