//! The fields that people choose to make an alert the same as another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Signal;

/// One field of a signal. As text: `service`, `host`, `title`, `severity`, `environment`, `labels.NAME`,
/// `annotations.NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum IdentityField {
    /// The service concerned.
    Service,
    /// The machine concerned.
    Host,
    /// The one line.
    Title,
    /// On our scale, after the connector's map.
    Severity,
    /// `production`, …
    Environment,
    /// A label.
    Label(String),
    /// An annotation.
    Annotation(String),
}

impl IdentityField {
    /// Longest name of a label or annotation, in bytes.
    pub const LONGEST: usize = 200;
    /// Fields of one rule.
    pub const MOST: usize = 10;

    /// What a signal says there; none when it says nothing.
    pub fn of<'a>(&self, signal: &'a Signal) -> Option<&'a str> {
        let value = match self {
            Self::Service => signal.service.as_deref(),
            Self::Host => signal.host.as_deref(),
            Self::Title => Some(signal.title.as_str()),
            Self::Severity => Some(signal.severity.as_str()),
            Self::Environment => signal.environment.as_deref(),
            Self::Label(name) => signal.labels.get(name).map(String::as_str),
            Self::Annotation(name) => signal.annotations.get(name).map(String::as_str),
        };
        value.filter(|v| !v.trim().is_empty())
    }

    /// What is wrong with a list of them, in a sentence; an empty one asks for the connector's own rule.
    pub fn mistake(fields: &[Self]) -> Option<String> {
        if fields.len() > Self::MOST {
            return Some(format!("{} fields are too many; at most {} are taken", fields.len(), Self::MOST));
        }
        let twice = fields.iter().enumerate().find(|(n, field)| fields.iter().take(*n).any(|f| f == *field));
        twice.map(|(_, field)| format!("`{field}` is there twice"))
    }
}

impl fmt::Display for IdentityField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("service"),
            Self::Host => f.write_str("host"),
            Self::Title => f.write_str("title"),
            Self::Severity => f.write_str("severity"),
            Self::Environment => f.write_str("environment"),
            Self::Label(name) => write!(f, "labels.{name}"),
            Self::Annotation(name) => write!(f, "annotations.{name}"),
        }
    }
}

impl FromStr for IdentityField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let named = |name: &str| {
            if name.is_empty() || name.len() > Self::LONGEST {
                return Err(format!("`{text}` needs a name of 1 to {} bytes after the point", Self::LONGEST));
            }
            Ok(name.to_owned())
        };
        match text {
            "service" => Ok(Self::Service),
            "host" => Ok(Self::Host),
            "title" => Ok(Self::Title),
            "severity" => Ok(Self::Severity),
            "environment" => Ok(Self::Environment),
            _ => match text.split_once('.') {
                Some(("labels", name)) => Ok(Self::Label(named(name)?)),
                Some(("annotations", name)) => Ok(Self::Annotation(named(name)?)),
                _ => Err(format!(
                    "`{}` is no field; there are service, host, title, severity, environment, labels.NAME and \
                     annotations.NAME",
                    text.chars().take(60).collect::<String>()
                )),
            },
        }
    }
}

impl TryFrom<String> for IdentityField {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<IdentityField> for String {
    fn from(field: IdentityField) -> Self {
        field.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_written_alike_and_mistakes_are_named() {
        for text in ["service", "host", "title", "severity", "environment", "labels.a.b", "annotations.summary"] {
            let field: IdentityField = text.parse().unwrap();
            assert_eq!(field.to_string(), text);
            assert_eq!(serde_json::to_string(&field).unwrap(), format!("\"{text}\""));
        }
        for text in ["", "labels", "labels.", "label.x", "Service"] {
            assert!(text.parse::<IdentityField>().is_err(), "{text}");
        }
        let fields = |all: &[&str]| all.iter().map(|t| t.parse().unwrap()).collect::<Vec<IdentityField>>();
        assert_eq!(IdentityField::mistake(&fields(&["service", "labels.x"])), None);
        assert!(IdentityField::mistake(&fields(&["host", "host"])).unwrap().contains("twice"));
        let many: Vec<String> = (0..11).map(|n| format!("labels.l{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(IdentityField::mistake(&fields(&many)).unwrap().contains("at most 10"));
    }
}
