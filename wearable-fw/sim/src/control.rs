//! The control socket of a running wearable: whatever the menu can do, a script can do, in the same words.
//!
//! ```text
//! {"verb":"do","what":"button hold 2.5"}   {"done":null}, when it is done (the button is up again)
//! {"verb":"status"}                        {"done":{...}}
//! {"verb":"watch"}                         from now on the device's event lines
//! ```

use std::sync::Arc;

use host::{
    control::Desk,
    exit::{Exit, Stop},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    net::unix::UCred,
    sync::{broadcast, mpsc, oneshot, watch},
};
use wearable_core::mode::Switch;

use crate::{
    act::Act,
    agent::{DeviceState, Order},
};

/// What can be asked of a running wearable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Do it; answered when it is done.
    Do {
        /// In the words of [`crate::act`].
        what: Act,
    },
    /// How things stand.
    Status {},
    /// From now on every event line, until the connection closes.
    Watch {},
}

/// Who answers.
#[derive(Debug)]
pub(crate) struct Counter {
    orders: mpsc::WeakSender<Order>,
    state: watch::Receiver<DeviceState>,
    lines: broadcast::Sender<Value>,
}

impl Counter {
    pub(crate) fn new(
        orders: mpsc::WeakSender<Order>,
        state: watch::Receiver<DeviceState>,
        lines: broadcast::Sender<Value>,
    ) -> Arc<Self> {
        Arc::new(Self { orders, state, lines })
    }
}

impl Desk for Counter {
    type Request = Request;
    type Event = Value;
    const PROGRAM: &'static str = "wearable";

    fn watches(request: &Request) -> bool {
        matches!(request, Request::Watch {})
    }

    fn subscribe(&self) -> broadcast::Receiver<Value> {
        self.lines.subscribe()
    }

    async fn carry_out(&self, request: Request, _caller: &UCred) -> Result<Value, Stop> {
        let act = match request {
            Request::Do { what } => what,
            Request::Status {} => return Ok(status(&self.state.borrow())),
            Request::Watch {} => return Ok(Value::Null),
        };
        let ended = || Stop::new(Exit::Unavailable, "the wearable has ended");
        let stops = act == Act::Stop;
        let (done, outcome) = oneshot::channel();
        let orders = self.orders.upgrade().ok_or_else(ended)?;
        orders.send(Order { act, done: Some(done) }).await.map_err(|_| ended())?;
        match outcome.await {
            Ok(Ok(())) => Ok(Value::Null),
            Ok(Err(why)) => Err(Stop::new(Exit::Failed, why)),
            Err(_) if stops => Ok(Value::Null),
            Err(_) => Err(ended()),
        }
    }
}

/// How things stand, as a script reads it.
pub(crate) fn status(state: &DeviceState) -> Value {
    json!({
        "simulated": true,
        "name": state.name.as_str(),
        "device": state.id.to_string(),
        "mode": state.mode.to_string(),
        "doctor": state.doctor.as_ref().map(|doctor| doctor.as_str()),
        "code": state.code.map(|code| code.to_string()),
        "refusal": state.refusal,
        "slide": if state.switch == Switch::Configuration { "configuration" } else { "working" },
        "pressed": state.pressed,
        "sample_ms": state.settings.cadence().sample_ms,
        "upload_ms": state.settings.cadence().upload_ms,
        "network": state.condition.plugged,
        "delay_ms": u64::try_from(state.condition.delay.as_millis()).unwrap_or(u64::MAX),
        "wrong_gateway": state.condition.wrong_gateway,
        "heart": state.contact.beats,
        "shake": state.contact.shakes,
        "finger": state.contact.finger,
        "leads": state.contact.leads,
        "mute": state.faults.mute().map(crate::act::Sensor::word).collect::<Vec<_>>(),
        "bus_stuck": state.faults.stuck,
        "reads_late": state.faults.late,
        "scenario": state.scenario.as_str(),
        "second": state.step.as_ref().map(|step| step.second),
        "taken": state.taken.0,
        "acknowledged": state.acknowledged.0,
        "waiting": state.waiting,
        "lost": state.lost,
        "battery": state.battery,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_scripts_write() {
        let read = |text: &str| serde_json::from_str::<Request>(text);
        let what = "button hold 3".parse().unwrap();
        assert_eq!(read(r#"{"verb":"do","what":"button hold 3"}"#).unwrap(), Request::Do { what });
        assert_eq!(read(r#"{"verb":"status"}"#).unwrap(), Request::Status {});
        assert!(
            read(r#"{"verb":"do","what":"fly"}"#)
                .unwrap_err()
                .to_string()
                .contains("nothing that can be done")
        );
        assert!(read(r#"{"verb":"do"}"#).is_err() && read(r#"{"verb":"status","now":1}"#).is_err());
    }
}
