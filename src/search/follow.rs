//! Following the store: incidents by the change log, alerts by their numbers. What is new is indexed and committed about
//! every half second, with the places reached.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use tantivy::{Term, query::RangeQuery};
use tokio_util::sync::CancellationToken;

use super::{Document, INCIDENT, Places, Search, SearchError, payload, unharmed};
use crate::{
    model::{Alert, ChangeSubject, Incident, IncidentChange, IncidentId, IncidentStatus, PostmortemText},
    query::IncidentSeen,
    runtime::{background::Background, clock::Clock},
    store::{AlertText, IncidentFilter, View},
};

/// Rows of the change log looked at in one step.
const STEP: usize = 10_000;
/// Alerts indexed in one step.
const ALERT_STEP: usize = 20_000;
/// Incidents read at once when the index is made anew.
const REBUILD: usize = 1_000;
/// Alerts of an incident whose text is indexed with it.
const ALERTS: usize = 30;
/// Texts that are remembered as indexed, so that what did not change is not written again.
const REMEMBERED: usize = 100_000;
/// What is searched of an incident beside its title, in bytes.
const LONGEST: usize = 64 * 1024;
/// Between two commits. Indexing has half of one processor at most, however much comes in.
const PAUSE: Duration = Duration::from_millis(500);
/// While a burst is taken, new alerts wait for the index for so long at most: the processors are for those who send and for
/// what is applied, and whoever searches has the newest looked through without it. Then it catches up before they wait again.
const PUT_OFF: Duration = Duration::from_secs(30);
/// Repeats of alerts seldom say anything new: incidents of which nothing else changed are looked at this often.
const LATER: Duration = Duration::from_secs(10);

/// Progress is told about every so many alerts, and so often are removed ones dropped.
const REPORT: u64 = 50_000;

/// What is known of what is indexed; lost with the process, and then learned again.
#[derive(Debug, Default)]
pub(super) struct Memory {
    incidents: HashMap<u64, u64>,
    alerts: HashMap<u64, u64>,
    /// Incidents of which only alerts repeated: not looked at yet.
    pub(super) later: BTreeSet<IncidentId>,
    /// Something was given to the writer since the last commit.
    dirty: bool,
    /// Alerts below this number are gone from the store and from the index.
    first: u64,
}

impl Memory {
    /// Whether this text is new for the number; it is remembered.
    fn is_new(of: &mut HashMap<u64, u64>, number: u64, text: u64) -> bool {
        if of.len() >= REMEMBERED {
            of.clear();
        }
        of.insert(number, text) != Some(text)
    }
}

/// What a step indexes beside what is new of incidents, which must be followed while the change log still says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct What {
    /// Incidents of which only alerts repeated.
    pub(super) repeats: bool,
    /// New alerts.
    pub(super) alerts: bool,
}

impl What {
    pub(super) const ALL: Self = Self { repeats: true, alerts: true };
}

impl Search {
    /// Follows the store until `stop`.
    pub async fn run(self, clock: Clock, stop: CancellationToken) {
        let mut changes = self.inner.store.changes();
        let mut flushed = clock.uptime();
        let mut caught_up = flushed;
        // Who searches a moment later finds more; who sends waits for the disk, and comes first.
        let background = match Background::start("text-index") {
            Ok(background) => background,
            Err(e) => return tracing::error!(error = %e, "there is no thread for the text index"),
        };
        loop {
            let search = self.clone();
            let flush = clock.uptime().saturating_sub(flushed) >= LATER;
            if flush {
                flushed = clock.uptime();
            }
            let stale = clock.uptime().saturating_sub(caught_up);
            let what = What { repeats: flush, alerts: !may_wait(self.inner.store.in_burst(), stale) };
            let idle = match background.run(move || search.step(what)).await {
                Ok(Ok(true)) => false,
                Ok(Ok(false)) => {
                    caught_up = clock.uptime();
                    self.memory(|m| m.later.is_empty())
                }
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
                // What failed, or is not done, is gone on with whether anything changes or not.
                if idle { changes.changed().await } else { Ok(()) }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = due => if changed.is_err() { return },
            }
        }
    }

    /// Brings the index up to the store. Blocking. After an error of the index the next call opens it again.
    pub fn catch_up(&self) -> Result<(), SearchError> {
        while self.step(What::ALL)? {}
        Ok(())
    }

    /// One step of that; whether there is more to do.
    pub(super) fn step(&self, what: What) -> Result<bool, SearchError> {
        let done = self.once(what);
        // Made anew at once: nothing but what is derived is lost.
        if matches!(done, Err(SearchError::Damaged)) { self.once(what) } else { done }
    }

    fn once(&self, what: What) -> Result<bool, SearchError> {
        self.mend()?;
        unharmed(|| self.follow(what)).inspect_err(|e| match e {
            SearchError::Store(_) => {}
            e => self.give_up(matches!(e, SearchError::Damaged)),
        })
    }

    fn follow(&self, what: What) -> Result<bool, SearchError> {
        let view = self.inner.store.view()?;
        let (first, last) = view.change_range()?;
        let seq = self.seq();
        // Never indexed, or so far behind that the log no longer says what changed.
        if last > 0 && (seq == 0 || (seq < last && seq + 1 < first)) {
            self.rebuild(&view)?;
            self.commit(Places { seq: last, alerts: self.alerts_reached() })?;
            return Ok(true);
        }
        let mut reached = seq;
        if seq < last {
            let entries = view.change_log(seq, STEP)?;
            // Timeline entries take numbers too: a short step has read to the end.
            reached = if entries.len() < STEP { last } else { entries.last().map_or(last, |e| e.seq) };
            let mut changed: BTreeMap<IncidentId, bool> = BTreeMap::new();
            for (id, soon) in entries.iter().filter_map(|e| Some((subject(&e.subject)?, is_new(&e.subject)))) {
                *changed.entry(id).or_default() |= soon;
            }
            for (id, soon) in changed {
                if soon || what.repeats {
                    self.look_at(&view, id)?;
                } else {
                    self.memory(|m| m.later.insert(id));
                }
            }
        }
        // They stay in the list until the commit: whoever searches meanwhile looks at their rows.
        let later = if what.repeats { self.memory(|m| m.later.clone()) } else { BTreeSet::new() };
        for id in &later {
            self.look_at(&view, *id)?;
        }
        let alerts = if what.alerts { self.follow_alerts(&view)? } else { self.alerts_reached() };
        let (_, newest, _) = view.alert_range()?;
        if (reached, alerts) != (seq, self.alerts_reached()) || self.memory(|m| std::mem::take(&mut m.dirty)) {
            self.commit(Places { seq: reached, alerts })?;
        }
        self.memory(|m| m.later.retain(|id| !later.contains(id)));
        Ok(reached < last || alerts < newest)
    }

    fn look_at(&self, view: &View, id: IncidentId) -> Result<(), SearchError> {
        match view.incident(id)? {
            Some(incident) => self.index(view, &incident),
            None => self.forget(id),
        }
    }

    /// Indexes the next alerts; the last number that is indexed then.
    fn follow_alerts(&self, view: &View) -> Result<u64, SearchError> {
        let reached = self.alerts_reached();
        let (first, newest, all) = view.alert_range()?;
        self.drop_old(first)?;
        if newest <= reached {
            return Ok(reached);
        }
        let texts = view.alert_texts(reached, ALERT_STEP)?;
        let last = texts.last().map_or(newest, |t| t.number);
        // Catching up with a full store takes minutes, and somebody may wait for it.
        if last < newest && (last / REPORT) != (reached / REPORT) {
            tracing::info!(alert = last, newest, stored = all, "the text index is catching up with the alerts");
        }
        for text in texts {
            self.add_alert(text, false)?;
        }
        Ok(last)
    }

    /// Alerts that the store has removed: their rows are missing from every list already.
    fn drop_old(&self, first: u64) -> Result<(), SearchError> {
        let known = self.memory(|m| m.first);
        if first < known.saturating_add(REPORT) {
            return Ok(());
        }
        let alert = self.inner.fields.alert;
        let below = RangeQuery::new(Bound::Unbounded, Bound::Excluded(Term::from_field_u64(alert, first)));
        self.writing(|writer| Ok(writer.delete_query(Box::new(below)).map(drop)?))?;
        self.memory(|m| m.first = first);
        Ok(())
    }

    fn add_alert(&self, text: AlertText, again: bool) -> Result<(), SearchError> {
        let fields = self.inner.fields;
        let mut document = Document::default();
        document.add_u64(fields.alert, text.number);
        if let Some(incident) = text.incident {
            document.add_u64(fields.of, incident.0);
        }
        document.add_text(fields.words, &text.text);
        document.add_text(fields.names, &text.text);
        self.writing(|writer| {
            if again {
                writer.delete_term(Term::from_field_u64(fields.alert, text.number));
            }
            writer.add_document(document)?;
            Ok(())
        })
    }

    /// The incidents anew; alerts never change but through an incident.
    fn rebuild(&self, view: &View) -> Result<(), SearchError> {
        let filter = IncidentFilter { statuses: IncidentStatus::ALL.to_vec(), ..IncidentFilter::default() };
        // Those that were removed meanwhile as well; who searches sees this with the commit and not before.
        let every = Term::from_field_u64(self.inner.fields.kind, INCIDENT);
        self.writing(|writer| {
            writer.delete_term(every);
            Ok(())
        })?;
        self.memory(|m| m.incidents.clear());
        let (mut before, mut done) = (None, 0_u64);
        loop {
            let page = view.incidents(&filter, before, REBUILD)?;
            for incident in &page.items {
                self.index(view, incident)?;
                done += 1;
                if done.is_multiple_of(REPORT / 5) {
                    tracing::info!(incidents = done, left = incident.id.0, "the text index is made anew");
                }
            }
            match page.next {
                Some(next) => before = Some(next),
                None => return Ok(()),
            }
        }
    }

    pub(super) fn index(&self, view: &View, incident: &Incident) -> Result<(), SearchError> {
        let alerts: Vec<Alert> = view.members(incident.id, ALERTS)?.into_iter().map(|(_, alert)| alert).collect();
        self.look_at_alerts(&alerts)?;
        let (title, body) = compared(incident, &alerts);
        let said = said(view, incident)?;
        let (facets, has) = (facets(incident), has(incident));
        let ended = (!incident.is_open()).then(|| incident.resolved_at.unwrap_or(incident.updated_at).millis());
        let numbers = format!("{} {ended:?} {}", incident.detected_at.millis(), incident.alert_count);
        let names = facets.iter().chain(&has).map(String::as_str);
        let digest = digest([title.as_str(), &body, &said, &numbers].into_iter().chain(names));
        if !self.memory(|m| Memory::is_new(&mut m.incidents, incident.id.0, digest)) {
            return Ok(());
        }
        let fields = self.inner.fields;
        let mut document = Document::default();
        document.add_u64(fields.number, incident.id.0);
        document.add_u64(fields.kind, INCIDENT);
        for facet in facets {
            document.add_text(fields.facet, facet);
        }
        for name in has {
            document.add_text(fields.has, name);
        }
        document.add_i64(fields.opened, incident.detected_at.millis());
        if let Some(ended) = ended {
            document.add_i64(fields.ended, ended);
        }
        document.add_u64(fields.alerts, incident.alert_count);
        for part in [&title, &body, &said] {
            document.add_text(fields.said, part);
            document.add_text(fields.names, part);
        }
        document.add_text(fields.title, title);
        document.add_text(fields.body, body);
        self.writing(|writer| {
            writer.delete_term(Term::from_field_u64(fields.number, incident.id.0));
            writer.add_document(document)?;
            Ok(())
        })
    }

    /// Alerts that are indexed already and say something else now.
    fn look_at_alerts(&self, alerts: &[Alert]) -> Result<(), SearchError> {
        let reached = self.alerts_reached();
        for alert in alerts {
            let text = AlertText::from(alert);
            let digest = digest([text.text.as_str()]);
            if self.memory(|m| Memory::is_new(&mut m.alerts, text.number, digest)) && text.number <= reached {
                self.add_alert(text, true)?;
            }
        }
        Ok(())
    }

    fn forget(&self, id: IncidentId) -> Result<(), SearchError> {
        self.memory(|m| m.incidents.remove(&id.0));
        self.writing(|writer| {
            writer.delete_term(Term::from_field_u64(self.inner.fields.number, id.0));
            writer.delete_term(Term::from_field_u64(self.inner.fields.of, id.0));
            Ok(())
        })
    }

    pub(super) fn memory<R>(&self, f: impl FnOnce(&mut Memory) -> R) -> R {
        f(&mut self.inner.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn writing<R>(&self, f: impl FnOnce(&tantivy::IndexWriter) -> Result<R, SearchError>) -> Result<R, SearchError> {
        self.memory(|m| m.dirty = true);
        self.opened(|o| f(&o.writer.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(super) fn commit(&self, places: Places) -> Result<(), SearchError> {
        self.opened(|o| {
            let mut writer = o.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let mut prepared = writer.prepare_commit()?;
            prepared.set_payload(&payload(self.inner.store.nonce(), places));
            prepared.commit()?;
            Ok(o.reader.reload()?)
        })?;
        self.memory(|m| m.dirty = false);
        self.inner.alerts.store(places.alerts, Ordering::Release);
        self.inner.seq.store(places.seq, Ordering::Release);
        Ok(())
    }
}

/// Title and body of an incident as they are compared with those of others.
pub(super) fn text(view: &View, incident: &Incident) -> Result<(String, String), SearchError> {
    let alerts: Vec<Alert> = view.members(incident.id, ALERTS)?.into_iter().map(|(_, alert)| alert).collect();
    Ok(compared(incident, &alerts))
}

fn compared(incident: &Incident, alerts: &[Alert]) -> (String, String) {
    let mut body: Vec<&str> = incident.affected_services.iter().map(String::as_str).collect();
    for alert in alerts {
        if alert.title != incident.title {
            body.push(&alert.title);
        }
        body.extend(alert.description.as_deref());
    }
    (incident.title.clone(), body.join("\n"))
}

/// What else is searched of an incident: its number, its names, what was found out, what people and the investigation wrote,
/// its postmortem.
fn said(view: &View, incident: &Incident) -> Result<String, SearchError> {
    let mut parts = vec![incident.id.to_string()];
    parts.extend(incident.affected_services.iter().chain(&incident.affected_hosts).cloned());
    parts.extend(incident.investigation.summary.clone());
    parts.extend(view.comments(incident.id)?);
    if let Some(postmortem) = view.postmortem(incident.id)? {
        let PostmortemText { title, sections, actions } = postmortem.text;
        parts.extend(std::iter::once(title).chain(sections.into_values()));
        parts.extend(actions.into_iter().map(|a| a.text));
    }
    parts.extend(view.thoughts(incident.id)?.into_iter().map(|t| t.text));
    let mut all = String::new();
    for part in parts {
        if all.len() + part.len() > LONGEST {
            break;
        }
        all.push_str(&part);
        all.push('\n');
    }
    Ok(all)
}

/// What incidents are counted by, in small letters.
fn facets(incident: &Incident) -> Vec<String> {
    let mut all = vec![
        format!("status:{}", incident.status),
        format!("severity:{}", incident.severity),
        format!("source:{}", incident.source.to_lowercase()),
        format!("owner:{}", incident.owner.as_deref().unwrap_or("none").to_lowercase()),
    ];
    all.extend(incident.affected_services.iter().map(|s| format!("service:{}", s.to_lowercase())));
    all
}

/// What incidents are found by besides, in small letters but for the names of labels.
fn has(incident: &Incident) -> Vec<String> {
    let mut all = vec![format!("state:{}", incident.investigation.state)];
    all.extend(IncidentSeen::of(incident).marks.iter().map(|mark| format!("is:{mark}")));
    all.extend(incident.affected_hosts.iter().map(|h| format!("host:{}", h.to_lowercase())));
    all.extend(incident.labels.iter().map(|(name, value)| format!("label.{name}:{}", value.to_lowercase())));
    // The index refuses longer terms; rows are looked at anyway.
    all.retain(|name| name.len() < 1_000);
    all
}

fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    for part in parts {
        part.hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether new alerts wait. `stale` is how long ago nothing was left to index.
fn may_wait(in_burst: bool, stale: Duration) -> bool {
    in_burst && stale < PUT_OFF
}

/// The incident that a change is about, where it may change what is indexed.
pub(super) fn subject(subject: &ChangeSubject) -> Option<IncidentId> {
    match subject {
        ChangeSubject::Incident(id, _) | ChangeSubject::AlertCorrelated(id, _) | ChangeSubject::Thought(id, _) => {
            Some(*id)
        }
        ChangeSubject::Suggestion(..)
        | ChangeSubject::Cause(..)
        | ChangeSubject::Delivery { .. }
        | ChangeSubject::Topology
        | ChangeSubject::Mutes
        | ChangeSubject::Notifications => None,
    }
}

/// Whether somebody may look for what is new. Repeats of alerts are most of all changes.
fn is_new(subject: &ChangeSubject) -> bool {
    !matches!(subject, ChangeSubject::Incident(_, IncidentChange::Alerts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_wait_for_a_burst_and_not_for_ever() {
        let check = |in_burst, stale, want| assert_eq!(may_wait(in_burst, Duration::from_secs(stale)), want, "{stale}");
        check(false, 0, false);
        check(false, 29, false);
        check(true, 0, true);
        check(true, 29, true);
        check(true, 30, false);
    }
}
