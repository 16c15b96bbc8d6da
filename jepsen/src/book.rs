//! The book of faults: which nodes are up, which links are cut, and whether a quorum can work. Shards are on all
//! nodes, so all are able or unable together. Deliberately not here: what the product says about itself; it is the
//! one that is being tested.

use checkers::history::{Event, Health};
use parking_lot::Mutex;

use crate::recorder::Recorder;

/// What makes a node, or everything, unable to work. Counted, since faults overlap.
#[derive(Debug)]
struct State {
    /// By node: reasons for which it does not work.
    down: Vec<u32>,
    /// By receiving node, then sending node: reasons for which nothing arrives.
    cut: Vec<Vec<u32>>,
    /// Reasons for which nothing can be asked of anybody.
    excused: u32,
    able: bool,
}

/// The book of one run.
#[derive(Debug)]
pub struct Book {
    state: Mutex<State>,
    recorder: Recorder,
    shards: u16,
}

impl State {
    fn new(nodes: usize) -> Self {
        Self { down: vec![0; nodes], cut: vec![vec![0; nodes]; nodes], excused: 1, able: false }
    }

    /// Whether more than half of the nodes are up and hear each other.
    fn quorum(&self) -> bool {
        let nodes = self.down.len();
        let majority = nodes / 2 + 1;
        (0_u32..1 << nodes).filter(|set| set.count_ones() as usize >= majority).any(|set| {
            let members: Vec<usize> = (0..nodes).filter(|node| set & (1 << node) != 0).collect();
            members.iter().all(|a| self.down[*a] == 0 && members.iter().all(|b| self.cut[*a][*b] == 0))
        })
    }
}

impl Book {
    /// Nothing works until [`Book::begin`].
    pub fn new(recorder: Recorder, nodes: u32, shards: u16) -> Self {
        Self { state: Mutex::new(State::new(nodes as usize)), recorder, shards }
    }

    /// The cluster has formed.
    pub fn begin(&self) {
        self.change(|state| state.excused -= 1);
    }

    /// Node `node`, from 1, stops working. Call it before the fault.
    pub fn down(&self, node: u32) {
        self.change(|state| state.down[node as usize - 1] += 1);
    }

    /// It can work again. Call it after the fault.
    pub fn up(&self, node: u32) {
        self.change(|state| state.down[node as usize - 1] -= 1);
    }

    /// `at` no longer hears `from`. Call it before the fault.
    pub fn cut(&self, at: u32, from: u32) {
        self.change(|state| state.cut[at as usize - 1][from as usize - 1] += 1);
    }

    /// It hears it again. Call it after the fault.
    pub fn join(&self, at: u32, from: u32) {
        self.change(|state| state.cut[at as usize - 1][from as usize - 1] -= 1);
    }

    /// Nothing can be asked of the cluster. Call it before the fault.
    pub fn excuse(&self) {
        self.change(|state| state.excused += 1);
    }

    /// It can be asked again. Call it after the fault.
    pub fn demand(&self) {
        self.change(|state| state.excused -= 1);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let able = state.excused == 0 && state.quorum();
        if able != state.able {
            state.able = able;
            let at_ns = self.recorder.now_ns();
            for shard in 0..self.shards {
                self.recorder.write(&Event::Health(Health { at_ns, shard, healthy: able }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(nodes: usize, change: impl FnOnce(&mut State)) -> bool {
        let mut state = State::new(nodes);
        change(&mut state);
        state.quorum()
    }

    #[test]
    fn a_majority_that_is_up_is_a_quorum() {
        assert!(after(5, |state| state.down = vec![1, 0, 0, 0, 2]));
        assert!(!after(5, |state| state.down = vec![1, 0, 1, 0, 1]));
        assert!(!after(3, |state| state.down = vec![1, 0, 1]));
    }

    #[test]
    fn a_bridge_has_a_quorum_and_a_ring_has_none() {
        let cut = |state: &mut State, connected: &dyn Fn(usize, usize) -> bool| {
            for a in 0..5 {
                for b in 0..5 {
                    state.cut[a][b] = u32::from(!connected(a, b));
                }
            }
        };
        assert!(after(5, |state| cut(state, &|a, b| a == b || a == 2 || b == 2 || (a < 2) == (b < 2))));
        assert!(!after(5, |state| cut(state, &|a, b| (a + 5 - b) % 5 <= 1 || (b + 5 - a) % 5 <= 1)));
    }

    #[test]
    fn a_link_that_is_cut_one_way_connects_nobody() {
        assert!(!after(3, |state| {
            state.cut[0][1] = 1;
            state.cut[1][2] = 1;
            state.cut[2][0] = 1;
        }));
    }
}
