//! Verbs about wearables: settings, waveforms, firmware.

use std::{
    fmt::Write as _,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Subcommand;
use host::{
    exit::{Exit, Stop},
    signals::Signals,
};
use protocol::{
    cadence::{Interval, Settings},
    image,
    time::Readable,
    waveform::{MAX_SECONDS, Signal},
};
use serde_json::json;

use super::{Common, line, print::firmware};
use crate::{
    control::Request,
    ward::{
        event::WardEvent,
        view::{ImageView, SettingsView, WaveformAsked},
    },
};

/// How long after a signal's last second its last samples are waited for.
const LATE: Duration = Duration::from_secs(5);
/// Longest file of the maker's public key, in bytes.
const MAX_KEY_FILE: u64 = 256;

/// What can be done with firmware.
#[derive(Debug, Subcommand)]
pub enum FirmwareVerb {
    /// Keep a signed image and offer it to the wearables that it fits.
    Publish {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
        /// The image, as `wearable firmware sign` made it.
        file: PathBuf,
        /// The maker's public key (64 hexadecimal digits): refuse what it did not sign.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// List the images that are offered.
    List {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
    },
    /// Offer an image no more; wearables that run it keep it.
    Withdraw {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
        /// Its number in the list.
        image: u32,
    },
}

/// A signal by its name.
pub(super) fn parse_signal(text: &str) -> Result<Signal, String> {
    let named = Signal::ALL.iter().find(|signal| signal.to_string() == text);
    let names = || Signal::ALL.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    named.copied().ok_or_else(|| format!("a signal is one of {}", names()))
}

pub(super) async fn settings(
    common: &Common,
    wearable: String,
    sample: Duration,
    upload: Duration,
) -> Result<SettingsView, Stop> {
    let allowed = || Settings::new(Interval::try_from(sample)?, Interval::try_from(upload)?);
    let cadence = allowed().map_err(|error| Stop::new(Exit::Usage, error.to_string()))?.cadence();
    let request =
        Request::Settings { name: wearable, sample_ms: cadence.sample_ms, upload_ms: cadence.upload_ms };
    common.print(&request, said_of_settings).await
}

fn said_of_settings(set: &SettingsView) -> String {
    let [sample, upload] =
        [set.sample_ms, set.upload_ms].map(|ms| Readable(Duration::from_millis(ms.into())));
    let when = if set.told { "it is being told" } else { "it is told after its next login" };
    format!("wearable {} shall measure every {sample} and send every {upload}; {when}", set.wearable)
}

pub(super) async fn firmware_verb(verb: FirmwareVerb) -> Result<(), Stop> {
    match verb {
        FirmwareVerb::Publish { common, file, key } => {
            let largest = u64::from(image::MAX_BODY) + image::HEADER as u64;
            let image = hex::encode(read_file(&file, largest)?);
            let key = key.map(|key| read_file(&key, MAX_KEY_FILE)).transpose()?;
            let key = key.map(|key| String::from_utf8_lossy(&key).trim().to_owned());
            let said = |image: &ImageView| {
                let judged = if image.verified {
                    "its signature was checked"
                } else {
                    "its signature was not checked here; publish it again with --key FILE"
                };
                format!(
                    "image {}: version {} for {}, {} bytes, {judged}",
                    image.image, image.version, image.hardware, image.length
                )
            };
            common.print(&Request::PublishFirmware { image, key }, said).await.map(drop)
        }
        FirmwareVerb::List { common } => {
            common.print(&Request::Firmware {}, |images: &Vec<ImageView>| firmware(images)).await.map(drop)
        }
        FirmwareVerb::Withdraw { common, image } => {
            let said = |image: &u32| format!("image {image} is offered no more");
            common.print(&Request::WithdrawFirmware { image }, said).await.map(drop)
        }
    }
}

fn read_file(path: &Path, largest: u64) -> Result<Vec<u8>, Stop> {
    use std::io::Read as _;
    let failed = |error: io::Error| Stop::new(Exit::Usage, format!("{}: {error}", path.display()));
    let mut content = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(largest + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > largest {
        return Err(Stop::new(Exit::Usage, format!("{} is longer than {largest} bytes", path.display())));
    }
    Ok(content)
}

/// What came of a signal that was asked for.
#[derive(Debug, Default)]
struct Received {
    boot: Option<String>,
    /// Number of the first sample, and of the one that comes next.
    span: Option<(u64, u64)>,
    /// Samples that came or are missing.
    samples: u64,
    /// Samples that were asked for, once the rate is known.
    wanted: u64,
    missing: Vec<String>,
}

impl Received {
    /// Takes a batch in; false: it brings nothing new.
    fn take(&mut self, boot: &str, first: u64, count: u64, rate_hz: f64, seconds: u16) -> bool {
        if self.boot.as_deref().is_some_and(|known| known != boot) {
            self.missing.push("the device restarted".into());
            self.span = None;
        }
        self.boot = Some(boot.to_owned());
        let (begin, next) = self.span.unwrap_or((first, first));
        if first > next {
            self.missing.push(format!("samples {next} to {}", first - 1));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 600 s at 10 kHz"
        )]
        let wanted = (rate_hz * f64::from(seconds)).floor() as u64;
        self.wanted = wanted;
        let end = next.max(first + count);
        self.samples += end - next;
        self.span = Some((begin, end));
        end > next
    }

    /// What is missing, the end included.
    fn missing(&self) -> Vec<String> {
        let mut missing = self.missing.clone();
        match self.span {
            None => missing.push("everything: nothing came".into()),
            Some((_, next)) if self.samples < self.wanted => {
                missing.push(format!("the end, from sample {next} on"));
            }
            Some(_) => {}
        }
        missing
    }
}

/// Shows a signal. Whoever interrupts it stops it on the device, too.
pub(super) async fn waveform(
    common: &Common,
    wearable: String,
    signal: Signal,
    seconds: u16,
    csv: bool,
) -> Result<Exit, Stop> {
    let mut signals =
        Signals::listen(false).map_err(|error| Stop::new(Exit::Unavailable, error.to_string()))?;
    let asks = |seconds| Request::Waveform { name: wearable.clone(), signal: signal.to_string(), seconds };
    let (request, mut received) = (asks(seconds), Received::default());
    let interrupted = tokio::select! {
        shown = show(common, &request, seconds, csv, &mut received) => shown.map(|()| false)?,
        () = signals.next() => true,
    };
    if interrupted {
        let stop = asks(0);
        tokio::select! {
            stopped = common.ask::<WaveformAsked>(&stop) => drop(stopped?),
            // Whoever does not want to wait for that either.
            () = signals.next() => {}
        }
    }
    let missing = received.missing();
    if common.json {
        line(&json!({ "complete": missing.is_empty(), "missing": missing }).to_string());
    } else if !missing.is_empty() {
        let stopped = if interrupted { "stopped; " } else { "" };
        writeln!(io::stderr(), "{stopped}missing: {}", missing.join("; ")).ok();
    }
    Ok(if missing.is_empty() { Exit::Done } else { Exit::InPart })
}

async fn show(
    common: &Common,
    request: &Request,
    seconds: u16,
    csv: bool,
    received: &mut Received,
) -> Result<(), Stop> {
    let went_away =
        |error: io::Error| Stop::new(Exit::Unavailable, format!("the gateway went away: {error}"));
    let mut watch = common.target().connect().await?.watch().await.map_err(went_away)?;
    let asked: WaveformAsked = common.ask(request).await?;
    let end = tokio::time::Instant::now() + Duration::from_secs(seconds.into()) + LATE;
    while let Ok(event) = tokio::time::timeout_at(end, watch.next()).await {
        let Some(event) = event else {
            return Err(Stop::new(Exit::Unavailable, "the gateway went away"));
        };
        match &event {
            WardEvent::Waveform { device, signal, boot, first, rate_hz, samples, .. }
                if *device == asked.device && *signal == asked.signal =>
            {
                if samples.is_empty() {
                    return Err(Stop::new(Exit::Failed, format!("the device has no {signal} now")));
                }
                let is_first = received.boot.is_none();
                if !received.take(boot, *first, samples.len() as u64, *rate_hz, seconds) {
                    continue;
                }
                if common.json {
                    line(&serde_json::to_string(&event).unwrap_or_default());
                } else {
                    line(batch(&event, is_first, csv).trim_end());
                }
                if received.samples >= received.wanted {
                    break;
                }
            }
            WardEvent::Disconnected { client, .. } if *client == asked.device => break,
            _ => {}
        }
    }
    Ok(())
}

/// A batch for people or for a table; SIMULATED stands on every line for people and in the head of a table.
fn batch(event: &WardEvent, is_first: bool, csv: bool) -> String {
    let WardEvent::Waveform { signal, first, time, rate_hz, scale, unit, simulated, samples, .. } = event
    else {
        return String::new();
    };
    let simulated = if *simulated { " SIMULATED" } else { "" };
    let value = |sample: &i32| f64::from(*sample) * scale;
    let mut text = String::new();
    if csv {
        if is_first {
            writeln!(text, "# {signal}, {rate_hz} Hz, {unit}{simulated}\nnumber,value").ok();
        }
        for (number, sample) in (*first..).zip(samples) {
            writeln!(text, "{number},{}", trimmed(value(sample))).ok();
        }
        return text;
    }
    let low = samples.iter().min().map(value).unwrap_or_default();
    let high = samples.iter().max().map(value).unwrap_or_default();
    let last = first + samples.len() as u64 - 1;
    let time = time.as_deref().unwrap_or("time uncertain");
    format!("{time}{simulated} {signal} {first} to {last}: {} to {} {unit}", trimmed(low), trimmed(high))
}

/// Nine decimals are more than any scale has.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.9}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The number of seconds that may be asked for.
pub(super) fn parse_seconds(text: &str) -> Result<u16, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
    seconds.ok_or_else(|| format!("1 to {MAX_SECONDS} seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(batches: &[(&str, u64, u64)]) -> Vec<String> {
        let mut received = Received::default();
        for (boot, first, count) in batches {
            received.take(boot, *first, *count, 100.0, 3);
        }
        received.missing()
    }

    #[test]
    fn what_is_missing_is_told() {
        assert_eq!(after(&[("a", 7, 100), ("a", 107, 200)]), [""; 0]);
        assert_eq!(after(&[("a", 0, 100), ("a", 150, 150)]), ["samples 100 to 149"]);
        assert_eq!(after(&[("a", 0, 100)]), ["the end, from sample 100 on"]);
        assert_eq!(after(&[]), ["everything: nothing came"]);
        assert_eq!(after(&[("a", 0, 100), ("b", 0, 200)]), ["the device restarted"]);
    }

    #[test]
    fn samples_that_come_twice_count_once() {
        let again = [("a", 0, 100), ("a", 0, 100), ("a", 50, 100)];
        assert_eq!(after(&again), ["the end, from sample 150 on"]);
        assert_eq!(after(&[&again[..], &[("a", 150, 150)]].concat()), [""; 0]);
    }

    #[test]
    fn a_table_says_what_was_simulated() {
        let event = WardEvent::Waveform {
            device: String::new(),
            signal: "ecg".into(),
            boot: String::new(),
            first: 7,
            time: None,
            rate_hz: 360.0,
            scale: 0.005,
            unit: "mV".into(),
            simulated: true,
            samples: vec![200, -1],
        };
        assert_eq!(batch(&event, true, true), "# ecg, 360 Hz, mV SIMULATED\nnumber,value\n7,1\n8,-0.005\n");
        assert_eq!(batch(&event, false, false), "time uncertain SIMULATED ecg 7 to 8: -0.005 to 1 mV");
    }
}
