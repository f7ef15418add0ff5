//! The connectors: who sends, and whether it arrives.

use std::{collections::BTreeMap, time::Duration};

use askama::{Template, filters::HtmlSafe};
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    ask::Ask,
    frame::{Frame, Section, counts_and_seq},
    platforms::{self, Platform},
    text,
    ui::{self, Markup, When},
    words,
};
use crate::{
    config::Config,
    ingest::{Memory, settings::overridden},
    model::*,
    store::{StoreError, View},
    web::{auth::Client, error::ApiError, state::AppState},
};

/// Silence longer than this is said.
const QUIET: Duration = Duration::from_secs(3 * 3600);

/// How a connector is doing, worst first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Somebody sends with a wrong key or signature.
    Refused(u64),
    /// The last delivery was not understood.
    NotUnderstood(String),
    /// Switched off.
    Off,
    /// Nothing for some time.
    Quiet(Duration),
    /// All is well.
    Receiving,
    /// Nothing ever came.
    Waiting,
}

/// Class, mark and words.
#[derive(Debug, Template)]
#[template(path = "fragments/connector_state.html")]
struct StateMark {
    class: &'static str,
    mark: Markup,
    words: String,
}

impl Health {
    /// From what is set and what came. `turned_away` is when somebody last failed at the door, and how many.
    pub fn of(
        settings: &ConnectorSettings,
        counters: &ConnectorCounters,
        turned_away: Option<(Time, u64)>,
        now: Time,
    ) -> Self {
        let accepted = counters.last_accepted;
        let (last, problem) = match &counters.last {
            Some((_, at, outcome)) => (Some((*at, *outcome)), counters.last_problem.as_ref()),
            None => (None, None),
        };
        let lately = |at: Time| accepted.is_none_or(|ok| ok < at) && now.since(at) < Duration::from_secs(86_400);
        if let Some((_, n)) = turned_away.filter(|(at, _)| lately(*at)) {
            return Self::Refused(n);
        }
        if !settings.enabled {
            return Self::Off;
        }
        match last {
            None => Self::Waiting,
            Some((_, DeliveryOutcome::Unparsed)) => {
                Self::NotUnderstood(problem.map(|(p, _)| p.detail.clone()).unwrap_or_default())
            }
            Some((_, DeliveryOutcome::Refused)) => Self::Refused(0),
            Some((at, DeliveryOutcome::Accepted)) if now.since(at) > QUIET => Self::Quiet(now.since(at)),
            Some(_) => Self::Receiving,
        }
    }

    /// As mark and words.
    pub fn mark(&self) -> Markup {
        let (class, mark, words) = match self {
            Self::Refused(0) => ("failing", ui::icon("warn"), "Refused".to_owned()),
            Self::Refused(_) => ("failing", ui::icon("warn"), "Refused: wrong key".to_owned()),
            Self::NotUnderstood(_) => ("failing", ui::icon("warn"), "Not understood".to_owned()),
            Self::Off => ("", ui::icon("pause"), "Switched off".to_owned()),
            Self::Quiet(d) => ("", ui::icon("pause"), format!("Quiet for {}", ui::duration(*d))),
            Self::Receiving => ("ok", ui::pulse(), "Receiving".to_owned()),
            Self::Waiting => ("", ui::icon("clock"), "Waiting for the first webhook".to_owned()),
        };
        Markup::of(&StateMark { class, mark, words })
    }

    /// The sentences of the banner, for a state that needs somebody.
    fn banner(&self, name: &str) -> Option<(String, String)> {
        match self {
            Self::Refused(n) => Some((
                format!("{name} is being refused."),
                match n {
                    0 => "Its last delivery was turned away; the list of deliveries says why.".to_owned(),
                    n => format!(
                        "The key in {name} is not the one stored here; {} since Watchfire started.",
                        ui::plural(*n, "webhook")
                    ),
                },
            )),
            Self::NotUnderstood(why) => Some((
                format!("The last webhook of {name} was not understood."),
                text::visible(&text::shorten(why, 200)),
            )),
            _ => None,
        }
    }
}

/// One connector in the table.
#[derive(Debug, Template)]
#[template(path = "fragments/connector_row.html")]
pub struct ConnectorRow {
    slug: String,
    tile: Markup,
    name: String,
    proof: String,
    state: Markup,
    last: Option<When>,
    received: String,
    refused: u64,
}
impl HtmlSafe for ConnectorRow {}

struct Known {
    info: Platform,
    settings: ConnectorSettings,
    counters: ConnectorCounters,
    state: Health,
}

fn known(view: &View, slug: &str, config: &Config, memory: &Memory, now: Time) -> Result<Option<Known>, StoreError> {
    let (Some(info), Some(settings)) = (platforms::find(&memory.registry, slug), view.connector(slug)?) else {
        return Ok(None);
    };
    let settings = overridden(settings, config.connectors.get(slug));
    let counters = view.counters(slug)?;
    let state = Health::of(&settings, &counters, memory.turned_away(slug), now);
    Ok(Some(Known { info, settings, counters, state }))
}

fn row(k: &Known, now: Time) -> ConnectorRow {
    let (taken, refused) = k.counters.last_24h(now);
    ConnectorRow {
        slug: k.info.slug.clone(),
        tile: ui::tile(&k.info.slug),
        name: k.info.name.clone(),
        proof: format!("proves itself by {}", words::auth(k.settings.auth)),
        state: k.state.mark(),
        last: k.counters.last.as_ref().map(|(_, at, _)| When::ago(*at, now)),
        received: ui::count(taken),
        refused,
    }
}

/// The row of one connector as it stands now, for the live table.
pub fn connector_row(
    view: &View,
    slug: &str,
    config: &Config,
    memory: &Memory,
    now: Time,
) -> Result<Option<ConnectorRow>, StoreError> {
    Ok(known(view, slug, config, memory, now)?.map(|k| row(&k, now)))
}

/// A failing connector.
#[derive(Debug)]
pub struct Banner {
    what: String,
    why: String,
    slug: String,
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
    let (config, shared) = (state.config.clone(), state.shared.clone());
    let (overview, seq, all) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let all: Vec<Known> = platforms::in_use(&shared.door.registry)
                .iter()
                .filter_map(|i| known(view, &i.slug, &config, &shared.door, now).transpose())
                .collect::<Result<_, _>>()?;
            Ok((overview, seq, all))
        })
        .await?;
    let frame = ask.frame("Connectors", Section::Connectors, &overview, seq);
    Ok(ask.page(StatusCode::OK, &page(frame, all, &client.base_url(&state.config))))
}

fn page(frame: Frame, all: Vec<Known>, base: &str) -> ConnectorsPage {
    let now = frame.now;
    let (mut used, unused): (Vec<_>, Vec<_>) = all.into_iter().partition(|k| k.state != Health::Waiting);
    used.sort_by(|a, b| a.state.cmp(&b.state).then(a.info.name.cmp(&b.info.name)));
    let sums = used.iter().map(|k| k.counters.last_24h(now)).fold((0, 0), |(a, r), (x, y)| (a + x, r + y));
    let banners = used.iter().filter_map(|k| {
        let (what, why) = k.state.banner(&k.info.name)?;
        Some(Banner { what, why, slug: k.info.slug.clone() })
    });
    ConnectorsPage {
        sub: match used.len() {
            0 => "Nothing has been received yet.".to_owned(),
            n => format!(
                "{n} of {} have sent. {} in 24 h, {} not taken.",
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

    fn settings() -> ConnectorSettings {
        ConnectorSettings {
            platform: "grafana".into(),
            enabled: true,
            auth: AuthMode::Key,
            key: Sealed(vec![]),
            old_keys: Vec::new(),
            signing_secret: None,
            challenge_secret: None,
            basic_user: None,
            basic_password: None,
            rca_enabled: false,
            opens: vec![],
            group_by_sender: false,
            severity_map: BTreeMap::new(),
            closes_after_secs: None,
            rate_per_minute: 0,
            test_token: None,
            cloud: None,
            created_at: samples::ago(900),
            declaration: None,
        }
    }

    #[test]
    fn the_state_names_what_is_wrong() {
        let now = samples::now();
        let at = |minutes, outcome| ConnectorCounters {
            received: 1,
            last_accepted: (outcome == DeliveryOutcome::Accepted).then(|| samples::ago(minutes)),
            last: Some((DeliveryId::new(now, 1), samples::ago(minutes), outcome)),
            ..ConnectorCounters::default()
        };
        let check = |c: &ConnectorCounters, away, want: &str| {
            assert!(Health::of(&settings(), c, away, now).mark().to_string().contains(want), "{want}");
        };
        check(&ConnectorCounters::default(), None, "Waiting for the first webhook");
        check(&at(2, DeliveryOutcome::Accepted), None, "Receiving");
        check(&at(300, DeliveryOutcome::Accepted), None, "Quiet for 5");
        check(&at(2, DeliveryOutcome::Unparsed), None, "Not understood");
        check(&at(30, DeliveryOutcome::Accepted), Some((samples::ago(5), 14)), "Refused: wrong key");
        check(&at(2, DeliveryOutcome::Accepted), Some((samples::ago(5), 14)), "Receiving");
    }

    #[test]
    fn worst_first_with_a_banner() {
        let registry = crate::connectors::Registry::default();
        let grafana = platforms::find(&registry, "grafana").unwrap();
        let known = |info, state| Known { info, settings: settings(), counters: ConnectorCounters::default(), state };
        let netdata = platforms::find(&registry, "netdata").unwrap();
        let generic = platforms::find(&registry, "generic").unwrap();
        let all = vec![
            known(grafana, Health::Receiving),
            known(netdata, Health::NotUnderstood("no <b>alerts</b>".into())),
            known(generic, Health::Waiting),
        ];
        let html =
            page(samples::frame("Connectors", Section::Connectors), all, "https://wf.example.com").render().unwrap();
        assert!(html.find("data-platform=\"netdata\"").unwrap() < html.find("data-platform=\"grafana\"").unwrap());
        assert!(html.contains("The last webhook of Netdata was not understood.") && !html.contains("no <b>alerts"));
        assert!(html.contains("class=\"tile\" href=\"/connectors/generic\""));
    }
}
