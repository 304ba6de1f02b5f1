//! A head without its skull: where its tissues are, and the lesions in it.

use std::f32::consts::TAU;

use rand::Rng;

use super::signal::{TISSUES, Tissue};
use super::texture::{Point, distance, mix, noise, ramp};

/// One patient's brain.
pub(super) struct Brain {
    /// Half axes of the brain, in mm.
    half: Point,
    /// Half axes of the lateral ventricles, in mm.
    ventricle: Point,
    /// Number that varies all shapes.
    seed: u32,
    lesions: Vec<Lesion>,
    /// Small bright spots of the white matter, harmless: centre and radius.
    spots: Vec<(Point, f32)>,
}

/// A tumour: some balls that flow together, necrosis within, edema around.
struct Lesion {
    /// Centres and radii, in mm.
    balls: Vec<(Point, f32)>,
    /// Thickness of the living rim, in mm.
    rim: f32,
    /// How far the edema reaches, in mm.
    edema: f32,
    /// Share of the rim whose vessels leak, from -1 (all) to 1 (none): a level of a noise field.
    leak_level: f32,
    seed: u32,
}

impl Brain {
    /// A brain with its lesions.
    pub(super) fn sample(rng: &mut impl Rng) -> Self {
        let half = [rng.random_range(62.0..71.0), rng.random_range(78.0..88.0), rng.random_range(56.0..66.0)];
        let ventricle = [rng.random_range(5.0..9.0), rng.random_range(24.0..33.0), rng.random_range(8.0..13.0)];
        let seed = rng.random();
        let n_lesions = if rng.random_range(0..8) == 0 { 2 } else { 1 };
        let lesions = (0..n_lesions).map(|_| Lesion::sample(half, rng)).collect();
        let n_spots = rng.random_range(0..10);
        let spots = (0..n_spots).map(|_| (inside(half, 0.3, 0.75, rng), rng.random_range(1.5..4.5))).collect();
        Self { half, ventricle, seed, lesions, spots }
    }

    /// The point around which slices are taken: the first lesion's middle.
    pub(super) fn focus(&self) -> Point {
        self.lesions[0].balls[0].0
    }

    /// Shares of the tissues at a point, summing to 1, seen with a resolution of `blur` mm; `None` outside the brain.
    pub(super) fn at(&self, p: Point, blur: f32) -> Option<[f32; TISSUES]> {
        let scaled = |i: usize| p[i] / self.half[i];
        let radius = (scaled(0).powi(2) + scaled(1).powi(2) + scaled(2).powi(2)).sqrt();
        if radius > 1.1 {
            return None;
        }
        let depth = (1.0 - radius) * self.half[0] + 2.5 * noise(p, 28.0, self.seed);
        if depth < 0.0 {
            return None;
        }
        let mut mixture = self.healthy(p, depth, blur);
        for (centre, spot) in &self.spots {
            let share = ramp(blur, -blur, distance(p, *centre) - spot) * mixture[Tissue::White as usize];
            put(&mut mixture, Tissue::Edema, share);
        }
        for lesion in &self.lesions {
            lesion.put_into(&mut mixture, p, blur);
        }
        Some(mixture)
    }

    fn healthy(&self, p: Point, depth: f32, blur: f32) -> [f32; TISSUES] {
        let [x, y, z] = p;
        let mut mixture = [0.0; TISSUES];
        mixture[Tissue::White as usize] = 1.0;
        // Sulci are where a field passes through zero, near the surface.
        let fold = noise(p, 13.0, self.seed ^ 1).abs() * 8.0;
        let midline = x.abs() + ramp(38.0, 20.0, depth).mul_add(-3.0, 3.0);
        let near_surface = ramp(20.0, 13.0, depth);
        let furrow = mix(99.0, fold.min(midline).min(depth), near_surface);
        put(&mut mixture, Tissue::Grey, ramp(4.3 + blur, 4.3 - blur, furrow));
        put(&mut mixture, Tissue::Fluid, ramp(1.0 + blur, 1.0 - blur, furrow));
        // Deep grey matter on both sides.
        for (centre, half) in [([17.0, 8.0, 0.0], [8.0, 15.0, 10.0]), ([10.0, -12.0, 2.0], [7.0, 10.0, 8.0])] {
            put(&mut mixture, Tissue::Grey, ellipsoid([x.abs(), y, z], centre, half, blur));
        }
        // Lateral ventricles, bent outwards at both ends, and the third one between.
        let bend = 8.0 + 0.007 * (y - 2.0).powi(2);
        let lateral = ellipsoid([x.abs(), y, z], [bend, -2.0, 14.0], self.ventricle, blur);
        let third = ellipsoid(p, [0.0, -5.0, 2.0], [2.5, 12.0, 9.0], blur);
        put(&mut mixture, Tissue::Fluid, lateral.max(third));
        // The plexus in the ventricles, and vessels in the furrows, take up contrast agent in health.
        let plexus = ellipsoid([x.abs(), y, z], [bend, -16.0, 12.0], [2.5, 7.0, 3.0], blur);
        put(&mut mixture, Tissue::Vessel, 0.8 * plexus);
        let vessel = ramp(0.52, 0.62, noise(p, 6.0, self.seed ^ 2)) * mixture[Tissue::Fluid as usize] * near_surface;
        put(&mut mixture, Tissue::Vessel, vessel);
        mixture
    }
}

impl Lesion {
    fn sample(half: Point, rng: &mut impl Rng) -> Self {
        let radius: f32 = rng.random_range(7.0..20.0);
        let centre = inside(half, 0.25, 0.68, rng);
        let mut balls = vec![(centre, radius)];
        for _ in 0..rng.random_range(0..3) {
            let toward = direction(rng);
            let near = std::array::from_fn(|i| centre[i] + 0.9 * radius * toward[i]);
            balls.push((near, radius * rng.random_range(0.4..0.8)));
        }
        // One in six does not enhance at all.
        let leaks = rng.random_range(0..6) > 0;
        Self {
            balls,
            rim: rng.random_range(3.5..9.0),
            edema: rng.random_range(3.0..24.0),
            leak_level: if leaks { rng.random_range(-0.7..0.25) } else { 2.0 },
            seed: rng.random(),
        }
    }

    /// Puts the tumour into what is at a point.
    fn put_into(&self, mixture: &mut [f32; TISSUES], p: Point, blur: f32) {
        let ball = |&(centre, radius): &(Point, f32)| distance(p, centre) - radius;
        let outside = self.balls.iter().map(ball).fold(f32::INFINITY, f32::min);
        if outside > 2.0 * self.edema + 10.0 {
            return;
        }
        let outside = outside + 3.5 * noise(p, 11.0, self.seed) + 1.5 * noise(p, 5.0, self.seed ^ 1);
        // Edema follows the white matter.
        let reach = self.edema * (1.0 + 0.8 * noise(p, 24.0, self.seed ^ 2));
        let white = mixture[Tissue::White as usize];
        let grey = mixture[Tissue::Grey as usize];
        put(mixture, Tissue::Edema, ramp(reach + 2.0 * blur, reach - 2.0 * blur, outside) * (white + 0.25 * grey));
        put(mixture, Tissue::Solid, ramp(blur, -blur, outside));
        let leak = ramp(-0.06, 0.06, noise(p, 12.0, self.seed ^ 3) - self.leak_level);
        put(mixture, Tissue::Enhancing, ramp(blur, -blur, outside) * leak);
        let necrosis = outside + self.rim * (1.0 + 0.5 * noise(p, 9.0, self.seed ^ 4));
        put(mixture, Tissue::Necrosis, ramp(blur, -blur, necrosis));
    }
}

/// Lets a tissue take a share of what is there.
fn put(mixture: &mut [f32; TISSUES], tissue: Tissue, share: f32) {
    for value in mixture.iter_mut() {
        *value *= 1.0 - share;
    }
    mixture[tissue as usize] += share;
}

/// 1 inside an ellipsoid, 0 outside, soft between.
fn ellipsoid(p: Point, centre: Point, half: Point, blur: f32) -> f32 {
    let radius = (0..3).map(|i| ((p[i] - centre[i]) / half[i]).powi(2)).sum::<f32>().sqrt();
    let least = half.into_iter().fold(f32::INFINITY, f32::min);
    ramp(blur, -blur, (radius - 1.0) * least)
}

fn direction(rng: &mut impl Rng) -> Point {
    let up: f32 = rng.random_range(-1.0..1.0);
    let angle = rng.random_range(0.0..TAU);
    let flat = (1.0 - up * up).sqrt();
    [flat * angle.cos(), flat * angle.sin(), up]
}

/// A point of the brain, between two shares of the way to its surface; not at its very bottom or top.
fn inside(half: Point, from: f32, to: f32, rng: &mut impl Rng) -> Point {
    let [x, y, z] = direction(rng);
    let share = rng.random_range(from..to);
    [x * half[0] * share, y * half[1] * share, 0.6 * z * half[2] * share]
}
