//! A whole login, both sides in one thread, without sockets and TLS.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::{sync::Arc, time::Duration};

use benches::Parties;
use criterion::{Criterion, criterion_group, criterion_main};
use protocol::{
    credential::ClientKind,
    frame::FrameReader,
    handshake::{
        initiator::AwaitReply,
        responder::Login,
        resume::{AwaitResumeReply, ResumeRecord, Resumption, Ticket},
    },
    time::ClockFlag,
};

const TOLERANCE: Duration = Duration::from_secs(30);

fn body(frame: &[u8]) -> Vec<u8> {
    let mut reader = FrameReader::new(frame.len());
    reader.push(frame);
    reader.next_frame().unwrap().unwrap().body
}

fn full_login(parties: &mut Parties) -> (Ticket, ResumeRecord) {
    let Parties { kind, channel, now, gateway, client, pinned_gateway, pinned_client, rng } = parties;
    let (client_state, hello) =
        AwaitReply::start(Arc::clone(client), pinned_gateway.clone(), *channel, ClockFlag::Synced, *now, rng)
            .unwrap();
    let login = Login::parse(hello, *kind, *channel).unwrap();
    let (gateway_state, reply) = login.answer(gateway, TOLERANCE, *now, rng).unwrap();
    let (client_state, proof) = client_state.handle_reply(&body(&reply), rng).unwrap();
    let (at_gateway, record) = gateway_state.open(proof).unwrap().verify(Some(pinned_client), *now).unwrap();
    let mut reader = FrameReader::new(record.len());
    reader.push(&record);
    let confirmation = reader.next_frame().unwrap().unwrap();
    let at_client = client_state.handle_confirmation(&confirmation, *now).unwrap();
    let ticket = Ticket { token: [1; 16], key: at_client.resume };
    (ticket, ResumeRecord { client: at_gateway.client, key_id: at_gateway.key, key: at_gateway.resume })
}

fn resumed_login(parties: &mut Parties, ticket: Ticket, record: ResumeRecord) {
    let Parties { kind, channel, now, client, rng, .. } = parties;
    let (client_state, resume) =
        AwaitResumeReply::start(Arc::clone(client), ticket, *channel, ClockFlag::Synced, *now, rng);
    let verified =
        Resumption::parse(resume, *kind, *channel).unwrap().verify(Some(record), TOLERANCE, *now).unwrap();
    let (_, reply) = verified.answer(*now, rng).unwrap();
    client_state.handle_reply(&body(&reply), *now).unwrap();
}

fn logins(c: &mut Criterion) {
    let mut group = c.benchmark_group("login, both sides");
    group.sample_size(20);
    for (name, kind) in
        [("patient (suite 1)", ClientKind::Patient), ("wearable (suite 2)", ClientKind::Wearable)]
    {
        let mut parties = Parties::new(kind);
        group.bench_function(format!("full, {name}"), |b| b.iter(|| full_login(&mut parties)));
    }
    let mut parties = Parties::new(ClientKind::Patient);
    let (ticket, record) = full_login(&mut parties);
    group.bench_function("resumed", |b| {
        b.iter(|| {
            let ticket = Ticket { token: ticket.token, key: ticket.key.duplicate() };
            let record = ResumeRecord {
                client: record.client.clone(),
                key_id: record.key_id,
                key: record.key.duplicate(),
            };
            resumed_login(&mut parties, ticket, record);
        });
    });
    group.finish();
}

criterion_group!(benches, logins);
criterion_main!(benches);
