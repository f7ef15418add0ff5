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
use crate::{
    model::Voucher,
    web::{
        auth::{
            self, Client, LoginError,
            oidc::{self, OidcError},
            safe_next,
        },
        error::ApiError,
        state::AppState,
    },
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
    /// Where else one may sign in: the way there, and its name.
    provider: Option<(String, String)>,
    /// How long that one is left alone because it does not answer, in words.
    resting: Option<String>,
    /// Signed out here, and not at the provider.
    still: bool,
}

fn page(state: &AppState, headers: &HeaderMap, fields: &Fields, error: Option<String>) -> LoginPage {
    LoginPage {
        frame: Frame::bare("Sign in", state.clock.now(), &Prefs::of(headers)),
        error,
        user: text::visible(&text::shorten(fields.get("user"), 64)),
        next: safe_next(Some(fields.get("next"))).to_owned(),
        keep: fields.checked("keep"),
        days: state.config.session_lifetime.as_secs() / 86_400,
        provider: state.shared.oidc.as_ref().map(|_| {
            let next: String =
                form_urlencoded::byte_serialize(safe_next(Some(fields.get("next"))).as_bytes()).collect();
            (format!("/login/oidc?next={next}"), text::visible(&state.config.sign_in.provider))
        }),
        resting: state.shared.oidc.as_ref().and_then(|o| o.rest(state.clock.now())).map(ui::duration),
        still: state.shared.oidc.is_some() && fields.get("out") == "provider",
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
    if auth::nobody_yet(&state).await? {
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

/// `GET /login/oidc?next=&keep=`: on to the provider.
pub async fn begin(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let next = safe_next(Some(params.get("next")));
    match oidc::begin(&state, &client, next, params.checked("keep")).await {
        Ok(onwards) => Ok(go(onwards)),
        Err(e) => not_let_in(&state, &headers, &params, e),
    }
}

/// `GET /login/oidc/return?state=&code=`: back from the provider.
pub async fn finish(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let answer = oidc::Answer {
        state: params.get("state"),
        code: params.get("code"),
        error: params.get("error"),
        said: params.get("error_description"),
        issuer: params.get("iss"),
    };
    match oidc::finish(&state, &client, &headers, answer).await {
        Ok(onwards) => Ok(go(onwards)),
        Err(e) => not_let_in(&state, &headers, &Fields::default(), e),
    }
}

/// `GET /logout/provider`: signs out there as well, where the provider has a place for it.
pub async fn sign_out_at_provider(State(state): State<AppState>, client: Client) -> Response {
    match oidc::sign_out_at(&state, &client).await {
        Ok(Some(to)) => Redirect::to(&to).into_response(),
        _ => Redirect::to("/login").into_response(),
    }
}

fn go(onwards: oidc::Onwards) -> Response {
    let mut response = Redirect::to(&onwards.to).into_response();
    for cookie in onwards.cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The page of sign-in with why not.
fn not_let_in(state: &AppState, headers: &HeaderMap, fields: &Fields, e: OidcError) -> Result<Response, ApiError> {
    let status = match &e {
        OidcError::Failed(failed) => return Err(failed.clone()),
        OidcError::NotConfigured => return Err(ApiError::not_found("OpenID provider")),
        OidcError::Stale => StatusCode::BAD_REQUEST,
        OidcError::Denied(_) | OidcError::Refused(_) => StatusCode::FORBIDDEN,
        OidcError::Token(_) => StatusCode::UNAUTHORIZED,
        OidcError::Resting(_) => StatusCode::SERVICE_UNAVAILABLE,
        OidcError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        OidcError::Provider(_) | OidcError::Outgoing(_) => StatusCode::BAD_GATEWAY,
    };
    tracing::info!(why = %e, "a sign-in at the OpenID provider failed");
    let said = text::visible(&text::capital(&format!("{}.", e.to_string().trim_end_matches('.'))));
    Ok(html(status, &page(state, headers, fields, Some(said))))
}

/// `POST /logout`
pub async fn sign_out(State(state): State<AppState>, client: Client, headers: HeaderMap) -> Result<Response, ApiError> {
    let session = auth::current(&state, &client, &headers).await?;
    let cookie = auth::logout(&state, &client, &headers).await?;
    // Whoever sits down here next would be signed in again without a question.
    let still = session.is_some_and(|(_, s)| s.origin == Voucher::Oidc) && state.shared.oidc.is_some();
    let mut response = Redirect::to(if still { "/login?out=provider" } else { "/login" }).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `POST /theme`: the two buttons of the rail, for the theme and for sound.
pub async fn theme(fields: Fields) -> Response {
    let mut response = back(fields.get("to"), None);
    match fields.0.iter().find(|(name, _)| name == "sound") {
        Some((_, how)) => set_sound(&mut response, how),
        None => set_theme(&mut response, fields.get("theme")),
    }
    response
}

/// The cookie of sound; anything unknown is none.
fn set_sound(response: &mut Response, how: &str) {
    set_cookie(
        response,
        match how {
            "once" => "sound=once; Path=/; Max-Age=31536000; SameSite=Lax",
            "until" => "sound=until; Path=/; Max-Age=31536000; SameSite=Lax",
            _ => "sound=; Path=/; Max-Age=0; SameSite=Lax",
        },
    );
}

/// The cookie of a theme; anything unknown is the system's.
pub fn set_theme(response: &mut Response, theme: &str) {
    let cookie = match theme {
        "light" | "dark" => format!("theme={theme}; Path=/; Max-Age=31536000; SameSite=Lax"),
        _ => "theme=; Path=/; Max-Age=0; SameSite=Lax".to_owned(),
    };
    set_cookie(response, &cookie);
}
