//! How long to wait after a failed attempt. Integers only, and the jitter is a hash instead of a random
//! number, so that every replica comes to the same millisecond.

use crate::definition::RetryPolicy;
use crate::ids::Sequence;
use crate::mutant::Mutant;
use crate::time::Span;

/// Milliseconds are counted in thousandths while they grow, so that 1 ms times 1.5 does not stay 1 ms.
const SCALE: u64 = 1000;

/// The wait after the failed attempt `attempt` of `generation`, when `failures` >= 1 attempts that the policy
/// counts have failed.
///
/// It is `initial_interval * multiplier^(failures - 1)`, at most `interval_max`, less a share of up to
/// `jitter`: never longer than `interval_max`, so that bounds hold without a margin.
#[must_use]
pub fn backoff(policy: &RetryPolicy, failures: u32, generation: Sequence, attempt: u32) -> Span {
    if Mutant::BackoffIgnored.is_on() {
        return Span(0);
    }
    let most = policy.interval_max.0.saturating_mul(SCALE);
    let mut wait = policy.initial_interval.0.saturating_mul(SCALE).min(most);
    for _ in 1..failures {
        let longer = wait.saturating_mul(u64::from(policy.multiplier_milli)) / 1000;
        if longer >= most || longer <= wait {
            wait = longer.clamp(wait, most);
            break;
        }
        wait = longer;
    }
    let jitter = u128::from(policy.jitter_milli.min(1000)) * u128::from(wait) / 1000;
    let share = u128::from(splitmix64(generation.0 ^ u64::from(attempt).rotate_left(48)));
    let off = (jitter * share) >> 64;
    // `off` <= `wait`, because the share is below 1 and the jitter at most the whole wait.
    Span((wait - off as u64) / SCALE)
}

/// The output function of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014), here as a hash of one word: near inputs give unrelated outputs.
const fn splitmix64(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady() -> RetryPolicy {
        RetryPolicy { jitter_milli: 0, ..RetryPolicy::default() }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<u64> =
            [1, 2, 3, 12, 13, 100].map(|n| backoff(&steady(), n, Sequence(1), n).0).to_vec();
        assert_eq!(waits, [1000, 2000, 4000, 2_048_000, 3_600_000, 3_600_000]);
    }

    #[test]
    fn a_fraction_of_a_millisecond_is_not_lost_while_it_grows() {
        let policy = RetryPolicy { initial_interval: Span(1), multiplier_milli: 1500, ..steady() };
        assert_eq!([1, 2, 3, 4].map(|n| backoff(&policy, n, Sequence(1), n).0), [1, 1, 2, 3]);
    }

    #[test]
    fn a_multiplier_of_one_keeps_the_wait() {
        let policy = RetryPolicy { multiplier_milli: 1000, ..steady() };
        assert_eq!(backoff(&policy, 50, Sequence(1), 50), Span(1000));
    }

    #[test]
    fn extreme_policies_do_not_overflow() {
        let policy = RetryPolicy {
            initial_interval: Span(u64::MAX),
            interval_max: Span(u64::MAX),
            multiplier_milli: u32::MAX,
            ..RetryPolicy::default()
        };
        assert!(backoff(&policy, u32::MAX, Sequence(u64::MAX), u32::MAX).0 <= u64::MAX / SCALE);
    }

    #[test]
    fn jitter_takes_off_up_to_its_share_and_differs_by_generation_and_attempt() {
        let policy = RetryPolicy { initial_interval: Span(100_000), ..RetryPolicy::default() };
        let waits: Vec<u64> = (0..1000).map(|g| backoff(&policy, 1, Sequence(g), 1).0).collect();
        assert!(waits.iter().all(|w| (80_000..=100_000).contains(w)));
        let mean = waits.iter().sum::<u64>() / 1000;
        assert!((89_000..91_000).contains(&mean), "{mean}");
        assert_ne!(backoff(&policy, 1, Sequence(7), 1), backoff(&policy, 1, Sequence(7), 2));
    }

    #[test]
    fn splitmix64_gives_the_published_sequence() {
        // The reference generator seeded with 0 gives these first.
        assert_eq!(splitmix64(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(splitmix64(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }
}
