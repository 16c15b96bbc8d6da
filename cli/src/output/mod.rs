//! Where commands print: people get aligned text, scripts the server's own JSON. The texts themselves are
//! made by pure functions, one kind of object a file.

mod attempts;
mod batch;
mod checks;
mod cluster;
mod failure;
mod group;
mod list;
mod listen;
mod relative;
mod secret;
mod table;
mod timer;

use std::io::{self, IsTerminal as _, Write};

use durable_timer::{
    Answer, AttemptList, BatchResults, ClusterView, Group, GroupPage, NewSigningSecret, SigningSecretList,
    Timer, TimerPage,
};
use serde::Deserialize;
use serde_json::value::RawValue;

pub use batch::BatchTotals;

use crate::args::Format;
use crate::clock;
use crate::commands::config::Checked;
use crate::commands::listen::record::Record;
use crate::commands::listen::totals::{Seen, Totals};
use crate::failure::{Exit, Failure};

/// The standard output, in one of the two forms.
pub struct Output {
    format: Format,
    out: io::Stdout,
}

impl Output {
    /// Prints to the standard output.
    pub fn to_stdout(format: Format) -> Self {
        Self { format, out: io::stdout() }
    }

    /// A timer, and what was done with it.
    pub fn timer(&mut self, done: &str, answer: &Answer<Timer>) -> Result<(), Failure> {
        let text = timer::text(done, &answer.value, answer.replayed, clock::now());
        self.either(&text, &answer.body)
    }

    /// What came of a timer's attempts.
    pub fn attempts(&mut self, answer: &Answer<AttemptList>) -> Result<(), Failure> {
        self.either(&attempts::text(&answer.value.attempts, clock::now()), &answer.body)
    }

    /// A page of timers; scripts get the server's page, one a line.
    pub fn page(&mut self, answer: &Answer<TimerPage>, is_first: bool) -> Result<(), Failure> {
        self.either(&list::text(&answer.value.timers, is_first, clock::now()), &answer.body)
    }

    /// There are more timers than were asked for. Scripts find that in the page.
    pub fn more(&mut self, cursor: &str) -> Result<(), Failure> {
        match self.format {
            Format::Human => self.note(&format!("there are more: --all, or --cursor {cursor}")),
            Format::Json => Ok(()),
        }
    }

    /// The results of one request of a batch, whose operations stood in `lines`.
    pub fn batch(
        &mut self,
        lines: &[u64],
        answer: &Answer<BatchResults>,
        totals: &mut BatchTotals,
    ) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            results: Vec<&'a RawValue>,
        }
        answer.value.results.iter().for_each(|result| totals.count(result));
        let results = lines.iter().zip(&answer.value.results);
        let text: String = match self.format {
            Format::Human => results.filter_map(|(line, result)| batch::failed_line(*line, result)).collect(),
            Format::Json => {
                let raw: Raw<'_> = serde_json::from_slice(&answer.body).map_err(io::Error::other)?;
                lines.iter().zip(raw.results).map(|(line, result)| batch::json_line(*line, result)).collect()
            }
        };
        self.write(text.as_bytes())?;
        if io::stderr().is_terminal() {
            write!(io::stderr(), "\r{}", batch::totals_text(totals).trim_end())?;
        }
        Ok(())
    }

    /// All operations of a batch.
    pub fn batch_totals(&mut self, totals: &BatchTotals) -> Result<(), Failure> {
        if io::stderr().is_terminal() {
            writeln!(io::stderr())?;
        }
        match self.format {
            Format::Human => self.write(batch::totals_text(totals).as_bytes()),
            Format::Json => Ok(()),
        }
    }

    /// A group, and what was done with it.
    pub fn group(&mut self, done: &str, answer: &Answer<Group>) -> Result<(), Failure> {
        self.either(&group::text(done, &answer.value, answer.replayed), &answer.body)
    }

    /// A page of groups; scripts get the server's page, one a line.
    pub fn groups(&mut self, answer: &Answer<GroupPage>, is_first: bool) -> Result<(), Failure> {
        self.either(&group::list(&answer.value.groups, is_first), &answer.body)
    }

    /// A group is gone. The server says no more than that, and scripts have the exit code.
    pub fn group_deleted(&mut self, name: &str) -> Result<(), Failure> {
        match self.format {
            Format::Human => self.write(format!("deleted group {name}\n").as_bytes()),
            Format::Json => Ok(()),
        }
    }

    /// A signing secret that was made.
    pub fn secret(&mut self, group: &str, answer: &Answer<NewSigningSecret>) -> Result<(), Failure> {
        self.either(&secret::text(group, &answer.value, answer.replayed), &answer.body)
    }

    /// What a group signs with.
    pub fn secrets(&mut self, answer: &Answer<SigningSecretList>) -> Result<(), Failure> {
        self.either(&secret::list(&answer.value.signing_secrets), &answer.body)
    }

    /// A signing secret is gone. The server says no more than that, and scripts have the exit code.
    pub fn secret_deleted(&mut self, group: &str, id: &str) -> Result<(), Failure> {
        match self.format {
            Format::Human => self.write(format!("deleted signing secret {id} of group {group}\n").as_bytes()),
            Format::Json => Ok(()),
        }
    }

    /// The cluster.
    pub fn cluster(&mut self, answer: &Answer<ClusterView>) -> Result<(), Failure> {
        self.either(&cluster::text(&answer.value), &answer.body)
    }

    /// What `config check` found.
    pub fn checks(&mut self, all: &[Checked]) -> Result<(), Failure> {
        let json = serde_json::to_vec(all).map_err(io::Error::other)?;
        self.either(&checks::text(all), &json)
    }

    /// A callback that was received.
    pub fn record(&mut self, record: &Record, seen: Seen) -> Result<(), Failure> {
        self.either(&listen::line(record, seen), &listen::json(record, seen))
    }

    /// All callbacks that were received.
    pub fn totals(&mut self, totals: &Totals) -> Result<(), Failure> {
        self.either(&listen::totals_text(totals), &listen::totals_json(totals))
    }

    /// A text that is the same for scripts.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.write(text.as_bytes())
    }

    /// Something for people while they wait; on the standard error, so that scripts read what they asked for.
    pub fn note(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(io::stderr(), "{text}").map_err(Failure::from)
    }

    /// What went wrong, on the standard error. Nothing is left to do when that can't be written either.
    pub fn failure(&mut self, failure: &Failure) {
        let text = match self.format {
            Format::Human => failure::text(failure),
            Format::Json => failure::json(failure),
        };
        let _ = io::stderr().write_all(text.as_bytes());
    }

    fn either(&mut self, text: &str, json: &[u8]) -> Result<(), Failure> {
        match self.format {
            Format::Human => self.write(text.as_bytes()),
            Format::Json => {
                self.write(json)?;
                self.write(b"\n")
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            // Whoever reads us has read enough, as in `timerctl get a | head -1`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                std::process::exit(Exit::Ok.code().into())
            }
            result => Ok(result?),
        }
    }
}
