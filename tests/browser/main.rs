//! The built page in a browser, operated as a user would. One module per promise.
//!
//! All of it needs `dist/`, a browser and the program `cmim`: `cargo xtask test browser` brings them and runs these
//! tests, which are ignored otherwise.

mod accessibility;
mod answers;
mod files;
mod instructions;
mod lesson;
mod loading;
mod memory;
mod mri;
mod offline;
mod parity;
mod session;
mod training;
mod use_without_mouse;
mod volumes;
mod workbench;
