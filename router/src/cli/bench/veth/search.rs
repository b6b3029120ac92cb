//! The highest rate at which a router loses no more than so much, in the manner of MLRsearch: few
//! long trials, more short ones, and a vote where a machine with other things to do gives different
//! answers to the same question.
//!
//! ```text
//!   begin at the rate that was delivered at most
//!   1. outwards, by growing steps, until one rate is good and a higher one is bad  (short trials)
//!   2. halve the gap until it is as narrow as asked for                         (longer trials)
//!   3. is the good one still good?  no: it is the bad one now, and a step down   (full trials)
//! ```

use std::time::Duration;

/// Trials that a rate is judged by at most; the majority decides.
const VOTES: usize = 3;

/// What a trial showed.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// Packets a second that were really offered.
    pub offered: f64,
    /// The part of them that was lost.
    pub loss: f64,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Length of the longest trials.
    pub duration: Duration,
    /// How far a good rate may be below a bad one, as a part of it.
    pub width: f64,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Packets a second, as they were really offered.
    pub rate: f64,
    /// Whether the generator could offer no more: the router may be faster.
    pub generator_limited: bool,
}

/// A generator that offers less than this part of what it was asked for was the limit itself.
const HELD: f64 = 0.97;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    Good,
    Bad,
    /// The generator could not do it, and what it did was good.
    OutOfReach,
}

/// One search: trials are kept, so that a second goal can use those of the first.
#[derive(Debug)]
pub struct Search<T> {
    trial: T,
    settings: Settings,
    /// Rate asked for, length, and what was shown.
    trials: Vec<(f64, Duration, Shown)>,
}

impl<T: FnMut(f64, Duration) -> anyhow::Result<Shown>> Search<T> {
    /// A search by trials of so many packets a second, so long.
    pub fn new(settings: Settings, trial: T) -> Self {
        Self { trial, settings, trials: Vec::new() }
    }

    /// How many trials it took so far.
    pub fn trials(&self) -> usize {
        self.trials.len()
    }

    /// The highest rate with a loss of at most `ratio`, beginning at `start`; `None` where there is
    /// loss even at a thousandth of that.
    pub fn find(&mut self, ratio: f64, start: f64) -> anyhow::Result<Option<Found>> {
        let Settings { duration, width } = self.settings;
        let Some((mut good, bad)) = self.bracket(ratio, start, duration / 4)? else {
            return Ok(None);
        };
        let Some(mut bad) = bad else {
            return Ok(Some(self.found(good, true)));
        };
        while bad / good > 1.0 + width {
            let middle = (good * bad).sqrt();
            match self.judge(middle, ratio, duration / 2)? {
                Verdict::Good => good = middle,
                Verdict::Bad => bad = middle,
                Verdict::OutOfReach => return Ok(Some(self.found(middle, true))),
            }
        }
        let mut step = width;
        while self.judge(good, ratio, duration)? == Verdict::Bad {
            good /= 1.0 + step;
            step *= 1.5;
            if good < start / 1000.0 {
                return Ok(None);
            }
        }
        Ok(Some(self.found(good, false)))
    }

    /// A good rate, and a bad one above it unless the generator cannot do that.
    fn bracket(
        &mut self,
        ratio: f64,
        start: f64,
        duration: Duration,
    ) -> anyhow::Result<Option<(f64, Option<f64>)>> {
        let (mut good, mut bad) = (None, None);
        let (mut rate, mut step) = (start, 4.0 * self.settings.width);
        loop {
            match self.judge(rate, ratio, duration)? {
                Verdict::Good => good = Some(rate),
                Verdict::Bad => bad = Some(rate),
                Verdict::OutOfReach => return Ok(Some((rate, None))),
            }
            match (good, bad) {
                (Some(good), Some(bad)) => return Ok(Some((good, Some(bad)))),
                (Some(_), None) => rate *= 1.0 + step,
                (None, _) => rate /= 1.0 + step,
            }
            if rate < start / 1000.0 {
                return Ok(None);
            }
            step *= 2.0;
        }
    }

    fn judge(&mut self, rate: f64, ratio: f64, duration: Duration) -> anyhow::Result<Verdict> {
        let majority = VOTES / 2 + 1;
        loop {
            // Of all trials so far at this rate that are long enough.
            let (mut good, mut bad, mut short) = (0, 0, 0);
            for (asked, length, shown) in &self.trials {
                if *asked == rate && *length >= duration {
                    if shown.loss > ratio {
                        bad += 1;
                    } else if shown.offered < asked * HELD {
                        short += 1;
                    } else {
                        good += 1;
                    }
                }
            }
            if bad >= majority {
                return Ok(Verdict::Bad);
            } else if good >= majority {
                return Ok(Verdict::Good);
            } else if short >= majority {
                return Ok(Verdict::OutOfReach);
            }
            let shown = (self.trial)(rate, duration)?;
            self.trials.push((rate, duration, shown));
        }
    }

    /// What was really offered when this was asked for: the median.
    fn found(&self, rate: f64, generator_limited: bool) -> Found {
        let at = self.trials.iter().filter(|trial| trial.0 == rate);
        let mut offered: Vec<f64> = at.map(|trial| trial.2.offered).collect();
        offered.sort_by(f64::total_cmp);
        let rate = offered.get(offered.len() / 2).copied().unwrap_or(rate);
        Found { rate, generator_limited }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::routes::Numbers;
    use super::*;

    const SETTINGS: Settings = Settings { duration: Duration::from_millis(400), width: 0.01 };

    /// A router with room for a burst, that stops for a moment now and then.
    struct Simulated {
        capacity: f64,
        /// How much a trial's capacity differs from that at most, as a part of it.
        noise: f64,
        /// How many trials of a hundred have a hiccup that loses a few packets at any rate.
        hiccups: u64,
        /// What the generator can do.
        most: f64,
        numbers: Numbers,
        time: Duration,
    }

    impl Simulated {
        fn new(capacity: f64, noise: f64, hiccups: u64) -> Self {
            let (most, numbers) = (f64::INFINITY, Numbers(7));
            Self { capacity, noise, hiccups, most, numbers, time: Duration::ZERO }
        }

        fn trial(&mut self, rate: f64, duration: Duration) -> Shown {
            self.time += duration;
            let draw = (self.numbers.draw() >> 11) as f64 / (1_u64 << 53) as f64;
            let capacity = self.capacity * (1.0 + self.noise * (2.0 * draw - 1.0));
            let offered = rate.min(self.most);
            let over = (offered - capacity).max(0.0) / offered;
            let hiccup = self.numbers.draw() % 100 < self.hiccups;
            Shown { offered, loss: over + if hiccup { 1e-5 } else { 0.0 } }
        }

        fn search(&mut self, ratio: f64, start: f64) -> Option<Found> {
            let mut search = Search::new(SETTINGS, |rate, duration| Ok(self.trial(rate, duration)));
            search.find(ratio, start).unwrap()
        }
    }

    #[test]
    fn finds_the_capacity_from_anywhere() {
        for start in [0.2e6, 1.0e6, 1.37e6, 9e6] {
            let found = Simulated::new(1.37e6, 0.0, 0).search(0.0, start).unwrap();
            let part = found.rate / 1.37e6;
            assert!((0.99..=1.0).contains(&part), "from {start}: {part} of it");
            assert!(!found.generator_limited);
        }
    }

    #[test]
    fn noise_is_voted_down() {
        for seed in 0..50 {
            let mut router = Simulated::new(1e6, 0.02, 10);
            router.numbers = Numbers(seed);
            let found = router.search(0.0, 1.1e6).unwrap();
            let part = found.rate / 1e6;
            assert!((0.93..=1.03).contains(&part), "seed {seed}: {part}");
            assert!(router.time < Duration::from_secs(12), "seed {seed}: {:?}", router.time);
        }
    }

    #[test]
    fn a_second_goal_uses_the_trials_of_the_first() {
        let mut router = Simulated::new(1e6, 0.0, 0);
        let mut search = Search::new(SETTINGS, |rate, duration| Ok(router.trial(rate, duration)));
        let partial = search.find(0.005, 1e6).unwrap().unwrap();
        let first = search.trials();
        let none = search.find(0.0, 1e6).unwrap().unwrap();
        assert!(none.rate <= partial.rate && partial.rate <= 1.005e6 + 1.0);
        assert!(search.trials() - first < first, "{first}, then {}", search.trials());
    }

    #[test]
    fn a_generator_that_cannot_do_more_is_told_apart() {
        let mut router = Simulated::new(9e6, 0.0, 0);
        router.most = 2e6;
        let found = router.search(0.0, 1.9e6).unwrap();
        assert!(found.generator_limited);
        assert!((found.rate - 2e6).abs() < 1.0);
    }

    #[test]
    fn a_router_that_always_loses_has_no_such_rate() {
        assert_eq!(Simulated::new(1e6, 0.0, 100).search(0.0, 1e6), None);
        // But one with a little loss allowed.
        let found = Simulated::new(1e6, 0.0, 100).search(0.005, 1e6).unwrap();
        assert!((0.99e6..=1.01e6).contains(&found.rate));
    }

    #[test]
    fn the_first_error_ends_it() {
        let mut search = Search::new(SETTINGS, |_, _| anyhow::bail!("the router is gone"));
        assert!(search.find(0.0, 1e6).is_err());
    }
}
