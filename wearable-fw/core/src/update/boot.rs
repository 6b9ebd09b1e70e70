//! The bootloader's decision. It ends with a slot whose image was verified just now.

use embedded_storage::nor_flash::NorFlash;
use protocol::image::{Header, Refusal};

use super::{ATTEMPTS, Area, Layout, LayoutError, Record, Slot, Trust};

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The slot.
    pub slot: Slot,
    /// Its image.
    pub header: Header,
    /// First byte of its body in the flash.
    pub body: u32,
    /// Whether it is on trial and has to be confirmed.
    pub trial: bool,
    /// An image that was to start and does not: its version (0 if it cannot be read) and why.
    pub given_up: Option<(u32, Refusal)>,
}

/// Decides which slot starts: the one on trial if it has attempts left, else the confirmed one, else whichever verifies.
/// `None` if neither does: then the device needs its maker's tool.
///
/// A start on trial is counted in the flash before this returns; if that cannot be written, the trial does not start.
///
/// # Errors
/// [`LayoutError`].
pub fn boot<F: NorFlash>(flash: &mut F, layout: &Layout, trust: &Trust) -> Result<Option<Boot>, LayoutError> {
    layout.check(flash)?;
    let Some(mut record) = Record::load(flash, layout).or_else(|| recover(flash, layout, trust)) else {
        return Ok(None);
    };
    let mut given_up = None;
    if let Some(attempts) = record.trial {
        let slot = record.runs.other();
        match verified(flash, layout, trust, slot) {
            Ok(boot) if attempts < ATTEMPTS => {
                let counted = Record { trial: Some(attempts + 1), ..record }.save(flash, layout);
                if counted.is_ok() {
                    return Ok(Some(Boot { trial: true, ..boot }));
                }
                given_up = Some((boot.header.version(), Refusal::FLASH));
            }
            Ok(boot) => {
                let version = boot.header.version();
                given_up = Some((version, Refusal::ROLLED_BACK));
                record = Record { trial: None, rolled_back: record.rolled_back.max(version), ..record };
                // If it cannot be written, the next start comes to the same end.
                record.save(flash, layout).ok();
            }
            Err((version, refusal)) => {
                given_up = Some((version, refusal));
                record.trial = None;
                record.save(flash, layout).ok();
            }
        }
    }
    match verified(flash, layout, trust, record.runs) {
        Ok(boot) => Ok(Some(Boot { given_up, ..boot })),
        Err(refused) => {
            let Ok(boot) = verified(flash, layout, trust, record.runs.other()) else { return Ok(None) };
            record = Record { runs: boot.slot, trial: None, ..record };
            record.save(flash, layout).ok();
            Ok(Some(Boot { given_up: Some(refused), ..boot }))
        }
    }
}

/// The state of a flash without a record: fresh from the factory, or both copies damaged.
fn recover<F: NorFlash>(flash: &mut F, layout: &Layout, trust: &Trust) -> Option<Record> {
    let mut version = |slot| verified(flash, layout, trust, slot).ok().map(|boot| boot.header.version());
    let mut record = match (version(Slot::A), version(Slot::B)) {
        (None, None) => return None,
        (Some(a), None) => Record::new(Slot::A, None, a),
        (None, Some(b)) => Record::new(Slot::B, None, b),
        (Some(a), Some(b)) if b > a => Record::new(Slot::A, Some(0), a),
        (Some(_), Some(b)) => Record::new(Slot::B, Some(0), b),
    };
    record.save(flash, layout).ok();
    Some(record)
}

fn verified<F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
    trust: &Trust,
    slot: Slot,
) -> Result<Boot, (u32, Refusal)> {
    let area = Area::new::<F>(layout, slot);
    match area.verify(flash, trust) {
        Ok(header) => Ok(Boot { slot, header, body: area.body(), trial: false, given_up: None }),
        Err(refusal) => Err((area.header(flash).map_or(0, |header| header.version()), refusal)),
    }
}
