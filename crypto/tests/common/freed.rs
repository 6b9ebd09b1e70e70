//! libc's `free` and `realloc` for a test binary: each block is searched for a secret before it is given back.
#![expect(unsafe_code, reason = "only what stands in the place of `free` sees the memory of Rust and of C")]

use std::{cell::Cell, ffi::c_void, ptr, slice};

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn malloc_usable_size(block: *mut c_void) -> usize;
    fn __libc_free(block: *mut c_void);
}

/// This many neighbours of a secret in a block are a leak.
const WINDOW: usize = 8;
const LONGEST_SECRET: usize = 384;

/// What a thread looks for in the blocks that it frees, and what it found.
#[derive(Clone, Copy)]
struct Search {
    secret: [u8; LONGEST_SECRET],
    length: usize,
    freed: Freed,
}

/// The blocks that were given back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Freed {
    pub(crate) blocks: usize,
    /// Those that still held the secret.
    pub(crate) with_secret: usize,
}

thread_local! {
    static SEARCH: Cell<Option<Search>> = const { Cell::new(None) };
}

/// What this thread gives back while it runs `work`.
pub(crate) fn freed(secret: &[u8], work: impl FnOnce()) -> Freed {
    let mut search = Search { secret: [0; LONGEST_SECRET], length: secret.len(), freed: Freed::default() };
    search.secret[..secret.len()].copy_from_slice(secret);
    SEARCH.set(Some(search));
    work();
    SEARCH.take().unwrap().freed
}

fn search(block: &[u8]) {
    let Some(mut search) = SEARCH.get() else { return };
    let mut backwards = search.secret;
    backwards[..search.length].reverse();
    let holds = |secret: &[u8]| {
        secret.windows(WINDOW).any(|wanted| block.windows(WINDOW).any(|found| found == wanted))
    };
    search.freed.blocks += 1;
    if holds(&search.secret[..search.length]) || holds(&backwards[..search.length]) {
        search.freed.with_secret += 1;
    }
    SEARCH.set(Some(search));
}

// SAFETY: it does what C asks of `free`, by passing every block on to the real one. It cannot call itself: the search
// neither allocates nor frees, for its thread-local has a constant start and no destructor.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    // SAFETY: the caller gives up a block that it got from malloc, so nobody else uses it, and the heap says how long
    // it is. The compiler sees neither where the block comes from nor who wrote it, so no byte counts as unwritten.
    search(unsafe { slice::from_raw_parts(block.cast(), malloc_usable_size(block)) });
    // SAFETY: the block is malloc's, and this is the only time that it is given back.
    unsafe { __libc_free(block) };
}

// SAFETY: it does what C asks of `realloc`, and always moves, so that the old block is searched even where libc would
// have grown it in place or moved it unseen.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: any size may be asked for.
    let moved = unsafe { malloc(size) };
    if block.is_null() || moved.is_null() {
        return moved;
    }
    // SAFETY: the block is malloc's.
    let kept = unsafe { malloc_usable_size(block) }.min(size);
    // SAFETY: the two blocks are apart, and both have this many bytes.
    unsafe { ptr::copy_nonoverlapping(block.cast::<u8>(), moved.cast(), kept) };
    // SAFETY: realloc's caller gives up the old block.
    unsafe { free(block) };
    moved
}
