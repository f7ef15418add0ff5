//! The way of a delivery from the door to the store: who sends, may it, what does it say.

pub mod accept;
pub mod certificate;
pub mod credentials;
pub mod declare;
pub mod decode;
pub mod identity;
pub mod memory;
pub mod outcome;
pub mod outside;
pub mod rate;
pub mod recorded;
pub mod replay;
pub mod settings;
pub mod sources;
mod vouch;

pub use accept::{Admission, Door};
pub use certificate::Trust;
pub use memory::{Memory, Run};
pub use outcome::{Accepted, Arrival, Refusal};
pub use settings::{Effective, default_settings, new_key};
