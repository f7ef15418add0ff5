//! Forms of a postmortem: each is one command, answered with the way back, or with the page and what was typed.

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    act::Form,
    ask::{Ask, Fields, back},
    postmortem::{TITLE, Typed, TypedAction, Wanted, page, part_title},
    read::incident_id,
    said::Said,
    text,
};
use crate::{
    model::*,
    store::{Against, CommandError, PostmortemEdit, Saved},
    web::{api::postmortems::make_draft, error::ApiError, state::AppState},
};

/// Rows of actions as they were typed; the fields of one row stand together, its text first.
fn typed_actions(fields: &Fields) -> Vec<TypedAction> {
    let mut rows: Vec<TypedAction> = Vec::new();
    for (name, value) in &fields.0 {
        let value = value.trim().to_owned();
        match (name.as_str(), rows.last_mut()) {
            ("action", _) => rows.push(TypedAction { text: value, ..TypedAction::default() }),
            ("owner", Some(row)) => row.owner = value,
            ("due", Some(row)) => row.due = value,
            ("state", Some(row)) => row.state = value,
            _ => {}
        }
    }
    // A row without a text is one that was taken away, or never filled in.
    rows.retain(|r| !r.text.is_empty());
    rows
}

fn actions(rows: &[TypedAction]) -> Result<Vec<PostmortemAction>, String> {
    let action = |row: &TypedAction| {
        let due = match row.due.as_str() {
            "" => None,
            due => Some(due.parse().map_err(|_| format!("“{}” is no day; write 2026-03-13.", text::shorten(due, 20)))?),
        };
        let owner = Some(row.owner.clone()).filter(|o| !o.is_empty());
        Ok(PostmortemAction { text: row.text.clone(), owner, due, state: row.state.parse().unwrap_or_default() })
    };
    rows.iter().map(action).collect()
}

/// `POST /postmortems/{id}`: one part.
pub async fn save(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let Form { ask, actor, fields } = form;
    let part = fields.get("part").to_owned();
    if part_title(&part).is_none() {
        return Err(ApiError::invalid("part", "a section, title or actions"));
    }
    let base = fields.get("version").parse().map_err(|_| ApiError::invalid("version", "a number is needed"))?;
    let text = fields.get("text").to_owned();
    let mut typed = Typed { part: part.clone(), actions: typed_actions(&fields), text, error: None };
    let mut edit = PostmortemEdit::default();
    match part.parse::<PostmortemSection>() {
        Ok(section) => drop(edit.sections.insert(section, typed.text.clone())),
        Err(_) if part == TITLE => edit.title = Some(typed.text.clone()),
        Err(_) => match actions(&typed.actions) {
            Ok(actions) => edit.actions = Some(actions),
            Err(wrong) => {
                typed.error = Some(wrong);
                return again(&state, &ask, id, typed, StatusCode::UNPROCESSABLE_ENTITY).await;
            }
        },
    }
    match state.store.save_postmortem(id, Some(base), edit, Against::Parts, actor).await {
        Ok(Saved::Done(_)) => {
            state.shared.editing.end(id, &part, &ask.identity.name());
            let anchor = if part == TITLE { String::new() } else { format!("#{part}") };
            Ok(back(&format!("/postmortems/{id}{anchor}"), Some(Said::new("saved"))))
        }
        Ok(Saved::Overtaken(_)) => again(&state, &ask, id, typed, StatusCode::CONFLICT).await,
        Err(CommandError::Invalid { detail, .. }) => {
            typed.error = Some(format!("{}.", text::capital(&detail)));
            again(&state, &ask, id, typed, StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Err(e) => Err(e.into()),
    }
}

/// The page with what was typed.
async fn again(
    state: &AppState,
    ask: &Ask,
    id: IncidentId,
    typed: Typed,
    status: StatusCode,
) -> Result<Response, ApiError> {
    let wanted = Wanted { edit: Some(typed.part.clone()), typed: Some(typed), ..Wanted::default() };
    page(state, ask, id, wanted, status).await
}

/// The way back, or the page with why not.
async fn done<T>(
    state: &AppState,
    ask: &Ask,
    id: IncidentId,
    result: Result<T, CommandError>,
    said: &str,
) -> Result<Response, ApiError> {
    match result {
        Ok(_) => Ok(back(&format!("/postmortems/{id}"), Some(Said::new(said)))),
        Err(CommandError::Conflict { detail, .. }) => {
            let refused = Some(format!("{}.", text::capital(&detail)));
            page(state, ask, id, Wanted { refused, ..Wanted::default() }, StatusCode::CONFLICT).await
        }
        Err(e) => Err(e.into()),
    }
}

/// `POST /postmortems/{id}/draft`
pub async fn draft(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let version = make_draft(&state, id, form.actor).await?;
    let stands = state.store.read(move |view| view.postmortem(id)).await?.is_some_and(|p| p.version == version);
    let to = if stands { format!("/postmortems/{id}") } else { format!("/postmortems/{id}?compare={version}") };
    Ok(back(&to, Some(Said::new("drafted"))))
}

/// `POST /postmortems/{id}/publish` and, with `off`, back to a draft.
pub async fn publish(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let on = form.fields.get("off").is_empty();
    let result = state.store.publish_postmortem(id, on, form.actor).await;
    done(&state, &form.ask, id, result, if on { "published" } else { "unpublished" }).await
}

/// `POST /postmortems/{id}/restore`: a version, or one section of it.
pub async fn restore(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let version = form.fields.get("version").parse().map_err(|_| ApiError::invalid("version", "a number is needed"))?;
    let section = match form.fields.get("section") {
        "" => None,
        key => Some(key.parse().map_err(|e: String| ApiError::invalid("section", e))?),
    };
    let result = state.store.restore_postmortem(id, version, section, form.actor).await;
    done(&state, &form.ask, id, result, "restored").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_actions_are_read_in_order_and_empty_ones_are_gone() {
        let fields = Fields::parse(
            b"part=actions&action=One&owner=kim&due=2026-03-13&state=done&action=&owner=lee&due=&state=open&action=Two&owner=&due=&state=open",
        );
        let rows = typed_actions(&fields);
        let read = actions(&rows).unwrap();
        let told: Vec<String> = read
            .iter()
            .map(|a| format!("{} {:?} {:?} {}", a.text, a.owner, a.due.map(|d| d.to_string()), a.state))
            .collect();
        assert_eq!(told, ["One Some(\"kim\") Some(\"2026-03-13\") done", "Two None None open"]);
        let wrong = TypedAction { text: "x".into(), due: "soon".into(), ..TypedAction::default() };
        assert!(actions(&[wrong]).unwrap_err().contains("“soon” is no day"));
    }
}
