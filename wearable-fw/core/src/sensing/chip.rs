//! Whether one sensor is at work. Owns when it is started and given up; knows no register and no signal.

use wearable_drivers::{Drained, Fault};

use super::Trouble;
use crate::dsp::Reason;

/// A sensor that brings nothing for so many seconds is started again; in one second a late reader may miss it.
const QUIET_SECONDS: u8 = 2;

/// One sensor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chip {
    state: State,
    overflows: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Off(Trouble),
    On { has_brought: bool, quiet_seconds: u8 },
}

/// What was taken out of a FIFO.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) count: usize,
    /// Samples are missing after these.
    pub(super) gap: bool,
}

impl Chip {
    pub(super) const fn new() -> Self {
        Self { state: State::Off(Trouble::Starting), overflows: 0 }
    }

    /// Starts it, if it is off.
    pub(super) fn start(&mut self, start: impl FnOnce() -> Result<(), Fault>) {
        if matches!(self.state, State::Off(_)) {
            self.state = match start() {
                Ok(()) => State::On { has_brought: false, quiet_seconds: 0 },
                Err(fault) => State::Off(fault.into()),
            };
        }
    }

    /// Reads one value, if it is on.
    pub(super) fn read<T>(&mut self, read: impl FnOnce() -> Result<T, Fault>) -> Option<T> {
        let value = self.ask(read)?;
        self.state = State::On { has_brought: true, quiet_seconds: 0 };
        Some(value)
    }

    /// Empties its FIFO, if it is on.
    pub(super) fn drain(&mut self, drain: impl FnOnce() -> Result<Drained, Fault>) -> Taken {
        let Some(Drained { count, lost }) = self.ask(drain) else {
            return Taken { count: 0, gap: true };
        };
        if count > 0 || lost > 0 {
            self.state = State::On { has_brought: true, quiet_seconds: 0 };
        }
        self.overflows = self.overflows.saturating_add(u32::from(lost > 0));
        Taken { count, gap: lost > 0 }
    }

    /// Ends a second; whether the sensor is given up with it.
    pub(super) const fn end_second(&mut self) -> bool {
        let State::On { quiet_seconds, .. } = &mut self.state else { return false };
        *quiet_seconds += 1;
        let is_silent = *quiet_seconds > QUIET_SECONDS;
        if is_silent {
            self.state = State::Off(Trouble::Silent);
        }
        is_silent
    }

    pub(super) const fn state(&self) -> Result<(), Trouble> {
        match self.state {
            State::On { has_brought: true, .. } => Ok(()),
            State::On { .. } => Err(Trouble::Starting),
            State::Off(trouble) => Err(trouble),
        }
    }

    /// Why a value that is not there is not there.
    pub(super) const fn reason(&self) -> Reason {
        match self.state {
            State::On { .. } => Reason::Settling,
            State::Off(_) => Reason::NoSignal,
        }
    }

    pub(super) const fn overflows(&self) -> u32 {
        self.overflows
    }

    /// Asks beside what it is there for, if it is on: an answer is no sample.
    pub(super) fn ask<T>(&mut self, ask: impl FnOnce() -> Result<T, Fault>) -> Option<T> {
        match self.state {
            State::On { .. } => ask().map_err(|fault| self.state = State::Off(fault.into())).ok(),
            State::Off(_) => None,
        }
    }
}
