//! The gateway's end of a connection. It decides nothing that needs a roster, a store or much computing: it hands out
//! [`Work`] with the state inside and waits until the caller brings the outcome back by [`GatewayEndpoint::proceed`] or
//! [`GatewayEndpoint::refuse`]. While work is out, no further frame is looked at.

use alloc::{collections::VecDeque, vec::Vec};

use super::{LOGIN_LIMIT, Link, SILENCE_LIMIT};
use crate::{
    alert::UnverifiedReceipt,
    codec,
    credential::ClientKind,
    error::Fault,
    firmware::{FirmwareRequest, FirmwareStatus},
    frame::{self, Frame},
    handshake::{
        Channel,
        responder::{AwaitProof, ClaimedProof, Login},
        resume::Resumption,
    },
    message::{Farewell, FromGateway, ToGateway},
    opcode::Opcode,
    pairing::responder::{AwaitEnrol, Enrolment, Pairing},
    session::Session,
    status::DeviceStatus,
    time::{Monotonic, Now},
    vitals::VitalsBatch,
    waveform::Waveform,
};

/// A step that the caller carries out.
#[derive(Debug)]
pub enum Work {
    /// Look for a replay, then [`Login::answer`].
    Login(Login),
    /// Look the client up, then [`ClaimedProof::verify`].
    Proof(ClaimedProof),
    /// Look the token up, [`Resumption::verify`], consume it, then answer.
    Resume(Resumption),
    /// Spend a guess, then [`Pairing::answer`].
    Pair(Pairing),
    /// Keep the binding as pending, then [`Enrolment::grant`].
    Enrol(Enrolment),
}

/// What the endpoint waits for after a step.
#[derive(Debug)]
pub enum Next {
    /// After a [`Login`].
    Proof(AwaitProof),
    /// After a [`Pairing`].
    Enrol(AwaitEnrol),
    /// After a grant: the full login with the new keys.
    Login,
    /// After a proof or a resumption.
    Session(Session),
}

/// What happened on the connection.
#[derive(Debug)]
pub enum Event {
    /// A step for the caller.
    Work(Work),
    /// Samples, opened, in order, within limits. Commit them, then send the acknowledgement.
    Vitals(VitalsBatch),
    /// A wearable told about itself.
    Status(DeviceStatus),
    /// Samples of a signal that was asked for.
    Waveform(Waveform),
    /// A wearable wants a piece of an image.
    FirmwareRequest(FirmwareRequest),
    /// How far a wearable is with an image.
    FirmwareStatus(FirmwareStatus),
    /// A receipt; verify it with the patient's key.
    Receipt(UnverifiedReceipt),
    /// The client ended the session on purpose.
    Disconnected(Farewell),
    /// The conversation is over because of this. Send what is left to transmit, then close.
    Closed(Fault),
}

#[derive(Debug)]
enum State {
    AwaitFirst,
    AwaitHello,
    AwaitProof(AwaitProof),
    AwaitEnrol(AwaitEnrol),
    Working,
    Established(Session),
    Closed,
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::AwaitFirst => "waiting for HELLO, RESUME or PAIR_START",
            Self::AwaitHello => "waiting for HELLO",
            Self::AwaitProof(_) => "waiting for KEY_VERIFICATION",
            Self::AwaitEnrol(_) => "waiting for PAIR_ENROL",
            Self::Working => "working on a login",
            Self::Established(_) => "in session",
            Self::Closed => "closed",
        }
    }
}

/// One connection as the gateway sees it.
#[derive(Debug)]
pub struct GatewayEndpoint {
    kind: ClientKind,
    channel: Channel,
    link: Link,
    state: State,
    events: VecDeque<Event>,
}

impl GatewayEndpoint {
    /// A fresh connection on the port for clients of this kind.
    #[must_use]
    pub const fn new(kind: ClientKind, channel: Channel, now: Now) -> Self {
        Self { kind, channel, link: Link::new(now), state: State::AwaitFirst, events: VecDeque::new() }
    }

    /// Takes bytes from the client.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Now) {
        if matches!(self.state, State::Closed) {
            return;
        }
        self.link.reader.push(bytes);
        self.read_frames(now);
    }

    fn read_frames(&mut self, now: Now) {
        while !matches!(self.state, State::Working | State::Closed) {
            match self.link.reader.next_frame() {
                Ok(Some(frame)) => {
                    if let Err(fault) = self.handle_frame(frame, now) {
                        self.refuse(fault, now);
                    }
                }
                Ok(None) => return,
                Err(fault) => return self.refuse(fault.into(), now),
            }
        }
        // A client that talks on while work is out may fill the buffer only so far.
        if self.link.reader.buffered() > frame::MAX_BODY + frame::HEADER_LEN {
            self.refuse(Fault::PeerLimit("frames sent ahead of an answer"), now);
        }
    }

    fn handle_frame(&mut self, frame: Frame, now: Now) -> Result<(), Fault> {
        let state = self.state.name();
        match (core::mem::replace(&mut self.state, State::Working), frame.opcode) {
            (State::Established(mut session), _) => {
                let opened = session.open(&frame, now);
                self.state = State::Established(session);
                if let Some(plaintext) = opened? {
                    self.handle_message(ToGateway::decode(frame.opcode, &plaintext)?)?;
                }
                self.link.heard(now);
                return Ok(());
            }
            (State::AwaitFirst | State::AwaitHello, Opcode::Hello) => {
                let login = Login::parse(frame.body, self.kind, self.channel)?;
                self.events.push_back(Event::Work(Work::Login(login)));
            }
            (State::AwaitFirst, Opcode::Resume) => {
                let resumption = Resumption::parse(frame.body, self.kind, self.channel)?;
                self.events.push_back(Event::Work(Work::Resume(resumption)));
            }
            (State::AwaitFirst, Opcode::PairStart) => {
                let pairing = Pairing::parse(frame.body, self.kind, self.channel)?;
                self.events.push_back(Event::Work(Work::Pair(pairing)));
            }
            (State::AwaitProof(expected), Opcode::KeyVerification) => {
                self.events.push_back(Event::Work(Work::Proof(expected.open(frame.body)?)));
            }
            (State::AwaitEnrol(expected), Opcode::PairEnrol) => {
                self.events.push_back(Event::Work(Work::Enrol(expected.open(&frame.body)?)));
            }
            (_, opcode) => return Err(Fault::PeerOutOfOrder { opcode, state }),
        }
        Ok(())
    }

    fn handle_message(&mut self, message: ToGateway) -> Result<(), Fault> {
        let out_of_place =
            |opcode| Fault::PeerOutOfOrder { opcode, state: "in session with another kind of client" };
        let event = match (message, self.kind) {
            (ToGateway::Heartbeat, _) => return Ok(()),
            (ToGateway::Vitals(batch), ClientKind::Wearable) => Event::Vitals(batch.verify()?),
            (ToGateway::Vitals(_), _) => return Err(out_of_place(Opcode::Vitals)),
            (ToGateway::Status(status), ClientKind::Wearable) => Event::Status(status),
            (ToGateway::Status(_), _) => return Err(out_of_place(Opcode::DeviceStatus)),
            (ToGateway::Waveform(waveform), ClientKind::Wearable) => Event::Waveform(waveform),
            (ToGateway::Waveform(_), _) => return Err(out_of_place(Opcode::Waveform)),
            (ToGateway::FirmwareRequest(request), ClientKind::Wearable) => Event::FirmwareRequest(request),
            (ToGateway::FirmwareRequest(_), _) => return Err(out_of_place(Opcode::FirmwareRequest)),
            (ToGateway::FirmwareStatus(status), ClientKind::Wearable) => Event::FirmwareStatus(status),
            (ToGateway::FirmwareStatus(_), _) => return Err(out_of_place(Opcode::FirmwareStatus)),
            (ToGateway::Receipt(receipt), ClientKind::Patient) => Event::Receipt(receipt),
            (ToGateway::Receipt(_), _) => return Err(out_of_place(Opcode::DecMsg)),
            (ToGateway::Disconnect(farewell), _) => {
                self.state = State::Closed;
                Event::Disconnected(farewell)
            }
        };
        self.events.push_back(event);
        Ok(())
    }

    /// Brings work back: what to wait for now, and the frame that answers the client.
    pub fn proceed(&mut self, next: Next, frame: Vec<u8>, now: Now) {
        if !matches!(self.state, State::Working) {
            return;
        }
        self.link.send(frame, now);
        // The time that the work took is not the client's.
        self.link.heard(now);
        self.state = match next {
            Next::Proof(state) => State::AwaitProof(state),
            Next::Enrol(state) => State::AwaitEnrol(state),
            Next::Login => State::AwaitHello,
            Next::Session(session) => {
                self.link.allow_large_frames();
                State::Established(session)
            }
        };
        self.read_frames(now);
    }

    /// Ends the conversation for this reason; the peer is told what it may know. A token that cannot be used is the
    /// exception: the client may go on with a full login.
    pub fn refuse(&mut self, fault: Fault, now: Now) {
        if matches!(self.state, State::Closed) {
            return;
        }
        if let (Some(refusal), false) = (fault.refusal(), self.is_established()) {
            self.link.send(frame::encode(Opcode::Error, &codec::encode(&refusal)), now);
        }
        // Once: a connection is not for trying tokens.
        if fault == Fault::DeniedToken && matches!(self.state, State::Working) {
            self.link.heard(now);
            self.state = State::AwaitHello;
            return self.read_frames(now);
        }
        self.state = State::Closed;
        self.events.push_back(Event::Closed(fault));
    }

    /// Says something in an established session; nothing is sent in any other state.
    ///
    /// # Errors
    /// [`Fault::LocalSessionSpent`] if it cannot be sealed, [`Fault::LocalTooLong`] if it is too long.
    pub fn say(&mut self, message: &FromGateway<'_>, now: Now) -> Result<(), Fault> {
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
        if let State::Established(session) = &mut self.state {
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
        let said = self.say(&FromGateway::Disconnect(farewell), now);
        self.state = State::Closed;
        self.events.extend(said.err().map(Event::Closed));
    }

    /// Whether a session is established.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        matches!(self.state, State::Established(_))
    }

    /// Whether the conversation is over.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Takes note that bytes which this endpoint did not make (a broadcast) were sent.
    pub const fn note_sent(&mut self, now: Now) {
        self.link.last_sent = now.mono;
    }

    /// When [`Self::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        match &self.state {
            State::Closed | State::Working => None,
            State::Established(session) => {
                Some(self.link.heartbeat_due().min(self.link.silence_due()).min(session.expires()))
            }
            _ => Some(self.link.last_heard + LOGIN_LIMIT),
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Now) {
        match &self.state {
            State::Closed | State::Working => {}
            State::Established(session) => {
                if now.mono >= self.link.silence_due() {
                    return self.refuse(Fault::PeerSilent(SILENCE_LIMIT), now);
                }
                if now.mono >= session.expires() {
                    self.disconnect(Farewell::Spent, now);
                    return self.events.push_back(Event::Closed(Fault::LocalSessionSpent));
                }
                if now.mono >= self.link.heartbeat_due()
                    && let Err(fault) = self.say(&FromGateway::Heartbeat(now.wall), now)
                {
                    self.refuse(fault, now);
                }
            }
            _ if now.mono >= self.link.last_heard + LOGIN_LIMIT => self.refuse(Fault::PeerSlow, now),
            _ => {}
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next bytes for the client.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.link.outgoing.pop_front()
    }
}
