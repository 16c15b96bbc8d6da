//! Messages between nodes: what is understood is said again in one form that is understood in the same way.

use std::fmt::Debug;

use prost::Message as _;

use crate::peer::frame::{Body, Frame, attempts_reply, list_reply, read_reply, submit_reply};
use crate::peer::{codec, history_codec, list_codec, reply_codec};

/// The bytes as a frame.
pub fn holds(data: &[u8]) -> bool {
    let Ok(Frame { body: Some(body), .. }) = Frame::decode(data) else { return false };
    match body {
        Body::Append(given) => said_again(given, codec::append_in, codec::append_out),
        Body::AppendReply(given) => {
            said_again(given, |given| codec::append_result_in(&given), |read| codec::append_result_out(&read))
        }
        Body::Vote(given) => {
            let pre_vote = given.pre_vote;
            let out = |read| codec::vote_request_out(&read, pre_vote);
            said_again(given, |given| codec::vote_request_in(&given), out)
        }
        Body::VoteReply(given) => {
            said_again(given, |given| codec::vote_reply_in(&given), |read| codec::vote_reply_out(&read))
        }
        Body::Transfer(given) => {
            said_again(given, |given| codec::transfer_in(&given), |read| codec::transfer_out(&read))
        }
        Body::List(given) => said_again(given, list_codec::query_in, |read| list_codec::query_out(&read)),
        Body::ListReply(given) => match given.result {
            Some(list_reply::Result::Listed(given)) => {
                said_again(given, |given| list_codec::listed_in(&given), |read| list_codec::listed_out(&read))
            }
            Some(list_reply::Result::Failure(_)) | None => false,
        },
        Body::AttemptsReply(given) => match given.result {
            Some(attempts_reply::Result::History(given)) => said_again(
                given,
                |given| history_codec::history_in(&given),
                |read| history_codec::history_out(read.as_deref()),
            ),
            Some(attempts_reply::Result::Failure(_)) | None => false,
        },
        Body::SubmitReply(given) => match given.result {
            Some(submit_reply::Result::Reply(given)) => {
                said_again(given, |given| reply_codec::reply_in(&given), |read| reply_codec::reply_out(&read))
            }
            Some(submit_reply::Result::Failure(_)) | None => false,
        },
        Body::ReadReply(given) => match given.result {
            Some(read_reply::Result::Found(given)) => said_again(
                given,
                |given| reply_codec::found_in(&given),
                |read| reply_codec::found_out(read.as_ref()),
            ),
            Some(read_reply::Result::Failure(_)) | None => false,
        },
        Body::Hello(_)
        | Body::Refusal(_)
        | Body::TransferReply(_)
        | Body::ClockProbe(_)
        | Body::ClockReply(_)
        | Body::SnapshotBegin(_)
        | Body::SnapshotChunk(_)
        | Body::SnapshotFinish(_)
        | Body::SnapshotReply(_)
        | Body::Submit(_)
        | Body::Read(_)
        | Body::Groups(_)
        | Body::GroupsReply(_)
        | Body::Attempts(_)
        | Body::Outcomes(_)
        | Body::OutcomesReply(_) => false,
    }
}

/// openraft's messages can't be compared, so those that are made of them are. Says whether `given` was understood.
fn said_again<W: Clone + Debug + PartialEq, T, E>(
    given: W,
    read: impl Fn(W) -> Result<T, E>,
    write: impl Fn(T) -> W,
) -> bool {
    let Ok(understood) = read(given) else { return false };
    let said = write(understood);
    let again = read(said.clone()).ok().map(write);
    assert_eq!(again, Some(said));
    true
}
