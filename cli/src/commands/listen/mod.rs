//! `timerctl listen`: receives callbacks, answers as told, prints what came and how late.

mod explain;
mod receiver;
pub mod record;
pub mod totals;

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::args::ListenArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use record::Record;
use totals::Totals;

/// How long requests that are being answered may go on after the end.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// Callbacks that have been answered and not printed yet. When it is full, answers wait.
const UNPRINTED_MAX: usize = 1024;

pub async fn run(args: ListenArgs, output: &mut Output) -> Result<(), Failure> {
    if args.explain {
        return output.text(explain::TEXT);
    }
    let address = args.address();
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::new(Exit::Failed, format!("can't listen on {address}: {error}"))
            .advise("another port: --listen 127.0.0.1:0 takes a free one and says which")
    })?;
    output.note(&format!("listening on http://{}/", listener.local_addr()?))?;

    let (records, mut printed) = mpsc::channel(UNPRINTED_MAX);
    let (stop, stopped) = watch::channel(false);
    let mut server = tokio::spawn(receiver::serve(listener, args.clone(), records, stopped));
    let mut totals = Totals::new();
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            record = printed.recv() => {
                let Some(record) = record else { break };
                if !print(&args, &mut totals, record, output)? {
                    break;
                }
            }
            _ = &mut interrupt => {
                // What was answered before the interrupt is counted; what comes meanwhile need not be.
                for _ in 0..UNPRINTED_MAX {
                    let Ok(record) = printed.try_recv() else { break };
                    print(&args, &mut totals, record, output)?;
                }
                break;
            }
        }
    }
    stop.send_replace(true);
    drop(printed);
    if let Ok(ended) = tokio::time::timeout(DRAIN_MAX, &mut server).await {
        ended.map_err(|error| Failure::new(Exit::Failed, error.to_string()))??;
    } else {
        server.abort();
    }
    output.totals(&totals)
}

/// Counts `record`, prints it unless that is enough, and says whether to go on.
fn print(
    args: &ListenArgs,
    totals: &mut Totals,
    record: Record,
    output: &mut Output,
) -> Result<bool, Failure> {
    let seen = totals.count(&record);
    if args.quiet_after.is_none_or(|most| totals.requests() <= most) {
        output.record(&record, seen)?;
    }
    Ok(args.count.is_none_or(|count| totals.received() < count))
}
