//! Conditions on an alert: read once, then asked often.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

use crate::model::{Alert, MatchOp, Matcher, Mistake, Severity};

/// Matchers of one mute.
const MOST: usize = 20;
/// Characters of a field's name or of a value.
const LONGEST: usize = 500;
/// Bytes of a compiled expression: `[a-z]{1000}` and its like are refused.
const COMPILED: usize = 256 << 10;
/// Levels of parentheses.
const NESTED: u32 = 30;
/// The fields that are no labels.
const NAMES: &[&str] = &["service", "host", "environment", "platform", "severity", "title", "name"];
/// Labels that name the rule behind an alert, in the order in which they are asked.
const RULE_LABELS: &[&str] = &["alertname", "alert_name", "alarm", "alert"];

/// What is asked of an alert.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its service.
    pub service: Option<&'a str>,
    /// Its host.
    pub host: Option<&'a str>,
    /// Its environment.
    pub environment: Option<&'a str>,
    /// Who sent it.
    pub platform: &'a str,
    /// How bad it is.
    pub severity: Severity,
    /// Its title.
    pub title: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

impl<'a> Facts<'a> {
    /// Of an alert as it is stored.
    pub fn of(alert: &'a Alert) -> Self {
        Self {
            service: alert.service.as_deref(),
            host: alert.host.as_deref(),
            environment: alert.environment.as_deref(),
            platform: &alert.platform,
            severity: alert.severity,
            title: &alert.title,
            labels: &alert.labels,
        }
    }
}

/// A field that a matcher can ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Field {
    Title,
    Name,
    Host,
    Service,
    Label(String),
    Environment,
    Platform,
    Severity,
}

impl Field {
    fn read(name: &str) -> Result<Self, String> {
        if let Some(label) = name.strip_prefix("label.").or_else(|| name.strip_prefix("labels.")) {
            return match label.trim() {
                "" => Err("a label's name follows after label.".to_owned()),
                label => Ok(Self::Label(label.to_owned())),
            };
        }
        Ok(match name.to_ascii_lowercase().as_str() {
            "service" => Self::Service,
            "host" => Self::Host,
            "environment" | "env" => Self::Environment,
            "platform" | "source" => Self::Platform,
            "severity" => Self::Severity,
            "title" => Self::Title,
            "name" | "alert" | "alertname" => Self::Name,
            "" => return Err(format!("a field is needed: {}, or label. and a label's name", NAMES.join(", "))),
            _ => {
                let short: String = name.chars().take(60).collect();
                return Err(format!(
                    "there is no field `{short}`; there are {}, and label.{short} for a label of that name",
                    NAMES.join(", ")
                ));
            }
        })
    }

    /// Its value in an alert; empty when the alert has none.
    pub(super) fn of<'a>(&self, facts: &Facts<'a>) -> &'a str {
        match self {
            Self::Title => facts.title,
            Self::Name => {
                let rule = RULE_LABELS.iter().find_map(|l| facts.labels.get(*l));
                rule.map_or(facts.title, String::as_str)
            }
            Self::Host => facts.host.unwrap_or_default(),
            Self::Service => facts.service.unwrap_or_default(),
            Self::Label(name) => facts.labels.get(name).map_or("", String::as_str),
            Self::Environment => facts.environment.unwrap_or_default(),
            Self::Platform => facts.platform,
            Self::Severity => facts.severity.as_str(),
        }
    }
}

/// Values as they are compared.
pub(super) fn folded(value: &str) -> String {
    value.trim().to_lowercase()
}

fn same(folded_want: &str, value: &str) -> bool {
    let value = value.trim();
    if value.is_ascii() { value.eq_ignore_ascii_case(folded_want) } else { value.to_lowercase() == folded_want }
}

#[derive(Clone, Debug)]
pub(super) enum How {
    Same(String),
    Fits(Regex),
}

#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) field: Field,
    /// What the comparison must say.
    pub(super) want: bool,
    pub(super) how: How,
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        self.want
            == match &self.how {
                How::Same(want) => same(want, value),
                How::Fits(expression) => expression.is_match(value),
            }
    }
}

/// Matchers that were read.
#[derive(Clone, Debug)]
pub struct Matchers {
    pub(super) tests: Vec<Test>,
}

impl Matchers {
    /// Whether an alert fits all of them.
    pub fn fit(&self, facts: &Facts<'_>) -> bool {
        self.tests.iter().all(|t| t.holds(t.field.of(facts)))
    }

    /// Each by itself, in their order.
    pub fn each<'a>(&'a self, facts: &'a Facts<'a>) -> impl Iterator<Item = bool> + 'a {
        self.tests.iter().map(|t| t.holds(t.field.of(facts)))
    }
}

/// Reads matchers. Every mistake is named with its place.
pub fn matchers(listed: &[Matcher]) -> Result<Matchers, Vec<Mistake>> {
    let mut wrong = Vec::new();
    if listed.is_empty() {
        wrong.push(Mistake::new("/matchers", "at least one matcher is needed, such as service = checkout"));
    }
    if listed.len() > MOST {
        wrong.push(Mistake::new("/matchers", format!("there are {} matchers; {MOST} are allowed", listed.len())));
        return Err(wrong);
    }
    let mut tests = Vec::new();
    for (n, matcher) in listed.iter().enumerate() {
        match test(matcher) {
            Ok(test) => tests.push(test),
            Err((part, what)) => wrong.push(Mistake::new(format!("/matchers/{n}/{part}"), what)),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    // As Alertmanager has it: a slip must not mute everything.
    if tests.iter().all(|t| t.holds("")) {
        let what = "these matchers fit everything; one of them must ask for something, such as severity =~ .+";
        return Err(vec![Mistake::new("/matchers", what)]);
    }
    Ok(Matchers { tests })
}

fn test(matcher: &Matcher) -> Result<Test, (&'static str, String)> {
    for (part, text) in [("field", &matcher.field), ("value", &matcher.value)] {
        let length = text.chars().count();
        if length > LONGEST {
            return Err((part, format!("it has {length} characters; {LONGEST} are allowed")));
        }
    }
    let field = Field::read(matcher.field.trim()).map_err(|what| ("field", what))?;
    let want = matches!(matcher.op, MatchOp::Equal | MatchOp::Fits);
    let how = match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => How::Same(folded(&matcher.value)),
        MatchOp::Fits | MatchOp::FitsNot => How::Fits(expression(&matcher.value).map_err(|what| ("value", what))?),
    };
    if field == Field::Severity
        && let How::Same(value) = &how
        && !value.is_empty()
        && value.parse::<Severity>().is_err()
    {
        let all: Vec<&str> = Severity::ALL.iter().map(|s| s.as_str()).collect();
        return Err(("value", format!("there is no severity `{value}`; there are {}", all.join(", "))));
    }
    Ok(Test { field, want, how })
}

/// The whole value must fit, as Alertmanager has it.
fn expression(pattern: &str) -> Result<Regex, String> {
    // By itself first: `)(` would close the group that is put around it.
    builder(pattern).build().and_then(|_| builder(&anchored(pattern)).build()).map_err(|e| match e {
        regex::Error::CompiledTooBig(_) => "the expression is too large; write it with fewer repetitions".to_owned(),
        // The last line says what is wrong; those before draw an arrow.
        e => {
            let text = e.to_string();
            let last = text.lines().last().unwrap_or_default().trim();
            format!("the expression is not valid: {}", last.strip_prefix("error: ").unwrap_or(last))
        }
    })
}

/// A pattern as it is compiled.
fn anchored(pattern: &str) -> String {
    format!("^(?:{pattern})$")
}

fn builder(pattern: &str) -> RegexBuilder {
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(COMPILED).dfa_size_limit(COMPILED).nest_limit(NESTED);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(line: &str) -> Matcher {
        line.parse().unwrap()
    }

    #[test]
    fn the_table_of_matchers() {
        let labels: BTreeMap<String, String> = [("alertname", "HighLatency"), ("team", "Payments"), ("empty", "")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        let facts = Facts {
            service: Some("Checkout-API"),
            host: Some("db-01.example"),
            environment: None,
            platform: "grafana",
            severity: Severity::High,
            title: "Latency of checkout is high",
            labels: &labels,
        };
        for (line, want) in [
            // `=` is the whole value, without case and surrounding space.
            ("service = checkout-api", true),
            ("service = checkout", false),
            ("service != checkout-api", false),
            ("service != payments", true),
            // Expressions fit the whole value, and mind case.
            ("service =~ Checkout-.*", true),
            ("service =~ Checkout", false),
            ("service =~ checkout-.*", false),
            ("service =~ (?i)checkout-.*", true),
            ("service =~ Check.*|nothing", true),
            ("service =~ nothing|out", false),
            ("service !~ Checkout", true),
            ("service !~ Checkout.*", false),
            ("host =~ db-\\d+\\..*", true),
            ("host =~ ^db-.*$", true),
            ("title =~ .*checkout.*", true),
            ("title = latency of CHECKOUT is high", true),
            ("name = HighLatency", true),
            ("alertname = highlatency", true),
            ("platform = grafana", true),
            ("source = netdata", false),
            ("severity = high", true),
            ("severity =~ critical|high", true),
            ("label.team = payments", true),
            ("labels.team =~ Pay.*", true),
            ("label.team != payments", false),
            // What an alert does not have is empty.
            ("label.other = x", false),
            ("label.other != x", true),
            ("label.other !~ .+", true),
            ("environment != production", true),
            ("environment =~ .+", false),
        ] {
            // With one that asks for something, so that it is taken.
            let read = matchers(&[matcher(line), matcher("platform =~ .+")]).unwrap();
            assert_eq!(read.fit(&facts), want, "{line}");
        }
        let both = matchers(&[matcher("service = checkout-api"), matcher("host = db-02")]).unwrap();
        assert!(!both.fit(&facts), "all must hold");
        // Without a label that names the rule, the name is the title.
        let none = BTreeMap::new();
        let read = matchers(&[matcher("name =~ Latency.*")]).unwrap();
        assert!(read.fit(&Facts { labels: &none, ..facts }) && !read.fit(&facts));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let long = format!("title = {}", "x".repeat(501));
        for (lines, path, part) in [
            (&[][..], "/matchers", "at least one"),
            (&["service =~ .*"], "/matchers", "fit everything"),
            (&["label.a =", "environment != x"], "/matchers", "fit everything"),
            (&["service = a", "colour = red"], "/matchers/1/field", "label.colour"),
            (&["label. = red"], "/matchers/0/field", "name follows"),
            (&["host =~ db-(\\d"], "/matchers/0/value", "unclosed group"),
            (&["host =~ a)(b"], "/matchers/0/value", "unopened group"),
            (&["host =~ (a{500}){500}"], "/matchers/0/value", "too large"),
            (&["severity = urgent"], "/matchers/0/value", "critical, high"),
            (&[long.as_str()], "/matchers/0/value", "500 are allowed"),
        ] {
            let listed: Vec<Matcher> = lines.iter().map(|l| matcher(l)).collect();
            let wrong = matchers(&listed).unwrap_err();
            assert_eq!((wrong.len(), wrong[0].path.as_str()), (1, path), "{lines:?}: {wrong:?}");
            assert!(wrong[0].what.contains(part), "{lines:?}: {wrong:?}");
        }
        let many = vec![matcher("service = a"); 21];
        assert!(matchers(&many).unwrap_err()[0].what.contains("20 are allowed"));
    }
}
