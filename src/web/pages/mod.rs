//! Server-rendered pages: each works without scripts; scripts add what is live.

mod act;
mod alerts;
mod ask;
mod charts;
mod condition;
mod connector;
mod connector_forms;
mod connectors;
mod correlation;
mod deliveries;
mod errors;
mod facets;
mod facts;
mod frame;
mod identity;
mod incident;
mod incidents;
mod insights;
mod investigation;
mod layers;
mod lessons;
mod live;
mod login;
mod map;
mod markdown;
mod netdata_alerts;
mod panels;
mod platforms;
mod postmortem;
mod postmortem_diff;
mod postmortem_forms;
mod postmortems;
mod read;
mod ridge;
mod row;
mod runbooks;
mod said;
#[cfg(test)]
mod samples;
mod service;
mod settings;
mod setup;
mod silence_form;
mod silence_thresholds;
mod silences;
mod source;
mod source_form;
mod spark;
mod steps;
mod storage;
mod terms;
mod text;
mod time;
mod topology;
mod ui;
mod watch;
mod words;

use axum::{
    Router,
    response::Redirect,
    routing::{get, post},
};

use super::{assets, state::AppState};
pub use errors::error_page;
pub use frame::DEMO_HEADER;

/// The pages, their forms, their stream and their assets.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/incidents") }))
        .route("/assets/{*name}", get(assets::serve))
        .route("/login", get(login::form).post(login::sign_in))
        .route("/logout", post(login::sign_out))
        .route("/theme", post(login::theme))
        .route("/setup", get(setup::start).post(setup::make))
        .route("/setup/first-alert", get(setup::first_alert).post(setup::send))
        .route("/setup/arrived", get(setup::has_arrived))
        .route("/setup/done", get(setup::done))
        .route("/live", get(live::live))
        .route("/incidents", get(read::list))
        .route("/incidents/rows", get(read::rows))
        .route("/incidents/watch", get(read::watch))
        .route("/incidents/bulk", post(act::bulk))
        .route("/incidents/{id}", get(read::incident))
        .route("/incidents/{id}/panels", get(read::incident_panels))
        .route("/incidents/{id}/acknowledge", post(act::acknowledge))
        .route("/incidents/{id}/unacknowledge", post(act::unacknowledge))
        .route("/incidents/{id}/resolve", post(act::resolve))
        .route("/incidents/{id}/reopen", post(act::reopen))
        .route("/incidents/{id}/comment", post(act::comment))
        .route("/incidents/{id}/merge", post(act::merge))
        .route("/incidents/{id}/unmerge", post(act::unmerge))
        .route("/incidents/{id}/split", post(act::split))
        .route("/alerts/{id}/attach", post(act::attach))
        .route("/incidents/{id}/investigate", post(act::investigate))
        .route("/incidents/{id}/cancel-investigation", post(act::cancel))
        .route("/incidents/{id}/suggestions/{sid}", post(act::suggestion))
        .route("/incidents/{id}/causes/{rank}", post(act::cause))
        .route("/alerts", get(read::alerts))
        .route("/silences", get(silences::list))
        .route("/silences/new", get(silence_form::new).post(silence_form::make))
        .route("/silences/thresholds", get(silence_thresholds::list))
        .route("/silences/thresholds/new", get(silence_thresholds::new).post(silence_thresholds::make))
        .route("/silences/thresholds/{id}", get(silence_thresholds::show).post(silence_thresholds::change))
        .route("/silences/thresholds/{id}/remove", post(silence_thresholds::remove))
        .route("/silences/{id}", get(silences::one))
        .route("/silences/{id}/edit", get(silence_form::show).post(silence_form::change))
        .route("/silences/{id}/extend", post(silences::extend))
        .route("/silences/{id}/end", post(silences::end))
        .route("/insights", get(insights::show))
        .route("/insights/hour", get(insights::hour))
        .route("/postmortems", get(postmortems::list))
        .route("/postmortems/{id}", get(postmortem::show).post(postmortem_forms::save))
        .route("/postmortems/{id}/draft", post(postmortem_forms::draft))
        .route("/postmortems/{id}/publish", post(postmortem_forms::publish))
        .route("/postmortems/{id}/restore", post(postmortem_forms::restore))
        .route("/connectors", get(connectors::connectors))
        .route("/connectors/new", get(source::new).post(source::make))
        .route("/connectors/{platform}", get(connector::connector))
        .route("/connectors/{platform}/declaration", get(source::show).post(source::change))
        .route("/connectors/{platform}/reveal", post(connector_forms::reveal))
        .route("/connectors/{platform}/rotate", post(connector_forms::rotate))
        .route("/connectors/{platform}/test", post(connector_forms::test))
        .route("/connectors/{platform}/opens", post(connector_forms::opens))
        .route("/connectors/{platform}/proof", post(connector_forms::proof))
        .route("/connectors/{platform}/switch", post(connector_forms::switch))
        .route("/connectors/{platform}/rca", post(connector_forms::rca))
        .route("/connectors/{platform}/identity", post(identity::identity))
        .route("/connectors/{platform}/groups", post(connector_forms::groups))
        .route("/connectors/{platform}/limits", post(connector_forms::limits))
        .route("/connectors/netdata/account", post(connector_forms::account))
        .route("/connectors/netdata/alerts", get(netdata_alerts::list))
        .route("/topology", get(topology::topology))
        .route("/topology/edges", post(topology::judge))
        .route("/topology/service", get(service::show).post(service::change))
        .route("/topology/import", get(service::import).post(service::take))
        .route("/topology/export", get(service::export))
        .route("/runbooks", get(runbooks::list))
        .route("/runbooks/{*name}", get(runbooks::one))
        .route("/deliveries", get(deliveries::deliveries))
        .route("/deliveries/{id}", get(deliveries::delivery))
        .route("/deliveries/{id}/replay", post(deliveries::replay))
        .route("/settings", get(settings::index))
        .route("/settings/browser", get(settings::browser).post(settings::save_browser))
        .route("/settings/password", post(settings::change_password))
        .route("/settings/people", get(settings::people).post(settings::add_person))
        .route("/settings/people/role", post(settings::set_role))
        .route("/settings/people/remove", post(settings::remove_person))
        .route("/settings/tokens", post(settings::make_token))
        .route("/settings/tokens/revoke", post(settings::revoke_token))
        .route("/settings/correlation", get(correlation::correlation).post(correlation::set))
        .route("/settings/correlation/undo", post(correlation::undo))
        .route("/settings/correlation/try", post(correlation::attempt))
        .route("/settings/correlation/cancel", post(correlation::cancel))
        .route("/settings/investigation", get(investigation::investigation))
        .route("/settings/storage", get(storage::storage))
        .route("/settings/storage/backup", post(storage::download))
        .route("/settings/lessons", get(lessons::lessons))
        .route("/settings/lessons/forget", post(lessons::forget))
        .route("/settings/about", get(settings::about))
}
