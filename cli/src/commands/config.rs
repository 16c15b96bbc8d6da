//! `timerctl config check`: asks each endpoint by itself who it is, so that one that is dead or belongs to
//! another cluster does not hide behind the others.

use durable_timer::{Info, RetrySettings};
use serde::Serialize;

use super::client_of;
use crate::args::GlobalArgs;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// By how much two clocks may differ before it is said: a node refuses to lead beyond a quarter of this.
const CLOCK_DIFFERENCE_MS_MAX: i64 = 1000;

/// What one endpoint said.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    pub endpoint: String,
    pub ok: bool,
    pub version: Option<String>,
    pub cluster: Option<String>,
    pub node: Option<String>,
    /// The server's clock less ours.
    pub clock_difference_ms: Option<i64>,
    pub faults: Vec<String>,
}

pub async fn check(global: &GlobalArgs, output: &mut Output) -> Result<(), Failure> {
    let mut all = Vec::new();
    let mut exit = Exit::Ok;
    let mut cluster_id: Option<String> = None;
    for endpoint in &global.endpoint {
        let settings = RetrySettings { tries_max: 1, total_max: global.timeout, ..RetrySettings::default() };
        let client = client_of(global, std::slice::from_ref(endpoint), settings)?;
        let before = clock::now();
        let mut checked = match client.info().await {
            Ok(answer) => {
                let after = clock::now();
                let middle = before + (after - before) / 2;
                let known = cluster_id.get_or_insert_with(|| answer.value.cluster_id.clone());
                answered(endpoint, &answer.value, middle, known)
            }
            Err(error) => {
                let failure = Failure::from(error);
                exit = if exit == Exit::Ok { failure.exit } else { exit };
                let mut faults = vec![failure.message];
                faults.extend(failure.advice);
                Checked::new(endpoint, faults)
            }
        };
        checked.ok = checked.faults.is_empty();
        exit = if exit == Exit::Ok && !checked.ok { Exit::Failed } else { exit };
        all.push(checked);
    }
    output.checks(&all)?;
    if exit == Exit::Ok {
        return Ok(());
    }
    let bad = all.iter().filter(|checked| !checked.ok).count();
    Err(Failure::new(exit, format!("{bad} of {} endpoints are not as they should be", all.len())))
}

impl Checked {
    fn new(endpoint: &str, faults: Vec<String>) -> Self {
        let endpoint = endpoint.to_owned();
        Self {
            endpoint,
            ok: false,
            version: None,
            cluster: None,
            node: None,
            clock_difference_ms: None,
            faults,
        }
    }
}

/// `at`: our clock when the server read its own. `cluster_id`: of the endpoints before.
fn answered(endpoint: &str, info: &Info, at: time::OffsetDateTime, cluster_id: &str) -> Checked {
    let mut faults = Vec::new();
    let difference = clock::parse(&info.server_time).map(|server| clock::millis_between(at, server));
    if let Some(ms) = difference.filter(|ms| ms.abs() > CLOCK_DIFFERENCE_MS_MAX) {
        faults.push(format!(
            "its clock differs from this machine's by {ms} ms: timers go by the servers' clocks"
        ));
    }
    if info.cluster_id != cluster_id {
        faults.push(format!("it belongs to another cluster ({}) than the endpoints before", info.cluster_id));
    }
    if info.api_version != "v1" {
        faults.push(format!("it speaks version {} of the API, and this timerctl v1", info.api_version));
    }
    Checked {
        version: Some(info.version.clone()),
        cluster: Some(info.cluster_name.clone()),
        node: Some(info.node_name.clone()),
        clock_difference_ms: difference,
        ..Checked::new(endpoint, faults)
    }
}
