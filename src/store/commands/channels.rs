//! Channels: made, changed, removed, tried.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    model::*,
    store::{CommandError, Store, StoreError, apply::notices, tx::Tx},
};

/// Channels, and each of the other things that people set about notifications.
pub(super) const MOST: usize = 500;

/// A channel to be made; settings were checked against its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChannel {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// What is no secret.
    pub settings: BTreeMap<String, String>,
    /// What is.
    pub secrets: BTreeMap<String, Sealed>,
    /// How secrets are shown.
    pub shown: BTreeMap<String, String>,
    /// Messages go there.
    pub enabled: bool,
    /// Where messages go that cannot be told here.
    pub fallback: Option<ChannelId>,
}

/// What is changed of a channel; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelPatch {
    /// Its name.
    pub name: Option<String>,
    /// Everything that is no secret.
    pub settings: Option<BTreeMap<String, String>>,
    /// Secrets that are new: the others stay. An empty one is taken away.
    pub secrets: BTreeMap<String, Option<(Sealed, String)>>,
    /// Messages go there.
    pub enabled: Option<bool>,
    /// Where messages go that cannot be told here.
    pub fallback: Option<Option<ChannelId>>,
}

/// Secrets are named, never told.
fn audited(c: &ChannelRow) -> serde_json::Value {
    json!({ "name": c.name, "kind": c.kind, "settings": c.settings, "secrets": c.shown, "enabled": c.enabled,
        "fallback": c.fallback })
}

/// What is wrong with a name that a thing is called by.
pub(super) fn check_name(name: &str) -> Option<Mistake> {
    let length = name.chars().count();
    let clean = !name.chars().any(char::is_control);
    (!(1..=100).contains(&length) || !clean).then(|| Mistake::new("/name", "a name of 1 to 100 characters is needed"))
}

/// There are too many of something.
pub(super) fn full(what: &str) -> CommandError {
    CommandError::Conflict { detail: format!("there are {MOST} {what}; remove some first"), allowed: Vec::new() }
}

/// Something cannot go because others need it.
pub(super) fn needed(what: &str, by: &[String]) -> CommandError {
    let detail = format!("{what} is used by {}; change that first", by.join(", "));
    CommandError::Conflict { detail, allowed: Vec::new() }
}

fn check(tx: &Tx<'_>, channel: &ChannelRow) -> Result<(), CommandError> {
    let mut wrong: Vec<Mistake> = check_name(&channel.name).into_iter().collect();
    let others = tx.world.telling.channels.values().filter(|c| c.id != channel.id);
    if others.clone().any(|c| c.name.to_lowercase() == channel.name.to_lowercase()) {
        wrong.push(Mistake::new("/name", "another channel is called so"));
    }
    if let Some(other) = channel.fallback {
        if other == channel.id {
            wrong.push(Mistake::new("/fallback", "a channel cannot stand in for itself"));
        } else if !tx.world.telling.channels.contains_key(&other.0) {
            wrong.push(Mistake::new("/fallback", format!("there is no channel {other}")));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(CommandError::Mistakes(wrong)) }
}

fn known(tx: &Tx<'_>, id: ChannelId) -> Result<ChannelRow, CommandError> {
    let found = tx.world.telling.channels.get(&id.0).cloned();
    found.ok_or_else(|| CommandError::NotFound(format!("channel {id}")))
}

impl Store {
    /// Makes a channel.
    pub async fn make_channel(&self, new: NewChannel, actor: Actor) -> Result<ChannelRow, CommandError> {
        self.command(move |tx| {
            let mut row = ChannelRow {
                id: ChannelId(0),
                name: new.name.trim().to_owned(),
                kind: new.kind,
                settings: new.settings,
                secrets: new.secrets,
                shown: new.shown,
                enabled: new.enabled,
                fallback: new.fallback,
                lasting: BTreeMap::new(),
                health: ChannelHealth::default(),
                created_at: tx.now,
                created_by: actor.to_string(),
                updated_at: tx.now,
            };
            check(tx, &row)?;
            if tx.world.telling.channels.len() >= MOST {
                return Err(full("channels"));
            }
            row.id = ChannelId(tx.next_in_book());
            tx.put_channel(&row)?;
            tx.log(ChangeSubject::Notifications)?;
            tx.audit(&actor, "channel.create", row.id.to_string(), audited(&row))?;
            Ok(row)
        })
        .await
    }

    /// Changes a channel. It counts as whole again: what was learned of the old settings is forgotten.
    pub async fn change_channel(
        &self,
        id: ChannelId,
        patch: ChannelPatch,
        actor: Actor,
    ) -> Result<ChannelRow, CommandError> {
        self.command(move |tx| {
            let before = known(tx, id)?;
            let mut row = before.clone();
            row.name = patch.name.map_or(row.name, |n| n.trim().to_owned());
            row.enabled = patch.enabled.unwrap_or(row.enabled);
            row.fallback = patch.fallback.unwrap_or(row.fallback);
            let elsewhere = patch.settings.as_ref().is_some_and(|s| *s != row.settings) || !patch.secrets.is_empty();
            row.settings = patch.settings.unwrap_or(row.settings);
            for (key, secret) in patch.secrets {
                match secret {
                    Some((sealed, shown)) => {
                        row.secrets.insert(key.clone(), sealed);
                        row.shown.insert(key, shown);
                    }
                    None => {
                        row.secrets.remove(&key);
                        row.shown.remove(&key);
                    }
                }
            }
            if elsewhere {
                row.lasting.clear();
            }
            if elsewhere || (row.enabled && !before.enabled) {
                row.health = ChannelHealth { last_sent_at: row.health.last_sent_at, ..ChannelHealth::default() };
            }
            check(tx, &row)?;
            row.updated_at = tx.now;
            tx.put_channel(&row)?;
            tx.log(ChangeSubject::Notifications)?;
            let data = json!({ "from": audited(&before), "to": audited(&row) });
            tx.audit(&actor, "channel.change", id.to_string(), data)?;
            Ok(row)
        })
        .await
    }

    /// Removes a channel that nothing uses. What waits for it is dropped.
    pub async fn remove_channel(&self, id: ChannelId, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let row = known(tx, id)?;
            let telling = &tx.world.telling;
            let mut by: Vec<String> = Vec::new();
            let leads = |targets: &[Target]| targets.contains(&Target::Channel(id));
            by.extend(telling.rules().filter(|r| leads(&r.targets)).map(|r| format!("rule “{}”", r.name)));
            let steps = |p: &&EscalationPolicy| p.steps.iter().any(|s| leads(&s.targets));
            by.extend(telling.policies.values().filter(steps).map(|p| format!("policy “{}”", p.name)));
            let reached = telling.people.values().filter(|p| p.contacts.iter().any(|c| c.channel == id));
            by.extend(reached.map(|p| p.person.clone()));
            let stands = telling.channels.values().filter(|c| c.fallback == Some(id));
            by.extend(stands.map(|c| format!("channel “{}”", c.name)));
            if !by.is_empty() {
                return Err(needed(&format!("“{}”", row.name), &by));
            }
            for notice in tx.pending_notices(id, usize::MAX)? {
                notices::end(tx, notice.id, NoticeState::Dropped, "The channel was removed.".to_owned())?;
            }
            tx.remove_channel(id)?;
            tx.log(ChangeSubject::Notifications)?;
            Ok(tx.audit(&actor, "channel.remove", id.to_string(), audited(&row))?)
        })
        .await
    }

    /// Has a test message sent. Its outcome stands in its row.
    pub async fn test_channel(
        &self,
        id: ChannelId,
        address: Option<String>,
        actor: Actor,
    ) -> Result<NoticeId, CommandError> {
        self.command(move |tx| {
            let row = known(tx, id)?;
            let notice = test(tx, &row, address, &actor)?;
            tx.log(ChangeSubject::Notifications)?;
            tx.audit(&actor, "channel.test", id.to_string(), json!({ "notice": notice }))?;
            Ok(notice)
        })
        .await
    }
}

fn test(tx: &mut Tx<'_>, row: &ChannelRow, address: Option<String>, by: &Actor) -> Result<NoticeId, StoreError> {
    let id = NoticeId(tx.next_notice());
    let notice = Notice {
        id,
        incident: None,
        event: NoticeEvent::Test,
        severity_before: None,
        rule: None,
        rung: None,
        reason: format!("{by} tries this channel."),
        channel: row.id,
        person: Some(by.to_string()),
        address,
        created_at: tx.now,
        planned_at: tx.now,
        due_at: tx.now,
        state: NoticeState::Waiting,
        why: None,
        attempts: Vec::new(),
        tries: 0,
        steps_done: Vec::new(),
        in_doubt: false,
        gathers: false,
        remind_secs: None,
        key: notices::key(tx.now, id),
        ended_at: None,
        told_in: None,
        instead_of: None,
    };
    tx.put_notice(&notice, None)?;
    Ok(id)
}
