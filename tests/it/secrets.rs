//! Secrets are shown where that is promised, and nowhere else: not in answers, not on pages, not in the log.

use std::process::Stdio;

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::{
    binary::{Server, watchfire},
    endpoint::{Act, Endpoint},
    support::{TOKEN, TestApp, answer},
};

const SIGNING: &str = "signing-secret-that-nobody-sees";
const CHALLENGE: &str = "challenge-secret-that-nobody-sees";
const BASIC: &str = "basic-password-that-nobody-sees";
const PERSON: &str = "password-of-a-person-that-nobody-sees";
const FIRST: &str = "password-of-the-first-that-nobody-sees";
/// The key of a language model's endpoint.
const MODEL_KEY: &str = "sk-of-a-language-model-that-nobody-sees";
/// Whatever is secret of a channel.
const HOOK: &str = "whatever-77-is-secret-of-a-channel-that-nobody-sees";
/// What senders put into bodies: a token of theirs, Netdata's verification token.
const IN_BODY: &str = "token-in-a-body-that-nobody-logs";

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_and_no_page_tells_a_secret() {
    let test = TestApp::start().await;
    let mut secrets: Vec<String> = [SIGNING, CHALLENGE, BASIC, PERSON, TOKEN, "$argon2"].map(str::to_owned).to_vec();
    for platform in watchfire::app::platforms() {
        let set = json!({"signing_secret": SIGNING, "challenge_secret": CHALLENGE, "basic_user": "u", "basic_password": BASIC});
        let set = test.patch(&format!("/api/connectors/{platform}"), &set).await;
        assert_eq!(set.status, 200, "{}", set.text);
        secrets.push(test.key(platform).await);
    }
    test.post("/api/connectors/grafana/rotate-key", &json!({})).await;
    secrets.push(test.key("grafana").await);
    let made = test.post("/api/tokens", &json!({"name": "ci", "scopes": ["read"]})).await;
    secrets.push(made.json["token"].as_str().unwrap().to_owned());
    test.post("/api/users", &json!({"name": "kim", "role": "admin", "password": PERSON})).await;
    let login = test.request(Method::POST, "/login").header("content-type", "application/x-www-form-urlencoded");
    let login = answer(login.body(form(&[("user", "kim"), ("password", PERSON)]))).await;
    let cookie = login.headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    secrets.push(cookie.split_once('=').unwrap().1.to_owned());
    // A sender that puts its key everywhere at once.
    let key = test.key("generic").await;
    let path = format!("/api/webhooks/generic/{key}?key={key}&token={key}&apiKey={key}&other=1");
    let sent = test.request(Method::POST, &path).bearer_auth(&key).header("x-watchfire-key", &key);
    let sent = sent
        .header("cookie", &cookie)
        .header("proxy-authorization", format!("Basic {key}"))
        .header("prefer", "wait=10");
    let sent = answer(sent.body(r#"{"id":"a","title":"A","service":"api","severity":"high"}"#)).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
    let delivery = sent.json["delivery_id"].as_str().unwrap().to_owned();
    let alert = sent.json["alerts"][0]["alert_id"].as_str().unwrap().to_owned();
    // One that is refused after its proof, and one before.
    test.patch("/api/connectors/splunk", &json!({"enabled": false})).await;
    test.knock("splunk", &[], b"{}".to_vec()).await;
    answer(test.request(Method::POST, &format!("/api/webhooks/splunk?key={key}")).body("{}")).await;
    test.analyzed("INC-1").await;

    let description = answer(test.request(Method::GET, "/api/openapi.json")).await.json;
    let mut paths: Vec<String> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(path, item)| item.get("get").is_some() && !path.ends_with("/stream") && !path.contains("{key}"))
        .map(|(path, _)| {
            let id = if path.contains("deliveries") {
                &delivery
            } else if path.contains("alerts/{id}") {
                &alert
            } else {
                "INC-1"
            };
            path.replace("{id}", id).replace("{platform}", "grafana").replace("{name}", "ci")
        })
        .collect();
    paths.extend(watchfire::app::platforms().iter().map(|p| format!("/connectors/{p}")));
    paths.extend(
        [
            "/incidents",
            "/incidents/1",
            "/alerts",
            "/connectors",
            "/deliveries",
            "/settings/people",
            "/settings/about",
            "/settings/browser",
        ]
        .map(str::to_owned),
    );
    paths.push(format!("/deliveries/{delivery}"));
    let mut read = 0;
    for path in &paths {
        let got = answer(test.request(Method::GET, path).header("cookie", &cookie)).await;
        read += usize::from(got.status == 200);
        let headers: String = got.headers.iter().map(|(n, v)| format!("{n}: {v:?}\n")).collect();
        for secret in &secrets {
            assert!(!got.text.contains(secret.as_str()), "{path} tells `{secret}`");
            assert!(!headers.contains(secret.as_str()), "the headers of {path} tell `{secret}`");
        }
    }
    assert!(read > 40, "{read} of {}", paths.len());
    let kept = test.get(&format!("/api/deliveries/{delivery}")).await.text;
    assert!(kept.contains("other=1"), "what is no key is kept: {kept}");
    // Nor does what is written to the disk, but for the key file that opens the rest.
    for file in std::fs::read_dir(test.data_dir()).unwrap() {
        let path = file.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for secret in secrets.iter().filter(|s| s.as_str() != "$argon2" && s.as_str() != TOKEN) {
            let found = memchr::memmem::find(&bytes, secret.as_bytes());
            assert_eq!(found, None, "{} holds `{secret}`", path.display());
        }
    }
    test.stop().await;
}

#[test]
fn the_log_has_no_secret_even_when_it_says_everything() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut command = watchfire(dir.path(), &["--listen", "127.0.0.1:0", "--log-level", "trace"]);
    command.env("WATCHFIRE_BOOTSTRAP_TOKEN", TOKEN);
    // A language model whose endpoint says the key back.
    let endpoint = Endpoint::start(|_, _| {
        let body = json!({"error": {"message": format!("Incorrect API key provided: {MODEL_KEY}")}});
        Act::Answer(418, format!("x-echo: {MODEL_KEY}\r\n"), body.to_string())
    });
    command.env("WATCHFIRE_INVESTIGATION_MODEL_KIND", "openai").env("WATCHFIRE_INVESTIGATION_MODEL_MODEL", "tiny");
    command.env("WATCHFIRE_INVESTIGATION_MODEL_BASE_URL", &endpoint.url);
    command.env("WATCHFIRE_INVESTIGATION_MODEL_API_KEY", MODEL_KEY);
    command.env("WATCHFIRE_NOTIFICATIONS_ALLOW", "127.0.0.1").env("WATCHFIRE_NOTIFICATIONS_PLAIN_HTTP", "true");
    let server = Server::spawn(command, Stdio::from(std::fs::File::create(&log).unwrap()));
    let url = server.url.clone();
    watchfire::runtime::tls::install_provider();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The link of the set-up is in the log, once: that is how its reader gets it.
    let began = std::time::Instant::now();
    let link = loop {
        let said = std::fs::read_to_string(&log).unwrap();
        if let Some((line, _)) = said.split_once("set up at ").and_then(|(_, rest)| rest.split_once('\n')) {
            break line.trim().to_owned();
        }
        assert!(began.elapsed() < crate::support::PATIENCE, "no link in the log: {said}");
        std::thread::yield_now();
    };
    let link_secret = link.split("token=").nth(1).unwrap().to_owned();
    let secrets = runtime.block_on(async {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let call = async |method: Method, path: &str, body: Value| {
            let sent = http.request(method, format!("{url}{path}")).bearer_auth(TOKEN).json(&body).send().await.unwrap();
            assert!(sent.status().is_success(), "{path}: {}", sent.status());
            sent.json::<Value>().await.unwrap_or_default()
        };
        let set = json!({"signing_secret": SIGNING, "challenge_secret": CHALLENGE, "basic_password": BASIC, "auth": "any-of"});
        call(Method::PATCH, "/api/connectors/netdata", set).await;
        let key = call(Method::POST, "/api/connectors/netdata/reveal-key", json!({})).await["key"].clone();
        let made = call(Method::POST, "/api/tokens", json!({"name": "ci", "scopes": ["ingest"]})).await["token"].clone();
        call(Method::POST, "/api/users", json!({"name": "kim", "role": "admin", "password": PERSON})).await;
        let (key, token) = (key.as_str().unwrap().to_owned(), made.as_str().unwrap().to_owned());
        // A channel that is called, and refused in words that have its secret.
        let settings = json!({"url": format!("{}/hooks/{HOOK}?key={HOOK}", endpoint.url), "authentication": "bearer", "token": HOOK,
            "signing_secret": HOOK, "headers": format!("X-Key: {HOOK}")});
        let hook = json!({"name": "ops", "kind": "webhook", "settings": settings});
        let hook = call(Method::POST, "/api/channels", hook).await["id"].clone();
        let tested = call(Method::POST, &format!("/api/channels/{}/test", hook.as_str().unwrap()), json!({})).await;
        assert_eq!(tested["status"], 418, "{tested}");
        let form_post = |path: &str, fields: &[(&str, &str)]| {
            let request = http.post(format!("{url}{path}")).header("content-type", "application/x-www-form-urlencoded");
            request.body(form(fields)).send()
        };
        let _ = http.get(&link).send().await.unwrap();
        for first in [&[("token", link_secret.as_str()), ("user", "ann"), ("password", FIRST), ("again", "other")][..],
            &[("token", link_secret.as_str()), ("user", "ann"), ("password", FIRST), ("again", FIRST)],
            &[("token", link_secret.as_str()), ("user", "ann"), ("password", FIRST), ("again", FIRST)]] {
            form_post("/setup", first).await.unwrap();
        }
        let _ = http.get(&link).send().await.unwrap();
        let login = form_post("/login", &[("user", "kim"), ("password", PERSON)]).await.unwrap();
        let cookie = login.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        // Every way in which a sender can prove itself, right and wrong, and secrets in what it says.
        let bodies = [
            format!("{{\"title\": \"a\", \"severity\": \"high\", \"token\": \"{IN_BODY}\", \"url\": \"https://u:{IN_BODY}@a/?key={IN_BODY}\"}}"),
            format!("{{\"message\": \"test\", \"verification_token\": \"{IN_BODY}\", \"token\": \"{IN_BODY}\"}}"),
            format!("{{\"title\": \"{IN_BODY}\" {IN_BODY}"),
            format!("payload={IN_BODY}"),
        ];
        for platform in ["generic", "netdata", "grafana"] {
            for body in &bodies {
                let hook = http.post(format!("{url}/api/webhooks/{platform}")).body(body.clone());
                for proven in [
                    hook.try_clone().unwrap().bearer_auth(&token),
                    hook.try_clone().unwrap().bearer_auth(TOKEN),
                    hook.try_clone().unwrap().bearer_auth(&key),
                    hook.try_clone().unwrap().header("x-watchfire-key", &key),
                    hook.try_clone().unwrap().basic_auth("any", Some(&key)),
                    hook.try_clone().unwrap().basic_auth(BASIC, Some(BASIC)),
                    http.post(format!("{url}/api/webhooks/{platform}?key={key}&token={token}&apiKey={key}")).body(body.clone()),
                    hook.try_clone().unwrap().header("x-netdata-signature", format!("sha256={SIGNING}")),
                    hook.try_clone().unwrap().header("content-encoding", SIGNING),
                ] {
                    proven.send().await.unwrap();
                }
            }
        }
        // Mistakes are where secrets get into logs.
        form_post("/login", &[("user", PERSON), ("password", BASIC)]).await.unwrap();
        for path in [format!("/api/webhooks/netdata/{key}"), format!("/netdata/webhook/{key}"), format!("/api/webhooks/{key}"), format!("/{key}"),
            format!("/api/webhooks/netdata?key={key}&crc_token=x"), format!("/api/incidents?token={token}"), format!("/incidents?cursor={key}")] {
            for request in [http.post(format!("{url}{path}")).body("{not json"), http.get(format!("{url}{path}"))] {
                request.header("cookie", &cookie).header("x-watchfire-key", &key).bearer_auth(&token).send().await.unwrap();
            }
        }
        http.post(format!("{url}/api/users")).bearer_auth(TOKEN).body(format!("{{\"password\": \"{PERSON}\", ")).send().await.unwrap();
        vec![key, token, cookie.split_once('=').unwrap().1.to_owned(), SIGNING.into(), CHALLENGE.into(), BASIC.into(), PERSON.into(), TOKEN.into(), FIRST.into(), IN_BODY.into(), MODEL_KEY.into(), HOOK.into()]
    });
    server.stop();
    let key_file = std::fs::read(dir.path().join(".local/share/watchfire/secret.key")).unwrap();
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("answered"), "it says much: {said:.500}");
    assert!(
        said.contains("the language model cannot be asked") && said.contains("it answers 418"),
        "the model was tried"
    );
    // What is looked for is found where it is; and after its use the link does not come again.
    assert_eq!(said.matches(link_secret.as_str()).count(), 1, "the link is in the log once");
    let hex: String = key_file.iter().map(|b| format!("{b:02x}")).collect();
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &key_file);
    let raw = memchr::memmem::find(said.as_bytes(), key_file.trim_ascii());
    assert!(
        key_file.len() >= 32 && raw.is_none() && !said.contains(&hex) && !said.contains(&base64),
        "the key file is in the log"
    );
    for secret in secrets {
        let line = said.lines().find(|l| l.contains(&secret));
        assert_eq!(line, None, "`{secret}` is in the log");
    }
}
