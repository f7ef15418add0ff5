//! The twelve tools that a language model may call: one list, from which the schemas that it gets, the checks of what it
//! sends and the table in the README are made. All of them read; none runs anything, writes anything but a thought of this
//! investigation, or takes an address.

mod answers;
mod asking;
mod list;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub(super) use answers::Desk;
#[cfg(test)]
pub use asking::Asks;
pub use asking::{Answered, Asking, Nobody, Question, Recorded};
pub use list::{TOOLS, TRIAL};

use crate::model::Symptom;

/// A tool.
#[derive(Debug)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in a sentence or two.
    pub about: &'static str,
    /// Its arguments.
    pub params: &'static [Param],
}

/// An argument.
#[derive(Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// It may not be left out.
    pub required: bool,
    /// What it is, in a clause.
    pub about: &'static str,
}

/// What an argument holds.
#[derive(Debug)]
pub enum Kind {
    /// Text of at most so many letters.
    Text(usize),
    /// A whole number between two bounds.
    Number(u64, u64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Ids of evidence.
    Ids,
    /// At most so many objects with these fields.
    Objects(usize, &'static [Param]),
}

/// Ids of evidence in one place.
const MOST_IDS: usize = 20;

/// The JSON schema of arguments.
pub fn schema(params: &[Param]) -> Value {
    let properties: Map<String, Value> =
        params.iter().map(|p| (p.name.to_owned(), of_kind(&p.kind, p.about))).collect();
    let required: Vec<&str> = params.iter().filter(|p| p.required).map(|p| p.name).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn of_kind(kind: &Kind, about: &str) -> Value {
    match kind {
        Kind::Text(most) => json!({"type": "string", "maxLength": most, "description": about}),
        Kind::Number(least, most) => {
            json!({"type": "integer", "minimum": least, "maximum": most, "description": about})
        }
        Kind::Word(words) => json!({"type": "string", "enum": words, "description": about}),
        Kind::Ids => {
            json!({"type": "array", "maxItems": MOST_IDS, "items": {"type": "string", "pattern": "^E[0-9]+$"}, "description": about})
        }
        Kind::Objects(most, params) => {
            json!({"type": "array", "maxItems": most, "items": schema(params), "description": about})
        }
    }
}

/// A call that was understood.
#[derive(Debug, PartialEq)]
pub(super) enum Wish {
    Incident,
    Alerts(OfAlerts),
    Hypotheses,
    Topology(OfPlace),
    Changes(OfPlace),
    Similar,
    Runbook(OfPlace),
    MetricList(OfPlace),
    MetricQuery(OfMetric),
    LogSearch(OfLogs),
    Note(Statement),
    Finish(Finishing),
}

impl Wish {
    /// The same about places as they are really called.
    pub fn with_names(mut self, real: impl Fn(&str) -> String) -> Self {
        let fields: [Option<&mut Option<String>>; 3] = match &mut self {
            Self::Alerts(of) => [Some(&mut of.service), Some(&mut of.host), Some(&mut of.text)],
            Self::Topology(of) | Self::Changes(of) | Self::Runbook(of) | Self::MetricList(of) => {
                [Some(&mut of.service), Some(&mut of.host), None]
            }
            Self::MetricQuery(of) => {
                of.metric = real(&of.metric);
                [Some(&mut of.service), Some(&mut of.host), None]
            }
            Self::LogSearch(of) => [Some(&mut of.service), Some(&mut of.host), Some(&mut of.text)],
            Self::Incident | Self::Hypotheses | Self::Similar | Self::Note(_) | Self::Finish(_) => [None, None, None],
        };
        for name in fields.into_iter().flatten().flatten() {
            *name = real(name);
        }
        self
    }
}

/// Which alerts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct OfAlerts {
    pub service: Option<String>,
    pub host: Option<String>,
    pub text: Option<String>,
    pub status: Option<String>,
    pub offset: usize,
    pub limit: Option<usize>,
}

/// Of which service or machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OfPlace {
    /// The service; none for any.
    pub service: Option<String>,
    /// The machine; none for any.
    pub host: Option<String>,
}

/// Which figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OfMetric {
    /// Its name, as the list of figures has it.
    pub metric: String,
    /// The service; none for any.
    pub service: Option<String>,
    /// The machine; none for any.
    pub host: Option<String>,
}

/// Which lines of logs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OfLogs {
    /// What stands in them; none for all that tell what went wrong.
    pub text: Option<String>,
    /// The service; none for any.
    pub service: Option<String>,
    /// The machine; none for any.
    pub host: Option<String>,
}

/// A sentence and what it rests on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Statement {
    pub text: String,
    pub evidence: Vec<String>,
}

/// A cause, as a model names it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub service: Option<String>,
    pub host: Option<String>,
    pub symptom: Option<Symptom>,
    pub text: String,
    pub evidence: Vec<String>,
}

/// The end.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Finishing {
    pub statements: Vec<Statement>,
    pub causes: Vec<Named>,
}

/// Reads a call. The error is a sentence for the model.
pub(super) fn read(name: &str, arguments: &str) -> Result<Wish, String> {
    let Some(tool) = TOOLS.iter().find(|t| t.name == name) else {
        let names: Vec<&str> = TOOLS.iter().map(|t| t.name).collect();
        return Err(format!("There is no such tool. There are: {}.", names.join(", ")));
    };
    let fields = checked(tool.params, arguments)?;
    fn typed<T: for<'de> Deserialize<'de>>(fields: Value) -> Result<T, String> {
        serde_json::from_value(fields).map_err(|e| format!("The arguments do not fit: {e}."))
    }
    Ok(match name {
        "incident" => Wish::Incident,
        "alerts" => Wish::Alerts(typed(fields)?),
        "hypotheses" => Wish::Hypotheses,
        "topology" => Wish::Topology(typed(fields)?),
        "changes" => Wish::Changes(typed(fields)?),
        "similar" => Wish::Similar,
        "runbook" => Wish::Runbook(typed(fields)?),
        "metric_list" => Wish::MetricList(typed(fields)?),
        "metric_query" => Wish::MetricQuery(typed(fields)?),
        "log_search" => Wish::LogSearch(typed(fields)?),
        "note" => Wish::Note(typed(fields)?),
        _ => Wish::Finish(typed(fields)?),
    })
}

/// The end, from the text of a model that calls no tools: the first JSON object in it.
pub(super) fn read_finish(text: &str) -> Result<Finishing, String> {
    let missing = || "There is no JSON object in the answer.".to_owned();
    let from = text.find('{').and_then(|at| text.get(at..)).ok_or_else(missing)?;
    let mut objects = serde_json::Deserializer::from_str(from).into_iter::<Value>();
    let object = objects.next().and_then(Result::ok).ok_or("The JSON object in the answer is broken.")?;
    match read("finish", &object.to_string())? {
        Wish::Finish(end) => Ok(end),
        _ => Err(missing()),
    }
}

/// Arguments that are as the list says; all that is wrong with them otherwise.
fn checked(params: &[Param], arguments: &str) -> Result<Value, String> {
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    let read: Value = serde_json::from_str(arguments).map_err(|e| format!("The arguments are not JSON: {e}."))?;
    // Some models write the object as a text once more.
    let read = match &read {
        Value::String(inner) => serde_json::from_str(inner).unwrap_or(read),
        Value::Null => Value::Object(Map::new()),
        _ => read,
    };
    let mut wrong = Vec::new();
    let value = object(params, read, "", &mut wrong);
    if wrong.is_empty() { Ok(value) } else { Err(format!("The arguments do not fit: {}.", wrong.join("; "))) }
}

fn object(params: &[Param], value: Value, at: &str, wrong: &mut Vec<String>) -> Value {
    let Value::Object(fields) = value else {
        wrong.push(format!("{} must be an object", if at.is_empty() { "they" } else { at }));
        return Value::Null;
    };
    let mut out = Map::new();
    for (name, value) in fields {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        match params.iter().find(|p| p.name == name) {
            // Null is a way to leave something out.
            Some(_) if value.is_null() => {}
            Some(param) => {
                let value = one(&param.kind, value, &path, wrong);
                out.insert(name, value);
            }
            None => {
                let known: Vec<&str> = params.iter().map(|p| p.name).collect();
                let known = if known.is_empty() {
                    "it takes none".to_owned()
                } else {
                    format!("known are {}", known.join(", "))
                };
                wrong.push(format!("`{}` is unknown, {known}", path.chars().take(60).collect::<String>()));
            }
        }
        if wrong.len() > 8 {
            break;
        }
    }
    for missing in params.iter().filter(|p| p.required && !out.contains_key(p.name)) {
        wrong.push(format!(
            "`{}` is missing",
            if at.is_empty() { missing.name.to_owned() } else { format!("{at}.{}", missing.name) }
        ));
    }
    Value::Object(out)
}

fn one(kind: &Kind, value: Value, at: &str, wrong: &mut Vec<String>) -> Value {
    let mut refuse = |what: String| {
        wrong.push(format!("`{at}` {what}"));
        Value::Null
    };
    match (kind, value) {
        (Kind::Text(most), Value::String(text)) => match text.chars().nth(*most) {
            None => Value::String(text),
            Some(_) => refuse(format!("may have {most} letters at most")),
        },
        (Kind::Text(_), _) => refuse("must be text".to_owned()),
        (Kind::Number(least, most), value) => {
            let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
            let whole = |f: f64| (f.fract() == 0.0 && (0.0..=1e9).contains(&f)).then_some(f as u64);
            match number.or_else(|| value.as_f64().and_then(whole)).filter(|n| (*least..=*most).contains(n)) {
                Some(n) => n.into(),
                None => refuse(format!("must be a whole number from {least} to {most}")),
            }
        }
        (Kind::Word(words), Value::String(text)) if words.contains(&text.as_str()) => Value::String(text),
        (Kind::Word(words), _) => refuse(format!("must be one of {}", words.join(", "))),
        (Kind::Ids, Value::Array(ids)) => {
            let ids: Option<Vec<String>> = ids.iter().map(id).collect();
            match ids.filter(|ids| ids.len() <= MOST_IDS) {
                Some(ids) => ids.into(),
                None => refuse(format!("must be at most {MOST_IDS} ids such as E3")),
            }
        }
        (Kind::Ids, _) => refuse("must be a list of ids such as E3".to_owned()),
        (Kind::Objects(most, params), Value::Array(items)) if items.len() <= *most => {
            let items =
                items.into_iter().enumerate().map(|(n, item)| object(params, item, &format!("{at}[{n}]"), wrong));
            items.collect()
        }
        (Kind::Objects(most, _), _) => refuse(format!("must be a list of at most {most} objects")),
    }
}

/// `E3`, also where it was written as `[E3]`.
fn id(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim().trim_start_matches('[').trim_end_matches(']');
    let number = text.strip_prefix(['E', 'e'])?;
    let fits = !number.is_empty() && number.len() <= 6 && number.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| format!("E{number}"))
}

#[cfg(test)]
#[path = "../tools_tests.rs"]
mod tests;
