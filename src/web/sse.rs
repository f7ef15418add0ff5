//! Live events for programs and browsers (`text/event-stream`). Each stream pulls from its own place in the hub, so a
//! slow reader holds nothing but that place.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_stream::Stream;

use super::{
    api::objects::IncidentRow,
    auth::{Client, Identity, Viewer, reads_on},
    error::ApiError,
    extract::{Path, Query},
    state::AppState,
};
use crate::{
    live::{Event, Subscription, What},
    model::*,
};

/// A comment keeps proxies and readers from thinking that the stream is dead.
const PING_EVERY: Duration = Duration::from_secs(15);

/// A piece of a stream ends when it is this long: a reader that takes nothing holds no more than that, and what the
/// connection has.
const PIECE: usize = 8 * 1024;

/// Where to go on.
#[derive(Debug, Default, Deserialize)]
pub struct Resume {
    #[serde(default)]
    last_event_id: Option<String>,
}

/// Everything that changes.
#[utoipa::path(get, path = "/api/incidents/stream", tag = "live", operation_id = "stream",
    params(("last_event_id" = Option<String>, Query, description = "go on after this event; the header `Last-Event-ID` wins")),
    responses((status = 200, description = "events, each with `id:` and one JSON object with `type` as `data:`", content_type = "text/event-stream")))]
pub async fn all(
    who: Viewer,
    State(state): State<AppState>,
    client: Client,
    Query(resume): Query<Resume>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = last_event_id(&headers, &resume);
    Ok(stream(&state, Reader { headers, client, who: who.identity, began: state.clock.now() }, after, None))
}

/// What changes about one incident.
#[utoipa::path(get, path = "/api/incidents/{id}/stream", tag = "live", operation_id = "incident_stream",
    params(("id" = String, Path), ("last_event_id" = Option<String>, Query, description = "go on after this event")),
    responses((status = 200, description = "events of this incident", content_type = "text/event-stream"),
        (status = 404, description = "no such incident")))]
pub async fn one(
    who: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
    client: Client,
    Query(resume): Query<Resume>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = super::api::incident_id(&id)?;
    if state.store.read(move |view| view.incident(id)).await?.is_none() {
        return Err(ApiError::not_found(id));
    }
    let after = last_event_id(&headers, &resume);
    Ok(stream(&state, Reader { headers, client, who: who.identity, began: state.clock.now() }, after, Some(id)))
}

fn last_event_id(headers: &HeaderMap, resume: &Resume) -> Option<u64> {
    let header = headers.get("last-event-id").and_then(|v| v.to_str().ok());
    header.or(resume.last_event_id.as_deref()).map(str::trim).filter(|v| !v.is_empty()).map(|v| {
        // An id that is none of ours means that nothing can be replayed; a place far ahead says so.
        v.parse().unwrap_or(u64::MAX)
    })
}

fn stream(state: &AppState, reader: Reader, after: Option<u64>, only: Option<IncidentId>) -> Response {
    let place = Place {
        subscription: state.live.subscribe(after),
        open: Open::of(state),
        reader,
        only,
        greeted: false,
        due: VecDeque::new(),
        ping_at: state.clock.now().plus(PING_EVERY),
    };
    let mut response = Body::from_stream(unfold(place, Place::next)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    // nginx would hold events back otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Who reads, to be asked again: a stream outlives sessions and tokens.
struct Reader {
    headers: HeaderMap,
    client: Client,
    who: Identity,
    began: Time,
}

/// Counts the stream for as long as it is open.
pub struct Open(AppState);

impl Open {
    /// One more.
    pub fn of(state: &AppState) -> Self {
        state.shared.metrics.stream(1);
        Self(state.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared.metrics.stream(-1);
    }
}

struct Place {
    subscription: Subscription,
    open: Open,
    reader: Reader,
    only: Option<IncidentId>,
    greeted: bool,
    // Taken from the hub and not yet written: only names of what all streams share.
    due: VecDeque<Arc<Event>>,
    // Events do not put it off: those of other incidents are not sent, and the reader would hear nothing.
    ping_at: Time,
}

impl Place {
    /// The next piece of the stream; none at its end.
    async fn next(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Self)> {
        if !self.greeted {
            // Something at once, so that the reader knows that it is connected; and how soon to come back.
            self.greeted = true;
            return Some((Ok(Bytes::from_static(b"retry: 2000\n: connected\n\n")), self));
        }
        let state = self.open.0.clone();
        loop {
            if let Some(piece) = self.piece(&state) {
                return Some((Ok(piece), self));
            }
            // At most that long also when the machine's clock was set back.
            let until_ping = self.ping_at.since(state.clock.now()).min(PING_EVERY);
            let events = tokio::select! {
                biased;
                () = state.stop.cancelled() => return None,
                () = state.clock.sleep(until_ping) => {
                    if !self.may_read_on(&state).await {
                        return None;
                    }
                    self.ping_at = state.clock.now().plus(PING_EVERY);
                    return Some((Ok(Bytes::from_static(b": ping\n\n")), self));
                }
                events = self.subscription.next() => events,
            };
            let Ok(events) = events else { return None };
            self.due.extend(events.into_iter().filter(|e| wants(self.only, e)));
        }
    }

    /// What comes next, in a piece that many waiting readers may have at the same time.
    fn piece(&mut self, state: &AppState) -> Option<Bytes> {
        let mut piece = state.shared.rendered.of(&self.due.pop_front()?);
        let mut joined = Vec::new();
        while joined.len().max(piece.len()) < PIECE
            && let Some(event) = self.due.pop_front()
        {
            if joined.is_empty() {
                joined.extend_from_slice(&piece);
            }
            joined.extend_from_slice(&state.shared.rendered.of(&event));
        }
        if !joined.is_empty() {
            piece = Bytes::from(joined);
        }
        Some(piece)
    }

    /// Whether the session or token still allows it. When that cannot be read now, the next time will tell.
    async fn may_read_on(&self, state: &AppState) -> bool {
        let Reader { headers, client, who, began } = &self.reader;
        match reads_on(state, headers, client, who, *began).await {
            Ok(may) => may,
            // Somebody who was disabled, or whom the proxy in front names no longer with a role, is refused here.
            Err(e) => e.status.is_server_error(),
        }
    }
}

fn wants(only: Option<IncidentId>, event: &Event) -> bool {
    let Some(only) = only else { return true };
    match &event.what {
        What::Incident(_, incident) => incident.id == only,
        What::AlertCorrelated(id, ..) | What::Thought(id, _) | What::Suggestion(id, _) | What::Cause(id, _) => {
            *id == only
        }
        What::Delivery { .. } | What::Topology | What::Mutes | What::Notifications => false,
        What::Reset => true,
    }
}

/// Events written once for all streams: the last few, by the event itself.
#[derive(Debug, Default)]
pub struct Rendered(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    events: VecDeque<(Arc<Event>, Bytes)>,
    bytes: usize,
}

// Streams that keep up are never further apart than this.
const REMEMBERED: usize = 256;
// And they are told again what is longer than that altogether.
const REMEMBERED_BYTES: usize = 4 << 20;

impl Rendered {
    /// The event as the stream carries it.
    pub fn of(&self, event: &Arc<Event>) -> Bytes {
        let find = |known: &Known| {
            known.events.iter().rev().find(|(e, _)| Arc::ptr_eq(e, event)).map(|(_, bytes)| bytes.clone())
        };
        if let Some(bytes) = find(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return bytes;
        }
        let bytes = Bytes::from(format!("id: {}\ndata: {}\n\n", event.seq, object(event)));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The event is held as well, so that its address stays its name.
        known.bytes += bytes.len() + event.size();
        known.events.push_back((Arc::clone(event), bytes.clone()));
        while known.events.len() > REMEMBERED || (known.bytes > REMEMBERED_BYTES && known.events.len() > 1) {
            let Some((event, bytes)) = known.events.pop_front() else { break };
            known.bytes = known.bytes.saturating_sub(bytes.len() + event.size());
        }
        bytes
    }
}

/// The event as one JSON object.
pub fn object(event: &Event) -> serde_json::Value {
    fn of(kind: &str, incident: IncidentId, object: impl Serialize) -> serde_json::Value {
        let mut value = serde_json::to_value(object).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.insert("type".into(), kind.into());
            map.insert("incident_id".into(), incident.to_string().into());
        }
        value
    }
    match &event.what {
        What::Incident(change, incident) => json!({
            "type": "incident_update",
            "incident_id": incident.id,
            "change": change,
            "incident": IncidentRow::of(incident),
        }),
        What::AlertCorrelated(id, alert, membership) => json!({
            "type": "alert_correlated",
            "incident_id": id,
            "alert_id": alert.id,
            "title": alert.title,
            "strategy": membership.strategy,
            "correlation_score": membership.score,
        }),
        What::Thought(id, thought) => of("thought", *id, thought),
        What::Suggestion(id, suggestion) => of("suggestion", *id, suggestion),
        What::Cause(id, cause) => of("cause", *id, cause),
        What::Delivery { platform, outcome, count } => {
            json!({"type": "delivery", "platform": platform, "outcome": outcome, "count": count})
        }
        What::Topology => json!({"type": "topology"}),
        What::Notifications => json!({"type": "notifications"}),
        What::Mutes => json!({"type": "mutes"}),
        What::Reset => json!({"type": "reset"}),
    }
}

type Step<S, T> = Pin<Box<dyn Future<Output = Option<(T, S)>> + Send>>;

/// A stream from a state and an async step.
struct Unfold<S, F, T> {
    step: F,
    // Either the state, or the step that has it.
    state: Option<S>,
    running: Option<Step<S, T>>,
}

fn unfold<S, F, Fut, T>(state: S, step: F) -> impl Stream<Item = T>
where
    S: Unpin,
    F: Fn(S) -> Fut + Unpin,
    Fut: Future<Output = Option<(T, S)>> + Send + 'static,
{
    Unfold { step: move |s| Box::pin(step(s)) as Step<S, T>, state: Some(state), running: None }
}

impl<S: Unpin, F: Fn(S) -> Step<S, T> + Unpin, T> Stream for Unfold<S, F, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(state) = self.state.take() {
            self.running = Some((self.step)(state));
        }
        let Some(running) = &mut self.running else { return Poll::Ready(None) };
        match running.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(ended) => {
                self.running = None;
                Poll::Ready(ended.map(|(item, state)| {
                    self.state = Some(state);
                    item
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_one_object_with_a_type() {
        let thought = Thought {
            id: 3,
            at: Time::from_secs(0),
            kind: ThoughtKind::Analysis,
            text: "a\nb".into(),
            evidence: vec![],
        };
        let event = Arc::new(Event::new(9, Time::from_secs(0), What::Thought(IncidentId(4), thought)));
        let rendered = Rendered::default();
        let bytes = rendered.of(&event);
        let text = std::str::from_utf8(&bytes).unwrap();
        let data = text.strip_prefix("id: 9\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        assert!(!data.contains('\n'), "one line");
        let value: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!((value["type"].as_str(), value["incident_id"].as_str()), (Some("thought"), Some("INC-4")));
        assert_eq!(value["text"], "a\nb");
        assert_eq!(rendered.of(&event).as_ptr(), bytes.as_ptr(), "written once");
    }

    #[test]
    fn the_place_is_read_from_the_header_first() {
        let resume = |id: Option<&str>| Resume { last_event_id: id.map(str::to_owned) };
        let mut headers = HeaderMap::new();
        assert_eq!(last_event_id(&headers, &resume(None)), None);
        assert_eq!(last_event_id(&headers, &resume(Some("7"))), Some(7));
        assert_eq!(last_event_id(&headers, &resume(Some("x"))), Some(u64::MAX));
        headers.insert("last-event-id", "8".parse().unwrap());
        assert_eq!(last_event_id(&headers, &resume(Some("7"))), Some(8));
    }
}
