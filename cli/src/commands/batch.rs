//! `timerctl batch`: many operations, a line each, in requests of many.

use std::io::BufRead;
use std::path::Path;
use std::time::Duration;

use durable_timer::{Answer, BatchOperation, BatchResults, CallOptions, Client};
use tokio::time::Instant;

use super::client;
use crate::args::{BatchArgs, GlobalArgs};
use crate::failure::{Exit, Failure};
use crate::output::{BatchTotals, Output};

/// Bytes of operations after which a request takes no more: a server takes 24 MiB by default.
const BYTES_MAX: usize = 8 << 20;
/// The wait before what no leader could do is tried again, unless the server says more.
const REPEAT_AFTER: Duration = Duration::from_secs(1);

/// Operations of one request, with the number of the line of each.
#[derive(Default)]
struct Chunk {
    lines: Vec<u64>,
    operations: Vec<BatchOperation>,
    bytes: usize,
}

pub async fn run(global: &GlobalArgs, args: BatchArgs, output: &mut Output) -> Result<(), Failure> {
    let client = client(global)?;
    let mut options = CallOptions { idempotency_key: args.idempotency_key, ..CallOptions::default() };
    let key = options.mint_key()?.to_owned();
    let mut lines = Lines::open(&args.file)?;
    let mut totals = BatchTotals::default();
    for number in 0_u64.. {
        let chunk =
            lines.chunk(usize::from(args.at_once)).map_err(|failure| so_far(failure, &totals, &key))?;
        if chunk.operations.is_empty() {
            break;
        }
        let options =
            CallOptions { idempotency_key: Some(format!("{key}/{number}")), ..CallOptions::default() };
        let answer = settled(&client, global, &chunk, &options).await;
        let answer = answer.map_err(|failure| so_far(failure, &totals, &key))?;
        output.batch(&chunk.lines, &answer, &mut totals)?;
    }
    output.batch_totals(&totals)?;
    match totals.failed {
        0 => Ok(()),
        failed => Err(Failure::new(Exit::Failed, format!("{failed} of {} operations failed", totals.all()))),
    }
}

/// Sends a chunk, and again as long as there is something that no leader could do.
async fn settled(
    client: &Client,
    global: &GlobalArgs,
    chunk: &Chunk,
    options: &CallOptions,
) -> Result<Answer<BatchResults>, Failure> {
    let until = Instant::now() + global.timeout;
    loop {
        let answer = client.batch(&global.group, &chunk.operations, options).await?;
        let open = answer.value.results.iter().filter(|result| result.is_worth_a_repeat());
        let Some(wait) = open.map(|result| result.retry_after.unwrap_or(0)).max() else { return Ok(answer) };
        let wait = Duration::from_secs(wait).max(REPEAT_AFTER);
        if Instant::now() + wait >= until {
            return Ok(answer);
        }
        tokio::time::sleep(wait).await;
    }
}

/// What the requests before had done stays done.
fn so_far(failure: Failure, totals: &BatchTotals, key: &str) -> Failure {
    let done =
        format!("{} operations had succeeded and {} had failed before", totals.succeeded, totals.failed);
    failure.advise(done).advise(format!(
        "repeat the same command with --idempotency-key {key}: what was done is not done again"
    ))
}

/// The lines of a file.
struct Lines {
    reader: Box<dyn BufRead>,
    /// Of the line that was read last.
    number: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, Failure> {
        let reader: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(std::io::stdin().lock())
        } else {
            let file = std::fs::File::open(path)
                .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", path.display())))?;
            Box::new(std::io::BufReader::new(file))
        };
        Ok(Self { reader, number: 0 })
    }

    /// The operations of the next request; none at the end.
    fn chunk(&mut self, operations_max: usize) -> Result<Chunk, Failure> {
        let mut chunk = Chunk::default();
        let mut line = String::new();
        while chunk.operations.len() < operations_max && chunk.bytes < BYTES_MAX {
            line.clear();
            self.number += 1;
            let fault = |why: String| Failure::new(Exit::Usage, format!("line {}: {why}", self.number));
            if self.reader.read_line(&mut line).map_err(|error| fault(error.to_string()))? == 0 {
                break;
            }
            if line.trim().is_empty() {
                continue;
            }
            let operation = BatchOperation::from_json(&line).map_err(|error| fault(error.to_string()))?;
            chunk.bytes += line.len();
            chunk.lines.push(self.number);
            chunk.operations.push(operation);
        }
        Ok(chunk)
    }
}
