//! Sequences are told apart by their files' names, and by their grey values where the names say nothing.

use std::fs;
use std::path::{Path, PathBuf};

use shared::Modality;
use shared::io::{Volume, read_volume};
use shared::phantom::BrainSource;
use shared::phantom::brain::patient;
use shared::prep::volume::normalize;
use shared::recognize::{Role, Traits, enhancing, guess, intensity::correlation, is_ct, is_labels, role_of};
use tests::reference_data;

/// The volumes of a patient's folder, with what their names say.
fn files(folder: &Path) -> Vec<(Role, PathBuf)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut named: Vec<(Role, PathBuf)> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "gz"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            (role_of(name).unwrap_or_else(|| panic!("{name}")), path)
        })
        .collect();
    named.sort_by(|a, b| a.1.cmp(&b.1));
    named
}

/// How many of some volumes are told by their grey values, judged together.
fn n_told(volumes: &[(Modality, Volume)]) -> usize {
    let read: Vec<(Option<Traits>, Vec<f32>)> = volumes
        .iter()
        .map(|(_, volume)| {
            let Volume { geometry, mut voxels } = volume.to_canonical();
            normalize("x", &geometry, &mut voxels).unwrap();
            (Traits::of(&geometry, &voxels), voxels)
        })
        .collect();
    let traits: Vec<Option<Traits>> = read.iter().map(|(traits, _)| *traits).collect();
    let guesses = guess(&traits, &[], |i, j| correlation(&read[i].1, &read[j].1));
    guesses.iter().zip(volumes).filter(|(guess, (modality, _))| guess.unwrap().modality == *modality).count()
}

#[test]
fn real_files_are_told_by_name_and_by_grey_values() {
    let Some(data) = reference_data() else { return };
    let (mut n, mut told) = (0, 0);
    for (source, n_sequences) in [("tcga-glioma", 4), ("open-ms", 4), ("brats2015-flair-t1c", 2)] {
        for folder in fs::read_dir(data.join(source)).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_dir())
        {
            let named = files(&folder);
            assert_eq!(named.iter().filter(|(role, _)| *role == Role::Truth).count(), 1, "{}", folder.display());
            let read = |path: &Path| read_volume("x", &fs::read(path).unwrap()).unwrap();
            let mut volumes = Vec::new();
            for (role, path) in &named {
                match role {
                    Role::Sequence(modality) => volumes.push((*modality, read(path))),
                    Role::Truth => assert!(is_labels(&read(path)), "{}", path.display()),
                    Role::BrainMask => {}
                }
            }
            assert_eq!(volumes.len(), n_sequences, "{}", folder.display());
            assert!(volumes.iter().all(|(_, volume)| !is_ct(volume) && !is_labels(volume)), "{}", folder.display());
            n += volumes.len();
            told += n_told(&volumes);
        }
    }
    assert_eq!((told, n), (24, 24));
}

#[test]
fn the_enhancing_label_of_real_truths_is_found() {
    let Some(data) = reference_data() else { return };
    for (patient, n) in [("TCGA-FG-6692", 6840), ("TCGA-DU-7294", 0)] {
        let path = data.join(format!("tcga-glioma/{patient}/{patient}_fused_algorithms_seg.nii.gz"));
        let truth = read_volume("truth", &fs::read(path).unwrap()).unwrap();
        assert_eq!(
            enhancing(&truth.voxels).iter().map(|inside| usize::from(*inside == 1)).sum::<usize>(),
            n,
            "{patient}"
        );
    }
}

#[test]
fn generated_heads_are_told_by_their_grey_values() {
    let source = BrainSource { n: 6, seed: 501, size: 96, slices: 16, difficulty: 50, lacking: 0 };
    let told: usize = (0..source.n)
        .map(|index| n_told(&Modality::ALL.into_iter().zip(patient(&source, index).sequences).collect::<Vec<_>>()))
        .sum();
    // Of heads that had no part in choosing the numbers.
    assert!(told >= 22, "{told} of 24");
}
