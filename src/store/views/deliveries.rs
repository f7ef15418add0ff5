//! Deliveries, as rows and as received.

use super::{Listing, View, page};
use crate::{
    model::*,
    store::{
        StoreError,
        fields::{fields, optional, value},
        pack, tables,
    },
};

/// Which deliveries. Empty means any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeliveryFilter {
    /// For whom.
    pub platform: Option<String>,
    /// What became of them.
    pub outcome: Option<DeliveryOutcome>,
    /// Received at or after.
    pub since: Option<Time>,
    /// Received before.
    pub until: Option<Time>,
    /// Only those with an alert that is no test.
    pub alerts: bool,
}

impl View {
    /// The row of a delivery, once it is applied.
    pub fn delivery_row(&self, seq: u64) -> Result<Option<DeliveryRow>, StoreError> {
        self.row(tables::DELIVERIES, seq)
    }

    /// The delivery as received, with body and headers; none when it is no longer kept.
    pub fn delivery(&self, seq: u64) -> Result<Option<Delivery>, StoreError> {
        // What is applied may be gone from the intake already, and what is not applied is only there.
        if seq <= self.number(tables::meta::POSITION)? {
            pack::read_one(&self.table(tables::RAW)?, seq)
        } else {
            pack::read_one(&self.intake.open_table(tables::BLOBS)?, seq)
        }
    }

    /// What each signal of a delivery did, in the order of the body; none until it is applied.
    pub fn results(&self, seq: u64) -> Result<Option<Vec<Applied>>, StoreError> {
        self.row(tables::RESULTS, seq)
    }

    /// Newest first, those with a sequence below `before` only.
    pub fn deliveries(
        &self,
        filter: &DeliveryFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Listing<DeliveryRow>, StoreError> {
        if *filter == DeliveryFilter::default() {
            return self.everything(tables::DELIVERIES, before, limit);
        }
        page(
            |before| self.newest(tables::DELIVERIES, before),
            before,
            limit,
            |row| {
                let [platform, outcome, at, signals, tests] =
                    fields(row, ["platform", "outcome", "at", "signals", "tests"])?;
                let (platform, outcome): (&str, DeliveryOutcome) = (value(platform)?, value(outcome)?);
                let fits = filter.platform.as_deref().is_none_or(|p| p == platform);
                let at: Time = value(at)?;
                let within = filter.since.is_none_or(|t| at >= t) && filter.until.is_none_or(|t| at < t);
                let alerts = !filter.alerts || value::<u64>(signals)? > optional::<u64>(tests)?.unwrap_or(0);
                Ok((fits && within && alerts && filter.outcome.is_none_or(|o| o == outcome)).into())
            },
        )
    }
}
