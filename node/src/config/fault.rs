//! What can be wrong with a configuration. Each fault says where, what, and what would be right.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table of defaults.
    Default,
    /// A line of a TOML file, from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line of the value.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A command-line flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A setting as a fault names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// Its value, as TOML.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.key, self.value, self.origin)
    }
}

/// One fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigFault {
    /// A file can't be read.
    #[error("{}: can't be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A file is not TOML.
    #[error("{}:{line}: not valid TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// The parser's words.
        reason: String,
    },
    /// A key that no setting has.
    #[error("{origin}: unknown key {key}{}", nearest.as_ref().map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A value of the wrong type or outside its bounds.
    #[error("{origin}: {key} must be {expected}, but is {found}")]
    WrongValue {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// What would be right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Two settings that do not go together.
    #[error("{first} and {second}: {rule}")]
    Conflict {
        /// One of them.
        first: Setting,
        /// The other.
        second: Setting,
        /// What must hold between them, and why.
        rule: String,
    },
    /// A value that contradicts itself.
    #[error("{setting}: {rule}")]
    Inconsistent {
        /// The setting.
        setting: Setting,
        /// What must hold.
        rule: String,
    },
}

impl ConfigFault {
    /// The keys that the fault is about.
    pub(super) fn keys(&self) -> Vec<&str> {
        match self {
            Self::Unreadable { .. } | Self::Syntax { .. } => Vec::new(),
            Self::UnknownKey { key, .. } => vec![key],
            Self::WrongValue { key, .. } => vec![key],
            Self::Conflict { first, second, .. } => vec![first.key, second.key],
            Self::Inconsistent { setting, .. } => vec![setting.key],
        }
    }
}
