//! Names as the correlator compares them: tools write the same service and the same machine in several ways.

/// A name in the form in which it is compared, as a number: small, quick to look up, and the same on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Words around a name that say where or as what it runs, not what it is.
const BEFORE: &[&str] = &[
    "svc",
    "service",
    "prod",
    "production",
    "prd",
    "live",
    "staging",
    "stage",
    "stg",
    "dev",
    "test",
    "qa",
    "uat",
    "deployment",
    "statefulset",
    "daemonset",
];
const AFTER: &[&str] = &[
    "prod",
    "production",
    "prd",
    "live",
    "staging",
    "stage",
    "stg",
    "dev",
    "test",
    "qa",
    "uat",
    "deploy",
    "deployment",
    "svc",
];
/// What follows a machine's own name inside its owner's network.
const DOMAINS: &[&str] = &[
    "internal",
    "ec2",
    "compute",
    "local",
    "localdomain",
    "lan",
    "corp",
    "home",
    "example",
    "cluster",
    "svc",
    "intra",
];

/// Makes keys a character at a time, so that many windows of a text cost one pass.
#[derive(Clone, Copy, Debug)]
pub struct Hasher(u64);

impl Default for Hasher {
    /// Of no characters.
    fn default() -> Self {
        Self(OFFSET)
    }
}

impl Hasher {
    /// Letters and digits count, without case; everything else does not.
    pub fn push(&mut self, text: &str) {
        for c in text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase) {
            self.0 = (self.0 ^ u64::from(u32::from(c))).wrapping_mul(PRIME);
        }
    }

    /// The key of what was pushed.
    pub const fn key(self) -> Key {
        Key(self.0)
    }
}

/// The key of a text: letters and digits without case.
pub fn plain(text: &str) -> Key {
    let mut hasher = Hasher::default();
    hasher.push(text);
    hasher.key()
}

/// The key of an environment: its usual short forms mean the same.
pub fn environment(name: &str) -> Key {
    const SAME: &[(&str, &[&str])] = &[
        ("production", &["prod", "prd", "live"]),
        ("staging", &["stage", "stg", "stag", "preprod", "pre-production"]),
        ("development", &["dev", "devel"]),
        ("testing", &["test", "tst", "qa"]),
    ];
    let name = name.trim();
    let long = SAME.iter().find(|(_, short)| short.iter().any(|s| s.eq_ignore_ascii_case(name)));
    plain(long.map_or(name, |(long, _)| long))
}

/// Whether a text has neither letters nor digits, as what stands in a field that somebody left out: `-`, `*`.
pub fn says_nothing(text: &str) -> bool {
    !text.chars().any(char::is_alphanumeric)
}

/// A service's name without what says where it runs: environments, kinds of Kubernetes objects, cluster domains, the
/// random end of a pod's name.
pub fn bare_service(name: &str) -> &str {
    let mut bare = name.trim();
    if let Some(i) = bare.find(".svc") {
        // name.namespace.svc.cluster.local
        bare = bare.get(..i).and_then(|b| b.split('.').next()).unwrap_or(bare);
    }
    loop {
        let shorter = strip(without_pod(bare)).trim();
        if shorter.len() == bare.len() {
            return bare;
        }
        bare = shorter;
    }
}

fn strip(name: &str) -> &str {
    const SEPARATORS: [char; 5] = ['-', '_', '/', '.', ' '];
    let is = |words: &[&str], part: &str| words.iter().any(|w| w.eq_ignore_ascii_case(part));
    if let Some((first, rest)) = name.split_once(SEPARATORS)
        && is(BEFORE, first)
        && !rest.is_empty()
    {
        return rest;
    }
    if let Some((rest, last)) = name.rsplit_once(SEPARATORS)
        && is(AFTER, last)
        && !rest.is_empty()
    {
        return rest;
    }
    name
}

/// `checkout-api-7d9f8b6c5-x2x9z` is a pod of `checkout-api`.
fn without_pod(name: &str) -> &str {
    let random = |part: &str, sizes: std::ops::RangeInclusive<usize>| {
        sizes.contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && part.bytes().any(|b| b.is_ascii_digit())
    };
    match name.rsplit_once('-').and_then(|(rest, last)| Some((rest.rsplit_once('-')?, last))) {
        Some(((rest, set), last)) if random(set, 8..=10) && last.len() == 5 && !rest.is_empty() => rest,
        _ => name,
    }
}

/// A machine's name without port and without the domain of the house.
pub fn host(name: &str) -> String {
    let name = name.trim();
    let name = match name.rsplit_once(':') {
        Some((before, port)) if !before.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => before,
        _ => name,
    };
    let mut labels = name.split('.');
    let mut kept: String = labels.next().unwrap_or_default().to_lowercase();
    let mut rest = Vec::new();
    for label in labels {
        let label = label.to_lowercase();
        if DOMAINS.contains(&label.as_str()) {
            return kept;
        }
        rest.push(label);
    }
    for label in rest {
        kept.push('.');
        kept.push_str(&label);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services_are_compared_without_what_says_where_they_run() {
        for (name, want) in [
            ("checkout-api", "checkout-api"),
            ("svc/checkout-api", "checkout-api"),
            ("prod-checkout-api", "checkout-api"),
            ("checkout_api_prod", "checkout_api"),
            ("checkout-api-deploy", "checkout-api"),
            ("checkout-api.payments.svc.cluster.local", "checkout-api"),
            ("checkout-api-7d9f8b6c5-x2x9z", "checkout-api"),
            ("deployment/prod-checkout-api", "checkout-api"),
            ("prod", "prod"),
            ("service-", "service-"),
            ("", ""),
            // What is kept is read again: it must mean the same then.
            ("checkout-7d9f8b6c5-x2x9z-prod", "checkout"),
            ("a-7d9f8b6c5-x2x9z-7d9f8b6c5-x2x9z", "a"),
            ("prod - api", "- api"),
        ] {
            assert_eq!(bare_service(name), want, "{name}");
            assert_eq!(bare_service(want), want, "{name}");
        }
        assert_eq!(plain("Checkout API"), plain("checkout_api"));
        assert_ne!(plain("checkout-api"), plain("checkout-app"));
        assert_eq!(environment("Prod"), environment("production"));
        assert_eq!(environment("preprod"), environment("pre-production"));
        assert_ne!(environment("prod"), environment("staging"));
        assert_eq!(environment("eu-west"), plain("eu west"));
    }

    #[test]
    fn names_of_machines_are_compared_without_port_and_house() {
        for (name, want) in [
            ("DB-1.internal:9100", "db-1"),
            ("ip-10-0-0-1.ec2.internal", "ip-10-0-0-1"),
            ("web1.eu.acme.com", "web1.eu.acme.com"),
            ("10.1.2.3:9100", "10.1.2.3"),
            ("::1", "::1"),
            ("", ""),
        ] {
            assert_eq!(host(name), want, "{name}");
        }
    }
}
