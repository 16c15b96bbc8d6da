//! Many seeds, each in a process of its own, so that one that panics or hangs takes no other with it.
