//! Markdown of people as HTML. Raw HTML is shown as the text that it is, links lead to pages only, pictures become links,
//! and marks of evidence lead to their entries.

use pulldown_cmark::{BrokenLink, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use super::{
    text::{self, escape},
    ui::Markup,
};
use crate::model::Evidence;

/// A section of a document. Its headings begin at the third level: the page has the first, a section the second.
pub fn markup(source: &str, evidence: &[Evidence]) -> Markup {
    written(source, 2, evidence, None)
}

/// A document of its own, whose headings begin at the second level; `anchor` gives each heading, by its text as written,
/// what an address ends with.
pub fn document(source: &str, mut anchor: impl FnMut(&str) -> Option<String>) -> Markup {
    written(source, 1, &[], Some(&mut anchor))
}

type Anchor<'a> = &'a mut dyn FnMut(&str) -> Option<String>;

fn written(source: &str, down: usize, evidence: &[Evidence], mut anchor: Option<Anchor<'_>>) -> Markup {
    let places = anchor.is_some();
    let known = |id: &str| evidence.iter().find(|e| e.id == id);
    let mut mark = |link: BrokenLink<'_>| {
        let found = known(&link.reference)?;
        Some((CowStr::from(format!("#{}", found.id)), CowStr::from(text::visible(&found.title))))
    };
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let parser = Parser::new_with_broken_link_callback(source, options, Some(&mut mark));
    let mut events: Vec<Event<'_>> = Vec::new();
    // What closes each link that is open.
    let mut closing: Vec<&'static str> = Vec::new();
    for (event, range) in parser.into_offset_iter() {
        match event {
            Event::Html(t) | Event::InlineHtml(t) => events.push(shown(&t)),
            Event::Text(t) => events.push(shown(&t)),
            Event::Code(t) => events.push(Event::Code(text::visible(&t).into())),
            Event::Start(Tag::HtmlBlock) => events.push(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::HtmlBlock) => events.push(Event::End(TagEnd::Paragraph)),
            Event::Start(Tag::Heading { level, .. }) => {
                let level = lower(level, down);
                let raw = source.get(range).and_then(|r| r.lines().next()).unwrap_or("");
                let raw = raw.trim_start_matches([' ', '#']).trim_end_matches(['#', ' ', '\t']).trim();
                let id = anchor.as_mut().and_then(|anchor| anchor(raw)).map(CowStr::from);
                events.push(Event::Start(Tag::Heading { level, id, classes: Vec::new(), attrs: Vec::new() }));
            }
            Event::End(TagEnd::Heading(level)) => events.push(Event::End(TagEnd::Heading(lower(level, down)))),
            // Alignment would be written as a style, which the policy forbids.
            Event::Start(Tag::Table(columns)) => {
                events.push(Event::InlineHtml("<div class=\"mdtable\">".into()));
                events.push(Event::Start(Tag::Table(vec![pulldown_cmark::Alignment::None; columns.len()])));
            }
            Event::End(TagEnd::Table) => {
                events.push(Event::End(TagEnd::Table));
                events.push(Event::InlineHtml("</div>".into()));
            }
            Event::TaskListMarker(done) => events.push(Event::Text(if done { "☑ " } else { "☐ " }.into())),
            Event::Start(Tag::Link { dest_url, title, .. }) => {
                let (open, close) = link(&dest_url, &title, known, places);
                closing.push(close);
                events.push(Event::InlineHtml(open.into()));
            }
            // Fetching a picture would tell others who reads.
            Event::Start(Tag::Image { dest_url, title, .. }) => {
                let (open, close) = link(&dest_url, &title, |_| None, false);
                closing.push(close);
                events.push(Event::InlineHtml(format!("{open}Picture: ").into()));
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                events.push(Event::InlineHtml(closing.pop().unwrap_or_default().into()));
            }
            other => events.push(other),
        }
    }
    let mut out = String::with_capacity(source.len() * 2);
    html::push_html(&mut out, events.into_iter());
    Markup::joined(&[&out])
}

/// Text of others; written escaped.
fn shown<'a>(t: &str) -> Event<'a> {
    Event::Text(text::visible(t).into())
}

fn lower(level: HeadingLevel, down: usize) -> HeadingLevel {
    HeadingLevel::try_from(level as usize + down).unwrap_or(HeadingLevel::H6)
}

/// What opens and closes a link; one that leads nowhere good is only its text. `places`: the document has places of its own.
fn link<'e>(
    to: &str,
    title: &str,
    known: impl Fn(&str) -> Option<&'e Evidence>,
    places: bool,
) -> (String, &'static str) {
    if let Some(found) = to.strip_prefix('#').and_then(known) {
        let (id, title) = (escape(&found.id), escape(title));
        return (format!("<a class=\"ev\" href=\"#{id}\" title=\"{title}\">"), "</a>");
    }
    let own = to.starts_with('/') && !to.starts_with("//") && !to.contains(['\\', '\n', '\t']);
    let mail = to.strip_prefix("mailto:").is_some_and(|m| m.contains('@') && !m.chars().any(char::is_whitespace));
    let page = text::url(&Some(to.to_owned())).is_some();
    let inside = places && to.starts_with('#') && !to.contains(|c: char| c.is_control() || c.is_whitespace());
    if own || mail || page || inside {
        return (format!("<a href=\"{}\" rel=\"noopener noreferrer\">", escape(to)), "</a>");
    }
    ("<span>".to_owned(), "</span>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EvidenceKind, Time};

    #[test]
    fn markdown_becomes_markup_and_nothing_else_does() {
        let evidence = [Evidence {
            id: "E1".into(),
            kind: EvidenceKind::Alert,
            title: "Disk \"full\"".into(),
            at: Time::from_millis(0),
            url: None,
            data: serde_json::Value::Null,
        }];
        for (source, want) in [
            ("one *two*\n\n- a\n- b", "<p>one <em>two</em></p>\n<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
            ("# Big", "<h3>Big</h3>\n"),
            (
                "slow [E1], not [E2]",
                "<p>slow <a class=\"ev\" href=\"#E1\" title=\"Disk &quot;full&quot;\">E1</a>, not [E2]</p>\n",
            ),
            ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"),
            ("a <b onclick=x>b</b>", "<p>a &lt;b onclick=x&gt;b&lt;/b&gt;</p>\n"),
            ("[x](javascript:alert(1))", "<p><span>x</span></p>\n"),
            ("[x](JaVaScRiPt&colon;alert(1))", "<p><span>x</span></p>\n"),
            ("[x](//evil.example.com)", "<p><span>x</span></p>\n"),
            ("[x](/incidents/INC-1)", "<p><a href=\"/incidents/INC-1\" rel=\"noopener noreferrer\">x</a></p>\n"),
            (
                "[x](https://a.example/?b=\"c\")",
                "<p><a href=\"https://a.example/?b=&quot;c&quot;\" rel=\"noopener noreferrer\">x</a></p>\n",
            ),
            (
                "![alt](https://a.example/p.png)",
                "<p><a href=\"https://a.example/p.png\" rel=\"noopener noreferrer\">Picture: alt</a></p>\n",
            ),
            ("![<b>](data:image/svg+xml,x)", "<p><span>Picture: &lt;b&gt;</span></p>\n"),
            ("- [x] done", "<ul>\n<li>☑ done</li>\n</ul>\n"),
            ("a\u{202e}b `c\u{0}d`", "<p>a&lt;U+202E&gt;b <code>c␀d</code></p>\n"),
            (
                "[a]: https://a.example\n\n[a]",
                "<p><a href=\"https://a.example\" rel=\"noopener noreferrer\">a</a></p>\n",
            ),
        ] {
            assert_eq!(markup(source, &evidence).to_string(), want, "{source}");
        }
        let table = markup("| a | b |\n|:-:|--:|\n| <i> | 2 |", &[]).to_string();
        assert!(!table.contains("style") && table.contains("&lt;i&gt;") && table.contains("<th>a</th>"), "{table}");
    }

    #[test]
    fn what_people_write_in_runbooks() {
        let html = |source: &str| document(source, |heading| Some(heading.to_lowercase())).to_string();
        let check = |source: &str, want: &str| assert_eq!(html(source), want, "{source}");
        check("# One `x` #", "<h2 id=\"one `x`\">One <code>x</code></h2>\n");
        check("a\n===", "<h2 id=\"a\">a</h2>\n");
        check("# \"><script>", "<h2 id=\"&quot;&gt;&lt;script&gt;\">\"&gt;&lt;script&gt;</h2>\n");
        check("[b](#c)", "<p><a href=\"#c\" rel=\"noopener noreferrer\">b</a></p>\n");
        check("```sh\nls <a\n```", "<pre><code class=\"language-sh\">ls &lt;a\n</code></pre>\n");
    }

    #[test]
    fn the_largest_section_is_drawn_in_time_whatever_it_says() {
        for piece in [">", "[", "*a_", "- ", "`", "<a", "| a ", "[a]: /b\n[a]", "![", "&"] {
            let source = piece.repeat(32 * 1024 / piece.len());
            assert!(markup(&source, &[]).to_string().len() < 8 << 20, "{piece}");
        }
    }
}
