//! The bodies of the Notification plugin, of a pipeline step that posts flat fields, and of the Outbound WebHook plugin.

use crate::{
    connectors::{
        fields::Obj,
        labels::{self, Labels},
        text,
    },
    model::Time,
};

/// As much of a log's end as helps.
const LOG: usize = 3 << 10;

/// A build, however it was told.
pub(super) struct Build {
    /// Host and, with several controllers behind one, the path of the controller.
    pub server: Option<String>,
    /// With its folders.
    pub job: String,
    pub number: Option<String>,
    /// SUCCESS, FAILURE, …; none while it is not known.
    pub status: Option<String>,
    pub phase: Option<String>,
    pub url: Option<String>,
    pub commit: Option<String>,
    pub branch: Option<String>,
    pub service: Option<String>,
    pub environment: Option<String>,
    pub at: Option<Time>,
    pub details: Labels,
    deployment: bool,
}

pub(super) fn build(root: Obj<'_>) -> Option<Build> {
    if root.object("build").exists() {
        return Some(notification(root, root.object("build")));
    }
    if ["result", "build_number"].iter().any(|name| root.has(name)) {
        return Some(step(root));
    }
    (root.has("buildName") || root.has("buildUrl")).then(|| outbound(root))
}

/// The Notification plugin's body.
fn notification(root: Obj<'_>, build: Obj<'_>) -> Build {
    let scm = build.object("scm");
    let parameters = labels::read(build.get("parameters"));
    let branch = scm.text("branch").as_deref().and_then(branch_name);
    // `fullUrl` until version 1.4 of the plugin.
    let url = ["full_url", "fullUrl", "url"].iter().find_map(|name| build.url(name));
    let relative = root.text("url").filter(|u| u.contains("job/"));
    let job = relative
        .or_else(|| url.clone())
        .as_deref()
        .and_then(|u| job_of(u, build.text("number").as_deref()))
        .or_else(|| root.first(&["name", "display_name"]))
        .unwrap_or_else(|| "unnamed job".to_owned());
    let mut details = Labels::new();
    for (name, value) in [
        ("branch", branch.clone()),
        ("commit", scm.text("commit")),
        ("repository", scm.text("url")),
        ("build_number", build.text("number")),
        ("duration_ms", build.text("duration").filter(|d| d != "0")),
        ("culprits", Some(names(scm, "culprits"))),
        ("changes", Some(names(scm, "changes"))),
        ("notes", build.text("notes")),
        ("tests", tests(build.object("test_summary"))),
        ("log", build.text("log").map(|log| tail(&log))),
    ] {
        labels::add(&mut details, name, value.as_deref());
    }
    let parameter = |names: &[&str]| labels::first(&parameters, names);
    Build {
        server: url.as_deref().and_then(server_of),
        service: parameter(&["service", "service_name", "app"]).or_else(|| service_of(&job, branch.as_deref())),
        environment: parameter(&["environment", "env", "deploy_env", "stage"]),
        number: build.text("number"),
        status: build
            .text("status")
            .map(|s| s.to_ascii_uppercase())
            .map(|s| if s == "FAILED" { "FAILURE".into() } else { s }),
        phase: build.text("phase").map(|p| p.to_ascii_uppercase()),
        commit: scm.text("commit").and_then(|c| text::name(&c)),
        at: build.time("timestamp"),
        deployment: deploys(&job),
        details,
        branch,
        url,
        job,
    }
}

/// Flat fields, as a pipeline step writes them.
fn step(root: Obj<'_>) -> Build {
    let git = root.object("git");
    let of_git = |name: &str| git.text(name).or_else(|| root.text(name));
    let url = root.url("build_url");
    let branch = of_git("branch").as_deref().and_then(branch_name);
    let named = root.first(&["job_name", "service"]);
    let job = named
        .or_else(|| url.as_deref().and_then(|u| job_of(u, root.text("build_number").as_deref())))
        .unwrap_or_else(|| "unnamed job".to_owned());
    let commit = of_git("commit_sha").or_else(|| of_git("commit"));
    let mut details = Labels::new();
    for (name, value) in [
        ("branch", branch.clone()),
        ("commit", commit.clone()),
        ("repository", of_git("repository")),
        ("build_number", root.text("build_number")),
        ("duration_ms", root.text("duration_ms")),
        ("deployer", root.text("deployer")),
        ("environment", root.text("environment")),
        ("trace_id", root.text("trace_id")),
        ("log", root.text("log").map(|log| tail(&log))),
    ] {
        labels::add(&mut details, name, value.as_deref());
    }
    let service = root.text("service").and_then(|s| text::name(&s));
    Build {
        server: url.as_deref().and_then(server_of),
        service: service.or_else(|| service_of(&job, branch.as_deref())),
        environment: Some(root.text("environment").and_then(|e| text::name(&e)).unwrap_or_else(|| "production".into())),
        number: root.text("build_number"),
        status: root.first(&["result", "status"]).map(|s| s.to_ascii_uppercase()),
        phase: None,
        commit: commit.and_then(|c| text::name(&c)),
        at: ["timestamp", "finished_at", "started_at"].iter().find_map(|name| root.time(name)),
        deployment: root.text("event_type").is_none_or(|t| t.eq_ignore_ascii_case("deployment")),
        details,
        branch,
        url,
        job,
    }
}

/// The Outbound WebHook plugin's body.
fn outbound(root: Obj<'_>) -> Build {
    let url = root.url("buildUrl");
    let job = url
        .as_deref()
        .and_then(|u| job_of(u, None))
        .or_else(|| root.text("buildName"))
        .unwrap_or_else(|| "unnamed job".to_owned());
    let event = root.text("event").unwrap_or_default().to_ascii_lowercase();
    Build {
        server: url.as_deref().and_then(server_of),
        service: service_of(&job, None),
        environment: labels::environment(&labels::read(root.get("buildVars"))),
        number: None,
        status: match event.as_str() {
            "success" => Some("SUCCESS".to_owned()),
            "failure" => Some("FAILURE".to_owned()),
            _ => None,
        },
        phase: Some(event.to_ascii_uppercase()).filter(|e| !e.is_empty()),
        commit: None,
        branch: None,
        at: None,
        details: Labels::new(),
        deployment: deploys(&job),
        url,
        job,
    }
}

impl Build {
    /// Whether it has not come to its end.
    pub fn running(&self) -> bool {
        matches!(self.phase.as_deref(), Some("QUEUED" | "STARTED" | "START"))
    }

    pub fn deploys(&self) -> bool {
        self.deployment
    }

    /// `team/api-build #42`.
    pub fn label(&self) -> String {
        let job = text::line(&self.job, 300);
        self.number.as_deref().map_or_else(|| job.clone(), |n| format!("{job} #{}", text::line(n, 20)))
    }

    pub fn description(&self) -> Option<String> {
        let lines: Vec<String> =
            [("Branch", "branch"), ("Commit", "commit"), ("Culprits", "culprits"), ("Tests", "tests"), ("Log", "log")]
                .into_iter()
                .filter_map(|(name, key)| {
                    let gap = if key == "log" { "\n" } else { " " };
                    Some(format!("{name}:{gap}{}", self.details.get(key)?))
                })
                .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// `team/api-build` of `job/team/job/api-build/` or of a link to a build of it.
fn job_of(url: &str, number: Option<&str>) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let mut segments = path.split('/').filter(|s| !s.is_empty());
    let mut names = Vec::new();
    while let Some(segment) = segments.next() {
        if segment == "job" {
            names.extend(segments.next());
        }
    }
    // A job may be called `job`, and nothing in the path may be one; then the number alone is no name.
    let name = names.join("/");
    (!name.is_empty() && Some(name.as_str()) != number).then_some(name)
}

/// `ci.example.com/controller-a` of a link to a build.
fn server_of(url: &str) -> Option<String> {
    let host = text::url_host(url)?;
    let (_, rest) = url.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    let before = path.split("job/").next().unwrap_or("").trim_matches('/');
    Some(if before.is_empty() || before == path.trim_matches('/') { host } else { format!("{host}/{before}") })
}

/// Branches of remotes are the same branches.
fn branch_name(branch: &str) -> Option<String> {
    let branch = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    text::name(branch.strip_prefix("origin/").unwrap_or(branch))
}

/// The job's own name; in a multibranch project, where that is the branch, the project's.
fn service_of(job: &str, branch: Option<&str>) -> Option<String> {
    let mut segments = job.rsplit('/');
    let last = segments.next()?;
    let plain = last.replace("%2F", "/").replace("%252F", "/");
    text::name(if branch == Some(plain.as_str()) { segments.next().unwrap_or(last) } else { last })
}

fn deploys(job: &str) -> bool {
    job.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| ["deploy", "deployment", "release", "rollout"].iter().any(|d| word.eq_ignore_ascii_case(d)))
}

fn names(scm: Obj<'_>, field: &str) -> String {
    let all = scm
        .list(field)
        .iter()
        .filter_map(|v| text::scalar(v).or_else(|| Obj::of(Some(v)).first(&["fullName", "name"])));
    all.take(10).collect::<Vec<_>>().join(", ")
}

fn tests(summary: Obj<'_>) -> Option<String> {
    let (failed, total) = (summary.text("failed")?, summary.text("total")?);
    let which: Vec<String> = summary
        .list("failed_tests")
        .iter()
        .filter_map(|t| text::scalar(t).or_else(|| Obj::of(Some(t)).first(&["name", "className"])))
        .take(5)
        .collect();
    let which = if which.is_empty() { String::new() } else { format!(": {}", which.join(", ")) };
    Some(format!("{failed} of {total} failed{which}"))
}

/// The end of a log, from the beginning of a line where there is one.
fn tail(log: &str) -> String {
    let start = log.len().saturating_sub(LOG);
    let start = (start..=log.len()).find(|i| log.is_char_boundary(*i)).unwrap_or(0);
    let end = log.get(start..).unwrap_or(log);
    if start == 0 { end.to_owned() } else { end.split_once('\n').map_or(end, |(_, whole)| whole).to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_and_servers() {
        for (url, job) in [
            ("job/folder/job/api-build/", Some("folder/api-build")),
            ("https://ci.example.com/job/api-build/42/", Some("api-build")),
            ("https://ci.example.com/team-a/job/x/job/main/7/?a=b", Some("x/main")),
            ("https://ci.example.com/42/", None),
        ] {
            assert_eq!(job_of(url, Some("42")).as_deref(), job, "{url}");
        }
        for (url, server) in [
            ("https://ci.example.com/job/api-build/42/", "ci.example.com"),
            ("https://CI.example.com:8443/team-a/job/x/7/", "ci.example.com/team-a"),
            ("https://ci.example.com/x", "ci.example.com"),
        ] {
            assert_eq!(server_of(url).as_deref(), Some(server), "{url}");
        }
    }

    #[test]
    fn services_of_multibranch_jobs_are_not_branches() {
        assert_eq!(service_of("team/api-build", Some("main")).as_deref(), Some("api-build"));
        assert_eq!(service_of("shop/main", Some("main")).as_deref(), Some("shop"));
        assert_eq!(service_of("shop/feature%2Fx", Some("feature/x")).as_deref(), Some("shop"));
    }

    #[test]
    fn logs_keep_their_end() {
        let log = format!("{}\nlast line", "ä".repeat(5000));
        assert_eq!(tail(&log), "last line");
        assert_eq!(tail("short"), "short");
    }
}
