//! What mutes and thresholds do to the store. After each transaction the writer's memory is compared with the tables.

use proptest::prelude::*;

use super::{
    tests::{Fixture, firing, me, minutes, resolved, titled},
    *,
};

fn lines(lines: &[&str]) -> Vec<Matcher> {
    lines.iter().map(|l| l.parse().unwrap()).collect()
}

fn silence(f: &Fixture, matchers: &[&str], for_minutes: u64) -> NewMute {
    NewMute {
        kind: MuteKind::Silence,
        matchers: lines(matchers),
        starts_at: None,
        ends_at: Some(f.clock.now().plus(minutes(for_minutes))),
        quiet_minutes: None,
        recurrence: None,
        reason: "disk is swapped".into(),
    }
}

impl Fixture {
    async fn silence(&self, matchers: &[&str], for_minutes: u64) -> Mute {
        let made = self.store.make_mute(silence(self, matchers, for_minutes), me()).await.unwrap();
        self.consistent();
        made
    }

    fn mute(&self, id: MuteId) -> Mute {
        self.store.view().unwrap().mute(id).unwrap().unwrap()
    }

    fn alert(&self, applied: &Applied) -> Alert {
        self.store.view().unwrap().alert(applied.alert_id.unwrap()).unwrap().unwrap()
    }

    /// Moves the clock and waits until the store says so.
    async fn later(&self, by: Duration, until: impl Fn(&View) -> bool) {
        let mut changes = self.store.changes();
        self.clock.advance(by);
        tokio::time::timeout(Duration::from_secs(20), async {
            while !until(&self.store.view().unwrap()) {
                // Not every step of the writer is a change that is followed.
                tokio::time::timeout(Duration::from_millis(20), changes.changed()).await.ok();
            }
        })
        .await
        .expect("the time came and nothing happened");
        self.consistent();
    }

    fn timeline(&self, n: u64) -> Vec<String> {
        self.store.view().unwrap().timeline(IncidentId(n), None, 100).unwrap().into_iter().map(|e| e.text).collect()
    }

    fn overview(&self) -> Overview {
        self.store.view().unwrap().overview(self.clock.now()).unwrap()
    }
}

fn on(key: &str, service: &str, host: &str) -> Signal {
    Signal { host: Some(host.to_owned()), ..firing(key, Some(service)) }
}

#[tokio::test]
async fn a_silence_takes_effect_at_once_in_both_directions() {
    let mut f = Fixture::new();
    f.send("grafana", vec![on("g:a", "api", "db-1"), on("g:b", "api", "db-2"), on("g:c", "api", "web-1")]).await;
    let preview = f.store.view().unwrap().preview(&lines(&["host =~ db-.*"]), f.clock.now()).unwrap().unwrap();
    assert_eq!((preview.open_alerts, preview.open_incidents, preview.muted_incidents), (2, 1, 0));
    assert_eq!((preview.week_alerts, preview.week_incidents, preview.week_is_exact), (2, 1, true));

    let made = f.silence(&["host =~ db-.*"], 60).await;
    assert_eq!((made.id.to_string().as_str(), made.state(), made.author.as_str()), ("S-1", MuteState::Active, "sre-1"));
    assert_eq!((made.muted_now, made.muted_alerts, made.muted_incidents), (2, 2, 1), "the preview was right");
    let incident = f.incident(1);
    assert_eq!((incident.muted_count, incident.muted, incident.mutes.as_slice()), (2, false, &[made.id][..]));
    assert!(
        f.timeline(1)
            .iter()
            .any(|t| t == "Silence S-1 mutes alerts of it until 2026-03-03 02:06 UTC: disk is swapped (sre-1)."),
        "{:?}",
        f.timeline(1)
    );
    assert_eq!(f.overview().unowned, 1);

    // What comes later is marked when it comes, and repeats change nothing.
    let late = f.send("grafana", vec![on("g:d", "api", "db-3")]).await;
    assert_eq!(f.alert(&late[0]).muted_by, [made.id]);
    f.send("grafana", vec![on("g:d", "api", "db-3")]).await;
    assert_eq!(f.mute(made.id).muted_alerts, 3);

    // The last one that calls ends: the incident calls for nobody.
    f.send("grafana", vec![resolved("g:c")]).await;
    assert!(f.incident(1).muted);
    let o = f.overview();
    assert_eq!((o.open, o.muted, o.unowned, o.oldest_unowned), (1, 1, 0, None));
    f.restart();

    let ended = f.store.end_mute(made.id, me()).await.unwrap();
    f.consistent();
    assert_eq!((ended.state(), ended.muted_now, ended.muted_alerts), (MuteState::Expired, 0, 3));
    assert_eq!(ended.ended_how.as_deref(), Some("Ended by sre-1."));
    let incident = f.incident(1);
    assert_eq!((incident.muted_count, incident.muted), (0, false));
    let alert = f.alert(&late[0]);
    assert_eq!((alert.muted_by.as_slice(), alert.was_muted_by.as_slice()), (&[][..], &[made.id][..]));
    let told = f.timeline(1);
    assert!(
        told.iter().any(|t| t.starts_with("Silence S-1 ended: 3 alerts burn and are no longer muted by it.")),
        "{told:?}"
    );
    assert!(told.iter().any(|t| t == "No longer muted: 3 of 3 open alerts call for somebody."), "{told:?}");
    assert_eq!(f.overview().unowned, 1);
    assert!(matches!(f.store.end_mute(made.id, me()).await, Err(CommandError::Conflict { .. })));
}

#[tokio::test]
async fn two_silences_on_one_alert_and_a_change_of_matchers() {
    let f = Fixture::new();
    let sent = f.send("grafana", vec![on("g:a", "api", "db-1"), on("g:b", "api", "web-1")]).await;
    let hosts = f.silence(&["host =~ db-.*"], 60).await;
    let all = f.silence(&["service = API"], 60).await;
    assert_eq!(f.alert(&sent[0]).muted_by, [hosts.id, all.id]);
    assert!(f.incident(1).muted);
    f.store.end_mute(hosts.id, me()).await.unwrap();
    f.consistent();
    assert_eq!(f.alert(&sent[0]).muted_by, [all.id]);
    assert!(f.incident(1).muted, "the other one goes on");
    let patch = MutePatch { matchers: Some(lines(&["service = api", "host = web-1"])), ..MutePatch::default() };
    let changed = f.store.change_mute(all.id, patch, me()).await.unwrap();
    f.consistent();
    assert_eq!((changed.muted_now, changed.muted_alerts, f.incident(1).muted), (1, 2, false));
    assert_eq!(f.alert(&sent[0]).muted_by, []);
    // What an alert says changes, and with it what mutes it.
    f.send("grafana", vec![on("g:b", "api", "web-2")]).await;
    assert_eq!((f.mute(all.id).muted_now, f.incident(1).muted_count), (0, 0));
}

#[tokio::test]
async fn silences_begin_warn_and_end_by_the_clock() {
    let mut f = Fixture::new();
    let sent = f.send("grafana", vec![on("g:a", "api", "db-1")]).await;
    let starts_at = Some(f.clock.now().plus(minutes(10)));
    let new = NewMute { starts_at, ..silence(&f, &["service = api"], 70) };
    let made = f.store.make_mute(new, me()).await.unwrap();
    assert_eq!((made.state(), f.alert(&sent[0]).muted_by.len()), (MuteState::Scheduled, 0));
    f.restart();
    let id = made.id;
    f.later(minutes(10), |v| v.mute(id).unwrap().unwrap().state() == MuteState::Active).await;
    assert!(f.incident(1).muted);
    f.later(minutes(45), |v| v.mute(id).unwrap().unwrap().warned_of.is_some()).await;
    assert!(
        f.timeline(1).iter().any(|t| t == "Silence S-1 ends in 15\u{a0}min and 1 alert still fires."),
        "{:?}",
        f.timeline(1)
    );
    // Extended: it is warned of anew.
    let patch = MutePatch { extend_minutes: Some(60), ..MutePatch::default() };
    f.store.change_mute(id, patch, me()).await.unwrap();
    f.later(minutes(60), |v| {
        v.timeline(IncidentId(1), None, 100).unwrap().iter().filter(|e| e.text.contains("still fires")).count() == 2
    })
    .await;
    f.later(minutes(15), |v| v.mute(id).unwrap().unwrap().state() == MuteState::Expired).await;
    assert_eq!(f.mute(id).ended_how.as_deref(), Some("Its time was over."));
    assert!(!f.incident(1).muted);
}

#[tokio::test]
async fn it_ends_when_quiet_and_only_after_something_was_muted() {
    let f = Fixture::new();
    let new = NewMute { quiet_minutes: Some(5), ..silence(&f, &["service = api"], 600) };
    let id = f.store.make_mute(new, me()).await.unwrap().id;
    f.later(minutes(30), |_| true).await;
    assert_eq!(f.mute(id).state(), MuteState::Active, "nothing has come yet");
    f.send("grafana", vec![on("g:a", "api", "db-1"), on("g:b", "api", "db-2")]).await;
    f.send("grafana", vec![resolved("g:a")]).await;
    f.later(minutes(6), |_| true).await;
    assert_eq!(f.mute(id).state(), MuteState::Active, "one still burns");
    f.send("grafana", vec![resolved("g:b")]).await;
    f.later(minutes(4), |_| true).await;
    // It flares up again: the quiet time begins anew.
    f.send("grafana", vec![on("g:b", "api", "db-2")]).await;
    f.send("grafana", vec![resolved("g:b")]).await;
    f.later(minutes(4), |_| true).await;
    assert_eq!(f.mute(id).state(), MuteState::Active);
    f.later(minutes(1), |v| v.mute(id).unwrap().unwrap().state() == MuteState::Expired).await;
    assert_eq!(f.mute(id).ended_how.as_deref(), Some("Nothing that it mutes had burned for 5\u{a0}min."));
    assert_eq!((f.mute(id).muted_alerts, f.mute(id).muted_incidents), (2, 1));
}

#[tokio::test]
async fn a_window_comes_back_and_a_clock_that_is_set_back_makes_nothing_longer() {
    let f = Fixture::new();
    f.send("grafana", vec![on("g:a", "api", "db-1")]).await;
    // It is 01:06:40 UTC.
    let recurrence = Recurrence {
        every: Every::Week,
        days: Weekday::ALL.to_vec(),
        nth: None,
        at: "01:00".into(),
        minutes: 30,
        time_zone: "UTC".into(),
    };
    let base = silence(&f, &["service = api"], 60);
    let new = NewMute { kind: MuteKind::Maintenance, ends_at: None, recurrence: Some(recurrence), ..base.clone() };
    let window = f.store.make_mute(new, me()).await.unwrap();
    assert_eq!((window.id.to_string().as_str(), window.state()), ("M-1", MuteState::Active));
    let id = window.id;
    f.later(minutes(25), |v| v.mute(id).unwrap().unwrap().state() == MuteState::Scheduled).await;
    assert!(
        f.timeline(1).iter().any(|t| t.starts_with("Maintenance window M-1 pauses: 1 alert burns and is")),
        "{:?}",
        f.timeline(1)
    );
    assert!(!f.incident(1).muted);
    f.later(minutes(24 * 60 - 25), |v| v.mute(id).unwrap().unwrap().state() == MuteState::Active).await;
    assert_eq!((f.mute(id).muted_alerts, f.mute(id).muted_incidents), (1, 1), "the same one is counted once");
    let silence = f.store.make_mute(base, me()).await;
    assert!(matches!(silence, Err(CommandError::Mistakes(_))), "its end is in the past: {silence:?}");
    let silence = f.silence(&["service = api"], 60).await;
    f.clock.set(f.clock.now().minus(minutes(120)));
    f.later(Duration::ZERO, |v| v.mute(id).unwrap().unwrap().state() == MuteState::Scheduled).await;
    assert_eq!(f.mute(silence.id).state(), MuteState::Active, "it was on");
    f.later(minutes(60), |v| v.mute(silence.id).unwrap().unwrap().state() == MuteState::Expired).await;
}

#[tokio::test]
async fn merged_incidents_count_what_is_muted_and_take_it_back() {
    let f = Fixture::new();
    f.send("grafana", vec![titled("Disk full", on("g:a", "api", "db-1"))]).await;
    f.clock.advance(minutes(30));
    f.send("grafana", vec![titled("Certificate expires", on("g:b", "web", "web-1"))]).await;
    let id = f.silence(&["host = db-1"], 60).await.id;
    let state = |f: &Fixture| [1, 2].map(|n| (f.incident(n).muted_count, f.incident(n).muted));
    assert_eq!(state(&f), [(1, true), (0, false)]);
    f.store.merge_incidents(IncidentId(2), vec![IncidentId(1)], me()).await.unwrap();
    f.consistent();
    assert_eq!(state(&f)[1], (1, false), "one of two is not enough");
    let counts = f.store.view().unwrap().muted_in(&f.incident(2)).unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(id, 1)]);
    f.store.end_mute(id, me()).await.unwrap();
    f.consistent();
    assert!(f.timeline(2).iter().any(|t| t.starts_with("Silence S-1 ended: 1 alert burns")), "{:?}", f.timeline(2));
    let all = f.silence(&["host =~ .+"], 60).await;
    assert_eq!(state(&f)[1], (2, true));
    f.store.unmerge(IncidentId(1), me()).await.unwrap();
    f.consistent();
    assert_eq!(state(&f), [(1, true), (1, true)]);
    f.store.end_mute(all.id, me()).await.unwrap();
    f.consistent();
    assert_eq!(state(&f), [(0, false), (0, false)]);
}

fn threshold(matchers: &[&str], count: Option<u32>, distinct: Option<u32>, distinct_by: DistinctBy) -> NewThreshold {
    NewThreshold { matchers: lines(matchers), count, distinct, distinct_by, within_minutes: 10, reason: "noisy".into() }
}

#[tokio::test]
async fn a_threshold_opens_at_exactly_its_number() {
    let mut f = Fixture::new();
    let new = threshold(&["service = api"], Some(4), None, DistinctBy::Fingerprint);
    let id = f.store.make_threshold(new, me()).await.unwrap().id;
    let first = f.send("grafana", vec![on("g:a", "api", "db-1")]).await;
    assert_eq!((first[0].incident_id, f.alert(&first[0]).is_waiting()), (None, true));
    f.clock.advance(minutes(1));
    // A repeat counts.
    f.send("grafana", vec![on("g:a", "api", "db-1")]).await;
    f.restart();
    let third = f.send("grafana", vec![on("g:b", "api", "db-1")]).await;
    assert_eq!(third[0].incident_id, None);
    let words = f.store.view().unwrap().threshold_progress(id, f.clock.now()).unwrap().unwrap();
    assert_eq!(words, "3 of 4");
    // Others do not count, and do not wait.
    assert_eq!(f.send("grafana", vec![on("g:z", "web", "web-1")]).await[0].incident_id, Some(IncidentId(1)));
    f.store.resolve(IncidentId(1), None, me()).await.unwrap();
    // One that has ended meanwhile goes along.
    f.send("grafana", vec![resolved("g:b")]).await;
    let fourth = f.send("grafana", vec![on("g:c", "api", "db-2")]).await;
    assert_eq!((fourth[0].incident_id, fourth[0].new_incident), (Some(IncidentId(2)), true));
    let incident = f.incident(2);
    assert_eq!((incident.alert_count, incident.firing_count), (3, 2));
    assert_eq!(incident.onset_at, f.alert(&first[0]).onset_at, "it began when the first began");
    let told = f.timeline(2);
    let want = "Threshold T-1 was reached: 4 of 4 within 10\u{a0}min (noisy). Held back until then: title of g:a, title of g:b.";
    assert!(told.iter().any(|t| t == want), "{told:?}");
    let members = f.store.view().unwrap().members(IncidentId(2), 10).unwrap();
    assert!(members.iter().all(|(m, _)| m.reasons.iter().any(|r| r.text.contains("threshold T-1"))), "{members:?}");
    let row = f.store.view().unwrap().threshold(id).unwrap().unwrap();
    assert_eq!((row.reached, row.held, row.passed, row.incident), (1, 3, 0, Some(IncidentId(2))));
    // As long as that incident is open, nothing waits.
    f.clock.advance(minutes(30));
    let fifth = f.send("grafana", vec![on("g:d", "api", "db-9")]).await;
    assert_eq!(fifth[0].incident_id, Some(IncidentId(2)));
    f.store.resolve(IncidentId(2), None, me()).await.unwrap();
    assert_eq!(f.send("grafana", vec![on("g:e", "api", "db-9")]).await[0].incident_id, None);
    f.consistent();
}

#[tokio::test]
async fn different_hosts_count_and_what_comes_too_late_stays_without_incident() {
    let f = Fixture::new();
    let new = threshold(&["service = api"], None, Some(2), DistinctBy::Host);
    let id = f.store.make_threshold(new, me()).await.unwrap().id;
    let first = f.send("grafana", vec![on("g:a", "api", "db-1")]).await;
    f.send("grafana", vec![on("g:b", "api", "DB-1"), on("g:a", "api", "db-1")]).await;
    let view = |f: &Fixture| f.store.view().unwrap().threshold(id).unwrap().unwrap();
    assert_eq!((view(&f).held, view(&f).reached), (2, 0));
    f.later(minutes(10), |v| v.threshold(id).unwrap().unwrap().passed == 2).await;
    let alert = f.alert(&first[0]);
    assert_eq!((alert.is_waiting(), alert.incident, alert.threshold), (false, None, Some(id)));
    // Too late for the first two.
    assert_eq!(f.send("grafana", vec![on("g:c", "api", "db-2")]).await[0].incident_id, None);
    let opens = f.send("grafana", vec![on("g:d", "api", "db-3")]).await;
    assert!(opens[0].new_incident);
    assert_eq!(f.incident(1).alert_count, 2);
    assert!(
        f.timeline(1)
            .iter()
            .any(|t| t.ends_with("Held back until then: title of g:c. Before, 2 alerts waited in vain.")),
        "{:?}",
        f.timeline(1)
    );
}

#[tokio::test]
async fn what_waits_is_let_go_when_its_threshold_is_removed_or_changed() {
    let f = Fixture::new();
    let new = threshold(&["severity =~ .+"], Some(5), None, DistinctBy::Fingerprint);
    let id = f.store.make_threshold(new.clone(), me()).await.unwrap().id;
    f.send("grafana", vec![on("g:a", "api", "db-1"), on("g:b", "web", "web-1"), on("g:c", "api", "db-2")]).await;
    // A test is a test.
    let test = Signal { is_test: true, ..on("g:t", "api", "db-1") };
    assert_eq!(f.send("grafana", vec![test]).await[0].incident_id, Some(IncidentId(1)));
    let patch = ThresholdPatch { matchers: Some(lines(&["service = api"])), ..ThresholdPatch::default() };
    f.store.change_threshold(id, patch, me()).await.unwrap();
    f.consistent();
    assert_eq!((f.incident(2).alert_count, f.incident(2).service.as_deref()), (1, Some("web")));
    f.store.remove_threshold(id, me()).await.unwrap();
    f.consistent();
    assert_eq!(f.incident(3).alert_count, 2);
    let second =
        f.store.make_threshold(NewThreshold { matchers: lines(&["service = db"]), ..new }, me()).await.unwrap();
    f.send("grafana", vec![on("g:d", "db", "db-1"), on("g:e", "db", "db-2")]).await;
    let patch = ThresholdPatch { count: Some(Some(2)), ..ThresholdPatch::default() };
    f.store.change_threshold(second.id, patch, me()).await.unwrap();
    f.consistent();
    assert_eq!(f.incident(4).alert_count, 2);
}

#[tokio::test]
async fn mistakes_are_named_with_their_places() {
    let f = Fixture::new();
    let new = NewMute { reason: " ".into(), ends_at: None, ..silence(&f, &["service = a", "colour = b"], 1) };
    let Err(CommandError::Mistakes(wrong)) = f.store.make_mute(new, me()).await else { panic!("it was taken") };
    assert_eq!(wrong.iter().map(|w| w.path.as_str()).collect::<Vec<_>>(), ["/matchers/1/field", "/ends_at", "/reason"]);
    let new = threshold(&["service =~ .*"], None, None, DistinctBy::Host);
    let Err(CommandError::Mistakes(wrong)) = f.store.make_threshold(new, me()).await else { panic!("it was taken") };
    assert_eq!(wrong.iter().map(|w| w.path.as_str()).collect::<Vec<_>>(), ["/matchers", "/count"]);
}

#[tokio::test]
async fn stale_ones_are_listed_with_the_reason() {
    let f = Fixture::new();
    f.send("grafana", vec![on("g:a", "api", "db-1")]).await;
    let never = f.silence(&["service = api", "host = gone-1"], 60 * 24 * 30).await;
    let fits_each = f.silence(&["service = api", "host = db-1"], 60 * 24 * 30).await;
    let stale = |f: &Fixture| -> Vec<(MuteId, Stale)> {
        let found = f.store.view().unwrap().stale_mutes(f.clock.now()).unwrap();
        found.into_iter().map(|(m, why)| (m.id, why)).collect()
    };
    assert_eq!(stale(&f), [(never.id, Stale::NeverHad("host = gone-1".parse().unwrap()))]);
    let at = f.clock.now();
    f.send("grafana", vec![resolved("g:a")]).await;
    f.later(minutes(60 * 24 * 14), |_| true).await;
    assert_eq!(stale(&f), [(fits_each.id, Stale::NothingSince(at)), (never.id, Stale::NothingSince(at))]);
}

/// Without what mutes leave.
fn bare(mut alert: Alert) -> Alert {
    alert.muted_by.clear();
    alert.was_muted_by.clear();
    alert
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The same deliveries with silences coming and going in between leave the same alerts and incidents.
    #[test]
    fn muting_and_unmuting_leaves_everything_else_as_it_was(
        steps in proptest::collection::vec((0..6u8, 0..3u8, 0..3u8), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let run = |mutes: bool| runtime.block_on(async {
            let f = Fixture::new();
            let mut made = Vec::new();
            for (what, service, host) in &steps {
                let (service, host) = (format!("service-{service}"), format!("host-{host}"));
                let key = format!("g:{service}:{host}");
                match what {
                    0..=2 => drop(f.send("grafana", vec![on(&key, &service, &host)]).await),
                    3 => drop(f.send("grafana", vec![resolved(&key)]).await),
                    4 if mutes => made.push(f.silence(&[&format!("service = {service}")], 60).await.id),
                    5 if mutes => if let Some(id) = made.pop() {
                        f.store.end_mute(id, me()).await.unwrap();
                        f.consistent();
                    },
                    _ => {}
                }
            }
            for id in made {
                f.store.end_mute(id, me()).await.unwrap();
            }
            f.consistent();
            let view = f.store.view().unwrap();
            let alerts: Vec<Alert> = view.alerts(&AlertFilter::default(), None, 100).unwrap().items;
            let incidents: Vec<Incident> = view.incidents(&IncidentFilter::default(), None, 100).unwrap().items;
            prop_assert!(alerts.iter().all(|a| !a.is_muted()) && incidents.iter().all(|i| i.muted_count == 0));
            let alerts: Vec<Alert> = alerts.into_iter().map(bare).collect();
            let incidents: Vec<Incident> = incidents
                .into_iter()
                .map(|i| Incident { muted: false, mutes: Vec::new(), version: 0, ..i })
                .collect();
            Ok((alerts, incidents))
        });
        prop_assert_eq!(run(true)?, run(false)?);
    }
}

#[tokio::test]
async fn a_rehearsal_knows_no_incident_that_a_threshold_was_reached_for() {
    use crate::store::rehearsal::{Cue, Rehearsal};
    let f = Fixture::new();
    let new = threshold(&["service = api"], Some(2), None, DistinctBy::Fingerprint);
    let id = f.store.make_threshold(new, me()).await.unwrap().id;
    f.send("grafana", vec![on("g:a", "api", "db-1"), on("g:b", "api", "db-1")]).await;
    let view = f.store.view().unwrap();
    assert_eq!(view.threshold(id).unwrap().unwrap().incident, Some(IncidentId(1)));
    let mut r = Rehearsal::beside(&view, Policy { mode: CorrelationMode::Weighted, ..Policy::default() }).unwrap();
    let cue = |signal: Signal| {
        Ok::<_, StoreError>(Cue::Delivery(Box::new(NewDelivery {
            at: f.clock.now(),
            platform: "grafana".into(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: Vec::new(),
            body: Vec::new(),
            parsed: Parsed { signals: vec![signal], ..Parsed::default() },
            replay_of: None,
        })))
    };
    r.play([cue(on("g:z", "web", "web-1")), cue(on("g:c", "api", "db-1"))].into_iter(), None).unwrap();
    let went: Vec<_> = r.played().iter().map(|p| p.signals[0].incident_id).collect();
    assert_eq!(went, [Some(IncidentId(1)), None], "the second one waits for another like it");
}
