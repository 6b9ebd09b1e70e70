//! What the firmware costs on this machine: an ECG at 360 Hz and a PPG at 100 Hz together, as a device has them.
//!
//! Owns the measurement. Figures of a host say nothing of a board but how two versions compare.

use host::Clock;
use wearable_core::dsp::{Monitor, SampleRates, UnsupportedRate, spo2::Calibration};

use super::{record::Record, report::Speed};

/// The fastest of so many runs counts: what disturbs a run only makes it slower.
const RUNS: usize = 5;

/// Plays both records side by side, as long as the shorter one lasts.
///
/// # Errors
/// [`UnsupportedRate`].
pub fn measure(records: &[Record; 2]) -> Result<Option<Speed>, UnsupportedRate> {
    let [ecg, light] = records;
    let (Some(ecg), Some(light)) = (&ecg.signals.ecg, &light.signals.light) else { return Ok(None) };
    let rates = SampleRates::default();
    let seconds =
        (ecg.samples.len() / usize::from(rates.ecg_hz)).min(light.samples.len() / usize::from(rates.ppg_hz));
    let mut fastest = (f64::INFINITY, f64::INFINITY);
    for _ in 0..RUNS {
        let mut monitor = Monitor::new(rates, Calibration::V1)?;
        let (clock, cpu) = (Clock::start(), cpu_seconds());
        let blocks = ecg
            .samples
            .chunks_exact(rates.ecg_hz.into())
            .zip(light.samples.chunks_exact(rates.ppg_hz.into()));
        for (microvolts, counts) in blocks {
            for microvolt in microvolts {
                std::hint::black_box(monitor.push_ecg(*microvolt));
            }
            for [red, infrared] in counts {
                monitor.push_ppg(*red, *infrared);
            }
            std::hint::black_box(monitor.readings());
        }
        let wall = clock.elapsed().as_secs_f64();
        let cpu = cpu.zip(cpu_seconds()).map_or(wall, |(before, after)| after - before);
        fastest = (fastest.0.min(wall), fastest.1.min(cpu));
    }
    let seconds = seconds as f64;
    let (wall, cpu) = fastest;
    Ok((wall > 0.0)
        .then(|| Speed { times_real_time: seconds / wall, cpu_s_per_hour: cpu / seconds * 3600.0 }))
}

/// Processor time of this thread, where the system tells it (Linux, proc(5)).
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(|nanoseconds: f64| nanoseconds / 1e9)
}
