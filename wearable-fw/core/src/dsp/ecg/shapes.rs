//! What beats of this patient look like: up to three shapes, learnt from accepted beats.
//!
//! Owns the running templates. Knows no rhythm. A shape is 210 ms of the QRS band; likeness is the largest normalised
//! correlation within +-30 ms of the middle (the matched filter; Krasteva and Jekova 2007, Ann Biomed Eng 35:2065, for
//! templates of QRS under noise).
#![expect(clippy::indexing_slicing, reason = "a slot is one of the three")]

use super::signal::Signal;

const LENGTH: u32 = 21;
const SLOTS: usize = 3;
/// Ticks by which a shape may be shifted.
const SHIFTS: core::ops::RangeInclusive<i32> = -3..=3;
/// Likeness from which a beat is another one of a known shape (0.8).
pub(super) const ALIKE: i32 = 102;

#[derive(Clone, Debug)]
struct Shape {
    values: [i16; LENGTH as usize],
    /// Tick of the newest beat in it.
    newest: u32,
}

/// The best match of a place in the signal.
#[derive(Clone, Copy)]
struct Match {
    slot: usize,
    shift: i32,
    /// 127 at most.
    likeness: i32,
}

/// The shapes.
#[derive(Clone, Debug)]
pub(super) struct Shapes([Option<Shape>; SLOTS]);

impl Shapes {
    pub(super) const fn new() -> Self {
        Self([const { None }; SLOTS])
    }

    /// Likeness of the signal around `middle` to the shape it fits best; `None` while there are none.
    pub(super) fn likeness(&self, signal: &Signal, middle: u32) -> Option<i32> {
        self.best(signal, middle).map(|best| best.likeness)
    }

    fn best(&self, signal: &Signal, middle: u32) -> Option<Match> {
        let known =
            self.0.iter().enumerate().filter_map(|(slot, shape)| shape.as_ref().map(|shape| (slot, shape)));
        known
            .flat_map(|(slot, shape)| {
                SHIFTS.map(move |shift| Match {
                    slot,
                    shift,
                    likeness: shape.likeness(signal, middle, shift),
                })
            })
            .max_by_key(|candidate| candidate.likeness)
    }

    /// Learns the beat around `middle`: into the shape it is like, else in place of the one unused for longest.
    pub(super) fn learn(&mut self, signal: &Signal, middle: u32) {
        match self.best(signal, middle) {
            Some(Match { slot, shift, likeness }) if likeness >= ALIKE => {
                if let Some(shape) = &mut self.0[slot] {
                    shape.blend(signal, middle, shift);
                }
            }
            _ => {
                let age = |shape: &Option<Shape>| {
                    shape.as_ref().map_or(u32::MAX, |shape| middle.wrapping_sub(shape.newest))
                };
                if let Some(oldest) = self.0.iter_mut().max_by_key(|shape| age(shape)) {
                    *oldest = Some(Shape::of(signal, middle));
                }
            }
        }
    }
}

/// The band around `middle`, shifted.
fn window(signal: &Signal, middle: u32, shift: i32) -> impl Iterator<Item = i32> {
    let start = middle.wrapping_sub(LENGTH / 2).wrapping_add_signed(shift);
    (0..LENGTH).map(move |offset| signal.band(start.wrapping_add(offset)))
}

impl Shape {
    fn of(signal: &Signal, middle: u32) -> Self {
        let mut values = [0; LENGTH as usize];
        for (value, band) in values.iter_mut().zip(window(signal, middle, 0)) {
            *value = i16::try_from(band).unwrap_or(0);
        }
        Self { values, newest: middle }
    }

    fn likeness(&self, signal: &Signal, middle: u32, shift: i32) -> i32 {
        let (mut both, mut own, mut other) = (0_i64, 0_u64, 0_u64);
        for (&value, band) in self.values.iter().zip(window(signal, middle, shift)) {
            both += i64::from(band) * i64::from(value);
            own += u64::from(value.unsigned_abs()).pow(2);
            other += u64::from(band.unsigned_abs()).pow(2);
        }
        let norm = (own.isqrt() * other.isqrt()).max(1);
        i32::try_from(both * 127 / norm.cast_signed()).map_or(0, |likeness| likeness.clamp(-127, 127))
    }

    /// An eighth of the new beat: the mean of about the last eight.
    fn blend(&mut self, signal: &Signal, middle: u32, shift: i32) {
        for (value, band) in self.values.iter_mut().zip(window(signal, middle, shift)) {
            let blended = (i32::from(*value) * 7 + band) / 8;
            *value = i16::try_from(blended).unwrap_or(0);
        }
        self.newest = middle;
    }
}
