//! The server: every part of `timerd` but its command line.
