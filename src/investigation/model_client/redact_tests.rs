use serde_json::json;

use super::*;

/// A text with a secret in it, and what must be gone.
const SECRETS: &[(&str, &str)] = &[
    ("password=hunter2hunter2", "hunter2"),
    ("PGPASSWORD=s3cr3tpw psql -h db", "s3cr3tpw"),
    ("db.password: \"cor rect horse\"", "cor rect horse"),
    ("{\"client_secret\":\"abc123def\"}", "abc123def"),
    ("{\\\"api_key\\\":\\\"k-99887766\\\"}", "k-99887766"),
    ("api-key => 'zzz999yyy'", "zzz999yyy"),
    ("user's password is Tr0ub4dor&3 today", "Tr0ub4dor&3"),
    ("mysql -u root --password swordfish1 -h x", "swordfish1"),
    ("curl -u admin:geheim99 https://x", "geheim99"),
    ("postgres://app:p4ss%21word@db.internal:5432/x", "p4ss%21word"),
    ("https://user@example.com/path", "user@"),
    ("redis://:onlypass@cache:6379/0", "onlypass"),
    ("amqp://guest:guest12@mq/vhost", "guest12"),
    ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
    ("authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("'Authorization': 'Token 9944b09199c62bcf'", "9944b09199c62bcf"),
    ("Proxy-Authorization: Digest username=\"x\"", "Digest username"),
    ("got bearer 0123456789abcdef from client", "0123456789abcdef"),
    ("Cookie: session=abcd; theme=dark", "session=abcd"),
    ("set-cookie: sid=s%3Aabc.def; Path=/", "s%3Aabc"),
    ("AKIAIOSFODNN7EXAMPLE was used", "AKIAIOSFODNN7EXAMPLE"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    ("key wJalrXUtnFEMIxK7MDENGxbPxRfiCYEXAMPLEKEY9 alone", "wJalrXUtnFEMIxK7MDENG"),
    ("ghp_0123456789abcdefghij0123456789abcdef", "ghp_0123"),
    ("github_pat_11ABCDEFG0abcdefghijkl_mnop", "github_pat_11"),
    ("glpat-abcdefghij0123456789", "glpat-abc"),
    ("xoxb-123456789012-abcdefghijkl", "xoxb-"),
    ("xapp-1-A0123-456-abcdef", "xapp-1"),
    ("https://hooks.slack.com/services/T000/B000/XXXXyyyy", "T000/B000"),
    ("https://discord.com/api/webhooks/123456/abc-DEF_ghi", "abc-DEF_ghi"),
    ("https://acme.webhook.office.com/webhookb2/aaaa@bbbb/IncomingWebhook/cccc", "IncomingWebhook"),
    ("sk_live_0123456789abcdefABCD", "sk_live_0"),
    ("sk-proj-abcdefghijklmnop0123456789", "sk-proj"),
    ("sk-ant-api03-abcdefghijklmnop", "sk-ant"),
    ("AIzaSyA0123456789abcdefghijklmnopqrstuv", "AIzaSy"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP", "eyJhbGci"),
    ("npm_abcdefghijklmnopqrstuvwxyz0123456789", "npm_abc"),
    ("pypi-AgEIcHlwaS5vcmcCJDAwMDAwMDAwLTAwMDA", "pypi-Ag"),
    ("SG.abcdefghijklmnopqrst.uvwxyzABCDEFGHIJKLMNOP", "SG.abc"),
    ("hvs.CAESIJabcdefghijklmnop", "hvs.CAES"),
    ("123456789:AAEhBOweik6ad9r_gnuyWhTGAhmvBlgHk9x", "AAEhBOweik"),
    ("https://x/y?token=abc123&z=1", "abc123"),
    ("https://s3/x?X-Amz-Signature=deadbeefdeadbeef&X-Amz-Date=1", "deadbeefdeadbeef"),
    ("AccountKey=abcd1234efgh5678==;EndpointSuffix=core", "abcd1234efgh5678"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nxyz\n-----END RSA PRIVATE KEY-----\nafter", "MIIEabc"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE", "b3BlbnNzaC1rZXktdjE"),
    ("AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQ", "QQQQQQQQQQ"),
    ("SENTRY_DSN=https://0123abc@o1.ingest.sentry.io/2", "0123abc"),
    ("otp: 492817", "492817"),
    ("sessionid=38afes7a8", "38afes7a8"),
];

/// What must stay as it is: it is what investigations are about.
const KEPT: &[&str] = &[
    "payments-worker: 500 errors at 14 % since 10:31 UTC",
    "token expired for 31 requests; password: none; token=expired",
    "OutOfMemoryError: Java heap space at com.example.payments.PaymentServiceImpl2.process",
    "deploy 3f786850e387550fdab836ed7e6dc881de23001b of checkout-api 2.31.0",
    "trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7",
    "id 018f3b2a-5c1e-7d3a-9b1f-0a1b2c3d4e5f",
    "https://grafana.example.com/d/abc/overview?orgId=1&from=now-1h",
    "kubelet on ip-10-0-3-14 evicted pod checkout-api-7d9f8b6c5-x2x4z",
    "HikariPool-1 - Connection is not available, request timed out after 30000ms.",
    "tokens per second fell; secrets were mounted; the key was rotated",
    "/var/lib/postgresql/15/main/pg_wal is 98 % full",
    "io.netty.channel.ConnectTimeoutException12 NullPointerExceptionInHandler",
];

#[test]
fn secrets_are_taken_out_and_the_rest_stays() {
    for (text, secret) in SECRETS {
        let out = secrets(text);
        assert!(!out.contains(secret), "{text} → {out}");
        assert!(out.contains(MARK), "{text} → {out}");
        assert_eq!(secrets(&out), out, "once more: {text}");
        for (before, after) in [("", "\n"), ("level=error msg=\"", "\" code=1"), ("x ", " y"), ("(", ")")] {
            let framed = format!("{before}{text}{after}");
            let out = secrets(&framed);
            assert!(!out.contains(secret), "{framed} → {out}");
        }
    }
    for text in KEPT {
        assert_eq!(secrets(text), *text);
    }
    assert_eq!(
        secrets("a://b:cccc@d and rest"),
        "a://[redacted: credentials]@d and rest".replace("a://[redacted: credentials]@", "a://b:cccc@"),
        "one letter is no scheme"
    );
    assert_eq!(secrets("ab://b:cccc@d rest"), "ab://[redacted: credentials]@d rest");
}

#[test]
fn fields_with_the_name_of_a_secret_are_emptied() {
    let mut value = json!({
        "labels": {"service": "api", "db.password": "plain words", "AuthToken": "x", "api_key": "k", "token": null},
        "lines": ["password=abcd1234", 3, true],
        "tokens": 12, "password=abcd1234": 1, "secretary": "kim",
    });
    Redactor::new(Vec::new()).value(&mut value);
    let text = value.to_string();
    for gone in ["plain words", "\"x\"", "\"k\"", "abcd1234"] {
        assert!(!text.contains(gone), "{gone} in {text}");
    }
    assert!(
        text.contains("\"service\":\"api\"")
            && text.contains("\"secretary\":\"kim\"")
            && text.contains("\"tokens\":12")
    );
    let mut again = value.clone();
    Redactor::new(Vec::new()).value(&mut again);
    assert_eq!(again, value);
}

#[test]
fn names_are_replaced_everywhere_the_same_and_come_back() {
    let names = [
        (Named::Service, "payments"),
        (Named::Service, "payments-worker"),
        (Named::Host, "db-1.example.com"),
        (Named::Person, "Kim Lee"),
        (Named::Service, "x"),
    ];
    let mut redactor = Redactor::new(vec!["own-key".into()]).with_names(names);
    let text = "Payments-Worker on db-1.example.com (10.1.2.3, fe80:1:2:3::9) calls payments; repayments stay. \
                Kim Lee, kim@example.com: own-key password=abcd1234 x";
    let out = redactor.out(text);
    assert_eq!(
        out,
        "svc-x2 on host-x1 (addr-x1, addr-x2) calls svc-x1; repayments stay. person-x1, person-x2: [redacted: key] \
         password=[redacted: secret] x"
    );
    assert_eq!(redactor.out(&out), out, "once more");
    assert_eq!(redactor.out("10.1.2.3 PAYMENTS"), "addr-x1 svc-x1", "the same again");
    assert_eq!(redactor.back("SVC-X2 and svc-x99 on addr-x1"), "payments-worker and svc-x99 on 10.1.2.3");
    assert_eq!(Redactor::default().back("svc-x2"), "svc-x2");
}

#[test]
fn every_pattern_is_one() {
    assert_eq!(KINDS.len(), 21);
    assert!(RANDOM.is_some() && FIELD.is_some() && MADE_UP.is_some() && MAIL.is_some() && ADDRESS.is_some());
}
