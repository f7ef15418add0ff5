//! The page that says what went wrong and what to do.

use askama::Template;
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::{
    ask::html,
    ask::{Ask, wants_json},
    frame::{Frame, Prefs, Section, counts_and_seq},
    text, ui,
};
use crate::{
    model::Time,
    web::{
        auth::{self, Client},
        saved_views::kept,
        state::AppState,
    },
};

/// The page in the product's frame.
#[derive(Template)]
#[template(path = "pages/error_framed.html")]
struct Framed {
    frame: Frame,
    status: u16,
    heading: String,
    detail: String,
    sign_in: bool,
    request_id: String,
}

/// The page without it, for those who are not signed in and while nothing can be read.
#[derive(Template)]
#[template(path = "pages/error.html")]
struct ErrorPage {
    frame: Frame,
    status: u16,
    heading: String,
    detail: String,
    sign_in: bool,
    request_id: String,
}

/// Who asked for a page, kept for the case that it cannot be shown.
#[derive(Debug)]
pub struct Asked {
    headers: HeaderMap,
    client: Client,
    path: String,
}

impl Asked {
    /// Of a request for a page; none for what scripts ask for.
    pub fn of(headers: &HeaderMap, client: Client, path: Option<&str>) -> Option<Self> {
        // A form cannot be asked for again.
        let path = path.unwrap_or("/incidents").to_owned();
        (!wants_json(headers)).then(|| Self { headers: headers.clone(), client, path })
    }

    /// The frame that this reader's pages have; none when nobody is signed in, or nothing can be read now.
    pub async fn frame(self, state: &AppState) -> Option<Frame> {
        let identity = auth::identify(state, &self.headers, &self.client).await.ok()??;
        let now = state.clock.now();
        let (overview, seq) = state.store.read(move |view| counts_and_seq(view, now)).await.ok()?;
        let prefs = Prefs { demo: state.config.demo, ..Prefs::of(&self.headers) };
        let views = kept(state, &identity.name()).await;
        let ask = Ask { identity, prefs, path: self.path, said: None, now, script: false, views };
        Some(ask.frame("", Section::None, &overview, seq))
    }
}

/// The page of an error. `detail` may hold text from outside.
pub fn error_page(status: StatusCode, title: &str, detail: &str, request_id: &str, frame: Option<Frame>) -> Response {
    let heading = match status {
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::FORBIDDEN => "You may not do this",
        StatusCode::UNAUTHORIZED => "Sign in first",
        StatusCode::CONFLICT => "Somebody was faster",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => "Not possible now",
        _ => title,
    };
    let (detail, request_id) = (sentence(&text::visible(&text::shorten(detail, 1_000))), text::visible(request_id));
    let heading = heading.to_owned();
    if let Some(frame) = frame.filter(|_| status != StatusCode::UNAUTHORIZED) {
        let frame = Frame { title: heading.clone(), ..frame };
        let page = Framed { frame, status: status.as_u16(), heading, detail, sign_in: false, request_id };
        return html(status, &page);
    }
    let page = ErrorPage {
        // Nobody is known here, and no clock is needed.
        frame: Frame::bare(&heading, Time::default(), &Prefs::default()),
        status: status.as_u16(),
        heading,
        detail,
        sign_in: status == StatusCode::UNAUTHORIZED,
        request_id,
    };
    html(status, &page)
}

/// With a capital and a full stop.
fn sentence(s: &str) -> String {
    let mut chars = s.chars();
    let Some(first) = chars.next() else { return String::new() };
    let mut out: String = first.to_uppercase().chain(chars).collect();
    if !out.ends_with(['.', '?', ':']) {
        out.push('.');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_it_and_escapes_it() {
        let r = error_page(StatusCode::NOT_FOUND, "Not Found", "there is no <script>", "r-1", None);
        assert_eq!(r.status(), StatusCode::NOT_FOUND);
        let body = axum::body::to_bytes(r.into_body(), 1 << 20).await.unwrap();
        let html = String::from_utf8(body.to_vec()).unwrap();
        assert!(html.contains("There is no &#60;script&#62;.") && html.contains("r-1"), "{html}");
    }
}
