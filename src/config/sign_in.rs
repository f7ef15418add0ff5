//! The options of sign-in by somebody else: an OpenID provider, a proxy in front, and what groups may do.

use std::collections::BTreeSet;

use crate::{
    model::{Role, Voucher},
    outgoing::address::Url,
};

/// As configured; without an issuer and without a header of names, people sign in with passwords only.
#[derive(Clone, Default, PartialEq)]
pub struct SignIn {
    /// The provider, as its own documents name it.
    pub issuer: Option<Url>,
    /// What the provider knows this server as.
    pub client_id: Option<String>,
    /// The secret for it; none for a public client.
    pub client_secret: Option<String>,
    /// What people call the provider.
    pub provider: String,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim with the name for signing in.
    pub name_claim: String,
    /// The claim with the groups.
    pub groups_claim: String,
    /// The header, in lower case, in which trusted proxies name the person.
    pub user_header: Option<String>,
    /// The header, in lower case, in which they name the person's groups.
    pub groups_header: Option<String>,
    /// Groups whose people are administrators.
    pub admins: Vec<String>,
    /// Groups whose people act on incidents.
    pub responders: Vec<String>,
    /// Groups whose people look.
    pub viewers: Vec<String>,
}

impl std::fmt::Debug for SignIn {
    // The secret is never written anywhere.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn")
            .field("issuer", &self.issuer.as_ref().map(Url::as_str))
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret.as_ref().map(|_| "…"))
            .field("user_header", &self.user_header)
            .field("groups_header", &self.groups_header)
            .field("groups", &(&self.admins, &self.responders, &self.viewers))
            .finish_non_exhaustive()
    }
}

impl SignIn {
    /// What somebody with these groups may do: the most that one of them gives; none when none gives anything. `*` in the
    /// configuration is everybody, whatever their groups.
    pub fn role(&self, groups: &[String]) -> Option<Role> {
        let in_one = |wanted: &[String]| wanted.iter().any(|w| w == "*" || groups.contains(w));
        [(&self.admins, Role::Admin), (&self.responders, Role::Responder), (&self.viewers, Role::Viewer)]
            .into_iter()
            .find_map(|(wanted, role)| in_one(wanted).then_some(role))
    }

    /// Who besides this server can say that somebody is an administrator.
    pub fn vouchers(&self) -> BTreeSet<Voucher> {
        let ways = [(Voucher::Oidc, self.issuer.is_some()), (Voucher::Proxy, self.user_header.is_some())];
        ways.into_iter().filter(|(_, works)| *works && !self.admins.is_empty()).map(|(by, _)| by).collect()
    }

    /// Whether anybody could be let in by their groups.
    pub(super) fn lets_in(&self) -> bool {
        !(self.admins.is_empty() && self.responders.is_empty() && self.viewers.is_empty())
    }
}

/// The address of a provider: over TLS, but for one on this machine.
pub(super) fn issuer(text: &str) -> Result<Url, String> {
    let url = crate::outgoing::address::base(text)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if url.scheme() != "https" && !here {
        return Err("is not https; whoever sits on the way could sign in as anybody".to_owned());
    }
    Ok(url)
}

/// Scopes, with commas or spaces.
pub(super) fn scopes(text: &str) -> Result<Vec<String>, String> {
    let words = text.split([',', ' ']).map(str::trim).filter(|w| !w.is_empty() && *w != "openid");
    words
        .map(|w| match w.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
            true => Ok(w.to_owned()),
            false => Err(format!("`{w}` is not a scope; write some such as `profile, email, groups`")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_a_group_gives() {
        let s = SignIn { admins: vec!["ops".into()], viewers: vec!["*".into()], ..SignIn::default() };
        let check = |groups: &[&str], want: Option<Role>| {
            let groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
            assert_eq!(s.role(&groups), want, "{groups:?}");
        };
        check(&["dev", "ops"], Some(Role::Admin));
        check(&["Ops"], Some(Role::Viewer));
        check(&[], Some(Role::Viewer));
        assert_eq!(
            SignIn { viewers: Vec::new(), ..s.clone() }.role(&["*".to_owned()]),
            None,
            "a star in a token is a name"
        );
    }

    #[test]
    fn a_provider_is_reached_over_tls() {
        for (text, right) in [
            ("https://id.example.com/realms/ops", true),
            ("http://127.0.0.1:9400", true),
            ("http://[::1]:9400", true),
            ("http://localhost", true),
            ("http://id.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("id.example.com", false),
        ] {
            assert_eq!(issuer(text).is_ok(), right, "{text}");
        }
    }
}
