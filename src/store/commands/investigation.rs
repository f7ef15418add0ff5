//! What the investigation runner writes, and what people ask of it.

use std::time::Duration;

use redb::ReadableTable;
use serde_json::json;

use crate::{
    model::*,
    store::{
        CommandError, Store, StoreError,
        apply::lifecycle,
        codec,
        commands::feedback::{self, GivenCause},
        tables::meta,
        tx::{Tx, get, put},
    },
};

/// A thought that is not written yet.
#[derive(Clone, Debug, PartialEq)]
pub struct NewThought {
    /// What kind of step it is.
    pub kind: ThoughtKind,
    /// A sentence or two.
    pub text: String,
    /// Ids of evidence it rests on.
    pub evidence: Vec<String>,
}

/// How an investigation ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// `Complete`, `Error` or `Cancelled`.
    pub state: InvestigationState,
    /// How sure.
    pub conclusion: Option<Conclusion>,
    /// Two or three sentences.
    pub summary: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Other incidents of the same time whose alerts it counted: their answers may not know of this one yet.
    pub around: Vec<IncidentId>,
    /// Causes, evidence, suggestions; replaces the earlier ones, keeping the states that people gave suggestions.
    pub answer: Investigation,
}

impl Store {
    /// Asks for an investigation: queues a job, or marks the running one to run again.
    pub async fn investigate(&self, id: IncidentId, actor: Actor) -> Result<Incident, CommandError> {
        self.on_incident(id, move |tx| {
            let incident = tx.asked_incident(id)?;
            if incident.status == IncidentStatus::Merged {
                return Err(CommandError::Conflict {
                    detail: format!("{id} is merged; investigate the incident that it is part of"),
                    allowed: Vec::new(),
                });
            }
            lifecycle::queue(tx, id, "asked")?;
            // A person waits: no burst to assemble.
            if let Some(mut job) = tx.job(id)? {
                job.not_before = job.not_before.min(tx.now);
                tx.put_job(&job)?;
            }
            Ok(tx.audit(&actor, "incident.investigate", id.to_string(), serde_json::Value::Null)?)
        })
        .await
    }

    /// Stops a queued or running investigation.
    pub async fn cancel_investigation(&self, id: IncidentId, actor: Actor) -> Result<Incident, CommandError> {
        self.on_incident(id, move |tx| {
            tx.asked_incident(id)?;
            if !tx.remove_job(id)? {
                return Err(CommandError::Conflict {
                    detail: format!("no investigation of {id} waits or runs"),
                    allowed: vec!["investigate".to_owned()],
                });
            }
            let now = tx.now;
            let head = &mut tx.known_incident(id)?.investigation;
            head.state = InvestigationState::Cancelled;
            head.finished_at = Some(now);
            head.progress = None;
            tx.changed(id, IncidentChange::Investigation);
            analyzed(tx, id)?;
            tx.note(
                id,
                TimelineKind::InvestigationFinished,
                &actor,
                "Investigation cancelled.",
                serde_json::Value::Null,
            )?;
            Ok(tx.audit(&actor, "incident.cancel_investigation", id.to_string(), serde_json::Value::Null)?)
        })
        .await
    }

    /// Takes the most urgent job that is due (severity, then age) and leases it. The incident's investigation becomes
    /// `running`, with the thoughts of an earlier run taken away.
    pub async fn lease_job(&self, lease: Duration, engine: &str) -> Result<Option<Job>, CommandError> {
        // Most wake-ups find nothing: look before asking for a durable transaction.
        if !self.read(|view| Ok(!view.jobs(1)?.is_empty())).await? {
            return Ok(None);
        }
        let engine = engine.to_owned();
        self.command(move |tx| lease_next(tx, lease, &engine)).await
    }

    /// Gives back what is leased, whoever leased it: for the beginning of a process, when nobody can be at work on it.
    pub async fn release_all_jobs(&self) -> Result<(), CommandError> {
        if !self.read(|view| Ok(view.jobs(usize::MAX)?.iter().any(|j| j.leased_until.is_some()))).await? {
            return Ok(());
        }
        self.command(|tx| {
            let jobs: Vec<Job> =
                tx.jobs.iter()?.map(|row| codec::decode(row?.1.value())).collect::<Result<_, StoreError>>()?;
            for mut job in jobs.into_iter().filter(|j| j.leased_until.is_some()) {
                job.leased_until = None;
                tx.put_job(&job)?;
                tx.known_incident(job.incident)?.investigation.state = InvestigationState::Queued;
                tx.changed(job.incident, IncidentChange::Investigation);
            }
            Ok(())
        })
        .await
    }

    /// Gives a leased job back to the queue; nothing when the lease is over.
    pub async fn release_job(&self, lease: Lease) -> Result<(), CommandError> {
        self.command(move |tx| {
            if running(tx, lease).is_ok()
                && let Some(mut job) = tx.job(lease.incident)?
            {
                let id = lease.incident;
                job.leased_until = None;
                // Given back in order: only runs that broke off count.
                job.attempts = job.attempts.saturating_sub(1);
                tx.put_job(&job)?;
                tx.known_incident(id)?.investigation.state = InvestigationState::Queued;
                tx.changed(id, IncidentChange::Investigation);
            }
            Ok(())
        })
        .await
    }

    /// Writes thoughts in order, those of one step at once: each change of a large file has its price. The number of the
    /// last one. `Conflict` when the run was cancelled or taken over meanwhile: stop.
    pub async fn add_thoughts(
        &self,
        lease: Lease,
        thoughts: Vec<NewThought>,
        progress: Progress,
    ) -> Result<u32, CommandError> {
        self.command(move |tx| think(tx, lease, thoughts, Some(progress))).await
    }

    /// Stores the answer of a run that goes on: people see it at once, and what comes later is added to it. The run stays
    /// leased for `hold` from now.
    pub async fn answer_investigation(
        &self,
        lease: Lease,
        finish: Finish,
        hold: Duration,
    ) -> Result<Incident, CommandError> {
        let id = lease.incident;
        self.on_incident(id, move |tx| {
            let mut job = running(tx, lease)?;
            job.leased_until = Some(tx.now.plus(hold));
            job.answered = true;
            tx.put_job(&job)?;
            publish(tx, id, finish, false)?;
            Ok(analyzed(tx, id)?)
        })
        .await
    }

    /// Ends a run: the job goes, the answer is stored, `investigating` becomes `analyzed`.
    pub async fn finish_investigation(&self, lease: Lease, finish: Finish) -> Result<Incident, CommandError> {
        let id = lease.incident;
        self.on_incident(id, move |tx| end(tx, lease, finish)).await
    }
}

/// Writes the thoughts of a run. The number of the last one.
pub(in crate::store) fn think(
    tx: &mut Tx<'_>,
    lease: Lease,
    thoughts: Vec<NewThought>,
    progress: Option<Progress>,
) -> Result<u32, CommandError> {
    let id = lease.incident;
    running(tx, lease)?;
    let now = tx.now;
    let mut n = tx.asked_incident(id)?.investigation.steps;
    for NewThought { kind, text, evidence } in thoughts {
        n += 1;
        put(&mut tx.thoughts, (id.0, u64::from(n)), &Thought { id: n, at: now, kind, text, evidence })?;
        tx.log(ChangeSubject::Thought(id, n))?;
    }
    let head = &mut tx.asked_incident(id)?.investigation;
    head.steps = n;
    let moved = progress.is_some() && head.progress != progress;
    head.progress = progress.or(head.progress);
    if moved {
        tx.changed(id, IncidentChange::Investigation);
    }
    Ok(n)
}

/// Ends a run with its answer.
pub(in crate::store) fn end(tx: &mut Tx<'_>, lease: Lease, finish: Finish) -> Result<(), CommandError> {
    let id = lease.incident;
    let Job { again, answered, reason, .. } = running(tx, lease)?;
    tx.remove_job(id)?;
    // Once each way: what is made again for this reason asks nobody else.
    if reason != lifecycle::NEARBY {
        for other in &finish.around {
            if tx.incident(*other)?.is_some_and(|i| i.is_open()) {
                lifecycle::nearby(tx, *other)?;
            }
        }
    }
    write_answer(tx, id, finish, answered)?;
    analyzed(tx, id)?;
    if again {
        lifecycle::queue(tx, id, lifecycle::CHANGED)?;
    }
    Ok(())
}

/// Records what a person found to be the cause. Later investigations of its services remember it.
pub(in crate::store) fn record_cause(
    tx: &mut Tx<'_>,
    id: IncidentId,
    service: Option<String>,
    symptom: Option<Symptom>,
    actor: &Actor,
) -> Result<(), CommandError> {
    feedback::record(tx, id, GivenCause::Named { service, host: None, symptom }, actor)
}

/// Takes the most urgent job that is due.
pub(in crate::store) fn lease_next(
    tx: &mut Tx<'_>,
    lease: Duration,
    engine: &str,
) -> Result<Option<Job>, CommandError> {
    let Some(id) = tx.world.queue.first_due(tx.now) else { return Ok(None) };
    let Some(mut job) = tx.job(id)? else { return Ok(None) };
    job.leased_until = Some(tx.now.plus(lease));
    job.attempts += 1;
    job.answered = false;
    job.lease = tx.world.next(meta::CHANGE);
    tx.put_job(&job)?;
    let old: Vec<u64> = tx
        .thoughts
        .range((id.0, 0)..=(id.0, u64::MAX))?
        .map(|row| Ok(row?.0.value().1))
        .collect::<Result<_, StoreError>>()?;
    for n in old {
        tx.thoughts.remove((id.0, n))?;
    }
    let now = tx.now;
    let head = &mut tx.known_incident(id)?.investigation;
    head.state = InvestigationState::Running;
    head.engine = Some(engine.to_owned());
    head.started_at = Some(now);
    head.finished_at = None;
    head.error = None;
    head.steps = 0;
    head.progress = None;
    tx.changed(id, IncidentChange::Investigation);
    tx.note(
        id,
        TimelineKind::InvestigationStarted,
        &Actor::System,
        "Investigation started.",
        json!({ "reason": job.reason }),
    )?;
    Ok(Some(job))
}

/// A run may write only while its own lease holds: after a cancel and a new start, the old runner must not end the new run.
fn running(tx: &mut Tx<'_>, lease: Lease) -> Result<Job, CommandError> {
    match tx.job(lease.incident)? {
        Some(job) if job.leased_until.is_some() && job.lease == lease.number => Ok(job),
        _ => Err(CommandError::Conflict {
            detail: format!("this investigation of {} was stopped", lease.incident),
            allowed: vec!["investigate".to_owned()],
        }),
    }
}

fn analyzed(tx: &mut Tx<'_>, id: IncidentId) -> Result<(), StoreError> {
    let now = tx.now;
    let incident = tx.known_incident(id)?;
    if incident.status == IncidentStatus::Investigating {
        incident.status = IncidentStatus::Analyzed;
        incident.analyzed_at = Some(now);
        tx.changed(id, IncidentChange::Status);
    }
    Ok(())
}

/// Stores an answer, whoever still works on it. When the one before was of the same run (`told`), only what differs is told.
fn publish(tx: &mut Tx<'_>, id: IncidentId, finish: Finish, told: bool) -> Result<(), StoreError> {
    let before: Investigation = get(&tx.answers, id.0)?.unwrap_or_default();
    let mut answer = finish.answer;
    let own = OwnWords { conclusion: finish.conclusion, summary: finish.summary, first: None };
    let complete = finish.state == InvestigationState::Complete;
    feedback::keep(tx, id, before.clone(), &mut answer, own, complete)?;
    put(&mut tx.answers, id.0, &answer)?;
    for suggestion in answer.suggestions.iter().filter(|s| !told || !before.suggestions.contains(s)) {
        tx.log(ChangeSubject::Suggestion(id, suggestion.id.clone()))?;
    }
    for cause in answer.causes.iter().filter(|c| !told || !before.causes.contains(c)) {
        tx.log(ChangeSubject::Cause(id, cause.rank))?;
    }
    let head = &mut tx.known_incident(id)?.investigation;
    head.error = finish.error;
    if let (Some(opinion), Some(engine)) = (&answer.opinion, &mut head.engine) {
        *engine = format!("{engine} + {}", opinion.model);
    }
    tx.changed(id, IncidentChange::Investigation);
    Ok(())
}

fn write_answer(tx: &mut Tx<'_>, id: IncidentId, finish: Finish, told: bool) -> Result<(), StoreError> {
    let (now, state) = (tx.now, finish.state);
    publish(tx, id, finish, told)?;
    let head = &mut tx.known_incident(id)?.investigation;
    head.state = state;
    head.finished_at = Some(now);
    head.progress = None;
    let (steps, started) = (head.steps, head.started_at);
    let text = match state {
        InvestigationState::Error => {
            format!("Investigation failed: {}.", head.error.as_deref().unwrap_or("no reason was given"))
        }
        _ => match head.conclusion {
            Some(conclusion) => format!("Investigation finished: {conclusion}."),
            None => "Investigation finished.".to_owned(),
        },
    };
    let took = started.map(|t| u64::try_from(now.since(t).as_millis()).unwrap_or(u64::MAX));
    tx.note(id, TimelineKind::InvestigationFinished, &Actor::System, text, json!({ "steps": steps, "took_ms": took }))
}
