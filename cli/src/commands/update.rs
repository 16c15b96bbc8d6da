//! `timerctl update`: PATCH.

use serde_json::value::RawValue;

use super::{client, name, options, settled};
use crate::args::{GlobalArgs, UpdateArgs};
use crate::failure::{Exit, Failure};
use crate::output::Output;

pub async fn run(global: &GlobalArgs, args: UpdateArgs, output: &mut Output) -> Result<(), Failure> {
    let client = client(global)?;
    let mut patch = args.definition.patch()?;
    for header in args.remove_header {
        patch.callback_headers.insert(header, None);
    }
    for label in args.remove_label {
        patch.labels.insert(label, None);
    }
    if args.remove_payload {
        patch.payload = Some(RawValue::NULL.to_owned());
    }
    if serde_json::to_value(&patch)
        .is_ok_and(|patch| patch.as_object().is_some_and(serde_json::Map::is_empty))
    {
        return Err(Failure::new(
            Exit::Usage,
            "nothing to change: say what, as in --in 1h or --label team=a",
        ));
    }
    let options = options(args.conditions)?;
    let answer = settled(client.patch(&name(global, args.id), &patch, &options).await, &options)?;
    output.timer("updated", &answer)
}
