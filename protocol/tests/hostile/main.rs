//! What a hostile or broken peer may try, each with what happens instead. Every test ends with nobody in a session
//! that should not be. Attacks with a name, and the weak variants where they work, are in `attacks/`.

#[path = "../common/mod.rs"]
mod common;

mod altered;
mod entry;
mod framing;
mod load;
mod replays;
mod states;
