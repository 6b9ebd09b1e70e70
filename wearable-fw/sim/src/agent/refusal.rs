//! What a device says about a refusal that nobody vouches for. Whoever sent it chose its contents.

use std::time::Duration;

use protocol::{
    error::Refusal,
    time::{Readable, UnixMillis},
};

use crate::clock::utc;

/// Whoever answered does not prove to be the pinned gateway, or says that it is another one.
pub(super) const OTHER_GATEWAY: &str = "This is NOT the gateway that you paired with. Nothing was sent. If the clinic \
    replaced its gateway, pair again: start with --pair CODE or --show-code. The samples taken so far are kept.";

const NOT_PAIRED: &str = "this wearable is not paired (any more), says the gateway that answers; ask the clinic for a \
    code and start with --pair CODE or --show-code. The samples taken so far are kept.";

/// The sentence for a refusal; `wall`: this device's own time of day, if it has one.
pub(super) fn sentence(refusal: &Refusal, wall: Option<UnixMillis>) -> String {
    match refusal {
        Refusal::OtherGateway => OTHER_GATEWAY.into(),
        Refusal::NotPaired => NOT_PAIRED.into(),
        Refusal::Clock { gateway, tolerance_ms, .. } => {
            let allowed = Readable(Duration::from_millis(u64::from(*tolerance_ms)));
            let (own, by) = wall.map_or_else(
                || ("no time".into(), String::new()),
                |wall| (utc(wall), format!(" by {}", Readable(wall.abs_diff(*gateway)))),
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
