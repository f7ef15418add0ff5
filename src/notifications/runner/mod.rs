//! Sends messages: takes what is due from the store, one at a time for each place, and writes down what came of it. What is
//! on its way when the process is killed is known, and tried again at the next start.

mod audit;
mod call;
mod mail;
mod pace;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use audit::Auditor;
pub use call::{Caller, opened};
use pace::Pace;

use super::{
    channels::{self, Call, Channel, Judged, Settings, To},
    links::{Linked, Links},
    message::Message,
    render::{self, Here},
};
use crate::{
    model::*,
    runtime::clock::Clock,
    store::{Package, Place, Sent, SentEnd, Store, View},
};

/// Messages on their way at the same time.
const WORKERS: usize = 32;
/// Looks at the outbox at least this often.
const TICK: Duration = Duration::from_secs(5);
/// Calls of one message; a target that leads in circles ends here.
const CALLS: usize = 8;
/// Between two looks while nothing could be taken: a storm changes the store many times a second.
const BREATH: Duration = Duration::from_millis(25);
/// The store could not be written: a pause.
const TROUBLE: Duration = Duration::from_secs(2);

/// Sends.
#[derive(Clone, Debug)]
pub struct Runner {
    store: Store,
    clock: Clock,
    caller: Arc<Caller>,
    links: Links,
    base_url: String,
    ended: Arc<Ended>,
}

/// What came of messages and is not written down yet. Whoever has the turn writes down all of it in one commit.
#[derive(Debug, Default)]
struct Ended {
    sent: Mutex<Vec<Sent>>,
    turn: tokio::sync::Mutex<()>,
}

impl Runner {
    /// A runner; `run` must be spawned. `base_url` is the server's address for others.
    pub fn new(store: Store, clock: Clock, caller: Arc<Caller>, base_url: String) -> Self {
        let links = Links::new(store.sealer().link_key());
        Self { store, clock, caller, links, base_url, ended: Arc::default() }
    }

    /// Works until `stop`. What is on its way then may finish within its own time.
    pub async fn run(self, stop: CancellationToken) {
        let mut changes = self.store.changes();
        // Until then their places are taken.
        while let Err(e) = self.store.release_notices().await {
            tracing::warn!(error = %e, "messages that broke off cannot be taken up; tried again soon");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(TROUBLE) => {}
            }
        }
        let mut busy: BTreeSet<Place> = BTreeSet::new();
        let mut paces: HashMap<ChannelId, Pace> = HashMap::new();
        let mut work: JoinSet<(Place, usize)> = JoinSet::new();
        'work: loop {
            changes.mark_unchanged();
            let before = busy.len();
            let wake = if before < WORKERS { self.begin(&mut busy, &mut paces, &mut work, &stop).await } else { None };
            let waits = busy.len() == before && (before > 0 || wake.is_some());
            let now = self.clock.now();
            let wake =
                wake.map_or(now.plus(TICK), |at| at.min(now.plus(TICK)).max(now.plus(Duration::from_millis(20))));
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = work.join_next() => {
                    let mut ended = Some(done);
                    while let Some(done) = ended {
                        match done {
                            Ok((place, calls)) => {
                                paces.entry(place.0).or_default().called(calls.saturating_sub(1), self.clock.now());
                                busy.remove(&place);
                            }
                            Err(e) => {
                                // Which one is not known: the next start finds it, and the supervisor makes one.
                                tracing::error!(error = %e, "sending a message broke off");
                                break 'work;
                            }
                        }
                        // Those that end together are looked at together.
                        ended = work.try_join_next();
                    }
                    if waits {
                        tokio::time::sleep(BREATH).await;
                    }
                }
                changed = changes.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    if waits {
                        tokio::time::sleep(BREATH).await;
                    }
                }
                () = self.clock.sleep_until(wake) => {}
            }
        }
        // Each call has a time of its own.
        while work.join_next().await.is_some() {}
    }

    /// Takes what is due and begins to send it. When something comes next.
    async fn begin(
        &self,
        busy: &mut BTreeSet<Place>,
        paces: &mut HashMap<ChannelId, Pace>,
        work: &mut JoinSet<(Place, usize)>,
        stop: &CancellationToken,
    ) -> Option<Time> {
        let next = match self.store.read(|view| view.next_notice()).await {
            Ok(next) => next?,
            Err(_) => return None,
        };
        let now = self.clock.now();
        if next > now {
            return Some(next);
        }
        let resting: BTreeMap<ChannelId, Time> =
            paces.iter_mut().filter_map(|(id, pace)| Some((*id, pace.rests(now, self.caller.rate(*id)?)?))).collect();
        let most = WORKERS - busy.len();
        let rest: BTreeSet<ChannelId> = resting.keys().copied().collect();
        let (asked, channels) = (busy.clone(), rest.clone());
        // Taking is a durable commit: not where there is nothing to take.
        let looked = move |view: &View| Ok((view.takeable(now, &asked, &channels)?, view.notice_after(now)?));
        let wake = match self.store.read(looked).await {
            // When a channel has rested, or something is tried again that holds up what is due.
            Ok((takeable, later)) => {
                let wake = resting.into_values().chain(later).min();
                if !takeable {
                    return wake;
                }
                wake
            }
            Err(_) => return Some(now.plus(TROUBLE)),
        };
        let packages = match self.store.take_notices(busy.clone(), rest, most).await {
            Ok(packages) => packages,
            Err(e) => {
                tracing::warn!(error = %e, "messages cannot be taken from the store; tried again soon");
                return Some(now.plus(TROUBLE));
            }
        };
        let more = packages.len() == most;
        for package in packages {
            let place = package.place();
            busy.insert(place.clone());
            if let Some(kind) = channels::find(&package.channel.kind) {
                let mut settings = Settings(package.channel.settings.clone());
                if let (Some(key), Some(own)) = (kind.info().address, &place.1) {
                    settings.0.insert(key.to_owned(), own.clone());
                }
                self.caller.set_rate(place.0, kind.rate(&settings));
            }
            paces.entry(place.0).or_default().called(1, now);
            let (runner, stop) = (self.clone(), stop.clone());
            work.spawn(async move {
                let calls = runner.one(package, &stop).await;
                (place, calls)
            });
        }
        // What is due and was not taken waits for a place, which wakes the loop, or for that.
        if more { Some(now) } else { wake }
    }

    /// Sends one package, writes down what came of it, and says how many calls that took.
    async fn one(&self, package: Package, stop: &CancellationToken) -> usize {
        let (sent, calls) = self.send(&package).await;
        let take = || std::mem::take(&mut *self.ended.sent.lock().unwrap_or_else(PoisonError::into_inner));
        self.ended.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
        let _turn = self.ended.turn.lock().await;
        // Nothing is there when another one wrote it down in its turn.
        let mut all = take();
        while !all.is_empty() {
            let Err(e) = self.store.record_notices(all.clone()).await else { break };
            tracing::warn!(error = %e, "what became of messages cannot be written; tried again");
            // Should it be one of them, the others do not wait for it.
            if all.len() > 1 {
                let mut left = Vec::new();
                for sent in all {
                    if self.store.record_notices(vec![sent.clone()]).await.is_err() {
                        left.push(sent);
                    }
                }
                all = left;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(TROUBLE) => all.extend(take()),
            }
        }
        calls
    }

    async fn send(&self, package: &Package) -> (Sent, usize) {
        let here = Here { base_url: self.base_url.clone(), now: self.clock.now() };
        let (links, at, copy) = (self.links.clone(), here.now, package.clone());
        let rendered = self
            .store
            .read(move |view| {
                render::message(view, &copy, &here, |incident, notice| links.token(Linked { incident, notice }, at))
            })
            .await;
        let blank = Sent {
            notices: package.notices.iter().map(|n| n.id).collect(),
            attempt: None,
            end: SentEnd::Done,
            receipt: package.receipt.clone(),
            lasting: package.channel.lasting.clone(),
            steps_done: Vec::new(),
            in_doubt: false,
        };
        let failed = |why: String, end: SentEnd| {
            let attempt = Attempt { at, took_ms: 0, ok: false, status: None, said: why };
            (Sent { attempt: Some(attempt), end, ..blank.clone() }, 0)
        };
        let message = match rendered {
            Ok(Some(message)) => message,
            Ok(None) => return (blank, 0),
            Err(e) => return failed(format!("The message could not be put together: {e}"), SentEnd::Later(None)),
        };
        let Some(channel) = channels::find(&package.channel.kind) else {
            return failed("This version does not know such a channel.".to_owned(), SentEnd::Never { broken: true });
        };
        let address = package.notices.first().and_then(|n| n.address.clone());
        let settings = match opened(self.store.sealer(), channel, &package.channel, address.as_deref()) {
            Ok(settings) => settings,
            Err(e) => return failed(e.to_string(), SentEnd::Never { broken: true }),
        };
        let to = To { settings, receipt: blank.receipt.clone(), lasting: blank.lasting.clone() };
        let done = package.notices.first().map(|n| n.steps_done.clone()).unwrap_or_default();
        self.calls(channel, to, &message, blank, done).await
    }

    /// Makes the calls of a message, one after the other.
    async fn calls(
        &self,
        channel: &dyn Channel,
        mut to: To,
        message: &Message,
        blank: Sent,
        mut done: Vec<String>,
    ) -> (Sent, usize) {
        let began = (self.clock.now(), self.clock.uptime());
        let mut queue: Vec<Call> = channel.calls(&to, message);
        queue.reverse();
        let (mut made, mut said, mut status) = (0, String::new(), None);
        let mut end = SentEnd::Done;
        let mut in_doubt = false;
        while let Some(call) = queue.pop() {
            if done.iter().any(|step| step == call.step()) {
                continue;
            }
            if made >= CALLS {
                (end, said) = (SentEnd::Later(None), "The target leads in circles.".to_owned());
                break;
            }
            made += 1;
            let judged = match self.caller.make(&to.settings, &call).await {
                Ok(answer) => {
                    (said, status) = (call::heard(&answer), Some(answer.status));
                    channel.judge(&to, message, &call, &answer)
                }
                Err(e) => {
                    (said, status, in_doubt) = (e.to_string(), None, e.is_open());
                    if e.is_final() {
                        Judged::Never { why: e.to_string(), broken: true }
                    } else {
                        Judged::Later { after: None, why: e.to_string() }
                    }
                }
            };
            match judged {
                Judged::Done { receipt, lasting } => {
                    to.receipt.extend(receipt);
                    to.lasting.extend(lasting);
                    done.push(call.step().to_owned());
                }
                Judged::Later { after, why } => {
                    (end, said) = (SentEnd::Later(after), why);
                    break;
                }
                Judged::Never { why, broken } => {
                    (end, said) = (SentEnd::Never { broken }, why);
                    break;
                }
                Judged::Gone { why } => {
                    (end, said) = (SentEnd::Gone, why);
                    break;
                }
                Judged::Instead { mut calls, lasting, forget } => {
                    to.lasting.extend(lasting);
                    to.receipt.retain(|key, _| !forget.contains(key));
                    calls.reverse();
                    let steps: Vec<&str> = calls.iter().map(Call::step).collect();
                    queue.retain(|c| !steps.contains(&c.step()));
                    queue.extend(calls);
                }
            }
        }
        let took = self.clock.uptime().saturating_sub(began.1);
        let attempt = (made > 0).then(|| Attempt {
            at: began.0,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            ok: end == SentEnd::Done,
            status,
            said: self.caller.without_secrets(&to.settings, channel, &said),
        });
        // What is empty is no longer so.
        to.receipt.retain(|_, value| !value.is_empty());
        to.lasting.retain(|_, value| !value.is_empty());
        (Sent { attempt, end, receipt: to.receipt, lasting: to.lasting, steps_done: done, in_doubt, ..blank }, made)
    }
}
