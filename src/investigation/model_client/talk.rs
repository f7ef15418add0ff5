//! One conversation with a model, from the first request to its end: what it asks is answered from the desk, and what it
//! says is judged. It knows no network: who carries the requests is a `Voice`, which is the endpoint or a transcript.

use std::{collections::BTreeMap, future::Future};

use serde_json::json;

use super::{
    fence::plain,
    rules,
    tools::{self, Desk, Finishing, Wish},
    verify::{self, Judge, Verified},
    wire::{Answered, Ask, Call, Message, Offer, Reply},
};
use crate::{
    investigation::{Line, words},
    model::*,
};

/// Tokens that one answer may have.
const MOST_OUT: u32 = 2048;
/// Times that a model may write without calling a tool, and repeat calls, before it is over.
const IDLE: u32 = 3;
const REPEATS: u32 = 6;
/// Causes that are kept.
const CAUSES: usize = 3;
const STATEMENTS: usize = 5;

/// Why a request has no answer: a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure(pub String);

/// An answer with what it took.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    pub reply: Reply,
    pub cost_micros: u64,
    pub took_ms: u64,
}

/// Carries requests to a model.
pub(super) trait Voice: Send {
    /// Asks, and waits for the whole answer.
    fn say(&mut self, ask: &Ask<'_>) -> impl Future<Output = Result<Heard, Failure>> + Send;
}

/// Where thoughts go as they come.
pub(super) trait Scribe: Send {
    /// Why nothing more may be written.
    type Stop: Send;
    fn write(&mut self, lines: Vec<Line>) -> impl Future<Output = Result<(), Self::Stop>> + Send;
}

/// A conversation.
pub(super) struct Talk<'a, 'd, V, S> {
    pub model: &'a str,
    pub form: OpinionForm,
    pub limits: Limits,
    pub desk: &'a mut Desk<'d>,
    pub voice: V,
    pub scribe: &'a mut S,
    pub at: Time,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// None when the model said nothing at all.
    pub opinion: Option<Opinion>,
    /// Request by request.
    pub rounds: Vec<Round>,
    /// Why it broke off, when it did.
    pub failure: Option<String>,
}

#[derive(Default)]
struct State {
    messages: Vec<Message>,
    // How many of them have been sent.
    sent: usize,
    rounds: Vec<Round>,
    // Name and arguments → the answer.
    known: BTreeMap<(String, String), (String, bool)>,
    calls: u32,
    repeats: u32,
    idle: u32,
    notes: Vec<(String, Vec<String>)>,
    unsupported: u32,
    cost_micros: u64,
}

enum Step {
    GoOn,
    End(Finishing),
    Broken(String),
}

impl<V: Voice, S: Scribe> Talk<'_, '_, V, S> {
    /// Leads it to its end. What was said is told in every case.
    pub async fn run(mut self) -> Result<Told, S::Stop> {
        let mut state = State::default();
        let (system, first) = match self.form {
            OpinionForm::Tools => {
                let data = self.desk.incident();
                (
                    rules::with_tools(&self.desk.tag, &self.limits),
                    format!("{}\n{}", rules::BEGIN, self.desk.fenced(data)),
                )
            }
            OpinionForm::SinglePrompt => {
                let data = self.desk.everything().await;
                (rules::single(&self.desk.tag), format!("{}\n{}", rules::ALL, self.desk.fenced(data)))
            }
        };
        state.messages.push(Message::User(first));
        let steps = if self.form == OpinionForm::Tools { self.limits.steps } else { self.limits.steps.min(2) };
        let mut end = None;
        let mut failure = None;
        for step in 1..=steps {
            let stepped = match self.form {
                OpinionForm::Tools => self.step(&mut state, &system, step == steps).await?,
                OpinionForm::SinglePrompt => self.single(&mut state, &system).await?,
            };
            match stepped {
                Step::GoOn => {}
                Step::End(finishing) => {
                    end = Some(finishing);
                    break;
                }
                Step::Broken(why) => {
                    failure = Some(why);
                    break;
                }
            }
        }
        let failure = failure.or_else(|| {
            let why =
                format!("It came to no end within {}.", words::count(usize::try_from(steps).unwrap_or(1), "request"));
            end.is_none().then_some(why)
        });
        self.conclude(state, end, failure).await
    }

    /// One request of a conversation with tools, and what the model called.
    async fn step(&mut self, state: &mut State, system: &str, last: bool) -> Result<Step, S::Stop> {
        if last && !state.rounds.is_empty() {
            tell(state, rules::LAST);
        }
        let offer = if last || state.calls >= self.limits.calls { Offer::Finish } else { Offer::All };
        let reply = match self.ask(state, system, offer).await {
            Ok(reply) => reply,
            Err(why) => return Ok(Step::Broken(why)),
        };
        state.messages.push(Message::Model { text: reply.text.clone(), calls: reply.calls.clone() });
        if reply.calls.is_empty() {
            // Some write the end instead of calling it.
            if let Ok(end) = tools::read_finish(&reply.text) {
                return Ok(Step::End(end));
            }
            state.idle += 1;
            if state.idle >= IDLE {
                return Ok(Step::Broken("It called no tool although it was asked to.".to_owned()));
            }
            tell(state, rules::CALL);
            return Ok(Step::GoOn);
        }
        let mut results = Vec::new();
        let mut end = None;
        for call in &reply.calls {
            let wish = tools::read(&call.name, &call.arguments);
            if let Ok(Wish::Finish(finishing)) = wish {
                self.called(state, call, false, false);
                end = Some(finishing);
                break;
            }
            let (text, refused) = self.call(state, call, wish).await?;
            results.push(Answered { id: call.id.clone(), text, refused });
        }
        if let Some(end) = end {
            return Ok(Step::End(end));
        }
        state.messages.push(Message::Results(results));
        if state.repeats >= REPEATS {
            return Ok(Step::Broken("It asked the same again and again.".to_owned()));
        }
        Ok(Step::GoOn)
    }

    /// The request of a single prompt; a second one when the answer cannot be read.
    async fn single(&mut self, state: &mut State, system: &str) -> Result<Step, S::Stop> {
        let reply = match self.ask(state, system, Offer::None).await {
            Ok(reply) => reply,
            Err(why) => return Ok(Step::Broken(why)),
        };
        Ok(match tools::read_finish(&reply.text) {
            Ok(end) => Step::End(end),
            Err(why) => {
                state.messages.push(Message::Model { text: reply.text, calls: Vec::new() });
                state.messages.push(Message::User(format!("{why} {}", rules::AGAIN)));
                Step::GoOn
            }
        })
    }

    /// A request, within the limits.
    async fn ask(&mut self, state: &mut State, system: &str, tools: Offer) -> Result<Reply, String> {
        let used: u64 = state.rounds.iter().map(|r| r.tokens_in + r.tokens_out).sum();
        let ask = Ask { system, messages: &state.messages, tools, most_out: MOST_OUT };
        if used + estimate(&ask) > self.limits.tokens {
            return Err(format!("Its limit of {} tokens for one investigation is reached.", self.limits.tokens));
        }
        let said = said(system, &state.messages, state.sent);
        let heard = self.voice.say(&ask).await;
        let estimated_in = estimate(&ask);
        state.sent = state.messages.len();
        match heard {
            Ok(Heard { reply, cost_micros, took_ms }) => {
                let written =
                    reply.text.len() + reply.calls.iter().map(|c| c.name.len() + c.arguments.len()).sum::<usize>();
                state.cost_micros = state.cost_micros.saturating_add(cost_micros);
                let estimated = reply.tokens_in.is_none() || reply.tokens_out.is_none();
                state.rounds.push(Round {
                    said,
                    text: reply.text.clone(),
                    calls: Vec::new(),
                    tokens_in: reply.tokens_in.unwrap_or(estimated_in),
                    tokens_out: reply.tokens_out.unwrap_or_else(|| tokens(written)),
                    estimated,
                    cost: in_units(cost_micros),
                    took_ms,
                    failure: None,
                });
                Ok(reply)
            }
            Err(Failure(why)) => {
                state.rounds.push(Round { said, failure: Some(why.clone()), ..Round::default() });
                Err(why)
            }
        }
    }

    fn called(&self, state: &mut State, call: &Call, repeated: bool, refused: bool) {
        if let Some(round) = state.rounds.last_mut() {
            let Call { id, name, arguments } = call.clone();
            round.calls.push(Called { id, name, arguments, repeated, refused });
        }
    }

    /// Answers one call, and whether it was refused.
    async fn call(
        &mut self,
        state: &mut State,
        call: &Call,
        wish: Result<Wish, String>,
    ) -> Result<(String, bool), S::Stop> {
        if state.calls >= self.limits.calls {
            self.called(state, call, false, true);
            state.repeats += 1;
            return Ok((rules::NO_CALLS.to_owned(), true));
        }
        state.calls += 1;
        let key = (call.name.clone(), canonical(&call.arguments));
        if let Some((known, refused)) = state.known.get(&key) {
            let answer = (format!("{}\n{known}", rules::REPEATED), *refused);
            state.repeats += 1;
            self.called(state, call, true, answer.1);
            return Ok(answer);
        }
        let (text, refused) = match wish {
            Err(why) => {
                // It holds words of the model, which had them from who knows where.
                let why = self.desk.redactor.out(&self.desk.tag.defuse(&why));
                (json!({ "error": why }).to_string(), true)
            }
            Ok(Wish::Note(statement)) => self.note(state, &statement).await?,
            Ok(wish) => {
                self.asked(call).await?;
                let wish = wish.with_names(|name| self.desk.redactor.back(name));
                let data = self.desk.answer(&wish).await;
                (self.desk.fenced(data), false)
            }
        };
        self.called(state, call, false, refused);
        state.known.insert(key, (text.clone(), refused));
        Ok((text, refused))
    }

    /// A thought for each thing that the model looks at.
    async fn asked(&mut self, call: &Call) -> Result<(), S::Stop> {
        let arguments = plain(&self.desk.redactor.back(&call.arguments), 160);
        let arguments = if matches!(arguments.as_str(), "" | "{}") { String::new() } else { format!(": {arguments}") };
        let text = format!("{} looks at {}{arguments}", plain(self.model, 80), call.name);
        self.scribe.write(vec![Line { kind: ThoughtKind::Action, text, evidence: Vec::new() }]).await
    }

    async fn note(&mut self, state: &mut State, statement: &tools::Statement) -> Result<(String, bool), S::Stop> {
        let judged = self.judge().statement(statement);
        let name = plain(self.model, 80);
        Ok(match judged {
            Ok((text, evidence)) => {
                let line = Line {
                    kind: ThoughtKind::Analysis,
                    text: format!("{name} notes: {text}"),
                    evidence: evidence.clone(),
                };
                self.scribe.write(vec![line]).await?;
                state.notes.push((text, evidence));
                (json!({"noted": true}).to_string(), false)
            }
            Err(why) => {
                state.unsupported += 1;
                self.scribe.write(vec![unsupported(&name, &why)]).await?;
                let error = "It was not noted: cite in `evidence` ids that you were shown.";
                (json!({ "error": error }).to_string(), true)
            }
        })
    }

    fn judge(&self) -> Judge<'_> {
        Judge {
            seen: self.desk.seen(),
            around: self.desk.around,
            builtin: &self.desk.answer.causes,
            redactor: &self.desk.redactor,
        }
    }

    /// Judges the end, or what there is of it, and tells it.
    async fn conclude(
        self,
        mut state: State,
        end: Option<Finishing>,
        failure: Option<String>,
    ) -> Result<Told, S::Stop> {
        let name = plain(self.model, 80);
        let heard = state.rounds.iter().any(|r| r.failure.is_none());
        if !heard {
            return Ok(Told { opinion: None, rounds: state.rounds, failure });
        }
        let mut verified = match &end {
            Some(end) => self.judge().end(end),
            // What it noted on the way is what it has said so far.
            None => Verified { sentences: std::mem::take(&mut state.notes), ..Verified::default() },
        };
        verified.sentences.truncate(STATEMENTS);
        verified.causes.truncate(CAUSES);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let sum = |f: fn(&Round) -> u64| state.rounds.iter().map(f).sum::<u64>();
        let summary: Vec<&str> = verified.sentences.iter().map(|(text, _)| text.as_str()).collect();
        let opinion = Opinion {
            model: self.model.to_owned(),
            form: self.form,
            summary: summary.join(" "),
            agreement: verify::agreement(&verified.causes, &self.desk.answer.causes),
            unsupported: state.unsupported.saturating_add(count(verified.unsupported.len())),
            partial: failure.clone(),
            requests: count(state.rounds.iter().filter(|r| r.failure.is_none()).count()),
            calls: state.calls,
            tokens_in: sum(|r| r.tokens_in),
            tokens_out: sum(|r| r.tokens_out),
            cost: in_units(state.cost_micros),
            took_ms: sum(|r| r.took_ms),
            at: self.at,
            causes: verified.causes,
        };
        let mut lines: Vec<Line> = verified.unsupported.iter().take(8).map(|why| unsupported(&name, why)).collect();
        lines.extend(told(&name, &opinion, &verified.sentences));
        self.scribe.write(lines).await?;
        Ok(Told { opinion: Some(opinion), rounds: state.rounds, failure })
    }
}

/// Says something to the model; with what is about to be said anyway, since some templates want turns to alternate.
fn tell(state: &mut State, text: &str) {
    let unsent = state.messages.len() > state.sent;
    match state.messages.last_mut() {
        Some(Message::User(last)) if unsent => {
            last.push_str("\n\n");
            last.push_str(text);
        }
        _ => state.messages.push(Message::User(text.to_owned())),
    }
}

fn unsupported(name: &str, why: &str) -> Line {
    let text =
        words::sentence(&format!("{name} also said, and no evidence supports it: {why}; it is not part of the answer"));
    Line { kind: ThoughtKind::Analysis, text, evidence: Vec::new() }
}

/// The opinion as lines.
fn told(name: &str, opinion: &Opinion, sentences: &[(String, Vec<String>)]) -> Vec<Line> {
    let mut lines = Vec::new();
    if !opinion.summary.is_empty() {
        let mut evidence: Vec<String> = Vec::new();
        for id in sentences.iter().flat_map(|(_, ids)| ids) {
            if !evidence.contains(id) {
                evidence.push(id.clone());
            }
        }
        lines.push(Line { kind: ThoughtKind::Analysis, text: format!("{name} thinks: {}", opinion.summary), evidence });
    }
    for cause in &opinion.causes {
        let place = cause.service.as_deref().or(cause.host.as_deref()).unwrap_or_default();
        let rank = match cause.rank {
            Some(rank) => format!("number {rank} here"),
            None => "not among the causes here".to_owned(),
        };
        let marks = crate::investigation::ledger::brackets(&cause.evidence);
        let text =
            format!("{name} suspects {} ({rank}): {}{marks}", words::plain(place), cause.text.trim_end_matches('.'));
        lines.push(Line {
            kind: ThoughtKind::Hypothesis,
            text: words::sentence(&text),
            evidence: cause.evidence.clone(),
        });
    }
    if let Some(why) = &opinion.partial {
        let text = format!("{name} was not heard to its end: {why} The answer of the rules stands by itself.");
        lines.push(Line { kind: ThoughtKind::Observation, text, evidence: Vec::new() });
    }
    lines
}

/// Arguments that say the same are the same: fields in order, without spaces.
fn canonical(arguments: &str) -> String {
    serde_json::from_str::<serde_json::Value>(arguments).map_or_else(|_| arguments.trim().to_owned(), |v| v.to_string())
}

/// What was said since the last request, as it leaves.
fn said(system: &str, messages: &[Message], from: usize) -> Vec<Said> {
    let mut out = Vec::new();
    if from == 0 {
        out.push(Said { by: Speaker::System, text: system.to_owned() });
    }
    for message in messages.iter().skip(from) {
        match message {
            Message::User(text) => out.push(Said { by: Speaker::Watchfire, text: text.clone() }),
            // The model's own words stand in its answer.
            Message::Model { .. } => {}
            Message::Results(results) => {
                out.extend(results.iter().map(|r| Said { by: Speaker::Tool, text: r.text.clone() }));
            }
        }
    }
    out
}

/// About how many tokens a request has: four bytes each, and the schemas of the tools.
pub(super) fn estimate(ask: &Ask<'_>) -> u64 {
    let message = |m: &Message| match m {
        Message::User(text) => text.len(),
        Message::Model { text, calls } => {
            text.len() + calls.iter().map(|c| c.name.len() + c.arguments.len()).sum::<usize>()
        }
        Message::Results(results) => results.iter().map(|r| r.text.len()).sum(),
    };
    let tools = if ask.tools == Offer::None { 0 } else { 6_000 };
    tokens(ask.system.len() + ask.messages.iter().map(message).sum::<usize>() + tools)
}

pub(super) fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

pub(super) fn in_units(micros: u64) -> f64 {
    // Exact up to nine thousand millions of units.
    micros as f64 / 1e6
}
