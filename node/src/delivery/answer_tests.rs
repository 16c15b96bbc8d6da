//! The contract's table of answers, row by row.
