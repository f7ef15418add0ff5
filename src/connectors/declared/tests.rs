use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::{Note, SignalStatus, Time};

fn declared(declaration: Value) -> Declared {
    Declared::new("batch-jobs", serde_json::from_value(declaration).unwrap(), false).unwrap()
}

fn request(body: &[u8]) -> Request<'_> {
    Request { headers: &[], query: &[], body, received_at: Time::from_secs(1_772_500_000), rca_enabled: false }
}

fn read(declaration: Value, body: &Value) -> Result<Parsed, Problem> {
    declared(declaration).parse(&request(body.to_string().as_bytes()))
}

fn tried(declaration: Value, body: &Value) -> Trial {
    declared(declaration).try_on(&request(body.to_string().as_bytes()))
}

/// The example of the README.
fn example() -> Value {
    json!({
        "items": "body.runs",
        "key": "item.job",
        "status": "item.result",
        "severity": "item.class",
        "title": "item.job ~ ' ' ~ item.result",
        "description": "item.log | join('\n')",
        "labels": "item.tags",
        "service": "item.owner.team",
        "host": "item.node | split(':') | first",
        "environment": "body.site",
        "time": "item.at",
        "link": "'https://jobs.example.com/runs/' ~ item.run",
        "resolved": ["Succeeded"],
        "severities": {"gold": "critical", "Bronze": "low"},
        "quiet_after_secs": 7200
    })
}

fn runs() -> Value {
    json!({"site": "production", "runs": [
        {"job": "invoices", "run": 71, "result": "FAILED", "class": "Gold", "node": "w-3:22", "owner": {"team": "billing"},
         "tags": ["nightly", "db:orders"], "log": ["line 1", "line 2"], "at": 1_772_499_000},
        {"job": "reports", "run": 72, "result": "succeeded", "class": "bronze", "at": "2026-03-03T01:00:00Z"}
    ]})
}

#[test]
fn a_declaration_says_where_everything_stands() {
    let parsed = read(example(), &runs()).unwrap();
    let [failed, over] = parsed.signals.as_slice() else { panic!("{parsed:?}") };
    assert_eq!((failed.status, failed.severity), (SignalStatus::Firing, Severity::Critical));
    assert_eq!((failed.title.as_str(), failed.dedup_key.as_str()), ("invoices FAILED", "batch-jobs:invoices"));
    assert_eq!(failed.identity.rule, "What the declared `key` gives: `item.job`.");
    assert_eq!(failed.description.as_deref(), Some("line 1\nline 2"));
    assert_eq!((failed.service.as_deref(), failed.host.as_deref()), (Some("billing"), Some("w-3")));
    assert_eq!(failed.environment.as_deref(), Some("production"));
    assert_eq!(failed.started_at, Some(Time::from_secs(1_772_499_000)));
    assert_eq!(failed.url.as_deref(), Some("https://jobs.example.com/runs/71"));
    assert_eq!((failed.labels["nightly"].as_str(), failed.labels["db"].as_str()), ("true", "orders"));
    assert_eq!((failed.path.as_str(), failed.quiet_after_secs), ("/runs/0", Some(7200)));
    assert_eq!((over.status, over.severity), (SignalStatus::Resolved, Severity::Low));
    assert_eq!(over.ended_at, Some("2026-03-03T01:00:00Z".parse().unwrap()));
    assert_eq!(over.started_at, None);
    assert!(parsed.notes.is_empty(), "{:?}", parsed.notes);
}

#[test]
fn what_is_left_out_is_found_as_for_the_generic_connector() {
    let body = json!({"alerts": [{"alertname": "Disk full", "level": "high", "state": "ok", "server": "db-1"}]});
    let generic = crate::connectors::find("generic").unwrap().parse(&request(body.to_string().as_bytes())).unwrap();
    let mut own = read(json!({}), &body).unwrap();
    own.signals[0].dedup_key = own.signals[0].dedup_key.replacen("batch-jobs", "generic", 1);
    assert_eq!(own, generic);
    // One field alone may be declared.
    let parsed = read(json!({"title": "'Job: ' ~ item.alertname"}), &body).unwrap();
    assert_eq!(parsed.signals[0].title, "Job: Disk full");
    assert_eq!(parsed.signals[0].host.as_deref(), Some("db-1"));
}

#[test]
fn words_for_states() {
    let check = |resolved: Value, word: Value, want: SignalStatus| {
        let got = read(json!({"status": "item.s", "resolved": resolved}), &json!({"title": "x", "s": word})).unwrap();
        assert_eq!(got.signals[0].status, want, "{resolved} {word}");
    };
    check(json!([]), json!("ok"), SignalStatus::Resolved);
    check(json!([]), json!("whatever"), SignalStatus::Firing);
    check(json!([]), json!("ack"), SignalStatus::Acknowledged);
    check(json!(["Gone"]), json!(" gone "), SignalStatus::Resolved);
    // With words of its own, these alone say that it is over.
    check(json!(["gone"]), json!("ok"), SignalStatus::Firing);
    check(json!(["gone"]), json!("ack"), SignalStatus::Acknowledged);
    check(json!(["true", "0"]), json!(true), SignalStatus::Resolved);
    check(json!(["true", "0"]), json!(0), SignalStatus::Resolved);
}

#[test]
fn a_field_that_gives_nothing_falls_back_and_a_dry_run_says_so() {
    let body = json!({"alerts": [{"title": "a", "service": "api", "n": [1]}, {"title": "b", "svc": "web", "n": 2}]});
    let trial = tried(json!({"service": "item.svc", "key": "item.k", "host": "item.n", "link": "item.title"}), &body);
    let parsed = trial.parsed.unwrap();
    assert_eq!(parsed.signals[0].service.as_deref(), Some("api"));
    assert_eq!(parsed.signals[1].service.as_deref(), Some("web"));
    assert_eq!(
        trial.warnings,
        [
            "`key` (`item.k`) gives nothing for `/alerts/0`",
            "`service` (`item.svc`) gives nothing for 1 of 2 alerts, first for `/alerts/0`",
            "`host` (`item.n`) cannot be used for `/alerts/0`: it gives a list, and a text is needed: take one of it, such \
             as `| first`, or `| join(\", \")`",
            "`link` (`item.title`) cannot be used for `/alerts/0`: `a` cannot be used for it",
        ]
    );
    // A delivery says what keeps alerts from being the same ones again, and what fails; not what may be sent seldom.
    let warned: Vec<&str> =
        parsed.notes.iter().map(|n| if let Note::Warning(w) = n { w.as_str() } else { panic!("{n:?}") }).collect();
    assert_eq!(warned.len(), 3, "{warned:?}");
    assert!(warned.iter().any(|w| w.starts_with("The declared `key` gives nothing for 2 of 2")), "{warned:?}");
    let of = |n: usize, field: &str| trial.explained[n].findings.iter().find(|f| f.field == field).unwrap().clone();
    let service = of(0, "service");
    assert_eq!((service.value.as_deref(), service.from.as_deref()), (Some("api"), Some("/alerts/0/service")));
    assert!(
        service.why.starts_with("the declared `item.svc` gives nothing here; the first of `service`"),
        "{service:?}"
    );
    let service = of(1, "service");
    assert_eq!((service.value.as_deref(), service.from.as_deref()), (Some("web"), Some("/alerts/1/svc")));
    assert_eq!(service.why, "declared: `item.svc`");
    assert_eq!(of(0, "link").value, None);
}

#[test]
fn items_may_be_chosen_made_or_missing() {
    let body = json!({"a": {"b": [{"t": "x", "on": true}, {"t": "y", "on": false}]}, "one": {"t": "z"}, "none": []});
    let titles = |items: &str| -> Result<Vec<String>, Problem> {
        let parsed = read(json!({"items": items, "title": "item.t"}), &body)?;
        Ok(parsed.signals.into_iter().map(|s| format!("{}{}", s.path, s.title)).collect())
    };
    assert_eq!(titles("body.a.b").unwrap(), ["/a/b/0x", "/a/b/1y"]);
    assert_eq!(titles("body.a.b | selectattr('on')").unwrap(), ["/a/b/0x"]);
    assert_eq!(titles("body.one").unwrap(), ["/onez"]);
    assert_eq!(titles("[{'t': body.one.t ~ '!'}]").unwrap(), ["z!"]);
    assert_eq!(titles("body.none").unwrap(), Vec::<String>::new());
    for (items, want) in [
        (
            "body.alerts",
            "The declared `items` (`body.alerts`) finds nothing in this body. The body has `a`, `none`, `one`.",
        ),
        ("body.one.t", "gives a string, and a list of alerts is needed"),
        ("body.one.t / 2", "cannot be evaluated"),
    ] {
        let problem = titles(items).unwrap_err();
        assert_eq!(problem.code, "unrecognised");
        assert!(problem.detail.contains(want), "{}", problem.detail);
    }
    let problem =
        read(json!({"items": "body.a.b", "title": "item.nothing"}), &json!({"a": {"b": [{"q": 1}]}})).unwrap_err();
    assert_eq!(problem.path.as_deref(), Some("/a/b/0"));
    assert!(problem.detail.contains("`item.nothing`") && problem.detail.contains("`q`"), "{}", problem.detail);
    // Items that are no objects are alerts all the same when the title is declared.
    let parsed =
        read(json!({"items": "body.down", "title": "item ~ ' is down'"}), &json!({"down": ["web-1"]})).unwrap();
    assert_eq!(parsed.signals[0].title, "web-1 is down");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let declaration = json!({
        "title": "itm.name", "status": "item.s | lowr", "severity": "item.x |", "service": "{{ item.svc }}",
        "host": "item.h * 3", "link": "item.a is strnig",
        "resolved": ["x".repeat(200)], "quiet_after_secs": 5, "sample": "x".repeat(70_000)
    });
    let wrong = Declared::new("Grafana!", serde_json::from_value(declaration).unwrap(), false).unwrap_err();
    let fields: Vec<&str> = wrong.iter().map(|w| w.field).collect();
    assert_eq!(
        fields,
        ["slug", "status", "severity", "title", "service", "host", "link", "resolved", "quiet_after_secs", "sample"]
    );
    let of = |field: &str| wrong.iter().find(|w| w.field == field).unwrap().what.as_str();
    assert_eq!(
        of("title"),
        "`itm.name`, character 1: `itm` is no name here; write `item.itm` for a field of the alert or `body.itm` for one \
         of the whole body"
    );
    assert_eq!(of("status"), "`item.s | lowr`, character 10: there is no filter `lowr`; did you mean `lower`?");
    assert!(of("severity").starts_with("`item.x |`") && of("severity").contains("an expression looks like"));
    assert!(of("service").contains("write the expression alone"));
    assert!(of("host").contains("character 8: `*` is not part of this language"));
    assert!(of("link").contains("there is no test `strnig`; did you mean `string`?"));
    for slug in ["grafana", "new", "manual", "a", "9x", "x-", "ä", &"x".repeat(41)] {
        assert!(wrong_slug(slug).is_some(), "{slug}");
    }
    for slug in ["batch-jobs", "ab", "grafana-own"] {
        assert_eq!(wrong_slug(slug), None);
    }
}

/// Expressions that would take for ever, or all memory, on bodies that a stranger may send.
#[test]
fn hostile_bodies_and_bad_expressions_have_bounds() {
    let many: Vec<Value> = (0..5000).map(|n| json!({"id": n, "title": "x", "long": "y".repeat(50)})).collect();
    let many = json!({"alerts": many, "ids": (0..100_000).collect::<Vec<u32>>(), "text": "a".repeat(500_000)});
    for expression in [
        "item.id in body.ids and item.id - 1 in body.ids and 'a' in body.ids",
        "body.alerts | selectattr('id', 'eq', item.id) | map(attribute='title') | join",
        "body ~ body ~ body ~ body ~ body ~ body",
        "body.alerts | map('replace', 'x', body.text) | list | length",
        "body == body and body.alerts == body.alerts",
        "body.text | replace('a', body.text) | replace('a', body.text)",
        "body.alerts | map(attribute='long') | join(body.text)",
        "body.text | split('') | map('replace', 'a', body.text) | join",
    ] {
        for field in ["service", "labels"] {
            let declaration = json!({"items": "body.alerts", field: expression});
            let body = many.to_string();
            let read = declared(declaration).parse(&request(body.as_bytes()));
            assert_eq!(read.unwrap_err().code, "too_much_work", "{field}: {expression}");
        }
    }
    // One alert may cost more than one of ten thousand: what it asks for too much then is cut, or fails for itself.
    let one = json!({"title": "x", "text": "a".repeat(500_000)});
    let long = read(json!({"description": "item.text ~ item.text"}), &one).unwrap();
    assert_eq!(long.signals[0].description.as_ref().map(String::len), Some(16 << 10));
    let bomb = read(json!({"description": "item.text | replace('a', item.text)"}), &one).unwrap();
    assert!(
        matches!(bomb.notes.as_slice(), [Note::Warning(w)] if w.contains("longer than 16384 bytes")),
        "{:?}",
        bomb.notes
    );
    let deep = format!("{}1{}", "[".repeat(126), "]".repeat(126));
    assert!(declared(json!({"title": "body ~ ''", "labels": "body"})).parse(&request(deep.as_bytes())).is_ok());
    let nested = format!("{}item.a{}", "(".repeat(450), ")".repeat(450));
    assert!(Declared::new("ab", Declaration { title: Some(nested), ..Declaration::default() }, false).is_err());
    let long = format!("item.a{}", " ~ item.a".repeat(200));
    assert!(Declared::new("ab", Declaration { title: Some(long), ..Declaration::default() }, false).is_err());
}

#[test]
fn ten_thousand_ordinary_alerts_are_within_the_bounds() {
    let mut runs = runs();
    let one = runs["runs"][0].clone();
    runs["runs"] = Value::Array(vec![one; 10_000]);
    assert_eq!(read(example(), &runs).unwrap().signals.len(), 10_000);
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("item".to_owned()),
        Just("body".to_owned()),
        Just("none".to_owned()),
        Just("[]".to_owned()),
        Just("9223372036854775807".to_owned()),
        Just("'é\"x'".to_owned()),
        "[0-9]{1,3}",
        "item\\.[a-c](\\.[a-c]|\\[-?[0-9]\\])?",
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let filter = prop::sample::select(vec![
            "upper",
            "first",
            "last",
            "list",
            "length",
            "join",
            "split",
            "int",
            "float",
            "abs",
            "round",
            "min",
            "max",
            "string",
            "bool",
            "trim",
            "default('x')",
            "replace('a','b')",
            "map('upper')",
            "selectattr('a')",
            "map(attribute='a')",
        ]);
        let operator =
            prop::sample::select(vec!["+", "-", "/", "//", "%", "~", "==", "<", "and", "or", "in", "if item else"]);
        prop_oneof![
            (inner.clone(), filter).prop_map(|(e, f)| format!("({e} | {f})")),
            (inner.clone(), operator, inner.clone()).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}:]")),
            inner.prop_map(|e| format!("{{'a': {e}, 'b': [{e}]}}")),
        ]
    })
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]|title|id|alerts", inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_expression_and_no_body_panics(
        expressions in prop::collection::vec((prop::sample::select(DeclaredField::ALL.to_vec()), expression()), 0..5),
        body in json_value(),
    ) {
        let mut declaration = Declaration::default();
        for (field, expression) in &expressions {
            declaration.set(*field, expression);
        }
        if let Ok(declared) = Declared::new("batch-jobs", declaration, false) {
            let body = body.to_string();
            let parsed = declared.parse(&request(body.as_bytes()));
            let trial = declared.try_on(&request(body.as_bytes()));
            prop_assert_eq!(&parsed, &trial.parsed);
            for signal in parsed.iter().flat_map(|p| &p.signals) {
                prop_assert!(signal.dedup_key.starts_with("batch-jobs:"));
                prop_assert!(!signal.title.is_empty() && signal.title.chars().count() <= 501);
            }
        }
    }

    #[test]
    fn no_text_is_an_expression_that_panics(text in "\\PC{0,60}", mess in "[item.body|()\\[\\]{}'\"~ 0-9a-c]{0,80}") {
        for source in [text, mess] {
            for what in wrong_expression(&source) {
                prop_assert!(what.starts_with('`') && what.len() < 2000, "{}", what);
            }
        }
    }
}
