//! State and keys without a terminal.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use protocol::{
    reading::Reason,
    time::{Monotonic, Now},
};

use super::{
    bed::{Bed, Monitoring, Presence, Reading},
    fixtures::{
        START, after, key, keys, no_reading, offer, patient, polled, quantity, report, sample, state, told,
        vitals, ward, wearable,
    },
    input::{self, Act},
    link::{Answer, Ask, Polled},
    log,
    modal::{Modal, Question},
    state::{Role, State, Tone},
};
use crate::ward::{
    event::{NO_BEAT, QuantityView, SampleView, WardEvent, rfc3339},
    view::{AlertReport, PatientView, RefusalView, WearableView},
};

fn notice(state: &State) -> &str {
    state.notice.as_ref().map_or("", |notice| &notice.text)
}

fn bed(state: &State, now: Now) -> Bed<'_> {
    Bed::of(state.patients.first().unwrap(), state, now)
}

fn shown(state: &State, now: Now) -> [Option<String>; 4] {
    bed(state, now).readings.map(|reading| reading.value)
}

#[test]
fn numbers_are_shown_until_their_age_limit_and_not_longer() {
    let state = ward();
    let all = ["72", "98", "14", "36.8"].map(|value| Some(value.to_owned()));
    assert_eq!(shown(&state, after(12)), all);
    assert_eq!(shown(&state, after(13)), [None, None, None, None]);
    assert_eq!(bed(&state, after(13)).monitoring, Monitoring::Lost(Some(Duration::from_secs(13))));
}

#[test]
fn the_gateways_word_that_a_number_is_old_ends_it_at_once() {
    let mut state = ward();
    let said = PatientView {
        last_vitals: Some(sample(1, START)),
        vitals_age_ms: Some(13_000),
        vitals_current: false,
        ..patient("P001")
    };
    state.hear(Answer::Polled(Box::new(polled(vec![said], vec![wearable("P001")]))), after(1));
    assert_eq!(shown(&state, after(1)), [None, None, None, None]);
    state.see(&vitals("P001", sample(2, after(2))), after(2));
    assert!(matches!(bed(&state, after(2)).monitoring, Monitoring::Live(age) if age.is_zero()));
}

#[test]
fn samples_that_come_late_are_not_taken_for_new_ones() {
    let mut state = ward();
    let old = SampleView { received: rfc3339(after(300).wall), ..sample(2, START) };
    state.see(&vitals("P001", old), after(300));
    assert_eq!(bed(&state, after(300)).monitoring, Monitoring::Lost(Some(Duration::from_secs(300))));
}

#[test]
fn a_sample_without_a_time_is_never_shown_as_current() {
    let mut state = state(Role::Owner, polled(vec![patient("P001")], vec![wearable("P001")]));
    state.see(&vitals("P001", SampleView { time: None, ..sample(1, START) }), START);
    assert_eq!(shown(&state, START), [None, None, None, None]);
}

#[test]
fn an_age_that_was_told_counts_on_from_there() {
    let said = PatientView {
        last_vitals: Some(sample(1, START)),
        vitals_age_ms: Some(200_000),
        vitals_current: true,
        ..patient("P001")
    };
    let slow = WearableView { status: Some(told(300_000)), ..wearable("P001") };
    // A console that has just been opened: its own clock began after the sample came.
    let opened = Now { mono: Monotonic(0), ..START };
    let mut state = State::new(Role::Attached, opened);
    state.hear(Answer::Polled(Box::new(polled(vec![said], vec![slow]))), opened);
    let later = Now { mono: Monotonic(400_000), ..START };
    assert_eq!(bed(&state, later).monitoring, Monitoring::Live(Duration::from_secs(600)));
    let too_late = Now { mono: Monotonic(411_000), ..START };
    assert!(bed(&state, too_late).is_unwatched());
}

#[test]
fn numbers_of_several_devices_stand_side_by_side() {
    let mut state = ward();
    let mut other = sample(9, after(2));
    other.device = "uuid-2".into();
    other.quantities = vec![quantity("pulse rate", "70", "/min"), quantity("SpO2", "91", "%")];
    state.see(&vitals("P001", other), after(2));
    let bed = bed(&state, after(3));
    assert_eq!(bed.readings.each_ref().map(|r| r.value.as_deref().unwrap()), ["72", "91", "14", "36.8"]);
    assert_eq!(bed.others, ["pulse rate 70 /min"]);
    assert_eq!(bed.monitoring, Monitoring::Live(Duration::from_secs(3)), "the age of the oldest shown");
}

#[test]
fn a_value_that_was_lost_is_replaced_at_once_and_never_by_the_last_one() {
    let mut state = ward();
    assert_eq!(shown(&state, START)[1].as_deref(), Some("98"));
    let mut newer = sample(2, after(1));
    newer.quantities[1] = no_reading("SpO2", Reason::FINGER_OFF);
    state.see(&vitals("P001", newer), after(1));
    assert_eq!(shown(&state, after(1))[1], None);
    assert_eq!(bed(&state, after(1)).readings[1].why_not.as_deref(), Some("finger off"));
    assert_eq!(bed(&state, after(20)).readings[1].why_not, None, "a reason grows old as a value does");
    // A value of another device is not that device's last value.
    let mut other = sample(9, after(1));
    other.device = "uuid-2".into();
    other.quantities = vec![quantity("SpO2", "91", "%")];
    state.see(&vitals("P001", other), after(1));
    assert_eq!(shown(&state, after(2))[1].as_deref(), Some("91"));
}

#[test]
fn the_pulse_stands_in_for_a_heart_rate_but_not_for_a_heart_that_does_not_beat() {
    let heart = |heart: Option<Reason>, pulse: QuantityView| {
        let mut state = ward();
        let mut newer = sample(2, START);
        newer.quantities = heart.map(|reason| no_reading("heart rate", reason)).into_iter().collect();
        newer.quantities.push(pulse);
        state.see(&vitals("P001", newer), START);
        let bed = bed(&state, START);
        let [Reading { label, value, why_not, .. }, ..] = bed.readings;
        (label, value.or(why_not).unwrap(), bed.others.join(", "))
    };
    let pulse = || quantity("pulse rate", "70", "/min");
    let no_pulse = || no_reading("pulse rate", Reason::FINGER_OFF);
    let said = |label, shown: &str, others: &str| (label, shown.to_owned(), others.to_owned());
    assert_eq!(heart(None, pulse()), said("PR", "70", ""));
    assert_eq!(heart(Some(Reason::LEAD_OFF), pulse()), said("PR", "70", "heart rate -- lead off"));
    assert_eq!(heart(Some(Reason::NO_BEAT), pulse()), said("HR", NO_BEAT, "pulse rate 70 /min"));
    assert_eq!(heart(Some(Reason::LEAD_OFF), no_pulse()), said("HR", "lead off", "pulse rate -- finger off"));
    assert_eq!(
        heart(Some(Reason::NO_SIGNAL), no_pulse()),
        said("PR", "finger off", "heart rate -- no signal")
    );
}

#[test]
fn who_left_on_purpose_raises_no_silence_alarm() {
    let away = PatientView { connected: false, away: true, ..patient("P001") };
    let silent = WearableView { connected: false, ..wearable("P001") };
    let away = state(Role::Owner, polled(vec![away], vec![silent.clone()]));
    assert_eq!(bed(&away, START).presence, Presence::Away);
    assert!(!bed(&away, START).is_unwatched());
    let lost = PatientView { connected: false, ..patient("P001") };
    let lost = state(Role::Owner, polled(vec![lost], vec![silent]));
    assert_eq!(bed(&lost, START).presence, Presence::Lost);
    assert!(bed(&lost, START).is_unwatched());
    let never = PatientView { connected: false, since: None, ..patient("P001") };
    let never = state(Role::Owner, polled(vec![never], Vec::new()));
    assert_eq!(bed(&never, START).presence, Presence::Never);
    assert_eq!(bed(&never, START).monitoring, Monitoring::NoWearable);
}

#[test]
fn events_are_logged_as_sentences_with_names() {
    let mut state = ward();
    let lost = WardEvent::Disconnected {
        kind: "wearable".into(),
        client: "uuid-1".into(),
        patient: "P001".into(),
        reason: "link lost".into(),
    };
    let gap = WardEvent::Gap { patient: "P001".into(), device: "uuid-1".into(), first: 3, last: 9 };
    let refused = WardEvent::Refused {
        source: "10.0.0.9:1".into(),
        client: Some("P009".into()),
        reason: "unknown".into(),
    };
    for event in [&lost, &gap, &refused, &vitals("P001", sample(2, START))] {
        state.see(event, START);
    }
    let said: Vec<String> = state.log.iter().map(|entry| entry.said(&state)).collect();
    assert_eq!(
        said,
        [
            "P001's wearable W001 disconnected: link lost",
            "P001: samples 3 to 9 of W001 never came",
            "refused 10.0.0.9:1 as P009: unknown",
        ]
    );
    assert!(!state.see(&vitals("P001", sample(3, START)), START), "vitals ask for no lists");
    assert!(state.see(&gap, START));
}

#[test]
fn an_alert_runs_until_everybody_has_read_it_or_it_is_called_off() {
    let mut state = ward();
    state.alerts = vec![report(3, &["P007"])];
    let said = log::progress(state.running(START.wall).next().unwrap(), START.wall);
    let start = super::when::clock(START.wall);
    assert_eq!(
        said,
        format!("2 of 3 decrypted, 1 acknowledged; missing: P007 (not connected since {start})")
    );
    assert_eq!(state.running(after(86_400).wall).count(), 0, "expired");
    state.alerts = vec![report(1, &[])];
    assert_eq!(state.running(START.wall).count(), 0, "read by all");
    state.alerts = vec![AlertReport { cancelled_by: Some("alert-2".into()), ..report(3, &["P007"]) }];
    assert_eq!(state.running(START.wall).count(), 0, "called off");
}

#[test]
fn every_other_key_is_an_invalid_choice() {
    for code in [KeyCode::Char('x'), KeyCode::Char('5'), KeyCode::Char('j'), KeyCode::Enter, KeyCode::F(1)] {
        let mut state = ward();
        assert_eq!(key(&mut state, code), Act::Nothing);
        assert_eq!(notice(&state), "Invalid choice: press 1, 2, 3, 4, n, r or a", "{code:?}");
        assert!(state.modal.is_none());
    }
}

#[test]
fn the_menu_opens_what_it_says() {
    let opened = |code: char| {
        let mut state = ward();
        let act = key(&mut state, KeyCode::Char(code));
        (state, act)
    };
    assert!(matches!(opened('1').0.modal, Some(Modal::Connected { .. })));
    assert!(matches!(opened('2').0.modal, Some(Modal::Compose { .. })));
    assert!(matches!(opened('3').0.modal, Some(Modal::Ask(Question::DisconnectAll))));
    assert!(matches!(opened('4').0.modal, Some(Modal::Ask(Question::Stop))));
    assert!(matches!(opened('q').0.modal, Some(Modal::Ask(Question::Stop))));
    assert!(matches!(opened('n').0.modal, Some(Modal::InviteWhat)));
    assert!(matches!(opened('a').0.modal, Some(Modal::Alerts { .. })));
    let (state, act) = opened('r');
    assert!(matches!(state.modal, Some(Modal::Refusals { .. })));
    assert_eq!(act, Act::Ask(Ask::Poll { refusals: true }));
}

#[test]
fn from_one_list_a_key_leads_to_the_next() {
    let mut state = ward();
    keys(&mut state, "1a");
    assert!(matches!(state.modal, Some(Modal::Alerts { .. })));
    key(&mut state, KeyCode::Char('x'));
    assert!(matches!(state.modal, Some(Modal::Alerts { .. })) && notice(&state).starts_with("Invalid"));
    key(&mut state, KeyCode::Esc);
    assert!(state.modal.is_none());
}

#[test]
fn only_the_owner_of_the_gateway_is_asked_before_it_stops() {
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    let mut owner = ward();
    assert_eq!(input::press(&mut owner, control_c, START), Act::Nothing);
    assert_eq!(input::wording(&Question::Stop, &owner).0, "Stop monitoring 1 patient? y/N");
    assert_eq!(key(&mut owner, KeyCode::Enter), Act::Nothing);
    assert_eq!(notice(&owner), "Monitoring goes on.");
    assert_eq!(keys(&mut owner, "4y"), Act::Close);
    let mut attached = state(Role::Attached, polled(vec![patient("P001")], Vec::new()));
    for code in [KeyCode::Char('4'), KeyCode::Char('q'), KeyCode::Esc] {
        assert_eq!(key(&mut attached, code), Act::Close);
    }
    assert_eq!(input::press(&mut attached, control_c, START), Act::Close);
}

#[test]
fn a_broadcast_is_typed_asked_about_and_then_sent() {
    let mut state = ward();
    assert_eq!(keys(&mut state, "2 \n"), Act::Nothing, "no text, no alert");
    assert_eq!(keys(&mut state, "4 eyes, no q\n"), Act::Nothing, "keys of the menu are text here");
    let Some(Modal::Ask(question)) = &state.modal else { panic!("a question") };
    assert_eq!(input::wording(question, &state).0, "Send to 1 patient? y/N");
    assert_eq!(keys(&mut state, "n"), Act::Nothing);
    assert!(matches!(&state.modal, Some(Modal::Compose { field }) if field.text() == "4 eyes, no q"));
    let sent = Act::Ask(Ask::Alert { text: "4 eyes, no q".into(), cancels: None });
    assert_eq!(keys(&mut state, "\ny"), sent);
    state.hear(Answer::Raised(Box::new(report(1, &[]))), START);
    assert!(matches!(&state.modal, Some(Modal::Receipts { alert, .. }) if alert == "alert-1"));
    assert_eq!(state.alerts.len(), 1);
}

#[test]
fn pasted_text_presses_no_keys() {
    let mut state = ward();
    input::paste(&mut state, "2 y", START);
    assert!(state.modal.is_none());
    keys(&mut state, "2");
    input::paste(&mut state, "Fire\ny\n", START);
    assert!(matches!(&state.modal, Some(Modal::Compose { field }) if field.text() == "Fire y"));
}

#[test]
fn without_patients_nothing_is_broadcast_or_disconnected() {
    let mut empty = state(Role::Owner, polled(Vec::new(), Vec::new()));
    keys(&mut empty, "2");
    assert_eq!(notice(&empty), "No patient is paired yet: press n to pair the first one.");
    keys(&mut empty, "3");
    assert_eq!(notice(&empty), "No patient is connected.");
    assert!(empty.modal.is_none());
}

#[test]
fn disconnecting_all_needs_a_yes() {
    let mut state = ward();
    assert_eq!(keys(&mut state, "3n"), Act::Nothing);
    assert_eq!(keys(&mut state, "3y"), Act::Ask(Ask::DisconnectAll));
    state.hear(Answer::Disconnected(1), START);
    assert!(notice(&state).starts_with("1 session ended"));
}

#[test]
fn an_alert_is_called_off_once() {
    let mut state = ward();
    state.alerts = vec![report(3, &["P007"])];
    let act = keys(&mut state, "acy");
    let Act::Ask(Ask::Alert { cancels, .. }) = act else { panic!("an alert") };
    assert_eq!(cancels.as_deref(), Some("alert-1"));
    state.alerts = vec![AlertReport { cancelled_by: Some("alert-2".into()), ..report(3, &["P007"]) }];
    assert_eq!(keys(&mut state, "acy"), Act::Nothing);
    state.modal = None;
    keys(&mut state, "ac");
    assert_eq!(notice(&state), "It was called off already.");
}

#[test]
fn a_new_patient_gets_a_code_until_it_is_paired() {
    let mut state = ward();
    keys(&mut state, "np\n");
    assert!(notice(&state).starts_with("That is no patient's id"), "{}", notice(&state));
    let pair = |patient: &str, replace| {
        Act::Ask(Ask::Pair { kind: "patient", patient: patient.into(), replace, code: None })
    };
    assert_eq!(keys(&mut state, "P002\n"), pair("P002", false));
    state.modal = None;
    assert_eq!(keys(&mut state, "npP001\n"), Act::Nothing, "it has a computer: asks first");
    assert_eq!(keys(&mut state, "y"), pair("P001", true));
    state.hear(Answer::Offered { offer: offer("patient"), shown_here: true }, START);
    let enrolled = |patient: &str| WardEvent::Pairing {
        step: "enrolled".into(),
        kind: "patient".into(),
        patient: patient.into(),
    };
    state.see(&enrolled("P005"), START);
    assert!(matches!(state.modal, Some(Modal::Offered(_))), "another one");
    state.see(&enrolled("P001"), START);
    assert!(state.modal.is_none());
    assert_eq!(notice(&state), "P001 is paired.");
}

#[test]
fn a_code_closes_when_it_expires_or_is_taken_back() {
    let mut state = ward();
    let offered = || Answer::Offered { offer: offer("patient"), shown_here: true };
    state.hear(offered(), START);
    state.tick(after(599));
    assert!(state.modal.is_some());
    state.tick(after(600));
    assert!(state.modal.is_none() && notice(&state).contains("has expired"));
    state.hear(offered(), START);
    assert_eq!(key(&mut state, KeyCode::Esc), Act::Ask(Ask::CancelOffer { code: "FYE-VGV-MVB".into() }));
}

#[test]
fn a_wearables_code_is_shown_by_either_side() {
    let pair = |code: Option<&str>| Ask::Pair {
        kind: "wearable",
        patient: "P001".into(),
        replace: false,
        code: code.map(str::to_owned),
    };
    let mut state = ward();
    assert_eq!(keys(&mut state, "nw\ng"), Act::Ask(pair(None)), "the only patient is filled in");
    assert_eq!(keys(&mut state, "nw\ndfye-vgvm\n"), Act::Nothing);
    assert!(notice(&state).contains("nine letters and digits"), "{}", notice(&state));
    assert_eq!(keys(&mut state, "vb\n"), Act::Ask(pair(Some("FYE-VGV-MVB"))));
}

#[test]
fn refusals_of_the_gateway_are_shown_as_they_are() {
    let mut state = ward();
    let said = format!("P001 is paired since {}.", rfc3339(START.wall));
    state.hear(Answer::Refused(said), START);
    assert_eq!(notice(&state), format!("P001 is paired since {}.", super::when::clock(START.wall)));
    assert_eq!(state.notice.as_ref().unwrap().tone, Tone::Warning);
    state.tick(after(3_600));
    assert!(state.notice.is_some(), "until a key is pressed");
    let refusal = RefusalView {
        time: rfc3339(START.wall),
        source: "10.0.0.9:1".into(),
        client: String::new(),
        reason: "unknown".into(),
    };
    let polled = Polled { refusals: Some(vec![refusal]), ..polled(Vec::new(), Vec::new()) };
    state.hear(Answer::Polled(Box::new(polled)), START);
    assert_eq!(state.refusals.len(), 1);
}

#[test]
fn a_gateway_that_goes_away_or_does_not_answer_is_noticed() {
    let mut attached = state(Role::Attached, polled(vec![patient("P001")], Vec::new()));
    assert_eq!(attached.silence(after(5).mono), None);
    assert_eq!(attached.silence(after(6).mono), Some(Duration::from_secs(6)));
    attached.see(&WardEvent::Stopping {}, START);
    assert!(attached.is_gone);
    assert_eq!(key(&mut attached, KeyCode::Char('x')), Act::Close);
}
