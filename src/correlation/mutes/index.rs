//! Many sets of matchers asked at once: an alert is compared in full only with those that it could fit.

use std::collections::{BTreeMap, HashMap};

use regex::{RegexSet, RegexSetBuilder};

use super::matchers::{Facts, Field, How, Matchers, Test, folded};

/// Bytes of all expressions of one field together.
const SETS: usize = 16 << 20;

/// Sets of matchers by the numbers of their rows.
#[derive(Clone, Debug, Default)]
pub struct Index {
    all: BTreeMap<u64, Matchers>,
    // Field, then value as it is compared: those that ask for this value.
    by_value: HashMap<Field, HashMap<String, Vec<u64>>>,
    // Those whose expressions are asked at once, field by field.
    by_expression: Vec<(Field, RegexSet, Vec<u64>)>,
    others: Vec<u64>,
}

impl Index {
    /// Of these sets.
    pub fn new(all: impl IntoIterator<Item = (u64, Matchers)>) -> Self {
        let mut index = Self { all: all.into_iter().collect(), ..Self::default() };
        let mut expressions: BTreeMap<Field, (Vec<String>, Vec<u64>)> = BTreeMap::new();
        for (number, matchers) in &index.all {
            match pivot(matchers) {
                Some(Test { field, how: How::Same(value), .. }) => {
                    let of_field = index.by_value.entry(field.clone()).or_default();
                    of_field.entry(value.clone()).or_default().push(*number);
                }
                Some(Test { field, how: How::Fits(expression), .. }) => {
                    let (patterns, numbers) = expressions.entry(field.clone()).or_default();
                    patterns.push(expression.as_str().to_owned());
                    numbers.push(*number);
                }
                None => index.others.push(*number),
            }
        }
        for (field, (patterns, numbers)) in expressions {
            // They compile one by one; together they may be too large, and then each is asked by itself.
            match RegexSetBuilder::new(&patterns).size_limit(SETS).dfa_size_limit(SETS).build() {
                Ok(set) => index.by_expression.push((field, set, numbers)),
                Err(_) => index.others.extend(numbers),
            }
        }
        index
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The numbers of those that an alert fits, in order.
    pub fn fitting(&self, facts: &Facts<'_>) -> Vec<u64> {
        if self.all.is_empty() {
            return Vec::new();
        }
        let fits = |n: &u64| self.all.get(n).is_some_and(|m| m.fit(facts));
        let mut found: Vec<u64> = self.candidates(facts).into_iter().filter(fits).collect();
        found.sort_unstable();
        found
    }

    fn candidates(&self, facts: &Facts<'_>) -> Vec<u64> {
        let mut found = self.others.clone();
        for (field, values) in &self.by_value {
            let value = field.of(facts);
            if !value.is_empty()
                && let Some(numbers) = values.get(&folded(value))
            {
                found.extend(numbers);
            }
        }
        for (field, set, numbers) in &self.by_expression {
            found.extend(set.matches(field.of(facts)).iter().filter_map(|n| numbers.get(n)));
        }
        found
    }
}

/// The matcher that sets apart best: one for a value, else one for an expression, of the field with the most values.
fn pivot(matchers: &Matchers) -> Option<&Test> {
    let asks = |t: &&Test| {
        t.want
            && match &t.how {
                How::Same(value) => !value.is_empty(),
                How::Fits(expression) => !expression.is_match(""),
            }
    };
    let rough = |t: &&Test| matches!(t.field, Field::Environment | Field::Platform | Field::Severity);
    let kind = |t: &&Test| matches!(t.how, How::Fits(_));
    matchers.tests.iter().filter(asks).min_by_key(|t| (rough(t), kind(t)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        correlation::mutes::matchers::matchers,
        model::{Matcher, Severity},
    };

    fn set(lines: &[&str]) -> Matchers {
        let listed: Vec<Matcher> = lines.iter().map(|l| l.parse().unwrap()).collect();
        matchers(&listed).unwrap()
    }

    /// Two hundred as people write them, and an alert that one of each kind fits.
    #[test]
    fn few_of_many_are_compared_in_full() {
        let mut all = Vec::new();
        for n in 0..50 {
            all.push(set(&[&format!("service = service-{n}"), "environment = production"]));
            all.push(set(&["severity = low", &format!("label.pod =~ worker-{n}-.*")]));
            all.push(set(&[&format!("host =~ db-{n:02}\\..*"), "platform != zabbix"]));
            all.push(set(&["platform = grafana", &format!("label.team = team-{n}"), "severity =~ low|medium"]));
        }
        let index = Index::new((1..).zip(all));
        let labels = [("pod", "worker-7-x1"), ("team", "Team-7")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let facts = Facts {
            service: Some("service-7"),
            host: Some("db-07.example"),
            environment: Some("production"),
            platform: "grafana",
            severity: Severity::Low,
            title: "a title",
            labels: &labels,
        };
        assert_eq!(index.fitting(&facts), [29, 30, 31, 32]);
        assert_eq!(index.candidates(&facts).len(), 4, "the others are not looked at");
        assert_eq!(index.fitting(&Facts { platform: "zabbix", ..facts }), [29, 30]);
    }

    const WORDS: &[&str] = &["", "api", "API ", "db-1", "db-22", "über", "x"];
    const LINES: &[&str] = &[
        "service = api",
        "service != api",
        "service =~ a.*",
        "host =~ db-\\d+",
        "host !~ db-\\d",
        "host =",
        "label.team = ÜBER",
        "label.team =~ .+",
        "label.team != x",
        "severity =~ high|low",
        "severity = high",
        "title =~ (?i).*api.*",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_index_finds_what_comparing_all_finds(
            sets in proptest::collection::vec(proptest::collection::vec(0..LINES.len(), 1..4), 0..12),
            words in proptest::collection::vec(0..WORDS.len(), 4),
            high in any::<bool>(),
        ) {
            let listed = |lines: &Vec<usize>| lines.iter().map(|n| LINES[*n].parse().unwrap()).collect::<Vec<Matcher>>();
            let all: Vec<(u64, Matchers)> =
                (1..).zip(sets.iter().filter_map(|lines| matchers(&listed(lines)).ok())).collect();
            let labels = [("team".to_owned(), WORDS[words[0]].to_owned())].into();
            let facts = Facts {
                service: Some(WORDS[words[1]]).filter(|w| !w.is_empty()),
                host: Some(WORDS[words[2]]),
                environment: None,
                platform: "grafana",
                severity: if high { Severity::High } else { Severity::Info },
                title: WORDS[words[3]],
                labels: &labels,
            };
            let want: Vec<u64> = all.iter().filter(|(_, m)| m.fit(&facts)).map(|(n, _)| *n).collect();
            prop_assert_eq!(Index::new(all).fitting(&facts), want);
        }
    }
}
