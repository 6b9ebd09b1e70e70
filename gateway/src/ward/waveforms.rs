//! Signals that somebody asked a wearable for: until when they are taken, and how much of them. A value; it knows no session
//! and no watcher.

use std::{collections::BTreeMap, time::Duration};

use protocol::{
    error::Fault,
    opcode::Opcode,
    time::Monotonic,
    waveform::{Signal, Waveform, WaveformRequest},
};

/// How much later than asked for, and how much ahead of its rate, a signal may come.
const SLACK: Duration = Duration::from_secs(5);
/// A sensor's own clock may be fast by a tenth.
const FAST: u32 = 10;
/// A batch counts as at least so much of its signal: many small ones are a flood, too. At the highest rate the largest is longer.
const SHORTEST: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Asked {
    since: Monotonic,
    until: Monotonic,
    /// How much of the signal came.
    taken: Duration,
}

/// The signals of one wearable that were asked for in this session.
#[derive(Debug, Default)]
pub(super) struct Waveforms(BTreeMap<Signal, Asked>);

impl Waveforms {
    /// Somebody asks for a signal, or for no more of it. What is on its way may still come.
    pub(super) fn ask(&mut self, request: WaveformRequest, now: Monotonic) {
        let until = now + Duration::from_secs(request.seconds.into());
        self.0.insert(request.signal, Asked { since: now, until, taken: Duration::ZERO });
    }

    /// Whether a batch may be shown.
    ///
    /// # Errors
    /// [`Fault::PeerOutOfOrder`] if nobody waits for it, [`Fault::PeerLimit`] if its signal comes faster than it is sampled.
    pub(super) fn take(&mut self, waveform: &Waveform, now: Monotonic) -> Result<(), Fault> {
        const UNASKED: Fault = Fault::PeerOutOfOrder {
            opcode: Opcode::Waveform,
            state: "in session, where nobody asked for this signal",
        };
        let asked = self.0.get_mut(&waveform.signal).filter(|asked| now <= asked.until + SLACK);
        let asked = asked.ok_or(UNASKED)?;
        let samples = u64::from(u32::try_from(waveform.samples.len()).unwrap_or(u32::MAX));
        let length = samples * 1_000_000_000 / u64::from(waveform.rate_millihertz.max(1));
        let taken = asked.taken + Duration::from_micros(length).max(SHORTEST);
        let elapsed = now.since(asked.since);
        if taken > elapsed + elapsed / FAST + SLACK {
            return Err(Fault::PeerLimit("a signal comes faster than it is sampled"));
        }
        asked.taken = taken;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use protocol::{
        id::BootId,
        vitals::{Decimal, SampleTime},
        waveform::Packed,
    };

    use super::*;

    fn batch(signal: Signal, samples: usize) -> Waveform {
        Waveform {
            signal,
            boot: BootId(1),
            first: 0,
            taken: SampleTime { since_boot_ms: 0, wall: None },
            rate_millihertz: 100_000,
            scale: Decimal { mantissa: 1, exponent: 0 },
            unit: "mV".into(),
            simulated: true,
            samples: Packed::pack(&vec![0; samples]).0,
        }
    }

    fn asked(seconds: u16) -> Waveforms {
        let mut waveforms = Waveforms::default();
        waveforms.ask(WaveformRequest { signal: Signal::ECG, seconds }, Monotonic(0));
        waveforms
    }

    #[test]
    fn a_signal_is_taken_as_long_as_it_was_asked_for_and_no_other_is() {
        let mut waveforms = asked(10);
        assert!(waveforms.take(&batch(Signal::ECG, 100), Monotonic(1_000)).is_ok());
        assert!(waveforms.take(&batch(Signal::ECG, 100), Monotonic(15_000)).is_ok(), "on its way");
        assert!(waveforms.take(&batch(Signal::ECG, 100), Monotonic(15_001)).is_err());
        assert!(waveforms.take(&batch(Signal::PPG_RED, 100), Monotonic(1_000)).is_err());
        waveforms.ask(WaveformRequest { signal: Signal::ECG, seconds: 0 }, Monotonic(20_000));
        assert!(waveforms.take(&batch(Signal::ECG, 100), Monotonic(21_000)).is_ok(), "on its way");
        assert!(waveforms.take(&batch(Signal::ECG, 100), Monotonic(25_001)).is_err());
    }

    #[test]
    fn a_signal_that_comes_faster_than_it_is_sampled_is_not_taken() {
        let mut waveforms = asked(600);
        let taken = |waveforms: &mut Waveforms, samples, now| {
            (0..1_000)
                .filter(|_| waveforms.take(&batch(Signal::ECG, samples), Monotonic(now)).is_ok())
                .count()
        };
        assert_eq!(taken(&mut waveforms, 100, 0), 5);
        assert_eq!(taken(&mut waveforms, 100, 60_000), 66);
        let mut waveforms = asked(600);
        assert_eq!(taken(&mut waveforms, 1, 0), 100, "small batches are no way around it");
        assert_eq!(taken(&mut waveforms, 0, 1_000), 22);
    }
}
