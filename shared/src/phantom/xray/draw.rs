//! The drawing: a torso with lungs, heart, ribs and diaphragm, and on it the signs of the findings.
//!
//! Positions are fractions of the image's side, x to the right, y down. Inside a lung, positions are `across` (-1 at the
//! heart, 1 at the chest wall) and `down` (0 at the apex, 1 at the diaphragm), so that signs follow the anatomy.

use std::f32::consts::PI;

use crate::Finding;
use crate::io::Radiograph;
use crate::io::radiograph::Nature;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Side, Sign};

/// Grey of the parts, 0 black to 1 white.
const TISSUE: f32 = 0.42;
const DENSE: f32 = 0.66;
/// Width of a soft edge.
const EDGE: f32 = 0.012;

/// The measures of one patient's chest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anatomy {
    /// Where the midline is.
    midline: f32,
    /// Distance of the lungs' axes from the midline.
    lung_offset: f32,
    lung_half_width: f32,
    apex: f32,
    /// Where the diaphragm meets the chest wall, right and left.
    base: [f32; 2],
    dome_height: f32,
    heart_half_width: f32,
    heart_y: f32,
    /// Grey of the aerated lung.
    lung_grey: f32,
    /// Vertical distance of the ribs.
    rib_spacing: f32,
    /// Number that varies the lung's texture.
    texture: u32,
}

impl Anatomy {
    /// A healthy chest.
    pub(super) fn sample(rng: &mut impl Rng) -> Self {
        let base = rng.random_range(0.79..0.83);
        Self {
            midline: rng.random_range(0.48..0.52),
            lung_offset: rng.random_range(0.195..0.215),
            lung_half_width: rng.random_range(0.14..0.16),
            apex: rng.random_range(0.10..0.15),
            // The liver lifts the right side.
            base: [base - 0.02, base],
            dome_height: rng.random_range(0.075..0.10),
            heart_half_width: rng.random_range(0.125..0.14),
            heart_y: rng.random_range(0.61..0.64),
            lung_grey: rng.random_range(0.17..0.22),
            rib_spacing: rng.random_range(0.075..0.09),
            texture: rng.random(),
        }
    }

    /// What a sign does to the shape of the chest.
    fn deform(&mut self, sign: &Sign) {
        let (severity, visibility) = (sign.severity, sign.visibility);
        match sign.finding {
            Finding::Cardiomegaly => self.heart_half_width *= 1.0 + visibility * (0.3 + 0.25 * severity),
            // The collapsed lung pulls the diaphragm up.
            Finding::Atelectasis => self.base[sign.side as usize] -= visibility * (0.03 + 0.05 * severity),
            // Overfilled lungs press the diaphragm flat and down and the heart thin.
            Finding::Emphysema => {
                self.base = self.base.map(|base| base + visibility * (0.03 + 0.03 * severity));
                self.dome_height *= 1.0 - visibility * (0.55 + 0.4 * severity);
                self.heart_half_width *= 1.0 - visibility * (0.15 + 0.15 * severity);
                self.lung_grey *= 1.0 - visibility * (0.3 + 0.25 * severity);
            }
            _ => {}
        }
    }

    /// The chest as the signs change its shape.
    fn with(&self, signs: &[Sign]) -> Self {
        let mut changed = *self;
        for sign in signs {
            changed.deform(sign);
        }
        changed
    }

    fn axis(&self, side: Side) -> f32 {
        match side {
            Side::Right => self.midline - self.lung_offset,
            Side::Left => self.midline + self.lung_offset,
        }
    }

    /// Height of the diaphragm at this x.
    fn diaphragm(&self, side: Side, x: f32) -> f32 {
        let u = (x - self.axis(side)) / self.lung_half_width;
        self.base[side as usize] - self.dome_height * (1.0 - u * u).max(-0.2)
    }

    /// `(across, down)` of a point.
    fn in_lung(&self, side: Side, x: f32, y: f32) -> (f32, f32) {
        let down = (y - self.apex) / (self.diaphragm(side, x) - self.apex);
        // Narrow at the apex, and there nearer to the midline.
        let width = self.lung_half_width * (0.45 + 0.55 * ramp(0.0, 0.55, down));
        let outward = if side == Side::Left { 1.0 } else { -1.0 };
        let axis = self.axis(side) - outward * 0.4 * (self.lung_half_width - width);
        ((x - axis) * outward / width, down)
    }

    /// The point at `(across, down)`, about the middle of the lung.
    fn point(&self, side: Side, across: f32, down: f32) -> (f32, f32) {
        let outward = if side == Side::Left { 1.0 } else { -1.0 };
        let x = self.axis(side) + outward * across * self.lung_half_width;
        (x, self.apex + down * (self.diaphragm(side, x) - self.apex))
    }
}

/// Draws a chest with signs, `size` x `size`; `noise` is the standard deviation of the grain.
pub(super) fn draw(healthy: &Anatomy, signs: &[Sign], size: usize, noise: f32, rng: &mut impl Rng) -> Radiograph {
    let anatomy = healthy.with(signs);
    let (exposure, contrast) = (rng.random_range(-0.04..0.04), rng.random_range(0.9..1.1));
    let pixels = (0..size * size)
        .map(|i| {
            let x = ((i % size) as f32 + 0.5) / size as f32;
            let y = ((i / size) as f32 + 0.5) / size as f32;
            let grain: f32 = StandardNormal.sample(rng);
            let grey = grey(&anatomy, signs, x, y);
            ((grey - 0.5) * contrast + 0.5 + exposure + noise * grain).clamp(0.0, 1.0)
        })
        .collect();
    Radiograph { width: size, height: size, pixels, source: "generated".to_owned(), nature: Nature::default() }
}

/// Points along each side of a cell that [`change`] looks at.
const CELL: usize = 6;

/// By how much two sets of signs differ in each cell of a grid: `[grid, grid]`, the mean change of grey.
pub(super) fn change(healthy: &Anatomy, signs: &[Sign], others: &[Sign], grid: usize) -> Vec<f32> {
    let (anatomy, other) = (healthy.with(signs), healthy.with(others));
    let points = grid * CELL;
    let mut cells = vec![0.0; grid * grid];
    for i in 0..points * points {
        let (column, row) = (i % points, i / points);
        let (x, y) = ((column as f32 + 0.5) / points as f32, (row as f32 + 0.5) / points as f32);
        let change = (grey(&anatomy, signs, x, y) - grey(&other, others, x, y)).abs();
        cells[row / CELL * grid + column / CELL] += change / (CELL * CELL) as f32;
    }
    cells
}

/// The grey at one point, without noise.
fn grey(anatomy: &Anatomy, signs: &[Sign], x: f32, y: f32) -> f32 {
    let mut grey = TISSUE * torso(anatomy, x, y);
    for side in [Side::Right, Side::Left] {
        // Whole where the lung, drawn over it, fades out.
        let below = ramp(-2.0 * EDGE, 0.0, y - anatomy.diaphragm(side, x));
        let half = if side == Side::Left { x >= anatomy.midline } else { x < anatomy.midline };
        if half {
            grey = mix(grey, DENSE, below * torso(anatomy, x, y));
        }
        let (across, down) = anatomy.in_lung(side, x, y);
        let lung = lung(across, down);
        if lung > 0.0 {
            let mut opacity = vessels(anatomy, side, x, y, across, down);
            for sign in signs {
                opacity += density(sign, anatomy, side, (x, y), (across, down));
            }
            // Negative opacity is air without lung: black.
            let air = mix(anatomy.lung_grey, 0.04, (-opacity).clamp(0.0, 1.0));
            grey = mix(grey, mix(air, DENSE, opacity.clamp(0.0, 1.0)), lung);
        }
    }
    grey = mix(grey, DENSE, heart(anatomy, x, y).max(mediastinum(anatomy, x, y)));
    grey += 0.09 * ribs(anatomy, x, y) + bones(anatomy, x, y);
    signs.iter().fold(grey, |grey, sign| overlay(sign, anatomy, x, y, grey))
}

/// How much of a point is inside the body.
fn torso(anatomy: &Anatomy, x: f32, y: f32) -> f32 {
    let half_width = 0.10 + 0.32 * ramp(0.0, 0.22, y) + 0.02 * ramp(0.3, 1.0, y);
    1.0 - ramp(-0.02, 0.02, (x - anatomy.midline).abs() - half_width)
}

/// How much of a point is inside the lung: rounded above, square at the costophrenic angle.
fn lung(across: f32, down: f32) -> f32 {
    if !(0.0..1.1).contains(&down) {
        return 0.0;
    }
    let arch = ((0.35 - down) / 0.35).max(0.0);
    let r = across.abs().powi(4) + arch.powi(3);
    (1.0 - ramp(0.85, 1.05, r)) * (1.0 - ramp(0.99, 1.02, down))
}

/// The shadows of vessels, densest at the hilum.
fn vessels(anatomy: &Anatomy, side: Side, x: f32, y: f32, across: f32, down: f32) -> f32 {
    let hilum = bump((across + 0.9) / 0.5, (down - 0.5) / 0.2);
    let texture = noise(x, y, 24.0, anatomy.texture ^ side as u32);
    0.22 * hilum + 0.16 * (texture - 0.4).max(0.0) * (1.0 - 0.5 * across.abs())
}

fn heart(anatomy: &Anatomy, x: f32, y: f32) -> f32 {
    // Two thirds of it are left of the midline, and its axis is oblique.
    let (dx, dy) = (x - anatomy.midline - 0.33 * anatomy.heart_half_width, y - anatomy.heart_y);
    let r = ((dx + 0.2 * dy) / anatomy.heart_half_width).hypot(dy / 0.15);
    1.0 - ramp(0.95, 1.07, r)
}

fn mediastinum(anatomy: &Anatomy, x: f32, y: f32) -> f32 {
    let half_width = 0.05 + 0.02 * ramp(0.3, 0.6, y);
    1.0 - ramp(-EDGE, EDGE, (x - anatomy.midline).abs() - half_width)
}

/// Ribs as arcs that fall towards the chest wall.
fn ribs(anatomy: &Anatomy, x: f32, y: f32) -> f32 {
    let from_midline = (x - anatomy.midline).abs();
    if !(0.06..0.39).contains(&from_midline) || !(0.10..0.84).contains(&y) {
        return 0.0;
    }
    let height = y - 0.9 * (from_midline - 0.15).powi(2) - 0.12 * from_midline;
    let phase = (height / anatomy.rib_spacing).rem_euclid(1.0);
    1.0 - ramp(0.12, 0.2, (phase - 0.5).abs())
}

/// Spine, clavicles, and the dark trachea.
fn bones(anatomy: &Anatomy, x: f32, y: f32) -> f32 {
    let from_midline = (x - anatomy.midline).abs();
    let spine = 0.10 * (1.0 - ramp(0.025, 0.035, from_midline)) * (0.8 + 0.2 * (y * 2.0 * PI / 0.055).sin());
    let clavicle = (y - 0.17 + 0.22 * (from_midline - 0.05)).abs();
    let clavicle = 0.14 * (1.0 - ramp(0.010, 0.018, clavicle)) * (1.0 - ramp(0.26, 0.30, from_midline));
    let trachea = 0.16 * (1.0 - ramp(0.012, 0.02, from_midline)) * (1.0 - ramp(0.34, 0.40, y));
    spine + clavicle - trachea
}

/// What a sign adds to the opacity of the lung on `side` at a point: 1 is as dense as the heart, -1 is free air.
fn density(sign: &Sign, anatomy: &Anatomy, side: Side, (x, y): (f32, f32), (across, down): (f32, f32)) -> f32 {
    let severity = sign.severity;
    let bilateral = matches!(sign.finding, Finding::Edema | Finding::Fibrosis);
    if !bilateral && side != sign.side {
        return 0.0;
    }
    let round = |radius: f32| {
        let (cx, cy) = anatomy.point(side, sign.across, sign.down);
        1.0 - ramp(0.8, 1.1, (x - cx).hypot(y - cy) / radius)
    };
    let patch = |frequency: f32| noise(x, y, frequency, anatomy.texture ^ 0x9e37);
    let full = match sign.finding {
        // A plate above the raised diaphragm.
        Finding::Atelectasis => {
            let plate = (down - 0.78 - 0.1 * across).abs();
            (0.5 + 0.4 * severity) * (1.0 - ramp(0.02, 0.045, plate))
        }
        // Fluid below a level that climbs the chest wall.
        Finding::Effusion => {
            let level = 0.88 - 0.35 * severity - 0.18 * across.max(0.0).powi(2);
            0.95 * ramp(-0.03, 0.03, down - level)
        }
        // Loose patches around the middle of the lung.
        Finding::Infiltration => {
            let near = bump((across - sign.across) / 0.7, (down - sign.down) / 0.22);
            (0.6 + 0.5 * severity) * near * ramp(0.45, 0.65, patch(16.0))
        }
        Finding::Mass => (0.7 + 0.2 * severity) * round(0.055 + 0.03 * severity),
        Finding::Nodule => (0.7 + 0.2 * severity) * round(0.018 + 0.012 * severity),
        // Uneven clouding of the lower lobe.
        Finding::Pneumonia => {
            let near = bump((across + 0.1) / 0.8, (down - 0.8) / 0.2);
            (0.6 + 0.4 * severity) * near * (0.6 + 0.8 * patch(9.0))
        }
        // Free air above and beside the collapsed lung, whose edge is a fine line.
        Finding::Pneumothorax => {
            let rim = 0.15 + 0.25 * severity;
            let inside = (1.0 - 2.0 * rim * (1.0 - down) - across).min(3.0 * (down - rim));
            0.45 * (1.0 - ramp(0.05, 0.12, inside)) - 1.45 * (1.0 - ramp(-0.03, 0.03, inside))
        }
        // Even whiteness of the upper lobe, ended by the fissure.
        Finding::Consolidation => {
            let fissure = 0.34 + 0.12 * severity - 0.03 * across;
            0.75 * (1.0 - ramp(-0.012, 0.012, down - fissure))
        }
        // Bat wings about both hila, short lines at the chest wall.
        Finding::Edema => {
            let wings = bump((across + 0.5) / 0.65, (down - 0.52) / 0.26);
            let lines = (down * 90.0).sin().max(0.0) * ramp(0.55, 0.7, across) * ramp(0.55, 0.65, down);
            (0.45 + 0.4 * severity) * wings + 0.3 * lines
        }
        // A net at both bases.
        Finding::Fibrosis => {
            let net = 1.0 - ramp(0.0, 0.16, (patch(22.0) - 0.5).abs());
            (0.5 + 0.4 * severity) * net * ramp(0.5, 0.75, down)
        }
        // A band along the chest wall.
        Finding::Pleural_Thickening => {
            let edge = 0.82 - 0.22 * severity;
            0.8 * ramp(-0.04, 0.04, across - edge) * (1.0 - ramp(0.65, 0.8, down))
        }
        Finding::Cardiomegaly | Finding::Emphysema | Finding::Hernia => 0.0,
    };
    sign.visibility * full
}

/// What a sign paints over everything else.
fn overlay(sign: &Sign, anatomy: &Anatomy, x: f32, y: f32, grey: f32) -> f32 {
    if sign.finding != Finding::Hernia {
        return grey;
    }
    // The stomach behind the heart: a wall, air above a fluid level.
    let radius = 0.07 + 0.035 * sign.severity;
    let (dx, dy) = (x - anatomy.midline - 0.035, y - 0.68);
    let r = dx.hypot(dy) / radius;
    let inside = 1.0 - ramp(0.97, 1.05, r);
    let air = (1.0 - ramp(0.80, 0.90, r)) * (1.0 - ramp(-0.008, 0.008, dy - 0.1 * radius));
    mix(mix(grey, 0.85, sign.visibility * inside), 0.30, sign.visibility * air)
}

/// 0 below `from`, 1 above `to`, smooth between.
fn ramp(from: f32, to: f32, value: f32) -> f32 {
    let t = ((value - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// 1 at the origin, falling off like a bell.
fn bump(x: f32, y: f32) -> f32 {
    (-(x * x + y * y)).exp()
}

fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Smooth noise in `0..=1`, `frequency` cells over the image.
fn noise(x: f32, y: f32, frequency: f32, seed: u32) -> f32 {
    let (x, y) = (x * frequency, y * frequency);
    let (x0, y0) = (x.floor(), y.floor());
    let (tx, ty) = (ramp(0.0, 1.0, x - x0), ramp(0.0, 1.0, y - y0));
    let corner = |dx: i32, dy: i32| lattice(x0 as i32 + dx, y0 as i32 + dy, seed);
    mix(mix(corner(0, 0), corner(1, 0), tx), mix(corner(0, 1), corner(1, 1), tx), ty)
}

/// A number in `0..=1` for each point of a grid.
fn lattice(x: i32, y: i32, seed: u32) -> f32 {
    let mut hash = seed ^ (x as u32).wrapping_mul(0x85eb_ca6b) ^ (y as u32).wrapping_mul(0xc2b2_ae35);
    hash = (hash ^ hash >> 15).wrapping_mul(0x2c1b_3c6d);
    hash = (hash ^ hash >> 12).wrapping_mul(0x297a_2d39);
    (hash >> 8 ^ hash >> 20) as f32 / (1u32 << 24) as f32
}
