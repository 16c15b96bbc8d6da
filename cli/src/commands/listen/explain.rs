//! What `timerctl listen --explain` says. The long form is `docs/receiving-callbacks.md`.

/// The text.
pub const TEXT: &str = "\
A callback arrives at least once. A receiver that must do something exactly once does this:

  1. Deduplicate. `webhook-id` is the same for all attempts of one definition of a timer. Insert it into a
     table with a unique index, in the transaction that does the work; if it is there already, answer 200 and
     do nothing.

  2. Refuse stale senders. `Timer-Fencing-Token` is a decimal number below 2^63 that grows with every attempt
     of a timer. Keep the largest with what the timer changes, and answer 409 to a smaller one: a leader that
     was replaced and does not know it yet may still have sent it.

  3. Answer 2xx once the work is safe, and within `callbackTimeout` (30s if the timer does not say). Any other
     status is tried again by the timer's retryPolicy; 400, 405, 410, 413, 414, 415 and 422 end it at once.

  4. Or say more than a status can, as application/json with status 200:
       {\"ok\": true}                                     delivered
       {\"ok\": true, \"nextExecuteAt\": \"2026-12-02T...Z\"}  delivered, and again at that time
       {\"ok\": false}                                    failed: try again by the retryPolicy
       {\"ok\": false, \"nextExecuteAt\": \"2026-12-02T...Z\"} not yet: again at that time, no attempt used

  5. Verify. Until the server signs (Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature),
     put a secret into the timer: timerctl create ... --header 'authorization: Bearer SECRET'.

Try it:
  timerctl listen --fail-first 2              two 500s, then 200: see the attempts and their times
  timerctl listen --body '{\"ok\": false}'      the receiver says no
  timerctl listen --delay 40s                 too slow: the attempt times out
  timerctl listen --count 100 --output json   for scripts: one line a callback, then the totals
";
