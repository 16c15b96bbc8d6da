//! A client of the durable-timer REST API.
