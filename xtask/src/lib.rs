//! The project's commands, and what the whole-page tests share with them.
//!
//! Modules in reading order: [`process`] runs programs; [`tools`] gets those of the pinned versions; [`simd`]
//! says for which instructions the browser's code is compiled; [`dist`] builds the page; [`serve`] serves it;
//! [`chromium`] finds a browser and [`webdriver`] drives it; [`page`] does with the page what a user does. On top of
//! them [`check`], [`screenshot`] and [`bench`] are the commands.

#![allow(clippy::print_stdout, reason = "what these commands are for is to tell a person at a terminal what happens")]

pub mod bench;
pub mod check;
pub mod chromium;
pub mod cuda;
pub mod dist;
pub mod page;
pub mod process;
pub mod screenshot;
pub mod serve;
pub mod simd;
pub mod tools;
pub mod webdriver;
