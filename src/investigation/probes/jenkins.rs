//! Jenkins: the console text of a build that failed, its first failing lines. Only at the configured address, and only
//! paths that are those of a build; where they come from an alert, nothing else of its link is used.
//! `logText/progressiveText` gives a part of the text and says in `X-Text-Size` how long it is.

use std::sync::Arc;

use super::{Probe, Question, Reply, Scene, Settings, Step, Wanted, What, credentials, lines};
use crate::{
    investigation::finding::Found,
    model::*,
    outgoing::{Url, address},
};

/// Builds that are looked at.
const BUILDS: usize = 2;
/// What is read first, in bytes: most builds are shorter.
const FIRST: usize = 128 << 10;
/// Lines that are told when none tells of failure.
const LAST: usize = 3;

#[derive(Debug)]
struct Jenkins {
    settings: Arc<Settings>,
    builds: Vec<Build>,
    // What lines are to have in them; none for those that tell of failure.
    text: Option<String>,
}

#[derive(Clone, Debug)]
struct Build {
    /// `job/shop/job/main/17`.
    path: String,
    service: Option<String>,
    at: Time,
    /// It begins here, since what is before is too much.
    from: u64,
}

pub(super) fn probe(settings: &Arc<Settings>) -> Box<dyn Probe> {
    Box::new(Jenkins { settings: Arc::clone(settings), builds: Vec::new(), text: None })
}

impl Probe for Jenkins {
    fn begin(&mut self, scene: &Scene) -> Vec<Question> {
        let Some(base) = self.settings.given.jenkins.clone() else { return Vec::new() };
        let alerts = scene.alerts.iter().map(|(a, _)| (a.source_url.as_deref(), &a.service, a.onset_at));
        let failed = |c: &&Change| c.outcome.as_deref().is_some_and(|o| !o.eq_ignore_ascii_case("success"));
        let changes = scene.changes.iter().filter(failed);
        let changes = changes.map(|c| (c.url.as_deref(), &c.service, c.at.unwrap_or(scene.onset)));
        for (link, service, at) in alerts.chain(changes) {
            let Some(path) = link.and_then(|l| build(&base, l)) else { continue };
            if self.builds.len() < BUILDS && !self.builds.iter().any(|b| b.path == path) {
                self.builds.push(Build { path, service: service.clone(), at, from: 0 });
            }
        }
        (0..self.builds.len()).filter_map(|n| self.question(&base, n)).collect()
    }

    fn wanted(&mut self, scene: &Scene, wanted: &Wanted) -> Vec<Question> {
        let What::Lines(text) = &wanted.what else { return Vec::new() };
        if wanted.host.is_some() {
            return Vec::new();
        }
        self.text = text.clone();
        let questions = self.begin(scene);
        questions
            .into_iter()
            .filter(|q| wanted.service.is_none() || q.service.as_deref().is_some_and(|s| wanted.service(s)))
            .collect()
    }

    fn read(&mut self, scene: &Scene, question: &Question, reply: &Reply) -> Result<Step, &'static str> {
        let Some(build) = self.builds.get(question.tag).cloned() else { return Ok(Step::default()) };
        let size = reply.header.as_deref().and_then(|h| h.parse::<u64>().ok());
        if reply.cut && build.from == 0 {
            // The end of it tells more than the beginning.
            let most = u64::try_from(self.settings.given.max_answer).unwrap_or(u64::MAX);
            let base = self.settings.given.jenkins.clone();
            if let (Some(size), Some(base)) = (size, base) {
                // A little less than may come, for what is written meanwhile.
                let from = size.saturating_sub(most / 10 * 9).max(1);
                self.builds.push(Build { from, ..build });
                let further = self.question(&base, self.builds.len() - 1).into_iter().collect();
                return Ok(Step { further, ..Step::default() });
            }
        }
        let all = reply.text.lines().map(|line| ((), line));
        let found = match &self.text {
            Some(text) => lines::with(text, all),
            None => lines::telling(all),
        };
        let mut told: Vec<String> = found.lines.into_iter().map(|((), line)| line).collect();
        if told.is_empty() && self.text.is_some() {
            return Ok(Step { findings: vec![question.found(scene.until, Found::Quiet)], ..Step::default() });
        }
        if told.is_empty() {
            let text = reply.text.lines().rev().map(lines::shown).filter(|l| !l.is_empty());
            told = text.take(LAST).collect();
            told.reverse();
        }
        if told.is_empty() {
            return Ok(Step::note(format!("the console of {} is empty", build.path)));
        }
        let finding = question.found(build.at.min(scene.until), Found::Lines { lines: told, count: found.count });
        Ok(Step { findings: vec![finding], ..Step::default() })
    }

    fn refused(&self, question: &Question, status: u16) -> Option<String> {
        (status == 404).then(|| format!("Jenkins no longer has the console of {}", question.query))
    }
}

impl Jenkins {
    fn question(&self, base: &Url, n: usize) -> Option<Question> {
        let build = self.builds.get(n)?;
        let who = credentials(self.settings.given.jenkins_credentials.as_ref());
        let path = format!("{}/logText/progressiveText", build.path);
        let question = Question::new(Tool::Jenkins, base, &path, &[("start", &build.from.to_string())], who);
        Some(Question {
            tag: n,
            most: Some(if build.from == 0 { FIRST } else { usize::MAX }),
            wants: Some("x-text-size"),
            service: build.service.clone(),
            link: Some(address::under(base, &format!("{}/console", build.path), &[]).into()),
            ..question
        })
    }
}

/// The path of a build below the base, when this link is one: `job/NAME`, maybe several times, and a number.
fn build(base: &Url, link: &str) -> Option<String> {
    let link = Url::parse(link).ok()?;
    if link.origin() != base.origin() {
        return None;
    }
    let below = link.path().strip_prefix(base.path().trim_end_matches('/'))?;
    let segments: Vec<&str> = below.trim_start_matches('/').split('/').collect();
    let mut path = Vec::new();
    let mut rest = segments.as_slice();
    while let ["job", name, after @ ..] = rest {
        // Paths of addresses are percent-encoded and have no dots that climb.
        (!name.is_empty()).then_some(())?;
        path.extend(["job", name]);
        rest = after;
    }
    let number = rest.first().filter(|n| !n.is_empty() && n.len() < 12 && n.bytes().all(|b| b.is_ascii_digit()))?;
    if path.is_empty() {
        return None;
    }
    path.push(number);
    Some(path.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_builds_of_the_configured_jenkins() {
        let check = |base: &str, link: &str, want: Option<&str>| {
            assert_eq!(build(&Url::parse(base).unwrap(), link).as_deref(), want, "{link}");
        };
        let base = "https://ci.example/jenkins/";
        check(base, "https://ci.example/jenkins/job/shop/17/", Some("job/shop/17"));
        check(base, "https://ci.example/jenkins/job/a/job/b%20c/3/console", Some("job/a/job/b%20c/3"));
        check(base, "https://ci.example/job/shop/17/", None);
        check(base, "https://other.example/jenkins/job/shop/17/", None);
        check(base, "http://ci.example/jenkins/job/shop/17/", None);
        check(base, "https://ci.example/jenkins/job/shop/doDelete", None);
        check(base, "https://ci.example/jenkins/job/../../17/", None);
        check(base, "https://ci.example/jenkins/scriptText", None);
        check(base, "https://ci.example/jenkins/17", None);
        check(base, "https://ci.example/jenkins/job//17", None);
        check("http://ci:8080", "http://ci:8080/job/x/1", Some("job/x/1"));
        check("http://ci:8080", "http://ci/job/x/1", None);
        check("http://ci:8080", "not a link", None);
    }
}
