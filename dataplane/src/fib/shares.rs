//! Which of weighted segment lists a flow takes, so that a change of the lists moves no more flows
//! than it has to.

/// Buckets that the flows of a policy are divided into. Many small numbers divide it, so that lists
/// with small weights have exactly their shares.
pub const BUCKETS: usize = 240;

/// Divides the buckets among lists with these weights: an index into `weights` for each. `before` says
/// whose each bucket was, by the same indices; `None`: of a list that is gone, or nobody's.
///
/// Each list has its share, one bucket at least, and keeps as many of its buckets as that allows. So
/// the flows of a list that goes are divided among the others by weight and theirs stay, and a list
/// that comes takes from each of the others what it has too much.
pub fn divide(weights: &[u32], before: &[Option<u16>]) -> Vec<u16> {
    if weights.len() <= 1 {
        return vec![0; weights.len()];
    }
    let mut left = shares(weights, before);
    let mut buckets: Vec<Option<u16>> = vec![None; left.iter().sum()];
    for (bucket, owner) in buckets.iter_mut().zip(before) {
        let share = owner.and_then(|owner| left.get_mut(usize::from(owner)));
        if let Some(share) = share.filter(|share| **share > 0) {
            *share -= 1;
            *bucket = *owner;
        }
    }
    let missing = left.iter().enumerate();
    let mut missing = missing.flat_map(|(list, left)| std::iter::repeat_n(list as u16, *left));
    buckets.into_iter().map(|owner| owner.or_else(|| missing.next()).unwrap_or(0)).collect()
}

/// How many buckets each list has: its part of [`BUCKETS`] by weight, rounded so that the sum is right,
/// and one at least. Where no list is new, rounding takes none from a list that has it already.
fn shares(weights: &[u32], before: &[Option<u16>]) -> Vec<usize> {
    let size = BUCKETS.max(weights.len());
    let weight = |at: usize| weights.get(at).map_or(1, |weight| u64::from((*weight).max(1)));
    let total: u64 = (0..weights.len()).map(weight).sum();
    let part = |at: usize| weight(at) * size as u64;
    let mut had = vec![0; weights.len()];
    for owner in before.iter().flatten() {
        if let Some(had) = had.get_mut(usize::from(*owner)) {
            *had += 1;
        }
    }
    let some_new = had.contains(&0);
    let least = |(at, had): (usize, &usize)| match some_new {
        true => ((part(at) / total) as usize).max(1),
        false => (part(at).div_ceil(total) as usize).min(*had),
    };
    let mut shares: Vec<usize> = had.iter().enumerate().map(least).collect();
    let mut sum: usize = shares.iter().sum();
    while sum < size {
        // To the one that lacks most.
        let lack = |at: &usize| part(*at) as i64 - (shares[*at] as u64 * total) as i64;
        let most = (0..shares.len()).rev().max_by_key(lack).unwrap_or(0);
        shares[most] += 1;
        sum += 1;
    }
    while sum > size {
        // What lists have that would have less than one is taken from the largest.
        let Some(most) = shares.iter_mut().max() else { break };
        *most -= 1;
        sum -= 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weights() -> impl Strategy<Value = Vec<u32>> {
        proptest::collection::vec(1_u32..=255, 1..20)
    }

    fn share(buckets: &[u16], list: usize) -> usize {
        buckets.iter().filter(|owner| usize::from(**owner) == list).count()
    }

    /// The buckets by the indices that the lists have once one of them is gone.
    fn without(buckets: &[u16], gone: usize) -> Vec<Option<u16>> {
        let new = |owner: &u16| match usize::from(*owner) {
            owner if owner == gone => None,
            owner => Some((owner - usize::from(owner > gone)) as u16),
        };
        buckets.iter().map(new).collect()
    }

    #[test]
    fn small_weights_have_exactly_their_shares() {
        assert_eq!(divide(&[1], &[]), [0]);
        assert_eq!(divide(&[], &[]), [0; 0]);
        for weights in [&[1, 3][..], &[1, 1, 1], &[1, 2, 3, 4], &[5, 10]] {
            let buckets = divide(weights, &[]);
            let total: u32 = weights.iter().sum();
            for (list, weight) in weights.iter().enumerate() {
                assert_eq!(share(&buckets, list) * total as usize, BUCKETS * *weight as usize);
            }
        }
        let many = vec![1; 1000];
        assert_eq!(divide(&many, &[]).len(), 1000);
    }

    proptest! {
        /// C-089: shares are proportional, and nobody has nothing.
        #[test]
        fn shares_are_proportional(weights in weights()) {
            let buckets = divide(&weights, &[]);
            let total: u32 = weights.iter().sum();
            prop_assume!(weights.len() > 1);
            prop_assert_eq!(buckets.len(), BUCKETS);
            for (list, weight) in weights.iter().enumerate() {
                let ideal = f64::from(*weight) * BUCKETS as f64 / f64::from(total);
                let share = share(&buckets, list);
                // One that is raised to a whole bucket takes from the largest.
                let raised = weights.len() as f64;
                prop_assert!(share >= 1 && (share as f64 - ideal).abs() <= raised, "{share} {ideal}");
            }
        }

        /// C-089: a list that goes moves its own flows and no others; when it is back, only flows to it
        /// move.
        #[test]
        fn a_list_that_goes_moves_only_its_own_flows(weights in weights(), gone: prop::sample::Index) {
            prop_assume!(weights.len() > 2);
            let gone = gone.index(weights.len());
            let all = divide(&weights, &[]);
            let mut fewer = weights.clone();
            fewer.remove(gone);
            let before = without(&all, gone);
            let after = divide(&fewer, &before);
            for (owner, now) in before.iter().zip(&after) {
                if let Some(owner) = owner {
                    prop_assert_eq!(owner, now);
                }
            }
            let back: Vec<Option<u16>> = after
                .iter()
                .map(|owner| Some(owner + u16::from(usize::from(*owner) >= gone)))
                .collect();
            let again = divide(&weights, &back);
            let elsewhere = |(owner, now): &(&Option<u16>, &u16)| {
                **owner != Some(**now) && usize::from(**now) != gone
            };
            // But for what rounding gives back.
            prop_assert!(back.iter().zip(&again).filter(elsewhere).count() < weights.len());
            for list in 0..weights.len() {
                prop_assert_eq!(share(&again, list), share(&all, list));
            }
        }

        /// The same lists have the same buckets.
        #[test]
        fn nothing_new_moves_nothing(weights in weights()) {
            let buckets = divide(&weights, &[]);
            let before: Vec<_> = buckets.iter().map(|owner| Some(*owner)).collect();
            prop_assert_eq!(divide(&weights, &before), buckets);
        }
    }
}
