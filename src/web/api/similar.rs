//! Earlier incidents like this one: those that touched its services, by how much of their text and services they share.

use std::collections::{BTreeMap, BTreeSet};

use super::objects::SimilarObject;
use crate::{
    model::*,
    store::{StoreError, View},
};

// A common word or service alone says little.
const LEAST: f64 = 0.3;
const MOST: usize = 5;

/// The nearest earlier ones, nearest first; maybe none.
pub fn similar(view: &View, incident: &Incident) -> Result<Vec<SimilarObject>, StoreError> {
    let mut earlier = BTreeMap::new();
    for service in incident.affected_services.iter().take(5) {
        for found in view.earlier_incidents(service, incident.id, 50)? {
            if found.status != IncidentStatus::Merged && !found.test {
                earlier.insert(found.id, found);
            }
        }
    }
    let mut ranked: Vec<SimilarObject> = earlier
        .values()
        .map(|other| SimilarObject {
            id: other.id,
            title: other.title.clone(),
            similarity: similarity(incident, other),
            resolution: other.resolution.clone(),
        })
        .filter(|s| s.similarity >= LEAST)
        .collect();
    ranked.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(b.id.cmp(&a.id)));
    ranked.truncate(MOST);
    Ok(ranked)
}

/// Two thirds text, one third services; 1 for the same title and services.
fn similarity(a: &Incident, b: &Incident) -> f64 {
    let services = |i: &Incident| i.affected_services.iter().map(|s| s.to_lowercase()).collect();
    let both = 2.0 * shared(&words(&a.title), &words(&b.title)) + shared(&services(a), &services(b));
    (both / 3.0 * 100.0).round() / 100.0
}

fn words(title: &str) -> BTreeSet<String> {
    title.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 1).map(str::to_owned).collect()
}

#[allow(clippy::cast_precision_loss, reason = "a title has few words")]
fn shared(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let all = a.union(b).count();
    if all == 0 { 0.0 } else { a.intersection(b).count() as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing_is_a_share() {
        let set = |s: &str| words(s);
        assert_eq!(shared(&set("disk full on db"), &set("Disk full on db")), 1.0);
        assert_eq!(shared(&set("disk full"), &set("disk slow")), 1.0 / 3.0);
        assert_eq!(shared(&set(""), &set("")), 0.0);
    }
}
