//! Signing in and out, and the theme, which needs nobody to be signed in.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode, header};

use super::{
    ask::{Fields, Params, back, html, set_cookie},
    frame::{Frame, Prefs},
    text, ui,
};
use crate::web::{
    auth::{self, Client, LoginError, safe_next},
    error::ApiError,
    state::AppState,
};

#[derive(Template)]
#[template(path = "pages/login.html")]
struct LoginPage {
    frame: Frame,
    error: Option<String>,
    user: String,
    next: String,
    keep: bool,
    days: u64,
}

fn page(state: &AppState, headers: &HeaderMap, fields: &Fields, error: Option<String>) -> LoginPage {
    LoginPage {
        frame: Frame::bare("Sign in", state.clock.now(), &Prefs::of(headers)),
        error,
        user: text::visible(&text::shorten(fields.get("user"), 64)),
        next: safe_next(Some(fields.get("next"))).to_owned(),
        keep: fields.checked("keep"),
        days: state.config.session_lifetime.as_secs() / 86_400,
    }
}

/// `GET /login?next=`
pub async fn form(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    Params(params): Params,
) -> Result<Response, ApiError> {
    if auth::identify(&state, &headers, &client).await?.is_some() {
        return Ok(Redirect::to(safe_next(Some(params.get("next")))).into_response());
    }
    let nobody = state.store.read(|view| Ok(view.accounts()?.is_empty())).await?;
    if nobody {
        return Ok(Redirect::to("/setup").into_response());
    }
    Ok(html(StatusCode::OK, &page(&state, &headers, &params, None)))
}

/// `POST /login`
pub async fn sign_in(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, ApiError> {
    let keep = fields.checked("keep");
    match auth::login(&state, &client, fields.get("user"), fields.get("password"), keep).await {
        Ok(cookie) => {
            let mut response = back(fields.get("next"), None);
            response.headers_mut().append(header::SET_COOKIE, cookie);
            Ok(response)
        }
        Err(LoginError::Failed(e)) => Err(e),
        Err(e) => {
            let status = match e {
                LoginError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::UNAUTHORIZED,
            };
            let said = text::capital(&format!("{e}."));
            Ok(html(status, &page(&state, &headers, &fields, Some(said))))
        }
    }
}

/// `POST /logout`
pub async fn sign_out(State(state): State<AppState>, client: Client, headers: HeaderMap) -> Result<Response, ApiError> {
    let cookie = auth::logout(&state, &client, &headers).await?;
    let mut response = Redirect::to("/login").into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `POST /theme`
pub async fn theme(fields: Fields) -> Response {
    let mut response = back(fields.get("to"), None);
    set_theme(&mut response, fields.get("theme"));
    response
}

/// The cookie of a theme; anything unknown is the system's.
pub fn set_theme(response: &mut Response, theme: &str) {
    let cookie = match theme {
        "light" | "dark" => format!("theme={theme}; Path=/; Max-Age=31536000; SameSite=Lax"),
        _ => "theme=; Path=/; Max-Age=0; SameSite=Lax".to_owned(),
    };
    set_cookie(response, &cookie);
}
