//! How many alerts joined incidents in the last hour, by five minutes.

use std::{collections::BTreeMap, time::Duration};

use super::View;
use crate::{
    model::*,
    store::{
        StoreError, codec,
        fields::{fields, value},
        tables,
    },
};

/// Five minutes each.
const SLICES: i64 = 12;
/// Members of one incident looked at: a line of forty pixels says no more of the rest.
const MEMBERS: usize = 120;

/// Alerts that joined in each five minutes of the last hour, oldest first.
pub type Spark = [u64; SLICES as usize];

impl View {
    /// For each incident that alerts joined in the last hour. What was merged into it is not looked at.
    pub fn sparks(&self, ids: &[IncidentId], now: Time) -> Result<BTreeMap<IncidentId, Spark>, StoreError> {
        let table = self.table(tables::MEMBERS)?;
        let slice = |at: Time| at.millis().div_euclid(300_000);
        let (last, hour_ago) = (slice(now), now.minus(Duration::from_secs(3600)));
        let mut sparks = BTreeMap::new();
        for id in ids {
            let mut spark = Spark::default();
            // Later alerts have higher numbers: the first one that is too old ends it.
            for row in table.range((id.0, 0)..=(id.0, u64::MAX))?.rev().take(MEMBERS) {
                let row = row?.1;
                let row = codec::plain(row.value())?;
                let [at] = fields(&row, ["at"])?;
                let at: Time = value(at)?;
                if at < hour_ago {
                    break;
                }
                let place = usize::try_from(SLICES - 1 - (last - slice(at))).ok();
                if let Some(n) = place.and_then(|p| spark.get_mut(p)) {
                    *n += 1;
                }
            }
            if spark.iter().any(|n| *n > 0) {
                sparks.insert(*id, spark);
            }
        }
        Ok(sparks)
    }
}
