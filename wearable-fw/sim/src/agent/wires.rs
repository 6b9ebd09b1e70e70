//! What goes out to whoever looks on: events, the newest state, lines for watchers. Never waits for a reader.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{broadcast, mpsc, watch};

use super::{DeviceEvent, DeviceState, Order};
use crate::{control::Counter, headless};

/// Lines that may wait for a watcher.
const LINES: usize = 256;

/// What goes out to whoever looks on.
pub(super) struct Wires {
    events: mpsc::Sender<DeviceEvent>,
    missed: u64,
    pub(super) state: watch::Sender<DeviceState>,
    lines: broadcast::Sender<Value>,
}

impl Wires {
    pub(super) fn new(events: mpsc::Sender<DeviceEvent>, state: watch::Sender<DeviceState>) -> Self {
        Self { events, missed: 0, state, lines: broadcast::channel(LINES).0 }
    }

    /// Who answers on a control socket.
    pub(super) fn counter(
        &self,
        orders: mpsc::WeakSender<Order>,
        state: watch::Receiver<DeviceState>,
    ) -> Arc<Counter> {
        Counter::new(orders, state, self.lines.clone())
    }

    /// Never waits: a reader that stopped must not stop the device.
    pub(super) fn tell(&mut self, event: DeviceEvent) {
        if self.lines.receiver_count() > 0 {
            for line in headless::lines(&event) {
                // The last watcher may just have gone.
                self.lines.send(line).ok();
            }
        }
        if self.missed > 0 && self.events.try_send(DeviceEvent::Missed(self.missed)).is_ok() {
            self.missed = 0;
        }
        if self.missed > 0 || self.events.try_send(event).is_err() {
            self.missed += 1;
        }
    }
}
