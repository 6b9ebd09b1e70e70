//! The device's loop: what comes goes into the core; what the core wants is carried out. Decides nothing about the
//! protocol; owns only the passing of time and what people and scenarios do.

use std::time::Duration;

use protocol::{status::Battery, time::Monotonic, waveform::Signal};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::sleep,
};
use wearable_core::{
    device::{BootReport, Event, HOLD, LinkWish, RecordError},
    mode::{Link, Mode, Switch},
    sensing::quantities,
};

use super::{
    DeviceError, DeviceEvent, Ended, Order, Pairing, Speed,
    board::{Board, Wearable},
    clock::BoardClock,
    wake::{Sampling, Wake},
    wires::Wires,
};
use crate::{
    act::{Act, Board as Trouble, Person, Wire},
    cable::{Arrival, Cable},
    sampling::{Step, Wearer},
    scenario::Scenario,
};

/// An unlimited device stops sampling with so many samples waiting.
const UNLIMITED_WAITING: u64 = 256;
/// Before an unlimited device tries to store again.
const STORAGE_WAIT: Duration = Duration::from_secs(2);
/// Seconds of record time for one percent of the simulated battery.
const SECONDS_PER_PERCENT: u64 = 600;
/// Where the slide switch stands at the start.
pub(super) const SWITCH: Switch = Switch::Working;
/// Record time that passes in a step.
const STEP_MS: u32 = 1_000;

pub(super) struct Settings {
    pub(super) gateway: String,
    pub(super) speed: Speed,
    pub(super) samples: Option<u64>,
    pub(super) pairing: Option<Pairing>,
    pub(super) attended: bool,
}

type Done = Option<oneshot::Sender<Result<(), String>>>;

/// A button that is down.
struct Pressed {
    until: Monotonic,
    done: Done,
}

pub(super) struct Runner {
    settings: Settings,
    board: Board,
    device: Wearable,
    cable: Cable,
    farewells: JoinSet<()>,
    wearer: Wearer,
    wires: Wires,
    clock: BoardClock,
    switch: Switch,
    pressed: Option<Pressed>,
    lost_because: Option<String>,
    /// Record time since the last sample.
    unsampled_ms: u32,
    /// Record time since the program began.
    seconds: u64,
    taken: u64,
    not_stored: u64,
    battery: u8,
}

impl Runner {
    pub(super) fn new(
        settings: Settings,
        board: Board,
        device: Wearable,
        wearer: Wearer,
        wires: Wires,
        clock: BoardClock,
    ) -> Self {
        Self {
            cable: Cable::new(settings.gateway.clone()),
            settings,
            board,
            device,
            farewells: JoinSet::new(),
            wearer,
            wires,
            clock,
            switch: SWITCH,
            pressed: None,
            lost_because: None,
            unsampled_ms: 0,
            seconds: 0,
            taken: 0,
            not_stored: 0,
            battery: 100,
        }
    }

    pub(super) async fn run(
        mut self,
        report: BootReport,
        mut orders: mpsc::Receiver<Order>,
    ) -> Result<Ended, DeviceError> {
        self.wires.tell(DeviceEvent::Found(report));
        self.set_battery(100);
        self.press_to_pair();
        let mut sampling = Sampling::at(self.settings.speed);
        loop {
            self.settle()?;
            self.publish();
            if self.is_delivered() {
                return self.end(Ended::Delivered).await;
            }
            let due = self.due().map(|due| self.clock.until(due));
            let may_sample = self.may_sample();
            // Only the waits are raced; what follows runs to its end.
            let wake =
                Wake::next(&mut orders, &mut self.cable, due, may_sample.then_some(&mut sampling)).await;
            match wake {
                Wake::Order(None | Some(Order { act: Act::Stop, .. })) => {
                    return self.end(Ended::Stopped).await;
                }
                Wake::Order(Some(Order { act, done })) => self.carry_out(act, done)?,
                Wake::Network(arrival) => self.arrive(arrival),
                Wake::TimeOut => self.time_out()?,
                Wake::SampleDue => {
                    if !self.sample()? && matches!(sampling, Sampling::Unlimited) {
                        // Time does not slow an unlimited device down.
                        sleep(STORAGE_WAIT).await;
                    }
                }
            }
        }
    }

    /// The pairing that the program was started with: as if its person had come and pressed the button.
    fn press_to_pair(&mut self) {
        let Some(pairing) = self.settings.pairing else { return };
        self.device.slide(Switch::Configuration, self.clock.now());
        self.device.button(true, self.clock.now());
        self.clock.jump(HOLD);
        self.device.button(false, self.clock.now());
        self.device.slide(self.switch, self.clock.now());
        if let Pairing::Enter(code) = pairing {
            self.device.enter_code(code, self.clock.now());
        }
    }

    fn is_delivered(&self) -> bool {
        self.settings.samples.is_some_and(|samples| self.taken >= samples)
            && self.device.uplink().waiting() == 0
    }

    fn may_sample(&self) -> bool {
        let wanted = self.settings.samples.is_none_or(|samples| self.taken < samples);
        // Who runs ahead of time waits for somebody to take what it measures.
        let is_timed = self.settings.speed.interval().is_some();
        wanted
            && (is_timed
                || self.device.gateway().is_some() && self.device.uplink().waiting() < UNLIMITED_WAITING)
    }

    fn due(&self) -> Option<Monotonic> {
        let released = self.pressed.as_ref().map(|pressed| pressed.until);
        self.device.poll_timeout().into_iter().chain(released).min()
    }

    async fn end(mut self, ended: Ended) -> Result<Ended, DeviceError> {
        self.device.shut_down(self.clock.now());
        self.settle()?;
        self.publish();
        self.farewells.join_all().await;
        Ok(ended)
    }

    // What the core wants.

    /// Carries out what the core wants until it wants nothing more.
    fn settle(&mut self) -> Result<(), DeviceError> {
        loop {
            if self.board.trouble().is_off() {
                self.reboot("power cut")?;
            }
            if let Some(event) = self.device.poll_event() {
                self.hear(event)?;
                continue;
            }
            match self.device.poll_link(self.clock.now()) {
                LinkWish::Dial => self.cable.dial(),
                LinkWish::HangUp => {
                    self.send();
                    self.farewells.spawn(self.cable.hang_up());
                }
                LinkWish::Nothing => break,
            }
        }
        self.send();
        while self.farewells.try_join_next().is_some() {}
        Ok(())
    }

    fn send(&mut self) {
        while let Some(bytes) = self.device.poll_transmit() {
            self.cable.send(bytes);
        }
    }

    fn hear(&mut self, event: Event) -> Result<(), DeviceError> {
        let end = self.end_by(&event);
        match &event {
            Event::Session { .. } => self.lost_because = None,
            Event::Disconnected(why) => self.lost_because = Some(why.clone()),
            Event::Restart => {
                self.wires.tell(DeviceEvent::Device(event));
                self.device.shut_down(self.clock.now());
                self.send();
                return self.reboot("update");
            }
            _ => {}
        }
        if matches!(event, Event::Bound { .. }) {
            self.settings.pairing = None;
        }
        self.wires.tell(DeviceEvent::Device(event));
        end.map_or(Ok(()), Err)
    }

    /// Whether it is of no use to go on, with nobody there who could press a button.
    fn end_by(&self, event: &Event) -> Option<DeviceError> {
        if self.settings.attended {
            return None;
        }
        match (event, self.settings.pairing) {
            (Event::Mode { from: Mode::Working(Link::Online), to: Mode::Unprovisioned }, _) => {
                Some(DeviceError::Revoked)
            }
            (Event::Refused(why), Some(Pairing::Enter(_))) if self.device.code().is_some() => {
                Some(DeviceError::PairingRefused(why.clone()))
            }
            (Event::Mode { from: Mode::PairingOpen | Mode::Validating, to }, Some(_))
                if !matches!(to, Mode::Validating | Mode::Working(Link::Online) | Mode::PairingOpen) =>
            {
                Some(DeviceError::PairingOver)
            }
            _ => None,
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        let now = self.clock.now();
        match arrival {
            Arrival::Connected => self.device.handle_connected(now),
            Arrival::Bytes(bytes) => self.device.handle_bytes(&bytes, now),
            Arrival::Closed(why) => {
                self.device.handle_closed(now);
                self.lost_because = Some(why);
            }
        }
    }

    fn time_out(&mut self) -> Result<(), DeviceError> {
        let now = self.clock.now();
        if let Some(Pressed { done, .. }) = self.pressed.take_if(|pressed| now >= pressed.until) {
            self.device.button(false, now);
            self.settle()?;
            self.publish();
            answer(done, Ok(()));
        }
        self.device.handle_timeout(now);
        Ok(())
    }

    /// Off and on again: memory gone, flash kept.
    fn reboot(&mut self, why: &'static str) -> Result<(), DeviceError> {
        self.cable.cut();
        if let Some(Pressed { done, .. }) = self.pressed.take() {
            answer(done, Err(format!("the device went off ({why}) while its button was down")));
        }
        self.lost_because = None;
        let (device, report) = self.board.boot(self.switch, self.clock.now())?;
        self.device = device;
        self.wearer.restart()?;
        self.set_battery(self.battery);
        self.wires.tell(DeviceEvent::Booted { why, report });
        Ok(())
    }

    // What is measured.

    /// The next second of the patient, and a sample if one is due by now. False: it could not be stored.
    fn sample(&mut self) -> Result<bool, DeviceError> {
        let (acts, step) = self.wearer.next_second();
        for act in acts {
            self.carry_out(act, None)?;
        }
        self.unsampled_ms += STEP_MS;
        let is_due = self.unsampled_ms >= self.device.settings().cadence().sample_ms;
        if is_due {
            self.unsampled_ms = 0;
        }
        let stored = !is_due || self.record(&step);
        let now = self.clock.now();
        let sensed = &step.sensed;
        let signals = [
            (Signal::ECG, &sensed.ecg),
            (Signal::PPG_INFRARED, &sensed.infrared),
            (Signal::PPG_RED, &sensed.red),
        ];
        for (signal, samples) in signals {
            self.device.waveform(signal, samples, true, now);
        }
        self.wires.state.send_modify(|state| state.pass(step));
        self.seconds += 1;
        // A battery that lasts 16 hours and never quite ends.
        if self.seconds.is_multiple_of(SECONDS_PER_PERCENT) && self.battery > 5 {
            self.set_battery(self.battery - 1);
        }
        Ok(stored)
    }

    fn record(&mut self, step: &Step) -> bool {
        match self.device.record(quantities(&step.sensed.second), true, self.clock.now()) {
            Ok(_) => {
                self.taken += 1;
                self.wires.tell(DeviceEvent::Taken(self.device.uplink().taken()));
            }
            // What is measured before a pairing is nobody's. A power cut is told by the start that follows it.
            Err(RecordError::NotBound) => {}
            Err(_) if self.board.trouble().is_off() => {}
            Err(error) => {
                tracing::error!(%error, "a sample was not stored");
                self.not_stored += 1;
                self.wires.tell(DeviceEvent::NotStored(chain(&error)));
                return false;
            }
        }
        true
    }

    fn set_battery(&mut self, percent: u8) {
        self.battery = percent;
        self.device.set_battery(Some(Battery { percent, charging: Some(false) }), self.clock.now());
    }

    // What is done to it.

    fn carry_out(&mut self, act: Act, done: Done) -> Result<(), DeviceError> {
        if let Act::Person(Person::Press(millis)) = act {
            let now = self.clock.now();
            if let Some(pressed) = &self.pressed {
                let left = self.clock.until(pressed.until).as_secs_f32();
                answer(done, Err(format!("the button is down already; it comes up in {left:.1} s")));
                return Ok(());
            }
            self.device.button(true, now);
            self.pressed = Some(Pressed { until: now + Duration::from_millis(millis.into()), done });
            self.wires.tell(DeviceEvent::Did(act));
            return Ok(());
        }
        let outcome = self.act(&act)?;
        self.settle()?;
        self.publish();
        if outcome.is_ok() {
            self.wires.tell(DeviceEvent::Did(act));
        }
        answer(done, outcome);
        Ok(())
    }

    /// The inner result is what its person is told.
    fn act(&mut self, act: &Act) -> Result<Result<(), String>, DeviceError> {
        let now = self.clock.now();
        match act {
            Act::Body(body) => self.wearer.act(*body),
            Act::Nack { sensor, on } => self.wearer.faults().nack(*sensor, *on),
            Act::Bus { stuck } => self.wearer.faults().stuck = *stuck,
            Act::Reads { late } => self.wearer.faults().late = *late,
            Act::Scenario(name) => match Scenario::named(name) {
                Ok(scenario) => self.wearer.set_scenario(scenario)?,
                Err(error) => return Ok(Err(error.to_string())),
            },
            Act::Person(Person::Press(_)) | Act::Stop => {}
            Act::Person(Person::Slide { configuration }) => {
                self.switch = if *configuration { Switch::Configuration } else { Switch::Working };
                self.device.slide(self.switch, now);
            }
            Act::Person(Person::Code(code)) => self.device.enter_code(*code, now),
            Act::Person(Person::Confirm) => self.device.confirm(now),
            Act::Wire(wire) => {
                self.cable.act(*wire);
                if *wire == Wire::Network(true) && self.device.gateway().is_some() {
                    self.device.retry(now);
                }
            }
            Act::Board(Trouble::Flip(bit)) => {
                if let Err(error) = self.board.flip(*bit) {
                    return Ok(Err(format!("no bit was flipped: {error}")));
                }
            }
            Act::Board(Trouble::PowerCut(write)) => self.board.trouble().cut_at(*write),
            Act::Board(Trouble::ClockSkew(seconds)) => {
                self.clock.jump(Duration::from_secs((*seconds).into()));
                self.device.handle_timeout(self.clock.now());
            }
            Act::Board(Trouble::Reboot) => self.reboot("reboot")?,
            Act::Board(Trouble::Battery(percent)) => self.set_battery(*percent),
            Act::Retry => self.device.retry(now),
            Act::Finish => self.settings.samples = Some(self.taken),
        }
        Ok(Ok(()))
    }

    /// Shows how things stand.
    fn publish(&mut self) {
        let faults = *self.wearer.faults();
        let (device, uplink) = (&self.device, self.device.uplink());
        self.wires.state.send_modify(|state| {
            state.mode = device.mode();
            state.doctor = device.gateway().map(|gateway| gateway.doctor.clone());
            state.code = device.code();
            state.refusal = device.refusal().map(ToOwned::to_owned);
            state.lost_because.clone_from(&self.lost_because);
            state.switch = self.switch;
            state.pressed = self.pressed.is_some();
            state.settings = device.settings();
            state.condition = self.cable.condition();
            state.contact = self.wearer.patient().contact();
            state.faults = faults;
            state.scenario.clone_from(&self.wearer.patient().scenario().name);
            state.taken = uplink.taken();
            state.waiting = uplink.waiting();
            state.acknowledged = uplink.acknowledged();
            state.lost = uplink.lost() + self.not_stored;
            state.battery = self.battery;
        });
    }
}

fn answer(done: Done, outcome: Result<(), String>) {
    if let Some(done) = done {
        // Who asked may have gone.
        done.send(outcome).ok();
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}
