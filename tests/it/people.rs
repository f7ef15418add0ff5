//! People: who they are, where they are signed in, and how that ends.

use std::time::Duration;

use reqwest::{Method, header};
use serde_json::{Value, json};
use watchfire::{ingest::declare::NewIncident, model::*, runtime::clock::Clock, store::NewDelivery};

use crate::support::{Answer, PATIENCE, TestApp, answer, start_of_time};

const PASSWORD: &str = "a long password";

async fn form(test: &TestApp, path: &str, fields: &[(&str, &str)], session: &str) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = test.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    answer(request.header("cookie", session).header("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/140.0").body(body))
        .await
}

fn session(answer: &Answer) -> Option<String> {
    let mut set = answer.headers.get_all(header::SET_COOKIE).iter().map(|v| v.to_str().unwrap());
    set.find(|c| c.starts_with("watchfire=")).map(|c| c.split(';').next().unwrap().to_owned()).filter(|c| c.len() > 20)
}

async fn add(test: &TestApp, name: &str, role: &str) {
    let made = test.post("/api/users", &json!({"name": name, "role": role, "password": PASSWORD})).await;
    assert_eq!(made.status, 201, "{}", made.text);
}

async fn sign_in(test: &TestApp, name: &str) -> Option<String> {
    session(&form(test, "/login", &[("user", name), ("password", PASSWORD)], "a=b").await)
}

async fn get(test: &TestApp, path: &str, cookie: &str) -> Answer {
    answer(test.request(Method::GET, path).header("cookie", cookie)).await
}

async fn works(test: &TestApp, cookie: &str) -> bool {
    get(test, "/api/me", cookie).await.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_disabled_is_out_at_once_and_comes_back_as_before() {
    let test = TestApp::start().await;
    add(&test, "kim", "admin").await;
    add(&test, "lee", "responder").await;
    let (kim, lee) = (sign_in(&test, "kim").await.unwrap(), sign_in(&test, "lee").await.unwrap());
    let done = form(&test, "/settings/people/lee/disable", &[("disabled", "on")], &kim).await;
    assert_eq!(done.status, 303, "{}", done.text);
    assert!(!works(&test, &lee).await && sign_in(&test, "lee").await.is_none());
    assert!(get(&test, "/settings/people", &kim).await.text.contains("disabled"));
    let last = form(&test, "/settings/people/kim/disable", &[("disabled", "on")], &kim).await;
    assert!(last.status == 422 && last.text.contains("last administrator"), "{}", last.text);
    assert_eq!(form(&test, "/settings/people/lee/disable", &[], &kim).await.status, 303);
    let again = sign_in(&test, "lee").await.unwrap();
    assert!(works(&test, &again).await && !works(&test, &lee).await, "old sessions stay ended");
    let lee = get(&test, "/api/users/lee", &kim).await.json;
    assert_eq!((&lee["role"], &lee["disabled"], &lee["origin"]), (&json!("responder"), &json!(false), &json!("local")));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_seen_and_ended_by_their_person_and_by_administrators() {
    let test = TestApp::start().await;
    add(&test, "kim", "admin").await;
    add(&test, "lee", "viewer").await;
    let kim = sign_in(&test, "kim").await.unwrap();
    let (one, two) = (sign_in(&test, "lee").await.unwrap(), sign_in(&test, "lee").await.unwrap());
    let mine = get(&test, "/api/sessions", &one).await.json;
    assert_eq!(mine["total"], 2);
    let rows = mine["sessions"].as_array().unwrap();
    assert!(rows.iter().all(|s| s["user"] == "lee" && s["address"] == "127.0.0.1"), "{mine}");
    assert_eq!(rows.iter().filter(|s| s["current"] == true).count(), 1);
    let page = get(&test, "/settings/you", &one).await.text;
    assert!(page.contains("Firefox on Linux") && page.contains("127.0.0.1") && page.contains("this one"), "{page}");
    assert!(!page.contains(one.trim_start_matches("watchfire=")), "what opens it is on no page");
    assert_eq!(get(&test, "/api/sessions?user=kim", &one).await.status, 403);
    assert_eq!(get(&test, "/api/sessions", &kim).await.json["total"], 3);

    let of = |rows: &[Value], current: bool| {
        rows.iter().find(|s| s["current"] == current).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let kims = of(get(&test, "/api/sessions?user=kim", &kim).await.json["sessions"].as_array().unwrap(), true);
    let end = async |id: &str, by: &str| {
        answer(test.request(Method::DELETE, &format!("/api/sessions/{id}")).header("cookie", by)).await.status
    };
    assert_eq!(end(&kims, &one).await, 404, "another's is as if it were not there");
    assert_eq!(end(&of(rows, false), &one).await, 204);
    assert!(works(&test, &one).await && !works(&test, &two).await && works(&test, &kim).await);

    // Used from elsewhere later: said after five minutes.
    test.clock.advance(Duration::from_secs(301));
    assert!(works(&test, &one).await);
    let used =
        test.until("/api/sessions?user=lee", |s| s["sessions"][0]["last_used"] == "2026-03-03T10:35:01.000Z").await;
    assert_eq!(used["total"], 1);
    let three = sign_in(&test, "lee").await.unwrap();
    assert_eq!(form(&test, "/settings/you/sign-out", &[], &three).await.status, 303);
    assert!(!works(&test, &one).await && works(&test, &three).await, "everywhere but here");
    assert_eq!(form(&test, "/settings/people/lee/sign-out", &[], &kim).await.status, 303);
    assert!(!works(&test, &three).await && works(&test, &kim).await);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_what_the_old_one_opened() {
    let test = TestApp::start().await;
    add(&test, "kim", "admin").await;
    add(&test, "lee", "viewer").await;
    let (here, there) = (sign_in(&test, "lee").await.unwrap(), sign_in(&test, "lee").await.unwrap());
    let wrong = form(&test, "/settings/you/password", &[("old", "not it"), ("new", "another long one")], &here).await;
    assert!(wrong.status == 422 && wrong.text.contains("password now is not right"), "{}", wrong.text);
    let short = form(&test, "/settings/you/password", &[("old", PASSWORD), ("new", "short")], &here).await;
    assert!(short.status == 422 && short.text.contains("10 to 1024"), "{}", short.text);
    assert!(works(&test, &there).await);
    let done = form(&test, "/settings/you/password", &[("old", PASSWORD), ("new", "another long one")], &here).await;
    assert_eq!(done.status, 303, "{}", done.text);
    assert!(works(&test, &here).await && !works(&test, &there).await);
    assert!(sign_in(&test, "lee").await.is_none());
    // By an administrator: nothing of theirs stays.
    let kim = sign_in(&test, "kim").await.unwrap();
    assert_eq!(form(&test, "/settings/people/lee/password", &[("password", PASSWORD)], &kim).await.status, 303);
    assert!(!works(&test, &here).await && sign_in(&test, "lee").await.is_some());
    let called =
        answer(test.request(Method::PATCH, "/api/me").header("cookie", &kim).json(&json!({"full_name": " Kim "})))
            .await;
    assert_eq!(called.json["full_name"], "Kim");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_extended_until_its_person_must_sign_in_again() {
    let test =
        TestApp::start_with(Clock::manual(start_of_time()), |c| c.session_lifetime = Duration::from_secs(2 * 86_400))
            .await;
    add(&test, "kim", "admin").await;
    let kim = sign_in(&test, "kim").await.unwrap();
    let page = get(&test, "/settings/you", &kim).await.text;
    let ends =
        |page: &str| page.split_once("data-ends=\"").unwrap().1.split_once('"').unwrap().0.parse::<i64>().unwrap();
    let start = start_of_time().millis();
    assert_eq!(ends(&page) - start, 86_400_000, "pages know when it ends");
    let extend = async || {
        let request =
            test.request(Method::POST, "/session/extend").header("cookie", &kim).header("accept", "application/json");
        answer(request).await
    };
    test.clock.advance(Duration::from_secs(86_400 - 60));
    assert_eq!(extend().await.json["ends"].as_i64().unwrap() - start, 2 * 86_400_000 - 60_000);
    test.clock.advance(Duration::from_secs(86_400 - 60));
    assert_eq!(extend().await.json["ends"].as_i64().unwrap() - start, 2 * 86_400_000, "no longer than the longest");
    test.clock.advance(Duration::from_secs(120));
    let over = extend().await;
    assert_eq!(over.headers.get("location").unwrap(), "/login?next=%2F");
    // The form that was sent too late leads back to its page.
    let late = test
        .request(Method::POST, "/incidents/1/comment")
        .header("cookie", &kim)
        .header("referer", test.url("/incidents/1?x=1"));
    let late = answer(late.header("content-type", "application/x-www-form-urlencoded").body("text=x")).await;
    assert_eq!(late.headers.get("location").unwrap(), "/login?next=%2Fincidents%2F1%3Fx%3D1");
    let strange = test.request(Method::POST, "/incidents/1/comment").header("referer", "https://evil.example/x");
    let strange = answer(strange.header("content-type", "application/x-www-form-urlencoded").body("text=x")).await;
    assert_eq!(strange.headers.get("location").unwrap(), "/login?next=%2F");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_said_where_the_reader_is() {
    let test = TestApp::start().await;
    add(&test, "kim", "admin").await;
    test.deliver("generic", &json!({"id": "a", "title": "A", "severity": "high"})).await;
    let kim = sign_in(&test, "kim").await.unwrap();
    assert!(get(&test, "/incidents/1", &kim).await.text.contains("10:30:00 UTC"));
    let saved = form(
        &test,
        "/settings/browser",
        &[("times", "zone"), ("tz", "America/New_York"), ("notify", "critical"), ("sound", "until")],
        &kim,
    )
    .await;
    let set: Vec<&str> = saved
        .headers
        .get_all(header::SET_COOKIE)
        .iter()
        .map(|v| v.to_str().unwrap().split(';').next().unwrap())
        .collect();
    let cookies = format!("{kim}; {}", set.join("; "));
    let page = get(&test, "/incidents/1", &cookies).await.text;
    assert!(page.contains("05:30:00 EST") && !page.contains("10:30:00 UTC") && !page.contains("UTC<"), "{page}");
    for mark in ["data-zone=\"America/New_York\"", "data-notify=\"critical\"", "data-sound=\"until\""] {
        assert!(page.contains(mark), "{mark}");
    }
    let wrong = form(&test, "/settings/browser", &[("times", "zone"), ("tz", "Atlantis/<b>")], &kim).await;
    assert!(wrong.status == 422 && wrong.text.contains("is not a time zone"), "{}", wrong.text);
    let utc = form(&test, "/settings/browser", &[("times", "utc"), ("tz", "America/New_York")], &kim).await;
    assert!(utc.headers.get_all(header::SET_COOKIE).iter().any(|v| v.to_str().unwrap().starts_with("tz=;")));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn set_up_goes_step_by_step_and_each_is_found_again() {
    let test = TestApp::start().await;
    add(&test, "kim", "admin").await;
    let kim = sign_in(&test, "kim").await.unwrap();
    let first = get(&test, "/setup/first-alert?platform=grafana", &kim).await;
    assert!(first.text.contains("/api/webhooks/grafana") && first.text.contains(&test.key("grafana").await));
    // Without scripts the page reloads itself every five seconds.
    for _ in 0..3 {
        assert_eq!(get(&test, "/setup/first-alert?platform=grafana", &kim).await.status, 200);
    }
    let shown = test.get("/api/audit?action=connector.reveal_key").await.json;
    assert_eq!(shown["total"], 1, "one look is one entry: {shown}");
    assert_eq!(get(&test, "/setup/arrived?after=0", &kim).await.json["received"], false);
    let sent = form(&test, "/setup/first-alert", &[("platform", "grafana")], &kim).await;
    assert_eq!(sent.headers["location"], "/setup/people");
    assert_eq!(get(&test, "/setup/arrived?after=0", &kim).await.json["received"], true);
    assert_eq!(get(&test, "/setup/first-alert", &kim).await.headers["location"], "/setup/people");
    let told = get(&test, "/setup/people", &kim).await.text;
    assert!(told.contains("opened <a class=\"mono\" href=\"/incidents/INC-1\">"), "{told}");
    let short =
        form(&test, "/setup/people", &[("name", "lee"), ("role", "responder"), ("password", "short")], &kim).await;
    assert!(short.status == 422 && short.text.contains("value=\"lee\""), "{}", short.text);
    let added =
        form(&test, "/setup/people", &[("name", "lee"), ("role", "responder"), ("password", PASSWORD)], &kim).await;
    assert_eq!(added.status, 303);
    assert!(sign_in(&test, "lee").await.is_some());
    assert!(get(&test, "/setup/done", &kim).await.text.contains("INC-1"));
    // Found again: it waits for the next one.
    test.clock.advance(Duration::from_secs(60));
    let again = get(&test, "/setup/first-alert?again=1", &kim).await;
    let after = again.text.split_once("data-after=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let arrived = format!("/setup/arrived?after={after}");
    assert_eq!(get(&test, &arrived, &kim).await.json["received"], false);
    test.clock.advance(Duration::from_secs(1));
    test.deliver("generic", &json!({"title": "x", "severity": "high"})).await;
    assert_eq!(get(&test, &arrived, &kim).await.json["received"], true);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_acts_is_filtered_paged_and_taken_out() {
    let test = TestApp::start().await;
    add(&test, "kim", "admin").await;
    let kim = sign_in(&test, "kim").await.unwrap();
    test.deliver("generic", &json!({"id": "a", "title": "A", "severity": "high"})).await;
    for severity in ["low", "critical"] {
        test.patch("/api/incidents/1", &json!({"severity": severity})).await;
    }
    test.clock.advance(Duration::from_secs(3600));
    assert_eq!(form(&test, "/incidents/1/acknowledge", &[], &kim).await.status, 303);
    let check = async |query: &str, want: &[&str]| {
        let got = test.get(&format!("/api/audit?{query}")).await;
        let actions: Vec<String> = got.json["audit"]
            .as_array()
            .unwrap_or_else(|| panic!("{}", got.text))
            .iter()
            .map(|e| e["action"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(actions, want, "{query}");
    };
    check("action=incident.*", &["incident.owner", "incident.severity", "incident.severity"]).await;
    check("action=incident.severity&limit=1", &["incident.severity"]).await;
    check("actor=kim", &["incident.owner", "session.start"]).await;
    check("actor=token:*&action=incident.*", &["incident.severity", "incident.severity"]).await;
    check("object=inc-1&since=30m", &["incident.owner"]).await;
    check("object=inc-1&until=30m", &["incident.severity", "incident.severity"]).await;
    check("object=nothing", &[]).await;
    let first = test.get("/api/audit?action=incident.*&limit=2").await.json;
    assert_eq!((&first["total"], &first["total_is_exact"]), (&json!(3), &json!(true)));
    let rest = test
        .get(&format!("/api/audit?action=incident.*&limit=2&cursor={}", first["next_cursor"].as_str().unwrap()))
        .await
        .json;
    assert_eq!(
        (rest["audit"].as_array().unwrap().len(), &rest["total"], &rest["next_cursor"]),
        (1, &json!(3), &Value::Null)
    );
    let one = &first["audit"][1];
    assert_eq!(
        (&one["data"]["before"], &one["data"]["after"]),
        (&json!({"by_hand": true, "severity": "low"}), &json!({"by_hand": true, "severity": "critical"}))
    );
    assert_eq!((&one["actor"], &one["address"]), (&json!("token:bootstrap"), &json!("127.0.0.1")));
    assert_eq!(test.get("/api/audit?since=soon").await.status, 400);

    let csv = test.get("/api/audit/export?action=incident.*").await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<&str> = csv.text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (4, "id,at,actor,action,subject,address,data"));
    assert!(
        lines[2].contains("\"{\"\"after\"\":{\"\"by_hand\"\":true,\"\"severity\"\":\"\"critical\"\"}"),
        "{}",
        lines[2]
    );
    let ndjson = test.get("/api/audit/export?format=ndjson&actor=kim").await.text;
    let acts: Vec<Value> = ndjson.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((acts.len(), &acts[0]["action"]), (2, &json!("incident.owner")));
    check("action=audit.export", &["audit.export", "audit.export"]).await;

    let page = get(&test, "/settings/audit?action=incident&object=INC-1", &kim).await.text;
    assert!(page.contains("3 acts") && page.contains("<del><bdi>low</bdi></del> → <bdi>critical</bdi>"), "{page}");
    assert!(
        page.contains("/api/audit/export?action=incident.*&amp;object=INC-1&amp;format=csv")
            || page.contains("action=incident.*"),
        "{page}"
    );
    let wrong = get(&test, "/settings/audit?since=soon", &kim).await;
    assert!(wrong.status == 422 && wrong.text.contains("is no time"));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_administrator_who_can_come_in_stays() {
    let test = TestApp::start().await;
    add(&test, "kim", "admin").await;
    // Of a provider that is no longer configured: nobody can say any more that it is them.
    let who = Foreign {
        name: "ann".to_owned(),
        origin: Voucher::Oidc,
        role: Some(Role::Admin),
        full_name: None,
        subject: Some("https://id.example ann".to_owned()),
    };
    test.app().store().welcome(who).await.unwrap();
    for change in [json!({"disabled": true}), json!({"role": "viewer"})] {
        let got = test.patch("/api/users/kim", &change).await;
        assert!(got.status == 409 && got.text.contains("last administrator"), "{change}: {}", got.text);
    }
    assert_eq!(test.delete("/api/users/kim").await.status, 409);
    add(&test, "lee", "admin").await;
    assert_eq!(test.delete("/api/users/kim").await.status, 204);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn private_views_go_with_their_person() {
    let test = TestApp::start().await;
    add(&test, "sue", "admin").await;
    add(&test, "kim", "responder").await;
    let kim = sign_in(&test, "kim").await.unwrap();
    for (name, shared) in [("Mine", false), ("Ours", true)] {
        let body = json!({"name": name, "q": "status:open", "shared": shared});
        let made = test.request(Method::POST, "/api/views").header("cookie", &kim).json(&body);
        let made = answer(made.header("sec-fetch-site", "same-origin")).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    assert_eq!(test.delete("/api/users/kim").await.status, 204);
    add(&test, "kim", "responder").await;
    let next = sign_in(&test, "kim").await.unwrap();
    let views = get(&test, "/api/views", &next).await.json;
    let names: Vec<&Value> = views["views"].as_array().unwrap().iter().map(|v| &v["name"]).collect();
    assert_eq!(names, [&json!("Ours")], "whoever is called so next finds what was shared only");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_is_applied_late_is_in_the_log_of_acts() {
    let test = TestApp::start().await;
    let signal = NewIncident { alert_title: Some("By hand".to_owned()), ..NewIncident::default() };
    let actor = Actor::Person("kim".to_owned());
    let parsed = Parsed { signals: vec![signal.signal("u-1", &actor).unwrap()], ..Parsed::default() };
    // Stored as the route stores it; nobody waits for its effect.
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let stored = NewDelivery {
        at: test.clock.now(),
        platform: "manual".to_owned(),
        outcome: DeliveryOutcome::Accepted,
        problem: None,
        headers: vec![header(DECLARED_BY, "kim"), header(DECLARED_FROM, "192.0.2.7")],
        body: b"{}".to_vec(),
        parsed,
        replay_of: None,
    };
    let stored = test.app().store().submit(stored).await.unwrap();
    assert!(test.app().store().applied(stored.seq, PATIENCE).await);
    let log = test.get("/api/audit?action=incident.declare").await.json;
    let entry = &log["audit"][0];
    assert_eq!(
        (&log["total"], &entry["actor"], &entry["subject"]),
        (&json!(1), &json!("kim"), &json!("INC-1")),
        "{log}"
    );
    assert_eq!(entry["address"], "192.0.2.7");
    let shown = test.get(&format!("/api/deliveries/{}", stored.id)).await;
    assert!(shown.status == 200 && !shown.text.contains("192.0.2.7"), "{}", shown.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_frame_of_the_product_for_those_who_are_signed_in() {
    let test = TestApp::start().await;
    add(&test, "sue", "admin").await;
    add(&test, "kim", "viewer").await;
    let kim = sign_in(&test, "kim").await.unwrap();
    let check = async |path: &str, cookie: &str, status: u16, words: &str, framed: bool| {
        let got = get(&test, path, cookie).await;
        assert_eq!(got.status, status, "{path}: {}", got.text);
        assert!(got.text.contains(words), "{path}: {}", got.text);
        assert_eq!(got.text.contains("class=\"rail\""), framed, "{path}: {}", got.text);
    };
    check("/incidents/INC-99", &kim, 404, "There is nothing here", true).await;
    check("/no/such/page", &kim, 404, "There is nothing here", true).await;
    check("/settings/people/kim", &kim, 403, "You may not do this", true).await;
    check("/no/such/page", "a=b", 404, "There is nothing here", false).await;
    let posted = form(&test, "/incidents/99/acknowledge", &[], &kim).await;
    assert!(posted.status == 403 && posted.text.contains("class=\"rail\""), "{}", posted.text);
    test.stop().await;
}
