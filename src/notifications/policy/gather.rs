//! What goes out as one message, of what waits for one place. Pure.

use std::collections::BTreeSet;

use crate::model::*;

/// So many incidents at once are told as a digest where people read.
const DIGEST: usize = 4;

/// One message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picked {
    /// What is told, in order; empty when nothing is. The first one leads: it keeps the tries.
    pub told: Vec<NoticeId>,
    /// It tells of several incidents.
    pub digest: bool,
    /// What need not be told, and why.
    pub drop: Vec<(NoticeId, &'static str)>,
}

/// Whether a try of it was begun.
fn was_tried(n: &Notice) -> bool {
    n.tries > 0 || n.may_have_arrived()
}

/// Picks what is told next at a place. `due` are its messages whose time has come, in order. `known`: an earlier message about
/// the first one's incident has arrived there, or may have.
pub fn pick(follows: Follows, due: &[Notice], known: bool) -> Picked {
    let Some(first) = due.first() else { return Picked::default() };
    let alone = Picked { told: vec![first.id], ..Picked::default() };
    if first.incident.is_none() {
        return alone;
    }
    let same: Vec<&Notice> = due.iter().filter(|n| n.incident == first.incident).collect();
    let ends = |n: &&&Notice| matches!(n.event, NoticeEvent::Resolved | NoticeEvent::Merged);
    match follows {
        Follows::Fed => alone,
        Follows::Keyed => {
            // It never learned of it: neither the beginning nor the end is worth a page.
            let unknown = !known && !same.iter().any(|n| was_tried(n)) && begins(first.event);
            match same.iter().find(ends) {
                Some(end) if unknown => {
                    let why = "It was over before it could be told here.";
                    let until = same.iter().take_while(|n| n.id <= end.id);
                    Picked { drop: until.map(|n| (n.id, why)).collect(), ..Picked::default() }
                }
                _ => alone,
            }
        }
        Follows::Read => {
            let incidents: BTreeSet<IncidentId> = due.iter().filter_map(|n| n.incident).collect();
            let gathers = incidents.len() >= 2 && due.iter().all(|n| n.gathers);
            // What was tried keeps what it was, under the same key: some of it may have arrived. What went out as one has been
            // due at one moment since.
            if was_tried(first) {
                let again = due.iter().filter(|n| n.incident.is_some() && was_tried(n) && n.due_at == first.due_at);
                if again.clone().any(|n| n.incident != first.incident) {
                    return Picked { told: again.map(|n| n.id).collect(), digest: true, drop: Vec::new() };
                }
            } else if incidents.len() >= DIGEST || gathers {
                let told = due.iter().filter(|n| n.incident.is_some() && !was_tried(n));
                return Picked { told: told.map(|n| n.id).collect(), digest: true, drop: Vec::new() };
            }
            Picked { told: same.iter().map(|n| n.id).collect(), ..Picked::default() }
        }
    }
}

/// Whether a target first learns of an incident by it.
fn begins(event: NoticeEvent) -> bool {
    use NoticeEvent as E;
    matches!(event, E::Opened | E::Reopened | E::SeverityUp | E::Escalated)
}
