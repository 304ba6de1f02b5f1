//! Training and evaluation of cross-modal models; the program `cmim` is a thin command line over this library.

pub mod data;
