//! Training as the page does it: the same natively and in a browser, and not changed by a pause.

use web::training::Setting;
use web::training::protocol::{Point, Request, Response};
use web::training::worker::Trainer;

/// Few steps of everything: a point after each.
fn setting(steps: usize) -> Setting {
    Setting::default().with_steps(steps)
}

/// Trains to the end; after each of the `rests` the page pauses the trainer, and goes on later.
fn train(setting: Setting, rests: &[usize]) -> Vec<Point> {
    let mut trainer = Trainer::default();
    assert_eq!(trainer.receive(Request::Train { setting, seed: 3 }), None);
    let (mut points, mut turn) = (Vec::new(), 0);
    loop {
        turn += 1;
        if rests.contains(&turn) {
            assert_eq!(trainer.receive(Request::Pause), None);
            assert!(!trainer.is_running());
            assert_eq!(trainer.receive(Request::Resume), None);
        }
        assert!(trainer.is_running());
        for response in trainer.advance() {
            match response {
                Response::Reached { seed: 3, point } => points.push(point),
                Response::Finished { seed: 3 } => {
                    assert!(!trainer.is_running());
                    return points;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn a_pause_changes_nothing() {
    let points = train(setting(3), &[]);
    assert_eq!(points.iter().map(|point| point.step).collect::<Vec<_>>(), [0, 1, 2, 3]);
    // To the last bit: the losses of each step follow from all weights before it.
    assert_eq!(train(setting(3), &[2, 3, 6]), points);
}

#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn a_short_training_reduces_every_loss() {
    let points = train(setting(64), &[]);
    let at = |step: usize| points[step].losses.expect("steps were taken");
    assert_eq!((points[0].losses, points.len()), (None, 17));
    let mean = |of: fn(&Point) -> f64, steps: std::ops::Range<usize>| {
        let n = steps.len() as f64;
        points[steps].iter().map(of).sum::<f64>() / n
    };
    for of in [
        |point: &Point| point.losses.map_or(0.0, |losses| losses.joint),
        |point: &Point| point.losses.map_or(0.0, |losses| losses.twin),
        |point: &Point| point.losses.map_or(0.0, |losses| losses.cmim),
    ] {
        let (early, late) = (mean(of, 1..4), mean(of, 14..17));
        assert!(late < 0.95 * early, "{early} {late} {:?}", at(16));
    }
}

/// What a native training gives, whose layers are held to PyTorch, a browser's gives too.
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn steps_are_the_same_on_every_machine() {
    let points = train(setting(2), &[]);
    let losses = points.iter().filter_map(|point| point.losses).map(|losses| [losses.joint, losses.twin, losses.cmim]);
    let losses: Vec<[f64; 3]> = losses.collect();
    for (found, expected) in losses.iter().flatten().zip(LOSSES.iter().flatten()) {
        assert!((found - expected).abs() < 2e-3 * expected, "{losses:?}");
    }
    assert!(points[0].bound_trained.is_none() && points[1..].iter().all(|point| point.bound_trained.is_some()));
    for (point, expected) in points.iter().zip(BOUNDS) {
        assert!(point.bound.is_some_and(|bound| (bound - expected).abs() < 2e-3), "{points:?}");
    }
}

/// After each of two steps: of the joint model, the twin, and CMIM.
const LOSSES: [[f64; 3]; 2] = [[1.070_222, 1.147_243, 1.147_243], [1.051_640, 1.190_098, 1.162_455]];
/// At the start and after each step.
const BOUNDS: [f64; 3] = [-0.044_216, -0.000_900, -0.000_826];

/// Without mutual information there is no bound, and the scores are areas all the same.
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn without_mutual_information_there_is_no_bound() {
    let points = train(setting(2).with_lambda_at(0).with_labelled(5), &[]);
    for point in points {
        assert_eq!((point.bound_trained, point.bound), (None, None));
        let scores = point.scores;
        for score in [scores.joint, scores.joint_dropped, scores.twin, scores.cmim_both, scores.cmim] {
            assert!((0.0..=1.0).contains(&score), "{scores:?}");
        }
    }
}
