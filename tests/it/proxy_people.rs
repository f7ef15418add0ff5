//! People whom a proxy in front has signed in: believed from its address alone.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;
use watchfire::runtime::clock::Clock;

use crate::support::{Answer, PATIENCE, TestApp, answer, start_of_time};

async fn behind(proxies: &str) -> TestApp {
    let proxies = vec![proxies.parse().unwrap()];
    TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.trusted_proxies = proxies;
        c.sign_in.user_header = Some("x-forwarded-user".to_owned());
        c.sign_in.groups_header = Some("x-forwarded-groups".to_owned());
        c.sign_in.admins = vec!["ops".to_owned()];
        c.sign_in.viewers = vec!["staff".to_owned()];
    })
    .await
}

async fn as_person(test: &TestApp, path: &str, user: &str, groups: &str) -> Answer {
    let request = test.request(Method::GET, path).header("x-forwarded-user", user).header("x-forwarded-groups", groups);
    answer(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_names_the_person_and_their_groups() {
    let test = behind("127.0.0.1/32").await;
    let check = async |user: &str, groups: &str, want: u16, role: &str| {
        let got = as_person(&test, "/api/me", user, groups).await;
        assert_eq!(got.status, want, "{user} {groups}: {}", got.text);
        if want == 200 {
            assert_eq!((&got.json["name"], &got.json["role"]), (&json!(user.to_lowercase()), &json!(role)), "{groups}");
        }
    };
    check("Ann", "staff, ops", 200, "admin").await;
    check("ann", "staff", 200, "viewer").await;
    check("ann", "sales|staff", 200, "viewer").await;
    check("ann", "sales", 403, "").await;
    check("ann", "", 403, "").await;
    check("bob", "sales", 403, "").await;
    check("ann", "ops", 200, "admin").await;
    check("<b>", "ops", 403, "").await;
    check("", "ops", 401, "").await;
    let two = test.request(Method::GET, "/api/me").header("x-forwarded-user", "ann").header("x-forwarded-user", "root");
    assert_eq!(answer(two.header("x-forwarded-groups", "ops")).await.status, 403, "two names are none");
    let people = test.get("/api/users").await.json;
    assert_eq!((&people["total"], &people["users"][0]["origin"]), (&json!(1), &json!("proxy")), "{people}");
    assert_eq!(as_person(&test, "/incidents", "ann", "ops").await.status, 200, "pages as well");
    assert_eq!(test.patch("/api/users/ann", &json!({"disabled": true})).await.status, 409, "the last administrator");
    let local = json!({"name": "kim", "role": "admin", "password": "a long password"});
    assert_eq!(test.post("/api/users", &local).await.status, 201);
    check("kim", "ops", 403, "").await;
    assert_eq!(test.patch("/api/users/ann", &json!({"disabled": true})).await.status, 200);
    check("ann", "ops", 403, "").await;
    // A form of another site uses a header as little as a cookie.
    let cross = test
        .request(Method::POST, "/settings/you")
        .header("x-forwarded-user", "ann")
        .header("sec-fetch-site", "cross-site");
    assert_eq!(answer(cross.body("")).await.status, 403);
    test.stop().await;
}

/// What was logged, for as long as it is the default of this thread's runtime.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// On one thread, so that its log is the one of the test.
#[tokio::test]
async fn from_elsewhere_the_header_is_ignored_and_said() {
    let log = Log::default();
    let own = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || own.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let test = behind("192.0.2.1/32").await;
    for path in ["/api/me", "/api/users", "/incidents"] {
        let got = as_person(&test, path, "root", "ops").await;
        assert!(got.status == 401 || got.status == 303, "{path}: {}", got.text);
        // Nor does the header that names the proxy make it come from there.
        let lied =
            test.request(Method::GET, path).header("x-forwarded-user", "root").header("x-forwarded-groups", "ops");
        let got = answer(lied.header("x-forwarded-for", "192.0.2.1")).await;
        assert!(got.status == 401 || got.status == 303, "{path}: {}", got.text);
    }
    assert_eq!(test.get("/api/users").await.json["total"], 0, "nobody was made");
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = said.lines().filter(|l| l.contains("not in trusted_proxies")).collect();
    assert!(lines.len() == 1 && lines[0].contains("127.0.0.1") && lines[0].contains("WARN"), "{said}");
    assert!(!said.contains("root"), "what strangers write is not repeated: {said}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_another_persons_is_written_down_once_an_hour() {
    let test = behind("127.0.0.1/32").await;
    let local = json!({"name": "kim", "role": "admin", "password": "a long password"});
    assert_eq!(test.post("/api/users", &local).await.status, 201);
    let check = async |want: u64| {
        for _ in 0..5 {
            let got = as_person(&test, "/api/me", "kim", "ops").await;
            assert_eq!(got.status, 403, "{}", got.text);
            assert!(got.text.contains("another kim"), "{}", got.text);
        }
        assert_eq!(test.get("/api/audit?action=user.refused").await.json["total"], want);
    };
    check(1).await;
    test.clock.advance(Duration::from_secs(3599));
    check(1).await;
    test.clock.advance(Duration::from_secs(2));
    check(2).await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_on_several_lines_are_read_whole_or_refused() {
    let test = behind("127.0.0.1/32").await;
    let request = || test.request(Method::GET, "/api/me").header("x-forwarded-user", "ann");
    let two = request().header("x-forwarded-groups", "staff").header("x-forwarded-groups", "sales, ops");
    let got = answer(two).await;
    assert_eq!((got.status.as_u16(), &got.json["role"]), (200, &json!("admin")), "{}", got.text);
    let odd = reqwest::header::HeaderValue::from_bytes(b"gr\xfcn").unwrap();
    let got = answer(request().header("x-forwarded-groups", "ops").header("x-forwarded-groups", odd)).await;
    assert_eq!(got.status, 403, "a line that cannot be read: {}", got.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_a_proxy_vouched_for_ends_within_a_minute_and_changes_nobody() {
    let test = behind("127.0.0.1/32").await;
    assert_eq!(as_person(&test, "/api/me", "ann", "ops").await.json["role"], "admin");
    let request = test.request(Method::GET, "/api/incidents/stream").header("x-forwarded-user", "ann");
    let mut stream = request.header("x-forwarded-groups", "ops").send().await.unwrap();
    assert_eq!(stream.status(), 200);
    // What the stream was opened with is of the past now.
    assert_eq!(as_person(&test, "/api/me", "ann", "staff").await.json["role"], "viewer");
    let began = test.clock.now();
    let ended = async {
        loop {
            match timeout(Duration::from_millis(50), stream.chunk()).await {
                Ok(Ok(None) | Err(_)) => return,
                Ok(Ok(Some(_))) => {}
                Err(_) => test.clock.advance(Duration::from_secs(5)),
            }
        }
    };
    timeout(PATIENCE, ended).await.expect("it ends");
    let took = test.clock.now().since(began).as_secs();
    assert!((60..=75).contains(&took), "{took}");
    assert_eq!(test.get("/api/users/ann").await.json["role"], "viewer", "an old header gives nothing back");
    test.stop().await;
}
