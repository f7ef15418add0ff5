//! Platforms by their name in URLs. Incidents and alerts may name one that this version does not have.

use crate::connectors::{self, Info};

/// What is fixed about a platform, if this version has it.
pub fn info(slug: &str) -> Option<&'static Info> {
    all().find(|i| i.slug == slug)
}

/// All platforms of this version, in the order of the registry.
pub fn all() -> impl Iterator<Item = &'static Info> {
    connectors::ALL.iter().map(|c| c.info())
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
