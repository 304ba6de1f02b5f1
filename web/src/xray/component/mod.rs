//! The parts of the x-ray page. Each shows a part of the session, or passes on what a person did.

pub mod explanations;
pub mod finding_list;
pub mod image_view;
pub mod model_details;
pub mod samples;
pub mod status;

pub use explanations::Explanations;
pub use finding_list::FindingList;
pub use image_view::ImageView;
pub use model_details::ModelDetails;
pub use samples::Samples;
pub use status::{ErrorMessage, ModelProgress, Status};
