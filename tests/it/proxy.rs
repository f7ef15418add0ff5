//! Behind Debian's nginx with the sample that is installed: who the client is and which certificate it has are passed on,
//! and what the client writes of that itself is not believed.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::Method;
use serde_json::json;
use tokio::net::TcpStream;
use watchfire::{config::ConnectorConfig, model::AuthMode, runtime::clock::Clock};

use crate::{
    pki::{Ca, Pair},
    support::{Answer, PATIENCE, TOKEN, TestApp, answer, start_of_time},
};

const SAMPLE: &str = include_str!("../../packaging/examples/nginx.conf");
const BODY: &str = include_str!("../../src/connectors/samples/netdata.json");

struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    /// Serves the sample in front of this address, with names and places of the test.
    async fn start(dir: &Path, backend: std::net::SocketAddr, pair: &Pair) -> Self {
        let (cert, key) = pair.write(dir);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut site = SAMPLE.to_owned();
        let live = "/etc/letsencrypt/live/watchfire.example.com";
        for (from, to) in [
            ("127.0.0.1:8080", backend.to_string()),
            ("listen 443 ", format!("listen 127.0.0.1:{port} ")),
            (&format!("{live}/fullchain.pem"), cert.display().to_string()),
            (&format!("{live}/privkey.pem"), key.display().to_string()),
        ] {
            assert_eq!(site.lines().filter(|l| !l.starts_with('#') && l.contains(from)).count(), 1, "{from}");
            site = site.replace(from, &to);
        }
        let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|of| format!("{of}_temp_path {}/{of};\n", dir.display()))
            .concat();
        let conf = dir.join("nginx.conf");
        let main = format!(
            "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log {0}/error.log info;\nevents {{}}\nhttp {{\naccess_log off;\n{places}{site}}}\n",
            dir.display()
        );
        std::fs::write(&conf, main).unwrap();
        let mut command = Command::new("nginx");
        command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
        command.arg("-p").arg(dir).arg("-c").arg(&conf).arg("-e").arg(dir.join("error.log"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("nginx is not installed; `tests/run` does that, or `apt-get install nginx-light`");
        let mut nginx = Self { child, port };
        // It does not say when it listens.
        let ready = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                assert_eq!(nginx.child.try_wait().unwrap(), None, "{}", read(&dir.join("error.log")));
                ticks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("nginx listens");
        nginx
    }

    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_passes_on_the_certificate_and_the_address() {
    let (site, clients, foreign) = (Ca::new("Site"), Ca::new("Clients"), Ca::new("Foreign"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("client-ca.pem");
    std::fs::write(&file, &clients.pem).unwrap();
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        c.proxy_cert_header = Some("x-client-cert".to_owned());
        let set = ConnectorConfig { auth: Some(AuthMode::Mtls), client_ca: Some(file), ..Default::default() };
        c.connectors.insert("netdata".to_owned(), set);
    })
    .await;
    let nginx = Nginx::start(dir.path(), test.app().addr(), &site.server()).await;
    let name = "app.netdata.cloud";
    let good = clients.client(name);
    let one_line = good.cert.replace('\n', " ");
    let post = async |shown: Option<&Pair>, forged: &[(&str, &str)]| -> Answer {
        let mut request = site.http(shown).request(Method::POST, nginx.url("/api/webhooks/netdata")).body(BODY);
        for (name, value) in forged {
            request = request.header(*name, *value);
        }
        answer(request).await
    };
    for (shown, forged, want) in [
        (Some(&good), &[][..], 202),
        (Some(&good), &[("x-client-cert", "garbage"), ("x-forwarded-for", "192.0.2.1")][..], 202),
        (None, &[], 401),
        (None, &[("x-client-cert", one_line.as_str())], 401),
        (Some(&foreign.client(name)), &[("x-client-cert", one_line.as_str())], 401),
        (Some(&foreign.client(name)), &[], 401),
        (Some(&clients.client("other")), &[], 401),
        (None, &[("authorization", &format!("Bearer {TOKEN}"))], 202),
    ] as [(Option<&Pair>, &[(&str, &str)], u16); 8]
    {
        let got = post(shown, forged).await;
        assert_eq!(got.status, want, "{forged:?}: {}", got.text);
    }

    // By which address and how it was reached.
    let http = site.http(None);
    let connector = answer(http.get(nginx.url("/api/connectors/netdata")).bearer_auth(TOKEN)).await.json;
    assert_eq!(connector["webhook_url"], nginx.url("/api/webhooks/netdata"));
    let user = json!({"name": "kim", "role": "admin", "password": "correct horse battery"});
    assert_eq!(answer(http.post(nginx.url("/api/users")).bearer_auth(TOKEN).json(&user)).await.status, 201);
    let form = http.post(nginx.url("/login")).header("content-type", "application/x-www-form-urlencoded");
    let signed_in = answer(form.body("user=kim&password=correct+horse+battery")).await;
    let cookie = signed_in.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"), "{cookie}");

    // Events come through at once.
    let mut stream = http.get(nginx.url("/api/incidents/stream")).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert_eq!(test.deliver("generic", &json!({"title": "x", "severity": "high"})).await.status, 202);
    let told = async {
        let mut text = String::new();
        while !text.contains("incident_update") {
            let piece = stream.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("the event comes");
    drop(stream);
    drop(nginx);
    test.stop().await;
}
