//! The device's loop: a sample when its time has come, whatever the network does; whatever the network does, answered.

use std::{io, time::Duration};

use host::{
    Backoff,
    drive::{self, ClientLink},
    entropy::system_rng,
};
use protocol::{
    cadence::Cadence,
    credential::{ClientKind, PinnedGateway},
    endpoint::{
        client::{ClientEndpoint, Event},
        pairing::{Outcome, PairingEndpoint},
    },
    error::{Fault, Refusal},
    firmware::Firmware,
    handshake::{Channel, Terms, resume::Ticket},
    id::{BootId, ClientId, Seq, WearableName},
    message::{Farewell, FromClient},
    pairing::{code::PairingCode, initiator::Candidate},
    status::{Battery, DeviceStatus, LinkQuality},
    time::{ClockFlag, Monotonic},
    vitals::{Sample, SampleTime},
};
use rand_core::Rng;
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Interval, MissedTickBehavior},
};
use wearable_core::uplink::Gap;

use super::{
    DeviceError, DeviceEvent, DeviceState, Ended, FIRMWARE, HARDWARE, LinkState, PAIRING_LIMIT, Pairing,
    Speed,
    link::{Arrival, Link},
    refusal,
};
use crate::{
    act::{Act, Wire},
    clock::DeviceClock,
    journal::Recovery,
    keys::Keys,
    outbox::Outbox,
    sampling::{Step, Wearer, quantities},
    scenario::Scenario,
};

/// Between two tries with a code that nobody entered at the gateway yet.
const CODE_INTERVAL: Duration = Duration::from_secs(2);
/// Tries with one code that may have told a guess to whoever answered.
const GUESSES: u32 = 3;
/// An unlimited device stops sampling with so many samples waiting.
const UNLIMITED_WAITING: usize = 256;
/// Seconds of record time for one percent of the simulated battery.
const SECONDS_PER_PERCENT: u32 = 600;

pub(super) struct Settings {
    pub(super) name: WearableName,
    pub(super) gateway: String,
    pub(super) speed: Speed,
    pub(super) samples: Option<u64>,
    pub(super) refused_wait: Duration,
}

pub(super) struct Memory {
    pub(super) keys: Keys,
    pub(super) pinned: Option<PinnedGateway>,
    pub(super) outbox: Outbox,
    /// The number of the next sample.
    pub(super) next: Seq,
}

/// What goes out to whoever looks on.
pub(super) struct Wires {
    pub(super) events: mpsc::Sender<DeviceEvent>,
    pub(super) missed: u64,
    pub(super) state: watch::Sender<DeviceState>,
}

impl Wires {
    /// Never waits: a reader that stopped must not stop the device.
    fn tell(&mut self, event: DeviceEvent) {
        if self.missed > 0 && self.events.try_send(DeviceEvent::Missed(self.missed)).is_ok() {
            self.missed = 0;
        }
        if self.missed > 0 || self.events.try_send(event).is_err() {
            self.missed += 1;
        }
    }

    fn show(&self, change: impl FnOnce(&mut DeviceState)) {
        self.state.send_modify(change);
    }
}

/// A pairing that is open.
#[derive(Clone, Copy)]
struct OpenPairing {
    code: PairingCode,
    /// Whether this device made the code.
    shown: bool,
    until: Monotonic,
    guesses: u32,
}

pub(super) struct Runner {
    settings: Settings,
    memory: Memory,
    wearer: Wearer,
    wires: Wires,
    clock: DeviceClock,
    /// Somebody refused the clock: the next login states no time, so that one with the pinned gateway can set it.
    clock_doubted: bool,
    boot: BootId,
    taken: u64,
    battery: u8,
    pairing: Option<OpenPairing>,
    ticket: Option<Ticket>,
    backoff: Backoff,
    link: Link,
}

enum Wake {
    Command(Option<Act>),
    Network(Arrival),
    SampleDue,
}

impl Runner {
    pub(super) fn new(
        settings: Settings,
        memory: Memory,
        wearer: Wearer,
        wires: Wires,
        clock: DeviceClock,
    ) -> Self {
        let boot = BootId(system_rng().next_u64());
        let (ticket, backoff, link) = (None, Backoff::default(), Link::Off);
        Self {
            settings,
            memory,
            wearer,
            wires,
            clock,
            clock_doubted: false,
            boot,
            taken: 0,
            battery: 100,
            pairing: None,
            ticket,
            backoff,
            link,
        }
    }

    pub(super) async fn run(
        mut self,
        pairing: Option<Pairing>,
        recovery: Recovery,
        mut commands: mpsc::Receiver<Act>,
    ) -> Result<Ended, DeviceError> {
        self.report(recovery);
        self.pairing = pairing.map(|pairing| self.open_pairing(pairing));
        self.show_counts();
        self.dial();
        let mut ticks = self.settings.speed.interval().map(ticks);
        loop {
            if self.is_delivered() {
                self.end().await?;
                return Ok(Ended::Delivered);
            }
            let may_sample = self.settings.samples.is_none_or(|samples| self.taken < samples)
                && (ticks.is_some() || self.memory.outbox.uplink().waiting() < UNLIMITED_WAITING);
            // Only the waits are raced; what follows runs to its end.
            let wake = tokio::select! {
                biased;
                command = commands.recv() => Wake::Command(command),
                arrival = self.link.next() => Wake::Network(arrival),
                () = sample_due(ticks.as_mut()), if may_sample => Wake::SampleDue,
            };
            let done = match wake {
                Wake::Command(Some(Act::Stop) | None) => {
                    self.end().await?;
                    return Ok(Ended::Stopped);
                }
                Wake::Command(Some(act)) => self.act(act),
                Wake::Network(arrival) => self.handle(arrival).await,
                Wake::SampleDue => {
                    self.sample().await;
                    Ok(())
                }
            };
            if let Err(error) = done {
                self.end().await?;
                return Err(error);
            }
        }
    }

    fn report(&mut self, recovery: Recovery) {
        if let Some((first, last)) = recovery.skipped {
            self.wires.tell(DeviceEvent::Skipped { first, last });
        }
        if recovery.discarded > 0 {
            self.wires.tell(DeviceEvent::Discarded { bytes: recovery.discarded });
        }
    }

    fn is_delivered(&self) -> bool {
        self.settings.samples.is_some_and(|samples| self.taken >= samples)
            && self.memory.outbox.uplink().waiting() == 0
    }

    async fn end(mut self) -> Result<(), DeviceError> {
        if let Link::Up(link) = std::mem::replace(&mut self.link, Link::Off)
            && let Err(error) = link.close(Farewell::Shutdown).await
        {
            tracing::debug!(%error, "the farewell did not leave");
        }
        Ok(self.memory.outbox.close().await?)
    }

    fn act(&mut self, act: Act) -> Result<(), DeviceError> {
        match act {
            Act::Body(body) => self.wearer.act(body),
            Act::Scenario(name) => match Scenario::named(&name) {
                Ok(scenario) => {
                    self.wearer.set_scenario(scenario)?;
                    self.wires.show(|state| state.scenario = name);
                }
                Err(error) => self.wires.tell(DeviceEvent::Refused(error.to_string())),
            },
            Act::Wire(Wire::Network(on)) => self.set_network(on),
            Act::Retry => self.retry(),
            _ => {}
        }
        Ok(())
    }

    fn set_network(&mut self, on: bool) {
        self.wires.show(|state| state.network = on);
        match (on, &self.link) {
            (true, Link::Off) => {
                self.backoff.reset();
                self.dial();
            }
            (false, Link::Off) | (true, _) => {}
            (false, _) => {
                // As if somebody pulled the plug: nobody says goodbye.
                self.link = Link::Off;
                self.wires.show(|state| {
                    state.link = LinkState::Off;
                    state.refusal = None;
                });
                self.wires.tell(DeviceEvent::Disconnected("the network was switched off".into()));
            }
        }
    }

    fn retry(&mut self) {
        if matches!(self.link, Link::Waiting(_)) {
            self.backoff.reset();
            self.dial();
        }
    }

    async fn sample(&mut self) {
        let (acts, step) = self.wearer.next_second();
        for act in acts {
            // Recordings that went well once go well again.
            if let Err(error) = self.act(act) {
                tracing::error!(%error, "the scenario stopped");
            }
        }
        let since_boot_ms = self.clock.since_boot_ms();
        let seq = self.memory.next;
        let sample = Sample {
            seq,
            boot: self.boot,
            taken: SampleTime { since_boot_ms, wall: self.clock.wall_at(since_boot_ms) },
            simulated: true,
            quantities: quantities(&step),
        };
        match self.memory.outbox.take(sample).await {
            Ok(gap) => {
                self.memory.next = Seq(seq.0.saturating_add(1));
                self.taken += 1;
                self.tell_of(gap);
            }
            Err(error) => {
                tracing::error!(%error, "a sample was not stored");
                self.wires.show(|state| state.lost += 1);
                self.wires.tell(DeviceEvent::NotStored(chain(&error)));
                if self.settings.speed.interval().is_none() {
                    // Time does not slow an unlimited device down.
                    tokio::time::sleep(CODE_INTERVAL).await;
                }
            }
        }
        self.show_step(step);
        self.update_battery();
        self.transmit().await;
    }

    fn tell_of(&mut self, gap: Option<Gap>) {
        if let Some(gap) = gap {
            self.wires.show(|state| state.lost += gap.samples as u64);
            self.wires.tell(DeviceEvent::Lost(gap));
        }
    }

    fn show_step(&self, step: Step) {
        self.wires.show(|state| state.pass(step));
        self.show_counts();
    }

    fn show_counts(&self) {
        let uplink = self.memory.outbox.uplink();
        let (taken, waiting, acknowledged) = (uplink.taken(), uplink.waiting(), uplink.acknowledged());
        self.wires.show(|state| {
            state.taken = taken;
            state.waiting = waiting;
            state.acknowledged = acknowledged;
        });
    }

    /// The charge of a battery that lasts 16 hours and never quite ends.
    fn update_battery(&mut self) {
        let used = self.taken / u64::from(SECONDS_PER_PERCENT);
        let battery = 100_u8.saturating_sub(u8::try_from(used).unwrap_or(u8::MAX)).max(5);
        if battery != self.battery {
            self.battery = battery;
            self.wires.show(|state| state.battery = battery);
            self.say_status();
        }
    }

    fn say_status(&mut self) {
        let interval = self.settings.speed.interval().unwrap_or(Duration::from_secs(1));
        let interval_ms = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX).max(1);
        let Ok(hardware) = HARDWARE.parse() else { return };
        let status = DeviceStatus {
            cadence: Cadence { sample_ms: interval_ms, upload_ms: interval_ms },
            battery: Some(Battery { percent: self.battery, charging: None }),
            link: LinkQuality::default(),
            waiting: 0,
            lost: 0,
            firmware: Firmware { name: FIRMWARE.into(), version: 1, hardware },
            update: None,
        };
        self.say(&FromClient::Status(&status));
    }

    fn say(&mut self, message: &FromClient<'_>) {
        if let Link::Up(link) = &mut self.link
            && let Err(fault) = link.say(message)
        {
            self.lose(fault.to_string());
        }
    }

    /// Sends what may be sent.
    async fn transmit(&mut self) {
        if !matches!(&self.link, Link::Up(link) if link.is_established()) {
            return;
        }
        if let Err(error) = self.memory.outbox.form().await {
            tracing::error!(%error, "a batch could not be written down; it waits");
        }
        let Link::Up(link) = &mut self.link else { return };
        let mut failed = None;
        while let Some(batch) = self.memory.outbox.poll_transmit() {
            if let Err(fault) = link.say(&FromClient::Vitals(batch)) {
                failed = Some(fault);
                break;
            }
        }
        if let Some(fault) = failed {
            self.lose(fault.to_string());
        }
    }

    // The network side.

    fn dial(&mut self) {
        self.link = Link::dial(self.settings.gateway.clone());
        self.wires.show(|state| state.link = LinkState::Connecting);
    }

    /// Tries again later. While somebody waits with a code in hand, soon.
    fn lose(&mut self, reason: String) {
        let wait = self.backoff.wait(&mut system_rng());
        let wait = if self.pairing.is_some() { wait.min(CODE_INTERVAL) } else { wait };
        self.retry_in(wait, reason);
    }

    fn retry_in(&mut self, wait: Duration, reason: String) {
        self.link = Link::wait(wait);
        self.wires.show(|state| {
            state.link = LinkState::Waiting { reason: reason.clone(), wait };
            state.refusal = None;
        });
        self.wires.tell(DeviceEvent::Disconnected(reason));
    }

    /// Tries again, slowly: whoever refused may not be the gateway, and if it is, only a person can help.
    fn hold_back(&mut self, sentence: String) {
        let wait = self.settings.refused_wait;
        self.link = Link::wait(wait);
        self.wires.show(|state| {
            state.link = LinkState::Waiting { reason: "refused".into(), wait };
            state.refusal = Some(sentence.clone());
        });
        self.wires.tell(DeviceEvent::Refused(sentence));
    }

    async fn handle(&mut self, arrival: Arrival) -> Result<(), DeviceError> {
        match arrival {
            Arrival::Due => self.dial(),
            Arrival::Dialed(Ok(stream)) if self.pairing.is_some() => self.pair(stream)?,
            Arrival::Dialed(Ok(stream)) => self.log_in(stream)?,
            Arrival::Dialed(Err(error)) => {
                self.pairing_in_time()?;
                self.lose(format!("no gateway at {}: {error}", self.settings.gateway));
            }
            Arrival::Paired(Ok((stream, outcome))) => self.handle_pairing(stream, outcome).await?,
            Arrival::Paired(Err(error)) => {
                self.pairing_in_time()?;
                self.lose(lost(&error));
            }
            Arrival::Event(Ok(event)) => self.handle_event(event).await?,
            Arrival::Event(Err(error)) => self.lose(lost(&error)),
        }
        Ok(())
    }

    fn log_in(&mut self, stream: TcpStream) -> Result<(), DeviceError> {
        let Some(pinned) = self.memory.pinned.clone() else { return Err(DeviceError::Unpaired) };
        let flag = if self.clock_doubted { ClockFlag::None } else { self.clock.flag() };
        let endpoint = ClientEndpoint::connect(
            self.memory.keys.identity(),
            pinned,
            self.ticket.take(),
            Terms::of(ClientKind::Wearable, Channel::Plain, flag),
            self.clock.now(),
            &mut system_rng(),
        );
        let link = ClientLink::new(stream, endpoint.map_err(DeviceError::Login)?, self.clock.host());
        self.link = Link::Up(Box::new(link));
        self.wires.show(|state| state.link = LinkState::LoggingIn);
        Ok(())
    }

    async fn handle_event(&mut self, event: Event) -> Result<(), DeviceError> {
        match event {
            Event::Established { session, resumed, gateway_time, .. } => {
                self.clock.learn(gateway_time);
                self.clock_doubted = false;
                self.backoff.reset();
                self.wires.show(|state| state.refusal = None);
                self.memory.outbox.reconnected();
                if let Some(PinnedGateway { doctor, .. }) = self.memory.pinned.clone() {
                    self.wires.show(|state| state.link = LinkState::Online { doctor: doctor.clone() });
                    self.wires.tell(DeviceEvent::Session { session, resumed, doctor });
                }
                self.say_status();
                self.transmit().await;
            }
            Event::Ticket { ticket, .. } => self.ticket = Some(ticket),
            Event::GatewayTime(time) => self.clock.learn(time),
            Event::VitalsAcked(seq) => self.handle_acknowledgement(seq).await,
            Event::Disconnected(Farewell::Revoked) => {
                self.wires.tell(DeviceEvent::Disconnected(Farewell::Revoked.to_string()));
                return Err(DeviceError::Revoked);
            }
            Event::Disconnected(farewell) => self.lose(farewell.to_string()),
            Event::Closed(fault) => self.handle_fault(&fault),
            // A wearable is no member of the group and is sent no alerts.
            Event::GroupKey(_) | Event::Alert { .. } | Event::AlertRefused(_) => {}
            Event::Instruction(_) => {}
        }
        Ok(())
    }

    async fn handle_acknowledgement(&mut self, seq: Seq) {
        match self.memory.outbox.acknowledge(seq).await {
            Ok(Ok(true)) => {
                self.show_counts();
                self.wires.tell(DeviceEvent::Acknowledged(seq));
            }
            Ok(Ok(false)) => return,
            Ok(Err(future)) => self.wires.tell(DeviceEvent::Refused(future.to_string())),
            // The samples stay and are sent again.
            Err(error) => tracing::error!(%error, "an acknowledgement could not be written down"),
        }
        self.transmit().await;
    }

    /// None of these is proved to come from the pinned gateway; so none ends the device or changes its clock.
    fn handle_fault(&mut self, fault: &Fault) {
        match fault {
            Fault::Refused(refusal @ (Refusal::Busy | Refusal::Storage)) => {
                self.wires.tell(DeviceEvent::Refused(refusal.to_string()));
                self.lose(refusal.to_string());
            }
            Fault::DeniedGateway => self.hold_back(refusal::OTHER_GATEWAY.into()),
            Fault::Refused(refusal) => {
                self.clock_doubted |= matches!(refusal, Refusal::Clock { .. });
                self.hold_back(refusal::sentence(refusal, self.clock.wall()));
            }
            fault => self.lose(fault.to_string()),
        }
    }

    // Pairing.

    fn open_pairing(&mut self, pairing: Pairing) -> OpenPairing {
        let until = self.clock.host().now().mono + PAIRING_LIMIT;
        let (code, shown) = match pairing {
            Pairing::Enter(code) => (code, false),
            Pairing::Show => (PairingCode::generate(&mut system_rng()), true),
        };
        if shown {
            self.wires.show(|state| state.code = Some(code));
            self.wires.tell(DeviceEvent::Code(code));
        }
        OpenPairing { code, shown, until, guesses: 0 }
    }

    fn pairing_in_time(&mut self) -> Result<(), DeviceError> {
        match self.pairing {
            Some(open) if self.clock.host().now().mono >= open.until || open.guesses >= GUESSES => {
                Err(DeviceError::PairingOver)
            }
            _ => Ok(()),
        }
    }

    fn pair(&mut self, stream: TcpStream) -> Result<(), DeviceError> {
        self.pairing_in_time()?;
        let Some(open) = self.pairing else { return Ok(()) };
        let candidate = Candidate {
            kind: ClientKind::Wearable,
            wanted: Some(ClientId::Wearable(self.memory.keys.device())),
            name: Some(self.settings.name.clone()),
            login: self.memory.keys.login(),
            receipts: None,
        };
        let clock = self.clock.host();
        let endpoint =
            PairingEndpoint::start(candidate, open.code, Channel::Plain, clock.now(), &mut system_rng());
        self.link = Link::Pairing(Box::pin(drive::pair(stream, endpoint, clock)));
        self.wires.show(|state| state.link = LinkState::Pairing);
        Ok(())
    }

    async fn handle_pairing(&mut self, stream: TcpStream, outcome: Outcome) -> Result<(), DeviceError> {
        let fault = match outcome {
            Ok(granted) => return self.handle_grant(stream, granted.gateway).await,
            Err(fault) => fault,
        };
        let shown = self.pairing.is_some_and(|open| open.shown);
        match &fault {
            Fault::Refused(Refusal::CodeUnknown) if shown => {
                self.pairing_in_time()?;
                self.retry_in(CODE_INTERVAL, "the code is not entered at the gateway yet".into());
            }
            Fault::Refused(Refusal::Busy | Refusal::Storage) | Fault::PeerSlow => {
                self.pairing_in_time()?;
                self.lose(fault.to_string());
            }
            Fault::Refused(Refusal::CodeWrong { .. }) if shown => {
                self.wires.tell(DeviceEvent::Refused("another code was entered at the gateway".into()));
                if let Some(open) = &mut self.pairing {
                    open.guesses += 1;
                }
                self.pairing_in_time()?;
                self.retry_in(CODE_INTERVAL, "another code was entered at the gateway".into());
            }
            Fault::PeerFrame(_) => return Err(DeviceError::NoWearablesPort),
            _ => {
                self.wires.tell(DeviceEvent::Refused(fault.to_string()));
                return Err(DeviceError::PairingRefused(fault));
            }
        }
        Ok(())
    }

    /// Pins first, then logs in: a gateway that counts this device as paired must find it so.
    async fn handle_grant(&mut self, stream: TcpStream, pinned: PinnedGateway) -> Result<(), DeviceError> {
        self.memory.outbox.pin(pinned.clone()).await?;
        let (doctor, gateway) = (pinned.doctor.clone(), pinned.gateway);
        self.memory.pinned = Some(pinned);
        self.pairing = None;
        self.ticket = None;
        self.wires.show(|state| state.code = None);
        self.wires.tell(DeviceEvent::Paired { doctor, gateway });
        self.log_in(stream)
    }
}

fn ticks(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn sample_due(ticks: Option<&mut Interval>) {
    if let Some(ticks) = ticks {
        ticks.tick().await;
    }
}

fn lost(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the gateway closed the connection".into(),
        _ => format!("the connection broke: {error}"),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}
