//! The list.

use super::{Kind, Param, Tool};

const fn text(name: &'static str, most: usize, about: &'static str) -> Param {
    Param { name, kind: Kind::Text(most), required: false, about }
}

const fn needed(param: Param) -> Param {
    Param { required: true, ..param }
}

const SERVICE: Param = text("service", 300, "only of this service");
const HOST: Param = text("host", 300, "only of this machine");
const EVIDENCE: Param = Param {
    name: "evidence",
    kind: Kind::Ids,
    required: true,
    about: "ids of evidence that you have seen, such as E3",
};
const SYMPTOMS: &[&str] = &[
    "unavailable",
    "errors",
    "latency",
    "cpu",
    "memory",
    "disk_space",
    "disk_io",
    "network",
    "certificate",
    "connection_exhaustion",
    "backlog",
    "replication",
    "restarts",
    "build_failure",
    "security",
    "traffic",
    "unknown",
];

/// The tools, in the order in which they are offered.
pub const TOOLS: &[Tool] = &[
    Tool {
        name: "incident",
        about: "The incident itself: title, severity, services, machines, times, how many alerts.",
        params: &[],
    },
    Tool {
        name: "alerts",
        about: "The alerts of the incident in order of onset, each with its evidence id, symptom, labels and what it says.",
        params: &[
            SERVICE,
            HOST,
            text("text", 200, "only those with this in title or description"),
            Param {
                name: "status",
                kind: Kind::Word(&["firing", "resolved"]),
                required: false,
                about: "only those that burn, or that are over",
            },
            Param { name: "offset", kind: Kind::Number(0, 10_000), required: false, about: "how many to pass over" },
            Param {
                name: "limit",
                kind: Kind::Number(1, 50),
                required: false,
                about: "how many at most; 20 when left out",
            },
        ],
    },
    Tool {
        name: "hypotheses",
        about: "The causes as the built-in rules rank them, each with the reasons for and against it. Judge for yourself.",
        params: &[],
    },
    Tool {
        name: "topology",
        about: "Who calls whom and what runs where, around the services of the incident.",
        params: &[SERVICE],
    },
    Tool {
        name: "changes",
        about: "Deploys, builds and changes of configuration around the onset.",
        params: &[SERVICE],
    },
    Tool {
        name: "similar",
        about: "Earlier incidents of these services: what they came from and how they ended.",
        params: &[],
    },
    Tool {
        name: "runbook",
        about: "Runbooks that fit these alerts and services: the section that was matched, or where it is.",
        params: &[SERVICE],
    },
    Tool {
        name: "metric_list",
        about: "Names of figures that monitoring tools have: of the service or machine that you name, and those that this investigation asked for.",
        params: &[SERVICE, HOST],
    },
    Tool {
        name: "metric_query",
        about: "One of those figures, asked now: what it was before the onset, what it became, and since when.",
        params: &[needed(text("metric", 300, "its name, as metric_list has it")), SERVICE, HOST],
    },
    Tool {
        name: "log_search",
        about: "Lines of logs around the onset, asked now: those with the text, or those that tell what went wrong.",
        params: &[text("text", 200, "only lines with this in them"), SERVICE, HOST],
    },
    Tool {
        name: "note",
        about: "Writes down for the people who follow the investigation what you have found so far.",
        params: &[needed(text("text", 600, "one or two plain sentences")), EVIDENCE],
    },
    Tool {
        name: "finish",
        about: "Ends your work with your answer. Call it once.",
        params: &[
            Param {
                name: "statements",
                kind: Kind::Objects(5, &[needed(text("text", 600, "one plain sentence")), EVIDENCE]),
                required: true,
                about: "what happened, in two or three sentences",
            },
            Param {
                name: "causes",
                kind: Kind::Objects(
                    5,
                    &[
                        SERVICE_AT_FAULT,
                        HOST_AT_FAULT,
                        Param {
                            name: "symptom",
                            kind: Kind::Word(SYMPTOMS),
                            required: false,
                            about: "what is wrong with it",
                        },
                        needed(text("text", 600, "why, in one plain sentence")),
                        EVIDENCE,
                    ],
                ),
                required: true,
                about: "what it comes from, the likeliest first; empty when nothing leads",
            },
        ],
    },
];

const SERVICE_AT_FAULT: Param = text("service", 300, "the service at fault, as alerts or topology name it");
const HOST_AT_FAULT: Param = text("host", 300, "the machine at fault, when it is a machine");

/// What an endpoint is tried with: whether it calls tools at all.
pub const TRIAL: Tool = Tool {
    name: "ready",
    about: "Says that you are ready.",
    params: &[Param {
        name: "number",
        kind: Kind::Number(0, 100),
        required: true,
        about: "the number that you were told",
    }],
};
