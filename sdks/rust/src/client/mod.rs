//! The client: one method for each operation. How a call is tried and repeated is in [`call`].

pub mod builder;
mod call;
mod groups;
pub mod retry;
mod secrets;
mod transport;
mod trust;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::model::attempt::AttemptList;
use crate::model::batch::{BatchInput, BatchOperation, BatchResults};
use crate::model::cluster::{Clock, ClockAdvance, ClusterView, Info, Routing};
use crate::model::input::TimerInput;
use crate::model::list::{ListOptions, TimerPage};
use crate::model::patch::TimerPatch;
use crate::model::timer::Timer;
use crate::path::{TimerName, batch_path, timers_path};
use builder::ClientBuilder;
use call::{Call, Core, Reply};

/// A client of one cluster. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    core: Arc<Core>,
}

/// What must hold for a call, and what goes along with it. The default: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// Names the change, for a caller that repeats it itself or after a restart: 1 to 255 printable ASCII
    /// characters. None: one is minted for each call.
    pub idempotency_key: Option<String>,
    /// `If-Match`: only if the timer is at this version.
    pub if_version: Option<u64>,
    /// `If-None-Match: *`: only if there is no timer of this id, or a cancelled one only.
    pub if_absent: bool,
    /// Only if this generation is in force.
    pub if_generation: Option<u64>,
    /// Refuse when an attempt is or may be on its way.
    pub refuse_in_flight: bool,
    /// DELETE: erase a finished timer instead of cancelling a pending one.
    pub purge: bool,
    /// GET: show the values of callback headers.
    pub reveal: bool,
    /// W3C trace context, passed on to the callback.
    pub traceparent: Option<String>,
    /// Names the request in the server's log: `[A-Za-z0-9._-]{1,128}`.
    pub request_id: Option<String>,
}

/// What came back. `Debug` shows no bytes of the body: there may be a secret in it.
#[derive(Clone)]
pub struct Answer<T> {
    /// The object in the answer.
    pub value: T,
    /// The bytes that it was read from, with fields that this client may not know.
    pub body: Bytes,
    /// Whether the call made something new (201).
    pub created: bool,
    /// Whether this is the answer of an earlier request with the same `Idempotency-Key`.
    pub replayed: bool,
    /// Names the request in the server's log.
    pub request_id: Option<String>,
    /// How often the request was tried.
    pub tries: u32,
}

impl<T: std::fmt::Debug> std::fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { value, body, created, replayed, request_id, tries } = self;
        f.debug_struct("Answer")
            .field("value", value)
            .field("body_bytes", &body.len())
            .field("created", created)
            .field("replayed", replayed)
            .field("request_id", request_id)
            .field("tries", tries)
            .finish()
    }
}

impl CallOptions {
    /// Mints the `idempotency_key` unless there is one, and gives it: for a caller that wants to be able to
    /// repeat the call in another process.
    ///
    /// # Errors
    /// [`Error::Request`] when the operating system gives no random bytes.
    pub fn mint_key(&mut self) -> Result<&str, Error> {
        match &mut self.idempotency_key {
            Some(key) => Ok(key),
            empty => Ok(empty.insert(call::mint_key()?)),
        }
    }
}

impl Client {
    /// A builder.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Creates a timer in `group`, whose id is `input.id` or is made by the server. The same definition under
    /// an id that is taken succeeds, another one is refused.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create(
        &self,
        group: &str,
        input: &TimerInput,
        options: &CallOptions,
    ) -> Result<Answer<Timer>, Error> {
        self.change(Method::POST, timers_path(group), Some(input), options).await
    }

    /// Creates a timer or replaces what it was. The same definition again changes nothing.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn put(
        &self,
        name: &TimerName,
        input: &TimerInput,
        options: &CallOptions,
    ) -> Result<Answer<Timer>, Error> {
        self.change(Method::PUT, name.path(), Some(input), options).await
    }

    /// Reads a timer, pending or finished.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, name: &TimerName, options: &CallOptions) -> Result<Answer<Timer>, Error> {
        self.read(name.path(), options).await
    }

    /// Reads what came of a timer's last attempts, newest first. Conditions of `options` are not looked at.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn attempts(
        &self,
        name: &TimerName,
        options: &CallOptions,
    ) -> Result<Answer<AttemptList>, Error> {
        let options = CallOptions {
            traceparent: options.traceparent.clone(),
            request_id: options.request_id.clone(),
            ..CallOptions::default()
        };
        self.read(format!("{}/attempts", name.path()), &options).await
    }

    /// Reads a page of a group's timers. For the next one, ask with [`TimerPage::next_cursor`] until there is none:
    ///
    /// ```no_run
    /// # use durable_timer::{CallOptions, Client, Error, ListOptions};
    /// # async fn run(client: Client) -> Result<(), Error> {
    /// let mut list = ListOptions { id_prefix: Some("invoice/".into()), ..ListOptions::default() };
    /// loop {
    ///     let page = client.list("default", &list, &CallOptions::default()).await?.value;
    ///     for timer in &page.timers {
    ///         println!("{} {}", timer.id, timer.execute_at);
    ///     }
    ///     list.cursor = page.next_cursor;
    ///     if list.cursor.is_none() {
    ///         return Ok(());
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(
        &self,
        group: &str,
        list: &ListOptions,
        options: &CallOptions,
    ) -> Result<Answer<TimerPage>, Error> {
        let query = list.query();
        let path = timers_path(group);
        let path = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
        self.read(path, options).await
    }

    /// Changes some of a pending timer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn patch(
        &self,
        name: &TimerName,
        patch: &TimerPatch,
        options: &CallOptions,
    ) -> Result<Answer<Timer>, Error> {
        self.change(Method::PATCH, name.path(), Some(patch), options).await
    }

    /// Cancels a pending timer, or erases a finished one ([`CallOptions::purge`]). After the answer no attempt
    /// starts; [`Timer::attempt_in_flight`] says whether one may still arrive.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, name: &TimerName, options: &CallOptions) -> Result<Answer<Timer>, Error> {
        self.change(Method::DELETE, name.path(), None::<&()>, options).await
    }

    /// Delivers a pending timer now.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn fire(&self, name: &TimerName, options: &CallOptions) -> Result<Answer<Timer>, Error> {
        self.change(Method::POST, format!("{}/fire", name.path()), None::<&()>, options).await
    }

    /// Gives a dead timer a new life.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn redrive(&self, name: &TimerName, options: &CallOptions) -> Result<Answer<Timer>, Error> {
        self.change(Method::POST, format!("{}/redrive", name.path()), None::<&()>, options).await
    }

    /// Does many operations, at most 1000 in 16 MiB; each succeeds or fails alone, and those on one timer take effect in
    /// their order. Sent again with the same [`CallOptions::idempotency_key`] and the same operations, what was done is
    /// answered again, and what failed for want of a leader is tried again ([`BatchResult::is_worth_a_repeat`]).
    ///
    /// Conditions belong to the operations: those of `options` are not looked at.
    ///
    /// [`BatchResult::is_worth_a_repeat`]: crate::BatchResult::is_worth_a_repeat
    ///
    /// # Errors
    /// See [`Error`]; not for what is wrong with one operation.
    pub async fn batch(
        &self,
        group: &str,
        operations: &[BatchOperation],
        options: &CallOptions,
    ) -> Result<Answer<BatchResults>, Error> {
        let whole = CallOptions {
            idempotency_key: options.idempotency_key.clone(),
            traceparent: options.traceparent.clone(),
            request_id: options.request_id.clone(),
            ..CallOptions::default()
        };
        self.change(Method::POST, batch_path(group), Some(&BatchInput { operations }), &whole).await
    }

    /// Who answers, and what time it is there.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn info(&self) -> Result<Answer<Info>, Error> {
        self.read("/api/v1/info".to_owned(), &CallOptions::default()).await
    }

    /// Nodes and shards, as one node sees them.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cluster(&self) -> Result<Answer<ClusterView>, Error> {
        self.read("/api/v1/cluster".to_owned(), &CallOptions::default()).await
    }

    /// Who leads which shard.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn routing(&self) -> Result<Answer<Routing>, Error> {
        self.read("/api/v1/cluster/routing".to_owned(), &CallOptions::default()).await
    }

    /// What the manual clock of a development server shows.
    ///
    /// # Errors
    /// See [`Error`]; `ROUTE_NOT_FOUND` where the clock is the machine's.
    pub async fn clock(&self) -> Result<Answer<Clock>, Error> {
        self.read("/api/v1/dev/clock".to_owned(), &CallOptions::default()).await
    }

    /// Moves the manual clock of a development server forward. Repeats are safe only for
    /// [`ClockAdvance::To`], so that [`ClockAdvance::By`] is tried once.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn advance_clock(&self, advance: &ClockAdvance) -> Result<Answer<Clock>, Error> {
        let mut call = Call::new(Method::POST, "/api/v1/dev/clock".to_owned());
        call.json(advance)?;
        call.repeatable = matches!(advance, ClockAdvance::To(_));
        self.answer(call).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        path: String,
        options: &CallOptions,
    ) -> Result<Answer<T>, Error> {
        let mut call = Call::new(Method::GET, with_query(path, options));
        call.context(options)?;
        self.answer(call).await
    }

    async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        body: Option<&impl Serialize>,
        options: &CallOptions,
    ) -> Result<Answer<T>, Error> {
        self.answer(Self::change_call(method, path, body, options)?).await
    }

    fn change_call(
        method: Method,
        path: String,
        body: Option<&impl Serialize>,
        options: &CallOptions,
    ) -> Result<Call, Error> {
        let mut call = Call::new(method, with_query(path, options));
        if let Some(body) = body {
            call.json(body)?;
        }
        call.context(options)?;
        call.idempotency_key(options.idempotency_key.as_deref())?;
        if options.if_absent {
            call.headers.insert(http::header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        if let Some(version) = options.if_version {
            call.header(http::header::IF_MATCH, &format!("\"{version}\""))?;
        }
        Ok(call)
    }

    async fn answer<T: DeserializeOwned>(&self, call: Call) -> Result<Answer<T>, Error> {
        let reply = self.core.run(&call).await?;
        let value = serde_json::from_slice(&reply.body).map_err(|fault| Error::Answer {
            status: reply.status.as_u16(),
            reason: fault.to_string(),
            outcome: call.outcome_of_lost(),
        })?;
        Ok(Self::answer_of(reply, value))
    }

    fn answer_of<T>(reply: Reply, value: T) -> Answer<T> {
        Answer {
            value,
            created: reply.status == http::StatusCode::CREATED,
            replayed: reply.headers.contains_key("idempotency-replayed"),
            request_id: reply.header("x-request-id"),
            tries: reply.tries,
            body: reply.body,
        }
    }
}

/// `path` with the query parameters of `options`.
fn with_query(path: String, options: &CallOptions) -> String {
    let mut query = Vec::new();
    if let Some(generation) = options.if_generation {
        query.push(format!("ifGeneration={generation}"));
    }
    for (on, text) in [
        (options.refuse_in_flight, "ifInFlight=refuse"),
        (options.purge, "purge=true"),
        (options.reveal, "reveal=true"),
    ] {
        if on {
            query.push(text.to_owned());
        }
    }
    let before = if path.contains('?') { '&' } else { '?' };
    if query.is_empty() { path } else { format!("{path}{before}{}", query.join("&")) }
}
