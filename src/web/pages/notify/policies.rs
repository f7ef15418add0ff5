//! The form of an escalation policy: who is told one after the other until somebody acknowledges.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    ON_CALL, Read,
    field::{Field, Wrongs, read_span, span, span_of, target_fields, target_groups, targets_of},
    named, refused, words,
};
use crate::{
    model::*,
    web::{
        auth::Admin,
        error::ApiError,
        pages::{
            ask::{Ask, Fields, back},
            connector_forms::AdminForm,
            frame::{Frame, Section},
            said::Said,
            text,
            ui::{self, Markup},
        },
        state::AppState,
    },
};

/// Steps that a form may have.
const MOST: usize = 23;
/// Empty steps to fill.
const EMPTY: usize = 2;

/// A step in the form.
#[derive(Debug)]
struct Step {
    number: usize,
    after: Markup,
    targets: Vec<Markup>,
}

#[derive(Template)]
#[template(path = "pages/notify/policy.html")]
struct PolicyPage {
    frame: Frame,
    id: Option<PolicyId>,
    heading: Markup,
    line: Markup,
    action: String,
    wrong: Vec<(String, Markup)>,
    fields: Vec<Markup>,
    steps: Vec<Step>,
}

fn blank(now: Time) -> EscalationPolicy {
    EscalationPolicy {
        id: PolicyId(0),
        name: String::new(),
        steps: Vec::new(),
        repeat: 0,
        unacknowledge_secs: None,
        created_at: now,
        created_by: String::new(),
        updated_at: now,
    }
}

/// The policy that a form says, on top of what is kept of it, and what cannot be read.
fn read(fields: &Fields, base: EscalationPolicy) -> (EscalationPolicy, Vec<Mistake>) {
    let mut wrong = Vec::new();
    let mut steps = Vec::new();
    for n in (0..MOST).take_while(|n| fields.checked(&format!("s{n}.after"))) {
        let targets = targets_of(fields, &format!("s{n}.target"));
        let after = fields.get(&format!("s{n}.after"));
        if targets.is_empty() && after.trim().is_empty() {
            continue;
        }
        let after_secs = read_span(after).unwrap_or_else(|what| {
            wrong.push(Mistake::new(format!("/steps/{}/after_secs", steps.len()), what));
            None
        });
        steps.push(EscalationStep { after_secs: after_secs.unwrap_or(0), targets });
    }
    let unacknowledge_secs = span_of(fields, "unacknowledge", "/unacknowledge_secs", &mut wrong);
    let repeat = match fields.get("repeat").trim() {
        "" => 0,
        n => n.parse().unwrap_or_else(|_| {
            wrong.push(Mistake::new("/repeat", "a whole number from 0 to 50 is needed"));
            0
        }),
    };
    let unacknowledge_secs = unacknowledge_secs.filter(|s| *s > 0);
    (EscalationPolicy { name: fields.get("name").trim().to_owned(), steps, repeat, unacknowledge_secs, ..base }, wrong)
}

async fn draw(
    state: &AppState,
    ask: &Ask,
    id: Option<PolicyId>,
    p: EscalationPolicy,
    typed: Option<&Fields>,
    wrong: Vec<Mistake>,
) -> Result<Response, ApiError> {
    let now = ask.now;
    let read = state.store.read(move |view| Read::of(view, now)).await?;
    let wrongs = Wrongs(wrong);
    let groups = target_groups(&read.telling, &read.people, "—");
    let blank = EscalationStep { after_secs: 0, targets: Vec::new() };
    let empty = std::iter::repeat_n(blank, EMPTY);
    let steps = p.steps.iter().cloned().chain(empty).enumerate().map(|(n, s)| {
        let value = match (n < p.steps.len(), s.after_secs) {
            (true, 0) => "0 min".to_owned(),
            (true, secs) => span(Some(secs)),
            (false, _) => String::new(),
        };
        let label = if n == 0 { "After the beginning" } else { "After the step before" };
        // The refusal of a policy without any stands at the first.
        let path = if p.steps.is_empty() && n == 0 { "/steps".to_owned() } else { format!("/steps/{n}/after_secs") };
        let targets = format!("s{n}.target");
        Step {
            number: n + 1,
            after: Field::text(format!("s{n}.after"), label, &value).placeholder("10 min").at(&wrongs, &path),
            targets: target_fields(&targets, "Tell", &groups, &s.targets, 2, &wrongs, &format!("/steps/{n}/targets")),
        }
    });
    let typed_or = |name: &str, set: String| typed.map_or(set, |t| t.get(name).to_owned());
    let heading = if id.is_some() { p.name.clone() } else { "New policy".to_owned() };
    let action = id.map_or_else(|| format!("{ON_CALL}/policies/new"), |id| format!("{ON_CALL}/policies/{id}"));
    let status = if wrongs.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let mut frame = ask.frame(&heading, Section::Settings, &read.overview, read.seq);
    frame.path.clone_from(&action);
    let page = PolicyPage {
        frame,
        id,
        heading: ui::foreign(&heading),
        line: ui::foreign(&text::shorten(&words::policy(&read.telling, &p), 600)),
        action,
        fields: vec![
            Field::text("name", "Name", &p.name).placeholder("Payments on-call").at(&wrongs, "/name"),
            Field::text("repeat", "Go through all steps again", &typed_or("repeat", p.repeat.to_string()))
                .help("So many times. 0: once only.")
                .at(&wrongs, "/repeat"),
            Field::text(
                "unacknowledge",
                "An acknowledgement holds for",
                &typed_or("unacknowledge", span(p.unacknowledge_secs)),
            )
            .placeholder("for good")
            .help("Such as 2 h. After that the incident is nobody's again, and the steps begin anew.")
            .at(&wrongs, "/unacknowledge_secs"),
        ],
        steps: steps.collect(),
        wrong: wrongs.all(),
    };
    Ok(ask.page(status, &page))
}

async fn known(state: &AppState, id: PolicyId) -> Result<EscalationPolicy, ApiError> {
    let found = state.store.read(move |view| Ok(view.telling()?.policies.get(&id.0).cloned())).await?;
    found.ok_or_else(|| ApiError::not_found(format_args!("escalation policy {id}")))
}

/// `GET /on-call/policies/new`
pub async fn new(State(state): State<AppState>, _: Admin, ask: Ask) -> Result<Response, ApiError> {
    let policy = blank(ask.now);
    draw(&state, &ask, None, policy, None, Vec::new()).await
}

/// `GET /on-call/policies/{id}`
pub async fn show(
    State(state): State<AppState>,
    _: Admin,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = named("escalation policy", &id)?;
    draw(&state, &ask, Some(id), known(&state, id).await?, None, Vec::new()).await
}

/// `POST /on-call/policies/new`
pub async fn add(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let base = blank(form.ask.now);
    taken(&state, None, base, form).await
}

/// `POST /on-call/policies/{id}`
pub async fn save(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let id = named("escalation policy", &id)?;
    let base = known(&state, id).await?;
    taken(&state, Some(id), base, form).await
}

async fn taken(
    state: &AppState,
    id: Option<PolicyId>,
    base: EscalationPolicy,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let (policy, mut wrong) = read(&form.fields, base);
    if wrong.is_empty() {
        match state.store.put_policy(id, policy.clone(), form.actor).await {
            Ok(_) => return Ok(back(&format!("{ON_CALL}#policies"), Some(Said::new("policy")))),
            Err(e) => wrong = refused(e)?,
        }
    }
    draw(state, &form.ask, id, policy, Some(&form.fields), wrong).await
}

/// `POST /on-call/policies/{id}/remove`
pub async fn remove(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let id = named("escalation policy", &id)?;
    let row = known(&state, id).await?;
    match state.store.remove_policy(id, form.actor).await {
        Ok(()) => Ok(back(ON_CALL, Some(Said::new("policy-gone")))),
        Err(e) => draw(&state, &form.ask, Some(id), row, None, refused(e)?).await,
    }
}
