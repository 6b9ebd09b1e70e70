//! Values for tests: a ward with P001, its wearable and a sample, and what it is made of.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use protocol::{
    reading::Reason,
    time::{Monotonic, Now, UnixMillis},
};

use super::{
    input::{self, Act},
    link::{Answer, Polled},
    state::{Role, State},
};
use crate::ward::{
    event::{MeasurementView, QuantityView, ReadingView, SampleView, WardEvent, rfc3339},
    view::{AlertReport, Missing, OfferView, PatientView, Status, StatusView, WearableView},
};

pub(super) const START: Now = Now { wall: UnixMillis(1_795_232_000_000), mono: Monotonic(100_000) };

pub(super) fn after(seconds: u64) -> Now {
    let passed = Duration::from_secs(seconds);
    Now { wall: START.wall + passed, mono: START.mono + passed }
}

pub(super) fn quantity(name: &str, text: &str, unit: &str) -> QuantityView {
    QuantityView {
        code: name.into(),
        name: name.into(),
        unit: unit.into(),
        reading: ReadingView::Measured(MeasurementView {
            value: text.parse().unwrap(),
            text: text.into(),
            plausible: true,
            quality: Some(97),
            method: "ECG beats".into(),
            calibration: 0,
        }),
    }
}

pub(super) fn no_reading(name: &str, reason: Reason) -> QuantityView {
    let reading = ReadingView::NoReading { reason: reason.to_string() };
    QuantityView { code: name.into(), name: name.into(), unit: String::new(), reading }
}

pub(super) fn sample(seq: u64, now: Now) -> SampleView {
    SampleView {
        time: Some(rfc3339(now.wall)),
        received: rfc3339(now.wall),
        device: "uuid-1".into(),
        seq,
        simulated: false,
        quantities: vec![
            quantity("heart rate", "72", "/min"),
            quantity("SpO2", "97.6", "%"),
            quantity("respiration", "14", "/min"),
            quantity("body temperature", "36.83", "Cel"),
        ],
    }
}

pub(super) fn vitals(patient: &str, sample: SampleView) -> WardEvent {
    WardEvent::Vitals { patient: patient.into(), device: sample.device.clone(), sample, count: 1 }
}

pub(super) fn patient(id: &str) -> PatientView {
    PatientView {
        id: id.into(),
        connected: true,
        since: Some(rfc3339(START.wall)),
        session: Some("86654fa4-38ca-64bd-c43e-2f0135fc20cc".into()),
        source: Some("127.0.0.1:59778".into()),
        epoch: None,
        last_vitals: None,
        vitals_age_ms: None,
        vitals_current: false,
        post_quantum: Some(true),
        away: false,
    }
}

pub(super) fn wearable(patient: &str) -> WearableView {
    WearableView {
        id: "uuid-1".into(),
        name: Some("W001".into()),
        patient: patient.into(),
        connected: true,
        since: Some(rfc3339(START.wall)),
        overdue: false,
        set: None,
        status: Some(told(1_000)),
        suite: Some(4),
        post_quantum: Some(true),
    }
}

/// What a wearable told that measures and sends every so many milliseconds.
pub(super) fn told(interval_ms: u32) -> StatusView {
    StatusView {
        sample_ms: interval_ms,
        upload_ms: interval_ms,
        battery: Some(87),
        charging: None,
        signal_dbm: None,
        reconnects: 0,
        waiting: 0,
        lost: 0,
        firmware: "fw 1".into(),
        firmware_version: 1,
        hardware: "board".into(),
        update: None,
        age_ms: 0,
    }
}

pub(super) fn report(recipients: usize, missing: &[&str]) -> AlertReport {
    let reason = format!("not connected since {}", rfc3339(START.wall));
    AlertReport {
        alert: "alert-1".into(),
        text: "Leave the building".into(),
        created: rfc3339(START.wall),
        expires: rfc3339(START.wall + Duration::from_secs(86_400)),
        epoch: None,
        recipients,
        decrypted: recipients - missing.len(),
        acknowledged: 1,
        missing: missing.iter().map(|id| Missing { patient: (*id).into(), reason: reason.clone() }).collect(),
        p50_ms: Some(4),
        p99_ms: Some(9),
        last_ms: Some(9),
        cancels: None,
        cancelled_by: None,
    }
}

pub(super) fn offer(kind: &str) -> OfferView {
    OfferView {
        code: "FYE-VGV-MVB".into(),
        kind: kind.into(),
        patient: "P001".into(),
        expires: rfc3339(START.wall + Duration::from_secs(600)),
        tries_left: 3,
    }
}

pub(super) fn polled(patients: Vec<PatientView>, wearables: Vec<WearableView>) -> Polled {
    let status = Status {
        doctor: "D001".into(),
        gateway: "uuid".into(),
        version: "0.1.0".into(),
        patients_listen: "127.0.0.1:7300".into(),
        wearables_listen: "127.0.0.1:7301".into(),
        data_dir: "/tmp/gateway-D001".into(),
        uptime_ms: 3_600_000,
        patients_connected: 0,
        patients_paired: patients.len(),
        wearables_connected: 0,
        wearables_paired: wearables.len(),
        epoch: "1.1".into(),
        storage: "ok".into(),
        key_protection: String::new(),
        samples_stored: 0,
        refused: 0,
    };
    Polled { status, patients, wearables, alerts: Vec::new(), offers: Vec::new(), refusals: None }
}

pub(super) fn state(role: Role, polled: Polled) -> State {
    let mut state = State::new(role, START);
    state.hear(Answer::Polled(Box::new(polled)), START);
    state
}

/// P001 with a wearable whose sample just came.
pub(super) fn ward() -> State {
    let mut state = state(Role::Owner, polled(vec![patient("P001")], vec![wearable("P001")]));
    state.see(&vitals("P001", sample(1, START)), START);
    state
}

pub(super) fn key(state: &mut State, code: KeyCode) -> Act {
    input::press(state, KeyEvent::new(code, KeyModifiers::NONE), START)
}

pub(super) fn keys(state: &mut State, text: &str) -> Act {
    text.chars()
        .fold(Act::Nothing, |_, c| key(state, if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) }))
}
