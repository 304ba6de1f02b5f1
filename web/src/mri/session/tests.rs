//! What the workbench makes of files and outlines.

use super::*;
use crate::mri::models::tests::shipped;
use crate::mri::scan::tests::head;

const AREA: usize = 64 * 64;

fn row(id: VolumeId, image: &Arc<Image>, named: Option<Modality>) -> FileRow {
    let state = FileState::Image { image: Arc::clone(image), named, role: None, by: Evidence::Nothing };
    FileRow { id, path: format!("{id}.nii"), state }
}

fn roles(session: &Session) -> Vec<(Option<Modality>, Evidence)> {
    session.images().map(|(_, role, by)| (role, by)).collect()
}

fn session(named: [Option<Modality>; 4]) -> Session {
    let scan = head(2);
    let images: Vec<Arc<Image>> = scan.images.iter().flatten().cloned().collect();
    let files = (1..).zip(&images).zip(named).map(|((id, image), named)| row(id, image, named)).collect();
    let mut session = Session { files, models: shipped(), ..Session::default() };
    session.assign(AREA);
    session.compose(1);
    session
}

#[test]
fn names_come_first_and_shades_fill_the_rest() {
    let session = session([Some(Modality::Flair), None, Some(Modality::T1c), None]);
    let found = roles(&session);
    assert_eq!(found[0], (Some(Modality::Flair), Evidence::Name));
    assert_eq!(found[2], (Some(Modality::T1c), Evidence::Name));
    assert!(matches!(found[1], (Some(Modality::T1), Evidence::Shades(_))), "{found:?}");
    assert!(matches!(found[3], (Some(Modality::T2), Evidence::Shades(_))), "{found:?}");
    assert_eq!(session.present(), Some(ModalitySet::ALL));
}

#[test]
fn two_files_of_one_sequence_are_said_and_the_first_is_used() {
    let mut session = session([Some(Modality::T2), Some(Modality::T2), None, None]);
    let found = roles(&session);
    assert_eq!(found[0], (Some(Modality::T2), Evidence::Name));
    assert_eq!(found[1], (None, Evidence::Double(Modality::T2)));
    // A person decides, and another file makes room.
    session.correct(2, Some(Modality::T2));
    let found = roles(&session);
    assert_eq!((found[0].0, found[1]), (None, (Some(Modality::T2), Evidence::Person)));
    session.compose(2);
    assert!(session.scan.as_ref().is_some_and(|scan| scan.id == 2));
}

#[test]
fn a_volume_of_another_size_is_not_used() {
    let (mut session, other) = (session([None; 4]), head(3));
    let mut other = Arc::try_unwrap(other.images.into_iter().flatten().next().expect("an image")).expect("alone");
    other.geometry.size = [64, 64, 7];
    session.files.push(row(9, &Arc::new(other), Some(Modality::Flair)));
    session.assign(AREA);
    let sizes = ([64, 64, 7], [64, 64, 8]);
    assert_eq!(roles(&session)[4], (None, Evidence::OtherSize { size: sizes.0, first: sizes.1 }));
}

#[test]
fn the_outline_grows_and_ends() {
    let mut session = session(Modality::ALL.map(Some));
    let (scan, entry, used) = session.begin_outline().expect("a model answers");
    assert_eq!(session.model().map(|(entry, used)| (entry.clone(), used)), Some((entry, used)));
    let progress = |done| Progress { done, of: 2, elapsed_ms: 10.0 };
    session.take_slice(0, &vec![1; scan.slice_len()], progress(1));
    assert_eq!(session.outline.state, OutlineState::Running(progress(1)));
    session.cancel_outline();
    assert_eq!(session.outline.state, OutlineState::Cancelled(progress(1)));
    session.take_slice(1, &vec![0; scan.slice_len()], progress(2));
    assert_eq!(session.outline.state, OutlineState::Done(progress(2)));
    session.cancel_outline();
    assert_eq!(session.outline.state.name(), "done");
}

#[test]
fn a_chosen_model_that_cannot_answer_any_more_is_forgotten() {
    let mut session = session(Modality::ALL.map(Some));
    session.chosen = Some("mri-flair".to_owned());
    assert_eq!(session.model().map(|(entry, _)| entry.name.as_str()), Some("mri-flair"));
    session.correct(1, None);
    session.compose(2);
    assert_eq!(session.chosen, None);
    assert!(session.model().is_some());
}
