//! GitLab CI: pipelines, jobs and deployments. Every one that ended is a change; with `rca_enabled`, failed ones fire and
//! the next good one resolves.

use base64::{Engine, prelude::BASE64_STANDARD};
use subtle::ConstantTimeEq;

use super::{
    Connector, Info, Overload, Request, Signature, body,
    ended::{Ended, label},
    fields::Obj,
    labels,
    labels::Labels,
    moment, signature, text,
};
use crate::model::{ChangeKind, Note, Parsed, Problem, Severity, SignalStatus};

pub(super) struct GitLab;

/// How far the time in a signed request may be from ours.
const SIGNED_WITHIN_SECS: u64 = 5 * 60;

static INFO: Info = Info {
    slug: "gitlab",
    name: "GitLab",
    tile: "Gl",
    way: "Webhook, pipelines and deployments",
    success: 202,
    overload: Overload::NeverRefuse,
    // Four answers that are no success switch the webhook off, forty for good.
    lenient: true,
    builds: true,
    signature: Some("webhook-signature of newer GitLab (with webhook-id and webhook-timestamp) with the signing token"),
    steps: &[
        "In GitLab, open the project's (or group's) Settings, Webhooks, and choose Add new webhook.",
        "Set URL to {url} and Secret token to {key}.",
        "Under Trigger, check Pipeline events and Deployment events, and take Push events away. Job events tell the same \
         as the pipeline in more pieces.",
        "Choose Add webhook, then Test, Pipeline events: the last pipeline shows here as a delivery.",
        "Switch on RCA for builds here if failed pipelines are to open incidents; else they are kept as changes.",
    ],
    fields: &[
        ("Title", "the pipeline's name or the job, with branch and project"),
        ("Severity", "failed is high on the default branch and on tags, else medium"),
        ("Service", "the project's path"),
        ("Environment", "of a deployment"),
        ("Identity", "project.id and ref; with the job's name, or the environment instead of ref"),
        ("State", "success resolves; canceled and skipped are only changes; running and pending are passed over"),
        ("Change", "everything that has ended, with commit, branch, failed jobs and who began it"),
        ("Link", "object_attributes.url, deployable_url, or the pipeline in project.web_url"),
    ],
    sample: include_str!("samples/gitlab.json"),
};

impl Connector for GitLab {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let mut body = body::read(request)?;
        let mut parsed = Parsed { notes: std::mem::take(&mut body.notes), ..Parsed::default() };
        let root = body.object(INFO.name)?;
        let kind = root.first(&["object_kind", "event_type", "event_name"]);
        let ended = match kind.as_deref() {
            Some("pipeline") => pipeline(root),
            Some("build" | "job") => job(root),
            Some("deployment") => deployment(root),
            Some(other) => {
                parsed.notes.push(Note::Ignored(format!("Event {}.", text::line(other, 60))));
                return Ok(parsed);
            }
            None => {
                return Err(body::unrecognised(INFO.name, "`object_kind` (pipeline, build or deployment)", root));
            }
        };
        if !matches!(ended.outcome.as_str(), "success" | "failed" | "canceled" | "skipped") {
            let status = text::line(&ended.outcome, 40);
            parsed.notes.push(Note::Ignored(format!("{} {}: {status}.", ended.what, text::line(&ended.label, 100))));
            return Ok(parsed);
        }
        parsed.changes.push(ended.change(INFO.slug));
        if request.rca_enabled {
            let mut signal = ended.signal(INFO.slug);
            signal.repaired = body.repaired;
            parsed.signals.push(signal);
        }
        let rca = if request.rca_enabled { " rca" } else { "" };
        let sent = request.header("idempotency-key").map(|id| text::line(id, 200)).filter(|id| !id.is_empty());
        parsed.retry_id = sent.map(|id| format!("{id}{rca}"));
        Ok(parsed)
    }

    /// As the Standard Webhooks: base64 of the HMAC over id, time and body with points between.
    fn verify(&self, request: &Request<'_>, secrets: &[&str]) -> Signature {
        let Some(sent) = request.header("webhook-signature") else { return Signature::Absent };
        let (Some(id), Some(at)) = (request.header("webhook-id"), request.header("webhook-timestamp")) else {
            return Signature::Invalid;
        };
        let fresh = moment::parse(at).is_some_and(|at| {
            request.received_at.since(at).as_secs() <= SIGNED_WITHIN_SECS
                && at.since(request.received_at).as_secs() <= SIGNED_WITHIN_SECS
        });
        let parts: [&[u8]; 5] = [id.as_bytes(), b".", at.as_bytes(), b".", request.body];
        let digests: Vec<Vec<u8>> =
            sent.split(' ').filter_map(|one| BASE64_STANDARD.decode(one.trim().strip_prefix("v1,")?).ok()).collect();
        let mut right = false;
        for secret in secrets.iter().filter(|s| !s.is_empty()) {
            // The token of the standard is the base64 of the key behind this prefix; others are keys themselves.
            let decoded = secret.strip_prefix("whsec_").and_then(|s| BASE64_STANDARD.decode(s).ok());
            let key = decoded.as_deref().unwrap_or(secret.as_bytes());
            let wanted = signature::hmac_sha256(key, &parts);
            for digest in &digests {
                right |= bool::from(wanted.ct_eq(digest));
            }
        }
        signature::verdict(right && fresh)
    }
}

fn state(status: &str, severity: Severity) -> (SignalStatus, Severity, &'static str) {
    match status {
        "success" => (SignalStatus::Resolved, Severity::Info, "succeeded"),
        "failed" => (SignalStatus::Firing, severity, "failed"),
        "canceled" => (SignalStatus::Info, Severity::Info, "cancelled"),
        _ => (SignalStatus::Info, Severity::Info, "skipped"),
    }
}

/// Failures elsewhere than on the default branch are usually somebody's work in progress.
fn severity(git_ref: Option<&str>, tag: bool, project: Obj<'_>) -> Severity {
    match (git_ref, project.text("default_branch")) {
        (Some(git_ref), Some(default)) if git_ref != default && !tag => Severity::Medium,
        _ => Severity::High,
    }
}

fn service(project: Obj<'_>) -> Option<String> {
    let path = project.text("path_with_namespace");
    path.as_deref().and_then(|p| p.rsplit('/').next()).map(str::to_owned).or_else(|| project.text("name"))
}

fn pipeline(root: Obj<'_>) -> Ended {
    let (pipeline, project, commit) = (root.object("object_attributes"), root.object("project"), root.object("commit"));
    let git_ref = pipeline.text("ref");
    let path = project.first(&["path_with_namespace", "name"]);
    let failed: Vec<(String, Option<String>)> = root
        .list("builds")
        .iter()
        .map(|b| Obj::of(Some(b)))
        .filter(|b| b.text("status").as_deref() == Some("failed") && b.flag("allow_failure") != Some(true))
        .filter_map(|b| Some((b.text("name")?, b.text("failure_reason").filter(|r| r != "unknown_failure"))))
        .take(50)
        .collect();
    let names = failed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let lines: Vec<String> = failed
        .iter()
        .map(|(name, why)| why.as_ref().map_or_else(|| format!("{name} failed"), |why| format!("{name}: {why}")))
        .collect();
    let sha = pipeline.text("sha").or_else(|| commit.text("id"));
    let web = project.url("web_url");
    let link = web.zip(pipeline.text("id")).map(|(web, id)| format!("{}/-/pipelines/{id}", web.trim_end_matches('/')));
    let mut details = Labels::new();
    for (field, value) in [
        ("branch", git_ref.clone()),
        ("commit", sha.clone()),
        ("commit_message", commit.first(&["title", "message"])),
        ("author", commit.object("author").text("name")),
        ("actor", root.object("user").first(&["username", "name"])),
        ("failed_jobs", Some(names)),
        ("source", pipeline.text("source")),
        ("pipeline", pipeline.text("id")),
        ("duration_s", pipeline.text("duration")),
        ("project", path.clone()),
    ] {
        labels::add(&mut details, field, value.as_deref());
    }
    let name = pipeline.text("name");
    let status = pipeline.text("status").unwrap_or_else(|| "unknown".to_owned());
    let deploys = root.list("builds").iter().map(|b| Obj::of(Some(b))).any(|b| {
        b.object("environment").text("action").as_deref() == Some("start")
            && b.text("status").as_deref() == Some("success")
    });
    Ended {
        what: "Pipeline",
        rule: "The project and the branch or tag.",
        label: label(name.as_deref(), git_ref.as_deref(), path.as_deref()),
        state: state(&status, severity(git_ref.as_deref(), pipeline.flag("tag") == Some(true), project)),
        parts: vec![("project", project.text("id").or(path)), ("ref", git_ref)],
        kind: if deploys { ChangeKind::Deploy } else { ChangeKind::Build },
        outcome: status,
        service: service(project),
        environment: None,
        url: pipeline.url("url").or_else(|| link.and_then(|l| text::url(&l))),
        commit: sha,
        began: pipeline.time("created_at"),
        ended: pipeline.time("finished_at"),
        description: Some(lines.join("\n")).filter(|l| !l.is_empty()).or_else(|| commit.first(&["title", "message"])),
        details,
    }
}

fn job(root: Obj<'_>) -> Ended {
    let (project, commit) = (root.object("project"), root.object("commit"));
    let git_ref = root.text("ref");
    let path = project.text("path_with_namespace").or_else(|| root.text("project_name"));
    let name = root.first(&["build_name", "job_name", "name"]);
    let allowed = root.first(&["build_allow_failure", "allow_failure"]).as_deref() == Some("true");
    let status = root.first(&["build_status", "job_status"]).unwrap_or_else(|| "unknown".to_owned());
    // GitLab itself goes on after such a job.
    let state = match status.as_str() {
        "failed" if allowed => (SignalStatus::Info, Severity::Info, "failed, as it may"),
        _ => state(&status, severity(git_ref.as_deref(), root.flag("tag") == Some(true), project)),
    };
    let web = project.url("web_url").or_else(|| root.object("repository").url("homepage"));
    let id = root.first(&["build_id", "job_id"]);
    let link = web.zip(id).map(|(web, id)| format!("{}/-/jobs/{id}", web.trim_end_matches('/')));
    let reason = root.first(&["build_failure_reason", "failure_reason"]).filter(|r| r != "unknown_failure");
    let sha = root.text("sha").or_else(|| commit.text("sha"));
    let environment = root.object("environment").text("name");
    let mut details = Labels::new();
    for (field, value) in [
        ("branch", git_ref.clone()),
        ("commit", sha.clone()),
        ("commit_message", commit.text("message")),
        ("author", commit.text("author_name")),
        ("actor", root.object("user").first(&["username", "name"])),
        ("stage", root.first(&["build_stage", "stage"])),
        ("reason", reason.clone()),
        ("duration_s", root.text("build_duration")),
        ("project", path.clone()),
    ] {
        labels::add(&mut details, field, value.as_deref());
    }
    Ended {
        what: "Job",
        rule: "The project, the branch or tag, and the job.",
        label: label(name.as_deref(), git_ref.as_deref(), path.as_deref()),
        state,
        parts: vec![("project", root.text("project_id").or(path)), ("ref", git_ref), ("job", name)],
        kind: if environment.is_some() { ChangeKind::Deploy } else { ChangeKind::Build },
        outcome: status,
        service: service(project).or_else(|| root.object("repository").text("name")),
        environment,
        url: link.and_then(|l| text::url(&l)),
        commit: sha,
        began: root.time("build_started_at").or_else(|| root.time("build_created_at")),
        ended: root.time("build_finished_at"),
        description: reason.or_else(|| commit.text("message")),
        details,
    }
}

fn deployment(root: Obj<'_>) -> Ended {
    let project = root.object("project");
    let path = project.first(&["path_with_namespace", "name"]);
    let environment = root.text("environment");
    let sha = root.text("short_sha");
    let mut details = Labels::new();
    for (field, value) in [
        ("branch", root.text("ref")),
        ("commit", sha.clone()),
        ("commit_message", root.text("commit_title")),
        ("environment", environment.clone()),
        ("tier", root.text("environment_tier")),
        ("actor", root.object("user").first(&["username", "name"])),
        ("project", path.clone()),
    ] {
        labels::add(&mut details, field, value.as_deref());
    }
    let status = root.text("status").unwrap_or_else(|| "unknown".to_owned());
    let to = format!("to {}", environment.as_deref().unwrap_or("an environment"));
    Ended {
        what: "Deployment",
        rule: "The project and the environment that it is deployed to.",
        label: label(Some(&to), None, path.as_deref()),
        state: state(&status, Severity::High),
        // A branch may have the name of an environment.
        parts: vec![
            ("project", project.text("id").or(path)),
            ("kind", Some("deployment".to_owned())),
            ("environment", environment.clone()),
        ],
        kind: ChangeKind::Deploy,
        outcome: status,
        service: service(project),
        environment,
        url: root
            .url("deployable_url")
            .or_else(|| root.url("environment_external_url"))
            .or_else(|| root.url("commit_url")),
        commit: sha,
        began: None,
        ended: root.time("status_changed_at"),
        description: root.text("commit_title"),
        details,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    /// The vector of the Standard Webhooks' own libraries.
    #[test]
    fn signature_is_the_one_of_standard_webhooks() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let check = |sent: &str, received: i64, secret: &str, want| {
            let headers = [
                ("webhook-id".to_owned(), "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()),
                ("webhook-timestamp".to_owned(), "1614265330".to_owned()),
                ("webhook-signature".to_owned(), sent.to_owned()),
            ];
            let body = br#"{"test": 2432232314}"#;
            let received_at = Time::from_secs(received);
            let request = Request { headers: &headers, query: &[], body, received_at, rca_enabled: false };
            assert_eq!(GitLab.verify(&request, &[secret]), want, "{sent} {received}");
        };
        check(right, 1_614_265_400, secret, Signature::Valid);
        check(&format!("v1,AAAA {right}"), 1_614_265_030, secret, Signature::Valid);
        check(right, 1_614_266_000, secret, Signature::Invalid);
        check(right, 1_614_265_400, "whsec_AAAA", Signature::Invalid);
        check("v2,g0hM", 1_614_265_400, secret, Signature::Invalid);
    }
}
