//! The names of one incident: what its cause, its change and the labels of its alerts say, as far as each has the form
//! that such a name has.

use std::{net::IpAddr, time::Duration};

use super::template::Names;
use crate::{
    investigation::{case::Case, rank::Candidate, words},
    model::Alert,
};

/// How long before the first alert logs are read.
const EARLIER: Duration = Duration::from_secs(600);

/// What a name may be.
type Rule = fn(&str) -> bool;

/// Placeholders with the labels that name them, the best first. Labels that begin with `exported_` are those of what is
/// measured, where Prometheus gives the plain name to what measures.
const LABELS: &[(&str, Rule, &[&str])] = &[
    (
        "namespace",
        is_word,
        &[
            "exported_namespace",
            "namespace",
            "kubernetes_namespace",
            "kube_namespace",
            "k8s_namespace",
            "k8s_namespace_name",
            "k8s.namespace.name",
        ],
    ),
    (
        "pod",
        is_word,
        &["exported_pod", "pod", "pod_name", "kube_pod", "kubernetes_pod_name", "k8s_pod_name", "k8s.pod.name"],
    ),
    (
        "container",
        is_container,
        &[
            "exported_container",
            "container",
            "container_name",
            "kube_container_name",
            "k8s_container_name",
            "k8s.container.name",
            "cgroup_name",
        ],
    ),
    ("deployment", is_word, &["deployment", "kube_deployment", "kubernetes_deployment", "k8s.deployment.name"]),
    ("statefulset", is_word, &["statefulset", "kube_stateful_set", "k8s.statefulset.name"]),
    ("daemonset", is_word, &["daemonset", "kube_daemon_set", "k8s.daemonset.name"]),
    ("kube_job", is_word, &["job_name", "kube_job", "k8s.job.name"]),
    ("node", is_word, &["exported_node", "node", "kube_node", "kubernetes_node", "k8s_node_name", "k8s.node.name"]),
    ("claim", is_word, &["persistentvolumeclaim", "pvc"]),
    ("ingress", is_word, &["exported_ingress", "ingress"]),
    ("unit", is_unit, &["unit", "unit_name", "systemd_unit"]),
    ("unit", is_whole_unit, &["name"]),
    ("database", is_word, &["datname", "database", "database_name", "db_name", "dbname"]),
    ("topic", is_word, &["topic", "kafka_topic"]),
    ("group", is_word, &["consumergroup", "consumer_group", "kafka_consumer_group"]),
    ("queue", is_word, &["queue", "queue_name", "rabbitmq_queue"]),
    ("vhost", is_path_or_word, &["vhost", "rabbitmq_vhost"]),
    ("index", is_word, &["index", "index_name"]),
    ("mountpoint", is_path, &["mountpoint", "mount_point", "filesystem"]),
    ("device", is_word, &["device", "disk"]),
    ("interface", is_word, &["interface", "nic", "ifname"]),
    ("domain", is_domain, &["domain", "fqdn", "dns_name", "server_name", "common_name"]),
    ("repository", is_repository, &["repository"]),
    ("run_id", is_number, &["run_id"]),
    ("branch", is_branch, &["branch", "ref", "head_branch"]),
];

/// Labels whose value is the address that was checked.
const CHECKED: &[&str] = &["target", "url", "monitor_url", "instance", "endpoint"];

/// The names of a cause.
pub(super) fn names(case: &Case, cause: &Candidate) -> Names {
    let mut names = Names::default();
    let alerts: Vec<&Alert> = cause.alerts.iter().filter_map(|i| case.alerts.get(*i)).collect();
    names.put("service", cause.service.as_deref());
    if let Some((_, change)) = cause.change(case) {
        names.put("version", change.version.as_deref());
        let commit = ["commit", "git_commit", "sha"].iter().find_map(|k| change.details.get(*k));
        names.put("commit", commit.map(String::as_str).filter(|c| is_commit(c)));
        names.put("commit", change.version.as_deref().filter(|c| is_commit(c)));
    }
    for alert in &alerts {
        for (name, rule, labels) in LABELS {
            names.put(name, labels.iter().find_map(|l| alert.labels.get(*l)).map(String::as_str).filter(|v| rule(v)));
        }
        // Netdata names what a chart is of at the end of its id: disk_space._var.
        names.put("mountpoint", alert.labels.get("chart").and_then(|c| mount_of(c)).as_deref());
        let commit = ["commit", "git_commit", "commit_sha", "sha", "revision", "head_sha"];
        names.put(
            "commit",
            commit.iter().find_map(|l| alert.labels.get(*l)).map(String::as_str).filter(|c| is_commit(c)),
        );
        for address in CHECKED.iter().filter_map(|l| alert.labels.get(*l)) {
            let (url, domain) = split_address(address);
            names.put("url", url.as_deref());
            names.put("domain", domain.as_deref());
        }
        if matches!(alert.platform.as_str(), "jenkins" | "cloudbees" | "gitlab" | "github") {
            let url = alert.source_url.as_deref().and_then(|u| split_address(u).0);
            names.put("build_url", url.as_deref().map(|u| u.trim_end_matches('/')));
        }
    }
    // A pod's name is no machine that anybody logs in to.
    let is_pod = |h: &&str| names.get("pod") != Some(h);
    let host = cause.host.as_deref().filter(is_pod).filter(|h| is_host(h)).map(str::to_owned);
    let in_url = host.as_deref().map(|h| if h.contains(':') { format!("[{h}]") } else { h.to_owned() });
    names.put("host", host.as_deref());
    names.put("host_url", in_url.as_deref());
    let pod = names.get("pod").filter(|p| !p.contains("exporter")).map(str::to_owned);
    names.put("server_pod", pod.as_deref());
    let service = cause.service.as_deref().filter(|s| names.get("namespace").is_some() && is_word(s));
    names.put("deployment", service);
    let sender = words::platform(alerts.first().map_or(&case.incident.source, |a| &a.platform));
    names.put("sender", Some(&sender));
    let since = case.onset().minus(EARLIER);
    names.put("since", Some(&since.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()));
    names.put("since_unix", Some(&(since.millis() / 1000).to_string()));
    names
}

/// What their own rules allow; a database named `host=…` would be a connection string.
fn is_word(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) && !value.starts_with('.')
}

// `POD` is the pause container; cAdvisor says `/` for the machine.
fn is_container(value: &str) -> bool {
    is_word(value) && value != "POD"
}

fn is_host(value: &str) -> bool {
    is_word(value) || value.parse::<IpAddr>().is_ok()
}

fn is_unit(value: &str) -> bool {
    !value.is_empty()
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@' | b':'))
}

fn is_whole_unit(value: &str) -> bool {
    [".service", ".timer", ".socket", ".mount"].iter().any(|end| value.ends_with(end)) && is_unit(value)
}

fn is_path(value: &str) -> bool {
    value.starts_with('/') && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'))
}

fn is_path_or_word(value: &str) -> bool {
    is_path(value) || is_word(value)
}

fn is_domain(value: &str) -> bool {
    value.contains('.') && is_word(value) && value.parse::<IpAddr>().is_err()
}

fn is_repository(value: &str) -> bool {
    value
        .split_once('/')
        .is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty() && is_word(owner) && is_word(name))
}

fn is_number(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit())
}

fn is_branch(value: &str) -> bool {
    value.split('/').all(|part| !part.is_empty() && is_word(part))
}

fn is_commit(value: &str) -> bool {
    (7..=64).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `disk_space._` is the root, `disk_space._var_lib` is left alone: `_` may stand for `/` or for itself.
fn mount_of(chart: &str) -> Option<String> {
    let rest = chart.strip_prefix("disk_space.").or_else(|| chart.strip_prefix("disk_inodes."))?;
    match rest {
        "_" => Some("/".to_owned()),
        one if one.starts_with('_') && !one.get(1..)?.contains('_') => Some(format!("/{}", one.get(1..)?)),
        path if is_path(path) => Some(path.to_owned()),
        _ => None,
    }
}

/// The address without query and fragment, and the name of its machine when the DNS has it.
fn split_address(text: &str) -> (Option<String>, Option<String>) {
    let Some((scheme, rest)) = text.split_once("://").filter(|(s, _)| matches!(*s, "http" | "https")) else {
        return (None, None);
    };
    let bare = rest.split(['?', '#']).next().unwrap_or("");
    let machine = bare.split('/').next().unwrap_or("");
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'%' | b'~');
    // What stands before `@` is a name and a password.
    if machine.is_empty() || !bare.bytes().all(fits) {
        return (None, None);
    }
    let name = machine.split(':').next().unwrap_or("");
    (Some(format!("{scheme}://{bare}")), Some(name.to_owned()).filter(|n| is_domain(n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_form_that_such_names_have() {
        let check = |rule: Rule, value: &str, want: bool| assert_eq!(rule(value), want, "{value:?}");
        check(is_word, "orders-db-0", true);
        check(is_word, "host=evil", false);
        check(is_word, "a b", false);
        check(is_word, "../x", false);
        check(is_container, "POD", false);
        check(is_container, "/", false);
        check(is_host, "db-1.example.com", true);
        check(is_host, "2001:db8::1", true);
        check(is_host, "root@db-1", false);
        check(is_host, "db-1:9100", false);
        check(is_unit, "getty@tty1.service", true);
        check(is_whole_unit, "checkout", false);
        check(is_path, "/var/lib", true);
        check(is_path, "/$(id)", false);
        check(is_domain, "shop.example.com", true);
        check(is_domain, "10.0.0.1", false);
        check(is_repository, "acme/shop", true);
        check(is_repository, "acme/../x", false);
        check(is_branch, "feature/x", true);
        check(is_branch, "a b", false);
        check(is_commit, "deadbee", true);
        check(is_commit, "v1.2.3.4", false);
    }

    #[test]
    fn addresses_lose_what_may_be_secret_or_harmful() {
        let check = |text: &str, url: Option<&str>, domain: Option<&str>| {
            let (u, d) = split_address(text);
            assert_eq!((u.as_deref(), d.as_deref()), (url, domain), "{text}");
        };
        check(
            "https://shop.example.com/health?token=x",
            Some("https://shop.example.com/health"),
            Some("shop.example.com"),
        );
        check("http://10.0.0.1:8080/a", Some("http://10.0.0.1:8080/a"), None);
        check("https://user:secret@shop.example.com/", None, None);
        check("https://x/$(id)", None, None);
        check("db-1:9100", None, None);
        check("javascript://x", None, None);
    }

    #[test]
    fn charts_name_their_folder_where_that_is_certain() {
        let check = |chart: &str, want: Option<&str>| assert_eq!(mount_of(chart).as_deref(), want, "{chart}");
        check("disk_space._", Some("/"));
        check("disk_space._var", Some("/var"));
        check("disk_space._var_lib", None);
        check("disk_space./boot/efi", Some("/boot/efi"));
        check("system.cpu", None);
    }
}
