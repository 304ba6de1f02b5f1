//! The networks give PyTorch's numbers, forward and backward.

use shared::train::Adam;
use tests::golden::{GoldenResNet50, TrainingStep};
use tests::layers::check_layers;
use tests::segmentation::{check_hemis, check_unet};

#[test]
fn layers_equal_pytorchs() {
    check_layers().unwrap();
}

#[test]
fn resnet50_equals_torchvision() {
    let golden = GoldenResNet50::new().unwrap();
    golden.check_layers().unwrap();
    golden.check_plan().unwrap();
}

#[test]
fn unet_equals_pytorchs() {
    check_unet().unwrap();
}

#[test]
fn hemis_equals_pytorchs() {
    check_hemis().unwrap();
}

#[test]
fn a_training_step_equals_pytorch() {
    let step = TrainingStep::check().unwrap();
    Adam::at_one_rate(step.parameters.trainable(), 1e-3, 0.0).unwrap().step(&step.gradients, 1.0).unwrap();
    step.check_after().unwrap();
}
