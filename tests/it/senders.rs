//! Senders with ways of their own: SNS' certificates and confirmations, Event Grid's questions, GitLab's and Google's keys.

use std::sync::{Arc, Mutex};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Method;
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchfire::runtime::clock::Clock;

use crate::support::{Answer, TestApp, answer, start_of_time};

/// A pair made for the tests; it protects nothing.
const PEM: &str = include_str!("../keys/sns.pem");
const KEY: &str = include_str!("../keys/sns.key");
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:alarms";
const AMAZON: &str = "https://sns.eu-west-1.amazonaws.com";

/// What stands in for Amazon: gives the certificate out and takes confirmations.
struct Amazon {
    base: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// Confirmations are refused while this is set.
    broken: Arc<Mutex<bool>>,
}

impl Amazon {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (asked, broken) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<bool>>::default());
        let (seen, refuses) = (asked.clone(), broken.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|n| n > 0) {}
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let (status, body) = match path.as_str() {
                    "/good.pem" => ("200 OK", PEM),
                    "/moved.pem" => ("302 Found\r\nLocation: /good.pem", ""),
                    p if p.starts_with("/?Action=ConfirmSubscription") && !*refuses.lock().unwrap() => {
                        ("200 OK", "<ok/>")
                    }
                    _ => ("404 Not Found", ""),
                };
                seen.lock().unwrap().push(path);
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { base, asked, broken }
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn signed(mut envelope: Value, certificate: &str) -> Value {
    let names: &[&str] = match envelope["Type"].as_str().unwrap() {
        "Notification" => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    };
    let lines = names.iter().filter_map(|n| Some(format!("{n}\n{}\n", envelope[*n].as_str()?)));
    let text: String = lines.collect();
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    envelope["SignatureVersion"] = "2".into();
    envelope["Signature"] = BASE64_STANDARD.encode(signature).into();
    envelope["SigningCertURL"] = certificate.into();
    envelope
}

fn alarm(id: &str, topic: &str, state: &str) -> Value {
    let message = json!({"AlarmName": "errors", "NewStateValue": state, "NewStateReason": "x", "Region": "EU (Ireland)",
        "AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:errors", "StateChangeTime": "2026-03-03T10:29:05.093+0000"});
    json!({"Type": "Notification", "MessageId": id, "TopicArn": topic, "Message": message.to_string(),
        "Timestamp": "2026-03-03T10:29:06.745Z"})
}

fn question(id: &str, link: &str) -> Value {
    json!({"Type": "SubscriptionConfirmation", "MessageId": id, "TopicArn": TOPIC, "Token": "2336", "Message": "You have",
        "SubscribeURL": link, "Timestamp": "2026-03-03T10:25:47.389Z"})
}

async fn started() -> (TestApp, Amazon) {
    let amazon = Amazon::start().await;
    let base = amazon.base.clone();
    (TestApp::start_with(Clock::manual(start_of_time()), |c| c.outside = Some(base)).await, amazon)
}

/// As SNS sends: JSON as plain text, with the key in the path or none.
async fn send(test: &TestApp, key: Option<&str>, body: &Value) -> Answer {
    let path = key.map_or("/api/webhooks/sns".to_owned(), |key| format!("/api/webhooks/sns/{key}"));
    let request = test.request(Method::POST, &path).header("content-type", "text/plain; charset=UTF-8");
    answer(request.header("prefer", "wait=10").body(body.to_string())).await
}

async fn notes(test: &TestApp, taken: &Answer) -> String {
    let id = taken.json["delivery_id"].as_str().unwrap_or_else(|| panic!("{}", taken.text));
    test.get(&format!("/api/deliveries/{id}")).await.json["notes"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn sns_is_confirmed_and_its_signature_checked() {
    let (test, amazon) = started().await;
    let key = test.key("sns").await;
    let good = format!("{AMAZON}/good.pem");
    let link = format!("{AMAZON}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336");

    let asked = send(&test, Some(&key), &signed(question("1", &link), &good)).await;
    assert_eq!((asked.status.as_u16(), &asked.json["problem"]), (202, &Value::Null), "{}", asked.text);
    assert!(notes(&test, &asked).await.contains("Confirmed"), "{}", notes(&test, &asked).await);
    assert_eq!(amazon.asked(), ["/good.pem".to_owned(), link.replace(AMAZON, "")]);

    let fired = send(&test, Some(&key), &signed(alarm("2", TOPIC, "ALARM"), &good)).await;
    assert!(fired.json["alerts"][0]["incident_id"].is_string(), "{}", fired.text);
    let ended = send(&test, Some(&key), &signed(alarm("3", TOPIC, "OK"), &good)).await;
    assert_eq!(ended.json["alerts"][0]["incident_id"], fired.json["alerts"][0]["incident_id"]);
    assert_eq!(amazon.asked(), Vec::<String>::new(), "the certificate is remembered");

    // The key does not make a wrong signature right, nor a certificate from somewhere else.
    let mut forged = signed(alarm("4", TOPIC, "ALARM"), &good);
    forged["Message"] = "changed".into();
    let elsewhere = signed(alarm("5", TOPIC, "ALARM"), "https://sns.eu-west-1.amazonaws.com.evil.example/good.pem");
    for (wrong, why) in [(&forged, "the signature is wrong"), (&elsewhere, "not a .pem file of sns.")] {
        let got = send(&test, Some(&key), wrong).await;
        assert_eq!(got.status, 401, "{}", got.text);
        assert!(got.json["detail"].as_str().unwrap().contains(why), "{}", got.text);
    }
    test.until("/api/deliveries?outcome=refused", |list| list["total"] == 2).await;
    assert_eq!(amazon.asked(), Vec::<String>::new());

    // What cannot be checked is taken by its key, and says why it was not checked; redirects lead nowhere.
    for (n, gone) in ["gone.pem", "moved.pem"].into_iter().enumerate() {
        let taken =
            send(&test, Some(&key), &signed(alarm(&format!("6{n}"), TOPIC, "ALARM"), &format!("{AMAZON}/{gone}")))
                .await;
        assert_eq!(taken.status, 202, "{}", taken.text);
        let notes = notes(&test, &taken).await;
        assert!(notes.contains("not checked: sns.eu-west-1.amazonaws.com answers with"), "{notes}");
        assert_eq!(amazon.asked(), [format!("/{gone}")]);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sns_topics_on_the_list_need_no_key() {
    let (test, amazon) = started().await;
    let key = test.key("sns").await;
    let good = format!("{AMAZON}/good.pem");
    let own = |id: &str| signed(alarm(id, TOPIC, "ALARM"), &good);
    let strange = "arn:aws:sns:eu-west-1:999999999999:alarms";
    assert_eq!(send(&test, None, &own("1")).await.status, 401, "no list yet");
    test.patch("/api/connectors/sns", &json!({"signing_secret": TOPIC})).await;
    let stranger = send(&test, None, &signed(alarm("2", strange, "ALARM"), &good)).await;
    assert_eq!(stranger.status, 401, "{}", stranger.text);
    assert!(stranger.json["detail"].as_str().unwrap().contains("list"), "{}", stranger.text);
    assert_eq!(amazon.asked(), Vec::<String>::new(), "strangers have nothing fetched");
    assert_eq!(send(&test, None, &own("3")).await.status, 202);
    let mut bare = own("4");
    bare.as_object_mut().unwrap().remove("Signature");
    assert_eq!(send(&test, None, &bare).await.status, 401, "nothing proves it");

    // Proof by signature alone: the key does not help, and what cannot be checked is sent again later.
    test.patch("/api/connectors/sns", &json!({"auth": "signature"})).await;
    assert_eq!(send(&test, Some(&key), &bare).await.status, 401);
    let unchecked = signed(alarm("5", TOPIC, "ALARM"), &format!("{AMAZON}/gone.pem"));
    let later = send(&test, None, &unchecked).await;
    assert_eq!((later.status.as_u16(), &later.json["code"]), (503, &json!("signature_unchecked")), "{}", later.text);
    assert!(
        later.json["detail"].as_str().unwrap().contains("sns.eu-west-1.amazonaws.com answers with 404"),
        "{}",
        later.text
    );
    assert!(later.headers.contains_key("retry-after"));
    // A certificate that was put in needs no fetching.
    amazon.asked();
    let set = test.patch("/api/connectors/sns", &json!({"signing_secret": format!("123456789012\n{PEM}")})).await;
    assert_eq!(set.status, 200, "{}", set.text);
    assert_eq!(send(&test, None, &unchecked).await.status, 202);
    assert_eq!(amazon.asked(), Vec::<String>::new());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_failed_says_why_and_can_be_replayed() {
    let (test, amazon) = started().await;
    let key = test.key("sns").await;
    let good = format!("{AMAZON}/good.pem");
    let evil = signed(question("1", "https://evil.example/?Action=ConfirmSubscription"), &good);
    let refused = send(&test, Some(&key), &evil).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json["problem"]["code"]),
        (202, &json!("not_confirmed")),
        "{}",
        refused.text
    );
    assert_eq!(amazon.asked(), ["/good.pem"]);

    *amazon.broken.lock().unwrap() = true;
    let link = format!("{AMAZON}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336");
    let failed = send(&test, Some(&key), &signed(question("2", &link), &good)).await;
    let why = failed.json["problem"]["detail"].as_str().unwrap();
    assert!(why.contains("sns.eu-west-1.amazonaws.com answers with 404"), "{why}");
    assert!(!why.contains("2336"), "no token: {why}");
    *amazon.broken.lock().unwrap() = false;
    let id = failed.json["delivery_id"].as_str().unwrap();
    let again = test.post(&format!("/api/deliveries/{id}/replay"), &Value::Null).await;
    assert!(again.status.is_success(), "{}", again.text);
    let id = again.json["delivery_id"].as_str().unwrap();
    test.until(&format!("/api/deliveries/{id}"), |d| d["notes"].to_string().contains("Confirmed")).await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_ask_first_are_answered() {
    let test = TestApp::start().await;
    let key = test.key("azure").await;
    let ask = |path: String| {
        let request = test.request(Method::OPTIONS, &path).header("webhook-request-origin", "eventgrid.azure.net");
        answer(request.header("webhook-request-rate", "120"))
    };
    let told = ask(format!("/api/webhooks/azure/{key}")).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.headers["webhook-allowed-origin"], "eventgrid.azure.net");
    assert_eq!(told.headers["webhook-allowed-rate"], "6000");
    assert!(told.headers["allow"].to_str().unwrap().contains("POST"));
    assert_eq!(ask("/api/webhooks/azure/wrong".to_owned()).await.status, 401);
    assert_eq!(ask("/api/webhooks/azure".to_owned()).await.status, 401);
    // With a signing secret the key is still what answers a question that carries no signature.
    test.patch("/api/connectors/github", &json!({"signing_secret": "s"})).await;
    assert_eq!(ask("/api/webhooks/github".to_owned()).await.status, 401);

    let body = json!([{"id": "1", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6-c7b8"}}]);
    let validated = answer(test.request(Method::POST, &format!("/api/webhooks/azure/{key}")).json(&body)).await;
    assert_eq!((validated.status.as_u16(), &validated.json["validationResponse"]), (200, &json!("512d38b6-c7b8")));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_taken_where_these_senders_can_put_them() {
    let test = TestApp::start().await;
    let (gitlab, gcp) = (test.key("gitlab").await, test.key("gcp").await);
    let fixture = |name: &str| -> Value {
        let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap()["body"].take()
    };
    let pipeline = fixture("gitlab/pipeline.firing");
    let post = |path: &str| test.request(Method::POST, path);
    let hook = "/api/webhooks/gitlab";
    assert_eq!(answer(post(hook).header("x-gitlab-token", &gitlab).json(&pipeline)).await.status, 202);
    assert_eq!(answer(post(hook).header("x-gitlab-token", "wrong").json(&pipeline)).await.status, 401);
    let incident = fixture("gcp/incident.firing");
    let hook = format!("/api/webhooks/gcp?auth_token={gcp}");
    let taken = answer(post(&hook).header("prefer", "wait=10").json(&incident)).await;
    assert!(taken.json["alerts"][0]["incident_id"].is_string(), "{}", taken.text);
    let kept = test.get("/api/deliveries").await.text;
    assert!(!kept.contains(&gitlab) && !kept.contains(&gcp), "keys are not kept");

    // GitHub by its signature alone.
    test.patch("/api/connectors/github", &json!({"signing_secret": "It's a Secret to Everybody"})).await;
    let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let signed = |digest: &str, body: &'static str| {
        answer(post("/api/webhooks/github").header("x-hub-signature-256", digest.to_owned()).body(body))
    };
    assert_eq!(signed(right, "Hello, World!").await.status, 422, "proven, and no JSON");
    assert_eq!(signed(right, "Hello, Moon!").await.status, 401);
    test.stop().await;
}
