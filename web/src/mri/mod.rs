//! The MRI workbench: the volumes of an examination in, the outline of its enhancing tumour out.
//!
//! What a worker is asked and says is in [`protocol`]; [`reader`] and [`worker`] are its side. On the page, [`files`] sorts
//! what was given, [`Admission`] has it read, [`scan`] holds an examination, [`Crew`] has several workers outline it,
//! slice by slice in the order of a [`queue`], and [`models`] are the networks to choose from. [`session`] is everything
//! that the workbench knows, as a plain value, [`screen`] what is looked at, [`Desk`] joins them to the workers, and
//! [`component`] shows it; what is drawn is computed in [`view`] and brought to the canvases by [`painter`].
//!
//! # For other parts of the page
//!
//! A lesson needs three things of this module and none of its screen:
//!
//! ```ignore
//! let admission = Admission::new(); // reads and draws, in a worker of its own
//! let crew = Crew::new();           // outlines, on as many workers as there are cores, 4 at most; one job at a time
//!
//! // A generated head with its truth, the same for the same numbers (96 x 96 x 18 in about a second):
//! let head = Head { seed: 77, index: 3, size: 96, slices: 18 };
//! admission.generate(head, move |scan: Result<Arc<Scan>, String>| { /* keep it */ });
//!
//! // `scan.present()` are its sequences. Of the menu `models`, what a model uses of those that are switched on:
//! let used: Option<ModalitySet> = entry.used(present);       // None: it cannot answer from them
//! let expected = models::measured(&entry.card, used);         // Dice with interval and n, on its own data and elsewhere
//!
//! // The outline, and Dice against the truth as it grows:
//! let mut outline = GrowingMask::new(&scan);
//! let job = Job { scan, grid: GRID, model: entry.name.clone(), sequences: used, shown: 9 };
//! crew.outline(job, move |news| match news {
//!     News::Slice { slice, mask, progress } => {
//!         outline.add(slice, &mask);
//!         let dice: Option<f64> = outline.dice();             // None without a truth; over the slices outlined so far
//!         if progress.is_done() { /* the whole volume: outline.mask(), outline.volume_ml() */ }
//!     }
//!     News::Fetching { .. } | News::Fetched(_) => {}
//!     News::Failed(failure) => { /* in words */ }
//! });
//! crew.cancel();                                              // also when the lesson is left
//! ```
//!
//! A job in place of another cancels it. To run methods one after the other, ask for the next when the last slice came.
//! A scan keeps its number: the workers are sent its pixels once, whatever sets of its sequences are asked for. The menu's
//! cards come from [`Desk::models`].

pub mod admission;
pub mod component;
pub mod crew;
pub mod desk;
pub mod files;
pub mod mask;
pub mod models;
pub mod painter;
pub mod protocol;
pub mod queue;
pub mod reader;
pub mod scan;
pub mod screen;
pub mod session;
pub mod view;
pub mod worker;

pub use admission::{Admission, GRID};
pub use component::MriPage;
pub use crew::{Crew, Job, News};
pub use desk::Desk;
pub use mask::GrowingMask;
pub use protocol::Head;
pub use scan::Scan;
