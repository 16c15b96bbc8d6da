//! The search against the fast path, on random histories.

use crate::index::HistoryBuilder;
use crate::linearizability::{Judgement, judge, operations, search};
use crate::specimen::{Falsehood, Specimen, falsify_read};

#[test]
fn the_search_alone_comes_to_the_same_judgement_as_with_the_fast_path() {
    let (mut fits, mut misfits) = (0, 0);
    for seed in 0..200 {
        let specimen = Specimen { seed, timers: 4, operations: 15, unknown_permille: seed % 3 * 100 };
        let mut events = specimen.events();
        let falsified = seed % 2 == 0 && falsify_read(&mut events, 1, Falsehood::Version);
        let mut builder = HistoryBuilder::new();
        for (line, event) in events.into_iter().enumerate() {
            builder.push(line as u64 + 1, event).unwrap();
        }
        let mut wrong = 0;
        for timer in &builder.finish().unwrap().timers {
            let both = judge(timer);
            let alone = search::search(&operations::prepare(&timer.operations));
            assert_eq!(alone, both, "seed {seed}, timer {}", timer.name);
            wrong += u32::from(both != Judgement::Linearizable);
        }
        assert!(wrong <= u32::from(falsified), "seed {seed}");
        fits += 4 - wrong;
        misfits += wrong;
    }
    assert!(fits > 600 && misfits > 50, "{fits} and {misfits}");
}
