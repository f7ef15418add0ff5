//! What the text index asks of the store: lists whose words it has looked up, and what it reads of alerts.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use super::{AlertFilter, COUNT, Found, IncidentFilter, Listing, View, alerts, incidents, page, page_of};
use crate::{
    model::*,
    store::{
        StoreError, codec,
        fields::{fields, optional, text, value},
        tables,
    },
};

/// Longer texts of an alert are not searched: nobody looks for the end of a dump.
const LONGEST: usize = 8 * 1024;

/// Numbers that may fit the words of a filter.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// The words are known to be there. Highest first.
    known: Arc<[u64]>,
    /// Their rows are to be looked at. Highest first.
    fresh: Arc<[u64]>,
}

impl Words {
    /// `known` from the index, highest first; `fresh` changed since, in any order.
    pub fn new(known: Vec<u64>, fresh: impl IntoIterator<Item = u64>) -> Self {
        let mut fresh: Vec<u64> = fresh.into_iter().collect();
        fresh.sort_unstable_by_key(|n| Reverse(*n));
        fresh.dedup();
        Self { known: known.into(), fresh: fresh.into() }
    }

    /// How many there are.
    pub fn many(&self) -> usize {
        self.known.len() + self.fresh.len()
    }

    fn knows(&self, number: u64) -> bool {
        self.known.binary_search_by(|n| number.cmp(n)).is_ok()
    }

    /// About how many there are, where they are too many to be counted by their rows.
    fn about(&self) -> Option<u64> {
        let numbers = self.known.len() + self.fresh.len();
        (numbers > COUNT).then(|| u64::try_from(numbers).unwrap_or(u64::MAX))
    }

    fn is_fresh(&self, number: u64) -> bool {
        self.fresh.binary_search_by(|n| number.cmp(n)).is_ok()
    }

    /// All below `before`, highest first, each once.
    fn below(&self, before: Option<u64>) -> impl Iterator<Item = u64> + 'static {
        let (known, fresh, before) = (Arc::clone(&self.known), Arc::clone(&self.fresh), before.unwrap_or(u64::MAX));
        let start = |numbers: &[u64]| numbers.partition_point(|n| *n >= before);
        let (mut i, mut j) = (start(&known), start(&fresh));
        std::iter::from_fn(move || {
            let (a, b) = (known.get(i).copied(), fresh.get(j).copied());
            let next = a.max(b)?;
            i += usize::from(a == Some(next));
            j += usize::from(b == Some(next));
            Some(next)
        })
    }
}

/// What is searched of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertText {
    /// Its number.
    pub number: u64,
    /// The incident that its row names.
    pub incident: Option<IncidentId>,
    /// Title, description, service, host and labels, a line each.
    pub text: String,
}

impl View {
    /// `incidents` for a filter whose words were looked up.
    pub fn incidents_with(
        &self,
        filter: &IncidentFilter,
        words: Words,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Listing<Incident>, StoreError> {
        let bare = filter.wordless();
        let rows = |before| {
            // Of what is open there is little, and it may be old.
            let found = match self.likely_rows(&bare, before)? {
                Some(found) => found,
                None => self.picked(tables::INCIDENTS, words.below(before).map(Ok))?,
            };
            let (words, all, unsaid) = (words.clone(), filter.clone(), filter.unsaid());
            let says = move |row: &[u8], known: bool| incidents::words_in_row(if known { &unsaid } else { &all }, row);
            Ok(Box::new(found.filter_map(move |row| said(&words, row, &says))) as Found)
        };
        let about = words.about().filter(|_| self.likely_rows(&bare, Some(0)).is_ok_and(|way| way.is_none()));
        let mut listing: Listing<Incident> = page_of(rows, before, limit, about, |row| self.incident_fits(&bare, row))?;
        listing.items = listing.items.into_iter().map(|i| self.at_home(i)).collect::<Result<_, _>>()?;
        Ok(listing)
    }

    /// `alerts` for a filter whose words were looked up.
    pub fn alerts_with(
        &self,
        filter: &AlertFilter,
        words: Words,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Listing<Alert>, StoreError> {
        let bare = filter.wordless();
        let rows = |before| self.said_alerts(filter, &words, before);
        let mut listing = page(rows, before, limit, |row| self.alert_fits(&bare, row))?;
        self.alerts_at_home(&mut listing.items)?;
        Ok(listing)
    }

    /// The rows of alerts that say the words of a filter, newest first.
    pub(super) fn said_alerts(
        &self,
        filter: &AlertFilter,
        words: &Words,
        before: Option<u64>,
    ) -> Result<Found, StoreError> {
        let found = self.picked(tables::ALERTS, words.below(before).map(Ok))?;
        let (words, all, unsaid) = (words.clone(), filter.clone(), filter.unsaid());
        let says = move |row: &[u8], known: bool| alerts::words_in_row(if known { &unsaid } else { &all }, row);
        Ok(Box::new(found.filter_map(move |row| said(&words, row, &says))))
    }

    /// The numbers of the newest alerts above `after`, at most `limit`.
    pub fn alerts_after(&self, after: u64, limit: usize) -> Result<Vec<u64>, StoreError> {
        let rows = self.table(tables::ALERTS)?.range(after.saturating_add(1)..)?.rev().take(limit);
        rows.map(|row| Ok(row?.0.value())).collect()
    }

    /// The first and the last alert that is stored, and how many there are.
    pub fn alert_range(&self) -> Result<(u64, u64, u64), StoreError> {
        use redb::{ReadableTable, ReadableTableMetadata};
        let table = self.table(tables::ALERTS)?;
        let first = table.first()?.map_or(0, |(n, _)| n.value());
        let last = table.last()?.map_or(0, |(n, _)| n.value());
        Ok((first, last, table.len()?))
    }

    /// What is searched of the alerts above `after`, oldest first.
    pub fn alert_texts(&self, after: u64, limit: usize) -> Result<Vec<AlertText>, StoreError> {
        let rows = self.table(tables::ALERTS)?.range(after.saturating_add(1)..)?.take(limit);
        rows.map(|row| {
            let (number, bytes) = row?;
            alert_text(number.value(), &codec::plain(bytes.value())?)
        })
        .collect()
    }
}

/// Rows of a timeline looked through for what people wrote.
const LOOKED_THROUGH: usize = 500;

impl View {
    /// What people wrote under an incident, the latest first.
    pub fn comments(&self, id: IncidentId) -> Result<Vec<String>, StoreError> {
        let table = self.table(tables::TIMELINE)?;
        let mut found = Vec::new();
        for row in table.range((id.0, 0)..=(id.0, u64::MAX))?.rev().take(LOOKED_THROUGH) {
            let row = row?.1;
            let row = codec::plain(row.value())?;
            let [kind, said] = fields(&row, ["kind", "text"])?;
            if value::<TimelineKind>(kind)? == TimelineKind::Comment {
                found.push(text(said)?.to_owned());
            }
        }
        Ok(found)
    }
}

type Row = Result<(u64, redb::AccessGuard<'static, &'static [u8]>), StoreError>;

/// A row whose words are known, or stand in it. `says` is told whether they are known.
fn said(words: &Words, row: Row, says: impl Fn(&[u8], bool) -> Result<bool, StoreError>) -> Option<Row> {
    let looked = row.and_then(|(number, bytes)| {
        let known = words.knows(number);
        // What must not be said may have been said since.
        let fits = if words.is_fresh(number) { says(&codec::plain(bytes.value())?, known)? } else { known };
        Ok(fits.then_some((number, bytes)))
    });
    looked.transpose()
}

fn alert_text(number: u64, row: &[u8]) -> Result<AlertText, StoreError> {
    let [title, description, service, host, labels, incident] =
        fields(row, ["title", "description", "service", "host", "labels", "incident"])?;
    let mut all = String::new();
    let mut add = |part: &str| {
        let room = LONGEST.saturating_sub(all.len());
        let end = part.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= room).last();
        all.push_str(part.get(..end.unwrap_or(0)).unwrap_or_default());
        all.push('\n');
    };
    for part in [title, description, service, host] {
        add(text(part)?);
    }
    let labels: BTreeMap<&str, &str> = optional(labels)?.unwrap_or_default();
    for (name, of) in labels {
        add(name);
        add(of);
    }
    Ok(AlertText { number, incident: optional(incident)?, text: all })
}

/// The same of an alert that was read.
impl From<&Alert> for AlertText {
    fn from(a: &Alert) -> Self {
        let mut parts = vec![a.title.as_str()];
        parts.extend([&a.description, &a.service, &a.host].map(|p| p.as_deref().unwrap_or_default()));
        parts.extend(a.labels.iter().flat_map(|(name, of)| [name.as_str(), of.as_str()]));
        let mut text = parts.join("\n");
        let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST).last().unwrap_or(0);
        if text.len() > LONGEST {
            text.truncate(end);
        }
        Self { number: a.id.number(), incident: a.incident, text }
    }
}
