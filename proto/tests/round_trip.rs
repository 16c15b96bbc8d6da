//! What is encoded comes back as it was, and bytes that are something else are refused, never guessed at.

mod support;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use proto::wire::store as wire;
use proto::{DecodeError, Numbered as _, entry, record};
use timer_core::command::Entry;
use timer_core::limits::COMMANDS_PER_ENTRY_MAX;
use timer_core::time::Millis;
use timer_core::timer::{ErrorKind, LastError};

proptest! {
    #[test]
    fn entries_come_back_as_they_were(given in support::entry()) {
        prop_assert_eq!(entry::decode(&entry::encode(&given)), Ok(given));
    }

    #[test]
    fn envelopes_come_back_as_they_were_within_the_length_that_was_foretold(given in support::envelope()) {
        let bytes = entry::encode_envelope(&given);
        let most = entry::envelope_len(&given);
        // Within an entry it has a tag and a length before it.
        let in_entry = wire::LogEntry { proposed_at_ms: 0, commands: vec![(&given).into()] }.encoded_len();
        prop_assert!(in_entry <= most, "{in_entry} bytes, at most {most} foretold");
        prop_assert!(most <= bytes.len() + 1024, "{} bytes, but {most} foretold", bytes.len());
        prop_assert_eq!(entry::decode_envelope(&bytes), Ok(given));
    }

    #[test]
    fn timers_come_back_as_they_were(given in support::timer()) {
        prop_assert_eq!(record::decode_timer(&record::encode_timer(&given)), Ok(given));
    }

    #[test]
    fn attempts_come_back_as_they_were(given in support::attempt()) {
        prop_assert_eq!(record::decode_attempt(&record::encode_attempt(&given)), Ok(given));
    }

    #[test]
    fn shard_states_come_back_as_they_were(given in support::shard_state()) {
        prop_assert_eq!(record::decode_shard_state(&record::encode_shard_state(&given)), Ok(given));
    }

    #[test]
    fn groups_come_back_as_they_were(given in support::group()) {
        prop_assert_eq!(proto::group::decode(&proto::group::encode(&given)), Ok(given));
    }

    #[test]
    fn other_bytes_are_refused_or_read_without_a_panic(given in prop::collection::vec(any::<u8>(), 0..200)) {
        let again = entry::decode(&given).map(|read| entry::encode(&read));
        if let Ok(again) = again {
            prop_assert!(entry::decode(&again).is_ok());
        }
        let _ = (record::decode_timer(&given), record::decode_attempt(&given), record::decode_shard_state(&given));
    }

    #[test]
    fn a_record_that_is_cut_short_is_not_taken_for_another(given in support::timer(), cut in any::<prop::sample::Index>()) {
        let bytes = record::encode_timer(&given);
        let cut = cut.index(bytes.len());
        prop_assert_ne!(record::decode_timer(&bytes[..cut]), Ok(given));
    }
}

#[test]
fn the_largest_numbers_take_no_more_than_the_length_that_was_foretold() {
    use timer_core::command::{Command, Envelope, Fence, Moment, Precondition, Put, PutMode};
    use timer_core::definition::{
        BodyMode, Callback, DeadOn, Definition, LatePolicy, Method, Payload, RetryPolicy,
    };
    use timer_core::ids::{Sequence, TimerKey};
    use timer_core::time::{Millis, Span};
    use timer_core::timer::{Fingerprint, RequestKey};

    let (most, long) = (u64::MAX, "x".repeat(255));
    let callback = Callback {
        url: "x".repeat(2048),
        method: Method::Delete,
        headers: Vec::new(),
        timeout: Span(most),
        body: BodyMode::Payload,
    };
    let retry = RetryPolicy {
        attempts_max: u32::MAX,
        duration_max: Span(most),
        initial_interval: Span(most),
        multiplier_milli: u32::MAX,
        interval_max: Span(most),
        jitter_milli: u32::MAX,
        dead_on: DeadOn::Codes(vec![u16::MAX; 100]),
    };
    let definition = Definition {
        execute_at: Millis(most),
        callback,
        payload: Payload::Binary { bytes: vec![0; 256 * 1024].into(), content_type: long.clone() },
        retry,
        late: LatePolicy::Skip { grace_window: Span(most) },
        labels: [].into(),
    };
    let put = Put {
        key: TimerKey::new("x".repeat(63), long.clone()),
        definition,
        delay: Some(Span(most)),
        fingerprint: Fingerprint([0xFF; 16]),
        mode: PutMode::CreateOnly,
        precondition: Precondition {
            absent: true,
            versions: vec![Sequence(most); 16],
            present: true,
            generation: Some(Sequence(most)),
            nothing_in_flight: true,
        },
        fence: Fence { session: most, attempt: Some((Sequence(most), Millis(most))) },
    };
    let envelope = Envelope {
        principal: long.clone(),
        request: Some(RequestKey { id: long.clone(), body: Fingerprint([0xFF; 16]) }),
        traceparent: Some(long),
        asked_since: Some(Moment { index: most, time: Millis(most) }),
        group: Some(Sequence(most)),
        command: Command::Put(Box::new(put)),
    };
    let foretold = entry::envelope_len(&envelope);
    let takes = wire::LogEntry { proposed_at_ms: 0, commands: vec![(&envelope).into()] }.encoded_len();
    assert!(takes <= foretold, "{takes} bytes, at most {foretold} foretold");
}

#[test]
fn a_command_of_a_newer_version_is_refused_by_name() {
    // Field 200 holds an empty message, as a new kind of command would.
    let newer = [0xc2, 0x0c, 0x00];
    assert!(wire::Envelope::decode(newer.as_slice()).is_ok(), "well-formed");
    let missing = DecodeError::Missing { message: "Envelope", field: "command" };
    assert_eq!(entry::decode_envelope(&newer), Err(missing.clone()));
    assert_eq!(
        missing.to_string(),
        "Envelope.command is missing, or of a kind that this version does not know"
    );
}

#[test]
fn a_number_that_nobody_has_is_refused_by_name() {
    let timer = wire::Timer { state: 99, ..wire::Timer::default() }.encode_to_vec();
    let unknown = DecodeError::Unknown { message: "Timer", field: "state", value: 99 };
    assert_eq!(record::decode_timer(&timer), Err(unknown));
    let timer = wire::Timer::default().encode_to_vec();
    let unknown = DecodeError::Unknown { message: "Timer", field: "state", value: 0 };
    assert_eq!(record::decode_timer(&timer), Err(unknown));
}

#[test]
fn a_status_beyond_16_bits_is_refused_by_name() {
    let error = wire::LastError { kind: 1, status: Some(70_000), ..wire::LastError::default() };
    let out = LastError::try_from(error);
    let (message, field, max) = ("LastError", "status", 65_535);
    assert_eq!(out, Err(DecodeError::OutOfRange { message, field, value: 70_000, max }));
}

#[test]
fn a_kind_of_failure_is_one_that_every_version_knows_and_the_exact_one_beside_it() {
    // The numbers of the first version. Another one in `kind` would stop the shard of a node that does not know it.
    for kind in ErrorKind::EVERY {
        let error =
            LastError { kind: *kind, newer_kind: None, status: None, message: String::new(), at: Millis(0) };
        let wire = wire::LastError::from(&error);
        assert!((1..=11).contains(&wire.kind), "{kind:?} is {}", wire.kind);
        assert_eq!(wire.exact_kind != 0, kind.number() > 11, "{kind:?}");
        assert_eq!(LastError::try_from(wire), Ok(error));
    }
}

#[test]
fn a_kind_of_failure_of_a_newer_version_is_kept_and_shown_as_the_broad_one() {
    let newer =
        wire::LastError { kind: ErrorKind::Tls.number(), exact_kind: 999, ..wire::LastError::default() };
    let read = LastError::try_from(newer.clone()).unwrap();
    assert_eq!((read.kind, read.newer_kind), (ErrorKind::Tls, Some(999)));
    assert_eq!(wire::LastError::from(&read), newer, "the replicas hold the same bytes");
}

#[test]
fn an_attempt_without_what_the_history_needs_is_refused_by_name() {
    let missing = |message, field| Err(DecodeError::Missing { message, field });
    let none = wire::Attempt::default().encode_to_vec();
    assert_eq!(record::decode_attempt(&none), missing("Attempt", "outcome"));
    let result = Some(wire::outcome::Result::Delivered(true));
    let outcome = wire::Outcome { result, ..wire::Outcome::default() };
    let without = wire::Attempt { outcome: Some(outcome), ..wire::Attempt::default() }.encode_to_vec();
    assert_eq!(record::decode_attempt(&without), missing("Attempt", "details"));
}

#[test]
fn more_commands_than_an_entry_may_hold_are_refused() {
    let many = wire::LogEntry {
        proposed_at_ms: 0,
        commands: vec![wire::Envelope::default(); COMMANDS_PER_ENTRY_MAX as usize + 1],
    };
    let (message, field, value, max) = ("LogEntry", "commands", 4097, 4096);
    assert_eq!(
        entry::decode(&many.encode_to_vec()),
        Err(DecodeError::OutOfRange { message, field, value, max })
    );
}

#[test]
fn what_is_not_protobuf_is_refused_with_the_name_of_the_message() {
    let error = entry::decode(&[0xff]).map(|_: Entry| ());
    assert!(matches!(error, Err(DecodeError::Wire { message: "LogEntry", .. })), "{error:?}");
}

#[test]
fn a_payload_is_shared_with_the_message_and_not_copied() {
    let payload = timer_core::definition::Payload::Json(b"[1,2,3]".as_slice().into());
    let wire = wire::Payload::from(&payload);
    let Some(wire::payload::Kind::Json(shared)) = &wire.kind else { panic!("{wire:?}") };
    let shared: &Bytes = shared;
    assert_eq!(payload.bytes().map(|bytes| bytes.as_ptr()), Some(shared.as_ptr()));
}

/// Prints what a typical create costs; run with `--release -- --nocapture cost` to see it.
#[test]
fn the_cost_of_a_create_is_measured() {
    use std::hint::black_box;
    use std::time::Instant;
    use timer_core::command::{Command, Envelope, Fence, Precondition, Put, PutMode};
    use timer_core::definition::{Callback, Definition, LatePolicy, Payload, RetryPolicy};
    use timer_core::ids::TimerKey;
    use timer_core::time::Millis;
    use timer_core::timer::{Fingerprint, RequestKey};

    let put = Put {
        key: TimerKey::new("default", "order-4711-reminder"),
        definition: Definition {
            execute_at: Millis(1_800_000_000_000),
            callback: Callback::post("https://orders.example.com/callbacks/reminder"),
            payload: Payload::Json(b"{\"order\":4711,\"kind\":\"reminder\"}".as_slice().into()),
            retry: RetryPolicy::default(),
            late: LatePolicy::Fire,
            labels: [].into(),
        },
        delay: None,
        fingerprint: Fingerprint([1; 16]),
        mode: PutMode::CreateOrReplace,
        precondition: Precondition::default(),
        fence: Fence::default(),
    };
    let envelope = Envelope {
        principal: "service".into(),
        request: Some(RequestKey { id: "0123456789abcdef".into(), body: Fingerprint([2; 16]) }),
        ..Envelope::own(Command::Put(Box::new(put)))
    };
    let count = 1000;
    let entry = Entry { proposed_at: Millis(1), commands: vec![envelope; count] };
    let begin = Instant::now();
    let bytes = black_box(entry::encode(black_box(&entry)));
    let encoded = begin.elapsed();
    let begin = Instant::now();
    let read = black_box(entry::decode(black_box(&bytes)));
    let decoded = begin.elapsed();
    assert_eq!(read, Ok(entry));
    println!(
        "{} bytes, {:?} to encode, {:?} to decode, a create",
        bytes.len() / count,
        encoded / count as u32,
        decoded / count as u32
    );
}

#[test]
fn a_secret_of_another_length_is_refused_and_none_is_printed() {
    let secret = Bytes::from_static(b"not to be seen by anybody at all");
    let add = |secret| {
        let add = wire::AddSigningSecret { group: "g".into(), secret, shards: 1 };
        let command = Some(wire::envelope::Command::AddSigningSecret(add));
        wire::Envelope { command, ..Default::default() }
    };
    let record = |secret| wire::SigningSecret { id: 1, secret, created_at_ms: 2 };
    let printed = format!("{:?} {:?}", add(secret.clone()), record(secret.clone()));
    assert!(printed.contains("AddSigningSecret") && !printed.contains("seen"), "{printed}");
    let whole = entry::decode_envelope(&add(secret.clone()).encode_to_vec()).unwrap();
    let printed = format!("{whole:?}");
    assert!(printed.contains("redacted") && !printed.contains("110, 111, 116"), "{printed}");
    let short = entry::decode_envelope(&add(secret.slice(1..)).encode_to_vec());
    assert!(matches!(short, Err(DecodeError::Length { length: 31, expected: 32, .. })), "{short:?}");
}
