//! Respiration rate: from breathing's traces in the optical pulse, and from the chest's impedance.
//!
//! Owns both methods and the reading of a rhythm that they share. Knows neither wavelengths nor beats of the ECG.
//! A rate is told only where independent ways to read it agree.

mod impedance;
mod modulation;
mod rhythm;
#[cfg(test)]
mod tests;

pub use impedance::ImpedanceRespiration;
pub use modulation::PulseRespiration;
