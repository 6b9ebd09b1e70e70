//! The patient's rules against a gateway over real TLS: one test, one sentence about what a patient may rely on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "clippy.toml allows them in tests"
)]

mod support;

use std::{fs, sync::atomic::Ordering};

use host::exit::Exit;
use patient::agent::{AgentCommand, AgentConfig, AgentError, AgentEvent};
use protocol::{alert::Stage, id::AlertId, message::Farewell, testkit::SimGateway};
use tokio::net::TcpListener;

use crate::support::{Patient, TlsIdentity, Ward, client, config, ending, folder};

fn raise(ward: &Ward, text: &str) -> AlertId {
    ward.act(|sim, now, rng| sim.raise(text, None, None, now, rng).0)
}

fn stage(sim: &SimGateway, alert: AlertId) -> Option<Stage> {
    sim.store.alerts[&alert].receipts.get(&"P001".parse().unwrap()).copied()
}

/// As if the receipt had been lost: the gateway will send the alert again.
fn forget_receipts(ward: &Ward, alert: AlertId) {
    ward.act(|sim, _, _| sim.store.alerts.get_mut(&alert).unwrap().receipts.clear());
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_logs_in_on_the_same_connection_and_receipts_an_alert() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let mut patient = Patient::start(config(Some(ward.code_for("P001"))), &folder, ward.address);
    let paired = patient
        .next("pairing", |event| match event {
            AgentEvent::Paired { patient, doctor, .. } => Some((patient.to_string(), doctor.to_string())),
            _ => None,
        })
        .await;
    assert_eq!(paired, ("P001".to_owned(), "D001".to_owned()));
    assert!(folder.join("identity.json").exists(), "stored before the login");
    assert_eq!(patient.next_session().await, (false, true), "a full login, post-quantum TLS");
    assert_eq!(ward.tried.load(Ordering::SeqCst), 1, "one connection");
    patient.until_in_group().await;

    let id = raise(&ward, "Leave the building");
    let alert = patient.next_alert().await;
    assert_eq!(
        (alert.id, &*alert.text, alert.repeated, alert.late),
        (id, "Leave the building", false, false)
    );
    assert!(alert.epoch.is_some(), "a broadcast");
    ward.until("a receipt", |sim| stage(sim, id) == Some(Stage::Decrypted)).await;
    patient.tell(AgentCommand::Acknowledge(id)).await;
    ward.until("an acknowledgement", |sim| stage(sim, id) == Some(Stage::Acknowledged)).await;
    patient.stop().await;
    ward.until("the goodbye", |sim| sim.in_session().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_kept_before_it_is_shown_and_never_shown_twice_but_receipted_again() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let mut patient = Patient::paired(&ward, &folder).await;
    let id = raise(&ward, "Fire");
    patient.next_alert().await;
    assert!(folder.join(format!("alert-{id}.json")).exists());
    ward.until("a receipt", |sim| stage(sim, id).is_some()).await;
    patient.tell(AgentCommand::Acknowledge(id)).await;
    ward.until("an acknowledgement", |sim| stage(sim, id) == Some(Stage::Acknowledged)).await;
    patient.stop().await;

    forget_receipts(&ward, id);
    let mut again = Patient::start(config(None), &folder, ward.address);
    let alert = again.next_alert().await;
    assert!(alert.repeated && alert.acknowledged && alert.epoch.is_none());
    ward.until("both receipts again", |sim| stage(sim, id) == Some(Stage::Acknowledged)).await;
    let told = again.stop().await;
    let kept = told.iter().find_map(|event| match event {
        AgentEvent::Identified { kept, .. } => Some(kept.clone()),
        _ => None,
    });
    assert_eq!(kept.unwrap().iter().map(|alert| alert.id).collect::<Vec<_>>(), [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_without_a_connection_is_receipted_after_the_next_login() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let mut patient = Patient::paired(&ward, &folder).await;
    let id = raise(&ward, "Fire");
    patient.next_alert().await;
    ward.until("a receipt", |sim| stage(sim, id).is_some()).await;
    ward.skew(120_000);
    ward.cut();
    patient.next_refusal().await;
    patient.tell(AgentCommand::Acknowledge(id)).await;
    patient.next("kept", |event| matches!(event, AgentEvent::Acknowledged(_)).then_some(())).await;
    assert_eq!(ward.act(|sim, _, _| stage(sim, id)), Some(Stage::Decrypted));
    ward.skew(0);
    ward.until("the acknowledgement", |sim| stage(sim, id) == Some(Stage::Acknowledged)).await;
    patient.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_was_lost_on_the_way_is_said_again() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let mut patient = Patient::paired(&ward, &folder).await;
    let id = raise(&ward, "Fire");
    patient.next_alert().await;
    ward.until("a receipt", |sim| stage(sim, id).is_some()).await;
    ward.deaf(true);
    let heard = ward.heard.load(Ordering::SeqCst);
    patient.tell(AgentCommand::Acknowledge(id)).await;
    ward.until("bytes on the way", |_| ward.heard.load(Ordering::SeqCst) > heard).await;
    ward.cut();
    ward.deaf(false);
    ward.until("the acknowledgement", |sim| stage(sim, id) == Some(Stage::Acknowledged)).await;
    patient.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_disk_alerts_are_shown_once_but_not_receipted_until_they_can_be_kept() {
    let ward = Ward::start().await;
    let (parent, folder) = folder();
    let mut patient = Patient::paired(&ward, &folder).await;
    let away = parent.path().join("away");
    fs::rename(&folder, &away).unwrap();
    let id = raise(&ward, "Fire");
    let said = patient.next_refusal().await;
    assert!(said.contains("cannot store anything") && said.contains("no receipt"), "{said}");
    assert!(!patient.next_alert().await.repeated, "shown all the same");
    assert_eq!(ward.act(|sim, _, _| stage(sim, id)), None);
    fs::rename(&away, &folder).unwrap();
    ward.cut();
    assert!(patient.next_alert().await.repeated);
    ward.until("a receipt", |sim| stage(sim, id).is_some()).await;
    assert!(folder.join(format!("alert-{id}.json")).exists());
    patient.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comes_back_by_itself_with_a_ticket_that_works_once() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let mut patient = Patient::paired(&ward, &folder).await;
    let ticket = fs::read(folder.join("ticket.json")).unwrap();
    for _ in 0..2 {
        ward.cut();
        let (_, stays_out) = patient.next_disconnect().await;
        assert!(!stays_out);
        assert_eq!(patient.next_session().await, (true, true), "resumed");
        patient.until_in_group().await;
    }
    let last = fs::read(folder.join("ticket.json")).unwrap();
    assert_ne!(ticket, last, "each session has its own ticket");
    patient.stop().await;

    fs::write(folder.join("ticket.json"), &ticket).unwrap();
    let mut again = Patient::start(config(None), &folder, ward.address);
    assert_eq!(again.next_session().await, (false, true), "a used ticket leads to a full login");
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_gateway_is_told_nothing() {
    let (ward, stranger) = (Ward::start().await, Ward::start().await);
    let (_parent, folder) = folder();
    Patient::paired(&ward, &folder).await.stop().await;
    let patient = Patient::start(config(None), &folder, stranger.address);
    let (told, ended) = patient.end().await;
    let error = ended.unwrap_err();
    assert!(matches!(error, AgentError::NotTheGateway(_)), "{error:?}");
    assert_eq!(error.exit(), Exit::Failed);
    let said = error.to_string();
    assert!(said.starts_with("This is NOT the gateway that you paired with. Nothing was sent."), "{said}");
    assert!(said.contains("gateway pair --patient P001"), "{said}");
    stranger.until_tried(1).await;
    assert_eq!(stranger.heard.load(Ordering::SeqCst), 0);
    assert!(matches!(told.last(), Some(AgentEvent::Stopped { .. })));
    assert!(folder.join("ticket.json").exists(), "the ticket was not spent on a stranger");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_certificate_with_another_key_is_another_gateway() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    Patient::paired(&ward, &folder).await.stop().await;
    let acceptor = ward.tls.acceptor_signing_with(&TlsIdentity::new().key);
    let thief = Ward::start_with(TlsIdentity::new(), acceptor).await;
    let (_, ended) = Patient::start(config(None), &folder, thief.address).end().await;
    assert!(matches!(ended, Err(AgentError::NotTheGateway(_))), "{ended:?}");
    thief.until_tried(1).await;
    assert_eq!(thief.heard.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_tls_key_with_other_login_keys_is_another_gateway() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    Patient::paired(&ward, &folder).await.stop().await;
    fs::remove_file(folder.join("ticket.json")).unwrap();
    let acceptor = ward.tls.acceptor();
    let other = Ward::start_with(TlsIdentity::new(), acceptor).await;
    let (_, ended) = Patient::start(config(None), &folder, other.address).end().await;
    assert!(matches!(ended, Err(AgentError::NotTheGateway(_))), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_pairing_too_the_server_must_hold_its_key() {
    let tls = TlsIdentity::new();
    let acceptor = tls.acceptor_signing_with(&TlsIdentity::new().key);
    let thief = Ward::start_with(tls, acceptor).await;
    let (_parent, folder) = folder();
    let mut patient = Patient::start(config(Some(thief.code_for("P001"))), &folder, thief.address);
    patient.next("a wait", |event| matches!(event, AgentEvent::Waiting { .. }).then_some(())).await;
    assert_eq!(thief.heard.load(Ordering::SeqCst), 0);
    patient.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_explained_and_tried_again() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    Patient::paired(&ward, &folder).await.stop().await;
    for skew in [90_000, -90_000] {
        ward.skew(skew);
        let mut patient = Patient::start(config(None), &folder, ward.address);
        let said = patient.next_refusal().await;
        for part in
            ["differ by", "30 s are allowed", "This computer says 20", "the gateway 20", "timedatectl"]
        {
            assert!(said.contains(part), "{part} in {said}");
        }
        ward.skew(0);
        patient.next_session().await;
        patient.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_identity_and_code_it_says_how_to_pair() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let (_, ended) = Patient::start(config(None), &folder, ward.address).end().await;
    let error = ended.unwrap_err();
    assert_eq!(error.exit(), Exit::Configuration);
    assert!(error.to_string().contains("gateway pair --patient P001"), "{error}");
    assert!(!folder.exists(), "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_says_how_many_tries_are_left_and_a_person_is_asked_again() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let right = ward.code_for("P001");
    let mut wrong = right;
    wrong.password = ward.code_for("P002").password;

    let (_, ended) = Patient::start(config(Some(wrong)), &folder, ward.address).end().await;
    let error = ended.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.exit()),
        ("Wrong code; 2 tries are left.", Exit::Configuration)
    );

    let asking = AgentConfig { asks_for_code: true, ..config(None) };
    let mut patient = Patient::start(asking, &folder, ward.address);
    let wanted = |event: &AgentEvent| match event {
        AgentEvent::CodeWanted { why } => Some(why.clone()),
        _ => None,
    };
    assert_eq!(patient.next("a question", wanted).await, None);
    patient.tell(AgentCommand::Code(wrong)).await;
    assert_eq!(patient.next("a question", wanted).await.unwrap(), "Wrong code; 1 try is left.");
    patient.tell(AgentCommand::Code(right)).await;
    patient.until_in_group().await;
    patient.stop().await;

    let (_, ended) = Patient::start(config(Some(right)), &folder, ward.address).end().await;
    let said = ended.unwrap_err().to_string();
    for part in ["not open", "gateway pair --patient", "already paired as P001", "leave --pair out"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    Patient::start(config(None), &folder, ward.address).next_session().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_patient_or_doctor_than_asked_for_is_refused() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let other_patient =
        AgentConfig { id: Some("P009".parse().unwrap()), ..config(Some(ward.code_for("P001"))) };
    let (_, ended) = Patient::start(other_patient, &folder, ward.address).end().await;
    assert!(ended.unwrap_err().to_string().contains("another patient"));

    let other_doctor = |code| AgentConfig { doctor: "D002".parse().unwrap(), ..config(code) };
    let (_, ended) =
        Patient::start(other_doctor(Some(ward.code_for("P001"))), &folder, ward.address).end().await;
    let said = ended.unwrap_err().to_string();
    assert!(said.contains("belongs to D001, not to D002") && said.contains("Nothing was stored"), "{said}");
    assert!(!folder.join("identity.json").exists());

    Patient::paired(&ward, &folder).await.stop().await;
    let (_, ended) = Patient::start(other_doctor(None), &folder, ward.address).end().await;
    let error = ended.unwrap_err();
    assert!(matches!(error, AgentError::Another(_)));
    assert!(error.to_string().contains("paired with D001's gateway, not with D002's"), "{error}");
    let stored_as_another = AgentConfig { id: Some("P009".parse().unwrap()), ..config(None) };
    let (_, ended) = Patient::start(stored_as_another, &folder, ward.address).end().await;
    assert!(ended.unwrap_err().to_string().contains("belongs to P001, not to P009"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computer_that_is_no_longer_paired_is_told_so_and_tries_on() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    Patient::paired(&ward, &folder).await.stop().await;
    let bed = ward.act(|sim, now, rng| {
        let bed = sim.store.roster.get(&client("P001")).cloned().unwrap();
        sim.revoke(&client("P001"), now, rng);
        bed
    });
    let mut patient = Patient::start(config(None), &folder, ward.address);
    let said = patient.next_refusal().await;
    assert!(said.contains("gateway pair --patient P001") && said.contains("--pair CODE"), "{said}");
    ward.act(|sim, _, _| sim.store.roster.insert(client("P001"), bed));
    patient.next_session().await;
    patient.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_in_a_session_stops_and_is_told_how_to_come_back() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let patient = Patient::paired(&ward, &folder).await;
    ward.act(|sim, now, rng| sim.revoke(&client("P001"), now, rng));
    let (_, ended) = patient.end().await;
    let error = ended.unwrap_err();
    assert!(matches!(error, AgentError::Revoked(_)));
    assert_eq!(error.exit(), Exit::Configuration);
    assert!(error.to_string().contains("gateway pair --patient P001"), "{error}");
    assert!(!folder.join("ticket.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_on_one_folder_and_a_copied_folder_are_noticed() {
    let ward = Ward::start().await;
    let (parent, folder) = folder();
    let first = Patient::paired(&ward, &folder).await;
    let (_, ended) = Patient::start(config(None), &folder, ward.address).end().await;
    let error = ended.unwrap_err();
    assert_eq!(error.exit(), Exit::Unavailable, "{error}");

    let copy = parent.path().join("copy");
    drop(patient::store::Store::open(&copy).unwrap());
    fs::copy(folder.join("identity.json"), copy.join("identity.json")).unwrap();
    let mut second = Patient::start(config(None), &copy, ward.address);
    second.until_in_group().await;
    let (_, ended) = first.end().await;
    assert!(matches!(ended, Err(AgentError::Displaced(_))), "{ended:?}");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_stays_out_until_the_person_returns() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let mut patient = Patient::paired(&ward, &folder).await;
    patient.tell(AgentCommand::Leave).await;
    assert_eq!(patient.next_disconnect().await, ("ended by the patient".to_owned(), true));
    ward.until("gone", |sim| sim.in_session().is_empty() && sim.members().is_empty()).await;
    assert!(!folder.join("ticket.json").exists());
    let tried = ward.tried.load(Ordering::SeqCst);
    let missed = raise(&ward, "Fire");
    patient.tell(AgentCommand::Return).await;
    assert_eq!(patient.next_session().await, (false, true), "a full login");
    assert_eq!(ward.tried.load(Ordering::SeqCst), tried + 1, "no try in between");
    let alert = patient.next_alert().await;
    assert_eq!((alert.id, alert.epoch), (missed, None), "from the store");
    patient.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_called_off_is_marked_and_an_expired_one_is_not_shown() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let mut patient = Patient::paired(&ward, &folder).await;
    let fire = raise(&ward, "Fire");
    patient.next_alert().await;
    ward.act(|sim, now, rng| sim.raise("False alarm", None, Some(fire), now, rng));
    assert_eq!(patient.next_alert().await.cancels, Some(fire));
    patient.stop().await;
    let again = Patient::start(config(None), &folder, ward.address);
    let told = again.stop().await;
    let mut cancelled: Vec<_> = told
        .iter()
        .filter_map(|event| match event {
            AgentEvent::Identified { kept, .. } => {
                Some(kept.iter().map(|alert| (alert.cancels, alert.cancelled)))
            }
            _ => None,
        })
        .flatten()
        .collect();
    // Raised within one millisecond, they come in either order.
    cancelled.sort();
    assert_eq!(cancelled, [(None, true), (Some(fire), false)]);

    // The gateway's clock is nearly a day behind when it raises the alert, so it is about to expire when it comes.
    let mut patient = Patient::start(config(None), &folder, ward.address);
    patient.until_in_group().await;
    ward.skew(-25 * 3_600_000);
    raise(&ward, "Long ago");
    let refused = |event: &AgentEvent| match event {
        AgentEvent::AlertRefused { reason } => Some(reason.clone()),
        _ => None,
    };
    let said = patient.next("a refused alert", refused).await;
    assert!(said.contains("expired"), "{said}");
    patient.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_automatic_acknowledgement_follows_every_alert() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let acknowledging = AgentConfig { acknowledges: true, ..config(Some(ward.code_for("P001"))) };
    let mut patient = Patient::start(acknowledging, &folder, ward.address);
    patient.until_in_group().await;
    let ids: Vec<_> = (0..10).map(|n| raise(&ward, &format!("Alert {n}"))).collect();
    ward.until("all acknowledged", |sim| ids.iter().all(|id| stage(sim, *id) == Some(Stage::Acknowledged)))
        .await;
    patient.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_sent_away_by_the_doctor_stays_out_and_a_shutdown_is_waited_out() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    Patient::paired(&ward, &folder).await.stop().await;
    let reasons = &[Farewell::Shutdown, Farewell::Spent, Farewell::EndedByDoctor, Farewell::Displaced];
    let mut patient = Patient::start(config(None), &folder, ending(&ward, reasons).await);
    for reason in ["the other side shuts down", "the session has lived its time"] {
        assert_eq!(patient.next_disconnect().await, (reason.to_owned(), false));
    }
    assert_eq!(patient.next_disconnect().await, ("ended by the doctor".to_owned(), true));
    let sessions =
        |told: &[AgentEvent]| told.iter().filter(|event| matches!(event, AgentEvent::Session { .. })).count();
    assert_eq!(sessions(&patient.told), 3);
    patient.tell(AgentCommand::Return).await;
    let (told, ended) = patient.end().await;
    assert_eq!(sessions(&told), 4, "only after the person asked");
    assert!(matches!(ended, Err(AgentError::Displaced(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_waits_for_a_gateway_that_is_not_there_yet() {
    let ward = Ward::start().await;
    let (_parent, folder) = folder();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut patient = Patient::start(config(Some(ward.code_for("P001"))), &folder, closed);
    let waiting = |event: &AgentEvent| match event {
        AgentEvent::Waiting { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    assert!(patient.next("a wait", waiting).await.contains("No connection to"));
    patient.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_computer_needs_the_clinics_word_and_then_takes_the_place() {
    let ward = Ward::start().await;
    let ((_parent, folder), (_other, new_folder)) = (folder(), folder());
    let old = Patient::paired(&ward, &folder).await;
    let named = |code| AgentConfig { id: Some("P001".parse().unwrap()), ..config(Some(code)) };
    let (_, ended) = Patient::start(named(ward.code_for("P001")), &new_folder, ward.address).end().await;
    let said = ended.unwrap_err().to_string();
    assert!(said.starts_with("P001 is paired with another computer (since 20"), "{said}");
    assert!(said.ends_with("gateway pair --patient P001 --replace"), "{said}");

    let replacing = ward.act(|sim, now, rng| sim.offer(client("P001"), true, now, rng));
    let mut new = Patient::start(named(replacing), &new_folder, ward.address);
    new.until_in_group().await;
    assert!(matches!(old.end().await.1, Err(AgentError::Revoked(_))));

    // The same computer may pair anew, too.
    new.stop().await;
    let again = ward.act(|sim, now, rng| sim.offer(client("P001"), true, now, rng));
    let mut new = Patient::start(config(Some(again)), &new_folder, ward.address);
    assert_eq!(new.next_session().await, (false, true));
    new.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_post_quantum_key_exchange_is_used_and_shown_as_not_protected() {
    let tls = TlsIdentity::new();
    let acceptor = tls.acceptor_with(&tls.key, &[rustls::crypto::aws_lc_rs::kx_group::X25519]);
    let ward = Ward::start_with(tls, acceptor).await;
    let (_parent, folder) = folder();
    let mut patient = Patient::start(config(Some(ward.code_for("P001"))), &folder, ward.address);
    assert_eq!(patient.next_session().await, (false, false));
    patient.stop().await;
}
