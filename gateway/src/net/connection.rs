//! One connection: bytes and timeouts go to the endpoint, its work to the ward, the ward's queue to the socket.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Buf, Bytes};
use host::entropy::system_rng;
use protocol::{
    credential::ClientKind,
    endpoint::gateway::{Event, GatewayEndpoint, Next, Work},
    error::Fault,
    handshake::{Channel, Established},
    id::ClientId,
    message::FromGateway,
    replay::ReplayCache,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::limits::{Limits, Place};
use crate::{
    store::offers::Offer,
    ward::{Admitted, End, LeavingSession, Outbound, SessionEnd, Ward},
};

/// Longest wait for the last bytes to leave, and for one write of an established session to make progress.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);
/// Bytes that may wait for the socket before the queue is left alone.
const HIGH_WATER: usize = 256 * 1024;

/// What all connections share.
#[derive(Debug)]
pub struct Context {
    /// Where everything is decided.
    pub ward: Arc<Ward>,
    /// How much strangers may ask for.
    pub limits: Limits,
    /// Hellos that were used.
    pub replays: Mutex<ReplayCache>,
    /// How far a client's clock may be off.
    pub clock_tolerance: Duration,
}

impl Context {
    fn replays(&self) -> MutexGuard<'_, ReplayCache> {
        self.replays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<S: AsyncRead + AsyncWrite>(
    stream: S,
    source: SocketAddr,
    place: Place,
    kind: ClientKind,
    channel: Channel,
    post_quantum: bool,
    context: Arc<Context>,
) {
    let endpoint = GatewayEndpoint::new(kind, channel, context.ward.now());
    let mut connection = Connection {
        endpoint,
        context,
        source,
        place,
        post_quantum,
        outgoing: VecDeque::new(),
        offer: None,
        claimed: None,
        admitted: None,
        end: None,
    };
    let (reader, writer) = tokio::io::split(stream);
    connection.run(reader, writer).await;
    connection.finish().await;
}

struct Connection {
    endpoint: GatewayEndpoint,
    context: Arc<Context>,
    source: SocketAddr,
    place: Place,
    post_quantum: bool,
    outgoing: VecDeque<Bytes>,
    /// The offer whose code the client is proving.
    offer: Option<Offer>,
    /// Who the client says it is, for the refusal.
    claimed: Option<ClientId>,
    admitted: Option<Admitted>,
    end: Option<SessionEnd>,
}

impl Connection {
    async fn run(&mut self, mut reader: impl AsyncRead + Unpin, mut writer: impl AsyncWrite + Unpin) {
        let mut buffer = vec![0; 16 * 1024];
        let mut unflushed = false;
        while !self.endpoint.is_closed() {
            let now = self.context.ward.now();
            let sleep = self.endpoint.poll_timeout().map_or(Duration::MAX, |due| due.since(now.mono));
            let waiting: usize = self.outgoing.iter().map(Bytes::len).sum();
            let front = self.outgoing.front().cloned();
            let sends = front.is_some() || unflushed;
            let sending = async {
                match &front {
                    Some(bytes) => writer.write(bytes).await,
                    None => writer.flush().await.map(|()| 0),
                }
            };
            tokio::select! {
                biased;
                word = next_word(&mut self.admitted, waiting < HIGH_WATER) => match word {
                    Word::End(end) => self.end_by_ward(end),
                    Word::Say(outbound) => self.take_outbound(outbound),
                },
                sent = sending, if sends => match sent {
                    Ok(count) => {
                        unflushed = front.is_some();
                        if let Some(bytes) = self.outgoing.front_mut() {
                            bytes.advance(count);
                            if bytes.is_empty() {
                                self.outgoing.pop_front();
                            }
                        }
                    }
                    Err(error) => return self.lost(&error),
                },
                read = reader.read(&mut buffer) => match read {
                    Ok(0) => return self.lost(&io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => {
                        let bytes = buffer.get(..count).unwrap_or_default();
                        self.endpoint.handle_bytes(bytes, self.context.ward.now());
                    }
                    Err(error) => return self.lost(&error),
                },
                () = tokio::time::sleep(sleep) => self.endpoint.handle_timeout(self.context.ward.now()),
            }
            self.handle_events().await;
            self.collect();
        }
        let farewell = async {
            for bytes in &self.outgoing {
                writer.write_all(bytes).await?;
            }
            writer.flush().await?;
            writer.shutdown().await
        };
        // A peer that is gone cannot be told.
        tokio::time::timeout(FLUSH_LIMIT, farewell).await.ok();
    }

    fn collect(&mut self) {
        while let Some(bytes) = self.endpoint.poll_transmit() {
            self.outgoing.push_back(bytes.into());
        }
    }

    fn take_outbound(&mut self, outbound: Outbound) {
        let now = self.context.ward.now();
        let said = match outbound {
            Outbound::GroupKey(key) => self.endpoint.say(&FromGateway::GroupKey(&key), now),
            Outbound::Direct(alert) => self.endpoint.say(&FromGateway::DirectMsg(&alert), now),
            Outbound::Broadcast(frame) => {
                // Records before it must leave before it.
                self.collect();
                self.outgoing.push_back(frame);
                self.endpoint.note_sent(now);
                Ok(())
            }
        };
        if let Err(fault) = said {
            self.endpoint.refuse(fault, now);
        }
    }

    fn end_by_ward(&mut self, end: End) {
        let now = self.context.ward.now();
        match end {
            End::Farewell(farewell) => {
                self.endpoint.disconnect(farewell, now);
                self.end = Some(SessionEnd::ByWard(farewell));
            }
            End::NotReading => self.endpoint.refuse(Fault::PeerNotReading, now),
        }
    }

    fn lost(&mut self, error: &io::Error) {
        self.end = Some(SessionEnd::Lost(error.to_string()));
    }

    async fn handle_events(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            let handled = match event {
                Event::Work(work) => self.work(work).await,
                Event::Vitals(batch) => match self.admitted_client() {
                    Some(ClientId::Wearable(device)) => {
                        match self.context.ward.take_vitals(device, batch).await {
                            Ok(seq) => {
                                self.endpoint.say(&FromGateway::VitalsAck(seq), self.context.ward.now())
                            }
                            Err(fault) => Err(fault),
                        }
                    }
                    _ => Ok(()),
                },
                Event::Status(status) => {
                    if let Some(ClientId::Wearable(device)) = self.admitted_client() {
                        self.context.ward.take_status(device, status);
                    }
                    Ok(())
                }
                Event::Receipt(receipt) => match &self.admitted {
                    Some(admitted) => self.context.ward.take_receipt(&admitted.pinned, receipt).await,
                    None => Ok(()),
                },
                Event::Disconnected(farewell) => {
                    self.end = Some(SessionEnd::ByClient(farewell));
                    Ok(())
                }
                Event::Closed(fault) => {
                    self.closed(&fault).await;
                    Ok(())
                }
            };
            if let Err(fault) = handled {
                self.endpoint.refuse(fault, self.context.ward.now());
            }
        }
    }

    fn admitted_client(&self) -> Option<ClientId> {
        self.admitted.as_ref().map(|admitted| admitted.client.clone())
    }

    async fn closed(&mut self, fault: &Fault) {
        if self.end.is_none() {
            self.end = Some(SessionEnd::Lost(fault.to_string()));
        }
        let is_silence = matches!(fault, Fault::PeerSilent(_));
        if !is_silence {
            let client = self.admitted_client().or_else(|| self.claimed.take());
            self.context.ward.refused(&self.source.to_string(), client.as_ref(), fault).await;
        }
    }

    async fn work(&mut self, work: Work) -> Result<(), Fault> {
        let context = Arc::clone(&self.context);
        let ward = &context.ward;
        match work {
            Work::Login(login) => {
                if context.replays().contains(&login.fingerprint()) {
                    return Err(Fault::DeniedReplay);
                }
                context.limits.attempt(self.source.ip()).await;
                let (ward, tolerance) = (Arc::clone(ward), context.clock_tolerance);
                let answer = move || login.answer(ward.identity(), tolerance, ward.now(), &mut system_rng());
                let answered = context.limits.full_login(answer).await;
                let (state, frame) = answered.ok_or(Fault::DeniedBusy)??;
                self.endpoint.proceed(Next::Proof(state), frame, context.ward.now());
            }
            Work::Proof(proof) => {
                self.claimed = Some(proof.client().clone());
                let fingerprint = proof.fingerprint();
                let enrolled = ward.enrolled(proof.client(), proof.key()).await?;
                let now = ward.now();
                let verify = move || proof.verify(enrolled.as_ref().map(|enrolled| &enrolled.pinned), now);
                let verified = context.limits.full_login(verify).await;
                let (established, frame) = verified.ok_or(Fault::DeniedBusy)??;
                if !context.replays().insert(fingerprint, now.mono) {
                    return Err(Fault::DeniedReplay);
                }
                self.admit(established, frame).await?;
            }
            Work::Resume(resumption) => {
                let hash = resumption.token_hash();
                let record = ward.token(hash).await?;
                let verified = resumption.verify(record, context.clock_tolerance, ward.now())?;
                self.claimed = Some(verified.client().clone());
                ward.consume_token(hash).await?;
                let (established, frame) = verified.answer(ward.now(), &mut system_rng())?;
                self.admit(established, frame).await?;
            }
            Work::Pair(pairing) => {
                context.limits.attempt(self.source.ip()).await;
                let offer = ward.spend_guess(pairing.selector()).await?;
                if offer.kind != pairing.kind() {
                    return Err(Fault::DeniedCodeForAnother);
                }
                let (state, frame) =
                    pairing.answer(&offer.code.password, offer.tries_left, &mut system_rng())?;
                self.offer = Some(offer);
                self.endpoint.proceed(Next::Enrol(state), frame, ward.now());
            }
            Work::Enrol(enrolment) => {
                let offer = self.offer.take().ok_or(Fault::DeniedCodeUnknown)?;
                let client = ward.enrol(&enrolment, &offer).await?;
                let frame = enrolment.grant(client, ward.identity(), &mut system_rng())?;
                self.endpoint.proceed(Next::Login, frame, ward.now());
            }
        }
        Ok(())
    }

    async fn admit(&mut self, established: Established, frame: Vec<u8>) -> Result<(), Fault> {
        let ward = Arc::clone(&self.context.ward);
        let (admitted, welcome) =
            ward.admit(established, &self.source.to_string(), self.post_quantum).await?;
        self.admitted = Some(admitted);
        self.endpoint.proceed(Next::Session(welcome.session), frame, ward.now());
        self.endpoint.say(&FromGateway::Token(welcome.token, welcome.token_expires), ward.now())?;
        self.place.known();
        Ok(())
    }

    async fn finish(mut self) {
        if let Some(admitted) = self.admitted.take() {
            let leaving = LeavingSession {
                client: admitted.client,
                patient: admitted.patient,
                session: admitted.session_id,
            };
            let end = self.end.take().unwrap_or_else(|| SessionEnd::Lost("closed".into()));
            self.context.ward.leave(&leaving, &end).await;
        }
    }
}

/// What the ward wants of a session.
enum Word {
    Say(Outbound),
    End(End),
}

/// The ward's next word for this session; never, before there is a session. While its socket is full, only an end
/// is heard: the queue fills, and the ward notices.
async fn next_word(admitted: &mut Option<Admitted>, takes_more: bool) -> Word {
    let Some(Admitted { queue, end, .. }) = admitted else {
        return std::future::pending().await;
    };
    let ended = async { end.wait_for(Option::is_some).await.ok().and_then(|ended| *ended) };
    tokio::select! {
        biased;
        Some(end) = ended => Word::End(end),
        Some(outbound) = queue.recv(), if takes_more => Word::Say(outbound),
        else => std::future::pending().await,
    }
}
