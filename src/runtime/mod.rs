//! The ground under the rooms: time, tasks, stopping, logs.

pub mod clock;
