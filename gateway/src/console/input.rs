//! What a key means: it moves what lies over the tiles, and says what to ask the gateway. Nothing that other people would
//! notice happens without a `y`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use protocol::{
    alert::MAX_ALERT_TEXT,
    id::{MAX_TEXT_ID, PatientId},
    pairing::code::PairingCode,
    time::Now,
};

use super::{
    link::Ask,
    log,
    modal::{Field, Modal, Question},
    state::{Role, State, Tone},
    when,
};

const INVALID: &str = "Invalid choice: press 1, 2, 3, 4, n, r or a";
/// What is sent with a cancellation; the same as the verb's.
const CALLED_OFF: &str = "The earlier alert is called off.";
/// Characters of a code with its dashes.
const CODE_LENGTH: usize = 11;
/// Lines or rows of tiles that a page key moves by.
const PAGE: usize = 5;

/// What a key leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    Ask(Ask),
    /// The console closes.
    Close,
}

/// Carries out a key.
pub(super) fn press(state: &mut State, key: KeyEvent, now: Now) -> Act {
    if state.is_gone {
        return Act::Close;
    }
    state.notice = None;
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c' | 'd') => exit(state),
            _ => Act::Nothing,
        };
    }
    match state.modal.take() {
        None => choose(state, key.code, now),
        Some(modal) => within(state, modal, key.code, now),
    }
}

/// Puts pasted text into the field that is being typed into; elsewhere it would be taken for keys.
pub(super) fn paste(state: &mut State, text: &str, now: Now) {
    let one_line = text.trim().replace(['\r', '\n', '\t'], " ");
    for character in one_line.chars().filter(|character| !character.is_control()) {
        let modal = state.modal.take();
        let is_typing = matches!(
            modal,
            Some(Modal::Compose { .. } | Modal::InviteWhom { .. } | Modal::InviteCode { .. })
        );
        match modal {
            Some(modal) if is_typing => {
                within(state, modal, KeyCode::Char(character), now);
            }
            other => return state.modal = other,
        }
    }
}

fn choose(state: &mut State, key: KeyCode, now: Now) -> Act {
    match key {
        KeyCode::Char('1') => state.modal = Some(Modal::Connected { first: 0 }),
        KeyCode::Char('2') if state.patients.is_empty() => {
            state.say(Tone::Warning, "No patient is paired yet: press n to pair the first one.", now);
        }
        KeyCode::Char('2') => state.modal = Some(Modal::Compose { field: Field::new(MAX_ALERT_TEXT) }),
        KeyCode::Char('3') if state.connected().next().is_none() => {
            state.say(Tone::Plain, "No patient is connected.", now);
        }
        KeyCode::Char('3') => state.modal = Some(Modal::Ask(Question::DisconnectAll)),
        KeyCode::Char('4' | 'q' | 'Q') | KeyCode::Esc => return exit(state),
        KeyCode::Char('n' | 'N') => state.modal = Some(Modal::InviteWhat),
        KeyCode::Char('r' | 'R') => {
            state.modal = Some(Modal::Refusals { first: 0 });
            return Act::Ask(Ask::Poll { refusals: true });
        }
        KeyCode::Char('a' | 'A') => state.modal = Some(Modal::Alerts { chosen: 0 }),
        key => match moved(state.scroll, key) {
            Some(scroll) => state.scroll = scroll,
            None => state.say(Tone::Warning, INVALID, now),
        },
    }
    Act::Nothing
}

fn exit(state: &mut State) -> Act {
    if state.role == Role::Attached {
        return Act::Close;
    }
    state.modal = Some(Modal::Ask(Question::Stop));
    Act::Nothing
}

/// A key while something lies over the tiles. What stays there is put back.
fn within(state: &mut State, modal: Modal, key: KeyCode, now: Now) -> Act {
    match modal {
        Modal::Connected { first } => within_list(state, key, first, |first| Modal::Connected { first }, now),
        Modal::Refusals { first } => within_list(state, key, first, |first| Modal::Refusals { first }, now),
        Modal::Alerts { chosen } => within_alerts(state, chosen, key, now),
        Modal::Receipts { alert, .. } if matches!(key, KeyCode::Char('c' | 'C')) => {
            call_off(state, &alert, Modal::Receipts { alert: alert.clone(), first: 0 }, now)
        }
        Modal::Receipts { alert, first } => {
            within_list(state, key, first, |first| Modal::Receipts { alert, first }, now)
        }
        Modal::Compose { field } => compose(state, field, key, now),
        Modal::Ask(question) => decide(state, question, key, now),
        Modal::InviteWhat => invite_what(state, key, now),
        Modal::InviteWhom { wearable, field } => invite_whom(state, wearable, field, key, now),
        Modal::InviteSide { patient } => invite_side(state, patient, key, now),
        Modal::InviteCode { patient, field } => invite_code(state, patient, field, key, now),
        Modal::Offered(offered) => match key {
            KeyCode::Esc | KeyCode::Char('q' | 'Q') if offered.is_open => {
                Act::Ask(Ask::CancelOffer { code: offered.offer.code })
            }
            KeyCode::Esc | KeyCode::Char('q' | 'Q') => Act::Nothing,
            _ => {
                state.modal = Some(Modal::Offered(offered));
                state.say(Tone::Warning, "Esc takes the code back; it closes by itself once used.", now);
                Act::Nothing
            }
        },
    }
}

fn within_list(
    state: &mut State,
    key: KeyCode,
    first: usize,
    stay: impl FnOnce(usize) -> Modal,
    now: Now,
) -> Act {
    match (key, moved(first, key)) {
        (KeyCode::Esc | KeyCode::Char('q' | 'Q') | KeyCode::Enter, _) => Act::Nothing,
        (_, Some(first)) => {
            state.modal = Some(stay(first));
            Act::Nothing
        }
        (KeyCode::Char('1' | '2' | '3' | '4' | 'n' | 'N' | 'r' | 'R' | 'a' | 'A'), _) => {
            choose(state, key, now)
        }
        _ => {
            state.modal = Some(stay(first));
            state.say(Tone::Warning, INVALID, now);
            Act::Nothing
        }
    }
}

fn within_alerts(state: &mut State, chosen: usize, key: KeyCode, now: Now) -> Act {
    let last = state.alerts.len().saturating_sub(1);
    let chosen = chosen.min(last);
    let alert = state.alerts.get(chosen).map(|report| report.alert.clone());
    match (key, alert) {
        (KeyCode::Char('c' | 'C'), Some(alert)) => call_off(state, &alert, Modal::Alerts { chosen }, now),
        (KeyCode::Char('c' | 'C'), None) => {
            state.modal = Some(Modal::Alerts { chosen });
            state.say(Tone::Plain, "There is no alert to call off.", now);
            Act::Nothing
        }
        (KeyCode::Enter, Some(alert)) => {
            state.modal = Some(Modal::Receipts { alert, first: 0 });
            Act::Nothing
        }
        _ => within_list(state, key, chosen, |chosen| Modal::Alerts { chosen: chosen.min(last) }, now),
    }
}

fn call_off(state: &mut State, alert: &str, stay: Modal, now: Now) -> Act {
    let Some(report) = state.alert(alert) else { return Act::Nothing };
    let is_over = when::parsed(&report.expires).is_some_and(|expires| expires <= now.wall);
    let why_not = if report.cancelled_by.is_some() {
        Some("It was called off already.")
    } else if report.cancels.is_some() {
        Some("It calls off another alert; it cannot be called off itself.")
    } else if is_over {
        Some("It has expired; nobody is sent it any more.")
    } else {
        None
    };
    if let Some(why_not) = why_not {
        state.modal = Some(stay);
        state.say(Tone::Warning, why_not, now);
    } else {
        let text = report.text.clone();
        state.modal = Some(Modal::Ask(Question::CallOff { alert: alert.to_owned(), text }));
    }
    Act::Nothing
}

fn compose(state: &mut State, mut field: Field, key: KeyCode, now: Now) -> Act {
    match key {
        KeyCode::Esc => {
            state.say(Tone::Plain, "Not sent.", now);
            return Act::Nothing;
        }
        KeyCode::Enter if field.text().trim().is_empty() => {
            state.say(Tone::Warning, "Type what patients will read, or Esc to leave.", now);
        }
        KeyCode::Enter => {
            let text = field.text().trim().to_owned();
            state.modal = Some(Modal::Ask(Question::Send { text }));
            return Act::Nothing;
        }
        KeyCode::Char(character) => {
            if !field.insert(character) {
                state.say(Tone::Warning, format!("An alert has at most {MAX_ALERT_TEXT} bytes."), now);
            }
        }
        key => edit(&mut field, key),
    }
    state.modal = Some(Modal::Compose { field });
    Act::Nothing
}

/// The answer to a question. Anything but `y` is a no.
fn decide(state: &mut State, question: Question, key: KeyCode, now: Now) -> Act {
    if !matches!(key, KeyCode::Char('y' | 'Y')) {
        match question {
            // Back to the text: a typing error may be why.
            Question::Send { text } if key != KeyCode::Esc => {
                state.modal = Some(Modal::Compose { field: Field::with(MAX_ALERT_TEXT, &text) });
                state.say(Tone::Plain, "Not sent. Change the text, or Esc to leave.", now);
            }
            Question::Send { .. } => state.say(Tone::Plain, "Not sent.", now),
            Question::CallOff { .. } => state.say(Tone::Plain, "The alert goes on.", now),
            Question::Replace { .. } => state.say(Tone::Plain, "Nothing was changed.", now),
            Question::DisconnectAll => state.say(Tone::Plain, "Everybody stays connected.", now),
            Question::Stop => state.say(Tone::Plain, "Monitoring goes on.", now),
        }
        return Act::Nothing;
    }
    let ask = match question {
        Question::Stop => return Act::Close,
        Question::Send { text } => Ask::Alert { text, cancels: None },
        Question::CallOff { alert, .. } => Ask::Alert { text: CALLED_OFF.into(), cancels: Some(alert) },
        Question::DisconnectAll => Ask::DisconnectAll,
        Question::Replace { patient } => Ask::Pair { kind: "patient", patient, replace: true, code: None },
    };
    asked(state, ask, now)
}

fn asked(state: &mut State, ask: Ask, now: Now) -> Act {
    state.say(Tone::Plain, "Asking the gateway ...", now);
    Act::Ask(ask)
}

fn invite_what(state: &mut State, key: KeyCode, now: Now) -> Act {
    let wearable = match key {
        KeyCode::Char('p' | 'P' | '1') => false,
        KeyCode::Char('w' | 'W' | '2') => true,
        KeyCode::Esc | KeyCode::Char('q' | 'Q') => return Act::Nothing,
        _ => {
            state.modal = Some(Modal::InviteWhat);
            state.say(Tone::Warning, "Invalid choice: press p, w or Esc", now);
            return Act::Nothing;
        }
    };
    if wearable && state.patients.is_empty() {
        state.modal = Some(Modal::InviteWhat);
        state.say(
            Tone::Warning,
            "A wearable belongs to a paired patient: press p to pair the first one.",
            now,
        );
        return Act::Nothing;
    }
    // The only patient there is will be the one.
    let only = state.patients.first().filter(|_| wearable && state.patients.len() == 1);
    let field = Field::with(MAX_TEXT_ID, only.map_or("", |patient| &patient.id));
    state.modal = Some(Modal::InviteWhom { wearable, field });
    Act::Nothing
}

fn invite_whom(state: &mut State, wearable: bool, mut field: Field, key: KeyCode, now: Now) -> Act {
    match key {
        KeyCode::Esc => return Act::Nothing,
        KeyCode::Enter => match field.text().parse::<PatientId>() {
            Ok(patient) => {
                let patient = patient.to_string();
                let is_paired = state.patients.iter().any(|paired| paired.id == patient);
                return match (wearable, is_paired) {
                    (true, true) => {
                        state.modal = Some(Modal::InviteSide { patient });
                        Act::Nothing
                    }
                    (true, false) => {
                        let said = format!("{patient} is not paired; pair the patient's computer first.");
                        state.modal = Some(Modal::InviteWhom { wearable, field });
                        state.say(Tone::Warning, said, now);
                        Act::Nothing
                    }
                    (false, true) => {
                        state.modal = Some(Modal::Ask(Question::Replace { patient }));
                        Act::Nothing
                    }
                    (false, false) => {
                        let ask = Ask::Pair { kind: "patient", patient, replace: false, code: None };
                        asked(state, ask, now)
                    }
                };
            }
            Err(error) => state.say(Tone::Warning, format!("That is no patient's id: {error}"), now),
        },
        KeyCode::Char(character) => {
            field.insert(character);
        }
        key => edit(&mut field, key),
    }
    state.modal = Some(Modal::InviteWhom { wearable, field });
    Act::Nothing
}

fn invite_side(state: &mut State, patient: String, key: KeyCode, now: Now) -> Act {
    match key {
        KeyCode::Char('g' | 'G' | '1') => {
            asked(state, Ask::Pair { kind: "wearable", patient, replace: false, code: None }, now)
        }
        KeyCode::Char('d' | 'D' | '2') => {
            state.modal = Some(Modal::InviteCode { patient, field: Field::new(CODE_LENGTH) });
            Act::Nothing
        }
        KeyCode::Esc | KeyCode::Char('q' | 'Q') => Act::Nothing,
        _ => {
            state.modal = Some(Modal::InviteSide { patient });
            state.say(Tone::Warning, "Invalid choice: press g, d or Esc", now);
            Act::Nothing
        }
    }
}

fn invite_code(state: &mut State, patient: String, mut field: Field, key: KeyCode, now: Now) -> Act {
    match key {
        KeyCode::Esc => return Act::Nothing,
        KeyCode::Enter => match field.text().parse::<PairingCode>() {
            Ok(code) => {
                let code = Some(code.to_string());
                return asked(state, Ask::Pair { kind: "wearable", patient, replace: false, code }, now);
            }
            Err(error) => state.say(Tone::Warning, capitalised(&error.to_string()), now),
        },
        KeyCode::Char(character) if character.is_ascii_alphanumeric() => {
            if matches!(field.text().len(), 3 | 7) {
                field.insert('-');
            }
            field.insert(character.to_ascii_uppercase());
        }
        KeyCode::Char(_) => {}
        key => edit(&mut field, key),
    }
    state.modal = Some(Modal::InviteCode { patient, field });
    Act::Nothing
}

fn edit(field: &mut Field, key: KeyCode) {
    match key {
        KeyCode::Backspace => field.backspace(),
        KeyCode::Delete => field.delete(),
        KeyCode::Left => field.left(),
        KeyCode::Right => field.right(),
        KeyCode::Home => field.home(),
        KeyCode::End => field.end(),
        _ => {}
    }
}

/// Where a list stands after a key that moves it.
fn moved(first: usize, key: KeyCode) -> Option<usize> {
    Some(match key {
        KeyCode::Up => first.saturating_sub(1),
        KeyCode::Down => first.saturating_add(1),
        KeyCode::PageUp => first.saturating_sub(PAGE),
        KeyCode::PageDown => first.saturating_add(PAGE),
        KeyCode::Home => 0,
        KeyCode::End => usize::MAX,
        _ => return None,
    })
}

fn capitalised(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// What is asked, in words.
pub(super) fn wording(question: &Question, state: &State) -> (String, String) {
    let paired = state.patients.len();
    let connected = state.connected().count();
    match question {
        Question::Send { text } => {
            let absent = match paired.saturating_sub(connected) {
                0 => "All of them are connected.".to_owned(),
                absent => format!("{absent} not connected: they get it if they come back within 24 h."),
            };
            (format!("Send to {}? y/N", log::patients(paired)), format!("{}\n\n{absent}", log::quoted(text)))
        }
        Question::CallOff { text, .. } => (
            "Call this alert off? y/N".into(),
            format!("{}\n\nIts recipients are told: {CALLED_OFF}", log::quoted(text)),
        ),
        Question::Replace { patient } => (
            format!("Replace {patient}'s computer? y/N"),
            format!(
                "{patient} is paired with a computer already. If that one was replaced or lost, the new one takes its \
                 place when it has paired, and the old one can no longer log in."
            ),
        ),
        Question::DisconnectAll => (
            format!("Disconnect {}? y/N", log::patients(connected)),
            "Alerts do not reach them until their people press a key to return. Wearables go on.".into(),
        ),
        Question::Stop if state.monitored() == 0 => {
            ("Stop the gateway? y/N".into(), "Nobody is connected.".into())
        }
        Question::Stop => (
            format!("Stop monitoring {}? y/N", log::patients(state.monitored())),
            "The gateway runs in this window and ends with it. Clients reconnect when it is started again; wearables \
             keep their samples."
                .into(),
        ),
    }
}
