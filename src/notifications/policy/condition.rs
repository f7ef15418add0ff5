//! Conditions of rules: expressions of minijinja over what is known of an incident.

use std::sync::LazyLock;

use minijinja::{Environment, ErrorKind, Expression, UndefinedBehavior, Value, filters, tests};

/// Longest condition, in bytes.
const LONGEST: usize = 1_000;
/// Instructions of one evaluation; there are no loops.
const FUEL: u64 = 10_000;

/// The names that a condition may use.
pub const NAMES: &[&str] = &[
    "severity",
    "service",
    "services",
    "host",
    "environment",
    "source",
    "title",
    "owner",
    "labels",
    "alerts",
    "status",
    "hour",
    "weekday",
    "manual",
];

/// A condition that can be asked.
pub type Compiled = Expression<'static, 'static>;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::empty();
    env.add_filter("lower", filters::lower);
    env.add_filter("upper", filters::upper);
    env.add_filter("trim", filters::trim);
    env.add_filter("default", filters::default);
    env.add_filter("length", filters::length);
    env.add_filter("first", filters::first);
    env.add_filter("last", filters::last);
    env.add_test("defined", tests::is_defined);
    env.add_test("undefined", tests::is_undefined);
    env.add_test("none", tests::is_none);
    env.add_test("in", tests::is_in);
    env.add_test("startingwith", tests::is_startingwith);
    env.add_test("endingwith", tests::is_endingwith);
    env.set_undefined_behavior(UndefinedBehavior::Chainable);
    env.set_fuel(Some(FUEL));
    env
});

/// Reads a condition.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn compile(text: &str) -> Result<Compiled, String> {
    if text.len() > LONGEST {
        return Err(format!("it has {} bytes; {LONGEST} are allowed", text.len()));
    }
    let compiled = ENVIRONMENT.compile_expression_owned(text.to_owned()).map_err(|e| {
        let what = e.detail().map_or_else(|| e.kind().to_string(), ToOwned::to_owned);
        format!("it cannot be read: {what}; write one such as severity == \"critical\" and \"db\" in service")
    })?;
    let strange: Vec<String> =
        compiled.undeclared_variables(false).into_iter().filter(|n| !NAMES.contains(&n.as_str())).collect();
    if let Some(name) = strange.first() {
        return Err(format!("there is no `{name}`; there are {}", NAMES.join(", ")));
    }
    Ok(compiled)
}

/// Whether it is true of these values.
///
/// # Errors
/// It cannot be said: the expression takes something for what it is not.
pub fn holds(condition: &Compiled, values: &Value) -> Result<bool, String> {
    match condition.eval(values) {
        Ok(value) => Ok(value.is_true()),
        Err(e) if e.kind() == ErrorKind::OutOfFuel => Err("the condition is too much work".to_owned()),
        Err(e) => Err(e.detail().map_or_else(|| e.kind().to_string(), ToOwned::to_owned)),
    }
}
