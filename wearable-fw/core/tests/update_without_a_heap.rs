//! An update from the offer to the confirmation, and every start between, without one allocation: a bootloader has no heap.
#![expect(unsafe_code, reason = "only what stands in the place of the allocator sees who allocates")]
#![expect(clippy::indexing_slicing, reason = "a chip in memory may stop the test")]

use std::{
    alloc::{GlobalAlloc, Layout as Block, System},
    cell::Cell,
};

use crypto::{Secret, identity::SigningKey};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use protocol::image::{HEADER, Header};
use wearable_core::update::{Layout, Slot, Trust, Updater, boot, factory};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every block comes from the system's allocator and goes back to it; the count needs no allocation, for its
// thread-local has a constant start and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, block: Block) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        unsafe { System.alloc(block) }
    }

    unsafe fn dealloc(&self, at: *mut u8, block: Block) {
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        unsafe { System.dealloc(at, block) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PAGE: usize = 1024;

struct Chip([u8; 16 * PAGE]);

impl ErrorType for Chip {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Chip {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Chip {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.0[from as usize..to as usize].fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        self.0[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

#[test]
fn nothing_is_allocated() {
    let maker = SigningKey::from_secret(&Secret::new([1; 32]));
    let image = |version: u32| {
        let body = [u8::try_from(version).unwrap(); 3_000];
        let header = Header::sign(&body, &"board".parse().unwrap(), version, &maker).unwrap();
        [header.bytes().as_slice(), &body].concat()
    };
    let (first, second) = (image(1), image(2));
    let trust = Trust { maker: maker.verifying_key(), hardware: "board" };
    let layout = Layout { slots: [0..6_144, 6_144..12_288], record: [12_288..13_312, 13_312..14_336] };
    let mut flash = Chip([0xff; 16 * PAGE]);

    let before = ALLOCATIONS.get();
    assert_eq!(factory(&mut flash, &layout, &trust, &first), Ok(1));
    assert_eq!(boot(&mut flash, &layout, &trust).unwrap().unwrap().slot, Slot::A);
    let mut device = Updater::open(&mut flash, layout.clone(), trust.clone(), Slot::A).unwrap();
    assert_eq!(device.offer(&mut flash, &second), Ok(0));
    assert_eq!(device.write(&mut flash, 0, &second[HEADER..]), Ok(3_000));
    assert_eq!(device.install(&mut flash), Ok(2));
    assert_eq!(boot(&mut flash, &layout, &trust).unwrap().unwrap().slot, Slot::B);
    let mut device = Updater::open(&mut flash, layout, trust, Slot::B).unwrap();
    assert_eq!(device.confirm(&mut flash), Ok(()));
    assert_eq!(ALLOCATIONS.get(), before);

    drop(std::hint::black_box(vec![1_u8]));
    assert_eq!(ALLOCATIONS.get(), before + 1, "it counts");
}
