//! Volumes for the screen.

/// Fill of an outline: orange that all eyes tell from the blue below (Okabe and Ito 2008).
const MASK: [f32; 3] = [230.0, 159.0, 0.0];
/// Edge of the truth.
const TRUTH: [u8; 3] = [86, 180, 233];
/// How much of the fill covers the image.
const OPACITY: f32 = 0.55;

/// An axial slice of a volume in canonical order, as radiologists look at it: from below, the patient's right on the left,
/// the front above. Red, green, blue and opacity of every pixel go into `out`, `[H, W, 4]`.
///
/// # Shapes
///
/// - `voxels`: `[z, y, x]`, a byte each; `mask`, `truth`: the same, not 0 where there is tumour
/// - `size`: voxels along x, y and z
pub fn axial(
    [width, height, _]: [usize; 3],
    slice: usize,
    voxels: &[u8],
    mask: Option<&[u8]>,
    truth: Option<&[u8]>,
    out: &mut Vec<u8>,
) {
    let area = width * height;
    let range = slice * area..(slice + 1) * area;
    out.clear();
    let Some(voxels) = voxels.get(range.clone()) else { return };
    let [mask, truth] = [mask, truth].map(|labels| labels.and_then(|labels| labels.get(range.clone())));
    let is_truth = |x: usize, y: usize| truth.is_some_and(|truth| truth[y * width + x] != 0);
    for y in (0..height).rev() {
        for x in (0..width).rev() {
            let grey = voxels[y * width + x];
            // The edge lies within the truth: where a neighbour is none of it.
            let is_inner = x > 0
                && y > 0
                && x + 1 < width
                && y + 1 < height
                && is_truth(x - 1, y)
                && is_truth(x + 1, y)
                && is_truth(x, y - 1)
                && is_truth(x, y + 1);
            let colour = if is_truth(x, y) && !is_inner {
                TRUTH
            } else if mask.is_some_and(|mask| mask[y * width + x] != 0) {
                MASK.map(|part| (OPACITY * part + (1.0 - OPACITY) * f32::from(grey)) as u8)
            } else {
                [grey; 3]
            };
            out.extend([colour[0], colour[1], colour[2], 255]);
        }
    }
}

/// Voxels as bytes: 0 where there is no brain (exactly 0), the rest spread from 1 to 255 between its 1st and its 99.5th
/// percentile.
pub fn to_bytes(voxels: &[f32]) -> Vec<u8> {
    let mut sorted: Vec<f32> = voxels.iter().copied().filter(|value| *value != 0.0 && value.is_finite()).collect();
    if sorted.is_empty() {
        return vec![0; voxels.len()];
    }
    let mut percentile = |share: f64| {
        let at = ((sorted.len() - 1) as f64 * share).round() as usize;
        *sorted.select_nth_unstable_by(at, f32::total_cmp).1
    };
    let (low, high) = (percentile(0.01), percentile(0.995));
    let scale = 254.0 / (high - low).max(f32::MIN_POSITIVE);
    let byte = |value: &f32| if *value == 0.0 { 0 } else { 1 + ((value - low) * scale).clamp(0.0, 254.0) as u8 };
    voxels.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_seen_from_below_with_mask_and_truth() {
        // Two slices of 3 x 2; in the upper one every voxel differs.
        let voxels = [0, 0, 0, 0, 0, 0, 10, 20, 30, 40, 50, 60];
        let mut out = Vec::new();
        axial([3, 2, 2], 1, &voxels, None, None, &mut out);
        let greys: Vec<u8> = out.chunks_exact(4).map(|pixel| pixel[0]).collect();
        assert_eq!(greys, [60, 50, 40, 30, 20, 10]);
        assert!(out.chunks_exact(4).all(|pixel| pixel[3] == 255));
        let (mut mask, mut truth) = ([0; 12], [0; 12]);
        mask[6] = 1; // the last pixel
        truth[11] = 1; // the first
        axial([3, 2, 2], 1, &voxels, Some(&mask), Some(&truth), &mut out);
        assert_eq!(out[..3], TRUTH);
        assert_eq!(out[20..24], [131, 91, 4, 255]);
        axial([3, 2, 2], 2, &voxels, None, None, &mut out);
        assert!(out.is_empty(), "there is no such slice");
    }

    #[test]
    fn brain_is_spread_and_the_background_stays_black() {
        let mut voxels: Vec<f32> = (1..=1000).map(|value| value as f32).collect();
        voxels[3] = 0.0;
        let bytes = to_bytes(&voxels);
        assert_eq!((bytes[3], bytes[0], bytes[999]), (0, 1, 255));
        assert!((i32::from(bytes[500]) - 128).abs() < 4, "{}", bytes[500]);
        assert_eq!(to_bytes(&[0.0, 0.0]), [0, 0]);
        assert_eq!(to_bytes(&[0.0, 5.0, 5.0]), [0, 1, 1]);
    }
}
