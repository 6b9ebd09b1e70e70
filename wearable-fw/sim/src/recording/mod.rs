//! Recorded signals and the simulated patients made of them.
//!
//! Owns the file format, the shipped recordings and their replay. Knows no network and no wall clock: one step
//! is one second of record time. [`Replay`] feeds the firmware's `dsp::Monitor`; link and menu code takes its
//! [`Step`]s. Everything here is simulated and must be shown as such.

mod file;
mod replay;
mod scenario;

pub use file::{Kind, Recording, RecordingError};
pub use replay::{Replay, ReplayError, ReplayOptions, Step};
pub(crate) use replay::{finger_counts, sensor_counts};
pub use scenario::{Celsius, Motion, Scenario, Temperatures};
