//! The one picture: time runs to the right, and each row tells of one thing.

use std::fmt::Write as _;

use checkers::history::{Outcome, PhaseName};

use super::escape;
use crate::verdict::Judged;

const LEFT: f64 = 150.0;
const WIDTH: f64 = 1250.0;
const ROW: f64 = 16.0;
const GRAPH: f64 = 70.0;
const GAP: f64 = 8.0;
const TOP: f64 = 18.0;
/// Colours of nodes, of which there are seven at most; unlike each other also for those who see fewer colours.
const COLOURS: [&str; 8] =
    ["#999", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a7a00"];
/// A second is a bar of the graphs.
const SECOND_NS: u64 = 1_000_000_000;

struct Picture<'a> {
    judged: &'a Judged,
    end_ns: u64,
    /// Inside of what is scaled.
    marks: String,
    /// The names of the rows.
    labels: String,
    y: f64,
}

/// Draws it.
pub(super) fn draw(judged: &Judged) -> String {
    let end_ns = judged.history.end_ns.max(1);
    let mut picture = Picture { judged, end_ns, marks: String::new(), labels: String::new(), y: TOP };
    picture.nodes();
    picture.phases();
    picture.faults();
    picture.leaders();
    picture.graphs();
    let (height, seconds) = (picture.y, end_ns as f64 / 1e9);
    format!(
        "<svg viewBox=\"0 0 {w} {height}\" data-left=\"{LEFT}\" data-width=\"{WIDTH}\" data-seconds=\"{seconds}\">\
         <clipPath id=\"clip\"><rect x=\"{LEFT}\" y=\"0\" width=\"{WIDTH}\" height=\"{height}\"/></clipPath>\
         <g id=\"ticks\"></g><g clip-path=\"url(#clip)\"><g id=\"time\" transform=\"translate({LEFT} 0)\">{}</g></g>\
         {}</svg>",
        picture.marks,
        picture.labels,
        w = LEFT + WIDTH,
    )
}

impl Picture<'_> {
    fn x(&self, at_ns: u64) -> f64 {
        at_ns.min(self.end_ns) as f64 / self.end_ns as f64 * WIDTH
    }

    fn label(&mut self, text: &str) {
        let y = self.y + ROW - 4.0;
        let _ = write!(self.labels, "<text class=\"label\" x=\"4\" y=\"{y}\">{}</text>", escape(text));
    }

    /// A bar in the present row.
    fn bar(&mut self, (from_ns, to_ns): (u64, u64), colour: &str, opacity: f64, title: &str) {
        let (x, y) = (self.x(from_ns), self.y + 1.0);
        let (width, height) = ((self.x(to_ns) - x).max(0.6), ROW - 2.0);
        let _ = write!(
            self.marks,
            "<rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"{height}\" fill=\"{colour}\" \
             fill-opacity=\"{opacity}\"><title>{}</title></rect>",
            escape(title)
        );
    }

    fn row(&mut self) {
        self.y += ROW;
    }

    /// The colours.
    fn nodes(&mut self) {
        self.label("nodes");
        let y = self.y + ROW - 4.0;
        for node in 1..=self.judged.history.run.nodes as usize {
            let x = LEFT + 40.0 * (node as f64 - 1.0);
            let colour = COLOURS.get(node).copied().unwrap_or("#999");
            let _ = write!(
                self.labels,
                "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\" font-weight=\"bold\">n{node}</text>"
            );
        }
        self.row();
    }

    fn phases(&mut self) {
        self.label("phase");
        let phases = self.judged.history.timeline.phases.clone();
        for (place, (at_ns, phase)) in phases.iter().enumerate() {
            let to_ns = phases.get(place + 1).map_or(self.end_ns, |(next, _)| *next);
            let (name, colour) = match phase {
                PhaseName::Calm => ("calm", "#a5d6a7"),
                PhaseName::Faults => ("faults", "#ffcc80"),
                PhaseName::Heal => ("heal", "#90caf9"),
                PhaseName::Quiesce => ("quiesce", "#ce93d8"),
                PhaseName::Final => ("final reads", "#b0bec5"),
            };
            self.bar((*at_ns, to_ns), colour, 1.0, name);
        }
        self.row();
        self.label("a quorum can work");
        let changes = self.judged.history.timeline.changes(0).to_vec();
        for (place, (at_ns, able)) in changes.iter().enumerate() {
            let to_ns = changes.get(place + 1).map_or(self.end_ns, |(next, _)| *next);
            let (colour, title) = if *able { ("#c8e6c9", "able") } else { ("#ef9a9a", "not able") };
            self.bar((*at_ns, to_ns), colour, 1.0, title);
        }
        self.row();
        self.y += GAP;
    }

    /// One row for each kind of fault.
    fn faults(&mut self) {
        let faults = self.judged.history.timeline.faults.clone();
        let mut kinds: Vec<&str> = faults.iter().map(|fault| fault.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            self.label(kind);
            for fault in faults.iter().filter(|fault| fault.kind == kind) {
                let nodes: Vec<String> = fault.nodes.iter().map(|node| format!("n{node}")).collect();
                let (from, to) = (fault.begin_ns as f64 / 1e9, fault.end_ns as f64 / 1e9);
                let no = if fault.effective { "" } else { " WITHOUT EFFECT" };
                let title = format!("{kind}{no} {} {from:.1} to {to:.1} s", nodes.join(" "));
                let one = if let [node] = fault.nodes.as_slice() { *node as usize } else { 0 };
                let colour = COLOURS.get(one).copied().unwrap_or("#999");
                let opacity = if fault.effective { 0.9 } else { 0.25 };
                self.bar((fault.begin_ns, fault.end_ns), colour, opacity, &title);
            }
            self.row();
        }
        self.y += GAP;
    }

    /// One row for each shard, in the colour of the node that opened its last session.
    fn leaders(&mut self) {
        for shard in 0..self.judged.history.run.shards {
            self.label(&format!("leader of shard {shard}"));
            let mut sessions = self.judged.history.timeline.sessions.get(&shard).cloned().unwrap_or_default();
            sessions.sort_by_key(|session| session.at_ns);
            for (place, session) in sessions.iter().enumerate() {
                let to_ns = sessions.get(place + 1).map_or(self.end_ns, |next| next.at_ns);
                let colour = COLOURS.get(session.node as usize).copied().unwrap_or("#999");
                let from = session.at_ns as f64 / 1e9;
                let title = format!("n{} session {} from {from:.2} s", session.node, session.number);
                self.bar((session.at_ns, to_ns), colour, 0.7, &title);
            }
            self.row();
        }
        self.y += GAP;
    }

    fn graphs(&mut self) {
        let seconds = usize::try_from(self.end_ns / SECOND_NS + 1).unwrap_or(1);
        let place = |at_ns: u64| usize::try_from(at_ns / SECOND_NS).unwrap_or(0).min(seconds - 1);
        let (mut ok, mut unknown, mut refused) = (vec![0; seconds], vec![0; seconds], vec![0; seconds]);
        let (mut fired, mut failed, mut late) = (vec![0; seconds], vec![0; seconds], vec![0; seconds]);
        for timer in &self.judged.history.timers {
            // The last reads come as fast as they can and would dwarf everything else.
            let last = Some(PhaseName::Final);
            for operation in timer.operations.iter().filter(|operation| operation.phase != last) {
                let row = match &operation.outcome {
                    Outcome::Ok(_) => &mut ok,
                    Outcome::Unknown { .. } => &mut unknown,
                    Outcome::Refused(refusal) if (400..500).contains(&refusal.status) => &mut ok,
                    Outcome::Refused(_) => &mut refused,
                };
                row[place(operation.back_ns.unwrap_or(operation.call_ns))] += 1;
            }
            for received in &timer.deliveries {
                let delivery = &received.delivery;
                let row = if delivery.reply.is_success() { &mut fired } else { &mut failed };
                row[place(delivery.at_ns)] += 1;
                let late_ms = delivery.received_ms.saturating_sub(delivery.scheduled_at_ms);
                let worst = &mut late[place(delivery.at_ns)];
                *worst = late_ms.max(*worst);
            }
        }
        self.graph(
            "answers a second",
            &[
                ("answered", "#2e7d32", &ok),
                ("not done", "#f9a825", &refused),
                ("unknown", "#b71c1c", &unknown),
            ],
        );
        self.graph("callbacks a second", &[("taken", "#1565c0", &fired), ("not taken", "#ef6c00", &failed)]);
        self.graph("latest callback, ms", &[("late", "#6a1b9a", &late)]);
    }

    /// Stacked bars, one a second.
    fn graph(&mut self, name: &str, layers: &[(&str, &str, &[u64])]) {
        let sum = |second: usize| layers.iter().map(|(_, _, values)| values[second]).sum::<u64>();
        let seconds = layers.first().map_or(0, |(_, _, values)| values.len());
        let most = (0..seconds).map(sum).max().unwrap_or(0).max(1);
        self.label(&format!("{name} (to {most})"));
        let mut y = self.y + ROW - 4.0;
        for (layer, colour, _) in layers {
            y += 13.0;
            let _ = write!(self.labels, "<text x=\"14\" y=\"{y}\" fill=\"{colour}\">{layer}</text>");
        }
        let base = self.y + GRAPH;
        for second in 0..seconds {
            let from = second as u64 * SECOND_NS;
            let (x, width) = (self.x(from), self.x(from + SECOND_NS) - self.x(from));
            let mut y = base;
            for (layer, colour, values) in layers.iter().filter(|(_, _, values)| values[second] > 0) {
                let height = values[second] as f64 / most as f64 * (GRAPH - 4.0);
                y -= height;
                let _ = write!(
                    self.marks,
                    "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" \
                     fill=\"{colour}\"><title>{second} s: {} {layer}</title></rect>",
                    values[second]
                );
            }
        }
        self.y += GRAPH + GAP;
    }
}
