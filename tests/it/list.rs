//! The incident list: its query with errors and corrections, saved views, facets, completion, actions on all that match.

use reqwest::{Method, redirect::Policy};
use serde_json::json;

use crate::support::{Answer, TOKEN, TestApp, answer};

/// Three services that have nothing to do with each other, with an incident each.
async fn three() -> TestApp {
    let test = TestApp::start().await;
    let names = ["checkout-api", "orders-db", "search"];
    let apart = names.map(|name| json!({"name": name, "depends_on": [format!("{name}-store")]}));
    assert!(test.put("/api/topology", &json!({"services": apart})).await.status.is_success());
    for (service, severity, title) in [
        (names[0], "critical", "Certificate of the shop expires"),
        (names[1], "high", "PostgreSQL replication lag"),
        (names[2], "low", "Disk full on the third shard"),
    ] {
        let labels = json!({"env": "prod"});
        let body = json!({"id": service, "title": title, "service": service, "severity": severity,
            "host": format!("{service}-1"), "labels": labels});
        let sent = test.deliver("generic", &body).await;
        assert_eq!(
            (sent.status.as_u16(), &sent.json["alerts"][0]["new_incident"]),
            (202, &json!(true)),
            "{}",
            sent.text
        );
    }
    // The index has seen them: its clock stands still unless it is moved.
    let seen = async || {
        while test.get("/api/facets").await.json["counts"]["severity:low"] != 1 {
            test.clock.advance(std::time::Duration::from_millis(500));
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), seen()).await.expect("it is indexed in time");
    test
}

fn encoded(q: &str) -> String {
    form_urlencoded::byte_serialize(q.as_bytes()).collect()
}

/// What a form or link leads to, as a browser sends it and without following it.
async fn plain(test: &TestApp, method: Method, path: &str, body: &str) -> Answer {
    let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let request = client.request(method, test.url(path)).bearer_auth(TOKEN);
    let form = "application/x-www-form-urlencoded";
    answer(request.header("content-type", form).header("sec-fetch-site", "same-origin").body(body.to_owned())).await
}

fn location(a: &Answer) -> &str {
    a.headers.get("location").map_or("", |v| v.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_finds_the_same_in_pages_and_api_and_its_mistakes_are_told() {
    let test = three().await;
    for (q, want) in [
        ("service:check*", vec!["INC-1"]),
        ("-severity:critical,high", vec!["INC-3"]),
        ("severity:>=high -service:orders-db", vec!["INC-1"]),
        ("owner:none alerts:1 host:search-1", vec!["INC-3"]),
        ("label.env:prod is:open -lag", vec!["INC-3", "INC-1"]),
        ("incident:2,3", vec!["INC-3", "INC-2"]),
        ("age:>1h", vec![]),
    ] {
        let list = test.get(&format!("/api/incidents?q={}", encoded(q))).await;
        let ids: Vec<&str> =
            list.json["incidents"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap()).collect();
        assert_eq!(ids, want, "{q}: {}", list.text);
        let page = test.get(&format!("/incidents?q={}", encoded(q))).await.text;
        for id in ["INC-1", "INC-2", "INC-3"] {
            assert_eq!(page.contains(&format!("data-row=\"{id}\"")), want.contains(&id), "{q} {id}");
        }
    }
    let bad = test.get(&format!("/api/incidents?q={}", encoded("pool severty:high"))).await;
    let errors = bad.json["errors"].to_string();
    assert_eq!((bad.status.as_u16(), &bad.json["code"]), (400, &json!("invalid_query")), "{}", bad.text);
    assert!(errors.contains("q, character 6") && errors.contains("pool severity:high"), "{errors}");
    // The last list that could be read stays, dimmed, with a way to what was meant.
    let page = test.get(&format!("/incidents?q={}&was=severity:low", encoded("severty:high"))).await.text;
    for part in ["There is no field severty", "(character 1)", "q=severity%3Ahigh", "dimmed", "data-row=\"INC-3\""] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("data-row=\"INC-1\""));
    // A name that nobody has, and a term that fits nothing.
    let page = test.get(&format!("/incidents?q={}", encoded("service:chekout-api certificate"))).await.text;
    assert!(page.contains("Did you mean") && page.contains("service:checkout-api</code></a>, 1 open?"), "{page}");
    let page = test.get(&format!("/incidents?q={}", encoded("service:search severity:critical"))).await.text;
    assert!(page.contains("It is <code dir=\"auto\">service:search</code> that fits nothing here"), "{page}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_groups_and_pages_are_in_the_address() {
    let test = three().await;
    let page = test.get("/incidents?group=service&sort=-severity&display=wall").await.text;
    let order: Vec<&str> = page.split("data-row=\"").skip(1).map(|s| &s[..5]).collect();
    assert_eq!(order, ["INC-1", "INC-2", "INC-3"]);
    assert!(page.contains("class=\"wall\""), "{page}");
    assert!(!page.contains("id=\"bulk\"") && page.contains("<b><bdi>checkout-api</bdi></b>"), "{page}");
    // Forms of facets fold into the query, and the form of the text gets a short address.
    for (form, want) in [
        ("q=slow&severity=high&severity=low&by=severity", "/incidents?q=slow+severity%3Ahigh%2Clow"),
        ("q=severity:low&was=x&by=text&sort=-alerts", "/incidents?q=severity%3Alow&sort=-alerts"),
        ("q=status:open+closed:%3C12h&was=x&by=text", "/incidents"),
    ] {
        let got = plain(&test, Method::GET, &format!("/incidents?{form}"), "").await;
        let q = |s: &str| {
            let mut all: Vec<&str> = s.split(['?', '&']).collect();
            all.sort_unstable();
            all.join(" ")
        };
        assert_eq!((got.status.as_u16(), q(location(&got))), (303, q(want)), "{form}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_kept_shown_counted_and_audited() {
    let test = three().await;
    let made = test.post("/api/views", &json!({"name": "Payments", "q": "service:checkout-*", "shared": true})).await;
    assert_eq!((made.status.as_u16(), &made.json["id"], &made.json["count"]), (201, &json!("V-1"), &json!(1)));
    for (body, status) in [
        (json!({"name": "payments", "q": "slow"}), 409),
        (json!({"name": "", "q": "slow"}), 422),
        (json!({"name": "x", "q": "severty:high"}), 422),
        (json!({"name": "Slow", "q": "slow"}), 201),
    ] {
        let got = test.post("/api/views", &body).await;
        assert_eq!(got.status, status, "{body}: {}", got.text);
    }
    // Everybody sees what is shared, and only that.
    let other = test.post("/api/tokens", &json!({"name": "other", "scopes": ["write"]})).await.json["token"].clone();
    let other = other.as_str().unwrap();
    let seen = answer(test.request(Method::GET, "/api/views").bearer_auth(other)).await.json;
    assert_eq!((&seen["total"], &seen["views"][0]["name"]), (&json!(1), &json!("Payments")), "{seen}");
    let foreign = answer(test.request(Method::DELETE, "/api/views/V-1").bearer_auth(other)).await;
    assert_eq!(foreign.status, 409, "{}", foreign.text);
    assert_eq!(answer(test.request(Method::GET, "/api/views/V-2").bearer_auth(other)).await.status, 404);
    let page = test.get("/incidents?view=V-1").await.text;
    assert!(page.contains("data-count=\"V-1\">1</span>") && page.contains("data-row=\"INC-1\""), "{page}");
    assert!(!page.contains("data-row=\"INC-2\"") && page.contains("The view “Payments”"), "{page}");
    // Forms: another name, the query on the way, and away.
    let saved = plain(&test, Method::POST, "/incidents/views", "name=Low&q=severity:low").await;
    assert_eq!((saved.status.as_u16(), location(&saved)), (303, "/incidents?view=V-3"), "{}", saved.text);
    let form = "name=Calm&q=severity:low,info&shared=on";
    assert_eq!(plain(&test, Method::POST, "/incidents/views/V-3", form).await.status, 303);
    let calm = test.get("/api/views/V-3").await.json;
    assert_eq!(
        (&calm["name"], &calm["q"], &calm["shared"]),
        (&json!("Calm"), &json!("severity:low,info"), &json!(true))
    );
    assert_eq!(plain(&test, Method::POST, "/incidents/views/V-3/remove", "").await.status, 303);
    assert_eq!(test.get("/api/views/V-3").await.status, 404);
    let audit = test.get("/api/audit").await.text;
    for act in ["view.create", "view.change", "view.remove"] {
        assert!(audit.contains(act), "{act}: {audit}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_goes_to_all_that_match_and_says_which_were_refused() {
    let test = three().await;
    let to = "to=/incidents";
    let form = format!("{to}&do=assign&owner=ann&all=1&q=severity:high,low");
    assert_eq!(plain(&test, Method::POST, "/incidents/bulk", &form).await.status, 303);
    let owner = async |n: u8| test.get(&format!("/api/incidents/{n}")).await.json["owner"].clone();
    assert_eq!((owner(1).await, owner(2).await, owner(3).await), (json!(null), json!("ann"), json!("ann")));
    assert_eq!(test.post("/api/incidents/3/resolve", &json!({})).await.status, 200);
    // One of them is over by now: the answer says which, and why.
    let part = plain(&test, Method::POST, "/incidents/bulk", &format!("{to}&do=acknowledge&id=INC-1&id=INC-3")).await;
    assert_eq!(part.status, 409);
    assert!(part.text.contains("1 acknowledged, 1 could not be") && part.text.contains("INC-3: "), "{}", part.text);
    let script = test.request(Method::POST, "/incidents/bulk").bearer_auth(TOKEN).header("accept", "application/json");
    let script = script.header("content-type", "application/x-www-form-urlencoded");
    let told = answer(script.body("do=acknowledge&id=INC-2&id=INC-3")).await.json;
    assert_eq!((told["rows"].as_array().unwrap().len(), &told["rows"][0]["id"]), (1, &json!("INC-3")), "{told}");
    // They wait for an hour; what is over cannot, and a time that is none is refused.
    let asleep = plain(&test, Method::POST, "/incidents/bulk", &format!("{to}&do=snooze-60&id=INC-1&id=INC-2")).await;
    assert_eq!(asleep.status, 303, "{}", asleep.text);
    let until = async |n: u8| test.get(&format!("/api/incidents/{n}")).await.json["snoozed"]["until"].clone();
    let hour = test.clock.now().plus(std::time::Duration::from_secs(3600));
    for n in [1, 2] {
        assert_eq!(until(n).await, json!(hour.to_string()));
    }
    assert_eq!(plain(&test, Method::POST, "/incidents/bulk", "do=snooze-60&id=INC-3").await.status, 409);
    assert_eq!(plain(&test, Method::POST, "/incidents/bulk", "do=snooze-long&id=INC-1").await.status, 422);
    // An address says what it means by words that are not known, and keeps what means nothing.
    let page = test.get("/incidents?sort=-alrts&from=chat").await.text;
    assert!(page.contains("sort=-alrts is not known here") && page.contains("from=chat"), "{page}");
    // An incident of one's own.
    let declared = plain(&test, Method::POST, "/incidents/new", "title=It+is+odd&severity=critical").await;
    assert_eq!(location(&declared), "/incidents/INC-4", "{}", declared.text);
    let wrong = plain(&test, Method::POST, "/incidents/new", "title=&severity=critical").await;
    assert!(wrong.status == 422 && wrong.text.contains("Not declared."), "{}", wrong.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_grouped_ordered_and_kept_as_views() {
    let test = three().await;
    let send = async |title: &str, service: Option<&str>, status: &str| {
        test.clock.advance(std::time::Duration::from_secs(60));
        let body = json!({"id": title, "title": title, "service": service, "severity": "low", "status": status});
        assert_eq!(test.deliver("generic", &body).await.status, 202);
    };
    send("Disk almost full", Some("orders-db"), "firing").await;
    send("Job failed", None, "firing").await;
    // The oldest of all comes once more, and is the last one seen.
    test.clock.advance(std::time::Duration::from_secs(60));
    let again = json!({"id": "checkout-api", "title": "Certificate of the shop expires", "service": "checkout-api",
        "severity": "critical", "host": "checkout-api-1"});
    assert_eq!(test.deliver("generic", &again).await.status, 202);
    let titles = |page: &str| -> Vec<String> {
        let rows = page.split("<tr data-row=\"").skip(1);
        rows.map(|r| r.split("dir=\"auto\"").nth(1).unwrap()[1..].split('<').next().unwrap().to_owned()).collect()
    };
    let page = test.get("/alerts").await.text;
    let all = [
        "Certificate of the shop expires",
        "Job failed",
        "Disk almost full",
        "Disk full on the third shard",
        "PostgreSQL replication lag",
    ];
    assert_eq!(titles(&page), all, "{page}");
    assert!(page.contains("<h2 data-heading>5 firing</h2>") && page.contains("of 5 in 24\u{a0}h, 5 stored"), "{page}");
    for (q, want) in [("name:disk*", vec![all[2], all[3]]), ("-name:disk* -service:*", vec![all[1]])] {
        assert_eq!(titles(&test.get(&format!("/alerts?q={}", encoded(q))).await.text), want, "{q}");
    }
    // Each group leads to as many alerts as it has.
    for (by, groups) in [("service", 4), ("name", 5), ("host", 4), ("incident", 4)] {
        let page = test.get(&format!("/alerts?group={by}")).await.text;
        let rows: Vec<&str> = page.split("<tr><td class=\"w\"><a class=\"t\" href=\"").skip(1).collect();
        assert_eq!(rows.len(), groups, "{by}: {page}");
        for row in rows {
            let address = row.split('"').next().unwrap().replace("&#38;", "&");
            let n: usize =
                row.split("data-u=\"alert").nth(1).unwrap().split(['>', '<']).nth(1).unwrap().parse().unwrap();
            assert_eq!(titles(&test.get(&address).await.text).len(), n, "{address}");
        }
    }
    // A mistake keeps the last list, dimmed, names its place and says what was probably meant.
    let page = test.get(&format!("/alerts?q={}&was=name:job*&group=", encoded("job hots:a"))).await.text;
    for part in ["There is no field hots", "(character 5)", "q=job+host%3Aa", "Below is still “name:job*”", "dimmed"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(titles(&page), [all[1]]);
    let form = plain(&test, Method::GET, "/alerts?q=name:job*&was=since:24h&group=host", "").await;
    assert_eq!((form.status.as_u16(), location(&form)), (303, "/alerts?q=name%3Ajob*&group=host"));
    // Views of alerts are kept beside those of incidents.
    let saved = plain(&test, Method::POST, "/incidents/views", "kind=alerts&name=Disks&q=name:disk*&shared=on").await;
    assert_eq!((saved.status.as_u16(), location(&saved)), (303, "/alerts?view=V-1"), "{}", saved.text);
    let view = test.get("/api/views/V-1").await.json;
    assert_eq!((&view["kind"], &view["count"]), (&json!("alerts"), &json!(2)), "{view}");
    let page = test.get("/alerts?view=V-1").await.text;
    assert_eq!(titles(&page), [all[2], all[3]]);
    assert!(
        page.contains("href=\"/alerts?view=V-1\" aria-current=\"page\"") && page.contains("The view “Disks”"),
        "{page}"
    );
    let narrowed = plain(&test, Method::GET, "/alerts?view=V-1&severity=low&by=facets", "").await;
    assert_eq!(location(&narrowed), "/alerts?q=name%3Adisk*+severity%3Alow");
    assert!(!test.get("/incidents?view=V-1").await.text.contains("The view"), "it is none of incidents");
    let wrong = test.post("/api/views", &json!({"name": "x", "q": "owner:me", "kind": "alerts"})).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    let gone = plain(&test, Method::POST, "/incidents/views/V-1/remove", "kind=alerts").await;
    assert_eq!(location(&gone), "/alerts");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wall_comes_anew_by_itself_and_has_no_controls() {
    let test = three().await;
    let page = test.get("/incidents?display=wall").await;
    assert_eq!(page.headers["refresh"], "30");
    // Below the banner of a lost connection.
    let main = page.text.split("<div class=\"top\">").nth(1).unwrap().split("</main>").next().unwrap();
    assert!(!main.contains("<button") && !main.contains("<select"), "{main}");
    assert!(!main.contains("type=\"search\"") && page.text.contains("data-theme=\"dark\""), "{main}");
    assert!(test.get("/incidents").await.headers.get("refresh").is_none());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_offered_and_counted() {
    let test = three().await;
    for (ask, want) in [
        ("of=incidents&field=&typed=se", vec!["severity:", "service:"]),
        ("of=incidents&field=severity&typed=hi", vec!["high"]),
        ("of=incidents&field=service&typed=che", vec!["checkout-api"]),
        ("of=incidents&field=owner&typed=", vec!["me", "none"]),
        ("of=incidents&field=host&typed=ord", vec!["orders-db-1"]),
        ("of=incidents&field=label.env&typed=", vec!["prod"]),
        ("of=alerts&field=&typed=rep", vec!["repeats:"]),
        ("of=alerts&field=status&typed=fir", vec!["firing"]),
    ] {
        let got = test.get(&format!("/complete?{ask}")).await;
        let offers: Vec<&str> =
            got.json["offers"].as_array().unwrap().iter().map(|o| o["value"].as_str().unwrap()).collect();
        assert_eq!(offers, want, "{ask}: {}", got.text);
    }
    let counts = test.get("/api/facets?q=severity:critical").await.json;
    assert_eq!((&counts["counts"]["severity:high"], &counts["counts"]["service:checkout-api"]), (&json!(1), &json!(1)));
    assert_eq!(counts["counts"]["service:search"], json!(null), "{counts}");
    let counts = test.get("/api/facets?of=alerts&q=severity:critical").await.json;
    assert_eq!((&counts["counts"]["severity:high"], &counts["counts"]["incident:any"]), (&json!(1), &json!(1)));
    let counts = test.get("/alerts/counts?q=severity:critical").await.json;
    assert_eq!(counts["counts"]["status:firing"], "1", "{counts}");
    assert_eq!(test.get("/api/facets?of=people").await.status, 400);
    test.stop().await;
}
