//! Compiled networks allocate nothing once they are made; a step of training gives back early what it can.

#![allow(unsafe_code, reason = "an allocator that counts must be one")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use shared::ModalitySet;
use shared::infer::SegmenterPlan;
use shared::infer::hemis::HemisPlan;
use shared::infer::resnet::ResNetPlan;
use shared::infer::unet::UNetPlan;
use shared::io::Weights;
use shared::model::hemis::{Hemis, HemisConfig};
use shared::model::resnet::{Depth, ImageClassifier, ResNetConfig};
use shared::model::segmenter::{Segmenter, SegmenterConfig};
use shared::model::unet::{UNet, UNetConfig};
use shared::nn::{Parameters, last_backward};
use shared::prep::volume::Grid;
use tests::golden::uniform;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// Bytes that this thread has allocated and not freed, and the most of them.
    static LIVE: Cell<[isize; 2]> = const { Cell::new([0; 2]) };
}

/// The system's allocator, counting the calls and bytes of each thread.
struct Counting;

fn count() {
    // A thread that is ending has no counter any more, and no test to run.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

fn add_bytes(bytes: isize) {
    let _ = LIVE.try_with(|live| {
        let [now, most] = live.get();
        live.set([now + bytes, most.max(now + bytes)]);
    });
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        add_bytes(layout.size() as isize);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        add_bytes(layout.size() as isize);
        // SAFETY: the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        add_bytes(size as isize - layout.size() as isize);
        // SAFETY: the caller's.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add_bytes(-(layout.size() as isize));
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread while a function runs.
fn allocations_of(run: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

/// The most bytes that were allocated at a time while a function ran, beyond those that were before.
fn peak_of(run: impl FnOnce()) -> isize {
    let [before, _] = LIVE.get();
    LIVE.set([before; 2]);
    run();
    LIVE.get()[1] - before
}

fn weights(parameters: &Parameters) -> Weights {
    Weights::new("random", parameters.to_tensors().expect("tensors")).expect("finite")
}

#[test]
fn an_allocation_is_counted() {
    assert_eq!(allocations_of(|| drop(std::hint::black_box(vec![1_u8; 100]))), 1);
}

#[test]
fn resnet_allocates_nothing() {
    for depth in [Depth::D18, Depth::D50] {
        let config = ResNetConfig { depth, width: 16, in_channels: 1, stem_pool: true };
        let parameters = Parameters::new(0);
        ImageClassifier::new(&config, 14, &parameters.builder(DType::F32, &Device::Cpu)).expect("network");
        let mut plan = ResNetPlan::new(&config, 64, 14, &weights(&parameters)).expect("plan");
        let input = uniform("image", 64 * 64);
        assert_eq!(allocations_of(|| drop(plan.run(&input).map(<[f32]>::len))), 0, "{depth:?}");
    }
}

#[test]
fn unet_allocates_nothing() {
    let config = UNetConfig { in_channels: 2, n_classes: 3, widths: vec![16, 32, 48] };
    let parameters = Parameters::new(0);
    UNet::new(&config, &parameters.builder(DType::F32, &Device::Cpu)).expect("network");
    let mut plan = UNetPlan::new(&config, 44, 36, &weights(&parameters)).expect("plan");
    let input = uniform("slice", 2 * 44 * 36);
    assert_eq!(allocations_of(|| drop(plan.run(&input).map(<[f32]>::len))), 0);
}

#[test]
fn hemis_allocates_nothing() {
    let config = HemisConfig::default();
    let parameters = Parameters::new(0);
    Hemis::new(&config, &parameters.builder(DType::F32, &Device::Cpu)).expect("network");
    let mut plan = HemisPlan::new(&config, 24, 20, &weights(&parameters)).expect("plan");
    let slice = uniform("slice", 24 * 20);
    for slices in [[Some(&*slice); 4], [None, Some(&*slice), None, Some(&*slice)]] {
        assert_eq!(allocations_of(|| drop(plan.run(&slices).map(<[f32]>::len))), 0);
    }
}

#[test]
fn segmenters_allocate_nothing() {
    let widths = vec![16, 32];
    let inputs = ModalitySet::ALL;
    for config in [
        SegmenterConfig::Hemis(HemisConfig { width: 8, fuse_width: 8, kernel: 3, ..HemisConfig::default() }),
        SegmenterConfig::FusionUnet { widths: widths.clone() },
        SegmenterConfig::Mean { inputs, widths: widths.clone() },
        SegmenterConfig::Mlp { inputs, widths },
    ] {
        let parameters = Parameters::new(0);
        Segmenter::new(&config, &parameters.builder(DType::F32, &Device::Cpu)).expect("network");
        let grid = Grid { size: 24, pixel_mm: 2.0 };
        let mut plan = SegmenterPlan::new(&config, grid, &weights(&parameters)).expect("plan");
        let slice = uniform("slice", grid.area());
        for slices in [[Some(&*slice); 4], [None, Some(&*slice), None, Some(&*slice)]] {
            assert_eq!(allocations_of(|| drop(plan.run(&slices).map(<[f32]>::len))), 0, "{config:?}");
        }
    }
}

#[test]
fn bytes_are_counted() {
    let peak = peak_of(|| {
        drop(std::hint::black_box(vec![1_u8; 1000]));
        drop(std::hint::black_box(vec![1_u8; 3000]));
    });
    assert_eq!(peak, 3000);
}

#[test]
fn the_last_backward_pass_takes_less_memory() {
    let parameters = Parameters::new(0);
    let vb = parameters.builder(DType::F32, &Device::Cpu);
    let config = ResNetConfig { depth: Depth::D50, width: 8, in_channels: 1, stem_pool: true };
    let resnet = ImageClassifier::new(&config, 14, &vb.pp("resnet")).expect("network");
    let config = UNetConfig { in_channels: 4, n_classes: 2, widths: vec![8, 16, 32] };
    let unet = UNet::new(&config, &vb.pp("unet")).expect("network");
    let image = |c: usize| Tensor::from_vec(uniform("image", 4 * c * 64 * 64), (4, c, 64, 64), &Device::Cpu);
    let (grey, four) = (image(1).expect("image"), image(4).expect("image"));
    let resnet = || Ok(resnet.forward_t(&grey, true)?.logits.sqr()?.mean_all()?);
    let unet = || Ok(unet.forward_t(&four, true)?.logits.sqr()?.mean_all()?);
    let steps: [&dyn Fn() -> shared::Result<Tensor>; 2] = [&resnet, &unet];
    for step in steps {
        let peak = |backward: &dyn Fn(&Tensor) -> candle_core::Result<GradStore>| {
            peak_of(|| drop(backward(&step().expect("loss")).expect("gradients")))
        };
        peak(&Tensor::backward); // What is allocated once.
        let (kept, released) = (peak(&Tensor::backward), peak(&last_backward));
        assert!(released * 10 < kept * 9, "{released} of {kept}");
    }
}
