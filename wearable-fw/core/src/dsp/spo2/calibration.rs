//! From the ratio of ratios to saturation: the table that belongs to one optical design.
//!
//! Owns the table's form and its reading in both directions. Knows no signal.
//!
//! # Calibrating a new sensor
//!
//! The ratio depends on the wavelengths of the two lamps, their distance from the detector, the window above them and
//! the place on the body; no formula replaces a measurement (Webster, *Design of Pulse Oximeters*, 1997, chapter 10).
//! ISO 80601-2-61 (clause 201.12.1.101 and its annexes) asks for a controlled desaturation study in a laboratory:
//! healthy adults of differing skin and sex breathe less and less oxygen, resting on plateaus, while blood from an
//! artery is analysed by a CO-oximeter. The accuracy is A_rms, the root of the mean square of (device - reference),
//! over at least 200 pairs from at least 10 people spread evenly over 70..100 %, and it has to be 4 % or better; the
//! guidance of the FDA asks for 3 % with light through the finger and 3.5 % with light reflected (*Pulse Oximeters -
//! Premarket Notification Submissions*, 2013). A finger oximeter instead of blood adds its own 2..3 %.
//!
//! What to do: log the ratio at each plateau beside the reference (what the device reports with any table, taken back
//! by [`Calibration::ratio`]); fit a line, or a falling curve if leaving out one person at a time says that the curve
//! predicts that person better; write it as 2 to 8 [`Point`]s with a version of its own; and state A_rms from people
//! who are not in the fit. The table is given to [`Monitor::new`](crate::dsp::Monitor::new).
#![expect(
    clippy::indexing_slicing,
    reason = "const code has no iterators; every index is below `len`, at most 8"
)]

use core::ops::RangeInclusive;

/// One place of a calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Point {
    /// R = (AC/DC of red) / (AC/DC of infrared), in 0.001.
    pub ratio: u16,
    /// Saturation at that ratio, in 0.1 %; above 1000 where a line only reaches 100 % there.
    pub saturation: u16,
}

/// Saturation by ratio: straight lines between points, nothing beyond the first and the last.
///
/// A calibration belongs to one optical design; its version travels with every value so that it can be told later
/// which table produced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Calibration {
    version: u16,
    validated_from: u16,
    len: usize,
    points: [Point; Self::MOST_POINTS],
}

impl Calibration {
    /// Points in a table at most.
    pub const MOST_POINTS: usize = 8;

    /// 111.3 - 33.5 R: fitted by the project to finger clips of a MAXM86161 (one seated subject, 70..98 %). Not
    /// clinically validated; other sensors need their own table.
    ///
    /// The curve that Maxim publishes for its bare MAX30101 with the same wavelengths (application note 6845,
    /// 1.596 R^2 - 34.66 R + 112.7) lies 0.6..2 % above it.
    pub const V1: Self = match Self::table(
        1,
        700,
        &[Point { ratio: 0, saturation: 1113 }, Point { ratio: 2000, saturation: 443 }],
    ) {
        Some(line) => line,
        None => panic!("the ratio rises and the saturation falls"),
    };

    /// A table with a version (not 0, never reused for other numbers), the saturation (0.1 %) down to which it was
    /// validated, and 2 to 8 points of rising ratio and falling saturation. `None` for anything else.
    #[must_use]
    pub const fn table(version: u16, validated_from: u16, table: &[Point]) -> Option<Self> {
        if version == 0 || table.len() < 2 || table.len() > Self::MOST_POINTS {
            return None;
        }
        let mut points = [table[0]; Self::MOST_POINTS];
        let mut at = 1;
        while at < table.len() {
            if table[at].ratio <= table[at - 1].ratio || table[at].saturation >= table[at - 1].saturation {
                return None;
            }
            points[at] = table[at];
            at += 1;
        }
        Some(Self { version, validated_from, len: table.len(), points })
    }

    /// Identifies the table.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Saturations (0.1 %) for which the table was validated; others are extrapolated.
    pub(super) const fn validated(&self) -> RangeInclusive<u16> {
        self.validated_from..=1000
    }

    /// Saturation in 0.1 % and its fall per unit of ratio, both with 8 fraction bits, at a ratio with 16.
    pub(super) fn at(&self, ratio: i64) -> Option<(i64, i64)> {
        let thousandths = ratio * 1000;
        let (from, to) = self.spans().find(|(from, to)| {
            (i64::from(from.ratio) << 16..=i64::from(to.ratio) << 16).contains(&thousandths)
        })?;
        let fall = (i64::from(from.saturation) - i64::from(to.saturation)) * (1000 << 8)
            / (i64::from(to.ratio) - i64::from(from.ratio));
        let beyond = thousandths - (i64::from(from.ratio) << 16);
        Some(((i64::from(from.saturation) << 8) - ((beyond / 1000 * fall) >> 16), fall))
    }

    /// The ratio (0.001) at a saturation (0.1 %), for simulators; the nearest end of the table beyond it.
    #[must_use]
    pub fn ratio(&self, saturation: u16) -> u16 {
        let (from, to) = self
            .spans()
            .find(|(_, to)| saturation >= to.saturation)
            .unwrap_or((self.points[self.len - 1], self.points[self.len - 1]));
        let below = u32::from(from.saturation.saturating_sub(saturation));
        let fall = u32::from(from.saturation - to.saturation).max(1);
        let beyond = below.min(fall) * u32::from(to.ratio - from.ratio) / fall;
        from.ratio.saturating_add(u16::try_from(beyond).unwrap_or(u16::MAX))
    }

    fn spans(&self) -> impl Iterator<Item = (Point, Point)> {
        let points = &self.points[..self.len];
        points.iter().copied().zip(points.iter().copied().skip(1))
    }
}
