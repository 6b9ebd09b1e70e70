//! A gateway with one patient, the program's verbs, and a wearable that does as the test says.

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use crypto::{Secret, identity::SigningKey};
use gateway::{
    app::{DATABASE, Gateway},
    config::Config,
    keyfile,
    store::{Store, offers::Offer},
    ward::event::WardEvent,
};
use host::{
    Clock,
    datadir::DataDir,
    drive::{self, ClientLink},
    entropy::system_rng,
};
use protocol::{
    cadence::Cadence,
    credential::{ClientIdentity, ClientKind, LoginKey, PinnedClient, PinnedGateway},
    endpoint::{
        client::{ClientEndpoint, Event},
        pairing::{Outcome, PairingEndpoint},
    },
    firmware::Firmware,
    handshake::{Channel, Terms},
    id::{BootId, ClientId, DeviceId},
    image::Header,
    message::{FromClient, Instruction},
    pairing::initiator::Candidate,
    status::{DeviceStatus, LinkQuality},
    time::ClockFlag,
    vitals::{Decimal, SampleTime},
    waveform::{Packed, Signal, Waveform},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    process::{Child, Command},
    sync::broadcast::Receiver,
};

pub(crate) const PATIENT: &str = "P001";
pub(crate) const BOARD: &str = "board";

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn maker(seed: u8) -> SigningKey {
    SigningKey::from_secret(&Secret::new([seed; 32]))
}

/// What a device of [`BOARD`] tells that runs this version.
pub(crate) fn status(version: u32) -> DeviceStatus {
    DeviceStatus {
        cadence: Cadence::UNTOLD,
        battery: None,
        link: LinkQuality::default(),
        waiting: 0,
        lost: 0,
        firmware: Firmware { name: format!("fw {version}"), version, hardware: BOARD.parse().unwrap() },
        update: None,
    }
}

pub(crate) struct Clinic {
    gateway: Gateway,
    folder: TempDir,
    clock: Clock,
}

impl Clinic {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("gateway-D001");
        enrol_patient(&home).await;
        let mut config = Config::new("D001".parse().unwrap(), home);
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.wearable_listen = config.listen;
        let clock = Clock::start();
        Self { gateway: Gateway::start(&config, clock).await.unwrap(), folder, clock }
    }

    /// Runs a verb to its end: exit code, standard output, standard error.
    pub(crate) async fn verb(&self, arguments: &[&str], input: &str) -> (i32, String, String) {
        let mut child = self.start(arguments);
        // A verb that reads nothing may be gone already.
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.ok();
        ended(child).await
    }

    /// Starts a verb.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command.args(arguments).arg("--data-dir").arg(&self.gateway.facts().data_dir);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// Runs a verb that must succeed, and gives its answer.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let (code, said, err) = self.verb(&[arguments, &["--json"]].concat(), "").await;
        assert_eq!(code, 0, "{arguments:?}: {err}");
        serde_json::from_str(&said).unwrap()
    }

    pub(crate) fn file(&self, name: &str, content: &[u8]) -> String {
        let path: PathBuf = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// An image that maker 1 signed.
    pub(crate) fn image(&self, body: &[u8], hardware: &str, version: u32) -> String {
        let header = Header::sign(body, &hardware.parse().unwrap(), version, &maker(1)).unwrap();
        self.file("image", &[header.bytes(), body].concat())
    }

    /// The public key of maker 1.
    pub(crate) fn maker(&self) -> String {
        let key = hex::encode(maker(1).verifying_key().to_bytes());
        self.file("maker.pub", format!("{key}\n").as_bytes())
    }

    /// Asks the only wearable for a signal.
    pub(crate) async fn ask_waveform(&self, signal: &str, seconds: u16) {
        let signal = Signal::ALL.iter().find(|known| known.to_string() == signal).unwrap();
        self.gateway.ward().ask_waveform("W001", *signal, seconds, "a test").await.unwrap();
    }

    /// What happens from now on.
    pub(crate) fn watch(&self) -> Receiver<WardEvent> {
        self.gateway.ward().subscribe()
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.gateway.facts().wearables).await.unwrap()
    }

    async fn pairing(&self, name: &str, code: &str) -> (TcpStream, Outcome) {
        let candidate = Candidate {
            kind: ClientKind::Wearable,
            wanted: Some(ClientId::Wearable(DeviceId::from_random([7; 16]))),
            name: Some(name.parse().unwrap()),
            login: LoginKey::generate(ClientKind::Wearable, &mut system_rng()).unwrap(),
            receipts: None,
        };
        let code = code.parse().unwrap();
        let endpoint =
            PairingEndpoint::start(candidate, code, Channel::Plain, self.clock.now(), &mut system_rng());
        drive::pair(self.dial().await, endpoint, self.clock).await.unwrap()
    }

    pub(crate) async fn try_pair(&self, name: &str, code: &str) -> Outcome {
        self.pairing(name, code).await.1
    }

    /// A wearable of the patient that is in session.
    pub(crate) async fn pair(&self, name: &str, more: &[&str]) -> Device {
        let ask = [&["pair", "--wearable", "--patient", PATIENT][..], more].concat();
        let offer = self.json(&ask).await;
        let (stream, outcome) = self.pairing(name, offer["code"].as_str().unwrap()).await;
        let granted = outcome.unwrap();
        self.log_in(stream, Arc::new(granted.identity), granted.gateway).await
    }

    async fn log_in(
        &self,
        stream: TcpStream,
        identity: Arc<ClientIdentity>,
        pinned: PinnedGateway,
    ) -> Device {
        let terms = Terms::of(ClientKind::Wearable, Channel::Plain, ClockFlag::None);
        let (known, now) = (Arc::clone(&identity), self.clock.now());
        let endpoint = ClientEndpoint::connect(known, pinned.clone(), None, terms, now, &mut system_rng());
        let link = ClientLink::new(stream, endpoint.unwrap(), self.clock);
        let mut device = Device { link, identity, pinned, standing: None };
        while !matches!(device.next().await, Event::Ticket { .. }) {}
        // What it is set to is the last thing that a login brings.
        device.standing = Some(device.instruction().await);
        device
    }

    pub(crate) async fn log_in_again(&self, device: Device) -> Device {
        let Device { identity, pinned, .. } = device;
        self.log_in(self.dial().await, identity, pinned).await
    }

    /// Waits until no wearable is in session.
    pub(crate) async fn wait_until_gone(&self) {
        let gone = async {
            while self.json(&["status"]).await["wearables_connected"] != 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap();
    }
}

/// How a verb ended: exit code, standard output, standard error.
pub(crate) async fn ended(verb: Child) -> (i32, String, String) {
    let ended = tokio::time::timeout(PATIENCE, verb.wait_with_output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
}

/// Pairs the patient's own client, as far as the store sees it; it never comes.
async fn enrol_patient(home: &std::path::Path) {
    let data_dir = DataDir::open(home).unwrap();
    let key = keyfile::obtain(&data_dir).unwrap().key;
    let store = Store::open(&home.join(DATABASE), &key, &"D001".parse().unwrap()).unwrap();
    let client = PinnedClient {
        id: ClientId::Patient(PATIENT.parse().unwrap()),
        login: LoginKey::generate(ClientKind::Patient, &mut system_rng()).unwrap().verifying_key(),
        receipts: Some(maker(2).verifying_key()),
    };
    let now = Clock::start().now().wall;
    let offer = Offer {
        code: "BCD-EFG-HJ3".parse().unwrap(),
        kind: ClientKind::Patient,
        patient: PATIENT.parse().unwrap(),
        replaces: false,
        created: now,
        expires: now + Duration::from_secs(600),
        tries_left: 3,
        network: None,
    };
    let paired = store.write(move |ledger| {
        ledger.create_offer(&offer)?;
        ledger.enrol_pending(&client, None, offer.code.selector, now)?;
        ledger.confirm_enrolment(&client.id, client.login.key_id(), now)
    });
    paired.await.unwrap();
    store.close().await;
}

pub(crate) struct Device {
    link: ClientLink<TcpStream>,
    identity: Arc<ClientIdentity>,
    pinned: PinnedGateway,
    /// What the gateway wanted as soon as it was in.
    pub(crate) standing: Option<Instruction>,
}

impl Device {
    async fn next(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.link.next_event()).await.expect("not in time").unwrap()
    }

    pub(crate) fn say(&mut self, message: &FromClient<'_>) {
        self.link.say(message).unwrap();
    }

    /// What the gateway wants next.
    pub(crate) async fn instruction(&mut self) -> Instruction {
        loop {
            match self.next().await {
                Event::Instruction(instruction) => return instruction,
                Event::GatewayTime(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Everything said so far is dealt with, and the gateway wanted nothing: a request for a piece of no image is
    /// answered after what was said before.
    pub(crate) async fn settle(&mut self) {
        let request = protocol::firmware::FirmwareRequest { image: 0, offset: 0, length: 1 };
        self.say(&FromClient::FirmwareRequest(request));
        let Instruction::Chunk(chunk) = self.instruction().await else { panic!("something else is wanted") };
        assert_eq!(chunk.image, 0);
    }

    /// Sends samples of a signal, the first of this number.
    pub(crate) fn wave(&mut self, signal: Signal, first: u64, count: usize) {
        let samples: Vec<i32> = (0..count).map(|n| i32::try_from(n).unwrap()).collect();
        let wave = Waveform {
            signal,
            boot: BootId(7),
            first,
            taken: SampleTime { since_boot_ms: first * 10, wall: None },
            rate_millihertz: 100_000,
            scale: Decimal { mantissa: 5, exponent: -3 },
            unit: "mV".into(),
            simulated: true,
            samples: Packed::pack(&samples).0,
        };
        self.say(&FromClient::Waveform(&wave));
    }

    /// Takes an instruction, and sends batches of its signal: first number and count of each.
    pub(crate) async fn instruction_then_waves(&mut self, batches: &[(u64, usize)]) -> Instruction {
        let asked = self.instruction().await;
        let Instruction::Waveform(request) = &asked else { return asked };
        for (first, count) in batches {
            self.wave(request.signal, *first, *count);
        }
        self.settle().await;
        asked
    }
}
