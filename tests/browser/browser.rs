//! A browser with an empty profile, and the few words in which the tests speak to it.

use std::time::{Duration, Instant};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    elements::Element,
    wd::WindowHandle,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::{
    driver,
    support::{PATIENCE, TestApp, answer},
};

pub const NAME: &str = "on-call";
pub const PASSWORD: &str = "four plain words here";

/// Runs before any script of a page: what the browser complains about, and what moves.
const WATCH: &str = r"
    window.watched = { refused: [], errors: [], moved: 0, moves: [] };
    addEventListener('securitypolicyviolation', (e) => watched.refused.push(e.violatedDirective + ' ' + e.blockedURI));
    addEventListener('error', (e) => watched.errors.push(String(e.message)));
    addEventListener('unhandledrejection', (e) => watched.errors.push(String(e.reason)));
    new PerformanceObserver((all) => {
        for (const e of all.getEntries()) {
            // The button with the number of new ones grows with its words, over what is read.
            const read = e.sources.map((s) => s.node).filter((n) => n && !n.parentElement?.closest('#newpill'));
            if (read.length) watched.moved += e.value;
            watched.moves.push(...read.map((n) => n.id || n.className || n.nodeName));
        }
    }).observe({ type: 'layout-shift', buffered: true });
    // What can be taken back for eight seconds can be so for as long as a slow machine needs to press it.
    const wait = window.setTimeout;
    window.setTimeout = (run, ms, ...more) => wait(run, ms === 8000 ? 120000 : ms, ...more);
";

/// A session. It ends when this is dropped, in a failed test, too.
pub struct Browser {
    client: Client,
    session: String,
    base: String,
    http: reqwest::Client,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        driver::end(&self.session);
    }
}

/// How a browser is started.
#[derive(Clone, Copy)]
pub struct With {
    pub scripts: bool,
    pub width: u32,
    pub height: u32,
}

impl Default for With {
    fn default() -> Self {
        Self { scripts: true, width: 1440, height: 900 }
    }
}

impl Browser {
    pub async fn new(test: &TestApp) -> Self {
        Self::start(test, With::default()).await
    }

    pub async fn start(test: &TestApp, with: With) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut args = vec![
            "--headless=new".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--window-size={},{}", with.width, with.height),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if is_root() {
            args.push("--no-sandbox".to_owned());
        }
        let scripts = if with.scripts { 1 } else { 2 };
        let capabilities = json!({
            "browserName": "chrome",
            "unhandledPromptBehavior": "ignore",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {
                "binary": driver::chromium(), "args": args,
                "prefs": {"profile.managed_default_content_settings.javascript": scripts,
                    "credentials_enable_service": false, "profile.password_manager_enabled": false},
            },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let mut connector = ClientBuilder::new(HttpConnector::new());
        let client = connector.capabilities(capabilities).connect(&driver::url()).await;
        let client = client.expect("chromedriver starts a browser");
        let session = client.session_id().await.unwrap().unwrap();
        let browser = Self { client, session, base: test.app().url(), http: reqwest::Client::new(), _profile: profile };
        browser.size(with.width, with.height).await;
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": WATCH})).await;
        browser
    }

    /// Signed in as administrator.
    pub async fn signed_in(test: &TestApp) -> Self {
        Self::signed_in_with(test, With::default()).await
    }

    /// Signed in as administrator.
    pub async fn signed_in_with(test: &TestApp, with: With) -> Self {
        make_account(test).await;
        let browser = Self::start(test, with).await;
        browser.sign_in(NAME, PASSWORD).await;
        browser.at("/incidents").await;
        browser
    }

    /// Fills in the form and sends it.
    pub async fn sign_in(&self, name: &str, password: &str) {
        self.open("/login").await;
        self.fill("#u", name).await;
        self.fill("#p", password).await;
        self.click("form .btn.primary").await;
    }

    pub async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.expect(path);
    }

    /// A whole address, such as the one of a link in the log.
    pub async fn follow(&self, url: &str) {
        self.client.goto(url).await.expect(url);
    }

    pub async fn path(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        url.query().map_or_else(|| url.path().to_owned(), |q| format!("{}?{q}", url.path()))
    }

    /// Waits until the page of that path is there.
    pub async fn at(&self, path: &str) {
        let script = format!("location.pathname === {} && document.readyState === 'complete'", json!(path));
        self.until(&format!("the page {path}"), &script).await;
    }

    /// Runs a script that gives nothing.
    pub async fn run(&self, script: &str) {
        self.client.execute(script, vec![]).await.unwrap_or_else(|e| panic!("{script:.80}: {e}"));
    }

    /// The value of an expression; of a promise what it comes to.
    pub async fn js(&self, expression: &str) -> Value {
        let value = self.client.execute(&format!("return ({expression})"), vec![]).await;
        value.unwrap_or_else(|e| panic!("{expression}: {e}"))
    }

    /// Evaluates until it is true, and gives its value.
    pub async fn until(&self, what: &str, expression: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let script = format!("return ({expression})");
        loop {
            // It fails while one page gives way to the next.
            let value = self.client.execute(&script, vec![]).await;
            let yes = |v: &Value| !matches!(v, Value::Null | Value::Bool(false)) && *v != json!(0) && *v != json!("");
            match value {
                Ok(v) if yes(&v) => return v,
                last if Instant::now() > deadline => {
                    let page = self.client.execute("return location.href + '\\n' + document.body.innerText", vec![]);
                    let page = page.await.ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
                    panic!("{what} did not come; `{expression}` is {last:?}\n{page}");
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Waits until something that is shown has this text in it.
    pub async fn sees(&self, selector: &str, text: &str) {
        let script = format!(
            "[...document.querySelectorAll({})].some((e) => e.checkVisibility() && e.innerText.replaceAll('\\u00a0', ' ').includes({}))",
            json!(selector),
            json!(text)
        );
        self.until(&format!("“{text}” in {selector}"), &script).await;
    }

    /// Waits until nothing that is shown fits.
    pub async fn gone(&self, selector: &str) {
        let script = format!("![...document.querySelectorAll({})].some((e) => e.checkVisibility())", json!(selector));
        self.until(&format!("that {selector} goes"), &script).await;
    }

    pub async fn count(&self, selector: &str) -> u64 {
        self.js(&format!("document.querySelectorAll({}).length", json!(selector))).await.as_u64().unwrap()
    }

    /// The text of the first that fits.
    pub async fn text(&self, selector: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.element(selector).await.text().await {
                Ok(text) => return text,
                Err(e) => assert!(passes(&e.to_string()) && Instant::now() < deadline, "{selector}: {e}"),
            }
        }
    }

    /// The first that fits and is shown.
    pub async fn element(&self, selector: &str) -> Element {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for found in self.client.find_all(Locator::Css(selector)).await.unwrap_or_default() {
                if found.is_displayed().await.unwrap_or(false) {
                    return found;
                }
            }
            assert!(Instant::now() < deadline, "{selector} is not shown on {}", self.path().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Presses the first that fits and is shown. What lies under something that sticks is brought to the middle of the
    /// window first; what is covered or drawn anew meanwhile is looked for again. Where nobody could see it nothing scrolls.
    pub async fn click(&self, selector: &str) {
        let free = format!(
            "const e = [...document.querySelectorAll({})].find((e) => e.checkVisibility());
            if (!e) return;
            const r = e.getClientRects()[0] ?? e.getBoundingClientRect();
            const at = document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2);
            if (!at || !(e.contains(at) || at.contains(e))) e.scrollIntoView({{ block: 'center', behavior: 'instant' }});",
            json!(selector)
        );
        let deadline = Instant::now() + PATIENCE;
        loop {
            let element = self.element(selector).await;
            let _ = self.client.execute(&free, vec![]).await;
            match element.click().await {
                Ok(()) => return,
                Err(e) if !passes(&e.to_string()) || Instant::now() > deadline => {
                    panic!("{selector} cannot be pressed: {e}")
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Writes into the first that fits and is shown, in place of what is there.
    pub async fn fill(&self, selector: &str, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let field = self.element(selector).await;
            let done = match field.clear().await {
                Ok(()) => field.send_keys(text).await,
                Err(e) => Err(e),
            };
            match done {
                Ok(()) => return,
                Err(e) if !passes(&e.to_string()) || Instant::now() > deadline => {
                    panic!("{selector} cannot be written into: {e}")
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Presses keys wherever the focus is.
    pub async fn press(&self, keys: &str) {
        let actions = keys.chars().fold(KeyActions::new("keys".to_owned()), |all, value| {
            all.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        self.client.perform_actions(actions).await.unwrap();
    }

    /// The size of the page, narrower than a window can be as well.
    pub async fn size(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// A new tab, which is looked at from now on; what it was that was looked at before.
    pub async fn new_tab(&self) -> WindowHandle {
        let before = self.client.window().await.unwrap();
        let made = self.client.new_window(true).await.unwrap();
        self.client.switch_to_window(made.handle).await.unwrap();
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": WATCH})).await;
        before
    }

    /// Looks at another tab.
    pub async fn to_tab(&self, tab: &WindowHandle) {
        self.client.switch_to_window(tab.clone()).await.unwrap();
    }

    /// Closes the one that is looked at.
    pub async fn close_tab(&self) {
        self.client.close_window().await.unwrap();
    }

    /// The size of text that the reader's browser is set to, in pixels; 16 unless somebody changes it.
    pub async fn text_size(&self, pixels: u32) {
        let sizes = json!({"fontSizes": {"standard": pixels, "fixed": pixels * 13 / 16}});
        self.devtools("Page.setFontSizes", sizes).await;
    }

    /// What the reader's system says of itself: features of media queries by name; `print` for paper.
    pub async fn media(&self, medium: &str, features: &[(&str, &str)]) {
        let features: Vec<Value> = features.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        self.devtools("Emulation.setEmulatedMedia", json!({"media": medium, "features": features})).await;
    }

    /// What is shown, as PNG; `whole` goes down to the end of the page.
    pub async fn picture(&self, whole: bool) -> Vec<u8> {
        let taken =
            self.devtools("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": whole})).await;
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, taken["data"].as_str().unwrap()).unwrap()
    }

    /// What is shown, as a small WebP for documents.
    pub async fn small_picture(&self) -> Vec<u8> {
        let taken = self.devtools("Page.captureScreenshot", json!({"format": "webp", "quality": 80})).await;
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, taken["data"].as_str().unwrap()).unwrap()
    }

    /// What the browser has complained about since the last time.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.ask("se/log", json!({"type": "browser"})).await;
        let all = log.as_array().unwrap().iter().filter(|l| l["level"] == "SEVERE" || l["level"] == "WARNING");
        let mut all: Vec<String> = all.map(|l| l["message"].to_string()).collect();
        let more = self.js("[...watched.refused, ...watched.errors]").await;
        all.extend(more.as_array().unwrap().iter().map(ToString::to_string));
        all
    }

    /// Whether a dialog of the browser is open.
    pub async fn has_alert(&self) -> bool {
        self.client.get_alert_text().await.is_ok()
    }

    pub async fn devtools(&self, command: &str, params: Value) -> Value {
        self.ask("goog/cdp/execute", json!({"cmd": command, "params": params})).await
    }

    /// A command of chromedriver's own.
    async fn ask(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/session/{}/{path}", driver::url(), self.session);
        let mut answer = answer(self.http.post(url).json(&body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json["value"].take()
    }
}

/// An administrator.
pub async fn make_account(test: &TestApp) {
    let made = test.post("/api/users", &json!({"name": NAME, "role": "admin", "password": PASSWORD})).await;
    assert_eq!(made.status, 201, "{}", made.text);
}

/// Whether it is worth another try: the page was drawn anew between looking and pressing, or something lay over it.
fn passes(error: &str) -> bool {
    ["stale element", "click intercepted", "not interactable", "not found in the current frame", "detached"]
        .iter()
        .any(|part| error.contains(part))
}

// Chromium's sandbox does not work for root.
fn is_root() -> bool {
    let id = std::process::Command::new("id").arg("-u").output();
    id.is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}
