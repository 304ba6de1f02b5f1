//! The page and its workers.
//!
//! Several programs share this crate. `page` draws and listens; `worker` holds the models, decodes files and answers;
//! `training` trains models in the page. They
//! exchange typed messages and nothing else, and the page's program contains no model code.
//!
//! Each part of the page has its folder, with what is asked and said, the worker's side, what the page knows as a plain
//! value, and its components: [`xray`], [`mri`], [`lesson`], [`training`]; [`help`] has text alone. [`app`] starts them and
//! [`shell`] frames them; [`address`] says which one is shown;
//! [`language`] finds the words; [`requests`] counts what goes over the network and [`offline`] keeps the page for when there
//! is none. [`worker`] is the wire, [`component`] and [`render`] are what several parts show, [`browser`] wraps the few
//! browser calls they need.

rust_i18n::i18n!("locales");

pub mod address;
pub mod app;
pub mod browser;
pub mod component;
pub mod help;
pub mod language;
pub mod lesson;
pub mod mri;
pub mod offline;
pub mod render;
pub mod requests;
pub mod shell;
pub mod training;
pub mod worker;
pub mod xray;
