//! The small parts that every page is made of: icons, signals, bars, foreign text. What is returned is markup whose
//! foreign parts are escaped here; everything else goes through the templates' own escaping.

use std::fmt::{self, Write};

use askama::filters::HtmlSafe;

use super::{platforms, text, words};
use crate::{model::*, web::assets};

pub use super::{
    text::{about, bytes, count, percent, plural, unit},
    time::{When, clock, duration},
};
pub use crate::web::assets::url as asset;

/// Finished markup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Markup(String);

impl HtmlSafe for Markup {}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Markup {
    /// Nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Parts that are markup already, one after the other; only for what is made here.
    pub fn joined(parts: &[&dyn fmt::Display]) -> Self {
        Self(parts.iter().map(ToString::to_string).collect())
    }

    /// Markup that a template has made.
    pub fn of(template: &impl askama::Template) -> Self {
        Self(template.render().unwrap_or_default())
    }
}

/// A line drawing of 16 px from the sprite, hidden from screen readers: words stand beside it.
pub fn icon(name: &str) -> Markup {
    Markup(format!("<svg class=\"i\" aria-hidden=\"true\"><use href=\"{}#{name}\"/></svg>", assets::url("icons.svg")))
}

/// The arrow of a fold or a path.
pub fn chevron() -> Markup {
    Markup(format!(
        "<svg class=\"i chev\" aria-hidden=\"true\"><use href=\"{}#chev\"/></svg>",
        assets::url("icons.svg")
    ))
}

/// A larger drawing from the sprite.
pub fn art(name: &str, class: &str) -> Markup {
    Markup(format!(
        "<svg class=\"{class}\" aria-hidden=\"true\"><use href=\"{}#{name}\"/></svg>",
        assets::url("icons.svg")
    ))
}

/// Text from outside: escaped, isolated from the direction of the text around it, its control characters shown.
pub fn foreign(s: &str) -> Markup {
    Markup(format!("<bdi>{}</bdi>", text::escape(&text::visible(s))))
}

/// Our own words where markup is expected.
pub fn own(words: &'static str) -> Markup {
    Markup(text::escape(words))
}

/// Text from outside for an attribute or a `<pre>`: control characters shown; the template escapes it.
pub fn plain(s: &str) -> String {
    text::visible(s)
}

/// The same where it may be missing.
pub fn foreign_or(s: &Option<String>, otherwise: &str) -> Markup {
    match s {
        Some(s) => foreign(s),
        None => Markup(format!("<span class=\"faint\">{}</span>", text::escape(otherwise))),
    }
}

/// Severity as colour, shape and word.
pub fn severity(s: Severity) -> Markup {
    Markup(format!("<span class=\"sev {s}\">{}{}</span>", icon(&format!("sev-{s}")), s.title()))
}

/// The same on its tint.
pub fn severity_box(s: Severity) -> Markup {
    Markup(format!("<span class=\"sev box {s}\">{}{}</span>", icon(&format!("sev-{s}")), s.title()))
}

/// Status as mark and word.
pub fn status(s: IncidentStatus) -> Markup {
    let mark = match s {
        IncidentStatus::Investigating => pulse(),
        IncidentStatus::Analyzed => icon("bulb"),
        IncidentStatus::Resolved => icon("check"),
        IncidentStatus::Merged => icon("merge"),
    };
    Markup(format!("<span class=\"st {s}\">{mark}{}</span>", words::status(s)))
}

/// An alert's state as mark and word.
pub fn alert_status(s: AlertStatus) -> Markup {
    let (class, mark) = match s {
        AlertStatus::Firing => ("firing", icon("flame")),
        AlertStatus::Acknowledged => ("analyzed", icon("flag")),
        AlertStatus::Resolved => ("resolved", icon("check")),
    };
    Markup(format!("<span class=\"st {class}\">{mark}{s}</span>"))
}

/// A dot that beats while something is alive.
pub fn pulse() -> Markup {
    Markup("<span class=\"pulse\" aria-hidden=\"true\"></span>".to_owned())
}

/// A platform as tile and name. The tile is drawn by the stylesheet from the attribute.
pub fn source(platform: &str) -> Markup {
    let (tile, name) = platforms::tile_and_name(platform);
    Markup(format!("<span class=\"src\" data-t=\"{}\">{}</span>", text::escape(&tile), text::escape(&name)))
}

/// The same where there is room for the tile only.
pub fn source_tile(platform: &str) -> Markup {
    let (tile, name) = platforms::tile_and_name(platform);
    let (tile, name) = (text::escape(&tile), text::escape(&name));
    Markup(format!("<span class=\"src\" data-t=\"{tile}\" title=\"{name}\"><span class=\"vh\">{name}</span></span>"))
}

/// The large tile of a platform.
pub fn tile(platform: &str) -> Markup {
    let (tile, _) = platforms::tile_and_name(platform);
    Markup(format!("<span class=\"mono-tile l\" aria-hidden=\"true\">{}</span>", text::escape(&tile)))
}

/// A bar of a share from 0 to 1.
pub fn bar(share: f64, class: &str) -> Markup {
    let percent = (share.clamp(0.0, 1.0) * 100.0).round();
    Markup(format!(
        "<svg class=\"bar {class}\" aria-hidden=\"true\"><rect width=\"{percent}%\" height=\"100%\"/></svg>"
    ))
}

/// Links to evidence entries, with their source line on hover and focus. An id without an entry is left out.
pub fn evidence(ids: &[String], all: &[Evidence]) -> Markup {
    let mut out = String::new();
    for found in ids.iter().filter_map(|id| all.iter().find(|e| &e.id == id)) {
        let id = text::escape(&found.id);
        let line =
            format!("{} ({}, {})", text::shorten(&found.title, 200), words::evidence(found.kind), clock(found.at));
        let title = text::escape(&text::visible(&line));
        let _ = write!(out, " <a class=\"ev\" href=\"#{id}\" title=\"{title}\">{id}</a>");
    }
    Markup(out)
}

/// Text with evidence marks written in it as `[E1]` or `[E1, E2]` turned into links.
pub fn with_marks(s: &str, all: &[Evidence]) -> Markup {
    let mut out = String::new();
    let mut rest = s;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((inside, tail)) = after.split_once(']') else { break };
        let ids: Vec<String> = inside.split(',').map(|p| p.trim().to_owned()).collect();
        if ids.iter().all(|id| all.iter().any(|e| &e.id == id)) {
            let _ = write!(out, "{}{}", text::escape(&text::visible(before.trim_end())), evidence(&ids, all));
            rest = tail;
        } else {
            let _ = write!(out, "{}[", text::escape(&text::visible(before)));
            rest = after;
        }
    }
    out.push_str(&text::escape(&text::visible(rest)));
    Markup(format!("<bdi>{out}</bdi>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_never_becomes_markup() {
        let hostile = "<script>alert('x')</script>\u{0}\u{1b}[31m \u{202e}evil & \"quoted\"";
        for html in [foreign(hostile), foreign_or(&Some(hostile.into()), ""), source(hostile), with_marks(hostile, &[])]
        {
            let html = html.to_string();
            assert!(!html.contains("<script") && !html.contains('\u{0}') && !html.contains('\u{1b}'), "{html}");
            assert!(!html.contains('\u{202e}') && !html.contains("\"quoted\""), "{html}");
        }
    }

    #[test]
    fn marks_link_only_to_evidence_that_is_there() {
        let e = |id: &str| Evidence {
            id: id.into(),
            kind: EvidenceKind::Alert,
            title: "\"<b>".into(),
            at: Time::from_millis(0),
            url: None,
            data: serde_json::Value::Null,
        };
        let html = with_marks("Leaks connections [E1, E2]. See [E9] and a[0].", &[e("E1"), e("E2")]).to_string();
        assert_eq!(
            html,
            "<bdi>Leaks connections <a class=\"ev\" href=\"#E1\" title=\"&quot;&lt;b&gt; (Alert, 00:00:00)\">E1</a> <a class=\"ev\" href=\"#E2\" \
             title=\"&quot;&lt;b&gt; (Alert, 00:00:00)\">E2</a>. See [E9] and a[0].</bdi>"
        );
    }
}
