//! The places where senders can put a connector's key. Comparing takes the same time wherever the difference is.

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use subtle::{Choice, ConstantTimeEq};

use super::settings::{Effective, digest};
use crate::model::Time;

/// Headers that prove who somebody is; they are neither kept nor given to connectors.
pub const SECRET_HEADERS: &[&str] =
    &["authorization", "proxy-authorization", "cookie", "x-watchfire-key", "x-gitlab-token"];
/// Query parameters that hold a key; the last is Google Cloud's.
pub const SECRET_PARAMETERS: &[&str] = &["key", "token", "apikey", "auth_token"];

// Senders differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request offers as proof.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Offered {
    /// Keys or tokens, from every place.
    pub secrets: Vec<String>,
    /// User and password of Basic.
    pub basic: Option<(String, String)>,
}

impl std::fmt::Debug for Offered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Offered({} secrets)", self.secrets.len())
    }
}

impl Offered {
    /// From headers (names in lower case), query and path.
    pub fn read(headers: &[(String, String)], query: &[(String, String)], path_key: Option<&str>) -> Self {
        let mut offered = Self::default();
        offered.secrets.extend(path_key.map(str::to_owned));
        for (name, value) in headers {
            match name.as_str() {
                // GitLab sends its secret token as it is.
                "x-watchfire-key" | "x-gitlab-token" => offered.secrets.push(value.trim().to_owned()),
                "authorization" => offered.authorization(value),
                _ => {}
            }
        }
        let named = query.iter().filter(|(n, _)| is_secret_parameter(n));
        offered.secrets.extend(named.map(|(_, v)| v.clone()));
        offered.secrets.retain(|s| !s.is_empty());
        offered
    }

    fn authorization(&mut self, value: &str) {
        let Some((scheme, rest)) = value.trim().split_once(' ') else { return };
        let rest = rest.trim();
        // `Key` is Alerta's word, which the Netdata agent uses.
        if ["bearer", "key"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) {
            self.secrets.push(rest.to_owned());
        } else if scheme.eq_ignore_ascii_case("basic") {
            let decoded = BASE64.decode(rest).ok().and_then(|b| String::from_utf8(b).ok());
            if let Some((user, password)) = decoded.as_deref().and_then(|d| d.split_once(':')) {
                self.secrets.push(password.to_owned());
                self.basic = Some((user.to_owned(), password.to_owned()));
            }
        }
    }

    /// Whether nothing at all was offered.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.basic.is_none()
    }

    /// Whether one of them is the connector's key, or its own user and password.
    pub fn opens(&self, settings: &Effective, now: Time) -> bool {
        let mut open = Choice::from(0);
        for offered in self.secrets.iter().map(|s| digest(s)) {
            for (key, until) in &settings.keys {
                let works = u8::from(until.is_none_or(|until| now < until));
                open |= key.ct_eq(&offered) & Choice::from(works);
            }
        }
        if let (Some((user, password)), Some(wanted)) = (&self.basic, &settings.basic_password) {
            let user = settings.basic_user.as_deref().map_or(Choice::from(1), |u| digest(u).ct_eq(&digest(user)));
            open |= user & digest(password).ct_eq(wanted);
        }
        open.into()
    }
}

/// Whether a query parameter holds a key.
pub fn is_secret_parameter(name: &str) -> bool {
    SECRET_PARAMETERS.iter().any(|p| name.eq_ignore_ascii_case(p))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::AuthMode;

    fn settings() -> Effective {
        Effective {
            enabled: true,
            paused_until: None,
            auth: AuthMode::Key,
            keys: vec![(digest("KEY"), None), (digest("OLD"), Some(Time::from_secs(100)))],
            signing_secret: None,
            challenge_secret: None,
            basic_user: Some("grafana".into()),
            basic_password: Some(digest("pass:word")),
            rca_enabled: false,
            severity_map: BTreeMap::new(),
            closes_after_secs: None,
            identity: Vec::new(),
            rate_per_minute: 0,
        }
    }

    #[test]
    fn every_place_works_and_nothing_else_does() {
        let check = |headers: &[(&str, &str)], query: &[(&str, &str)], path: Option<&str>, want: bool| {
            let own =
                |p: &[(&str, &str)]| p.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
            let offered = Offered::read(&own(headers), &own(query), path);
            assert_eq!(offered.opens(&settings(), Time::from_secs(50)), want, "{headers:?} {query:?} {path:?}");
        };
        let basic = |text: &str| format!("Basic {}", BASE64.encode(text));
        check(&[("authorization", "Bearer KEY")], &[], None, true);
        check(&[("authorization", "bearer  KEY")], &[], None, true);
        check(&[("authorization", &basic("anybody:KEY"))], &[], None, true);
        check(&[("authorization", basic("anybody:KEY").trim_end_matches('='))], &[], None, true);
        check(&[("authorization", &basic("grafana:pass:word"))], &[], None, true);
        check(&[("authorization", &basic("other:pass:word"))], &[], None, false);
        check(&[("x-watchfire-key", "KEY")], &[], None, true);
        check(&[], &[("key", "KEY")], None, true);
        check(&[], &[("token", "KEY")], None, true);
        check(&[], &[("apiKey", "KEY")], None, true);
        check(&[], &[("auth_token", "KEY")], None, true);
        check(&[("x-gitlab-token", "KEY")], &[], None, true);
        check(&[], &[], Some("KEY"), true);
        check(&[("authorization", "Bearer OLD")], &[], None, true);
        check(&[("authorization", "Bearer key")], &[], None, false);
        check(&[("authorization", "KEY")], &[], None, false);
        check(&[], &[("api", "KEY")], None, false);
        check(&[], &[("key", "")], Some(""), false);
        check(&[], &[], None, false);
    }

    #[test]
    fn the_old_key_works_until_its_time() {
        let offered = Offered::read(&[], &[], Some("OLD"));
        assert!(offered.opens(&settings(), Time::from_secs(99)));
        assert!(!offered.opens(&settings(), Time::from_secs(100)));
    }

    #[test]
    fn debug_output_has_no_secrets() {
        assert!(!format!("{:?}", Offered::read(&[], &[], Some("KEY"))).contains("KEY"));
    }
}
