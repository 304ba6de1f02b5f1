//! Critics, estimators and the losses `L_ll`, `L_lg`.
