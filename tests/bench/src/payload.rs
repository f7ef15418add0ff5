//! A stream of alerts that is the same for every system under test, and the same each time.
//!
//! The alert number `seq` of the stream speaks of the identity `identity(seq)`: some of the stream repeats an identity of
//! before, the rest is new. Only the JSON around it differs between the systems.

/// Whose JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The webhook of Alertmanager with one alert: what Watchfire takes.
    Webhook,
    /// `POST /api/v2/alerts` with one alert: what Alertmanager takes.
    Alertmanager,
}

impl std::str::FromStr for Shape {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        match s {
            "webhook" => Ok(Self::Webhook),
            "alertmanager" => Ok(Self::Alertmanager),
            _ => Err(()),
        }
    }
}

/// Services in the stream.
pub const SERVICES: u64 = 200;
/// Machines in the stream.
pub const HOSTS: u64 = 5_000;
/// Kinds of alerts in the stream.
pub const NAMES: u64 = 300;
const SEVERITIES: [&str; 4] = ["critical", "warning", "info", "error"];
const REPEATS_WITHIN: u64 = 10_000;

const WORDS: &[&str] = &[
    "disk",
    "latency",
    "timeout",
    "connection",
    "refused",
    "memory",
    "pressure",
    "cpu",
    "saturation",
    "replica",
    "lag",
    "database",
    "primary",
    "failover",
    "queue",
    "backlog",
    "consumer",
    "partition",
    "leader",
    "election",
    "certificate",
    "expired",
    "handshake",
    "dns",
    "resolution",
    "upstream",
    "gateway",
    "error",
    "rate",
    "budget",
    "burn",
    "threshold",
    "exceeded",
    "pod",
    "crash",
    "loop",
    "restart",
    "node",
    "unreachable",
    "network",
    "packet",
    "loss",
    "interface",
    "flapping",
    "storage",
    "volume",
    "full",
    "inode",
    "snapshot",
    "backup",
    "failed",
    "retry",
    "exhausted",
    "pool",
    "thread",
    "deadlock",
    "lock",
    "contention",
    "checkout",
    "payment",
    "search",
    "index",
    "cache",
    "eviction",
    "hit",
    "ratio",
    "dropped",
    "scrape",
    "target",
    "missing",
    "deployment",
    "rollout",
    "stuck",
    "image",
    "pull",
    "quota",
    "limit",
    "throttled",
    "region",
    "zone",
    "degraded",
    "availability",
    "health",
    "probe",
    "liveness",
    "readiness",
    "ingress",
    "load",
    "balancer",
    "session",
    "login",
    "token",
    "expiry",
    "broker",
    "offset",
    "commit",
    "slow",
    "query",
    "plan",
    "vacuum",
    "replication",
    "slot",
    "wal",
    "segment",
    "checkpoint",
];

/// Spreads a number over 64 bits (splitmix64).
pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The identity that alert `seq` speaks of: `repeats` of a hundred are one of the ten thousand before it.
pub fn identity(seq: u64, repeats: u64, seed: u64) -> u64 {
    let r = mix(seq ^ seed);
    if seq > 0 && r % 100 < repeats { seq - (1 + mix(r) % seq.min(REPEATS_WITHIN)) } else { seq }
}

/// What is said of an identity.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The identity.
    pub identity: u64,
    /// Random, for what has no name here.
    pub random: u64,
    /// Below `SERVICES`.
    pub service: u64,
    /// Below `HOSTS`.
    pub host: u64,
    /// Below `NAMES`.
    pub name: u64,
    /// As Prometheus people write it.
    pub severity: &'static str,
}

/// What is said of an identity in the stream of `seed`.
pub fn facts(identity: u64, seed: u64) -> Facts {
    let random = mix(identity.wrapping_mul(31) ^ seed ^ 0xAB_CDEF);
    Facts {
        identity,
        random,
        service: random % SERVICES,
        host: (random >> 16) % HOSTS,
        name: (random >> 32) % NAMES,
        severity: SEVERITIES[(random >> 60) as usize % SEVERITIES.len()],
    }
}

/// `count` words; low ones of the list come up more often, as in real text.
pub fn words(out: &mut String, mut random: u64, count: usize) {
    for n in 0..count {
        random = mix(random);
        if n > 0 {
            out.push(' ');
        }
        let share = (random >> 11) as f64 / (1u64 << 53) as f64;
        out.push_str(WORDS[((share * share) * WORDS.len() as f64) as usize]);
    }
}

fn labels(out: &mut String, f: &Facts) {
    let Facts { identity, random, service, host, name, severity } = f;
    out.push_str(&format!(
        "{{\"alertname\":\"Alert{name}\",\"service\":\"svc-{service}\",\"instance\":\"host-{host}.prod.example.net:9100\",\
         \"severity\":\"{severity}\",\"env\":\"production\",\"cluster\":\"eu-west-{}\",\"team\":\"team-{}\",\
         \"job\":\"node-exporter\",\"namespace\":\"ns-{}\",\"uid\":\"u{identity}\"}}",
        random % 7,
        service % 20,
        service % 40,
    ));
}

fn annotations(out: &mut String, f: &Facts, details: usize) {
    out.push_str("{\"summary\":\"");
    words(out, f.random ^ 1, 8);
    out.push_str("\",\"description\":\"");
    words(out, f.random ^ 2, 20);
    out.push_str("\",\"details\":\"");
    words(out, f.random ^ 3, details);
    out.push_str("\"}");
}

/// One alert as the webhook carries it in `alerts`.
fn alert(out: &mut String, f: &Facts, started: &str, ended: Option<&str>, details: usize) {
    let status = if ended.is_some() { "resolved" } else { "firing" };
    out.push_str(&format!(
        "{{\"status\":\"{status}\",\"startsAt\":\"{started}\",\"endsAt\":\"{}\",\"fingerprint\":\"{:016x}\",\"labels\":",
        ended.unwrap_or("0001-01-01T00:00:00Z"),
        mix(f.identity),
    ));
    labels(out, f);
    out.push_str(",\"annotations\":");
    annotations(out, f, details);
    out.push_str(",\"generatorURL\":\"http://prometheus.example.net/graph?g0.expr=up\"}");
}

/// A body of the webhook with these alerts, each with its start and, when it is over, its end.
pub fn webhook(out: &mut String, alerts: &[(Facts, String, Option<String>)]) {
    let firing = alerts.iter().any(|(_, _, ended)| ended.is_none());
    let name = alerts.first().map_or(0, |(f, ..)| f.name);
    out.push_str(&format!(
        "{{\"version\":\"4\",\"groupKey\":\"{{}}:{{alertname=\\\"Alert{name}\\\"}}\",\"truncatedAlerts\":0,\"status\":\"{}\",\
         \"receiver\":\"watchfire\",\"groupLabels\":{{}},\"commonLabels\":{{}},\"commonAnnotations\":{{}},\
         \"externalURL\":\"http://am.example.net\",\"alerts\":[",
        if firing { "firing" } else { "resolved" },
    ));
    for (n, (f, started, ended)) in alerts.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        alert(out, f, started, ended.as_deref(), DETAILS_WEBHOOK);
    }
    out.push_str("]}");
}

// Both bodies are about 1.15 KB, whatever stands around the alert.
const DETAILS_WEBHOOK: usize = 33;
const DETAILS_ALERTMANAGER: usize = 74;

/// The body for one alert.
pub fn body(out: &mut String, shape: Shape, f: Facts, started: &str) {
    match shape {
        Shape::Webhook => webhook(out, &[(f, started.to_owned(), None)]),
        Shape::Alertmanager => {
            out.push_str(&format!("[{{\"startsAt\":\"{started}\",\"labels\":"));
            labels(out, &f);
            out.push_str(",\"annotations\":");
            annotations(out, &f, DETAILS_ALERTMANAGER);
            out.push_str(",\"generatorURL\":\"http://prometheus.example.net/graph?g0.expr=up\"}]");
        }
    }
}

/// Seconds since 1970 as in JSON.
pub fn rfc3339(seconds: i64) -> String {
    watchfire::model::Time::from_secs(seconds).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bodies_are_json_of_about_the_same_size() {
        for shape in [Shape::Webhook, Shape::Alertmanager] {
            let mut sum = 0;
            for n in 0..1000 {
                let mut text = String::new();
                body(&mut text, shape, facts(n, 1), &rfc3339(1_772_500_000));
                serde_json::from_str::<serde_json::Value>(&text).unwrap();
                sum += text.len();
            }
            let mean = sum / 1000;
            assert!((1_100..1_200).contains(&mean), "{shape:?}: {mean}");
        }
    }

    #[test]
    fn a_tenth_repeats() {
        let repeats = (0..100_000).filter(|n| identity(*n, 10, 1) != *n).count();
        assert!((9_500..10_500).contains(&repeats), "{repeats}");
    }
}
