//! Texts of the catalogue with names to be filled in, and what may stand where a shell reads it.

use std::collections::BTreeMap;

use crate::investigation::words;

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Anything that can be shown; in a command one quoted word of its own, never inside quotes.
    Free,
    /// Letters, digits and `. _ - / : @ % ~` only: no shell, however many read it in turn, and no query language finds
    /// anything in it but a name.
    Inert,
}

/// Every placeholder with its form and what it is, for documents and messages.
pub const PLACEHOLDERS: &[(&str, Form, &str)] = &[
    ("service", Form::Free, "the service at fault"),
    ("version", Form::Free, "the version that a change brought"),
    ("sender", Form::Free, "who sent the alert"),
    ("host", Form::Inert, "the machine at fault"),
    ("host_url", Form::Inert, "the same as an address has it (IPv6 in brackets)"),
    ("since", Form::Inert, "ten minutes before the first alert, RFC 3339"),
    ("since_unix", Form::Inert, "the same in seconds since 1970"),
    ("commit", Form::Inert, "the commit"),
    ("namespace", Form::Inert, "of Kubernetes"),
    ("pod", Form::Inert, "of Kubernetes"),
    ("server_pod", Form::Inert, "the same, unless it is an exporter's"),
    ("container", Form::Inert, "of Kubernetes, Docker or Podman"),
    ("deployment", Form::Inert, "of Kubernetes; else the service where a namespace is known"),
    ("statefulset", Form::Inert, "of Kubernetes"),
    ("daemonset", Form::Inert, "of Kubernetes"),
    ("kube_job", Form::Inert, "a job of Kubernetes"),
    ("node", Form::Inert, "of Kubernetes"),
    ("claim", Form::Inert, "a persistent volume claim"),
    ("ingress", Form::Inert, "of Kubernetes"),
    ("unit", Form::Inert, "of systemd"),
    ("database", Form::Inert, "its name"),
    ("topic", Form::Inert, "of Kafka"),
    ("group", Form::Inert, "a consumer group of Kafka"),
    ("queue", Form::Inert, "of RabbitMQ"),
    ("vhost", Form::Inert, "of RabbitMQ"),
    ("index", Form::Inert, "of Elasticsearch"),
    ("mountpoint", Form::Inert, "a folder: /var"),
    ("device", Form::Inert, "a disk without /dev/: sda"),
    ("interface", Form::Inert, "of the network: eth0"),
    ("domain", Form::Inert, "a name of the DNS"),
    ("url", Form::Inert, "an address that is checked, without its query"),
    ("build_url", Form::Inert, "the page of a build"),
    ("repository", Form::Inert, "owner/name"),
    ("run_id", Form::Inert, "the number of a run of GitHub Actions"),
    ("branch", Form::Inert, "of the repository"),
];

/// The form of a placeholder; none for one that there is not.
pub fn form(name: &str) -> Option<Form> {
    PLACEHOLDERS.iter().find(|(known, ..)| *known == name).map(|(_, form, _)| *form)
}

/// A piece of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// As it stands.
    Text(&'a str),
    /// The name between braces.
    Name(&'a str),
}

/// The pieces of a template. Braces around anything but a name in small letters are text: `{print $1}`, `{{.Names}}`.
pub fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(open) = template.get(at..).and_then(|rest| rest.find('{')).map(|i| at + i) {
        let inner = template.get(open + 1..).unwrap_or("");
        let length = inner.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(inner.len());
        // `%{http_code}`, `${name}` and `{{name}}` belong to curl, the shell and Go.
        let others = template.get(..open).is_some_and(|before| before.ends_with(['%', '$', '{']));
        if length > 0 && !others && inner.get(length..).is_some_and(|rest| rest.starts_with('}')) {
            found.extend(template.get(from..open).filter(|t| !t.is_empty()).map(Piece::Text));
            found.extend(inner.get(..length).map(Piece::Name));
            from = open + length + 2;
            at = from;
        } else {
            at = open + 1;
        }
    }
    found.extend(template.get(from..).filter(|t| !t.is_empty()).map(Piece::Text));
    found
}

/// Ways to reach a server, by name: each has several forms, of which the first is used whose names are known.
pub type Ways = BTreeMap<String, Vec<String>>;

/// The template with its way spelled out, once for each form of the way; itself when it names none.
pub fn spelled_out(template: &str, ways: &Ways) -> Vec<String> {
    let way = pieces(template).into_iter().find_map(|p| match p {
        Piece::Name(name) => ways.get_key_value(name),
        Piece::Text(_) => None,
    });
    match way {
        Some((name, forms)) => forms.iter().map(|form| template.replace(&format!("{{{name}}}"), form)).collect(),
        None => vec![template.to_owned()],
    }
}

/// What is wrong with a command, as a sentence of advice; nothing when it may be filled with anybody's names.
pub fn mistakes(command: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut quote: Option<char> = None;
    let second = reads_again(command);
    for piece in pieces(command) {
        match piece {
            Piece::Text(text) => {
                let mut chars = text.chars();
                while let Some(c) = chars.next() {
                    match (quote, c) {
                        (None | Some('"'), '\\') => drop(chars.next()),
                        (None, '\'' | '"') => quote = Some(c),
                        (Some(open), c) if c == open => quote = None,
                        (None | Some('"'), '`') => {
                            wrong.push("a backquote runs what it encloses; write it without".to_owned())
                        }
                        (_, c) if c.is_control() => {
                            wrong.push("it has a control character or a line end; write one line".to_owned())
                        }
                        _ => {}
                    }
                }
            }
            Piece::Name(name) if form(name) == Some(Form::Free) => {
                if quote.is_some() {
                    wrong.push(format!("{{{name}}} stands inside quotes; it is quoted by itself, so put it outside"));
                }
                if let Some(word) = second {
                    wrong.push(format!("{{{name}}} would be read once more by what comes after `{word}`; only names such as {{host}} or {{pod}} may stand there"));
                }
            }
            Piece::Name(_) => {}
        }
    }
    if quote.is_some() {
        wrong.push("a quotation mark is not closed".to_owned());
    }
    for word in ["eval", "$("] {
        if command.contains(word) {
            wrong.push(format!("`{word}` runs text as a command; write the command out"));
        }
    }
    wrong
}

/// What hands its arguments to another reader: a second shell, a query language, an address.
fn reads_again(command: &str) -> Option<&'static str> {
    const READERS: [&str; 8] = ["ssh", "sh", "bash", "psql", "mysql", "mariadb", "xargs", "sudo"];
    let word = command
        .split(|c: char| c.is_whitespace() || matches!(c, '|' | ';' | '&' | '/'))
        .find_map(|w| READERS.iter().find(|r| **r == w));
    word.copied().or_else(|| ["://", " -c ", " -e "].into_iter().find(|mark| command.contains(mark)))
}

/// What the placeholders stand for in one incident.
#[derive(Clone, Debug, Default)]
pub struct Names {
    values: BTreeMap<&'static str, String>,
}

impl Names {
    /// Takes a name, unless one is known already or this one could do harm.
    pub fn put(&mut self, name: &'static str, value: Option<&str>) {
        let Some(form) = form(name) else { return };
        // Only the address of an IPv6 host has brackets, and those only around it.
        let bare = |v: &str| match v.strip_prefix('[').and_then(|v| v.strip_suffix(']')) {
            Some(inner) if name == "host_url" => is_inert(inner) && inner.contains(':'),
            _ => is_inert(v),
        };
        let fits = |v: &&str| is_usable(v) && (form == Form::Free || bare(v));
        if let Some(value) = value.filter(fits) {
            self.values.entry(name).or_insert_with(|| value.to_owned());
        }
    }

    /// A name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The command; none when a name is not known.
    pub fn command(&self, template: &str, ways: &Ways) -> Option<String> {
        spelled_out(template, ways).iter().find_map(|t| self.fill(t, shell_quote))
    }

    /// A sentence; none when a name is not known.
    pub fn text(&self, template: &str) -> Option<String> {
        self.fill(template, words::plain)
    }

    fn fill(&self, template: &str, write: impl Fn(&str) -> String) -> Option<String> {
        let mut out = String::with_capacity(template.len() + 32);
        for piece in pieces(template) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Name(name) => {
                    let value = self.values.get(name)?;
                    out.push_str(&write(value));
                }
            }
        }
        Some(out)
    }
}

/// The longest name that is put into a command.
const LONGEST: usize = 253;

/// Names come from whoever can send an alert. What could pose as an option, or as something else on a screen, is not used.
fn is_usable(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= LONGEST
        && !value.starts_with('-')
        && value.trim() == value
        && !value.chars().any(|c| c.is_control() || words::is_mark(c) || (c.is_whitespace() && c != ' '))
}

/// Nothing that a shell, SQL, an address or an option reads as more than a part of a name. `~` and `%` do not begin one.
fn is_inert(value: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'@' | b'%' | b'~');
    !value.starts_with(['~', '%', '@']) && value.bytes().all(plain)
}

/// One word of a POSIX shell, whatever the text holds.
pub(super) fn shell_quote(value: &str) -> String {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'@' | b'+' | b'%' | b'~');
    if !value.is_empty() && value.bytes().all(plain) && !value.starts_with('~') {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}
