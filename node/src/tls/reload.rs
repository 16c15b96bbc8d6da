//! Exchanges the certificate that is served when its files change, or when somebody asks for it (SIGHUP).
//!
//! What can't be served changes nothing: the certificate before stays, the log says once what is wrong with which file,
//! a metric shows it, and the files are tried again at every look, because a certificate may only have to wait for its
//! time to come.

use std::sync::Arc;
use std::time::Duration;

use timer_core::time::Millis;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::changes::{Changes, Stamps};
use super::pair::{CertificateFiles, CertificatePair, PairError};
use super::served::Served;
use crate::blocking::away;
use crate::environment::Clock;
use crate::observability::metrics::Metrics;
use crate::rfc3339;

/// How often the files are looked at. A change is served after two looks.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How often files that change while they are read are read again at once.
const READS_MAX: usize = 3;

/// Keeps what is served as new as its files.
#[derive(Debug)]
pub struct Reloader {
    files: CertificateFiles,
    served: Arc<Served>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    asked: Arc<Notify>,
    changes: Changes,
    /// Why what the files hold is not served, if it is not.
    refused: Option<String>,
}

/// Asks for the files to be read now.
#[derive(Clone, Debug)]
pub struct AskReload(Arc<Notify>);

impl AskReload {
    /// Asks; what comes of it is in the log.
    pub fn reload(&self) {
        self.0.notify_one();
    }
}

impl Reloader {
    /// Reads the files for the first time. A certificate that has expired is served all the same, with an error in the
    /// log: clients refuse it, but the node keeps its place in the cluster and its timers fire.
    ///
    /// # Errors
    /// When there is nothing to serve.
    pub fn start(
        files: CertificateFiles,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, PairError> {
        let (stamps, read) = read_at_rest(&files);
        let pair = read?;
        let served = Served::new(&pair).map_err(|error| unusable(&files, error))?;
        let mut reloader = Self {
            changes: Changes::since(stamps),
            served: Arc::new(served),
            asked: Arc::default(),
            refused: None,
            files,
            clock,
            metrics,
        };
        reloader.metrics.certificate_served(pair.expires_at);
        if let Err(error) = pair.check(reloader.clock.now()) {
            reloader.refuse(&error, "clients will refuse the certificate of the REST API");
        }
        reloader.say_if_it_ends_soon(&pair);
        Ok(reloader)
    }

    /// What is served.
    #[must_use]
    pub fn served(&self) -> Arc<Served> {
        self.served.clone()
    }

    /// For whoever gets the signals.
    #[must_use]
    pub fn ask(&self) -> AskReload {
        AskReload(self.asked.clone())
    }

    /// Looks at the files until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let asked = self.asked.clone();
        loop {
            let now = tokio::select! {
                () = stop.cancelled() => return,
                () = asked.notified() => true,
                () = tokio::time::sleep(LOOK_INTERVAL) => false,
            };
            let looked = away(true, move || {
                if now {
                    self.reload()
                } else {
                    self.look()
                }
                self
            });
            // Only a runtime that ends takes no more work.
            let Ok(back) = looked.await else { return };
            self = back;
        }
    }

    /// Reads the files if they have changed and come to rest, or if they could not be served when they were read last.
    pub fn look(&mut self) {
        if self.changes.settled(self.files.stamps()) || self.refused.is_some() {
            self.reload();
        }
    }

    /// Reads the files, and serves what they hold if it can be served.
    pub fn reload(&mut self) {
        let (stamps, read) = read_at_rest(&self.files);
        self.changes.note(stamps);
        let exchanged = read.and_then(|pair| {
            pair.check(self.clock.now())?;
            self.served.exchange(&pair).map_err(|error| unusable(&self.files, error))?;
            Ok(pair)
        });
        match exchanged {
            Ok(pair) => {
                self.refused = None;
                self.metrics.certificate_served(pair.expires_at);
                let file = self.files.certificate.display();
                tracing::info!(%file, expires_at = rfc3339::format(pair.expires_at), "serving a new certificate");
                self.say_if_it_ends_soon(&pair);
            }
            Err(error) => {
                self.refuse(&error, "the certificate is not exchanged, the one before is served on")
            }
        }
    }

    /// Says it once, and shows it until it is over.
    fn refuse(&mut self, error: &PairError, consequence: &str) {
        self.metrics.certificate_refused();
        let reason = error.to_string();
        if self.refused.as_ref() != Some(&reason) {
            tracing::error!(reason, "{consequence}");
        }
        self.refused = Some(reason);
    }

    fn say_if_it_ends_soon(&self, pair: &CertificatePair) {
        let now: Millis = self.clock.now();
        if pair.check(now).is_ok() && pair.expires_soon(now) {
            let file = self.files.certificate.display();
            tracing::warn!(%file, expires_at = rfc3339::format(pair.expires_at), "the certificate expires soon");
        }
    }
}

/// Reads both files while neither changes, so that no half of one pair meets the other half of the next.
fn read_at_rest(files: &CertificateFiles) -> (Stamps, Result<CertificatePair, PairError>) {
    let mut before = files.stamps();
    for _ in 0..READS_MAX {
        let read = CertificatePair::load(files);
        let after = files.stamps();
        if after == before {
            return (before, read);
        }
        before = after;
    }
    let (certificate, key) = (files.certificate.clone(), files.key.clone());
    (before, Err(PairError::Moving { certificate, key }))
}

fn unusable(files: &CertificateFiles, error: rustls::Error) -> PairError {
    PairError::UnusableKey { path: files.key.clone(), error }
}
