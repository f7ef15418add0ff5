//! What the tests of channels share: an incident told from its beginning to its end, with the target's answers, as the
//! runner does it.

use std::collections::VecDeque;

use serde_json::Value;

use super::{Answered, Body, Call, Channel, Judged, Receipt, Settings, To, samples};
use crate::notifications::message::Message;

/// A channel, its settings and what it keeps.
pub struct Story {
    /// Which.
    pub channel: &'static dyn Channel,
    /// Settings, receipt and what lasts.
    pub to: To,
}

impl Story {
    /// At its beginning, with settings as a form would leave them.
    pub fn new(channel: &'static dyn Channel, given: &str) -> Self {
        let to = To { settings: settings(channel, given), receipt: Receipt::new(), lasting: Receipt::new() };
        Self { channel, to }
    }

    /// The calls that tell a sample now.
    pub fn calls(&self, sample: &str) -> Vec<Call> {
        self.channel.calls(&self.to, &self::sample(sample))
    }

    /// Tells a sample: each call has the next body as its answer, with 200. A body that begins with a status and a space
    /// has that instead. What was called, as `step METHOD url`.
    pub fn tell(&mut self, name: &str, answers: &[&str]) -> Vec<String> {
        let message = sample(name);
        let mut left: VecDeque<Call> = self.channel.calls(&self.to, &message).into();
        let mut answers = answers.iter();
        let mut told = Vec::new();
        while let Some(call) = left.pop_front() {
            told.push(named(&call));
            assert!(told.len() < 9, "{name} goes on for ever: {told:#?}");
            let text = answers.next().unwrap_or_else(|| panic!("{name}: no answer for {told:#?}"));
            let (status, body) = match text.split_once(' ') {
                Some((status, body)) if status.parse::<u16>().is_ok() => (status.parse().unwrap(), body),
                _ => (200, *text),
            };
            let answer = Answered { status, headers: Vec::new(), body: body.to_owned() };
            match self.channel.judge(&self.to, &message, &call, &answer) {
                Judged::Done { receipt, lasting } => {
                    self.to.receipt.extend(receipt);
                    self.to.lasting.extend(lasting);
                }
                Judged::Instead { calls, lasting, forget } => {
                    self.to.receipt.retain(|key, _| !forget.contains(key));
                    self.to.lasting.extend(lasting);
                    left.retain(|old| calls.iter().all(|new| new.step() != old.step()));
                    for call in calls.into_iter().rev() {
                        left.push_front(call);
                    }
                }
                other => panic!("{name}: {told:#?}: {other:?}"),
            }
        }
        assert_eq!(answers.next(), None, "{name}: fewer calls than answers: {told:#?}");
        told
    }
}

/// Settings as a form would leave them.
pub fn settings(channel: &dyn Channel, given: &str) -> Settings {
    let given: Value = serde_json::from_str(given).unwrap();
    let of = |key: &str, default: &str| given[key].as_str().unwrap_or(default).to_owned();
    Settings(channel.info().fields.iter().map(|f| (f.key.to_owned(), of(f.key, f.default))).collect())
}

/// The paths of what is wrong with settings.
pub fn mistakes(channel: &dyn Channel, given: &str) -> String {
    let wrong = channel.check(&settings(channel, given));
    wrong.iter().map(|m| m.path.as_str()).collect::<Vec<_>>().join(" ")
}

/// A sample by its name.
pub fn sample(name: &str) -> Message {
    samples::all().into_iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no sample {name}")).1
}

/// A receipt.
pub fn receipt(pairs: &[(&str, &str)]) -> Receipt {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// A call as `step METHOD url`.
pub fn named(call: &Call) -> String {
    let Call::Http(call) = call else { return "mail".to_owned() };
    format!("{} {} {}", call.step, format!("{:?}", call.method).to_uppercase(), call.url)
}

/// What calls send; a form as an object.
pub fn bodies(calls: &[Call]) -> Vec<Value> {
    let body = |call: &Call| match call {
        Call::Http(call) => match &call.body {
            Body::Empty => Value::Null,
            Body::Json(body) => body.clone(),
            Body::Form(fields) => {
                fields.iter().cloned().collect::<std::collections::BTreeMap<_, _>>().into_iter().collect()
            }
        },
        Call::Mail(_) => Value::Null,
    };
    calls.iter().map(body).collect()
}

/// Every body of every sample.
pub fn each_sample(story: &Story, look: impl Fn(&str, &Value)) {
    for (name, message) in samples::all() {
        for body in bodies(&story.channel.calls(&story.to, &message)) {
            look(name, &body);
        }
    }
}

/// What an answer to a step means, as `done KEY=VALUE lasting KEY=VALUE`, `later MS: WORDS`, `never: WORDS`,
/// `broken: WORDS`,
/// `gone: WORDS` or `instead STEPS`; the words are among those that people read.
pub fn assert_judged(
    story: &Story,
    name: &str,
    step: &str,
    headers: &[(&str, &str)],
    status: u16,
    body: &str,
    want: &str,
) {
    let message = sample(name);
    let calls = story.channel.calls(&story.to, &message);
    let call = calls.iter().find(|c| c.step() == step).unwrap_or_else(|| panic!("no step {step} in {calls:#?}"));
    let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let answer = Answered { status, headers, body: body.to_owned() };
    let judged = story.channel.judge(&story.to, &message, call, &answer);
    let (got, why) = match &judged {
        Judged::Done { receipt, lasting } => {
            let receipt = receipt.iter().map(|(k, v)| format!(" {k}={v}"));
            let lasting = lasting.iter().map(|(k, v)| format!(" lasting {k}={v}"));
            (format!("done{}", receipt.chain(lasting).collect::<String>()), "")
        }
        Judged::Later { after, why } => {
            (after.map_or("later".to_owned(), |a| format!("later {}", a.as_millis())), why.as_str())
        }
        Judged::Never { why, broken } => ((if *broken { "broken" } else { "never" }).to_owned(), why.as_str()),
        Judged::Gone { why } => ("gone".to_owned(), why.as_str()),
        Judged::Instead { calls, .. } => {
            (format!("instead {}", calls.iter().map(Call::step).collect::<Vec<_>>().join(" ")), "")
        }
    };
    let (want, words) = want.split_once(": ").unwrap_or((want, ""));
    assert_eq!(got, want, "{step} {status} {body}: {judged:?}");
    assert!(why.contains(words), "{step} {status} {body}: {words} is not in {why}");
}
