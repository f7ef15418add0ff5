//! Settings: one list of options (`options`) drives flags, environment, TOML keys, help and documentation.

mod check;
mod document;
mod given;
mod load;
pub mod model;
pub mod options;
mod sign_in;
mod source_options;
pub mod types;
mod values;

pub use check::{Origin, Problem, Problems, place};
pub use document::{example_file, reference_table};
pub use given::{Given, Shown};
pub use load::{ON_PAGES, Sources, default_data_dir, defaults, load};
pub use model::ModelConfig;
pub use options::Kind;
pub use sign_in::SignIn;
pub use types::{Config, ConnectorConfig, CorrelationMode, LogFormat, ProbeSettings};
pub use values::{duration as parse_duration, show_duration};
