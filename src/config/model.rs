//! The options of `investigation.model`: which language model is asked for a second opinion, and how much it may take.

use std::{path::PathBuf, time::Duration};

use crate::model::{Budget, Limits, ModelKind};

/// As configured; without a kind, no model is asked.
#[derive(Clone, Default, PartialEq)]
pub struct ModelConfig {
    /// What speaks at the endpoint.
    pub kind: Option<ModelKind>,
    /// Where its API begins.
    pub base_url: Option<String>,
    /// The model's name there.
    pub model: Option<String>,
    /// The key for it.
    pub api_key: Option<String>,
    /// A file with that key.
    pub api_key_file: Option<PathBuf>,
    /// Requests in one investigation.
    pub max_steps: u32,
    /// Calls of tools in one investigation.
    pub max_calls: u32,
    /// Time for one investigation.
    pub timeout: Duration,
    /// Tokens in one investigation.
    pub max_tokens: u64,
    /// Tokens on one day; 0 is no limit.
    pub daily_tokens: u64,
    /// Millionths of the prices' unit on one day; 0 is no limit.
    pub daily_cost: u64,
    /// Millionths for a million tokens read.
    pub price_input: u64,
    /// Millionths for a million tokens written.
    pub price_output: u64,
    /// Names are replaced before anything leaves.
    pub redact_names: bool,
}

impl std::fmt::Debug for ModelConfig {
    // The key is never written anywhere.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelConfig")
            .field("kind", &self.kind)
            .field("base_url", &self.base_url)
            .field("model", &self.model)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("api_key_file", &self.api_key_file)
            .field("limits", &self.limits())
            .field("timeout", &self.timeout)
            .field("budget", &self.budget())
            .field("prices", &(self.price_input, self.price_output))
            .field("redact_names", &self.redact_names)
            .finish()
    }
}

impl ModelConfig {
    /// The limits of one investigation.
    pub fn limits(&self) -> Limits {
        Limits { steps: self.max_steps, calls: self.max_calls, tokens: self.max_tokens }
    }

    /// What may be spent on one day.
    pub fn budget(&self) -> Budget {
        Budget { tokens: self.daily_tokens, cost_micros: self.daily_cost }
    }

    /// Where the API begins, with the makers' own addresses where none is configured.
    pub fn address(&self) -> &str {
        match (&self.base_url, self.kind) {
            (Some(url), _) => url,
            (None, Some(ModelKind::Anthropic)) => "https://api.anthropic.com",
            (None, _) => "https://api.openai.com/v1",
        }
    }

    /// What does not fit together: the key of an option, and what to do.
    pub(super) fn mistakes(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        if self.kind.is_some() && self.model.is_none() {
            found.push((
                "investigation.model.model",
                "the name of the model is missing; write it as the endpoint of `investigation.model.kind` knows it",
            ));
        }
        if self.daily_cost > 0 && self.price_input == 0 && self.price_output == 0 {
            found.push((
                "investigation.model.daily_cost",
                "without `price_input` and `price_output` nothing costs anything; write the prices",
            ));
        }
        found
    }
}
