//! The device's events as lines for scripts: one JSON object each. Everything else goes to the log on standard error.

use protocol::id::{DeviceId, WearableName};
use serde_json::{Value, json};

use crate::agent::DeviceEvent;

/// The first line.
#[must_use]
pub fn started(name: &WearableName, id: DeviceId, is_new: bool) -> Value {
    json!({"event": "started", "name": name.as_str(), "device": id.to_string(), "new": is_new, "simulated": true})
}

/// The line of an event.
#[must_use]
pub fn line(event: &DeviceEvent) -> Value {
    match event {
        DeviceEvent::Code(code) => json!({"event": "code", "code": code.to_string()}),
        DeviceEvent::Paired { doctor, gateway } => {
            json!({"event": "paired", "doctor": doctor.as_str(), "gateway": gateway.to_string()})
        }
        DeviceEvent::Session { session, resumed, doctor } => json!({
            "event": "session", "resumed": resumed, "doctor": doctor.as_str(), "session": session.to_string(),
        }),
        DeviceEvent::Acknowledged(seq) => json!({"event": "acknowledged", "seq": seq.0}),
        DeviceEvent::Lost(gap) => json!({
            "event": "gap", "reason": "full", "first": gap.first.0, "last": gap.last.0, "lost": gap.samples,
        }),
        DeviceEvent::Skipped { first, last } => {
            json!({"event": "gap", "reason": "restart", "first": first.0, "last": last.0, "lost": 0})
        }
        DeviceEvent::Discarded { bytes } => json!({"event": "gap", "reason": "journal", "bytes": bytes}),
        DeviceEvent::NotStored(reason) => {
            json!({"event": "gap", "reason": "storage", "lost": 1, "error": reason})
        }
        DeviceEvent::Refused(reason) => json!({"event": "refused", "reason": reason}),
        DeviceEvent::Disconnected(reason) => json!({"event": "disconnected", "reason": reason}),
        DeviceEvent::Missed(events) => json!({"event": "missed", "events": events}),
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::{GatewayId, Seq, SessionId};
    use wearable_core::uplink::Gap;

    use super::*;

    #[test]
    fn lines_are_what_scripts_expect() {
        let doctor = || "D001".parse().unwrap();
        let session = SessionId::from_bytes([1; 16]);
        let lines = [
            (DeviceEvent::Code("ABC-DEF-GH2".parse().unwrap()), r#"{"code":"ABC-DEF-GH2","event":"code"}"#),
            (
                DeviceEvent::Paired { doctor: doctor(), gateway: GatewayId::from_bytes([2; 16]) },
                r#"{"doctor":"D001","event":"paired","gateway":"02020202-0202-0202-0202-020202020202"}"#,
            ),
            (
                DeviceEvent::Session { session, resumed: true, doctor: doctor() },
                r#"{"doctor":"D001","event":"session","resumed":true,"session":"01010101-0101-0101-0101-010101010101"}"#,
            ),
            (DeviceEvent::Acknowledged(Seq(7)), r#"{"event":"acknowledged","seq":7}"#),
            (
                DeviceEvent::Lost(Gap { first: Seq(1), last: Seq(64), samples: 64 }),
                r#"{"event":"gap","first":1,"last":64,"lost":64,"reason":"full"}"#,
            ),
            (DeviceEvent::Refused("no".into()), r#"{"event":"refused","reason":"no"}"#),
        ];
        for (event, text) in lines {
            assert_eq!(line(&event).to_string(), text);
        }
    }
}
