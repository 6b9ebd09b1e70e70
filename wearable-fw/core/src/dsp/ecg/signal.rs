//! One ECG lead at 100 Hz: its QRS band, the energy in it, and the peaks of that energy.
//!
//! Owns filters and a short history. Knows no beats. The chain is Hamilton's (2002) at a fixed 100 Hz, so that every
//! window is a whole number of samples whatever the sensor's rate: area resampling (a QRS lies within 5..=25 Hz), a
//! 30 ms low-pass, minus a 130 ms mean, absolute 10 ms difference, 80 ms mean.
#![expect(
    clippy::indexing_slicing,
    reason = "positions are reduced modulo the length; none comes from outside"
)]

use crate::dsp::filter::Boxcar;

/// Ticks per second.
pub(super) const HZ: u32 = 100;
/// Fraction bits of a place in time.
pub(super) const PLACE: u32 = 4;
/// Ticks that the band lies behind the newest sample: half of the low-pass and of the mean.
const BAND_DELAY: u32 = 1 + MEAN_TICKS / 2;
const MEAN_TICKS: u32 = 13;
/// Ticks from the middle of the 80 ms energy window, which holds differences, back to its newest.
const ENERGY_DELAY: u32 = 4;
/// A peak is the highest within this many ticks on either side: two QRS are never closer than 100 ms.
const ALONE: u32 = 9;
/// Ticks around the middle of a peak in which its flanks and its main deflection lie: the widest QRS, 160 ms.
const HALF_COMPLEX: u32 = 8;
/// Limit of the band, microvolt: three times the largest QRS. The sum of two such differences fits in 16 bits.
const BAND_LIMIT: i32 = 16_383;
/// Least height of a beat, twice microvolt per 10 ms over 80 ms: a QRS of 0.1 mV. IEC 60601-2-27 asks to detect 0.5 mV
/// and to ignore 0.15 mV and less, which the low-pass makes a third smaller. Without it, thresholds that adapt find a
/// heart in any baseline.
pub(super) const LEAST_HEIGHT: i32 = 30;
/// Least height of a peak. It is far below any beat's: what is no beat has to be known, too.
const LEAST_PEAK: u16 = 10;
/// Ticks of band that are remembered: the time of a decision, and the shape around what is decided.
const HISTORY: u32 = 192;

/// A peak of the energy: a beat, or something else.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peak {
    /// Tick of its middle.
    pub(super) middle: u32,
    /// From there to the main deflection, in 1/16 tick.
    pub(super) main: i8,
    /// Likeness to known beats, 127 at most.
    pub(super) likeness: i8,
    /// Band at the main deflection, microvolt, without sign.
    pub(super) amplitude: u16,
    /// Energy.
    pub(super) height: u16,
    /// The gentler of its steepest rise and steepest fall, microvolt per 10 ms. A QRS has two flanks; a step of an
    /// electrode has one.
    pub(super) flank: u16,
}

impl Peak {
    /// Place of the main deflection, in 1/16 tick.
    pub(super) const fn place(&self) -> u32 {
        (self.middle << PLACE).wrapping_add_signed(self.main as i32)
    }
}

/// The filters.
#[derive(Clone, Debug)]
pub(super) struct Signal {
    rate_hz: u32,
    /// Hundredths of the sample at hand that are already in `area`.
    filled: u32,
    area: i64,
    low: Option<[i32; 2]>,
    mean: Boxcar<13>,
    means: [i32; 10],
    /// Mean over 1 s of how far the 130 ms mean moves in 100 ms, 1/16 microvolt.
    swing: i32,
    /// The least swing of the last minutes: the patient's own.
    usual_swing: i32,
    energy: Boxcar<8>,
    energies: [u16; 2 * ALONE as usize + 1],
    band: [i16; HISTORY as usize],
    /// Ticks since start.
    now: u32,
}

impl Signal {
    pub(super) fn new(rate_hz: u16) -> Self {
        let hz = u16::try_from(HZ).unwrap_or(u16::MAX);
        Self {
            rate_hz: rate_hz.into(),
            filled: 0,
            area: 0,
            low: None,
            mean: Boxcar::new(130, hz),
            means: [0; 10],
            swing: 0,
            usual_swing: i32::MAX,
            energy: Boxcar::new(80, hz),
            energies: [0; 2 * ALONE as usize + 1],
            band: [0; HISTORY as usize],
            now: 0,
        }
    }

    /// One sample within +-1 V. Whether it completes a tick.
    pub(super) fn push(&mut self, microvolt: i32) -> bool {
        let take = HZ.min(self.rate_hz - self.filled);
        self.area += i64::from(microvolt) * i64::from(take);
        self.filled += take;
        if self.filled < self.rate_hz {
            return false;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a mean of samples within +-1 V")]
        let sample = (self.area / i64::from(self.rate_hz)) as i32;
        self.filled = HZ - take;
        self.area = i64::from(microvolt) * i64::from(self.filled);
        self.tick(sample);
        true
    }

    fn tick(&mut self, sample: i32) {
        self.now = self.now.wrapping_add(1);
        let [before, middle] = self.low.unwrap_or([sample; 2]);
        self.low = Some([middle, sample]);
        let mean = self.mean.push((before + 2 * middle + sample) / 4).0;
        let band = (self.mean.middle() - mean).clamp(-BAND_LIMIT, BAND_LIMIT);
        let slope = (band - self.band(self.now.wrapping_sub(1))).abs();
        self.band[(self.now % HISTORY) as usize] = i16::try_from(band).unwrap_or(0);
        let height = self.energy.push(2 * slope).0;
        self.energies[self.now as usize % self.energies.len()] = u16::try_from(height).unwrap_or(u16::MAX);
        let position = self.now as usize % self.means.len();
        let earlier = core::mem::replace(&mut self.means[position], mean);
        if self.now > HZ {
            self.swing += ((mean - earlier).abs() * 16 - self.swing) / 100;
        }
        if self.now > 3 * HZ && self.now.is_multiple_of(HZ) {
            // Doubles in 3 min.
            let usual = self.usual_swing;
            self.usual_swing = usual.saturating_add(usual / 256 + 1).min(self.swing);
        }
    }

    pub(super) const fn now(&self) -> u32 {
        self.now
    }

    #[cfg(test)]
    pub(super) const fn wake_at(&mut self, tick: u32) {
        self.now = tick;
    }

    /// Movement of the baseline beyond the patient's own (wide complexes and T waves), microvolt per 100 ms.
    pub(super) fn swing(&self) -> i32 {
        (self.swing - self.usual_swing.min(self.swing)) / 16
    }

    /// Movement of the baseline, microvolt per 100 ms.
    pub(super) const fn whole_swing(&self) -> i32 {
        self.swing / 16
    }

    /// Band at `tick`, one of the last 192.
    pub(super) fn band(&self, tick: u32) -> i32 {
        self.band[(tick % HISTORY) as usize].into()
    }

    /// Whether the band around `tick` is still known.
    pub(super) const fn remembers(&self, tick: u32) -> bool {
        self.now.wrapping_sub(tick) < HISTORY - 16
    }

    /// Samples between `place` and the newest sample.
    pub(super) const fn samples_since(&self, place: u32) -> u32 {
        let places = (self.now.wrapping_add(BAND_DELAY) << PLACE).wrapping_sub(place) + (1 << PLACE) / 2;
        (((places * self.rate_hz) >> PLACE) + self.filled) / HZ
    }

    /// The peak whose neighbourhood this tick completes.
    pub(super) fn peak(&self) -> Option<Peak> {
        let top = self.now.wrapping_sub(ALONE);
        let energy = |tick: u32| self.energies[tick as usize % self.energies.len()];
        let height = energy(top);
        let alone = (1..=ALONE)
            .all(|step| energy(top.wrapping_sub(step)) < height && energy(top.wrapping_add(step)) <= height);
        if !alone || height < LEAST_PEAK || self.now < 2 * ALONE + HALF_COMPLEX {
            return None;
        }
        let middle = top.wrapping_sub(ENERGY_DELAY);
        let [mut rise, mut fall, mut amplitude, mut main] = [0; 4];
        for offset in 0..=2 * HALF_COMPLEX {
            let tick = middle.wrapping_sub(HALF_COMPLEX).wrapping_add(offset);
            let band = self.band(tick);
            let slope = band - self.band(tick.wrapping_sub(1));
            (rise, fall) = (slope.max(rise), (-slope).max(fall));
            if band.abs() > amplitude {
                (amplitude, main) = (band.abs(), offset.cast_signed() - HALF_COMPLEX.cast_signed());
            }
        }
        let main = (main << PLACE) + self.vertex(middle.wrapping_add_signed(main));
        Some(Peak {
            middle,
            main: i8::try_from(main.clamp(i8::MIN.into(), i8::MAX.into())).unwrap_or(0),
            likeness: 0,
            amplitude: u16::try_from(amplitude).unwrap_or(u16::MAX),
            height,
            flank: u16::try_from(rise.min(fall)).unwrap_or(u16::MAX),
        })
    }

    /// From `tick` to the vertex of the parabola through it and its neighbours, in 1/16 tick.
    fn vertex(&self, tick: u32) -> i32 {
        let [before, at, after] =
            [tick.wrapping_sub(1), tick, tick.wrapping_add(1)].map(|tick| self.band(tick));
        let bend = 2 * at - before - after;
        if bend == 0 { 0 } else { (8 * (after - before) / bend).clamp(-8, 8) }
    }
}
