//! Server-rendered pages: each works without scripts; scripts add what is live.

pub mod alerts;
pub mod frame;
pub mod incident;
pub mod incidents;
pub mod panels;
pub mod platforms;
pub mod ridge;
pub mod row;
#[cfg(test)]
mod samples;
pub mod terms;
pub mod text;
pub mod time;
pub mod ui;
pub mod watch;
pub mod words;
