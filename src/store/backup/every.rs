//! Every table of both files, each with its types, so that something can be done with all of them. A backup refuses a
//! file with a table that is not listed here, so that a new one cannot be forgotten.

use std::collections::BTreeSet;

use redb::{Key, ReadTransaction, ReadableTableMetadata, TableDefinition, TableHandle, Value};

use crate::store::{StoreError, View, tables};

/// What is done with each table.
pub trait EachTable {
    /// Does it.
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), StoreError>;
}

/// A database file of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// watchfire.redb.
    Main,
    /// intake.redb.
    Intake,
}

impl Part {
    /// In the order of a backup.
    pub const ALL: [Self; 2] = [Self::Main, Self::Intake];

    /// Its name in the data folder and in a backup.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Main => "watchfire.redb",
            Self::Intake => "intake.redb",
        }
    }

    /// Visits its tables, in the order of `tables.rs`.
    pub fn each(self, visit: &mut impl EachTable) -> Result<(), StoreError> {
        match self {
            Self::Main => main(visit),
            Self::Intake => intake(visit),
        }
    }

    /// Whether a file has the tables that are listed here and no other.
    pub fn knows(self, txn: &ReadTransaction) -> Result<(), StoreError> {
        let mut known = Names(BTreeSet::new());
        self.each(&mut known)?;
        let there: BTreeSet<String> = txn.list_tables()?.map(|t| t.name().to_owned()).collect();
        let strange: Vec<&str> = there.difference(&known.0).map(String::as_str).collect();
        if strange.is_empty() && txn.list_multimap_tables()?.next().is_none() {
            return Ok(());
        }
        Err(StoreError::Damaged(format!("{} has tables that this version does not know: {strange:?}", self.file())))
    }
}

fn intake(visit: &mut impl EachTable) -> Result<(), StoreError> {
    visit.table(tables::BLOBS)?;
    visit.table(tables::RETRIES)?;
    visit.table(tables::RETRY_ORDER)
}

fn main(visit: &mut impl EachTable) -> Result<(), StoreError> {
    visit.table(tables::META)?;
    visit.table(tables::INCIDENTS)?;
    visit.table(tables::OPEN)?;
    visit.table(tables::CLOSED)?;
    visit.table(tables::BY_SERVICE)?;
    visit.table(tables::ACKS)?;
    visit.table(tables::ALERTS)?;
    visit.table(tables::LIVE_ALERTS)?;
    visit.table(tables::QUIET)?;
    visit.table(tables::MEMBERS)?;
    visit.table(tables::TIMELINE)?;
    visit.table(tables::THOUGHTS)?;
    visit.table(tables::ANSWERS)?;
    visit.table(tables::JOBS)?;
    visit.table(tables::CHANGES)?;
    visit.table(tables::RAW)?;
    visit.table(tables::DELIVERIES)?;
    visit.table(tables::RESULTS)?;
    visit.table(tables::MINUTES)?;
    visit.table(tables::CHANGE_LOG)?;
    visit.table(tables::CONNECTORS)?;
    visit.table(tables::COUNTERS)?;
    visit.table(tables::ACCOUNTS)?;
    visit.table(tables::SESSIONS)?;
    visit.table(tables::TOKENS)?;
    visit.table(tables::AUDIT)?;
    visit.table(tables::SERVICES)?;
    visit.table(tables::EDGES)?;
    visit.table(tables::PROFILES)?;
    visit.table(tables::LOOKS)?;
    visit.table(tables::SNOOZES)?;
    visit.table(tables::APART)?;
    visit.table(tables::LESSONS)?;
    visit.table(tables::MUTES)?;
    visit.table(tables::MUTED)?;
    visit.table(tables::THRESHOLDS)?;
    visit.table(tables::WAITING)?;
    visit.table(tables::SETTINGS)?;
    visit.table(tables::BACKTESTS)?;
    visit.table(tables::OUTCOMES)?;
    visit.table(tables::POSTMORTEMS)?;
    visit.table(tables::POSTMORTEM_VERSIONS)?;
    visit.table(tables::TRANSCRIPTS)?;
    visit.table(tables::SPENDING)?;
    visit.table(tables::RUNBOOKS)?;
    visit.table(tables::SAVED_VIEWS)?;
    visit.table(tables::CHANNELS)?;
    visit.table(tables::NOTICE_RULES)?;
    visit.table(tables::CONTACTS)?;
    visit.table(tables::SCHEDULES)?;
    visit.table(tables::POLICIES)?;
    visit.table(tables::HEARTBEATS)?;
    visit.table(tables::NOTICES)?;
    visit.table(tables::NOTICES_DUE)?;
    visit.table(tables::NOTICES_PENDING)?;
    visit.table(tables::NOTICES_OF)?;
    visit.table(tables::CONSIDERED)?;
    visit.table(tables::RECEIPTS)?;
    visit.table(tables::ESCALATIONS)?;
    visit.table(tables::ESCALATIONS_DUE)?;
    visit.table(tables::INSIGHT_DAYS)?;
    visit.table(tables::INSIGHT_SEVERITIES)?;
    visit.table(tables::INSIGHT_RECEIVED)?;
    visit.table(tables::INSIGHT_KINDS)?;
    visit.table(tables::INSIGHT_NAMES)
}

struct Counts<'a> {
    txn: &'a ReadTransaction,
    found: Vec<(String, u64)>,
}

impl EachTable for Counts<'_> {
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), StoreError> {
        self.found.push((definition.name().to_owned(), self.txn.open_table(definition)?.len()?));
        Ok(())
    }
}

impl View {
    /// Rows of every table of the main file, which it knows without counting.
    pub fn row_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut counts = Counts { txn: self.transactions().0, found: Vec::new() };
        Part::Main.each(&mut counts)?;
        Ok(counts.found)
    }
}

struct Names(BTreeSet<String>);

impl EachTable for Names {
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), StoreError> {
        self.0.insert(definition.name().to_owned());
        Ok(())
    }
}
