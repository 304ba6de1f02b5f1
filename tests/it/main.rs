//! One module per promise.

mod networks;
mod readers;
