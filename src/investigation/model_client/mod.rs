//! The option of a second opinion by a language model, off unless it is configured.
//!
//! The built-in answer is stored first; then the model is asked, and what it thinks is put beside it. Nothing of it reaches
//! the ranking. `wire` is how endpoints are spoken to, `endpoint` asks them, `talk` leads a conversation, `tools` is what a
//! model can look at, `fence` and `redact` are what every text passes on its way out, `verify` what every claim passes on
//! its way in. `replay` has a conversation once more from its transcript.

mod check;
mod endpoint;
mod fence;
mod redact;
mod replay;
mod rules;
mod surroundings;
mod talk;
mod tools;
mod verify;
mod wire;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};

pub use replay::{Replayed, replay};
pub use surroundings::Surroundings;
pub use tools::{Asking, Nobody, TOOLS};

use super::{Case, Inquiry, Line, Probes, words};
use crate::{
    config::ModelConfig,
    model::*,
    outgoing::Client,
    runtime::clock::{Clock, Wait},
    store::{CommandError, Store, StoreError, View, commands::Finish},
};
use endpoint::{Endpoint, Live, Trouble};
use fence::Tag;
use redact::{Named, Redactor};
use talk::{Scribe, Talk, Told};
use tools::Desk;

/// How long a run stays ours beyond the time that the model has.
const HOLD: Duration = Duration::from_secs(60);
/// How long an investigation waits for the first trial of the endpoint.
const FIRST_TRIAL: Duration = Duration::from_secs(60);
/// Bytes of a transcript.
const TRANSCRIPT: usize = 1 << 20;

/// Why there is no model although one is configured.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file with the key.
    #[error(
        "the file {file} with the key of the language model cannot be read: {why}; it is named as `investigation.model.api_key_file`"
    )]
    Key {
        /// As configured.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The address.
    #[error("the address of the language model {0}; it is `investigation.model.base_url`")]
    Address(String),
}

/// The model that is asked.
#[derive(Debug)]
pub struct Model {
    endpoint: Endpoint,
    limits: Limits,
    timeout: Duration,
    redact_names: bool,
    probes: Option<Arc<Probes>>,
    status: watch::Sender<ModelStatus>,
    // Something went wrong: time for a trial, later.
    wake: Notify,
    clock: Clock,
    store: Store,
}

impl Model {
    /// As configured; none when nothing is.
    ///
    /// # Errors
    /// The key's file cannot be read, or the address is none.
    pub fn open(config: &ModelConfig, client: Client, store: Store, clock: Clock) -> Result<Option<Self>, ModelError> {
        let Some(kind) = config.kind else { return Ok(None) };
        let key = match &config.api_key_file {
            Some(file) => Some(key_of(file)?),
            None => config.api_key.clone(),
        };
        let endpoint = Endpoint::new(kind, config, key, client).map_err(ModelError::Address)?;
        let status = ModelStatus {
            kind,
            model: endpoint.model.clone(),
            host: endpoint.host.clone(),
            state: ModelState::Unknown,
            reason: "It has not been tried yet.".to_owned(),
            checked_at: None,
            next_check_at: None,
            names_redacted: config.redact_names,
            budget: config.budget(),
        };
        Ok(Some(Self {
            endpoint,
            limits: config.limits(),
            timeout: config.timeout,
            redact_names: config.redact_names,
            probes: None,
            status: watch::Sender::new(status),
            wake: Notify::new(),
            clock,
            store,
        }))
    }

    /// Lets it ask monitoring tools for more.
    #[must_use]
    pub fn with_probes(self, probes: Arc<Probes>) -> Self {
        Self { probes: Some(probes), ..self }
    }

    /// How it stands, now and from now on.
    pub fn status(&self) -> watch::Receiver<ModelStatus> {
        self.status.subscribe()
    }

    /// Asks for a second opinion on a case whose built-in answer is there, and gives that answer with the opinion beside
    /// it. The answer is stored before the model is asked. Ends at once when the run is cancelled.
    ///
    /// # Errors
    /// The run is over, or the store cannot be written. Trouble with the model is no error: it is said in a thought.
    pub async fn advise(
        &self,
        run: Lease,
        inquiry: Inquiry,
        case: &Case,
        finish: Finish,
        progress: Progress,
    ) -> Result<Finish, CommandError> {
        if case.incident.test {
            return Ok(finish);
        }
        self.store.answer_investigation(run, finish.clone(), self.timeout + FIRST_TRIAL + HOLD).await?;
        tokio::select! {
            done = self.opinion(run, inquiry, case, finish, progress) => done,
            gone = self.gone(run) => Err(gone),
        }
    }

    /// Returns when the run is no longer ours.
    async fn gone(&self, run: Lease) -> CommandError {
        let mut changes = self.store.changes();
        loop {
            changes.mark_unchanged();
            match self.store.read(move |view| view.holds(run)).await {
                Ok(true) => {}
                Ok(false) => {
                    let detail = format!("this investigation of {} was stopped", run.incident);
                    return CommandError::Conflict { detail, allowed: vec!["investigate".to_owned()] };
                }
                Err(e) => return e.into(),
            }
            if changes.changed().await.is_err() {
                return StoreError::Stopped.into();
            }
        }
    }

    async fn opinion(
        &self,
        run: Lease,
        inquiry: Inquiry,
        case: &Case,
        mut finish: Finish,
        progress: Progress,
    ) -> Result<Finish, CommandError> {
        let mut notes = Notes { store: &self.store, run, progress, cited: BTreeSet::new() };
        let name = fence::plain(&self.endpoint.model, 80);
        let status = self.tried().await;
        let form = match status.state {
            ModelState::Tools => OpinionForm::Tools,
            ModelState::SinglePrompt => OpinionForm::SinglePrompt,
            ModelState::Unknown | ModelState::Unavailable => {
                let text = format!("{name} was not asked: {} The answer is that of the rules alone.", status.reason);
                notes.say(ThoughtKind::Observation, text).await?;
                return Ok(finish);
            }
        };
        let of = case.clone();
        let read = move |view: &View| Ok((Surroundings::read(view, &of)?, view.services()?));
        let (around, services) = self.store.read(read).await?;
        let tag = Tag::random().map_err(|e| StoreError::Io(format!("no random numbers from the system: {e}")))?;
        let mut redactor = Redactor::new(self.endpoint.secrets());
        if self.redact_names {
            let names = Names::of(case, &around);
            redactor = redactor.with_names(names.all());
        }
        let how = match form {
            OpinionForm::Tools => format!("with {} to look at the evidence", words::count(TOOLS.len(), "tool")),
            OpinionForm::SinglePrompt => format!("in a single prompt ({})", lower(&status.reason)),
        };
        let names = if self.redact_names { "; names are replaced by made-up ones" } else { "" };
        let text =
            format!("Asks {name} at {} for a second opinion, {how}; secrets are taken out{names}.", self.endpoint.host);
        notes.say(ThoughtKind::Action, text).await?;
        let builtin = finish.answer.clone();
        let time = Wait::begin(self.timeout);
        let further = self.probes.as_ref().map(|p| p.further(case, services, time));
        let asking: &dyn Asking = further.as_ref().map_or(&Nobody, |f| f);
        let mut desk = Desk::new(case, &builtin, &around, asking, inquiry.into_ledger(), redactor, tag.clone());
        let mut trouble = None;
        let voice = Live { endpoint: &self.endpoint, store: &self.store, time, trouble: &mut trouble };
        let talk = Talk {
            model: &self.endpoint.model,
            form,
            limits: self.limits,
            desk: &mut desk,
            voice,
            scribe: &mut notes,
            at: case.now,
        };
        let Told { opinion, rounds, failure } = talk.run().await?;
        self.learn(trouble.as_ref());
        if let (None, Some(why)) = (&opinion, &failure) {
            let text = format!("{name} gave no opinion: {why} The answer is that of the rules alone.");
            notes.say(ThoughtKind::Observation, text).await?;
        }
        let transcript = Transcript {
            run: run.number,
            at: case.now,
            kind: self.endpoint.kind,
            model: self.endpoint.model.clone(),
            form,
            tag: tag.as_str().to_owned(),
            names_redacted: self.redact_names,
            limits: self.limits,
            rounds,
            findings: serde_json::to_value(&case.findings).unwrap_or_default(),
            asked: serde_json::to_value(&desk.asked).unwrap_or_default(),
            opinion: opinion.clone(),
            cut: false,
        };
        self.store.keep_transcript(run.incident, shortened(transcript)).await?;
        // What was only shown to the model says nothing to people.
        let cited = notes.cited;
        let known: BTreeSet<&str> = builtin.evidence.iter().map(|e| e.id.as_str()).collect();
        let more = desk.ledger.evidence().iter().filter(|e| cited.contains(&e.id) && !known.contains(e.id.as_str()));
        finish.answer.evidence.extend(more.cloned());
        finish.answer.opinion = opinion;
        Ok(finish)
    }
}

fn key_of(file: &std::path::Path) -> Result<String, ModelError> {
    let wrong = |why: String| ModelError::Key { file: file.display().to_string(), why };
    let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
    let key = text.lines().next().unwrap_or_default().trim();
    if key.is_empty() || key.len() > 4096 || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(wrong("its first line is not a key of visible ASCII characters".to_owned()));
    }
    Ok(key.to_owned())
}

fn lower(sentence: &str) -> String {
    let mut chars = sentence.trim_end_matches('.').chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// A transcript that fits: what tools answered first goes first.
fn shortened(mut transcript: Transcript) -> Transcript {
    let size = |t: &Transcript| {
        let said = |r: &Round| r.said.iter().map(|s| s.text.len()).sum::<usize>();
        let calls = |r: &Round| r.calls.iter().map(|c| c.arguments.len()).sum::<usize>();
        t.rounds.iter().map(|r| said(r) + calls(r) + r.text.len()).sum::<usize>()
    };
    let mut over = size(&transcript).saturating_sub(TRANSCRIPT);
    for said in transcript.rounds.iter_mut().flat_map(|r| &mut r.said).filter(|s| s.by == Speaker::Tool) {
        if over == 0 {
            break;
        }
        over = over.saturating_sub(said.text.len());
        said.text = String::new();
        transcript.cut = true;
    }
    transcript
}

/// Writes thoughts to the run, and remembers what they cite.
struct Notes<'a> {
    store: &'a Store,
    run: Lease,
    progress: Progress,
    cited: BTreeSet<String>,
}

impl Notes<'_> {
    async fn say(&mut self, kind: ThoughtKind, text: String) -> Result<(), CommandError> {
        self.write(vec![Line { kind, text, evidence: Vec::new() }]).await
    }
}

impl Scribe for Notes<'_> {
    type Stop = CommandError;

    async fn write(&mut self, lines: Vec<Line>) -> Result<(), CommandError> {
        if lines.is_empty() {
            return Ok(());
        }
        self.cited.extend(lines.iter().flat_map(|l| l.evidence.iter().cloned()));
        self.store.add_thoughts(self.run, lines.into_iter().map(Line::thought).collect(), self.progress).await.map(drop)
    }
}

/// The names of a case: services, machines, people.
#[derive(Debug)]
struct Names(Vec<(Named, String)>);

impl Names {
    fn of(case: &Case, around: &Surroundings) -> Self {
        let mut all: Vec<(Named, String)> = Vec::new();
        // The incident's own first, so that their made-up names are short and the same from run to run.
        all.extend(case.services().into_iter().map(|s| (Named::Service, s)));
        let incident = &case.incident;
        let hosts =
            case.alerts.iter().filter_map(|a| a.host.as_ref()).chain(&incident.host).chain(&incident.affected_hosts);
        all.extend(hosts.map(|h| (Named::Host, h.clone())));
        let (services, hosts) = around.names();
        all.extend(services.map(|s| (Named::Service, s.to_owned())));
        all.extend(hosts.map(|h| (Named::Host, h.to_owned())));
        let elsewhere = case.changes.iter().filter_map(|c| c.service.as_ref());
        let earlier = case.earlier.iter().filter_map(|e| e.incident.service.as_ref());
        all.extend(elsewhere.chain(earlier).map(|s| (Named::Service, s.clone())));
        let owners = case.earlier.iter().filter_map(|e| e.incident.owner.as_ref()).chain(&incident.owner);
        all.extend(owners.map(|o| (Named::Person, o.clone())));
        all.extend(around.services.iter().filter_map(|n| n.owner.clone()).map(|o| (Named::Person, o)));
        for alert in &case.alerts {
            for (name, value) in alert.labels.iter().chain(&alert.annotations) {
                let kind = match name.to_ascii_lowercase().as_str() {
                    "user" | "username" | "user_name" | "owner" | "author" | "assignee" | "committer" | "email"
                    | "contact" => Named::Person,
                    "host" | "hostname" | "node" | "instance" | "pod" | "machine" | "server" | "vm" | "nodename" => {
                        Named::Host
                    }
                    "service" | "app" | "application" | "job" | "deployment" | "component" => Named::Service,
                    _ => continue,
                };
                all.push((kind, value.clone()));
                // The machine of `db-1:9100`.
                if let (Named::Host, Some((host, _))) = (kind, value.rsplit_once(':')) {
                    all.push((kind, host.to_owned()));
                }
            }
        }
        Self(all)
    }

    fn all(&self) -> impl Iterator<Item = (Named, &str)> {
        self.0.iter().map(|(kind, name)| (*kind, name.as_str()))
    }
}

/// Doors for the fuzz targets.
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(test)]
mod tests;
