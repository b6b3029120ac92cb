//! A token bucket.

use std::time::Instant;

/// Allows a rate, and a burst after a pause. The clock is read by the caller.
#[derive(Debug)]
pub struct Limiter {
    tokens: f64,
    filled: Instant,
}

impl Default for Limiter {
    /// A full bucket.
    fn default() -> Self {
        Self { tokens: f64::INFINITY, filled: Instant::now() }
    }
}

impl Limiter {
    /// Whether one more is allowed at `now`, with `rate` per second allowed; 0: any. After a
    /// pause a tenth of a second's worth may come at once, at least ten.
    pub fn allows(&mut self, rate: u32, now: Instant) -> bool {
        if rate == 0 {
            return true;
        }
        let rate = f64::from(rate);
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + elapsed * rate).min((rate / 10.0).max(10.0));
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// C-040: no more than the rate, after the burst that the bucket holds.
    #[test]
    fn keeps_the_rate() {
        let mut limiter = Limiter::default();
        let start = Instant::now();
        let allowed = (0..10_000)
            .filter(|i| limiter.allows(100, start + Duration::from_micros(i * 100)))
            .count();
        assert!((100..=111).contains(&allowed), "{allowed}");
        assert!((0..1000).all(|_| limiter.allows(0, start)));
    }
}
