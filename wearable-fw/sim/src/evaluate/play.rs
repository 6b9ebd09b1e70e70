//! A record through the firmware: every channel sample by sample in the order of time, and what the device then says.
//!
//! Owns the order and what is kept of the answers. It is the firmware's own [`Monitor`] that answers; nothing is
//! looked up, filtered or corrected here. Times are those of the source: now less the delay that the firmware states. The
//! ECG's last value stays for three seconds more, so that the beats that the device is deciding about come out; readings
//! end with the record.

use wearable_core::dsp::{
    Measurement, Monitor, Reading, Readings, Reason, SampleRates, UnsupportedRate, ecg::Beat as Found,
    spo2::Calibration,
};

use super::{
    record::Record,
    score::{DESATURATION, MAX_AGE, Series},
    signals::{Channel, Signals},
};

/// Longer than the device takes to decide about a beat.
const AFTERWARDS_SECONDS: f64 = 3.0;

/// A beat that the device reported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beat {
    /// Of its R peak, seconds.
    pub time: f64,
    /// Whether the device counts on it.
    pub trusted: bool,
}

impl Beat {
    fn at(now: f64, Found { samples_ago, trusted }: Found, rate_hz: f64) -> Self {
        Self { time: now - f64::from(samples_ago) / rate_hz, trusted }
    }
}

/// What the device said at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Seconds of signal so far.
    pub now: f64,
    /// Everything it knows.
    pub readings: Readings,
}

/// Everything that the device said of a record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Played {
    /// How long it was.
    pub seconds: f64,
    /// In the order of time.
    pub beats: Vec<Beat>,
    /// Each second, and at the end.
    pub moments: Vec<Moment>,
}

/// A quantity that has one value at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// From the ECG, per minute.
    HeartRate,
    /// From the PPG, per minute.
    PulseRate,
    /// Percent.
    Spo2,
    /// Per minute.
    Respiration,
}

/// A reading as a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// When it was so, seconds.
    pub time: f64,
    /// How much.
    pub value: f64,
    /// 0 to 100.
    pub quality: u8,
}

impl Quantity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::HeartRate, Self::PulseRate, Self::Spo2, Self::Respiration];

    /// The reading of this quantity.
    ///
    /// # Errors
    /// Why there is none.
    pub fn of(self, moment: &Moment) -> Result<Value, Reason> {
        fn value<T>(now: f64, reading: Reading<T>, tenths: impl Fn(T) -> u16) -> Result<Value, Reason> {
            let Measurement { value, quality, delay_ms, .. } = reading?;
            let time = now - f64::from(delay_ms) / 1000.0;
            Ok(Value { time, value: f64::from(tenths(value)) / 10.0, quality: quality.percent() })
        }
        let Moment { now, readings } = *moment;
        match self {
            Self::HeartRate => value(now, readings.heart_rate, |rate| rate.tenths()),
            Self::PulseRate => value(now, readings.pulse_rate, |rate| rate.tenths()),
            Self::Spo2 => value(now, readings.spo2, |spo2| spo2.tenths()),
            Self::Respiration => value(now, readings.respiration, |rate| rate.tenths()),
        }
    }
}

impl Played {
    /// All values of a quantity, in the order of time.
    #[must_use]
    pub fn values(&self, quantity: Quantity) -> Vec<Value> {
        let mut values: Vec<Value> =
            self.moments.iter().filter_map(|moment| quantity.of(moment).ok()).collect();
        values.sort_by(|a, b| a.time.total_cmp(&b.time));
        values
    }

    /// The same, to score.
    #[must_use]
    pub fn series(&self, quantity: Quantity) -> Series {
        let points = self.values(quantity).into_iter().map(|value| (value.time, value.value));
        Series::new(points.collect()).unwrap_or_default()
    }

    /// Times of the beats, of all or of those that the device counts on.
    #[must_use]
    pub fn beat_times(&self, only_trusted: bool) -> Vec<f64> {
        self.beats.iter().filter(|beat| beat.trusted || !only_trusted).map(|beat| beat.time).collect()
    }

    /// When a monitor with the default limits would have raised and ended its alarm for a low saturation: below the
    /// limit for as long as an episode has to last, up to the limit plus hysteresis. Times of arrival, not of the
    /// signal: whoever waits for an alarm waits for its delay too.
    #[must_use]
    pub fn desaturation_alarms(&self) -> Vec<(f64, bool)> {
        // Without a reading nothing is known, and what was low stays so.
        let known = self
            .moments
            .iter()
            .filter_map(|moment| Some((moment.now, Quantity::Spo2.of(moment).ok()?.value)));
        desaturation_alarms(known)
    }
}

fn desaturation_alarms(values: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, bool)> {
    let (mut alarms, mut low_since, mut raised) = (Vec::new(), None, false);
    let mut last = f64::NEG_INFINITY;
    for (now, value) in values {
        if now - std::mem::replace(&mut last, now) > MAX_AGE {
            low_since = None;
        }
        if raised && value >= DESATURATION.clear {
            alarms.push((now, false));
            (raised, low_since) = (false, None);
        } else if !raised && value < DESATURATION.below {
            // A value stands for its second.
            if now - *low_since.get_or_insert(now) >= DESATURATION.hold - 1.0 {
                alarms.push((now, true));
                raised = true;
            }
        } else if !raised {
            low_since = None;
        }
    }
    alarms
}

/// What one stream brings to a monitor, and when its next sample is due.
struct Stream<'record, T> {
    channel: Option<&'record Channel<T>>,
    next: usize,
}

impl<'record, T: Copy> Stream<'record, T> {
    const fn of(channel: Option<&'record Channel<T>>) -> Self {
        Self { channel, next: 0 }
    }

    /// Infinite when there is no more.
    fn due(&self) -> f64 {
        match self.channel {
            Some(channel) if self.next < channel.samples.len() => self.next as f64 / channel.rate_hz,
            _ => f64::INFINITY,
        }
    }

    fn rate_hz(&self) -> f64 {
        self.channel.map_or(1.0, |channel| channel.rate_hz)
    }

    fn take(&mut self) -> Option<T> {
        let sample = self.channel?.samples.get(self.next).copied();
        self.next += 1;
        sample
    }
}

/// Sample rates as the firmware takes them: whole numbers.
fn rates(signals: &Signals) -> SampleRates {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    fn whole<T>(channel: Option<&Channel<T>>, otherwise: u16) -> u16 {
        channel.map_or(otherwise, |channel| channel.rate_hz.round() as u16)
    }
    let usual = SampleRates::default();
    SampleRates {
        ecg_hz: whole(signals.ecg.as_ref(), usual.ecg_hz),
        ppg_hz: whole(signals.light.as_ref(), usual.ppg_hz),
        acceleration_hz: whole(signals.acceleration.as_ref(), usual.acceleration_hz),
        impedance_hz: whole(signals.impedance.as_ref(), usual.impedance_hz),
    }
}

/// Plays a record from its first sample to its last.
///
/// # Errors
/// [`UnsupportedRate`] for a channel that the firmware does not take.
pub fn play(record: &Record) -> Result<Played, UnsupportedRate> {
    let signals = &record.signals;
    let mut monitor = Monitor::new(rates(signals), Calibration::V1)?;
    let mut ecg = Stream::of(signals.ecg.as_ref());
    let mut light = Stream::of(signals.light.as_ref());
    let mut acceleration = Stream::of(signals.acceleration.as_ref());
    let mut impedance = Stream::of(signals.impedance.as_ref());
    let seconds = signals.seconds();
    let (mut beats, mut moments) = (Vec::new(), Vec::new());
    for second in 1_u32.. {
        let now = f64::from(second).min(seconds);
        loop {
            let dues = [ecg.due(), light.due(), acceleration.due(), impedance.due()];
            let due = dues.into_iter().fold(now, f64::min);
            if due >= now {
                break;
            }
            if due == ecg.due() {
                let found = ecg.take().and_then(|microvolt| monitor.push_ecg(microvolt));
                beats.extend(found.map(|found| Beat::at(due, found, ecg.rate_hz())));
            } else if due == acceleration.due() {
                acceleration.take().into_iter().for_each(|milli_g| monitor.push_acceleration(milli_g));
            } else if due == light.due() {
                light.take().into_iter().for_each(|[red, infrared]| monitor.push_ppg(red, infrared));
            } else {
                impedance.take().into_iter().for_each(|sample| monitor.push_impedance(sample));
            }
        }
        moments.push(Moment { now, readings: monitor.readings() });
        if now >= seconds {
            break;
        }
    }
    if let Some(channel) = &signals.ecg {
        beats.extend(still_undecided(&mut monitor, channel).filter(|beat| beat.time <= seconds));
    }
    beats.sort_by(|a, b| a.time.total_cmp(&b.time));
    Ok(Played { seconds, beats, moments })
}

/// Beats that the device was still deciding about when the record ended: its last value stays for a while.
fn still_undecided(monitor: &mut Monitor, ecg: &Channel<i32>) -> impl Iterator<Item = Beat> {
    let (seconds, last) = (ecg.seconds(), ecg.samples.last().copied().unwrap_or(0));
    let times = (0_u32..).map(move |sample| seconds + f64::from(sample) / ecg.rate_hz);
    let afterwards = times.take_while(move |time| *time < seconds + AFTERWARDS_SECONDS);
    afterwards.filter_map(move |now| Some(Beat::at(now, monitor.push_ecg(last)?, ecg.rate_hz)))
}

#[cfg(test)]
mod tests {
    use super::super::{record::Collection, truth::Truth};
    use super::*;

    fn record(signals: Signals) -> Record {
        Record { name: "x/y".into(), collection: Collection::Shipped, signals, truth: Truth::default() }
    }

    /// A QRS of 1 mV and 80 ms each second, the last one `before_end` seconds before the end.
    fn ecg(rate_hz: f64, seconds: u32, before_end: f64) -> Channel<i32> {
        let times =
            (0_u32..).map(|sample| f64::from(sample) / rate_hz).take_while(|time| *time < seconds.into());
        let qrs = times.map(|time| {
            let since = (time + before_end + 0.04) % 1.0 / 0.08;
            if since < 1.0 { 1000.0 * (since * std::f64::consts::PI).sin() } else { 0.0 }
        });
        #[expect(clippy::cast_possible_truncation, reason = "at most 1000")]
        Channel::new(rate_hz, qrs.map(|microvolt| microvolt as i32).collect::<Vec<_>>())
    }

    #[test]
    fn beats_have_the_time_of_their_sample_up_to_the_last_one() {
        for rate_hz in [125.0, 250.0, 360.0] {
            let signals = Signals { ecg: Some(ecg(rate_hz, 30, 0.4)), ..Signals::default() };
            let played = play(&record(signals)).unwrap();
            let last = played.beats.last().unwrap().time;
            assert!((last - 29.6).abs() < 0.05, "{rate_hz}: {last}");
            assert!(
                played.beats.iter().all(|beat| (beat.time % 1.0 - 0.6).abs() < 0.05),
                "{:?}",
                played.beats
            );
        }
    }

    #[test]
    fn the_device_is_asked_each_second_and_at_the_end() {
        let seconds = |played: &Played| played.moments.iter().map(|moment| moment.now).collect::<Vec<_>>();
        let part = Channel::new(100.0, std::iter::repeat_n([60_000, 90_000], 250));
        let played = play(&record(Signals { light: Some(part), ..Signals::default() })).unwrap();
        assert_eq!((seconds(&played), played.seconds), (vec![1.0, 2.0, 2.5], 2.5));
        let whole = Channel::new(64.0, std::iter::repeat_n([0; 3], 128));
        let played = play(&record(Signals { acceleration: Some(whole), ..Signals::default() })).unwrap();
        assert_eq!(seconds(&played), [1.0, 2.0]);
    }

    #[test]
    fn a_rate_that_the_firmware_does_not_take_is_refused() {
        let slow = Channel::new(10.0, std::iter::repeat_n(0, 100));
        assert!(play(&record(Signals { ecg: Some(slow), ..Signals::default() })).is_err());
        let wild = Channel::new(1e12, std::iter::repeat_n(0, 100));
        assert!(play(&record(Signals { impedance: Some(wild), ..Signals::default() })).is_err());
    }

    #[test]
    fn an_alarm_waits_as_long_as_an_episode_must_last_and_ends_with_it() {
        assert_eq!(alarms([(0..30, 89.9), (30..40, 91.9), (40..50, 92.0)]), [(9.0, true), (40.0, false)]);
        assert_eq!(alarms([(0..9, 80.0), (9..10, 90.0), (10..19, 80.0)]), []);
        // Where nothing was measured nothing was low.
        assert_eq!(alarms([(0..5, 80.0), (60..69, 80.0)]), []);
    }

    fn alarms<const PARTS: usize>(parts: [(std::ops::Range<u32>, f64); PARTS]) -> Vec<(f64, bool)> {
        let values =
            parts.into_iter().flat_map(|(seconds, value)| seconds.map(move |s| (f64::from(s), value)));
        desaturation_alarms(values)
    }
}
