//! A ward under random trouble: patients and wearables that come, go, crash and are revoked, on a network that cuts,
//! delays and swallows. The rules are checked after every event.
//!
//! `VITALWARD_SIM_RUNS=5000` runs more than the small share of CI; `VITALWARD_SEED=n` runs one again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may stop it"
)]

use std::{collections::BTreeSet, fmt, time::Duration};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use vitalward_protocol::{
    alert::Stage,
    id::{AlertId, ClientId, PatientId},
    testkit::{Role, Sim, ledger},
};

/// What happens to the ward. Numbers are reduced to what exists.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Run(u64),
    Raise,
    RaiseSelected(u64),
    Cancel,
    Acknowledge(u64),
    Measure(u64, u64),
    Cut(u64),
    Swallow(u64),
    CrashClient(u64),
    CrashGateway(u64),
    Leave(u64),
    ComeBack(u64),
    Revoke(u64),
    PairAgain(u64),
    Skew(u64, i64),
    SlowNetwork(u64),
}

impl Operation {
    fn random(rng: &mut ChaCha20Rng) -> Self {
        let mut number = |bound: u64| rng.next_u64() % bound;
        let who = number(1 << 32);
        match number(32) {
            0..3 => Self::Run(number(100)),
            3..6 => Self::Run(number(15_000)),
            6..10 => Self::Raise,
            10 => Self::RaiseSelected(who),
            11 => Self::Cancel,
            12 => Self::Acknowledge(who),
            13..17 => Self::Measure(who, 1 + number(100)),
            17..20 => Self::Cut(who),
            20 => Self::Swallow(who),
            21..23 => Self::CrashClient(who),
            23 => Self::CrashGateway(number(20_000)),
            24 => Self::Leave(who),
            25..27 => Self::ComeBack(who),
            27 => Self::Revoke(who),
            28..30 => Self::PairAgain(who),
            30 => Self::Skew(who, i64::try_from(number(120_000)).unwrap() - 60_000),
            _ => Self::SlowNetwork(number(2_000)),
        }
    }
}

struct Ward {
    sim: Sim,
    alerts: Vec<AlertId>,
    history: Vec<Operation>,
    seed: u64,
}

impl fmt::Display for Ward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "replay with VITALWARD_SEED={}", self.seed)?;
        writeln!(f, "{:?}", self.history)?;
        self.sim.violations.iter().try_for_each(|violation| writeln!(f, "- {violation}"))
    }
}

impl Ward {
    fn new(seed: u64, patients: usize, wearables: usize) -> Self {
        ledger::watch();
        Self { sim: Sim::ward(seed, patients, wearables), alerts: Vec::new(), history: Vec::new(), seed }
    }

    fn apply(&mut self, operation: Operation) {
        self.history.push(operation);
        let sim = &mut self.sim;
        let any = |who: u64| usize::try_from(who).unwrap() % sim.clients.len();
        match operation {
            Operation::Run(ms) => self.run(ms),
            Operation::Raise => self.alerts.push(sim.raise("evacuate", None, None)),
            Operation::RaiseSelected(who) => {
                let chosen: Vec<PatientId> = patients(sim).into_iter().skip(any(who)).step_by(2).collect();
                self.alerts.push(sim.raise("come to the clinic", Some(&chosen), None));
            }
            Operation::Cancel => {
                let cancelled = self.alerts.last().copied();
                self.alerts.push(sim.raise("all clear", None, cancelled));
            }
            Operation::Acknowledge(who) => {
                let who = any(who);
                if let Some(alert) = self.alerts.last() {
                    sim.acknowledge(who, *alert);
                }
            }
            Operation::Measure(who, samples) => sim.measure(any(who), usize::try_from(samples).unwrap()),
            Operation::Cut(who) => sim.cut(any(who)),
            Operation::Swallow(who) => sim.swallow(any(who)),
            Operation::CrashClient(who) => sim.crash_client(any(who)),
            Operation::CrashGateway(ms) => {
                sim.crash_gateway();
                self.run(ms);
                self.sim.restart_gateway();
            }
            Operation::Leave(who) => sim.leave(any(who)),
            Operation::ComeBack(who) => sim.come_back(any(who)),
            Operation::Revoke(who) => sim.revoke(any(who)),
            Operation::PairAgain(who) => {
                let who = any(who);
                let code = sim.invite(who, true);
                sim.enter_code(who, code);
            }
            Operation::Skew(who, ms) => sim.skew(any(who), ms),
            Operation::SlowNetwork(ms) => sim.max_delay_ms = ms,
        }
        self.check();
    }

    fn run(&mut self, ms: u64) {
        let end = self.sim.time() + ms;
        while self.sim.time() < end {
            self.sim.run_for(Duration::from_millis((end - self.sim.time()).min(250)));
            self.check();
        }
    }

    fn check(&mut self) {
        let fine = self.sim.check().is_empty();
        assert!(fine, "{self}");
    }

    /// Trouble ends; everybody who is enrolled comes back.
    fn settle(&mut self) {
        self.sim.max_delay_ms = 40;
        for client in 0..self.sim.clients.len() {
            self.sim.skew(client, 0);
            self.sim.come_back(client);
        }
        self.run(60_000);
        for client in 0..self.sim.clients.len() {
            let id = self.sim.clients[client].id.clone();
            if !self.sim.gateway.store.roster.contains_key(&id) || !self.sim.clients[client].is_in_session() {
                // Revoked, or a pairing that failed half way: the clinic gives a new code.
                let code = self.sim.invite(client, true);
                self.sim.enter_code(client, code);
            }
        }
        self.run(60_000);
        for client in &self.sim.clients {
            assert!(client.is_in_session(), "{} did not come back: {:?}\n{self}", client.id, client.faults);
        }
        for alert in &self.alerts {
            assert!(self.sim.is_received_by_all(*alert), "{alert} was not received by all\n{self}");
        }
        for client in &self.sim.clients {
            if let Role::Wearable(memory) = &client.role {
                assert_eq!(memory.unsent(), 0, "{} could not deliver\n{self}", client.id);
            }
        }
    }
}

fn patients(sim: &Sim) -> Vec<PatientId> {
    sim.clients
        .iter()
        .filter_map(|client| match &client.id {
            ClientId::Patient(patient) => Some(patient.clone()),
            ClientId::Wearable(_) => None,
        })
        .collect()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn every_rule_holds_through_random_trouble() {
    let seeds = match number("VITALWARD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("VITALWARD_SIM_RUNS").unwrap_or(30),
    };
    for seed in seeds {
        let mut rng = ChaCha20Rng::seed_from_u64(seed ^ 0x7761_7264);
        let mut below = |bound: u64| usize::try_from(rng.next_u64() % bound).unwrap();
        let (patients, wearables) = (1 + below(4), below(3));
        let mut ward = Ward::new(seed, patients, wearables);
        for _ in 0..60 {
            ward.apply(Operation::random(&mut rng));
        }
        ward.settle();
        assert!(ledger::len() > 0, "the ledger of nonces was watched");
    }
}

#[test]
fn wearables_of_all_suites_serve_in_one_ward() {
    let mut ward = Ward::new(1_500, 1, 12);
    let lists: BTreeSet<Vec<u8>> = ward.sim.clients[1..]
        .iter()
        .map(|client| client.suites.iter().map(|suite| suite.number()).collect())
        .collect();
    assert_eq!(lists, BTreeSet::from([vec![4, 2, 3], vec![3], vec![2]]));
    for who in 1..=12 {
        ward.apply(Operation::Measure(who, 5));
        ward.apply(Operation::Cut(who));
    }
    ward.settle();
    for client in &ward.sim.clients[1..] {
        let Role::Wearable(memory) = &client.role else { unreachable!() };
        assert!(client.is_in_session() && memory.unsent() == 0 && memory.acked.len() >= 5, "{:?}", client.id);
    }
}

#[test]
fn with_1_10_and_100_patients_every_broadcast_is_decrypted() {
    for patients in [1, 10, 100] {
        let mut ward = Ward::new(1_000 + patients, usize::try_from(patients).unwrap(), 0);
        for _ in 0..3 {
            ward.apply(Operation::Raise);
        }
        ward.sim.run_until_quiet();
        ward.check();
        for id in &ward.alerts {
            let stored = &ward.sim.gateway.store.alerts[id];
            assert_eq!(stored.receipts.len(), stored.recipients.len());
            assert_eq!(u64::try_from(stored.recipients.len()).unwrap(), patients);
            assert!(stored.receipts.values().all(|stage| *stage == Stage::Decrypted));
        }
        for client in &ward.sim.clients {
            let Role::Patient(memory) = &client.role else { unreachable!() };
            assert_eq!(memory.by_broadcast, ward.alerts.len(), "by the group key, not by a resend");
        }
    }
}

#[test]
fn an_alert_in_the_same_millisecond_as_a_revocation_is_not_for_the_revoked() {
    let mut ward = Ward::new(2_000, 3, 0);
    ward.apply(Operation::Revoke(1));
    ward.apply(Operation::Raise);
    ward.sim.run_until_quiet();
    ward.check();
    let stored = &ward.sim.gateway.store.alerts[&ward.alerts[0]];
    assert_eq!(stored.receipts.len(), 2);
    assert!(!ward.sim.clients[1].is_in_session());
    let epoch = ward.sim.broadcasts[0].epoch;
    assert_eq!(epoch.step, 0, "sealed under the first key of a new generation");
}

#[test]
fn after_a_farewell_the_next_alert_is_sealed_anew_and_its_key_goes_first() {
    let mut ward = Ward::new(2_500, 3, 0);
    ward.sim.leave(1);
    while ward.sim.gateway.members().len() == 3 {
        ward.sim.step();
    }
    // Within the pause that collects idle rekeys.
    ward.apply(Operation::Raise);
    assert_eq!(ward.sim.broadcasts[0].epoch.step, 0);
    ward.sim.run_until_quiet();
    ward.check();
    for stayed in [0, 2] {
        let Role::Patient(memory) = &ward.sim.clients[stayed].role else { unreachable!() };
        assert_eq!(memory.by_broadcast, 1);
    }
    let Role::Patient(memory) = &ward.sim.clients[1].role else { unreachable!() };
    assert!(memory.shown.is_empty());
}

#[test]
fn samples_whose_acknowledgement_was_lost_are_sent_again_and_stored_once() {
    let mut ward = Ward::new(2_700, 0, 1);
    for _ in 0..5 {
        let stored = ward.sim.gateway.store.rows.len();
        ward.sim.measure(0, 3);
        while ward.sim.gateway.store.rows.len() == stored {
            ward.sim.step();
        }
        // Committed, and the answer is on its way.
        ward.sim.cut(0);
        ward.sim.run_until_quiet();
        ward.check();
    }
    let Role::Wearable(memory) = &ward.sim.clients[0].role else { unreachable!() };
    assert_eq!((memory.acked.len(), memory.unsent()), (15, 0));
    assert_eq!(ward.sim.gateway.store.rows.len(), 15);
}

#[test]
fn a_client_that_restarts_within_the_grace_gets_the_alert_once() {
    let mut ward = Ward::new(3_000, 2, 0);
    ward.apply(Operation::Cut(0));
    ward.apply(Operation::Raise);
    ward.apply(Operation::CrashClient(0));
    ward.sim.run_until_quiet();
    ward.run(10_000);
    assert!(ward.sim.is_received_by_all(ward.alerts[0]));
    let Role::Patient(memory) = &ward.sim.clients[0].role else { unreachable!() };
    assert_eq!(memory.shown, ward.alerts);
    assert_eq!(memory.by_broadcast, 0, "it came in the patient's own session");
}

#[test]
fn a_silent_peer_is_noticed_within_ten_seconds() {
    let mut ward = Ward::new(4_000, 1, 1);
    ward.apply(Operation::Swallow(0));
    ward.apply(Operation::Swallow(1));
    ward.run(10_000);
    assert!(
        ward.sim.gateway.in_session().is_empty() || ward.sim.clients.iter().all(|c| !c.faults.is_empty())
    );
    ward.run(10_000);
    assert!(ward.sim.clients.iter().all(|client| client.is_in_session()));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut ward = Ward::new(5_000, 2, 1);
        ward.sim.record = true;
        for operation in
            [Operation::Raise, Operation::Cut(0), Operation::Measure(2, 5), Operation::Run(5_000)]
        {
            ward.apply(operation);
        }
        ward.sim.wire
    };
    let first = run();
    assert!(first.len() > 10);
    assert_eq!(first, run());
}
