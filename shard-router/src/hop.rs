//! Whom to ask next for a shard, from what a node knows and from where the request has been. No request goes in
//! circles: it carries the newest Raft term that it has followed, and is sent on only for a newer one. A term has
//! at most one leader, so no two hops follow the same belief.

use alloc::collections::BTreeMap;

use timer_core::ids::{NodeId, ShardId};

/// How often a request is sent on before whoever asks must wait: terms that change faster than requests travel
/// are an election under way.
pub const HOPS_MAX: u8 = 3;

/// Who is believed to lead a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderHint {
    /// The Raft term of the belief.
    pub term: u64,
    /// The leader of that term; none while it has not been elected, or is not known here.
    pub leader: Option<NodeId>,
}

/// What a node believes of each shard's leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderHints {
    by_shard: BTreeMap<ShardId, LeaderHint>,
}

impl LeaderHints {
    /// Takes a belief, from this node's own Raft or from a peer's answer. A newer term wins; in the same term one
    /// that names the leader wins over one that does not, and what is named stays. Says whether anything changed.
    pub fn learn(&mut self, shard: ShardId, hint: LeaderHint) -> bool {
        let known = self.by_shard.get(&shard);
        let is_news = known.is_none_or(|known| {
            hint.term > known.term
                || (hint.term == known.term && known.leader.is_none() && hint.leader.is_some())
        });
        if is_news {
            self.by_shard.insert(shard, hint);
        }
        is_news
    }

    /// Forgets that `leader` leads `shard`, after it could not be reached. Its term stays known, so that an old
    /// answer does not bring the belief back; a newer term does.
    pub fn forget(&mut self, shard: ShardId, leader: NodeId) {
        if let Some(known) = self.by_shard.get_mut(&shard).filter(|known| known.leader == Some(leader)) {
            known.leader = None;
        }
    }

    /// What is believed of `shard`.
    #[must_use]
    pub fn get(&self, shard: ShardId) -> Option<LeaderHint> {
        self.by_shard.get(&shard).copied()
    }
}

/// Where a request has been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// How often it was sent on: at most [`HOPS_MAX`].
    pub hops: u8,
    /// The term of the belief that it followed last; 0 before the first.
    pub term: u64,
}

/// What a node does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// It leads the shard, as far as it knows: the lease or a read index decides.
    ServeHere,
    /// Another does.
    Forward {
        /// Whom to ask.
        to: NodeId,
        /// What the request carries then.
        trail: Trail,
    },
    /// Nobody that it could ask is known; nothing was done. Whoever took the request from the client waits for
    /// news of the shard and begins again, within its deadline.
    NoLeader,
}

/// What the node `me`, which believes `known` of the shard's leader, does with a request that has been on `trail`.
#[must_use]
pub fn next_hop(me: NodeId, known: Option<LeaderHint>, trail: Trail) -> NextHop {
    let Some(LeaderHint { term, leader: Some(leader) }) = known else { return NextHop::NoLeader };
    if leader == me {
        return NextHop::ServeHere;
    }
    if trail.hops >= HOPS_MAX || (trail.hops > 0 && term <= trail.term) {
        return NextHop::NoLeader;
    }
    NextHop::Forward { to: leader, trail: Trail { hops: trail.hops + 1, term } }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ME: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(2);
    const SHARD: ShardId = ShardId(0);

    fn hint(term: u64, leader: impl Into<Option<u64>>) -> LeaderHint {
        LeaderHint { term, leader: leader.into().map(NodeId) }
    }

    #[test]
    fn the_leader_serves_wherever_the_request_has_been() {
        for trail in [Trail::default(), Trail { hops: HOPS_MAX, term: 99 }] {
            assert_eq!(next_hop(ME, Some(hint(5, 1)), trail), NextHop::ServeHere);
        }
    }

    #[test]
    fn another_leader_is_asked_with_its_term_in_the_trail() {
        let forward = NextHop::Forward { to: OTHER, trail: Trail { hops: 1, term: 5 } };
        assert_eq!(next_hop(ME, Some(hint(5, 2)), Trail::default()), forward);
        // Before the first hop no term was followed, not even 0.
        let first = NextHop::Forward { to: OTHER, trail: Trail { hops: 1, term: 0 } };
        assert_eq!(next_hop(ME, Some(hint(0, 2)), Trail::default()), first);
    }

    #[test]
    fn a_request_is_sent_on_only_for_a_newer_term() {
        let trail = Trail { hops: 1, term: 5 };
        assert_eq!(next_hop(ME, Some(hint(4, 2)), trail), NextHop::NoLeader);
        assert_eq!(next_hop(ME, Some(hint(5, 2)), trail), NextHop::NoLeader);
        let forward = NextHop::Forward { to: OTHER, trail: Trail { hops: 2, term: 6 } };
        assert_eq!(next_hop(ME, Some(hint(6, 2)), trail), forward);
    }

    #[test]
    fn a_request_that_was_sent_on_often_enough_is_not_sent_on_again() {
        let trail = Trail { hops: HOPS_MAX, term: 5 };
        assert_eq!(next_hop(ME, Some(hint(9, 2)), trail), NextHop::NoLeader);
    }

    #[test]
    fn without_a_leader_there_is_nobody_to_ask() {
        assert_eq!(next_hop(ME, None, Trail::default()), NextHop::NoLeader);
        assert_eq!(next_hop(ME, Some(hint(5, None)), Trail::default()), NextHop::NoLeader);
    }

    #[test]
    fn a_newer_term_wins_and_an_older_one_says_nothing() {
        let mut hints = LeaderHints::default();
        assert!(hints.learn(SHARD, hint(5, 1)));
        assert!(!hints.learn(SHARD, hint(4, 2)));
        assert!(!hints.learn(SHARD, hint(5, None)));
        assert!(!hints.learn(SHARD, hint(5, 2)));
        assert_eq!(hints.get(SHARD), Some(hint(5, 1)));
        assert!(hints.learn(SHARD, hint(6, None)));
        assert!(!hints.learn(SHARD, hint(5, 1)));
        assert_eq!(hints.get(SHARD), Some(hint(6, None)));
        assert!(hints.learn(SHARD, hint(6, 2)));
        assert_eq!(hints.get(ShardId(1)), None);
    }

    #[test]
    fn an_unreachable_leader_is_forgotten_but_not_its_term() {
        let mut hints = LeaderHints::default();
        hints.learn(SHARD, hint(5, 1));
        hints.forget(SHARD, OTHER);
        assert_eq!(hints.get(SHARD), Some(hint(5, 1)));
        hints.forget(SHARD, ME);
        assert_eq!(hints.get(SHARD), Some(hint(5, None)));
        assert!(!hints.learn(SHARD, hint(4, 1)));
    }

    proptest! {
        /// Whatever the nodes believe, true or not: the request ends within the bound, and no node is asked twice
        /// on the same belief.
        #[test]
        fn no_request_goes_in_circles(
            beliefs in prop::collection::vec(prop::option::of((0_u64..6, prop::option::of(0_u64..5))), 5),
            start in 0_u64..5,
        ) {
            let believes = |node: NodeId| {
                let belief = usize::try_from(node.0).ok().and_then(|at| beliefs[at]);
                belief.map(|(term, leader)| hint(term, leader))
            };
            let (mut at, mut trail) = (NodeId(start), Trail::default());
            let mut followed = Vec::new();
            while let NextHop::Forward { to, trail: next } = next_hop(at, believes(at), trail) {
                prop_assert_ne!(to, at);
                prop_assert!(!followed.contains(&(to, next.term)), "{followed:?} then {to} again");
                prop_assert!(next.hops == trail.hops + 1 && next.hops <= HOPS_MAX);
                prop_assert!(trail.hops == 0 || next.term > trail.term);
                followed.push((to, next.term));
                (at, trail) = (to, next);
            }
        }

        /// When all nodes have the same news, in whatever order it came, every request is served after one hop.
        #[test]
        fn nodes_that_heard_the_same_send_a_request_to_the_same_leader(
            (news, shuffled) in prop::collection::vec((0_u64..6, 0_u64..3), 1..10)
                .prop_flat_map(|news| (Just(news.clone()), Just(news).prop_shuffle())),
        ) {
            // A term has one leader.
            let leader_of = |term: u64| news.iter().find(|(t, _)| *t == term).map(|(_, leader)| *leader);
            let mut tables = [LeaderHints::default(), LeaderHints::default()];
            for (table, order) in tables.iter_mut().zip([&news, &shuffled]) {
                for (term, _) in order {
                    table.learn(SHARD, hint(*term, leader_of(*term)));
                }
            }
            prop_assert_eq!(tables[0].get(SHARD), tables[1].get(SHARD));
            if let NextHop::Forward { to, trail } = next_hop(NodeId(9), tables[0].get(SHARD), Trail::default()) {
                prop_assert_eq!(next_hop(to, tables[1].get(SHARD), trail), NextHop::ServeHere);
            }
        }
    }
}
