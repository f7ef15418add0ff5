//! Platforms by their name in URLs. Incidents and alerts may name one that this version does not have, or that was
//! declared once and is no more.

use std::{collections::BTreeSet, ops::Deref, sync::Arc};

use crate::connectors::{self, Handle, Info, Registry, declared::Declared};

/// A platform as the pages name it: with a name of its own when people declared it, and all else that is fixed about it.
#[derive(Clone, Debug)]
pub struct Platform {
    /// As in URLs.
    pub slug: String,
    /// As people write it.
    pub name: String,
    /// Two letters for its tile.
    pub tile: String,
    /// The declaration, when it has one.
    pub declared: Option<Arc<Declared>>,
    info: &'static Info,
}

impl Deref for Platform {
    type Target = Info;

    fn deref(&self) -> &Info {
        self.info
    }
}

impl From<&Handle> for Platform {
    fn from(connector: &Handle) -> Self {
        let (tile, _) = tile_and_name(connector.slug());
        Self {
            slug: connector.slug().to_owned(),
            name: connector.name().to_owned(),
            tile,
            declared: connector.declared().cloned(),
            info: connector.info(),
        }
    }
}

/// A platform that is in use.
pub fn find(registry: &Registry, slug: &str) -> Option<Platform> {
    registry.find(slug).as_ref().map(Platform::from)
}

/// Every platform in use: those of this version, then declared ones by name.
pub fn in_use(registry: &Registry) -> Vec<Platform> {
    registry.all().iter().map(Platform::from).collect()
}

/// Name in URLs and name for people of the platforms in use that a list can be narrowed down to: those that have sent
/// something, and those that are chosen. The menu would else grow with every connector that there is.
pub fn names(registry: &Registry, senders: &BTreeSet<String>, chosen: &[String]) -> Vec<(String, String)> {
    let all = registry.all();
    let shown = all.iter().filter(|c| senders.contains(c.slug()) || chosen.iter().any(|s| s == c.slug()));
    shown.map(|c| (c.slug().to_owned(), c.name().to_owned())).collect()
}

/// What is fixed about a platform, if it is part of this version.
pub fn info(slug: &str) -> Option<&'static Info> {
    all().find(|i| i.slug == slug)
}

/// All platforms of this version, in the order of the registry.
pub fn all() -> impl Iterator<Item = &'static Info> {
    connectors::ALL.iter().map(|c| c.info())
}

/// It tells of builds.
pub fn builds(slug: &str) -> bool {
    info(slug).is_some_and(|i| i.builds)
}

/// Two letters and the name as people write it.
pub fn tile_and_name(slug: &str) -> (String, String) {
    match (info(slug), slug) {
        (Some(i), _) => (i.tile.to_owned(), i.name.to_owned()),
        (None, "manual" | "custom") => ("By".to_owned(), "By hand".to_owned()),
        (None, "changes") => ("Ch".to_owned(), "Changes".to_owned()),
        (None, other) => {
            let name = super::text::shorten(&super::text::visible(other), 24);
            let mut letters = name.chars().filter(|c| c.is_alphanumeric());
            let tile = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters.next()).collect();
            (tile, name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_narrowed_down_to_what_has_sent_something_or_is_chosen() {
        let senders = BTreeSet::from(["grafana".to_owned(), "changes".to_owned()]);
        let slugs = |chosen: &[String]| -> Vec<String> {
            names(&Registry::default(), &senders, chosen).into_iter().map(|(slug, _)| slug).collect()
        };
        assert_eq!(slugs(&[]), ["grafana"]);
        assert_eq!(slugs(&["zabbix".to_owned(), "nagios".to_owned()]), ["grafana", "zabbix"]);
    }
}
