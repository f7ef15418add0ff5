use std::{net::IpAddr, str::FromStr};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use reqwest::dns::{Name, Resolve};

use super::{error::Refused, *};

/// A server that gives every connection the same bytes, and then keeps it open when it should hang. Its address, and what
/// it was asked last.
async fn server(answer: &'static [u8], hangs: bool) -> (String, Arc<std::sync::Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::<std::sync::Mutex<String>>::default();
    let seen = asked.clone();
    // Ends with the test's runtime.
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            *seen.lock().unwrap() = head(&mut stream).await;
            let _ = stream.write_all(answer).await;
            if hangs {
                open.push(stream);
            }
        }
    });
    (base, asked)
}

async fn head(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut piece = [0; 1024];
    while !read.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut piece).await {
            Ok(n) if n > 0 => read.extend_from_slice(&piece[..n]),
            _ => break,
        }
    }
    String::from_utf8(read).unwrap()
}

fn client() -> Client {
    Client::open(None).unwrap()
}

async fn ask(base: &str) -> Result<Value, OutgoingError> {
    let url = address::under(&address::base(base).unwrap(), "/x", &[("token", "s3cret")]);
    let request = client().get(&url).within(Duration::from_millis(300)).most(64);
    request.credentials(&Credentials::Bearer("s3cret".into())).send().await?.good_or_said().await?.json().await
}

#[tokio::test]
async fn an_answer_and_every_way_of_not_having_one() {
    let check = async |answer: &'static [u8], hangs: bool, want: Result<Value, &str>| {
        let (base, asked) = server(answer, hangs).await;
        let host = base.trim_start_matches("http://");
        match (ask(&base).await, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want),
            (Err(e), Err(part)) => {
                let said = e.to_string();
                assert!(said.contains(part) && said.starts_with(host) && !said.contains("s3cret"), "{said}: {part}");
            }
            (got, want) => panic!("{got:?} instead of {want:?}"),
        }
        let asked = asked.lock().unwrap();
        assert!(asked.starts_with("GET /x?token=s3cret ") && asked.contains("authorization: Bearer s3cret"), "{asked}");
        assert!(asked.contains(concat!("user-agent: Watchfire/", env!("CARGO_PKG_VERSION"))), "{asked}");
    };
    check(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"a\": 1}", false, Ok(json!({"a": 1}))).await;
    check(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi!", false, Err("not the JSON it should be")).await;
    check(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", false, Err("broke off")).await;
    check(b"garbage\r\n\r\n", false, Err("broke off")).await;
    check(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", false, Err("answers 401: the credentials")).await;
    check(b"HTTP/1.1 400 No\r\ncontent-length: 16\r\n\r\nparse error\n at ", false, Err("answers 400: parse error at"))
        .await;
    let elsewhere = b"HTTP/1.1 302 Found\r\nlocation: http://other.example/login?s3cret=1\r\ncontent-length: 0\r\n\r\n";
    check(elsewhere, false, Err("leads on to http://other.example/login, which is not followed")).await;
    check(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{", true, Err("did not answer within 300 ms")).await;
    check(b"", true, Err("did not answer within 300 ms")).await;
    let large =
        b"HTTP/1.1 200 OK\r\n\r\n\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"";
    check(large, true, Err("more than 64 bytes")).await;

    // Nobody listens on a port that was just given back.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gone = ask(&format!("http://{closed}")).await.unwrap_err();
    assert!(
        matches!(gone, OutgoingError::Unreachable { .. }) && gone.to_string().contains("see that it runs"),
        "{gone}"
    );
}

#[tokio::test]
async fn a_text_is_cut_and_says_so() {
    let (base, _) = server(b"HTTP/1.1 200 OK\r\n\r\n0123456789", true).await;
    let url = address::base(&base).unwrap();
    let answer = client().get(&url).most(4).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), Text { text: "0123".into(), cut: true });
}

#[tokio::test]
async fn a_stream_comes_by_lines_and_does_not_wait_for_ever() {
    let (base, _) = server(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\r\n\r\ndata: 2\nda", true).await;
    let url = address::base(&base).unwrap();
    let mut lines = client().get(&url).send().await.unwrap().stream(Duration::from_millis(100));
    for want in ["data: 1", "", "data: 2"] {
        assert_eq!(lines.line().await.unwrap().as_deref(), Some(want));
    }
    assert!(matches!(lines.line().await, Err(OutgoingError::Late { .. })));

    let (base, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\na\nb\nc", false).await;
    let url = address::base(&base).unwrap();
    let mut lines = client().get(&url).send().await.unwrap().stream(Duration::from_secs(5));
    let mut all = Vec::new();
    while let Some(line) = lines.line().await.unwrap() {
        all.push(line);
    }
    assert_eq!(all, ["a", "b", "c"]);
    let mut bounded = client().get(&url).most(3).send().await.unwrap().stream(Duration::from_secs(5));
    assert!(matches!(bounded.piece().await, Err(OutgoingError::TooLarge { .. })));
}

#[tokio::test]
async fn what_is_never_asked() {
    for (address, want) in [
        ("http://169.254.169.254/latest", false),
        // The same in other spellings.
        ("http://0xa9fea9fe/", false),
        ("http://2852039166/", false),
        ("http://[::ffff:169.254.169.254]/", false),
        ("http://[64:ff9b::a9fe:a9fe]/", false),
        ("http://[2002:a9fe:a9fe::1]/", false),
        ("http://[fe80::1]/", false),
        ("http://[fd00:ec2::254]/", false),
        ("http://100.100.100.200/", false),
        ("http://0251.0376.0251.0376/", false),
        ("http://169.16689662/", false),
        ("http://169.254.169.254./", false),
        ("http://①⑥⑨.254.169.254/", false),
        ("http://[::ffff:a9fe:a9fe]/", false),
        ("http://[::169.254.169.254]/", false),
        ("http://[64:ff9b:1::a9fe:a9fe]/", false),
        ("http://[64:ff9b:1:a9fe:a9:fe00::]/", false),
        ("http://[fd00:ec2::23]/", false),
        ("http://[fd20:ce::254]/", false),
        ("http://168.63.129.16/", false),
        ("http://192.0.0.192/", false),
        ("http://0.0.0.0/", false),
        ("http://0.1.2.3/", false),
        ("http://0/", false),
        ("http://[::]/", false),
        ("http://255.255.255.255/", false),
        ("http://[ff02::1]/", false),
        ("http://224.0.0.1/", false),
        ("http://127.0.0.1/", true),
        ("http://[::1]/", true),
        ("http://10.0.0.5/", true),
        ("http://[fd00::5]/", true),
        ("http://192.0.2.1/", true),
        ("http://[64:ff9b::808:808]/", true),
        ("http://[64:ff9b:1::808:808]/", true),
        ("http://[64:ff9b:1:808:8:800::]/", true),
        ("http://[2002:808:808::1]/", true),
        ("http://[fd00:ec3::1]/", true),
    ] {
        let url = Url::parse(address).unwrap();
        assert_eq!(address::allowed(&url).is_ok(), want, "{address}");
        assert_eq!(address::base(address).is_ok(), want, "{address}");
        if !want {
            let refused = client().get(&url).send().await.unwrap_err();
            assert!(matches!(refused, OutgoingError::Forbidden { .. }), "{refused}");
        }
    }
    // A name is looked at after it was resolved; these "resolve" to themselves.
    let resolved =
        async |name: &str| Looked(Arc::default()).resolve(Name::from_str(name).unwrap()).await.map(|all| all.count());
    assert!(resolved("169.254.169.254").await.is_err_and(|e| e.is::<Refused>()));
    assert!(resolved("localhost").await.unwrap() > 0);
    assert!(address::forbidden(IpAddr::from_str("169.254.170.2").unwrap()));
}

#[test]
fn addresses_as_people_write_them() {
    let check = |text: &str, want: Result<&str, &str>| match (address::base(text), want) {
        (Ok(url), Ok(want)) => assert_eq!(address::under(&url, "/api/v1/x", &[("q", "a b&c")]).as_str(), want),
        (Err(e), Err(part)) => assert!(e.contains(part) && !e.contains("hunter2"), "{text}: {e}"),
        (got, want) => panic!("{text}: {got:?} instead of {want:?}"),
    };
    check("http://p:9090", Ok("http://p:9090/api/v1/x?q=a+b%26c"));
    check(" https://p.example/prometheus/ ", Ok("https://p.example/prometheus/api/v1/x?q=a+b%26c"));
    check("p:9090", Err("http:// or https://"));
    check("prometheus", Err("http:// or https://"));
    check("ftp://p", Err("http:// or https://"));
    check("http://kim:hunter2@p", Err("options of their own"));
    check("http://p?x=1", Err("a query"));
    check("http://169.254.169.254", Err("never asked"));
}

#[test]
fn the_file_of_certificates_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let said = |file: &Path| Client::open(Some(file)).unwrap_err().to_string();
    assert!(said(&file).contains("cannot be read") && said(&file).contains("outgoing.ca"));
    std::fs::write(&file, "nothing").unwrap();
    assert!(said(&file).contains("holds no certificate"));
    std::fs::write(&file, include_str!("../../tests/keys/sns.pem")).unwrap();
    assert!(Client::open(Some(&file)).is_ok());
}

#[test]
fn secrets_do_not_show() {
    let who = Credentials::Basic { user: "kim".into(), password: "hunter2".into() };
    assert_eq!(format!("{who:?}"), "Credentials(…)");
    let url = address::base("http://p").unwrap();
    let bad = client().get(&url).credentials(&Credentials::Header { name: "x-api-key", value: "hunter2\n".into() });
    let said = format!("{bad:?}");
    assert!(bad.built.is_err() && !said.contains("hunter2"), "{said}");
}

/// Clients that call what people put in: this machine is refused in each of its spellings.
#[tokio::test]
async fn a_guarded_client_does_not_call_its_own_machine() {
    let guarded = client().guarded(vec!["127.0.0.2/32".parse().unwrap()]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
    ] {
        let url = Url::parse(&format!("http://{host}:1/")).unwrap();
        let refused = guarded.get(&url).send().await.unwrap_err();
        assert!(matches!(refused, OutgoingError::Forbidden { .. }), "{host}: {refused}");
        // The same by a proxy of the environment, which would resolve the name itself.
        let behind = Guard { proxied: true, ..(*guarded.inner.guard).clone() };
        let behind = Client::of((Vec::new(), Vec::new()), None, behind);
        let refused = behind.get(&url).send().await.unwrap_err();
        assert!(matches!(refused, OutgoingError::Forbidden { .. }), "{host}: {refused}");
        // What is no HTTP has a host alone.
        let host = host.trim_matches(['[', ']']);
        let found = guarded.look_up(host, 25).await;
        assert!(found.is_err(), "{host}: {found:?}");
    }
    let allowed = Url::parse("http://127.0.0.2:1/").unwrap();
    assert!(matches!(guarded.get(&allowed).send().await.unwrap_err(), OutgoingError::Unreachable { .. }));
    assert_eq!(guarded.look_up("127.0.0.2", 25).await.unwrap().port(), 25);
    // A name that nobody here knows is the proxy's to know.
    let behind = Guard { proxied: true, ..(*guarded.inner.guard).clone() };
    assert!(behind.allows_name("x", "no-such-name.invalid").await.is_ok());
}

/// The address that was looked at is the one that is connected to: the name is not resolved again.
#[tokio::test]
async fn a_name_is_resolved_once_and_keeps_only_what_may_be_asked() {
    let guard = Arc::new(Guard { loopback: false, allow: vec!["127.0.0.0/8".parse().unwrap()], proxied: false });
    let kept = Looked(guard).resolve(Name::from_str("localhost").unwrap()).await.unwrap();
    let kept: Vec<IpAddr> = kept.map(|a| a.ip()).collect();
    assert!(kept.iter().all(|ip| ip.is_ipv4()) && !kept.is_empty(), "{kept:?}");
}

#[tokio::test]
async fn only_other_paths_of_the_same_host_are_followed() {
    // Answers by path: `/a` leads to `/b`, and so on; anything else is what was asked.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let asked = head(&mut stream).await;
            let path = asked.split(' ').nth(1).unwrap_or_default().to_owned();
            let to = match path.as_str() {
                "/308" => "308 Moved\r\nlocation: /end".to_owned(),
                "/307" => format!("307 Moved\r\nlocation: http://{at}/end"),
                "/301" => "301 Moved\r\nlocation: /end".to_owned(),
                "/303" => "303 Other\r\nlocation: /end".to_owned(),
                "/port" => "308 Moved\r\nlocation: http://127.0.0.1:1/end".to_owned(),
                "/scheme" => format!("308 Moved\r\nlocation: https://{at}/end"),
                "/host" => format!("308 Moved\r\nlocation: http://localhost:{}/end", at.port()),
                "/file" => "308 Moved\r\nlocation: file:///etc/passwd".to_owned(),
                "/circle" => "308 Moved\r\nlocation: /circle".to_owned(),
                _ => "200 OK".to_owned(),
            };
            let said = asked.lines().find(|l| l.starts_with("x-signature")).unwrap_or("none").to_owned();
            let body = format!("{} {said}", asked.split(' ').next().unwrap_or_default());
            let answer = format!("HTTP/1.1 {to}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let guarded = client().guarded(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    for (path, followed) in [
        ("308", true),
        ("307", true),
        ("301", false),
        ("303", false),
        ("port", false),
        ("scheme", false),
        ("host", false),
        ("file", false),
        ("circle", false),
    ] {
        let url = Url::parse(&format!("http://{at}/{path}")).unwrap();
        let call = || guarded.post(&url).named("x-signature", "sha256=1", true).raw(b"{}".to_vec());
        match call().send().await {
            Ok(answer) => {
                assert!(followed, "{path}");
                assert_eq!(answer.text().await.unwrap().text, "POST x-signature: sha256=1", "{path}");
            }
            // What is no address of the web is refused by the library before it is asked for.
            Err(e) => {
                let named = matches!(e, OutgoingError::Redirected { .. }) || path == "file";
                assert!(!followed && named, "{path}: {e}");
            }
        }
        // A client that is not guarded follows nothing.
        assert!(client().post(&url).send().await.is_err(), "{path}");
    }
}

/// Nothing is unpacked: what a small answer could become is not read.
#[tokio::test]
async fn packed_answers_stay_packed() {
    let (base, asked) =
        server(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 6\r\n\r\n\x1f\x8b\x08ABC", false).await;
    let url = address::base(&base).unwrap();
    let answer = client().get(&url).most(4).send().await.unwrap();
    let text = answer.text().await.unwrap();
    assert!(text.cut && text.text.ends_with('A'), "{text:?}");
    assert!(!asked.lock().unwrap().contains("accept-encoding"), "{}", asked.lock().unwrap());
}
