//! An answer, read within its bounds.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{OutgoingError, Url, address};

/// What is read of an error's body, in bytes, and told of it, in letters.
const SAID_READ: usize = 4096;
const SAID: usize = 200;

/// The head of an answer; its body is not read yet.
#[derive(Debug)]
pub struct Answer {
    host: String,
    within: Duration,
    most: usize,
    response: reqwest::Response,
}

/// A text, maybe the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text; what is not UTF-8 is replaced.
    pub text: String,
    /// There was more than asked for.
    pub cut: bool,
}

impl Answer {
    pub(super) fn new(
        host: String,
        within: Duration,
        most: usize,
        response: reqwest::Response,
    ) -> Result<Self, OutgoingError> {
        if let (true, Some(to)) = (response.status().is_redirection(), response.headers().get("location")) {
            let to = to.to_str().ok().and_then(|to| response.url().join(to).ok());
            return Err(OutgoingError::Redirected { host, to: to.as_ref().map_or_else(String::new, shown) });
        }
        Ok(Self { host, within, most, response })
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// All headers that are text, names in lower case.
    pub fn headers(&self) -> Vec<(String, String)> {
        let all = self.response.headers().iter();
        all.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))).collect()
    }

    /// A header, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Only if it is a success.
    pub fn good(self) -> Result<Self, OutgoingError> {
        match self.response.status() {
            s if s.is_success() => Ok(self),
            s if matches!(s.as_u16(), 401 | 403) => Err(OutgoingError::Refused { host: self.host, status: s.as_u16() }),
            s => Err(OutgoingError::Status { host: self.host, status: s.as_u16(), said: String::new() }),
        }
    }

    /// The same; another error than of credentials has the beginning of what the answer says. For services that explain
    /// themselves there, such as one with a query language.
    pub async fn good_or_said(self) -> Result<Self, OutgoingError> {
        let status = self.status();
        if self.response.status().is_success() || matches!(status, 401 | 403) {
            return self.good();
        }
        let host = self.host.clone();
        let read = Self { most: SAID_READ, ..self }.text().await.map(|t| t.text).unwrap_or_default();
        Err(OutgoingError::Status { host, status, said: line(&read) })
    }

    /// The body as text, cut at the bound.
    pub async fn text(self) -> Result<Text, OutgoingError> {
        let (bytes, cut) = self.bytes().await?;
        Ok(Text { text: String::from_utf8_lossy(&bytes).into_owned(), cut })
    }

    /// The body as JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, OutgoingError> {
        let (host, most) = (self.host.clone(), self.most);
        let (bytes, cut) = self.bytes().await?;
        if cut {
            return Err(OutgoingError::TooLarge { host, most });
        }
        serde_json::from_slice(&bytes).map_err(|_| OutgoingError::Garbage { host, expected: "the JSON it should be" })
    }

    /// The body piece by piece, each of which may let this long wait for it.
    pub fn stream(self, idle: Duration) -> Stream {
        Stream { answer: self, idle, read: 0, waiting: Vec::new(), over: false }
    }

    /// The body up to its bound, and whether there was more.
    async fn bytes(mut self) -> Result<(Vec<u8>, bool), OutgoingError> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece().await? {
            let room = self.most - bytes.len();
            if piece.len() > room {
                bytes.extend_from_slice(piece.get(..room).unwrap_or_default());
                return Ok((bytes, true));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok((bytes, false))
    }

    async fn piece(&mut self) -> Result<Option<Vec<u8>>, OutgoingError> {
        let piece = self.response.chunk().await;
        Ok(piece.map_err(|e| OutgoingError::of(&self.host, self.within, &e))?.map(|p| p.to_vec()))
    }
}

/// A body as it comes.
#[derive(Debug)]
pub struct Stream {
    answer: Answer,
    idle: Duration,
    read: usize,
    waiting: Vec<u8>,
    over: bool,
}

impl Stream {
    /// The next piece, as it came; none at the end.
    ///
    /// # Errors
    /// Nothing came for too long, the whole took too long, it is too large, or it broke off.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>, OutgoingError> {
        let late = OutgoingError::Late { host: self.answer.host.clone(), within: self.idle };
        let piece = tokio::time::timeout(self.idle, self.answer.piece()).await.map_err(|_| late)??;
        self.read += piece.as_ref().map_or(0, Vec::len);
        if self.read > self.answer.most {
            return Err(OutgoingError::TooLarge { host: self.answer.host.clone(), most: self.answer.most });
        }
        Ok(piece)
    }

    /// The next line without its end; none at the end. The same errors as of `piece`.
    pub async fn line(&mut self) -> Result<Option<String>, OutgoingError> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.waiting) {
                let rest = self.waiting.split_off(at + 1);
                let line = std::mem::replace(&mut self.waiting, rest);
                return Ok(Some(text(&line)));
            }
            if self.over {
                let line = std::mem::take(&mut self.waiting);
                return Ok((!line.is_empty()).then(|| text(&line)));
            }
            match self.piece().await? {
                Some(piece) => self.waiting.extend_from_slice(&piece),
                None => self.over = true,
            }
        }
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']).to_owned()
}

/// The beginning of a text, as one line.
fn line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ").chars().take(SAID).collect()
}

/// Where a redirect leads, without what may be secret.
fn shown(to: &Url) -> String {
    format!("{}://{}{}", to.scheme(), address::host(to), to.path()).chars().take(SAID).collect()
}
