//! What a rule would have told of the incidents of the last days. Pure but for reading them.

use std::time::Duration;

use super::words;
use crate::{
    model::*,
    notifications::policy::{self, Book, Happened, Rule},
    query::IncidentFilter,
    store::{StoreError, Telling, View},
    web::pages::{
        text,
        ui::{self, Markup, When},
    },
};

/// How far back.
const BACK: Duration = Duration::from_secs(7 * 24 * 3600);
/// Incidents that are looked at.
const MOST: usize = 1_000;
/// Incidents that are shown, of those told of and of the others.
const SHOWN: usize = 20;

/// An incident, and what would have been told of it.
#[derive(Debug)]
pub struct Line {
    pub(super) id: IncidentId,
    pub(super) title: Markup,
    pub(super) severity: Markup,
    pub(super) at: When,
    pub(super) why: Markup,
}

/// What came of the trial.
#[derive(Debug)]
pub struct Trial {
    pub(super) headline: String,
    pub(super) told: Vec<Line>,
    pub(super) others: Vec<Line>,
}

/// What one rule does when such an incident opens: whether it tells, and why or why not.
fn one(telling: &Telling, rule: &Rule, incident: &Incident) -> (bool, String) {
    let at = incident.detected_at;
    if let Err(why) = rule.fits(incident, at) {
        return (false, text::capital(&format!("{why}.")));
    }
    let book = Book { rules: std::slice::from_ref(rule), ..telling.book() };
    let happened = Happened { event: NoticeEvent::Opened, incident, severity_before: None, now: at };
    let plan = policy::plan(book, happened, &[]);
    let mut why: Vec<String> = plan.considered.into_iter().map(|(c, _)| c.why).collect();
    let mut tells = !plan.wishes.is_empty();
    let due = plan.wishes.iter().map(|w| w.due_at).min().filter(|due| *due > at);
    if let Some(due) = due {
        match incident.resolved_at.filter(|over| *over <= due) {
            Some(over) => {
                tells = false;
                why.push(format!("It would have waited {}, but was over after {}.", lasts(due, at), lasts(over, at)));
            }
            None => why.push(format!("That is {} later.", lasts(due, at))),
        }
    }
    if let Some((id, _)) = plan.escalate
        && let Some(policy) = telling.policies.get(&id.0)
    {
        tells = true;
        why.push(format!("If nobody acknowledges: {}.", words::policy(telling, policy)));
    }
    (tells, why.join(" "))
}

fn lasts(later: Time, at: Time) -> String {
    ui::duration(later.since(at))
}

/// Tries a rule, whether it is switched on or not.
pub fn of(view: &View, telling: &Telling, rule: NoticeRule, now: Time) -> Result<Trial, StoreError> {
    let rule = Rule::read(NoticeRule { enabled: true, ..rule });
    let filter = IncidentFilter {
        statuses: IncidentStatus::ALL.to_vec(),
        since: Some(now.minus(BACK)),
        ..IncidentFilter::default()
    };
    let found = view.incidents(&filter, None, MOST)?.items;
    let (mut told, mut others, mut tells) = (Vec::new(), Vec::new(), 0_u64);
    // Tests are told to nobody.
    let real: Vec<&Incident> = found.iter().filter(|i| !i.test).collect();
    for incident in &real {
        let (would, why) = one(telling, &rule, incident);
        tells += u64::from(would);
        let lines = if would { &mut told } else { &mut others };
        if lines.len() < SHOWN {
            lines.push(Line {
                id: incident.id,
                title: ui::foreign(&text::shorten(&incident.title, 120)),
                severity: ui::severity(incident.severity),
                at: When::ago(incident.detected_at, now),
                why: ui::foreign(&text::shorten(&why, 400)),
            });
        }
    }
    let headline = format!("{} of {} in the last 7 days", ui::count(tells), ui::plural(real.len() as u64, "incident"));
    Ok(Trial { headline, told, others })
}
