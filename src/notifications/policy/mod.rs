//! Who is told what and when. Pure: rows and the time in, wishes and reasons out; the writer calls it inside its
//! transaction, pages call it to show what would happen.

mod condition;
mod decide;
pub mod gather;
pub mod on_call;
pub mod retry;
mod rules;
pub mod times;

pub use decide::{Book, Happened, Plan, Wish, escalate, loud, plan, told};
pub use rules::{Facts, Rule, TOLD, check, check_matchers, facts};

#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod tables_tests;
#[cfg(test)]
mod tests;
