//! The ground under the rooms: time, tasks, stopping, logs.

pub mod background;
pub mod clock;
pub mod files;
pub mod shutdown;
pub mod supervise;
pub mod systemd;
pub mod telemetry;
pub mod tls;

/// The allocator of the program and of its benchmarks; whoever links the library may take another one. A delivery is many
/// small allocations that are freed on another thread, which glibc's allocator is slow at: about a tenth of the CPU of an
/// alert.
pub use mimalloc::MiMalloc as Allocator;
