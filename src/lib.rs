//! Watchfire: alerts in, few incidents out, each with its cause. The rooms, in the order of an alert's way.

pub mod model;
pub mod text;

pub mod query;

pub mod connectors;
pub mod ingest;

pub mod correlation;
pub mod store;

pub mod backtest;
pub mod investigation;
pub mod live;
pub mod notifications;
pub mod outgoing;
pub mod postmortem;
pub mod search;

pub mod web;

pub mod demo;

pub mod app;
pub mod cli;
pub mod config;
pub mod runtime;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
