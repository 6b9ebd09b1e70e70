//! Samples that come: stored, then acknowledged, shown and told. What was not stored as it came, or not for the present wearer,
//! is in the audit, once for each batch.

use protocol::{
    error::Fault,
    id::{DeviceId, Seq},
    vitals::VitalsBatch,
};

use super::{
    Ward,
    event::{SampleView, WardEvent},
    local,
};
use crate::store::{audit::AuditEvent, vitals::Appended};

impl Ward {
    /// Stores samples; when this returns they are on the disk and may be acknowledged up to the number returned.
    ///
    /// # Errors
    /// [`Fault::LocalStorage`]: then nothing may be acknowledged, and the device keeps them.
    pub(crate) async fn take_vitals(&self, device: DeviceId, batch: VitalsBatch) -> Result<Seq, Fault> {
        let now = self.now();
        let appended = self.store.write(move |ledger| {
            let appended = ledger.append_vitals(device, &batch, now.wall)?;
            for said in remarks(&appended) {
                ledger.audit(AuditEvent::Samples, &device.to_string(), "", &said, now.wall)?;
            }
            Ok(appended)
        });
        let appended = appended.await.map_err(|error| local(&error))?;
        self.publish_remarks(device, &appended);
        if let Some(newest) = appended.stored.last() {
            let sample = SampleView::new(&device.to_string(), now.wall, newest);
            {
                let mut state = self.state();
                state.samples_stored += u64::try_from(appended.stored.len()).unwrap_or(u64::MAX);
                let sender = state.device(device, now.mono);
                sender.upload(now.mono);
                let cadence = sender.cadence();
                state.live.update(appended.patient.clone(), sample.clone(), newest.taken.wall, cadence, now);
            }
            self.publish(WardEvent::Vitals {
                patient: appended.patient.to_string(),
                device: device.to_string(),
                sample,
                count: appended.stored.len(),
            });
        }
        Ok(appended.acknowledged)
    }

    fn publish_remarks(&self, device: DeviceId, appended: &Appended) {
        let (patient, device) = (appended.patient.to_string(), device.to_string());
        let of = || (patient.clone(), device.clone());
        if appended.conflicts > 0 {
            tracing::error!(%device, conflicts = appended.conflicts, "device used a sample number twice");
            let (patient, device) = of();
            self.publish(WardEvent::Conflict { patient, device, count: appended.conflicts });
        }
        if appended.nobodys > 0 {
            tracing::error!(%device, samples = appended.nobodys, "samples without a time, and more than one wearer");
            let (patient, device) = of();
            self.publish(WardEvent::NobodysSamples { patient, device, count: appended.nobodys });
        }
        for (earlier, count) in &appended.earlier {
            let (patient, device) = (earlier.to_string(), device.clone());
            self.publish(WardEvent::LateSamples { patient, device, count: *count });
        }
        for (Seq(first), Seq(last)) in &appended.gaps {
            let (patient, device) = of();
            self.publish(WardEvent::Gap { patient, device, first: *first, last: *last });
        }
    }
}

/// What the audit says of a batch. One that is sent again was remarked on before.
fn remarks(appended: &Appended) -> Vec<String> {
    if !appended.is_new {
        return Vec::new();
    }
    let Appended { conflicts, nobodys, .. } = appended;
    let mut remarks = Vec::new();
    if *conflicts > 0 {
        remarks.push(format!("{conflicts} NOT stored: other samples have their numbers (the device's counter was reset); reset it and pair it again"));
    }
    if *nobodys > 0 {
        remarks
            .push(format!("{nobodys} NOT stored: without a time, and several patients have worn the device; reset it before it changes hands"));
    }
    let late = appended.earlier.iter();
    remarks.extend(late.map(|(patient, count)| {
        format!("{count} that came late stored for {patient}, who wore the device then")
    }));
    remarks
}
