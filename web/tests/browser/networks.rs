//! PyTorch's numbers, in the browser: the same checks that the integration tests run natively.

use tests::golden::{GoldenResNet50, TrainingStep};
use tests::layers::check_layers;
use tests::segmentation::{check_hemis, check_unet};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
fn layers_equal_pytorchs() {
    check_layers().expect("outputs and gradients are PyTorch's");
}

#[wasm_bindgen_test]
fn resnet50_equals_torchvision() {
    let golden = GoldenResNet50::new().expect("the network is built");
    golden.check_layers().expect("the trainable layers give PyTorch's numbers");
    golden.check_plan().expect("the compiled network gives PyTorch's numbers");
}

#[wasm_bindgen_test]
fn unet_equals_pytorchs() {
    check_unet().expect("layers and plan give the numbers of PyTorch");
}

#[wasm_bindgen_test]
fn hemis_equals_pytorchs() {
    check_hemis().expect("the plan gives the numbers of PyTorch");
}

#[wasm_bindgen_test]
fn a_training_step_equals_pytorch() {
    TrainingStep::check().expect("the losses and gradients are PyTorch's");
}
