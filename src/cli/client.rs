//! The API of a running server, as the commands use it.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::CliError;

/// A download that takes longer has hung.
const LONGEST_DOWNLOAD: Duration = Duration::from_secs(24 * 3600);

/// A running server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A body and what kind it is.
#[derive(Debug)]
pub struct Answer {
    /// Success or not.
    pub status: StatusCode,
    /// JSON, or a text in a JSON string when it is none.
    pub body: Value,
}

impl Client {
    /// For the server at `url`.
    pub fn new(url: &str, token: Option<String>) -> Result<Self, CliError> {
        let mut builder = reqwest::Client::builder();
        if url.starts_with("http://") {
            // Without TLS nothing is verified, and the machine may have no certificates at all.
            builder = builder.tls_certs_only([]);
        }
        Self::built(builder, url, token)
    }

    /// For the server on this machine that said itself that it is at `url`. Its certificate is for another name than
    /// this address, and nothing that is sent leaves the machine: it is not verified, as nothing is without TLS.
    pub fn local(url: &str, token: Option<String>) -> Result<Self, CliError> {
        let builder = reqwest::Client::builder().tls_certs_only([]).tls_danger_accept_invalid_certs(true);
        Self::built(builder, url, token)
    }

    fn built(builder: reqwest::ClientBuilder, url: &str, token: Option<String>) -> Result<Self, CliError> {
        crate::runtime::tls::install_provider();
        let http = builder
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(60))
            // A token must not follow a redirect to another place.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("watchfire/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| {
                let why = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
                CliError::Failed(format!(
                    "TLS cannot be set up: {why}; are the ca-certificates of the system installed?"
                ))
            })?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// One request; an answer of any status.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, CliError> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|e| self.unreachable(&e))?;
        let body = match serde_json::from_slice(&bytes) {
            Ok(value) => value,
            Err(_) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        };
        Ok(Answer { status, body })
    }

    /// One request whose answer is read piece by piece, and may take as long as it goes on.
    pub async fn download(&self, path: &str, body: &Value) -> Result<reqwest::Response, CliError> {
        let mut request = self.http.post(format!("{}{path}", self.url)).timeout(LONGEST_DOWNLOAD);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let request = request.header("content-type", "application/json").body(body.to_string());
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        Err(self.refused(&Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() }))
    }

    /// One request that must succeed.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        let headers: &[(&str, String)] =
            if body.is_some() { &[("content-type", "application/json".to_owned())] } else { &[] };
        let answer = self.send(method, path, headers, body.map(|b| b.to_string().into_bytes())).await?;
        if answer.status.is_success() { Ok(answer.body) } else { Err(self.refused(&answer)) }
    }

    /// Every row of a list, page by page; `name` is the field that holds the rows. `each` says whether to go on.
    pub async fn list(
        &self,
        path: &str,
        name: &str,
        mut each: impl FnMut(Value) -> Result<bool, CliError>,
    ) -> Result<(), CliError> {
        let mut cursor: Option<String> = None;
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let mut page = format!("{path}{joint}limit=200");
            if let Some(cursor) = &cursor {
                page.extend(["&cursor=", &encode(cursor)]);
            }
            let mut answer = self.call(Method::GET, &page, None).await?;
            let rows = answer.get_mut(name).map(Value::take);
            let Some(Value::Array(rows)) = rows else {
                return Err(CliError::Failed(format!("{} answered {path} without `{name}`", self.url)));
            };
            for row in rows {
                if !each(row)? {
                    return Ok(());
                }
            }
            cursor = match answer.get("next_cursor") {
                Some(Value::String(next)) => Some(next.clone()),
                Some(Value::Number(next)) => Some(next.to_string()),
                _ => return Ok(()),
            };
        }
    }

    /// The problem of an answer, with what to do about it.
    pub fn refused(&self, answer: &Answer) -> CliError {
        let detail = answer.body.get("detail").and_then(Value::as_str).map(super::out::plain);
        let detail = detail.unwrap_or_else(|| format!("{} answered {}", self.url, answer.status));
        let remedy = match answer.status {
            StatusCode::UNAUTHORIZED if self.token.is_none() => {
                "\nname an API token with --token or WATCHFIRE_TOKEN; `watchfire token create NAME` makes one"
            }
            StatusCode::FORBIDDEN => "\nuse a token that has the scope for this",
            _ => "",
        };
        let fields: String = answer
            .body
            .get("errors")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|e| Some((e.get("path")?.as_str()?, e.get("message")?.as_str()?)))
            .filter(|(path, message)| !path.is_empty() || *message != detail)
            .map(|(path, message)| format!("\n  {path}: {message}"))
            .map(|line| line.replace(|c: char| c.is_control() && c != '\n', " "))
            .collect();
        CliError::Failed(format!("{detail}{fields}{remedy}"))
    }

    /// It did not answer, or not to the end.
    pub fn unreachable(&self, e: &reqwest::Error) -> CliError {
        let why = if e.is_timeout() {
            "did not answer in time"
        } else if e.is_connect() {
            "does not answer"
        } else if e.is_builder() {
            "is not a URL that can be asked"
        } else {
            "broke off"
        };
        CliError::Failed(format!(
            "the server at {} {why}; start it with `watchfire serve`, or name another with --url",
            self.url
        ))
    }
}

/// Text for a place in a URL.
pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
