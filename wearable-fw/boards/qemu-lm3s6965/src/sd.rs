//! An SD card on the SPI bus: blocks of 512 bytes are read and written. Owns the card's commands; knows nothing of what the
//! blocks hold. Physical Layer Simplified Specification, chapter 7; cards from version 2.00 on.
//!
//! The line's check sums are off, as a card has it after its start: what is kept on this one has its own.

use crate::ssi::Ssi;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 512;

const IDLE: u8 = 1;
const DATA: u8 = 0xfe;
/// Tries until a card has started, which takes a second at most: 16 bytes each, at 200 kHz.
const TRIES: usize = 2_000;

/// The card.
#[derive(Debug)]
pub(crate) struct SdCard {
    bus: Ssi,
    /// Once it is started: how far the addresses of two blocks are apart.
    step: Option<u32>,
}

/// There is none, or it answers with an error.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the card cannot be used; is there one?")]
pub(crate) struct CardFailed;

impl SdCard {
    /// A card that is started when it is used first.
    pub(crate) const fn new(bus: Ssi) -> Self {
        Self { bus, step: None }
    }

    /// Reads a block.
    pub(crate) fn read(&mut self, number: u32) -> Result<[u8; BLOCK], CardFailed> {
        let address = self.address(number)?;
        self.bus
            .selected(|bus| {
                command(bus, 17, address).filter(|status| *status == 0)?;
                (0..patience(bus))
                    .map(|_| bus.exchange(0xff))
                    .find(|byte| *byte != 0xff)
                    .filter(|byte| *byte == DATA)?;
                let block = core::array::from_fn(|_| bus.exchange(0xff));
                let _: [u8; 2] = core::array::from_fn(|_| bus.exchange(0xff)); // check sum
                Some(block)
            })
            .ok_or(CardFailed)
    }

    /// Writes a block; when this returns, it is on the card.
    pub(crate) fn write(&mut self, number: u32, block: &[u8; BLOCK]) -> Result<(), CardFailed> {
        let address = self.address(number)?;
        self.bus
            .selected(|bus| {
                command(bus, 24, address).filter(|status| *status == 0)?;
                for byte in [0xff, DATA].iter().chain(block).chain(&[0xff; 2]) {
                    bus.exchange(*byte);
                }
                let accepted = bus.exchange(0xff) & 0x1f == 0b0_0101;
                let status = [command(bus, 13, 0)?, bus.exchange(0xff)];
                (accepted && status == [0; 2]).then_some(())
            })
            .ok_or(CardFailed)
    }

    fn address(&mut self, number: u32) -> Result<u32, CardFailed> {
        if self.step.is_none() {
            self.step = self.start();
        }
        self.step.and_then(|step| number.checked_mul(step)).ok_or(CardFailed)
    }

    fn start(&mut self) -> Option<u32> {
        // A card wakes by clocks with nobody selected.
        for _ in 0..10 {
            self.bus.exchange(0xff);
        }
        let step = self.bus.selected(|bus| {
            (0..10).find(|_| command(bus, 0, 0) == Some(IDLE))?;
            command(bus, 8, 0x1aa).filter(|status| *status == IDLE)?;
            let [.., echo] = word(bus);
            // One that stops answering has had its chance.
            let mut status =
                (0..TRIES).map_while(|_| command(bus, 55, 0).and_then(|_| command(bus, 41, 1 << 30)));
            status.find(|status| *status == 0)?;
            // QEMU's card says idle here, which it is not.
            command(bus, 58, 0)?;
            let [conditions, ..] = word(bus);
            let counts_blocks = conditions & 1 << 6 != 0;
            (echo == 0xaa).then_some(if counts_blocks { 1 } else { 512 })
        });
        if step.is_some() {
            self.bus.hurry();
        }
        step
    }
}

fn word(bus: &mut Ssi) -> [u8; 4] {
    core::array::from_fn(|_| bus.exchange(0xff))
}

/// Bytes to wait for a card that reads or writes: half a second.
const fn patience(bus: &Ssi) -> usize {
    bus.bytes_per_second() / 2
}

/// Sends a command when the card is no longer busy, and gives its status.
fn command(bus: &mut Ssi, command: u8, argument: u32) -> Option<u8> {
    (0..patience(bus)).find(|_| bus.exchange(0xff) == 0xff)?;
    // Asked for before check sums are off.
    let check = if command == 8 { 0x87 } else { 0x95 };
    bus.exchange(0x40 | command);
    for byte in argument.to_be_bytes() {
        bus.exchange(byte);
    }
    bus.exchange(check);
    (0..8).map(|_| bus.exchange(0xff)).find(|status| status & 0x80 == 0)
}
