//! CPU time of processes, from `/proc`: it tells how much of a figure is the server's and how much is ours.

use std::time::Duration;

/// The unit of `/proc/<pid>/stat`: Linux reports user time in hundredths of a second on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// User and system time that process `pid` has used; zero when it is gone.
pub fn used(pid: u32) -> Duration {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| parse(&stat))
        .unwrap_or_default()
}

/// The same for this process.
pub fn used_here() -> Duration {
    used(std::process::id())
}

/// Fields 14 and 15; the second field, the name, may hold spaces and ends at the last parenthesis.
fn parse(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(TICK * user + TICK * system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(parse(stat), Some(Duration::from_secs(2)));
    }
}
