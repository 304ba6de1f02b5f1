//! What a worker does with a file: read it, refuse what is no brain MRI, make it ready for screen and networks. No browser
//! in here.

use shared::infer::PreparedVolume;
use shared::io::metaimage::read_metaimage;
use shared::io::{Geometry, Volume, read_volume};
use shared::phantom::{BrainSource, brain};
use shared::prep::volume::{Grid, normalize};
use shared::recognize::{Role, Traits, enhancing, is_brain_mask, is_ct, is_labels, role_of};
use shared::{Error, Modality};

use super::protocol::{Head, Kind, Refusal, VolumeHead};

/// A volume, and its bytes as [`Response::Volume`](super::protocol::Response::Volume) has them.
pub type ReadVolume = (VolumeHead, Vec<Vec<u8>>);

/// Noise of generated heads, in per cent: that of those which the shipped networks learned from.
const DIFFICULTY: u8 = 30;

/// Reads a file, with its data file if it is a header without voxels.
///
/// # Errors
///
/// Why it is not taken. `ms` of the head is left 0.
pub fn read(path: &str, bytes: &[u8], data: Option<(&str, &[u8])>, grid: Grid) -> Result<ReadVolume, Refusal> {
    if bytes.get(128..132) == Some(b"DICM") {
        return Err(Refusal::Dicom);
    }
    if bytes.starts_with(b"\x89PNG") || bytes.starts_with(b"\xff\xd8\xff") || bytes.starts_with(b"GIF8") {
        return Err(Refusal::Picture);
    }
    let unread = |error: Error| Refusal::Unread(error.to_string());
    let volume = match data {
        Some(data) => read_metaimage(path, bytes, Some(data)),
        None => read_volume(path, bytes),
    };
    let volume = volume.map_err(unread)?;
    let named = role_of(path);
    if named == Some(Role::BrainMask) {
        return Err(Refusal::BrainMask);
    }
    if is_ct(&volume) {
        return Err(Refusal::Ct);
    }
    let labels = is_labels(&volume);
    match named {
        Some(Role::Truth) if !labels => Err(Refusal::NoLabels),
        None | Some(Role::Truth) if labels => {
            if is_brain_mask(&volume) {
                return Err(Refusal::BrainMask);
            }
            Ok(truth(&volume.geometry, &enhancing(&volume.voxels)))
        }
        _ => image(path, volume, named, grid).map_err(unread),
    }
}

/// Draws a head: its four sequences, then its truth.
///
/// # Errors
///
/// The words of the reader, for a grid that makes no sense.
pub fn generate(head: Head, grid: Grid) -> Result<Vec<ReadVolume>, Error> {
    let Head { seed, index, size, slices } = head;
    let source = BrainSource {
        n: index + 1,
        seed,
        size: size.clamp(16, 256),
        slices: slices.clamp(1, 128),
        difficulty: DIFFICULTY,
        lacking: 0,
    };
    let patient = brain::patient(&source, index);
    let geometry = patient.sequences[0].geometry;
    let labels: Vec<f32> = patient.truth.iter().map(|label| f32::from(*label)).collect();
    let mut volumes = Vec::new();
    for (modality, volume) in Modality::ALL.into_iter().zip(patient.sequences) {
        volumes.push(image("head", volume, Some(Role::Sequence(modality)), grid)?);
    }
    let tumour: Vec<u8> = labels.iter().map(|label| u8::from(*label == f32::from(brain::ENHANCING))).collect();
    volumes.push(truth(&geometry, &tumour));
    Ok(volumes)
}

fn truth(geometry: &Geometry, tumour: &[u8]) -> ReadVolume {
    let canonical = geometry.orientation().to_canonical(geometry.size, tumour);
    (VolumeHead { geometry: *geometry, named: Some(Role::Truth), kind: Kind::Labels, ms: 0.0 }, vec![canonical])
}

fn image(path: &str, volume: Volume, named: Option<Role>, grid: Grid) -> Result<ReadVolume, Error> {
    let geometry = volume.geometry;
    let Volume { geometry: canonical, mut voxels } = volume.to_canonical();
    drop(volume); // the largest piece of memory by far
    let (lo, hi) = voxels.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
    let step = if hi > lo { (hi - lo) / f32::from(u16::MAX) } else { 1.0 };
    let shown: Vec<u16> = voxels.iter().map(|value| ((value - lo) / step).round() as u16).collect();
    normalize(path, &canonical, &mut voxels)?;
    let mut brain: Vec<u16> =
        shown.iter().zip(&voxels).filter(|(_, value)| **value != 0.0).map(|(shown, _)| *shown).collect();
    let window = [0.005, 0.995].map(|share| {
        let at = (brain.len().saturating_sub(1) as f64 * share) as usize;
        let value = if brain.is_empty() { 0 } else { *brain.select_nth_unstable(at).1 };
        lo + step * f32::from(value)
    });
    let traits = Traits::of(&canonical, &voxels);
    let prepared = PreparedVolume::of_standardized(grid, geometry, &canonical, &voxels)?;
    let kind = Kind::Image { range: [lo, hi], window, traits };
    let bytes = vec![
        shown.iter().flat_map(|value| value.to_le_bytes()).collect(),
        prepared.planes.iter().flat_map(|value| value.to_le_bytes()).collect(),
        prepared.brain,
    ];
    Ok((VolumeHead { geometry, named, kind, ms: 0.0 }, bytes))
}

/// A volume on the grid, from the bytes it crossed as. What does not fit is found when a scan is made of it.
pub fn prepared(geometry: Geometry, planes: &[u8], brain: Vec<u8>) -> PreparedVolume {
    let planes = planes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    PreparedVolume { geometry, planes, brain }
}

#[cfg(test)]
mod tests {
    use shared::io::nifti::{write_mask, write_nifti};

    use super::*;

    const GRID: Grid = Grid { size: 16, pixel_mm: 1.0 };

    /// x to the left, so that canonical order is another one.
    fn volume(value: impl Fn(usize) -> f32) -> Volume {
        let geometry = Geometry {
            size: [10, 8, 6],
            world_from_voxel: [[-1.0, 0.0, 0.0, 5.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]],
        };
        Volume { geometry, voxels: (0..geometry.n_voxels()).map(value).collect() }
    }

    fn head(i: usize) -> f32 {
        let (x, y) = (i % 10, i / 10 % 8);
        if (2..8).contains(&x) && (2..6).contains(&y) { 100.0 + (i * 37 % 101) as f32 } else { 0.0 }
    }

    #[test]
    fn an_image_comes_in_canonical_order() {
        let file = write_nifti(&volume(head)).unwrap();
        let (found, bytes) = read("a/x_t2.nii.gz", &file, None, GRID).unwrap();
        assert_eq!(found.named, Some(Role::Sequence(Modality::T2)));
        let Kind::Image { range: [lo, hi], window, .. } = found.kind else { panic!("an image") };
        assert!(lo == 0.0 && hi == 200.0 && window[0] >= 100.0 && window[1] <= 200.0, "{lo} {hi} {window:?}");
        let shown: Vec<u16> = bytes[0].as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect();
        let expected = volume(head).to_canonical();
        assert!(shown.iter().zip(&expected.voxels).all(|(s, v)| (f32::from(*s) * 200.0 / 65535.0 - v).abs() < 0.01));
        let prepared = prepared(found.geometry, &bytes[1], bytes[2].clone());
        assert_eq!(prepared, PreparedVolume::new(GRID, "x", &volume(head)).unwrap());
    }

    #[test]
    fn a_truth_is_told_by_its_values_and_comes_as_enhancing_tumour() {
        let labels = |label: fn(usize) -> u8| (0..480).map(label).collect::<Vec<u8>>();
        let geometry = volume(head).geometry;
        let file = write_mask(&geometry, &labels(|i| if i < 10 { 4 } else { u8::from(i < 20) })).unwrap();
        let (found, bytes) = read("outline.nii.gz", &file, None, GRID).unwrap();
        assert!(found.kind == Kind::Labels && found.named == Some(Role::Truth));
        assert_eq!(bytes[0].iter().map(|v| usize::from(*v)).sum::<usize>(), 10);
        let file = write_mask(&geometry, &labels(|i| u8::from(i < 300))).unwrap();
        assert_eq!(read("x.nii.gz", &file, None, GRID), Err(Refusal::BrainMask));
        let file = write_nifti(&volume(head)).unwrap();
        assert_eq!(read("x_seg.nii.gz", &file, None, GRID), Err(Refusal::NoLabels));
    }

    #[test]
    fn what_is_no_brain_mri_is_refused() {
        let ct = write_nifti(&volume(|i| if head(i) == 0.0 { -1000.0 } else { 35.0 })).unwrap();
        assert_eq!(read("ct.nii.gz", &ct, None, GRID), Err(Refusal::Ct));
        let dicom = [vec![0; 128], b"DICM".to_vec()].concat();
        assert_eq!(read("IM0001", &dicom, None, GRID), Err(Refusal::Dicom));
        assert_eq!(read("a.png", b"\x89PNG\r\n", None, GRID), Err(Refusal::Picture));
        let Err(Refusal::Unread(words)) = read("t1.nii", b"hello", None, GRID) else { panic!("refused") };
        assert!(words.contains("t1.nii"), "{words}");
        let empty = write_nifti(&volume(|_| 0.0)).unwrap();
        assert!(matches!(read("t1.nii.gz", &empty, None, GRID), Err(Refusal::Unread(_))));
    }

    #[test]
    fn a_generated_head_has_four_sequences_and_a_truth() {
        let head = Head { seed: 5, index: 2, size: 32, slices: 4 };
        let volumes = generate(head, GRID).unwrap();
        let named: Vec<Role> = volumes.iter().filter_map(|(volume, _)| volume.named).collect();
        let sequences = Modality::ALL.map(Role::Sequence);
        assert_eq!(named, [&sequences[..], &[Role::Truth]].concat());
        assert!(volumes.iter().all(|(volume, _)| volume.geometry.size == [32, 32, 4]));
        assert_eq!(volumes[4].1[0].len(), 32 * 32 * 4);
    }
}
