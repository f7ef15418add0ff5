//! `Prefer: wait=N` (RFC 7240).

use std::time::Duration;

use axum::http::HeaderMap;

/// Nobody may hold a request open for longer.
pub const LONGEST: Duration = Duration::from_secs(30);

/// How long the sender wants to wait for the effect.
pub fn wait(headers: &HeaderMap) -> Option<Duration> {
    let all = headers.get_all("prefer").iter().filter_map(|v| v.to_str().ok());
    let mut preferences = all.flat_map(|v| v.split(',')).map(|p| p.split(';').next().unwrap_or_default());
    // Of several of the same name the first counts.
    let (_, value) =
        preferences.find_map(|p| p.split_once('=').filter(|(n, _)| n.trim().eq_ignore_ascii_case("wait")))?;
    let secs: u64 = value.trim().trim_matches('"').parse().ok()?;
    (secs > 0).then(|| Duration::from_secs(secs).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read() {
        let check = |values: &[&str], want: Option<u64>| {
            let mut h = HeaderMap::new();
            for v in values {
                h.append("prefer", v.parse().unwrap());
            }
            assert_eq!(wait(&h).map(|d| d.as_secs()), want, "{values:?}");
        };
        check(&["wait=5"], Some(5));
        check(&["respond-async, Wait = \"7\" ; x=1"], Some(7));
        check(&["return=minimal", "wait=3"], Some(3));
        check(&["wait=600"], Some(30));
        check(&["wait=2, wait=9"], Some(2));
        check(&["wait=0"], None);
        check(&["wait=-1"], None);
        check(&["wait"], None);
        check(&[], None);
    }
}
