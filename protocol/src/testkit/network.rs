//! Wires: two ordered byte streams per connection, cut into other segments than were sent, each with its own delay. A
//! stream loses nothing but its end: that is what TCP does.

use alloc::{collections::VecDeque, vec::Vec};

use rand_core::Rng;

/// The number of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client's.
    Client,
    /// The gateway's.
    Gateway,
}

#[derive(Debug, Default)]
pub(super) struct Connection {
    to_gateway: Stream,
    to_client: Stream,
    closed_by: Option<End>,
    swallows: bool,
}

#[derive(Debug, Default)]
struct Stream(VecDeque<(u64, Vec<u8>)>);

impl Stream {
    fn send(&mut self, bytes: &[u8], time: u64, max_delay: u64, rng: &mut impl Rng) {
        let mut rest = bytes;
        let mut earliest = self.0.back().map_or(time, |(arrival, _)| *arrival);
        while !rest.is_empty() {
            // Mostly whole frames, sometimes a few bytes.
            let cut =
                if rng.next_u32().is_multiple_of(4) { 1 + rng.next_u32() as usize % 16 } else { rest.len() };
            let (segment, later) = rest.split_at(cut.min(rest.len()));
            earliest = earliest.max(time + rng.next_u64() % (max_delay + 1));
            self.0.push_back((earliest, segment.to_vec()));
            rest = later;
        }
    }

    /// Everything that has arrived, in one read.
    fn arrived(&mut self, time: u64) -> Option<Vec<u8>> {
        let mut read = Vec::new();
        while let Some((_, segment)) = self.0.pop_front_if(|(arrival, _)| *arrival <= time) {
            read.extend_from_slice(&segment);
        }
        (!read.is_empty()).then_some(read)
    }
}

impl Connection {
    pub(super) fn send(&mut self, to: End, bytes: &[u8], time: u64, max_delay: u64, rng: &mut impl Rng) {
        if self.swallows || self.closed_by.is_some_and(|end| end != to) {
            return;
        }
        self.stream(to).send(bytes, time, max_delay, rng);
    }

    pub(super) fn arrived(&mut self, time: u64) -> Option<(End, Vec<u8>)> {
        let to_gateway = self.to_gateway.arrived(time).map(|bytes| (End::Gateway, bytes));
        to_gateway.or_else(|| self.to_client.arrived(time).map(|bytes| (End::Client, bytes)))
    }

    /// An end closes: what it has sent still arrives, what comes to it does not matter any more.
    pub(super) fn close(&mut self, by: End) {
        self.closed_by.get_or_insert(by);
        self.stream(by).0.clear();
    }

    pub(super) fn swallow(&mut self) {
        self.swallows = true;
        self.to_gateway.0.clear();
        self.to_client.0.clear();
    }

    /// The end that closed, once its last bytes have arrived.
    pub(super) fn is_over(&self) -> Option<End> {
        self.closed_by.filter(|_| self.is_empty() && !self.swallows)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.to_gateway.0.is_empty() && self.to_client.0.is_empty()
    }

    pub(super) fn next_arrival(&self) -> Option<u64> {
        [&self.to_gateway, &self.to_client].iter().filter_map(|s| s.0.front()).map(|(at, _)| *at).min()
    }

    const fn stream(&mut self, to: End) -> &mut Stream {
        match to {
            End::Client => &mut self.to_client,
            End::Gateway => &mut self.to_gateway,
        }
    }
}
