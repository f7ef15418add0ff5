//! What programs set about notifications, ask of them and try: from the API to the bytes that a target gets and back.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use watchfire::{model::*, runtime::clock::Clock};

use crate::{
    receiver::Receiver,
    support::{Answer, TestApp, answer, start_of_time},
};

const PASSWORD: &str = "a long password";

async fn start() -> TestApp {
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.notify_allow = vec!["127.0.0.1/32".parse().unwrap()];
        c.notify_plain_http = true;
    })
    .await;
    // The first person sets up.
    let root = json!({"name": "root", "role": "admin", "password": PASSWORD});
    assert_eq!(test.post("/api/users", &root).await.status, 201);
    test
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

/// Makes a thing, which must work, and gives its id.
async fn make(test: &TestApp, list: &str, body: Value) -> String {
    let made = test.post(&format!("/api/{list}"), &body).await;
    assert_eq!(made.status, 201, "{list}: {}", made.text);
    let id = text(&made.json["id"]);
    assert_eq!(made.headers["location"], format!("/api/{list}/{id}"));
    id
}

async fn channel(test: &TestApp, name: &str, to: &Receiver) -> String {
    let url = format!("{}/hooks/secret-path-of-{name}", to.url);
    make(test, "channels", json!({"name": name, "kind": "mattermost", "settings": {"url": url}})).await
}

async fn open(test: &TestApp, service: &str, severity: &str) {
    let body = json!({"title": format!("{service} fails"), "service": service, "severity": severity});
    assert_eq!(test.post("/api/incidents", &body).await.status, 201);
}

/// The places of what is wrong.
fn places(refused: &Answer) -> Vec<String> {
    assert_eq!(refused.status, 422, "{}", refused.text);
    refused.json["errors"].as_array().unwrap().iter().map(|e| text(&e["path"])).collect()
}

async fn person(test: &TestApp, name: &str, role: Role) -> String {
    let body = json!({"name": name, "role": role, "password": PASSWORD});
    let made = test.post("/api/users", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let form = test.request(Method::POST, "/login").header("content-type", "application/x-www-form-urlencoded");
    let body = format!("user={name}&password={}", PASSWORD.replace(' ', "+"));
    let headers = answer(form.body(body)).await.headers;
    headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

async fn as_person(test: &TestApp, session: &str, method: Method, path: &str, body: Value) -> Answer {
    let request = test.request(method, path).header("cookie", session);
    answer(if body.is_null() { request } else { request.json(&body) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_set_with_places_of_mistakes_and_secrets_are_never_told() {
    let (test, target) = (start().await, Receiver::start().await);
    let kinds = test.get("/api/channel-kinds").await.json;
    let mattermost = kinds["kinds"].as_array().unwrap().iter().find(|k| k["kind"] == "mattermost").unwrap();
    let url_field = &mattermost["fields"][0];
    assert_eq!(
        (&url_field["key"], &url_field["kind"], &url_field["secret"], &url_field["required"]),
        (&json!("url"), &json!("url"), &json!(true), &json!(true))
    );
    let id = channel(&test, "ops", &target).await;
    let url = format!("{}/hooks/secret-path-of-x", target.url);
    for (body, want) in [
        (json!({"name": "x", "kind": "pigeon", "settings": {"url": url}}), "/kind"),
        (json!({"name": "x", "kind": "mattermost"}), "/settings/url"),
        (json!({"name": "x", "kind": "mattermost", "settings": {"url": "chat"}}), "/settings/url"),
        (json!({"name": "x", "kind": "mattermost", "settings": {"url": url, "color": "red"}}), "/settings/color"),
        (json!({"name": "x", "kind": "mattermost", "settings": {"url": 7}}), "/settings/url"),
        (json!({"name": "", "kind": "mattermost", "settings": {"url": url}}), "/name"),
        (json!({"name": "OPS", "kind": "mattermost", "settings": {"url": url}}), "/name"),
        (json!({"name": "x", "kind": "mattermost", "settings": {"url": url}, "fallback": "CH-99"}), "/fallback"),
    ] {
        assert_eq!(places(&test.post("/api/channels", &body).await), [want], "{body}");
    }
    let at = format!("/api/channels/{id}");
    let shown = test.get(&at).await.json;
    assert_eq!(shown["settings"]["url"], "127.0.0.1/…-ops");
    // What is given back as it is shown stays as it is.
    let same = json!({"settings": {"url": shown["settings"]["url"], "channel": "incidents"}, "name": "Ops"});
    let changed = test.patch(&at, &same).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.json["settings"], json!({"url": "127.0.0.1/…-ops", "channel": "incidents"}));
    // What is not named stays too, and what is empty goes.
    let changed = test.patch(&at, &json!({"settings": {"channel": ""}})).await;
    assert_eq!(changed.json["settings"], json!({"url": "127.0.0.1/…-ops"}), "{}", changed.text);
    assert_eq!(test.patch(&at, &json!({"settings": {"url": ""}})).await.json["errors"][0]["path"], "/settings/url");
    let tested = test.post(&format!("{at}/test"), &json!({})).await;
    assert_eq!(tested.json["ok"], true, "{}", tested.text);
    assert_eq!(target.wait(1).await[0].path, "/hooks/secret-path-of-ops");
    for path in
        ["/api/channels", &at, "/api/audit", "/api/notifications", "/api/audit.csv", "/api/rules", "/api/incidents"]
    {
        let told = test.get(path).await.text;
        assert!(!told.contains("secret-path"), "{path}: {told}");
    }
    assert_eq!(test.get(&at).await.json["health"]["failures"], 0);
    assert_eq!(test.delete(&at).await.status, 204);
    assert_eq!(test.get(&at).await.status, 404);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_without_tls_and_of_strangers_are_refused() {
    let test = TestApp::start().await;
    let target = Receiver::start().await;
    let body = json!({"name": "x", "kind": "mattermost", "settings": {"url": format!("{}/hooks/x", target.url)}});
    assert_eq!(places(&test.post("/api/channels", &body).await), ["/settings/url"]);
    // An address of this machine is not called unless that is allowed.
    let id = make(
        &test,
        "channels",
        json!({"name": "x", "kind": "mattermost", "settings": {"url": "https://127.0.0.1:9/hooks/x"}}),
    )
    .await;
    let tested = test.post(&format!("/api/channels/{id}/test"), &json!({})).await.json;
    assert_eq!((&tested["ok"], &tested["state"], &tested["status"]), (&json!(false), &json!("failed"), &Value::Null));
    assert!(!text(&tested["said"]).is_empty(), "{tested}");
    assert_eq!(target.all().len(), 0);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_shows_that_it_is_the_right_one_before_anything_is_saved() {
    let (test, target) = (start().await, Receiver::start().await);
    let settings = json!({"url": format!("{}/in", target.url), "challenge_secret": "the challenge secret"});
    let body = json!({"name": "hook", "kind": "webhook", "settings": settings});
    for answered in [(200, "ok"), (404, "no"), (200, r#"{"response_token":"sha256=AAAA"}"#)] {
        target.answers(&[answered]);
        let refused = test.post("/api/channels", &body).await;
        assert_eq!(places(&refused), ["/settings/challenge_secret"], "{answered:?}");
        assert!(!refused.text.contains("the challenge secret"), "{}", refused.text);
    }
    assert_eq!(test.get("/api/channels").await.json["total"], 0);
    target.knows("the challenge secret");
    let id = make(&test, "channels", body).await;
    assert_eq!(target.all().len(), 4);
    let nonces: std::collections::BTreeSet<String> = target.all().iter().map(|g| g.path.clone()).collect();
    assert_eq!(nonces.len(), 4, "each challenge is another one");
    // Also when only the name changes.
    let at = format!("/api/channels/{id}");
    assert_eq!(test.patch(&at, &json!({"name": "other"})).await.status, 200);
    assert_eq!(target.all().len(), 5);
    target.knows("another secret");
    assert_eq!(places(&test.patch(&at, &json!({"name": "third"})).await), ["/settings/challenge_secret"]);
    assert_eq!(test.get(&at).await.json["name"], "other");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_tells_what_the_target_really_said() {
    let (test, target) = (start().await, Receiver::start().await);
    let id = channel(&test, "ops", &target).await;
    let at = format!("/api/channels/{id}/test");
    for (answers, status, state, ok) in [
        ((200, "ok"), 200, "sent", true),
        ((403, "not with /hooks/secret-path-of-ops"), 403, "failed", false),
        ((500, "no space left"), 500, "failed", false),
        ((200, "ok"), 200, "sent", true),
    ] {
        target.answers(&[answers]);
        // A chat takes two a second.
        test.clock.advance(Duration::from_secs(2));
        let got = test.post(&at, &json!({})).await;
        let said = text(&got.json["said"]);
        assert_eq!(
            (&got.json["status"], &got.json["state"], &got.json["ok"]),
            (&json!(status), &json!(state), &json!(ok)),
            "{}",
            got.text
        );
        assert!(said.contains(&status.to_string()) || said.contains(answers.1), "{said}");
        assert!(!said.contains("secret-path"), "{said}");
    }
    // It was tried once each time.
    test.clock.advance(Duration::from_secs(3600));
    let to = json!({"address": "@ada"});
    assert_eq!(test.post(&at, &to).await.json["ok"], true);
    let all = target.all();
    assert_eq!((all.len(), &all[4].json()["channel"]), (5, &json!("@ada")));
    assert_eq!(places(&test.post(&at, &json!({"address": " "})).await), ["/address"]);
    let listed = test.get(&format!("/api/notifications?channel={id}&state=failed")).await.json;
    assert_eq!(listed["notifications"].as_array().unwrap().len(), 2, "{listed}");
    assert_eq!(listed["notifications"][0]["attempts"][0]["status"], 500);
    test.stop().await;
}

/// What each rule did when something happened: event, rule, outcome.
fn considered(told: &Value) -> Vec<(String, String, String)> {
    let all = told["considerations"].as_array().unwrap().iter();
    let each = all.flat_map(|c| {
        let event = text(&c["event"]);
        c["considered"].as_array().unwrap().iter().map(move |r| (event.clone(), text(&r["name"]), text(&r["outcome"])))
    });
    each.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_says_who_was_told_who_was_not_and_what_comes_next() {
    let (test, target) = (start().await, Receiver::start().await);
    person(&test, "ada", Role::Responder).await;
    let ops = channel(&test, "ops", &target).await;
    let chat = channel(&test, "chat", &target).await;
    let ways = json!({"contacts": [{"channel": chat, "address": "@ada"}]});
    assert_eq!(test.put("/api/people/ada/contacts", &ways).await.status, 200);
    let rotation = json!({"people": ["ada"], "starts_on": "2026-03-02", "hand_over": "09:00", "days": 7});
    let schedule = make(&test, "schedules", json!({"name": "First line", "rotations": [rotation]})).await;
    let steps = json!([
        {"after_secs": 0, "targets": [{"channel": ops}]},
        {"after_secs": 600, "targets": [{"on_call": schedule}]},
    ]);
    let policy = make(&test, "escalation-policies", json!({"name": "Steps", "steps": steps})).await;
    let to = json!([{"channel": ops}]);
    // It is half past ten of a Tuesday.
    let quiet = json!({"times": {"time_zone": "UTC", "from": "10:00", "until": "12:00"}});
    for rule in [
        json!({"name": "Critical", "from": "critical", "targets": to}),
        json!({"name": "Mail", "matchers": [{"field": "service", "op": "=", "value": "mail"}], "targets": to}),
        json!({"name": "Odd", "condition": "hour > 20", "targets": to}),
        json!({"name": "Ada", "targets": [{"on_call": schedule}]}),
        json!({"name": "Later", "quiet": quiet, "targets": [{"channel": chat}]}),
        json!({"name": "Steps", "policy": policy}),
        json!({"name": "Off", "enabled": false, "targets": to}),
    ] {
        make(&test, "rules", rule).await;
    }
    let order = test.get("/api/rules").await.json;
    let order: Vec<String> = order["rules"].as_array().unwrap().iter().map(|r| text(&r["name"])).collect();
    assert_eq!(order, ["Critical", "Mail", "Odd", "Ada", "Later", "Steps", "Off"]);
    open(&test, "db", "high").await;
    let at = "/api/incidents/INC-1/notifications";
    // The step at once is the writer's next timer.
    test.clock.advance(Duration::from_secs(1));
    let got = target.wait(2).await;
    assert!(got.iter().any(|g| g.json()["channel"] == "@ada"), "{got:#?}");
    let told = test
        .until(at, |t| {
            t["notifications"].as_array().is_some_and(|n| n.iter().filter(|n| n["state"] == "sent").count() == 2)
        })
        .await;
    let opened: Vec<(String, String)> =
        considered(&told).into_iter().filter(|c| c.0 == "opened").map(|c| (c.1, c.2)).collect();
    let want = [
        ("Critical", "not_for_this"),
        ("Mail", "not_for_this"),
        ("Odd", "not_for_this"),
        ("Ada", "tells"),
        ("Later", "tells"),
        ("Steps", "tells"),
        ("Off", "off"),
    ];
    assert_eq!(opened, want.map(|(n, o)| (n.to_owned(), o.to_owned())), "{told}");
    let why = told["considerations"][0]["considered"].to_string();
    assert!(why.contains("Severity high is below critical") && why.contains("Service = mail does not hold"), "{why}");
    let messages = told["notifications"].as_array().unwrap();
    let ada = messages.iter().find(|n| n["person"] == "ada").unwrap();
    assert_eq!((&ada["channel_name"], &ada["rule_name"]), (&json!("chat"), &json!("Ada")));
    assert_eq!(ada["attempts"][0]["status"], 200);
    assert!(text(&ada["reason"]).contains("on call in “First line”: ada"), "{ada}");
    let later = messages.iter().find(|n| n["state"] == "waiting").unwrap();
    assert_eq!(later["due_at"], "2026-03-03T12:00:00.000Z");
    assert!(text(&later["why"]).starts_with("Quiet hours"), "{later}");
    let held = &told["held_by"][0];
    assert_eq!((&held["kind"], &held["until"]), (&json!("quiet_hours"), &json!("2026-03-03T12:00:00.000Z")), "{told}");
    let next = &told["escalation"]["next"];
    assert_eq!((&next["step"], &next["tells"]), (&json!(2), &json!(["ada by chat"])), "{told}");
    assert!(!told.to_string().contains("@ada"), "a person's address is theirs: {told}");
    // Whoever takes it ends that.
    assert_eq!(test.post("/api/incidents/1/acknowledge", &json!({})).await.status, 200);
    let told = test.get(at).await.json;
    assert_eq!((&told["escalation"]["acknowledged"], &told["escalation"]["next"]), (&json!(true), &Value::Null));
    // A silence is named.
    let matchers = json!([{"field": "service", "op": "=", "value": "db"}]);
    let silence = json!({"matchers": matchers, "ends_at": "2026-03-03T12:30:00Z", "reason": "x"});
    assert_eq!(test.post("/api/silences", &silence).await.status, 201);
    let told = test.until(at, |t| t["held_by"][0]["kind"] == "silence").await;
    assert_eq!(
        (&told["held_by"][0]["id"], &told["held_by"][0]["until"]),
        (&json!("S-1"), &json!("2026-03-03T12:30:00.000Z"))
    );
    // What is used stays.
    let used = test.delete(&format!("/api/channels/{ops}")).await;
    assert!(used.status == 409 && used.text.contains("Steps"), "{}", used.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_tried_on_past_incidents_before_it_is_made() {
    let (test, target) = (start().await, Receiver::start().await);
    let ops = channel(&test, "ops", &target).await;
    for (service, severity) in [("db", "critical"), ("mail", "high"), ("db", "low")] {
        let title = format!("{service} {severity}");
        let body = json!({"title": title, "service": service, "severity": severity, "source_id": title});
        assert_eq!(test.post("/api/incidents", &body).await.status, 201);
        test.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(test.post("/api/incidents/2/resolve", &json!({})).await.status, 200);
    let rule = json!({"from": "high", "targets": [{"channel": ops}], "wait_secs": 300});
    let tried = test.post("/api/rules/preview", &json!({"rule": rule, "days": 3})).await.json;
    assert_eq!((&tried["incidents"], &tried["fit"], &tried["messages"]), (&json!(3), &json!(2), &json!(1)), "{tried}");
    let fitting: Vec<(String, bool)> = tried["fitting"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| (text(&i["incident_id"]), i["messages"][0]["sent"] == true))
        .collect();
    // The second one was over before the wait was.
    assert_eq!(fitting, [("INC-2".to_owned(), false), ("INC-1".to_owned(), true)]);
    assert_eq!(tried["others"][0]["incident_id"], "INC-3");
    assert!(text(&tried["others"][0]["why"]).contains("below high"), "{tried}");
    let wrong = json!({"rule": {"condition": "sevrity == 1", "targets": [{"channel": ops}]}});
    assert_eq!(places(&test.post("/api/rules/preview", &wrong).await), ["/rule/condition"]);
    assert_eq!(places(&test.post("/api/rules/preview", &json!({"rule": rule, "days": 0})).await), ["/days"]);
    assert_eq!(test.get("/api/rules").await.json["total"], 0);
    assert_eq!(target.all().len(), 0);
    // Every mistake of a rule has its place; a change of one field leaves the others.
    let wrong = json!({"name": "", "events": [], "remind_secs": 5});
    assert_eq!(places(&test.post("/api/rules", &wrong).await), ["/name", "/events", "/targets", "/remind_secs"]);
    let id = make(&test, "rules", json!({"name": "All", "targets": [{"channel": ops}], "wait_secs": 300})).await;
    let at = format!("/api/rules/{id}");
    let changed = test.patch(&at, &json!({"name": "Most", "from": "high"})).await.json;
    assert_eq!((&changed["wait_secs"], &changed["from"]), (&json!(300), &json!("high")));
    let changed = test.patch(&at, &json!({"wait_secs": null})).await.json;
    assert_eq!((&changed["wait_secs"], &changed["name"]), (&json!(0), &json!("Most")));
    assert_eq!(places(&test.patch(&at, &json!({"wait_secs": "long"})).await), ["/wait_secs"]);
    assert_eq!(test.delete(&at).await.status, 204);
    test.stop().await;
}

/// The link in a message.
fn link(message: &str) -> String {
    let rest = message.split_once("/ack/").unwrap_or_else(|| panic!("no link in {message}")).1;
    let token: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
    format!("/ack/{token}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_in_a_message_acknowledges_once_and_only_when_pressed() {
    let (test, target) = (start().await, Receiver::start().await);
    person(&test, "ada", Role::Viewer).await;
    let ops = channel(&test, "ops", &target).await;
    let chat = channel(&test, "chat", &target).await;
    assert_eq!(test.put("/api/people/ada/contacts", &json!({"contacts": [{"channel": chat}]})).await.status, 200);
    let first = make(&test, "rules", json!({"name": "Ops", "events": ["opened"], "targets": [{"channel": ops}]})).await;
    open(&test, "db", "high").await;
    let ops_link = link(&target.wait(1).await[0].text());
    let visit = async |method: Method, path: &str| answer(test.request(method, path)).await;
    let page = visit(Method::GET, &ops_link).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("db fails") && page.text.contains("INC-1"), "{}", page.text);
    assert_eq!(page.text.matches("<button").count(), 1, "{}", page.text);
    assert_eq!(test.get("/api/incidents/1").await.json["owner"], Value::Null, "a look does nothing");
    let cross = test.request(Method::POST, &ops_link).header("sec-fetch-site", "cross-site");
    assert_eq!(answer(cross).await.status, 403);
    let done = visit(Method::POST, &ops_link).await;
    assert!(done.status == 200 && done.text.contains("Acknowledged by token:ops"), "{}", done.text);
    assert!(done.text.contains("/incidents/INC-1") && !done.text.contains("<button"), "{}", done.text);
    assert_eq!(test.get("/api/incidents/1").await.json["owner"], "token:ops");
    let again = visit(Method::POST, &ops_link).await;
    assert!(again.text.contains("token:ops has acknowledged it already"), "{}", again.text);
    let acts = test.get("/api/audit?limit=50").await.json;
    let acts: Vec<&Value> =
        acts["audit"].as_array().unwrap().iter().filter(|a| a["action"] == "incident.owner").collect();
    assert_eq!(acts.len(), 1, "{acts:?}");
    assert_eq!((&acts[0]["actor"], &acts[0]["address"]), (&json!("token:ops"), &json!("127.0.0.1")));

    // The message to a person acknowledges as that person, whatever their role: it is the one thing that it can do.
    assert_eq!(test.delete(&format!("/api/rules/{first}")).await.status, 204);
    make(&test, "rules", json!({"name": "Ada", "events": ["opened"], "targets": [{"person": "ada"}]})).await;
    test.clock.advance(Duration::from_secs(2));
    open(&test, "mail", "high").await;
    let ada = link(&target.wait(2).await[1].text());
    assert!(visit(Method::POST, &ada).await.text.contains("Acknowledged by ada"));
    assert_eq!(test.get("/api/incidents/2").await.json["owner"], "ada");

    // Over, merged, wrong, old.
    test.clock.advance(Duration::from_secs(2));
    open(&test, "queue", "high").await;
    let over = link(&target.wait(3).await[2].text());
    assert_eq!(test.post("/api/incidents/3/resolve", &json!({})).await.status, 200);
    assert!(visit(Method::POST, &over).await.text.contains("It is over already"));
    test.clock.advance(Duration::from_secs(2));
    open(&test, "cache", "high").await;
    let merged = link(&target.wait(4).await[3].text());
    assert_eq!(test.post("/api/incidents/1/merge", &json!({"incident_ids": ["4"]})).await.status, 200);
    let page = visit(Method::POST, &merged).await;
    assert!(page.text.contains("part of INC-1") && page.text.contains("/incidents/INC-1"), "{}", page.text);
    let wrong = ada.replacen("/ack/2", "/ack/3", 1);
    for (path, status, words) in
        [(wrong.as_str(), 404, "not one of this server"), ("/ack/x", 404, "not one of this server")]
    {
        for method in [Method::GET, Method::POST] {
            let page = visit(method, path).await;
            assert!(page.status == status && page.text.contains(words), "{path}: {} {}", page.status, page.text);
        }
    }
    test.clock.advance(Duration::from_secs(4 * 24 * 3600));
    let old = visit(Method::POST, &ada).await;
    assert!(old.status == 410 && old.text.contains("more than three days old"), "{}", old.text);
    // Guessing is slow.
    let mut last = 404;
    for _ in 0..70 {
        last = visit(Method::GET, "/ack/42.7.99.AAAA").await.status.as_u16();
    }
    assert_eq!(last, 429);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_say_who_is_on_call_with_gaps_and_calendars_read_them() {
    let test = start().await;
    let ada = person(&test, "ada", Role::Responder).await;
    let bob = person(&test, "bob", Role::Viewer).await;
    let only = json!({"time_zone": "Europe/Berlin", "days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "until": "18:00"});
    let rotation =
        json!({"people": ["ada", "bob"], "starts_on": "2026-03-02", "hand_over": "08:00", "days": 1, "only": only});
    let wrong = json!({"name": "x", "time_zone": "Mars/Olympus", "rotations": [{"people": ["zoe"], "starts_on": "x", "hand_over": "9", "days": 0}]});
    let found = places(&test.post("/api/schedules", &wrong).await);
    for place in ["/time_zone", "/rotations/0/people/0", "/rotations/0/starts_on", "/rotations/0/days"] {
        assert!(found.iter().any(|p| p == place), "{place} in {found:?}");
    }
    let id =
        make(&test, "schedules", json!({"name": "Days", "time_zone": "Europe/Berlin", "rotations": [rotation]})).await;
    let at = format!("/api/schedules/{id}");
    // Tuesday, half past eleven in Berlin.
    let now = test.get("/api/on-call").await.json["on_call"][0].clone();
    assert_eq!((&now["person"], &now["until"]), (&json!("bob"), &json!("2026-03-03T17:00:00.000Z")), "{now}");
    assert_eq!((&now["next"]["person"], &now["next"]["from"]), (&json!("ada"), &json!("2026-03-04T07:00:00.000Z")));
    let then = test.get(&format!("{at}/on-call?at=2026-03-04T12:00:00Z")).await.json;
    assert_eq!(then["person"], "ada");
    // Over the change of the clocks: Friday to Tuesday.
    let shifts = test.get(&format!("{at}/shifts?from=2026-03-27T00:00:00Z&until=2026-03-31T00:00:00Z")).await.json;
    let told: Vec<(String, String)> = shifts["shifts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (text(&s["from"])[..16].to_owned(), s["person"].as_str().unwrap_or("nobody").to_owned()))
        .collect();
    let want = [
        ("2026-03-27T00:00", "nobody"),
        ("2026-03-27T07:00", "bob"),
        ("2026-03-27T17:00", "nobody"),
        ("2026-03-30T06:00", "ada"),
        ("2026-03-30T16:00", "nobody"),
    ];
    assert_eq!(told, want.map(|(a, b)| (a.to_owned(), b.to_owned())), "{shifts}");
    assert_eq!(shifts["gaps"], 3);
    assert_eq!(
        test.get(&format!("{at}/shifts?from=2026-03-27T00:00:00Z&until=2026-03-26T00:00:00Z")).await.status,
        400
    );
    // Somebody else for an hour: a responder may, a viewer may not.
    let instead = json!({"until": "2026-03-03T11:30:00Z", "person": "ada"});
    let overrides = format!("{at}/overrides");
    assert_eq!(as_person(&test, &bob, Method::POST, &overrides, instead.clone()).await.status, 403);
    assert_eq!(as_person(&test, &ada, Method::POST, &overrides, instead).await.status, 201);
    let nobody = json!({"until": "2026-03-03T10:00:00Z", "person": "zoe"});
    let refused = as_person(&test, &ada, Method::POST, &overrides, nobody).await;
    assert_eq!(places(&refused), ["/until", "/person"]);
    let now = test.get("/api/on-call").await.json["on_call"][0].clone();
    assert_eq!((&now["person"], &now["overridden"]), (&json!("ada"), &json!(true)), "{now}");
    // Calendars.
    let url = text(&test.get(&at).await.json["calendar_url"]);
    let path = url.strip_prefix(&test.app().url()).unwrap().to_owned();
    let feed = answer(test.request(Method::GET, &path)).await;
    assert_eq!(
        (feed.status.as_u16(), &feed.headers["content-type"]),
        (200, &"text/calendar; charset=utf-8".parse().unwrap())
    );
    assert!(feed.text.starts_with("BEGIN:VCALENDAR\r\n") && feed.text.contains("SUMMARY:ada is on call: Days\r\n"));
    assert!(feed.text.contains("DTSTART:20260303T103000Z\r\nDTEND:20260303T113000Z\r\n"), "{}", feed.text);
    let wrong = path.replace("key=", "key=0");
    assert_eq!(answer(test.request(Method::GET, &wrong)).await.status, 404);
    assert_eq!(answer(test.request(Method::GET, path.split_once('?').unwrap().0)).await.status, 401);
    let audit = test.get("/api/audit").await.text;
    assert!(!audit.contains(path.split_once("key=").unwrap().1), "{audit}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_a_persons_own() {
    let (test, target) = (start().await, Receiver::start().await);
    let ada = person(&test, "ada", Role::Viewer).await;
    person(&test, "bob", Role::Viewer).await;
    let chat = channel(&test, "chat", &target).await;
    let (own, others) = ("/api/people/ada/contacts", "/api/people/bob/contacts");
    let body = json!({"contacts": [{"channel": chat, "address": " @ada ", "from": "high"}]});
    let put = as_person(&test, &ada, Method::PUT, own, body.clone()).await;
    assert_eq!((put.status.as_u16(), &put.json["contacts"][0]["address"]), (200, &json!("@ada")), "{}", put.text);
    assert_eq!(as_person(&test, &ada, Method::GET, own, Value::Null).await.json["contacts"][0]["from"], "high");
    assert_eq!(as_person(&test, &ada, Method::PUT, others, body.clone()).await.status, 403);
    assert_eq!(as_person(&test, &ada, Method::GET, others, Value::Null).await.status, 403);
    assert_eq!(test.put(others, &body).await.status, 200);
    assert_eq!(test.put("/api/people/zoe/contacts", &body).await.status, 404);
    for (contacts, place) in [
        (json!([{"channel": "CH-99"}]), "/contacts/0/channel"),
        (json!([{"channel": chat}, {"channel": chat, "address": ""}]), "/contacts/1/address"),
    ] {
        assert_eq!(places(&test.put(own, &json!({"contacts": contacts})).await), [place]);
    }
    assert_eq!(places(&test.put(own, &json!({})).await), ["/contacts"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_that_are_heartbeats_open_nothing_and_their_absence_does() {
    let test = start().await;
    let matchers = json!([{"field": "label.alertname", "op": "=", "value": "Watchdog"}]);
    let body = json!({"name": "Prometheus", "every_secs": 600, "from": {"alerts": matchers}});
    let wrong = json!({"name": "x", "every_secs": 1, "from": {"platform": "pigeon"}});
    assert_eq!(places(&test.post("/api/heartbeats", &wrong).await), ["/from/platform"]);
    assert_eq!(places(&test.post("/api/heartbeats", &json!({"name": "x"})).await), ["/from"]);
    let id = make(&test, "heartbeats", body).await;
    let at = format!("/api/heartbeats/{id}");
    assert_eq!(test.get(&at).await.json["state"], "waiting");
    let beat = |n: u32| json!({"id": format!("w{n}"), "title": "Always", "labels": {"alertname": "Watchdog"}});
    let sent = test.deliver("generic", &beat(1)).await.json;
    assert_eq!(sent["alerts"][0]["heartbeat"], json!(id), "{sent}");
    assert_eq!((&sent["alerts"][0]["alert_id"], &sent["alerts"][0]["incident_id"]), (&Value::Null, &Value::Null));
    let heard = test.get(&at).await.json;
    assert_eq!((&heard["state"], &heard["last_at"]), (&json!("alive"), &json!("2026-03-03T10:30:00.000Z")));
    // One that comes a moment after is not written down.
    test.clock.advance(Duration::from_secs(3));
    test.deliver("generic", &beat(2)).await;
    assert_eq!(test.get(&at).await.json["last_at"], "2026-03-03T10:30:00.000Z");
    test.clock.advance(Duration::from_secs(57));
    test.deliver("generic", &beat(3)).await;
    assert_eq!(test.get(&at).await.json["last_at"], "2026-03-03T10:31:00.000Z");
    assert_eq!(test.get("/api/incidents").await.json["total"], 0);
    assert_eq!(test.get("/api/alerts").await.json["total"], 0);
    // Another alert is one.
    let other = json!({"id": "x", "title": "Down", "service": "db", "severity": "high"});
    assert_eq!(test.deliver("generic", &other).await.json["alerts"][0]["incident_id"], "INC-1");
    // Nothing is heard, and then it is again.
    test.clock.advance(Duration::from_secs(700));
    let open = test.until("/api/incidents", |l| l["total"] == 2).await;
    assert_eq!(open["incidents"][0]["title"], "No heartbeat of “Prometheus”", "{open}");
    test.until(&at, |h| h["state"] == "missing").await;
    test.deliver("generic", &beat(4)).await;
    test.clock.advance(Duration::from_secs(60));
    test.until(&at, |h| h["state"] == "alive").await;
    let missed = format!("/api/incidents/{}", text(&open["incidents"][0]["id"]));
    test.until(&missed, |i| i["status"] == "resolved").await;
    // One that is not looked at is an alert like any other.
    assert_eq!(test.patch(&at, &json!({"enabled": false})).await.json["state"], "off");
    assert_ne!(test.deliver("generic", &beat(5)).await.json["alerts"][0]["alert_id"], Value::Null);
    test.stop().await;
}
