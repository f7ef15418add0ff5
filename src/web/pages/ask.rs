//! What every page's handler needs to know of its request, and how pages are answered.

use std::convert::Infallible;

use askama::Template;
use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};

use super::{
    frame::{Counts, Frame, Prefs, Section, cookie},
    said::Said,
};
use crate::{
    model::*,
    store::Overview,
    web::{
        auth::{Denied, Identity, Viewer, safe_next},
        error::ApiError,
        extract::read_body,
        saved_views::{Kept, kept},
        state::AppState,
    },
};

/// Largest form that a page sends: a comment and some ids.
const FORM: usize = 256 * 1024;

/// Somebody who looks at a page.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who.
    pub identity: Identity,
    /// Their choices for this browser.
    pub prefs: Prefs,
    /// Path and query.
    pub path: String,
    /// The outcome of what they did just before.
    pub said: Option<Said>,
    /// The server's clock.
    pub now: Time,
    /// The answer goes to a script, which wants fragments instead of a page.
    pub script: bool,
    /// Saved views of theirs; none for scripts, which have the rail already.
    pub views: Vec<Kept>,
}

impl FromRequestParts<AppState> for Ask {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Denied> {
        let viewer = Viewer::from_request_parts(parts, state).await?;
        let script = wants_json(&parts.headers);
        let name = viewer.identity.name();
        let views = if script { Vec::new() } else { kept(state, &name).await };
        Ok(Self {
            views,
            identity: viewer.identity,
            prefs: Prefs::of(&parts.headers),
            path: parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned(),
            said: cookie(&parts.headers, "said").and_then(Said::read),
            now: state.clock.now(),
            script,
        })
    }
}

impl Ask {
    /// The frame of a page that reads no figures of its own. Live parts go on after `seq`.
    pub fn frame(&self, title: &str, section: Section, overview: &Overview, seq: u64) -> Frame {
        Frame {
            section,
            path: self.path.clone(),
            user: self.identity.name(),
            role: self.role(),
            live: Some(seq),
            counts: Counts::from(overview),
            said: self.said.map(|s| s.to_string()),
            undo: self.said.and_then(Said::undo),
            views: self.views.clone(),
            ends: self.identity.session.map(|s| s.ends),
            density: if self.prefs.compact { "density-compact" } else { "" },
            ..Frame::bare(title, self.now, &self.prefs)
        }
    }

    /// The frame of a page of set-up, which has no rail.
    pub fn bare(&self, title: &str) -> Frame {
        Frame { ends: self.identity.session.map(|s| s.ends), ..Frame::bare(title, self.now, &self.prefs) }
    }

    /// What they may do, as a person's role.
    pub fn role(&self) -> Role {
        match (self.identity.may_set_up(), self.identity.may_act()) {
            (true, _) => Role::Admin,
            (false, true) => Role::Responder,
            _ => Role::Viewer,
        }
    }

    /// A finished page. What was said is said once.
    pub fn page(&self, status: StatusCode, template: &impl Template) -> Response {
        let mut response = html(status, template);
        if self.said.is_some() {
            set_cookie(&mut response, "said=; Path=/; Max-Age=0; SameSite=Lax");
        }
        response
    }
}

/// A page or fragment. Nothing of it is stored on the way: it is about one person and one moment.
pub fn html(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            let h = response.headers_mut();
            h.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            h.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(e) => {
            tracing::error!(error = %e, "a page could not be drawn");
            ApiError::internal().into_response()
        }
    }
}

/// Adds a cookie to an answer.
pub fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Back to a page of this site, which then says what was done.
pub fn back(to: &str, said: Option<Said>) -> Response {
    let mut response = Redirect::to(safe_next(Some(to))).into_response();
    if let Some(said) = said {
        set_cookie(&mut response, &format!("said={}; Path=/; Max-Age=20; HttpOnly; SameSite=Lax", said.cookie()));
    }
    response
}

/// Whether the script asks.
pub fn wants_json(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|v| v == "application/json")
}

/// A JSON answer for the script.
pub fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    let mut response = (status, value.to_string()).into_response();
    let h = response.headers_mut();
    h.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    h.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The fields of a form or of a query, in order, with their repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// From `a=b&a=c`.
    pub fn parse(s: &[u8]) -> Self {
        Self(form_urlencoded::parse(s).into_owned().collect())
    }

    /// The first value of a field; empty when it is missing.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str())
    }

    /// All values of a field that are not empty.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.clone()).collect()
    }

    /// Whether a checkbox was checked.
    pub fn checked(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }
}

impl FromRequest<AppState> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, ApiError> {
        Ok(Self::parse(&read_body(request.into_body(), FORM).await?))
    }
}

/// The fields of the address.
#[derive(Clone, Debug, Default)]
pub struct Params(pub Fields);

impl FromRequestParts<AppState> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Infallible> {
        Ok(Self(Fields::parse(parts.uri.query().unwrap_or_default().as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_repeats() {
        let f = Fields::parse(b"id=INC-1&id=INC-2&do=a+b&empty=");
        assert_eq!(f.all("id"), ["INC-1", "INC-2"]);
        assert_eq!((f.get("do"), f.get("nothing")), ("a b", ""));
        assert!(f.checked("empty") && f.all("empty").is_empty());
    }

    #[test]
    fn back_stays_on_this_site() {
        for (to, want) in [("/incidents?q=a", "/incidents?q=a"), ("//evil.example", "/"), ("https://evil.example", "/")]
        {
            assert_eq!(back(to, None).headers()[header::LOCATION], want);
        }
        let r = back("/incidents", Some(Said::new("resolved")));
        assert_eq!(r.status(), StatusCode::SEE_OTHER);
        assert!(r.headers()[header::SET_COOKIE].to_str().unwrap().starts_with("said=resolved;"));
    }
}
