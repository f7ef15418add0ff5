//! What the API answers with, exactly as the contract writes it.

mod accounts;
mod deliveries;

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    model::*,
    store::{StoreError, View},
};

pub use self::{accounts::*, deliveries::*};

/// The state of an investigation.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct InvestigationObject {
    /// Where it stands.
    pub state: InvestigationState,
    /// How sure it is.
    pub conclusion: Option<Conclusion>,
    /// Two or three sentences.
    pub summary: Option<String>,
    /// Who made it.
    pub engine: Option<String>,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// Thoughts written.
    pub steps: u32,
    /// How many checks of a run are done.
    pub progress: Option<Progress>,
    /// Why it failed.
    pub error: Option<String>,
}

/// An incident as lists and live events carry it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct IncidentRow {
    /// `INC-42`.
    pub id: IncidentId,
    /// Where it stands.
    pub status: IncidentStatus,
    /// How bad.
    pub severity: Severity,
    /// A person said how bad: alerts no longer change it.
    pub severity_by_hand: bool,
    /// One line.
    pub title: String,
    /// The service it began with.
    pub service: Option<String>,
    /// Every service of its alerts.
    pub affected_services: Vec<String>,
    /// The machine it began with.
    pub host: Option<String>,
    /// Every machine of its alerts.
    pub affected_hosts: Vec<String>,
    /// `production`, …
    pub environment: Option<String>,
    /// Platform of the first alert.
    pub source: String,
    /// Deep link of the first alert.
    pub source_url: Option<String>,
    /// Who has it.
    pub owner: Option<String>,
    /// As the sender wrote it.
    pub started_at: Time,
    /// When it was opened here.
    pub detected_at: Time,
    /// When somebody took it.
    pub acknowledged_at: Option<Time>,
    /// When the analysis ended.
    pub analyzed_at: Option<Time>,
    /// When it was resolved.
    pub resolved_at: Option<Time>,
    /// How it ended.
    pub resolution: Option<String>,
    /// Last change of anything in it.
    pub updated_at: Time,
    /// Alerts in it.
    pub alert_count: u64,
    /// Those that are not resolved.
    pub firing_count: u64,
    /// Those of them that a silence or maintenance window mutes.
    pub muted_count: u64,
    /// All that are not resolved are muted: it calls for nobody. Of one that has ended: so it was.
    pub muted: bool,
    /// Open, and quiet until then.
    pub snoozed: Option<Snooze>,
    /// The survivor, when merged.
    pub merged_into: Option<IncidentId>,
    /// Its alerts go up and down.
    pub flapping: bool,
    /// Opened by a test.
    pub test: bool,
    /// Declared by hand.
    pub manual: bool,
    /// What all its alerts share.
    pub labels: BTreeMap<String, String>,
    /// The investigation's head.
    pub investigation: InvestigationObject,
    /// The leading hypothesis.
    pub leading: Option<LeadingObject>,
    /// Whether it has a postmortem, and whether that is finished.
    pub postmortem: Option<PostmortemState>,
    /// Grows with every change.
    pub version: u64,
}

/// The leading hypothesis.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LeadingObject {
    /// In one line.
    pub title: String,
    /// 0 to 1.
    pub confidence: f64,
}

impl IncidentRow {
    /// From the stored row.
    pub fn of(i: &Incident) -> Self {
        let head = &i.investigation;
        Self {
            id: i.id,
            status: i.status,
            severity: i.severity,
            severity_by_hand: i.severity_pinned,
            title: i.title.clone(),
            service: i.service.clone(),
            affected_services: i.affected_services.clone(),
            host: i.host.clone(),
            affected_hosts: i.affected_hosts.clone(),
            environment: i.environment.clone(),
            source: i.source.clone(),
            source_url: i.source_url.clone(),
            owner: i.owner.clone(),
            started_at: i.started_at,
            detected_at: i.detected_at,
            acknowledged_at: i.acknowledged_at,
            analyzed_at: i.analyzed_at,
            resolved_at: i.resolved_at,
            resolution: i.resolution.clone(),
            updated_at: i.updated_at,
            alert_count: i.alert_count,
            firing_count: i.firing_count,
            muted_count: i.muted_count,
            muted: i.muted,
            snoozed: i.snoozed.clone(),
            merged_into: i.merged_into,
            flapping: i.flapping,
            test: i.test,
            manual: i.manual,
            labels: i.labels.clone(),
            investigation: InvestigationObject {
                state: head.state,
                conclusion: head.conclusion,
                summary: head.summary.clone(),
                engine: head.engine.clone(),
                started_at: head.started_at,
                finished_at: head.finished_at,
                steps: head.steps,
                progress: head.progress,
                error: head.error.clone(),
            },
            leading: i.leading.as_ref().map(|l| LeadingObject { title: l.title.clone(), confidence: l.confidence }),
            postmortem: i.postmortem,
            version: i.version,
        }
    }
}

/// An incident with everything in it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct IncidentObject {
    /// Its own fields.
    #[serde(flatten)]
    pub row: IncidentRow,
    /// What mutes open alerts of it now.
    pub muted_by: Vec<MutedBy>,
    /// Ranked.
    pub causes: Vec<Cause>,
    /// What a language model thinks of it, beside that ranking; none where none is asked.
    pub opinion: Option<Opinion>,
    /// What a person found to be the cause.
    pub recorded: Option<RecordedCause>,
    /// The first hundred.
    pub alerts: Vec<MemberObject>,
    /// In order.
    pub thoughts: Vec<Thought>,
    /// In order of discovery.
    pub evidence: Vec<Evidence>,
    /// Diagnostics before fixes.
    pub suggestions: Vec<Suggestion>,
    /// The last hundred, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// Earlier ones like it.
    pub similar: Vec<SimilarObject>,
}

/// What mutes some of an incident's alerts.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MutedBy {
    /// Which.
    pub id: MuteId,
    /// Which kind.
    pub kind: MuteKind,
    /// Who made it.
    pub author: String,
    /// What for.
    pub reason: String,
    /// Until when.
    pub until: Option<Time>,
    /// How many of the incident's open alerts.
    pub alerts: u64,
}

impl MutedBy {
    /// All that mute open alerts of an incident now.
    pub fn all(view: &View, incident: &Incident) -> Result<Vec<Self>, StoreError> {
        let mut found = Vec::new();
        for (id, alerts) in view.muted_in(incident)? {
            let Some(m) = view.mute(id)? else { continue };
            found.push(Self { id, kind: id.kind, author: m.author, reason: m.reason, until: m.on_until, alerts });
        }
        Ok(found)
    }
}

/// An earlier incident.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SimilarObject {
    /// Which.
    pub id: IncidentId,
    /// One line.
    pub title: String,
    /// 0 to 1.
    pub similarity: f64,
    /// How it ended.
    pub resolution: Option<String>,
}

impl SimilarObject {
    /// Earlier incidents shown with one.
    pub const MOST: usize = 5;

    /// An earlier incident and how alike it is.
    pub fn of((other, similarity): (Incident, f64)) -> Self {
        Self { id: other.id, title: other.title, similarity, resolution: other.resolution }
    }
}

/// An alert of an incident, and why it is there.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MemberObject {
    /// Its id.
    pub alert_id: AlertId,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// Who sent it.
    pub platform: String,
    /// One line.
    pub title: String,
    /// The service concerned.
    pub service: Option<String>,
    /// The machine concerned.
    pub host: Option<String>,
    /// How bad.
    pub severity: Severity,
    /// Now.
    pub status: AlertStatus,
    /// As the sender wrote it.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// How often it was received firing.
    pub count: u64,
    /// Deep link.
    pub source_url: Option<String>,
    /// It goes up and down: `status` is what was said last, and an end counts when it has stayed quiet for five minutes.
    pub flapping: bool,
    /// It is not resolved, and a silence or maintenance window mutes it.
    pub muted: bool,
    /// Which do, or did when it resolved.
    pub muted_by: Vec<MuteId>,
    /// The threshold that it waits for; no incident is opened before that is reached.
    pub waiting_for: Option<ThresholdId>,
    /// The strongest reason's kind; none for an alert without incident.
    pub strategy: Option<Strategy>,
    /// The strongest reason's score.
    pub correlation_score: Option<f64>,
    /// All reasons, strongest first.
    pub reasons: Vec<Reason>,
}

impl MemberObject {
    /// From the stored rows.
    pub fn of(alert: &Alert, membership: Option<&Membership>) -> Self {
        Self {
            alert_id: alert.id,
            fingerprint: alert.fingerprint,
            platform: alert.platform.clone(),
            title: alert.title.clone(),
            service: alert.service.clone(),
            host: alert.host.clone(),
            severity: alert.severity,
            status: alert.status,
            started_at: alert.started_at,
            ended_at: alert.ended_at,
            count: alert.count,
            source_url: alert.source_url.clone(),
            flapping: alert.flapping.is_some(),
            muted: alert.is_muted(),
            muted_by: alert.muted_by.clone(),
            waiting_for: alert.threshold.filter(|_| alert.is_waiting()),
            strategy: membership.map(|m| m.strategy),
            correlation_score: membership.map(|m| m.score),
            reasons: membership.map(|m| m.reasons.clone()).unwrap_or_default(),
        }
    }
}

/// An alert by itself.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AlertObject {
    /// As in its incident.
    #[serde(flatten)]
    pub member: MemberObject,
    /// More.
    pub description: Option<String>,
    /// `production`, …
    pub environment: Option<String>,
    /// What identifies.
    pub labels: BTreeMap<String, String>,
    /// The sender's test button.
    pub test: bool,
    /// Its incident.
    pub incident_id: Option<IncidentId>,
    /// The sender's word for the severity.
    pub severity_raw: Option<String>,
    /// First received.
    pub first_seen: Time,
    /// Last received.
    pub last_seen: Time,
}

impl AlertObject {
    /// From the stored rows.
    pub fn of(alert: &Alert, membership: Option<&Membership>) -> Self {
        Self {
            member: MemberObject::of(alert, membership),
            description: alert.description.clone(),
            environment: alert.environment.clone(),
            labels: alert.labels.clone(),
            test: alert.test,
            incident_id: alert.incident,
            severity_raw: alert.severity_raw.clone(),
            first_seen: alert.first_seen,
            last_seen: alert.last_seen,
        }
    }
}

/// An alert with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AlertDetail {
    /// As in lists.
    #[serde(flatten)]
    pub alert: AlertObject,
    /// What explains.
    pub annotations: BTreeMap<String, String>,
    /// The readable key behind the fingerprint.
    pub dedup_key: String,
    /// Which rule made the key, from which fields.
    pub identity: IdentityRule,
    /// Runbook named by the sender.
    pub runbook_url: Option<String>,
    /// Picture named by the sender.
    pub image_url: Option<String>,
    /// The JSON was mended before reading.
    pub repaired: bool,
    /// The sender's own grouping.
    pub group_key: Option<String>,
    /// How far the threshold is that it waits for: `2 of 5`.
    pub waiting: Option<String>,
    /// The threshold that it waited for, whether that was reached or not.
    pub threshold: Option<ThresholdId>,
    /// When it ends if nothing repeats it before: its platform never says that it is over, it is a test, or it flaps and
    /// its end is held down until then.
    pub closes_at: Option<Time>,
    /// While it goes up and down: since when, how often it fired again, and when that is over if nothing changes.
    pub flaps: Option<Flapping>,
    /// What was received, latest last: the first and the latest delivery that are still kept.
    pub history: Vec<HistoryEntry>,
    /// The latest delivery's body as received; none when it is no longer kept.
    pub raw: Option<String>,
    /// Where in that body this alert stands, as a JSON pointer.
    pub raw_path: String,
}

/// A delivery that spoke of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HistoryEntry {
    /// Which.
    pub delivery_id: DeliveryId,
    /// When it was received.
    pub at: Time,
    /// What was said.
    pub status: Option<SignalStatus>,
}
