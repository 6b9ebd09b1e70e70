//! A client's end of a connection, from HELLO or RESUME to the end of the session. It trusts only the pinned gateway.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};

use crypto::{Secret, purpose};
use rand_core::CryptoRng;

use super::{LOGIN_LIMIT, Link, SILENCE_LIMIT};
use crate::{
    alert::{Alert, Audience, UnverifiedAlert},
    codec,
    credential::{ClientIdentity, ClientKind, PinnedGateway, Suite},
    error::{Fault, Refusal},
    frame::{self, Frame},
    group::{Epoch, GroupMember},
    handshake::{
        Established, Terms,
        initiator::{AwaitConfirmation, AwaitReply},
        resume::{AwaitResumeReply, Ticket},
    },
    id::{Seq, SessionId},
    message::{Farewell, FromClient, Instruction, PATIENTS, ToClient},
    opcode::Opcode,
    session::Session,
    time::{Monotonic, Now, UnixMillis},
};

/// What happened on the connection.
#[derive(Debug)]
pub enum Event {
    /// The gateway is the pinned one and knows this client.
    Established {
        /// The session.
        session: SessionId,
        /// The suite of the full login that it began with.
        suite: Suite,
        /// Whether a token opened it.
        resumed: bool,
        /// The gateway's clock, verified.
        gateway_time: UnixMillis,
    },
    /// Keep this: it opens the next session without a full login. It works once.
    Ticket {
        /// Token and key.
        ticket: Ticket,
        /// When it ceases to work.
        expires: UnixMillis,
    },
    /// Broadcasts of this epoch can be opened from now on.
    GroupKey(Epoch),
    /// An alert of the pinned gateway, signature checked. Show it unless its id was seen before; send a receipt
    /// either way.
    Alert {
        /// The alert.
        alert: Alert,
        /// The group epoch it came under; `None` if it came in this patient's own session.
        epoch: Option<Epoch>,
    },
    /// A broadcast that could not be opened or believed. The gateway will miss the receipt and send it again.
    AlertRefused(Fault),
    /// Everything up to this number is committed at the gateway.
    VitalsAcked(Seq),
    /// The gateway wants something of this wearable.
    Instruction(Instruction),
    /// The gateway's clock, from a record.
    GatewayTime(UnixMillis),
    /// The session ended on purpose: the gateway said so, or it has lived its time.
    Disconnected(Farewell),
    /// The conversation is over because of this.
    Closed(Fault),
}

/// Whether a frame shows that the gateway is still there.
enum Life {
    Sign,
    Unknown,
}

#[derive(Debug)]
enum State {
    Resuming(AwaitResumeReply),
    AwaitReply(AwaitReply),
    AwaitConfirmation(AwaitConfirmation),
    Established { session: Session, suite: Suite, group: GroupMember, resume: Secret<purpose::ResumeKey> },
    Closed,
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::Resuming(_) => "waiting for RESUME_REPLY",
            Self::AwaitReply(_) => "waiting for HELLO_REPLY",
            Self::AwaitConfirmation(_) => "waiting for KEY_VERIFICATION",
            Self::Established { .. } => "in session",
            Self::Closed => "closed",
        }
    }
}

/// One connection as a client sees it.
#[derive(Debug)]
pub struct ClientEndpoint {
    identity: Arc<ClientIdentity>,
    pinned: PinnedGateway,
    terms: Terms,
    link: Link,
    state: State,
    events: VecDeque<Event>,
}

impl ClientEndpoint {
    /// A fresh connection to the pinned gateway: resumes with a ticket if there is one of a suite that the terms allow,
    /// else logs in fully.
    ///
    /// # Errors
    /// [`Fault::PeerSuite`] if the identity, its channel or this build does not have one of the suites, or there is none.
    pub fn connect(
        identity: Arc<ClientIdentity>,
        pinned: PinnedGateway,
        ticket: Option<Ticket>,
        terms: Terms,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, Fault> {
        let link = Link::new(now);
        let events = VecDeque::new();
        let mut endpoint = Self { identity, pinned, terms, link, state: State::Closed, events };
        match ticket.filter(|ticket| endpoint.terms.suites.contains(&ticket.suite)) {
            Some(ticket) => {
                let identity = Arc::clone(&endpoint.identity);
                let (state, resume) = AwaitResumeReply::start(identity, ticket, &endpoint.terms, now, rng);
                endpoint.state = State::Resuming(state);
                endpoint.link.send(frame::encode(Opcode::Resume, &resume), now);
            }
            None => endpoint.log_in(now, rng)?,
        }
        Ok(endpoint)
    }

    fn log_in(&mut self, now: Now, rng: &mut (impl CryptoRng + ?Sized)) -> Result<(), Fault> {
        let identity = Arc::clone(&self.identity);
        let (state, hello) = AwaitReply::start(identity, self.pinned.clone(), self.terms.clone(), now, rng)?;
        self.state = State::AwaitReply(state);
        self.link.send(frame::encode(Opcode::Hello, &hello), now);
        Ok(())
    }

    /// Takes bytes from the gateway.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Now, rng: &mut (impl CryptoRng + ?Sized)) {
        if self.is_closed() {
            return;
        }
        self.link.reader.push(bytes);
        while !self.is_closed() {
            let handled = match self.link.reader.next_frame() {
                Ok(Some(frame)) => self.handle_frame(&frame, now, rng),
                Ok(None) => return,
                Err(fault) => Err(fault.into()),
            };
            match handled {
                Ok(Life::Sign) => self.link.heard(now),
                Ok(Life::Unknown) => {}
                Err(fault) => self.close(fault),
            }
        }
    }

    fn handle_frame(
        &mut self,
        frame: &Frame,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Life, Fault> {
        let out_of_order = Fault::PeerOutOfOrder { opcode: frame.opcode, state: self.state.name() };
        match (core::mem::replace(&mut self.state, State::Closed), frame.opcode) {
            (established @ State::Established { .. }, opcode) => {
                self.state = established;
                return match (opcode, self.identity.id.kind()) {
                    (Opcode::EncMsg, ClientKind::Patient) if PATIENTS => {
                        Ok(self.handle_broadcast(&frame.body))
                    }
                    (Opcode::EncMsg, _) => Err(out_of_order),
                    _ => self.handle_record(frame, now).map(|()| Life::Sign),
                };
            }
            (State::Resuming(_), Opcode::Error) if refusal(frame) == Refusal::Token => {
                self.log_in(now, rng)?;
            }
            (_, Opcode::Error) => return Err(Fault::Refused(refusal(frame))),
            (State::Resuming(state), Opcode::ResumeReply) => {
                let established = state.handle_reply(&frame.body, now)?;
                self.establish(established);
            }
            (State::AwaitReply(state), Opcode::HelloReply) => {
                let (state, proof) = state.handle_reply(&frame.body, rng)?;
                self.link.send(frame::encode(Opcode::KeyVerification, &proof), now);
                self.state = State::AwaitConfirmation(state);
            }
            (State::AwaitConfirmation(state), Opcode::KeyVerification) => {
                let established = state.handle_confirmation(frame, now)?;
                self.establish(established);
            }
            _ => return Err(out_of_order),
        }
        Ok(Life::Sign)
    }

    fn establish(&mut self, established: Established) {
        let Established { session, suite, wrap, resume, resumed, peer_time, .. } = established;
        let group = GroupMember::new(self.pinned.gateway, &wrap);
        let session_id = session.id();
        self.link.allow_large_frames();
        self.state = State::Established { session, suite, group, resume };
        self.events.push_back(Event::Established {
            session: session_id,
            suite,
            resumed,
            gateway_time: peer_time,
        });
    }

    fn handle_record(&mut self, record: &Frame, now: Now) -> Result<(), Fault> {
        let State::Established { session, suite, group, resume } = &mut self.state else { return Ok(()) };
        let Some(plaintext) = session.open(record, now)? else { return Ok(()) };
        let event = match ToClient::decode(record.opcode, &plaintext)? {
            ToClient::Token(said) => Event::Ticket {
                ticket: Ticket { token: said.token, suite: *suite, key: resume.duplicate() },
                expires: said.expires,
            },
            ToClient::GroupKey(key) => Event::GroupKey(group.handle_key(&key)?),
            ToClient::DirectMsg(alert) => {
                Event::Alert { alert: alert.verify(&self.pinned.alerts)?, epoch: None }
            }
            ToClient::VitalsAck(seq) => Event::VitalsAcked(seq),
            ToClient::Instruction(instruction) => match self.identity.id.kind() {
                ClientKind::Wearable => Event::Instruction(instruction),
                ClientKind::Patient => {
                    let state = "in session as a patient's client";
                    return Err(Fault::PeerOutOfOrder { opcode: record.opcode, state });
                }
            },
            ToClient::Heartbeat(time) => Event::GatewayTime(time),
            ToClient::Disconnect(farewell) => {
                self.state = State::Closed;
                Event::Disconnected(farewell)
            }
        };
        self.events.push_back(event);
        Ok(())
    }

    fn handle_broadcast(&mut self, body: &[u8]) -> Life {
        let State::Established { group, .. } = &mut self.state else { return Life::Unknown };
        let gateway = &self.pinned.alerts;
        let believed = group.open_if(body, |bytes| {
            let alert = UnverifiedAlert::decode(bytes)
                .map_err(|_| Fault::PeerMalformed(Opcode::EncMsg))?
                .verify(gateway)?;
            // A member could seal somebody's private alert for the whole group; its signature says it is not for it.
            if alert.audience() != Audience::Ward {
                return Err(Fault::PeerLimit("only alerts for the ward travel under the group key"));
            }
            Ok(alert)
        });
        let (event, life) = match believed {
            Ok((epoch, alert)) => (Event::Alert { alert, epoch: Some(epoch) }, Life::Sign),
            Err(fault) => (Event::AlertRefused(fault), Life::Unknown),
        };
        self.events.push_back(event);
        life
    }

    /// Says something in an established session; nothing is sent in any other state.
    ///
    /// # Errors
    /// [`Fault::LocalSessionSpent`] if it cannot be sealed, [`Fault::LocalTooLong`] if it is too long.
    pub fn say(&mut self, message: &FromClient<'_>, now: Now) -> Result<(), Fault> {
        let (opcode, body) = message.encode();
        self.send_record(opcode, &body, now)
    }

    /// Seals any bytes as a record, as a peer may that holds the session's keys and keeps no other rule.
    ///
    /// # Errors
    /// As [`Self::say`].
    #[cfg(feature = "testkit")]
    pub fn say_bytes(&mut self, opcode: Opcode, body: &[u8], now: Now) -> Result<(), Fault> {
        self.send_record(opcode, body, now)
    }

    fn send_record(&mut self, opcode: Opcode, body: &[u8], now: Now) -> Result<(), Fault> {
        if let State::Established { session, .. } = &mut self.state {
            let record = session.seal(opcode, body, now)?;
            self.link.send(record, now);
        }
        Ok(())
    }

    /// Bytes that wait for the rest of their frame, or for an answer that is being worked on.
    #[cfg(feature = "testkit")]
    #[must_use]
    pub const fn buffered(&self) -> usize {
        self.link.reader.buffered()
    }

    /// Ends an established session on purpose.
    pub fn disconnect(&mut self, farewell: Farewell, now: Now) {
        let said = self.say(&FromClient::Disconnect(farewell), now);
        self.state = State::Closed;
        self.events.extend(said.err().map(Event::Closed));
    }

    fn close(&mut self, fault: Fault) {
        self.state = State::Closed;
        self.events.push_back(Event::Closed(fault));
    }

    /// Whether a session is established.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        matches!(self.state, State::Established { .. })
    }

    /// Whether the conversation is over.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// When [`Self::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        match &self.state {
            State::Closed => None,
            State::Established { session, .. } => {
                Some(self.link.heartbeat_due().min(self.link.silence_due()).min(session.expires()))
            }
            _ => Some(self.link.last_heard + LOGIN_LIMIT),
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Now) {
        match &self.state {
            State::Closed => {}
            State::Established { session, .. } => {
                if now.mono >= self.link.silence_due() {
                    self.close(Fault::PeerSilent(SILENCE_LIMIT));
                } else if now.mono >= session.expires() {
                    self.disconnect(Farewell::Spent, now);
                    self.events.push_back(Event::Disconnected(Farewell::Spent));
                } else if now.mono >= self.link.heartbeat_due()
                    && let Err(fault) = self.say(&FromClient::Heartbeat, now)
                {
                    self.close(fault);
                }
            }
            _ if now.mono >= self.link.last_heard + LOGIN_LIMIT => self.close(Fault::PeerSlow),
            _ => {}
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next bytes for the gateway.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.link.outgoing.pop_front()
    }
}

/// What an ERROR frame says; one that cannot be read says that the sides do not understand each other.
pub(super) fn refusal(frame: &Frame) -> Refusal {
    codec::decode(&frame.body).unwrap_or(Refusal::Protocol)
}
