//! Incidents that can wait: quiet until a time, then calling for somebody again.

use std::time::Duration;

use serde_json::json;

use super::incidents::{conflict, open};
use crate::{
    model::*,
    store::{CommandError, Store, apply::lifecycle},
};

/// Nobody remembers for longer why it could wait.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

impl Store {
    /// Makes an open incident quiet until a time: it calls for nobody, and is told of again when its time comes, when it
    /// gets worse, or when somebody wakes it. One that is snoozed already gets the new time.
    pub async fn snooze(&self, id: IncidentId, until: Time, actor: Actor) -> Result<Incident, CommandError> {
        self.on_incident(id, move |tx| {
            let now = tx.now;
            let incident = open(tx, id, "snoozed")?;
            if until <= now || until > now.plus(LONGEST) {
                let detail = "a time in the next 31 days is needed".to_owned();
                return Err(CommandError::Invalid { field: "until".to_owned(), detail });
            }
            let before = incident.snoozed.replace(Snooze { until, by: actor.to_string(), at: now });
            tx.changed(id, IncidentChange::Snoozed);
            let text = format!("Snoozed until {}.", until.timestamp().strftime("%-d %b %Y, %H:%M UTC"));
            tx.note(id, TimelineKind::Snoozed, &actor, text, json!({ "until": until }))?;
            let data = json!({ "before": { "until": before.map(|s| s.until) }, "after": { "until": until } });
            Ok(tx.audit(&actor, "incident.snooze", id.to_string(), data)?)
        })
        .await
    }

    /// Ends that before its time; a conflict when it is not snoozed.
    pub async fn wake(&self, id: IncidentId, actor: Actor) -> Result<Incident, CommandError> {
        self.on_incident(id, move |tx| {
            tx.asked_incident(id)?;
            match lifecycle::wake(tx, id, &actor, "Woken by hand.".to_owned())? {
                Some(snooze) => {
                    let none: Option<Time> = None;
                    let data = json!({ "before": { "until": snooze.until }, "after": { "until": none } });
                    Ok(tx.audit(&actor, "incident.wake", id.to_string(), data)?)
                }
                None => {
                    let incident = tx.known_incident(id)?;
                    Err(conflict(incident, "woken: it is not snoozed"))
                }
            }
        })
        .await
    }
}
