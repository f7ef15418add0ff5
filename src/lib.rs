//! Watchfire: alerts in, few incidents out, each with its cause. The rooms, in the order of an alert's way.

pub mod connectors;
pub mod model;
