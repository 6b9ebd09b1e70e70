//! Logs in as a wearable, without std: the endpoint is really used, so it is really linked.
#![no_std]
extern crate alloc;

use alloc::sync::Arc;
use core::alloc::{GlobalAlloc, Layout};

use rand_core::CryptoRng;
use vitalward_protocol::{
    credential::{ClientIdentity, ClientKind, PinnedGateway},
    endpoint::client::ClientEndpoint,
    handshake::{Channel, Terms},
    time::{ClockFlag, Now},
};

/// Gives nothing; the proof is built, not run.
struct NoMemory;

// SAFETY: `alloc` always reports failure, so no block is ever handed out that `dealloc` could be given.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static MEMORY: NoMemory = NoMemory;

// If any dependency brought std, this would be the second panic handler, and the build would fail.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// One exchange of a wearable with its gateway.
pub fn exchange(
    identity: Arc<ClientIdentity>,
    pinned: PinnedGateway,
    now: Now,
    received: &[u8],
    rng: &mut dyn CryptoRng,
) -> usize {
    let terms = Terms::of(ClientKind::Wearable, Channel::Plain, ClockFlag::None);
    let Ok(mut endpoint) =
        ClientEndpoint::connect(identity, pinned, None, terms, now, rng)
    else {
        return 0;
    };
    endpoint.handle_bytes(received, now, rng);
    core::iter::from_fn(|| endpoint.poll_transmit()).map(|bytes| bytes.len()).sum()
}
