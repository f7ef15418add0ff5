//! Two versions of a postmortem beside each other, line by line.

use askama::{Template, filters::HtmlSafe};

use super::{
    text,
    time::When,
    ui::{self, Markup},
};
use crate::{
    model::*,
    postmortem::{self, LineSide},
};

/// Lines that are alike are shown up to this far from one that is not.
const AROUND: usize = 3;

/// One line, or a gap of lines that are alike.
#[derive(Debug)]
pub struct Line {
    class: &'static str,
    sign: &'static str,
    text: String,
}

/// What differs between two texts.
#[derive(Debug, Template)]
#[template(
    source = "<div class=\"diff\" role=\"group\" aria-label=\"What differs\">{% for l in lines %}<div class=\"{{ l.class }}\" dir=\"auto\"><b aria-hidden=\"true\">{{ l.sign }}</b>{% if l.class == \"old\" %}<del>{{ l.text }}</del>{% else if l.class == \"new\" %}<ins>{{ l.text }}</ins>{% else %}{{ l.text }}{% endif %}</div>{% endfor %}</div>",
    ext = "html"
)]
pub struct Diff {
    lines: Vec<Line>,
}
impl HtmlSafe for Diff {}

impl Diff {
    /// From the old text to the new one.
    pub fn new(old: &str, new: &str) -> Self {
        let all = postmortem::lines(old, new);
        let near = |n: usize| {
            let around = all.get(n.saturating_sub(AROUND)..(n + AROUND + 1).min(all.len())).unwrap_or_default();
            around.iter().any(|l| l.side != LineSide::Both)
        };
        let mut lines = Vec::new();
        let mut alike = 0_usize;
        for (n, line) in all.iter().enumerate() {
            if !near(n) {
                alike += 1;
                continue;
            }
            if let Some(gap) = gap(&mut alike) {
                lines.push(gap);
            }
            let (class, sign) = match line.side {
                LineSide::Both => ("", " "),
                LineSide::Old => ("old", "−"),
                LineSide::New => ("new", "+"),
            };
            lines.push(Line { class, sign, text: text::visible(&line.text) });
        }
        lines.extend(gap(&mut alike));
        Self { lines }
    }
}

/// Lines that were passed over.
fn gap(alike: &mut usize) -> Option<Line> {
    let n = std::mem::take(alike);
    (n > 0).then(|| Line { class: "alike", sign: "", text: format!("{} alike", ui::plural(n, "line")) })
}

/// A part in which two versions differ.
#[derive(Debug)]
pub struct Differs {
    pub(super) key: Option<&'static str>,
    pub(super) title: &'static str,
    pub(super) diff: Diff,
}

/// A version beside what stands.
#[derive(Debug)]
pub struct Compared {
    pub(super) version: u64,
    pub(super) later: bool,
    pub(super) stands: bool,
    pub(super) by: Markup,
    pub(super) what: Markup,
    pub(super) at: When,
    pub(super) parts: Vec<Differs>,
}

impl Compared {
    /// The one that is older is the one that is taken away from.
    pub fn new(v: &PostmortemVersion, p: &Postmortem) -> Self {
        let later = v.version > p.version;
        let (old, new) = if later { (&p.text, &v.text) } else { (&v.text, &p.text) };
        let mut parts = Vec::new();
        let mut differ = |key, title, old: &str, new: &str| {
            if old.trim_end() != new.trim_end() {
                parts.push(Differs { key, title, diff: Diff::new(old, new) });
            }
        };
        differ(None, "Title", &old.title, &new.title);
        for s in PostmortemSection::ALL {
            differ(Some(s.as_str()), s.title(), old.section(*s), new.section(*s));
        }
        let table = postmortem::actions_table;
        differ(None, "Actions", &table(&old.actions), &table(&new.actions));
        Self {
            version: v.version,
            later,
            stands: v.version == p.version,
            by: ui::foreign(&v.by),
            what: ui::foreign(&v.what),
            at: When::full(v.at),
            parts,
        }
    }
}
