//! The names by which fields go. They are compared in lower case without anything but letters and digits, so
//! `alertName`, `alert_name` and `Alert Name` are one; the first that is there counts.

pub(super) const TITLE: &[&str] = &[
    "title",
    "alerttitle",
    "summary",
    "subject",
    "headline",
    "alertname",
    "alert",
    "check",
    "checkname",
    "monitor",
    "monitorname",
    "rulename",
    "rule",
    "problem",
    "incident",
    "eventname",
    "event",
    "name",
    "message",
    "msg",
    "text",
    "description",
    "error",
    "reason",
];
/// What names the alert whatever its text says today.
pub(super) const NAME: &[&str] =
    &["alertname", "alert", "check", "checkname", "monitor", "monitorname", "rulename", "rule"];
pub(super) const KEY: &[&str] = &[
    "dedupkey",
    "deduplicationkey",
    "dedup",
    "fingerprint",
    "alertuid",
    "alertkey",
    "incidentkey",
    "correlationid",
    "alias",
    "alertid",
    "incidentid",
    "problemid",
    "sourcealertid",
    "eventid",
    "id",
    "uid",
];
pub(super) const DESCRIPTION: &[&str] =
    &["description", "details", "message", "msg", "text", "body", "info", "output", "reason", "incidentreason"];
pub(super) const SEVERITY: &[&str] =
    &["severity", "alertseverity", "level", "priority", "urgency", "criticality", "impact", "loglevel"];
pub(super) const STATUS: &[&str] = &[
    "status",
    "state",
    "alertstatus",
    "alertstate",
    "currentstate",
    "newstate",
    "action",
    "eventaction",
    "eventtype",
    "transition",
    "alerttransition",
    "phase",
    "condition",
];
pub(super) const SERVICE: &[&str] =
    &["service", "servicename", "app", "application", "appkubernetesioname", "component", "alertservice"];
pub(super) const HOST: &[&str] = &["host", "hostname", "instance", "node", "nodename", "server", "machine", "hosts"];
pub(super) const ENVIRONMENT: &[&str] = &[
    "environment",
    "env",
    "deploymentenvironment",
    "deploymentenvironmentname",
    "stage",
    "tier",
    "alertenvironment",
    "gitlabenvironmentname",
];
pub(super) const LINK: &[&str] = &[
    "url",
    "link",
    "sourceurl",
    "alerturl",
    "eventurl",
    "incidenturl",
    "weburl",
    "htmlurl",
    "sourcelink",
    "linktoupstreamdetails",
    "monitordashboardlink",
    "href",
    "generatorurl",
];
pub(super) const IMAGE: &[&str] = &["imageurl", "image", "snapshot", "screenshot", "graphurl"];
pub(super) const RUNBOOK: &[&str] = &["runbookurl", "runbook"];
pub(super) const STARTED: &[&str] =
    &["startedat", "startsat", "starttime", "start", "triggeredat", "firedat", "since", "createdat"];
pub(super) const ENDED: &[&str] = &["endedat", "endsat", "endtime", "end", "resolvedat", "closedat", "recoveredat"];
pub(super) const OBSERVED: &[&str] =
    &["timestamp", "time", "date", "datetime", "when", "occurredat", "eventtime", "updatedat"];
/// Lists of alerts.
pub(super) const LISTS: &[&str] =
    &["alerts", "events", "incidents", "problems", "items", "records", "entries", "messages", "data"];
/// Objects that hold more fields of the same alert.
pub(super) const NESTED: &[&str] = &[
    "alert",
    "event",
    "incident",
    "problem",
    "data",
    "payload",
    "result",
    "detail",
    "details",
    "attributes",
    "annotations",
    "labels",
    "commonlabels",
    "commonannotations",
];
