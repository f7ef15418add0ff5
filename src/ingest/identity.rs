//! What another identity rule would have made of the last deliveries: which alerts would fall together or apart, which
//! fields say nothing, and which ends would not meet their beginning.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{accept::Door, sources::SourceError};
use crate::{
    connectors::identity::key_by_fields,
    model::*,
    store::{DeliveryFilter, StoreError, View},
};

/// Deliveries looked at, at most.
pub const MOST: usize = 1_000;
/// Signals looked at, at most: the newest.
const SIGNALS: usize = 20_000;
/// Groups told, at most.
const EXAMPLES: usize = 50;
/// Alerts told of one group.
const IN_GROUP: usize = 5;

/// One alert as it is told: the key that it has now, and what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The key.
    pub key: String,
    /// One line.
    pub title: String,
}

/// Alerts that would be one, or one that would be several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regroup {
    /// The one: its key by the rule that makes it one.
    pub one: Told,
    /// The several, the first of them.
    pub several: Vec<Told>,
    /// How many.
    pub count: usize,
}

/// What a rule would have made of deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// Deliveries looked at.
    pub deliveries: usize,
    /// Signals in them that begin, repeat or end an alert, without tests.
    pub signals: usize,
    /// Alerts by the rule in use.
    pub alerts_now: usize,
    /// Alerts by the rule that is tried.
    pub alerts_then: usize,
    /// Alerts that would fall together, the largest groups first.
    pub together: Vec<Regroup>,
    /// How many such groups there are.
    pub together_total: usize,
    /// Alerts that would fall apart.
    pub apart: Vec<Regroup>,
    /// How many there are.
    pub apart_total: usize,
    /// Of how many signals each field says nothing, where it does so of any.
    pub missing: Vec<(IdentityField, usize)>,
    /// Ends that have a beginning among these deliveries now.
    pub ends: usize,
    /// Those of them that would not meet it any more: the alert would burn on.
    pub lost_ends: usize,
    /// Ends that would end an alert of which something else still burns.
    pub early_ends: usize,
    /// Fields of which the value at the end is another than at the beginning, and for how many ends.
    pub differing: Vec<(IdentityField, usize)>,
}

impl Trial {
    /// What to know before it is saved, in sentences.
    pub fn warnings(&self) -> Vec<String> {
        let of =
            |n: usize, what: &str| format!("{n} of {} {what}", if what == "ends" { self.ends } else { self.signals });
        let mut all: Vec<String> = self
            .missing
            .iter()
            .map(|(field, n)| {
                let signals = of(*n, "signals");
                format!("{field} says nothing in {signals}: the connector's own rule would be used for them.")
            })
            .collect();
        for (field, n) in &self.differing {
            let ends = of(*n, "ends");
            all.push(format!("{field} is another at the end than at the beginning in {ends}: leave it out."));
        }
        if self.lost_ends > 0 {
            let ends = of(self.lost_ends, "ends");
            all.push(format!("{ends} would no longer meet their beginning: these alerts would burn on."));
        }
        if self.early_ends > 0 {
            let ends = of(self.early_ends, "ends");
            all.push(format!("{ends} would end an alert while something else that it stands for still burns."));
        }
        all
    }
}

/// What is kept of a signal.
struct Seen {
    own: String,
    now: String,
    then: String,
    title: String,
    ends: bool,
    values: Vec<Option<String>>,
}

impl Seen {
    fn of(platform: &str, signal: &Signal, now: &[IdentityField], then: &[IdentityField]) -> Option<Self> {
        if signal.is_test || !matches!(signal.status, SignalStatus::Firing | SignalStatus::Resolved) {
            return None;
        }
        let own = signal.own_key.as_ref().unwrap_or(&signal.dedup_key).clone();
        let key = |fields: &[IdentityField]| match fields {
            [] => own.clone(),
            fields => key_by_fields(platform, fields, signal).unwrap_or_else(|_| own.clone()),
        };
        Some(Self {
            now: key(now),
            then: key(then),
            title: signal.title.chars().take(200).collect(),
            ends: signal.status == SignalStatus::Resolved,
            values: then.iter().map(|f| f.of(signal).map(str::to_owned)).collect(),
            own,
        })
    }
}

/// An alert that burns by the rule in use.
struct Burning {
    then: String,
    values: Vec<Option<String>>,
}

/// Alerts by one rule, each with the keys by the other and a title for each.
type Groups<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>;

/// Compares two rules over what was received, oldest first.
fn compare(seen: &[Seen], then: &[IdentityField]) -> Trial {
    let mut trial = Trial { signals: seen.len(), ..Trial::default() };
    let (mut by_now, mut by_then) = (Groups::new(), Groups::new());
    let mut missing = vec![0; then.len()];
    let mut differing = vec![0; then.len()];
    let mut burning: HashMap<&str, Burning> = HashMap::new();
    // By the rule that is tried: the alerts in use that each stands for.
    let mut joint: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for s in seen {
        for (count, value) in missing.iter_mut().zip(&s.values) {
            *count += usize::from(value.is_none());
        }
        if !s.ends {
            by_now.entry(&s.now).or_default().entry(&s.then).or_insert(&s.title);
            by_then.entry(&s.then).or_default().entry(&s.now).or_insert(&s.title);
            burning.insert(&s.now, Burning { then: s.then.clone(), values: s.values.clone() });
            joint.entry(&s.then).or_default().insert(&s.now);
            continue;
        }
        let Some(began) = burning.remove(s.now.as_str()) else { continue };
        trial.ends += 1;
        for ((count, at_end), before) in differing.iter_mut().zip(&s.values).zip(&began.values) {
            *count += usize::from(at_end.is_some() && before.is_some() && at_end != before);
        }
        // One that began by the connector's own rule is met by that, too.
        if s.then != began.then && s.own != began.then {
            trial.lost_ends += 1;
        }
        if let Some(others) = joint.get_mut(began.then.as_str()) {
            others.remove(s.now.as_str());
            trial.early_ends += usize::from(!others.is_empty());
        }
    }
    (trial.alerts_now, trial.alerts_then) = (by_now.len(), by_then.len());
    (trial.together, trial.together_total) = regrouped(&by_then);
    (trial.apart, trial.apart_total) = regrouped(&by_now);
    let some = |counts: Vec<usize>| {
        then.iter().cloned().zip(counts).filter(|(_, n)| *n > 0).collect::<Vec<(IdentityField, usize)>>()
    };
    (trial.missing, trial.differing) = (some(missing), some(differing));
    trial
}

/// Those that stand for several, the largest first.
fn regrouped(groups: &Groups<'_>) -> (Vec<Regroup>, usize) {
    let mut several: Vec<_> = groups.iter().filter(|(_, members)| members.len() > 1).collect();
    several.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    let total = several.len();
    let told = |key: &str, title: &str| Told { key: key.to_owned(), title: title.to_owned() };
    let examples = several.into_iter().take(EXAMPLES).map(|(key, members)| Regroup {
        one: told(key, members.values().next().copied().unwrap_or_default()),
        several: members.iter().take(IN_GROUP).map(|(key, title)| told(key, title)).collect(),
        count: members.len(),
    });
    (examples.collect(), total)
}

/// Reads the last deliveries of a platform and compares.
fn try_on(
    view: &View,
    platform: &str,
    now: &[IdentityField],
    then: &[IdentityField],
    last: usize,
) -> Result<Trial, StoreError> {
    let filter = DeliveryFilter {
        platform: Some(platform.to_owned()),
        outcome: Some(DeliveryOutcome::Accepted),
        ..DeliveryFilter::default()
    };
    let rows = view.deliveries(&filter, None, last.clamp(1, MOST))?.items;
    let mut seen = Vec::new();
    let mut deliveries = 0;
    for row in rows {
        let Some(delivery) = view.delivery(row.seq)? else { continue };
        deliveries += 1;
        // Newest first here, and the last of a body first.
        let signals = delivery.parsed.signals.iter().rev();
        seen.extend(signals.filter_map(|s| Seen::of(platform, s, now, then)).take(SIGNALS - seen.len()));
        if seen.len() >= SIGNALS {
            break;
        }
    }
    seen.reverse();
    Ok(Trial { deliveries, ..compare(&seen, then) })
}

impl Door {
    /// What these fields would have made of the last deliveries of a platform, beside the rule in use. Nothing changes.
    pub async fn try_identity(
        &self,
        platform: &str,
        fields: Vec<IdentityField>,
        last: usize,
    ) -> Result<Trial, SourceError> {
        let settings = self.memory.settings(platform, &self.store, &self.config).await?;
        let Some(settings) = settings else { return Err(SourceError::NotFound(platform.to_owned())) };
        // Bodies come from the disk, so nothing else bounds how many are in memory.
        let _place = self.memory.reading.acquire().await.map_err(|_| StoreError::Stopped)?;
        let (platform, now) = (platform.to_owned(), settings.identity.clone());
        Ok(self.store.read(move |view| try_on(view, &platform, &now, &fields, last)).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(all: &[&str]) -> Vec<IdentityField> {
        all.iter().map(|f| f.parse().unwrap()).collect()
    }

    fn signal(key: &str, service: &str, severity: Severity, ends: bool) -> Signal {
        let mut signal = Signal::new(key, format!("title of {key}"));
        signal.service = Some(service.to_owned()).filter(|s| !s.is_empty());
        signal.severity = severity;
        if ends {
            signal.status = SignalStatus::Resolved;
        }
        signal
    }

    fn tried(signals: &[Signal], then: &[&str]) -> Trial {
        let then = fields(then);
        let seen: Vec<Seen> = signals.iter().filter_map(|s| Seen::of("x", s, &[], &then)).collect();
        compare(&seen, &then)
    }

    #[test]
    fn what_falls_together_and_apart_is_told() {
        let signals = [
            signal("x:1", "api", Severity::High, false),
            signal("x:2", "api", Severity::High, false),
            signal("x:3", "db", Severity::High, false),
            signal("x:3", "web", Severity::High, false),
        ];
        let got = tried(&signals, &["service"]);
        assert_eq!((got.alerts_now, got.alerts_then, got.together_total, got.apart_total), (3, 3, 1, 1));
        let keys: Vec<&str> = got.together[0].several.iter().map(|t| t.key.as_str()).collect();
        assert_eq!((got.together[0].one.key.as_str(), keys), ("x:rule:service=api", vec!["x:1", "x:2"]));
        assert_eq!((got.apart[0].one.key.as_str(), got.apart[0].count), ("x:3", 2));
        assert!(got.warnings().is_empty(), "{:?}", got.warnings());
    }

    #[test]
    fn fields_that_say_nothing_and_ends_that_miss_are_warned_of() {
        let signals = [
            signal("x:1", "api", Severity::High, false),
            signal("x:1", "api", Severity::Info, true),
            signal("x:2", "", Severity::High, false),
            signal("x:2", "api", Severity::High, true),
            signal("x:3", "db", Severity::High, false),
            signal("x:3", "", Severity::High, true),
            signal("x:9", "db", Severity::High, true),
        ];
        let got = tried(&signals, &["service", "severity"]);
        assert_eq!((got.ends, got.lost_ends), (3, 2), "the second is met by its own key, the last has no beginning");
        assert_eq!(got.missing, [(IdentityField::Service, 2)]);
        assert_eq!(got.differing, [(IdentityField::Severity, 1)]);
        let said = got.warnings().join("\n");
        for part in ["service says nothing in 2 of 7 signals", "severity is another at the end", "2 of 3 ends would no"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn an_end_that_comes_while_the_rest_burns_is_warned_of() {
        let signals = [
            signal("x:1", "api", Severity::High, false),
            signal("x:2", "api", Severity::High, false),
            signal("x:1", "api", Severity::High, true),
            signal("x:2", "api", Severity::High, true),
        ];
        let got = tried(&signals, &["service"]);
        assert_eq!((got.lost_ends, got.early_ends), (0, 1));
        assert_eq!(
            tried(&signals, &[]),
            Trial { alerts_then: 2, early_ends: 0, together_total: 0, together: Vec::new(), ..got }
        );
    }
}
