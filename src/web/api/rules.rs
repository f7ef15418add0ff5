//! Rules of who is told what.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{listing, patched::patched};
use crate::{
    model::*,
    web::{
        auth::{Admin, Viewer},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

/// Between two rules, so that one can be put in between.
const STEP: u32 = 10;

listing! {
    /// Rules, in the order in which they are looked at.
    Rules { rules: NoticeRule }
}

/// A rule as people set it. What is left out is as it says here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RuleBody {
    /// 1 to 100 characters.
    name: String,
    /// It is looked at; yes.
    enabled: bool,
    /// Its place among the rules, lower first; behind all others.
    position: Option<u32>,
    /// Incidents of this severity and worse; all.
    from: Option<Severity>,
    /// All of these must hold; every incident.
    matchers: Vec<Matcher>,
    /// And this, an expression that must be true: `severity in ["critical", "high"] and "db" in service`; none.
    condition: Option<String>,
    /// And it is one of these hours when the incident opens; at any.
    times: Option<WeekTimes>,
    /// What is told; that it opens, gets worse, is taken and is over.
    events: Vec<NoticeEvent>,
    /// Whom.
    targets: Vec<Target>,
    /// Who is told when nobody acknowledges.
    policy: Option<PolicyId>,
    /// Holds the first message back for so many seconds; it is not sent if the incident is over by then.
    wait_secs: u32,
    /// Gathers for so many seconds what goes to the same target, and tells it at once.
    gather_secs: u32,
    /// When it keeps quiet; never.
    quiet: Option<Quiet>,
    /// Reminds of an open incident after so many seconds, again and again; never.
    remind_secs: Option<u32>,
    /// Rules behind it are not looked at for an incident that fits this one; no.
    last: bool,
}

impl Default for RuleBody {
    fn default() -> Self {
        Self {
            name: String::new(),
            enabled: true,
            position: None,
            from: None,
            matchers: Vec::new(),
            condition: None,
            times: None,
            events: vec![
                NoticeEvent::Opened,
                NoticeEvent::SeverityUp,
                NoticeEvent::Acknowledged,
                NoticeEvent::Resolved,
            ],
            targets: Vec::new(),
            policy: None,
            wait_secs: 0,
            gather_secs: 0,
            quiet: None,
            remind_secs: None,
            last: false,
        }
    }
}

impl RuleBody {
    /// The row, but for what the store keeps of it.
    pub fn row(self, position: u32) -> NoticeRule {
        NoticeRule {
            id: RuleId::default(),
            name: self.name,
            enabled: self.enabled,
            position: self.position.unwrap_or(position),
            from: self.from,
            matchers: self.matchers,
            condition: self.condition,
            times: self.times,
            events: self.events,
            targets: self.targets,
            policy: self.policy,
            wait_secs: self.wait_secs,
            gather_secs: self.gather_secs,
            quiet: self.quiet,
            remind_secs: self.remind_secs,
            last: self.last,
            created_at: Time::default(),
            created_by: String::new(),
            updated_at: Time::default(),
        }
    }
}

impl From<NoticeRule> for RuleBody {
    fn from(r: NoticeRule) -> Self {
        Self {
            name: r.name,
            enabled: r.enabled,
            position: Some(r.position),
            from: r.from,
            matchers: r.matchers,
            condition: r.condition,
            times: r.times,
            events: r.events,
            targets: r.targets,
            policy: r.policy,
            wait_secs: r.wait_secs,
            gather_secs: r.gather_secs,
            quiet: r.quiet,
            remind_secs: r.remind_secs,
            last: r.last,
        }
    }
}

fn id(text: &str) -> Result<RuleId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(format!("rule `{}`", text.chars().take(60).collect::<String>())))
}

async fn one(state: &AppState, id: RuleId) -> Result<NoticeRule, ApiError> {
    let found = state.store.read(move |view| Ok(view.telling()?.rule(id).cloned())).await?;
    found.ok_or_else(|| ApiError::not_found(format!("rule {id}")))
}

/// Rules in the order in which they are looked at.
#[utoipa::path(get, path = "/api/rules", tag = "notifications", operation_id = "rules_list", responses((status = 200, body = Rules)))]
pub async fn list(_: Viewer, State(state): State<AppState>) -> Result<Answer<Rules>, ApiError> {
    let telling = state.store.read(|view| view.telling()).await?;
    Ok(Answer(Rules::all(telling.book().rules.iter().map(|r| r.row.clone()).collect())))
}

/// Makes a rule. It holds for what happens from now on.
#[utoipa::path(post, path = "/api/rules", tag = "notifications", operation_id = "rule_make", request_body = RuleBody,
    responses((status = 201, body = NoticeRule), (status = 422, description = "every mistake with its place")))]
pub async fn make(
    who: Admin,
    State(state): State<AppState>,
    Json(new): Json<RuleBody>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<NoticeRule>), ApiError> {
    let last = state.store.read(|view| Ok(view.telling()?.rules().map(|r| r.position).max())).await?;
    let row = new.row(last.unwrap_or_default().saturating_add(STEP));
    let made = state.store.put_notice_rule(None, row, who.actor).await?;
    let location = [(header::LOCATION, format!("/api/rules/{}", made.id))];
    Ok((StatusCode::CREATED, location, Answer(made)))
}

/// One rule.
#[utoipa::path(get, path = "/api/rules/{id}", tag = "notifications", operation_id = "rule_get", params(("id" = String, Path)),
    responses((status = 200, body = NoticeRule)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<Answer<NoticeRule>, ApiError> {
    Ok(Answer(one(&state, id(&named)?).await?))
}

/// Sets all of a rule; what is left out is as it is for a new one, but for its place.
#[utoipa::path(put, path = "/api/rules/{id}", tag = "notifications", operation_id = "rule_put", request_body = RuleBody,
    params(("id" = String, Path)), responses((status = 200, body = NoticeRule), (status = 422, description = "every mistake with its place")))]
pub async fn put(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
    Json(body): Json<RuleBody>,
) -> Result<Answer<NoticeRule>, ApiError> {
    let before = one(&state, id(&named)?).await?;
    Ok(Answer(state.store.put_notice_rule(Some(before.id), body.row(before.position), who.actor).await?))
}

/// Changes some of a rule; null takes a value back to what it is for a new one.
#[utoipa::path(patch, path = "/api/rules/{id}", tag = "notifications", operation_id = "rule_change", request_body = RuleBody,
    params(("id" = String, Path)), responses((status = 200, body = NoticeRule), (status = 422, description = "every mistake with its place")))]
pub async fn change(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
    Json(patch): Json<Map<String, Value>>,
) -> Result<Answer<NoticeRule>, ApiError> {
    let before = one(&state, id(&named)?).await?;
    let (id, position) = (before.id, before.position);
    let row = patched(&RuleBody::from(before), patch)?.row(position);
    Ok(Answer(state.store.put_notice_rule(Some(id), row, who.actor).await?))
}

/// Removes a rule. What it has waiting is dropped.
#[utoipa::path(delete, path = "/api/rules/{id}", tag = "notifications", operation_id = "rule_remove", params(("id" = String, Path)),
    responses((status = 204)))]
pub async fn remove(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.store.remove_notice_rule(id(&named)?, who.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
