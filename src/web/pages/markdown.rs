//! Markdown from outside as HTML: what is known is written here piece by piece, everything else is text. No markup of the
//! text itself passes, no address but of the web, and nothing is fetched: a picture is a link to it.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::{text, ui::Markup};

/// Events of one text: it is bounded where it is stored, and this bounds what is made of it.
const EVENTS: usize = 200_000;

/// The text as markup. Headings begin at `<h2>`; `anchor` gives each heading, by its text, what an address ends with.
pub fn render(source: &str, mut anchor: impl FnMut(&str) -> Option<String>) -> Markup {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut out = String::with_capacity(source.len() * 2);
    let mut head = false;
    // What is open and written as nothing: a link that leads nowhere, markup as text.
    let mut links: Vec<bool> = Vec::new();
    for (event, range) in Parser::new_ext(source, options).into_offset_iter().take(EVENTS) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let raw = source.get(range).and_then(|r| r.lines().next()).unwrap_or("");
                let heading = raw.trim_start_matches([' ', '#']).trim_end_matches(['#', ' ', '\t']).trim();
                let id = anchor(heading).map(|a| format!(" id=\"{}\"", text::escape(&a))).unwrap_or_default();
                out.push_str(&format!("<{}{id}>", heading_tag(level)));
            }
            Event::End(TagEnd::Heading(level)) => out.push_str(&format!("</{}>\n", heading_tag(level))),
            Event::Start(Tag::CodeBlock(kind)) => {
                let _ = matches!(kind, CodeBlockKind::Fenced(_));
                out.push_str("<pre dir=\"ltr\" tabindex=\"0\"><code>");
            }
            Event::End(TagEnd::CodeBlock) => out.push_str("</code></pre>\n"),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                let leads = address(&dest_url);
                if let Some(href) = &leads {
                    out.push_str(&format!("<a href=\"{}\" rel=\"noreferrer\">", text::escape(href)));
                }
                links.push(leads.is_some());
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                if links.pop() == Some(true) {
                    out.push_str("</a>");
                }
            }
            Event::Start(Tag::List(Some(first))) => out.push_str(&format!("<ol start=\"{first}\">")),
            Event::Start(Tag::List(None)) => out.push_str("<ul>"),
            Event::End(TagEnd::List(true)) => out.push_str("</ol>\n"),
            Event::End(TagEnd::List(false)) => out.push_str("</ul>\n"),
            Event::Start(Tag::Table(_)) => out.push_str("<div class=\"scroll\"><table class=\"tbl\">"),
            Event::End(TagEnd::Table) => out.push_str("</tbody></table></div>\n"),
            Event::Start(Tag::TableHead) => {
                head = true;
                out.push_str("<thead><tr>");
            }
            Event::End(TagEnd::TableHead) => {
                head = false;
                out.push_str("</tr></thead><tbody>");
            }
            Event::Start(Tag::TableCell) => out.push_str(if head { "<th>" } else { "<td>" }),
            Event::End(TagEnd::TableCell) => out.push_str(if head { "</th>" } else { "</td>" }),
            Event::Start(tag) => {
                if let Some(name) = simple(&tag.to_end()) {
                    out.push_str(&format!("<{name}>"));
                }
            }
            Event::End(tag) => {
                if let Some(name) = simple(&tag) {
                    out.push_str(&format!("</{name}>"));
                }
            }
            Event::Code(code) => out.push_str(&format!("<code dir=\"ltr\">{}</code>", shown(&code))),
            Event::SoftBreak => out.push('\n'),
            Event::HardBreak => out.push_str("<br>"),
            Event::Rule => out.push_str("<hr>"),
            Event::TaskListMarker(done) => out.push_str(if done { "☑ " } else { "☐ " }),
            Event::Text(said)
            | Event::Html(said)
            | Event::InlineHtml(said)
            | Event::InlineMath(said)
            | Event::DisplayMath(said)
            | Event::FootnoteReference(said) => out.push_str(&shown(&said)),
        }
    }
    Markup::joined(&[&out])
}

/// Line ends stay: they part lines of code.
fn shown(said: &str) -> String {
    said.split('\n').map(|line| text::escape(&text::visible(line))).collect::<Vec<_>>().join("\n")
}

fn heading_tag(level: HeadingLevel) -> &'static str {
    match level {
        HeadingLevel::H1 => "h2",
        HeadingLevel::H2 => "h3",
        HeadingLevel::H3 => "h4",
        HeadingLevel::H4 => "h5",
        HeadingLevel::H5 | HeadingLevel::H6 => "h6",
    }
}

/// Elements that need no attribute; none for what is written as its text alone.
fn simple(tag: &TagEnd) -> Option<&'static str> {
    Some(match tag {
        TagEnd::Paragraph => "p",
        TagEnd::BlockQuote(_) => "blockquote",
        TagEnd::Item => "li",
        TagEnd::TableRow => "tr",
        TagEnd::Emphasis => "em",
        TagEnd::Strong => "strong",
        TagEnd::Strikethrough => "s",
        _ => return None,
    })
}

/// Of the web, or a place on the same page.
fn address(to: &str) -> Option<String> {
    let inside = to.strip_prefix('#').filter(|rest| !rest.chars().any(|c| c.is_control() || c.is_whitespace()));
    text::url(&Some(to.to_owned())).map(str::to_owned).or_else(|| inside.map(|rest| format!("#{rest}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(source: &str) -> String {
        render(source, |heading| Some(heading.to_lowercase())).to_string()
    }

    #[test]
    fn what_people_write_in_runbooks() {
        let check = |source: &str, want: &str| assert_eq!(html(source), want, "{source}");
        check(
            "# One `x` #\na *b* **c**",
            "<h2 id=\"one `x`\">One <code dir=\"ltr\">x</code></h2>\n<p>a <em>b</em> <strong>c</strong></p>",
        );
        check("1. a\n2. b", "<ol start=\"1\"><li>a</li><li>b</li></ol>\n");
        check("- [x] a", "<ul><li>☑ a</li></ul>\n");
        check("```sh\nls <a\n```", "<pre dir=\"ltr\" tabindex=\"0\"><code>ls &lt;a\n</code></pre>\n");
        check(
            "[a](https://x.example/?a&b) [b](#c)",
            "<p><a href=\"https://x.example/?a&amp;b\" rel=\"noreferrer\">a</a> <a href=\"#c\" rel=\"noreferrer\">b</a></p>",
        );
        check(
            "|a|\n|-|\n|b|",
            "<div class=\"scroll\"><table class=\"tbl\"><thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table></div>\n",
        );
    }

    #[test]
    fn no_markup_and_no_other_address_passes() {
        for hostile in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "[a](javascript:alert(1))",
            "[a](data:text/html,x)",
            "[a](//evil.example/x)",
            "![a](javascript:alert(1))",
            "<javascript:alert(1)>",
            "`<script>`\n\n    <script>",
            "# <svg onload=alert(1)>",
            "[a](https://x.example/\"onclick=alert(1))",
            "\u{202e}evil",
        ] {
            let html = html(hostile);
            let plain = html.replace("&lt;", "").replace("&quot;", "");
            for bad in
                ["<script", "<img", "<svg", "href=\"javascript", "href=\"data", "href=\"//", "\"onclick", "\u{202e}"]
            {
                assert!(!plain.contains(bad), "{hostile}: {html}");
            }
        }
        assert!(html("![plan](https://x.example/a.png)").contains("<a href=\"https://x.example/a.png\""));
    }
}
