//! Makes a data folder with many alerts, through the real store: every row and index is what a server would have written.
//!
//! The alerts come in episodes over the time before now, each of one service on several hosts. All end, but for those
//! asked to be open. The clock of the store is moved along, so that times, ids and timers are those of that time.
//!
//! `--big N` makes one incident of N alerts among them. Investigations of these incidents are cancelled, so that a server
//! that is measured on the folder does not begin with a day of work.
//!
//! `--channels N --rules N` makes channels and rules, each rule of some of the services, and every message that they write
//! is told: to nobody, but the outbox has what it would have had.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinSet;
use watchfire::{
    connectors,
    model::*,
    runtime::clock::Clock,
    store::{CommandError, NewChannel, NewDelivery, Package, Policy, Retention, Sent, SentEnd, Store, StoreOptions},
};
use watchfire_bench::{
    args::{arg, quit, text},
    payload::{self, Facts, mix},
};

/// Alerts between two moves of the clock.
const STEP: u64 = 4_000;
/// Deliveries that may wait to be applied before the clock moves on.
const BEHIND: u64 = 8_000;
/// Identities of stored alerts are none of those that are sent while measuring.
const IDENTITIES: u64 = 1 << 40;
/// An episode lasts this part of the time to the next, so that each is an incident of its own.
const LASTS: f64 = 0.8;
const COMMANDS: usize = 512;
/// Messages that are told at once.
const PACKAGES: usize = 2_000;

struct Plan {
    alerts: u64,
    big: u64,
    open_incidents: u64,
    open_alerts: u64,
    per_incident: u64,
    channels: u64,
    rules: u64,
    seed: u64,
    began: i64,
    seconds: i64,
}

#[tokio::main]
async fn main() {
    let now = unix();
    let seconds = arg("days", 365i64) * 86_400;
    let open_incidents = arg("open-incidents", 20u64);
    let plan = Plan {
        alerts: arg("alerts", 1_000_000),
        big: arg("big", 0),
        open_incidents,
        open_alerts: arg("open-alerts", open_incidents * 5).max(open_incidents),
        per_incident: arg("per-incident", 40u64).max(1),
        channels: arg("channels", 0),
        rules: arg("rules", 0),
        seed: arg("seed", 7),
        began: now - seconds,
        seconds,
    };
    if plan.rules > 0 && plan.channels == 0 {
        quit("--rules need --channels to tell");
    }
    if plan.alerts < plan.big + plan.open_alerts {
        quit("--alerts counts all of them, also those of --big and --open-alerts");
    }
    let dir = text("dir");
    if dir.is_empty() {
        quit("--dir names the folder to make");
    }
    let clock = Clock::manual(Time::from_secs(plan.began));
    // Nothing is forgotten on the way, and every incident is that of one service.
    let years = Duration::from_secs(3_650 * 86_400);
    let retention = Retention { deliveries: years, incidents: years, bytes: 0 };
    let policy = Policy { max_behind: u64::MAX, cluster_window: Duration::ZERO, retention, ..Policy::default() };
    let options = StoreOptions { dir: dir.into(), cache_bytes: 512 << 20, policy };
    let store = Store::open(options, clock.clone()).unwrap_or_else(|e| quit(&e.to_string()));
    let began = std::time::Instant::now();
    let mut filler = Filler { store, clock, next: IDENTITIES, told: 0, plan: Arc::new(plan) };
    filler.rules().await;
    filler.history().await;
    filler.open_ones().await;
    filler.settle().await;
    filler.tell().await;
    let jobs = filler.cancel_investigations().await;
    let incidents = filler.store.view().and_then(|v| v.open_incidents(0)).unwrap_or_else(|e| quit(&e.to_string())).1;
    filler.store.close();
    println!(
        "{} alerts, {jobs} incidents, {incidents} of them open, {} messages, in {:.0} s",
        filler.plan.alerts,
        filler.told,
        began.elapsed().as_secs_f64()
    );
}

/// One alert with its times.
type Line = (Facts, String, Option<String>);

struct Filler {
    store: Store,
    clock: Clock,
    next: u64,
    told: usize,
    plan: Arc<Plan>,
}

impl Filler {
    /// Channels, and rules that share the services among them.
    async fn rules(&self) {
        let by = || Actor::Person("fill".to_owned());
        let mut channels = Vec::new();
        for n in 0..self.plan.channels {
            let url = format!("https://chat.example.net/hooks/fill-{n}");
            let sealed = self.store.sealer().seal(&url).unwrap_or_else(|e| quit(&e.to_string()));
            let new = NewChannel {
                name: format!("#team-{n}"),
                kind: "mattermost".to_owned(),
                settings: BTreeMap::new(),
                secrets: BTreeMap::from([("url".to_owned(), sealed)]),
                shown: BTreeMap::from([("url".to_owned(), format!("chat.example.net/…{n:04}"))]),
                enabled: true,
                fallback: None,
            };
            let made = self.store.make_channel(new, by()).await.unwrap_or_else(|e| quit(&e.to_string()));
            channels.push(made.id);
        }
        for (n, channel) in (0..self.plan.rules).zip(channels.iter().cycle()) {
            let mine = (0..payload::SERVICES).filter(|s| s % self.plan.rules == n);
            let services: Vec<String> = mine.map(|s| s.to_string()).collect();
            let matcher: Matcher =
                format!("service =~ svc-({})", services.join("|")).parse().unwrap_or_else(|e: String| quit(&e));
            let now = self.clock.now();
            let rule = NoticeRule {
                id: RuleId::default(),
                name: format!("Services of team {n}"),
                enabled: true,
                position: u32::try_from(n).unwrap_or(u32::MAX),
                from: None,
                matchers: vec![matcher],
                condition: None,
                times: None,
                events: vec![NoticeEvent::Opened, NoticeEvent::Resolved],
                targets: vec![Target::Channel(*channel)],
                policy: None,
                wait_secs: 0,
                gather_secs: 0,
                quiet: None,
                remind_secs: None,
                last: false,
                created_at: now,
                created_by: String::new(),
                updated_at: now,
            };
            self.store.put_notice_rule(None, rule, by()).await.unwrap_or_else(|e| quit(&e.to_string()));
        }
    }

    /// Every message that waits has been told.
    async fn tell(&mut self) {
        loop {
            let taken = self.store.take_notices(BTreeSet::new(), BTreeSet::new(), PACKAGES).await;
            let packages = taken.unwrap_or_else(|e| quit(&e.to_string()));
            if packages.is_empty() {
                return;
            }
            self.told += packages.iter().map(|p| p.notices.len()).sum::<usize>();
            let sent = packages.iter().map(|p| sent(p, self.clock.now())).collect();
            self.store.record_notices(sent).await.unwrap_or_else(|e| quit(&e.to_string()));
        }
    }

    /// Alerts that began and ended.
    async fn history(&mut self) {
        let plan = Arc::clone(&self.plan);
        let past = plan.alerts - plan.open_alerts - plan.big;
        let episodes = past.div_ceil(plan.per_incident).max(1);
        let apart = plan.seconds as f64 / (episodes + 1) as f64;
        let (mut left, mut firing, mut ending) = (past, Vec::new(), Vec::new());
        for episode in 0..episodes {
            let random = mix(plan.seed ^ episode);
            let at = plan.began + (apart * episode as f64) as i64;
            let ends = at + (apart * LASTS) as i64;
            // Half to one and a half of the mean; the last takes what is left.
            let size = if episode + 1 == episodes { left } else { plan.per_incident / 2 + random % plan.per_incident };
            let size = size.min(left);
            left -= size;
            self.episode(random, at, ends, size, &mut firing, &mut ending);
            if firing.iter().map(|(_, lines)| lines.len() as u64).sum::<u64>() >= STEP || left == 0 {
                self.send(std::mem::take(&mut firing)).await;
                self.send(std::mem::take(&mut ending)).await;
                self.move_to(at).await;
                self.tell().await;
            }
            if left == 0 {
                break;
            }
        }
        let at = plan.began + plan.seconds - 2 * 3600;
        let mut left = plan.big;
        while left > 0 {
            let size = left.min(STEP);
            left -= size;
            // Its ends come when all have begun: the incident stays one.
            self.episode(plan.seed, at, at + 3600, size, &mut firing, &mut ending);
            self.send(std::mem::take(&mut firing)).await;
            self.move_to(at).await;
        }
        for part in ending.chunks(STEP as usize / 20) {
            self.send(part.to_vec()).await;
        }
    }

    /// Deliveries of one episode: its beginnings one to four at a time, its ends in larger groups.
    fn episode(
        &mut self,
        random: u64,
        at: i64,
        ends: i64,
        size: u64,
        firing: &mut Vec<(i64, Vec<Line>)>,
        ending: &mut Vec<(i64, Vec<Line>)>,
    ) {
        let service = random % payload::SERVICES;
        let lines: Vec<Line> = (0..size)
            .map(|n| {
                let facts = self.facts(service);
                let started = at + (n as i64).min((ends - at) / 2);
                (facts, payload::rfc3339(started), Some(payload::rfc3339(ends)))
            })
            .collect();
        let mut rest = lines.as_slice();
        while !rest.is_empty() {
            let (group, others) = rest.split_at((1 + mix(rest.len() as u64 ^ random) as usize % 4).min(rest.len()));
            firing.push((at, group.iter().map(|(f, started, _)| (*f, started.clone(), None)).collect()));
            rest = others;
        }
        ending.extend(lines.chunks(20).map(|group| (ends, group.to_vec())));
    }

    fn facts(&mut self, service: u64) -> Facts {
        self.next += 1;
        Facts { service, ..payload::facts(self.next, self.plan.seed) }
    }

    /// Alerts that are open now, in as many incidents as asked for: each has a service of its own.
    async fn open_ones(&mut self) {
        let plan = Arc::clone(&self.plan);
        if plan.open_incidents == 0 {
            return;
        }
        let hour_ago = plan.began + plan.seconds - 3600;
        self.move_to(hour_ago).await;
        let mut firing = Vec::new();
        for n in 0..plan.open_alerts {
            let incident = n % plan.open_incidents;
            // The services of the stream first: what is sent while measuring meets these incidents.
            let service = if incident < payload::SERVICES { incident } else { 1_000 + incident };
            let at = hour_ago + i64::try_from(3600 * n / plan.open_alerts).unwrap_or(0);
            let facts = Facts { severity: ["critical", "warning"][n as usize % 2], ..self.facts(service) };
            firing.push((at, vec![(facts, payload::rfc3339(at), None)]));
            if firing.len() as u64 == STEP || n + 1 == plan.open_alerts {
                self.send(std::mem::take(&mut firing)).await;
                self.move_to(at).await;
            }
        }
        self.move_to(plan.began + plan.seconds).await;
    }

    async fn send(&self, deliveries: Vec<(i64, Vec<Line>)>) {
        let mut tasks = JoinSet::new();
        for (at, lines) in deliveries {
            let store = self.store.clone();
            tasks.spawn(async move { store.submit(delivery(at, &lines)).await });
        }
        while let Some(done) = tasks.join_next().await {
            if let Ok(Err(e)) = done {
                quit(&format!("a delivery was not stored: {e}"));
            }
        }
    }

    async fn move_to(&self, at: i64) {
        while self.store.behind() > BEHIND {
            let mut position = self.store.position();
            let _ = position.changed().await;
        }
        self.clock.advance(Time::from_secs(at).since(self.clock.now()));
    }

    async fn settle(&self) {
        let last = *self.store.position().borrow() + self.store.behind();
        if !self.store.applied(last, Duration::from_secs(600)).await {
            quit("the writer does not come to an end");
        }
    }

    /// Ends every investigation that waits; how many there were.
    async fn cancel_investigations(&self) -> usize {
        let mut all = 0;
        loop {
            let jobs = self.store.read(|view| view.jobs(COMMANDS)).await.unwrap_or_else(|e| quit(&e.to_string()));
            if jobs.is_empty() {
                return all;
            }
            let mut tasks = JoinSet::new();
            for job in jobs {
                let store = self.store.clone();
                tasks.spawn(async move { store.cancel_investigation(job.incident, Actor::System).await });
            }
            while let Some(done) = tasks.join_next().await {
                match done {
                    // Its incident became part of another one meanwhile, or ended.
                    Ok(Err(CommandError::Conflict { .. })) => {}
                    Ok(Err(e)) => quit(&format!("an investigation was not cancelled: {e}")),
                    Ok(Ok(_)) | Err(_) => {}
                }
                all += 1;
            }
        }
    }
}

/// What comes of a message that its target takes.
fn sent(package: &Package, at: Time) -> Sent {
    let attempt = Attempt { at, took_ms: 120, ok: true, status: Some(200), said: "answered 200: ok".to_owned() };
    Sent {
        notices: package.notices.iter().map(|n| n.id).collect(),
        attempt: Some(attempt),
        end: SentEnd::Done,
        receipt: package.receipt.clone(),
        lasting: package.channel.lasting.clone(),
        steps_done: vec!["post".to_owned()],
        in_doubt: false,
    }
}

fn delivery(at: i64, lines: &[Line]) -> NewDelivery {
    let mut body = String::new();
    payload::webhook(&mut body, lines);
    let at = Time::from_secs(at);
    let request =
        connectors::Request { headers: &[], query: &[], body: body.as_bytes(), received_at: at, rca_enabled: false };
    let connector = connectors::find("alertmanager").unwrap_or_else(|| quit("this Watchfire has no such connector"));
    let parsed = connector.parse(&request).unwrap_or_else(|p| quit(&p.detail));
    NewDelivery {
        at,
        platform: "alertmanager".into(),
        outcome: DeliveryOutcome::Accepted,
        problem: None,
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.into_bytes(),
        parsed,
        replay_of: None,
    }
}

fn unix() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(0)
}
