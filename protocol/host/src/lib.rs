//! What the three programs share because they are programs on a host: a real clock, real randomness, a data folder
//! that only one process uses, event lines for scripts, exit codes, and the loop that drives a client's endpoint over
//! a socket. It knows no message, no key and no screen.

pub mod backoff;
pub mod clock;
pub mod datadir;
pub mod drive;
pub mod entropy;
pub mod events;
pub mod exit;

pub use backoff::Backoff;
pub use clock::Clock;
pub use entropy::SystemRng;
