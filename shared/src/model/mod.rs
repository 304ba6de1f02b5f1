//! The networks, made of the trainable layers of [`crate::nn`].

pub mod resnet;
