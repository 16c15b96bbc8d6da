//! At rest, lists say what reads say (I11): every timer once, in order, by id through one node and by time through another,
//! and none that a read does not find.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::http::Http;
use crate::node::url;
use crate::random::Random;

/// Timers of a page: an odd number, and many pages.
const LIMIT: u64 = 457;
const STATES: &str = "scheduled,retrying,delivered,dead,skipped,cancelled";
/// Timers that are read one by one and looked for in the lists.
const SAMPLE: usize = 300;
const ASK_TIME_MAX: Duration = Duration::from_secs(5);
/// Tries of one request, through one node after the other.
const TRIES_MAX: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

/// What a list says of a timer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    version: u64,
    state: String,
}

/// Who is asked, and how it went.
struct Reader {
    http: Http,
    nodes: u32,
    random: Random,
}

/// Compares lists with each other and with reads of some of `names`; gives what does not agree, a line each, and how many
/// timers were listed.
///
/// # Errors
/// A page could not be had.
pub async fn compare(seed: u64, nodes: u32, names: &[String]) -> anyhow::Result<(Vec<String>, usize)> {
    let mut reader = Reader { http: Http::new(), nodes, random: Random::named(seed, "lists") };
    let by_id = reader.all("id").await?;
    let by_time = reader.all("executeAt").await?;
    let mut faults = out_of_order(&by_id, |timer| timer["id"].as_str().unwrap_or_default().to_owned(), "id");
    let place = |timer: &Value| {
        // Of one form, so that text sorts as time does.
        let at = timer["executeAt"].as_str().unwrap_or_default();
        format!("{at} {}", timer["id"].as_str().unwrap_or_default())
    };
    faults.extend(out_of_order(&by_time, place, "executeAt"));
    let (ids, times) = (table(&by_id), table(&by_time));
    for (id, listed) in &ids {
        match times.get(id) {
            None => faults.push(format!("{id} is listed by id and not by time")),
            // It has changed between the two.
            Some(other) if other.version != listed.version => {}
            Some(other) if other == listed => {}
            Some(other) => faults.push(format!("{id} is {listed:?} by id and {other:?} by time")),
        }
    }
    let not_by_id = times.keys().filter(|id| !ids.contains_key(*id));
    faults.extend(not_by_id.map(|id| format!("{id} is listed by time and not by id")));
    for _ in 0..SAMPLE.min(names.len()) {
        let name = reader.random.pick(names).clone();
        let found = reader.read(&name).await?;
        match (&found, ids.get(&name)) {
            (None, None) => {}
            (None, Some(listed)) => {
                faults.push(format!("{name} is listed as {listed:?}, and a read finds none"))
            }
            (Some(read), None) => faults.push(format!("{name} is {read:?}, and not listed")),
            (Some(read), Some(listed)) if read.version == listed.version && read != listed => {
                faults.push(format!("{name} is {read:?}, and listed as {listed:?}"));
            }
            (Some(_), Some(_)) => {}
        }
    }
    Ok((faults, ids.len()))
}

fn table(timers: &[Value]) -> BTreeMap<String, Listed> {
    timers.iter().map(|timer| (timer["id"].as_str().unwrap_or_default().to_owned(), listed(timer))).collect()
}

fn listed(timer: &Value) -> Listed {
    Listed {
        version: timer["version"].as_u64().unwrap_or_default(),
        state: timer["state"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Neighbours that do not come one after the other; equal ones are a timer that is listed twice.
fn out_of_order(timers: &[Value], place: impl Fn(&Value) -> String, order: &str) -> Vec<String> {
    let places: Vec<String> = timers.iter().map(place).collect();
    let pairs = places.windows(2).filter(|pair| pair[0] >= pair[1]);
    pairs.map(|pair| format!("by {order}, {:?} is listed before {:?}", pair[0], pair[1])).collect()
}

impl Reader {
    /// All timers of a list, in the order of its pages, each page through any node.
    async fn all(&mut self, order: &str) -> anyhow::Result<Vec<Value>> {
        let (mut timers, mut cursor) = (Vec::new(), String::new());
        loop {
            let query = format!("timers?state={STATES}&orderBy={order}&limit={LIMIT}{cursor}");
            let page = self.ask(&query).await?.context("a list is not found")?;
            let found = page["timers"].as_array().context("a page without timers")?;
            timers.extend(found.iter().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(timers),
            }
        }
    }

    async fn read(&mut self, name: &str) -> anyhow::Result<Option<Listed>> {
        Ok(self.ask(&format!("timers/{name}")).await?.as_ref().map(listed))
    }

    /// The answer to a GET; none if there is nothing.
    async fn ask(&mut self, path: &str) -> anyhow::Result<Option<Value>> {
        for _ in 0..TRIES_MAX {
            let node = 1 + u32::try_from(self.random.below(u64::from(self.nodes)))?;
            let url = format!("{}/api/v1/groups/default/{path}", url(node));
            let ask = crate::http::Ask {
                method: "GET",
                url: &url,
                headers: &[],
                body: None,
                time_max: ASK_TIME_MAX,
            };
            match self.http.ask(ask).await {
                Ok(told) if told.status == 200 => return Ok(Some(told.json)),
                Ok(told) if told.status == 404 => return Ok(None),
                Ok(told) if told.status < 500 => anyhow::bail!("{path}: {} {}", told.status, told.text()),
                Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        anyhow::bail!("{path}: no answer")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_timer_that_is_listed_twice_or_too_late_is_seen() {
        let timers = |ids: &[&str]| ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>();
        let place = |timer: &Value| timer["id"].as_str().unwrap_or_default().to_owned();
        assert!(out_of_order(&timers(&["a", "b", "c"]), place, "id").is_empty());
        assert_eq!(out_of_order(&timers(&["a", "b", "b", "a"]), place, "id").len(), 2);
    }
}
