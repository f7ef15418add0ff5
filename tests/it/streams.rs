//! Live events as a browser's `EventSource` and other programs read them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{PATIENCE, TOKEN, TestApp};

/// One thing that came over a stream.
#[derive(Debug)]
enum Came {
    Comment(String),
    Event { id: u64, data: Value },
}

struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(request: RequestBuilder) -> Self {
        // The client of the tests gives up after its patience; a stream is longer than that.
        let response = request.timeout(Duration::from_secs(120)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store, no-transform");
        assert!(!response.headers().contains_key("content-encoding"), "a packed stream would be held back");
        Self { response, text: String::new() }
    }

    /// The next event or comment; none at the end.
    async fn next(&mut self) -> Option<Came> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let lines: Vec<&str> = block.lines().filter(|l| !l.starts_with("retry:")).collect();
                match lines.as_slice() {
                    [comment] if comment.starts_with(':') => return Some(Came::Comment((*comment).to_owned())),
                    [id, data] => {
                        let id = id.strip_prefix("id: ").unwrap_or_else(|| panic!("{block}")).parse().unwrap();
                        let data = data.strip_prefix("data: ").unwrap_or_else(|| panic!("{block}"));
                        return Some(Came::Event { id, data: serde_json::from_str(data).unwrap() });
                    }
                    _ => panic!("neither an unnamed event nor a comment: {block}"),
                }
            }
            match timeout(PATIENCE, self.response.chunk()).await.expect("something comes in time") {
                Ok(Some(piece)) => self.text.push_str(std::str::from_utf8(&piece).unwrap()),
                _ => return None,
            }
        }
    }

    /// Events up to the first that is wanted, with it.
    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<(u64, Value)> {
        let mut got = Vec::new();
        loop {
            if let Came::Event { id, data } = self.next().await.expect("the stream goes on") {
                let found = wanted(&data);
                got.push((id, data));
                if found {
                    return got;
                }
            }
        }
    }
}

fn request(test: &TestApp, path: &str) -> RequestBuilder {
    test.request(Method::GET, path).bearer_auth(TOKEN)
}

async fn send(test: &TestApp, name: &str, service: &str) -> Value {
    let body = json!({"id": name, "title": name, "service": service, "severity": "high"});
    test.deliver("generic", &body).await.json["alerts"][0].clone()
}

fn correlated(name: &str) -> impl Fn(&Value) -> bool {
    move |e| e["type"] == "alert_correlated" && e["title"] == name
}

fn ids(events: &[(u64, Value)]) -> Vec<u64> {
    events.iter().map(|(id, _)| *id).collect()
}

fn rising(events: &[(u64, Value)]) {
    assert!(events.windows(2).all(|w| w[0].0 < w[1].0), "one event per id, in order: {:?}", ids(events));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_event_has_its_fields() {
    let test = TestApp::start().await;
    let mut stream = Stream::open(request(&test, "/api/incidents/stream")).await;
    assert!(matches!(stream.next().await, Some(Came::Comment(_))), "something comes at once");
    send(&test, "A", "api").await;
    let joined = send(&test, "B", "api").await;
    let mut got = stream.until(correlated("B")).await;
    let event = &got.last().unwrap().1;
    assert_eq!((event["incident_id"].as_str(), event["strategy"].as_str()), (Some("INC-1"), Some("service_match")));
    assert_eq!((&event["alert_id"], event["correlation_score"].as_f64()), (&joined["alert_id"], Some(0.9)));
    test.analyzed("INC-1").await;
    got.extend(stream.until(|e| e["type"] == "incident_update" && e["incident"]["status"] == "analyzed").await);
    rising(&got);
    let of = |kind: &str| got.iter().map(|(_, e)| e).filter(|e| e["type"] == kind).cloned().collect::<Vec<_>>();
    for kind in ["incident_update", "alert_correlated", "thought", "suggestion", "cause", "delivery"] {
        assert!(
            !of(kind).is_empty(),
            "no {kind} in {:?}",
            got.iter().map(|(_, e)| e["type"].clone()).collect::<Vec<_>>()
        );
    }
    assert!(of("delivery").iter().all(|d| d["platform"] == "generic" && d["outcome"] == "accepted"));
    assert!(of("incident_update").iter().all(|u| u["incident_id"] == "INC-1" && u["change"].is_string()));
    assert_eq!(of("incident_update")[0]["change"], "created");
    assert_eq!(of("incident_update")[0]["incident"]["id"], "INC-1");
    let thought = &of("thought")[0];
    assert!(thought["text"].is_string() && thought["kind"].is_string() && thought["evidence"].is_array(), "{thought}");
    // What the incident has is what was streamed.
    let whole = test.get("/api/incidents/1").await.json;
    assert_eq!(of("thought").len(), whole["thoughts"].as_array().unwrap().len());
    assert_eq!(of("suggestion").len(), whole["suggestions"].as_array().unwrap().len());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_replayed_once_across_a_restart() {
    let mut test = TestApp::start().await;
    let mut first = Stream::open(request(&test, "/api/incidents/stream")).await;
    for n in 0..20 {
        send(&test, &format!("early {n}"), "api").await;
    }
    let seen = first.until(correlated("early 10")).await;
    rising(&seen);
    let last = seen.last().unwrap().0.to_string();
    // While nobody listens, and across a stop.
    for n in 0..20 {
        send(&test, &format!("late {n}"), "api").await;
    }
    test.restart().await;
    send(&test, "after the start", "api").await;
    let names = |events: &[(u64, Value)]| -> Vec<String> {
        let titles = events.iter().filter(|(_, e)| e["type"] == "alert_correlated");
        titles.map(|(_, e)| e["title"].as_str().unwrap().to_owned()).collect()
    };
    let by_header = request(&test, "/api/incidents/stream").header("last-event-id", &last);
    let by_query = request(&test, &format!("/api/incidents/stream?last_event_id={last}"));
    for again in [by_header, by_query] {
        let got = Stream::open(again).await.until(correlated("after the start")).await;
        rising(&got);
        assert!(got[0].0 > seen.last().unwrap().0, "what was seen does not come again");
        assert!(got.iter().all(|(_, e)| e["type"] != "reset"), "{:?}", got[0]);
        let mut all = names(&seen);
        all.extend(names(&got));
        assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "none twice: {all:?}");
        // The first alert opens the incident and is not correlated with anything.
        assert_eq!(all.len(), 19 + 20 + 1, "none lost: {all:?}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_not_known_is_told_to_start_over() {
    let test = TestApp::start().await;
    send(&test, "A", "api").await;
    for place in ["999999999", "18446744073709551615", "99999999999999999999999", "-1", "x", "1e9"] {
        let mut stream = Stream::open(request(&test, "/api/incidents/stream").header("last-event-id", place)).await;
        let got = stream.until(|_| true).await;
        assert_eq!(got[0].1["type"], "reset", "{place}: {got:?}");
        let head = got[0].0;
        assert!(head < 10_000, "{place}: it goes on from the newest");
        send(&test, &format!("after {place}"), "api").await;
        let then = stream.until(correlated(&format!("after {place}"))).await;
        assert!(then[0].0 > head);
        rising(&then);
    }
    // From the beginning, everything is there.
    let mut all = Stream::open(request(&test, "/api/incidents/stream?last_event_id=0")).await;
    let got = all.until(|e| e["change"] == "created").await;
    assert!(got.iter().all(|(_, e)| e["type"] != "reset"));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_one_incident_has_that_one_only() {
    let test = TestApp::start_any().await;
    send(&test, "A", "api").await;
    test.clock.advance(Duration::from_secs(3600));
    send(&test, "X", "db").await;
    let mut one = Stream::open(request(&test, "/api/incidents/INC-2/stream")).await;
    let mut all = Stream::open(request(&test, "/api/incidents/stream")).await;
    assert!(matches!(one.next().await, Some(Came::Comment(_))));
    test.clock.advance(Duration::from_secs(3600));
    send(&test, "B", "api").await;
    send(&test, "Y", "db").await;
    let got = one.until(correlated("Y")).await;
    assert!(got.iter().all(|(_, e)| e["incident_id"] == "INC-2"), "{got:?}");
    rising(&got);
    assert_eq!(all.until(correlated("B")).await.last().unwrap().1["incident_id"], "INC-1");
    // The number alone names it as well, and what is not there has no stream.
    Stream::open(request(&test, "/api/incidents/1/stream")).await;
    assert_eq!(request(&test, "/api/incidents/99/stream").send().await.unwrap().status(), 404);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_says_every_fifteen_seconds_that_it_lives() {
    let test = TestApp::start().await;
    let mut stream = Stream::open(request(&test, "/api/incidents/stream")).await;
    assert!(matches!(stream.next().await, Some(Came::Comment(_))));
    for _ in 0..3 {
        // The stream may not have begun to wait when the clock is first moved.
        let came = loop {
            test.clock.advance(Duration::from_secs(15));
            if let Ok(came) = timeout(Duration::from_millis(50), stream.next()).await {
                break came;
            }
        };
        assert!(matches!(&came, Some(Came::Comment(c)) if c.starts_with(':')), "{came:?}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_others_do_not_keep_a_stream_from_saying_that_it_lives() {
    let test = TestApp::start().await;
    send(&test, "A", "api").await;
    let mut one = Stream::open(request(&test, "/api/incidents/1/stream")).await;
    assert!(matches!(one.next().await, Some(Came::Comment(_))));
    for n in 0..4 {
        test.clock.advance(Duration::from_secs(10));
        let posted = json!({"title": "v2", "service": format!("s{n}")});
        test.post("/api/changes", &posted).await;
        let mut all = Stream::open(request(&test, "/api/incidents/stream?last_event_id=0")).await;
        all.until(|e| e["type"] == "delivery" && e["platform"] == "changes").await;
    }
    // 40 s have passed; what is about this incident itself may come before.
    while !matches!(one.next().await.expect("it goes on"), Came::Comment(_)) {}
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let test = TestApp::start().await;
    let made = test.post("/api/tokens", &json!({"name": "reader", "scopes": ["read"]})).await.json;
    let token = made["token"].as_str().unwrap();
    let mut stream = Stream::open(test.request(Method::GET, "/api/incidents/stream").bearer_auth(token)).await;
    assert!(matches!(stream.next().await, Some(Came::Comment(_))));
    assert_eq!(test.delete("/api/tokens/reader").await.status, 204);
    let ended = async {
        loop {
            test.clock.advance(Duration::from_secs(15));
            match timeout(Duration::from_millis(50), stream.next()).await {
                Ok(None) => return,
                Ok(Some(Came::Comment(c))) => panic!("it goes on: {c}"),
                Ok(Some(Came::Event { .. })) | Err(_) => {}
            }
        }
    };
    timeout(PATIENCE, ended).await.expect("it ends at its next sign of life");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_streams_get_everything_and_do_not_delay_the_end() {
    let test = TestApp::start().await;
    let (mut streams, mut pages) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        streams.push(Stream::open(request(&test, "/api/incidents/stream")).await);
        let page = request(&test, "/live").timeout(Duration::from_secs(120)).send().await.unwrap();
        assert_eq!(page.status(), 200);
        pages.push(page);
    }
    send(&test, "A", "api").await;
    for stream in &mut streams {
        let got = stream.until(|e| e["change"] == "created").await;
        assert_eq!(got.last().unwrap().1["incident_id"], "INC-1");
    }
    // Nobody reads any more; they are ended all the same.
    let began = Instant::now();
    test.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    for stream in &mut streams {
        while stream.next().await.is_some() {}
    }
    for page in pages {
        timeout(PATIENCE, page.text()).await.expect("it has ended").unwrap();
    }
}
