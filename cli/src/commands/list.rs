//! `timerctl list`.

use durable_timer::{CallOptions, ListOptions, ListOrder, State};

use super::client;
use crate::args::{GlobalArgs, ListArgs, OrderArg, StateArg};
use crate::failure::Failure;
use crate::output::Output;

/// Timers in one request when all are asked for.
const ALL_AT_ONCE: u16 = 1_000;

pub async fn run(global: &GlobalArgs, args: ListArgs, output: &mut Output) -> Result<(), Failure> {
    let client = client(global)?;
    let options = CallOptions { reveal: args.reveal, ..CallOptions::default() };
    let wanted = (!args.all).then_some(usize::from(args.limit));
    let mut list = ListOptions {
        states: args.state.into_iter().map(state).collect(),
        id_prefix: args.id_prefix,
        execute_after: args.after,
        execute_before: args.before,
        order_by: args.order_by.map(|order| match order {
            OrderArg::Id => ListOrder::Id,
            OrderArg::Time => ListOrder::ExecuteAt,
        }),
        limit: None,
        cursor: args.cursor,
    };
    let mut shown = 0;
    loop {
        let left = wanted.map(|wanted| wanted - shown);
        list.limit = Some(left.map_or(ALL_AT_ONCE, |left| u16::try_from(left).unwrap_or(ALL_AT_ONCE)));
        let answer = client.list(&global.group, &list, &options).await?;
        output.page(&answer, shown == 0)?;
        shown += answer.value.timers.len();
        // Large timers make a page shorter than was asked for.
        match answer.value.next_cursor {
            Some(cursor) if wanted.is_none_or(|wanted| shown < wanted) => list.cursor = Some(cursor),
            Some(cursor) => return output.more(&cursor),
            None => return Ok(()),
        }
    }
}

const fn state(state: StateArg) -> State {
    match state {
        StateArg::Scheduled => State::Scheduled,
        StateArg::Retrying => State::Retrying,
        StateArg::Delivered => State::Delivered,
        StateArg::Dead => State::Dead,
        StateArg::Skipped => State::Skipped,
        StateArg::Cancelled => State::Cancelled,
    }
}
