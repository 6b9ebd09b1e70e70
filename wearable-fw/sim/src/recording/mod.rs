//! Recorded signals and the simulated patients made of them.
//!
//! Owns the file format, the shipped recordings and their replay. Knows no network, no wall clock and no signal
//! processing: one step is one second of record time, and [`Signals`] is what sensors would feel in it. Everything here
//! is simulated and must be shown as such.

mod course;
mod file;
mod player;
mod replay;

pub(crate) use course::ACCELERATION_HZ;
pub use course::{Contact, Motion, Temperatures};
pub use file::{Kind, Recording, RecordingError};
pub use replay::{Recordings, Replay, ReplayError, ReplayOptions, Signals};
pub(crate) use replay::{finger_counts, sensor_counts};
