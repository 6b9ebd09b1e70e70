//! What happens in the ward, as values for whoever watches: event lines, consoles, verbs that wait.

use std::time::Duration;

use jiff::Timestamp;
use protocol::{
    alert::Stage,
    id::{AlertId, ClientId, PatientId, SessionId},
    reading::{Measurement, Reason},
    time::UnixMillis,
    vitals::{KnownQuantity, Quantity, Sample},
};
use serde::{Deserialize, Serialize};

use super::view::UpdateView;

/// Something happened. Serialised, it is one event line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum WardEvent {
    /// The gateway takes connections.
    Listening {
        /// Address of the patients' port.
        patients: String,
        /// Address of the wearables' port.
        wearables: String,
        /// The doctor.
        doctor: String,
        /// The installation.
        gateway: String,
        /// The data folder.
        data_dir: String,
    },
    /// A client is in session.
    Session {
        /// `patient` or `wearable`.
        kind: String,
        /// Its id.
        client: String,
        /// Whose it is.
        patient: String,
        /// The session.
        session: String,
        /// Whether a token opened it.
        resumed: bool,
        /// Whether a later quantum computer finds the recorded traffic closed.
        post_quantum: bool,
    },
    /// A connection or message was refused.
    Refused {
        /// Where it came from.
        source: String,
        /// Who it said it was, if it came that far.
        client: Option<String>,
        /// Which check failed.
        reason: String,
    },
    /// A client was paired, or an offer waits for one.
    Pairing {
        /// `offered`, `enrolled` or `revoked`.
        step: String,
        /// Its kind.
        kind: String,
        /// Whose it is or will be.
        patient: String,
    },
    /// Samples of a patient are stored.
    Vitals {
        /// Whose.
        patient: String,
        /// Which device took them.
        device: String,
        /// The newest of them.
        sample: SampleView,
        /// How many there were.
        count: usize,
    },
    /// A device's numbers skipped: samples were lost before they came here.
    Gap {
        /// Whose.
        patient: String,
        /// Which device.
        device: String,
        /// First missing number.
        first: u64,
        /// Last missing number.
        last: u64,
    },
    /// Samples without a time, from a device that more than one patient has worn, were not stored: nobody can say whose they
    /// are.
    NobodysSamples {
        /// Who wears the device now.
        patient: String,
        /// Device UUID.
        device: String,
        /// How many.
        count: usize,
    },
    /// Samples came late and were stored for the patient who wore the device when they were taken.
    LateSamples {
        /// Whose they are.
        patient: String,
        /// Device UUID.
        device: String,
        /// How many.
        count: usize,
    },
    /// A device used numbers again for other measurements: its counter was reset. These samples are **not** stored.
    Conflict {
        /// Whose.
        patient: String,
        /// Which device.
        device: String,
        /// How many samples.
        count: usize,
    },
    /// A wearable is in session and its upload is overdue.
    Overdue {
        /// Which device.
        device: String,
    },
    /// How far a wearable is with an image.
    Firmware {
        /// Which device.
        device: String,
        /// How far.
        #[serde(flatten)]
        update: UpdateView,
    },
    /// Samples of a signal that somebody asked for; not stored.
    Waveform {
        /// Which device.
        device: String,
        /// The signal's name.
        signal: String,
        /// The device's run.
        boot: String,
        /// Number of the first sample in that run.
        first: u64,
        /// When the first was taken, RFC 3339; absent if the device had no time.
        time: Option<String>,
        /// Samples per second.
        rate_hz: f64,
        /// What 1 of a sample is worth, in `unit`.
        scale: f64,
        /// UCUM unit.
        unit: String,
        /// Whether it was simulated.
        simulated: bool,
        /// The samples; none: the device has no such signal.
        samples: Vec<i32>,
    },
    /// An alert was raised.
    Alert {
        /// Its id.
        alert: String,
        /// What it says.
        text: String,
        /// The epoch of its broadcast, if it went to the ward.
        epoch: Option<String>,
        /// Enrolled patients of its audience.
        recipients: usize,
        /// Members that it was sent to at once.
        sent: usize,
        /// The alert that it calls off.
        cancels: Option<String>,
    },
    /// A receipt is stored.
    Receipt {
        /// The alert.
        alert: String,
        /// Who.
        patient: String,
        /// How far.
        stage: String,
        /// Milliseconds since the alert was raised.
        after_ms: u64,
    },
    /// A session ended.
    Disconnected {
        /// Its kind.
        kind: String,
        /// Its id.
        client: String,
        /// Whose it is.
        patient: String,
        /// Why.
        reason: String,
    },
    /// The storage does not work, or works again.
    Storage {
        /// `ok`, `full` or `failing`.
        health: String,
    },
    /// So many events came faster than this watcher read, and are not told.
    LinesLost {
        /// How many.
        count: u64,
    },
    /// The gateway ends.
    Stopping {},
}

/// A stored sample as scripts and screens see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SampleView {
    /// When it was taken, RFC 3339; absent if the device had no time.
    pub time: Option<String>,
    /// When the gateway stored it, RFC 3339.
    pub received: String,
    /// The device.
    pub device: String,
    /// Its number.
    pub seq: u64,
    /// Whether it was simulated.
    pub simulated: bool,
    /// What the device measures, and what became of each.
    pub quantities: Vec<QuantityView>,
}

/// One quantity as scripts and screens see it: with a value, or with the reason why there is none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuantityView {
    /// `MDC n` or `LOINC n`.
    pub code: String,
    /// Its name, or its code if it has none here.
    pub name: String,
    /// UCUM unit.
    pub unit: String,
    /// What became of it.
    #[serde(flatten)]
    pub reading: ReadingView,
}

/// No beat, as people must hear it.
pub const NO_BEAT: &str = "NO BEAT 4 s";

/// What became of a quantity.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ReadingView {
    /// It was measured.
    Measured(MeasurementView),
    /// There is no value.
    NoReading {
        /// Why, such as `finger off`.
        reason: String,
    },
}

/// A value as scripts and screens see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MeasurementView {
    /// The value in the quantity's unit.
    pub value: f64,
    /// The value as it was sent, with all its digits.
    pub text: String,
    /// False if it cannot be true; then it is shown as such and not believed.
    pub plausible: bool,
    /// How far it can be trusted, 0 to 100; absent: not assessed.
    pub quality: Option<u8>,
    /// How it was obtained, such as `ECG beats`.
    pub method: String,
    /// Version of the calibration behind it; 0 where none is needed.
    pub calibration: u16,
}

impl SampleView {
    /// The view of a sample.
    #[must_use]
    pub fn new(device: &str, received: UnixMillis, sample: &Sample) -> Self {
        Self {
            time: sample.taken.wall.map(rfc3339),
            received: rfc3339(received),
            device: device.to_owned(),
            seq: sample.seq.0,
            simulated: sample.simulated,
            quantities: sample.quantities.iter().map(QuantityView::new).collect(),
        }
    }
}

impl QuantityView {
    fn new(quantity: &Quantity) -> Self {
        let code = quantity.code.to_string();
        Self {
            name: KnownQuantity::of(&quantity.code).map_or_else(|| code.clone(), |known| known.name.into()),
            code,
            unit: quantity.unit.clone(),
            reading: match quantity.reading {
                Ok(Measurement { value, quality, method, calibration }) => {
                    ReadingView::Measured(MeasurementView {
                        value: value.to_f64(),
                        text: value.to_string(),
                        plausible: quantity.is_plausible(),
                        quality,
                        method: method.to_string(),
                        calibration,
                    })
                }
                Err(reason) => ReadingView::NoReading { reason: reason.to_string() },
            },
        }
    }

    /// Its value, if it has one.
    #[must_use]
    pub const fn measured(&self) -> Option<&MeasurementView> {
        match &self.reading {
            ReadingView::Measured(measured) => Some(measured),
            ReadingView::NoReading { .. } => None,
        }
    }

    /// Why it has no value, for people.
    #[must_use]
    pub fn why_not(&self) -> Option<&str> {
        match &self.reading {
            ReadingView::Measured(_) => None,
            ReadingView::NoReading { reason } if *reason == Reason::NO_BEAT.to_string() => Some(NO_BEAT),
            ReadingView::NoReading { reason } => Some(reason),
        }
    }

    /// `SpO2 97.6 %` or `SpO2 -- finger off`.
    #[must_use]
    pub fn said(&self) -> String {
        let Self { name, .. } = self;
        let Some(measured) = self.measured() else {
            return format!("{name} -- {}", self.why_not().unwrap_or_default());
        };
        let doubt = if measured.plausible { "" } else { " (implausible)" };
        if *name == KnownQuantity::MOTION.name && measured.plausible {
            return format!("{name} {}", if measured.value < 0.5 { "still" } else { "moving" });
        }
        let unit = if self.unit == "Cel" { "°C" } else { &self.unit };
        format!("{name} {} {unit}{doubt}", measured.text)
    }
}

impl WardEvent {
    /// A client is in session.
    pub(crate) fn session(
        client: &ClientId,
        patient: &PatientId,
        session: SessionId,
        resumed: bool,
        post_quantum: bool,
    ) -> Self {
        Self::Session {
            kind: client.kind().to_string(),
            client: client.to_string(),
            patient: patient.to_string(),
            session: session.to_string(),
            resumed,
            post_quantum,
        }
    }

    /// A session ended.
    pub(crate) fn disconnected(client: &ClientId, patient: &PatientId, reason: String) -> Self {
        Self::Disconnected {
            kind: client.kind().to_string(),
            client: client.to_string(),
            patient: patient.to_string(),
            reason,
        }
    }

    /// A receipt is stored.
    pub(crate) fn receipt(alert: AlertId, patient: &PatientId, stage: Stage, after: Duration) -> Self {
        Self::Receipt {
            alert: alert.to_string(),
            patient: patient.to_string(),
            stage: stage.to_string(),
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A time as RFC 3339 in UTC, with milliseconds.
#[must_use]
pub fn rfc3339(time: UnixMillis) -> String {
    let millis = i64::try_from(time.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).map_or_else(|_| format!("{} ms", time.0), |t| format!("{t:.3}"))
}
