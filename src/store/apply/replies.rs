//! What people did to incidents of ours in the tools that they were told by: it is done here as well.

use serde_json::json;

use crate::{
    model::*,
    store::{CommandError, StoreError, commands::incidents, tx::Tx},
};

/// Merges followed to where an incident lives on.
const DEEPEST: usize = 32;

/// Does what a delivery tells of. What cannot be done any more was done here already, or is over.
pub fn apply(tx: &mut Tx<'_>, delivery: &Delivery) -> Result<(), StoreError> {
    for reply in &delivery.parsed.replies {
        let Some(incident) = home(tx, reply.incident)?.filter(Incident::is_open) else { continue };
        let by = reply.by.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
        let actor = Actor::Sender(format!("{by} ({})", delivery.platform));
        match reply.act {
            ReplyAct::Acknowledge if incident.acknowledged_at.is_some() => {}
            ReplyAct::Acknowledge => acknowledge(tx, incident.id, &actor)?,
            ReplyAct::Resolve => {
                let reason = format!("Resolved in {} by {by}.", delivery.platform);
                // Whatever else is wrong: it is not in a state for it.
                if let Err(CommandError::Store(e)) = incidents::resolve(tx, incident.id, Some(reason), &actor) {
                    return Err(e);
                }
            }
        }
    }
    Ok(())
}

fn home(tx: &mut Tx<'_>, id: IncidentId) -> Result<Option<Incident>, StoreError> {
    let mut at = id;
    for _ in 0..DEEPEST {
        let Some(incident) = tx.incident(at)?.map(|i| i.clone()) else { return Ok(None) };
        match incident.merged_into {
            Some(into) => at = into,
            None => return Ok(Some(incident)),
        }
    }
    Ok(None)
}

fn acknowledge(tx: &mut Tx<'_>, id: IncidentId, actor: &Actor) -> Result<(), StoreError> {
    let now = tx.now;
    let incident = tx.known_incident(id)?;
    incident.owner = Some(actor.to_string());
    incident.acknowledged_at = Some(now);
    tx.changed(id, IncidentChange::Owner);
    let text = "Acknowledged in the tool that told of it.";
    tx.note(id, TimelineKind::Acknowledged, actor, text, json!({ "owner": actor.to_string() }))?;
    tx.audit(actor, "incident.acknowledge", id.to_string(), json!({ "owner": actor.to_string() }))
}
