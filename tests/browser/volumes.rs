//! Brain volumes as users have them, made of generated heads, and how they are given to the page.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use shared::Modality;
use shared::io::nifti::{write_mask, write_nifti};
use shared::io::{Geometry, Volume};
use shared::phantom::BrainSource;
use shared::phantom::brain::{PhantomBrain, patient};
use xtask::page::Page;
use xtask::serve::Weights;

use crate::files::NamedFile;
use crate::session::Session;

/// A head with a tumour that enhances, in few slices.
pub(crate) fn head(slices: usize) -> PhantomBrain {
    let source = BrainSource { n: 8, seed: 404, size: 64, slices, difficulty: 30, lacking: 0 };
    let enhancing = |head: &PhantomBrain| head.truth.iter().map(|label| usize::from(*label == 4)).sum::<usize>();
    (0..source.n).map(|index| patient(&source, index)).max_by_key(enhancing).expect("a head")
}

/// The files of a head's sequences, under these names without their endings.
pub(crate) fn files_of(head: &PhantomBrain, names: [&str; Modality::COUNT]) -> Vec<NamedFile> {
    let file = |(volume, name): (&Volume, &str)| (format!("{name}.nii.gz"), write_nifti(volume).expect("writes"));
    head.sequences.iter().zip(names).map(file).collect()
}

/// The file of a head's truth.
pub(crate) fn truth_of(head: &PhantomBrain) -> NamedFile {
    ("head_seg.nii.gz".to_owned(), write_mask(&head.sequences[0].geometry, &head.truth).expect("writes"))
}

/// A volume of these values on 20 x 20 x 6 voxels.
pub(crate) fn volume(value: impl Fn(usize) -> f32) -> Vec<u8> {
    let row = |i: usize| std::array::from_fn(|j| f64::from(u8::from(i == j)));
    let geometry = Geometry { size: [20, 20, 6], world_from_voxel: std::array::from_fn(row) };
    let voxels = (0..geometry.n_voxels()).map(value).collect();
    write_nifti(&Volume { geometry, voxels }).expect("writes")
}

/// Writes files into a folder.
pub(crate) fn write_all(folder: &Path, files: &[NamedFile]) {
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).expect("writes");
    }
}

/// Makes files to drop: `arguments[0]` are their names, `arguments[1]` their bytes (base64).
const MAKE: &str = r"
window.given = arguments[0].map((name, i) => {
  const bytes = Uint8Array.from(atob(arguments[1][i]), c => c.charCodeAt(0));
  return new File([bytes], name);
});
";

/// Drops the files that were made, together.
const DROP: &str = r#"
const transfer = new DataTransfer();
for (const file of window.given) transfer.items.add(file);
const zone = document.querySelector('[data-testid="drop-zone"]');
for (const kind of ["dragenter", "dragover", "drop"]) {
  zone.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer }));
}
"#;

/// The workbench in a browser.
pub(crate) struct Workbench<'a> {
    pub(crate) session: &'a Session,
    pub(crate) page: Page<'a>,
}

impl<'a> Workbench<'a> {
    /// Opens it and waits for its models.
    pub(crate) fn open(session: &'a Session) -> Self {
        let page = session.open_view("mri");
        page.wait_until("the drop zone appears", r#"document.querySelector('[data-testid="drop-zone"]') !== null"#)
            .expect("the workbench is there");
        Self { session, page }
    }

    /// A browser's session and the script that keeps what the page saves.
    pub(crate) fn session() -> Session {
        let session = Session::start(Weights::AtOnce);
        let script = json!({ "source": r"
            window.saved = [];
            const create = URL.createObjectURL;
            URL.createObjectURL = (blob) => { window.saved.push(blob); return create(blob); };
            HTMLAnchorElement.prototype.click = function () { window.savedName = this.download; };
            window.workers = [];
            window.Worker = class extends Worker {
              constructor(...given) { super(...given); window.workers.push(this); this.ended = false; }
              terminate() { this.ended = true; super.terminate(); }
            };" });
        session
            .browser
            .devtools("Page.addScriptToEvaluateOnNewDocument", &script)
            .expect("the browser takes the script");
        session
    }

    pub(crate) fn execute(&self, script: &str, arguments: &[Value]) -> Value {
        self.session.browser.execute(script, arguments).expect("the script runs")
    }

    /// Drops files together and does not wait.
    pub(crate) fn drop_files(&self, files: &[NamedFile]) {
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let bytes: Vec<String> = files.iter().map(|(_, bytes)| BASE64_STANDARD.encode(bytes)).collect();
        self.execute(MAKE, &[json!(names), json!(bytes)]);
        self.execute(DROP, &[]);
    }

    /// Waits until the workbench is in a state: `ready`, `reading`, `shown` or `error`.
    pub(crate) fn wait_for(&self, state: &str) {
        let condition = format!(r#"document.querySelector('[data-testid="mri-status"]')?.dataset.state === "{state}""#);
        self.page.wait_until(&format!("the workbench is {state}"), &condition).expect("it comes to that");
    }

    /// Waits until the outline is in a state: `running`, `done`, `cancelled` or `failed`.
    pub(crate) fn wait_for_outline(&self, state: &str) {
        let condition = format!(r#"document.querySelector('[data-testid="mri-state"]')?.dataset.state === "{state}""#);
        self.page.wait_until(&format!("the outline is {state}"), &condition).expect("it comes to that");
    }

    /// Drops files together and waits until they are outlined.
    pub(crate) fn outline(&self, files: &[NamedFile]) {
        self.drop_files(files);
        self.wait_for("shown");
        self.wait_for_outline("done");
    }

    /// Drops the same files once more. Their bytes do not come through the browser's driver again, which keeps what passes
    /// through it.
    pub(crate) fn outline_again(&self) {
        self.execute(DROP, &[]);
        self.wait_for("shown");
        self.wait_for_outline("done");
    }

    pub(crate) fn click(&self, test_id: &str) {
        self.execute(r"document.querySelector(`[data-testid='${arguments[0]}']`).click()", &[json!(test_id)]);
    }

    /// Chooses an option of the n-th menu of its kind.
    pub(crate) fn select(&self, test_id: &str, n: usize, value: &str) {
        let script = r"
            const menu = document.querySelectorAll(`[data-testid='${arguments[0]}']`)[arguments[1]];
            menu.value = arguments[2];
            menu.dispatchEvent(new Event('change', { bubbles: true }));";
        self.execute(script, &[json!(test_id), json!(n), json!(value)]);
    }

    /// What is said of the files: name, sequence (where one can be chosen), words.
    pub(crate) fn lines(&self) -> Vec<(String, Option<String>, String)> {
        let script = r#"
            const lines = document.querySelectorAll('[data-testid="mri-file"]');
            return Array.from(lines, line => [
              line.querySelector(".mri-file-name").innerText,
              line.querySelector("select")?.value ?? null,
              line.querySelector(".mri-file-about").innerText,
            ]);"#;
        serde_json::from_value(self.execute(script, &[])).expect("lines")
    }

    /// A data attribute of an element.
    pub(crate) fn data(&self, test_id: &str, name: &str) -> String {
        let script = r"return document.querySelector(`[data-testid='${arguments[0]}']`)?.dataset[arguments[1]] ?? ''";
        self.execute(script, &[json!(test_id), json!(name)]).as_str().expect("text").to_owned()
    }

    /// The last file that the page has saved, with its name.
    pub(crate) fn saved(&self) -> NamedFile {
        self.page.wait_until("a file is saved", "window.savedName !== undefined").expect("it is saved");
        let script = r"
            const done = arguments[arguments.length - 1];
            window.saved.at(-1).arrayBuffer().then(buffer => {
              let text = '';
              for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
              done([window.savedName, btoa(text)]);
              window.savedName = undefined;
            });";
        let saved = self.session.browser.execute_async(script, &[]).expect("readable");
        let (name, text): (String, String) = serde_json::from_value(saved).expect("a name and bytes");
        (name, BASE64_STANDARD.decode(text).expect("base64"))
    }
}
