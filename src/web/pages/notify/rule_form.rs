//! The form of a rule: if, tell, when, if nobody acknowledges; and what it would have told in the last days.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    HERE, Read,
    field::{Field, Group, Wrongs, severities, span, span_of, target_fields, target_groups, targets_of},
    named, refused,
    trial::{self, Trial},
    words,
};
use crate::{
    model::*,
    notifications::policy,
    web::{
        auth::Admin,
        error::ApiError,
        pages::{
            ask::{Ask, Fields, back},
            connector_forms::AdminForm,
            frame::{Frame, Section},
            said::Said,
            silence_form::{Line, Shown, lines_of, matchers_of, shown, wrong_of},
            text,
            ui::{self, Markup},
        },
        state::AppState,
    },
};

/// Hours of the week in a form.
#[derive(Debug)]
pub(super) struct Hours {
    pub(super) name: String,
    pub(super) on: bool,
    pub(super) days: Vec<(&'static str, String, bool)>,
    pub(super) fields: Vec<Markup>,
}

/// The hours of a form, where its box is checked.
pub(super) fn hours_of(fields: &Fields, name: &str) -> Option<WeekTimes> {
    let get = |part: &str| fields.get(&format!("{name}.{part}")).trim().to_owned();
    fields.checked(&format!("{name}.on")).then(|| WeekTimes {
        time_zone: Some(get("zone")).filter(|z| !z.is_empty()).unwrap_or_else(|| "UTC".to_owned()),
        days: fields.all(&format!("{name}.day")).iter().filter_map(|d| d.parse().ok()).collect(),
        from: get("from"),
        until: get("until"),
    })
}

/// Their fields.
pub(super) fn hours_fields(name: &str, set: Option<&WeekTimes>, wrongs: &Wrongs, path: &str) -> Hours {
    let get = |part: fn(&WeekTimes) -> &String| set.map_or("", |t| part(t).as_str());
    let field = |part: &str, label: &str, value: &str| Field::text(format!("{name}.{part}"), label, value);
    Hours {
        name: name.to_owned(),
        on: set.is_some(),
        days: Weekday::ALL
            .iter()
            .map(|d| (d.as_str(), text::capital(d.as_str()), set.is_some_and(|t| t.days.contains(d))))
            .collect(),
        fields: vec![
            field("from", "From", get(|t| &t.from)).kind("time").at(wrongs, &format!("{path}/from")),
            field("until", "Until", get(|t| &t.until)).kind("time").at(wrongs, &format!("{path}/until")),
            field("zone", "Time zone", get(|t| &t.time_zone))
                .placeholder("UTC")
                .help("Such as Europe/Berlin.")
                .at(wrongs, &format!("{path}/time_zone")),
        ],
    }
}

#[derive(Template)]
#[template(path = "pages/notify/rule.html")]
struct RulePage {
    frame: Frame,
    id: Option<RuleId>,
    heading: Markup,
    action: String,
    line: Markup,
    wrong: Vec<(String, Markup)>,
    name: Markup,
    enabled: bool,
    stops: bool,
    from: Markup,
    lines: Vec<Shown>,
    condition: Markup,
    names: String,
    times: Hours,
    targets: Vec<Markup>,
    events: Vec<(&'static str, String, bool)>,
    events_wrong: Option<Markup>,
    spans: Vec<Markup>,
    quiet: Hours,
    but_from: Markup,
    policy: Markup,
    trial: Option<Trial>,
}

/// A rule that says nothing yet.
fn blank(now: Time, position: u32) -> NoticeRule {
    NoticeRule {
        id: RuleId(0),
        name: String::new(),
        enabled: true,
        position,
        from: None,
        matchers: Vec::new(),
        condition: None,
        times: None,
        events: vec![NoticeEvent::Opened, NoticeEvent::SeverityUp, NoticeEvent::Resolved],
        targets: Vec::new(),
        policy: None,
        wait_secs: 0,
        gather_secs: 0,
        quiet: None,
        remind_secs: None,
        last: false,
        created_at: now,
        created_by: String::new(),
        updated_at: now,
    }
}

/// The rule that a form says, on top of what is kept of it, and what cannot be read.
fn read(fields: &Fields, base: NoticeRule) -> (NoticeRule, Vec<Mistake>) {
    let mut wrong = Vec::new();
    let mut span = |name: &str, path: &str| span_of(fields, name, path, &mut wrong);
    let (wait, gather) = (span("wait", "/wait_secs"), span("gather", "/gather_secs"));
    let remind_secs = span("remind", "/remind_secs").filter(|s| *s > 0);
    let policy = match fields.get("policy") {
        "" => None,
        id => id.parse().ok(),
    };
    let quiet = hours_of(fields, "quiet");
    let rule = NoticeRule {
        name: fields.get("name").trim().to_owned(),
        enabled: fields.checked("enabled"),
        from: fields.get("from").parse().ok(),
        matchers: matchers_of(&lines_of(fields)),
        condition: Some(fields.get("condition").trim().to_owned()).filter(|c| !c.is_empty()),
        times: hours_of(fields, "times"),
        events: fields.all("event").iter().filter_map(|e| e.parse().ok()).collect(),
        targets: targets_of(fields, "target"),
        policy,
        wait_secs: wait.unwrap_or(0),
        gather_secs: gather.unwrap_or(0),
        quiet: quiet.map(|times| Quiet { times, but_from: fields.get("but_from").parse().ok() }),
        remind_secs,
        last: fields.checked("last"),
        ..base
    };
    (rule, wrong)
}

/// What a form is drawn with.
struct Drawn {
    id: Option<RuleId>,
    rule: NoticeRule,
    /// As typed: what is no duration has no place in the rule.
    typed: Option<Fields>,
    wrong: Vec<Mistake>,
    trial: bool,
}

async fn draw(state: &AppState, ask: &Ask, drawn: Drawn) -> Result<Response, ApiError> {
    let Drawn { id, rule: r, typed, wrong, trial } = drawn;
    let now = ask.now;
    let tried = (trial && wrong.is_empty()).then(|| r.clone());
    let (read, trial) = state
        .store
        .read(move |view| {
            let read = Read::of(view, now)?;
            let trial = tried.map(|rule| trial::of(view, &read.telling, rule, now)).transpose()?;
            Ok((read, trial))
        })
        .await?;
    let wrongs = Wrongs(wrong);
    let anchored: Vec<_> = wrongs.0.iter().map(wrong_of).collect();
    let duration = |name: &str, label: &str, set: Option<u32>, help: &str, path: &str| {
        let value = typed.as_ref().map_or_else(|| span(set), |t| t.get(name).to_owned());
        Field::text(name, label, &value).help(help).at(&wrongs, path)
    };
    let groups = target_groups(&read.telling, &read.people, "—");
    let policies = read.telling.policies.values().map(|p| (p.id.to_string(), text::visible(&p.name)));
    let policies = [(String::new(), "nobody".to_owned())].into_iter().chain(policies).collect();
    let chosen = r.policy.map(|p| p.to_string()).unwrap_or_default();
    let told = |e: &NoticeEvent| (e.as_str(), text::capital(words::event(*e)), r.events.contains(e));
    let heading = if id.is_some() { r.name.clone() } else { "New rule".to_owned() };
    let action = id.map_or_else(|| format!("{HERE}/rules/new"), |id| format!("{HERE}/rules/{id}"));
    let status = if wrongs.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let mut frame = ask.frame(&heading, Section::Settings, &read.overview, read.seq);
    frame.path.clone_from(&action);
    let page = RulePage {
        frame,
        id,
        heading: ui::foreign(&heading),
        action,
        line: ui::foreign(&text::shorten(&words::rule(&read.telling, &r), 600)),
        name: Field::text("name", "Name", &r.name).placeholder("Payments at night").at(&wrongs, "/name"),
        enabled: r.enabled,
        stops: r.last,
        from: Field::choice(
            "from",
            "How bad",
            severities("Everything"),
            r.from.map(|s| s.as_str()).unwrap_or_default(),
        )
        .at(&wrongs, "/from"),
        lines: shown(r.matchers.iter().map(Line::of).collect(), &anchored),
        condition: Field::text("condition", "And this is true", r.condition.as_deref().unwrap_or_default())
            .placeholder("\"db\" in service and alerts > 5")
            .set("may be empty")
            .at(&wrongs, "/condition"),
        names: "severity, service, services, host, environment, source, title, owner, labels, alerts, status, hour, \
                weekday, manual"
            .to_owned(),
        times: hours_fields("times", r.times.as_ref(), &wrongs, "/times"),
        targets: target_fields("target", "Tell", &groups, &r.targets, 2, &wrongs, "/targets"),
        events: policy::TOLD.iter().map(told).collect(),
        events_wrong: wrongs.at("/events"),
        spans: vec![
            duration(
                "wait",
                "Wait before the first message",
                Some(r.wait_secs),
                "Such as 5 min. Nothing is sent if it is over by then.",
                "/wait_secs",
            ),
            duration(
                "gather",
                "Gather for",
                Some(r.gather_secs),
                "What comes in that time is told in one message.",
                "/gather_secs",
            ),
            duration("remind", "Remind every", r.remind_secs, "While it is open and nobody's.", "/remind_secs"),
        ],
        quiet: hours_fields("quiet", r.quiet.as_ref().map(|q| &q.times), &wrongs, "/quiet/times"),
        but_from: Field::choice(
            "but_from",
            "Told all the same",
            severities("Nothing"),
            r.quiet.as_ref().and_then(|q| q.but_from).map(|s| s.as_str()).unwrap_or_default(),
        )
        .at(&wrongs, "/quiet/but_from"),
        policy: Field::choice("policy", "Then, step by step", Group::of(policies), &chosen)
            .help("Escalation policies are made under On call.")
            .at(&wrongs, "/policy"),
        wrong: wrongs.all(),
        trial,
    };
    Ok(ask.page(status, &page))
}

async fn known(state: &AppState, id: RuleId) -> Result<NoticeRule, ApiError> {
    let found = state.store.read(move |view| Ok(view.telling()?.rule(id).cloned())).await?;
    found.ok_or_else(|| ApiError::not_found(format_args!("rule {id}")))
}

async fn next(state: &AppState) -> Result<u32, ApiError> {
    let last = state.store.read(|view| Ok(view.telling()?.rules().map(|r| r.position).max())).await?;
    Ok(last.unwrap_or(0).saturating_add(1))
}

/// `GET /settings/notifications/rules/new`
pub async fn new(State(state): State<AppState>, _: Admin, ask: Ask) -> Result<Response, ApiError> {
    let rule = blank(ask.now, next(&state).await?);
    draw(&state, &ask, Drawn { id: None, rule, typed: None, wrong: Vec::new(), trial: false }).await
}

/// `GET /settings/notifications/rules/{id}`
pub async fn show(
    State(state): State<AppState>,
    _: Admin,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = named("rule", &id)?;
    let rule = known(&state, id).await?;
    draw(&state, &ask, Drawn { id: Some(id), rule, typed: None, wrong: Vec::new(), trial: true }).await
}

/// `POST /settings/notifications/rules/new`
pub async fn add(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let base = blank(form.ask.now, next(&state).await?);
    taken(&state, None, base, form).await
}

/// `POST /settings/notifications/rules/{id}`
pub async fn save(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let id = named("rule", &id)?;
    let base = known(&state, id).await?;
    taken(&state, Some(id), base, form).await
}

/// Saves what the form says, or tries it.
async fn taken(state: &AppState, id: Option<RuleId>, base: NoticeRule, form: AdminForm) -> Result<Response, ApiError> {
    let AdminForm { ask, actor, fields } = form;
    let (rule, mut wrong) = read(&fields, base);
    let trial = fields.get("do") == "try";
    if trial && wrong.is_empty() {
        wrong = policy::check(&rule);
    }
    if wrong.is_empty() && !trial {
        match state.store.put_notice_rule(id, rule.clone(), actor).await {
            Ok(rule) => return Ok(back(&format!("{HERE}/rules/{}", rule.id), Some(Said::new("rule")))),
            Err(e) => wrong = refused(e)?,
        }
    }
    draw(state, &ask, Drawn { id, rule, typed: Some(fields), wrong, trial }).await
}
