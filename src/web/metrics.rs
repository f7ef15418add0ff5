//! Figures in Prometheus text.

use std::{
    fmt,
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use crate::model::IncidentStatus;

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
        Self { registry, deliveries, refusals, requests, durations, incidents, behind, bodies, streams }
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
    pub fn render(&self, behind: u64, bodies: usize, open: &[(IncidentStatus, u64)]) -> Result<String, fmt::Error> {
        self.behind.set(i64::try_from(behind).unwrap_or(i64::MAX));
        self.bodies.set(i64::try_from(bodies).unwrap_or(i64::MAX));
        for (status, count) in open {
            let labels = IncidentLabels { status: status.to_string() };
            self.incidents.get_or_create(&labels).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn histogram() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written() {
        let m = Metrics::new();
        m.delivery("grafana", "accepted");
        m.delivery("grafana", "accepted");
        m.request("GET", "/api/incidents", 200, Duration::from_millis(3));
        m.refusal("grafana", "behind");
        m.stream(1);
        m.stream(-1);
        let text = m.render(7, 2048, &[(IncidentStatus::Analyzed, 2)]).unwrap();
        for line in [
            "watchfire_deliveries_total{platform=\"grafana\",outcome=\"accepted\"} 2",
            "watchfire_http_requests_total{method=\"GET\",route=\"/api/incidents\",code=\"200\"} 1",
            "watchfire_http_request_duration_seconds_bucket{le=\"0.005\",route=\"/api/incidents\"} 1",
            "watchfire_incidents_open{status=\"analyzed\"} 2",
            "watchfire_store_behind 7",
            "watchfire_body_bytes 2048",
            "watchfire_refusals_total{platform=\"grafana\",reason=\"behind\"} 1",
            "watchfire_sse_clients 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }
}
