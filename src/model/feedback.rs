//! What people said of causes, and what that makes of an investigation's answer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Cause, Conclusion, Investigation, RecordedCause, Symptom, Time, Verdict, name_key};

/// From here on a cause that leads after another was judged wrong is called likely.
const LIKELY: f64 = 0.5;

/// What a person said of one cause. It outlasts every later investigation, whether that names the cause or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Judged {
    /// The service at fault.
    #[serde(default)]
    pub service: Option<String>,
    /// The machine at fault.
    #[serde(default)]
    pub host: Option<String>,
    /// What was wrong with it.
    #[serde(default)]
    pub symptom: Option<Symptom>,
    /// The cause in one line, as it was read.
    pub title: String,
    /// What was said.
    pub verdict: Verdict,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Time,
}

/// What an investigation put first before anybody had judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FirstAnswer {
    /// The service at fault.
    #[serde(default)]
    pub service: Option<String>,
    /// The machine at fault.
    #[serde(default)]
    pub host: Option<String>,
    /// What was wrong with it.
    #[serde(default)]
    pub symptom: Option<Symptom>,
    /// In one line.
    pub title: String,
    /// 0 to 1.
    pub confidence: f64,
    /// When that investigation ended.
    pub at: Time,
}

/// How an investigation itself ended, whatever people said since: it holds again when they take that back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnWords {
    /// How sure it was.
    #[serde(default)]
    pub conclusion: Option<Conclusion>,
    /// Its two or three sentences.
    #[serde(default)]
    pub summary: Option<String>,
    /// The title of what it put first.
    #[serde(default)]
    pub first: Option<String>,
}

/// The names by which a cause is known again: two runs may put the same cause in other words.
#[derive(Clone, Copy, Debug)]
struct Known<'a> {
    service: Option<&'a str>,
    host: Option<&'a str>,
    symptom: Option<Symptom>,
}

impl Known<'_> {
    /// The same service with the same symptom; without a service, the same machine.
    fn same(self, other: Known<'_>) -> bool {
        let place = match (self.service, other.service) {
            (Some(a), Some(b)) => name_key(a) == name_key(b),
            (None, None) => self.host.map(name_key) == other.host.map(name_key),
            _ => false,
        };
        place && self.symptom == other.symptom
    }
}

impl Cause {
    fn known(&self) -> Known<'_> {
        Known { service: self.service.as_deref(), host: self.host.as_deref(), symptom: self.symptom }
    }

    /// Tells a cause that was read from another one that a later run put at its rank: a digest of its title (FNV-1a).
    pub fn mark(&self) -> String {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        format!("{:016x}", self.title.bytes().fold(0xcbf2_9ce4_8422_2325, step))
    }

    /// A person said that this is it.
    pub fn is_right(&self) -> bool {
        self.verdict == Some(Verdict::Right)
    }

    /// A person said that it is not this.
    pub fn is_wrong(&self) -> bool {
        self.verdict == Some(Verdict::Wrong)
    }

    /// Whether it is the one that a person recorded. What they left open fits everything.
    pub fn is(&self, recorded: &RecordedCause) -> bool {
        recorded.names(self.service.as_deref(), self.host.as_deref(), self.symptom)
    }
}

impl Judged {
    fn known(&self) -> Known<'_> {
        Known { service: self.service.as_deref(), host: self.host.as_deref(), symptom: self.symptom }
    }

    /// Whether it is about this cause.
    pub fn is_of(&self, cause: &Cause) -> bool {
        self.known().same(cause.known())
    }

    /// A verdict on a cause.
    pub fn of(cause: &Cause, verdict: Verdict, by: String, at: Time) -> Self {
        Self {
            service: cause.service.clone(),
            host: cause.host.clone(),
            symptom: cause.symptom,
            title: cause.title.clone(),
            verdict,
            by,
            at,
        }
    }
}

impl RecordedCause {
    /// Whether it is a cause with these names.
    fn names(&self, service: Option<&str>, host: Option<&str>, symptom: Option<Symptom>) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| match (wanted, found) {
            (Some(a), Some(b)) => name_key(a) == name_key(b),
            (wanted, _) => wanted.is_none(),
        };
        let what = self.symptom.filter(|s| *s != Symptom::Unknown);
        // Of one that names a service the machine is a detail.
        let host = self.service.is_some() || same(&self.host, host);
        same(&self.service, service) && host && what.is_none_or(|s| symptom == Some(s))
    }
}

impl Investigation {
    /// The cause that leads: the one that a person recorded, else the first that is neither ruled out nor judged wrong.
    pub fn leading(&self) -> Option<&Cause> {
        let open = |c: &&Cause| !c.ruled_out && !c.is_wrong();
        let right = self.causes.iter().find(|c| c.is_right());
        right.or_else(|| self.causes.iter().filter(open).min_by_key(|c| c.rank))
    }

    /// What the last run put first, whatever was said of it since.
    fn own_first(&self) -> Option<&Cause> {
        let first = self.own.as_ref()?.first.as_deref()?;
        self.causes.iter().filter(|c| c.title == first).min_by_key(|c| c.rank)
    }

    /// The same, where it was judged wrong.
    pub fn refuted(&self) -> Option<&Cause> {
        self.own_first().filter(|c| c.is_wrong())
    }

    /// Whether nobody has judged yet.
    pub fn is_unjudged(&self) -> bool {
        self.judged.is_empty() && self.recorded.is_none()
    }

    /// Gives each cause the verdict that stands for it.
    pub fn apply_verdicts(&mut self) {
        for cause in &mut self.causes {
            cause.verdict = None;
        }
        for judged in &self.judged {
            let same = |c: &&mut Cause| c.known().same(judged.known());
            // Two causes of one service with one symptom, such as two deploys, differ by what was read.
            let exact = self.causes.iter_mut().find(|c| same(c) && c.title == judged.title);
            let found = match exact {
                Some(cause) => Some(cause),
                None => self.causes.iter_mut().find(same),
            };
            if let Some(cause) = found {
                cause.verdict = Some(judged.verdict);
            }
        }
    }

    /// Puts what was judged wrong behind what was not, and what was judged right first. Confidences stay.
    pub fn reorder(&mut self) {
        let place = |c: &Cause| match c.verdict {
            Some(Verdict::Right) => 0,
            _ if c.ruled_out => 3,
            Some(Verdict::Wrong) => 2,
            None => 1,
        };
        self.causes.sort_by_key(|c| (place(c), c.rank));
        let moved: Vec<(u32, u32)> = self.causes.iter().map(|c| c.rank).zip(1..).collect();
        for (cause, rank) in self.causes.iter_mut().zip(1..) {
            cause.rank = rank;
        }
        // A second opinion names causes by their ranks.
        for rank in self.opinion.iter_mut().flat_map(|o| &mut o.causes).filter_map(|c| c.rank.as_mut()) {
            *rank = moved.iter().find(|(was, _)| was == rank).map_or(*rank, |(_, is)| *is);
        }
    }

    /// How sure it is with what people said.
    pub fn conclusion(&self) -> Option<Conclusion> {
        let own = self.own.as_ref().and_then(|o| o.conclusion);
        if self.recorded.is_some() {
            return Some(Conclusion::Confirmed);
        }
        if self.refuted().is_none() {
            return own;
        }
        let likely = self.leading().is_some_and(|c| c.confidence >= LIKELY);
        if likely { own } else { Some(Conclusion::Inconclusive) }
    }

    /// Its sentences with what people said.
    pub fn summary(&self) -> Option<String> {
        let own = || self.own.as_ref().and_then(|o| o.summary.clone());
        if let Some(recorded) = &self.recorded {
            let agrees = self.own_first().is_some_and(Cause::is_right);
            return match own() {
                Some(own) if agrees => Some(own),
                _ => {
                    let right = self.causes.iter().find(|c| c.is_right());
                    let title = right.map_or_else(|| recorded.as_cause().title, |c| c.title.clone());
                    Some(format!("{} recorded the cause: {title}.", recorded.by))
                }
            };
        }
        let Some(wrong) = self.refuted() else { return own() };
        let by = self.judged.iter().rev().find(|j| wrong.known().same(j.known())).map_or("somebody", |j| j.by.as_str());
        let next = match self.leading() {
            Some(next) => format!("Next comes {} ({:.0}\u{a0}%).", next.title, next.confidence * 100.0),
            None => "Nothing else leads.".to_owned(),
        };
        Some(format!("{by} says that it is not this: {}. {next}", wrong.title))
    }

    /// Whether what was put first was right; none while nobody has said what it was.
    pub fn first_was_right(&self) -> Option<bool> {
        if let Some(recorded) = &self.recorded {
            let first = self.first.as_ref();
            return Some(first.is_some_and(|f| recorded.names(f.service.as_deref(), f.host.as_deref(), f.symptom)));
        }
        let first = self.first.as_ref()?;
        let known = Known { service: first.service.as_deref(), host: first.host.as_deref(), symptom: first.symptom };
        let wrong = |j: &Judged| j.verdict == Verdict::Wrong && j.known().same(known);
        self.judged.iter().any(wrong).then_some(false)
    }
}

impl FirstAnswer {
    /// A cause that an investigation put first when it ended.
    pub fn of(c: &Cause, at: Time) -> Self {
        Self {
            service: c.service.clone(),
            host: c.host.clone(),
            symptom: c.symptom,
            title: c.title.clone(),
            confidence: c.confidence,
            at,
        }
    }
}
