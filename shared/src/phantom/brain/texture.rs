//! Smooth random fields in space, functions of the point and a number.

/// A point in mm: to the right, to the front, upwards, from the middle of the brain.
pub(super) type Point = [f32; 3];

/// Smooth noise in `-1..=1` that varies over about `scale` mm.
pub(super) fn noise(p: Point, scale: f32, seed: u32) -> f32 {
    let p = p.map(|x| x / scale);
    let cell = p.map(f32::floor);
    let t: [f32; 3] = std::array::from_fn(|i| ramp(0.0, 1.0, p[i] - cell[i]));
    let [x, y, z] = cell.map(|x| x as i32);
    let corner = |dx: i32, dy: i32, dz: i32| lattice([x + dx, y + dy, z + dz], seed);
    let edge = |dy: i32, dz: i32| mix(corner(0, dy, dz), corner(1, dy, dz), t[0]);
    let face = |dz: i32| mix(edge(0, dz), edge(1, dz), t[1]);
    2.0 * mix(face(0), face(1), t[2]) - 1.0
}

/// A number in `0..1` for each point of a grid.
fn lattice([x, y, z]: [i32; 3], seed: u32) -> f32 {
    let mut hash = seed
        ^ (x as u32).wrapping_mul(0x85eb_ca6b)
        ^ (y as u32).wrapping_mul(0xc2b2_ae35)
        ^ (z as u32).wrapping_mul(0x27d4_eb2f);
    hash = (hash ^ hash >> 15).wrapping_mul(0x2c1b_3c6d);
    hash = (hash ^ hash >> 12).wrapping_mul(0x297a_2d39);
    ((hash ^ hash >> 15) >> 8) as f32 / (1u32 << 24) as f32
}

/// 0 below `from`, 1 above `to`, smooth between; `from` may be the greater one.
pub(super) fn ramp(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// From `a` to `b` as `t` goes from 0 to 1.
pub(super) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Distance of two points.
pub(super) fn distance(a: Point, b: Point) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}
