//! Many patients: everybody who is there receives every broadcast.

use std::{collections::BTreeMap, time::Duration};

use gateway::{
    control::{Request, client::Client},
    ward::view::{AlertReport, OfferView},
};
use patient::{
    agent::{Agent, AgentConfig, AgentEvent},
    link::LinkSettings,
    store::Place,
};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use crate::support::{Ward, program::PATIENCE};

/// Raises many alerts without waiting for receipts, as fast as the gateway takes them.
pub(crate) fn raise_alerts(ward: &Ward, alerts: Vec<(String, Option<String>)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = Client::connect(&ward.folder()).await.unwrap();
        for (text, to) in alerts {
            let to = to.map(|to| vec![to]);
            let request = Request::Alert { text, to, wait_ms: 0, expires_ms: 86_400_000, cancels: None };
            let _report: AlertReport = timeout(PATIENCE, client.request(&request)).await.unwrap().unwrap();
        }
    });
}

#[test]
fn ten_patients_receive_every_broadcast() {
    let ward = Ward::open();
    let patients: Vec<_> = (0..10).map(|n| ward.pair(&format!("P{n:03}"), &["--acknowledge"])).collect();
    for text in ["One", "Two", "Three"] {
        let (exit, report) = ward.alert(&[text]);
        assert_eq!(
            (exit, &report["recipients"], &report["decrypted"]),
            (0, &json!(10), &json!(10)),
            "{report:#}"
        );
    }
    for patient in &patients {
        for text in ["One", "Two", "Three"] {
            let alert = patient.wait(&json!({"event": "alert", "text": text}));
            patient.wait(&json!({"event": "acknowledged", "alert": alert["alert"]}));
        }
        assert_eq!(patient.all(&json!({"event": "alert"})).len(), 3);
    }
    let ids = |alert: &serde_json::Value| alert["acknowledged"].as_u64();
    ward.gateway().wait_until("30 acknowledgements", |lines| {
        let all = lines.iter().filter(|line| line["event"] == "receipt" && line["stage"] == "acknowledged");
        (all.count() == 30).then_some(())
    });
    assert!(ward.ask(&["alerts"]).as_array().unwrap().iter().all(|alert| ids(alert) == Some(10)));
}

/// What an agent told the test: its number, and the text of an alert, or that it can open broadcasts.
type Told = (usize, Option<String>);

#[test]
fn a_hundred_patients_receive_every_broadcast() {
    const COUNT: usize = 100;
    let ward = Ward::open();
    let homes = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (tell, mut told) = mpsc::channel::<Told>(1_024);
    // Agents in this process: the programs around them are in the other stories.
    let commands = runtime.block_on(async {
        let mut control = Client::connect(&ward.folder()).await.unwrap();
        let mut commands = Vec::new();
        for number in 0..COUNT {
            let request = Request::Pair {
                kind: "patient".into(),
                patient: format!("P{number:03}"),
                replace: false,
                code: None,
                network: None,
            };
            let offer: OfferView = control.request(&request).await.unwrap();
            let config = AgentConfig {
                id: None,
                doctor: "D001".parse().unwrap(),
                code: Some(offer.code.parse().unwrap()),
                asks_for_code: false,
                acknowledges: false,
            };
            let place = Place::Folder(homes.path().join(&offer.patient));
            let (mut handle, _task) = Agent::start(config, place, LinkSettings::to(ward.patients.clone()));
            commands.push(handle.commands);
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut in_group = false;
                while let Some(event) = handle.events.recv().await {
                    let news = match event {
                        AgentEvent::Group(_) if !in_group => {
                            in_group = true;
                            None
                        }
                        AgentEvent::Alert(alert) => Some(alert.text),
                        AgentEvent::Stopped { message } => panic!("P{number:03} stopped: {message}"),
                        _ => continue,
                    };
                    tell.send((number, news)).await.unwrap();
                }
            });
        }
        commands
    });
    let mut next = || runtime.block_on(async { timeout(2 * PATIENCE, told.recv()).await }).ok().flatten();
    let mut members = 0;
    while members < COUNT {
        let (_, news) = next().unwrap_or_else(|| panic!("only {members} of {COUNT} logged in"));
        assert_eq!(news, None, "nothing was sent yet");
        members += 1;
    }
    for text in ["First", "Second", "Third"] {
        let (exit, report) = ward.alert(&[text, "--wait", "30s"]);
        assert_eq!((exit, &report["recipients"], &report["decrypted"]), (0, &json!(COUNT), &json!(COUNT)));
        assert_eq!(report["missing"], json!([]));
    }
    let mut alerts: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for _ in 0..3 * COUNT {
        let (number, text) = next().expect("every alert is shown");
        alerts.entry(number).or_default().extend(text);
    }
    assert_eq!(alerts.len(), COUNT);
    assert!(alerts.values().all(|texts| texts == &["First", "Second", "Third"]), "{alerts:?}");
    drop(commands);
    runtime.shutdown_timeout(Duration::from_secs(2));
}
