//! Recorded requests, read as the door reads them, but without asking who sends and without the internet: for a backtest.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    accept::{QUERY_HEADER, apply_identity, apply_words, parse},
    declare::{NewChange, NewIncident, Wrong},
    settings::overridden,
    sources::SourceError,
};
use crate::{
    config::Config,
    connectors::{Registry, Request, declared::Declared},
    model::*,
    store::NewDelivery,
};

/// A request as it was recorded.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// When it was received.
    pub at: Time,
    /// For whom.
    pub platform: Platform,
    /// Those that connectors read, names in lower case.
    pub headers: Vec<(String, String)>,
    /// As received.
    pub body: Vec<u8>,
}

/// What holds for one platform.
#[derive(Clone, Debug, Default)]
struct Reading {
    off: bool,
    rca_enabled: bool,
    severity_map: BTreeMap<String, Severity>,
    closes_after_secs: Option<u32>,
    identity: Vec<IdentityField>,
}

/// Reads recorded requests.
#[derive(Debug)]
pub struct Reader {
    registry: Registry,
    settings: BTreeMap<Platform, Reading>,
}

impl Reader {
    /// With what the configuration says of connectors, and with stored settings below that, where there are some. Declared
    /// sources that do not work are an error when they stand in the configuration, and left out when they are stored.
    pub fn new(config: &Config, stored: Vec<ConnectorSettings>) -> Result<Self, SourceError> {
        let registry = Registry::default();
        let mut settings = BTreeMap::new();
        for (platform, fixed) in &config.connectors {
            let reading = Reading {
                off: fixed.enabled == Some(false),
                rca_enabled: fixed.rca_enabled.unwrap_or(false),
                identity: fixed.identity.clone().unwrap_or_default(),
                ..Reading::default()
            };
            settings.insert(platform.clone(), reading);
        }
        for stored in stored {
            let platform = stored.platform.clone();
            let stored = overridden(stored, config.connectors.get(&platform));
            if let Some(Ok(declared)) = stored.declaration.map(|d| Declared::new(&platform, d, false)) {
                registry.put(Arc::new(declared));
            }
            let reading = Reading {
                off: !stored.enabled,
                rca_enabled: stored.rca_enabled,
                severity_map: stored.severity_map,
                closes_after_secs: stored.closes_after_secs,
                identity: stored.identity,
            };
            settings.insert(platform, reading);
        }
        for (slug, declaration) in &config.sources {
            registry.put(Arc::new(Declared::new(slug, declaration.clone(), true).map_err(SourceError::Wrong)?));
        }
        Ok(Self { registry, settings })
    }

    /// The delivery that it would be. `unique` stands in for what the door would draw by lot.
    pub fn read(&self, recorded: Recorded, unique: &str) -> NewDelivery {
        let Recorded { at, platform, headers, body } = recorded;
        let mut delivery = NewDelivery {
            at,
            platform,
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers,
            body,
            parsed: Parsed::default(),
            replay_of: None,
        };
        let read = match delivery.platform.as_str() {
            "manual" => declared(&delivery.body, unique),
            _ => self.parsed(&delivery),
        };
        match read {
            Ok(parsed) => delivery.parsed = parsed,
            Err(problem) => {
                let refused = matches!(problem.code.as_str(), UNKNOWN | OFF);
                delivery.outcome = if refused { DeliveryOutcome::Refused } else { DeliveryOutcome::Unparsed };
                delivery.problem = Some(problem);
            }
        }
        // Nobody will look at them again.
        delivery.headers = Vec::new();
        delivery.body = Vec::new();
        delivery
    }

    fn parsed(&self, delivery: &NewDelivery) -> Result<Parsed, Problem> {
        let platform = delivery.platform.as_str();
        let Some(connector) = self.registry.find(platform) else {
            let near = self.registry.near(platform);
            let near = if near.is_empty() { String::new() } else { format!("; near: {}", near.join(", ")) };
            return Err(problem(UNKNOWN, format!("there is no connector {platform}{near}")));
        };
        let default = Reading::default();
        let settings = self.settings.get(platform).unwrap_or(&default);
        if settings.off {
            return Err(problem(OFF, format!("the connector {platform} is switched off")));
        }
        let kept = delivery.headers.iter().find(|(name, _)| name == QUERY_HEADER);
        let query: Vec<(String, String)> =
            kept.map(|(_, q)| form_urlencoded::parse(q.as_bytes()).into_owned().collect()).unwrap_or_default();
        let request = Request {
            headers: &delivery.headers,
            query: &query,
            body: &delivery.body,
            received_at: delivery.at,
            rca_enabled: settings.rca_enabled,
        };
        let mut parsed = parse(&*connector, &request)?;
        apply_words(&mut parsed, &settings.severity_map, settings.closes_after_secs);
        apply_identity(platform, &mut parsed, &settings.identity);
        Ok(parsed)
    }

    /// A change as it is reported to `POST /api/changes`, or everything that is wrong with it.
    pub fn change(&self, at: Time, change: NewChange) -> Result<NewDelivery, Vec<Wrong>> {
        let change = change.change(&backtest())?;
        Ok(NewDelivery {
            at,
            platform: "changes".to_owned(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: Vec::new(),
            body: Vec::new(),
            parsed: Parsed { changes: vec![change], ..Parsed::default() },
            replay_of: None,
        })
    }
}

/// Codes of problems for which a sender would have been turned away.
const UNKNOWN: &str = "unknown_platform";
const OFF: &str = "connector_off";

fn problem(code: &str, detail: String) -> Problem {
    Problem { code: code.to_owned(), detail, path: None }
}

fn backtest() -> Actor {
    Actor::Program("backtest".to_owned())
}

/// An incident that was declared by hand.
fn declared(body: &[u8], unique: &str) -> Result<Parsed, Problem> {
    let new: NewIncident = serde_json::from_slice(body).map_err(|e| problem("invalid_json", e.to_string()))?;
    let signal = new.signal(unique, &backtest()).map_err(|wrong| {
        let all: Vec<String> = wrong.iter().map(|(path, what)| format!("{path}: {what}")).collect();
        problem("invalid", all.join("; "))
    })?;
    Ok(Parsed { signals: vec![signal], ..Parsed::default() })
}
