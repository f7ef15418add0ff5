//! Your own source: where in its bodies the fields stand, tried before it is saved.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    ask::{Ask, Params, back},
    connector_forms::AdminForm,
    frame::{Frame, Section, counts_and_seq},
    said::Said,
    source_form::{Typed, Wrong, label, wrong_parts},
    text,
    ui::{self, Markup},
};
use crate::{
    config::options::SOURCE_OPTIONS,
    connectors::{
        Explained,
        declared::{Declared, Trial},
    },
    ingest::sources::{SourceError, Specimen},
    model::*,
    store::DeliveryFilter,
    web::{auth::Admin, error::ApiError, state::AppState},
};

/// Deliveries to choose from, and alerts that are shown.
const SHOWN: usize = 20;

/// One field of an alert, and where it was taken from.
#[derive(Debug)]
pub struct Found {
    pub(super) field: &'static str,
    pub(super) value: Option<String>,
    pub(super) from: Option<String>,
    pub(super) why: Markup,
}

/// One alert, field by field.
#[derive(Debug)]
pub struct FoundIn {
    pub(super) path: String,
    pub(super) fields: Vec<Found>,
}

/// A sentence of ours with foreign words in it; what stands between backticks is code.
pub(super) fn coded(text: &str) -> Markup {
    #[derive(Template)]
    #[template(
        source = "{% for (code, text) in parts %}{% if *code %}<code dir=\"auto\">{{ text }}</code>{% else %}{{ text }}{% endif %}{% endfor %}",
        ext = "html"
    )]
    struct Coded {
        parts: Vec<(bool, String)>,
    }
    let parts = text.split('`').enumerate().map(|(n, part)| (n % 2 == 1, text::visible(part)));
    Markup::of(&Coded { parts: parts.filter(|(_, part)| !part.is_empty()).collect() })
}

/// As pages show it.
pub fn found(explained: Vec<Explained>) -> Vec<FoundIn> {
    let field = |f: crate::connectors::Finding| Found {
        field: f.field,
        value: f.value.as_deref().map(text::visible),
        from: f.from.as_deref().map(text::visible),
        why: coded(&f.why),
    };
    explained
        .into_iter()
        .map(|e| FoundIn { path: text::visible(&e.path), fields: e.findings.into_iter().map(field).collect() })
        .collect()
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    label: String,
    value: String,
    example: &'static str,
    help: &'static str,
}

#[derive(Debug)]
struct Choice {
    value: String,
    name: String,
    checked: bool,
}

#[derive(Debug)]
struct SignalRow {
    status: &'static str,
    severity: Markup,
    title: Markup,
    key: Markup,
}

#[derive(Debug)]
struct Tried {
    of: &'static str,
    problem: Option<Markup>,
    warnings: Vec<Markup>,
    signals: Vec<SignalRow>,
    more: usize,
    found: Vec<FoundIn>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/source.html")]
pub struct SourcePage {
    frame: Frame,
    slug: Option<String>,
    typed_slug: String,
    sub: &'static str,
    action: String,
    fixed: bool,
    failed: &'static str,
    errors: Vec<Wrong>,
    tried: Option<Tried>,
    fields: Vec<Field>,
    specimens: Vec<Choice>,
    sample: String,
}

impl SourcePage {
    fn wrong(&self, field: &str) -> bool {
        self.at(field).next().is_some()
    }

    /// What is wrong with a field.
    fn at<'a>(&'a self, field: &str) -> impl Iterator<Item = &'a Markup> {
        self.errors.iter().filter(move |e| e.field == field).map(|e| &e.what)
    }
}

/// What was done, for the page that follows.
struct Outcome {
    status: StatusCode,
    failed: &'static str,
    errors: Vec<Wrong>,
    tried: Option<Tried>,
}

impl Outcome {
    const NONE: Self = Self { status: StatusCode::OK, failed: "", errors: Vec::new(), tried: None };

    fn wrong(failed: &'static str, errors: Vec<Wrong>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, failed, errors, tried: None }
    }
}

async fn draw(
    state: &AppState,
    ask: &Ask,
    slug: Option<&str>,
    fixed: bool,
    typed: Typed,
    outcome: Outcome,
) -> Result<Response, ApiError> {
    let now = ask.now;
    // Before it has received anything of its own, there is what the generic connector got.
    let platforms: Vec<String> = slug.into_iter().chain(["generic"]).map(str::to_owned).collect();
    let (overview, seq, rows) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let mut rows = Vec::new();
            for platform in platforms {
                let filter = DeliveryFilter { platform: Some(platform), outcome: None, ..DeliveryFilter::default() };
                rows.extend(view.deliveries(&filter, None, SHOWN / 2)?.items);
            }
            Ok((overview, seq, rows))
        })
        .await?;
    let mut specimens =
        vec![Choice { value: String::new(), name: "the body below".to_owned(), checked: typed.on.is_empty() }];
    for row in rows {
        let value = row.id.to_string();
        let title =
            row.title.as_deref().map_or_else(|| "no title".to_owned(), |t| text::visible(&text::shorten(t, 40)));
        let name = format!("{title}, {} ago ({})", ui::duration(now.since(row.at)), text::visible(&row.platform));
        specimens.push(Choice { checked: value == typed.on, value, name });
    }
    if !typed.on.is_empty() && specimens.iter().all(|s| !s.checked) {
        let name = format!("delivery {}", text::visible(&text::shorten(&typed.on, 60)));
        specimens.push(Choice { value: typed.on.clone(), name, checked: true });
    }
    let value = |name: &str| typed.values.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v.as_str()).to_owned();
    let fields = SOURCE_OPTIONS.iter().filter(|o| o.key != "sample").map(|o| Field {
        name: o.key,
        label: label(o.key),
        value: value(o.key),
        example: o.example,
        help: o.help,
    });
    let page = SourcePage {
        frame: ask.frame("Your own source", Section::Connectors, &overview, seq),
        typed_slug: typed.slug.clone(),
        sub: "Say once where the fields of an alert stand in what it sends; then it is a connector like any other.",
        action: match slug {
            Some(slug) => format!("/connectors/{slug}/declaration"),
            None => "/connectors/new".to_owned(),
        },
        slug: slug.map(str::to_owned),
        fixed,
        failed: outcome.failed,
        errors: outcome.errors,
        tried: outcome.tried,
        fields: fields.collect(),
        specimens,
        sample: typed.sample,
    };
    Ok(ask.page(outcome.status, &page))
}

/// `GET /connectors/new?delivery=`
pub async fn new(
    State(state): State<AppState>,
    _: Admin,
    ask: Ask,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let on = params.get("delivery").parse::<DeliveryId>().map(|id| id.to_string()).unwrap_or_default();
    draw(&state, &ask, None, false, Typed { on, ..Typed::default() }, Outcome::NONE).await
}

/// `POST /connectors/new`: tries it or makes it.
pub async fn make(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    act(&state, form, None, false).await
}

fn declared(state: &AppState, slug: &str) -> Result<std::sync::Arc<Declared>, ApiError> {
    let found = state.shared.door.registry.find(slug);
    let declared = found.as_ref().and_then(|handle| handle.declared()).cloned();
    declared.ok_or_else(|| ApiError::not_found(format_args!("source of your own “{}”", text::shorten(slug, 40))))
}

/// `GET /connectors/{platform}/declaration`
pub async fn show(
    State(state): State<AppState>,
    _: Admin,
    ask: Ask,
    Path(slug): Path<String>,
) -> Result<Response, ApiError> {
    let declared = declared(&state, &slug)?;
    let typed = Typed::of_declared(&declared, &slug);
    let errors = wrong_parts(declared.faults());
    let outcome = Outcome { failed: "This does not work any more, and nothing is read.", errors, ..Outcome::NONE };
    draw(&state, &ask, Some(&slug), declared.is_fixed(), typed, outcome).await
}

/// `POST /connectors/{platform}/declaration`: tries it, saves it or removes it.
pub async fn change(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let fixed = declared(&state, &slug)?.is_fixed();
    act(&state, form, Some(&slug), fixed).await
}

async fn act(state: &AppState, form: AdminForm, slug: Option<&str>, fixed: bool) -> Result<Response, ApiError> {
    let door = state.door();
    let AdminForm { ask, actor, fields } = form;
    if let ("remove", Some(slug)) = (fields.get("do"), slug) {
        door.remove_source(slug, actor).await?;
        return Ok(back("/connectors", Some(Said::new("source-gone"))));
    }
    let mut typed = Typed::of_form(&fields);
    if let Some(slug) = slug {
        typed.slug = slug.to_owned();
    }
    let saving = fields.get("do") == "save";
    // What is tried needs no name yet.
    let name = if typed.slug.is_empty() && !saving { "your-own".to_owned() } else { typed.slug.clone() };
    let declaration = match typed.declaration(&name, fixed) {
        Ok(declaration) => declaration,
        Err(wrong) => {
            let failed = if saving { "Not saved." } else { "It cannot be tried like this." };
            return draw(state, &ask, slug, fixed, typed, Outcome::wrong(failed, wrong)).await;
        }
    };
    if saving {
        let done = match slug {
            Some(slug) => door.change_source(slug, declaration, actor).await,
            None => door.add_source(&name, declaration, actor).await,
        };
        return match done {
            Ok(()) => Ok(back(&format!("/connectors/{name}"), Some(Said::new("saved")))),
            Err(e @ (SourceError::Exists(_) | SourceError::TooMany)) => {
                let wrong = Wrong { field: "slug", what: ui::foreign(&e.to_string()) };
                draw(state, &ask, slug, fixed, typed, Outcome::wrong("Not saved.", vec![wrong])).await
            }
            Err(e) => Err(e.into()),
        };
    }
    let (specimen, of) = match typed.on.parse::<DeliveryId>() {
        Ok(id) => (Specimen::Delivery(id), "that delivery"),
        Err(_) => (Specimen::Body(typed.sample.clone().into_bytes()), "the body below"),
    };
    let outcome = match door.try_source(&name, declaration, specimen).await {
        Ok(trial) => Outcome { tried: Some(tried(trial, of)), ..Outcome::NONE },
        Err(e @ SourceError::NoDelivery(_)) => {
            let wrong = Wrong { field: "on", what: ui::foreign(&e.to_string()) };
            Outcome::wrong("It could not be tried.", vec![wrong])
        }
        Err(e) => return Err(e.into()),
    };
    draw(state, &ask, slug, fixed, typed, outcome).await
}

fn tried(trial: Trial, of: &'static str) -> Tried {
    let (signals, problem) = match trial.parsed {
        Ok(parsed) => (parsed.signals, None),
        Err(problem) => (Vec::new(), Some(coded(&problem.detail))),
    };
    let row = |s: &Signal| SignalRow {
        status: s.status.as_str(),
        severity: ui::severity(s.severity),
        title: ui::foreign(&s.title),
        key: ui::foreign(&s.dedup_key),
    };
    Tried {
        of,
        problem,
        warnings: trial.warnings.iter().map(|w| coded(w)).collect(),
        more: signals.len().saturating_sub(SHOWN),
        signals: signals.iter().take(SHOWN).map(row).collect(),
        found: found(trial.explained),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{connectors::Request, web::pages::samples};

    #[test]
    fn what_was_tried_stays_text() {
        let evil = "<script>alert(1)</script>";
        let declaration = Declaration { link: Some("item.x".into()), ..Declaration::default() };
        let declared = Declared::new("ab", declaration, false).unwrap();
        let body = serde_json::json!({"title": evil, "x": evil, "id": evil}).to_string();
        let now = samples::now();
        let request = Request { headers: &[], query: &[], body: body.as_bytes(), received_at: now, rca_enabled: false };
        let page = SourcePage {
            frame: samples::frame("Your own source", Section::Connectors),
            slug: Some("ab".into()),
            typed_slug: evil.into(),
            sub: "",
            action: "/connectors/ab/declaration".into(),
            fixed: true,
            failed: "Not saved.",
            errors: vec![Wrong { field: "title", what: ui::foreign(evil) }],
            tried: Some(tried(declared.try_on(&request), "the body below")),
            fields: Vec::new(),
            specimens: vec![Choice { value: evil.into(), name: evil.into(), checked: true }],
            sample: evil.into(),
        };
        let html = page.render().unwrap();
        assert!(!html.contains("<script>alert"), "{html}");
        assert!(html.contains("cannot be used for it") && html.contains("/title") && html.contains("Not saved."));
    }
}
