//! What a rehearsal takes over from a store: all that its decisions rest on and that is not made of deliveries.

use redb::ReadableTable;

use super::Rehearsal;
use crate::store::{Policy, StoreError, tables, views::View, world::World};

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
        copy!(from, txn, SERVICES, EDGES, APART, LESSONS, THRESHOLDS, CONNECTORS);
        txn.commit()?;
        rehearsal.world = World::load(&rehearsal.main.read()?)?;
        Ok(rehearsal)
    }
}
