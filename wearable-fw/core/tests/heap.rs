//! What storing and sending takes of a small board's heap, counted.
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::{
    alloc::{GlobalAlloc, Layout as Block, System},
    cell::Cell,
};

use protocol::{
    id::{BootId, Seq},
    vitals::{KnownQuantity, Sample, SampleTime},
};
use wearable_core::{
    flash::{Layout, ram::RamFlash},
    uplink::{Limits, Uplink},
};

thread_local! {
    static IN_USE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, block: Block) -> *mut u8 {
        IN_USE.set(IN_USE.get().wrapping_add(block.size()));
        PEAK.set(PEAK.get().max(IN_USE.get()));
        // SAFETY: as above.
        unsafe { System.alloc(block) }
    }

    unsafe fn dealloc(&self, at: *mut u8, block: Block) {
        IN_USE.set(IN_USE.get().wrapping_sub(block.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(at, block) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The result, and the most bytes in use meanwhile, less those in use before.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = IN_USE.get();
    PEAK.set(before);
    (work(), PEAK.get() - before)
}

/// As a board with an EEPROM of 64 KiB would have it: pages of 1 KiB, frames of 2 KiB.
#[test]
fn a_few_samples_of_heap_are_enough() {
    const LAYOUT: Layout = Layout { config: 0..2048, samples: 2048..49_152, thinned: 49_152..65_536 };
    const LIMITS: Limits = Limits { in_flight: 2, samples_per_batch: 64, batch_bytes: 2048 };
    let mut flash = RamFlash::<1024>::new(64);
    let (opened, resident) = peak(|| Uplink::open(&mut flash, &LAYOUT, LIMITS, Seq(0)).unwrap());
    let mut uplink = opened.0;
    let (mut taking, mut sending, mut releasing) = (0, 0, 0);
    for seq in 1..=3_000 {
        let quantities = KnownQuantity::ALL.iter().map(|known| known.measured(720, -1)).collect();
        let taken = SampleTime { since_boot_ms: seq * 1_000, wall: None };
        let sample = Sample { seq: Seq(seq), boot: BootId(7), taken, simulated: true, quantities };
        taking = peak(|| uplink.take(&mut flash, &sample).unwrap()).1.max(taking);
    }
    assert!(uplink.lost() > 1_000, "both queues were full");
    loop {
        let (batch, bytes) = peak(|| uplink.next_batch(&mut flash).unwrap());
        sending = bytes.max(sending);
        let Some(batch) = batch else { break };
        let last = batch.last().unwrap();
        releasing = peak(|| uplink.acknowledge(&mut flash, last).unwrap()).1.max(releasing);
    }
    println!("open {resident}, take {taking}, next_batch {sending}, acknowledge {releasing} bytes");
    assert!(resident <= 2_500 && taking <= 4_000 && sending <= 16_000 && releasing <= 512);
}
