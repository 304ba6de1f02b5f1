//! The lesson of the dropped modality: four sequences as switches, the methods side by side.
//!
//! [`case`] are the patients and [`method`] the methods with their networks; [`protocol`] is what page and worker say to each
//! other and [`worker`] the worker's side; [`session`] is everything the lesson knows and asks for, as a plain value;
//! [`desk`] joins it to the worker and to the address; [`tour`] are the steps of the guided tour, [`results`] what was
//! measured over several seeds; [`component`] and [`page`] put these on the screen.

pub mod case;
pub mod component;
pub mod desk;
pub mod method;
pub mod page;
pub mod protocol;
pub mod results;
pub mod session;
pub mod tour;
pub mod worker;

pub use desk::Desk;
pub use page::LessonPage;
