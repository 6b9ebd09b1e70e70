//! Movement of the wearer, from the accelerometer.
//!
//! Owns the motion state and the spectrum of the movement, which `tracker` holds against the light's. Knows nothing of
//! light or pulse.
//!
//! Chain: area resampling to 25 Hz, the pulse's own band of 0.5..5 Hz (gravity and posture go), energy of each second.

use super::UnsupportedRate;
use super::filter::{Resampler, Ring};
use super::optics::{PulseBand, RATE_HZ};
use super::spectrum::{LENGTH, Span, Spectrum, spectra};

/// Movement of a second that ends rest, mg rms: sedentary wrists stay below 45 mg (Hildebrand et al. 2014, "Age group
/// comparability of raw accelerometer output", Med Sci Sports Exerc 46:1816).
const MOVING_MILLI_G: i64 = 45;
/// Movement of a second that spoils the ratio of two lights, mg rms: the wrist at moderate activity (same source, 101
/// mg). A hand that holds still against a sensor makes 25 to 100.
const MUCH_MILLI_G: i64 = 100;
/// Beyond any movement; limits the input.
const LIMIT_MILLI_G: i32 = 1 << 15;
/// Seconds that [`Motion`] looks back, as long as the windows that movement spoils.
const SECONDS: usize = 8;

/// How the wearer moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Motion {
    /// No accelerometer, or not enough of it yet.
    #[default]
    Unknown,
    /// At rest for 8 s.
    Still,
    /// Moves or moved in the last 8 s; values at rest are not to be trusted.
    Moving,
}

#[derive(Clone, Debug)]
struct Axis {
    band: PulseBand,
    span: Span<LENGTH>,
}

/// Streaming motion state.
#[derive(Clone, Debug)]
pub struct Accelerometer {
    resamplers: [Resampler; 2],
    axes: Option<[Axis; 3]>,
    energy: i64,
    samples: u32,
    /// Mean square of each second, mg^2.
    seconds: Ring<SECONDS>,
}

impl Accelerometer {
    /// For samples at `rate_hz`, 25..=200 Hz.
    ///
    /// # Errors
    /// [`UnsupportedRate`] outside that range.
    pub fn new(rate_hz: u16) -> Result<Self, UnsupportedRate> {
        if !(25..=200).contains(&rate_hz) {
            return Err(UnsupportedRate { signal: "accelerometer", hz: rate_hz, low: 25, high: 200 });
        }
        let resampler = Resampler::new(rate_hz.into(), RATE_HZ);
        Ok(Self {
            resamplers: [resampler.clone(), resampler],
            axes: None,
            energy: 0,
            samples: 0,
            seconds: Ring::new(),
        })
    }

    /// One sample of x, y, z in mg; limited to +-32.8 g.
    pub(super) fn push(&mut self, milli_g: [i32; 3]) {
        let [x, y, z] =
            milli_g.map(|axis| axis.clamp(-LIMIT_MILLI_G, LIMIT_MILLI_G).abs_diff(-LIMIT_MILLI_G));
        let [first, second] = &mut self.resamplers;
        let (Some([x, y]), Some([z, _])) = (first.push([x, y]), second.push([z, z])) else { return };
        let values = [x, y, z].map(|value| i32::try_from(value >> Resampler::FRACTION).unwrap_or(0));
        let axes = self.axes.get_or_insert_with(|| {
            values.map(|value| Axis { band: PulseBand::new(value), span: Span::new() })
        });
        for (axis, value) in axes.iter_mut().zip(values) {
            let movement = axis.band.push(value);
            axis.span.push(movement);
            self.energy += i64::from(movement).pow(2);
        }
        self.samples += 1;
        if self.samples == RATE_HZ {
            self.seconds.push(i32::try_from(self.energy / i64::from(RATE_HZ)).unwrap_or(i32::MAX));
            (self.energy, self.samples) = (0, 0);
        }
    }

    /// Forgets everything, as after a gap in the samples.
    pub(super) fn restart(&mut self) {
        self.resamplers.iter_mut().for_each(Resampler::restart);
        (self.axes, self.seconds) = (None, Ring::new());
        (self.energy, self.samples) = (0, 0);
    }

    pub(super) fn motion(&self) -> Motion {
        let moved = |second: i32| i64::from(second) > MOVING_MILLI_G * MOVING_MILLI_G;
        match self.seconds.iter().map(moved).reduce(|before, now| before || now) {
            Some(true) => Motion::Moving,
            Some(false) if self.seconds.is_full() => Motion::Still,
            _ => Motion::Unknown,
        }
    }

    /// Moves much, in the newest second.
    pub(super) fn moves_much(&self) -> bool {
        self.seconds.iter().next_back().is_some_and(|second| i64::from(second) > MUCH_MILLI_G * MUCH_MILLI_G)
    }

    /// Power of the three axes together; `None` before a full window.
    pub(super) fn spectrum(&self) -> Option<Spectrum> {
        let [x, y, z] =
            self.axes.as_ref().filter(|axes| axes.iter().all(|axis| axis.span.len() == LENGTH))?;
        let [x, y, z] = [&x.span, &y.span, &z.span];
        let ([mut sum, of_y], [of_z, _]) = (spectra(x, y), spectra(z, z));
        for (sum, (y, z)) in sum.iter_mut().zip(of_y.into_iter().zip(of_z)) {
            *sum = sum.saturating_add(y).saturating_add(z);
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;

    #[test]
    fn stillness_takes_eight_seconds_and_movement_one() {
        let mut accelerometer = Accelerometer::new(100).unwrap();
        let mut states = [Motion::Unknown; 40];
        let mut walk = synthetic::walk(100, 20..25);
        for state in &mut states {
            walk.by_ref().take(100).for_each(|milli_g| accelerometer.push(milli_g));
            *state = accelerometer.motion();
        }
        let count = |state| states.iter().filter(|other| **other == state).count();
        assert_eq!([count(Motion::Unknown), count(Motion::Moving)], [7, 13]);
        assert!(states[20] == Motion::Moving && states[33] == Motion::Still, "{states:?}");
    }

    #[test]
    fn posture_is_not_movement_and_any_input_is_taken() {
        let mut accelerometer = Accelerometer::new(25).unwrap();
        (0..25 * 60).for_each(|sample| accelerometer.push([sample, 1000 - sample / 2, 0]));
        assert_eq!(accelerometer.motion(), Motion::Still);
        (0..25 * 20).for_each(|sample| accelerometer.push([i32::MIN, i32::MAX, sample]));
        (0..25 * 20).for_each(|sample| {
            accelerometer.push([i32::MAX; 3].map(|rail| if sample % 8 < 4 { rail } else { !rail }));
        });
        assert!(accelerometer.motion() == Motion::Moving && accelerometer.spectrum().is_some());
    }
}
