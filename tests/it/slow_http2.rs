//! Peers that use the protocol against us: HTTP/2 frames written by hand, and readers that do not read.

use std::time::{Duration, Instant};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::get,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use watchfire::web::{connections::Limits, server::serve_router};

use crate::support::{PATIENCE, TOKEN, TestApp, answer};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// `GET path`, packed without any table.
fn get_head(path: &str) -> Vec<u8> {
    // :method GET, :scheme http, then :path and :authority with their values.
    let mut head = vec![0x82, 0x86, 0x04, path.len() as u8];
    head.extend(path.as_bytes());
    head.extend([0x01, 1, b'a']);
    head
}

struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Peer {
    /// Connects, and says with which window answers may begin.
    async fn connect(addr: std::net::SocketAddr, window: u32) -> Self {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        let mut settings = 4u16.to_be_bytes().to_vec();
        settings.extend(window.to_be_bytes());
        stream.write_all(&frame(SETTINGS, 0, 0, &settings)).await.unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Whether it could be sent.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await.is_ok_and(|w| w.is_ok())
    }

    /// The next frame: kind, flags, stream, payload. None when the connection has ended.
    async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        loop {
            if self.buffer.len() >= 9 {
                let length = u32::from_be_bytes([0, self.buffer[0], self.buffer[1], self.buffer[2]]) as usize;
                if self.buffer.len() >= 9 + length {
                    let frame: Vec<u8> = self.buffer.drain(..9 + length).collect();
                    let stream = u32::from_be_bytes(frame[5..9].try_into().unwrap());
                    return Some((frame[3], frame[4], stream, frame[9..].to_vec()));
                }
            }
            let mut piece = [0; 16 << 10];
            match tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("it answers or ends") {
                Ok(n) if n > 0 => self.buffer.extend(&piece[..n]),
                _ => return None,
            }
        }
    }

    /// Reads to the end; whether it was told goodbye.
    async fn ended(&mut self) -> bool {
        let mut goodbye = false;
        while let Some((kind, ..)) = self.next().await {
            goodbye |= kind == GOAWAY;
        }
        goodbye
    }
}

/// A server with short limits and routes that answer much, nothing, and at once.
async fn serve(limits: Limits) -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    let much = Bytes::from(vec![b'x'; 64 << 20]);
    let much = move || std::future::ready(Body::from(much.clone()));
    let quiet = || async { Body::from_stream(tokio_stream::pending::<Result<Vec<u8>, std::io::Error>>()) };
    let router = Router::new().route("/much", get(much)).route("/quiet", get(quiet)).route("/", get(|| async { "ok" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let served = tokio::spawn(serve_router(listener, router, limits, stop.clone(), Duration::from_secs(5)));
    (addr, stop, served)
}

fn short() -> Limits {
    Limits { idle: Duration::from_millis(600), stall: Duration::from_millis(600), ..Limits::new(100) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_does_not_live_on_pings() {
    let (addr, stop, served) = serve(short()).await;
    let mut peer = Peer::connect(addr, 65_535).await;
    assert!(peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &get_head("/"))).await);
    let began = Instant::now();
    let mut goodbye = false;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            _ = ticks.tick() => { if !peer.send(&frame(PING, 0, 0, b"pingping")).await { break } }
            frame = peer.next() => match frame {
                Some((kind, ..)) => goodbye |= kind == GOAWAY,
                None => break,
            }
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it lives on pings");
    }
    assert!(goodbye, "it is told goodbye");
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    stop.cancel();
    served.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_is_not_idle() {
    let (addr, stop, served) = serve(short()).await;
    let mut peer = Peer::connect(addr, 65_535).await;
    assert!(peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &get_head("/quiet"))).await);
    while !matches!(peer.next().await, Some((HEADERS, ..))) {}
    // Three times the limit; the answer has nothing to say, and its reader is not to blame.
    tokio::time::sleep(Duration::from_millis(1_800)).await;
    assert!(peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 3, &get_head("/"))).await);
    loop {
        match peer.next().await.expect("the connection is there") {
            (DATA, _, 3, body) => break assert_eq!(body, b"ok"),
            (GOAWAY, ..) => panic!("it was ended"),
            _ => {}
        }
    }
    stop.cancel();
    drop(peer);
    served.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_taken_is_cut() {
    let (addr, stop, served) = serve(short()).await;
    // HTTP/2 without any window: nothing can be sent, and pings are answered.
    let mut peer = Peer::connect(addr, 0).await;
    for stream in 0..40 {
        assert!(peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1 + 2 * stream, &get_head("/much"))).await);
    }
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            _ = ticks.tick() => { if !peer.send(&frame(PING, 0, 0, b"pingping")).await { break } }
            frame = peer.next() => if frame.is_none() { break },
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it waits for its window for ever");
    }
    // HTTP/1 that reads the first bytes and then no more.
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET /much HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 100]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it was cut");
    assert!(rest.len() < 60 << 20, "{} bytes came: it was not cut", rest.len());
    // A slow reader that reads gets all of it.
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET /much HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let (mut seen, mut piece) = (0, vec![0; 4 << 20]);
    loop {
        let n = tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await.unwrap().unwrap();
        if n == 0 {
            break;
        }
        seen += n;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(seen > 64 << 20, "{seen}");
    stop.cancel();
    served.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_given_back_whatever_ends_a_connection() {
    let limits = Limits { connections: 8, ..short() };
    let (addr, stop, served) = serve(limits).await;
    for round in 0..12 {
        let mut peers = Vec::new();
        for n in 0..8 {
            let mut peer = Peer::connect(addr, if n % 2 == 0 { 0 } else { 65_535 }).await;
            let path = ["/much", "/quiet", "/"][n % 3];
            for stream in 0..5 {
                peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1 + 2 * stream, &get_head(path))).await;
            }
            peers.push(peer);
        }
        // Goes away in the middle of everything.
        drop(peers);
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut said = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut said)).await.expect("there is a place").unwrap();
        assert!(said.ends_with("ok"), "round {round}: {said}");
    }
    stop.cancel();
    served.await.unwrap();
}

/// Against the whole server: a flood on one connection ends that connection, and others notice nothing.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_end_their_own_connection_only() {
    let test = TestApp::start().await;
    let addr = test.app().addr();

    // Rapid reset: requests that are taken back as soon as they are made.
    let mut peer = Peer::connect(addr, 65_535).await;
    let mut sent = 0;
    for stream in 0..20_000u32 {
        let id = 1 + 2 * stream;
        let mut both = frame(HEADERS, END_STREAM | END_HEADERS, id, &get_head("/api/version"));
        both.extend(frame(RST_STREAM, 0, id, &8u32.to_be_bytes()));
        if !peer.send(&both).await {
            break;
        }
        sent += 1;
    }
    // Too many resets at once are refused; a peer that is slower than we are has done nothing but work of its own.
    println!("{sent} resets were taken");
    drop(peer);

    // A head that never ends.
    let mut peer = Peer::connect(addr, 65_535).await;
    let mut taken = peer.send(&frame(HEADERS, END_STREAM, 1, &get_head("/"))).await;
    let mut more = 0;
    while taken && more < 100_000 {
        // A literal field, 1,000 bytes of value.
        let mut field = vec![0x00, 1, b'x', 0x7f, 0xe9, 0x06];
        field.extend([b'a'; 1000]);
        taken = peer.send(&frame(CONTINUATION, 0, 1, &field)).await;
        more += 1;
    }
    assert!(!taken, "a head of {more} KB was taken");
    // Empty pieces of a head, for ever.
    let mut peer = Peer::connect(addr, 65_535).await;
    let mut taken = peer.send(&frame(HEADERS, END_STREAM, 1, &get_head("/"))).await;
    let mut more = 0;
    while taken && more < 200_000 {
        taken = peer.send(&frame(CONTINUATION, 0, 1, b"")).await;
        more += 1;
    }
    assert!(!taken, "{more} empty pieces of a head were taken");

    // More streams than are allowed, with bodies that do not come.
    let mut peer = Peer::connect(addr, 65_535).await;
    let mut allowed = None;
    for stream in 0..500u32 {
        let mut head = vec![0x83, 0x86, 0x04, 12];
        head.extend(b"/api/changes");
        head.extend([0x01, 1, b'a', 0x00, 13]);
        head.extend(b"authorization");
        let bearer = format!("Bearer {TOKEN}");
        head.push(bearer.len() as u8);
        head.extend(bearer.as_bytes());
        if !peer.send(&frame(HEADERS, END_HEADERS, 1 + 2 * stream, &head)).await {
            break;
        }
    }
    let mut refused = 0;
    while refused < 400 {
        match peer.next().await {
            Some((SETTINGS, 0, _, settings)) => {
                let most = settings.chunks(6).find(|s| s[..2] == [0, 3]);
                allowed = most.map(|s| u32::from_be_bytes(s[2..].try_into().unwrap()));
            }
            Some((RST_STREAM, ..)) => refused += 1,
            Some((GOAWAY, ..)) | None => break,
            Some(_) => {}
        }
    }
    assert_eq!(allowed, Some(64));
    drop(peer);

    // Unknown frames, frames out of place, windows beyond their end, junk.
    let huge = frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffffu32.to_be_bytes());
    let zero = frame(WINDOW_UPDATE, 0, 0, &0u32.to_be_bytes());
    for junk in [
        huge.repeat(3),
        zero,
        frame(DATA, 0, 1, b"x"),
        frame(CONTINUATION, END_HEADERS, 7, b"x"),
        frame(SETTINGS, 0, 0, b"abc"),
        frame(HEADERS, END_HEADERS, 2, &get_head("/")),
        frame(HEADERS, END_HEADERS, 1, &[0xff; 100]),
        vec![0xff; 5000],
    ] {
        let mut peer = Peer::connect(addr, 65_535).await;
        peer.send(&junk).await;
        assert!(peer.ended().await, "{:?}", &junk[..9.min(junk.len())]);
    }
    let began = Instant::now();
    assert_eq!(answer(test.request(reqwest::Method::GET, "/readyz")).await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(8));
    test.stop().await;
}
