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
    credential::{ClientKind, LoginVerifyingKey, Suite},
    endpoint::gateway::{Event, GatewayEndpoint, Next, Work},
    error::Fault,
    firmware::FirmwareRequest,
    handshake::{Channel, Established},
    id::ClientId,
    message::{FromGateway, Instruction},
    replay::ReplayCache,
    status::DeviceStatus,
    waveform::Waveform,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::limits::{Limits, Place};
use crate::{
    store::offers::Offer,
    ward::{Admitted, End, LeavingSession, Outbound, SessionEnd, Ward},
};

/// Longest wait for the last bytes to leave.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);
/// Longest time in which not one waiting byte leaves: the peer does not read.
const STALL_LIMIT: Duration = Duration::from_secs(10);
/// Bytes that may wait for the socket before the queue is left alone and nothing more is read.
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
    /// Whether wearables without suite 4 are refused. For patients the TLS configuration sees to it.
    pub require_post_quantum: bool,
}

impl Context {
    /// Whether a wearable may have a session of this suite.
    const fn takes(&self, suite: Suite) -> bool {
        !self.require_post_quantum || matches!(suite.kind(), ClientKind::Patient) || suite.is_post_quantum()
    }

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
        offered: None,
        dropped: false,
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
    /// The image that was offered last in this session.
    offered: Option<u32>,
    /// Whether samples of a signal that nobody asked for were dropped in this session.
    dropped: bool,
    end: Option<SessionEnd>,
}

impl Connection {
    async fn run(&mut self, mut reader: impl AsyncRead + Unpin, mut writer: impl AsyncWrite + Unpin) {
        let mut buffer = vec![0; 16 * 1024];
        let mut unflushed = false;
        let mut last_progress = self.context.ward.now().mono;
        while !self.endpoint.is_closed() {
            let now = self.context.ward.now();
            let waiting: usize = self.outgoing.iter().map(Bytes::len).sum();
            if waiting == 0 {
                last_progress = now.mono;
            }
            let stalled = (waiting > 0).then(|| last_progress + STALL_LIMIT);
            let due = self.endpoint.poll_timeout().into_iter().chain(stalled).min();
            let sleep = due.map_or(Duration::MAX, |due| due.since(now.mono));
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
                        last_progress = self.context.ward.now().mono;
                        if let Some(bytes) = self.outgoing.front_mut() {
                            bytes.advance(count);
                            if bytes.is_empty() {
                                self.outgoing.pop_front();
                            }
                        }
                    }
                    Err(error) => return self.lost(&error),
                },
                read = reader.read(&mut buffer), if waiting < HIGH_WATER => match read {
                    Ok(0) => return self.lost(&io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => {
                        let bytes = buffer.get(..count).unwrap_or_default();
                        self.endpoint.handle_bytes(bytes, self.context.ward.now());
                    }
                    Err(error) => return self.lost(&error),
                },
                () = tokio::time::sleep(sleep) => {
                    let now = self.context.ward.now();
                    if stalled.is_some_and(|due| now.mono >= due) {
                        self.endpoint.refuse(Fault::PeerNotReading, now);
                    }
                    self.endpoint.handle_timeout(now);
                }
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
            Outbound::Instruction(instruction) => self.instruct(&instruction),
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
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let why = match error.kind() {
            // TLS, TCP and this file each have other words for it.
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => {
                "closed without a goodbye".into()
            }
            _ => error.to_string(),
        };
        self.end = Some(SessionEnd::Lost(why));
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
                Event::Status(status) => self.take_status(status).await,
                Event::Waveform(waveform) => {
                    self.take_waveform(&waveform).await;
                    Ok(())
                }
                Event::FirmwareRequest(request) => self.give_piece(request).await,
                Event::FirmwareStatus(status) => {
                    if let Some(ClientId::Wearable(device)) = self.admitted_client() {
                        self.context.ward.take_firmware_status(device, status);
                    }
                    Ok(())
                }
                Event::Receipt(receipt) => match &self.admitted {
                    Some(admitted) => self.context.ward.take_receipt(admitted, receipt).await,
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
                // The client may go on with a full login, so no end of the connection tells of it.
                if fault == Fault::DeniedToken {
                    self.context.ward.refused(&self.source.to_string(), self.claimed.as_ref(), &fault).await;
                }
                self.endpoint.refuse(fault, self.context.ward.now());
            }
        }
    }

    /// Offers firmware once in a session, however often the device tells about itself.
    async fn take_status(&mut self, status: DeviceStatus) -> Result<(), Fault> {
        let Some(ClientId::Wearable(device)) = self.admitted_client() else { return Ok(()) };
        let offer = self.context.ward.take_status(device, status).await?;
        match offer.filter(|offer| self.offered != Some(offer.image)) {
            Some(offer) => self.instruct(&Instruction::Offer(offer)),
            None => Ok(()),
        }
    }

    async fn give_piece(&mut self, request: FirmwareRequest) -> Result<(), Fault> {
        let Some(ClientId::Wearable(device)) = self.admitted_client() else { return Ok(()) };
        let piece = self.context.ward.firmware_piece(device, request).await?;
        self.instruct(&piece)
    }

    /// What nobody asked for is dropped, and told of once in a session.
    async fn take_waveform(&mut self, waveform: &Waveform) {
        let Some(ClientId::Wearable(device)) = self.admitted_client() else { return };
        if let Err(fault) = self.context.ward.take_waveform(device, waveform)
            && !std::mem::replace(&mut self.dropped, true)
        {
            let client = ClientId::Wearable(device);
            self.context.ward.refused(&self.source.to_string(), Some(&client), &fault).await;
        }
    }

    fn instruct(&mut self, instruction: &Instruction) -> Result<(), Fault> {
        if let Instruction::Offer(offer) = instruction {
            self.offered = Some(offer.image);
        }
        self.endpoint.say(&FromGateway::Instruction(instruction), self.context.ward.now())
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
            Work::Login(login) if !context.takes(login.suite()) => return Err(Fault::DeniedNotPostQuantum),
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
                let (now, kind) = (ward.now(), proof.client().kind());
                let keys = Arc::clone(ward);
                let verify = move || {
                    // Reading a key costs as much as verifying with it: somebody who is not enrolled costs the same.
                    let pinned = match enrolled.map(|enrolled| enrolled.pinned()) {
                        Some(pinned) => Some(pinned.map_err(|_| Fault::LocalStorage)?),
                        None => {
                            let decoy = keys.identity().pinned(kind).login;
                            LoginVerifyingKey::from_bytes(decoy.kind(), &decoy.to_bytes())?;
                            None
                        }
                    };
                    proof.verify(pinned.as_ref(), now)
                };
                let verified = context.limits.full_login(verify).await;
                let (established, frame) = verified.ok_or(Fault::DeniedBusy)??;
                if !context.replays().insert(fingerprint, now.mono) {
                    return Err(Fault::DeniedReplay);
                }
                self.admit(established, frame).await?;
            }
            Work::Resume(resumption) => {
                context.limits.attempt(self.source.ip()).await;
                let hash = resumption.token_hash();
                let record = ward.token(hash).await?;
                let verified = resumption.verify(record, context.clock_tolerance, ward.now())?;
                self.claimed = Some(verified.client().clone());
                // Its full login will be told why.
                if !context.takes(verified.suite()) {
                    return Err(Fault::DeniedToken);
                }
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
                let network = offer.network;
                let frame = enrolment.grant(client, ward.identity(), network, &mut system_rng())?;
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
        if let Some(ClientId::Wearable(device)) = self.admitted_client()
            && let Some(instruction) = ward.standing_instruction(device).await?
        {
            self.instruct(&instruction)?;
        }
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
