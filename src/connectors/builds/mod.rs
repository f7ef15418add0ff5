//! Jenkins and CloudBees CI: one kind of server, one reader. Every finished build is a change; with `rca_enabled`,
//! failed ones fire and the next good one resolves.

mod read;

use self::read::Build;
use super::{Connector, Info, Overload, Request, Signature, body, identity, labels, signature, text};
use crate::model::{Change, ChangeKind, Note, Parsed, Problem, Severity, Signal, SignalStatus};

/// One of the two platforms.
pub(super) struct Builds(&'static Info);

pub(super) static JENKINS: Builds = Builds(&Info {
    slug: "jenkins",
    name: "Jenkins",
    tile: "Je",
    way: "Notification plugin, or a pipeline",
    sample: include_str!("../samples/jenkins.json"),
    steps: &[
        "In Jenkins, install the Notification plugin (Manage Jenkins, Plugins).",
        "In the job's configuration, under Job Notifications, choose Add Endpoint: Format JSON, Protocol HTTP, Event \
         Job Finalized, URL {url}/{key} (the plugin can send no header), Log 100.",
        "Or from a pipeline: `post { always { httpRequest url: '{url}', httpMode: 'POST', contentType: \
         'APPLICATION_JSON', customHeaders: [[name: 'X-Watchfire-Key', value: '{key}']], requestBody: … } }` with result, \
         build_number, build_url, service, environment and git.",
        "Switch on RCA for builds here if failed builds are to open incidents; else they are kept as changes.",
    ],
    ..INFO
});

pub(super) static CLOUDBEES: Builds = Builds(&Info {
    slug: "cloudbees",
    name: "CloudBees CI",
    tile: "Cb",
    way: "Notification plugin of each controller",
    sample: include_str!("../samples/cloudbees.json"),
    steps: &[
        "On each controller, install the Notification plugin (Manage Jenkins, Plugins).",
        "In the job's configuration, under Job Notifications, choose Add Endpoint: Format JSON, Protocol HTTP, Event \
         Job Finalized, URL {url}/{key} (the plugin can send no header), Log 100.",
        "Set the controller's URL (Manage Jenkins, System), so that builds of several controllers are told apart.",
        "Switch on RCA for builds here if failed builds are to open incidents; else they are kept as changes.",
    ],
    ..INFO
});

/// What both have in common.
const INFO: Info = Info {
    slug: "",
    name: "",
    tile: "",
    way: "",
    success: 202,
    // The plugin never looks at the answer: what is refused is lost.
    overload: Overload::NeverRefuse,
    lenient: false,
    builds: true,
    signature: Some("Hex HMAC-SHA256 of the body in the header X-Watchfire-Signature (or X-Aurora-Signature)"),
    steps: &[],
    fields: &[
        ("Title", "job and number of the build"),
        ("Severity", "build.status or result: FAILURE is high, UNSTABLE is medium"),
        ("State", "SUCCESS resolves; QUEUED and STARTED are passed over"),
        ("Service", "service, or a parameter of that name, else the job's name"),
        ("Environment", "environment, or a parameter of that name"),
        ("Identity", "server, full job name and branch"),
        ("Change", "every finished build, with commit, branch and the end of its log"),
        ("Link", "build.full_url or build_url"),
    ],
    sample: "",
};

impl Connector for Builds {
    fn info(&self) -> &'static Info {
        self.0
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let root = body.object(self.0.name)?;
        let Some(build) = read::build(root) else {
            return Err(body::unrecognised(
                self.0.name,
                "`build` (Notification plugin), or `result` or `build_number` (pipeline step)",
                root,
            ));
        };
        let mut parsed = Parsed { notes: body.notes, ..Parsed::default() };
        match (build.running(), build.status.as_deref()) {
            (true, _) | (_, None) => {
                let phase = build.phase.as_deref().unwrap_or("no result");
                parsed.notes.push(Note::Ignored(format!("Build {}: {}.", build.label(), text::line(phase, 40))));
            }
            (false, Some(status)) => {
                parsed.changes.push(self.change(&build, status));
                if request.rca_enabled {
                    parsed.signals = self.signals(&build, status);
                    parsed.signals.iter_mut().for_each(|signal| signal.repaired = body.repaired);
                }
                parsed.retry_id = retry_id(&build, status, request.rca_enabled);
            }
        }
        Ok(parsed)
    }

    fn verify(&self, request: &Request<'_>, secrets: &[&str]) -> Signature {
        signature::verify_hex(request, &["x-watchfire-signature", "x-aurora-signature"], secrets)
    }
}

/// A build that ends is told of as COMPLETED and again as FINALIZED, where both are switched on; whichever comes first
/// acts. A build that was kept as a change may be sent again when failures are to open incidents.
fn retry_id(build: &Build, status: &str, rca_enabled: bool) -> Option<String> {
    build.phase.as_deref().filter(|p| matches!(*p, "COMPLETED" | "FINALIZED"))?;
    let rca = if rca_enabled { " rca" } else { "" };
    Some(format!("{} finished {status}{rca}", build.url.as_deref()?))
}

fn outcome(status: &str) -> (SignalStatus, Severity, &'static str) {
    match status {
        "SUCCESS" => (SignalStatus::Resolved, Severity::Info, "succeeded"),
        "FAILURE" => (SignalStatus::Firing, Severity::High, "failed"),
        "UNSTABLE" => (SignalStatus::Firing, Severity::Medium, "unstable"),
        "ABORTED" => (SignalStatus::Info, Severity::Low, "aborted"),
        "NOT_BUILT" => (SignalStatus::Info, Severity::Info, "not built"),
        _ => (SignalStatus::Info, Severity::Info, "ended"),
    }
}

impl Builds {
    fn change(&self, build: &Build, status: &str) -> Change {
        let (_, _, ended) = outcome(status);
        let what = if build.deploys() { "Deployment" } else { "Build" };
        Change {
            service: build.service.clone(),
            kind: if build.deploys() { ChangeKind::Deploy } else { ChangeKind::Build },
            title: text::line(&format!("{what} {ended}: {}", build.label()), 500),
            url: build.url.clone(),
            version: build.commit.clone().or_else(|| build.number.clone()),
            at: build.at,
            source: self.0.slug.to_owned(),
            outcome: text::name(status),
            details: build.details.clone(),
        }
    }

    fn signals(&self, build: &Build, status: &str) -> Vec<Signal> {
        let signal = self.signal(build, status, build.branch.as_deref());
        // A build that fails before its checkout knows no branch; the next good one, which does, ends that one as well.
        let early = (signal.status == SignalStatus::Resolved && build.branch.is_some())
            .then(|| self.signal(build, status, None));
        std::iter::once(signal).chain(early).collect()
    }

    fn signal(&self, build: &Build, status: &str, branch: Option<&str>) -> Signal {
        let (state, severity, ended) = outcome(status);
        let what = if build.deploys() { "Deployment" } else { "Build" };
        let mut parts = vec![("server", build.server.as_deref()), ("job", Some(build.job.as_str()))];
        if branch.is_some() {
            parts.push(("branch", branch));
        }
        let title = text::line(&format!("{what} {ended}: {}", build.label()), 500);
        let mut signal = identity::signal(self.0.slug, "The job on its server, and its branch.", &parts, title);
        signal.status = state;
        signal.severity = severity;
        signal.severity_raw = text::name(status);
        signal.service = build.service.clone();
        signal.environment = build.environment.clone();
        signal.observed_at = build.at;
        match state {
            SignalStatus::Firing => signal.started_at = build.at,
            SignalStatus::Resolved => signal.ended_at = build.at,
            SignalStatus::Acknowledged | SignalStatus::Info => {}
        }
        signal.url = build.url.clone();
        signal.description = build.description().and_then(|d| text::description(&d));
        labels::add(&mut signal.labels, "job", Some(&build.job));
        labels::add(&mut signal.labels, "branch", branch);
        labels::add(&mut signal.labels, "server", build.server.as_deref());
        signal.annotations = build.details.clone();
        signal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    #[test]
    fn the_steps_signature_is_hex_by_either_name_with_or_without_its_algorithm() {
        let right = "2107d1bc5ccc5288fb5bdc42474252decec572083043de1a12757d36df406508";
        let check = |name: &str, sent: &str, want| {
            let headers = [(name.to_owned(), sent.to_owned())];
            let body = br#"{"status":"firing"}"#;
            let request =
                Request { headers: &headers, query: &[], body, received_at: Time::default(), rca_enabled: false };
            for builds in [&JENKINS, &CLOUDBEES] {
                assert_eq!(builds.verify(&request, &["old", "watchfire"]), want, "{name}: {sent}");
            }
        };
        for name in ["x-watchfire-signature", "x-aurora-signature"] {
            check(name, right, Signature::Valid);
            check(name, &format!("sha256={right}"), Signature::Valid);
            check(name, &right.replace('2', "3"), Signature::Invalid);
            check(name, "", Signature::Invalid);
        }
        check("x-other", right, Signature::Absent);
    }
}
