//! How incidents ended: one row for each that is resolved, true to what people recorded of it.

use std::time::Duration;

use super::{
    commands::{Finish, investigation::record_cause},
    tests::{Fixture, firing, me, minutes, resolved, titled},
    *,
};

fn cause(service: &str, confidence: f64) -> Cause {
    let recorded = RecordedCause {
        service: Some(service.into()),
        host: None,
        symptom: None,
        by: "x".into(),
        at: Time::from_secs(0),
    };
    Cause { confidence, score: 7.0, ..recorded.as_cause() }
}

impl Fixture {
    fn outcome(&self, n: u64) -> Option<Outcome> {
        let all = self.store.view().unwrap().outcomes(10).unwrap();
        all.into_iter().find(|(id, _)| id.0 == n).map(|(_, o)| o)
    }

    async fn answered(&self, service: &str) {
        self.clock.advance(Duration::from_secs(60));
        let run = self.store.lease_job(Duration::from_secs(60), "built-in").await.unwrap().unwrap().lease();
        let causes = vec![cause(service, 0.6), cause("other", 0.1)];
        let finish = Finish {
            state: InvestigationState::Complete,
            conclusion: Some(Conclusion::Likely),
            summary: None,
            error: None,
            around: Vec::new(),
            answer: Investigation { causes, ..Investigation::default() },
        };
        self.store.finish_investigation(run, finish).await.unwrap();
    }

    async fn recorded(&self, n: u64, service: &str) {
        let service = Some(service.to_owned());
        let done = self.store.command(move |tx| record_cause(tx, IncidentId(n), service, None, &me())).await;
        done.unwrap();
        self.consistent();
    }
}

#[tokio::test]
async fn an_end_is_remembered_with_what_was_said_before_and_what_it_was() {
    let f = Fixture::new();
    let declared = Service { name: "Checkout".into(), aliases: vec!["co-lb".into()], ..Service::default() };
    f.store.replace_topology(vec![declared], me()).await.unwrap();
    f.send("grafana", vec![firing("grafana:a", Some("checkout"))]).await;
    f.answered("co-lb").await;
    assert_eq!(f.outcome(1), None, "it is open");
    f.store.resolve(IncidentId(1), None, me()).await.unwrap();
    let ended = f.outcome(1).unwrap();
    assert_eq!(ended.places.iter().map(|p| (p.place.as_str(), p.kinds.len())).collect::<Vec<_>>(), [("checkout", 1)]);
    let said = ended.said.unwrap();
    assert_eq!((said.service.as_deref(), said.confidence, said.scores), (Some("co-lb"), 0.6, vec![7.0, 7.0]));
    assert_eq!((ended.cause, ended.right), (None, None), "what was thought is not known");

    f.recorded(1, "CHECKOUT").await;
    let known = f.outcome(1).unwrap();
    assert_eq!(known.cause.unwrap().service.as_deref(), Some("Checkout"));
    assert_eq!(known.right, Some(true), "another name of the same service");
    f.recorded(1, "db").await;
    assert_eq!(f.outcome(1).unwrap().right, Some(false), "judged anew");
    let table = f.store.view().unwrap().reliability().unwrap();
    assert_eq!((table.known, table.right, table.bins.len()), (1, 0, 1));

    f.store.reopen(IncidentId(1), me()).await.unwrap();
    assert_eq!(f.outcome(1), None, "it is open again");
}

#[tokio::test]
async fn ends_at_the_source_count_and_parts_of_others_do_not() {
    let f = Fixture::new();
    f.send("grafana", vec![titled("requests fail", firing("grafana:a", Some("api")))]).await;
    f.clock.advance(minutes(60));
    f.send("grafana", vec![titled("disk is slow", firing("grafana:b", Some("db")))]).await;
    f.recorded(1, "api").await;
    assert_eq!(f.outcome(1), None, "recorded while it is open");
    f.send("grafana", vec![resolved("grafana:a")]).await;
    assert_eq!(f.incident(1).status, IncidentStatus::Resolved);
    let ended = f.outcome(1).unwrap();
    assert_eq!(ended.cause.unwrap().service.as_deref(), Some("api"));
    assert_eq!((ended.said, ended.right), (None, None), "nothing had been said");
    f.store.reopen(IncidentId(1), me()).await.unwrap();
    f.store.merge_incidents(IncidentId(2), vec![IncidentId(1)], me()).await.unwrap();
    f.send("grafana", vec![resolved("grafana:b")]).await;
    f.store.resolve(IncidentId(2), None, me()).await.ok();
    assert_eq!(f.outcome(1), None);
    let whole = f.outcome(2).unwrap();
    assert_eq!(whole.places.iter().map(|p| p.place.as_str()).collect::<Vec<_>>(), ["api", "db"]);
    f.consistent();
}
