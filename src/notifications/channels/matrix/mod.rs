//! Matrix, client-server API: the first message about an incident is edited in place, and what follows stands in a thread
//! below it. The same message is never there twice: its transaction id is ours.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Answered, CA, Call, Channel, Credentials, Field, FieldKind, Follows, HttpCall, Info, Judged, Method, Receipt,
    Settings, To, common, text,
};
use crate::{
    model::{Mistake, NoticeEvent},
    notifications::message::{About, Message, Subject},
};

/// What an event may take in all, 65,536 bytes (<https://spec.matrix.org/latest/client-server-api/#size-limits>), with room
/// for what the server puts around it.
const MOST_BYTES: usize = 60_000;
/// The version of the API's paths, and the one of old servers.
const NOW: &str = "v3";
const OLD: &str = "r0";

static INFO: Info = Info {
    kind: "matrix",
    name: "Matrix",
    tile: "Mx",
    what: "Writes into a room of Matrix (Element and others), with a thread for each incident.",
    steps: &[
        "Make an account for Watchfire on your homeserver and invite it into the room; accept the invitation with it.",
        "Copy its access token: in Element, Settings > Help & About > Advanced > Access Token.",
        "The room must not be encrypted: Watchfire cannot write into encrypted rooms.",
    ],
    fields: &[
        Field {
            key: "homeserver",
            label: "Homeserver",
            help: "The server's address: https://matrix.example.com",
            kind: FieldKind::Url,
            secret: false,
            required: true,
            default: "",
        },
        Field {
            key: "token",
            label: "Access token",
            help: "Of Watchfire's own account; it often begins with syt_ or mct_.",
            kind: FieldKind::Text,
            secret: true,
            required: true,
            default: "",
        },
        Field {
            key: "room",
            label: "Room",
            help: "Its id from Room settings > Advanced (!abc:example.com), or its address (#incidents:example.com).",
            kind: FieldKind::Text,
            secret: false,
            required: true,
            default: "",
        },
        CA,
    ],
    address: Some("room"),
    follows: Follows::Read,
    rate: (1, Duration::from_secs(1)),
};

/// The channel.
pub struct Matrix;

impl Channel for Matrix {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let room = settings.get("room");
        // Ids of newer rooms have no server's name.
        let id = room.strip_prefix('!').is_some_and(|rest| !rest.is_empty());
        let alias = room.strip_prefix('#').and_then(|rest| rest.split_once(':'));
        let alias = alias.is_some_and(|(name, server)| !name.is_empty() && !server.is_empty());
        let right = (id || alias) && !room.contains(|c: char| c.is_whitespace() || c.is_control());
        let what = "A room is !id:example.com or #name:example.com.";
        if room.is_empty() || right { Vec::new() } else { vec![Mistake::new("/settings/room", what)] }
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let api = to.lasting.get("api").map_or(NOW, String::as_str);
        let room = to.settings.get("room");
        if !room.starts_with('#') {
            return tell(to, message, api, room);
        }
        match to.lasting.get(&room_key(room)) {
            Some(id) => tell(to, message, api, id),
            None => vec![lookup(to, api, room)],
        }
    }

    fn judge(&self, to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged {
        let said = answer.json();
        let code = common::at(&said, "errcode").as_str().unwrap_or_default();
        let why = || {
            let error = text::cut(&text::line(common::at(&said, "error").as_str().unwrap_or_default()), 200);
            match (code, error.as_str()) {
                ("", _) => text::status(answer.status),
                (code, "") => format!("Matrix: {}", text::cut(&text::line(code), 60)),
                (code, error) => format!("Matrix: {error} ({})", text::cut(&text::line(code), 60)),
            }
        };
        let never = |advice: &str| Judged::Never { why: format!("{}. {advice}", why()), broken: true };
        let Call::Http(http) = call else { return never("This is no request.") };
        match (answer.status, code) {
            (200..300, _) if call.step() == "room" => {
                let room = to.settings.get("room");
                let Some(id) = common::at(&said, "room_id").as_str() else {
                    return never("The server named no room for this address; put in the room's id.");
                };
                let api = if http.url.contains("/_matrix/client/r0/") { OLD } else { NOW };
                let calls = tell(to, message, api, id);
                let lasting = Receipt::from([(room_key(room), id.to_owned())]);
                Judged::Instead { calls, lasting, forget: Vec::new() }
            }
            (200..300, _) => {
                let event = common::at(&said, "event_id")
                    .as_str()
                    .filter(|_| call.step() == "send" && message.subject().is_some());
                let room = room_of(&http.url).unwrap_or_default();
                let receipt = event.map(|e| [("event".to_owned(), e.to_owned()), ("room".to_owned(), room.to_owned())]);
                Judged::Done { receipt: receipt.into_iter().flatten().collect(), lasting: Receipt::new() }
            }
            // Servers that are old enough to need it answered 400 to paths that they did not know.
            (400 | 404 | 405, "M_UNRECOGNIZED") if http.url.contains("/_matrix/client/v3/") => {
                let url = http.url.replacen("/_matrix/client/v3/", "/_matrix/client/r0/", 1);
                let calls = vec![Call::Http(HttpCall { url, ..http.clone() })];
                let lasting = Receipt::from([("api".to_owned(), OLD.to_owned())]);
                Judged::Instead { calls, lasting, forget: Vec::new() }
            }
            (429, _) => {
                let wish = common::at(&said, "retry_after_ms").as_u64().map(Duration::from_millis);
                let header = answer.header("retry-after").and_then(|v| text::retry_after(v, message.now));
                Judged::Later { after: wish.or(header), why: why() }
            }
            (_, "M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN" | "M_USER_DEACTIVATED" | "M_USER_LOCKED") => {
                never("Sign in with Watchfire's account again and copy its access token.")
            }
            (_, "M_FORBIDDEN") => {
                never("Invite Watchfire's account into the room, accept the invitation, and let it write there.")
            }
            (404, "M_NOT_FOUND") if call.step() == "room" => never("No room has this address; look at its spelling."),
            // What was to be edited is gone or in another room: the thread tells it all the same.
            (400 | 404, _) if call.step() == "edit" => Judged::done(),
            _ => {
                let judged = Judged::by_status(answer, message.now);
                common::advised(judged, answer, "Look at the homeserver's address and the room.")
            }
        }
    }
}

fn room_key(alias: &str) -> String {
    format!("room {alias}")
}

fn request(to: &To, step: &'static str, method: Method, path: &str, body: super::Body) -> Call {
    let base = to.settings.get("homeserver").trim_end_matches('/');
    Call::Http(HttpCall {
        method,
        credentials: Credentials::Bearer(to.settings.get("token").to_owned()),
        body,
        ..HttpCall::post(step, format!("{base}/_matrix/client/{path}"), Value::Null)
    })
}

fn lookup(to: &To, api: &str, alias: &str) -> Call {
    let path = format!("{api}/directory/room/{}", common::segment(alias));
    request(to, "room", Method::Get, &path, super::Body::Empty)
}

/// The room in the address of a call, as it stands there.
fn room_of(url: &str) -> Option<&str> {
    url.split_once("/rooms/")?.1.split('/').next()
}

fn tell(to: &To, message: &Message, api: &str, room: &str) -> Vec<Call> {
    let room = common::segment(room);
    let send = |step: &'static str, body: Value| {
        let path = format!("{api}/rooms/{room}/send/m.room.message/{}-{step}", common::segment(&message.key));
        request(to, step, Method::Put, &path, super::Body::Json(body))
    };
    // What stands in another room is not edited from this one.
    let known = to.receipt.get("event").filter(|_| to.receipt.get("room") == Some(&room));
    match (known, message.subject()) {
        (Some(event), Some(subject)) => {
            let mut below = follow_up(message, subject);
            common::put(
                &mut below,
                "m.relates_to",
                json!({
                    "rel_type": "m.thread", "event_id": event, "is_falling_back": true, "m.in_reply_to": { "event_id": event },
                }),
            );
            vec![send("edit", edit(message, event)), send("thread", below)]
        }
        _ => vec![send("send", bounded(message, |most| content(message, most)))],
    }
}

/// Makes what fits: long texts are cut to the half until it does.
fn bounded(message: &Message, make: impl Fn(usize) -> Value) -> Value {
    let mut most = message.subject().map_or(0, |_| 10_000);
    loop {
        let made = make(most);
        if most < 100 || made.to_string().len() <= MOST_BYTES {
            return made;
        }
        most /= 2;
    }
}

/// In place of the first message. Programs that know no edits show what begins with a star.
fn edit(message: &Message, event: &str) -> Value {
    bounded(message, |most| {
        let new = content(message, most);
        let mut body = new.clone();
        for field in ["body", "formatted_body"] {
            common::put(&mut body, field, json!(format!("* {}", common::at(&new, field).as_str().unwrap_or_default())));
        }
        common::put(&mut body, "m.new_content", new);
        common::put(&mut body, "m.relates_to", json!({ "rel_type": "m.replace", "event_id": event }));
        body
    })
}

fn event(kind: &str, body: String, html: String) -> Value {
    // No mentions, whatever the text says.
    json!({
        "msgtype": kind, "body": body, "format": "org.matrix.custom.html", "formatted_body": html, "m.mentions": {},
    })
}

/// Notices ring nowhere: what calls nobody to work is one.
fn kind(message: &Message) -> &'static str {
    match message.event() {
        NoticeEvent::Acknowledged | NoticeEvent::Analyzed | NoticeEvent::Resolved | NoticeEvent::Merged => "m.notice",
        _ => "m.text",
    }
}

/// Two forms of one text.
#[derive(Default)]
struct Both {
    plain: Vec<String>,
    html: Vec<String>,
}

impl Both {
    fn add(&mut self, plain: String, html: String) {
        self.plain.push(plain);
        self.html.push(html);
    }

    fn words(&mut self, words: &str) {
        self.add(words.to_owned(), text::html(words).replace('\n', "<br>"));
    }

    fn links(&mut self, links: &[(&str, &str)]) {
        let plain: Vec<String> = links.iter().map(|(words, url)| format!("{words}: {url}")).collect();
        let html: Vec<String> =
            links.iter().map(|(words, url)| format!("<a href=\"{}\">{words}</a>", text::html(url))).collect();
        self.add(plain.join("\n"), html.join(" · "));
    }

    fn event(self, kind: &str) -> Value {
        event(kind, self.plain.join("\n\n"), self.html.join("<br><br>"))
    }
}

/// All of a message; long texts have at most so many characters each.
fn content(message: &Message, most: usize) -> Value {
    let look = text::look(message);
    let head = format!("{} {}", look.sign, common::headline(message, 500));
    let mut both = Both::default();
    let colour = look.colour;
    both.add(head.clone(), format!("<b><font data-mx-color=\"{colour}\">{}</font></b>", text::html(&head)));
    match &message.about {
        About::Incident(subject) => {
            both.words(&common::lead(message, subject));
            if let Some(words) = subject.description.as_deref().filter(|d| !d.trim().is_empty()) {
                both.words(&text::cut(&common::foreign(words), most));
            }
            if let Some(answer) = &subject.answer {
                both.words(&text::cut(&common::foreign(&text::answer(answer)), most));
            }
            both.words(&common::fact_lines(message, subject, 200).join("\n"));
            let mut links = vec![("Open incident", subject.url.as_str())];
            links.extend(message.ack_url.as_deref().map(|url| ("Acknowledge", url)));
            links.extend(subject.runbook_url.as_deref().filter(|url| url.len() <= 1_000).map(|url| ("Runbook", url)));
            both.links(&links);
        }
        About::Digest(digest) => {
            both.words(&common::digest_lines(digest).get(1..).unwrap_or_default().join("\n"));
            both.links(&[("All of them", &digest.url)]);
        }
        About::Test { .. } => both.words("If you can read this, messages arrive here."),
    }
    if let Some(remarks) = text::remarks(message) {
        both.words(&remarks);
    }
    both.words(&common::foreign_line(&message.reason, 300));
    both.event(kind(message))
}

/// What stands in the thread.
fn follow_up(message: &Message, subject: &Subject) -> Value {
    let look = text::look(message);
    let head = format!("{} {}", look.sign, common::foreign_line(&text::happened(message), 200));
    let mut both = Both::default();
    both.add(head.clone(), format!("<b>{}</b>", text::html(&head)));
    both.words(&format!("{}: {}", subject.id, common::foreign_line(&subject.title, 300)));
    if message.events.contains(&NoticeEvent::Analyzed)
        && let Some(answer) = &subject.answer
    {
        both.words(&text::cut(&common::foreign(&text::answer(answer)), 2_000));
    }
    if let Some(how) = subject.resolution.as_deref().filter(|_| message.is_over()) {
        both.words(&text::cut(&common::foreign(how), 1_000));
    }
    let mut links = vec![("Open incident", subject.url.as_str())];
    links.extend(message.ack_url.as_deref().map(|url| ("Acknowledge", url)));
    both.links(&links);
    if let Some(remarks) = text::remarks(message) {
        both.words(&remarks);
    }
    both.event(kind(message))
}
