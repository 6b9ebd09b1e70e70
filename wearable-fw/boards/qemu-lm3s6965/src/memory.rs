//! The memory's budget: the heap's arena, the painted stack, and how much of either was ever used.
#![expect(unsafe_code, reason = "an allocator, and a look at the stack's paint")]

use core::{
    alloc::{GlobalAlloc, Layout},
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use cortex_m_rt::STACK_PAINT_VALUE;
use embedded_alloc::LlffHeap;

/// All that is ever allocated; while the stack of suite 4 is measured, that has the memory.
pub(crate) const ARENA_BYTES: usize = if cfg!(feature = "suite4") { 1_024 } else { 16 * 1_024 };

#[global_allocator]
static ARENA: Arena = Arena { heap: LlffHeap::empty(), most: AtomicUsize::new(0) };

struct Arena {
    heap: LlffHeap,
    most: AtomicUsize,
}

// SAFETY: every call goes to an allocator that keeps the contract.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `alloc`'s contract.
        let block = unsafe { self.heap.alloc(layout) };
        self.most.fetch_max(self.heap.used(), Ordering::Relaxed);
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and every block is of this heap.
        unsafe { self.heap.dealloc(block, layout) }
    }
}

/// Gives the heap its arena. Call it once, before anything allocates; later calls do nothing.
pub(crate) fn start() {
    let arena: Option<&'static mut [u8; ARENA_BYTES]> =
        cortex_m::singleton!(: [u8; ARENA_BYTES] = [0; ARENA_BYTES]);
    if let Some(arena) = arena {
        // SAFETY: the arena is static, nobody else has it, and a singleton is given out once.
        unsafe { ARENA.heap.init(arena.as_mut_ptr().expose_provenance(), ARENA_BYTES) }
    }
}

/// The most memory that was ever used at once, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    heap: usize,
    stack: usize,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { heap, stack } = self;
        let (stack_end, stack_start) = (&raw const _stack_end, &raw const _stack_start);
        let reserved = stack_start.addr() - stack_end.addr();
        let statics = (&raw const __sheap).addr() - (&raw const __sdata).addr();
        write!(f, "heap {heap} of {ARENA_BYTES}, stack {stack} of {reserved}, statics with heap {statics}")
    }
}

unsafe extern "C" {
    static _stack_end: u32;
    static _stack_start: u32;
    static __sdata: u32;
    static __sheap: u32;
}

/// What was used so far.
pub(crate) fn used() -> Use {
    let (lowest, top) = (&raw const _stack_end, &raw const _stack_start);
    let reserved = top.addr() - lowest.addr();
    // SAFETY: the stack's region is memory, word-aligned by the linker script, and painted before `main`.
    let is_touched =
        |offset: &usize| unsafe { lowest.byte_add(*offset).read_volatile() } != STACK_PAINT_VALUE;
    let untouched = (0..reserved).step_by(size_of::<u32>()).find(is_touched).unwrap_or(reserved);
    Use { heap: ARENA.most.load(Ordering::Relaxed), stack: reserved - untouched }
}
