use super::View;
use crate::{model::*, store::StoreError};

/// An incident as a fire on the ridge.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// When.
    pub at: Time,
    /// Which.
    pub id: IncidentId,
    /// How bad.
    pub severity: Severity,
}

/// The figures of the watch panel. Tests are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// Open incidents.
    pub open: u64,
    /// Open and critical.
    pub critical: u64,
    /// Open without owner.
    pub unowned: u64,
    /// The longest-waiting of those, since when.
    pub oldest_unowned: Option<Time>,
    /// Firing signals received in the last 24 h, repeats included.
    pub alerts_24h: u64,
    /// Incidents opened in the last 24 h.
    pub incidents_24h: u64,
    /// Median of detected to acknowledged over the last 7 days, in milliseconds.
    pub ack_median_ms: Option<u64>,
    /// Firing signals per minute over the last 6 h, oldest first: 360 values.
    pub volume: Vec<u32>,
    /// Incidents opened in the last 6 h, oldest first.
    pub opened: Vec<Opened>,
}

impl View {
    /// The figures of the watch panel at `now`.
    pub fn overview(&self, _now: Time) -> Result<Overview, StoreError> {
        unimplemented!()
    }
}
