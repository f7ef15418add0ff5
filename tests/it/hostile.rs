//! What senders must not be able to do: every platform against every body that somebody might send by mistake or in anger.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchfire::connectors;

use crate::support::{Answer, TOKEN, TestApp, answer};

type Hostile = (&'static str, Vec<u8>, &'static [(&'static str, &'static str)]);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut e = GzEncoder::new(Vec::new(), Compression::fast());
    e.write_all(bytes).unwrap();
    e.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut e = ZlibEncoder::new(Vec::new(), Compression::fast());
    e.write_all(bytes).unwrap();
    e.finish().unwrap()
}

/// Every value of the body changed, but for the shape.
fn each(value: Value, change: &dyn Fn(Value) -> Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(|v| each(v, change)).collect(),
        Value::Object(map) => map.into_iter().map(|(k, v)| (k, each(v, change))).collect(),
        other => change(other),
    }
}

fn numbers_as_texts(value: Value) -> Value {
    each(value, &|v| if v.is_number() { v.to_string().into() } else { v })
}

fn nulls(value: Value) -> Value {
    each(value, &|_| Value::Null)
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    let mut out = if big { vec![0xFE, 0xFF] } else { vec![0xFF, 0xFE] };
    out.extend(text.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }));
    out
}

/// Bodies that know nothing of the platform, and some made from its own sample.
fn bodies(sample: &str) -> Vec<Hostile> {
    let deep = |open: &str, close: &str, n: usize| format!("{}{}", open.repeat(n), close.repeat(n)).into_bytes();
    let urlencoded: String =
        format!("payload={}", form_urlencoded::byte_serialize(sample.as_bytes()).collect::<String>());
    let multipart = format!("--b\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{sample}\r\n--b--\r\n");
    let form = &[("content-type", "application/x-www-form-urlencoded")][..];
    let mut broken = gzip(sample.as_bytes());
    broken.truncate(broken.len() / 2);
    let mut invalid = sample.as_bytes().to_vec();
    if let Some(at) = sample.find(": \"") {
        invalid.splice(at + 3..at + 3, [0xC3, 0x28, 0xFF]);
    }
    let half = (0..=sample.len() / 2).rev().find(|i| sample.is_char_boundary(*i)).unwrap_or(0);
    let packed = gzip(sample.as_bytes());
    let mut wrong_length = packed.clone();
    let end = wrong_length.len() - 4;
    wrong_length[end..].copy_from_slice(&7u32.to_le_bytes());
    let mut wrong_sum = packed.clone();
    wrong_sum[end - 4] ^= 1;
    let padding = vec![b' '; (1 << 20) + 1 - sample.len()];
    let bomb = gzip(&vec![b' '; 20 << 20]);
    let inner: Value = serde_json::from_str(sample).unwrap();
    let doubled = match &inner {
        Value::Object(map) => {
            let members = || map.iter().map(|(k, v)| format!("{}:{v}", json!(k))).collect::<Vec<_>>().join(",");
            format!("{{{},{}}}", members(), members())
        }
        other => other.to_string(),
    };
    let many = |n: usize| format!("[{}]", vec![inner.to_string(); n].join(","));
    vec![
        ("one byte more than 1 MiB", [padding.as_slice(), sample.as_bytes()].concat(), &[]),
        ("gzip bomb", bomb.clone(), &[("content-encoding", "gzip")]),
        ("gzip bomb packed twice", gzip(&bomb), &[("content-encoding", "gzip, gzip")]),
        ("gzip bomb of many members", gzip(&vec![b' '; 1 << 20]).repeat(30), &[("content-encoding", "gzip")]),
        ("gzip packed twice", gzip(&packed), &[("content-encoding", "gzip, gzip")]),
        ("gzip packed three times", gzip(&gzip(&packed)), &[("content-encoding", "gzip, gzip, gzip")]),
        ("gzip of two members", [packed.clone(), gzip(b" ")].concat(), &[("content-encoding", "gzip")]),
        ("gzip with another length", wrong_length, &[("content-encoding", "gzip")]),
        ("gzip with another checksum", wrong_sum, &[("content-encoding", "gzip")]),
        ("gzip with junk behind it", [packed.clone(), b"junk".to_vec()].concat(), &[("content-encoding", "gzip")]),
        ("gzip without its end", packed[..packed.len() - 8].to_vec(), &[("content-encoding", "gzip")]),
        ("deflate", zlib(sample.as_bytes()), &[("content-encoding", "deflate")]),
        ("brotli", sample.as_bytes().to_vec(), &[("content-encoding", "br")]),
        ("gzip that is not said", packed, &[]),
        (
            "an encoding without end",
            sample.as_bytes().to_vec(),
            &[("content-encoding", ",,,,,,,,,,,,,,,,identity,,,,,,")],
        ),
        ("numbers as texts", numbers_as_texts(inner.clone()).to_string().into_bytes(), &[]),
        ("nothing but nulls", nulls(inner.clone()).to_string().into_bytes(), &[]),
        ("every key twice", doubled.into_bytes(), &[]),
        ("a list of 200 samples", many(200).into_bytes(), &[]),
        ("10,001 empty objects", format!("[{}{{}}]", "{},".repeat(10_000)).into_bytes(), &[]),
        ("10,001 empty alerts", format!("{{\"alerts\":[{}{{}}]}}", "{},".repeat(10_000)).into_bytes(), &[]),
        ("truncated", sample.as_bytes()[..half].to_vec(), &[]),
        ("lists 10,000 deep", deep("[", "]", 10_000), &[]),
        ("objects 10,000 deep", deep("{\"a\":", "}", 10_000), &[]),
        ("unclosed 500,000 deep", b"[".repeat(500_000), &[]),
        ("deep in a known place", format!("{{\"alerts\":{}{}}}", "[".repeat(5000), "]".repeat(5000)).into_bytes(), &[]),
        ("invalid UTF-8", invalid, &[]),
        ("only invalid UTF-8", vec![0xFF, 0xC0, 0x80, 0xFE], &[]),
        ("UTF-8 mark", [b"\xEF\xBB\xBF", sample.as_bytes()].concat(), &[]),
        ("UTF-16 LE", utf16(sample, false), &[]),
        ("UTF-16 BE", utf16(sample, true), &[]),
        ("UTF-16 cut in half", vec![0xFF, 0xFE, 0x7B], &[]),
        ("said to be text", sample.as_bytes().to_vec(), &[("content-type", "text/plain")]),
        ("said to be XML", sample.as_bytes().to_vec(), &[("content-type", "application/xml; charset=latin1")]),
        ("said to be nothing", sample.as_bytes().to_vec(), &[("content-type", "; ; boundary=")]),
        ("form of JSON", urlencoded.into_bytes(), form),
        ("JSON said to be a form", sample.as_bytes().to_vec(), form),
        ("form of nonsense", b"%%%=%zz&&&=&a".to_vec(), form),
        ("multipart", multipart.clone().into_bytes(), &[("content-type", "multipart/form-data; boundary=b")]),
        ("multipart without boundary", multipart.into_bytes(), &[("content-type", "multipart/form-data")]),
        (
            "multipart without end",
            b"--b\r\nContent-Disposition: form-data; name=\"".to_vec(),
            &[("content-type", "multipart/form-data; boundary=b")],
        ),
        ("gzip", gzip(sample.as_bytes()), &[("content-encoding", "gzip")]),
        ("broken gzip", broken, &[("content-encoding", "gzip")]),
        ("gzip that is none", sample.as_bytes().to_vec(), &[("content-encoding", "gzip")]),
        ("unknown encoding", sample.as_bytes().to_vec(), &[("content-encoding", "br, zstd")]),
        ("nothing", Vec::new(), &[]),
        ("space", b" \r\n\t ".to_vec(), &[]),
        ("{}", b"{}".to_vec(), &[]),
        ("[]", b"[]".to_vec(), &[]),
        ("[[]]", b"[[]]".to_vec(), &[]),
        ("[null]", b"[null,1,\"x\",{}]".to_vec(), &[]),
        ("null", b"null".to_vec(), &[]),
        ("true", b"true".to_vec(), &[]),
        ("text", b"\"x\"".to_vec(), &[]),
        ("number", b"5".to_vec(), &[]),
        ("huge number", b"1e999999".to_vec(), &[]),
        ("many digits", [b"{\"id\":", "9".repeat(50_000).as_bytes(), b"}"].concat(), &[]),
        ("sample in a list", format!("[{sample}]").into_bytes(), &[]),
        ("two samples", format!("{sample}\n{sample}").into_bytes(), &[]),
        (
            "duplicate keys",
            br#"{"title":"a","title":"b","status":"firing","status":"resolved","alerts":[],"alerts":{}}"#.to_vec(),
            &[],
        ),
        ("NUL", b"{\"title\":\"a\0b\"}".to_vec(), &[]),
        (
            "lone surrogates",
            br#"{"title":"\ud800","alarm":"\udfff","alerts":[{"labels":{"alertname":"\ud83d"}}]}"#.to_vec(),
            &[],
        ),
        ("HTML", b"<!doctype html><script>alert(1)</script>".to_vec(), &[("content-type", "text/html")]),
        ("XML bomb", b"<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"aaaa\">]><l>&a;</l>".to_vec(), &[]),
        ("binary", (0..=255u8).cycle().take(4096).collect(), &[("content-type", "application/octet-stream")]),
        (
            "100,000 keys",
            format!("{{{}}}", (0..30_000).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",")).into_bytes(),
            &[],
        ),
    ]
}

fn sound(what: &str, a: &Answer) {
    let status = a.status.as_u16();
    // The sample of SNS is signed: with another signature, or another place for its certificate, it is refused.
    let forged = status == 401 && what.starts_with("sns: ");
    assert!(forged || [200, 202, 400, 413, 422].contains(&status), "{what}: {status} {}", a.text);
    assert!(!a.text.contains("connector_failed"), "{what}: reading it panicked: {}", a.text);
    if a.status.is_success() {
        assert!(a.json["delivery_id"].is_string(), "{what}: {}", a.text);
        return;
    }
    assert_eq!(a.headers["content-type"], "application/problem+json", "{what}");
    assert_eq!(a.json["status"], status, "{what}");
    assert!(a.json["code"].as_str().is_some_and(|c| !c.is_empty()), "{what}: {}", a.text);
    assert!(a.json["detail"].as_str().is_some_and(|d| d.len() > 15), "{what}: {}", a.text);
    assert_eq!(a.json["request_id"].as_str(), Some(a.headers["x-request-id"].to_str().unwrap()), "{what}");
    if status == 422 {
        assert!(a.json["errors"][0]["path"].is_string(), "{what}: {}", a.text);
        assert!(a.json["delivery_id"].is_string(), "{what}: what can be read is kept: {}", a.text);
    }
}

async fn nothing_is_broken(test: &TestApp) {
    use watchfire::runtime::supervise::TaskState;
    let tasks = test.app().tasks();
    assert!(tasks.iter().all(|t| t.state == TaskState::Running && t.restarts == 0), "{tasks:?}");
    assert_eq!(answer(test.request(Method::GET, "/readyz")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_platform_survives_every_body() {
    let test = TestApp::start().await;
    for connector in connectors::ALL {
        let (platform, sample) = (connector.info().slug, connector.info().sample);
        for (name, body, headers) in bodies(sample) {
            let what = format!("{platform}: {name}");
            let a = test.knock(platform, headers, body.clone()).await;
            sound(&what, &a);
            if let Some(id) = a.json["delivery_id"].as_str() {
                let kept = test.until(&format!("/api/deliveries/{id}"), |d| d["applied_at"].is_string()).await;
                let outcome =
                    if a.status.is_success() && a.json["problem"].is_null() { "accepted" } else { "unparsed" };
                assert_eq!(kept["outcome"], outcome, "{what}");
                assert_eq!(kept["problem"].is_null(), outcome == "accepted", "{what}");
            }
            let plain = ["UTF-8 mark", "UTF-16 LE", "UTF-16 BE", "said to be text", "said to be XML", "form of JSON"];
            let packed = [
                "JSON said to be a form",
                "multipart",
                "gzip",
                "gzip packed twice",
                "gzip of two members",
                "deflate",
                "an encoding without end",
                "every key twice",
                "numbers as texts",
                "invalid UTF-8",
            ];
            if plain.contains(&name) || packed.contains(&name) {
                assert!(a.status.is_success() && a.json["problem"].is_null(), "{what} is what was meant: {}", a.text);
            }
            let unreadable = [
                "broken gzip",
                "gzip that is none",
                "gzip packed three times",
                "gzip with another length",
                "gzip with another checksum",
                "gzip without its end",
                "brotli",
                "unknown encoding",
                "nothing",
                "space",
            ];
            if unreadable.contains(&name) {
                assert_eq!(a.status, 400, "{what}: {}", a.text);
            }
            if ["one byte more than 1 MiB", "gzip bomb", "gzip bomb packed twice", "gzip bomb of many members"]
                .contains(&name)
            {
                assert_eq!(
                    (a.status.as_u16(), a.json["code"].as_str()),
                    (413, Some("too_large")),
                    "{what}: {}",
                    a.text
                );
                assert!(a.json["detail"].as_str().unwrap().contains("max_body"), "the remedy is named: {}", a.text);
            }
        }
    }
    nothing_is_broken(&test).await;
    test.stop().await;
}

/// A body that is refused for its encoding was proven to come from the sender, and is there to be looked at.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_unpacked_is_kept_as_it_came() {
    let test = TestApp::start().await;
    let a = test.knock("generic", &[("content-encoding", "br")], b"{\"title\":\"x\"}".to_vec()).await;
    assert_eq!((a.status.as_u16(), a.json["code"].as_str()), (400, Some("bad_encoding")), "{}", a.text);
    assert!(a.json["detail"].as_str().unwrap().contains("use gzip, deflate or none"), "{}", a.text);
    let list = test.until("/api/deliveries?outcome=refused", |d| d["deliveries"][0]["id"].is_string()).await;
    let id = list["deliveries"][0]["id"].as_str().unwrap();
    let kept = test.get(&format!("/api/deliveries/{id}")).await;
    assert!(kept.text.contains("title"), "{}", kept.text);
    test.stop().await;
}

/// Every place of every sample gets every kind of wrong value.
#[tokio::test(flavor = "multi_thread")]
async fn every_field_survives_every_value() {
    let test = TestApp::start().await;
    let values = [
        Value::Null,
        json!(-1),
        json!(1e308),
        json!("0001-01-01T00:00:00Z"),
        json!("9999-12-31T23:59:60+23:59"),
        json!(i64::MIN),
        json!(u64::MAX),
        json!("253402300800000"),
        json!([[]]),
        json!({"": {"name": [null]}}),
        json!("<script>alert(1)</script>\u{202e}\0\u{7}%s{{x}}"),
    ];
    for connector in connectors::ALL {
        let platform = connector.info().slug;
        let key = test.key(platform).await;
        let sample: Value = serde_json::from_str(connector.info().sample).unwrap();
        let mut places = Vec::new();
        walk(&sample, String::new(), &mut places);
        let mut sent = tokio::task::JoinSet::new();
        let all = places.iter().flat_map(|p| values.iter().map(move |v| (p.clone(), v.clone())));
        for (place, value) in all {
            let mut body = sample.clone();
            *body.pointer_mut(&place).unwrap() = value.clone();
            let request = test.request(Method::POST, &format!("/api/webhooks/{platform}"));
            let request = request.header("x-watchfire-key", &key).json(&body);
            sent.spawn(async move { (format!("{place} = {value}"), answer(request).await) });
            if sent.len() >= 32 {
                let (what, a) = sent.join_next().await.unwrap().unwrap();
                sound(&format!("{platform}: {what}"), &a);
            }
        }
        while let Some(done) = sent.join_next().await {
            let (what, a) = done.unwrap();
            sound(&format!("{platform}: {what}"), &a);
        }
        // All at once as well.
        for value in &values {
            let mut body = sample.clone();
            for place in places.iter().filter(|p| sample.pointer(p).is_some_and(|v| !v.is_object() && !v.is_array())) {
                *body.pointer_mut(place).unwrap() = value.clone();
            }
            let a = test.deliver(platform, &body).await;
            sound(&format!("{platform}: everything is {value}"), &a);
        }
    }
    for list in ["/api/incidents?limit=200", "/api/alerts?limit=200", "/api/deliveries?limit=200", "/api/connectors"] {
        assert_eq!(test.get(list).await.status, 200, "{list}");
    }
    nothing_is_broken(&test).await;
    test.stop().await;
}

fn walk(value: &Value, path: String, into: &mut Vec<String>) {
    into.push(path.clone());
    match value {
        Value::Array(list) => list.iter().enumerate().for_each(|(n, v)| walk(v, format!("{path}/{n}"), into)),
        Value::Object(map) => {
            map.iter().for_each(|(k, v)| walk(v, format!("{path}/{}", k.replace('~', "~0").replace('/', "~1")), into));
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_limit_holds_before_and_after_unpacking() {
    let test = TestApp::start().await;
    let limit = test.config.max_body;
    let of = |size: usize| {
        let mut body = br#"{"title":"x","pad":""#.to_vec();
        body.resize(size - 2, b'a');
        body.extend(b"\"}");
        body
    };
    assert_eq!(test.knock("generic", &[], of(limit)).await.status, 202);
    let over = test.knock("generic", &[], of(limit + 1)).await;
    assert_eq!((over.status.as_u16(), over.json["code"].as_str()), (413, Some("too_large")), "{}", over.text);
    assert!(over.json["detail"].as_str().unwrap().contains("max_body"), "{}", over.text);
    let bomb = gzip(&vec![b' '; 100 << 20]);
    assert!(bomb.len() < limit);
    let began = Instant::now();
    let refused = test.knock("generic", &[("content-encoding", "gzip")], bomb).await;
    assert_eq!(refused.status, 413, "{}", refused.text);
    assert!(began.elapsed() < Duration::from_secs(15), "it was not unpacked to its end");
    // The same for what programs declare, and without any proof.
    let api = test.request(Method::POST, "/api/incidents").bearer_auth(TOKEN).body(of(limit + 1));
    assert_eq!(answer(api).await.status, 413);
    let stranger = answer(test.request(Method::POST, "/api/webhooks/generic").body(of(2 * limit))).await;
    assert_eq!(stranger.status, 401, "{}", stranger.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_alerts_in_one_body_are_applied_and_one_more_is_refused() {
    let test = TestApp::start_with(watchfire::runtime::clock::Clock::System, |c| c.max_body = 10 << 20).await;
    let many = |n: usize| {
        let alert = |n: usize| json!({"status": "firing", "labels": {"alertname": "A", "n": n.to_string(), "service": format!("s{}", n % 50)}});
        json!({"receiver": "w", "status": "firing", "alerts": (0..n).map(alert).collect::<Vec<_>>()})
    };
    let began = Instant::now();
    // The code of tests is not optimised, and other tests run beside it.
    let request = test.request(Method::POST, "/api/webhooks/grafana").timeout(Duration::from_secs(60));
    let request = request.header("x-watchfire-key", test.key("grafana").await).header("prefer", "wait=30");
    let taken = answer(request.json(&many(10_000))).await;
    let took = began.elapsed();
    assert_eq!((taken.status.as_u16(), taken.json["alerts"].as_array().unwrap().len()), (202, 10_000));
    assert_eq!(taken.headers["preference-applied"], "wait=30", "applied while the sender waited");
    assert!(took < Duration::from_secs(50), "{took:?}");
    assert!(taken.json["alerts"].as_array().unwrap().iter().all(|a| a["incident_id"].is_string()));
    let refused = test.deliver("grafana", &many(10_001)).await;
    assert_eq!(
        (refused.status.as_u16(), refused.json["reason"].as_str()),
        (422, Some("too_many")),
        "{:.300}",
        refused.text
    );
    assert_eq!(refused.json["errors"][0]["path"], "/alerts");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_platform_is_answered_with_its_neighbours() {
    let test = TestApp::start().await;
    let ask = async |name: &str| {
        answer(test.request(Method::POST, &format!("/api/webhooks/{name}")).bearer_auth(TOKEN).body("{}")).await
    };
    let grafna = ask("grafna").await;
    assert_eq!((grafna.status.as_u16(), grafna.json["code"].as_str()), (404, Some("unknown_platform")));
    assert_eq!(grafna.json["near"], json!(["grafana"]));
    assert!(grafna.json["detail"].as_str().unwrap().contains("did you mean grafana"));
    for name in [
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "GRAFANA%00",
        "%ff%fe",
        "..%2f..%2fetc",
        &"x".repeat(5000),
        "%F0%9F%94%A5",
    ] {
        let a = ask(name).await;
        assert!([400, 404, 414].contains(&a.status.as_u16()), "{name:.40}: {} {}", a.status, a.text);
        assert_eq!(a.headers["content-type"], "application/problem+json", "{name:.40}");
        assert!(a.text.len() < 2000, "what was sent is not sent back in full: {}", a.text.len());
    }
    test.stop().await;
}

/// Sends bytes and reads what comes until the end.
async fn raw(test: &TestApp, request: &[u8]) -> String {
    let mut stream = tokio::net::TcpStream::connect(test.app().addr()).await.unwrap();
    // The server may close before it has everything.
    let _ = stream.write_all(request).await;
    let mut got = Vec::new();
    let _ = tokio::time::timeout(crate::support::PATIENCE, stream.read_to_end(&mut got)).await.expect("it answers");
    String::from_utf8_lossy(&got).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_requests_are_answered_or_cut() {
    let test = TestApp::start().await;
    let key = test.key("generic").await;
    let post = |target: &str, head: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nhost: a\r\nx-watchfire-key: {key}\r\ncontent-length: 2\r\nconnection: close\r\n{head}\r\n{{}}"
        )
    };
    let long = "a".repeat(40_000);
    for (what, request, want) in [
        ("dots", post("/api/webhooks/../../etc/passwd", ""), &[404][..]),
        ("a broken escape", post("/api/webhooks/%zz", ""), &[400, 404]),
        ("no UTF-8 in the path", post("/api/webhooks/%ff", ""), &[400, 404]),
        ("two slashes", post("//api//webhooks//generic", ""), &[404, 405]),
        ("a long path", post(&format!("/api/webhooks/{long}"), ""), &[400, 404, 414, 431]),
        ("a long query", post(&format!("/api/webhooks/generic?a={long}"), ""), &[422, 414, 431]),
        ("many parameters", post(&format!("/api/webhooks/generic?{}", "a=b&".repeat(5000)), ""), &[422]),
        ("junk in the query", post("/api/webhooks/generic?key=%ff%00&token=%zz&=&&&", ""), &[422]),
        ("a whole address", post("http://evil.example/api/webhooks/generic", ""), &[422]),
        (
            "headers beyond ASCII",
            post("/api/webhooks/generic", "user-agent: \u{e9}\u{1f525}\r\nprefer: wait=\u{e9}\r\n"),
            &[422],
        ),
        ("many headers", post("/api/webhooks/generic", &"x-a: b\r\n".repeat(90)), &[422]),
        ("too many headers", post("/api/webhooks/generic", &"x-a: b\r\n".repeat(5000)), &[400, 431]),
        ("a header too long", post("/api/webhooks/generic", &format!("x-a: {}\r\n", "b".repeat(200_000))), &[400, 431]),
        ("two lengths", post("/api/webhooks/generic", "content-length: 3\r\n"), &[400]),
        ("length and chunks", post("/api/webhooks/generic", "transfer-encoding: chunked\r\n"), &[400]),
        ("a strange wait", post("/api/webhooks/generic", "prefer: wait=99999999999999999999999\r\n"), &[422]),
        ("not HTTP", "\u{16}\u{3}\u{1}hello\r\n\r\n".to_owned(), &[400]),
    ] {
        let got = raw(&test, request.as_bytes()).await;
        let status: u16 = got.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        assert!(want.contains(&status), "{what}: {got:.400}");
        assert!(!got.contains(&key), "{what}: the key is not sent back");
    }
    nothing_is_broken(&test).await;
    test.stop().await;
}

/// A megabyte that asks for gigabytes: what stands around a list of alerts belongs to each of them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_all_alerts_cannot_be_multiplied_without_end() {
    let test = TestApp::start().await;
    let long = "v".repeat(4000);
    let labels: serde_json::Map<String, Value> = (0..90).map(|n| (format!("l{n}"), json!(long))).collect();
    let list = |alert: Value| Value::Array(vec![alert; 3000]);
    for (platform, body) in [
        (
            "generic",
            json!({"labels": labels, "url": format!("https://a/{long}"), "alerts": list(json!({"title": "a"}))}),
        ),
        (
            "generic",
            json!({"url": format!("https://a/{long}"), "image": format!("https://a/{long}"), "runbook_url": format!("https://a/{long}"),
                "alerts": list(json!({"title": "a"}))}),
        ),
        ("grafana", json!({"groupKey": long, "commonLabels": labels, "alerts": list(json!({"labels": {"a": "b"}}))})),
        (
            "alertmanager",
            json!({"groupKey": long, "commonLabels": labels, "alerts": list(json!({"labels": {"a": "b"}}))}),
        ),
        (
            "netdata",
            json!({"status": {"reachable": false}, "space": long, "rooms": [long], "url": format!("https://app.netdata.cloud/{long}"),
                "nodes": list(json!({"hostname": "h"}))}),
        ),
    ] {
        let began = Instant::now();
        let sent = test.deliver(platform, &body).await;
        sound(platform, &sent);
        assert!(began.elapsed() < Duration::from_secs(15), "{platform}: {:?}", began.elapsed());
        let id = sent.json["delivery_id"].as_str().unwrap().to_owned();
        let kept = test.get(&format!("/api/deliveries/{id}")).await;
        assert_eq!(kept.status, 200, "{platform}: it is kept and shown");
        if sent.status == 422 {
            assert_eq!(sent.json["reason"], "too_much", "{platform}: {:.300}", sent.text);
        }
        let number = id;
        let parsed = test
            .app()
            .store()
            .read(move |v| v.delivery(number.parse::<watchfire::model::DeliveryId>().unwrap().number()))
            .await
            .unwrap()
            .unwrap()
            .parsed;
        assert!(parsed.weight() <= 24 << 20, "{platform}: {} bytes of signals", parsed.weight());
    }
    nothing_is_broken(&test).await;
    test.stop().await;
}

const LONG: usize = 6000;

/// Every route of the API with every method, hostile names in its path and hostile parameters.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_survives_every_method_name_and_parameter() {
    let test = TestApp::start().await;
    test.deliver("generic", &json!({"title": "a", "severity": "high"})).await;
    let api = test.get("/api/openapi.json").await.json;
    let mut paths: Vec<String> = api["paths"].as_object().unwrap().keys().cloned().collect();
    paths.extend(
        ["/", "/incidents", "/alerts", "/connectors/{id}", "/deliveries/{id}", "/assets/{id}", "/login"]
            .map(str::to_owned),
    );
    let names = [
        "1",
        "INC-1",
        "18446744073709551616",
        "-1",
        "%00",
        "..%2f..%2fetc%2fpasswd",
        "%ff%fe",
        "%3Cscript%3E",
        "a%0d%0ax-evil:1",
        "\u{1f525}",
    ];
    let long = "x".repeat(LONG);
    let queries = [
        String::new(),
        "?limit=0&cursor=-1".to_owned(),
        "?limit=99999999999999999999&cursor=99999999999999999999".to_owned(),
        "?limit=1e3&cursor=%00&q=%ff&since=-1&until=9999-99-99T99:99:99Z".to_owned(),
        format!("?q={long}&cursor={long}"),
        "?q=status:%3Cscript%3Ealert(1)%3C/script%3E".to_owned(),
        "?q=%22&sort=%27%20OR%201=1&status=,,,,&severity=%3E%3E".to_owned(),
        format!("?{}", "status=open&".repeat(2000)),
        "?last_event_id=-9&after=x&last_event_id=18446744073709551615".to_owned(),
    ];
    let methods = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "BREW"];
    let mut asked = tokio::task::JoinSet::new();
    let mut answered = 0;
    for (n, path) in paths.iter().enumerate() {
        for (m, method) in methods.iter().enumerate() {
            // Not every pairing: each name and each query meets each route.
            for (k, query) in queries.iter().enumerate() {
                let name = names[(n + m + k) % names.len()];
                let filled: String = path
                    .split('/')
                    .map(|part| if part.starts_with('{') { name } else { part })
                    .collect::<Vec<_>>()
                    .join("/");
                let target = format!("{filled}{query}");
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let mut request = test.request(method.clone(), &target).bearer_auth(TOKEN);
                if k % 2 == 0 {
                    request = request.body("{\"a\":[");
                }
                asked.spawn(async move {
                    // A stream has no end: its head is enough.
                    let response = request.send().await;
                    (format!("{method} {target:.200}"), response.map(|r| (r.status().as_u16(), r.headers().clone())))
                });
                if asked.len() >= 32 {
                    answered += checked(asked.join_next().await.unwrap().unwrap());
                }
            }
        }
    }
    while let Some(done) = asked.join_next().await {
        answered += checked(done.unwrap());
    }
    assert!(answered > 2000, "{answered}");
    nothing_is_broken(&test).await;
    test.stop().await;
}

fn checked((what, answer): (String, reqwest::Result<(u16, reqwest::header::HeaderMap)>)) -> usize {
    // A target that is no target at all is not sent by the client.
    let Ok((status, headers)) = answer else { return 0 };
    assert!(status < 500 || status == 501, "{what}: {status}");
    assert!(!headers.contains_key("x-evil"), "{what}: a header was made up");
    if status == 405 {
        assert!(headers.contains_key("allow"), "{what}: 405 names what is allowed");
    }
    1
}

/// The name by which we are asked is not believed: it may be missing, strange or somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn strange_hosts_get_plain_answers() {
    let test = TestApp::start().await;
    for host in [
        "",
        "host: \r\n",
        "host: <script>alert(1)</script>\r\n",
        "host: a b\r\n",
        "host: evil.example\r\nhost: b\r\n",
        "host: \u{e9}\r\n",
        &format!("host: {}\r\n", "a".repeat(LONG)),
    ] {
        for path in ["/login", "/setup", "/api/version", "/incidents", "/api/connectors"] {
            for forwarded in ["", "x-forwarded-host: \"><script>alert(1)</script>\r\nx-forwarded-proto: javascript\r\n"]
            {
                let request = format!(
                    "GET {path} HTTP/1.1\r\n{host}{forwarded}authorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
                );
                let got = raw(&test, request.as_bytes()).await;
                let status: u16 = got.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
                assert!((200..500).contains(&status), "{host} {path}: {got:.300}");
                assert!(!got.contains("<script>alert"), "{host} {path}: {got:.2000}");
                assert!(!got.to_lowercase().contains("\nlocation: http"), "{host} {path}: sent elsewhere: {got:.300}");
            }
        }
    }
    test.stop().await;
}
