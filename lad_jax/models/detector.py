"""The detector: from pixels to predictions for every prior."""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from lad_jax import boxes
from lad_jax.fields import check_range, option
from lad_jax.models.backbones import BACKBONES
from lad_jax.models.fpn import FPN, ExtraLevels
from lad_jax.models.heads import Objectness, PAAHead
from lad_jax.models.region import cells
from lad_jax.models.resnet import ResNetOptions
from lad_jax.models.swin import SwinOptions
from lad_jax.priors import make_priors, valid_extent
from lad_jax.types import Precision, Predictions

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class ModelOptions:
    """Architecture of a network. Networks that exchange costs share `first_level`, `n_levels` and `anchor_scale`."""

    backbone: ResNetOptions | SwinOptions = ResNetOptions()
    """Options of the backbone; `family` chooses its kind."""
    pretrained: str = option("", may_change=True, architecture=False)
    """Detector that training starts from, with any classes: a workdir, a checkpoint's folder, `zoo:NAME`,
    `hf://OWNER/REPO`, or a file of weights as `convert` reads them; `backbone.pretrained` is not read then. Empty:
    none."""
    keep_classes: bool = option(False, architecture=False)
    """Whether classes that the detector at `pretrained` has by the same names keep their weights of the classifier."""
    channel_order: Literal["rgb", "bgr"] = "rgb"
    """Order of the colours that the network takes, and of `pixel_mean` and `pixel_std`."""
    pixel_mean: tuple[float, float, float] = IMAGENET_MEAN
    """Mean that is subtracted from each colour, 0 to 255."""
    pixel_std: tuple[float, float, float] = IMAGENET_STD
    """Standard deviation that each colour is then divided by."""
    first_level: int = 3
    """Number of the finest pyramid level; level n has stride 2ⁿ."""
    n_levels: int = 5
    """Number of levels of the pyramid."""
    anchor_scale: float = 8.0
    """Side of an anchor in strides."""
    channels: int = 256
    """Channels of the pyramid and of the head's towers."""
    extra_levels: ExtraLevels = "output"
    """Input of the pyramid's first level beyond the backbone's: the pyramid's coarsest map there, or the backbone's."""
    tower_convs: int = 4
    """Convolutions of each of the head's two towers, for classes and for boxes."""
    norm_groups: int = 32
    """Groups of the head's group norms."""
    objectness: Objectness = "none"
    """Objectness, which multiplies a class's probability: `none` (PAA), `implicit` (IOP) or `conditional` (COP)."""
    deformable_towers: bool = False
    """Whether the last convolution of each of the head's towers is deformable (DCNv2)."""
    remat_towers: bool = option(False, may_change=True, architecture=False)
    """Whether the norms and activations of the head's towers are computed again in the backward pass instead of kept:
    less memory, a little more time. `backbone.remat` does so for the backbone's blocks."""
    iou_branch: bool = True
    """Whether the head predicts each box's IoU with its object, which then counts in the score."""
    mask_padding: bool = option(True, architecture=False)
    """Whether a canvas's padding is kept out of the features: a picture's predictions do not depend on the size of its
    canvas then. Otherwise they do a little, as in the references."""

    def __post_init__(self) -> None:
        check_range(self, "first_level", least=2, most=5)
        check_range(self, "channels", "norm_groups", least=1)
        check_range(self, "tower_convs", least=0)
        check_range(self, "n_levels", least=1, most=10)
        check_range(self, "anchor_scale", least=0.1, most=1000)
        check_range(self, "pixel_mean", least=0, most=255)
        check_range(self, "pixel_std", least=0.001, most=255)
        if self.n_levels < 6 - self.first_level:
            raise ValueError(
                f"n_levels is {self.n_levels}, but the backbone gives {6 - self.first_level} from there on"
            )
        if self.channels % self.norm_groups:
            raise ValueError(f"norm_groups {self.norm_groups} does not divide channels {self.channels}")
        if self.deformable_towers and not self.tower_convs:
            raise ValueError("deformable_towers is True, but the towers have no convolutions; set tower_convs")

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels per cell of each level."""
        return tuple(2 ** (self.first_level + i) for i in range(self.n_levels))


class Detector(nn.Module):
    """Backbone, pyramid and head, from uint8 RGB pixels to `Predictions` with a leading batch axis."""

    options: ModelOptions
    n_classes: int
    dtype: Precision = "float32"
    """Type in which convolutions compute; parameters and predictions are float32, whichever it is."""

    @nn.compact
    def __call__(self, images: UInt8[Array, "B H W 3"], image_hw: Int[Array, "B 2"]) -> Predictions:
        """Predict for images on one canvas, whose sides are multiples of 32.

        Args:
          images: RGB; what lies outside `image_hw` is ignored.
          image_hw: height and width of each image's content [pixels].
        """
        options, dtype = self.options, jnp.dtype(self.dtype)
        x = normalise(images, image_hw, options).astype(dtype)
        # A picture that could not be read has no content, but statistics need some cells.
        region = valid_extent(jnp.maximum(image_hw, 1)) if options.mask_padding else None
        regions = [cells(region, stride) for stride in options.strides]
        backbone = BACKBONES[type(options.backbone)](options.backbone, options.first_level, dtype, name="backbone")
        features = backbone(x, region)
        neck = FPN(options.channels, options.n_levels, dtype, options.extra_levels, name="neck")
        features = neck(features, regions)
        head = PAAHead(
            n_classes=self.n_classes,
            channels=options.channels,
            tower_convs=options.tower_convs,
            norm_groups=options.norm_groups,
            objectness=options.objectness,
            iou_branch=options.iou_branch,
            dtype=dtype,
            deformable=options.deformable_towers,
            remat=options.remat_towers,
            name="bbox_head",
        )
        outputs = head(features, regions)
        priors = make_priors((images.shape[1], images.shape[2]), options.strides, options.anchor_scale)
        return Predictions(
            class_log_p=outputs.class_log_p,
            class_log_not_p=outputs.class_log_not_p,
            box_deltas=outputs.box_deltas,
            boxes=boxes.decode(jnp.asarray(priors.boxes)[None], outputs.box_deltas),
            quality_logit=outputs.quality_logit,
        )


def normalise(
    images: UInt8[Array, "B H W 3"], image_hw: Int[Array, "B 2"], options: ModelOptions
) -> Float[Array, "B H W 3"]:
    """(pixel - mean) / std in the network's channel order; padding becomes 0 *after* that (spec 9.1)."""
    x = images.astype(jnp.float32)
    x = x[..., ::-1] if options.channel_order == "bgr" else x
    mean, std = (jnp.array(per_channel)[None, None, None] for per_channel in (options.pixel_mean, options.pixel_std))
    x = (x - mean) / std
    rows, columns = jnp.arange(images.shape[1])[None, :, None], jnp.arange(images.shape[2])[None, None]
    content = (rows < image_hw[:, 0, None, None]) & (columns < image_hw[:, 1, None, None])
    return jnp.where(content[..., None], x, 0.0)
