//! The page and its worker.
//!
//! Two programs share this crate. `page` draws and listens; `worker` holds the model, decodes files and answers. They
//! exchange the types of [`worker::protocol`] and nothing else, and the page's program contains no model code.
//!
//! In reading order: [`worker`] is the other side of the wire and the wire itself; [`session`] is everything the page
//! knows, as a plain value; [`desk`] joins it to the worker; [`answer`] turns scores and a model card into rows of words
//! and numbers; [`render`] makes pixels; [`browser`] wraps the few browser calls they need; [`component`] and [`page`]
//! put these on the screen; [`app`] starts it all.

pub mod answer;
pub mod app;
pub mod browser;
pub mod component;
pub mod desk;
pub mod page;
pub mod render;
pub mod sample;
pub mod session;
pub mod worker;
