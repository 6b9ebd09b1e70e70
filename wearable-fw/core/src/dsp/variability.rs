//! Heart-rate variability from accepted beats.
//!
//! Owns SDNN and RMSSD. Knows no signal.

/// Variability of the intervals between normal beats over the last minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variability {
    /// Standard deviation of the intervals, 0.1 ms.
    pub sdnn: u16,
    /// Root mean square of the differences of successive intervals, 0.1 ms.
    pub rmssd: u16,
}
