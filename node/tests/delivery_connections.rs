//! Connections that break, hang, grow old or never come to be, and what an attempt makes of them.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod delivery_support;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use delivery_support::*;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use node::delivery::{Resolve, SenderSettings, Withheld};
use timer_core::command::AttemptResult;
use timer_core::timer::ErrorKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

const DELIVERED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Returns when the client has closed its side.
async fn until_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset closes it as well.
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn connections_are_used_again() {
    let receiver = Receiver::start(|_| answer(200, &[], "ok")).await;
    let sender = sender(SenderSettings::default());
    for _ in 0..20 {
        assert_eq!(
            sender.send(&attempt(receiver.url()), always()).await.unwrap().result,
            AttemptResult::Delivered
        );
    }
    assert_eq!((receiver.seen().len(), receiver.connections()), (20, 1));
}

#[tokio::test]
async fn many_attempts_at_once_are_all_delivered_once() {
    let receiver = Receiver::start(|_| answer(200, &[], "ok")).await;
    let sender = Arc::new(sender(SenderSettings::default()));
    let mut running = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (sender, url) = (sender.clone(), format!("{}{number}", receiver.url()));
        running.spawn(async move { sender.send(&attempt(url), always()).await.unwrap().result });
    }
    while let Some(result) = running.join_next().await {
        assert_eq!(result.unwrap(), AttemptResult::Delivered);
    }
    let mut paths: Vec<String> = receiver.seen().iter().map(|seen| seen.uri.to_string()).collect();
    paths.sort();
    paths.dedup();
    assert_eq!((paths.len(), receiver.seen().len()), (200, 200));
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_costs_no_attempt() {
    let (closed, seen) = tokio::sync::watch::channel(false);
    // The first connection answers once and closes; the client has closed its side when that is read.
    let (url, connections) = raw_server(move |number, mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(DELIVERED).await.unwrap();
            if number == 0 {
                stream.shutdown().await.unwrap();
            }
            until_closed(&mut stream).await;
            closed.send_replace(true);
        }
    })
    .await;
    let sender =
        sender(SenderSettings { idle_timeout: Duration::from_secs(60), ..SenderSettings::default() });
    assert_eq!(sender.send(&attempt(url.as_str()), always()).await.unwrap().result, AttemptResult::Delivered);
    seen.clone().wait_for(|closed| *closed).await.unwrap();
    assert_eq!(sender.send(&attempt(url.as_str()), always()).await.unwrap().result, AttemptResult::Delivered);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_attempt_that_a_receiver_has_read_is_not_sent_again_by_itself() {
    // The second request on the connection is read, and then the connection is closed or reset.
    for unread in [false, true] {
        let (url, connections) = raw_server(move |_, mut stream| async move {
            read_request(&mut stream).await;
            stream.write_all(DELIVERED).await.unwrap();
            if unread {
                // Closed with bytes unread: the peer gets a reset.
                stream.read_exact(&mut [0]).await.unwrap();
            } else {
                read_request(&mut stream).await;
            }
        })
        .await;
        let sender = sender(SenderSettings::default());
        assert_eq!(
            sender.send(&attempt(url.as_str()), always()).await.unwrap().result,
            AttemptResult::Delivered
        );
        let (kind, message) = retried(sender.send(&attempt(url.as_str()), always()).await.unwrap().result);
        let expected = if unread { ErrorKind::ConnectionReset } else { ErrorKind::Transport };
        assert_eq!(kind, expected, "{message}");
        assert_eq!(connections.load(Ordering::SeqCst), 1, "a second reception would have the same token");
    }
}

/// Answers the first request of the first connection and ends that connection `pause` after it has read the
/// second one.
async fn late_end(pause: Duration) -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    raw_server(move |number, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(DELIVERED).await.unwrap();
        if number == 0 {
            read_request(&mut stream).await;
            tokio::time::sleep(pause).await;
            return;
        }
        until_closed(&mut stream).await;
    })
    .await
}

#[tokio::test]
async fn an_attempt_without_answer_takes_its_connection_with_it() {
    let (url, connections) = late_end(Duration::from_millis(400)).await;
    let sender = sender(SenderSettings::default());
    assert_eq!(sender.send(&attempt(url.as_str()), always()).await.unwrap().result, AttemptResult::Delivered);
    let (kind, message) =
        retried(sender.send(&attempt_within(200, url.as_str()), always()).await.unwrap().result);
    assert_eq!(kind, ErrorKind::AnswerTimedOut, "{message}");
    assert_eq!(sender.send(&attempt(url.as_str()), always()).await.unwrap().result, AttemptResult::Delivered);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_new_connection_that_breaks_is_a_failed_attempt() {
    let (url, connections) = raw_server(|_, mut stream| async move { read_request(&mut stream).await }).await;
    let (kind, message) =
        retried(sender(SenderSettings::default()).send(&attempt(url), always()).await.unwrap().result);
    assert_eq!(kind, ErrorKind::Transport, "{message}");
    assert_eq!(connections.load(Ordering::SeqCst), 1, "the receiver may have acted on it");
}

#[tokio::test]
async fn a_connection_that_is_reset_is_told_from_one_that_is_closed() {
    let (url, _) = raw_server(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let (kind, message) =
        retried(sender(SenderSettings::default()).send(&attempt(url), always()).await.unwrap().result);
    assert_eq!(kind, ErrorKind::ConnectionReset, "{message}");
    assert!(message.starts_with("no answer: "), "{message}");
}

#[tokio::test]
async fn an_answer_that_is_reset_is_no_delivery() {
    let (url, _) = raw_server(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
        stream.set_zero_linger().unwrap();
    })
    .await;
    let (error, permanent) =
        failure(sender(SenderSettings::default()).send(&attempt(url), always()).await.unwrap().result);
    assert_eq!((error.status, permanent), (Some(200), false));
    assert_eq!(error.kind, ErrorKind::ConnectionReset, "{}", error.message);
}

#[tokio::test]
async fn an_address_without_a_way_there_is_no_refusal() {
    // A broadcast address takes no connections: the system says so at once, and sends nothing.
    let (kind, message) = retried(
        sender(SenderSettings::default())
            .send(&attempt("http://127.255.255.255:9/"), always())
            .await
            .unwrap()
            .result,
    );
    assert_eq!(kind, ErrorKind::Connect, "{message}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_delivery() {
    let (url, _) = raw_server(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
    })
    .await;
    let (error, permanent) =
        failure(sender(SenderSettings::default()).send(&attempt(url), always()).await.unwrap().result);
    assert_eq!((error.kind, error.status, permanent), (ErrorKind::Transport, Some(200), false));
    assert!(error.message.starts_with("the answer broke off: "), "{}", error.message);
}

#[tokio::test]
async fn what_is_no_http_is_a_failed_attempt() {
    let (url, _) = raw_server(|_, mut stream| async move {
        stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await.unwrap();
        until_closed(&mut stream).await;
    })
    .await;
    let (kind, message) =
        retried(sender(SenderSettings::default()).send(&attempt(url), always()).await.unwrap().result);
    assert_eq!(kind, ErrorKind::Transport, "{message}");
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up() {
    let (url, _) = raw_server(|_, mut stream| async move { until_closed(&mut stream).await }).await;
    let begun = Instant::now();
    let (kind, message) = retried(
        sender(SenderSettings::default())
            .send(&attempt_within(150, url.as_str()), always())
            .await
            .unwrap()
            .result,
    );
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    assert_eq!(kind, ErrorKind::AnswerTimedOut);
    assert_eq!(message, format!("connected to {address}, but no answer within 150 ms"));
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let (url, _) = raw_server(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        loop {
            tick.tick().await;
            if stream.write_all(b"x").await.is_err() {
                return;
            }
        }
    })
    .await;
    let report = sender(SenderSettings::default()).send(&attempt_within(200, url), always()).await.unwrap();
    let (error, permanent) = failure(report.result);
    assert_eq!((error.kind, error.status, permanent), (ErrorKind::ReadTimedOut, Some(200), false));
    assert_eq!(error.message, "the answer began, but did not end within 200 ms");
    let came = report.answer.unwrap();
    assert!(came.is_truncated() && came.body().starts_with(b"x"), "what had come by then: {came:?}");
}

#[tokio::test]
async fn a_body_without_end_is_cut_off_at_the_bound() {
    let (url, _) = raw_server(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n").await.unwrap();
        while stream.write_all(&[b' '; 8192]).await.is_ok() {}
    })
    .await;
    assert_eq!(
        sender(SenderSettings::default()).send(&attempt(url), always()).await.unwrap().result,
        AttemptResult::Delivered
    );
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let address = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (kind, message) = retried(
        sender(SenderSettings::default())
            .send(&attempt(format!("http://{address}/")), always())
            .await
            .unwrap()
            .result,
    );
    assert_eq!(kind, ErrorKind::ConnectionRefused);
    assert!(message.starts_with(&format!("no connection to 127.0.0.1 at {address}: ")), "{message}");
}

#[tokio::test]
async fn a_name_that_is_unknown_now_is_asked_again_later() {
    let receiver = Receiver::start(|_| answer(200, &[], "")).await;
    let names = Names::of("other.test", &["127.0.0.1"]);
    let sender = sender(resolving(&names));
    let attempt = attempt(receiver.url_at("hooks.test"));
    let (kind, message) = retried(sender.send(&attempt, always()).await.unwrap().result);
    assert_eq!((kind, message.as_str()), (ErrorKind::Dns, "hooks.test can't be resolved: no such name"));
    names.set("hooks.test", &[]);
    let (kind, message) = retried(sender.send(&attempt, always()).await.unwrap().result);
    assert_eq!((kind, message.as_str()), (ErrorKind::Dns, "hooks.test has no address"));
    names.set("hooks.test", &["127.0.0.1"]);
    assert_eq!(sender.send(&attempt, always()).await.unwrap().result, AttemptResult::Delivered);
}

/// A resolver that never answers.
#[derive(Debug)]
struct Silent;

impl Resolve for Silent {
    fn resolve(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        futures_util::future::pending().boxed()
    }
}

#[tokio::test]
async fn the_time_out_covers_the_resolver() {
    let settings = SenderSettings { resolver: Arc::new(Silent), ..SenderSettings::default() };
    let (kind, message) = retried(
        sender(settings).send(&attempt_within(100, "http://hooks.test/"), always()).await.unwrap().result,
    );
    assert_eq!((kind, message.as_str()), (ErrorKind::ConnectTimedOut, "no connection within 100 ms"));
}

/// A listener whose queue is full, so that nothing comes back from it, and what fills it.
fn dead_end(address: SocketAddr) -> (socket2::Socket, Vec<StdStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(0).unwrap();
    let mut filling = Vec::new();
    while let Ok(stream) = StdStream::connect_timeout(&address, Duration::from_millis(100)) {
        filling.push(stream);
    }
    (socket, filling)
}

#[tokio::test]
async fn connecting_to_an_address_is_bounded() {
    let free = StdListener::bind("127.0.0.3:0").unwrap().local_addr().unwrap();
    let _dead = dead_end(free);
    let settings =
        SenderSettings { connect_timeout: Duration::from_millis(100), ..SenderSettings::default() };
    let (kind, message) =
        retried(sender(settings).send(&attempt(format!("http://{free}/")), always()).await.unwrap().result);
    assert_eq!(kind, ErrorKind::ConnectTimedOut);
    assert_eq!(message, format!("no connection to 127.0.0.3 at {free} within 100 ms"));
}

#[tokio::test]
async fn a_dead_address_does_not_keep_from_the_next() {
    let receiver = Receiver::start(|_| answer(200, &[], "")).await;
    let _dead = dead_end(SocketAddr::new([127, 0, 0, 3].into(), receiver.address.port()));
    // The first drops everything, the second refuses; the default bound for one address is 5 s.
    let names = Names::of("hooks.test", &["127.0.0.3", "127.0.0.4", "127.0.0.1"]);
    let attempt = attempt_within(2000, receiver.url_at("hooks.test"));
    assert_eq!(
        sender(resolving(&names)).send(&attempt, always()).await.unwrap().result,
        AttemptResult::Delivered
    );
}

/// A resolver during which the lead is lost.
#[derive(Debug)]
struct LosesLead(Arc<AtomicBool>);

impl Resolve for LosesLead {
    fn resolve(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.0.store(false, Ordering::SeqCst);
        async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) }.boxed()
    }
}

#[tokio::test]
async fn an_attempt_whose_lead_is_lost_while_it_connects_is_withheld() {
    let (received, mut bytes) = tokio::sync::mpsc::unbounded_channel();
    let (url, connections) = raw_server(move |_, mut stream| {
        let received = received.clone();
        async move {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            received.send(all).unwrap();
        }
    })
    .await;
    let leads = Arc::new(AtomicBool::new(true));
    let resolver = Arc::new(LosesLead(leads.clone()));
    let sender = sender(SenderSettings { resolver, ..SenderSettings::default() });
    let attempt = attempt(url.replace("127.0.0.1", "hooks.test"));
    let sent = sender.send(&attempt, Arc::new(move || leads.load(Ordering::SeqCst))).await;
    assert_eq!(sent, Err(Withheld));
    assert_eq!(bytes.recv().await.unwrap(), b"", "nothing left this node, not even the head");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_attempt_on_a_pooled_connection_is_withheld_as_well() {
    let (received, mut bytes) = tokio::sync::mpsc::unbounded_channel();
    let (url, connections) = raw_server(move |_, mut stream| {
        let received = received.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(DELIVERED).await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            received.send(rest).unwrap();
        }
    })
    .await;
    let sender = sender(SenderSettings::default());
    assert_eq!(sender.send(&attempt(url.as_str()), always()).await.unwrap().result, AttemptResult::Delivered);
    assert_eq!(sender.send(&attempt(url.as_str()), Arc::new(|| false)).await, Err(Withheld));
    assert_eq!(bytes.recv().await.unwrap(), b"", "nothing left this node, not even the head");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_old_connection_is_not_used_again() {
    let receiver = Receiver::start(|_| answer(200, &[], "ok")).await;
    let settings = SenderSettings { connection_age_max: Duration::ZERO, ..SenderSettings::default() };
    let sender = sender(settings);
    for _ in 0..5 {
        assert_eq!(
            sender.send(&attempt(receiver.url()), always()).await.unwrap().result,
            AttemptResult::Delivered
        );
    }
    assert_eq!((receiver.seen().len(), receiver.connections()), (5, 5));
}

#[tokio::test]
async fn a_name_that_moves_is_followed_under_steady_traffic() {
    let old = Receiver::start(|_| answer(200, &[], "ok")).await;
    let new =
        Receiver::start_at(&format!("127.0.0.2:{}", old.address.port()), |_| answer(200, &[], "ok")).await;
    let names = Names::of("hooks.test", &["127.0.0.1"]);
    let age_max = Duration::from_millis(300);
    let sender = sender(SenderSettings { connection_age_max: age_max, ..resolving(&names) });
    let attempt = attempt(old.url_at("hooks.test"));
    assert_eq!(sender.send(&attempt, always()).await.unwrap().result, AttemptResult::Delivered);
    assert_eq!((old.seen().len(), new.seen().len()), (1, 0));
    names.set("hooks.test", &["127.0.0.2"]);
    let moved = Instant::now();
    while moved.elapsed() < age_max {
        assert_eq!(sender.send(&attempt, always()).await.unwrap().result, AttemptResult::Delivered);
    }
    // The attempt that met the age still ran on the old connection.
    assert_eq!(sender.send(&attempt, always()).await.unwrap().result, AttemptResult::Delivered);
    let before = (old.seen().len(), new.seen().len());
    assert_eq!(old.connections(), 1, "used for as long as it was young");
    assert_eq!(sender.send(&attempt, always()).await.unwrap().result, AttemptResult::Delivered);
    assert_eq!((old.seen().len(), new.seen().len()), (before.0, before.1 + 1));
}
