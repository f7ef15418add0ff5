//! The API for programs: a file per resource. The description at `/api/openapi.json` is made from this code.

pub mod objects;

pub mod alerts;
pub mod audit;
pub mod backtests;
mod backup;
mod bulk;
mod changes;
mod channel_kinds;
mod channels;
pub mod connector_identity;
mod connector_object;
pub mod connectors;
mod contacts;
mod corrections;
pub mod correlation;
mod deliveries;
mod facets;
mod heartbeats;
mod hooks;
mod incidents;
pub mod insights;
mod interactions;
mod mutes;
pub mod netdata;
pub mod netdata_cloud;
pub mod notices;
mod on_call;
#[cfg(not(any(test, fuzzing)))]
mod params;
#[cfg(any(test, fuzzing))]
pub mod params;
mod parts;
mod patched;
mod policies;
pub mod postmortems;
mod rules;
mod rules_preview;
pub mod runbooks;
mod saved_views;
mod schedules;
pub mod services;
pub mod sessions;
mod sources;
pub mod system;
mod thresholds;
mod tokens;
pub mod users;

use axum::{Router, http::HeaderMap};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
    path::Operation,
    schema::ComponentsBuilder,
    security::SecurityRequirement,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    error::{ApiError, ProblemBody},
    sse,
    state::AppState,
};
use crate::model::IncidentId;

/// An incident named in a path.
pub(super) fn incident_id(text: &str) -> Result<IncidentId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(format!("incident `{}`", text.chars().take(60).collect::<String>())))
}

/// What a caller names its retries by.
fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("idempotency-key")?.to_str().ok()?.chars().take(200).collect())
}

/// All routes of the API with their description.
pub fn routes() -> OpenApiRouter<AppState> {
    let empty = OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Watchfire")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some("Alerts in, few incidents out, each with its cause."))
                .build(),
        )
        .components(Some(
            ComponentsBuilder::new()
                .schema_from::<ProblemBody>()
                .security_scheme(
                    "token",
                    SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
                )
                .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("watchfire"))))
                .build(),
        ))
        .security(Some([
            SecurityRequirement::new("token", Vec::<String>::new()),
            SecurityRequirement::new("session", Vec::<String>::new()),
        ]))
        .build();
    OpenApiRouter::with_openapi(empty)
        .routes(routes!(incidents::list, incidents::declare))
        .routes(routes!(sse::all))
        .routes(routes!(bulk::bulk))
        .routes(routes!(incidents::get, incidents::patch))
        .routes(routes!(sse::one))
        .routes(routes!(incidents::acknowledge))
        .routes(routes!(incidents::unacknowledge))
        .routes(routes!(incidents::resolve))
        .routes(routes!(incidents::reopen))
        .routes(routes!(incidents::snooze))
        .routes(routes!(incidents::wake))
        .routes(routes!(incidents::comment))
        .routes(routes!(incidents::investigate))
        .routes(routes!(incidents::cancel_investigation))
        .routes(routes!(corrections::merge))
        .routes(routes!(corrections::unmerge))
        .routes(routes!(corrections::split))
        .routes(routes!(corrections::attach))
        .routes(routes!(corrections::lessons))
        .routes(routes!(corrections::forget))
        .routes(routes!(parts::alerts))
        .routes(routes!(parts::timeline))
        .routes(routes!(parts::thoughts))
        .routes(routes!(parts::suggestions))
        .routes(routes!(parts::set_suggestion))
        .routes(routes!(parts::judge_cause))
        .routes(routes!(parts::investigation))
        .routes(routes!(parts::transcript))
        .routes(routes!(parts::model))
        .routes(routes!(parts::similar))
        .routes(routes!(notices::incident))
        .routes(routes!(insights::get))
        .routes(routes!(postmortems::list))
        .routes(routes!(postmortems::get, postmortems::put))
        .routes(routes!(postmortems::draft))
        .routes(routes!(postmortems::publish))
        .routes(routes!(postmortems::unpublish))
        .routes(routes!(postmortems::versions))
        .routes(routes!(postmortems::version))
        .routes(routes!(postmortems::restore))
        .routes(routes!(postmortems::markdown, postmortems::put_markdown))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::get))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::get))
        .routes(routes!(deliveries::replay))
        .routes(routes!(connectors::list, sources::create))
        .routes(routes!(connectors::get, connectors::patch, sources::remove))
        .routes(routes!(sources::change))
        .routes(routes!(sources::attempt))
        .routes(routes!(connector_identity::attempt))
        .routes(routes!(connectors::test))
        .routes(routes!(connectors::rotate_key))
        .routes(routes!(connectors::reveal_key))
        .routes(routes!(connectors::status))
        .routes(routes!(netdata::alerts))
        .routes(routes!(netdata_cloud::connect))
        .routes(routes!(netdata_cloud::status))
        .routes(routes!(netdata_cloud::disconnect, netdata_cloud::disconnect_by_post))
        .routes(routes!(netdata::webhook_url))
        .routes(routes!(changes::report))
        .routes(routes!(services::list, services::put_all))
        .routes(routes!(services::get, services::put, services::remove))
        .routes(routes!(services::topology, services::replace))
        .routes(routes!(services::judge))
        .routes(routes!(mutes::silences, mutes::make_silence))
        .routes(routes!(mutes::preview_silence))
        .routes(routes!(mutes::silence, mutes::change_silence, mutes::end_silence))
        .routes(routes!(mutes::windows, mutes::make_window))
        .routes(routes!(mutes::preview_window))
        .routes(routes!(mutes::window, mutes::change_window, mutes::end_window))
        .routes(routes!(thresholds::list, thresholds::make))
        .routes(routes!(thresholds::preview))
        .routes(routes!(thresholds::get, thresholds::change, thresholds::remove))
        .routes(routes!(runbooks::list, runbooks::make))
        .routes(routes!(runbooks::get, runbooks::change, runbooks::remove))
        .routes(routes!(channel_kinds::list))
        .routes(routes!(channels::list, channels::make))
        .routes(routes!(channels::get, channels::change, channels::remove))
        .routes(routes!(channels::test))
        .routes(routes!(interactions::take))
        .routes(routes!(rules::list, rules::make))
        .routes(routes!(rules_preview::preview))
        .routes(routes!(rules::get, rules::put, rules::change, rules::remove))
        .routes(routes!(contacts::get, contacts::put))
        .routes(routes!(schedules::list, schedules::make))
        .routes(routes!(schedules::get, schedules::put, schedules::change, schedules::remove))
        .routes(routes!(on_call::now))
        .routes(routes!(on_call::at))
        .routes(routes!(on_call::shifts))
        .routes(routes!(on_call::make_override))
        .routes(routes!(on_call::feed))
        .routes(routes!(policies::list, policies::make))
        .routes(routes!(policies::get, policies::put, policies::change, policies::remove))
        .routes(routes!(heartbeats::list, heartbeats::make))
        .routes(routes!(heartbeats::get, heartbeats::put, heartbeats::change, heartbeats::remove))
        .routes(routes!(notices::list))
        .routes(routes!(facets::facets))
        .routes(routes!(saved_views::list, saved_views::make))
        .routes(routes!(saved_views::get, saved_views::change, saved_views::remove))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::get, users::patch, users::remove))
        .routes(routes!(users::sign_out))
        .routes(routes!(users::me, users::change_me))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::revoke))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(correlation::get, correlation::patch))
        .routes(routes!(backtests::list, backtests::create))
        .routes(routes!(backtests::get, backtests::cancel))
        .routes(routes!(audit::list))
        .routes(routes!(audit::export))
        .routes(routes!(backup::make))
        .routes(routes!(system::version))
        .routes(routes!(system::openapi))
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics))
}

/// The routes, and the description for `/api/openapi.json`, with those of senders and the problems of every route in it.
pub fn router() -> (Router<AppState>, utoipa::openapi::OpenApi) {
    let (router, mut description) = routes().split_for_parts();
    let (_, hooks) = hooks::described().split_for_parts();
    description.merge(hooks);
    let problem = || {
        let schema = RefOr::Ref(Ref::from_schema_name("ProblemBody"));
        let content = ContentBuilder::new().schema(Some(schema)).build();
        ResponseBuilder::new().description("a problem").content("application/problem+json", content).build()
    };
    for item in description.paths.paths.values_mut() {
        let operations: [&mut Option<Operation>; 5] =
            [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem()));
        }
    }
    (router, description)
}

/// Declares the answer of a list.
macro_rules! listing {
    ($(#[$meta:meta])* $name:ident { $field:ident: $row:ty }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
        pub struct $name {
            /// The rows.
            pub $field: Vec<$row>,
            /// For the next page; none on the last.
            pub next_cursor: Option<String>,
            /// How many match in all.
            pub total: u64,
            /// Whether they were counted to the end.
            pub total_is_exact: bool,
        }

        impl $name {
            /// A page of rows.
            #[allow(dead_code)]
            pub fn of<T>(listing: $crate::store::Listing<T>, row: impl FnMut(&T) -> $row) -> Self {
                Self {
                    $field: listing.items.iter().map(row).collect(),
                    next_cursor: listing.next.map(|n| n.to_string()),
                    total: listing.total,
                    total_is_exact: listing.total_is_exact,
                }
            }

            /// All rows there are.
            #[allow(dead_code)]
            pub fn all(rows: Vec<$row>) -> Self {
                let total = u64::try_from(rows.len()).unwrap_or(u64::MAX);
                Self { $field: rows, next_cursor: None, total, total_is_exact: true }
            }
        }
    };
}
use listing;
