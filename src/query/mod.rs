//! The query language of lists: `status:open service:pay*,checkout -owner:none "two words" since:6h`.
//!
//! Pure, and the same for pages and API. `split` cuts a text into terms, `fields` is the one list of what can be asked,
//! `read` makes a filter of the terms or says which term is wrong, where, and what would be right. A filter decides of
//! one incident or alert by itself (`fits`); the store looks for the rows by whatever index is best and ends with that.
//!
//! Terms are joined by and, the values of one term by or, `-` before a term turns it round.

mod alerts;
mod edit;
mod fields;
mod incidents;
mod read;
mod sort;
mod split;
mod test;
mod when;

pub use alerts::{AlertFilter, AlertIs, AlertSeen, AlertTest, OfIncident};
pub use edit::{exchange, quote, values, without};
pub use fields::{ALERTS, Field, INCIDENTS, Values, field};
pub use incidents::{IncidentFilter, IncidentIs, IncidentSeen, IncidentTest};
pub use read::{Asker, Meant, QueryError, alerts, incidents};
pub use sort::{AlertsBy, Sort};
pub use split::{Span, place_of, spans};
pub use test::{Clause, Range, Wants, all_words, among, matches};
pub use when::time;
