//! When alerts were last seen, and how severe they are: what the chart over a list is drawn from.

use super::{AlertFilter, Fit, View};
use crate::{
    model::*,
    store::{
        StoreError, codec,
        fields::{fields, value},
        tables,
    },
};

impl View {
    /// The alerts that fit, as when they were last seen and how severe they are, in no order; and whether that is all of
    /// them. At most `most` rows are looked at, the newest. A filter with words is not for this: they are looked for by
    /// the text index.
    pub fn alerts_seen(&self, filter: &AlertFilter, most: usize) -> Result<(Vec<(Time, Severity)>, bool), StoreError> {
        let rows = match filter.incident {
            Some(id) => self.alerts_of(id, None)?,
            None if filter.open_only() => self.open_alerts(None)?,
            None => self.newest(tables::ALERTS, None)?,
        };
        let mut seen = Vec::new();
        for (read, row) in rows.enumerate() {
            if read == most {
                return Ok((seen, false));
            }
            let (_, bytes) = row?;
            let row = codec::plain(bytes.value())?;
            match self.alert_fits(filter, &row)? {
                Fit::Yes => {
                    let [severity, last_seen] = fields(&row, ["severity", "last_seen"])?;
                    seen.push((value(last_seen)?, value(severity)?));
                }
                Fit::No => {}
                Fit::NoneOlder => break,
            }
        }
        Ok((seen, true))
    }
}
