//! People whom a proxy in front has signed in: it names them in a header. The header is believed from the addresses of
//! `trusted_proxies` alone, and whoever else sends it is named in the log.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::HeaderMap;

use super::{Client, check_name, oidc::claims};
use crate::{
    model::*,
    store::CommandError,
    web::{error::ApiError, state::AppState},
};

/// One address is named in the log this often.
const AGAIN: Duration = Duration::from_secs(600);
/// Addresses that are remembered for that; beyond it, the log has them each time.
const MOST: usize = 1_000;
/// A name that is another person's is written into the audit log this often.
const COLLISION: Duration = Duration::from_secs(3600);
/// Groups of one person at most: what names more is no list of groups.
const GROUPS: usize = 2_000;

/// Who has been named in the log, and when.
#[derive(Debug)]
pub struct Strangers<K = IpAddr>(Mutex<HashMap<K, Time>>);

impl<K> Default for Strangers<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Strangers<K> {
    /// Whether this one is to be named now.
    pub fn name(&self, address: K, now: Time) -> bool {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if named.get(&address).is_some_and(|at| now.since(*at) < AGAIN && *at <= now) {
            return false;
        }
        if named.len() >= MOST {
            named.retain(|_, at| now.since(*at) < AGAIN);
        }
        if named.len() < MOST {
            named.insert(address, now);
        }
        true
    }
}

/// Names that a proxy gave to somebody although they are another person's, and when that was written down.
#[derive(Debug, Default)]
pub struct Collisions(Mutex<HashMap<String, Time>>);

impl Collisions {
    /// Whether this one is to be written down now: once an hour for each name, and of so many names.
    fn note(&self, name: &str, now: Time) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: &Time| *at <= now && now.since(*at) < COLLISION;
        if noted.get(name).is_some_and(recent) {
            return false;
        }
        if noted.len() >= MOST {
            noted.retain(|_, at| recent(at));
        }
        // Whoever can make names up must not fill the log either.
        noted.len() < MOST && noted.insert(name.to_owned(), now).is_none_or(|at| !recent(&at))
    }
}

/// The groups that the proxy names, of all lines of its header together; none when one of them cannot be read, because
/// the group that was meant to keep somebody out of more may stand there.
fn groups(headers: &HeaderMap, header: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for line in headers.get_all(header) {
        all.extend(claims::groups_of_header(std::str::from_utf8(line.as_bytes()).ok()?));
    }
    (all.len() <= GROUPS).then_some(all)
}

/// Whether somebody whom the proxy named is still let in as far as is known here: as when the proxy last named them, which
/// is not what it said when a stream began.
pub async fn still(state: &AppState, name: &str) -> Result<bool, ApiError> {
    let wanted = name.to_owned();
    let account = state.store.read(move |view| view.account(&wanted)).await?;
    Ok(account.is_some_and(|a| a.origin == Voucher::Proxy && !a.disabled))
}

/// The person whom a trusted proxy names; none when it names nobody.
///
/// # Errors
/// 403 when it names somebody who may not come in.
pub async fn identify(state: &AppState, headers: &HeaderMap, client: &Client) -> Result<Option<Account>, ApiError> {
    let settings = &state.config.sign_in;
    let Some(header) = &settings.user_header else { return Ok(None) };
    let Some(value) = headers.get(header) else { return Ok(None) };
    if !state.config.trusts(client.peer) {
        if state.shared.strangers.name(client.peer, state.clock.now()) {
            tracing::warn!(
                addr = %client.peer, header,
                "a header that names a person came from an address that is not in trusted_proxies; it is ignored"
            );
        }
        return Ok(None);
    }
    let value = value.to_str().map(str::trim).unwrap_or_default();
    if value.is_empty() {
        return Ok(None);
    }
    // Two names are none: somebody before the proxy may have written one of them.
    let name = check_name(value).filter(|_| headers.get_all(header).iter().count() == 1);
    let name = name.ok_or_else(|| {
        let rule = "1 to 64 characters of a-z, 0-9, dot, hyphen, underscore and @";
        ApiError::forbidden(format!("the proxy in front names you in a way that is no name here; it needs {rule}"))
    })?;
    let groups = match &settings.groups_header {
        Some(header) => groups(headers, header)
            .ok_or_else(|| ApiError::forbidden("the proxy in front names your groups in a way that cannot be read"))?,
        None => Vec::new(),
    };
    let who = Foreign { name, origin: Voucher::Proxy, role: settings.role(&groups), full_name: None, subject: None };
    let wanted = who.name.clone();
    let known = state.store.read(move |view| view.account(&wanted)).await?;
    match known {
        // As almost always: nothing is to be written.
        Some(account) if account.origin == Voucher::Proxy && Some(account.role) == who.role && !account.disabled => {
            Ok(Some(account))
        }
        // Written down when somebody is no longer let in, and not again with every request of theirs.
        Some(account) if account.origin == Voucher::Proxy && account.disabled => {
            Err(ApiError::forbidden("an administrator has disabled your account"))
        }
        Some(account)
            if account.origin != Voucher::Proxy && !state.shared.collisions.note(&account.name, state.clock.now()) =>
        {
            Err(ApiError::forbidden(format!("there is another {} here already", account.name)))
        }
        None if who.role.is_none() => Err(ApiError::forbidden("none of your groups lets you in")),
        Some(_) if who.role.is_none() => Err(ApiError::forbidden("none of your groups lets you in any more")),
        _ => match state.store.welcome(who).await {
            Ok(account) => Ok(Some(account)),
            Err(CommandError::Conflict { detail, .. }) => Err(ApiError::forbidden(detail)),
            Err(e) => Err(e.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_named_now_and_then() {
        let strangers = Strangers::default();
        let at = Time::from_secs(1_772_500_000);
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!(strangers.name(a, at) && !strangers.name(a, at) && strangers.name(b, at));
        assert!(strangers.name(a, at.plus(AGAIN)));
    }

    #[test]
    fn a_collision_is_noted_once_an_hour_and_of_so_many_names() {
        let collisions = Collisions::default();
        let at = Time::from_secs(1_772_500_000);
        assert!(collisions.note("ann", at) && !collisions.note("ann", at) && collisions.note("bob", at));
        assert!(!collisions.note("ann", at.plus(COLLISION - Duration::from_secs(1))));
        assert!(collisions.note("ann", at.plus(COLLISION)));
        let later = at.plus(COLLISION * 3);
        assert_eq!((0..MOST + 10).filter(|n| collisions.note(&format!("n{n}"), later)).count(), MOST);
    }

    #[test]
    fn groups_are_read_whole_or_not_at_all() {
        let check = |lines: &[&[u8]], want: Option<&[&str]>| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-groups", axum::http::HeaderValue::from_bytes(line).unwrap());
            }
            let got = groups(&headers, "x-groups");
            assert_eq!(got, want.map(|w| w.iter().map(|g| (*g).to_owned()).collect()), "{lines:?}");
        };
        check(&[], Some(&[]));
        check(&[b"staff", b"ops, dev"], Some(&["staff", "ops", "dev"]));
        check(&["gr\u{fc}n|ops".as_bytes()], Some(&["gr\u{fc}n", "ops"]));
        check(&[b"staff", b"gr\xfcn"], None);
        let many = "a,".repeat(GROUPS);
        check(&[many.as_bytes(), b"b"], None);
    }
}
