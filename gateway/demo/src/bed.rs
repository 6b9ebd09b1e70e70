//! A patient with a wearable: both paired with a code that a person would carry, both logged in. The patient reads an
//! alert some time after it is shown, and acknowledges it.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use gateway::{
    app::Facts,
    ward::{Ward, people::Invitation},
};
use patient::{
    agent::{Agent, AgentCommand, AgentConfig, AgentError, AgentEvent, AgentHandle},
    link::LinkSettings,
    store::Place,
};
use protocol::{
    credential::ClientKind,
    id::{PatientId, WearableName},
    pairing::code::PairingCode,
};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};
use wearable::{
    act::Act,
    agent::{self as device, Device, DeviceConfig, DeviceError, DeviceEvent, DeviceState, Ended, Order},
    scenario::Scenario,
};
use wearable_core::device::Event;

use crate::{
    cable::Cable,
    news::{Board, What},
};

/// Longest wait for a client to pair and log in; a machine under load takes seconds.
const ADMISSION_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for a client's goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// Seconds for which a wearable has been worn when it starts: signals have settled, and a desaturation has begun.
const WORN: u32 = 75;
/// Simulated patients whose recordings are undisturbed for some minutes from second [`WORN`] on.
const SEEDS: [u64; 8] = [329, 299, 178, 348, 72, 37, 138, 304];

/// Who will lie in a bed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The patient.
    pub patient: PatientId,
    /// What the wearable is called.
    pub wearable: WearableName,
    /// What happens to the patient.
    pub scenario: Scenario,
    /// Which recordings from where.
    pub seed: u64,
    /// From the moment an alert is shown until the patient acknowledges it.
    pub reading: Duration,
}

impl Plan {
    /// The usual patient of a number from 1 on: P001 wears W001. The third one desaturates.
    ///
    /// # Errors
    /// None for a number that fits an id.
    pub fn usual(number: usize) -> anyhow::Result<Self> {
        let index = number.saturating_sub(1);
        let scenario = match index % 5 {
            2 => "desaturation",
            3 => "finger-off",
            4 => "fever",
            _ => "normal",
        };
        Ok(Self {
            patient: format!("P{number:03}").parse()?,
            wearable: format!("W{number:03}").parse()?,
            scenario: Scenario::load(scenario)?,
            seed: SEEDS.get(index).copied().unwrap_or(index as u64),
            reading: Duration::from_millis(500 + 300 * (index % 4) as u64),
        })
    }
}

/// A patient with a wearable, in the ward.
#[derive(Debug)]
pub struct Bed {
    /// The patient's computer.
    pub patient: Patient,
    /// What the patient wears.
    pub wearable: Wearable,
}

/// A patient's computer.
#[derive(Debug)]
pub struct Patient {
    /// Who.
    pub id: PatientId,
    /// What it can be told.
    pub commands: mpsc::Sender<AgentCommand>,
    cable: Cable,
    task: JoinHandle<Result<(), AgentError>>,
    board: Board,
    _reader: JoinSet<()>,
}

/// A wearable.
#[derive(Debug)]
pub struct Wearable {
    /// Which.
    pub name: WearableName,
    /// What it can be told.
    pub orders: mpsc::Sender<Order>,
    /// How it stands.
    pub state: watch::Receiver<DeviceState>,
    task: JoinHandle<Result<Ended, DeviceError>>,
    _reader: JoinSet<()>,
}

/// What is needed to let somebody in.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) ward: Arc<Ward>,
    pub(crate) facts: Facts,
    pub(crate) board: Board,
}

impl Bed {
    /// Pairs both with the gateway and logs them in. Their data goes below `home`.
    pub(crate) async fn admit(plan: Plan, door: Door, home: &Path) -> anyhow::Result<Self> {
        let patient = Patient::admit(&plan, &door, home).await?;
        let wearable = Wearable::admit(&plan, &door, home).await?;
        Ok(Self { patient, wearable })
    }
}

impl Patient {
    async fn admit(plan: &Plan, door: &Door, home: &Path) -> anyhow::Result<Self> {
        let id = plan.patient.clone();
        let code = door.invite(ClientKind::Patient, &id).await?;
        let cable = Cable::to(door.facts.patients).await.context("no port for the patient's connection")?;
        let config = AgentConfig {
            id: Some(id.clone()),
            doctor: door.ward.identity().doctor.clone(),
            code: Some(code),
            asks_for_code: false,
            acknowledges: plan.reading.is_zero(),
        };
        let place = Place::Folder(home.join(format!("patient-{id}")));
        let (mut agent, task) = Agent::start(config, place, LinkSettings::to(cable.address().to_string()));
        let board = door.board.clone();
        let is_in = async {
            while let Some(event) = agent.events.recv().await {
                board.post(What::Patient(id.clone(), event.clone()));
                match event {
                    AgentEvent::Session { .. } => return Ok(()),
                    AgentEvent::Stopped { message } => bail!("{id} gave up: {message}"),
                    _ => {}
                }
            }
            bail!("{id} ended before it was logged in")
        };
        in_time(&id, is_in).await?;
        let AgentHandle { events, commands } = agent;
        let mut reader = JoinSet::new();
        reader.spawn(read(id.clone(), events, commands.clone(), plan.reading, board.clone()));
        Ok(Self { id, commands, cable, task, board, _reader: reader })
    }

    /// Pulls the network cable. Neither side is told.
    pub fn pull_cable(&self) {
        self.board.post(What::Pulled(self.id.clone()));
        self.cable.pull();
    }

    /// Plugs it in again; the client comes back by itself with its next try.
    pub fn plug_in(&self) {
        self.board.post(What::PluggedIn(self.id.clone()));
        self.cable.plug_in();
    }

    /// Says goodbye and ends. What it said last may still be in the cable.
    pub(crate) async fn stop(self) -> anyhow::Result<Cable> {
        // One that ended by itself tells why below.
        self.commands.send(AgentCommand::Stop).await.ok();
        let ended = tokio::time::timeout(GOODBYE, self.task).await;
        ended
            .with_context(|| format!("{} did not end in time", self.id))??
            .with_context(|| self.id.to_string())?;
        Ok(self.cable)
    }
}

/// Passes events on, and is the person in front of the screen.
async fn read(
    id: PatientId,
    mut events: mpsc::Receiver<AgentEvent>,
    commands: mpsc::Sender<AgentCommand>,
    reading: Duration,
    board: Board,
) {
    let mut unread = JoinSet::new();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            Some(_) = unread.join_next() => continue,
        };
        let Some(event) = event else { return };
        if let AgentEvent::Alert(alert) = &event
            && !alert.acknowledged
            && !reading.is_zero()
        {
            let (alert, commands) = (alert.id, commands.clone());
            unread.spawn(async move {
                tokio::time::sleep(reading).await;
                // A client that ended meanwhile needs no acknowledgement.
                commands.send(AgentCommand::Acknowledge(alert)).await.ok();
            });
        }
        board.post(What::Patient(id.clone(), event));
    }
}

impl Wearable {
    async fn admit(plan: &Plan, door: &Door, home: &Path) -> anyhow::Result<Self> {
        let name = plan.wearable.clone();
        let code = door.invite(ClientKind::Wearable, &plan.patient).await?;
        let folder = home.join(format!("wearable-{name}"));
        let config = DeviceConfig {
            pairing: Some(device::Pairing::Enter(code)),
            scenario: plan.scenario.clone(),
            seed: Some(plan.seed),
            worn: WORN,
            ..DeviceConfig::new(name.clone(), door.facts.wearables.to_string(), folder)
        };
        let Device { mut events, state, orders, mut task, .. } =
            device::start(config).with_context(|| format!("{name} does not start"))?;
        let board = door.board.clone();
        let is_in = async {
            while let Some(event) = events.recv().await {
                let is_in = matches!(event, DeviceEvent::Device(Event::Session { .. }));
                board.post(What::Wearable(name.clone(), event));
                if is_in {
                    return Ok(());
                }
            }
            (&mut task).await?.with_context(|| format!("{name} gave up"))?;
            bail!("{name} ended before it was logged in")
        };
        in_time(&name, is_in).await?;
        let mut reader = JoinSet::new();
        let named = name.clone();
        reader.spawn(async move {
            while let Some(event) = events.recv().await {
                board.post(What::Wearable(named.clone(), event));
            }
        });
        Ok(Self { name, orders, state, task, _reader: reader })
    }

    /// Waits until the gateway has acknowledged everything, at most `limit`, and ends. Returns how it stood then.
    pub(crate) async fn stop(mut self, limit: Duration) -> anyhow::Result<DeviceState> {
        // What is still waiting then is counted by the caller.
        tokio::time::timeout(limit, self.state.wait_for(|state| state.waiting == 0)).await.ok();
        self.orders.send(Act::Stop.into()).await.ok();
        let ended = tokio::time::timeout(GOODBYE, self.task).await;
        ended
            .with_context(|| format!("{} did not end in time", self.name))??
            .with_context(|| self.name.to_string())?;
        Ok(self.state.borrow().clone())
    }
}

impl Door {
    async fn invite(&self, kind: ClientKind, patient: &PatientId) -> anyhow::Result<PairingCode> {
        let invitation = Invitation {
            kind,
            patient: patient.clone(),
            replaces: false,
            code: None,
            network: None,
            by: "demo".into(),
        };
        let code: PairingCode = self.ward.invite(invitation).await?.code.parse()?;
        self.board.post(What::Invited { kind, patient: patient.clone(), code });
        Ok(code)
    }
}

async fn in_time(
    who: &impl std::fmt::Display,
    is_in: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let late = || format!("{who} was not logged in within {} s", ADMISSION_LIMIT.as_secs());
    tokio::time::timeout(ADMISSION_LIMIT, is_in).await.with_context(late)?
}
