//! Figures as SVG: curves over epochs, intervals of several methods, reliability, ROC curves, single values.

mod curves;
mod forest;
mod heat;
mod reliability;
mod roc;
mod strip;
mod svg;

pub use curves::{Line, Panel, curves};
pub use forest::{ForestRow, forest};
pub use heat::{HeatCell, heat_map};
pub use reliability::reliability;
pub use roc::{Roc, roc};
pub use strip::{StripRow, strip};
pub use svg::page_style;

/// Colours that can be told apart with any colour vision. Source: Okabe and Ito 2008.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];
