//! Chest x-rays: images in, scores of 14 findings out.
//!
//! [`protocol`] is what page and worker say to each other; [`reader`] and [`worker`] are the worker's side; [`session`] is
//! everything the page knows, as a plain value, [`item`] what it knows of one file; [`desk`] joins it to the worker;
//! [`answer`] turns scores and a model card into rows of words and numbers, [`table`] many files into one table;
//! [`viewing`] is what a person points at; [`stage`] draws; [`component`] and [`page`] put these on the screen.

pub mod answer;
pub mod component;
pub mod desk;
pub mod item;
pub mod page;
pub mod protocol;
pub mod reader;
pub mod sample;
pub mod session;
pub mod stage;
pub mod table;
pub mod viewing;
pub mod worker;

pub use desk::Desk;
pub use page::XrayPage;
