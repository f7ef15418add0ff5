//! How a connector does, as names and values.

use super::{
    condition,
    platforms::Platform,
    text,
    ui::{self, Markup, When},
};
use crate::{ingest::Memory, model::*, web::health::Health};

/// The facts beside the set-up.
pub fn facts(
    s: &ConnectorSettings,
    c: &ConnectorCounters,
    health: &Health,
    door: &Memory,
    info: &Platform,
    now: Time,
) -> Vec<(&'static str, Markup)> {
    let mut out = vec![
        ("Webhooks", condition::mark(health, now)),
        ("Last accepted", condition::ago(c.last_accepted, now)),
        ("Received", ui::foreign(&ui::plural(c.received, "webhook"))),
    ];
    let dropped = door.dropped(&s.platform).map_or_else(
        || "none dropped".to_owned(),
        |run| format!("{} dropped, the last {} ago", ui::count(run.count), ui::duration(now.since(run.last))),
    );
    let limit = match s.rate_per_minute {
        0 => "none".to_owned(),
        n => format!("{} per min, {dropped}", ui::count(n)),
    };
    out.push(("Limit", ui::foreign(&limit)));
    if let Some(run) = door.turned_away(&s.platform) {
        let words =
            format!("{} without proof, the last {} ago", ui::count(run.count), ui::duration(now.since(run.last)));
        out.push(("Refused", ui::foreign(&words)));
    }
    if info.slug == "netdata" {
        let account = match &s.cloud {
            None => "not connected; webhooks work without".to_owned(),
            Some(a) if a.checked_at.is_none() => "kept, not checked yet".to_owned(),
            Some(a) => format!("valid, {}", ui::plural(a.spaces.len() as u64, "space")),
        };
        out.push(("API token", ui::foreign(&account)));
        let challenge = if s.challenge_secret.is_some() { "answered with the secret" } else { "no secret of its own" };
        out.push(("Challenge", ui::foreign(challenge)));
    }
    if c.last_heartbeat.is_some() {
        out.push(("Heartbeat", condition::ago(c.last_heartbeat, now)));
    }
    if let Some((p, at)) = &c.last_problem {
        out.push((
            "Last problem",
            ui::foreign(&format!("{} ({} ago)", text::shorten(&p.detail, 200), ui::duration(now.since(*at)))),
        ));
    }
    out.push(("Set up", since(s.created_at)));
    out
}

fn since(at: Time) -> Markup {
    use askama::Template;
    #[derive(Template)]
    #[template(source = "{{ at }}", ext = "html")]
    struct At {
        at: When,
    }
    Markup::of(&At { at: When::full(at) })
}
