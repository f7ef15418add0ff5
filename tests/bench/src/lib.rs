//! What the programs of the benchmarks share: the stream of alerts, the arguments, and reading HTTP answers.

pub mod args;
pub mod http;
pub mod payload;
pub mod times;
