//! Every page in every width and theme: nothing sticks out, nothing is complained about, every field has a name. The
//! pictures are left in `target/pictures`; those of the README are among them.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use serde_json::json;
use watchfire::{
    model::*,
    notifications::links::{Linked, Links},
    runtime::clock::Clock,
    store::{Finish, NewChannel},
};

use crate::{
    browser::{Browser, NAME, PASSWORD, make_account},
    judges, story,
    support::{TestApp, start_of_time},
};

const WIDTHS: [(u32, u32); 4] = [(1440, 900), (1024, 768), (390, 844), (360, 740)];

/// What is wrong with a page, in words.
const WRONG: &str = "[
    document.documentElement.scrollWidth > innerWidth ? 'sticks out: ' + [...document.querySelectorAll('main *')]
        .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && e.checkVisibility() && !e.closest('.scroll'))
        .slice(-3).map((e) => e.tagName + '.' + e.className + ' to ' + Math.round(e.getBoundingClientRect().right)).join(', ')
        + ' of ' + innerWidth : '',
    ...[...document.querySelectorAll('.actionbar .btn')].filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth)
        .map((e) => 'an action is cut off: ' + e.innerText),
    document.querySelectorAll('h1').length !== 1 ? 'h1: ' + document.querySelectorAll('h1').length : '',
    ...[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth + 1 && e.checkVisibility())
        .map((e) => 'a table scrolls sideways, ' + e.scrollWidth + ' in ' + e.clientWidth),
    ...[...document.querySelectorAll('input:not([type=hidden]),select,textarea')]
        .filter((e) => e.checkVisibility() && !e.labels?.length && !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby'))
        .map((e) => 'without a label: ' + e.outerHTML.slice(0, 80)),
    ...[...document.querySelectorAll('button,a[href],summary')]
        .filter((e) => e.checkVisibility() && !(e.innerText ?? e.textContent).trim() && !e.getAttribute('aria-label') && !e.closest('[aria-hidden]'))
        .map((e) => 'without a name: ' + e.outerHTML.slice(0, 80)),
    ...[...document.querySelectorAll('[id]')].map((e) => e.id).filter((id, n, all) => all.indexOf(id) !== n).map((id) => 'twice: #' + id),
    ...[...document.querySelectorAll('[aria-describedby],[aria-labelledby],label[for]')]
        .flatMap((e) => [e.getAttribute('aria-describedby'), e.getAttribute('aria-labelledby'), e.getAttribute('for')].filter(Boolean).join(' ').split(' '))
        .filter((id) => id && !document.getElementById(id)).map((id) => 'names nobody: ' + id),
].filter(Boolean)";

/// Whether the page itself scrolls sideways; tables and figures may, in their own box.
const REFLOWS: &str = "document.documentElement.scrollWidth > innerWidth ? document.documentElement.scrollWidth + ' of ' + innerWidth + ': '
    + [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && e.checkVisibility() && !e.closest('.scroll'))
    .slice(-3).map((e) => e.tagName + '.' + (e.className.baseVal ?? e.className)).join(', ') : ''";

pub fn pictures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(target).join("pictures");
    fs::create_dir_all(&dir).unwrap();
    dir
}

struct Look<'a> {
    browser: &'a Browser,
    wrong: Vec<String>,
    /// Pages as they were sent, by name.
    pages: Vec<(String, String)>,
}

impl<'a> Look<'a> {
    fn with(browser: &'a Browser) -> Self {
        Self { browser, wrong: Vec::new(), pages: Vec::new() }
    }

    /// In all widths, light and dark.
    async fn at(&mut self, name: &str, path: &str) {
        for theme in ["light", "dark"] {
            self.theme(theme).await;
            for (width, height) in WIDTHS {
                self.browser.size(width, height).await;
                self.browser.open(path).await;
                self.browser.until("scripts", "document.documentElement.classList.contains('on')").await;
                let wrong = self.browser.js(WRONG).await;
                let wrong = wrong.as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned());
                // An error page is a failed request for the browser.
                let complaints = self
                    .browser
                    .complaints()
                    .await
                    .into_iter()
                    .filter(|c| !c.contains("404 (Not Found)") && !c.contains("403 (Forbidden)"));
                let here = format!("{name} at {width} {theme}");
                self.wrong.extend(wrong.chain(complaints).map(|w| format!("{here}: {w}")));
                // Every colour and both shapes of the page once; all widths of both would take a quarter of an hour.
                if [("light", 1440), ("dark", 390)].contains(&(theme, width)) {
                    let found = judges::accessibility(self.browser).await;
                    self.wrong.extend(found.into_iter().map(|f| format!("{here}: {f}")));
                }
                if (theme, width) == ("light", 1440) {
                    self.pages.push((name.to_owned(), judges::source(self.browser).await));
                }
                let file = format!("{name}-{theme}-{width}.png");
                fs::write(pictures().join(file), self.browser.picture(true).await).unwrap();
                if theme == "light" && (width == 1440 || width == 360) {
                    self.enlarged(&here, width).await;
                }
            }
        }
    }

    /// The page that is open with text of twice the size, or as narrow as a zoom of 400 % makes it.
    async fn enlarged(&mut self, here: &str, width: u32) {
        // A wall is read from afar, in a size that it is set up with.
        if width == 1440 && here.starts_with("incidents-wall") {
            return;
        }
        let how = if width == 1440 {
            self.browser.text_size(32).await;
            "text of 200 %"
        } else {
            self.browser.size(320, 640).await;
            "320 px"
        };
        let wide = self.browser.js(REFLOWS).await;
        if wide != "" {
            self.wrong.push(format!("{here} with {how}: {}", wide.as_str().unwrap()));
        }
        self.browser.text_size(16).await;
    }

    /// What a form has answered with, in all widths, without asking for it again.
    async fn here(&mut self, name: &str) {
        for (width, height) in WIDTHS {
            self.browser.size(width, height).await;
            let wrong = self.browser.js(WRONG).await;
            let wrong = wrong.as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned());
            // A form that is refused is a failed request for the browser.
            let complaints = self.browser.complaints().await;
            let complaints = complaints.into_iter().filter(|c| !c.contains("422 (Unprocessable"));
            self.wrong.extend(wrong.chain(complaints).map(|w| format!("{name} at {width}: {w}")));
            let file = format!("{name}-{width}.png");
            fs::write(pictures().join(file), self.browser.picture(true).await).unwrap();
        }
    }

    /// One of the README's: a small picture of the first screen, light and dark.
    async fn for_the_readme(&self, name: &str, path: &str) {
        self.browser.size(1440, 900).await;
        for theme in ["light", "dark"] {
            self.theme(theme).await;
            self.browser.open(path).await;
            self.browser.until("scripts", "document.documentElement.classList.contains('on')").await;
            let live = "!document.body.dataset.live || document.documentElement.dataset.stream === 'live'";
            self.browser.until("the stream", live).await;
            let file = format!("readme-{name}-{theme}.webp");
            fs::write(pictures().join(file), self.browser.small_picture().await).unwrap();
        }
    }

    async fn theme(&self, theme: &str) {
        self.browser.js(&format!("(document.cookie = 'theme={theme}; path=/; samesite=lax')")).await;
    }

    fn end(mut self) {
        self.wrong.extend(judges::markup(&self.pages));
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_the_start() {
    let test = TestApp::start().await;
    let browser = Browser::new(&test).await;
    browser.open("/setup").await;
    let mut look = Look::with(&browser);
    let link = test.app().setup_link().await.unwrap().unwrap();
    let link = link.strip_prefix(&test.app().url()).unwrap();
    look.at("setup-link", "/setup").await;
    look.at("setup", link).await;
    make_account(&test).await;
    look.at("login", "/login").await;
    browser.sign_in(NAME, PASSWORD).await;
    browser.at("/incidents").await;
    look.for_the_readme("setup", "/setup/first-alert").await;
    look.at("setup-alert", "/setup/first-alert").await;
    look.at("incidents-empty", "/incidents").await;
    look.at("alerts-empty", "/alerts").await;
    look.at("services-empty", "/topology").await;
    look.at("connectors-empty", "/connectors").await;
    look.at("deliveries-empty", "/deliveries").await;
    test.deliver("generic", &json!({"title": "My first alert", "severity": "high", "service": "demo"})).await;
    look.at("setup-people", "/setup/people").await;
    look.at("setup-done", "/setup/done").await;
    look.at("incidents-one", "/incidents").await;
    look.at("incident-waiting", "/incidents/1").await;
    test.post("/api/incidents/1/resolve", &json!({})).await;
    test.clock.advance(Duration::from_secs(13 * 3600));
    let browser = Browser::new(&test).await;
    browser.sign_in(NAME, PASSWORD).await;
    browser.at("/incidents").await;
    look.browser = &browser;
    look.at("incidents-quiet", "/incidents").await;
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_a_day() {
    let test = TestApp::start().await;
    make_account(&test).await;
    story::tell(&test).await;
    let browser = Browser::new(&test).await;
    browser.sign_in(NAME, PASSWORD).await;
    browser.at("/incidents").await;
    let mut look = Look::with(&browser);

    let all = test.get("/api/incidents?limit=50").await.json;
    let outage = all["incidents"].as_array().unwrap().iter().find(|i| i["alert_count"].as_u64() > Some(5)).unwrap();
    let outage = outage["id"].as_str().unwrap();
    look.for_the_readme("incidents", "/incidents").await;
    look.for_the_readme("incident", &format!("/incidents/{outage}")).await;
    look.at("incidents", "/incidents").await;
    look.at("incidents-filtered", "/incidents?q=severity%3Ahigh%20checkout").await;
    look.at("incidents-mistaken", "/incidents?q=severity%3Ahgh").await;
    look.at("incident", &format!("/incidents/{outage}")).await;
    look.at("incident-resolve", &format!("/incidents/{outage}?do=resolve")).await;
    look.at("incident-merge", &format!("/incidents/{outage}?do=merge")).await;
    for what in ["assign", "severity", "snooze"] {
        look.at(&format!("incident-{what}"), &format!("/incidents/{outage}?do={what}")).await;
    }
    let minutes = json!({"minutes": 600});
    assert_eq!(test.post(&format!("/api/incidents/{outage}/snooze"), &minutes).await.status, 200);
    look.at("incident-snoozed", &format!("/incidents/{outage}")).await;
    test.post(&format!("/api/incidents/{outage}/wake"), &json!({})).await;
    look.at("incident-closed", "/incidents/2").await;
    look.at("incident-owned", "/incidents/3").await;
    look.at("alerts", "/alerts").await;
    let alert = test.get(&format!("/api/incidents/{outage}")).await.json["alerts"][0]["alert_id"].clone();
    look.at("alert", &format!("/alerts?id={}", alert.as_str().unwrap())).await;
    let broken = test.knock("grafana", &[], b"{\"alerts\": 7}".to_vec()).await;
    assert_eq!(broken.status, 422, "{}", broken.text);
    for _ in 0..14 {
        assert_eq!(test.knock_at("/api/webhooks/splunk/wk_of-yesterday").await.status, 401);
    }
    look.at("connectors", "/connectors").await;
    look.at("connector", "/connectors/grafana").await;
    look.at("connector-netdata", "/connectors/netdata").await;
    look.at("connector-refused", "/connectors/splunk").await;
    look.at("connector-builds", "/connectors/jenkins").await;
    look.at("netdata-alerts", "/connectors/netdata/alerts").await;
    look.at("netdata-alerts-none", "/connectors/netdata/alerts?status=CLEAR&space=nowhere").await;
    look.at("connector-new", "/connectors/cloudbees").await;
    look.at("deliveries", "/deliveries").await;
    let deliveries = test.get("/api/deliveries?limit=20").await.json;
    let id = |n: usize| deliveries["deliveries"][n]["id"].as_str().unwrap().to_owned();
    look.at("delivery-refused", &format!("/deliveries/{}", id(0))).await;
    look.at("delivery", &format!("/deliveries/{}", id(1))).await;
    look.at("settings-browser", "/settings/browser").await;
    let token = test.post("/api/tokens", &json!({"name": "deploy-pipeline", "scopes": ["ingest", "read"]})).await;
    assert_eq!(token.status, 201, "{}", token.text);
    let kim = json!({"name": "kim", "role": "responder", "password": "a long password"});
    assert_eq!(test.post("/api/users", &kim).await.status, 201);
    test.patch("/api/users/kim", &json!({"full_name": "Kim of the night shift"})).await;
    look.at("settings-you", "/settings/you").await;
    look.at("settings-people", "/settings/people").await;
    look.at("settings-person", "/settings/people/kim").await;
    look.at("settings-audit", "/settings/audit").await;
    look.at("settings-audit-some", "/settings/audit?action=user&object=kim").await;
    let wider = json!({"settings": {"mode": "any", "reopen_within_secs": 60}, "days": 30});
    let tried = test.post("/api/backtests", &wider).await.json["id"].to_string();
    test.until(&format!("/api/backtests/{tried}"), |b| b["state"] == "done").await;
    look.at("settings-correlation", "/settings/correlation").await;
    look.at("settings-investigation", "/settings/investigation").await;
    browser.size(1440, 900).await;
    browser.fill("[id='investigation.delay']", "a while").await;
    browser.click("#bounds .btn.primary").await;
    browser.sees("[id='e-investigation.delay']", "not").await;
    look.here("settings-investigation-wrong").await;
    look.at("settings-storage", "/settings/storage").await;
    look.at("settings-about", "/settings/about").await;
    look.at("insights-few", "/insights").await;
    look.at("missing", "/incidents/999").await;
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_the_months_of_a_demo() {
    let test = TestApp::start_with(Clock::manual(start_of_time()), |config| config.demo = true).await;
    let browser = Browser::new(&test).await;
    let (name, password) = test.app().demo_account().unwrap();
    browser.sign_in(name, password).await;
    browser.at("/incidents").await;
    let mut look = Look::with(&browser);
    look.for_the_readme("demo", "/insights").await;
    look.at("insights", "/insights").await;
    look.at("insights-service", "/insights?service=payments&since=1y").await;
    let page = test.get("/insights").await.text;
    let hour = page.split("href=\"/insights/hour?").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    look.at("insights-hour", &format!("/insights/hour?{hour}")).await;
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_what_goes_wrong() {
    let test = TestApp::start().await;
    let body = json!({"title": "Queue of mails is late", "service": "mailer", "host": "mail-1", "severity": "high"});
    test.deliver("generic", &body).await;
    test.analyzed("1").await;
    let store = test.app().store();
    // The server is after the same work: whoever is first has it, and it is asked for again until that is this test.
    let me = || Actor::Person(NAME.into());
    let job = loop {
        let _ = store.investigate(IncidentId(1), me()).await;
        if let Some(job) = store.lease_job(Duration::from_secs(60), "built-in").await.unwrap() {
            break job;
        }
    };
    let error = Some("It was begun 3 times and the process ended each time before it was done.".to_owned());
    let finish = Finish {
        state: InvestigationState::Error,
        conclusion: None,
        summary: None,
        error,
        around: Vec::new(),
        answer: Investigation::default(),
    };
    store.finish_investigation(job.lease(), finish).await.unwrap();
    make_account(&test).await;
    let viewer = json!({"name": "auditor", "role": "viewer", "password": PASSWORD});
    assert_eq!(test.post("/api/users", &viewer).await.status, 201);
    let browser = Browser::new(&test).await;
    browser.sign_in("auditor", PASSWORD).await;
    browser.at("/incidents").await;
    let mut look = Look::with(&browser);
    look.at("incident-failed", "/incidents/1").await;
    look.at("error-forbidden", "/settings/audit").await;
    look.at("error-missing", "/incidents/999").await;
    look.at("error-no-page", "/nothing-like-it").await;
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_a_storm_of_incidents() {
    let test = TestApp::start().await;
    // Something is known of each service, so that neither the clock nor a like title joins anything.
    let names = ["checkout", "payments", "orders", "search", "mail", "gateway", "auth", "booking"];
    let service = |n: u64| format!("{}-{n}", names[(n * n % 8) as usize]);
    let apart: Vec<_> =
        (0..1_100).map(|n| json!({"name": service(n), "depends_on": [format!("{}-store", service(n))]})).collect();
    assert!(test.put("/api/topology", &json!({ "services": apart })).await.status.is_success());
    for part in 0..11_u64 {
        let alerts = (0..100).map(|k| part * 100 + k).map(|n| {
            let severity = ["critical", "high", "medium", "low"][n as usize % 4];
            let started = start_of_time().minus(Duration::from_secs(n * 2_400));
            json!({"title": format!("Queue {n} is late"), "service": service(n), "host": format!("zone-{n}"),
                "key": format!("z{n}"), "severity": severity, "started_at": started})
        });
        let sent = test.deliver("generic", &json!({ "alerts": alerts.collect::<Vec<_>>() })).await;
        assert_eq!(sent.status, 202, "{}", sent.text);
    }
    let open = test.get("/api/incidents?limit=1").await.json["total"].as_u64().unwrap();
    assert!(open >= 1_000, "{open} are open, as far as they are counted");
    let browser = Browser::signed_in(&test).await;
    let mut look = Look::with(&browser);
    look.at("incidents-storm", "/incidents").await;
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_lists() {
    let test = TestApp::start().await;
    make_account(&test).await;
    story::tell(&test).await;
    for (name, q) in [("Payments", "service:pay*"), ("Failed builds", "source:jenkins")] {
        assert_eq!(test.post("/api/views", &json!({"name": name, "q": q, "shared": true})).await.status, 201);
    }
    let browser = Browser::new(&test).await;
    browser.sign_in(NAME, PASSWORD).await;
    browser.at("/incidents").await;
    let mut look = Look::with(&browser);
    look.at("incidents-views", "/incidents?view=V-1").await;
    look.at("incidents-nothing", "/incidents?q=severity%3Acritical%20service%3Asearch-apis").await;
    look.at("incidents-mistaken-field", "/incidents?q=severty%3Ahigh&was=status%3Aopen").await;
    look.at("incidents-by-service", "/incidents?group=service&density=compact").await;
    look.at("incidents-wall", "/incidents?display=wall").await;
    let alerts = json!({"name": "Latency", "q": "name:checkout*", "kind": "alerts", "shared": true});
    assert_eq!(test.post("/api/views", &alerts).await.status, 201);
    look.at("alerts-view", "/alerts?view=V-3").await;
    look.at("alerts-by-service", "/alerts?group=service").await;
    look.at("alerts-mistaken", "/alerts?q=hots%3Aa&was=status%3Afiring").await;
    look.at("incident-declare", "/incidents/new").await;
    look.theme("dark").await;
    browser.size(1440, 900).await;
    browser.open("/incidents").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    browser.click("tr[data-row] input").await;
    browser.sees("[data-count-selected]", "1 selected").await;
    fs::write(pictures().join("incidents-bulk.png"), browser.picture(false).await).unwrap();
    browser.fill("#q", "ser").await;
    browser.sees("#q-list", "service:").await;
    fs::write(pictures().join("incidents-completion.png"), browser.picture(false).await).unwrap();
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_who_is_told() {
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| c.notify_plain_http = true).await;
    let browser = Browser::signed_in(&test).await;
    let kim = json!({"name": "kim", "role": "responder", "password": "a long password"});
    assert_eq!(test.post("/api/users", &kim).await.status, 201);
    let mut look = Look::with(&browser);
    look.at("settings-notifications-empty", "/settings/notifications").await;
    look.at("on-call-empty", "/on-call").await;
    // All kinds have one form; these have most of its sorts of fields.
    for kind in ["mattermost", "webhook", "email"] {
        look.at(&format!("channel-new-{kind}"), &format!("/settings/notifications/new/{kind}")).await;
    }
    let store = test.app().store().clone();
    let (at, me) = (start_of_time(), Actor::Person(NAME.to_owned()));
    let mut channels = Vec::new();
    for (name, kind) in
        [("#incidents", "mattermost"), ("A channel with a name that is as long as people make them", "mattermost")]
    {
        let secret = store.sealer().seal("https://chat.example.com/hooks/nowhere").unwrap();
        let new = NewChannel {
            name: name.to_owned(),
            kind: kind.to_owned(),
            settings: BTreeMap::from([("channel".to_owned(), "incidents".to_owned())]),
            secrets: BTreeMap::from([("url".to_owned(), secret)]),
            shown: BTreeMap::from([("url".to_owned(), "chat.example.com/…here".to_owned())]),
            enabled: true,
            fallback: channels.first().copied(),
        };
        channels.push(store.make_channel(new, me.clone()).await.unwrap().id);
    }
    let week = |days: &[Weekday], from: &str, until: &str| WeekTimes {
        time_zone: "Europe/Berlin".to_owned(),
        days: days.to_vec(),
        from: from.to_owned(),
        until: until.to_owned(),
    };
    let turn = |people: &[&str], only: Option<WeekTimes>| Rotation {
        people: people.iter().map(|p| (*p).to_owned()).collect(),
        starts_on: "2026-03-01".to_owned(),
        hand_over: "09:00".to_owned(),
        days: 2,
        only,
    };
    let schedule = OnCallSchedule {
        id: ScheduleId(0),
        name: "Payments".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        rotations: vec![turn(&["kim", NAME], Some(week(&Weekday::ALL[..5], "08:00", "08:00")))],
        overrides: Vec::new(),
        feed_secret: String::new(),
        created_at: at,
        created_by: String::new(),
        updated_at: at,
    };
    let schedule = store.put_schedule(None, schedule, me.clone()).await.unwrap().id;
    let step = |after_secs: u32, target: Target| EscalationStep { after_secs, targets: vec![target] };
    let policy = EscalationPolicy {
        id: PolicyId(0),
        name: "Payments on-call".to_owned(),
        steps: vec![step(0, Target::OnCall(schedule)), step(600, Target::Channel(channels[0]))],
        repeat: 2,
        unacknowledge_secs: Some(7200),
        created_at: at,
        created_by: String::new(),
        updated_at: at,
    };
    let policy = store.put_policy(None, policy, me.clone()).await.unwrap().id;
    let rule = NoticeRule {
        id: RuleId(0),
        name: "Payments".to_owned(),
        enabled: true,
        position: 1,
        from: Some(Severity::High),
        matchers: vec!["service = payments".parse().unwrap()],
        condition: None,
        times: None,
        events: vec![NoticeEvent::Opened, NoticeEvent::Resolved],
        targets: vec![Target::Channel(channels[0]), Target::OnCall(schedule)],
        policy: Some(policy),
        wait_secs: 300,
        gather_secs: 0,
        quiet: Some(Quiet { times: week(&[], "22:00", "07:00"), but_from: Some(Severity::Critical) }),
        remind_secs: None,
        last: false,
        created_at: at,
        created_by: String::new(),
        updated_at: at,
    };
    let rule = store.put_notice_rule(None, rule, me.clone()).await.unwrap().id;
    let beat = Heartbeat {
        id: HeartbeatId(0),
        name: "Prometheus of the shop".to_owned(),
        from: HeartbeatFrom::Alerts(vec!["name = Watchdog".parse().unwrap()]),
        every_secs: 600,
        severity: Severity::High,
        enabled: true,
        last_at: None,
        missing_since: None,
        incident: None,
        created_at: at,
        created_by: String::new(),
        updated_at: at,
    };
    let beat = store.put_heartbeat(None, beat, me.clone()).await.unwrap().id;
    let contact = Contact { channel: channels[0], address: Some("@kim".to_owned()), from: None };
    store.put_contacts(Contacts { person: "kim".to_owned(), contacts: vec![contact] }, me.clone()).await.unwrap();
    for (service, severity) in [("payments", "critical"), ("mail", "low")] {
        let body =
            json!({"title": format!("Latency of {service} is above 2 s"), "service": service, "severity": severity});
        assert_eq!(test.post("/api/incidents", &body).await.status, 201);
    }
    for (name, path) in [
        ("settings-notifications", "/settings/notifications".to_owned()),
        ("channel", format!("/settings/notifications/channels/{}", channels[0])),
        ("rule-new", "/settings/notifications/rules/new".to_owned()),
        ("rule", format!("/settings/notifications/rules/{rule}")),
        ("on-call", "/on-call".to_owned()),
        ("schedule", format!("/on-call/schedules/{schedule}")),
        ("policy", format!("/on-call/policies/{policy}")),
        ("heartbeat", format!("/on-call/heartbeats/{beat}")),
        ("contacts", "/settings/contacts".to_owned()),
        ("contacts-other", "/settings/people/kim/contacts".to_owned()),
        ("incident-told", "/incidents/1".to_owned()),
        ("incident-notifications", "/incidents/1/notifications".to_owned()),
        ("incident-notifications-none", "/incidents/2/notifications".to_owned()),
    ] {
        look.at(name, &path).await;
    }
    look.theme("light").await;
    browser.size(1440, 900).await;
    browser.open("/settings/notifications/rules/new").await;
    browser.fill("#f-wait", "soon").await;
    browser.click("aside .btn.primary").await;
    browser.sees("#f-wait-e", "is no duration").await;
    look.here("rule-wrong").await;

    // The page behind the button of a message: to press, pressed by somebody already, not one of ours.
    test.clock.advance(Duration::from_secs(301));
    let made = test.until("/api/incidents/1/notifications", |told| told["notifications"][0]["id"].is_string()).await;
    let notice = made["notifications"][0]["id"].as_str().unwrap().parse().unwrap();
    let links = Links::new(store.sealer().link_key());
    let linked = Linked { incident: IncidentId(1), notice };
    let address = format!("/ack/{}", links.token(linked, test.clock.now()));
    look.at("ack", &address).await;
    look.theme("light").await;
    browser.open(&address).await;
    browser.click("form .btn.primary").await;
    browser.sees("[role=status]", "Acknowledged by").await;
    look.here("ack-done").await;
    look.at("ack-taken", &address).await;
    look.at("ack-wrong", "/ack/1.1.1.nothing").await;
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_what_people_corrected() {
    let test = TestApp::start().await;
    for (key, service) in [("orders", "checkout-api"), ("payments", "payments-worker"), ("mail", "mailer")] {
        let body = json!({"title": format!("Latency of {key} is above 2 s"), "service": service, "severity": "high", "key": key});
        test.deliver("generic", &body).await;
        test.clock.advance(Duration::from_secs(3600));
    }
    let merged = test.post("/api/incidents/1/merge", &json!({"incident_ids": ["2", "3"]})).await;
    assert_eq!(merged.status, 200, "{}", merged.text);
    let browser = Browser::signed_in(&test).await;
    let mut look = Look::with(&browser);
    look.at("incident-merged", "/incidents/2").await;
    look.at("incident-survivor", "/incidents/1").await;
    look.at("settings-lessons", "/settings/lessons").await;
    // With scripts the same: the checked alert becomes an incident, and a merge is undone from the timeline.
    look.theme("light").await;
    browser.size(1440, 900).await;
    browser.open("/incidents/1").await;
    browser.click("#members tr:last-child .pick").await;
    browser.click("form#split .btn").await;
    browser.at("/incidents/INC-4").await;
    browser.open("/incidents/1").await;
    browser.click("[data-panel=timeline] .undo[action*='INC-2/'] .btn").await;
    browser.sees(".toast", "Merge undone").await;
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_can_be_switched_on_in_the_list_at_every_width() {
    let test = TestApp::start().await;
    let failed = json!({"name": "api", "build": {"number": 7, "status": "FAILURE", "full_url": "https://ci.example/job/api/7/"}});
    test.deliver("jenkins", &failed).await;
    assert_eq!(test.knock("grafana", &[], b"{\"alerts\": 7}".to_vec()).await.status, 422);
    let browser = Browser::signed_in(&test).await;
    for width in [360, 640, 641, 700, 768, 900, 901, 1024, 1100, 1181, 1248, 1249, 1376, 1440] {
        browser.size(width, 800).await;
        browser.open("/connectors").await;
        let seen = "[...document.querySelectorAll('[role=switch]')].filter((e) => e.checkVisibility()).map((e) => e.innerText.includes('RCA for builds') && e.getBoundingClientRect().right <= innerWidth)";
        assert_eq!(browser.js(seen).await, json!([true]), "at {width}");
        let wrong = browser.js(WRONG).await;
        assert_eq!(wrong, json!([]), "at {width}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_a_source_of_your_own() {
    let test = TestApp::start().await;
    let found = json!({"alerts": [{"title": "Disk full", "level": "hihg", "labels": {"app": "db"}, "url": "https://x.example/1"}]});
    let sent = test.deliver("generic", &found).await;
    let delivery = sent.json["delivery_id"].as_str().unwrap().to_owned();
    let declaration = json!({"items": "body.alerts", "title": "item.title", "severity": "item.level", "host": "item.machine",
        "severities": {"hihg": "high"}, "resolved": ["gone", "done"], "quiet_after_secs": 7200, "sample": found.to_string()});
    let made = test.post("/api/connectors", &json!({"slug": "batch-jobs", "declaration": declaration})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let browser = Browser::signed_in(&test).await;
    let mut look = Look::with(&browser);
    look.at("source-new", &format!("/connectors/new?delivery={delivery}")).await;
    look.at("source-of-your-own", "/connectors/batch-jobs").await;
    look.at("delivery-found", &format!("/deliveries/{delivery}")).await;
    look.theme("light").await;
    browser.size(1440, 900).await;
    browser.open("/connectors/batch-jobs/declaration").await;
    browser.click("button[value=try]").await;
    browser.sees("#tried", "gives nothing").await;
    look.here("source-tried").await;
    browser.size(1440, 900).await;
    browser.fill("#f-title", "itm.title |").await;
    browser.click("button[value=save]").await;
    browser.sees("#errors", "Not saved.").await;
    look.here("source-wrong").await;
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_a_postmortem() {
    let test = TestApp::start().await;
    make_account(&test).await;
    story::tell(&test).await;
    let all = test.get("/api/incidents?limit=50").await.json;
    let outage = all["incidents"].as_array().unwrap().iter().find(|i| i["alert_count"].as_u64() > Some(5)).unwrap();
    let id = outage["id"].as_str().unwrap();
    let post = async |path: &str, body: serde_json::Value| {
        let done = test.post(&format!("/api/incidents/{id}/{path}"), &body).await;
        assert!(done.status.is_success(), "{path}: {}", done.text);
        done.json
    };
    post("acknowledge", json!(null)).await;
    post("comment", json!({"text": "Rolling back payments-worker.\nTODO: alert on idle connections"})).await;
    let browser = Browser::new(&test).await;
    browser.sign_in(NAME, PASSWORD).await;
    browser.at("/incidents").await;
    let mut look = Look::with(&browser);
    let verdict = test.patch(&format!("/api/incidents/{id}/causes/2"), &json!({"verdict": "wrong"})).await;
    assert_eq!(verdict.status, 200, "{}", verdict.text);
    look.at("incident-judged", &format!("/incidents/{id}")).await;
    look.at("incident-resolve-cause", &format!("/incidents/{id}?do=resolve")).await;
    test.clock.advance(Duration::from_secs(600));
    post("resolve", json!({"reason": "Rolled back to 2.13.2.", "cause": {"service": "payments-worker"}})).await;
    look.at("postmortem-none", &format!("/postmortems/{id}")).await;
    look.at("postmortems-none", "/postmortems").await;
    post("postmortem/draft", json!({})).await;
    look.at("postmortem-draft", &format!("/postmortems/{id}")).await;
    let text = json!({"version": 1, "sections": {"summary": "For 24 minutes one payment in nine failed [E1].\n\nWe rolled back. No payment was taken twice."},
        "actions": [{"text": "Alert on idle connections", "owner": "team pay", "due": "2026-03-01", "state": "in_progress"},
            {"text": "Lower the time-out to 4 s", "owner": "team pay", "due": "2026-03-05", "state": "done"}, {"text": "Try the fail-over once"}]});
    let put = test.request(reqwest::Method::PUT, &format!("/api/incidents/{id}/postmortem"));
    let saved = crate::support::answer(put.bearer_auth(crate::support::TOKEN).json(&text)).await;
    assert_eq!(saved.status, 200, "{}", saved.text);
    look.at("postmortem", &format!("/postmortems/{id}")).await;
    look.at("postmortem-edit", &format!("/postmortems/{id}?edit=causes")).await;
    look.at("postmortem-actions", &format!("/postmortems/{id}?edit=actions")).await;
    look.at("postmortem-compare", &format!("/postmortems/{id}?compare=1")).await;
    look.at("incident-postmortem", &format!("/incidents/{id}")).await;
    look.at("postmortems", "/postmortems").await;
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_silences() {
    let test = TestApp::start().await;
    for n in 0..6 {
        let service = if n < 4 { "checkout-api" } else { "a-service-with-a-long-name-of-another-team" };
        let host = format!("db-{n:02}.eu-central-1.example.com");
        let body = json!({"title": format!("Replication lag of shard {n} is above two minutes"), "service": service, "host": host,
            "severity": "critical", "key": format!("s{n}")});
        assert_eq!(test.deliver("generic", &body).await.status, 202);
    }
    let matcher = |field: &str, op: &str, value: &str| json!({"field": field, "op": op, "value": value});
    let checkout = json!({"matchers": [matcher("service", "=", "checkout-api"), matcher("host", "=~", "db-.*\\.eu-central-1\\.example\\.com")],
        "ends_at": "2026-03-03T11:00:00Z", "reason": "The disk of the primary is swapped, see the change in the wiki", "quiet_minutes": 15});
    assert_eq!(test.post("/api/silences", &checkout).await.json["muted_now"], 4);
    let never = json!({"matchers": [matcher("label.team", "=", "payments"), matcher("service", "!=", "checkout-api")],
        "ends_at": "2026-03-13T11:00:00Z", "reason": "x"});
    assert_eq!(test.post("/api/silences", &never).await.status, 201);
    let window = json!({"matchers": [matcher("platform", "=~", ".+")], "reason": "Patches of the operating systems",
        "recurrence": {"every": "month", "nth": -1, "days": ["sat", "sun"], "at": "02:00", "minutes": 240, "time_zone": "America/Argentina/Buenos_Aires"}});
    assert_eq!(test.post("/api/maintenance", &window).await.status, 201);
    let threshold = json!({"matchers": [matcher("service", "=", "batch"), matcher("severity", "=~", "low|medium|high")], "count": 5,
        "distinct": 3, "distinct_by": "host", "within_minutes": 10, "reason": "Single jobs fail often and are tried again"});
    assert_eq!(test.post("/api/thresholds", &threshold).await.json["id"], "T-4");
    let job = json!({"title": "Job export failed", "service": "batch", "host": "n1", "severity": "high", "key": "job"});
    assert_eq!(test.deliver("generic", &job).await.status, 202);
    test.clock.advance(Duration::from_secs(24 * 60));
    test.until("/api/silences/S-1", |s| s["ends_soon"] == true).await;
    let browser = Browser::signed_in(&test).await;
    let mut look = Look::with(&browser);
    look.at("silences", "/silences").await;
    look.at("silences-scheduled", "/silences?tab=scheduled").await;
    look.at("silences-expired", "/silences?tab=expired").await;
    look.at("silences-stale", "/silences?tab=stale").await;
    look.at("silence", "/silences/S-1").await;
    look.at("silence-edit", "/silences/S-1/edit").await;
    look.at("silence-new", "/silences/new?incident=INC-1").await;
    look.at("maintenance-new", "/silences/new?kind=maintenance").await;
    look.at("maintenance-edit", "/silences/M-3/edit").await;
    look.at("thresholds", "/silences/thresholds").await;
    look.at("threshold", "/silences/thresholds/T-4").await;
    look.at("incident-muted", "/incidents/1").await;
    let all =
        json!({"matchers": [matcher("service", "=~", ".+")], "ends_at": "2026-03-03T15:00:00Z", "reason": "all of it"});
    assert_eq!(test.post("/api/silences", &all).await.status, 201);
    look.at("incidents-muted", "/incidents").await;
    look.theme("light").await;
    browser.size(1440, 900).await;
    browser.open("/silences/new").await;
    browser.fill("#f-field-0", "colour").await;
    browser.fill("#f-value-0", "red").await;
    browser.click("button[value=save]").await;
    browser.sees(".banner.bad", "Not saved.").await;
    look.here("silence-wrong").await;
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_fifty() {
    let test = TestApp::start().await;
    for n in 0..50_u64 {
        let started = start_of_time().minus(Duration::from_secs(n * 420));
        let severity = ["critical", "high", "medium", "low"][n as usize % 4];
        test.deliver("generic", &json!({"title": format!("Queue {n} of a service with quite a long name is later than it should be"),
            "service": format!("a-service-with-a-long-name-{n}"), "severity": severity, "key": format!("q{n}"), "started_at": started}))
            .await;
    }
    let browser = Browser::signed_in(&test).await;
    let mut look = Look::with(&browser);
    look.at("incidents-many", "/incidents").await;
    look.at("alerts-many", "/alerts").await;
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_a_storm_in_one_incident() {
    let test = TestApp::start_any().await;
    let names: Vec<String> = (0..16).map(|n| format!("service-{n}-of-a-long-name")).collect();
    let calls = |n: usize| names.iter().skip(n * 2 + 1).take(2).collect::<Vec<_>>();
    let services: Vec<_> = (0..16).map(|n| json!({"name": names[n], "depends_on": calls(n)})).collect();
    let put = test.request(reqwest::Method::PUT, "/api/topology").bearer_auth(crate::support::TOKEN);
    assert_eq!(crate::support::answer(put.json(&json!({ "services": services }))).await.status, 200);
    for part in 0..5_usize {
        let alerts = (0..80).map(|k| part * 80 + k).map(|n| {
            let started = start_of_time().plus(Duration::from_secs(n as u64 * n as u64 % 271));
            let severity = ["high", "critical", "medium", "low"][n % 4];
            json!({"title": format!("Check {n} fails"), "key": format!("k{n}"), "service": names[n * 7 % 16],
                "severity": severity, "started_at": started})
        });
        let sent = test.deliver("generic", &json!({"alerts": alerts.collect::<Vec<_>>()})).await;
        assert_eq!(sent.json["alerts"][0]["incident_id"], "INC-1", "{}", sent.text);
    }
    test.analyzed("1").await;
    let browser = Browser::signed_in(&test).await;
    let mut look = Look::with(&browser);
    look.at("incident-storm", "/incidents/1").await;
    look.end();
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_at_services() {
    let test = TestApp::start().await;
    let put = async |services: serde_json::Value| {
        let body = json!({ "services": services });
        let request =
            test.request(reqwest::Method::PUT, "/api/topology").bearer_auth(crate::support::TOKEN).json(&body);
        let answer = crate::support::answer(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    put(json!([
        {"name": "storefront", "depends_on": ["edge-gateway"], "owner": "shop", "tier": 1},
        {"name": "mobile-app", "depends_on": ["edge-gateway", "search-api"], "owner": "shop"},
        {"name": "edge-gateway", "depends_on": ["checkout-api", "booking", "search-api", "auth"], "owner": "platform", "hosts": ["edge-1", "edge-2", "edge-3"]},
        {"name": "checkout-api", "aliases": ["checkout", "SERVICE-9F2A"], "depends_on": ["redis-cart", "pg-primary-1", "payments-worker", "auth"], "owner": "shop", "tier": 1,
            "runbook_url": "https://wiki.example.com/checkout", "prometheus": "job=\"checkout\""},
        {"name": "booking", "depends_on": ["pg-primary-1", "orders-db"], "owner": "travel"},
        {"name": "payments-worker", "depends_on": ["pg-primary-1", "bank-gateway-of-somebody-else-with-a-long-name"], "owner": "money"},
        {"name": "search-api", "depends_on": ["opensearch"], "owner": "search"},
        {"name": "opensearch", "hosts": ["os-1"], "owner": "search"}, {"name": "auth", "depends_on": ["edge-gateway"]},
        {"name": "redis-cart"}, {"name": "pg-primary-1", "hosts": ["db-1"]}, {"name": "orders-db"}, {"name": "nightly-reports"}])).await;
    for (n, (service, peer, severity)) in [
        ("checkout-api", "fraud-check", "critical"),
        ("checkout", "fraud-check", "high"),
        ("booking", "mail", "medium"),
        ("pg-primary-1", "", "critical"),
        ("search-api", "feature-flags", "high"),
        ("warehouse", "", "low"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"id": n, "title": format!("Alert {n}"), "service": service, "severity": severity, "labels": {"peer.service": peer}});
        test.deliver("generic", &body).await;
    }
    let dismissed = json!({"from": "search-api", "to": "feature-flags", "verdict": "dismiss"});
    assert_eq!(test.post("/api/topology/edges", &dismissed).await.status, 200);
    let browser = Browser::signed_in(&test).await;
    let mut look = Look::with(&browser);
    look.at("services", "/topology").await;
    look.at("services-chosen", "/topology?service=checkout-api").await;
    look.at("services-none-found", "/topology?q=nothing+like+it&service=nothing").await;
    look.at("service", "/topology/service?name=checkout-api").await;
    look.at("service-new", "/topology/service?name=fraud-check").await;
    look.at("services-import", "/topology/import").await;
    let teams = ["shop", "money", "search", "platform", "travel"];
    let many = (0..400).map(|n: usize| {
        json!({"name": format!("svc-{n}"), "owner": teams[n % 5], "depends_on":
        [format!("svc-{}", (n * 7 + 3) % 400), format!("other-{}", n % 40)]})
    });
    put(many.collect()).await;
    look.at("services-many", "/topology").await;
    look.at("services-around", "/topology?service=svc-7").await;
    look.theme("light").await;
    browser.size(1440, 900).await;
    browser.open("/topology/service?name=svc-3").await;
    browser.fill("#f-aliases", "SVC-4").await;
    browser.click("button[value=save]").await;
    browser.sees("#f-aliases ~ .err", "is a name of the service").await;
    look.here("service-wrong").await;
    look.end();
    test.stop().await;
}
