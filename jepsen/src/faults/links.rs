//! Faults of links between nodes: partitions of four shapes, connections that are refused, and packets that are lost,
//! late, out of order or doubled. Clients reach every node all the while.

use super::Effect;
use crate::detour::{Pair, Way};
use crate::network::Rule;
use crate::plan::Planned;
use crate::random::Random;
use crate::shell::blocking;
use crate::stage::Stage;

/// Pairs of a node and one that it does not hear.
type Cuts = Vec<(u32, u32)>;

/// Who does not hear whom, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A minority and the rest.
    Minority,
    /// The same, but TCP is reset.
    Refused,
    /// Each hears its two neighbours.
    Ring,
    /// Two halves that meet in one node only.
    Bridge,
    /// One hears nobody, or nobody hears it.
    OneWay,
    /// All hear each other, badly.
    Lossy,
}

/// What happens to packets that arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detours {
    /// They are late, each link by its own time: up to what another continent takes.
    Late,
    /// They overtake each other.
    Shuffled,
    /// Some come twice.
    Doubled,
}

/// Leads packets a long way, holds, and lets them take the short one again.
pub(super) async fn divert(stage: &Stage, planned: &Planned, detours: Detours) -> anyhow::Result<Effect> {
    let detour = stage.detour()?;
    let mut random = Random::new(planned.draw);
    let ways: Vec<(Pair, Way)> =
        diverted(planned).into_iter().map(|pair| (pair, detours.way(&mut random))).collect();
    let before = detour.touched();
    for (pair, way) in &ways {
        detour.set(*pair, Some(*way));
    }
    let diverted = reroute(stage, &ways, true).await;
    stage.hold(planned.length_ms).await;
    let packets = detour.touched() - before;
    let righted = reroute(stage, &ways, false).await;
    for (pair, _) in &ways {
        detour.set(*pair, None);
    }
    diverted?;
    righted?;
    Ok(Effect::when(
        packets > 0,
        format!("{packets} packets of {} directed links were {}", ways.len(), detours.word()),
    ))
}

impl Detours {
    fn way(self, random: &mut Random) -> Way {
        match self {
            Self::Late => Way::Late(random.between(5, 60)),
            Self::Shuffled => Way::Shuffled(random.between(5, 50)),
            Self::Doubled => Way::Doubled(random.between(10, 50)),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Shuffled => "overtaken",
            Self::Doubled => "doubled",
        }
    }
}

/// All links, or those of one node.
fn diverted(planned: &Planned) -> Vec<Pair> {
    let order = &planned.nodes;
    let all = order.iter().flat_map(|from| order.iter().map(move |to| (*from, *to))).filter(|(a, b)| a != b);
    let one = order.first().copied().filter(|_| planned.draw.is_multiple_of(2));
    all.filter(|(from, to)| one.is_none_or(|one| *from == one || *to == one)).collect()
}

async fn reroute(stage: &Stage, ways: &[(Pair, Way)], divert: bool) -> anyhow::Result<()> {
    let network = stage.network.clone();
    let pairs: Vec<Pair> = ways.iter().map(|(pair, _)| *pair).collect();
    blocking(move || {
        let mut first = Ok(());
        for pair in pairs {
            // All of them, even if one fails.
            first = first.and(network.divert(pair, divert));
        }
        first
    })
    .await
}

/// Cuts links, holds, joins them.
pub(super) async fn cut(stage: &Stage, planned: &Planned, shape: Shape) -> anyhow::Result<Effect> {
    let (rule, cuts) = cuts(planned, shape);
    let before = met(stage, rule, &cuts).await?;
    for (at, from) in &cuts {
        stage.book.cut(*at, *from);
    }
    let applied = each(stage, rule, &cuts, true).await;
    stage.hold(planned.length_ms).await;
    let after = met(stage, rule, &cuts).await;
    let lifted = each(stage, rule, &cuts, false).await;
    for (at, from) in &cuts {
        stage.book.join(*at, *from);
    }
    applied?;
    lifted?;
    let packets = after?.saturating_sub(before);
    let pairs = cuts.len();
    Ok(Effect::when(packets > 0, format!("{packets} packets met the rules of {pairs} directed links")))
}

async fn each(stage: &Stage, rule: Rule, cuts: &Cuts, apply: bool) -> anyhow::Result<()> {
    let (network, cuts) = (stage.network.clone(), cuts.clone());
    blocking(move || {
        let mut first = Ok(());
        for (at, from) in cuts {
            let done = if apply { network.apply(at, rule, from) } else { network.lift(at, rule, from) };
            // All of them, even if one fails.
            first = first.and(done);
        }
        first
    })
    .await
}

/// Packets that the rules have met so far at the nodes concerned.
async fn met(stage: &Stage, rule: Rule, cuts: &Cuts) -> anyhow::Result<u64> {
    let mut nodes: Vec<u32> = cuts.iter().map(|(at, _)| *at).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let network = stage.network.clone();
    blocking(move || nodes.iter().map(|node| network.met(*node, rule)).sum()).await
}

/// The pairs of a shape.
fn cuts(planned: &Planned, shape: Shape) -> (Rule, Cuts) {
    let order = &planned.nodes;
    let count = order.len();
    let minority = (count - 1) / 2;
    let place = |node: u32| order.iter().position(|other| *other == node).unwrap_or(0);
    let all = |apart: &dyn Fn(usize, usize) -> bool| -> Cuts {
        let pairs = order.iter().flat_map(|at| order.iter().map(move |from| (*at, *from)));
        pairs.filter(|(at, from)| at != from && apart(place(*at), place(*from))).collect()
    };
    match shape {
        Shape::Minority => (Rule::Cut, all(&|a, b| (a < minority) != (b < minority))),
        Shape::Refused => (Rule::Refused, all(&|a, b| (a < minority) != (b < minority))),
        Shape::Ring if count > 3 => {
            (Rule::Cut, all(&|a, b| (a + count - b) % count > 1 && (b + count - a) % count > 1))
        }
        // Of three nodes all are neighbours, so there it is a chain.
        Shape::Ring => (Rule::Cut, all(&|a, b| a.abs_diff(b) > 1)),
        Shape::Bridge => {
            let middle = count / 2;
            (Rule::Cut, all(&|a, b| (a < middle && b > middle) || (a > middle && b < middle)))
        }
        Shape::Lossy => (Rule::Lossy, all(&|_, _| true)),
        Shape::OneWay if planned.draw.is_multiple_of(2) => (Rule::Cut, all(&|a, _| a == 0)),
        Shape::OneWay => (Rule::Cut, all(&|_, b| b == 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(shape: Shape, nodes: u32) -> Cuts {
        let (kind, nodes) = (crate::kind::Kind::PartitionRing, (1..=nodes).collect());
        cuts(&Planned { kind, begin_ms: 0, length_ms: 1, nodes, receiver: None, draw: 2 }, shape).1
    }

    #[test]
    fn a_minority_is_cut_off_both_ways() {
        let cuts = of(Shape::Minority, 5);
        assert_eq!(cuts.len(), 12);
        assert!(cuts.contains(&(1, 5)) && cuts.contains(&(5, 1)));
        assert!(!cuts.contains(&(1, 2)) && !cuts.contains(&(3, 5)));
    }

    #[test]
    fn in_a_ring_each_hears_two_and_across_a_bridge_all_hear_the_middle() {
        let ring = of(Shape::Ring, 5);
        for at in 1..=5 {
            assert_eq!(ring.iter().filter(|(node, _)| *node == at).count(), 2, "node {at}");
        }
        let bridge = of(Shape::Bridge, 5);
        assert!(bridge.iter().all(|(at, from)| *at != 3 && *from != 3));
        assert_eq!(bridge.len(), 8);
        assert_eq!(of(Shape::Ring, 3).len(), 2);
    }

    #[test]
    fn all_links_take_the_long_way_or_those_of_one_node() {
        let (kind, nodes) = (crate::kind::Kind::PacketDelay, vec![3, 1, 2]);
        let of = |draw| {
            diverted(&Planned { kind, begin_ms: 0, length_ms: 1, nodes: nodes.clone(), receiver: None, draw })
        };
        assert_eq!(of(1).len(), 6);
        assert_eq!(of(2), [(3, 1), (3, 2), (1, 3), (2, 3)]);
    }

    #[test]
    fn one_way_is_one_way() {
        let cuts = of(Shape::OneWay, 5);
        assert_eq!(cuts, [(1, 2), (1, 3), (1, 4), (1, 5)]);
    }
}
