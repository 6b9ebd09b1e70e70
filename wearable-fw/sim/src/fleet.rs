//! Many wearables in one process, for load: each is a whole device with keys, flash and connection of its own, below one
//! folder, so that a second run needs no codes.
//!
//! Owns the codes, the count and the summary. What a device does is [`agent`]'s; here it only is started,
//! listened to and ended.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, IsTerminal, Read, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use clap::Args as Arguments;
use host::{
    command_line::parse_address,
    datadir::{self, DataDir},
    exit::{Exit, Stop},
    signals::Signals,
};
use protocol::{id::Seq, pairing::code::PairingCode};
use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use wearable_core::device::Event;

use crate::{
    act::Act,
    agent::{self, Device, DeviceConfig, DeviceError, DeviceEvent, FlashSize, Order, Pairing, Speed},
    cli::{parse_speed, scenario_refused},
    flash::Durable,
    scenario::Scenario,
};

/// Pairings at once: each costs the gateway more than a login.
const PAIRINGS: usize = 8;
/// Longest wait for a pairing.
const PAIRING_LIMIT: Duration = Duration::from_secs(120);
/// Longest wait for the last samples to be acknowledged.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);
/// Between two words about the progress.
const PROGRESS: Duration = Duration::from_secs(1);
/// Longest text with codes, bytes.
const MOST_CODES: u64 = 1 << 20;
/// Acknowledgement times from here on count as this long.
const SLOWEST_MS: usize = 60_000;
/// Hours of samples, and little room for a thousand of them.
const FLASH: FlashSize = FlashSize { samples: 48, thinned: 8, durable: Durable::Program };

/// What a person typed behind `fleet`.
#[derive(Debug, Clone, Arguments)]
#[command(after_help = "Codes come from: gateway pair --wearable --patient P001 --count N\n\
                  Ends with 0 if all samples are acknowledged, else with 3.")]
pub struct FleetArgs {
    /// How many wearables
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=9_999))]
    pub count: u16,

    /// Where the gateway takes wearables
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7301", value_parser = parse_address)]
    pub gateway: String,

    /// Codes for those that are not paired yet, one in a line; "-" reads standard input
    #[arg(long, value_name = "FILE|-")]
    pub codes: Option<PathBuf>,

    /// Where to keep their keys
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Seconds of record time in a second: 0.1 to 1000
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = parse_speed)]
    pub speed: Speed,

    /// What happens to the simulated patients
    #[arg(long, value_name = "NAME|FILE", default_value = "normal")]
    pub scenario: String,

    /// Which simulated patient the first one is
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// End so many seconds after all are there (default: when told to)
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,

    /// One JSON object in place of the summary
    #[arg(long)]
    pub json: bool,
}

impl FleetArgs {
    /// What the fleet is started with.
    ///
    /// # Errors
    /// [`Stop`] for codes or a scenario that cannot be read, or no place for data.
    pub fn into_config(self, stdin: &mut impl Read) -> Result<FleetConfig, Stop> {
        let codes = self.codes.map(|path| {
            let mut text = String::new();
            let read = match path.to_str() {
                Some("-") => stdin.take(MOST_CODES).read_to_string(&mut text),
                _ => File::open(&path).and_then(|file| file.take(MOST_CODES).read_to_string(&mut text)),
            };
            read.map(|_| read_codes(&text))
                .map_err(|error| Stop::new(Exit::Usage, format!("--codes {}: {error}", path.display())))
        });
        let folder = match self.data_dir {
            Some(folder) => folder,
            None => datadir::home()?.join("fleet"),
        };
        Ok(FleetConfig {
            count: self.count.into(),
            gateway: self.gateway,
            codes: codes.transpose()?.unwrap_or_default(),
            folder,
            speed: self.speed,
            scenario: Scenario::load(&self.scenario).map_err(|error| scenario_refused(&error))?,
            seed: self.seed,
            seconds: self.seconds,
        })
    }
}

/// What a fleet is started with.
#[derive(Debug)]
pub struct FleetConfig {
    /// How many devices.
    pub count: usize,
    /// `HOST:PORT` of the gateway's port for wearables.
    pub gateway: String,
    /// Codes of the gateway's, for devices that are not paired yet.
    pub codes: VecDeque<PairingCode>,
    /// The folder of all.
    pub folder: PathBuf,
    /// How fast.
    pub speed: Speed,
    /// What happens to each patient.
    pub scenario: Scenario,
    /// The first device's patient; each has another.
    pub seed: u64,
    /// How long, from when all are paired; until somebody ends it.
    pub seconds: Option<u64>,
}

/// Codes in a text: the first word of each line that is one, or the `code` of a line of JSON or of a list of them.
#[must_use]
pub fn read_codes(text: &str) -> VecDeque<PairingCode> {
    if let Ok(Value::Array(all)) = serde_json::from_str(text) {
        return all.iter().filter_map(code_of).collect();
    }
    let line = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(offer) if offer.is_object() => code_of(&offer),
        _ => line.split_whitespace().find_map(|word| word.parse().ok()),
    };
    text.lines().filter_map(line).collect()
}

fn code_of(offer: &Value) -> Option<PairingCode> {
    offer.as_str().or_else(|| offer.get("code")?.as_str())?.parse().ok()
}

/// What became of it all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Devices that are paired.
    pub paired: usize,
    /// Sessions.
    pub sessions: u64,
    /// Connections lost, or not had.
    pub disconnected: u64,
    /// Samples taken.
    pub taken: u64,
    /// Of them, acknowledged.
    pub acknowledged: u64,
    /// Given up or not stored.
    pub lost: u64,
    /// Of each millisecond, how many acknowledgements took so long.
    times: Vec<u64>,
    /// What went wrong first.
    pub trouble: Option<String>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            paired: 0,
            sessions: 0,
            disconnected: 0,
            taken: 0,
            acknowledged: 0,
            lost: 0,
            times: vec![0; SLOWEST_MS + 1],
            trouble: None,
        }
    }
}

impl Tally {
    fn acknowledge(&mut self, after: Duration) {
        self.acknowledged += 1;
        let millis = usize::try_from(after.as_millis()).unwrap_or(SLOWEST_MS).min(SLOWEST_MS);
        if let Some(times) = self.times.get_mut(millis) {
            *times += 1;
        }
    }

    /// So many of 100 acknowledgements took at most so many milliseconds, since their samples were taken.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<usize> {
        let wanted = (self.acknowledged * percent).div_ceil(100).max(1);
        let mut seen = 0;
        self.times.iter().position(|times| {
            seen += times;
            seen >= wanted
        })
    }

    fn complain(&mut self, why: String) {
        self.trouble.get_or_insert(why);
    }
}

/// What the devices tell, and when it was heard.
struct Heard {
    device: usize,
    at: Instant,
    event: DeviceEvent,
}

/// Runs a fleet to its end, telling the progress to `progress`.
///
/// # Errors
/// The first device that cannot be started; no codes for those that need one; nobody paired.
pub async fn run(
    config: FleetConfig,
    progress: &mut (impl Write + Send),
) -> anyhow::Result<(Tally, Duration)> {
    let FleetConfig { count, gateway, codes, folder, speed, scenario, seed, seconds } = config;
    let mut signals = Signals::listen(false).context("cannot wait for signals")?;
    // One fleet at a time.
    let _lock = DataDir::open(&folder)?;
    let (news, mut heard) = mpsc::channel(65_536);
    let permits = Arc::new(Semaphore::new(PAIRINGS));
    let codes = Arc::new(Mutex::new(codes));
    let mut starting = JoinSet::new();
    for number in 1..=count {
        let called = format!("F{number:04}");
        let config = DeviceConfig {
            scenario: scenario.clone(),
            seed: Some(seed.wrapping_add(number as u64)),
            speed,
            flash: FLASH,
            ..DeviceConfig::new(called.parse()?, gateway.clone(), folder.join(called))
        };
        starting.spawn(start(number, config, Arc::clone(&codes), Arc::clone(&permits), news.clone()));
    }
    drop(news);
    let mut tally = Tally::default();
    let mut members: Vec<mpsc::Sender<Order>> = Vec::with_capacity(count);
    let mut waiting: Vec<VecDeque<(Seq, Instant)>> = vec![VecDeque::new(); count + 1];
    let began = Instant::now();
    let mut all_there: Option<Instant> = None;
    let mut tick = tokio::time::interval(PROGRESS);
    let is_terminal = io::stderr().is_terminal();
    let mut ticks = 0_u32;
    let started = loop {
        let end = all_there.zip(seconds).map(|(there, seconds)| there + Duration::from_secs(seconds));
        tokio::select! {
            Some(started) = starting.join_next() => {
                match started.context("a device failed")? {
                    Ok(orders) => members.push(orders),
                    Err(error) => tally.complain(format!("{error:#}")),
                }
                tally.paired = members.len();
                all_there = starting.is_empty().then(Instant::now);
            }
            Some(news) = heard.recv() => hear(&mut tally, &mut waiting, news),
            _ = tick.tick() => {
                ticks += 1;
                if is_terminal || ticks.is_multiple_of(10) {
                    tell(progress, &tally, count, began.elapsed(), is_terminal);
                }
            }
            () = ended(end) => break all_there.unwrap_or(began),
            () = signals.next() => break all_there.unwrap_or(began),
        }
        if all_there.is_some() && members.is_empty() {
            bail!("no wearable could be paired: {}", tally.trouble.unwrap_or_default());
        }
    };
    let ran = started.elapsed();
    starting.abort_all();
    // No more samples; what was taken still goes out, and each device ends when it has.
    for act in [Act::Finish, Act::Stop] {
        for orders in &members {
            orders.try_send(act.clone().into()).ok();
        }
        let draining = async {
            while let Some(news) = heard.recv().await {
                hear(&mut tally, &mut waiting, news);
            }
        };
        timeout(DRAIN_LIMIT, draining).await.ok();
    }
    tell(progress, &tally, count, began.elapsed(), false);
    Ok((tally, ran))
}

/// Starts a device and passes on what it tells; returns when it is paired.
async fn start(
    number: usize,
    config: DeviceConfig,
    codes: Arc<Mutex<VecDeque<PairingCode>>>,
    permits: Arc<Semaphore>,
    news: mpsc::Sender<Heard>,
) -> anyhow::Result<mpsc::Sender<Order>> {
    let called = config.name.clone();
    match agent::start(config.clone()) {
        Ok(device) => {
            let orders = device.orders.clone();
            tokio::spawn(pass_on(number, device.events, news));
            return Ok(orders);
        }
        Err(DeviceError::Unpaired) => {}
        Err(error) => return Err(anyhow::Error::new(error).context(called)),
    }
    let _permit = permits.acquire_owned().await?;
    let code = codes.lock().unwrap_or_else(PoisonError::into_inner).pop_front().with_context(|| {
        format!(
            "{called} is not paired and no code is left; get more with: gateway pair --wearable --count N"
        )
    })?;
    let Device { mut events, orders, task, .. } =
        agent::start(DeviceConfig { pairing: Some(Pairing::Enter(code)), ..config })?;
    let pairing = async {
        while let Some(event) = events.recv().await {
            if matches!(event, DeviceEvent::Device(Event::Bound { .. })) {
                return Ok(());
            }
        }
        Err(match task.await? {
            Ok(_) => anyhow!("it ended"),
            Err(error) => error.into(),
        })
    };
    let limited = timeout(PAIRING_LIMIT, pairing).await;
    limited
        .map_err(anyhow::Error::from)
        .flatten()
        .with_context(|| format!("{called} could not be paired"))?;
    tokio::spawn(pass_on(number, events, news));
    Ok(orders)
}

async fn pass_on(device: usize, mut events: mpsc::Receiver<DeviceEvent>, news: mpsc::Sender<Heard>) {
    while let Some(event) = events.recv().await {
        if news.send(Heard { device, at: Instant::now(), event }).await.is_err() {
            return;
        }
    }
}

fn hear(tally: &mut Tally, waiting: &mut [VecDeque<(Seq, Instant)>], Heard { device, at, event }: Heard) {
    let Some(waiting) = waiting.get_mut(device) else { return };
    match event {
        DeviceEvent::Taken(seq) => {
            tally.taken += 1;
            waiting.push_back((seq, at));
        }
        DeviceEvent::Device(Event::Acknowledged(seq)) => {
            while let Some((_, taken)) = waiting.pop_front_if(|(taken, _)| *taken <= seq) {
                tally.acknowledge(at - taken);
            }
        }
        DeviceEvent::Device(Event::Session { .. }) => tally.sessions += 1,
        DeviceEvent::Device(Event::Disconnected(why)) => {
            tally.disconnected += 1;
            tally.complain(why);
        }
        DeviceEvent::Device(Event::Refused(why) | Event::Storage(why)) => tally.complain(why),
        DeviceEvent::Device(Event::Lost(gap)) => tally.lost += gap.samples,
        DeviceEvent::NotStored(why) => {
            tally.lost += 1;
            tally.complain(why);
        }
        DeviceEvent::Missed(events) => tally.complain(format!("{events} events of a device went by unread")),
        _ => {}
    }
}

async fn ended(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn tell(progress: &mut impl Write, tally: &Tally, count: usize, after: Duration, over: bool) {
    let Tally { paired, taken, acknowledged, lost, .. } = tally;
    let said = format!(
        "SIMULATED fleet, {:>4} s: {paired} of {count} paired, {taken} samples, {acknowledged} acknowledged, {lost} lost",
        after.as_secs()
    );
    // A progress that cannot be shown stops nothing.
    if over { write!(progress, "\r{said}") } else { writeln!(progress, "{said}") }.ok();
    progress.flush().ok();
}

/// The summary, as a person or a script reads it.
#[must_use]
pub fn summary(count: usize, tally: &Tally, ran: Duration, as_json: bool) -> String {
    let Tally { paired, sessions, disconnected, taken, acknowledged, lost, trouble, .. } = tally;
    let [p50, p95] = [50, 95].map(|percent| tally.percentile(percent));
    if as_json {
        let said = json!({
            "simulated": true, "wearables": count, "paired": paired, "seconds": ran.as_secs(), "sessions": sessions,
            "disconnected": disconnected, "taken": taken, "acknowledged": acknowledged,
            "waiting": taken.saturating_sub(*acknowledged + lost), "lost": lost,
            "acknowledged_ms": {"p50": p50, "p95": p95}, "trouble": trouble,
        });
        return format!("{said}\n");
    }
    let millis = |time: Option<usize>| time.map_or_else(|| "--".into(), |millis| format!("{millis} ms"));
    let mut said = format!(
        "SIMULATED fleet of {count} wearables, {} s\n\
         paired                 {paired}\n\
         sessions               {sessions} ({disconnected} connections lost)\n\
         samples taken          {taken}\n\
         acknowledged           {acknowledged}, half within {}, 95 of 100 within {}\n\
         waiting                {}\n\
         lost                   {lost}\n",
        ran.as_secs(),
        millis(p50),
        millis(p95),
        taken.saturating_sub(*acknowledged + lost),
    );
    if let Some(trouble) = trouble {
        said += &format!("first trouble          {trouble}\n");
    }
    said
}

/// How the program ends.
#[must_use]
pub fn exit_of(count: usize, tally: &Tally) -> Exit {
    let all = tally.paired == count && tally.lost == 0 && tally.acknowledged >= tally.taken;
    if all { Exit::Done } else { Exit::InPart }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_the_gateway_prints_them() {
        let expected: VecDeque<PairingCode> =
            ["ABC-DEF-GH2", "ABC-DEF-GH3"].map(|code| code.parse().unwrap()).into();
        for text in [
            "ABC-DEF-GH2\n\nABC-DEF-GH3\n",
            "1  ABC-DEF-GH2  P001\n2  ABC-DEF-GH3  P001\nno code here",
            "{\"code\":\"ABC-DEF-GH2\"}\n{\"code\":\"ABC-DEF-GH3\"}",
            "[{\"code\":\"ABC-DEF-GH2\"},\"ABC-DEF-GH3\"]",
        ] {
            assert_eq!(read_codes(text), expected, "{text}");
        }
        assert!(read_codes("nothing\n").is_empty());
    }

    #[test]
    fn half_and_95_of_100_are_of_all_acknowledgements() {
        let mut tally = Tally::default();
        assert_eq!(tally.percentile(50), None);
        (1..=100).for_each(|millis| tally.acknowledge(Duration::from_millis(millis)));
        tally.acknowledge(Duration::from_secs(1_000));
        assert_eq!(
            [50, 95, 100].map(|percent| tally.percentile(percent)),
            [Some(51), Some(96), Some(SLOWEST_MS)]
        );
    }

    #[test]
    fn an_acknowledgement_counts_all_samples_up_to_it_once() {
        let (mut tally, mut waiting) = (Tally::default(), vec![VecDeque::new(); 2]);
        let start = Instant::now();
        let mut heard = |at, event| {
            let at = start + Duration::from_millis(at);
            hear(&mut tally, &mut waiting, Heard { device: 1, at, event });
        };
        for number in 1..=3 {
            heard(number, DeviceEvent::Taken(Seq(number)));
        }
        for at in [10, 20] {
            heard(at, DeviceEvent::Device(Event::Acknowledged(Seq(2))));
        }
        assert_eq!((tally.taken, tally.acknowledged, tally.percentile(100)), (3, 2, Some(9)));
        assert_eq!(exit_of(0, &tally), Exit::InPart);
        assert!(summary(1, &tally, Duration::ZERO, true).contains("\"waiting\":1"));
    }
}
