//! What rules do about what happens, as tables: which event a change is, who is told of it and when, and what is dropped.

use std::{collections::BTreeMap, time::Duration};

use super::{Book, Happened, Rule, escalate, plan, told};
use crate::model::{NoticeEvent as E, NoticeState as S, *};

pub(super) fn at(text: &str) -> Time {
    text.parse().unwrap()
}

/// When everything here happens.
fn now() -> Time {
    at("2026-03-03T10:30:00Z")
}

pub(super) fn incident(n: u64) -> Incident {
    let then = now().to_string();
    serde_json::from_value(serde_json::json!({
        "id": format!("INC-{n}"), "status": "investigating", "severity": "high", "title": "Pool exhausted",
        "source": "grafana", "service": "orders", "affected_services": ["orders"], "affected_hosts": [],
        "started_at": then, "onset_at": then, "detected_at": then, "updated_at": then, "last_alert_at": then,
        "alert_count": 12, "firing_count": 1, "labels": {"env": "prod"}, "investigation": {"state": "running"},
    }))
    .unwrap()
}

/// A rule that tells channels.
pub(super) fn rule(name: &str, events: &[E], channels: &[u64]) -> NoticeRule {
    NoticeRule {
        id: RuleId(1),
        name: name.to_owned(),
        enabled: true,
        position: 1,
        from: None,
        matchers: Vec::new(),
        condition: None,
        times: None,
        events: events.to_vec(),
        targets: channels.iter().map(|n| Target::Channel(ChannelId(*n))).collect(),
        policy: None,
        wait_secs: 0,
        gather_secs: 0,
        quiet: None,
        remind_secs: None,
        last: false,
        created_at: now(),
        created_by: String::new(),
        updated_at: now(),
    }
}

/// A message of rule 1 to channel 1.
pub(super) fn notice(n: u64, incident: u64, event: E, state: S) -> Notice {
    Notice {
        id: NoticeId(n),
        incident: Some(IncidentId(incident)),
        event,
        severity_before: None,
        rule: Some(RuleId(1)),
        rung: None,
        reason: String::new(),
        channel: ChannelId(1),
        person: None,
        address: None,
        created_at: now(),
        planned_at: now(),
        due_at: now(),
        state,
        why: None,
        attempts: Vec::new(),
        tries: 0,
        steps_done: Vec::new(),
        in_doubt: false,
        gathers: false,
        remind_secs: None,
        key: n.to_string(),
        ended_at: None,
        told_in: None,
        instead_of: None,
    }
}

fn channel(n: u64, enabled: bool) -> ChannelRow {
    ChannelRow {
        id: ChannelId(n),
        name: format!("ch{n}"),
        kind: "mattermost".to_owned(),
        settings: BTreeMap::new(),
        secrets: BTreeMap::new(),
        shown: BTreeMap::new(),
        enabled,
        fallback: None,
        lasting: BTreeMap::new(),
        health: ChannelHealth::default(),
        created_at: now(),
        created_by: String::new(),
        updated_at: now(),
    }
}

/// What people have set: channels 1 to 3 of which the last is off; ada by 1 for everything and by 2 for critical.
struct Set {
    rules: Vec<Rule>,
    people: BTreeMap<String, Contacts>,
    channels: BTreeMap<u64, ChannelRow>,
    schedules: BTreeMap<u64, OnCallSchedule>,
    policies: BTreeMap<u64, EscalationPolicy>,
}

impl Set {
    fn of(rules: Vec<NoticeRule>) -> Self {
        let contact = |n: u64, from| Contact { channel: ChannelId(n), address: Some("ada@x".to_owned()), from };
        let ada = Contacts {
            person: "ada".to_owned(),
            contacts: vec![contact(1, None), contact(2, Some(Severity::Critical)), contact(3, None)],
        };
        Self {
            rules: rules.into_iter().map(Rule::read).collect(),
            people: BTreeMap::from([("ada".to_owned(), ada)]),
            channels: [(1, true), (2, true), (3, false)].map(|(n, on)| (n, channel(n, on))).into(),
            schedules: BTreeMap::new(),
            policies: BTreeMap::new(),
        }
    }

    fn book(&self) -> Book<'_> {
        Book {
            rules: &self.rules,
            people: &self.people,
            schedules: &self.schedules,
            policies: &self.policies,
            channels: &self.channels,
        }
    }
}

#[test]
fn what_a_change_is() {
    let open = incident(1);
    let change = |f: &dyn Fn(&mut Incident)| {
        let mut changed = incident(1);
        f(&mut changed);
        changed
    };
    let resolved = change(&|i| i.status = IncidentStatus::Resolved);
    let merged = change(&|i| i.status = IncidentStatus::Merged);
    let muted = change(&|i| i.muted = true);
    let worse = change(&|i| i.severity = Severity::Critical);
    let taken = change(&|i| (i.owner, i.acknowledged_at) = (Some("ada".to_owned()), Some(now())));
    let both = change(&|i| (i.severity, i.acknowledged_at) = (Severity::Critical, Some(now())));
    let cases: &[(&str, Option<&Incident>, &Incident, &[E])] = &[
        ("opens", None, &open, &[E::Opened]),
        ("opens and is over at once", None, &resolved, &[]),
        ("nothing", Some(&open), &open, &[]),
        ("ends", Some(&open), &resolved, &[E::Resolved]),
        ("is merged", Some(&open), &merged, &[E::Merged]),
        ("comes back", Some(&resolved), &open, &[E::Reopened]),
        ("stays over", Some(&resolved), &resolved, &[]),
        ("is muted", Some(&open), &muted, &[]),
        ("is loud again", Some(&muted), &open, &[E::Opened]),
        ("worse", Some(&open), &worse, &[E::SeverityUp]),
        ("better", Some(&worse), &open, &[]),
        ("taken", Some(&open), &taken, &[E::Acknowledged]),
        ("given back", Some(&taken), &open, &[]),
        ("worse and taken", Some(&open), &both, &[E::SeverityUp, E::Acknowledged]),
        ("ends while it gets worse", Some(&worse), &resolved, &[E::Resolved]),
    ];
    for (name, before, after, want) in cases {
        let events: Vec<E> = told(*before, after).into_iter().map(|(e, _)| e).collect();
        assert_eq!(events, *want, "{name}");
    }
}

/// What follows: `ch1+300` is told after so many seconds, `-N-2` is dropped.
fn follows(set: &Set, event: E, incident: &Incident, earlier: &[Notice]) -> String {
    let plan = plan(set.book(), Happened { event, incident, severity_before: None, now: now() }, earlier);
    let told = plan.wishes.iter().map(|w| {
        let whom = w.person.as_ref().map(|p| format!("{p}@")).unwrap_or_default();
        format!("{whom}ch{}+{}", w.channel.0, w.due_at.since(now()).as_secs())
    });
    let dropped = plan.drop.iter().map(|(id, _)| format!("-{id}"));
    let outcomes: Vec<String> = plan.considered.iter().map(|(c, _)| c.outcome.to_string()).collect();
    format!("{} [{}]", told.chain(dropped).collect::<Vec<_>>().join(" "), outcomes.join(" ")).trim().to_owned()
}

const ALL: &[E] = &[E::Opened, E::Reopened, E::SeverityUp, E::Acknowledged, E::Resolved];

#[test]
fn who_is_told_when_an_incident_opens() {
    let ada = |row: NoticeRule| NoticeRule { targets: vec![Target::Person("ada".to_owned())], ..row };
    let second = |row: NoticeRule| NoticeRule { id: RuleId(2), ..row };
    let critical = NoticeRule { from: Some(Severity::Critical), ..rule("A", ALL, &[1]) };
    let quiet = Quiet {
        times: WeekTimes {
            time_zone: "UTC".to_owned(),
            days: Vec::new(),
            from: "10:00".to_owned(),
            until: "11:00".to_owned(),
        },
        but_from: None,
    };
    let cases: Vec<(&str, Vec<NoticeRule>, &str)> = vec![
        ("no rule", vec![], "[]"),
        ("at once", vec![rule("A", ALL, &[1, 2])], "ch1+0 ch2+0 [tells]"),
        ("held", vec![NoticeRule { wait_secs: 300, ..rule("A", ALL, &[1]) }], "ch1+300 [tells]"),
        ("gathered", vec![NoticeRule { gather_secs: 60, ..rule("A", ALL, &[1]) }], "ch1+60 [tells]"),
        ("both", vec![NoticeRule { gather_secs: 60, wait_secs: 300, ..rule("A", ALL, &[1]) }], "ch1+360 [tells]"),
        ("quiet", vec![NoticeRule { quiet: Some(quiet.clone()), ..rule("A", ALL, &[1]) }], "ch1+1800 [tells]"),
        (
            "held until it is loud",
            vec![NoticeRule { quiet: Some(quiet), wait_secs: 1801, ..rule("A", ALL, &[1]) }],
            "ch1+1801 [tells]",
        ),
        ("switched off", vec![NoticeRule { enabled: false, ..rule("A", ALL, &[1]) }], "[off]"),
        ("not of this", vec![rule("A", &[E::Resolved], &[1])], "[not_of_this]"),
        ("not for this", vec![critical.clone()], "[not_for_this]"),
        ("a channel that is off and one that is gone", vec![rule("A", ALL, &[3, 9])], "[nobody]"),
        ("the same twice", vec![rule("A", ALL, &[1]), second(rule("B", ALL, &[1, 2]))], "ch1+0 ch2+0 [tells tells]"),
        ("only the same", vec![rule("A", ALL, &[1]), second(rule("B", ALL, &[1]))], "ch1+0 [tells already_told]"),
        (
            "the last",
            vec![NoticeRule { last: true, ..rule("A", ALL, &[1]) }, second(rule("B", ALL, &[2]))],
            "ch1+0 [tells not_reached]",
        ),
        (
            "one that does not fit is not the last",
            vec![NoticeRule { last: true, ..critical }, second(rule("B", ALL, &[2]))],
            "ch2+0 [not_for_this tells]",
        ),
        ("a person, by what the severity is enough for", vec![ada(rule("A", ALL, &[]))], "ada@ch1+0 [tells]"),
    ];
    for (name, rules, want) in cases {
        assert_eq!(follows(&Set::of(rules), E::Opened, &incident(1), &[]), want, "{name}");
    }
    let set = Set::of(vec![rule("A", ALL, &[1])]);
    for (name, change) in [
        ("muted", Box::new(|i: &mut Incident| i.muted = true) as Box<dyn Fn(&mut Incident)>),
        ("a test", Box::new(|i: &mut Incident| i.test = true)),
    ] {
        let mut quiet = incident(1);
        change(&mut quiet);
        assert_eq!(follows(&set, E::Opened, &quiet, &[]), "[muted]", "{name}");
    }
}

#[test]
fn what_follows_goes_where_the_beginning_went() {
    let set = Set::of(vec![rule("A", ALL, &[1, 2])]);
    let of = |event, state| notice(7, 1, event, state);
    let held = Notice { due_at: now().plus(Duration::from_secs(60)), ..of(E::Opened, S::Waiting) };
    let tried = |n: Notice| Notice { tries: 1, ..n };
    let doubted = |n: Notice| Notice { in_doubt: true, ..n };
    let cases: Vec<(&str, E, Notice, &str)> = vec![
        ("the end", E::Resolved, of(E::Opened, S::Sent), "ch1+0 [tells]"),
        ("the end, told in another message", E::Resolved, of(E::Opened, S::Included), "ch1+0 [tells]"),
        ("held until after the end", E::Resolved, held.clone(), "-N-7 [not_for_this]"),
        ("held while it was taken", E::Acknowledged, held.clone(), "ch1+60 [tells]"),
        ("due and not sent", E::Resolved, of(E::Opened, S::Waiting), "ch1+0 [tells]"),
        ("tried again later", E::Resolved, tried(held.clone()), "ch1+0 [tells]"),
        ("maybe arrived", E::Resolved, doubted(held), "ch1+0 [tells]"),
        ("failed", E::Resolved, of(E::Opened, S::Failed), "[not_for_this]"),
        ("failed, and may have arrived", E::Resolved, doubted(of(E::Opened, S::Failed)), "ch1+0 [tells]"),
        ("a step, taken", E::Acknowledged, of(E::Escalated, S::Waiting), "-N-7 [not_for_this]"),
        ("a step that failed, taken", E::Acknowledged, tried(of(E::Escalated, S::Waiting)), "-N-7 [not_for_this]"),
        ("a step in doubt", E::Acknowledged, doubted(of(E::Escalated, S::Waiting)), "ch1+0 -N-7 [tells]"),
        ("a step on its way", E::Acknowledged, of(E::Escalated, S::Sending), "ch1+0 [tells]"),
        ("a reminder, taken", E::Acknowledged, of(E::Reminder, S::Waiting), "ch1+0 [tells]"),
        ("a reminder, over", E::Resolved, of(E::Reminder, S::Waiting), "-N-7 [not_for_this]"),
        ("merged, which needs no setting", E::Merged, of(E::Opened, S::Sent), "ch1+0 [tells]"),
        ("worse", E::SeverityUp, of(E::Opened, S::Sent), "ch1+0 [tells]"),
        ("loud again", E::Opened, of(E::Opened, S::Sent), "ch2+0 [tells]"),
    ];
    for (name, event, earlier, want) in cases {
        assert_eq!(follows(&set, event, &incident(1), &[earlier]), want, "{name}");
    }
    // Whoever takes it knows.
    let own = Notice { person: Some("ada".to_owned()), ..of(E::Opened, S::Sent) };
    let mut taken = incident(1);
    taken.owner = Some("ada".to_owned());
    assert_eq!(follows(&set, E::Acknowledged, &taken, &[own]), "[already_told]");
    // The first that this rule hears of it.
    let from = Set::of(vec![NoticeRule { wait_secs: 60, ..rule("A", &[E::Opened], &[1]) }]);
    assert_eq!(follows(&from, E::SeverityUp, &incident(1), &[]), "ch1+60 [tells]");
}

#[test]
fn steps_tell_each_place_once_and_say_who_is_not_reached() {
    let ada = Target::Person("ada".to_owned());
    let policy = EscalationPolicy {
        id: PolicyId(1),
        name: "On call".to_owned(),
        steps: vec![
            EscalationStep { after_secs: 0, targets: vec![ada.clone(), ada, Target::Channel(ChannelId(2))] },
            EscalationStep { after_secs: 60, targets: vec![Target::Person("bob".to_owned())] },
        ],
        repeat: 0,
        unacknowledge_secs: None,
        created_at: now(),
        created_by: String::new(),
        updated_at: now(),
    };
    let set = Set::of(Vec::new());
    for (step, want) in [
        (0, ("ada@x,-", Considering::Tells, "It tells ada by ch1, ch2.")),
        (1, ("", Considering::Nobody, "bob has no contact method for high that is switched on.")),
        (2, ("", Considering::Nobody, "There is nobody to tell.")),
    ] {
        let rung = Rung { policy: policy.id, step, round: 0 };
        let happened = Happened { event: E::Escalated, incident: &incident(1), severity_before: None, now: now() };
        let (wishes, considered) = escalate(set.book(), &policy, rung, RuleId(1), happened);
        let places: Vec<&str> = wishes.iter().map(|w| w.address.as_deref().unwrap_or("-")).collect();
        assert_eq!((places.join(",").as_str(), considered.outcome, considered.why.as_str()), want, "step {step}");
        assert!(wishes.iter().all(|w| w.rung == Some(rung) && w.due_at == now()));
    }
}
