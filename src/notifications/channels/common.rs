//! What channels that are not chats share: plain text of a message, addresses with regions, and answers with advice.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Call, HttpCall, Judged, Settings, text};
use crate::{
    model::{Mistake, NoticeEvent},
    notifications::message::{About, Digest, Message, Subject},
};

/// What stands in one segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Text as one segment of an address, or one value of its query.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Foreign text of several lines that calls nobody.
pub(super) fn foreign(value: &str) -> String {
    text::unmentioned(&text::plain(value))
}

/// Foreign text of one line that calls nobody, at most so many characters.
pub(super) fn foreign_line(value: &str, most: usize) -> String {
    text::cut(&text::unmentioned(&text::line(value)), most)
}

/// The message's first line, at most so many characters, without its sign.
pub(super) fn headline(message: &Message, most: usize) -> String {
    foreign_line(&text::headline(message), most)
}

/// What happened and how much it is about: `Opened · INC-42, 3 alerts`.
pub(super) fn lead(message: &Message, subject: &Subject) -> String {
    format!("{} · {}", foreign_line(&text::happened(message), 120), text::count(subject))
}

/// Facts as lines `Name: value`, each value at most so many characters.
pub(super) fn fact_lines(message: &Message, subject: &Subject, most: usize) -> Vec<String> {
    let facts = text::facts(message, subject).into_iter();
    facts.map(|(name, value)| format!("{name}: {}", foreign_line(&value, most))).collect()
}

/// A digest as lines, the first of which says how many.
pub(super) fn digest_lines(digest: &Digest) -> Vec<String> {
    let mut lines = vec![text::digest_headline(digest)];
    if !digest.services.is_empty() {
        let most: Vec<String> =
            digest.services.iter().map(|(name, n)| format!("{} ({n})", foreign_line(name, 80))).collect();
        lines.push(format!("Most of them: {}", most.join(", ")));
    }
    lines.extend(digest.first.iter().map(|l| {
        let look = text::severity(l.severity);
        format!("{} {} {}: {}", look.sign, l.id, look.word.to_lowercase(), foreign_line(&l.title, 120))
    }));
    lines
}

/// The body of a message for targets of plain text, without its headline: what is cut off first stands last.
pub(super) fn plain_body(message: &Message) -> String {
    let mut out = String::new();
    match &message.about {
        About::Incident(subject) => {
            out.push_str(&lead(message, subject));
            if let Some(description) = subject.description.as_deref().filter(|d| !d.trim().is_empty()) {
                let _ = write!(out, "\n{}", text::cut(&foreign(description), 500));
            }
            if let Some(answer) = &subject.answer {
                let _ = write!(out, "\n\n{}", text::cut(&foreign(&text::answer(answer)), 600));
            }
            let _ = write!(out, "\n\n{}", fact_lines(message, subject, 80).join("\n"));
        }
        // The headline stands above.
        About::Digest(digest) => out.push_str(&digest_lines(digest).get(1..).unwrap_or_default().join("\n")),
        About::Test { .. } => out.push_str("If you can read this, messages arrive here."),
    }
    if let Some(remarks) = text::remarks(message) {
        let _ = write!(out, "\n\n{remarks}");
    }
    let _ = write!(out, "\n\n{}", foreign_line(&message.reason, 200));
    out
}

/// What the events of a message come to where the target keeps a state of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is open, or told of again.
    Tell,
    /// Somebody has it.
    Take,
    /// It is over.
    End,
}

/// The turns of a message, in order, equal neighbours once. When nothing was told before (`known`) and all of it is over
/// by now, there is nothing to tell; after a crash it may have been told, and the end is told to be safe.
pub(super) fn turns(message: &Message, known: bool) -> Vec<Turn> {
    let mut turns: Vec<Turn> = message
        .events
        .iter()
        .map(|event| match event {
            NoticeEvent::Acknowledged => Turn::Take,
            NoticeEvent::Resolved | NoticeEvent::Merged => Turn::End,
            _ => Turn::Tell,
        })
        .collect();
    turns.dedup();
    if turns.last() == Some(&Turn::End) && turns.len() > 1 {
        return if known || message.repeated { vec![Turn::End] } else { Vec::new() };
    }
    // What was told again after being taken is told first, so that it stays taken, and each step is there once.
    let took = turns.contains(&Turn::Take).then_some(Turn::Take);
    match turns.last() {
        Some(Turn::End) => vec![Turn::End],
        _ => turns.contains(&Turn::Tell).then_some(Turn::Tell).into_iter().chain(took).collect(),
    }
}

/// The address that a region stands for; `other` is the setting `base`. Without a slash at the end.
pub(super) fn base(settings: &Settings, regions: &[(&str, &str)]) -> String {
    let region = settings.get("region");
    let fixed = regions.iter().find(|(name, _)| *name == region).map(|(_, base)| *base);
    fixed.unwrap_or(settings.get("base")).trim_end_matches('/').to_owned()
}

/// `other` needs an address.
pub(super) fn check_base(settings: &Settings) -> Option<Mistake> {
    let lacks = settings.get("region") == "other" && settings.given("base").is_none();
    lacks.then(|| {
        Mistake::new("/settings/base", "Say the address, such as https://alerts.example.com, or choose another region.")
    })
}

/// Adds what to do where the channel itself is wrong, and holds a redirect for that: none is followed to another host.
pub(super) fn advised(judged: Judged, answer: &super::Answered, advice: &str) -> Judged {
    match judged {
        Judged::Never { why, .. } if (300..400).contains(&answer.status) => Judged::Never {
            why: format!("{why}. The address leads to another one; put that one into the channel's settings."),
            broken: true,
        },
        Judged::Never { why, broken: true } => Judged::Never { why: format!("{why}. {advice}"), broken: true },
        other => other,
    }
}

/// A value in JSON, by its names with slashes between; null where there is none.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('/').try_fold(value, |value, name| value.get(name)).unwrap_or(&Value::Null)
}

/// Sets a field of an object.
pub(super) fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(object) = object {
        object.insert(name.to_owned(), value);
    }
}

/// The JSON that a call carries, for reading it again when its answer is judged.
pub(super) fn sent(call: &Call) -> Option<&Value> {
    match call {
        Call::Http(HttpCall { body: super::Body::Json(value), .. }) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_went_unseen_is_not_told() {
        use NoticeEvent::*;
        use Turn::*;
        let (_, mut message) = super::super::samples::all().remove(0);
        for (events, known, repeated, want) in [
            (vec![Opened], false, false, vec![Tell]),
            (vec![Reminder, SeverityUp], true, false, vec![Tell]),
            (vec![Acknowledged], true, false, vec![Take]),
            (vec![Opened, Acknowledged], false, false, vec![Tell, Take]),
            (vec![Acknowledged, SeverityUp], true, false, vec![Tell, Take]),
            (vec![Resolved], false, false, vec![End]),
            (vec![Merged], true, false, vec![End]),
            (vec![Opened, Resolved], false, false, vec![]),
            (vec![Opened, Acknowledged, Resolved], false, false, vec![]),
            (vec![Opened, Resolved], false, true, vec![End]),
            (vec![Reopened, Resolved], true, false, vec![End]),
        ] {
            (message.events, message.repeated) = (events, repeated);
            assert_eq!(turns(&message, known), want, "{:?} {known} {repeated}", message.events);
        }
    }
}
