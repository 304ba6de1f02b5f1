//! Makes the volumes of an examination small enough to come with the page: `reduce FOLDER FILE...`.
//!
//! The volumes are put in canonical order and cut to the box that holds all that is not background in any of them; slices
//! are averaged in pairs; values are clipped to the 0.1 and 99.9 per cent of the brain and written as whole numbers of 8
//! bits, 1 to 255, with 0 for the background. Nothing is moved or turned: every voxel lies where the voxels lay that it is
//! made of. The files keep their names and go into the folder, as `.nii.gz`.

use std::error::Error;
use std::path::Path;

use shared::io::nifti::write_mask;
use shared::io::{Geometry, Volume, read_volume};

/// First and last-but-one voxel along each axis.
type Bounds = ([usize; 3], [usize; 3]);

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, files @ ..] = words.as_slice() else { return Err("usage: reduce FOLDER FILE...".into()) };
    let mut volumes = Vec::new();
    for file in files {
        volumes.push(read_volume(file, &std::fs::read(file)?)?.to_canonical());
    }
    let (mut lo, mut hi) = ([usize::MAX; 3], [0; 3]);
    for volume in &volumes {
        let (from, to) = bounds(volume);
        lo = std::array::from_fn(|axis| lo[axis].min(from[axis]));
        hi = std::array::from_fn(|axis| hi[axis].max(to[axis]));
    }
    for (file, volume) in files.iter().zip(&volumes) {
        let name = Path::new(file).file_name().ok_or("a file without a name")?;
        std::fs::write(Path::new(folder).join(name), reduced(volume, (lo, hi))?)?;
    }
    Ok(())
}

/// The box of what is not background.
fn bounds(volume: &Volume) -> Bounds {
    let [width, height, depth] = volume.geometry.size;
    let (mut lo, mut hi) = (volume.geometry.size, [0; 3]);
    for (at, _) in volume.voxels.iter().enumerate().filter(|(_, value)| **value != volume.voxels[0]) {
        let place = [at % width, at / width % height, at / (width * height)];
        for axis in 0..3 {
            lo[axis] = lo[axis].min(place[axis]);
            hi[axis] = hi[axis].max(place[axis] + 1);
        }
    }
    // A margin keeps the corners free, by which the background is known; pairs begin at an even slice.
    for axis in 0..3 {
        lo[axis] = lo[axis].saturating_sub(2) / 2 * 2;
        hi[axis] = (hi[axis] + 2).min([width, height, depth][axis]) / 2 * 2;
    }
    (lo, hi)
}

/// The file of a volume within a box.
fn reduced(volume: &Volume, (lo, hi): Bounds) -> Result<Vec<u8>, Box<dyn Error>> {
    let Volume { geometry, voxels } = volume;
    let ([width, height, _], background) = (geometry.size, voxels[0]);
    let mut brain: Vec<f32> = voxels.iter().copied().filter(|value| *value != background).collect();
    if brain.is_empty() {
        return Err("there is nothing but background".into());
    }
    brain.sort_by(f32::total_cmp);
    let quantile = |share: f64| brain[((brain.len() - 1) as f64 * share) as usize];
    let (black, white) = (quantile(0.001), quantile(0.999));
    let mut small = Vec::new();
    for z in (lo[2]..hi[2]).step_by(2) {
        for y in lo[1]..hi[1] {
            for x in lo[0]..hi[0] {
                let pair = [z, z + 1].map(|z| voxels[(z * height + y) * width + x]);
                let of_brain: Vec<f32> = pair.into_iter().filter(|value| *value != background).collect();
                let mean = of_brain.iter().sum::<f32>() / of_brain.len() as f32;
                let share = ((mean - black) / (white - black)).clamp(0.0, 1.0);
                small.push(if of_brain.is_empty() { 0 } else { 1 + (share * 254.0).round() as u8 });
            }
        }
    }
    let mut world_from_voxel = geometry.world_from_voxel;
    for row in &mut world_from_voxel {
        let middle_of_pair = 0.5 * row[2];
        row[3] += row[0] * lo[0] as f64 + row[1] * lo[1] as f64 + row[2] * lo[2] as f64 + middle_of_pair;
        row[2] *= 2.0;
    }
    let size = [hi[0] - lo[0], hi[1] - lo[1], (hi[2] - lo[2]) / 2];
    Ok(write_mask(&Geometry { size, world_from_voxel }, &small)?)
}
