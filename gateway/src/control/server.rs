//! The gateway's end of the control socket.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, sync::Arc, time::Duration};

use host::exit::{Exit, Stop};
use protocol::{credential::ClientKind, pairing::code::PairingCode};
use serde::Serialize;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream, unix::UCred},
    sync::broadcast::error::RecvError,
    task::JoinSet,
};

use super::{Reply, Request, SocketPath};
use crate::{
    app::Facts,
    ward::{
        Ward,
        alerts::{AlertError, AlertRequest},
        people::{Invitation, PeopleError},
    },
};

/// Longest request, in bytes.
const MAX_REQUEST: u64 = 64 * 1024;

/// The bound socket; removed when dropped.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    socket: SocketPath,
    own_uid: u32,
    ward: Arc<Ward>,
    facts: Facts,
}

impl Drop for Server {
    fn drop(&mut self) {
        fs::remove_file(self.socket.path()).ok();
    }
}

impl Server {
    /// Binds the socket of a data folder whose lock the caller holds: a socket that lies there is stale.
    ///
    /// # Errors
    /// A [`Stop`] naming the path.
    pub fn bind(data_dir: &Path, ward: Arc<Ward>, facts: Facts) -> Result<Self, Stop> {
        let bound = (|| {
            let socket = SocketPath::in_folder(data_dir)?;
            match fs::remove_file(socket.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(socket.path())?;
            Ok((listener, socket, fs::metadata(data_dir)?.uid()))
        })();
        match bound {
            Ok((listener, socket, own_uid)) => Ok(Self { listener, socket, own_uid, ward, facts }),
            Err(error) => {
                let message = format!("cannot make the control socket in {}: {error}", data_dir.display());
                Err(Stop::new(Exit::Configuration, message))
            }
        }
    }

    /// Answers until this future is dropped.
    pub async fn serve(self) {
        let server = Arc::new(self);
        let mut callers = JoinSet::new();
        loop {
            tokio::select! {
                accepted = server.listener.accept() => {
                    match accepted {
                        Ok((stream, _)) => {
                            let server = Arc::clone(&server);
                            callers.spawn(async move {
                                if let Err(error) = server.answer(stream).await {
                                    tracing::debug!(%error, "control connection");
                                }
                            });
                        }
                        Err(error) => {
                            // Out of descriptors, mostly: wait until some are given back.
                            tracing::warn!(%error, "cannot accept a control connection");
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
                Some(_) = callers.join_next() => {}
            }
        }
    }

    async fn answer(&self, stream: UnixStream) -> io::Result<()> {
        let caller = stream.peer_cred()?;
        let (reader, mut writer) = stream.into_split();
        if caller.uid() != self.own_uid && caller.uid() != 0 {
            let message = "only the gateway's own user may control it".into();
            return send(&mut writer, &Reply::Refused { exit: Exit::Failed.code(), message }).await;
        }
        let mut reader = BufReader::new(reader);
        loop {
            let mut line = String::new();
            if (&mut reader).take(MAX_REQUEST).read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let reply = match serde_json::from_str(&line) {
                Ok(Request::Watch {}) => return self.watch(&mut writer).await,
                Ok(request) => self.carry_out(request, &caller).await.unwrap_or_else(|stop| Reply::Refused {
                    exit: Stop::exit_of(&stop).code(),
                    message: stop.to_string(),
                }),
                Err(error) => {
                    Reply::Refused { exit: Exit::Usage.code(), message: format!("no request: {error}") }
                }
            };
            send(&mut writer, &reply).await?;
        }
    }

    async fn watch(&self, writer: &mut (impl AsyncWriteExt + Unpin)) -> io::Result<()> {
        let mut events = self.ward.subscribe();
        loop {
            match events.recv().await {
                Ok(event) => send(writer, &event).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }

    async fn carry_out(&self, request: Request, caller: &UCred) -> Result<Reply, Stop> {
        let ward = &self.ward;
        let by = format!("uid {} pid {}", caller.uid(), caller.pid().unwrap_or_default());
        let value = match request {
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
            Request::Pair { kind, patient, replace, code } => {
                let invitation = Invitation {
                    kind: client_kind(&kind)?,
                    patient: patient.parse().map_err(usage)?,
                    replaces: replace,
                    code: code.map(|code| code.parse::<PairingCode>()).transpose().map_err(usage)?,
                    by,
                };
                value(&ward.invite(invitation).await.map_err(people)?)
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
        };
        value.map(Reply::Done)
    }
}

async fn send(writer: &mut (impl AsyncWriteExt + Unpin), line: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    writer.write_all(&bytes).await
}

fn value(from: &impl Serialize) -> Result<Value, Stop> {
    serde_json::to_value(from).map_err(|error| Stop::new(Exit::Failed, error.to_string()))
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

fn alerts(error: AlertError) -> Stop {
    match error {
        AlertError::Store(cause) => Stop::new(Exit::Failed, format!("the alert was NOT sent: {cause}")),
        AlertError::Text => Stop::new(Exit::Usage, AlertError::Text.to_string()),
        other => Stop::new(Exit::Failed, other.to_string()),
    }
}
