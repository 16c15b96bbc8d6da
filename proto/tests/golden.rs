//! Guards what is kept for ever: the bytes of one sample of every message, with every field set, and the number
//! of every variant. If one of these tests fails, a node of the version before can't read what this one
//! writes: take the change back, and add a new field or number instead.
//!
//! A new message is added to the files by a run with `GOLDEN_WRITE=1`; lines that are there stay as they are.

use std::fmt::Debug;
use std::path::PathBuf;

use proto::{Numbered, entry, record};
use timer_core::attempt::{Answer, Attempt, Details, Trigger};
use timer_core::command::patch::RetryPatch;
use timer_core::command::{
    AddSigningSecret, AdvanceCursor, AttemptResult, Command, Delete, Entry, Envelope, Expire, Fence, Fire,
    GroupStep, HandOver, Moment, OpenSession, Outcome, Park, Parked, Patch, PauseGroup, Precondition, Put,
    PutGroup, PutMode, Redrive, Release, RemoveSigningSecret, SetGroup, StepGroup,
};
use timer_core::definition::{
    BodyMode, Callback, DeadOn, Definition, LatePolicy, Method, Payload, RetryPolicy,
};
use timer_core::group::{Group, GroupCounts, GroupSettings, KeptGroupAnswer, Phase};
use timer_core::ids::{NodeId, Sequence, TimerKey};
use timer_core::secret::{SecretBytes, SigningSecret};
use timer_core::shard_state::{Lost, OpenAttempt, Predecessor, Session, ShardState};
use timer_core::time::{Millis, Span};
use timer_core::timer::{
    Effect, ErrorKind, Fingerprint, InFlight, KeptAnswer, LastError, RequestKey, State, Timer,
};

/// Compares `lines` with the golden file `name`, or adds those that it does not have yet.
fn check(name: &str, lines: &[(String, String)]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    let mut text = std::fs::read_to_string(&path).unwrap_or_default();
    if std::env::var_os("GOLDEN_WRITE").is_some() {
        for (key, value) in lines {
            if !text.lines().any(|line| line.split_once(' ').is_some_and(|(known, _)| known == key)) {
                text += &format!("{key} {value}\n");
            }
        }
        assert!(std::fs::write(&path, &text).is_ok(), "{}", path.display());
    }
    let golden: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(key, value)| (key.into(), value.into()))
        .collect();
    assert_eq!(golden, lines, "{}", path.display());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key() -> TimerKey {
    TimerKey::new("group", "id/é")
}

fn retry() -> RetryPolicy {
    RetryPolicy {
        attempts_max: 11,
        duration_max: Span(12),
        initial_interval: Span(13),
        multiplier_milli: 14,
        interval_max: Span(15),
        jitter_milli: 16,
        dead_on: DeadOn::Codes(vec![400, 422]),
    }
}

fn definition() -> Definition {
    Definition {
        execute_at: Millis(1_800_000_000_000),
        callback: Callback {
            url: "https://receiver/".into(),
            method: Method::Patch,
            headers: vec![("x-b".into(), "1".into()), ("x-a".into(), "2".into())],
            timeout: Span(30_000),
            body: BodyMode::Payload,
        },
        payload: Payload::Json(b"{\"n\":1}".as_slice().into()),
        retry: retry(),
        late: LatePolicy::Skip { grace_window: Span(17) },
        labels: [("team".into(), "blue".into()), ("kind".into(), "test".into())].into(),
    }
}

fn precondition() -> Precondition {
    Precondition {
        absent: true,
        versions: vec![Sequence(21), Sequence(1 << 40)],
        present: true,
        generation: Some(Sequence(22)),
        nothing_in_flight: true,
    }
}

fn fence() -> Fence {
    Fence { session: 31, attempt: Some((Sequence(32), Millis(33))) }
}

fn fingerprint(first: u8) -> Fingerprint {
    Fingerprint(std::array::from_fn(|n| first + n as u8))
}

fn last_error() -> LastError {
    LastError {
        kind: ErrorKind::Dns,
        newer_kind: None,
        status: Some(503),
        message: "unknown".into(),
        at: Millis(41),
    }
}

fn open_attempt(attempt: u32) -> OpenAttempt {
    OpenAttempt { key: key(), generation: Sequence(51), attempt, until: Millis(53) }
}

fn put() -> Put {
    Put {
        key: key(),
        definition: definition(),
        delay: None,
        fingerprint: fingerprint(0x10),
        mode: PutMode::CreateOnly,
        precondition: precondition(),
        fence: fence(),
    }
}

fn patch() -> Patch {
    let RetryPolicy {
        attempts_max,
        duration_max,
        initial_interval,
        multiplier_milli,
        interval_max,
        jitter_milli,
        ..
    } = retry();
    Patch {
        key: key(),
        execute_at: Some(Millis(61)),
        delay: None,
        url: Some("http://other/".into()),
        method: Some(Method::Get),
        headers: vec![("x-a".into(), Some("3".into())), ("x-b".into(), None)],
        timeout: Some(Span(62)),
        body: Some(BodyMode::Envelope),
        payload: Some(Payload::None),
        retry: RetryPatch {
            attempts_max: Some(attempts_max),
            duration_max: Some(duration_max),
            initial_interval: Some(initial_interval),
            multiplier_milli: Some(multiplier_milli),
            interval_max: Some(interval_max),
            jitter_milli: Some(jitter_milli),
            dead_on: Some(DeadOn::All4xx),
        },
        late: Some(LatePolicy::Fire),
        labels: [("kind".into(), None), ("team".into(), Some("red".into()))].into(),
        precondition: precondition(),
        fence: fence(),
    }
}

fn outcome(result: AttemptResult) -> Command {
    Command::Outcome(Box::new(Outcome {
        key: key(),
        generation: Sequence(71),
        attempt: 72,
        session: 73,
        started_at: Millis(74),
        finished_at: Millis(75),
        result,
        details: None,
    }))
}

fn details() -> Details {
    let answer = Some(Answer::new(503, "busy é".as_bytes(), true));
    Details { scheduled_at: Millis(79), trigger: Trigger::Redrive, answer }
}

fn outcome_with_details() -> Command {
    let Command::Outcome(outcome) = outcome(AttemptResult::Delivered) else { unreachable!("it is one") };
    Command::Outcome(Box::new(Outcome { details: Some(details()), ..*outcome }))
}

fn attempt() -> Attempt {
    Attempt {
        recorded: Sequence(131),
        generation: Sequence(132),
        number: 133,
        session: 134,
        counted: false,
        started_at: Millis(135),
        finished_at: Millis(136),
        result: AttemptResult::Failed {
            error: last_error(),
            retry_after: Some(Millis(137)),
            permanent: true,
        },
        details: details(),
    }
}

fn commands() -> Vec<(&'static str, Command)> {
    let binary = Payload::Binary { bytes: b"\x00\xff".as_slice().into(), content_type: "image/png".into() };
    let next = AttemptResult::DeliveredNext { execute_at: Millis(76), payload: Some(binary) };
    let failed =
        AttemptResult::Failed { error: last_error(), retry_after: Some(Millis(77)), permanent: true };
    vec![
        ("put", Command::Put(Box::new(put()))),
        ("patch", Command::Patch(Box::new(patch()))),
        (
            "delete",
            Command::Delete(Delete { key: key(), purge: true, precondition: precondition(), fence: fence() }),
        ),
        ("fire", Command::Fire(Fire { key: key(), precondition: precondition() })),
        ("redrive", Command::Redrive(Redrive { key: key(), precondition: precondition() })),
        ("outcome_delivered", outcome(AttemptResult::Delivered)),
        ("outcome_delivered_next", outcome(next)),
        ("outcome_failed", outcome(failed)),
        ("outcome_deferred", outcome(AttemptResult::Deferred { until: Millis(78) })),
        ("outcome_skipped", outcome(AttemptResult::Skipped)),
        ("open_session", Command::OpenSession(OpenSession { node: NodeId(81) })),
        ("hand_over", Command::HandOver(HandOver { session: 82, attempts: vec![open_attempt(52)] })),
        ("advance_cursor", Command::AdvanceCursor(AdvanceCursor { session: 83, to: Millis(84) })),
        ("expire", Command::Expire(Expire { timers: vec![(key(), Sequence(85))] })),
        ("put_after_a_delay", Command::Put(Box::new(Put { delay: Some(Span(64)), ..put() }))),
        ("patch_to_a_delay", Command::Patch(Box::new(Patch { delay: Some(Span(63)), ..patch() }))),
    ]
}

fn group_commands() -> Vec<(&'static str, Command)> {
    vec![
        (
            "put_group",
            Command::PutGroup(Box::new(PutGroup {
                name: "group".into(),
                settings: group().settings,
                keeps_shards: true,
                precondition: precondition(),
            })),
        ),
        (
            "step_group",
            Command::StepGroup(StepGroup {
                name: "group".into(),
                version: Sequence(66),
                step: GroupStep::Remove,
            }),
        ),
        ("set_group", Command::SetGroup(Box::new(SetGroup { group: group() }))),
    ]
}

fn parking_commands() -> Vec<(&'static str, Command)> {
    let pause = PauseGroup { name: "group".into(), paused: true, shards: 144, precondition: precondition() };
    let parked = || vec![Parked { key: key(), generation: Sequence(142), position: Millis(143) }];
    vec![
        ("pause_group", Command::PauseGroup(pause)),
        ("park", Command::Park(Park { session: 145, timers: parked() })),
        ("release", Command::Release(Release { session: 146, timers: parked() })),
    ]
}

fn group() -> Group {
    let answer = KeptGroupAnswer {
        request: RequestKey { id: "request".into(), body: fingerprint(0x50) },
        at: Millis(131),
        effect: Effect::Created,
        version: Sequence(132),
    };
    Group {
        name: "group".into(),
        generation: Sequence(133),
        version: Sequence(134),
        phase: Phase::Closed,
        settings: GroupSettings {
            shards: 135,
            retention: Span(136),
            dead_retention: Span(137),
            retain_payload: true,
            horizon_max: Span(138),
            pending_max: Some(139),
        },
        paused_at: None,
        created_at: Millis(140),
        updated_at: Millis(141),
        settled: true,
        answers: vec![answer],
        secrets: Vec::new(),
    }
}

/// Any 32 bytes.
fn secret() -> SecretBytes {
    SecretBytes::new(std::array::from_fn(|n| 0x60 + n as u8))
}

fn group_with_secrets() -> Group {
    let secret = |id| SigningSecret { id: Sequence(id), secret: secret(), created_at: Millis(142) };
    Group { secrets: vec![secret(133), secret(134)], ..group() }
}

fn secret_commands() -> [(&'static str, Command); 2] {
    let (group, id) = ("group".to_owned(), Sequence(68));
    [
        (
            "add_signing_secret",
            Command::AddSigningSecret(AddSigningSecret {
                group: group.clone(),
                secret: secret(),
                shards: 69,
            }),
        ),
        ("remove_signing_secret", Command::RemoveSigningSecret(RemoveSigningSecret { group, id })),
    ]
}

fn envelope(command: Command) -> Envelope {
    Envelope {
        principal: "token".into(),
        request: Some(RequestKey { id: "request".into(), body: fingerprint(0x20) }),
        traceparent: Some("00-trace".into()),
        ..Envelope::own(command)
    }
}

/// As it is when it is sent again.
fn asked_again(command: Command) -> Envelope {
    Envelope { asked_since: Some(Moment { index: 64, time: Millis(65) }), ..envelope(command) }
}

fn timer() -> Timer {
    let answer = KeptAnswer {
        request: RequestKey { id: "request".into(), body: fingerprint(0x30) },
        at: Millis(91),
        effect: Effect::Replaced,
        generation: Sequence(92),
        version: Sequence(93),
        state: State::Retrying,
        in_flight: InFlight::Yes { until: Millis(94) },
    };
    Timer {
        key: key(),
        generation: Sequence(95),
        version: Sequence(96),
        state: State::Dead,
        definition: definition(),
        fingerprint: Some(fingerprint(0x40)),
        next_attempt_at: Some(Millis(97)),
        position: Some(Millis(98)),
        parked_at: None,
        attempts: 99,
        attempts_forgiven: 100,
        first_attempt_at: Some(Millis(101)),
        deferrals: 102,
        attempts_recorded: 0,
        manual: true,
        created_at: Millis(103),
        updated_at: Millis(104),
        executed_at: Some(Millis(105)),
        last_error: Some(last_error()),
        in_flight: InFlight::Possible { until: Millis(106) },
        answers: vec![answer],
        purge_at: Some(Millis(107)),
        traceparent: Some("00-trace".into()),
    }
}

fn shard_state(predecessor: Predecessor) -> ShardState {
    let lost = Some(Lost { session: 111, opened_at: Millis(112), since: Millis(113) });
    let (node, opened_at, handed_over) = (NodeId(115), Millis(116), Some(vec![open_attempt(117)]));
    ShardState {
        last_time: Millis(118),
        cursor: Millis(119),
        session: Some(Session { number: 114, node, opened_at, predecessor, lost, handed_over }),
        counts: [121, 122, 123, 124, 125, 126],
        newest_erased: None,
        groups: 0,
        parked: 0,
    }
}

#[test]
fn commands_keep_their_bytes() {
    let bytes = |name: &str, envelope: &Envelope| (name.into(), hex(&entry::encode_envelope(envelope)));
    let mut lines: Vec<_> =
        commands().into_iter().map(|(name, command)| bytes(name, &envelope(command))).collect();
    lines.push(bytes("put_asked_again", &asked_again(commands().swap_remove(0).1)));
    lines.extend(group_commands().into_iter().map(|(name, command)| bytes(name, &envelope(command))));
    let of_group = Envelope { group: Some(Sequence(67)), ..envelope(commands().swap_remove(3).1) };
    lines.push(bytes("fire_of_a_group", &of_group));
    lines.push(bytes("outcome_with_details", &envelope(outcome_with_details())));
    lines.extend(secret_commands().into_iter().map(|(name, command)| bytes(name, &envelope(command))));
    lines.extend(parking_commands().into_iter().map(|(name, command)| bytes(name, &envelope(command))));
    check("commands.hex", &lines);
}

#[test]
fn an_entry_keeps_its_bytes() {
    let commands = [commands().swap_remove(0), commands().swap_remove(2)].map(|(_, c)| envelope(c));
    let entry = Entry { proposed_at: Millis(1_800_000_000_001), commands: commands.to_vec() };
    check("entry.hex", &[("entry".into(), hex(&entry::encode(&entry)))]);
}

#[test]
fn records_keep_their_bytes() {
    let state = |predecessor| hex(&record::encode_shard_state(&shard_state(predecessor)));
    let with_history = Timer { attempts_recorded: 130, ..timer() };
    let erased = ShardState { newest_erased: Some(Sequence(128)), ..shard_state(Predecessor::None) };
    let parked = Timer { parked_at: Some(Millis(147)), ..timer() };
    let paused = Group { paused_at: Some(Millis(148)), ..group() };
    let parking = ShardState { parked: 149, ..erased.clone() };
    let grouped = ShardState { groups: 129, ..erased.clone() };
    check(
        "records.hex",
        &[
            ("timer".into(), hex(&record::encode_timer(&timer()))),
            ("shard_state".into(), state(Predecessor::HandedOver(vec![open_attempt(127)]))),
            ("shard_state_after_loss".into(), state(Predecessor::Lost)),
            ("shard_state_after_purge".into(), hex(&record::encode_shard_state(&erased))),
            ("shard_state_with_groups".into(), hex(&record::encode_shard_state(&grouped))),
            ("group".into(), hex(&proto::group::encode(&group()))),
            ("group_counts".into(), hex(&proto::group::encode_counts(&GroupCounts([1, 2, 3, 4, 5, 6])))),
            ("timer_with_a_history".into(), hex(&record::encode_timer(&with_history))),
            ("attempt".into(), hex(&record::encode_attempt(&attempt()))),
            ("group_with_secrets".into(), hex(&proto::group::encode(&group_with_secrets()))),
            ("timer_that_is_parked".into(), hex(&record::encode_timer(&parked))),
            ("group_that_is_paused".into(), hex(&proto::group::encode(&paused))),
            ("shard_state_with_what_is_parked".into(), hex(&record::encode_shard_state(&parking))),
        ],
    );
}

fn numbers<T: Numbered + Debug>(name: &str) -> Vec<(String, String)> {
    T::EVERY.iter().map(|variant| (format!("{name}.{variant:?}"), variant.number().to_string())).collect()
}

#[test]
fn variants_keep_their_numbers() {
    let lists = [
        numbers::<PutMode>("PutMode"),
        numbers::<Method>("Method"),
        numbers::<BodyMode>("BodyMode"),
        numbers::<State>("State"),
        numbers::<Effect>("Effect"),
        numbers::<ErrorKind>("ErrorKind"),
        numbers::<Phase>("Phase"),
        numbers::<GroupStep>("GroupStep"),
        numbers::<Trigger>("Trigger"),
    ];
    check("numbers.txt", &lists.concat());
}
