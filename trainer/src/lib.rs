//! Training and evaluation of cross-modal models; the program `cmim` is a thin command line over this library.
//!
//! [`config`] says what an experiment is; [`data`] reads images and reports; [`train`] fits a model and keeps it with
//! [`checkpoint`]; [`evaluate`] measures it; [`outliner`] runs a segmenter on all cores; [`export`] packs it for the page;
//! [`report`] tells on one page what a run has come to.

pub mod algorithm_cache;
pub mod allocator;
pub mod checkpoint;
pub mod compare;
pub mod complete;
pub mod config;
pub mod data;
pub mod device;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod figure;
pub mod glove;
#[cfg(feature = "cuda")]
pub mod gpu_check;
pub mod model_dir;
pub mod outliner;
pub mod report;
pub mod step;
pub mod suite;
pub mod tensorboard;
pub mod train;

pub use error::{Error, Result};
