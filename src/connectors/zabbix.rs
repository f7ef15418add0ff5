//! Zabbix: a media type of the kind Webhook runs a script of the operator's. Ours is on the page; others are read too.

use std::collections::HashMap;

use serde_json::Value;

use super::{Connector, Info, Overload, Request, body, fields::Obj, identity, labels, moment, text};
use crate::model::{Parsed, Problem, Severity, Signal, SignalStatus, Time};

pub(super) struct Zabbix;

static INFO: Info = Info {
    slug: "zabbix",
    name: "Zabbix",
    tile: "Zx",
    way: "Media type, webhook",
    success: 202,
    overload: Overload::Unavailable,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In Zabbix, open Alerts, Media types (Administration before 6.4), Create media type, and choose the Type Webhook.",
        "Under Parameters give: URL `{url}`, key `{key}`, event_id {EVENT.ID}, trigger_id {TRIGGER.ID}, event_value \
         {EVENT.VALUE}, event_update_status {EVENT.UPDATE.STATUS}, event_source {EVENT.SOURCE}, nseverity \
         {EVENT.NSEVERITY}, severity {EVENT.SEVERITY}, name {EVENT.NAME}, opdata {EVENT.OPDATA}, host {HOST.NAME}, \
         host_ip {HOST.IP}, hostgroups {TRIGGER.HOSTGROUP.NAME}, tags {EVENT.TAGSJSON}, event_date {EVENT.DATE}, \
         event_time {EVENT.TIME}, recovery_event_id {EVENT.RECOVERY.ID}, ack_message {EVENT.UPDATE.MESSAGE}, event_update_action {EVENT.UPDATE.ACTION}, url \
         {TRIGGER.URL}, zabbix_url {$ZABBIX.URL}.",
        "Set Script to: `var p = JSON.parse(value), r = new HttpRequest(); r.addHeader('Content-Type: application/json'); \
         r.addHeader('X-Watchfire-Key: ' + p.key); var to = p.URL; delete p.URL; delete p.key; p.sent_at = \
         Math.floor(Date.now() / 1000); var answer = r.post(to, JSON.stringify(p)); if (r.getStatus() < 200 || \
         r.getStatus() > 299) throw r.getStatus() + ' ' + answer; return 'OK';`",
        "Under Message templates add Problem, Problem recovery and Problem update; their text is not used.",
        "Give a user this media, and in Alerts, Actions, Trigger actions send to that user in Operations, Recovery \
         operations and Update operations: without Recovery operations nothing will ever resolve.",
        "Set the global macro {$ZABBIX.URL} to the address of the frontend, so that incidents link back to the event, \
         and press Test beside the media type.",
    ],
    fields: &[
        ("Title", "name, else trigger or subject"),
        ("Severity", "nseverity (0 to 5), else severity: Disaster is critical, High high, Average medium, Warning low"),
        ("Service", "tag service or application"),
        ("Host", "host or hostname"),
        ("Environment", "tag env or environment"),
        ("Identity", "trigger_id and host, else event_id of the problem"),
        (
            "State",
            "event_value: 1 is a problem, 0 is over; else status PROBLEM or OK; event_update_status 1 with ack_message",
        ),
        ("Link", "url, else the event in zabbix_url"),
        ("Time", "sent_at; event_date and event_time are the server's own zone and only kept as text"),
    ],
    sample: include_str!("samples/zabbix.json"),
};

impl Connector for Zabbix {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let root = body.object(INFO.name)?;
        let Some(mut signal) = Message::new(root).signal() else {
            return Err(body::unrecognised(INFO.name, "`event_value` or `status`, with `name` or `trigger_id`", root));
        };
        signal.repaired = body.repaired;
        Ok(Parsed { signals: vec![signal], notes: body.notes, ..Parsed::default() })
    }
}

/// Parameters by what they mean: scripts spell them as they like, mostly after the macro.
struct Message<'a>(HashMap<String, &'a Value>);

/// `EVENT.ID`, `{EVENT.ID}`, `event_id` and `eventId` are one name.
fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

impl<'a> Message<'a> {
    fn new(root: Obj<'a>) -> Self {
        Self(root.iter().map(|(name, value)| (normal(name), value)).collect())
    }

    fn text(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.0.get(*name).and_then(|v| text::scalar(v)).filter(|t| !unresolved(t)))
    }

    fn time(&self, names: &[&str]) -> Option<Time> {
        names.iter().find_map(|name| self.0.get(*name).and_then(|v| moment::time(v)))
    }

    fn signal(&self) -> Option<Signal> {
        let trigger = self.text(&["triggerid"]);
        let event = self.text(&["eventid", "problemid"]);
        let sent = self.text(&["name", "eventname", "triggername", "trigger", "problem", "subject", "alertsubject"]);
        let value = self.text(&["eventvalue", "triggervalue"]);
        let word = self.text(&["status", "eventstatus", "triggerstatus"]).map(|s| s.to_ascii_uppercase());
        if value.is_none() && word.is_none() && (trigger.is_none() || event.is_none()) {
            return None;
        }
        let title = sent.as_deref().and_then(text::title);
        let title = title.or_else(|| Some(format!("Zabbix trigger {}", trigger.as_ref().or(event.as_ref())?)))?;
        let host = self.text(&["host", "hostname", "hosthost", "eventhost"]);
        let mut signal = if trigger.is_some() {
            let parts = [("trigger_id", trigger.as_deref()), ("host", host.as_deref())];
            identity::signal(INFO.slug, "The trigger and its host.", &parts, title)
        } else if event.is_some() {
            let rule = "The id of the problem's event, which its recovery repeats, as no `trigger_id` was sent.";
            identity::signal(INFO.slug, rule, &[("event_id", event.as_deref())], title)
        } else {
            let item = self.text(&["item", "itemname"]);
            let parts = [("host", host.as_deref()), ("name", sent.as_deref()), ("item", item.as_deref())];
            let rule = "Host, name and item, as neither `trigger_id` nor `event_id` was sent.";
            identity::signal(INFO.slug, rule, &parts, title)
        };
        let over = match value.as_deref() {
            Some(value) => value == "0",
            None => matches!(word.as_deref(), Some("OK" | "RESOLVED" | "0" | "NORMAL")),
        };
        let update = self.text(&["eventupdatestatus"]).as_deref() == Some("1");
        let message = self.text(&["ackmessage", "eventupdatemessage", "eventackmessage"]);
        let acknowledged = self.text(&["eventackstatus"]).is_some_and(|s| s.eq_ignore_ascii_case("yes") || s == "1")
            || self
                .text(&["eventupdateaction"])
                .is_some_and(|actions| actions.split(',').any(|a| a.trim().eq_ignore_ascii_case("acknowledged")));
        signal.status = match (over, update) {
            (true, _) => SignalStatus::Resolved,
            (false, true) if acknowledged => SignalStatus::Acknowledged,
            // An update that says nothing of acknowledging is a remark or a new severity.
            (false, true) => SignalStatus::Info,
            (false, false) => SignalStatus::Firing,
        };
        let number = self.text(&["nseverity", "eventnseverity", "triggernseverity"]);
        let level = self.text(&["severity", "eventseverity", "triggerseverity"]);
        let known = number.as_deref().and_then(severity).or_else(|| level.as_deref().and_then(severity));
        signal.severity = known.unwrap_or(Severity::Medium);
        signal.severity_raw = level.or(number).and_then(|l| text::name(&l));
        signal.labels = self.tags();
        signal.host = host.as_deref().and_then(text::host).or_else(|| labels::host(&signal.labels));
        signal.service = labels::service(&signal.labels);
        signal.environment = labels::environment(&signal.labels);
        let data = self.text(&["opdata", "eventopdata"]);
        let said = self.text(&["alertmessage", "message", "description", "triggerdescription", "details"]);
        signal.description = message.clone().filter(|_| update).or(said).or_else(|| data.clone());
        signal.description = signal.description.take().and_then(|d| text::description(&d));
        let at = self.time(&["sentat", "timestamp", "eventtimestamp", "clock"]);
        signal.observed_at = at;
        match signal.status {
            SignalStatus::Firing => signal.started_at = at,
            SignalStatus::Resolved => signal.ended_at = at,
            SignalStatus::Acknowledged | SignalStatus::Info => {}
        }
        signal.url = self.text(&["url", "link", "triggerurl"]).and_then(|u| text::url(&u));
        signal.url = signal.url.take().or_else(|| self.event_link(trigger.as_deref(), event.as_deref()));
        for (name, value) in [
            ("hostgroups", self.text(&["hostgroups", "hostgroup", "triggerhostgroupname"])),
            ("item", self.text(&["item", "itemname"])),
            ("host_ip", self.text(&["hostip"])),
            ("trigger_id", trigger),
        ] {
            labels::add(&mut signal.labels, name, value.as_deref());
        }
        for (name, value) in [
            ("opdata", data),
            ("event_id", event),
            ("recovery_event_id", self.text(&["recoveryeventid", "eventrecoveryid"])),
            ("server_time", self.server_time()),
            ("update", message),
        ] {
            labels::add(&mut signal.annotations, name, value.as_deref());
        }
        // What the media type's Test form shows when nothing was filled in.
        signal.is_test = self.text(&["test"]).is_some_and(|t| t.eq_ignore_ascii_case("true"));
        Some(signal)
    }

    /// `{EVENT.TAGSJSON}`: a list of `{tag, value}`, as a list or as the text of one. `{EVENT.TAGS}`: `a:b, c`.
    fn tags(&self) -> labels::Labels {
        let sent = ["tags", "eventtagsjson", "eventtags"].iter().find_map(|name| self.0.get(*name).copied());
        let inner = sent.and_then(Value::as_str).and_then(|t| serde_json::from_str::<Value>(t).ok());
        let list = inner.as_ref().filter(|v| v.is_array()).or(sent);
        let pairs = list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut found = labels::Labels::new();
        for pair in pairs.iter().map(|p| Obj::of(Some(p))) {
            if let Some(name) = pair.text("tag").and_then(|t| text::name(&t)) {
                labels::add(&mut found, &name, Some(pair.text("value").as_deref().unwrap_or("true")));
            }
        }
        if found.is_empty() { labels::tags(list.filter(|v| v.as_str().is_none_or(|t| !unresolved(t)))) } else { found }
    }

    /// The server's date and clock, without a zone: good to read, not to reckon with.
    fn server_time(&self) -> Option<String> {
        Some(format!("{} {}", self.text(&["eventdate"])?, self.text(&["eventtime"])?))
    }

    fn event_link(&self, trigger: Option<&str>, event: Option<&str>) -> Option<String> {
        let base = self.text(&["zabbixurl"]).and_then(|u| text::url(&u))?;
        let number = |id: &str| id.bytes().all(|b| b.is_ascii_digit()) && !id.is_empty();
        let (trigger, event) = (trigger.filter(|t| number(t))?, event.filter(|e| number(e))?);
        text::url(&format!("{}/tr_events.php?triggerid={trigger}&eventid={event}", base.trim_end_matches('/')))
    }
}

/// Macros without a value stay as they are, or become `*UNKNOWN*`.
fn unresolved(text: &str) -> bool {
    let text = text.trim();
    text == "*UNKNOWN*"
        || text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).is_some_and(|name| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"._$#".contains(&b))
        })
}

fn severity(word: &str) -> Option<Severity> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "0" | "1" | "not classified" | "information" => Severity::Info,
        "2" | "warning" => Severity::Low,
        "3" | "average" => Severity::Medium,
        "4" | "high" => Severity::High,
        "5" | "disaster" => Severity::Critical,
        other => return text::severity(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_those_of_zabbix() {
        for (word, want) in [
            ("0", Some(Severity::Info)),
            ("Not classified", Some(Severity::Info)),
            ("Warning", Some(Severity::Low)),
            ("Average", Some(Severity::Medium)),
            ("5", Some(Severity::Critical)),
            ("6", None),
        ] {
            assert_eq!(severity(word), want, "{word}");
        }
    }

    #[test]
    fn macros_without_a_value() {
        for (word, want) in [
            ("{HOST.NAME}", true),
            ("{HOST.NAME1}", true),
            ("{$ZABBIX.URL}", true),
            ("{#FSNAME}", true),
            ("*UNKNOWN*", true),
            ("{}", false),
            ("{\"a\":1}", false),
            ("web-1", false),
        ] {
            assert_eq!(unresolved(word), want, "{word}");
        }
    }
}
