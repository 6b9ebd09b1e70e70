//! A device, its flash, the gateways that may answer it and the wire between, in virtual time.

use std::{
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
    rc::Rc,
    time::Duration,
};

use crypto::{Secret, purpose::StorageKey};
use embedded_storage::nor_flash::ReadNorFlash;
use protocol::{
    credential::{ClientKind, Suite},
    firmware::Firmware,
    handshake::Channel,
    id::{ClientId, DeviceId, Seq},
    pairing::code::PairingCode,
    testkit::{ConnId, SimGateway, WALL_START},
    time::{Monotonic, Now, UnixMillis},
    vitals::KnownQuantity,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use wearable_core::{
    device::{BootError, BootReport, Device, Event, HOLD, LinkWish, RecordError, Setup, Track, UpdateSetup},
    flash::{Layout, ram::Cut},
    mode::{Link, Mode, Switch},
    proximity::ShortRange,
    update::factory,
    uplink::{Gap, Limits},
};

use crate::board::{Chip, Near, SharedFlash};

const PAGE: u32 = 4096;
const PAGES: usize = 32;
const DELAY: u64 = 40;

pub(crate) type Wearable = Device<SharedFlash, Near, ChaCha20Rng>;

#[derive(Debug)]
struct Wire {
    id: ConnId,
    gateway: usize,
    to_gateway: VecDeque<(u64, Vec<u8>)>,
    to_device: VecDeque<(u64, Vec<u8>)>,
    /// The gateway closed it; the device hears of it when all has arrived.
    closed: bool,
}

pub(crate) struct World {
    pub(crate) gateways: Vec<SimGateway>,
    /// Which of them answers.
    pub(crate) answers: usize,
    pub(crate) network: bool,
    /// What somebody else says on every connection, in the gateway's place.
    pub(crate) stranger: Option<Vec<u8>>,
    /// One in so many deliveries cuts the connection instead; 0: none does.
    pub(crate) cut_one_in: u64,
    pub(crate) device: Option<Wearable>,
    pub(crate) flash: Rc<RefCell<Chip>>,
    pub(crate) near: Rc<RefCell<ShortRange>>,
    pub(crate) switch: Switch,
    pub(crate) update: Option<UpdateSetup>,
    pub(crate) suites: Vec<Suite>,
    pub(crate) time: u64,
    pub(crate) events: Vec<Event>,
    /// Every byte that the device sent and received.
    pub(crate) heard: Vec<u8>,
    pub(crate) dials: u32,
    /// How far the gateways' wall clocks are off.
    pub(crate) wall_skew_ms: i64,
    pub(crate) rng: ChaCha20Rng,
    seed: u64,
    id: DeviceId,
    wire: Option<Wire>,
    next_wire: u64,
    booted: u64,
}

pub(crate) fn layout() -> Layout {
    Layout { config: 0..2 * PAGE, samples: 2 * PAGE..12 * PAGE, thinned: 12 * PAGE..16 * PAGE }
}

pub(crate) const TRACK: Track = Track {
    signal: protocol::waveform::Signal::ECG,
    rate_millihertz: 360_000,
    scale: protocol::vitals::Decimal { mantissa: 1, exponent: 0 },
    unit: "uV",
};

impl World {
    /// A new device beside a person, and two gateways, of which the first answers.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let time = 1_000;
        let gateways = (0..2).map(|_| SimGateway::new(now_at(time), &mut rng)).collect();
        let mut random = [0; 16];
        rng.fill_bytes(&mut random);
        let mut world = Self {
            gateways,
            answers: 0,
            network: true,
            stranger: None,
            suites: ClientKind::Wearable.suites().to_vec(),
            update: None,
            cut_one_in: 0,
            device: None,
            flash: Rc::new(RefCell::new(Chip::new(PAGES))),
            near: Rc::new(RefCell::new(ShortRange { near: true, code: None })),
            switch: Switch::Working,
            time,
            events: Vec::new(),
            heard: Vec::new(),
            dials: 0,
            wall_skew_ms: 0,
            rng,
            seed,
            id: DeviceId::from_random(random),
            wire: None,
            next_wire: 1,
            booted: 0,
        };
        world.boot();
        world
    }

    /// The same where updates are taken.
    pub(crate) fn with_updates(seed: u64, update: UpdateSetup, image: &[u8]) -> Self {
        let mut world = Self::new(seed);
        factory(&mut *world.flash.borrow_mut(), &update.layout, &update.trust, image).unwrap();
        world.update = Some(update);
        world.boot();
        world.pair();
        world
    }

    /// A device that is bound to the first gateway and in session.
    pub(crate) fn bound(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.pair();
        world
    }

    pub(crate) fn setup(&self) -> Setup {
        Setup {
            id: self.id,
            name: "W001".parse().unwrap(),
            firmware: Firmware {
                name: "vitalward-test 1".into(),
                version: 1,
                hardware: "test".parse().unwrap(),
            },
            suites: self.suites.clone(),
            storage_key: Secret::<StorageKey>::new([9; 32]),
            layout: layout(),
            limits: Limits { in_flight: 4, samples_per_batch: 16, batch_bytes: 2048 },
            switch: self.switch,
            tracks: vec![TRACK],
            update: self.update.clone(),
            refused_wait: Duration::from_secs(60),
        }
    }

    /// Power comes (back): everything in RAM is new.
    pub(crate) fn boot(&mut self) -> BootReport {
        self.try_boot().unwrap()
    }

    /// The same, where power may fail again.
    pub(crate) fn try_boot(&mut self) -> Option<BootReport> {
        self.start().ok()
    }

    pub(crate) fn start(&mut self) -> Result<BootReport, BootError> {
        self.kill();
        self.booted += 1;
        let rng = ChaCha20Rng::seed_from_u64(self.seed * 1_000 + self.booted);
        let flash = SharedFlash(Rc::clone(&self.flash));
        let near = Near(Rc::clone(&self.near));
        let (device, report) = Device::boot(flash, near, rng, self.setup(), Monotonic(self.time))?;
        self.device = Some(device);
        Ok(report)
    }

    /// Power goes: nobody says goodbye.
    pub(crate) fn kill(&mut self) {
        self.cut_wire();
        if let Some(mut device) = self.device.take() {
            while let Some(event) = device.poll_event() {
                self.events.push(event);
            }
        }
        self.flash.borrow_mut().power_on();
    }

    pub(crate) fn cut_power_at(&mut self, cut: Cut) {
        self.flash.borrow_mut().cut_at(cut);
    }

    pub(crate) fn has_power(&self) -> bool {
        self.flash.borrow_mut().read(0, &mut [0; 4]).is_ok()
    }

    pub(crate) fn id(&self) -> ClientId {
        ClientId::Wearable(self.id)
    }

    pub(crate) fn device(&mut self) -> &mut Wearable {
        self.device.as_mut().unwrap()
    }

    pub(crate) fn mode(&self) -> Mode {
        self.device.as_ref().unwrap().mode()
    }

    pub(crate) fn now(&self) -> Monotonic {
        Monotonic(self.time)
    }

    pub(crate) fn gateway_now(&self) -> Now {
        let Now { wall, mono } = now_at(self.time);
        Now { wall: UnixMillis(wall.0.saturating_add_signed(self.wall_skew_ms)), mono }
    }

    pub(crate) fn is_online(&self) -> bool {
        self.mode() == Mode::Working(Link::Online)
    }

    // What people do.

    pub(crate) fn hold(&mut self, time: Duration) {
        let now = self.now();
        self.device().button(true, now);
        self.run(time);
        let now = self.now();
        self.device().button(false, now);
        self.settle();
    }

    pub(crate) fn open_window(&mut self) -> Option<PairingCode> {
        self.hold(HOLD);
        self.device().code()
    }

    pub(crate) fn slide(&mut self, switch: Switch) {
        self.switch = switch;
        let now = self.now();
        self.device().slide(switch, now);
    }

    /// The doctor enters the code that the device shows.
    pub(crate) fn enter_at_gateway(&mut self, gateway: usize, code: PairingCode) {
        let (id, now) = (self.id(), self.gateway_now());
        self.gateways[gateway].offer_code(id, code, true, now);
    }

    /// The doctor opens an offer, and reads its code aloud.
    pub(crate) fn offer(&mut self, gateway: usize) -> PairingCode {
        let (id, now) = (self.id(), self.gateway_now());
        self.gateways[gateway].offer(id, true, now, &mut self.rng)
    }

    /// Pairs with the gateway that answers, by the device's code.
    pub(crate) fn pair(&mut self) {
        let code = self.open_window().unwrap();
        self.enter_at_gateway(self.answers, code);
        assert!(self.run_until(Duration::from_secs(30), Self::is_online), "{:?}", self.events);
    }

    /// Takes a sample.
    pub(crate) fn sample(&mut self) -> Result<Option<Gap>, RecordError> {
        let now = self.now();
        let rate = 60 + i32::try_from(self.time / 1_000 % 40).unwrap();
        let quantities = vec![KnownQuantity::HEART_RATE.measured(rate, 0)];
        let taken = self.device().record(quantities, true, now);
        self.settle();
        taken
    }

    /// A sample a second for so long.
    pub(crate) fn sample_for(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.sample().unwrap();
            self.run(Duration::from_secs(1));
        }
    }

    /// The samples of this device that a gateway has, each exactly once.
    pub(crate) fn stored_at(&self, gateway: usize) -> Vec<u64> {
        let rows = &self.gateways[gateway].store.rows;
        let own = rows.iter().filter(|((device, _), _)| *device == self.id);
        own.map(|((_, Seq(seq)), times)| {
            assert_eq!(*times, 1, "{seq} is stored twice");
            *seq
        })
        .collect()
    }

    /// The numbers of this device's samples in the order in which a gateway heard them first.
    pub(crate) fn heard_by(&self, gateway: usize) -> Vec<u64> {
        let samples = self.gateways[gateway].store.batches.iter().flat_map(|batch| &batch.samples);
        let mut seen = BTreeSet::new();
        samples.map(|sample| sample.seq.0).filter(|seq| seen.insert(*seq)).collect()
    }

    // Time and wires.

    /// Runs for so long.
    pub(crate) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Runs until something holds, at most so long. Whether it holds.
    pub(crate) fn run_until(&mut self, limit: Duration, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let end = self.time + u64::try_from(limit.as_millis()).unwrap();
        loop {
            self.settle();
            let due = self.device.as_ref().and_then(Device::poll_timeout);
            assert!(
                due.is_none_or(|due| due > self.now()) || !self.has_power(),
                "the device does not come to rest"
            );
            if holds(self) {
                return true;
            }
            if self.device.is_none() || !self.has_power() {
                return false;
            }
            let next = self.next_time().max(self.time + 1);
            if next > end {
                self.time = end;
                self.settle();
                return holds(self);
            }
            self.time = next;
        }
    }

    fn next_time(&self) -> u64 {
        let device = self.device.as_ref().and_then(Device::poll_timeout).map(|due| due.0);
        let gateways = self.gateways.iter().filter_map(SimGateway::next_time);
        let wires = self
            .wire
            .iter()
            .flat_map(|wire| wire.to_gateway.front().into_iter().chain(wire.to_device.front()));
        let closing = self.wire.iter().filter(|wire| wire.closed).map(|_| self.time + 1);
        device
            .into_iter()
            .chain(gateways)
            .chain(wires.map(|(at, _)| *at))
            .chain(closing)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Does all that is due now.
    pub(crate) fn settle(&mut self) {
        let at = self.gateway_now();
        for gateway in &mut self.gateways {
            gateway.handle_timeout(at, &mut self.rng);
        }
        loop {
            let now = self.now();
            let Some(device) = &mut self.device else { return };
            if device.poll_timeout().is_some_and(|due| due <= now) {
                device.handle_timeout(now);
            }
            while let Some(event) = device.poll_event() {
                self.events.push(event);
            }
            let moved = self.obey() | self.carry();
            if !moved {
                return;
            }
        }
    }

    fn obey(&mut self) -> bool {
        let (now, at) = (self.now(), self.gateway_now());
        let Some(device) = &mut self.device else { return false };
        match device.poll_link(now) {
            LinkWish::Nothing => false,
            LinkWish::Dial => {
                self.dials += 1;
                if !self.network || !self.gateways[self.answers].is_up() {
                    device.handle_closed(now);
                    return true;
                }
                if let Some(said) = &self.stranger {
                    device.handle_connected(now);
                    device.handle_bytes(said, now);
                    return true;
                }
                let id = ConnId(self.next_wire);
                self.next_wire += 1;
                self.gateways[self.answers].accept(id, ClientKind::Wearable, Channel::Plain, at);
                let (to_gateway, to_device) = (VecDeque::new(), VecDeque::new());
                self.wire = Some(Wire { id, gateway: self.answers, to_gateway, to_device, closed: false });
                device.handle_connected(now);
                true
            }
            LinkWish::HangUp => {
                let last: Vec<_> = std::iter::from_fn(|| device.poll_transmit()).collect();
                if let Some(wire) = self.wire.take() {
                    let gateway = &mut self.gateways[wire.gateway];
                    for (_, bytes) in wire.to_gateway {
                        gateway.handle_bytes(wire.id, &bytes, at, &mut self.rng);
                    }
                    for bytes in last {
                        gateway.handle_bytes(wire.id, &bytes, at, &mut self.rng);
                    }
                    gateway.connection_lost(wire.id, at);
                }
                true
            }
        }
    }

    fn carry(&mut self) -> bool {
        let (now, time, at) = (self.now(), self.time, self.gateway_now());
        let mut moved = false;
        let Some(device) = &mut self.device else { return false };
        while let Some(bytes) = device.poll_transmit() {
            moved = true;
            self.heard.extend_from_slice(&bytes);
            if let Some(wire) = &mut self.wire {
                wire.to_gateway.push_back((time + self.rng.next_u64() % DELAY, bytes));
            }
        }
        for (number, gateway) in self.gateways.iter_mut().enumerate() {
            for (id, bytes) in gateway.take_output() {
                moved = true;
                let Some(wire) = self.wire.as_mut().filter(|w| w.id == id && w.gateway == number) else {
                    continue;
                };
                match bytes {
                    Some(bytes) => wire.to_device.push_back((time + self.rng.next_u64() % DELAY, bytes)),
                    None => wire.closed = true,
                }
            }
        }
        let Some(wire) = &mut self.wire else { return moved };
        let arrives = |queue: &mut VecDeque<(u64, Vec<u8>)>| queue.pop_front_if(|(at, _)| *at <= time);
        let up = arrives(&mut wire.to_gateway);
        let down = if up.is_none() { arrives(&mut wire.to_device) } else { None };
        let Some((_, bytes)) = up.as_ref().or(down.as_ref()) else {
            if wire.closed && wire.to_device.is_empty() {
                self.wire = None;
                device.handle_closed(now);
                moved = true;
            }
            return moved;
        };
        if self.cut_one_in > 0 && self.rng.next_u64().is_multiple_of(self.cut_one_in) {
            // Perhaps a part of it still arrives.
            let part = bytes.len() / 2;
            if down.is_some() {
                device.handle_bytes(&bytes[..part], now);
            }
            self.cut_wire();
            if let Some(device) = &mut self.device {
                device.handle_closed(now);
            }
            return true;
        }
        if up.is_some() {
            let (id, gateway) = (wire.id, wire.gateway);
            self.gateways[gateway].handle_bytes(id, bytes, at, &mut self.rng);
        } else {
            self.heard.extend_from_slice(bytes);
            device.handle_bytes(bytes, now);
        }
        true
    }

    /// The connection is gone for the gateway; the device was not told.
    fn cut_wire(&mut self) {
        let at = self.gateway_now();
        if let Some(wire) = self.wire.take() {
            self.gateways[wire.gateway].connection_lost(wire.id, at);
        }
    }

    /// The network goes away or comes back.
    pub(crate) fn set_network(&mut self, on: bool) {
        self.network = on;
        if !on && self.wire.is_some() {
            self.cut_wire();
            let now = self.now();
            self.device().handle_closed(now);
        }
    }
}

pub(crate) fn now_at(time: u64) -> Now {
    Now { wall: UnixMillis(WALL_START + time), mono: Monotonic(time) }
}
