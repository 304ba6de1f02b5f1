//! The compiled U-Net beside a plain evaluation of the same network.

use super::*;
use crate::error::Error;
use crate::infer::random::{RandomTensors, Tensors, conv_bias, conv_norm, planes, random_image, spoiled};
use crate::kernel::naive::{self, Planes, assert_close};

fn config(in_channels: usize, n_classes: usize, widths: &[usize]) -> UNetConfig {
    UNetConfig { in_channels, n_classes, widths: widths.to_vec() }
}

fn random_tensors(config: &UNetConfig) -> Tensors {
    let mut random = RandomTensors::default();
    let double_conv = |random: &mut RandomTensors, name: &str, c_in: usize, c_out: usize| {
        random.conv_norm(&format!("{name}.conv1"), &format!("{name}.bn1"), [c_out, c_in, 3]);
        random.conv_norm(&format!("{name}.conv2"), &format!("{name}.bn2"), [c_out, c_out, 3]);
    };
    let mut c_in = config.in_channels;
    for (i, &width) in config.widths.iter().enumerate() {
        double_conv(&mut random, &format!("down.{i}"), c_in, width);
        c_in = width;
    }
    for (i, pair) in config.widths.windows(2).rev().enumerate() {
        let shape = [pair[1], pair[0], 2, 2];
        random.add(format!("up.{i}.upconv.weight"), &shape, 0.0, (3.0 / pair[1] as f32).sqrt());
        random.bias(&format!("up.{i}.upconv"), pair[0]);
        double_conv(&mut random, &format!("up.{i}"), 2 * pair[0], pair[0]);
    }
    random.kernel("head", [config.n_classes, config.widths[0], 1]);
    random.bias("head", config.n_classes);
    random.tensors
}

fn random_weights(config: &UNetConfig) -> Weights {
    Weights::new("random", random_tensors(config)).expect("finite")
}

/// The network layer by layer.
fn naive_unet(config: &UNetConfig, w: &Weights, image: Planes) -> Vec<f64> {
    let double_conv = |name: &str, mut x: Planes, width: usize| {
        for i in 1..=2 {
            x = conv_norm(w, [&format!("{name}.conv{i}"), &format!("{name}.bn{i}")], &x, width, 3, 1).relu();
        }
        x
    };
    let mut skips = Vec::new();
    let mut x = image;
    for (i, &width) in config.widths.iter().enumerate() {
        if i > 0 {
            skips.push(x.clone());
            x = naive::max_pool(&x, POOL);
        }
        x = double_conv(&format!("down.{i}"), x, width);
    }
    for (i, pair) in config.widths.windows(2).rev().enumerate() {
        let weight = w.get(&format!("up.{i}.upconv.weight"), &[pair[1], pair[0], 2, 2]).expect("weight");
        let bias = w.get(&format!("up.{i}.upconv.bias"), &[pair[0]]).expect("bias");
        let upsampled = naive::conv_transpose2d(&x, weight, bias);
        x = double_conv(&format!("up.{i}"), naive::concat(&upsampled, &skips.pop().expect("a skip")), pair[0]);
    }
    conv_bias(w, "head", &x, config.n_classes, 1).data
}

#[test]
fn plan_is_the_network_of_the_definition() {
    for (config, height, width) in [
        (config(1, 4, &[16, 32, 64]), 24, 40),
        (config(4, 2, &[4, 12, 20]), 16, 12),
        (config(3, 2, &[5, 3, 7]), 12, 28),
        (config(20, 3, &[32, 16]), 22, 18),
        (config(1, 2, &[8, 8, 8, 8, 8]), 16, 48),
        (config(2, 17, &[16, 48]), 2, 2),
    ] {
        let weights = random_weights(&config);
        let size = [config.in_channels, height, width];
        let input = random_image(99, size);
        let expected = naive_unet(&config, &weights, planes(size, &input));
        for simd in Simd::available() {
            let mut plan = UNetPlan::with_simd(simd, &config, height, width, &weights).expect("plan");
            let what = format!("{simd:?} {config:?} {height} x {width}");
            let first = plan.run(&input).expect("runs").to_vec();
            assert_close(&first, &expected, 1e-4, &what);
            let other = random_image(100, size);
            assert_ne!(plan.run(&other).expect("runs"), first, "{what}: another image, other logits");
            assert_eq!(plan.run(&input).expect("runs"), first, "{what}: nothing is left of the run before");
        }
    }
}

#[test]
fn unfit_weights_are_errors() {
    let config = config(1, 2, &[4, 8, 4]);
    let tensors = random_tensors(&config);
    let build =
        |tensors: Tensors| UNetPlan::new(&config, 8, 8, &Weights::new("w", tensors).expect("finite")).map(|_plan| ());
    assert!(build(tensors.clone()).is_ok());
    for (name, [missing, reshaped, long]) in spoiled(&tensors) {
        assert!(matches!(build(missing), Err(Error::MissingTensor { tensor, .. }) if tensor == name), "{name}");
        for wrong in [reshaped, long] {
            assert!(matches!(build(wrong), Err(Error::WrongTensor { tensor, .. }) if tensor == name), "{name}");
        }
    }
    let mut overflow = tensors.clone();
    overflow.get_mut("up.0.bn2.weight").expect("is there").data[0] = f32::MAX;
    overflow.get_mut("up.0.bn2.running_var").expect("is there").data[0] = 0.0;
    assert!(matches!(build(overflow), Err(Error::NonFiniteTensor { .. })));
    let mut negative = tensors;
    negative.get_mut("down.2.bn1.running_var").expect("is there").data[0] = -1.0;
    assert!(matches!(build(negative), Err(Error::WrongTensor { .. })));
}

#[test]
fn impossible_sizes_and_inputs_are_errors() {
    let good = config(1, 2, &[4, 8, 4]);
    let weights = random_weights(&good);
    let build = |config: &UNetConfig, height, width| UNetPlan::new(config, height, width, &weights).map(|_plan| ());
    let most = usize::MAX - 3;
    for (height, width) in [(0, 8), (8, 0), (8, 10), (9, 8), (most, 4), (4, most), (most, most), (1 << 20, 1 << 20)] {
        let result = build(&good, height, width);
        assert!(matches!(result, Err(Error::Shape { .. })), "{height} x {width}: {result:?}");
    }
    let remedy = build(&good, 8, 10).expect_err("no multiple of 4").to_string();
    assert!(remedy.contains("multiples of 4") && remedy.contains("pad or crop"), "{remedy}");
    for config in [config(0, 2, &[4, 8]), config(1, 0, &[4, 8]), config(1, 2, &[4]), config(1, 2, &[4, usize::MAX])] {
        assert!(matches!(build(&config, 8, 8), Err(Error::Shape { .. })), "{config:?}");
    }

    let mut plan = UNetPlan::new(&good, 8, 4, &weights).expect("plan");
    for len in [0, 31, 33] {
        assert!(matches!(plan.run(&vec![0.0; len]), Err(Error::Shape { .. })));
    }
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut input = [0.0; 32];
        input[10] = value;
        assert!(matches!(plan.run(&input), Err(Error::NonFinite { index: 10, .. })));
    }
    assert!(matches!(plan.run(&[f32::MAX; 32]), Ok(_) | Err(Error::NonFinite { .. })));
    assert!(plan.run(&[0.5; 32]).is_ok(), "an error leaves the plan usable");
}
