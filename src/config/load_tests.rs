use super::*;
use crate::model::{AuthMode, IdentityField, ModelKind, Severity};

const PLATFORMS: [&str; 3] = ["grafana", "jenkins", "uptime-kuma"];

fn var(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn base() -> Sources {
    Sources { file: None, flags: Vec::new(), env: vec![var("HOME", "/home/kim")] }
}

fn base_config() -> Config {
    defaults(PathBuf::from("/home/kim/.local/share/watchfire"))
}

fn with_file(text: &str) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.toml");
    std::fs::write(&path, text).unwrap();
    (dir, Sources { file: Some(path), ..base() })
}

/// Sets one key in the file, in the environment and by flag, each alone, and expects the same of all three.
fn check(key: &str, toml: &str, text: &str, change: fn(&mut Config)) {
    let mut want = base_config();
    change(&mut want);
    // What pages can change as well, they cannot once it is given.
    want.fixed.extend(ON_PAGES.iter().filter(|on| **on == key));
    assert_ne!(want, base_config(), "{key}: the value must differ from the default for this to tell anything");

    let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
    let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
    let (dir, sources) = with_file(&format!("{header}{name} = {toml}\n"));
    let mut got = load(&sources, &PLATFORMS).unwrap();
    assert_eq!(got.file.take(), Some(dir.path().join("w.toml")));
    assert_eq!(got, want, "{key} by file");

    let mut sources = base();
    sources.env.push(var(&env_name(key), text));
    assert_eq!(load(&sources, &PLATFORMS).unwrap(), want, "{key} by environment");

    let sources = Sources { flags: vec![var(key, text)], ..base() };
    assert_eq!(load(&sources, &PLATFORMS).unwrap(), want, "{key} by flag");
}

fn connector(config: &mut Config, platform: &str, set: ConnectorConfig) {
    config.connectors.insert(platform.to_owned(), set);
}

type Row = (&'static str, &'static str, &'static str, fn(&mut Config));

const ROWS: &[Row] = &[
    ("data_dir", "\"/srv/w\"", "/srv/w", |c| c.data_dir = "/srv/w".into()),
    ("listen", "\"[::1]:9\"", "[::1]:9", |c| c.listen = "[::1]:9".to_owned()),
    ("public_url", "\"https://w.example/\"", "https://w.example", |c| {
        c.public_url = Some("https://w.example".to_owned());
    }),
    ("trusted_proxies", "[\"10.0.0.2\", \"10.1.0.0/16\"]", "10.0.0.2, 10.1.0.0/16", |c| {
        c.trusted_proxies = vec!["10.0.0.2/32".parse().unwrap(), "10.1.0.0/16".parse().unwrap()];
    }),
    ("tls.client_ca", "\"/c.pem\"", "/c.pem", |c| c.tls_client_ca = Some("/c.pem".into())),
    ("proxy.verify_header", "\"X-V\"", "x-v", |c| c.proxy_verify_header = Some("x-v".to_owned())),
    ("bootstrap_token", "\"0123456789abcdef01234567\"", "0123456789abcdef01234567", |c| {
        c.bootstrap_token = Some("0123456789abcdef01234567".to_owned());
    }),
    ("oidc.client_secret", "\"s3cret\"", "s3cret", |c| c.sign_in.client_secret = Some("s3cret".to_owned())),
    ("oidc.name", "\"Keycloak\"", "Keycloak", |c| c.sign_in.provider = "Keycloak".to_owned()),
    ("oidc.scopes", "[\"openid\", \"groups\"]", "openid groups", |c| c.sign_in.scopes = vec!["groups".to_owned()]),
    ("oidc.name_claim", "\"email\"", "email", |c| c.sign_in.name_claim = "email".to_owned()),
    ("oidc.groups_claim", "\"roles\"", "roles", |c| c.sign_in.groups_claim = "roles".to_owned()),
    ("groups.admins", "[\"ops\"]", "ops", |c| c.sign_in.admins = vec!["ops".to_owned()]),
    ("groups.responders", "[\"a\", \"b c\"]", "a, b c", |c| {
        c.sign_in.responders = vec!["a".to_owned(), "b c".to_owned()];
    }),
    ("groups.viewers", "[\"*\"]", "*", |c| c.sign_in.viewers = vec!["*".to_owned()]),
    ("log.format", "\"json\"", "json", |c| c.log_format = LogFormat::Json),
    ("log.level", "\"debug\"", "debug", |c| c.log_level = "debug".to_owned()),
    ("limits.max_body", "\"2MiB\"", "2097152", |c| c.max_body = 2 << 20),
    ("limits.max_body", "4096", "4KiB", |c| c.max_body = 4096),
    ("limits.body_deadline", "\"10s\"", "10s", |c| c.body_deadline = Duration::from_secs(10)),
    ("limits.max_behind", "1_000", "1000", |c| c.max_behind = 1000),
    ("session.lifetime", "\"1d\"", "24h", |c| c.session_lifetime = Duration::from_secs(86_400)),
    ("store.cache", "\"1GiB\"", "1GiB", |c| c.cache_bytes = 1 << 30),
    ("store.reserve", "\"1GiB\"", "1GiB", |c| c.reserve = 1 << 30),
    ("store.reserve", "0", "0", |c| c.reserve = 0),
    ("retention.deliveries", "\"7d\"", "7d", |c| c.keep_deliveries = Duration::from_secs(7 * 86_400)),
    ("retention.incidents", "\"90d\"", "90d", |c| c.keep_incidents = Duration::from_secs(90 * 86_400)),
    ("retention.size", "\"1TiB\"", "1TiB", |c| c.keep_bytes = 1 << 40),
    ("retention.size", "0", "0", |c| c.keep_bytes = 0),
    ("backup.dir", "\"/srv/b\"", "/srv/b", |c| c.backup_dir = Some("/srv/b".into())),
    ("investigation.suggestions_dir", "\"/etc/s\"", "/etc/s", |c| c.suggestions_dir = Some("/etc/s".into())),
    ("investigation.runbooks_dir", "\"/etc/r\"", "/etc/r", |c| c.runbooks_dir = Some("/etc/r".into())),
    ("investigation.symptoms_file", "\"/etc/s.tsv\"", "/etc/s.tsv", |c| c.symptoms_file = Some("/etc/s.tsv".into())),
    ("backup.every", "\"6h\"", "6h", |c| c.backup_every = Duration::from_secs(6 * 3600)),
    ("backup.keep", "30", "30", |c| c.backup_keep = 30),
    ("correlation.cluster_window", "\"2m\"", "2m", |c| {
        c.cluster_window = Duration::from_secs(120);
    }),
    ("correlation.reopen_within", "\"0s\"", "0", |c| {
        c.reopen_within = Duration::ZERO;
    }),
    ("correlation.test_closes_after", "\"1h30m\"", "90m", |c| c.test_closes_after = Duration::from_secs(5400)),
    ("investigation.delay", "\"250ms\"", "250ms", |c| c.investigation_delay = Duration::from_millis(250)),
    ("investigation.workers", "7", "7", |c| c.investigation_workers = 7),
    ("investigation.model.base_url", "\"http://m:1/v1/\"", "http://m:1/v1", |c| {
        c.model.base_url = Some("http://m:1/v1".to_owned());
    }),
    ("investigation.model.model", "\"a:8b\"", "a:8b", |c| c.model.model = Some("a:8b".to_owned())),
    ("investigation.model.api_key", "\"sk-1\"", "sk-1", |c| c.model.api_key = Some("sk-1".to_owned())),
    ("investigation.model.api_key_file", "\"/k\"", "/k", |c| c.model.api_key_file = Some("/k".into())),
    ("investigation.model.max_steps", "3", "3", |c| c.model.max_steps = 3),
    ("investigation.model.max_calls", "5", "5", |c| c.model.max_calls = 5),
    ("investigation.model.timeout", "\"1m\"", "60s", |c| c.model.timeout = Duration::from_secs(60)),
    ("investigation.model.max_tokens", "5_000", "5000", |c| c.model.max_tokens = 5000),
    ("investigation.model.daily_tokens", "0", "0", |c| c.model.daily_tokens = 0),
    ("investigation.model.price_input", "\"0.15\"", "0.15", |c| c.model.price_input = 150_000),
    ("investigation.model.price_output", "\"15\"", "15.0", |c| c.model.price_output = 15_000_000),
    ("investigation.model.redact_names", "true", "on", |c| c.model.redact_names = true),
    ("investigation.probes.prometheus", "\"http://t:1/x\"", "http://t:1/x", |c| {
        c.probes.prometheus = Some(crate::outgoing::address::base("http://t:1/x").unwrap());
    }),
    ("investigation.probes.prometheus_credentials", "\"kim:s3cret\"", "kim:s3cret", |c| {
        c.probes.prometheus_credentials = Some("kim:s3cret".into())
    }),
    ("investigation.probes.loki", "\"http://t:1/x\"", "http://t:1/x", |c| {
        c.probes.loki = Some(crate::outgoing::address::base("http://t:1/x").unwrap());
    }),
    ("investigation.probes.loki_credentials", "\"kim:s3cret\"", "kim:s3cret", |c| {
        c.probes.loki_credentials = Some("kim:s3cret".into())
    }),
    ("investigation.probes.netdata", "\"http://t:1/x\"", "http://t:1/x", |c| {
        c.probes.netdata = Some(crate::outgoing::address::base("http://t:1/x").unwrap());
    }),
    ("investigation.probes.netdata_credentials", "\"kim:s3cret\"", "kim:s3cret", |c| {
        c.probes.netdata_credentials = Some("kim:s3cret".into())
    }),
    ("investigation.probes.jenkins", "\"http://t:1/x\"", "http://t:1/x", |c| {
        c.probes.jenkins = Some(crate::outgoing::address::base("http://t:1/x").unwrap());
    }),
    ("investigation.probes.jenkins_credentials", "\"kim:s3cret\"", "kim:s3cret", |c| {
        c.probes.jenkins_credentials = Some("kim:s3cret".into())
    }),
    ("investigation.probes.loki_tenant", "\"kim:s3cret\"", "kim:s3cret", |c| {
        c.probes.loki_tenant = Some("kim:s3cret".into())
    }),
    ("investigation.probes.loki_selector", "'{app=\"$service\"}'", "{app=\"$service\"}", |c| {
        c.probes.loki_selector = "{app=\"$service\"}".into();
    }),
    ("investigation.probes.metrics", "\"/m.tsv\"", "/m.tsv", |c| c.probes.metrics = Some("/m.tsv".into())),
    ("investigation.probes.question_time", "\"500ms\"", "500ms", |c| {
        c.probes.question_time = Duration::from_millis(500)
    }),
    ("investigation.probes.time", "\"0s\"", "0", |c| c.probes.time = Duration::ZERO),
    ("investigation.probes.max_answer", "\"2MiB\"", "2097152", |c| c.probes.max_answer = 2 << 20),
    ("investigation.probes.questions", "5", "5", |c| c.probes.questions = 5),
    ("notifications.allow", "[\"127.0.0.1\"]", "127.0.0.1", |c| c.notify_allow = vec!["127.0.0.1/32".parse().unwrap()]),
    ("notifications.plain_http", "true", "true", |c| c.notify_plain_http = true),
    ("notifications.plain_mail", "true", "true", |c| c.notify_plain_mail = true),
    ("notifications.heartbeat_url", "\"https://hc.example/x\"", "https://hc.example/x", |c| {
        c.notify_heartbeat_url = Some("https://hc.example/x".parse().unwrap());
    }),
    ("outgoing.ca", "\"/c.pem\"", "/c.pem", |c| c.outgoing_ca = Some("/c.pem".into())),
    ("connectors.jenkins.enabled", "false", "off", |c| {
        connector(c, "jenkins", ConnectorConfig { enabled: Some(false), ..Default::default() });
    }),
    ("connectors.grafana.auth", "\"any-of\"", "any-of", |c| {
        connector(c, "grafana", ConnectorConfig { auth: Some(AuthMode::AnyOf), ..Default::default() });
    }),
    ("connectors.jenkins.rca_enabled", "true", "true", |c| {
        connector(c, "jenkins", ConnectorConfig { rca_enabled: Some(true), ..Default::default() });
    }),
    ("connectors.uptime-kuma.rate_per_minute", "0", "0", |c| {
        connector(c, "uptime-kuma", ConnectorConfig { rate_per_minute: Some(0), ..Default::default() });
    }),
    ("connectors.grafana.opens", "[\"critical\", \"high\"]", "high,critical", |c| {
        let opens = Some(vec![Severity::Critical, Severity::High]);
        connector(c, "grafana", ConnectorConfig { opens, ..Default::default() });
    }),
    ("connectors.grafana.group_by_sender", "true", "on", |c| {
        connector(c, "grafana", ConnectorConfig { group_by_sender: Some(true), ..Default::default() });
    }),
    ("connectors.grafana.identity", "[\"service\", \"labels.alertname\"]", "service, labels.alertname", |c| {
        let identity = Some(vec![IdentityField::Service, IdentityField::Label("alertname".to_owned())]);
        connector(c, "grafana", ConnectorConfig { identity, ..Default::default() });
    }),
    ("connectors.grafana.client_ca", "\"/g.pem\"", "/g.pem", |c| {
        connector(c, "grafana", ConnectorConfig { client_ca: Some("/g.pem".into()), ..Default::default() });
    }),
    ("connectors.grafana.client_cn", "[\"a\", \"b\"]", "a, b", |c| {
        let client_cn = Some(vec!["a".to_owned(), "b".to_owned()]);
        connector(c, "grafana", ConnectorConfig { client_cn, ..Default::default() });
    }),
];

#[test]
fn every_option_by_file_environment_and_flag() {
    for (key, toml, text, change) in ROWS {
        check(key, toml, text, *change);
    }
    // `any` is the only mode so far, so that it cannot differ from the default; the others work only together.
    let together = TOGETHER.iter().flat_map(|(pairs, _)| pairs.iter().map(|(key, _)| *key));
    let untested: Vec<&str> = together.chain(["correlation.mode"]).collect();
    for key in OPTIONS.iter().map(|o| o.key).filter(|k| !untested.contains(k)) {
        assert!(ROWS.iter().any(|r| r.0 == key), "{key} has no row");
    }
    for option in CONNECTOR_OPTIONS {
        assert!(ROWS.iter().any(|r| r.0.starts_with("connectors.") && r.0.ends_with(option.key)), "{}", option.key);
    }
}

type Together = (&'static [(&'static str, &'static str)], fn(&mut Config));

const TOGETHER: &[Together] = &[
    (&[("tls.cert", "/c"), ("tls.key", "/k")], |c| {
        c.tls_cert = Some("/c".into());
        c.tls_key = Some("/k".into());
    }),
    (&[("investigation.model.kind", "anthropic"), ("investigation.model.model", "m")], |c| {
        c.model.kind = Some(ModelKind::Anthropic);
        c.model.model = Some("m".to_owned());
    }),
    (&[("investigation.model.daily_cost", "2.5"), ("investigation.model.price_input", "1")], |c| {
        c.model.daily_cost = 2_500_000;
        c.model.price_input = 1_000_000;
    }),
    (&[("trusted_proxies", "10.0.0.2"), ("proxy.cert_header", "X-C")], |c| {
        c.trusted_proxies = vec!["10.0.0.2/32".parse().unwrap()];
        c.proxy_cert_header = Some("x-c".to_owned());
    }),
    (&[("trusted_proxies", "10.0.0.2"), ("proxy.subject_header", "X-S"), ("proxy.verify_header", "X-V")], |c| {
        c.trusted_proxies = vec!["10.0.0.2/32".parse().unwrap()];
        c.proxy_subject_header = Some("x-s".to_owned());
        c.proxy_verify_header = Some("x-v".to_owned());
    }),
    (&[("oidc.issuer", "https://id.example.com"), ("oidc.client_id", "w"), ("oidc.name", "K"), GROUPS], |c| {
        c.sign_in.issuer = Some("https://id.example.com".parse().unwrap());
        c.sign_in.client_id = Some("w".to_owned());
        c.sign_in.provider = "K".to_owned();
        c.sign_in.viewers = vec!["*".to_owned()];
    }),
    (&[("trusted_proxies", "10.0.0.2"), ("proxy.user_header", "X-U"), ("proxy.groups_header", "X-G"), GROUPS], |c| {
        c.trusted_proxies = vec!["10.0.0.2/32".parse().unwrap()];
        c.sign_in.user_header = Some("x-u".to_owned());
        c.sign_in.groups_header = Some("x-g".to_owned());
        c.sign_in.viewers = vec!["*".to_owned()];
    }),
];

const GROUPS: (&str, &str) = ("groups.viewers", "*");

#[test]
fn options_that_need_each_other() {
    for (pairs, change) in TOGETHER {
        let mut want = base_config();
        change(&mut want);
        let sources = |skip: Option<&str>| {
            let (mut flags, mut env, mut file) = (Vec::new(), base(), String::new());
            for (key, text) in pairs.iter().filter(|(key, _)| Some(*key) != skip) {
                flags.push(var(key, text));
                env.env.push(var(&env_name(key), text));
                file.push_str(&format!(
                    "{key} = {}\n",
                    if ["trusted_proxies", "groups.viewers"].contains(key) {
                        format!("[{text:?}]")
                    } else {
                        format!("{text:?}")
                    }
                ));
            }
            (Sources { flags, ..base() }, env, file)
        };
        let (flags, env, file) = sources(None);
        assert_eq!(load(&flags, &PLATFORMS).unwrap(), want, "{pairs:?} by flag");
        assert_eq!(load(&env, &PLATFORMS).unwrap(), want, "{pairs:?} by environment");
        let (_dir, file) = with_file(&file);
        assert_eq!(Config { file: None, ..load(&file, &PLATFORMS).unwrap() }, want, "{pairs:?} by file");
    }
    for (key, text, missing) in [
        ("investigation.model.kind", "openai", "--investigation-model-model"),
        ("investigation.model.daily_cost", "1", "--investigation-model-daily-cost"),
        ("tls.cert", "/c", "--tls-key"),
        ("tls.key", "/k", "--tls-cert"),
        ("proxy.cert_header", "X-C", "--trusted-proxies"),
        ("proxy.subject_header", "X-S", "--proxy-verify-header"),
        ("proxy.user_header", "X-U", "--trusted-proxies"),
        ("proxy.groups_header", "X-G", "--proxy-user-header"),
        ("oidc.issuer", "https://id.example.com", "--oidc-client-id"),
        ("oidc.issuer", "https://id.example.com", "--groups-viewers"),
        ("oidc.client_id", "w", "--oidc-issuer"),
    ] {
        let said = load(&Sources { flags: vec![var(key, text)], ..base() }, &PLATFORMS).unwrap_err().to_string();
        assert!(said.contains(missing), "{said}");
    }
}

#[test]
fn defaults_and_examples_are_values_that_are_taken() {
    for option in OPTIONS.iter().filter(|o| o.key != "bootstrap_token") {
        let mut config = base_config();
        for text in option.default.iter().copied().chain([option.example]) {
            assert_eq!((option.set)(&mut config, text), Ok(()), "{} = {text}", option.key);
        }
    }
    for option in CONNECTOR_OPTIONS {
        assert_eq!((option.set)(&mut ConnectorConfig::default(), option.example), Ok(()), "{}", option.key);
    }
    assert_eq!(base_config().max_body, 1 << 20);
    assert_eq!(base_config().reopen_within, Duration::from_secs(900));
}

#[test]
fn no_two_keys_share_a_flag_or_a_variable() {
    let loader = Loader { config: base_config(), platforms: &PLATFORMS, problems: Vec::new() };
    let keys = loader.keys();
    for name in [env_name, flag_name] {
        let names: std::collections::BTreeSet<String> = keys.iter().map(|k| name(k)).collect();
        assert_eq!(names.len(), keys.len());
    }
    assert_eq!(env_name("connectors.uptime-kuma.rca_enabled"), "WATCHFIRE_CONNECTORS_UPTIME_KUMA_RCA_ENABLED");
    assert_eq!(flag_name("correlation.reopen_within"), "correlation-reopen-within");
}

#[test]
fn flags_win_over_environment_over_file() {
    let (_dir, mut sources) =
        with_file("listen = \"127.0.0.1:1\"\npublic_url = \"http://file\"\n[log]\nlevel = \"warn\"\n");
    sources.env.extend([var("WATCHFIRE_LISTEN", "127.0.0.1:2"), var("WATCHFIRE_PUBLIC_URL", "http://env")]);
    sources.flags.push(var("listen", "127.0.0.1:3"));
    let config = load(&sources, &PLATFORMS).unwrap();
    assert_eq!(
        (config.listen.as_str(), config.public_url.as_deref(), config.log_level.as_str()),
        ("127.0.0.1:3", Some("http://env"), "warn")
    );
}

#[test]
fn all_problems_at_once_each_with_its_place() {
    let (dir, mut sources) = with_file(concat!(
        "listne = \"127.0.0.1:80\"\n",
        "max_body = \"1MiB\"\n",
        "log = \"json\"\n",
        "public_url = \n",
        "[correlation]\n",
        "mode = \"sums\"\n",
        "  reopen_within = 15\n",
        "colour = 1\n",
        "[connectors.jenkin]\n",
        "enabled = true\n",
        "[connectors.jenkins]\n",
        "rca_enabled = \"yes\"\n",
        "opens = [\"critical\", 3]\n",
        "rate_per_minute = -1\n",
    ));
    sources.env.extend([
        var("WATCHFIRE_BOOTSTRAP_TOKEN", "much-too-short"),
        var("WATCHFIRE_LISTN", "x"),
        var("WATCHFIRE_LOG_LEVEL", ""),
        var("WATCHFIRE_SERVICE_HOST", "10.0.0.1"),
        var("WATCHFIRE_PORT_8080_TCP_ADDR", "10.0.0.1"),
        var("WATCHFIRE_WEB_SERVICE_PORT_HTTP", "80"),
        var("WATCHFIRE_PORT", "tcp://10.0.0.1:80"),
    ]);
    sources.flags.push(var("limits.body_deadline", "1y"));
    let problems = load(&sources, &PLATFORMS).unwrap_err();
    let said = problems.to_string().replace(&dir.path().join("w.toml").display().to_string(), "w.toml");
    insta::assert_snapshot!(said);
}

#[test]
fn the_example_file_is_taken_with_every_line_switched_on() {
    let (_dir, sources) = with_file(&crate::config::example_file());
    assert_eq!(Config { file: None, ..load(&sources, &PLATFORMS).unwrap() }, base_config());
    let on: String = crate::config::example_file()
        .lines()
        .filter(|l| !l.starts_with("# ") && !l.starts_with("#bootstrap_token"))
        .map(|l| format!("{}\n", l.trim_start_matches('#')))
        .collect();
    let (_dir, sources) = with_file(&on);
    let config = load(&sources, &PLATFORMS).unwrap();
    assert_eq!(config.connectors["jenkins"].rca_enabled, Some(true));
}

#[test]
fn a_file_that_is_not_there() {
    let problems = load(&Sources { file: Some("/nowhere/w.toml".into()), ..base() }, &PLATFORMS).unwrap_err();
    assert_eq!(problems.to_string(), "the configuration has a problem:\n  /nowhere/w.toml: there is no such file");
}

#[test]
fn where_data_goes() {
    for (vars, want) in [
        (&[("STATE_DIRECTORY", "/var/lib/w:/x"), ("HOME", "/h")][..], Some("/var/lib/w")),
        (&[("XDG_DATA_HOME", "/d"), ("HOME", "/h"), ("STATE_DIRECTORY", "")][..], Some("/d/watchfire")),
        (&[][..], None),
    ] {
        let var = |name: &str| vars.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned());
        assert_eq!(default_data_dir(var), want.map(PathBuf::from), "{vars:?}");
    }
    let nowhere = load(&Sources::default(), &PLATFORMS).unwrap_err();
    assert!(nowhere.to_string().contains("name a folder"), "{nowhere}");
}
