//! Oxygen saturation (SpO2) from red and infrared pulses, and the perfusion index.
//!
//! Owns the ratio of ratios, what makes it credible, and the perfusion index. Takes the light of [`super::optics`] and
//! whether the body moves. Knows no pulse rate; the table from ratio to saturation is [`calibration`]'s.
//!
//! # Chain
//!
//! 1. **Slopes**: change of ln(light) over 160 ms, about as long as a pulse rises, in both wavelengths. The rise is the
//!    arteries' own; wander and venous blood are slow (the derivative method: Webster, *Design of Pulse Oximeters*,
//!    1997, chapter 9). No filter has to settle, so the first value needs one pulse only. A jump that no pulse
//!    makes (a lamp's current, a finger put down) starts anew.
//! 2. **Segments** of 1 s keep sums of squares and products; what a line explains of a segment's slopes is taken out
//!    of it, so a finger that is being pressed or warms has no vote.
//! 3. **Ratio**: the direction of the cloud of (infrared, red) slopes by Deming's regression (*Statistical Adjustment of
//!    Data*, 1943), because noise is in both: as many counts of it in either, so the darker light has more.
//!    Ordinary least squares would lower R when the pulse is weak. Over the 1.6 to 8 s that there are since contact;
//!    segments of the moving body or of far more energy than usual are left out.
//! 4. **Credibility**: red and infrared have to show the same pulse (correlation), and the standard error of the
//!    saturation has to be small: the larger of what the correlation allows for and of what leaving out each
//!    segment in turn shows (the jackknife, Tukey 1958). Movement has ratios of its own, often near 1 (78 %), and
//!    may well move both wavelengths alike; it gives itself away by more energy than usual and by disagreeing with
//!    the pulse around it.
//!
//! The perfusion index is 2 sqrt(2) times the root mean square of ln(infrared) about a line over 2 s, which is the
//! peak-to-peak height of a sine; the middle one of the last 8 s.
//!
//! Nothing is held: a reading describes the last 8 s at most.
#![expect(
    clippy::indexing_slicing,
    reason = "positions are constants or counts of what was put into the array"
)]

pub mod calibration;

pub use calibration::{Calibration, Point};

use super::filter::sort;
use super::optics::{Light, RATE_HZ};
use super::{Measurement, Method, PerfusionIndex, Quality, Reading, Reason, Saturation};

/// Span of a slope: 160 ms.
const LAG: usize = 4;
/// Change of ln(light) in 40 ms, Q20, beyond any pulse: a strong one (20 % of the light) rises in 100 ms at least.
const JUMP: i32 = (1 << 20) / 10;
/// Samples that are not looked at after contact or a jump, while lamps and finger settle: 0.2 s.
const SETTLING: usize = 5;
/// Samples of a segment: 1 s, about a beat.
const SEGMENT: i64 = RATE_HZ as i64;
const SEGMENTS: usize = 8;
/// Slopes of the shortest window: 1.6 s hold a whole beat of 38 bpm.
const FEWEST: i64 = 40;
/// A segment of this many times the usual energy (1.7 times the height) is no pulse: breathing and extrasystoles change
/// the height by half, and a slow heart's rises fall into two segments of three.
const OUTLIER: i64 = 3;
/// Seconds in which the usual energy follows.
const LEARNING: i64 = 8;
/// Squared correlation of red and infrared, percent, below which they do not show the same pulse.
const SAME_PULSE: i64 = 50;
/// Standard error of the saturation, 0.1 %, that a reading may have: with the 3.1 % of the calibration it stays within
/// the 4 % of ISO 80601-2-61.
const LARGEST_ERROR: i64 = 25;
/// Perfusion, 0.01 %, below which ISO 80601-2-61 no longer expects an oximeter to measure (test signals of 0.3 %).
const FAINT: i64 = 30;
/// Perfusion, 0.01 %, above every pulse.
const TOO_STRONG: i64 = 2000;
/// Quality of a value outside the range that its calibration was validated for.
const EXTRAPOLATED: Quality = Quality(30);

/// Sums over up to 1 s.
#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    count: i64,
    moving: bool,
    /// Slopes of red and infrared, Q20: sum, sum weighted with the position.
    red: [i64; 2],
    infrared: [i64; 2],
    /// Squares of red, of infrared, and products.
    products: [i64; 3],
    /// ln(infrared) less the first one, Q16: sum, sum weighted with the position, squares.
    level: [i64; 3],
}

impl Segment {
    fn push(&mut self, slope: Light, level: i64, moving: bool) {
        let [red, infrared] = [slope.red, slope.infrared].map(i64::from);
        for (sum, value) in [(&mut self.red, red), (&mut self.infrared, infrared)] {
            sum[0] += value;
            sum[1] += value * self.count;
        }
        for (sum, product) in self.products.iter_mut().zip([red * red, infrared * infrared, red * infrared]) {
            *sum += product;
        }
        for (sum, value) in self.level.iter_mut().zip([level, level * self.count, level * level]) {
            *sum += value;
        }
        self.count += 1;
        self.moving |= moving;
    }

    /// Squares and products of the slopes about a line.
    fn slopes(&self) -> Slopes {
        let about_line = |product, a, b| about_line(self.count, product, a, b);
        let [red, infrared, common] = self.products;
        Slopes {
            count: self.count,
            red: about_line(red, self.red, self.red),
            infrared: about_line(infrared, self.infrared, self.infrared),
            common: about_line(common, self.red, self.infrared),
        }
    }

    /// Variance of the infrared level about a line over this and the next segment, Q32.
    fn variance_with(&self, next: &Self) -> i64 {
        let count = self.count + next.count;
        let sums =
            [self.level[0] + next.level[0], self.level[1] + next.level[1] + self.count * next.level[0]];
        about_line(count, self.level[2] + next.level[2], sums, sums) / count.max(1)
    }
}

/// What a straight line does not explain of a sum of products; each side is its sum and its sum weighted with the
/// position 0..count. Weighted sums below 2^29.
const fn about_line(count: i64, product: i64, a: [i64; 2], b: [i64; 2]) -> i64 {
    if count < 2 {
        return 0;
    }
    let [tilt_a, tilt_b] = [2 * a[1] - (count - 1) * a[0], 2 * b[1] - (count - 1) * b[0]];
    product - a[0] * b[0] / count - 3 * tilt_a * tilt_b / (count * (count * count - 1))
}

/// Squares and products of slopes, Q40.
#[derive(Clone, Copy, Debug, Default)]
struct Slopes {
    count: i64,
    red: i64,
    infrared: i64,
    common: i64,
}

impl Slopes {
    const fn plus(self, sign: i64, other: Self) -> Self {
        Self {
            count: self.count + sign * other.count,
            red: self.red + sign * other.red,
            infrared: self.infrared + sign * other.infrared,
            common: self.common + sign * other.common,
        }
    }

    const fn energy(&self) -> i64 {
        if self.count == 0 { 0 } else { (self.red + self.infrared) / self.count }
    }

    /// Scaled to below 2^27, so that products of two fit.
    const fn scaled(self) -> Self {
        let most = if self.red > self.infrared { self.red } else { self.infrared };
        let shift = 37_u32.saturating_sub(most.leading_zeros());
        Self {
            count: self.count,
            red: self.red >> shift,
            infrared: self.infrared >> shift,
            common: self.common >> shift,
        }
    }

    /// Red over infrared, Q16, by Deming's regression with the ratio of red's noise to infrared's (energies, Q16, at
    /// most e^2). `None` if red does not rise with infrared.
    fn ratio(self, noise: i64) -> Option<i64> {
        let Self { red, infrared, common, .. } = self.scaled();
        if common <= 0 {
            return None;
        }
        let less = red - ((infrared * noise) >> 16);
        let along = less + (less * less + ((4 * common * common) >> 16) * noise).isqrt();
        Some(((along << 16) / (2 * common)).min(Self::LARGEST))
    }

    /// A ratio beyond every calibration.
    const LARGEST: i64 = 16 << 16;

    /// Standard error of `ratio`, Q16, as far as red and infrared disagree; `None` if they do too much.
    fn error(self, ratio: i64) -> Option<i64> {
        let Self { count, red, infrared, common } = self.scaled();
        let (all, explained) = (red * infrared, common * common);
        if explained < all / 100 * SAME_PULSE {
            return None;
        }
        let unexplained = (all - explained).max(0) / ((explained >> 16) * count).max(1);
        Some((ratio * unexplained.isqrt()) >> 8)
    }
}

/// What was seen since the finger is on.
#[derive(Clone, Copy, Debug)]
struct Contact {
    /// Why there is no reading until there is enough.
    until_enough: Reason,
    first_infrared: i32,
    recent: [Light; LAG],
    /// Samples since contact or the last jump, until there are enough for a slope.
    steady: usize,
    /// The newest is last and still filling.
    segments: [Segment; SEGMENTS],
    /// Samples without a slope since the last second of them: time passes, and segments age.
    lost: i64,
    usual_energy: i64,
}

/// A ratio with its standard error, Q16.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    ratio: i64,
    error: i64,
}

/// Energy of red's noise over infrared's, Q16, where both have as many counts: exp(2 (ln infrared - ln red)).
fn noise_ratio(light: Light) -> i64 {
    let exponent = 2 * i64::from(light.infrared - light.red);
    // (1 + x / 256)^256
    let root = (1 << 20) + exponent.clamp(-2 << 20, 2 << 20) / 256;
    (0..8).fold(root, |power, _| (power * power) >> 20) >> 4
}

impl Contact {
    fn new(light: Light, lost: Reason) -> Self {
        Self {
            until_enough: if lost == Reason::Saturated { lost } else { Reason::Settling },
            first_infrared: light.infrared,
            recent: [light; LAG],
            steady: 1,
            segments: [Segment::default(); SEGMENTS],
            lost: 0,
            usual_energy: 0,
        }
    }

    fn push(&mut self, light: Light, moving: bool) {
        let [oldest, .., newest] = self.recent;
        let changes = [light.red - newest.red, light.infrared - newest.infrared];
        self.recent.rotate_left(1);
        self.recent[LAG - 1] = light;
        let newest = &mut self.segments[SEGMENTS - 1];
        if changes.iter().any(|change| change.abs() > JUMP) {
            let jumped = core::mem::take(newest);
            self.steady = 1;
            self.lose(jumped.count + 1);
            return;
        }
        if self.steady < SETTLING + LAG {
            self.steady += 1;
            self.lose(1);
            return;
        }
        let slope = Light { red: light.red - oldest.red, infrared: light.infrared - oldest.infrared };
        newest.push(slope, i64::from(light.infrared - self.first_infrared) >> 4, moving);
        if newest.count == SEGMENT {
            let energy = newest.slopes().energy();
            self.learn(energy);
            self.next_segment();
        }
    }

    fn lose(&mut self, samples: i64) {
        self.lost += samples;
        if self.lost >= SEGMENT {
            self.lost -= SEGMENT;
            self.next_segment();
        }
    }

    fn next_segment(&mut self) {
        self.segments.rotate_left(1);
        self.segments[SEGMENTS - 1] = Segment::default();
    }

    /// Once a second.
    const fn learn(&mut self, energy: i64) {
        self.usual_energy += match self.usual_energy {
            0 => energy,
            usual if energy <= OUTLIER * usual => (energy - usual) / LEARNING,
            usual => usual / LEARNING,
        };
    }

    /// Segments at rest, oldest first, or why there are too few.
    fn at_rest(&self) -> Result<impl Iterator<Item = &Segment> + Clone, Reason> {
        if self.segments[SEGMENTS - 2..].iter().any(|segment| segment.moving) {
            return Err(Reason::Motion);
        }
        let segments = self.segments.iter().filter(|segment| segment.count > 0 && !segment.moving);
        if segments.clone().map(|segment| segment.count).sum::<i64>() >= FEWEST {
            return Ok(segments);
        }
        let moved = self.segments.iter().any(|segment| segment.moving);
        Err(if moved { Reason::Motion } else { self.until_enough })
    }

    /// Age of the middle of the window.
    fn delay_ms(&self) -> u32 {
        let before = self.segments.iter().rev().skip(1).zip(1..).filter(|(segment, _)| segment.count > 0);
        let samples =
            before.last().map_or(0, |(_, seconds)| seconds * SEGMENT) + self.segments[SEGMENTS - 1].count;
        u32::try_from(samples / 2).unwrap_or(0) * (1000 / RATE_HZ)
    }

    /// Perfusion index, 0.01 %, and its quality.
    fn perfusion(&self) -> Result<(i64, Quality), Reason> {
        let segments = self.at_rest()?;
        let mut variances = [0; SEGMENTS - 1];
        let mut found = 0;
        for (variance, (before, after)) in variances.iter_mut().zip(segments.clone().zip(segments.skip(1))) {
            *variance = before.variance_with(after);
            found += 1;
        }
        let variances = &mut variances[..found];
        sort(variances);
        let at = |quarters| variances.get(found * quarters / 4).copied().unwrap_or(0).min(1 << 32);
        // 2 sqrt(2) rms, from Q16.
        let hundredths = (8 * 100_000_000 * at(2)).isqrt() >> 16;
        Ok((hundredths, Quality::clamped((10_000 * at(1) / at(3).max(1)).isqrt())))
    }

    /// The ratio of the window.
    fn estimate(&self) -> Result<Estimate, Reason> {
        let mut parts = [Slopes::default(); SEGMENTS];
        let mut energies = [0; SEGMENTS];
        let mut found = 0;
        for ((part, energy), segment) in parts.iter_mut().zip(&mut energies).zip(self.at_rest()?) {
            *part = segment.slopes();
            *energy = part.energy();
            found += 1;
        }
        let energies = &mut energies[..found];
        sort(energies);
        let middle = energies.get(found / 2).copied().unwrap_or(0);
        let most = OUTLIER * if self.usual_energy > 0 { middle.min(self.usual_energy) } else { middle };
        let kept = || parts.iter().filter(|part| part.count > 0 && part.energy() <= most);
        let sum = |parts: &mut dyn Iterator<Item = &Slopes>| {
            parts.fold(Slopes::default(), |sum, part| sum.plus(1, *part))
        };
        let (all, whole) = (sum(&mut parts.iter()), sum(&mut kept()));
        if whole.count < FEWEST.max(all.count / 2) {
            return Err(Reason::LowQuality);
        }
        let noise = noise_ratio(self.recent[LAG - 1]);
        let ratio = whole.ratio(noise).ok_or(Reason::LowQuality)?;
        let mut error = whole.error(ratio).ok_or(Reason::LowQuality)?;
        if kept().count() >= 3 {
            error = error.max(jackknife(whole, kept(), noise).ok_or(Reason::LowQuality)?);
        }
        Ok(Estimate { ratio, error })
    }
}

/// Standard error of the ratio of the `whole`, Q16, by leaving out each of its `parts`.
fn jackknife<'a>(whole: Slopes, parts: impl Iterator<Item = &'a Slopes>, noise: i64) -> Option<i64> {
    let mut ratios = [0; SEGMENTS];
    let mut found = 0;
    for (ratio, part) in ratios.iter_mut().zip(parts) {
        *ratio = whole.plus(-1, *part).ratio(noise)?;
        found += 1;
    }
    let ratios = &ratios[..found];
    let count = i64::try_from(found).ok()?.max(1);
    let mean = ratios.iter().sum::<i64>() / count;
    let squares: i64 = ratios.iter().map(|ratio| (ratio - mean).pow(2)).sum();
    Some((squares * (count - 1) / count).isqrt())
}

/// Streaming saturation and perfusion.
#[derive(Clone, Debug)]
pub struct Oximeter {
    calibration: Calibration,
    contact: Result<Contact, Reason>,
}

impl Oximeter {
    pub(super) const fn new(calibration: Calibration) -> Self {
        Self { calibration, contact: Err(Reason::NoSignal) }
    }

    /// The next light, and whether the body moves.
    pub(super) fn push(&mut self, light: Light, moving: bool) {
        match &mut self.contact {
            Ok(contact) => contact.push(light, moving),
            Err(reason) => self.contact = Ok(Contact::new(light, *reason)),
        }
    }

    /// Forgets everything: the light is of no use.
    pub(super) const fn lose(&mut self, reason: Reason) {
        self.contact = Err(reason);
    }

    /// Saturation of the last 1.7 to 8 s, 50..=100 %.
    pub(super) fn saturation(&self) -> Reading<Saturation> {
        let contact = self.contact.as_ref().map_err(|reason| *reason)?;
        match contact.perfusion()?.0 {
            ..FAINT => return Err(Reason::LowPerfusion),
            FAINT..=TOO_STRONG => {}
            _ => return Err(Reason::LowQuality),
        }
        let Estimate { ratio, error } = contact.estimate()?;
        let (value, fall) = self.calibration.at(ratio).ok_or(Reason::LowQuality)?;
        let error = (error * fall) >> 24;
        // Up to 3 % above full is calibration error; more is a wrong signal.
        let tenths = u16::try_from((value + 128) >> 8)
            .ok()
            .filter(|tenths| (500..=1030).contains(tenths) && error <= LARGEST_ERROR)
            .ok_or(Reason::LowQuality)?
            .min(1000);
        let quality = Quality::clamped(100 - 100 * error / LARGEST_ERROR);
        Ok(Measurement {
            value: Saturation(tenths),
            quality: if self.calibration.validated().contains(&tenths) {
                quality
            } else {
                quality.min(EXTRAPOLATED)
            },
            method: Method::RatioOfRatios,
            calibration: self.calibration.version(),
            delay_ms: contact.delay_ms(),
        })
    }

    /// Strength of the infrared pulse over the last 1.7 to 8 s.
    pub(super) fn perfusion(&self) -> Reading<PerfusionIndex> {
        let contact = self.contact.as_ref().map_err(|reason| *reason)?;
        let (hundredths, quality) = contact.perfusion()?;
        let possible = u16::try_from(hundredths).ok().filter(|value| i64::from(*value) <= TOO_STRONG);
        Ok(Measurement {
            value: possible.map(PerfusionIndex).ok_or(Reason::LowQuality)?,
            quality,
            method: Method::PulseAmplitude,
            calibration: 0,
            delay_ms: contact.delay_ms(),
        })
    }
}

#[cfg(test)]
mod tests;
