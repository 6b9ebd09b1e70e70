//! What happens in the ward, as values for whoever watches: event lines, consoles, verbs that wait.

use std::time::Duration;

use jiff::Timestamp;
use protocol::{
    alert::Stage,
    id::{AlertId, ClientId, PatientId, SessionId},
    time::UnixMillis,
    vitals::{Code, KnownQuantity, Quantity, Sample},
};
use serde::{Deserialize, Serialize};

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
    /// A device used numbers again for other measurements: its counter was reset. These samples are **not** stored.
    Conflict {
        /// Whose.
        patient: String,
        /// Which device.
        device: String,
        /// How many samples.
        count: usize,
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
    /// Signal quality, 0 to 100.
    pub quality: u8,
    /// Its values.
    pub quantities: Vec<QuantityView>,
}

/// One value as scripts and screens see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuantityView {
    /// `MDC n` or `LOINC n`.
    pub code: String,
    /// Its name, or its code if it has none here.
    pub name: String,
    /// The value in its unit.
    pub value: f64,
    /// The value as it was sent, with all its digits.
    pub text: String,
    /// UCUM unit.
    pub unit: String,
    /// False if it cannot be true; then it is shown as such and not believed.
    pub plausible: bool,
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
            quality: sample.quality,
            quantities: sample.quantities.iter().map(QuantityView::new).collect(),
        }
    }
}

impl QuantityView {
    fn new(quantity: &Quantity) -> Self {
        let name = KnownQuantity::of(&quantity.code)
            .map_or_else(|| quantity.code.to_string(), |known| known.name.into());
        Self {
            code: match &quantity.code {
                Code::Mdc(code) => format!("MDC {code}"),
                Code::Loinc(code) => format!("LOINC {code}"),
            },
            name,
            value: quantity.value.to_f64(),
            text: quantity.value.to_string(),
            unit: quantity.unit.clone(),
            plausible: quantity.is_plausible(),
        }
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
