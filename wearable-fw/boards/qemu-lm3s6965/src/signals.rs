//! SIMULATED: the signals of a person who is not there. Owns a few seconds of the shipped recordings, whole beats and whole
//! pulses, played over and over; they say nothing about anybody.

use crate::clock::TICKS_PER_SECOND;

static ECG: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ecg.i16"));
static INFRARED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/infrared.i16"));

const ECG_HZ: u32 = 360;
/// Microvolt per count.
const ECG_STEP: i32 = 5;
/// Red and infrared without a pulse, counts of 18 bits.
const LAMPS: [i32; 2] = [60_000, 90_000];
/// What the blood of 97 % saturation takes of the red for each thousand that it takes of the infrared: ratio 0.427 of the
/// calibration 111.3 - 33.5 R, times the lamps'.
const RED: i32 = 427 * 60 / 90;

/// Where in the signals the person is.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    ecg: usize,
    light: usize,
    /// ECG samples that are due, in hundredths.
    due: u32,
}

impl Signals {
    /// The ECG of a tick, 3 or 4 samples, microvolt.
    pub(crate) fn ecg(&mut self) -> impl Iterator<Item = i32> {
        self.due += ECG_HZ;
        let samples = self.due / TICKS_PER_SECOND;
        self.due %= TICKS_PER_SECOND;
        (0..samples).map(|_| next(ECG, &mut self.ecg) * ECG_STEP)
    }

    /// The light of a tick, red and infrared, counts of 18 bits.
    pub(crate) fn light(&mut self) -> [i32; 2] {
        let [red, infrared] = LAMPS;
        let pulse = next(INFRARED, &mut self.light);
        [red + pulse * RED / 1_000, infrared + pulse]
    }
}

fn next(signal: &[u8], at: &mut usize) -> i32 {
    let (words, _) = signal.as_chunks();
    let word = words.get(*at).map_or(0, |word| i16::from_le_bytes(*word));
    *at = (*at + 1) % words.len();
    word.into()
}
