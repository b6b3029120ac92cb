//! When to compute: at once for the first change, and then not too often.

use std::time::{Duration, Instant};

/// The shortest time from one computation to the next.
const PAUSE: Duration = Duration::from_millis(50);
/// A computation is followed by a pause of so many times as long, so that a large topology leaves
/// time for everything else.
const SHARE: u32 = 4;

/// Keeps computations apart.
#[derive(Debug, Default)]
pub(super) struct Damping {
    /// When the next may begin.
    next: Option<Instant>,
}

impl Damping {
    /// When a computation for a change of `now` may begin: not before `now`.
    pub(super) fn due(&self, now: Instant) -> Instant {
        self.next.map_or(now, |next| next.max(now))
    }

    /// Notes that a computation began, and how long it took.
    pub(super) fn ran(&mut self, began: Instant, took: Duration) {
        self.next = Some(began + PAUSE.max(took + took * SHARE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_at_once_and_the_others_are_not() {
        let mut damping = Damping::default();
        let now = Instant::now();
        assert_eq!(damping.due(now), now);
        damping.ran(now, Duration::from_millis(2));
        assert_eq!(damping.due(now + Duration::from_millis(3)), now + PAUSE);
        let later = now + Duration::from_secs(1);
        assert_eq!(damping.due(later), later);
        // What takes long takes a fifth of the time at most.
        damping.ran(later, Duration::from_millis(40));
        assert_eq!(damping.due(later), later + Duration::from_millis(200));
    }
}
