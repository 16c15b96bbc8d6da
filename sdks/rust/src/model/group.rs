//! Groups: what is asked for, and what is there.

use serde::{Deserialize, Serialize};

/// A group's settings as they are sent. None: as it is, or in a new group its default. Durations are as
/// [`crate::duration`] writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupInput {
    /// Over how many of the cluster's shards its timers are spread. Fixed when the group is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<u16>,
    /// How long a delivered, skipped or cancelled timer is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<String>,
    /// How long a dead one is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_retention: Option<String>,
    /// Whether one that is kept for `retention` keeps its payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain_payload: Option<bool>,
    /// How far ahead a timer may lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_horizon: Option<String>,
    /// How many timers may be pending. `Some(None)`: as many as there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pending: Option<Option<u64>>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Another one when a deleted group's name is used again.
    pub generation: u64,
    /// Changes with every change of the group.
    pub version: u64,
    /// Over how many shards its timers are spread.
    pub shards: u16,
    /// How long a delivered, skipped or cancelled timer is kept.
    pub retention: String,
    /// How long a dead one is kept.
    pub dead_retention: String,
    /// Whether one that is kept for `retention` keeps its payload.
    pub retain_payload: bool,
    /// How far ahead a timer may lie.
    pub max_horizon: String,
    /// How many timers may be pending; none: no bound.
    #[serde(default)]
    pub max_pending: Option<u64>,
    /// Since when it is paused, if it is.
    #[serde(default)]
    pub paused_at: Option<String>,
    /// When it was made; none for `default` until it is changed.
    #[serde(default)]
    pub created_at: Option<String>,
    /// When it was changed last.
    #[serde(default)]
    pub updated_at: Option<String>,
}

/// A page of groups.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupPage {
    /// The groups, in the order of their names.
    pub groups: Vec<Group>,
    /// Where the next page begins; none at the end.
    #[serde(default)]
    pub next_cursor: Option<String>,
}
