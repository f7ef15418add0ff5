//! One connector: how to set it up there, what is set here, and what came.

use askama::Template;
use axum::{
    extract::{FromRequestParts, Path, State},
    response::Response,
};
use http::{StatusCode, request::Parts};
use serde_json::json;

use super::{
    act::Form,
    ask::{Ask, Fields, Params, back},
    connectors::Health,
    deliveries::{APPLIED, Row, door, refused},
    frame::{Frame, Section, counts_and_seq},
    platforms::{self, Platform},
    said::Said,
    text,
    ui::{self, Markup, When},
    words,
};
use crate::{
    connectors::declared::Declared,
    ingest::{Refusal, settings::overridden},
    model::*,
    store::DeliveryFilter,
    web::{
        api,
        auth::{Admin, Client, Denied},
        error::ApiError,
        state::AppState,
    },
};

/// Deliveries on the page.
const LAST: usize = 8;

/// An administrator with what they sent.
#[derive(Debug)]
pub struct AdminForm {
    /// Who looks.
    pub ask: Ask,
    /// Who acts.
    pub actor: Actor,
    /// What was sent.
    pub fields: Fields,
}

impl axum::extract::FromRequest<AppState> for AdminForm {
    type Rejection = Response;

    async fn from_request(request: axum::extract::Request, state: &AppState) -> Result<Self, Response> {
        use axum::response::IntoResponse;
        let (mut parts, body) = request.into_parts();
        let (ask, actor) = admin(&mut parts, state).await.map_err(IntoResponse::into_response)?;
        let request = axum::extract::Request::from_parts(parts, body);
        let fields = Fields::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        Ok(Self { ask, actor, fields })
    }
}

async fn admin(parts: &mut Parts, state: &AppState) -> Result<(Ask, Actor), Denied> {
    let actor = Admin::from_request_parts(parts, state).await?.actor;
    Ok((Ask::from_request_parts(parts, state).await?, actor))
}

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
    words: &'static str,
    incident: Option<IncidentId>,
    id: DeliveryId,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/connector.html")]
pub struct ConnectorPage {
    frame: Frame,
    info: Platform,
    tile: Markup,
    state: Markup,
    near_note: Option<String>,
    steps: Vec<Markup>,
    received: bool,
    tested: Option<Tested>,
    url: String,
    key: Option<String>,
    old_until: Option<When>,
    test_token: Option<String>,
    counts: String,
    deliveries: Vec<Row>,
    facts: Vec<(&'static str, Markup)>,
    opens: Vec<Choice>,
    opens_fixed: bool,
    rca: bool,
    rca_fixed: bool,
    auths: Vec<Choice>,
    auth_fixed: bool,
    auth_words: &'static str,
    has_signing: bool,
    has_challenge: bool,
    has_basic: bool,
    basic_user: String,
    enabled: bool,
    enabled_fixed: bool,
    declared: Vec<(&'static str, String)>,
    declared_fixed: bool,
}

/// A step with the address in its place. Words between backticks are code.
fn step(text: &str, url: &str, key: &str) -> Markup {
    #[derive(Template)]
    #[template(
        source = "{% for (code, text) in parts %}{% if *code %}<code dir=\"ltr\">{{ text }}</code>{% else %}{{ text }}{% endif %}{% endfor %}",
        ext = "html"
    )]
    struct Step {
        parts: Vec<(bool, String)>,
    }
    let fill = |s: &str| s.replace("{url}", url).replace("{key}", key);
    let mut parts = Vec::new();
    for (n, part) in text.split('`').enumerate() {
        if n % 2 == 1 {
            parts.push((true, fill(part)));
            continue;
        }
        // Placeholders outside of code stand as code of their own.
        let mut rest = part;
        while let Some(at) = rest.find(['{']) {
            let (before, after) = rest.split_at(at);
            let end = after.find('}').map_or(after.len(), |e| e + 1);
            let (name, tail) = after.split_at(end);
            parts.push((false, before.to_owned()));
            parts.push((matches!(name, "{url}" | "{key}"), fill(name)));
            rest = tail;
        }
        parts.push((false, rest.to_owned()));
    }
    parts.retain(|(_, t)| !t.is_empty());
    Markup::of(&Step { parts })
}

/// `GET /connectors/{platform}`
pub async fn connector(
    State(state): State<AppState>,
    ask: Ask,
    client: Client,
    Path(slug): Path<String>,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let tested = params.get("tested").parse().ok();
    draw(&state, &ask, &client, &slug, None, tested).await
}

async fn draw(
    state: &AppState,
    ask: &Ask,
    client: &Client,
    slug: &str,
    key: Option<String>,
    tested: Option<DeliveryId>,
) -> Result<Response, ApiError> {
    let info = platforms::find(&state.shared.door.registry, slug)
        .ok_or_else(|| ApiError::not_found(format_args!("connector “{}”", text::shorten(slug, 40))))?;
    let now = ask.now;
    let (overview, seq, settings, counters, rows, result) = state
        .store
        .read({
            let wanted = info.slug.clone();
            move |view| {
                let (overview, seq) = counts_and_seq(view, now)?;
                let filter = DeliveryFilter { platform: Some(wanted.clone()), outcome: None };
                let result = match tested {
                    Some(id) => view.delivery_row(id.number())?.filter(|r| r.id == id),
                    None => None,
                };
                let rows = view.deliveries(&filter, None, LAST)?.items;
                Ok((overview, seq, view.connector(&wanted)?, view.counters(&wanted)?, rows, result))
            }
        })
        .await?;
    let settings =
        settings.ok_or_else(|| ApiError::not_found(format_args!("connector “{slug}” yet; restart to make it")))?;
    let fixed = state.config.connectors.get(slug);
    let settings = overridden(settings, fixed);
    let health = Health::of(&settings, &counters, state.shared.door.turned_away(slug), now);
    let base = client.base_url(&state.config);
    let url = format!("{base}/api/webhooks/{slug}");
    let (taken, bad) = counters.last_24h(now);
    let frame = ask.frame(&info.name, Section::Connectors, &overview, seq);
    let opens_on =
        |s: Severity| if settings.opens.is_empty() { s != Severity::Info } else { settings.opens.contains(&s) };
    let key_words = key.clone().unwrap_or_else(|| "KEY".to_owned());
    let page = ConnectorPage {
        tile: ui::tile(&info.slug),
        state: health.mark(),
        near_note: near_note(&base, &info.slug, &info.name),
        steps: info.steps.iter().map(|s| step(s, &url, &key_words)).collect(),
        received: counters.last_accepted.is_some(),
        tested: result.as_ref().map(tested_words),
        url,
        key,
        old_until: settings.old_key_until(now).map(When::full),
        test_token: settings.test_token.as_deref().map(ui::plain),
        counts: format!("{} in 24 h, {} not taken", ui::count(taken), ui::count(bad)),
        deliveries: rows.iter().map(|d| Row::new(d, false, now)).collect(),
        facts: facts(&settings, &counters, &health, now),
        opens: Severity::ALL
            .iter()
            .map(|s| Choice { value: s.as_str(), name: ui::severity(*s), checked: opens_on(*s) })
            .collect(),
        opens_fixed: fixed.is_some_and(|f| f.opens.is_some()),
        rca: settings.rca_enabled,
        rca_fixed: fixed.is_some_and(|f| f.rca_enabled.is_some()),
        auths: AuthMode::ALL
            .iter()
            .filter(|a| **a != AuthMode::Signature || info.signature.is_some())
            .map(|a| Choice { value: a.as_str(), name: ui::foreign(words::auth(*a)), checked: *a == settings.auth })
            .collect(),
        auth_fixed: fixed.is_some_and(|f| f.auth.is_some()),
        auth_words: words::auth(settings.auth),
        has_signing: settings.signing_secret.is_some(),
        has_challenge: settings.challenge_secret.is_some(),
        has_basic: settings.basic_password.is_some(),
        basic_user: settings.basic_user.clone().unwrap_or_default(),
        enabled: settings.enabled,
        enabled_fixed: fixed.is_some_and(|f| f.enabled.is_some()),
        declared: info.declared.as_deref().map(declared_words).unwrap_or_default(),
        declared_fixed: info.declared.as_ref().is_some_and(|d| d.is_fixed()),
        info,
        frame,
    };
    Ok(ask.page(StatusCode::OK, &page))
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
        Err(_) => host == "localhost" || host.is_empty(),
    };
    match (private, base.starts_with("https://")) {
        (true, _) => Some(format!(
            "This address is on this machine or a private network. {name} can only reach it from there; set --public-url to the address that it should use."
        )),
        (false, false) if slug == "netdata" => {
            Some("Netdata Cloud sends to https addresses only. Set --public-url to one.".to_owned())
        }
        _ => None,
    }
}

fn tested_words(row: &DeliveryRow) -> Tested {
    let (class, mark, words) = match row.outcome {
        DeliveryOutcome::Accepted => ("ok", ui::icon("check"), "Understood. Opened as a test:"),
        DeliveryOutcome::Unparsed => ("failing", ui::icon("warn"), "Not understood."),
        DeliveryOutcome::Refused => ("failing", ui::icon("warn"), "Refused."),
    };
    let incident = row.incidents.first().copied();
    let words = if class == "ok" && incident.is_none() { "Understood; it opened nothing." } else { words };
    Tested { class, mark, words, incident, id: row.id }
}

fn facts(s: &ConnectorSettings, c: &ConnectorCounters, health: &Health, now: Time) -> Vec<(&'static str, Markup)> {
    #[derive(Template)]
    #[template(source = "{% if let Some(t) = at %}{{ t }}{% else %}never{% endif %}", ext = "html")]
    struct At {
        at: Option<When>,
    }
    let ago = |t: Option<Time>| Markup::of(&At { at: t.map(|t| When::ago(t, now)) });
    let mut out = vec![
        ("Webhooks", health.mark()),
        ("Last accepted", ago(c.last_accepted)),
        ("Received", ui::foreign(&ui::plural(c.received, "webhook"))),
        (
            "Limit",
            ui::foreign(&match s.rate_per_minute {
                0 => "none".to_owned(),
                n => format!("{} per min", ui::count(n)),
            }),
        ),
    ];
    if c.last_heartbeat.is_some() {
        out.push(("Heartbeat", ago(c.last_heartbeat)));
    }
    if let Some((p, at)) = &c.last_problem {
        out.push((
            "Last problem",
            ui::foreign(&format!("{} ({} ago)", text::shorten(&p.detail, 200), ui::duration(now.since(*at)))),
        ));
    }
    out
}

async fn change(
    state: &AppState,
    slug: &str,
    actor: Actor,
    what: serde_json::Value,
    change: impl FnOnce(&mut ConnectorSettings) + Send + 'static,
) -> Result<ConnectorSettings, ApiError> {
    let settings = state.store.update_connector(slug.to_owned(), change, what, actor).await?;
    state.shared.door.forget(slug);
    Ok(settings)
}

/// `POST /connectors/{platform}/reveal`: the page with the key on it, once.
pub async fn reveal(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    client: Client,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let key = api::connectors::reveal(&state, &slug, form.actor).await?;
    draw(&state, &form.ask, &client, &slug, Some(key), None).await
}

/// `POST /connectors/{platform}/rotate`: a new key, shown once.
pub async fn rotate(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    client: Client,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let key = api::connectors::rotate(&state, &slug, form.actor).await?;
    draw(&state, &form.ask, &client, &slug, Some(key), None).await
}

/// `POST /connectors/{platform}/test`
pub async fn test(State(state): State<AppState>, Path(slug): Path<String>, _form: Form) -> Result<Response, ApiError> {
    let stored = match door(&state).test(&slug).await {
        Ok(accepted) => accepted.stored,
        Err(Refusal::NotUnderstood(_, stored)) => stored,
        Err(refusal) => return Err(refused(&refusal)),
    };
    state.store.applied(stored.seq, APPLIED).await;
    Ok(back(&format!("/connectors/{slug}?tested={}#test", stored.id), Some(Said::new("tested"))))
}

/// `POST /connectors/{platform}/opens`
pub async fn opens(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let opens: Vec<Severity> = form.fields.all("opens").iter().filter_map(|s| s.parse().ok()).collect();
    if opens.is_empty() {
        return Err(ApiError::invalid("opens", "choose at least one severity; to stop a connector, switch it off"));
    }
    let rca = form.fields.checked("rca");
    let builds = platforms::info(&slug).is_some_and(|i| i.builds);
    let what = json!({"opens": opens, "rca_enabled": builds.then_some(rca)});
    change(&state, &slug, form.actor, what, move |s| {
        s.opens = opens;
        if builds {
            s.rca_enabled = rca;
        }
    })
    .await?;
    Ok(back(&format!("/connectors/{slug}"), Some(Said::new("saved"))))
}

/// `POST /connectors/{platform}/proof`
pub async fn proof(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let f = &form.fields;
    let auth: Option<AuthMode> = f.get("auth").parse().ok();
    // An empty field keeps what is stored: it cannot be shown, so it cannot be sent back.
    let secret = |name: &str| match f.get(name).trim() {
        "" => Ok(None),
        given => state.store.sealer().seal(given).map(Some),
    };
    let (signing, challenge, password) =
        (secret("signing_secret")?, secret("challenge_secret")?, secret("basic_password")?);
    let user = Some(f.get("basic_user").trim().to_owned()).filter(|u| !u.is_empty());
    let what = json!({
        "auth": auth,
        "signing_secret": signing.as_ref().map(|_| "set"),
        "challenge_secret": challenge.as_ref().map(|_| "set"),
        "basic_user": user,
        "basic_password": password.as_ref().map(|_| "set"),
    });
    change(&state, &slug, form.actor.clone(), what, move |s| {
        s.auth = auth.unwrap_or(s.auth);
        s.signing_secret = signing.or(s.signing_secret.take());
        s.challenge_secret = challenge.or(s.challenge_secret.take());
        s.basic_user = user;
        s.basic_password = password.or(s.basic_password.take());
    })
    .await?;
    Ok(back(&format!("/connectors/{slug}"), Some(Said::new("saved"))))
}

/// `POST /connectors/{platform}/switch`
pub async fn switch(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let enabled = form.fields.get("enabled") == "on";
    change(&state, &slug, form.actor, json!({ "enabled": enabled }), move |s| s.enabled = enabled).await?;
    Ok(back(&format!("/connectors/{slug}"), Some(Said::new("saved"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_show_address_and_code() {
        let html = step("Paste {url}, set `Bearer {key}`. Leave {this} <b>.", "https://x/api", "KEY").to_string();
        assert_eq!(
            html,
            "Paste <code dir=\"ltr\">https://x/api</code>, set <code dir=\"ltr\">Bearer KEY</code>. Leave {this} &#60;b&#62;."
        );
    }

    #[test]
    fn addresses_that_senders_cannot_reach_are_named() {
        for (base, slug, note) in [
            ("http://127.0.0.1:8080", "grafana", true),
            ("http://192.168.4.2", "grafana", true),
            ("http://localhost:8080", "grafana", true),
            ("http://wf.example.com", "grafana", false),
            ("http://wf.example.com", "netdata", true),
            ("https://wf.example.com", "netdata", false),
        ] {
            assert_eq!(near_note(base, slug, slug).is_some(), note, "{base}");
        }
    }
}
