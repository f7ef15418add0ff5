//! Deliveries as they came, with what was made of them.

use askama::{Template, filters::HtmlSafe};
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    act::Form,
    ask::{Ask, Params, back},
    charts,
    frame::{Frame, Section, counts_and_seq},
    platforms,
    said::Said,
    source::{FoundIn, found},
    terms::href,
    text,
    ui::{self, Markup, When},
    words,
};
use crate::{
    connectors::{Info, Overload},
    ingest::{Door, Refusal},
    model::*,
    store::DeliveryFilter,
    web::{error::ApiError, state::AppState},
};

const PAGE: usize = 50;
const BODY: usize = 256 * 1024;

/// One delivery in a table.
#[derive(Debug, Template)]
#[template(path = "fragments/delivery_row.html")]
pub struct Row {
    id: DeliveryId,
    at: When,
    outcome: Markup,
    platform: Option<Markup>,
    what: String,
    note: Option<Markup>,
    incidents: Vec<IncidentId>,
    took: String,
    size: String,
    acts: Option<bool>,
}
impl HtmlSafe for Row {}

/// What became of it, as a tag.
pub fn outcome_tag(o: DeliveryOutcome) -> Markup {
    #[derive(Template)]
    #[template(source = "<span class=\"tag {{ class }}\">{{ words }}</span>", ext = "html")]
    struct Tag {
        class: &'static str,
        words: &'static str,
    }
    let (class, words) = words::outcome(o);
    Markup::of(&Tag { class, words })
}

impl Row {
    /// With or without the platform's column.
    pub fn new(d: &DeliveryRow, with_platform: bool, now: Time) -> Self {
        let note = match (&d.problem, d.notes.first()) {
            (Some(p), _) => Some(text::shorten(&p.detail, 160)),
            (None, Some(n)) => Some(note(n)),
            _ => None,
        };
        Self {
            id: d.id,
            at: When::ago(d.at, now),
            outcome: outcome_tag(d.outcome),
            platform: with_platform.then(|| ui::source(&d.platform)),
            what: meaning(d),
            note: note.map(|n| ui::foreign(&n)),
            incidents: d.incidents.iter().take(3).copied().collect(),
            took: millis(d.applied_at.since(d.at)),
            size: ui::bytes(d.size),
            acts: None,
        }
    }

    /// With the code that its sender got, in the place of what became of it.
    #[must_use]
    pub fn with_answer(self, d: &DeliveryRow, info: &Info) -> Self {
        match answer(d, info) {
            Some(code) => Self { outcome: code_tag(code, d.outcome), ..self },
            None => self,
        }
    }

    /// With the ways to its payload and, for those who may, to parse it again.
    #[must_use]
    pub fn with_acts(self, may_act: bool) -> Self {
        Self { acts: Some(may_act), ..self }
    }
}

/// What a delivery said, in a line.
pub fn meaning(d: &DeliveryRow) -> String {
    let what = match (&d.title, d.signals, d.changes) {
        (Some(t), 0 | 1, _) => text::shorten(t, 160),
        (Some(t), n, _) => format!("{} and {} more", text::shorten(t, 140), n - 1),
        (None, 0, c) if c > 0 => ui::plural(c, "change"),
        (None, 0, _) if d.outcome == DeliveryOutcome::Accepted => "nothing to act on".to_owned(),
        (None, 0, _) => words::outcome(d.outcome).1.to_lowercase(),
        (None, n, _) => ui::plural(n, "alert"),
    };
    text::visible(&what)
}

/// The code that the sender got; none when it was parsed again here, and nobody was answered.
fn answer(d: &DeliveryRow, info: &Info) -> Option<u16> {
    if d.replay_of.is_some() {
        return None;
    }
    let why = d.problem.as_ref().map(|p| p.code.as_str());
    Some(match (d.outcome, why) {
        (DeliveryOutcome::Accepted, _) => info.success,
        (DeliveryOutcome::Unparsed, _) if info.lenient => info.success,
        (DeliveryOutcome::Unparsed, _) => 422,
        (DeliveryOutcome::Refused, Some("connector_off")) => 403,
        (DeliveryOutcome::Refused, Some("over_rate")) if info.overload == Overload::TooMany => 429,
        (DeliveryOutcome::Refused, Some("over_rate")) => 503,
        (DeliveryOutcome::Refused, Some("bad_encoding")) => 400,
        (DeliveryOutcome::Refused, _) => 401,
    })
}

fn code_tag(code: u16, o: DeliveryOutcome) -> Markup {
    #[derive(Template)]
    #[template(
        source = "<span class=\"tag {{ class }} mono\" title=\"{{ words }}\">{{ code }}<span class=\"vh\"> {{ words }}</span></span>",
        ext = "html"
    )]
    struct Tag {
        class: &'static str,
        code: u16,
        words: &'static str,
    }
    let (class, words) = words::outcome(o);
    Markup::of(&Tag { class, code, words })
}

fn note(n: &Note) -> String {
    match n {
        Note::Ping(s) | Note::Ignored(s) | Note::Warning(s) => s.clone(),
        Note::TestToken(_) => "test notification with a verification token".to_owned(),
        Note::Heartbeat(s) => format!("heartbeat: {s}"),
    }
}

/// A choice of a list.
#[derive(Debug)]
pub struct Choice {
    value: String,
    name: String,
    checked: bool,
}

/// The list.
#[derive(Debug, Template)]
#[template(path = "pages/deliveries.html")]
pub struct DeliveriesPage {
    frame: Frame,
    platforms: Vec<Choice>,
    outcomes: Vec<Choice>,
    heading: String,
    sub: String,
    rows: Vec<Row>,
    newer: Option<String>,
    older: Option<String>,
}

/// `GET /deliveries?platform=&outcome=&since=&until=&with=alerts&before=`
pub async fn deliveries(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let now = ask.now;
    let platform = Some(params.get("platform").to_owned()).filter(|p| !p.is_empty());
    let outcome: Option<DeliveryOutcome> = params.get("outcome").parse().ok();
    let before: Option<u64> = params.get("before").parse().ok();
    let moment = |name: &str| crate::query::time(params.get(name), now);
    let (since, until) = (moment("since"), moment("until"));
    let alerts = params.get("with") == "alerts";
    let filter = DeliveryFilter { platform: platform.clone(), outcome, since, until, alerts };
    let (overview, seq, listing, senders) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            Ok((overview, seq, view.deliveries(&filter, before, PAGE)?, view.senders()?))
        })
        .await?;
    let chosen = platform.as_deref().unwrap_or_default();
    let word = outcome.map_or("", DeliveryOutcome::as_str);
    let link = |before: Option<u64>| {
        let before = before.map(|b| b.to_string());
        let kept = ["since", "until", "with"].map(|name| (name, params.get(name)));
        let mut more: Vec<(&str, &str)> =
            [("platform", chosen), ("outcome", word)].into_iter().chain(kept).filter(|(_, v)| !v.is_empty()).collect();
        more.extend(before.as_deref().map(|b| ("before", b)));
        href("/deliveries", "", &more)
    };
    let about = if listing.total_is_exact { "" } else { "about " };
    let page = DeliveriesPage {
        frame: ask.frame("Deliveries", Section::Connectors, &overview, seq),
        platforms: platforms::names(&state.shared.door.registry, &senders, platform.as_slice())
            .into_iter()
            .map(|(value, name)| Choice { checked: value == chosen, value, name })
            .collect(),
        outcomes: DeliveryOutcome::ALL
            .iter()
            .map(|o| Choice {
                value: o.as_str().to_owned(),
                name: words::outcome(*o).1.to_owned(),
                checked: outcome == Some(*o),
            })
            .collect(),
        heading: format!(
            "{about}{} {}",
            ui::count(listing.total),
            if listing.total == 1 { "delivery" } else { "deliveries" }
        ),
        sub: match (since, until, alerts) {
            (None, None, false) => "newest first, as received".to_owned(),
            _ => {
                let from = since.map(|t| format!("from {} ", charts::moment(t))).unwrap_or_default();
                let to = until.map(|t| format!("to {} ", charts::moment(t))).unwrap_or_default();
                format!("{from}{to}{}", if alerts { "with alerts that are no tests" } else { "" }).trim_end().to_owned()
            }
        },
        rows: listing.items.iter().map(|d| Row::new(d, true, now)).collect(),
        newer: before.map(|_| link(None)),
        older: listing.next.map(|n| link(Some(n))),
    };
    Ok(ask.page(StatusCode::OK, &page))
}

/// What one signal did.
#[derive(Debug)]
pub struct Did {
    status: &'static str,
    alert: Option<AlertId>,
    title: String,
    fingerprint: String,
    incident: Option<IncidentId>,
    new_incident: bool,
    why: String,
}

/// Why it was not understood.
#[derive(Debug)]
pub struct Wrong {
    code: String,
    detail: Markup,
    path: Option<String>,
}

/// One delivery.
#[derive(Debug, Template)]
#[template(path = "pages/delivery.html")]
pub struct DeliveryPage {
    frame: Frame,
    id: DeliveryId,
    platform: String,
    platform_name: String,
    heading: String,
    outcome: Markup,
    accepted: bool,
    problem: Option<Wrong>,
    signals: Vec<Did>,
    notes: Vec<Markup>,
    nothing: &'static str,
    body: Option<String>,
    cut: bool,
    size: String,
    facts: Vec<(&'static str, Markup)>,
    headers: Vec<(String, String)>,
    found: Vec<FoundIn>,
    declare: String,
    declared: bool,
}

impl DeliveryPage {
    /// From the row, the request as it came (while it is kept) and what it did.
    pub fn new(frame: Frame, row: &DeliveryRow, kept: Option<&Delivery>, results: Option<&[Applied]>) -> Self {
        let signals = kept.map(|d| d.parsed.signals.as_slice()).unwrap_or_default();
        let did = results.unwrap_or_default().iter().enumerate().map(|(n, r)| {
            let title = signals.get(n).map_or_else(|| "alert".to_owned(), |s| text::shorten(&s.title, 200));
            let why = match (r.strategy, r.correlation_score) {
                (Some(Strategy::Primary), _) => words::strategy(Strategy::Primary).to_owned(),
                (Some(s), Some(score)) => format!("{}, {score:.2}", words::strategy(s)),
                (Some(s), None) => words::strategy(s).to_owned(),
                (None, _) if r.alert_id.is_none() => "nothing open to end".to_owned(),
                (None, _) => String::new(),
            };
            Did {
                status: r.status.as_str(),
                alert: r.alert_id,
                title: text::visible(&title),
                fingerprint: r.fingerprint.to_string(),
                incident: r.incident_id,
                new_incident: r.new_incident,
                why,
            }
        });
        #[derive(Template)]
        #[template(source = "{{ at }}", ext = "html")]
        struct At {
            at: When,
        }
        #[derive(Template)]
        #[template(source = "<a href=\"/deliveries/{{ id }}\">an earlier delivery</a>", ext = "html")]
        struct Earlier {
            id: DeliveryId,
        }
        let mut facts = vec![
            ("Received", Markup::of(&At { at: When::full(row.at) })),
            ("Applied", ui::foreign(&format!("{} later", millis(row.applied_at.since(row.at))))),
            ("Alerts", ui::foreign(&ui::count(row.signals))),
            ("Changes", ui::foreign(&ui::count(row.changes))),
            ("Id", ui::foreign(&row.id.to_string())),
        ];
        if let Some(id) = row.replay_of {
            facts.push(("Parsed again from", Markup::of(&Earlier { id })));
        }
        let (body, cut) = match kept {
            Some(d) => {
                let (body, cut) = text::body(&d.body, BODY);
                (Some(body), cut)
            }
            None => (None, false),
        };
        Self {
            id: row.id,
            platform: form_urlencoded::byte_serialize(row.platform.as_bytes()).collect(),
            platform_name: platforms::tile_and_name(&row.platform).1,
            heading: row
                .title
                .as_deref()
                .map_or_else(|| "Delivery".to_owned(), |t| text::visible(&text::shorten(t, 120))),
            outcome: outcome_tag(row.outcome),
            accepted: row.outcome == DeliveryOutcome::Accepted,
            problem: row.problem.as_ref().map(|p| Wrong {
                code: text::visible(&p.code),
                detail: ui::foreign(&p.detail),
                path: p.path.as_deref().map(text::visible),
            }),
            signals: did.collect(),
            notes: row.notes.iter().map(|n| ui::foreign(&note(n))).collect(),
            nothing: match row.outcome {
                DeliveryOutcome::Accepted => "It held nothing about alerts.",
                DeliveryOutcome::Refused => "Nothing: it was refused.",
                DeliveryOutcome::Unparsed => "Nothing: it was not understood. It is kept, and can be parsed again.",
            },
            body,
            cut,
            size: ui::bytes(row.size),
            facts,
            found: Vec::new(),
            declare: format!("/connectors/new?delivery={}", row.id),
            declared: false,
            headers: kept
                .map(|d| d.sent_headers().map(|(k, v)| (text::visible(k), text::visible(v))).collect())
                .unwrap_or_default(),
            frame,
        }
    }
}

fn millis(d: std::time::Duration) -> String {
    format!("{}\u{a0}ms", d.as_millis())
}

/// `GET /deliveries/{id}`
pub async fn delivery(State(state): State<AppState>, ask: Ask, Path(id): Path<String>) -> Result<Response, ApiError> {
    let now = ask.now;
    let id: DeliveryId = parse(&id)?;
    let (overview, seq, row, kept, results) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let n = id.number();
            Ok((overview, seq, view.delivery_row(n)?, view.delivery(n)?, view.results(n)?))
        })
        .await?;
    let row = row
        .filter(|r| r.id == id)
        .ok_or_else(|| ApiError::not_found(format_args!("delivery {id}, or it is not applied yet")))?;
    let frame = ask.frame("Delivery", Section::Connectors, &overview, seq);
    let mut page = DeliveryPage::new(frame, &row, kept.as_ref(), results.as_deref());
    if let Some(delivery) = kept.filter(|d| d.outcome != DeliveryOutcome::Refused) {
        page.found = found(state.door().explain(&delivery).await?);
        let connector = state.shared.door.registry.find(&delivery.platform);
        if connector.is_some_and(|c| c.declared().is_some()) {
            page.declare = format!("/connectors/{}/declaration", delivery.platform);
            page.declared = true;
        }
    }
    Ok(ask.page(StatusCode::OK, &page))
}

fn parse(id: &str) -> Result<DeliveryId, ApiError> {
    id.parse().map_err(|_| ApiError::not_found(format_args!("delivery “{}”", text::shorten(id, 40))))
}

/// The way in for tests and replays.
pub fn door(state: &AppState) -> Door {
    Door {
        store: state.store.clone(),
        config: state.config.clone(),
        clock: state.clock.clone(),
        memory: state.shared.door.clone(),
    }
}

/// How long a page waits until what it sent has been applied.
pub const APPLIED: std::time::Duration = std::time::Duration::from_secs(5);

/// `POST /deliveries/{id}/replay`
pub async fn replay(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = parse(&id)?;
    let again = match door(&state).replay(id).await {
        Ok(Some(accepted)) => accepted.stored,
        Ok(None) => {
            return Err(ApiError::not_found(format_args!("delivery {id} any more: its body is no longer kept")));
        }
        Err(Refusal::NotUnderstood(_, stored)) => stored,
        Err(refusal) => return Err(refused(&refusal)),
    };
    state.store.audit(form.actor, "delivery.replay", id.to_string(), serde_json::Value::Null).await?;
    state.store.applied(again.seq, APPLIED).await;
    Ok(back(&format!("/deliveries/{}", again.id), Some(Said::new("replayed"))))
}

/// A refusal at our own door.
pub fn refused(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::Off => ApiError::new(StatusCode::CONFLICT, "off", "the connector is switched off"),
        Refusal::UnknownPlatform(_) => ApiError::not_found("connector of that name"),
        Refusal::NotStored { error, .. } => error.clone().into(),
        Refusal::Store(e) => e.clone().into(),
        other => ApiError::new(StatusCode::CONFLICT, "refused", format!("it was not taken: {}", other.word())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::samples;

    #[test]
    fn bodies_and_headers_stay_text() {
        let evil = "<script>alert(1)</script>\u{0}";
        let mut d = samples::delivery();
        d.body = evil.as_bytes().to_vec();
        d.headers.push((evil.into(), evil.into()));
        let row = DeliveryRow {
            seq: d.seq,
            id: d.id,
            at: d.at,
            applied_at: d.at,
            platform: evil.into(),
            outcome: DeliveryOutcome::Unparsed,
            problem: Some(Problem { code: evil.into(), detail: evil.into(), path: Some(evil.into()) }),
            size: 33,
            tests: 0,
            signals: 0,
            changes: 0,
            notes: vec![Note::Warning(evil.into())],
            incidents: vec![],
            title: Some(evil.into()),
            replay_of: Some(d.id),
        };
        let frame = samples::frame("Delivery", Section::Connectors);
        let html = DeliveryPage::new(frame, &row, Some(&d), None).render().unwrap();
        assert!(!html.contains("<script>alert") && !html.contains('\u{0}'), "{html}");
        let html = Row::new(&row, true, samples::now()).render().unwrap();
        assert!(!html.contains("<script>") && html.contains("Not understood"), "{html}");
    }
}
