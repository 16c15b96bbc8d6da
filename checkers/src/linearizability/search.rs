//! Searches for an order that explains all answers: the algorithm of Wing and Gong ("Testing and verifying
//! concurrent objects", J. Parallel Distrib. Comput. 17, 1993) with the entries in a linked list from which what
//! is placed is lifted out, and with the memory of configurations that were tried before, by Lowe ("Testing for
//! linearizability", Concurrency and Computation 29(4), 2017), per object as Horn and Kroening ("Faster
//! linearizability checking via P-compositionality", FORTE 2015) show to be enough; as Porcupine does it.
//!
//! Deliberately different from those: an operation whose outcome is unknown has no return and need not be
//! placed at all, and it is tried only when no known one fits, since most unknown ones never took effect.

use std::collections::BTreeSet;

use super::operations::Op;
use super::register::Register;
use super::rules::{Misfit, step};
use super::{Judgement, Stuck};

/// Placements that are tried before the search gives up. About two seconds; a history of 100 operations without
/// unknown ones needs a few hundred.
const TRIES_MAX: u64 = 2_000_000;
/// Configurations that are remembered, so that memory is bounded: about 200 bytes each.
const CONFIGURATIONS_MAX: usize = 500_000;

const HEAD: usize = 0;

/// What a node of the list stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    /// The head, and the end.
    Head,
    /// The operation of this number is called.
    Call(usize),
    /// It returns.
    Return(usize),
}

/// Which operations are tried: known ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Known,
    Optional,
}

/// A circular list of calls and returns in the order of time. Node 0 is its head.
struct Entries {
    nodes: Vec<Node>,
    next: Vec<usize>,
    previous: Vec<usize>,
    /// Where each operation returns, if it does.
    returns: Vec<Option<usize>>,
}

/// A placement that can be taken back.
struct Placed {
    node: usize,
    pass: Pass,
    before: Register,
}

/// Searches for an order of at most 128 operations.
pub(super) fn search(operations: &[Op<'_>]) -> Judgement {
    let mut entries = Entries::new(operations);
    let mut left = operations.iter().filter(|op| !op.is_optional()).count();
    let known = left;
    let mut register = Register::default();
    let mut placed: Vec<Placed> = Vec::new();
    let mut placed_set = 0_u128;
    let mut tried: BTreeSet<(u128, Register)> = BTreeSet::new();
    let mut stuck: Option<Stuck> = None;
    let mut cursor = (Pass::Known, HEAD);
    for _ in 0..TRIES_MAX {
        if left == 0 {
            return Judgement::Linearizable;
        }
        let Some((pass, node, at)) = entries.candidate(cursor, operations) else {
            note_stuck(&mut stuck, &entries, operations, &register, known - left);
            let Some(back) = placed.pop() else {
                return stuck.map_or_else(
                    || Judgement::Undecided("the search ended without a reason".into()),
                    Judgement::NotLinearizable,
                );
            };
            entries.put_back(back.node);
            let Node::Call(at) = entries.nodes[back.node] else { continue };
            placed_set &= !(1 << at);
            left += usize::from(!operations[at].is_optional());
            register = back.before;
            cursor = (back.pass, back.node);
            continue;
        };
        cursor = (pass, node);
        let Ok(after) = step(&register, number(at), &operations[at]) else { continue };
        let set = placed_set | 1 << at;
        if tried.len() >= CONFIGURATIONS_MAX {
            break;
        }
        if !tried.insert((set, after.clone())) {
            continue;
        }
        placed.push(Placed { node, pass, before: std::mem::replace(&mut register, after) });
        placed_set = set;
        left -= usize::from(!operations[at].is_optional());
        entries.lift(node);
        cursor = (Pass::Known, HEAD);
    }
    Judgement::Undecided(format!("the search gave up after {} configurations", tried.len()))
}

/// The number by which the rules know an operation; there are at most 128.
fn number(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// Remembers the operation whose return stands in the way, if no longer order was found before.
fn note_stuck(
    stuck: &mut Option<Stuck>,
    entries: &Entries,
    operations: &[Op<'_>],
    register: &Register,
    explained: usize,
) {
    if stuck.as_ref().is_some_and(|stuck| stuck.explained >= explained) {
        return;
    }
    let Some(at) = entries.first_return() else { return };
    if let Err(why) = step(register, number(at), &operations[at]) {
        *stuck = Some(Stuck { operation: operations[at].position, why, explained });
    } else if stuck.is_none() {
        // It fits here, but nothing that must follow it does.
        *stuck = Some(Stuck { operation: operations[at].position, why: Misfit::OlderVersion, explained });
    }
}

impl Entries {
    /// The list of all calls and returns. A call at the same nanosecond as a return comes before it, so that the
    /// two count as concurrent: clocks are no finer than that.
    fn new(operations: &[Op<'_>]) -> Self {
        let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(operations.len() * 2);
        for (at, op) in operations.iter().enumerate() {
            events.push((op.call_ns, false, at));
            if !op.is_optional() {
                events.push((op.return_ns, true, at));
            }
        }
        events.sort_unstable();
        let mut returns = vec![None; operations.len()];
        let mut nodes = vec![Node::Head];
        for (_, is_return, at) in events {
            if is_return {
                returns[at] = Some(nodes.len());
            }
            nodes.push(if is_return { Node::Return(at) } else { Node::Call(at) });
        }
        let count = nodes.len();
        let next = (0..count).map(|node| (node + 1) % count).collect();
        let previous = (0..count).map(|node| (node + count - 1) % count).collect();
        Self { nodes, next, previous, returns }
    }

    /// The next operation to try after `cursor`: those that are called before the first return that is left.
    fn candidate(&self, cursor: (Pass, usize), operations: &[Op<'_>]) -> Option<(Pass, usize, usize)> {
        let (mut pass, mut node) = cursor;
        loop {
            node = self.next[node];
            match self.nodes[node] {
                Node::Call(at) => {
                    let optional = operations[at].is_optional();
                    if optional == (pass == Pass::Optional) {
                        return Some((pass, node, at));
                    }
                }
                Node::Return(_) | Node::Head => {
                    if pass == Pass::Optional {
                        return None;
                    }
                    (pass, node) = (Pass::Optional, HEAD);
                }
            }
        }
    }

    /// The operation that returns first of those that are left.
    fn first_return(&self) -> Option<usize> {
        let mut node = self.next[HEAD];
        loop {
            match self.nodes[node] {
                Node::Head => return None,
                Node::Return(at) => return Some(at),
                Node::Call(_) => node = self.next[node],
            }
        }
    }

    /// Takes a call, and its return, out of the list.
    fn lift(&mut self, call: usize) {
        self.unlink(call);
        if let Some(node) = self.return_of(call) {
            self.unlink(node);
        }
    }

    /// Undoes the newest [`Entries::lift`] that was not undone.
    fn put_back(&mut self, call: usize) {
        if let Some(node) = self.return_of(call) {
            self.relink(node);
        }
        self.relink(call);
    }

    fn return_of(&self, call: usize) -> Option<usize> {
        match self.nodes[call] {
            Node::Call(at) => self.returns[at],
            Node::Return(_) | Node::Head => None,
        }
    }

    fn unlink(&mut self, node: usize) {
        let (before, after) = (self.previous[node], self.next[node]);
        self.next[before] = after;
        self.previous[after] = before;
    }

    fn relink(&mut self, node: usize) {
        let (before, after) = (self.previous[node], self.next[node]);
        self.next[before] = node;
        self.previous[after] = node;
    }
}
