//! The gateways that a device has to live with: one good, sixteen bad. Each says what it does, what a device must do, and
//! judges by what the device does on the wire.

use std::time::Duration;

use host::entropy::system_rng;
use protocol::{
    credential::{ClientKind, GatewayIdentity, LoginKey},
    endpoint::{
        LOGIN_LIMIT,
        gateway::{Event, Next},
    },
    error::Fault,
    frame::HEADER_LEN,
    id::{GatewayId, Seq},
    message::{FromGateway, Instruction},
    opcode::Opcode,
};

use super::{
    bench::{Bench, Outcome, PATIENCE, new_identity},
    image::Offer,
    talk::{Heard, Talk},
};

macro_rules! cases {
    ($($case:ident $name:literal: $gateway:literal; $must:literal.)+) => {
        /// A gateway.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Case {
            $($case),+
        }

        impl Case {
            /// In the order in which they are played.
            pub(super) const ALL: &[Self] = &[$(Self::$case),+];

            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$case => $name),+ }
            }

            /// What it does.
            pub(super) const fn gateway(self) -> &'static str {
                match self { $(Self::$case => $gateway),+ }
            }

            /// What a device must do.
            pub(super) const fn device_must(self) -> &'static str {
                match self { $(Self::$case => $must),+ }
            }
        }
    };
}

cases! {
    Good "good": "pairs, logs in, acknowledges what it has";
        "pair by code, prove itself, tell about itself, send growing numbers and keep to acknowledgements".
    WrongKey "wrong-key": "has another key than the paired one";
        "hang up before it proves itself, and come back".
    OtherGateway "other-gateway": "has the right key and another gateway's id";
        "hang up before it proves itself, and come back".
    OtherSuite "other-suite": "answers with a suite that was not offered";
        "hang up before it proves itself, and come back".
    OldReply "old-reply": "answers with what was recorded of an earlier login";
        "hang up before it proves itself, and come back".
    Unconfirmed "unconfirmed": "takes the proof and does not confirm it";
        "send nothing, hang up and come back".
    Silent "silent": "takes the connection and says nothing";
        "give up within twice the login limit, and come back".
    Refusal "refusal": "refuses the login without proving who it is";
        "keep its pairing and its samples, and come back".
    NoGateway "no-gateway": "is another server, which speaks HTTP";
        "hang up and come back".
    Oversize "oversize": "announces a frame of 4 GiB";
        "hang up at once instead of waiting for it, and come back".
    CutShort "cut-short": "closes in the middle of a frame";
        "come back and send what was not acknowledged".
    LostAck "lost-ack": "takes samples and closes without acknowledging them";
        "send the same samples again, under the same numbers".
    TwoAcks "two-acks": "acknowledges twice, then something older";
        "go on, and neither repeat nor lose a sample".
    FutureAck "future-ack": "acknowledges what was never sent";
        "forget nothing for it".
    TwiceSent "twice-sent": "sends a record twice, as an attacker on the way can";
        "end the session and come back".
    Altered "altered": "sends a record with one bit changed on the way";
        "end the session and come back".
    OldImage "old-image": "offers firmware that is older, or newer and not signed";
        "refuse it for that, or not ask for it".
}

impl Case {
    /// The case of a name.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|case| case.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|case| case.name()).collect();
            format!("no such gateway; there are {}", names.join(", "))
        })
    }

    pub(super) async fn play(self, bench: &mut Bench) -> Outcome {
        let seen = match self {
            Self::Good => return good(bench).await,
            Self::WrongKey => wrong_key(bench).await,
            Self::OtherGateway => other_gateway(bench).await,
            Self::OtherSuite => other_suite(bench).await,
            Self::OldReply => old_reply(bench).await,
            Self::Unconfirmed => unconfirmed(bench).await,
            Self::Silent => silent(bench).await,
            Self::Refusal => refusal(bench).await,
            Self::NoGateway => answers(bench, b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
            Self::Oversize => answers(bench, &[0xff, 0xff, 0xff, 0xff, Opcode::HelloReply as u8]).await,
            Self::CutShort => cut_short(bench).await,
            Self::LostAck => lost_ack(bench).await,
            Self::TwoAcks => two_acks(bench).await,
            Self::FutureAck => future_ack(bench).await,
            Self::TwiceSent => twice_sent(bench).await,
            Self::Altered => altered(bench).await,
            Self::OldImage => old_image(bench).await,
        }?;
        bench.recover().await?;
        Ok(seen)
    }
}

async fn good(bench: &mut Bench) -> Outcome {
    let mut talk = bench.pair().await?;
    let first = bench.take_vitals(&mut talk).await?;
    let second = bench.take_vitals(&mut talk).await?;
    talk.farewell().await;
    bench.recover().await?;
    let status = bench.status.as_ref().ok_or("it did not tell about itself (DEVICE_STATUS)")?;
    Ok(format!("samples {} and {}; {}", first.0, second.0, status.firmware.name))
}

/// The login of an impostor who has everything but the key.
async fn wrong_key(bench: &mut Bench) -> Outcome {
    let impostor = new_identity()?;
    let (mut talk, login) = bench.greet().await?;
    let answered = login.answer_as(&bench.identity, &impostor.wearable_login, talk.now(), &mut system_rng());
    let (state, frame) = answered.map_err(|fault| fault.to_string())?;
    talk.endpoint.proceed(Next::Proof(state), frame, talk.now());
    hangs_up(bench, talk, "the reply was signed with another key").await
}

async fn other_gateway(bench: &mut Bench) -> Outcome {
    let (mut talk, login) = bench.greet().await?;
    let elsewhere = GatewayIdentity {
        gateway: GatewayId::from_random([7; 16]),
        wearable_login: same_key(&bench.identity.wearable_login)?,
        ..new_identity()?
    };
    let answered = login.answer_as(&elsewhere, &bench.identity.wearable_login, talk.now(), &mut system_rng());
    let (state, frame) = answered.map_err(|fault| fault.to_string())?;
    talk.endpoint.proceed(Next::Proof(state), frame, talk.now());
    hangs_up(bench, talk, "the reply named another gateway").await
}

fn same_key(key: &LoginKey) -> Result<LoginKey, String> {
    let secret = *key.to_secret().expose();
    LoginKey::from_secret(ClientKind::Wearable, secret).map_err(|fault| fault.to_string())
}

/// The suite is the first byte of HELLO_REPLY.
async fn other_suite(bench: &mut Bench) -> Outcome {
    let (mut talk, mut reply) = answered(bench).await?;
    if let Some(suite) = reply.get_mut(HEADER_LEN) {
        *suite = 1;
    }
    talk.send(&reply).await;
    hangs_up(bench, talk, "the reply chose suite 1").await
}

async fn old_reply(bench: &mut Bench) -> Outcome {
    let (talk, recorded) = answered(bench).await?;
    drop(talk);
    let (mut talk, _) = answered(bench).await?;
    talk.send(&recorded).await;
    hangs_up(bench, talk, "the reply was of an earlier login").await
}

/// A login up to the reply, which is in our hands.
async fn answered(bench: &mut Bench) -> Result<(Talk, Vec<u8>), String> {
    let (mut talk, login) = bench.greet().await?;
    let answered = login.answer(&bench.identity, Duration::from_secs(30), talk.now(), &mut system_rng());
    let (state, frame) = answered.map_err(|fault| fault.to_string())?;
    talk.endpoint.proceed(Next::Proof(state), Vec::new(), talk.now());
    talk.take_frames();
    Ok((talk, frame))
}

async fn unconfirmed(bench: &mut Bench) -> Outcome {
    let (mut talk, reply) = answered(bench).await?;
    talk.send(&reply).await;
    let proof = bench.proof(&mut talk).await?;
    let (session, mut confirmation) = bench.verify(&talk, proof)?;
    flip(&mut confirmation);
    talk.endpoint.proceed(session, confirmation, talk.now());
    match talk.hear(PATIENCE).await {
        Heard::HungUp => Ok("it hung up".into()),
        Heard::Event(Event::Vitals(_)) => Err("it sent vitals to a gateway that did not confirm".into()),
        Heard::Event(_) => Err("it spoke in a session that was not confirmed".into()),
        Heard::Nothing => Err("it stayed".into()),
    }
}

async fn silent(bench: &mut Bench) -> Outcome {
    let (mut talk, _) = bench.greet().await?;
    // The endpoint works on the login for ever.
    match talk.hear(LOGIN_LIMIT * 2).await {
        Heard::HungUp => Ok("it gave up".into()),
        Heard::Event(_) => Err("it went on without an answer".into()),
        Heard::Nothing => Err(format!("it still waited after {} s", LOGIN_LIMIT.as_secs() * 2)),
    }
}

/// Anybody on a network can say so.
async fn refusal(bench: &mut Bench) -> Outcome {
    let (mut talk, _) = bench.greet().await?;
    talk.endpoint.refuse(Fault::DeniedUnknown, talk.now());
    talk.flush().await;
    Ok("it came back".into())
}

/// Bytes in place of HELLO_REPLY.
async fn answers(bench: &mut Bench, bytes: &[u8]) -> Outcome {
    let (mut talk, _) = bench.greet().await?;
    talk.send(bytes).await;
    match talk.hear(Duration::from_secs(5)).await {
        Heard::HungUp => Ok("it hung up".into()),
        Heard::Event(_) => Err("it went on".into()),
        Heard::Nothing => Err("it still waited after 5 s".into()),
    }
}

async fn cut_short(bench: &mut Bench) -> Outcome {
    let mut talk = bench.connect().await?;
    let last = bench.vitals(&mut talk).await?.last().unwrap_or(Seq(0));
    let record = record_of(&mut talk, &FromGateway::VitalsAck(last)).await?;
    let (half, _) = record.split_at(record.len() / 2);
    talk.send(half).await;
    Ok(format!("half of the acknowledgement of {} was sent", last.0))
}

async fn lost_ack(bench: &mut Bench) -> Outcome {
    let mut talk = bench.connect().await?;
    let last = bench.vitals(&mut talk).await?.last().unwrap_or(Seq(0));
    Ok(format!("samples up to {} came again", last.0))
}

async fn two_acks(bench: &mut Bench) -> Outcome {
    let mut talk = bench.connect().await?;
    let last = bench.take_vitals(&mut talk).await?;
    bench.acknowledge(&mut talk, last)?;
    talk.say(&FromGateway::VitalsAck(Seq(last.0.saturating_sub(1)))).map_err(|fault| fault.to_string())?;
    let next = bench.take_only_new(&mut talk).await?;
    // This one was sent when it knew of all acknowledgements; the one before may have been on its way.
    bench.take_only_new(&mut talk).await?;
    talk.farewell().await;
    let mut talk = bench.connect().await?;
    bench.take_only_new(&mut talk).await?;
    talk.farewell().await;
    Ok(format!("{} was acknowledged twice; {} came next", last.0, next.0))
}

async fn future_ack(bench: &mut Bench) -> Outcome {
    let mut talk = bench.connect().await?;
    let last = bench.vitals(&mut talk).await?.last().unwrap_or(Seq(0));
    let future = Seq(last.0 + 1_000_000);
    talk.say(&FromGateway::VitalsAck(future)).map_err(|fault| fault.to_string())?;
    talk.flush().await;
    talk.farewell().await;
    Ok(format!("{} was acknowledged, {} was the last", future.0, last.0))
}

async fn twice_sent(bench: &mut Bench) -> Outcome {
    let mut talk = bench.connect().await?;
    let now = talk.now();
    let record = record_of(&mut talk, &FromGateway::Heartbeat(now.wall)).await?;
    talk.send(&record).await;
    talk.send(&record).await;
    hangs_up(bench, talk, "a record came twice").await
}

async fn altered(bench: &mut Bench) -> Outcome {
    let mut talk = bench.connect().await?;
    let now = talk.now();
    let mut record = record_of(&mut talk, &FromGateway::Heartbeat(now.wall)).await?;
    flip(&mut record);
    talk.send(&record).await;
    hangs_up(bench, talk, "a record was altered").await
}

async fn old_image(bench: &mut Bench) -> Outcome {
    let runs = bench.status.as_ref().map(|status| status.firmware.clone());
    let offer = Offer::of(bench.old_image.as_ref(), &runs.ok_or("it did not tell what it runs")?)?;
    let mut talk = bench.connect().await?;
    let said = Instruction::Offer(offer.wire());
    talk.say(&FromGateway::Instruction(&said)).map_err(|fault| fault.to_string())?;
    // However much it has to say meanwhile.
    let until = talk.now().mono + PATIENCE;
    loop {
        let left = until.since(talk.now().mono);
        let judged = match talk.hear(left).await {
            Heard::Event(Event::FirmwareRequest(request)) => offer.asked_for(request),
            Heard::Event(Event::FirmwareStatus(status)) => offer.told(status),
            Heard::Event(Event::Vitals(batch)) => {
                bench.acknowledge(&mut talk, batch.last().unwrap_or(Seq(0)))?;
                None
            }
            Heard::Event(_) => None,
            Heard::HungUp | Heard::Nothing => break,
        };
        if let Some(outcome) = judged {
            talk.farewell().await;
            return outcome;
        }
    }
    talk.farewell().await;
    Ok("it did not ask for it".into())
}

async fn hangs_up(bench: &mut Bench, mut talk: Talk, so_far: &str) -> Outcome {
    bench.must_hang_up(&mut talk, so_far).await?;
    Ok("it hung up".into())
}

/// The record of a message, sealed and in our hands; what was to be said before is sent.
async fn record_of(talk: &mut Talk, message: &FromGateway<'_>) -> Result<Vec<u8>, String> {
    talk.flush().await;
    talk.say(message).map_err(|fault| fault.to_string())?;
    talk.take_frames().into_iter().next().ok_or_else(|| "the session had ended".into())
}

/// The last bit is in the tag.
fn flip(bytes: &mut [u8]) {
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
}
