//! What a person is told: every refusal as a sentence that says what to do next. Local times, no jargon.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use protocol::{
    error::Refusal,
    id::{DoctorId, PatientId},
    time::{Readable, UnixMillis},
};

/// How to get a first code, or a new one.
#[must_use]
pub fn how_to_pair(patient: Option<&PatientId>) -> String {
    let patient = patient.map_or("P001", PatientId::as_str);
    format!(
        "ask the clinic for a code (they run: gateway pair --patient {patient}) and start with --pair CODE"
    )
}

/// What to do about a code that cannot be used.
fn how_to_get_a_code(patient: Option<&PatientId>) -> String {
    let patient = patient.map_or("P001", PatientId::as_str);
    format!("Ask the clinic for a new one (they run: gateway pair --patient {patient}).")
}

/// There is no stored identity and nobody to ask.
#[must_use]
pub fn not_paired_yet(patient: Option<&PatientId>, doctor: &DoctorId) -> String {
    format!("This computer is not paired with {doctor}'s gateway: {}.", how_to_pair(patient))
}

/// Somebody else answers at the gateway's address.
#[must_use]
pub fn not_the_gateway(address: &str, patient: &PatientId) -> String {
    format!(
        "This is NOT the gateway that you paired with. Nothing was sent. Check the address {address}; if the clinic \
         says that its gateway was replaced, {}.",
        how_to_pair(Some(patient))
    )
}

/// What the gateway said no to.
#[must_use]
pub fn refusal(refusal: &Refusal, patient: Option<&PatientId>) -> String {
    match refusal {
        Refusal::Clock { client, gateway, tolerance_ms } => format!(
            "The clocks differ by {}; {} are allowed. This computer says {}, the gateway {}. Set this computer's \
             clock: sudo timedatectl set-ntp true. Trying again by itself.",
            Readable(client.abs_diff(*gateway)),
            Readable(Duration::from_millis(u64::from(*tolerance_ms))),
            local_time(*client),
            local_time(*gateway),
        ),
        Refusal::NotPaired => format!(
            "The gateway does not know this computer (any more): {}. Trying again every minute.",
            how_to_pair(patient)
        ),
        Refusal::PairedElsewhere { since, last_seen } => {
            let who = patient.map_or("This patient", PatientId::as_str);
            let id = patient.map_or("ID", PatientId::as_str);
            let seen = last_seen.map_or_else(
                || "never seen since".to_owned(),
                |seen| format!("last seen {}", local_time(seen)),
            );
            format!(
                "{who} is paired with another computer (since {}, {seen}). If it was replaced or lost, ask the \
                 clinic for: gateway pair --patient {id} --replace",
                local_time(*since)
            )
        }
        Refusal::CodeWrong { tries_left: 0 } => {
            format!("Wrong code, and no tries are left. {}", how_to_get_a_code(patient))
        }
        Refusal::CodeWrong { tries_left } => {
            let tries = if *tries_left == 1 { "try is" } else { "tries are" };
            format!("Wrong code; {tries_left} {tries} left.")
        }
        Refusal::CodeUnknown => {
            format!("This code is not open (mistyped, used or expired). {}", how_to_get_a_code(patient))
        }
        other => sentence(&other.to_string()),
    }
}

/// A time of day on this computer's clock.
#[must_use]
pub fn local_time(time: UnixMillis) -> String {
    format_time(time, "%Y-%m-%d %H:%M:%S %Z")
}

/// Hours, minutes and seconds on this computer's clock.
#[must_use]
pub fn time_of_day(time: UnixMillis) -> String {
    format_time(time, "%H:%M:%S")
}

fn format_time(time: UnixMillis, format: &str) -> String {
    i64::try_from(time.0).ok().and_then(|time| Timestamp::from_millisecond(time).ok()).map_or_else(
        || "an impossible time".to_owned(),
        |time| time.to_zoned(TimeZone::system()).strftime(format).to_string(),
    )
}

/// With a capital letter and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_refusal_names_both_times_the_difference_the_tolerance_and_the_command() {
        let said = refusal(
            &Refusal::Clock {
                client: UnixMillis(1_800_000_090_000),
                gateway: UnixMillis(1_800_000_000_000),
                tolerance_ms: 30_000,
            },
            None,
        );
        let times = [1_800_000_090_000, 1_800_000_000_000].map(|time| local_time(UnixMillis(time)));
        for part in [&*times[0], &*times[1], "90 s", "30 s", "timedatectl"] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }

    #[test]
    fn every_sentence_about_codes_says_what_to_do() {
        let id: PatientId = "P007".parse().unwrap();
        let said = |said| refusal(&said, Some(&id));
        assert_eq!(said(Refusal::CodeWrong { tries_left: 1 }), "Wrong code; 1 try is left.");
        assert!(said(Refusal::CodeWrong { tries_left: 0 }).contains("gateway pair --patient P007"));
        assert!(said(Refusal::CodeUnknown).contains("gateway pair --patient P007"));
        let elsewhere = Refusal::PairedElsewhere { since: UnixMillis(0), last_seen: None };
        assert!(said(elsewhere).contains("gateway pair --patient P007 --replace"));
    }
}
