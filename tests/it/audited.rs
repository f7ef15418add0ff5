//! Whatever changes something is in the log of acts: every route that changes, one act each, in an order in which each can.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    netdata_cloud::{API_TOKEN, Seen, cloud},
    roles::pages,
    scopes::operations,
    support::{TestApp, answer},
};

const PASSWORD: &str = "a long password";

/// Routes that are asked with a method for changes and change nothing, or nothing of the server's, and why.
const NOTHING: &[(&str, &str)] = &[
    ("POST /api/silences/preview", "says what it would catch"),
    ("POST /api/maintenance/preview", "says what it would catch"),
    ("POST /api/thresholds/preview", "says what it would catch"),
    ("POST /api/rules/preview", "says whom it would tell"),
    ("POST /ack/{token}", "the link of a message; its own test in `notify_api`"),
    ("POST /api/channels/{id}/interactions", "a button in Slack; its own test in `slack_press`"),
    ("POST /api/connectors/{platform}/try", "reads a body and keeps nothing"),
    ("POST /api/connectors/{platform}/identity/try", "compares two rules"),
    ("POST /theme", "a cookie of the browser"),
    ("POST /settings/browser", "cookies of the browser"),
    (
        "DELETE /api/backtests/{id}",
        "only one that runs is stopped, and these are over in a moment; the command writes it",
    ),
    ("POST /settings/correlation/cancel", "the same"),
    ("POST /setup", "the first account; its own test below"),
    ("POST /api/webhooks/{platform}", "deliveries have a list of their own"),
    ("PUT /api/webhooks/{platform}", "the same"),
    ("POST /api/webhooks/{platform}/{key}", "the same"),
    ("PUT /api/webhooks/{platform}/{key}", "the same"),
];

struct Acts {
    test: TestApp,
    session: String,
    done: BTreeSet<String>,
}

fn cookie(headers: &reqwest::header::HeaderMap) -> String {
    let mut set = headers.get_all("set-cookie").iter().map(|v| v.to_str().unwrap());
    set.find(|c| c.starts_with("watchfire=")).unwrap().split(';').next().unwrap().to_owned()
}

impl Acts {
    async fn newest(&self) -> (i64, String) {
        let log = self.test.get("/api/audit?limit=1").await.json;
        let newest = &log["audit"][0];
        (newest["id"].as_i64().unwrap_or(-1), newest["action"].as_str().unwrap_or_default().to_owned())
    }

    /// Does something at `at`, which is of the route, and sees an act of that name in the log, with address and person.
    async fn act(&mut self, route: &str, at: &str, body: Value, want: &str) -> Value {
        let before = self.newest().await.0;
        let (method, path) = route.split_once(' ').unwrap();
        let at = if at.is_empty() { path } else { at };
        let request = self.test.request(method.parse().unwrap(), at).header("cookie", &self.session);
        let request = match body {
            Value::String(form) => request.header("content-type", "application/x-www-form-urlencoded").body(form),
            Value::Null => request,
            json => request.json(&json),
        };
        let got = answer(request).await;
        let status = got.status.as_u16();
        let to = got.headers.get("location").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        assert!(status < 400 && !to.starts_with("/login?next"), "{route} at {at}: {status} {}", got.text);
        let log = self.test.get("/api/audit?limit=20").await.json;
        let new: Vec<&Value> =
            log["audit"].as_array().unwrap().iter().filter(|e| e["id"].as_i64().unwrap() > before).collect();
        let found = new.iter().find(|e| e["action"] == want);
        let found = found.unwrap_or_else(|| panic!("{route}: no {want} in {new:?}; {status} {to}"));
        assert_eq!(found["address"], "127.0.0.1", "{route}: {found}");
        assert!(
            !found["actor"].as_str().unwrap().is_empty() && !found["subject"].as_str().unwrap().is_empty(),
            "{found}"
        );
        assert!(!log.to_string().contains(PASSWORD) && !log.to_string().contains(API_TOKEN), "{log}");
        self.done.insert(route.to_owned());
        got.json
    }
}

impl Acts {
    /// Sends a form, as the page's script does; where what it did is taken back.
    async fn undo(&self, at: &str, form: &str) -> String {
        let request = self.test.request(Method::POST, at).header("cookie", &self.session);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
        text(&answer(request.header("accept", "application/json")).await.json["undo"])
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

fn alert(id: &str, service: &str) -> Value {
    json!({"id": id, "title": format!("Alert {id}"), "service": service, "severity": "high"})
}

async fn begun() -> Acts {
    let test = TestApp::start_any().await;
    let made = test.post("/api/users", &json!({"name": "kim", "role": "admin", "password": PASSWORD})).await;
    assert_eq!(made.status, 201);
    let body = format!("user=kim&password={}", PASSWORD.replace(' ', "+"));
    let request = test.request(Method::POST, "/login").header("content-type", "application/x-www-form-urlencoded");
    let session = cookie(&answer(request.body(body)).await.headers);
    Acts { test, session, done: BTreeSet::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_api_that_changes_something_says_so() {
    let mut a = begun().await;
    a.test.deliver("generic", &alert("a", "api")).await;
    let second = a.test.deliver("generic", &alert("b", "api")).await.json;
    assert_eq!(second["alerts"][0]["incident_id"], "INC-1", "{second}");
    let b = text(&second["alerts"][0]["alert_id"]);
    a.test.analyzed("INC-1").await;
    let sid = text(&a.test.get("/api/incidents/1").await.json["suggestions"][0]["id"]);
    let i = "/api/incidents/{id}";
    for (what, path, body, want) in [
        ("POST /api/incidents", "", json!({"title": "Down", "service": "mail"}), "incident.declare"),
        ("PATCH /api/incidents/{id}", "/api/incidents/1", json!({"severity": "low"}), "incident.severity"),
        ("PATCH /api/incidents/{id}", "/api/incidents/1", json!({"title": "Other"}), "incident.title"),
        ("PATCH /api/incidents/{id}", "/api/incidents/1", json!({"service": "web"}), "incident.service"),
    ] {
        a.act(what, path, body, want).await;
    }
    for (what, body, want) in [
        ("acknowledge", json!({}), "incident.owner"),
        ("unacknowledge", json!({}), "incident.unacknowledge"),
        ("snooze", json!({"minutes": 60}), "incident.snooze"),
        ("wake", json!({}), "incident.wake"),
        ("comment", json!({"text": "a word"}), "incident.comment"),
        ("investigate", json!({}), "incident.investigate"),
        ("cancel-investigation", json!({}), "incident.cancel_investigation"),
        ("merge", json!({"incident_ids": ["2"]}), "incident.merge"),
    ] {
        a.act(&format!("POST {i}/{what}"), &format!("/api/incidents/1/{what}"), body, want).await;
    }
    let lesson = text(&a.test.get("/api/lessons").await.json["lessons"][0]["id"]);
    a.act("DELETE /api/lessons/{lesson}", &format!("/api/lessons/{lesson}"), Value::Null, "lesson.forget").await;
    a.act(&format!("POST {i}/unmerge"), "/api/incidents/2/unmerge", json!({}), "incident.unmerge").await;
    a.act(&format!("POST {i}/split"), "/api/incidents/1/split", json!({"alert_ids": [b]}), "incident.split").await;
    a.act(&format!("POST {i}/attach"), "/api/incidents/1/attach", json!({"alert_ids": [b]}), "incident.attach").await;
    let state = json!({"state": "done"});
    a.act(
        &format!("PATCH {i}/suggestions/{{sid}}"),
        &format!("/api/incidents/1/suggestions/{sid}"),
        state,
        "incident.suggestion",
    )
    .await;
    let verdict = json!({"verdict": "right"});
    a.act(&format!("PATCH {i}/causes/{{rank}}"), "/api/incidents/1/causes/1", verdict, "incident.cause").await;
    a.act(&format!("POST {i}/resolve"), "/api/incidents/1/resolve", json!({"reason": "x"}), "incident.resolve").await;
    let p = format!("{i}/postmortem");
    a.act(&format!("POST {p}/draft"), "/api/incidents/1/postmortem/draft", json!({}), "postmortem.draft").await;
    let put = json!({"version": 1, "sections": {"summary": "It was the resolver."}});
    a.act(&format!("PUT {p}"), "/api/incidents/1/postmortem", put, "postmortem.save").await;
    let all: BTreeSet<String> = operations(&a.test).await.into_iter().map(|(m, p)| format!("{m} {p}")).collect();
    let whole_document = format!("PUT {p}.md");
    if all.contains(&whole_document) {
        let text = a.test.get("/api/incidents/1/postmortem.md").await.text.replace("the resolver", "DNS");
        a.act(&whole_document, "/api/incidents/1/postmortem.md", json!(text), "postmortem.save").await;
    }
    if all.contains("POST /api/views") {
        let made = a.act("POST /api/views", "", json!({"name": "Mine", "q": "status:resolved"}), "view.create").await;
        let at = format!("/api/views/{}", text(&made["id"]));
        a.act("PATCH /api/views/{id}", &at, json!({"name": "Ours"}), "view.change").await;
        a.act("DELETE /api/views/{id}", &at, Value::Null, "view.remove").await;
    }
    a.act(&format!("POST {p}/publish"), "/api/incidents/1/postmortem/publish", json!({}), "postmortem.publish").await;
    a.act(&format!("POST {p}/unpublish"), "/api/incidents/1/postmortem/unpublish", json!({}), "postmortem.unpublish")
        .await;
    let restore = format!("POST {p}/versions/{{version}}/restore");
    a.act(&restore, "/api/incidents/1/postmortem/versions/1/restore", json!({}), "postmortem.restore").await;
    a.act(&format!("POST {i}/reopen"), "/api/incidents/1/reopen", json!({}), "incident.reopen").await;
    let bulk = json!({"action": "acknowledge", "incident_ids": ["1"]});
    a.act("POST /api/incidents/bulk", "", bulk, "incident.owner").await;

    let change = json!({"title": "v2", "service": "api", "at": "2026-03-03T10:28:00Z"});
    a.act("POST /api/changes", "", change, "change.report").await;
    let delivery = text(&second["delivery_id"]);
    a.act(
        "POST /api/deliveries/{id}/replay",
        &format!("/api/deliveries/{delivery}/replay"),
        Value::Null,
        "delivery.replay",
    )
    .await;

    a.act("PUT /api/services/{name}", "/api/services/api", json!({"owner": "core"}), "service.add").await;
    a.act("PUT /api/services", "", json!({"services": [{"name": "web", "depends_on": ["api"]}]}), "services.update")
        .await;
    a.act("DELETE /api/services/{name}", "/api/services/web", Value::Null, "service.remove").await;
    a.act("PUT /api/topology", "", json!({"services": [{"name": "db"}]}), "topology.replace").await;
    let calls =
        json!({"id": "c", "title": "C", "service": "shop", "severity": "high", "labels": {"peer.service": "cache"}});
    a.test.deliver("generic", &calls).await;
    let learned = a.test.get("/api/topology").await.json;
    assert!(learned.to_string().contains("cache"), "{learned}");
    let judged = json!({"from": "shop", "to": "cache", "verdict": "dismiss"});
    a.act("POST /api/topology/edges", "", judged, "edge.dismiss").await;

    let matchers = json!([{"field": "service", "op": "=", "value": "nothing"}]);
    for (list, kind, id) in [("silences", "silence", "S-1"), ("maintenance", "maintenance", "M-2")] {
        let made = json!({"matchers": matchers, "ends_at": "2026-03-03T12:00:00Z", "reason": "x"});
        a.act(&format!("POST /api/{list}"), "", made, &format!("{kind}.create")).await;
        let one = (format!("/api/{list}/{{id}}"), format!("/api/{list}/{id}"));
        a.act(&format!("PATCH {}", one.0), &one.1, json!({"reason": "y"}), &format!("{kind}.change")).await;
        a.act(&format!("DELETE {}", one.0), &one.1, Value::Null, &format!("{kind}.end")).await;
    }
    let threshold = json!({"matchers": matchers, "count": 3, "within_minutes": 5, "reason": "x"});
    a.act("POST /api/thresholds", "", threshold, "threshold.create").await;
    a.act("PATCH /api/thresholds/{id}", "/api/thresholds/T-3", json!({"count": 4}), "threshold.change").await;
    a.act("DELETE /api/thresholds/{id}", "/api/thresholds/T-3", Value::Null, "threshold.remove").await;
    let runbook = json!({"title": "x", "url": "https://wiki.example.com/x"});
    a.act("POST /api/runbooks", "", runbook, "runbook.create").await;
    a.act("PATCH /api/runbooks/{id}", "/api/runbooks/R-1", json!({"title": "y"}), "runbook.change").await;
    a.act("DELETE /api/runbooks/{id}", "/api/runbooks/R-1", Value::Null, "runbook.remove").await;

    a.act(
        "POST /api/connectors",
        "",
        json!({"slug": "batch-jobs", "declaration": {"title": "body.x"}}),
        "connector.declare",
    )
    .await;
    let c = "/api/connectors/{platform}";
    let declaration = json!({"title": "body.y"});
    a.act(&format!("PUT {c}/declaration"), "/api/connectors/batch-jobs/declaration", declaration, "connector.update")
        .await;
    a.act(&format!("PATCH {c}"), "/api/connectors/generic", json!({"signing_secret": PASSWORD}), "connector.update")
        .await;
    a.act(&format!("POST {c}/test"), "/api/connectors/generic/test", json!({}), "connector.test").await;
    a.act(&format!("POST {c}/rotate-key"), "/api/connectors/generic/rotate-key", json!({}), "connector.update").await;
    a.act(&format!("POST {c}/reveal-key"), "/api/connectors/generic/reveal-key", json!({}), "connector.reveal_key")
        .await;
    a.act(&format!("DELETE {c}"), "/api/connectors/batch-jobs", Value::Null, "connector.remove").await;
    let connect = json!({"api_token": API_TOKEN, "base_url": format!("{}/cloud", cloud(Seen::default()).await)});
    a.act("POST /netdata/connect", "", connect.clone(), "connector.update").await;
    a.act("POST /netdata/disconnect", "", json!({}), "connector.update").await;
    a.act("POST /netdata/connect", "", connect, "connector.update").await;
    a.act("DELETE /netdata/disconnect", "", Value::Null, "connector.update").await;

    a.act("PATCH /api/correlation", "", json!({"reopen_within_secs": 60}), "correlation.set").await;
    a.act("POST /api/backtests", "", json!({}), "backtest.begin").await;
    a.act("POST /api/backup", "", Value::Null, "backup.download").await;
    let lee = json!({"name": "lee", "role": "viewer", "password": PASSWORD});
    a.act("POST /api/users", "", lee, "user.create").await;
    for (patch, want) in [
        (json!({"role": "responder"}), "user.role"),
        (json!({"password": PASSWORD}), "user.password"),
        (json!({"full_name": "Lee"}), "user.full_name"),
        (json!({"disabled": true}), "user.disable"),
        (json!({"disabled": false}), "user.enable"),
    ] {
        a.act("PATCH /api/users/{name}", "/api/users/lee", patch, want).await;
    }
    a.act("POST /api/users/{name}/sign-out", "/api/users/lee/sign-out", json!({}), "session.revoke_all").await;
    a.act("DELETE /api/users/{name}", "/api/users/lee", Value::Null, "user.remove").await;
    a.act("POST /api/tokens", "", json!({"name": "ci", "scopes": ["read"]}), "token.create").await;
    a.act("DELETE /api/tokens/{name}", "/api/tokens/ci", Value::Null, "token.revoke").await;
    a.act("PATCH /api/me", "", json!({"full_name": "Kim"}), "user.full_name").await;
    told(&mut a).await;
    let mine = answer(a.test.request(Method::GET, "/api/sessions").header("cookie", &a.session)).await.json;
    let own = text(&mine["sessions"][0]["id"]);
    a.act("DELETE /api/sessions/{id}", &format!("/api/sessions/{own}"), Value::Null, "session.revoke").await;

    whole(&a, all.into_iter().filter(|route| !route.starts_with("GET ")));
    a.test.stop().await;
}

/// Everything about notifications; what needs another goes before it.
async fn told(a: &mut Acts) {
    // Nothing is sent there: it is an address of this machine.
    let settings = json!({"url": "https://127.0.0.1:9/hooks/secret-path-1"});
    let made = json!({"name": "ops", "kind": "mattermost", "settings": settings});
    let channel = text(&a.act("POST /api/channels", "", made, "channel.create").await["id"]);
    let at = format!("/api/channels/{channel}");
    a.act("PATCH /api/channels/{id}", &at, json!({"settings": settings}), "channel.change").await;
    a.act("POST /api/channels/{id}/test", &format!("{at}/test"), Value::Null, "channel.test").await;
    let log = a.test.get("/api/audit?limit=20").await.text;
    assert!(!log.contains("secret-path"), "{log}");
    let ways = json!({"contacts": [{"channel": channel}]});
    a.act("PUT /api/people/{name}/contacts", "/api/people/kim/contacts", ways, "contacts.change").await;
    let none = json!({"contacts": []});
    a.act("PUT /api/people/{name}/contacts", "/api/people/kim/contacts", none, "contacts.change").await;
    let rotation = json!({"people": ["kim"], "starts_on": "2026-03-02", "hand_over": "09:00", "days": 7});
    let steps = json!([{"after_secs": 60, "targets": [{"person": "kim"}]}]);
    for (list, kind, body) in [
        ("schedules", "schedule", json!({"name": "First line", "rotations": [rotation]})),
        ("escalation-policies", "policy", json!({"name": "Steps", "steps": steps})),
        ("rules", "rule", json!({"name": "All", "targets": [{"person": "kim"}]})),
        ("heartbeats", "heartbeat", json!({"name": "Grafana", "from": {"platform": "grafana"}})),
    ] {
        let made = a.act(&format!("POST /api/{list}"), "", body.clone(), &format!("{kind}.create")).await;
        let (route, at) = (format!("/api/{list}/{{id}}"), format!("/api/{list}/{}", text(&made["id"])));
        a.act(&format!("PUT {route}"), &at, body, &format!("{kind}.change")).await;
        a.act(&format!("PATCH {route}"), &at, json!({"name": "Other"}), &format!("{kind}.change")).await;
        if kind == "schedule" {
            let new = json!({"until": "2026-03-04T00:00:00Z", "person": "kim"});
            a.act(&format!("POST {route}/overrides"), &format!("{at}/overrides"), new, "schedule.override").await;
        }
        a.act(&format!("DELETE {route}"), &at, Value::Null, &format!("{kind}.remove")).await;
    }
    a.act("DELETE /api/channels/{id}", &at, Value::Null, "channel.remove").await;
}

/// Every route was asked, or stands among those that change nothing.
fn whole(a: &Acts, all: impl Iterator<Item = String>) {
    let left: Vec<String> =
        all.filter(|route| !a.done.contains(route) && !NOTHING.iter().any(|(r, _)| r == route)).collect();
    assert_eq!(left, Vec::<String>::new(), "routes of which nobody knows whether they are in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_page_that_changes_something_says_so() {
    let mut a = begun().await;
    a.test.deliver("generic", &alert("a", "api")).await;
    let second = a.test.deliver("generic", &alert("b", "api")).await.json;
    a.test.deliver("generic", &alert("c", "mail")).await;
    assert_eq!(a.test.post("/api/incidents", &json!({"title": "Down", "service": "far"})).await.status, 201);
    let b = text(&second["alerts"][0]["alert_id"]);
    let delivery = text(&second["delivery_id"]);
    a.test.analyzed("INC-1").await;
    let sid = text(&a.test.get("/api/incidents/1").await.json["suggestions"][0]["id"]);
    let other = text(&a.test.get("/api/incidents?q=far").await.json["incidents"][0]["id"]);
    let one = |rest: &str| (format!("POST /incidents/{{id}}/{rest}"), format!("/incidents/1/{rest}"));
    for (what, body, want) in [
        ("acknowledge", String::new(), "incident.owner"),
        ("unacknowledge", String::new(), "incident.unacknowledge"),
        ("assign", "owner=sre-2".to_owned(), "incident.owner"),
        ("title", "title=Other".to_owned(), "incident.title"),
        ("severity", "severity=low&reason=x".to_owned(), "incident.severity"),
        ("snooze", "for=60".to_owned(), "incident.snooze"),
        ("wake", String::new(), "incident.wake"),
        ("comment", "text=a+word".to_owned(), "incident.comment"),
        ("investigate", String::new(), "incident.investigate"),
        ("cancel-investigation", String::new(), "incident.cancel_investigation"),
        ("merge", format!("with={other}"), "incident.merge"),
    ] {
        let (route, at) = one(what);
        a.act(&route, &at, json!(body), want).await;
    }
    a.act("POST /incidents/{id}/unmerge", &format!("/incidents/{other}/unmerge"), json!(""), "incident.unmerge").await;
    a.act(&one("split").0, &one("split").1, json!(format!("alert={b}")), "incident.split").await;
    a.act("POST /alerts/{id}/attach", &format!("/alerts/{b}/attach"), json!("incident=INC-1"), "incident.attach").await;
    let lesson = text(&a.test.get("/api/lessons").await.json["lessons"][0]["id"]);
    a.act("POST /settings/lessons/forget", "", json!(format!("id={lesson}")), "lesson.forget").await;
    let at = format!("/incidents/1/suggestions/{sid}");
    a.act("POST /incidents/{id}/suggestions/{sid}", &at, json!("state=done"), "incident.suggestion").await;
    a.act("POST /incidents/{id}/causes/{rank}", "/incidents/1/causes/1", json!("verdict=right"), "incident.cause")
        .await;
    a.act(&one("resolve").0, &one("resolve").1, json!("reason=x"), "incident.resolve").await;
    a.act("POST /postmortems/{id}/draft", "/postmortems/1/draft", json!(""), "postmortem.draft").await;
    a.act("POST /postmortems/{id}", "/postmortems/1", json!("part=summary&version=1&text=Short."), "postmortem.save")
        .await;
    a.act("POST /postmortems/{id}/publish", "/postmortems/1/publish", json!(""), "postmortem.publish").await;
    a.act("POST /postmortems/{id}/restore", "/postmortems/1/restore", json!("version=1"), "postmortem.restore").await;
    a.act(&one("reopen").0, &one("reopen").1, json!(""), "incident.reopen").await;
    a.act("POST /incidents/bulk", "", json!("do=acknowledge&id=INC-1"), "incident.owner").await;
    let undo = a.undo("/incidents/1/assign", "owner=sre-3").await;
    a.act("POST /undo/{token}", &undo, json!(""), "incident.owner").await;
    let undo = a.undo("/incidents/1/split", &format!("only={b}")).await;
    a.act("POST /undo/{token}", &undo, json!(""), "incident.undo_split").await;
    a.act("POST /deliveries/{id}/replay", &format!("/deliveries/{delivery}/replay"), json!(""), "delivery.replay")
        .await;

    let matcher = "field=service&op=%3D&value=nothing&reason=x&do=save";
    a.act("POST /silences/new", "", json!(format!("kind=silence&length=60&{matcher}")), "silence.create").await;
    a.act(
        "POST /silences/{id}/edit",
        "/silences/S-1/edit",
        json!(format!("kind=silence&length=90&{matcher}")),
        "silence.change",
    )
    .await;
    a.act("POST /silences/{id}/extend", "/silences/S-1/extend", json!("minutes=240"), "silence.change").await;
    a.act("POST /silences/{id}/end", "/silences/S-1/end", json!(""), "silence.end").await;
    let threshold = format!("count=5&distinct=&by=host&within=10&{matcher}");
    a.act("POST /silences/thresholds/new", "", json!(threshold), "threshold.create").await;
    let id = text(&a.test.get("/api/thresholds").await.json["thresholds"][0]["id"]);
    let at = format!("/silences/thresholds/{id}");
    let changed = threshold.replace("count=5", "count=6");
    a.act("POST /silences/thresholds/{id}", &at, json!(changed), "threshold.change").await;
    a.act("POST /silences/thresholds/{id}/remove", &format!("{at}/remove"), json!(""), "threshold.remove").await;

    a.act("POST /topology/service", "", json!("was=&name=shop&depends_on=api"), "service.add").await;
    let import = form_urlencoded::Serializer::new("how=add&json=".to_owned()).finish()
        + &form_urlencoded::byte_serialize(br#"{"services":[{"name":"x"}]}"#).collect::<String>();
    a.act("POST /topology/import", "", json!(import), "services.update").await;
    let calls =
        json!({"id": "d", "title": "D", "service": "web", "severity": "high", "labels": {"peer.service": "cache"}});
    a.test.deliver("generic", &calls).await;
    a.act("POST /topology/edges", "", json!("from=web&to=cache&do=dismiss"), "edge.dismiss").await;

    let all: BTreeSet<String> = pages().into_iter().map(|(m, p)| format!("{m} {p}")).collect();
    if all.contains("POST /incidents/new") {
        a.act("POST /incidents/new", "", json!("title=Odd&service=odd&severity=high"), "incident.declare").await;
    }
    if all.contains("POST /incidents/views") {
        a.act("POST /incidents/views", "", json!("name=Mine&q=status%3Aresolved"), "view.create").await;
        let mine = answer(a.test.request(Method::GET, "/api/views").header("cookie", &a.session)).await.json;
        let at = format!("/incidents/views/{}", text(&mine["views"][0]["id"]));
        a.act("POST /incidents/views/{id}", &at, json!("name=Ours"), "view.change").await;
        a.act("POST /incidents/views/{id}/remove", &format!("{at}/remove"), json!(""), "view.remove").await;
    }

    let c = |rest: &str| (format!("POST /connectors/{{platform}}/{rest}"), format!("/connectors/generic/{rest}"));
    for (what, body, want) in [
        ("reveal", "", "connector.reveal_key"),
        ("rotate", "", "connector.update"),
        ("test", "", "connector.test"),
        ("opens", "opens=high", "connector.update"),
        ("proof", "auth=key", "connector.update"),
        ("switch", "do=pause", "connector.update"),
        ("limits", "rate=100&closes=", "connector.update"),
        ("groups", "groups=on", "connector.update"),
        ("rca", "rca=on", "connector.update"),
        ("identity", "do=save&fields=service", "connector.update"),
    ] {
        a.act(&c(what).0, &c(what).1, json!(body), want).await;
    }
    a.act("POST /connectors/new", "", json!("slug=batch-jobs&title=body.x&do=save"), "connector.declare").await;
    let at = "/connectors/batch-jobs/declaration";
    a.act("POST /connectors/{platform}/declaration", at, json!("title=body.y&do=save"), "connector.update").await;
    let cloud = cloud(Seen::default()).await.replace(':', "%3A").replace('/', "%2F");
    let account = format!("do=connect&api_token={API_TOKEN}&base_url={cloud}%2Fcloud");
    a.act("POST /connectors/netdata/account", "", json!(account), "connector.update").await;

    notifications(&mut a).await;
    a.act("POST /settings/correlation/try", "", json!("mode=any&days=30"), "backtest.begin").await;
    a.act("POST /settings/correlation", "", json!("window=0s"), "correlation.set").await;
    a.act("POST /settings/correlation/undo", "", json!(""), "correlation.set").await;
    a.act("POST /settings/investigation", "", json!("investigation.delay=9s"), "investigation.set").await;
    a.act("POST /settings/storage/backup", "", json!(""), "backup.download").await;
    let lee = format!("name=lee&role=viewer&password={}", PASSWORD.replace(' ', "+"));
    a.act("POST /settings/people", "", json!(lee), "user.create").await;
    a.act("POST /setup/people", "", json!(lee.replace("lee", "max")), "user.create").await;
    a.act("POST /setup/first-alert", "", json!("platform=grafana"), "connector.test").await;
    for (what, body, want) in [
        ("role", "role=responder&full_name=Lee".to_owned(), "user.role"),
        ("password", lee.clone(), "user.password"),
        ("disable", "disabled=on".to_owned(), "user.disable"),
        ("sign-out", String::new(), "session.revoke_all"),
        ("remove", String::new(), "user.remove"),
    ] {
        let (route, at) = (format!("POST /settings/people/{{name}}/{what}"), format!("/settings/people/lee/{what}"));
        a.act(&route, &at, json!(body), want).await;
    }
    a.act("POST /settings/tokens", "", json!("name=ci&scope=read&days=30"), "token.create").await;
    a.act("POST /settings/tokens/revoke", "", json!("name=ci"), "token.revoke").await;
    a.act("POST /settings/you", "", json!("full_name=Kim"), "user.full_name").await;
    let passwords = format!("old={0}&new={0}", PASSWORD.replace(' ', "+"));
    a.act("POST /settings/you/password", "", json!(passwords), "user.password").await;
    a.act("POST /settings/you/sign-out", "", json!(""), "session.revoke_all").await;
    a.test.clock.advance(std::time::Duration::from_secs(60));
    a.act("POST /session/extend", "", json!(""), "session.extend").await;
    let body = format!("user=kim&password={}", PASSWORD.replace(' ', "+"));
    a.act("POST /login", "", json!(body), "session.start").await;
    let mine = answer(a.test.request(Method::GET, "/api/sessions").header("cookie", &a.session)).await.json;
    let rows = mine["sessions"].as_array().unwrap();
    let other = text(&rows.iter().find(|s| s["current"] == false).unwrap()["id"]);
    a.act("POST /settings/sessions/{id}/end", &format!("/settings/sessions/{other}/end"), json!(""), "session.revoke")
        .await;
    a.act("POST /logout", "", json!(""), "session.end").await;

    whole(&a, all.into_iter().filter(|route| route.starts_with("POST ")));
    a.test.stop().await;
}

/// Everything about who is told, made, changed, switched and removed again.
async fn notifications(a: &mut Acts) {
    let s = "/settings/notifications";
    let newest = async |a: &Acts| text(&a.test.get("/api/audit?limit=1").await.json["audit"][0]["subject"]);
    let channel = "name=ops&s.url=https%3A%2F%2F127.0.0.1%3A9%2Fhooks%2Fnowhere";
    let at = format!("{s}/new/mattermost");
    a.act(&format!("POST {s}/new/{{kind}}"), &at, json!(channel), "channel.create").await;
    let ch = newest(a).await;
    a.act(&format!("POST {s}/channels/{{id}}"), &format!("{s}/channels/{ch}"), json!("name=Ops"), "channel.change")
        .await;
    for (what, body, want) in [("test", "", "channel.test"), ("switch", "enabled=on", "channel.change")] {
        a.act(&format!("POST {s}/channels/{{id}}/{what}"), &format!("{s}/channels/{ch}/{what}"), json!(body), want)
            .await;
    }
    let contacts = format!("channel={ch}&address=&from=high");
    a.act("POST /settings/contacts", "", json!(contacts), "contacts.change").await;
    let at = "/settings/people/kim/contacts";
    a.act("POST /settings/people/{name}/contacts", at, json!("channel=&address=&from="), "contacts.change").await;
    let schedule = "name=Shop&time_zone=UTC&r0.people=kim&r0.starts_on=2026-03-02&r0.hand_over=09:00&r0.days=7";
    let policy = "name=Steps&s0.after=0&s0.target=person%3Akim&repeat=0";
    let beat = "name=Beat&from=platform&platform=grafana&every=10+min&severity=high&enabled=on";
    let rule = format!("name=All&enabled=on&event=opened&target=channel%3A{ch}&do=save");
    let mut made = Vec::new();
    for (of, body, what) in [
        ("/on-call/schedules", schedule.to_owned(), "schedule"),
        ("/on-call/policies", policy.to_owned(), "policy"),
        ("/on-call/heartbeats", beat.to_owned(), "heartbeat"),
        ("/settings/notifications/rules", rule, "rule"),
    ] {
        a.act(&format!("POST {of}/new"), "", json!(body), &format!("{what}.create")).await;
        let id = newest(a).await;
        a.act(&format!("POST {of}/{{id}}"), &format!("{of}/{id}"), json!(body), &format!("{what}.change")).await;
        made.push((of, id, what));
    }
    let (of, id, _) = &made[3];
    for (what, body) in [("move", "to=up"), ("switch", "enabled=off")] {
        a.act(&format!("POST {of}/{{id}}/{what}"), &format!("{of}/{id}/{what}"), json!(body), "rule.change").await;
    }
    let at = format!("{}/{}/override", made[0].0, made[0].1);
    let body = json!("person=kim&from=&until=2027-03-03T12%3A00");
    a.act("POST /on-call/schedules/{id}/override", &at, body, "schedule.override").await;
    for (of, id, what) in made {
        let act = format!("{what}.remove");
        a.act(&format!("POST {of}/{{id}}/remove"), &format!("{of}/{id}/remove"), json!(""), &act).await;
    }
    a.act(
        &format!("POST {s}/channels/{{id}}/remove"),
        &format!("{s}/channels/{ch}/remove"),
        json!(""),
        "channel.remove",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_account_is_in_the_log() {
    let test = TestApp::start().await;
    let link = test.app().setup_link().await.unwrap().unwrap();
    let token = link.split_once("token=").unwrap().1;
    let body = format!("token={token}&user=kim&password=a+long+password&again=a+long+password");
    let request = test.request(Method::POST, "/setup").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(answer(request.body(body)).await.status, 303);
    let log = test.get("/api/audit").await;
    let first = &log.json["audit"][1];
    assert_eq!(
        (&first["action"], &first["subject"], &first["address"]),
        (&json!("user.create_first"), &json!("kim"), &json!("127.0.0.1"))
    );
    assert!(!log.text.contains(PASSWORD) && !log.text.contains(token) && !log.text.contains("argon2"));
    test.stop().await;
}
