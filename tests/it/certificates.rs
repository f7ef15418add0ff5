//! Senders that prove themselves with a client certificate, shown to us or passed on by a proxy in front.

use reqwest::Method;
use watchfire::{
    config::{Config, ConnectorConfig},
    model::AuthMode,
    runtime::clock::Clock,
};

use crate::{
    pki::{Ca, Pair},
    support::{Answer, TOKEN, TestApp, answer, start_of_time},
};

const BODY: &str = include_str!("../../src/connectors/samples/netdata.json");

/// Settings in which Netdata's certificates are of a CA that the test has.
fn with_ca(config: &mut Config, ca: &Ca, dir: &std::path::Path, auth: AuthMode) {
    let file = dir.join("client-ca.pem");
    std::fs::write(&file, &ca.pem).unwrap();
    let set = ConnectorConfig { auth: Some(auth), client_ca: Some(file), ..Default::default() };
    config.connectors.insert("netdata".to_owned(), set);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_right_ca_and_name_opens_and_others_do_not() {
    let (site, clients, foreign) = (Ca::new("Site"), Ca::new("Clients"), Ca::new("Foreign"));
    let name = "app.netdata.cloud";
    let good = clients.client(name);
    // Shown, whether with the key, and what is said with `mtls` and with `any-of`.
    type Row = (Option<Pair>, bool, Option<&'static str>, Option<&'static str>);
    let rows: Vec<Row> = vec![
        (Some(good), false, None, None),
        (Some(clients.client("api.netdata.cloud")), false, None, None),
        (Some(clients.client("app.netdata.cloud.example")), false, Some("for another name"), Some("for another name")),
        (Some(clients.expired_client(name)), false, Some("has expired"), Some("has expired")),
        (Some(foreign.client(name)), false, Some("not of a CA"), Some("not of a CA")),
        (None, false, Some("proves nothing"), Some("proves nothing")),
        // The key is enough where it counts, whatever is shown beside it.
        (None, true, Some("is wrong"), None),
        (Some(foreign.client(name)), true, Some("is wrong"), None),
        (Some(clients.expired_client(name)), true, Some("is wrong"), None),
    ];
    for auth in [AuthMode::Mtls, AuthMode::AnyOf] {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = site.server().write(dir.path());
        let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
            (c.tls_cert, c.tls_key) = (Some(cert), Some(key));
            with_ca(c, &clients, dir.path(), auth);
        })
        .await;
        let key = test.key("netdata").await;
        let post = async |shown: Option<&Pair>, key: Option<&str>| -> Answer {
            let mut request = site.http(shown).request(Method::POST, test.url("/api/webhooks/netdata")).body(BODY);
            if let Some(key) = key {
                request = request.bearer_auth(key);
            }
            answer(request).await
        };
        for (n, (shown, with_key, mtls, any)) in rows.iter().enumerate() {
            let got = post(shown.as_ref(), with_key.then_some(key.as_str())).await;
            let want = if auth == AuthMode::Mtls { mtls } else { any };
            match want {
                None => assert_eq!(got.status, 202, "{auth} {n}: {}", got.text),
                Some(why) => {
                    assert_eq!(got.status, 401, "{auth} {n}: {}", got.text);
                    let said = got.json["detail"].as_str().unwrap();
                    assert!(said.contains(why) && said.contains("`app.netdata.cloud` or"), "{auth} {n}: {said}");
                    assert!(!said.contains(&key), "{said}");
                }
            }
        }
        assert_eq!(post(None, Some(TOKEN)).await.status, 202, "a token for ingest serves for all");
        // Another connector does not trust that CA.
        let other = site.http(rows[0].0.as_ref()).request(Method::POST, test.url("/api/webhooks/grafana"));
        assert_eq!(answer(other.body("{}")).await.status, 401);
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ca_of_a_connector_can_change_while_it_serves() {
    let (site, first, second) = (Ca::new("Site"), Ca::new("First"), Ca::new("Second"));
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = site.server().write(dir.path());
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        (c.tls_cert, c.tls_key) = (Some(cert), Some(key));
        with_ca(c, &first, dir.path(), AuthMode::Mtls);
    })
    .await;
    let status = async |ca: &Ca| {
        let shown = ca.client("app.netdata.cloud");
        let post = site.http(Some(&shown)).request(Method::POST, test.url("/api/webhooks/netdata"));
        answer(post.body(BODY)).await.status.as_u16()
    };
    assert_eq!((status(&first).await, status(&second).await), (202, 401));
    std::fs::write(dir.path().join("client-ca.pem"), &second.pem).unwrap();
    let mut looks = test.app().tls().looks();
    looks.borrow_and_update();
    test.clock.advance(watchfire::web::tls::LOOK_EVERY);
    looks.changed().await.unwrap();
    assert_eq!((status(&first).await, status(&second).await), (401, 202));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_is_missing_for_certificates() {
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        for platform in ["netdata", "jenkins"] {
            c.connectors.entry(platform.to_owned()).or_default().auth = Some(AuthMode::Mtls);
        }
    })
    .await;
    for (platform, want, not) in [
        ("netdata", "(needs TLS here, `tls.cert`, or a proxy in `trusted_proxies`", "no CA"),
        ("jenkins", "(no CA is set yet: `connectors.jenkins.client_ca` or `tls.client_ca`)", "needs TLS"),
        // Where a certificate is one of several ways, nobody is told of one that cannot work.
        ("grafana", "Authorization: Bearer KEY", "certificate"),
    ] {
        let post = test.request(Method::POST, &format!("/api/webhooks/{platform}")).body("{}");
        let got = answer(post).await;
        assert_eq!(got.status, 401, "{platform}");
        let said = got.json["detail"].as_str().unwrap();
        assert!(said.contains(want) && !said.contains(not), "{platform}: {said}");
    }
    test.stop().await;
}

/// As nginx's `$ssl_client_escaped_cert` writes it.
fn escaped(pem: &str) -> String {
    let escape = |b: u8| match b {
        b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    pem.bytes().map(escape).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_counts_only_from_a_trusted_proxy() {
    let (clients, foreign, dir) = (Ca::new("Clients"), Ca::new("Foreign"), tempfile::tempdir().unwrap());
    let name = "app.netdata.cloud";
    let good = escaped(&clients.client(name).cert);
    let expired = escaped(&clients.expired_client(name).cert);
    let other = escaped(&foreign.client(name).cert);
    let subject = "CN=app.netdata.cloud,O=Example\\, Inc.";
    // Trusted addresses, whether the header is the one of the subject, and what is sent with what must come of it.
    type Row<'a> = (&'a [(&'a str, &'a str)], u16);
    let groups: [(&str, bool, &[Row<'_>]); 4] = [
        (
            "127.0.0.0/8",
            false,
            &[
                (&[("x-client-cert", good.as_str())], 202),
                (&[("x-client-cert", expired.as_str())], 401),
                (&[("x-client-cert", other.as_str())], 401),
                (&[("x-client-cert", "garbage")], 401),
                (&[("x-client-cert", good.as_str()), ("x-client-cert", good.as_str())], 401),
                (&[("x-subject", subject), ("x-verify", "SUCCESS")], 401),
                (&[], 401),
            ],
        ),
        // From somebody else it is what a stranger wrote, also when he says that he comes from the proxy.
        (
            "192.0.2.1/32",
            false,
            &[
                (&[("x-client-cert", good.as_str())], 401),
                (&[("x-client-cert", good.as_str()), ("x-forwarded-for", "192.0.2.1")], 401),
            ],
        ),
        (
            "127.0.0.1/32",
            true,
            &[
                (&[("x-subject", subject), ("x-verify", "SUCCESS")], 202),
                (&[("x-subject", subject), ("x-verify", "FAILED:certificate has expired")], 401),
                (&[("x-subject", subject)], 401),
                (&[("x-subject", "CN=other"), ("x-verify", "SUCCESS")], 401),
            ],
        ),
        ("192.0.2.1/32", true, &[(&[("x-subject", subject), ("x-verify", "SUCCESS")], 401)]),
    ];
    for (proxies, by_subject, rows) in groups {
        let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
            c.trusted_proxies = vec![proxies.parse().unwrap()];
            if by_subject {
                (c.proxy_subject_header, c.proxy_verify_header) = (Some("x-subject".into()), Some("x-verify".into()));
            } else {
                c.proxy_cert_header = Some("x-client-cert".into());
            }
            with_ca(c, &clients, dir.path(), AuthMode::Mtls);
        })
        .await;
        for (headers, want) in rows {
            let mut post = test.request(Method::POST, "/api/webhooks/netdata").body(BODY);
            for (name, value) in *headers {
                post = post.header(*name, *value);
            }
            let got = answer(post).await;
            assert_eq!(got.status, *want, "{proxies} {headers:?}: {}", got.text);
        }
        test.stop().await;
    }
}
