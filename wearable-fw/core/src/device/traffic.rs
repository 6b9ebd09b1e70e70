//! What goes on in a session: stored samples up, oldest first and deleted only when the gateway has them; what the gateway
//! wants, down; signals only when no sample waits to be sent.

use alloc::string::ToString;
use core::time::Duration;

use protocol::{
    cadence::{Cadence, Settings},
    id::Seq,
    message::{FromClient, Instruction},
    time::Monotonic,
    waveform::WaveformRequest,
};
use rand_core::CryptoRng;

use super::{Device, Event, refusal, waveforms::Waveforms};
use crate::{
    flash::Flash,
    proximity::Proximity,
    uplink::{Acknowledgement, StoreError},
};

impl<F: Flash, P: Proximity, R: CryptoRng> Device<F, P, R> {
    /// Sends what may be sent.
    pub(super) fn transmit(&mut self, now: Monotonic) {
        if !self.line.is_established() {
            return;
        }
        if self.upload.is_none_or(|at| now >= at) {
            // All that waits goes now; the next upload is agreed when the gateway has it.
            self.upload = None;
            self.send_samples(now);
        }
        self.send_waveform(now);
    }

    fn send_samples(&mut self, now: Monotonic) {
        while self.line.is_established() {
            let batch = self.uplink.next_batch(&mut self.flash);
            if let Some(gap) = self.uplink.poll_unreadable() {
                self.events.tell(Event::Storage(refusal::UNREADABLE.into()));
                self.events.tell(Event::Lost(gap));
            }
            match batch {
                Ok(Some(batch)) => self.say(&FromClient::Vitals(&batch), now),
                Ok(None) => break,
                Err(error) => return self.recover(error),
            }
        }
        let Cadence { sample_ms, upload_ms } = self.settings().cadence();
        if upload_ms > sample_ms && self.uplink.waiting() == 0 {
            self.upload = Some(now + Duration::from_millis(upload_ms.into()));
        }
    }

    fn send_waveform(&mut self, now: Monotonic) {
        self.drain();
        if self.outbox.is_empty()
            && let Some(waveform) = self.waveforms.poll(self.boot, |ms| self.clock.sample_time(ms))
        {
            self.say(&FromClient::Waveform(&waveform), now);
        }
    }

    pub(super) fn handle_acknowledgement(&mut self, seq: Seq, now: Monotonic) {
        match self.uplink.acknowledge(&mut self.flash, seq) {
            Ok(Acknowledgement::Advanced { .. }) => self.events.tell(Event::Acknowledged(seq)),
            Ok(Acknowledgement::Old) => {}
            Ok(Acknowledgement::Future { .. }) => self.refuse(refusal::FUTURE),
            // The samples stay and are sent again.
            Err(error) => self.recover(error),
        }
        self.transmit(now);
    }

    /// What is stored could not be read or let go. It is tried again with the next sample.
    pub(super) fn recover(&mut self, error: StoreError) {
        let is_content = matches!(error, StoreError::Damaged | StoreError::WornOut);
        let recovered = if is_content { self.reopen(error) } else { Err(error) };
        if let Err(error) = recovered {
            self.events.tell(Event::Storage(error.to_string()));
        }
    }

    pub(super) fn obey(&mut self, instruction: &Instruction, now: Monotonic) {
        match instruction {
            Instruction::Settings(settings) => self.set(*settings, now),
            Instruction::Waveform(request) => self.show(*request, now),
            Instruction::Offer(offer) => self.handle_offer(offer, now),
            Instruction::Chunk(chunk) => self.handle_chunk(chunk, now),
        }
    }

    fn set(&mut self, settings: Settings, now: Monotonic) {
        let before = self.configuration.settings.replace(settings);
        if before != Some(settings) {
            if self.try_commit() {
                self.upload = None;
                self.events.tell(Event::Settings(settings));
            } else {
                self.configuration.settings = before;
            }
        }
        self.say_status(now);
    }

    fn show(&mut self, request: WaveformRequest, now: Monotonic) {
        if self.waveforms.request(request, now) {
            return self.events.tell(Event::Waveform(request));
        }
        let none = Waveforms::none(request.signal, self.boot, self.sample_time(now));
        self.say(&FromClient::Waveform(&none), now);
    }
}
