//! Signing in at an OpenID provider: one that does as it is told stands in for it here; `tests/oidc/run` has a real one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, Url, header};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use watchfire::{model::Role, runtime::clock::Clock};

use crate::support::{Answer, TestApp, answer, start_of_time};

fn coded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What the provider does, as the test wants it.
struct Says {
    url: String,
    key: EcdsaKeyPair,
    kid: String,
    /// Claims over those of a right token.
    claims: Value,
    userinfo: Value,
    /// What the last sign-in asked for.
    asked: HashMap<String, String>,
    exchanged: usize,
    basic: String,
    keys_asked: usize,
    now: i64,
}

type Shared = Arc<Mutex<Says>>;

fn pair() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap()
}

async fn document(State(says): State<Shared>) -> Json<Value> {
    let url = says.lock().unwrap().url.clone();
    Json(json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"), "userinfo_endpoint": format!("{url}/userinfo"),
        "end_session_endpoint": format!("{url}/end"),
    }))
}

async fn keys(State(says): State<Shared>) -> Json<Value> {
    let mut says = says.lock().unwrap();
    says.keys_asked += 1;
    let point = says.key.public_key().as_ref().to_vec();
    Json(json!({"keys": [
        {"kty": "oct", "k": "unknown kinds are left alone"},
        {"kty": "EC", "crv": "P-256", "use": "sig", "kid": says.kid, "x": coded(&point[1..33]), "y": coded(&point[33..])},
    ]}))
}

async fn token(
    State(says): State<Shared>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let mut says = says.lock().unwrap();
    says.exchanged += 1;
    says.basic = headers.get("authorization").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let challenge = coded(&Sha256::digest(form["code_verifier"].as_bytes()));
    let fits = says.asked.get("code_challenge") == Some(&challenge)
        && says.asked.get("redirect_uri") == form.get("redirect_uri")
        && form["code"] == "the-code";
    if !fits {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"})));
    }
    let mut claims = json!({
        "iss": says.url, "aud": "watchfire", "sub": "u-1", "iat": says.now, "exp": says.now + 300,
        "nonce": says.asked["nonce"], "preferred_username": "Ann", "name": "Ann Example", "groups": ["on-call"],
    });
    for (name, value) in says.claims.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    let header = json!({"alg": "ES256", "kid": says.kid});
    let signed = format!("{}.{}", coded(header.to_string().as_bytes()), coded(claims.to_string().as_bytes()));
    let signature = says.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    let id_token = format!("{signed}.{}", coded(signature.as_ref()));
    (StatusCode::OK, Json(json!({"id_token": id_token, "access_token": "at-1", "token_type": "Bearer"})))
}

async fn userinfo(State(says): State<Shared>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    let right = headers.get("authorization").is_some_and(|v| v == "Bearer at-1");
    let said = says.lock().unwrap().userinfo.clone();
    if right { (StatusCode::OK, Json(said)) } else { (StatusCode::UNAUTHORIZED, Json(json!({}))) }
}

/// A server that knows this provider, and the provider.
async fn provided() -> (TestApp, Shared) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let says = Arc::new(Mutex::new(Says {
        url: url.clone(),
        key: pair(),
        kid: "k-1".to_owned(),
        claims: json!({}),
        userinfo: json!({}),
        asked: HashMap::new(),
        exchanged: 0,
        basic: String::new(),
        keys_asked: 0,
        now: start_of_time().millis() / 1000,
    }));
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(document))
        .route("/keys", get(keys))
        .route("/token", post(token))
        .route("/userinfo", get(userinfo))
        .with_state(says.clone());
    // Ends with the test's runtime.
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.sign_in.issuer = Some(url.parse().unwrap());
        c.sign_in.client_id = Some("watchfire".to_owned());
        c.sign_in.client_secret = Some("s3cr3t/ =".to_owned());
        c.sign_in.provider = "Keycloak".to_owned();
        c.sign_in.admins = vec!["ops".to_owned()];
        c.sign_in.responders = vec!["on-call".to_owned()];
    })
    .await;
    (test, says)
}

fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let set = answer.headers.get_all(header::SET_COOKIE).iter().map(|v| v.to_str().unwrap());
    let mut found = set.filter(|c| c.starts_with(&format!("{name}="))).map(|c| c.split(';').next().unwrap().to_owned());
    found.rfind(|c| !c.ends_with('='))
}

fn location(answer: &Answer) -> String {
    answer.headers.get(header::LOCATION).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// Begins: the query that the provider gets, and the browser's cookie.
async fn begin(test: &TestApp, says: &Shared) -> (HashMap<String, String>, String) {
    let begun = answer(test.request(Method::GET, "/login/oidc?next=/incidents%3Fq%3Da")).await;
    assert_eq!(begun.status, 303, "{}", begun.text);
    let to: Url = location(&begun).parse().unwrap();
    assert!(to.as_str().starts_with(&format!("{}/authorize?", says.lock().unwrap().url)), "{to}");
    let asked: HashMap<String, String> = to.query_pairs().into_owned().collect();
    says.lock().unwrap().asked = asked.clone();
    (asked, cookie(&begun, "watchfire-begun").unwrap())
}

async fn end(test: &TestApp, state: &str, browser: &str, more: &str) -> Answer {
    let path = format!("/login/oidc/return?state={state}&{more}");
    answer(test.request(Method::GET, &path).header("cookie", browser)).await
}

/// The whole way; what came of it.
async fn sign_in(test: &TestApp, says: &Shared) -> Answer {
    let (asked, browser) = begin(test, says).await;
    end(test, &asked["state"], &browser, "code=the-code").await
}

async fn me(test: &TestApp, session: &str) -> Value {
    answer(test.request(Method::GET, "/api/me").header("cookie", session)).await.json
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_sign_in_makes_the_person_and_groups_say_what_they_may() {
    let (test, says) = provided().await;
    let page = answer(test.request(Method::GET, "/login?next=/alerts")).await;
    assert_eq!(page.status, 200, "nobody is here yet, and somebody else says who people are");
    assert!(page.text.contains("Sign in with Keycloak") && page.text.contains("/login/oidc?next=%2Falerts"));

    let (asked, browser) = begin(&test, &says).await;
    for (name, want) in [
        ("response_type", "code"),
        ("client_id", "watchfire"),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked[name], want, "{asked:?}");
    }
    assert_eq!(asked["redirect_uri"], test.url("/login/oidc/return"));
    let done = end(&test, &asked["state"], &browser, "code=the-code").await;
    assert_eq!((done.status.as_u16(), location(&done).as_str()), (303, "/incidents?q=a"), "{}", done.text);
    let session = cookie(&done, "watchfire").unwrap();
    let who = me(&test, &session).await;
    assert_eq!(
        (&who["name"], &who["role"], &who["full_name"]),
        (&json!("ann"), &json!("responder"), &json!("Ann Example"))
    );
    assert_eq!(who["origin"], "oidc");
    let basic = says.lock().unwrap().basic.clone();
    let want = base64::engine::general_purpose::STANDARD.encode("watchfire:s3cr3t%2F+%3D");
    assert_eq!(basic, format!("Basic {want}"), "RFC 6749, 2.3.1");

    // The groups there are looked at again with every sign-in, and the person stays the same whatever they are called.
    says.lock().unwrap().claims = json!({"groups": ["ops"], "preferred_username": "ann.b"});
    let session = cookie(&sign_in(&test, &says).await, "watchfire").unwrap();
    let who = me(&test, &session).await;
    assert_eq!((&who["name"], &who["role"]), (&json!("ann"), &json!("admin")));

    // Out of all groups: no longer let in, and what was open ends.
    says.lock().unwrap().claims = json!({"groups": ["sales"]});
    let out = sign_in(&test, &says).await;
    assert_eq!(out.status, 403, "{}", out.text);
    assert!(out.text.contains("none of your groups lets you in") && cookie(&out, "watchfire").is_none());
    assert_eq!(answer(test.request(Method::GET, "/api/me").header("cookie", &session)).await.status, 401);
    let log = test.get("/api/audit?actor=ann").await.json;
    let actions: Vec<&str> = log["audit"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["user.refused", "session.start", "user.update", "session.start", "user.create"]);
    let text = log.to_string();
    assert!(!text.contains("s3cr3t") && !text.contains("at-1") && !text.contains("the-code"), "{text}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_ends_once_and_in_the_same_browser() {
    let (test, says) = provided().await;
    let check = async |what: &str, state: &str, browser: &str, more: &str, want: u16| {
        let got = end(&test, state, browser, more).await;
        assert_eq!(got.status, want, "{what}: {}", got.text);
        assert!(want == 303 || cookie(&got, "watchfire").is_none(), "{what}");
    };
    let (asked, browser) = begin(&test, &says).await;
    check("never begun", "invented", &browser, "code=the-code", 400).await;
    check("by nobody", "", "", "code=the-code", 400).await;
    check("as it should be", &asked["state"], &browser, "code=the-code", 303).await;
    check("again", &asked["state"], &browser, "code=the-code", 400).await;
    let (asked, _) = begin(&test, &says).await;
    let (_, other) = begin(&test, &says).await;
    check("in another browser", &asked["state"], &other, "code=the-code", 400).await;
    let (asked, _) = begin(&test, &says).await;
    check("in no browser", &asked["state"], "a=b", "code=the-code", 400).await;
    let (asked, browser) = begin(&test, &says).await;
    test.clock.advance(Duration::from_secs(601));
    says.lock().unwrap().now += 601;
    check("too late", &asked["state"], &browser, "code=the-code", 400).await;
    let (asked, browser) = begin(&test, &says).await;
    check("of another issuer", &asked["state"], &browser, "code=the-code&iss=https://evil.example", 400).await;
    let (asked, browser) = begin(&test, &says).await;
    let before = says.lock().unwrap().exchanged;
    let denied = end(&test, &asked["state"], &browser, "error=access_denied&error_description=Not+%3Cb%3Eyou").await;
    assert_eq!(denied.status, 403);
    assert!(denied.text.contains("Not &#60;b&#62;you"), "{}", denied.text);
    assert_eq!(says.lock().unwrap().exchanged, before, "nothing to exchange");
    let (asked, browser) = begin(&test, &says).await;
    check("a code of another sign-in", &asked["state"], &browser, "code=other", 502).await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_let_nobody_in() {
    let (test, says) = provided().await;
    let now = says.lock().unwrap().now;
    for (what, claims, want) in [
        ("for another", json!({"aud": "other"}), 401),
        ("of another issuer", json!({"iss": "https://evil.example"}), 401),
        ("expired", json!({"exp": now - 120}), 401),
        ("of another sign-in", json!({"nonce": "other"}), 401),
        ("of nobody", json!({"sub": null}), 401),
        ("with a name that is none", json!({"preferred_username": "<b>"}), 403),
        ("with a name that has a meaning", json!({"preferred_username": "system"}), 403),
    ] {
        says.lock().unwrap().claims = claims;
        let got = sign_in(&test, &says).await;
        assert_eq!(got.status, want, "{what}: {}", got.text);
        assert!(cookie(&got, "watchfire").is_none(), "{what}");
    }
    assert_eq!(test.get("/api/users").await.json["total"], 0);
    says.lock().unwrap().claims = json!({});
    assert_eq!(sign_in(&test, &says).await.status, 303);

    // Keys that are not listed are not believed; once they are, they are asked for again.
    let asked = says.lock().unwrap().keys_asked;
    {
        let mut says = says.lock().unwrap();
        (says.key, says.kid) = (pair(), "k-2".to_owned());
    }
    assert_eq!(sign_in(&test, &says).await.status, 401, "asked for just now");
    test.clock.advance(Duration::from_secs(11));
    assert_eq!(sign_in(&test, &says).await.status, 303, "the provider has changed its keys");
    assert_eq!(says.lock().unwrap().keys_asked, asked + 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_of_one_person_and_groups_may_stand_elsewhere() {
    let (test, says) = provided().await;
    let local = json!({"name": "ann", "role": "admin", "password": "correct horse battery"});
    assert_eq!(test.post("/api/users", &local).await.status, 201, "a local administrator beside the provider");
    let refused = sign_in(&test, &says).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert!(refused.text.contains("there is another ann here already"));

    says.lock().unwrap().claims = json!({"preferred_username": "bea", "sub": "u-2", "groups": null});
    says.lock().unwrap().userinfo = json!({"sub": "u-2", "groups": ["ops"], "preferred_username": "mallory"});
    let done = sign_in(&test, &says).await;
    let who = me(&test, &cookie(&done, "watchfire").unwrap()).await;
    assert_eq!((&who["name"], &who["role"]), (&json!("bea"), &json!("admin")), "userinfo adds, and replaces nothing");
    says.lock().unwrap().userinfo = json!({"sub": "u-3", "groups": ["ops"]});
    assert_eq!(sign_in(&test, &says).await.status, 401, "userinfo of another person");
    says.lock().unwrap().claims = json!({"preferred_username": "bea", "sub": "u-3"});
    assert_eq!(sign_in(&test, &says).await.status, 403, "another person of the same name");

    for (method, path, body) in [
        (Method::PATCH, "/api/users/bea", json!({"role": "viewer"})),
        (Method::PATCH, "/api/users/bea", json!({"password": "another long one"})),
    ] {
        let got = answer(test.request(method, path).bearer_auth(crate::support::TOKEN).json(&body)).await;
        assert_eq!(got.status, 409, "{}", got.text);
    }
    let off = test.patch("/api/users/bea", &json!({"disabled": true})).await;
    assert_eq!((off.status.as_u16(), &off.json["disabled"]), (200, &json!(true)));
    says.lock().unwrap().claims = json!({"preferred_username": "bea", "sub": "u-2", "groups": ["ops"]});
    let out = sign_in(&test, &says).await;
    assert!(out.status == 403 && out.text.contains("disabled"), "{}", out.text);
    let password = answer(
        test.request(Method::POST, "/login")
            .header("content-type", "application/x-www-form-urlencoded")
            .body("user=bea&password="),
    )
    .await;
    assert_eq!(password.status, 401, "no password is theirs, not even none");
    assert_eq!(test.get("/api/users/ann").await.json["role"], json!(Role::Admin));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_leads_to_the_provider_as_well() {
    let (test, says) = provided().await;
    let session = cookie(&sign_in(&test, &says).await, "watchfire").unwrap();
    let out = answer(test.request(Method::POST, "/logout").header("cookie", &session)).await;
    assert_eq!(location(&out), "/login?out=provider");
    let page = answer(test.request(Method::GET, "/login?out=provider")).await;
    assert!(page.text.contains("Sign out of Keycloak too"));
    let there: Url = location(&answer(test.request(Method::GET, "/logout/provider")).await).parse().unwrap();
    assert_eq!(there.path(), "/end");
    assert!(there.query_pairs().any(|(n, v)| n == "post_logout_redirect_uri" && v == test.url("/login")));
    assert_eq!(answer(test.request(Method::GET, "/api/me").header("cookie", &session)).await.status, 401);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_be_asked_is_said() {
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.sign_in.issuer = Some("http://127.0.0.1:9".parse().unwrap());
        c.sign_in.client_id = Some("watchfire".to_owned());
        c.sign_in.viewers = vec!["*".to_owned()];
    })
    .await;
    let got = answer(test.request(Method::GET, "/login/oidc")).await;
    assert_eq!(got.status, 502);
    assert!(got.text.contains("127.0.0.1:9 cannot be reached"), "{}", got.text);
    // The first failure may be a moment's; from the second on it is asked less often, and the page says so.
    assert_eq!(answer(test.request(Method::GET, "/login/oidc")).await.status, 502);
    for _ in 0..3 {
        let resting = answer(test.request(Method::GET, "/login/oidc")).await;
        assert_eq!(resting.status, 503);
        assert!(resting.text.contains("asked again in 10"), "{}", resting.text);
    }
    let page = || answer(test.request(Method::GET, "/login"));
    assert!(page().await.text.contains("did not answer several times"));
    test.clock.advance(Duration::from_secs(10));
    assert!(!page().await.text.contains("did not answer several times"));
    assert_eq!(answer(test.request(Method::GET, "/login/oidc")).await.status, 502, "asked again");
    let longer = answer(test.request(Method::GET, "/login/oidc")).await;
    assert!(longer.status == 503 && longer.text.contains("asked again in 20"), "{}", longer.text);
    // A local administrator is still made by the link, and signs in.
    let link = test.app().setup_link().await.unwrap().unwrap();
    let token = link.split_once("token=").unwrap().1;
    let body = format!("token={token}&user=kim&password=correct-horse&again=correct-horse");
    let made =
        test.request(Method::POST, "/setup").header("content-type", "application/x-www-form-urlencoded").body(body);
    assert!(cookie(&answer(made).await, "watchfire").is_some());
    test.stop().await;
    let test = TestApp::start().await;
    assert_eq!(answer(test.request(Method::GET, "/login/oidc")).await.status, 404, "none is configured");
    test.stop().await;
}
