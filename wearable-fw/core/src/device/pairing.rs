//! Pairing: a code tried in an open window, a grant kept as pending, and what follows if it does not come to that.

use alloc::{
    boxed::Box,
    string::{String, ToString},
};
use core::time::Duration;

use crypto::identity::SigningKey;
use protocol::{
    credential::{ClientKind, LoginKey},
    endpoint::pairing::{Outcome, PairingEndpoint},
    error::{Fault, Refusal},
    handshake::Channel,
    id::ClientId,
    pairing::{
        code::PairingCode,
        initiator::{Candidate, Granted},
    },
    time::Monotonic,
};
use rand_core::CryptoRng;

use super::{CODE_INTERVAL, Device, Event, binding::Binding, line::State, refusal};
use crate::{flash::Flash, mode::Input, proximity::Proximity};

/// How long a granted binding may take to prove itself.
pub const VALIDATION_LIMIT: Duration = Duration::from_secs(600);

impl<F: Flash, P: Proximity, R: CryptoRng> Device<F, P, R> {
    pub(super) fn pair(&mut self, now: Monotonic) {
        let near = self.proximity.poll_code();
        let Some(window) = &mut self.window else { return };
        if let Some(code) = near {
            window.enter(code);
        }
        let candidate = Candidate {
            kind: ClientKind::Wearable,
            wanted: Some(ClientId::Wearable(self.setup.id)),
            name: Some(self.setup.name.clone()),
            login: LoginKey::Ed25519(SigningKey::generate(&mut self.rng)),
            receipts: None,
        };
        let (code, time) = (window.code(), self.clock.now(now));
        let endpoint = PairingEndpoint::start(candidate, code, Channel::Plain, time, &mut self.rng);
        self.line.state = State::Pairing { endpoint: Box::new(endpoint), code, frames: 0 };
    }

    pub(super) fn handle_outcome(&mut self, outcome: Outcome, code: PairingCode, now: Monotonic) {
        let Some(window) = &mut self.window else { return self.leave(now) };
        let refused = match outcome {
            Ok(granted) => return self.handle_grant(granted, now),
            // The person is still on the way with the code.
            Err(Fault::Refused(Refusal::CodeUnknown)) if !window.forget(code) => None,
            Err(Fault::Refused(Refusal::CodeUnknown)) => Some(refusal::CODE_NOT_OPEN.into()),
            Err(Fault::Refused(Refusal::CodeWrong { .. }) | Fault::DeniedGateway) => {
                window.forget(code);
                Some(refusal::OTHER_CODE.into())
            }
            Err(Fault::PeerFrame(_)) => Some(refusal::NO_WEARABLES_PORT.into()),
            Err(fault @ (Fault::Refused(Refusal::Busy | Refusal::Storage) | Fault::PeerSlow)) => {
                self.events.tell(Event::Disconnected(fault.to_string()));
                None
            }
            Err(fault) => Some(fault.to_string()),
        };
        self.end_try(refused, now);
    }

    /// A try ended without a grant. It counts if the other end, whoever that is, could test a guess.
    pub(super) fn end_try(&mut self, refused: Option<String>, now: Monotonic) {
        let could_guess = matches!(self.line.state, State::Pairing { frames: 2.., .. });
        self.leave(now + CODE_INTERVAL);
        if let Some(why) = refused
            && self.line.refusal.as_deref() != Some(&why)
        {
            self.events.tell(Event::Refused(why.clone()));
            self.line.refusal = Some(why);
        }
        if let Some(window) = &mut self.window {
            window.tries_left = window.tries_left.saturating_sub(could_guess.into());
            if window.is_over(now) {
                self.fail(refusal::WINDOW_OVER, now);
            }
        }
    }

    /// Written down as pending, then proved by a login on the same connection. A gateway that counts this device as
    /// paired must find it so, whatever happens in between.
    fn handle_grant(&mut self, granted: Granted, now: Monotonic) {
        let (doctor, gateway) = (granted.gateway.doctor.clone(), granted.gateway.gateway);
        let before = self.configuration.pending.replace(Binding::from(granted));
        if !self.try_commit() {
            self.configuration.pending = before;
            return self.fail(refusal::NOT_KEPT, now);
        }
        self.window = None;
        self.ticket = None;
        self.line.refusal = None;
        self.change(Input::Granted);
        self.events.tell(Event::Granted { doctor, gateway });
        self.line.validating = now + VALIDATION_LIMIT;
        self.log_in(now);
    }

    /// No new binding: the old one goes on, if there is one. A pending one stays on flash and is tried again at the next
    /// start, or when a person says so.
    pub(super) fn fail(&mut self, why: &str, now: Monotonic) {
        self.window = None;
        self.leave(now);
        self.refuse(why);
        self.line.refusal = Some(why.into());
        let is_bound = self.configuration.bound.is_some();
        self.change(if is_bound { Input::FellBack } else { Input::Failed });
        self.line.try_at(now);
    }

    pub(super) fn validate_again(&mut self, now: Monotonic) {
        self.line.validating = now + VALIDATION_LIMIT;
        self.change(Input::Retry);
        self.line.try_at(now);
    }
}
