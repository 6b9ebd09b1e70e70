//! The factory reset: what goes, in which order, and that it is taken up again wherever it was cut off.

use alloc::string::ToString;

use protocol::time::Monotonic;
use rand_core::CryptoRng;

use super::{BootError, Device, Event, binding::Configuration};
use crate::{
    flash::Flash,
    mode::{Input, Switch},
    proximity::Proximity,
};

impl<F: Flash, P: Proximity, R: CryptoRng> Device<F, P, R> {
    /// Keys, bindings and samples go; the identity and the numbers of samples stay. Cut off, it goes on at the next start.
    pub(super) fn reset(&mut self, now: Monotonic) {
        self.part(now);
        self.window = None;
        self.ticket = None;
        self.configuration = Configuration { erasing: true, ..Configuration::default() };
        self.change(Input::Reset(Switch::Configuration));
        self.erase();
    }

    /// All of a factory reset that is on flash. Whether it is done; if not, it is due before anything is kept.
    pub(super) fn erase(&mut self) -> bool {
        let erased = self.commit().map_err(BootError::from).and_then(|()| {
            self.uplink.erase(&mut self.flash)?;
            Ok(self.store.erase(&mut self.flash)?)
        });
        match &erased {
            Ok(()) => {
                self.configuration = Configuration::default();
                self.events.tell(Event::ResetDone);
            }
            Err(error) => self.events.tell(Event::Storage(error.to_string())),
        }
        erased.is_ok()
    }
}
