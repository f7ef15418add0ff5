//! The endpoint of a model: one request at a time, within its time, its bytes and the budget of the day.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{
    talk::{Failure, Heard, Voice, estimate},
    wire::{self, Ask, Offer, Quirks, Reading, Reply, Sse},
};
use crate::{
    config::ModelConfig,
    model::*,
    outgoing::{Answer, Client, Credentials, OutgoingError, Url, address},
    runtime::clock::Wait,
    store::Store,
};

/// Bytes of an answer. The most that is asked for is some 10 KiB of text; a stream wraps each word in some hundred bytes.
const MOST: usize = 4 << 20;
/// How long a stream may say nothing. A model that begins may take long for its first word.
const IDLE: Duration = Duration::from_secs(90);
/// How often a request is made when the endpoint is busy or breaks off.
const ATTEMPTS: u32 = 3;
/// The first pause; it doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// An endpoint that wants to be left alone for longer is.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The endpoint will not have the next one either: the key, the address, the name of the model.
    Lasting(String),
    /// It refuses what was asked: maybe the tools.
    Refused(String),
    /// Another time it may work.
    Passing {
        /// Why, as a clause.
        why: String,
        /// When it may be asked again, as it says.
        wait: Option<Duration>,
        /// It had begun to answer, and that is paid for.
        begun: bool,
    },
    /// The answer is none: too long, broken, empty.
    Useless(String),
    /// It was not asked: the budget of the day, or the store.
    Unasked(String),
    /// The time of the investigation is over.
    Late,
}

impl Trouble {
    /// As a sentence.
    pub fn sentence(&self, host: &str) -> String {
        let text = match self {
            Self::Lasting(why) | Self::Refused(why) | Self::Useless(why) | Self::Passing { why, .. } => {
                if why.starts_with(host) { why.clone() } else { format!("{host}: {why}") }
            }
            Self::Unasked(why) => why.clone(),
            Self::Late => "The time for it was over".to_owned(),
        };
        crate::investigation::words::sentence(&text)
    }
}

/// Where a model is asked.
pub(super) struct Endpoint {
    pub kind: ModelKind,
    pub model: String,
    pub host: String,
    url: Url,
    key: Option<String>,
    client: Client,
    budget: Budget,
    prices: (u64, u64),
    quirks: Mutex<Quirks>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("kind", &self.kind).field("model", &self.model).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// As configured.
    ///
    /// # Errors
    /// The address is none, as a clause.
    pub fn new(kind: ModelKind, config: &ModelConfig, key: Option<String>, client: Client) -> Result<Self, String> {
        let base = address::base(config.address())?;
        let url = address::under(&base, wire::path(kind, base.path().trim_end_matches('/')), &[]);
        Ok(Self {
            kind,
            model: config.model.clone().unwrap_or_default(),
            host: address::host(&url),
            url,
            key,
            client,
            budget: config.budget(),
            prices: (config.price_input, config.price_output),
            quirks: Mutex::default(),
        })
    }

    /// What must not leave in any text.
    pub fn secrets(&self) -> Vec<String> {
        self.key.iter().cloned().collect()
    }

    /// What tokens cost, in millionths.
    fn cost(&self, tokens_in: u64, tokens_out: u64) -> u64 {
        let of = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let sum = of(tokens_in, self.prices.0) + of(tokens_out, self.prices.1);
        u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    fn spending(&self, tokens_in: u64, tokens_out: u64) -> Spending {
        Spending { requests: 1, tokens_in, tokens_out, cost_micros: self.cost(tokens_in, tokens_out) }
    }

    /// Asks with what is left of the time: again when the endpoint is busy, without what it does not know, and never
    /// beyond the budget. What was reserved for a request that is dropped stays spent.
    pub async fn ask(&self, ask: &Ask<'_>, store: &Store, time: Wait) -> Result<Heard, Trouble> {
        let began = time.passed();
        let mut pause = PAUSE;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let estimated = estimate(ask);
            let reserved = self.spending(estimated, u64::from(ask.most_out));
            let unable =
                |e: &dyn std::fmt::Display| Trouble::Unasked(format!("the store could not note what it costs: {e}"));
            if let Some(why) = store.reserve_spending(reserved, self.budget).await.map_err(|e| unable(&e))? {
                return Err(Trouble::Unasked(why));
            }
            let left = time.left();
            let answered = match left.is_zero() {
                true => Err(Trouble::Late),
                // The client's own limit is later, so that what ends it is known.
                false => tokio::time::timeout(left, self.once(ask, left + Duration::from_secs(1)))
                    .await
                    .unwrap_or(Err(Trouble::Late)),
            };
            let spent = match &answered {
                Ok(reply) => {
                    let written = reply.text.len() + reply.calls.iter().map(|c| c.arguments.len()).sum::<usize>();
                    let out = reply.tokens_out.unwrap_or_else(|| super::talk::tokens(written));
                    self.spending(reply.tokens_in.unwrap_or(estimated), out)
                }
                Err(Trouble::Passing { begun: true, .. } | Trouble::Useless(_)) => reserved,
                Err(Trouble::Late) if !left.is_zero() => reserved,
                Err(_) => Spending { requests: 1, ..Spending::default() },
            };
            store.settle_spending(reserved, spent).await.map_err(|e| unable(&e))?;
            match answered {
                Ok(reply) => {
                    let took = time.passed().saturating_sub(began);
                    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                    return Ok(Heard { reply, cost_micros: spent.cost_micros, took_ms });
                }
                Err(Trouble::Refused(why)) if attempt <= 4 && lock(&self.quirks).learn(&why) => {}
                Err(Trouble::Passing { why, wait, begun }) => {
                    let wait = wait.unwrap_or(pause);
                    if attempt >= ATTEMPTS || wait > LONGEST_PAUSE || wait >= time.left() {
                        return Err(Trouble::Passing { why, wait: Some(wait), begun });
                    }
                    tracing::debug!(host = self.host, why, "the language model is asked again");
                    tokio::time::sleep(wait).await;
                    pause *= 2;
                }
                Err(other) => return Err(other),
            }
        }
    }

    async fn once(&self, ask: &Ask<'_>, within: Duration) -> Result<Reply, Trouble> {
        let body = wire::body(self.kind, &self.model, ask, &lock(&self.quirks).clone());
        let mut request =
            self.client.post(&self.url).json(&body).header("accept", "text/event-stream").within(within).most(MOST);
        if self.kind == ModelKind::Anthropic {
            request = request.header("anthropic-version", "2023-06-01");
        }
        if let Some(key) = &self.key {
            let credentials = match self.kind {
                ModelKind::Openai => Credentials::Bearer(key.clone()),
                ModelKind::Anthropic => Credentials::Header { name: "x-api-key", value: key.clone() },
            };
            request = request.credentials(&credentials);
        }
        let answer = request.send().await.map_err(|e| of_transport(&e, false))?;
        let status = answer.status();
        if status != 200 {
            return Err(refusal(answer, ask.tools).await);
        }
        let streamed = answer.header("content-type").is_some_and(|t| t.contains("event-stream"));
        if !streamed {
            let body = answer.text().await.map_err(|e| of_transport(&e, true))?;
            if body.cut {
                return Err(Trouble::Useless("the answer is too long to be one".to_owned()));
            }
            return Reading::whole(self.kind, &body.text).map_err(Trouble::Useless);
        }
        let mut stream = answer.stream(IDLE);
        let (mut sse, mut reading) = (Sse::default(), Reading::new(self.kind));
        let said = |why: String| match why.strip_prefix("it says: ") {
            // An overload in the middle of an answer passes.
            Some(_) => Trouble::Passing { why, wait: None, begun: true },
            None => Trouble::Useless(why),
        };
        while let Some(piece) = stream.piece().await.map_err(|e| of_transport(&e, true))? {
            for data in sse.feed(&piece).map_err(Trouble::Useless)? {
                reading.event(&data).map_err(said)?;
            }
            if reading.is_over() {
                return reading.reply().map_err(Trouble::Useless);
            }
        }
        if let Some(data) = sse.end() {
            reading.event(&data).map_err(said)?;
        }
        reading.reply().map_err(|why| match why.contains("broke off") {
            true => Trouble::Passing { why, wait: None, begun: true },
            false => Trouble::Useless(why),
        })
    }
}

/// What an answer that is no success means.
async fn refusal(answer: Answer, offer: Offer) -> Trouble {
    let status = answer.status();
    let wait = answer.header("retry-after").and_then(|t| t.trim().parse().ok()).map(Duration::from_secs);
    let body = answer.text().await.map(|t| t.text).unwrap_or_default();
    // It may repeat the key or what was sent.
    let said = super::redact::secrets(&wire::error_text(&body)).into_owned();
    let said = super::fence::plain(&said, 200);
    let colon = if said.is_empty() { "" } else { ": " };
    let why = format!("it answers {status}{colon}{said}");
    match status {
        401 | 403 => Trouble::Lasting(format!("it refuses the key ({status}); see `investigation.model.api_key`")),
        402 => Trouble::Lasting(why),
        // llama.cpp answers 500 to tools when it was started without its templates.
        400 | 404 | 405 | 413 | 422 | 501 => Trouble::Refused(why),
        500 if offer == Offer::Trial => Trouble::Refused(why),
        408 | 409 | 425 | 429 | 500..=599 => Trouble::Passing { why, wait, begun: false },
        _ => Trouble::Lasting(why),
    }
}

fn of_transport(e: &OutgoingError, begun: bool) -> Trouble {
    match e {
        OutgoingError::TooLarge { .. } => Trouble::Useless("the answer is too long to be one".to_owned()),
        OutgoingError::Unreachable { .. } | OutgoingError::Late { .. } | OutgoingError::Broken { .. } => {
            Trouble::Passing { why: e.to_string(), wait: None, begun }
        }
        _ => Trouble::Lasting(e.to_string()),
    }
}

/// An endpoint during one investigation.
pub(super) struct Live<'a> {
    pub endpoint: &'a Endpoint,
    pub store: &'a Store,
    pub time: Wait,
    /// The trouble that ended it.
    pub trouble: &'a mut Option<Trouble>,
}

impl Voice for Live<'_> {
    async fn say(&mut self, ask: &Ask<'_>) -> Result<Heard, Failure> {
        match self.endpoint.ask(ask, self.store, self.time).await {
            Ok(heard) => Ok(heard),
            Err(trouble) => {
                let why = trouble.sentence(&self.endpoint.host);
                *self.trouble = Some(trouble);
                Err(Failure(why))
            }
        }
    }
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
