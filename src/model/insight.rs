//! Figures of what happened: how they are kept day by day, and what is told of them.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Platform, Time};

/// Percentiles of `Durations` are off by at most this share of themselves.
pub const PERCENTILE_ERROR: f64 = 0.02;
/// Each class of durations reaches so many times as far as the one before: (1 + error) / (1 − error).
const GROWTH: f64 = (1.0 + PERCENTILE_ERROR) / (1.0 - PERCENTILE_ERROR);
/// Class of the longest durations: some fifteen thousand years.
const LAST_CLASS: u16 = 680;
/// Values fewer than which make no line and no percentile worth a comparison.
pub const FEW: u64 = 5;

/// Durations by classes that grow with the length, so that many of them take little room, sums of them are exact, and one
/// can be taken out again. (A published sketch such as `DDSketch` has the same classes, but forgets: it cannot take out.)
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Durations(BTreeMap<u16, i64>);

impl Durations {
    /// Counts a duration so many times more; taken out when that is less than zero.
    pub fn count(&mut self, d: Duration, times: i64) {
        self.put(class(d), times);
    }

    /// Counts all of the other's so many times.
    pub fn add(&mut self, other: &Self, times: i64) {
        for (class, n) in &other.0 {
            self.put(*class, n * times);
        }
    }

    fn put(&mut self, class: u16, times: i64) {
        let n = self.0.entry(class).or_default();
        *n += times;
        if *n == 0 {
            self.0.remove(&class);
        }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        u64::try_from(self.0.values().sum::<i64>()).unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The duration in seconds that this share of them does not exceed; none where there are none. A value of the sample,
    /// within `PERCENTILE_ERROR`: the nearest rank, nothing is put between two.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let all = self.len();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rank = ((all as f64 * share).ceil() as u64).clamp(1, all.max(1));
        let mut passed = 0;
        for (class, n) in &self.0 {
            passed += u64::try_from(*n).unwrap_or(0);
            if passed >= rank {
                return Some(middle(*class));
            }
        }
        None
    }

    /// What is told of them.
    pub fn spread(&self) -> Spread {
        Spread { count: self.len(), median_s: self.percentile(0.5), p90_s: self.percentile(0.9) }
    }
}

/// Less than a second is class 0; class n reaches from growth^(n−1) seconds to below growth^n.
fn class(d: Duration) -> u16 {
    let secs = d.as_secs_f64();
    if secs < 1.0 {
        return 0;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let class = (secs.ln() / GROWTH.ln()).floor() as u16;
    (class + 1).min(LAST_CLASS)
}

/// The seconds that no value of the class is further from than the error.
fn middle(class: u16) -> f64 {
    match class {
        0 => 0.5,
        n => 2.0 * GROWTH.powi(i32::from(n)) / (GROWTH + 1.0),
    }
}

/// What is counted of the incidents of one day, of all or of one service. Counts may be less than zero where they are
/// differences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayFigures {
    /// Opened in each hour (UTC); merged ones left out.
    pub hours: [i64; 24],
    /// Opened, merged ones among them.
    pub groups: i64,
    /// Opened and not muted: they call for somebody.
    pub told: i64,
    /// Of these, between 22:00 and 07:00.
    pub night: i64,
    /// From detection to acknowledgement.
    pub acknowledged: Durations,
    /// From the beginning to the end, as the events say.
    pub resolved: Durations,
    /// People said what it was, or that it is not what stood first.
    pub judged: i64,
    /// What stood first was it.
    pub right: i64,
    /// A message told somebody.
    #[serde(default)]
    pub notified: i64,
}

impl DayFigures {
    /// Adds the other's so many times.
    pub fn add(&mut self, other: &Self, times: i64) {
        for (ours, theirs) in self.hours.iter_mut().zip(&other.hours) {
            *ours += theirs * times;
        }
        self.groups += other.groups * times;
        self.told += other.told * times;
        self.night += other.night * times;
        self.acknowledged.add(&other.acknowledged, times);
        self.resolved.add(&other.resolved, times);
        self.judged += other.judged * times;
        self.right += other.right * times;
        self.notified += other.notified * times;
    }

    /// Nothing is counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a kind of alert is called, and how it is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindName {
    /// Who sends it.
    pub platform: Platform,
    /// The rule, as the label has it; else what its titles have in common.
    pub name: String,
    /// The label that names the rule.
    #[serde(default)]
    pub label: Option<String>,
    /// The last week in which it was heard of, as the number of its Monday.
    pub week: i64,
}

/// Times that something took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Half of them took at most so many seconds; null where there are none. Within 2 %.
    pub median_s: Option<f64>,
    /// Nine in ten took at most so many seconds. Within 2 %.
    pub p90_s: Option<f64>,
}

/// How often the first answer was right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Judgements {
    /// Incidents of which people said what it was, or that it is not what stood first.
    pub judged: u64,
    /// Those where what stood first was it.
    pub right: u64,
}

/// From what was received to what called for somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Funnel {
    /// Webhooks with alerts; null for one service, since a webhook is of no service.
    pub webhooks: Option<u64>,
    /// Alerts received firing, repeats included.
    pub received: u64,
    /// Alerts without their repeats. An alert counts on the day on which it was last heard of.
    pub alerts: u64,
    /// Groups that alerts were put into: incidents, those that were merged later among them.
    pub groups: u64,
    /// Incidents.
    pub incidents: u64,
    /// Of them those that called for somebody: not muted.
    pub told: u64,
    /// Those of which a message told somebody.
    pub notified: u64,
}

/// The figures of one stretch of time. Tests are left out of all of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Figures {
    /// From here: a midnight in UTC.
    pub since: Time,
    /// To before here.
    pub until: Time,
    /// From detection to acknowledgement, of incidents that were opened in that time.
    pub acknowledge: Spread,
    /// From the beginning to the end, of the same.
    pub resolve: Spread,
    /// Noise and what became of it.
    pub funnel: Funnel,
    /// Incidents that called for somebody between 22:00 and 07:00 UTC.
    pub night: u64,
    /// First answers.
    pub first_answers: Judgements,
}

/// One week of the charts: seven days, counted from the beginning of the period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Week {
    /// From here.
    pub since: Time,
    /// To before here.
    pub until: Time,
    /// Incidents.
    pub incidents: u64,
    /// Their times to acknowledge.
    pub acknowledge: Spread,
    /// Their times to resolve.
    pub resolve: Spread,
}

/// Incidents that a service had a part in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ServiceFigures {
    /// The service, in lower case.
    pub service: String,
    /// All.
    pub incidents: u64,
    /// Critical ones.
    pub critical: u64,
    /// High.
    pub high: u64,
    /// Medium.
    pub medium: u64,
    /// Low.
    pub low: u64,
    /// Information only.
    pub info: u64,
}

impl ServiceFigures {
    /// By severity, worst first.
    pub fn severities(&self) -> [u64; 5] {
        [self.critical, self.high, self.medium, self.low, self.info]
    }
}

super::words! {
    /// What is to be done about a noisy alert.
    Advice {
        /// It goes up and down.
        Flaps = "flaps",
        /// Incidents that it opened, and nobody did anything about any of them.
        NeverActedOn = "never_acted_on",
        /// Its sender says the same again and again.
        Repeats = "repeats",
        /// It nearly always joins incidents that others opened.
        Follows = "follows",
        /// Nothing.
        Fine = "fine",
    }
}

/// A kind of alert, and how noisy it is. Counted in whole weeks from Monday on.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Noisy {
    /// Its name.
    pub name: String,
    /// Who sends it.
    pub platform: Platform,
    /// Times received firing, repeats included.
    pub times: u64,
    /// Alerts, without repeats.
    pub alerts: u64,
    /// Alerts among them that flapped.
    pub flapped: u64,
    /// Incidents that it opened.
    pub incidents: u64,
    /// Those of them that somebody took, acknowledged or ended.
    pub acted_on: u64,
    /// What to do.
    pub advice: Advice,
    /// The same in words.
    pub text: String,
    /// Finds its alerts in the list of alerts.
    pub query: String,
}

impl Noisy {
    /// From what is counted of a kind: alerts, times, flapped, incidents, acted on.
    pub fn new(kind: &KindName, counted: [i64; 5]) -> Self {
        let [alerts, times, flapped, incidents, acted_on] = counted.map(|n| u64::try_from(n).unwrap_or(0));
        let (advice, text) = advice(alerts, times, flapped, incidents, acted_on);
        let platform = kind.platform.clone();
        let quoted = |text: &str| text.replace(['"', '\\'], " ");
        let query = match &kind.label {
            Some(label) => format!("source:{platform} label.{label}:\"{}\"", quoted(&kind.name)),
            None => {
                let words: Vec<String> = kind.name.split_whitespace().map(|w| format!("\"{}\"", quoted(w))).collect();
                format!("source:{platform} {}", words.join(" "))
            }
        };
        let name = kind.name.clone();
        Self { name, platform, times, alerts, flapped, incidents, acted_on, advice, text, query }
    }

    /// The share of what was received that became no incident, 0 to 1.
    pub fn folded(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let left = self.incidents.min(self.times) as f64 / self.times.max(1) as f64;
        1.0 - left
    }
}

/// What the counts of a kind say: the first rule that fits.
fn advice(alerts: u64, times: u64, flapped: u64, incidents: u64, acted_on: u64) -> (Advice, String) {
    if flapped >= 3 && flapped * 5 >= alerts {
        let text = format!("{flapped} of {alerts} flapped: let it wait longer before it fires");
        return (Advice::Flaps, text);
    }
    if incidents >= FEW && acted_on == 0 {
        return (Advice::NeverActedOn, format!("nobody acted on any of {incidents}: lower it to info"));
    }
    if times >= 50 && times >= alerts * 20 {
        let each = times / alerts.max(1);
        return (Advice::Repeats, format!("sent {each} times for each alert: let its sender repeat less often"));
    }
    if alerts >= 10 && incidents * 10 <= alerts {
        return (Advice::Follows, "nearly always follows others: it tells little that is new".to_owned());
    }
    (Advice::Fine, "fine as it is".to_owned())
}

/// What happened in a stretch of time, against the one before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Insights {
    /// The one service that this is about; null for all. An incident is of every service that it touched.
    pub service: Option<String>,
    /// The period.
    pub period: Figures,
    /// As long a time before it.
    pub before: Figures,
    /// The period in weeks of seven days.
    pub weeks: Vec<Week>,
    /// Services with most incidents first. Not for one service.
    pub services: Vec<ServiceFigures>,
    /// Incidents opened by weekday, Monday first, and hour (UTC).
    pub hours: [[u64; 24]; 7],
    /// Alerts received most often first, counted from the Monday on or before the beginning. Not for one service.
    pub noisiest: Vec<Noisy>,
    /// Percentiles are off by at most this share of themselves.
    pub percentile_error: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_the_stated_error_and_values_can_be_taken_out() {
        let mut seed = 7_u64;
        let mut draw = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 33
        };
        let mut all = Durations::default();
        let mut exact: Vec<u64> = (0..5_000).map(|_| 1_000 + draw() % (10 << (draw() % 24))).collect();
        for ms in &exact {
            all.count(Duration::from_millis(*ms), 1);
        }
        exact.sort_unstable();
        for share in [0.01, 0.25, 0.5, 0.9, 0.99, 1.0] {
            let rank = (exact.len() as f64 * share).ceil() as usize - 1;
            let (want, found) = (exact[rank] as f64 / 1000.0, all.percentile(share).unwrap());
            assert!((found - want).abs() <= want * PERCENTILE_ERROR * 1.000_001, "{share}: {found} for {want}");
        }
        let one = Duration::from_secs(77);
        let before = all.clone();
        all.count(one, 1);
        assert_eq!(all.len(), before.len() + 1);
        all.count(one, -1);
        assert_eq!(all, before);
        let mut none = before.clone();
        none.add(&before, -1);
        assert!(none.is_empty() && none.percentile(0.5).is_none());
    }

    #[test]
    fn the_ends_of_the_scale() {
        let of = |d: Duration| {
            let mut one = Durations::default();
            one.count(d, 1);
            one.percentile(0.5).unwrap()
        };
        assert!(of(Duration::ZERO) < 1.0);
        assert!((of(Duration::from_secs(1)) - 1.0).abs() <= 0.0201);
        assert!(of(Duration::MAX).is_finite());
    }

    #[test]
    fn advice_follows_the_counts() {
        let check = |counted: [i64; 5], want: Advice| {
            let kind = KindName { platform: "grafana".into(), name: "Disk \"full\"".into(), ..KindName::default() };
            let noisy = Noisy::new(&kind, counted);
            assert_eq!(noisy.advice, want, "{counted:?}");
            assert_eq!(noisy.query, "source:grafana \"Disk\" \" full \"");
        };
        check([10, 100, 4, 2, 2], Advice::Flaps);
        check([10, 100, 1, 6, 0], Advice::NeverActedOn);
        check([10, 400, 0, 6, 1], Advice::Repeats);
        check([30, 40, 0, 2, 1], Advice::Follows);
        check([30, 40, 0, 20, 1], Advice::Fine);
        let label = KindName { label: Some("alertname".into()), name: "X".into(), ..KindName::default() };
        assert_eq!(Noisy::new(&label, [1, 1, 0, 1, 0]).query, "source: label.alertname:\"X\"");
    }
}
