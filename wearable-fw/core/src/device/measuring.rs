//! What is measured: samples get their number and their time and are written down; signals are kept while somebody asks.

use alloc::vec::Vec;
use core::time::Duration;

use protocol::{
    error::Fault,
    id::Seq,
    time::Monotonic,
    vitals::{Quantity, Sample, SampleTime, UnverifiedBatch},
    waveform::Signal,
};
use rand_core::CryptoRng;
use thiserror::Error;

use super::{Device, Event};
use crate::{
    flash::Flash,
    proximity::Proximity,
    uplink::{Gap, StoreError},
};

/// A sample that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// What is measured before a device belongs to anybody is nobody's.
    #[error(
        "this wearable belongs to no gateway yet, so it keeps no samples: hold the button for 2 s to pair it"
    )]
    NotBound,
    /// No gateway would take it.
    #[error("the sample breaks a rule of the protocol: {0}. Correct the board's list of quantities")]
    Unfit(Fault),
    /// The flash.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<F: Flash, P: Proximity, R: CryptoRng> Device<F, P, R> {
    /// Numbers a sample, dates it by the time learnt from the gateway or not at all, and keeps it: it is on flash when this
    /// returns. Tells what was given up for it.
    ///
    /// # Errors
    /// [`RecordError`]; the sample is then not kept.
    pub fn record(
        &mut self,
        quantities: Vec<Quantity>,
        simulated: bool,
        now: Monotonic,
    ) -> Result<Option<Gap>, RecordError> {
        if self.configuration.bound.is_none() {
            return Err(RecordError::NotBound);
        }
        let sample = Sample {
            seq: self.next_seq(),
            boot: self.boot,
            taken: self.sample_time(now),
            simulated,
            quantities,
        };
        let mut sample = fit(sample).map_err(RecordError::Unfit)?;
        let before = self.uplink.taken();
        let gap = match self.uplink.take(&mut self.flash, &sample) {
            // It is on flash; what failed is to make room for the next one.
            Err(error) if self.uplink.taken() > before => {
                self.recover(error);
                None
            }
            Err(error @ (StoreError::Damaged | StoreError::WornOut)) => {
                self.reopen(error)?;
                sample.seq = self.next_seq();
                self.uplink.take(&mut self.flash, &sample)?
            }
            taken => taken?,
        };
        self.sampled = Some(now);
        if let Some(gap) = gap {
            self.events.tell(Event::Lost(gap));
        }
        self.transmit(now);
        Ok(gap)
    }

    /// The number of the next sample. Should reserving it fail, the store itself still remembers it, and it is tried again
    /// some samples later: a flash that fails is not erased each second.
    fn next_seq(&mut self) -> Seq {
        const PATIENCE: u64 = 64;
        let seq = self.uplink.next_seq();
        let reserved = self.configuration.reserved.unwrap_or(Seq(0));
        if seq.0.checked_sub(reserved.0 + 1).is_some_and(|beyond| beyond.is_multiple_of(PATIENCE)) {
            self.try_commit();
        }
        seq
    }

    pub(super) fn sample_time(&self, now: Monotonic) -> SampleTime {
        self.clock.sample_time(self.clock.since_boot_ms(now))
    }

    /// Samples of a signal just taken, the last of them now. Kept only while the gateway asks for them.
    pub fn waveform(&mut self, signal: Signal, samples: &[i32], simulated: bool, now: Monotonic) {
        let since_boot_ms = self.clock.since_boot_ms(now);
        self.waveforms.take(signal, samples, simulated, since_boot_ms, now);
        self.transmit(now);
    }

    /// Whether the gateway asks for this signal now; who does not need to know calls [`Self::waveform`] anyway.
    #[must_use]
    pub fn is_wanted(&self, signal: Signal) -> bool {
        self.waveforms.wanted(signal)
    }

    /// When the next sample is due.
    #[must_use]
    pub fn sample_due(&self, now: Monotonic) -> Monotonic {
        let interval = Duration::from_millis(self.settings().cadence().sample_ms.into());
        self.sampled.map_or(now, |sampled| sampled + interval)
    }
}

/// A sample that a gateway would refuse would be sent and refused for ever: it is refused before it is stored.
fn fit(sample: Sample) -> Result<Sample, Fault> {
    UnverifiedBatch::of(sample).verify()?.samples.pop().ok_or(Fault::LocalTooLong)
}
