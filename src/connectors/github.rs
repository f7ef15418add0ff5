//! GitHub: workflows, checks and deployments. Every one that ended is a change; with `rca_enabled`, failed ones fire and
//! the next good one resolves.

use super::{
    Connector, Info, Overload, Request, Signature, body,
    ended::{Ended, deploys, label},
    fields::Obj,
    labels,
    labels::Labels,
    signature, text,
};
use crate::model::{ChangeKind, Note, Parsed, Problem, Severity, SignalStatus};

pub(super) struct GitHub;

static INFO: Info = Info {
    slug: "github",
    name: "GitHub",
    tile: "Gh",
    way: "Webhook, runs and deployments",
    success: 202,
    overload: Overload::NeverRefuse,
    lenient: false,
    builds: true,
    signature: Some("X-Hub-Signature-256 with the Secret of the webhook"),
    steps: &[
        "In GitHub, open the repository's (or organisation's) Settings, Webhooks, and choose Add webhook.",
        "Set Payload URL to {url}/{key} and Content type to application/json. Or set it to {url}, invent a Secret, and \
         put the same one here as signing secret.",
        "Under Which events, choose Let me select individual events: Workflow runs and Deployment statuses; Check runs \
         only for checks of other apps than GitHub Actions. Take Pushes away.",
        "Choose Add webhook; the ping that GitHub sends then shows here as a delivery.",
        "Switch on RCA for builds here if failed runs are to open incidents; else they are kept as changes.",
    ],
    fields: &[
        ("Title", "the workflow, check or environment, with its branch and repository"),
        ("Severity", "conclusion failure, timed_out, startup_failure: high"),
        ("Service", "the repository's name"),
        ("Environment", "of a deployment"),
        ("Identity", "repository, workflow and branch; repository, check and branch; repository and environment"),
        ("State", "success resolves; cancelled, skipped, neutral, stale and action_required are only changes"),
        ("Change", "everything that has ended, with commit, branch and who began it"),
        ("Link", "html_url of the run, target_url of the deployment"),
    ],
    sample: include_str!("samples/github.json"),
};

impl Connector for GitHub {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let mut body = body::read(request)?;
        let mut parsed = Parsed { notes: std::mem::take(&mut body.notes), ..Parsed::default() };
        let root = body.object(INFO.name)?;
        let repository = root.object("repository").text("full_name");
        let event = request.header("x-github-event").map(|e| text::line(e, 60));
        match told(root) {
            Some(Ok(ended)) => {
                parsed.changes.push(ended.change(INFO.slug));
                if request.rca_enabled {
                    let mut signal = ended.signal(INFO.slug);
                    signal.repaired = body.repaired;
                    parsed.signals.push(signal);
                }
                // A run that was kept as a change may be sent again when failures are to open incidents.
                let rca = if request.rca_enabled { " rca" } else { "" };
                let sent =
                    request.header("x-github-delivery").map(|id| text::line(id, 200)).filter(|id| !id.is_empty());
                parsed.retry_id = sent.map(|id| format!("{id}{rca}"));
            }
            Some(Err(why)) => parsed.notes.push(Note::Ignored(why)),
            None if root.has("zen") || event.as_deref() == Some("ping") => {
                let of = repository.or_else(|| root.object("organization").text("login"));
                parsed
                    .notes
                    .push(Note::Ping(format!("Ping from GitHub for {}.", of.as_deref().unwrap_or("a webhook"))));
            }
            None if event.is_some() || repository.is_some() => {
                let what = event.unwrap_or_else(|| "no workflow, check or deployment".to_owned());
                parsed.notes.push(Note::Ignored(format!("Event {what}.")));
            }
            None => {
                let looked_for = "`workflow_run`, `check_run`, `check_suite` or `deployment_status`, and `repository`";
                return Err(body::unrecognised(INFO.name, looked_for, root));
            }
        }
        Ok(parsed)
    }

    fn verify(&self, request: &Request<'_>, secrets: &[&str]) -> Signature {
        signature::verify_hex(request, &["x-hub-signature-256"], secrets)
    }
}

/// None for another kind of event; an error says why this one is passed over.
fn told(root: Obj<'_>) -> Option<Result<Ended, String>> {
    let repository = root.object("repository");
    for (name, read) in [
        ("workflow_run", run as fn(Obj<'_>, Obj<'_>) -> Result<Ended, String>),
        ("check_run", check),
        ("check_suite", check),
    ] {
        // A check names the suite that it belongs to, so the event is the outermost of them.
        let item = root.object(name);
        if item.exists() && item.has("id") {
            let repository = if repository.exists() { repository } else { item.object("repository") };
            return Some(read(item, repository));
        }
    }
    let status = root.object("deployment_status");
    status.exists().then(|| deployment(status, root.object("deployment"), repository))
}

fn state(conclusion: &str) -> (SignalStatus, Severity, &'static str) {
    match conclusion {
        "success" => (SignalStatus::Resolved, Severity::Info, "succeeded"),
        "failure" | "error" => (SignalStatus::Firing, Severity::High, "failed"),
        "timed_out" => (SignalStatus::Firing, Severity::High, "timed out"),
        "startup_failure" => (SignalStatus::Firing, Severity::High, "could not start"),
        "cancelled" => (SignalStatus::Info, Severity::Info, "cancelled"),
        "skipped" => (SignalStatus::Info, Severity::Info, "skipped"),
        "action_required" => (SignalStatus::Info, Severity::Info, "needs an approval"),
        _ => (SignalStatus::Info, Severity::Info, "ended"),
    }
}

fn service(repository: Obj<'_>) -> Option<String> {
    repository.text("name").or_else(|| repository.text("full_name")?.rsplit('/').next().map(str::to_owned))
}

/// A branch of a fork may have the name of one of ours.
fn branch(item: Obj<'_>, repository: Obj<'_>) -> Option<String> {
    let branch = item.text("head_branch")?;
    match (item.object("head_repository").text("full_name"), repository.text("full_name")) {
        (Some(from), Some(own)) if from != own => Some(format!("{from}:{branch}")),
        _ => Some(branch),
    }
}

fn run(run: Obj<'_>, repository: Obj<'_>) -> Result<Ended, String> {
    let full_name = repository.text("full_name");
    // The name of a workflow that is no longer there is empty.
    let name = run.first(&["name", "display_title", "path"]).unwrap_or_else(|| "workflow".to_owned());
    let Some(conclusion) = run.text("conclusion") else {
        let state = run.text("status").unwrap_or_else(|| "not ended".to_owned());
        return Err(format!("Workflow {}: {}.", text::line(&name, 100), text::line(&state, 40)));
    };
    let branch = branch(run, repository);
    let commit = run.text("head_sha");
    let head = run.object("head_commit");
    let deploys = [Some(name.clone()), run.text("path")].into_iter().flatten().any(|n| deploys(&n));
    let mut details = Labels::new();
    for (field, value) in [
        ("branch", branch.clone()),
        ("commit", commit.clone()),
        ("commit_message", head.text("message")),
        ("author", head.object("author").text("name")),
        ("run_number", run.text("run_number")),
        ("attempt", run.text("run_attempt").filter(|n| n != "1")),
        ("event", run.text("event")),
        ("actor", run.object("triggering_actor").text("login").or_else(|| run.object("actor").text("login"))),
        ("title", run.text("display_title")),
        ("repository", full_name.clone()),
    ] {
        labels::add(&mut details, field, value.as_deref());
    }
    Ok(Ended {
        what: "Workflow",
        rule: "The workflow of the repository, and its branch.",
        label: label(Some(&name), branch.as_deref(), full_name.as_deref()),
        parts: vec![
            ("repository", full_name),
            ("workflow", run.text("workflow_id").or(Some(name))),
            ("branch", branch),
        ],
        kind: if deploys { ChangeKind::Deploy } else { ChangeKind::Build },
        state: state(&conclusion),
        outcome: conclusion,
        service: service(repository),
        environment: None,
        url: run.url("html_url"),
        commit,
        began: run.time("run_started_at").or_else(|| run.time("created_at")),
        ended: run.time("updated_at"),
        description: head.text("message"),
        details,
    })
}

fn check(check: Obj<'_>, repository: Obj<'_>) -> Result<Ended, String> {
    let app = check.object("app");
    let name = check.text("name").or_else(|| app.text("name")).unwrap_or_else(|| "check".to_owned());
    let short = text::line(&name, 100);
    if app.text("slug").as_deref() == Some("github-actions") {
        return Err(format!("Check {short}: GitHub Actions tells of it as a workflow run."));
    }
    let Some(conclusion) = check.text("conclusion") else {
        let state = check.text("status").unwrap_or_else(|| "not ended".to_owned());
        return Err(format!("Check {short}: {}.", text::line(&state, 40)));
    };
    let full_name = repository.text("full_name");
    let branch = branch(check, repository).or_else(|| branch(check.object("check_suite"), repository));
    let commit = check.text("head_sha");
    let output = check.object("output");
    let mut details = Labels::new();
    for (field, value) in [
        ("branch", branch.clone()),
        ("commit", commit.clone()),
        ("commit_message", check.object("head_commit").text("message")),
        ("app", app.first(&["name", "slug"])),
        ("output", output.text("title")),
        ("summary", output.text("summary")),
        ("repository", full_name.clone()),
    ] {
        labels::add(&mut details, field, value.as_deref());
    }
    Ok(Ended {
        what: "Check",
        rule: "The check of the repository, and its branch.",
        label: label(Some(&name), branch.as_deref(), full_name.as_deref()),
        kind: if deploys(&name) { ChangeKind::Deploy } else { ChangeKind::Build },
        parts: vec![
            ("repository", full_name),
            ("kind", Some("check".to_owned())),
            ("check", Some(name)),
            ("branch", branch),
        ],
        state: state(&conclusion),
        outcome: conclusion,
        service: service(repository),
        environment: None,
        url: check.url("html_url").or_else(|| check.url("details_url")),
        commit,
        began: check.time("started_at").or_else(|| check.time("created_at")),
        ended: check.time("completed_at").or_else(|| check.time("updated_at")),
        description: output.first(&["summary", "title"]),
        details,
    })
}

fn deployment(status: Obj<'_>, deployment: Obj<'_>, repository: Obj<'_>) -> Result<Ended, String> {
    let environment = status.text("environment").or_else(|| deployment.text("environment"));
    let shown = environment.clone().unwrap_or_else(|| "an environment".to_owned());
    let state = status.text("state").unwrap_or_else(|| "unknown".to_owned());
    if !matches!(state.as_str(), "success" | "failure" | "error") {
        return Err(format!("Deployment to {}: {}.", text::line(&shown, 100), text::line(&state, 40)));
    }
    let full_name = repository.text("full_name");
    let commit = deployment.text("sha");
    // A task of its own (`deploy:migrations`) fails and recovers by itself.
    let task = deployment.text("task").filter(|t| t != "deploy");
    let kind = Some(task.as_ref().map_or_else(|| "deployment".to_owned(), |task| format!("deployment {task}")));
    let mut details = Labels::new();
    for (field, value) in [
        ("branch", deployment.text("ref")),
        ("commit", commit.clone()),
        ("environment", environment.clone()),
        ("description", status.text("description").or_else(|| deployment.text("description"))),
        ("actor", deployment.object("creator").text("login")),
        ("task", task.clone()),
        ("repository", full_name.clone()),
    ] {
        labels::add(&mut details, field, value.as_deref());
    }
    let links = ["environment_url", "target_url", "log_url"];
    Ok(Ended {
        what: "Deployment",
        rule: "The repository and the environment that it is deployed to.",
        label: label(Some(&format!("to {shown}")), None, full_name.as_deref()),
        parts: vec![("repository", full_name), ("kind", kind), ("environment", environment.clone())],
        kind: ChangeKind::Deploy,
        state: self::state(&state),
        outcome: state,
        service: service(repository),
        environment,
        // The log tells what happened; the environment itself is a last resort.
        url: links.iter().rev().find_map(|name| status.url(name)),
        commit,
        began: deployment.time("created_at"),
        ended: status.time("updated_at").or_else(|| status.time("created_at")),
        description: status.text("description").or_else(|| deployment.text("description")),
        details,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    /// The values of GitHub's page "Validating webhook deliveries".
    #[test]
    fn signature_is_the_one_of_githubs_page() {
        let check = |secret: &str, sent: Option<&str>, want| {
            let headers: Vec<_> = sent.iter().map(|s| ("x-hub-signature-256".to_owned(), (*s).to_owned())).collect();
            let request = Request {
                headers: &headers,
                query: &[],
                body: b"Hello, World!",
                received_at: Time::default(),
                rca_enabled: false,
            };
            assert_eq!(GitHub.verify(&request, &[secret]), want, "{sent:?}");
        };
        let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        check("It's a Secret to Everybody", Some(right), Signature::Valid);
        check("It's a Secret to Nobody", Some(right), Signature::Invalid);
        check("It's a Secret to Everybody", Some("sha256=00"), Signature::Invalid);
        check("", Some(right), Signature::Invalid);
        check("It's a Secret to Everybody", None, Signature::Absent);
    }
}
