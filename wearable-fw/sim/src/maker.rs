//! A maker's key as two files: `KEY` (private, 0600) signs firmware and manifests, `KEY.pub` goes into devices and to gateways.
//! Knows nothing of what is signed.
//!
//! The private file is one line, `secret` and 64 hex digits; the public one is 64 hex digits. So neither passes for the
//! other.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crypto::{
    Secret,
    identity::{SigningKey, VerifyingKey},
};
use host::exit::{Exit, Stop};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

const SECRET: &str = "secret ";

/// Makes a key and writes both files. Gives the public half and its file.
///
/// # Errors
/// [`Stop`] if one of the files exists, or cannot be written.
pub fn generate(path: &Path, rng: &mut impl CryptoRng) -> Result<(VerifyingKey, PathBuf), Stop> {
    let public_path = public_path(path);
    if public_path.exists() {
        return Err(exists(&public_path));
    }
    let key = SigningKey::generate(rng);
    let secret = Zeroizing::new(hex::encode(key.to_secret().expose()));
    let line = Zeroizing::new([SECRET, &secret, "\n"].concat());
    create(path, line.as_bytes(), 0o600)?;
    let public = key.verifying_key();
    let digits = format!("{}\n", hex::encode(public.to_bytes()));
    create(&public_path, digits.as_bytes(), 0o644).inspect_err(|_| {
        // No key without its other half: else a second try would find the name taken.
        fs::remove_file(path).ok();
    })?;
    Ok((public, public_path))
}

/// Reads a private key.
///
/// # Errors
/// [`Stop`]: no such file, readable by others, or no private key.
pub fn read_secret(path: &Path) -> Result<SigningKey, Stop> {
    let text = Zeroizing::new(read_text(path)?);
    let mode =
        fs::metadata(path).map_err(|error| cannot("look at", path, &error))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.display();
        let said = format!("{path} can be read by others (mode {mode:o}); run: chmod go-rwx {path}");
        return Err(Stop::new(Exit::Configuration, said));
    }
    let digits = text.trim_end().strip_prefix(SECRET);
    let mut seed = Zeroizing::new([0; 32]);
    digits
        .and_then(|digits| hex::decode_to_slice(digits, &mut *seed).ok())
        .map(|()| SigningKey::from_secret(&Secret::new(*seed)))
        .ok_or_else(|| {
            let said = format!(
                "{} is no maker's private key; make one with wearable firmware keygen --out KEY",
                path.display()
            );
            Stop::new(Exit::Usage, said)
        })
}

/// Reads a public key.
///
/// # Errors
/// [`Stop`]: no such file, or no public key.
pub fn read_public(path: &Path) -> Result<VerifyingKey, Stop> {
    let text = Zeroizing::new(read_text(path)?);
    if text.starts_with(SECRET) {
        let said = format!("{0} is a private key; here belongs its public half, {0}.pub", path.display());
        return Err(Stop::new(Exit::Usage, said));
    }
    parse_public(text.as_bytes()).ok_or_else(|| {
        let said =
            format!("{} is no maker's public key (64 hex digits); use the maker's KEY.pub", path.display());
        Stop::new(Exit::Usage, said)
    })
}

/// A public key as its file has it.
#[must_use]
pub fn parse_public(text: &[u8]) -> Option<VerifyingKey> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim_ascii_end(), &mut bytes).ok()?;
    VerifyingKey::from_bytes(&bytes).ok()
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// [`Stop`] if it cannot be read or is longer.
pub fn read_bounded(path: &Path, limit: usize) -> Result<Vec<u8>, Stop> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| cannot("read", path, &error))?;
    if bytes.len() > limit {
        let said = format!("{} is longer than {limit} bytes; is it the right file?", path.display());
        return Err(Stop::new(Exit::Usage, said));
    }
    Ok(bytes)
}

/// Writes a file that must not exist yet.
///
/// # Errors
/// [`Stop`] if it exists, or cannot be written; then nothing is left of it.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Stop> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => cannot("write", path, &error),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a file is worse than none.
        fs::remove_file(path).ok();
        cannot("write", path, &error)
    })
}

fn read_text(path: &Path) -> Result<String, Stop> {
    let bytes = read_bounded(path, 256)?;
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// A file that must not exist and does.
pub(crate) fn exists(path: &Path) -> Stop {
    let said =
        format!("{} exists; it is not written over. Choose another name, or move it away", path.display());
    Stop::new(Exit::Usage, said)
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Stop {
    Stop::new(Exit::Usage, format!("cannot {what} {}: {error}", path.display()))
}
