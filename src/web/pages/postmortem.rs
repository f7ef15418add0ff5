//! One postmortem: read, edited part by part, compared with earlier versions.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    ask::{Ask, Params},
    frame::{Frame, Section, counts_and_seq},
    markdown,
    panels::EvidenceList,
    postmortem_diff::{Compared, Diff},
    read::incident_id,
    text,
    time::{self, When},
    ui::{self, Markup},
};
use crate::{
    model::*,
    postmortem,
    web::{
        api::postmortems::{newer_draft, today},
        error::ApiError,
        state::AppState,
    },
};

/// Versions listed.
const VERSIONS: usize = 30;
/// Empty rows for actions that are added.
const BLANK: usize = 3;

/// What is edited besides sections.
pub const TITLE: &str = "title";
/// As `TITLE`.
pub const ACTIONS: &str = "actions";

/// An action as it stands in the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypedAction {
    /// In one sentence; empty for one that is not there.
    pub text: String,
    /// Who does it.
    pub owner: String,
    /// `2026-03-13`
    pub due: String,
    /// A word of `ActionState`.
    pub state: String,
}

/// What was typed into a form that was not done.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    /// A section's key, `title` or `actions`.
    pub part: String,
    /// The text of the section, or the title.
    pub text: String,
    /// The actions.
    pub actions: Vec<TypedAction>,
    /// What is wrong with it; none when somebody else was faster.
    pub error: Option<String>,
}

/// What the page is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The part to edit.
    pub edit: Option<String>,
    /// What was typed into it.
    pub typed: Option<Typed>,
    /// The version to compare with what stands.
    pub compare: Option<u64>,
    /// Something else that was refused.
    pub refused: Option<String>,
}

/// The name of a part.
pub fn part_title(key: &str) -> Option<&'static str> {
    match key {
        TITLE => Some("Title"),
        ACTIONS => Some("Actions"),
        key => key.parse::<PostmortemSection>().ok().map(PostmortemSection::title),
    }
}

/// A section.
#[derive(Debug)]
pub struct Part {
    key: &'static str,
    title: &'static str,
    html: Markup,
    empty: bool,
    others: Option<Markup>,
    form: Option<PartForm>,
}

/// The form of a section, of the title or of the actions.
#[derive(Debug)]
pub struct PartForm {
    text: String,
    rows: Vec<TypedAction>,
    error: Option<Markup>,
    theirs: Option<Diff>,
}

/// An action as it is read.
#[derive(Debug)]
pub struct ActionRow {
    text: Markup,
    owner: Markup,
    due: String,
    overdue: bool,
    state: &'static str,
    class: &'static str,
}

/// A version in the list.
#[derive(Debug)]
pub struct VersionRow {
    version: u64,
    stands: bool,
    by: Markup,
    what: Markup,
    at: When,
}

/// What is written.
#[derive(Debug)]
pub struct Doc {
    version: u64,
    published: Option<Markup>,
    may_publish: bool,
    lasted: String,
    span: String,
    reached: Markup,
    reached_note: String,
    led: Markup,
    with: Option<Markup>,
    parts: Vec<Part>,
    title_form: Option<PartForm>,
    title_others: Option<Markup>,
    actions: Vec<ActionRow>,
    actions_form: Option<PartForm>,
    actions_others: Option<Markup>,
    gaps: Option<String>,
    newer_draft: Option<u64>,
    versions: Vec<VersionRow>,
    more_versions: bool,
    editing: Option<&'static str>,
    compared: Option<Compared>,
    has_evidence: bool,
    evidence: EvidenceList,
    markdown: String,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/postmortem.html")]
pub struct PostmortemPage {
    frame: Frame,
    id: IncidentId,
    title: Markup,
    severity: Markup,
    merged_into: Option<IncidentId>,
    refused: Option<String>,
    may_act: bool,
    doc: Option<Doc>,
}

/// All of one snapshot.
struct Read {
    incident: Incident,
    postmortem: Option<Postmortem>,
    versions: Vec<PostmortemVersion>,
    newer_draft: Option<u64>,
    compared: Option<PostmortemVersion>,
    evidence: Vec<Evidence>,
}

/// `GET /postmortems/{id}?edit=&compare=&left=`
pub async fn show(
    State(state): State<AppState>,
    ask: Ask,
    Path(id): Path<String>,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let me = ask.identity.name();
    let left = params.get("left");
    if !left.is_empty() {
        state.shared.editing.end(id, left, &me);
    }
    let edit = Some(params.get("edit").to_owned()).filter(|e| part_title(e).is_some());
    let wanted = Wanted { edit, compare: params.get("compare").parse().ok(), ..Wanted::default() };
    page(&state, &ask, id, wanted, StatusCode::OK).await
}

/// The page as it is wanted.
pub async fn page(
    state: &AppState,
    ask: &Ask,
    id: IncidentId,
    wanted: Wanted,
    status: StatusCode,
) -> Result<Response, ApiError> {
    let now = ask.now;
    let compare = wanted.compare;
    let (overview, seq, read) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let Some(incident) = view.incident(id)? else { return Ok((overview, seq, None)) };
            let postmortem = view.postmortem(id)?;
            let read = Read {
                versions: view.postmortem_versions(id, None, VERSIONS + 1)?,
                newer_draft: postmortem.as_ref().map(|p| newer_draft(view, p)).transpose()?.flatten(),
                compared: compare.map(|n| view.postmortem_version(id, n)).transpose()?.flatten(),
                evidence: view.investigation(id)?.evidence,
                postmortem,
                incident,
            };
            Ok((overview, seq, Some(read)))
        })
        .await?;
    let read = read.ok_or_else(|| ApiError::not_found(id))?;
    if let (Some(n), None, Some(_)) = (compare, &read.compared, &read.postmortem) {
        return Err(ApiError::not_found(format_args!("version {n} of the postmortem of {id}")));
    }
    let may_act = ask.identity.may_act() && read.incident.status != IncidentStatus::Merged;
    let wanted = Wanted { edit: wanted.edit.filter(|_| may_act && read.postmortem.is_some()), ..wanted };
    let me = ask.identity.name();
    if let Some(part) = &wanted.edit {
        state.shared.editing.begin(id, part, &me, now);
    }
    let others = state.shared.editing.others(id, &me, now);
    let heading = read.postmortem.as_ref().map_or(&read.incident.title, |p| &p.text.title);
    let page = PostmortemPage {
        id,
        title: ui::foreign(heading),
        severity: ui::severity(read.incident.severity),
        merged_into: read.incident.merged_into,
        may_act,
        frame: Frame {
            title: text::visible(&format!("Postmortem {id}")),
            ..ask.frame("", Section::Postmortems, &overview, seq)
        },
        doc: read.postmortem.as_ref().map(|p| Doc::new(p, &read, &wanted, &others, now)),
        refused: wanted.refused,
    };
    Ok(ask.page(status, &page))
}

/// `GET /postmortems/{id}/editors`: part by part, who else is editing it, for the page that is open.
pub async fn editors(
    State(state): State<AppState>,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Json<BTreeMap<String, String>>, ApiError> {
    let others = state.shared.editing.others(incident_id(&id)?, &ask.identity.name(), ask.now);
    let parts: BTreeSet<&String> = others.iter().map(|(part, _)| part).collect();
    Ok(Json(parts.into_iter().filter_map(|p| Some((p.clone(), editing_words(&others, p)?))).collect()))
}

/// `kim is editing this.`
fn editor(others: &[(String, String)], part: &str) -> Option<Markup> {
    editing_words(others, part).map(|words| ui::foreign(&words))
}

fn editing_words(others: &[(String, String)], part: &str) -> Option<String> {
    let names: Vec<&str> = others.iter().filter(|(p, _)| p == part).map(|(_, who)| who.as_str()).collect();
    let is = if names.len() == 1 { "is" } else { "are" };
    let title = part_title(part)?;
    (!names.is_empty()).then(|| text::visible(&format!("{} {is} editing {title}", names.join(" and "))))
}

impl Doc {
    fn new(p: &Postmortem, read: &Read, wanted: &Wanted, others: &[(String, String)], now: Time) -> Self {
        let i = &read.incident;
        let form = |part: &str| PartForm::new(p, wanted, part);
        let section = |section: &PostmortemSection| {
            let source = p.text.section(*section);
            Part {
                key: section.as_str(),
                title: section.title(),
                html: markdown::markup(source, &read.evidence),
                empty: source.trim().is_empty(),
                others: editor(others, section.as_str()),
                form: form(section.as_str()),
            }
        };
        let onset = i.onset_at.min(i.detected_at);
        let zone = time::zone_name(onset);
        let span = match i.resolved_at {
            Some(at) if time::date(at) == time::date(onset) => {
                format!("{}, {} to {}\u{a0}{zone}", time::date(onset), time::clock_short(onset), time::clock_short(at))
            }
            Some(at) => format!("{} to {}\u{a0}{zone}", day_and_time(onset), day_and_time(at)),
            None => format!("since {}\u{a0}{zone}", day_and_time(onset)),
        };
        let services = match i.affected_services.as_slice() {
            [] => i.host.clone().unwrap_or_else(|| "not known".to_owned()),
            [one] => one.clone(),
            many => format!("{} services", many.len()),
        };
        let mut writers: Vec<&str> = Vec::new();
        for v in read.versions.iter().filter(|v| v.kind != VersionKind::Draft) {
            if Some(&v.by) != i.owner.as_ref() && !writers.contains(&v.by.as_str()) {
                writers.push(&v.by);
            }
        }
        let gaps = postmortem::gaps(&p.text);
        let day = today(now);
        let marked = |e: &&Evidence| p.text.sections.values().any(|s| s.contains(&format!("[{}]", e.id)));
        let evidence: Vec<Evidence> = read.evidence.iter().filter(marked).cloned().collect();
        let published = p.published_at.filter(|_| p.state == PostmortemState::Published);
        Self {
            version: p.version,
            published: published.map(|at| {
                let by = p.published_by.as_deref().unwrap_or("somebody");
                ui::foreign(&format!("Published by {by}, {}", day_and_time(at)))
            }),
            may_publish: i.status == IncidentStatus::Resolved,
            lasted: match i.resolved_at {
                Some(at) => ui::duration(at.since(onset)),
                None => "still open".to_owned(),
            },
            span,
            reached: ui::foreign(&text::shorten(&services, 60)),
            reached_note: ui::plural(i.alert_count, "alert"),
            led: ui::foreign_or(&i.owner, "nobody"),
            with: (!writers.is_empty())
                .then(|| ui::foreign(&format!("written by {}", text::shorten(&writers.join(", "), 80)))),
            parts: PostmortemSection::ALL.iter().map(section).collect(),
            title_form: form(TITLE),
            title_others: editor(others, TITLE),
            actions: p.text.actions.iter().map(|a| ActionRow::new(a, day)).collect(),
            actions_form: form(ACTIONS),
            actions_others: editor(others, ACTIONS),
            gaps: (gaps > 0).then(|| ui::plural(gaps, "place")),
            newer_draft: read.newer_draft,
            versions: read.versions.iter().take(VERSIONS).map(|v| VersionRow::new(v, p, now)).collect(),
            more_versions: read.versions.len() > VERSIONS,
            editing: wanted.edit.as_deref().and_then(part_title),
            compared: read.compared.as_ref().map(|v| Compared::new(v, p)),
            has_evidence: !evidence.is_empty(),
            evidence: EvidenceList::new(&evidence, now),
            markdown: text::visible(&postmortem::markdown(i, p, &read.evidence)),
        }
    }
}

fn day_and_time(at: Time) -> String {
    format!("{}, {}", time::date(at), time::clock_short(at))
}

impl PartForm {
    /// Where that part is edited.
    fn new(p: &Postmortem, wanted: &Wanted, part: &str) -> Option<Self> {
        wanted.edit.as_ref().filter(|e| *e == part)?;
        let section: Option<PostmortemSection> = part.parse().ok();
        let stands = match section {
            Some(section) => p.text.section(section).to_owned(),
            None if part == TITLE => p.text.title.clone(),
            None => postmortem::actions_table(&p.text.actions),
        };
        let typed = wanted.typed.as_ref();
        let text = typed.map_or_else(|| stands.clone(), |t| t.text.clone());
        let mut rows = match typed {
            Some(t) => t.actions.clone(),
            None => p.text.actions.iter().map(TypedAction::from).collect(),
        };
        // Somebody else was faster: both texts.
        let overtaken = typed.is_some_and(|t| t.error.is_none());
        let mine = if part == ACTIONS { table_of(&rows) } else { text.clone() };
        rows.extend(std::iter::repeat_n(TypedAction::default(), BLANK));
        Some(Self {
            text,
            rows,
            error: typed.and_then(|t| t.error.as_deref()).map(ui::foreign),
            theirs: overtaken.then(|| Diff::new(&stands, &mine)),
        })
    }
}

/// What was typed, as a table like the one that stands.
fn table_of(rows: &[TypedAction]) -> String {
    let rows = rows.iter().filter(|r| !r.text.trim().is_empty());
    let actions: Vec<PostmortemAction> = rows
        .map(|r| PostmortemAction {
            text: r.text.clone(),
            owner: Some(r.owner.clone()).filter(|o| !o.is_empty()),
            due: r.due.parse().ok(),
            state: r.state.parse().unwrap_or_default(),
        })
        .collect();
    postmortem::actions_table(&actions)
}

impl From<&PostmortemAction> for TypedAction {
    fn from(a: &PostmortemAction) -> Self {
        Self {
            text: a.text.clone(),
            owner: a.owner.clone().unwrap_or_default(),
            due: a.due.map(|d| d.to_string()).unwrap_or_default(),
            state: a.state.to_string(),
        }
    }
}

impl TypedAction {
    /// All states, and which is chosen.
    fn states(&self) -> Vec<(&'static str, &'static str, bool)> {
        let chosen = self.state.parse().unwrap_or_default();
        ActionState::ALL.iter().map(|s| (s.as_str(), s.title(), *s == chosen)).collect()
    }
}

impl ActionRow {
    fn new(a: &PostmortemAction, day: jiff::civil::Date) -> Self {
        Self {
            text: ui::foreign(&a.text),
            owner: ui::foreign_or(&a.owner, "nobody yet"),
            due: a.due.map(|d| d.strftime("%-d %b %Y").to_string()).unwrap_or_default(),
            overdue: a.is_overdue(day),
            state: a.state.title(),
            class: match a.state {
                ActionState::Done => "ok",
                ActionState::InProgress => "ember",
                ActionState::Open | ActionState::Dropped => "line",
            },
        }
    }
}

impl VersionRow {
    fn new(v: &PostmortemVersion, p: &Postmortem, now: Time) -> Self {
        Self {
            version: v.version,
            stands: v.version == p.version,
            by: ui::foreign(&v.by),
            what: ui::foreign(&v.what),
            at: When::clock(v.at, now),
        }
    }
}
