//! What loader and image must agree on: where the card keeps images, whom this device believes, and which image the loader
//! has started. Decides nothing.

use crypto::identity::VerifyingKey;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use protocol::image::{HEADER, Header};
use wearable_core::update::{Layout, Slot, Trust};

/// What the device is.
pub(crate) const HARDWARE: &str = "qemu-lm3s6965";

/// TEST ONLY, unless the build was given another (build.rs).
static MAKER: &[u8; 32] = include_bytes!(concat!(env!("OUT_DIR"), "/maker"));

const PAGE: u32 = 1_024;
/// Room for as much as the chip's flash holds, and the head in front of it.
const SLOT: u32 = 256 * 1_024 + PAGE;
/// Behind the slots and the record.
const STARTED: u32 = 2 * SLOT + 2 * PAGE;

/// Where images are, in bytes from the card's beginning.
pub(crate) const fn layout() -> Layout {
    let record = 2 * SLOT;
    Layout { slots: [0..SLOT, SLOT..record], record: [record..record + PAGE, record + PAGE..STARTED] }
}

/// Whom this device believes; nothing if the key that was built in is none.
pub(crate) fn trust() -> Option<Trust> {
    Some(Trust { maker: VerifyingKey::from_bytes(MAKER).ok()?, hardware: HARDWARE })
}

/// The loader leaves word which slot it starts. In RAM that would not outlive QEMU, which ends with the loader.
#[allow(dead_code, reason = "the loader's part")]
pub(crate) fn leave_word<F: NorFlash>(card: &mut F, slot: Slot) -> Result<(), F::Error> {
    let word = word(slot);
    if read::<1, _>(card, STARTED)? == word {
        return Ok(());
    }
    card.erase(STARTED, STARTED + PAGE)?;
    card.write(STARTED, &word)
}

/// The slot that the loader started, and the version that stands there; nothing if no loader did. Takes the word away: it
/// counts for one start.
pub(crate) fn started<F: NorFlash>(card: &mut F) -> Option<(Slot, u32)> {
    let left = read::<1, _>(card, STARTED).ok()?;
    card.write(STARTED, &[0]).ok()?;
    let slot = [Slot::A, Slot::B].into_iter().find(|slot| word(*slot) == left)?;
    let [a, b] = layout().slots;
    let range = if slot == Slot::A { a } else { b };
    let header = Header::parse(&read::<HEADER, _>(card, range.start).ok()?).ok()?;
    Some((slot, header.version()))
}

/// A slot as a person and the card's page name it.
pub(crate) const fn word(slot: Slot) -> [u8; 1] {
    match slot {
        Slot::A => *b"A",
        Slot::B => *b"B",
    }
}

fn read<const N: usize, F: ReadNorFlash>(card: &mut F, at: u32) -> Result<[u8; N], F::Error> {
    let mut bytes = [0; N];
    card.read(at, &mut bytes)?;
    Ok(bytes)
}
