//! A connector's health as a mark with words, and as a banner that says how to mend it.

use askama::Template;

use super::{
    text,
    time::{When, clock_short, date, zone_name},
    ui::{self, Markup},
};
use crate::{ingest::Run, model::*, web::health::Health};

/// Class, mark and words.
#[derive(Debug, Template)]
#[template(path = "fragments/connector_state.html")]
struct StateMark {
    class: &'static str,
    mark: Markup,
    words: String,
}

/// As mark and words.
pub fn mark(health: &Health, now: Time) -> Markup {
    let failing = |words: &str| ("failing", ui::icon("warn"), words.to_owned());
    let (class, mark, words) = match health {
        Health::Unproven(_) => failing("Refused: wrong key"),
        Health::Refused(_) => failing("Refused"),
        Health::Broken(_) => failing("Declaration does not work"),
        Health::NotUnderstood(..) => failing("Not understood"),
        Health::Limited(Some(run)) => failing(&format!("Limited, {} dropped", ui::count(run.count))),
        Health::Limited(None) => failing("Limited"),
        Health::Off => ("", ui::icon("pause"), "Switched off".to_owned()),
        Health::Paused(until) => ("", ui::icon("pause"), format!("Paused until {}", moment(*until, now))),
        Health::Quiet(d) => ("", ui::icon("pause"), format!("Quiet for {}", ui::duration(*d))),
        Health::Receiving => ("ok", ui::pulse(), "Receiving".to_owned()),
        Health::Waiting => ("", ui::icon("clock"), "Waiting for the first webhook".to_owned()),
    };
    Markup::of(&StateMark { class, mark, words })
}

/// `02:34 UTC`, with the date when it is not today.
fn moment(at: Time, now: Time) -> String {
    match date(at) == date(now) {
        true => format!("{}\u{a0}{}", clock_short(at), zone_name(at)),
        false => format!("{}, {}\u{a0}{}", date(at), clock_short(at), zone_name(at)),
    }
}

/// Whether somebody has to do something.
pub fn is_failing(health: &Health) -> bool {
    use Health::{Broken, Limited, NotUnderstood, Refused, Unproven};
    matches!(health, Unproven(_) | Refused(_) | Broken(_) | NotUnderstood(..) | Limited(_))
}

/// What stands small below the state: the missing field, or that silence is unusual.
pub fn note(health: &Health) -> Option<String> {
    match health {
        Health::NotUnderstood(why, Some(path)) if why.is_empty() => {
            Some(format!("at {}", text::visible(&text::shorten(path, 40))))
        }
        Health::NotUnderstood(why, Some(path)) => {
            let path = text::shorten(path, 40);
            Some(text::visible(&format!(
                "{}, at {path}",
                text::shorten(why.trim_end_matches('.'), 60).replace('`', "\"")
            )))
        }
        Health::NotUnderstood(why, None) | Health::Refused(why) | Health::Broken(why) if !why.is_empty() => {
            Some(text::visible(&text::shorten(why, 60)))
        }
        Health::Unproven(run) => Some(format!("{} got 401", ui::plural(run.count, "webhook"))),
        Health::Quiet(_) => Some("longer than its usual gap".to_owned()),
        _ => None,
    }
}

/// A connector that needs somebody.
#[derive(Debug)]
pub struct Banner {
    /// That it fails.
    pub what: String,
    /// Why, and since when.
    pub why: String,
    /// What to do.
    pub mend: String,
    /// Which, in URLs.
    pub slug: String,
    /// Which, for people.
    pub name: String,
    /// The delivery that shows it.
    pub delivery: Option<DeliveryId>,
}

/// The banner of a connector that fails; none for the others.
pub fn banner(
    health: &Health,
    name: &str,
    settings: &ConnectorSettings,
    last: Option<DeliveryId>,
    now: Time,
) -> Option<Banner> {
    let since =
        |run: &Run, did: &str| format!("{} {did} since {}", ui::plural(run.count, "webhook"), moment(run.since, now));
    let sentence = |s: &str| {
        let s = text::visible(&text::shorten(s.trim(), 300)).replace('`', "\"");
        let end = if s.ends_with(['.', '!', '?']) || s.is_empty() { "" } else { "." };
        format!("{}{end}", text::capital(&s))
    };
    let refused = || format!("{name} is being refused.");
    let (what, why, mend, delivery) = match health {
        Health::Unproven(run) => {
            let (proof, mend) = match settings.auth {
                AuthMode::Signature => (
                    "Its signature does not fit the signing secret stored here",
                    "Copy the secret from there and store it here again, under How it proves itself.",
                ),
                AuthMode::Mtls => (
                    "It shows no client certificate that is accepted here",
                    "Compare its certificate with what is accepted, under How it proves itself.",
                ),
                _ => (
                    "What it sends as key is not the one stored here",
                    "Show the key here and put it there, or make a new one.",
                ),
            };
            (refused(), format!("{proof}; {}.", since(run, "got 401")), mend, None)
        }
        Health::Refused(why) => {
            (refused(), sentence(why), "It is kept: mend the cause there, or parse it again afterwards.", last)
        }
        Health::Broken(why) => {
            let mend = "What it sends is kept: change how its fields are read, then parse it again; or remove it.";
            (format!("{name} is not understood."), sentence(why), mend, None)
        }
        Health::NotUnderstood(why, path) => {
            let at =
                path.as_ref().map(|p| format!(" At {}.", text::visible(&text::shorten(p, 80)))).unwrap_or_default();
            let mend = match settings.declaration {
                Some(_) => "It is kept: change how its fields are read, then parse it again.",
                None => "It is kept: compare what is sent with the steps on its page, then parse it again.",
            };
            (format!("The last webhook of {name} was not understood."), format!("{}{at}", sentence(why)), mend, last)
        }
        Health::Limited(run) => {
            let dropped = run.as_ref().map_or_else(String::new, |r| format!("; {}", since(r, "dropped")));
            let why = format!("More came than {} a minute{dropped}.", ui::count(settings.rate_per_minute));
            (format!("{name} is limited."), why, "Let it group or send less, or raise the limit here.", None)
        }
        _ => return None,
    };
    Some(Banner { what, why, mend: mend.to_owned(), slug: settings.platform.clone(), name: name.to_owned(), delivery })
}

/// When it was, and `never` otherwise.
pub fn ago(at: Option<Time>, now: Time) -> Markup {
    #[derive(Template)]
    #[template(source = "{% if let Some(t) = at %}{{ t }}{% else %}never{% endif %}", ext = "html")]
    struct At {
        at: Option<When>,
    }
    Markup::of(&At { at: at.map(|t| When::ago(t, now)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::samples;

    #[test]
    fn every_failure_says_how_to_mend_it() {
        let now = samples::now();
        let run = Run { count: 14, since: samples::ago(40), last: samples::ago(1) };
        let check = |health: Health, auth, words: &[&str]| {
            let settings = ConnectorSettings { auth, ..samples::connector("splunk") };
            let b = banner(&health, "Splunk", &settings, None, now).unwrap();
            let all = format!("{} {} {} {}", mark(&health, now), b.what, b.why, b.mend);
            for w in words {
                assert!(all.contains(w), "{w} in {all}");
            }
        };
        check(Health::Unproven(run), AuthMode::AnyOf, &["wrong key", "14\u{a0}webhooks got 401 since", "Show the key"]);
        check(Health::Unproven(run), AuthMode::Signature, &["signing secret"]);
        check(Health::Refused("bad zip".into()), AuthMode::Key, &["Splunk is being refused", "Bad zip."]);
        let missing = Health::NotUnderstood("no title".into(), Some("/alerts/0/title".into()));
        check(missing.clone(), AuthMode::Key, &["Not understood", "No title.", "/alerts/0/title", "parse it again"]);
        assert_eq!(note(&missing).unwrap(), "no title, at /alerts/0/title");
        assert_eq!(note(&Health::Unproven(run)).unwrap(), "14\u{a0}webhooks got 401");
        check(Health::Limited(Some(run)), AuthMode::Key, &["Limited, 14 dropped", "raise the limit"]);
        let quiet = Health::Quiet(std::time::Duration::from_secs(3 * 3600));
        assert!(banner(&quiet, "Splunk", &samples::connector("splunk"), None, now).is_none());
        assert!(note(&quiet).unwrap().contains("usual gap"));
        assert!(mark(&Health::Paused(samples::ago(0)), now).to_string().contains("Paused until"));
    }
}
