//! Portable core of the wearable firmware: signal processing and uplink.
#![no_std]
