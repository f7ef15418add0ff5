//! Services and learned edges: what commands keep and refuse, what alerts teach, and what is forgotten. After every
//! transaction of these tests the writer's memory is compared with the disk.

use std::time::Duration;

use proptest::{
    prelude::{Just, ProptestConfig, any, prop, prop_oneof, proptest},
    strategy::Strategy as Make,
};

use super::{
    tests::{Fixture, firing, me},
    tx::services::MAX_LEARNED,
    *,
};

fn fixture() -> Fixture {
    Fixture::with(Policy { reserve: 0, ..Policy::default() })
}

fn service(name: &str, aliases: &[&str], depends_on: &[&str]) -> Service {
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    Service { name: name.into(), aliases: owned(aliases), depends_on: owned(depends_on), ..Service::default() }
}

fn calls(key: &str, from: &str, to: &str) -> Signal {
    let mut signal = firing(key, Some(from));
    signal.labels.insert("peer.service".into(), to.into());
    signal
}

impl Fixture {
    fn declared(&self) -> Vec<String> {
        let services = self.store.view().unwrap().services().unwrap();
        services.iter().map(|s| format!("{}>{}", s.name, s.depends_on.join(","))).collect()
    }

    fn learned(&self) -> Vec<String> {
        let edges = self.store.view().unwrap().learned_edges().unwrap();
        let shown = |e: &LearnedEdge| {
            format!("{}>{}{}{}", e.from, e.to, "+".repeat(e.count as usize), if e.holds() { "" } else { "!" })
        };
        edges.iter().map(shown).collect()
    }

    fn topology_changes(&self) -> usize {
        let log = self.store.view().unwrap().change_log(0, 10_000).unwrap();
        log.iter().filter(|e| e.subject == ChangeSubject::Topology).count()
    }

    fn audited(&self) -> Vec<String> {
        let all = self.store.view().unwrap().audit(None, 100).unwrap().items;
        all.iter().rev().map(|e| format!("{} {}", e.action, e.subject)).collect()
    }
}

fn paths(result: Result<impl std::fmt::Debug, CommandError>) -> Vec<String> {
    match result {
        Err(CommandError::Mistakes(all)) => all.into_iter().map(|m| m.path).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn services_are_declared_changed_renamed_and_removed() {
    let f = fixture();
    assert!(f.store.put_service(None, service("API", &["gateway"], &["db"]), me()).await.unwrap().new);
    assert!(f.store.put_service(None, service("web", &[], &["api", "ghost"]), me()).await.unwrap().new);
    let again = f.store.put_service(None, service(" api ", &["gateway"], &["db"]), me()).await.unwrap();
    assert_eq!((again.new, again.service.name.as_str()), (false, "api"));
    assert_eq!(f.declared(), ["api>db", "web>api,ghost"]);
    // The same once more is no change.
    let before = (f.audited(), f.topology_changes());
    f.store.put_service(None, service("api", &["gateway"], &["db"]), me()).await.unwrap();
    assert_eq!((f.audited(), f.topology_changes()), before);
    // What depends on it follows its name.
    f.store.put_service(Some("Api".into()), service("core", &["gateway"], &["db"]), me()).await.unwrap();
    assert_eq!(f.declared(), ["core>db", "web>core,ghost"]);
    assert_eq!(paths(f.store.put_service(Some("web".into()), service("core", &[], &[]), me()).await)[0], "/name");
    assert!(matches!(
        f.store.put_service(Some("nothing".into()), service("x", &[], &[]), me()).await,
        Err(CommandError::NotFound(_))
    ));
    assert_eq!(paths(f.store.put_service(None, service("x", &["y", "GATEWAY"], &[]), me()).await), ["/aliases/1"]);
    f.store.put_service(Some("web".into()), service("site", &[], &["WEB", "core", "ghost"]), me()).await.unwrap();
    assert_eq!(f.declared(), ["core>db", "site>WEB,core,ghost"], "its own old name is a name of nothing now");
    f.store.delete_service("CORE".into(), me()).await.unwrap();
    assert_eq!(f.declared(), ["site>WEB,core,ghost"]);
    assert!(matches!(f.store.delete_service("core".into(), me()).await, Err(CommandError::NotFound(_))));
    assert_eq!(
        f.audited(),
        [
            "service.add API",
            "service.add web",
            "service.update api",
            "service.update core",
            "service.update site",
            "service.remove core"
        ]
    );
    f.consistent();
}

#[tokio::test]
async fn a_topology_is_replaced_as_a_whole_or_not_at_all() {
    let f = fixture();
    f.store.replace_topology(vec![service("a", &["x"], &["b"]), service("b", &[], &["a"])], me()).await.unwrap();
    let refused = vec![service("c", &[], &[]), service("d", &["C"], &[]), service("e", &[], &["e"])];
    assert_eq!(
        paths(f.store.replace_topology(refused.clone(), me()).await),
        ["/services/1/aliases/0", "/services/2/depends_on/0"]
    );
    assert_eq!(paths(f.store.put_services(refused, me()).await).len(), 2);
    assert_eq!(f.declared(), ["a>b", "b>a"]);
    // Names may move from one to another in one step.
    let moved = vec![service("a", &[], &["c"]), service("b", &["x"], &["a"]), service("c", &[], &[])];
    let done = f.store.replace_topology(moved, me()).await.unwrap();
    assert_eq!((done.added, done.changed, done.removed), (1, 2, 0));
    assert_eq!(f.declared(), ["a>c", "b>a", "c>"]);
    let done = f.store.put_services(vec![service("B", &[], &[]), service("d", &[], &["b"])], me()).await.unwrap();
    assert_eq!((done.added, done.changed, done.removed), (1, 1, 0));
    assert_eq!(f.declared(), ["a>c", "B>", "c>", "d>b"]);
    f.store.replace_topology(Vec::new(), me()).await.unwrap();
    assert_eq!((f.declared().len(), f.topology_changes()), (0, 4));
    f.consistent();
}

#[tokio::test]
async fn alerts_teach_who_calls_whom() {
    let f = fixture();
    f.store.put_service(None, service("checkout", &["checkout-v2"], &["db"]), me()).await.unwrap();
    let declared = f.topology_changes();
    f.send("grafana", vec![calls("a", "checkout-v2", "payments")]).await;
    // A repeat tells nothing new, another alert does; what is declared is known; a test teaches nothing.
    f.send("grafana", vec![calls("a", "checkout-v2", "payments")]).await;
    let mut test = calls("t", "checkout", "test-only");
    test.is_test = true;
    f.send("datadog", vec![calls("b", "Checkout", "Payments"), calls("c", "checkout", "DB"), test]).await;
    f.send("datadog", vec![calls("d", "payments", "ledger")]).await;
    assert_eq!(f.learned(), ["checkout>payments++", "payments>ledger+"]);
    assert_eq!(f.topology_changes(), declared + 2, "told when there is another edge, not with every count");
    let edge = &f.store.view().unwrap().learned_edges().unwrap()[0];
    assert_eq!(edge.platform, "datadog");
    // It takes the names that are declared later, and goes when it is declared itself.
    f.store.put_service(None, service("ledger-db", &["ledger"], &[]), me()).await.unwrap();
    assert_eq!(f.learned(), ["checkout>payments++", "payments>ledger-db+"]);
    f.store.put_service(Some("checkout".into()), service("shop", &[], &[]), me()).await.unwrap();
    assert_eq!(f.learned(), ["payments>ledger-db+", "shop>payments++"]);
    f.store.put_service(None, service("payments", &[], &["LEDGER"]), me()).await.unwrap();
    assert_eq!(f.learned(), ["shop>payments++"]);
    f.consistent();
}

#[tokio::test]
async fn learned_edges_are_dismissed_and_adopted() {
    let f = fixture();
    f.send("grafana", vec![calls("a", "web", "api"), calls("b", "web", "cache")]).await;
    f.store.dismiss_edge("WEB".into(), "cache".into(), true, me()).await.unwrap();
    f.send("grafana", vec![calls("c", "web", "cache")]).await;
    assert_eq!(f.learned(), ["web>api+", "web>cache++!"]);
    f.store.adopt_edge("web".into(), "api".into(), me()).await.unwrap();
    assert_eq!((f.declared(), f.learned()), (vec!["web>api".to_owned()], vec!["web>cache++!".to_owned()]));
    f.send("grafana", vec![calls("d", "web", "api")]).await;
    assert_eq!(f.learned(), ["web>cache++!"]);
    f.store.dismiss_edge("web".into(), "cache".into(), false, me()).await.unwrap();
    assert_eq!(f.learned(), ["web>cache++"]);
    assert!(matches!(f.store.adopt_edge("web".into(), "api".into(), me()).await, Err(CommandError::NotFound(_))));
    let actions = f.audited();
    assert_eq!(
        actions,
        ["edge.dismiss web → cache", "edge.adopt web → api", "service.add web", "edge.restore web → cache"]
    );
    f.consistent();
}

#[tokio::test]
async fn learned_edges_are_bounded_and_forgotten() {
    let f = fixture();
    f.send("grafana", vec![calls("no", "web", "not-so"), calls("old", "web", "oldest")]).await;
    f.store.dismiss_edge("web".into(), "not-so".into(), true, me()).await.unwrap();
    f.clock.advance(Duration::from_secs(60));
    for n in 0..MAX_LEARNED {
        f.send("grafana", vec![calls(&format!("k{n}"), "web", &format!("s{n}"))]).await;
    }
    let learned = f.learned();
    assert!(learned.len() <= MAX_LEARNED && learned.len() > MAX_LEARNED - 5, "{}", learned.len());
    assert!(learned.contains(&"web>not-so+!".to_owned()) && !learned.contains(&"web>oldest+".to_owned()));
    // A month without a word; the retention trusts the clock ten minutes after a jump.
    f.clock.advance(Duration::from_secs(31 * 24 * 3600));
    for _ in 0..20 {
        f.clock.advance(Duration::from_secs(61));
        f.send("grafana", vec![firing("tick", Some("web"))]).await;
        if f.learned().len() == 1 {
            break;
        }
    }
    assert_eq!(f.learned(), ["web>not-so+!"]);
    f.consistent();
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Put(Option<String>, Service),
    PutAll(Vec<Service>),
    Replace(Vec<Service>),
    Delete(String),
    Alert(String, String),
    Dismiss(String, String, bool),
    Adopt(String, String),
}

fn name() -> impl Make<Value = String> {
    prop_oneof![
        8 => "[a-d]",
        1 => prop::sample::select(vec!["", " ", " A ", "B\n", "ß", "\u{202e}evil", "<b>", "e|f", "a/b", "İ", "x\0", "😀", ".."])
            .prop_map(str::to_owned),
        1 => Just("n".repeat(256)),
        1 => ".{0,12}",
    ]
}

fn any_service() -> impl Make<Value = Service> {
    let names = || prop::collection::vec(name(), 0..3);
    (name(), names(), names(), names(), prop::option::of(name())).prop_map(
        |(name, aliases, depends_on, hosts, owner)| Service {
            name,
            aliases,
            depends_on,
            hosts,
            owner,
            ..Service::default()
        },
    )
}

fn step() -> impl Make<Value = Step> {
    let all = || prop::collection::vec(any_service(), 0..5);
    prop_oneof![
        3 => (prop::option::of(name()), any_service()).prop_map(|(was, s)| Step::Put(was, s)),
        1 => all().prop_map(Step::PutAll),
        1 => all().prop_map(Step::Replace),
        1 => name().prop_map(Step::Delete),
        3 => (name(), name()).prop_map(|(a, b)| Step::Alert(a, b)),
        1 => (name(), name(), any::<bool>()).prop_map(|(a, b, d)| Step::Dismiss(a, b, d)),
        1 => (name(), name()).prop_map(|(a, b)| Step::Adopt(a, b)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]
    #[test]
    fn any_history_leaves_a_whole_topology(steps in prop::collection::vec(step(), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let f = fixture();
            for (n, step) in steps.into_iter().enumerate() {
                let before = (f.declared(), f.learned());
                let refused = match step {
                    Step::Put(was, s) => f.store.put_service(was, s, me()).await.is_err(),
                    Step::PutAll(all) => f.store.put_services(all, me()).await.is_err(),
                    Step::Replace(all) => f.store.replace_topology(all, me()).await.is_err(),
                    Step::Delete(s) => f.store.delete_service(s, me()).await.is_err(),
                    Step::Dismiss(a, b, d) => f.store.dismiss_edge(a, b, d, me()).await.is_err(),
                    Step::Adopt(a, b) => f.store.adopt_edge(a, b, me()).await.is_err(),
                    Step::Alert(a, b) => {
                        f.send("grafana", vec![calls(&format!("k{n}"), &a, &b)]).await;
                        false
                    }
                };
                if refused {
                    assert_eq!((f.declared(), f.learned()), before);
                }
                let view = f.store.view().unwrap();
                let services = view.services().unwrap();
                let wrong = mistakes(services.iter().map(|s| (String::new(), s)));
                assert!(wrong.is_empty(), "{wrong:?}");
                let declared = |e: &LearnedEdge| {
                    let from = services.iter().find(|s| s.keys().any(|k| k == name_key(&e.from)));
                    from.is_some_and(|s| s.depends_on.iter().any(|d| name_key(d) == name_key(&e.to)))
                };
                assert!(view.learned_edges().unwrap().iter().all(|e| !declared(e)));
                view.activities(Time::from_secs(0)).unwrap();
            }
            f.consistent();
        });
    }
}
