//! What the three programs share because they are programs on a host: a real clock, real randomness, a data folder
//! that only one process uses, event lines for scripts, exit codes, signals, the terminal, what their command
//! lines have in common, and the loop that drives a client's endpoint over a socket. It knows no message, no key, and
//! nothing of what a screen shows.

pub mod clock;
pub mod command_line;
pub mod control;
pub mod datadir;
pub mod drive;
pub mod entropy;
pub mod events;
pub mod exit;
pub mod signals;
pub mod terminal;

pub use clock::Clock;
pub use entropy::SystemRng;
pub use protocol::backoff::Backoff;
