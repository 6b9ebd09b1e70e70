//! The whole ward: opens the gateway, lets beds in, raises alerts, and counts at the end what has been stored.

use std::{
    collections::BTreeSet, fs::Permissions, os::unix::fs::PermissionsExt, path::Path, sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use gateway::{
    app::Gateway,
    config::Config,
    ward::{Ward as GatewayWard, alerts::AlertRequest, event::WardEvent, view::AlertReport},
};
use protocol::id::{AlertId, DoctorId, WearableName};
use serde::Serialize;
use tempfile::TempDir;
use tokio::{
    sync::{Semaphore, broadcast, broadcast::error::RecvError},
    task::JoinSet,
};

use crate::{
    bed::{Bed, Door, Plan},
    news::{Board, News, What},
};

/// The doctor.
const DOCTOR: &str = "D001";
/// Beds that are let in one after the other, so that the time that each takes is its own. Of more, as many at once.
const ONE_BY_ONE: usize = 6;
/// How long an alert matters.
const EXPIRES_IN: Duration = Duration::from_secs(24 * 3_600);
/// Longest wait for the last samples to be acknowledged.
const LAST_SAMPLES: Duration = Duration::from_secs(3);

/// A gateway with patients and wearables. Dropping it ends everything without a goodbye.
#[derive(Debug)]
pub struct Ward {
    gateway: Gateway,
    beds: Vec<Bed>,
    board: Board,
    _relay: JoinSet<()>,
    folder: TempDir,
}

/// What became of a wearable's samples.
#[derive(Debug, Clone, Serialize)]
pub struct Stock {
    /// Which wearable.
    pub wearable: String,
    /// Samples taken.
    pub taken: u64,
    /// Samples in the gateway's database.
    pub stored: u64,
    /// Samples that the wearable keeps because the gateway has not acknowledged them.
    pub waiting: u64,
    /// Samples that are neither stored nor kept.
    pub lost: u64,
    /// Samples that are stored more than once.
    pub twice: u64,
}

impl Ward {
    /// Opens the gateway of D001 on free ports of loopback, with its data in a new temporary folder. News begins at once.
    ///
    /// # Errors
    /// The gateway's, or no temporary folder.
    pub async fn open(board: Board) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("vitalward-demo-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .context("no temporary folder; set TMPDIR to a place where this user may write")?;
        let doctor: DoctorId = DOCTOR.parse()?;
        let mut config = Config::new(doctor, folder.path().join(format!("gateway-{DOCTOR}")));
        config.listen.set_port(0);
        config.wearable_listen.set_port(0);
        let gateway = Gateway::start(&config, board.clock()).await?;
        board.post(What::Gateway(gateway.listening()));
        let mut relay = JoinSet::new();
        relay.spawn(pass_on(gateway.ward().subscribe(), board.clone()));
        Ok(Self { gateway, beds: Vec::new(), board, _relay: relay, folder })
    }

    /// A ward with so many of the usual patients, all logged in.
    ///
    /// # Errors
    /// See [`Self::open`] and [`Self::admit`].
    pub async fn start(patients: usize) -> anyhow::Result<Self> {
        let mut ward = Self::open(Board::default()).await?;
        let plans = (1..=patients).map(Plan::usual).collect::<anyhow::Result<Vec<_>>>()?;
        ward.admit(plans).await?;
        Ok(ward)
    }

    /// Pairs and logs in patients and their wearables, a few at a time. Beds stand in the order of their ids.
    ///
    /// # Errors
    /// Who could not be let in, and why; some others of `plans` may be in.
    pub async fn admit(&mut self, plans: Vec<Plan>) -> anyhow::Result<()> {
        let door = Door {
            ward: Arc::clone(self.gateway.ward()),
            facts: self.gateway.facts().clone(),
            board: self.board.clone(),
        };
        let permits = Arc::new(Semaphore::new(if plans.len() > ONE_BY_ONE { ONE_BY_ONE } else { 1 }));
        let mut admissions = JoinSet::new();
        for plan in plans {
            let (door, home) = (door.clone(), self.folder.path().to_owned());
            let permit = Arc::clone(&permits).acquire_owned().await?;
            admissions.spawn(async move {
                let _permit = permit;
                Box::pin(Bed::admit(plan, door, &home)).await
            });
            while let Some(bed) = admissions.try_join_next() {
                self.beds.push(bed??);
            }
        }
        while let Some(bed) = admissions.join_next().await {
            self.beds.push(bed??);
        }
        self.beds.sort_by(|a, b| a.patient.id.cmp(&b.patient.id));
        Ok(())
    }

    /// The gateway's ward, for everything that a doctor can do.
    #[must_use]
    pub const fn gateway(&self) -> &Arc<GatewayWard> {
        self.gateway.ward()
    }

    /// The gateway's data folder; a console finds the control socket by it.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.gateway.facts().data_dir
    }

    /// Who is in.
    #[must_use]
    pub fn beds(&self) -> &[Bed] {
        &self.beds
    }

    /// Since it was opened.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.board.age()
    }

    /// What happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<News> {
        self.board.subscribe()
    }

    /// Sends everybody an alert and waits until all have decrypted it, at most `wait`.
    ///
    /// # Errors
    /// It was not sent.
    pub async fn broadcast(&self, text: &str, wait: Duration) -> anyhow::Result<AlertReport> {
        self.raise(text, None, wait).await
    }

    /// Calls an alert off.
    ///
    /// # Errors
    /// It was not sent.
    pub async fn call_off(&self, alert: &str, text: &str, wait: Duration) -> anyhow::Result<AlertReport> {
        self.raise(text, Some(parsed(alert)?), wait).await
    }

    async fn raise(
        &self,
        text: &str,
        cancels: Option<AlertId>,
        wait: Duration,
    ) -> anyhow::Result<AlertReport> {
        let (text, by) = (text.to_owned(), "demo".to_owned());
        let request = AlertRequest { text, to: None, expires_in: EXPIRES_IN, cancels, by };
        let id = self.gateway().raise_alert(request).await?;
        Ok(self.gateway().await_receipts(id, wait).await?)
    }

    /// Waits until all recipients have decrypted and acknowledged an alert, at most `wait`, and tells the count.
    ///
    /// # Errors
    /// The gateway's.
    pub async fn count(&self, alert: &str, wait: Duration) -> anyhow::Result<AlertReport> {
        let id = parsed(alert)?;
        let mut events = self.gateway().subscribe();
        let complete = async {
            loop {
                let report = self.gateway().report(id).await?;
                if report.missing.is_empty() && report.acknowledged == report.recipients {
                    return anyhow::Ok(());
                }
                while !matches!(
                    events.recv().await,
                    Ok(WardEvent::Receipt { .. }) | Err(RecvError::Lagged(_) | RecvError::Closed)
                ) {}
            }
        };
        if let Ok(completed) = tokio::time::timeout(wait, complete).await {
            completed?;
        }
        let report = self.gateway().report(id).await?;
        self.board.post(What::Counted(report.clone()));
        Ok(report)
    }

    /// Ends wearables, patients and gateway, each with a goodbye, removes the folder, and tells what became of the samples.
    ///
    /// # Errors
    /// The first of them that did not end well, or a folder that cannot be removed.
    pub async fn stop(self) -> anyhow::Result<Vec<Stock>> {
        let Self { gateway, beds, board: _board, _relay, folder } = self;
        let mut leaving = JoinSet::new();
        for Bed { patient, wearable } in beds {
            let ward = Arc::clone(gateway.ward());
            leaving.spawn(async move {
                let name = wearable.name.clone();
                let state = wearable.stop(LAST_SAMPLES).await?;
                let stored = ward.vitals(&patient.id, u32::MAX).await?;
                let numbers: Vec<u64> = stored.iter().map(|sample| sample.seq).collect();
                let cable = patient.stop().await?;
                anyhow::Ok((stock(&name, state.taken.0, state.waiting, &numbers), cable))
            });
        }
        let (mut stocks, mut cables) = (Vec::new(), Vec::new());
        while let Some(left) = leaving.join_next().await {
            let (stock, cable) = left??;
            stocks.push(stock);
            cables.push(cable);
        }
        stocks.sort_by(|a: &Stock, b| a.wearable.cmp(&b.wearable));
        gateway.stop().await;
        drop(cables);
        let path = folder.path().to_owned();
        folder.close().with_context(|| format!("cannot remove {}; remove it by hand", path.display()))?;
        ensure!(!path.exists(), "{} is still there; remove it by hand", path.display());
        Ok(stocks)
    }
}

/// A new wearable numbers its samples from 1.
fn stock(wearable: &WearableName, taken: u64, waiting: u64, stored: &[u64]) -> Stock {
    let numbers: BTreeSet<u64> = stored.iter().copied().collect();
    let distinct = numbers.len() as u64;
    Stock {
        wearable: wearable.to_string(),
        taken,
        stored: distinct,
        waiting,
        lost: (1..=taken.saturating_sub(waiting)).filter(|number| !numbers.contains(number)).count() as u64,
        twice: stored.len() as u64 - distinct,
    }
}

fn parsed(alert: &str) -> anyhow::Result<AlertId> {
    alert.parse().ok().with_context(|| format!("{alert} is no alert"))
}

async fn pass_on(mut events: broadcast::Receiver<WardEvent>, board: Board) {
    loop {
        match events.recv().await {
            Ok(event) => board.post(What::Gateway(event)),
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "events of the gateway went by unseen"),
            Err(RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_stored_once_or_kept_or_lost() {
        let name: WearableName = "W001".parse().unwrap();
        let told = stock(&name, 6, 1, &[5, 3, 2, 2, 1]);
        assert_eq!((told.stored, told.waiting, told.lost, told.twice), (4, 1, 1, 1));
        let good = stock(&name, 2, 0, &[2, 1]);
        assert_eq!((good.stored, good.lost, good.twice), (2, 0, 0));
    }
}
