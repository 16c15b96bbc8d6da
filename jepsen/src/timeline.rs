//! The timeline of a run as one HTML file that needs nothing else: verdict and figures on top, then one picture of
//! everything over time (phases, faults, leaders, clients, timers made, fired and late), then each broken promise with
//! all that happened to its timer. Deliberately not here: any library, any script from elsewhere.

mod picture;
mod story;

use std::fmt::Write as _;

use crate::verdict::{Judged, word};

const STYLE: &str = include_str!("timeline/style.css");
const SCRIPT: &str = include_str!("timeline/zoom.js");
/// Violations that are told in full.
const STORIES_MAX: usize = 30;

/// The page.
pub fn page(judged: &Judged) -> String {
    let verdict = word(judged.verdict);
    let run = &judged.history.run;
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{verdict} seed {}</title>\
         <style>{STYLE}</style><h1 class=\"{}\">{verdict}</h1>",
        run.seed,
        verdict.to_lowercase(),
    );
    let options = run.options.iter().map(|(name, value)| format!("--{name} {value}"));
    let options: Vec<String> = options.collect();
    let _ = write!(
        page,
        "<p>seed {}, {} nodes, {} shards; <code>{}</code></p>",
        run.seed,
        run.nodes,
        run.shards,
        escape(&options.join(" "))
    );
    page.push_str(&figures(judged));
    page.push_str(&findings(judged));
    let _ = write!(
        page,
        "<p class=\"hint\">Wheel: zoom at the pointer. Drag: move. Double click: all of it. Point at anything to \
         read what it is.</p>{}",
        picture::draw(judged)
    );
    for violation in judged.report.violations.iter().take(STORIES_MAX) {
        page.push_str(&story::tell(judged, violation));
    }
    let _ = write!(page, "<script>{SCRIPT}</script></html>");
    page
}

fn figures(judged: &Judged) -> String {
    let s = &judged.report.summary;
    let late = s.lateness_ms;
    let rows = [
        (
            "operations",
            format!(
                "{} ok, {} refused, {} unknown",
                s.operations_ok, s.operations_refused, s.operations_unknown
            ),
        ),
        ("timers", format!("{} acknowledged, {} fired", s.acked, s.fired)),
        ("broken", format!("{} lost, {} late, {} early, {} ghost", s.lost, s.late, s.early, s.ghost)),
        (
            "duplicates",
            format!(
                "{} with a higher token, {} with a lower one; {} of attempts that had been answered; {} zombies",
                s.duplicates_unfenced, s.duplicates_fenced, s.duplicates_answered, s.zombies
            ),
        ),
        ("lateness", format!("p50 {} ms, p99 {} ms, max {} ms", late.p50, late.p99, late.max)),
        ("recovery", format!("{} ms at most", s.recovery_ms_max)),
        (
            "faults",
            format!(
                "{} took effect, {} s, {} power cuts, {} bit flips",
                s.faults_effective, s.fault_seconds, s.power_cuts, s.bit_flips
            ),
        ),
    ];
    let rows = rows.iter().fold(String::new(), |mut rows, (name, value)| {
        let _ = write!(rows, "<tr><th>{name}<td>{value}");
        rows
    });
    format!("<table>{rows}</table>")
}

fn findings(judged: &Judged) -> String {
    let mut list = String::new();
    for (what, _) in judged.checks.iter().filter(|(_, holds)| !holds) {
        let _ = write!(list, "<li class=\"bad\">failed: {}", escape(what));
    }
    let extra = &judged.extra;
    let remarks = extra.surprises.iter().chain(&extra.panics).chain(&extra.internal).chain(&extra.passed);
    for line in remarks.chain(&extra.damaged).take(STORIES_MAX) {
        let _ = write!(list, "<li>{}", escape(line));
    }
    for doubt in &judged.report.doubts {
        let _ = write!(list, "<li class=\"doubt\">unknown: {}", escape(doubt));
    }
    format!("<ul>{list}</ul>")
}

/// Text that is only text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::judged;

    #[test]
    fn a_page_stands_alone_and_shows_verdict_faults_and_leaders() {
        let page = page(&judged(&["kill"], true));
        assert!(page.contains("<h1 class=\"pass\">PASS</h1>"), "{page}");
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
        for part in ["kill", "<svg", "shard 0", "acknowledged", "</html>"] {
            assert!(page.contains(part), "{part}");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }

    #[test]
    fn a_doubt_is_on_the_page_and_text_is_only_text() {
        assert!(page(&judged(&["kill"], false)).contains("unknown: I14: the fault kill was asked for"));
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
