//! Looks after the runner, from outside of it: whether every step that was due has run, whether channels are given up,
//! whether heartbeats are missing. What is not well becomes an alert of the product's own, through the intake like any
//! other; it ends by itself. A heartbeat of our own tells others that all of this runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    model::*,
    notifications::policy::retry,
    outgoing::{Client, Url},
    runtime::clock::Clock,
    store::{NewDelivery, Store, StoreError, View},
};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(30);
/// A message that should have gone so long ago, and was never tried, is stuck.
const STUCK: Duration = Duration::from_secs(5 * 60);
/// The same for a step of an escalation.
const LATE_STEP: Duration = Duration::from_secs(2 * 60);
/// A heartbeat that comes so soon after another one is not written down (`store::apply::signals`).
const UNWRITTEN: Duration = Duration::from_secs(5);
/// The platform of the product's own alerts.
pub const PLATFORM: &str = "watchfire";

/// Looks after notifications.
#[derive(Clone, Debug)]
pub struct Auditor {
    store: Store,
    clock: Clock,
    client: Client,
    heartbeat: Option<Url>,
    base_url: String,
}

/// Something that is well or not.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    key: String,
    title: String,
    description: String,
    severity: Severity,
    ill: bool,
    /// An alert of it is open.
    burns: bool,
}

impl Finding {
    /// What makes it the same alert each time.
    fn key(&self) -> String {
        format!("{PLATFORM}:{}", self.key)
    }
}

impl Auditor {
    /// An auditor; `run` must be spawned. `heartbeat` is called while all is well.
    pub fn new(store: Store, clock: Clock, client: Client, heartbeat: Option<Url>, base_url: String) -> Self {
        Self { store, clock, client, heartbeat, base_url }
    }

    /// Looks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let began = self.clock.uptime();
        // What was said last, by key.
        let mut told: BTreeMap<String, bool> = BTreeMap::new();
        let mut before = Before::default();
        let auditor = Arc::new(self);
        loop {
            let now = auditor.clock.now();
            let ran = auditor.clock.uptime();
            let (last, look) = (before.clone(), Look { now, ran, just_begun: ran.saturating_sub(began) < STUCK });
            match auditor.store.read(move |view| findings(view, look, &last)).await {
                Ok((findings, beats, seen)) => {
                    before = seen;
                    for (id, missing) in beats {
                        if let Err(e) = auditor.store.mark_heartbeat(id, missing).await {
                            tracing::warn!(error = %e, "what became of a heartbeat cannot be written");
                        }
                    }
                    let well = findings.iter().all(|f| !f.ill || f.key.starts_with("heartbeat"));
                    // What is well from the start and burns nowhere needs no word.
                    let news: Vec<Finding> = findings
                        .into_iter()
                        .filter(|f| told.get(&f.key).copied().unwrap_or(f.burns) != f.ill)
                        .collect();
                    if auditor.say(&news, now).await {
                        told.extend(news.into_iter().map(|f| (f.key, f.ill)));
                    }
                    if well {
                        auditor.beat().await;
                    }
                }
                Err(e) => tracing::warn!(error = %e, "notifications cannot be looked after"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = auditor.clock.sleep_until_run(ran + EVERY) => {}
            }
        }
    }

    /// Tells others that this runs.
    async fn beat(&self) {
        let Some(url) = &self.heartbeat else { return };
        let sent = self.client.get(url).within(Duration::from_secs(10)).send().await;
        if let Err(e) = sent.and_then(crate::outgoing::Answer::good) {
            tracing::warn!(error = %e, "the heartbeat of this server was not taken");
        }
    }

    /// Puts findings through the intake. Whether they are on the disk.
    async fn say(&self, news: &[Finding], now: Time) -> bool {
        if news.is_empty() {
            return true;
        }
        let signals: Vec<Signal> = news
            .iter()
            .map(|f| Signal {
                status: if f.ill { SignalStatus::Firing } else { SignalStatus::Resolved },
                description: Some(f.description.clone()),
                severity: f.severity,
                service: Some(PLATFORM.to_owned()),
                url: Some(format!("{}/settings/notifications", self.base_url)),
                identity: IdentityRule {
                    rule: "what the product found about itself".to_owned(),
                    ..IdentityRule::default()
                },
                ..Signal::new(f.key(), f.title.clone())
            })
            .collect();
        let body = serde_json::json!({ "findings": news.iter().map(|f| (f.key.as_str(), f.ill)).collect::<Vec<_>>() });
        let delivery = NewDelivery {
            at: now,
            platform: PLATFORM.to_owned(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
            parsed: Parsed { signals, ..Parsed::default() },
            replay_of: None,
        };
        match self.store.submit(delivery).await {
            Ok(_) => true,
            Err(e) => {
                tracing::warn!(error = %e, "what is not well with notifications cannot be stored; tried again");
                false
            }
        }
    }
}

/// A look at everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub now: Time,
    /// How long the process has run, which setting the clock does not change.
    pub ran: Duration,
    /// What is late may be so because nothing ran here.
    pub just_begun: bool,
}

/// What a look found that the next one needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    /// Messages and escalations that should have gone and have not. Once is not enough: after a pause of the machine
    /// everything is late, for a moment.
    pub notices: BTreeSet<NoticeId>,
    pub steps: BTreeSet<IncidentId>,
    pub beats: BTreeMap<HeartbeatId, Beat>,
    /// How long the process had run then; none before its first look.
    pub looked: Option<Duration>,
}

/// What is known of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Beat {
    pub heard: Option<Time>,
    pub set: Time,
    /// How long the process had run when that was so.
    pub since: Duration,
    /// It was missing before this process began, and was not heard since.
    pub missed: bool,
}

type Looked = (Vec<Finding>, Vec<(HeartbeatId, bool)>, Before);

/// What is well and what is not, and which heartbeats changed.
fn findings(view: &View, look: Look, before: &Before) -> Result<Looked, StoreError> {
    let now = look.now;
    let telling = view.telling()?;
    let mut found = Vec::new();
    let healthy = |n: &Notice| telling.channels.get(&n.channel.0).is_some_and(|c| c.enabled && c.health.failures == 0);
    // A rate limit or a place that is busy holds messages up as well; a storm is told as a digest before that matters.
    let mut seen = Before { looked: Some(look.ran), ..Before::default() };
    // What is tried again holds up what comes after it, whatever other places of the channel do.
    let mut held: BTreeMap<(ChannelId, Option<String>), bool> = BTreeMap::new();
    for notice in view.overdue_notices(now.minus(STUCK), 500)?.into_iter().filter(|n| n.tries == 0 && healthy(n)) {
        let place = (notice.channel, notice.address.clone());
        let held = match held.get(&place) {
            Some(known) => *known,
            None => {
                let is_held = view.is_held(now, &notice)?;
                held.insert(place, is_held);
                is_held
            }
        };
        if !held {
            seen.notices.insert(notice.id);
        }
    }
    seen.steps = view.overdue_escalations(now.minus(LATE_STEP))?.into_iter().collect();
    let stuck = seen.notices.intersection(&before.notices).count();
    let steps = seen.steps.intersection(&before.steps).count();
    found.push(Finding {
        key: "notifications".to_owned(),
        title: "Notifications are stuck".to_owned(),
        description: format!(
            "{} messages should have been sent more than five minutes ago and were never tried; {} steps of escalations are \
             late. Look at the log of the service.",
            stuck,
            steps,
        ),
        severity: Severity::Critical,
        ill: stuck + steps > 0,
        burns: false,
    });
    for channel in telling.channels.values() {
        let why = channel.health.last_error.clone().unwrap_or_default();
        let what = if channel.health.refusals >= retry::BROKEN_AFTER {
            "It refused three messages in a row.".to_owned()
        } else {
            format!("Nothing arrived there in {} tries.", channel.health.failures)
        };
        found.push(Finding {
            key: format!("channel:{}", channel.id),
            title: format!("Channel “{}” is given up", channel.name),
            description: format!("{what} {why} Change it or send a test."),
            severity: Severity::High,
            ill: channel.enabled && channel.health.broken_since.is_some(),
            burns: false,
        });
    }
    let mut beats = Vec::new();
    for row in telling.heartbeats.values() {
        let heard = match &row.from {
            HeartbeatFrom::Platform(platform) => view.counters(platform)?.last_accepted,
            HeartbeatFrom::Alerts(_) => row.last_at,
        };
        let beat = watched(row, heard, look, before);
        seen.beats.insert(row.id, beat);
        let missing = row.enabled && (beat.missed || look.ran.saturating_sub(beat.since) > allowed(row));
        if row.missing_since.is_some() != missing {
            beats.push((row.id, missing));
        }
        let last = heard.map_or_else(|| "It was never heard.".to_owned(), |at| format!("It was last heard at {at}."));
        found.push(Finding {
            key: format!("heartbeat:{}", row.id),
            title: format!("No heartbeat of “{}”", row.name),
            description: format!("It is expected every {} s. {last}", row.every_secs),
            severity: row.severity,
            ill: missing,
            burns: false,
        });
    }
    let burning = view.burning(&found.iter().map(|f| Fingerprint::of(&f.key())).collect())?;
    for finding in &mut found {
        finding.burns = burning.contains(&Fingerprint::of(&finding.key()));
    }
    // What was stuck before this process began may be so still.
    if let Some(stuck) = found.first_mut().filter(|_| look.just_begun) {
        stuck.ill = stuck.burns;
    }
    Ok((found, beats, seen))
}

/// The time that a heartbeat has, and what is not written down of it.
fn allowed(row: &Heartbeat) -> Duration {
    Duration::from_secs(u64::from(row.every_secs)) + UNWRITTEN
}

/// Since when nothing is heard, on the clock that nobody sets: neither an hour that is skipped nor one that comes twice makes
/// a heartbeat miss, and nothing could be heard while this did not run.
pub(super) fn watched(row: &Heartbeat, heard: Option<Time>, look: Look, before: &Before) -> Beat {
    let beat = Beat { heard, set: row.updated_at, since: look.ran, missed: false };
    match (before.beats.get(&row.id), before.looked) {
        (Some(last), _) if last.heard == heard && last.set == row.updated_at => *last,
        (_, None) => Beat { missed: row.enabled && row.missing_since.is_some(), ..beat },
        // It came since the last look; how long ago its own time says, unless the clock was set.
        (_, Some(looked)) => {
            let ago = look.now.since(heard.into_iter().chain([row.updated_at]).max().unwrap_or(look.now));
            Beat { since: look.ran.saturating_sub(ago).max(looked.min(look.ran)), ..beat }
        }
    }
}
