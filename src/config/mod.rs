//! Settings: one list of options (`options`) drives flags, environment, TOML keys, help and documentation.

pub mod types;

pub use types::{Config, ConnectorConfig, CorrelationMode, LogFormat};
