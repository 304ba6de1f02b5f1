//! One module per promise.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod networks;
mod readers;
mod recognition;
mod volumes;
