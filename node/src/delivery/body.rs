//! Reads an answer's body to a bound.

use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use super::answer::BodyEnd;
use super::limits::ANSWER_BYTES_MAX;
use super::text;

/// The first bytes of a body, at most [`ANSWER_BYTES_MAX`], and how it ended.
pub async fn read<B>(mut body: B, deadline: Instant) -> (Vec<u8>, BodyEnd)
where
    B: Body + Unpin,
    B::Data: AsRef<[u8]>,
    B::Error: std::error::Error + 'static,
{
    let mut bytes = Vec::new();
    loop {
        let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return (bytes, BodyEnd::Whole),
            Ok(Some(Err(e))) => return (bytes, BodyEnd::Broken(text::chain(&e))),
            Err(_) => return (bytes, BodyEnd::TimedOut),
        };
        let Ok(data) = frame.into_data() else { continue };
        let data = data.as_ref();
        let room = ANSWER_BYTES_MAX - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return (bytes, BodyEnd::CutOff);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full, StreamBody};

    use super::*;

    async fn read_full(length: usize) -> (usize, BodyEnd) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let (bytes, end) = read(Full::new(Bytes::from(vec![b'x'; length])), deadline).await;
        (bytes.len(), end)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_read_to_the_bound_and_no_further() {
        assert_eq!(read_full(0).await, (0, BodyEnd::Whole));
        assert_eq!(read_full(ANSWER_BYTES_MAX).await, (ANSWER_BYTES_MAX, BodyEnd::Whole));
        assert_eq!(read_full(ANSWER_BYTES_MAX + 1).await, (ANSWER_BYTES_MAX, BodyEnd::CutOff));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_left_at_the_deadline() {
        let frame = || Ok::<_, std::io::Error>(hyper::body::Frame::data(Bytes::from_static(b"x")));
        let drip = futures_util::stream::unfold((), move |()| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((frame(), ()))
        });
        let body = StreamBody::new(Box::pin(drip)).boxed_unsync();
        let deadline = Instant::now() + Duration::from_millis(3500);
        assert_eq!(read(body, deadline).await, (b"xxx".to_vec(), BodyEnd::TimedOut));
        assert_eq!(Instant::now(), deadline);
    }
}
