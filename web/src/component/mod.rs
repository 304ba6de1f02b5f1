//! The parts of the page. Each shows a part of the session, or passes on what a person did.

pub mod drop_zone;
pub mod explanations;
pub mod finding_list;
pub mod image_view;
pub mod model_details;
pub mod samples;
pub mod status;

pub use drop_zone::DropZone;
pub use explanations::{Explanations, Notice};
pub use finding_list::FindingList;
pub use image_view::ImageView;
pub use model_details::ModelDetails;
pub use samples::Samples;
pub use status::{ErrorMessage, ModelProgress, Status};
