//! Questions on top of those of an investigation: those that a language model has while it looks at the evidence. They go
//! the same way with the same bounds, and have no text in the language of a tool: what is asked, and how, is decided by the
//! probes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde::{Deserialize, Serialize};

use super::{ALL, Asking, Probe, Probes, Scene, Subject, Wait};
use crate::{
    investigation::{
        Case,
        case::same,
        finding::{Finding, Found},
    },
    model::{Service, Tool},
};

/// Questions of one wish.
const QUESTIONS: usize = 8;

/// What is wanted of the tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of this service.
    pub service: Option<String>,
    /// Of this machine.
    pub host: Option<String>,
    /// What of it.
    pub what: What,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Which figures there are.
    Names,
    /// This figure.
    Figure(String),
    /// Lines of logs with this in them; none for those that tell of failure.
    Lines(Option<String>),
}

impl Wanted {
    /// Whether it is about this service.
    pub(super) fn service(&self, name: &str) -> bool {
        self.service.as_deref().is_none_or(|s| same(s, name))
    }

    /// Whether it is about this machine.
    pub(super) fn host(&self, name: &str) -> bool {
        self.host.as_deref().is_none_or(|h| same(h, name))
    }
}

/// The name of a figure that a tool has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Which tool.
    pub tool: Tool,
    /// The name.
    pub name: String,
    /// The service that it is about.
    pub service: Option<String>,
    /// The machine that it is about.
    pub host: Option<String>,
}

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Brought {
    /// What was found; where nothing was unusual too, and why there was no answer.
    pub findings: Vec<Finding>,
    /// Names of figures.
    pub names: Vec<Named>,
    /// What is to be said besides.
    pub notes: Vec<String>,
}

/// Asks further about one case, within what one investigation may ask.
#[derive(Debug)]
pub struct Further<'a> {
    probes: &'a Probes,
    case: &'a Case,
    services: Vec<Service>,
    left: AtomicUsize,
    time: Wait,
}

impl Probes {
    /// Begins to ask further about a case, all in all for so long. `services` are those that are declared.
    pub fn further<'a>(&'a self, case: &'a Case, services: Vec<Service>, time: Wait) -> Further<'a> {
        Further { probes: self, case, services, left: AtomicUsize::new(self.settings().given.questions), time }
    }
}

impl Further<'_> {
    /// Asks; the error is a sentence.
    pub async fn ask(&self, wanted: &Wanted) -> Result<Brought, String> {
        let settings = self.probes.settings();
        let given = &settings.given;
        let scene = self.scene(wanted);
        let mut probes: Vec<Box<dyn Probe>> = ALL.iter().map(|probe| probe(&settings)).collect();
        let each = probes.iter_mut().enumerate();
        let mut waiting: Vec<_> =
            each.flat_map(|(n, p)| p.wanted(&scene, wanted).into_iter().map(move |q| (n, q))).collect();
        if waiting.is_empty() || given.time.is_zero() {
            return Err("No monitoring tool that is configured or declared can be asked for that.".to_owned());
        }
        waiting.truncate(QUESTIONS);
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 || self.time.left().is_zero() {
            return Err("No more questions to monitoring tools are allowed in this investigation.".to_owned());
        }
        let mut asking = Asking {
            client: self.probes.client.clone(),
            settings: Arc::clone(&settings),
            breaker: Arc::clone(&self.probes.breaker),
            statuses: Arc::clone(&self.probes.statuses),
            left: left.min(QUESTIONS),
            time: Wait::begin(given.time.min(self.time.left())),
            scene,
            probes,
            waiting,
            dead: Default::default(),
            notes: Vec::new(),
        };
        let mut brought = Brought::default();
        loop {
            let (questions, before) = asking.questions();
            brought.take(before);
            if questions.is_empty() {
                break;
            }
            // One conversation asks one thing after the other.
            self.left.store(self.left.load(Ordering::Relaxed).saturating_sub(questions.len()), Ordering::Relaxed);
            brought.take(asking.round().await);
        }
        Ok(brought)
    }

    /// The scene of the case, with what is asked about in it.
    fn scene(&self, wanted: &Wanted) -> Scene {
        let mut scene = Scene::new(self.case, &self.services);
        if let Some(name) = &wanted.service {
            let known = |s: &Service| same(&s.name, name) || s.aliases.iter().any(|a| same(a, name));
            let declared = self.services.iter().find(|s| known(s)).cloned();
            scene.subjects.retain(|s| {
                same(&s.name, name) || s.declared.as_ref().is_some_and(|d| declared.as_ref().is_some_and(|o| o == d))
            });
            if scene.subjects.is_empty() {
                scene.subjects.push(Subject { name: name.clone(), declared, symptoms: Vec::new() });
            }
        }
        if let Some(name) = &wanted.host {
            scene.hosts.retain(|h| same(h, name));
            if scene.hosts.is_empty() {
                scene.hosts.push(name.clone());
            }
        }
        scene
    }
}

impl Brought {
    fn take(&mut self, round: super::Round) {
        self.findings.extend(round.findings);
        self.names.extend(round.names);
        self.notes.extend(round.notes);
    }

    /// What was not answered and why, in a sentence; none when all was.
    pub fn trouble(&self) -> Option<String> {
        let failed = self.findings.iter().filter_map(|f| match &f.found {
            Found::Failed { reason } => Some(format!("{}: {reason}", f.tool)),
            _ => None,
        });
        let all: Vec<String> = failed.chain(self.notes.iter().cloned()).collect();
        (!all.is_empty()).then(|| format!("{}.", all.join("; ")))
    }
}
