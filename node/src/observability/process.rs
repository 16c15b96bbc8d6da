//! What the operating system knows of this process: memory, files. Linux only; elsewhere nothing is said.

/// What `/proc/self` says now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProcessStats {
    /// Memory in use that is not swapped out.
    pub resident_bytes: u64,
    /// Open files, sockets among them.
    pub open_fds: u64,
    /// How many files may be open.
    pub fds_max: u64,
}

impl ProcessStats {
    /// Zeros for what can't be read.
    pub fn read() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        // The directory that is being listed is one of the open files.
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count().saturating_sub(1));
        Self {
            resident_bytes: number_after(&status, "VmRSS:").saturating_mul(1024),
            open_fds: u64::try_from(open).unwrap_or(u64::MAX),
            fds_max: number_after(&limits, "Max open files"),
        }
    }
}

/// The first number behind `label` at the start of a line, or 0.
fn number_after(text: &str, label: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(label)).unwrap_or_default();
    rest.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_proc_are_found() {
        let status = "Name:\ttimerd\nVmHWM:\t  999 kB\nVmRSS:\t  2048 kB\n";
        assert_eq!(number_after(status, "VmRSS:"), 2048);
        assert_eq!(
            number_after("Max open files            1024     524288    files\n", "Max open files"),
            1024
        );
        assert_eq!(number_after(status, "VmSwap:"), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_and_open_files() {
        let stats = ProcessStats::read();
        assert!(stats.resident_bytes > 1 << 20, "{stats:?}");
        assert!(stats.open_fds >= 3 && stats.open_fds <= stats.fds_max, "{stats:?}");
    }
}
