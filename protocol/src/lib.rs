//! The Vitalward conversation as values: frames, login, records, vitals, group epochs, alerts and receipts; no sockets, no clock.
#![no_std]
extern crate alloc;
