//! `GET /live`: the pages' own stream. It carries finished fragments, so that a page looks the same live and after a
//! reload. A slow reader holds only its place; a session that ends ends the stream.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event as Sse, Sse as Stream},
    },
};
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use tokio::sync::{broadcast::error::RecvError, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    ask::{Ask, Params},
    connectors::connector_row,
    frame::{Counts, counts_and_seq},
    panels::{MemberRow, ThoughtLine},
    row::{Need, Row},
    ui::Markup,
};
use crate::{
    live::{Event, What},
    model::*,
    store::{Overview, Spark, StoreError},
    web::{
        assets,
        auth::{Client, Identity, reads_on},
        saved_views::kept,
        sse::Open,
        state::AppState,
    },
};

/// Tells the page the time, and that the stream lives.
const TICK: Duration = Duration::from_secs(15);
/// Figures are read at most this often for one stream.
const FIGURES: Duration = Duration::from_secs(1);

/// `GET /live?after=SEQ`
pub async fn live(
    State(state): State<AppState>,
    ask: Ask,
    client: Client,
    Params(params): Params,
    headers: HeaderMap,
) -> Response {
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()).unwrap_or_else(|| params.get("after"));
    let after = last.parse().ok();
    // A reader that takes nothing holds these few, and its place.
    let (tx, rx) = mpsc::channel(4);
    tokio::spawn(follow(state, client, headers, ask.identity, after, tx));
    let mut response = Stream::new(ReceiverStream::new(rx)).into_response();
    // Proxies would hold it back otherwise.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

type Sender = mpsc::Sender<Result<Sse, Infallible>>;

async fn follow(state: AppState, client: Client, headers: HeaderMap, who: Identity, after: Option<u64>, tx: Sender) {
    let _open = Open::of(&state);
    let mut events = state.live.subscribe(after);
    let (me, began) = (who.name(), state.clock.now());
    let mut stale = true;
    // The figures must know at least this change.
    let mut need = *state.store.changes().borrow();
    let mut read_at: Option<tokio::time::Instant> = None;
    let mut tick = tokio::time::interval(TICK);
    let mut editing = state.shared.editing.changes();
    loop {
        let due = read_at.map_or_else(tokio::time::Instant::now, |at| at + FIGURES);
        let sent = tokio::select! {
            () = state.stop.cancelled() => return,
            () = tx.closed() => return,
            _ = tick.tick() => {
                // Signing out, or losing one's role, ends what is on screen within a tick.
                if !reads_on(&state, &headers, &client, &who, began).await.unwrap_or(false) {
                    // The page asks again at once, with what the proxy says now, or is sent to sign in.
                    send(&tx, "again", None, &json!({})).await;
                    return;
                }
                send(&tx, "tick", None, &json!({"now": state.clock.now().millis(), "views": views(&state, &me).await})).await
            }
            () = tokio::time::sleep_until(due), if stale => {
                stale = false;
                read_at = Some(tokio::time::Instant::now());
                match figures(&state, need).await {
                    Ok(o) => send(&tx, "counts", None, &counts(&o, views(&state, &me).await)).await,
                    Err(_) => return,
                }
            }
            of = editing.recv() => match of {
                Ok(id) => send(&tx, "editing", None, &json!({"id": id})).await,
                // What it fell behind by is told when the page is read again.
                Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => return,
            },
            batch = events.next() => match batch {
                Ok(batch) => {
                    if let Some(last) = batch.iter().rev().find(|e| matches!(e.what, What::Incident(..))) {
                        (stale, need) = (true, last.seq);
                    }
                    pass_on(&state, &batch, &tx).await
                }
                // The page asks again in a moment.
                Err(_) => return,
            }
        };
        if !sent {
            return;
        }
    }
}

/// The figures with the change `need` in them. All streams are told of a change at about the same time: one of them reads.
async fn figures(state: &AppState, need: u64) -> Result<Overview, StoreError> {
    let mut known = state.shared.figures.lock().await;
    if let Some((_, overview)) = known.as_ref().filter(|(seq, _)| *seq >= need) {
        return Ok(overview.clone());
    }
    let now = state.clock.now();
    let (overview, seq) = state.store.read(move |view| counts_and_seq(view, now)).await?;
    *known = Some((seq, overview.clone()));
    Ok(overview)
}

/// Sends a batch; whether anybody still listens.
async fn pass_on(state: &AppState, batch: &[Arc<Event>], tx: &Sender) -> bool {
    let now = state.clock.now();
    let (latest, created) = latest(batch);
    let ids: Vec<IncidentId> = latest.keys().copied().collect();
    // A row without its line is still a row.
    let sparks = match ids.is_empty() {
        true => BTreeMap::new(),
        false => state.store.read(move |view| view.sparks(&ids, now)).await.unwrap_or_default(),
    };
    let rows = match connector_rows(state, batch).await {
        Ok(rows) => rows,
        Err(_) => return false,
    };
    for event in batch {
        let (name, data) = match &event.what {
            What::Incident(change, i) => {
                // Only the last state of each incident is drawn.
                if latest.get(&i.id) != Some(&event.seq) {
                    continue;
                }
                ("row", row(i, sparks.get(&i.id), *change, created.contains(&i.id), now))
            }
            What::AlertCorrelated(id, alert, member) => {
                let html = Markup::of(&MemberRow::new(member, alert, now)).to_string();
                ("alert", json!({"id": id, "alert": alert.id, "html": html}))
            }
            What::Thought(id, thought) => {
                let html = Markup::of(&ThoughtLine::new(thought, &[], now)).to_string();
                ("thought", json!({"id": id, "n": thought.id, "kind": thought.kind, "html": html}))
            }
            What::Suggestion(id, _) | What::Cause(id, _) => ("panels", json!({"id": id})),
            What::Delivery { platform, outcome, count } => {
                let html = rows.get(platform).cloned().unwrap_or_default();
                let accepted = *outcome == DeliveryOutcome::Accepted;
                ("delivery", json!({"platform": platform, "accepted": accepted, "count": count, "html": html}))
            }
            What::Topology => ("topology", json!({})),
            What::Notifications => ("notifications", json!({})),
            What::Mutes => ("mutes", json!({})),
            What::Reset => ("reset", json!({})),
        };
        if !send(tx, name, Some(event.seq), &data).await {
            return false;
        }
    }
    true
}

/// The last change of each incident, and those that are new.
fn latest(batch: &[Arc<Event>]) -> (HashMap<IncidentId, u64>, Vec<IncidentId>) {
    let mut last = HashMap::new();
    let mut created = Vec::new();
    for event in batch {
        if let What::Incident(change, i) = &event.what {
            last.insert(i.id, event.seq);
            if *change == IncidentChange::Created {
                created.push(i.id);
            }
        }
    }
    (last, created)
}

/// The rows of the connectors that received something, as they stand now.
async fn connector_rows(state: &AppState, batch: &[Arc<Event>]) -> Result<HashMap<String, String>, StoreError> {
    let mut platforms: Vec<String> = batch
        .iter()
        .filter_map(|e| match &e.what {
            What::Delivery { platform, .. } => Some(platform.clone()),
            _ => None,
        })
        .collect();
    platforms.sort_unstable();
    platforms.dedup();
    if platforms.is_empty() {
        return Ok(HashMap::new());
    }
    let now = state.clock.now();
    let (config, shared) = (Arc::clone(&state.config), Arc::clone(&state.shared));
    let sealer = state.store.sealer().clone();
    state
        .store
        .read(move |view| {
            let mut rows = HashMap::new();
            for platform in platforms {
                if let Some(row) = connector_row(view, &platform, &config, &shared.door, &sealer, now)? {
                    rows.insert(platform, Markup::of(&row).to_string());
                }
            }
            Ok(rows)
        })
        .await
}

fn row(i: &Incident, spark: Option<&Spark>, change: IncidentChange, created: bool, now: Time) -> Value {
    json!({
        "id": i.id,
        "group": Need::of(i).key(),
        "created": created,
        "change": change,
        "severity": i.severity,
        "owner": i.owner,
        "html": Markup::of(&Row::new(i, spark, now)).to_string(),
    })
}

/// The numbers of the reader's saved views, by their names in addresses.
async fn views(state: &AppState, me: &str) -> Value {
    kept(state, me).await.into_iter().map(|v| (v.id.to_string(), Value::from(v.badge()))).collect()
}

fn counts(o: &Overview, views: Value) -> Value {
    let c = Counts::from(o);
    json!({
        "views": views,
        "open": c.open,
        "unowned": c.unowned,
        "critical": c.critical,
        "badge": c.badge(),
        "headline": c.headline(),
        "favicon": assets::url(c.favicon()),
        "beacon": c.beacon().to_string(),
    })
}

async fn send(tx: &Sender, name: &str, seq: Option<u64>, data: &Value) -> bool {
    let mut event = Sse::default().event(name).data(data.to_string());
    if let Some(seq) = seq {
        event = event.id(seq.to_string());
    }
    tx.send(Ok(event)).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::samples;

    #[test]
    fn only_the_last_state_of_an_incident_is_drawn() {
        let event = |seq, change, n| {
            let what = What::Incident(change, Box::new(samples::incident(n)));
            Arc::new(Event::new(seq, samples::now(), what))
        };
        let batch = [
            event(1, IncidentChange::Created, 7),
            event(2, IncidentChange::Alerts, 7),
            event(3, IncidentChange::Owner, 8),
        ];
        let (last, created) = latest(&batch);
        assert_eq!((last[&IncidentId(7)], last[&IncidentId(8)]), (2, 3));
        assert_eq!(created, [IncidentId(7)]);
    }

    #[test]
    fn figures_carry_title_favicon_and_fire() {
        let v = counts(&samples::overview(), json!({}));
        assert_eq!(v["headline"], "(2) 7 open");
        assert!(v["favicon"].as_str().unwrap().starts_with("/assets/favicon-critical-"));
        assert!(v["beacon"].as_str().unwrap().contains("2 critical burning"));
    }
}
