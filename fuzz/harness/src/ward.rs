//! A whole simulated ward by operations, on a network that cuts, delays and swallows: pairing, full logins, epochs of the
//! group key, graces, resends. The rules are those of `protocol/tests/cluster.rs`; here the input is fate.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use protocol::{
    id::{AlertId, ClientId, PatientId},
    testkit::{Role, Sim, ledger},
};

const MAX_OPERATIONS: usize = 32;

/// What happens to the ward. Numbers are reduced to what exists.
#[derive(Debug, Arbitrary)]
enum Operation {
    Run { ms: u16 },
    Raise,
    RaiseSelected { who: u8 },
    Cancel,
    Acknowledge { who: u8 },
    Measure { who: u8, samples: u8 },
    Cut { who: u8 },
    Swallow { who: u8 },
    CrashClient { who: u8 },
    CrashGateway { ms: u16 },
    Leave { who: u8 },
    ComeBack { who: u8 },
    Revoke { who: u8 },
    PairAgain { who: u8 },
    Skew { who: u8, ms: i16 },
    SlowNetwork { ms: u8 },
}

struct Ward {
    sim: Sim,
    alerts: Vec<AlertId>,
}

/// At every moment: no outsider and no newcomer reads a broadcast of a time it does not belong to, no alert is shown
/// twice, nothing is acknowledged that is not stored once, no nonce comes twice under one key. When the trouble ends,
/// everybody who is enrolled is in session, has every alert and has delivered every sample.
pub fn ward(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let patients = 1 + usize::from(bool::arbitrary(&mut input).unwrap_or(false));
    ledger::watch();
    let mut ward = Ward { sim: Sim::ward(1, patients, 1), alerts: Vec::new() };
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        let Ok(operation) = Operation::arbitrary(&mut input) else { break };
        ward.apply(&operation);
        ward.check();
    }
    ward.settle();
}

impl Ward {
    fn apply(&mut self, operation: &Operation) {
        let sim = &mut self.sim;
        let any = |who: &u8| usize::from(*who) % sim.clients.len();
        match operation {
            Operation::Run { ms } => self.run((*ms).into()),
            Operation::Raise => self.alerts.push(sim.raise("evacuate", None, None)),
            Operation::RaiseSelected { who } => {
                let chosen: Vec<PatientId> = patients(sim).into_iter().skip(any(who)).collect();
                self.alerts.push(sim.raise("come to the clinic", Some(&chosen), None));
            }
            Operation::Cancel => self.alerts.push(sim.raise("all clear", None, self.alerts.last().copied())),
            Operation::Acknowledge { who } => {
                let who = any(who);
                if let Some(alert) = self.alerts.last() {
                    sim.acknowledge(who, *alert);
                }
            }
            Operation::Measure { who, samples } => sim.measure(any(who), usize::from(*samples)),
            Operation::Cut { who } => sim.cut(any(who)),
            Operation::Swallow { who } => sim.swallow(any(who)),
            Operation::CrashClient { who } => sim.crash_client(any(who)),
            Operation::CrashGateway { ms } => {
                sim.crash_gateway();
                self.run((*ms).into());
                self.sim.restart_gateway();
            }
            Operation::Leave { who } => sim.leave(any(who)),
            Operation::ComeBack { who } => sim.come_back(any(who)),
            Operation::Revoke { who } => sim.revoke(any(who)),
            Operation::PairAgain { who } => {
                let who = any(who);
                self.pair_again(who);
            }
            Operation::Skew { who, ms } => sim.skew(any(who), i64::from(*ms) * 2),
            Operation::SlowNetwork { ms } => sim.max_delay_ms = u64::from(*ms) * 8,
        }
    }

    fn pair_again(&mut self, who: usize) {
        let code = self.sim.invite(who, true);
        self.sim.enter_code(who, code);
    }

    fn run(&mut self, ms: u64) {
        let end = self.sim.time() + ms;
        while self.sim.time() < end {
            self.sim.run_for(Duration::from_millis((end - self.sim.time()).min(250)));
            self.check();
        }
    }

    fn check(&mut self) {
        assert!(self.sim.check().is_empty(), "{:?}", self.sim.violations);
    }

    /// Trouble ends; everybody who is enrolled comes back, and the clinic gives the others a new code.
    fn settle(&mut self) {
        self.sim.max_delay_ms = 40;
        for who in 0..self.sim.clients.len() {
            self.sim.skew(who, 0);
            self.sim.come_back(who);
        }
        self.run(60_000);
        for who in 0..self.sim.clients.len() {
            let client = &self.sim.clients[who];
            if !self.sim.gateway.store.roster.contains_key(&client.id) || !client.is_in_session() {
                self.pair_again(who);
            }
        }
        self.run(60_000);
        for client in &self.sim.clients {
            assert!(client.is_in_session(), "{} did not come back: {:?}", client.id, client.faults);
            if let Role::Wearable(memory) = &client.role {
                assert_eq!(memory.unsent(), 0, "{} could not deliver", client.id);
            }
        }
        for alert in &self.alerts {
            assert!(self.sim.is_received_by_all(*alert), "{alert} was not received by all");
        }
    }
}

fn patients(sim: &Sim) -> Vec<PatientId> {
    let ids = sim.clients.iter().filter_map(|client| match &client.id {
        ClientId::Patient(patient) => Some(patient.clone()),
        ClientId::Wearable(_) => None,
    });
    ids.collect()
}
