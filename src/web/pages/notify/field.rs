//! Fields of the forms of notifications, each with its help and with what was wrong with it beside it; and what people type
//! into them: durations, lists of targets.

use askama::Template;

use crate::{
    model::*,
    store::Telling,
    web::pages::{
        ask::Fields,
        source::coded,
        text,
        ui::{self, Markup},
    },
};

/// What was refused, by places.
#[derive(Debug, Default)]
pub struct Wrongs(pub Vec<Mistake>);

impl Wrongs {
    /// What is wrong at this place or below it.
    pub fn at(&self, path: &str) -> Option<Markup> {
        let below = format!("{path}/");
        let found = self.0.iter().find(|m| m.path == path || m.path.starts_with(&below));
        found.map(|m| coded(&text::capital(&m.what)))
    }

    /// Nothing is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, for the top of the form: where, and what.
    pub fn all(&self) -> Vec<(String, Markup)> {
        self.0.iter().map(|m| (place(&m.path), coded(&text::capital(&m.what)))).collect()
    }
}

/// `/rotations/0/people/1` as people count: `rotations 1, people 2`.
fn place(path: &str) -> String {
    let mut out = String::new();
    for part in path.split('/').filter(|p| !p.is_empty()) {
        match part.parse::<usize>() {
            Ok(n) => out.push_str(&format!(" {}", n + 1)),
            Err(_) if out.is_empty() => out.push_str(&text::visible(&text::shorten(part, 60)).replace('_', " ")),
            Err(_) => out.push_str(&format!(", {}", text::visible(&text::shorten(part, 60)).replace('_', " "))),
        }
    }
    text::capital(&out.replace(" secs", ""))
}

/// Choices under a heading; without one they stand by themselves.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The heading.
    pub label: &'static str,
    /// Value and words.
    pub options: Vec<(String, String)>,
}

impl Group {
    /// Without a heading.
    pub fn of(options: Vec<(String, String)>) -> Vec<Self> {
        vec![Self { label: "", options }]
    }
}

/// One field.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "fragments/field.html")]
pub struct Field {
    id: String,
    name: String,
    label: String,
    kind: &'static str,
    value: String,
    placeholder: String,
    help: String,
    set: String,
    groups: Vec<Group>,
    error: Option<Markup>,
    described: String,
}

impl Field {
    /// A line of text.
    pub fn text(name: impl Into<String>, label: impl Into<String>, value: &str) -> Self {
        let name: String = name.into();
        let id = format!("f-{}", name.replace(['.', '_'], "-"));
        Self { id, name, label: label.into(), kind: "text", value: text::visible(value), ..Self::default() }
    }

    /// A choice.
    pub fn choice(name: impl Into<String>, label: impl Into<String>, groups: Vec<Group>, value: &str) -> Self {
        Self { groups, ..Self::text(name, label, value) }
    }

    /// Another kind of input: `time`, `date`, `datetime-local`, `password`, or `lines`.
    pub fn kind(self, kind: &'static str) -> Self {
        // Lines keep their ends.
        Self { kind, ..self }
    }

    /// On a page with several such forms.
    pub fn within(self, form: &str) -> Self {
        Self { id: format!("{}-{form}", self.id), ..self }
    }

    /// With an explanation below it.
    pub fn help(self, help: &str) -> Self {
        Self { help: help.to_owned(), ..self }
    }

    /// Shown while it is empty.
    pub fn placeholder(self, placeholder: &str) -> Self {
        Self { placeholder: text::visible(placeholder), ..self }
    }

    /// Beside its name.
    pub fn set(self, set: &str) -> Self {
        Self { set: set.to_owned(), ..self }
    }

    /// Several lines of foreign text as they are.
    pub fn lines(self, value: &str) -> Self {
        let value = value.lines().map(text::visible).collect::<Vec<_>>().join("\n");
        Self { kind: "lines", value, ..self }
    }

    /// The markup, with what is wrong at this place.
    pub fn at(mut self, wrongs: &Wrongs, path: &str) -> Markup {
        self.error = wrongs.at(path);
        let error = self.error.as_ref().map(|_| format!("{}-e", self.id));
        let help = (!self.help.is_empty()).then(|| format!("{}-h", self.id));
        self.described = error.into_iter().chain(help).collect::<Vec<_>>().join(" ");
        Markup::of(&self)
    }
}

/// `5 min`, `2 h`, `90 s` in seconds; a bare number is minutes. Empty is none.
///
/// # Errors
/// It is no duration.
pub fn read_span(text: &str) -> Result<Option<u32>, String> {
    let text = text.trim().replace('\u{a0}', " ");
    if text.is_empty() {
        return Ok(None);
    }
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let unit = text.get(digits.len()..).unwrap_or_default().trim();
    let factor = match unit {
        "s" | "sec" | "second" | "seconds" => Some(1),
        "" | "m" | "min" | "minute" | "minutes" => Some(60),
        "h" | "hour" | "hours" => Some(3600),
        "d" | "day" | "days" => Some(86_400),
        _ => None,
    };
    let read = digits.parse::<u32>().ok().zip(factor).and_then(|(n, factor)| n.checked_mul(factor));
    let wrong = || format!("`{}` is no duration; write one such as 5 min, 2 h or 90 s", text::shorten(&text, 20));
    read.map(Some).ok_or_else(wrong)
}

/// The other way round; nothing for none and for 0.
pub fn span(secs: Option<u32>) -> String {
    match secs {
        None | Some(0) => String::new(),
        Some(s) if s % 86_400 == 0 => format!("{} d", s / 86_400),
        Some(s) if s % 3600 == 0 => format!("{} h", s / 3600),
        Some(s) if s % 60 == 0 => format!("{} min", s / 60),
        Some(s) => format!("{s} s"),
    }
}

/// A duration of a form; what is wrong with it is noted at its place.
pub fn span_of(fields: &Fields, name: &str, path: &str, wrong: &mut Vec<Mistake>) -> Option<u32> {
    read_span(fields.get(name)).unwrap_or_else(|what| {
        wrong.push(Mistake::new(path, what));
        None
    })
}

/// A target as forms have it.
pub fn target_value(target: &Target) -> String {
    match target {
        Target::Channel(id) => format!("channel:{id}"),
        Target::Person(name) => format!("person:{name}"),
        Target::OnCall(id) => format!("on-call:{id}"),
    }
}

/// The other way round.
fn target_of(value: &str) -> Option<Target> {
    let (kind, name) = value.split_once(':')?;
    match kind {
        "channel" => name.parse().ok().map(Target::Channel),
        "on-call" => name.parse().ok().map(Target::OnCall),
        "person" => Some(Target::Person(name.to_owned())),
        _ => None,
    }
}

/// The targets of a form, each once.
pub fn targets_of(fields: &Fields, name: &str) -> Vec<Target> {
    let mut found = Vec::new();
    for target in fields.all(name).iter().filter_map(|v| target_of(v)) {
        if !found.contains(&target) {
            found.push(target);
        }
    }
    found
}

/// Everything and everybody that can be told, as choices.
pub fn target_groups(telling: &Telling, people: &[String], none: &str) -> Vec<Group> {
    let shown = |s: &str| text::visible(&text::shorten(s, 80));
    let mut groups = Group::of(vec![(String::new(), none.to_owned())]);
    let channels = telling.channels.values().map(|c| (format!("channel:{}", c.id), shown(&c.name)));
    let on_call = telling.schedules.values().map(|s| (format!("on-call:{}", s.id), shown(&s.name)));
    let people = people.iter().map(|p| (format!("person:{p}"), shown(p)));
    for (label, options) in
        [("Channels", channels.collect::<Vec<_>>()), ("On call in", on_call.collect()), ("People", people.collect())]
    {
        if !options.is_empty() {
            groups.push(Group { label, options });
        }
    }
    groups
}

/// One choice for each target and some empty ones.
pub fn target_fields(
    name: &str,
    label: &str,
    groups: &[Group],
    chosen: &[Target],
    empty: usize,
    wrongs: &Wrongs,
    path: &str,
) -> Vec<Markup> {
    let values = chosen.iter().map(target_value).chain(std::iter::repeat_n(String::new(), empty));
    let field = |(n, value): (usize, String)| {
        let label = if n == 0 { label.to_owned() } else { format!("{label}, {}", n + 1) };
        let mut field = Field::choice(name, label, groups.to_vec(), &value);
        field.id = format!("{}-{n}", field.id);
        // Of a place that is refused as a whole, the first says so.
        let whole = wrongs.0.iter().any(|m| m.path == path) && n == 0;
        field.at(wrongs, &if whole { path.to_owned() } else { format!("{path}/{n}") })
    };
    values.enumerate().map(field).collect()
}

/// Severities as choices: that and worse.
pub fn severities(all: &str) -> Vec<Group> {
    let words = |s: &Severity| match s {
        Severity::Critical => "Critical only".to_owned(),
        s => format!("{} and worse", s.title()),
    };
    let each = Severity::ALL.iter().filter(|s| **s != Severity::Info).map(|s| (s.to_string(), words(s)));
    Group::of([(String::new(), all.to_owned())].into_iter().chain(each).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, want) in [
            ("", Ok(None)),
            ("5", Ok(Some(300))),
            ("5 min", Ok(Some(300))),
            ("2h", Ok(Some(7200))),
            ("90 s", Ok(Some(90))),
            ("1 d", Ok(Some(86_400))),
            ("0", Ok(Some(0))),
            ("-5", Err(())),
            ("soon", Err(())),
            ("99999999 d", Err(())),
        ] {
            assert_eq!(read_span(text).map_err(drop), want, "{text}");
        }
        for (secs, want) in [(None, ""), (Some(0), ""), (Some(90), "90 s"), (Some(300), "5 min"), (Some(7200), "2 h")] {
            assert_eq!(span(secs), want);
        }
    }

    #[test]
    fn targets_are_read_as_they_are_written() {
        for target in [Target::Channel(ChannelId(2)), Target::Person("kim:x".to_owned()), Target::OnCall(ScheduleId(4))]
        {
            assert_eq!(target_of(&target_value(&target)), Some(target));
        }
        assert_eq!(target_of("else:1"), None);
        assert_eq!(place("/rotations/0/people/1"), "Rotations 1, people 2");
    }
}
