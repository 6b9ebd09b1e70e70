//! One connection as a value: bytes and `now` in, bytes and events out. Two ends of different types, because they
//! may do different things.
//!
//! Call order, as in quinn-proto: `handle_bytes` or `handle_timeout`, then `poll_event` until it is empty (answering
//! what asks for an answer), then `poll_transmit` until it is empty, then sleep until `poll_timeout` or the next bytes.

pub mod client;
pub mod gateway;
pub mod pairing;

use alloc::{collections::VecDeque, vec::Vec};
use core::time::Duration;

use crate::{
    frame::{FrameReader, MAX_BODY, MAX_BODY_BEFORE_LOGIN},
    time::{Monotonic, Now},
};

/// An established side that has sent nothing for this long sends a heartbeat.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// A peer that was not heard for this long is gone. Below the 10 s in which silence must be noticed.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(9);
/// The longest wait for the peer's next message before a session is established. Bytes that are no whole message do
/// not prolong it.
pub const LOGIN_LIMIT: Duration = Duration::from_secs(10);

/// What both ends have: bytes in and out, and when something was last sent or heard.
#[derive(Debug)]
struct Link {
    reader: FrameReader,
    outgoing: VecDeque<Vec<u8>>,
    last_sent: Monotonic,
    last_heard: Monotonic,
}

impl Link {
    const fn new(now: Now) -> Self {
        Self {
            reader: FrameReader::new(MAX_BODY_BEFORE_LOGIN),
            outgoing: VecDeque::new(),
            last_sent: now.mono,
            last_heard: now.mono,
        }
    }

    /// A whole message came and was believed; only that counts as a sign of life.
    const fn heard(&mut self, now: Now) {
        self.last_heard = now.mono;
    }

    fn send(&mut self, frame: Vec<u8>, now: Now) {
        self.outgoing.push_back(frame);
        self.last_sent = now.mono;
    }

    const fn allow_large_frames(&mut self) {
        self.reader.set_limit(MAX_BODY);
    }

    fn heartbeat_due(&self) -> Monotonic {
        self.last_sent + HEARTBEAT_INTERVAL
    }

    fn silence_due(&self) -> Monotonic {
        self.last_heard + SILENCE_LIMIT
    }
}
