//! `wearable factory`: makes one device's identity, its manifest and its label. Owns the manifest's form.
//!
//! A manifest says, signed by the maker, that this serial number is this device. It is JSON with an Ed25519 signature over
//! the project's framing, and not COSE: the key and the verification are those of the firmware images, one more format
//! would bring two parsers, and nobody but these programs reads it.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::Context;
use clap::Args as Arguments;
use crypto::{
    Secret,
    identity::{Signature, SigningKey, VerifyingKey},
    purpose::StorageKey,
};
use host::{
    clock::Clock,
    datadir::{self, DataDir},
    entropy::system_rng,
    exit::{Exit, Stop},
};
use protocol::{
    id::{DeviceId, HardwareId},
    image::Header,
    time::UnixMillis,
};
use rand_core::Rng;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::json;

use crate::{agent, label, maker};

/// What the simulator is, to firmware images.
pub const HARDWARE: &str = "vitalward-sim";

/// In the device's folder: its UUID, as text.
pub const DEVICE_ID: &str = "device-id";
/// In the device's folder: 32 bytes that seal its configuration.
pub const STORAGE_KEY: &str = "storage-key";
/// In the device's folder: whose firmware it takes.
pub const MAKER: &str = "maker.pub";
/// In the device's folder: its flash.
pub const FLASH: &str = "flash";

const FORMAT: u8 = 1;
const PURPOSE: &str = "manifest";
const LONGEST: usize = 4_096;

/// What a person typed behind `factory`.
#[derive(Debug, Clone, Arguments)]
#[command(
    after_help = "The device's folder is --data-dir, else $VITALWARD_HOME or ~/.local/share/vitalward, wearable-SN-...; start the\n\
                  device with --name SN-... (or its --data-dir). Without --hardware it is a SIMULATED device, and marked so."
)]
pub struct FactoryArgs {
    /// The serial number: SN- and up to 24 of A-Z 0-9 -
    #[arg(long, value_name = "SN-...", required_unless_present = "check")]
    pub serial: Option<Serial>,

    /// The maker's private key; with --check, the public one
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,

    /// Where to write the label (SVG, 62 x 29 mm); it must not exist
    #[arg(long, value_name = "FILE.svg", required_unless_present = "check")]
    pub label: Option<PathBuf>,

    /// Where to write the signed manifest; it must not exist
    #[arg(long, value_name = "FILE.json")]
    pub manifest: Option<PathBuf>,

    /// What the device is
    #[arg(long, value_name = "ID", default_value = HARDWARE)]
    pub hardware: HardwareId,

    /// The device's folder
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Make nothing; check this manifest's signature and show it
    #[arg(long, value_name = "FILE.json", conflicts_with_all = ["serial", "label", "manifest", "data_dir"])]
    pub check: Option<PathBuf>,

    /// One JSON object in place of a sentence
    #[arg(long)]
    pub json: bool,
}

/// A serial number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Serial(String);

impl Serial {
    /// As it is printed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Serial {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
        let digits = text.strip_prefix("SN-").filter(|rest| (1..=24).contains(&rest.len()));
        digits
            .filter(|rest| rest.chars().all(allowed))
            .map(|_| Self(text.to_owned()))
            .ok_or_else(|| format!("{text:?} is not SN- and 1 to 24 of A-Z 0-9 - (for example SN-000123)"))
    }
}

impl<'de> Deserialize<'de> for Serial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What a maker says of a device. Only signing and [`Manifest::verify`] give one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its serial number.
    pub serial: Serial,
    /// Its UUID.
    pub device: DeviceId,
    /// What it is.
    pub hardware: HardwareId,
    /// When it was made.
    pub made: UnixMillis,
    /// Whether it is a program.
    pub simulated: bool,
}

/// A manifest as a file, of which nothing is believed yet.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    format: u8,
    serial: Serial,
    device: String,
    hardware: HardwareId,
    made_unix_ms: u64,
    simulated: bool,
    maker: String,
    signature: String,
}

impl Manifest {
    /// As a signed JSON object.
    ///
    /// # Errors
    /// None that can happen.
    pub fn sign(&self, maker: &SigningKey) -> serde_json::Result<Vec<u8>> {
        let signature = self.with_parts(|parts| maker.sign(PURPOSE, parts));
        let mut file = serde_json::to_vec_pretty(&Signed {
            format: FORMAT,
            serial: self.serial.clone(),
            device: self.device.to_string(),
            hardware: self.hardware.clone(),
            made_unix_ms: self.made.0,
            simulated: self.simulated,
            maker: hex::encode(maker.verifying_key().to_bytes()),
            signature: hex::encode(signature.to_bytes()),
        })?;
        file.push(b'\n');
        Ok(file)
    }

    /// Reads a manifest that this maker signed.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn verify(bytes: &[u8], maker: &VerifyingKey) -> Result<Self, &'static str> {
        let signed: Signed =
            serde_json::from_slice(bytes).map_err(|_| "is no manifest; make one with wearable factory")?;
        if signed.format != FORMAT {
            return Err("is a manifest of another format; use the wearable program that made it");
        }
        if signed.maker != hex::encode(maker.to_bytes()) {
            return Err("is signed by another maker's key");
        }
        let altered = "was altered after it was signed; fetch the maker's file again";
        let manifest = Self {
            serial: signed.serial,
            device: signed.device.parse().map_err(|_| altered)?,
            hardware: signed.hardware,
            made: UnixMillis(signed.made_unix_ms),
            simulated: signed.simulated,
        };
        let signature = hex::decode(&signed.signature).map_err(|_| altered)?;
        let signature = Signature::from_bytes(&signature).map_err(|_| altered)?;
        manifest.with_parts(|parts| maker.verify(PURPOSE, parts, &signature)).map_err(|_| altered)?;
        Ok(manifest)
    }

    fn with_parts<T>(&self, use_them: impl FnOnce(&[&[u8]]) -> T) -> T {
        use_them(&[
            &[FORMAT],
            self.serial.0.as_bytes(),
            self.device.as_bytes(),
            self.hardware.as_str().as_bytes(),
            &self.made.0.to_be_bytes(),
            &[u8::from(self.simulated)],
        ])
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simulated = if self.simulated { "SIMULATED " } else { "" };
        write!(
            f,
            "{simulated}device {} ({}), {}, made {}",
            self.serial.0,
            self.device,
            self.hardware,
            wearable_core::clock::utc(self.made)
        )
    }
}

/// Makes a device, or checks a manifest, and says so.
///
/// # Errors
/// [`Stop`]: files that cannot be used, or a manifest that is refused.
pub fn run(args: &FactoryArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let (manifest, places) = match (&args.check, &args.serial, &args.label) {
        (Some(path), ..) => (check(path, &args.key)?, String::new()),
        (None, Some(serial), Some(label)) => {
            let Made { manifest, folder } = make(args, serial, label)?;
            (manifest, places(args, serial, label, &folder))
        }
        _ => return Err(Stop::new(Exit::Usage, "give --serial and --label, or --check").into()),
    };
    if args.json {
        let fields = json!({
            "serial": manifest.serial,
            "device": manifest.device.to_string(),
            "hardware": manifest.hardware,
            "simulated": manifest.simulated,
        });
        writeln!(out, "{fields}")?;
    } else {
        write!(out, "{manifest}\n{places}")?;
    }
    Ok(())
}

/// Where everything is, and what to do next.
fn places(args: &FactoryArgs, serial: &Serial, label: &Path, folder: &Path) -> String {
    let label = format!("label     {}\n", label.display());
    let manifest =
        args.manifest.as_ref().map_or_else(String::new, |path| format!("manifest  {}\n", path.display()));
    let folder_line = format!("folder    {}\n", folder.display());
    let place =
        args.data_dir.as_ref().map_or_else(String::new, |_| format!(" --data-dir {}", folder.display()));
    let next = if args.hardware.as_str() == HARDWARE {
        format!("start it  wearable --name {} --show-code{place}\n", serial.as_str())
    } else {
        String::new()
    };
    label + &manifest + &folder_line + &next
}

fn check(path: &Path, key: &Path) -> anyhow::Result<Manifest> {
    let bytes = maker::read_bounded(path, LONGEST)?;
    Manifest::verify(&bytes, &maker::read_public(key)?)
        .map_err(|why| Stop::new(Exit::Failed, format!("{} {why}", path.display())).into())
}

/// A device that was just made.
struct Made {
    manifest: Manifest,
    folder: PathBuf,
}

fn make(args: &FactoryArgs, serial: &Serial, label_path: &Path) -> anyhow::Result<Made> {
    let key = maker::read_secret(&args.key)?;
    // By components: behind a slash at the end, the workbench's name would be one inside of it.
    let given = datadir::resolve("wearable", serial.as_str(), args.data_dir.as_deref(), true)?;
    let folder: PathBuf = given.components().collect();
    if folder.file_name().is_none() {
        let said = format!(
            "{} has no name of its own; give --data-dir a folder that is to be made",
            given.display()
        );
        return Err(Stop::new(Exit::Usage, said).into());
    }
    for path in args.manifest.iter().map(PathBuf::as_path).chain([label_path]) {
        if path.exists() {
            return Err(maker::exists(path).into());
        }
    }
    if fs::read_dir(&folder).is_ok_and(|mut files| files.next().is_some()) {
        let said = format!("{} is a device already; give another --serial or --data-dir", folder.display());
        return Err(Stop::new(Exit::Usage, said).into());
    }
    // Nothing is a device before all of it is there: it is made beside its place and moved there last.
    let dir = workbench(&folder)?;
    let mut random = [0; 16];
    system_rng().fill_bytes(&mut random);
    let manifest = Manifest {
        serial: serial.clone(),
        device: DeviceId::from_random(random),
        hardware: args.hardware.clone(),
        made: Clock::start().now().wall,
        simulated: args.hardware.as_str() == HARDWARE,
    };
    let svg = label::svg(serial, manifest.device, manifest.hardware.as_str(), manifest.simulated)
        .context("the label's text is too long")?;
    let signed = manifest.sign(&key)?;
    if manifest.simulated {
        install_program(&dir, &key, &args.hardware)?;
    }
    let storage: Secret<StorageKey> = Secret::generate(&mut system_rng());
    dir.write(STORAGE_KEY, storage.expose()).map_err(Stop::from)?;
    let public = hex::encode(key.verifying_key().to_bytes());
    dir.write(MAKER, format!("{public}\n").as_bytes()).map_err(Stop::from)?;
    dir.write(DEVICE_ID, format!("{}\n", manifest.device).as_bytes()).map_err(Stop::from)?;
    let papers = [(label_path, svg.as_bytes())];
    let mut papers = papers.into_iter().chain(args.manifest.as_deref().map(|path| (path, signed.as_slice())));
    let mut written = Vec::new();
    let placed = papers
        .try_for_each(|(path, bytes)| maker::create(path, bytes, 0o644).map(|()| written.push(path)))
        .and_then(|()| place(dir.path(), &folder));
    if let Err(stop) = placed {
        // Papers of a device that is not there would only be in the way of the next try.
        written.into_iter().for_each(|path| drop(fs::remove_file(path)));
        return Err(stop.into());
    }
    Ok(Made { manifest, folder })
}

/// Where the device is made. What a making that was cut off left there is cleared away.
fn workbench(folder: &Path) -> Result<DataDir, Stop> {
    let mut name = folder.as_os_str().to_owned();
    name.push(".making");
    let dir = DataDir::open(Path::new(&name))?;
    for name in [FLASH, STORAGE_KEY, MAKER, DEVICE_ID] {
        match fs::remove_file(dir.path().join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let said = format!("cannot clear {}: {error}", dir.path().display());
                return Err(Stop::new(Exit::Configuration, said));
            }
            _ => {}
        }
    }
    Ok(dir)
}

/// The last step, whole or not at all.
fn place(workbench: &Path, folder: &Path) -> Result<(), Stop> {
    let parent =
        folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::rename(workbench, folder).and_then(|()| File::open(parent)?.sync_all()).map_err(|error| {
        Stop::new(Exit::Configuration, format!("cannot place the device in {}: {error}", folder.display()))
    })
}

/// The simulator's own program stands in its flash as a signed image of version 1, so that updates have something to come
/// after and to fall back to.
fn install_program(dir: &DataDir, key: &SigningKey, hardware: &HardwareId) -> anyhow::Result<()> {
    let body = concat!("SIMULATED firmware, vitalward-sim ", env!("CARGO_PKG_VERSION")).as_bytes();
    let header = Header::sign(body, hardware, 1, key)?;
    let image = [header.bytes().as_slice(), body].concat();
    agent::install_first(dir, key.verifying_key(), &image).context("cannot write the flash's file")??;
    Ok(())
}
