//! Training in the page, run natively; `web/tests/browser` runs the same tests in a browser.

#![cfg(not(target_arch = "wasm32"))]

mod steps;
