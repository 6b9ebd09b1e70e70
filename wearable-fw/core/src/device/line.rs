//! The one connection that a device has, is about to have, or waits for: a [pairing](super::pairing), then a login, then a
//! session.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};

use protocol::{
    backoff::Backoff,
    credential::Suite,
    endpoint::{
        client::{self, ClientEndpoint},
        pairing::PairingEndpoint,
    },
    error::{Fault, Refusal},
    handshake::{Channel, Terms},
    id::SessionId,
    message::{Farewell, FromClient},
    pairing::code::PairingCode,
    time::{Monotonic, UnixMillis},
};
use rand_core::CryptoRng;

use super::{CODE_INTERVAL, Device, Event, VALIDATION_LIMIT, binding::Binding, is_connecting, refusal};
use crate::{
    flash::Flash,
    mode::{Input, Mode},
    proximity::Proximity,
};

/// What a device wants of whoever carries its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkWish {
    /// Nothing new.
    Nothing,
    /// A connection to the gateway. Answer with [`Device::handle_connected`], or [`Device::handle_closed`] if there is
    /// none.
    Dial,
    /// Send what [`Device::poll_transmit`] still gives, then drop the connection; nothing need be answered.
    HangUp,
}

#[derive(Debug)]
pub(super) enum State {
    /// The next try.
    Waiting(Monotonic),
    /// Whoever carries the bytes is at it.
    Dialing,
    Pairing {
        endpoint: Box<PairingEndpoint>,
        /// The code that it tries.
        code: PairingCode,
        /// How many were sent; the second one tells enough to test a guess of the code.
        frames: u8,
    },
    /// A login or a session.
    Session(Box<ClientEndpoint>),
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) state: State,
    hang_up: bool,
    backoff: Backoff,
    pub(super) refusal: Option<String>,
    /// Until when the pending binding may prove itself.
    pub(super) validating: Monotonic,
}

impl Line {
    pub(super) fn new(now: Monotonic) -> Self {
        Self {
            state: State::Waiting(now),
            hang_up: false,
            backoff: Backoff::default(),
            refusal: None,
            validating: now + VALIDATION_LIMIT,
        }
    }

    pub(super) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// The next try is then, if none is under way.
    pub(super) fn try_at(&mut self, at: Monotonic) {
        if let State::Waiting(next) = &mut self.state {
            *next = at;
            self.backoff.reset();
        }
    }

    pub(super) fn session(&mut self) -> Option<&mut ClientEndpoint> {
        match &mut self.state {
            State::Session(endpoint) if endpoint.is_established() => Some(endpoint),
            _ => None,
        }
    }

    pub(super) fn is_established(&self) -> bool {
        matches!(&self.state, State::Session(endpoint) if endpoint.is_established())
    }
}

impl<F: Flash, P: Proximity, R: CryptoRng> Device<F, P, R> {
    /// What to do about the connection.
    pub fn poll_link(&mut self, now: Monotonic) -> LinkWish {
        if core::mem::take(&mut self.line.hang_up) {
            return LinkWish::HangUp;
        }
        match self.line.state {
            State::Waiting(at) if now >= at && is_connecting(self.mode) => {
                self.line.state = State::Dialing;
                self.change(Input::Dialing);
                LinkWish::Dial
            }
            _ => LinkWish::Nothing,
        }
    }

    /// There is a connection, as asked for.
    pub fn handle_connected(&mut self, now: Monotonic) {
        match self.line.state {
            State::Dialing if is_connecting(self.mode) => {}
            State::Dialing | State::Waiting(_) => {
                self.line.state = State::Waiting(now);
                self.line.hang_up = true;
                return;
            }
            State::Pairing { .. } | State::Session(_) => return,
        }
        self.outbox.clear();
        if self.window.is_some() {
            self.pair(now);
        } else {
            self.log_in(now);
        }
        self.pump(now);
    }

    /// Bytes from whoever is at the other end.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Monotonic) {
        let time = self.clock.now(now);
        match &mut self.line.state {
            State::Pairing { endpoint, .. } => endpoint.handle_bytes(bytes, time, &mut self.rng),
            State::Session(endpoint) => endpoint.handle_bytes(bytes, time, &mut self.rng),
            State::Waiting(_) | State::Dialing => return,
        }
        self.pump(now);
        self.transmit(now);
    }

    /// The connection is gone, or there is none.
    pub fn handle_closed(&mut self, now: Monotonic) {
        match self.line.state {
            State::Waiting(_) => {}
            State::Dialing => {
                self.line.state = State::Waiting(now);
                self.lose(refusal::NOBODY_ANSWERS.into(), now);
            }
            State::Pairing { .. } => {
                self.events.tell(Event::Disconnected(refusal::CLOSED.into()));
                self.end_try(None, now);
            }
            State::Session(_) => self.lose(refusal::CLOSED.into(), now),
        }
        self.line.hang_up = false;
    }

    /// The next bytes for the connection.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.drain();
        self.outbox.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        let connection = match &self.line.state {
            State::Waiting(at) => Some(*at).filter(|_| is_connecting(self.mode)),
            State::Dialing => None,
            State::Pairing { endpoint, .. } => endpoint.poll_timeout(),
            State::Session(endpoint) => endpoint.poll_timeout(),
        };
        let upload = self.upload.filter(|_| self.line.is_established());
        let validating = Some(self.line.validating).filter(|_| self.mode == Mode::Validating);
        let window = self.window.as_ref().map(|window| window.until);
        let (person, trial) = (self.controls.poll_timeout(), self.updates.poll_timeout());
        let all = [connection, upload, validating, window, person, trial];
        all.into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Monotonic) {
        if self.controls.handle_timeout(now) {
            self.events.tell(Event::ResetAsked);
        }
        if self.updates.handle_timeout(now) {
            self.events.tell(Event::Restart);
        }
        let time = self.clock.now(now);
        match &mut self.line.state {
            State::Pairing { endpoint, .. } => endpoint.handle_timeout(time),
            State::Session(endpoint) if endpoint.poll_timeout().is_some_and(|due| now >= due) => {
                endpoint.handle_timeout(time);
            }
            _ => {}
        }
        self.pump(now);
        if self.window.as_ref().is_some_and(|window| window.is_over(now)) {
            self.fail(refusal::WINDOW_OVER, now);
        }
        if self.mode == Mode::Validating && now >= self.line.validating {
            self.fail(refusal::NOT_VALIDATED, now);
        }
        self.say_change(now);
        self.transmit(now);
    }

    /// Ends the session politely, before the board is switched off.
    pub fn shut_down(&mut self, now: Monotonic) {
        self.part(now);
    }

    pub(super) fn part(&mut self, now: Monotonic) {
        let time = self.clock.now(now);
        if let Some(endpoint) = self.line.session() {
            endpoint.disconnect(Farewell::Shutdown, time);
        }
        self.leave(now);
    }

    /// Leaves the connection; what was said still goes out. The next try is then. A dial under way goes on.
    pub(super) fn leave(&mut self, next: Monotonic) {
        self.drain();
        self.waveforms.stop();
        match &mut self.line.state {
            State::Waiting(at) => *at = next,
            State::Dialing => {}
            State::Pairing { .. } | State::Session(_) => {
                self.line.state = State::Waiting(next);
                self.line.hang_up = true;
            }
        }
    }

    pub(super) fn drain(&mut self) {
        match &mut self.line.state {
            State::Pairing { endpoint, frames, .. } => {
                while let Some(bytes) = endpoint.poll_transmit() {
                    *frames = frames.saturating_add(1);
                    self.outbox.push_back(bytes);
                }
            }
            State::Session(endpoint) => self.outbox.extend(core::iter::from_fn(|| endpoint.poll_transmit())),
            State::Waiting(_) | State::Dialing => {}
        }
    }

    /// Takes what the endpoint has to tell, until it has nothing more.
    pub(super) fn pump(&mut self, now: Monotonic) {
        loop {
            self.drain();
            match &mut self.line.state {
                State::Pairing { endpoint, code, .. } => match (endpoint.poll_outcome(), *code) {
                    (Some(outcome), code) => self.handle_outcome(outcome, code, now),
                    (None, _) => return,
                },
                State::Session(endpoint) => match endpoint.poll_event() {
                    Some(event) => self.handle_event(event, now),
                    None => return,
                },
                State::Waiting(_) | State::Dialing => return,
            }
        }
    }

    pub(super) fn log_in(&mut self, now: Monotonic) {
        let configuration = &self.configuration;
        let is_new = self.mode == Mode::Validating;
        let binding = if is_new { &configuration.pending } else { &configuration.bound };
        let Some(binding) = binding else { return self.leave(now) };
        let endpoint = ClientEndpoint::connect(
            binding.identity(self.setup.id),
            binding.gateway.clone(),
            self.ticket.take(),
            Terms { suites: self.setup.suites.clone(), channel: Channel::Plain, clock: self.clock.flag() },
            self.clock.now(now),
            &mut self.rng,
        );
        match endpoint {
            Ok(endpoint) => self.line.state = State::Session(Box::new(endpoint)),
            Err(fault) => self.lose(fault.to_string(), now),
        }
    }

    fn handle_event(&mut self, event: client::Event, now: Monotonic) {
        match event {
            client::Event::Established { session, suite, resumed, gateway_time } => {
                if self.settle(gateway_time, now) {
                    self.begin_session(session, suite, resumed, now);
                }
            }
            client::Event::Ticket { ticket, .. } => self.ticket = Some(ticket),
            client::Event::GatewayTime(time) => self.learn(time, now),
            client::Event::VitalsAcked(seq) => self.handle_acknowledgement(seq, now),
            client::Event::Instruction(instruction) => self.obey(&instruction, now),
            client::Event::Disconnected(Farewell::Revoked) => self.handle_revocation(now),
            client::Event::Disconnected(farewell) => self.lose(farewell.to_string(), now),
            client::Event::Closed(fault) => self.handle_fault(&fault, now),
            // A wearable is no member of the group and is sent no alerts.
            client::Event::GroupKey(_) | client::Event::Alert { .. } | client::Event::AlertRefused(_) => {}
        }
    }

    /// The binding that logged in is the binding; whatever else there was is gone. False: it could not be kept.
    fn settle(&mut self, gateway_time: UnixMillis, now: Monotonic) -> bool {
        if self.mode == Mode::Validating {
            self.clock.forget();
            self.configuration.floor = None;
        }
        self.learn(gateway_time, now);
        if self.mode != Mode::Validating {
            // The old one works, and the new one was given up.
            if self.configuration.pending.take().is_some() {
                self.try_commit();
            }
            self.change(Input::Established);
            return true;
        }
        let pending = self.configuration.pending.take();
        let gateway = |binding: &Option<Binding>| binding.as_ref().map(|binding| binding.gateway.gateway);
        // First, so that a gateway is never told of a batch that only the one before it knows.
        if gateway(&pending) != gateway(&self.configuration.bound)
            && let Err(error) = self.uplink.begin_chain(&mut self.flash)
        {
            self.events.tell(Event::Storage(error.to_string()));
        }
        let before = core::mem::replace(&mut self.configuration.bound, pending);
        if !self.try_commit() {
            self.configuration.pending = core::mem::replace(&mut self.configuration.bound, before);
            self.lose(refusal::NOT_KEPT.into(), now);
            return false;
        }
        self.change(Input::Validated);
        if let Some(bound) = &self.configuration.bound {
            let (doctor, gateway) = (bound.gateway.doctor.clone(), bound.gateway.gateway);
            self.events.tell(Event::Bound { doctor, gateway });
        }
        true
    }

    fn begin_session(&mut self, session: SessionId, suite: Suite, resumed: bool, now: Monotonic) {
        self.line.backoff.reset();
        self.line.refusal = None;
        self.status.begin_session();
        self.uplink.reconnected();
        self.upload = None;
        if let Some(bound) = &self.configuration.bound {
            let doctor = bound.gateway.doctor.clone();
            self.events.tell(Event::Session { session, suite, resumed, doctor });
        }
        self.say_status(now);
        self.confirm_image(now);
        self.transmit(now);
    }

    fn learn(&mut self, said: UnixMillis, now: Monotonic) {
        if let Err(refused) = self.clock.learn(said, now) {
            return self.refuse(&refused.to_string());
        }
        if let Some(floor) = self.clock.floor_to_keep(now) {
            self.clock.keep_floor(floor);
            self.configuration.floor = Some(floor);
            self.try_commit();
        }
    }

    fn handle_revocation(&mut self, now: Monotonic) {
        self.configuration.bound = None;
        self.configuration.pending = None;
        self.try_commit();
        self.ticket = None;
        self.leave(now);
        self.change(Input::Revoked);
        self.refuse(refusal::REVOKED);
        self.line.refusal = Some(refusal::REVOKED.into());
    }

    /// None of these is proved to come from the pinned gateway; so none ends the binding or changes the clock.
    fn handle_fault(&mut self, fault: &Fault, now: Monotonic) {
        match fault {
            Fault::Refused(refusal @ (Refusal::Busy | Refusal::Storage)) => {
                self.lose(refusal.to_string(), now);
            }
            Fault::DeniedGateway => self.hold_back(refusal::OTHER_GATEWAY.into(), now),
            Fault::Refused(refusal) => {
                if matches!(refusal, Refusal::Clock { .. }) {
                    self.clock.doubt();
                }
                self.hold_back(refusal::sentence(refusal, self.clock.wall(now)), now);
            }
            fault => self.lose(fault.to_string(), now),
        }
    }

    /// Tries again, slowly: whoever refused may not be the gateway, and if it is, only a person can help.
    fn hold_back(&mut self, sentence: String, now: Monotonic) {
        self.leave(now + self.setup.refused_wait);
        self.change(Input::Lost);
        self.line.refusal = Some(sentence.clone());
        self.events.tell(Event::Refused(sentence));
    }

    /// Tries again later. While somebody waits with a code in hand, soon.
    fn lose(&mut self, reason: String, now: Monotonic) {
        let wait = self.line.backoff.wait(&mut self.rng);
        let wait = if self.window.is_some() { wait.min(CODE_INTERVAL) } else { wait };
        self.leave(now + wait);
        self.change(Input::Lost);
        self.line.refusal = None;
        self.events.tell(Event::Disconnected(reason));
    }

    /// Says something in the session, if there is one.
    pub(super) fn say(&mut self, message: &FromClient<'_>, now: Monotonic) {
        let time = self.clock.now(now);
        if let Some(endpoint) = self.line.session()
            && let Err(fault) = endpoint.say(message, time)
        {
            self.lose(fault.to_string(), now);
        }
    }
}
