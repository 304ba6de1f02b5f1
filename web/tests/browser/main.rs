//! What only a browser can show: messages, the store, workers and the document.
//!
//! Run by `wasm-pack test --headless --chrome web`.

#![cfg(target_arch = "wasm32")]

mod client;
mod component;
mod message;
mod model;
mod networks;
mod reader;
mod simd;
mod store;
#[path = "../training/steps.rs"]
mod training;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
