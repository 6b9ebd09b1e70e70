//! The verb that gives the database of a stopped gateway a new key.

use std::path::Path;

use host::{
    Clock,
    datadir::{self, DataDir},
    exit::{Exit, Stop},
};
use protocol::id::DoctorId;

use super::line;
use crate::{
    app::DATABASE,
    keyfile,
    store::{Store, audit::AuditEvent},
};

pub(super) async fn rotate_database_key(id: &DoctorId, data_dir: Option<&Path>) -> Result<(), Stop> {
    let folder = datadir::resolve("gateway", id.as_str(), data_dir, false)?;
    if !folder.join(DATABASE).exists() {
        let message = format!("there is no gateway of {id} in {}", folder.display());
        return Err(Stop::new(Exit::Usage, message));
    }
    let data_dir = DataDir::open(&folder)?;
    line("Encrypting the database anew; nothing is lost if this is interrupted.");
    let failed = |error: &dyn std::fmt::Display| Stop::new(Exit::Failed, error.to_string());
    let doctor = id.clone();
    let rotated = tokio::task::spawn_blocking(move || -> Result<Store, Stop> {
        keyfile::rotate(&data_dir)?;
        let key = keyfile::obtain(&data_dir)?.key;
        Store::open(&data_dir.path().join(DATABASE), &key, &doctor).map_err(|error| failed(&error))
    });
    let store = rotated.await.map_err(|error| failed(&error))??;
    let (doctor, now) = (id.to_string(), Clock::start().now().wall);
    let audited = store.write(move |ledger| {
        ledger.audit(AuditEvent::Controlled, &doctor, "", "the database has a new key", now)
    });
    audited.await.map_err(|error| failed(&error))?;
    store.close().await;
    line("Done. Only backups from before still need the old key.");
    Ok(())
}
