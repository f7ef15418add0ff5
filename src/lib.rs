//! Watchfire: alerts in, few incidents out, each with its cause. The rooms, in the order of an alert's way.

pub mod app;
pub mod cli;
pub mod config;
pub mod connectors;
pub mod correlation;
pub mod ingest;
pub mod investigation;
pub mod live;
pub mod model;
pub mod runtime;
pub mod search;
pub mod store;
pub mod web;
