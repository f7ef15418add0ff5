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
        policy::{self, gather, retry},
    },
    store::{CommandError, Store, StoreError, apply::notices, ready::Wanted, tx::Tx},
};

/// Messages looked at for what goes out next: a digest tells at most so many at once.
const MANY: usize = 2_000;
/// The same where each goes by itself.
const FEW: usize = 64;
/// Tries kept in a row.
const TRIES: usize = 10;
/// Places of one channel that are called at the same time: one that hangs must leave workers to the others.
pub const AT_ONCE: usize = 8;

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
    /// It is not known whether the last call arrived: it was made, and no answer came.
    pub in_doubt: bool,
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
    /// It never will, and the channel is not to be called again as it is.
    Gone,
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
            let mut taken = busy;
            let mut packages = Vec::new();
            for channel in tx.ready_channels(&ready, &resting)? {
                let wanted = wanted(tx, channel);
                for due in tx.ready_places(&ready, channel, &taken, wanted)? {
                    if packages.len() >= most {
                        return Ok(packages);
                    }
                    if taken.iter().filter(|(c, _)| *c == channel).count() >= AT_ONCE {
                        break;
                    }
                    if let Some(package) = take(tx, due)? {
                        taken.insert(package.place());
                        packages.push(package);
                    }
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

    /// What a process that was killed had on its way is tried again, and says that it may have arrived. For the start. What
    /// went out as one is due at the same moment, by which it is known.
    pub async fn release_notices(&self) -> Result<(), CommandError> {
        self.command(|tx| {
            for id in tx.pending_where(|n| n.state == NoticeState::Sending)? {
                let Some(before) = tx.notice(id)? else { continue };
                let notice = Notice { state: NoticeState::Waiting, due_at: tx.now, in_doubt: true, ..before.clone() };
                tx.put_notice(&notice, Some(&before))?;
                if let Some(why) = needless(tx, &notice)? {
                    notices::end(tx, notice.id, NoticeState::Dropped, why)?;
                }
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
    let Some(first) = due.first().cloned() else { return Ok(None) };
    let Some(row) = tx.world.telling.channels.get(&first.channel.0).cloned() else { return Ok(None) };
    let Some(kind) = channels::find(&row.kind) else { return Ok(None) };
    let follows = kind.info().follows;
    let works = row.enabled && row.health.broken_since.is_none();
    let due = if works && follows == Follows::Keyed { with_its_own(tx, &first)? } else { due };
    let mut gathers = Vec::new();
    if first.gathers {
        let later = tx.pending_notices(first.channel, MANY)?.into_iter();
        let later =
            later.filter(|n| n.place() == first.place() && n.state == NoticeState::Waiting && n.due_at > tx.now);
        gathers = gathered(tx, later.collect())?;
    }
    let mut due = still_told(tx, due.into_iter().chain(gathers).collect())?;
    due.sort_by_key(|n| n.id);
    if row.health.broken_since.is_some() || !row.enabled {
        let (tests, rest): (Vec<Notice>, Vec<Notice>) = due.into_iter().partition(|n| n.event == NoticeEvent::Test);
        let why = match &row.health.last_error {
            _ if !row.enabled => "The channel is switched off.".to_owned(),
            Some(error) => format!("The channel is given up until somebody changes or tries it: {error}"),
            None => "The channel is given up until somebody changes or tries it.".to_owned(),
        };
        for notice in &rest {
            fail(tx, &row, notice, why.clone())?;
        }
        if !rest.is_empty() {
            tx.log(ChangeSubject::Notifications)?;
        }
        return match tests.first() {
            Some(test) => Ok(Some(package(tx, row.clone(), vec![test.clone()], false)?)),
            None => Ok(None),
        };
    }
    let known = match due.first().and_then(|n| n.incident) {
        Some(incident) if follows == Follows::Keyed => {
            let arrived = |n: &Notice| n.state == NoticeState::Sent || n.may_have_arrived();
            tx.notices_of(incident)?.iter().any(|n| n.place() == first.place() && arrived(n))
        }
        _ => false,
    };
    let picked = gather::pick(follows, &due, known);
    if !picked.drop.is_empty() {
        tx.log(ChangeSubject::Notifications)?;
    }
    for (id, why) in picked.drop {
        notices::end(tx, id, NoticeState::Dropped, why.to_owned())?;
    }
    let wanted: BTreeSet<NoticeId> = picked.told.into_iter().collect();
    let told: Vec<Notice> = due.into_iter().filter(|n| wanted.contains(&n.id)).collect();
    if told.is_empty() { Ok(None) } else { Ok(Some(package(tx, row, told, picked.digest)?)) }
}

/// A message with what else is due at its place about its incident.
fn with_its_own(tx: &Tx<'_>, first: &Notice) -> Result<Vec<Notice>, StoreError> {
    let Some(incident) = first.incident else { return Ok(vec![first.clone()]) };
    let mut own = tx.notices_of(incident)?;
    own.retain(|n| n.is_due(tx.now) && n.place() == first.place());
    Ok(own)
}

/// What waits only to be told together with others: the first one's time has come, and they go with it.
fn gathered(tx: &mut Tx<'_>, later: Vec<Notice>) -> Result<Vec<Notice>, StoreError> {
    let mut found = Vec::new();
    for notice in later.into_iter().filter(|n| n.gathers && n.tries == 0 && !n.may_have_arrived()) {
        let Some(incident) = notice.incident else { continue };
        let Some(severity) = tx.incident(incident)?.map(|i| i.severity) else { continue };
        let Some(rule) = notice.rule.and_then(|id| tx.world.telling.rule(id)) else { continue };
        let own = notice.due_at.minus(Duration::from_secs(u64::from(rule.gather_secs)));
        if own <= tx.now && policy::loud(rule, severity, tx.now) == tx.now {
            found.push(notice);
        }
    }
    Ok(found)
}

/// Leaves out what nobody is to be told any more: an incident that fell quiet while its message waited. Who was not told
/// then is told once it is loud again.
fn still_told(tx: &mut Tx<'_>, due: Vec<Notice>) -> Result<Vec<Notice>, StoreError> {
    use NoticeEvent as E;
    let mut told = Vec::with_capacity(due.len());
    let mut ended = false;
    for notice in due {
        let calls =
            matches!(notice.event, E::Opened | E::Reopened | E::SeverityUp | E::Analyzed | E::Escalated | E::Reminder);
        let quiet = match notice.incident.filter(|_| calls && notice.tries == 0 && !notice.may_have_arrived()) {
            Some(id) => tx.incident(id)?.is_some_and(|i| i.is_quiet()),
            None => false,
        };
        match (quiet, notice.remind_secs) {
            (false, _) => told.push(notice),
            // It comes again, so that there are reminders when the quiet is over.
            (true, Some(secs)) if notice.event == E::Reminder => {
                let due_at = tx.now.plus(Duration::from_secs(u64::from(secs)));
                tx.put_notice(&Notice { due_at, planned_at: due_at, ..notice.clone() }, Some(&notice))?;
            }
            (true, _) => {
                notices::end(
                    tx,
                    notice.id,
                    NoticeState::Dropped,
                    "The incident was muted or snoozed before.".to_owned(),
                )?;
                ended = true;
            }
        }
    }
    if ended {
        tx.log(ChangeSubject::Notifications)?;
    }
    Ok(told)
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
            if matches!(end, SentEnd::Never { broken: true } | SentEnd::Gone) {
                channel.health.refusals = channel.health.refusals.saturating_add(1);
            }
            if *end == SentEnd::Gone || gives_up(&channel, &lead, end, now) {
                channel.health.broken_since.get_or_insert(now);
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
    let asked = if let SentEnd::Later(asked) = sent.end { asked } else { None };
    // One moment for all that went out together, by which it is known that they did.
    let tries = lead.tries.saturating_add(1);
    let again_at = now.plus(retry::pause(tries, asked, lead.id.0.wrapping_add(u64::from(tries))));
    for before in rows {
        let leads = before.id == lead.id;
        let mut notice = before.clone();
        notice.tries = notice.tries.saturating_add(1);
        notice.in_doubt |= sent.in_doubt;
        if let Some(attempt) = sent.attempt.clone() {
            notice.attempts.push(attempt);
            let over = notice.attempts.len().saturating_sub(TRIES);
            notice.attempts.drain(..over);
        }
        match &sent.end {
            SentEnd::Done => {
                notice.state = if leads { NoticeState::Sent } else { NoticeState::Included };
                notice.told_in = (!leads).then_some(lead.id);
                (notice.ended_at, notice.why, notice.in_doubt) = (Some(now), None, false);
                tx.put_notice(&notice, Some(&before))?;
                first_told(tx, &notice)?;
                remind(tx, &notice)?;
            }
            // Somebody ended it while it was on its way: what came of it is kept, and it is not tried again.
            _ if !before.is_pending() => tx.put_notice(&notice, Some(&before))?,
            SentEnd::Later(_) => {
                notice.steps_done.clone_from(&sent.steps_done);
                // Whoever tries a channel sees the answer, and tries again themselves.
                if notice.event == NoticeEvent::Test {
                    tx.put_notice(&notice, Some(&before))?;
                    let why = notice.attempts.last().map_or_else(String::new, |a| a.said.clone());
                    fail(tx, &channel, &notice, why)?;
                    continue;
                }
                if let Some(why) = needless(tx, &notice)? {
                    tx.put_notice(&notice, Some(&before))?;
                    notices::end(tx, notice.id, NoticeState::Dropped, why)?;
                    continue;
                }
                if is_too_old(&channel, &notice, now) {
                    tx.put_notice(&notice, Some(&before))?;
                    fail(tx, &channel, &notice, "It was tried for a day.".to_owned())?;
                    continue;
                }
                notice.state = NoticeState::Waiting;
                notice.due_at = again_at;
                notice.why = notice.attempts.last().map(|a| a.said.clone());
                tx.put_notice(&notice, Some(&before))?;
                if notice.tries == retry::FALLBACK_AFTER {
                    stand_in(tx, &channel, &notice)?;
                }
            }
            SentEnd::Never { .. } | SentEnd::Gone => {
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

/// An incident knows when a message about it first arrived.
fn first_told(tx: &mut Tx<'_>, notice: &Notice) -> Result<(), StoreError> {
    let Some(id) = notice.incident else { return Ok(()) };
    if let Some(incident) = tx.incident(id)?
        && incident.told_at.is_none()
    {
        incident.told_at = notice.arrived_at();
        tx.changed(id, IncidentChange::Notified);
    }
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
        SentEnd::Never { .. } | SentEnd::Gone => format!("{whom} could not be told."),
        SentEnd::Later(_) => return Ok(()),
    };
    let data = json!({ "notice": lead.id, "event": lead.event, "channel": channel.id, "person": lead.person });
    tx.note(incident, TimelineKind::Notified, &Actor::System, text, data)?;
    tx.changed(incident, IncidentChange::Notified);
    Ok(())
}

/// How long messages to a channel are tried.
fn tried_for(channel: &ChannelRow) -> Duration {
    retry::GIVEN_UP * if channel.kind == "email" { 2 } else { 1 }
}

/// It was tried for long enough. What could not be tried, because nothing ran here, is tried some times all the same.
fn is_too_old(channel: &ChannelRow, notice: &Notice, now: Time) -> bool {
    now.since(notice.planned_at) >= tried_for(channel) && notice.tries >= retry::SOME_TRIES
}

/// A try failed, which the channel's health counts already: whether the channel is given up by that.
fn gives_up(channel: &ChannelRow, lead: &Notice, end: &SentEnd, now: Time) -> bool {
    let health = &channel.health;
    // Fifty people whose mail server is away for a moment are not fifty failures in a row.
    let settled = matches!(end, SentEnd::Never { .. }) || lead.tries.saturating_add(1) >= retry::SOME_TRIES;
    let silent = health.last_sent_at.is_none_or(|at| at <= lead.planned_at);
    health.refusals >= retry::BROKEN_AFTER
        || (settled && health.failures >= retry::PAUSED_AFTER)
        || (settled && silent && now.since(lead.planned_at) >= tried_for(channel))
}

/// Why a message that failed, or of which the end is not known, need not be tried again.
fn needless(tx: &mut Tx<'_>, notice: &Notice) -> Result<Option<String>, StoreError> {
    let steps = matches!(notice.event, NoticeEvent::Escalated | NoticeEvent::Reminder);
    let Some(id) = notice.incident.filter(|_| steps) else { return Ok(None) };
    Ok(tx.incident(id)?.and_then(|i| match (i.is_open(), notice.event, i.acknowledged_at, &i.owner) {
        (false, ..) => Some("The incident was over before.".to_owned()),
        (true, NoticeEvent::Escalated, Some(_), Some(owner)) => {
            Some(format!("{owner} acknowledged the incident before."))
        }
        (true, NoticeEvent::Escalated, Some(_), None) => Some("The incident was acknowledged before.".to_owned()),
        _ => None,
    }))
}

/// A message that will not arrive; another channel has it instead, unless it was told when this one was tried before.
fn fail(tx: &mut Tx<'_>, channel: &ChannelRow, notice: &Notice, why: String) -> Result<(), StoreError> {
    notices::end(tx, notice.id, NoticeState::Failed, why)?;
    stand_in(tx, channel, notice)
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
    let Some(severity) = tx.incident(incident)?.filter(|i| i.is_open()).map(|i| i.severity) else { return Ok(()) };
    let waits = tx
        .notices_of(incident)?
        .iter()
        .any(|n| n.event == NoticeEvent::Reminder && n.is_pending() && n.place() == notice.place());
    let rule = notice.rule.and_then(|id| tx.world.telling.rule(id)).filter(|r| r.enabled);
    let (Some(rule), false) = (rule, waits) else { return Ok(()) };
    let due_at = policy::loud(rule, severity, tx.now.plus(Duration::from_secs(u64::from(secs))));
    let id = NoticeId(tx.next_notice());
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
        in_doubt: false,
        key: notices::key(tx.now, id),
        ended_at: None,
        told_in: None,
        instead_of: None,
        ..notice.clone()
    };
    tx.put_notice(&next, None)
}
