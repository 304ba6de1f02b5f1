//! The one error type of this crate: every variant carries the values a person needs to act on it.

/// Result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between a file and a prediction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file holds no bytes.
    #[error("{file}: the file is empty")]
    EmptyFile {
        /// Name of the file.
        file: String,
    },
    /// The content is none of the formats this program reads.
    #[error("{file}: not an x-ray image this program reads ({found}); give a PNG, a JPEG or a DICOM file")]
    UnknownFormat {
        /// Name of the file.
        file: String,
        /// What the first bytes look like.
        found: String,
    },
    /// The format is known but the content breaks its rules.
    #[error("{file}: damaged or incomplete {format} file: {reason}")]
    Damaged {
        /// Name of the file.
        file: String,
        /// Name of the format, such as `PNG`.
        format: &'static str,
        /// What the decoder found.
        reason: String,
    },
    /// A valid file with a feature that is not supported.
    #[error("{file}: {what} is not supported; {remedy}")]
    Unsupported {
        /// Name of the file.
        file: String,
        /// The feature.
        what: String,
        /// What the user can do.
        remedy: &'static str,
    },
    /// More pixels than are read into memory.
    #[error(
        "{file}: {width} x {height} pixels are more than the {max_megapixels} megapixels this program reads; reduce the image first"
    )]
    TooManyPixels {
        /// Name of the file.
        file: String,
        /// Width in pixels.
        width: u64,
        /// Height in pixels.
        height: u64,
        /// The limit, in millions of pixels.
        max_megapixels: u64,
    },
    /// The content is none of the volume formats this program reads.
    #[error(
        "{file}: not a volume this program reads ({found}); give a NIfTI (.nii, .nii.gz) or a MetaImage (.mha) file"
    )]
    UnknownVolumeFormat {
        /// Name of the file.
        file: String,
        /// What the first bytes look like.
        found: String,
    },
    /// A field of a volume's header is absent or has a value that makes no sense.
    #[error("{file}: `{field}` in the {format} header is {found}, expected {expected}")]
    VolumeHeader {
        /// Name of the file.
        file: String,
        /// Name of the format, such as `NIfTI`.
        format: &'static str,
        /// Name of the field by the format's standard.
        field: &'static str,
        /// What was expected.
        expected: String,
        /// Its value, or `missing`.
        found: String,
    },
    /// The voxels are no single numbers.
    #[error("{file}: a voxel is {found}; convert the file to one integer or float of at most 64 bits a voxel")]
    VoxelType {
        /// Name of the file.
        file: String,
        /// The type of the voxels by the format's standard.
        found: String,
    },
    /// The header of a volume promises more voxels than the file holds.
    #[error(
        "{file}: the header promises {expected} bytes of voxels, the file has {found}: it is cut off or damaged, fetch it again"
    )]
    TooFewVoxels {
        /// Name of the file that holds the voxels.
        file: String,
        /// Bytes the header promises.
        expected: u64,
        /// Bytes there are; of compressed voxels, the most they may expand to.
        found: u64,
    },
    /// More voxels than are read into memory.
    #[error("{file}: {n_voxels} voxels are more than the {max_voxels} this program reads; crop or resample the volume")]
    TooManyVoxels {
        /// Name of the file.
        file: String,
        /// How many the header promises.
        n_voxels: u64,
        /// The limit.
        max_voxels: u64,
    },
    /// A voxel is NaN, infinite or too large for 32 bits.
    #[error(
        "{file}: voxel ({}, {}, {}) is {value}; every voxel must be a finite number, also outside the body: write 0 there",
        voxel[0], voxel[1], voxel[2]
    )]
    NonFiniteVoxel {
        /// Name of the file.
        file: String,
        /// Indices of the first offending voxel: x, y, z.
        voxel: [usize; 3],
        /// Its value.
        value: f32,
    },
    /// A file with several volumes where one is wanted.
    #[error("{file}: there are {n_volumes} volumes in the file where one is expected; save each in a file of its own")]
    SeveralVolumes {
        /// Name of the file.
        file: String,
        /// How many there are.
        n_volumes: usize,
    },
    /// A header whose voxels are in another file.
    #[error("{file}: this is a header only, its voxels are in `{data_file}`: give that file as well")]
    DataFileNeeded {
        /// Name of the header's file.
        file: String,
        /// Name of the other file, as the header gives it.
        data_file: String,
    },
    /// A DICOM attribute that is needed is absent or has an impossible value.
    #[error("{file}: DICOM attribute {tag} {problem}")]
    DicomAttribute {
        /// Name of the file.
        file: String,
        /// Number and name, such as `(0028,0010) Rows`.
        tag: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The pixels are compressed in a way that no decoder here understands.
    #[error(
        "{file}: DICOM transfer syntax {name} ({uid}) is not supported; convert the file to Explicit VR Little Endian"
    )]
    TransferSyntax {
        /// Name of the file.
        file: String,
        /// Name by the standard, or `unknown`.
        name: String,
        /// Its unique identifier.
        uid: String,
    },
    /// The model card is not valid.
    #[error("{file}: not a valid model card: {reason}")]
    Card {
        /// Name of the file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The weights are not those the model card describes.
    #[error("{file}: the weights' sha256 is {found}, the model card says {expected}: fetch the model again")]
    WeightsHash {
        /// Name of the weights file.
        file: String,
        /// Hash in the card, hexadecimal.
        expected: String,
        /// Hash of the bytes, hexadecimal.
        found: String,
    },
    /// The weights file cannot be read as safetensors.
    #[error("{file}: not a readable safetensors file: {reason}")]
    WeightsFormat {
        /// Name of the weights file.
        file: String,
        /// What the reader found.
        reason: String,
    },
    /// A tensor that the architecture needs is not in the file.
    #[error("{file}: tensor `{tensor}` is missing: the weights do not fit this version of the program")]
    MissingTensor {
        /// Name of the weights file.
        file: String,
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor has another shape or element type than the architecture needs.
    #[error(
        "{file}: tensor `{tensor}` is {found}, expected {expected}: the weights do not fit this version of the program"
    )]
    WrongTensor {
        /// Name of the weights file.
        file: String,
        /// Name of the tensor.
        tensor: String,
        /// Shape or type the architecture needs.
        expected: String,
        /// Shape or type in the file.
        found: String,
    },
    /// A weight is NaN or infinite.
    #[error("{file}: tensor `{tensor}` holds {value} at element {index}: the weights are damaged")]
    NonFiniteTensor {
        /// Name of the weights file.
        file: String,
        /// Name of the tensor.
        tensor: String,
        /// First offending element, counted in memory order.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// Sizes that do not go together.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which value.
        what: &'static str,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A value that a network takes or gives is NaN or infinite.
    #[error("{what}: element {index} is {value}")]
    NonFinite {
        /// Which values.
        what: &'static str,
        /// The first offending element.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// A volume in which there is nothing to see.
    #[error("{file}: all voxels have the same value: there is no brain in it; was the right file given?")]
    NoBrain {
        /// Name of the file.
        file: String,
    },
    /// Volumes of one examination that do not lie on the same voxels.
    #[error(
        "{first} has {first_size} voxels and {second} has {second_size}: they are not of one examination, or one was \
         resampled; give files of one size"
    )]
    VolumeSizes {
        /// Name of one file.
        first: String,
        /// Its voxels along its axes.
        first_size: String,
        /// Name of the other file.
        second: String,
        /// Its voxels along its axes.
        second_size: String,
    },
    /// A model that cannot answer from the MRI sequences that are there.
    #[error("the model needs {needed}, {given} is given: give what it needs, or take a model for what is there")]
    SequencesNeeded {
        /// What the model reads.
        needed: String,
        /// What is there.
        given: String,
    },
    /// The machine has no memory left for what is asked.
    #[error("out of memory: {bytes} bytes more are needed; close other programs or pages, or take a smaller model")]
    OutOfMemory {
        /// Size of the allocation that failed.
        bytes: usize,
    },
    /// A mutual-information loss had no pair to use as a negative.
    #[error("no pair of this batch may serve as a negative: give larger batches or more varied reports")]
    NoNegatives,
    /// A report's text could not be split into tokens.
    #[error("the report could not be tokenized: {reason}")]
    Tokenize {
        /// What the tokenizer said.
        reason: String,
    },
    /// Word vectors in a text file that breaks the format.
    #[error("{file}, line {line}: {reason}")]
    WordVectors {
        /// Name of the file.
        file: String,
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A record of a GPU's algorithms that says nothing to this program.
    #[error("the record of a GPU's algorithms cannot be read: {reason}")]
    Algorithms {
        /// What is wrong.
        reason: String,
    },
    /// An error of the tensor library.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
