//! The parts of the x-ray page. Each shows a part of the session, or passes on what a person did.

pub mod explanations;
pub mod file_table;
pub mod finding_list;
pub mod image_tools;
pub mod image_view;
pub mod input_check;
pub mod model_details;
pub mod overlay;
pub mod report_box;
pub mod samples;
pub mod status;

pub use explanations::Explanations;
pub use file_table::FileTable;
pub use finding_list::FindingList;
pub use image_view::ImageView;
pub use input_check::InputCheck;
pub use model_details::ModelDetails;
pub use overlay::OverlayTools;
pub use report_box::ReportBox;
pub use samples::Samples;
pub use status::{ErrorMessage, ModelProgress, Status};
