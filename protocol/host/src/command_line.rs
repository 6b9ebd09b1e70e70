//! What the command lines of the programs have in common.

use std::{
    io::{BufRead, IsTerminal},
    str::FromStr,
};

use protocol::pairing::code::PairingCode;

use crate::exit::{Exit, Stop};

/// The value of `--pair`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenCode {
    /// Typed on the command line.
    Code(PairingCode),
    /// `-`: comes as a line on standard input, so that no process list shows it.
    FromStdin,
}

impl FromStr for GivenCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::FromStdin);
        }
        text.parse().map(Self::Code).map_err(|error| format!("{error}"))
    }
}

impl GivenCode {
    /// The code, read from `stdin` if that was asked for.
    ///
    /// # Errors
    /// [`Stop`] with [`Exit::Usage`] if the line is none.
    pub fn read(self, stdin: &mut impl BufRead) -> Result<PairingCode, Stop> {
        match self {
            Self::Code(code) => Ok(code),
            Self::FromStdin => read_code(stdin),
        }
    }
}

/// Reads a code from a line of `input`.
///
/// # Errors
/// [`Stop`] with [`Exit::Usage`] if it is none.
pub fn read_code(input: &mut impl BufRead) -> Result<PairingCode, Stop> {
    let mut line = String::new();
    input.read_line(&mut line).map_err(|error| Stop::new(Exit::Failed, error.to_string()))?;
    line.trim().parse().map_err(|error| Stop::new(Exit::Usage, format!("{error}")))
}

/// A `HOST:PORT`; the host is looked up only when it is dialled.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_address(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is no HOST:PORT (for example 192.0.2.7:7300)");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || (host.contains(':') && !bracketed) || port.parse::<u16>().is_err() {
        return Err(wrong());
    }
    Ok(text.to_owned())
}

/// Starts the log on standard error, as much of it as `VITALWARD_LOG` asks for (warnings, if it says nothing), unless
/// `has_screen` and standard error is that screen: log lines would run through it.
pub fn log_to_stderr(has_screen: bool) {
    let to_terminal = std::io::stderr().is_terminal();
    if has_screen && to_terminal {
        return;
    }
    let filter = tracing_subscriber::EnvFilter::try_from_env("VITALWARD_LOG");
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(to_terminal)
        .with_env_filter(filter.unwrap_or_else(|_| "warn".into()))
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_from_a_line() {
        let code = GivenCode::FromStdin.read(&mut &b" abc-def-gh2 \nmore"[..]).unwrap();
        assert_eq!(code, "ABC-DEF-GH2".parse().unwrap());
        assert_eq!(Stop::exit_of(&read_code(&mut &b""[..]).unwrap_err()), Exit::Usage);
        assert!("ABC-DEF".parse::<GivenCode>().is_err());
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["127.0.0.1:7300", "gateway.clinic:1", "[::1]:7300"] {
            assert_eq!(parse_address(good).unwrap(), good);
        }
        for bad in ["", "localhost", ":7300", "::1:7300", "host:70000", "host:"] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }
}
