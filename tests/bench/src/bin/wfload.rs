//! One thread that posts alerts over many connections, as fast as they allow or at a rate.
//!
//! With `--rate` the time to the answer is counted from when the request was due, so that a server that stalls is not
//! flattered by a generator that waits for it. Prints one line of `key=value`.
//!
//! `--acknowledged FILE` writes the number of every alert that was answered with 2xx, as eight bytes (little end first):
//! after a kill each of them must be found.

use std::{
    io::{BufWriter, ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
use watchfire_bench::{
    args::{arg, quit, text},
    http::{self, Answer},
    payload::{self, Shape},
    times::Times,
};

struct Connection {
    stream: TcpStream,
    sending: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    due: Instant,
    alert: u64,
    busy: bool,
}

struct Settings {
    addr: SocketAddr,
    path: String,
    shape: Shape,
    header: String,
    rate: f64,
    count: u64,
    repeats: u64,
    seed: u64,
    start: u64,
}

/// What was counted within the measured time.
struct Figures {
    accepted: Times,
    refused: Times,
    without_retry_after: u64,
    broken: u64,
    first_refusal: Option<String>,
}

fn main() {
    let settings = Settings {
        addr: arg("addr", SocketAddr::from(([127, 0, 0, 1], 8080))),
        path: arg("path", "/".to_owned()),
        shape: text("shape").parse().unwrap_or(Shape::Webhook),
        header: text("header"),
        rate: arg("rate", 0.0),
        count: arg("count", 0),
        repeats: arg("repeats", 10),
        seed: arg("seed", 1),
        start: arg("start", 0),
    };
    let connections = arg("connections", 64usize);
    let warm_up = if settings.count > 0 { 0.0 } else { arg("warm", 2.0) };
    let seconds: f64 = arg("seconds", 15.0);
    let acknowledged = text("acknowledged");
    let mut load = Load::open(settings, connections, &acknowledged);
    let begin = Instant::now();
    let from = begin + Duration::from_secs_f64(warm_up);
    let until = from + Duration::from_secs_f64(seconds);
    load.run(begin, from, until);
    load.print(begin, from, until);
}

struct Load {
    settings: Settings,
    poll: Poll,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    figures: Figures,
    acknowledged: Option<BufWriter<std::fs::File>>,
    started: String,
    started_at: Instant,
    sent: u64,
    done: u64,
    ok: u64,
    bytes: u64,
    body: String,
    ended: Instant,
}

impl Load {
    fn open(settings: Settings, connections: usize, acknowledged: &str) -> Self {
        let poll = Poll::new().unwrap_or_else(|e| quit(&format!("the system cannot poll: {e}")));
        let acknowledged = (!acknowledged.is_empty()).then(|| match std::fs::File::create(acknowledged) {
            Ok(file) => BufWriter::with_capacity(8, file),
            Err(e) => quit(&format!("{acknowledged}: {e}")),
        });
        let now = Instant::now();
        let mut load = Self {
            settings,
            poll,
            connections: Vec::new(),
            idle: (0..connections).collect(),
            figures: Figures {
                accepted: Times::default(),
                refused: Times::default(),
                without_retry_after: 0,
                broken: 0,
                first_refusal: None,
            },
            acknowledged,
            started: payload::rfc3339(unix()),
            started_at: now,
            sent: 0,
            done: 0,
            ok: 0,
            bytes: 0,
            body: String::new(),
            ended: now,
        };
        for n in 0..connections {
            let stream = load.connect(n).unwrap_or_else(|e| quit(&format!("{}: {e}", load.settings.addr)));
            load.connections.push(Connection {
                stream,
                sending: Vec::with_capacity(2048),
                sent: 0,
                received: Vec::with_capacity(4096),
                due: now,
                alert: 0,
                busy: false,
            });
        }
        load
    }

    fn connect(&self, n: usize) -> std::io::Result<TcpStream> {
        let stream = std::net::TcpStream::connect(self.settings.addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        // Edges only: a socket that cannot be written says so once it can.
        self.poll.registry().register(&mut stream, Token(n), Interest::READABLE | Interest::WRITABLE)?;
        Ok(stream)
    }

    fn run(&mut self, begin: Instant, from: Instant, until: Instant) {
        let mut events = Events::with_capacity(1024);
        loop {
            let now = Instant::now();
            let enough = self.settings.count > 0 && self.done >= self.settings.count;
            if now >= until || enough {
                self.ended = now.min(until);
                return;
            }
            if now.duration_since(self.started_at) > Duration::from_secs(1) {
                self.started = payload::rfc3339(unix());
                self.started_at = now;
            }
            let next = self.start_due(begin, now);
            let wait = match next {
                Some(at) => at.saturating_duration_since(Instant::now()).min(Duration::from_millis(50)),
                None => Duration::from_millis(50),
            };
            // The poll waits whole milliseconds; what is due sooner is waited for here.
            let wait = if wait < Duration::from_millis(1) {
                std::thread::sleep(wait.min(Duration::from_micros(200)));
                Duration::ZERO
            } else {
                wait
            };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => quit(&format!("the system cannot poll: {e}")),
                Ok(()) => {}
            }
            for event in &events {
                let n = event.token().0;
                if event.is_writable() {
                    self.write(n);
                }
                if event.is_readable() || event.is_error() {
                    self.read(n, from, until);
                }
            }
        }
    }

    /// Starts what is due; when the next is due, if a connection is free for it.
    fn start_due(&mut self, begin: Instant, now: Instant) -> Option<Instant> {
        let mut now = now;
        while let Some(n) = self.idle.last().copied() {
            if self.settings.count > 0 && self.sent >= self.settings.count {
                return None;
            }
            let due = if self.settings.rate > 0.0 {
                let due = begin + Duration::from_secs_f64(self.sent as f64 / self.settings.rate);
                if due > now {
                    now = Instant::now();
                    if due > now {
                        return Some(due);
                    }
                }
                due
            } else {
                Instant::now()
            };
            self.idle.pop();
            self.start(n, due);
        }
        None
    }

    fn start(&mut self, n: usize, due: Instant) {
        let s = &self.settings;
        let alert = payload::identity(s.start + self.sent, s.repeats, s.seed);
        self.body.clear();
        payload::body(&mut self.body, s.shape, payload::facts(alert, s.seed), &self.started);
        let c = &mut self.connections[n];
        c.sending.clear();
        let end = if s.header.is_empty() { "" } else { "\r\n" };
        // Writing to memory does not fail.
        let _ = write!(
            c.sending,
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{}{end}Content-Length: {}\r\n\r\n{}",
            s.path,
            s.addr,
            s.header,
            self.body.len(),
            self.body
        );
        (c.sent, c.due, c.alert, c.busy) = (0, due, alert, true);
        self.bytes += self.body.len() as u64;
        self.sent += 1;
        self.write(n);
    }

    fn write(&mut self, n: usize) {
        let c = &mut self.connections[n];
        while c.sent < c.sending.len() {
            match c.stream.write(&c.sending[c.sent..]) {
                Ok(written) => c.sent += written,
                // A broken connection is seen when it is read.
                Err(e) if e.kind() != ErrorKind::Interrupted => return,
                Err(_) => {}
            }
        }
    }

    fn read(&mut self, n: usize, from: Instant, until: Instant) {
        let mut buffer = [0u8; 16 * 1024];
        let mut closed = false;
        let c = &mut self.connections[n];
        loop {
            match c.stream.read(&mut buffer) {
                Ok(0) => {
                    closed = true;
                    break;
                }
                Ok(read) => c.received.extend_from_slice(&buffer[..read]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    closed = true;
                    break;
                }
            }
        }
        if let Some(answer) = http::answer(&self.connections[n].received) {
            if self.connections[n].busy {
                self.answered(n, answer, from, until);
            }
            self.connections[n].received.drain(..answer.length);
            closed |= answer.closes;
        }
        if closed {
            self.reconnect(n);
        }
    }

    fn answered(&mut self, n: usize, answer: Answer, from: Instant, until: Instant) {
        let now = Instant::now();
        let c = &mut self.connections[n];
        c.busy = false;
        self.idle.push(n);
        self.done += 1;
        let took = now.duration_since(c.due);
        let measured = now >= from && now <= until;
        if (200..300).contains(&answer.status) {
            self.ok += 1;
            if let Some(log) = &mut self.acknowledged {
                let _ = log.write_all(&c.alert.to_le_bytes());
            }
            if measured {
                self.figures.accepted.add(took);
            }
        } else {
            if self.figures.first_refusal.is_none() {
                let shown = String::from_utf8_lossy(&c.received[..c.received.len().min(300)]);
                self.figures.first_refusal = Some(shown.replace(['\r', '\n'], " "));
            }
            if measured {
                self.figures.refused.add(took);
                self.figures.without_retry_after += u64::from(!answer.retry_after);
            }
        }
    }

    fn reconnect(&mut self, n: usize) {
        if self.connections[n].busy {
            self.connections[n].busy = false;
            self.figures.broken += 1;
            self.done += 1;
            self.idle.push(n);
        }
        match self.connect(n) {
            Ok(stream) => {
                self.connections[n].stream = stream;
                self.connections[n].received.clear();
            }
            // The server is gone: nothing more can be sent on this one.
            Err(_) => self.idle.retain(|i| *i != n),
        }
    }

    fn print(&mut self, begin: Instant, from: Instant, until: Instant) {
        let seconds = self.ended.min(until).duration_since(from.min(self.ended)).as_secs_f64().max(1e-9);
        let f = &mut self.figures;
        let [p50, p90, p99, longest] = f.accepted.at([0.5, 0.9, 0.99, 1.0]);
        let [refused_p50, refused_p99] = f.refused.at([0.5, 0.99]);
        println!(
            "accepted_per_s={:.1} accepted={} refused={} without_retry_after={} broken={} p50_ms={p50:.3} p90_ms={p90:.3} \
             p99_ms={p99:.3} max_ms={longest:.3} refused_p50_ms={refused_p50:.3} refused_p99_ms={refused_p99:.3} \
             all_accepted={} all_sent={} body_bytes={} seconds={seconds:.3} whole_seconds={:.3}",
            f.accepted.len() as f64 / seconds,
            f.accepted.len(),
            f.refused.len(),
            f.without_retry_after,
            f.broken,
            self.ok,
            self.sent,
            self.bytes / self.sent.max(1),
            self.ended.duration_since(begin).as_secs_f64(),
        );
        if let Some(first) = &f.first_refusal {
            println!("first refusal: {first}");
        }
    }
}

fn unix() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(0)
}
