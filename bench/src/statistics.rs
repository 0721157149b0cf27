//! From samples to the few numbers that are printed.

use std::time::Duration;

/// The middle of several measurements of the same thing, with the lowest and the highest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Median {
    /// The middle; of an even number, the mean of the two in the middle.
    pub value: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Median {
    /// Of at least one measurement; `None` of nothing.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let upper = *values.get(middle)?;
        let value = if values.len().is_multiple_of(2) {
            f64::midpoint(*values.get(middle.checked_sub(1)?)?, upper)
        } else {
            upper
        };
        Some(Self { value, low, high })
    }

    /// The same in another unit, `factor` to one.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            low: self.low * factor,
            high: self.high * factor,
        }
    }
}

/// The latency that `percent` of all are not above: the smallest sample with that property. `sorted` ascends.
pub fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_two() {
        let of = |values: &[f64]| {
            Median::of(values.to_vec()).map(|median| (median.value, median.low, median.high))
        };
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some((2.0, 1.0, 3.0)));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), Some((2.5, 1.0, 4.0)));
        assert_eq!(of(&[7.0]), Some((7.0, 7.0, 7.0)));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_percentile_is_one_of_the_samples() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        let at = |percent| percentile(&sorted, percent).expect("samples").as_micros();
        assert_eq!((at(50), at(99), at(100), at(0)), (100, 198, 200, 1));
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(percentile(&sorted[..1], 99), Some(Duration::from_micros(1)));
    }
}
