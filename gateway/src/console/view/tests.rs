//! Screens as text: what must be readable on them, whatever their size.

use protocol::reading::Reason;
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, style::Color};

use super::*;
use crate::{
    console::{
        fixtures::{
            START, after, key, keys, no_reading, offer, patient, polled, report, sample, state, vitals, ward,
            wearable,
        },
        link::Answer,
        modal::Question,
    },
    ward::{
        event::{ReadingView, SampleView},
        view::{PatientView, WearableView},
    },
};

fn buffer(state: &State, (width, height): (u16, u16), palette: Palette, now: Now) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| _ = draw(frame, state, palette, now)).unwrap();
    terminal.backend().buffer().clone()
}

fn drawn(state: &State, size: (u16, u16), now: Now) -> String {
    let buffer = buffer(state, size, Palette::Plain, now);
    let rows = buffer.content().chunks(usize::from(size.0));
    rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>() + "\n").collect()
}

fn has_red(state: &State, now: Now) -> bool {
    let buffer = buffer(state, (100, 30), Palette::Colours, now);
    buffer.content().iter().any(|cell| cell.fg == Color::Red || cell.bg == Color::Red)
}

fn assert_shows(screen: &str, parts: &[&str]) {
    for part in parts {
        assert!(screen.contains(part), "{part:?} in\n{screen}");
    }
}

const SIZES: [(u16, u16); 4] = [(60, 15), (80, 24), (100, 30), (200, 60)];

#[test]
fn a_tile_says_who_how_and_how_old() {
    let screen = drawn(&ward(), (60, 15), after(1));
    assert_shows(
        &screen,
        &["P001", "* connected", "HR 72 /min", "SpO2 98 %", "RESP 14 /min", "TEMP 36.8 °C"],
    );
    assert_shows(&screen, &["1.0 s ago", "quality 97 %", "W001 connected", "battery 87 %"]);
    let large = drawn(&ward(), (100, 30), after(1));
    assert_shows(&large, &["▀▀█ ▀▀█", "█▀█ █▀█", "▀▀█ █▀▀   █▀█", "patients 1 of 1", "storage ok"]);
    assert!(!has_red(&ward(), after(1)), "red is for what is severe");
}

#[test]
fn a_number_past_its_limit_is_not_shown_any_more() {
    for size in SIZES {
        let screen = drawn(&ward(), size, after(20));
        assert_shows(&screen, &["!!! NO VITALS for 20 s", " !!! 1 without vitals "]);
        assert!(
            !screen.contains("72 /min") && !screen.contains("36.8") && !screen.contains("98 %"),
            "{screen}"
        );
        assert!(screen.contains("--") || screen.contains("▀▀▀ ▀▀▀"), "{screen}");
    }
    assert!(has_red(&ward(), after(20)));
}

#[test]
fn simulated_numbers_are_marked_at_every_size_and_also_when_they_stop() {
    let mut simulated = ward();
    simulated.see(&vitals("P001", SampleView { simulated: true, ..sample(2, START) }), START);
    for size in SIZES {
        for now in [START, after(60)] {
            let screen = drawn(&simulated, size, now);
            assert!(screen.contains("SIMULATED") || screen.contains("S I M U L A T E D"), "{screen}");
            assert!(!drawn(&ward(), size, now).contains('U'), "only then");
        }
    }
    let mut many = crowd(150);
    many.see(&vitals("P000", SampleView { simulated: true, ..sample(2, START) }), START);
    assert_shows(&drawn(&many, (60, 15), START), &["SIMULATED"]);
}

#[test]
fn an_implausible_number_is_flagged() {
    let mut doubtful = ward();
    let mut flagged = sample(2, START);
    let ReadingView::Measured(measured) = &mut flagged.quantities[0].reading else { unreachable!() };
    (measured.value, measured.plausible) = (290.0, false);
    doubtful.see(&vitals("P001", flagged), START);
    assert_shows(&drawn(&doubtful, (60, 15), START), &["290? impl"]);
    assert_shows(&drawn(&doubtful, (100, 30), START), &["HR implausible"]);
}

#[test]
fn a_missing_number_says_why_at_every_size() {
    let mut missing = ward();
    let mut newer = sample(2, after(1));
    newer.quantities[0] = no_reading("heart rate", Reason::NO_BEAT);
    newer.quantities[1] = no_reading("SpO2", Reason::FINGER_OFF);
    missing.see(&vitals("P001", newer.clone()), after(1));
    let large = drawn(&missing, (100, 30), after(1));
    assert_shows(&large, &["▀▀▀ ▀▀▀", "NO BEAT 4 s", "finger off"]);
    let lines = drawn(&missing, (60, 15), after(1));
    assert_shows(&lines, &["HR -- NO BEAT 4 s", "SpO2 -- finger off", "TEMP 36.8 °C"]);
    assert!(!large.contains("98") && !lines.contains("98 %") && !lines.contains("72"), "{lines}");
    let mut many = crowd(150);
    many.see(&vitals("P000", newer), after(1));
    assert_shows(&drawn(&many, (60, 15), after(1)), &["HR -- SpO2 -- RR 14", "HR NO BEAT 4 s"]);
}

#[test]
fn the_running_alert_names_who_is_missing() {
    let mut running = ward();
    running.alerts = vec![report(3, &["P007"])];
    for size in SIZES {
        let screen = drawn(&running, size, after(5));
        assert_shows(&screen, &["!!! ALERT \"Leave the building", "2 of 3 decrypted", "P007"]);
    }
    assert_shows(&drawn(&running, (100, 30), after(5)), &["5.0 s ago", "missing: P007 (not connected since"]);
    assert!(has_red(&running, after(5)));
    running.alerts = vec![report(3, &[])];
    let screen = drawn(&running, (100, 30), after(5));
    assert_shows(&screen, &["3 of 3 decrypted, 1 acknowledged"]);
    assert!(!screen.contains("missing") && !has_red(&running, after(5)));
}

#[test]
fn storage_that_does_not_work_is_loud() {
    let mut full = ward();
    full.see(&crate::ward::event::WardEvent::Storage { health: "full".into() }, START);
    for size in SIZES {
        let screen = drawn(&full, size, START);
        assert_shows(&screen, &["!!! STORAGE IS FULL: nothing new is stored"]);
    }
    assert!(has_red(&full, START));
    assert_shows(&drawn(&full, (20, 5), START), &["STORAGE IS FULL"]);
}

#[test]
fn a_silent_or_troubled_gateway_is_said() {
    let mut silent = ward();
    assert_shows(&drawn(&silent, (100, 30), after(9)), &["THE GATEWAY HAS NOT ANSWERED FOR 9.0 s"]);
    silent.hear(Answer::NotPolled("not done: disk".into()), after(9));
    assert_shows(&drawn(&silent, (100, 30), after(9)), &["the lists below are old: not done: disk"]);
    silent.is_gone = true;
    assert_shows(&drawn(&silent, (100, 30), after(9)), &["the gateway went away", "Press any key"]);
}

#[test]
fn the_ways_of_not_being_there_have_words() {
    let absent = PatientView { connected: false, ..patient("P001") };
    let away = PatientView { away: true, id: "P002".into(), ..absent.clone() };
    let never = PatientView { since: None, id: "P003".into(), ..absent.clone() };
    let unworn = WearableView { connected: false, ..wearable("P001") };
    let state = state(Role::Owner, polled(vec![absent, away, never], vec![unworn]));
    assert_shows(
        &drawn(&state, (100, 30), START),
        &[
            "! not connected since",
            "- away, on purpose",
            "o never connected",
            "no wearable paired",
            "W001 not connected since",
        ],
    );
}

fn crowd(count: usize) -> State {
    let patients = (0..count).map(|n| patient(&format!("P{n:03}"))).collect();
    let mut crowd = state(Role::Owner, polled(patients, vec![wearable("P149")]));
    crowd.see(&vitals("P149", sample(1, START)), START);
    crowd
}

#[test]
fn a_large_ward_can_be_scrolled_and_hides_no_loss() {
    let mut crowd = crowd(150);
    let first = drawn(&crowd, (200, 50), START);
    assert_shows(&first, &[" P000 ", "beds 1 to 54 of 150"]);
    let lost = drawn(&crowd, (200, 50), after(30));
    assert_shows(&lost, &["!!! not on screen, without vitals: P149"]);
    key(&mut crowd, crossterm::event::KeyCode::End);
    assert_shows(&drawn(&crowd, (200, 50), START), &[" P149 ", "of 150"]);
    crowd.clamp(3);
    assert_eq!(crowd.scroll, 3);
}

#[test]
fn beds_are_as_large_as_lets_all_be_seen() {
    let tile_height = |count, size| {
        let screen = drawn(&crowd(count), size, START);
        screen.lines().skip(1).take_while(|line| !line.starts_with('└')).count() + 1
    };
    assert_eq!(tile_height(3, (100, 30)), 15);
    assert_eq!(tile_height(5, (100, 34)), 11);
    assert_eq!(tile_height(6, (100, 30)), 7);
    assert_eq!(tile_height(12, (100, 30)), 4);
}

#[test]
fn the_code_is_large_with_the_line_to_type_and_the_time_left() {
    let mut pairing = ward();
    pairing.hear(Answer::Offered { offer: offer("patient"), shown_here: true }, START);
    let open = crate::console::link::Polled {
        offers: vec![offer("patient")],
        ..polled(vec![patient("P001")], Vec::new())
    };
    pairing.hear(Answer::Polled(Box::new(open)), START);
    let screen = drawn(&pairing, (100, 30), after(61));
    assert_shows(
        &screen,
        &[
            "█▀▀▀▀ █   █ █▀▀▀▀",
            "FYE-VGV-MVB",
            "patient --id P001 --doctor_id D001 --pair FYE-VGV-MVB",
            "good for 8:59 min and 3 tries",
        ],
    );
    assert_shows(&drawn(&pairing, (60, 15), after(61)), &["FYE-VGV-MVB", "--doctor_id D001"]);
    let spent = polled(vec![patient("P001")], Vec::new());
    pairing.hear(Answer::Polled(Box::new(spent)), START);
    assert_shows(&drawn(&pairing, (100, 30), after(61)), &["The code is spent"]);
}

#[test]
fn lists_say_what_they_hold_or_that_they_are_empty() {
    let mut ward = ward();
    keys(&mut ward, "1");
    assert_shows(
        &drawn(&ward, (100, 30), START),
        &["Connected patients: 1 of 1", "86654fa4-38ca-64bd", "127.0.0.1:59778"],
    );
    keys(&mut ward, "r");
    assert_shows(&drawn(&ward, (100, 30), START), &["nothing was refused"]);
    keys(&mut ward, "a");
    assert_shows(&drawn(&ward, (100, 30), START), &["no alert was raised yet"]);
    ward.alerts = vec![report(3, &["P007"])];
    assert_shows(&drawn(&ward, (100, 30), START), &["> ", "Leave the building", "c call off"]);
    key(&mut ward, crossterm::event::KeyCode::Enter);
    assert_shows(&drawn(&ward, (100, 30), START), &["] 2 of 3", "] 1 of 3", "missing: P007"]);
    let mut empty =
        state(Role::Owner, polled(vec![PatientView { connected: false, ..patient("P1") }], Vec::new()));
    keys(&mut empty, "1");
    assert_shows(&drawn(&empty, (100, 30), START), &["no patient is connected"]);
}

#[test]
fn questions_say_what_will_happen() {
    let mut ward = ward();
    ward.modal = Some(Modal::Ask(Question::Send { text: "Fire".into() }));
    assert_shows(&drawn(&ward, (60, 15), START), &["Send to 1 patient? y/N", "\"Fire\"", "y yes"]);
}

#[test]
fn colours_are_left_out_on_request() {
    let mut ward = ward();
    ward.alerts = vec![report(3, &["P007"])];
    let is_coloured = |palette| {
        let buffer = buffer(&ward, (100, 30), palette, after(20));
        buffer.content().iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(is_coloured(Palette::Colours));
    assert!(!is_coloured(Palette::Plain));
}

#[test]
fn no_size_and_no_text_breaks_it() {
    let mut crowd = crowd(7);
    let mut alert = report(7, &["P001", "P002", "P003", "P004", "P005"]);
    alert.text = format!("{}\u{1b}[31m \u{7} {}", "Äöü 漢字 ".repeat(60), "x".repeat(300));
    crowd.alerts = vec![alert.clone(), alert];
    crowd.patients[0].id = "p".repeat(32);
    for steps in ["", "1", "2some text", "3", "n", "nw", "npP1", "r", "a", "a\n", "ac"] {
        crowd.modal = None;
        keys(&mut crowd, steps);
        for width in [1, 10, 59, 60, 61, 120] {
            for height in [1, 5, 14, 15, 16, 40] {
                let screen = drawn(&crowd, (width, height), after(3));
                assert!(!screen.contains('\u{1b}') && !screen.contains('\u{7}'));
            }
        }
    }
}
