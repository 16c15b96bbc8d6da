//! Measures callbacks: creates timers that are due soon, and compares when each callback arrived with when it
//! was due. All at one instant gives the rate, spread out over an idle server gives the lateness.

use std::net::SocketAddr;
use std::time::Duration;

use crate::clock;
use crate::latency::Latencies;
use crate::load::{self, Load, LoadError};
use crate::receiver::Receiver;
use crate::request::Ids;

/// What to fire.
#[derive(Clone, Debug)]
pub struct Firing<'a> {
    /// The nodes.
    pub targets: &'a [SocketAddr],
    /// Connections that create the timers.
    pub clients: usize,
    /// Names the timers.
    pub run: u64,
    /// Timers.
    pub count: usize,
    /// From now to the first due time. All timers must be created before it.
    pub lead: Duration,
    /// From the first due time to the last; zero makes all due in the same instant.
    pub spread: Duration,
    /// How long after the last due time is waited for stragglers.
    pub wait_max: Duration,
}

/// What arrived.
#[derive(Debug)]
pub struct Fired {
    /// Timers whose callback arrived.
    pub delivered: usize,
    /// Timers whose callback did not arrive in time.
    pub missing: usize,
    /// Callbacks beyond the first of their timer.
    pub repeated: usize,
    /// Callbacks that arrived before their due time; each breaks a promise.
    pub early: usize,
    /// Arrival less due time.
    pub lateness: Latencies,
    /// From the last due time to the last arrival.
    pub drained_in: Duration,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum FiringError {
    /// The receiver could not listen.
    #[error("the receiver cannot listen: {0}")]
    Receiver(#[from] std::io::Error),
    /// The timers could not be created.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Creating the timers took so long that the first were due meanwhile.
    #[error("{created} of {count} timers were created before the first was due: give them a longer lead")]
    LeadTooShort {
        /// Acknowledged in time.
        created: u64,
        /// Wanted.
        count: usize,
    },
}

/// Runs the measurement. Must be called within a `LocalSet`.
///
/// # Errors
/// When the timers could not all be created in time.
pub async fn run(firing: &Firing<'_>) -> Result<Fired, FiringError> {
    let ids = Ids::new(firing.run);
    let receiver = Receiver::start(ids.clone(), firing.count).await?;
    let first_due_us = clock::from_now_us(firing.lead);
    let due_us = |number: usize| due(firing, first_due_us, number);

    let loaded = load::run(&Load {
        targets: firing.targets,
        routes: None,
        clients: firing.clients,
        ids: &ids,
        due_us: &due_us,
        callback_url: &receiver.url(),
        payload_bytes: 100,
        count_max: firing.count,
        duration_max: clock::until(first_due_us),
        failures_max: load::FAILURES_MAX,
        warm_up: Duration::ZERO,
    })
    .await?;
    if loaded.created < firing.count as u64 || clock::now_us() >= first_due_us {
        return Err(FiringError::LeadTooShort { created: loaded.created, count: firing.count });
    }

    let last_due_us = due_us(firing.count - 1);
    receiver.wait(clock::until(last_due_us) + firing.wait_max).await;
    Ok(evaluate(&receiver.first_us(), &due_us, receiver.repeated(), last_due_us))
}

/// When timer `number` is due, on a whole millisecond.
fn due(firing: &Firing<'_>, first_due_us: u64, number: usize) -> u64 {
    let spread_ms = firing.spread.as_millis() * (number as u128) / (firing.count as u128);
    first_due_us.saturating_add(u64::try_from(spread_ms).unwrap_or(u64::MAX).saturating_mul(1000))
}

fn evaluate(first_us: &[u64], due_us: &dyn Fn(usize) -> u64, repeated: usize, last_due_us: u64) -> Fired {
    let mut fired = Fired {
        delivered: 0,
        missing: 0,
        repeated,
        early: 0,
        lateness: Latencies::new(),
        drained_in: Duration::ZERO,
    };
    for (number, &arrived_us) in first_us.iter().enumerate() {
        if arrived_us == 0 {
            fired.missing += 1;
            continue;
        }
        fired.delivered += 1;
        match arrived_us.checked_sub(due_us(number)) {
            Some(late_us) => fired.lateness.add(late_us),
            None => fired.early += 1,
        }
        let after_last = Duration::from_micros(arrived_us.saturating_sub(last_due_us));
        fired.drained_in = fired.drained_in.max(after_last);
    }
    fired
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_early_callbacks_are_told_apart() {
        let fired = evaluate(&[1_002_000, 0, 999_999], &|_| 1_000_000, 4, 1_000_000);
        assert_eq!((fired.delivered, fired.missing, fired.early, fired.repeated), (2, 1, 1, 4));
        assert_eq!(fired.lateness.len(), 1);
        assert_eq!(fired.drained_in, Duration::from_millis(2));
    }

    #[test]
    fn due_times_are_spread_evenly_on_whole_milliseconds() {
        let firing = Firing {
            targets: &[],
            clients: 1,
            run: 1,
            count: 200,
            lead: Duration::ZERO,
            spread: Duration::from_secs(20),
            wait_max: Duration::ZERO,
        };
        assert_eq!(due(&firing, 1000, 0), 1000);
        assert_eq!(due(&firing, 1000, 1), 101_000);
        assert_eq!(due(&firing, 1000, 199), 19_901_000);
    }
}
