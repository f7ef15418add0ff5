//! The form of a silence or maintenance window: prefilled from an alert or an incident, tried before it is saved.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    act::Form,
    ask::{Ask, Fields, Params, back},
    frame::{Frame, Section, counts_and_seq},
    said::Said,
    silences::{MutedAlert, mute_id},
    text,
    ui::{self, Markup},
};
use crate::{
    model::*,
    store::{CommandError, MutePatch, NewMute, Preview, StoreError, View},
    web::{auth::Responder, error::ApiError, state::AppState},
};

/// Empty lines for more matchers.
const EMPTY: usize = 3;
/// Services or hosts of an incident that are put into one expression.
const NAMED: usize = 10;
/// How long a silence may last, in minutes and words.
const LENGTHS: [(&str, &str); 8] = [
    ("30", "30 minutes"),
    ("60", "1 hour"),
    ("120", "2 hours"),
    ("240", "4 hours"),
    ("480", "8 hours"),
    ("1440", "1 day"),
    ("4320", "3 days"),
    ("10080", "1 week"),
];

/// Which of the month.
const NTH: [(&str, &str); 7] =
    [("", "—"), ("1", "first"), ("2", "second"), ("3", "third"), ("4", "fourth"), ("5", "fifth"), ("-1", "last")];

/// A matcher as typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) field: String,
    pub(super) op: String,
    pub(super) value: String,
}

impl Line {
    pub(super) fn of(m: &Matcher) -> Self {
        Self { field: m.field.clone(), op: m.op.to_string(), value: m.value.clone() }
    }

    /// Whether an operator is chosen; the first one, when none is.
    pub(super) fn is(&self, op: &MatchOp) -> bool {
        self.op == op.as_str()
    }
}

/// The lines of matchers of a form.
pub(super) fn lines_of(fields: &Fields) -> Vec<Line> {
    let all = |name: &str| fields.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.trim().to_owned()).collect();
    let (names, ops, values): (Vec<String>, Vec<String>, Vec<String>) = (all("field"), all("op"), all("value"));
    let rows = names.into_iter().zip(ops).zip(values);
    let lines = rows.map(|((field, op), value)| Line { field, op, value });
    lines.filter(|l| !l.field.is_empty() || !l.value.is_empty()).take(50).collect()
}

/// The matchers that lines say.
pub(super) fn matchers_of(lines: &[Line]) -> Vec<Matcher> {
    let matcher = |l: &Line| Matcher {
        field: l.field.clone(),
        op: l.op.parse().unwrap_or(MatchOp::Equal),
        value: l.value.clone(),
    };
    lines.iter().map(matcher).collect()
}

/// A line of the form.
#[derive(Debug)]
pub struct Shown {
    pub(super) n: usize,
    pub(super) line: Line,
    pub(super) bad_field: bool,
    pub(super) bad_value: bool,
}

/// With empty ones to fill, and where they are wrong.
pub(super) fn shown(mut lines: Vec<Line>, wrong: &[Wrong]) -> Vec<Shown> {
    let more = if lines.is_empty() { EMPTY } else { EMPTY.min(20_usize.saturating_sub(lines.len())) };
    lines.resize(lines.len() + more, Line::default());
    let bad = |anchor: String| wrong.iter().any(|w| w.anchor == anchor);
    let shown =
        |(n, line)| Shown { n, line, bad_field: bad(format!("f-field-{n}")), bad_value: bad(format!("f-value-{n}")) };
    lines.into_iter().enumerate().map(shown).collect()
}

/// The matchers of an address: `?match=service%3Dapi`, or those of an alert or incident that is named.
pub(super) fn prefilled(view: &View, params: &Fields) -> Result<Vec<Line>, StoreError> {
    let mut lines: Vec<Line> =
        params.all("match").iter().filter_map(|m| m.parse::<Matcher>().ok()).map(|m| Line::of(&m)).collect();
    if let Ok(id) = params.get("alert").parse::<AlertId>()
        && let Some(alert) = view.alert(id)?
    {
        lines.extend(of_alert(&alert));
    }
    if let Ok(id) = params.get("incident").parse::<IncidentId>()
        && let Some(incident) = view.incident(id)?
    {
        lines.extend(of_incident(&incident));
    }
    Ok(lines)
}

fn line(field: &str, op: MatchOp, value: &str) -> Line {
    Line { field: field.to_owned(), op: op.to_string(), value: value.to_owned() }
}

fn of_alert(a: &Alert) -> Vec<Line> {
    let named = ["alertname", "alert_name", "alarm", "alert"].iter().find_map(|l| a.labels.get(*l));
    let mut lines = vec![match named {
        Some(name) => line("name", MatchOp::Equal, name),
        None => line("title", MatchOp::Equal, &a.title),
    }];
    for (field, value) in [("service", &a.service), ("host", &a.host)] {
        lines.extend(value.iter().map(|v| line(field, MatchOp::Equal, v)));
    }
    lines
}

fn of_incident(i: &Incident) -> Vec<Line> {
    let names = |field: &str, names: &[String]| match names {
        [] => None,
        [one] => Some(line(field, MatchOp::Equal, one)),
        many => {
            let each: Vec<String> = many.iter().take(NAMED).map(|n| regex::escape(n)).collect();
            Some(line(field, MatchOp::Fits, &format!("(?i){}", each.join("|"))))
        }
    };
    let by_name = names("service", &i.affected_services).or_else(|| names("host", &i.affected_hosts));
    let mut lines: Vec<Line> = by_name.into_iter().collect();
    if let Some(environment) = &i.environment {
        lines.push(line("environment", MatchOp::Equal, environment));
    }
    if lines.is_empty() {
        lines.push(line("title", MatchOp::Equal, &i.title));
    }
    lines
}

/// What would be caught.
#[derive(Debug)]
pub struct Caught {
    pub(super) now: String,
    pub(super) calm: String,
    pub(super) week: String,
    pub(super) alerts: Vec<MutedAlert>,
    pub(super) incidents: Vec<(IncidentId, Markup, String)>,
    pub(super) none: bool,
}

impl Caught {
    /// Of a preview.
    pub(super) fn new(p: &Preview, now: Time) -> Self {
        let about = if p.week_is_exact { "" } else { "at least " };
        let incident = |(i, n): &(Incident, u64)| {
            let of = format!("{} of {} open", ui::count(*n), ui::count(i.firing_count));
            (i.id, ui::foreign(&text::shorten(&i.title, 120)), of)
        };
        Self {
            now: format!("{} in {}", ui::plural(p.open_alerts, "open alert"), ui::plural(p.open_incidents, "incident")),
            calm: match p.muted_incidents {
                0 => "No incident would call for nobody.".to_owned(),
                1 => "1 incident would call for nobody.".to_owned(),
                n => format!("{} incidents would call for nobody.", ui::count(n)),
            },
            week: format!(
                "{about}{} in {} in the last 7 days",
                ui::plural(p.week_alerts, "alert"),
                ui::plural(p.week_incidents, "incident")
            ),
            alerts: p.alerts.iter().map(|a| MutedAlert::new(a, now)).collect(),
            incidents: p.incidents.iter().map(incident).collect(),
            none: p.open_alerts == 0 && p.week_alerts == 0,
        }
    }
}

/// What was typed.
#[derive(Clone, Debug, Default)]
struct Typed {
    maintenance: bool,
    lines: Vec<Line>,
    length: String,
    starts: String,
    ends: String,
    quiet: String,
    every: String,
    days: Vec<String>,
    nth: String,
    at: String,
    minutes: String,
    zone: String,
    reason: String,
}

/// `2026-03-03T12:00`, as the browser's field has it, in UTC.
fn field_time(at: Time) -> String {
    at.timestamp().strftime("%Y-%m-%dT%H:%M").to_string()
}

/// The other way round; with or without seconds.
fn read_time(text: &str) -> Result<Option<Time>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let text = text.replace(' ', "T");
    let tail = text.get(11..).unwrap_or_default();
    let whole = match tail.matches(':').count() {
        _ if text.ends_with('Z') || tail.contains(['+', '-']) => text.clone(),
        1 => format!("{text}:00Z"),
        _ => format!("{text}Z"),
    };
    whole.parse().map(Some).map_err(|_| format!("`{text}` is not a time such as 2026-03-03T12:00, in UTC"))
}

fn number<T: std::str::FromStr>(path: &str, text: &str, wrong: &mut Vec<Mistake>) -> Option<T> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let read = text.parse().ok();
    if read.is_none() {
        wrong.push(Mistake::new(path, format!("`{}` is no whole number", text::shorten(text, 20))));
    }
    read
}

impl Typed {
    fn of_form(f: &Fields) -> Self {
        let get = |name: &str| f.get(name).to_owned();
        Self {
            maintenance: f.get("kind") == "maintenance",
            lines: lines_of(f),
            length: get("length"),
            starts: get("starts"),
            ends: get("ends"),
            quiet: get("quiet"),
            every: get("every"),
            days: f.all("day"),
            nth: get("nth"),
            at: get("at"),
            minutes: get("minutes"),
            zone: get("zone"),
            reason: get("reason"),
        }
    }

    fn of_mute(m: &Mute) -> Self {
        let r = m.recurrence.as_ref();
        Self {
            maintenance: m.id.kind == MuteKind::Maintenance,
            lines: m.matchers.iter().map(Line::of).collect(),
            length: String::new(),
            starts: field_time(m.starts_at),
            ends: m.ends_at.map(field_time).unwrap_or_default(),
            quiet: m.quiet_minutes.map(|m| m.to_string()).unwrap_or_default(),
            every: r.map(|r| r.every.to_string()).unwrap_or_default(),
            days: r.map(|r| r.days.iter().map(ToString::to_string).collect()).unwrap_or_default(),
            nth: r.and_then(|r| r.nth).map(|n| n.to_string()).unwrap_or_default(),
            at: r.map(|r| r.at.clone()).unwrap_or_default(),
            minutes: r.map(|r| r.minutes.to_string()).unwrap_or_default(),
            zone: r.map(|r| r.time_zone.clone()).unwrap_or_default(),
            reason: m.reason.clone(),
        }
    }

    /// As it would be made.
    fn read(&self, now: Time) -> Result<NewMute, Vec<Mistake>> {
        let mut wrong = Vec::new();
        let mut time = |path: &str, text: &str| {
            read_time(text).unwrap_or_else(|what| {
                wrong.push(Mistake::new(path, what));
                None
            })
        };
        let starts_at = time("/starts_at", &self.starts);
        let mut ends_at = time("/ends_at", &self.ends);
        if let Some(minutes) = number::<u64>("/ends_at", &self.length, &mut wrong) {
            let length = Duration::from_secs(minutes.min(60 * 24 * 366) * 60);
            ends_at = Some(starts_at.unwrap_or(now).plus(length));
        }
        let recurrence = match self.every.parse::<Every>() {
            Ok(every) if self.maintenance => Some(Recurrence {
                every,
                days: self.days.iter().filter_map(|d| d.parse().ok()).collect(),
                nth: number("/recurrence/nth", &self.nth, &mut wrong).filter(|_| every == Every::Month),
                at: self.at.trim().to_owned(),
                minutes: number("/recurrence/minutes", &self.minutes, &mut wrong).unwrap_or(0),
                time_zone: self.zone.trim().to_owned(),
            }),
            _ => None,
        };
        let new = NewMute {
            kind: if self.maintenance { MuteKind::Maintenance } else { MuteKind::Silence },
            matchers: matchers_of(&self.lines),
            starts_at,
            // A window that comes back is as long as it says, for as long as its end allows.
            ends_at: if recurrence.is_some() && !self.length.is_empty() { None } else { ends_at },
            quiet_minutes: number("/quiet_minutes", &self.quiet, &mut wrong),
            recurrence,
            reason: self.reason.clone(),
        };
        if wrong.is_empty() { Ok(new) } else { Err(wrong) }
    }
}

/// A mistake at its place.
#[derive(Debug)]
pub struct Wrong {
    pub(super) anchor: String,
    pub(super) what: Markup,
}

/// The id of the field that a mistake is about.
pub(super) fn wrong_of(m: &Mistake) -> Wrong {
    let anchor = match m.path.trim_start_matches('/').split('/').collect::<Vec<_>>().as_slice() {
        ["matchers", n, part] => format!("f-{part}-{n}"),
        ["matchers"] => "f-field-0".to_owned(),
        [.., last] => format!("f-{last}"),
        [] => String::new(),
    };
    Wrong { anchor, what: super::source::coded(&text::capital(&m.what)) }
}

/// The form.
#[derive(Debug, Template)]
#[template(path = "pages/silence_form.html")]
pub struct FormPage {
    frame: Frame,
    id: Option<MuteId>,
    action: String,
    heading: &'static str,
    typed: Typed,
    lines: Vec<Shown>,
    errors: Vec<Wrong>,
    caught: Option<Caught>,
    begun: bool,
}

impl FormPage {
    fn wrong(&self, anchor: &str) -> bool {
        self.errors.iter().any(|e| e.anchor == anchor)
    }

    fn day(&self, day: &Weekday) -> bool {
        self.typed.days.iter().any(|d| d == day.as_str())
    }
}

/// What the form is drawn with.
struct Drawn {
    id: Option<MuteId>,
    begun: bool,
    typed: Typed,
    wrong: Vec<Mistake>,
    preview: bool,
}

async fn draw(state: &AppState, ask: &Ask, mut drawn: Drawn) -> Result<Response, ApiError> {
    let now = ask.now;
    let matchers = drawn.preview.then(|| matchers_of(&drawn.typed.lines)).filter(|m| !m.is_empty());
    let (overview, seq, preview) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let preview = matchers.map(|m| view.preview(&m, now)).transpose()?;
            Ok((overview, seq, preview))
        })
        .await?;
    let caught = match preview {
        Some(Ok(preview)) => Some(Caught::new(&preview, now)),
        Some(Err(wrong)) if drawn.wrong.is_empty() => {
            drawn.wrong = wrong;
            None
        }
        _ => None,
    };
    let status = if drawn.wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let heading = match (drawn.id, drawn.typed.maintenance) {
        (Some(_), _) => "Change it",
        (None, true) => "Plan maintenance",
        (None, false) => "New silence",
    };
    let errors: Vec<Wrong> = drawn.wrong.iter().map(wrong_of).collect();
    let page = FormPage {
        frame: ask.frame(heading, Section::Alerts, &overview, seq),
        action: drawn.id.map_or_else(|| "/silences/new".to_owned(), |id| format!("/silences/{id}/edit")),
        id: drawn.id,
        heading,
        lines: shown(std::mem::take(&mut drawn.typed.lines), &errors),
        errors,
        caught,
        begun: drawn.begun,
        typed: drawn.typed,
    };
    Ok(ask.page(status, &page))
}

/// `GET /silences/new?kind=&alert=&incident=&match=`
pub async fn new(
    State(state): State<AppState>,
    _: Responder,
    ask: Ask,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let maintenance = params.get("kind") == "maintenance";
    let lines = state.store.read(move |view| prefilled(view, &params)).await?;
    let typed = Typed {
        maintenance,
        length: "60".to_owned(),
        zone: "UTC".to_owned(),
        at: "02:00".to_owned(),
        minutes: "60".to_owned(),
        ..Typed { lines, ..Typed::default() }
    };
    let preview = !typed.lines.is_empty();
    draw(&state, &ask, Drawn { id: None, begun: false, typed, wrong: Vec::new(), preview }).await
}

/// `POST /silences/new`
pub async fn make(State(state): State<AppState>, form: Form) -> Result<Response, ApiError> {
    let Form { ask, actor, fields } = form;
    let typed = Typed::of_form(&fields);
    let drawn = |wrong, preview| Drawn { id: None, begun: false, typed: typed.clone(), wrong, preview };
    let new = match typed.read(ask.now) {
        Ok(new) => new,
        Err(wrong) => return draw(&state, &ask, drawn(wrong, true)).await,
    };
    if fields.get("do") != "save" {
        return draw(&state, &ask, drawn(Vec::new(), true)).await;
    }
    match state.store.make_mute(new, actor).await {
        Ok(m) => {
            let said = if typed.maintenance { "window" } else { "silenced" };
            Ok(back(&format!("/silences/{}", m.id), Some(Said::new(said))))
        }
        Err(CommandError::Mistakes(wrong)) => draw(&state, &ask, drawn(wrong, true)).await,
        Err(e) => Err(e.into()),
    }
}

async fn known(state: &AppState, id: MuteId) -> Result<Mute, ApiError> {
    let found = state.store.read(move |view| view.mute(id)).await?;
    found.ok_or_else(|| ApiError::not_found(format_args!("{} {id}", id.kind)))
}

fn begun(m: &Mute) -> bool {
    m.on_until.is_some() && m.recurrence.is_none()
}

/// `GET /silences/{id}/edit`
pub async fn show(
    State(state): State<AppState>,
    _: Responder,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let m = known(&state, mute_id(&id)?).await?;
    let drawn = Drawn { id: Some(m.id), begun: begun(&m), typed: Typed::of_mute(&m), wrong: Vec::new(), preview: true };
    draw(&state, &ask, drawn).await
}

/// `POST /silences/{id}/edit`
pub async fn change(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let Form { ask, actor, fields } = form;
    let m = known(&state, mute_id(&id)?).await?;
    let typed = Typed { maintenance: m.id.kind == MuteKind::Maintenance, ..Typed::of_form(&fields) };
    let drawn = |wrong, preview| Drawn { id: Some(m.id), begun: begun(&m), typed: typed.clone(), wrong, preview };
    let new = match typed.read(ask.now) {
        Ok(new) => new,
        Err(wrong) => return draw(&state, &ask, drawn(wrong, true)).await,
    };
    if fields.get("do") != "save" {
        return draw(&state, &ask, drawn(Vec::new(), true)).await;
    }
    // The field has whole minutes: what was not changed stays to the millisecond.
    let same = |typed: &str, known: Option<Time>| known.map(field_time).unwrap_or_default() == typed;
    let patch = MutePatch {
        matchers: Some(new.matchers),
        starts_at: new.starts_at.filter(|_| !same(&typed.starts, Some(m.starts_at))),
        ends_at: Some(new.ends_at).filter(|_| !same(&typed.ends, m.ends_at) || !typed.length.is_empty()),
        quiet_minutes: Some(new.quiet_minutes),
        recurrence: Some(new.recurrence),
        reason: Some(new.reason),
        ..MutePatch::default()
    };
    match state.store.change_mute(m.id, patch, actor).await {
        Ok(m) => Ok(back(&format!("/silences/{}", m.id), Some(Said::new("saved")))),
        Err(CommandError::Mistakes(wrong)) => draw(&state, &ask, drawn(wrong, true)).await,
        Err(CommandError::Conflict { detail, .. }) => {
            draw(&state, &ask, drawn(vec![Mistake::new("/reason", detail)], true)).await
        }
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_form_are_in_utc() {
        let at: Time = "2026-03-03T12:00:00Z".parse().unwrap();
        assert_eq!(field_time(at), "2026-03-03T12:00");
        for text in ["2026-03-03T12:00", " 2026-03-03 12:00 ", "2026-03-03T12:00:00", "2026-03-03T13:00:00+01:00"] {
            assert_eq!(read_time(text), Ok(Some(at)), "{text}");
        }
        assert_eq!(read_time(" "), Ok(None));
        assert!(read_time("tomorrow").is_err());
    }

    #[test]
    fn matchers_are_prefilled_and_names_stay_names() {
        let mut i = crate::web::pages::samples::incident(7);
        i.affected_services = vec!["a.b".into(), "c|d".into()];
        i.environment = None;
        let lines = of_incident(&i);
        assert_eq!((lines.len(), lines[0].value.as_str()), (1, "(?i)a\\.b|c\\|d"));
        i.affected_services.truncate(1);
        assert_eq!(of_incident(&i)[0].op, "=");
    }
}
