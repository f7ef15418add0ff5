//! A whole Watchfire in the test's process: temporary folder, free port, a clock that stands still until it is moved.
#![allow(dead_code, reason = "each test uses the part of the harness that it needs")]

use std::{path::PathBuf, time::Duration};

use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;
use watchfire::{
    app::App,
    config::{self, Config, CorrelationMode},
    model::Time,
    runtime::clock::Clock,
};

/// The administrator's token of every test.
pub const TOKEN: &str = "test-token-of-the-integration-tests";
/// Nothing takes this long unless it hangs: on a disk that others write to a sync takes a second, and a step needs some.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// When the manual clock starts.
pub fn start_of_time() -> Time {
    "2026-03-03T10:30:00Z".parse().unwrap()
}

/// A running server with its folder and clock.
pub struct TestApp {
    app: Option<App>,
    pub config: Config,
    pub clock: Clock,
    http: reqwest::Client,
    dir: tempfile::TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    /// Null when the body is not JSON.
    pub json: Value,
}

impl TestApp {
    /// With a manual clock.
    pub async fn start() -> Self {
        Self::start_with(Clock::manual(start_of_time()), |_| {}).await
    }

    /// Where one rule is enough for an alert to join.
    pub async fn start_any() -> Self {
        Self::start_with(Clock::manual(start_of_time()), |c| c.correlation_mode = CorrelationMode::Any).await
    }

    /// With another clock or other settings.
    pub async fn start_with(clock: Clock, change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config::defaults(dir.path().join("data"));
        config.listen = "127.0.0.1:0".to_owned();
        config.bootstrap_token = Some(TOKEN.to_owned());
        config.cache_bytes = 4 << 20;
        // Nothing is asked of the internet; nobody listens there.
        config.outside = Some("http://127.0.0.1:9".to_owned());
        // A machine for tests may have little space.
        config.reserve = 0;
        change(&mut config);
        let app = App::start(config.clone(), clock.clone()).await.unwrap();
        let http =
            // The server ends connections that are idle, on a busy machine just when one is used again.
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap();
        Self { app: Some(app), config, clock, http, dir }
    }

    /// Stops and starts on the same folder, as an upgrade does.
    pub async fn restart(&mut self) {
        self.app.take().unwrap().stop().await;
        self.app = Some(App::start(self.config.clone(), self.clock.clone()).await.unwrap());
    }

    /// The same on a clock that was set meanwhile.
    pub async fn restart_at(&mut self, at: Time) {
        self.app.take().unwrap().stop().await;
        self.clock = Clock::manual(at);
        self.app = Some(App::start(self.config.clone(), self.clock.clone()).await.unwrap());
    }

    /// Stops; `bring_back` starts it again at the same address.
    pub async fn take_away(&mut self) {
        let app = self.app.take().unwrap();
        self.config.listen = app.addr().to_string();
        app.stop().await;
    }

    /// After `take_away`: the same folder, the same address.
    pub async fn bring_back(&mut self) {
        self.app = Some(App::start(self.config.clone(), self.clock.clone()).await.unwrap());
    }

    /// Stops, and has the store checked.
    pub async fn stop(mut self) {
        let app = self.app.take().unwrap();
        let violated = app.store().check().await.unwrap();
        assert_eq!(violated, Vec::<String>::new(), "the store check");
        tokio::time::timeout(PATIENCE, app.stop()).await.expect("it stops in time");
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.config.data_dir.clone()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.app().url())
    }

    /// A request without any credentials.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// As administrator.
    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path).bearer_auth(TOKEN)).await
    }

    /// As administrator.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::POST, path).bearer_auth(TOKEN).json(body)).await
    }

    /// As administrator.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::PUT, path).bearer_auth(TOKEN).json(body)).await
    }

    /// As administrator.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::PATCH, path).bearer_auth(TOKEN).json(body)).await
    }

    /// As administrator.
    pub async fn delete(&self, path: &str) -> Answer {
        answer(self.request(Method::DELETE, path).bearer_auth(TOKEN)).await
    }

    /// The key of a connector.
    pub async fn key(&self, platform: &str) -> String {
        let name = platform.to_owned();
        let settings =
            self.app().store().read(move |v| v.connector(&name)).await.unwrap().expect("the connector is there");
        self.app().store().sealer().open(&settings.key).unwrap()
    }

    /// Delivers a payload as the platform would, with its key, and waits until it has been applied.
    pub async fn deliver(&self, platform: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, &format!("/api/webhooks/{platform}"));
        let request = request.header("x-watchfire-key", self.key(platform).await).header("prefer", "wait=10");
        answer(request.json(body)).await
    }

    /// A small body to an address, with no other proof than what stands in it.
    pub async fn knock_at(&self, path: &str) -> Answer {
        answer(self.request(Method::POST, path).body(r#"{"title":"x"}"#)).await
    }

    /// The same without waiting, with these headers over the usual ones.
    pub async fn knock(&self, platform: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = self.request(Method::POST, &format!("/api/webhooks/{platform}")).body(body);
        request = request.header("x-watchfire-key", self.key(platform).await);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// The incident once its investigation has ended.
    pub async fn analyzed(&self, id: &str) -> Value {
        let path = format!("/api/incidents/{id}");
        // An investigation waits for the rest of a burst, and the clock stands still.
        self.clock.advance(Duration::from_secs(10));
        self.until(&path, |i| {
            // One that is made again rests a while longer.
            if i["investigation"]["state"] == "queued" {
                let view = self.app().store().view().expect("the store is open");
                let job = view.job(id.parse().expect("an incident")).expect("the store is read");
                self.clock.advance(job.map(|job| job.not_before.since(self.clock.now())).unwrap_or_default());
            }
            i["investigation"]["state"] == "complete"
        })
        .await
    }

    /// Waits until the change with that sequence number is durable and published.
    pub async fn wait_for(&self, seq: u64) {
        let mut changes = self.app().store().changes();
        let reached = tokio::time::timeout(PATIENCE, changes.wait_for(|now| *now >= seq)).await;
        reached.expect("the change comes in time").expect("the store is open");
    }

    /// Asks again after each change until `ready` says yes.
    pub async fn until(&self, path: &str, ready: impl Fn(&Value) -> bool) -> Value {
        let mut changes = self.app().store().changes();
        let last = async {
            loop {
                // Marked as seen before asking, so that a change in between is not missed.
                changes.borrow_and_update();
                let now = self.get(path).await.json;
                if ready(&now) {
                    return now;
                }
                changes.changed().await.expect("the store is open");
            }
        };
        match tokio::time::timeout(PATIENCE, last).await {
            Ok(value) => value,
            Err(_) => panic!("{path} did not become ready: {}", self.get(path).await.text),
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if self.app.is_some() && !std::thread::panicking() {
            panic!("end the test with `stop().await`: it checks the store");
        }
    }
}

/// For tests with a client of their own: `App::start` does it for all others.
pub fn crypto() {
    watchfire::runtime::tls::install_provider();
}

/// The body of a recorded request, and its headers.
pub fn fixture(name: &str) -> (Value, Vec<(String, String)>) {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path);
    let headers = file["headers"].as_object().into_iter().flatten();
    let headers = headers.map(|(n, v)| (n.clone(), v.as_str().unwrap().to_owned())).collect();
    (file["body"].clone(), headers)
}

/// Sends and reads.
pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status, headers, text, json }
}
