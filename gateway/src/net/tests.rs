//! Which suites a connection gets, seen from the wearable at its other end.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use host::entropy::system_rng;
use protocol::{
    credential::{ClientIdentity, ClientKind, Suite},
    endpoint::client::{ClientEndpoint, Event},
    error::{Fault, Refusal},
    handshake::{Channel, Terms, resume::Ticket},
    replay::ReplayCache,
    time::ClockFlag,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    connection::{self, Context},
    limits::Limits,
};
use crate::ward::{
    Ward,
    tests::{pair, ward},
};

const TOLERANCE: Duration = Duration::from_secs(30);

fn context(ward: &Arc<Ward>, require_post_quantum: bool) -> Arc<Context> {
    Arc::new(Context {
        ward: Arc::clone(ward),
        limits: Limits::default(),
        replays: Mutex::new(ReplayCache::new(TOLERANCE)),
        clock_tolerance: TOLERANCE,
        require_post_quantum,
    })
}

/// What a wearable's login came to: the suite, whether a token opened the session, and the next ticket.
type Outcome = Result<(Suite, bool, Ticket), Fault>;

/// Connects until there is a ticket or an end; the connection is over then.
async fn log_in(
    context: &Arc<Context>,
    identity: &Arc<ClientIdentity>,
    suites: &[Suite],
    ticket: Option<Ticket>,
) -> Outcome {
    let place = context.limits.place(ClientKind::Wearable).await.unwrap();
    let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
    let source = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let served = tokio::spawn(connection::serve(
        theirs,
        source,
        place,
        ClientKind::Wearable,
        Channel::Plain,
        false,
        Arc::clone(context),
    ));
    let terms = Terms { suites: suites.to_vec(), channel: Channel::Plain, clock: ClockFlag::None };
    let pinned = context.ward.identity().pinned(ClientKind::Wearable);
    let now = || context.ward.now();
    let rng = &mut system_rng();
    let mut endpoint = ClientEndpoint::connect(Arc::clone(identity), pinned, ticket, terms, now(), rng)?;
    let mut session = None;
    let outcome = 'talk: loop {
        while let Some(bytes) = endpoint.poll_transmit() {
            ours.write_all(&bytes).await.unwrap();
        }
        while let Some(event) = endpoint.poll_event() {
            match event {
                Event::Established { suite, resumed, .. } => session = Some((suite, resumed)),
                Event::Ticket { ticket, .. } => {
                    let (suite, resumed) = session.unwrap();
                    break 'talk Ok((suite, resumed, ticket));
                }
                Event::Closed(fault) => break 'talk Err(fault),
                _ => {}
            }
        }
        let mut bytes = [0; 4096];
        let count = ours.read(&mut bytes).await.unwrap();
        assert!(count > 0, "the gateway says why before it closes");
        endpoint.handle_bytes(&bytes[..count], now(), rng);
    };
    drop(ours);
    served.await.unwrap();
    outcome
}

async fn shown(ward: &Ward) -> (Option<u8>, Option<bool>) {
    let wearables = ward.wearables().await.unwrap();
    (wearables[0].suite, wearables[0].post_quantum)
}

#[tokio::test]
async fn the_suite_of_the_last_session_is_shown_also_while_a_wearable_rests() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let context = context(&ward, false);
    let identity = Arc::new(pair(&ward, "ABC-DEF-GH2").await);
    for (suite, post_quantum) in [(Suite::Wearable, false), (Suite::Ascon, false), (Suite::Hybrid, true)] {
        let (agreed, resumed, ticket) = log_in(&context, &identity, &[suite], None).await.unwrap();
        assert_eq!((agreed, resumed), (suite, false));
        assert_eq!(shown(&ward).await, (Some(suite.number()), Some(post_quantum)));
        let all = [Suite::Wearable, Suite::Ascon, Suite::Hybrid];
        let (agreed, resumed, _) = log_in(&context, &identity, &all, Some(ticket)).await.unwrap();
        assert_eq!((agreed, resumed), (suite, true), "a resumption keeps the suite");
        assert_eq!(shown(&ward).await, (Some(suite.number()), Some(post_quantum)));
    }
}

#[tokio::test]
async fn a_gateway_that_requires_it_takes_only_wearables_with_suite_4() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let (open, strict) = (context(&ward, false), context(&ward, true));
    let identity = Arc::new(pair(&ward, "ABC-DEF-GH2").await);
    let refused = |outcome: Outcome| match outcome {
        Err(Fault::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let small = [Suite::Wearable, Suite::Ascon];
    assert_eq!(refused(log_in(&strict, &identity, &small, None).await), Refusal::NotPostQuantum);
    // A session from before the setting is not resumed either.
    let (_, _, ticket) = log_in(&open, &identity, &small, None).await.unwrap();
    assert_eq!(refused(log_in(&strict, &identity, &small, Some(ticket)).await), Refusal::NotPostQuantum);
    let refusals: Vec<_> = ward.refusals(9).into_iter().map(|refusal| refusal.reason).collect();
    assert!(refusals.iter().any(|reason| reason.contains("not post-quantum")), "{refusals:?}");
    let all = [Suite::Wearable, Suite::Ascon, Suite::Hybrid];
    let (suite, _, ticket) = log_in(&strict, &identity, &all, None).await.unwrap();
    assert_eq!(suite, Suite::Hybrid);
    assert!(log_in(&strict, &identity, &all, Some(ticket)).await.unwrap().1, "and resumes it");
}
