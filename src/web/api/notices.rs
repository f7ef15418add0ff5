//! Why somebody was told, or not: what was considered about an incident, what became of each message, and what comes next.

use std::collections::BTreeMap;

use axum::{Json as Answer, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    incident_id, listing,
    params::{Params, wrong},
};
use crate::{
    model::*,
    notifications::policy::{self, Happened, times},
    store::{StoreError, Telling, View},
    web::{auth::Viewer, error::ApiError, extract::Path, query, state::AppState},
};

/// Messages that are looked at for a list.
const LOOK: usize = 5_000;

/// One message to one target.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct NoticeObject {
    /// `N-7`.
    id: NoticeId,
    /// About which incident; none for a test.
    incident_id: Option<IncidentId>,
    /// What is told.
    event: NoticeEvent,
    /// What the severity was before, where that is told.
    severity_before: Option<Severity>,
    /// By which rule.
    rule: Option<RuleId>,
    /// What that is called now; none when it is gone.
    rule_name: Option<String>,
    /// By which step of a policy.
    rung: Option<Rung>,
    /// Why this target.
    reason: String,
    /// Where to.
    channel: ChannelId,
    /// What that is called now; none when it is gone.
    channel_name: Option<String>,
    /// Its kind.
    channel_kind: Option<String>,
    /// Who is reached there; none when it goes to the channel itself.
    person: Option<String>,
    /// Where it stands.
    state: NoticeState,
    /// Why it stands there, in one sentence.
    why: Option<String>,
    /// When it was written.
    created_at: Time,
    /// When it should go out first.
    planned_at: Time,
    /// When it is tried next; none once it has come to its end.
    due_at: Option<Time>,
    /// When it came to its end.
    ended_at: Option<Time>,
    /// The last ten tries.
    attempts: Vec<Attempt>,
    /// All tries.
    tries: u32,
    /// A try was begun of which the end is not known: it may arrive twice.
    in_doubt: bool,
    /// In which message it was told.
    told_in: Option<NoticeId>,
    /// The channel that failed before, and that this one stands in for.
    instead_of: Option<ChannelId>,
}

impl NoticeObject {
    /// As it is told; a person's own address is not.
    pub fn of(n: Notice, telling: &Telling) -> Self {
        let channel = telling.channels.get(&n.channel.0);
        let rule = n.rule.and_then(|id| telling.rule(id));
        let why = n.why.clone().or_else(|| waits(&n, rule));
        Self {
            id: n.id,
            incident_id: n.incident,
            event: n.event,
            severity_before: n.severity_before,
            rule: n.rule,
            rule_name: rule.map(|r| r.name.clone()),
            rung: n.rung,
            channel: n.channel,
            channel_name: channel.map(|c| c.name.clone()),
            channel_kind: channel.map(|c| c.kind.clone()),
            due_at: n.is_pending().then_some(n.due_at),
            reason: n.reason,
            person: n.person,
            state: n.state,
            why,
            created_at: n.created_at,
            planned_at: n.planned_at,
            ended_at: n.ended_at,
            attempts: n.attempts,
            tries: n.tries,
            in_doubt: n.in_doubt,
            told_in: n.told_in,
            instead_of: n.instead_of,
        }
    }
}

/// What holds a message back that was not tried yet.
fn waits(n: &Notice, rule: Option<&NoticeRule>) -> Option<String> {
    if n.state != NoticeState::Waiting || n.due_at <= n.created_at {
        return None;
    }
    let quiet = rule.and_then(|r| r.quiet.as_ref()).filter(|q| times::until(&q.times, n.created_at) == Some(n.due_at));
    Some(match (quiet, rule, n.event) {
        (Some(quiet), ..) => format!("Quiet hours, {}, hold it back.", times::words(&quiet.times)),
        (None, _, NoticeEvent::Reminder) => "It reminds if the incident is still open then.".to_owned(),
        (None, Some(rule), _) if rule.wait_secs > 0 || rule.gather_secs > 0 => {
            format!("“{}” waits before it tells.", rule.name)
        }
        _ => "Its time has not come.".to_owned(),
    })
}

/// Something that keeps people from being told.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HeldBy {
    /// `silence`, `maintenance`, `snooze`, `test` or `quiet_hours`.
    kind: &'static str,
    /// Its id: of the silence or maintenance window, or of the rule with the quiet hours.
    id: Option<String>,
    /// In one sentence.
    text: String,
    /// Until when, where that is known.
    until: Option<Time>,
}

/// A step of a policy that comes next.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct NextStep {
    /// Which, from 1.
    step: u32,
    /// The round, from 1.
    round: u32,
    /// When.
    at: Time,
    /// Whom it would tell as things stand: `ada by Mail`.
    tells: Vec<String>,
    /// In one sentence, with whom it would not reach and why.
    text: String,
}

/// Where the escalation of an incident stands.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EscalationObject {
    /// By which policy.
    policy: PolicyId,
    /// What that is called now; none when it is gone.
    policy_name: Option<String>,
    /// Which rule began it.
    rule: RuleId,
    /// When it began.
    began_at: Time,
    /// Somebody has acknowledged: no step comes while that holds.
    acknowledged: bool,
    /// Until when the acknowledgement holds; none when for good, or without one.
    acknowledged_until: Option<Time>,
    /// What comes next, if nobody acknowledges.
    next: Option<NextStep>,
    /// Why nothing comes any more.
    ended: Option<String>,
}

/// What was told of an incident, to whom, why, and what comes next.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct IncidentNotifications {
    /// Which incident.
    incident_id: IncidentId,
    /// What keeps people from being told now.
    held_by: Vec<HeldBy>,
    /// What was considered whenever something happened, oldest first.
    considerations: Vec<Considerations>,
    /// Messages, oldest first; of very many the latest 500.
    notifications: Vec<NoticeObject>,
    /// Where its escalation stands; none when there is none.
    escalation: Option<EscalationObject>,
}

listing! {
    /// Messages, newest first.
    Notices { notifications: NoticeObject }
}

fn held_by(view: &View, telling: &Telling, i: &Incident, notices: &[Notice]) -> Result<Vec<HeldBy>, StoreError> {
    let mut held = Vec::new();
    if i.test {
        let text = "It is a test; nobody is told.".to_owned();
        held.push(HeldBy { kind: "test", id: None, text, until: None });
    }
    let counts = view.muted_in(i)?;
    for mute in view.mutes_named(&counts.keys().copied().collect::<Vec<_>>())? {
        let count = counts.get(&mute.id).copied().unwrap_or_default();
        let (kind, name) = match mute.id.kind {
            MuteKind::Silence => ("silence", "Silence"),
            MuteKind::Maintenance => ("maintenance", "Maintenance window"),
        };
        let all = if i.muted { "Nobody is told." } else { "Others of its alerts burn; people are told." };
        let text = format!("{name} {} mutes {count} of its {} open alerts. {all}", mute.id, i.firing_count);
        held.push(HeldBy { kind, id: Some(mute.id.to_string()), text, until: mute.on_until });
    }
    if let Some(snooze) = &i.snoozed {
        let text = format!("{} snoozed it; nobody is told until it wakes.", snooze.by);
        held.push(HeldBy { kind: "snooze", id: None, text, until: Some(snooze.until) });
    }
    let mut rules: BTreeMap<RuleId, Time> = BTreeMap::new();
    for notice in notices.iter().filter(|n| n.state == NoticeState::Waiting && n.tries == 0) {
        rules.extend(notice.rule.map(|rule| (rule, notice.created_at)));
    }
    for (id, at) in rules {
        let Some((rule, quiet)) = telling.rule(id).and_then(|r| Some((r, r.quiet.as_ref()?))) else { continue };
        if let Some(until) = times::until(&quiet.times, at)
            && notices.iter().any(|n| n.rule == Some(id) && n.state == NoticeState::Waiting && n.due_at == until)
        {
            let text = format!("“{}” keeps quiet: {}.", rule.name, times::words(&quiet.times));
            held.push(HeldBy { kind: "quiet_hours", id: Some(id.to_string()), text, until: Some(until) });
        }
    }
    Ok(held)
}

fn escalation(telling: &Telling, incident: &Incident, e: Escalation) -> EscalationObject {
    let row = telling.policies.get(&e.policy.0);
    let comes = e.next_at.filter(|_| e.ended.is_none() && !e.acknowledged);
    let next = comes.zip(row).map(|(at, row)| {
        let rung = Rung { policy: row.id, step: e.step, round: e.round };
        let happened = Happened { event: NoticeEvent::Escalated, incident, severity_before: None, now: at };
        let (wishes, considered) = policy::escalate(telling.book(), row, rung, e.rule, happened);
        let name = |id: ChannelId| telling.channels.get(&id.0).map_or_else(|| id.to_string(), |c| c.name.clone());
        let tells = wishes.iter().map(|w| match &w.person {
            Some(person) => format!("{person} by {}", name(w.channel)),
            None => name(w.channel),
        });
        NextStep {
            step: e.step.saturating_add(1),
            round: u32::from(e.round).saturating_add(1),
            at,
            tells: tells.collect(),
            text: considered.why,
        }
    });
    EscalationObject {
        policy: e.policy,
        policy_name: row.map(|p| p.name.clone()),
        rule: e.rule,
        began_at: e.began_at,
        acknowledged: e.acknowledged,
        acknowledged_until: e.next_at.filter(|_| e.ended.is_none() && e.acknowledged),
        next,
        ended: e.ended,
    }
}

/// Everything about the notifications of an incident; none when there is no such incident.
pub fn of_incident(view: &View, id: IncidentId) -> Result<Option<IncidentNotifications>, StoreError> {
    let Some(incident) = view.incident(id)? else { return Ok(None) };
    let (telling, notices) = (view.telling()?, view.notices_of(id)?);
    Ok(Some(IncidentNotifications {
        incident_id: id,
        held_by: held_by(view, &telling, &incident, &notices)?,
        considerations: view.considered(id)?,
        escalation: view.escalation(id)?.map(|e| escalation(&telling, &incident, e)),
        notifications: notices.into_iter().map(|n| NoticeObject::of(n, &telling)).collect(),
    }))
}

/// Who was told of an incident, who was not, why, and what comes next.
#[utoipa::path(get, path = "/api/incidents/{id}/notifications", tag = "notifications", operation_id = "incident_notifications",
    params(("id" = String, Path)), responses((status = 200, body = IncidentNotifications)))]
pub async fn incident(
    _: Viewer,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<Answer<IncidentNotifications>, ApiError> {
    let id = incident_id(&named)?;
    let found = state.store.read(move |view| of_incident(view, id)).await?;
    found.map(Answer).ok_or_else(|| ApiError::not_found(format!("incident {id}")))
}

/// The latest messages, newest first, among the newest five thousand.
#[utoipa::path(get, path = "/api/notifications", tag = "notifications", operation_id = "notifications_list",
    params(("channel" = Option<String>, Query, description = "one channel"),
        ("state" = Option<String>, Query, description = "waiting, sending, sent, included, dropped, failed; several with commas"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when left out")),
    responses((status = 200, body = Notices)))]
pub async fn list(_: Viewer, State(state): State<AppState>, params: Params) -> Result<Answer<Notices>, ApiError> {
    let channel = params.one("channel").map(str::parse::<ChannelId>).transpose();
    let channel = channel.map_err(|_| wrong("channel", "a channel such as CH-2 is needed"))?;
    let states: Vec<NoticeState> = query::values("state", &params.all("state"))?;
    let limit = params.limit()?;
    let rows = state.store.read(move |view| {
        let telling = view.telling()?;
        // Without a state no more are read than are shown.
        let look = if states.is_empty() { limit } else { LOOK };
        let rows = view.latest_notices(channel, look)?.into_iter();
        let fitting = rows.filter(|n| states.is_empty() || states.contains(&n.state)).take(limit);
        Ok(fitting.map(|n| NoticeObject::of(n, &telling)).collect::<Vec<_>>())
    });
    let mut list = Notices::all(rows.await?);
    // How many there are in all is not counted.
    list.total_is_exact = list.notifications.len() < limit;
    Ok(Answer(list))
}
