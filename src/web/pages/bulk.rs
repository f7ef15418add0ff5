//! One action on many incidents of the list: those that are checked, or all that its query shows.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde_json::json;

use super::{
    act::{Act, Form, gone_to, reason, snoozed_until},
    ask::{Fields, back, json},
    list::list_page,
    said::Said,
    text, ui,
};
use crate::{
    connectors,
    model::*,
    store::{CommandError, IncidentPatch, StoreError, View},
    web::{auth::Client, error::ApiError, query, state::AppState, undo::Undo},
};

/// Incidents of one action on all that match, as for the API.
const ALL: usize = 1_000;
/// Incidents that a page has at most.
const CHECKED: usize = 200;
/// Refusals that are told one by one.
const TOLD: usize = 10;

enum What {
    Acknowledge,
    Resolve(Option<String>),
    Assign(Option<String>),
    Snooze(Time),
}

impl What {
    fn of(fields: &Fields, now: Time) -> Result<Self, ApiError> {
        match fields.get("do") {
            "acknowledge" => Ok(Self::Acknowledge),
            "resolve" => Ok(Self::Resolve(reason(fields))),
            "assign" => Ok(Self::Assign(Some(connectors::line(fields.get("owner"), 200)).filter(|o| !o.is_empty()))),
            other => match other.strip_prefix("snooze-").and_then(|how| snoozed_until(how, now)) {
                Some(until) => Ok(Self::Snooze(until)),
                None => Err(ApiError::invalid("do", "acknowledge, resolve, assign, merge or snooze-60")),
            },
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledged",
            Self::Resolve(_) => "resolved",
            Self::Assign(_) => "assigned",
            Self::Snooze(_) => "snoozed",
        }
    }

    /// Who has them afterwards; none where that does not change.
    fn owner(&self, actor: &Actor) -> Option<Option<String>> {
        match self {
            Self::Acknowledge => Some(Some(actor.to_string())),
            Self::Assign(owner) => Some(owner.clone()),
            Self::Resolve(_) | Self::Snooze(_) => None,
        }
    }

    async fn to(&self, state: &AppState, id: IncidentId, actor: Actor) -> Result<Incident, CommandError> {
        match self {
            Self::Acknowledge => state.store.acknowledge(id, actor).await,
            Self::Resolve(reason) => state.store.resolve(id, reason.clone(), actor).await,
            Self::Assign(owner) => {
                let patch = IncidentPatch { owner: Some(owner.clone()), ..IncidentPatch::default() };
                state.store.patch_incident(id, patch, actor).await
            }
            Self::Snooze(until) => state.store.snooze(id, *until, actor).await,
        }
    }
}

/// `POST /incidents/bulk`
pub async fn bulk(State(state): State<AppState>, client: Client, form: Form) -> Result<Response, ApiError> {
    let ids: Vec<IncidentId> = if form.fields.checked("all") {
        let me = form.ask.identity.name();
        query::matching(&state, form.fields.get("q"), &me, form.ask.now, ALL).await?
    } else {
        form.fields.all("id").iter().filter_map(|i| i.parse().ok()).take(CHECKED).collect()
    };
    if form.fields.get("do") == "merge" {
        let into = ids.iter().min().copied().ok_or_else(|| ApiError::invalid("id", "choose some incidents"))?;
        let from: Vec<IncidentId> = ids.into_iter().filter(|id| *id != into).collect();
        let result = state.store.merge_incidents(into, from, form.actor.clone()).await;
        let act = Act::of("merged", "Not merged.");
        // To the one that goes on, not back to the list.
        let fields = Fields(Vec::new());
        return gone_to(&state, Form { fields, ..form }, into, act, result.map(|i| i.id)).await;
    }
    let what = What::of(&form.fields, form.ask.now)?;
    let owners = {
        let ids = ids.clone();
        let owner = |view: &View, id| Ok::<_, StoreError>(view.incident(id)?.and_then(|i| i.owner));
        state.store.read(move |view| ids.into_iter().map(|id| Ok((id, owner(view, id)?))).collect()).await?
    };
    let owners: BTreeMap<IncidentId, Option<String>> = owners;
    let mut back_to = Vec::new();
    let mut asleep = Vec::new();
    let mut done = 0;
    let mut refused: Vec<(IncidentId, String)> = Vec::new();
    for id in ids {
        match what.to(&state, id, form.actor.clone()).await {
            Ok(now) => {
                done += 1;
                if matches!(what, What::Snooze(_)) {
                    asleep.push(id);
                }
                back_to
                    .extend(owners.get(&id).filter(|before| **before != now.owner).map(|before| (id, before.clone())));
            }
            Err(CommandError::Store(e)) => return Err(e.into()),
            Err(CommandError::Conflict { detail, .. } | CommandError::Invalid { detail, .. }) => {
                refused.push((id, detail));
            }
            Err(e) => refused.push((id, e.to_string())),
        }
    }
    let owners = what.owner(&form.actor).filter(|_| !back_to.is_empty());
    let owners = owners.map(|now| Undo::Owners { back: back_to, now });
    let undo = owners.or_else(|| (!asleep.is_empty()).then_some(Undo::Snooze(asleep)));
    let undo = undo.map(|undo| state.shared.undos.keep(&form.ask.identity.name(), undo, form.ask.now));
    let said = Said::many(what.word(), done, u32::try_from(refused.len()).unwrap_or(u32::MAX)).undone_by(undo);
    if form.ask.script {
        let undo = undo.map(|n| format!("/undo/{n}"));
        let rows: Vec<_> = refused.iter().map(|(id, why)| json!({"id": id, "why": text::visible(why)})).collect();
        return Ok(json(StatusCode::OK, &json!({"said": said.to_string(), "rows": rows, "undo": undo})));
    }
    let to = match form.fields.get("to") {
        "" => "/incidents",
        to => to,
    };
    if refused.is_empty() {
        return Ok(back(to, Some(said)));
    }
    // What became of each cannot be carried over a redirect: the list is the answer.
    let told = refused.iter().take(TOLD).map(|(id, why)| format!("{id}: {why}."));
    let more = refused.len().saturating_sub(TOLD);
    let more = (more > 0).then(|| format!("And {more} more."));
    let banner = Partly { done: said.to_string(), why: told.chain(more).collect() };
    let params = Fields::parse(to.split_once('?').map_or("", |(_, q)| q).as_bytes());
    let page = list_page(&state, &form.ask, &client, &params, Some(ui::Markup::of(&banner))).await?;
    Ok(form.ask.page(StatusCode::CONFLICT, &page))
}

#[derive(askama::Template)]
#[template(
    source = "<div class=\"banner bad\" role=\"alert\" id=\"refused\">{{ ui::icon(\"warn\") }}<span class=\"grow\"><b>{{ done }}.</b>{% for w in why %}<br>{{ w }}{% endfor %}</span></div>",
    ext = "html"
)]
struct Partly {
    done: String,
    why: Vec<String>,
}
