//! Starts a node, waits for a signal or a fatal fault, and stops it in order.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use node::cluster::node::{Node, NodeParts, bind};
use node::config::Settings;
use node::delivery::{AddressPolicy, Sender, SenderSettings};
use node::environment::{Clock, Entropy, ManualClock, SystemClock, SystemEntropy};
use node::identity::IdentityFile;
use node::observability::log;
use node::observability::metrics::Metrics;
use node::tls::roots::trusted;
use node::tls::{AskReload, Reloader};
use raft_store::engine::memory::MemoryDisk;
use tokio::signal::unix::{SignalKind, signal};

/// What is to be started.
pub struct Started {
    /// Checked settings.
    pub settings: Settings,
    /// Whether timers go by a clock that stands still.
    pub manual_clock: bool,
    /// Whether everything is kept in memory.
    pub in_memory: bool,
    /// What to print when it listens.
    pub banner: Option<String>,
}

/// Runs until a signal; the exit code says whether it ended in order.
#[must_use]
pub fn start_and_wait(started: Started) -> ExitCode {
    if let Err(e) = log::init(&started.settings.log) {
        return super::fail(&e.to_string());
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return super::fail(&format!("no runtime: {e}")),
    };
    match runtime.block_on(run(started)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tracing::error!(reason, "the node ends");
            super::fail(&reason)
        }
    }
}

async fn run(started: Started) -> Result<(), String> {
    let settings = started.settings;
    let entropy: Arc<dyn Entropy> = Arc::<SystemEntropy>::default();
    let identity = IdentityFile::open_or_create(
        &settings.node.data_dir,
        &settings.node.name,
        &settings.cluster.name,
        &*entropy,
    )
    .map_err(|e| e.to_string())?;
    let manual_clock = started.manual_clock.then(ManualClock::at_system_time);
    let clock: Arc<dyn Clock> = match &manual_clock {
        Some(clock) => Arc::new(clock.clone()),
        None => Arc::new(SystemClock),
    };
    let metrics = Arc::new(Metrics::new());
    let policy = AddressPolicy::from_settings(&settings.delivery.allow).map_err(|e| e.to_string())?;
    let roots = trusted(&settings.delivery.ca_files).map_err(|e| format!("delivery.ca_files: {e}"))?;
    let sending = SenderSettings { roots: Some(roots), ..SenderSettings::default() };
    let sender = Sender::new(policy.clone(), clock.clone(), sending).map_err(|e| e.to_string())?;
    let tls = settings.http.certificate_files().map(|files| {
        let started = Reloader::start(files, clock.clone(), metrics.clone());
        started.map_err(|e| format!("http.tls_cert_file, http.tls_key_file: {e}"))
    });
    let tls = tls.transpose()?;
    let http_listener = bind("http.listen", settings.http.listen).await?;
    let alone = settings.cluster.peers.len() <= 1;
    let peer_listener = if alone { None } else { Some(bind("peer.listen", settings.peer.listen).await?) };
    let node = Node::new(NodeParts {
        settings,
        identity,
        clock,
        manual_clock,
        entropy,
        sender,
        metrics,
        memory: started.in_memory.then(|| MemoryDisk::new(false)),
    });
    if let Some(listener) = peer_listener {
        node.serve_peers(listener);
    }
    if let Some(banner) = started.banner {
        let _ = writeln!(std::io::stderr(), "{banner}");
    }
    let asked = asked(tls.as_ref().map(Reloader::ask))?;
    node.live(policy, http_listener, tls, asked).await
}

/// Resolves at a signal to stop. SIGHUP has certificates read again; where there are none it ends the process, as it does
/// by default when a terminal is closed.
fn asked(certificates: Option<AskReload>) -> Result<impl Future<Output = ()>, String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
    let mut hang_up = match certificates {
        Some(ask) => Some((signal(SignalKind::hangup()).map_err(|e| e.to_string())?, ask)),
        None => None,
    };
    Ok(async move {
        let hung_up = async {
            let Some((signals, ask)) = &mut hang_up else { return std::future::pending().await };
            while signals.recv().await.is_some() {
                tracing::info!("SIGHUP: reading the certificate again");
                ask.reload();
            }
        };
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = hung_up => "no more signals",
        };
        tracing::info!("{name}: stopping in order");
    })
}

#[cfg(test)]
#[path = "../../tests/certificates/mod.rs"]
mod certificates;
#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
