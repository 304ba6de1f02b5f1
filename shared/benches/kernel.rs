//! The kernels at layers of ResNet-50 and U-Net, and the multiply-adds of registers alone: floating-point operations a
//! second. `cargo xtask bench kernel` runs this and sets the ones beside the other.
//!
//! Winograd's convolutions count the operations of the direct sum, so that they may lie above the peak.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use shared::kernel::{
    Activation, Algorithm, Base, Border, Conv2d, ConvShape, ConvTranspose2d, Layout, PackedMatrix, Simd, Tile, gemm,
    multiply_add_in_registers,
};

/// Name of the group, and of the folder that criterion writes to.
const GROUP: &str = "kernel";
/// Rounds of the register-only sums: about a tenth of a millisecond.
const PEAK_ROUNDS: usize = 10_000;

/// Values in `-1..1` that look random: the multiples of a large number, without their carry.
fn values(len: usize) -> Vec<f32> {
    let value = |i: u32| f64::from(i.wrapping_mul(2_654_435_761)) / 2f64.powi(31) - 1.0;
    (0..len as u32).map(|i| value(i) as f32).collect()
}

fn operations(group: &mut BenchmarkGroup<'_, WallTime>, count: usize) {
    group.throughput(Throughput::Elements(count as u64));
}

fn peak(group: &mut BenchmarkGroup<'_, WallTime>, simd: Simd) {
    let mut sums = vec![0.0; simd.lanes()];
    operations(group, multiply_add_in_registers(simd, PEAK_ROUNDS, 0.5, &mut sums));
    group.bench_function("peak", |bencher| {
        bencher.iter(|| {
            multiply_add_in_registers(simd, PEAK_ROUNDS, black_box(0.5), &mut sums);
            black_box(&mut sums);
        });
    });
}

/// `[M, K]` times `[K, N]`.
fn product(group: &mut BenchmarkGroup<'_, WallTime>, simd: Simd, [m, k, n]: [usize; 3]) -> shared::Result<()> {
    let (a, b) = (values(m * k), values(k * n));
    let packed = PackedMatrix::new(simd, k, n, |row, column| b[row * n + column])?;
    let bias = vec![0.0; packed.columns()];
    let mut c = vec![0.0; m * packed.columns()];
    let stride = packed.columns();
    operations(group, 2 * m * k * n);
    group.bench_function(format!("gemm-{m}x{k}x{n}"), |bencher| {
        bencher.iter(|| gemm(black_box(&a), k, &packed, &bias, &mut c, stride, Base::Bias, Activation::Relu));
    });
    Ok(())
}

/// A convolution that keeps the image's size.
fn convolution(
    group: &mut BenchmarkGroup<'_, WallTime>,
    simd: Simd,
    algorithm: Algorithm,
    [size, in_channels, out_channels, kernel]: [usize; 4],
) -> shared::Result<()> {
    let shape = ConvShape { in_channels, out_channels, kernel, stride: 1, padding: kernel / 2 };
    let border = shape.border(algorithm, size, size)?;
    let input = Layout::new(size, size, in_channels, simd.lanes(), border)?;
    let output = shape.output(simd, algorithm, size, size)?;
    let weight = values(out_channels * in_channels * kernel * kernel);
    let conv = Conv2d::new(simd, shape, algorithm, [input, output], &weight, &vec![0.1; out_channels])?;
    let mut x = vec![0.0; input.len()];
    input.fill_from_planes(&mut x, &values(in_channels * size * size));
    let (mut y, mut scratch) = (vec![0.0; output.len()], vec![0.0; conv.scratch_len()]);
    let name = match algorithm {
        Algorithm::Direct => "direct",
        Algorithm::SideBySide(_) => "side-by-side",
        Algorithm::Winograd(Tile::Two) => "winograd2",
        Algorithm::Winograd(Tile::Four) => "winograd4",
        Algorithm::Winograd(Tile::Six) => "winograd6",
    };
    operations(group, 2 * size * size * kernel * kernel * in_channels * out_channels);
    group.bench_function(format!("{name}-{kernel}x{kernel}-{size}-{in_channels}-{out_channels}"), |bencher| {
        bencher.iter(|| conv.run(black_box(&x), &mut y, &mut scratch, Base::Bias, Activation::Relu));
    });
    Ok(())
}

fn transposed(
    group: &mut BenchmarkGroup<'_, WallTime>,
    simd: Simd,
    [size, in_channels, out_channels]: [usize; 3],
) -> shared::Result<()> {
    let input = Layout::new(size, size, in_channels, simd.lanes(), Border::default())?;
    let output = Layout::new(2 * size, 2 * size, out_channels, simd.lanes(), Border::default())?;
    let weight = values(in_channels * out_channels * 4);
    let conv = ConvTranspose2d::new(simd, [input, output], &weight, &vec![0.1; out_channels])?;
    let (x, mut y) = (values(input.len()), vec![0.0; output.len()]);
    operations(group, 2 * size * size * 4 * in_channels * out_channels);
    group.bench_function(format!("transposed-2x2-{size}-{in_channels}-{out_channels}"), |bencher| {
        bencher.iter(|| conv.run(black_box(&x), &mut y));
    });
    Ok(())
}

fn layers(group: &mut BenchmarkGroup<'_, WallTime>, simd: Simd) -> shared::Result<()> {
    peak(group, simd);
    product(group, simd, [784, 512, 128])?;
    product(group, simd, [196, 1024, 256])?;
    product(group, simd, [49, 512, 2048])?;
    // Height, input and output channels, kernel: ResNet-50's, then U-Net's.
    let direct = [[56, 64, 256, 1], [28, 128, 128, 3], [14, 256, 1024, 1], [7, 512, 512, 3], [240, 1, 32, 3]];
    for layer in direct {
        convolution(group, simd, Algorithm::Direct, layer)?;
    }
    // The head of HeMIS.
    for algorithm in [Algorithm::Direct, Algorithm::SideBySide(simd.lanes() / 2)] {
        convolution(group, simd, algorithm, [120, 16, 2, 21])?;
    }
    let winograd = [
        (Tile::Six, [56, 64, 64, 3]),
        (Tile::Four, [28, 128, 128, 3]),
        (Tile::Four, [14, 256, 256, 3]),
        (Tile::Two, [7, 512, 512, 3]),
        (Tile::Six, [240, 32, 32, 3]),
        (Tile::Six, [240, 64, 32, 3]),
        (Tile::Six, [60, 128, 128, 3]),
    ];
    for (tile, layer) in winograd {
        convolution(group, simd, Algorithm::Winograd(tile), layer)?;
    }
    transposed(group, simd, [30, 256, 128])?;
    transposed(group, simd, [120, 64, 32])
}

fn kernels(criterion: &mut Criterion) {
    let simd = Simd::best();
    let mut group = criterion.benchmark_group(GROUP);
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    if let Err(error) = layers(&mut group, simd) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
    group.finish();
    eprintln!("instructions: {}", simd.name());
}

criterion_group!(benches, kernels);
criterion_main!(benches);
