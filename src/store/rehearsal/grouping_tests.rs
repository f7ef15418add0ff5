//! What holds of the grouping whatever comes: the memory is what the tables say, and nothing depends on which deliveries
//! share a transaction, on a restart between two of them, or on the order inside one body.

use proptest::{
    collection,
    prelude::{ProptestConfig, any, prop_assert_eq, prop_oneof, proptest},
    strategy::Strategy as Drawn,
};

use super::*;
use crate::store::apply::{lifecycle, moves, taught};

const START: i64 = 1_772_500_000;
const SERVICES: [&str; 8] = ["api", "svc/api", "db", "ledger-db", "web-prod", "API", "-", ""];
const HOSTS: [&str; 6] = ["", "h1.internal:9100", "h1", "h2", "-", "h3"];
const TITLES: [&str; 8] = [
    "High latency",
    "Connection refused by ledger-db",
    "disk full",
    "",
    "Host unreachable",
    "timeouts calling db",
    "errors 532",
    "network partition between api and ledger-db",
];

/// What a signal is made of: its identity, what it says, where, and when.
type Drawn4 = (u8, u8, u8, u8);

#[derive(Clone, Debug)]
enum Step {
    Body(Vec<Drawn4>),
    End(u8),
    Merge(u8, u8),
    Unmerge(u8),
    Split(u8, u8),
    Attach(u8, u8),
    Resolve(u8),
    Reopen(u8),
    Own(u8),
    Manual(u8),
    Declare(u8, u8),
    Rename(u8, u8),
    Undeclare(u8),
    Dismiss(u8),
    Forget,
    Wait(u8),
}

fn step() -> impl Drawn<Value = Step> {
    use Step::*;
    prop_oneof![
        12 => collection::vec((0..24_u8, any::<u8>(), 0..48_u8, any::<u8>()), 1..4).prop_map(Body),
        3 => (0..24_u8).prop_map(End),
        2 => (0..12_u8, 0..12_u8).prop_map(|(a, b)| Merge(a, b)),
        1 => (0..12_u8).prop_map(Unmerge),
        1 => (0..12_u8, 0..24_u8).prop_map(|(i, a)| Split(i, a)),
        2 => (0..12_u8, 0..24_u8).prop_map(|(i, a)| Attach(i, a)),
        1 => (0..12_u8).prop_map(Resolve),
        1 => (0..12_u8).prop_map(Reopen),
        1 => (0..12_u8).prop_map(Own),
        1 => (0..4_u8).prop_map(Manual),
        1 => (0..8_u8, any::<u8>()).prop_map(|(s, n)| Declare(s, n)),
        1 => (0..8_u8, 0..8_u8).prop_map(|(a, b)| Rename(a, b)),
        1 => (0..8_u8).prop_map(Undeclare),
        1 => (0..8_u8).prop_map(Dismiss),
        1 => proptest::strategy::Just(Forget),
        5 => (1..20_u8).prop_map(Wait),
    ]
}

fn pick<'a>(all: &[&'a str], n: u8) -> &'a str {
    all[usize::from(n) % all.len()]
}

fn named(all: &[&str], n: u8) -> Option<String> {
    Some(pick(all, n).to_owned()).filter(|s| !s.is_empty())
}

fn signal((key, says, place, when): Drawn4, now: Time) -> Signal {
    // Mostly the same of one identity, so that there are repeats that say nothing new.
    let shape = if says < 160 { key.wrapping_mul(37) } else { says };
    let place = if says < 200 { key } else { place };
    let mut s = Signal::new(format!("k{key}"), pick(&TITLES, shape));
    s.description = (shape % 3 == 0).then(|| format!("value {shape} of {}", pick(&SERVICES, shape)));
    s.severity = [Severity::Critical, Severity::High, Severity::Medium, Severity::Info][usize::from(shape) % 4];
    s.service = named(&SERVICES, place);
    s.host = named(&HOSTS, place / 8 + key);
    s.environment = [None, None, Some("prod"), Some("staging")][usize::from(key) % 4].map(str::to_owned);
    s.started_at = match when % 5 {
        0 => Some(now.minus(Duration::from_secs(u64::from(when) * 5))),
        1 => Some(now.minus(Duration::from_secs(48 * 3600))),
        2 => Some(now.plus(Duration::from_secs(u64::from(when)))),
        _ => None,
    };
    s.quiet_after_secs = (key % 7 == 0).then_some(300);
    s.group_key = (key % 5 == 0).then(|| "g".to_owned());
    if shape % 6 == 0 {
        let to = pick(&["db", "ledger-db", "cache", "queue"], place);
        s.labels = [("source_workload", pick(&["api", "web", "batch"], shape)), ("destination_workload", to)]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
    }
    s
}

fn delivery(at: Time, platform: &str, signals: Vec<Signal>) -> NewDelivery {
    NewDelivery {
        at,
        platform: platform.to_owned(),
        outcome: DeliveryOutcome::Accepted,
        problem: None,
        headers: Vec::new(),
        body: Vec::new(),
        parsed: Parsed { signals, ..Parsed::default() },
        replay_of: None,
    }
}

fn me() -> Actor {
    Actor::Person("sre-1".into())
}

/// What one run over the same steps does differently.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Together,
    Single,
    Restarting,
    Reversed,
}

/// Closed incidents with how many alerts they have, the last incident's number, and where each alert is.
type Standing = (Vec<(IncidentId, u64)>, u64, HashMap<u64, Option<IncidentId>>);

struct Run {
    r: Rehearsal,
    at: Time,
    how: How,
}

impl Run {
    fn new(how: How) -> Self {
        let policy = Policy {
            mode: crate::config::CorrelationMode::Weighted,
            reserve: 0,
            group_by_sender: [("grafana".to_owned(), true)].into(),
            ..Policy::default()
        };
        Self { r: Rehearsal::new(policy).unwrap(), at: Time::from_secs(START), how }
    }

    fn restart(&mut self) {
        self.r.world = World::load(&self.r.main.read().unwrap()).unwrap();
    }

    /// All steps, in one transaction or in one each.
    fn play(mut self, steps: &[Step]) -> Self {
        if self.how == How::Together {
            // What people ask for, and the retention, has a transaction of its own.
            use Step::{Body, End, Manual, Resolve, Wait};
            let free = |s: &Step| matches!(s, Body(_) | End(_) | Manual(_) | Resolve(_) | Wait(_));
            for group in steps.chunk_by(|a, b| free(a) && free(b)) {
                let (mut at, how) = (self.at, self.how);
                let all =
                    self.r.transaction(|this, tx| group.iter().try_for_each(|s| step_of(this, tx, s, &mut at, how)));
                all.unwrap();
                self.at = at;
            }
            return self;
        }
        for step in steps {
            if self.how == How::Restarting {
                self.restart();
            }
            let before = self.standing();
            let (mut at, how) = (self.at, self.how);
            self.r.transaction(|this, tx| step_of(this, tx, step, &mut at, how)).unwrap();
            self.at = at;
            self.check(step, &before);
        }
        self
    }

    /// Alerts of closed incidents, and how many incidents there are.
    fn standing(&self) -> Standing {
        let all = self.rows();
        let closed = all.iter().filter(|i| i.status == IncidentStatus::Resolved).map(|i| (i.id, i.alert_count));
        let merged: HashMap<IncidentId, IncidentId> =
            all.iter().filter_map(|i| i.merged_into.map(|into| (i.id, into))).collect();
        let txn = self.r.main.read().unwrap();
        let mut homes = HashMap::new();
        for row in txn.open_table(tables::ALERTS).unwrap().iter().unwrap() {
            let (number, bytes) = row.unwrap();
            let alert: Alert = codec::decode(bytes.value()).unwrap();
            homes.insert(number.value(), alert.incident.map(|id| follow(&merged, id)));
        }
        (closed.collect(), self.r.world.last(meta::INCIDENT), homes)
    }

    fn rows(&self) -> Vec<Incident> {
        let txn = self.r.main.read().unwrap();
        let rows = txn.open_table(tables::INCIDENTS).unwrap();
        rows.iter().unwrap().map(|row| codec::decode(row.unwrap().1.value()).unwrap()).collect()
    }

    fn check(&self, step: &Step, (closed, last, homes): &Standing) {
        let view = self.r.view().unwrap();
        assert_eq!(view.check_groups().unwrap(), Vec::<String>::new(), "{step:?}");
        let rows = self.rows();
        for (id, count) in closed {
            let Some(now) = rows.iter().find(|i| i.id == *id) else { continue };
            let grew = now.status == IncidentStatus::Resolved && now.alert_count > *count;
            assert!(!grew, "{id} is closed and gained alerts by {step:?}");
        }
        if matches!(step, Step::End(_)) {
            let (_, now, after) = self.standing();
            assert_eq!((*last, homes), (now, &after), "the end of an alert neither opens nor moves anything");
        }
        for i in &rows {
            let burned_out = i.is_open() && i.firing_count == 0 && !i.manual;
            let by_hand = view.timeline(i.id, None, 1_000).unwrap();
            assert!(
                !burned_out || by_hand.iter().any(|e| e.kind == TimelineKind::Reopened),
                "{} is open and none of its alerts is",
                i.id
            );
        }
        let edges = self.r.world.edges.values().filter(|e| e.holds()).map(|e| (e.from.as_str(), e.to.as_str()));
        let known = crate::correlation::topology::Topology::new(self.r.world.services.values(), edges);
        assert!(known == self.r.world.engine.topology, "the correlator knows the edges that hold, after {step:?}");
    }

    /// All rows of alerts and incidents but for numbers that count transactions' rows.
    fn digest(&self) -> String {
        let view = self.r.view().unwrap();
        let mut text = String::new();
        for mut i in self.rows() {
            i.version = 0;
            if let Some(before) = &mut i.merging.before {
                before.seq = 0;
            }
            let told: Vec<_> = view
                .timeline(i.id, None, 1_000)
                .unwrap()
                .into_iter()
                .map(|e| (e.at, e.kind, e.actor, e.text, e.data.to_string()))
                .collect();
            text += &format!("{i:?}\n{:?}\n{told:?}\n", view.members(i.id, 1_000).unwrap());
        }
        let txn = self.r.main.read().unwrap();
        for row in txn.open_table(tables::PROFILES).unwrap().iter().unwrap() {
            let (number, bytes) = row.unwrap();
            let profile: crate::correlation::weighted::Profile = codec::decode(bytes.value()).unwrap();
            text += &format!("{} {profile:?}\n", number.value());
        }
        for row in txn.open_table(tables::LOOKS).unwrap().iter().unwrap() {
            text += &format!("{:?}\n", row.unwrap().0.value());
        }
        text
    }
}

fn incident(tx: &mut Tx<'_>, n: u8) -> Option<IncidentId> {
    let last = tx.world.last(meta::INCIDENT);
    let id = IncidentId(u64::from(n) % last.max(1) + 1);
    tx.incident(id).unwrap().map(|i| i.id)
}

fn alert(tx: &Tx<'_>, n: u8) -> Option<Alert> {
    tx.alert(u64::from(n) % tx.world.last(meta::ALERT).max(1) + 1).unwrap()
}

fn step_of(this: &mut Rehearsal, tx: &mut Tx<'_>, step: &Step, at: &mut Time, how: How) -> Result<(), StoreError> {
    let by = me();
    let reason = || vec![Reason { strategy: Strategy::Manual, score: 1.0, text: "By hand.".to_owned() }];
    this.at(tx, *at)?;
    match step {
        Step::Body(drawn) => {
            let mut signals: Vec<Signal> = drawn.iter().map(|d| signal(*d, *at)).collect();
            signals.sort_by(|a, b| a.dedup_key.cmp(&b.dedup_key));
            signals.dedup_by(|a, b| a.dedup_key == b.dedup_key);
            if how == How::Reversed {
                signals.reverse();
            }
            this.deliver(tx, delivery(*at, "grafana", signals))?;
        }
        Step::End(key) => {
            let mut s = Signal::new(format!("k{key}"), "over");
            s.status = SignalStatus::Resolved;
            this.deliver(tx, delivery(*at, "grafana", vec![s]))?;
        }
        Step::Manual(n) => {
            let s = signal((24 + n, 0, *n, 4), *at);
            this.deliver(tx, delivery(*at, "manual", vec![s]))?;
        }
        Step::Merge(a, b) => {
            if let (Some(a), Some(b)) = (incident(tx, *a), incident(tx, *b)) {
                moves::merge(tx, b, a, reason(), &by)?;
            }
        }
        Step::Unmerge(a) => {
            if let Some(a) = incident(tx, *a) {
                let home = tx.home(a)?;
                if moves::unmerge(tx, a, &by)? {
                    taught::unmerged(tx, a, home, true, &by)?;
                }
            }
        }
        Step::Split(i, a) => {
            if let (Some(i), Some(a)) = (incident(tx, *i), alert(tx, *a)) {
                let home = tx.home(i)?;
                let numbers = [a.id.number()];
                let named = taught::Named::of_alerts(tx, &numbers)?;
                if let Some(new) = moves::split(tx, home, &numbers, None, &by)? {
                    taught::parted(tx, &named, home, new, &by)?;
                }
            }
        }
        Step::Attach(i, a) => {
            if let (Some(i), Some(a)) = (incident(tx, *i), alert(tx, *a)) {
                match a.incident {
                    Some(under) => {
                        let from = tx.home(under)?;
                        moves::move_alerts(tx, &[a.id.number()], from, i, reason(), &by, "")?;
                    }
                    None => drop(moves::attach_lone(tx, vec![a], i, &reason(), &by)?),
                }
            }
        }
        Step::Resolve(i) => {
            if let Some(i) = incident(tx, *i)
                && tx.known_incident(i)?.is_open()
            {
                incidents::resolve(tx, i, None, &by).map_err(as_store)?;
            }
        }
        Step::Reopen(i) => {
            if let Some(i) = incident(tx, *i)
                && tx.known_incident(i)?.status == IncidentStatus::Resolved
            {
                lifecycle::reopen(tx, i, &by, "By hand.".to_owned())?;
            }
        }
        Step::Own(i) => {
            if let Some(i) = incident(tx, *i)
                && tx.known_incident(i)?.is_open()
            {
                tx.known_incident(i)?.owner = Some("sre-1".to_owned());
                tx.changed(i, IncidentChange::Owner);
            }
        }
        Step::Declare(s, n) => {
            let service = Service {
                name: ["api", "api-dev", "db", "ledger-db", "web", "prod-db", "cache", "x"][usize::from(*s)].to_owned(),
                aliases: if *n % 3 == 0 { vec![format!("alias-{n}")] } else { Vec::new() },
                depends_on: if *n % 2 == 0 { vec![pick(&["db", "cache", "queue"], *n).to_owned()] } else { Vec::new() },
                hosts: vec![format!("h{}", n % 4)],
                ..Service::default()
            };
            let _ = tx.put_service(None, service, &by);
        }
        Step::Rename(a, b) => {
            let names: Vec<String> = tx.world.services.values().map(|s| s.name.clone()).collect();
            if let Some(was) = names.get(usize::from(*a) % names.len().max(1)) {
                let service = Service { name: format!("web-{b}"), ..tx.world.service(was).unwrap().clone() };
                let _ = tx.put_service(Some(was), service, &by);
            }
        }
        Step::Undeclare(a) => {
            let names: Vec<String> = tx.world.services.values().map(|s| s.name.clone()).collect();
            if let Some(was) = names.get(usize::from(*a) % names.len().max(1)) {
                let _ = tx.delete_service(was, &by);
            }
        }
        Step::Dismiss(n) => {
            let edges: Vec<(String, String)> = tx.world.edges.keys().cloned().collect();
            if let Some((from, to)) = edges.get(usize::from(*n) % edges.len().max(1)) {
                let _ = tx.dismiss_edge(from, to, true, &by);
            }
        }
        Step::Forget => drop(tx.forget_incidents(tx.now, 1_000)?),
        Step::Wait(n) => {
            let until = at.plus(Duration::from_secs(u64::from(*n) * 20));
            this.pass(tx, until, None)?;
            *at = until;
        }
    }
    Ok(())
}

/// A few by default; `GROUPING_RUNS=1000` is a long run.
fn cases() -> u32 {
    std::env::var("GROUPING_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_groups_nor_restarts_nor_the_order_of_a_body_change_anything(steps in collection::vec(step(), 1..60)) {
        let single = Run::new(How::Single).play(&steps).digest();
        prop_assert_eq!(&single, &Run::new(How::Single).play(&steps).digest(), "the same once more");
        prop_assert_eq!(&single, &Run::new(How::Together).play(&steps).digest(), "all in one transaction");
        prop_assert_eq!(&single, &Run::new(How::Restarting).play(&steps).digest(), "with restarts between");
        prop_assert_eq!(&single, &Run::new(How::Reversed).play(&steps).digest(), "bodies reversed");
    }
}

/// An alert of `web` opens an incident, one of `db` another; then it becomes known that the first calls the second.
fn known_late(between: impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError>) -> Run {
    let mut run = Run::new(How::Single);
    let at = Time::from_secs(START);
    let fire = |service: &str| {
        let title = match service {
            "web" => "High latency",
            "db" => "disk full",
            _ => "certificate expires",
        };
        let mut s = Signal::new(service, title);
        (s.severity, s.service) = (Severity::High, Some(service.to_owned()));
        s
    };
    let send = |run: &mut Run, seconds: u64, service: &str| {
        let now = at.plus(Duration::from_secs(seconds));
        let cue = Cue::Delivery(Box::new(delivery(now, "grafana", vec![fire(service)])));
        run.r.play(std::iter::once(Ok::<_, StoreError>(cue)), None).unwrap();
    };
    let service = |name: &str, calls: &[&str]| Service {
        name: name.into(),
        depends_on: calls.iter().map(|c| (*c).to_owned()).collect(),
        ..Service::default()
    };
    // Something is known of each, so that the clock alone does not put them together.
    let apart = ["db", "mail", "web"].map(|name| service(name, &[&format!("{name}-cache")]));
    run.r.declare(apart.to_vec()).unwrap();
    send(&mut run, 0, "web");
    send(&mut run, 20, "db");
    send(&mut run, 40, "mail");
    assert_eq!(run.r.world.last(meta::INCIDENT), 3);
    run.r.transaction(|_, tx| between(tx)).unwrap();
    let all = vec![service("db", &[]), service("mail", &[]), service("web", &["db"])];
    run.r.declare(all).unwrap();
    run.r.pass_until(at.plus(Duration::from_secs(95)), None).unwrap();
    assert_eq!(run.r.view().unwrap().check_groups().unwrap(), Vec::<String>::new());
    run
}

#[test]
fn a_second_look_joins_what_belongs_together() {
    let rows = known_late(|_| Ok(())).rows();
    assert_eq!((rows[0].merged_into, rows[1].alert_count), (Some(IncidentId(2)), 2), "{rows:?}");
}

#[test]
fn a_second_look_leaves_alone_what_somebody_has_taken() {
    let run = known_late(|tx| {
        tx.known_incident(IncidentId(1))?.owner = Some("sre-1".to_owned());
        tx.changed(IncidentId(1), IncidentChange::Owner);
        Ok(())
    });
    let rows = run.rows();
    assert_eq!((rows[0].merged_into, rows[0].owner.as_deref()), (None, Some("sre-1")));
}

#[test]
fn a_second_look_leaves_alone_what_people_merged() {
    let run = known_late(|tx| {
        let reason = Reason { strategy: Strategy::Manual, score: 1.0, text: "One.".to_owned() };
        assert!(moves::merge(tx, IncidentId(1), IncidentId(3), vec![reason], &me())?);
        Ok(())
    });
    let counts: Vec<u64> = run.rows().iter().map(|i| i.alert_count).collect();
    assert_eq!(counts, [1, 1, 2], "its alert stays where people put it");
}

#[test]
fn an_incident_whose_own_alerts_all_left_is_known_by_those_merged_into_it() {
    let mut run = known_late(|tx| {
        let reason = || vec![Reason { strategy: Strategy::Manual, score: 1.0, text: "One.".to_owned() }];
        assert!(moves::merge(tx, IncidentId(1), IncidentId(3), reason(), &me())?);
        Ok(())
    });
    run.r
        .transaction(|_, tx| {
            let reason = vec![Reason { strategy: Strategy::Manual, score: 1.0, text: "Not.".to_owned() }];
            moves::move_alerts(tx, &[3], IncidentId(3), IncidentId(2), reason, &me(), "")
        })
        .unwrap();
    let known = run.r.world.engine.profile(IncidentId(3)).unwrap();
    assert_eq!(known.services.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["web"]);
    run.restart();
    assert_eq!(run.r.world.engine.profile(IncidentId(3)).unwrap().size, 1);
}

#[test]
fn a_manual_incident_merged_into_one_of_one_alert_changes_nothing_that_is_known_of_it() {
    let mut run = Run::new(How::Single);
    let at = Time::from_secs(START);
    let mut s = Signal::new("a", "disk full");
    (s.severity, s.quiet_after_secs) = (Severity::High, Some(60));
    let hand = Signal { severity: Severity::High, ..Signal::new("b", "by hand") };
    let cues = [delivery(at, "grafana", vec![s]), delivery(at, "manual", vec![hand])];
    run.r.play(cues.into_iter().map(|d| Ok::<_, StoreError>(Cue::Delivery(Box::new(d)))), None).unwrap();
    let reason = vec![Reason { strategy: Strategy::Manual, score: 1.0, text: "One.".to_owned() }];
    run.r.transaction(|_, tx| moves::merge(tx, IncidentId(2), IncidentId(1), reason, &me())).unwrap();
    // The alert falls quiet; memory and tables are compared.
    run.r.pass_until(at.plus(Duration::from_secs(61)), None).unwrap();
    assert_eq!((run.rows()[0].firing_count, run.rows()[0].status), (1, IncidentStatus::Investigating));
}
