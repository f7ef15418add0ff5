//! A target of notifications that the test leads by hand: it holds each connection at the moment that the test wants.

use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::support::PATIENCE;

/// The target.
pub struct Holder {
    pub url: String,
    listener: TcpListener,
    // They take every place before it is listened: nobody else gets a connection.
    crowd: Vec<TcpStream>,
}

/// A connection, and the request on it once it was read.
pub struct Held {
    stream: TcpStream,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Heard {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Heard {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// It says that it may have been told before.
    pub fn is_marked(&self) -> bool {
        self.body.contains("may have reached you before")
    }
}

async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

impl Holder {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { url: format!("http://{}", listener.local_addr().unwrap()), listener, crowd: Vec::new() }
    }

    /// Nobody gets a connection, until `let_in`.
    pub async fn crowded() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut crowd = Vec::new();
        // One more than fits waits for ever; on this machine a connection takes no time.
        let moment = std::time::Duration::from_millis(200);
        while let Ok(connected) = tokio::time::timeout(moment, TcpStream::connect(address)).await {
            crowd.push(connected.unwrap());
        }
        Self { url: format!("http://{address}"), listener, crowd }
    }

    /// Whoever took the places is gone.
    pub async fn let_in(&mut self) {
        for _ in 0..self.crowd.len() {
            drop(soon("a connection of the crowd", self.listener.accept()).await.unwrap());
        }
        self.crowd.clear();
    }

    /// The next connection.
    pub async fn accept(&self) -> Held {
        Held { stream: soon("a connection", self.listener.accept()).await.unwrap().0 }
    }

    /// The next request, answered so.
    pub async fn answer(&self, status: u16, body: &str) -> Heard {
        let mut held = self.accept().await;
        let heard = held.read().await;
        held.answer(status, &[], body).await;
        heard
    }
}

impl Held {
    /// Reads the whole request.
    pub async fn read(&mut self) -> Heard {
        self.read_or_end().await.expect("a request comes on the connection")
    }

    /// The same; none when the connection ends before there is one.
    pub async fn read_or_end(&mut self) -> Option<Heard> {
        let mut bytes = Vec::new();
        loop {
            if let Some(heard) = whole(&bytes) {
                return Some(heard);
            }
            if soon("a request", self.stream.read_buf(&mut bytes)).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Sends these bytes, whatever they are.
    pub async fn say(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Answers, and closes.
    pub async fn answer(mut self, status: u16, headers: &[(&str, &str)], body: &str) {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        self.say(&format!(
            "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ))
        .await;
        self.stream.shutdown().await.ok();
    }

    /// Ends the connection at once.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

fn whole(bytes: &[u8]) -> Option<Heard> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: HeaderMap = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(name, value)| (name.parse::<reqwest::header::HeaderName>().unwrap(), value.trim().parse().unwrap()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |v| v.to_str().unwrap().parse().unwrap());
    let body = bytes.get(end + 4..end + 4 + length)?;
    Some(Heard { method, path, headers, body: String::from_utf8(body.to_vec()).unwrap() })
}
