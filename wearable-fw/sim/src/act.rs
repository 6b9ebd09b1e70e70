//! Everything that can be done to a simulated wearable, in one grammar of words: scenario files, the control socket, the
//! command line and the menu all speak it, so whatever one of them can do, the others can.
//!
//! Owns the words and their ranges. Knows nothing of who carries an act out: the patient, the sensors, the cable, the
//! flash or the device.

use std::{borrow::Cow, fmt, str::FromStr};

use protocol::pairing::code::PairingCode;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The words, as a person is told them.
pub const WORDS: &str = "\
temperature +0.5 | -0.5 | 39.5 [over SECONDS] | usual [over SECONDS]   the patient's, C
mcu +0.5 | -0.5            mpu +0.5 | -0.5            temperatures of the device, C
x +0.1 | y -0.1 | z +0.1   the accelerometer, g
spo2 -2 | 84 [over SECONDS] | usual [over SECONDS]    %
heart-rate +10 | 150 | usual    in % of the recorded one, 50 to 200
heart stop | beat          shake on | off             finger on | off          leads on | off
nack optical | motion | temperature | ecg on | off    a sensor stops answering
bus stuck | free           light, motion and temperature cannot be read
reads late | prompt        once a second only, so that FIFOs overflow
button press | hold [SECONDS]                         slide working | configuration
code ABC-DEF-GH2           confirm                    a code of the gateway's; a factory reset
network on | off | delay MILLISECONDS | corrupt       gateway wrong | right
flash flip [BIT]           power-cut N                one bit changes; the N-th write from now is torn and power lost
clock skew SECONDS (ahead)   reboot                     battery PERCENT
scenario NAME              retry                      finish | stop";

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Act {
    /// To the simulated patient.
    Body(Body),
    /// A sensor stops answering, or answers again.
    Nack {
        /// Which.
        sensor: Sensor,
        /// Whether it is mute.
        on: bool,
    },
    /// A line of the bus that light, motion and temperature share is held low, or let go.
    Bus {
        /// Whether it is held.
        stuck: bool,
    },
    /// The firmware reads its sensors too seldom, or in time again.
    Reads {
        /// Whether it is too late.
        late: bool,
    },
    /// By the person who wears the device or stands beside it.
    Person(Person),
    /// To the way between device and gateway.
    Wire(Wire),
    /// To the device itself.
    Board(Board),
    /// Another course begins.
    Scenario(Name),
    /// Connect now.
    Retry,
    /// Measure no more, and end when everything is acknowledged.
    Finish,
    /// End the program.
    Stop,
}

/// To the simulated patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Body temperature, 0.01 C.
    Temperature(Change),
    /// The microcontroller's, 0.01 C.
    Mcu(Change),
    /// The motion sensor's, 0.01 C.
    Imu(Change),
    /// Added to the accelerometer's axis 0 to 2, mg.
    Acceleration(usize, Change),
    /// True saturation, 0.1 %.
    Spo2(Change),
    /// How fast the recorded heart beats, % of recorded.
    HeartRate(Change),
    /// Whether it beats.
    Heart(bool),
    /// Whether the arm shakes.
    Shake(bool),
    /// Whether a finger is on the light.
    Finger(bool),
    /// Whether the electrodes are on.
    Leads(bool),
}

/// How a number changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// By so much, at once.
    By(i32),
    /// To that, evenly over so many seconds.
    To(i32, u32),
    /// Back to the patient's own, evenly over so many seconds.
    Usual(u32),
}

/// A sensor of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sensor {
    /// MAX30102.
    Optical,
    /// MPU6050.
    Motion,
    /// TMP10x.
    Temperature,
    /// The ECG's converter.
    Ecg,
}

/// By a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Person {
    /// The button for so many milliseconds.
    Press(u32),
    /// The slide switch; whether to Configuration.
    Slide {
        /// Else to Working.
        configuration: bool,
    },
    /// A code that the gateway showed.
    Code(PairingCode),
    /// Yes, reset to the state of the factory.
    Confirm,
}

/// Between device and gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Plugged in, or pulled out without a goodbye.
    Network(bool),
    /// Bytes arrive so many milliseconds late, both ways.
    Delay(u32),
    /// One bit of the next bytes to the gateway is wrong.
    Corrupt,
    /// Somebody else answers in the gateway's place.
    WrongGateway(bool),
}

/// To the device itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Board {
    /// A bit of the flash changes: this one, or one by chance.
    Flip(Option<u32>),
    /// The n-th write to the flash from now is torn, and the power is gone; it comes back at once.
    PowerCut(u32),
    /// The clock jumps ahead by so many seconds.
    ClockSkew(u32),
    /// Off and on again: memory gone, flash kept.
    Reboot,
    /// Charge in percent.
    Battery(u8),
}

/// A scenario's name: 1 to 32 letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(Cow<'static, str>);

impl Name {
    /// A name of the program's own.
    pub(crate) const fn of(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Unclear;

    fn from_str(text: &str) -> Result<Self, Unclear> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(good) {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(Unclear(text.chars().take(80).collect()))
        }
    }
}

/// Words that mean nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is nothing that can be done; `wearable ctl words` prints what can")]
pub struct Unclear(String);

impl FromStr for Act {
    type Err = Unclear;

    fn from_str(text: &str) -> Result<Self, Unclear> {
        let words: Vec<&str> = text.split_whitespace().take(6).collect();
        parse(&words).ok_or_else(|| Unclear(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for Act {
    type Error = Unclear;

    fn try_from(text: String) -> Result<Self, Unclear> {
        text.parse()
    }
}

fn parse(words: &[&str]) -> Option<Act> {
    let (first, rest) = words.split_first()?;
    Some(match (*first, rest) {
        ("temperature", how) => Act::Body(Body::Temperature(change(how, 2, 2_000..=4_500)?)),
        ("mcu", how) => Act::Body(Body::Mcu(change(how, 2, -4_000..=12_500)?)),
        ("mpu", how) => Act::Body(Body::Imu(change(how, 2, -4_000..=8_500)?)),
        ("x", how) => Act::Body(Body::Acceleration(0, change(how, 3, -2_000..=2_000)?)),
        ("y", how) => Act::Body(Body::Acceleration(1, change(how, 3, -2_000..=2_000)?)),
        ("z", how) => Act::Body(Body::Acceleration(2, change(how, 3, -2_000..=2_000)?)),
        ("spo2", how) => Act::Body(Body::Spo2(change(how, 1, 500..=1_000)?)),
        ("heart-rate", how) => Act::Body(Body::HeartRate(change(how, 0, 50..=200)?)),
        ("heart", [what]) => Act::Body(Body::Heart(either(what, "beat", "stop")?)),
        ("shake", [what]) => Act::Body(Body::Shake(on(what)?)),
        ("finger", [what]) => Act::Body(Body::Finger(on(what)?)),
        ("leads", [what]) => Act::Body(Body::Leads(on(what)?)),
        ("nack", [sensor, what]) => Act::Nack { sensor: Sensor::named(sensor)?, on: on(what)? },
        ("bus", [what]) => Act::Bus { stuck: either(what, "stuck", "free")? },
        ("reads", [what]) => Act::Reads { late: either(what, "late", "prompt")? },
        ("button", ["press"]) => Act::Person(Person::Press(PRESS_MS)),
        ("button", ["hold"]) => Act::Person(Person::Press(HOLD_MS)),
        ("button", ["hold", seconds]) => Act::Person(Person::Press(number(seconds, 3, 1..=60_000)?)),
        ("slide", [what]) => {
            Act::Person(Person::Slide { configuration: either(what, "configuration", "working")? })
        }
        ("code", [code]) => Act::Person(Person::Code(code.parse().ok()?)),
        ("confirm", []) => Act::Person(Person::Confirm),
        ("network", ["corrupt"]) => Act::Wire(Wire::Corrupt),
        ("network", ["delay", millis]) => Act::Wire(Wire::Delay(number(millis, 0, 0..=60_000)?)),
        ("network", [what]) => Act::Wire(Wire::Network(on(what)?)),
        ("gateway", [what]) => Act::Wire(Wire::WrongGateway(either(what, "wrong", "right")?)),
        ("flash", ["flip"]) => Act::Board(Board::Flip(None)),
        ("flash", ["flip", bit]) => Act::Board(Board::Flip(Some(bit.parse().ok()?))),
        ("power-cut", [write]) => Act::Board(Board::PowerCut(number(write, 0, 1..=1_000_000)?)),
        ("clock", ["skew", seconds]) => Act::Board(Board::ClockSkew(number(seconds, 0, 1..=999_999)?)),
        ("reboot", []) => Act::Board(Board::Reboot),
        ("battery", [percent]) => {
            Act::Board(Board::Battery(percent.parse().ok().filter(|percent| *percent <= 100)?))
        }
        ("scenario", [name]) => Act::Scenario(name.parse().ok()?),
        ("retry", []) => Act::Retry,
        ("finish", []) => Act::Finish,
        ("stop", []) => Act::Stop,
        _ => return None,
    })
}

const PRESS_MS: u32 = 200;
/// Long enough to open a pairing.
const HOLD_MS: u32 = 2_500;

fn either(word: &str, yes: &str, no: &str) -> Option<bool> {
    (word == yes || word == no).then(|| word == yes)
}

fn on(word: &str) -> Option<bool> {
    either(word, "on", "off")
}

/// `text` as a number of 10^-`digits`, in range.
fn number(text: &str, digits: usize, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let scaled = u32::try_from(fixed(text, digits)?).ok()?;
    range.contains(&scaled).then_some(scaled)
}

/// Decimal without a float: the same text is the same number everywhere.
fn fixed(text: &str, digits: usize) -> Option<i32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > digits || whole.len() > 6 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

fn change(words: &[&str], digits: usize, range: std::ops::RangeInclusive<i32>) -> Option<Change> {
    let (value, over) = match words {
        [value] => (value, 0),
        [value, "over", seconds] => (value, number(seconds, 0, 0..=86_400)?),
        _ => return None,
    };
    if *value == "usual" {
        return Some(Change::Usual(over));
    }
    let size = fixed(value, digits)?;
    if value.starts_with(['+', '-']) && !(value.starts_with('-') && *range.start() < 0 && words.len() > 1) {
        let reach = range.end() - range.start();
        return (size.abs() <= reach && words.len() == 1).then_some(Change::By(size));
    }
    range.contains(&size).then_some(Change::To(size, over))
}

impl Sensor {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Optical, Self::Motion, Self::Temperature, Self::Ecg];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Optical => "optical",
            Self::Motion => "motion",
            Self::Temperature => "temperature",
            Self::Ecg => "ecg",
        }
    }

    fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sensor| sensor.word() == word)
    }
}

/// A number of 10^-`digits` as it is typed.
fn decimal(size: i32, digits: usize) -> String {
    let sign = if size < 0 { "-" } else { "" };
    let digits_of = format!("{:0>1$}", size.unsigned_abs(), digits + 1);
    let (whole, part) = digits_of.split_at(digits_of.len() - digits);
    match part.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        part => format!("{sign}{whole}.{part}"),
    }
}

struct Worded(Change, usize);

impl fmt::Display for Worded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(change, digits) = *self;
        let over = match change {
            Change::By(size) => {
                return write!(f, "{}{}", if size < 0 { "" } else { "+" }, decimal(size, digits));
            }
            // Only `over` tells a negative place from a step down.
            Change::To(size, over) => {
                f.write_str(&decimal(size, digits))?;
                (over > 0 || size < 0).then_some(over)
            }
            Change::Usual(over) => {
                f.write_str("usual")?;
                (over > 0).then_some(over)
            }
        };
        over.map_or(Ok(()), |over| write!(f, " over {over}"))
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |on: &bool| if *on { "on" } else { "off" };
        match self {
            Self::Body(Body::Temperature(change)) => write!(f, "temperature {}", Worded(*change, 2)),
            Self::Body(Body::Mcu(change)) => write!(f, "mcu {}", Worded(*change, 2)),
            Self::Body(Body::Imu(change)) => write!(f, "mpu {}", Worded(*change, 2)),
            Self::Body(Body::Acceleration(axis, change)) => {
                write!(f, "{} {}", ["x", "y", "z"].get(*axis).unwrap_or(&"z"), Worded(*change, 3))
            }
            Self::Body(Body::Spo2(change)) => write!(f, "spo2 {}", Worded(*change, 1)),
            Self::Body(Body::HeartRate(change)) => write!(f, "heart-rate {}", Worded(*change, 0)),
            Self::Body(Body::Heart(beats)) => write!(f, "heart {}", if *beats { "beat" } else { "stop" }),
            Self::Body(Body::Shake(shakes)) => write!(f, "shake {}", on(shakes)),
            Self::Body(Body::Finger(is_on)) => write!(f, "finger {}", on(is_on)),
            Self::Body(Body::Leads(are_on)) => write!(f, "leads {}", on(are_on)),
            Self::Nack { sensor, on: mute } => write!(f, "nack {} {}", sensor.word(), on(mute)),
            Self::Bus { stuck } => write!(f, "bus {}", if *stuck { "stuck" } else { "free" }),
            Self::Reads { late } => write!(f, "reads {}", if *late { "late" } else { "prompt" }),
            Self::Person(Person::Press(PRESS_MS)) => f.write_str("button press"),
            Self::Person(Person::Press(millis)) => {
                let millis = i32::try_from(*millis).unwrap_or(i32::MAX);
                write!(f, "button hold {}", decimal(millis, 3))
            }
            Self::Person(Person::Slide { configuration }) => {
                write!(f, "slide {}", if *configuration { "configuration" } else { "working" })
            }
            Self::Person(Person::Code(code)) => write!(f, "code {code}"),
            Self::Person(Person::Confirm) => f.write_str("confirm"),
            Self::Wire(Wire::Network(plugged)) => write!(f, "network {}", on(plugged)),
            Self::Wire(Wire::Delay(millis)) => write!(f, "network delay {millis}"),
            Self::Wire(Wire::Corrupt) => f.write_str("network corrupt"),
            Self::Wire(Wire::WrongGateway(wrong)) => {
                write!(f, "gateway {}", if *wrong { "wrong" } else { "right" })
            }
            Self::Board(Board::Flip(None)) => f.write_str("flash flip"),
            Self::Board(Board::Flip(Some(bit))) => write!(f, "flash flip {bit}"),
            Self::Board(Board::PowerCut(write)) => write!(f, "power-cut {write}"),
            Self::Board(Board::ClockSkew(seconds)) => write!(f, "clock skew {seconds}"),
            Self::Board(Board::Reboot) => f.write_str("reboot"),
            Self::Board(Board::Battery(percent)) => write!(f, "battery {percent}"),
            Self::Scenario(name) => write!(f, "scenario {}", name.as_str()),
            Self::Retry => f.write_str("retry"),
            Self::Finish => f.write_str("finish"),
            Self::Stop => f.write_str("stop"),
        }
    }
}

impl From<Act> for String {
    fn from(act: Act) -> Self {
        act.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_done_reads_as_it_is_written() {
        let written = [
            ("temperature +0.5", Act::Body(Body::Temperature(Change::By(50)))),
            ("temperature 39.5 over 360", Act::Body(Body::Temperature(Change::To(3_950, 360)))),
            ("mpu -0.5", Act::Body(Body::Imu(Change::By(-50)))),
            ("y -0.1", Act::Body(Body::Acceleration(1, Change::By(-100)))),
            ("spo2 usual over 60", Act::Body(Body::Spo2(Change::Usual(60)))),
            ("heart-rate 150", Act::Body(Body::HeartRate(Change::To(150, 0)))),
            ("heart stop", Act::Body(Body::Heart(false))),
            ("nack optical on", Act::Nack { sensor: Sensor::Optical, on: true }),
            ("bus stuck", Act::Bus { stuck: true }),
            ("reads prompt", Act::Reads { late: false }),
            ("button press", Act::Person(Person::Press(200))),
            ("button hold 10.5", Act::Person(Person::Press(10_500))),
            ("slide configuration", Act::Person(Person::Slide { configuration: true })),
            ("code ABC-DEF-GH2", Act::Person(Person::Code("ABC-DEF-GH2".parse().unwrap()))),
            ("network delay 250", Act::Wire(Wire::Delay(250))),
            ("gateway wrong", Act::Wire(Wire::WrongGateway(true))),
            ("flash flip 77", Act::Board(Board::Flip(Some(77)))),
            ("power-cut 3", Act::Board(Board::PowerCut(3))),
            ("clock skew 90", Act::Board(Board::ClockSkew(90))),
            ("battery 4", Act::Board(Board::Battery(4))),
            ("scenario finger-off", Act::Scenario("finger-off".parse().unwrap())),
        ];
        for (text, act) in written {
            assert_eq!(act.to_string(), text);
            assert_eq!(text.parse(), Ok(act));
        }
        assert_eq!("button hold".parse::<Act>().unwrap().to_string(), "button hold 2.5");
    }

    #[test]
    fn nonsense_and_numbers_out_of_range_are_refused() {
        for text in [
            "",
            "temperature",
            "temperature 60",
            "temperature +0.005",
            "temperature 39.5 over",
            "temperature +0.5 over 10",
            "spo2 20",
            "spo2 +60",
            "heart-rate 300",
            "nack nose on",
            "button hold 61",
            "clock skew -90",
            "battery 101",
            "battery -1",
            "power-cut 0",
            "code ABC",
            "scenario ../x",
            "finger maybe",
            "finger on now",
            "x 0.1.2",
            "x 99999999999",
            "reboot now",
        ] {
            assert!(text.parse::<Act>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_word_that_people_are_told_is_understood() {
        for verb in
            ["temperature usual", "mcu +0.5", "x +0.1", "retry", "finish", "stop", "confirm", "flash flip"]
        {
            assert!(verb.parse::<Act>().is_ok(), "{verb}");
            let first = verb.split(' ').next().unwrap();
            assert!(WORDS.contains(first), "{first}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_was_read_reads_back(
            text in "(temperature|mcu|x|spo2|heart-rate|button hold|clock skew|battery|flash flip) [-+]?[0-9]{0,4}\\.?[0-9]{0,3}( over [0-9]{1,6})?"
        ) {
            if let Ok(act) = text.parse::<Act>() {
                prop_assert_eq!(act.to_string().parse::<Act>(), Ok(act));
            }
        }
    }
}
