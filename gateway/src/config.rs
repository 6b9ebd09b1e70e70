//! Settings of a gateway: defaults, then the configuration file, then the command line. Parsed once into values that
//! cannot be wrong.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use host::exit::{Exit, Stop};
use protocol::id::DoctorId;
use serde::Deserialize;

/// Default port for patients.
pub const PATIENTS_PORT: u16 = 7300;
/// Default port for wearables.
pub const WEARABLES_PORT: u16 = 7301;
/// Default for how far a client's clock may be off.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

/// What a gateway runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its doctor.
    pub id: DoctorId,
    /// Where it keeps everything.
    pub data_dir: PathBuf,
    /// Address of the patients' port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address of the wearables' port; port 0 takes a free one.
    pub wearable_listen: SocketAddr,
    /// How far a client's clock may be off.
    pub clock_tolerance: Duration,
    /// Whether patients whose TLS has no post-quantum key exchange and wearables without suite 4 are refused.
    pub require_post_quantum: bool,
}

impl Config {
    /// The defaults for a doctor and a data folder.
    #[must_use]
    pub fn new(id: DoctorId, data_dir: PathBuf) -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            id,
            data_dir,
            listen: loopback(PATIENTS_PORT),
            wearable_listen: loopback(WEARABLES_PORT),
            clock_tolerance: CLOCK_TOLERANCE,
            require_post_quantum: false,
        }
    }
}

/// The configuration file (TOML). Every key is optional and has the name of its flag.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// `listen = "127.0.0.1:7300"`.
    pub listen: Option<SocketAddr>,
    /// `wearable_listen = "127.0.0.1:7301"`.
    pub wearable_listen: Option<SocketAddr>,
    /// `clock_tolerance = "30s"`.
    pub clock_tolerance: Option<String>,
    /// `require_post_quantum = false`.
    pub require_post_quantum: Option<bool>,
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// A [`Stop`] with [`Exit::Configuration`] that names the place.
    pub fn read(path: &Path) -> Result<Self, Stop> {
        let wrong = |why: String| Stop::new(Exit::Configuration, format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        toml::from_str(&text).map_err(|error| wrong(error.to_string()))
    }

    /// Puts the file's settings over the defaults.
    ///
    /// # Errors
    /// A [`Stop`] with [`Exit::Configuration`].
    pub fn apply(&self, config: &mut Config) -> Result<(), Stop> {
        if let Some(text) = &self.clock_tolerance {
            config.clock_tolerance = parse_duration(text)
                .map_err(|why| Stop::new(Exit::Configuration, format!("clock_tolerance: {why}")))?;
        }
        config.listen = self.listen.unwrap_or(config.listen);
        config.wearable_listen = self.wearable_listen.unwrap_or(config.wearable_listen);
        config.require_post_quantum = self.require_post_quantum.unwrap_or(config.require_post_quantum);
        Ok(())
    }
}

/// A duration as people write it: `500ms`, `30s`, `10m`, `24h`, `7d`.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("{text:?} is no duration; write 500ms, 30s, 10m, 24h or 7d")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} has no number"))?;
    number
        .checked_mul(millis_per_unit)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("24h"), Ok(Duration::from_secs(86_400)));
        for bad in ["", "30", "s", "-1s", "1.5h", "99999999999999999999s", "9999999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_file_overrides_defaults_and_unknown_keys_are_refused() {
        let mut config = Config::new("D001".parse().unwrap(), PathBuf::new());
        let file: ConfigFile = toml::from_str("listen = \"0.0.0.0:9000\"\nclock_tolerance = \"5s\"").unwrap();
        file.apply(&mut config).unwrap();
        assert_eq!((config.listen.port(), config.clock_tolerance), (9000, Duration::from_secs(5)));
        assert!(toml::from_str::<ConfigFile>("lisen = \"0.0.0.0:9000\"").is_err());
    }
}
