//! Every operation of the API's own description, by every scope; and every page by everybody.

use reqwest::Method;
use serde_json::{Value, json};
use watchfire::model::Scope;

use crate::support::{TOKEN, TestApp, answer};

/// What an operation needs; none for what everybody may ask.
pub fn needed(method: &Method, path: &str) -> Option<Scope> {
    let public = ["/healthz", "/readyz", "/api/version", "/api/openapi.json"];
    let of_admins = ["/api/users", "/api/tokens", "/api/audit", "/api/backup"];
    let set_up = ["rotate-key", "reveal-key", "/declaration", "/try", "/netdata/connect", "/netdata/disconnect"];
    let telling = ["/api/channels", "/api/rules", "/api/schedules", "/api/escalation-policies", "/api/heartbeats"];
    // One's own: who may look has them.
    let own = ["/api/me", "/api/sessions"];
    if public.contains(&path) {
        None
    } else if own.iter().any(|p| path.starts_with(p)) {
        Some(Scope::Read)
    } else if path.starts_with("/api/webhooks") || path.ends_with("/interactions") {
        // The second by no token: by a tool's signature.
        Some(Scope::Ingest)
    } else if path.ends_with("/contacts") {
        // One's own are one's own; nobody is called by the name that is asked for here.
        Some(Scope::Admin)
    } else if path == "/api/rules/preview" || path.ends_with("/overrides") {
        Some(Scope::Write)
    } else if of_admins.iter().any(|p| path.starts_with(p)) || set_up.iter().any(|p| path.ends_with(p)) {
        Some(Scope::Admin)
    } else if path.ends_with("/investigation/transcript") {
        Some(Scope::Write)
    } else if method == Method::GET {
        Some(Scope::Read)
    } else if (path.starts_with("/api/connectors") && [Method::PATCH, Method::DELETE].contains(method))
        || (*method == Method::POST && path == "/api/connectors")
        || path == "/api/correlation"
        || telling.iter().any(|p| path.starts_with(p))
        || path.starts_with("/api/backtests")
    {
        Some(Scope::Admin)
    } else {
        Some(Scope::Write)
    }
}

/// Method and path of every operation.
pub async fn operations(test: &TestApp) -> Vec<(Method, String)> {
    let description = answer(test.request(Method::GET, "/api/openapi.json")).await.json;
    let paths = description["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let path = path.clone();
        let methods = item.as_object().unwrap().keys().map(|m| m.to_uppercase().parse::<Method>().unwrap());
        methods.map(|m| (m, path.clone())).collect::<Vec<_>>()
    };
    let all: Vec<(Method, String)> = paths.iter().flat_map(of).collect();
    assert!(all.len() > 40, "{all:?}");
    all
}

/// A server in which every kind of thing exists, and the names of those things.
pub async fn furnished() -> (TestApp, Vec<(&'static str, String)>) {
    let test = TestApp::start().await;
    let change = json!({"title": "v2", "service": "api", "at": "2026-03-03T10:28:00Z"});
    test.post("/api/changes", &change).await;
    let body = json!({"id": "a", "title": "A", "service": "api", "severity": "high"});
    let sent = test.deliver("generic", &body).await.json;
    let incident = test.analyzed("INC-1").await;
    assert_eq!(test.post("/api/incidents/1/postmortem/draft", &json!({})).await.status, 200);
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    test.post("/api/users", &json!({"name": "kim", "role": "admin", "password": "a long password"})).await;
    test.post("/api/users", &json!({"name": "lee", "role": "viewer", "password": "a long password"})).await;
    for title in ["Down", "Late"] {
        assert_eq!(test.post("/api/incidents", &json!({"title": title, "service": title})).await.status, 201);
    }
    assert_eq!(test.post("/api/incidents/2/merge", &json!({"incident_ids": ["3"]})).await.status, 200);
    let lessons = test.get("/api/lessons").await.json;
    let service = test.request(Method::PUT, "/api/services/api").bearer_auth(TOKEN).json(&json!({"owner": "core"}));
    assert_eq!(answer(service).await.status, 201);
    let tried = test.post("/api/backtests", &json!({})).await.json["id"].to_string();
    test.until(&format!("/api/backtests/{tried}"), |b| b["state"] == "done").await;
    let matchers = json!([{"field": "service", "op": "=", "value": "nothing"}]);
    let mute = json!({"matchers": matchers, "ends_at": "2026-03-03T12:00:00Z", "reason": "x"});
    let silence = test.post("/api/silences", &mute).await;
    let window = test.post("/api/maintenance", &mute).await;
    let threshold = json!({"matchers": matchers, "count": 3, "within_minutes": 5, "reason": "x"});
    let threshold = test.post("/api/thresholds", &threshold).await;
    assert_eq!((silence.status, window.status, threshold.status).0, 201, "{}", silence.text);
    assert_eq!(test.post("/api/views", &json!({"name": "x", "q": "status:open"})).await.status, 201);
    let runbook = test.post("/api/runbooks", &json!({"title": "x", "url": "https://wiki.example.com/x"})).await;
    let form = test.request(Method::POST, "/login").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(answer(form.body("user=kim&password=a+long+password")).await.status, 303);
    let session = test.get("/api/sessions").await.json["sessions"][0]["id"].clone();
    let mut names = told(&test).await;
    names.extend([
        ("/api/sessions/{id}", text(&session)),
        ("/api/runbooks/{id}", text(&runbook.json["id"])),
        ("/api/services/{name}", "api".to_owned()),
        ("/api/views/{id}", "V-1".to_owned()),
        ("/api/backtests/{id}", tried),
        ("/api/lessons/{lesson}", text(&lessons["lessons"][0]["id"])),
        ("/api/silences/{id}", text(&silence.json["id"])),
        ("/api/maintenance/{id}", text(&window.json["id"])),
        ("/api/thresholds/{id}", text(&threshold.json["id"])),
        ("/api/incidents/{id}", "INC-1".to_owned()),
        ("/api/alerts/{id}", text(&sent["alerts"][0]["alert_id"])),
        ("/api/deliveries/{id}", text(&sent["delivery_id"])),
        ("/api/users/{name}", "lee".to_owned()),
        ("/api/tokens/{name}", "read".to_owned()),
        ("{sid}", text(&incident["suggestions"][0]["id"])),
        ("{rank}", "1".to_owned()),
        ("{version}", "1".to_owned()),
        ("{platform}", "generic".to_owned()),
        ("{key}", "wrong".to_owned()),
        ("{token}", "wrong".to_owned()),
    ]);
    (test, names)
}

/// One of each thing of notifications.
async fn told(test: &TestApp) -> Vec<(&'static str, String)> {
    let matchers = json!([{"field": "name", "op": "=", "value": "Watchdog"}]);
    let mut names = vec![("/api/people/{name}", "lee".to_owned()), ("{kind}", "mattermost".to_owned())];
    for (list, path, page, body) in [
        // Nothing is sent there: it is an address of this machine.
        (
            "channels",
            "/api/channels/{id}",
            "/settings/notifications/channels/{id}",
            json!({"name": "ops", "kind": "mattermost", "settings": {"url": "https://127.0.0.1:9/hooks/never-shown-1"}}),
        ),
        (
            "schedules",
            "/api/schedules/{id}",
            "/on-call/schedules/{id}",
            json!({"name": "First line", "rotations": [{"people": ["kim"], "starts_on": "2026-03-02", "hand_over": "09:00", "days": 7}]}),
        ),
        (
            "escalation-policies",
            "/api/escalation-policies/{id}",
            "/on-call/policies/{id}",
            json!({"name": "Steps", "steps": [{"after_secs": 60, "targets": [{"person": "kim"}]}]}),
        ),
        (
            "rules",
            "/api/rules/{id}",
            "/settings/notifications/rules/{id}",
            json!({"name": "All", "enabled": false, "targets": [{"person": "kim"}]}),
        ),
        (
            "heartbeats",
            "/api/heartbeats/{id}",
            "/on-call/heartbeats/{id}",
            json!({"name": "Watchdog", "from": {"alerts": matchers}}),
        ),
    ] {
        let made = test.post(&format!("/api/{list}"), &body).await;
        assert_eq!(made.status, 201, "{list}: {}", made.text);
        let id = made.json["id"].as_str().unwrap().to_owned();
        names.push((page, id.clone()));
        names.push((path, id));
    }
    names
}

pub fn fill(path: &str, names: &[(&str, String)]) -> String {
    let mut filled = path.to_owned();
    for (pattern, name) in names {
        if let Some((before, _)) = pattern.split_once('{') {
            filled = filled.replace(pattern, &format!("{before}{name}"));
        }
    }
    assert!(!filled.contains('{'), "no example is known for {path}");
    filled
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_open_to_those_it_is_for_and_to_nobody_else() {
    let (test, names) = furnished().await;
    let mut tokens = Vec::new();
    for scope in Scope::ALL {
        let made = test.post("/api/tokens", &json!({"name": scope, "scopes": [scope]})).await;
        assert_eq!(made.status, 201, "{}", made.text);
        tokens.push((*scope, made.json["token"].as_str().unwrap().to_owned()));
    }
    // Things are named that are not there, so that nothing is taken away or changed on the way.
    let missing: Vec<(&str, String)> = names
        .iter()
        .map(|(p, n)| (*p, if *p == "{platform}" || *p == "{key}" { n.clone() } else { "77777".to_owned() }))
        .collect();
    for (method, path) in operations(&test).await {
        // No scope opens it, only a tool's signature: `slack_press.rs`.
        if path.ends_with("/interactions") {
            continue;
        }
        let wanted = needed(&method, &path);
        let at = fill(&path, &missing);
        let what = format!("{method} {path}");
        // The head of the answer is enough: a stream has no end.
        let status = async |token: Option<&str>| {
            let mut request = test.request(method.clone(), &at);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(status(None).await == 401, wanted.is_some(), "{what} without anything");
        for wrong in ["wf_wrong", "", TOKEN.trim_end_matches('s')] {
            assert_eq!(status(Some(wrong)).await == 401, wanted.is_some(), "{what} with a wrong token");
        }
        for (scope, token) in &tokens {
            let got = status(Some(token)).await;
            let refused = if wanted == Some(Scope::Ingest) { 401 } else { 403 };
            let allowed = wanted.is_none_or(|w| scope.allows(w));
            assert_eq!(got == refused, !allowed, "{what} with scope {scope}: {got}");
            assert!(got < 500 && (allowed || got == refused), "{what} with scope {scope}: {got}");
        }
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_path_is_there() {
    let (test, names) = furnished().await;
    let made = test.post("/api/tokens", &json!({"name": "read", "scopes": ["read"]})).await;
    assert_eq!(made.status, 201);
    let mut all = operations(&test).await;
    // What takes something away comes last.
    all.sort_by_key(|(m, _)| *m == Method::DELETE);
    for (method, path) in all {
        let at = fill(&path, &names);
        let got = test.request(method.clone(), &at).bearer_auth(TOKEN).send().await.unwrap();
        let status = got.status().as_u16();
        assert!(
            status != 404 && status != 405 && status < 500,
            "{method} {at}: {status} {}",
            got.text().await.unwrap()
        );
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_stays_as_it_was_published() {
    let test = TestApp::start().await;
    let mut description = answer(test.request(Method::GET, "/api/openapi.json")).await.json;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    description["info"]["version"] = json!("[version]");
    insta::assert_json_snapshot!("openapi", description);
    test.stop().await;
}

/// Pages that show something of the store, and forms that change it.
#[tokio::test(flavor = "multi_thread")]
async fn pages_are_for_people_who_signed_in() {
    let (test, names) = furnished().await;
    let delivery = names.iter().find(|(p, _)| p.starts_with("/api/deliveries")).unwrap().1.clone();
    let viewer = test.post("/api/tokens", &json!({"name": "viewer", "scopes": ["read"]})).await.json["token"].clone();
    let viewer = viewer.as_str().unwrap();
    for path in [
        "/incidents",
        "/incidents/1",
        "/incidents/rows",
        "/incidents/1/panels",
        "/incidents/watch",
        "/incidents/new",
        "/incidents?view=V-1&display=wall",
        "/complete?field=service",
        "/alerts/counts",
        "/alerts",
        "/connectors",
        "/connectors/grafana",
        "/connectors/netdata/alerts",
        "/deliveries",
        "/postmortems",
        "/postmortems/1",
        "/silences",
        "/silences/S-1",
        "/runbooks",
        "/runbooks/R-1",
        "/silences/thresholds",
        "/silences/thresholds/T-3",
        &format!("/deliveries/{delivery}"),
        "/topology",
        "/topology?q=a&service=api",
        "/topology/service?name=api",
        "/topology/import",
        "/settings/browser",
        "/settings/correlation",
        "/settings/lessons",
        "/settings/storage",
        "/settings/about",
        "/settings/you",
        "/settings/audit",
        "/live",
    ] {
        let stranger = test.request(Method::GET, path).send().await.unwrap();
        let (status, headers) = (stranger.status().as_u16(), stranger.headers().clone());
        let to = headers.get("location").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        assert!(status == 401 || (to.starts_with("/login") && status == 303), "{path}: {status} {to}");
        let shown = stranger.text().await.unwrap();
        assert!(!shown.contains("INC-1") && !shown.contains("generic"), "{path}: {shown:.300}");
        if path != "/live" {
            harmless(path, &test.get(path).await);
        }
        assert_eq!(test.request(Method::GET, path).bearer_auth(viewer).send().await.unwrap().status(), 200, "{path}");
    }
    let people = answer(test.request(Method::GET, "/settings/people").bearer_auth(viewer)).await.text;
    assert!(people.contains("For administrators") && !people.contains("kim"), "people are for administrators");
    assert!(test.get("/settings/people").await.text.contains("kim"));
    for path in [
        "/incidents/1/acknowledge",
        "/incidents/1/resolve",
        "/incidents/1/reopen",
        "/incidents/1/comment",
        "/incidents/1/investigate",
        "/incidents/1/merge",
        "/incidents/1/unmerge",
        "/incidents/1/split",
        "/alerts/019cb05d-7200-7000-8000-000000000001/attach",
        "/incidents/1/causes/1",
        "/incidents/1/suggestions/S1",
        "/postmortems/1",
        "/postmortems/1/draft",
        "/postmortems/1/publish",
        "/postmortems/1/restore",
        "/settings/lessons/forget",
        "/incidents/bulk",
        "/connectors/grafana/reveal",
        "/connectors/grafana/rotate",
        "/connectors/grafana/test",
        "/connectors/grafana/opens",
        "/connectors/grafana/proof",
        "/connectors/grafana/switch",
        "/connectors/grafana/rca",
        "/connectors/grafana/identity",
        "/connectors/grafana/limits",
        "/connectors/netdata/account",
        "/connectors/new",
        "/silences/new",
        "/silences/S-1/edit",
        "/silences/S-1/extend",
        "/silences/S-1/end",
        "/silences/thresholds/new",
        "/silences/thresholds/T-3",
        "/silences/thresholds/T-3/remove",
        "/connectors/grafana/declaration",
        &format!("/deliveries/{delivery}/replay"),
        "/topology/service",
        "/topology/edges",
        "/topology/import",
        "/settings/people",
        "/settings/people/lee/role",
        "/settings/people/lee/password",
        "/settings/people/lee/disable",
        "/settings/people/lee/sign-out",
        "/settings/people/lee/remove",
        "/settings/tokens",
        "/settings/tokens/revoke",
        "/settings/storage/backup",
        "/settings/correlation",
        "/settings/correlation/undo",
        "/settings/correlation/try",
        "/settings/correlation/cancel",
    ] {
        let post = |token: Option<&str>| {
            let request = test
                .request(Method::POST, path)
                .header("content-type", "application/x-www-form-urlencoded")
                .body("text=x&reason=x");
            match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            }
        };
        let stranger = answer(post(None)).await;
        let to = stranger.headers.get("location").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        assert!(stranger.status == 401 || to.starts_with("/login"), "{path}: {} {to}", stranger.status);
        assert_eq!(answer(post(Some(viewer))).await.status, 403, "{path} by a viewer");
    }
    assert_eq!(test.get("/api/incidents/1").await.json["status"], "analyzed", "nothing was done");
    test.stop().await;
}

/// What keeps a browser from running what a page should not have.
fn harmless(path: &str, page: &crate::support::Answer) {
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    for part in
        ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "object-src 'none'"]
    {
        assert!(policy.contains(part), "{path}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{path}: {policy}");
    for (name, want) in
        [("x-content-type-options", "nosniff"), ("referrer-policy", "same-origin"), ("cache-control", "no-store")]
    {
        assert_eq!(page.headers[name], want, "{path}");
    }
    assert!(!page.text.contains("<script>") && !page.text.contains(" style=\""), "{path}: the policy would stop it");
}
