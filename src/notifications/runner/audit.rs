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
        let began = self.clock.now();
        // What was said last, by key.
        let mut told: BTreeMap<String, bool> = BTreeMap::new();
        // What was late at the last look. Once is not enough: after a pause of the machine everything is, for a moment.
        let mut late = Late::default();
        let auditor = Arc::new(self);
        loop {
            let now = auditor.clock.now();
            let before = late.clone();
            match auditor.store.read(move |view| findings(view, now, began, &before)).await {
                Ok((findings, beats, still)) => {
                    late = still;
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
                () = auditor.clock.sleep(EVERY) => {}
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

/// Messages and escalations that should have gone and have not.
#[derive(Clone, Debug, Default)]
struct Late {
    notices: BTreeSet<NoticeId>,
    steps: BTreeSet<IncidentId>,
}

type Looked = (Vec<Finding>, Vec<(HeartbeatId, bool)>, Late);

/// What is well and what is not, and which heartbeats changed.
fn findings(view: &View, now: Time, began: Time, before: &Late) -> Result<Looked, StoreError> {
    let telling = view.telling()?;
    let mut found = Vec::new();
    let healthy = |n: &Notice| telling.channels.get(&n.channel.0).is_some_and(|c| c.enabled && c.health.failures == 0);
    // A rate limit or a place that is busy holds messages up as well; a storm is told as a digest before that matters.
    let overdue = view.overdue_notices(now.minus(STUCK), 500)?.into_iter().filter(|n| n.tries == 0 && healthy(n));
    let late = Late {
        notices: overdue.map(|n| n.id).collect(),
        steps: view.overdue_escalations(now.minus(LATE_STEP))?.into_iter().collect(),
    };
    let stuck = late.notices.intersection(&before.notices).count();
    let steps = late.steps.intersection(&before.steps).count();
    let just_begun = now.since(began) < STUCK;
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
        ill: !just_begun && stuck + steps > 0,
        burns: false,
    });
    for channel in telling.channels.values() {
        let why = channel.health.last_error.clone().unwrap_or_default();
        let (failures, given_up) = (channel.health.failures, channel.health.broken_since.is_some());
        found.push(Finding {
            key: format!("channel:{}", channel.id),
            title: if given_up {
                format!("Channel “{}” is given up", channel.name)
            } else {
                format!("Channel “{}” does not get through", channel.name)
            },
            description: format!("It failed {failures} times in a row. {why} Change it or send a test."),
            severity: Severity::High,
            ill: channel.enabled && (given_up || failures >= retry::PAUSED_AFTER),
            burns: false,
        });
    }
    let mut beats = Vec::new();
    for beat in telling.heartbeats.values() {
        let heard = match &beat.from {
            HeartbeatFrom::Platform(platform) => view.counters(platform)?.last_accepted,
            HeartbeatFrom::Alerts(_) => beat.last_at,
        };
        // Nothing could be heard while this did not run, or before it was set.
        let since = heard.into_iter().chain([beat.updated_at, began]).max().unwrap_or(now);
        let missing = beat.enabled && now.since(since) > Duration::from_secs(u64::from(beat.every_secs));
        if beat.missing_since.is_some() != missing {
            beats.push((beat.id, missing));
        }
        let last = heard.map_or_else(|| "It was never heard.".to_owned(), |at| format!("It was last heard at {at}."));
        found.push(Finding {
            key: format!("heartbeat:{}", beat.id),
            title: format!("No heartbeat of “{}”", beat.name),
            description: format!("It is expected every {} s. {last}", beat.every_secs),
            severity: beat.severity,
            ill: missing,
            burns: false,
        });
    }
    let burning = view.burning(&found.iter().map(|f| Fingerprint::of(&f.key())).collect())?;
    for finding in &mut found {
        finding.burns = burning.contains(&Fingerprint::of(&finding.key()));
    }
    Ok((found, beats, late))
}
