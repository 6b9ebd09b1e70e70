//! Signals that a gateway asked to see, sample by sample. Owns the requests and what waits to be sent, both bounded;
//! knows no connection. Vitals go first: whoever sends asks here only when they are out.

use alloc::vec::Vec;
use core::time::Duration;

use protocol::{
    id::BootId,
    time::Monotonic,
    vitals::{Decimal, SampleTime},
    waveform::{MAX_SAMPLES, Packed, Signal, Waveform, WaveformRequest},
};

/// A signal that a board can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Track {
    /// Which.
    pub signal: Signal,
    /// Samples per 1000 s.
    pub rate_millihertz: u32,
    /// What 1 of a sample is worth, in `unit`.
    pub scale: Decimal,
    /// UCUM unit.
    pub unit: &'static str,
}

impl Track {
    fn duration(&self, samples: u64) -> Duration {
        Duration::from_millis(samples.saturating_mul(1_000_000) / u64::from(self.rate_millihertz.max(1)))
    }
}

#[derive(Debug)]
struct Running {
    until: Monotonic,
    /// Number of the first one that waits.
    first: u64,
    /// When the last one that waits was taken, in milliseconds since the start.
    last_ms: u64,
    simulated: bool,
    waiting: Vec<i32>,
}

#[derive(Debug)]
struct Channel {
    track: Track,
    /// Samples taken in this run, asked for or not.
    taken: u64,
    running: Option<Running>,
}

#[derive(Debug)]
pub(super) struct Waveforms(Vec<Channel>);

impl Waveforms {
    pub(super) fn new(tracks: &[Track]) -> Self {
        Self(tracks.iter().map(|track| Channel { track: *track, taken: 0, running: None }).collect())
    }

    /// Obeys a request. False: there is no such signal here.
    pub(super) fn request(&mut self, request: WaveformRequest, now: Monotonic) -> bool {
        let Some(channel) = self.0.iter_mut().find(|channel| channel.track.signal == request.signal) else {
            return false;
        };
        let until = now + Duration::from_secs(request.seconds.into());
        match (&mut channel.running, request.seconds) {
            (running, 0) => *running = None,
            (Some(running), _) => running.until = until,
            (running @ None, _) => {
                let first = channel.taken;
                *running = Some(Running { until, first, last_ms: 0, simulated: false, waiting: Vec::new() });
            }
        }
        true
    }

    /// Nobody waits for them any more: the session is over.
    pub(super) fn stop(&mut self) {
        self.0.iter_mut().for_each(|channel| channel.running = None);
    }

    /// Samples just taken, the last of them now. Kept only if somebody asked; what cannot be sent in time makes room and
    /// leaves a gap in the numbers.
    pub(super) fn take(
        &mut self,
        signal: Signal,
        samples: &[i32],
        simulated: bool,
        since_boot_ms: u64,
        now: Monotonic,
    ) {
        let Some(channel) = self.0.iter_mut().find(|channel| channel.track.signal == signal) else { return };
        let first = channel.taken;
        channel.taken += samples.len() as u64;
        let Some(running) = &mut channel.running else { return };
        if now >= running.until {
            channel.running = None;
            return;
        }
        if running.simulated != simulated || running.waiting.len() + samples.len() > MAX_SAMPLES {
            running.waiting.clear();
        }
        if running.waiting.is_empty() {
            running.first = first;
        }
        let skipped = samples.len().saturating_sub(MAX_SAMPLES);
        running.first += skipped as u64;
        running.waiting.extend(samples.iter().skip(skipped));
        running.last_ms = since_boot_ms;
        running.simulated = simulated;
    }

    /// The next batch; each signal's samples of at least a quarter of a second.
    pub(super) fn poll(&mut self, boot: BootId, wall: impl Fn(u64) -> SampleTime) -> Option<Waveform> {
        let channel = self.0.iter_mut().find(|channel| {
            let waiting = channel.running.as_ref().map_or(0, |running| running.waiting.len() as u64);
            waiting > 0 && channel.track.duration(waiting) >= Duration::from_millis(250)
        })?;
        let running = channel.running.as_mut()?;
        let length = channel.track.duration(running.waiting.len() as u64);
        let (samples, packed) = Packed::pack(&running.waiting);
        let since_boot_ms =
            running.last_ms.saturating_sub(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
        let Track { signal, rate_millihertz, scale, unit } = channel.track;
        let waveform = Waveform {
            signal,
            boot,
            first: running.first,
            taken: wall(since_boot_ms),
            rate_millihertz,
            scale,
            unit: unit.into(),
            simulated: running.simulated,
            samples,
        };
        running.waiting.drain(..packed);
        running.first += packed as u64;
        Some(waveform)
    }

    /// What says that there is no such signal here.
    pub(super) fn none(signal: Signal, boot: BootId, taken: SampleTime) -> Waveform {
        let (samples, _) = Packed::pack(&[]);
        let scale = Decimal { mantissa: 1, exponent: 0 };
        Waveform {
            signal,
            boot,
            first: 0,
            taken,
            rate_millihertz: 1_000,
            scale,
            unit: "1".into(),
            simulated: false,
            samples,
        }
    }

    /// Whether somebody wants to see a signal.
    pub(super) fn wanted(&self, signal: Signal) -> bool {
        self.0.iter().any(|channel| channel.track.signal == signal && channel.running.is_some())
    }
}
