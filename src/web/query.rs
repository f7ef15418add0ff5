//! The query language of the lists: `status:firing,resolved service:pay* "two words" since:6h`.

use std::{fmt::Display, str::FromStr, time::Duration};

use crate::{
    model::*,
    store::{AlertFilter, IncidentFilter},
    web::error::{ApiError, FieldError},
};

/// What is wrong with a query, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Characters before the wrong term.
    pub at: usize,
    /// The wrong term.
    pub term: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// The fields or values that would be right.
    pub allowed: Vec<String>,
}

impl From<QueryError> for ApiError {
    fn from(e: QueryError) -> Self {
        let mut errors = vec![FieldError::new(format!("q, character {}", e.at + 1), e.message.clone())];
        errors.extend(e.allowed.into_iter().map(|value| FieldError::new("allowed", value)));
        Self::bad_request("invalid_query", format!("`{}`: {}", e.term, e.message)).with_errors(errors)
    }
}

/// Fields of incident queries.
pub const INCIDENT_FIELDS: &[&str] =
    &["status", "severity", "source", "service", "host", "owner", "since", "until", "closed", "text"];
/// Fields of alert queries.
pub const ALERT_FIELDS: &[&str] =
    &["status", "severity", "source", "service", "host", "incident", "since", "until", "label.*", "text"];

/// Adds the terms of `q` to a filter of incidents. `me` is who asks, for `owner:me`.
pub fn incidents(q: &str, now: Time, me: Option<&str>, filter: &mut IncidentFilter) -> Result<(), QueryError> {
    for term in terms(q)? {
        match term.field.as_deref() {
            None | Some("text") => filter.words.extend(term.values),
            Some("status") => filter.statuses.extend(term.words(IncidentStatus::ALL, status_group)?),
            Some("severity") => filter.severities.extend(term.severities()?),
            Some("source") => filter.sources.extend(term.lower()),
            Some("service") => filter.services.extend(term.values),
            Some("host") => filter.hosts.extend(term.values),
            Some("owner") => {
                let named =
                    term.values.into_iter().map(|v| if v == "me" { me.unwrap_or("none").to_owned() } else { v });
                filter.owners.extend(named);
            }
            Some("since") => filter.since = Some(term.time(now)?),
            Some("until") => filter.until = Some(term.time(now)?),
            Some("closed") => filter.closed_since = Some(term.time(now)?),
            Some(_) => return Err(term.unknown_field(INCIDENT_FIELDS)),
        }
    }
    Ok(())
}

/// Adds the terms of `q` to a filter of alerts.
pub fn alerts(q: &str, now: Time, filter: &mut AlertFilter) -> Result<(), QueryError> {
    for term in terms(q)? {
        match term.field.as_deref() {
            None | Some("text") => filter.words.extend(term.values),
            Some("status") => {
                let open = |v: &str| (v == "open").then_some(&[AlertStatus::Firing, AlertStatus::Acknowledged][..]);
                filter.statuses.extend(term.words(AlertStatus::ALL, open)?);
            }
            Some("severity") => filter.severities.extend(term.severities()?),
            Some("source") => filter.sources.extend(term.lower()),
            Some("service") => filter.services.extend(term.values),
            Some("host") => filter.hosts.extend(term.values),
            Some("incident") => {
                filter.incident = Some(term.one()?.parse().map_err(|e| term.error(format!("{e}"), &[]))?)
            }
            Some("since") => filter.since = Some(term.time(now)?),
            Some("until") => filter.until = Some(term.time(now)?),
            Some(field) => match field.strip_prefix("label.") {
                Some(name) if !name.is_empty() => filter.labels.push((name.to_owned(), term.one()?.to_owned())),
                _ => return Err(term.unknown_field(ALERT_FIELDS)),
            },
        }
    }
    Ok(())
}

/// A time as people write it in lists: `6h`, `7d`, `30m`, `2w` before now, or a time such as `2026-03-02T15:14Z`.
pub fn time(text: &str, now: Time) -> Option<Time> {
    let text = text.trim().trim_start_matches('<');
    if let Some(ago) = duration(text) {
        return Some(now.minus(ago));
    }
    // Seconds, and the whole time of day, may be left out.
    let zoned = |suffix: &str| format!("{}{suffix}", text.trim_end_matches('Z')).parse().ok();
    text.parse().ok().or_else(|| zoned(":00Z")).or_else(|| zoned("Z")).or_else(|| zoned("T00:00:00Z"))
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let secs = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let n: u64 = text.strip_suffix(unit)?.parse().ok()?;
    Some(Duration::from_secs(n.checked_mul(secs)?))
}

fn status_group(value: &str) -> Option<&'static [IncidentStatus]> {
    use IncidentStatus::*;
    match value {
        "open" => Some(&[Investigating, Analyzed]),
        "closed" => Some(&[Resolved, Merged]),
        _ => None,
    }
}

/// The values of a repeated or comma-separated parameter, read as one of fixed words.
pub fn values<T: FromStr<Err = String>>(name: &'static str, given: &[String]) -> Result<Vec<T>, ApiError> {
    let each = given.iter().flat_map(|g| g.split(',')).map(str::trim).filter(|v| !v.is_empty());
    each.map(|v| {
        v.to_ascii_lowercase().parse().map_err(|e: String| {
            ApiError::bad_request("invalid_query", format!("{name}: {e}")).with_errors(vec![FieldError::new(name, e)])
        })
    })
    .collect()
}

struct Term {
    at: usize,
    text: String,
    field: Option<String>,
    values: Vec<String>,
}

impl Term {
    fn error(&self, message: impl Display, allowed: &[&str]) -> QueryError {
        QueryError {
            at: self.at,
            term: self.text.clone(),
            message: message.to_string(),
            allowed: allowed.iter().map(|s| (*s).to_owned()).collect(),
        }
    }

    fn unknown_field(&self, allowed: &[&str]) -> QueryError {
        self.error(format!("there is no such field; fields are {}", allowed.join(", ")), allowed)
    }

    fn one(&self) -> Result<&str, QueryError> {
        match self.values.as_slice() {
            [one] => Ok(one),
            _ => Err(self.error("one value is needed here", &[])),
        }
    }

    fn lower(&self) -> Vec<String> {
        self.values.iter().map(|v| v.to_ascii_lowercase()).collect()
    }

    fn time(&self, now: Time) -> Result<Time, QueryError> {
        time(self.one()?, now).ok_or_else(|| self.error("a time is such as 6h, 7d or 2026-03-02T15:14Z", &[]))
    }

    fn words<T: FromStr<Err = String> + Display + Copy + 'static>(
        &self,
        all: &[T],
        group: impl Fn(&str) -> Option<&'static [T]>,
    ) -> Result<Vec<T>, QueryError> {
        let mut found = Vec::new();
        for value in self.lower() {
            match (group(&value), value.parse()) {
                (Some(several), _) => found.extend_from_slice(several),
                (None, Ok(one)) => found.push(one),
                (None, Err(e)) => {
                    let words: Vec<String> = all.iter().map(ToString::to_string).collect();
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    return Err(self.error(e, &words));
                }
            }
        }
        Ok(found)
    }

    // `>=high` is high and worse.
    fn severities(&self) -> Result<Vec<Severity>, QueryError> {
        let compared = |value: &str| -> Option<&'static [Severity]> {
            let (op, word) = [">=", "<=", ">", "<"].iter().find_map(|op| Some((*op, value.strip_prefix(op)?)))?;
            let place = Severity::ALL.iter().position(|s| s.as_str() == word)?;
            match op {
                ">=" => Severity::ALL.get(..=place),
                ">" => Severity::ALL.get(..place),
                "<=" => Severity::ALL.get(place..),
                _ => Severity::ALL.get(place + 1..),
            }
        };
        self.words(Severity::ALL, compared)
    }
}

// Longer queries are mistakes or attacks.
const MAX_QUERY: usize = 2000;

fn terms(q: &str) -> Result<Vec<Term>, QueryError> {
    let fail = |at, term: &str, message: &str| QueryError {
        at,
        term: term.to_owned(),
        message: message.to_owned(),
        allowed: Vec::new(),
    };
    if q.chars().count() > MAX_QUERY {
        return Err(fail(0, "q", "the query is longer than 2000 characters"));
    }
    let mut terms = Vec::new();
    let mut chars = q.chars().enumerate().peekable();
    while let Some(&(at, c)) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let (mut text, mut field, mut values, mut value) = (String::new(), None, Vec::new(), String::new());
        let (mut quoted, mut was_quoted) = (false, false);
        while let Some(&(_, c)) = chars.peek() {
            if c.is_whitespace() && !quoted {
                break;
            }
            chars.next();
            text.push(c);
            match c {
                '"' => {
                    quoted = !quoted;
                    was_quoted = true;
                }
                ':' if !quoted && !was_quoted && field.is_none() && is_field(&value) => {
                    field = Some(std::mem::take(&mut value));
                }
                ',' if !quoted && field.is_some() => values.push(std::mem::take(&mut value)),
                c => value.push(c),
            }
        }
        if quoted {
            return Err(fail(at, &text, "a closing quotation mark is missing"));
        }
        values.push(value);
        values.retain(|v| !v.is_empty());
        if values.is_empty() {
            // `""` alone asks for nothing; `service:` is unfinished.
            match field {
                Some(_) => return Err(fail(at, &text, "a value is missing after the colon")),
                None => continue,
            }
        }
        if field.as_deref().is_some_and(|f| f.starts_with('-'))
            || (field.is_none() && text.starts_with('-') && text.len() > 1)
        {
            return Err(fail(at, &text, "leaving out with `-` is not possible here"));
        }
        // Label names keep their case; the fields' own names have none.
        let field = field.map(|f| match f.split_once('.') {
            Some((head, name)) if head.eq_ignore_ascii_case("label") => format!("label.{name}"),
            _ => f.to_ascii_lowercase(),
        });
        terms.push(Term { at, text, field, values });
    }
    Ok(terms)
}

// What looks like a field: so that `http://x` and `12:30` stay words.
fn is_field(text: &str) -> bool {
    let name = text.strip_prefix('-').unwrap_or(text);
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'))
        && !["http", "https"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Time {
        "2026-03-03T12:00:00Z".parse().unwrap()
    }

    fn read(q: &str) -> Result<IncidentFilter, QueryError> {
        let mut f = IncidentFilter::default();
        incidents(q, now(), Some("ann"), &mut f).map(|()| f)
    }

    #[test]
    fn terms_fill_the_filter() {
        let f = read(
            r#"status:open,resolved severity:>=high service:"check out",pay* owner:me,none since:6h pool "db down""#,
        )
        .unwrap();
        use IncidentStatus::*;
        assert_eq!(f.statuses, [Investigating, Analyzed, Resolved]);
        assert_eq!(f.severities, [Severity::Critical, Severity::High]);
        assert_eq!(f.services, ["check out", "pay*"]);
        assert_eq!(f.owners, ["ann", "none"]);
        assert_eq!(f.since, Some("2026-03-03T06:00:00Z".parse().unwrap()));
        assert_eq!(f.words, ["pool", "db down"]);
        assert_eq!(read("  ").unwrap(), IncidentFilter::default());
    }

    #[test]
    fn addresses_and_clock_times_are_words() {
        assert_eq!(read("http://x/y 12:30").unwrap().words, ["http://x/y", "12:30"]);
    }

    #[test]
    fn errors_name_the_place_and_what_is_allowed() {
        let check = |q: &str, at: usize, allowed: Option<&str>| {
            let e = read(q).unwrap_err();
            assert_eq!(e.at, at, "{q}: {e:?}");
            match allowed {
                Some(a) => assert!(e.allowed.iter().any(|x| x == a), "{q}: {e:?}"),
                None => assert!(e.allowed.is_empty(), "{q}: {e:?}"),
            }
        };
        check("pool colour:red", 5, Some("severity"));
        check("status:burning", 0, Some("analyzed"));
        check("ä severity:>=bad", 2, Some("critical"));
        check("since:yesterday", 0, None);
        check("service:", 0, None);
        check("a \"b", 2, None);
        check("-service:x", 0, None);
        check(&"x".repeat(2001), 0, None);
    }

    #[test]
    fn alerts_have_labels_and_an_incident() {
        let mut f = AlertFilter::default();
        alerts("label.Env:prod incident:INC-7 status:open host:db-*", now(), &mut f).unwrap();
        assert_eq!(f.labels, [("Env".to_owned(), "prod".to_owned())]);
        assert_eq!(f.incident, Some(IncidentId(7)));
        assert_eq!(f.statuses, [AlertStatus::Firing, AlertStatus::Acknowledged]);
        assert_eq!(f.hosts, ["db-*"]);
        assert!(alerts("owner:me", now(), &mut f).is_err());
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, want) in [
            ("7d", "2026-02-24T12:00:00Z"),
            ("<12h", "2026-03-03T00:00:00Z"),
            ("2026-03-02T15:14Z", "2026-03-02T15:14:00Z"),
            ("2026-03-02T15:14:05.5+01:00", "2026-03-02T14:14:05.5Z"),
            ("2026-03-02", "2026-03-02T00:00:00Z"),
        ] {
            assert_eq!(time(text, now()), Some(want.parse().unwrap()), "{text}");
        }
        assert_eq!(time("soon", now()), None);
        assert_eq!(time("99999999999999999999d", now()), None);
    }
}
