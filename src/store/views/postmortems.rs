//! Postmortems with their versions.

use redb::ReadableTable;

use super::{Listing, View};
use crate::{
    model::*,
    store::{StoreError, codec, tables},
};

impl View {
    /// The postmortem of an incident, when one was begun.
    pub fn postmortem(&self, id: IncidentId) -> Result<Option<Postmortem>, StoreError> {
        self.row(tables::POSTMORTEMS, id.0)
    }

    /// One version of it.
    pub fn postmortem_version(&self, id: IncidentId, n: u64) -> Result<Option<PostmortemVersion>, StoreError> {
        self.row(tables::POSTMORTEM_VERSIONS, (id.0, n))
    }

    /// The last `limit` versions of it, newest first; those below `before` only.
    pub fn postmortem_versions(
        &self,
        id: IncidentId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<PostmortemVersion>, StoreError> {
        let table = self.table(tables::POSTMORTEM_VERSIONS)?;
        let rows = table.range((id.0, 0)..(id.0, before.unwrap_or(u64::MAX)))?.rev();
        rows.take(limit).map(|row| codec::decode(row?.1.value())).collect()
    }

    /// All postmortems, newest incident first.
    pub fn postmortems(&self, before: Option<u64>, limit: usize) -> Result<Listing<Postmortem>, StoreError> {
        self.everything(tables::POSTMORTEMS, before, limit)
    }

    /// Every postmortem is of an incident that says so, and its text is that of its version.
    pub(super) fn check_postmortems(&self) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        for row in self.table(tables::POSTMORTEMS)?.iter()? {
            let (number, bytes) = row?;
            let (id, p) = (IncidentId(number.value()), codec::decode::<Postmortem>(bytes.value())?);
            match self.row::<_, Incident>(tables::INCIDENTS, id.0)? {
                None => found.push(format!("there is a postmortem of {id}, which is not stored")),
                Some(i) if i.postmortem != Some(p.state) => {
                    found.push(format!("{id} does not say that its postmortem is {}", p.state));
                }
                Some(_) => {}
            }
            // Of one that is half removed the versions go first.
            let of_its_own = self.postmortem_version(id, p.version)?;
            if of_its_own.is_some_and(|v| v.text != p.text) {
                found.push(format!("the postmortem of {id} is not what its version {} says", p.version));
            }
            if self.postmortem_version(id, p.last_version + 1)?.is_some() {
                found.push(format!("the postmortem of {id} has a version after its last"));
            }
        }
        Ok(found)
    }
}
