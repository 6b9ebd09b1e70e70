//! The wearable on a host: replays recordings through the firmware core and sends vitals to a gateway.

pub mod recording;
