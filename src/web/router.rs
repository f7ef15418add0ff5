//! Every route: the API's list is in `api::routes`, that of senders in `hooks::router`, that of people in `pages`.

use axum::{Extension, Router, body::Bytes};

use super::{
    api::{self, system::Description},
    hooks, layers, pages,
    state::AppState,
};

/// The routes of the API and the pages, with the description of the API. They take some milliseconds to make and need
/// nothing: a start makes them while it waits for the disk.
#[derive(Debug)]
pub struct Routes(Router<AppState>);

impl Routes {
    /// All of them.
    pub fn new() -> Self {
        let (api, description) = api::router();
        // A description that cannot be written would be a mistake in this program; the tests would see it.
        let description = Description(Bytes::from(description.to_json().unwrap_or_default()));
        Self(api.layer(Extension(description)).merge(pages::router()))
    }

    /// The whole site.
    pub fn serve(self, state: AppState) -> Router {
        layers::around(self.0, hooks::router(), &state).with_state(state)
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self::new()
    }
}
