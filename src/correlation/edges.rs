//! Who calls whom, as labels of alerts tell it: meshes, traces and proxies name both ends of what they measure.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr};

/// Labels of one source that name the two ends of a call. Of each list the first that is there counts.
struct Ends {
    /// Labels that name the service that calls.
    callers: &'static [&'static str],
    /// Labels that name the service that is called.
    callees: &'static [&'static str],
    /// One end is enough: the alert's own service is the other.
    alone: bool,
}

/// The labels, with who writes them. In lower case with `_` between the words; what is read may have other case, dots or
/// hyphens, because stores of metrics rename labels.
const ENDS: &[Ends] = &[
    // Istio's standard metrics (istio.io, "Istio Standard Metrics"), and Cilium's Hubble with labelsContext of the same
    // names (docs.cilium.io, "Monitoring & Metrics").
    Ends {
        callers: &["source_canonical_service", "source_workload", "source_app", "source_service"],
        callees: &[
            "destination_service_name",
            "destination_canonical_service",
            "destination_workload",
            "destination_app",
            "destination_service",
        ],
        alone: true,
    },
    // Service graphs made from traces: Tempo's metrics generator and the collector's servicegraph connector
    // (grafana.com/docs/tempo, "Service graphs"). Either of them alone says nothing.
    Ends { callers: &["client"], callees: &["server"], alone: false },
    // OpenTelemetry's `peer.service` and `service.peer.name` (semantic conventions, "General attributes"), and the peer tags
    // of Datadog (docs.datadoghq.com, "Inferred services"), which Dynatrace and Jaeger have as well.
    Ends {
        callers: &[],
        callees: &["peer_service", "service_peer_name", "peer_db_name", "db_instance", "peer_messaging_destination"],
        alone: true,
    },
    // Envoy: the cluster that a proxy calls (envoyproxy.io, "Cluster manager statistics"); nginx and its ingress
    // controllers say `upstream`, Application Load Balancers and Traefik nothing.
    Ends {
        callers: &[],
        callees: &["upstream_cluster", "envoy_cluster_name", "upstream_service", "upstream_name", "upstream"],
        alone: true,
    },
    // Consul's mesh (developer.hashicorp.com, "Service mesh telemetry"): tags that it has Envoy write.
    Ends {
        callers: &["consul_source_service", "local_cluster"],
        callees: &["consul_destination_service", "consul_upstream_service"],
        alone: true,
    },
    // Linkerd's proxy (linkerd.io, "Proxy Metrics"): the end that it calls has the prefix `dst_`.
    Ends {
        callers: &["src_service", "src_deployment"],
        callees: &["dst_service", "dst_deployment", "dst_statefulset", "dst_daemonset"],
        alone: true,
    },
    // CloudWatch Application Signals (docs.aws.amazon.com, "Metrics collected by Application Signals").
    Ends { callers: &[], callees: &["remoteservice", "remote_service"], alone: true },
    // Elastic APM (ECS, "Service fields", and the APM server's span fields).
    Ends { callers: &[], callees: &["service_target_name", "span_destination_service_resource"], alone: true },
    // What people call it who write their own rules.
    Ends {
        callers: &["caller", "peer_caller", "caller_service", "calling_service", "client_service", "from_service"],
        callees: &[
            "callee",
            "callee_service",
            "called_service",
            "server_service",
            "target_service",
            "to_service",
            "dependency",
        ],
        alone: true,
    },
];

/// Words that stand where nothing is known, and the clusters and nodes that meshes and traces make up for what they do not
/// know.
const NOBODY: &[&str] = &[
    "unknown",
    "none",
    "null",
    "-",
    "n/a",
    "other",
    "user",
    "localhost",
    "passthroughcluster",
    "blackholecluster",
    "inboundpassthroughcluster",
    "virtual_node",
    "self",
    "any",
    "all",
    "*",
];
/// Of no longer name anything is learned, in characters.
const LONGEST: usize = 255;

/// Pairs of caller and callee that the labels of an alert tell of, each once, never a service with itself. `service` is the
/// alert's own.
pub fn learned(labels: &BTreeMap<String, String>, service: Option<&str>) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let own = service.and_then(name);
    let find = |wanted: &[&str]| -> Option<Cow<'_, str>> {
        wanted.iter().find_map(|w| labels.iter().find(|(l, _)| same(l, w)).and_then(|(_, value)| name(value)))
    };
    for ends in ENDS {
        let (caller, callee) = (find(ends.callers), find(ends.callees));
        let pair = match (caller, callee) {
            (Some(caller), Some(callee)) => (caller, callee),
            (Some(caller), None) if ends.alone => match &own {
                Some(own) => (caller, own.clone()),
                None => continue,
            },
            (None, Some(callee)) if ends.alone => match &own {
                Some(own) => (own.clone(), callee),
                None => continue,
            },
            _ => continue,
        };
        let known = pairs.iter().any(|(a, b)| *a == pair.0 && *b == pair.1);
        if !known && pair.0.to_lowercase() != pair.1.to_lowercase() {
            pairs.push((pair.0.into_owned(), pair.1.into_owned()));
        }
    }
    pairs
}

/// Characters that act on the text around them and are not seen.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Whether a label has that name, whatever stands between its words.
fn same(label: &str, wanted: &str) -> bool {
    let plain = |b: u8| if matches!(b, b'.' | b'-') { b'_' } else { b.to_ascii_lowercase() };
    label.len() == wanted.len() && label.bytes().zip(wanted.bytes()).all(|(a, b)| plain(a) == b)
}

/// The service that a value names: without what Envoy, Kubernetes, Consul and URLs write around it. None for addresses, for
/// several at once, and for words that stand for nobody.
fn name(value: &str) -> Option<Cow<'_, str>> {
    let mut name = value.trim();
    // Istio's clusters of Envoy: `outbound|8080|v1|payments.prod.svc.cluster.local`.
    if name.contains('|') {
        name = name.strip_prefix("outbound|")?.rsplit('|').next()?;
    }
    if let Some((_, rest)) = name.split_once("://") {
        name = rest.split(['/', '?']).next()?;
    }
    // A workload with its namespace: `prod/payments`.
    if let Some((namespace, workload)) = name.split_once('/') {
        name = if namespace.is_empty() || workload.contains('/') { return None } else { workload };
    }
    if name.starts_with('[') || name.parse::<IpAddr>().is_ok() {
        return None;
    }
    if let Some((host, port)) = name.rsplit_once(':')
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        name = host;
    }
    let lower = name.to_ascii_lowercase();
    // Names of the cluster's DNS and of Consul's begin with the service.
    if lower.ends_with(".svc") || lower.contains(".svc.") || lower.ends_with(".consul") {
        name = name.split('.').next()?;
    }
    let useless = name.is_empty()
        || name.chars().nth(LONGEST).is_some()
        || name.contains([',', ';', '{', '}'])
        || name.chars().any(unseen)
        || name.parse::<IpAddr>().is_ok()
        || NOBODY.contains(&lower.as_str());
    (!useless).then_some(Cow::Borrowed(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(labels: &[(&str, &str)], service: Option<&str>, want: &[(&str, &str)]) {
        let labels: BTreeMap<String, String> = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let found = learned(&labels, service);
        let found: Vec<(&str, &str)> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(found, want, "{labels:?}, {service:?}");
    }

    #[test]
    fn both_ends_named() {
        let edge = &[("checkout", "payments")][..];
        check(&[("source_workload", "checkout"), ("destination_workload", "payments")], None, edge);
        check(&[("source_workload", "checkout"), ("destination_service_name", "payments")], Some("payments"), edge);
        check(
            &[("source_app", "checkout"), ("destination_service", "payments.prod.svc.cluster.local")],
            Some("mesh"),
            edge,
        );
        check(&[("client", "checkout"), ("server", "payments"), ("connection_type", "")], None, edge);
        check(&[("consul.source.service", "checkout"), ("consul.destination.service", "payments")], None, edge);
        check(&[("src_deployment", "checkout"), ("dst_service", "payments")], None, edge);
        check(&[("Caller", "checkout"), ("callee", "payments")], None, edge);
    }

    #[test]
    fn one_end_beside_the_own_service() {
        let edge = &[("checkout", "payments")][..];
        for label in [
            "peer.service",
            "peer_service",
            "Peer-Service",
            "service.peer.name",
            "peer.db.name",
            "db.instance",
            "upstream",
            "upstream_cluster",
            "envoy_cluster_name",
            "dst_service",
            "dst_deployment",
            "RemoteService",
            "service.target.name",
            "dependency",
            "destination_service_name",
        ] {
            check(&[(label, "payments")], Some("checkout"), edge);
            check(&[(label, "payments")], None, &[]);
            check(&[(label, "Payments")], Some("payments"), &[]);
        }
        check(&[("source_workload", "checkout")], Some("payments"), edge);
        // A trace's graph needs both: many things are called client and server.
        check(&[("server", "payments")], Some("checkout"), &[]);
        check(&[("client", "checkout")], Some("payments"), &[]);
        // Twice the same is one.
        check(&[("peer.service", "payments"), ("upstream", "payments")], Some("checkout"), edge);
    }

    #[test]
    fn what_stands_around_a_name_is_taken_away() {
        for value in [
            "payments",
            " payments ",
            "outbound|8080||payments.prod.svc.cluster.local",
            "outbound|8080|v1|payments.prod.svc",
            "payments.default.dc1.internal.0f1e.consul",
            "payments:8080",
            "http://payments:8080/charge?x=1",
            "grpc://payments",
            "prod/payments",
        ] {
            check(&[("upstream", value)], Some("checkout"), &[("checkout", "payments")]);
        }
    }

    #[test]
    fn what_names_no_service_is_left_out() {
        let long = "x".repeat(256);
        for value in [
            "",
            " ",
            "unknown",
            "UNKNOWN",
            "-",
            "10.1.2.3",
            "10.1.2.3:443",
            "::1",
            "[::1]:80",
            "PassthroughCluster",
            "inbound|8080||",
            "a,b",
            "a/b/c",
            "/x",
            "outbound|",
            "://",
            ":80",
            "{{ $labels.x }}",
            "a\nb",
            "a\u{202e}b",
            &long,
        ] {
            check(&[("upstream", value)], Some("checkout"), &[]);
        }
        check(&[("peer.service", "payments")], Some("unknown"), &[]);
        check(&[], Some("checkout"), &[]);
    }
}
