//! The good gateway, and what it knows of the device: its keys, its word about itself, and every sample it sent. Cases borrow
//! the conversation from here and spoil one thing in it.

use std::{collections::BTreeMap, time::Duration};

use host::{Clock, entropy::system_rng};
use protocol::{
    cadence::Settings,
    credential::{ClientKind, GatewayIdentity, LoginKey, PinnedClient},
    endpoint::gateway::{Event, Next, Work},
    error::Fault,
    handshake::responder::{ClaimedProof, Login},
    id::{DoctorId, GatewayId, Seq, WearableName},
    image::Header,
    message::{FromGateway, Instruction},
    pairing::{code::PairingCode, responder::Enrolment},
    status::DeviceStatus,
    vitals::{Sample, VitalsBatch},
};
use rand_core::Rng;
use tokio::net::TcpListener;

use super::talk::{Heard, Talk};

/// A device that answers in a login, or samples once a second, is heard in this time.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// What was seen: for the table.
pub(super) type Outcome = Result<String, String>;

/// The good gateway.
#[derive(Debug)]
pub(super) struct Bench {
    listener: TcpListener,
    clock: Clock,
    code: PairingCode,
    wait: Duration,
    pub(super) identity: GatewayIdentity,
    pub(super) old_image: Option<Header>,
    pinned: Option<PinnedClient>,
    name: Option<WearableName>,
    pub(super) status: Option<DeviceStatus>,
    came: bool,
    /// The device was told that everything up to here is safe.
    acknowledged: Seq,
    /// What it sent and was not told so.
    owed: BTreeMap<Seq, Sample>,
    /// The last number of this session, 0 before the first.
    sent: Seq,
}

impl Bench {
    pub(super) fn new(
        listener: TcpListener,
        code: Option<PairingCode>,
        old_image: Option<Header>,
        wait: Duration,
    ) -> Result<Self, String> {
        Ok(Self {
            listener,
            clock: Clock::start(),
            code: code.unwrap_or_else(|| PairingCode::generate(&mut system_rng())),
            wait,
            identity: new_identity()?,
            old_image,
            pinned: None,
            name: None,
            status: None,
            came: false,
            acknowledged: Seq(0),
            owed: BTreeMap::new(),
            sent: Seq(0),
        })
    }

    pub(super) const fn code(&self) -> PairingCode {
        self.code
    }

    /// Whether not even a connection came.
    pub(super) const fn no_show(&self) -> bool {
        !self.came
    }

    /// The device in a line.
    pub(super) fn device(&self) -> Option<String> {
        let name = self
            .name
            .as_ref()
            .map(ToString::to_string)
            .or_else(|| self.pinned.as_ref().map(|pinned| pinned.id.to_string()))?;
        Some(match &self.status {
            Some(DeviceStatus { firmware, .. }) => {
                format!("{name} ({} for {})", firmware.name, firmware.hardware)
            }
            None => name,
        })
    }

    /// The device's next connection.
    pub(super) async fn accept(&mut self) -> Result<Talk, String> {
        match tokio::time::timeout(self.wait, self.listener.accept()).await {
            Ok(Ok((stream, _))) => {
                self.came = true;
                stream.set_nodelay(true).ok();
                Ok(Talk::new(stream, self.clock))
            }
            Ok(Err(error)) => Err(format!("the connection could not be taken: {error}")),
            Err(_) => Err(format!("the device did not come back in {} s", self.wait.as_secs())),
        }
    }

    /// Pairs and logs in.
    pub(super) async fn pair(&mut self) -> Result<Talk, String> {
        loop {
            let mut talk = self.accept().await?;
            match talk.hear(PATIENCE).await {
                Heard::Event(Event::Work(Work::Pair(pairing))) => {
                    if pairing.selector() != self.code.selector {
                        talk.endpoint.refuse(Fault::DeniedCodeUnknown, talk.now());
                        talk.flush().await;
                        continue;
                    }
                    let answered = pairing.answer(&self.code.password, 2, &mut system_rng());
                    let (state, frame) = answered.map_err(|fault| fault.to_string())?;
                    talk.endpoint.proceed(Next::Enrol(state), frame, talk.now());
                    match talk.hear(PATIENCE).await {
                        Heard::Event(Event::Work(Work::Enrol(enrolment))) => {
                            self.enrol(&mut talk, &enrolment)?;
                        }
                        other => return Err(unexpected("its keys under the code", &other)),
                    }
                    return self.log_in_after_pairing(talk).await;
                }
                // It believes to be paired with somebody else.
                Heard::Event(Event::Work(_)) => {
                    return Err("the device logs in instead of pairing: open its pairing window first".into());
                }
                Heard::HungUp => {}
                other => return Err(unexpected("PAIR_START", &other)),
            }
        }
    }

    fn enrol(&mut self, talk: &mut Talk, enrolment: &Enrolment) -> Result<(), String> {
        let client = enrolment.wanted().cloned().ok_or("the device names no id of its own")?;
        let pinned = enrolment.binding(client.clone()).map_err(|fault| fault.to_string())?;
        let granted = enrolment.grant(client, &self.identity, None, &mut system_rng());
        let frame = granted.map_err(|fault| fault.to_string())?;
        self.name = enrolment.name().cloned();
        self.pinned = Some(pinned);
        talk.endpoint.proceed(Next::Login, frame, talk.now());
        Ok(())
    }

    /// On the same connection or on a new one.
    async fn log_in_after_pairing(&mut self, mut talk: Talk) -> Result<Talk, String> {
        match talk.hear(PATIENCE).await {
            Heard::Event(Event::Work(Work::Login(login))) => self.complete(&mut talk, login).await?,
            Heard::HungUp => return self.connect().await,
            other => return Err(unexpected("a login with the new keys", &other)),
        }
        Ok(talk)
    }

    /// The next connection, up to its HELLO. A token is refused: this gateway gives none.
    pub(super) async fn greet(&mut self) -> Result<(Talk, Login), String> {
        let mut talk = self.accept().await?;
        loop {
            match talk.hear(PATIENCE).await {
                Heard::Event(Event::Work(Work::Login(login))) => return Ok((talk, login)),
                Heard::Event(Event::Work(Work::Resume(_))) => {
                    talk.endpoint.refuse(Fault::DeniedToken, talk.now());
                }
                // A connection that the device had begun and given up.
                Heard::HungUp => talk = self.accept().await?,
                other => return Err(unexpected("HELLO", &other)),
            }
        }
    }

    /// A session as it should be, live.
    pub(super) async fn connect(&mut self) -> Result<Talk, String> {
        let (mut talk, login) = self.greet().await?;
        self.complete(&mut talk, login).await?;
        Ok(talk)
    }

    async fn complete(&mut self, talk: &mut Talk, login: Login) -> Result<(), String> {
        let answered = login.answer(&self.identity, Duration::from_secs(30), talk.now(), &mut system_rng());
        let (state, frame) = answered.map_err(|fault| fault.to_string())?;
        talk.endpoint.proceed(Next::Proof(state), frame, talk.now());
        let proof = self.proof(talk).await?;
        let (established, frame) = self.verify(talk, proof)?;
        talk.endpoint.proceed(established, frame, talk.now());
        self.sent = Seq(0);
        let live = FromGateway::Instruction(&Instruction::Settings(Settings::LIVE));
        talk.say(&live).map_err(|fault| fault.to_string())
    }

    pub(super) async fn proof(&self, talk: &mut Talk) -> Result<ClaimedProof, String> {
        match talk.hear(PATIENCE).await {
            Heard::Event(Event::Work(Work::Proof(proof))) => Ok(proof),
            other => Err(unexpected("its proof", &other)),
        }
    }

    /// The session behind a proof, and the record that confirms it.
    pub(super) fn verify(&self, talk: &Talk, proof: ClaimedProof) -> Result<(Next, Vec<u8>), String> {
        let verified = proof.verify(self.pinned.as_ref(), talk.now());
        let (established, frame) = verified.map_err(|fault| format!("its proof does not hold: {fault}"))?;
        Ok((Next::Session(established.session), frame))
    }

    /// The next batch, looked at: numbers grow, nothing is missing since the last acknowledgement, and what comes again is
    /// what came before.
    pub(super) async fn vitals(&mut self, talk: &mut Talk) -> Result<VitalsBatch, String> {
        loop {
            match talk.hear(PATIENCE).await {
                Heard::Event(Event::Vitals(batch)) => {
                    self.look_at(&batch)?;
                    return Ok(batch);
                }
                Heard::Event(Event::Status(status)) => self.status = Some(status),
                Heard::Event(Event::FirmwareStatus(_) | Event::Waveform(_)) => {}
                other => return Err(unexpected("vitals", &other)),
            }
        }
    }

    fn look_at(&mut self, batch: &VitalsBatch) -> Result<(), String> {
        let owed = self.owed.first_key_value().map_or(self.acknowledged.0 + 1, |(owed, _)| owed.0);
        // A session begins with what is owed; more may follow before it is acknowledged.
        let mut next = if self.sent > Seq(0) { self.sent.0 + 1 } else { owed };
        for sample in batch.samples.iter().filter(|_| self.acknowledged > Seq(0)) {
            if sample.seq.0 > next {
                return Err(format!("sample {next} is missing: the device went on with {}", sample.seq.0));
            }
            next = sample.seq.0 + 1;
        }
        self.sent = batch.last().unwrap_or(self.sent);
        for sample in batch.samples.iter().filter(|sample| sample.seq > self.acknowledged) {
            if self.owed.get(&sample.seq).is_some_and(|before| before != sample) {
                return Err(format!("sample {} came again with another content", sample.seq.0));
            }
            self.owed.insert(sample.seq, sample.clone());
        }
        Ok(())
    }

    /// The device may forget everything up to `seq` from now on.
    pub(super) fn acknowledge(&mut self, talk: &mut Talk, seq: Seq) -> Result<(), String> {
        self.acknowledged = self.acknowledged.max(seq);
        self.owed.retain(|owed, _| *owed > seq);
        talk.say(&FromGateway::VitalsAck(seq)).map_err(|fault| fault.to_string())
    }

    /// The next new sample, on a session that goes on: what was owed has to come first.
    pub(super) async fn take_vitals(&mut self, talk: &mut Talk) -> Result<Seq, String> {
        loop {
            let batch = self.vitals(talk).await?;
            let last = batch.last().unwrap_or(Seq(0));
            let is_new = last > self.acknowledged;
            self.acknowledge(talk, last)?;
            if is_new && self.owed.is_empty() {
                return Ok(last);
            }
        }
    }

    /// The next batch, acknowledged; it may repeat nothing that was acknowledged, nor anything of this session.
    pub(super) async fn take_only_new(&mut self, talk: &mut Talk) -> Result<Seq, String> {
        let had = self.sent.max(self.acknowledged);
        let batch = self.vitals(talk).await?;
        if let Some(again) = batch.samples.iter().find(|sample| sample.seq <= had) {
            return Err(format!("sample {} came again, though all up to {} had come", again.seq.0, had.0));
        }
        let last = batch.last().unwrap_or(had);
        self.acknowledge(talk, last)?;
        Ok(last)
    }

    /// After a bad gateway: the device comes back by itself and nothing is missing.
    pub(super) async fn recover(&mut self) -> Result<(), String> {
        let mut talk = self.connect().await.map_err(|said| format!("then the good gateway: {said}"))?;
        let taken = self.take_vitals(&mut talk).await;
        talk.flush().await;
        talk.farewell().await;
        taken.map(drop).map_err(|said| format!("then the good gateway: {said}"))
    }

    /// Waits for the device to hang up; anything that it says before tells against it.
    pub(super) async fn must_hang_up(&mut self, talk: &mut Talk, so_far: &str) -> Result<(), String> {
        loop {
            match talk.hear(PATIENCE).await {
                Heard::HungUp => return Ok(()),
                // It may have been on its way.
                Heard::Event(Event::Vitals(batch)) if talk.endpoint.is_established() => {
                    self.look_at(&batch)?;
                }
                Heard::Event(Event::Status(_) | Event::FirmwareStatus(_) | Event::Waveform(_))
                    if talk.endpoint.is_established() => {}
                Heard::Event(Event::Disconnected(_)) => return Ok(()),
                Heard::Nothing => return Err(format!("{so_far}, and it stayed")),
                Heard::Event(event) => return Err(format!("{so_far}, and it went on with {}", told(&event))),
            }
        }
    }
}

/// Keys for one run.
pub(super) fn new_identity() -> Result<GatewayIdentity, String> {
    let mut rng = system_rng();
    let mut random = [0; 16];
    rng.fill_bytes(&mut random);
    let mut login = |kind| LoginKey::generate(kind, &mut rng).map_err(|fault| fault.to_string());
    Ok(GatewayIdentity {
        gateway: GatewayId::from_random(random),
        doctor: "CHECK".parse::<DoctorId>().map_err(|error| error.to_string())?,
        patient_login: login(ClientKind::Patient)?,
        wearable_login: login(ClientKind::Wearable)?,
        alerts: crypto::identity::SigningKey::generate(&mut system_rng()),
        tls_spki: [0; 32],
    })
}

fn told(event: &Event) -> String {
    match event {
        Event::Work(Work::Login(_)) => "HELLO".into(),
        Event::Work(Work::Resume(_)) => "RESUME".into(),
        Event::Work(Work::Pair(_)) => "PAIR_START".into(),
        Event::Work(Work::Enrol(_)) => "PAIR_ENROL".into(),
        Event::Work(Work::Proof(_)) => "its proof".into(),
        Event::Vitals(batch) => format!("vitals up to {}", batch.last().unwrap_or(Seq(0)).0),
        Event::Closed(fault) => format!("what cannot be read: {fault}"),
        Event::Disconnected(farewell) => format!("a goodbye ({farewell})"),
        other => format!("{other:?}"),
    }
}

pub(super) fn unexpected(wanted: &str, heard: &Heard) -> String {
    match heard {
        Heard::Nothing => format!("{wanted} did not come in {} s", PATIENCE.as_secs()),
        Heard::HungUp => format!("{wanted} did not come: the device hung up"),
        Heard::Event(event) => format!("{wanted} did not come, but {}", told(event)),
    }
}
