//! What a rehearsal takes over from a store: all that its decisions rest on and that is not made of deliveries.

use redb::ReadableTable;

use super::Rehearsal;
use crate::{
    model::Threshold,
    store::{Policy, StoreError, codec, tables, views::View, world::World},
};

/// Copies tables as they are.
macro_rules! copy {
    ($from:expr, $to:expr, $($table:ident),+ $(,)?) => {$(
        let mut table = $to.open_table(tables::$table)?;
        for row in $from.open_table(tables::$table)?.iter()? {
            let (key, value) = row?;
            table.insert(key.value(), value.value())?;
        }
        drop(table);
    )+};
}

impl Rehearsal {
    /// With the services, the corrections by people and the settings of connectors that the store has, and no alerts yet.
    pub fn beside(view: &View, policy: Policy) -> Result<Self, StoreError> {
        let mut rehearsal = Self::new(policy)?;
        let (from, _) = view.transactions();
        let txn = rehearsal.main.write()?;
        copy!(from, txn, SERVICES, EDGES, APART, LESSONS, MUTES, THRESHOLDS, CONNECTORS);
        // The incident that a threshold was reached for last is none of the rehearsal's, whose numbers begin anew.
        let mut thresholds = Vec::new();
        for row in txn.open_table(tables::THRESHOLDS)?.iter()? {
            let (number, bytes) = row?;
            thresholds.push((number.value(), codec::decode::<Threshold>(bytes.value())?));
        }
        let mut table = txn.open_table(tables::THRESHOLDS)?;
        for (number, threshold) in thresholds {
            let fresh = Threshold { incident: None, ..threshold };
            table.insert(number, codec::encode(&fresh)?.as_slice())?;
        }
        drop(table);
        txn.commit()?;
        rehearsal.world = World::load(&rehearsal.main.read()?)?;
        Ok(rehearsal)
    }
}
