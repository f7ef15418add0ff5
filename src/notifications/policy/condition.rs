//! Conditions of rules: expressions of minijinja over what is known of an incident.

use std::sync::LazyLock;

use minijinja::{Environment, ErrorKind, Expression, UndefinedBehavior, Value, filters, tests};

/// Longest condition, in bytes.
const LONGEST: usize = 1_000;
/// Instructions of one evaluation; there are no loops.
const FUEL: u64 = 10_000;
/// Brackets and filters within each other.
const DEEPEST: usize = 50;

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
    env.set_recursion_limit(DEEPEST);
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
        // Of an end that comes too soon the range is that of the last word.
        let begin = if what.contains("end of input") { Some(text.len()) } else { e.range().map(|r| r.start) };
        let at = begin.map_or_else(String::new, |begin| place(text, begin));
        format!("it cannot be read{at}: {what}; write one such as severity == \"critical\" and \"db\" in service")
    })?;
    let strange: Vec<String> =
        compiled.undeclared_variables(false).into_iter().filter(|n| !NAMES.contains(&n.as_str())).collect();
    if let Some(name) = strange.first() {
        return Err(format!("there is no `{name}`; there are {}", NAMES.join(", ")));
    }
    Ok(compiled)
}

/// Where in a condition: ` at character 12, before “]) and x”`.
fn place(text: &str, byte: usize) -> String {
    let (before, rest) = text.split_at_checked(byte).unwrap_or((text, ""));
    let next: String = rest.chars().take(12).collect();
    let near = if next.trim().is_empty() { "at the end".to_owned() } else { format!("before “{}”", next.trim()) };
    format!(" at character {}, {near}", before.chars().count() + 1)
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

#[cfg(test)]
mod checks {
    use minijinja::context;

    use super::*;

    fn asked(text: &str) -> Result<bool, String> {
        let values = context! {
            severity => "critical", service => "payments-db", services => ["payments-db", "checkout"], host => "db-1",
            environment => "prod", source => "grafana", title => "{{ 7 * 7 }} {% for x in y %}", owner => "",
            labels => context! { team => "payments", note => "{{ severity }}" }, alerts => 3, status => "investigating",
            hour => 3, weekday => "mon", manual => false,
        };
        holds(&compile(text)?, &values)
    }

    #[test]
    fn conditions_hold_or_not() {
        for (text, want) in [
            ("true", true),
            (r#"severity == "critical" and "db" in service"#, true),
            (r#"severity in ["low", "info"]"#, false),
            (r#""checkout" in services and services | length == 2"#, true),
            (r#"labels.team == "payments" and not manual"#, true),
            ("labels.nothing.at.all", false),
            (r#"labels.nothing | default("x") == "x""#, true),
            (r#"service is startingwith "pay" and service | upper == "PAYMENTS-DB""#, true),
            (r#"hour < 6 or weekday == "sun""#, true),
            ("alerts > 3", false),
            (r#"owner"#, false),
            // What alerts say is text, never asked: neither shown as 49 nor read as a loop.
            (r#""49" in title"#, false),
            (r#"title | length == 28"#, true),
            (r#"labels.note == "{{ severity }}""#, true),
            (r#""critical" in labels.note"#, false),
        ] {
            assert_eq!(asked(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_place() {
        for (text, words) in [
            ("sevrity == 1", "there is no `sevrity`; there are severity, service"),
            ("severity ==", "at the end"),
            ("severity == ] and service", "at character 13, before “] and servic”"),
            ("ü == 1", "at character 1, before “ü == 1”"),
            ("severity | nothing", "nothing"),
            ("severity is strange", "strange"),
            ("range(1000000)", "there is no `range`"),
            ("lipsum", "there is no `lipsum`"),
            ("{% for x in services %}", "cannot be read"),
            ("", "cannot be read"),
        ] {
            let said = asked(text).expect_err(text);
            assert!(said.contains(words), "{text}: {said}");
            assert!(said.len() < 600, "{text}: {said}");
        }
    }

    #[test]
    fn conditions_are_bounded_in_size_depth_and_work() {
        let long = format!("severity == \"{}\"", "x".repeat(LONGEST));
        let deep = format!("{}severity{}", "(".repeat(400), ")".repeat(400));
        let not = format!("{}true", "not ".repeat(240));
        let lists = format!("{}{}", "[".repeat(480), "]".repeat(480));
        for (text, words) in [(&long, "1000 are allowed"), (&deep, "cannot be read"), (&not, ""), (&lists, "")] {
            let said = asked(text);
            assert!(said.as_ref().err().is_none_or(|e| e.contains(words)), "{text}: {said:?}");
        }
        assert!(asked(&long).is_err() && asked(&deep).is_err());
        // Nothing that fits can be made to need much: texts that double are cut short by what may be used.
        let doubled = "(title ~ title)".to_owned() + &" ~ title ~ title".repeat(50);
        assert!(asked(&format!("{doubled} | length > 0")).is_ok());
        let power = "alerts ** alerts ** 99 ** 99 > 0";
        let said = asked(power);
        assert!(said.as_ref().err().is_none_or(|e| !e.is_empty()), "{said:?}");
    }

    #[test]
    fn what_cannot_be_said_is_an_error_and_no_panic() {
        for text in
            ["severity + 1 > 0", "services - 1", "labels > 3 + severity", "alerts / 0", "alerts // 0", "alerts % 0"]
        {
            let said = asked(text);
            assert!(said.as_ref().is_ok_and(|_| true) || said.as_ref().is_err_and(|e| !e.is_empty()), "{text}");
        }
        assert!(asked("severity + 1 > 0").is_err());
    }
}
