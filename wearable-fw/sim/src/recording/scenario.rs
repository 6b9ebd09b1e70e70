//! What happens to a simulated patient: the invented part of a replay.
//!
//! Owns the courses of SpO2, temperature and movement and the seeded randomness. Knows nothing of recordings.
//! `replay` asks for each second. All of it is synthetic; only the waveforms are real.

/// The course a replay follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scenario {
    /// Steady SpO2 of 96..98 % and body temperature of 36.4..37.0 C (both by seed), at rest.
    #[default]
    Normal,
    /// From second 60 SpO2 falls over 60 s to 84 %, stays for 60 s and recovers over 60 s; once.
    Desaturation,
    /// From second 60 body temperature rises by 0.5 C a minute to 39.5 C and stays. The recorded pulse does not follow.
    Fever,
    /// Every minute, from second 30 to 50, the arm shakes irregularly: acceleration up to 1 g and artefacts in both wavelengths.
    Motion,
    /// Every minute, from second 30 to 45, the finger is off the sensor.
    FingerOff,
}

/// Temperature in steps of 0.01 C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Celsius(i16);

impl Celsius {
    /// Hundredths of a degree: 3712 is 37.12 C.
    #[must_use]
    pub const fn hundredths(self) -> i16 {
        self.0
    }
}

/// Synthetic temperatures: a slow wander of at most 0.1 C around bases by seed, plus the scenario.
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
pub(super) const ACCELERATION_HZ: u16 = 100;

/// Acceleration in mg, -2000..=2020 each: 1 g on z, noise of +-20 mg, more in [`Scenario::Motion`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Motion {
    /// Along the forearm.
    pub x: i16,
    /// Across it.
    pub y: i16,
    /// Out of the skin.
    pub z: i16,
}

/// Where the patient is in the scenario.
#[derive(Clone, Debug)]
pub(super) struct Course {
    scenario: Scenario,
    random: Random,
    spo2_base: i32,
    temperature_bases: [i32; 3],
    wander: [i32; 3],
    shake: [i32; 3],
}

impl Course {
    pub(super) fn new(scenario: Scenario, mut random: Random) -> Self {
        Self {
            scenario,
            spo2_base: 960 + random.up_to(20),
            temperature_bases: [3640 + random.up_to(60), 3700 + random.up_to(300), 3300 + random.up_to(200)],
            wander: [0; 3],
            shake: [0; 3],
            random,
        }
    }

    /// True SpO2 at `second` in 0.1 %.
    pub(super) fn spo2(&self, second: u32) -> i32 {
        const LOW: i32 = 840;
        const SLOPE: u32 = 60;
        if self.scenario != Scenario::Desaturation {
            return self.spo2_base;
        }
        let depth = match second {
            0..60 => 0,
            60..120 => second - 60,
            120..180 => SLOPE,
            180..240 => 240 - second,
            _ => 0,
        };
        self.spo2_base - (self.spo2_base - LOW) * depth.cast_signed() / SLOPE.cast_signed()
    }

    pub(super) const fn finger_is_on(&self, second: u32) -> bool {
        !(matches!(self.scenario, Scenario::FingerOff) && second % 60 >= 30 && second % 60 < 45)
    }

    const fn shakes(&self, second: u32) -> bool {
        matches!(self.scenario, Scenario::Motion) && second % 60 >= 30 && second % 60 < 50
    }

    pub(super) fn temperatures(&mut self, second: u32) -> Temperatures {
        let fever = match self.scenario {
            // 0.5 C a minute is 5/6 of a hundredth a second.
            Scenario::Fever => second.saturating_sub(60).min(600).cast_signed() * 5 / 6,
            _ => 0,
        };
        for wander in &mut self.wander {
            *wander = (*wander + self.random.between(1)).clamp(-10, 10);
        }
        let [body, mcu, imu] = std::array::from_fn(|sensor| {
            let at = |values: &[i32; 3]| values.get(sensor).copied().unwrap_or(0);
            at(&self.temperature_bases) + at(&self.wander)
        });
        let celsius = |hundredths: i32| Celsius(i16::try_from(hundredths).unwrap_or(i16::MAX));
        Temperatures { body: celsius((body + fever).min(3950)), mcu: celsius(mcu), imu: celsius(imu) }
    }

    /// One sample of the accelerometer. A shaking arm takes another direction about 11 times a second.
    pub(super) fn motion(&mut self, second: u32) -> Motion {
        if !self.shakes(second) {
            self.shake = [0; 3];
        } else if self.random.up_to(8) == 0 {
            self.shake = [(); 3].map(|()| self.random.between(1000));
        }
        let [x, y, z] = self.shake.map(|shake| shake + self.random.between(20));
        let milli_g = |value: i32| i16::try_from(value).unwrap_or(0);
        Motion { x: milli_g(x), y: milli_g(y), z: milli_g(z + 1000) }
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
    fn fever_rises_slowly_and_stops() {
        let mut course = Course::new(Scenario::Fever, Random::new(1));
        let body: Vec<i16> = (0..900).map(|second| course.temperatures(second).body.hundredths()).collect();
        assert!(body[59] < 3720 && body[899] > 3930 && body.iter().all(|value| *value <= 3950));
        assert!(body.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 2));
    }

    #[test]
    fn desaturation_goes_down_and_comes_back() {
        let course = Course::new(Scenario::Desaturation, Random::new(1));
        assert_eq!([120, 150, 180].map(|second| course.spo2(second)), [840; 3]);
        assert_eq!([0, 60, 240, 1000].map(|second| course.spo2(second)), [course.spo2_base; 4]);
    }

    #[test]
    fn only_the_motion_scenario_shakes() {
        let strongest = |scenario| {
            let mut course = Course::new(scenario, Random::new(3));
            let seconds = (0..60).flat_map(|second| [second; ACCELERATION_HZ as usize]);
            seconds.map(|second| course.motion(second).x.abs()).max()
        };
        assert!(strongest(Scenario::Normal) <= Some(20) && strongest(Scenario::Motion) > Some(500));
    }
}
