//! What a device says about a refusal, and what to do next. Before a session nobody vouches for whoever sent it, and it
//! chose the contents.

use alloc::{
    format,
    string::{String, ToString},
};
use core::time::Duration;

use protocol::{
    error::Refusal,
    time::{Readable, UnixMillis},
};

use crate::clock::utc;

/// Whoever answers does not prove to be the pinned gateway, or says that it is another one.
pub(super) const OTHER_GATEWAY: &str = "This is NOT the gateway that you paired with. Nothing was sent. If the clinic \
    replaced its gateway, pair again: slide switch to Configuration, then hold the button for 2 s. The samples taken so \
    far are kept.";

const NOT_PAIRED: &str = "this wearable is not paired (any more), says the gateway that answers; if so, pair again: slide \
    switch to Configuration, then hold the button for 2 s. The samples taken so far are kept.";

/// The pinned gateway said so in a session.
pub(super) const REVOKED: &str = "the gateway revoked this wearable; hold the button for 2 s to pair it again. The samples \
    taken so far are kept.";

pub(super) const CLOSED: &str = "the gateway closed the connection";

pub(super) const NOBODY_ANSWERS: &str = "no gateway answers at its address";

pub(super) const NOBODY_NEAR: &str = "nobody is near: a pairing window opens only beside the gateway's tag or a person; come closer and try again";

pub(super) const WORKING_SWITCH: &str =
    "this wearable is paired: slide the switch to Configuration first, then hold the button for 2 s";

pub(super) const NO_WINDOW: &str = "no pairing window is open: hold the button for 2 s, then enter the code";

pub(super) const NOTHING_TO_CONFIRM: &str =
    "nothing to confirm: slide the switch to Configuration and hold the button for 10 s first";

pub(super) const NOTHING_TO_RETRY: &str = "there is nothing to try again: hold the button for 2 s to pair";

pub(super) const WINDOW_OVER: &str = "pairing ended without a gateway: a window is open for ten minutes and three tries; hold the button for 2 s for a new one";

pub(super) const NOT_VALIDATED: &str =
    "the new gateway granted the pairing and then no login with it worked for ten minutes";

pub(super) const NOT_KEPT: &str = "the new binding could not be written down; nothing changed. Try again";

pub(super) const FUTURE: &str =
    "the gateway acknowledged samples that were never sent; nothing is deleted for that";

pub(super) const UNREADABLE: &str =
    "some stored samples are no samples to this firmware; they are lost, and the gateway is told how many";

pub(super) const OTHER_CODE: &str =
    "another code was entered at the gateway, or it answers in its place; check the code";

pub(super) const CODE_NOT_OPEN: &str =
    "the code is not open at the gateway: wrong, used or expired; ask for a new one";

pub(super) const NO_WEARABLES_PORT: &str =
    "what answers at this address is no gateway's port for wearables (usually 7301); check the address";

/// The sentence for a refusal; `wall`: this device's own time of day, if it has one.
pub(super) fn sentence(refusal: &Refusal, wall: Option<UnixMillis>) -> String {
    match refusal {
        Refusal::OtherGateway => OTHER_GATEWAY.into(),
        Refusal::NotPaired => NOT_PAIRED.into(),
        Refusal::Clock { gateway, tolerance_ms, .. } => {
            let allowed = Readable(Duration::from_millis(u64::from(*tolerance_ms)));
            let (own, by) = wall.map_or_else(
                || ("no time".into(), String::new()),
                |wall| (utc(wall).to_string(), format!(" by {}", Readable(wall.abs_diff(*gateway)))),
            );
            format!(
                "the clocks differ{by} and {allowed} are allowed: this wearable has {own}, the gateway that answers \
                 {}; check the gateway's clock. The samples taken so far are kept.",
                utc(*gateway)
            )
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_refusal_names_both_times_the_difference_and_the_tolerance() {
        let gateway = UnixMillis(1_800_000_090_000);
        let refusal = |gateway| Refusal::Clock { client: UnixMillis(7), gateway, tolerance_ms: 30_000 };
        let said = sentence(&refusal(gateway), Some(UnixMillis(1_800_000_000_000)));
        for part in ["by 90 s", "30 s are allowed", "2027-01-15 08:00:00 UTC", "2027-01-15 08:01:30 UTC"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        let forged = sentence(&refusal(UnixMillis(u64::MAX)), None);
        assert!(forged.contains("an impossible time") && forged.contains("has no time"), "{forged}");
    }
}
