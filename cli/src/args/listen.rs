//! The options of `timerctl listen`.

use std::net::SocketAddr;
use std::time::Duration;

use crate::duration;

/// `timerctl listen`.
#[derive(Clone, Debug, clap::Args)]
pub struct ListenArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", conflicts_with = "port")]
    pub listen: SocketAddr,
    /// Listen on this port of 127.0.0.1
    #[arg(long)]
    pub port: Option<u16>,
    /// Answer with this status
    #[arg(long, default_value = "200", value_parser = clap::value_parser!(u16).range(200..=599))]
    pub status: u16,
    /// Answer with this body: JSON, such as '{"ok": false}', or text
    #[arg(long)]
    pub body: Option<String>,
    /// Wait this long before answering
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub delay: Option<Duration>,
    /// Answer the first N callbacks with 500
    #[arg(long, value_name = "N", default_value = "0")]
    pub fail_first: u64,
    /// End after N callbacks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Print only the first N callbacks one by one; all are counted
    #[arg(long, value_name = "N")]
    pub quiet_after: Option<u64>,
    /// Say what a receiver should check, and end
    #[arg(long)]
    pub explain: bool,
}

impl ListenArgs {
    /// The address.
    pub fn address(&self) -> SocketAddr {
        match self.port {
            Some(port) => SocketAddr::from(([127, 0, 0, 1], port)),
            None => self.listen,
        }
    }
}
