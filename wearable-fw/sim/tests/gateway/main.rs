//! The device and the program against a gateway over sockets.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's own machinery may stop the test"
)]

mod device;
mod hands;
mod home;
mod program;
mod ward;
