//! The networks, made of the trainable layers of [`crate::nn`].

pub mod bilinear;
pub mod classifier;
pub mod fusion_unet;
pub mod hemis;
pub mod resnet;
pub mod segmenter;
pub mod text_cnn;
pub mod tienet;
pub mod unet;
pub mod voxel_mlp;
