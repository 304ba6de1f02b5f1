//! Mutual information between representations: critics, the Jensen-Shannon estimator, and the losses `L_ll`, `L_lg`.
//!
//! | paper | here |
//! |---|---|
//! | `Λ_I`, `Λ_T` local features | `local: [N, L, C]`, sampled locations of an image's or a report's map |
//! | `Γ` global features | `[N, 1, C]`, the bilinear embedding of both modalities |
//! | `T(x, y)` critic | [`Critic`] |
//! | `I(X, Y)` | [`jsd_loss`] gives `-I` |
//! | `L_ll` | [`jsd_loss`] of `critic(Λ_I, Λ_T)` |
//! | `L_lg` | [`jsd_loss`] of `critic(Λ_I, Γ)` |

pub mod critic;
pub mod jsd;
pub mod locations;
mod pairwise;

pub use critic::{Critic, CriticConfig};
pub use jsd::jsd_loss;
pub use locations::select_locations;
