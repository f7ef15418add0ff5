//! The one list of options. Flags, environment, TOML keys, `--help`, the example file and the reference are made from it.

use super::{
    types::{Config, ConnectorConfig, CorrelationMode, LogFormat},
    values,
};

pub use super::source_options::{SOURCE_OPTIONS, source_key};

/// What a value looks like, in the TOML file and in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Quoted text.
    Text,
    /// Text that nobody else may see: no flag, since every user of the machine can read the arguments of a process.
    Secret,
    /// Quoted, such as `"15m"`.
    Duration,
    /// Quoted, such as `"1MiB"`, or a number of bytes.
    Size,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Bool,
    /// An array of texts; with commas in flags and environment.
    List,
}

/// One option.
#[derive(Debug)]
pub struct Opt<T> {
    /// Its path in the TOML file, such as `correlation.reopen_within`.
    pub key: &'static str,
    /// What a value looks like.
    pub kind: Kind,
    /// What a value stands for, in help.
    pub placeholder: &'static str,
    /// As it would be written; none means that leaving it out has a meaning of its own, which the help tells.
    pub default: Option<&'static str>,
    /// A value to show where there is no default.
    pub example: &'static str,
    /// One or two sentences.
    pub help: &'static str,
    /// Reads the text and sets the field; the error says what would be right.
    pub set: fn(&mut T, &str) -> Result<(), String>,
}

/// The environment variable of a key.
pub fn env_name(key: &str) -> String {
    format!("WATCHFIRE_{}", key.replace(['.', '-'], "_").to_ascii_uppercase())
}

/// The flag of a key, without the dashes before it.
pub fn flag_name(key: &str) -> String {
    key.replace(['.', '_'], "-")
}

/// The key of a connector's option.
pub fn connector_key(platform: &str, option: &str) -> String {
    format!("connectors.{platform}.{option}")
}

macro_rules! set {
    (sign_in some $field:ident, $parse:expr) => {
        |to, text| {
            to.sign_in.$field = Some($parse(text)?);
            Ok(())
        }
    };
    (sign_in $field:ident, $parse:expr) => {
        |to, text| {
            to.sign_in.$field = $parse(text)?;
            Ok(())
        }
    };
    (model some $field:ident, $parse:expr) => {
        |to, text| {
            to.model.$field = Some($parse(text)?);
            Ok(())
        }
    };
    (model $field:ident, $parse:expr) => {
        |to, text| {
            to.model.$field = $parse(text)?;
            Ok(())
        }
    };
    ($field:ident, $parse:expr) => {
        |to, text| {
            to.$field = $parse(text)?;
            Ok(())
        }
    };
    (some $field:ident, $parse:expr) => {
        |to, text| {
            to.$field = Some($parse(text)?);
            Ok(())
        }
    };
}

macro_rules! probe {
    ($field:ident, $parse:expr) => {
        |to, text| {
            to.probes.$field = $parse(text)?;
            Ok(())
        }
    };
    (some $field:ident, $parse:expr) => {
        |to, text| {
            to.probes.$field = Some($parse(text)?);
            Ok(())
        }
    };
}

/// Every option but those of connectors, in the order in which people read them.
pub const OPTIONS: &[Opt<Config>] = &[
    Opt {
        key: "data_dir",
        kind: Kind::Text,
        placeholder: "DIR",
        default: None,
        example: "/var/lib/watchfire",
        help: "Where the databases and their key file are. Left out: $STATE_DIRECTORY, else $XDG_DATA_HOME/watchfire, else the platform's place for data.",
        set: set!(data_dir, values::folder),
    },
    Opt {
        key: "listen",
        kind: Kind::Text,
        placeholder: "ADDR",
        default: Some("127.0.0.1:8080"),
        example: "0.0.0.0:8080",
        help: "Address to listen on, as host:port. Port 0 takes a free one and prints it.",
        set: set!(listen, values::listen_address),
    },
    Opt {
        key: "public_url",
        kind: Kind::Text,
        placeholder: "URL",
        default: None,
        example: "https://watchfire.example.com",
        help: "How browsers and senders reach the server: used in webhook URLs and links, and trusted as an origin. Left out: as the request came.",
        set: set!(some public_url, values::origin),
    },
    Opt {
        key: "trusted_proxies",
        kind: Kind::List,
        placeholder: "IPS",
        default: Some(""),
        example: "10.0.0.2, 10.1.0.0/16",
        help: "Proxies in front, as addresses or ranges, whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host are believed, and the headers named under proxy.",
        set: set!(trusted_proxies, values::networks),
    },
    Opt {
        key: "bootstrap_token",
        kind: Kind::Secret,
        placeholder: "TOKEN",
        default: None,
        example: "at least 24 characters that nobody can guess",
        help: "An API token with scope admin that exists from outside, for provisioning; at least 24 characters. Left out: none.",
        set: set!(some bootstrap_token, values::bootstrap_token),
    },
    Opt {
        key: "tls.cert",
        kind: Kind::Text,
        placeholder: "FILE",
        default: None,
        example: "/etc/letsencrypt/live/watchfire.example.com/fullchain.pem",
        help: "PEM file of the server's certificate, followed by those between it and its CA. With it the listener speaks TLS only. Read again within 10 s when it changes; a pair that does not work leaves the one in use. Left out: plain HTTP.",
        set: set!(some tls_cert, values::file),
    },
    Opt {
        key: "tls.key",
        kind: Kind::Text,
        placeholder: "FILE",
        default: None,
        example: "/etc/letsencrypt/live/watchfire.example.com/privkey.pem",
        help: "PEM file of its private key, not encrypted.",
        set: set!(some tls_key, values::file),
    },
    Opt {
        key: "tls.client_ca",
        kind: Kind::Text,
        placeholder: "FILE",
        default: None,
        example: "/etc/watchfire/client-ca.pem",
        help: "PEM file of CAs. A client certificate of one of them proves a sender to every connector that has neither a client_ca of its own nor, like Netdata, one that comes with it.",
        set: set!(some tls_client_ca, values::file),
    },
    Opt {
        key: "proxy.cert_header",
        kind: Kind::Text,
        placeholder: "NAME",
        default: None,
        example: "X-Client-Cert",
        help: "Header in which the proxies in trusted_proxies pass the client's certificate: PEM, also percent-encoded as nginx's $ssl_client_escaped_cert, or Base64 of the DER. The proxy must overwrite it in every request. Left out: none is read.",
        set: set!(some proxy_cert_header, values::header),
    },
    Opt {
        key: "proxy.subject_header",
        kind: Kind::Text,
        placeholder: "NAME",
        default: None,
        example: "X-Client-Subject",
        help: "Header in which they pass the subject, written as RFC 2253 does, of a client certificate that they verified themselves; its common name must be one of the connector's client_cn. The one of proxy.cert_header is better, because Watchfire then checks the CA.",
        set: set!(some proxy_subject_header, values::header),
    },
    Opt {
        key: "proxy.verify_header",
        kind: Kind::Text,
        placeholder: "NAME",
        default: None,
        example: "X-Client-Verify",
        help: "Header in which they say SUCCESS when they verified that certificate.",
        set: set!(some proxy_verify_header, values::header),
    },
    Opt {
        key: "proxy.user_header",
        kind: Kind::Text,
        placeholder: "NAME",
        default: None,
        example: "X-Forwarded-User",
        help: "Header in which the proxies in trusted_proxies name the person whom they signed in, with no other sign-in. The proxy must overwrite it in every request. From any other address it is ignored, and the log says so.",
        set: set!(sign_in some user_header, values::header),
    },
    Opt {
        key: "proxy.groups_header",
        kind: Kind::Text,
        placeholder: "NAME",
        default: None,
        example: "X-Forwarded-Groups",
        help: "Header in which they name that person's groups, with commas; groups.admins and its like say what those may do.",
        set: set!(sign_in some groups_header, values::header),
    },
    Opt {
        key: "oidc.issuer",
        kind: Kind::Text,
        placeholder: "URL",
        default: None,
        example: "https://id.example.com/realms/ops",
        help: "An OpenID provider at which people sign in, exactly as its /.well-known/openid-configuration names itself. Register this server there as a confidential client with the redirect address PUBLIC_URL/login/oidc/return.",
        set: set!(sign_in some issuer, super::sign_in::issuer),
    },
    Opt {
        key: "oidc.client_id",
        kind: Kind::Text,
        placeholder: "NAME",
        default: None,
        example: "watchfire",
        help: "What the provider knows this server as.",
        set: set!(sign_in some client_id, values::name),
    },
    Opt {
        key: "oidc.client_secret",
        kind: Kind::Secret,
        placeholder: "SECRET",
        default: None,
        example: "as the provider made it",
        help: "The secret that the provider made for it. Left out: a public client, which PKCE alone protects.",
        set: set!(sign_in some client_secret, values::credentials),
    },
    Opt {
        key: "oidc.name",
        kind: Kind::Text,
        placeholder: "NAME",
        default: Some("single sign-on"),
        example: "Keycloak",
        help: "What people call the provider: the button says \"Sign in with\" it.",
        set: set!(sign_in provider, values::name),
    },
    Opt {
        key: "oidc.scopes",
        kind: Kind::List,
        placeholder: "SCOPES",
        default: Some("profile, email"),
        example: "profile, email, groups",
        help: "What is asked of the provider besides openid.",
        set: set!(sign_in scopes, super::sign_in::scopes),
    },
    Opt {
        key: "oidc.name_claim",
        kind: Kind::Text,
        placeholder: "CLAIM",
        default: Some("preferred_username"),
        example: "email",
        help: "The claim with a person's name for signing in. Whom the provider already told of keeps their name here.",
        set: set!(sign_in name_claim, values::name),
    },
    Opt {
        key: "oidc.groups_claim",
        kind: Kind::Text,
        placeholder: "CLAIM",
        default: Some("groups"),
        example: "roles",
        help: "The claim with a person's groups: a list, or a text with commas or spaces; dots go into objects, as in realm_access.roles. Where the ID token has none, the provider's userinfo is asked.",
        set: set!(sign_in groups_claim, values::name),
    },
    Opt {
        key: "groups.admins",
        kind: Kind::List,
        placeholder: "GROUPS",
        default: Some(""),
        example: "platform-team",
        help: "Groups of the provider or the proxy whose people are administrators. `*` is everybody who signs in there.",
        set: set!(sign_in admins, group_names),
    },
    Opt {
        key: "groups.responders",
        kind: Kind::List,
        placeholder: "GROUPS",
        default: Some(""),
        example: "on-call",
        help: "Groups whose people act on incidents.",
        set: set!(sign_in responders, group_names),
    },
    Opt {
        key: "groups.viewers",
        kind: Kind::List,
        placeholder: "GROUPS",
        default: Some(""),
        example: "*",
        help: "Groups whose people look. Somebody of no group in these three lists is not let in.",
        set: set!(sign_in viewers, group_names),
    },
    Opt {
        key: "log.format",
        kind: Kind::Text,
        placeholder: "FORMAT",
        default: Some("text"),
        example: "json",
        help: "Log lines on stderr: text for people, or json, one object a line.",
        set: set!(log_format, log_format),
    },
    Opt {
        key: "log.level",
        kind: Kind::Text,
        placeholder: "FILTER",
        default: Some("info"),
        example: "info,watchfire::store=debug",
        help: "What is logged: error, warn, info, debug or trace, or a list of areas with their levels. A single debug or trace is for Watchfire's own lines; other crates stay at info, because they write headers with credentials.",
        set: set!(log_level, values::log_filter),
    },
    Opt {
        key: "limits.max_body",
        kind: Kind::Size,
        placeholder: "SIZE",
        default: Some("1MiB"),
        example: "1MiB",
        help: "Largest body of a webhook after decompression; at most 10MiB. Larger ones are answered with 413.",
        set: set!(max_body, |text| values::size_within(text, "1KiB", "10MiB")),
    },
    Opt {
        key: "limits.body_deadline",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: Some("30s"),
        example: "30s",
        help: "How long a sender may take for its whole request.",
        set: set!(body_deadline, |text| values::duration_within(text, "1s", "10m")),
    },
    Opt {
        key: "limits.max_behind",
        kind: Kind::Number,
        placeholder: "N",
        default: Some("1000000"),
        example: "1000000",
        help: "Deliveries that may be stored and wait to be applied before senders are told to come again later. Up to half of it, answers go before applying where processors are short.",
        set: set!(max_behind, |text| values::number(text, 100, 100_000_000)),
    },
    Opt {
        key: "session.lifetime",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: Some("30d"),
        example: "30d",
        help: "How long a browser stays signed in, when asked to; otherwise at most a day.",
        set: set!(session_lifetime, |text| values::duration_within(text, "5m", "400d")),
    },
    Opt {
        key: "store.cache",
        kind: Kind::Size,
        placeholder: "SIZE",
        default: Some("32MiB"),
        example: "64MiB",
        help: "Memory that the main database file may use as cache; the intake's takes an eighth of it on top.",
        set: set!(cache_bytes, |text| values::size_within(text, "4MiB", "64GiB")),
    },
    Opt {
        key: "store.reserve",
        kind: Kind::Size,
        placeholder: "SIZE",
        default: Some("256MiB"),
        example: "256MiB",
        help: "Space that must stay free on the disk of the data folder: with less, deliveries are refused with 507 until there is more. 0: refused only when the disk is full.",
        set: set!(reserve, |text| values::size_within(text, "0", "1TiB").map(|n| n as u64)),
    },
    Opt {
        key: "retention.deliveries",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: Some("30d"),
        example: "30d",
        help: "How long deliveries are kept as received, with what became of them.",
        set: set!(keep_deliveries, |text| values::duration_within(text, "1h", "3650d")),
    },
    Opt {
        key: "retention.incidents",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: Some("400d"),
        example: "400d",
        help: "How long incidents are kept after their end, with their alerts, timelines and investigations; also changes and the audit log. Open ones are always kept.",
        set: set!(keep_incidents, |text| values::duration_within(text, "1d", "3650d")),
    },
    Opt {
        key: "retention.size",
        kind: Kind::Size,
        placeholder: "SIZE",
        default: Some("20GiB"),
        example: "20GiB",
        help: "How much is stored at most: then the oldest deliveries go first, then the oldest resolved incidents; what is younger than a day stays. It counts rows without the database's own overhead, which takes up to about as much again. 0: no limit; otherwise at least 64MiB.",
        set: set!(keep_bytes, kept_size),
    },
    Opt {
        key: "backup.dir",
        kind: Kind::Text,
        placeholder: "DIR",
        default: None,
        example: "/srv/backups/watchfire",
        help: "Folder of scheduled backups, best on another disk. Left out: none are made.",
        set: set!(some backup_dir, values::folder),
    },
    Opt {
        key: "backup.every",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: Some("1d"),
        example: "1d",
        help: "Time between two scheduled backups.",
        set: set!(backup_every, |text| values::duration_within(text, "1m", "400d")),
    },
    Opt {
        key: "backup.keep",
        kind: Kind::Number,
        placeholder: "N",
        default: Some("7"),
        example: "7",
        help: "How many scheduled backups are kept; the oldest go first. Other files in the folder are left alone.",
        set: set!(backup_keep, |text| values::number(text, 1, 10_000).map(|n| usize::try_from(n).unwrap_or(1))),
    },
    Opt {
        key: "correlation.mode",
        kind: Kind::Text,
        placeholder: "MODE",
        default: Some("weighted"),
        example: "weighted",
        help: "How alerts are grouped. weighted: evidence of many kinds is added up, for and against. any: one rule is enough, that is the same service, or a start close to the incident's start, or a text that says about the same, or for Netdata the same host.",
        set: set!(correlation_mode, correlation_mode),
    },
    Opt {
        key: "correlation.cluster_window",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: Some("5m"),
        example: "5m",
        help: "An alert that began within this time of an incident's start joins it.",
        set: set!(cluster_window, |text| values::duration_within(text, "0s", "1h")),
    },
    Opt {
        key: "correlation.reopen_within",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: Some("15m"),
        example: "15m",
        help: "An alert that fires again within this time of its end reopens its incident; later it opens a new one.",
        set: set!(reopen_within, |text| values::duration_within(text, "0s", "7d")),
    },
    Opt {
        key: "correlation.test_closes_after",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: Some("10m"),
        example: "10m",
        help: "Incidents of test notifications close by themselves after this time.",
        set: set!(test_closes_after, |text| values::duration_within(text, "1s", "7d")),
    },
    Opt {
        key: "investigation.delay",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: Some("2s"),
        example: "2s",
        help: "How long an investigation waits for the rest of a burst before it starts.",
        set: set!(investigation_delay, |text| values::duration_within(text, "0s", "10m")),
    },
    Opt {
        key: "investigation.workers",
        kind: Kind::Number,
        placeholder: "N",
        default: Some("2"),
        example: "2",
        help: "Investigations at the same time.",
        set: set!(investigation_workers, |text| values::number(text, 1, 64).map(|n| usize::try_from(n).unwrap_or(1))),
    },
    Opt {
        key: "investigation.model.kind",
        kind: Kind::Text,
        placeholder: "KIND",
        default: None,
        example: "openai",
        help: "A language model gives a second opinion on each investigation. openai: any endpoint with OpenAI's chat completions, such as Ollama, llama.cpp or vLLM. anthropic: Anthropic's messages. Left out: no model is asked, and nothing leaves.",
        set: set!(model some kind, values::word),
    },
    Opt {
        key: "investigation.model.base_url",
        kind: Kind::Text,
        placeholder: "URL",
        default: None,
        example: "http://127.0.0.1:11434/v1",
        help: "Where its API begins. Left out: https://api.openai.com/v1, or https://api.anthropic.com.",
        set: set!(model some base_url, values::api_address),
    },
    Opt {
        key: "investigation.model.model",
        kind: Kind::Text,
        placeholder: "NAME",
        default: None,
        example: "llama3.1:8b",
        help: "The model's name at that endpoint.",
        set: set!(model some model, values::name),
    },
    Opt {
        key: "investigation.model.api_key",
        kind: Kind::Secret,
        placeholder: "KEY",
        default: None,
        example: "sk-your-own-key",
        help: "The key for that endpoint. Left out: none is sent.",
        set: set!(model some api_key, values::header_secret),
    },
    Opt {
        key: "investigation.model.api_key_file",
        kind: Kind::Text,
        placeholder: "FILE",
        default: None,
        example: "/etc/watchfire/model.key",
        help: "File whose first line is that key, in place of api_key. It is read at the start.",
        set: set!(model some api_key_file, values::file),
    },
    Opt {
        key: "investigation.model.max_steps",
        kind: Kind::Number,
        placeholder: "N",
        default: Some("12"),
        example: "12",
        help: "Requests to the model in one investigation.",
        set: set!(model max_steps, |text| values::number(text, 1, 50).map(|n| u32::try_from(n).unwrap_or(1))),
    },
    Opt {
        key: "investigation.model.max_calls",
        kind: Kind::Number,
        placeholder: "N",
        default: Some("24"),
        example: "24",
        help: "Calls of tools in one investigation.",
        set: set!(model max_calls, |text| values::number(text, 1, 200).map(|n| u32::try_from(n).unwrap_or(1))),
    },
    Opt {
        key: "investigation.model.timeout",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: Some("3m"),
        example: "3m",
        help: "How long the model may take for one investigation, all its requests together. The built-in answer is shown before.",
        set: set!(model timeout, |text| values::duration_within(text, "1s", "30m")),
    },
    Opt {
        key: "investigation.model.max_tokens",
        kind: Kind::Number,
        placeholder: "N",
        default: Some("150000"),
        example: "150000",
        help: "Tokens in one investigation, read and written.",
        set: set!(model max_tokens, |text| values::number(text, 1_000, 100_000_000)),
    },
    Opt {
        key: "investigation.model.daily_tokens",
        kind: Kind::Number,
        placeholder: "N",
        default: Some("2000000"),
        example: "2000000",
        help: "Tokens on one day (UTC), read and written; then the built-in engine works alone until the next. 0: no limit.",
        set: set!(model daily_tokens, |text| values::number(text, 0, 1_000_000_000_000)),
    },
    Opt {
        key: "investigation.model.daily_cost",
        kind: Kind::Text,
        placeholder: "AMOUNT",
        default: Some("0"),
        example: "5.00",
        help: "What may be spent on one day (UTC), in the unit of the prices; 0: no limit. It needs the prices.",
        set: set!(model daily_cost, values::micros),
    },
    Opt {
        key: "investigation.model.price_input",
        kind: Kind::Text,
        placeholder: "AMOUNT",
        default: Some("0"),
        example: "3.00",
        help: "Price of a million tokens that the model reads.",
        set: set!(model price_input, values::micros),
    },
    Opt {
        key: "investigation.model.price_output",
        kind: Kind::Text,
        placeholder: "AMOUNT",
        default: Some("0"),
        example: "15.00",
        help: "Price of a million tokens that the model writes.",
        set: set!(model price_output, values::micros),
    },
    Opt {
        key: "investigation.model.redact_names",
        kind: Kind::Bool,
        placeholder: "BOOL",
        default: Some("false"),
        example: "true",
        help: "Names of services, machines and people are replaced by made-up ones before anything leaves, and put back in the answer. Secrets are always taken out.",
        set: set!(model redact_names, values::boolean),
    },
    Opt {
        key: "investigation.probes.prometheus",
        kind: Kind::Text,
        placeholder: "URL",
        default: None,
        example: "http://prometheus.example.com:9090",
        help: "Prometheus, or what speaks its API (Mimir, Thanos, VictoriaMetrics): investigations ask it for figures around the onset, and nothing else. Left out: not asked.",
        set: probe!(some prometheus, values::service_address),
    },
    Opt {
        key: "investigation.probes.prometheus_credentials",
        kind: Kind::Secret,
        placeholder: "SECRET",
        default: None,
        example: "user:password",
        help: "Who asks it: user:password, or a bearer token. Left out: nobody in particular.",
        set: probe!(some prometheus_credentials, values::credentials),
    },
    Opt {
        key: "investigation.probes.metrics",
        kind: Kind::Text,
        placeholder: "FILE",
        default: None,
        example: "/etc/watchfire/metrics.tsv",
        help: "Your own list of metrics that tell how a service or a machine does, which come before the usual ones; src/investigation/data/metrics.tsv is the form. Left out: the usual ones.",
        set: probe!(some metrics, values::file),
    },
    Opt {
        key: "investigation.probes.netdata",
        kind: Kind::Text,
        placeholder: "URL",
        default: None,
        example: "http://netdata-parent.example.com:19999",
        help: "A Netdata agent, or the parent that others stream to: investigations ask it for alarms and charts of machines that alert. Agents that are declared for a service are asked besides.",
        set: probe!(some netdata, values::service_address),
    },
    Opt {
        key: "investigation.probes.netdata_credentials",
        kind: Kind::Secret,
        placeholder: "SECRET",
        default: None,
        example: "user:password",
        help: "Who asks it, and no other agent: user:password, or a bearer token.",
        set: probe!(some netdata_credentials, values::credentials),
    },
    Opt {
        key: "investigation.probes.loki",
        kind: Kind::Text,
        placeholder: "URL",
        default: None,
        example: "http://loki.example.com:3100",
        help: "Loki: investigations ask it for lines of failure of services that alert, around the onset. Left out: not asked.",
        set: probe!(some loki, values::service_address),
    },
    Opt {
        key: "investigation.probes.loki_credentials",
        kind: Kind::Secret,
        placeholder: "SECRET",
        default: None,
        example: "user:password",
        help: "Who asks it: user:password, or a bearer token.",
        set: probe!(some loki_credentials, values::credentials),
    },
    Opt {
        key: "investigation.probes.loki_tenant",
        kind: Kind::Text,
        placeholder: "NAME",
        default: None,
        example: "shop",
        help: "Whose logs, where Loki has several tenants (X-Scope-OrgID).",
        set: probe!(some loki_tenant, values::tenant),
    },
    Opt {
        key: "investigation.probes.loki_selector",
        kind: Kind::Text,
        placeholder: "SELECTOR",
        default: Some("{service_name=\"$service\"}"),
        example: "{app=\"$service\"}",
        help: "The labels of a service's logs; \"$service\" stands for its name.",
        set: probe!(loki_selector, values::log_selector),
    },
    Opt {
        key: "investigation.probes.jenkins",
        kind: Kind::Text,
        placeholder: "URL",
        default: None,
        example: "https://jenkins.example.com",
        help: "Jenkins, by the address that its links begin with: investigations read the console of builds that failed. Left out: not asked.",
        set: probe!(some jenkins, values::service_address),
    },
    Opt {
        key: "investigation.probes.jenkins_credentials",
        kind: Kind::Secret,
        placeholder: "SECRET",
        default: None,
        example: "user:token",
        help: "Who asks it: user:API token.",
        set: probe!(some jenkins_credentials, values::credentials),
    },
    Opt {
        key: "investigation.probes.question_time",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: Some("2s"),
        example: "2s",
        help: "How long one question to a tool may take.",
        set: probe!(question_time, |text| values::duration_within(text, "50ms", "30s")),
    },
    Opt {
        key: "investigation.probes.time",
        kind: Kind::Duration,
        placeholder: "TIME",
        default: Some("8s"),
        example: "8s",
        help: "How long all questions of one investigation may take; 0s asks none.",
        set: probe!(time, |text| values::duration_within(text, "0s", "30s")),
    },
    Opt {
        key: "investigation.probes.max_answer",
        kind: Kind::Size,
        placeholder: "SIZE",
        default: Some("1MiB"),
        example: "1MiB",
        help: "How much is read of one answer.",
        set: probe!(max_answer, |text| values::size_within(text, "64KiB", "16MiB")),
    },
    Opt {
        key: "investigation.probes.questions",
        kind: Kind::Number,
        placeholder: "N",
        default: Some("32"),
        example: "32",
        help: "How many questions one investigation may ask.",
        set: probe!(questions, |text| values::number(text, 0, 200).map(|n| usize::try_from(n).unwrap_or(0))),
    },
    Opt {
        key: "investigation.suggestions_dir",
        kind: Kind::Text,
        placeholder: "DIR",
        default: None,
        example: "/etc/watchfire/suggestions",
        help: "Folder of TOML files with suggestions of your own, laid over those of the house; read again when they change. `watchfire check` says what is wrong with them. Left out: none.",
        set: set!(some suggestions_dir, values::folder),
    },
    Opt {
        key: "investigation.runbooks_dir",
        kind: Kind::Text,
        placeholder: "DIR",
        default: None,
        example: "/etc/watchfire/runbooks",
        help: "Folder of runbooks as Markdown files, matched to incidents and shown on pages; read again when they change. Left out: none.",
        set: set!(some runbooks_dir, values::folder),
    },
    Opt {
        key: "investigation.symptoms_file",
        kind: Kind::Text,
        placeholder: "FILE",
        default: None,
        example: "/etc/watchfire/symptoms.tsv",
        help: "Your own table of words that tell symptoms, over that of the house, in the same form (src/investigation/data/symptoms.tsv); read again when it changes. `watchfire check` says what is wrong with it. Left out: that of the house.",
        set: set!(some symptoms_file, values::file),
    },
    Opt {
        key: "outgoing.ca",
        kind: Kind::Text,
        placeholder: "FILE",
        default: None,
        example: "/etc/watchfire/company-ca.pem",
        help: "PEM file of CAs that are trusted, besides those of the machine, when Watchfire calls other services: monitoring tools, Netdata Cloud. Read at the start.",
        set: set!(some outgoing_ca, values::file),
    },
    Opt {
        key: "notifications.allow",
        kind: Kind::List,
        placeholder: "IPS",
        default: Some(""),
        example: "127.0.0.1, 169.254.10.0/24",
        help: "Addresses or ranges that channels of notifications may lead to although they are of this machine or of the local link. Others are refused: whoever may add a channel must not reach what listens only here.",
        set: set!(notify_allow, values::networks),
    },
    Opt {
        key: "notifications.plain_http",
        kind: Kind::Bool,
        placeholder: "BOOL",
        default: Some("false"),
        example: "true",
        help: "Channels may have addresses that begin with http://. What is told then can be read on the way.",
        set: set!(notify_plain_http, values::boolean),
    },
    Opt {
        key: "notifications.plain_mail",
        kind: Kind::Bool,
        placeholder: "BOOL",
        default: Some("false"),
        example: "true",
        help: "Mail may go to a server without TLS, as on port 25 of a relay nearby.",
        set: set!(notify_plain_mail, values::boolean),
    },
    Opt {
        key: "notifications.heartbeat_url",
        kind: Kind::Secret,
        placeholder: "URL",
        default: None,
        example: "https://hc-ping.com/5d3f9a52-6f6c-4e7e-9d0a-0a3f0f6f2b11",
        help: "Address that is called each half minute while notifications work, so that a service elsewhere can tell when this server is gone.",
        set: set!(some notify_heartbeat_url, values::any_address),
    },
];

/// The options of each connector; the key is `connectors.<platform>.<key>`.
///
/// Left out, the pages and the API decide; set, the pages show the value as fixed.
pub const CONNECTOR_OPTIONS: &[Opt<ConnectorConfig>] = &[
    Opt {
        key: "enabled",
        kind: Kind::Bool,
        placeholder: "BOOL",
        default: None,
        example: "true",
        help: "Takes deliveries. Switched off, they are kept and refused.",
        set: set!(some enabled, values::boolean),
    },
    Opt {
        key: "auth",
        kind: Kind::Text,
        placeholder: "WAY",
        default: None,
        example: "key",
        help: "How senders prove who they are: key, signature, mtls, any-of, or open for no proof at all.",
        set: set!(some auth, values::word),
    },
    Opt {
        key: "rca_enabled",
        kind: Kind::Bool,
        placeholder: "BOOL",
        default: None,
        example: "true",
        help: "Build servers: failed builds open incidents. Otherwise builds are kept as changes.",
        set: set!(some rca_enabled, values::boolean),
    },
    Opt {
        key: "rate_per_minute",
        kind: Kind::Number,
        placeholder: "N",
        default: None,
        example: "6000",
        help: "Deliveries a minute, sustained; 0 is unlimited.",
        set: set!(some rate_per_minute, |text| values::number(text, 0, u64::from(u32::MAX)).map(|n| u32::try_from(n).unwrap_or(u32::MAX))),
    },
    Opt {
        key: "opens",
        kind: Kind::List,
        placeholder: "SEVERITIES",
        default: None,
        example: "critical, high, medium",
        help: "Severities that open an incident or join one. Left out: all but info.",
        set: set!(some opens, values::severities),
    },
    Opt {
        key: "group_by_sender",
        kind: Kind::Bool,
        placeholder: "BOOL",
        default: None,
        example: "true",
        help: "Grafana, Alertmanager: alerts that the sender puts into one group (groupKey) and that begin within correlation.cluster_window of an incident of that group join it before any other. Left out: no.",
        set: set!(some group_by_sender, values::boolean),
    },
    Opt {
        key: "identity",
        kind: Kind::List,
        placeholder: "FIELDS",
        default: None,
        example: "service, labels.alertname",
        help: "What makes two signals the same alert, in place of the connector's own rule: service, host, title, severity, environment, labels.NAME, annotations.NAME; in order. A signal without one of them is told apart by the connector's own rule. POST /api/connectors/{platform}/identity/try says what it would change.",
        set: set!(some identity, values::identity),
    },
    Opt {
        key: "client_ca",
        kind: Kind::Text,
        placeholder: "FILE",
        default: None,
        example: "/etc/watchfire/jenkins-ca.pem",
        help: "PEM file of the CAs whose client certificates prove the sender, in place of tls.client_ca and of what comes with the connector. Certificates between them and the sender's belong in it too, unless the sender sends them.",
        set: set!(some client_ca, values::file),
    },
    Opt {
        key: "client_cn",
        kind: Kind::List,
        placeholder: "NAMES",
        default: None,
        example: "jenkins.example.com",
        help: "Common names: the client certificate must have exactly one of them. Left out: what the platform is known to use (Netdata, PagerDuty), otherwise any name.",
        set: set!(some client_cn, values::names),
    },
];

fn group_names(text: &str) -> Result<Vec<String>, String> {
    Ok(values::list(text).map(str::to_owned).collect())
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text.trim() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("`{other}` is neither `text` nor `json`")),
    }
}

fn kept_size(text: &str) -> Result<u64, String> {
    // Counters and the log of changes take some megabytes that cannot be removed.
    match values::size(text)? {
        0 => Ok(0),
        _ => values::size_within(text, "64MiB", "64TiB").map(|n| n as u64),
    }
}

/// A mode of correlation, or what to write instead.
pub fn correlation_mode(text: &str) -> Result<CorrelationMode, String> {
    match text.trim() {
        "any" => Ok(CorrelationMode::Any),
        "weighted" => Ok(CorrelationMode::Weighted),
        other => Err(format!("`{other}` is not a mode; write `weighted` or `any`")),
    }
}
