//! Event lines: what scripts read from a headless patient, one JSON object per line.

use protocol::alert::Priority;
use serde_json::{Value, json};

use crate::agent::AgentEvent;

/// The line of an event; `None` for events that only a screen needs.
#[must_use]
pub fn line(event: &AgentEvent) -> Option<Value> {
    Some(match event {
        AgentEvent::CodeWanted { .. } | AgentEvent::Identified { .. } => return None,
        AgentEvent::Connecting { gateway } => json!({"event": "connecting", "gateway": gateway}),
        AgentEvent::Paired { patient, doctor, gateway, folder } => json!({
            "event": "paired",
            "patient": patient.as_str(),
            "doctor": doctor.as_str(),
            "gateway": gateway.to_string(),
            "folder": folder,
        }),
        AgentEvent::Session { session, resumed, protected } => json!({
            "event": "session",
            "resumed": resumed,
            "session": session.to_string(),
            "protected": protected,
        }),
        AgentEvent::Group(epoch) => json!({"event": "group", "epoch": epoch.to_string()}),
        AgentEvent::Alert(alert) => json!({
            "event": "alert",
            "alert": alert.id.to_string(),
            "text": alert.text,
            "priority": priority(alert.priority),
            "created": alert.created.0,
            "age_ms": u64::try_from(alert.age.as_millis()).unwrap_or(u64::MAX),
            "epoch": alert.epoch.map(|epoch| epoch.to_string()),
            "late": alert.late,
            "repeated": alert.repeated,
            "cancels": alert.cancels.map(|id| id.to_string()),
            "cancelled": alert.cancelled,
        }),
        AgentEvent::AlertRefused { reason } => json!({"event": "alert_refused", "reason": reason}),
        AgentEvent::Acknowledged(alert) => json!({"event": "acknowledged", "alert": alert.to_string()}),
        AgentEvent::Receipt { alert, stage } => {
            json!({"event": "receipt", "alert": alert.to_string(), "stage": stage.to_string()})
        }
        AgentEvent::Refused { reason } => json!({"event": "refused", "reason": reason}),
        AgentEvent::Disconnected { reason, .. } => json!({"event": "disconnected", "reason": reason}),
        AgentEvent::Waiting { reason, retry } => json!({
            "event": "waiting",
            "reason": reason,
            "retry_ms": u64::try_from(retry.as_millis()).unwrap_or(u64::MAX),
        }),
        AgentEvent::Stopped { message } => json!({"event": "stopped", "reason": message}),
    })
}

/// A priority in one word.
#[must_use]
pub const fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Medium => "medium",
        Priority::High => "high",
    }
}
