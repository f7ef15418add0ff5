//! Investigations in the store: whose turn it is, who may write, and what has them made again.

use std::time::Duration;

use super::{
    commands::Finish,
    tests::{Fixture, firing, me, resolved, titled},
    *,
};

const CHECK: Progress = Progress { done: 1, of: 4 };
const LEASE: Duration = Duration::from_secs(60);

fn thought(text: &str) -> NewThought {
    NewThought { kind: ThoughtKind::Observation, text: text.to_owned(), evidence: Vec::new() }
}

impl Fixture {
    /// The next investigation is made, with nothing found; of which incident.
    async fn investigated(&self) -> Option<u64> {
        let run = self.store.lease_job(LEASE, "built-in").await.unwrap()?.lease();
        let finish = Finish {
            state: InvestigationState::Complete,
            conclusion: Some(Conclusion::Inconclusive),
            summary: None,
            error: None,
            around: Vec::new(),
            answer: Investigation::default(),
        };
        self.store.finish_investigation(run, finish).await.unwrap();
        self.consistent();
        Some(run.incident.0)
    }

    fn place(&self, n: u64) -> Option<(usize, usize)> {
        self.store.view().unwrap().queue_place(IncidentId(n)).unwrap()
    }
}

#[tokio::test]
async fn an_investigation_is_leased_written_and_ended() {
    let f = Fixture::new();
    f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    let id = IncidentId(1);
    let lease = Duration::from_secs(60);
    assert_eq!(f.store.lease_job(lease, "built-in").await.unwrap(), None, "waits for the rest of the burst");
    f.clock.advance(Duration::from_secs(3));
    let first = f.store.lease_job(lease, "built-in").await.unwrap().unwrap().lease();
    assert_eq!(first.incident, id);
    assert_eq!(f.store.lease_job(lease, "built-in").await.unwrap(), None, "leased");
    f.store.add_thoughts(first, vec![thought("one")], CHECK).await.unwrap();
    f.clock.advance(Duration::from_secs(61));
    let run = f.store.lease_job(lease, "built-in").await.unwrap().expect("a lease that ran out is taken again").lease();
    assert_eq!(f.store.view().unwrap().thoughts(id).unwrap(), vec![], "a new run begins anew");
    let late = f.store.add_thoughts(first, vec![thought("late")], CHECK).await;
    assert!(matches!(late, Err(CommandError::Conflict { .. })), "the runner before can no longer write: {late:?}");
    f.store.release_job(first).await.unwrap();
    let n = f.store.add_thoughts(run, vec![thought("one")], CHECK).await.unwrap();
    assert_eq!(n, 1);
    let finish = Finish {
        state: InvestigationState::Complete,
        conclusion: Some(Conclusion::Inconclusive),
        summary: Some("Nothing leads.".into()),
        error: None,
        around: Vec::new(),
        answer: Investigation::default(),
    };
    let done = f.store.finish_investigation(run, finish.clone()).await.unwrap();
    assert_eq!((done.status, done.investigation.steps), (IncidentStatus::Analyzed, 1));
    assert!(matches!(f.store.finish_investigation(run, finish).await, Err(CommandError::Conflict { .. })));
    f.store.investigate(id, me()).await.unwrap();
    f.store.cancel_investigation(id, me()).await.unwrap();
    assert_eq!(f.incident(1).investigation.state, InvestigationState::Cancelled);
    f.consistent();
}

#[tokio::test]
async fn the_worst_is_investigated_first_and_each_knows_its_place() {
    let mut f = Fixture::new();
    let severe = |key: &str, severity: Severity| Signal { severity, ..titled(key, firing(key, Some(key))) };
    for (key, severity) in [("a", Severity::Low), ("b", Severity::High), ("c", Severity::Medium), ("d", Severity::Low)]
    {
        f.send("grafana", vec![severe(key, severity)]).await;
        // Far enough apart that nothing takes them for one.
        f.clock.advance(Duration::from_secs(3600));
    }
    assert_eq!([1, 2, 3, 4].map(|n| f.place(n)), [3, 1, 2, 4].map(|n| Some((n, 4))));
    // A person says that the last is the worst, and an alert that the first is.
    let patch = IncidentPatch { severity: Some(Some(Severity::Critical)), ..IncidentPatch::default() };
    f.store.patch_incident(IncidentId(4), patch, me()).await.unwrap();
    f.send("grafana", vec![severe("a", Severity::Critical)]).await;
    f.clock.advance(Duration::from_secs(5));
    f.restart();
    let run = f.store.lease_job(LEASE, "built-in").await.unwrap().unwrap();
    assert_eq!(run.incident, IncidentId(1), "of the worst two the one that waits longer");
    assert_eq!([1, 4, 2, 3].map(|n| f.place(n)), [None, Some((1, 4)), Some((2, 4)), Some((3, 4))]);
    assert_eq!([f.investigated().await, f.investigated().await, f.investigated().await], [Some(4), Some(2), Some(3)]);
    assert_eq!(f.investigated().await, None, "the first is still at work");
}

#[tokio::test]
async fn what_joins_has_it_made_again_and_repeats_do_not() {
    let f = Fixture::new();
    let wait = || f.clock.advance(Duration::from_secs(12));
    f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    wait();
    assert_eq!(f.investigated().await, Some(1));
    f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    wait();
    assert_eq!(f.investigated().await, None, "a repeat tells nothing new");
    f.send("grafana", vec![firing("grafana:b", Some("api")), resolved("grafana:b")]).await;
    assert_eq!(f.investigated().await, None, "the burst may go on");
    wait();
    assert_eq!(f.investigated().await, Some(1), "another alert joined");
    f.store.investigate(IncidentId(1), me()).await.unwrap();
    assert_eq!(f.investigated().await, Some(1), "a person does not wait");
    f.send("grafana", vec![firing("grafana:c", Some("api"))]).await;
    f.clock.advance(Duration::from_secs(3));
    assert_eq!(f.investigated().await, None, "an answer stands for a while");
    wait();
    assert_eq!(f.investigated().await, Some(1));
}

#[tokio::test]
async fn a_change_that_is_told_of_late_has_it_made_again() {
    let check = async |service: &str, minutes_before: i64, want: Option<u64>| {
        let f = Fixture::new();
        f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
        f.clock.advance(Duration::from_secs(12));
        assert_eq!(f.investigated().await, Some(1));
        let at = Time::from_millis(f.incident(1).onset_at.millis() - minutes_before * 60_000);
        let change = Change {
            service: Some(service.to_owned()),
            kind: ChangeKind::Deploy,
            title: "a release".into(),
            url: None,
            version: None,
            at: Some(at),
            source: Platform::default(),
            outcome: None,
            details: std::collections::BTreeMap::new(),
        };
        f.deliver("github", Parsed { changes: vec![change], ..Parsed::default() }).await;
        f.clock.advance(Duration::from_secs(12));
        assert_eq!(f.investigated().await, want, "{service}, {minutes_before} min before");
    };
    check("API", 5, Some(1)).await;
    check("api", 180, None).await;
    check("api", -1, None).await;
    check("web", 5, None).await;
}
