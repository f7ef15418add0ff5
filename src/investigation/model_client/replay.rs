//! A conversation once more from its transcript: the model's answers as they were, the tools as they are. On the same case
//! the same is said and the same comes of it.

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
};

use super::{
    Names,
    fence::Tag,
    redact::Redactor,
    surroundings::Surroundings,
    talk::{Failure, Heard, Scribe, Talk, Told, Voice},
    tools::{Desk, Recorded},
    wire::{Ask, Call, Reply},
};
use crate::{
    investigation::{Case, Line},
    model::*,
};

/// Gives the answers of a transcript, one after the other.
pub(super) struct Scripted<'a> {
    rounds: std::slice::Iter<'a, Round>,
}

impl<'a> Scripted<'a> {
    pub fn new(rounds: &'a [Round]) -> Self {
        Self { rounds: rounds.iter() }
    }
}

impl Voice for Scripted<'_> {
    async fn say(&mut self, _: &Ask<'_>) -> Result<Heard, Failure> {
        let round = self.rounds.next().ok_or_else(|| Failure("The transcript has no further answer.".to_owned()))?;
        if let Some(why) = &round.failure {
            return Err(Failure(why.clone()));
        }
        let call = |c: &Called| Call { id: c.id.clone(), name: c.name.clone(), arguments: c.arguments.clone() };
        let counted = |n: u64| Some(n).filter(|_| !round.estimated);
        let reply = Reply {
            text: round.text.clone(),
            calls: round.calls.iter().map(call).collect(),
            tokens_in: counted(round.tokens_in),
            tokens_out: counted(round.tokens_out),
            cut: false,
        };
        // Written as millionths, so that it is exact.
        let cost_micros = (round.cost * 1e6).round() as u64;
        Ok(Heard { reply, cost_micros, took_ms: round.took_ms })
    }
}

/// Thoughts in memory.
#[derive(Debug, Default)]
pub(super) struct Collected(pub Vec<Line>);

impl Scribe for Collected {
    type Stop = Infallible;

    async fn write(&mut self, lines: Vec<Line>) -> Result<(), Infallible> {
        self.0.extend(lines);
        Ok(())
    }
}

/// A conversation once more.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// What came of it.
    pub opinion: Option<Opinion>,
    /// Request by request.
    pub rounds: Vec<Round>,
    /// The thoughts of the model's part.
    pub lines: Vec<Line>,
}

impl Replayed {
    /// In what it differs from the transcript, in words; empty when in nothing.
    pub fn differences(&self, transcript: &Transcript) -> Vec<String> {
        let mut found = Vec::new();
        if self.rounds.len() != transcript.rounds.len() {
            found.push(format!("{} requests instead of {}", self.rounds.len(), transcript.rounds.len()));
        }
        for (n, (now, then)) in self.rounds.iter().zip(&transcript.rounds).enumerate() {
            if !transcript.cut && now.said != then.said {
                found.push(format!("request {}: another text leaves", n + 1));
            }
            if now.calls != then.calls {
                found.push(format!("request {}: calls are answered otherwise", n + 1));
            }
        }
        if self.opinion != transcript.opinion {
            found.push("the opinion is another".to_owned());
        }
        found
    }
}

/// Has it once more. Nothing in it waits: the answers are there, and no tool outside is asked.
pub fn replay(transcript: &Transcript, case: &Case, around: &Surroundings) -> Replayed {
    let (_, finish, ledger) = crate::investigation::examined(case);
    let mut redactor = Redactor::new(Vec::new());
    if transcript.names_redacted {
        let names = Names::of(case, around);
        redactor = redactor.with_names(names.all());
    }
    let tag = Tag::known(&transcript.tag);
    let recorded = Recorded(serde_json::from_value(transcript.asked.clone()).unwrap_or_default());
    let mut desk = Desk::new(case, &finish.answer, around, &recorded, ledger, redactor, tag);
    let mut lines = Collected::default();
    let talk = Talk {
        model: &transcript.model,
        form: transcript.form,
        limits: transcript.limits,
        desk: &mut desk,
        voice: Scripted::new(&transcript.rounds),
        scribe: &mut lines,
        at: transcript.at,
    };
    let (opinion, rounds) = match talk.run().now_or_never() {
        Some(Ok(Told { opinion, rounds, .. })) => (opinion, rounds),
        None => (None, Vec::new()),
    };
    Replayed { opinion, rounds, lines: lines.0 }
}

/// A future that is ready at once, without a runtime.
pub(super) trait NowOrNever: Future + Sized {
    fn now_or_never(self) -> Option<Self::Output> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(self).poll(&mut context) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }
}

impl<F: Future> NowOrNever for F {}
