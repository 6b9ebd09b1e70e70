//! The image that a device must not take: one of its maker's that is not newer, or a newer one that nobody signed. Owns which
//! answers prove that the device looked at that; the image itself is never handed out.

use std::path::Path;

use crypto::identity::SigningKey;
use host::entropy::system_rng;
use protocol::{
    firmware::{Firmware, FirmwareOffer, FirmwareRequest, FirmwareStatus, UpdateState},
    image::{self, HEADER, Header, Refusal},
};
use rand_core::Rng as _;

use super::bench::Outcome;

/// The gateway's number of the image.
const IMAGE: u32 = 1;
/// What nobody signed.
const BODY: [u8; 4096] = [0x5a; 4096];
/// Of a header's bytes.
const SIGNATURE: usize = 64;

/// The header of a file as its maker signed it. Whether it is whole is checked, who signed it is not.
pub(super) fn read(file: &Path) -> Result<Header, String> {
    let said = |why: &dyn std::fmt::Display| format!("--old-image {}: {why}", file.display());
    let bytes = std::fs::read(file).map_err(|error| said(&error))?;
    let (header, _) = image::split(&bytes).map_err(|refusal| said(&format!("it {refusal}")))?;
    Ok(header)
}

/// What is offered.
#[derive(Debug)]
pub(super) struct Offer {
    header: Header,
    /// Whether a maker signed it.
    signed: bool,
}

impl Offer {
    /// The maker's old image, or one that is made for what the device runs.
    pub(super) fn of(old: Option<&Header>, runs: &Firmware) -> Result<Self, String> {
        let Some(header) = old else { return Self::unsigned(runs) };
        if header.hardware() != runs.hardware.as_str() {
            let (of, device) = (header.hardware(), &runs.hardware);
            return Err(format!(
                "not proven: --old-image is for {of} and the device is {device}; give one of its own"
            ));
        }
        if header.version() > runs.version {
            let (of, device) = (header.version(), runs.version);
            return Err(format!(
                "not proven: --old-image has version {of} and the device runs {device}; give an older one"
            ));
        }
        Ok(Self { header: header.clone(), signed: true })
    }

    /// In all but the signature as it should be, and of a version that the device cannot have heard of before.
    fn unsigned(runs: &Firmware) -> Result<Self, String> {
        let mut rng = system_rng();
        let more = rng.next_u32() % 1_000_000;
        let version = runs.version.saturating_add(1).saturating_add(more);
        let signed = Header::sign(&BODY, &runs.hardware, version, &SigningKey::generate(&mut rng));
        let mut bytes = *signed.map_err(|refusal| refusal.to_string())?.bytes();
        bytes.iter_mut().skip(HEADER - SIGNATURE).for_each(|byte| *byte = 0);
        let header = Header::parse(&bytes).map_err(|refusal| refusal.to_string())?;
        Ok(Self { header, signed: false })
    }

    pub(super) fn wire(&self) -> FirmwareOffer {
        FirmwareOffer { image: IMAGE, header: self.header.bytes().to_vec(), length: self.header.length() }
    }

    /// The header alone says that the image is not to be taken.
    pub(super) fn asked_for(&self, request: FirmwareRequest) -> Option<Outcome> {
        (request.image == IMAGE).then(|| Err("it asked for the image".into()))
    }

    /// What a word about an update proves; nothing if it is about another image.
    pub(super) fn told(&self, status: FirmwareStatus) -> Option<Outcome> {
        let is_this = status.version == self.header.version();
        match (status.state, status.refusal) {
            (UpdateState::RECEIVING | UpdateState::VERIFIED, _) if is_this => {
                Some(Err(format!("it is {} the image", status.state)))
            }
            // One that could not read the version says 0.
            (UpdateState::REFUSED, Some(why)) if is_this || status.version == 0 => Some(self.refused(why)),
            _ => None,
        }
    }

    /// Whether the device refused for what is wrong with the image.
    fn refused(&self, why: Refusal) -> Outcome {
        let todo = match why {
            Refusal::UNSIGNED | Refusal::OTHER_MAKER | Refusal::ALTERED if !self.signed => None,
            Refusal::NOT_NEWER | Refusal::ROLLED_BACK if self.signed => None,
            // What a device says that takes no images at all: it is its own hardware.
            Refusal::OTHER_HARDWARE => return Ok(format!("it takes no images: it says that this one {why}")),
            Refusal::BATTERY => Some("charge it"),
            Refusal::BUSY => Some("wait until what it runs is confirmed"),
            Refusal::FLASH => Some("have its flash serviced"),
            Refusal::UNSIGNED | Refusal::OTHER_MAKER | Refusal::ALTERED => {
                Some("give --old-image a file that its own maker signed")
            }
            _ if self.signed => Some("it has to compare versions"),
            _ => Some("it has to check the signature first"),
        };
        match todo {
            None => Ok(format!("refused: it {why}")),
            Some(todo) => {
                Err(format!("not proven: it refused, but because the image {why}; {todo}, and check again"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(version: u32) -> Firmware {
        Firmware { name: "x".into(), version, hardware: "sim".parse().unwrap() }
    }

    fn signed(version: u32) -> Header {
        let key = SigningKey::generate(&mut system_rng());
        Header::sign(b"body", &"sim".parse().unwrap(), version, &key).unwrap()
    }

    fn status(state: UpdateState, version: u32, refusal: Option<Refusal>) -> FirmwareStatus {
        FirmwareStatus { state, version, received: 0, length: 0, refusal }
    }

    fn passes(offer: &Offer, why: Refusal) -> bool {
        offer.told(status(UpdateState::REFUSED, offer.header.version(), Some(why))).unwrap().is_ok()
    }

    #[test]
    fn the_unsigned_image_is_right_in_all_but_its_signature() {
        let offer = Offer::of(None, &runs(7)).unwrap();
        let header = Header::parse(&offer.wire().header).unwrap();
        assert!(header.version() > 7 && header.hardware() == "sim");
        assert_eq!(header.check_body(&BODY), Ok(()));
        let key = SigningKey::generate(&mut system_rng()).verifying_key();
        assert_eq!(header.verify(&key), Err(Refusal::UNSIGNED));
    }

    #[test]
    fn only_a_refusal_for_what_is_wrong_counts() {
        let unsigned = Offer::of(None, &runs(7)).unwrap();
        let old = Offer::of(Some(&signed(6)), &runs(7)).unwrap();
        for why in [Refusal::BATTERY, Refusal::BUSY, Refusal::FLASH, Refusal::TOO_LARGE] {
            assert!(!passes(&unsigned, why) && !passes(&old, why), "{why}");
        }
        assert!(passes(&unsigned, Refusal::UNSIGNED) && !passes(&unsigned, Refusal::NOT_NEWER));
        assert!(passes(&old, Refusal::NOT_NEWER) && !passes(&old, Refusal::OTHER_MAKER));
    }

    #[test]
    fn what_is_told_of_another_update_is_not_held_against_a_device() {
        let offer = Offer::of(Some(&signed(6)), &runs(7)).unwrap();
        for state in
            [UpdateState::TRYING, UpdateState::CONFIRMED, UpdateState::RECEIVING, UpdateState::VERIFIED]
        {
            assert_eq!(offer.told(status(state, 7, None)), None);
        }
        assert_eq!(offer.told(status(UpdateState::CONFIRMED, 6, None)), None);
        assert!(offer.told(status(UpdateState::RECEIVING, 6, None)).unwrap().is_err());
        assert!(offer.told(status(UpdateState::VERIFIED, 6, None)).unwrap().is_err());
    }

    #[test]
    fn an_image_that_would_prove_nothing_is_not_offered() {
        assert!(Offer::of(Some(&signed(8)), &runs(7)).unwrap_err().contains("give an older one"));
        let other = Firmware { hardware: "other".parse().unwrap(), ..runs(7) };
        assert!(Offer::of(Some(&signed(6)), &other).unwrap_err().contains("give one of its own"));
    }

    #[test]
    fn a_file_that_is_no_image_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.img");
        std::fs::write(&file, [signed(6).bytes().as_slice(), b"bod"].concat()).unwrap();
        let said = read(&file).unwrap_err();
        assert!(said.contains("old.img") && said.contains("fetch the whole file again"), "{said}");
        std::fs::write(&file, [signed(6).bytes().as_slice(), b"body"].concat()).unwrap();
        assert_eq!(read(&file).unwrap().version(), 6);
    }
}
