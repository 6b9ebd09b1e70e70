//! The simulated patient: a replay and a scenario that goes on with it second by second.

use crate::{
    act::{Act, Body},
    recording::{Contact, Recording, Recordings, Replay, ReplayError, ReplayOptions, Signals},
    scenario::Scenario,
};

/// One second of a patient.
#[derive(Clone, Debug, PartialEq)]
pub struct Second {
    /// What the scenario does to everything else than the patient, at its start.
    pub acts: Vec<Act>,
    /// What sensors would feel.
    pub signals: Signals,
}

/// The simulated patient, whose scenario may be changed while it runs.
#[derive(Clone, Debug)]
pub struct Patient {
    recordings: Recordings,
    seed: u64,
    worn: u32,
    scenario: Scenario,
    replay: Replay,
}

impl Patient {
    /// A patient of the shipped recordings, but for those that the scenario names and `own`. `seed` is of more weight than
    /// the scenario's.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn new(own: Option<Recording>, scenario: Scenario, seed: Option<u64>) -> Result<Self, ReplayError> {
        let named = scenario.recordings.iter().cloned().chain(own);
        let recordings = named.fold(Recordings::shipped()?, Recordings::with);
        let seed = seed.or(scenario.seed).unwrap_or(1);
        let replay = replay(&recordings, &scenario, seed)?;
        let worn = scenario.worn;
        Ok(Self { recordings, seed, worn: 0, scenario, replay }.worn_for(worn))
    }

    /// The same patient `seconds` later, and so after every [`Self::set_scenario`]: as if the device had been on for so
    /// long.
    #[must_use]
    pub fn worn_for(mut self, seconds: u32) -> Self {
        self.worn += seconds;
        self
    }

    /// The scenario that runs.
    #[must_use]
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// How the body is, and what touches it.
    #[must_use]
    pub const fn contact(&self) -> Contact {
        self.replay.contact()
    }

    /// Rates of the two recordings, Hz: ECG and PPG.
    #[must_use]
    pub fn rates_hz(&self) -> [u16; 2] {
        [self.recordings.ecg.rate_hz(), self.recordings.ppg.rate_hz()]
    }

    /// Starts a scenario from its first second with the recordings and the seed of now.
    ///
    /// # Errors
    /// [`ReplayError`]; the running scenario then goes on.
    pub fn set_scenario(&mut self, scenario: Scenario) -> Result<(), ReplayError> {
        self.replay = replay(&self.recordings, &scenario, self.seed)?;
        self.scenario = scenario;
        Ok(())
    }

    /// Seconds to pass before the first one that counts: the signal processing settles in them.
    #[must_use]
    pub fn unsettled(&self) -> u32 {
        self.worn.saturating_sub(self.replay.second())
    }

    /// Something is done to the patient now.
    pub fn act(&mut self, body: Body) {
        self.replay.act(body);
    }

    /// The next second.
    pub fn next_second(&mut self) -> Second {
        let mut acts = Vec::new();
        for act in self.scenario.due(self.replay.second()) {
            match act {
                Act::Body(body) => self.replay.act(body),
                other => acts.push(other),
            }
        }
        Second { acts, signals: self.replay.next_second() }
    }
}

fn replay(recordings: &Recordings, scenario: &Scenario, seed: u64) -> Result<Replay, ReplayError> {
    Replay::new(recordings, &ReplayOptions { seed, start: scenario.start, length: scenario.length })
}
