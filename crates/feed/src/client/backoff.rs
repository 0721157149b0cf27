//! Pauses between tries: from 50 ms, doubled each time, never the same for two edges.

use std::time::Duration;

use sentinel_core::Random;

const FIRST: Duration = Duration::from_millis(50);

pub(super) struct Backoff {
    pause: Duration,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { pause: FIRST }
    }

    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }

    /// The next pause: between a half and the whole of what it has grown to, at most `longest`.
    pub(super) fn next(&mut self, random: &dyn Random, longest: Duration) -> Duration {
        let pause = self.pause.min(longest);
        self.pause = pause.saturating_mul(2);
        let mut byte = [0];
        random.fill(&mut byte);
        pause / 2 + (pause / 2) * u32::from(byte[0]) / 255
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Always the same byte.
    struct Fixed(u8);

    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn pauses_double_up_to_the_limit_and_begin_again() {
        let limit = Duration::from_secs(2);
        let mut backoff = Backoff::new();
        let pauses: Vec<u128> = (0..8)
            .map(|_| backoff.next(&Fixed(255), limit).as_millis())
            .collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        backoff.reset();
        assert_eq!(
            backoff.next(&Fixed(0), limit),
            FIRST / 2,
            "jitter takes away at most a half"
        );
    }
}
