//! What monitoring tools can be asked for while a language model works, on top of what the investigation asked already.

use std::{future::Future, pin::Pin};

use super::{OfLogs, OfMetric, OfPlace};
use crate::investigation::Finding;

/// A question that has no text in the language of a tool: what is asked, and how, is decided here.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// Which figures there are.
    List(OfPlace),
    /// One figure.
    Metric(OfMetric),
    /// Lines of logs.
    Logs(OfLogs),
}

/// The answer, once it is there.
pub type Asks<'a> = Pin<Box<dyn Future<Output = Result<Vec<Finding>, String>> + Send + 'a>>;

/// Asks monitoring tools, read-only and within their bounds.
pub trait Asking: Send + Sync + std::fmt::Debug {
    /// What was found; the error is a sentence.
    fn ask<'a>(&'a self, question: &'a Question) -> Asks<'a>;
}

/// Asks nobody: the investigation's own findings are all there is.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Asking for Nobody {
    fn ask<'a>(&'a self, _: &'a Question) -> Asks<'a> {
        Box::pin(std::future::ready(Err("No monitoring tool can be asked for more.".to_owned())))
    }
}
