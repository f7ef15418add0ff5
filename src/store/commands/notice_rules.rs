//! Rules of who is told what: made, changed, removed, put in order.

use redb::ReadableTable;
use serde_json::json;

use super::channels::{MOST, full};
use crate::{
    model::*,
    notifications::policy,
    store::{CommandError, Store, apply::notices, tx::Tx},
};

fn audited(r: &NoticeRule) -> serde_json::Value {
    let matchers: Vec<String> = r.matchers.iter().map(ToString::to_string).collect();
    json!({ "name": r.name, "enabled": r.enabled, "position": r.position, "from": r.from, "matchers": matchers,
        "condition": r.condition, "times": r.times, "events": r.events, "targets": r.targets, "policy": r.policy,
        "wait_secs": r.wait_secs, "gather_secs": r.gather_secs, "quiet": r.quiet, "remind_secs": r.remind_secs,
        "last": r.last })
}

/// What is wrong with targets: what they name must be there.
pub(super) fn check_targets(tx: &Tx<'_>, targets: &[Target], path: &str) -> Result<Vec<Mistake>, CommandError> {
    let mut wrong = Vec::new();
    for (n, target) in targets.iter().enumerate() {
        let missing = match target {
            Target::Channel(id) => (!tx.world.telling.channels.contains_key(&id.0)).then(|| format!("channel {id}")),
            Target::OnCall(id) => (!tx.world.telling.schedules.contains_key(&id.0)).then(|| format!("schedule {id}")),
            Target::Person(name) => (!is_person(tx, name)?).then(|| format!("account `{name}`")),
        };
        wrong.extend(missing.map(|what| Mistake::new(format!("{path}/{n}"), format!("there is no {what}"))));
    }
    Ok(wrong)
}

/// Whether there is an account of that name.
pub(super) fn is_person(tx: &Tx<'_>, name: &str) -> Result<bool, CommandError> {
    Ok(tx.accounts.get(name)?.is_some())
}

fn check(tx: &Tx<'_>, rule: &NoticeRule) -> Result<(), CommandError> {
    let mut wrong = policy::check(rule);
    wrong.extend(check_targets(tx, &rule.targets, "/targets")?);
    if let Some(id) = rule.policy.filter(|id| !tx.world.telling.policies.contains_key(&id.0)) {
        wrong.push(Mistake::new("/policy", format!("there is no escalation policy {id}")));
    }
    if wrong.is_empty() { Ok(()) } else { Err(CommandError::Mistakes(wrong)) }
}

impl Store {
    /// Makes a rule, or changes the one of that id. `id` and what the store keeps of it are set here.
    pub async fn put_notice_rule(
        &self,
        id: Option<RuleId>,
        new: NoticeRule,
        actor: Actor,
    ) -> Result<NoticeRule, CommandError> {
        self.command(move |tx| {
            let before = match id {
                Some(id) => {
                    let found = tx.world.telling.rule(id).cloned();
                    Some(found.ok_or_else(|| CommandError::NotFound(format!("rule {id}")))?)
                }
                None => None,
            };
            let (created_at, created_by) =
                before.as_ref().map_or_else(|| (tx.now, actor.to_string()), |b| (b.created_at, b.created_by.clone()));
            let mut rule = NoticeRule {
                id: id.unwrap_or_default(),
                name: new.name.trim().to_owned(),
                condition: new.condition.map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()),
                created_at,
                created_by,
                updated_at: tx.now,
                ..new
            };
            check(tx, &rule)?;
            if before.is_none() {
                if tx.world.telling.rules().count() >= MOST {
                    return Err(full("rules"));
                }
                rule.id = RuleId(tx.next_in_book());
            }
            tx.put_rule(&rule)?;
            tx.log(ChangeSubject::Notifications)?;
            let (what, data) = match &before {
                None => ("rule.create", audited(&rule)),
                Some(before) => ("rule.change", json!({ "from": audited(before), "to": audited(&rule) })),
            };
            tx.audit(&actor, what, rule.id.to_string(), data)?;
            Ok(rule)
        })
        .await
    }

    /// Removes a rule. What it has waiting is dropped.
    pub async fn remove_notice_rule(&self, id: RuleId, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let found = tx.world.telling.rule(id).cloned();
            let rule = found.ok_or_else(|| CommandError::NotFound(format!("rule {id}")))?;
            for notice in tx.pending_where(|n| n.rule == Some(id))? {
                notices::end(tx, notice, NoticeState::Dropped, "Its rule was removed.".to_owned())?;
            }
            tx.remove_rule(id)?;
            tx.log(ChangeSubject::Notifications)?;
            Ok(tx.audit(&actor, "rule.remove", id.to_string(), audited(&rule))?)
        })
        .await
    }
}
