//! E-mail by SMTP: a mail of text and HTML for each event, those of one incident in one thread.

use std::time::Duration;

use super::{
    Answered, Call, Channel, Field, FieldKind, Follows, Info, Judged, MailCall, Receipt, Settings, To, common, text,
};
use crate::{
    model::{Mistake, NoticeEvent},
    notifications::message::{About, Message, Subject},
};

/// A subject's limit, in characters.
const SUBJECT: usize = 200;
/// So many recipients a channel may have; lists are for more.
const RECIPIENTS: usize = 20;
/// Names of the mails where each recipient has one of its own.
const STEPS: [&str; RECIPIENTS] = [
    "mail-1", "mail-2", "mail-3", "mail-4", "mail-5", "mail-6", "mail-7", "mail-8", "mail-9", "mail-10", "mail-11",
    "mail-12", "mail-13", "mail-14", "mail-15", "mail-16", "mail-17", "mail-18", "mail-19", "mail-20",
];

static INFO: Info = Info {
    kind: "email",
    name: "E-mail",
    tile: "@",
    what: "Sends mail by your mail server; the mails of one incident make one thread.",
    steps: &[
        "Ask whoever runs the mail server for its name, port and security, and for a user and password for Watchfire.",
        "Choose a sender that this server accepts, such as watchfire@example.com, so that mails do not end as spam.",
    ],
    fields: &[
        Field {
            key: "host",
            label: "Mail server",
            help: "Its name, such as smtp.example.com",
            kind: FieldKind::Text,
            secret: false,
            required: true,
            default: "",
        },
        Field {
            key: "port",
            label: "Port",
            help: "587 for starttls, 465 for tls, 25 for none.",
            kind: FieldKind::Number(1, 65_535),
            secret: false,
            required: false,
            default: "587",
        },
        Field {
            key: "security",
            label: "Security",
            help: "starttls begins in the open and changes to TLS, and sends nothing where that fails; tls is TLS from the \
                   start. none is only for a server on this machine or network, and only where the administrator allows it.",
            kind: FieldKind::Choice(&["starttls", "tls", "none"]),
            secret: false,
            required: false,
            default: "starttls",
        },
        Field {
            key: "user",
            label: "User",
            help: "As the mail server knows Watchfire, such as watchfire@example.com; empty when it asks for none.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "password",
            label: "Password",
            help: "Of that user; many providers want an app password here.",
            kind: FieldKind::Text,
            secret: true,
            required: false,
            default: "",
        },
        Field {
            key: "from",
            label: "Sender",
            help: "An address, maybe with a name: Watchfire <watchfire@example.com>",
            kind: FieldKind::Text,
            secret: false,
            required: true,
            default: "",
        },
        Field {
            key: "to",
            label: "Recipients",
            help: "Addresses with commas between them, at most 20: ops@example.com, ada@example.com",
            kind: FieldKind::Text,
            secret: false,
            required: true,
            default: "",
        },
    ],
    address: Some("to"),
    follows: Follows::Read,
    rate: (1, Duration::from_secs(1)),
};

/// The channel.
pub struct Email;

impl Channel for Email {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let mut wrong = Vec::new();
        let mut mistake = |key: &str, what: String| wrong.push(Mistake::new(format!("/settings/{key}"), what));
        let host = settings.get("host");
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@')) {
            mistake(
                "host",
                "Only the server's name, such as smtp.example.com: the port has a field of its own.".to_owned(),
            );
        }
        if !settings.get("from").is_empty() && !is_address(bare(settings.get("from"))) {
            mistake(
                "from",
                "This is no address: watchfire@example.com, or Watchfire <watchfire@example.com>".to_owned(),
            );
        }
        let to = recipients(settings);
        for bad in to.iter().filter(|a| !is_address(bare(a))) {
            mistake(
                "to",
                format!("“{}” is no address. Write commas between several.", text::cut(&text::line(bad), 60)),
            );
        }
        if to.len() > RECIPIENTS {
            mistake("to", format!("At most {RECIPIENTS} recipients; a mailing list reaches more."));
        }
        if settings.get("user").is_empty() && !settings.get("password").is_empty() {
            mistake("user", "The password needs its user.".to_owned());
        }
        wrong
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let all = recipients(&to.settings);
        // A server that refused several at once gets a mail for each from then on.
        if to.lasting.contains_key("each") && all.len() > 1 {
            let each = all.into_iter().zip(STEPS);
            return each.map(|(one, step)| mail(to, message, step, vec![one])).collect();
        }
        if all.is_empty() { Vec::new() } else { vec![mail(to, message, "mail", all)] }
    }

    fn judge(&self, to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged {
        let said = super::call::said(&answer.body);
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let why = format!("The mail server answered {}{said}", answer.status);
        let low = answer.body.to_lowercase();
        match (answer.status, call) {
            (200..300, Call::Mail(mail)) => {
                // Follow-ups keep the subject of the first, or mail programs would begin another thread.
                let first = message.subject().is_some() && mail.reply_to.is_none();
                let receipt = first.then(|| ("subject".to_owned(), mail.subject.clone()));
                Judged::Done { receipt: receipt.into_iter().collect(), lasting: Receipt::new() }
            }
            (452, Call::Mail(mail)) if mail.to.len() > 1 && (low.contains("recipient") || low.contains("4.5.3")) => {
                let lasting = Receipt::from([("each".to_owned(), "yes".to_owned())]);
                let alone = To { lasting: lasting.clone(), ..to.clone() };
                Judged::Instead { calls: self.calls(&alone, message), lasting, forget: Vec::new() }
            }
            (400..500, _) => Judged::Later { after: None, why },
            (530 | 534 | 535 | 538, _) => {
                Judged::Never { why: format!("{why}. Look at user, password and security."), broken: true }
            }
            // The mailbox, its domain or its server takes no mail; and a sender that may not send.
            (521 | 550 | 551 | 553 | 556, _) => Judged::Never {
                why: format!("{why}. Look at the recipients' addresses, and whether the server lets this sender send."),
                broken: true,
            },
            _ => Judged::Never { why, broken: false },
        }
    }
}

fn recipients(settings: &Settings) -> Vec<String> {
    let parts = settings.get("to").split([',', ';', '\n']).map(str::trim);
    parts.filter(|a| !a.is_empty()).map(str::to_owned).collect()
}

/// The address in `Name <address>`.
fn bare(address: &str) -> &str {
    address.rsplit_once('<').and_then(|(_, rest)| rest.strip_suffix('>')).unwrap_or(address).trim()
}

fn is_address(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';' | '"' | '(' | ')');
    text.len() <= 254
        && !text.contains(odd)
        && text.split_once('@').is_some_and(|(name, domain)| {
            !name.is_empty() && !domain.is_empty() && !domain.contains('@') && !domain.starts_with('.')
        })
}

/// The name of our host, for ids.
fn host(message: &Message) -> String {
    let url = &message.base_url;
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
    let plain: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).collect();
    if plain.is_empty() { "watchfire.local".to_owned() } else { plain }
}

fn mail(to: &To, message: &Message, step: &'static str, recipients: Vec<String>) -> Call {
    let host = host(message);
    let mut headers = vec![
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("X-Auto-Response-Suppress", "All".to_owned()),
        ("List-Id", format!("Watchfire <notifications.{host}>")),
        ("X-Watchfire-Event", message.event().to_string()),
        ("X-Watchfire-Severity", message.severity().to_string()),
    ];
    let own = format!("<{}@{host}>", message.key);
    let (subject, message_id, reply_to) = match &message.about {
        About::Incident(subject) => {
            headers.push(("X-Watchfire-Incident", subject.id.to_string()));
            for (name, value) in [
                ("X-Watchfire-Service", &subject.service),
                ("X-Watchfire-Host", &subject.host),
                ("X-Watchfire-Environment", &subject.environment),
            ] {
                if let Some(value) = value.as_deref().map(|v| common::foreign_line(v, 200)).filter(|v| !v.is_empty()) {
                    headers.push((name, value));
                }
            }
            let opened = format!("<incident-{}.opened@{host}>", subject.id);
            let head = common::headline(message, SUBJECT);
            let fresh = text::cut(&format!("[{}] {head}", subject.id), SUBJECT - "Re: ".len());
            // The first of a thread has an id that the others know without having seen it.
            // Where that may have arrived already, what is told besides must not be taken for it.
            let other = message.repeated && message.events.len() > 1;
            match to.receipt.get("subject") {
                None if message.events.contains(&NoticeEvent::Opened) && !other => (fresh, opened, None),
                None => (fresh, own, Some(opened)),
                Some(first) => (text::cut(&format!("Re: {first}"), SUBJECT), own, Some(opened)),
            }
        }
        About::Digest(_) | About::Test { .. } => (common::headline(message, SUBJECT), own, None),
    };
    Call::Mail(Box::new(MailCall {
        step,
        from: text::line(to.settings.get("from")),
        to: recipients,
        subject,
        message_id,
        reply_to,
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        text: plain_part(message),
        html: html_part(message),
    }))
}

fn plain_part(message: &Message) -> String {
    let mut parts = vec![common::headline(message, 500)];
    let mut links = Vec::new();
    match &message.about {
        About::Incident(subject) => {
            parts.push(common::lead(message, subject));
            parts.extend(subject.description.as_deref().map(|d| text::cut(&common::foreign(d), 10_000)));
            parts.extend(subject.answer.as_ref().map(|a| text::cut(&common::foreign(&text::answer(a)), 4_000)));
            parts.push(common::fact_lines(message, subject, 500).join("\n"));
            parts.extend(other_alerts(subject).map(|lines| format!("Alerts:\n{}", lines.join("\n"))));
            links.push(format!("Incident: {}", subject.url));
            links.extend(message.ack_url.as_ref().map(|url| format!("Acknowledge: {url}")));
            links.extend(subject.runbook_url.as_ref().map(|url| format!("Runbook: {url}")));
        }
        About::Digest(digest) => {
            parts.push(common::digest_lines(digest).get(1..).unwrap_or_default().join("\n"));
            links.push(format!("All of them: {}", digest.url));
        }
        About::Test { .. } => parts.push("If you can read this, mails arrive here.".to_owned()),
    }
    parts.extend((!links.is_empty()).then(|| links.join("\n")));
    parts.extend(text::remarks(message));
    parts.push(format!("-- \n{}", common::foreign_line(&message.reason, 500)));
    let mut text = parts.join("\n\n");
    text.push('\n');
    text
}

/// One line for each alert, where there are several.
fn other_alerts(subject: &Subject) -> Option<Vec<String>> {
    let line = |a: &crate::notifications::message::AlertLine| {
        let look = text::severity(a.severity);
        format!("{} {}: {}", look.sign, a.status, common::foreign_line(&a.title, 200))
    };
    (subject.alerts.len() > 1).then(|| subject.alerts.iter().map(line).collect())
}

/// Everything foreign, for HTML.
fn safe(value: &str, most: usize) -> String {
    text::html(&text::cut(&common::foreign(value), most)).replace('\n', "<br>\n")
}

fn link(url: &str, words: &str) -> String {
    format!("<a href=\"{}\" style=\"color:#1a56b0\">{words}</a>", text::html(url))
}

/// Mail programs know little CSS, and that only beside the element: one column, system fonts, colours that are read on
/// white and on black.
fn html_part(message: &Message) -> String {
    let look = text::look(message);
    let mut rows = String::new();
    let mut row = |inner: String| rows.push_str(&format!("<p style=\"margin:0 0 14px\">{inner}</p>\n"));
    let mut links = Vec::new();
    match &message.about {
        About::Incident(subject) => {
            row(format!("<b>{}</b>", safe(&common::lead(message, subject), 300)));
            if let Some(words) = subject.description.as_deref().filter(|d| !d.trim().is_empty()) {
                row(safe(words, 10_000));
            }
            if let Some(answer) = &subject.answer {
                row(safe(&text::answer(answer), 4_000));
            }
            let facts: String = text::facts(message, subject)
                .into_iter()
                .map(|(name, value)| {
                    let value = safe(&value, 500);
                    format!("<tr><td style=\"padding:2px 14px 2px 0;color:#777\">{name}</td><td>{value}</td></tr>\n")
                })
                .collect();
            rows.push_str(&format!("<table style=\"margin:0 0 14px;border-spacing:0\">\n{facts}</table>\n"));
            if let Some(lines) = other_alerts(subject) {
                let lines: Vec<String> = lines.iter().map(|l| text::html(l)).collect();
                rows.push_str(&format!("<p style=\"margin:0 0 14px\">{}</p>\n", lines.join("<br>\n")));
            }
            links.push(link(&subject.url, "Open incident"));
            links.extend(message.ack_url.as_deref().map(|url| link(url, "Acknowledge")));
            links.extend(subject.runbook_url.as_deref().map(|url| link(url, "Runbook")));
        }
        About::Digest(digest) => {
            let list: String = digest
                .first
                .iter()
                .map(|l| {
                    let look = text::severity(l.severity);
                    format!("<li>{} {} {}</li>\n", look.sign, link(&l.url, &l.id.to_string()), safe(&l.title, 200))
                })
                .collect();
            rows.push_str(&format!("<ul style=\"margin:0 0 14px;padding-left:20px\">\n{list}</ul>\n"));
            links.push(link(&digest.url, "All of them"));
        }
        About::Test { .. } => row("If you can read this, mails arrive here.".to_owned()),
    }
    if !links.is_empty() {
        rows.push_str(&format!("<p style=\"margin:0 0 14px\">{}</p>\n", links.join(" &nbsp; ")));
    }
    let foot: Vec<String> =
        text::remarks(message).into_iter().chain([message.reason.clone()]).map(|l| safe(&l, 500)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body style=\"font:15px/1.5 sans-serif;margin:0;padding:16px\">\n\
         <div style=\"max-width:640px;border-left:4px solid {colour};padding-left:16px\">\n\
         <h1 style=\"font-size:20px;line-height:1.3;margin:0 0 10px\">{sign} {title}</h1>\n{rows}\
         <p style=\"margin:0;color:#777;font-size:13px\">{foot}</p>\n</div>\n</body>\n</html>\n",
        title = safe(&text::headline(message), 500),
        colour = look.colour,
        sign = look.sign,
        foot = foot.join("<br>\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::{
        super::{samples, tests},
        *,
    };

    fn mails(calls: Vec<Call>) -> Vec<MailCall> {
        let mail = |c| match c {
            Call::Mail(mail) => *mail,
            Call::Http(_) => panic!("not a mail"),
        };
        calls.into_iter().map(mail).collect()
    }

    #[test]
    fn the_mails_of_an_incident_make_a_thread() {
        let yes = [("mail", 250, "2.0.0 Ok")];
        let told = [("opened", &yes[..]), ("acknowledged", &yes), ("severity-up", &yes), ("resolved", &yes)];
        let subject = "[INC-42] Critical: Connection pool of payments-db is exhausted";
        let mails = mails(tests::follow(&Email, &told, &[("subject", subject)]));
        let first = "<incident-INC-42.opened@watchfire.example.com>";
        assert_eq!((mails[0].message_id.as_str(), mails[0].subject.as_str()), (first, subject));
        assert_eq!(mails[0].reply_to, None);
        for mail in &mails[1..] {
            assert_eq!(mail.subject, format!("Re: {subject}"));
            assert_eq!(mail.reply_to.as_deref(), Some(first));
            assert_ne!(mail.message_id, first);
        }
    }

    #[test]
    fn subjects_and_headers_are_single_lines_with_limits() {
        for (name, message) in samples::all() {
            for mail in mails(Email.calls(&tests::to(&Email, 0), &message)) {
                assert!(mail.subject.chars().count() <= SUBJECT, "{name}");
                let headers = mail.headers.iter().map(|(_, v)| v);
                for value in headers.chain([&mail.subject, &mail.from, &mail.message_id]) {
                    assert!(!value.contains(char::is_control), "{name}: {value:?}");
                }
                assert!(mail.message_id.starts_with('<') && mail.message_id.ends_with('>'));
                assert!(!mail.html.contains("<script") && mail.text.len() < 100_000, "{name}");
                // Nothing of the alert becomes markup.
                assert!(!mail.html.contains("*bold* [x](http://evil) `c` |a>b"), "{name}");
            }
        }
    }

    #[test]
    fn answers_are_judged() {
        tests::judged(
            &Email,
            "opened",
            &[
                (250, "", "2.0.0 Ok", "done"),
                (421, "", "4.3.2 shutting down", "later"),
                (450, "", "4.2.0 greylisted", "later"),
                (451, "", "", "later"),
                (452, "", "4.3.1 insufficient storage", "later"),
                (452, "", "4.5.3 too many recipients", "instead"),
                (454, "", "4.7.0", "later"),
                (535, "", "5.7.8 no", "broken: user, password"),
                (530, "", "", "broken: security"),
                (550, "", "5.1.1 unknown user", "broken: recipients"),
                (552, "", "5.3.4 too big", "never: too big"),
                (554, "", "5.7.1 looks like spam", "never: spam"),
            ],
        );
    }

    #[test]
    fn a_server_that_takes_one_recipient_at_a_time_gets_one_mail_each() {
        let told = [
            ("opened", &[("mail", 452, "4.5.3 Too many recipients"), ("mail-1", 250, ""), ("mail-2", 250, "")][..]),
            ("resolved", &[("mail-1", 250, ""), ("mail-2", 250, "")]),
        ];
        let mails = mails(tests::follow(&Email, &told, &[]));
        let to: Vec<usize> = mails.iter().map(|m| m.to.len()).collect();
        assert_eq!(to, [2, 1, 1, 1, 1]);
        assert_ne!(mails[1].to, mails[2].to);
    }

    #[test]
    fn addresses_are_checked() {
        for (key, value, fine) in [
            ("from", "watchfire@example.com", true),
            ("from", "Watchfire <watchfire@example.com>", true),
            ("from", "Watchfire", false),
            ("to", "a@example.com, b@example.com", true),
            ("to", "a@example.com b@example.com", false),
            ("to", "a@b@c", false),
            ("to", "root@localhost", true),
            ("host", "smtp.example.com", true),
            ("host", "smtp://example.com", false),
            ("password", "x", false),
        ] {
            let settings = Settings([(key.to_owned(), value.to_owned())].into());
            assert_eq!(Email.check(&settings).is_empty(), fine, "{key} {value}");
        }
        let many = vec!["a@example.com"; RECIPIENTS + 1].join(",");
        assert_eq!(Email.check(&Settings([("to".to_owned(), many)].into())).len(), 1);
    }
}
