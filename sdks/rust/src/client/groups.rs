//! The operations on groups.

use http::Method;

use super::call::Call;
use super::{Answer, CallOptions, Client};
use crate::error::Error;
use crate::model::attempt::TestedCallback;
use crate::model::group::{Group, GroupInput, GroupPage};
use crate::model::input::TimerInput;
use crate::path::{encode, group_path};

impl Client {
    /// Makes a group, or gives it these settings; what is not named has its default.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn put_group(
        &self,
        name: &str,
        input: &GroupInput,
        options: &CallOptions,
    ) -> Result<Answer<Group>, Error> {
        self.change(Method::PUT, group_path(name), Some(input), options).await
    }

    /// Reads a group.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn group(&self, name: &str, options: &CallOptions) -> Result<Answer<Group>, Error> {
        self.read(group_path(name), options).await
    }

    /// Changes some of a group's settings; what is not named stays.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn patch_group(
        &self,
        name: &str,
        input: &GroupInput,
        options: &CallOptions,
    ) -> Result<Answer<Group>, Error> {
        self.change(Method::PATCH, group_path(name), Some(input), options).await
    }

    /// Sends a callback now, as a timer of this definition in the group `name` would, and gives what came of it. `input` need
    /// not say when; nothing is stored and nothing is tried again.
    ///
    /// # Errors
    /// See [`Error`]; that the callback failed is none.
    pub async fn test_callback(
        &self,
        name: &str,
        input: &TimerInput,
        options: &CallOptions,
    ) -> Result<Answer<TestedCallback>, Error> {
        let mut call = Call::new(Method::POST, format!("{}/test-callback", group_path(name)));
        call.json(input)?;
        call.context(options)?;
        self.answer(call).await
    }

    /// Pauses a group: once this is answered no attempt of its timers starts. What had been sent before goes on.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn pause_group(&self, name: &str, options: &CallOptions) -> Result<Answer<Group>, Error> {
        self.change(Method::POST, format!("{}/pause", group_path(name)), None::<&()>, options).await
    }

    /// Lets a paused group go on: what is due goes out, a few timers at first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn resume_group(&self, name: &str, options: &CallOptions) -> Result<Answer<Group>, Error> {
        self.change(Method::POST, format!("{}/resume", group_path(name)), None::<&()>, options).await
    }

    /// Deletes a group that holds no timers.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete_group(&self, name: &str, options: &CallOptions) -> Result<Answer<()>, Error> {
        let call = Self::change_call(Method::DELETE, group_path(name), None::<&()>, options)?;
        let reply = self.core.run(&call).await?;
        Ok(Self::answer_of(reply, ()))
    }

    /// Reads a page of groups: at most `limit` (1 to 1000), from `cursor` ([`GroupPage::next_cursor`]) or the first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn groups(&self, limit: u16, cursor: Option<&str>) -> Result<Answer<GroupPage>, Error> {
        let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={}", encode(cursor)));
        let call = Call::new(Method::GET, format!("/api/v1/groups?limit={limit}{cursor}"));
        self.answer(call).await
    }
}
