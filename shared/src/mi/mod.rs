//! Mutual information between representations: critics, estimators, and with them the losses `L_ll`, `L_lg`, `L_gg`.
//!
//! | paper | here |
//! |---|---|
//! | `Λ_I`, `Λ_T` local features | `local: [N, L, C]`, sampled locations of an image's or a report's map |
//! | `Γ_I`, `Γ_T`, `Γ` global features | `[N, 1, C]`, of the image, of the report, and the bilinear embedding of both |
//! | `T(x, y)` critic | [`Critic`] |
//! | `I(X, Y)` | [`Estimator::estimate`] gives `-I` |
//! | `L_ll` | the estimate of `critic(Λ_I, Λ_T)` |
//! | `L_lg` | the estimate of `critic(Λ_I, Γ)` |
//! | `L_gg` | the estimate of `critic(Γ_I, Γ_T)` |

pub mod critic;
pub mod estimator;
pub mod jsd;
pub mod locations;
mod pairwise;
pub mod term;

pub use critic::{Critic, CriticConfig, CriticKind};
pub use estimator::{Estimate, Estimator, RunningMean, dv_loss, info_nce_loss};
pub use jsd::jsd_loss;
pub use locations::select_locations;
pub use term::{Term, TermConfig};
