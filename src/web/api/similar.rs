//! Earlier incidents like this one: those that read alike, by the text index, and those that touched its services.

use std::collections::{BTreeMap, BTreeSet};

use super::objects::SimilarObject;
use crate::{
    model::*,
    search::Search,
    store::{StoreError, View},
};

// A common word or service alone says little.
const LEAST: f64 = 0.3;
const MOST: usize = 5;
/// Text tells more than a service that everything touches.
const TEXT: f64 = 0.75;

/// The nearest earlier ones, nearest first; maybe none. Blocking.
pub fn similar(view: &View, search: &Search, incident: &Incident) -> Result<Vec<SimilarObject>, StoreError> {
    // An index that cannot be read costs its part of the answer, not the page.
    let alike = search.similar(view, incident, 20).unwrap_or_else(|e| {
        tracing::warn!(error = %e, "the text index was not asked for similar incidents");
        Vec::new()
    });
    let mut texts: BTreeMap<IncidentId, f64> = alike.into_iter().filter(|(id, _)| *id < incident.id).collect();
    for service in incident.affected_services.iter().take(5) {
        for found in view.earlier_incidents(service, incident.id, 10)? {
            texts.entry(found.id).or_insert(0.0);
        }
    }
    let mut ranked = Vec::new();
    for (id, text) in texts {
        let Some(other) = view.incident(id)?.filter(|o| o.status != IncidentStatus::Merged && !o.test) else {
            continue;
        };
        let similarity = TEXT * text + (1.0 - TEXT) * shared(&services(incident), &services(&other));
        if similarity >= LEAST {
            let similarity = (similarity * 100.0).round() / 100.0;
            ranked.push(SimilarObject { id, title: other.title, similarity, resolution: other.resolution });
        }
    }
    ranked.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(b.id.cmp(&a.id)));
    ranked.truncate(MOST);
    Ok(ranked)
}

fn services(incident: &Incident) -> BTreeSet<String> {
    incident.affected_services.iter().map(|s| s.to_lowercase()).collect()
}

/// The share of all names that both have; 0 when neither has any.
#[allow(clippy::cast_precision_loss, reason = "an incident lists few services")]
fn shared(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let all = a.union(b).count();
    if all == 0 { 0.0 } else { a.intersection(b).count() as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing_is_a_share() {
        let set = |s: &str| s.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
        for (a, b, want) in
            [("api db", "api db", 1.0), ("api db", "api web", 1.0 / 3.0), ("", "", 0.0), ("api", "", 0.0)]
        {
            assert_eq!(shared(&set(a), &set(b)), want, "{a} and {b}");
        }
    }
}
