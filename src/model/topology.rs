//! What makes a list of declared services one that can be kept.

use std::collections::{BTreeSet, HashMap};

use super::Service;

/// Services that can be declared.
pub const MAX_SERVICES: usize = 5_000;
/// Dependencies of all services together.
pub const MAX_EDGES: usize = 50_000;
/// Aliases, and hosts, of one service.
pub const MAX_NAMES: usize = 200;
/// Characters of a name.
pub const MAX_NAME: usize = 255;
/// Characters of what is no name: addresses, selectors.
pub const MAX_TEXT: usize = 2_000;
/// Mistakes told at once.
const TOLD: usize = 100;

/// Names as they are compared.
pub fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// What is wrong with one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, as a JSON pointer.
    pub path: String,
    /// What, and what would be right.
    pub what: String,
}

impl Mistake {
    /// At a place.
    pub fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: what.into() }
    }
}

impl Service {
    /// Without spaces around names, without empty and repeated ones, and without aliases that say the name again.
    pub fn tidy(mut self) -> Self {
        self.name = self.name.trim().to_owned();
        let name = name_key(&self.name);
        for (names, known) in [(&mut self.aliases, Some(name)), (&mut self.depends_on, None), (&mut self.hosts, None)] {
            let mut seen: BTreeSet<String> = known.into_iter().collect();
            let tidied = names.iter().map(|n| n.trim().to_owned());
            *names = tidied.filter(|n| !n.is_empty() && seen.insert(name_key(n))).collect();
        }
        for text in [&mut self.owner, &mut self.tier, &mut self.runbook_url, &mut self.prometheus, &mut self.netdata] {
            *text = text.take().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        }
        self
    }

    /// Every name that it goes by, as they are compared.
    pub fn keys(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::once(&self.name).chain(&self.aliases).map(|n| name_key(n))
    }

    /// What is wrong with it by itself; `at` is the pointer to it.
    fn mistakes(&self, at: &str, found: &mut Vec<Mistake>) {
        if self.name.is_empty() {
            found.push(Mistake { path: format!("{at}/name"), what: "a service needs a name".to_owned() });
        }
        named(&format!("{at}/name"), &self.name, found);
        for (field, names) in [("aliases", &self.aliases), ("hosts", &self.hosts), ("depends_on", &self.depends_on)] {
            if field != "depends_on" && names.len() > MAX_NAMES {
                let what = format!("at most {MAX_NAMES}; there are {}", names.len());
                found.push(Mistake { path: format!("{at}/{field}"), what });
            }
            for (n, name) in names.iter().enumerate() {
                named(&format!("{at}/{field}/{n}"), name, found);
            }
        }
        let own: BTreeSet<String> = self.keys().collect();
        for (n, name) in self.depends_on.iter().enumerate().filter(|(_, d)| own.contains(&name_key(d))) {
            let what = format!("`{}` cannot depend on itself", short(name));
            found.push(Mistake { path: format!("{at}/depends_on/{n}"), what });
        }
        for (field, text, most) in [
            ("owner", &self.owner, MAX_NAME),
            ("tier", &self.tier, MAX_NAME),
            ("runbook_url", &self.runbook_url, MAX_TEXT),
            ("prometheus", &self.prometheus, MAX_TEXT),
            ("netdata", &self.netdata, MAX_TEXT),
        ] {
            if text.as_ref().is_some_and(|t| t.chars().nth(most).is_some()) {
                found.push(Mistake { path: format!("{at}/{field}"), what: format!("at most {most} characters") });
            }
        }
    }
}

/// What is wrong with a name as such.
fn named(path: &str, name: &str, found: &mut Vec<Mistake>) {
    if name.chars().nth(MAX_NAME).is_some() {
        found.push(Mistake { path: path.to_owned(), what: format!("at most {MAX_NAME} characters") });
    }
    if name.chars().any(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        let what = "no control characters, such as line ends or those that turn the direction of text".to_owned();
        found.push(Mistake { path: path.to_owned(), what });
    }
}

fn short(name: &str) -> String {
    name.chars().take(60).collect()
}

/// What is wrong with tidy services that are to stand together, each with the pointer to it. Of two that want the same
/// name, the later one is wrong. Names of services that are not among them are nothing wrong, nor are loops.
pub fn mistakes<'a>(services: impl Iterator<Item = (String, &'a Service)>) -> Vec<Mistake> {
    let mut found = Vec::new();
    let mut taken: HashMap<String, &Service> = HashMap::new();
    let (mut count, mut edges) = (0, 0);
    for (at, service) in services {
        count += 1;
        edges += service.depends_on.len();
        service.mistakes(&at, &mut found);
        for (n, (key, name)) in service.keys().zip(std::iter::once(&service.name).chain(&service.aliases)).enumerate() {
            if let Some(other) = taken.insert(key, service).filter(|_| !name.is_empty()) {
                let path = if n == 0 { format!("{at}/name") } else { format!("{at}/aliases/{}", n - 1) };
                let what = format!("`{}` is a name of the service `{}` already", short(name), short(&other.name));
                found.push(Mistake { path, what });
            }
        }
        if found.len() >= TOLD {
            break;
        }
    }
    if count > MAX_SERVICES {
        found.insert(0, Mistake { path: "/services".to_owned(), what: format!("at most {MAX_SERVICES} services") });
    }
    if edges > MAX_EDGES {
        let what = format!("at most {MAX_EDGES} dependencies of all services together");
        found.insert(0, Mistake { path: "/services".to_owned(), what });
    }
    found.truncate(TOLD);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, aliases: &[&str], depends_on: &[&str]) -> Service {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Service { name: name.into(), aliases: owned(aliases), depends_on: owned(depends_on), ..Service::default() }
    }

    fn check(services: &[Service], want: &[&str]) {
        let tidy: Vec<Service> = services.iter().cloned().map(Service::tidy).collect();
        let found = mistakes(tidy.iter().enumerate().map(|(n, s)| (format!("/services/{n}"), s)));
        let paths: Vec<&str> = found.iter().map(|m| m.path.as_str()).collect();
        assert_eq!(paths, want, "{found:?}");
    }

    #[test]
    fn a_name_belongs_to_one_service_and_loops_are_allowed() {
        let long = "x".repeat(256);
        check(&[service("a", &[], &["b", "ghost"]), service("b", &[], &["a"])], &[]);
        check(&[service("a", &["x"], &[]), service(" A ", &[], &[])], &["/services/1/name"]);
        check(&[service("a", &["x"], &[]), service("b", &["y", " X"], &[])], &["/services/1/aliases/1"]);
        check(&[service("a", &["A", "a "], &[])], &[]);
        check(&[service("", &[], &[])], &["/services/0/name"]);
        check(&[service("  ", &[], &[]), service("", &[], &[])], &["/services/0/name", "/services/1/name"]);
        check(&[service(&long, &[], &[])], &["/services/0/name"]);
        check(&[service("a\u{202e}b", &[], &["\u{2066}x"])], &["/services/0/name", "/services/0/depends_on/0"]);
        check(&[service("a\nb", &["ok", "a\u{0}"], &[])], &["/services/0/name", "/services/0/aliases/1"]);
        check(&[service("a", &["other"], &["b", " OTHER "])], &["/services/0/depends_on/1"]);
    }

    #[test]
    fn there_are_bounds() {
        let many: Vec<String> = (0..201).map(|n| format!("h{n}")).collect();
        let crowded = Service { name: "a".into(), hosts: many.clone(), aliases: many, ..Service::default() };
        check(&[crowded], &["/services/0/aliases", "/services/0/hosts"]);
        let services: Vec<Service> = (0..5_001).map(|n| service(&format!("s{n}"), &[], &[])).collect();
        check(&services[..5_000], &[]);
        check(&services, &["/services"]);
        let wide: Vec<String> = (0..501).map(|n| format!("d{n}")).collect();
        let hubs: Vec<Service> = (0..100)
            .map(|n| Service { name: format!("s{n}"), depends_on: wide.clone(), ..Service::default() })
            .collect();
        check(&hubs, &["/services"]);
    }

    #[test]
    fn tidying_takes_away_what_says_nothing() {
        let untidy = Service {
            owner: Some("  ".into()),
            tier: Some(" gold ".into()),
            ..service(" a ", &["A", "b", "", " B "], &["c", "C", " "])
        };
        let tidy = Service { tier: Some("gold".into()), ..service("a", &["b"], &["c"]) };
        assert_eq!(untidy.tidy(), tidy);
        assert_eq!(tidy.clone().tidy(), tidy);
    }
}
