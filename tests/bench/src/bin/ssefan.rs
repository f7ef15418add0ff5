//! Many readers of the event stream. With `--probes N` it posts alerts with unmistakable titles one after the other and
//! measures the time from the first byte of the post to the event at the median and at the last reader. Without, it reads
//! until its input ends: the readers beside another measurement.

use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use memchr::memmem::Finder;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use watchfire_bench::{
    args::{arg, quit, text},
    times::Times,
};

/// A title may be cut between two reads: so much of the one before is looked at again.
const OVERLAP: usize = 32;
const WAIT: Duration = Duration::from_secs(10);

struct Reader {
    stream: TcpStream,
    tail: Vec<u8>,
    seen: bool,
}

struct Fan {
    poll: Poll,
    events: Events,
    readers: Vec<Reader>,
    buffer: Vec<u8>,
    bytes: u64,
    ended: usize,
}

fn main() {
    let addr = arg("addr", SocketAddr::from(([127, 0, 0, 1], 8080)));
    let (path, post, header) = (text("events"), text("path"), text("header"));
    let probes = arg("probes", 0usize);
    let gap = Duration::from_millis(arg("gap-ms", 100));
    let mut fan = Fan::open(addr, &path, &header, arg("clients", 1000));
    // Until all are connected and have had what they are told at first.
    fan.read_for(Duration::from_secs(2));
    println!("reading");
    if probes == 0 {
        let ended = std::thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
        while !ended.is_finished() {
            fan.read_for(Duration::from_millis(100));
        }
        println!("clients={} ended={} bytes={}", fan.readers.len(), fan.ended, fan.bytes);
        return;
    }
    let (mut median, mut last, mut missing) = (Times::default(), Times::default(), 0);
    for n in 0..probes {
        match fan.probe(addr, &post, &header, n) {
            (m, l, 0) => {
                median.add(m);
                last.add(l);
            }
            (.., without) => missing += without,
        }
        fan.read_for(gap);
    }
    let ([m50, m99], [l50, l99, longest]) = (median.at([0.5, 0.99]), last.at([0.5, 0.99, 1.0]));
    println!(
        "clients={} probes={probes} missing={missing} ended={} median_p50_ms={m50:.2} median_p99_ms={m99:.2} \
         last_p50_ms={l50:.2} last_p99_ms={l99:.2} last_max_ms={longest:.2} bytes={}",
        fan.readers.len(),
        fan.ended,
        fan.bytes
    );
}

impl Fan {
    fn open(addr: SocketAddr, path: &str, header: &str, clients: usize) -> Self {
        let poll = Poll::new().unwrap_or_else(|e| quit(&format!("the system cannot poll: {e}")));
        let end = if header.is_empty() { "" } else { "\r\n" };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n{header}{end}Accept: text/event-stream\r\n\r\n");
        let connect = |n: usize| -> std::io::Result<TcpStream> {
            let mut stream = std::net::TcpStream::connect(addr)?;
            stream.write_all(request.as_bytes())?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(n), Interest::READABLE)?;
            Ok(stream)
        };
        let readers = (0..clients)
            .map(|n| match connect(n) {
                Ok(stream) => Reader { stream, tail: Vec::new(), seen: false },
                Err(e) => quit(&format!("reader {n}: {e}")),
            })
            .collect();
        Self { poll, events: Events::with_capacity(1024), readers, buffer: vec![0; 64 * 1024], bytes: 0, ended: 0 }
    }

    fn read_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn(until.saturating_duration_since(Instant::now()).min(Duration::from_millis(50)), None);
        }
    }

    /// Reads what is there; how many readers saw the title that had not seen it before.
    fn turn(&mut self, wait: Duration, title: Option<&Finder<'_>>) -> usize {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(e) if e.kind() != ErrorKind::Interrupted => quit(&format!("the system cannot poll: {e}")),
            _ => {}
        }
        let mut seen = 0;
        for event in &self.events {
            let reader = &mut self.readers[event.token().0];
            loop {
                match reader.stream.read(&mut self.buffer) {
                    Ok(0) => {
                        self.ended += 1;
                        break;
                    }
                    Ok(read) => {
                        self.bytes += read as u64;
                        if let Some(title) = title.filter(|_| !reader.seen) {
                            reader.tail.extend_from_slice(&self.buffer[..read]);
                            if title.find(&reader.tail).is_some() {
                                reader.seen = true;
                                seen += 1;
                            }
                            let cut = reader.tail.len().saturating_sub(OVERLAP);
                            reader.tail.drain(..cut);
                        }
                    }
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        }
        seen
    }

    /// Posts one alert; time to the median and the last reader, and how many never saw it.
    fn probe(&mut self, addr: SocketAddr, path: &str, header: &str, n: usize) -> (Duration, Duration, usize) {
        let title = format!("probe-{n:08}-end");
        for reader in &mut self.readers {
            (reader.seen, reader.tail) = (false, Vec::new());
        }
        let body = format!(
            "{{\"version\":\"4\",\"status\":\"firing\",\"receiver\":\"r\",\"alerts\":[{{\"status\":\"firing\",\"fingerprint\":\"{title}\",\
             \"labels\":{{\"alertname\":\"Probe\",\"severity\":\"critical\",\"service\":\"svc-1\"}},\"annotations\":{{\"summary\":\"{title}\"}}}}]}}"
        );
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {addr}\r\n{header}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut post = std::net::TcpStream::connect(addr).unwrap_or_else(|e| quit(&format!("the post: {e}")));
        let began = Instant::now();
        post.write_all(request.as_bytes()).unwrap_or_else(|e| quit(&format!("the post: {e}")));
        let finder = Finder::new(title.as_bytes());
        let (mut seen, mut median) = (0, WAIT);
        while seen < self.readers.len() && began.elapsed() < WAIT {
            seen += self.turn(Duration::from_millis(20), Some(&finder));
            if seen * 2 >= self.readers.len() {
                median = median.min(began.elapsed());
            }
        }
        (median, began.elapsed(), self.readers.len() - seen)
    }
}
