//! What every decoder and every endpoint must keep, as functions of bytes. Each one panics on a broken property and says
//! nothing otherwise. libFuzzer drives them by `fuzz/fuzz_targets`, proptest by `tests/properties.rs` on stable Rust.
//!
//! A target is one file here and one line in [`TARGETS`]. Small decoders share a target; its first byte selects.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a broken property stops the run, and that is the whole purpose"
)]

mod certificate;
mod content;
mod conversation;
mod files;
mod fixture;
mod frames;
mod keys;
mod login;
mod messages;
mod monitor;
mod pairing;
mod records;
mod seeds;
mod text;
mod uplink;
mod ward;

pub use self::{
    content::content, conversation::conversation, files::files, frames::frames, keys::keys, login::login,
    messages::messages, monitor::monitor, pairing::pairing, records::records, seeds::seeds, text::text,
    uplink::uplink, ward::ward,
};

/// A target: takes any bytes, panics on a broken property.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also the name of its fuzz target and of its corpus folder.
pub const TARGETS: &[(&str, Target)] = &[
    ("content", content),
    ("conversation", conversation),
    ("files", files),
    ("frames", frames),
    ("keys", keys),
    ("login", login),
    ("messages", messages),
    ("monitor", monitor),
    ("pairing", pairing),
    ("records", records),
    ("text", text),
    ("uplink", uplink),
    ("ward", ward),
];
