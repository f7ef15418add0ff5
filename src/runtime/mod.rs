//! The ground under the rooms: time, tasks, stopping, logs.

pub mod background;
pub mod clock;
pub mod files;
pub mod shutdown;
pub mod supervise;
pub mod systemd;
pub mod telemetry;
pub mod tls;
