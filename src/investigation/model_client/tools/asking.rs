//! What monitoring tools can be asked for while a language model works, on top of what the investigation asked already.

use std::{future::Future, pin::Pin};

use serde::{Deserialize, Serialize};

use super::{OfLogs, OfMetric, OfPlace};
use crate::investigation::probes::{Brought, Further, Wanted, What};

/// A question that has no text in the language of a tool: what is asked, and how, is decided by the probes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// Which figures there are.
    List(OfPlace),
    /// One figure.
    Metric(OfMetric),
    /// Lines of logs.
    Logs(OfLogs),
}

impl Question {
    /// The service and the machine that it is about.
    pub fn place(&self) -> (Option<&str>, Option<&str>) {
        let (service, host) = match self {
            Self::List(of) => (&of.service, &of.host),
            Self::Metric(of) => (&of.service, &of.host),
            Self::Logs(of) => (&of.service, &of.host),
        };
        (service.as_deref(), host.as_deref())
    }
}

impl From<&Question> for Wanted {
    fn from(question: &Question) -> Self {
        let (service, host) = question.place();
        let what = match question {
            Question::List(_) => What::Names,
            Question::Metric(of) => What::Figure(of.metric.clone()),
            Question::Logs(of) => What::Lines(of.text.clone().filter(|t| !t.trim().is_empty())),
        };
        Self { service: service.map(str::to_owned), host: host.map(str::to_owned), what }
    }
}

/// A question with its answer; the error is a sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// What was asked.
    pub question: Question,
    /// What was brought.
    pub answer: Result<Brought, String>,
}

/// The answer, once it is there.
pub type Asks<'a> = Pin<Box<dyn Future<Output = Result<Brought, String>> + Send + 'a>>;

/// Asks monitoring tools, read-only and within their bounds.
pub trait Asking: Send + Sync + std::fmt::Debug {
    /// What was found; the error is a sentence.
    fn ask<'a>(&'a self, question: &'a Question) -> Asks<'a>;
}

impl Asking for Further<'_> {
    fn ask<'a>(&'a self, question: &'a Question) -> Asks<'a> {
        Box::pin(async move { Further::ask(self, &question.into()).await })
    }
}

/// Asks nobody: the investigation's own findings are all there is.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Asking for Nobody {
    fn ask<'a>(&'a self, _: &'a Question) -> Asks<'a> {
        Box::pin(std::future::ready(Err("No monitoring tool can be asked for more.".to_owned())))
    }
}

/// Answers as they were: tools would answer otherwise today.
#[derive(Debug)]
pub struct Recorded(pub Vec<Answered>);

impl Asking for Recorded {
    fn ask<'a>(&'a self, question: &'a Question) -> Asks<'a> {
        let known = self.0.iter().find(|a| a.question == *question).map(|a| a.answer.clone());
        let unknown = || Err("The transcript has no answer to that.".to_owned());
        Box::pin(std::future::ready(known.unwrap_or_else(unknown)))
    }
}
