//! Plans follow their seed, have every kind, and never ask for two faults of one node at once.

use super::*;
use crate::Profile;
use crate::kind::of_profile;

const LENGTH_MS: u64 = 160_000;

fn plan(seed: u64) -> Plan {
    Plan::make(seed, &of_profile(Profile::Mix, seed), 5, LENGTH_MS).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_plan() {
    assert_eq!(plan(42), plan(42));
    assert_ne!(plan(42).faults, plan(43).faults);
    assert_eq!(plan(42).lines(), plan(42).lines());
}

#[test]
fn every_kind_comes_and_a_quarter_of_the_time_is_calm() {
    for seed in 0..50 {
        let plan = plan(seed);
        for kind in of_profile(Profile::Mix, seed) {
            assert!(plan.faults.iter().any(|fault| fault.kind == kind), "{} with seed {seed}", kind.name());
        }
        let mut busy_ms = 0;
        let mut until = 0;
        for fault in &plan.faults {
            let end = fault.begin_ms + fault.length_ms;
            busy_ms += end.saturating_sub(fault.begin_ms.max(until));
            until = until.max(end);
        }
        assert!(until <= LENGTH_MS);
        assert!(busy_ms < LENGTH_MS * 3 / 4, "{busy_ms} ms busy with seed {seed}");
        assert!(busy_ms > LENGTH_MS / 4, "{busy_ms} ms busy with seed {seed}");
    }
}

#[test]
fn no_two_faults_have_one_node_at_once_and_at_most_three_overlap() {
    for seed in 0..50 {
        let plan = Plan::make(seed, &Kind::ALL, 5, 400_000).unwrap();
        for (place, fault) in plan.faults.iter().enumerate() {
            let end = fault.begin_ms + fault.length_ms + RETURN_MS;
            let later = plan.faults.iter().skip(place + 1).filter(|other| other.begin_ms < end);
            let meeting: Vec<_> = later.collect();
            assert!(meeting.len() <= 2, "seed {seed}");
            for other in meeting {
                let share = fault.nodes.iter().any(|node| other.nodes.contains(node));
                let links = fault.kind.needs() == Needs::Links || other.kind.needs() == Needs::Links;
                assert!(!share || links, "{:?} and {:?} with seed {seed}", fault, other);
            }
        }
    }
}

#[test]
fn files_are_damaged_on_one_node_only() {
    let plan = Plan::make(9, &Kind::ALL, 5, 900_000).unwrap();
    let damaged = plan.faults.iter().filter(|fault| fault.kind.needs() == Needs::Victim);
    let victims: std::collections::BTreeSet<&[u32]> = damaged.map(|fault| fault.nodes.as_slice()).collect();
    assert_eq!(victims.len(), 1);
}

#[test]
fn a_time_that_is_too_short_is_refused_with_one_that_is_enough() {
    let error = Plan::make(1, &Kind::ALL, 5, 10_000).unwrap_err();
    assert!(Plan::make(1, &Kind::ALL, 5, error.needed_s * 1000).is_ok());
    assert!(error.to_string().contains("--time"), "{error}");
}
