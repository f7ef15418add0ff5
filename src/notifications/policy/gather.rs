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

/// Picks what is told next at a place. `due` are its messages whose time has come, in order.
pub fn pick(follows: Follows, due: &[Notice]) -> Picked {
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
            let unknown = same.iter().all(|n| n.tries == 0) && begins(first.event);
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
            // What was one message stays one: some of it may have arrived, and one by one it would be a storm again.
            if first.tries > 0 || first.in_doubt {
                let with = |n: &&Notice| n.incident.is_some() && n.tries == first.tries && n.in_doubt == first.in_doubt;
                let tried = |n: &Notice| n.attempts.last().map(|a| a.at);
                let told: Vec<&Notice> = due.iter().filter(with).filter(|n| tried(n) == tried(first)).collect();
                if told.iter().any(|n| n.incident != first.incident) {
                    return Picked { told: told.iter().map(|n| n.id).collect(), digest: true, drop: Vec::new() };
                }
                return Picked { told: same.iter().map(|n| n.id).collect(), ..Picked::default() };
            }
            let incidents: BTreeSet<IncidentId> = due.iter().filter_map(|n| n.incident).collect();
            let gathers = incidents.len() >= 2 && due.iter().all(|n| n.gathers);
            if incidents.len() >= DIGEST || gathers {
                let told = due.iter().filter(|n| n.incident.is_some() && n.tries == 0 && !n.in_doubt);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A message: its number, incident and tries; `at` is when it was tried last.
    fn notice(id: u64, incident: u64, tries: u32, at: i64) -> Notice {
        let time = Time::from_millis(at);
        let attempt = Attempt { at: time, took_ms: 1, ok: false, status: Some(429), said: String::new() };
        Notice {
            id: NoticeId(id),
            incident: Some(IncidentId(incident)),
            event: NoticeEvent::Opened,
            severity_before: None,
            rule: None,
            rung: None,
            reason: String::new(),
            channel: ChannelId(1),
            person: None,
            address: None,
            created_at: time,
            planned_at: time,
            due_at: time,
            state: NoticeState::Waiting,
            why: None,
            attempts: if tries > 0 { vec![attempt] } else { Vec::new() },
            tries,
            steps_done: Vec::new(),
            in_doubt: false,
            gathers: false,
            remind_secs: None,
            key: String::new(),
            ended_at: None,
            told_in: None,
            instead_of: None,
        }
    }

    /// Each message as number, incident, tries and when; the numbers that are told, and whether as a digest.
    fn check(due: &[(u64, u64, u32, i64)], want: &[u64], digest: bool) {
        let rows: Vec<Notice> =
            due.iter().map(|(id, incident, tries, at)| notice(*id, *incident, *tries, *at)).collect();
        let picked = pick(Follows::Read, &rows);
        let told: Vec<u64> = picked.told.iter().map(|n| n.0).collect();
        assert_eq!((told.as_slice(), picked.digest), (want, digest), "{due:?}");
    }

    #[test]
    fn what_was_one_message_stays_one() {
        // One, a few, and a storm; what is of the same incident goes with it.
        check(&[(1, 1, 0, 0)], &[1], false);
        check(&[(1, 1, 0, 0), (2, 2, 0, 0), (3, 1, 0, 0)], &[1, 3], false);
        let storm = [(1, 1, 0, 0), (2, 2, 0, 0), (3, 3, 0, 0), (4, 4, 0, 0)];
        check(&storm, &[1, 2, 3, 4], true);
        // A storm that was refused is tried again as it was, without what came meanwhile.
        check(&storm.map(|(id, incident, _, _)| (id, incident, 1, 5)), &[1, 2, 3, 4], true);
        check(&[(1, 1, 1, 5), (2, 2, 1, 5), (3, 3, 0, 0), (4, 4, 0, 0), (5, 5, 0, 0)], &[1, 2], true);
        // One that was tried alone stays alone, with what came of its own incident.
        check(&[(1, 1, 2, 5), (2, 2, 0, 0), (3, 3, 0, 0), (4, 4, 0, 0), (5, 1, 0, 0)], &[1, 5], false);
        // Those of two tries were two messages.
        check(&[(1, 1, 1, 5), (2, 2, 1, 9)], &[1], false);
    }
}
