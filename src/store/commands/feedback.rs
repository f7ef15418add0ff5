//! What people say of an investigation's answer: which cause it was, what they did with a suggestion.

use serde_json::json;

use crate::{
    model::*,
    store::{
        CommandError, Store, StoreError,
        apply::outcomes,
        tx::{Tx, get, put},
    },
};

/// Verdicts kept of one incident: beyond that the oldest go.
const JUDGED: usize = 100;
const NAME: usize = 255;

/// A cause as a person names it.
#[derive(Clone, Debug, PartialEq)]
pub enum GivenCause {
    /// One that the investigation found.
    Found {
        /// Its rank.
        rank: u32,
        /// Its mark as the person read it: a later run may have put another one there.
        mark: Option<String>,
    },
    /// Any other; a service or a host is needed.
    Named {
        /// The service at fault.
        service: Option<String>,
        /// The machine at fault.
        host: Option<String>,
        /// What was wrong with it.
        symptom: Option<Symptom>,
    },
}

impl Store {
    /// A person says that a cause is it, or not, or takes back what was said. `mark` is the cause's as they read it, where
    /// that is known: `Conflict` when a later run has put another one at that rank.
    pub async fn judge_cause(
        &self,
        id: IncidentId,
        rank: u32,
        mark: Option<String>,
        verdict: Option<Verdict>,
        actor: Actor,
    ) -> Result<Cause, CommandError> {
        self.command(move |tx| judge(tx, id, (rank, mark), verdict, &actor)).await
    }

    /// A person used or dismissed a suggestion, or takes that back.
    pub async fn set_suggestion_state(
        &self,
        id: IncidentId,
        suggestion: String,
        state: SuggestionState,
        actor: Actor,
    ) -> Result<Suggestion, CommandError> {
        self.command(move |tx| {
            unmerged(tx, id)?;
            let mut answer: Investigation = get(&tx.answers, id.0)?.unwrap_or_default();
            let found = answer.suggestions.iter_mut().find(|s| s.id == suggestion);
            let Some(found) = found else {
                return Err(CommandError::NotFound(format!("suggestion {suggestion} of {id}")));
            };
            let before = std::mem::replace(&mut found.state, state);
            let found = found.clone();
            if before == state {
                return Ok(found);
            }
            put(&mut tx.answers, id.0, &answer)?;
            tx.log(ChangeSubject::Suggestion(id, suggestion.clone()))?;
            let text = match state {
                SuggestionState::Done => format!("Ran the suggestion “{}”.", found.title),
                SuggestionState::Dismissed => format!("Dismissed the suggestion “{}”.", found.title),
                SuggestionState::Open => format!("Took back what was said of the suggestion “{}”.", found.title),
            };
            let data = json!({ "suggestion": suggestion, "title": found.title, "from": before, "state": state });
            tx.note(id, TimelineKind::Feedback, &actor, text, data.clone())?;
            tx.audit(&actor, "incident.suggestion", id.to_string(), data)?;
            Ok(found)
        })
        .await
    }
}

fn unmerged(tx: &mut Tx<'_>, id: IncidentId) -> Result<(), CommandError> {
    if tx.asked_incident(id)?.status == IncidentStatus::Merged {
        return Err(CommandError::Conflict {
            detail: format!("{id} is merged; what is known of its cause stands at the incident that it is part of"),
            allowed: Vec::new(),
        });
    }
    Ok(())
}

/// A person judges one cause.
pub(in crate::store) fn judge(
    tx: &mut Tx<'_>,
    id: IncidentId,
    (rank, mark): (u32, Option<String>),
    verdict: Option<Verdict>,
    actor: &Actor,
) -> Result<Cause, CommandError> {
    unmerged(tx, id)?;
    let before: Investigation = get(&tx.answers, id.0)?.unwrap_or_default();
    let Some(cause) = before.causes.iter().find(|c| c.rank == rank).cloned() else {
        return Err(CommandError::NotFound(format!("cause {rank} of {id}")));
    };
    if mark.is_some_and(|m| m != cause.mark()) {
        return Err(CommandError::Conflict {
            detail: format!("the causes of {id} were ranked anew meanwhile; look again"),
            allowed: Vec::new(),
        });
    }
    if cause.verdict == verdict {
        return Ok(cause);
    }
    let mut answer = before.clone();
    take_back(&mut answer, &cause);
    match verdict {
        Some(Verdict::Right) => {
            let recorded = RecordedCause {
                service: cause.service.clone(),
                host: cause.host.clone(),
                symptom: cause.symptom,
                by: actor.to_string(),
                at: tx.now,
            };
            confirm(&mut answer, recorded, Some(&cause));
        }
        Some(Verdict::Wrong) => {
            answer.judged.push(Judged::of(&cause, Verdict::Wrong, actor.to_string(), tx.now));
            answer.apply_verdicts();
        }
        None => {}
    }
    let text = match verdict {
        Some(Verdict::Right) => format!("This is it: {}.", cause.title),
        Some(Verdict::Wrong) => format!("Not this: {}.", cause.title),
        None => format!("Took back what was said of the cause “{}”.", cause.title),
    };
    settle(tx, id, &before, &mut answer)?;
    let data = json!({ "rank": rank, "title": cause.title, "service": cause.service, "host": cause.host,
        "symptom": cause.symptom, "from": cause.verdict, "verdict": verdict });
    tx.note(id, TimelineKind::Feedback, actor, text, data.clone())?;
    tx.audit(actor, "incident.cause", id.to_string(), data)?;
    let judged = answer.causes.into_iter().find(|c| c.rank == rank);
    judged.ok_or_else(|| StoreError::Damaged(format!("cause {rank} of {id} is gone")).into())
}

/// Forgets what was said of a cause, and that it was recorded.
fn take_back(answer: &mut Investigation, cause: &Cause) {
    forget(answer, cause);
    if cause.verdict == Some(Verdict::Right) {
        answer.recorded = None;
    }
    answer.apply_verdicts();
}

/// Forgets what was said of a cause under its own title, or under one that no cause has any more.
fn forget(answer: &mut Investigation, cause: &Cause) {
    let causes = &answer.causes;
    let meant = |j: &Judged| j.title == cause.title || !causes.iter().any(|c| c.title == j.title);
    answer.judged.retain(|j| !(j.is_of(cause) && meant(j)));
}

/// Records the cause; of those found, at most one is right.
fn confirm(answer: &mut Investigation, recorded: RecordedCause, found: Option<&Cause>) {
    answer.judged.retain(|j| j.verdict != Verdict::Right);
    if let Some(cause) = found {
        forget(answer, cause);
        answer.judged.push(Judged::of(cause, Verdict::Right, recorded.by.clone(), recorded.at));
    }
    answer.recorded = Some(recorded);
    answer.apply_verdicts();
}

/// Records what a person found to be the cause. Later investigations of its services remember it.
pub(in crate::store) fn record(
    tx: &mut Tx<'_>,
    id: IncidentId,
    cause: GivenCause,
    actor: &Actor,
) -> Result<(), CommandError> {
    let (service, host, symptom) = match cause {
        GivenCause::Found { rank, mark } => {
            return judge(tx, id, (rank, mark), Some(Verdict::Right), actor).map(drop);
        }
        GivenCause::Named { service, host, symptom } => (named("service", service)?, named("host", host)?, symptom),
    };
    unmerged(tx, id)?;
    let recorded = RecordedCause { service, host, symptom, by: actor.to_string(), at: tx.now };
    let before: Investigation = get(&tx.answers, id.0)?.unwrap_or_default();
    let mut answer = before.clone();
    let found = answer.causes.iter().filter(|c| c.is(&recorded)).min_by_key(|c| (c.ruled_out, c.rank)).cloned();
    let title = recorded.as_cause().title;
    let data = json!({ "service": recorded.service, "host": recorded.host, "symptom": recorded.symptom });
    confirm(&mut answer, recorded, found.as_ref());
    settle(tx, id, &before, &mut answer)?;
    tx.note(id, TimelineKind::Feedback, actor, format!("The cause was recorded: {title}."), data.clone())?;
    Ok(tx.audit(actor, "incident.cause", id.to_string(), data)?)
}

fn named(field: &str, name: Option<String>) -> Result<Option<String>, CommandError> {
    let name = name.map(|n| n.trim().to_owned()).filter(|n| !n.is_empty());
    match name.as_ref().map(|n| n.chars().count()) {
        Some(length) if length > NAME => Err(CommandError::Invalid {
            field: format!("/cause/{field}"),
            detail: format!("it has {length} characters; {NAME} are allowed"),
        }),
        _ => Ok(name),
    }
}

/// Writes an answer that people have judged: the head and the list follow it, and streams are told of every cause that
/// is seen otherwise now.
fn settle(
    tx: &mut Tx<'_>,
    id: IncidentId,
    before: &Investigation,
    answer: &mut Investigation,
) -> Result<(), StoreError> {
    let surplus = answer.judged.len().saturating_sub(JUDGED);
    answer.judged.drain(..surplus);
    put(&mut tx.answers, id.0, answer)?;
    for (cause, was) in answer.causes.iter().zip(&before.causes) {
        if cause.verdict != was.verdict {
            tx.log(ChangeSubject::Cause(id, cause.rank))?;
        }
    }
    tell(tx.known_incident(id)?, answer);
    tx.changed(id, IncidentChange::Investigation);
    outcomes::settle(tx, id)
}

/// The head of an incident as its answer has it.
fn tell(incident: &mut Incident, answer: &Investigation) {
    incident.first_right = answer.first_was_right();
    incident.leading = match (&answer.recorded, answer.leading()) {
        (Some(_), Some(c)) if c.is_right() => Some(Leading { title: c.title.clone(), confidence: 1.0 }),
        (Some(recorded), _) => Some(Leading { title: recorded.as_cause().title, confidence: 1.0 }),
        (None, lead) => lead.map(|c| Leading { title: c.title.clone(), confidence: c.confidence }),
    };
    // Before the first run has ended there is only what people recorded.
    if answer.own.is_some() || answer.recorded.is_some() {
        incident.investigation.conclusion = answer.conclusion();
        incident.investigation.summary = answer.summary();
    } else {
        (incident.investigation.conclusion, incident.investigation.summary) = (None, None);
    }
}

/// What a run found, with what people said before it: their verdicts stay, and what they judged wrong is not put first
/// again. Fills the head of the incident.
pub(super) fn keep(
    tx: &mut Tx<'_>,
    id: IncidentId,
    before: Investigation,
    answer: &mut Investigation,
    own: OwnWords,
    complete: bool,
) -> Result<(), StoreError> {
    let now = tx.now;
    for suggestion in &mut answer.suggestions {
        let judged = before.suggestions.iter().find(|s| s.title == suggestion.title && s.command == suggestion.command);
        if let Some(judged) = judged {
            suggestion.state = judged.state;
        }
    }
    let first = answer.causes.iter().filter(|c| !c.ruled_out).min_by_key(|c| c.rank).cloned();
    answer.own = Some(OwnWords { first: first.as_ref().map(|c| c.title.clone()), ..own });
    answer.first = match before.is_unjudged() && complete {
        true => first.map(|c| FirstAnswer::of(&c, now)),
        false => before.first,
    };
    (answer.recorded, answer.judged) = (before.recorded, before.judged);
    answer.apply_verdicts();
    if let Some(recorded) = answer.recorded.clone().filter(|_| !answer.causes.iter().any(Cause::is_right)) {
        // Recorded when no cause was it: this run may have found it.
        let found = answer.causes.iter().filter(|c| c.is(&recorded)).min_by_key(|c| (c.ruled_out, c.rank)).cloned();
        confirm(answer, recorded, found.as_ref());
    }
    answer.reorder();
    tell(tx.known_incident(id)?, answer);
    Ok(())
}

/// How an incident ended, as a person tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolution {
    /// In a sentence.
    pub reason: Option<String>,
    /// What it was.
    pub cause: Option<GivenCause>,
}

/// Whether a cause can be recorded as it was given.
pub(super) fn checked(cause: &GivenCause) -> Result<(), CommandError> {
    let GivenCause::Named { service, host, .. } = cause else { return Ok(()) };
    let empty = |n: &Option<String>| n.as_ref().is_none_or(|n| n.trim().is_empty());
    if empty(service) && empty(host) {
        return Err(CommandError::Invalid {
            field: "/cause/service".to_owned(),
            detail: "a cause needs a service or a host".to_owned(),
        });
    }
    Ok(())
}
