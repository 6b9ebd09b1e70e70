//! The device's events as C gets them: a kind, a number, a sentence. Knows no pointer.

use wearable_core::{
    device::Event,
    mode::{Link, Mode},
};

macro_rules! kinds {
    ($($kind:ident = $number:literal, $name:literal;)+) => {
        /// What an event is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub(crate) enum Kind {
            $($kind = $number,)+
        }

        /// The header's names.
        pub(crate) const EVENTS: &[(&str, u32)] = &[$(($name, $number)),+];
    };
}

kinds! {
    Mode = 1, "VW_EVENT_MODE";
    Code = 2, "VW_EVENT_CODE";
    Granted = 3, "VW_EVENT_GRANTED";
    Bound = 4, "VW_EVENT_BOUND";
    Session = 5, "VW_EVENT_SESSION";
    Acknowledged = 6, "VW_EVENT_ACKNOWLEDGED";
    Lost = 7, "VW_EVENT_LOST";
    Disconnected = 8, "VW_EVENT_DISCONNECTED";
    Refused = 9, "VW_EVENT_REFUSED";
    Storage = 10, "VW_EVENT_STORAGE";
    Settings = 11, "VW_EVENT_SETTINGS";
    Missed = 12, "VW_EVENT_MISSED";
    Other = 13, "VW_EVENT_OTHER";
    Reset = 14, "VW_EVENT_RESET";
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
    pub(crate) text: String,
}

impl From<Event> for Report {
    fn from(event: Event) -> Self {
        let report = |kind, number, text| Self { kind, number, text };
        match event {
            Event::Mode { to, .. } => report(Kind::Mode, mode(to).into(), format!("{to:?}")),
            Event::Code(code) => report(Kind::Code, 0, code.to_string()),
            Event::Granted { doctor, .. } => report(Kind::Granted, 0, doctor.to_string()),
            Event::Bound { doctor, .. } => report(Kind::Bound, 0, doctor.to_string()),
            Event::Session { resumed, doctor, .. } => {
                report(Kind::Session, u64::from(resumed), doctor.to_string())
            }
            Event::Acknowledged(seq) => report(Kind::Acknowledged, seq.0, String::new()),
            Event::Lost(gap) => report(
                Kind::Lost,
                gap.samples,
                format!(
                    "{} samples between {} and {} were given up for want of room",
                    gap.samples, gap.first.0, gap.last.0
                ),
            ),
            Event::Disconnected(why) => report(Kind::Disconnected, 0, why),
            Event::Refused(why) => report(Kind::Refused, 0, why),
            Event::Storage(why) => report(Kind::Storage, 0, why),
            Event::Settings(settings) => {
                let cadence = settings.cadence();
                let text =
                    format!("a sample each {} ms, sent each {} ms", cadence.sample_ms, cadence.upload_ms);
                report(Kind::Settings, cadence.sample_ms.into(), text)
            }
            Event::Missed(count) => report(Kind::Missed, count.into(), String::new()),
            Event::Update(status) => report(
                Kind::Other,
                status.version.into(),
                format!("firmware {}: {}", status.version, status.state),
            ),
            Event::ResetDone => report(Kind::Reset, 0, "keys, binding and samples are erased".into()),
            other @ (Event::ResetAsked | Event::Waveform(_) | Event::Restart) => {
                report(Kind::Other, 0, format!("{other:?}"))
            }
        }
    }
}

/// The header's names, by number.
pub(crate) const MODES: &[(&str, u32)] = &[
    ("VW_MODE_UNPROVISIONED", mode(Mode::Unprovisioned)),
    ("VW_MODE_PAIRING_OPEN", mode(Mode::PairingOpen)),
    ("VW_MODE_VALIDATING", mode(Mode::Validating)),
    ("VW_MODE_CONNECTING", mode(Mode::Working(Link::Connecting))),
    ("VW_MODE_ONLINE", mode(Mode::Working(Link::Online))),
    ("VW_MODE_OFFLINE", mode(Mode::Working(Link::Offline))),
    ("VW_MODE_ERROR", mode(Mode::Error)),
];

const fn mode(mode: Mode) -> u32 {
    match mode {
        Mode::Unprovisioned => 0,
        Mode::PairingOpen => 1,
        Mode::Validating => 2,
        Mode::Working(Link::Connecting) => 3,
        Mode::Working(Link::Online) => 4,
        Mode::Working(Link::Offline) => 5,
        Mode::Error => 6,
    }
}
