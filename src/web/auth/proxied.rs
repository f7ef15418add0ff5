//! People whom a proxy in front has signed in: it names them in a header. The header is believed from the addresses of
//! `trusted_proxies` alone, and whoever else sends it is named in the log.

use std::{
    collections::HashMap,
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

/// Who has been named in the log, and when.
#[derive(Debug, Default)]
pub struct Strangers(Mutex<HashMap<IpAddr, Time>>);

impl Strangers {
    /// Whether this one is to be named now.
    fn name(&self, address: IpAddr, now: Time) -> bool {
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
    let groups: Vec<String> = settings.groups_header.as_ref().map_or_else(Vec::new, |header| {
        let lines = headers.get_all(header).iter().filter_map(|v| v.to_str().ok());
        lines.flat_map(claims::groups_of_header).collect()
    });
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
}
