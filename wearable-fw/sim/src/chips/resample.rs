//! A second of a signal at the rate of a chip: linear between two samples. Owns the last sample of the second before.

/// Signals of `N` values.
#[derive(Clone, Debug)]
pub(super) struct Resampler<const N: usize> {
    from_hz: u16,
    /// The second, after the last sample of the one before.
    samples: Vec<[i32; N]>,
}

impl<const N: usize> Resampler<N> {
    pub(super) const fn new(from_hz: u16) -> Self {
        Self { from_hz, samples: Vec::new() }
    }

    /// The next second.
    pub(super) fn load(&mut self, second: impl IntoIterator<Item = [i32; N]>) {
        let mut second = second.into_iter().peekable();
        let before = self.samples.last().or_else(|| second.peek()).copied();
        self.samples.clear();
        self.samples.extend(before.into_iter().chain(second));
    }

    /// Part `part` of `parts` of the second, at `to_hz`.
    pub(super) fn part(&self, to_hz: u16, part: usize, parts: usize) -> impl Iterator<Item = [i32; N]> {
        let (from, to) = (usize::from(self.from_hz), usize::from(to_hz));
        (to * part / parts..to * (part + 1) / parts).filter_map(move |at| {
            if from == to {
                return self.samples.get(at + 1).copied();
            }
            let (place, rest) = (at * from / to, at * from % to);
            let (before, after) = (self.samples.get(place)?, self.samples.get(place + 1)?);
            Some(std::array::from_fn(|value| {
                let [before, after] =
                    [before, after].map(|sample| i64::from(sample.get(value).copied().unwrap_or(0)));
                let [rest, to] = [rest, to].map(|count| i64::try_from(count).unwrap_or(0));
                i32::try_from(before + (after - before) * rest / to).unwrap_or(0)
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(from_hz: u16, to_hz: u16) -> Vec<i32> {
        let mut resampler = Resampler::new(from_hz);
        let mut out = Vec::new();
        for second in 0..3 {
            let from = i32::from(from_hz);
            resampler.load((second * from..(second + 1) * from).map(|at| [at * 25_600 / from]));
            (0..10).for_each(|part| out.extend(resampler.part(to_hz, part, 10).map(|[value]| value)));
        }
        out
    }

    #[test]
    fn a_line_stays_a_line_at_every_rate() {
        for (from_hz, to_hz) in [(360, 256), (500, 256), (100, 256), (25, 100), (125, 100)] {
            let line = through(from_hz, to_hz);
            assert_eq!(line.len(), usize::from(to_hz) * 3, "{from_hz} to {to_hz}");
            let step = 25_600 / i32::from(to_hz);
            let late = &line[usize::from(to_hz) / 4..];
            assert!(
                late.windows(2).all(|pair| (pair[1] - pair[0] - step).abs() <= 72),
                "{from_hz} to {to_hz}"
            );
        }
    }

    #[test]
    fn the_same_rate_is_the_same_signal() {
        assert_eq!(through(100, 100), (0..300).map(|at| at * 256).collect::<Vec<_>>());
        assert!(through(100, 0).is_empty());
    }
}
