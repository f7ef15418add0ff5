//! The session cookie.

use axum::http::{HeaderMap, HeaderValue, header};

use super::Client;

// The prefix makes browsers refuse the cookie from anything but this host over TLS; without TLS they would refuse it
// altogether.
const SECURE: &str = "__Host-watchfire";
const PLAIN: &str = "watchfire";

/// The cookie's name for this client.
pub fn name(client: &Client) -> &'static str {
    if client.secure { SECURE } else { PLAIN }
}

/// The value of the session cookie, if it is plausible.
pub fn read<'a>(headers: &'a HeaderMap, client: &Client) -> Option<&'a str> {
    named(headers, name(client))
}

fn named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(n, _)| *n == name)
        .map(|(_, value)| value)
        .filter(|v| v.len() == 43)
}

/// `Set-Cookie` of a session; without `max_age_secs` it ends with the browser.
pub fn set(client: &Client, value: &str, max_age_secs: Option<u64>) -> Option<HeaderValue> {
    written(name(client), client, value, max_age_secs)
}

fn written(name: &str, client: &Client, value: &str, max_age_secs: Option<u64>) -> Option<HeaderValue> {
    let mut cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
    if let Some(secs) = max_age_secs {
        cookie.push_str(&format!("; Max-Age={secs}"));
    }
    if client.secure {
        cookie.push_str("; Secure");
    }
    HeaderValue::from_str(&cookie).ok().map(|mut v| {
        v.set_sensitive(true);
        v
    })
}

/// The cookie of a sign-in that was begun at a provider.
const BEGUN_SECURE: &str = "__Host-watchfire-begun";
const BEGUN_PLAIN: &str = "watchfire-begun";

fn begun(client: &Client) -> &'static str {
    if client.secure { BEGUN_SECURE } else { BEGUN_PLAIN }
}

/// What shows that this browser began a sign-in at a provider.
pub fn read_begun<'a>(headers: &'a HeaderMap, client: &Client) -> Option<&'a str> {
    named(headers, begun(client))
}

/// `Set-Cookie` of that.
pub fn set_begun(client: &Client, value: &str, max_age_secs: u64) -> Option<HeaderValue> {
    written(begun(client), client, value, Some(max_age_secs))
}

/// `Set-Cookie` that takes the session away.
pub fn clear(client: &Client) -> Option<HeaderValue> {
    set(client, "", Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(secure: bool) -> Client {
        let addr = "127.0.0.1".parse().unwrap();
        Client { addr, peer: addr, secure, host: None, user_agent: None }
    }

    #[test]
    fn the_cookie_fits_the_way_it_came() {
        let v = "a".repeat(43);
        let set_plain = set(&client(false), &v, None).unwrap();
        assert_eq!(set_plain.to_str().unwrap(), format!("watchfire={v}; Path=/; HttpOnly; SameSite=Lax"));
        let set_tls = set(&client(true), &v, Some(60)).unwrap();
        let want = format!("__Host-watchfire={v}; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
        assert_eq!(set_tls.to_str().unwrap(), want);
        assert!(!format!("{set_tls:?}").contains(&v), "not in logs");
    }

    #[test]
    fn only_the_cookie_of_that_way_is_read() {
        let v = "b".repeat(43);
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("x=1; watchfire={v}; y=2").parse().unwrap());
        assert_eq!(read(&headers, &client(false)), Some(v.as_str()));
        assert_eq!(read(&headers, &client(true)), None, "a plain cookie could be planted by another host");
        headers.insert(header::COOKIE, "watchfire=short".parse().unwrap());
        assert_eq!(read(&headers, &client(false)), None);
    }
}
