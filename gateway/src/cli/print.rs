//! How verbs print what the gateway answered, for people: lists as tables, alerts as their proof of delivery. Nothing that
//! is stale looks current.

use std::time::Duration;

use protocol::{time::Readable, vitals::KnownQuantity};

use crate::ward::{
    event::{QuantityView, SampleView},
    view::{AlertReport, ImageView, PatientView, RefusalView, Status, StatusView, UpdateView, WearableView},
};

/// What a line about a patient has room for.
const SIGNS: [KnownQuantity; 5] = [
    KnownQuantity::HEART_RATE,
    KnownQuantity::PULSE_RATE,
    KnownQuantity::SPO2,
    KnownQuantity::RESPIRATION,
    KnownQuantity::BODY_TEMPERATURE,
];

pub(super) fn status(status: &Status) -> String {
    let uptime = Readable(Duration::from_millis(status.uptime_ms));
    format!(
        "gateway of {}   {} (version {}, up {uptime})\n\
         patients    {} of {} connected   port {}\n\
         wearables   {} of {} connected   port {}\n\
         storage     {}, {} samples stored since start   {}\n\
         key         {}\n\
         group epoch {}, {} refused since start",
        status.doctor,
        status.gateway,
        status.version,
        status.patients_connected,
        status.patients_paired,
        status.patients_listen,
        status.wearables_connected,
        status.wearables_paired,
        status.wearables_listen,
        status.storage,
        status.samples_stored,
        status.data_dir,
        status.key_protection,
        status.epoch,
        status.refused,
    )
}

pub(super) fn patients(patients: &[PatientView]) -> String {
    if patients.is_empty() {
        return "no patient is paired; invite one with: gateway pair --patient P001".into();
    }
    let rows = patients.iter().map(|patient| {
        let state = match (patient.connected, patient.away) {
            (true, _) => "connected",
            (false, true) => "away, on purpose",
            (false, false) => "not connected",
        };
        let since = patient.since.as_deref().unwrap_or("never");
        [patient.id.clone(), state.into(), since.into(), newest_vitals(patient)]
    });
    table(["PATIENT", "STATE", "SINCE (UTC)", "VITALS"], rows)
}

/// The newest vital signs of a patient in one line; nothing that is stale looks current.
fn newest_vitals(patient: &PatientView) -> String {
    let Some(sample) = &patient.last_vitals else { return "none yet".into() };
    let age = Readable(Duration::from_millis(patient.vitals_age_ms.unwrap_or_default()));
    if !patient.vitals_current {
        return format!("-- (last {age} ago)");
    }
    let is_sign = |quantity: &&QuantityView| SIGNS.iter().any(|known| known.name == quantity.name);
    format!("{} ({age} ago)", sample_line(sample, is_sign))
}

fn sample_line(sample: &SampleView, is_wanted: impl Fn(&&QuantityView) -> bool) -> String {
    let simulated = if sample.simulated { "SIMULATED " } else { "" };
    let quality = |q: &QuantityView| match q.measured().and_then(|measured| measured.quality) {
        Some(quality) => format!(" [{quality}]"),
        None => String::new(),
    };
    let values: Vec<String> =
        sample.quantities.iter().filter(is_wanted).map(|q| q.said() + &quality(q)).collect();
    format!("{simulated}{}", values.join(", "))
}

/// The wearables, in about 120 columns; `--json` has all of it. `today` as RFC 3339 begins.
pub(super) fn wearables(wearables: &[WearableView], today: &str) -> String {
    if wearables.is_empty() {
        return "no wearable is paired; invite one with: gateway pair --wearable --patient P001".into();
    }
    let rows = wearables.iter().map(|wearable| {
        let state = match (wearable.connected, wearable.overdue) {
            (true, true) => "OVERDUE",
            (true, false) => "connected",
            (false, _) => "not connected",
        };
        let told = wearable.status.as_ref();
        let of = |say: &dyn Fn(&StatusView) -> String| told.map_or_else(|| "?".into(), say);
        [
            wearable.name.clone().unwrap_or_else(|| "-".into()),
            wearable.id.chars().take(8).collect(),
            wearable.patient.clone(),
            state.into(),
            wearable.since.as_deref().map_or_else(|| "never".into(), |since| day_or_time(since, today)),
            of(&|told| does(told, wearable.set)),
            of(&battery),
            of(&link),
            of(&|told| format!("{}/{}", told.waiting, told.lost)),
            of(&|told| told.firmware_version.to_string()),
            of(&|told| told.update.as_ref().map_or_else(|| "-".into(), update)),
            of(&|told| Readable(Duration::from_millis(told.age_ms)).to_string()),
            match (wearable.suite, wearable.post_quantum) {
                (Some(suite), Some(true)) => format!("{suite} yes"),
                (Some(suite), Some(false)) => format!("{suite} NO"),
                _ => "-".into(),
            },
        ]
    });
    let table = table(
        [
            "NAME",
            "UUID",
            "PATIENT",
            "STATE",
            "SINCE UTC",
            "INTERVALS",
            "BATTERY",
            "dBm/DROPS",
            "WAIT/LOST",
            "FW",
            "UPDATE",
            "TOLD",
            "SUITE PQ",
        ],
        rows,
    );
    let notes: Vec<String> = wearables.iter().flat_map(notes).collect();
    let any = |is: fn(&WearableView) -> bool| wearables.iter().any(is);
    let overdue =
        "OVERDUE: connected, but its samples do not come; see whether the device measures, and restart it";
    let open = "NO: whoever records this link can read it with a later quantum computer; suite 4 prevents it";
    let legend = [
        (any(|wearable| wearable.connected && wearable.overdue), overdue),
        (any(|wearable| wearable.post_quantum == Some(false)), open),
    ];
    let legend = legend.iter().filter(|(is, _)| *is).map(|(_, said)| (*said).to_owned());
    let below: Vec<String> = notes.into_iter().chain(legend).collect();
    if below.is_empty() { table } else { format!("{table}\n{}", below.join("\n")) }
}

/// What of a wearable takes a sentence.
fn notes(wearable: &WearableView) -> Vec<String> {
    let Some(told) = &wearable.status else { return Vec::new() };
    let name = wearable.name.as_deref().unwrap_or(&wearable.id);
    let refusal = told.update.as_ref().and_then(|update| Some((update, update.refusal.as_ref()?)));
    let refused =
        refusal.map(|(update, why)| format!("{name}: firmware {}: the image {why}", update.version));
    let set = wearable.set.filter(|set| *set != (told.sample_ms, told.upload_ms));
    let set = set.map(|(sample, upload)| {
        format!("* {name} is set to {}; it did not tell yet that it does so", intervals(sample, upload))
    });
    refused.into_iter().chain(set).collect()
}

/// The time of a moment of today, the day of another.
fn day_or_time(moment: &str, today: &str) -> String {
    let (day, time) = moment.split_once('T').unwrap_or((moment, ""));
    if today.starts_with(day) { time.chars().take(8).collect() } else { day.into() }
}

fn intervals(sample_ms: u32, upload_ms: u32) -> String {
    let [sample, upload] = [sample_ms, upload_ms].map(|ms| Readable(Duration::from_millis(ms.into())));
    format!("{sample}/{upload}")
}

/// What it does; marked if that is not what it was set to.
fn does(told: &StatusView, set: Option<(u32, u32)>) -> String {
    let mark = if set.is_none_or(|set| set == (told.sample_ms, told.upload_ms)) { "" } else { "*" };
    intervals(told.sample_ms, told.upload_ms) + mark
}

fn battery(told: &StatusView) -> String {
    let percent = told.battery.map_or_else(|| "?".into(), |percent| format!("{percent} %"));
    if told.charging == Some(true) { percent + " up" } else { percent }
}

fn link(told: &StatusView) -> String {
    let signal = told.signal_dbm.map_or_else(|| "-".into(), |dbm| dbm.to_string());
    format!("{signal}/{}", told.reconnects)
}

fn update(UpdateView { state, version, received, length, .. }: &UpdateView) -> String {
    if received < length {
        return format!("{version} {} %", u64::from(*received) * 100 / u64::from(*length));
    }
    format!("{version} {state}")
}

pub(super) fn firmware(images: &[ImageView]) -> String {
    if images.is_empty() {
        return "no image is published; publish one with: gateway firmware publish FILE".into();
    }
    let rows = images.iter().map(|image| {
        let judged = if image.verified { "checked" } else { "not checked here" };
        [
            image.image.to_string(),
            image.hardware.clone(),
            image.version.to_string(),
            image.length.to_string(),
            judged.into(),
            image.published.clone(),
        ]
    });
    table(["IMAGE", "HARDWARE", "VERSION", "BYTES", "SIGNATURE", "PUBLISHED (UTC)"], rows)
}

pub(super) fn alerts(alerts: &[AlertReport]) -> String {
    if alerts.is_empty() {
        return "no alert was raised yet".into();
    }
    alerts.iter().map(receipts).collect::<Vec<_>>().join("\n")
}

/// An alert and its proof of delivery.
pub(super) fn receipts(report: &AlertReport) -> String {
    let AlertReport { recipients, decrypted, acknowledged, .. } = report;
    let mut text = format!("{}  {}\n  \"{}\"\n", report.created, report.alert, report.text);
    if let Some(cancelled) = &report.cancels {
        text += &format!("  calls off {cancelled}\n");
    }
    if let Some(by) = &report.cancelled_by {
        text += &format!("  called off by {by}\n");
    }
    if *recipients == 0 {
        return text + "  nobody is enrolled; nobody received it\n";
    }
    text += &format!("  {decrypted} of {recipients} decrypted, {acknowledged} acknowledged");
    if let (Some(p50), Some(last)) = (report.p50_ms, report.last_ms) {
        text += &format!("   (median {p50} ms, last {last} ms)");
    }
    text.push('\n');
    for missing in &report.missing {
        text += &format!("  missing: {}  {}\n", missing.patient, missing.reason);
    }
    text
}

pub(super) fn refusals(refusals: &[RefusalView]) -> String {
    if refusals.is_empty() {
        return "nothing was refused since the gateway started".into();
    }
    let rows =
        refusals.iter().map(|r| [r.time.clone(), r.source.clone(), r.client.clone(), r.reason.clone()]);
    table(["TIME (UTC)", "SOURCE", "CLIENT", "REASON"], rows)
}

pub(super) fn vitals(samples: &[SampleView]) -> String {
    if samples.is_empty() {
        return "no vitals yet".into();
    }
    let rows = samples.iter().map(|sample| {
        let time = sample.time.clone().unwrap_or_else(|| "time uncertain".into());
        [time, sample.seq.to_string(), sample_line(sample, |_| true)]
    });
    table(["TIME (UTC)", "NUMBER", "VALUES [QUALITY, 0 to 100]"], rows)
}

fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    });
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use protocol::reading::Reason;

    use super::*;
    use crate::ward::event::{MeasurementView, ReadingView};

    fn quantity(known: KnownQuantity, reading: Result<(f64, Option<u8>), Reason>) -> QuantityView {
        let reading = match reading {
            Ok((value, quality)) => ReadingView::Measured(MeasurementView {
                value,
                text: value.to_string(),
                plausible: true,
                quality,
                method: String::new(),
                calibration: 0,
            }),
            Err(reason) => ReadingView::NoReading { reason: reason.to_string() },
        };
        QuantityView { code: String::new(), name: known.name.into(), unit: known.unit.into(), reading }
    }

    #[test]
    fn stale_vitals_are_not_shown_as_current() {
        let sample = SampleView {
            time: None,
            received: String::new(),
            device: String::new(),
            seq: 1,
            simulated: true,
            quantities: [
                (KnownQuantity::HEART_RATE, Ok((72.0, Some(90)))),
                (KnownQuantity::SPO2, Err(Reason::FINGER_OFF)),
                (KnownQuantity::RESPIRATION, Err(Reason(77))),
                (KnownQuantity::MOTION, Ok((1.0, None))),
            ]
            .map(|(known, reading)| quantity(known, reading))
            .into(),
        };
        let mut patient = PatientView {
            id: "P001".into(),
            connected: true,
            since: None,
            session: None,
            source: None,
            epoch: None,
            last_vitals: Some(sample),
            vitals_age_ms: Some(400),
            vitals_current: true,
            post_quantum: Some(true),
            away: false,
        };
        assert_eq!(
            newest_vitals(&patient),
            "SIMULATED heart rate 72 /min [90], SpO2 -- finger off, respiration -- reason 77 (0.4 s ago)"
        );
        let sample = patient.last_vitals.clone().unwrap();
        assert!(vitals(&[sample]).contains("respiration -- reason 77, motion moving"));
        patient.vitals_current = false;
        patient.vitals_age_ms = Some(13_000);
        assert_eq!(newest_vitals(&patient), "-- (last 13 s ago)");
    }

    #[test]
    fn a_line_about_a_wearable_fits_a_terminal() {
        let status = StatusView {
            sample_ms: 1_000,
            upload_ms: 60_000,
            battery: Some(100),
            charging: Some(true),
            signal_dbm: Some(-61),
            reconnects: 12,
            waiting: 59,
            lost: 7,
            firmware: "a name for people".into(),
            firmware_version: 12,
            hardware: "board".into(),
            update: Some(UpdateView {
                state: "refused".into(),
                version: 2,
                received: 0,
                length: 0,
                refusal: Some("needs more battery".into()),
            }),
            age_ms: 13_000,
        };
        let mut wearable = WearableView {
            id: "07070707-0707-4707-8707-070707070707".into(),
            name: Some("W001".into()),
            patient: "P001".into(),
            connected: true,
            since: Some("2026-11-21T20:15:00.123Z".into()),
            overdue: true,
            set: Some((1_000, 1_000)),
            status: Some(status),
            suite: Some(2),
            post_quantum: Some(false),
        };
        let said = |today| wearables(std::slice::from_ref(&wearable), today);
        let lines = [
            "NAME  UUID      PATIENT  STATE    SINCE UTC  INTERVALS    BATTERY   dBm/DROPS  WAIT/LOST  FW  UPDATE     TOLD  SUITE PQ",
            "W001  07070707  P001     OVERDUE  20:15:00   1.0 s/60 s*  100 % up  -61/12     59/7       12  2 refused  13 s  2 NO",
            "",
            "W001: firmware 2: the image needs more battery",
            "* W001 is set to 1.0 s/1.0 s; it did not tell yet that it does so",
            "OVERDUE: connected, but its samples do not come; see whether the device measures, and restart it",
            "NO: whoever records this link can read it with a later quantum computer; suite 4 prevents it",
        ];
        assert_eq!(said("2026-11-21T23:00:00Z").lines().collect::<Vec<_>>(), lines);
        assert!(said("2026-11-22T00:00:00Z").contains("  2026-11-21  "));
        assert!(said("").lines().all(|line| line.chars().count() <= 120));
        let update = wearable.status.as_mut().and_then(|told| told.update.as_mut()).unwrap();
        *update = UpdateView {
            state: "receiving".into(),
            received: 82,
            length: 100,
            refusal: None,
            ..update.clone()
        };
        assert!(wearables(&[wearable], "").contains("  2 82 %  "));
    }
}
