//! What the runner of notifications does with messages: takes them, and writes down what came of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::json;

use crate::{
    model::*,
    notifications::{
        channels,
        policy::{gather, retry},
    },
    store::{CommandError, Store, StoreError, apply::notices, ready::Wanted, tx::Tx},
};

/// Messages looked at for what goes out next: a digest tells at most so many at once.
const MANY: usize = 2_000;
/// The same where each goes by itself.
const FEW: usize = 64;
/// Tries kept in a row.
const TRIES: usize = 10;

/// A place where messages go out one after the other.
pub type Place = (ChannelId, Option<String>);

/// Messages that go out as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    /// The channel as it is.
    pub channel: ChannelRow,
    /// The first leads. They are ours until `sent` says what came of them.
    pub notices: Vec<Notice>,
    /// They are told as a digest.
    pub digest: bool,
    /// What earlier messages about the incident left there.
    pub receipt: BTreeMap<String, String>,
}

impl Package {
    /// Where it goes.
    pub fn place(&self) -> Place {
        (self.channel.id, self.notices.first().and_then(|n| n.address.clone()))
    }
}

/// What came of a package.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The messages, the leading one first.
    pub notices: Vec<NoticeId>,
    /// The try; none when nothing was called, because there was nothing to tell.
    pub attempt: Option<Attempt>,
    /// How it ended.
    pub end: SentEnd,
    /// What later messages about the incident need, whole.
    pub receipt: BTreeMap<String, String>,
    /// What all later messages of the channel need, whole.
    pub lasting: BTreeMap<String, String>,
    /// Calls that the target has taken.
    pub steps_done: Vec<String>,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq)]
pub enum SentEnd {
    /// The target has it.
    Done,
    /// It is tried again; the target asked for this pause.
    Later(Option<Duration>),
    /// It never will; whether the channel itself is wrong.
    Never {
        /// The channel itself is wrong.
        broken: bool,
    },
}

impl Store {
    /// Takes what is due, at most `most` packages, none for a busy place or a channel that rests. What is taken is marked on the disk before this
    /// returns, so that a crash from here on is known.
    pub async fn take_notices(
        &self,
        busy: BTreeSet<Place>,
        resting: BTreeSet<ChannelId>,
        most: usize,
    ) -> Result<Vec<Package>, CommandError> {
        self.command(move |tx| {
            let ready = tx.ready_notices()?;
            let mut packages = Vec::new();
            for channel in tx.ready_channels(&ready, &resting)? {
                let wanted = wanted(tx, channel);
                for due in tx.ready_places(&ready, channel, &busy, wanted)? {
                    if packages.len() >= most {
                        return Ok(packages);
                    }
                    packages.extend(take(tx, due)?);
                }
            }
            Ok(packages)
        })
        .await
    }

    /// Writes down what came of packages.
    pub async fn record_notices(&self, sent: Vec<Sent>) -> Result<(), CommandError> {
        self.command(move |tx| Ok(sent.into_iter().try_for_each(|sent| record(tx, sent))?)).await
    }

    /// What a process that was killed had on its way is tried again. For the start.
    pub async fn release_notices(&self) -> Result<(), CommandError> {
        self.command(|tx| {
            for before in tx.all_pending()?.into_iter().filter(|n| n.state == NoticeState::Sending) {
                let notice =
                    Notice { state: NoticeState::Waiting, due_at: before.due_at.min(tx.now), ..before.clone() };
                tx.put_notice(&notice, Some(&before))?;
            }
            Ok(())
        })
        .await
    }
}

/// How much of what is due at a channel is looked at.
fn wanted(tx: &Tx<'_>, channel: ChannelId) -> Wanted {
    let row = tx.world.telling.channels.get(&channel.0);
    let follows = row.filter(|c| c.enabled && c.health.broken_since.is_none()).and_then(|c| channels::find(&c.kind));
    match follows.map(|kind| kind.info().follows) {
        // Each goes by itself.
        Some(Follows::Fed | Follows::Keyed) => Wanted { places: 1, rows: FEW },
        Some(Follows::Read) | None => Wanted { places: usize::MAX, rows: MANY },
    }
}

/// Takes what goes out next at a place, of what is due there.
fn take(tx: &mut Tx<'_>, due: Vec<Notice>) -> Result<Option<Package>, StoreError> {
    let found = due.first().and_then(|n| tx.world.telling.channels.get(&n.channel.0)).cloned();
    let Some(row) = found else { return Ok(None) };
    let Some(kind) = channels::find(&row.kind) else { return Ok(None) };
    if row.health.broken_since.is_some() || !row.enabled {
        let (tests, rest): (Vec<Notice>, Vec<Notice>) = due.into_iter().partition(|n| n.event == NoticeEvent::Test);
        let why = match &row.health.last_error {
            _ if !row.enabled => "The channel is switched off.".to_owned(),
            Some(error) => format!("The channel is given up until somebody changes or tries it: {error}"),
            None => "The channel is given up until somebody changes or tries it.".to_owned(),
        };
        for notice in rest {
            fail(tx, &row, &notice, why.clone())?;
        }
        return match tests.first() {
            Some(test) => Ok(Some(package(tx, row.clone(), vec![test.clone()], false)?)),
            None => Ok(None),
        };
    }
    let due = if kind.info().follows == Follows::Keyed { with_its_own(tx, due)? } else { due };
    let picked = gather::pick(kind.info().follows, &due);
    for (id, why) in picked.drop {
        notices::end(tx, id, NoticeState::Dropped, why.to_owned())?;
    }
    let wanted: BTreeSet<NoticeId> = picked.told.into_iter().collect();
    let told: Vec<Notice> = due.into_iter().filter(|n| wanted.contains(&n.id)).collect();
    if told.is_empty() { Ok(None) } else { Ok(Some(package(tx, row, told, picked.digest)?)) }
}

/// A message with what else is due at its place about its incident.
fn with_its_own(tx: &Tx<'_>, due: Vec<Notice>) -> Result<Vec<Notice>, StoreError> {
    let Some(first) = due.first().cloned() else { return Ok(due) };
    let Some(incident) = first.incident else { return Ok(due) };
    let mut own = tx.notices_of(incident)?;
    own.retain(|n| n.state == NoticeState::Waiting && n.due_at <= tx.now && n.place() == first.place());
    Ok(own)
}

fn package(tx: &mut Tx<'_>, channel: ChannelRow, told: Vec<Notice>, digest: bool) -> Result<Package, StoreError> {
    for before in &told {
        tx.put_notice(&Notice { state: NoticeState::Sending, ..before.clone() }, Some(before))?;
    }
    let first = told.first().and_then(|n| Some((n.incident?, n.place())));
    let receipt = match first.filter(|_| !digest) {
        Some((incident, place)) => tx.receipt(incident, place)?,
        None => BTreeMap::new(),
    };
    Ok(Package { channel, notices: told, digest, receipt })
}

fn record(tx: &mut Tx<'_>, sent: Sent) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for id in &sent.notices {
        // What was dropped meanwhile has gone out all the same.
        rows.extend(tx.notice(*id)?);
    }
    let Some(lead) = rows.first().cloned() else { return Ok(()) };
    let now = tx.now;
    let Some(mut channel) = tx.world.telling.channels.get(&lead.channel.0).cloned() else { return Ok(()) };
    let error = sent.attempt.as_ref().filter(|a| !a.ok).map(|a| a.said.clone());
    channel.lasting.clone_from(&sent.lasting);
    match (&sent.end, error) {
        (SentEnd::Done, _) => {
            channel.health = ChannelHealth { last_sent_at: Some(now), ..ChannelHealth::default() };
        }
        (end, error) => {
            channel.health.last_failed_at = Some(now);
            channel.health.last_error = error;
            channel.health.failures = channel.health.failures.saturating_add(1);
            if matches!(end, SentEnd::Never { broken: true }) {
                channel.health.refusals = channel.health.refusals.saturating_add(1);
                if channel.health.refusals >= retry::BROKEN_AFTER {
                    channel.health.broken_since.get_or_insert(now);
                }
            }
        }
    }
    tx.put_channel(&channel)?;
    if let Some(incident) = lead.incident
        && tx.receipt(incident, lead.place())? != sent.receipt
        && sent.notices.len() == rows.iter().filter(|n| n.incident == lead.incident).count()
    {
        tx.put_receipt(incident, lead.place(), sent.receipt.clone())?;
    }
    for before in rows {
        let leads = before.id == lead.id;
        let mut notice = before.clone();
        notice.tries = notice.tries.saturating_add(1);
        notice.in_doubt = false;
        if let Some(attempt) = sent.attempt.clone() {
            notice.attempts.push(attempt);
            let over = notice.attempts.len().saturating_sub(TRIES);
            notice.attempts.drain(..over);
        }
        match &sent.end {
            SentEnd::Done => {
                notice.state = if leads { NoticeState::Sent } else { NoticeState::Included };
                notice.told_in = (!leads).then_some(lead.id);
                (notice.ended_at, notice.why) = (Some(now), None);
                tx.put_notice(&notice, Some(&before))?;
                remind(tx, &notice)?;
            }
            SentEnd::Later(asked) => {
                notice.steps_done.clone_from(&sent.steps_done);
                // Whoever tries a channel sees the answer, and tries again themselves.
                if notice.event == NoticeEvent::Test {
                    tx.put_notice(&notice, Some(&before))?;
                    let why = notice.attempts.last().map_or_else(String::new, |a| a.said.clone());
                    fail(tx, &channel, &notice, why)?;
                    continue;
                }
                let mail = if channel.kind == "email" { 2 } else { 1 };
                if now.since(notice.planned_at) >= retry::GIVEN_UP * mail {
                    tx.put_notice(&notice, Some(&before))?;
                    fail(tx, &channel, &notice, "It was tried for a day.".to_owned())?;
                    continue;
                }
                notice.state = NoticeState::Waiting;
                notice.due_at =
                    now.plus(retry::pause(notice.tries, *asked, lead.id.0.wrapping_add(u64::from(notice.tries))));
                notice.why = notice.attempts.last().map(|a| a.said.clone());
                tx.put_notice(&notice, Some(&before))?;
                if notice.tries == retry::FALLBACK_AFTER {
                    stand_in(tx, &channel, &notice)?;
                }
            }
            SentEnd::Never { .. } => {
                tx.put_notice(&notice, Some(&before))?;
                let why = notice.attempts.last().map_or_else(String::new, |a| a.said.clone());
                fail(tx, &channel, &notice, why)?;
            }
        }
    }
    tell(tx, &lead, &channel, &sent)?;
    tx.log(ChangeSubject::Notifications)?;
    Ok(())
}

/// The incident's timeline says that somebody was told.
fn tell(tx: &mut Tx<'_>, lead: &Notice, channel: &ChannelRow, sent: &Sent) -> Result<(), StoreError> {
    let Some(incident) = lead.incident else { return Ok(()) };
    if tx.incident(incident)?.is_none() {
        return Ok(());
    }
    let whom = match &lead.person {
        Some(person) => format!("{person} by {}", channel.name),
        None => channel.name.clone(),
    };
    let text = match sent.end {
        SentEnd::Done if sent.notices.len() > 1 => format!("Told {whom}, with others in one message."),
        SentEnd::Done => format!("Told {whom}."),
        SentEnd::Never { .. } => format!("{whom} could not be told."),
        SentEnd::Later(_) => return Ok(()),
    };
    let data = json!({ "notice": lead.id, "event": lead.event, "channel": channel.id, "person": lead.person });
    tx.note(incident, TimelineKind::Notified, &Actor::System, text, data)?;
    tx.changed(incident, IncidentChange::Notified);
    Ok(())
}

/// A message that will not arrive; another channel has it instead.
fn fail(tx: &mut Tx<'_>, channel: &ChannelRow, notice: &Notice, why: String) -> Result<(), StoreError> {
    notices::end(tx, notice.id, NoticeState::Failed, why)?;
    if notice.tries < retry::FALLBACK_AFTER {
        stand_in(tx, channel, notice)?;
    }
    Ok(())
}

/// Writes the same message for the channel that stands in.
fn stand_in(tx: &mut Tx<'_>, channel: &ChannelRow, notice: &Notice) -> Result<(), StoreError> {
    // Once: a chain of channels that all fail must end.
    let Some(other) = channel.fallback.filter(|_| notice.instead_of.is_none() && notice.event != NoticeEvent::Test)
    else {
        return Ok(());
    };
    let enabled = tx.world.telling.channels.get(&other.0).is_some_and(|c| c.enabled);
    let told = match notice.incident {
        Some(incident) => tx.notices_of(incident)?.iter().any(|n| {
            n.channel == other && n.event == notice.event && n.address.is_none() && n.created_at >= notice.created_at
        }),
        None => false,
    };
    if !enabled || told {
        return Ok(());
    }
    let id = NoticeId(tx.next_notice());
    let instead = Notice {
        id,
        channel: other,
        address: None,
        reason: format!("{} It stands in for “{}”, which could not be reached.", notice.reason, channel.name),
        created_at: tx.now,
        due_at: tx.now,
        state: NoticeState::Waiting,
        why: None,
        attempts: Vec::new(),
        tries: 0,
        steps_done: Vec::new(),
        in_doubt: false,
        key: notices::key(tx.now, id),
        ended_at: None,
        told_in: None,
        instead_of: Some(channel.id),
        ..notice.clone()
    };
    tx.put_notice(&instead, None)
}

/// The next reminder, while the incident is open.
fn remind(tx: &mut Tx<'_>, notice: &Notice) -> Result<(), StoreError> {
    let (Some(secs), Some(incident)) = (notice.remind_secs, notice.incident) else { return Ok(()) };
    let open = tx.incident(incident)?.is_some_and(|i| i.is_open());
    let waits = tx
        .notices_of(incident)?
        .iter()
        .any(|n| n.event == NoticeEvent::Reminder && n.is_pending() && n.place() == notice.place());
    if !open || waits {
        return Ok(());
    }
    let id = NoticeId(tx.next_notice());
    let due_at = tx.now.plus(Duration::from_secs(u64::from(secs)));
    let next = Notice {
        id,
        event: NoticeEvent::Reminder,
        severity_before: None,
        created_at: tx.now,
        planned_at: due_at,
        due_at,
        state: NoticeState::Waiting,
        why: None,
        attempts: Vec::new(),
        tries: 0,
        steps_done: Vec::new(),
        key: notices::key(tx.now, id),
        ended_at: None,
        told_in: None,
        instead_of: None,
        ..notice.clone()
    };
    tx.put_notice(&next, None)
}
