//! `timerctl`: the command line client.
fn main() {}
