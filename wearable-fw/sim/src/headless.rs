//! The device's events as lines for scripts: one JSON object each. Everything else goes to the log on standard error.

use protocol::id::{DeviceId, WearableName};
use serde_json::{Value, json};

use wearable_core::{
    device::{BootReport, Event},
    uplink::{Gap, Recovery},
};

use crate::agent::DeviceEvent;

/// The first line.
#[must_use]
pub fn started(name: &WearableName, id: DeviceId, is_new: bool) -> Value {
    json!({"event": "started", "name": name.as_str(), "device": id.to_string(), "new": is_new, "simulated": true})
}

/// The lines of an event; most have one.
#[must_use]
pub fn lines(event: &DeviceEvent) -> Vec<Value> {
    match event {
        DeviceEvent::Device(event) => vec![line(event)],
        DeviceEvent::Found(report) => found(report),
        DeviceEvent::Booted { why, report } => {
            let boot = json!({
                "event": "boot", "reason": why, "mode": report.mode.to_string(), "waiting": report.samples.waiting,
            });
            std::iter::once(boot).chain(found(report)).collect()
        }
        // A device takes one a second; its number comes with the acknowledgement.
        DeviceEvent::Taken(_) => vec![],
        DeviceEvent::NotStored(reason) => {
            vec![json!({"event": "gap", "reason": "storage", "lost": 1, "error": reason})]
        }
        DeviceEvent::Did(act) => vec![json!({"event": "did", "what": act.to_string()})],
        DeviceEvent::Missed(events) => vec![json!({"event": "missed", "events": events})],
    }
}

fn found(report: &BootReport) -> Vec<Value> {
    let Recovery { missing, skipped, .. } = &report.samples;
    let damaged = report
        .configuration_damaged
        .then(|| json!({"event": "refused", "reason": "the configuration is damaged: pair again"}));
    let skipped = skipped.map(|Gap { first, last, .. }| {
        json!({"event": "gap", "reason": "restart", "first": first.0, "last": last.0, "lost": 0})
    });
    let lost = missing.map(|Gap { first, last, samples }| {
        json!({"event": "gap", "reason": "flash", "first": first.0, "last": last.0, "lost": samples})
    });
    [damaged, skipped, lost].into_iter().flatten().collect()
}

fn line(event: &Event) -> Value {
    match event {
        Event::Mode { from, to } => json!({"event": "mode", "from": from.to_string(), "to": to.to_string()}),
        Event::Code(code) => json!({"event": "code", "code": code.to_string()}),
        Event::Granted { doctor, gateway } => {
            json!({"event": "granted", "doctor": doctor.as_str(), "gateway": gateway.to_string()})
        }
        Event::Bound { doctor, gateway } => {
            json!({"event": "paired", "doctor": doctor.as_str(), "gateway": gateway.to_string()})
        }
        Event::Session { session, resumed, suite, doctor } => json!({
            "event": "session", "resumed": resumed, "suite": suite.number(), "doctor": doctor.as_str(),
            "session": session.to_string(),
        }),
        Event::Acknowledged(seq) => json!({"event": "acknowledged", "seq": seq.0}),
        Event::Lost(gap) => json!({
            "event": "gap", "reason": "full", "first": gap.first.0, "last": gap.last.0, "lost": gap.samples,
        }),
        Event::Disconnected(reason) => json!({"event": "disconnected", "reason": reason}),
        Event::Refused(reason) => json!({"event": "refused", "reason": reason}),
        Event::Storage(error) => json!({"event": "storage", "error": error}),
        Event::ResetAsked => json!({"event": "reset_asked"}),
        Event::ResetDone => json!({"event": "reset"}),
        Event::Settings(settings) => {
            let cadence = settings.cadence();
            json!({"event": "settings", "sample_ms": cadence.sample_ms, "upload_ms": cadence.upload_ms})
        }
        Event::Waveform(request) => {
            json!({"event": "waveform", "signal": request.signal.to_string(), "seconds": request.seconds})
        }
        Event::Update(status) => json!({
            "event": "update", "state": status.state.to_string(), "version": status.version,
            "received": status.received, "length": status.length,
            "refusal": status.refusal.map(|refusal| refusal.to_string()),
        }),
        Event::Restart => json!({"event": "restart"}),
        Event::Missed(events) => json!({"event": "missed", "events": events}),
    }
}

#[cfg(test)]
mod tests {
    use protocol::credential::Suite;
    use protocol::id::{GatewayId, Seq, SessionId};
    use wearable_core::uplink::Gap;

    use super::*;

    #[test]
    fn lines_are_what_scripts_expect() {
        let doctor = || "D001".parse().unwrap();
        let session = SessionId::from_bytes([1; 16]);
        let lines = [
            (Event::Code("ABC-DEF-GH2".parse().unwrap()), r#"{"code":"ABC-DEF-GH2","event":"code"}"#),
            (
                Event::Bound { doctor: doctor(), gateway: GatewayId::from_bytes([2; 16]) },
                r#"{"doctor":"D001","event":"paired","gateway":"02020202-0202-0202-0202-020202020202"}"#,
            ),
            (
                Event::Session { session, resumed: true, suite: Suite::Hybrid, doctor: doctor() },
                r#"{"doctor":"D001","event":"session","resumed":true,"session":"01010101-0101-0101-0101-010101010101","suite":4}"#,
            ),
            (Event::Acknowledged(Seq(7)), r#"{"event":"acknowledged","seq":7}"#),
            (
                Event::Lost(Gap { first: Seq(1), last: Seq(64), samples: 64 }),
                r#"{"event":"gap","first":1,"last":64,"lost":64,"reason":"full"}"#,
            ),
            (Event::Refused("no".into()), r#"{"event":"refused","reason":"no"}"#),
        ];
        for (event, text) in lines {
            assert_eq!(line(&event).to_string(), text);
        }
    }
}
