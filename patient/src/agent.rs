//! The patient's rules as a task: pair once, then stay logged in for ever. It keeps an alert before it shows it and
//! before it sends the receipt; it reconnects by itself; it never speaks to another gateway than the pinned one. It
//! draws nothing and prints nothing: events come out of a channel, commands go in by another.
//!
//! Both channels are bounded. The agent waits while the channel of events is full: an alert that nobody takes must
//! not be receipted. If the receiver of events is gone the agent goes on alone; if all senders of commands are gone
//! it says goodbye and ends.

mod event;
mod inbox;
mod pairing;

use std::{pin::pin, sync::Arc};

use host::{Backoff, Clock, drive::ClientLink, entropy::system_rng};
use protocol::{
    alert::{Alert, Receipt, Stage},
    credential::ClientKind,
    endpoint::client::{ClientEndpoint, Event},
    error::{Fault, Refusal},
    group::Epoch,
    handshake::Terms,
    id::{AlertId, DoctorId, PatientId},
    message::{Farewell, FromClient},
    pairing::code::PairingCode,
    time::{ClockFlag, UnixMillis},
};
use tokio::{net::TcpStream, sync::mpsc, task::JoinHandle};
use tokio_rustls::client::TlsStream;

pub use self::event::{AgentCommand, AgentError, AgentEvent, AlertNotice};
use self::inbox::{Inbox, Verdict};
use crate::{
    link::{self, Connection, LinkError, LinkSettings},
    store::{Binding, KeptAlert, Place, Store, StoreError},
    trust::Trust,
    wording,
};

/// Events that may wait for their reader.
const EVENT_QUEUE: usize = 256;
/// Commands that may wait for the agent.
const COMMAND_QUEUE: usize = 16;
/// Clocks that differ by less are taken as equal: a login takes that long.
const CLOCK_NOISE: i128 = 2_000;

/// Who the agent is and what it may do by itself.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// The patient, if it was said.
    pub id: Option<PatientId>,
    /// Whose gateway it talks to; any other is refused.
    pub doctor: DoctorId,
    /// Pair with this code, even if an identity is stored.
    pub code: Option<PairingCode>,
    /// Whether [`AgentEvent::CodeWanted`] has somebody to answer it.
    pub asks_for_code: bool,
    /// Acknowledge every alert at once.
    pub acknowledges: bool,
}

/// Both ends of a running agent's channels.
#[derive(Debug)]
pub struct AgentHandle {
    /// What happens.
    pub events: mpsc::Receiver<AgentEvent>,
    /// What it is told. Dropping all senders ends it.
    pub commands: mpsc::Sender<AgentCommand>,
}

/// The patient's agent.
#[derive(Debug)]
pub struct Agent {
    config: AgentConfig,
    place: Place,
    link: LinkSettings,
    clock: Clock,
    backoff: Backoff,
    events: mpsc::Sender<AgentEvent>,
    commands: mpsc::Receiver<AgentCommand>,
    /// Gateway's clock minus this one's, in milliseconds.
    clock_offset: i128,
}

type Link = ClientLink<TlsStream<TcpStream>>;

/// The end of the agent.
enum Halt {
    Asked,
    Error(AgentError),
}

impl<E: Into<AgentError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// What follows a session or a try.
enum After {
    Again(String),
    Slowly(String),
    Out,
}

/// How work beside which commands are heard came to its end.
enum Meanwhile<T> {
    Done(T),
    Return,
    Left,
}

/// A paired identity at work.
#[derive(Debug)]
struct Member {
    store: Arc<Store>,
    binding: Binding,
    inbox: Inbox,
}

impl Agent {
    /// Starts an agent on the current runtime.
    #[must_use]
    pub fn start(
        config: AgentConfig,
        place: Place,
        link: LinkSettings,
    ) -> (AgentHandle, JoinHandle<Result<(), AgentError>>) {
        let (tell, events) = mpsc::channel(EVENT_QUEUE);
        let (commands, hear) = mpsc::channel(COMMAND_QUEUE);
        let agent = Self {
            config,
            place,
            link,
            clock: Clock::start(),
            backoff: Backoff::default(),
            events: tell,
            commands: hear,
            clock_offset: 0,
        };
        (AgentHandle { events, commands }, tokio::spawn(Box::pin(agent.run())))
    }

    async fn run(mut self) -> Result<(), AgentError> {
        match self.live().await {
            Ok(()) | Err(Halt::Asked) => Ok(()),
            Err(Halt::Error(error)) => {
                self.tell(AgentEvent::Stopped { message: error.to_string() }).await;
                Err(error)
            }
        }
    }

    async fn live(&mut self) -> Result<(), Halt> {
        let (mut member, mut paired_on) = Box::pin(self.identify()).await?;
        let BindingNames { patient, doctor } = BindingNames::of(&member.binding);
        let kept = member.inbox.iter().map(|kept| member.notice(kept, kept.seen, None)).collect();
        self.tell(AgentEvent::Identified { patient, doctor, kept }).await;
        loop {
            let after = match paired_on.take() {
                Some(connection) => Box::pin(self.converse(&mut member, connection)).await?,
                None => Box::pin(self.connect(&mut member)).await?,
            };
            member.inbox.lost();
            let (reason, retry) = match after {
                After::Again(reason) => (reason, self.backoff.wait(&mut system_rng())),
                After::Slowly(reason) => (reason, self.link.patience),
                After::Out => {
                    self.stay_out(&mut member).await?;
                    continue;
                }
            };
            self.tell(AgentEvent::Waiting { reason, retry }).await;
            if let Meanwhile::Left = self.meanwhile(&mut member, tokio::time::sleep(retry)).await? {
                self.leave_unheard(&member).await?;
                self.stay_out(&mut member).await?;
            }
        }
    }

    /// One try: dial, log in, stay until the session ends.
    async fn connect(&mut self, member: &mut Member) -> Result<After, Halt> {
        self.tell(AgentEvent::Connecting { gateway: self.link.gateway.clone() }).await;
        let settings = self.link.clone();
        let dialling = link::dial(&settings, Trust::Pinned(member.binding.gateway.tls_spki));
        match self.meanwhile(member, Box::pin(dialling)).await? {
            Meanwhile::Done(Ok(connection)) => Box::pin(self.converse(member, connection)).await,
            Meanwhile::Done(Err(LinkError::Stranger { .. })) => Err(self.not_the_gateway(member).await),
            Meanwhile::Done(Err(error)) => Ok(After::Again(wording::sentence(&error.to_string()))),
            Meanwhile::Return => Ok(After::Again("Trying again.".to_owned())),
            Meanwhile::Left => {
                self.leave_unheard(member).await?;
                Ok(After::Out)
            }
        }
    }

    /// Logs in on a connection with the pinned gateway and stays until the session ends.
    async fn converse(&mut self, member: &mut Member, connection: Connection) -> Result<After, Halt> {
        let Connection { stream, secured } = connection;
        let now = self.clock.now();
        let ticket = member.with_store(move |store| store.take_ticket(now.wall)).await?;
        let identity = Arc::clone(&member.binding.identity);
        let endpoint = ClientEndpoint::connect(
            identity,
            member.binding.gateway.clone(),
            ticket,
            Terms::of(ClientKind::Patient, secured.channel, ClockFlag::Unsynced),
            self.clock.now(),
            &mut system_rng(),
        );
        let endpoint =
            endpoint.map_err(|fault| AgentError::Protocol(wording::sentence(&fault.to_string())))?;
        let mut link = Link::new(stream, endpoint, self.clock);
        loop {
            let event = tokio::select! {
                event = link.next_event() => event,
                command = self.commands.recv() => match command {
                    Some(AgentCommand::Acknowledge(id)) => {
                        self.acknowledge(member, id).await;
                        match self.say_owed(member, &mut link).await {
                            Ok(()) => continue,
                            Err(fault) => return Ok(self.lost(&fault).await),
                        }
                    }
                    Some(AgentCommand::Leave) => return self.leave(member, link).await.map(|()| After::Out),
                    Some(AgentCommand::Code(_) | AgentCommand::Return) => continue,
                    Some(AgentCommand::Stop) | None => {
                        farewell(link, Farewell::Shutdown).await;
                        return Err(Halt::Asked);
                    }
                },
            };
            let event = match event {
                Ok(event) => event,
                Err(error) if link.is_established() => {
                    let reason = connection_lost(&error);
                    self.tell(AgentEvent::Disconnected { reason: reason.clone(), stays_out: false }).await;
                    return Ok(After::Again(reason));
                }
                Err(error) => return Ok(After::Again(connection_lost(&error))),
            };
            member.inbox.heard(self.clock.now().mono);
            match event {
                Event::Established { session, resumed, gateway_time, .. } => {
                    self.set_clock_offset(gateway_time);
                    self.backoff.reset();
                    member.inbox.forget(self.gateway_now());
                    let protected = secured.post_quantum;
                    self.tell(AgentEvent::Session { session, resumed, protected }).await;
                    if let Err(fault) = self.say_owed(member, &mut link).await {
                        return Ok(self.lost(&fault).await);
                    }
                }
                Event::Ticket { ticket, expires } => {
                    let kept = member.with_store(move |store| store.keep_ticket(&ticket, expires)).await;
                    // Without it the next login is a full one, no more.
                    if let Err(error) = kept {
                        tracing::warn!(%error, "the ticket could not be kept");
                    }
                }
                Event::GroupKey(epoch) => self.tell(AgentEvent::Group(epoch)).await,
                Event::Alert { alert, epoch } => {
                    if let Err(fault) = self.take(member, &mut link, alert, epoch).await {
                        return Ok(self.lost(&fault).await);
                    }
                }
                Event::AlertRefused(fault) => {
                    let reason = format!("An alert could not be opened or believed ({fault}).");
                    self.tell(AgentEvent::AlertRefused { reason }).await;
                }
                Event::GatewayTime(time) => self.set_clock_offset(time),
                // A patient's client sends no vitals, and its endpoint takes no instructions.
                Event::VitalsAcked(_) | Event::Instruction(_) => {}
                Event::Disconnected(said) => return self.disconnected(member, said).await,
                Event::Closed(fault) => return self.closed(member, fault).await,
            }
        }
    }

    /// An alert of the pinned gateway: kept, then told, then receipted.
    async fn take(
        &mut self,
        member: &mut Member,
        link: &mut Link,
        alert: Alert,
        epoch: Option<Epoch>,
    ) -> Result<(), Fault> {
        let now = self.gateway_now();
        let id = alert.id();
        let repeated = match member.inbox.judge(&alert, now) {
            Verdict::New => false,
            Verdict::Repeated => true,
            Verdict::Refused(why) => {
                let reason =
                    format!("An alert of {} is not shown: {why}.", wording::local_time(alert.created()));
                self.tell(AgentEvent::AlertRefused { reason }).await;
                return Ok(());
            }
        };
        let kept = match member.inbox.get(id) {
            Some(kept) => kept.clone(),
            None => KeptAlert { alert, seen: now, stage: Stage::Decrypted },
        };
        let stored = member.inbox.is_stored(id) || self.keep(member, kept.clone()).await;
        member.inbox.put(kept.clone(), stored);
        let notice = AlertNotice { repeated, ..member.notice(&kept, now, epoch) };
        self.tell(AgentEvent::Alert(notice)).await;
        if !stored {
            // It is shown all the same. Without a receipt the gateway will send it again, and it is kept then.
            return Ok(());
        }
        self.say_receipt(member, link, id, Stage::Decrypted).await?;
        if kept.stage == Stage::Acknowledged {
            member.inbox.owe(id);
        } else if self.config.acknowledges {
            self.acknowledge(member, id).await;
        }
        self.say_owed(member, link).await
    }

    /// A person has read it: kept, then told; the receipt is owed from now on.
    async fn acknowledge(&mut self, member: &mut Member, id: AlertId) {
        let Some(kept) = member.inbox.get(id).filter(|kept| kept.stage == Stage::Decrypted) else { return };
        let kept = KeptAlert { stage: Stage::Acknowledged, ..kept.clone() };
        if self.keep(member, kept.clone()).await {
            member.inbox.put(kept, true);
            member.inbox.owe(id);
            self.tell(AgentEvent::Acknowledged(id)).await;
        }
    }

    /// Whether the alert is on the disk now. A disk that takes nothing is said, not fatal: alerts must be seen.
    async fn keep(&self, member: &Member, kept: KeptAlert) -> bool {
        let stored = member.with_store(move |store| store.keep_alert(&kept)).await;
        if let Err(error) = &stored {
            let reason = format!(
                "This computer cannot store anything ({error}); no receipt is sent. Free some space."
            );
            self.tell(AgentEvent::Refused { reason }).await;
        }
        stored.is_ok()
    }

    async fn say_owed(&self, member: &mut Member, link: &mut Link) -> Result<(), Fault> {
        if !link.is_established() {
            return Ok(());
        }
        for id in member.inbox.owed() {
            self.say_receipt(member, link, id, Stage::Acknowledged).await?;
            member.inbox.said(id, self.clock.now().mono);
        }
        Ok(())
    }

    async fn say_receipt(
        &self,
        member: &Member,
        link: &mut Link,
        id: AlertId,
        stage: Stage,
    ) -> Result<(), Fault> {
        let Binding { patient, identity, gateway, .. } = &member.binding;
        if let (Some(kept), Some(key)) = (member.inbox.get(id), &identity.receipts) {
            let now = self.clock.now().wall;
            let receipt = Receipt::sign(&kept.alert, stage, now, patient, &gateway.alerts, key);
            link.say(&FromClient::Receipt(&receipt))?;
            self.tell(AgentEvent::Receipt { alert: id, stage }).await;
        }
        Ok(())
    }

    /// The gateway ended the session on purpose.
    async fn disconnected(&self, member: &Member, said: Farewell) -> Result<After, Halt> {
        let stays_out = matches!(said, Farewell::EndedByDoctor | Farewell::EndedByPatient);
        let reason = said.to_string();
        self.tell(AgentEvent::Disconnected { reason: reason.clone(), stays_out }).await;
        let patient = &member.binding.patient;
        match said {
            Farewell::Shutdown | Farewell::Spent => Ok(After::Again(wording::sentence(&reason))),
            Farewell::EndedByDoctor | Farewell::EndedByPatient => {
                member.with_store(Store::drop_ticket).await?;
                Ok(After::Out)
            }
            Farewell::Displaced => Err(AgentError::Displaced(format!(
                "Another session of {patient} was opened with the same keys, so this one ended. Only one computer \
                 may use them: stop the other one, or pair this one anew ({}).",
                wording::how_to_pair(Some(patient))
            ))
            .into()),
            Farewell::Revoked => {
                member.with_store(Store::drop_ticket).await?;
                Err(AgentError::Revoked(format!(
                    "The clinic has taken this computer off its list. To come back, {}.",
                    wording::how_to_pair(Some(patient))
                ))
                .into())
            }
        }
    }

    /// The conversation ended because of a fault.
    async fn closed(&self, member: &Member, fault: Fault) -> Result<After, Halt> {
        let patient = Some(&member.binding.patient);
        match fault {
            Fault::DeniedGateway | Fault::Refused(Refusal::OtherGateway) => {
                Err(self.not_the_gateway(member).await)
            }
            Fault::Refused(refused) => {
                let reason = wording::refusal(&refused, patient);
                self.tell(AgentEvent::Refused { reason: reason.clone() }).await;
                Ok(match refused {
                    Refusal::NotPaired | Refusal::Version { .. } | Refusal::Suite | Refusal::Protocol => {
                        After::Slowly(reason)
                    }
                    _ => After::Again(reason),
                })
            }
            fault => Ok(self.lost(&fault).await),
        }
    }

    async fn lost(&self, fault: &Fault) -> After {
        let reason = match fault {
            Fault::PeerSilent(_) => format!("the gateway does not answer ({fault})"),
            fault => fault.to_string(),
        };
        self.tell(AgentEvent::Disconnected { reason: reason.clone(), stays_out: false }).await;
        After::Again(wording::sentence(&reason))
    }

    async fn not_the_gateway(&self, member: &Member) -> Halt {
        let reason = wording::not_the_gateway(&self.link.gateway, &member.binding.patient);
        self.tell(AgentEvent::Refused { reason: reason.clone() }).await;
        AgentError::NotTheGateway(reason).into()
    }

    /// The person leaves an established session.
    async fn leave(&self, member: &Member, link: Link) -> Result<(), Halt> {
        if !link.is_established() {
            return self.leave_unheard(member).await;
        }
        farewell(link, Farewell::EndedByPatient).await;
        member.with_store(Store::drop_ticket).await?;
        let reason = Farewell::EndedByPatient.to_string();
        self.tell(AgentEvent::Disconnected { reason, stays_out: true }).await;
        Ok(())
    }

    /// The person leaves while there is no session.
    async fn leave_unheard(&self, member: &Member) -> Result<(), Halt> {
        member.with_store(Store::drop_ticket).await?;
        let reason = format!("{}; the gateway could not be told", Farewell::EndedByPatient);
        self.tell(AgentEvent::Disconnected { reason, stays_out: true }).await;
        Ok(())
    }

    /// Waits until the person wants back in.
    async fn stay_out(&mut self, member: &mut Member) -> Result<(), Halt> {
        loop {
            if let Meanwhile::Return = self.meanwhile(member, std::future::pending::<()>()).await? {
                self.backoff.reset();
                return Ok(());
            }
        }
    }

    /// Does `work` and hears commands meanwhile, without a session.
    async fn meanwhile<T>(
        &mut self,
        member: &mut Member,
        work: impl Future<Output = T>,
    ) -> Result<Meanwhile<T>, Halt> {
        let mut work = pin!(work);
        loop {
            let command = tokio::select! {
                done = &mut work => return Ok(Meanwhile::Done(done)),
                command = self.commands.recv() => command,
            };
            match command {
                Some(AgentCommand::Acknowledge(id)) => self.acknowledge(member, id).await,
                Some(AgentCommand::Return) => return Ok(Meanwhile::Return),
                Some(AgentCommand::Leave) => return Ok(Meanwhile::Left),
                Some(AgentCommand::Code(_)) => {}
                Some(AgentCommand::Stop) | None => return Err(Halt::Asked),
            }
        }
    }

    async fn tell(&self, event: AgentEvent) {
        // A receiver that is gone wants to know nothing more.
        let _unread = self.events.send(event).await.is_err();
    }

    fn set_clock_offset(&mut self, gateway: UnixMillis) {
        let offset = i128::from(gateway.0) - i128::from(self.clock.now().wall.0);
        self.clock_offset = if offset.abs() < CLOCK_NOISE { 0 } else { offset };
    }

    /// The time by the gateway's clock, which alerts' times are in.
    fn gateway_now(&self) -> UnixMillis {
        let now = i128::from(self.clock.now().wall.0) + self.clock_offset;
        UnixMillis(u64::try_from(now).unwrap_or_default())
    }
}

impl Member {
    /// Opens what a paired identity has kept.
    fn open(store: Store, binding: Binding, now: UnixMillis) -> Result<Self, StoreError> {
        let kept = store.alerts(&binding.gateway.alerts, now)?;
        Ok(Self { store: Arc::new(store), binding, inbox: Inbox::new(kept, now) })
    }

    /// Uses the disk off the threads that serve connections.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        off_thread(move || work(&store)).await
    }

    fn notice(&self, kept: &KeptAlert, now: UnixMillis, epoch: Option<Epoch>) -> AlertNotice {
        let alert = &kept.alert;
        let age = now.since(alert.created());
        AlertNotice {
            id: alert.id(),
            text: alert.text().to_owned(),
            priority: alert.priority(),
            created: alert.created(),
            age,
            epoch,
            late: Inbox::is_late(age),
            repeated: false,
            acknowledged: kept.stage == Stage::Acknowledged,
            cancelled: self.inbox.is_cancelled(alert.id()),
            cancels: alert.cancels(),
        }
    }
}

struct BindingNames {
    patient: PatientId,
    doctor: DoctorId,
}

impl BindingNames {
    fn of(binding: &Binding) -> Self {
        Self { patient: binding.patient.clone(), doctor: binding.gateway.doctor.clone() }
    }
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // Only a panic gets here (nothing aborts it): let it go on where it can be seen.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

async fn farewell(link: Link, farewell: Farewell) {
    // The gateway notices the end of the connection in any case.
    if let Err(error) = Box::pin(link.close(farewell)).await {
        tracing::debug!(%error, "the goodbye may not have arrived");
    }
}

fn connection_lost(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        "The connection was closed.".to_owned()
    } else {
        format!("The connection was lost: {error}.")
    }
}
