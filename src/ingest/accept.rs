//! One delivery: admitted by what its head proves, then read, parsed and stored.

use std::{borrow::Cow, collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc};

use subtle::ConstantTimeEq;

use super::{
    certificate::{Rules, Shown},
    credentials::{Offered, SECRET_HEADERS, is_secret_parameter},
    decode::{DecodeError, decode},
    memory::Memory,
    outcome::{Accepted, Arrival, Refusal},
    settings::{Effective, digest},
};
use crate::{
    config::Config,
    connectors::{Connector, Handle, Overload, Request, Signature, find, identity::by_fields},
    model::*,
    runtime::clock::Clock,
    store::{NewDelivery, Store, StoreError},
};

/// Everything that taking deliveries needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Door {
    /// Where they go.
    pub store: Store,
    /// The settings.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// What is remembered between them.
    pub memory: Arc<Memory>,
}

/// A sender that may go on to its body.
#[derive(Clone)]
pub struct Admission {
    /// The platform.
    pub connector: Handle,
    /// Its settings.
    pub settings: Arc<Effective>,
    /// The token that was used, if it was one of the store's.
    pub token: Option<Token>,
    // The head proves nothing, but a signature over the body may.
    needs_signature: bool,
    // Why the client certificate that was shown proves nothing.
    certificate: Option<&'static str>,
}

impl Admission {
    /// Whether the head alone proved the sender.
    pub fn is_proven(&self) -> bool {
        !self.needs_signature
    }

    // This sender retries on 429 as well.
    fn says_more(&self) -> bool {
        self.connector.info().overload == Overload::TooMany
    }

    /// The refusal of this sender when there is no room in memory for its body.
    pub fn no_room(&self, retry_after_secs: u32) -> Refusal {
        Refusal::Busy { says_more: self.says_more(), of: "memory", retry_after_secs }
    }
}

/// Headers that are worth keeping; no others are, so that no credential is kept by accident. Connectors read some of
/// them, so that a replay needs them too.
pub(super) const KEPT_HEADERS: &[&str] = &[
    "content-type",
    "user-agent",
    "x-webhook-id",
    "x-webhook-subscription",
    "x-request-id",
    "x-github-event",
    "x-github-delivery",
    "x-gitlab-event",
    "x-gitlab-event-uuid",
    "x-amz-sns-message-type",
    "x-amz-sns-message-id",
    "x-amz-sns-topic-arn",
    "x-amz-sns-rawdelivery",
    "aeg-event-type",
    "sentry-hook-resource",
    "sentry-hook-timestamp",
    "request-id",
    "ce-id",
    "ce-type",
    "ce-source",
    "ce-subject",
    "ce-time",
    // Of the Netdata agent's messages for ntfy, which say everything there.
    "actions",
];
/// Characters of a header that are kept: enough for a link.
const KEPT_OF_HEADER: usize = 2000;
/// The query without keys, kept like a header.
pub(super) const QUERY_HEADER: &str = "x-watchfire-query";
/// The most that the signals of one delivery may take, in bytes.
const HEAVIEST: usize = 24 << 20;
// Reading a larger body would hold up other requests on the same thread.
const INLINE: usize = 256 * 1024;

impl Door {
    /// Whether a sender may go on, by what the head of its request proves.
    pub async fn admit(
        &self,
        platform: &str,
        headers: &[(String, String)],
        query: &[(String, String)],
        path_key: Option<&str>,
        shown: Option<&Shown>,
    ) -> Result<Admission, Refusal> {
        let Some(connector) = self.memory.registry.find(platform) else {
            return Err(Refusal::UnknownPlatform(self.memory.registry.near(platform)));
        };
        let settings = self.memory.settings(platform, &self.store, &self.config).await?;
        let Some(settings) = settings else { return Err(Refusal::UnknownPlatform(Vec::new())) };
        let offered = Offered::read(headers, query, path_key);
        let mut admission = Admission { connector, settings, token: None, needs_signature: false, certificate: None };
        let settings = &admission.settings;
        let by_key =
            matches!(settings.auth, AuthMode::Key | AuthMode::AnyOf) && offered.opens(settings, self.clock.now());
        if settings.auth == AuthMode::Open || by_key {
            return Ok(admission);
        }
        if let (AuthMode::Mtls | AuthMode::AnyOf, Some(shown)) = (settings.auth, shown) {
            match self.memory.trust.rules().check(platform, shown, self.clock.now()) {
                Ok(()) => return Ok(admission),
                Err(why) => admission.certificate = Some(why),
            }
        }
        let settings = &admission.settings;
        if let Some(token) = self.ingest_token(&offered).await? {
            admission.token = token;
            return Ok(admission);
        }
        let may_sign =
            matches!(settings.auth, AuthMode::Signature | AuthMode::AnyOf) && settings.signing_secret.is_some();
        if may_sign && admission.connector.info().signature.is_some() {
            admission.needs_signature = true;
            return Ok(admission);
        }
        Err(self.unauthorized(&admission, offered.is_empty()))
    }

    /// Whether a delivery could be taken now: asked before its body is read. Whoever has still to prove itself by a
    /// signature is asked after that.
    pub fn may_take(&self, admission: &Admission) -> Result<(), Refusal> {
        if admission.needs_signature { Ok(()) } else { self.not_overloaded(admission) }
    }

    fn not_overloaded(&self, admission: &Admission) -> Result<(), Refusal> {
        let says_more = admission.says_more();
        self.store.health_lately().map_err(|e| Refusal::NotStored { says_more, error: e.into() })?;
        if self.store.behind() >= self.config.max_behind {
            return Err(Refusal::Busy { says_more, of: "behind", retry_after_secs: 2 });
        }
        Ok(())
    }

    /// Takes the body of an admitted sender.
    pub async fn accept(&self, admission: &Admission, mut arrival: Arrival) -> Result<Accepted, Refusal> {
        let info = admission.connector.info();
        let says_more = admission.says_more();
        if arrival.body.is_empty() && admission.connector.takes_query() {
            arrival.move_query();
        }
        let mut delivery = self.delivery(admission.connector.slug(), &arrival);
        let mut body = Some(std::mem::take(&mut arrival.body));
        if admission.needs_signature {
            // An unread body cannot be checked against a signature, so it comes from a stranger.
            let unpacked = self.unpack(&mut delivery, &arrival, &mut body);
            unpacked.map_err(|_| self.unauthorized(admission, false))?;
            self.proven(admission, &request(&arrival, &delivery, &admission.settings)).await?;
        }
        // All that can be refused without looking at the body is, before it costs anything.
        self.not_overloaded(admission)?;
        let Ok(_place) = self.memory.queue.try_acquire() else {
            return Err(Refusal::Busy { says_more, of: "queue", retry_after_secs: 2 });
        };
        if !admission.settings.takes(self.clock.now()) {
            let why =
                if admission.settings.enabled { "the connector is paused" } else { "the connector is switched off" };
            self.keep_refused(&arrival, delivery, body, "connector_off", why).await;
            return Err(Refusal::Off);
        }
        if info.overload != Overload::NeverRefuse
            && let Err(secs) = self.memory.rates.take(admission.connector.slug(), admission.settings.rate_per_minute)
        {
            self.memory.note_dropped(admission.connector.slug(), self.clock.now());
            let why = "more came than the connector takes a minute";
            self.keep_refused(&arrival, delivery, body, "over_rate", why).await;
            return Err(Refusal::OverRate { says_more, retry_after_secs: secs });
        }
        match self.unpack(&mut delivery, &arrival, &mut body) {
            Ok(()) => {
                let note = match admission.connector.certified() {
                    Some(certified) if !admission.needs_signature => {
                        let request = request(&arrival, &delivery, &admission.settings);
                        match self.vouch(certified, &admission.settings, &request, false).await {
                            Ok(note) => note,
                            Err(e) => {
                                // Whoever has the key is no stranger: what is refused is kept and shown.
                                self.keep_refused(&arrival, delivery, None, "bad_signature", &e.to_string()).await;
                                return Err(e.refusal(|why| self.turned_away(admission, why)));
                            }
                        }
                    }
                    _ => None,
                };
                self.take(admission, arrival, delivery, note).await
            }
            Err(DecodeError::TooLarge) => Err(Refusal::TooLarge),
            Err(e) => {
                let why = e.to_string();
                self.keep_refused(&arrival, delivery, None, "bad_encoding", &why).await;
                Err(Refusal::Encoding(why))
            }
        }
    }

    /// Moves the body into the delivery: unpacked, or as it came when that cannot be done.
    fn unpack(
        &self,
        delivery: &mut NewDelivery,
        arrival: &Arrival,
        body: &mut Option<Vec<u8>>,
    ) -> Result<(), DecodeError> {
        let Some(body) = body.take() else { return Ok(()) };
        let encoding = header(&arrival.headers, "content-encoding");
        let Some(encoding) = encoding else {
            delivery.body = body;
            return if delivery.body.len() > self.config.max_body { Err(DecodeError::TooLarge) } else { Ok(()) };
        };
        match decode(&body, Some(encoding), self.config.max_body) {
            Ok(unpacked) => {
                delivery.body = unpacked;
                Ok(())
            }
            Err(e) => {
                delivery.body = body;
                Err(e)
            }
        }
    }

    /// Parses and stores what was let in.
    async fn take(
        &self,
        admission: &Admission,
        mut arrival: Arrival,
        mut delivery: NewDelivery,
        note: Option<Note>,
    ) -> Result<Accepted, Refusal> {
        let info = admission.connector.info();
        let says_more = admission.says_more();
        arrival.headers.retain(|(name, _)| !SECRET_HEADERS.contains(&name.as_str()));
        arrival.query.retain(|(name, _)| !is_secret_parameter(name));
        let success = admission.connector.success(&request(&arrival, &delivery, &admission.settings));
        let reply = admission.connector.reply(&request(&arrival, &delivery, &admission.settings));
        // Before it is read: what must not be kept may not stand in a title either.
        admission.connector.redact(&mut delivery.body);
        let (mut delivery, mut read) = if delivery.body.len() > INLINE {
            // A value in memory is many times its text: only so many large ones at a time.
            let _place = self.memory.reading.acquire().await.map_err(|_| StoreError::Stopped)?;
            let (connector, settings) = (admission.connector.clone(), Arc::clone(&admission.settings));
            let work = move || {
                let read = parse(&*connector, &request(&arrival, &delivery, &settings));
                (delivery, read)
            };
            tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Stopped)?
        } else {
            let read = parse(&*admission.connector, &request(&arrival, &delivery, &admission.settings));
            // Not held while the delivery waits for the disk.
            drop(arrival);
            (delivery, read)
        };
        if let Ok(parsed) = &mut read {
            parsed.notes.extend(note);
        }
        self.confirm(&*admission.connector, &delivery, &mut read).await;
        let problem = match read {
            Ok(mut parsed) => {
                apply_settings(admission.connector.slug(), &mut parsed, &admission.settings);
                delivery.parsed = parsed;
                None
            }
            Err(_) if delivery.body.trim_ascii().is_empty() => return Err(Refusal::Empty),
            Err(problem) => {
                delivery.outcome = DeliveryOutcome::Unparsed;
                delivery.problem = Some(problem.clone());
                Some(problem)
            }
        };
        let signals = signals(&delivery.parsed);
        let stored = self.store.submit(delivery).await.map_err(|error| Refusal::NotStored { says_more, error })?;
        match problem {
            Some(problem) if !info.lenient => Err(Refusal::NotUnderstood(problem, stored)),
            problem => Ok(Accepted { stored, success, signals, problem, reply }),
        }
    }

    /// A delivery without body and content yet.
    pub(super) fn delivery(&self, platform: &str, arrival: &Arrival) -> NewDelivery {
        let kept = arrival.headers.iter().filter(|(name, _)| KEPT_HEADERS.contains(&name.as_str()));
        let mut headers: Vec<(String, String)> =
            kept.map(|(n, v)| (n.clone(), v.chars().take(KEPT_OF_HEADER).collect())).collect();
        let mut rest = form_urlencoded::Serializer::new(String::new());
        let open: Vec<_> = arrival.query.iter().filter(|(n, _)| !is_secret_parameter(n)).collect();
        if !open.is_empty() {
            let query = rest.extend_pairs(open).finish();
            headers.push((QUERY_HEADER.to_owned(), query.chars().take(KEPT_OF_HEADER).collect()));
        }
        NewDelivery {
            at: self.clock.now(),
            platform: platform.to_owned(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers,
            body: Vec::new(),
            parsed: Parsed::default(),
            replay_of: None,
        }
    }

    // Best effort and bounded: the sender gets its refusal either way, and most of a flood is not even unpacked.
    async fn keep_refused(
        &self,
        arrival: &Arrival,
        mut delivery: NewDelivery,
        mut body: Option<Vec<u8>>,
        code: &str,
        detail: &str,
    ) {
        if !self.memory.rates.may_keep_refused(&delivery.platform) {
            return;
        }
        // What cannot be unpacked is kept as it came.
        if self.unpack(&mut delivery, arrival, &mut body) == Err(DecodeError::TooLarge) {
            delivery.body = Vec::new();
        }
        if let Some(connector) = self.memory.registry.find(&delivery.platform) {
            connector.redact(&mut delivery.body);
        }
        delivery.outcome = DeliveryOutcome::Refused;
        delivery.problem = Some(Problem { code: code.to_owned(), detail: detail.to_owned(), path: None });
        if let Err(e) = self.store.submit(delivery).await {
            tracing::debug!(error = %e, "a refused delivery was not kept");
        }
    }

    /// Whether the signature proves a sender whom nothing else does.
    async fn proven(&self, admission: &Admission, request: &Request<'_>) -> Result<(), Refusal> {
        let settings = &admission.settings;
        if let Some(certified) = admission.connector.certified() {
            let vouched = self.vouch(certified, settings, request, true).await;
            return vouched.map(drop).map_err(|e| e.refusal(|why| self.turned_away(admission, why)));
        }
        match admission.connector.verify(request, &[settings.signing_secret.as_deref().unwrap_or_default()]) {
            Signature::Valid => Ok(()),
            Signature::Invalid => Err(self.unauthorized(admission, false)),
            Signature::Absent => Err(self.unauthorized(admission, true)),
        }
    }

    fn unauthorized(&self, admission: &Admission, nothing_offered: bool) -> Refusal {
        let why = match (nothing_offered, admission.needs_signature, admission.certificate) {
            (true, false, Some(why)) => why,
            (true, ..) => "the request proves nothing",
            (false, true, _) => "the signature or key is wrong",
            (false, false, _) => "the key is wrong",
        };
        self.turned_away(admission, why)
    }

    fn turned_away(&self, admission: &Admission, why: impl Into<Cow<'static, str>>) -> Refusal {
        self.memory.note_turned_away(admission.connector.slug(), self.clock.now());
        let ways = ways(&*admission.connector, &admission.settings, &self.memory.trust.rules(), &self.config);
        Refusal::Unauthorized { why: why.into(), ways }
    }

    /// Whether one of the offered secrets is a token that may post to connectors; `Some(None)` for the configured one.
    async fn ingest_token(&self, offered: &Offered) -> Result<Option<Option<Token>>, StoreError> {
        if let Some(bootstrap) = &self.config.bootstrap_token {
            let bootstrap = digest(bootstrap);
            if offered.secrets.iter().any(|s| digest(s).ct_eq(&bootstrap).into()) {
                return Ok(Some(None));
            }
        }
        let now = self.clock.now();
        for secret in offered.secrets.iter().filter(|s| s.starts_with("wf_")) {
            let hash = digest(secret);
            let found = self.store.read(move |view| view.token(&hash)).await?;
            let works = |t: &Token| {
                t.expires_at.is_none_or(|until| until > now) && t.scopes.iter().any(|s| s.allows(Scope::Ingest))
            };
            if let Some(token) = found.filter(works) {
                return Ok(Some(Some(token)));
            }
        }
        Ok(None)
    }
}

/// The ways in which a sender can prove itself to this connector, in words, without any secret.
pub fn ways(connector: &dyn Connector, settings: &Effective, trust: &Rules, config: &Config) -> Vec<String> {
    let info = connector.info();
    let mut ways = Vec::new();
    if matches!(settings.auth, AuthMode::Key | AuthMode::AnyOf) {
        ways.push("the connector's key as `Authorization: Bearer KEY`".to_owned());
        ways.push("Basic with the key as password and any user".to_owned());
        ways.push("header `X-Watchfire-Key: KEY`".to_owned());
        ways.push(format!("`?key=KEY` in the URL, or the path `/api/webhooks/{}/KEY`", connector.slug()));
        if settings.basic_password.is_some() {
            ways.push("Basic with the user and password set for the connector".to_owned());
        }
    }
    if matches!(settings.auth, AuthMode::Signature | AuthMode::AnyOf)
        && let Some(signature) = info.signature
    {
        let set = if settings.signing_secret.is_some() { "" } else { " (no signing secret is set yet)" };
        ways.push(format!("{signature}{set}"));
    }
    let seen = config.tls_cert.is_some() || config.proxy_cert_header.is_some() || config.proxy_subject_header.is_some();
    let slug = connector.slug();
    match (settings.auth, trust.way(slug)) {
        (AuthMode::Mtls | AuthMode::AnyOf, Some(way)) if seen => ways.push(way),
        (AuthMode::Mtls, Some(way)) => ways.push(format!(
            "{way} (needs TLS here, `tls.cert`, or a proxy in `trusted_proxies` that passes it, `proxy.cert_header`)"
        )),
        // Sources that are declared on a page have no section in the configuration.
        (AuthMode::Mtls, None) if find(slug).is_none() && !config.sources.contains_key(slug) => {
            ways.push("a client certificate (no CA is set yet: `tls.client_ca`)".to_owned());
        }
        (AuthMode::Mtls, None) => ways
            .push(format!("a client certificate (no CA is set yet: `connectors.{slug}.client_ca` or `tls.client_ca`)")),
        _ => {}
    }
    ways.push("an API token with scope `ingest` as `Authorization: Bearer TOKEN`".to_owned());
    ways
}

/// What was read about alerts, as the answer says it.
pub(super) fn signals(parsed: &Parsed) -> Vec<(Fingerprint, SignalStatus)> {
    parsed.signals.iter().map(|s| (s.fingerprint(), s.status)).collect()
}

pub(super) fn request<'a>(arrival: &'a Arrival, delivery: &'a NewDelivery, settings: &Effective) -> Request<'a> {
    Request {
        headers: &arrival.headers,
        query: &arrival.query,
        body: &delivery.body,
        received_at: delivery.at,
        rca_enabled: settings.rca_enabled,
    }
}

/// Reads a request. A connector that fails must not cost the delivery: it is kept, and can be replayed when it is mended.
pub(super) fn parse(connector: &dyn Connector, request: &Request<'_>) -> Result<Parsed, Problem> {
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| connector.parse(request))).unwrap_or_else(|_| {
        tracing::error!(platform = connector.slug(), "reading a delivery panicked");
        let detail = "reading this body failed in an unforeseen way; the delivery is kept and can be replayed";
        Err(Problem { code: "connector_failed".to_owned(), detail: detail.to_owned(), path: None })
    });
    read.and_then(|parsed| {
        // What a group says of all its alerts is stored with each.
        if parsed.weight() <= HEAVIEST {
            return Ok(parsed);
        }
        let detail = "what is said of all alerts together is too long to be stored with each of them; send fewer alerts \
                      in one request, or shorter texts";
        Err(Problem { code: "too_much".to_owned(), detail: detail.to_owned(), path: Some(String::new()) })
    })
}

/// What the operator has set wins over the connector's table: words of severity, the time without a repeat after which an
/// alert ends, and what makes it the same as another.
pub(super) fn apply_settings(platform: &str, parsed: &mut Parsed, settings: &Effective) {
    apply_words(parsed, &settings.severity_map, settings.closes_after_secs);
    apply_identity(platform, parsed, &settings.identity);
}

/// What makes an alert the same as another, by the fields that are set. After the words: a severity may be one of them.
pub(super) fn apply_identity(platform: &str, parsed: &mut Parsed, fields: &[IdentityField]) {
    for signal in &mut parsed.signals {
        by_fields(platform, fields, signal);
    }
}

/// As `apply_settings`, with just the first two.
pub(super) fn apply_words(parsed: &mut Parsed, severities: &BTreeMap<String, Severity>, closes_after: Option<u32>) {
    for signal in &mut parsed.signals {
        let word = signal.severity_raw.as_deref().filter(|_| !severities.is_empty());
        let word = word.map(|w| w.trim().to_lowercase());
        if let Some(severity) = word.and_then(|w| severities.get(&w)) {
            signal.severity = *severity;
        }
        if signal.status == SignalStatus::Firing && closes_after.is_some() {
            signal.quiet_after_secs = closes_after;
        }
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}
