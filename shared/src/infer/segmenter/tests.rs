//! The compiled segmenters beside the trainable ones, on the same random weights.

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::infer::random::random_image;
use crate::kernel::Simd;
use crate::kernel::naive::uniform;
use crate::model::hemis::HemisConfig;
use crate::model::segmenter::Segmenter;
use crate::nn::Parameters;

const GRID: Grid = Grid { size: 16, pixel_mm: 8.0 };

fn set(text: &str) -> ModalitySet {
    text.parse().expect("a set")
}

fn hemis(n_classes: usize) -> SegmenterConfig {
    SegmenterConfig::Hemis(HemisConfig { n_classes, width: 6, fuse_width: 5, kernel: 3, head_kernel: 1 })
}

/// A trainable network whose batch norm has seen data, and its weights.
fn network(config: &SegmenterConfig) -> (Segmenter, Weights) {
    let parameters = Parameters::new(7);
    let segmenter = Segmenter::new(config, &parameters.builder(DType::F32, &Device::Cpu)).expect("a network");
    for (seed, (name, var)) in (0..).zip(parameters.all()) {
        if var.dims().len() > 1 {
            continue;
        }
        let middle =
            if name.contains(".bn") && (name.ends_with("weight") || name.ends_with("var")) { 1.0 } else { 0.0 };
        let values: Vec<f32> = uniform(seed, var.elem_count()).iter().map(|value| middle + 0.4 * value).collect();
        let values = Tensor::from_vec(values, var.shape(), &Device::Cpu).expect("values");
        parameters.set(&name, &values).expect("the same shape");
    }
    let weights = Weights::new("w", parameters.to_tensors().expect("f32")).expect("finite");
    // The builder's tensors are those of the variables, so that the network has the new values too.
    (segmenter, weights)
}

/// A head: 0 outside of a disc, which differs a little between the sequences.
fn slices() -> [Vec<f32>; Modality::COUNT] {
    Modality::ALL.map(|modality| {
        let mut slice = random_image(40 + modality.index() as u64, [1, GRID.size, GRID.size]);
        for (i, value) in slice.iter_mut().enumerate() {
            let (x, y) = ((i % GRID.size) as f32 - 8.0, (i / GRID.size) as f32 - 7.5);
            *value = if x.hypot(y) > 6.0 + 0.3 * modality.index() as f32 { 0.0 } else { 2.0 * *value };
        }
        slice
    })
}

fn given(slices: &[Vec<f32>; Modality::COUNT], present: ModalitySet) -> SlicesOf<'_> {
    Modality::ALL.map(|modality| present.contains(modality).then(|| slices[modality.index()].as_slice()))
}

fn trainable(segmenter: &Segmenter, slices: &SlicesOf<'_>) -> Vec<f32> {
    let tensor = |slice: Option<&[f32]>| {
        slice.map(|slice| Tensor::from_slice(slice, (1, 1, GRID.size, GRID.size), &Device::Cpu).expect("a slice"))
    };
    let logits = segmenter.forward_t(&std::array::from_fn(|i| tensor(slices[i])), false).expect("runs").logits;
    let probabilities = candle_nn::ops::softmax(&logits, 3).expect("softmax").narrow(3, 1, 1).expect("tumour");
    probabilities.flatten_all().expect("flat").to_vec1().expect("f32")
}

#[test]
fn plans_are_the_trainable_networks() {
    let widths = vec![4, 6, 9];
    let odd = set("t1+t2");
    for (config, tolerance) in [
        (SegmenterConfig::Unet { inputs: set("flair"), widths: widths.clone() }, 1e-4),
        (SegmenterConfig::Unet { inputs: set("flair+t1c+t2"), widths: widths.clone() }, 1e-4),
        (hemis(2), 1e-4),
        (SegmenterConfig::FusionUnet { widths: widths.clone() }, 1e-4),
        (SegmenterConfig::FusionUnet { widths: vec![16, 32] }, 1e-4),
        (SegmenterConfig::Mean { inputs: ModalitySet::ALL, widths: widths.clone() }, 1e-4),
        (SegmenterConfig::Mean { inputs: odd, widths: widths.clone() }, 1e-4),
        (SegmenterConfig::Mlp { inputs: ModalitySet::ALL, widths: widths.clone() }, 1e-4),
        (SegmenterConfig::Mlp { inputs: set("t1+t1c+t2"), widths }, 1e-4),
    ] {
        let (segmenter, weights) = network(&config);
        let mut plan = SegmenterPlan::new(&config, GRID, &weights).expect("a plan");
        let slices = slices();
        for present in ModalitySet::all() {
            let given = given(&slices, present);
            if config.used(present).is_none() {
                let said = plan.run(&given).expect_err("cannot answer").to_string();
                assert!(said.contains(&config.needs()) && said.contains(&present.to_string()), "{said}");
                continue;
            }
            let expected = trainable(&segmenter, &given);
            let found = plan.run(&given).expect("runs");
            for (at, (a, b)) in expected.iter().zip(found).enumerate() {
                assert!((a - b).abs() <= tolerance * a.abs().max(0.1), "{config:?} {present} {at}: {a} {b}");
            }
            let (lo, hi) = found.iter().fold((1f32, 0f32), |(lo, hi), p| (lo.min(*p), hi.max(*p)));
            assert!(hi - lo > 0.02, "{config:?}: {lo} {hi}: a test of a network that always says the same");
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same() {
    let widths = vec![5, 16, 9];
    let config = unet_config(1, &widths);
    let (_, weights) = network(&SegmenterConfig::FusionUnet { widths });
    let slices = slices();
    let run = |simd, present| {
        let mut plan = FusionUNetPlan::with_simd(simd, &config, GRID.size, GRID.size, &weights).expect("a plan");
        plan.run(&given(&slices, present)).expect("runs").to_vec()
    };
    for present in ["t1c", "flair+t2"].map(set) {
        let expected = run(Simd::best(), present);
        for simd in Simd::available() {
            for (a, b) in expected.iter().zip(run(simd, present)) {
                assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "{simd:?} {present}: {a} {b}");
            }
        }
    }
}

#[test]
fn nothing_is_left_of_the_slice_before() {
    for config in [hemis(2), SegmenterConfig::FusionUnet { widths: vec![4, 6] }] {
        let (_, weights) = network(&config);
        let mut plan = SegmenterPlan::new(&config, GRID, &weights).expect("a plan");
        let slices = slices();
        let one = plan.run(&given(&slices, set("t1c"))).expect("runs").to_vec();
        let all = plan.run(&given(&slices, ModalitySet::ALL)).expect("runs").to_vec();
        assert_ne!(one, all);
        assert_eq!(plan.run(&given(&slices, set("t1c"))).expect("runs"), one);
    }
}

#[test]
fn what_is_missing_is_0_where_there_is_no_brain() {
    let config = SegmenterConfig::Mlp { inputs: ModalitySet::ALL, widths: vec![4, 6] };
    let (_, weights) = network(&config);
    let table = VoxelTable::new(&weights, "mlp.t1.").expect("a table");
    let mut tables = Modality::ALL.map(|_| table.clone());
    tables[Modality::T2.index()] = VoxelTable::new(&weights, "mlp.t2.").expect("a table");
    let (t1, t2) = ([0.0, 0.5, 0.0, -1.0], [0.0, 0.25, 1.0, 0.0]);
    let mut channel = [f32::NAN; 4];
    guess(&tables, &[None, Some(&t1), None, Some(&t2)], set("t1+t2"), Modality::T1c, &mut channel);
    let both = |a: f32, b: f32| 0.5 * tables[1].guess(a, Modality::T1c) + 0.5 * tables[3].guess(b, Modality::T1c);
    for (found, expected) in channel.iter().zip([0.0, both(0.5, 0.25), 0.0, both(-1.0, 0.0)]) {
        assert!((found - expected).abs() < 1e-6, "{channel:?}");
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let config = SegmenterConfig::FusionUnet { widths: vec![4, 6, 6] };
    let (_, weights) = network(&config);
    let build = |grid, weights: &Weights| SegmenterPlan::new(&config, grid, weights).map(|_| ());
    assert!(build(GRID, &weights).is_ok());
    for size in [4, 18, 1 << 20] {
        assert!(matches!(build(Grid { size, ..GRID }, &weights), Err(Error::Shape { .. })), "{size}");
    }
    for name in
        ["encoder.t2.down.1.bn2.running_var", "encoder.flair.down.0.conv1.weight", "up.0.upconv.bias", "head.weight"]
    {
        let mut tensors = weights.tensors().clone();
        tensors.remove(name);
        let result = build(GRID, &Weights::new("w", tensors.clone()).expect("finite"));
        assert!(matches!(result, Err(Error::MissingTensor { tensor, .. }) if tensor == name), "{name}");
        let mut tensors = weights.tensors().clone();
        tensors.get_mut(name).expect("is there").shape.push(1);
        let result = build(GRID, &Weights::new("w", tensors).expect("finite"));
        assert!(matches!(result, Err(Error::WrongTensor { tensor, .. }) if tensor == name), "{name}");
    }
    let three = SegmenterPlan::new(&hemis(3), GRID, &network(&hemis(3)).1).map(|_| ());
    assert!(matches!(three, Err(Error::Shape { .. })), "{three:?}");

    let mut plan = SegmenterPlan::new(&config, GRID, &weights).expect("a plan");
    let said = plan.run(&[None; 4]).expect_err("nothing to see").to_string();
    assert!(said.contains("at least one sequence") && said.contains("none"), "{said}");
    let good = vec![0.5; GRID.area()];
    for len in [0, GRID.area() - 1, GRID.area() + 1] {
        let wrong = vec![0.5; len];
        let result = plan.run(&[Some(&good), None, None, Some(&wrong)]).map(<[f32]>::len);
        assert!(matches!(result, Err(Error::Shape { .. })), "{result:?}");
    }
    let mut wrong = good.clone();
    wrong[3] = f32::NAN;
    let result = plan.run(&[Some(&good), None, None, Some(&wrong)]).map(<[f32]>::len);
    assert!(matches!(result, Err(Error::NonFinite { index: 3, .. })), "{result:?}");
    assert!(plan.run(&[Some(&good), None, None, None]).is_ok(), "an error leaves the plan usable");
}
