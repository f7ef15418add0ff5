//! How people are reached, who is on call, who is told one after the other.

use serde_json::json;

use super::{
    channels::{MOST, check_name, full, needed},
    notice_rules::{check_targets, is_person},
};
use crate::{
    model::*,
    notifications::policy::on_call,
    store::{CommandError, Store, seal, tx::Tx},
};

/// Ways to reach one person.
const CONTACTS: usize = 20;
/// Steps of a policy.
const STEPS: usize = 20;
/// Longest pause between steps, and longest hold of an acknowledgement.
const LONGEST: u32 = 7 * 24 * 3600;

fn mistakes(wrong: Vec<Mistake>) -> Result<(), CommandError> {
    if wrong.is_empty() { Ok(()) } else { Err(CommandError::Mistakes(wrong)) }
}

/// What of the rest leads to a target.
fn users(tx: &Tx<'_>, leads: impl Fn(&Target) -> bool) -> Vec<String> {
    let telling = &tx.world.telling;
    let rules = telling.rules().filter(|r| r.targets.iter().any(&leads)).map(|r| format!("rule “{}”", r.name));
    let steps = telling.policies.values().filter(|p| p.steps.iter().any(|s| s.targets.iter().any(&leads)));
    rules.chain(steps.map(|p| format!("policy “{}”", p.name))).collect()
}

impl Store {
    /// Sets how a person is reached.
    pub async fn put_contacts(&self, row: Contacts, actor: Actor) -> Result<Contacts, CommandError> {
        self.command(move |tx| {
            if !is_person(tx, &row.person)? {
                return Err(CommandError::NotFound(format!("account {}", row.person)));
            }
            let mut wrong = Vec::new();
            if row.contacts.len() > CONTACTS {
                wrong.push(Mistake::new("/contacts", format!("at most {CONTACTS} are allowed")));
            }
            for (n, contact) in row.contacts.iter().enumerate() {
                if !tx.world.telling.channels.contains_key(&contact.channel.0) {
                    let what = format!("there is no channel {}", contact.channel);
                    wrong.push(Mistake::new(format!("/contacts/{n}/channel"), what));
                }
                if contact.address.as_ref().is_some_and(|a| a.trim().is_empty() || a.chars().count() > 500) {
                    let what = "1 to 500 characters are needed; leave it out for the channel's own";
                    wrong.push(Mistake::new(format!("/contacts/{n}/address"), what));
                }
            }
            mistakes(wrong)?;
            let before = tx.world.telling.people.get(&row.person).cloned().unwrap_or_default();
            tx.put_contacts(&row)?;
            tx.log(ChangeSubject::Notifications)?;
            let data = json!({ "from": before.contacts, "to": row.contacts });
            tx.audit(&actor, "contacts.change", row.person.clone(), data)?;
            Ok(row)
        })
        .await
    }

    /// Makes a schedule, or changes the one of that id.
    pub async fn put_schedule(
        &self,
        id: Option<ScheduleId>,
        new: OnCallSchedule,
        actor: Actor,
    ) -> Result<OnCallSchedule, CommandError> {
        let mut feed = [0; 16];
        seal::random(&mut feed)?;
        let feed: String = feed.iter().map(|b| format!("{b:02x}")).collect();
        self.command(move |tx| {
            let before = match id {
                Some(id) => Some(known_schedule(tx, id)?),
                None => None,
            };
            let mut row = OnCallSchedule {
                id: id.unwrap_or_default(),
                name: new.name.trim().to_owned(),
                feed_secret: before.as_ref().map_or(feed, |b| b.feed_secret.clone()),
                created_at: before.as_ref().map_or(tx.now, |b| b.created_at),
                created_by: before.as_ref().map_or_else(|| actor.to_string(), |b| b.created_by.clone()),
                updated_at: tx.now,
                ..new
            };
            for o in row.overrides.iter_mut().filter(|o| o.by.is_empty()) {
                o.by = actor.to_string();
            }
            let mut people =
                row.rotations.iter().flat_map(|r| &r.people).chain(row.overrides.iter().map(|o| &o.person));
            let unknown: Vec<&String> = people
                .by_ref()
                .map(|p| Ok((p, is_person(tx, p)?)))
                .filter_map(|r: Result<_, CommandError>| match r {
                    Ok((p, false)) => Some(Ok(p)),
                    Ok(_) => None,
                    Err(e) => Some(Err(e)),
                })
                .collect::<Result<_, _>>()?;
            let mut wrong: Vec<Mistake> = check_name(&row.name).into_iter().collect();
            wrong.extend(on_call::check(&row, |p| !unknown.iter().any(|u| *u == p)));
            mistakes(wrong)?;
            if before.is_none() {
                if tx.world.telling.schedules.len() >= MOST {
                    return Err(full("schedules"));
                }
                row.id = ScheduleId(tx.next_in_book());
            }
            tx.put_schedule(&row)?;
            tx.log(ChangeSubject::Notifications)?;
            let (what, data) = match &before {
                None => ("schedule.create", audited(&row)),
                Some(before) => ("schedule.change", json!({ "from": audited(before), "to": audited(&row) })),
            };
            tx.audit(&actor, what, row.id.to_string(), data)?;
            Ok(row)
        })
        .await
    }

    /// Puts somebody else on call for a while.
    pub async fn override_schedule(
        &self,
        id: ScheduleId,
        new: Override,
        actor: Actor,
    ) -> Result<OnCallSchedule, CommandError> {
        self.command(move |tx| {
            let before = known_schedule(tx, id)?;
            let mut row = before.clone();
            let day = std::time::Duration::from_secs(24 * 3600);
            row.overrides.retain(|o| o.until.plus(day * 30) > tx.now);
            row.overrides.push(Override { by: actor.to_string(), ..new });
            let is_there = is_person(tx, &row.overrides.last().map(|o| o.person.clone()).unwrap_or_default())?;
            let last = row.overrides.len().saturating_sub(1);
            let wrong = on_call::check(&row, |_| true).into_iter().chain(
                (!is_there).then(|| Mistake::new(format!("/overrides/{last}/person"), "there is no such account")),
            );
            mistakes(wrong.map(|m| Mistake::new(m.path.replace(&format!("/overrides/{last}"), ""), m.what)).collect())?;
            row.updated_at = tx.now;
            tx.put_schedule(&row)?;
            tx.log(ChangeSubject::Notifications)?;
            tx.audit(&actor, "schedule.override", id.to_string(), json!({ "override": row.overrides.last() }))?;
            Ok(row)
        })
        .await
    }

    /// Removes a schedule that nothing uses.
    pub async fn remove_schedule(&self, id: ScheduleId, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let row = known_schedule(tx, id)?;
            let by = users(tx, |t| *t == Target::OnCall(id));
            if !by.is_empty() {
                return Err(needed(&format!("“{}”", row.name), &by));
            }
            tx.remove_schedule(id)?;
            tx.log(ChangeSubject::Notifications)?;
            Ok(tx.audit(&actor, "schedule.remove", id.to_string(), audited(&row))?)
        })
        .await
    }

    /// Makes a policy, or changes the one of that id.
    pub async fn put_policy(
        &self,
        id: Option<PolicyId>,
        new: EscalationPolicy,
        actor: Actor,
    ) -> Result<EscalationPolicy, CommandError> {
        self.command(move |tx| {
            let before = match id {
                Some(id) => Some(known_policy(tx, id)?),
                None => None,
            };
            let mut row = EscalationPolicy {
                id: id.unwrap_or_default(),
                name: new.name.trim().to_owned(),
                created_at: before.as_ref().map_or(tx.now, |b| b.created_at),
                created_by: before.as_ref().map_or_else(|| actor.to_string(), |b| b.created_by.clone()),
                updated_at: tx.now,
                ..new
            };
            let mut wrong: Vec<Mistake> = check_name(&row.name).into_iter().collect();
            if row.steps.is_empty() || row.steps.len() > STEPS {
                wrong.push(Mistake::new("/steps", format!("1 to {STEPS} steps are needed")));
            }
            for (n, step) in row.steps.iter().enumerate() {
                if step.targets.is_empty() {
                    wrong.push(Mistake::new(format!("/steps/{n}/targets"), "somebody must be told"));
                }
                if step.after_secs > LONGEST {
                    wrong.push(Mistake::new(format!("/steps/{n}/after_secs"), "at most seven days are allowed"));
                }
                wrong.extend(check_targets(tx, &step.targets, &format!("/steps/{n}/targets"))?);
            }
            let all: u64 = row.steps.iter().map(|s| u64::from(s.after_secs)).sum();
            if row.repeat > 0 && all < 60 {
                wrong.push(Mistake::new("/repeat", "steps that are repeated must take a minute in all"));
            }
            if row.repeat > 50 {
                wrong.push(Mistake::new("/repeat", "at most 50 times are allowed"));
            }
            if row.unacknowledge_secs.is_some_and(|s| !(60..=LONGEST).contains(&s)) {
                wrong.push(Mistake::new("/unacknowledge_secs", "a minute to seven days are allowed"));
            }
            mistakes(wrong)?;
            if before.is_none() {
                if tx.world.telling.policies.len() >= MOST {
                    return Err(full("policies"));
                }
                row.id = PolicyId(tx.next_in_book());
            }
            tx.put_policy(&row)?;
            tx.log(ChangeSubject::Notifications)?;
            let said = |p: &EscalationPolicy| {
                json!({ "name": p.name, "steps": p.steps, "repeat": p.repeat,
                "unacknowledge_secs": p.unacknowledge_secs })
            };
            let (what, data) = match &before {
                None => ("policy.create", said(&row)),
                Some(before) => ("policy.change", json!({ "from": said(before), "to": said(&row) })),
            };
            tx.audit(&actor, what, row.id.to_string(), data)?;
            Ok(row)
        })
        .await
    }

    /// Removes a policy that no rule uses. Escalations that run by it end.
    pub async fn remove_policy(&self, id: PolicyId, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let row = known_policy(tx, id)?;
            let rules = tx.world.telling.rules().filter(|r| r.policy == Some(id));
            let by: Vec<String> = rules.map(|r| format!("rule “{}”", r.name)).collect();
            if !by.is_empty() {
                return Err(needed(&format!("“{}”", row.name), &by));
            }
            tx.remove_policy(id)?;
            tx.log(ChangeSubject::Notifications)?;
            Ok(tx.audit(&actor, "policy.remove", id.to_string(), json!({ "name": row.name }))?)
        })
        .await
    }

    /// Makes a heartbeat, or changes the one of that id.
    pub async fn put_heartbeat(
        &self,
        id: Option<HeartbeatId>,
        new: Heartbeat,
        actor: Actor,
    ) -> Result<Heartbeat, CommandError> {
        self.command(move |tx| {
            let before = match id {
                Some(id) => Some(known_heartbeat(tx, id)?),
                None => None,
            };
            let mut row = Heartbeat {
                id: id.unwrap_or_default(),
                name: new.name.trim().to_owned(),
                last_at: before.as_ref().and_then(|b| b.last_at),
                created_at: before.as_ref().map_or(tx.now, |b| b.created_at),
                created_by: before.as_ref().map_or_else(|| actor.to_string(), |b| b.created_by.clone()),
                // It counts from now on.
                updated_at: tx.now,
                missing_since: None,
                ..new
            };
            let mut wrong: Vec<Mistake> = check_name(&row.name).into_iter().collect();
            if !(30..=LONGEST).contains(&row.every_secs) {
                wrong.push(Mistake::new("/every_secs", "30 seconds to seven days are allowed"));
            }
            if let HeartbeatFrom::Alerts(matchers) = &row.from
                && let Err(found) = crate::correlation::mutes::matchers(matchers)
            {
                wrong.extend(
                    found.into_iter().map(|m| {
                        Mistake::new(format!("/from/alerts{}", m.path.trim_start_matches("/matchers")), m.what)
                    }),
                );
            }
            mistakes(wrong)?;
            if before.is_none() {
                if tx.world.telling.heartbeats.len() >= MOST {
                    return Err(full("heartbeats"));
                }
                row.id = HeartbeatId(tx.next_in_book());
            }
            tx.put_heartbeat(&row)?;
            tx.log(ChangeSubject::Notifications)?;
            let said = |h: &Heartbeat| {
                json!({ "name": h.name, "from": h.from, "every_secs": h.every_secs,
                "severity": h.severity, "enabled": h.enabled })
            };
            let (what, data) = match &before {
                None => ("heartbeat.create", said(&row)),
                Some(before) => ("heartbeat.change", json!({ "from": said(before), "to": said(&row) })),
            };
            tx.audit(&actor, what, row.id.to_string(), data)?;
            Ok(row)
        })
        .await
    }

    /// Removes a heartbeat.
    pub async fn remove_heartbeat(&self, id: HeartbeatId, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let row = known_heartbeat(tx, id)?;
            tx.remove_heartbeat(id)?;
            tx.log(ChangeSubject::Notifications)?;
            Ok(tx.audit(&actor, "heartbeat.remove", id.to_string(), json!({ "name": row.name }))?)
        })
        .await
    }

    /// A heartbeat was found missing, or is heard again.
    pub async fn mark_heartbeat(&self, id: HeartbeatId, missing: bool) -> Result<(), CommandError> {
        self.command(move |tx| {
            let mut row = known_heartbeat(tx, id)?;
            if row.missing_since.is_some() == missing {
                return Ok(());
            }
            row.missing_since = missing.then_some(tx.now);
            tx.put_heartbeat(&row)?;
            tx.log(ChangeSubject::Notifications)?;
            Ok(())
        })
        .await
    }
}

/// A schedule as the audit log has it: without the secret of its feed.
fn audited(s: &OnCallSchedule) -> serde_json::Value {
    json!({ "name": s.name, "time_zone": s.time_zone, "rotations": s.rotations, "overrides": s.overrides })
}

fn known_schedule(tx: &Tx<'_>, id: ScheduleId) -> Result<OnCallSchedule, CommandError> {
    let found = tx.world.telling.schedules.get(&id.0).cloned();
    found.ok_or_else(|| CommandError::NotFound(format!("schedule {id}")))
}

fn known_policy(tx: &Tx<'_>, id: PolicyId) -> Result<EscalationPolicy, CommandError> {
    let found = tx.world.telling.policies.get(&id.0).cloned();
    found.ok_or_else(|| CommandError::NotFound(format!("escalation policy {id}")))
}

fn known_heartbeat(tx: &Tx<'_>, id: HeartbeatId) -> Result<Heartbeat, CommandError> {
    let found = tx.world.telling.heartbeats.get(&id.0).cloned();
    found.ok_or_else(|| CommandError::NotFound(format!("heartbeat {id}")))
}
