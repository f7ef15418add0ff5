//! The company of the demo: a shop, its services, and what goes wrong there.

use super::bodies::{Alarm, Bad, Tool};
use crate::model::Service;

const fn alarm(
    tool: Tool,
    bad: Bad,
    (rule, title, text): (&'static str, &'static str, &'static str),
    service: &'static str,
    host: &'static str,
) -> Alarm {
    Alarm { tool, rule, title, text, service, host, bad }
}

/// What the story's deploy breaks, in the order in which it is seen.
pub const CASCADE: [Alarm; 7] = [
    alarm(
        Tool::Sentry,
        Bad::Error,
        (
            "PoolTimeoutError",
            "PoolTimeoutError: no database connection after 30 s",
            "connection pool of payments exhausted: 50 of 50 in use, 212 waiting",
        ),
        "payments",
        "payments-1",
    ),
    alarm(
        Tool::Alertmanager,
        Bad::Critical,
        (
            "PaymentsErrorRateHigh",
            "payments answers 38 % of requests with 500",
            "5xx of payments above 5 % for a minute. Its connection pool is exhausted.",
        ),
        "payments",
        "payments-1",
    ),
    alarm(
        Tool::Netdata,
        Bad::Critical,
        ("ram_in_use", "RAM in use = 94.2%", "system memory utilization of payments-2"),
        "payments",
        "payments-2",
    ),
    alarm(
        Tool::Grafana,
        Bad::Error,
        (
            "CheckoutLatencyHigh",
            "p95 latency of checkout-api is 4.8 s",
            "Calls from checkout-api to payments time out after 5 s.",
        ),
        "checkout-api",
        "checkout-1",
    ),
    alarm(
        Tool::Datadog,
        Bad::Error,
        (
            "storefront.http.errors",
            "Error rate of storefront is 12 %",
            "storefront gets 502 from checkout-api when orders are placed.",
        ),
        "storefront",
        "web-1",
    ),
    alarm(
        Tool::UptimeKuma,
        Bad::Critical,
        ("shop", "Shop front", "Request failed with status code 502"),
        "edge-gateway",
        "shop.example.com",
    ),
    alarm(
        Tool::Alertmanager,
        Bad::Error,
        (
            "NotifyQueueBacklog",
            "41,000 messages wait in the queue of notify",
            "notify waits for receipts from payments.",
        ),
        "notify",
        "notify-1",
    ),
];

/// What has nothing to do with it.
pub const NOISE: [Alarm; 3] = [
    alarm(
        Tool::Netdata,
        Bad::Warning,
        ("disk_space_usage", "disk space usage = 82.4%", "Total space utilization of disk /backup"),
        "backup",
        "backup-1",
    ),
    alarm(
        Tool::Alertmanager,
        Bad::Warning,
        (
            "CertificateExpiresSoon",
            "The certificate of blog.example.com expires in 20 days",
            "The certificate is renewed by hand.",
        ),
        "blog",
        "blog-1",
    ),
    alarm(
        Tool::Datadog,
        Bad::Warning,
        ("ci.queue.wait", "Builds wait 9 min for an agent", "The queue of the build agents is long."),
        "ci",
        "ci-1",
    ),
];

/// What goes up and down.
pub const FLAPS: Alarm = alarm(
    Tool::Grafana,
    Bad::Warning,
    ("MailQueueGrowing", "The mail queue of mail-relay holds 900 messages", "The queue crosses its threshold."),
    "mail-relay",
    "mail-1",
);

/// Something that happened before, and what people found.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// What alerts, one after the other.
    pub alarms: &'static [Alarm],
    /// A deploy of this service came before it.
    pub deployed: Option<&'static str>,
    /// What people said it was.
    pub cause: Option<&'static str>,
    /// How often, against the others.
    pub weight: u64,
    /// Times each alert is repeated.
    pub repeats: u64,
    /// Somebody takes it.
    pub taken: bool,
}

/// All of them.
pub const SCENES: [Scene; 7] = [
    Scene {
        alarms: &[CASCADE[0], CASCADE[1], CASCADE[3], CASCADE[5]],
        deployed: Some("payments"),
        cause: Some("payments"),
        weight: 2,
        repeats: 2,
        taken: true,
    },
    Scene {
        alarms: &[
            alarm(
                Tool::Netdata,
                Bad::Critical,
                ("disk_fill_rate", "disk fill rate = 98.5%", "Total space utilization of disk /var/lib/postgresql"),
                "orders-db",
                "orders-db-1",
            ),
            alarm(
                Tool::Alertmanager,
                Bad::Critical,
                ("PostgresCannotWrite", "orders-db refuses writes", "No space left on device on orders-db-1."),
                "orders-db",
                "orders-db-1",
            ),
            alarm(
                Tool::Grafana,
                Bad::Error,
                ("OrdersFailing", "orders-api fails to store orders", "orders-api gets errors from orders-db."),
                "orders-api",
                "orders-1",
            ),
        ],
        deployed: None,
        cause: Some("orders-db"),
        weight: 2,
        repeats: 3,
        taken: true,
    },
    Scene {
        alarms: &[
            alarm(
                Tool::Grafana,
                Bad::Error,
                ("SearchLatencyHigh", "p95 latency of search-api is 2.1 s", "Queries of search-api are slow."),
                "search-api",
                "search-1",
            ),
            alarm(
                Tool::Datadog,
                Bad::Error,
                ("search.timeouts", "Searches time out on storefront", "search-api answers too late for storefront."),
                "storefront",
                "web-1",
            ),
        ],
        deployed: Some("search-api"),
        cause: Some("search-api"),
        weight: 3,
        repeats: 1,
        taken: true,
    },
    Scene {
        alarms: &[alarm(
            Tool::Sentry,
            Bad::Error,
            ("TypeError", "TypeError: cart is undefined", "cart is undefined in storefront"),
            "storefront",
            "web-2",
        )],
        deployed: Some("storefront"),
        cause: Some("storefront"),
        weight: 2,
        repeats: 0,
        taken: true,
    },
    Scene {
        alarms: &[alarm(
            Tool::Alertmanager,
            Bad::Error,
            ("InstanceDown", "web-3 is down", "No scrape for 5 minutes."),
            "storefront",
            "web-3",
        )],
        deployed: None,
        cause: None,
        weight: 2,
        repeats: 2,
        taken: true,
    },
    Scene { alarms: &[NOISE[0]], deployed: None, cause: None, weight: 5, repeats: 9, taken: false },
    Scene { alarms: &[NOISE[2]], deployed: None, cause: None, weight: 3, repeats: 4, taken: false },
];

/// The services, and who calls whom.
pub fn services() -> Vec<Service> {
    let service = |name: &str, calls: &[&str], hosts: &[&str]| Service {
        name: name.to_owned(),
        depends_on: calls.iter().map(|s| (*s).to_owned()).collect(),
        hosts: hosts.iter().map(|s| (*s).to_owned()).collect(),
        owner: Some("shop team".to_owned()),
        ..Service::default()
    };
    // What each calls is known of all of them: else two that begin in the same quiet minute would be taken for one trouble.
    vec![
        service("edge-gateway", &["storefront"], &["edge-1"]),
        service("storefront", &["checkout-api", "search-api"], &["web-1", "web-2", "web-3"]),
        service("checkout-api", &["payments", "orders-api"], &["checkout-1"]),
        service("payments", &["payments-db"], &["payments-1", "payments-2"]),
        service("payments-db", &["block-storage"], &["payments-db-1"]),
        service("orders-api", &["orders-db"], &["orders-1"]),
        service("orders-db", &["block-storage"], &["orders-db-1"]),
        service("search-api", &["search-index"], &["search-1"]),
        service("notify", &["payments"], &["notify-1"]),
        service("mail-relay", &["smtp-pool"], &["mail-1"]),
        service("backup", &["object-store"], &["backup-1"]),
        service("blog", &["cms-db"], &["blog-1"]),
        service("ci", &["artifact-store"], &["ci-1"]),
    ]
}
