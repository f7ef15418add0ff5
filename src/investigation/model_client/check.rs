//! Whether the endpoint can be asked, and how: tried at the start, and again after it failed.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    FIRST_TRIAL, Model, Trouble,
    wire::{Ask, Message, Offer},
};
use crate::{
    model::{ModelState, ModelStatus},
    runtime::clock::Wait,
};

/// The first pause after a failure; it doubles up to the longest.
const PAUSE: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);
/// Tokens of the answer to a trial: some models think before they call.
const MOST_OUT: u32 = 1024;

const RULES: &str = "You are tried out. Nothing else is asked of you.";
const WITH_TOOL: &str = "Call the tool `ready` with the number 7.";
const WITHOUT: &str = "Answer with the one word: ready";

impl Model {
    /// Tries the endpoint, and again whenever it failed, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let mut pause = PAUSE;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.try_out(pause) => {}
            }
            let next = self.status.borrow().next_check_at;
            match next {
                // It works: until an investigation finds otherwise.
                None => {
                    pause = PAUSE;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.wake.notified() => {}
                    }
                    let again = self.clock.now().plus(pause);
                    self.status.send_modify(|s| s.next_check_at = Some(again));
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.clock.sleep_until(again) => {}
                    }
                }
                Some(at) => {
                    pause = (pause * 2).min(LONGEST);
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.clock.sleep_until(at) => {}
                    }
                }
            }
        }
    }

    /// One trial.
    async fn try_out(&self, pause: Duration) {
        let (state, reason) = self.trial().await;
        let now = self.clock.now();
        if state == ModelState::Unavailable {
            tracing::warn!(
                model = self.endpoint.model,
                host = self.endpoint.host,
                reason,
                "the language model cannot be asked"
            );
        } else {
            tracing::info!(model = self.endpoint.model, host = self.endpoint.host, form = %state, "the language model can be asked");
        }
        self.status.send_modify(|s| {
            s.state = state;
            s.reason = reason;
            s.checked_at = Some(now);
            s.next_check_at = (state == ModelState::Unavailable).then(|| now.plus(pause));
        });
    }

    async fn trial(&self) -> (ModelState, String) {
        let ask = async |text: &str, tools: Offer| {
            let messages = [Message::User(text.to_owned())];
            let ask = Ask { system: RULES, messages: &messages, tools, most_out: MOST_OUT };
            self.endpoint.ask(&ask, &self.store, Wait::begin(self.timeout.min(FIRST_TRIAL))).await
        };
        let host = &self.endpoint.host;
        let refused = match ask(WITH_TOOL, Offer::Trial).await {
            Ok(heard) if heard.reply.calls.iter().any(|c| c.name == super::tools::TRIAL.name) => {
                return (ModelState::Tools, "It answers and calls tools.".to_owned());
            }
            Ok(_) => return (ModelState::SinglePrompt, "It answers and calls no tools.".to_owned()),
            Err(Trouble::Refused(why)) => why,
            Err(other) => return (ModelState::Unavailable, other.sentence(host)),
        };
        match ask(WITHOUT, Offer::None).await {
            Ok(_) => (ModelState::SinglePrompt, format!("It takes no tools: {refused}.")),
            Err(other) => (ModelState::Unavailable, other.sentence(host)),
        }
    }

    /// How it stands, once it was tried.
    pub(super) async fn tried(&self) -> ModelStatus {
        let mut status = self.status.subscribe();
        let known = tokio::time::timeout(FIRST_TRIAL, status.wait_for(|s| s.state != ModelState::Unknown)).await;
        match known {
            Ok(Ok(status)) => status.clone(),
            _ => self.status.borrow().clone(),
        }
    }

    /// Takes in what an investigation found out about the endpoint.
    pub(super) fn learn(&self, trouble: Option<&Trouble>) {
        let Some(trouble @ (Trouble::Lasting(_) | Trouble::Refused(_) | Trouble::Passing { .. })) = trouble else {
            return;
        };
        let reason = trouble.sentence(&self.endpoint.host);
        self.status.send_modify(|s| {
            s.state = ModelState::Unavailable;
            s.reason = reason;
        });
        self.wake.notify_one();
    }
}
