//! What a language model said of an incident, what was said to it, and what it cost.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Symptom, Time, words};

words! {
    /// What speaks at the endpoint of a language model.
    ModelKind {
        /// Chat completions as OpenAI, Ollama, llama.cpp and vLLM serve them.
        Openai = "openai",
        /// Anthropic's messages.
        Anthropic = "anthropic",
    }
}
words! {
    /// How a language model is asked.
    OpinionForm {
        /// It calls tools over the evidence, in steps.
        Tools = "tools",
        /// Everything stands in one prompt; the answer is one JSON object.
        SinglePrompt = "single_prompt",
    }
}
words! {
    /// How the causes of a language model stand to those of the built-in engine.
    Agreement {
        /// Its first cause is the leading one.
        Same = "same",
        /// Its first cause is another one of the list.
        Listed = "listed",
        /// Its first cause is not in the list.
        Other = "other",
        /// It named no cause that its evidence supports.
        None = "none",
    }
}
words! {
    /// Whether a language model can be asked.
    ModelState {
        /// Not tried yet.
        Unknown = "unknown",
        /// It calls tools.
        Tools = "tools",
        /// It answers and calls no tools: everything goes into one prompt.
        SinglePrompt = "single_prompt",
        /// It cannot be asked: the built-in engine works alone.
        Unavailable = "unavailable",
    }
}
words! {
    /// Who said something in a transcript.
    Speaker {
        /// The rules that every request begins with; no text of others.
        System = "system",
        /// Watchfire.
        Watchfire = "watchfire",
        /// A tool of Watchfire.
        Tool = "tool",
    }
}

/// A second opinion, beside the built-in answer and without influence on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Opinion {
    /// Its name at the endpoint.
    pub model: String,
    /// How it was asked.
    pub form: OpinionForm,
    /// Sentences with their marks of evidence; empty when none is supported by evidence.
    pub summary: String,
    /// Causes that evidence supports, its first one first.
    #[serde(default)]
    pub causes: Vec<OpinionCause>,
    /// How that compares with the built-in answer.
    pub agreement: Agreement,
    /// Statements and causes that were left out because no evidence of this investigation supports them.
    #[serde(default)]
    pub unsupported: u32,
    /// Why it is not complete, as a sentence; none when the model came to its end.
    #[serde(default)]
    pub partial: Option<String>,
    /// Requests made.
    pub requests: u32,
    /// Tools called.
    pub calls: u32,
    /// Tokens read by the model.
    pub tokens_in: u64,
    /// Tokens written by it.
    pub tokens_out: u64,
    /// What they cost by the prices that are configured; 0 without prices.
    pub cost: f64,
    /// Milliseconds from the first request to the end.
    pub took_ms: u64,
    /// When it was given.
    pub at: Time,
}

/// A cause that a language model named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OpinionCause {
    /// The service at fault.
    #[serde(default)]
    pub service: Option<String>,
    /// The machine at fault.
    #[serde(default)]
    pub host: Option<String>,
    /// What is wrong with it.
    #[serde(default)]
    pub symptom: Option<Symptom>,
    /// Why, in a sentence or two.
    pub text: String,
    /// Ids of evidence.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// Its rank among the built-in causes, when it is one of them.
    #[serde(default)]
    pub rank: Option<u32>,
}

/// Everything that was said between an investigation and a language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Transcript {
    /// The run of the investigation that it belongs to; grows.
    pub run: u64,
    /// When the case was read and the first request was made.
    pub at: Time,
    /// What speaks at the endpoint.
    pub kind: ModelKind,
    /// The model's name there.
    pub model: String,
    /// How it was asked.
    pub form: OpinionForm,
    /// The random tag that fenced text of others.
    pub tag: String,
    /// Whether names were replaced.
    #[serde(default)]
    pub names_redacted: bool,
    /// The limits it had.
    pub limits: Limits,
    /// Request by request.
    pub rounds: Vec<Round>,
    /// What monitoring tools had answered by then: they would answer otherwise today.
    #[serde(default)]
    pub findings: Value,
    /// What they were asked in this conversation, and what they answered.
    #[serde(default)]
    pub asked: Value,
    /// What came of it.
    pub opinion: Option<Opinion>,
    /// Texts were left out because it grew too long.
    #[serde(default)]
    pub cut: bool,
}

/// The limits of one conversation with a language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    /// Requests.
    pub steps: u32,
    /// Calls of tools.
    pub calls: u32,
    /// Tokens, read and written.
    pub tokens: u64,
}

/// One request to a language model with its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Round {
    /// What was said since the request before, as it left this machine.
    pub said: Vec<Said>,
    /// What the model wrote.
    #[serde(default)]
    pub text: String,
    /// The tools it called.
    #[serde(default)]
    pub calls: Vec<Called>,
    /// Tokens read by the model.
    pub tokens_in: u64,
    /// Tokens written by it.
    pub tokens_out: u64,
    /// The counts are ours, since the endpoint gave none.
    #[serde(default)]
    pub estimated: bool,
    /// What it cost.
    pub cost: f64,
    /// Milliseconds.
    pub took_ms: u64,
    /// Why there is no answer.
    #[serde(default)]
    pub failure: Option<String>,
}

/// A message to a language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Said {
    /// Who.
    pub by: Speaker,
    /// What, after redaction.
    pub text: String,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Called {
    /// Its id in the conversation.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as the model wrote them.
    pub arguments: String,
    /// The same had been asked before, and got the same answer.
    #[serde(default)]
    pub repeated: bool,
    /// What was answered was an error.
    #[serde(default)]
    pub refused: bool,
}

/// What language models were asked on one day (UTC) and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Spending {
    /// Requests.
    pub requests: u64,
    /// Tokens read by models.
    pub tokens_in: u64,
    /// Tokens written by them.
    pub tokens_out: u64,
    /// Millionths of the unit that prices are in.
    pub cost_micros: u64,
}

impl Spending {
    /// Tokens, read and written.
    pub const fn tokens(&self) -> u64 {
        self.tokens_in.saturating_add(self.tokens_out)
    }

    /// The sum of two.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens_in: self.tokens_in.saturating_add(other.tokens_in),
            tokens_out: self.tokens_out.saturating_add(other.tokens_out),
            cost_micros: self.cost_micros.saturating_add(other.cost_micros),
        }
    }

    /// This without the other; nothing is below zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            tokens_in: self.tokens_in.saturating_sub(other.tokens_in),
            tokens_out: self.tokens_out.saturating_sub(other.tokens_out),
            cost_micros: self.cost_micros.saturating_sub(other.cost_micros),
        }
    }
}

/// What may be spent on a day; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Budget {
    /// Tokens, read and written.
    pub tokens: u64,
    /// Millionths of the unit that prices are in.
    pub cost_micros: u64,
}

impl Budget {
    /// Why nothing more may be spent, as a clause; none while this fits.
    pub fn exceeded(&self, spent: &Spending) -> Option<String> {
        if self.tokens > 0 && spent.tokens() > self.tokens {
            return Some(format!("today's budget of {} tokens is used up", self.tokens));
        }
        if self.cost_micros > 0 && spent.cost_micros > self.cost_micros {
            return Some(format!("today's budget of {} is used up", units(self.cost_micros)));
        }
        None
    }
}

/// Millionths as a number with what it needs behind the point.
pub fn units(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let short = text.trim_end_matches('0');
    let at_least = text.len() - 4;
    text.get(..short.len().max(at_least)).unwrap_or(&text).to_owned()
}

/// Whether a language model can be asked, and what that has cost today.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelStatus {
    /// What speaks at the endpoint.
    pub kind: ModelKind,
    /// The model's name there.
    pub model: String,
    /// Host and port of the endpoint.
    pub host: String,
    /// How it is asked, or that it cannot be.
    pub state: ModelState,
    /// Why, as a sentence.
    pub reason: String,
    /// When it was tried last.
    pub checked_at: Option<Time>,
    /// When it is tried again; none when there is no need.
    pub next_check_at: Option<Time>,
    /// Whether names of machines, services and people are replaced before anything leaves.
    pub names_redacted: bool,
    /// What may be spent on a day.
    pub budget: Budget,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_exceeded_only_beyond_it() {
        let spent = |tokens_in, cost_micros| Spending { requests: 1, tokens_in, tokens_out: 0, cost_micros };
        let check = |budget: Budget, spent: Spending, want: bool| {
            assert_eq!(budget.exceeded(&spent).is_some(), want, "{budget:?} {spent:?}");
        };
        check(Budget::default(), spent(u64::MAX, u64::MAX), false);
        check(Budget { tokens: 10, cost_micros: 0 }, spent(10, 9), false);
        check(Budget { tokens: 10, cost_micros: 0 }, spent(11, 0), true);
        check(Budget { tokens: 0, cost_micros: 5 }, spent(11, 6), true);
    }

    #[test]
    fn millionths_have_two_digits_at_least() {
        for (micros, want) in
            [(0, "0.00"), (1_500_000, "1.50"), (2_000_000, "2.00"), (12_345, "0.012345"), (120, "0.00012")]
        {
            assert_eq!(units(micros), want);
        }
    }
}
