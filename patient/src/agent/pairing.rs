//! Who this computer is: the stored identity, or a new one out of a pairing code. A pairing is stored before the
//! login that makes it count.

use host::{drive, entropy::system_rng};
use protocol::{
    credential::{ClientIdentity, ClientKind, LoginKey, PinnedGateway},
    endpoint::pairing::PairingEndpoint,
    error::{Fault, Refusal},
    id::ClientId,
    pairing::{code::PairingCode, initiator::Candidate},
};

use super::{Agent, AgentCommand, AgentError, AgentEvent, Halt, Member, off_thread};
use crate::{
    link::{self, Connection},
    store::{Binding, Store},
    trust::Trust,
    wording,
};

/// Why a try to pair came to nothing.
enum Failed {
    /// No answer, or none that says anything about the code: try again by itself.
    Again(String),
    /// The code does not work.
    Code(String),
}

/// What a gateway granted, on a connection that the login can go on with.
type Granted = (ClientIdentity, PinnedGateway, Connection);

impl Agent {
    /// The identity to work with; after a pairing also the connection on which to log in.
    pub(super) async fn identify(&mut self) -> Result<(Member, Option<Connection>), Halt> {
        let (place, id, pairing) = (self.place.clone(), self.config.id.clone(), self.config.code.is_some());
        let (store, binding) = off_thread(move || {
            let store = place.find(id.as_ref(), pairing)?;
            let binding = store.as_ref().map(Store::binding).transpose()?.flatten();
            Ok::<_, AgentError>((store, binding))
        })
        .await?;
        if let (Some(binding), Some(store)) = (&binding, &store) {
            self.check(binding, store)?;
        }
        match (store, binding) {
            (Some(store), Some(binding)) if self.config.code.is_none() => {
                let now = self.clock.now().wall;
                Ok((off_thread(move || Member::open(store, binding, now)).await?, None))
            }
            (store, binding) => Box::pin(self.pair(store, binding.as_ref())).await,
        }
    }

    /// Refuses an identity that is not the one asked for.
    fn check(&self, binding: &Binding, store: &Store) -> Result<(), AgentError> {
        let folder = store.path().display();
        if let Some(id) = self.config.id.as_ref().filter(|id| **id != binding.patient) {
            let said = format!(
                "{folder} belongs to {}, not to {id}. Leave --id out, or give another --data-dir.",
                binding.patient
            );
            return Err(AgentError::Another(said));
        }
        if binding.gateway.doctor != self.config.doctor {
            let said = format!(
                "{} on this computer is paired with {}'s gateway, not with {}'s. Check --doctor_id; for a second \
                 doctor give a --data-dir of its own and pair there.",
                binding.patient, binding.gateway.doctor, self.config.doctor
            );
            return Err(AgentError::Another(said));
        }
        Ok(())
    }

    async fn pair(
        &mut self,
        mut store: Option<Store>,
        earlier: Option<&Binding>,
    ) -> Result<(Member, Option<Connection>), Halt> {
        if store.is_none() && (self.config.code.is_some() || self.config.asks_for_code) {
            let place = self.place.clone();
            off_thread(move || place.prepare()).await?;
        }
        let mut code = self.config.code.take();
        let mut why = None;
        let (identity, gateway, connection) = loop {
            let given = match code.take() {
                Some(code) => code,
                None => self.ask_for_code(why.take()).await?,
            };
            match Box::pin(self.pair_once(given)).await? {
                Ok(granted) => break granted,
                Err(Failed::Again(reason)) => {
                    code = Some(given);
                    let retry = self.backoff.wait(&mut system_rng());
                    self.tell(AgentEvent::Waiting { reason, retry }).await;
                    self.unless_stopped(tokio::time::sleep(retry)).await?;
                }
                Err(Failed::Code(reason)) => {
                    let reason = match earlier {
                        Some(earlier) => format!(
                            "{reason} (This computer is already paired as {}: to log in, leave --pair out.)",
                            earlier.patient
                        ),
                        None => reason,
                    };
                    self.tell(AgentEvent::Refused { reason: reason.clone() }).await;
                    if !self.config.asks_for_code {
                        return Err(AgentError::Code(reason).into());
                    }
                    why = Some(reason);
                }
            }
        };
        self.backoff.reset();
        let binding = self.binding_of(identity, gateway, &connection, store.as_ref(), earlier)?;
        let (place, now, held) = (self.place.clone(), self.clock.now().wall, store.take());
        let wanted = self.config.doctor.clone();
        let member = off_thread(move || {
            let store = held.map_or_else(|| place.open(&binding.patient), Ok)?;
            if let Some(other) = store.binding()?.filter(|kept| kept.gateway.doctor != wanted) {
                let said = format!(
                    "{} on this computer is already paired with {}'s gateway. Give a --data-dir of its own for a \
                     second doctor.",
                    other.patient, other.gateway.doctor
                );
                return Err(AgentError::Another(said));
            }
            store.keep_binding(&binding)?;
            Ok(Member::open(store, binding, now)?)
        })
        .await?;
        let binding = &member.binding;
        self.tell(AgentEvent::Paired {
            patient: binding.patient.clone(),
            doctor: binding.gateway.doctor.clone(),
            gateway: binding.gateway.gateway,
            folder: member.store.path().to_owned(),
        })
        .await;
        Ok((member, Some(connection)))
    }

    /// One connection, one try. The outer error ends the agent.
    async fn pair_once(&mut self, code: PairingCode) -> Result<Result<Granted, Failed>, Halt> {
        self.tell(AgentEvent::Connecting { gateway: self.link.gateway.clone() }).await;
        let settings = self.link.clone();
        let dialled = self.unless_stopped(Box::pin(link::dial(&settings, Trust::Anyone))).await?;
        let Connection { stream, secured } = match dialled {
            Ok(connection) => connection,
            Err(error) => return Ok(Err(Failed::Again(wording::sentence(&error.to_string())))),
        };
        let mut rng = system_rng();
        let protocol = |fault: Fault| AgentError::Protocol(wording::sentence(&fault.to_string()));
        let candidate = Candidate {
            kind: ClientKind::Patient,
            wanted: self.config.id.clone().map(ClientId::Patient),
            name: None,
            login: LoginKey::generate(ClientKind::Patient, &mut rng).map_err(protocol)?,
            receipts: Some(crypto::identity::SigningKey::generate(&mut rng)),
        };
        let endpoint = PairingEndpoint::start(candidate, code, secured.channel, self.clock.now(), &mut rng);
        let clock = self.clock;
        let outcome = match self.unless_stopped(Box::pin(drive::pair(stream, endpoint, clock))).await? {
            Ok((stream, outcome)) => outcome.map(|granted| (stream, granted.identity, granted.gateway)),
            Err(error) => return Ok(Err(Failed::Again(super::connection_lost(&error)))),
        };
        match outcome {
            Ok((stream, identity, gateway)) => Ok(Ok((identity, gateway, Connection { stream, secured }))),
            Err(Fault::Refused(refused)) => self.refused(&refused).map(Err),
            Err(Fault::DeniedCodeForAnother) => {
                let said = wording::refusal(&Refusal::CodeForAnother, self.config.id.as_ref());
                Ok(Err(Failed::Code(said)))
            }
            Err(Fault::DeniedGateway) => {
                let address = &self.link.gateway;
                let said = format!(
                    "What answers at {address} does not know this code. Check the address and the code."
                );
                Ok(Err(Failed::Code(said)))
            }
            Err(fault) => Ok(Err(Failed::Again(wording::sentence(&fault.to_string())))),
        }
    }

    fn refused(&self, refused: &Refusal) -> Result<Failed, Halt> {
        let said = wording::refusal(refused, self.config.id.as_ref());
        match refused {
            Refusal::Version { .. }
            | Refusal::Suite
            | Refusal::NotPostQuantum
            | Refusal::Protocol
            | Refusal::OtherGateway => Err(AgentError::Protocol(said).into()),
            Refusal::Busy | Refusal::Storage | Refusal::Clock { .. } | Refusal::Token => {
                Ok(Failed::Again(said))
            }
            Refusal::NotPaired
            | Refusal::CodeUnknown
            | Refusal::CodeWrong { .. }
            | Refusal::CodeForAnother
            | Refusal::PairedElsewhere { .. } => Ok(Failed::Code(said)),
        }
    }

    /// The grant as a binding, if it is for whom and from whom it should be.
    fn binding_of(
        &self,
        identity: ClientIdentity,
        gateway: PinnedGateway,
        connection: &Connection,
        store: Option<&Store>,
        earlier: Option<&Binding>,
    ) -> Result<Binding, AgentError> {
        let ClientId::Patient(patient) = identity.id.clone() else {
            return Err(AgentError::Protocol("The gateway took this computer for a wearable.".to_owned()));
        };
        if gateway.doctor != self.config.doctor {
            return Err(AgentError::Another(format!(
                "The gateway at {} belongs to {}, not to {}. Nothing was stored. Check --doctor_id and the address, \
                 then ask the clinic for a new code.",
                self.link.gateway, gateway.doctor, self.config.doctor
            )));
        }
        if gateway.tls_spki != connection.secured.spki {
            return Err(AgentError::Protocol(
                "The gateway names another TLS key than the one it uses. Nothing was stored; tell the clinic.".to_owned(),
            ));
        }
        if let (Some(store), Some(earlier)) = (store, earlier.filter(|earlier| earlier.patient != patient)) {
            return Err(AgentError::Another(format!(
                "The code is for {patient}, but {} belongs to {}. Nothing was stored. Give another --data-dir.",
                store.path().display(),
                earlier.patient
            )));
        }
        Ok(Binding { patient, identity: identity.into(), gateway, paired: self.clock.now().wall })
    }

    async fn ask_for_code(&mut self, why: Option<String>) -> Result<PairingCode, Halt> {
        if !self.config.asks_for_code {
            let said = wording::not_paired_yet(self.config.id.as_ref(), &self.config.doctor);
            return Err(AgentError::NotPaired(said).into());
        }
        self.tell(AgentEvent::CodeWanted { why }).await;
        loop {
            match self.commands.recv().await {
                Some(AgentCommand::Code(code)) => return Ok(code),
                Some(AgentCommand::Stop) | None => return Err(Halt::Asked),
                Some(AgentCommand::Acknowledge(_) | AgentCommand::Leave | AgentCommand::Return) => {}
            }
        }
    }

    /// Does `work` unless the agent is told to stop. There is nobody yet for whom other commands would mean something.
    async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Halt> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                command = self.commands.recv() => {
                    if let Some(AgentCommand::Stop) | None = command {
                        return Err(Halt::Asked);
                    }
                }
            }
        }
    }
}
