//! Any entry, record and shard state, for tests that hold for all of them. Values need not obey the rules of
//! timer-core: what is stored must come back as it was, right or wrong. Strategies are boxed, because a debug
//! build would not have the stack for them as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use proto::Numbered;
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
use timer_core::group::{Group, GroupSettings, KeptGroupAnswer, Phase};
use timer_core::ids::{NodeId, Sequence, TimerKey};
use timer_core::secret::{SecretBytes, SigningSecret};
use timer_core::shard_state::{Lost, OpenAttempt, Predecessor, Session, ShardState};
use timer_core::time::{Millis, Span};
use timer_core::timer::{
    Effect, ErrorKind, Fingerprint, InFlight, KeptAnswer, LastError, RequestKey, State, Timer,
};

fn any_of<T: Numbered + std::fmt::Debug>() -> impl Strategy<Value = T> {
    select(T::EVERY)
}

fn text() -> impl Strategy<Value = String> {
    ".{0,12}"
}

fn key() -> BoxedStrategy<TimerKey> {
    (text(), text()).prop_map(|(group, id)| TimerKey { group, id }).boxed()
}

/// Also the ends, where a default value and an absent one must not be mixed up.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), 0_u64..1000]
}

fn small() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(u32::MAX), any::<u32>()]
}

fn millis() -> impl Strategy<Value = Millis> {
    number().prop_map(Millis)
}

fn span() -> impl Strategy<Value = Span> {
    number().prop_map(Span)
}

fn sequence() -> impl Strategy<Value = Sequence> {
    number().prop_map(Sequence)
}

fn fingerprint() -> BoxedStrategy<Fingerprint> {
    any::<[u8; 16]>().prop_map(Fingerprint).boxed()
}

fn bytes() -> BoxedStrategy<Arc<[u8]>> {
    vec(any::<u8>(), 0..40).prop_map(Arc::from).boxed()
}

fn payload() -> BoxedStrategy<Payload> {
    let binary = (bytes(), text()).prop_map(|(bytes, content_type)| Payload::Binary { bytes, content_type });
    prop_oneof![Just(Payload::None), bytes().prop_map(Payload::Json), binary].boxed()
}

fn body_mode() -> BoxedStrategy<BodyMode> {
    any_of::<BodyMode>().boxed()
}

fn callback() -> BoxedStrategy<Callback> {
    (text(), any_of::<Method>(), vec((text(), text()), 0..4), span(), body_mode())
        .prop_map(|(url, method, headers, timeout, body)| Callback { url, method, headers, timeout, body })
        .boxed()
}

fn dead_on() -> BoxedStrategy<DeadOn> {
    prop_oneof![Just(DeadOn::All4xx), vec(any::<u16>(), 0..9).prop_map(DeadOn::Codes)].boxed()
}

fn retry() -> BoxedStrategy<RetryPolicy> {
    (small(), span(), span(), small(), span(), small(), dead_on())
        .prop_map(|fields| {
            let (
                attempts_max,
                duration_max,
                initial_interval,
                multiplier_milli,
                interval_max,
                jitter_milli,
                dead_on,
            ) = fields;
            RetryPolicy {
                attempts_max,
                duration_max,
                initial_interval,
                multiplier_milli,
                interval_max,
                jitter_milli,
                dead_on,
            }
        })
        .boxed()
}

fn retry_patch() -> BoxedStrategy<RetryPatch> {
    let fields = (of(small()), of(span()), of(span()), of(small()), of(span()), of(small()), of(dead_on()));
    fields
        .prop_map(|fields| {
            let (
                attempts_max,
                duration_max,
                initial_interval,
                multiplier_milli,
                interval_max,
                jitter_milli,
                dead_on,
            ) = fields;
            RetryPatch {
                attempts_max,
                duration_max,
                initial_interval,
                multiplier_milli,
                interval_max,
                jitter_milli,
                dead_on,
            }
        })
        .boxed()
}

fn late() -> BoxedStrategy<LatePolicy> {
    prop_oneof![Just(LatePolicy::Fire), span().prop_map(|grace_window| LatePolicy::Skip { grace_window })]
        .boxed()
}

fn labels() -> BoxedStrategy<BTreeMap<String, String>> {
    btree_map(text(), text(), 0..4).boxed()
}

fn definition() -> BoxedStrategy<Definition> {
    (millis(), callback(), payload(), retry(), late(), labels())
        .prop_map(|(execute_at, callback, payload, retry, late, labels)| Definition {
            execute_at,
            callback,
            payload,
            retry,
            late,
            labels,
        })
        .boxed()
}

fn precondition() -> BoxedStrategy<Precondition> {
    (any::<bool>(), vec(sequence(), 0..3), any::<bool>(), of(sequence()), any::<bool>())
        .prop_map(|(absent, versions, present, generation, nothing_in_flight)| Precondition {
            absent,
            versions,
            present,
            generation,
            nothing_in_flight,
        })
        .boxed()
}

fn fence() -> BoxedStrategy<Fence> {
    (number(), of((sequence(), millis()))).prop_map(|(session, attempt)| Fence { session, attempt }).boxed()
}

fn put() -> BoxedStrategy<Put> {
    let mode = any_of::<PutMode>();
    (key(), definition(), of(span()), fingerprint(), mode, precondition(), fence())
        .prop_map(|(key, definition, delay, fingerprint, mode, precondition, fence)| Put {
            key,
            definition,
            delay,
            fingerprint,
            mode,
            precondition,
            fence,
        })
        .boxed()
}

fn patch() -> BoxedStrategy<Patch> {
    let callback =
        (of(text()), of(any_of::<Method>()), vec((text(), of(text())), 0..4), of(span()), of(body_mode()));
    let rest = (
        of(payload()),
        retry_patch(),
        of(late()),
        btree_map(text(), of(text()), 0..4),
        precondition(),
        fence(),
    );
    (key(), of(millis()), of(span()), callback, rest)
        .prop_map(|(key, execute_at, delay, callback, rest)| {
            let (url, method, headers, timeout, body) = callback;
            let (payload, retry, late, labels, precondition, fence) = rest;
            Patch {
                key,
                execute_at,
                delay,
                url,
                method,
                headers,
                timeout,
                body,
                payload,
                retry,
                late,
                labels,
                precondition,
                fence,
            }
        })
        .boxed()
}

fn last_error() -> BoxedStrategy<LastError> {
    (any_of::<ErrorKind>(), of(1_000..i32::MAX), of(any::<u16>()), text(), millis())
        .prop_map(|(kind, newer_kind, status, message, at)| LastError {
            // Only the broad kind is known of one that a newer version made.
            kind: if newer_kind.is_some() { kind.broad() } else { kind },
            newer_kind,
            status,
            message,
            at,
        })
        .boxed()
}

fn result() -> BoxedStrategy<AttemptResult> {
    let next = (millis(), of(payload()))
        .prop_map(|(execute_at, payload)| AttemptResult::DeliveredNext { execute_at, payload });
    let failed = (last_error(), of(millis()), any::<bool>())
        .prop_map(|(error, retry_after, permanent)| AttemptResult::Failed { error, retry_after, permanent });
    prop_oneof![
        Just(AttemptResult::Delivered),
        next,
        failed,
        millis().prop_map(|until| AttemptResult::Deferred { until }),
        Just(AttemptResult::Skipped),
    ]
    .boxed()
}

/// Also longer than it may be, so that it is cut off.
fn answer() -> BoxedStrategy<Answer> {
    let body = prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 1020..1030)];
    let text = ".{0,600}".prop_map(String::into_bytes);
    (any::<u16>(), prop_oneof![body, text], any::<bool>())
        .prop_map(|(status, body, more)| Answer::new(status, &body, more))
        .boxed()
}

fn details() -> BoxedStrategy<Details> {
    (millis(), any_of::<Trigger>(), of(answer()))
        .prop_map(|(scheduled_at, trigger, answer)| Details { scheduled_at, trigger, answer })
        .boxed()
}

fn outcome() -> BoxedStrategy<Outcome> {
    (key(), sequence(), small(), number(), millis(), millis(), result(), of(details()))
        .prop_map(|(key, generation, attempt, session, started_at, finished_at, result, details)| Outcome {
            key,
            generation,
            attempt,
            session,
            started_at,
            finished_at,
            result,
            details,
        })
        .boxed()
}

/// Any attempt in a history.
pub fn attempt() -> BoxedStrategy<Attempt> {
    let names = (sequence(), sequence(), small(), number(), any::<bool>());
    (names, millis(), millis(), result(), details())
        .prop_map(|(names, started_at, finished_at, result, details)| {
            let (recorded, generation, number, session, counted) = names;
            Attempt {
                recorded,
                generation,
                number,
                session,
                counted,
                started_at,
                finished_at,
                result,
                details,
            }
        })
        .boxed()
}

fn open_attempts() -> BoxedStrategy<Vec<OpenAttempt>> {
    let open = (key(), sequence(), small(), millis())
        .prop_map(|(key, generation, attempt, until)| OpenAttempt { key, generation, attempt, until });
    vec(open, 0..4).boxed()
}

fn group_settings() -> BoxedStrategy<GroupSettings> {
    (any::<u16>(), span(), span(), any::<bool>(), span(), of(number()))
        .prop_map(|(shards, retention, dead_retention, retain_payload, horizon_max, pending_max)| {
            GroupSettings { shards, retention, dead_retention, retain_payload, horizon_max, pending_max }
        })
        .boxed()
}

/// Any group, or what is left of one.
pub fn group() -> BoxedStrategy<Group> {
    let answer = (request(), millis(), any_of::<Effect>(), sequence())
        .prop_map(|(request, at, effect, version)| KeptGroupAnswer { request, at, effect, version });
    let times = (millis(), millis(), of(millis()));
    (
        text(),
        sequence(),
        sequence(),
        any_of::<Phase>(),
        group_settings(),
        times,
        any::<bool>(),
        (vec(answer, 0..4), vec(signing_secret(), 0..3)),
    )
        .prop_map(
            |(
                name,
                generation,
                version,
                phase,
                settings,
                (created_at, updated_at, paused_at),
                settled,
                kept,
            )| {
                let (answers, secrets) = kept;
                Group {
                    name,
                    generation,
                    version,
                    phase,
                    settings,
                    paused_at,
                    created_at,
                    updated_at,
                    settled,
                    answers,
                    secrets,
                }
            },
        )
        .boxed()
}

fn secret_bytes() -> BoxedStrategy<SecretBytes> {
    any::<[u8; 32]>().prop_map(SecretBytes::new).boxed()
}

fn signing_secret() -> BoxedStrategy<SigningSecret> {
    (sequence(), secret_bytes(), millis())
        .prop_map(|(id, secret, created_at)| SigningSecret { id, secret, created_at })
        .boxed()
}

fn command() -> BoxedStrategy<Command> {
    let delete = (key(), any::<bool>(), precondition(), fence())
        .prop_map(|(key, purge, precondition, fence)| Delete { key, purge, precondition, fence });
    let put_group = (text(), group_settings(), any::<bool>(), precondition()).prop_map(
        |(name, settings, keeps_shards, precondition)| PutGroup {
            name,
            settings,
            keeps_shards,
            precondition,
        },
    );
    let step_group = (text(), sequence(), any_of::<GroupStep>())
        .prop_map(|(name, version, step)| StepGroup { name, version, step });
    let pause_group = (text(), any::<bool>(), any::<u16>(), precondition())
        .prop_map(|(name, paused, shards, precondition)| PauseGroup { name, paused, shards, precondition });
    let parked = (key(), sequence(), millis()).prop_map(|(key, generation, position)| Parked {
        key,
        generation,
        position,
    });
    let parked = vec(parked, 0..5).boxed();
    prop_oneof![
        put().prop_map(|put| Command::Put(Box::new(put))),
        patch().prop_map(|patch| Command::Patch(Box::new(patch))),
        delete.prop_map(Command::Delete),
        (key(), precondition()).prop_map(|(key, precondition)| Command::Fire(Fire { key, precondition })),
        (key(), precondition())
            .prop_map(|(key, precondition)| Command::Redrive(Redrive { key, precondition })),
        outcome().prop_map(|outcome| Command::Outcome(Box::new(outcome))),
        number().prop_map(|node| Command::OpenSession(OpenSession { node: NodeId(node) })),
        (number(), open_attempts())
            .prop_map(|(session, attempts)| Command::HandOver(HandOver { session, attempts })),
        (number(), millis()).prop_map(|(session, to)| Command::AdvanceCursor(AdvanceCursor { session, to })),
        vec((key(), sequence()), 0..5).prop_map(|timers| Command::Expire(Expire { timers })),
        put_group.prop_map(|put| Command::PutGroup(Box::new(put))),
        step_group.prop_map(Command::StepGroup),
        group().prop_map(|group| Command::SetGroup(Box::new(SetGroup { group }))),
        (text(), secret_bytes(), any::<u16>()).prop_map(|(group, secret, shards)| {
            Command::AddSigningSecret(AddSigningSecret { group, secret, shards })
        }),
        (text(), sequence())
            .prop_map(|(group, id)| Command::RemoveSigningSecret(RemoveSigningSecret { group, id })),
        pause_group.prop_map(Command::PauseGroup),
        (number(), parked.clone()).prop_map(|(session, timers)| Command::Park(Park { session, timers })),
        (number(), parked).prop_map(|(session, timers)| Command::Release(Release { session, timers })),
    ]
    .boxed()
}

fn request() -> BoxedStrategy<RequestKey> {
    (text(), fingerprint()).prop_map(|(id, body)| RequestKey { id, body }).boxed()
}

fn moment() -> BoxedStrategy<Moment> {
    (number(), millis()).prop_map(|(index, time)| Moment { index, time }).boxed()
}

/// Any command and who asked for it.
pub fn envelope() -> BoxedStrategy<Envelope> {
    (text(), of(request()), of(text()), of(sequence()), of(moment()), command())
        .prop_map(|(principal, request, traceparent, group, asked_since, command)| Envelope {
            principal,
            request,
            traceparent,
            group,
            asked_since,
            command,
        })
        .boxed()
}

/// Any entry of a few commands.
pub fn entry() -> BoxedStrategy<Entry> {
    (millis(), vec(envelope(), 0..5))
        .prop_map(|(proposed_at, commands)| Entry { proposed_at, commands })
        .boxed()
}

fn state() -> BoxedStrategy<State> {
    any_of::<State>().boxed()
}

fn in_flight() -> BoxedStrategy<InFlight> {
    prop_oneof![
        Just(InFlight::No),
        millis().prop_map(|until| InFlight::Yes { until }),
        millis().prop_map(|until| InFlight::Possible { until }),
    ]
    .boxed()
}

fn kept_answer() -> BoxedStrategy<KeptAnswer> {
    (request(), millis(), any_of::<Effect>(), sequence(), sequence(), state(), in_flight())
        .prop_map(|(request, at, effect, generation, version, state, in_flight)| KeptAnswer {
            request,
            at,
            effect,
            generation,
            version,
            state,
            in_flight,
        })
        .boxed()
}

/// Any record of a timer.
pub fn timer() -> BoxedStrategy<Timer> {
    let names = (key(), sequence(), sequence(), state(), definition(), of(fingerprint()), of(text()));
    let counts = (small(), small(), small(), number(), any::<bool>());
    let times = (of(millis()), of(millis()), of(millis()), millis(), millis(), of(millis()), of(millis()));
    let rest = (of(last_error()), in_flight(), vec(kept_answer(), 0..4), of(millis()));
    (names, counts, times, rest)
        .prop_map(|(names, counts, times, rest)| {
            let (key, generation, version, state, definition, fingerprint, traceparent) = names;
            let (attempts, attempts_forgiven, deferrals, attempts_recorded, manual) = counts;
            let (next_attempt_at, position, first_attempt_at, created_at, updated_at, executed_at, purge_at) =
                times;
            let (last_error, in_flight, answers, parked_at) = rest;
            Timer {
                key,
                generation,
                version,
                state,
                definition,
                fingerprint,
                next_attempt_at,
                position,
                parked_at,
                attempts,
                attempts_forgiven,
                first_attempt_at,
                deferrals,
                attempts_recorded,
                manual,
                created_at,
                updated_at,
                executed_at,
                last_error,
                in_flight,
                answers,
                purge_at,
                traceparent,
            }
        })
        .boxed()
}

fn session() -> BoxedStrategy<Session> {
    let predecessor = prop_oneof![
        Just(Predecessor::None),
        Just(Predecessor::Lost),
        open_attempts().prop_map(Predecessor::HandedOver),
    ];
    let lost = (number(), millis(), millis()).prop_map(|(session, opened_at, since)| Lost {
        session,
        opened_at,
        since,
    });
    (number(), number(), millis(), predecessor, of(lost), of(open_attempts()))
        .prop_map(|(number, node, opened_at, predecessor, lost, handed_over)| Session {
            number,
            node: NodeId(node),
            opened_at,
            predecessor,
            lost,
            handed_over,
        })
        .boxed()
}

/// Any shard's state.
pub fn shard_state() -> BoxedStrategy<ShardState> {
    (millis(), millis(), of(session()), any::<[u64; 6]>(), of(sequence()), number(), number())
        .prop_map(|(last_time, cursor, session, counts, newest_erased, groups, parked)| ShardState {
            last_time,
            cursor,
            session,
            counts,
            newest_erased,
            groups,
            parked,
        })
        .boxed()
}
