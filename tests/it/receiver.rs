//! A target of notifications: takes what comes, answers as it is told to, and keeps everything.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
};
use tokio::sync::watch;

/// A request.
#[derive(Clone, Debug)]
pub struct Got {
    pub method: String,
    pub path: String,
    pub body: Vec<u8>,
}

impl Got {
    /// All of the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[derive(Default)]
struct Inside {
    got: Mutex<Vec<Got>>,
    usual: Mutex<(u16, String)>,
}

/// The target.
pub struct Receiver {
    pub url: String,
    inside: Arc<Inside>,
    count: watch::Receiver<usize>,
}

type Shared = (Arc<Inside>, watch::Sender<usize>);

async fn take(State((inside, count)): State<Shared>, method: Method, uri: Uri, body: Bytes) -> (StatusCode, String) {
    let got = Got { method: method.to_string(), path: uri.to_string(), body: body.to_vec() };
    let (status, said) = inside.usual.lock().unwrap().clone();
    let all = {
        let mut all = inside.got.lock().unwrap();
        all.push(got);
        all.len()
    };
    count.send_replace(all);
    (StatusCode::from_u16(status).unwrap(), said)
}

impl Receiver {
    /// Answers 200 and `ok`.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inside = Arc::new(Inside::default());
        *inside.usual.lock().unwrap() = (200, "ok".to_owned());
        let (tell, count) = watch::channel(0);
        let app = Router::new().fallback(take).with_state((inside.clone(), tell));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, inside, count }
    }

    /// Every answer from now on.
    pub fn usually(&self, status: u16, body: &str) {
        *self.inside.usual.lock().unwrap() = (status, body.to_owned());
    }

    /// All requests, once there are so many.
    pub async fn wait(&self, many: usize) -> Vec<Got> {
        let mut count = self.count.clone();
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), count.wait_for(|n| *n >= many)).await;
        let all = self.all();
        let texts: Vec<String> = all.iter().map(|g| format!("{} {} {}", g.method, g.path, g.text())).collect();
        assert!(waited.is_ok(), "{many} requests were awaited, {} came: {texts:#?}", all.len());
        all
    }

    /// All requests so far.
    pub fn all(&self) -> Vec<Got> {
        self.inside.got.lock().unwrap().clone()
    }
}
