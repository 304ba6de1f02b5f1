//! One module per promise.

mod readers;
