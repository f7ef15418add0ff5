//! Every route by every role: the pages by their router's own list, the API by its description.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use watchfire::model::{Role, Scope};

use crate::{
    scopes::{fill, furnished, needed, operations},
    support::{TestApp, answer},
};

const PASSWORD: &str = "a long password";
const ROUTER: &str = include_str!("../../src/web/pages/mod.rs");

/// Method and path of every route of pages, read from the router's list.
pub fn pages() -> Vec<(Method, String)> {
    let mut found = Vec::new();
    for line in ROUTER.lines().filter_map(|l| l.trim().strip_prefix(".route(\"")) {
        let (path, handlers) = line.split_once("\", ").unwrap();
        for (mark, method) in [("get(", Method::GET), ("post(", Method::POST)] {
            if handlers.starts_with(mark) || handlers.contains(&format!(".{mark}")) {
                found.push((method, path.to_owned()));
            }
        }
    }
    assert!(found.len() > 90, "{found:?}");
    found
}

/// What a route of pages asks for; none for everybody.
fn page_needs(method: &Method, path: &str) -> Option<Role> {
    let public = [
        "/",
        "/assets/{*name}",
        "/login",
        "/login/oidc",
        "/login/oidc/return",
        "/ack/{token}",
        "/logout",
        "/logout/provider",
        "/theme",
        "/setup",
        "/settings",
    ];
    // One's own things.
    let own = [
        "/settings/browser",
        "/settings/you",
        "/settings/you/password",
        "/settings/you/sign-out",
        "/settings/sessions/{id}/end",
        "/session/extend",
        "/settings/contacts",
    ];
    let set_up = [
        "/connectors/{platform}/",
        "/connectors/new",
        "/connectors/netdata/account",
        "/settings/people",
        "/settings/tokens",
        "/settings/correlation",
        "/settings/investigation",
        "/settings/storage/backup",
        "/setup/first-alert",
        "/setup/people",
        "/settings/notifications/",
        "/on-call/",
    ];
    if public.contains(&path) {
        return None;
    }
    if *method == Method::GET {
        // Shown to others, with a note in place of what is on it: looked at below.
        let of_admins = [
            "/settings/people/{name}",
            "/setup/first-alert",
            "/setup/people",
            "/connectors/new",
            "/connectors/{platform}/declaration",
            "/settings/people/{name}/contacts",
        ];
        let set_up = ["/settings/notifications/", "/on-call/"];
        let to_act = ["/silences/new", "/silences/thresholds/new", "/silences/{id}/edit"];
        return match path {
            p if of_admins.contains(&p) || set_up.iter().any(|s| p.starts_with(s)) => Some(Role::Admin),
            p if to_act.contains(&p) => Some(Role::Responder),
            _ => Some(Role::Viewer),
        };
    }
    if own.contains(&path) {
        Some(Role::Viewer)
    } else if !["/connectors/{platform}/test", "/on-call/schedules/{id}/override"].contains(&path)
        && set_up.iter().any(|p| path.starts_with(p))
    {
        Some(Role::Admin)
    } else {
        Some(Role::Responder)
    }
}

async fn sign_in(test: &TestApp, name: &str) -> String {
    let body = format!("user={name}&password={}", PASSWORD.replace(' ', "+"));
    let request =
        test.request(Method::POST, "/login").header("content-type", "application/x-www-form-urlencoded").body(body);
    let headers = answer(request).await.headers;
    headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

async fn people(test: &TestApp) -> Vec<(Role, String)> {
    let mut signed_in = Vec::new();
    for role in Role::ALL {
        let name = format!("the-{role}");
        let made = test.post("/api/users", &json!({"name": name, "role": role, "password": PASSWORD})).await;
        assert_eq!(made.status, 201, "{}", made.text);
        signed_in.push((*role, sign_in(test, &name).await));
    }
    signed_in
}

fn missing(path: &str) -> String {
    let mut path = path.replace("{platform}", "generic");
    while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
        path.replace_range(from..=to, "77777");
    }
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_and_form_by_every_role() {
    let (test, _) = furnished().await;
    let signed_in = people(&test).await;
    for (method, path) in pages() {
        let wanted = page_needs(&method, &path);
        if wanted.is_none() {
            continue;
        }
        let at = missing(&path);
        // Whether it was let through, whatever came of it: nothing there goes by these names.
        let passes = async |session: Option<&str>| {
            let mut request = test.request(method.clone(), &at);
            if let Some(session) = session {
                request = request.header("cookie", session);
            }
            if method == Method::POST {
                request = request.header("content-type", "application/x-www-form-urlencoded").body("text=x");
            }
            // The head is enough: a stream has no end.
            let got = request.send().await.unwrap();
            let to = got.headers().get("location").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
            let status = got.status().as_u16();
            assert!(status < 500, "{method} {path}: {status}");
            status != 401 && status != 403 && !to.starts_with("/login")
        };
        assert!(!passes(None).await, "{method} {path} by nobody");
        for (role, session) in &signed_in {
            let want = wanted.is_some_and(|w| *role >= w);
            assert_eq!(passes(Some(session)).await, want, "{method} {path} by a {role}");
        }
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_the_api_by_every_role() {
    let (test, names) = furnished().await;
    let signed_in = people(&test).await;
    let missing: Vec<(&str, String)> =
        names.iter().map(|(p, n)| (*p, if *p == "{platform}" { n.clone() } else { "77777".to_owned() })).collect();
    for (method, path) in operations(&test).await {
        let wanted = match needed(&method, &path) {
            // Those are for senders, whose proof is of another kind.
            Some(Scope::Ingest) => continue,
            wanted => wanted,
        };
        let at = fill(&path, &missing);
        for (role, session) in &signed_in {
            let may = match role {
                Role::Viewer => Scope::Read,
                Role::Responder => Scope::Write,
                Role::Admin => Scope::Admin,
            };
            let got =
                test.request(method.clone(), &at).header("cookie", session).send().await.unwrap().status().as_u16();
            let want = wanted.is_none_or(|w| may.allows(w));
            assert_eq!(got != 403 && got != 401, want, "{method} {path} by a {role}: {got}");
        }
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_see_no_secrets_and_no_audit() {
    let (test, names) = furnished().await;
    let signed_in = people(&test).await;
    let settings = json!({"signing_secret": "sign-secret-1", "basic_user": "u", "basic_password": "basic-secret-1"});
    assert_eq!(test.patch("/api/connectors/generic", &settings).await.status, 200);
    let token = test.post("/api/tokens", &json!({"name": "ci-token", "scopes": ["read"]})).await.json;
    let mut secrets =
        vec!["sign-secret-1".to_owned(), "basic-secret-1".to_owned(), "argon2".to_owned(), "ci-token".to_owned()];
    secrets.push(token["token"].as_str().unwrap().to_owned());
    for platform in ["generic", "grafana", "netdata"] {
        secrets.push(test.key(platform).await);
    }
    let mut seen = BTreeSet::new();
    let mut paths: Vec<String> = pages()
        .into_iter()
        .filter(|(m, p)| *m == Method::GET && p != "/live" && !p.starts_with("/assets"))
        .map(|(_, p)| p)
        .collect();
    paths.extend(
        operations(&test)
            .await
            .into_iter()
            .filter(|(m, p)| *m == Method::GET && !p.ends_with("/stream"))
            .map(|(_, p)| p),
    );
    let real = |path: &str| {
        let by_page = path.replace("/incidents/{id}", "/incidents/1").replace("/postmortems/{id}", "/postmortems/1");
        let by_page = by_page
            .replace("/silences/thresholds/{id}", "/silences/thresholds/T-3")
            .replace("/settings/people/{name}", "/settings/people/kim");
        let by_page = if path.starts_with("/api") {
            path.to_owned()
        } else {
            let by_page = by_page.replace("/silences/{id}", "/silences/S-1").replace("{*name}", "R-1");
            let of_told = by_page.starts_with("/on-call") || by_page.starts_with("/settings/notifications");
            if of_told { by_page.replace("{id}", "1").replace("{kind}", "mattermost") } else { by_page }
        };
        let delivery = &names.iter().find(|(p, _)| p.starts_with("/api/deliveries")).unwrap().1;
        fill(&by_page.replace("/deliveries/{id}", &format!("/deliveries/{delivery}")), &names)
    };
    for path in paths {
        let at = real(&path);
        for (role, session) in signed_in.iter().filter(|(role, _)| *role != Role::Admin) {
            let got = answer(test.request(Method::GET, &at).header("cookie", session)).await;
            for secret in &secrets {
                assert!(!got.text.contains(secret.as_str()), "{path} tells a {role} {secret}: {}", got.text);
            }
            for act in ["user.create", "token.create", "connector.update"] {
                assert!(!got.text.contains(act), "{path} tells a {role} of acts: {}", got.text);
            }
            if got.status == 200 {
                seen.insert(path.clone());
            }
        }
    }
    assert!(seen.len() > 60, "{seen:?}");
    test.stop().await;
}
