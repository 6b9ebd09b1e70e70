//! What is done in the demo, in which order, and what must come of it. Each step waits for what it promises; the first
//! promise that is not kept ends the story with a sentence that says which.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use gateway::ward::{event::WardEvent, view::AlertReport};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    bed::{Bed, Plan},
    news::{News, What},
    ward::Ward,
};

/// Shorter runs leave the story of the absent patient out.
const ABSENCE_NEEDS: Duration = Duration::from_secs(14);
/// Kept free at the end for the goodbyes.
const GOODBYES: Duration = Duration::from_millis(700);
/// Patients who are seen coming.
const SEEN: usize = 3;
/// Longest wait for something that takes milliseconds unless the machine is under load.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest wait for the client of the absent patient: its tries are up to 15 s apart.
const RETURN_LIMIT: Duration = Duration::from_secs(30);
/// How long a broadcast with an absent patient is watched before the count.
const GLANCE: Duration = Duration::from_millis(600);

/// How it is told.
#[derive(Debug, Clone, Copy)]
pub struct Story {
    /// How many patients.
    pub patients: usize,
    /// How long it lasts altogether; without, it is told at leisure and ends when nothing more is to be shown.
    pub length: Option<Duration>,
}

impl Story {
    /// Tells it in a ward that is open and empty.
    ///
    /// # Errors
    /// The promise that was not kept.
    pub async fn tell(self, ward: &mut Ward) -> anyhow::Result<()> {
        let plans = (1..=self.patients).map(Plan::usual).collect::<anyhow::Result<Vec<_>>>()?;
        if self.length.is_some() {
            ward.admit(plans).await?;
        } else {
            self.let_in_slowly(ward, plans).await?;
        }
        vitals_are_stored(ward).await?;
        self.pause(2).await;
        everybody_is_reached(ward).await?;
        if self.length.is_none_or(|length| length >= ABSENCE_NEEDS) {
            self.pause(4).await;
            self.an_absent_patient_is_reached_later(ward).await?;
        }
        if let Some(length) = self.length {
            tokio::time::sleep(length.saturating_sub(GOODBYES).saturating_sub(ward.age())).await;
        }
        Ok(())
    }

    /// The first patients one by one, so that a person sees them come; and people who take their time to read.
    async fn let_in_slowly(self, ward: &mut Ward, plans: Vec<Plan>) -> anyhow::Result<()> {
        let mut plans = plans.into_iter().map(|plan| Plan { reading: plan.reading * 5, ..plan });
        for plan in plans.by_ref().take(SEEN) {
            self.pause(1).await;
            ward.admit(vec![plan]).await?;
        }
        ward.admit(plans.collect()).await
    }

    /// Time to look at the screen or to read the lines, in thirds of a second; more when told at leisure.
    async fn pause(self, thirds: u64) {
        let third = if self.length.is_some() { 333 } else { 1_500 };
        tokio::time::sleep(Duration::from_millis(third * thirds)).await;
    }

    async fn an_absent_patient_is_reached_later(self, ward: &Ward) -> anyhow::Result<()> {
        let absent = ward.beds().get(1).or_else(|| ward.beds().first()).context("there is no patient")?;
        let (patient, id) = (&absent.patient, absent.patient.id.to_string());
        let mut news = ward.subscribe();
        patient.pull_cable();
        heard(&mut news, PATIENCE, |what| {
            matches!(what, What::Gateway(WardEvent::Disconnected { patient, kind, .. }) if *patient == id && kind == "patient")
        })
        .await
        .with_context(|| format!("the gateway did not notice that {id} is gone"))?;
        self.pause(2).await;

        let text = "Stay in your room: smoke on floor 2.";
        let sent = ward.broadcast(text, GLANCE).await?;
        let sent = ward.count(&sent.alert, GLANCE).await?;
        let missing: Vec<&str> = sent.missing.iter().map(|missing| missing.patient.as_str()).collect();
        ensure!(
            missing == [id.as_str()],
            "only {id} is away, but the broadcast did not reach: {}",
            missing.join(", ")
        );
        self.pause(2).await;

        patient.plug_in();
        heard(&mut news, RETURN_LIMIT, |what| {
            matches!(what, What::Gateway(WardEvent::Session { patient, kind, .. }) if *patient == id && kind == "patient")
        })
        .await
        .with_context(|| format!("{id} did not come back by itself"))?;
        let caught_up = ward.count(&sent.alert, PATIENCE).await?;
        is_complete(&caught_up)?;
        self.pause(2).await;

        let off = ward.call_off(&sent.alert, "The smoke is gone, all is well.", PATIENCE).await?;
        is_complete(&ward.count(&off.alert, PATIENCE).await?)
    }
}

/// Every wearable has had at least two samples acknowledged.
async fn vitals_are_stored(ward: &Ward) -> anyhow::Result<()> {
    for Bed { wearable, .. } in ward.beds() {
        let mut state = wearable.state.clone();
        let stored = state.wait_for(|state| state.acknowledged.0 >= 2);
        tokio::time::timeout(PATIENCE, stored)
            .await
            .with_context(|| format!("no vitals of {} were acknowledged", wearable.name))?
            .with_context(|| format!("{} stopped", wearable.name))?;
    }
    Ok(())
}

async fn everybody_is_reached(ward: &Ward) -> anyhow::Result<()> {
    let sent = ward.broadcast("Fire drill: please go to exit B.", PATIENCE).await?;
    is_complete(&ward.count(&sent.alert, PATIENCE).await?)
}

fn is_complete(report: &AlertReport) -> anyhow::Result<()> {
    let AlertReport { text, recipients, decrypted, acknowledged, missing, .. } = report;
    if let Some(first) = missing.first() {
        bail!(
            "{text:?} was decrypted by {decrypted} of {recipients}; missing: {} ({}){}",
            first.patient,
            first.reason,
            if missing.len() > 1 { ", and others" } else { "" }
        );
    }
    ensure!(acknowledged == recipients, "{text:?} was acknowledged by {acknowledged} of {recipients}");
    Ok(())
}

/// Waits for news.
async fn heard(
    news: &mut Receiver<News>,
    limit: Duration,
    is_it: impl Fn(&What) -> bool,
) -> anyhow::Result<()> {
    let wait = async {
        loop {
            match news.recv().await {
                Ok(News { what, .. }) if is_it(&what) => return Ok(()),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => bail!("the ward is closed"),
            }
        }
    };
    tokio::time::timeout(limit, wait).await.with_context(|| format!("waited for {} s", limit.as_secs()))?
}
