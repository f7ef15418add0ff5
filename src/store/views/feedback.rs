//! How often the first answer was right.

use super::View;
use crate::{
    model::*,
    store::{StoreError, tables},
};

/// Closed incidents of which people said what it was, by whether that was what the investigation put first before
/// anybody had judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstAnswers {
    /// Closed incidents, tests left out.
    pub closed: u64,
    /// Those of them where somebody recorded the cause, or said that it is not what stood first.
    pub judged: u64,
    /// Those of the judged where what stood first was it.
    pub right: u64,
}

impl View {
    /// Of incidents that ended at or after `since` and before `until`. Reads each of them.
    pub fn first_answers(&self, since: Time, until: Time) -> Result<FirstAnswers, StoreError> {
        let mut found = FirstAnswers::default();
        let closed = self.table(tables::CLOSED)?;
        for row in closed.range((since.millis(), 0)..(until.millis(), 0))? {
            let (_, number) = row?.0.value();
            let Some(incident) = self.row::<_, Incident>(tables::INCIDENTS, number)? else { continue };
            if incident.test {
                continue;
            }
            found.closed += 1;
            if let Some(right) = self.investigation(incident.id)?.first_was_right() {
                found.judged += 1;
                found.right += u64::from(right);
            }
        }
        Ok(found)
    }
}
