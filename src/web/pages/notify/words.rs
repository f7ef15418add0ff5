//! Rules, targets and channels in words.

use std::time::Duration;

use super::field::span;
use crate::{
    model::*,
    notifications::channels,
    store::Telling,
    web::pages::{text, ui},
};

/// `a, b and c`.
pub fn and(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [many @ .., last] => format!("{} and {last}", many.join(", ")),
    }
}

/// A target by its name.
pub fn target(telling: &Telling, target: &Target) -> String {
    match target {
        Target::Channel(id) => telling.channels.get(&id.0).map_or_else(|| id.to_string(), |c| c.name.clone()),
        Target::Person(name) => name.clone(),
        Target::OnCall(id) => {
            telling.schedules.get(&id.0).map_or_else(|| id.to_string(), |s| format!("whoever is on call in {}", s.name))
        }
    }
}

/// Targets by their names.
pub fn targets(telling: &Telling, all: &[Target]) -> String {
    and(&all.iter().map(|t| target(telling, t)).collect::<Vec<_>>())
}

/// `mon–fri 08:00–18:00`, with the zone where it is not UTC.
pub fn hours(t: &WeekTimes) -> String {
    let places: Vec<usize> = t.days.iter().filter_map(|d| Weekday::ALL.iter().position(|a| a == d)).collect();
    let in_a_row = places.windows(2).all(|w| matches!(w, [a, b] if a + 1 == *b));
    let days = match (t.days.first(), t.days.last()) {
        (Some(first), Some(last)) if in_a_row && t.days.len() > 2 => format!("{first}–{last} "),
        (Some(_), _) => format!("{} ", t.days.iter().map(|d| d.as_str()).collect::<Vec<_>>().join(", ")),
        _ => String::new(),
    };
    let zone = if t.time_zone == "UTC" { String::new() } else { format!(" {}", t.time_zone) };
    let clock = if t.from == t.until { "all day".to_owned() } else { format!("{}–{}", t.from, t.until) };
    format!("{days}{clock}{zone}")
}

/// What is told, as a rule says it.
pub fn event(e: NoticeEvent) -> &'static str {
    match e {
        NoticeEvent::Opened => "opened",
        NoticeEvent::Reopened => "opened again",
        NoticeEvent::SeverityUp => "worse",
        NoticeEvent::Analyzed => "analysed",
        NoticeEvent::Acknowledged => "acknowledged",
        NoticeEvent::Escalated => "nobody acknowledged",
        NoticeEvent::Reminder => "reminder",
        NoticeEvent::Merged => "merged",
        NoticeEvent::Resolved => "resolved",
        NoticeEvent::Test => "test",
    }
}

/// `Critical and high of payments`.
pub fn which(r: &NoticeRule) -> String {
    let from = |from: Severity| {
        let names: Vec<String> =
            Severity::ALL.iter().filter(|s| **s <= from).map(|s| s.title().to_lowercase()).collect();
        text::capital(&and(&names))
    };
    let mut out = r.from.map_or_else(|| "Everything".to_owned(), from);
    for m in &r.matchers {
        match (m.field.as_str(), m.op) {
            ("service", MatchOp::Equal) => out.push_str(&format!(" of {}", m.value)),
            ("platform", MatchOp::Equal) => out.push_str(&format!(" from {}", m.value)),
            ("host", MatchOp::Equal) => out.push_str(&format!(" on {}", m.value)),
            _ => out.push_str(&format!(" with {m}")),
        }
    }
    if let Some(condition) = &r.condition {
        out.push_str(&format!(" where {condition}"));
    }
    if let Some(times) = &r.times {
        out.push_str(&format!(", {}", hours(times)));
    }
    out
}

/// When it tells: `when opened, resolved; after 5 min; quiet 22:00–07:00 but critical`.
pub fn when(r: &NoticeRule) -> String {
    let events: Vec<&str> = r.events.iter().map(|e| event(*e)).collect();
    let mut parts = vec![format!("when {}", events.join(", "))];
    if r.wait_secs > 0 {
        parts.push(format!("after {}", span(Some(r.wait_secs))));
    }
    if r.gather_secs > 0 {
        parts.push(format!("gathered for {}", span(Some(r.gather_secs))));
    }
    if let Some(q) = &r.quiet {
        let but = match q.but_from {
            None => String::new(),
            Some(Severity::Critical) => " but critical".to_owned(),
            Some(s) => format!(" but {s} and worse"),
        };
        parts.push(format!("quiet {}{but}", hours(&q.times)));
    }
    if let Some(secs) = r.remind_secs {
        parts.push(format!("again every {}", span(Some(secs))));
    }
    parts.join("; ")
}

/// A rule as one line.
pub fn rule(telling: &Telling, r: &NoticeRule) -> String {
    let mut whom = if r.targets.is_empty() { "nobody at once".to_owned() } else { targets(telling, &r.targets) };
    if let Some(p) = r.policy.and_then(|id| telling.policies.get(&id.0)) {
        whom.push_str(&format!("; if nobody acknowledges, {}", p.name));
    }
    let last = if r.last { "; no rule after it" } else { "" };
    format!("{} → {whom}; {}{last}", which(r), when(r))
}

/// A policy as one line: `at once #ops; after 10 min kim; 2 times more; held for 1 h`.
pub fn policy(telling: &Telling, p: &EscalationPolicy) -> String {
    let step = |s: &EscalationStep| {
        let after =
            if s.after_secs == 0 { "at once".to_owned() } else { format!("after {}", span(Some(s.after_secs))) };
        format!("{after} {}", targets(telling, &s.targets))
    };
    let mut parts: Vec<String> = p.steps.iter().map(step).collect();
    if p.repeat > 0 {
        parts.push(format!("{} more", ui::plural(u64::from(p.repeat), "time")));
    }
    if let Some(secs) = p.unacknowledge_secs {
        parts.push(format!("again nobody's {} after it was acknowledged", span(Some(secs))));
    }
    text::capital(&parts.join("; "))
}

/// Where a channel leads, as far as that is shown.
pub fn leads_to(c: &ChannelRow) -> String {
    let Some(channel) = channels::find(&c.kind) else { return "a kind that this version does not know".to_owned() };
    let info = channel.info();
    let own = info.address.and_then(|key| c.settings.get(key)).cloned();
    let secret = info.fields.iter().find_map(|f| c.shown.get(f.key));
    own.or_else(|| secret.cloned()).or_else(|| c.settings.values().next().cloned()).unwrap_or_default()
}

/// Class, icon and words of how a channel does.
pub fn health(c: &ChannelRow, waiting: u64, now: Time) -> (&'static str, &'static str, String) {
    let h = &c.health;
    let ago = |at: Time| format!("{} ago", ui::duration(now.since(at)));
    let why = h.last_error.as_deref().unwrap_or("it did not say why").trim_end_matches('.').to_owned();
    let wait = if waiting > 0 { format!("; {} waiting", ui::plural(waiting, "message")) } else { String::new() };
    if !c.enabled {
        return ("", "pause", format!("off{wait}"));
    }
    if let Some(since) = h.broken_since {
        let since = ago(since);
        return ("failing", "warn", format!("given up {since}: {why}; change it or send a test{wait}"));
    }
    if h.failures > 0 {
        let last = h.last_failed_at.map(ago).unwrap_or_default();
        return ("failing", "warn", format!("failed {}, last {last}: {why}{wait}", ui::plural(h.failures, "time")));
    }
    match h.last_sent_at {
        Some(at) => ("ok", "check", format!("delivered {}{wait}", ago(at))),
        None => ("", "clock", format!("nothing sent yet{wait}")),
    }
}

/// Class, icon and words of where a message stands.
pub fn state(n: &Notice) -> (&'static str, &'static str, &'static str) {
    match n.state {
        NoticeState::Waiting if n.tries > 0 => ("failing", "refresh", "tried again"),
        NoticeState::Waiting => ("", "clock", "waits"),
        NoticeState::Sending => ("investigating", "play", "on its way"),
        NoticeState::Sent => ("ok", "check", "told"),
        NoticeState::Included => ("ok", "check", "told with others"),
        NoticeState::Dropped => ("", "minus", "not needed any more"),
        NoticeState::Failed => ("failing", "warn", "not told"),
    }
}

/// What came of a test message: taken or not, and in which words.
pub fn tested(n: &Notice) -> (bool, String) {
    match n.attempts.last() {
        Some(a) => (a.ok, format!("{}, in {} ms.", text::capital(a.said.trim_end_matches('.')), ui::count(a.took_ms))),
        None => (false, n.why.clone().unwrap_or_else(|| "It waits for its turn; look again in a moment.".to_owned())),
    }
}

/// How long until something, for a sentence.
pub fn until(at: Time, now: Time) -> String {
    if at <= now { "now".to_owned() } else { format!("in {}", ui::duration(at.since(now).max(Duration::from_secs(1)))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_said_short() {
        let week = |days: &[Weekday], from: &str, until: &str, zone: &str| WeekTimes {
            time_zone: zone.to_owned(),
            days: days.to_vec(),
            from: from.to_owned(),
            until: until.to_owned(),
        };
        use Weekday as W;
        let work = [W::Monday, W::Tuesday, W::Wednesday, W::Thursday, W::Friday];
        for (times, want) in [
            (week(&work, "08:00", "18:00", "Europe/Berlin"), "mon–fri 08:00–18:00 Europe/Berlin"),
            (week(&[W::Monday, W::Friday], "08:00", "18:00", "UTC"), "mon, fri 08:00–18:00"),
            (week(&[], "22:00", "07:00", "UTC"), "22:00–07:00"),
            (week(&[W::Sunday], "00:00", "00:00", "UTC"), "sun all day"),
        ] {
            assert_eq!(hours(&times), want);
        }
        assert_eq!(and(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
