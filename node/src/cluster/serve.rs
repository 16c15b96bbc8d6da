//! Serves the REST API of a node until it stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::node::Node;
use crate::delivery::{AddressPolicy, UrlFault, check_url};
use crate::http::limits::{BATCHES_AT_ONCE_MAX, LISTS_AT_ONCE_MAX};
use crate::http::{HttpSettings, HttpState, ServerBounds, UrlCheck, router, serve_within};
use crate::sockets::TcpListener;
use crate::tls::Reloader;

/// Serves until `node` stops; open requests may then end within the server's drain time. With `tls` over TLS only, with
/// a certificate that is kept as new as its files.
pub async fn serve_http(
    node: Arc<Node>,
    policy: AddressPolicy,
    listener: TcpListener,
    tls: Option<Reloader>,
) {
    let settings = &node.settings.http;
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let state = HttpState {
        backend: node.clone(),
        entropy: node.entropy.clone(),
        url_check: url_check(policy),
        settings: HttpSettings {
            deadline: Duration::from_millis(settings.request_timeout_ms),
            body_bytes_max: size(settings.body_bytes_max),
            ..HttpSettings::default()
        },
        batches: Arc::new(Semaphore::new(BATCHES_AT_ONCE_MAX)),
        lists: Arc::new(Semaphore::new(LISTS_AT_ONCE_MAX)),
    };
    let bounds = ServerBounds { connections_max: size(settings.connections_max), ..ServerBounds::default() };
    let stop = node.stop.clone();
    let (served, secure) = (tls.as_ref().map(Reloader::served), tls.is_some());
    tracing::info!(listen = %settings.listen, tls = secure, node = node.settings.node.name, "serving the REST API");
    let reloading = async {
        if let Some(reloader) = tls {
            reloader.run(node.stop.clone()).await;
        }
    };
    let serving =
        serve_within(bounds, listener, served, router(state), async move { stop.cancelled().await });
    tokio::join!(serving, reloading);
}

/// Says where callbacks may go by `policy`.
pub(crate) fn url_check(policy: AddressPolicy) -> UrlCheck {
    UrlCheck::new(move |url| check_url(url, &policy).map_err(url_fault))
}

/// The HTTP layer's word for what the delivery found.
fn url_fault(fault: UrlFault) -> crate::http::UrlFault {
    match fault {
        UrlFault::Invalid(reason) => crate::http::UrlFault::Invalid(reason),
        UrlFault::Blocked(reason) => crate::http::UrlFault::Blocked(reason),
    }
}
