//! Flags over environment over file over defaults; every problem of all of them in one answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    check::{Origin, Problem, Problems, place, suggestion},
    model::ModelConfig,
    options::{CONNECTOR_OPTIONS, Kind, OPTIONS, Opt, SOURCE_OPTIONS, connector_key, env_name, flag_name, source_key},
    sign_in::SignIn,
    types::{Config, ConnectorConfig, CorrelationMode, LogFormat, ProbeSettings},
};
use crate::{connectors::declared, model::Declaration};

/// What was given, before it is read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// Keys and values of the flags that were given.
    pub flags: Vec<(String, String)>,
    /// The environment.
    pub env: Vec<(String, String)>,
}

impl Sources {
    /// With the environment of this process.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        let env = std::env::vars_os()
            .map(|(k, v)| (k.to_string_lossy().into_owned(), v.to_string_lossy().into_owned()))
            .collect();
        Self { file, flags, env }
    }

    // An empty variable counts as none: that is how compose files and units take one away.
    fn var(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(k, v)| k == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }
}

/// Variables that belong to the commands, not to the settings.
const COMMAND_VARIABLES: [&str; 4] =
    ["WATCHFIRE_CONFIG", "WATCHFIRE_URL", "WATCHFIRE_TOKEN", "WATCHFIRE_BACKUP_PASSPHRASE"];

/// Keys of settings that people can change on pages, unless they are given here.
pub const ON_PAGES: [&str; 7] = [
    "correlation.mode",
    "correlation.cluster_window",
    "correlation.reopen_within",
    "investigation.delay",
    "investigation.probes.question_time",
    "investigation.probes.time",
    "investigation.probes.questions",
];

/// The settings with nothing set but the data folder.
pub fn defaults(data_dir: PathBuf) -> Config {
    let mut config = Config {
        file: None,
        data_dir,
        listen: String::new(),
        public_url: None,
        tls_cert: None,
        tls_key: None,
        tls_client_ca: None,
        trusted_proxies: Vec::new(),
        proxy_cert_header: None,
        proxy_subject_header: None,
        proxy_verify_header: None,
        sign_in: SignIn::default(),
        bootstrap_token: None,
        log_format: LogFormat::Text,
        log_level: String::new(),
        max_body: 0,
        body_deadline: Duration::ZERO,
        session_lifetime: Duration::ZERO,
        cache_bytes: 0,
        reserve: 0,
        keep_deliveries: Duration::ZERO,
        keep_incidents: Duration::ZERO,
        keep_bytes: 0,
        backup_dir: None,
        backup_every: Duration::ZERO,
        backup_keep: 0,
        correlation_mode: CorrelationMode::default(),
        cluster_window: Duration::ZERO,
        reopen_within: Duration::ZERO,
        test_closes_after: Duration::ZERO,
        investigation_delay: Duration::ZERO,
        investigation_workers: 1,
        model: ModelConfig::default(),
        probes: ProbeSettings::default(),
        outgoing_ca: None,
        notify_allow: Vec::new(),
        notify_plain_http: false,
        notify_plain_mail: false,
        notify_heartbeat_url: None,
        suggestions_dir: None,
        runbooks_dir: None,
        symptoms_file: None,
        max_behind: 0,
        fixed: BTreeSet::new(),
        given: super::Given::default(),
        outside: None,
        demo: false,
        connectors: BTreeMap::new(),
        sources: BTreeMap::new(),
    };
    for option in OPTIONS {
        if let Some(text) = option.default {
            // The defaults are part of the list, and a test sets each of them.
            let _ = (option.set)(&mut config, text);
        }
    }
    config
}

/// Where data goes when nobody says: the service manager's folder, else the person's.
pub fn default_data_dir(var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let var = |name: &str| var(name).filter(|v| !v.is_empty());
    if let Some(dir) = var("STATE_DIRECTORY") {
        // systemd joins several folders with colons; the first is ours.
        return dir.split(':').next().map(PathBuf::from);
    }
    if let Some(dir) = var("XDG_DATA_HOME") {
        return Some(Path::new(&dir).join("watchfire"));
    }
    let home = PathBuf::from(var("HOME")?);
    let under = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
    Some(home.join(under).join("watchfire"))
}

/// Reads everything. `platforms` are the connectors that this build knows.
pub fn load(sources: &Sources, platforms: &[&str]) -> Result<Config, Problems> {
    let mut loader = Loader { config: defaults(PathBuf::new()), platforms, problems: Vec::new() };
    let file = sources.file.clone().or_else(|| sources.var("WATCHFIRE_CONFIG").map(PathBuf::from));
    if let Some(path) = file {
        loader.file(&path);
        loader.config.file = Some(path);
    }
    loader.environment(sources);
    for (key, text) in &sources.flags {
        loader.set(key, text, Origin::Flag(flag_name(key)));
    }
    if loader.config.data_dir.as_os_str().is_empty() {
        match default_data_dir(|name| sources.var(name).map(str::to_owned)) {
            Some(dir) => loader.config.data_dir = dir,
            None if loader.problems.iter().any(|p| p.key.as_deref() == Some("data_dir")) => {}
            None => loader.problems.push(Problem {
                origin: Origin::Flag("data-dir".to_owned()),
                key: None,
                what: "none given, and neither $STATE_DIRECTORY nor $XDG_DATA_HOME nor $HOME is set; name a folder"
                    .to_owned(),
            }),
        }
    }
    loader.together();
    if loader.problems.is_empty() { Ok(loader.config) } else { Err(Problems(loader.problems)) }
}

struct Loader<'a> {
    config: Config,
    platforms: &'a [&'a str],
    problems: Vec<Problem>,
}

enum Target {
    Server(&'static Opt<Config>),
    Connector(String, &'static Opt<ConnectorConfig>),
    Source(String, &'static Opt<Declaration>),
}

impl Target {
    fn kind(&self) -> Kind {
        match self {
            Self::Server(o) => o.kind,
            Self::Connector(_, o) => o.kind,
            Self::Source(_, o) => o.kind,
        }
    }

    fn example(&self) -> &'static str {
        match self {
            Self::Server(o) => o.example,
            Self::Connector(_, o) => o.example,
            Self::Source(_, o) => o.example,
        }
    }
}

impl Loader<'_> {
    fn target(&self, key: &str) -> Option<Target> {
        if let Some(option) = OPTIONS.iter().find(|o| o.key == key) {
            return Some(Target::Server(option));
        }
        if let Some((slug, name)) = key.strip_prefix("sources.").and_then(|k| k.rsplit_once('.')) {
            let option = SOURCE_OPTIONS.iter().find(|o| o.key == name)?;
            return self.config.sources.contains_key(slug).then(|| Target::Source(slug.to_owned(), option));
        }
        let (platform, name) = key.strip_prefix("connectors.")?.rsplit_once('.')?;
        let option = CONNECTOR_OPTIONS.iter().find(|o| o.key == name)?;
        self.is_connector(platform).then(|| Target::Connector(platform.to_owned(), option))
    }

    /// A platform, a source that the file declares, or one that the API and the pages may: those are known only when the
    /// store is open, so the name has to be possible, and no misspelling of one that is known here.
    fn is_connector(&self, name: &str) -> bool {
        let known = || self.platforms.iter().copied().chain(self.config.sources.keys().map(String::as_str));
        known().any(|n| n == name)
            || self.config.connectors.contains_key(name)
            || declared::wrong_slug(name).is_none() && crate::text::nearest(name, known()).is_none()
    }

    fn set(&mut self, key: &str, text: &str, origin: Origin) {
        let done = match self.target(key) {
            Some(Target::Server(option)) => {
                if ON_PAGES.contains(&option.key) {
                    self.config.fixed.insert(option.key);
                }
                self.config.given.note(option, text, &origin);
                (option.set)(&mut self.config, text)
            }
            Some(Target::Connector(platform, option)) => {
                (option.set)(self.config.connectors.entry(platform).or_default(), text)
            }
            Some(Target::Source(slug, option)) => (option.set)(self.config.sources.entry(slug).or_default(), text),
            None => Err("unknown option".to_owned()),
        };
        if let Err(what) = done {
            self.problems.push(Problem { origin, key: Some(key.to_owned()), what });
        }
    }

    /// What makes no sense without something else.
    fn together(&mut self) {
        let c = &self.config;
        let header = c.proxy_cert_header.is_some() || c.proxy_subject_header.is_some();
        let mut lonely = Vec::new();
        for (given, missing, key, what) in [
            (
                c.tls_cert.is_some(),
                c.tls_key.is_none(),
                "tls.key",
                "the private key of `tls.cert` is missing; name its file",
            ),
            (
                c.tls_key.is_some(),
                c.tls_cert.is_none(),
                "tls.cert",
                "the certificate of `tls.key` is missing; name its file",
            ),
            (
                c.proxy_subject_header.is_some(),
                c.proxy_verify_header.is_none(),
                "proxy.verify_header",
                "without it nobody says that the subject in `proxy.subject_header` was verified; name that header too",
            ),
            (
                header,
                c.trusted_proxies.is_empty(),
                "trusted_proxies",
                "a header with a client certificate is believed only from proxies that are named here; name their addresses",
            ),
            (
                c.sign_in.user_header.is_some(),
                c.trusted_proxies.is_empty(),
                "trusted_proxies",
                "a header with a person's name is believed only from proxies that are named here; name their addresses",
            ),
            (
                c.sign_in.groups_header.is_some(),
                c.sign_in.user_header.is_none(),
                "proxy.user_header",
                "groups are those of a person, whom nobody names without this header; name it too",
            ),
            (
                c.sign_in.issuer.is_some(),
                c.sign_in.client_id.is_none(),
                "oidc.client_id",
                "the provider of `oidc.issuer` knows this server by a name that is missing; register it there",
            ),
            (
                c.sign_in.client_id.is_some(),
                c.sign_in.issuer.is_none(),
                "oidc.issuer",
                "the provider that knows `oidc.client_id` is missing; name its address",
            ),
            (
                c.sign_in.issuer.is_some() || c.sign_in.user_header.is_some(),
                !c.sign_in.lets_in(),
                "groups.viewers",
                "without groups.admins, groups.responders or groups.viewers nobody who comes by a provider or a proxy may do anything; name a group, or `*` for everybody",
            ),
        ] {
            if given && missing && !self.problems.iter().any(|p| p.key.as_deref() == Some(key)) {
                lonely.push(Problem { origin: Origin::Flag(flag_name(key)), key: None, what: what.to_owned() });
            }
        }
        for (key, what) in c.model.mistakes() {
            if !self.problems.iter().any(|p| p.key.as_deref() == Some(key)) {
                lonely.push(Problem { origin: Origin::Flag(flag_name(key)), key: None, what: what.to_owned() });
            }
        }
        self.problems.extend(lonely);
    }

    /// Every key there is for this build.
    fn keys(&self) -> Vec<String> {
        let declared = self.config.sources.keys().map(String::as_str);
        let known = |n: &&str| self.platforms.contains(n) || self.config.sources.contains_key(*n);
        // What the file sets for sources that are declared elsewhere, environment and flags may set as well.
        let elsewhere = self.config.connectors.keys().map(String::as_str).filter(|n| !known(n));
        let connectors = self.platforms.iter().copied().chain(declared.clone()).chain(elsewhere);
        let connectors = connectors.flat_map(|p| CONNECTOR_OPTIONS.iter().map(move |o| connector_key(p, o.key)));
        let sources = declared.flat_map(|s| SOURCE_OPTIONS.iter().map(move |o| source_key(s, o.key)));
        OPTIONS.iter().map(|o| o.key.to_owned()).chain(connectors).chain(sources).collect()
    }

    fn environment(&mut self, sources: &Sources) {
        let known: BTreeMap<String, String> = self.keys().into_iter().map(|k| (env_name(&k), k)).collect();
        for (name, text) in &sources.env {
            if !name.starts_with("WATCHFIRE_") || text.is_empty() || COMMAND_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            match known.get(name) {
                Some(key) => self.set(key, text, Origin::Env(name.clone())),
                None if is_service_link(name) => {}
                None => {
                    // A near miss is a mistake. Anything else with our prefix belongs to the scripts around us, and must
                    // not keep the server from starting.
                    if let Some(near) = crate::text::nearest(name, known.keys().map(String::as_str)) {
                        let what = format!("unknown variable; did you mean `{near}`?");
                        self.problems.push(Problem { origin: Origin::Env(name.clone()), key: None, what });
                    }
                }
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) => {
                let what = match e.kind() {
                    std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
                    std::io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
                    _ => format!("cannot be read: {e}"),
                };
                self.problems.push(Problem { origin: Origin::File(path.to_owned()), key: None, what });
                return;
            }
        };
        let at = |offset: usize| {
            let (line, column) = place(&text, offset);
            Origin::Place { file: path.to_owned(), line, column }
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        let mut broken_lines = Vec::new();
        for e in errors {
            let offset = e.span().map_or(0, |s| s.start);
            broken_lines.push(place(&text, offset).0);
            self.problems.push(Problem {
                origin: at(offset),
                key: None,
                what: format!("is not TOML: {}", e.message().replace('\n', ", ")),
            });
        }
        // What recovery made of a broken line is not what was meant: one message for it is enough.
        let mut found = Vec::new();
        self.declared_in(table.get_ref(), &mut found);
        self.table(table.get_ref(), "", &mut found);
        found.sort_by_key(|(offset, ..)| *offset);
        for (offset, key, said) in found {
            if broken_lines.contains(&place(&text, offset).0) {
                continue;
            }
            match said {
                Ok(value) => self.set(&key, &value, at(offset)),
                Err(what) => self.problems.push(Problem { origin: at(offset), key: Some(key), what }),
            }
        }
    }

    /// Takes down which sources the file declares: their names are part of its keys.
    fn declared_in(&mut self, table: &DeTable<'_>, found: &mut Vec<Found>) {
        let Some((_, DeValue::Table(sources))) =
            table.iter().map(|(n, v)| (n, v.get_ref())).find(|(n, _)| n.get_ref() == "sources")
        else {
            return;
        };
        for (slug, value) in sources {
            let name = slug.get_ref();
            let wrong = declared::wrong_slug(name)
                .or_else(|| value.get_ref().as_table().is_none().then(|| "must be a section".to_owned()));
            match wrong {
                Some(what) => found.push((slug.span().start, format!("sources.{name}"), Err(what))),
                None => {
                    self.config.sources.insert(name.to_string(), Declaration::default());
                }
            }
        }
    }

    /// Collects the values and the problems of a table, with the places of both.
    fn table(&self, table: &DeTable<'_>, prefix: &str, found: &mut Vec<Found>) {
        for (name, value) in table {
            let key =
                if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            let section = format!("{key}.");
            let is_section = self.keys().iter().any(|k| k.starts_with(&section))
                || prefix == "connectors" && self.is_connector(name.get_ref());
            // What is wrong with the name of a source has been said; one that does not work says nothing of its keys.
            if prefix == "sources" && !is_section
                || key == "sources" && value.get_ref().as_table().is_some_and(DeTable::is_empty)
            {
                continue;
            }
            match (self.target(&key), value.get_ref()) {
                (Some(target), given) => {
                    found.push((value.span().start, key, text_of(given, target.kind(), target.example())));
                }
                (None, DeValue::Table(inner)) if is_section => self.table(inner, &key, found),
                (None, _) if is_section => {
                    found.push((
                        name.span().start,
                        key.clone(),
                        Err(format!("is a section; write `[{key}]` and its keys below")),
                    ));
                }
                (None, _) => {
                    let what = format!("unknown key; {}", self.known_beside(prefix, name));
                    found.push((name.span().start, key, Err(what)));
                }
            }
        }
    }

    /// What could stand in this table, nearest first.
    fn known_beside(&self, prefix: &str, name: &Spanned<std::borrow::Cow<'_, str>>) -> String {
        let start = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
        let keys = self.keys();
        let mut here: Vec<&str> = keys.iter().filter_map(|k| k.strip_prefix(&start)?.split('.').next()).collect();
        if here.is_empty() && prefix.starts_with("connectors.") {
            here = CONNECTOR_OPTIONS.iter().map(|o| o.key).collect();
        }
        here.dedup();
        // A key in the wrong section is more often misplaced than misspelt.
        let elsewhere =
            keys.iter().find(|k| k.rsplit('.').next() == Some(name.get_ref()) && !k.starts_with("connectors."));
        match elsewhere {
            Some(key) if !here.contains(&name.get_ref().as_ref()) => format!("did you mean `{key}`?"),
            _ => suggestion(name.get_ref(), here.iter().copied()),
        }
    }
}

type Found = (usize, String, Result<String, String>);

/// The text of a TOML value, when its type is the option's.
fn text_of(value: &DeValue<'_>, kind: Kind, example: &str) -> Result<String, String> {
    match (kind, value) {
        (Kind::Text | Kind::Secret | Kind::Duration | Kind::Size | Kind::List, DeValue::String(s)) => Ok(s.to_string()),
        (Kind::Number | Kind::Size, DeValue::Integer(n)) => {
            i64::from_str_radix(n.as_str(), n.radix()).map(|n| n.to_string()).map_err(|_| format!("`{n}` is too large"))
        }
        (Kind::Bool, DeValue::Boolean(b)) => Ok(b.to_string()),
        (Kind::List, DeValue::Array(items)) => texts(items).ok_or_else(|| wrong_type(kind, example)),
        _ => Err(wrong_type(kind, example)),
    }
}

fn texts(items: &DeArray<'_>) -> Option<String> {
    let parts: Option<Vec<&str>> = items.iter().map(|v| v.get_ref().as_str()).collect();
    parts.map(|p| p.join(","))
}

fn wrong_type(kind: Kind, example: &str) -> String {
    let (what, shown) = match kind {
        Kind::Text | Kind::Secret => ("text in quotes", format!("\"{example}\"")),
        Kind::Duration => ("a duration in quotes", format!("\"{example}\"")),
        Kind::Size => ("a size in quotes or a number of bytes", format!("\"{example}\"")),
        Kind::Number => ("a number without quotes", example.to_owned()),
        Kind::Bool => ("`true` or `false` without quotes", example.to_owned()),
        Kind::List => ("a list of texts", super::document::toml_value(kind, example)),
    };
    format!("must be {what}, such as {shown}")
}

/// Kubernetes sets these in every pod beside a service of that name; they are not ours and not a mistake.
fn is_service_link(name: &str) -> bool {
    let Some((_, tail)) = name.split_once("_SERVICE_").or_else(|| name.split_once("_PORT_")) else {
        return name.ends_with("_PORT");
    };
    tail == "HOST" || tail.starts_with("PORT") || tail.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
