//! At rest, lists say what reads say (I11): every timer once, in order, by id through one node and by time through another,
//! and none that a read does not find.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use serde::Deserialize;

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

/// What a list, or a read, says of a timer. The rest is not looked at: payloads hold numbers that few readers take.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: String,
    version: u64,
    state: String,
    execute_at: String,
}

/// A page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    timers: Vec<Listed>,
    next_cursor: Option<String>,
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
    let mut faults = out_of_order(&by_id, |timer| timer.id.clone(), "id");
    // Times are of one form, so that text sorts as time does.
    let place = |timer: &Listed| format!("{} {}", timer.execute_at, timer.id);
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

fn table(timers: &[Listed]) -> BTreeMap<String, Listed> {
    timers.iter().map(|timer| (timer.id.clone(), timer.clone())).collect()
}

/// Neighbours that do not come one after the other; equal ones are a timer that is listed twice.
fn out_of_order(timers: &[Listed], place: impl Fn(&Listed) -> String, order: &str) -> Vec<String> {
    let places: Vec<String> = timers.iter().map(place).collect();
    let pairs = places.windows(2).filter(|pair| pair[0] >= pair[1]);
    pairs.map(|pair| format!("by {order}, {:?} is listed before {:?}", pair[0], pair[1])).collect()
}

impl Reader {
    /// All timers of a list, in the order of its pages, each page through any node.
    async fn all(&mut self, order: &str) -> anyhow::Result<Vec<Listed>> {
        let (mut timers, mut cursor) = (Vec::new(), String::new());
        loop {
            let query = format!("timers?state={STATES}&orderBy={order}&limit={LIMIT}{cursor}");
            let body = self.ask(&query).await?.context("there is no such group")?;
            let page: Page = serde_json::from_slice(&body).with_context(|| format!("{query} is no page"))?;
            timers.extend(page.timers);
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(timers),
            }
        }
    }

    async fn read(&mut self, name: &str) -> anyhow::Result<Option<Listed>> {
        let body = self.ask(&format!("timers/{name}")).await?;
        Ok(body.map(|body| serde_json::from_slice(&body)).transpose()?)
    }

    /// The body that answers a GET; none if there is nothing.
    async fn ask(&mut self, path: &str) -> anyhow::Result<Option<Bytes>> {
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
                Ok(told) if told.status == 200 => return Ok(Some(told.body)),
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
    use super::*;

    fn of(id: &str) -> Listed {
        Listed { id: id.into(), version: 1, state: "dead".into(), execute_at: "2031".into() }
    }

    #[test]
    fn a_timer_that_is_listed_twice_or_too_late_is_seen() {
        let timers = |ids: &[&str]| ids.iter().map(|id| of(id)).collect::<Vec<_>>();
        let place = |timer: &Listed| timer.id.clone();
        assert!(out_of_order(&timers(&["a", "b", "c"]), place, "id").is_empty());
        assert_eq!(out_of_order(&timers(&["a", "b", "b", "a"]), place, "id").len(), 2);
    }

    #[test]
    fn a_page_is_read_whatever_numbers_its_payloads_hold() {
        let timer = r#"{"id":"a","version":1,"state":"dead","executeAt":"2031","payload":[1e999,-0]}"#;
        let page: Page =
            serde_json::from_str(&format!(r#"{{"timers":[{timer}],"nextCursor":null}}"#)).unwrap();
        assert_eq!((page.timers, page.next_cursor), (vec![of("a")], None));
    }
}
