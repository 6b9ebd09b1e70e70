//! What happens to a simulated patient: the invented part of a replay.
//!
//! Owns how saturation, temperature, movement and contact change when something is done to them, and the seeded
//! randomness. Knows nothing of recordings, nor of scenarios: [`scenario`](crate::scenario) says what is done when, and
//! `replay` asks for each second. All of it is synthetic; only the waveforms are real.

use wearable_core::sensing::Celsius;

use crate::act::{Body, Change};

/// Synthetic temperatures: a slow wander of at most 0.1 C around bases by seed, plus what was done to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Temperatures {
    /// The patient's skin-to-core estimate.
    pub body: Celsius,
    /// The microcontroller.
    pub mcu: Celsius,
    /// The motion sensor.
    pub imu: Celsius,
}

/// Samples of the simulated accelerometer per second, as of an MPU-6050 at its usual divider.
pub(crate) const ACCELERATION_HZ: u16 = 100;

/// Acceleration in mg, -2000..=2000 each: 1 g on z, noise of +-20 mg, more while the arm shakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Motion {
    /// Along the forearm.
    pub x: i16,
    /// Across it.
    pub y: i16,
    /// Out of the skin.
    pub z: i16,
}

/// How the body is, and what touches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Whether the heart beats.
    pub beats: bool,
    /// Whether the arm shakes.
    pub shakes: bool,
    /// Whether a finger is on the light.
    pub finger: bool,
    /// Whether the electrodes are on.
    pub leads: bool,
}

impl Contact {
    pub(crate) const GOOD: Self = Self { beats: true, shakes: false, finger: true, leads: true };
}

/// The accelerometer's range, mg.
const RANGE_MG: i32 = 2_000;

/// How it is with the patient.
#[derive(Clone, Debug)]
pub(super) struct Course {
    spo2: Level,
    /// Body, microcontroller, motion sensor.
    temperatures: [Level; 3],
    wander: [i32; 3],
    heart_rate: Level,
    lean: [Level; 3],
    contact: Contact,
    shake: [i32; 3],
    random: Random,
}

impl Course {
    pub(super) fn new(mut random: Random) -> Self {
        Self {
            spo2: Level::new(960 + random.up_to(20)),
            temperatures: [3640 + random.up_to(60), 3700 + random.up_to(300), 3300 + random.up_to(200)]
                .map(Level::new),
            wander: [0; 3],
            heart_rate: Level::new(100),
            lean: [0; 3].map(Level::new),
            contact: Contact::GOOD,
            shake: [0; 3],
            random,
        }
    }

    /// Something is done at the start of `second`.
    pub(super) fn act(&mut self, body: Body, second: u32) {
        let [temperature, mcu, imu] = &mut self.temperatures;
        match body {
            Body::Temperature(change) => temperature.change(change, second),
            Body::Mcu(change) => mcu.change(change, second),
            Body::Imu(change) => imu.change(change, second),
            Body::Acceleration(axis, change) => {
                if let Some(lean) = self.lean.get_mut(axis) {
                    lean.change(change, second);
                }
            }
            Body::Spo2(change) => self.spo2.change(change, second),
            Body::HeartRate(change) => self.heart_rate.change(change, second),
            Body::Heart(beats) => self.contact.beats = beats,
            Body::Shake(shakes) => self.contact.shakes = shakes,
            Body::Finger(is_on) => self.contact.finger = is_on,
            Body::Leads(are_on) => self.contact.leads = are_on,
        }
    }

    /// True SpO2 at `second` in 0.1 %, 50 to 100 %.
    pub(super) fn spo2(&self, second: u32) -> i32 {
        self.spo2.at(second).clamp(500, 1_000)
    }

    /// How fast the recorded heart beats, percent of recorded, 50 to 200.
    pub(super) fn heart_rate(&self, second: u32) -> u32 {
        self.heart_rate.at(second).clamp(50, 200).cast_unsigned()
    }

    pub(super) const fn contact(&self) -> Contact {
        self.contact
    }

    pub(super) fn temperatures(&mut self, second: u32) -> Temperatures {
        for wander in &mut self.wander {
            *wander = (*wander + self.random.between(1)).clamp(-10, 10);
        }
        let celsius = |(level, wander): (&Level, &i32)| {
            let hundredths = (level.at(second) + wander).clamp(-4_000, 12_500);
            Celsius::from_hundredths(i16::try_from(hundredths).unwrap_or(i16::MAX))
        };
        let mut each = self.temperatures.iter().zip(&self.wander).map(celsius);
        let mut next = || each.next().unwrap_or(Celsius::from_hundredths(0));
        Temperatures { body: next(), mcu: next(), imu: next() }
    }

    /// One sample of the accelerometer. A shaking arm takes another direction about 11 times a second.
    pub(super) fn motion(&mut self, second: u32) -> Motion {
        if !self.contact.shakes {
            self.shake = [0; 3];
        } else if self.random.up_to(8) == 0 {
            self.shake = [(); 3].map(|()| self.random.between(1000));
        }
        let [x, y, z] = self.shake.map(|shake| shake + self.random.between(20));
        let [lean_x, lean_y, lean_z] = self.lean.each_ref().map(|level| level.at(second));
        let milli_g = |value: i32| i16::try_from(value.clamp(-RANGE_MG, RANGE_MG)).unwrap_or(0);
        Motion { x: milli_g(x + lean_x), y: milli_g(y + lean_y), z: milli_g(z + lean_z + 1000) }
    }

    /// Artefact (Q20 absorbance, up to 6 %) in red and infrared of the last movement: its x presses on both, y and z
    /// on one each.
    pub(super) fn artefact(&self) -> [i32; 2] {
        const PER_G: i32 = 31_457; // 3 % in Q20
        let [x, y, z] = self.shake;
        [x + y, x + z].map(|pressure| pressure * PER_G / 1000)
    }

    /// Ambient light on an uncovered sensor, counts.
    pub(super) fn ambient(&mut self) -> i32 {
        1000 + self.random.between(50)
    }

    /// What an amplifier shows of a heart that does not beat, microvolt.
    pub(super) fn hiss(&mut self) -> i32 {
        self.random.between(4)
    }
}

/// A number that somebody can change, at once or evenly.
#[derive(Clone, Copy, Debug)]
struct Level {
    usual: i32,
    from: i32,
    to: i32,
    start: u32,
    over: u32,
}

impl Level {
    const fn new(usual: i32) -> Self {
        Self { usual, from: usual, to: usual, start: 0, over: 0 }
    }

    fn at(&self, second: u32) -> i32 {
        let passed = second.saturating_sub(self.start);
        if passed >= self.over {
            return self.to;
        }
        let way = i64::from(self.to - self.from) * i64::from(passed) / i64::from(self.over);
        self.from + i32::try_from(way).unwrap_or(0)
    }

    fn change(&mut self, change: Change, second: u32) {
        /// Farther from zero than any range of any number here.
        const FAR: i32 = 100_000;
        let from = self.at(second);
        let (to, over) = match change {
            Change::By(step) => (from.saturating_add(step).clamp(-FAR, FAR), 0),
            Change::To(to, over) => (to.clamp(-FAR, FAR), over),
            Change::Usual(over) => (self.usual, over),
        };
        *self = Self { from, to, start: second, over, ..*self };
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): reproducible everywhere, not for secrets.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0..=`most`.
    pub(super) fn up_to(&mut self, most: i32) -> i32 {
        let choices = u64::from(most.unsigned_abs()) + 1;
        i32::try_from(self.next() % choices).unwrap_or(0)
    }

    /// -`reach`..=`reach`.
    fn between(&mut self, reach: i32) -> i32 {
        self.up_to(2 * reach) - reach
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn randomness_is_the_published_generator() {
        // First outputs for seed 1234567, from the reference implementation by Vigna.
        let mut random = Random::new(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn a_number_moves_evenly_and_comes_back() {
        let mut course = Course::new(Random::new(1));
        let usual = course.spo2(0);
        course.act(Body::Spo2(Change::To(840, 60)), 60);
        assert_eq!(
            [60, 90, 120, 999].map(|second| course.spo2(second)),
            [usual, usual - (usual - 840) / 2, 840, 840]
        );
        course.act(Body::Spo2(Change::By(-20)), 130);
        course.act(Body::Spo2(Change::Usual(60)), 180);
        assert_eq!([180, 240].map(|second| course.spo2(second)), [820, usual]);
    }

    #[test]
    fn fever_rises_slowly_and_stops() {
        let mut course = Course::new(Random::new(1));
        course.act(Body::Temperature(Change::To(3_940, 360)), 60);
        let body: Vec<i16> = (0..900).map(|second| course.temperatures(second).body.hundredths()).collect();
        assert!(body[59] < 3720 && body[899] > 3920 && body.iter().all(|value| *value <= 3950));
        assert!(body.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 2));
    }

    #[test]
    fn only_a_shaking_arm_shakes_and_a_lean_stays() {
        let strongest = |course: &mut Course| (0..6_000).map(|_| course.motion(0).x).max();
        let mut course = Course::new(Random::new(3));
        assert!(strongest(&mut course) <= Some(20));
        course.act(Body::Acceleration(0, Change::By(100)), 0);
        assert!((80..=120).contains(&course.motion(0).x));
        course.act(Body::Shake(true), 0);
        assert!(strongest(&mut course) > Some(500));
    }
}
