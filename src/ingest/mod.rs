//! The way of a delivery from the door to the store: who sends, may it, what does it say.

pub mod memory;
pub mod rate;
pub mod settings;

pub use memory::Memory;
pub use settings::{Effective, default_settings};
