//! The months before: incidents of the same company as a plan of what is sent and done when. Always the same one.

use super::company::{SCENES, Scene};

/// Days of history.
pub const DAYS: u64 = 170;
/// Incidents in them, but for the one of yesterday.
const INCIDENTS: u64 = 76;
const DAY: u64 = 86_400;
/// More by day than by night.
const HOURS: [u64; 13] = [2, 3, 8, 9, 9, 10, 11, 13, 14, 15, 16, 17, 20];

/// What happens at one moment, in seconds after the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A deploy of the scene's service.
    Deploy,
    /// The alarm of that number fires, for the first time or again.
    Fire(usize),
    /// It is over.
    End(usize),
    /// Somebody takes it.
    Take,
    /// Somebody says what it was, and ends it.
    Judge {
        /// What the investigation put first was not it.
        otherwise: bool,
    },
}

/// A planned moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Seconds after the beginning.
    pub at: u64,
    /// Which incident of the plan.
    pub of: usize,
    /// Of this scene.
    pub scene: &'static Scene,
    /// When each of its alarms began is `at` of its first `Fire`.
    pub deed: Deed,
}

/// A number drawn from a seed.
fn drawn(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Every moment, in order, of a history that begins at a midnight and is so many seconds long.
pub fn plan(length: u64) -> Vec<Moment> {
    let mut moments = Vec::new();
    let apart = (DAYS - 2) * DAY / INCIDENTS;
    let weights: u64 = SCENES.iter().map(|s| s.weight).sum();
    for n in 0..INCIDENTS {
        let seed = drawn(n);
        let mut pick = seed % weights;
        let scene = SCENES.iter().find(|s| {
            let here = pick < s.weight;
            pick = pick.saturating_sub(s.weight);
            here
        });
        let hour = usize::try_from((seed >> 8) % 13).ok().and_then(|n| HOURS.get(n)).copied().unwrap_or(9);
        let day = (n * apart) / DAY;
        let at = day * DAY + hour * 3_600 + (n * 977 + seed) % 3_000;
        if let Some(scene) = scene {
            incident(&mut moments, usize::try_from(n).unwrap_or(0), scene, at, n * 100 / INCIDENTS, seed);
        }
    }
    // Yesterday, at about this time, the same as the story will be.
    if let Some(scene) = SCENES.first() {
        incident(
            &mut moments,
            usize::try_from(INCIDENTS).unwrap_or(0),
            scene,
            length.saturating_sub(26 * 3_600),
            100,
            1,
        );
    }
    moments.sort_by_key(|m| (m.at, m.of));
    moments
}

/// One incident; `late` is how far the history has come, in per cent: people became quicker.
fn incident(moments: &mut Vec<Moment>, of: usize, scene: &'static Scene, at: u64, late: u64, seed: u64) {
    let mut push = |at: u64, deed: Deed| moments.push(Moment { at, of, scene, deed });
    if scene.deployed.is_some() {
        push(at - 180, Deed::Deploy);
    }
    let take = (150 + seed % 900) * (160 - late) / 100;
    let lasts = (1_500 + seed % 4_000) * (170 - late) / 100;
    let judged = scene.cause.is_some() && !(seed >> 16).is_multiple_of(4);
    for n in 0..scene.alarms.len() {
        let from = at + 25 * n as u64;
        push(from, Deed::Fire(n));
        for r in 1..=scene.repeats {
            push(from + r * lasts / (scene.repeats + 1), Deed::Fire(n));
        }
        // Who ended it by hand was quicker than the senders.
        let late = if judged { 240 } else { 0 };
        push(at + lasts + late + 20 * n as u64, Deed::End(n));
    }
    if scene.taken {
        push(at + take.min(lasts - 60), Deed::Take);
    }
    if judged {
        push(at + lasts, Deed::Judge { otherwise: (seed >> 20) % 100 >= 55 + late / 4 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_is_in_order_and_ends_before_the_story() {
        let length = DAYS * DAY + 37_000;
        let plan = plan(length);
        assert!(plan.windows(2).all(|w| w[0].at <= w[1].at));
        assert!(plan.last().unwrap().at < length - 3_600, "{:?}", plan.last());
        let yesterday = plan.iter().filter(|m| m.of == 76 && matches!(m.deed, Deed::Fire(_))).count();
        assert!(yesterday >= 4);
        assert!(plan.len() < 2_500, "{}", plan.len());
    }
}
