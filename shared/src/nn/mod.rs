//! Trainable layers, each held to finite differences.
