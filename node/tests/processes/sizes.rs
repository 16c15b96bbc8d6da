//! How much a test does. The full sizes are those of the cases; they take minutes to an hour and are run by hand.
//! [docs/full-sizes.md](../../../docs/full-sizes.md) has what came out.

/// `full` with `TIMERD_TEST_FULL=1`, else `small`.
pub fn scaled<T>(small: T, full: T) -> T {
    if std::env::var_os("TIMERD_TEST_FULL").is_some() { full } else { small }
}
