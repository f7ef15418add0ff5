//! The story as a sentence in a README would have it: one incident with the right cause, and what has nothing to do with it
//! stays outside.

use super::{story, *};
use crate::{
    config,
    store::{AlertFilter, IncidentFilter, Policy, StoreOptions},
};

fn now() -> Time {
    "2026-03-03T10:00:00Z".parse().unwrap()
}

async fn opened(dir: &Path, clock: &Clock) -> (Store, Arc<Config>) {
    let mut config = config::defaults(dir.to_owned());
    config.data_dir = dir.to_owned();
    let options =
        StoreOptions { dir: dir.to_owned(), cache_bytes: 16 << 20, policy: Policy { reserve: 0, ..Policy::default() } };
    let store = Store::open(options, clock.clone()).unwrap();
    let mut missing = Vec::new();
    for connector in crate::connectors::ALL {
        missing.push(crate::ingest::default_settings(connector.info().slug, clock.now(), store.sealer()).unwrap());
    }
    store.ensure_connectors(missing).await.unwrap();
    (store, Arc::new(config))
}

async fn incidents(store: &Store) -> Vec<Incident> {
    let filter = IncidentFilter { statuses: IncidentStatus::ALL.to_vec(), ..IncidentFilter::default() };
    store.read(move |v| Ok(v.incidents(&filter, None, 500)?.items)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cascade_is_one_incident_with_its_cause_and_noise_stays_outside() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(now());
    let (store, config) = opened(dir.path(), &clock).await;
    store.replace_topology(company::services(), Actor::System).await.unwrap();
    let stop = CancellationToken::new();
    let probes = Probes::open(Client::open(None).unwrap(), clock.clone(), ProbeSettings::default()).unwrap();
    let runner = tokio::spawn(Runner::new(store.clone(), clock.clone(), Arc::new(probes), 2).run(stop.clone()));
    let mut sender = Sender::new(door(&store, &config, &clock)).await.unwrap();
    let mut main = None;
    for step in story::steps() {
        let at = now().plus(Duration::from_secs(step.at));
        clock.advance(at.since(clock.now()));
        let turn = sender.turn();
        let sent = step.sent(now(), turn);
        let platform = sent.platform;
        let id = sender.send(sent).await.unwrap();
        if platform == "sentry" && main.is_none() {
            main = id;
        }
        if step.at == 60 {
            // The whole cascade burns, and its cause is known before anything ends.
            let id = main.unwrap();
            clock.advance(Duration::from_secs(12));
            analyzed(&store, &clock, id).await.unwrap();
            let (incident, answer) = store.read(move |v| Ok((v.incident(id)?, v.investigation(id)?))).await.unwrap();
            let incident = incident.unwrap();
            assert_eq!(
                incident.alert_count,
                7,
                "{:#?}",
                incidents(&store).await.iter().map(|i| (&i.title, i.alert_count)).collect::<Vec<_>>()
            );
            assert_eq!(incident.severity, Severity::Critical);
            let of: Vec<&str> = incident.affected_services.iter().map(String::as_str).collect();
            for service in ["payments", "checkout-api", "storefront", "edge-gateway", "notify"] {
                assert!(of.contains(&service), "{service} of {of:?}");
            }
            let first = answer.leading().unwrap();
            assert_eq!(first.service.as_deref(), Some("payments"), "{first:?}");
        }
    }
    let all = incidents(&store).await;
    let main = all.iter().find(|i| Some(i.id) == main).unwrap();
    assert_eq!((main.status, main.alert_count), (IncidentStatus::Resolved, 7), "{}", main.title);
    let tools: std::collections::BTreeSet<String> = {
        let filter = AlertFilter { incident: Some(main.id), ..AlertFilter::default() };
        let alerts = store.read(move |v| Ok(v.alerts(&filter, None, 50)?.items)).await.unwrap();
        alerts.into_iter().map(|a| a.platform).collect()
    };
    assert_eq!(tools.len(), 6, "{tools:?}");
    // Three kinds of noise, and what flaps.
    let others: Vec<(&str, u64)> =
        all.iter().filter(|i| i.id != main.id).map(|i| (i.title.as_str(), i.alert_count)).collect();
    assert_eq!(others.iter().map(|(_, n)| n).sum::<u64>(), 4, "{others:?}");
    let flaps = all.iter().find(|i| i.service.as_deref() == Some("mail-relay")).unwrap();
    assert!(flaps.flapping, "{flaps:?}");
    assert!(story::steps().last().unwrap().at <= story::LASTS);
    stop.cancel();
    runner.await.unwrap();
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    store.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn months_are_filled_once_and_only_into_an_empty_store() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(beginning(now()));
    let (store, config) = opened(dir.path(), &clock).await;
    assert!(fill(&store, &config, &clock, now()).await.unwrap());
    assert!(clock.now() >= now() && clock.now().since(now()) < Duration::from_secs(60));
    let today = crate::store::day_of(now());
    let insights = store.read(move |v| v.insights(today - 83, today + 1, None)).await.unwrap();
    let (period, before) = (&insights.period, &insights.before);
    assert!(period.funnel.incidents >= 25 && before.funnel.incidents >= 25, "{period:?} {before:?}");
    assert!(period.acknowledge.count >= 10 && period.acknowledge.median_s < before.acknowledge.median_s);
    assert!(period.first_answers.judged >= 5 && period.first_answers.right >= 1, "{:?}", period.first_answers);
    assert!(insights.noisiest.iter().any(|n| n.advice == Advice::NeverActedOn), "{:?}", insights.noisiest);
    // Yesterday's is there to be found again.
    let yesterday = incidents(&store).await;
    let close = |i: &&Incident| now().since(i.detected_at) < Duration::from_secs(30 * 3600);
    assert!(yesterday.iter().filter(close).any(|i| i.service.as_deref() == Some("payments")));
    assert!(!fill(&store, &config, &clock, now()).await.unwrap(), "once");
    std::fs::remove_file(dir.path().join(MARK)).unwrap();
    let refused = fill(&store, &config, &clock, now()).await;
    assert!(matches!(refused, Err(DemoError::NotEmpty(_))));
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    store.close();
}
