//! The options of sources that people declare: the part of the list that stands in the file only, and in the page's form.

use super::{
    options::{Kind, Opt},
    values,
};
use crate::{
    connectors::declared,
    model::{Declaration, DeclaredField, Severity},
};

/// The options of a source that people declare; only in the file, as `sources.<name>.<option>`. Expressions are Jinja's,
/// over `item` and `body`.
pub const SOURCE_OPTIONS: &[Opt<Declaration>] = &[
    Opt {
        key: "items",
        kind: Kind::Text,
        placeholder: "EXPR",
        default: None,
        example: "body.alerts",
        help: "The list of alerts inside the body. Left out: as the generic connector finds it, else the whole body is one alert.",
        set: |to, text| expression(to, DeclaredField::Items, text),
    },
    Opt {
        key: "key",
        kind: Kind::Text,
        placeholder: "EXPR",
        default: None,
        example: "item.id",
        help: "What names an alert whatever else changes, the same for firing and resolved. Left out: a field such as dedup_key or id, else title with service and host.",
        set: |to, text| expression(to, DeclaredField::Key, text),
    },
    Opt {
        key: "status",
        kind: Kind::Text,
        placeholder: "EXPR",
        default: None,
        example: "item.state",
        help: "A word for its state; see resolved.",
        set: |to, text| expression(to, DeclaredField::Status, text),
    },
    Opt {
        key: "severity",
        kind: Kind::Text,
        placeholder: "EXPR",
        default: None,
        example: "item.level",
        help: "A word for its severity; see severities.",
        set: |to, text| expression(to, DeclaredField::Severity, text),
    },
    Opt {
        key: "title",
        kind: Kind::Text,
        placeholder: "EXPR",
        default: None,
        example: "item.name",
        help: "One line.",
        set: |to, text| expression(to, DeclaredField::Title, text),
    },
    Opt {
        key: "description",
        kind: Kind::Text,
        placeholder: "EXPR",
        default: None,
        example: "item.text",
        help: "Longer text.",
        set: |to, text| expression(to, DeclaredField::Description, text),
    },
    Opt {
        key: "labels",
        kind: Kind::Text,
        placeholder: "EXPR",
        default: None,
        example: "item.tags",
        help: "An object, a list of tags, or a text with commas.",
        set: |to, text| expression(to, DeclaredField::Labels, text),
    },
    Opt {
        key: "service",
        kind: Kind::Text,
        placeholder: "EXPR",
        default: None,
        example: "item.app",
        help: "The service concerned.",
        set: |to, text| expression(to, DeclaredField::Service, text),
    },
    Opt {
        key: "host",
        kind: Kind::Text,
        placeholder: "EXPR",
        default: None,
        example: "item.node.name",
        help: "The machine concerned.",
        set: |to, text| expression(to, DeclaredField::Host, text),
    },
    Opt {
        key: "environment",
        kind: Kind::Text,
        placeholder: "EXPR",
        default: None,
        example: "item.stage | default('production')",
        help: "The environment.",
        set: |to, text| expression(to, DeclaredField::Environment, text),
    },
    Opt {
        key: "time",
        kind: Kind::Text,
        placeholder: "EXPR",
        default: None,
        example: "item.since",
        help: "When it began; for a resolved alert, when it ended. RFC 3339, or a number of seconds or milliseconds since 1970.",
        set: |to, text| expression(to, DeclaredField::Time, text),
    },
    Opt {
        key: "link",
        kind: Kind::Text,
        placeholder: "EXPR",
        default: None,
        example: "'https://jobs.example.com/run/' ~ item.id",
        help: "Where to see it at the sender: an http or https address.",
        set: |to, text| expression(to, DeclaredField::Link, text),
    },
    Opt {
        key: "resolved",
        kind: Kind::List,
        placeholder: "WORDS",
        default: None,
        example: "done, recovered",
        help: "The words of status that mean that it is over. Left out: those that all senders share, such as resolved, ok or closed.",
        set: |to, text| {
            to.resolved = values::list(text).map(str::to_owned).collect();
            Ok(())
        },
    },
    Opt {
        key: "severities",
        kind: Kind::List,
        placeholder: "WORDS",
        default: None,
        example: "red=critical, amber=medium",
        help: "Words of severity, each with ours: critical, high, medium, low or info. Other words as for all senders.",
        set: severity_words,
    },
    Opt {
        key: "quiet_after",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: None,
        example: "2h",
        help: "The sender never says that it is over: resolve after this time without a repeat.",
        set: |to, text| {
            to.quiet_after_secs =
                Some(values::duration_within(text, "1m", "30d")?.as_secs().try_into().unwrap_or(u32::MAX));
            Ok(())
        },
    },
    Opt {
        key: "sample",
        kind: Kind::Text,
        placeholder: "JSON",
        default: None,
        example: "{}",
        help: "A body as the sender sends it, for tests.",
        set: |to, text| {
            to.sample = Some(text.to_owned());
            Ok(())
        },
    },
];

/// The key of a declared source's option.
pub fn source_key(slug: &str, option: &str) -> String {
    format!("sources.{slug}.{option}")
}

fn expression(to: &mut Declaration, field: DeclaredField, text: &str) -> Result<(), String> {
    let wrong = declared::wrong_expression(text);
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    to.set(field, text);
    Ok(())
}

fn severity_words(to: &mut Declaration, text: &str) -> Result<(), String> {
    for pair in values::list(text) {
        let (word, ours) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is no pair such as `red=critical`"))?;
        to.severities.insert(word.trim().to_owned(), ours.trim().parse::<Severity>()?);
    }
    Ok(())
}
