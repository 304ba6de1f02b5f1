//! Images whose memory is given back while the last backward pass over their graph goes on.
//!
//! candle keeps every tensor of a graph until all of it is dropped, so that at the end of a backward pass, where gradients
//! are largest, nothing of the forward pass is free yet. But what a layer gives is read by the backward passes of what
//! follows it, which come first, and of the layer itself: after that its memory can go.

use std::cell::Cell;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, InplaceOp1, Layout, Result, Shape, Tensor, TensorId};

#[cfg(feature = "cuda")]
use crate::kernel::cuda;

thread_local! {
    /// The loss whose graph is gone over for the last time.
    static LAST: Cell<Option<TensorId>> = const { Cell::new(None) };
}

/// The gradients of a loss, as [`Tensor::backward`] gives them, where nothing of its graph is read afterwards but losses:
/// the images in it are empty then. Whoever reads one, or goes over the graph again, gets an error.
///
/// A detached image is the same memory: a loss must not depend on one that it also has a gradient for.
///
/// # Errors
///
/// Those of the tensor library.
pub fn last_backward(loss: &Tensor) -> Result<GradStore> {
    struct Pass;
    impl Drop for Pass {
        fn drop(&mut self) {
            LAST.set(None);
        }
    }
    LAST.set(Some(loss.id()));
    let _pass = Pass;
    loss.backward()
}

/// A layer's operation that gives an image, which nothing reads once its gradient was passed on.
pub(crate) struct Released<T>(pub(crate) T);

fn release(image: &Tensor) -> Result<()> {
    match LAST.get() {
        Some(loss) if loss != image.id() => image.inplace_op1(&Empty),
        _ => Ok(()),
    }
}

struct Empty;

impl InplaceOp1 for Empty {
    fn name(&self) -> &'static str {
        "release"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> Result<()> {
        *storage = CpuStorage::F4(Vec::new());
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &mut CudaStorage, _: &Layout) -> Result<()> {
        cuda::release(storage)
    }
}

impl<T: CustomOp1> CustomOp1 for Released<T> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        self.0.cpu_fwd(s, l)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, s: &CudaStorage, l: &Layout) -> Result<(CudaStorage, Shape)> {
        self.0.cuda_fwd(s, l)
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let gradient = self.0.bwd(x, y, dy)?;
        release(y)?;
        Ok(gradient)
    }
}

impl<T: CustomOp2> CustomOp2 for Released<T> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        self.0.cpu_fwd(s1, l1, s2, l2)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Result<(CudaStorage, Shape)> {
        self.0.cuda_fwd(s1, l1, s2, l2)
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradients = self.0.bwd(a, b, y, dy)?;
        release(y)?;
        Ok(gradients)
    }
}

impl<T: CustomOp3> CustomOp3 for Released<T> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.0.cpu_fwd(s1, l1, s2, l2, s3, l3)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
        s3: &CudaStorage,
        l3: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.0.cuda_fwd(s1, l1, s2, l2, s3, l3)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradients = self.0.bwd(a, b, c, y, dy)?;
        release(y)?;
        Ok(gradients)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use rand::SeedableRng;

    use super::*;
    use crate::kernel::real::WAS_RELEASED;
    use crate::mi::{CriticConfig, CriticKind, Estimator};
    use crate::model::bilinear::BilinearConfig;
    use crate::model::classifier::{
        CrossModalClassifier, CrossModalConfig, GlobalFeatures, Locations, LossWeights, ReportClassifier, RunningMeans,
    };
    use crate::model::hemis::{Hemis, HemisConfig};
    use crate::model::resnet::{Depth, ImageClassifier, ResNetConfig};
    use crate::model::text_cnn::TextCnnConfig;
    use crate::model::unet::{UNet, UNetConfig};
    use crate::nn::gradcheck::random;
    use crate::nn::{ConvSpec, Interpolation, Parameters, cross_entropy, max_pool2d, upsample2d};
    use crate::prep::report::TokenBatch;

    type Built = crate::error::Result<Tensor>;

    /// The gradients by name, as bits.
    fn gradients(
        build: &dyn Fn(&Parameters) -> Built,
        backward: impl Fn(&Tensor) -> Result<GradStore>,
    ) -> crate::error::Result<Vec<(String, Vec<u32>)>> {
        let parameters = Parameters::new(3);
        let loss = build(&parameters)?;
        let grads = backward(&loss)?;
        assert!(loss.to_scalar::<f32>()?.is_finite());
        let mut found = Vec::new();
        for (name, var) in parameters.all() {
            if let Some(grad) = grads.get(&var) {
                let values = grad.flatten_all()?.to_vec1::<f32>()?;
                found.push((name, values.into_iter().map(f32::to_bits).collect()));
            }
        }
        Ok(found)
    }

    fn image(shape: &[usize], seed: u64) -> Result<Tensor> {
        random(shape, seed)?.to_dtype(DType::F32)
    }

    fn outline(logits: &Tensor) -> Result<Tensor> {
        let (n, h, w, _) = logits.dims4()?;
        let targets = (0..n * h * w).map(|i| (i / 5 % 2) as u32).collect::<Vec<_>>();
        cross_entropy(logits, &Tensor::from_vec(targets, (n, h, w), &Device::Cpu)?)
    }

    fn cross_modal(parameters: &Parameters) -> Built {
        let vb = parameters.builder(DType::F32, &Device::Cpu);
        let config = CrossModalConfig {
            text: TextCnnConfig { word_dim: 8, widths: vec![8, 16] },
            joint: BilinearConfig { side: 6, out: 5 },
            critic: CriticConfig { kind: CriticKind::ConcatAndConvolve, hidden: 12 },
            locations: Locations(3),
            estimator: Estimator::InfoNce,
            global: GlobalFeatures::Joint,
            score_clip: Some(20.0),
            score_penalty: 0.01,
        };
        let weights = LossWeights { lambda_gg: 0.1, ..LossWeights::default() };
        let resnet = ResNetConfig { depth: Depth::D18, width: 8, in_channels: 1, stem_pool: false };
        let net = CrossModalClassifier::new(&resnet, &config, &weights, 11, &vb)?;
        let out = net.image().forward_t(&image(&[4, 1, 64, 64], 1)?, true)?;
        let reports = TokenBatch { ids: (0..4 * 16).map(|i| i % 11).collect(), lens: vec![16, 9, 3, 12], width: 16 };
        let mut rng = rand_chacha::ChaCha8Rng::from_seed([0; 32]);
        let found = net.cross_modal(&out, &reports, &[true; 16], &mut RunningMeans::default(), &mut rng, true)?;
        let loss = (out.logits.sqr()?.mean_all()? + found.joint_logits.sqr()?.mean_all()?)?;
        Ok(match found.mutual_information {
            Some(information) => (loss + information)?,
            None => loss,
        })
    }

    #[test]
    fn gradients_are_the_same_bits() -> crate::error::Result<()> {
        let networks: [&dyn Fn(&Parameters) -> Built; 5] = [
            &|parameters| {
                let config = ResNetConfig { depth: Depth::D50, width: 8, in_channels: 1, stem_pool: true };
                let net = ImageClassifier::new(&config, 14, &parameters.builder(DType::F32, &Device::Cpu))?;
                let out = net.forward_t(&image(&[2, 1, 64, 64], 1)?, true)?;
                Ok((out.logits.sqr()?.mean_all()? + out.local.mean_all()?)?)
            },
            &|parameters| {
                let config = UNetConfig { in_channels: 4, n_classes: 2, widths: vec![8, 12, 16] };
                let net = UNet::new(&config, &parameters.builder(DType::F32, &Device::Cpu))?;
                let out = net.forward_t(&image(&[2, 4, 32, 32], 2)?, true)?;
                Ok((outline(&out.logits)? + out.local.sqr()?.mean_all()?)?)
            },
            &|parameters| {
                let config = HemisConfig { width: 8, fuse_width: 6, head_kernel: 9, ..HemisConfig::default() };
                let net = Hemis::new(&config, &parameters.builder(DType::F32, &Device::Cpu))?;
                let slices = [Some(image(&[2, 1, 32, 32], 3)?), None, Some(image(&[2, 1, 32, 32], 4)?), None];
                Ok(outline(&net.forward(&slices)?)?)
            },
            &|parameters| {
                let config = TextCnnConfig { word_dim: 8, widths: vec![8, 16] };
                let net = ReportClassifier::new(&config, 11, &parameters.builder(DType::F32, &Device::Cpu))?;
                let reports = TokenBatch { ids: (0..32).map(|i| i % 11).collect(), lens: vec![16, 9], width: 16 };
                Ok(net.forward_t(&reports, true)?.sqr()?.mean_all()?)
            },
            &cross_modal,
        ];
        for network in networks {
            let kept = gradients(network, Tensor::backward)?;
            assert!(kept.len() > 5);
            assert!(kept == gradients(network, last_backward)?);
        }
        Ok(())
    }

    #[test]
    fn an_image_is_empty_after_the_last_pass_alone() -> Result<()> {
        let x = candle_core::Var::from_tensor(&image(&[1, 8, 8, 2], 1)?)?;
        let pooled = max_pool2d(&x, ConvSpec { kernel: 2, stride: 2, padding: 0 })?;
        let loss = upsample2d(&pooled, 2, Interpolation::Nearest)?.sqr()?.mean_all()?;
        loss.backward()?;
        let twice = upsample2d(&pooled, 2, Interpolation::Nearest)?.mean_all()?;
        last_backward(&loss)?;
        let message = upsample2d(&pooled, 2, Interpolation::Nearest).map_err(|error| error.to_string());
        assert!(message.is_err_and(|message| message.contains(WAS_RELEASED)));
        assert!(twice.backward().is_ok());
        assert!(loss.backward().is_err() && loss.to_scalar::<f32>()? > 0.0);
        let message = (&pooled * 2.0).map_err(|error| error.to_string());
        assert!(message.is_err_and(|message| message.contains("F4")));
        // An image that is a loss itself is kept.
        let one = max_pool2d(&x.narrow(3, 0, 1)?, ConvSpec { kernel: 8, stride: 8, padding: 0 })?;
        last_backward(&one)?;
        one.flatten_all()?.to_vec1::<f32>().map(|_| ())
    }
}
