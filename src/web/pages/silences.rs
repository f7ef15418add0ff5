//! Silences and maintenance windows: what is muted, by whom, why and until when.

use std::{collections::BTreeMap, time::Duration};

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    act::Form,
    ask::{Ask, Params, back},
    frame::{Frame, Section, counts_and_seq},
    said::Said,
    text,
    time::{When, clock_short, date, zone_name},
    ui::{self, Markup},
};
use crate::{
    model::*,
    store::{CommandError, MutePatch, Stale},
    web::{auth::Viewer, error::ApiError, state::AppState},
};

/// Alerts on the page of one.
const ALERTS: usize = 50;
/// Rows of a tab.
const ROWS: usize = 200;

/// `3 Mar, 12:00 UTC`; only the time when it is today.
pub(super) fn moment(at: Time, now: Time) -> String {
    match date(at) == date(now) {
        true => format!("{}\u{a0}{}", clock_short(at), zone_name(at)),
        false => format!("{}, {}\u{a0}{}", date(at), clock_short(at), zone_name(at)),
    }
}

/// `every Sun at 02:00 for 2 h, Europe/Berlin`.
fn comes_back(r: &Recurrence) -> String {
    let days: Vec<String> = r.days.iter().map(|d| text::capital(d.as_str())).collect();
    let days = if r.days.len() == 7 { "day".to_owned() } else { days.join(", ") };
    let which = match (r.every, r.nth) {
        (Every::Week, _) => format!("every {days}"),
        (Every::Month, Some(-1)) => format!("the last {days} of each month"),
        (Every::Month, n) => {
            let n = ["", "1st ", "2nd ", "3rd ", "4th ", "5th "].get(usize::try_from(n.unwrap_or(0)).unwrap_or(0));
            format!("the {}{days} of each month", n.unwrap_or(&""))
        }
    };
    let length = ui::duration(Duration::from_secs(u64::from(r.minutes) * 60));
    format!("{which} at {} for {length}, {}", r.at, r.time_zone)
}

/// When it mutes, in words.
fn span(m: &Mute, now: Time) -> String {
    let mut parts = Vec::new();
    match (m.state(), m.on_until) {
        (MuteState::Expired, _) => {
            let at = m.ended_at.map(|at| moment(at, now)).unwrap_or_default();
            parts.push(format!("ended {at}"));
        }
        (_, Some(until)) => {
            parts.push(format!("until {}, {} left", moment(until, now), ui::duration(until.since(now))));
        }
        (_, None) => parts.push(match m.look_at {
            Some(at) => format!("begins {}", moment(at, now)),
            None => "not yet".to_owned(),
        }),
    }
    if let Some(r) = &m.recurrence {
        parts.push(comes_back(r));
        if let Some(end) = m.ends_at.filter(|_| m.ended_at.is_none()) {
            parts.push(format!("last until {}", moment(end, now)));
        }
    }
    if let Some(minutes) = m.quiet_minutes.filter(|_| m.ended_at.is_none()) {
        parts.push(format!("or {minutes}\u{a0}min after the last one resolved"));
    }
    parts.join("; ")
}

/// One in a list.
#[derive(Debug)]
pub struct Row {
    id: MuteId,
    kind: &'static str,
    reason: Markup,
    matchers: Vec<String>,
    span: Markup,
    muted: String,
    now: String,
    author: Markup,
    stale: Option<Markup>,
    live: bool,
    extends: bool,
}

fn kind_word(kind: MuteKind) -> &'static str {
    match kind {
        MuteKind::Silence => "Silence",
        MuteKind::Maintenance => "Maintenance window",
    }
}

/// Why a mute can go.
fn stale_words(why: &Stale) -> Markup {
    match why {
        Stale::NothingSince(at) => ui::foreign(&format!("has muted nothing since {}", date(*at))),
        Stale::NeverHad(matcher) => ui::foreign(&format!("no known alert ever fitted {matcher}")),
    }
}

impl Row {
    fn new(m: &Mute, stale: Option<&Stale>, now: Time) -> Self {
        Self {
            id: m.id,
            kind: kind_word(m.id.kind),
            reason: ui::foreign(&text::shorten(&m.reason, 160)),
            matchers: m.matchers.iter().map(|m| text::visible(&text::shorten(&m.to_string(), 120))).collect(),
            span: ui::foreign(&span(m, now)),
            muted: format!("{}, {}", ui::plural(m.muted_alerts, "alert"), ui::plural(m.muted_incidents, "incident")),
            now: if m.ended_at.is_none() { format!("{} now", ui::count(m.muted_now)) } else { String::new() },
            author: ui::foreign(&m.author),
            stale: stale.map(stale_words),
            live: m.ended_at.is_none(),
            extends: m.ended_at.is_none() && m.ends_at.is_some() && m.recurrence.is_none(),
        }
    }
}

/// A tab of the list.
#[derive(Debug)]
pub struct Tab {
    key: &'static str,
    name: &'static str,
    count: String,
    current: bool,
}

/// One that ends soon while alerts still burn.
#[derive(Debug)]
pub struct Ending {
    pub(super) id: MuteId,
    pub(super) text: String,
}

/// Those that end soon while alerts that they mute still burn.
pub(super) fn ending<'a>(mutes: impl IntoIterator<Item = &'a Mute>, now: Time) -> Vec<Ending> {
    let soon = mutes.into_iter().filter(|m| m.ends_soon(now));
    let ending = |m: &Mute| {
        let minutes = m.on_until.map_or(0, |end| end.since(now).as_secs().div_ceil(60));
        let fire = if m.muted_now == 1 { "alert still fires" } else { "alerts still fire" };
        let text = format!("ends in {minutes}\u{a0}min and {} {fire}.", ui::count(m.muted_now));
        Ending { id: m.id, text }
    };
    soon.map(ending).collect()
}

/// The list.
#[derive(Debug, Template)]
#[template(path = "pages/silences.html")]
pub struct ListPage {
    frame: Frame,
    tabs: Vec<Tab>,
    tab: &'static str,
    ending: Vec<Ending>,
    rows: Vec<Row>,
    more: usize,
    none: &'static str,
}

const TABS: [(&str, &str, &str); 4] = [
    ("active", "Active", "Nothing is muted now."),
    ("scheduled", "Scheduled", "Nothing is planned."),
    ("expired", "Expired", "Nothing has ended in the last 30 days."),
    ("stale", "Stale", "Each has muted something in the last 14 days, or is too young to tell."),
];

fn fits(tab: &str, m: &Mute, stale: &BTreeMap<MuteId, Stale>) -> bool {
    if tab == "stale" { stale.contains_key(&m.id) } else { m.state().as_str() == tab }
}

/// `GET /silences?tab=`
pub async fn list(
    State(state): State<AppState>,
    _: Viewer,
    ask: Ask,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let now = ask.now;
    let (overview, seq, mutes, stale) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            Ok((overview, seq, view.mutes()?, view.stale_mutes(now)?))
        })
        .await?;
    let stale: BTreeMap<MuteId, Stale> = stale.into_iter().map(|(m, why)| (m.id, why)).collect();
    let asked = params.get("tab");
    let (tab, _, none) =
        TABS.iter().find(|(key, ..)| *key == asked).copied().unwrap_or(("active", "", "Nothing is muted now."));
    let of_tab: Vec<&Mute> = mutes.iter().filter(|m| fits(tab, m, &stale)).collect();
    let tabs = TABS.iter().map(|(key, name, _)| Tab {
        key,
        name,
        count: ui::count(mutes.iter().filter(|m| fits(key, m, &stale)).count()),
        current: *key == tab,
    });
    let page = ListPage {
        tabs: tabs.collect(),
        tab,
        ending: ending(&mutes, now),
        rows: of_tab.iter().take(ROWS).map(|m| Row::new(m, stale.get(&m.id), now)).collect(),
        more: of_tab.len().saturating_sub(ROWS),
        none,
        frame: ask.frame("Silences & maintenance", Section::Alerts, &overview, seq),
    };
    Ok(ask.page(StatusCode::OK, &page))
}

/// An alert that is muted.
#[derive(Debug)]
pub struct MutedAlert {
    pub(super) id: AlertId,
    pub(super) severity: Markup,
    pub(super) title: Markup,
    pub(super) place: Markup,
    pub(super) incident: Option<IncidentId>,
    pub(super) since: When,
}

impl MutedAlert {
    /// A row.
    pub(super) fn new(a: &Alert, now: Time) -> Self {
        let place: Vec<&str> = [&a.service, &a.host].into_iter().flatten().map(String::as_str).collect();
        Self {
            id: a.id,
            severity: ui::severity(a.severity),
            title: ui::foreign(&text::shorten(&a.title, 160)),
            place: ui::foreign(&place.join(", ")),
            incident: a.incident,
            since: When::age(a.first_seen, now),
        }
    }
}

/// One of them.
#[derive(Debug, Template)]
#[template(path = "pages/silence.html")]
pub struct OnePage {
    frame: Frame,
    row: Row,
    state: &'static str,
    refused: Option<String>,
    ending: Option<Ending>,
    facts: Vec<(&'static str, Markup)>,
    alerts: Vec<MutedAlert>,
    more: u64,
}

/// A mute named in a path.
pub(super) fn mute_id(text: &str) -> Result<MuteId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(format_args!("silence “{}”", text::shorten(text, 40))))
}

async fn draw(state: &AppState, ask: &Ask, id: MuteId, refused: Option<String>) -> Result<Response, ApiError> {
    let now = ask.now;
    let found = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let Some(mute) = view.mute(id)? else { return Ok(None) };
            let stale = view.stale_mutes(now)?.into_iter().find(|(m, _)| m.id == id).map(|(_, why)| why);
            Ok(Some((overview, seq, mute, stale, view.muted_by(id, ALERTS)?)))
        })
        .await?;
    let Some((overview, seq, m, stale, alerts)) = found else {
        return Err(ApiError::not_found(format_args!("{} {id}", id.kind)));
    };
    let state_word = match m.state() {
        MuteState::Active => "mutes now",
        MuteState::Scheduled => "scheduled",
        MuteState::Expired => "ended",
    };
    let mut facts = vec![("When", ui::foreign(&text::capital(&span(&m, now)))), ("Made by", ui::foreign(&m.author))];
    facts.push(("Made", ui::foreign(&moment(m.created_at, now))));
    if let Some(by) = &m.updated_by {
        facts.push(("Changed", ui::foreign(&format!("{} by {by}", moment(m.updated_at, now)))));
    }
    let muted = format!("{}, {}", ui::plural(m.muted_alerts, "alert"), ui::plural(m.muted_incidents, "incident"));
    facts.push(("Muted", ui::foreign(&muted)));
    if let Some(at) = m.last_matched_at {
        facts.push(("Last one", ui::foreign(&moment(at, now))));
    }
    if let Some(how) = &m.ended_how {
        facts.push(("Ended", ui::foreign(how)));
    }
    let status = if refused.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let title = format!("{id} {}", text::shorten(&m.reason, 60));
    let page = OnePage {
        row: Row::new(&m, stale.as_ref(), now),
        state: state_word,
        refused,
        ending: ending([&m], now).into_iter().next(),
        facts,
        more: m.muted_now.saturating_sub(alerts.len() as u64),
        alerts: alerts.iter().map(|a| MutedAlert::new(a, now)).collect(),
        frame: ask.frame(&text::visible(&title), Section::Alerts, &overview, seq),
    };
    Ok(ask.page(status, &page))
}

/// `GET /silences/{id}`
pub async fn one(
    State(state): State<AppState>,
    _: Viewer,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    draw(&state, &ask, mute_id(&id)?, None).await
}

async fn outcome(
    state: &AppState,
    form: Form,
    id: MuteId,
    said: &str,
    result: Result<Mute, CommandError>,
) -> Result<Response, ApiError> {
    match result {
        Ok(_) => {
            let own = format!("/silences/{id}");
            let to = form.fields.get("to");
            Ok(back(if to.is_empty() { &own } else { to }, Some(Said::new(said))))
        }
        Err(e @ (CommandError::Conflict { .. } | CommandError::Mistakes(_))) => {
            let why = text::visible(&text::capital(&e.to_string()));
            draw(state, &form.ask, id, Some(why)).await
        }
        Err(e) => Err(e.into()),
    }
}

/// `POST /silences/{id}/extend`
pub async fn extend(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = mute_id(&id)?;
    let minutes: u32 = form
        .fields
        .get("minutes")
        .parse()
        .ok()
        .filter(|m| (1..=7 * 24 * 60).contains(m))
        .ok_or_else(|| ApiError::invalid("minutes", "1 to 10080 is needed"))?;
    let patch = MutePatch { extend_minutes: Some(minutes), ..MutePatch::default() };
    let result = state.store.change_mute(id, patch, form.actor.clone()).await;
    outcome(&state, form, id, "extended", result).await
}

/// `POST /silences/{id}/end`
pub async fn end(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = mute_id(&id)?;
    let result = state.store.end_mute(id, form.actor.clone()).await;
    outcome(&state, form, id, "mute-ended", result).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recurrences_in_words() {
        let r = |every, days: &[Weekday], nth| Recurrence {
            every,
            days: days.to_vec(),
            nth,
            at: "02:00".into(),
            minutes: 120,
            time_zone: "Europe/Berlin".into(),
        };
        for (r, want) in [
            (r(Every::Week, Weekday::ALL, None), "every day at 02:00"),
            (r(Every::Week, &[Weekday::Saturday, Weekday::Sunday], None), "every Sat, Sun at 02:00"),
            (r(Every::Month, &[Weekday::Tuesday], Some(2)), "the 2nd Tue of each month at 02:00"),
            (r(Every::Month, &[Weekday::Sunday], Some(-1)), "the last Sun of each month at 02:00"),
        ] {
            let words = comes_back(&r);
            assert!(words.starts_with(want) && words.ends_with("for 2\u{a0}h\u{a0}00, Europe/Berlin"), "{words}");
        }
    }
}
