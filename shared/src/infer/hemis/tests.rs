//! The compiled HeMIS network beside a plain evaluation of the same network.

use super::*;
use crate::Error;
use crate::infer::random::{RandomTensors, Tensors, conv_bias, planes, random_image, spoiled};
use crate::kernel::naive::{self, Planes, assert_close};

const SMALL: HemisConfig = HemisConfig { n_classes: 2, width: 6, fuse_width: 5, kernel: 3, head_kernel: 1 };

fn random_tensors(config: &HemisConfig) -> Tensors {
    let mut random = RandomTensors::default();
    let mut conv = |name: &str, shape: [usize; 3]| {
        random.kernel(name, shape);
        random.bias(name, shape[0]);
    };
    for name in Modality::ALL.map(Modality::name) {
        conv(&format!("encoder.{name}.conv1"), [config.width, 1, config.kernel]);
        conv(&format!("encoder.{name}.conv2"), [config.width, config.width, config.kernel]);
    }
    conv("fuse", [config.fuse_width, 2 * config.width, config.kernel]);
    conv("head", [config.n_classes, config.fuse_width, config.head_kernel]);
    random.tensors
}

fn random_weights(config: &HemisConfig) -> Weights {
    Weights::new("random", random_tensors(config)).expect("finite")
}

/// The network layer by layer.
fn naive_hemis(config: &HemisConfig, w: &Weights, slices: &[Option<Planes>]) -> Vec<f64> {
    let encode = |(slice, name): (&Option<Planes>, &str)| {
        let mut x = slice.clone()?;
        for i in 1..=2 {
            x = conv_bias(w, &format!("encoder.{name}.conv{i}"), &x, config.width, config.kernel).relu();
        }
        Some(naive::pool_in_place(&x))
    };
    let features: Vec<Planes> = slices.iter().zip(Modality::ALL.map(Modality::name)).filter_map(encode).collect();
    let [mean, variance] = naive::moments(&features);
    let fused = conv_bias(w, "fuse", &naive::concat(&mean, &variance), config.fuse_width, config.kernel).relu();
    conv_bias(w, "head", &fused, config.n_classes, config.head_kernel).data
}

#[test]
fn plan_is_the_network_of_the_definition_for_every_set_of_sequences() {
    let configs = [
        (HemisConfig::default(), 9, 14, vec![0b1111]),
        (HemisConfig { n_classes: 4, width: 20, ..SMALL }, 12, 7, (1..16).collect()),
        (HemisConfig { kernel: 5, head_kernel: 5, width: 16, ..SMALL }, 1, 1, vec![0b0100, 0b1010]),
        (HemisConfig { n_classes: 18, width: 33, ..SMALL }, 6, 10, vec![0b0111]),
    ];
    for (config, height, width, sets) in configs {
        let weights = random_weights(&config);
        let size = [1, height, width];
        let images: Vec<Vec<f32>> = (0..4).map(|i| random_image(50 + i, size)).collect();
        for simd in Simd::available() {
            let mut plan = HemisPlan::with_simd(simd, &config, height, width, &weights).expect("plan");
            for set in &sets {
                let is_present = |i: usize| set >> i & 1 == 1;
                let slices: [Option<&[f32]>; 4] = std::array::from_fn(|i| is_present(i).then_some(&*images[i]));
                let expected = slices.map(|slice| slice.map(|slice| planes(size, slice)));
                let expected = naive_hemis(&config, &weights, &expected);
                let found = plan.run(&slices).expect("runs");
                assert_close(found, &expected, 1e-4, &format!("{simd:?} {config:?} {set:b}"));
            }
        }
    }
}

#[test]
fn unfit_weights_are_errors() {
    let tensors = random_tensors(&SMALL);
    let build =
        |tensors: Tensors| HemisPlan::new(&SMALL, 4, 5, &Weights::new("w", tensors).expect("finite")).map(|_plan| ());
    assert!(build(tensors.clone()).is_ok());
    for (name, [missing, reshaped, long]) in spoiled(&tensors) {
        assert!(matches!(build(missing), Err(Error::MissingTensor { tensor, .. }) if tensor == name), "{name}");
        for wrong in [reshaped, long] {
            assert!(matches!(build(wrong), Err(Error::WrongTensor { tensor, .. }) if tensor == name), "{name}");
        }
    }
}

#[test]
fn impossible_sizes_and_inputs_are_errors() {
    let weights = random_weights(&SMALL);
    let build = |config: &HemisConfig, height, width| HemisPlan::new(config, height, width, &weights).map(|_plan| ());
    for (height, width) in [(0, 4), (4, 0), (usize::MAX, 1), (1, usize::MAX), (1 << 20, 1 << 20)] {
        let result = build(&SMALL, height, width);
        assert!(matches!(result, Err(Error::Shape { .. })), "{height} x {width}: {result:?}");
    }
    let bad = HemisConfig { kernel: 2, ..SMALL };
    assert!(matches!(build(&bad, 4, 4), Err(Error::Shape { .. })));

    let mut plan = HemisPlan::new(&SMALL, 3, 4, &weights).expect("plan");
    let good = [0.5; 12];
    let none = plan.run(&[None; 4]).expect_err("nothing to see").to_string();
    assert!(none.contains("at least one") && none.contains("t1c"), "{none}");
    for len in [0, 11, 13] {
        let wrong = vec![0.0; len];
        let result = plan.run(&[Some(&good), None, Some(&wrong), None]).map(<[f32]>::len);
        assert!(matches!(result, Err(Error::Shape { .. })), "{result:?}");
    }
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut wrong = good;
        wrong[10] = value;
        let result = plan.run(&[None, None, Some(&wrong), Some(&good)]).map(<[f32]>::len);
        assert!(matches!(result, Err(Error::NonFinite { index: 10, .. })), "{result:?}");
    }
    assert!(plan.run(&[None, None, None, Some(&good)]).is_ok(), "an error leaves the plan usable");
}
