//! Figures in Prometheus text.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};

use super::{storage::Sizes, tls::Figures};
use crate::{
    model::{IncidentStatus, Tool, ToolStatus},
    store::backup::schedule::Status,
};

/// Labels of deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    platform: String,
    outcome: String,
}

/// Labels of what was refused because there was too much.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    platform: String,
    reason: &'static str,
}

/// Labels of requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    code: u16,
}

/// Labels of durations: fewer, because each is a dozen series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

/// Labels of incidents.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IncidentLabels {
    status: String,
}

/// Labels of files.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FileLabels {
    file: String,
}

/// Labels of rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: String,
}

/// Labels of tools that investigations ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ToolLabels {
    tool: &'static str,
}

/// Labels of questions to them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QuestionLabels {
    tool: &'static str,
    outcome: &'static str,
}

/// What is read at the time of asking.
#[derive(Clone, Debug, Default)]
pub struct Now {
    /// Deliveries stored but not yet applied.
    pub behind: u64,
    /// Memory held for bodies, in bytes.
    pub bodies: usize,
    /// Bytes of rows by kind.
    pub rows: Vec<(&'static str, u64)>,
    /// On the disk.
    pub sizes: Sizes,
    /// Scheduled backups.
    pub backups: Status,
    /// TLS of the listener and its files.
    pub tls: Figures,
    /// Monitoring tools that investigations ask.
    pub tools: Vec<ToolStatus>,
}

/// A figure that is there only when it is known.
#[derive(Clone, Debug)]
struct Known(Arc<(&'static str, &'static str, Unit, Mutex<Option<i64>>)>);

impl Known {
    fn new(name: &'static str, help: &'static str, unit: Unit) -> Self {
        Self(Arc::new((name, help, unit, Mutex::default())))
    }

    fn set(&self, value: Option<i64>) {
        *self.0.3.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

impl Collector for Known {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help, unit, value) = &*self.0;
        let Some(value) = *value.lock().unwrap_or_else(PoisonError::into_inner) else { return Ok(()) };
        let gauge = ConstGauge::new(value);
        gauge.encode(encoder.encode_descriptor(name, help, Some(unit), gauge.metric_type())?)
    }
}

type Durations = Family<RouteLabels, Histogram, fn() -> Histogram>;

/// All figures.
pub struct Metrics {
    registry: Registry,
    deliveries: Family<DeliveryLabels, Counter<u64, AtomicU64>>,
    refusals: Family<RefusalLabels, Counter<u64, AtomicU64>>,
    requests: Family<RequestLabels, Counter<u64, AtomicU64>>,
    durations: Durations,
    incidents: Family<IncidentLabels, Gauge<i64, AtomicI64>>,
    behind: Gauge<i64, AtomicI64>,
    bodies: Gauge<i64, AtomicI64>,
    streams: Gauge<i64, AtomicI64>,
    files: Family<FileLabels, Gauge<i64, AtomicI64>>,
    rows: Family<KindLabels, Gauge<i64, AtomicI64>>,
    free: Known,
    last_backup: Known,
    backup_failures: Counter<u64, AtomicU64>,
    certificate_ends: Known,
    reloads: Counter<u64, AtomicU64>,
    reload_failures: Counter<u64, AtomicU64>,
    reload_failing: Gauge<i64, AtomicI64>,
    handshakes_failed: Counter<u64, AtomicU64>,
    tools: Family<ToolLabels, Gauge<i64, AtomicI64>>,
    questions: Family<QuestionLabels, Counter<u64, AtomicU64>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(…)")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("watchfire");
        let deliveries = Family::default();
        let refusals = Family::default();
        let requests = Family::default();
        let durations: Durations = Family::new_with_constructor(histogram as fn() -> Histogram);
        let incidents = Family::default();
        let behind = Gauge::default();
        let bodies = Gauge::default();
        let streams = Gauge::default();
        let files = Family::default();
        let rows = Family::default();
        let free = Known::new("disk_free", "Left on the disk of the data folder", Unit::Bytes);
        let what = "When the last scheduled backup was made; absent when there is none";
        let last_backup = Known::new("backup_last_success_timestamp", what, Unit::Seconds);
        let backup_failures = Counter::default();
        let what = "When the certificate of the listener ends; absent without TLS";
        let certificate_ends = Known::new("tls_certificate_expiry_timestamp", what, Unit::Seconds);
        let reloads = Counter::default();
        let reload_failures = Counter::default();
        let reload_failing = Gauge::default();
        let handshakes_failed = Counter::default();
        let (tools, questions) = (Family::default(), Family::default());
        registry.register("build", "The running version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        registry.register("deliveries", "Deliveries of senders by platform and outcome", deliveries.clone());
        registry.register(
            "refusals",
            "Requests refused because there was too much of something: rate, queue, behind, disk, memory, requests",
            refusals.clone(),
        );
        registry.register("http_requests", "Requests by method, route and status code", requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time to the head of the answer, by route",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register("incidents_open", "Open incidents by status", incidents.clone());
        registry.register("store_behind", "Deliveries stored but not yet applied", behind.clone());
        registry.register_with_unit("body", "Memory held for bodies of requests", Unit::Bytes, bodies.clone());
        registry.register("sse_clients", "Open event streams", streams.clone());
        registry.register_with_unit(
            "store_file",
            "Size of the databases and the text index",
            Unit::Bytes,
            files.clone(),
        );
        let what = "Bytes of rows by kind, without the database's overhead";
        registry.register_with_unit("store_rows", what, Unit::Bytes, rows.clone());
        registry.register_collector(Box::new(free.clone()));
        registry.register_collector(Box::new(last_backup.clone()));
        registry.register("backup_failures", "Scheduled backups that failed", backup_failures.clone());
        registry.register_collector(Box::new(certificate_ends.clone()));
        registry.register("tls_reloads", "Changed certificate files that were taken", reloads.clone());
        let what = "Changed certificate files that could not be used; those before stayed in use";
        registry.register("tls_reload_failures", what, reload_failures.clone());
        let what = "1 while the certificate files on the disk cannot be used";
        registry.register("tls_reload_failing", what, reload_failing.clone());
        registry.register("tls_handshake_failures", "TLS handshakes that came to nothing", handshakes_failed.clone());
        let what =
            "1 when the last question to each address of a monitoring tool was answered; absent before the first";
        registry.register("tool_up", what, tools.clone());
        let what = "Questions of investigations to monitoring tools, by whether they were answered";
        registry.register("tool_questions", what, questions.clone());
        Self {
            registry,
            deliveries,
            refusals,
            requests,
            durations,
            incidents,
            behind,
            bodies,
            streams,
            files,
            rows,
            free,
            last_backup,
            backup_failures,
            certificate_ends,
            reloads,
            reload_failures,
            reload_failing,
            handshakes_failed,
            tools,
            questions,
        }
    }

    /// Counts a delivery. The platform must be a known one: strangers must not make series.
    pub fn delivery(&self, platform: &str, outcome: &str) {
        let labels = DeliveryLabels { platform: platform.to_owned(), outcome: outcome.to_owned() };
        self.deliveries.get_or_create(&labels).inc();
    }

    /// Counts a delivery that was refused because there was too much. The platform must be a known one.
    pub fn refusal(&self, platform: &str, reason: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { platform: platform.to_owned(), reason }).inc();
    }

    /// Counts a request that was turned away before anybody looked at it.
    pub fn turned_away(&self, reason: &'static str) {
        self.refusal("none", reason);
    }

    /// Counts a request.
    pub fn request(&self, method: &str, route: &str, code: u16, took: Duration) {
        let labels = RequestLabels { method: method.to_owned(), route: route.to_owned(), code };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&RouteLabels { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    /// A stream was opened (+1) or closed (−1).
    pub fn stream(&self, by: i64) {
        self.streams.inc_by(by);
    }

    /// The text, with the figures that are read at the time of asking.
    pub fn render(&self, now: &Now, open: &[(IncidentStatus, u64)]) -> Result<String, fmt::Error> {
        let gauge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.behind.set(gauge(now.behind));
        self.bodies.set(i64::try_from(now.bodies).unwrap_or(i64::MAX));
        for (file, bytes) in &now.sizes.files {
            self.files.get_or_create(&FileLabels { file: (*file).to_owned() }).set(gauge(*bytes));
        }
        for (kind, bytes) in &now.rows {
            self.rows.get_or_create(&KindLabels { kind: (*kind).to_owned() }).set(gauge(*bytes));
        }
        self.free.set(now.sizes.free.map(gauge));
        self.last_backup.set(now.backups.last.as_ref().map(|last| last.at.millis().div_euclid(1000)));
        self.backup_failures.inner().store(now.backups.failures, Ordering::Relaxed);
        self.certificate_ends.set(now.tls.ends.map(|t| t.millis().div_euclid(1000)));
        self.reloads.inner().store(now.tls.reloads, Ordering::Relaxed);
        self.reload_failures.inner().store(now.tls.failures, Ordering::Relaxed);
        self.reload_failing.set(i64::from(now.tls.failing));
        self.handshakes_failed.inner().store(now.tls.handshakes_failed, Ordering::Relaxed);
        self.tell_tools(&now.tools);
        for (status, count) in open {
            let labels = IncidentLabels { status: status.to_string() };
            self.incidents.get_or_create(&labels).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Metrics {
    /// By tool, so that declared agents make no series of their own.
    fn tell_tools(&self, all: &[ToolStatus]) {
        for tool in Tool::ALL {
            let asked = || all.iter().filter(|s| s.tool == *tool && s.last.is_some());
            if asked().next().is_none() {
                continue;
            }
            let up = asked().all(|s| s.last.as_ref().is_some_and(|l| l.failure.is_none()));
            self.tools.get_or_create(&ToolLabels { tool: tool.as_str() }).set(i64::from(up));
            let sum = |of: fn(&ToolStatus) -> u64| asked().map(of).sum::<u64>();
            for (outcome, count) in [("answered", sum(|s| s.answered)), ("failed", sum(|s| s.failed))] {
                let labels = QuestionLabels { tool: tool.as_str(), outcome };
                self.questions.get_or_create(&labels).inner().store(count, Ordering::Relaxed);
            }
        }
    }
}

fn histogram() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::LastAnswer, store::backup::schedule::Kept};

    fn tool(at: &str, failure: Option<String>) -> ToolStatus {
        let last = Some(LastAnswer { at: crate::model::Time::from_secs(1), failure });
        ToolStatus { answered: 2, failed: 1, last, ..ToolStatus::new(Tool::Loki, at.to_owned(), true) }
    }

    #[test]
    fn figures_are_written() {
        let m = Metrics::new();
        m.delivery("grafana", "accepted");
        m.delivery("grafana", "accepted");
        m.request("GET", "/api/incidents", 200, Duration::from_millis(3));
        m.refusal("grafana", "behind");
        m.stream(1);
        m.stream(-1);
        let last = Kept { name: String::new(), at: crate::model::Time::from_secs(1_772_500_000), bytes: 1 };
        let now = Now {
            behind: 7,
            bodies: 2048,
            rows: vec![("alerts", 99)],
            sizes: Sizes { files: vec![("intake.redb", 4096)], free: Some(77) },
            backups: Status { last: Some(last), failures: 3, ..Status::default() },
            tls: Figures {
                ends: Some(crate::model::Time::from_secs(1_900_000_000)),
                reloads: 4,
                failures: 5,
                failing: true,
                handshakes_failed: 6,
            },
            tools: ["a", "b"].map(|at| tool(at, (at == "b").then(|| "is away".to_owned()))).to_vec(),
        };
        let nothing = m.render(&Now::default(), &[]).unwrap();
        assert!(
            !nothing.contains("watchfire_disk_free_bytes 0") && !nothing.contains("timestamp_seconds 0"),
            "{nothing}"
        );
        let text = m.render(&now, &[(IncidentStatus::Analyzed, 2)]).unwrap();
        for line in [
            "watchfire_deliveries_total{platform=\"grafana\",outcome=\"accepted\"} 2",
            "watchfire_http_requests_total{method=\"GET\",route=\"/api/incidents\",code=\"200\"} 1",
            "watchfire_http_request_duration_seconds_bucket{le=\"0.005\",route=\"/api/incidents\"} 1",
            "watchfire_incidents_open{status=\"analyzed\"} 2",
            "watchfire_tool_up{tool=\"loki\"} 0",
            "watchfire_tool_questions_total{tool=\"loki\",outcome=\"answered\"} 4",
            "watchfire_tool_questions_total{tool=\"loki\",outcome=\"failed\"} 2",
            "watchfire_store_behind 7",
            "watchfire_body_bytes 2048",
            "watchfire_refusals_total{platform=\"grafana\",reason=\"behind\"} 1",
            "watchfire_sse_clients 0",
            "watchfire_store_file_bytes{file=\"intake.redb\"} 4096",
            "watchfire_store_rows_bytes{kind=\"alerts\"} 99",
            "watchfire_disk_free_bytes 77",
            "watchfire_backup_last_success_timestamp_seconds 1772500000",
            "watchfire_backup_failures_total 3",
            "watchfire_tls_certificate_expiry_timestamp_seconds 1900000000",
            "watchfire_tls_reloads_total 4",
            "watchfire_tls_reload_failures_total 5",
            "watchfire_tls_reload_failing 1",
            "watchfire_tls_handshake_failures_total 6",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }
}
