//! What a device is doing, as one table of every edge that there is. Pure: no time, no flash, no network; who presses, dials
//! and stores is [`crate::device`].
//!
//! ```text
//!  Unprovisioned --held--> PairingOpen --granted--> Validating --validated--> Working
//!        ^                   ^   |failed                |failed       (Connecting / Online / Offline)
//!        |reset, revoked     |   v                      |                |  |lost ^ |dialing
//!        |                   +-Error <------------------+                |held in Configuration
//!        |                       |retry --> Validating                   v
//!      any state                                                      PairingOpen --fell back--> Working
//! ```

use core::fmt;

use thiserror::Error;

/// Position of the slide switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Everyday use.
    Working,
    /// A bound device may be paired again or reset.
    Configuration,
}

/// How a bound device stands to its gateway. It samples in each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// On the way to a session.
    Connecting,
    /// In session.
    Online,
    /// Waiting for the next try.
    Offline,
}

/// The state of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It has no gateway and no keys.
    Unprovisioned,
    /// A person opened its pairing window.
    PairingOpen,
    /// A gateway granted a binding, which has not proved itself by a login yet.
    Validating,
    /// It is bound to a gateway.
    Working(Link),
    /// Pairing failed and there is no older binding to go back to.
    Error,
}

/// What can happen to a [`Mode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The button was held with the switch so, and somebody is near.
    Held(Switch),
    /// The gateway granted a binding, and it is written down as pending.
    Granted,
    /// The window closed, or the pending binding did not prove itself; there is no older one.
    Failed,
    /// The same, and the older binding goes on.
    FellBack,
    /// The pending binding logged in fully and is committed.
    Validated,
    /// A person wants the pending binding tried again.
    Retry,
    /// The next try begins.
    Dialing,
    /// A session with the bound gateway.
    Established,
    /// No session any more, or no connection.
    Lost,
    /// The bound gateway said in a session that the binding is over.
    Revoked,
    /// A person asked for the factory reset with the switch so, and confirmed it.
    Reset(Switch),
}

/// Something that is not possible now. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{input:?} is not possible in {mode}")]
pub struct NoSuchEdge {
    /// The state, unchanged.
    pub mode: Mode,
    /// What was refused.
    pub input: Input,
}

/// Every edge: from, on, to.
pub const EDGES: &[(Mode, Input, Mode)] = {
    use Input::{
        Dialing, Established, Failed, FellBack, Granted, Held, Lost, Reset, Retry, Revoked, Validated,
    };
    use Link::{Connecting, Offline, Online};
    use Mode::{Error, PairingOpen, Unprovisioned, Validating, Working};
    &[
        (Unprovisioned, Held(Switch::Working), PairingOpen),
        (Unprovisioned, Held(Switch::Configuration), PairingOpen),
        (Error, Held(Switch::Working), PairingOpen),
        (Error, Held(Switch::Configuration), PairingOpen),
        (Validating, Held(Switch::Configuration), PairingOpen),
        (Working(Connecting), Held(Switch::Configuration), PairingOpen),
        (Working(Online), Held(Switch::Configuration), PairingOpen),
        (Working(Offline), Held(Switch::Configuration), PairingOpen),
        (PairingOpen, Granted, Validating),
        (PairingOpen, Failed, Error),
        (PairingOpen, FellBack, Working(Connecting)),
        (Validating, Validated, Working(Online)),
        (Validating, Failed, Error),
        (Validating, FellBack, Working(Connecting)),
        (Error, Retry, Validating),
        (Working(Connecting), Established, Working(Online)),
        (Working(Connecting), Lost, Working(Offline)),
        (Working(Online), Lost, Working(Offline)),
        (Working(Offline), Dialing, Working(Connecting)),
        (Working(Online), Revoked, Unprovisioned),
        (Unprovisioned, Reset(Switch::Configuration), Unprovisioned),
        (PairingOpen, Reset(Switch::Configuration), Unprovisioned),
        (Validating, Reset(Switch::Configuration), Unprovisioned),
        (Working(Connecting), Reset(Switch::Configuration), Unprovisioned),
        (Working(Online), Reset(Switch::Configuration), Unprovisioned),
        (Working(Offline), Reset(Switch::Configuration), Unprovisioned),
        (Error, Reset(Switch::Configuration), Unprovisioned),
    ]
};

impl Mode {
    /// Where a device starts: a pending binding is tried again, else the old state holds, else there is none.
    #[must_use]
    pub const fn at_boot(bound: bool, pending: bool) -> Self {
        match (bound, pending) {
            (_, true) => Self::Validating,
            (true, false) => Self::Working(Link::Connecting),
            (false, false) => Self::Unprovisioned,
        }
    }

    /// The state that an input leads to.
    ///
    /// # Errors
    /// [`NoSuchEdge`] if [`EDGES`] has none.
    pub fn next(self, input: Input) -> Result<Self, NoSuchEdge> {
        let edge = EDGES.iter().find(|(from, on, _)| *from == self && *on == input);
        edge.map(|(_, _, to)| *to).ok_or(NoSuchEdge { mode: self, input })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unprovisioned => "Unprovisioned",
            Self::PairingOpen => "PairingOpen",
            Self::Validating => "Validating",
            Self::Working(Link::Connecting) => "Working/Connecting",
            Self::Working(Link::Online) => "Working/Online",
            Self::Working(Link::Offline) => "Working/Offline",
            Self::Error => "Error",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, string::ToString, vec::Vec};

    use super::*;

    const MODES: [Mode; 7] = [
        Mode::Unprovisioned,
        Mode::PairingOpen,
        Mode::Validating,
        Mode::Working(Link::Connecting),
        Mode::Working(Link::Online),
        Mode::Working(Link::Offline),
        Mode::Error,
    ];
    const INPUTS: [Input; 13] = [
        Input::Held(Switch::Working),
        Input::Held(Switch::Configuration),
        Input::Granted,
        Input::Failed,
        Input::FellBack,
        Input::Validated,
        Input::Retry,
        Input::Dialing,
        Input::Established,
        Input::Lost,
        Input::Revoked,
        Input::Reset(Switch::Working),
        Input::Reset(Switch::Configuration),
    ];

    /// Written by hand, not from the table: rows and columns as above, each cell the first letter of the state that
    /// follows (`C`, `N`, `F` for Connecting, Online, Offline), a dot for "refused".
    const EXPECTED: [&str; 7] = [
        "PP..........U", // Unprovisioned
        "..VEC.......U", // PairingOpen
        ".P.ECN......U", // Validating
        ".P......NF..U", // Working/Connecting
        ".P.......FU.U", // Working/Online
        ".P.....C....U", // Working/Offline
        "PP....V.....U", // Error
    ];

    fn letter(mode: Mode) -> char {
        match mode {
            Mode::Working(Link::Connecting) => 'C',
            Mode::Working(Link::Online) => 'N',
            Mode::Working(Link::Offline) => 'F',
            other => other.to_string().chars().next().unwrap(),
        }
    }

    #[test]
    fn every_legal_edge_is_taken_and_every_other_pair_is_refused_and_unchanged() {
        for (mode, row) in MODES.iter().zip(EXPECTED) {
            assert_eq!(row.len(), INPUTS.len());
            for (input, cell) in INPUTS.iter().zip(row.chars()) {
                match mode.next(*input) {
                    Ok(to) => assert_eq!(letter(to), cell, "{mode} on {input:?}"),
                    Err(refused) => {
                        assert_eq!(cell, '.', "{mode} on {input:?}");
                        assert_eq!(refused, NoSuchEdge { mode: *mode, input: *input });
                    }
                }
            }
        }
    }

    #[test]
    fn no_edge_is_written_twice() {
        let pairs: Vec<_> = EDGES.iter().map(|(from, on, _)| std::format!("{from} {on:?}")).collect();
        assert_eq!(pairs.iter().collect::<BTreeSet<_>>().len(), pairs.len());
        let legal = EXPECTED.iter().flat_map(|row| row.chars()).filter(|cell| *cell != '.').count();
        assert_eq!(legal, EDGES.len());
    }

    #[test]
    fn after_a_power_loss_the_old_state_holds_or_the_new_binding_is_tried_again() {
        assert_eq!(Mode::at_boot(false, false), Mode::Unprovisioned);
        assert_eq!(Mode::at_boot(true, false), Mode::Working(Link::Connecting));
        assert_eq!([true, false].map(|bound| Mode::at_boot(bound, true)), [Mode::Validating; 2]);
    }
}
