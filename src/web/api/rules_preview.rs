//! A rule that is not saved, asked about the incidents of the last days: whom it would have told, and why not.

use std::time::Duration;

use axum::{Json as Answer, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rules::RuleBody;
use crate::{
    model::*,
    notifications::policy::{self, Book, Happened, Rule, Wish},
    store::{CommandError, Telling},
    web::{auth::Responder, error::ApiError, extract::Json, state::AppState},
};

/// Incidents that are asked about.
const LOOK: usize = 2_000;
/// Incidents that are named, of each kind.
const NAMED: usize = 100;
/// Furthest back, in days.
const DAYS: u32 = 90;

/// A rule to try.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TryRule {
    /// The rule.
    rule: RuleBody,
    /// Over the incidents of so many days: 1 to 90, 7 when left out.
    #[serde(default = "week")]
    days: u32,
}

fn week() -> u32 {
    7
}

/// A message that would have been written.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct WouldTell {
    /// Where to.
    channel: ChannelId,
    /// What it is called.
    channel_name: String,
    /// Who is reached there.
    person: Option<String>,
    /// When.
    at: Time,
    /// The step of the escalation policy, from 1; none for the rule itself.
    step: Option<u32>,
    /// Why this target.
    reason: String,
    /// It would have gone out: the incident was not over, and for a step nobody had acknowledged.
    sent: bool,
}

/// An incident, and what the rule would have done when it opened.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Asked {
    /// Which.
    incident_id: IncidentId,
    /// Its title.
    title: String,
    /// How bad it is.
    severity: Severity,
    /// When it opened.
    detected_at: Time,
    /// Its conditions hold.
    fits: bool,
    /// What it would have done.
    outcome: Considering,
    /// Why, in one sentence.
    why: String,
    /// Messages.
    messages: Vec<WouldTell>,
}

/// What a rule would have done. Nothing is changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Rehearsed {
    /// Since when incidents were looked at.
    since: Time,
    /// How many.
    incidents: u64,
    /// Whether all since then were.
    is_exact: bool,
    /// How many it fits.
    fit: u64,
    /// Messages that would have gone out.
    messages: u64,
    /// Those that it fits, newest first; the first hundred.
    fitting: Vec<Asked>,
    /// Those that it does not fit, newest first; the first hundred.
    others: Vec<Asked>,
}

/// What a rule would have done about one incident, as that is known now.
fn ask(telling: &Telling, rule: &Rule, incident: &Incident) -> Asked {
    let rules = std::slice::from_ref(rule);
    let book = Book { rules, ..telling.book() };
    let at = incident.detected_at;
    // As it was when it opened, as far as that is known.
    let then = Incident {
        status: IncidentStatus::Investigating,
        owner: None,
        acknowledged_at: None,
        resolved_at: None,
        snoozed: None,
        ..incident.clone()
    };
    let happened = Happened { event: NoticeEvent::Opened, incident: &then, severity_before: None, now: at };
    let plan = policy::plan(book, happened, &[]);
    let over = incident.resolved_at;
    let taken = incident.acknowledged_at;
    let before = |end: Option<Time>, at: Time| end.is_some_and(|end| end <= at);
    let would = |wish: &Wish, at: Time, step: Option<u32>| WouldTell {
        channel: wish.channel,
        channel_name: telling.channels.get(&wish.channel.0).map_or_else(String::new, |c| c.name.clone()),
        person: wish.person.clone(),
        at,
        step,
        reason: wish.reason.clone(),
        // What is due at once goes out however soon it ended.
        sent: at == incident.detected_at || !(before(over, at) || (step.is_some() && before(taken, at))),
    };
    let mut messages: Vec<WouldTell> = plan.wishes.iter().map(|w| would(w, w.due_at, None)).collect();
    if let Some(row) = plan.escalate.and_then(|(policy, _)| telling.policies.get(&policy.0)) {
        let mut at = at;
        for (n, step) in (0..).zip(&row.steps) {
            at = at.plus(Duration::from_secs(u64::from(step.after_secs)));
            let rung = Rung { policy: row.id, step: n, round: 0 };
            let happened = Happened { event: NoticeEvent::Escalated, now: at, ..happened };
            let (wishes, _) = policy::escalate(book, row, rung, rule.row.id, happened);
            messages.extend(wishes.iter().map(|w| would(w, at, Some(n + 1))));
        }
    }
    let (outcome, why) = match plan.considered.into_iter().next() {
        Some((considered, _)) => (considered.outcome, considered.why),
        None => (Considering::Nobody, String::new()),
    };
    Asked {
        incident_id: incident.id,
        title: incident.title.clone(),
        severity: incident.severity,
        detected_at: at,
        fits: !matches!(outcome, Considering::NotForThis | Considering::Off),
        outcome,
        why,
        messages,
    }
}

/// What a rule would have done about the incidents of the last days, as they are known now. Nothing is saved.
#[utoipa::path(post, path = "/api/rules/preview", tag = "notifications", operation_id = "rule_preview", request_body = TryRule,
    responses((status = 200, body = Rehearsed), (status = 422, description = "every mistake with its place")))]
pub async fn preview(
    _: Responder,
    State(state): State<AppState>,
    Json(tried): Json<TryRule>,
) -> Result<Answer<Rehearsed>, ApiError> {
    if !(1..=DAYS).contains(&tried.days) {
        return Err(ApiError::invalid("/days", format!("1 to {DAYS} days are allowed")));
    }
    let mut row = tried.rule.row(0);
    row.condition = row.condition.map(|c| c.trim().to_owned()).filter(|c| !c.is_empty());
    // What it is called does not matter yet.
    if row.name.trim().is_empty() {
        "This rule".clone_into(&mut row.name);
    }
    let wrong = policy::check(&row);
    if !wrong.is_empty() {
        let placed = wrong.into_iter().map(|m| Mistake::new(format!("/rule{}", m.path), m.what));
        return Err(CommandError::Mistakes(placed.collect()).into());
    }
    let since = state.clock.now().minus(Duration::from_secs(u64::from(tried.days) * 24 * 3600));
    let rehearsed = state.store.read(move |view| {
        let (telling, rule) = (view.telling()?, Rule::read(row));
        let (incidents, is_exact) = view.detected_since(since, LOOK)?;
        let mut out = Rehearsed {
            since,
            incidents: u64::try_from(incidents.len()).unwrap_or(u64::MAX),
            is_exact,
            fit: 0,
            messages: 0,
            fitting: Vec::new(),
            others: Vec::new(),
        };
        for incident in &incidents {
            let asked = ask(&telling, &rule, incident);
            out.messages += u64::try_from(asked.messages.iter().filter(|m| m.sent).count()).unwrap_or(u64::MAX);
            out.fit += u64::from(asked.fits);
            let list = if asked.fits { &mut out.fitting } else { &mut out.others };
            if list.len() < NAMED {
                list.push(asked);
            }
        }
        Ok(out)
    });
    Ok(Answer(rehearsed.await?))
}
