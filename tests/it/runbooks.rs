//! Runbooks and suggestions of the house: by the API, from folders, in an investigation, and on pages.

use std::{fs, path::Path};

use serde_json::{Value, json};
use watchfire::runtime::clock::Clock;

use crate::{
    binary,
    support::{TestApp, start_of_time},
};

fn write(dir: &Path, name: &str, text: &str) {
    fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
    fs::write(dir.join(name), text).unwrap();
}

const OWN: &str = "[[suggestion]]\nid = \"host-cpu\"\nkind = \"diagnostic\"\nrisk = \"safe\"\nsymptoms = [\"cpu\"]\ntechnologies = []\ntitle = \"Ask our profiler about {host}\"\nexpect = \"A flame.\"\ncommand = \"profiler --host {host} --of {service}\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn runbooks_are_made_listed_changed_and_removed() {
    let test = TestApp::start().await;
    let whole = json!({"title": " Errors ", "url": "https://wiki.example.com/errors", "alerts": ["HighErrorRate"],
        "services": ["checkout"], "labels": {"team": "shop"}, "keywords": ["refused"]});
    let made = test.post("/api/runbooks", &whole).await;
    assert_eq!((made.status.as_u16(), &made.json["id"]), (201, &json!("R-1")), "{}", made.text);
    assert_eq!((&made.json["title"], &made.json["source"]), (&json!("Errors"), &json!("store")));
    let listed = test.get("/api/runbooks").await.json;
    assert_eq!((&listed["total"], &listed["runbooks"][0]["services"]), (&json!(1), &json!(["checkout"])));
    let changed = test.patch("/api/runbooks/R-1", &json!({"url": null, "markdown": "# Errors\nGroup them."})).await;
    assert_eq!((changed.status.as_u16(), &changed.json["page"]), (200, &json!("/runbooks/R-1")), "{}", changed.text);
    assert_eq!(test.get("/api/runbooks/1").await.json["markdown"], "# Errors\nGroup them.");
    let refuse = async |body: Value, path: &str| {
        let refused = test.post("/api/runbooks", &body).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json["errors"][0]["path"]),
            (422, &json!(path)),
            "{}",
            refused.text
        );
    };
    refuse(json!({"title": "x"}), "/url").await;
    refuse(json!({"title": "x", "url": "javascript:alert(1)"}), "/url").await;
    refuse(json!({"title": " ", "url": "https://x"}), "/title").await;
    refuse(json!({"title": "x", "url": "https://x", "alerts": ["a", ""]}), "/alerts/1").await;
    refuse(json!({"title": "x", "markdown": "x".repeat(70_000)}), "/markdown").await;
    assert_eq!(test.patch("/api/runbooks/R-1", &json!({"markdown": null})).await.status, 422);
    assert_eq!(test.delete("/api/runbooks/R-1").await.status, 204);
    assert_eq!(test.delete("/api/runbooks/R-1").await.status, 404);
    let again = test.post("/api/runbooks", &whole).await;
    assert_eq!(again.json["id"], "R-2", "a number is given once");
    let audit = test.get("/api/audit").await.json["audit"].clone();
    let actions: Vec<&str> = audit.as_array().unwrap().iter().map(|a| a["action"].as_str().unwrap()).take(4).collect();
    assert_eq!(actions, ["runbook.create", "runbook.remove", "runbook.change", "runbook.create"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_investigation_uses_what_people_wrote_as_it_stands_now() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, books) = (dir.path().join("suggestions"), dir.path().join("runbooks"));
    write(&ours, "cpu.toml", OWN);
    write(&ours, "bad.toml", "[[suggestion]\n");
    write(
        &books,
        "team a/HighCPU.md",
        "---\nservices: [worker]\n---\n# Processors\n\n## What <b>first</b>\nSee [top](javascript:x) `top`.\n<script>alert(1)</script>\n",
    );
    let (a, b) = (ours.clone(), books.clone());
    let test = TestApp::start_with(Clock::manual(start_of_time()), move |c| {
        c.suggestions_dir = Some(a);
        c.runbooks_dir = Some(b);
    })
    .await;
    let deliver = async |id: &str, service: &str, host: &str| -> Value {
        let body = json!({"id": id, "title": "HighCPU", "service": service, "host": host, "severity": "high"});
        let taken = test.deliver("generic", &body).await;
        let incident = taken.json["alerts"][0]["incident_id"].as_str().unwrap().to_owned();
        test.analyzed(&incident).await
    };
    let first = deliver("a", "worker", "web-1").await;
    let suggestions = first["suggestions"].as_array().unwrap();
    let address = "/runbooks/team%20a/HighCPU.md#processors";
    assert_eq!(suggestions[0]["runbook_url"], address, "{suggestions:#?}");
    let own = suggestions.iter().find(|s| s["entry"] == "host-cpu").unwrap();
    assert_eq!(own["command"], "profiler --host web-1 --of worker");
    let cited = first["evidence"].as_array().unwrap().iter().find(|e| e["kind"] == "runbook").unwrap();
    assert_eq!(cited["url"], address);
    let thoughts = first["thoughts"].as_array().unwrap();
    assert!(
        thoughts.iter().any(|t| t["text"].as_str().unwrap().contains("it is for the alert “HighCPU”")),
        "{thoughts:#?}"
    );
    // Its page shows the text, and nothing of it is markup.
    let page = test.get("/runbooks/team%20a/HighCPU.md").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<h2 id=\"processors\">Processors</h2>"), "{}", page.text);
    assert!(!page.text.contains("<script>alert") && !page.text.contains("href=\"javascript"), "{}", page.text);
    assert_eq!(test.get("/runbooks/..%2F..%2Fetc%2Fpasswd").await.status, 404);
    assert_eq!(test.get("/runbooks/R-9").await.status, 404);
    let list = test.get("/runbooks").await.text;
    assert!(list.contains("/runbooks/team%20a/HighCPU.md") && list.contains("bad.toml:1:"), "{list}");
    let listed = test.get("/api/runbooks").await.json;
    assert_eq!(listed["runbooks"][0]["source"], "folder");
    // A file that changed counts for the next one.
    write(&ours, "cpu.toml", &OWN.replace("our profiler", "the new profiler"));
    fs::remove_file(books.join("team a/HighCPU.md")).unwrap();
    let ended = test.post("/api/incidents/1/resolve", &json!({})).await;
    assert_eq!(ended.status, 200);
    test.clock.advance(std::time::Duration::from_secs(7_200));
    let second = deliver("b", "other", "db-7").await;
    let titles: Vec<&str> =
        second["suggestions"].as_array().unwrap().iter().map(|s| s["title"].as_str().unwrap()).collect();
    assert!(titles.contains(&"Ask the new profiler about db-7"), "{titles:?}");
    assert!(!titles.iter().any(|t| t.contains("runbook")), "{titles:?}");
    test.stop().await;
}

#[test]
fn check_names_what_is_wrong_with_files() {
    let dir = tempfile::tempdir().unwrap();
    let ours = dir.path().join("s");
    write(&ours, "good.toml", OWN);
    write(
        &ours,
        "bad.toml",
        "[[suggestion]]\nid = \"x\"\nkind = \"diagnostic\"\nrisk = \"safe\"\nsymptoms = [\"cpu\"]\ntitle = \"T\"\nexpect = \"E.\"\ncommand = \"sh -c {service}\"\n",
    );
    let folder = ours.display().to_string();
    let checked = binary::run(dir.path(), &["check", "--investigation-suggestions-dir", &folder], "");
    let said = binary::stdout(&checked);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("bad.toml:8:11: suggestion `x`: {service} would be read once more"), "{said}");
    fs::remove_file(ours.join("bad.toml")).unwrap();
    let checked = binary::run(dir.path(), &["check", "--investigation-suggestions-dir", &folder], "");
    assert!(checked.status.success() && binary::stdout(&checked).contains("suggestions and runbooks: good"));
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_ones_own_tell_symptoms_and_mistakes_in_them_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("symptoms.tsv");
    fs::write(&table, "backlog\ttailspin lag\nsadness\tcries\n").unwrap();
    let given = table.clone();
    let test = TestApp::start_with(Clock::manual(start_of_time()), move |c| c.symptoms_file = Some(given)).await;
    let symptom = async |id: &str| -> Value {
        let body = json!({"id": id, "title": "Tailspin-Lag 12", "service": format!("s-{id}"), "severity": "high"});
        let taken = test.deliver("generic", &body).await;
        let incident = taken.json["alerts"][0]["incident_id"].as_str().unwrap().to_owned();
        test.analyzed(&incident).await["causes"][0]["symptom"].clone()
    };
    assert_eq!(symptom("a").await, "backlog");
    let page = test.get("/settings/investigation").await.text;
    assert!(page.contains("symptoms.tsv:2: `sadness` is no symptom; write one of"), "{page}");
    // A table that changed counts for the next one.
    fs::write(&table, "# now\ncertificate\ttailspin lag\n").unwrap();
    test.post("/api/incidents/1/resolve", &json!({})).await;
    test.clock.advance(std::time::Duration::from_secs(7_200));
    assert_eq!(symptom("b").await, "certificate");
    assert!(!test.get("/settings/investigation").await.text.contains("Mistakes in your own files"));
    test.stop().await;
}

#[test]
fn check_and_backtest_read_the_table_of_symptoms() {
    let dir = tempfile::tempdir().unwrap();
    let (table, config, input) = (dir.path().join("s.tsv"), dir.path().join("w.toml"), dir.path().join("in.ndjson"));
    fs::write(&table, "cpu fans\n").unwrap();
    fs::write(&config, format!("[investigation]\nsymptoms_file = \"{}\"\n", table.display())).unwrap();
    let body = json!({"id": "a", "title": "Tailspin-Lag 12", "service": "s", "severity": "high"});
    let line = json!({"at": "2026-03-03T10:30:00Z", "platform": "generic", "body": body});
    fs::write(&input, format!("{line}\n")).unwrap();
    let (config, input) = (config.display().to_string(), input.display().to_string());
    let checked = binary::run(dir.path(), &["check", "--config", &config], "");
    let said = binary::stdout(&checked);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("s.tsv:1: there is no tab in it; write a symptom, a tab, and the words"), "{said}");
    fs::write(&table, "certificate\ttailspin lag\n").unwrap();
    let checked = binary::run(dir.path(), &["check", "--config", &config], "");
    assert!(binary::stdout(&checked).contains("table of symptoms: good ("), "{}", binary::stdout(&checked));
    let played = binary::run(dir.path(), &["backtest", &input, "--config", &config, "--investigate", "--json"], "");
    assert!(binary::stdout(&played).contains("\"certificate\""), "{}", binary::stdout(&played));
    let plain = binary::run(dir.path(), &["backtest", &input, "--investigate", "--json"], "");
    assert!(plain.status.success() && !binary::stdout(&plain).contains("\"certificate\""));
}
