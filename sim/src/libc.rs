//! Takes the place of two functions of libc, so that nothing in this process can read a clock or entropy that the
//! seed did not set: not the keys of `HashMap`, not openraft's `rand::rng()`, not hyper's `Date`, not the pools
//! that ask `Instant` for the age of a connection. madsim does the same.
//!
//! The product needs no change for that. One process simulates one seed, so plain statics are enough. Deliberately
//! absent: a way back to real time within a process that has begun to simulate, but for [`real_ns`].
#![allow(unsafe_code, reason = "these are C functions")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Nanoseconds since 1970 that every clock shows; 0: the real ones.
static NOW_NS: AtomicU64 = AtomicU64::new(0);
/// What the random bytes come from.
static ENTROPY: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);

/// Sets what all random bytes of this process come from.
pub fn seed(seed: u64) {
    ENTROPY.store(seed, Ordering::Relaxed);
}

/// Sets what all clocks show: the time since 1970.
pub fn set_now(since_epoch: Duration) {
    NOW_NS.store(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Nanoseconds of CPU that this process has used.
#[must_use]
pub fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// SplitMix64.
fn next() -> u64 {
    let mut z = ENTROPY.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// libc's `getrandom`.
///
/// # Safety
/// As libc's: `bytes` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(bytes: *mut u8, length: usize, _flags: u32) -> isize {
    let mut at = 0;
    while at < length {
        for byte in next().to_le_bytes().into_iter().take(length - at) {
            // SAFETY: `at` is below `length`.
            unsafe { bytes.add(at).write(byte) };
            at += 1;
        }
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// libc's `clock_gettime`.
///
/// # Safety
/// As libc's: `time` points to a timespec.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    let now_ns = NOW_NS.load(Ordering::Relaxed);
    if now_ns == 0 {
        // SAFETY: the caller's pointer goes on as it came.
        return libc::c_int::try_from(unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) })
            .unwrap_or(-1);
    }
    let seconds = i64::try_from(now_ns / 1_000_000_000).unwrap_or(i64::MAX);
    let nanos = i64::try_from(now_ns % 1_000_000_000).unwrap_or(0);
    // SAFETY: the caller's pointer is to a timespec.
    unsafe { time.write(libc::timespec { tv_sec: seconds, tv_nsec: nanos }) };
    0
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::RandomState;
    use std::hash::BuildHasher as _;
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    use super::*;

    /// One test, since it is about the whole process.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the clock is what is tested")]
    fn hashes_random_numbers_and_clocks_follow_the_seed() {
        let draw = || {
            seed(7);
            let drawn = std::thread::spawn(|| (RandomState::new().hash_one(1), rand_of_the_crate()));
            drawn.join().unwrap()
        };
        assert_eq!(draw(), draw());
        set_now(Duration::from_secs(1_000_000));
        let began = Instant::now();
        set_now(Duration::from_secs(1_000_005));
        assert_eq!(began.elapsed(), Duration::from_secs(5));
        assert_eq!(SystemTime::now().duration_since(UNIX_EPOCH).unwrap(), Duration::from_secs(1_000_005));
        set_now(Duration::ZERO);
    }

    /// By way of the crate `getrandom`, which looks the function up at run time.
    fn rand_of_the_crate() -> [u8; 8] {
        let mut bytes = [0; 8];
        getrandom_crate::fill(&mut bytes).unwrap();
        bytes
    }
}
