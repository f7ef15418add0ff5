//! Log lines on stderr. Secrets never reach them: the types that hold secrets write themselves as `…`.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Config, LogFormat};

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("logging cannot be set up: {0}")]
pub struct TelemetryError(String);

/// Starts logging for the whole process; once.
pub fn init(config: &Config) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter(&config.log_level)).map_err(|e| TelemetryError(e.to_string()))?;
    let registry = tracing_subscriber::registry().with(filter);
    let done = match config.log_format {
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(true);
            registry.with(layer.with_span_list(false).with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Text => {
            // https://no-color.org: any value but the empty one means no colours.
            let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
            let ansi = std::io::stderr().is_terminal() && !plain;
            registry.with(tracing_subscriber::fmt::layer().with_ansi(ansi).with_writer(std::io::stderr)).try_init()
        }
    };
    done.map_err(|e| TelemetryError(e.to_string()))
}

/// Crates that write whole headers, and so credentials, below `info`. The last directive for a target is the one in force.
const TALKATIVE: &str = "h2=info,hyper=info,hyper_util=info,reqwest=info,rustls=info";

/// A bare level is meant for our own lines; and whatever is asked for, the HTTP crates do not get to write credentials.
fn filter(level: &str) -> String {
    match level {
        "debug" | "trace" => format!("info,watchfire={level}"),
        other if other.contains("trace") || other.contains("debug") => format!("{other},{TALKATIVE}"),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_levels_are_for_our_own_lines() {
        for (level, want) in [
            ("warn", "warn"),
            ("trace", "info,watchfire=trace"),
            ("info,hyper=trace", &format!("info,hyper=trace,{TALKATIVE}")),
        ] {
            assert_eq!(filter(level), want);
            let read = EnvFilter::try_new(filter(level)).unwrap().to_string();
            assert!(!read.contains("hyper=trace"), "{read}");
        }
    }
}
