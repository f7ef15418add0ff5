//! How long things took.

/// Times in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<u32>);

impl Times {
    /// One more.
    pub fn add(&mut self, took: std::time::Duration) {
        self.0.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The times of these shares of all, in milliseconds: 0.5 is the median, 1 the longest. Zeros without any.
    pub fn at<const N: usize>(&mut self, shares: [f64; N]) -> [f64; N] {
        self.0.sort_unstable();
        shares.map(|share| {
            let n = (self.0.len().saturating_sub(1) as f64 * share).round() as usize;
            self.0.get(n).map_or(0.0, |us| f64::from(*us) / 1e3)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_counted_from_the_shortest() {
        let mut times = Times::default();
        assert_eq!(times.at([0.5]), [0.0]);
        for ms in [5, 1, 3, 2, 4] {
            times.add(std::time::Duration::from_millis(ms));
        }
        assert_eq!(times.at([0.0, 0.5, 1.0]), [1.0, 3.0, 5.0]);
    }
}
