//! "Train it here": a small CMIM trained live, beside a model that needs all modalities and one that never had the report.
//!
//! [`setting`] is what a person may choose; [`protocol`] is what page and worker say to each other; [`experiment`] is what
//! is trained, on generated data, with the trainer's own models, losses and optimizer, and [`worker`] trains it in slices;
//! [`session`] is everything the page knows, as a plain value, with [`verdict`] on the differences, [`curves`] laid out and
//! [`csv`]; [`desk`] joins it to the workers; [`component`] puts it on the screen.

pub mod component;
pub mod csv;
pub mod curves;
mod data;
pub mod desk;
pub mod experiment;
mod learner;
pub mod protocol;
pub mod session;
pub mod setting;
pub mod verdict;
pub mod worker;

pub use component::TrainingPanel;
pub use desk::Desk;
pub use setting::Setting;
