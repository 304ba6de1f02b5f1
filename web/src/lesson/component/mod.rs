//! The parts of the lesson.

pub mod case_choice;
pub mod heat_map;
pub mod method_view;
pub mod picture;
pub mod report_table;
pub mod switches;
pub mod tour;
pub mod verdict;

pub use case_choice::CaseChoice;
pub use heat_map::HeatMap;
pub use method_view::Methods;
pub use picture::Picture;
pub use report_table::ReportTable;
pub use switches::Switches;
pub use tour::Tour;
pub use verdict::Verdict;
