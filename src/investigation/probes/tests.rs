use std::sync::Mutex;

use axum::{
    Router,
    body::Body,
    http::{Response, Uri},
};

use super::*;
use crate::investigation::{Inquiry, tests::case};

/// The onset of the fixtures: real answers of Debian's Prometheus 2.42 and Netdata 1.37.1, and of the documented forms of
/// Loki and Jenkins.
const ONSET: i64 = 1_795_310_455;
const NOW: i64 = 1_795_310_536;

/// A tool that answers each path from a list, and remembers what it was asked.
#[derive(Clone, Default)]
struct Fake {
    answers: Arc<Vec<(&'static str, &'static str)>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    async fn start(answers: &[(&'static str, &'static str)]) -> (Url, Self) {
        let fake = Self { answers: Arc::new(answers.to_vec()), ..Self::default() };
        let tool = fake.clone();
        let router = Router::new().fallback(move |uri: Uri| {
            let tool = tool.clone();
            async move { tool.answer(&uri).await }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = address::base(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        // Ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (base, fake)
    }

    async fn answer(&self, uri: &Uri) -> Response<Body> {
        let asked = percent_encoding::percent_decode_str(&uri.to_string()).decode_utf8_lossy().replace('+', " ");
        self.asked.lock().unwrap().push(asked.clone());
        let body = self.answers.iter().find(|(part, _)| asked.contains(part)).map_or("!404", |(_, body)| *body);
        let with = |status: u16| Response::builder().status(status).header("x-text-size", body.len());
        match body {
            "!hang" => std::future::pending().await,
            "!large" => with(200).body(Body::from(vec![b' '; 2 << 20])),
            "!redirect" => with(302).header("location", "http://192.0.2.1/login").body(Body::empty()),
            status if status.starts_with('!') => with(status[1..].parse().unwrap()).body(Body::from("no\nway")),
            body => with(200).body(Body::from(body)),
        }
        .unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn settings() -> ProbeSettings {
    ProbeSettings { question_time: Duration::from_millis(400), ..crate::config::defaults("/nowhere".into()).probes }
}

fn probes(given: ProbeSettings) -> Probes {
    Probes::open(Client::open(None).unwrap(), Clock::manual(Time::from_secs(NOW)), given).unwrap()
}

/// An incident of the service checkout on db-1, of one alert with these labels.
fn checkout(platform: &str, labels: &[(&str, &str)], link: Option<&str>) -> Case {
    let mut case = case("deploy, then errors");
    let mut alert = case.alerts[0].clone();
    alert.platform = platform.into();
    alert.host = Some("db-1".into());
    alert.onset_at = Time::from_secs(ONSET);
    alert.labels = labels.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    alert.source_url = link.map(str::to_owned);
    case.alerts = vec![alert];
    case.changes.clear();
    case.incident.affected_services.clear();
    case.incident.host = None;
    case.now = Time::from_secs(NOW);
    case
}

fn declared(prometheus: Option<&str>, netdata: Option<&Url>) -> Vec<Service> {
    vec![Service {
        name: "Checkout".into(),
        prometheus: prometheus.map(str::to_owned),
        netdata: netdata.map(Url::to_string),
        ..Service::default()
    }]
}

/// All rounds as the runner leads them: the case with its findings, and the lines.
async fn investigate(probes: &Probes, mut case: Case, services: &[Service]) -> (Case, Vec<String>) {
    let mut inquiry = Inquiry::default();
    let mut asking = probes.about(&case, services);
    let mut lines = Vec::new();
    loop {
        let (questions, before) = asking.questions();
        let from = case.findings.len();
        case.findings.extend(before.findings);
        lines.extend(inquiry.answered(&case, from, &before.notes));
        lines.extend(inquiry.asked(&case, &questions));
        if questions.is_empty() {
            return (case, lines.into_iter().map(|l| l.text).collect());
        }
        let round = asking.round().await;
        let from = case.findings.len();
        case.findings.extend(round.findings);
        lines.extend(inquiry.answered(&case, from, &round.notes));
    }
}

fn says(lines: &[String], parts: &[&str]) {
    assert!(lines.iter().any(|l| parts.iter().all(|p| l.contains(p))), "{parts:?}: {lines:#?}");
}

const NAMES: &str = include_str!("fixtures/prometheus-names.json");
const RANGE: &str = include_str!("fixtures/prometheus-range.json");
const MANY: &str = include_str!("fixtures/prometheus-range-many.json");
const EMPTY: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;

#[tokio::test]
async fn prometheus_is_asked_for_the_figure_of_the_alert_and_for_usual_ones() {
    let (base, fake) = Fake::start(&[
        ("__name__/values?match[]={job=", NAMES),
        ("__name__/values", r#"{"status":"success","data":[]}"#),
        ("query=checkout_failing&", RANGE),
        ("query=(sum(rate(http_requests_total{job=\"checkout\",code", MANY),
        ("query_range", EMPTY),
    ])
    .await;
    // The link leads to another place, which nobody asks.
    let (elsewhere, other) = Fake::start(&[]).await;
    let link = format!("{elsewhere}graph?g0.expr=checkout_failing+%3D%3D+1&g0.tab=1");
    let case = checkout("alertmanager", &[("alertname", "CheckoutFailing"), ("job", "checkout")], Some(&link));
    let probes = probes(ProbeSettings { prometheus: Some(base.clone()), ..settings() });
    let (case, lines) = investigate(&probes, case, &[]).await;
    let shift = &case.findings[0];
    assert!(
        matches!(&shift.found, Found::Shift { metric, before: 0.0, after: 1.0, since: Some(since), symptom: Symptom::Errors, .. }
        if metric == "checkout_failing" && *since == Time::from_secs(1_795_310_461)),
        "{shift:?}"
    );
    assert_eq!((shift.service.as_deref(), shift.query.as_str()), (Some("checkout"), "checkout_failing"));
    assert!(shift.url.as_deref().unwrap().starts_with(&format!("{base}graph?g0.expr=checkout_failing&")), "{shift:?}");
    let at = address::host(&base);
    says(&lines, &[&format!("Asks Prometheus at {at} about checkout: `checkout_failing`")]);
    says(&lines, &["Prometheus: checkout_failing of checkout went from 0 to 1 since 01:21 UTC", "[E1]"]);
    says(&lines, &["http_requests_total of checkout went from 0 to ", "of all requests"]);
    says(&lines, &["Prometheus has none of the usual metrics of db-1"]);
    let asked = fake.asked();
    assert!(asked.iter().any(|a| a.contains("match[]={instance=~\"db\\\\-1(:[0-9] )?\"}")), "{asked:#?}");
    assert!(
        asked.iter().all(|a| !a.contains("query_range") || a.contains(&format!("end={NOW}&step=15&timeout=400ms")))
    );
    assert_eq!(other.asked(), [] as [String; 0]);
    // The same in the same order, bytes and all.
    let again = checkout("alertmanager", &[("alertname", "CheckoutFailing"), ("job", "checkout")], Some(&link));
    assert_eq!(investigate(&probes, again, &[]).await.1, lines);
}

#[tokio::test]
async fn prometheus_by_the_declared_selector() {
    let (base, fake) = Fake::start(&[("__name__/values", NAMES), ("query_range", EMPTY)]).await;
    let probes = probes(ProbeSettings { prometheus: Some(base), questions: 4, ..settings() });
    let case = checkout("grafana", &[], None);
    let (case, lines) = investigate(&probes, case, &declared(Some("{app=\"shop\"}"), None)).await;
    assert!(fake.asked()[0].contains("match[]={app=\"shop\"}"), "{:#?}", fake.asked());
    assert!(
        fake.asked().iter().any(|a| a.contains("sum(rate(http_requests_total{app=\"shop\"}[2m]))")),
        "{:#?}",
        fake.asked()
    );
    assert_eq!((fake.asked().len(), &case.findings), (4, &Vec::new()));
    says(&lines, &["not asked: an investigation asks at most 4 questions"]);
    says(&lines, &["too few points"]);
}

#[tokio::test]
async fn netdata_tells_its_alarms_and_what_changed_most() {
    let (base, fake) = Fake::start(&[
        ("/api/v1/alarms?active", include_str!("fixtures/netdata-alarms.json")),
        ("/api/v1/weights", include_str!("fixtures/netdata-weights.json")),
        ("chart=statsd_checkout.queue_gauge&", include_str!("fixtures/netdata-data.json")),
        ("/api/v1/data", r#"{"labels":["time","a"],"data":[]}"#),
    ])
    .await;
    let services = declared(None, Some(&base));
    let (case, lines) = investigate(&probes(settings()), checkout("grafana", &[], None), &services).await;
    says(&lines, &["Netdata itself raised “checkout_queue” of checkout, which no alert told", "183.7 orders", "[E1]"]);
    says(&lines, &["Netdata: statsd_checkout.queue_gauge gauge of checkout went from 12 to 186", "[E"]);
    assert!(
        matches!(&case.findings[0].found, Found::Alarm { symptom: Symptom::Backlog, .. }),
        "{:?}",
        case.findings[0]
    );
    assert_eq!(case.findings[0].host.as_deref(), Some("db-1"));
    assert!(fake.asked().iter().any(|a| a.contains("method=volume&after=") && a.contains("&baseline_before=")));

    // An alarm that is an alert of the incident is no news, and its chart is asked for at once.
    let labels = [("alert", "checkout_queue"), ("chart", "statsd_checkout.queue_gauge")];
    let (_, lines) = investigate(&probes(settings()), checkout("netdata", &labels, None), &services).await;
    says(&lines, &["has no alarm of its own"]);
    says(&lines, &["statsd_checkout.queue_gauge gauge of checkout went from"]);

    // At a parent, by the machine's name as one segment of the path; an old agent has no weights.
    let (parent, fake) = Fake::start(&[("/host/..%2Fdb/api/v1/alarms", "{\"alarms\":{}}"), ("weights", "!400")]).await;
    let given = ProbeSettings { netdata: Some(parent), ..settings() };
    let mut case = checkout("netdata", &labels, None);
    case.alerts[0].host = Some("../db".into());
    let (case, lines) = investigate(&probes(given), case, &[]).await;
    assert!(
        fake.asked().iter().all(|a| a.starts_with("/host/../db/api/v1/") || a.starts_with("/host/..%2Fdb/api/v1/"))
    );
    says(&lines, &["Netdata agent of ../db is too old, or was started too recently"]);
    assert_eq!(case.findings, []);
}

#[tokio::test]
async fn logs_of_loki_and_jenkins() {
    let (base, fake) = Fake::start(&[
        ("/loki/api/v1/query_range", include_str!("fixtures/loki.json")),
        ("/ci/job/shop/17/logText/progressiveText?start=0", include_str!("fixtures/jenkins.txt")),
    ])
    .await;
    let jenkins = base.join("ci/").unwrap();
    let given = ProbeSettings {
        loki: Some(base.clone()),
        loki_credentials: Some("kim:s3cret".into()),
        loki_tenant: Some("shop".into()),
        jenkins: Some(jenkins.clone()),
        jenkins_credentials: Some("kim:s3cret".into()),
        ..settings()
    };
    let case = checkout("jenkins", &[], Some(&format!("{jenkins}job/shop/17/")));
    let (case, lines) = investigate(&probes(given), case, &[]).await;
    says(&lines, &["`{service_name=\"checkout\"} |~ \"(?i)(error|"]);
    says(&lines, &["Loki: 3 lines of the log of checkout tell of failure, the first of them “FATAL: remaining"]);
    says(&lines, &["Jenkins: ", "lines of the log of checkout tell of failure, the first of them “", "FAILED"]);
    let Found::Lines { lines: told, .. } = &case.findings[1].found else { panic!("{:?}", case.findings) };
    assert!(told.iter().any(|l| l.contains("AssertionFailedError")), "{told:?}");
    assert_eq!(case.findings[1].url.as_deref(), Some(format!("{jenkins}job/shop/17/console").as_str()));
    assert_eq!(fake.asked().len(), 2);
    assert!(!format!("{lines:?}{case:?}").contains("s3cret"));
}

#[tokio::test]
async fn the_end_of_a_long_log_is_read() {
    let long: &'static str = Box::leak(format!("{}\nERROR: the end\n", "x".repeat(300_000)).into_boxed_str());
    let (base, fake) = Fake::start(&[("progressiveText?start=0", long), ("progressiveText", "ERROR: the end\n")]).await;
    let given = ProbeSettings { jenkins: Some(base.clone()), max_answer: 100_000, ..settings() };
    let case = checkout("jenkins", &[], Some(&format!("{base}job/shop/17/")));
    let (_, lines) = investigate(&probes(given), case, &[]).await;
    says(&lines, &["one line of the log of checkout tells of failure: “ERROR: the end”"]);
    assert!(fake.asked()[1].ends_with("start=210016"), "{:?}", fake.asked());
}

#[tokio::test]
async fn a_tool_in_trouble_is_said_once_and_left() {
    let check = async |answer: &'static str, want: &str| {
        let (base, _) = Fake::start(&[("/api/v1/label", answer), ("query", answer)]).await;
        let host = address::host(&base);
        let probes = probes(ProbeSettings { prometheus: Some(base), ..settings() });
        let link = "http://p/graph?g0.expr=up+%3D%3D+0";
        let case = checkout("alertmanager", &[("job", "checkout")], Some(link));
        let (case, lines) = investigate(&probes, case, &[]).await;
        let failed: Vec<&String> = lines.iter().filter(|l| l.contains("rests on alerts alone")).collect();
        assert_eq!(failed.len(), 1, "{answer}: {lines:#?}");
        assert!(failed[0].starts_with(&format!("Prometheus at {host} {want}")), "{answer}: {failed:?}");
        assert!(matches!(case.findings[..], [Finding { found: Found::Failed { .. }, .. }]), "{case:?}");
    };
    check("!hang", "did not answer within 400 ms; the answer below").await;
    check("!redirect", "leads on to http://192.0.2.1/login, which is not followed").await;
    check("!401", "answers 401: the credentials").await;
    check("garbage", "answers with something that is not an answer of Prometheus").await;
    // Answers, though not these: each question says so.
    let (base, fake) = Fake::start(&[("/api/v1/label", "!large"), ("query", "!422")]).await;
    let probes = probes(ProbeSettings { prometheus: Some(base), ..settings() });
    let case = checkout("alertmanager", &[("job", "checkout")], Some("http://p/graph?g0.expr=up+%3D%3D+0"));
    let (_, lines) = investigate(&probes, case, &[]).await;
    says(&lines, &["answers with more than 1048576 bytes"]);
    says(&lines, &["answers 422: no way"]);
    assert_eq!(fake.asked().len(), 3);
}

#[tokio::test]
async fn the_third_silence_in_a_row_is_the_last_for_a_minute() {
    // Nobody listens on a port that was just given back.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let base = address::base(&format!("http://{closed}")).unwrap();
    let clock = Clock::manual(Time::from_secs(NOW));
    let given = ProbeSettings { loki: Some(base), ..settings() };
    let probes = Probes::open(Client::open(None).unwrap(), clock.clone(), given).unwrap();
    let said = async || investigate(&probes, checkout("grafana", &[], None), &[]).await.1;
    for _ in 0..3 {
        says(&said().await, &["Loki at ", "cannot be reached", "rests on alerts alone"]);
    }
    let left = said().await;
    says(&left, &["failed 3 times in a row and is left alone until 01:23 UTC"]);
    assert_eq!(left.len(), 1, "{left:?}");
    clock.advance(Duration::from_secs(60));
    says(&said().await, &["cannot be reached"]);
}

#[tokio::test]
async fn nothing_configured_is_nothing_asked_and_nothing_said() {
    let (elsewhere, other) = Fake::start(&[]).await;
    let link = format!("{elsewhere}graph?g0.expr=up");
    let case = checkout("alertmanager", &[("job", "checkout"), ("chart", "system.cpu")], Some(&link));
    let (case, lines) = investigate(&probes(settings()), case, &declared(Some("{a=\"b\"}"), None)).await;
    assert_eq!((lines, case.findings), (Vec::new(), Vec::new()));
    // Switched off by time.
    let given = ProbeSettings { prometheus: Some(elsewhere), time: Duration::ZERO, ..settings() };
    let case = checkout("alertmanager", &[("job", "checkout")], Some(&link));
    assert_eq!(investigate(&probes(given), case, &[]).await.1, Vec::<String>::new());
    assert_eq!(other.asked(), [] as [String; 0]);
}

#[tokio::test]
async fn the_time_of_all_questions_is_bounded() {
    let (base, fake) = Fake::start(&[("weights", "!hang"), ("/api/v1/alarms", "!hang")]).await;
    let services: Vec<Service> = (0..4)
        .map(|n| Service {
            name: format!("s{n}"),
            netdata: Some(base.join(&format!("a{n}")).unwrap().into()),
            ..Service::default()
        })
        .collect();
    let mut case = checkout("grafana", &[], None);
    case.incident.affected_services = services.iter().map(|s| s.name.clone()).collect();
    let given = ProbeSettings { time: Duration::from_millis(300), question_time: Duration::from_secs(5), ..settings() };
    let began = Wait::begin(Duration::from_secs(5));
    let (_, lines) = investigate(&probes(given), case, &services).await;
    assert!(!began.left().is_zero(), "it waited for one question longer than all may take");
    says(&lines, &["Netdata at ", "did not answer within "]);
    assert_eq!(fake.asked().len(), 8);
}

#[test]
fn any_answer_is_read_or_refused() {
    let given = settings();
    let base = address::base("http://t").unwrap();
    let all = ProbeSettings {
        prometheus: Some(base.clone()),
        loki: Some(base.clone()),
        jenkins: Some(base.clone()),
        netdata: Some(base.clone()),
        ..given
    };
    let settings = Arc::new(Settings { given: all, usual: Arc::new(Usual::open(None).unwrap()) });
    let case = checkout("jenkins", &[("job", "checkout"), ("chart", "system.cpu")], Some("http://t/job/shop/17/"));
    let scene = Scene::new(&case, &declared(Some("a=\"b\""), Some(&base)));
    let whole = [
        NAMES,
        RANGE,
        MANY,
        include_str!("fixtures/netdata-alarms.json"),
        include_str!("fixtures/netdata-weights.json"),
        include_str!("fixtures/netdata-data.json"),
        include_str!("fixtures/loki.json"),
        "{}",
        "[]",
        "null",
        "",
        "\0",
        r#"{"data":{"result":[{"values":[[1e308,"1e999"],[-1e308,"NaN"]]}]}}"#,
        r#"{"labels":["time","a"],"data":[[1e300,1],[null,null],[]]}"#,
        r#"{"data":{"result":[{"values":[["99999999999999999999","error: x"]]}]}}"#,
        r#"{"alarms":{"a":{"name":"x","status":"CRITICAL","last_status_change":9223372036854775807}}}"#,
    ];
    for probe in ALL {
        let mut probe = probe(&settings);
        let questions = probe.begin(&scene);
        assert!(!questions.is_empty(), "{probe:?}");
        for question in &questions {
            for text in whole {
                for end in (0..=text.len()).step_by(61).chain([text.len()]).filter(|e| text.is_char_boundary(*e)) {
                    let reply = Reply { text: text[..end].to_owned(), cut: end % 2 == 0, header: Some("99".into()) };
                    let _ = probe.read(&scene, question, &reply);
                }
            }
        }
    }
}

/// What is wanted of the service checkout.
fn of_checkout(what: What) -> Wanted {
    Wanted { service: Some("checkout".into()), host: None, what }
}

#[tokio::test]
async fn what_is_wanted_besides_is_asked_the_same_way() {
    let (base, fake) = Fake::start(&[
        ("__name__/values", NAMES),
        ("query=checkout_failing{", RANGE),
        ("query=sum(rate(orders_total{", EMPTY),
        ("/loki/api/v1/query_range", include_str!("fixtures/loki.json")),
    ])
    .await;
    let given = ProbeSettings { prometheus: Some(base.clone()), loki: Some(base), ..settings() };
    let probes = probes(given);
    let case = checkout("grafana", &[], None);
    let further =
        probes.further(&case, declared(Some("{job=\"checkout\"}"), None), Wait::begin(Duration::from_secs(60)));
    let listed = further.ask(&of_checkout(What::Names)).await.unwrap();
    let names: Vec<&str> = listed.names.iter().map(|n| n.name.as_str()).collect();
    assert!(names.contains(&"checkout_failing") && listed.findings.is_empty(), "{listed:?}");
    let figure = further.ask(&of_checkout(What::Figure("checkout_failing".into()))).await.unwrap();
    let Found::Shift { metric, since: Some(_), .. } = &figure.findings[0].found else { panic!("{figure:?}") };
    assert_eq!((metric.as_str(), figure.findings[0].service.as_deref()), ("checkout_failing", Some("checkout")));
    let nothing = further.ask(&of_checkout(What::Figure("orders_total".into()))).await.unwrap();
    assert!(nothing.trouble().unwrap().contains("too few points"), "{nothing:?}");
    let lines = further.ask(&of_checkout(What::Lines(Some("SLOTS".into())))).await.unwrap();
    let Found::Lines { lines, count } = &lines.findings[0].found else { panic!("{lines:?}") };
    assert!(*count > 0 && lines.iter().all(|l| l.to_lowercase().contains("slots")), "{lines:?}");
    let asked = fake.asked();
    assert!(asked[1].contains("query=checkout_failing{job=\"checkout\"}&"), "{asked:?}");
    assert!(asked[3].contains("|~ \"(?i)SLOTS\""), "{asked:?}");
    // Text of a model is a name or a text to look for, and never an expression.
    let before = fake.asked().len();
    for evil in ["up or vector(1)", "a{b=\"c\"}", "", "x) or (y"] {
        assert!(further.ask(&of_checkout(What::Figure(evil.into()))).await.is_err(), "{evil}");
    }
    assert_eq!(fake.asked().len(), before);
    further.ask(&of_checkout(What::Lines(Some("a\" or .*".into())))).await.unwrap();
    assert!(fake.asked()[before].contains("|~ \"(?i)a\\\" or \\\\.\\\\*\""), "{:?}", fake.asked()[before]);
    let status = probes.status();
    let told: Vec<(Tool, u64, bool)> = status.iter().map(|s| (s.tool, s.answered, s.configured)).collect();
    assert_eq!(told, [(Tool::Prometheus, 3, true), (Tool::Loki, 2, true)]);
}

#[tokio::test]
async fn further_questions_are_bounded_in_number_and_time() {
    let (base, fake) = Fake::start(&[("__name__/values", NAMES)]).await;
    let probes = probes(ProbeSettings { prometheus: Some(base), questions: 3, ..settings() });
    let case = checkout("grafana", &[], None);
    let services = declared(Some("job=\"checkout\""), None);
    let over = probes.further(&case, services.clone(), Wait::begin(Duration::ZERO));
    assert!(over.ask(&of_checkout(What::Names)).await.unwrap_err().contains("No more questions"));
    let further = probes.further(&case, services, Wait::begin(Duration::from_secs(60)));
    for n in 0..6 {
        assert_eq!(further.ask(&of_checkout(What::Names)).await.is_ok(), n < 3, "{n}");
    }
    assert_eq!(fake.asked().len(), 3);
    let other = Wanted { service: Some("unheard".into()), host: None, what: What::Names };
    assert!(further.ask(&other).await.unwrap_err().contains("No monitoring tool"), "nobody declared where it is");
}

#[tokio::test]
async fn charts_of_an_agent_are_named_and_asked_for() {
    let (base, fake) = Fake::start(&[
        ("/api/v1/weights", include_str!("fixtures/netdata-weights.json")),
        ("/api/v1/data", include_str!("fixtures/netdata-data.json")),
    ])
    .await;
    let probes = probes(settings());
    let case = checkout("netdata", &[], None);
    let further = probes.further(&case, declared(None, Some(&base)), Wait::begin(Duration::from_secs(60)));
    let listed = further.ask(&of_checkout(What::Names)).await.unwrap();
    assert!(listed.names.iter().any(|n| n.name == "system.cpu"), "{listed:?}");
    let figure = further.ask(&of_checkout(What::Figure("system.cpu user".into()))).await.unwrap();
    assert!(!figure.findings.is_empty(), "{figure:?}");
    assert!(fake.asked()[1].contains("chart=system.cpu&"), "{:?}", fake.asked());
    let status = &probes.status()[0];
    assert_eq!((status.tool, status.configured, status.answered), (Tool::Netdata, false, 2));
}

#[tokio::test]
async fn what_was_declared_and_cannot_be_asked_is_said() {
    let (base, _) = Fake::start(&[("/api/v1/label", "{}")]).await;
    let probes = probes(ProbeSettings { prometheus: Some(base), ..settings() });
    let mut services = declared(Some("checkout"), None);
    services[0].netdata = Some("web-1:19999".into());
    let (_, lines) = investigate(&probes, checkout("grafana", &[], None), &services).await;
    says(&lines, &["address of Netdata that is declared for checkout", "http://"]);
    says(&lines, &["series of Prometheus that are declared for checkout", "write matchers such as"]);
}
