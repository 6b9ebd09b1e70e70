//! A firmware image as its maker signs it: a header of [`HEADER`] bytes, then the body. Owns the format and the judgement
//! on one image; knows no flash, slot or gateway. Reading and judging allocate nothing, so a bootloader can do it.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | `VWFW` |
//! | 4 | 2 | format, 1 |
//! | 6 | 2 | zero |
//! | 8 | 8 | which key signed: the first 8 bytes of SHA-256 over "firmware maker", key |
//! | 16 | 32 | the hardware it is for: a [`HardwareId`], zeros behind it |
//! | 48 | 4 | version, from 1; it grows with every release |
//! | 52 | 4 | length of the body, 1 to [`MAX_BODY`] |
//! | 56 | 32 | SHA-256 over "firmware body", body |
//! | 88 | 64 | Ed25519 signature over "firmware", bytes 0 to 87 |
//!
//! Numbers are big-endian; hashes and signature are over `crypto::framed` input as everywhere. Bytes that are not exactly
//! what [`Header::sign`] writes are refused.

use core::fmt;

use crypto::{
    PartHash,
    identity::{Signature, SigningKey, VerifyingKey},
    sha256,
};

use crate::{
    id::{HardwareId, MAX_TEXT_ID},
    open_set::open_set,
};

/// Bytes of a header.
pub const HEADER: usize = 152;
/// Longest body: 1 MiB, above any chip that this is for.
pub const MAX_BODY: u32 = 1 << 20;

const MAGIC: [u8; 4] = *b"VWFW";
const FORMAT: u16 = 1;
const SIGNED: usize = 88;
const PURPOSE: &str = "firmware";
const BODY_PURPOSE: &str = "firmware body";

open_set! {
    /// Why an image is not taken, and what to do about it.
    Refusal, "refusal":
    /// No header of this format.
    NOT_AN_IMAGE = 1, "is no firmware image; make one with wearable firmware sign";
    /// No signature.
    UNSIGNED = 2, "is not signed; sign it with wearable firmware sign";
    /// Another key signed it.
    OTHER_MAKER = 3, "is signed by another maker's key; the device takes only its own maker's images";
    /// It is for other hardware.
    OTHER_HARDWARE = 4, "is for other hardware; publish the image that was built for this device";
    /// The signature or the body does not fit.
    ALTERED = 5, "was altered after it was signed; fetch the maker's file again";
    /// The device has run this version or a newer one.
    NOT_NEWER = 6, "is not newer than what the device has run; sign it with a higher version";
    /// It does not fit into the slot.
    TOO_LARGE = 7, "is larger than the device's slot; make it smaller";
    /// Bytes are missing, or there are more than the header says.
    INCOMPLETE = 8, "has not the length that its header says; fetch the whole file again";
    /// It failed on this device before.
    ROLLED_BACK = 9, "or a higher one failed on this device and was rolled back; publish a corrected higher version";
    /// The running image is still on trial.
    BUSY = 10, "comes while the running firmware is on trial; it is taken when that is confirmed";
    /// The device's flash failed.
    FLASH = 11, "could not be written; the device's flash fails, have it serviced";
    /// The battery is too low for it.
    BATTERY = 12, "needs more battery; charge the device";
}

impl core::error::Error for Refusal {}

/// Which key signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MakerId([u8; 8]);

impl MakerId {
    /// Of this key.
    #[must_use]
    pub fn of(key: &VerifyingKey) -> Self {
        let mut id = [0; 8];
        id.iter_mut().zip(sha256("firmware maker", &[&key.to_bytes()])).for_each(|(id, byte)| *id = byte);
        Self(id)
    }
}

impl fmt::Display for MakerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A header that is well formed. Whether its maker wrote it is told by [`Self::verify`] alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; HEADER],
}

impl Header {
    /// Signs a body.
    ///
    /// # Errors
    /// [`Refusal::TOO_LARGE`] or [`Refusal::INCOMPLETE`] for a body that is too long or empty, [`Refusal::NOT_NEWER`]
    /// for version 0.
    pub fn sign(
        body: &[u8],
        hardware: &HardwareId,
        version: u32,
        maker: &SigningKey,
    ) -> Result<Self, Refusal> {
        let length = u32::try_from(body.len()).ok().filter(|length| *length <= MAX_BODY);
        let length = length.ok_or(Refusal::TOO_LARGE)?;
        if length == 0 {
            return Err(Refusal::INCOMPLETE);
        }
        if version == 0 {
            return Err(Refusal::NOT_NEWER);
        }
        let mut field = [0; MAX_TEXT_ID];
        field.iter_mut().zip(hardware.as_str().bytes()).for_each(|(field, byte)| *field = byte);
        let mut bytes = [0; HEADER];
        let (signed, signature) = bytes.split_at_mut(SIGNED);
        let fields: [&[u8]; 8] = [
            &MAGIC,
            &FORMAT.to_be_bytes(),
            &[0; 2],
            &MakerId::of(&maker.verifying_key()).0,
            &field,
            &version.to_be_bytes(),
            &length.to_be_bytes(),
            &sha256(BODY_PURPOSE, &[body]),
        ];
        signed.iter_mut().zip(fields.into_iter().flatten()).for_each(|(signed, byte)| *signed = *byte);
        signature.copy_from_slice(&maker.sign(PURPOSE, &[signed]).to_bytes());
        Ok(Self { bytes })
    }

    /// Reads the header at the front of `bytes`.
    ///
    /// # Errors
    /// [`Refusal::NOT_AN_IMAGE`], [`Refusal::INCOMPLETE`] for fewer than [`HEADER`] bytes of one, [`Refusal::TOO_LARGE`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if !bytes.starts_with(&MAGIC) {
            return Err(Refusal::NOT_AN_IMAGE);
        }
        let bytes: [u8; HEADER] = *bytes.first_chunk().ok_or(Refusal::INCOMPLETE)?;
        let header = Self { bytes };
        if header.array(4) != FORMAT.to_be_bytes()
            || header.array(6) != [0; 2]
            || !HardwareId::is_valid(header.hardware())
            || header.array::<MAX_TEXT_ID>(16).iter().skip(header.hardware().len()).any(|byte| *byte != 0)
            || header.version() == 0
            || header.length() == 0
        {
            return Err(Refusal::NOT_AN_IMAGE);
        }
        if header.length() > MAX_BODY {
            return Err(Refusal::TOO_LARGE);
        }
        Ok(header)
    }

    /// As they are sent and stored.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; HEADER] {
        &self.bytes
    }

    /// Which key signed, says the header.
    #[must_use]
    pub fn maker(&self) -> MakerId {
        MakerId(self.array(8))
    }

    /// What it is for: the text of a [`HardwareId`].
    #[must_use]
    pub fn hardware(&self) -> &str {
        let field = self.bytes.get(16..16 + MAX_TEXT_ID).unwrap_or_default();
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        field.get(..end).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }

    /// Grows with every release.
    #[must_use]
    pub fn version(&self) -> u32 {
        u32::from_be_bytes(self.array(48))
    }

    /// Bytes of the body.
    #[must_use]
    pub fn length(&self) -> u32 {
        u32::from_be_bytes(self.array(52))
    }

    /// Whether this maker signed exactly this header.
    ///
    /// # Errors
    /// [`Refusal::UNSIGNED`], [`Refusal::OTHER_MAKER`] or [`Refusal::ALTERED`].
    pub fn verify(&self, maker: &VerifyingKey) -> Result<(), Refusal> {
        let (signed, signature) = self.bytes.split_at(SIGNED);
        if signature.iter().all(|byte| *byte == 0) {
            return Err(Refusal::UNSIGNED);
        }
        if self.maker() != MakerId::of(maker) {
            return Err(Refusal::OTHER_MAKER);
        }
        let signature = Signature::from_bytes(signature).map_err(|_| Refusal::ALTERED)?;
        maker.verify(PURPOSE, &[signed], &signature).map_err(|_| Refusal::ALTERED)
    }

    /// Starts to compare a body that comes in pieces.
    #[must_use]
    pub fn body(&self) -> BodyCheck {
        BodyCheck { hash: PartHash::new(BODY_PURPOSE, self.length()), digest: self.array(56) }
    }

    /// Whether this is the body that was signed.
    ///
    /// # Errors
    /// [`Refusal::INCOMPLETE`] for another length, [`Refusal::ALTERED`].
    pub fn check_body(&self, body: &[u8]) -> Result<(), Refusal> {
        let mut check = self.body();
        check.update(body);
        check.finish()
    }

    fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.bytes.get(offset..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or([0; N])
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({} version {}, {} bytes)", self.hardware(), self.version(), self.length())
    }
}

/// A body on its way past.
#[derive(Debug)]
pub struct BodyCheck {
    hash: PartHash,
    digest: [u8; 32],
}

impl BodyCheck {
    /// Takes the next bytes.
    pub fn update(&mut self, piece: &[u8]) {
        self.hash.update(piece);
    }

    /// Whether that was the body that was signed.
    ///
    /// # Errors
    /// [`Refusal::INCOMPLETE`] for another length, [`Refusal::ALTERED`].
    pub fn finish(self) -> Result<(), Refusal> {
        match self.hash.finish() {
            None => Err(Refusal::INCOMPLETE),
            Some(digest) if digest == self.digest => Ok(()),
            Some(_) => Err(Refusal::ALTERED),
        }
    }
}

/// A file taken apart: its header, and its body, which has the length that the header says. Neither is verified.
///
/// # Errors
/// As [`Header::parse`], and [`Refusal::INCOMPLETE`] if bytes are missing or left over.
pub fn split(file: &[u8]) -> Result<(Header, &[u8]), Refusal> {
    let header = Header::parse(file)?;
    let body = file.get(HEADER..).unwrap_or_default();
    if u32::try_from(body.len()) != Ok(header.length()) {
        return Err(Refusal::INCOMPLETE);
    }
    Ok((header, body))
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString, vec, vec::Vec};

    use super::*;

    fn maker(seed: u8) -> SigningKey {
        SigningKey::from_secret(&crypto::Secret::new([seed; 32]))
    }

    fn image(body: &[u8]) -> Vec<u8> {
        let header = Header::sign(body, &"lm3s6965".parse().unwrap(), 7, &maker(1)).unwrap();
        [header.bytes().as_slice(), body].concat()
    }

    fn judge(file: &[u8], key: &SigningKey) -> Result<(), Refusal> {
        let (header, body) = split(file)?;
        header.verify(&key.verifying_key())?;
        header.check_body(body)
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let file = image(b"the body");
        let (header, body) = split(&file).unwrap();
        assert_eq!((header.hardware(), header.version(), header.length()), ("lm3s6965", 7, 8));
        assert_eq!(body, b"the body");
        assert_eq!(judge(&file, &maker(1)), Ok(()));
        assert_eq!(format!("{header:?}"), "Header(lm3s6965 version 7, 8 bytes)");
        let longest = "x".repeat(32);
        let header = Header::sign(b"b", &longest.parse().unwrap(), 1, &maker(1)).unwrap();
        assert_eq!(Header::parse(header.bytes()).unwrap().hardware(), longest);
    }

    /// Whoever builds images with other tools can compare with these bytes.
    #[test]
    fn the_header_is_as_documented() {
        let file = image(b"the body");
        let mut wanted = b"VWFW\0\x01\0\0".to_vec();
        wanted.extend(&sha256("firmware maker", &[&maker(1).verifying_key().to_bytes()])[..8]);
        wanted.extend(b"lm3s6965");
        wanted.extend([0; 24]);
        wanted.extend(b"\0\0\0\x07\0\0\0\x08");
        wanted.extend(sha256("firmware body", &[b"the body"]));
        let signature = maker(1).sign("firmware", &[&wanted]);
        wanted.extend(signature.to_bytes());
        wanted.extend(b"the body");
        assert_eq!(file, wanted);
    }

    #[test]
    fn every_changed_bit_is_refused() {
        let file = image(b"body");
        for bit in 0..file.len() * 8 {
            let mut altered = file.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(judge(&altered, &maker(1)).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let file = image(b"body");
        let with = |offset: usize, bytes: &[u8]| {
            let mut file = file.clone();
            file[offset..offset + bytes.len()].copy_from_slice(bytes);
            judge(&file, &maker(1))
        };
        assert_eq!(judge(&file, &maker(2)), Err(Refusal::OTHER_MAKER));
        assert_eq!(with(88, &[0; 64]), Err(Refusal::UNSIGNED));
        assert_eq!(with(88, &[1]), Err(Refusal::ALTERED), "signature");
        assert_eq!(with(51, &[9]), Err(Refusal::ALTERED), "version");
        assert_eq!(with(HEADER, b"B"), Err(Refusal::ALTERED), "body");
        assert_eq!(with(0, b"ELF"), Err(Refusal::NOT_AN_IMAGE));
        assert_eq!(with(4, &[0, 2]), Err(Refusal::NOT_AN_IMAGE), "format");
        assert_eq!(with(6, &[1]), Err(Refusal::NOT_AN_IMAGE), "reserved");
        assert_eq!(with(16, &[0; 32]), Err(Refusal::NOT_AN_IMAGE), "no hardware");
        assert_eq!(with(16, b"../x"), Err(Refusal::NOT_AN_IMAGE), "hardware's alphabet");
        assert_eq!(with(16, &[0xff]), Err(Refusal::NOT_AN_IMAGE), "hardware is no text");
        assert_eq!(with(40, b"x"), Err(Refusal::NOT_AN_IMAGE), "behind the hardware");
        assert_eq!(with(48, &[0; 4]), Err(Refusal::NOT_AN_IMAGE), "version 0");
        assert_eq!(with(52, &[0; 4]), Err(Refusal::NOT_AN_IMAGE), "length 0");
        assert_eq!(with(52, &[0xff; 4]), Err(Refusal::TOO_LARGE));
        for cut in 4..file.len() {
            assert_eq!(judge(&file[..cut], &maker(1)), Err(Refusal::INCOMPLETE), "{cut}");
        }
        assert_eq!(judge(&[&file[..], &[0]].concat(), &maker(1)), Err(Refusal::INCOMPLETE));
        assert_eq!(judge(b"", &maker(1)), Err(Refusal::NOT_AN_IMAGE));
    }

    #[test]
    fn what_cannot_be_an_image_is_not_signed() {
        let hardware = "x".parse().unwrap();
        assert_eq!(Header::sign(b"", &hardware, 1, &maker(1)), Err(Refusal::INCOMPLETE));
        assert_eq!(Header::sign(b"b", &hardware, 0, &maker(1)), Err(Refusal::NOT_NEWER));
        let huge = vec![0; MAX_BODY as usize + 1];
        assert_eq!(Header::sign(&huge, &hardware, 1, &maker(1)), Err(Refusal::TOO_LARGE));
    }

    #[test]
    fn a_refusal_of_tomorrow_is_shown_as_its_number() {
        assert_eq!(Refusal(200).to_string(), "refusal 200");
    }
}
