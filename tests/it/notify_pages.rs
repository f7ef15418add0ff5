//! The pages of notifications as somebody without scripts uses them.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use watchfire::{model::*, runtime::clock::Clock};

use crate::{
    receiver::Receiver,
    support::{Answer, TestApp, answer, start_of_time},
};

const HOSTILE: &str = "<script>alert(1)</script>\"x";
const PASSWORD: &str = "a long password";

async fn start() -> TestApp {
    TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.notify_allow = vec!["127.0.0.1/32".parse().unwrap()];
        c.notify_plain_http = true;
    })
    .await
}

/// Somebody who is signed in.
struct Person<'a> {
    test: &'a TestApp,
    session: String,
}

impl<'a> Person<'a> {
    async fn new(test: &'a TestApp, name: &str, role: &str) -> Self {
        let body = json!({"name": name, "role": role, "password": PASSWORD});
        assert_eq!(test.post("/api/users", &body).await.status, 201);
        let body = format!("user={name}&password={}", PASSWORD.replace(' ', "+"));
        let request = test.request(Method::POST, "/login").header("content-type", "application/x-www-form-urlencoded");
        let headers = answer(request.body(body)).await.headers;
        let session = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Self { test, session }
    }

    async fn get(&self, path: &str) -> Answer {
        let got = answer(self.test.request(Method::GET, path).header("cookie", &self.session)).await;
        assert_eq!(got.status, 200, "{path}: {}", got.text);
        assert!(!got.text.contains("<script>alert"), "{path}: {}", got.text);
        got
    }

    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = reqwest::Url::parse_with_params("http://x/", fields).unwrap();
        let request = self.test.request(Method::POST, path).header("cookie", &self.session);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let got = answer(request.body(body.query().unwrap_or_default().to_owned())).await;
        assert!(!got.text.contains("<script>alert"), "{path}: {}", got.text);
        got
    }

    /// A form that is taken: where it leads.
    async fn saves(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let got = self.send(path, fields).await;
        assert_eq!(got.status, 303, "{path}: {}", got.text);
        got.headers["location"].to_str().unwrap().to_owned()
    }

    /// A form that is not, with these words on the page.
    async fn refused(&self, path: &str, fields: &[(&str, &str)], words: &[&str]) {
        let got = self.send(path, fields).await;
        assert_eq!(got.status, 422, "{path}: {}", got.text);
        has(&got, words);
    }
}

/// Numbers stay with their units by spaces of another kind.
fn has(page: &Answer, parts: &[&str]) {
    let text = page.text.replace('\u{a0}', " ");
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

const NEW: &str = "/settings/notifications/new/mattermost";

/// A channel made by its form; its page.
async fn channel(ada: &Person<'_>, name: &str, to: &Receiver) -> String {
    ada.saves(NEW, &[("name", name), ("s.url", &format!("{}/hooks/secret-part-1234", to.url))]).await
}

fn id_of(page: &str) -> String {
    page.rsplit('/').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_made_by_its_form_tried_changed_and_removed() {
    let (test, target) = (start().await, Receiver::start().await);
    let ada = Person::new(&test, "ada", "admin").await;
    has(&ada.get("/settings/notifications").await, &["Nobody is told yet", "No rule yet", "Mattermost", NEW]);
    has(&ada.get(NEW).await, &["Webhook address", "Incoming Webhooks", "class=\"steps\""]);
    // What is wrong is said at its field, and what was typed stays but for secrets.
    let typed = [("name", HOSTILE), ("s.url", "ftp://secret.example/1"), ("s.channel", "incidents")];
    let wrong = ada.send(NEW, &typed).await;
    assert_eq!(wrong.status, 422);
    has(
        &wrong,
        &[
            "aria-invalid=\"true\" aria-describedby=\"f-s-url-e f-s-url-h\"",
            "begins with https://",
            "value=\"incidents\"",
        ],
    );
    assert!(!wrong.text.contains("secret.example"), "{}", wrong.text);
    ada.refused(NEW, &[("name", "ops")], &["Webhook address is needed"]).await;

    let page = channel(&ada, HOSTILE, &target).await;
    let seen = ada.get(&page).await;
    has(&seen, &["placeholder=\"127.0.0.1/…1234\"", "is set; empty keeps it", "nothing sent yet"]);
    assert!(!seen.text.contains("secret-part"), "{}", seen.text);
    // The secret stays when nothing is typed there.
    ada.saves(&page, &[("name", HOSTILE), ("s.channel", "incidents")]).await;
    let tested = ada.saves(&format!("{page}/test"), &[]).await;
    let tested = tested.split('#').next().unwrap();
    assert_eq!(target.wait(1).await[0].path, "/hooks/secret-part-1234");
    has(&ada.get(tested).await, &["The test was taken.", "Answered 200: ok", "delivered 0"]);
    target.usually(403, "Invalid webhook");
    let tested = ada.saves(&format!("{page}/test"), &[]).await;
    has(&ada.get(tested.split('#').next().unwrap()).await, &["The test was not taken.", "403", "Invalid webhook"]);
    ada.saves(&format!("{page}/switch"), &[("enabled", "off")]).await;
    has(&ada.get("/settings/notifications").await, &["Switch on", "&lt;script&gt;alert(1)"]);
    // What others need does not go.
    let id = id_of(&page);
    ada.saves("/settings/contacts", &[("channel", &id), ("address", "@ada"), ("from", "high")]).await;
    ada.refused(&format!("{page}/remove"), &[], &["is used by ada"]).await;
    ada.saves("/settings/contacts", &[("channel", ""), ("address", ""), ("from", "")]).await;
    assert_eq!(ada.saves(&format!("{page}/remove"), &[]).await, "/settings/notifications");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_made_tried_on_what_was_and_put_in_order() {
    let (test, target) = (start().await, Receiver::start().await);
    let ada = Person::new(&test, "ada", "admin").await;
    let page = channel(&ada, "#incidents", &target).await;
    for (service, severity) in [("payments", "critical"), ("mail", "low")] {
        let body = json!({"title": format!("{service} fails {HOSTILE}"), "service": service, "severity": severity});
        assert_eq!(test.post("/api/incidents", &body).await.status, 201);
    }
    let to = format!("channel:{}", id_of(&page));
    let new = "/settings/notifications/rules/new";
    let mut fields = vec![
        ("name", HOSTILE),
        ("enabled", "on"),
        ("from", "high"),
        ("field", "service"),
        ("op", "="),
        ("value", "payments"),
        ("target", to.as_str()),
        ("event", "opened"),
        ("event", "resolved"),
        ("wait", "5 min"),
        ("quiet.on", "on"),
        ("quiet.from", "22:00"),
        ("quiet.until", "07:00"),
        ("but_from", "critical"),
    ];
    // Tried and not saved.
    fields.push(("do", "try"));
    let tried = ada.send(new, &fields).await;
    assert_eq!(tried.status, 200, "{}", tried.text);
    let told = "It tells #incidents. That is 5 min later.";
    has(&tried, &["1 of 2 incidents in the last 7 days", told, "Severity low is below high."]);
    has(&ada.get("/settings/notifications").await, &["No rule yet"]);
    fields.pop();
    ada.refused(new, &[("name", "x"), ("wait", "soon"), ("do", "save")], &["is no duration", "id=\"f-wait-e\""]).await;
    let nobody = [("name", "x"), ("event", "opened"), ("condition", "nonsense("), ("do", "save")];
    ada.refused(new, &nobody, &["Somebody must be told", "id=\"f-target-0-e\"", "id=\"f-condition-e\""]).await;

    fields.push(("do", "save"));
    let rule = ada.saves(new, &fields).await;
    let words = "Critical and high of payments → #incidents; when opened, resolved; after 5 min; quiet 22:00–07:00 but \
                 critical";
    has(&ada.get("/settings/notifications").await, &[words]);
    has(&ada.get(&rule).await, &["value=\"5 min\"", "value=\"22:00\"", "1 of 2 incidents"]);
    let second = ada.saves(new, &[("name", "Second"), ("enabled", "on"), ("event", "opened"), ("target", &to)]).await;
    ada.saves(&format!("{second}/move"), &[("to", "up")]).await;
    let all = ada.get("/settings/notifications").await.text;
    assert!(all.find("Second") < all.find(words), "{all}");
    ada.saves(&format!("{second}/switch"), &[("enabled", "off")]).await;
    has(&ada.get("/settings/notifications").await, &["<span class=\"tag\">off</span>"]);

    // The incident says who is told, what comes next and why.
    let body = json!({"title": HOSTILE, "service": "payments", "severity": "critical"});
    assert_eq!(test.post("/api/incidents", &body).await.status, 201);
    has(&ada.get("/incidents/3").await, &["Who was told", "#incidents", "waits", "/incidents/INC-3/notifications"]);
    let why = ada.get("/incidents/3/notifications").await;
    has(&why, &["#incidents", "is told: opened, in 5 min", "It tells #incidents.", "It is switched off."]);
    has(&ada.get("/incidents/1/notifications").await, &["Nobody: no rule was asked."]);
    let body = json!({"title": "mail fails", "service": "mail", "severity": "low"});
    assert_eq!(test.post("/api/incidents", &body).await.status, 201);
    let page = ada.get("/incidents/4/notifications").await;
    has(&page, &["Nobody: none of 2 rules tells of it.", "Severity low is below high."]);
    test.clock.advance(Duration::from_secs(301));
    target.wait(1).await;
    test.until("/api/incidents/INC-3/timeline", |t| t.to_string().contains("Told #incidents")).await;
    has(&ada.get("/incidents/3/notifications").await, &["told", "Answered 200: ok"]);
    assert_eq!(ada.saves(&format!("{rule}/remove"), &[]).await, "/settings/notifications");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_call_is_planned_seen_and_taken_over() {
    let (test, target) = (start().await, Receiver::start().await);
    let ada = Person::new(&test, "ada", "admin").await;
    let kim = Person::new(&test, "kim", "responder").await;
    has(&kim.get("/on-call").await, &["No schedule yet"]);
    let new = "/on-call/schedules/new";
    let turn = |people: &'static str, days: &'static str| {
        vec![
            ("name", HOSTILE),
            ("time_zone", "Europe/Berlin"),
            ("r0.people", people),
            ("r0.starts_on", "2026-03-02"),
            ("r0.hand_over", "09:00"),
            ("r0.days", days),
        ]
    };
    ada.refused(
        new,
        &turn("ada, sam", "7"),
        &["There is no account <code dir=\"auto\">sam</code>", "id=\"f-r0-people-e\""],
    )
    .await;
    ada.refused(new, &turn("ada", "0"), &["1 to 366 days", "id=\"f-r0-days-e\""]).await;
    ada.refused(
        new,
        &[("name", "x"), ("time_zone", "Mars"), ("r0.people", "")],
        &["There is no such time zone", "At least one"],
    )
    .await;
    let at = ada.saves(new, &turn("ada, kim", "1")).await;
    let id = at.split('#').next_back().unwrap().to_owned();
    // The clock says Tuesday 10:30 UTC: the second day.
    let page = kim.get("/on-call").await;
    has(
        &page,
        &["<b><bdi>kim</bdi></b> is on call until Wed 4 Mar, 08:00.", "Then <bdi>ada</bdi>", "<svg class=\"strip\""],
    );
    has(&page, &["15 shifts", "/calendar.ics?key=", "Take over until…"]);
    assert!(!page.text.contains("class=\"node bad\""), "{}", page.text);

    let over = format!("/on-call/schedules/{id}/override");
    kim.refused(&over, &[("person", "ada"), ("from", ""), ("until", "")], &["Say until when"]).await;
    let back = [("person", "ada"), ("from", "2026-03-03T12:00"), ("until", "2026-03-03T11:00")];
    kim.refused(&over, &back, &["It ends before it begins", "<details class=\"fold\" open>"]).await;
    kim.saves(&over, &[("person", "ada"), ("from", ""), ("until", "2026-03-03T12:00")]).await;
    has(&kim.get("/on-call").await, &["<b><bdi>ada</bdi></b> is on call until Tue 3 Mar, 12:00.", "instead"]);
    let edit = format!("/on-call/schedules/{id}");
    has(&ada.get(&edit).await, &["Take back", "value=\"ada, kim\""]);
    // Only in the mornings: gaps are marked. And the override is taken back.
    let mut fields = turn("ada, kim", "1");
    fields.extend([("r0.only.on", "on"), ("r0.only.from", "08:00"), ("r0.only.until", "11:00")]);
    fields.extend([("r0.only.zone", "Europe/Berlin"), ("drop", "0")]);
    ada.saves(&edit, &fields).await;
    has(&kim.get("/on-call").await, &["Nobody is on call until", "class=\"node bad\"", "15 gaps"]);

    let page = channel(&ada, "ops", &target).await;
    let to = format!("channel:{}", id_of(&page));
    let policies = "/on-call/policies/new";
    ada.refused(
        policies,
        &[("name", "x"), ("s0.after", ""), ("repeat", "0")],
        &["1 to 20 steps", "id=\"f-s0-after-e\""],
    )
    .await;
    let on_call = format!("on-call:{id}");
    let steps =
        [("name", HOSTILE), ("s0.after", "0"), ("s0.target", &to), ("s1.after", "10 min"), ("s1.target", &on_call)];
    let more = [("repeat", "2"), ("unacknowledge", "2 h")];
    ada.saves(policies, &[&steps[..], &more[..]].concat()).await;
    let line = "At once ops; after 10 min whoever is on call in";
    has(&kim.get("/on-call").await, &[line, "2 times more", "again nobody&#39;s 2 h after"]);
    ada.refused(&format!("{edit}/remove"), &[], &["is used by policy"]).await;

    let beats = "/on-call/heartbeats/new";
    ada.refused(beats, &[("name", "b"), ("from", "alerts"), ("every", "1 s")], &["30 seconds to seven days"]).await;
    let watchdog = [("field", "name"), ("op", "="), ("value", "Watchdog")];
    let beat =
        [("name", HOSTILE), ("from", "alerts"), ("every", "10 min"), ("severity", "critical"), ("enabled", "on")];
    ada.saves(beats, &[&beat[..], &watchdog[..]].concat()).await;
    has(&kim.get("/on-call").await, &["alerts with name = Watchdog", "every 10 min", "not heard yet"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_says_how_they_are_reached_and_administrators_for_all() {
    let (test, target) = (start().await, Receiver::start().await);
    let ada = Person::new(&test, "ada", "admin").await;
    let kim = Person::new(&test, "kim", "viewer").await;
    has(&kim.get("/settings/contacts").await, &["There is no channel yet"]);
    let id = id_of(&channel(&ada, "Chat", &target).await);
    let own = "/settings/contacts";
    kim.refused(
        own,
        &[("channel", ""), ("address", HOSTILE), ("from", "")],
        &["Choose the channel of this address", "id=\"f-channel-0-e\"", "value=\"&#60;script"],
    )
    .await;
    let gone = [("channel", "CH-99"), ("address", ""), ("from", "")];
    kim.refused(own, &gone, &["There is no channel CH-99", "id=\"f-channel-0-e\""]).await;
    kim.saves(own, &[("channel", &id), ("address", HOSTILE), ("from", "high")]).await;
    let contacts = test.app().store().read(|v| Ok(v.telling()?.people)).await.unwrap()["kim"].clone();
    let want = Contact { channel: id.parse().unwrap(), address: Some(HOSTILE.to_owned()), from: Some(Severity::High) };
    assert_eq!(contacts.contacts, [want]);
    has(&kim.get(own).await, &["&#60;script&#62;", "value=\"high\" selected"]);
    let of_kim = "/settings/people/kim/contacts";
    has(&ada.get(of_kim).await, &["How <bdi>kim</bdi> is reached", "&#60;script&#62;"]);
    has(&ada.get("/settings/people/kim").await, &[of_kim]);
    assert_eq!(kim.send(of_kim, &[]).await.status, 403);
    ada.saves(of_kim, &[("channel", ""), ("address", ""), ("from", "")]).await;
    let all = test.app().store().read(|v| Ok(v.telling()?.people)).await.unwrap();
    assert!(all.get("kim").is_none_or(|c| c.contacts.is_empty()), "{all:?}");
    // Viewers see the channels, and nothing to change them by.
    let seen = kim.get("/settings/notifications").await;
    has(&seen, &["Chat", "Mattermost"]);
    assert!(!seen.text.contains("Send a test") && !seen.text.contains("secret-part"), "{}", seen.text);
    test.stop().await;
}
