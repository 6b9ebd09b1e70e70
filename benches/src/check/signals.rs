//! The signal processing's CPU time for each second of signal.

use super::{Operation, Outcome, REPEATS, median, medians};
use crate::wearer::{Wearer, Worn};

pub(super) const NAME: &str = "1 s of ECG 360 Hz and PPG 100 Hz";
/// 5 000 times real time.
const LIMIT_US: f64 = 200.0;

pub(super) fn measure() -> Outcome {
    let mut wearer = Wearer::new(Worn::ECG_PPG);
    let mut operation = Operation::new(move || wearer.seconds(1));
    let mut side = [(operation.times_in_a_slice(), operation)];
    let measured = median((0..REPEATS).flat_map(|_| medians(&mut side))) / 1e3;
    Outcome {
        goal: NAME.into(),
        measured,
        limit: LIMIT_US,
        unit: "us".into(),
        detail: format!("{:.0} times real time", 1e6 / measured),
    }
}
