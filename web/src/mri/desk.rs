//! What the components act through: the session they show, and the workers they ask.

use std::sync::Arc;

use js_sys::ArrayBuffer;
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::Modality;
use shared::io::{SegmenterCard, metaimage};
use web_sys::File;

use super::admission::{Admission, GRID, Read};
use super::crew::{Crew, Job, News};
use super::files::{Aside, Given, ToRead, plan};
use super::models::{Entry, OWN, SHIPPED};
use super::protocol::{Head, Kind, VolumeId};
use super::scan::Image;
use super::screen::Screen;
use super::session::{Evidence, FileRow, FileState, OutlineState, Session, named_modality};
use crate::browser;
use crate::component::{model_among, path_of};
use crate::requests;

/// The workbench. A handle: copies act on the same one.
#[derive(Clone, Copy)]
pub struct Desk {
    /// Everything it knows. Components read it; only this type writes it.
    session: RwSignal<Session>,
    /// What is looked at.
    screen: Screen,
    admission: StoredValue<Admission, LocalStorage>,
    crew: StoredValue<Crew, LocalStorage>,
}

impl Desk {
    /// A workbench without workers; [`Self::start`] brings the first.
    pub fn new() -> Self {
        Self {
            session: RwSignal::new(Session::default()),
            screen: Screen::new(),
            admission: StoredValue::new_local(Admission::new()),
            crew: StoredValue::new_local(Crew::new()),
        }
    }

    /// Everything the workbench knows.
    pub fn session(self) -> ReadSignal<Session> {
        self.session.read_only()
    }

    /// What is looked at.
    pub fn screen(self) -> Screen {
        self.screen
    }

    /// The networks to choose from; none until their cards are there.
    pub fn models(self) -> Memo<Vec<Entry>> {
        Memo::new(move |_| self.session.with(|session| session.models.clone()))
    }

    /// The worker that reads and draws, for other parts of the page as well.
    pub fn admission(self) -> Admission {
        self.admission.get_value()
    }

    /// The workers that outline, for other parts of the page as well: a job of theirs takes the place of the workbench's.
    pub fn crew(self) -> Crew {
        self.crew.get_value()
    }

    /// Fetches the models' cards, if they are not there yet, and starts the worker that reads.
    pub fn start(self) {
        self.admission().warm_up();
        if self.session.with_untracked(|session| !session.models.is_empty()) {
            return;
        }
        spawn_local(async move {
            for name in SHIPPED {
                match fetch_card(name).await {
                    Ok(entry) => self.session.update(|session| session.models.push(entry)),
                    Err(message) => self.session.update(|session| session.trouble = Some(message)),
                }
            }
            requests::set_loaded();
            // Files may have been quicker than the cards.
            if self.session.with_untracked(|s| s.scan.is_some() && s.outline.state == OutlineState::None) {
                self.outline();
            }
        });
    }

    /// Takes the files of a drop, a choice or a paste, in place of those before.
    pub fn give(self, files: &[File]) {
        let files = files.to_vec();
        spawn_local(async move {
            let mut given = Vec::new();
            for file in &files {
                let path = path_of(file);
                let data_file =
                    if path.to_ascii_lowercase().ends_with(".mhd") { data_file_of(file, &path).await } else { None };
                given.push(Given { path, n_bytes: file.size(), data_file });
            }
            let (to_read, aside) = plan(&given);
            let paths: Vec<&str> = given.iter().map(|given| given.path.as_str()).collect();
            if let Some([card, weights]) = model_among(&paths).filter(|_| to_read.is_empty()) {
                return self.read_model(&files[card], &files[weights]).await;
            }
            let ids = self.begin(&given, &to_read, &aside);
            for (ToRead { file, data }, id) in to_read.into_iter().zip(ids) {
                let read = async {
                    let bytes = browser::read(&files[file], &given[file].path).await?;
                    let data = match data {
                        Some(data) => {
                            let name = given[data].path.clone();
                            Some((name.clone(), browser::read(&files[data], &name).await?))
                        }
                        None => None,
                    };
                    Ok::<_, String>((bytes, data))
                };
                match read.await {
                    Ok((bytes, data)) => self.send(id, given[file].path.clone(), bytes, data),
                    Err(message) => self.settle(id, FileState::Refused(super::protocol::Refusal::Unread(message))),
                }
            }
            if self.session.with_untracked(|session| !session.is_reading()) {
                self.arrange();
            }
        });
    }

    /// Takes volumes that the page brings along: their addresses, relative to the page.
    pub fn give_sample(self, addresses: Vec<String>) {
        let given: Vec<Given> =
            addresses.iter().map(|path| Given { path: path.clone(), n_bytes: 0.0, data_file: None }).collect();
        let to_read: Vec<ToRead> = (0..given.len()).map(|file| ToRead { file, data: None }).collect();
        let ids = self.begin(&given, &to_read, &[]);
        spawn_local(async move {
            for (path, id) in addresses.into_iter().zip(ids) {
                let fetched = async { browser::bytes_of(&browser::fetch(&path).await?).await };
                match fetched.await {
                    Ok(bytes) => self.send(id, path, bytes, None),
                    Err(message) => self.settle(id, FileState::Refused(super::protocol::Refusal::Unread(message))),
                }
            }
        });
    }

    /// Takes a generated head, with its truth.
    pub fn give_head(self, head: Head) {
        self.crew().cancel();
        let id = self.admission().numbers(1);
        let path = format!("head-{}-{}", head.seed, head.index);
        self.session.update(|session| {
            session.files = vec![FileRow { id, path: path.clone(), state: FileState::Reading }];
            session.scan = None;
            session.outline = super::session::Outline::default();
        });
        self.admission().generate(head, move |scan| match scan {
            Ok(scan) => {
                let row = |modality: Modality, image: &Arc<Image>| FileRow {
                    id: image.id,
                    path: format!("{path}_{}", modality.name()),
                    state: FileState::Image {
                        image: Arc::clone(image),
                        named: Some(modality),
                        role: Some(modality),
                        by: Evidence::Name,
                    },
                };
                let images = Modality::ALL.into_iter().zip(&scan.images);
                let mut rows: Vec<FileRow> =
                    images.filter_map(|(modality, image)| Some(row(modality, image.as_ref()?))).collect();
                if let Some(truth) = &scan.truth {
                    let state = FileState::Truth { truth: Arc::clone(truth), size: scan.canonical.size };
                    rows.push(FileRow { id, path: format!("{path}_truth"), state });
                }
                let is_waited_for = self.session.with_untracked(|s| s.files.first().is_some_and(|row| row.id == id));
                if is_waited_for {
                    self.session.update(|session| session.files = rows);
                    self.compose();
                }
            }
            Err(message) => self.settle(id, FileState::Refused(super::protocol::Refusal::Unread(message))),
        });
    }

    /// Takes a person's word for what a file is.
    pub fn correct(self, id: VolumeId, role: Option<Modality>) {
        self.session.update(|session| session.correct(id, role));
        self.compose();
    }

    /// Chooses the model that answers.
    pub fn choose(self, name: &str) {
        self.session.update(|session| session.chosen = Some(name.to_owned()));
        self.outline();
    }

    /// Outlines the scan with the model that answers, in place of what was going on; the shown slice first.
    pub fn outline(self) {
        let begun = self.session.try_update(Session::begin_outline).flatten();
        self.screen.drawn.update(|drawn| *drawn += 1);
        let Some((scan, entry, sequences)) = begun else { return };
        let shown = self.screen.cross.get_untracked()[2];
        let job = Job { scan: Arc::clone(&scan), grid: GRID, model: entry.name, sequences, shown };
        self.crew().outline(job, move |news| self.hear(scan.id, news));
    }

    /// Ends the outline where it is.
    pub fn cancel(self) {
        self.crew().cancel();
        self.session.update(Session::cancel_outline);
    }

    /// The slices around this one are outlined next.
    pub fn prefer(self, slice: usize) {
        self.crew().prefer(slice);
    }

    /// Looks where the outline is largest.
    pub fn look_at_outline(self) {
        self.session.with_untracked(|session| {
            if let (Some(scan), Some(mask)) = (&session.scan, &session.outline.mask) {
                self.screen.look_at_mask(scan, mask.mask());
            }
        });
    }

    /// Packs the mask and gives the file's bytes.
    pub fn pack(self, hear: impl FnOnce(Result<Vec<u8>, String>) + 'static) {
        let admission = self.admission();
        self.session.with_untracked(|session| {
            let parts = session.scan.as_ref().zip(session.outline.by.as_ref()).zip(session.outline.mask.as_ref());
            let Some(((scan, (_, used)), mask)) = parts else { return };
            if let Some(geometry) = scan.geometry_of(*used) {
                admission.pack(geometry, mask.mask(), hear);
            }
        });
    }

    fn hear(self, scan: u64, news: News) {
        let is_shown = self.session.with_untracked(|session| session.scan.as_ref().is_some_and(|s| s.id == scan));
        if !is_shown {
            return;
        }
        match news {
            News::Fetching { received, total } => self.session.update(|session| {
                session.outline.state = OutlineState::Preparing(Some((received, total)));
            }),
            News::Fetched(_) => {}
            News::Slice { slice, mask, progress } => {
                self.session.update(|session| session.take_slice(slice, &mask, progress));
                self.screen.drawn.update(|drawn| *drawn += 1);
            }
            News::Failed(failure) => self.session.update(|session| {
                session.outline.state = OutlineState::Failed(failure.message);
            }),
        }
    }

    /// Takes the files' names in place of those before; gives the numbers of those to be read.
    fn begin(self, given: &[Given], to_read: &[ToRead], aside: &[(usize, Aside)]) -> Vec<VolumeId> {
        self.crew().cancel();
        let first = self.admission().numbers((to_read.len() + aside.len()) as u64);
        let reading = to_read.iter().map(|read| (read.file, FileState::Reading));
        let aside = aside.iter().map(|(at, aside)| (*at, FileState::Aside(aside.clone())));
        let rows = (first..).zip(reading.chain(aside)).map(|(id, (at, state))| FileRow {
            id,
            path: given[at].path.clone(),
            state,
        });
        let rows: Vec<FileRow> = rows.collect();
        self.session.update(|session| {
            session.files = rows;
            session.scan = None;
            session.outline = super::session::Outline::default();
        });
        (first..first + to_read.len() as u64).collect()
    }

    fn send(self, id: VolumeId, path: String, bytes: ArrayBuffer, data: Option<(String, ArrayBuffer)>) {
        let of = path.clone();
        self.admission().read(id, path, bytes, data, move |id, read| self.settle(id, state_of(id, &of, read)));
    }

    fn settle(self, id: VolumeId, state: FileState) {
        self.session.update(|session| session.settle(id, state));
        if self.session.with_untracked(|session| !session.is_reading()) {
            self.arrange();
        }
    }

    /// All files are read: decides which is which, and shows and outlines them.
    fn arrange(self) {
        self.session.update(|session| session.assign(GRID.area()));
        self.compose();
    }

    fn compose(self) {
        self.crew().cancel();
        let is_new = self.session.with_untracked(|session| session.scan.is_none());
        let number = self.admission().scan_number();
        self.session.update(|session| session.compose(number));
        let scan = self.session.with_untracked(|session| session.scan.clone());
        if let Some(scan) = scan {
            if is_new {
                self.screen.look_at(&scan);
            } else {
                self.screen.stay(&scan);
            }
            self.outline();
        }
    }

    /// Reads a person's own model, a card and its weights, and has it answer.
    async fn read_model(self, card: &File, weights: &File) {
        let read = async {
            let card = browser::read(card, &card.name()).await?;
            let weights = browser::read(weights, &weights.name()).await?;
            Ok::<_, String>([card, weights].map(|bytes| js_sys::Uint8Array::new(&bytes).to_vec()))
        };
        match read.await {
            Ok([card_json, weights]) => self.take_model(card_json, weights),
            Err(message) => self.session.update(|session| session.trouble = Some(message)),
        }
    }

    fn take_model(self, card_json: Vec<u8>, weights: Vec<u8>) {
        match SegmenterCard::from_json("model.json", &card_json) {
            Ok(card) if card.grid == GRID => {
                self.crew().give_model(OWN, card_json, weights);
                let entry = Entry { name: OWN.to_owned(), card: Arc::new(card) };
                self.session.update(|session| {
                    session.models.retain(|other| other.name != OWN);
                    session.models.push(entry);
                    session.trouble = None;
                });
                self.choose(OWN);
            }
            Ok(card) => self.session.update(|session| {
                let (found, expected) = (card.grid, GRID);
                session.trouble = Some(format!(
                    "model.json: a grid of {} pixels of {} mm; this page reads volumes for {} pixels of {} mm",
                    found.size, found.pixel_mm, expected.size, expected.pixel_mm
                ));
            }),
            Err(error) => self.session.update(|session| session.trouble = Some(error.to_string())),
        }
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

/// What came of a file, as the session keeps it.
fn state_of(id: VolumeId, path: &str, read: Read) -> FileState {
    match read {
        Err(refusal) => FileState::Refused(refusal),
        Ok((head, mut bytes)) if head.kind == Kind::Labels => {
            FileState::Truth { truth: Arc::new(bytes.pop().unwrap_or_default()), size: head.geometry.canonical().size }
        }
        Ok((head, bytes)) => match Image::new(id, path, &head, bytes) {
            Some(image) => {
                let named = named_modality(head.named);
                FileState::Image { image: Arc::new(image), named, role: None, by: Evidence::Nothing }
            }
            None => FileState::Refused(super::protocol::Refusal::Unread(format!("{path}: the worker sent no voxels"))),
        },
    }
}

/// The data file that a MetaImage header names; what is wrong with a header is said when it is read.
async fn data_file_of(file: &File, path: &str) -> Option<String> {
    /// Longer ones have their voxels in them.
    const HEADER_BYTES: f64 = 1e6;
    let head = file.slice_with_f64_and_f64(0.0, HEADER_BYTES.min(file.size())).ok()?;
    let bytes = browser::read(&head, path).await.ok()?;
    let bytes = js_sys::Uint8Array::new(&bytes).to_vec();
    metaimage::data_file_name(path, &bytes).ok().flatten()
}

async fn fetch_card(name: &str) -> Result<Entry, String> {
    let path = browser::card_path(name);
    let text = browser::text_of(&browser::fetch(&path).await?).await?;
    let card = SegmenterCard::from_json(&path, text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(Entry { name: name.to_owned(), card: Arc::new(card) })
}
