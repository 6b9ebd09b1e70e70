//! Whom the simulated gateway lets in: pairing, login, resumption, and what a new session begins with.

use alloc::vec::Vec;

use crypto::{Secret, purpose};
use rand_chacha::ChaCha20Rng;

use super::{
    super::ConnId,
    CLOCK_TOLERANCE, SimGateway, random,
    store::{Bed, TokenRow},
};
use crate::{
    credential::Suite,
    endpoint::gateway::{Next, Work},
    error::Fault,
    handshake::{
        Established,
        resume::{ResumeRecord, TOKEN_LIFETIME, token_hash},
    },
    id::{ClientId, KeyId, SessionId},
    message::{Farewell, FromGateway},
    time::Now,
};

impl SimGateway {
    pub(super) fn carry_out(&mut self, work: Work, now: Now, rng: &mut ChaCha20Rng) -> Result<Done, Fault> {
        let running = self.running.as_mut().ok_or(Fault::LocalStorage)?;
        match work {
            Work::Login(login) => {
                if running.replay.contains(&login.fingerprint()) {
                    return Err(Fault::DeniedReplay);
                }
                let (state, frame) = login.answer(&self.identity, CLOCK_TOLERANCE, now, rng)?;
                Ok(Done::step(Next::Proof(state), frame))
            }
            Work::Proof(claimed) => {
                let client = claimed.client().clone();
                let pending = self.store.pending.get(&client).filter(|p| p.login.key_id() == claimed.key());
                let is_first = pending.is_some();
                let pinned =
                    pending.or_else(|| self.store.roster.get(&client).map(|bed| &bed.pinned)).cloned();
                let fingerprint = claimed.fingerprint();
                let (established, frame) = claimed.verify(pinned.as_ref(), now)?;
                if !running.replay.insert(fingerprint, now.mono) {
                    return Err(Fault::DeniedReplay);
                }
                if let (true, Some(pinned)) = (is_first, pinned) {
                    // Another computer from now on: the earlier one's session, tokens and membership end.
                    self.store.forget_tokens(&client);
                    self.end_session(&client, Farewell::Revoked, now);
                    self.store.pending.remove(&client);
                    self.store.roster.insert(client, Bed { pinned, since: now.wall });
                }
                Ok(Done::session(established, frame))
            }
            Work::Resume(resumption) => {
                let row =
                    self.store.tokens.get(&resumption.token_hash()).filter(|row| row.expires > now.wall);
                let record = row.map(|TokenRow { record, .. }| ResumeRecord {
                    client: record.client.clone(),
                    suite: record.suite,
                    key_id: record.key_id,
                    key: record.key.duplicate(),
                });
                let verified = resumption.verify(record, CLOCK_TOLERANCE, now)?;
                self.store.tokens.remove(&verified.token_hash());
                let bed = self.store.roster.get(verified.client());
                if bed.is_none_or(|bed| bed.pinned.login.key_id() != verified.key()) {
                    return Err(Fault::DeniedToken);
                }
                let (established, frame) = verified.answer(now, rng)?;
                Ok(Done::session(established, frame))
            }
            Work::Pair(pairing) => {
                let offer = self.store.offers.get_mut(&pairing.selector()).filter(|offer| {
                    offer.tries_left > 0 && offer.expires > now.wall && offer.client.kind() == pairing.kind()
                });
                let offer = offer.ok_or(Fault::DeniedCodeUnknown)?;
                offer.tries_left -= 1;
                let (state, frame) = pairing.answer(&offer.password, offer.tries_left, rng)?;
                Ok(Done::step(Next::Enrol(state), frame))
            }
            Work::Enrol(enrolment) => {
                let selector = enrolment.selector();
                let offer = self.store.offers.get(&selector).filter(|offer| offer.expires > now.wall);
                let offer = offer.ok_or(Fault::DeniedCodeUnknown)?;
                let binding = enrolment.binding(offer.client.clone())?;
                if let (Some(bed), false) = (self.store.roster.get(&binding.id), offer.replace) {
                    return Err(Fault::DeniedPairedElsewhere { since: bed.since, last_seen: None });
                }
                self.store.offers.remove(&selector);
                let client = binding.id.clone();
                self.store.pending.insert(client.clone(), binding);
                let frame = enrolment.grant(client, &self.identity, self.network.clone(), rng)?;
                Ok(Done::step(Next::Login, frame))
            }
        }
    }

    pub(super) fn displace(&mut self, client: &ClientId, now: Now) {
        let Some(id) = self.connection_of(client) else { return };
        if let Some(line) = self.line(id) {
            line.endpoint.disconnect(Farewell::Displaced, now);
        }
        self.transmit(id);
        self.output.push((id, None));
        self.connection_lost(id, now);
    }

    pub(super) fn begin_session(
        &mut self,
        id: ConnId,
        client: &ClientId,
        keys: SessionSecrets,
        now: Now,
        rng: &mut ChaCha20Rng,
    ) {
        let SessionSecrets { session, suite, key_id, wrap, resume } = keys;
        let token = random(rng);
        let expires = now.wall + TOKEN_LIFETIME;
        // One token per client: an older one that was never spent would let a late RESUME displace this session.
        self.store.forget_tokens(client);
        let record = ResumeRecord { client: client.clone(), suite, key_id, key: resume };
        self.store.tokens.insert(token_hash(&token), TokenRow { record, expires });
        if let Some(line) = self.line(id) {
            line.session = Some((client.clone(), session));
        }
        self.say(id, &FromGateway::Token(token, expires), now);
        if let (ClientId::Patient(patient), Some(running)) = (client, &mut self.running) {
            running.lost.remove(patient);
            let rekeys = running.group.join(patient, session, wrap, now.mono, rng);
            self.store.last_generation = running.group.epoch().generation;
            self.distribute(&rekeys, now);
            self.catch_up(client, now);
        }
    }
}

/// The outcome of a step of work.
pub(super) struct Done {
    pub(super) next: Next,
    pub(super) frame: Vec<u8>,
    pub(super) established: Option<(ClientId, SessionSecrets)>,
}

pub(super) struct SessionSecrets {
    session: SessionId,
    suite: Suite,
    key_id: KeyId,
    wrap: Secret<purpose::WrapKey>,
    resume: Secret<purpose::ResumeKey>,
}

impl Done {
    const fn step(next: Next, frame: Vec<u8>) -> Self {
        Self { next, frame, established: None }
    }

    fn session(established: Established, frame: Vec<u8>) -> Self {
        let Established { client, session, suite, wrap, resume, key, .. } = established;
        let secrets = SessionSecrets { session: session.id(), suite, key_id: key, wrap, resume };
        Self { next: Next::Session(session), frame, established: Some((client, secrets)) }
    }
}
