//! SIMD computation on slices: the trainable layers and the compiled plans are built on it.
