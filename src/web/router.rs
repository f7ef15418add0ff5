//! Every route: the API's list is in `api::routes`, that of senders in `hooks::router`, that of people in `pages`.

use axum::{Extension, Router, body::Bytes};

use super::{
    api::{self, system::Description},
    hooks, layers, pages,
    state::AppState,
};

/// The whole site.
pub fn serve_router(state: AppState) -> Router {
    let (api, description) = api::router();
    // A description that cannot be written would be a mistake in this program; the tests would see it.
    let description = Description(Bytes::from(description.to_json().unwrap_or_default()));
    let routes = api.layer(Extension(description)).merge(pages::router());
    layers::around(routes, hooks::router(), &state).with_state(state)
}
