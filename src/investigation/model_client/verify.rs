//! What of a model's answer may stand: what evidence supports that it was shown, about places that are known. Pure.

use std::collections::BTreeSet;

use super::{
    fence::plain,
    redact::Redactor,
    surroundings::Surroundings,
    tools::{Finishing, Named, Statement},
};
use crate::{
    investigation::{case::same_known, ledger::brackets},
    model::*,
};

/// Letters of one statement.
const LETTERS: usize = 600;
/// Letters of a statement that was left out, where that is told.
const TOLD: usize = 200;

/// What stands, and what does not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verified {
    /// Supported sentences, each with its marks.
    pub sentences: Vec<(String, Vec<String>)>,
    /// Supported causes.
    pub causes: Vec<OpinionCause>,
    /// What was left out and why, in words.
    pub unsupported: Vec<String>,
}

/// Judges statements and causes.
pub(super) struct Judge<'a> {
    pub seen: &'a BTreeSet<String>,
    pub around: &'a Surroundings,
    pub builtin: &'a [Cause],
    pub redactor: &'a Redactor,
}

impl Judge<'_> {
    /// The whole end.
    pub fn end(&self, end: &Finishing) -> Verified {
        let mut out = Verified::default();
        for statement in &end.statements {
            match self.statement(statement) {
                Ok(sentence) => out.sentences.push(sentence),
                Err(why) => out.unsupported.push(why),
            }
        }
        for cause in &end.causes {
            match self.cause(cause) {
                Ok(cause) if out.causes.iter().any(|c| place(c) == place(&cause)) => {}
                Ok(cause) => out.causes.push(cause),
                Err(why) => out.unsupported.push(why),
            }
        }
        out
    }

    /// A sentence with the ids that it rests on.
    pub fn statement(&self, statement: &Statement) -> Result<(String, Vec<String>), String> {
        let text = self.text(&statement.text, LETTERS);
        let told = self.text(&statement.text, TOLD);
        let ids = self.ids(&statement.evidence).map_err(|why| format!("“{told}” ({why})"))?;
        if text.is_empty() { Err("an empty statement".to_owned()) } else { Ok((sentence(&text, &ids), ids)) }
    }

    fn cause(&self, named: &Named) -> Result<OpinionCause, String> {
        let told = self.text(&named.text, TOLD);
        let real =
            |name: &Option<String>| name.as_ref().map(|n| self.redactor.back(n)).filter(|n| !n.trim().is_empty());
        let (service, host) = (real(&named.service), real(&named.host));
        let named_as = |n: &str| plain(n, 80);
        let known_service = match &service {
            Some(s) => match (self.around.known_service(s), self.around.known_host(s)) {
                (Some(known), _) => (Some(known.to_owned()), None),
                // A machine in the wrong field is the machine nevertheless.
                (None, Some(host)) => (None, Some(host.to_owned())),
                (None, None) => {
                    return Err(format!(
                        "the cause “{}”: {told} (no service of that name is in the alerts or the topology)",
                        named_as(s)
                    ));
                }
            },
            None => (None, None),
        };
        let known_host = match &host {
            Some(h) => Some(self.around.known_host(h).map(str::to_owned).ok_or_else(|| {
                format!(
                    "the cause “{}”: {told} (no machine of that name is in the alerts or the topology)",
                    named_as(h)
                )
            })?),
            None => known_service.1,
        };
        let (service, host) = (known_service.0, known_host);
        if service.is_none() && host.is_none() {
            return Err(format!("the cause “{told}” (it names neither a service nor a machine)"));
        }
        let evidence = self.ids(&named.evidence).map_err(|why| format!("the cause “{told}” ({why})"))?;
        let rank =
            self.builtin.iter().find(|c| self.same_place(c, service.as_deref(), host.as_deref())).map(|c| c.rank);
        Ok(OpinionCause {
            service,
            host,
            symptom: named.symptom,
            text: self.text(&named.text, LETTERS),
            evidence,
            rank,
        })
    }

    fn same_place(&self, c: &Cause, service: Option<&str>, host: Option<&str>) -> bool {
        match (service, &c.service) {
            (Some(s), Some(of)) => same_known(Some(s), Some(of)) || self.around.known_service(of) == Some(s),
            (None, None) => same_known(host, c.host.as_deref()),
            _ => false,
        }
    }

    /// Those ids that were shown, each once; at least one.
    fn ids(&self, ids: &[String]) -> Result<Vec<String>, String> {
        if ids.is_empty() {
            return Err("it names no evidence".to_owned());
        }
        let unseen: BTreeSet<&String> = ids.iter().filter(|id| !self.seen.contains(*id)).collect();
        let mut kept: Vec<String> = Vec::new();
        for id in ids.iter().filter(|id| self.seen.contains(*id)) {
            if !kept.contains(id) {
                kept.push(id.clone());
            }
        }
        if kept.is_empty() {
            let all: Vec<&str> = unseen.into_iter().map(String::as_str).collect();
            return Err(format!("it names {}, which it was not shown", all.join(", ")));
        }
        Ok(kept)
    }

    fn text(&self, text: &str, most: usize) -> String {
        plain(&self.redactor.back(text), most)
    }
}

fn place(c: &OpinionCause) -> (Option<&str>, Option<&str>) {
    (c.service.as_deref(), c.host.as_deref())
}

/// A sentence with its marks before the full stop.
fn sentence(text: &str, ids: &[String]) -> String {
    crate::investigation::words::sentence(&format!("{}{}", text.trim_end_matches(['.', ' ']), brackets(ids)))
}

/// How a model's causes stand to the built-in ones.
pub(super) fn agreement(causes: &[OpinionCause], builtin: &[Cause]) -> Agreement {
    let Some(first) = causes.first() else { return Agreement::None };
    let leading = builtin.iter().find(|c| !c.ruled_out).map(|c| c.rank);
    match first.rank {
        Some(rank) if Some(rank) == leading => Agreement::Same,
        Some(_) => Agreement::Listed,
        None => Agreement::Other,
    }
}
