//! What CMIM's trainer and its web page have in common: file readers, preprocessing, models, losses, metrics and
//! inference. It opens no file, makes no request and reads no clock, and it builds for `wasm32-unknown-unknown`.
//!
//! Modules in reading order: [`finding`] names what is predicted of an x-ray, [`modality`] what an MRI is made of; [`io`] turns bytes into data; [`prep`] turns data
//! into model input; [`kernel`] computes on slices; [`nn`] makes trainable layers of the kernels; [`model`] makes
//! networks of the layers; [`mi`] holds the critics and the mutual-information losses; [`train`] makes a step of
//! training; [`metric`] measures;
//! [`infer`] runs a trained model fast; [`render`] shows what it says; [`phantom`] generates data to try all of it on.
//!
//! # Dimension letters
//!
//! | letter | meaning |
//! |---|---|
//! | `N` | samples in a batch |
//! | `C` | channels, or features of a vector |
//! | `D` | depth: slices of a volume |
//! | `H`, `W` | height, width |
//! | `T` | tokens of a report |
//! | `L` | locations of a local feature map (`H·W` of an image's, positions of a text's) |
//! | `K` | findings (14) |

pub mod error;
pub mod finding;
pub mod infer;
pub mod io;
pub mod kernel;
pub mod metric;
pub mod mi;
pub mod modality;
pub mod model;
pub mod nn;
pub mod phantom;
pub mod prep;
pub mod recognize;
pub mod render;
pub mod train;

pub use error::{Error, Result};
pub use finding::{Finding, FindingSet};
pub use modality::{Modality, ModalitySet};
