//! Every table of both files. Keys are built-in types; what grows begins with time or a growing number, so that new rows
//! land on the pages written last.

use redb::TableDefinition;

/// A table of encoded rows under a number.
pub type Rows = TableDefinition<'static, u64, &'static [u8]>;
/// A table of encoded rows under an incident and a number of its own.
pub type ChildRows = TableDefinition<'static, (u64, u64), &'static [u8]>;
/// A table of encoded rows under a name.
pub type NamedRows = TableDefinition<'static, &'static str, &'static [u8]>;
/// A table of encoded rows under a SHA-256.
pub type HashedRows = TableDefinition<'static, [u8; 32], &'static [u8]>;

/// `STORED` or `FORGOTTEN`, day since the epoch, service.
pub type DayKey = (u8, i64, &'static str);
/// Five counts.
pub type Five = (i64, i64, i64, i64, i64);

/// What this version writes; see `migrate`.
pub const SCHEMA: u32 = 4;

// intake.redb

/// First sequence number in the blob → deliveries packed and compressed: those that are not applied yet, and some that are.
pub const BLOBS: Rows = TableDefinition::new("blobs");
/// 128 bits of the SHA-256 of platform and the sender's retry id → sequence number, and when it was received in ms.
pub const RETRIES: TableDefinition<'static, u128, (u64, i64)> = TableDefinition::new("retry_ids");
/// Sequence number → key of `RETRIES`, in the order in which they are forgotten.
pub const RETRY_ORDER: TableDefinition<'static, u64, u128> = TableDefinition::new("retry_order");

// watchfire.redb

/// Names → numbers: schema, position, counters.
pub const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
/// Incident number → incident.
pub const INCIDENTS: Rows = TableDefinition::new("incidents");
/// Numbers of open incidents.
pub const OPEN: TableDefinition<'static, u64, ()> = TableDefinition::new("open_incidents");
/// When it ended in ms, incident number.
pub const CLOSED: TableDefinition<'static, (i64, u64), ()> = TableDefinition::new("closed_incidents");
/// Service in lower case, incident number.
pub const BY_SERVICE: TableDefinition<'static, (&'static str, u64), ()> = TableDefinition::new("incidents_by_service");
/// When it was acknowledged in ms, incident number → ms from detection.
pub const ACKS: TableDefinition<'static, (i64, u64), u64> = TableDefinition::new("acknowledgements");
/// Alert number → alert.
pub const ALERTS: Rows = TableDefinition::new("alerts");
/// Alert number → fingerprint and when it closed in ms (`i64::MAX` while open): the alerts that a signal can still meet.
pub const LIVE_ALERTS: TableDefinition<'static, u64, (u128, i64)> = TableDefinition::new("live_alerts");
/// When it falls quiet in ms, alert number.
pub const QUIET: TableDefinition<'static, (i64, u64), ()> = TableDefinition::new("quiet_alerts");
/// Incident, alert number → membership.
pub const MEMBERS: ChildRows = TableDefinition::new("members");
/// Incident, change sequence → timeline entry.
pub const TIMELINE: ChildRows = TableDefinition::new("timeline");
/// Incident, thought number → thought.
pub const THOUGHTS: ChildRows = TableDefinition::new("thoughts");
/// Incident → causes, evidence, suggestions.
pub const ANSWERS: Rows = TableDefinition::new("investigations");
/// Incident → job.
pub const JOBS: Rows = TableDefinition::new("jobs");
/// When in ms, growing number → change (deploy, build, …).
pub const CHANGES: TableDefinition<'static, (i64, u64), &'static [u8]> = TableDefinition::new("changes");
/// First sequence number in the blob → applied deliveries as received, packed and compressed.
pub const RAW: Rows = TableDefinition::new("raw_deliveries");
/// Delivery sequence → row for lists.
pub const DELIVERIES: Rows = TableDefinition::new("deliveries");
/// Delivery sequence → what each of its signals did.
pub const RESULTS: Rows = TableDefinition::new("delivery_results");
/// Minute since the epoch → firing signals received.
pub const MINUTES: TableDefinition<'static, i64, u32> = TableDefinition::new("signals_per_minute");
/// Change sequence → what changed.
pub const CHANGE_LOG: Rows = TableDefinition::new("change_log");
/// Platform → settings.
pub const CONNECTORS: NamedRows = TableDefinition::new("connectors");
/// Platform → counters.
pub const COUNTERS: NamedRows = TableDefinition::new("connector_counters");
/// Name → person.
pub const ACCOUNTS: NamedRows = TableDefinition::new("accounts");
/// SHA-256 of the cookie → session.
pub const SESSIONS: HashedRows = TableDefinition::new("sessions");
/// SHA-256 of the token → token.
pub const TOKENS: HashedRows = TableDefinition::new("tokens");
/// Growing number → audit entry.
pub const AUDIT: Rows = TableDefinition::new("audit");
/// Service → what is declared of it.
pub const SERVICES: NamedRows = TableDefinition::new("services");
/// Caller, callee → an edge that alerts told of.
pub const EDGES: TableDefinition<'static, (&'static str, &'static str), &'static [u8]> =
    TableDefinition::new("learned_edges");
/// Open incident of several alerts → what the correlator knows of it.
pub const PROFILES: Rows = TableDefinition::new("profiles");
/// When in ms, alert number: alerts whose incident is looked at once more.
pub const LOOKS: TableDefinition<'static, (i64, u64), ()> = TableDefinition::new("second_looks");
/// When in ms, incident: incidents that are snoozed until then.
pub const SNOOZES: TableDefinition<'static, (i64, u64), ()> = TableDefinition::new("snoozes");
/// Two fingerprints, the lower first → who took them apart, and when.
pub const APART: TableDefinition<'static, (u128, u128), &'static [u8]> = TableDefinition::new("kept_apart");
/// What kind of alert and what kind of incident → how often people put them together or took them apart.
pub const LESSONS: NamedRows = TableDefinition::new("lessons");
/// Growing number → silence or maintenance window.
pub const MUTES: Rows = TableDefinition::new("mutes");
/// Open alert, mute → the alert's incident, 0 for none: what is muted now.
pub const MUTED: TableDefinition<'static, (u64, u64), u64> = TableDefinition::new("muted_alerts");
/// Growing number → grouping threshold.
pub const THRESHOLDS: Rows = TableDefinition::new("thresholds");
/// Threshold, alert number: alerts that wait for it to be reached.
pub const WAITING: TableDefinition<'static, (u64, u64), ()> = TableDefinition::new("waiting_alerts");
/// Name → settings that pages change.
pub const SETTINGS: NamedRows = TableDefinition::new("settings");
/// Key of `SETTINGS`: what people set about correlation.
pub const CORRELATION: &str = "correlation";
/// Key of `SETTINGS`: what people set about investigations.
pub const INVESTIGATION: &str = "investigation";
/// Growing number → backtest with its outcome.
pub const BACKTESTS: Rows = TableDefinition::new("backtests");
/// Closed incident → what alerted in it, what it came from, and how sure its investigation was of what.
pub const OUTCOMES: Rows = TableDefinition::new("outcomes");
/// Incident → its postmortem as it stands.
pub const POSTMORTEMS: Rows = TableDefinition::new("postmortems");
/// Incident, version → its postmortem as somebody saved it.
pub const POSTMORTEM_VERSIONS: ChildRows = TableDefinition::new("postmortem_versions");
/// Incident, growing number → what was said between an investigation and a language model.
pub const TRANSCRIPTS: ChildRows = TableDefinition::new("transcripts");
/// Day since the epoch → what language models were asked and what it cost.
pub const SPENDING: TableDefinition<'static, i64, &'static [u8]> = TableDefinition::new("spending");
/// Growing number → runbook that people wrote or linked here.
pub const RUNBOOKS: Rows = TableDefinition::new("runbooks");
/// Growing number → view of the incident list that somebody keeps.
pub const SAVED_VIEWS: Rows = TableDefinition::new("saved_views");

/// Growing number → a channel that messages go to.
pub const CHANNELS: Rows = TableDefinition::new("channels");
/// Growing number → a rule of who is told what.
pub const NOTICE_RULES: Rows = TableDefinition::new("notice_rules");
/// Person → how that person is reached.
pub const CONTACTS: NamedRows = TableDefinition::new("contacts");
/// Growing number → who is on call when.
pub const SCHEDULES: Rows = TableDefinition::new("on_call_schedules");
/// Growing number → who is told one after the other.
pub const POLICIES: Rows = TableDefinition::new("escalation_policies");
/// Growing number → what must be heard from time to time.
pub const HEARTBEATS: Rows = TableDefinition::new("heartbeats");
/// Growing number → one message to one target.
pub const NOTICES: Rows = TableDefinition::new("notices");
/// When it is tried next in ms, notice: those that wait.
pub const NOTICES_DUE: TableDefinition<'static, (i64, u64), ()> = TableDefinition::new("notices_due");
/// Channel, notice: those that wait or are on their way.
pub const NOTICES_PENDING: TableDefinition<'static, (u64, u64), ()> = TableDefinition::new("notices_pending");
/// Incident (0 for tests of channels), notice.
pub const NOTICES_OF: TableDefinition<'static, (u64, u64), ()> = TableDefinition::new("incident_notices");
/// Incident, growing number → what every rule did when something happened to it.
pub const CONSIDERED: ChildRows = TableDefinition::new("considered");
/// Incident, channel → by address: what later messages need to know of earlier ones.
pub const RECEIPTS: ChildRows = TableDefinition::new("receipts");
/// Incident → where its escalation stands.
pub const ESCALATIONS: Rows = TableDefinition::new("escalations");
/// When its next step is in ms, incident.
pub const ESCALATIONS_DUE: TableDefinition<'static, (i64, u64), ()> = TableDefinition::new("escalations_due");

/// What is counted for insights stands under this: the rows that are stored.
pub const STORED: u8 = 0;
/// The same of rows that were forgotten since.
pub const FORGOTTEN: u8 = 1;
/// `STORED` or `FORGOTTEN`, day since the epoch, service (empty: all) → incidents opened that day.
pub const INSIGHT_DAYS: TableDefinition<'static, DayKey, &'static [u8]> = TableDefinition::new("insight_days");
/// The same key → those of them that are critical, high, medium, low, information.
pub const INSIGHT_SEVERITIES: TableDefinition<'static, DayKey, Five> = TableDefinition::new("insight_severities");
/// The same key → webhooks with alerts, alerts last heard of that day, times these were received firing.
pub const INSIGHT_RECEIVED: TableDefinition<'static, DayKey, (i64, i64, i64)> =
    TableDefinition::new("insight_received");
/// Day of a Monday, kind of alert → alerts, times received, flapped, incidents opened, acted on: of stored rows only.
pub const INSIGHT_KINDS: TableDefinition<'static, (i64, u64), Five> = TableDefinition::new("insight_kinds");
/// Kind of alert → what it is called.
pub const INSIGHT_NAMES: Rows = TableDefinition::new("insight_names");

/// Keys of `META`.
pub mod meta {
    /// Schema number.
    pub const SCHEMA: &str = "schema";
    /// Sequence number of the last delivery applied.
    pub const POSITION: &str = "position";
    /// Last alert number given.
    pub const ALERT: &str = "alert";
    /// Last incident number given.
    pub const INCIDENT: &str = "incident";
    /// Last change sequence given.
    pub const CHANGE: &str = "change";
    /// Last number of `CHANGES` given.
    pub const EVENT: &str = "event";
    /// Last audit number given.
    pub const AUDIT: &str = "audit";
    /// Last number of `MUTES` and `THRESHOLDS` given.
    pub const MUTE: &str = "mute";
    /// Last number of `BACKTESTS` given.
    pub const BACKTEST: &str = "backtest";
    /// Last number of `RUNBOOKS` given.
    pub const RUNBOOK: &str = "runbook";
    /// Last number of `SAVED_VIEWS` given.
    pub const VIEW: &str = "view";
    /// Last number of `NOTICES` and `CONSIDERED` given.
    pub const NOTICE: &str = "notice";
    /// Last number of `CHANNELS`, `NOTICE_RULES`, `SCHEDULES`, `POLICIES` and `HEARTBEATS` given.
    pub const BOOK: &str = "book";
    /// By which rules insights were counted: others than this version's are counted anew at the start.
    pub const INSIGHTS: &str = "insights";
    /// Random number of this store, so that a stream's position is never taken for another store's.
    pub const NONCE: &str = "nonce";
    /// Alerts up to this number were looked at by the retention's present walk.
    pub const SWEPT: &str = "swept";
    /// Bytes of rows: deliveries as received and what became of them.
    pub const DELIVERY_BYTES: &str = "bytes_deliveries";
    /// Bytes of rows: alerts and their memberships.
    pub const ALERT_BYTES: &str = "bytes_alerts";
    /// Bytes of rows: incidents with timelines and investigations.
    pub const INCIDENT_BYTES: &str = "bytes_incidents";
    /// Bytes of rows: all others.
    pub const OTHER_BYTES: &str = "bytes_other";
    /// The four above.
    pub const BYTES: [&str; 4] = [DELIVERY_BYTES, ALERT_BYTES, INCIDENT_BYTES, OTHER_BYTES];
}

/// The bytes of all counted tables of a read or write transaction by `meta::BYTES`, measured by reading them; in the same
/// groups as the writer counts them.
macro_rules! measure {
    ($txn:expr) => {{
        use crate::store::{counted::measure, tables::*};
        let txn = $txn;
        [
            measure(&txn.open_table(RAW)?)?
                + measure(&txn.open_table(DELIVERIES)?)?
                + measure(&txn.open_table(RESULTS)?)?,
            measure(&txn.open_table(ALERTS)?)? + measure(&txn.open_table(MEMBERS)?)?,
            measure(&txn.open_table(INCIDENTS)?)?
                + measure(&txn.open_table(TIMELINE)?)?
                + measure(&txn.open_table(THOUGHTS)?)?
                + measure(&txn.open_table(ANSWERS)?)?
                + measure(&txn.open_table(JOBS)?)?
                + measure(&txn.open_table(OUTCOMES)?)?
                + measure(&txn.open_table(POSTMORTEMS)?)?
                + measure(&txn.open_table(POSTMORTEM_VERSIONS)?)?
                + measure(&txn.open_table(TRANSCRIPTS)?)?
                + measure(&txn.open_table(NOTICES)?)?
                + measure(&txn.open_table(CONSIDERED)?)?
                + measure(&txn.open_table(RECEIPTS)?)?
                + measure(&txn.open_table(ESCALATIONS)?)?,
            measure(&txn.open_table(CHANGES)?)?
                + measure(&txn.open_table(CHANGE_LOG)?)?
                + measure(&txn.open_table(CONNECTORS)?)?
                + measure(&txn.open_table(COUNTERS)?)?
                + measure(&txn.open_table(ACCOUNTS)?)?
                + measure(&txn.open_table(SESSIONS)?)?
                + measure(&txn.open_table(TOKENS)?)?
                + measure(&txn.open_table(AUDIT)?)?
                + measure(&txn.open_table(SERVICES)?)?
                + measure(&txn.open_table(EDGES)?)?
                + measure(&txn.open_table(PROFILES)?)?
                + measure(&txn.open_table(APART)?)?
                + measure(&txn.open_table(LESSONS)?)?
                + measure(&txn.open_table(MUTES)?)?
                + measure(&txn.open_table(THRESHOLDS)?)?
                + measure(&txn.open_table(SETTINGS)?)?
                + measure(&txn.open_table(BACKTESTS)?)?
                + measure(&txn.open_table(SPENDING)?)?
                + measure(&txn.open_table(RUNBOOKS)?)?
                + measure(&txn.open_table(SAVED_VIEWS)?)?
                + measure(&txn.open_table(CHANNELS)?)?
                + measure(&txn.open_table(NOTICE_RULES)?)?
                + measure(&txn.open_table(CONTACTS)?)?
                + measure(&txn.open_table(SCHEDULES)?)?
                + measure(&txn.open_table(POLICIES)?)?
                + measure(&txn.open_table(HEARTBEATS)?)?
                + measure(&txn.open_table(INSIGHT_DAYS)?)?
                + measure(&txn.open_table(INSIGHT_NAMES)?)?,
        ]
    }};
}
pub(super) use measure;
