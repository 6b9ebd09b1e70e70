//! The one place that draws randomness from the operating system.

use rand_core::UnwrapErr;

/// The operating system's generator. It panics if the system has no randomness to give: no key may be made then.
pub type SystemRng = UnwrapErr<getrandom::SysRng>;

/// A handle on it.
#[must_use]
pub const fn system_rng() -> SystemRng {
    UnwrapErr(getrandom::SysRng)
}
