//! A small map as colour over an image: blue below 0, orange above, nothing at 0.
//!
//! The two colours differ in hue and in lightness for every kind of colour vision (after Crameri 2020, "vik").

/// Orange: speaks for.
pub const ABOVE: [u8; 3] = [240, 140, 40];
/// Blue: speaks against.
pub const BELOW: [u8; 3] = [60, 130, 220];

/// The strongest value of a map, at least `least` so that next to nothing does not look like much.
pub fn strongest(values: &[f32], least: f32) -> f32 {
    values.iter().fold(least, |strongest, value| strongest.max(value.abs()))
}

/// A map `[side, side]` enlarged to `rgba`: `[out_side, out_side, 4]`, bilinear between the middles of its places.
/// The opacity of a value is its share of `full`.
pub fn paint(values: &[f32], side: usize, full: f32, out_side: usize, rgba: &mut [u8]) {
    if side == 0 || values.len() != side * side {
        return rgba.fill(0);
    }
    let place = |at: usize| {
        let x = ((at as f32 + 0.5) * side as f32 / out_side as f32 - 0.5).clamp(0.0, (side - 1) as f32);
        let first = (x as usize).min(side.saturating_sub(2));
        (first, (first + 1).min(side - 1), x - first as f32)
    };
    for (y, row) in rgba.chunks_exact_mut(4 * out_side).enumerate() {
        let (top, bottom, down) = place(y);
        for (x, pixel) in row.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let (left, right, along) = place(x);
            let at = |row: usize, column: usize| values[row * side + column];
            let upper = at(top, left) * (1.0 - along) + at(top, right) * along;
            let lower = at(bottom, left) * (1.0 - along) + at(bottom, right) * along;
            *pixel = colour(upper * (1.0 - down) + lower * down, full);
        }
    }
}

/// Colour and opacity of a value.
pub fn colour(value: f32, full: f32) -> [u8; 4] {
    let [r, g, b] = if value < 0.0 { BELOW } else { ABOVE };
    let share = if full > 0.0 { (value.abs() / full).min(1.0) } else { 0.0 };
    [r, g, b, (255.0 * share).round() as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middles_of_the_places_keep_their_values_and_between_them_it_is_even() {
        let mut rgba = vec![0; 4 * 8 * 8];
        paint(&[1.0, -1.0, 0.0, 0.0], 2, 1.0, 8, &mut rgba);
        let pixel = |x: usize, y: usize| &rgba[4 * (8 * y + x)..][..4];
        assert_eq!(pixel(0, 0), [240, 140, 40, 255], "beyond the outermost middles the values go on");
        assert_eq!(pixel(7, 0)[..3], BELOW);
        let row: Vec<i32> = (0..8)
            .map(|x| {
                let p = pixel(x, 0);
                if p[..3] == ABOVE { i32::from(p[3]) } else { -i32::from(p[3]) }
            })
            .collect();
        assert!(row.is_sorted_by(|a, b| a >= b), "{row:?}");
        assert_eq!(pixel(0, 7)[3], 0);
        paint(&[0.5], 1, 1.0, 8, &mut rgba);
        assert!(rgba.chunks_exact(4).all(|p| p == [240, 140, 40, 128]));
        paint(&[0.5; 3], 2, 1.0, 8, &mut rgba);
        assert!(rgba.iter().all(|&byte| byte == 0), "a map of another size is none");
    }

    #[test]
    fn next_to_nothing_is_pale() {
        assert_eq!(strongest(&[0.01, -0.02], 0.5), 0.5);
        assert_eq!(strongest(&[0.1, -3.0], 0.5), 3.0);
        assert_eq!(colour(-0.25, 0.5), [60, 130, 220, 128]);
        assert_eq!(colour(9.0, 0.5)[3], 255);
        assert_eq!(colour(1.0, 0.0)[3], 0);
    }
}
