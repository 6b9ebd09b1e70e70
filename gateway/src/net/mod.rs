//! Sockets: two listeners (patients on TLS, wearables on plain TCP with the handshake's own encryption), one task per
//! connection. It carries bytes between a socket and `protocol::endpoint::gateway`, and carries out the endpoint's work
//! by asking the ward; it decides nothing itself.

pub mod connection;
pub mod limits;
pub mod listener;
#[cfg(test)]
mod tests;
pub mod tls;
