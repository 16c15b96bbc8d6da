//! The request of an attempt, to the byte.
