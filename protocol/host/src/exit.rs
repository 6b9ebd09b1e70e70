//! Exit codes, the same for all programs (the numbers are those of sysexits.h where it has one).

use std::{fmt, process::ExitCode};

use thiserror::Error;

/// How a program or a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All of it was done.
    Done,
    /// It failed.
    Failed,
    /// A part was done, for instance receipts are missing.
    InPart,
    /// The command line is wrong (EX_USAGE).
    Usage,
    /// What is needed does not run or is taken (EX_UNAVAILABLE).
    Unavailable,
    /// The configuration or data folder is wrong (EX_CONFIG).
    Configuration,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::InPart => 3,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Configuration => 78,
        }
    }
}

impl Exit {
    /// The exit of a number; an unknown one is a failure.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Done,
            3 => Self::InPart,
            64 => Self::Usage,
            69 => Self::Unavailable,
            78 => Self::Configuration,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that knows its exit code. Put it anywhere in a chain of errors; [`Stop::exit_of`] finds it.
#[derive(Debug, Error)]
pub struct Stop {
    exit: Exit,
    message: String,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Stop {
    /// Ends with `exit` and says `message`, which tells what to do next.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// The exit code that an error asks for.
    #[must_use]
    pub fn exit_of(error: &(dyn std::error::Error + 'static)) -> Exit {
        let chain = std::iter::successors(Some(error), |error| error.source());
        chain
            .filter_map(|error| error.downcast_ref::<Self>())
            .map(|stop| stop.exit)
            .next()
            .unwrap_or(Exit::Failed)
    }
}
