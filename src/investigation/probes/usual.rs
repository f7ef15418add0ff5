//! The usual metrics of services and machines in Prometheus: a readable list that operators extend with one of their own.

use std::path::{Path, PathBuf};

use super::robust::{Direction, Rule};
use crate::model::Symptom;

const TABLE: &str = include_str!("../data/metrics.tsv");
/// Lines of an operator's list.
const MOST: usize = 1_000;

/// A figure that is worth asking for.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// What it is a sign of.
    pub symptom: Symptom,
    /// About a machine; otherwise about a service.
    pub host: bool,
    /// What counts as a change.
    pub rule: Rule,
    /// The metric that must be there for it.
    pub name: String,
    /// Its unit.
    pub unit: Option<String>,
    /// The query, with `$selector` where the labels go.
    pub query: String,
}

/// All of them, the operator's first.
#[derive(Clone, Debug)]
pub struct Usual(Vec<Metric>);

/// What is wrong with an operator's list.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {what}; it is named as `investigation.probes.metrics` in the settings", .file.display(), .line.map_or_else(String::new, |n| format!(":{n}")))]
pub struct UsualError {
    file: PathBuf,
    line: Option<usize>,
    what: String,
}

impl Usual {
    /// Ours, after the lines of this file.
    ///
    /// # Errors
    /// The file cannot be read, or a line is not as it should be.
    pub fn open(file: Option<&Path>) -> Result<Self, UsualError> {
        let mut all = Vec::new();
        if let Some(file) = file {
            let wrong = |line: Option<usize>, what: String| UsualError { file: file.to_owned(), line, what };
            let text = std::fs::read_to_string(file).map_err(|e| wrong(None, format!("cannot be read: {e}")))?;
            for (n, line) in lines(&text) {
                all.push(metric(line).map_err(|what| wrong(Some(n), what))?);
            }
            if all.len() > MOST {
                return Err(wrong(None, format!("has more than {MOST} metrics")));
            }
        }
        all.extend(lines(TABLE).filter_map(|(_, line)| metric(line).ok()));
        Ok(Self(all))
    }

    /// Those whose metric is among these names, of services or of machines, with what fits these symptoms first.
    pub fn of<'a>(&'a self, host: bool, names: &[String], symptoms: &[Symptom]) -> Vec<&'a Metric> {
        let mut found: Vec<&Metric> = self.0.iter().filter(|m| m.host == host && names.contains(&m.name)).collect();
        found.sort_by_key(|m| !symptoms.contains(&m.symptom));
        found
    }
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'))
}

/// `symptom TAB service|host TAB up|down|any TAB least TAB metric TAB unit TAB query`; `-` for no unit.
fn metric(line: &str) -> Result<Metric, String> {
    let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
    let [symptom, of, direction, least, name, unit, query] = fields.as_slice() else {
        return Err(format!("has {} fields, and 7 are needed, with tabs between them", fields.len()));
    };
    if !query.contains("$selector") {
        return Err("the query has no $selector, so it would be about everything".to_owned());
    }
    Ok(Metric {
        symptom: symptom.parse().map_err(|_| format!("`{symptom}` is no symptom"))?,
        host: match *of {
            "service" => false,
            "host" => true,
            other => return Err(format!("`{other}` is neither `service` nor `host`")),
        },
        rule: Rule {
            direction: match *direction {
                "up" => Direction::Up,
                "down" => Direction::Down,
                "any" => Direction::Any,
                other => return Err(format!("`{other}` is neither `up` nor `down` nor `any`")),
            },
            least: least
                .parse::<f64>()
                .ok()
                .filter(|n| n.is_finite() && *n >= 0.0)
                .ok_or_else(|| format!("`{least}` is no number"))?,
        },
        name: (*name).to_owned(),
        unit: (*unit != "-").then(|| (*unit).to_owned()),
        query: (*query).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_ours_is_right_and_asks_for_its_metric() {
        let mut seen = std::collections::BTreeSet::new();
        for (n, line) in lines(TABLE) {
            let metric = metric(line).unwrap_or_else(|e| panic!("{n}: {e}"));
            assert!(metric.query.contains(&metric.name), "{n}");
            assert!(seen.insert((metric.host, metric.query)), "{n} stands twice");
        }
        assert!(seen.len() > 30);
    }

    #[test]
    fn an_operators_list_comes_first_or_is_refused_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("m.tsv");
        let check = |text: &str, want: Result<&str, &str>| {
            std::fs::write(&file, text).unwrap();
            match (Usual::open(Some(&file)), want) {
                (Ok(all), Ok(name)) => assert_eq!(all.of(false, &[name.into(), "up".into()], &[])[0].name, name),
                (Err(e), Err(part)) => assert!(e.to_string().contains(part), "{e}"),
                (got, want) => panic!("{got:?} instead of {want:?}"),
            }
        };
        check("# ours\nbacklog\tservice\tup\t10\tmy_queue\torders\tsum(my_queue{$selector})\n", Ok("my_queue"));
        check("", Ok("up"));
        check("\nbacklog\tservice", Err("m.tsv:2: has 2 fields"));
        check("sadness\tservice\tup\t1\tx\t-\tx{$selector}", Err("`sadness` is no symptom"));
        check("cpu\tservice\tup\tmuch\tx\t-\tx{$selector}", Err("`much` is no number"));
        check("cpu\tservice\tup\t1\tx\t-\tx", Err("no $selector"));
        assert!(Usual::open(Some(Path::new("/nowhere/m.tsv"))).unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn what_fits_the_symptom_comes_first() {
        let names = ["up", "process_cpu_seconds_total", "process_resident_memory_bytes"].map(str::to_owned);
        let all = Usual::open(None).unwrap();
        let first = |symptom| all.of(false, &names, &[symptom])[0].name.clone();
        assert_eq!(first(Symptom::Memory), "process_resident_memory_bytes");
        assert_eq!(first(Symptom::Unavailable), "up");
        assert_eq!(all.of(true, &names, &[]).len(), 1, "a machine is only up or down by these");
    }
}
