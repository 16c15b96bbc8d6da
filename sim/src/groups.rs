//! A client that makes groups, puts timers into each, pauses and resumes them, and deletes them, while there are faults. It
//! alone works on its groups, so it knows what every definite answer has to be: a group whose making was answered is known
//! to every node, its lists have what it holds, one that is paused attempts nothing, and one whose delete was answered takes
//! nothing. What its timers do is no part of the run's history: it asks them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::client;
use crate::plan::Plan;
use crate::receiver::UNRECORDED;

/// Between two tries of a request that was not answered definitely.
const AGAIN: Duration = Duration::from_millis(300);
/// Between two groups.
const PAUSE: Duration = Duration::from_millis(900);
/// How long a pause lasts, in which a timer becomes due.
const PAUSED: Duration = Duration::from_secs(3);
/// How long a timer may take after the end of its group's pause: longer than any fault lasts.
const DELIVERED_MAX: Duration = Duration::from_secs(120);
/// The same where the run is over by then: the faults were before.
const DELIVERED_BY_THE_END_MAX: Duration = Duration::from_secs(75);
/// Timers in each group, and on a page of their list.
const TIMERS: u32 = 5;
const PAGE: usize = 2;
/// Groups whose names are used in turn, so that each comes again with another number of shards.
const NAMES: u32 = 2;

/// Makes and deletes groups until it is over.
pub struct Tender {
    plan: Rc<Plan>,
    over: Rc<Cell<bool>>,
    failures: Rc<RefCell<Vec<String>>>,
    rng: SmallRng,
    keys: u32,
}

impl Tender {
    /// A client that has yet to begin. What must not be goes to `failures`.
    #[must_use]
    pub fn new(plan: Rc<Plan>, over: Rc<Cell<bool>>, failures: Rc<RefCell<Vec<String>>>) -> Self {
        let rng = SmallRng::seed_from_u64(plan.seed ^ 0x6700_9500);
        Self { plan, over, failures, rng, keys: 0 }
    }

    /// Goes on until it is over or something was wrong.
    pub async fn work(mut self) {
        for round in 0.. {
            if self.round(&format!("tended-{}", round % NAMES)).await.is_none() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One life of a group. None: it is over, or something was wrong.
    async fn round(&mut self, name: &str) -> Option<()> {
        let group = format!("/api/v1/groups/{name}");
        let shards = self.rng.random_range(1..=self.plan.shards);
        let (status, made) = self.ask("PUT", &group, Some(json!({ "shards": shards }))).await?;
        self.expect(status == 201 && made["shards"] == shards, &format!("PUT {group}: {status} {made}"))?;
        for id in 0..TIMERS {
            let timer = format!("{group}/timers/{id}");
            let far = json!({ "delay": "30d", "callbackUrl": "http://r1:9000/good" });
            let (status, put) = self.ask("PUT", &timer, Some(far)).await?;
            self.expect(status == 201, &format!("PUT {timer}: {status} {put}"))?;
            let (status, read) = self.ask("GET", &timer, None).await?;
            self.expect(status == 200, &format!("GET {timer}: {status} {read}"))?;
        }
        self.list(&group, "", TIMERS).await?;
        self.list(&group, "&orderBy=executeAt", TIMERS).await?;
        self.pause(&group).await?;
        let (status, kept) = self.ask("DELETE", &group, None).await?;
        self.expect(status == 409, &format!("DELETE {group}, which holds timers: {status} {kept}"))?;
        for purge in ["", "?purge=true"] {
            for id in 0..TIMERS {
                let timer = format!("{group}/timers/{id}{purge}");
                let (status, gone) = self.ask("DELETE", &timer, None).await?;
                // A purge that is asked again may not find its timer any more.
                let fits = status == 200
                    || (status == 404 && gone["code"] == "TIMER_NOT_FOUND" && !purge.is_empty());
                self.expect(fits, &format!("DELETE {timer}: {status} {gone}"))?;
            }
            self.list(&group, "", 0).await?;
            let cancelled = if purge.is_empty() { TIMERS } else { 0 };
            self.list(&group, "&state=cancelled", cancelled).await?;
        }
        let (status, deleted) = self.ask("DELETE", &group, None).await?;
        self.expect(status == 204, &format!("DELETE {group}: {status} {deleted}"))?;
        let timer = format!("{group}/timers/late");
        let far = json!({ "delay": "30d", "callbackUrl": "http://r1:9000/good" });
        let (status, refused) = self.ask("PUT", &timer, Some(far)).await?;
        let fits = status == 404 && refused["code"] == "GROUP_NOT_FOUND";
        self.expect(fits, &format!("PUT {timer}, whose group is gone: {status} {refused}"))
    }

    /// Reads a list of the group page by page; it must have the timers `0` to `expected` once
    /// each, in this order where it is by id, and no others.
    async fn list(&mut self, group: &str, filter: &str, expected: u32) -> Option<()> {
        let (mut listed, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = format!("{group}/timers?limit={PAGE}{filter}{cursor}");
            let (status, answer) = self.ask("GET", &page, None).await?;
            self.expect(status == 200, &format!("GET {page}: {status} {answer}"))?;
            let timers = answer["timers"].as_array().cloned().unwrap_or_default();
            listed.extend(timers.iter().map(|timer| timer["id"].as_str().unwrap_or_default().to_owned()));
            match answer["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        // By time they come as the clocks of their shards' leaders say.
        if filter.contains("executeAt") {
            listed.sort();
        }
        let expected: Vec<String> = (0..expected).map(|id| id.to_string()).collect();
        self.expect(listed == expected, &format!("{group}, {filter:?}: {listed:?}, not {expected:?}"))
    }

    /// A pause of the group, in which a timer becomes due; it is delivered afterwards, and erased.
    async fn pause(&mut self, group: &str) -> Option<()> {
        let timer = format!("{group}/timers/due");
        let (status, paused) = self.ask("POST", &format!("{group}/pause"), None).await?;
        self.expect(status == 200 && paused["pausedAt"].is_string(), &format!("pause: {status} {paused}"))?;
        let soon = json!({ "delay": "500ms", "callbackUrl": format!("http://r1:9000{UNRECORDED}") });
        let (status, put) = self.ask("PUT", &timer, Some(soon)).await?;
        self.expect(status == 201, &format!("PUT {timer}: {status} {put}"))?;
        tokio::time::sleep(PAUSED).await;
        let (status, fired) = self.ask("POST", &format!("{timer}/fire"), None).await?;
        self.expect(status == 409 && fired["code"] == "GROUP_PAUSED", &format!("fire: {status} {fired}"))?;
        let (status, history) = self.ask("GET", &format!("{timer}/attempts"), None).await?;
        let none = status == 200 && history["attempts"] == json!([]);
        self.expect(none, &format!("attempts in a pause of {group}: {status} {history}"))?;
        let (status, resumed) = self.ask("POST", &format!("{group}/resume"), None).await?;
        self.expect(status == 200 && resumed["pausedAt"].is_null(), &format!("resume: {status} {resumed}"))?;
        let since = tokio::time::Instant::now();
        loop {
            let Some((status, read)) = self.ask("GET", &timer, None).await else {
                let late = since.elapsed() > DELIVERED_BY_THE_END_MAX;
                return self.expect(!late, &format!("{timer} is not delivered by the end")).and(None);
            };
            self.expect(status == 200, &format!("GET {timer}: {status} {read}"))?;
            if read["state"] == "delivered" {
                break;
            }
            let late = since.elapsed() > DELIVERED_MAX;
            self.expect(!late, &format!("{timer} is not delivered after the pause of {group}: {read}"))?;
            tokio::time::sleep(AGAIN).await;
        }
        let (status, gone) = self.ask("DELETE", &format!("{timer}?purge=true"), None).await?;
        self.expect(matches!(status, 200 | 404), &format!("DELETE {timer}: {status} {gone}"))
    }

    /// Asks one node after the other, with one key, until there is a definite answer. None: it is over.
    async fn ask(&mut self, method: &str, path: &str, body: Option<Value>) -> Option<(u16, Value)> {
        self.keys += 1;
        let key = format!("tender-{}", self.keys);
        loop {
            if self.over.get() {
                return None;
            }
            let node = format!("n{}", self.rng.random_range(1..=self.plan.nodes));
            let answer = client::ask(&node, method, path, &key, body.as_ref()).await;
            tracing::info!(target: "sim", node, method, path, ?answer, "asked about a group");
            match answer {
                Some((status, answer)) if status < 500 => return Some((status, answer)),
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    fn expect(&self, fits: bool, what: &str) -> Option<()> {
        if !fits {
            self.failures.borrow_mut().push(what.to_owned());
        }
        fits.then_some(())
    }
}
