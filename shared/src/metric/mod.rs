//! How well a model does: area under the ROC curve, intervals by resampling patients, comparison of two models,
//! calibration, and the operating point; of masks, Dice and distances.

pub mod auroc;
pub mod bootstrap;
pub mod calibration;
pub mod delong;
pub mod operating;
pub mod overlap;
pub mod student;

pub use auroc::{auroc, roc_curve, youden_threshold};
pub use bootstrap::{Bootstrap, Interval};
pub use calibration::{Reliability, ReliabilityBin, fit_temperature};
pub use delong::{PairedAuroc, delong};
pub use operating::{OperatingPoint, operating_point};
pub use overlap::{Overlap, hausdorff95_mm};
pub use student::mean_interval;
