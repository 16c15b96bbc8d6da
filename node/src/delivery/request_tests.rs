//! Bodies and headers, byte by byte.
