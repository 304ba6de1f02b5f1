//! The files of a drop, those in dropped folders as well.

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DataTransfer, File, FileSystemDirectoryEntry, FileSystemDirectoryReader, FileSystemEntry, FileSystemFileEntry,
};

/// Most files that are taken of folders: beyond it somebody dropped a whole disk.
const MAX_FILES: usize = 2000;

/// The property that has the path of a file which was chosen with its folder.
const PATH: &str = "webkitRelativePath";

/// A file's path within the folder it came with; its name, if it came alone.
pub fn path_of(file: &File) -> String {
    let path = Reflect::get(file, &PATH.into()).ok().and_then(|path| path.as_string());
    path.filter(|path| !path.is_empty()).unwrap_or_else(|| file.name())
}

/// Positions of a model's card and of its weights among the names of files, if both are there.
pub fn model_among(names: &[&str]) -> Option<[usize; 2]> {
    let ends_in = |ending: &str| names.iter().position(|name| name.ends_with(ending));
    Some([ends_in(".json")?, ends_in(".safetensors")?])
}

/// What was dropped: files, and folders to look into.
///
/// The browser shows a drop's folders only while its event goes on, so this is taken then and read later.
pub struct Dropped {
    files: Vec<File>,
    folders: Vec<FileSystemDirectoryEntry>,
}

impl Dropped {
    /// Takes what an event brings.
    pub fn new(transfer: Option<&DataTransfer>) -> Self {
        let mut dropped = Self { files: Vec::new(), folders: Vec::new() };
        let Some(transfer) = transfer else { return dropped };
        let items = transfer.items();
        for item in (0..items.length()).filter_map(|i| items.get(i)) {
            match item.webkit_get_as_entry().ok().flatten() {
                Some(entry) if entry.is_directory() => dropped.folders.push(entry.unchecked_into()),
                _ => dropped.files.extend(item.get_as_file().ok().flatten()),
            }
        }
        if dropped.files.is_empty() && dropped.folders.is_empty() {
            // Some browsers, and scripts, fill the list of files alone.
            let list = transfer.files();
            dropped.files.extend(list.iter().flat_map(|list| (0..list.length()).filter_map(|i| list.get(i))));
        }
        dropped
    }

    /// Whether there is a folder to look into.
    pub fn has_folders(&self) -> bool {
        !self.folders.is_empty()
    }

    /// The files, those of folders in the order of their paths. A folder that cannot be read is left out.
    pub async fn files(self) -> Vec<File> {
        let mut files = self.files;
        let mut folders = self.folders;
        let mut of_folders: Vec<(String, File)> = Vec::new();
        while let Some(folder) = folders.pop() {
            let reader = folder.create_reader();
            // Each call gives some, the last none.
            while let Ok(entries) = entries(&reader).await {
                if entries.is_empty() || of_folders.len() > MAX_FILES {
                    break;
                }
                for entry in entries {
                    let path = entry.full_path().trim_start_matches('/').to_owned();
                    if entry.is_directory() {
                        folders.push(entry.unchecked_into());
                    } else if let Ok(file) = file(entry.unchecked_ref()).await {
                        set_path(&file, &path);
                        of_folders.push((path, file));
                    }
                }
            }
        }
        of_folders.sort_by(|a, b| a.0.cmp(&b.0));
        files.extend(of_folders.into_iter().map(|(_, file)| file));
        files
    }
}

/// Gives a file the path that it would have if its folder had been chosen in the browser's dialog.
fn set_path(file: &File, path: &str) {
    let property = Object::new();
    // The property is the browser's own and cannot be assigned; an own one of the object hides it.
    if Reflect::set(&property, &"value".into(), &path.into()).is_ok() {
        Object::define_property(file.unchecked_ref::<Object>(), &PATH.into(), &property);
    }
}

async fn entries(reader: &FileSystemDirectoryReader) -> Result<Vec<FileSystemEntry>, JsValue> {
    let promise = promise(|done, failed| reader.read_entries_with_callback_and_callback(done, failed));
    let list: js_sys::Array = JsFuture::from(promise).await?.dyn_into()?;
    Ok(list.iter().map(JsValue::unchecked_into).collect())
}

async fn file(entry: &FileSystemFileEntry) -> Result<File, JsValue> {
    let promise = promise(|done, failed| {
        entry.file_with_callback_and_callback(done, failed);
        Ok(())
    });
    JsFuture::from(promise).await?.dyn_into()
}

/// The promise of a call that takes a function for its result and one for its failure.
fn promise(mut call: impl FnMut(&Function, &Function) -> Result<(), JsValue>) -> Promise {
    Promise::new(&mut |done, failed| {
        if let Err(error) = call(&done, &failed) {
            // Nothing can be done if even that is refused.
            let _ = failed.call1(&JsValue::NULL, &error);
        }
    })
}
