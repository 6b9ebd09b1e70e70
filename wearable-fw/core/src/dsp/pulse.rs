//! Pulse rate from the optical pulse.
//!
//! Owns the pulse rate and the choice of its method. Knows no calibration.
//!
//! At rest, and where no accelerometer tells: `period` on the infrared light. In motion: spectra of both lights
//! and of the accelerometer once a second into `tracker`.

use super::motion::{Accelerometer, Motion};
use super::optics::{Light, PulseBand, RATE_HZ};
use super::period::{REST, Rhythm, rhythm};
use super::spectrum::{LENGTH, Span, spectra};
use super::tracker::{Estimate, Tracker};
use super::{Measurement, Method, Quality, Rate, Reading, Reason};

const SETTLING: u8 = 50; // 2 s, four time constants of the high-pass
/// From Q20 to the 16 bits of a [`Span`]: 20 % of perfusion fits.
const SPAN_SHIFT: u32 = 2;
/// Perfusion index (peak-to-peak AC/DC, taken as 2 sqrt(2) rms) 0.3 % and 20 %, as energy of 8 s.
const FAINT: i64 = energy_at_perfusion(3);
const TOO_STRONG: i64 = energy_at_perfusion(200);
/// Centre of the spectra's window, and what the belief lags behind (measured on a known ramp).
const TRACKER_DELAY_MS: u32 = 6500;

const fn energy_at_perfusion(per_mille: i64) -> i64 {
    per_mille * per_mille * (LENGTH as i64 / 4) * ((1 << (39 - 2 * SPAN_SHIFT)) / 1_000_000)
}

#[derive(Clone, Debug)]
struct Window {
    settling: u8,
    bands: [PulseBand; 2],
    red: Span<LENGTH>,
    infrared: Span<REST>,
    /// Samples since the last step.
    samples: u32,
    motion: Motion,
    rhythm: Option<Rhythm>,
    tracker: Tracker,
}

impl Window {
    const fn new(light: Light) -> Self {
        Self {
            settling: SETTLING,
            bands: [PulseBand::new(light.red), PulseBand::new(light.infrared)],
            red: Span::new(),
            infrared: Span::new(),
            samples: 0,
            motion: Motion::Unknown,
            rhythm: None,
            tracker: Tracker::new(),
        }
    }

    fn push(&mut self, light: Light, accelerometer: Option<&Accelerometer>) {
        let [red, infrared] = &mut self.bands;
        let (red, infrared) = (red.push(light.red), infrared.push(light.infrared));
        if self.settling > 0 {
            self.settling -= 1;
            return;
        }
        self.red.push(red >> SPAN_SHIFT);
        self.infrared.push(infrared >> SPAN_SHIFT);
        self.samples += 1;
        if self.samples == RATE_HZ {
            self.samples = 0;
            self.step(accelerometer);
        }
    }

    /// A second later. The tracker starts anew where the accelerometer is silent.
    fn step(&mut self, accelerometer: Option<&Accelerometer>) {
        if self.red.len() < LENGTH {
            return;
        }
        self.motion = accelerometer.map_or(Motion::Unknown, Accelerometer::motion);
        match accelerometer.and_then(Accelerometer::spectrum) {
            Some(movement) => self.tracker.step(&spectra(&self.red, &self.infrared), &movement),
            None => self.tracker = Tracker::new(),
        }
        self.rhythm = if self.motion == Motion::Moving {
            None
        } else {
            rhythm(&self.infrared, self.motion == Motion::Still)
        };
    }

    fn at_rest(&self) -> Reading<Rate> {
        let Rhythm { tenths, percent } = self.rhythm.ok_or(Reason::LowQuality)?;
        let value = Rate::within(tenths, 290..=2200).ok_or(Reason::LowQuality)?;
        // The middle of the beats' window, 80 ms a value.
        let delay = u32::try_from(self.infrared.len()).unwrap_or(0) * 40;
        Ok(self.measurement(value, percent, Method::PulsePeriod, delay))
    }

    fn in_motion(&self) -> Reading<Rate> {
        let Estimate { tenths, percent } = self.tracker.estimate().ok_or(Reason::Motion)?;
        let value = Rate::within(tenths, 290..=2400).ok_or(Reason::Motion)?;
        Ok(self.measurement(value, percent.into(), Method::PulseSpectrum, TRACKER_DELAY_MS))
    }

    fn measurement(&self, value: Rate, percent: i64, method: Method, delay: u32) -> Measurement<Rate> {
        let delay_ms = delay + self.samples * 1000 / RATE_HZ;
        Measurement { value, quality: Quality::clamped(percent), method, calibration: 0, delay_ms }
    }
}

/// Streaming pulse rate.
#[derive(Clone, Debug)]
pub struct Pulse {
    window: Result<Window, Reason>,
}

impl Pulse {
    pub(super) const fn new() -> Self {
        Self { window: Err(Reason::NoSignal) }
    }

    /// `accelerometer` where it is heard.
    pub(super) fn push(&mut self, light: Light, accelerometer: Option<&Accelerometer>) {
        match &mut self.window {
            Ok(window) => window.push(light, accelerometer),
            Err(_) => self.window = Ok(Window::new(light)),
        }
    }

    /// Forgets everything: the light is of no use.
    pub(super) const fn lose(&mut self, reason: Reason) {
        self.window = Err(reason);
    }

    /// How clean the signal is; `None` before enough of it was seen.
    pub(super) fn signal_quality(&self) -> Option<Quality> {
        self.rate().ok().map(|rate| rate.quality)
    }

    /// Pulse rate, 29..=220 bpm at rest, ..=240 bpm in motion, a new one each second. First value 10 s after the finger
    /// is on.
    pub(super) fn rate(&self) -> Reading<Rate> {
        let window = self.window.as_ref().map_err(|reason| *reason)?;
        if window.red.len() < LENGTH {
            return Err(Reason::Settling);
        }
        let energy: i64 = window.infrared.newest(LENGTH).map(|value| i64::from(value).pow(2)).sum();
        match window.motion {
            _ if energy < FAINT => Err(Reason::LowPerfusion),
            Motion::Moving => window.in_motion(),
            _ if energy > TOO_STRONG => Err(Reason::LowQuality),
            _ => window.at_rest(),
        }
    }
}

#[cfg(test)]
mod tests;
