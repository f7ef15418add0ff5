//! What makes a connector's alerts the same: the part of its page that sets it, and tries it before.

use askama::{Template, filters::HtmlSafe};
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    connector::{Answer, draw},
    connector_forms::{AdminForm, outcome},
    text,
    ui::{self, Markup},
};
use crate::{
    ingest::identity::{Regroup, Trial},
    model::*,
    web::{
        api::{
            connector_identity::{LAST, identity_fields},
            connectors::{ConnectorPatch, apply, identity_warnings},
        },
        auth::Client,
        error::ApiError,
        state::AppState,
    },
};

/// Groups of alerts on the page.
const SHOWN: usize = 10;

/// Alerts that would be one, or one that would be several.
#[derive(Debug)]
struct Group {
    what: &'static str,
    count: String,
    one: Markup,
    several: Vec<(Markup, Markup)>,
    more: usize,
}

/// What was tried.
#[derive(Debug)]
struct Tried {
    of: String,
    now: String,
    then: String,
    warnings: Vec<Markup>,
    groups: Vec<Group>,
    more: usize,
}

/// The panel.
#[derive(Debug, Template)]
#[template(path = "fragments/identity.html")]
pub struct Identity {
    slug: String,
    name: String,
    may: bool,
    fixed: bool,
    set: bool,
    text: String,
    warnings: Vec<Markup>,
    wrong: Option<String>,
    tried: Option<Tried>,
}
impl HtmlSafe for Identity {}

impl Identity {
    /// As it is set, or as it was typed.
    pub fn new(
        (slug, name): (&str, &str),
        settings: &ConnectorSettings,
        counters: &ConnectorCounters,
        (may, fixed): (bool, bool),
        (typed, wrong): (Option<&str>, Option<&str>),
        tried: Option<&Trial>,
    ) -> Self {
        let set: Vec<String> = settings.identity.iter().map(ToString::to_string).collect();
        Self {
            slug: slug.to_owned(),
            name: name.to_owned(),
            may,
            fixed,
            set: !set.is_empty(),
            text: typed.map_or_else(|| text::visible(&set.join("\n")), text::visible),
            warnings: identity_warnings(&settings.identity, counters).iter().map(|w| ui::foreign(w)).collect(),
            wrong: wrong.map(str::to_owned),
            tried: tried.map(Tried::of),
        }
    }
}

impl Tried {
    fn of(t: &Trial) -> Self {
        let group = |what| {
            move |r: &Regroup| Group {
                what,
                count: ui::plural(r.count as u64, "alert"),
                one: ui::foreign(&text::shorten(&r.one.key, 200)),
                several: r
                    .several
                    .iter()
                    .map(|t| (ui::foreign(&t.title), ui::foreign(&text::shorten(&t.key, 200))))
                    .collect(),
                more: r.count.saturating_sub(r.several.len()),
            }
        };
        let groups: Vec<Group> = t
            .together
            .iter()
            .take(SHOWN)
            .map(group("fall together"))
            .chain(t.apart.iter().take(SHOWN).map(group("come of one")))
            .collect();
        Self {
            of: format!(
                "{} in the last {}",
                ui::plural(t.signals as u64, "signal"),
                ui::plural(t.deliveries as u64, "webhook")
            ),
            now: ui::count(t.alerts_now as u64),
            then: ui::plural(t.alerts_then as u64, "alert"),
            warnings: t.warnings().iter().map(|w| ui::foreign(w)).collect(),
            more: (t.together_total + t.apart_total).saturating_sub(groups.len()),
            groups,
        }
    }
}

/// `POST /connectors/{platform}/identity`: tries the fields, saves them, or goes back to the connector's own rule.
pub async fn identity(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    client: Client,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let own = form.fields.get("do") == "own";
    let texts: Vec<String> = match own {
        true => Vec::new(),
        false => {
            let texts = form.fields.get("fields").split(['\n', ',']).map(str::trim);
            texts.filter(|t| !t.is_empty()).map(str::to_owned).collect()
        }
    };
    let result = match identity_fields(&texts, "/fields") {
        Ok(fields) if fields.is_empty() && !own => {
            Err(ApiError::invalid("/fields", "name at least one field, or go back to the connector's own rule"))
        }
        Ok(fields) if form.fields.get("do") == "try" => {
            let tried = Some(state.door().try_identity(&slug, fields, LAST).await?);
            let answer = Answer { identity: tried, typed: form.fields, ..Answer::default() };
            return draw(&state, &form.ask, &client, &slug, StatusCode::OK, answer).await;
        }
        Ok(_) => {
            let patch = ConnectorPatch { identity: Some(texts), ..ConnectorPatch::default() };
            apply(&state, &slug, patch, form.actor.clone()).await
        }
        Err(e) => Err(e),
    };
    outcome(&state, &client, &slug, form, "identity", result).await
}
