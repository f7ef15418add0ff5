//! Asks monitoring tools about the services and machines of an incident: read-only, few questions, each with a time and a
//! bound, and only at addresses that the operator configured or that people declared for a service. An address in an alert
//! is never asked; of a link, only the expression or the number of the build is used.
//!
//! A tool is a [`Probe`]: it says what it would ask, and reads what was answered; both are pure. [`Asking`] does the rest:
//! it asks all questions of a round at once, leaves a tool that does not answer alone, and ends in time. A new tool is a
//! file and a line in `ALL`.

mod breaker;
mod expression;
mod further;
mod jenkins;
mod lines;
mod loki;
mod netdata;
mod prometheus;
mod robust;
mod status;
mod usual;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    case::{Case, same},
    finding::{Finding, Found},
    symptoms::Symptoms,
    words,
};
use crate::{
    config::ProbeSettings,
    model::*,
    outgoing::{Client, Credentials, OutgoingError, Url, address},
    runtime::clock::{Clock, Wait},
};
use breaker::Breaker;
pub use further::{Brought, Further, Named, Wanted, What};
use status::Statuses;
pub use usual::{Usual, UsualError};

/// Every tool that can be asked. None of them asks anything that is neither configured nor declared.
const ALL: &[Make] = &[prometheus::probe, netdata::probe, loki::probe, jenkins::probe];

/// Makes a probe.
type Make = fn(&Arc<Settings>) -> Box<dyn Probe>;

/// Services whose figures are asked for, those that alert first, then what they call.
const SUBJECTS: usize = 6;
/// Questions under way at the same time.
const AT_ONCE: usize = 8;
/// What is read before the onset, and how far after it.
pub(super) const BEFORE: Duration = Duration::from_secs(3_600);
const AFTER: Duration = Duration::from_secs(7_200);

/// What can be asked, and how.
#[derive(Debug)]
pub struct Settings {
    given: ProbeSettings,
    usual: Arc<Usual>,
}

/// Asks tools for investigations. One for the process, so that it remembers which of them do not answer.
#[derive(Debug)]
pub struct Probes {
    client: Client,
    configured: ProbeSettings,
    // As configured, with what people set.
    settings: RwLock<Arc<Settings>>,
    breaker: Arc<Breaker>,
    statuses: Arc<Statuses>,
}

impl Settings {
    /// The tools that are configured, with host and port.
    fn tools(&self) -> impl Iterator<Item = (Tool, String)> {
        let ProbeSettings { prometheus, netdata, loki, jenkins, .. } = &self.given;
        let all =
            [(Tool::Netdata, netdata), (Tool::Prometheus, prometheus), (Tool::Loki, loki), (Tool::Jenkins, jenkins)];
        all.into_iter().filter_map(|(tool, url)| Some((tool, address::host(url.as_ref()?))))
    }
}

impl Probes {
    /// As configured.
    ///
    /// # Errors
    /// The operator's list of usual metrics cannot be read or has a mistake.
    pub fn open(client: Client, clock: Clock, given: ProbeSettings) -> Result<Self, UsualError> {
        let usual = Arc::new(Usual::open(given.metrics.as_deref())?);
        let configured = given.clone();
        let settings = Arc::new(Settings { given, usual });
        let statuses = Arc::new(Statuses::new(clock.clone(), settings.tools()));
        Ok(Self {
            client,
            configured,
            settings: RwLock::new(settings),
            breaker: Arc::new(Breaker::new(clock)),
            statuses,
        })
    }

    /// Bounds what is asked from the next investigation on, where the configuration does not fix it.
    pub fn bound(&self, set: &InvestigationSettings, fixed: &BTreeSet<&'static str>) {
        let free = |key: &str| !fixed.contains(key);
        let mut given = self.configured.clone();
        let ms = Duration::from_millis;
        if let Some(n) = set.question_ms.filter(|_| free("investigation.probes.question_time")) {
            given.question_time = ms(n);
        }
        if let Some(n) = set.time_ms.filter(|_| free("investigation.probes.time")) {
            given.time = ms(n);
        }
        if let Some(n) = set.questions.filter(|_| free("investigation.probes.questions")) {
            given.questions = usize::try_from(n).unwrap_or(usize::MAX);
        }
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        let usual = Arc::clone(&settings.usual);
        *settings = Arc::new(Settings { given, usual });
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How the tools did that are configured or were asked: by tool and host.
    pub fn status(&self) -> Vec<ToolStatus> {
        self.statuses.all(|host| self.breaker.open(host))
    }

    /// Begins to ask about a case. `services` are those that are declared.
    pub fn about(&self, case: &Case, services: &[Service]) -> Asking {
        let scene = Scene::new(case, services);
        let settings = self.settings();
        let mut probes: Vec<Box<dyn Probe>> = ALL.iter().map(|probe| probe(&settings)).collect();
        let off = settings.given.time.is_zero() || settings.given.questions == 0;
        let notes = if off { Vec::new() } else { self.strange(&scene) };
        let waiting = probes
            .iter_mut()
            .enumerate()
            .filter(|_| !off)
            .flat_map(|(n, p)| p.begin(&scene).into_iter().map(move |q| (n, q)))
            .collect();
        Asking {
            client: self.client.clone(),
            breaker: Arc::clone(&self.breaker),
            statuses: Arc::clone(&self.statuses),
            left: settings.given.questions,
            time: Wait::begin(settings.given.time),
            settings,
            scene,
            probes,
            waiting,
            dead: BTreeSet::new(),
            notes,
        }
    }

    /// What services declare that cannot be asked: it was taken when nobody looked at it.
    fn strange(&self, scene: &Scene) -> Vec<String> {
        let mut notes = Vec::new();
        for (subject, declared) in scene.subjects.iter().filter_map(|s| Some((s, s.declared.as_ref()?))) {
            let netdata = declared.netdata.as_deref().and_then(|n| address::base(n).err());
            let netdata =
                netdata.map(|why| format!("the address of Netdata that is declared for {} {why}", subject.name));
            let asked = declared.prometheus.as_deref().filter(|_| self.configured.prometheus.is_some());
            let series = asked.and_then(|p| selector::matchers(p).err());
            let series =
                series.map(|why| format!("the series of Prometheus that are declared for {}: {why}", subject.name));
            notes.extend(netdata.into_iter().chain(series));
        }
        notes
    }
}

/// What a question is about.
#[derive(Clone, Debug)]
struct Subject {
    /// The name of the service as the case has it.
    name: String,
    /// What people declared of it.
    declared: Option<Service>,
    /// What its alerts complain of.
    symptoms: Vec<Symptom>,
}

/// What probes know of an incident.
#[derive(Debug)]
struct Scene {
    onset: Time,
    /// The end of what is read.
    until: Time,
    alerts: Vec<(Alert, Symptom)>,
    changes: Vec<Change>,
    subjects: Vec<Subject>,
    /// Machines that alerts name, in order.
    hosts: Vec<String>,
    /// Which words tell which symptom.
    table: Symptoms,
}

impl Scene {
    fn new(case: &Case, services: &[Service]) -> Self {
        let onset = case.onset();
        let alerts: Vec<(Alert, Symptom)> =
            case.alerts.iter().map(|a| (a.clone(), super::symptoms::of(&case.symptoms, a).symptom)).collect();
        let mut hosts: Vec<String> = Vec::new();
        for host in case.alerts.iter().filter_map(|a| a.host.as_ref()).chain(&case.incident.host) {
            if !hosts.iter().any(|h| same(h, host)) {
                hosts.push(host.clone());
            }
        }
        let declared = |name: &str| {
            let known = |s: &&Service| same(&s.name, name) || s.aliases.iter().any(|a| same(a, name));
            services.iter().find(known).cloned()
        };
        let mut subjects: Vec<Subject> = Vec::new();
        for name in case.services() {
            let of_it = |a: &Alert| a.service.as_deref().is_some_and(|s| same(s, &name));
            let symptoms = alerts.iter().filter(|(a, _)| of_it(a)).map(|(_, s)| *s).collect();
            subjects.push(Subject { declared: declared(&name), name, symptoms });
        }
        let called: Vec<String> =
            subjects.iter().filter_map(|s| s.declared.as_ref()).flat_map(|d| d.depends_on.clone()).collect();
        for name in called {
            let known = |s: &Subject| same(&s.name, &name) || s.declared.as_ref().is_some_and(|d| same(&d.name, &name));
            if !subjects.iter().any(known) {
                subjects.push(Subject { declared: declared(&name), name, symptoms: Vec::new() });
            }
        }
        subjects.truncate(SUBJECTS);
        let until = case.now.min(onset.plus(AFTER)).max(onset);
        Self { onset, until, alerts, changes: case.changes.clone(), subjects, hosts, table: case.symptoms.clone() }
    }
}

/// One question to a tool.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which tool.
    pub tool: Tool,
    /// Host and port of the tool.
    pub at: String,
    /// The question, as it is put: a query, a path.
    pub query: String,
    /// Which service it is about.
    pub service: Option<String>,
    /// Which machine it is about.
    pub host: Option<String>,
    url: Url,
    credentials: Option<Credentials>,
    header: Option<(&'static str, String)>,
    // Where a person sees the answer.
    link: Option<String>,
    // Of a long text only so much; the engine's own bound holds as well.
    most: Option<usize>,
    // A header of the answer that is read.
    wants: Option<&'static str>,
    // What the probe itself remembers of it.
    tag: usize,
}

impl Question {
    fn new(tool: Tool, base: &Url, path: &str, fields: &[(&str, &str)], credentials: Option<Credentials>) -> Self {
        let url = address::under(base, path, fields);
        let query = url.query().map_or_else(|| url.path().to_owned(), |q| format!("{}?{q}", url.path()));
        Self {
            tool,
            at: address::host(base),
            query,
            service: None,
            host: None,
            url,
            credentials,
            header: None,
            link: None,
            most: None,
            wants: None,
            tag: 0,
        }
    }

    /// What was found by it.
    fn found(&self, at: Time, found: Found) -> Finding {
        Finding {
            tool: self.tool,
            query: self.query.clone(),
            service: self.service.clone(),
            host: self.host.clone(),
            at,
            url: self.link.clone(),
            found,
        }
    }
}

/// What a tool answered.
#[derive(Clone, Debug, Default)]
struct Reply {
    text: String,
    cut: bool,
    // The header that the question wants.
    header: Option<String>,
}

/// What a probe makes of an answer.
#[derive(Debug, Default)]
struct Step {
    findings: Vec<Finding>,
    further: Vec<Question>,
    /// Names of figures, where those were asked for.
    names: Vec<Named>,
    /// Said where nothing was found: no figures, a version that cannot tell.
    note: Option<String>,
}

impl Step {
    fn note(text: impl Into<String>) -> Self {
        Self { note: Some(text.into()), ..Self::default() }
    }
}

/// A tool: what to ask of it, and what its answers say. Pure.
trait Probe: Send + Sync + std::fmt::Debug {
    /// The first questions; none where nothing is configured or fits.
    fn begin(&mut self, scene: &Scene) -> Vec<Question>;
    /// What to ask when something is wanted on top; none where nothing is configured or fits.
    fn wanted(&mut self, _scene: &Scene, _wanted: &Wanted) -> Vec<Question> {
        Vec::new()
    }
    /// Reads an answer. The error says what was expected instead.
    fn read(&mut self, scene: &Scene, question: &Question, reply: &Reply) -> Result<Step, &'static str>;
    /// The tool answers, but refuses this question: what is to be said of it where that is no failure.
    fn refused(&self, _question: &Question, _status: u16) -> Option<String> {
        None
    }
}

/// What a round brought.
#[derive(Debug, Default)]
pub struct Round {
    /// The answers, in order of their questions.
    pub findings: Vec<Finding>,
    /// Names of figures, where those were asked for.
    pub names: Vec<Named>,
    /// What is to be said besides.
    pub notes: Vec<String>,
}

/// The questions about one case.
#[derive(Debug)]
pub struct Asking {
    client: Client,
    settings: Arc<Settings>,
    breaker: Arc<Breaker>,
    statuses: Arc<Statuses>,
    scene: Scene,
    probes: Vec<Box<dyn Probe>>,
    waiting: Vec<(usize, Question)>,
    left: usize,
    time: Wait,
    // Hosts that are asked no more in this investigation.
    dead: BTreeSet<String>,
    // To be said before anything is asked.
    notes: Vec<String>,
}

impl Asking {
    /// The questions of the next round; empty when everything was asked. What is left out is said in the round.
    pub fn questions(&mut self) -> (Vec<Question>, Round) {
        let mut round = Round { notes: std::mem::take(&mut self.notes), ..Round::default() };
        let mut told: BTreeSet<String> = BTreeSet::new();
        let (breaker, dead) = (&self.breaker, &mut self.dead);
        self.waiting.retain(|(_, q)| {
            if let Some(until) = breaker.open(&q.at)
                && !dead.contains(&q.at)
                && told.insert(q.at.clone())
            {
                let reason = format!(
                    "{} failed {} times in a row and is left alone until {}",
                    q.at,
                    breaker::FAILURES,
                    words::clock(until)
                );
                round.findings.push(q.found(self.scene.until, Found::Failed { reason }));
                dead.insert(q.at.clone());
            }
            !dead.contains(&q.at)
        });
        let over = self.time.left().is_zero();
        let fits = if over { 0 } else { self.left };
        if self.waiting.len() > fits {
            let n = words::count(self.waiting.len() - fits, "question");
            let why = if over {
                format!("the {} of an investigation for questions are over", words::duration(self.settings.given.time))
            } else {
                format!("an investigation asks at most {}", words::count(self.settings.given.questions, "question"))
            };
            round.notes.push(format!("{n} not asked: {why}"));
            self.waiting.truncate(fits);
        }
        (self.waiting.iter().map(|(_, q)| q.clone()).collect(), round)
    }

    /// Asks what `questions` said.
    pub async fn round(&mut self) -> Round {
        let asked = std::mem::take(&mut self.waiting);
        self.left -= asked.len();
        let mut round = Round::default();
        for ((n, question), answer) in asked.iter().zip(self.answers(&asked).await) {
            let Some(probe) = self.probes.get_mut(*n) else { continue };
            let read = match &answer {
                Ok(reply) => probe
                    .read(&self.scene, question, reply)
                    .map_err(|expected| OutgoingError::Garbage { host: question.at.clone(), expected }),
                Err(OutgoingError::Status { status, .. }) => match probe.refused(question, *status) {
                    Some(note) => Ok(Step::note(note)),
                    None => answer.clone().map(|_| Step::default()),
                },
                Err(e) => Err(e.clone()),
            };
            match read {
                Ok(step) => {
                    self.breaker.answered(&question.at);
                    self.statuses.asked(question.tool, &question.at, None);
                    round.names.extend(step.names);
                    round.findings.extend(step.findings);
                    round.notes.extend(step.note);
                    self.waiting.extend(step.further.into_iter().map(|q| (*n, q)));
                }
                Err(e) => {
                    self.statuses.asked(question.tool, &question.at, Some(e.to_string()));
                    // A host that does not answer fails once for all that was asked of it at the same time.
                    let silent = silent(&e);
                    if silent && !self.dead.insert(question.at.clone()) {
                        continue;
                    }
                    if silent && !cut_short(&e, self.settings.given.question_time) {
                        self.breaker.failed(&question.at);
                    }
                    let failed = Found::Failed { reason: e.to_string() };
                    round.findings.push(question.found(self.scene.until, failed));
                }
            }
        }
        let dead = &self.dead;
        self.waiting.retain(|(_, q)| !dead.contains(&q.at));
        round
    }

    /// The answers, in the order of the questions.
    async fn answers(&self, asked: &[(usize, Question)]) -> Vec<Result<Reply, OutgoingError>> {
        let mut answers: BTreeMap<usize, Result<Reply, OutgoingError>> = BTreeMap::new();
        let mut running = JoinSet::new();
        let mut rest = asked.iter().enumerate();
        loop {
            while running.len() < AT_ONCE
                && let Some((at, (_, question))) = rest.next()
            {
                let within = self.settings.given.question_time.min(self.time.left());
                let most = question.most.unwrap_or(usize::MAX).min(self.settings.given.max_answer);
                let (client, question) = (self.client.clone(), question.clone());
                running.spawn(async move { (at, ask(&client, &question, within, most).await) });
            }
            match running.join_next().await {
                Some(Ok((at, answer))) => answers.insert(at, answer),
                // A fault while reading is as good as no answer.
                Some(Err(_)) => continue,
                None => break,
            };
        }
        let missing =
            |q: &Question| OutgoingError::Broken { host: q.at.clone(), why: "the question was lost".to_owned() };
        asked.iter().enumerate().map(|(at, (_, q))| answers.remove(&at).unwrap_or_else(|| Err(missing(q)))).collect()
    }
}

async fn ask(client: &Client, q: &Question, within: Duration, most: usize) -> Result<Reply, OutgoingError> {
    let mut request = client.get(&q.url).within(within).most(most);
    if let Some(who) = &q.credentials {
        request = request.credentials(who);
    }
    if let Some((name, value)) = &q.header {
        request = request.header(name, value);
    }
    let answer = request.send().await?.good_or_said().await?;
    let header = q.wants.and_then(|name| answer.header(name)).map(str::to_owned);
    let text = answer.text().await?;
    if text.cut && q.most.is_none() {
        // Only of logs a part is worth anything.
        return Err(OutgoingError::TooLarge { host: q.at.clone(), most });
    }
    Ok(Reply { text: text.text, cut: text.cut, header })
}

/// Whether more questions there are worth nothing.
fn silent(e: &OutgoingError) -> bool {
    !matches!(e, OutgoingError::Status { .. } | OutgoingError::TooLarge { .. })
}

/// Whether it only had less time than it should have.
fn cut_short(e: &OutgoingError, full: Duration) -> bool {
    matches!(e, OutgoingError::Late { within, .. } if *within < full)
}

/// `user:password` is for Basic, anything else a bearer token.
fn credentials(text: Option<&String>) -> Option<Credentials> {
    Some(match text?.split_once(':') {
        Some((user, password)) => Credentials::Basic { user: user.to_owned(), password: password.to_owned() },
        None => Credentials::Bearer(text?.clone()),
    })
}

#[cfg(test)]
mod tests;
