//! The pages of connectors as somebody without scripts uses them: what is failing and why, and every form.

use reqwest::Method;
use serde_json::{Value, json};
use watchfire::config;

use crate::{
    netdata_cloud::{API_TOKEN, Seen, cloud},
    support::{Answer, TOKEN, TestApp, answer},
};

async fn form(test: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body = reqwest::Url::parse_with_params("http://x/", fields).unwrap().query().unwrap_or_default().to_owned();
    let request = test.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    answer(request.bearer_auth(TOKEN).body(body)).await
}

fn has(page: &Answer, parts: &[&str]) {
    for part in parts {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
}

async fn state(test: &TestApp, platform: &str) -> Value {
    test.get(&format!("/api/connectors/{platform}")).await.json["state"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_connector_is_named_first_with_how_to_mend_it() {
    let test = TestApp::start().await;
    test.deliver("grafana", &json!({"alerts": [{"status": "firing", "labels": {"alertname": "Disk"}}]})).await;
    let steps = test.get("/connectors/splunk").await;
    has(&steps, &["Next: ", "Waiting for the first webhook", "wk_••••"]);
    assert!(!steps.text.contains("Done: "), "nothing was seen yet");
    for _ in 0..3 {
        let wrong = test.request(Method::POST, "/api/webhooks/splunk/wk_wrong").body("{}");
        assert_eq!(answer(wrong).await.status, 401);
    }
    let all = test.get("/connectors").await;
    has(
        &all,
        &["<b>Splunk is being refused.</b>", "3\u{a0}webhooks got 401 since 10:30", "3 refused in", "Fix Splunk"],
    );
    let at = |platform: &str| all.text.find(&format!("data-platform=\"{platform}\"")).unwrap();
    assert!(at("splunk") < at("grafana"), "worst first");
    let one = test.get("/connectors/splunk").await;
    has(&one, &["Refused: wrong key", "Show the key here and put it there", "3 without proof"]);
    // The address is right, for something came to it; the key is not.
    let wrong = test.request(Method::POST, "/api/webhooks/datadog/wk_wrong").body("{}");
    assert_eq!(answer(wrong).await.status, 401);
    has(&test.get("/connectors/datadog").await, &["Done: ", "Next: "]);

    let broken = test.knock("grafana", &[], b"{\"alerts\": 7}".to_vec()).await;
    test.until("/api/connectors/grafana", |c| c["state"] == "not_understood").await;
    let id = broken.json["delivery_id"].as_str().unwrap().to_owned();
    has(
        &test.get("/connectors").await,
        &["The last webhook of Grafana was not understood.", &format!("/deliveries/{id}")],
    );
    has(&test.get("/connectors/grafana").await, &["parse it again", &format!("action=\"/deliveries/{id}/replay\"")]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_the_limit_is_counted_and_the_limit_is_set_here() {
    let test = TestApp::start().await;
    let page = "/connectors/generic";
    has(&test.get(page).await, &["6,000 per min, none dropped"]);
    let wrong = form(&test, &format!("{page}/limits"), &[("rate", "many"), ("closes", "90")]).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    has(&wrong, &["Not saved: a whole number is needed.", "value=\"many\"", "value=\"90\""]);
    let long = form(&test, &format!("{page}/limits"), &[("rate", "1"), ("closes", "999999")]).await;
    has(&long, &["Not saved: 60 to 2592000 seconds"]);
    let saved = form(&test, &format!("{page}/limits"), &[("rate", "1"), ("closes", "90")]).await;
    assert_eq!(
        (saved.status.as_u16(), saved.headers["location"].to_str().unwrap()),
        (303, "/connectors/generic#limits")
    );
    let set = test.get("/api/connectors/generic").await.json;
    assert_eq!((&set["rate_per_minute"], &set["closes_after_secs"]), (&json!(1), &json!(5400)));
    let mut dropped = 0;
    for n in 0..20 {
        if test.deliver("generic", &json!({"title": format!("Disk {n}")})).await.status == 429 {
            dropped += 1;
        }
    }
    assert!(dropped > 0);
    assert_eq!(state(&test, "generic").await, "limited");
    has(&test.get("/connectors").await, &["Generic JSON is limited.", &format!("Limited, {dropped} dropped")]);
    has(&test.get(page).await, &[&format!("1 per min, {dropped} dropped"), "raise the limit here"]);
    let own = form(&test, &format!("{page}/limits"), &[("rate", "0"), ("closes", "")]).await;
    assert_eq!(own.status, 303);
    assert_eq!(test.get("/api/connectors/generic").await.json["closes_after_secs"], Value::Null);
    has(&test.get("/connectors/splunk").await, &["left empty, it ends after 1\u{a0}h\u{a0}00"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_code_and_time_and_a_pause_ends_by_itself() {
    let test = TestApp::start().await;
    let sent = form(&test, "/connectors/grafana/test", &[]).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    let to = sent.headers["location"].to_str().unwrap();
    let shown = test.get(to.split_once('#').unwrap().0).await;
    has(&shown, &["Understood. Opened as a test:", "INC-1"]);
    assert!(shown.text.contains(" in 0\u{a0}ms. Understood"), "{}", shown.text);
    assert!(to.contains("&code=20"), "{to}");

    let alert = json!({"title": "Disk full"});
    assert_eq!(form(&test, "/connectors/generic/switch", &[("enabled", "pause")]).await.status, 303);
    has(&test.get("/connectors/generic").await, &["Paused until 11:30", "Go on now"]);
    assert_eq!(state(&test, "generic").await, "paused");
    assert!(!test.deliver("generic", &alert).await.status.is_success());
    test.clock.advance(std::time::Duration::from_secs(3601));
    assert_eq!(test.deliver("generic", &alert).await.status, 202);
    assert_eq!(form(&test, "/connectors/generic/switch", &[("enabled", "pause")]).await.status, 303);
    assert_eq!(form(&test, "/connectors/generic/switch", &[("enabled", "on")]).await.status, 303);
    assert_eq!(test.deliver("generic", &alert).await.status, 202);
    assert_eq!(form(&test, "/connectors/generic/switch", &[("enabled", "off")]).await.status, 303);
    assert_eq!(test.get("/api/connectors/generic").await.json["enabled"], false);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_and_proof_have_forms_of_their_own() {
    let test = TestApp::start().await;
    has(&test.get("/connectors/jenkins").await, &["Off: builds are kept", "aria-checked=\"false\""]);
    let on = form(&test, "/connectors/jenkins/rca", &[("rca", "on"), ("to", "connectors")]).await;
    assert_eq!((on.status.as_u16(), on.headers["location"].to_str().unwrap()), (303, "/connectors"));
    assert_eq!(test.get("/api/connectors/jenkins").await.json["rca_enabled"], true);
    has(&test.get("/connectors/jenkins").await, &["aria-checked=\"true\"", "value=\"off\""]);

    let long = "x".repeat(2000);
    let refused = form(&test, "/connectors/grafana/proof", &[("auth", "signature"), ("signing_secret", &long)]).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    has(&refused, &["Not saved: 1 to 1024 bytes are taken"]);
    assert!(!refused.text.contains(&long), "a secret is not sent back");
    let set = form(&test, "/connectors/grafana/proof", &[("auth", "signature"), ("signing_secret", "s3cret")]).await;
    assert_eq!(set.status, 303, "{}", set.text);
    let page = test.get("/connectors/grafana").await;
    has(&page, &["Take the signing secret away", "HMAC"]);
    assert!(!page.text.contains("s3cret"));
    let gone = form(&test, "/connectors/grafana/proof", &[("auth", "any-of"), ("no_signing", "on")]).await;
    assert_eq!(gone.status, 303);
    assert_eq!(test.get("/api/connectors/grafana").await.json["has_signing_secret"], false);
    // Netdata's certificates are known; this server has no TLS to see them with.
    has(&test.get("/connectors/netdata").await, &["app.netdata.cloud", "works too, once this server has TLS"]);
    has(&test.get("/connectors/grafana").await, &["connectors.grafana.client_ca"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_senders_own_groups_are_switched_where_it_has_some() {
    let mut test = TestApp::start().await;
    for platform in ["grafana", "alertmanager"] {
        let page = test.get(&format!("/connectors/{platform}")).await;
        has(&page, &["Its groups", "<code>groupKey</code>", "within 5\u{a0}min", "Off: services"]);
    }
    assert!(!test.get("/connectors/pagerduty").await.text.contains("Its groups"));
    let on = form(&test, "/connectors/grafana/groups", &[("groups", "on")]).await;
    assert_eq!((on.status.as_u16(), on.headers["location"].to_str().unwrap()), (303, "/connectors/grafana#groups"));
    assert_eq!(test.get("/api/connectors/grafana").await.json["group_by_sender"], true);
    let page = test.get("/connectors/grafana").await.text;
    assert!(page.contains("aria-describedby=\"groups-h\" checked") && !page.contains("Off: services"), "{page}");
    assert_eq!(form(&test, "/connectors/grafana/groups", &[]).await.status, 303);
    assert_eq!(test.get("/api/connectors/grafana").await.json["group_by_sender"], false);
    let fixed = config::ConnectorConfig { group_by_sender: Some(true), ..Default::default() };
    test.config.connectors.insert("grafana".to_owned(), fixed);
    test.restart().await;
    has(
        &test.get("/connectors/grafana").await,
        &["aria-describedby=\"groups-h\" checked disabled", "Fixed by the configuration"],
    );
    let refused = form(&test, "/connectors/grafana/groups", &[]).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    has(&refused, &["connectors.grafana.group_by_sender"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_netdata_cloud_account_is_connected_here() {
    let test = TestApp::start().await;
    let at = format!("{}/cloud", cloud(Seen::default()).await);
    let path = "/connectors/netdata/account";
    let wrong = form(&test, path, &[("api_token", "wr0ng-token"), ("base_url", &at), ("space_name", "Acme")]).await;
    assert_eq!(wrong.status, 400, "{}", wrong.text);
    has(&wrong, &["Not saved: ", "401", &at, "value=\"Acme\""]);
    assert!(!wrong.text.contains("wr0ng-token"), "a token is not sent back");
    let done = form(&test, path, &[("api_token", API_TOKEN), ("base_url", &at)]).await;
    assert_eq!(
        (done.status.as_u16(), done.headers["location"].to_str().unwrap()),
        (303, "/connectors/netdata#account")
    );
    let page = test.get("/connectors/netdata").await;
    has(&page, &["Acme, Lab", "valid, 2\u{a0}spaces", "Check again", "Disconnect"]);
    assert!(!page.text.contains(API_TOKEN));
    assert_eq!(form(&test, path, &[("base_url", &at)]).await.status, 303, "the saved token is checked again");
    assert_eq!(form(&test, path, &[("do", "disconnect")]).await.status, 303);
    assert_eq!(test.get("/netdata/status").await.json["connected"], false);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn netdatas_alerts_are_listed_in_its_words() {
    let test = TestApp::start().await;
    let alert = |name: &str, severity: &str, space: &str| {
        json!({"message": format!("{name} on db-1"), "alert": name, "chart": "system.cpu", "context": "system.cpu", "space": space,
            "Rooms": {"Databases": "https://app.netdata.cloud/r"}, "severity": severity, "date": test.clock.now(),
            "alert_url": "https://app.netdata.cloud/spaces/a/alerts/x"})
    };
    for body in [
        alert("cpu_usage", "critical", "shop"),
        alert("ram_in_use", "warning", "lab"),
        alert("cpu_old", "critical", "shop"),
    ] {
        assert!(test.deliver("netdata", &body).await.status.is_success());
    }
    test.deliver("netdata", &alert("cpu_old", "clear", "shop")).await;
    test.deliver("grafana", &json!({"alerts": [{"status": "firing", "labels": {"alertname": "NotNetdata"}}]})).await;
    test.until("/api/alerts", |a| a["total"] == 4).await;
    let page = "/connectors/netdata/alerts";
    let check = async |query: &str, want: &[&str], not: &[&str]| {
        let got = test.get(&format!("{page}{query}")).await;
        assert_eq!(got.status, 200, "{query}: {}", got.text);
        let list = got.text.split_once("<tbody>").map_or("", |(_, t)| t);
        for name in want {
            assert!(list.contains(name), "{query} has no {name}: {}", got.text);
        }
        for name in not {
            assert!(!list.contains(name), "{query} has {name}: {list}");
        }
    };
    check("", &["cpu_usage", "ram_in_use", "cpu_old", "CLEAR", "WARNING", "Databases"], &["NotNetdata"]).await;
    check("?status=CRITICAL", &["cpu_usage"], &["ram_in_use", "cpu_old"]).await;
    check("?status=WARNING", &["ram_in_use"], &["cpu_usage"]).await;
    check("?status=clear&limit=25", &["cpu_old"], &["cpu_usage"]).await;
    check("?space=lab", &["ram_in_use"], &["cpu_usage"]).await;
    check("?room=Databases", &["ram_in_use", "cpu_usage"], &[]).await;
    check("?room=Other", &[], &["ram_in_use"]).await;
    check("?q=source:grafana", &["cpu_usage"], &["NotNetdata"]).await;
    check("?limit=25&offset=2", &["<tr>"], &["cpu_old"]).await;
    has(&test.get(&format!("{page}?q=severity:hgh")).await, &["Below is still the default list."]);
    let last = test.get(&format!("{page}?q=severity:hgh&was=ram&status=WARNING")).await;
    has(&last, &["Below is still “ram”", "1 to 1 of 1", "q=severity%3Ahigh&#38;status=WARNING"]);
    has(
        &test.get(page).await,
        &["All <span class=\"n\">3</span>", "Critical <span class=\"n\">1</span>", ">shop</option>"],
    );
    test.stop().await;
}

/// The classes of the steps, and of the last two: the test, and the first real alert.
async fn ticks(test: &TestApp, platform: &str) -> (usize, String, String) {
    let page = test.get(&format!("/connectors/{platform}")).await.text;
    let steps = page.split_once("<ol class=\"steps\">").unwrap().1.split_once("</ol>").unwrap().0;
    let mut all: Vec<String> = steps
        .split("<li")
        .skip(1)
        .map(|li| li.strip_prefix(" class=\"").map(|c| c.split('"').next().unwrap().to_owned()).unwrap_or_default())
        .collect();
    let (real, tested) = (all.pop().unwrap(), all.pop().unwrap());
    (all.iter().filter(|c| *c == "ok").count(), tested, real)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_is_ticked_by_what_comes_and_the_page_has_what_each_needs() {
    let test = TestApp::start().await;
    let fresh = (0, String::new(), String::new());
    assert_eq!(ticks(&test, "grafana").await, fresh);
    // A test of our own shows that the way works from here on, not that anybody there has the address.
    assert_eq!(form(&test, "/connectors/grafana/test", &[]).await.status, 303);
    assert_eq!(ticks(&test, "grafana").await, (0, "ok".to_owned(), String::new()));
    has(&test.get("/connectors/grafana").await, &["title=\"Accepted\">202", "Nothing to do: it ticks itself"]);
    let alert = json!({"alerts": [{"status": "firing", "labels": {"alertname": "Disk"}}]});
    assert_eq!(test.deliver("grafana", &alert).await.status, 202);
    let (done, tested, real) = ticks(&test, "grafana").await;
    assert!(done >= 5 && tested == "ok" && real == "ok", "{done} {tested} {real}");
    has(&test.get("/connectors").await, &["Contact point, type webhook", "<bdi>Disk</bdi>"]);

    let page = test.get("/connectors/netdata").await;
    has(
        &page,
        &["id=\"url\"", "id=\"the-key\"", "name=\"challenge_secret\"", "Bearer $WATCHFIRE_KEY", "curl -X POST http"],
    );
    let shown = form(&test, "/connectors/netdata/reveal", &[]).await;
    let key = test.key("netdata").await;
    has(&shown, &[&format!("Authorization: Bearer {key}")]);
    let set = form(&test, "/connectors/netdata/proof", &[("form", "challenge"), ("challenge_secret", "s3cret")]).await;
    assert_eq!(set.headers["location"].to_str().unwrap(), "/connectors/netdata#challenge");
    assert_eq!(test.get("/api/connectors/netdata").await.json["has_challenge_secret"], true);
    let long = "x".repeat(2000);
    let wrong = form(&test, "/connectors/grafana/proof", &[("form", "signing"), ("signing_secret", &long)]).await;
    has(&wrong, &["id=\"signing-e\"", "Not saved: 1 to 1024 bytes"]);

    let kept = form(&test, "/connectors/splunk/proof", &[("basic_user", "sp"), ("basic_password", "a password")]).await;
    assert_eq!(kept.status, 303);
    form(&test, "/connectors/splunk/proof", &[("form", "signing"), ("signing_secret", "s")]).await;
    has(&test.get("/connectors/splunk").await, &["value=\"sp\""]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_as_long_as_is_chosen_and_who_disconnects_says_why() {
    let test = TestApp::start().await;
    let to = "/connectors/generic/switch";
    for hours in ["0", "9999", "soon"] {
        let wrong = form(&test, to, &[("enabled", "pause"), ("hours", hours)]).await;
        assert_eq!(wrong.status, 422, "{hours}");
        has(&wrong, &["1 to 744 hours are taken"]);
    }
    assert_eq!(form(&test, to, &[("enabled", "pause"), ("hours", "8")]).await.status, 303);
    has(&test.get("/connectors").await, &["Paused until 18:30"]);
    assert_eq!(form(&test, to, &[("enabled", "on")]).await.status, 303);
    assert_eq!(form(&test, to, &[("enabled", "off"), ("reason", "moved to Loki")]).await.status, 303);
    has(&test.get("/connectors/generic").await, &["Disconnected", "Connect again"]);
    let log = test.get("/api/audit?action=connector.disconnect").await.json;
    assert_eq!((&log["total"], &log["audit"][0]["data"]["reason"]), (&json!(1), &json!("moved to Loki")), "{log}");
    test.stop().await;
}
