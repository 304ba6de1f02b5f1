//! Everything the workbench knows, as one plain value. The screen is derived from it and nothing else.

use std::sync::Arc;

use shared::recognize::Role;
use shared::{Modality, ModalitySet};

use super::files::Aside;
use super::mask::GrowingMask;
use super::models::{Entry, best};
use super::protocol::{Refusal, ScanId, VolumeId};
use super::queue::Progress;
use super::scan::{Image, Scan, guesses};

/// What the workbench knows.
#[derive(Debug, Default)]
pub struct Session {
    /// The files that were given, in their order.
    pub files: Vec<FileRow>,
    /// The examination that is shown.
    pub scan: Option<Arc<Scan>>,
    /// The networks to choose from.
    pub models: Vec<Entry>,
    /// The one that a person chose; else the best for what is there.
    pub chosen: Option<String>,
    /// The outline.
    pub outline: Outline,
    /// What went wrong with the workbench itself, such as no cards of models.
    pub trouble: Option<String>,
}

/// A file that was given.
#[derive(Debug, Clone, PartialEq)]
pub struct FileRow {
    /// Its number.
    pub id: VolumeId,
    /// Its path.
    pub path: String,
    /// What came of it.
    pub state: FileState,
}

/// What came of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum FileState {
    /// Nothing yet.
    Reading,
    /// A volume.
    Image {
        /// It.
        image: Arc<Image>,
        /// What its name says.
        named: Option<Modality>,
        /// What it is taken for; `None` if it is not used.
        role: Option<Modality>,
        /// How that is known.
        by: Evidence,
    },
    /// A truth.
    Truth {
        /// 1 where the enhancing tumour is, in canonical order.
        truth: Arc<Vec<u8>>,
        /// Voxels along x, y and z, in canonical order.
        size: [usize; 3],
    },
    /// It was read and is not taken.
    Refused(Refusal),
    /// It was not read.
    Aside(Aside),
}

/// How it is known which sequence a volume is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Evidence {
    /// By its name.
    Name,
    /// By its shades: a guess, with its probability.
    Shades(f32),
    /// A person says so.
    Person,
    /// Not at all: neither tells.
    Nothing,
    /// Another file is this sequence already.
    Double(Modality),
    /// It has another size than the first volume.
    OtherSize {
        /// Its voxels in canonical order.
        size: [usize; 3],
        /// Those of the first.
        first: [usize; 3],
    },
}

/// How far the outline is.
#[derive(Debug, Default)]
pub struct Outline {
    /// What was asked.
    pub state: OutlineState,
    /// What is outlined.
    pub mask: Option<GrowingMask>,
    /// By which model, from which sequences.
    pub by: Option<(Entry, ModalitySet)>,
}

/// How far the outline is.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum OutlineState {
    /// Not asked for.
    #[default]
    None,
    /// The workers start and the model comes: bytes received and bytes in all, where they are known.
    Preparing(Option<(u64, u64)>),
    /// Slices come.
    Running(Progress),
    /// All slices are there.
    Done(Progress),
    /// A person ended it.
    Cancelled(Progress),
    /// It ended before it was done, and why.
    Failed(String),
}

impl OutlineState {
    /// The state in a word, as the page's marks carry it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Preparing(_) => "preparing",
            Self::Running(_) => "running",
            Self::Done(_) => "done",
            Self::Cancelled(_) => "cancelled",
            Self::Failed(_) => "failed",
        }
    }

    /// Slices that are outlined.
    pub fn n_done(&self) -> usize {
        match self {
            Self::Running(progress) | Self::Done(progress) | Self::Cancelled(progress) => progress.done,
            Self::None | Self::Preparing(_) | Self::Failed(_) => 0,
        }
    }

    /// Whether workers are at it.
    pub fn is_going_on(&self) -> bool {
        matches!(self, Self::Preparing(_) | Self::Running(_))
    }
}

impl Session {
    /// Whether a file is still being read.
    pub fn is_reading(&self) -> bool {
        self.files.iter().any(|row| row.state == FileState::Reading)
    }

    /// Takes what came of a file. One that is not waited for any more is left aside.
    pub fn settle(&mut self, id: VolumeId, state: FileState) {
        if let Some(row) = self.files.iter_mut().find(|row| row.id == id && row.state == FileState::Reading) {
            row.state = state;
        }
    }

    /// Decides which file is which, once all of a drop are read: names first, then shades; of two files of one sequence
    /// the first; of two sizes that of the first volume. What a person said stays.
    pub fn assign(&mut self, grid_area: usize) {
        let first = self.images().next().map(|(image, ..)| image.geometry.canonical().size);
        let mut taken: Vec<Modality> = Vec::new();
        for row in &self.files {
            if let FileState::Image { role: Some(role), by: Evidence::Person, .. } = row.state {
                taken.push(role);
            }
        }
        let mut open = Vec::new();
        for (at, row) in self.files.iter_mut().enumerate() {
            let FileState::Image { image, named, role, by } = &mut row.state else { continue };
            let size = image.geometry.canonical().size;
            if let Some(first) = first.filter(|first| *first != size) {
                (*role, *by) = (None, Evidence::OtherSize { size, first });
            } else if *by == Evidence::Person {
            } else if let Some(named) = *named {
                let is_double = taken.contains(&named);
                (*role, *by) = if is_double { (None, Evidence::Double(named)) } else { (Some(named), Evidence::Name) };
                taken.push(named);
            } else {
                (*role, *by) = (None, Evidence::Nothing);
                open.push((at, Arc::clone(image)));
            }
        }
        let images: Vec<Arc<Image>> = open.iter().map(|(_, image)| Arc::clone(image)).collect();
        for ((at, _), guess) in open.iter().zip(guesses(&images, &taken, grid_area)) {
            if let (FileState::Image { role, by, .. }, Some(guess)) = (&mut self.files[*at].state, guess)
                && !taken.contains(&guess.modality)
            {
                (*role, *by) = (Some(guess.modality), Evidence::Shades(guess.probability));
                taken.push(guess.modality);
            }
        }
    }

    /// Takes a person's word for what a file is, or that it is not used. Another file of that sequence is not used then.
    pub fn correct(&mut self, id: VolumeId, role: Option<Modality>) {
        for row in &mut self.files {
            let is_it = row.id == id;
            if let FileState::Image { role: its, by, .. } = &mut row.state {
                if is_it {
                    (*its, *by) = (role, Evidence::Person);
                } else if role.is_some() && *its == role {
                    (*its, *by) = (None, Evidence::Person);
                }
            }
        }
    }

    /// Puts the files together to an examination of this number.
    pub fn compose(&mut self, id: ScanId) {
        let mut images = [None, None, None, None];
        for (image, role, _) in self.images() {
            if let Some(role) = role {
                images[role.index()] = Some(Arc::clone(image));
            }
        }
        let truth = self.files.iter().find_map(|row| match &row.state {
            FileState::Truth { truth, .. } => Some(Arc::clone(truth)),
            _ => None,
        });
        self.scan = Scan::new(id, images, truth).map(Arc::new);
        self.outline = Outline::default();
        let can_answer = |entry: &Entry| self.present().is_some_and(|present| entry.used(present).is_some());
        if self.chosen.as_ref().is_some_and(|name| !self.models.iter().any(|e| e.name == *name && can_answer(e))) {
            self.chosen = None;
        }
    }

    /// The sequences that are there.
    pub fn present(&self) -> Option<ModalitySet> {
        self.scan.as_ref().map(|scan| scan.present())
    }

    /// The model that answers, and what it uses.
    pub fn model(&self) -> Option<(&Entry, ModalitySet)> {
        let present = self.present()?;
        let chosen = self.chosen.as_ref().and_then(|name| self.models.iter().find(|entry| entry.name == *name));
        let entry = chosen.filter(|entry| entry.used(present).is_some()).or_else(|| best(&self.models, present))?;
        Some((entry, entry.used(present)?))
    }

    /// What stands in the way of a truth that was given: its size, or that there is a second one.
    pub fn truth_is_unused(&self) -> bool {
        let given = self.files.iter().any(|row| matches!(row.state, FileState::Truth { .. }));
        given && self.scan.as_ref().is_some_and(|scan| scan.truth.is_none())
    }

    /// Whether nothing of what was given can be shown.
    pub fn is_fruitless(&self) -> bool {
        !self.files.is_empty() && !self.is_reading() && self.scan.is_none()
    }

    fn images(&self) -> impl Iterator<Item = (&Arc<Image>, Option<Modality>, Evidence)> {
        self.files.iter().filter_map(|row| match &row.state {
            FileState::Image { image, role, by, .. } => Some((image, *role, *by)),
            _ => None,
        })
    }

    /// Begins an outline with the model that answers.
    pub fn begin_outline(&mut self) -> Option<(Arc<Scan>, Entry, ModalitySet)> {
        let scan = Arc::clone(self.scan.as_ref()?);
        let (entry, used) = self.model().map(|(entry, used)| (entry.clone(), used))?;
        self.outline = Outline {
            state: OutlineState::Preparing(None),
            mask: Some(GrowingMask::new(&scan)),
            by: Some((entry.clone(), used)),
        };
        Some((scan, entry, used))
    }

    /// Takes a slice of the outline.
    pub fn take_slice(&mut self, slice: usize, labels: &[u8], progress: Progress) {
        if let Some(mask) = &mut self.outline.mask {
            mask.add(slice, labels);
        }
        self.outline.state =
            if progress.is_done() { OutlineState::Done(progress) } else { OutlineState::Running(progress) };
    }

    /// Ends the outline where it is.
    pub fn cancel_outline(&mut self) {
        let progress = match self.outline.state {
            OutlineState::Running(progress) => progress,
            _ => Progress { done: 0, of: 0, elapsed_ms: 0.0 },
        };
        if self.outline.state.is_going_on() {
            self.outline.state = OutlineState::Cancelled(progress);
        }
    }
}

/// What a file is by its name, of what can be an image.
pub fn named_modality(named: Option<Role>) -> Option<Modality> {
    match named {
        Some(Role::Sequence(modality)) => Some(modality),
        _ => None,
    }
}

/// Name of a mask's file: that of `cmim segment`'s answer is up to its caller.
pub fn mask_file_name(scan: &Scan) -> String {
    let path = scan.images.iter().flatten().next().map_or("scan", |image| image.path.as_str());
    let name = super::protocol::file_name(path);
    let stem = [".nii.gz", ".nii", ".mha", ".mhd"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    format!("{stem}_enhancing.nii.gz")
}

#[cfg(test)]
mod tests;
