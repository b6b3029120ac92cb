//! How much of our links is in use, by what our interfaces send.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Samples closer to each other say nothing.
const LEAST: Duration = Duration::from_millis(200);

/// Rates of our interfaces.
#[derive(Debug, Default)]
pub(super) struct Load {
    last: Option<Instant>,
    sent: HashMap<Arc<str>, u64>,
    rates: HashMap<Arc<str>, f64>,
}

impl Load {
    /// Notes how many bytes each interface has sent by now.
    pub(super) fn sample(&mut self, sent: impl Iterator<Item = (Arc<str>, u64)>, now: Instant) {
        let passed = self.last.map(|last| now.duration_since(last));
        if passed.is_some_and(|passed| passed < LEAST) {
            return;
        }
        self.last = Some(now);
        for (name, bytes) in sent {
            let before = self.sent.insert(Arc::clone(&name), bytes);
            if let (Some(before), Some(passed)) = (before, passed) {
                let rate = bytes.saturating_sub(before) as f64 / passed.as_secs_f64();
                self.rates.insert(name, rate);
            }
        }
    }

    /// Bytes per second that an interface sends.
    pub(super) fn rate(&self, interface: &str) -> Option<f64> {
        self.rates.get(interface).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_was_sent_by_the_time_it_took() {
        let mut load = Load::default();
        let now = Instant::now();
        let eth0: Arc<str> = "eth0".into();
        let mut sample = |bytes, at| load.sample([(Arc::clone(&eth0), bytes)].into_iter(), at);
        sample(1000, now);
        sample(2000, now + Duration::from_millis(10));
        sample(5000, now + Duration::from_secs(2));
        assert_eq!(load.rate("eth0"), Some(2000.0));
        assert_eq!(load.rate("eth1"), None);
    }
}
