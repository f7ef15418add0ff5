//! What the text field of a list offers while somebody types, and counts that come a moment after the rows.

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    ask::{Ask, Params, json},
    text,
};
use crate::{
    query::{ALERTS, Field, INCIDENTS, Values, field},
    store::{AlertFilter, IncidentFilter},
    web::{error::ApiError, query, state::AppState},
};

/// Offers at once.
const MOST: usize = 12;

/// `GET /complete?of=alerts&field=service&typed=pa`: fields without `field`, else values of it.
pub async fn complete(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let fields: &'static [Field] = if params.get("of") == "alerts" { ALERTS } else { INCIDENTS };
    let (name, typed) = (params.get("field").to_owned(), params.get("typed").to_lowercase());
    let offers: Vec<Value> = match field(fields, &name) {
        None => {
            let found = fields.iter().filter(|f| f.name.starts_with(&typed)).take(MOST);
            found.map(|f| offer(&format!("{}:", f.name.trim_end_matches('*')), f.help)).collect()
        }
        Some(f) => match f.values {
            Values::Fixed(words) => {
                words.iter().filter(|w| w.contains(&typed)).take(MOST).map(|w| offer(w, "")).collect()
            }
            Values::Moment => {
                let usual = ["1h", "6h", "12h", "24h", "7d", "30d"];
                usual.iter().filter(|w| w.contains(&typed)).map(|w| offer(w, "")).collect()
            }
            Values::Number => ["1", ">1", ">10", ">100"].iter().map(|w| offer(w, "")).collect(),
            Values::Names => names(&state, &ask, &name, &typed).await?,
            Values::Incidents | Values::Words => Vec::new(),
        },
    };
    Ok(json(StatusCode::OK, &json!({ "offers": offers })))
}

fn offer(value: &str, help: &str) -> Value {
    json!({"value": value, "help": help})
}

/// Names in use, with how many incidents have them.
async fn names(state: &AppState, ask: &Ask, name: &str, typed: &str) -> Result<Vec<Value>, ApiError> {
    let (search, field, typed) = (state.search.clone(), name.to_owned(), typed.to_owned());
    let (now, me, begun) = (ask.now, ask.identity.name(), typed.clone());
    let found = state
        .store
        .read(move |_| {
            let mut filter = IncidentFilter::default();
            // All of a year: names that are no more in use are offered last.
            let asker = query::Asker { now, me: Some(&me) };
            if query::incidents("since:365d", asker, &mut filter).is_err() {
                return Ok(Vec::new());
            }
            Ok(match field.as_str() {
                "service" | "source" | "owner" => search.names(&filter, &field, &typed, MOST).unwrap_or_default(),
                other => search.others(other, &typed, MOST).unwrap_or_default(),
            })
        })
        .await?;
    let mut offers: Vec<Value> = Vec::new();
    if name == "owner" {
        offers.extend(["me", "none"].into_iter().filter(|w| w.starts_with(&*begun)).map(|w| offer(w, "")));
    }
    let named = found.into_iter().filter(|n| name != "owner" || n.name != "none");
    offers.extend(named.map(|n| offer(&crate::query::quote(&text::visible(&n.name)), &text::count(n.count))));
    Ok(offers)
}

/// `GET /alerts/counts?q=`: how many alerts each value of the facets has.
pub async fn alert_counts(
    State(state): State<AppState>,
    ask: Ask,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let mut filter = AlertFilter::default();
    query::alerts(params.get("q"), query::Asker { now: ask.now, me: None }, &mut filter)?;
    let search = state.search.clone();
    let counts = state.store.read(move |view| search.alert_counts(view, &filter)).await?;
    let whole = counts.looked_through.is_none();
    let by: serde_json::Map<String, Value> = counts
        .by
        .into_iter()
        .map(|(value, n)| (value, Value::from(format!("{}{}", text::about(n, true), if whole { "" } else { "+" }))))
        .collect();
    let note = counts.looked_through.map(|n| format!("Counted among the newest {}.", text::count(n)));
    Ok(json(StatusCode::OK, &json!({"counts": by, "note": note})))
}
