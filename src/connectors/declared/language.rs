//! The language of declarations: Jinja's expressions with the filters and tests that cannot grow without bounds, and what
//! is said about an expression that does not work.

use std::{borrow::Cow, sync::LazyLock};

use minijinja::{Environment, Error, ErrorKind, Expression, State, UndefinedBehavior, filters, tests, value::Value};

use super::document::{LONGEST, Node, PIECE};
use crate::connectors::{nearest, text};

/// Longest expression, in bytes.
pub(super) const LONGEST_EXPRESSION: usize = 1000;
/// Brackets inside of each other.
const DEEPEST: usize = 32;
/// Instructions of one evaluation. There are no loops, so only a mistake in the language itself could use them up.
const FUEL: u64 = 10_000;
/// The names that an expression may use.
const NAMES: [&str; 2] = ["item", "body"];
/// Pieces that `split` makes at most.
const PIECES: usize = 1000;

/// An expression that can be evaluated.
pub(super) type Compiled = Expression<'static, 'static>;

/// Why an expression does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Character in the expression, from 1, where it is known.
    pub place: Option<usize>,
    /// What is wrong and what would be right.
    pub what: String,
}

impl Fault {
    fn new(what: impl Into<String>) -> Self {
        Self { place: None, what: what.into() }
    }

    fn at(source: &str, offset: usize, what: impl Into<String>) -> Self {
        let place = source.get(..offset).map(|before| before.chars().count() + 1);
        Self { place, what: what.into() }
    }
}

macro_rules! language {
    (filters: $($filter:literal => $f:expr,)+ ; tests: $($test:literal => $t:expr,)+) => {
        const FILTERS: &[&str] = &[$($filter),+];
        const TESTS: &[&str] = &[$($test),+];

        fn environment() -> Environment<'static> {
            let mut env = Environment::empty();
            $(env.add_filter($filter, $f);)+
            $(env.add_test($test, $t);)+
            env.set_undefined_behavior(UndefinedBehavior::Chainable);
            env.set_fuel(Some(FUEL));
            env.set_debug(false);
            env
        }
    };
}

// Nothing here multiplies what it is given, and nothing sorts or compares each with each.
language! {
    filters:
    "upper" => filters::upper,
    "lower" => filters::lower,
    "title" => filters::title,
    "capitalize" => filters::capitalize,
    "trim" => filters::trim,
    "replace" => replace,
    "split" => split,
    "join" => join,
    "default" => filters::default,
    "d" => filters::default,
    "length" => filters::length,
    "count" => filters::length,
    "first" => filters::first,
    "last" => filters::last,
    "list" => filters::list,
    "map" => filters::map,
    "select" => filters::select,
    "reject" => filters::reject,
    "selectattr" => filters::selectattr,
    "rejectattr" => filters::rejectattr,
    "min" => filters::min,
    "max" => filters::max,
    "abs" => filters::abs,
    "int" => filters::int,
    "float" => filters::float,
    "round" => filters::round,
    "string" => filters::string,
    "bool" => filters::bool,
    ;
    tests:
    "defined" => tests::is_defined,
    "undefined" => tests::is_undefined,
    "none" => tests::is_none,
    "true" => tests::is_true,
    "false" => tests::is_false,
    "boolean" => tests::is_boolean,
    "number" => tests::is_number,
    "string" => tests::is_string,
    "sequence" => tests::is_sequence,
    "mapping" => tests::is_mapping,
    "startingwith" => tests::is_startingwith,
    "endingwith" => tests::is_endingwith,
    "eq" => tests::is_eq,
    "equalto" => tests::is_eq,
    "ne" => tests::is_ne,
    "lt" => tests::is_lt,
    "le" => tests::is_le,
    "gt" => tests::is_gt,
    "ge" => tests::is_ge,
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);

/// Pays for what a filter makes; an error when the delivery may make no more.
fn pay(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    let body = state.lookup("body");
    match body.as_ref().and_then(|b| b.downcast_object_ref::<Node>()) {
        Some(node) if node.document().spend(1 + bytes / PIECE).is_none() => Err(Error::from(ErrorKind::OutOfFuel)),
        _ => Ok(()),
    }
}

fn too_long() -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("the text that it makes is longer than {LONGEST} bytes"))
}

fn replace(state: &State<'_, '_>, of: Cow<'_, str>, from: Cow<'_, str>, to: Cow<'_, str>) -> Result<String, Error> {
    let found = of.matches(&*from).count();
    if of.len() + found.saturating_mul(to.len()) > 2 * LONGEST {
        return Err(too_long());
    }
    pay(state, of.len() + found * to.len())?;
    Ok(of.replace(&*from, &to))
}

fn split(state: &State<'_, '_>, of: Cow<'_, str>, at: Option<Cow<'_, str>>) -> Result<Vec<Value>, Error> {
    let parts: Vec<Value> = match at.as_deref() {
        None | Some("") => of.split_whitespace().take(PIECES).map(Value::from).collect(),
        Some(at) => of.splitn(PIECES, at).map(Value::from).collect(),
    };
    pay(state, of.len() + parts.len() * PIECE)?;
    Ok(parts)
}

fn join(state: &State<'_, '_>, of: Value, between: Option<Cow<'_, str>>) -> Result<String, Error> {
    let between = between.unwrap_or_default();
    let mut out = String::new();
    for (n, value) in of.try_iter()?.enumerate() {
        if n > 0 {
            out.push_str(&between);
        }
        match value.as_str() {
            Some(text) => out.push_str(text),
            None => out.push_str(&value.to_string()),
        }
        if out.len() > LONGEST {
            return Err(too_long());
        }
    }
    pay(state, out.len())?;
    Ok(out)
}

/// Where an expression is nested deeper than anybody writes one: reading it takes stack for each level.
fn too_deep(source: &str) -> Option<usize> {
    let (mut open, mut more) = (0_usize, 0_usize);
    outside_quotes(source).find_map(|(offset, c)| {
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            // Each of these can stand before another of its kind.
            '-' | '+' => more += 1,
            _ if matches!(word_at(source, offset), "not" | "if" | "else") => more += 1,
            _ => {}
        }
        (open > DEEPEST || more > 4 * DEEPEST).then_some(offset)
    })
}

/// An expression, ready; or everything that is wrong with it.
pub(super) fn compile(source: &str) -> Result<Compiled, Vec<Fault>> {
    if source.len() > LONGEST_EXPRESSION {
        let what = format!("it is longer than {LONGEST_EXPRESSION} bytes; let the sender do a part of it");
        return Err(vec![Fault::new(what)]);
    }
    if source.contains("{{") || source.contains("{%") {
        return Err(vec![Fault::new(
            "it stands in braces of a template; write the expression alone, such as `item.name`",
        )]);
    }
    if let Some(offset) = too_deep(source) {
        return Err(vec![Fault::at(source, offset, "it is nested too deeply here; let the sender do a part of it")]);
    }
    let mut faults = unknown_words(source);
    if let Some(offset) = outside_quotes(source).find(|(_, c)| *c == '*').map(|(offset, _)| offset) {
        faults.push(Fault::at(source, offset, "`*` is not part of this language; divide, or let the sender multiply"));
        return Err(faults);
    }
    match ENVIRONMENT.compile_expression_owned(source.to_owned()) {
        Err(e) => {
            faults.push(syntax(source, &e));
            Err(faults)
        }
        Ok(compiled) => {
            let mut strange: Vec<String> =
                compiled.undeclared_variables(false).into_iter().filter(|n| !NAMES.contains(&n.as_str())).collect();
            strange.sort();
            for name in strange {
                let place =
                    outside_quotes(source).map(|(offset, _)| offset).find(|offset| word_at(source, *offset) == name);
                let what = format!(
                    "`{0}` is no name here; write `item.{0}` for a field of the alert or `body.{0}` for one of the whole body",
                    text::line(&name, 40)
                );
                faults.push(place.map_or_else(|| Fault::new(what.clone()), |at| Fault::at(source, at, what.clone())));
            }
            if faults.is_empty() { Ok(compiled) } else { Err(faults) }
        }
    }
}

fn syntax(source: &str, e: &Error) -> Fault {
    let said = e.detail().map_or_else(|| e.to_string(), str::to_owned);
    let what = format!(
        "{}; an expression looks like `item.name`, `item.tags[0]` or `item.level | lower`",
        text::line(&said, 200)
    );
    match e.range() {
        Some(range) => Fault::at(source, range.start.min(source.len()), what),
        None => Fault::new(what),
    }
}

/// Why an evaluation failed, in words.
pub(super) fn failure(e: &Error) -> String {
    let said = match e.kind() {
        ErrorKind::OutOfFuel => "it takes more steps than one delivery may".to_owned(),
        ErrorKind::UnknownMethod => "there are no methods here; use filters, such as `| lower`".to_owned(),
        _ => e.detail().map_or_else(|| e.kind().to_string(), str::to_owned),
    };
    text::line(&said, 200)
}

/// The characters of an expression that stand in no text of it, with their places.
fn outside_quotes(source: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    let mut escaped = false;
    source.char_indices().filter(move |(_, c)| {
        let inside = quote.is_some();
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if *c == '\\' => escaped = true,
            Some(q) if *c == q => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(*c),
            _ => {}
        }
        !inside && !matches!(c, '"' | '\'')
    })
}

/// The word that begins here; empty when none does, or when it is the name of a field.
fn word_at(source: &str, offset: usize) -> &str {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let (before, rest) = source.split_at_checked(offset).unwrap_or((source, ""));
    if before.ends_with(in_word) || before.trim_end().ends_with('.') {
        return "";
    }
    rest.split(|c: char| !in_word(c)).next().unwrap_or("")
}

/// Filters and tests that there are not. The language itself would find them only when it comes to them.
fn unknown_words(source: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut check = |what: &str, known: &[&str], offset: usize| {
        let word = word_at(source, offset);
        if !word.is_empty() && !known.contains(&word) {
            let hint = match nearest(word, known.iter().copied()).first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known.join(", ")),
            };
            faults.push(Fault::at(source, offset, format!("there is no {what} `{}`; {hint}", text::line(word, 40))));
        }
    };
    let skip = |from: usize| {
        let rest = source.get(from..).unwrap_or("");
        from + rest.len() - rest.trim_start().len()
    };
    for (offset, c) in outside_quotes(source) {
        if c == '|' {
            check("filter", FILTERS, skip(offset + 1));
        } else if word_at(source, offset) == "is" {
            let mut at = skip(offset + 2);
            if word_at(source, at) == "not" {
                at = skip(at + 3);
            }
            check("test", TESTS, at);
        }
    }
    faults
}

#[cfg(test)]
#[path = "language_tests.rs"]
mod language_tests;
