//! Following the change log: what changed is indexed again, committed about every second with the place reached.

use std::{
    collections::BTreeSet,
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use tantivy::Term;
use tokio_util::sync::CancellationToken;

use super::{Document, Search, SearchError, payload, unharmed};
use crate::{
    model::{ChangeSubject, Incident, IncidentId, IncidentStatus},
    runtime::clock::Clock,
    store::{IncidentFilter, View},
};

/// Rows of the change log looked at in one step.
const STEP: usize = 10_000;
/// Incidents indexed in one commit when the index is made anew.
const REBUILD: usize = 1_000;
/// Alerts of an incident whose text is indexed with it.
const ALERTS: usize = 30;
/// How far a fresh incident may be behind.
const PAUSE: Duration = Duration::from_secs(1);

impl Search {
    /// Follows the store until `stop`.
    pub async fn run(self, clock: Clock, stop: CancellationToken) {
        let mut changes = self.inner.store.changes();
        loop {
            let search = self.clone();
            let done = match tokio::task::spawn_blocking(move || search.catch_up()).await {
                Ok(Ok(())) => true,
                Ok(Err(e)) => {
                    tracing::warn!(error = %e, "the text index is behind");
                    false
                }
                Err(e) => {
                    tracing::error!(error = %e, "indexing ended by a panic; the text index is made anew");
                    self.give_up(true);
                    false
                }
            };
            let due = async {
                // The pause first: changes that come meanwhile are indexed together.
                clock.sleep(PAUSE).await;
                // What failed is tried again whether anything changes or not.
                if done { changes.changed().await } else { Ok(()) }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = due => if changed.is_err() { return },
            }
        }
    }

    /// Brings the index up to the store. Blocking. After an error of the index the next call opens it again.
    pub fn catch_up(&self) -> Result<(), SearchError> {
        let done = self.once();
        // Made anew at once: nothing but what is derived is lost.
        if matches!(done, Err(SearchError::Damaged)) { self.once() } else { done }
    }

    fn once(&self) -> Result<(), SearchError> {
        self.mend()?;
        unharmed(|| self.follow()).inspect_err(|e| match e {
            SearchError::Store(_) => {}
            e => self.give_up(matches!(e, SearchError::Damaged)),
        })
    }

    fn follow(&self) -> Result<(), SearchError> {
        loop {
            let view = self.inner.store.view()?;
            let (first, last) = view.change_range()?;
            let seq = self.seq();
            if seq >= last {
                return Ok(());
            }
            // Never indexed, or so far behind that the log no longer says what changed.
            if seq == 0 || seq + 1 < first {
                self.rebuild(&view)?;
                self.commit(last)?;
                continue;
            }
            let entries = view.change_log(seq, STEP)?;
            // Timeline entries take numbers too: a short step has read to the end.
            let reached = if entries.len() < STEP { last } else { entries.last().map_or(last, |e| e.seq) };
            let subjects: BTreeSet<IncidentId> = entries.iter().filter_map(|e| subject(&e.subject)).collect();
            for id in subjects {
                match view.incident(id)? {
                    Some(incident) => self.index(&view, &incident)?,
                    None => self.forget(id)?,
                }
            }
            self.commit(reached)?;
        }
    }

    fn rebuild(&self, view: &View) -> Result<(), SearchError> {
        let filter = IncidentFilter { statuses: IncidentStatus::ALL.to_vec(), ..IncidentFilter::default() };
        // Those that were removed meanwhile as well; who searches sees this with the commit and not before.
        self.opened(|o| {
            let writer = o.writer.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(writer.delete_all_documents().map(drop)?)
        })?;
        let mut before = None;
        loop {
            let page = view.incidents(&filter, before, REBUILD)?;
            for incident in &page.items {
                self.index(view, incident)?;
            }
            match page.next {
                Some(next) => before = Some(next),
                None => return Ok(()),
            }
        }
    }

    pub(super) fn index(&self, view: &View, incident: &Incident) -> Result<(), SearchError> {
        let (title, body) = text(view, incident)?;
        let fields = self.inner.fields;
        let mut document = Document::default();
        document.add_u64(fields.number, incident.id.0);
        document.add_text(fields.title, title);
        document.add_text(fields.body, body);
        self.opened(|o| {
            let writer = o.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.delete_term(Term::from_field_u64(fields.number, incident.id.0));
            writer.add_document(document)?;
            Ok(())
        })
    }

    fn forget(&self, id: IncidentId) -> Result<(), SearchError> {
        self.opened(|o| {
            let writer = o.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.delete_term(Term::from_field_u64(self.inner.fields.number, id.0));
            Ok(())
        })
    }

    pub(super) fn commit(&self, seq: u64) -> Result<(), SearchError> {
        self.opened(|o| {
            let mut writer = o.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let mut prepared = writer.prepare_commit()?;
            prepared.set_payload(&payload(self.inner.store.nonce(), seq));
            prepared.commit()?;
            Ok(o.reader.reload()?)
        })?;
        self.inner.seq.store(seq, Ordering::Release);
        Ok(())
    }
}

/// Title and body of an incident as they are indexed and compared.
pub fn text(view: &View, incident: &Incident) -> Result<(String, String), SearchError> {
    let mut body: Vec<String> = Vec::new();
    body.extend(incident.affected_services.iter().cloned());
    for (_, alert) in view.members(incident.id, ALERTS)? {
        if alert.title != incident.title {
            body.push(alert.title);
        }
        body.extend(alert.description);
    }
    Ok((incident.title.clone(), body.join("\n")))
}

fn subject(subject: &ChangeSubject) -> Option<IncidentId> {
    match subject {
        ChangeSubject::Incident(id, _) | ChangeSubject::AlertCorrelated(id, _) => Some(*id),
        ChangeSubject::Thought(..)
        | ChangeSubject::Suggestion(..)
        | ChangeSubject::Cause(..)
        | ChangeSubject::Delivery { .. }
        | ChangeSubject::Topology => None,
    }
}
