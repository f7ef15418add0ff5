//! What was given for options that pages show and nobody changes there, as it was written.

use std::collections::BTreeMap;

use super::{
    check::Origin,
    options::{Kind, OPTIONS, Opt},
    types::Config,
};

/// Texts by key, each with where it stands. It says nothing that the fields of a configuration do not say, so two
/// configurations are equal whatever it holds.
#[derive(Clone, Debug, Default)]
pub struct Given(BTreeMap<&'static str, (String, String)>);

impl PartialEq for Given {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// An option as pages show it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The option.
    pub option: &'static Opt<Config>,
    /// Its text; none when nothing is given and there is no default.
    pub text: Option<&'a str>,
    /// Where it stands, such as `--investigation-delay`; none for the default.
    pub by: Option<&'a str>,
}

impl Given {
    /// Notes it. Secrets are not kept, nor are names and passwords in addresses.
    pub(super) fn note(&mut self, option: &'static Opt<Config>, text: &str, origin: &Origin) {
        let text = if option.kind == Kind::Secret { "set, not shown".to_owned() } else { without_password(text) };
        self.0.insert(option.key, (text, origin.to_string()));
    }

    /// The options whose keys begin like this, in the order of the list.
    pub fn shown<'a>(&'a self, prefix: &str) -> impl Iterator<Item = Shown<'a>> {
        OPTIONS.iter().filter(move |o| o.key.starts_with(prefix)).map(|option| {
            let given = self.0.get(option.key);
            Shown {
                option,
                text: given.map(|(text, _)| text.as_str()).or(option.default),
                by: given.map(|(_, by)| by.as_str()),
            }
        })
    }
}

/// `http://name:password@host/` without what stands before the host.
fn without_password(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let end = after.find(['/', '?', '#', ',', ' ']).unwrap_or(after.len());
        let (host, tail) = after.split_at(end);
        out.push_str(before);
        out.push_str("://");
        out.push_str(host.rsplit_once('@').map_or(host, |(_, host)| host));
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_shown_with_its_place_and_without_passwords() {
        let mut given = Given::default();
        let delay = OPTIONS.iter().find(|o| o.key == "investigation.delay").unwrap();
        given.note(delay, "9s", &Origin::Env("WATCHFIRE_INVESTIGATION_DELAY".to_owned()));
        let shown: Vec<_> = given.shown("investigation.").map(|s| (s.option.key, s.text, s.by)).collect();
        let wanted = ("investigation.delay", Some("9s"), Some("environment variable WATCHFIRE_INVESTIGATION_DELAY"));
        assert!(shown.contains(&wanted) && shown.contains(&("investigation.workers", Some("2"), None)), "{shown:?}");
        assert!(shown.iter().all(|(key, ..)| key.starts_with("investigation.")), "{shown:?}");
        for secret in OPTIONS.iter().filter(|o| o.kind == Kind::Secret) {
            given.note(secret, "hunter2", &Origin::Flag("x".to_owned()));
        }
        assert!(!format!("{given:?}").contains("hunter2"));
    }

    #[test]
    fn addresses_lose_their_passwords() {
        for (text, want) in [
            ("http://a:b@h:9090/p?q=@x", "http://h:9090/p?q=@x"),
            ("https://t@h, https://u:p@i", "https://h, https://i"),
            ("https://h", "https://h"),
            ("a@b", "a@b"),
            ("http://a@b@h", "http://h"),
        ] {
            assert_eq!(without_password(text), want);
        }
    }
}
