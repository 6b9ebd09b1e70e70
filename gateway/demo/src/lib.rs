//! A ward in one process: the gateway, patients and wearables of the three libraries, talking over real TLS and TCP on
//! loopback, with their data in a temporary folder. Patients are invented and their signals recorded: all of it is
//! SIMULATED.
//!
//! [`ward::Ward`] is the whole and [`bed::Bed`] a patient with a wearable; everything that any of them says goes through
//! [`news`]. The program `demo` is [`story`] (what is done, and what must come of it), [`telling`] (in words or JSON) and
//! [`cli`]; its screen is the gateway's own console.

pub mod bed;
pub mod cable;
pub mod cli;
pub mod news;
pub mod story;
pub mod telling;
pub mod ward;

pub use self::{
    bed::{Bed, Plan},
    ward::Ward,
};
