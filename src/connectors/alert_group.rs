//! The group of alerts that Alertmanager invented and Grafana took over: `alerts[]` with labels, annotations and times.

use serde_json::Value;

use super::{
    body::{self, kind, limited, problem},
    fields::Obj,
    labels::{self, Labels},
    text,
};
use crate::model::{Note, Parsed, Problem, Signal, SignalStatus, Time};

/// How long an alert of a group that was cut burns without a repeat: both senders repeat after four hours by default, and
/// one repeat may be lost.
const CUT_QUIET_SECS: u32 = 9 * 3600;

/// One alert of a group, read.
pub(super) struct GroupAlert<'a> {
    pub item: Obj<'a>,
    pub labels: Labels,
    pub annotations: Labels,
    /// As sent, else computed from the labels; none when there is neither.
    pub fingerprint: Option<String>,
    fingerprint_sent: bool,
}

impl GroupAlert<'_> {
    /// How the identity came about, in words.
    pub fn rule(&self, sender: &str) -> String {
        match (self.fingerprint_sent, &self.fingerprint) {
            (true, _) => format!("The fingerprint that {sender} computes from the alert's labels."),
            (false, Some(_)) => {
                "The fingerprint of the alert's labels, computed as Prometheus does, as none was sent.".to_owned()
            }
            (false, None) => "The alert's title, as neither a fingerprint nor labels were sent.".to_owned(),
        }
    }

    /// What is identified: the fingerprint, else the title.
    pub fn identity<'b>(&'b self, title: &'b str) -> (&'static str, Option<&'b str>) {
        self.fingerprint.as_deref().map_or(("title", Some(title)), |f| ("fingerprint", Some(f)))
    }
}

/// Reads every alert of the group; `make` turns one into a signal of its platform, given the words of its status.
pub(super) fn read<'a>(
    sender: &str,
    group: Obj<'a>,
    repaired: bool,
    make: impl Fn(&GroupAlert<'a>) -> Option<Signal>,
) -> Result<Parsed, Problem> {
    let items = group.get("alerts").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut parsed = Parsed::default();
    let mut first_bad = None;
    for (index, item) in limited(items, "/alerts")?.iter().enumerate() {
        let path = format!("/alerts/{index}");
        match one(item, group, &make) {
            Ok(mut signal) => {
                signal.path = path;
                signal.repaired = repaired;
                parsed.signals.push(signal);
            }
            Err(why) => {
                parsed.notes.push(Note::Warning(format!("Left out {path}: {why}.")));
                first_bad.get_or_insert((path, why));
            }
        }
    }
    if let (true, Some((path, why))) = (parsed.signals.is_empty(), first_bad) {
        return Err(problem(
            "unrecognised",
            format!("No alert of this group can be read; the first: {why}."),
            Some(path),
        ));
    }
    if items.is_empty() {
        parsed.notes.push(Note::Ignored("A group without alerts.".to_owned()));
    }
    if let Some(cut) = group.int("truncatedAlerts").filter(|n| *n > 0) {
        parsed.notes.push(Note::Warning(format!(
            "{sender} left {cut} alerts of this group out (its limit of alerts per message). Raise the limit, or alerts \
             that resolve may be missed; those that fire here end after nine hours without a repeat."
        )));
        // Any alert of such a group may be left out of the message that would end it.
        for signal in parsed.signals.iter_mut().filter(|s| s.status == SignalStatus::Firing) {
            signal.quiet_after_secs.get_or_insert(CUT_QUIET_SECS);
        }
    }
    Ok(parsed)
}

fn one<'a>(
    item: &'a Value,
    group: Obj<'a>,
    make: &impl Fn(&GroupAlert<'a>) -> Option<Signal>,
) -> Result<Signal, String> {
    let alert = Obj::of(Some(item));
    if !alert.exists() {
        return Err(format!("it is {} where an object with `labels` is needed", kind(item)));
    }
    let sent_labels = alert.object("labels");
    let sent = alert.text("fingerprint");
    let read = GroupAlert {
        item: alert,
        labels: labels::read(alert.get("labels")),
        annotations: labels::read(alert.get("annotations")),
        fingerprint_sent: sent.is_some(),
        fingerprint: sent.or_else(|| (sent_labels.len() > 0).then(|| labels::fingerprint(sent_labels))),
    };
    let mut signal = make(&read).ok_or("it has no fingerprint, no labels and no title")?;
    signal.status = match alert.text("status").or_else(|| group.text("status")).as_deref() {
        Some(s) if s.eq_ignore_ascii_case("resolved") || s.eq_ignore_ascii_case("ok") => SignalStatus::Resolved,
        _ => SignalStatus::Firing,
    };
    signal.started_at = alert.time("startsAt");
    signal.ended_at = ended_at(alert, signal.status);
    signal.group_key = group.text("groupKey").map(|k| text::label(&k));
    signal.runbook_url = labels::first(&read.annotations, &["runbook_url", "runbook"]).and_then(|u| text::url(&u));
    signal.labels = read.labels;
    signal.annotations.extend(read.annotations);
    Ok(signal)
}

/// While an alert fires, `endsAt` is year 1 or the sender's own time-out in the near future: it says nothing.
fn ended_at(alert: Obj<'_>, status: SignalStatus) -> Option<Time> {
    alert.time("endsAt").filter(|_| status == SignalStatus::Resolved)
}

/// Whether this is a group at all.
pub(super) fn recognise<'a>(sender: &str, body: &'a body::Body) -> Result<Obj<'a>, Problem> {
    let group = body.object(sender)?;
    match group.get("alerts") {
        Some(Value::Array(_)) => Ok(group),
        Some(other) => Err(problem(
            "unrecognised",
            format!("`alerts` is {} where a list of alerts is needed.", kind(other)),
            Some("/alerts".to_owned()),
        )),
        None => Err(body::unrecognised(sender, "a list `alerts`", group)),
    }
}
