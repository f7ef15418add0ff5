//! Sources that people declare: by the configuration, by the API, by the pages; tried, changed, replayed and removed.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use watchfire::{
    app,
    config::{self, Sources},
    model::{Actor, ConnectorSettings, Declaration, DeclaredField, Scope},
    runtime::clock::Clock,
};

use crate::support::{Answer, TOKEN, TestApp, answer, start_of_time};

fn declaration() -> Value {
    json!({
        "items": "body.runs",
        "key": "item.job",
        "status": "item.result",
        "severity": "item.class",
        "title": "item.job ~ ' ' ~ item.result",
        "service": "item.owner.team",
        "link": "'https://jobs.example.com/runs/' ~ item.run",
        "resolved": ["succeeded"],
        "severities": {"gold": "critical"}
    })
}

fn run(result: &str) -> Value {
    json!({"runs": [{"job": "invoices", "run": 71, "result": result, "class": "Gold", "owner": {"team": "billing"}}]})
}

async fn put(test: &TestApp, path: &str, body: &Value) -> Answer {
    answer(test.request(Method::PUT, path).bearer_auth(TOKEN).json(body)).await
}

async fn declare(test: &TestApp, slug: &str, declaration: &Value) -> Answer {
    test.post("/api/connectors", &json!({"slug": slug, "declaration": declaration})).await
}

/// The places that a refusal names.
fn places(refused: &Answer) -> Vec<&str> {
    refused.json["errors"].as_array().unwrap().iter().map(|e| e["path"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_declared_by_the_api_is_a_connector_like_any_other() {
    let mut test = TestApp::start().await;
    let unknown = test.knock_at("/api/webhooks/batch-jobs?key=x").await;
    assert_eq!(unknown.json["code"], "unknown_platform");
    let made = declare(&test, "batch-jobs", &declaration()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.headers["location"], "/api/connectors/batch-jobs");
    let object = &made.json;
    assert_eq!((&object["platform"], &object["name"]), (&json!("batch-jobs"), &json!("batch-jobs")));
    assert_eq!((&object["state"], &object["declaration"]), (&json!("waiting"), &declaration()));
    assert!(object["webhook_url"].as_str().unwrap().ends_with("/api/webhooks/batch-jobs"));

    // Only with its own key.
    let turned_away = test.knock_at("/api/webhooks/batch-jobs?key=wrong").await;
    assert_eq!(turned_away.status, 401, "{}", turned_away.text);
    let failed = test.deliver("batch-jobs", &run("failed")).await;
    assert_eq!(failed.status, 202, "{}", failed.text);
    assert_eq!(failed.json["alerts"][0]["incident_id"], "INC-1");
    let incident = test.get("/api/incidents/1").await.json;
    assert_eq!((&incident["title"], &incident["severity"]), (&json!("invoices failed"), &json!("critical")));
    assert_eq!((&incident["source"], &incident["service"]), (&json!("batch-jobs"), &json!("billing")));
    assert_eq!(incident["source_url"], "https://jobs.example.com/runs/71");
    let over = test.deliver("batch-jobs", &run("Succeeded")).await;
    assert_eq!(over.json["alerts"][0]["fingerprint"], failed.json["alerts"][0]["fingerprint"]);
    assert_eq!(test.get("/api/incidents/1").await.json["status"], "resolved");

    // Everywhere that connectors are.
    let status = test.get("/api/batch-jobs/status").await.json;
    assert_eq!((&status["connected"], &status["received_24h"]), (&json!(true), &json!(2)));
    assert_eq!(status["base_url"], "https://jobs.example.com");
    let list = test.get("/api/connectors").await.json;
    assert_eq!(list["connectors"].as_array().unwrap().last().unwrap()["platform"], "batch-jobs");
    assert_eq!(list["total"], watchfire::app::platforms().len() + 1);
    assert_eq!(test.get("/api/deliveries?platform=batch-jobs").await.json["total"], 2);
    let metrics = test.get("/metrics").await.text;
    assert!(metrics.contains(r#"platform="batch-jobs",outcome="accepted""#), "{metrics}");
    let patched = test.patch("/api/connectors/batch-jobs", &json!({"severity_map": {"gold": "low"}})).await;
    assert_eq!(patched.json["severity_map"], json!({"gold": "low"}), "{}", patched.text);
    let tested = test.post("/api/connectors/batch-jobs/test", &Value::Null).await;
    // No sample was given, and the generic one has no `runs`.
    assert_eq!((tested.status.as_u16(), tested.json["status"].as_u64()), (200, Some(422)), "{}", tested.text);
    let mut with_sample = declaration();
    with_sample["sample"] = json!(run("failed").to_string());
    assert_eq!(put(&test, "/api/connectors/batch-jobs/declaration", &with_sample).await.status, 200);
    let tested = test.post("/api/connectors/batch-jobs/test", &Value::Null).await;
    assert_eq!(tested.json["status"], 202, "{}", tested.text);
    assert_eq!(test.post("/api/connectors/batch-jobs/rotate-key", &Value::Null).await.status, 200);
    let audit = test.get("/api/audit").await.text;
    assert!(audit.contains("connector.declare") && audit.contains("item.owner.team"), "{audit}");

    // And over a restart.
    test.restart().await;
    let again = test.deliver("batch-jobs", &run("failed")).await;
    assert_eq!(again.status, 202, "{}", again.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_work_is_refused_with_every_reason_and_nothing_is_stored() {
    let test = TestApp::start().await;
    let wrong = json!({"title": "itm.name", "status": "item.s | lowr", "quiet_after_secs": 1, "resolved": ["ok"]});
    let refused = declare(&test, "Bad Slug", &wrong).await;
    assert_eq!((refused.status.as_u16(), refused.json["code"].as_str()), (422, Some("invalid")), "{}", refused.text);
    assert_eq!(places(&refused), ["/slug", "/status", "/title", "/quiet_after_secs"]);
    assert!(refused.json["errors"][1]["message"].as_str().unwrap().contains("did you mean `lower`?"));
    let refused = declare(&test, "ab", &json!({"titel": "item.a", "x": 1})).await;
    assert_eq!((refused.status.as_u16(), places(&refused)), (422, vec!["/titel", "/x"]), "{}", refused.text);
    let refused = declare(&test, "ab", &json!({"severities": {"red": "purple"}})).await;
    assert_eq!((refused.status.as_u16(), places(&refused)), (422, vec!["/severities.red"]), "{}", refused.text);
    for slug in ["grafana", "manual", "new"] {
        assert_eq!(places(&declare(&test, slug, &json!({})).await), ["/slug"]);
    }
    assert_eq!(declare(&test, "ab", &json!({})).await.status, 201);
    assert_eq!(declare(&test, "ab", &json!({})).await.status, 409);
    for (method, path) in
        [(Method::PUT, "/api/connectors/grafana/declaration"), (Method::DELETE, "/api/connectors/grafana")]
    {
        let refused = answer(test.request(method, path).bearer_auth(TOKEN).json(&json!({}))).await;
        assert_eq!((refused.status.as_u16(), refused.json["code"].as_str()), (409, Some("conflict")), "{path}");
        assert!(refused.json["detail"].as_str().unwrap().contains("built in"), "{}", refused.text);
    }
    assert_eq!(put(&test, "/api/connectors/nobody/declaration", &json!({})).await.status, 404);
    let list = test.get("/api/connectors").await.json;
    assert_eq!(list["total"], watchfire::app::platforms().len() + 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_tried_on_a_stored_delivery_before_it_is_saved() {
    let test = TestApp::start().await;
    // Sent to the generic connector, which finds nothing in it.
    let sent = test.deliver("generic", &run("failed")).await;
    assert_eq!(sent.status, 422, "{}", sent.text);
    let delivery = sent.json["delivery_id"].clone();
    let attempt = async |body: &Value| test.post("/api/connectors/batch-jobs/try", body).await;
    let mut half = declaration();
    half["host"] = json!("item.machine");
    let tried = attempt(&json!({"declaration": half, "delivery_id": delivery})).await;
    assert_eq!(tried.status, 200, "{}", tried.text);
    assert_eq!((&tried.json["understood"], &tried.json["total"]), (&json!(true), &json!(1)));
    let alert = &tried.json["alerts"][0];
    assert_eq!((&alert["title"], &alert["severity"]), (&json!("invoices failed"), &json!("critical")));
    assert_eq!((&alert["dedup_key"], &alert["path"]), (&json!("batch-jobs:invoices"), &json!("/runs/0")));
    assert_eq!(tried.json["warnings"], json!(["`host` (`item.machine`) gives nothing for `/runs/0`"]));
    let fields = tried.json["explained"][0]["fields"].as_array().unwrap();
    let service = fields.iter().find(|f| f["field"] == "service").unwrap();
    assert_eq!(
        (&service["from"], &service["why"]),
        (&json!("/runs/0/owner/team"), &json!("declared: `item.owner.team`"))
    );

    let pasted = attempt(&json!({"declaration": declaration(), "body": run("succeeded")})).await;
    assert_eq!(pasted.json["alerts"][0]["status"], "resolved", "{}", pasted.text);
    let text = attempt(&json!({"declaration": declaration(), "body": "{\"runs\": 3}"})).await;
    assert_eq!((text.status.as_u16(), &text.json["understood"]), (200, &json!(false)), "{}", text.text);
    assert!(text.json["problem"]["detail"].as_str().unwrap().contains("a list of alerts is needed"), "{}", text.text);
    assert_eq!(places(&attempt(&json!({"declaration": {"key": "item |"}, "body": {}})).await), ["/key"]);
    assert_eq!(places(&attempt(&json!({"declaration": {}})).await), ["/body"]);
    // Without a declaration the one in use is tried, and there is none.
    assert_eq!(attempt(&json!({"body": {}})).await.status, 404);
    let gone = attempt(&json!({"declaration": {}, "delivery_id": delivery.as_str().unwrap().replace('1', "2")})).await;
    assert!(gone.status.is_client_error(), "{}", gone.text);
    // Nothing came of any of it.
    test.until("/api/deliveries", |d| d["total"] != 0).await;
    assert_eq!(test.get("/api/deliveries").await.json["total"], 1);
    assert_eq!(test.get("/api/incidents").await.json["total"], 0);
    assert_eq!(test.get("/api/connectors/batch-jobs").await.status, 404);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_understood_is_parsed_again_by_the_changed_declaration() {
    let test = TestApp::start().await;
    declare(&test, "batch-jobs", &json!({"items": "body.jobs"})).await;
    let sent = test.deliver("batch-jobs", &run("failed")).await;
    assert_eq!((sent.status.as_u16(), &sent.json["reason"]), (422, &json!("unrecognised")), "{}", sent.text);
    assert!(sent.json["detail"].as_str().unwrap().contains("`body.jobs`"), "{}", sent.text);
    test.until("/api/connectors/batch-jobs", |c| c["state"] == "not_understood").await;
    let changed = put(&test, "/api/connectors/batch-jobs/declaration", &declaration()).await;
    assert_eq!((changed.status.as_u16(), &changed.json["declaration"]), (200, &declaration()), "{}", changed.text);
    let id = sent.json["delivery_id"].as_str().unwrap();
    let path = format!("/api/deliveries/{id}/replay");
    let replayed = answer(test.request(Method::POST, &path).bearer_auth(TOKEN).header("prefer", "wait=10")).await;
    assert_eq!(replayed.json["alerts"][0]["incident_id"], "INC-1", "{}", replayed.text);
    assert_eq!(test.get("/api/incidents/1").await.json["title"], "invoices failed");
    assert_eq!(test.get("/api/deliveries?platform=batch-jobs").await.json["total"], 2);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_removed_leaves_what_it_delivered() {
    let test = TestApp::start().await;
    declare(&test, "batch-jobs", &declaration()).await;
    let key = test.key("batch-jobs").await;
    let sent = test.deliver("batch-jobs", &run("failed")).await;
    assert_eq!(test.delete("/api/connectors/batch-jobs").await.status, 204);
    assert_eq!(test.delete("/api/connectors/batch-jobs").await.status, 404);
    assert_eq!(test.knock_at(&format!("/api/webhooks/batch-jobs?key={key}")).await.status, 404);
    assert_eq!(test.get("/api/connectors/batch-jobs").await.status, 404);
    let id = sent.json["delivery_id"].as_str().unwrap();
    assert_eq!(test.get(&format!("/api/deliveries/{id}")).await.status, 200);
    assert_eq!(test.post(&format!("/api/deliveries/{id}/replay"), &Value::Null).await.status, 409);
    assert_eq!(test.get("/api/incidents/1").await.json["source"], "batch-jobs");
    for page in [format!("/deliveries/{id}"), "/incidents/1".to_owned(), "/connectors".to_owned()] {
        assert_eq!(test.get(&page).await.status, 200, "{page}");
    }
    // One that is made anew under the name has a key and figures of its own.
    let again = declare(&test, "batch-jobs", &declaration()).await;
    assert_eq!((again.status.as_u16(), &again.json["received_24h"]), (201, &json!(0)), "{}", again.text);
    assert_ne!(test.key("batch-jobs").await, key);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_declaration_that_does_not_work_any_more_says_so_and_is_mended_or_removed() {
    let mut test = TestApp::start().await;
    for slug in ["batch-jobs", "night-jobs"] {
        assert_eq!(declare(&test, slug, &declaration()).await.status, 201);
        // As a version stored it that knew a filter more.
        let older = |s: &mut ConnectorSettings| {
            s.declaration.as_mut().unwrap().set(DeclaredField::Title, "item.job | shout");
        };
        test.app().store().update_connector(slug.to_owned(), older, Value::Null, Actor::System).await.unwrap();
    }
    test.restart().await;
    let object = test.get("/api/connectors/batch-jobs").await.json;
    assert_eq!(
        (&object["state"], &object["declaration"]["title"]),
        (&json!("not_understood"), &json!("item.job | shout"))
    );
    assert_eq!(object["declaration_errors"][0]["path"], "/title", "{object}");
    assert!(object["declaration_errors"][0]["message"].as_str().unwrap().contains("shout"), "{object}");
    let list = test.get("/api/connectors").await.json;
    assert_eq!(
        list["connectors"].as_array().unwrap().iter().filter(|c| c["declaration_errors"][0].is_object()).count(),
        2
    );
    let again = declare(&test, "batch-jobs", &declaration()).await;
    assert_eq!(again.status, 409, "{}", again.text);
    // What comes is kept, and told why.
    let sent = test.deliver("batch-jobs", &run("failed")).await;
    assert_eq!((sent.status.as_u16(), &sent.json["code"]), (422, &json!("not_understood")), "{}", sent.text);
    assert!(sent.text.contains("does not work in this version") && sent.text.contains("shout"), "{}", sent.text);
    let tried = test.post("/api/connectors/batch-jobs/try", &json!({"body": run("failed")})).await;
    assert_eq!((tried.status.as_u16(), places(&tried)), (422, vec!["/title"]), "{}", tried.text);
    let page = test.get("/connectors").await.text;
    for part in ["batch-jobs is not understood.", "night-jobs is not understood.", "Declaration does not work"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for path in ["/connectors/batch-jobs", "/connectors/batch-jobs/declaration"] {
        let page = test.get(path).await;
        assert!(page.status == 200 && page.text.contains("shout"), "{}", page.text);
    }
    let form = test.get("/connectors/batch-jobs/declaration").await.text;
    for part in ["does not work any more", "aria-invalid", "value=\"item.job | shout\"", "Remove this source"] {
        assert!(form.contains(part), "{part}: {form}");
    }
    // Mended by the API, and what waited is read.
    let mended = put(&test, "/api/connectors/batch-jobs/declaration", &declaration()).await;
    assert_eq!((mended.status.as_u16(), &mended.json["declaration_errors"]), (200, &json!([])), "{}", mended.text);
    let path = format!("/api/deliveries/{}/replay", sent.json["delivery_id"].as_str().unwrap());
    let replayed = answer(test.request(Method::POST, &path).bearer_auth(TOKEN).header("prefer", "wait=10")).await;
    assert_eq!(replayed.json["alerts"][0]["incident_id"], "INC-1", "{}", replayed.text);
    // Removed by the page.
    let path = "/connectors/night-jobs/declaration";
    assert_eq!(post_form(&test, path, &[("do", "remove")]).await.status, 303);
    assert_eq!(test.get("/api/connectors/night-jobs").await.status, 404);
    test.restart().await;
    assert_eq!(test.get("/api/connectors/night-jobs").await.status, 404);
    assert_eq!(test.get("/api/connectors/batch-jobs").await.json["declaration_errors"], json!([]));
    test.stop().await;
}

fn of_file(text: &str) -> Result<BTreeMap<String, Declaration>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("watchfire.toml");
    std::fs::write(&path, text).unwrap();
    let env = vec![("HOME".to_owned(), "/home/kim".to_owned())];
    let sources = Sources { file: Some(path), flags: Vec::new(), env };
    config::load(&sources, &app::platforms()).map(|c| c.sources).map_err(|p| p.to_string())
}

const FILE: &str = r#"
[sources.batch-jobs]
items = "body.runs"
key = "item.job"
status = "item.result"
severity = "item.class"
title = "item.job ~ ' ' ~ item.result"
service = "item.owner.team"
resolved = ["succeeded"]
severities = ["gold=critical", "bronze=low"]
quiet_after = "2h"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_the_configuration_works_and_is_changed_only_there() {
    let sources = of_file(FILE).unwrap();
    let mut test =
        TestApp::start_with(watchfire::runtime::clock::Clock::manual(start_of_time()), |c| c.sources = sources).await;
    let sent = test.deliver("batch-jobs", &run("failed")).await;
    assert_eq!(sent.json["alerts"][0]["incident_id"], "INC-1", "{}", sent.text);
    let object = test.get("/api/connectors/batch-jobs").await.json;
    assert_eq!((&object["fixed"], &object["declaration"]["quiet_after_secs"]), (&json!(["declaration"]), &json!(7200)));
    for (method, path) in
        [(Method::PUT, "/api/connectors/batch-jobs/declaration"), (Method::DELETE, "/api/connectors/batch-jobs")]
    {
        let refused = answer(test.request(method, path).bearer_auth(TOKEN).json(&json!({}))).await;
        assert_eq!((refused.status.as_u16(), refused.json["code"].as_str()), (409, Some("fixed_by_configuration")));
    }
    assert_eq!(declare(&test, "batch-jobs", &json!({})).await.status, 409);
    let page = test.get("/connectors/batch-jobs/declaration").await.text;
    assert!(page.contains("[sources.batch-jobs]") && !page.contains("value=\"save\""), "{page}");
    // It says nothing more for two hours, and so it is over.
    test.clock.advance(std::time::Duration::from_secs(7201));
    test.until("/api/incidents/1", |i| i["status"] == "resolved").await;
    let key = test.key("batch-jobs").await;
    test.config.sources.clear();
    test.restart().await;
    assert_eq!(test.get("/api/connectors/batch-jobs").await.status, 404);
    assert_eq!(test.knock_at(&format!("/api/webhooks/batch-jobs?key={key}")).await.status, 404);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_fixes_settings_of_a_source_that_is_declared_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("watchfire.toml");
    let read = |text: &str, env: &[(&str, &str)]| {
        std::fs::write(&path, text).unwrap();
        let env = env.iter().chain(&[("HOME", "/home/kim")]).map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let sources = Sources { file: Some(path.clone()), flags: Vec::new(), env: env.collect() };
        config::load(&sources, &app::platforms()).map(|c| c.connectors).map_err(|p| p.to_string())
    };
    let set = "[connectors.batch-jobs]\nrate_per_minute = 7\nopens = [\"critical\"]\n";
    let connectors = read(set, &[("WATCHFIRE_CONNECTORS_BATCH_JOBS_RATE_PER_MINUTE", "9")]).unwrap();
    assert_eq!(connectors["batch-jobs"].rate_per_minute, Some(9), "what the file names, the environment may set");
    for (wrong, why) in [
        ("[connectors.granfana]\nrate_per_minute = 7\n", "did you mean `grafana`?"),
        ("[connectors.Batch]\nrate_per_minute = 7\n", "unknown key"),
        ("[connectors.batch-jobs]\nrate_per_minut = 7\n", "did you mean `rate_per_minute`?"),
        ("[connectors]\nbatch-jobs = 7\n", "is a section"),
    ] {
        let said = read(wrong, &[]).unwrap_err();
        assert!(said.contains(why), "{wrong}: {said}");
    }
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| c.connectors = read(set, &[]).unwrap()).await;
    assert_eq!(test.get("/api/connectors/batch-jobs").await.status, 404, "it declares nothing");
    let made = declare(&test, "batch-jobs", &declaration()).await;
    assert_eq!((made.status.as_u16(), &made.json["rate_per_minute"]), (201, &json!(7)), "{}", made.text);
    assert_eq!(made.json["fixed"], json!(["rate_per_minute", "opens"]));
    let refused = test.patch("/api/connectors/batch-jobs", &json!({"rate_per_minute": 8})).await;
    assert_eq!((refused.status.as_u16(), refused.json["code"].as_str()), (409, Some("fixed_by_configuration")));
    let mut quiet = run("failed");
    quiet["runs"][0]["class"] = json!("low");
    assert_eq!(test.deliver("batch-jobs", &quiet).await.json["alerts"][0]["incident_id"], Value::Null);
    assert_eq!(test.deliver("batch-jobs", &run("failed")).await.json["alerts"][0]["incident_id"], "INC-1");
    assert_eq!(put(&test, "/api/connectors/batch-jobs/declaration", &declaration()).await.status, 200);
    test.stop().await;
}

#[test]
fn a_file_is_told_of_every_mistake_with_its_place() {
    let said = of_file(
        "[sources.Batch]\nitems = \"body.a\"\n[sources.jobs]\ntitle = \"itm.name\"\nstatsu = \"item.s\"\nseverities = \
         [\"red\"]\n[sources.grafana]\n[connectors.jobs]\nrate_per_minute = 0\n",
    )
    .unwrap_err();
    let lines: Vec<&str> = said.lines().skip(1).map(|l| l.split_once("watchfire.toml:").unwrap().1).collect();
    assert_eq!(lines.len(), 5, "{said}");
    assert!(lines[0].starts_with("1:10: sources.Batch: 2 to 40 characters"), "{said}");
    assert!(lines[1].starts_with("4:9: sources.jobs.title: `itm.name`, character 1: `itm` is no name here"), "{said}");
    assert!(lines[2].starts_with("5:1: sources.jobs.statsu: unknown key; did you mean `status`?"), "{said}");
    assert!(lines[3].starts_with("6:14: sources.jobs.severities: `red` is no pair"), "{said}");
    assert!(lines[4].starts_with("7:10: sources.grafana: `grafana` is a platform that is built in"), "{said}");
}

async fn post_form(test: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body = reqwest::Url::parse_with_params("http://x/", fields).unwrap().query().unwrap().to_owned();
    let request = test.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    answer(request.bearer_auth(TOKEN).body(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tries_makes_changes_and_removes_without_scripts() {
    let test = TestApp::start().await;
    let sent = test.deliver("generic", &json!({"title": "Disk full", "level": "hihg", "labels": {"app": "db"}})).await;
    let id = sent.json["delivery_id"].as_str().unwrap().to_owned();
    let delivery = test.get(&format!("/deliveries/{id}")).await.text;
    for part in [
        "Which field was taken from where",
        "/level",
        "is no word that is known",
        "Declare a source from it",
        "/labels/app",
    ] {
        assert!(delivery.contains(part), "{part}: {delivery}");
    }
    let form = test.get(&format!("/connectors/new?delivery={id}")).await;
    assert!(form.status == 200 && form.text.contains(&format!("value=\"{id}\" selected")), "{}", form.text);
    let fields = |action: &'static str, title: &'static str| {
        [
            ("slug", "my-disks"),
            ("title", title),
            ("severity", "item.level"),
            ("severities", "hihg=high"),
            ("do", action),
        ]
    };
    let with_specimen = |title| {
        let mut all = fields("try", title).to_vec();
        all.push(("on", &id));
        all
    };
    let tried = post_form(&test, "/connectors/new", &with_specimen("item.title ~ '!'")).await;
    assert_eq!(tried.status, 200, "{}", tried.text);
    for part in [
        "nothing was stored",
        "Disk full!",
        "my-disks:",
        "declared: <code dir=\"auto\">item.level</code>",
        "value=\"hihg=high\"",
    ] {
        assert!(tried.text.contains(part), "{part}: {}", tried.text);
    }
    assert_eq!(test.get("/api/connectors/my-disks").await.status, 404);
    let refused = post_form(&test, "/connectors/new", &fields("save", "title |")).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    for part in ["Not saved.", "aria-invalid", "value=\"title |\"", "an expression looks like"] {
        assert!(refused.text.contains(part), "{part}: {}", refused.text);
    }
    let made = post_form(&test, "/connectors/new", &fields("save", "item.title")).await;
    assert_eq!((made.status.as_u16(), made.headers["location"].to_str().unwrap()), (303, "/connectors/my-disks"));
    let page = test.get("/connectors/my-disks").await.text;
    assert!(
        page.contains("/api/webhooks/my-disks") && page.contains("item.level") && page.contains("Change or try it")
    );
    test.deliver("my-disks", &json!({"title": "Disk full", "level": "hihg"})).await;
    let connectors = test.get("/connectors").await.text;
    assert!(
        connectors.contains("data-platform=\"my-disks\"") && connectors.contains("Your own source"),
        "{connectors}"
    );
    for list in ["/incidents", "/alerts", "/deliveries"] {
        assert!(test.get(list).await.text.contains("value=\"my-disks\""), "{list} offers it as a source");
    }
    let edit = test.get("/connectors/my-disks/declaration").await.text;
    assert!(edit.contains("value=\"item.title\"") && edit.contains("Remove this source"), "{edit}");
    let path = "/connectors/my-disks/declaration";
    assert_eq!(post_form(&test, path, &[("title", "'Disk: ' ~ item.title"), ("do", "save")]).await.status, 303);
    let title = test.get("/api/connectors/my-disks").await.json["declaration"]["title"].clone();
    assert_eq!(title, "'Disk: ' ~ item.title");
    assert_eq!(post_form(&test, path, &[("do", "remove")]).await.status, 303);
    assert_eq!(test.get("/connectors/my-disks").await.status, 404);
    // Pages are for administrators.
    let made = test.post("/api/tokens", &json!({"name": "r", "scopes": [Scope::Write]})).await;
    let token = made.json["token"].as_str().unwrap().to_owned();
    assert_eq!(answer(test.request(Method::GET, "/connectors/new").bearer_auth(token)).await.status, 403);
    test.stop().await;
}
