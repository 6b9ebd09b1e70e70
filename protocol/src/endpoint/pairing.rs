//! A client's end of a connection while it pairs. When it is done, the login goes on on the same connection through a
//! [`ClientEndpoint`](super::client::ClientEndpoint).

use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::{LOGIN_LIMIT, Link, client::refusal};
use crate::{
    error::Fault,
    frame,
    handshake::Channel,
    opcode::Opcode,
    pairing::{
        code::PairingCode,
        initiator::{AwaitGrant, AwaitPairReply, Candidate, Granted},
    },
    time::{Monotonic, Now},
};

/// What the pairing gave, or why it gave nothing.
pub type Outcome = Result<Granted, Fault>;

#[derive(Debug)]
enum State {
    AwaitReply(AwaitPairReply),
    AwaitGrant(AwaitGrant),
    Done(Option<Outcome>),
}

/// One pairing as a client sees it.
#[derive(Debug)]
pub struct PairingEndpoint {
    link: Link,
    state: State,
}

impl PairingEndpoint {
    /// A fresh connection to a gateway that nobody vouches for yet but the code.
    pub fn start(
        candidate: Candidate,
        code: PairingCode,
        channel: Channel,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let (state, start) = AwaitPairReply::start(candidate, code, channel, rng);
        let mut link = Link::new(now);
        link.send(frame::encode(Opcode::PairStart, &start), now);
        Self { link, state: State::AwaitReply(state) }
    }

    /// Takes bytes from the gateway.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Now, rng: &mut (impl CryptoRng + ?Sized)) {
        if matches!(self.state, State::Done(_)) {
            return;
        }
        self.link.reader.push(bytes);
        while !matches!(self.state, State::Done(_)) {
            let frame = match self.link.reader.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(fault) => return self.finish(Err(fault.into())),
            };
            match (core::mem::replace(&mut self.state, State::Done(None)), frame.opcode) {
                (_, Opcode::Error) => self.finish(Err(Fault::Refused(refusal(&frame)))),
                (State::AwaitReply(state), Opcode::PairReply) => match state.handle_reply(&frame.body, rng) {
                    Ok((state, enrol)) => {
                        self.link.heard(now);
                        self.link.send(frame::encode(Opcode::PairEnrol, &enrol), now);
                        self.state = State::AwaitGrant(state);
                    }
                    Err(fault) => self.finish(Err(fault)),
                },
                (State::AwaitGrant(state), Opcode::PairGrant) => self.finish(state.handle_grant(&frame.body)),
                (_, opcode) => self.finish(Err(Fault::PeerOutOfOrder { opcode, state: "pairing" })),
            }
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        self.state = State::Done(Some(outcome));
    }

    /// When [`Self::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        (!matches!(self.state, State::Done(_))).then(|| self.link.last_heard + LOGIN_LIMIT)
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.poll_timeout().is_some_and(|due| now.mono >= due) {
            self.finish(Err(Fault::PeerSlow));
        }
    }

    /// The outcome, once.
    pub const fn poll_outcome(&mut self) -> Option<Outcome> {
        match &mut self.state {
            State::Done(outcome) => outcome.take(),
            _ => None,
        }
    }

    /// The next bytes for the gateway.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.link.outgoing.pop_front()
    }
}
