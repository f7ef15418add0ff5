//! Leads jobs from the queue through the investigation: leases, reads, writes the thoughts of each step, and ends the
//! job with its answer, an error, or back in the queue when the process stops.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{Case, ENGINE, Inquiry, Library, Line, Model, Probes, gather, probes::Asking};
use crate::{
    model::*,
    runtime::clock::Clock,
    store::{CommandError, Store, StoreError, commands::Finish},
};

/// How long a job is ours, should its runner be lost without the process ending; longer than any run may take.
const LEASE: Duration = Duration::from_secs(600);
/// What is not there by then is left out of the answer. Everything that is read is bounded, so that only a disk or a tool
/// that hangs takes so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Looks at the queue at least this often, whatever woke it or not.
const TICK: Duration = Duration::from_secs(5);
/// A job that ended neither well nor badly so many times brings the process down with it.
const ATTEMPTS: u32 = 3;
/// Jobs looked at to see whether one is due.
const LOOK: usize = 64;

/// Runs the investigations that the store asks for.
#[derive(Debug)]
pub struct Runner {
    store: Store,
    clock: Clock,
    probes: Arc<Probes>,
    workers: usize,
    model: Option<Arc<Model>>,
    library: Arc<Library>,
}

impl Runner {
    /// A runner of at most `workers` investigations at the same time; `run` must be spawned.
    pub fn new(store: Store, clock: Clock, probes: Arc<Probes>, workers: usize) -> Self {
        Self { store, clock, probes, workers: workers.max(1), model: None, library: Arc::default() }
    }

    /// Asks this language model for a second opinion on each.
    #[must_use]
    pub fn with_model(self, model: Option<Arc<Model>>) -> Self {
        Self { model, ..self }
    }

    /// The same with what the people of the house have written.
    #[must_use]
    pub fn with_library(self, library: Arc<Library>) -> Self {
        Self { library, ..self }
    }

    /// Works until `stop`; jobs that are not done by then go back to the queue.
    pub async fn run(self, stop: CancellationToken) {
        // Leases of a process that was killed: nobody works on those any more, so nobody need wait for their end.
        if let Err(e) = self.store.release_all_jobs().await {
            tracing::warn!(error = %e, "investigations that broke off wait until their leases run out");
        }
        let Self { store, clock, workers, probes, library, model } = self;
        let desk = StoreDesk { store, clock: clock.clone(), probes, library, model };
        work(Arc::new(desk), &clock, workers, &stop).await;
    }
}

/// What the runner asks of the store. A test puts a list in its place.
pub(super) trait Desk: Send + Sync + 'static {
    /// Tells whenever anything changed.
    fn changes(&self) -> watch::Receiver<u64>;
    /// When the next job is due; none without jobs.
    fn next_due(&self) -> impl Future<Output = Result<Option<Time>, StoreError>> + Send;
    fn lease(&self) -> impl Future<Output = Result<Option<Job>, CommandError>> + Send;
    fn release(&self, run: Lease) -> impl Future<Output = Result<(), CommandError>> + Send;
    fn alerts(&self, id: IncidentId) -> impl Future<Output = Result<Option<Case>, StoreError>> + Send;
    fn earlier(&self, case: Case) -> impl Future<Output = Result<Case, StoreError>> + Send;
    fn changed(&self, case: Case) -> impl Future<Output = Result<Case, StoreError>> + Send;
    /// What tools are to be asked about it.
    fn asking(&self, case: &Case) -> impl Future<Output = Result<Asking, StoreError>> + Send;
    fn runbooks(&self, case: Case) -> impl Future<Output = Result<Case, StoreError>> + Send {
        async { Ok(case) }
    }
    /// Writes the lines of a step.
    fn write(
        &self,
        run: Lease,
        lines: Vec<Line>,
        progress: Progress,
    ) -> impl Future<Output = Result<(), CommandError>> + Send;
    /// Puts a second opinion beside the answer, where somebody is asked for one.
    fn advise(
        &self,
        _run: Lease,
        _inquiry: Inquiry,
        _case: &Case,
        finish: Finish,
        _progress: Progress,
    ) -> impl Future<Output = Result<Finish, CommandError>> + Send {
        std::future::ready(Ok(finish))
    }
    fn finish(&self, run: Lease, finish: Finish) -> impl Future<Output = Result<(), CommandError>> + Send;
}

struct StoreDesk {
    store: Store,
    clock: Clock,
    probes: Arc<Probes>,
    model: Option<Arc<Model>>,
    library: Arc<Library>,
}

impl Desk for StoreDesk {
    fn changes(&self) -> watch::Receiver<u64> {
        self.store.changes()
    }

    async fn next_due(&self) -> Result<Option<Time>, StoreError> {
        let jobs = self.store.read(|view| view.jobs(LOOK)).await?;
        Ok(jobs.iter().map(|j| j.leased_until.map_or(j.not_before, |t| t.max(j.not_before))).min())
    }

    async fn lease(&self) -> Result<Option<Job>, CommandError> {
        self.store.lease_job(LEASE, ENGINE).await
    }

    async fn release(&self, run: Lease) -> Result<(), CommandError> {
        self.store.release_job(run).await
    }

    async fn alerts(&self, id: IncidentId) -> Result<Option<Case>, StoreError> {
        let (now, library) = (self.clock.now(), self.library.clone());
        let known = tokio::task::spawn_blocking(move || library.known_symptoms()).await;
        let symptoms = known.map_err(|e| StoreError::Io(e.to_string()))?;
        let read = self.store.read(move |view| gather::alerts(view, id, now)).await?;
        Ok(read.map(|case| Case { symptoms, ..case }))
    }

    async fn earlier(&self, case: Case) -> Result<Case, StoreError> {
        self.store.read(move |view| gather::earlier(view, case)).await
    }

    async fn changed(&self, case: Case) -> Result<Case, StoreError> {
        self.store.read(move |view| gather::changes(view, case)).await
    }

    async fn asking(&self, case: &Case) -> Result<Asking, StoreError> {
        let services = self.store.read(|view| view.services()).await?;
        Ok(self.probes.about(case, &services))
    }

    async fn runbooks(&self, case: Case) -> Result<Case, StoreError> {
        let library = self.library.clone();
        // Folders may be on a disk that hangs; the store's readers must not wait for it.
        let looked = tokio::task::spawn_blocking(move || library.look()).await;
        let shelf = looked.map_err(|e| StoreError::Io(e.to_string()))?;
        let library = self.library.clone();
        self.store.read(move |view| gather::runbooks(view, case, &library, shelf)).await
    }

    async fn write(&self, run: Lease, lines: Vec<Line>, progress: Progress) -> Result<(), CommandError> {
        self.store.add_thoughts(run, lines.into_iter().map(Line::thought).collect(), progress).await.map(drop)
    }

    async fn advise(
        &self,
        run: Lease,
        inquiry: Inquiry,
        case: &Case,
        finish: Finish,
        progress: Progress,
    ) -> Result<Finish, CommandError> {
        match &self.model {
            Some(model) => model.advise(run, inquiry, case, finish, progress).await,
            None => Ok(finish),
        }
    }

    async fn finish(&self, run: Lease, finish: Finish) -> Result<(), CommandError> {
        self.store.finish_investigation(run, finish).await.map(drop)
    }
}

/// Why an investigation ended before its end.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// A person stopped it, or the incident is gone: nothing more is written.
    #[error("it was cancelled")]
    Cancelled,
    /// The process stops.
    #[error("the process is stopping")]
    Stopping,
    #[error(transparent)]
    Failed(CommandError),
}

impl From<CommandError> for Ended {
    fn from(e: CommandError) -> Self {
        match e {
            CommandError::Conflict { .. } | CommandError::NotFound(_) => Self::Cancelled,
            CommandError::Store(StoreError::Stopped) => Self::Stopping,
            e => Self::Failed(e),
        }
    }
}

impl From<StoreError> for Ended {
    fn from(e: StoreError) -> Self {
        CommandError::Store(e).into()
    }
}

async fn work<D: Desk>(desk: Arc<D>, clock: &Clock, workers: usize, stop: &CancellationToken) {
    let mut changes = desk.changes();
    let mut running: JoinSet<()> = JoinSet::new();
    let mut whose: HashMap<Id, Lease> = HashMap::new();
    while !stop.is_cancelled() {
        changes.mark_unchanged();
        // Counted from before the look: time that passes while looking must not be slept once more.
        let mut wake = clock.now().plus(TICK);
        while running.len() < workers && !stop.is_cancelled() {
            match take(&*desk, clock).await {
                Ok(Next::Job(job)) => {
                    let run = job.lease();
                    let task = running.spawn(lead(Arc::clone(&desk), clock.clone(), job, stop.clone()));
                    whose.insert(task.id(), run);
                }
                Ok(Next::At(due)) => {
                    wake = wake.min(due);
                    break;
                }
                Ok(Next::None) => break,
                Err(CommandError::Store(StoreError::Stopped)) => return,
                Err(e) => {
                    tracing::warn!(error = %e, "the queue of investigations could not be read; trying again");
                    break;
                }
            }
        }
        let full = running.len() >= workers;
        tokio::select! {
            () = stop.cancelled() => {}
            Some(ended) = running.join_next_with_id() => tidy(&*desk, &mut whose, ended).await,
            changed = changes.changed(), if !full => if changed.is_err() { break },
            () = clock.sleep_until(wake), if !full => {}
        }
    }
    while let Some(ended) = running.join_next_with_id().await {
        tidy(&*desk, &mut whose, ended).await;
    }
}

enum Next {
    Job(Job),
    // Nothing is due before then.
    At(Time),
    None,
}

/// Takes a job if one is due. Looks first, since looking costs no transaction and the store wakes us for every change.
async fn take<D: Desk>(desk: &D, clock: &Clock) -> Result<Next, CommandError> {
    let now = clock.now();
    match desk.next_due().await? {
        None => Ok(Next::None),
        Some(due) if due > now => Ok(Next::At(due)),
        Some(_) => Ok(desk.lease().await?.map_or(Next::None, Next::Job)),
    }
}

/// After the end of a task; a panic ends that investigation and nothing else.
async fn tidy<D: Desk>(desk: &D, whose: &mut HashMap<Id, Lease>, ended: Result<(Id, ()), JoinError>) {
    match ended {
        Ok((task, ())) => {
            whose.remove(&task);
        }
        Err(e) => {
            if let Some(run) = whose.remove(&e.id()) {
                tracing::error!(incident = %run.incident, error = %e, "an investigation broke off");
                fail(desk, run, "It broke off by a fault of the program; the log has the details.".into()).await;
            }
        }
    }
}

/// One job from lease to end.
async fn lead<D: Desk>(desk: Arc<D>, clock: Clock, job: Job, stop: CancellationToken) {
    let run = job.lease();
    if job.attempts > ATTEMPTS {
        let error =
            format!("It was begun {} times and the process ended each time before it was done.", job.attempts - 1);
        fail(&*desk, run, error).await;
        return;
    }
    match investigate(&*desk, &clock, run, &stop).await {
        Ok(()) | Err(Ended::Cancelled) => {}
        Err(Ended::Stopping) => {
            if let Err(e) = desk.release(run).await {
                tracing::debug!(incident = %run.incident, error = %e, "a job could not be given back; its lease runs out by itself");
            }
        }
        Err(Ended::Failed(e)) => {
            tracing::warn!(incident = %run.incident, error = %e, "an investigation failed");
            fail(&*desk, run, format!("It could not be finished: {e}.")).await;
        }
    }
}

/// What is read after the alerts, in this order; each becomes lines of its own.
#[derive(Clone, Copy, Debug)]
enum Step {
    Earlier,
    Changes,
    Runbooks,
}

impl Step {
    const ALL: [Self; 3] = [Self::Earlier, Self::Changes, Self::Runbooks];

    /// What it reads, as the subject of a sentence.
    const fn name(self) -> &'static str {
        match self {
            Self::Earlier => "Earlier incidents",
            Self::Changes => "Changes",
            Self::Runbooks => "Runbooks and suggestions of this house",
        }
    }

    async fn read<D: Desk>(self, desk: &D, case: Case) -> Result<Case, StoreError> {
        match self {
            Self::Earlier => desk.earlier(case).await,
            Self::Changes => desk.changed(case).await,
            Self::Runbooks => desk.runbooks(case).await,
        }
    }

    fn tell(self, inquiry: &mut Inquiry, case: &Case) -> Vec<Line> {
        match self {
            Self::Earlier => inquiry.earlier(case),
            Self::Changes => inquiry.changes(case),
            Self::Runbooks => inquiry.runbooks(case),
        }
    }
}

async fn investigate<D: Desk>(desk: &D, clock: &Clock, run: Lease, stop: &CancellationToken) -> Result<(), Ended> {
    let patience = clock.now().plus(PATIENCE);
    let mut inquiry = Inquiry::default();
    let Some(mut case) = desk.alerts(run.incident).await? else { return Err(Ended::Cancelled) };
    // The alerts before, what tools say and the ranking after.
    let mut progress = Progress { done: 0, of: u32::try_from(Step::ALL.len()).unwrap_or(0) + 3 };
    if !case.incident.test {
        progress.done += 1;
        write(desk, run, inquiry.alerts(&case), progress, stop).await?;
        for step in Step::ALL {
            let read = tokio::select! {
                read = step.read(desk, case.clone()) => read.map_err(|e| e.to_string()),
                () = clock.sleep_until(patience) => Err("they were not there in time".to_owned()),
            };
            let lines = match read {
                Ok(more) => {
                    case = more;
                    step.tell(&mut inquiry, &case)
                }
                // A part of the answer is better than none.
                Err(why) => vec![unread(step.name(), &why)],
            };
            progress.done += 1;
            write(desk, run, lines, progress, stop).await?;
        }
        ask(desk, run, &mut inquiry, &mut case, progress, stop).await?;
        progress.done += 1;
    }
    let (lines, finish) = inquiry.conclude(&case);
    progress.done = progress.of;
    write(desk, run, lines, progress, stop).await?;
    let finish = tokio::select! {
        advised = desk.advise(run, inquiry, &case, finish, progress) => advised?,
        () = stop.cancelled() => return Err(Ended::Stopping),
    };
    Ok(desk.finish(run, finish).await?)
}

/// Asks tools in rounds, each of which is written before its questions go out, until nothing is left to ask. Nothing
/// happens where no tool is configured or declared.
async fn ask<D: Desk>(
    desk: &D,
    run: Lease,
    inquiry: &mut Inquiry,
    case: &mut Case,
    progress: Progress,
    stop: &CancellationToken,
) -> Result<(), Ended> {
    let mut asking = match desk.asking(case).await {
        Ok(asking) => asking,
        // A part of the answer is better than none.
        Err(e) => return write(desk, run, vec![unread("Declared services", &e.to_string())], progress, stop).await,
    };
    loop {
        let (questions, before) = asking.questions();
        let from = case.findings.len();
        case.findings.extend(before.findings);
        let mut lines = inquiry.answered(case, from, &before.notes);
        lines.extend(inquiry.asked(case, &questions));
        if !lines.is_empty() {
            write(desk, run, lines, progress, stop).await?;
        }
        if questions.is_empty() {
            return Ok(());
        }
        let round = tokio::select! {
            round = asking.round() => round,
            () = stop.cancelled() => return Err(Ended::Stopping),
        };
        let from = case.findings.len();
        case.findings.extend(round.findings);
        write(desk, run, inquiry.answered(case, from, &round.notes), progress, stop).await?;
    }
}

fn unread(what: &str, why: &str) -> Line {
    let text = format!("{what} could not be read, the answer does without them: {}.", why.trim_end_matches('.'));
    Line { kind: ThoughtKind::Observation, text, evidence: Vec::new() }
}

async fn write<D: Desk>(
    desk: &D,
    run: Lease,
    lines: Vec<Line>,
    progress: Progress,
    stop: &CancellationToken,
) -> Result<(), Ended> {
    if stop.is_cancelled() {
        return Err(Ended::Stopping);
    }
    Ok(desk.write(run, lines, progress).await?)
}

async fn fail<D: Desk>(desk: &D, run: Lease, error: String) {
    let finish = Finish {
        state: InvestigationState::Error,
        conclusion: None,
        summary: None,
        error: Some(error),
        around: Vec::new(),
        answer: Investigation::default(),
    };
    match desk.finish(run, finish).await {
        // Cancelled or gone meanwhile.
        Ok(()) | Err(CommandError::Conflict { .. } | CommandError::NotFound(_)) => {}
        Err(e) => {
            tracing::warn!(incident = %run.incident, error = %e, "the end of an investigation could not be written; it will be taken again")
        }
    }
}

#[cfg(test)]
mod tests;
