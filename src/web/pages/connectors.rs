//! The connectors: who sends, and whether it arrives.

use std::collections::BTreeMap;

use askama::{Template, filters::HtmlSafe};
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    ask::Ask,
    condition::{self, Banner},
    deliveries::meaning,
    frame::{Frame, Section, counts_and_seq},
    platforms::{self, Platform},
    spark,
    ui::{self, Markup, When},
};
use crate::{
    config::Config,
    ingest::{Memory, settings::overridden},
    model::*,
    store::{StoreError, View, seal::Sealer},
    web::{auth::Client, error::ApiError, health::Health, state::AppState},
};

/// One connector in the table.
#[derive(Debug, Template)]
#[template(path = "fragments/connector_row.html")]
pub struct ConnectorRow {
    slug: String,
    tile: Markup,
    name: String,
    way: &'static str,
    state: Markup,
    note: Option<String>,
    last: Option<When>,
    meaning: Option<String>,
    spark: Markup,
    received: String,
    refused: u64,
    key: String,
    away: Option<String>,
    rca: Option<Rca>,
}
impl HtmlSafe for ConnectorRow {}

/// Whether failed builds open incidents, and whether that can be changed here.
#[derive(Debug)]
pub struct Rca {
    /// They do.
    pub on: bool,
    /// The configuration says so.
    pub fixed: bool,
}

/// A connector with how it does.
pub struct Known {
    info: Platform,
    settings: ConnectorSettings,
    counters: ConnectorCounters,
    state: Health,
    key: String,
    rca_fixed: bool,
    /// What the last delivery said.
    meaning: Option<String>,
}

impl Known {
    /// In use: it has received something, somebody tries to, or somebody has set it up.
    fn is_set_up(&self) -> bool {
        let s = &self.settings;
        let touched = s.signing_secret.is_some() || s.challenge_secret.is_some() || s.basic_password.is_some();
        self.state != Health::Waiting || touched || s.cloud.is_some() || self.info.declared.is_some()
    }
}

/// The key as it may be seen: its last characters.
pub fn masked(key: &Sealed, sealer: &Sealer) -> Result<String, StoreError> {
    let key = sealer.open(key)?;
    let tail: String = key.chars().skip(key.chars().count().saturating_sub(4)).collect();
    Ok(format!("wk_••••{tail}"))
}

fn known(
    view: &View,
    slug: &str,
    config: &Config,
    memory: &Memory,
    sealer: &Sealer,
    now: Time,
) -> Result<Option<Known>, StoreError> {
    let (Some(info), Some(settings)) = (platforms::find(&memory.registry, slug), view.connector(slug)?) else {
        return Ok(None);
    };
    let fixed = config.connectors.get(slug);
    let settings = overridden(settings, fixed);
    let counters = view.counters(slug)?;
    let state = Health::of(&settings, &counters, memory, now);
    let key = masked(&settings.key, sealer)?;
    let rca_fixed = fixed.is_some_and(|f| f.rca_enabled.is_some());
    let last = counters.last.as_ref().map(|(id, ..)| *id);
    let row = last.map(|id| Ok::<_, StoreError>(view.delivery_row(id.number())?.filter(|row| row.id == id)));
    let meaning = row.transpose()?.flatten().map(|row| meaning(&row));
    Ok(Some(Known { info, settings, counters, state, key, rca_fixed, meaning }))
}

fn row(k: &Known, now: Time) -> ConnectorRow {
    let (taken, refused) = k.counters.last_24h(now);
    ConnectorRow {
        slug: k.info.slug.clone(),
        tile: ui::tile(&k.info.slug),
        name: k.info.name.clone(),
        way: k.info.way,
        state: condition::mark(&k.state, now),
        note: condition::note(&k.state),
        last: k.counters.last.as_ref().map(|(_, at, _)| When::ago(*at, now)),
        // Why it was turned away stands beside the state.
        meaning: k.meaning.clone().filter(|_| !condition::is_failing(&k.state)),
        spark: spark::day(&k.counters, now),
        received: ui::count(taken),
        refused,
        key: k.key.clone(),
        away: match &k.state {
            Health::Unproven(run) => {
                Some(format!("{} refused in {}", ui::count(run.count), ui::duration(now.since(run.since))))
            }
            _ => None,
        },
        rca: k.info.builds.then_some(Rca { on: k.settings.rca_enabled, fixed: k.rca_fixed }),
    }
}

/// The row of one connector as it stands now, for the live table.
pub fn connector_row(
    view: &View,
    slug: &str,
    config: &Config,
    memory: &Memory,
    sealer: &Sealer,
    now: Time,
) -> Result<Option<ConnectorRow>, StoreError> {
    Ok(known(view, slug, config, memory, sealer, now)?.map(|k| row(&k, now)))
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/connectors.html")]
pub struct ConnectorsPage {
    frame: Frame,
    sub: String,
    banners: Vec<Banner>,
    rows: Vec<ConnectorRow>,
    tiles: Vec<Platform>,
    base: String,
    curl: String,
}

/// `GET /connectors`
pub async fn connectors(State(state): State<AppState>, ask: Ask, client: Client) -> Result<Response, ApiError> {
    let now = ask.now;
    let (config, shared, sealer) = (state.config.clone(), state.shared.clone(), state.store.sealer().clone());
    let (overview, seq, all) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let all: Vec<Known> = platforms::in_use(&shared.door.registry)
                .iter()
                .filter_map(|i| known(view, &i.slug, &config, &shared.door, &sealer, now).transpose())
                .collect::<Result<_, _>>()?;
            Ok((overview, seq, all))
        })
        .await?;
    let frame = ask.frame("Connectors", Section::Connectors, &overview, seq);
    Ok(ask.page(StatusCode::OK, &page(frame, all, &client.base_url(&state.config))))
}

fn page(frame: Frame, all: Vec<Known>, base: &str) -> ConnectorsPage {
    let now = frame.now;
    let (mut used, unused): (Vec<_>, Vec<_>) = all.into_iter().partition(Known::is_set_up);
    used.sort_by(|a, b| a.state.cmp(&b.state).then(a.info.name.cmp(&b.info.name)));
    let sums = used.iter().map(|k| k.counters.last_24h(now)).fold((0, 0), |(a, r), (x, y)| (a + x, r + y));
    let banners = used.iter().filter_map(|k| {
        condition::banner(&k.state, &k.info.name, &k.settings, k.counters.last.as_ref().map(|(id, ..)| *id), now)
    });
    ConnectorsPage {
        sub: match used.len() {
            0 => "Nothing has been received yet.".to_owned(),
            n => format!(
                "{n} of {} set up. {} in 24 h, {} not taken.",
                n + unused.len(),
                ui::plural(sums.0, "webhook"),
                ui::count(sums.1)
            ),
        },
        banners: banners.collect(),
        rows: used.iter().map(|k| row(k, now)).collect(),
        tiles: unused.into_iter().map(|k| k.info).collect(),
        base: base.to_owned(),
        curl: by_hand(base),
        frame,
    }
}

/// Opens an incident through the API.
fn by_hand(base: &str) -> String {
    let body = BTreeMap::from([
        ("source_type", "custom"),
        ("alert_title", "Checkout is slow"),
        ("alert_service", "checkout-api"),
        ("severity", "high"),
    ]);
    let body = serde_json::to_string(&body).unwrap_or_default();
    format!(
        "curl -X POST {base}/api/incidents \\\n  -H \"Authorization: Bearer $WATCHFIRE_TOKEN\" \\\n  \
         -H \"Content-Type: application/json\" \\\n  -d '{body}'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::samples;

    fn known(slug: &str, state: Health) -> Known {
        Known {
            info: platforms::find(&crate::connectors::Registry::default(), slug).unwrap(),
            settings: samples::connector(slug),
            counters: ConnectorCounters::default(),
            state,
            key: "wk_••••7Q2c".to_owned(),
            rca_fixed: false,
            meaning: Some("CPU <b>".to_owned()),
        }
    }

    fn html(all: Vec<Known>) -> String {
        page(samples::frame("Connectors", Section::Connectors), all, "https://wf.example.com").render().unwrap()
    }

    #[test]
    fn worst_first_with_a_banner() {
        let html = html(vec![
            known("grafana", Health::Receiving),
            known("netdata", Health::NotUnderstood("no <b>alerts</b>".into(), Some("/alerts<i>".into()))),
            known("generic", Health::Waiting),
        ]);
        assert!(html.find("data-platform=\"netdata\"").unwrap() < html.find("data-platform=\"grafana\"").unwrap());
        assert!(html.contains("The last webhook of Netdata was not understood.") && !html.contains("no <b>alerts"));
        assert!(!html.contains("/alerts<i>") && !html.contains("CPU <b>"));
        assert_eq!(html.matches("CPU &#60;b&#62;").count(), 1, "what a failing one said last is not what matters");
        assert!(html.contains("Contact point, type webhook"));
        assert!(html.contains("class=\"tile\" href=\"/connectors/generic\"") && html.contains("wk_••••7Q2c"));
    }

    #[test]
    fn what_was_refused_from_the_start_is_in_the_table() {
        let run = crate::ingest::Run { count: 14, since: samples::ago(40), last: samples::ago(1) };
        let html = html(vec![known("splunk", Health::Unproven(run))]);
        assert!(html.contains("data-platform=\"splunk\"") && html.contains("14 refused in 40\u{a0}min"), "{html}");
    }

    #[test]
    fn builds_have_a_switch_that_works_without_scripts() {
        let html = html(vec![known("jenkins", Health::Receiving), known("grafana", Health::Receiving)]);
        // One in its column, and one below the name where there is no room for that column.
        assert_eq!(html.matches("role=\"switch\"").count(), 2);
        assert!(html.contains("action=\"/connectors/jenkins/rca\"") && html.contains("aria-checked=\"false\""));
    }
}
