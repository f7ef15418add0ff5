//! One connector: how to set it up there, what is set here, and what came.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    ask::{Ask, Fields, Params},
    condition::{self, Banner},
    connectors::{Rca, masked},
    deliveries::Row,
    facts,
    frame::{Frame, Section, counts_and_seq},
    identity::Identity,
    platforms::Platform,
    setup,
    steps::{Seen, Step, steps, with_code},
    text,
    ui::{self, Markup, When},
    words,
};
use crate::{
    connectors::declared::Declared,
    ingest::{accept, identity::Trial, settings::overridden},
    model::*,
    store::DeliveryFilter,
    web::{api::connectors::fixed_names, auth::Client, error::ApiError, health::Health, state::AppState},
};

/// Deliveries on the page.
const LAST: usize = 8;
/// How long a connector may be paused, in hours.
pub const PAUSES: [(u32, &str); 5] = [(1, "1 hour"), (4, "4 hours"), (8, "8 hours"), (24, "1 day"), (168, "1 week")];

/// One choice of a form.
#[derive(Debug)]
pub struct Choice {
    value: &'static str,
    name: Markup,
    checked: bool,
}

/// How the test went.
#[derive(Debug)]
pub struct Tested {
    class: &'static str,
    mark: Markup,
    answer: String,
    words: &'static str,
    incident: Option<IncidentId>,
    id: DeliveryId,
}

/// What a form has to say on the page that it was sent from.
#[derive(Debug, Default)]
pub struct Answer {
    /// The key, shown.
    pub key: Option<String>,
    /// The delivery of a test, with the code and the milliseconds until it was stored.
    pub tested: Option<(DeliveryId, u16, u64)>,
    /// What a rule of identity would have made of the last deliveries.
    pub identity: Option<Trial>,
    /// Which form was not taken, and why.
    pub wrong: Option<(&'static str, String)>,
    /// What was typed into it.
    pub typed: Fields,
}

/// The Netdata Cloud account.
#[derive(Debug)]
pub struct Cloud {
    base_url: String,
    spaces: String,
    checked: Option<When>,
}

/// Whether the sender's own groups count.
#[derive(Debug)]
pub struct Groups {
    on: bool,
    window: String,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/connector.html")]
pub struct ConnectorPage {
    frame: Frame,
    info: Platform,
    tile: Markup,
    state: Markup,
    last: Option<When>,
    banner: Option<Banner>,
    near_note: Option<String>,
    steps: Vec<Step>,
    /// A test came, and so did something that was none.
    seen: Seen,
    real: Option<When>,
    pauses: [(u32, &'static str); 5],
    curl: String,
    /// The field of the signing secret stands in no step, so it stands beside.
    signing_beside: bool,
    tested: Option<Tested>,
    url: String,
    key: Option<String>,
    masked: String,
    old_until: Option<When>,
    test_token: Option<String>,
    counts: String,
    deliveries: Vec<Row>,
    identity: Identity,
    facts: Vec<(&'static str, Markup)>,
    opens: Vec<Choice>,
    fixed: Vec<&'static str>,
    rca: Option<Rca>,
    groups: Option<Groups>,
    auths: Vec<Choice>,
    ways: Vec<Markup>,
    certificate: Option<Markup>,
    has_signing: bool,
    has_challenge: bool,
    has_basic: bool,
    basic_user: String,
    rate: String,
    closes: String,
    closes_own: Option<String>,
    enabled: bool,
    paused: bool,
    cloud: Option<Cloud>,
    declared: Vec<(&'static str, String)>,
    declared_fixed: bool,
    wrong: Option<(&'static str, String)>,
    typed: Fields,
}

impl ConnectorPage {
    /// Why the form of that name was not taken.
    fn wrong_in(&self, form: &str) -> Option<&str> {
        self.wrong.as_ref().filter(|(name, _)| *name == form).map(|(_, why)| why.as_str())
    }

    /// Whether the configuration decides that.
    fn is_fixed(&self, name: &str) -> bool {
        self.fixed.contains(&name)
    }

    /// Where the account was checked; empty for the usual place.
    fn cloud_address(&self) -> &str {
        self.cloud.as_ref().map_or("", |c| c.base_url.as_str())
    }

    /// What was typed and not taken, else what is set.
    fn typed<'a>(&'a self, form: &str, field: &str, set: &'a str) -> &'a str {
        if self.wrong_in(form).is_some() { self.typed.get(field) } else { set }
    }
}

/// `GET /connectors/{platform}`
pub async fn connector(
    State(state): State<AppState>,
    ask: Ask,
    client: Client,
    Path(slug): Path<String>,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let number = |name: &str| params.get(name).parse().ok();
    let code = number("code").and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
    let tested = params.get("tested").parse().ok().map(|id| (id, code, number("ms").unwrap_or(0)));
    draw(&state, &ask, &client, &slug, StatusCode::OK, Answer { tested, ..Answer::default() }).await
}

/// The page with what a form has to say.
pub async fn draw(
    state: &AppState,
    ask: &Ask,
    client: &Client,
    slug: &str,
    status: StatusCode,
    answer: Answer,
) -> Result<Response, ApiError> {
    let door = &state.shared.door;
    let handle = door.registry.find(slug);
    let handle = handle.ok_or_else(|| ApiError::not_found(format_args!("connector “{}”", text::shorten(slug, 40))))?;
    let info = Platform::from(&handle);
    let now = ask.now;
    let tested = answer.tested;
    let (overview, seq, settings, counters, rows, result) = state
        .store
        .read({
            let wanted = info.slug.clone();
            move |view| {
                let (overview, seq) = counts_and_seq(view, now)?;
                let filter =
                    DeliveryFilter { platform: Some(wanted.clone()), outcome: None, ..DeliveryFilter::default() };
                let result = match tested {
                    Some((id, ..)) => view.delivery_row(id.number())?.filter(|r| r.id == id),
                    None => None,
                };
                let rows = view.deliveries(&filter, None, LAST)?.items;
                Ok((overview, seq, view.connector(&wanted)?, view.counters(&wanted)?, rows, result))
            }
        })
        .await?;
    let settings =
        settings.ok_or_else(|| ApiError::not_found(format_args!("connector “{slug}” yet; restart to make it")))?;
    let config = state.config.connectors.get(slug);
    let settings = overridden(settings, config);
    let fixed = config.map(fixed_names).unwrap_or_default();
    let health = Health::of(&settings, &counters, door, now);
    let base = client.base_url(&state.config);
    let url = format!("{base}/api/webhooks/{slug}");
    let (taken, bad) = counters.last_24h(now);
    let opens_on =
        |s: Severity| if settings.opens.is_empty() { s != Severity::Info } else { settings.opens.contains(&s) };
    let key_words = answer.key.clone().unwrap_or_else(|| "KEY".to_owned());
    let seen = Seen::of(&settings, &counters, &health);
    let steps = steps(info.steps, &url, &key_words, seen);
    let ways = match door.settings(slug, &state.store, &state.config).await? {
        Some(effective) => accept::ways(&*handle, &effective, &door.trust.rules(), &state.config),
        None => Vec::new(),
    };
    let last = counters.last.as_ref();
    let wrong = answer.wrong.as_ref().filter(|(form, _)| *form == "identity").map(|(_, why)| why.as_str());
    let identity = Identity::new(
        (&info.slug, &info.name),
        &settings,
        &counters,
        (ask.identity.may_set_up(), fixed.contains(&"identity")),
        ((wrong.is_some() || answer.identity.is_some()).then(|| answer.typed.get("fields")), wrong),
        answer.identity.as_ref(),
    );
    let page = ConnectorPage {
        frame: ask.frame(&info.name, Section::Connectors, &overview, seq),
        tile: ui::tile(&info.slug),
        state: condition::mark(&health, now),
        last: last.map(|(_, at, _)| When::ago(*at, now)),
        banner: condition::banner(&health, &info.name, &settings, last.map(|(id, ..)| *id), now),
        near_note: near_note(&base, &info.slug, &info.name),
        signing_beside: info.signature.is_some() && !steps.iter().any(|s| s.holds.signing),
        steps,
        seen,
        real: counters.last_real.map(|at| When::ago(at, now)),
        pauses: PAUSES,
        curl: setup::curl(&base, &info.slug, answer.key.as_deref().unwrap_or("$WATCHFIRE_KEY")),
        tested: result.as_ref().zip(tested).map(|(row, (_, code, ms))| tested_words(row, code, ms)),
        url,
        masked: masked(&settings.key, state.store.sealer())?,
        key: answer.key,
        old_until: settings.old_key_until(now).map(When::full),
        test_token: settings.test_token.as_deref().map(ui::plain),
        counts: format!("{} in 24 h, {} not taken", ui::count(taken), ui::count(bad)),
        deliveries: rows
            .iter()
            .map(|d| Row::new(d, false, now).with_answer(d, &info).with_acts(ask.identity.may_act()))
            .collect(),
        identity,
        facts: facts::facts(&settings, &counters, &health, door, &info, now),
        opens: Severity::ALL
            .iter()
            .map(|s| Choice { value: s.as_str(), name: ui::severity(*s), checked: opens_on(*s) })
            .collect(),
        rca: info.builds.then(|| Rca { on: settings.rca_enabled, fixed: fixed.contains(&"rca_enabled") }),
        groups: handle
            .groups()
            .then(|| Groups { on: settings.group_by_sender, window: ui::duration(state.config.cluster_window) }),
        auths: AuthMode::ALL
            .iter()
            .filter(|a| **a != AuthMode::Signature || info.signature.is_some())
            .map(|a| Choice { value: a.as_str(), name: ui::foreign(words::auth(*a)), checked: *a == settings.auth })
            .collect(),
        ways: ways.iter().map(|w| with_code(&text::capital(w))).collect(),
        certificate: certificate(state, &info, settings.auth),
        has_signing: settings.signing_secret.is_some(),
        has_challenge: settings.challenge_secret.is_some(),
        has_basic: settings.basic_password.is_some(),
        basic_user: settings.basic_user.clone().unwrap_or_default(),
        rate: settings.rate_per_minute.to_string(),
        closes: settings.closes_after_secs.map(|secs| secs.div_ceil(60).to_string()).unwrap_or_default(),
        closes_own: handle.quiet_secs().map(|s| ui::duration(std::time::Duration::from_secs(s.into()))),
        enabled: settings.enabled,
        paused: settings.paused(now).is_some(),
        cloud: settings.cloud.as_ref().map(|c| Cloud {
            base_url: ui::plain(&c.base_url),
            spaces: text::visible(&text::shorten(&c.spaces.join(", "), 300)),
            checked: c.checked_at.map(|at| When::ago(at, now)),
        }),
        declared: info.declared.as_deref().map(declared_words).unwrap_or_default(),
        declared_fixed: info.declared.as_ref().is_some_and(|d| d.is_fixed()),
        wrong: answer.wrong,
        typed: answer.typed,
        fixed,
        info,
    };
    Ok(ask.page(status, &page))
}

/// Why a client certificate would not be enough yet; nothing where the ways above say it all.
fn certificate(state: &AppState, info: &Platform, auth: AuthMode) -> Option<Markup> {
    let config = &state.config;
    let seen = config.tls_cert.is_some() || config.proxy_cert_header.is_some() || config.proxy_subject_header.is_some();
    let way = state.shared.door.trust.rules().way(&info.slug);
    match (auth, way) {
        (AuthMode::AnyOf, Some(way)) if !seen => Some(with_code(&format!(
            "{} works too, once this server has TLS of its own (`tls.cert`) or a trusted proxy that passes it on.",
            text::capital(&way)
        ))),
        (AuthMode::AnyOf, None) => Some(with_code(&format!(
            "A client certificate works too, once `connectors.{}.client_ca` names the CA that issues it.",
            info.slug
        ))),
        _ => None,
    }
}

/// What is declared, field by field.
fn declared_words(declared: &Declared) -> Vec<(&'static str, String)> {
    let d = declared.declaration();
    let expressions = DeclaredField::ALL.iter().filter_map(|f| Some((f.as_str(), text::visible(d.expression(*f)?))));
    let mut all: Vec<_> = expressions.collect();
    if !d.resolved.is_empty() {
        all.push(("resolved", text::visible(&d.resolved.join(", "))));
    }
    if !d.severities.is_empty() {
        let words: Vec<String> = d.severities.iter().map(|(word, severity)| format!("{word} = {severity}")).collect();
        all.push(("severities", text::visible(&words.join(", "))));
    }
    if let Some(secs) = d.quiet_after_secs {
        all.push(("over after", ui::duration(std::time::Duration::from_secs(secs.into()))));
    }
    all
}

/// Senders on the internet cannot reach an address of this machine or of a private network.
fn near_note(base: &str, slug: &str, name: &str) -> Option<String> {
    let host = base.split_once("://").map_or(base, |(_, h)| h);
    let host = host.trim_start_matches('[').split([':', '/', ']']).next().unwrap_or_default();
    let private = match host.parse::<std::net::Ipv4Addr>() {
        Ok(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        // An address of version 6 was cut at its first colon.
        Err(_) => matches!(host, "" | "localhost" | "fe80") || host.starts_with("fd") && base.contains("://["),
    };
    match (private, base.starts_with("https://")) {
        (true, _) => Some(format!(
            "This address is on this machine or a private network. {name} can only reach it from there{}; set --public-url to the address that it should use.",
            if slug == "netdata" { ", and Netdata Cloud refuses it" } else { "" }
        )),
        (false, false) if slug == "netdata" => {
            Some("Netdata Cloud sends to https addresses only. Set --public-url to one.".to_owned())
        }
        (false, false) => Some(format!(
            "This address is without TLS: the key travels in the clear, and {name} may refuse it. Set --public-url to an https address."
        )),
        _ => None,
    }
}

fn tested_words(row: &DeliveryRow, code: u16, ms: u64) -> Tested {
    let (class, mark, words) = match row.outcome {
        DeliveryOutcome::Accepted => ("ok", ui::icon("check"), "Understood. Opened as a test:"),
        DeliveryOutcome::Unparsed => ("failing", ui::icon("warn"), "Not understood."),
        DeliveryOutcome::Refused => ("failing", ui::icon("warn"), "Refused."),
    };
    let incident = row.incidents.first().copied();
    let words = if class == "ok" && incident.is_none() { "Understood; it opened nothing." } else { words };
    let answer =
        if (200..600).contains(&code) { format!("{code} in {}\u{a0}ms.", ui::count(ms)) } else { String::new() };
    Tested { class, mark, answer, words, incident, id: row.id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_senders_cannot_reach_are_named() {
        for (base, slug, note) in [
            ("http://127.0.0.1:8080", "grafana", true),
            ("http://192.168.4.2", "grafana", true),
            ("http://localhost:8080", "grafana", true),
            ("http://[::1]:8080", "grafana", true),
            ("http://[fd00::1]:8080", "grafana", true),
            ("https://fdic.example.com", "grafana", false),
            ("http://wf.example.com", "grafana", true),
            ("https://wf.example.com", "grafana", false),
            ("http://wf.example.com", "netdata", true),
            ("https://wf.example.com", "netdata", false),
        ] {
            assert_eq!(near_note(base, slug, slug).is_some(), note, "{base}");
        }
    }
}
