//! How people are reached: their own affair, and that of administrators.

use axum::{Json as Answer, extract::State};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    model::*,
    store::CommandError,
    web::{
        auth::Viewer,
        channels::contact_mistakes,
        error::ApiError,
        extract::{OptionalJson, Path},
        state::AppState,
    },
};

/// How a person is reached.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct PutContacts {
    /// All ways, each of which is used. An empty list: none.
    #[schema(required = true, value_type = Vec<Contact>)]
    contacts: Option<Vec<Contact>>,
}

/// The person's own, or whoever may set up.
fn may(who: &Viewer, name: &str) -> Result<(), ApiError> {
    let own = who.account.as_ref().is_some_and(|a| a.name == name);
    if own || who.identity.may_set_up() {
        return Ok(());
    }
    let whom: String = name.chars().take(60).collect();
    Err(ApiError::forbidden(format!("how {whom} is reached is for {whom} and for administrators")))
}

/// How a person is reached.
#[utoipa::path(get, path = "/api/people/{name}/contacts", tag = "notifications", operation_id = "contacts_get",
    params(("name" = String, Path)), responses((status = 200, body = Contacts), (status = 403, description = "they are somebody else's")))]
pub async fn get(
    who: Viewer,
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Answer<Contacts>, ApiError> {
    may(&who, &name)?;
    let found = state.store.read(move |view| {
        let person = view.account(&name)?;
        let row = view.telling()?.people.remove(&name).unwrap_or_default();
        Ok((person.is_some(), Contacts { person: name, ..row }))
    });
    match found.await? {
        (true, row) => Ok(Answer(row)),
        (false, row) => Err(ApiError::not_found(format!("account {}", row.person))),
    }
}

/// Sets how a person is reached.
#[utoipa::path(put, path = "/api/people/{name}/contacts", tag = "notifications", operation_id = "contacts_put",
    request_body = PutContacts, params(("name" = String, Path)), responses((status = 200, body = Contacts),
    (status = 403, description = "they are somebody else's"), (status = 422, description = "every mistake with its place")))]
pub async fn put(
    who: Viewer,
    State(state): State<AppState>,
    Path(name): Path<String>,
    OptionalJson(body): OptionalJson<PutContacts>,
) -> Result<Answer<Contacts>, ApiError> {
    may(&who, &name)?;
    let Some(contacts) = body.contacts else {
        return Err(ApiError::invalid("/contacts", "a list is needed; an empty one for none"));
    };
    let wrong = contact_mistakes(&state, &contacts).await?;
    if !wrong.is_empty() {
        return Err(CommandError::Mistakes(wrong).into());
    }
    let tidy = |c: Contact| Contact { address: c.address.map(|a| a.trim().to_owned()), ..c };
    let row = Contacts { person: name, contacts: contacts.into_iter().map(tidy).collect() };
    Ok(Answer(state.store.put_contacts(row, who.actor).await?))
}
