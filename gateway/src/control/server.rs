//! The gateway's end of the control socket.

use std::{path::Path, sync::Arc, time::Duration};

use crypto::identity::VerifyingKey;
use host::{
    control::{ControlSocket, Desk},
    exit::{Exit, Stop},
};
use protocol::{
    cadence::{Interval, Settings},
    credential::ClientKind,
    pairing::{code::PairingCode, network::NetworkCredentials},
    waveform::{MAX_SECONDS, Signal},
};
use serde::Serialize;
use serde_json::Value;
use tokio::{net::unix::UCred, sync::broadcast};

use super::Request;
use crate::{
    app::Facts,
    ward::{
        Ward,
        alerts::{AlertError, AlertRequest},
        event::WardEvent,
        people::{Invitation, PeopleError},
        wearables::WearableError,
    },
};

/// The bound socket and who answers there.
#[derive(Debug)]
pub struct Server {
    socket: ControlSocket,
    counter: Arc<Counter>,
}

#[derive(Debug)]
struct Counter {
    ward: Arc<Ward>,
    facts: Facts,
}

impl Server {
    /// Binds the socket of a data folder whose lock the caller holds.
    ///
    /// # Errors
    /// A [`Stop`] naming the path.
    pub fn bind(data_dir: &Path, ward: Arc<Ward>, facts: Facts) -> Result<Self, Stop> {
        Ok(Self { socket: ControlSocket::bind(data_dir)?, counter: Arc::new(Counter { ward, facts }) })
    }

    /// Answers until this future is dropped.
    pub async fn serve(self) {
        self.socket.serve(self.counter).await;
    }
}

impl Desk for Counter {
    type Request = Request;
    type Event = WardEvent;
    const PROGRAM: &'static str = "gateway";

    fn watches(request: &Request) -> bool {
        matches!(request, Request::Watch {})
    }

    fn subscribe(&self) -> broadcast::Receiver<WardEvent> {
        self.ward.subscribe()
    }

    async fn carry_out(&self, request: Request, caller: &UCred) -> Result<Value, Stop> {
        let ward = &self.ward;
        let by = format!("uid {} pid {}", caller.uid(), caller.pid().unwrap_or_default());
        match request {
            Request::Status {} => {
                let mut status = ward.status().await.map_err(people)?;
                status.patients_listen = self.facts.patients.to_string();
                status.wearables_listen = self.facts.wearables.to_string();
                status.data_dir = self.facts.data_dir.display().to_string();
                status.key_protection = self.facts.key_protection.into();
                value(&status)
            }
            Request::Patients {} => value(&ward.patients().await.map_err(people)?),
            Request::Wearables {} => value(&ward.wearables().await.map_err(people)?),
            Request::Alerts { limit } => value(&ward.alerts(limit).await.map_err(alerts)?),
            Request::Refusals { limit } => value(&ward.refusals(limit)),
            Request::Offers {} => value(&ward.offers().await.map_err(people)?),
            Request::DisconnectAll {} => value(&ward.disconnect_all(&by).await),
            Request::Pair { kind, patient, replace, code, network } => {
                let network =
                    network.map(|(ssid, passphrase)| NetworkCredentials::new(ssid, passphrase.into()));
                let invitation = Invitation {
                    kind: client_kind(&kind)?,
                    patient: patient.parse().map_err(usage)?,
                    replaces: replace,
                    code: code.map(|code| code.parse::<PairingCode>()).transpose().map_err(usage)?,
                    network: network.transpose().map_err(usage)?,
                    by,
                };
                value(&ward.invite(invitation).await.map_err(people)?)
            }
            Request::Settings { name, sample_ms, upload_ms } => {
                let interval = |ms: u32| Interval::try_from(ms).map_err(usage);
                let settings = Settings::new(interval(sample_ms)?, interval(upload_ms)?).map_err(usage)?;
                value(&ward.set(&name, settings, &by).await.map_err(wearables)?)
            }
            Request::Waveform { name, signal, seconds } => {
                let known = Signal::ALL.iter().find(|known| known.to_string() == signal);
                let signal = *known.ok_or_else(|| usage("there is no signal of this name"))?;
                if seconds > MAX_SECONDS {
                    return Err(usage(format!("a signal is asked for for at most {MAX_SECONDS} s")));
                }
                value(&ward.ask_waveform(&name, signal, seconds, &by).await.map_err(wearables)?)
            }
            Request::PublishFirmware { image, key } => {
                let file = hex::decode(image).map_err(usage)?;
                let key = key.map(|key| maker_key(&key)).transpose()?;
                value(&ward.publish_firmware(&file, key.as_ref(), &by).await.map_err(wearables)?)
            }
            Request::Firmware {} => value(&ward.firmware().await.map_err(wearables)?),
            Request::WithdrawFirmware { image } => {
                value(&ward.withdraw_firmware(image, &by).await.map_err(wearables)?)
            }
            Request::CancelOffer { code } => {
                let code: PairingCode = code.parse().map_err(usage)?;
                value(&ward.cancel_offer(code.selector, &by).await.map_err(people)?)
            }
            Request::Alert { text, to, wait_ms, expires_ms, cancels } => {
                let to =
                    to.map(|ids| ids.iter().map(|id| id.parse()).collect()).transpose().map_err(usage)?;
                let cancels = cancels.map(|id| id.parse()).transpose();
                let cancels = cancels.map_err(|_| usage("an alert's id looks like 0190a3c2-..."))?;
                let expires_in = Duration::from_millis(expires_ms);
                let id = ward
                    .raise_alert(AlertRequest { text, to, expires_in, cancels, by })
                    .await
                    .map_err(alerts)?;
                value(&ward.await_receipts(id, Duration::from_millis(wait_ms)).await.map_err(alerts)?)
            }
            Request::Vitals { patient, last } => {
                let patient = patient.parse().map_err(usage)?;
                value(&ward.vitals(&patient, last).await.map_err(people)?)
            }
            Request::Revoke { kind, name } => {
                value(&ward.revoke(client_kind(&kind)?, &name, &by).await.map_err(people)?.to_string())
            }
            Request::Watch {} => Ok(Value::Null),
        }
    }
}

fn value(from: &impl Serialize) -> Result<Value, Stop> {
    serde_json::to_value(from).map_err(|error| Stop::new(Exit::Failed, error.to_string()))
}

fn maker_key(text: &str) -> Result<VerifyingKey, Stop> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| usage("a maker's public key has 64 hexadecimal digits"))?;
    VerifyingKey::from_bytes(&bytes).map_err(|_| usage("this is no public key"))
}

fn client_kind(text: &str) -> Result<ClientKind, Stop> {
    match text {
        "patient" => Ok(ClientKind::Patient),
        "wearable" => Ok(ClientKind::Wearable),
        _ => Err(usage("the kind is patient or wearable")),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn usage(error: impl ToString) -> Stop {
    Stop::new(Exit::Usage, error.to_string())
}

fn people(error: PeopleError) -> Stop {
    match error {
        PeopleError::Store(cause) => Stop::new(Exit::Failed, format!("not done: {cause}")),
        other => Stop::new(Exit::Failed, other.to_string()),
    }
}

fn wearables(error: WearableError) -> Stop {
    match error {
        WearableError::People(error) => people(error),
        WearableError::Image(_) => Stop::new(Exit::Failed, format!("not published: {error}")),
        other => Stop::new(Exit::Failed, other.to_string()),
    }
}

fn alerts(error: AlertError) -> Stop {
    match error {
        AlertError::Store(cause) => Stop::new(Exit::Failed, format!("the alert was NOT sent: {cause}")),
        AlertError::Text => Stop::new(Exit::Usage, AlertError::Text.to_string()),
        other => Stop::new(Exit::Failed, other.to_string()),
    }
}
