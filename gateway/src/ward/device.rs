//! A wearable as the ward knows it since this start: what it told of itself, when its samples came, which signals somebody asked
//! for. A value; it knows no session, no store and no watcher.

use protocol::{cadence::Cadence, firmware::Firmware, status::DeviceStatus, time::Monotonic};

use super::{
    elapsed_ms,
    update::Update,
    view::{StatusView, UpdateView},
    waveforms::Waveforms,
};

/// What a wearable told of itself, and when.
#[derive(Debug)]
struct Told {
    status: DeviceStatus,
    at: Monotonic,
}

/// A wearable since this start.
#[derive(Debug)]
pub(super) struct Device {
    told: Option<Told>,
    /// When its last samples came; before the first of a session, when that began.
    uploaded: Monotonic,
    pub(super) update: Update,
    pub(super) waveforms: Waveforms,
}

impl Device {
    /// One whose session begins.
    pub(super) fn new(now: Monotonic) -> Self {
        Self { told: None, uploaded: now, update: Update::default(), waveforms: Waveforms::default() }
    }

    /// Its session begins. What was asked for in an earlier one, it forgot; its samples are due from now on.
    pub(super) fn enter(&mut self, now: Monotonic) {
        self.uploaded = now;
        self.waveforms = Waveforms::default();
    }

    /// Its samples came.
    pub(super) const fn upload(&mut self, now: Monotonic) {
        self.uploaded = now;
    }

    /// It told of itself.
    pub(super) fn tell(&mut self, status: DeviceStatus, now: Monotonic) {
        self.update.hear(status.update, now);
        self.told = Some(Told { status, at: now });
    }

    /// How often it measures and sends.
    pub(super) fn cadence(&self) -> Cadence {
        self.told.as_ref().map_or(Cadence::UNTOLD, |told| told.status.cadence)
    }

    /// What it runs, if it told.
    pub(super) fn firmware(&self) -> Option<&Firmware> {
        self.told.as_ref().map(|told| &told.status.firmware)
    }

    /// Whether its samples should have come by now, were it in session.
    pub(super) fn is_overdue(&self, now: Monotonic) -> bool {
        now.since(self.uploaded) > self.cadence().age_limit()
    }

    /// What it told, for people.
    pub(super) fn view(&self, now: Monotonic) -> Option<StatusView> {
        let Told { status, at } = self.told.as_ref()?;
        let DeviceStatus { cadence: Cadence { sample_ms, upload_ms }, battery, link, firmware, .. } = status;
        Some(StatusView {
            sample_ms: *sample_ms,
            upload_ms: *upload_ms,
            battery: battery.map(|battery| battery.percent),
            charging: battery.and_then(|battery| battery.charging),
            signal_dbm: link.signal_dbm,
            reconnects: link.reconnects,
            waiting: status.waiting,
            lost: status.lost,
            firmware: firmware.name.clone(),
            firmware_version: firmware.version,
            hardware: firmware.hardware.to_string(),
            update: self.update.newest().map(UpdateView::new),
            age_ms: elapsed_ms(now, *at),
        })
    }
}

#[cfg(test)]
mod tests {
    use protocol::status::LinkQuality;

    use super::*;

    fn status(cadence: Cadence) -> DeviceStatus {
        DeviceStatus {
            cadence,
            battery: None,
            link: LinkQuality::default(),
            waiting: 0,
            lost: 0,
            firmware: Firmware { name: String::new(), version: 1, hardware: "board".parse().unwrap() },
            update: None,
        }
    }

    #[test]
    fn an_upload_is_overdue_when_its_values_are_too_old_to_be_shown_and_not_before() {
        let mut device = Device::new(Monotonic(1_000));
        device.tell(status(Cadence { sample_ms: 1_000, upload_ms: 300_000 }), Monotonic(0));
        assert!(!device.is_overdue(Monotonic(301_000)), "by design");
        assert!(!device.is_overdue(Monotonic(613_000)));
        assert!(device.is_overdue(Monotonic(613_001)));
    }

    #[test]
    fn a_wearable_that_never_tells_of_itself_is_overdue_like_one_that_is_live() {
        let device = Device::new(Monotonic(1_000));
        assert!(!device.is_overdue(Monotonic(13_000)));
        assert!(device.is_overdue(Monotonic(13_001)));
    }

    #[test]
    fn after_a_long_outage_the_first_upload_is_given_its_time() {
        let mut device = Device::new(Monotonic(0));
        device.upload(Monotonic(5_000));
        device.enter(Monotonic(3_600_000));
        assert!(!device.is_overdue(Monotonic(3_612_000)));
        assert!(device.is_overdue(Monotonic(3_612_001)));
    }
}
