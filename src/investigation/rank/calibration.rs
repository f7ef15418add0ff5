//! From scores to confidence. A fresh installation does not know how its scores come true, and is modest; once people have
//! recorded enough causes, confidences are fitted to what came true here.

use super::{SHARPNESS, UNSEEN};
use crate::model::{ENOUGH, IncidentId, Outcome};

/// Nothing has been learned yet on a fresh installation, so no cause is surer than this.
pub const CAP: f64 = 0.75;
/// Nothing is certain.
const MOST: f64 = 0.97;
/// Ended incidents by which an older one counts half: what was known then was less.
const HALF_LIFE: f64 = 60.0;
/// How far slope and shift may leave 1 and 0 without reason, as deviations.
const SLOPE: f64 = 0.25;
const SHIFT: f64 = 1.0;
/// Steps of the fit; it has settled long before.
const STEPS: usize = 25;

/// How likely each of these scores is the cause, against each other and against something that nobody told us of; the
/// highest first.
pub fn likelihoods(scores: &[f64]) -> Vec<f64> {
    let highest = scores.iter().copied().fold(UNSEEN, f64::max);
    let odds = |score: f64| (SHARPNESS * (score - highest)).exp();
    let total: f64 = scores.iter().map(|s| odds(*s)).sum::<f64>() + odds(UNSEEN);
    scores.iter().map(|s| odds(*s) / total).collect()
}

/// Ended incidents with an answer and a recorded cause: what confidences are fitted to.
pub fn judged(outcomes: &[(IncidentId, Outcome)]) -> usize {
    outcomes.iter().filter(|(_, o)| o.said.is_some() && o.right.is_some()).count()
}

/// What turns a likelihood into a confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Calibration {
    /// Too little is known here.
    Fresh,
    /// A line through log odds.
    Fitted {
        /// Its slope.
        slope: f64,
        /// Its value at even odds.
        shift: f64,
    },
}

impl Calibration {
    /// Fitted to what came true, where enough is known. `outcomes` are newest first.
    pub fn of(outcomes: &[(IncidentId, Outcome)]) -> Self {
        let judged = outcomes.iter().filter_map(|(_, o)| {
            let first = likelihoods(&o.said.as_ref()?.scores).first().copied()?;
            Some((log_odds(first), o.right?))
        });
        let judged: Vec<(f64, bool)> = judged.collect();
        if judged.len() < ENOUGH {
            return Self::Fresh;
        }
        let (mut slope, mut shift) = (1.0, 0.0);
        for _ in 0..STEPS {
            // Newton's step on the likelihood with both priors.
            let (mut g0, mut g1) = ((1.0 - slope) / (SLOPE * SLOPE), -shift / (SHIFT * SHIFT));
            let (mut h00, mut h01, mut h11) = (1.0 / (SLOPE * SLOPE), 0.0, 1.0 / (SHIFT * SHIFT));
            for (age, (x, right)) in judged.iter().enumerate() {
                let weight = 0.5_f64.powf(age as f64 / HALF_LIFE);
                let p = logistic(slope * x + shift);
                let miss = weight * (f64::from(u8::from(*right)) - p);
                let curve = weight * p * (1.0 - p);
                g0 += miss * x;
                g1 += miss;
                h00 += curve * x * x;
                h01 += curve * x;
                h11 += curve;
            }
            let det = h00 * h11 - h01 * h01;
            if det.abs() < 1e-12 {
                break;
            }
            slope = (slope + (h11 * g0 - h01 * g1) / det).clamp(0.05, 3.0);
            shift = (shift + (h00 * g1 - h01 * g0) / det).clamp(-4.0, 4.0);
        }
        Self::Fitted { slope, shift }
    }

    /// Confidences of these scores, the highest first; none is surer than the first.
    pub fn confidences(self, scores: &[f64]) -> Vec<f64> {
        let raw = likelihoods(scores);
        let Some(first) = raw.first().copied() else { return raw };
        match self {
            Self::Fresh => raw.into_iter().map(|p| p.min(CAP)).collect(),
            Self::Fitted { slope, shift } => {
                let sure = logistic(slope * log_odds(first) + shift).min(MOST);
                // What is left is shared as before.
                let rest = if first < 1.0 { (1.0 - sure) / (1.0 - first) } else { 0.0 };
                let of = |(n, p): (usize, f64)| if n == 0 { sure } else { (p * rest).min(sure) };
                raw.into_iter().enumerate().map(of).collect()
            }
        }
    }
}

fn log_odds(p: f64) -> f64 {
    let p = p.clamp(0.001, 0.999);
    (p / (1.0 - p)).ln()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SaidFirst, Time};

    /// An incident whose first cause led by so much, and how it came out.
    fn ended(n: u64, lead: f64, right: bool) -> (IncidentId, Outcome) {
        let scores = vec![UNSEEN + 4.0 + lead, UNSEEN + 4.0];
        let said = SaidFirst { service: None, host: None, symptom: None, confidence: 0.5, scores };
        let outcome =
            Outcome { at: Time::from_secs(0), places: Vec::new(), cause: None, said: Some(said), right: Some(right) };
        (IncidentId(n), outcome)
    }

    #[test]
    fn a_fresh_installation_is_never_surer_than_its_cap() {
        let few: Vec<_> = (0..ENOUGH as u64 - 1).map(|n| ended(n, 6.0, true)).collect();
        let fresh = Calibration::of(&few);
        assert_eq!(fresh, Calibration::Fresh);
        assert_eq!(fresh.confidences(&[20.0, 1.0]).first().copied(), Some(CAP));
        assert!(fresh.confidences(&[]).is_empty());
    }

    #[test]
    fn what_came_true_lifts_or_lowers_confidence() {
        let all = |right: fn(u64) -> bool| -> Vec<_> { (0..120).map(|n| ended(n, 3.0, right(n))).collect() };
        let scores = [UNSEEN + 7.0, UNSEEN + 4.0];
        let check = |right: fn(u64) -> bool, from: f64, to: f64| {
            let got = Calibration::of(&all(right)).confidences(&scores);
            assert!((from..=to).contains(&got[0]), "{got:?}");
            assert!(got[1] <= got[0] && got.iter().sum::<f64>() <= 1.0 + 1e-9, "{got:?}");
        };
        check(|_| true, 0.9, MOST);
        check(|n| n % 10 != 0, 0.85, 0.93);
        check(|n| n % 2 == 0, 0.45, 0.6);
        check(|_| false, 0.0, 0.15);
    }
}
