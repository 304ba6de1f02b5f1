//! How well a model does: area under the ROC curve, and intervals by resampling patients.

pub mod auroc;
pub mod bootstrap;

pub use auroc::{auroc, youden_threshold};
pub use bootstrap::{Bootstrap, Interval};
