//! The page that says what went wrong and what to do.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::{
    ask::html,
    frame::{Frame, Prefs},
    text, ui,
};
use crate::model::Time;

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

/// The page of an error. `detail` may hold text from outside.
pub fn error_page(status: StatusCode, title: &str, detail: &str, request_id: &str) -> Response {
    let heading = match status {
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::FORBIDDEN => "You may not do this",
        StatusCode::UNAUTHORIZED => "Sign in first",
        StatusCode::CONFLICT => "Somebody was faster",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => "Not possible now",
        _ => title,
    };
    let page = ErrorPage {
        // Nobody is known here, and no clock is needed.
        frame: Frame::bare(heading, Time::default(), &Prefs::default()),
        status: status.as_u16(),
        heading: heading.to_owned(),
        detail: sentence(&text::visible(&text::shorten(detail, 1_000))),
        sign_in: status == StatusCode::UNAUTHORIZED,
        request_id: text::visible(request_id),
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
        let r = error_page(StatusCode::NOT_FOUND, "Not Found", "there is no <script>", "r-1");
        assert_eq!(r.status(), StatusCode::NOT_FOUND);
        let body = axum::body::to_bytes(r.into_body(), 1 << 20).await.unwrap();
        let html = String::from_utf8(body.to_vec()).unwrap();
        assert!(html.contains("There is no &#60;script&#62;.") && html.contains("r-1"), "{html}");
    }
}
