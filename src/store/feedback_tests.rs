//! What people say of causes: it stands, leads, outlasts later runs, and can be taken back.

use std::time::Duration;

use super::{
    tests::{Fixture, firing, me, minutes},
    *,
};

const ID: IncidentId = IncidentId(1);

fn cause(rank: u32, service: &str, symptom: Symptom, confidence: f64) -> Cause {
    Cause {
        rank,
        service: Some(service.to_owned()),
        host: None,
        symptom: Some(symptom),
        title: format!("{service}: {symptom}"),
        confidence,
        evidence: Vec::new(),
        against: Vec::new(),
        ruled_out: false,
        score: 0.0,
        points: Vec::new(),
        verdict: None,
    }
}

fn mark(title: &str) -> String {
    Cause { title: title.to_owned(), ..cause(1, "", Symptom::Unknown, 0.0) }.mark()
}

fn three() -> Vec<Cause> {
    vec![
        cause(1, "db", Symptom::Latency, 0.6),
        cause(2, "cache", Symptom::Memory, 0.25),
        cause(3, "api", Symptom::Errors, 0.1),
    ]
}

impl Fixture {
    /// One open incident.
    async fn opened() -> Self {
        let f = Self::new();
        f.send("generic", vec![firing("a", Some("api"))]).await;
        f
    }

    /// Has it investigated with that answer.
    async fn finds(&self, causes: Vec<Cause>) -> Incident {
        self.store.investigate(ID, me()).await.unwrap();
        self.clock.advance(minutes(1));
        let lease = self.store.lease_job(Duration::from_secs(60), "built-in").await.unwrap().unwrap().lease();
        let summary = causes.first().map(|c| format!("We think it comes from {}.", c.title));
        let finish = Finish {
            state: InvestigationState::Complete,
            conclusion: Some(Conclusion::Likely),
            summary,
            error: None,
            around: Vec::new(),
            answer: Investigation { causes, ..Investigation::default() },
        };
        self.store.finish_investigation(lease, finish).await.unwrap()
    }

    async fn says(&self, rank: u32, verdict: Option<Verdict>) -> Incident {
        self.store.judge_cause(ID, rank, None, verdict, me()).await.unwrap();
        self.incident(1)
    }

    fn answer(&self) -> Investigation {
        self.store.view().unwrap().investigation(ID).unwrap()
    }

    fn firsts(&self) -> FirstAnswers {
        let until = self.clock.now().plus(minutes(1));
        self.store.view().unwrap().first_answers(Time::from_millis(0), until).unwrap()
    }
}

/// `db: latency 60\u{a0}%, likely`.
fn head(i: &Incident) -> String {
    let lead =
        i.leading.as_ref().map_or("nothing".to_owned(), |l| format!("{} {:.0}\u{a0}%", l.title, l.confidence * 100.0));
    format!("{lead}, {}", i.investigation.conclusion.map_or("", Conclusion::as_str))
}

fn verdicts(a: &Investigation) -> Vec<(u32, &str, Option<Verdict>)> {
    a.causes.iter().map(|c| (c.rank, c.title.as_str(), c.verdict)).collect()
}

#[tokio::test]
async fn what_is_said_decides_what_leads_and_can_be_taken_back() {
    use Verdict::{Right, Wrong};
    let f = Fixture::opened().await;
    assert_eq!(head(&f.finds(three()).await), "db: latency 60\u{a0}%, likely");
    let before = f.answer();
    for (say, want, summary) in [
        (vec![(2, Some(Right))], "cache: memory 100\u{a0}%, confirmed", "sre-1 recorded the cause: cache: memory."),
        (vec![(1, Some(Right))], "db: latency 100\u{a0}%, confirmed", "We think it comes from db: latency."),
        (
            vec![(1, Some(Wrong))],
            "cache: memory 25\u{a0}%, inconclusive",
            "sre-1 says that it is not this: db: latency. Next comes cache: memory (25\u{a0}%).",
        ),
        (vec![(2, Some(Wrong))], "db: latency 60\u{a0}%, likely", "We think it comes from db: latency."),
        (
            vec![(1, Some(Wrong)), (2, Some(Wrong)), (3, Some(Wrong))],
            "nothing, inconclusive",
            "sre-1 says that it is not this: db: latency. Nothing else leads.",
        ),
        // The last word counts: only one can be it.
        (
            vec![(1, Some(Right)), (2, Some(Right))],
            "cache: memory 100\u{a0}%, confirmed",
            "sre-1 recorded the cause: cache: memory.",
        ),
        (
            vec![(1, Some(Right)), (1, Some(Wrong))],
            "cache: memory 25\u{a0}%, inconclusive",
            "sre-1 says that it is not this: db: latency. Next comes cache: memory (25\u{a0}%).",
        ),
    ] {
        let mut last = f.incident(1);
        for (rank, verdict) in &say {
            last = f.says(*rank, *verdict).await;
        }
        assert_eq!(head(&last), want, "{say:?}");
        assert_eq!(last.investigation.summary.as_deref(), Some(summary), "{say:?}");
        let ranks: Vec<u32> = f.answer().causes.iter().map(|c| c.rank).collect();
        assert_eq!(ranks, [1, 2, 3], "a judgement moves nothing");
        for rank in 1..=3 {
            last = f.says(rank, None).await;
        }
        assert_eq!(head(&last), "db: latency 60\u{a0}%, likely", "{say:?} taken back");
        assert_eq!(f.answer(), before, "{say:?} taken back");
    }
    f.consistent();
}

#[tokio::test]
async fn a_later_run_keeps_the_verdicts_and_what_was_first_stays_first() {
    let f = Fixture::opened().await;
    f.finds(vec![cause(1, "api", Symptom::Errors, 0.4)]).await;
    f.finds(three()).await;
    assert_eq!(f.answer().first.unwrap().title, "db: latency", "nobody has judged: the latest counts");
    f.says(1, Some(Verdict::Wrong)).await;
    let mut again = three();
    again[0].title = "db is slow since 10:12".to_owned();
    again[0].confidence = 0.7;
    let incident = f.finds(again).await;
    assert_eq!(head(&incident), "cache: memory 25\u{a0}%, inconclusive");
    let answer = f.answer();
    assert_eq!(
        verdicts(&answer),
        [(1, "cache: memory", None), (2, "api: errors", None), (3, "db is slow since 10:12", Some(Verdict::Wrong))],
        "kept in view, behind what may be it"
    );
    assert!(incident.investigation.summary.unwrap().contains("not this: db is slow"));
    assert_eq!(answer.first.as_ref().unwrap().title, "db: latency");
    // A run that does not name it does not forget it.
    f.finds(vec![cause(1, "api", Symptom::Errors, 0.5)]).await;
    f.finds(three()).await;
    assert_eq!(f.answer().causes[2].verdict, Some(Verdict::Wrong));
    f.says(2, Some(Verdict::Right)).await;
    let incident = f.finds(three()).await;
    assert_eq!(head(&incident), "api: errors 100\u{a0}%, confirmed");
    assert_eq!(verdicts(&f.answer())[0], (1, "api: errors", Some(Verdict::Right)));
}

#[tokio::test]
async fn the_end_records_what_it_was() {
    let named = |service: Option<&str>, host: Option<&str>, symptom| GivenCause::Named {
        service: service.map(str::to_owned),
        host: host.map(str::to_owned),
        symptom,
    };
    let found = |rank, title: Option<&str>| GivenCause::Found { rank, mark: title.map(mark) };
    // What is given, the verdicts it leaves, what leads, and whether the first answer was right.
    for (given, right, lead, first) in [
        (named(Some("DB"), None, None), Some(1), "db: latency", Some(true)),
        (named(Some("cache"), None, Some(Symptom::Memory)), Some(2), "cache: memory", Some(false)),
        (named(Some("cache"), None, Some(Symptom::Cpu)), None, "cache: cpu", Some(false)),
        (named(Some("dns"), None, None), None, "dns", Some(false)),
        (named(None, Some("node-7"), None), None, "node-7", Some(false)),
        (found(2, Some("cache: memory")), Some(2), "cache: memory", Some(false)),
        (found(1, None), Some(1), "db: latency", Some(true)),
    ] {
        let f = Fixture::opened().await;
        f.finds(three()).await;
        let what = format!("{given:?}");
        let resolution = Resolution { reason: Some("restarted it".into()), cause: Some(given) };
        let incident = f.store.resolve_with(ID, resolution, me()).await.unwrap();
        assert_eq!((incident.status, incident.resolution.as_deref()), (IncidentStatus::Resolved, Some("restarted it")));
        assert_eq!(incident.leading.unwrap().title, lead, "{what}");
        let answer = f.answer();
        assert_eq!(answer.causes.iter().find(|c| c.is_right()).map(|c| c.rank), right, "{what}");
        assert_eq!(answer.first_was_right(), first, "{what}");
        let counted = u64::from(first == Some(true));
        assert_eq!(f.firsts(), FirstAnswers { closed: 1, judged: 1, right: counted }, "{what}");
    }
}

#[tokio::test]
async fn what_cannot_be_done_leaves_nothing_behind() {
    let f = Fixture::opened().await;
    f.finds(three()).await;
    let resolve = |cause| f.store.resolve_with(ID, Resolution { reason: None, cause: Some(cause) }, me());
    let nameless = GivenCause::Named { service: Some(" ".into()), host: None, symptom: Some(Symptom::Cpu) };
    assert!(matches!(resolve(nameless).await, Err(CommandError::Invalid { .. })));
    let moved = GivenCause::Found { rank: 1, mark: Some(mark("cache: memory")) };
    assert!(matches!(resolve(moved.clone()).await, Err(CommandError::Conflict { .. })));
    assert!(matches!(resolve(GivenCause::Found { rank: 9, mark: None }).await, Err(CommandError::NotFound(_))));
    assert!(f.incident(1).is_open() && f.answer().is_unjudged());
    assert_eq!(f.firsts(), FirstAnswers::default());
    f.store.resolve(ID, None, me()).await.unwrap();
    assert_eq!(f.firsts(), FirstAnswers { closed: 1, judged: 0, right: 0 });
    let dns = GivenCause::Named { service: Some("dns".into()), host: None, symptom: None };
    assert!(matches!(resolve(dns).await, Err(CommandError::Conflict { .. })), "it has ended");
    assert!(f.answer().is_unjudged());
    // "Not this" alone is an answer as well, and judging goes on after the end.
    f.says(1, Some(Verdict::Wrong)).await;
    assert_eq!(f.firsts(), FirstAnswers { closed: 1, judged: 1, right: 0 });
    f.consistent();
}

#[tokio::test]
async fn people_see_who_said_what_and_saying_it_twice_says_nothing_new() {
    let f = Fixture::opened().await;
    f.finds(three()).await;
    let written = || {
        let view = f.store.view().unwrap();
        let all = view.timeline(ID, None, 100).unwrap();
        let said = all.into_iter().filter(|e| e.kind == TimelineKind::Feedback);
        let audit = view.audit(None, 100).unwrap().items;
        let audited = audit.iter().filter(|a| a.action == "incident.cause").count();
        (said.map(|e| (e.actor, e.text)).collect::<Vec<_>>(), audited)
    };
    let seq = f.store.view().unwrap().change_range().unwrap().1;
    f.says(1, Some(Verdict::Right)).await;
    f.says(1, Some(Verdict::Right)).await;
    f.says(2, Some(Verdict::Right)).await;
    let (said, audited) = written();
    assert_eq!(
        said,
        [("sre-1".into(), "This is it: db: latency.".into()), ("sre-1".into(), "This is it: cache: memory.".into())]
    );
    assert_eq!(audited, 2);
    let log = f.store.view().unwrap().change_log(seq, 100).unwrap();
    let causes: Vec<u32> = log
        .iter()
        .filter_map(|e| if let ChangeSubject::Cause(_, rank) = e.subject { Some(rank) } else { None })
        .collect();
    assert_eq!(causes, [1, 1, 2], "the one that is no longer it is told as well");
}
