//! Services, and who calls whom: declared by people, learned from alerts.

use std::fmt;

use axum::{Json as Answer, extract::State, http::StatusCode};
use serde::{Deserialize, Deserializer, Serialize, de::Visitor};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{listing, params::Params};
use crate::{
    model::*,
    store::views::{Origin, Topology},
    web::{
        auth::{Responder, Viewer},
        error::ApiError,
        extract::{Json, Path, parse_value},
        state::AppState,
    },
};

listing! {
    /// Declared services, by name.
    Services { services: Service }
}

/// A scalar as text: `"1"`, `1` and `true` alike, so that a tier may be a number.
#[derive(Debug, Default)]
struct Plain(Option<String>);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Plain;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E>(self, v: &str) -> Result<Plain, E> {
                Ok(Plain(Some(v.to_owned())))
            }
            fn visit_bool<E>(self, v: bool) -> Result<Plain, E> {
                Ok(Plain(Some(v.to_string())))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Plain, E> {
                Ok(Plain(Some(v.to_string())))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Plain, E> {
                Ok(Plain(Some(v.to_string())))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Plain, E> {
                Ok(Plain(Some(v.to_string())))
            }
            fn visit_unit<E>(self) -> Result<Plain, E> {
                Ok(Plain(None))
            }
        }
        de.deserialize_any(Scalar)
    }
}

/// A list of names; `null` is an empty one.
#[derive(Debug, Default)]
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let names = Option::<Vec<Plain>>::deserialize(de)?.unwrap_or_default();
        Ok(Self(names.into_iter().filter_map(|n| n.0).collect()))
    }
}

/// A service as it is sent.
#[derive(Debug, Deserialize)]
struct Sent {
    #[serde(default)]
    name: Plain,
    #[serde(default)]
    aliases: Names,
    #[serde(default)]
    depends_on: Names,
    #[serde(default)]
    hosts: Names,
    #[serde(default)]
    owner: Plain,
    #[serde(default)]
    tier: Plain,
    #[serde(default)]
    runbook_url: Plain,
    #[serde(default)]
    prometheus: Plain,
    #[serde(default)]
    netdata: Plain,
}

impl Sent {
    fn service(self, name: Option<&str>) -> Service {
        Service {
            name: self.name.0.or_else(|| name.map(str::to_owned)).unwrap_or_default(),
            aliases: self.aliases.0,
            depends_on: self.depends_on.0,
            hosts: self.hosts.0,
            owner: self.owner.0,
            tier: self.tier.0,
            runbook_url: self.runbook_url.0,
            prometheus: self.prometheus.0,
            netdata: self.netdata.0,
        }
    }
}

/// What a body of services can look like.
#[derive(Debug)]
pub enum Body {
    /// One.
    One(Service),
    /// A list.
    Many(Vec<Service>),
}

#[derive(Deserialize)]
struct Wrapped {
    services: Many,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Many(Vec<Object>);

/// A service that must be an object; what serde reads from a list by position as well would be a service without sense.
struct Object(Sent);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a service as an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Object, A::Error> {
                Sent::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Object)
            }
        }
        de.deserialize_any(Map)
    }
}

/// Reads a service, `{"services":[…]}` or a list of services.
pub fn read_body(value: Value) -> Result<Body, ApiError> {
    let many = |wrapped: Wrapped| Body::Many(wrapped.services.0.into_iter().map(|o| o.0.service(None)).collect());
    match value {
        Value::Array(_) => parse_value(json!({ "services": value })).map(many),
        Value::Object(ref map) if map.contains_key("services") => parse_value(value).map(many),
        value => Ok(Body::One(parse_value::<Object>(value)?.0.service(None))),
    }
}

/// Several services.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ServiceList {
    /// The services.
    services: Vec<Service>,
}

/// Declared services, by name.
#[utoipa::path(get, path = "/api/services", tag = "services", operation_id = "services_list",
    params(("q" = Option<String>, Query, description = "part of a name, alias, host or owner"), ("limit" = Option<usize>, Query),
    ("cursor" = Option<String>, Query)), responses((status = 200, body = Services)))]
pub async fn list(_: Viewer, State(state): State<AppState>, params: Params) -> Result<Answer<Services>, ApiError> {
    let (limit, after) = (params.limit()?, params.one("cursor").map(name_key));
    let wanted = params.one("q").map(name_key);
    let mut all = state.store.read(|view| view.services()).await?;
    all.retain(|s| wanted.as_ref().is_none_or(|q| mentions(s, q)));
    let total = u64::try_from(all.len()).unwrap_or(u64::MAX);
    all.retain(|s| after.as_ref().is_none_or(|a| name_key(&s.name) > *a));
    let more = all.len() > limit;
    all.truncate(limit);
    let next_cursor = all.last().filter(|_| more).map(|s| s.name.clone());
    Ok(Answer(Services { services: all, next_cursor, total, total_is_exact: true }))
}

/// Whether a service says that somewhere; in lower case.
pub fn mentions(service: &Service, wanted: &str) -> bool {
    let names = service.aliases.iter().chain(&service.hosts).chain(&service.owner);
    std::iter::once(&service.name).chain(names).any(|n| n.to_lowercase().contains(wanted))
}

/// Declares services or changes them, all or none; others stay. One service is taken as well.
#[utoipa::path(put, path = "/api/services", tag = "services", operation_id = "services_put", request_body = ServiceList,
    responses((status = 200, body = ServiceList), (status = 422, description = "a value is wrong; the path of each")))]
pub async fn put_all(
    who: Responder,
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Answer<Value>, ApiError> {
    match read_body(body)? {
        Body::One(service) => {
            let kept = state.store.put_service(None, service, who.actor).await?;
            Ok(Answer(serde_json::to_value(kept.service).unwrap_or_default()))
        }
        Body::Many(services) => {
            let names: Vec<String> = services.iter().map(|s| name_key(&s.name)).collect();
            state.store.put_services(services, who.actor).await?;
            let mut all = state.store.read(|view| view.services()).await?;
            all.retain(|s| names.contains(&name_key(&s.name)));
            Ok(Answer(json!({ "services": all })))
        }
    }
}

/// One declared service, by its name or one of its aliases.
#[utoipa::path(get, path = "/api/services/{name}", tag = "services", operation_id = "service_get",
    params(("name" = String, Path)), responses((status = 200, body = Service), (status = 404, description = "not declared")))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Answer<Service>, ApiError> {
    let wanted = name_key(&name);
    let found = state
        .store
        .read(move |view| match view.service(&wanted)? {
            Some(found) => Ok(Some(found)),
            None => Ok(view.services()?.into_iter().find(|s| s.keys().any(|k| k == wanted))),
        })
        .await?;
    found.map(Answer).ok_or_else(|| unknown(&name))
}

fn unknown(name: &str) -> ApiError {
    ApiError::not_found(format_args!("service `{}`", name.chars().take(60).collect::<String>()))
}

/// Declares a service, or changes it: what is left out is empty. With another `name` in the body the service is renamed, and
/// what depends on it follows.
#[utoipa::path(put, path = "/api/services/{name}", tag = "services", operation_id = "service_put", request_body = Service,
    params(("name" = String, Path)), responses((status = 200, body = Service), (status = 201, body = Service),
    (status = 404, description = "there is nothing to rename"), (status = 422, description = "a value is wrong; the path of each")))]
pub async fn put(
    who: Responder,
    State(state): State<AppState>,
    Path(name): Path<String>,
    Json(sent): Json<Value>,
) -> Result<(StatusCode, Answer<Service>), ApiError> {
    let service = parse_value::<Object>(sent)?.0.service(Some(&name));
    let kept = state.store.put_service(Some(name), service, who.actor).await?;
    Ok((if kept.new { StatusCode::CREATED } else { StatusCode::OK }, Answer(kept.service)))
}

/// Removes a declared service. What depends on it keeps its name.
#[utoipa::path(delete, path = "/api/services/{name}", tag = "services", operation_id = "service_remove",
    params(("name" = String, Path)), responses((status = 204), (status = 404, description = "not declared")))]
pub async fn remove(
    who: Responder,
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.store.delete_service(name, who.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// That one service calls another.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EdgeObject {
    /// The service that calls.
    from: String,
    /// The service that is called.
    to: String,
    /// Alerts told of it, and nobody declared it.
    learned: bool,
    /// Alerts that told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_at: Option<Time>,
    /// The latest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<Time>,
    /// Who sent the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
}

impl EdgeObject {
    fn learned(edge: &LearnedEdge) -> Self {
        Self {
            from: edge.from.clone(),
            to: edge.to.clone(),
            learned: true,
            count: Some(edge.count),
            first_at: Some(edge.first_at),
            last_at: Some(edge.last_at),
            platform: Some(edge.platform.clone()),
        }
    }
}

/// A service that nobody declared.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct UndeclaredObject {
    name: String,
    /// Alerts told of it; otherwise a declared service depends on it.
    learned: bool,
}

/// Everything known of services and of who calls whom.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TopologyObject {
    /// What is declared; as it is put.
    services: Vec<Service>,
    /// Services that are known in another way.
    undeclared: Vec<UndeclaredObject>,
    /// Who calls whom, declared and learned.
    edges: Vec<EdgeObject>,
    /// Learned edges that people said are not so.
    dismissed: Vec<EdgeObject>,
}

impl TopologyObject {
    /// Of the picture.
    pub fn of(all: &Topology) -> Self {
        let undeclared = all.services.iter().filter(|k| k.origin != Origin::Declared);
        let edge = |(from, to, learned): (usize, usize, Option<&LearnedEdge>)| match learned {
            Some(edge) => EdgeObject::learned(edge),
            None => EdgeObject {
                from: all.name(from).to_owned(),
                to: all.name(to).to_owned(),
                learned: false,
                count: None,
                first_at: None,
                last_at: None,
                platform: None,
            },
        };
        Self {
            services: all.declared().cloned().collect(),
            undeclared: undeclared
                .map(|k| UndeclaredObject { name: k.name.clone(), learned: k.origin == Origin::Learned })
                .collect(),
            edges: all.edges().map(edge).collect(),
            dismissed: all.learned.iter().filter(|e| !e.holds()).map(EdgeObject::learned).collect(),
        }
    }
}

async fn described(state: &AppState) -> Result<Answer<TopologyObject>, ApiError> {
    Ok(Answer(TopologyObject::of(&state.store.read(|view| view.topology()).await?)))
}

/// Services and who calls whom: declared, and learned from alerts (marked).
#[utoipa::path(get, path = "/api/topology", tag = "services", operation_id = "topology_get", responses((status = 200, body = TopologyObject)))]
pub async fn topology(_: Viewer, State(state): State<AppState>) -> Result<Answer<TopologyObject>, ApiError> {
    described(&state).await
}

/// Declares these services and no others, all or none. Loops, and names that are not declared, are allowed.
#[utoipa::path(put, path = "/api/topology", tag = "services", operation_id = "topology_put", request_body = ServiceList,
    responses((status = 200, body = TopologyObject), (status = 422, description = "a value is wrong; the path of each")))]
pub async fn replace(
    who: Responder,
    State(state): State<AppState>,
    Json(body): Json<Value>,
) -> Result<Answer<TopologyObject>, ApiError> {
    let Body::Many(services) = read_body(body)? else {
        return Err(ApiError::invalid("/services", "a list of services is needed; an empty one declares none"));
    };
    state.store.replace_topology(services, who.actor).await?;
    described(&state).await
}

/// What a person says of a learned edge.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EdgeVerdict {
    /// It is so: it is declared from now on.
    Adopt,
    /// It is not so: it counts for nothing and is not learned again.
    Dismiss,
    /// It may be so after all.
    Restore,
}

/// A learned edge and what is said of it.
#[derive(Debug, Deserialize, ToSchema)]
pub struct JudgeEdge {
    from: String,
    to: String,
    verdict: EdgeVerdict,
}

/// Adopts or dismisses an edge that alerts told of.
#[utoipa::path(post, path = "/api/topology/edges", tag = "services", operation_id = "topology_edge_judge", request_body = JudgeEdge,
    responses((status = 200, body = TopologyObject), (status = 404, description = "no such learned edge")))]
pub async fn judge(
    who: Responder,
    State(state): State<AppState>,
    Json(judged): Json<JudgeEdge>,
) -> Result<Answer<TopologyObject>, ApiError> {
    pass(&state, judged.from, judged.to, judged.verdict, who.actor).await?;
    described(&state).await
}

/// Passes the verdict on to the store.
pub async fn pass(state: &AppState, from: String, to: String, verdict: EdgeVerdict, by: Actor) -> Result<(), ApiError> {
    match verdict {
        EdgeVerdict::Adopt => state.store.adopt_edge(from, to, by).await.map(|_| ())?,
        EdgeVerdict::Dismiss => state.store.dismiss_edge(from, to, true, by).await.map(|_| ())?,
        EdgeVerdict::Restore => state.store.dismiss_edge(from, to, false, by).await.map(|_| ())?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: Value, want: &str) {
        let found = match read_body(body.clone()) {
            Ok(Body::One(s)) => format!("one {} {:?} {:?}", s.name, s.tier, s.depends_on),
            Ok(Body::Many(all)) => all.iter().map(|s| s.name.clone()).collect::<Vec<_>>().join(","),
            Err(e) => format!("{:?}", e.errors.iter().map(|e| &e.path).collect::<Vec<_>>()),
        };
        assert_eq!(found, want, "{body}");
    }

    #[test]
    fn bodies_are_one_service_or_many() {
        check(json!({"name": "a", "tier": 1, "depends_on": ["b", 2], "x": 1}), "one a Some(\"1\") [\"b\", \"2\"]");
        check(json!({"name": "a", "tier": null, "depends_on": null}), "one a None []");
        check(json!([{"name": "a"}, {"name": "b"}]), "a,b");
        check(json!({"services": [{"name": "a"}]}), "a");
        check(json!({"services": []}), "");
        check(json!({"services": null}), "[\"/services\"]");
        check(json!({"services": [{"name": "a"}, {"name": "b", "hosts": [{}]}]}), "[\"/services/1/hosts/0\"]");
        check(json!([{"name": ["a"]}]), "[\"/services/0/name\"]");
        check(json!({"name": "a", "depends_on": "b"}), "[\"/depends_on\"]");
        check(json!([["a"]]), "[\"/services/0\"]");
        check(json!("a"), "[\"\"]");
    }
}
