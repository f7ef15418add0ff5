//! What people say of causes, and the postmortem that is written afterwards: by the API and by the pages' forms.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TOKEN, TestApp, answer};

/// An incident that was investigated.
async fn investigated() -> TestApp {
    let test = TestApp::start().await;
    let change = json!({"title": "v2", "service": "api", "kind": "deploy", "at": "2026-03-03T10:28:00Z"});
    test.post("/api/changes", &change).await;
    for (id, service) in [("a", "api"), ("b", "db")] {
        let body =
            json!({"id": id, "title": format!("Slow answers of {service}"), "service": service, "severity": "high"});
        assert_eq!(test.deliver("generic", &body).await.status, 202);
    }
    test.analyzed("INC-1").await;
    test
}

async fn put(test: &TestApp, body: &Value) -> Answer {
    answer(test.request(Method::PUT, "/api/incidents/1/postmortem").bearer_auth(TOKEN).json(body)).await
}

/// A form of a page, without scripts.
async fn form(test: &TestApp, path: &str, body: &str) -> Answer {
    let request = test.request(Method::POST, path).bearer_auth(TOKEN);
    answer(request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_is_judged_by_api_and_by_page_and_recorded_at_the_end() {
    let test = investigated().await;
    let incident = test.get("/api/incidents/1").await.json;
    let causes = incident["causes"].as_array().unwrap();
    assert!(causes.len() > 1, "{incident}");
    let (first, second) = (causes[0]["title"].as_str().unwrap(), causes[1]["title"].as_str().unwrap());
    let judge = async |rank: &str, body: Value| test.patch(&format!("/api/incidents/1/causes/{rank}"), &body).await;
    for (rank, body, status) in [
        ("1", json!({}), 422),
        ("1", json!({"verdict": "maybe"}), 422),
        ("9", json!({"verdict": "right"}), 404),
        ("one", json!({"verdict": "right"}), 404),
    ] {
        assert_eq!(judge(rank, body.clone()).await.status, status, "{rank} {body}");
    }
    assert_eq!(judge("1", json!({"verdict": "wrong"})).await.json["verdict"], "wrong");
    let now = test.get("/api/incidents/1").await.json;
    assert_eq!((&now["leading"]["title"], &now["causes"][0]["verdict"]), (&json!(second), &json!("wrong")));
    assert_eq!(judge("1", json!({"verdict": null})).await.json["verdict"], Value::Null);
    let page = test.get("/incidents/1").await.text;
    assert!(page.contains("This is it") && page.contains("Not this"), "{page}");
    // The form says which cause was read: after another run it may be another one.
    let (_, rest) = page.split_once("name=\"mark\" value=\"").unwrap();
    let read = |mark: &str| format!("verdict=right&mark={mark}");
    assert_eq!(form(&test, "/incidents/1/causes/1", &read("another")).await.status, 409);
    assert_eq!(form(&test, "/incidents/1/causes/1", &read(rest.split('"').next().unwrap())).await.status, 303);
    let now = test.get("/api/incidents/1").await.json;
    assert_eq!(now["investigation"]["conclusion"], "confirmed");
    assert_eq!(now["recorded"]["service"], now["causes"][0]["service"]);
    assert_eq!(form(&test, "/incidents/1/causes/1", "").await.status, 303);
    assert_eq!(test.get("/api/incidents/1").await.json["recorded"], Value::Null, "taken back");
    for (cause, status) in [(json!({"symptom": "cpu"}), 422), (json!({"service": "dns", "symptom": "slow"}), 422)] {
        let refused = test.post("/api/incidents/1/resolve", &json!({"cause": cause})).await;
        assert_eq!(refused.status, status, "{cause}: {}", refused.text);
    }
    assert!(test.get("/incidents/1?do=resolve").await.text.contains("What was it?"));
    let body = json!({"resolution": "the resolver is back", "cause": {"service": "dns", "symptom": "unavailable"}});
    let ended = test.post("/api/incidents/1/resolve", &body).await.json;
    assert_eq!((&ended["status"], &ended["resolution"]), (&json!("resolved"), &json!("the resolver is back")));
    assert_eq!(
        (&ended["recorded"]["service"], &ended["leading"]["title"]),
        (&json!("dns"), &json!("dns: unavailable"))
    );
    let detail = test.get("/api/incidents/1/investigation").await.json;
    assert_eq!(detail["first"]["title"], first, "what was said first stays");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suggestion_is_used_and_that_is_taken_back() {
    let test = investigated().await;
    let sid = test.get("/api/incidents/1").await.json["suggestions"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/incidents/1/suggestions/{sid}");
    for state in ["done", "done", "open", "dismissed"] {
        assert_eq!(test.patch(&path, &json!({"state": state})).await.json["state"], state);
    }
    let timeline = test.get("/api/incidents/1/timeline").await.json;
    let told = timeline["timeline"].as_array().unwrap().iter().filter(|e| e["kind"] == "feedback").count();
    assert_eq!(told, 3, "saying it twice says nothing new");
    assert_eq!(form(&test, &format!("/incidents/1/suggestions/{sid}"), "state=open").await.status, 303);
    assert_eq!(test.get("/api/incidents/1").await.json["suggestions"][0]["state"], "open");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postmortem_is_drafted_saved_compared_and_exported() {
    let test = investigated().await;
    let at = "/api/incidents/1/postmortem";
    assert_eq!(test.get(at).await.status, 404);
    let drafted = test.post(&format!("{at}/draft"), &json!({})).await;
    assert_eq!((drafted.status.as_u16(), &drafted.json["draft_version"]), (200, &json!(1)), "{}", drafted.text);
    let summary = drafted.json["sections"]["summary"].as_str().unwrap();
    assert!(
        summary.contains("“Slow answers of api” was a high incident") && summary.contains("To fill in"),
        "{summary}"
    );
    assert_eq!(test.post(&format!("{at}/publish"), &json!({})).await.status, 409, "it burns");
    test.post("/api/incidents/1/resolve", &json!({"reason": "rolled back", "cause": {"service": "api"}})).await;
    let again = test.post(&format!("{at}/draft"), &json!({})).await.json;
    assert_eq!((&again["version"], &again["draft_version"]), (&json!(2), &json!(2)), "nobody had changed the first");
    let saved = put(
        &test,
        &json!({"version": 2, "sections": {"summary": "It was the *quorum*."},
        "actions": [{"text": "Watch the quorum", "owner": "sre-2", "due": "2026-03-01"}]}),
    )
    .await;
    assert_eq!((saved.status.as_u16(), &saved.json["version"]), (200, &json!(3)), "{}", saved.text);
    assert_eq!((&saved.json["overdue"], &saved.json["action_count"]), (&json!(1), &json!(1)));
    assert!(saved.json["sections"]["causes"].as_str().unwrap().contains("recorded by"), "left out: stays");
    // The second who saves gets both texts.
    let late = put(&test, &json!({"version": 2, "sections": {"summary": "Mine."}})).await;
    assert_eq!(late.status, 409);
    assert_eq!(late.json["code"], "overtaken");
    assert_eq!(late.json["current"]["sections"]["summary"], "It was the *quorum*.");
    assert_eq!(late.json["yours"]["sections"]["summary"], "Mine.");
    for (body, place) in [
        (json!({"version": 3, "title": " "}), "/title"),
        (json!({"version": 3, "actions": [{"text": ""}]}), "/actions/0/text"),
        (json!({"version": 3, "sections": {"summary": "x".repeat(40_000)}}), "/sections/summary"),
    ] {
        let refused = put(&test, &body).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json["errors"][0]["path"]),
            (422, &json!(place)),
            "{}",
            refused.text
        );
    }
    assert_eq!(put(&test, &json!({"version": 3, "sections": {"nothing": "x"}})).await.status, 422);
    // A comment is news for a draft, which then stands beside what people wrote.
    test.post("/api/incidents/1/comment", &json!({"text": "TODO: ask the vendor"})).await;
    let beside = test.post(&format!("{at}/draft"), &json!({})).await.json;
    assert_eq!(
        (&beside["version"], &beside["draft_version"], &beside["newer_draft"]),
        (&json!(3), &json!(4), &json!(4))
    );
    let versions = test.get(&format!("{at}/versions")).await.json;
    let kinds: Vec<&str> =
        versions["versions"].as_array().unwrap().iter().map(|v| v["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["draft", "edit", "draft", "draft"]);
    let draft = test.get(&format!("{at}/versions/4")).await.json;
    assert!(draft["actions"].as_array().unwrap().iter().any(|a| a["text"] == "ask the vendor"), "{draft}");
    let compared = test.get("/postmortems/1?compare=4").await.text;
    assert!(compared.contains("<ins>") && compared.contains("Take this section"), "{compared}");
    let back = test.post(&format!("{at}/versions/1/restore"), &json!({"section": "summary"})).await.json;
    assert_eq!((&back["version"], &back["sections"]["summary"]), (&json!(5), &json!(summary)));
    let published = test.post(&format!("{at}/publish"), &json!({})).await.json;
    assert_eq!(published["state"], "published");
    let incident = test.get("/api/incidents/1").await.json;
    assert_eq!((&incident["status"], &incident["postmortem"]), (&json!("resolved"), &json!("published")));
    let file = test.get(&format!("{at}.md")).await;
    assert_eq!(file.headers["content-type"], "text/markdown; charset=utf-8");
    assert_eq!(file.headers["content-disposition"], "attachment; filename=\"postmortem-INC-1.md\"");
    assert!(
        file.text.contains("## Timeline") && file.text.contains("| Watch the quorum | sre-2 | 2026-03-01 | open |")
    );
    assert_eq!(test.get(at).await.json["markdown"], file.text);
    let listed = test.get("/api/postmortems").await.json;
    assert_eq!((&listed["postmortems"][0]["incident_id"], &listed["total"]), (&json!("INC-1"), &json!(1)));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sections_are_edited_by_plain_forms_and_words_find_them() {
    let test = investigated().await;
    let page = test.get("/postmortems/1").await.text;
    assert!(page.contains("No postmortem yet") && page.contains("Write postmortem"), "{page}");
    test.post("/api/incidents/1/resolve", &json!({})).await;
    assert!(test.get("/incidents/1").await.text.contains("/postmortems/INC-1/draft"), "offered where it ended");
    assert!(test.get("/postmortems").await.text.contains("Ended lately without one"));
    let begun = form(&test, "/postmortems/1/draft", "").await;
    assert_eq!(begun.headers["location"], "/postmortems/INC-1", "{}", begun.text);
    let edit = test.get("/postmortems/1?edit=causes").await.text;
    assert!(edit.contains("name=\"part\" value=\"causes\"") && edit.contains("Causes being edited by you"), "{edit}");
    // Somebody else is told.
    let token = test.post("/api/tokens", &json!({"name": "kim", "scopes": ["write"]})).await.json["token"].clone();
    let other = test.request(Method::GET, "/postmortems/1").bearer_auth(token.as_str().unwrap());
    assert!(answer(other).await.text.contains("is editing Causes"));
    let hostile = "part=causes&version=1&text=%3Cscript%3Ealert(1)%3C%2Fscript%3E+%5Bx%5D(javascript%3Aalert(1))+zebra";
    let saved = form(&test, "/postmortems/1", hostile).await;
    assert_eq!(
        (saved.status.as_u16(), &saved.headers["location"]),
        (303, &"/postmortems/INC-1#causes".parse().unwrap())
    );
    let page = test.get("/postmortems/1").await.text;
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("href=\"javascript"), "{page}");
    // Another part goes together with that, the same part does not.
    assert_eq!(form(&test, "/postmortems/1", "part=summary&version=1&text=Short.").await.status, 303);
    let late = form(&test, "/postmortems/1", "part=causes&version=1&text=I+think+otherwise").await;
    assert_eq!(late.status, 409);
    assert!(late.text.contains("I think otherwise") && late.text.contains("zebra"), "both texts: {}", late.text);
    let wrong = form(&test, "/postmortems/1", "part=actions&version=3&action=One&due=soon").await;
    assert!(
        wrong.status == 422 && wrong.text.contains("is no day") && wrong.text.contains("value=\"One\""),
        "{}",
        wrong.text
    );
    let rows =
        "part=actions&version=3&action=One&owner=kim&due=2026-01-01&state=in_progress&action=&owner=&due=&state=open";
    assert_eq!(form(&test, "/postmortems/1", rows).await.status, 303);
    let page = test.get("/postmortems/1").await.text;
    assert!(page.contains("overdue") && page.contains("in progress"), "{page}");
    assert!(test.get("/postmortems").await.text.contains("1 overdue"));
    assert_eq!(form(&test, "/postmortems/1/publish", "").await.status, 303);
    assert!(test.get("/postmortems/1").await.text.contains("Published"));
    let found = async || loop {
        if test.get("/api/incidents?q=zebra").await.json["incidents"][0]["id"] == "INC-1" {
            return;
        }
        test.clock.advance(std::time::Duration::from_millis(500));
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), found()).await.expect("it is indexed in time");
    assert!(test.get("/postmortems?q=zebra").await.text.contains("/postmortems/INC-1"));
    assert!(!test.get("/postmortems?q=giraffe").await.text.contains("/postmortems/INC-1\""));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_comes_back_as_markdown_and_the_slower_of_two_gets_both_texts() {
    let test = investigated().await;
    let at = "/api/incidents/1/postmortem";
    test.post(&format!("{at}/draft"), &json!({})).await;
    let actions =
        json!([{"text": "Ask | *twice* about a_b", "owner": "kim", "due": "2026-04-01", "state": "in_progress"}]);
    assert_eq!(put(&test, &json!({"version": 1, "actions": actions})).await.status, 200);
    let send = async |text: String, query: &str| {
        let request = test.request(Method::PUT, &format!("{at}.md{query}")).bearer_auth(TOKEN);
        answer(request.header("content-type", "text/markdown").body(text)).await
    };
    let read = test.get(&format!("{at}.md")).await.text;
    // As it was read, it says the same.
    let same = send(read.clone(), "").await;
    assert_eq!(same.status, 200, "{}", same.text);
    let now = test.get(at).await.json;
    assert_eq!((&now["actions"], &now["sections"]), (&actions, &same.json["sections"]));
    let changed = test.get(&format!("{at}.md")).await.text.replace("## Impact\n", "## Impact\n\nNobody noticed.\n");
    let saved = send(changed.clone(), "").await;
    assert!(saved.json["sections"]["impact"].as_str().unwrap().starts_with("Nobody noticed."), "{}", saved.text);
    let late = send(changed.replace("Nobody", "Everybody"), "").await;
    assert_eq!((late.status.as_u16(), &late.json["code"]), (409, &json!("overtaken")), "{}", late.text);
    assert!(late.json["yours"]["sections"]["impact"].as_str().unwrap().starts_with("Everybody"));
    assert!(late.json["current"]["sections"]["impact"].as_str().unwrap().starts_with("Nobody"));
    let version = saved.json["version"].as_u64().unwrap();
    assert_eq!(
        send("## Summary\nShort.\n".into(), &format!("?version={version}")).await.json["sections"]["summary"],
        "Short."
    );
    let wrong = send("## Actions\nnone of it\n".into(), "?version=9").await;
    assert_eq!((wrong.status.as_u16(), &wrong.json["errors"][0]["path"]), (422, &json!("/line/2")), "{}", wrong.text);
    test.stop().await;
}
