//! Cross-site check: browsers say where a request comes from; others cannot be tricked into sending one.

use axum::http::{HeaderMap, Method, header};

use super::Client;
use crate::config::Config;

/// Whether an unsafe request may have been made by another site in somebody's browser.
pub fn is_cross_site(method: &Method, headers: &HeaderMap, client: &Client, config: &Config) -> bool {
    // A bearer token is never sent by itself.
    if method.is_safe() || headers.get(header::AUTHORIZATION).is_some_and(|v| is_bearer(v.as_bytes())) {
        return false;
    }
    let origin = headers.get(header::ORIGIN).map(|v| v.to_str().unwrap_or("null"));
    let ours =
        |origin: &str| config.public_url.as_deref().is_some_and(|url| url_origin(url).eq_ignore_ascii_case(origin));
    if origin.is_some_and(ours) {
        return false;
    }
    match headers.get("sec-fetch-site").map(|v| v.as_bytes()) {
        Some(b"same-origin" | b"none") => false,
        Some(_) => true,
        // Older browsers send at least the origin with every POST; programs send neither.
        None => origin.is_some_and(|o| {
            let host = o.split_once("://").map(|(_, host)| host);
            host.is_none() || host != client.host.as_deref()
        }),
    }
}

fn is_bearer(value: &[u8]) -> bool {
    value.get(..7).is_some_and(|p| p.eq_ignore_ascii_case(b"bearer "))
}

fn url_origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |i| i + 3);
    let end = url.get(start..).and_then(|rest| rest.find('/')).map_or(url.len(), |i| start + i);
    url.get(..end).unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::tests::config;

    #[test]
    fn decisions() {
        let mut config = config();
        config.public_url = Some("https://wf.example.com/base".into());
        let check = |method: Method, pairs: &[(&'static str, &str)], want: bool| {
            let headers: HeaderMap =
                pairs.iter().map(|(n, v)| (header::HeaderName::from_static(n), v.parse().unwrap())).collect();
            let client = Client::of("127.0.0.1".parse().unwrap(), false, &headers, &config);
            assert_eq!(is_cross_site(&method, &headers, &client, &config), want, "{method} {pairs:?}");
        };
        let host = ("host", "localhost:8080");
        check(Method::GET, &[host, ("sec-fetch-site", "cross-site")], false);
        check(Method::POST, &[host], false);
        check(Method::POST, &[host, ("sec-fetch-site", "same-origin")], false);
        check(Method::POST, &[host, ("sec-fetch-site", "none")], false);
        check(Method::POST, &[host, ("sec-fetch-site", "same-site")], true);
        check(Method::POST, &[host, ("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], true);
        // Behind a proxy that changes the host, the public URL is ours.
        check(Method::POST, &[host, ("sec-fetch-site", "cross-site"), ("origin", "https://wf.example.com")], false);
        check(Method::POST, &[host, ("origin", "http://localhost:8080")], false);
        check(Method::POST, &[host, ("origin", "http://localhost:9090")], true);
        check(Method::POST, &[host, ("origin", "null")], true);
        check(Method::DELETE, &[host, ("origin", "https://evil.example")], true);
        check(Method::POST, &[host, ("origin", "https://evil.example"), ("authorization", "Bearer x")], false);
        check(Method::POST, &[host, ("origin", "https://evil.example"), ("authorization", "Basic x")], true);
    }
}
