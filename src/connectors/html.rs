//! From HTML to its text. What only looks like HTML (`<none>`, `a < b`) is text and stays.

/// Tags that end a line of text.
const BLOCK: [&str; 14] = ["br", "p", "div", "li", "ul", "ol", "tr", "table", "h1", "h2", "h3", "h4", "hr", "pre"];
/// Tags that only dress it up. What is in neither list (`<none>`, `<host>`) is text.
const INLINE: [&str; 37] = [
    "a",
    "abbr",
    "article",
    "b",
    "blockquote",
    "body",
    "button",
    "code",
    "em",
    "font",
    "footer",
    "form",
    "h5",
    "h6",
    "head",
    "header",
    "html",
    "i",
    "iframe",
    "img",
    "input",
    "link",
    "meta",
    "section",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "svg",
    "tbody",
    "td",
    "th",
    "thead",
    "title",
    "tt",
    "u",
];
/// Tags whose content is not text at all.
const SILENT: [&str; 2] = ["script", "style"];

/// A `<` whose end is farther away than this begins no tag.
const MAX_TAG: usize = 2000;

/// Removes HTML and leaves its text.
pub(super) fn strip(text: &str) -> String {
    if !text.contains('<') && !text.contains('&') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut any_tag = false;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let Some((tag, after)) = tag(from) else {
            out.push('<');
            rest = from.get(1..).unwrap_or("");
            continue;
        };
        any_tag = true;
        rest = after;
        if BLOCK.contains(&tag.as_str()) {
            out.push('\n');
        } else if SILENT.contains(&tag.as_str()) {
            let end = find_ignore_case(rest, &format!("</{tag}"));
            rest = end.and_then(|e| rest.get(e..)).unwrap_or("");
            rest = rest.split_once('>').map_or("", |(_, r)| r);
        }
    }
    out.push_str(rest);
    if !any_tag {
        return text.to_owned();
    }
    let out = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")]
        .iter()
        .fold(out, |text, (entity, c)| text.replace(entity, c));
    let lines: Vec<&str> = out.lines().map(str::trim).collect();
    lines.join("\n").split("\n\n").filter(|p| !p.trim().is_empty()).map(str::trim).collect::<Vec<_>>().join("\n")
}

/// The tag that the text begins with, in lower case without `/`, and what follows it.
fn tag(text: &str) -> Option<(String, &str)> {
    if let Some(comment) = text.strip_prefix("<!--") {
        return Some((String::new(), comment.split_once("-->").map_or("", |(_, after)| after)));
    }
    let inner = text.strip_prefix('<')?;
    let inner = inner.strip_prefix('/').unwrap_or(inner);
    let length = inner.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let name = inner.get(..length)?.to_ascii_lowercase();
    let known = BLOCK.contains(&name.as_str()) || INLINE.contains(&name.as_str()) || SILENT.contains(&name.as_str());
    let follows = inner.get(length..)?;
    if !known || !follows.starts_with(|c: char| c == '>' || c == '/' || c.is_ascii_whitespace()) {
        return None;
    }
    let end = follows.bytes().take(MAX_TAG).position(|b| b == b'>')?;
    Some((name, follows.get(end + 1..)?))
}

fn find_ignore_case(text: &str, needle: &str) -> Option<usize> {
    text.as_bytes().windows(needle.len()).position(|at| at.eq_ignore_ascii_case(needle.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_text_and_text_stays() {
        assert_eq!(strip("<h1>Problem</h1><p>CPU &gt; 90 &amp; rising<br/>now</p>"), "Problem\nCPU > 90 & rising\nnow");
        assert_eq!(strip("<b>x</b><script>alert('<b>')</script>y"), "xy");
        assert_eq!(strip("<a href=\"x\">link</a> <!-- hidden -->end"), "link end");
        for same in ["a < b and c > d", "value <none> for &lt;host&gt;", "**bold** [x](y)", "<", "<b", "a &amp; b"] {
            assert_eq!(strip(same), same);
        }
    }
}
