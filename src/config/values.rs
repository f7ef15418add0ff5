//! Values as people write them: `15m`, `1MiB`, `critical, high`. Each error says what would be right.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;

use crate::{
    model::{IdentityField, Severity},
    outgoing::address::{self, Url},
};

const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// A duration: one or several numbers with units, such as `90s`, `15m` or `1h30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        let shown = text.trim();
        if !shown.is_empty() && shown.bytes().all(|b| b.is_ascii_digit()) && shown.bytes().any(|b| b != b'0') {
            format!("`{shown}` has no unit; write `{shown}s`, `{shown}m`, `{shown}h` or `{shown}d`")
        } else {
            format!("`{shown}` is not a duration; write one such as `30s`, `15m`, `12h` or `30d`")
        }
    };
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        total = number.checked_mul(*ms).and_then(|n| total.checked_add(n)).ok_or_else(wrong)?;
        rest = tail.trim_start();
    }
    Ok(Duration::from_millis(total))
}

/// A duration in its shortest exact form: the largest unit that divides it.
pub fn show_duration(d: Duration) -> String {
    let ms = u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".to_owned();
    }
    // Weeks are read but not written: "14d" is plainer than "2w".
    match UNITS.iter().rev().skip(1).find(|(_, unit)| ms.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", ms / unit),
        None => format!("{ms}ms"),
    }
}

/// A duration between two bounds, both allowed.
pub fn duration_within(text: &str, least: &str, most: &str) -> Result<Duration, String> {
    let d = duration(text)?;
    if d < duration(least)? || d > duration(most)? {
        return Err(format!("`{}` is out of range; write a duration from {least} to {most}", text.trim()));
    }
    Ok(d)
}

/// A size in bytes: a number with `B`, `KiB`, `MiB`, `GiB` or `TiB` (`KB`, `MB`, `GB`, `TB` count in thousands).
pub fn size(text: &str) -> Result<usize, String> {
    let shown = text.trim();
    let wrong = || format!("`{shown}` is not a size; write one such as `512KiB`, `1MiB` or `1048576`");
    let digits = shown.find(|c: char| !c.is_ascii_digit()).unwrap_or(shown.len());
    let (number, unit) = shown.split_at(digits);
    let number: usize = number.parse().map_err(|_| wrong())?;
    let factor: usize = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        "tib" | "t" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// A size between two bounds, both allowed.
pub fn size_within(text: &str, least: &str, most: &str) -> Result<usize, String> {
    let n = size(text)?;
    if n < size(least)? || n > size(most)? {
        return Err(format!("`{}` is out of range; write a size from {least} to {most}", text.trim()));
    }
    Ok(n)
}

/// A whole number between two bounds, both allowed.
pub fn number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    match text.trim().parse::<u64>() {
        Ok(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err(format!("`{}` is not a whole number from {least} to {most}", text.trim())),
    }
}

/// Yes or no.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        other => Err(format!("`{other}` is neither `true` nor `false`")),
    }
}

/// An amount with at most six digits behind the point, in millionths.
pub fn micros(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let wrong = || {
        format!("`{text}` is not an amount; write one such as `0.15` or `3`, with at most six digits behind the point")
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || part.len() > 6 || !digits(whole) || !digits(part) || text.ends_with('.') {
        return Err(wrong());
    }
    format!("{whole}{part:0<6}").parse().map_err(|_| wrong())
}

/// The address that a service's API begins with: http or https, a host, maybe a path, and no credentials.
pub fn api_address(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('/');
    // Not repeated where it may hold a password.
    let shown = if text.contains('@') { "it" } else { text };
    let wrong = |why: &str| format!("`{shown}` {why}; write one such as `http://127.0.0.1:11434/v1`");
    let uri: http::Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("does not begin with `http://` or `https://`"));
    }
    let Some(authority) = uri.authority().filter(|a| !a.host().is_empty()) else { return Err(wrong("has no host")) };
    if authority.as_str().contains('@') {
        return Err(wrong("has credentials in it, and they have options of their own"));
    }
    if uri.query().is_some() {
        return Err(wrong("has a query"));
    }
    Ok(text.to_owned())
}

/// An address that is called as it is: its path and query may be a secret, so it is never repeated.
pub fn any_address(text: &str) -> Result<Url, String> {
    let wrong = || "is not an address that begins with http:// or https://".to_owned();
    let url = Url::parse(text.trim()).map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() { Ok(url) } else { Err(wrong()) }
}

/// A secret of somebody else that goes into a header: never repeated in the message.
pub fn header_secret(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 4096 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("may hold only visible ASCII characters without spaces, so that it fits into a header".to_owned());
    }
    Ok(text.to_owned())
}

/// A name at somebody else's: one line, not empty.
pub fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
        return Err("is empty, too long, or has line ends in it; write the name as its maker does".to_owned());
    }
    Ok(text.to_owned())
}

/// One of a closed set of words.
pub fn word<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, String> {
    text.trim().parse()
}

/// The parts of a list that was written with commas.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Severities, with commas.
pub fn severities(text: &str) -> Result<Vec<Severity>, String> {
    let mut found = list(text).map(|w| w.to_ascii_lowercase().parse()).collect::<Result<Vec<Severity>, _>>()?;
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        return Err("the list is empty; name at least one severity, or leave the key out for all but `info`".to_owned());
    }
    Ok(found)
}

/// Fields that make an alert the same as another, in order.
pub fn identity(text: &str) -> Result<Vec<IdentityField>, String> {
    let found = list(text).map(str::parse).collect::<Result<Vec<IdentityField>, _>>()?;
    if found.is_empty() {
        return Err(
            "the list is empty; name at least one field, or leave the key out for the connector's own rule".to_owned()
        );
    }
    IdentityField::mistake(&found).map_or(Ok(found), Err)
}

/// Addresses and ranges of them, with commas.
pub fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    list(text).map(network).collect()
}

fn network(word: &str) -> Result<IpNet, String> {
    if let Ok(addr) = word.parse::<IpAddr>() {
        return Ok(addr.to_canonical().into());
    }
    let net: IpNet = word.parse().map_err(|_| {
        format!("`{word}` is not an IP address; write addresses or ranges such as `10.0.0.2`, `10.1.0.0/16` or `::1`, no names")
    })?;
    if net.trunc() != net {
        // A slip in a list of who is believed should not be guessed at.
        return Err(format!("`{word}` is an address within a range; write `{}` or `{}`", net.addr(), net.trunc()));
    }
    if net.prefix_len() == 0 {
        return Err(format!("`{word}` is every address there is, so that anybody would be believed; name the proxies"));
    }
    Ok(net)
}

/// A file.
pub fn file(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() {
        return Err("the path is empty; name a file, or leave the option out".to_owned());
    }
    no_tilde(text)
}

/// The name of a header, in lower case.
pub fn header(text: &str) -> Result<String, String> {
    let name: http::HeaderName = text
        .trim()
        .parse()
        .map_err(|_| format!("`{}` is not the name of a header; write one such as `X-Client-Cert`", text.trim()))?;
    if [http::header::HOST, http::header::AUTHORIZATION, http::header::COOKIE].contains(&name) {
        return Err(format!("`{name}` has another meaning; choose a header of your own such as `X-Client-Cert`"));
    }
    Ok(name.as_str().to_owned())
}

/// Names, with commas.
pub fn names(text: &str) -> Result<Vec<String>, String> {
    let found: Vec<String> = list(text).map(str::to_owned).collect();
    if found.is_empty() {
        return Err("the list is empty; name at least one, or leave the key out".to_owned());
    }
    Ok(found)
}

/// A folder.
pub fn folder(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() {
        return Err("the path is empty; name a folder, or leave the option out".to_owned());
    }
    no_tilde(text)
}

fn no_tilde(text: &str) -> Result<PathBuf, String> {
    if text.starts_with('~') {
        return Err(format!("`{text}` begins with `~`, which only shells know; write the whole path"));
    }
    Ok(PathBuf::from(text))
}

/// `host:port`; the host may be a name, and must be in brackets when it is an IPv6 address.
pub fn listen_address(text: &str) -> Result<String, String> {
    let text = text.trim();
    let wrong =
        || format!("`{text}` is not `host:port`; write one such as `127.0.0.1:8080`, `[::1]:8080` or `0.0.0.0:8080`");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    port.parse::<u16>().map_err(|_| wrong())?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || (host.contains(':') && !bracketed) || host.contains('/') || host.contains(char::is_whitespace)
    {
        return Err(wrong());
    }
    Ok(text.to_owned())
}

/// The address of a service that is asked.
pub fn service_address(text: &str) -> Result<Url, String> {
    address::base(text)
}

/// What proves who asks: never repeated in the message.
pub fn credentials(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 4096 || text.chars().any(char::is_control) {
        return Err("must be `user:password` or a token, without line ends".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of a tenant, as it stands in a header.
pub fn tenant(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 150 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("`{text}` is not the name of a tenant; write one of visible ASCII such as `shop`"));
    }
    Ok(text.to_owned())
}

/// The labels of a service's logs in Loki.
pub fn log_selector(text: &str) -> Result<String, String> {
    let text = text.trim();
    let braces = text.starts_with('{') && text.ends_with('}') && text.matches(['{', '}']).count() == 2;
    if !braces || !text.contains("\"$service\"") {
        return Err(format!(
            "`{text}` is not a selector with the service in it; write one such as `{{app=\"$service\"}}`"
        ));
    }
    Ok(text.to_owned())
}

/// The origin by which browsers reach the server, without a slash at the end.
pub fn origin(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('/');
    let wrong = |why: &str| format!("`{text}` {why}; write one such as `https://watchfire.example.com`");
    let uri: http::Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("does not begin with `http://` or `https://`"));
    }
    let Some(authority) = uri.authority() else { return Err(wrong("has no host")) };
    if authority.as_str().contains('@') {
        return Err(wrong("has a user name in it"));
    }
    if uri.query().is_some() || !matches!(uri.path(), "" | "/") {
        return Err(wrong("has a path; the pages stand at the root of a host"));
    }
    Ok(text.to_owned())
}

/// A secret that others made: never repeated in the message.
pub fn bootstrap_token(text: &str) -> Result<String, String> {
    let text = text.trim();
    let length = text.chars().count();
    if length < 24 {
        return Err(format!(
            "has {length} characters, and at least 24 are needed; make one with `openssl rand -hex 24`"
        ));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("may hold only visible ASCII characters without spaces, so that it fits into a header".to_owned());
    }
    Ok(text.to_owned())
}

/// A log filter: a level, or areas with levels.
pub fn log_filter(text: &str) -> Result<String, String> {
    let text = text.trim();
    let level = |w: &str| w.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    let good = |part: &str| match part.split_once('=') {
        Some((area, l)) => !area.is_empty() && level(l),
        None => level(part),
    };
    if list(text).next().is_none() || !list(text).all(good) {
        return Err(format!(
            "`{text}` is not a log filter; write `error`, `warn`, `info`, `debug` or `trace`, or per area such as `info,watchfire::store=debug`"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: std::fmt::Debug + PartialEq>(got: Result<T, String>, want: Result<T, &str>) {
        match (got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want),
            (Err(got), Err(part)) => assert!(got.contains(part), "`{got}` does not say `{part}`"),
            (got, want) => panic!("got {got:?}, wanted {want:?}"),
        }
    }

    #[test]
    fn durations() {
        for (text, want) in [
            ("15m", Ok(900)),
            ("1h30m", Ok(5400)),
            ("1h 30m", Ok(5400)),
            ("2w", Ok(1_209_600)),
            (" 90s ", Ok(90)),
            ("0", Ok(0)),
            ("15", Err("`15` has no unit; write `15s`")),
            ("", Err("not a duration")),
            ("m", Err("not a duration")),
            ("15 minutes", Err("not a duration")),
            ("-5m", Err("not a duration")),
            ("99999999999999999999d", Err("not a duration")),
            ("9999999999999999d", Err("not a duration")),
        ] {
            check(duration(text), want.map(Duration::from_secs));
        }
        check(duration_within("5m", "1s", "1m"), Err("from 1s to 1m"));
        for text in ["0s", "250ms", "90s", "15m", "12h", "14d"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes() {
        for (text, want) in [
            ("1MiB", Ok(1 << 20)),
            ("1 mib", Ok(1 << 20)),
            ("512k", Ok(512 << 10)),
            ("10MB", Ok(10_000_000)),
            ("77", Ok(77)),
            ("1.5MiB", Err("not a size")),
            ("MiB", Err("not a size")),
            ("99999999999GiB", Err("not a size")),
        ] {
            check(size(text), want);
        }
        check(size_within("11MiB", "1KiB", "10MiB"), Err("from 1KiB to 10MiB"));
    }

    #[test]
    fn amounts_and_addresses_of_others() {
        for (text, want) in [
            ("0", Ok(0)),
            ("0.15", Ok(150_000)),
            (" 3 ", Ok(3_000_000)),
            ("1.000001", Ok(1_000_001)),
            ("1.0000001", Err("not an amount")),
            ("-1", Err("not an amount")),
            ("1.", Err("not an amount")),
            (".5", Err("not an amount")),
            ("1,5", Err("not an amount")),
            ("9999999999", Err("not an amount")),
        ] {
            check(micros(text), want);
        }
        for (text, want) in [
            ("http://127.0.0.1:11434/v1/", Ok("http://127.0.0.1:11434/v1".to_owned())),
            ("https://api.example.com", Ok("https://api.example.com".to_owned())),
            ("https://a:b@api.example.com", Err("credentials")),
            ("api.example.com/v1", Err("is not a URL")),
            ("https://api.example.com/v1?key=1", Err("has a query")),
        ] {
            check(api_address(text), want);
        }
        assert!(!api_address("https://a:hidden@x").unwrap_err().contains("hidden"));
        assert!(!header_secret("hidden key").unwrap_err().contains("hidden"));
        check(header_secret(" sk-1 "), Ok("sk-1".to_owned()));
        check(name(" llama3.1:8b "), Ok("llama3.1:8b".to_owned()));
        check(name(" "), Err("is empty"));
    }

    #[test]
    fn addresses_of_the_listener_and_of_the_pages() {
        for (text, ok) in [
            ("127.0.0.1:8080", true),
            ("localhost:0", true),
            ("[::1]:8080", true),
            ("::1:8080", false),
            ("8080", false),
            (":8080", false),
            ("127.0.0.1:99999", false),
            ("http://x:80", false),
        ] {
            assert_eq!(listen_address(text).is_ok(), ok, "{text}");
        }
        for (text, want) in [
            ("https://watchfire.example.com/", Ok("https://watchfire.example.com".to_owned())),
            ("http://10.0.0.1:8080", Ok("http://10.0.0.1:8080".to_owned())),
            ("watchfire.example.com", Err("does not begin with")),
            ("ftp://x", Err("does not begin with")),
            ("https://x/alerts", Err("has a path")),
            ("https://a:b@x", Err("user name")),
        ] {
            check(origin(text), want);
        }
        check(networks("10.0.0.2, ::1, 10.0.0.0/8").map(|a| a.len()), Ok(3));
        check(networks("::ffff:10.0.0.2"), Ok(vec!["10.0.0.2/32".parse().unwrap()]));
        for (text, why) in [
            ("proxy.local", "not an IP address"),
            ("10.0.0.0/33", "not an IP address"),
            ("10.0.0.2/8", "write `10.0.0.2` or `10.0.0.0/8`"),
            ("0.0.0.0/0", "anybody would be believed"),
            ("::/0", "anybody would be believed"),
        ] {
            check(networks(text), Err(why));
        }
    }

    #[test]
    fn secrets_are_not_repeated() {
        let message = bootstrap_token("short-secret").unwrap_err();
        assert!(message.contains("12 characters") && !message.contains("short-secret"), "{message}");
        check(bootstrap_token("a token with a space in it"), Err("visible ASCII"));
        check(bootstrap_token("123456789012345678901234"), Ok("123456789012345678901234".to_owned()));
    }

    #[test]
    fn words_and_lists() {
        check(severities("High, critical,high"), Ok(vec![Severity::Critical, Severity::High]));
        check(severities(" , "), Err("empty"));
        check(severities("worst"), Err("not one of critical"));
        check(folder("/srv/w"), Ok("/srv/w".into()));
        check(folder("~/w"), Err("only shells know"));
        check(folder(" "), Err("empty"));
        check(file("/etc/w.pem"), Ok("/etc/w.pem".into()));
        check(file(""), Err("name a file"));
        check(file("~/w.pem"), Err("only shells know"));
        check(header(" X-Client-Cert "), Ok("x-client-cert".to_owned()));
        check(header("X Client"), Err("not the name of a header"));
        check(header("Authorization"), Err("another meaning"));
        check(names("a.example, B"), Ok(vec!["a.example".to_owned(), "B".to_owned()]));
        check(names(","), Err("empty"));
        check(service_address("http://p:9090").map(|u| u.to_string()), Ok("http://p:9090/".to_owned()));
        check(service_address("p:9090"), Err("http:// or https://"));
        check(credentials("kim:pass word"), Ok("kim:pass word".to_owned()));
        check(credentials(" "), Err("user:password"));
        check(tenant("shop|ops"), Ok("shop|ops".to_owned()));
        check(tenant("a b"), Err("not the name of a tenant"));
        check(log_selector("{app=\"$service\", env=\"prod\"}"), Ok("{app=\"$service\", env=\"prod\"}".to_owned()));
        for text in ["{app=\"x\"}", "app=\"$service\"", "{app=$service}", "{app=\"$service\"} | json {"] {
            check(log_selector(text), Err("not a selector"));
        }
        check(boolean("Yes"), Ok(true));
        check(boolean("maybe"), Err("neither"));
        check(number("0", 1, 8), Err("from 1 to 8"));
        check(log_filter("info,watchfire::store=debug"), Ok("info,watchfire::store=debug".to_owned()));
        for text in ["watchfire=loud", "verbose", "", "=info"] {
            check(log_filter(text), Err("not a log filter"));
        }
    }
}
