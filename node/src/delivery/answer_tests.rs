//! Every row of the table of answers.
