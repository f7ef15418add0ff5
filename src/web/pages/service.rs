//! The form of one service, and topologies taken in and given out as JSON.

use askama::Template;
use axum::{body::Body, extract::State, response::Response};
use http::{HeaderValue, StatusCode, header};

use super::{
    act::Form,
    ask::{Ask, Fields, Params, back},
    frame::{Frame, Section, counts_and_seq},
    map::pick,
    said::Said,
    source::coded,
    text,
    ui::{self, Markup},
};
use crate::{
    model::*,
    store::{
        CommandError,
        views::{Origin, Topology},
    },
    web::{
        api::services::{self, read_body},
        error::ApiError,
        extract::parse_json,
        state::AppState,
    },
};

/// A field of the form.
#[derive(Debug)]
struct Field {
    name: &'static str,
    label: &'static str,
    help: &'static str,
    value: String,
    // Several, one on each line.
    list: bool,
    errors: Vec<Markup>,
}

/// Names that can be meant, for the browser to complete.
#[derive(Debug)]
struct Hint {
    name: String,
    what: &'static str,
}

/// The page of one service.
#[derive(Debug, Template)]
#[template(path = "pages/service.html")]
pub struct ServicePage {
    frame: Frame,
    // The service as it is kept, when there is one.
    was: Option<String>,
    crumb: Option<(Markup, String)>,
    fields: Vec<Field>,
    others: Vec<Markup>,
    hints: Vec<Hint>,
    needed_by: Vec<Markup>,
}

const FIELDS: [(&str, &str, &str, bool); 9] = [
    ("name", "Name", "The one shown everywhere. Upper and lower case are the same.", false),
    ("aliases", "Other names", "What else alerts call it: tags, jobs, entity ids. One on each line.", true),
    (
        "depends_on",
        "Depends on",
        "The services that it calls. One on each line; names that are not declared yet are fine.",
        true,
    ),
    ("hosts", "Hosts", "Machines it runs on, as alerts name them. One on each line.", true),
    ("owner", "Owner", "Person or team.", false),
    ("tier", "Tier", "How important it is, in your words.", false),
    ("runbook_url", "Runbook", "An address that begins with https:// or http://.", false),
    ("prometheus", "Prometheus", "Selector of its series, for investigations.", false),
    ("netdata", "Netdata", "Address of the agent on its host, for investigations.", false),
];

/// What stands in the fields.
fn value(service: &Service, field: &str) -> String {
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    match field {
        "name" => service.name.clone(),
        "aliases" => service.aliases.join("\n"),
        "depends_on" => service.depends_on.join("\n"),
        "hosts" => service.hosts.join("\n"),
        "owner" => text(&service.owner),
        "tier" => text(&service.tier),
        "runbook_url" => text(&service.runbook_url),
        "prometheus" => text(&service.prometheus),
        "netdata" => text(&service.netdata),
        _ => String::new(),
    }
}

/// The service as it was typed.
fn typed(fields: &Fields) -> Service {
    let lines = |name: &str| fields.get(name).lines().map(str::to_owned).collect();
    let text = |name: &str| Some(fields.get(name).to_owned());
    let service = Service {
        name: fields.get("name").to_owned(),
        aliases: lines("aliases"),
        depends_on: lines("depends_on"),
        hosts: lines("hosts"),
        owner: text("owner"),
        tier: text("tier"),
        runbook_url: text("runbook_url"),
        prometheus: text("prometheus"),
        netdata: text("netdata"),
    };
    service.tidy()
}

async fn draw(
    state: &AppState,
    ask: &Ask,
    was: Option<String>,
    service: Service,
    wrong: Vec<Mistake>,
) -> Result<Response, ApiError> {
    let now = ask.now;
    let (overview, seq, all) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            Ok((overview, seq, view.topology()?))
        })
        .await?;
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let (at_field, others): (Vec<&Mistake>, Vec<&Mistake>) =
        wrong.iter().partition(|m| FIELDS.iter().any(|(name, ..)| field_of(&m.path) == *name));
    let fields = FIELDS.map(|(name, label, help, list)| Field {
        name,
        label,
        help,
        list,
        value: value(&service, name),
        errors: at_field.iter().filter(|m| field_of(&m.path) == name).map(|m| coded(&m.what)).collect(),
    });
    let place = was.as_deref().and_then(|w| all.place(w)).and_then(|n| all.services.get(n));
    let callers = place.into_iter().flat_map(|k| &k.called_by).filter(|c| c.learned.is_none()).take(50);
    let page = ServicePage {
        frame: ask.frame("Service", Section::Services, &overview, seq),
        crumb: was.as_deref().map(|w| (ui::foreign(w), pick(w, ""))),
        was,
        fields: fields.into(),
        others: others.into_iter().map(|m| coded(&m.what)).collect(),
        hints: hints(&all),
        needed_by: callers.map(|c| ui::foreign(all.name(c.other))).collect(),
    };
    Ok(ask.page(status, &page))
}

/// `/aliases/1` is about the field `aliases`.
fn field_of(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

fn hints(all: &Topology) -> Vec<Hint> {
    let what = |origin| match origin {
        Origin::Declared => "declared",
        Origin::Named => "not declared",
        Origin::Learned => "from alerts",
    };
    let all = all.services.iter().take(300);
    all.map(|k| Hint { name: k.name.clone(), what: what(k.origin) }).collect()
}

/// `GET /topology/service?name=`: to change it, or to declare it when it is not.
pub async fn show(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let name = params.get("name").trim().to_owned();
    let wanted = name.clone();
    let (kept, callees) = state
        .store
        .read(move |view| {
            let all = view.topology()?;
            let known = all.place(&wanted).and_then(|n| all.services.get(n));
            let learned = known.into_iter().flat_map(|k| &k.calls).map(|c| all.name(c.other).to_owned()).collect();
            Ok((known.and_then(|k| k.service.clone()), learned))
        })
        .await?;
    match kept {
        Some(service) => draw(&state, &ask, Some(service.name.clone()), service, Vec::new()).await,
        // What alerts told is where one would begin.
        None => {
            let service = Service { name, depends_on: callees, ..Service::default() };
            draw(&state, &ask, None, service, Vec::new()).await
        }
    }
}

/// `POST /topology/service`: saves it or removes it.
pub async fn change(State(state): State<AppState>, form: Form) -> Result<Response, ApiError> {
    let Form { ask, actor, fields } = form;
    let was = Some(fields.get("was").to_owned()).filter(|w| !w.is_empty());
    if let ("remove", Some(was)) = (fields.get("do"), &was) {
        state.store.delete_service(was.clone(), actor).await?;
        return Ok(back("/topology", Some(Said::new("service-gone"))));
    }
    let service = typed(&fields);
    let taken = match &was {
        // A new one must not change another unseen.
        None => {
            let name = service.name.clone();
            state.store.read(move |view| view.service(&name)).await?
        }
        Some(_) => None,
    };
    if let Some(taken) = taken {
        let what = format!("there is a service `{}` already", taken.name);
        let wrong = vec![Mistake { path: "/name".to_owned(), what }];
        return draw(&state, &ask, None, service, wrong).await;
    }
    match state.store.put_service(was.clone(), service.clone(), actor).await {
        Ok(kept) => Ok(back(&pick(&kept.service.name, ""), Some(Said::new("saved")))),
        Err(CommandError::Mistakes(wrong)) => draw(&state, &ask, was, service, wrong).await,
        Err(CommandError::NotFound(_)) => {
            let what = "somebody removed or renamed it meanwhile; saving once more declares it anew".to_owned();
            draw(&state, &ask, None, service, vec![Mistake { path: "/name".to_owned(), what }]).await
        }
        Err(e) => Err(e.into()),
    }
}

/// The page to take a topology in.
#[derive(Debug, Template)]
#[template(path = "pages/topology_import.html")]
pub struct ImportPage {
    frame: Frame,
    json: String,
    replace: bool,
    declared: String,
    errors: Vec<(String, Markup)>,
}

async fn draw_import(
    state: &AppState,
    ask: &Ask,
    json: &str,
    replace: bool,
    errors: Vec<(String, String)>,
) -> Result<Response, ApiError> {
    let now = ask.now;
    let (overview, seq, count) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            Ok((overview, seq, view.services()?.len()))
        })
        .await?;
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = ImportPage {
        frame: ask.frame("Import services", Section::Services, &overview, seq),
        json: json.to_owned(),
        replace,
        declared: ui::plural(count, "service"),
        errors: errors.into_iter().map(|(path, what)| (text::visible(&path), coded(&what))).collect(),
    };
    Ok(ask.page(status, &page))
}

/// `GET /topology/import`
pub async fn import(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    draw_import(&state, &ask, "", false, Vec::new()).await
}

/// `POST /topology/import`: takes services in, beside those that are there or in place of them.
pub async fn take(State(state): State<AppState>, form: Form) -> Result<Response, ApiError> {
    let Form { ask, actor, fields } = form;
    let (json, replace) = (fields.get("json"), fields.get("how") == "replace");
    let read = parse_json(json.as_bytes()).and_then(read_body);
    let services = match read {
        Ok(services::Body::Many(services)) => services,
        Ok(services::Body::One(service)) => vec![service],
        Err(e) => {
            let mut errors: Vec<(String, String)> = e.errors.into_iter().map(|f| (f.path, f.message)).collect();
            if errors.is_empty() {
                errors.push((String::new(), e.detail));
            }
            return draw_import(&state, &ask, json, replace, errors).await;
        }
    };
    let done = if replace {
        state.store.replace_topology(services, actor).await
    } else {
        state.store.put_services(services, actor).await
    };
    match done {
        Ok(_) => Ok(back("/topology", Some(Said::new("imported")))),
        Err(CommandError::Mistakes(wrong)) => {
            let errors = wrong.into_iter().map(|m| (m.path, m.what)).collect();
            draw_import(&state, &ask, json, replace, errors).await
        }
        Err(e) => Err(e.into()),
    }
}

/// `GET /topology/export`: what is declared, as it can be imported.
pub async fn export(State(state): State<AppState>, _: Ask) -> Result<Response, ApiError> {
    let services = state.store.read(|view| view.services()).await?;
    let json = serde_json::to_string_pretty(&serde_json::json!({ "services": services })).unwrap_or_default();
    let mut response = Response::new(Body::from(json));
    let h = response.headers_mut();
    h.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    h.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let name = HeaderValue::from_static("attachment; filename=\"watchfire-topology.json\"");
    h.insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_a_service_and_comes_back_as_it_was() {
        let form =
            "name=+api+&aliases=a%0D%0Ab%0D%0A%0D%0A&depends_on=db&hosts=&owner=&tier=1&runbook_url=https%3A%2F%2Fx";
        let service = typed(&Fields::parse(form.as_bytes()));
        assert_eq!((service.name.as_str(), service.aliases.join("|").as_str()), ("api", "a|b"));
        assert_eq!((service.owner.clone(), service.tier.as_deref()), (None, Some("1")));
        let again = FIELDS.map(|(name, ..)| (name.to_owned(), value(&service, name)));
        assert_eq!(typed(&Fields(again.into())), service);
    }
}
