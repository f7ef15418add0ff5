//! The wiring: what starts in which order, and what stops in which order. A process is one `App`, and so is a test.

mod keys;
mod local;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    backtest::Backtests,
    config::Config,
    connectors,
    demo::{self, DemoError},
    ingest::{certificate::FileError, default_settings, sources},
    investigation::{Library, Model, ModelError, Probes, Runner, Shelf, probes::UsualError, replay_stored},
    live::Hub,
    model::{Account, IncidentId, Role, Transcript},
    notifications::{Auditor, Caller, Runner as Notifier},
    outgoing::{Client, OutgoingError},
    runtime::{
        background::Aside,
        clock::{Clock, Wait},
        files,
        supervise::{Backoff, OnEnd, Supervisor, TaskStatus},
        systemd, tls,
    },
    search::{Search, SearchError},
    store::{
        CommandError, Policy, Retention, Store, StoreError, StoreOptions,
        backup::schedule::{Backups, Schedule},
    },
    web::{self, Routes, shared::Shared, state::Parts, tls::Tls},
};

pub use keys::{Renewed, check as check_key, rekey};
pub use local::{LocalAccess, local_access};
pub use web::auth::{
    check_name,
    password::{PasswordError, hash as hash_password},
    secret::{NoRandom, digest, random},
};
pub use web::tls::check as check_certificates;

/// Requests that are being answered may take this long at the end: the 5 s that the web room gives them, and a little.
const FINISH_REQUESTS: Duration = Duration::from_secs(6);
/// Background tasks may take this long at the end.
const FINISH_TASKS: Duration = Duration::from_secs(4);
/// At the start, as long for the process before this one to let go of the folder.
const LETS_GO: Duration = Duration::from_secs(4);
/// The store may take this long; with the two above this is within 15 s.
const FINISH_STORE: Duration = Duration::from_secs(5);

/// Why it could not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A first command to the store.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The address.
    #[error("cannot listen on {addr}: {source}; choose another address with --listen")]
    Listen {
        /// As configured.
        addr: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The key file belongs to another database.
    #[error(
        "the key file {0} does not open the connector keys in this database; put the right one back, or, when it is lost, run `watchfire rekey`, which makes a new one and new connector keys"
    )]
    Key(String),
    /// A certificate, a key or a CA.
    #[error("{0}; it is named in the settings")]
    Certificate(#[from] FileError),
    /// The certificates that calls to other services trust.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// The language model that is configured.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The operator's list of metrics.
    #[error(transparent)]
    Metrics(#[from] UsualError),
    /// The demo.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The text index.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A source that the configuration declares.
    #[error("a source that the configuration declares does not work: {0}")]
    Source(String),
    /// No keys can be made.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
    /// The store could not be opened for a reason of the machine.
    #[error("the store could not be opened: {0}")]
    Interrupted(String),
}

/// A running Watchfire.
#[derive(Debug)]
pub struct App {
    config: Arc<Config>,
    store: Store,
    shared: Arc<Shared>,
    backups: Backups,
    addr: SocketAddr,
    // Of the demo's account, at its first start.
    password: Option<String>,
    // Two supervisors, because the door closes before the rooms behind it.
    door: Supervisor,
    door_stop: CancellationToken,
    rooms: Supervisor,
    rooms_stop: CancellationToken,
}

impl App {
    /// Opens the store and starts everything; ready when it returns.
    pub async fn start(config: Config, clock: Clock) -> Result<App, AppError> {
        tls::install_provider();
        let routes = tokio::task::spawn_blocking(Routes::new);
        let password = if config.demo { fill_demo(&config, &clock).await? } else { None };
        let store = open_freed(&config, &clock).await?;
        // Dropping a store that did not get as far as serving must not leave its threads behind.
        match Self::start_on(store.clone(), config, clock, routes).await {
            Ok(app) => Ok(App { password, ..app }),
            Err(e) => {
                close(store).await;
                Err(e)
            }
        }
    }

    async fn start_on(
        store: Store,
        mut config: Config,
        clock: Clock,
        routes: JoinHandle<Routes>,
    ) -> Result<App, AppError> {
        let settings = config.clone();
        let now = clock.now();
        let tls = tokio::task::spawn_blocking(move || Tls::open(Arc::new(settings), now))
            .await
            .map_err(|e| AppError::Interrupted(e.to_string()))??;
        let tls = Arc::new(tls);
        let client = Client::open(config.outgoing_ca.as_deref())?;
        let listener = listen(&config.listen).await?;
        let addr = listener.local_addr().map_err(|source| AppError::Listen { addr: config.listen.clone(), source })?;
        // Both wait for the disk.
        let of = store.clone();
        let search = tokio::task::spawn_blocking(move || Search::open(of));
        ensure_connectors(&store, &clock, &config).await?;
        keys::check(&store).await?;
        let search = search.await.map_err(|e| AppError::Interrupted(e.to_string()))??;
        local::publish(&mut config, addr)?;
        let config = Arc::new(config);

        let (door_stop, rooms_stop) = (CancellationToken::new(), CancellationToken::new());
        let door = Supervisor::new(clock.clone(), door_stop.clone(), Backoff::default());
        let rooms = Supervisor::new(clock.clone(), rooms_stop.clone(), Backoff::default());

        let backups = Backups::new(store.clone(), clock.clone(), schedule(&config), door_stop.clone());
        door.spawn("backup", OnEnd::Restart, {
            let backups = backups.clone();
            move || backups.clone().run()
        });
        let hub = Hub::new(store.clone());
        rooms.spawn("live", OnEnd::Restart, {
            let (hub, stop) = (hub.clone(), rooms_stop.clone());
            move || hub.clone().run(stop.clone())
        });
        rooms.spawn("search", OnEnd::Restart, {
            let (search, clock, stop) = (search.clone(), clock.clone(), rooms_stop.clone());
            move || search.clone().run(clock.clone(), stop.clone())
        });
        let library = Arc::new(Library::new(&config));
        let aside = Aside::start("investigation").map_err(|e| AppError::Interrupted(e.to_string()))?;
        let probes = Arc::new(Probes::open(client.clone(), clock.clone(), config.probes.clone())?);
        let set = store.read(|view| view.investigation_settings()).await?.map(|s| s.settings).unwrap_or_default();
        probes.bound(&set, &config.fixed);
        let model = Model::open(&config.model, client.clone(), store.clone(), clock.clone())?;
        let model = model.map(|m| Arc::new(m.with_probes(probes.clone())));
        if let Some(model) = &model {
            rooms.spawn("model", OnEnd::Restart, {
                let (model, stop) = (model.clone(), rooms_stop.clone());
                move || {
                    let (model, stop) = (model.clone(), stop.clone());
                    async move { model.run(stop).await }
                }
            });
        }
        rooms.spawn("investigation", OnEnd::Restart, {
            let (store, clock, stop) = (store.clone(), clock.clone(), rooms_stop.clone());
            let (workers, model, library) = (config.investigation_workers, model.clone(), library.clone());
            let probes = probes.clone();
            move || {
                let runner = Runner::new(store.clone(), clock.clone(), probes.clone(), workers);
                aside.run(runner.with_library(library.clone()).with_model(model.clone()).run(stop.clone()))
            }
        });
        let caller = Arc::new(Caller::new(
            &client,
            clock.clone(),
            config.notify_allow.clone(),
            config.notify_plain_http,
            config.notify_plain_mail,
        ));
        let public_url = config.public_url.clone().unwrap_or_else(|| local_url(config.scheme(), addr));
        rooms.spawn("notifications", OnEnd::Restart, {
            let (store, clock, stop) = (store.clone(), clock.clone(), rooms_stop.clone());
            let (caller, url) = (caller.clone(), public_url.clone());
            move || Notifier::new(store.clone(), clock.clone(), caller.clone(), url.clone()).run(stop.clone())
        });
        rooms.spawn("auditor", OnEnd::Restart, {
            let (store, clock, stop) = (store.clone(), clock.clone(), rooms_stop.clone());
            let (client, beat, url) = (client.clone(), config.notify_heartbeat_url.clone(), public_url.clone());
            move || {
                Auditor::new(store.clone(), clock.clone(), client.clone(), beat.clone(), url.clone()).run(stop.clone())
            }
        });
        let backtests = Backtests::open(store.clone(), policy(&config)).await?;
        rooms.spawn("backtest", OnEnd::Restart, {
            let (backtests, stop) = (backtests.clone(), rooms_stop.clone());
            move || backtests.clone().run(stop.clone())
        });
        rooms.spawn("watchdog", OnEnd::Restart, {
            let (store, stop) = (store.clone(), rooms_stop.clone());
            move || {
                let (store, stop) = (store.clone(), stop.clone());
                // Whether the read works is for the health page; that it ends shows that nothing hangs.
                let alive = move || {
                    let store = store.clone();
                    async move {
                        let _ = store.read(|_| Ok(())).await;
                    }
                };
                systemd::watchdog(alive, stop)
            }
        });

        if tls.has_files() {
            door.spawn("certificates", OnEnd::Restart, {
                let (tls, clock, stop) = (tls.clone(), clock.clone(), door_stop.clone());
                move || tls.clone().follow(clock.clone(), stop.clone())
            });
        }
        let shared = Arc::new(Shared::new(&config, &clock, tls)?);
        sources::load(&shared.door.registry, &store, &config).await.map_err(|e| AppError::Source(e.to_string()))?;
        for name in config.connectors.keys().filter(|name| shared.door.registry.find(name).is_none()) {
            let what = "the configuration sets something for a connector that nobody has declared yet";
            tracing::warn!(connector = name, "{what}");
        }
        let state = Arc::new(Parts {
            store: store.clone(),
            live: hub,
            search,
            backups: backups.clone(),
            backtests,
            client,
            library,
            probes,
            config: config.clone(),
            clock,
            stop: door_stop.clone(),
            shared: shared.clone(),
            model: model.as_ref().map(|m| m.status()),
            caller,
        });
        if config.demo {
            rooms.spawn("demo", OnEnd::Restart, {
                let (door, stop) = (state.door(), rooms_stop.clone());
                move || demo::tell(door.clone(), stop.clone())
            });
        }
        let routes = routes.await.map_err(|e| AppError::Interrupted(e.to_string()))?;
        let mut once = Some((listener, routes, state));
        door.spawn("web", OnEnd::Fatal, move || {
            let taken = once.take();
            async move {
                if let Some((listener, routes, state)) = taken {
                    web::server::serve(listener, routes, state, files::connections()).await;
                }
            }
        });
        Ok(App { config, store, shared, backups, addr, password: None, door, door_stop, rooms, rooms_stop })
    }

    /// The address it listens on, with the port that was taken.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How this machine reaches it.
    pub fn url(&self) -> String {
        local_url(self.config.scheme(), self.addr)
    }

    /// How others reach it, as configured; else as `url`.
    pub fn public_url(&self) -> String {
        self.config.public_url.clone().unwrap_or_else(|| self.url())
    }

    /// TLS of its listener.
    pub fn tls(&self) -> &Tls {
        &self.shared.tls
    }

    /// Name and password of the account that the demo made at its first start.
    pub fn demo_account(&self) -> Option<(&'static str, &str)> {
        self.password.as_deref().map(|p| (DEMO, p))
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What makes its backups.
    pub fn backups(&self) -> &Backups {
        &self.backups
    }

    /// The settings it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The background tasks.
    pub fn tasks(&self) -> Vec<TaskStatus> {
        let mut all = self.rooms.tasks();
        all.extend(self.door.tasks());
        all
    }

    /// The one-time link of the set-up page, while there is no account.
    pub async fn setup_link(&self) -> Result<Option<String>, StoreError> {
        let nobody = self.store.read(|v| Ok(v.accounts()?.is_empty())).await?;
        Ok(nobody.then(|| self.shared.setup_link(&self.public_url())))
    }

    /// Waits until something failed that it cannot go on without, and says what.
    pub async fn failed(&self) -> String {
        tokio::select! {
            why = self.door.failed() => why,
            why = self.rooms.failed() => why,
        }
    }

    /// Stops in order: no new connections, streams end, requests finish, background tasks finish, the store closes.
    pub async fn stop(self) {
        self.door_stop.cancel();
        late("requests", self.door.join(FINISH_REQUESTS).await);
        self.rooms_stop.cancel();
        late("tasks", self.rooms.join(FINISH_TASKS).await);
        local::withdraw(&self.config.data_dir);
        close(self.store).await;
    }
}

/// Name of the demo's account.
const DEMO: &str = "demo";

/// Fills the folder of a new demo with the months before now, on a clock that runs through them, and makes an account:
/// its password. Nothing where that was done before.
async fn fill_demo(config: &Config, clock: &Clock) -> Result<Option<String>, AppError> {
    if demo::is_marked(&config.data_dir) {
        return Ok(None);
    }
    let config = Arc::new(config.clone());
    // On the present clock first: what is stored must not be looked at from the past.
    let store = open_store(&config, clock.clone()).await?;
    let (empty, nobody) = (demo::is_empty(&store), store.read(|v| Ok(v.accounts()?.is_empty())).await);
    close(store).await;
    if !empty {
        return Err(DemoError::NotEmpty(config.data_dir.display().to_string()).into());
    }
    let now = clock.now();
    let past = Clock::manual(demo::beginning(now));
    let store = open_store(&config, past.clone()).await?;
    let filled = async {
        ensure_connectors(&store, &past, &config).await?;
        demo::fill(&store, &config, &past, now).await?;
        if !nobody? {
            return Ok(None);
        }
        let password: String = random::<16>()?.chars().take(16).collect();
        let hashed = password.clone();
        let hash = tokio::task::spawn_blocking(move || hash_password(&hashed)).await;
        let hash = hash.map_err(|e| AppError::Interrupted(e.to_string()))?;
        let password_hash = hash.map_err(|e| AppError::Interrupted(e.to_string()))?;
        let account = Account::local(DEMO.to_owned(), Role::Admin, password_hash, now);
        store.create_first_account(account).await?;
        Ok(Some(password))
    };
    let filled = filled.await;
    close(store).await;
    filled
}

fn late(what: &str, names: Vec<&'static str>) {
    if !names.is_empty() {
        tracing::warn!(?names, "{what} did not end in time and were cut off");
    }
}

/// The names of all platforms, as in URLs.
pub fn platforms() -> Vec<&'static str> {
    connectors::ALL.iter().map(|c| c.info().slug).collect()
}

/// Opens the store of these settings; waits a moment for the process before this one to let go of it.
async fn open_freed(config: &Config, clock: &Clock) -> Result<Store, AppError> {
    let wait = Wait::begin(LETS_GO);
    loop {
        match open_store(config, clock.clone()).await {
            Err(AppError::Store(StoreError::Locked(_))) if !wait.left().is_zero() => {
                tokio::time::sleep(LETS_GO / 20).await;
            }
            opened => return opened,
        }
    }
}

/// Opens the store of these settings, with nothing running on it.
pub async fn open_store(config: &Config, clock: Clock) -> Result<Store, AppError> {
    let options =
        StoreOptions { dir: config.data_dir.clone(), cache_bytes: config.cache_bytes, policy: policy(config) };
    match tokio::task::spawn_blocking(move || Store::open(options, clock)).await {
        Ok(opened) => Ok(opened?),
        Err(e) => Err(AppError::Interrupted(e.to_string())),
    }
}

/// Whether what these settings name for calls to other services can be used: certificates, the list of metrics.
pub fn check_outgoing(config: &Config) -> Result<(), AppError> {
    let client = Client::open(config.outgoing_ca.as_deref())?;
    Probes::open(client, Clock::System, config.probes.clone())?;
    Ok(())
}

/// What the files hold that people keep for investigations, and what is wrong with them, each with its place.
pub fn check_library(config: &Config) -> Shelf {
    Library::new(config).look()
}

fn schedule(config: &Config) -> Option<Schedule> {
    let dir = config.backup_dir.clone()?;
    Some(Schedule { dir, every: config.backup_every, keep: config.backup_keep })
}

/// What the writer decides by, as configured.
pub fn policy(config: &Config) -> Policy {
    Policy {
        mode: config.correlation_mode,
        fixed: config.fixed.clone(),
        cluster_window: config.cluster_window,
        reopen_within: config.reopen_within,
        test_closes_after: config.test_closes_after,
        investigation_delay: config.investigation_delay,
        max_behind: config.max_behind,
        retention: Retention {
            deliveries: config.keep_deliveries,
            incidents: config.keep_incidents,
            bytes: config.keep_bytes,
        },
        reserve: config.reserve,
        opens: config.connectors.iter().filter_map(|(p, c)| Some((p.clone(), c.opens.clone()?))).collect(),
        vouchers: config.sign_in.vouchers(),
        group_by_sender: config.connectors.iter().filter_map(|(p, c)| Some((p.clone(), c.group_by_sender?))).collect(),
    }
}

/// Makes the text index of a stopped server anew; how many incidents it holds then. `told` hears how many of how many
/// alerts are done.
pub async fn reindex(config: &Config, clock: Clock, told: impl Fn(u64, u64) + Send + 'static) -> Result<u64, AppError> {
    let store = open_store(config, clock).await?;
    store.recount_insights().await?;
    let of = store.clone();
    let made = tokio::task::spawn_blocking(move || Search::anew(of, told).map(|search| search.len())).await;
    close(store).await;
    Ok(made.map_err(|e| AppError::Interrupted(e.to_string()))??)
}

/// A conversation with a language model once more.
#[derive(Debug)]
pub struct OnceMore {
    /// As it was.
    pub transcript: Transcript,
    /// In what it would differ today, in words.
    pub differences: Vec<String>,
}

/// Has the conversation of an incident's investigation with a language model once more, from the store of a stopped server.
pub async fn replay_opinion(
    config: &Config,
    clock: Clock,
    id: IncidentId,
    run: Option<u64>,
) -> Result<Option<OnceMore>, AppError> {
    let store = open_store(config, clock).await?;
    let shelf = Library::new(config).look();
    let replayed = store.read(move |view| replay_stored(view, id, run, &shelf)).await;
    close(store).await;
    Ok(replayed?.map(|(transcript, replayed)| OnceMore { differences: replayed.differences(&transcript), transcript }))
}

/// Closes a store; bounded, because a disk that hangs must not keep the process.
pub async fn close(store: Store) {
    let closing = tokio::task::spawn_blocking(move || store.close());
    if tokio::time::timeout(FINISH_STORE, closing).await.is_err() {
        tracing::warn!("the store did not close in time; what was acknowledged is on the disk");
    }
}

/// Makes settings and keys for platforms, and sources that the configuration declares, that have none. What the
/// configuration fixes is laid over them when they are read.
pub async fn ensure_connectors(store: &Store, clock: &Clock, config: &Config) -> Result<(), AppError> {
    let have = store.read(|v| v.connectors()).await?;
    let mut missing = Vec::new();
    let all = platforms().into_iter().chain(config.sources.keys().map(String::as_str));
    for platform in all.filter(|p| have.iter().all(|c| c.platform != *p)) {
        missing.push(default_settings(platform, clock.now(), store.sealer())?);
    }
    if !missing.is_empty() {
        store.ensure_connectors(missing).await?;
    }
    Ok(())
}

async fn listen(addr: &str) -> Result<TcpListener, AppError> {
    TcpListener::bind(addr).await.map_err(|source| AppError::Listen { addr: addr.to_owned(), source })
}

// "Everywhere" is an address to listen on, not one to connect to.
fn local_url(scheme: &str, addr: SocketAddr) -> String {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(ip, addr.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_options_are_those_of_the_writer() {
        let ours = policy(&crate::config::defaults("/nowhere".into()));
        assert_eq!(format!("{ours:?}"), format!("{:?}", Policy::default()));
    }

    #[test]
    fn everywhere_is_reached_by_loopback() {
        for (addr, want) in [
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
            ("10.0.0.1:80", "http://10.0.0.1:80"),
        ] {
            assert_eq!(local_url("http", addr.parse().unwrap()), want);
        }
    }
}
