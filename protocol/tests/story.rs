//! The conversation from end to end, over a network that cuts and delays: what a reader should believe first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may stop it"
)]

use std::time::Duration;

use vitalward_protocol::{
    alert::Stage,
    id::{ClientId, PatientId},
    testkit::{Role, Sim},
};

fn patient(sim: &Sim, client: usize) -> PatientId {
    match &sim.clients[client].id {
        ClientId::Patient(patient) => patient.clone(),
        ClientId::Wearable(_) => panic!("not a patient"),
    }
}

#[test]
fn a_patient_and_a_wearable_pair_log_in_talk_and_come_back() {
    let mut sim = Sim::ward(1, 1, 1);
    assert_eq!(sim.gateway.store.roster.len(), 2);

    sim.measure(1, 3);
    sim.run_until_quiet();
    assert_eq!(sim.gateway.store.rows.len(), 3);

    let alert = sim.raise("evacuate", None, None);
    sim.run_until_quiet();
    assert!(sim.is_received_by_all(alert));
    sim.acknowledge(0, alert);
    sim.run_until_quiet();
    assert_eq!(sim.gateway.store.alerts[&alert].receipts[&patient(&sim, 0)], Stage::Acknowledged);

    sim.cut(0);
    sim.cut(1);
    sim.run_until_quiet();
    assert_eq!(sim.clients[0].logins, (1, 1), "the second session is resumed");
    assert_eq!(sim.clients[1].logins, (1, 1));
    let after = sim.raise("all clear", None, Some(alert));
    sim.run_for(Duration::from_secs(30));
    assert!(sim.is_received_by_all(after));
    let Role::Patient(memory) = &sim.clients[0].role else { panic!() };
    assert_eq!(memory.shown, [alert, after]);
    assert_eq!(sim.check(), [""; 0]);
}
