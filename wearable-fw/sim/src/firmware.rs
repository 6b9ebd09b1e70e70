//! `wearable firmware`: what a maker does with an image before a gateway publishes it. The format is
//! [`protocol::image`]; this only reads and writes files.

use std::{io::Write, path::PathBuf};

use clap::{Args as Arguments, Subcommand};
use host::{
    entropy::system_rng,
    exit::{Exit, Stop},
};
use protocol::{
    id::HardwareId,
    image::{self, HEADER, Header, MAX_BODY, MakerId, Refusal},
};
use serde_json::{Value, json};

use crate::maker;

/// What a person typed behind `firmware`.
#[derive(Debug, Clone, Arguments)]
pub struct FirmwareArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: FirmwareVerb,

    /// One JSON object in place of a sentence
    #[arg(long, global = true)]
    pub json: bool,
}

/// What can be done with images.
#[derive(Debug, Clone, Subcommand)]
pub enum FirmwareVerb {
    /// Make a maker's key: FILE stays secret, FILE.pub goes into devices and to gateways
    Keygen {
        /// The private key's file; it must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Put a signed header in front of a built image
    Sign {
        /// The image as it was built, at most 1 MiB
        image: PathBuf,
        /// The maker's private key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The hardware it was built for
        #[arg(long, value_name = "ID")]
        hardware: HardwareId,
        /// Higher than that of every image before, from 1
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        version: u32,
        /// The signed file; it must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Check a signed image as a device does; ends with 1 if it is refused
    Verify {
        /// The signed file
        file: PathBuf,
        /// The maker's public key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
}

/// Does it and says what was done.
///
/// # Errors
/// [`Stop`]: files that cannot be used, or an image that is refused.
pub fn run(args: &FirmwareArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let (fields, sentence) = match &args.verb {
        FirmwareVerb::Keygen { out } => {
            let (key, public) = maker::generate(out, &mut system_rng())?;
            let (secret, public) = (out.display(), public.display());
            (
                json!({ "maker": MakerId::of(&key).to_string(), "secret": secret.to_string(), "public": public.to_string() }),
                format!(
                    "{secret} signs firmware: keep it secret, and a copy of it safe. {public} goes into devices and to gateways."
                ),
            )
        }
        FirmwareVerb::Sign { image, key, hardware, version, out } => {
            let key = maker::read_secret(key)?;
            let body = maker::read_bounded(image, MAX_BODY as usize)?;
            let header = Header::sign(&body, hardware, *version, &key)
                .map_err(|refusal| Stop::new(Exit::Usage, format!("{} {refusal}", image.display())))?;
            maker::create(out, &[header.bytes().as_slice(), &body].concat(), 0o644)?;
            (fields_of(&header), format!("{}: {}", out.display(), sentence_of(&header)))
        }
        FirmwareVerb::Verify { file, key } => {
            let key = maker::read_public(key)?;
            let bytes = maker::read_bounded(file, HEADER + MAX_BODY as usize)?;
            match verified(&bytes, &key) {
                Ok(header) => {
                    (fields_of(&header), format!("{}: good, {}", file.display(), sentence_of(&header)))
                }
                Err(refusal) => {
                    if args.json {
                        writeln!(out, "{}", json!({ "refused": refusal.to_string(), "code": refusal.0 }))?;
                    }
                    return Err(Stop::new(Exit::Failed, format!("{} {refusal}", file.display())).into());
                }
            }
        }
    };
    let said = if args.json { fields.to_string() } else { sentence };
    writeln!(out, "{said}")?;
    Ok(())
}

fn verified(file: &[u8], key: &crypto::identity::VerifyingKey) -> Result<Header, Refusal> {
    let (header, body) = image::split(file)?;
    header.verify(key)?;
    header.check_body(body)?;
    Ok(header)
}

fn fields_of(header: &Header) -> Value {
    json!({
        "hardware": header.hardware(),
        "version": header.version(),
        "length": header.length(),
        "maker": header.maker().to_string(),
    })
}

fn sentence_of(header: &Header) -> String {
    format!(
        "version {} for {}, {} bytes, signed by maker {}",
        header.version(),
        header.hardware(),
        header.length(),
        header.maker()
    )
}
