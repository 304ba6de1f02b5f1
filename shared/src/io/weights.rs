//! Weights in safetensors files: 32-bit, 16-bit, or 8-bit with a scale per output channel; always 32-bit in memory.

use std::collections::BTreeMap;

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Ending of the tensor that holds the scales of an 8-bit tensor.
const SCALE_SUFFIX: &str = ".scale";

/// Ending of PyTorch's counter of batches in a batch norm, which no computation here needs.
const BATCH_COUNTER: &str = ".num_batches_tracked";

/// How the numbers of a weights file are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    F16,
    /// Tensors of two or more dimensions as 8-bit integers times a 32-bit scale per output channel
    /// (first dimension); vectors in 32 bits.
    I8,
}

/// One named tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Elements in row-major order.
    pub data: Vec<f32>,
}

/// The tensors of one weights file, all finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    file: String,
    tensors: BTreeMap<String, NamedTensor>,
}

/// Hash of bytes as the model card writes it: sha256, hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl Weights {
    /// Takes tensors as they are in memory.
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteTensor`] at the first NaN or infinity.
    pub fn new(file: &str, tensors: BTreeMap<String, NamedTensor>) -> Result<Self> {
        for (name, tensor) in &tensors {
            if let Some(index) = tensor.data.iter().position(|value| !value.is_finite()) {
                return Err(Error::NonFiniteTensor {
                    file: file.to_owned(),
                    tensor: name.clone(),
                    index,
                    value: tensor.data[index],
                });
            }
        }
        Ok(Self { file: file.to_owned(), tensors })
    }

    /// Reads a safetensors file of any [`Encoding`].
    ///
    /// # Errors
    ///
    /// [`Error::WeightsFormat`] if the bytes are no safetensors file, [`Error::WrongTensor`] for an element type
    /// other than the encodings', [`Error::MissingTensor`] for 8-bit values without scales,
    /// [`Error::NonFiniteTensor`] at the first NaN or infinity.
    pub fn from_safetensors(file: &str, bytes: &[u8]) -> Result<Self> {
        let unreadable = |reason: String| Error::WeightsFormat { file: file.to_owned(), reason };
        let archive = SafeTensors::deserialize(bytes).map_err(|error| unreadable(error.to_string()))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in archive.iter() {
            let is_scale = name.strip_suffix(SCALE_SUFFIX).is_some_and(|of| archive.tensor(of).is_ok());
            if is_scale || name.ends_with(BATCH_COUNTER) {
                continue;
            }
            let data = match view.dtype() {
                Dtype::F32 => f32_values(view.data()),
                Dtype::F16 => {
                    view.data().as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()
                }
                Dtype::I8 => expand_i8(file, name, &view, &archive)?,
                other => {
                    return Err(Error::WrongTensor {
                        file: file.to_owned(),
                        tensor: name.to_owned(),
                        expected: "F32, F16 or I8".to_owned(),
                        found: format!("{other:?}"),
                    });
                }
            };
            tensors.insert(name.to_owned(), NamedTensor { shape: view.shape().to_vec(), data });
        }
        Self::new(file, tensors)
    }

    /// The bytes of a safetensors file with these tensors.
    ///
    /// # Errors
    ///
    /// [`Error::WeightsFormat`] if the tensors cannot be serialised.
    pub fn to_safetensors(&self, encoding: Encoding) -> Result<Vec<u8>> {
        let mut parts: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, tensor) in &self.tensors {
            let shape = tensor.shape.clone();
            match encoding {
                Encoding::F16 => {
                    let bytes = tensor.data.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
                    parts.push((name.clone(), Dtype::F16, shape, bytes));
                }
                Encoding::I8 if shape.len() >= 2 => {
                    let (values, scales) = quantize_i8(tensor);
                    parts.push((format!("{name}{SCALE_SUFFIX}"), Dtype::F32, vec![scales.len()], f32_bytes(&scales)));
                    parts.push((name.clone(), Dtype::I8, shape, values));
                }
                Encoding::F32 | Encoding::I8 => parts.push((name.clone(), Dtype::F32, shape, f32_bytes(&tensor.data))),
            }
        }
        let unwritable = |error: safetensors::SafeTensorError| Error::WeightsFormat {
            file: self.file.clone(),
            reason: error.to_string(),
        };
        let views = parts
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(unwritable)?;
        safetensors::serialize(views, None).map_err(unwritable)
    }

    /// Name of the file the tensors came from.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, NamedTensor> {
        &self.tensors
    }

    /// The elements of a tensor that must be there in this shape.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTensor`] or [`Error::WrongTensor`].
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&[f32]> {
        let tensor = self
            .tensors
            .get(name)
            .ok_or_else(|| Error::MissingTensor { file: self.file.clone(), tensor: name.to_owned() })?;
        if tensor.shape != shape {
            return Err(Error::WrongTensor {
                file: self.file.clone(),
                tensor: name.to_owned(),
                expected: format!("{shape:?}"),
                found: format!("{:?}", tensor.shape),
            });
        }
        Ok(&tensor.data)
    }
}

fn f32_values(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Symmetric 8-bit values in `-127..=127` and the scale of each output channel.
fn quantize_i8(tensor: &NamedTensor) -> (Vec<u8>, Vec<f32>) {
    let rows = tensor.shape[0].max(1);
    let row_len = (tensor.data.len() / rows).max(1);
    let mut values = Vec::with_capacity(tensor.data.len());
    let mut scales = Vec::with_capacity(rows);
    for row in tensor.data.chunks(row_len) {
        let largest = row.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        values.extend(row.iter().map(|value| (value / scale).round().clamp(-127.0, 127.0) as i8 as u8));
        scales.push(scale);
    }
    (values, scales)
}

fn expand_i8(file: &str, name: &str, view: &TensorView<'_>, archive: &SafeTensors<'_>) -> Result<Vec<f32>> {
    let scale_name = format!("{name}{SCALE_SUFFIX}");
    let scale_view = archive.tensor(&scale_name).map_err(|error| match error {
        safetensors::SafeTensorError::TensorNotFound(tensor) => Error::MissingTensor { file: file.to_owned(), tensor },
        other => Error::WeightsFormat { file: file.to_owned(), reason: other.to_string() },
    })?;
    let rows = view.shape().first().copied().unwrap_or(0);
    if scale_view.dtype() != Dtype::F32 || scale_view.shape() != [rows] {
        return Err(Error::WrongTensor {
            file: file.to_owned(),
            tensor: scale_name,
            expected: format!("F32 [{rows}]"),
            found: format!("{:?} {:?}", scale_view.dtype(), scale_view.shape()),
        });
    }
    let scales = f32_values(scale_view.data());
    let row_len = (view.data().len() / rows.max(1)).max(1);
    let rows = view.data().chunks(row_len).zip(&scales);
    Ok(rows.flat_map(|(row, scale)| row.iter().map(move |&value| f32::from(value as i8) * scale)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights() -> Weights {
        let matrix = NamedTensor { shape: vec![2, 3], data: vec![1.0, -0.5, 0.25, 0.0, 100.0, -50.0] };
        let vector = NamedTensor { shape: vec![2], data: vec![0.1, -0.2] };
        Weights::new("test", BTreeMap::from([("fc.weight".to_owned(), matrix), ("fc.bias".to_owned(), vector)]))
            .expect("finite")
    }

    #[test]
    fn encodings_round_trip_within_their_precision() {
        let original = weights();
        for (encoding, relative) in [(Encoding::F32, 0.0), (Encoding::F16, 1e-3), (Encoding::I8, 0.5 / 127.0)] {
            let bytes = original.to_safetensors(encoding).expect("serialises");
            let read = Weights::from_safetensors("test", &bytes).expect("reads");
            assert_eq!(read.tensors().len(), 2, "{encoding:?}");
            for (name, tensor) in original.tensors() {
                let back = read.get(name, &tensor.shape).expect("same shape");
                let row_len = tensor.data.len() / tensor.shape[0];
                for (row, back) in tensor.data.chunks(row_len).zip(back.chunks(row_len)) {
                    let largest = row.iter().fold(0f32, |m, v| m.max(v.abs()));
                    for (a, b) in row.iter().zip(back) {
                        assert!((a - b).abs() <= relative * largest * 1.001, "{encoding:?} {name}: {a} and {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let w = weights();
        assert!(matches!(w.get("fc.wait", &[2]), Err(Error::MissingTensor { tensor, .. }) if tensor == "fc.wait"));
        assert!(matches!(w.get("fc.weight", &[3, 2]), Err(Error::WrongTensor { .. })));
        let nan = NamedTensor { shape: vec![3], data: vec![0.0, f32::NAN, 1.0] };
        let error = Weights::new("w.safetensors", BTreeMap::from([("bn.bias".to_owned(), nan)])).expect_err("NaN");
        assert!(matches!(error, Error::NonFiniteTensor { index: 1, .. }), "{error}");
        let bytes = w.to_safetensors(Encoding::F32).expect("serialises");
        for cut in [0, 4, 20, bytes.len() - 1] {
            assert!(matches!(Weights::from_safetensors("cut", &bytes[..cut]), Err(Error::WeightsFormat { .. })));
        }
    }

    #[test]
    fn hash_is_that_of_the_standard() {
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
