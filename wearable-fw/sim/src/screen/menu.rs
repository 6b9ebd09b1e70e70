//! The menu: the twelve options of the first simulator by their numbers, the new ones by numbers and letters. One table
//! for what is shown and what a key does.

use wearable_core::mode::Switch;

use crate::{
    act::{Act, Board, Body, Change, Name, Person, Sensor, Wire},
    agent::DeviceState,
    scenario,
};

/// What an entry's number becomes.
type Numbered = fn(i32) -> Body;

/// Numbered options, more and less: what they change, and by how much. The first six are those of the first simulator.
const NUMBERED: [(&str, &str, Numbered); 8] = [
    ("body", "0.5 C", |sign| Body::Temperature(Change::By(50 * sign))),
    ("MCU", "0.5 C", |sign| Body::Mcu(Change::By(50 * sign))),
    ("MPU", "0.5 C", |sign| Body::Imu(Change::By(50 * sign))),
    ("X", "0.1 g", |sign| Body::Acceleration(0, Change::By(100 * sign))),
    ("Y", "0.1 g", |sign| Body::Acceleration(1, Change::By(100 * sign))),
    ("Z", "0.1 g", |sign| Body::Acceleration(2, Change::By(100 * sign))),
    ("heart", "10 %", |sign| Body::HeartRate(Change::By(10 * sign))),
    ("SpO2", "2 %", |sign| Body::Spo2(Change::By(20 * sign))),
];

/// Letters, in the order of the screen, row by row.
const LETTERS: [char; 24] = [
    'b', 'n', 'h', 'j', 'd', 'f', 'z', 'x', 'l', 's', 'w', 'm', 'y', 'r', 'c', 'o', 'i', 'v', 'p', 't', 'u',
    'k', ':', 'q',
];
/// Letters in a row.
const IN_A_ROW: usize = 3;
/// What the screen itself does.
const OWN: [(char, &str); 2] = [(':', "words"), ('q', "quit")];
/// Charge of a battery that is low, percent.
const LOW: u8 = 9;
const DELAY_MS: u32 = 500;
const SKEW_SECONDS: u32 = 90;

/// The menu, line by line, at most 45 columns wide.
pub(super) fn lines(state: &DeviceState) -> Vec<String> {
    let pair = |at: usize| {
        NUMBERED.get(at).map_or_else(String::new, |(what, step, _)| {
            let numbers = format!("{}/{}", 2 * at + 1, 2 * at + 2);
            format!("{numbers:>5} {what:<5} +/- {step}")
        })
    };
    let two = |left: usize, right: usize| format!("{:<23}{}", pair(left), pair(right));
    let mut lines = vec![two(0, 3), two(1, 4), two(2, 5), two(6, 7)];
    lines.push("17 light 18 motion 19 temperature 20 ECG NACK".into());
    let cell = |letter: &char| {
        let own = OWN.iter().find(|(own, _)| own == letter).map(|(_, label)| *label);
        let label = own.or_else(|| option(*letter, state).map(|(label, _)| label)).unwrap_or_default();
        format!("{letter} {label:<13}")
    };
    let rows = LETTERS.chunks(IN_A_ROW).map(|row| row.iter().map(cell).collect::<String>());
    lines.extend(rows.map(|row| row.trim_end().to_owned()));
    lines
}

/// What a number does.
pub(super) fn act_of_number(number: usize, state: &DeviceState) -> Option<Act> {
    if let Some(sensor) = number.checked_sub(2 * NUMBERED.len() + 1).and_then(|at| Sensor::ALL.get(at)) {
        return Some(Act::Nack { sensor: *sensor, on: state.faults.mute().all(|mute| mute != *sensor) });
    }
    let (_, _, body) = NUMBERED.get(number.checked_sub(1)? / 2)?;
    Some(Act::Body(body(if number % 2 == 1 { 1 } else { -1 })))
}

/// What a letter is called now, and what it does. `:` and `q` are the screen's own.
pub(super) fn option(letter: char, state: &DeviceState) -> Option<(&'static str, Act)> {
    let contact = state.contact;
    let choose = |now: bool, if_so: &'static str, if_not: &'static str| if now { if_so } else { if_not };
    let board = |trouble| Act::Board(trouble);
    Some(match letter {
        'h' => (choose(contact.beats, "heart stops", "heart beats"), Act::Body(Body::Heart(!contact.beats))),
        'f' => (choose(contact.finger, "finger off", "finger on"), Act::Body(Body::Finger(!contact.finger))),
        'l' => (choose(contact.leads, "lead off", "lead on"), Act::Body(Body::Leads(!contact.leads))),
        'm' => (choose(contact.shakes, "arm still", "arm shakes"), Act::Body(Body::Shake(!contact.shakes))),
        'c' => ("next course", Act::Scenario(next_scenario(&state.scenario))),
        'b' => ("button press", Act::Person(Person::Press(200))),
        'j' => ("hold 2.5 s", Act::Person(Person::Press(2_500))),
        'z' => ("hold 10.5 s", Act::Person(Person::Press(10_500))),
        's' => {
            let configuration = state.switch == Switch::Working;
            let to = choose(configuration, "slide: Conf.", "slide: Work.");
            (to, Act::Person(Person::Slide { configuration }))
        }
        'y' => ("confirm", Act::Person(Person::Confirm)),
        'r' => ("retry now", Act::Retry),
        'n' => {
            let plugged = state.condition.plugged;
            (choose(plugged, "network off", "network on"), Act::Wire(Wire::Network(!plugged)))
        }
        'd' if state.condition.delay.is_zero() => ("delay 500 ms", Act::Wire(Wire::Delay(DELAY_MS))),
        'd' => ("no delay", Act::Wire(Wire::Delay(0))),
        'x' => ("corrupt", Act::Wire(Wire::Corrupt)),
        'w' => {
            let wrong = state.condition.wrong_gateway;
            (choose(wrong, "true gateway", "fake gateway"), Act::Wire(Wire::WrongGateway(!wrong)))
        }
        'u' => {
            let stuck = !state.faults.stuck;
            (choose(stuck, "bus stuck", "bus free"), Act::Bus { stuck })
        }
        'k' => {
            let late = !state.faults.late;
            (choose(late, "reads late", "reads prompt"), Act::Reads { late })
        }
        'i' => ("flip a bit", board(Board::Flip(None))),
        'p' => ("power cut", board(Board::PowerCut(1))),
        't' => ("clock +90 s", board(Board::ClockSkew(SKEW_SECONDS))),
        'v' if state.battery > LOW => ("battery low", board(Board::Battery(LOW))),
        'v' => ("battery full", board(Board::Battery(100))),
        'o' => ("reboot", board(Board::Reboot)),
        _ => return None,
    })
}

fn next_scenario(now: &Name) -> Name {
    let mut all = scenario::built_in().map(|scenario| scenario.name);
    let first = all.next();
    let mut rest = first.iter().cloned().chain(all).skip_while(|name| name != now).skip(1);
    rest.next().or(first).unwrap_or_else(|| now.clone())
}

#[cfg(test)]
mod tests {
    use protocol::id::DeviceId;
    use wearable_core::mode::Mode;

    use super::*;
    use crate::agent::Speed;

    fn state() -> DeviceState {
        let id = DeviceId::from_random([5; 16]);
        DeviceState::new("W001".parse().unwrap(), id, Mode::Unprovisioned, Name::of("normal"), Speed::REAL)
    }

    #[test]
    fn the_twelve_options_of_the_first_simulator_are_where_they_were() {
        let expected = [
            "temperature +0.5",
            "temperature -0.5",
            "mcu +0.5",
            "mcu -0.5",
            "mpu +0.5",
            "mpu -0.5",
            "x +0.1",
            "x -0.1",
            "y +0.1",
            "y -0.1",
            "z +0.1",
            "z -0.1",
        ];
        for (number, words) in (1..).zip(expected) {
            assert_eq!(act_of_number(number, &state()).unwrap().to_string(), words);
        }
        assert_eq!(act_of_number(20, &state()).unwrap().to_string(), "nack ecg on");
        assert_eq!((act_of_number(0, &state()), act_of_number(21, &state())), (None, None));
    }

    #[test]
    fn every_letter_on_the_screen_does_what_it_says_and_says_it_in_time() {
        let mut state = state();
        let shown = lines(&state).join("\n");
        assert!(lines(&state).iter().all(|line| line.len() <= 45), "{shown}");
        for letter in LETTERS {
            let own = OWN.iter().any(|(own, _)| *own == letter);
            let (label, _) = option(letter, &state).unwrap_or(("", Act::Stop));
            assert!(own || shown.contains(&format!("{letter} {label}")), "{letter} in\n{shown}");
            assert!(own || label.len() <= 13 && !label.is_empty());
        }
        let words = |letter, state: &DeviceState| option(letter, state).unwrap().1.to_string();
        assert_eq!((words('n', &state), words('f', &state)), ("network off".into(), "finger off".into()));
        state.condition.plugged = false;
        state.contact.finger = false;
        state.battery = 4;
        assert_eq!((words('n', &state), words('f', &state)), ("network on".into(), "finger on".into()));
        assert_eq!(words('v', &state), "battery 100");
    }

    #[test]
    fn all_scenarios_come_round() {
        let mut name = Name::of("normal");
        let all = scenario::built_in().count();
        let seen: Vec<Name> = (0..all)
            .map(|_| {
                name = next_scenario(&name);
                name.clone()
            })
            .collect();
        assert_eq!((seen.len(), seen.last().unwrap().as_str()), (all, "normal"));
        assert_eq!(next_scenario(&Name::of("own")).as_str(), "normal");
    }
}
