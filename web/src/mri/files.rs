//! Which of the files that were given belong together, and which are none of ours.

use std::collections::BTreeSet;

use super::protocol::file_name;

/// A file, before it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Its name, with its folders where a folder was given.
    pub path: String,
    /// Its bytes.
    pub n_bytes: f64,
    /// Of a MetaImage header (`.mhd`): the file that it says its voxels are in.
    pub data_file: Option<String>,
}

/// A volume to read: positions among the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToRead {
    /// The file.
    pub file: usize,
    /// The data file that belongs to it.
    pub data: Option<usize>,
}

/// Why a file is left aside before it is read.
#[derive(Debug, Clone, PartialEq)]
pub enum Aside {
    /// Larger than a browser's program can hold.
    TooLarge {
        /// How large, in millions of bytes.
        megabytes: f64,
    },
    /// A header whose voxels are in a file that was not given.
    NoData {
        /// Name of that file.
        data_file: String,
    },
    /// Voxels without the header that tells their number.
    NoHeader,
    /// A model's file.
    Model,
    /// Neither a volume nor a part of one, such as a text.
    Other,
}

/// Largest file that is read: a worker's memory is at most 4 GB, and an unpacked volume is there twice.
pub const MAX_MEGABYTES: f64 = 512.0;

/// Endings of files that people keep beside their volumes.
const OTHERS: [&str; 14] =
    ["txt", "md", "json", "csv", "tsv", "pdf", "xml", "html", "bval", "bvec", "doc", "docx", "xlsx", "ds_store"];

/// What to read, and what is left aside and why. Files that begin with a point are the system's own: neither.
pub fn plan(files: &[Given]) -> (Vec<ToRead>, Vec<(usize, Aside)>) {
    let (mut to_read, mut aside) = (Vec::new(), Vec::new());
    let mut data_files = BTreeSet::new();
    for (at, given) in files.iter().enumerate() {
        let Some(name) = &given.data_file else { continue };
        // Beside the header, in its folder; names may differ in case, as some systems do not care.
        let beside = |other: &Given| {
            folder(&other.path) == folder(&given.path) && file_name(&other.path).eq_ignore_ascii_case(file_name(name))
        };
        match files.iter().position(beside) {
            Some(data) => {
                data_files.insert(data);
                to_read.push(ToRead { file: at, data: Some(data) });
            }
            None => aside.push((at, Aside::NoData { data_file: name.clone() })),
        }
    }
    for (at, given) in files.iter().enumerate() {
        let name = file_name(&given.path).to_ascii_lowercase();
        if given.data_file.is_some() || data_files.contains(&at) || name.starts_with('.') {
            continue;
        }
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match ending {
            "raw" | "zraw" => aside.push((at, Aside::NoHeader)),
            "safetensors" => aside.push((at, Aside::Model)),
            "json" if name == "model.json" => aside.push((at, Aside::Model)),
            _ if OTHERS.contains(&ending) => aside.push((at, Aside::Other)),
            _ => to_read.push(ToRead { file: at, data: None }),
        }
    }
    let too_large = |read: &ToRead| {
        let bytes = files[read.file].n_bytes.max(read.data.map_or(0.0, |data| files[data].n_bytes));
        (bytes > MAX_MEGABYTES * 1e6).then_some((read.file, Aside::TooLarge { megabytes: bytes / 1e6 }))
    };
    aside.extend(to_read.iter().filter_map(too_large));
    to_read.retain(|read| too_large(read).is_none());
    to_read.sort_by_key(|read| read.file);
    aside.sort_by_key(|(at, _)| *at);
    (to_read, aside)
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(path: &str) -> Given {
        Given { path: path.to_owned(), n_bytes: 100.0, data_file: None }
    }

    fn header(path: &str, data_file: &str) -> Given {
        Given { data_file: Some(data_file.to_owned()), ..given(path) }
    }

    #[test]
    fn a_header_takes_the_data_file_of_its_own_folder() {
        let files = [
            given("a/T1.RAW"),
            given("b/t1.raw"),
            header("b/t1.mhd", "t1.raw"),
            header("a/t1.mhd", "t1.raw"),
            header("c/t1.mhd", "t1.raw"),
            given("a/t2.nii.gz"),
        ];
        let (to_read, aside) = plan(&files);
        assert_eq!(
            to_read,
            [ToRead { file: 2, data: Some(1) }, ToRead { file: 3, data: Some(0) }, ToRead { file: 5, data: None }]
        );
        assert_eq!(aside, [(4, Aside::NoData { data_file: "t1.raw".to_owned() })]);
    }

    #[test]
    fn what_is_no_volume_is_left_aside() {
        let files = [
            given("exam/.DS_Store"),
            given("exam/License.txt"),
            given("exam/t1.raw"),
            given("exam/IM0001"),
            given("model.safetensors"),
            given("model.json"),
            Given { n_bytes: 2.1e9, ..given("huge.nii") },
        ];
        let (to_read, aside) = plan(&files);
        assert_eq!(to_read, [ToRead { file: 3, data: None }]);
        assert_eq!(
            aside,
            [
                (1, Aside::Other),
                (2, Aside::NoHeader),
                (4, Aside::Model),
                (5, Aside::Model),
                (6, Aside::TooLarge { megabytes: 2100.0 })
            ]
        );
    }
}
