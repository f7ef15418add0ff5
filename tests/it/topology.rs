//! Services and who calls whom: by the API, from labels of alerts, and by the pages as somebody without scripts uses them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TOKEN, TestApp, answer};

async fn names(test: &TestApp, path: &str) -> Vec<String> {
    let all = test.get(path).await.json["services"].as_array().unwrap().clone();
    all.iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
}

/// Edges as `from>to`, learned ones with a `?`.
async fn edges(test: &TestApp) -> Vec<String> {
    let all = test.get("/api/topology").await.json["edges"].as_array().unwrap().clone();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    all.iter()
        .map(|e| format!("{}>{}{}", text(&e["from"]), text(&e["to"]), if e["learned"] == true { "?" } else { "" }))
        .collect()
}

fn places(refused: &Answer) -> Vec<&str> {
    assert_eq!((refused.status.as_u16(), &refused.json["code"]), (422, &json!("invalid")), "{}", refused.text);
    refused.json["errors"].as_array().unwrap().iter().map(|e| e["path"].as_str().unwrap()).collect()
}

fn calling(id: &str, service: &str, peer: &str) -> Value {
    json!({"id": id, "title": id, "service": service, "severity": "high", "labels": {"peer.service": peer}})
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_put_listed_renamed_and_removed() {
    let test = TestApp::start().await;
    let whole = json!({"name": "checkout-api", "aliases": ["checkout", "SERVICE-1"], "depends_on": ["payments", "ghost"],
        "hosts": ["web-1"], "owner": "shop", "tier": 1, "runbook_url": "https://wiki/checkout", "prometheus": "job=\"x\"",
        "netdata": "http://web-1:19999", "unknown": {}});
    let made = test.put("/api/services/checkout-api", &whole).await;
    assert_eq!((made.status.as_u16(), &made.json["tier"]), (201, &json!("1")), "{}", made.text);
    assert_eq!(test.put("/api/services/Checkout-API", &whole).await.status, 200);
    let made = test.put("/api/services", &json!({"services": [{"name": "payments"}, {"name": "a/b ü"}]})).await;
    assert_eq!((made.status.as_u16(), made.json["services"].as_array().unwrap().len()), (200, 2));
    assert_eq!(test.put("/api/services", &json!({"name": "ledger"})).await.json["name"], "ledger");
    assert_eq!(names(&test, "/api/services").await, ["a/b ü", "checkout-api", "ledger", "payments"]);
    // By any of its names, also one with a slash.
    assert_eq!(test.get("/api/services/checkout").await.json["owner"], "shop");
    assert_eq!(test.get("/api/services/a%2Fb%20%C3%BC").await.json["name"], "a/b ü");
    assert_eq!(test.get("/api/services/nothing").await.status, 404);
    // In pages, and by a part of a name, host or owner.
    let page = test.get("/api/services?limit=3").await.json;
    assert_eq!((&page["total"], &page["next_cursor"]), (&json!(4), &json!("ledger")));
    assert_eq!(names(&test, "/api/services?limit=3&cursor=ledger").await, ["payments"]);
    assert_eq!(names(&test, "/api/services?q=WEB-").await, ["checkout-api"]);
    // With another name it is renamed, and what depends on it follows.
    let renamed = test.put("/api/services/payments", &json!({"name": "pay", "owner": "money"})).await;
    assert_eq!((renamed.status.as_u16(), &renamed.json["owner"]), (200, &json!("money")));
    assert_eq!(test.get("/api/services/checkout-api").await.json["depends_on"], json!(["pay", "ghost"]));
    assert_eq!(test.put("/api/services/payments", &json!({"name": "x"})).await.status, 404);
    assert_eq!(test.delete("/api/services/ledger").await.status, 204);
    assert_eq!(test.delete("/api/services/ledger").await.status, 404);
    let audit = test.get("/api/audit").await.json["audit"].clone();
    let latest = (&audit[0]["action"], &audit[0]["subject"], &audit[1]["action"]);
    assert_eq!(latest, (&json!("service.remove"), &json!("ledger"), &json!("service.update")));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topology_is_replaced_and_refusals_name_the_path() {
    let mut test = TestApp::start().await;
    let loops = json!({"services": [
        {"name": "a", "depends_on": ["b"]}, {"name": "b", "depends_on": ["c"], "aliases": ["bee"]},
        {"name": "c", "depends_on": ["A", "nobody knows it"]}]});
    let put_it = test.put("/api/topology", &loops).await;
    assert_eq!(put_it.status, 200, "{}", put_it.text);
    assert_eq!(edges(&test).await, ["a>b", "b>c", "c>a", "c>nobody knows it"]);
    let all = test.get("/api/topology").await.json;
    assert_eq!(all["undeclared"], json!([{"name": "nobody knows it", "learned": false}]));
    for (services, want) in [
        (json!([{"name": "x"}, {"name": " X"}]), vec!["/services/1/name"]),
        (json!([{"name": "x"}, {"name": "y", "aliases": ["z", "X"]}]), vec!["/services/1/aliases/1"]),
        (json!([{"name": "x", "depends_on": ["y", "X"]}]), vec!["/services/0/depends_on/1"]),
        (json!([{"name": ""}, {}]), vec!["/services/0/name", "/services/1/name"]),
        (json!([{"name": "n".repeat(256)}]), vec!["/services/0/name"]),
        (json!([{"name": "x", "hosts": "h"}]), vec!["/services/0/hosts"]),
        (json!([7]), vec!["/services/0"]),
        (json!({}), vec!["/services"]),
    ] {
        assert_eq!(places(&test.put("/api/topology", &json!({"services": services})).await), want, "{services}");
    }
    assert_eq!(places(&test.put("/api/topology", &json!({"name": "x"})).await), ["/services"]);
    assert_eq!(places(&test.put("/api/services", &json!({"name": "x", "aliases": ["BEE"]})).await), ["/aliases/0"]);
    assert_eq!(names(&test, "/api/services").await, ["a", "b", "c"], "nothing was changed");
    // What is read can be put, and it is there after a restart.
    let again = test.put("/api/topology", &all).await;
    assert_eq!((again.status.as_u16(), &again.json), (200, &all));
    test.restart().await;
    assert_eq!(test.get("/api/topology").await.json, all);
    test.put("/api/topology", &json!({"services": []})).await;
    assert_eq!(edges(&test).await, Vec::<String>::new());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_are_learned_from_alerts_and_judged_by_people() {
    let test = TestApp::start().await;
    test.put("/api/services/web", &json!({"depends_on": ["api"]})).await;
    test.deliver("generic", &calling("1", "web", "api")).await;
    test.deliver("generic", &calling("2", "web", "cache")).await;
    test.deliver("generic", &calling("3", "Web", "Cache")).await;
    test.deliver("generic", &calling("4", "api", "db")).await;
    assert_eq!(edges(&test).await, ["web>api", "web>cache?", "api>db?"]);
    let all = test.get("/api/topology").await.json;
    let learned = &all["edges"][1];
    assert_eq!((&learned["count"], &learned["platform"]), (&json!(2), &json!("generic")));
    assert!(learned["first_at"].is_string() && learned["last_at"].is_string() && all["edges"][0]["count"].is_null());
    let undeclared: Vec<&str> =
        all["undeclared"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(undeclared, ["api", "cache", "db"]);

    let judge = async |from: &str, to: &str, verdict: &str| {
        test.post("/api/topology/edges", &json!({"from": from, "to": to, "verdict": verdict})).await
    };
    let dismissed = judge("web", "cache", "dismiss").await;
    assert_eq!(dismissed.json["dismissed"][0]["to"], "cache", "{}", dismissed.text);
    test.deliver("generic", &calling("5", "web", "cache")).await;
    assert_eq!(edges(&test).await, ["web>api", "api>db?"]);
    assert_eq!(judge("api", "db", "adopt").await.status, 200);
    assert_eq!(edges(&test).await, ["api>db", "web>api"]);
    assert_eq!(test.get("/api/services/api").await.json["depends_on"], json!(["db"]));
    assert_eq!(judge("web", "cache", "restore").await.status, 200);
    assert_eq!(edges(&test).await, ["api>db", "web>api", "web>cache?"]);
    assert_eq!(judge("no", "such", "adopt").await.status, 404);
    assert_eq!(judge("web", "cache", "maybe").await.status, 422);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_topology_are_told_live() {
    let test = TestApp::start().await;
    let mut stream = test.request(Method::GET, "/api/incidents/stream").bearer_auth(TOKEN).send().await.unwrap();
    test.put("/api/services/web", &json!({})).await;
    let mut seen = String::new();
    while !seen.contains("{\"type\":\"topology\"}") {
        seen.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()));
    }
    test.stop().await;
}

async fn form(test: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body = reqwest::Url::parse_with_params("http://x/", fields).unwrap().query().unwrap_or_default().to_owned();
    let request = test.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    answer(request.bearer_auth(TOKEN).body(body)).await
}

fn has(page: &Answer, parts: &[&str]) {
    for part in parts {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
}

fn went(answer: &Answer, to: &str) {
    assert_eq!((answer.status.as_u16(), answer.headers["location"].to_str().unwrap()), (303, to), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_declared_changed_and_removed_without_scripts() {
    let test = TestApp::start().await;
    has(&test.get("/topology").await, &["No service is declared yet", "/api/topology", "destination_workload"]);
    let fields = [
        ("was", ""),
        ("name", " checkout-api "),
        ("aliases", "checkout\r\nSERVICE-1\r\n"),
        ("depends_on", "payments\r\nledger"),
        ("hosts", "web-1"),
        ("owner", "shop"),
        ("tier", "1"),
        ("do", "save"),
    ];
    went(&form(&test, "/topology/service", &fields).await, "/topology?service=checkout-api");
    let kept = test.get("/api/services/checkout-api").await.json;
    assert_eq!((&kept["aliases"], &kept["tier"]), (&json!(["checkout", "SERVICE-1"]), &json!("1")));
    // A new one does not take the place of another, and what was typed stays.
    let again = form(&test, "/topology/service", &[("was", ""), ("name", "Checkout-API"), ("owner", "me")]).await;
    assert_eq!(again.status, 422);
    has(&again, &["there is a service <code", "value=\"Checkout-API\"", "value=\"me\"", "Add it"]);
    let wrong = [("was", "checkout-api"), ("name", "checkout-api"), ("depends_on", "x\ncheckout-api")];
    let wrong = form(&test, "/topology/service", &wrong).await;
    assert_eq!(wrong.status, 422);
    has(&wrong, &["cannot depend on itself", "x\ncheckout-api</textarea>", "aria-invalid"]);
    let page = test.get("/topology").await;
    has(
        &page,
        &[
            "1\u{a0}service declared, 2 known",
            "2 dependencies",
            "node ghost",
            "not declared",
            "href=\"/topology?service=ledger\"",
        ],
    );
    has(&test.get("/topology?service=CHECKOUT").await, &["id=\"service\"", "Needed by", "node here"]);
    has(&test.get("/topology?service=ledger").await, &["a service depends on this name", "Declare it"]);
    has(&test.get("/topology?service=no-such").await, &["No service “no-such” is known."]);
    has(&test.get("/topology?q=web-1").await, &["1 of 3\u{a0}services"]);
    has(&test.get("/topology?q=zzz").await, &["No service matches “zzz”"]);

    let renamed = [("was", "checkout-api"), ("name", "shop api"), ("depends_on", "payments")];
    went(&form(&test, "/topology/service", &renamed).await, "/topology?service=shop+api");
    let gone = form(&test, "/topology/service", &[("was", "checkout-api"), ("name", "x")]).await;
    assert_eq!(gone.status, 422);
    has(&gone, &["somebody removed or renamed it meanwhile"]);
    went(&form(&test, "/topology/service", &[("was", "shop api"), ("do", "remove")]).await, "/topology");
    assert_eq!(test.get("/api/services").await.json["total"], 0);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_incidents_and_learned_edges_stand_on_the_page() {
    let test = TestApp::start().await;
    test.deliver("generic", &calling("1", "web", "cache")).await;
    test.deliver("generic", &calling("2", "web", "db")).await;
    let page = test.get("/topology").await;
    has(
        &page,
        &[
            "from alerts",
            "Told by",
            "edge learned",
            "1\u{a0}open incident, the worst high",
            "<span class=\"only-s\"> alerts in 24 h",
        ],
    );
    // What alerts told is where a declaration begins.
    has(&test.get("/topology/service?name=web").await, &["cache\ndb</textarea>"]);
    let judge = async |to: &str, verdict: &str| {
        let fields = [("from", "web"), ("to", to), ("do", verdict), ("back", "/topology?q=w")];
        form(&test, "/topology/edges", &fields).await
    };
    went(&judge("cache", "dismiss").await, "/topology?q=w#learned");
    has(&test.get("/topology").await, &["Dismissed: 1", "value=\"restore\""]);
    went(&judge("cache", "restore").await, "/topology?q=w#learned");
    went(&judge("db", "adopt").await, "/topology?q=w#learned");
    assert_eq!(edges(&test).await, ["web>db", "web>cache?"]);
    assert_eq!(judge("db", "adopt").await.status, 404);
    let away = form(
        &test,
        "/topology/edges",
        &[("from", "web"), ("to", "cache"), ("do", "dismiss"), ("back", "https://evil.example")],
    )
    .await;
    went(&away, "/topology#learned");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topology_is_taken_in_and_given_out_as_json() {
    let test = TestApp::start().await;
    test.put("/api/services/old", &json!({"owner": "me"})).await;
    let json = r#"{"services": [{"name": "a", "depends_on": ["b"]}, {"name": "b"}]}"#;
    went(&form(&test, "/topology/import", &[("json", json), ("how", "add")]).await, "/topology");
    assert_eq!(names(&test, "/api/services").await, ["a", "b", "old"]);
    let given = test.get("/topology/export").await;
    assert!(given.headers["content-disposition"].to_str().unwrap().contains("watchfire-topology.json"));
    went(&form(&test, "/topology/import", &[("json", json), ("how", "replace")]).await, "/topology");
    assert_eq!(names(&test, "/api/services").await, ["a", "b"]);
    went(&form(&test, "/topology/import", &[("json", &given.text), ("how", "replace")]).await, "/topology");
    assert_eq!(test.get("/topology/export").await.json, given.json);
    for (json, want) in [
        ("{", "Nothing was imported."),
        (r#"[{"name": "a"}, {"name": "A"}]"#, "/services/1/name"),
        (r#"[{"name": "a", "hosts": 7}]"#, "/services/0/hosts"),
        ("<script>alert(1)</script>", "not JSON"),
    ] {
        let refused = form(&test, "/topology/import", &[("json", json), ("how", "replace")]).await;
        assert_eq!(refused.status, 422, "{json}");
        has(&refused, &[want, "value=\"replace\" checked"]);
        assert!(!refused.text.contains("<script>alert"));
    }
    assert_eq!(names(&test, "/api/services").await, ["a", "b", "old"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_service_can_be_asked_is_an_address_and_a_selector() {
    let test = TestApp::start().await;
    let put =
        async |path: &str, body: Value| answer(test.request(Method::PUT, path).bearer_auth(TOKEN).json(&body)).await;
    for (field, value, says) in [
        ("netdata", "web-1:19999", "the address does not begin with http:// or https://"),
        ("netdata", "http://kim:pw@web-1", "has a user or a password"),
        ("netdata", "http://169.254.169.254/", "169.254.169.254"),
        ("prometheus", "checkout", "write matchers such as job="),
        ("prometheus", "up{}", "about everything"),
    ] {
        for (path, body, at) in [
            ("/api/services", json!({"name": "a", field: value}), format!("/{field}")),
            (
                "/api/services",
                json!({"services": [{"name": "b"}, {"name": "a", field: value}]}),
                format!("/services/1/{field}"),
            ),
            ("/api/topology", json!({"services": [{"name": "a", field: value}]}), format!("/services/0/{field}")),
        ] {
            let refused = put(path, body).await;
            assert_eq!(
                (refused.status.as_u16(), &refused.json["errors"][0]["path"]),
                (422, &json!(at)),
                "{}",
                refused.text
            );
            assert!(refused.text.contains(says), "{says}: {}", refused.text);
        }
    }
    let good = json!({"name": "a", "netdata": "https://web-1:19999/x", "prometheus": "{job=~\"a|b\"}"});
    assert_eq!(put("/api/services", good).await.status, 200);
    let form = test.request(Method::POST, "/topology/service?name=a").bearer_auth(TOKEN);
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("was=a&name=a&netdata=ftp://x");
    let page = answer(form).await;
    assert!(page.status == 422 && page.text.contains("does not begin with http"), "{} {}", page.status, page.text);
    test.stop().await;
}
