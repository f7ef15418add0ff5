//! chromedriver: one process for all tests of a run, on a free port.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::LazyLock,
};

static DRIVER: LazyLock<Driver> = LazyLock::new(Driver::start);

struct Driver {
    port: u16,
    // Its input is ours: when this process ends, however it ends, the shell below reads the end of it.
    _shell: Child,
}

impl Driver {
    fn start() -> Self {
        let program = find("chromedriver", "CHROMEDRIVER", &["chromedriver"]);
        let script = "\"$0\" --port=0 & read -r _; trap '' TERM; kill -TERM 0";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let mut said = BufReader::new(shell.stdout.take().unwrap()).lines();
        let port = said
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
        // What it says later is read, so that it is never held up.
        std::thread::spawn(move || said.for_each(drop));
        Self { port: port.expect("chromedriver names its port"), _shell: shell }
    }
}

/// Where it listens. Starts it when nobody has yet.
pub fn url() -> String {
    format!("http://127.0.0.1:{}", DRIVER.port)
}

/// The browser to drive.
pub fn chromium() -> PathBuf {
    find("Chromium", "CHROMIUM", &["chromium", "chromium-browser", "google-chrome"])
}

/// Ends a session. In the way of blocking code, because it is called when a test has failed, too.
pub fn end(session: &str) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", DRIVER.port)) else { return };
    let request = format!("DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).is_ok() {
        let _ = stream.read(&mut [0; 64]);
    }
}

fn find(what: &str, variable: &str, names: &[&str]) -> PathBuf {
    if let Some(named) = std::env::var_os(variable).filter(|v| !v.is_empty()) {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = names.iter().flat_map(|n| places.iter().map(move |p| p.join(n))).find(|p| p.is_file());
    found.unwrap_or_else(|| panic!("{what} is missing: `tests/run` installs it, or name it in {variable}"))
}
