//! What channels of chat tools share: paragraphs that fit, markup that foreign text cannot make, addresses, and answers
//! with what to do about them. Nothing here knows a target.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

use super::{Answered, Body, Call, Judged, Receipt, text};
use crate::{
    model::{NoticeEvent, Time},
    notifications::message::{Digest, Message, Subject},
};

/// Writes one character of foreign text so that the target shows it as it is.
pub type Escape = fn(char, &mut String);

/// A fact's value is cut there: no name of a service or machine is longer.
const FACT: usize = 200;
/// Behind a sign that begins a mention or a link: without width, so the sign stays what it is and begins nothing.
const APART: char = '\u{200b}';
/// What could end a link in any of the targets' markups.
const IN_LINK: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'\'')
    .add(b'<')
    .add(b'>')
    .add(b'|')
    .add(b'(')
    .add(b')')
    .add(b'[')
    .add(b']')
    .add(b'{')
    .add(b'}')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'*');

/// Markdown as Discord and Mattermost read it: a backslash before signs, and mentions taken apart.
pub fn markdown(c: char, out: &mut String) {
    match c {
        '@' | '<' => out.extend([c, APART]),
        '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '>' | '#' | '|' | '~' | '!' => out.extend(['\\', c]),
        c => out.push(c),
    }
}

/// For targets that know no backslash: signs that begin mentions, links or blocks of code are taken apart. Bold and italic
/// letters remain possible and do no harm.
pub fn apart(c: char, out: &mut String) {
    out.push(c);
    if matches!(c, '@' | '#' | '<' | '[' | ']' | '`' | '~' | '|') {
        out.push(APART);
    }
}

/// For fields without markup: only what could begin a mention (`@`, Slack's `<!channel>`, Google's `<users/all>`) is taken
/// apart.
pub fn quiet(c: char, out: &mut String) {
    out.push(c);
    if matches!(c, '@' | '<') {
        out.push(APART);
    }
}

/// Foreign text in the target's own writing, at most `most` characters of it, with `…` where something was left out. What
/// stands for one character is never cut in two.
pub fn escaped(text: &str, most: usize, escape: Escape) -> String {
    let mut out = String::new();
    if most == 0 {
        return out;
    }
    let (mut count, mut fits) = (0, 0);
    for c in text::plain(text).chars() {
        let begin = out.len();
        escape(c, &mut out);
        count += out.get(begin..).map_or(0, |piece| piece.chars().count());
        if count < most {
            fits = out.len();
        }
        if count > most {
            out.truncate(fits);
            out.push('…');
            break;
        }
    }
    out
}

/// The same as one line.
pub fn line(text: &str, most: usize, escape: Escape) -> String {
    escaped(&text::line(text), most, escape)
}

/// The sign and the first line of a message.
pub fn head(message: &Message, most: usize, escape: Escape) -> String {
    let sign = text::look(message).sign;
    format!("{sign} {}", line(&text::headline(message), most.saturating_sub(sign.chars().count() + 1), escape))
}

/// What is to be said of an incident besides its facts: description, how it ended, what the investigation found, remarks.
/// At most `most` characters; a long description leaves room for the rest.
pub fn story(message: &Message, subject: &Subject, most: usize, escape: Escape) -> String {
    let mut rest = news(message, subject, most / 2, escape, true);
    let taken: usize = rest.iter().map(|p| p.chars().count() + 2).sum();
    let description = subject.description.as_deref().map(str::trim).filter(|d| !d.is_empty());
    if let Some(description) = description {
        rest.insert(0, escaped(description, most.saturating_sub(taken), escape));
    }
    rest.join("\n\n")
}

/// A follow-up: what happened, and what is new with it. The first line is without markup.
pub fn follow_up(message: &Message, subject: &Subject, most: usize, escape: Escape) -> (String, Vec<String>) {
    let first = format!("{} {}", text::look(message).sign, line(&text::happened(message), 300, escape));
    let found = message.events.contains(&NoticeEvent::Analyzed);
    (first, news(message, subject, most.saturating_sub(300), escape, found))
}

fn news(message: &Message, subject: &Subject, most: usize, escape: Escape, found: bool) -> Vec<String> {
    let mut news = Vec::new();
    if let (true, Some(how)) = (message.is_over(), subject.resolution.as_deref()) {
        let how = how.trim();
        if !how.is_empty() {
            news.push(format!("How it ended: {}", escaped(how, most / 3, escape)));
        }
    }
    if let (true, Some(answer)) = (found, &subject.answer) {
        news.push(escaped(&text::answer(answer), most / 2, escape));
    }
    news.extend(text::remarks(message).map(|r| escaped(&r, most / 8, escape)));
    news
}

/// The facts of an incident, values as one line each.
pub fn facts(message: &Message, subject: &Subject, escape: Escape) -> Vec<(&'static str, String)> {
    text::facts(message, subject).into_iter().map(|(name, value)| (name, line(&value, FACT, escape))).collect()
}

/// Where most of a digest's incidents are; empty when nothing is known of that.
pub fn places(digest: &Digest, escape: Escape) -> String {
    let all: Vec<String> =
        digest.services.iter().map(|(name, n)| format!("{} {n}", line(name, FACT, escape))).collect();
    if all.is_empty() { String::new() } else { format!("Most in: {}", all.join(", ")) }
}

/// People should look now, not when they next come by: worth more than a line in a thread.
pub fn is_pressing(message: &Message) -> bool {
    matches!(
        message.event(),
        NoticeEvent::SeverityUp | NoticeEvent::Reopened | NoticeEvent::Escalated | NoticeEvent::Reminder
    )
}

/// An address as a link of a message may have it: of the web, not longer than `most`, without signs that end a link.
pub fn href(url: &str, most: usize) -> Option<String> {
    let web = ["https://", "http://"].iter().any(|scheme| {
        url.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)) && url.len() > scheme.len()
    });
    let url = utf8_percent_encode(url, IN_LINK).to_string();
    (web && url.chars().count() <= most).then_some(url)
}

/// Where people may go from a message about an incident: its page, where to acknowledge, the runbook, the sender's page.
pub fn links(message: &Message, subject: &Subject, most: usize) -> Vec<(String, String)> {
    let source = subject.source_url.as_ref().map(|url| (text::line(&subject.source_name), url));
    let all = [("Open incident".to_owned(), &subject.url)]
        .into_iter()
        .chain(message.ack_url.as_ref().map(|url| ("Acknowledge".to_owned(), url)))
        .chain(subject.runbook_url.as_ref().map(|url| ("Runbook".to_owned(), url)))
        .chain(source);
    all.filter_map(|(name, url)| Some((name, href(url, most)?))).collect()
}

/// The same as a line of Markdown.
pub fn markdown_links(message: &Message, subject: &Subject, escape: Escape) -> String {
    let all = links(message, subject, 2_000);
    let all: Vec<String> = all.iter().map(|(name, url)| format!("[{}]({url})", line(name, 60, escape))).collect();
    all.join(" · ")
}

/// An address with these parameters; those of the same names that it has are replaced, the others stay as they are.
pub fn with_query(url: &str, parameters: &[(&str, &str)]) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let stays = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && parameters.iter().all(|(n, _)| *n != name)
    };
    let mut pairs: Vec<String> = query.split('&').filter(stays).map(str::to_owned).collect();
    let coded = |text: &str| utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    pairs.extend(parameters.iter().map(|(name, value)| format!("{name}={}", coded(value).replace("%5F", "_"))));
    format!("{place}?{}", pairs.join("&"))
}

/// An address without a slash, a query or a fragment at its end, for paths to be added.
pub fn base(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/')
}

/// The largest form that fits: `make` is asked for texts of fewer and fewer characters, until what it makes has at most
/// `most` bytes as JSON.
pub fn fitting(most: usize, make: impl Fn(usize) -> Value) -> Value {
    let mut room = 4_000;
    loop {
        let body = make(room);
        if room < 200 || body.to_string().len() <= most {
            return body;
        }
        room = room * 2 / 3;
    }
}

/// A field of an answer; null where it has none.
pub fn at<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

/// The field of a call's body; null where it has none.
pub fn sent<'a>(call: &'a Call, field: &str) -> &'a Value {
    match call {
        Call::Http(call) => match &call.body {
            Body::Json(body) => body.get(field).unwrap_or(&Value::Null),
            Body::Empty | Body::Form(_) => &Value::Null,
        },
        Call::Mail(_) => &Value::Null,
    }
}

/// As `Judged::by_status`, with what the target said in its own words (`said`), and with what to do (`advice`, by whether
/// the channel itself is wrong) where the message will never be taken.
pub fn judged(answer: &Answered, now: Time, said: &str, advice: &str) -> Judged {
    let short = Answered { body: said.to_owned(), ..answer.clone() };
    match Judged::by_status(&short, now) {
        Judged::Never { why, broken: true } => never(&why, advice, true),
        Judged::Later { after: None, why } if answer.status == 429 => Judged::Later { after: reset(answer, now), why },
        judged => judged,
    }
}

/// Never, with what to do.
pub fn never(why: &str, advice: &str, broken: bool) -> Judged {
    let why = why.trim_end_matches('.');
    Judged::Never { why: if advice.is_empty() { why.to_owned() } else { format!("{why}. {advice}") }, broken }
}

/// Done, with what later messages about the incident need.
pub fn kept<const N: usize>(receipt: [(&str, Option<String>); N]) -> Judged {
    let receipt: Receipt = receipt.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    Judged::Done { receipt, lasting: Receipt::new() }
}

/// A text or a number of an answer, as text.
pub fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|t| !t.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `X-RateLimit-Reset` where there is no `Retry-After`: seconds to wait (Mattermost), or a moment in seconds or in
/// milliseconds (Rocket.Chat), which their sizes tell apart.
fn reset(answer: &Answered, now: Time) -> Option<std::time::Duration> {
    let value: u64 = answer.header("x-ratelimit-reset")?.trim().parse().ok()?;
    let now = u64::try_from(now.timestamp().as_millisecond()).ok()?;
    let ms = match value {
        0..100_000_000 => value * 1_000,
        100_000_000..100_000_000_000 => (value * 1_000).saturating_sub(now),
        _ => value.saturating_sub(now),
    };
    Some(std::time::Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn foreign_text_is_escaped_within_its_bounds() {
        for (text, most, escape, want) in [
            ("a*b", 9, markdown as Escape, "a\\*b"),
            ("a*b", 4, markdown, "a\\*b"),
            ("a*b", 3, markdown, "a…"),
            ("abcd", 3, markdown, "ab…"),
            ("abc", 3, markdown, "abc"),
            ("ab*", 3, markdown, "ab…"),
            ("😀😀😀", 2, markdown, "😀…"),
            ("@all [x](y)", 20, apart, "@\u{200b}all [\u{200b}x]\u{200b}(y)"),
            ("<!here> @here", 20, markdown, "<\u{200b}\\!here\\> @\u{200b}here"),
            ("a@b <c>", 20, quiet, "a@\u{200b}b <\u{200b}c>"),
            ("a\u{202e}b", 20, quiet, "ab"),
        ] {
            let got = escaped(text, most, escape);
            assert_eq!(got, want, "{text} {most}");
            assert!(got.chars().count() <= most, "{text} {most}");
        }
    }

    #[test]
    fn only_addresses_of_the_web_become_links() {
        for (url, most, want) in [
            ("https://a.example/x?y=1&z=%20#f", 99, Some("https://a.example/x?y=1&z=%20#f")),
            ("https://a.example/|x>(b) c", 99, Some("https://a.example/%7Cx%3E%28b%29%20c")),
            ("HTTP://a.example", 99, Some("HTTP://a.example")),
            ("https://a.example/long", 10, None),
            ("https://", 99, None),
            ("javascript:alert(1)", 99, None),
            ("", 99, None),
            ("é", 99, None),
        ] {
            assert_eq!(href(url, most).as_deref(), want, "{url}");
        }
    }

    #[test]
    fn parameters_join_those_that_are_there() {
        for (url, want) in [
            ("https://a.example/h", "https://a.example/h?wait=true&thread_id=7"),
            ("https://a.example/h?sig=a%2Fb&x", "https://a.example/h?sig=a%2Fb&x&wait=true&thread_id=7"),
            ("https://a.example/h?wait=false&thread_id=1#top", "https://a.example/h?wait=true&thread_id=7"),
        ] {
            assert_eq!(with_query(url, &[("wait", "true"), ("thread_id", "7")]), want);
        }
        assert_eq!(base("https://a.example/x/?y#z"), "https://a.example/x");
    }

    #[test]
    fn a_body_gives_up_text_until_it_fits() {
        for (most, least) in [(10_000, 4_000), (3_000, 1_000), (500, 150)] {
            let body = fitting(most, |room| json!({ "text": "x".repeat(room) }));
            let len = body.to_string().len();
            assert!(len <= most && len > least, "{most}: {len}");
        }
    }

    #[test]
    fn moments_of_rate_limits_are_read_in_each_form() {
        let now: Time = "2026-03-02T03:00:00Z".parse().unwrap();
        let ms = now.timestamp().as_millisecond();
        for (value, want) in [
            ("3".to_owned(), Some(3_000)),
            ((ms / 1_000 + 4).to_string(), Some(4_000)),
            ((ms + 2_500).to_string(), Some(2_500)),
            ((ms - 1).to_string(), Some(0)),
            ("soon".to_owned(), None),
        ] {
            let headers = vec![("x-ratelimit-reset".to_owned(), value.clone())];
            let answer = Answered { status: 429, headers, body: String::new() };
            let Judged::Later { after, .. } = judged(&answer, now, "", "") else { panic!("{value}") };
            assert_eq!(after.map(|d| d.as_millis()), want, "{value}");
        }
    }
}
