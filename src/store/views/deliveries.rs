use super::{Listing, View};
use crate::{model::*, store::StoreError};

/// Which deliveries. Empty means any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeliveryFilter {
    /// For whom.
    pub platform: Option<String>,
    /// What became of them.
    pub outcome: Option<DeliveryOutcome>,
}

impl View {
    /// The row of a delivery, once it is applied.
    pub fn delivery_row(&self, _seq: u64) -> Result<Option<DeliveryRow>, StoreError> {
        unimplemented!()
    }

    /// The delivery as received, with body and headers; none when it is no longer kept.
    pub fn delivery(&self, _seq: u64) -> Result<Option<Delivery>, StoreError> {
        unimplemented!()
    }

    /// What each signal of a delivery did, in the order of the body; none until it is applied.
    pub fn results(&self, _seq: u64) -> Result<Option<Vec<Applied>>, StoreError> {
        unimplemented!()
    }

    /// Newest first, those with a sequence below `before` only.
    pub fn deliveries(
        &self,
        _filter: &DeliveryFilter,
        _before: Option<u64>,
        _limit: usize,
    ) -> Result<Listing<DeliveryRow>, StoreError> {
        unimplemented!()
    }
}
