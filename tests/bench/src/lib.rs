//! What the programs of the benchmarks share: the stream of alerts, the arguments, and reading HTTP answers.

use watchfire::runtime::Allocator;

// What is measured allocates as the program does.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

pub mod args;
pub mod http;
pub mod payload;
pub mod times;
