"""Options of the data."""

import itertools
from dataclasses import dataclass
from typing import Literal

from lad_jax.fields import check_range, option


@dataclass(frozen=True)
class FolderOptions:
    """A folder of pictures and its annotations in COCO format."""

    images: str = option("", path=True)
    """Folder of the pictures."""
    annotations: str = option("", path=True)
    """JSON file of the annotations."""


@dataclass(frozen=True)
class TfdsOptions:
    """COCO as tensorflow-datasets prepares it, as array_record; read without TensorFlow."""

    directory: str = option("", may_change=True, path=True)
    """Folder of the prepared version: `…/coco/2017/1.1.0`."""


@dataclass(frozen=True)
class SyntheticOptions:
    """Pictures of shapes, drawn on the fly."""

    train: int = 600
    """Number of training pictures."""
    val: int = 150
    """Number of validation pictures."""
    size: int = 128
    """Height and width [pixels]; shapes keep their size, so larger pictures are less crowded."""
    seed: int = 0
    """Seed of the pictures."""

    def __post_init__(self) -> None:
        check_range(self, "train", "val", least=1)
        check_range(self, "size", least=96, most=160)
        check_range(self, "seed", least=0)


@dataclass(frozen=True)
class DataOptions:
    """Options of the data sets, and of how their pictures become batches."""

    source: Literal["coco", "tfds", "synthetic"] = "coco"
    """Kind of data set: folders of pictures with annotations in COCO's format, COCO from TFDS, or drawn pictures."""
    train: FolderOptions = option(FolderOptions(), may_change=True)
    """Pictures to train on."""
    val: FolderOptions = option(FolderOptions(), may_change=True)
    """Pictures to evaluate on."""
    test: FolderOptions = option(FolderOptions(), may_change=True)
    """Pictures without annotations (COCO's test-dev), for `evaluation.split`."""
    tfds: TfdsOptions = TfdsOptions()
    synthetic: SyntheticOptions = SyntheticOptions()
    short_side: int = 800
    """Bound of the shorter side: pictures are resized, keeping their ratio, to the largest size within this and
    `long_side` [pixels]."""
    long_side: int = 1333
    """Bound of the longer side [pixels]."""
    short_sides: tuple[int, ...] = ()
    """Short sides that training draws each batch's from, all equally likely, instead of `short_side`, which evaluation
    keeps: multi-scale training. Rising; a range is listed in full: `tuple(range(640, 801))` [pixels]."""
    scale_buckets: int = 3
    """Largest number of ranges that `short_sides` are divided into, each with other canvases: more pad less and compile
    more (docs/differences.md has the figures)."""
    crop: float = 0.0
    """Probability that a training picture is cropped before it is resized (Swin's recipe: 0.5)."""
    crop_short_sides: tuple[int, ...] = (400, 500, 600)
    """Short sides that a picture is resized to before it is cropped [pixels]."""
    crop_range: tuple[int, int] = (384, 600)
    """Bounds of a crop's height and width [pixels]."""
    scale_jitter: tuple[float, float] = (1.0, 1.0)
    """Bounds of a factor that each training picture's size is multiplied by, its logarithm drawn evenly: an enlarged
    picture shows a part of itself, a reduced one leaves canvas empty (`views.draw_scaled`). Another way than `crop`."""
    colour_jitter: float = 0.0
    """Strength s of random changes of each training picture's colours: contrast and saturation by factors of 1 - s to
    1 + s, brightness by up to 64 s of 255 levels, hue by up to 36 s degrees; 0.5 has SSD's bounds."""
    repeat_threshold: float = 0.0
    """Share f of the training pictures: one with a class that only a share c < f of them has is shown √(f / c) times
    an epoch, as LVIS's repeat factor has it (`plan.repeat_factors`); 0: none is."""
    decode_reduced: bool = False
    """Whether a JPEG that is to be shrunk by two or more is decoded at a half, a quarter or an eighth of its size,
    where that divides both sides: quicker, but of other pixels than the references' (docs/data.md)."""
    flip: float = 0.5
    """Probability that a training picture is mirrored."""
    canvases: int = 4
    """Largest number of padded sizes for each range of short sides; each is one compilation. 4 keep the padding of COCO
    below 10 % at one scale."""
    pad_multiple: int = 32
    """Multiple that the sides of canvases are rounded up to [pixels]."""
    workers: int = option(2, may_change=True)
    """Number of processes that read and resize; 0: a thread of the run's process."""
    filter_empty: bool = True
    """Whether training leaves out pictures without objects."""
    strict: bool = False
    """Whether a degenerate box in the annotations is an error; otherwise it is left out and counted in a warning."""
    on_bad_picture: Literal["stop", "skip"] = option("stop", may_change=True)
    """Action where a picture cannot be read: stop with its name, or go on without it and name it in the log. 20 in a
    row end the run even so."""

    def __post_init__(self) -> None:
        check_range(self, "short_side", "long_side", "scale_buckets", "canvases", "pad_multiple", least=1)
        check_range(self, "flip", "crop", "colour_jitter", "repeat_threshold", least=0, most=1)
        check_range(self, "workers", least=0)
        if self.pad_multiple % 32:
            raise ValueError(f"pad_multiple is {self.pad_multiple}; it must be a multiple of the backbone's stride, 32")
        if self.long_side < self.short_side:
            raise ValueError(f"long_side is {self.long_side}, less than short_side ({self.short_side})")
        if self.short_sides:
            self._check_sides("short_sides")
        if self.crop:
            self._check_sides("crop_short_sides")
            low, high = self.crop_range
            if not 1 <= low <= high:
                raise ValueError(f"crop_range is {self.crop_range}; it must be (least, most), of at least 1 pixel")
        self._check_jitter()

    @property
    def scales_pictures(self) -> bool:
        """Whether training pictures are enlarged and reduced at random."""
        return self.scale_jitter != (1.0, 1.0)

    def _check_jitter(self) -> None:
        low, high = self.scale_jitter
        if not 0.1 <= low <= high <= 10:
            raise ValueError(f"scale_jitter is {self.scale_jitter}; it must be (least, most), from 0.1 to 10")
        if self.scales_pictures and self.crop:
            raise ValueError(
                f"scale_jitter is {self.scale_jitter} and crop {self.crop:g}, but both change the scale of pictures at "
                "random: set scale_jitter to (1.0, 1.0), or crop to 0"
            )

    def _check_sides(self, name: str) -> None:
        sides: tuple[int, ...] = getattr(self, name)
        if not sides or min(sides) < 1:
            raise ValueError(f"{name} is {sides}; it must list sides of at least 1 pixel")
        for before, side in itertools.pairwise(sides):
            if side <= before:
                raise ValueError(f"{name} has {side} after {before}; its sides must rise")
        if sides[-1] > self.long_side:
            raise ValueError(f"{name} goes up to {sides[-1]}, more than long_side ({self.long_side}): raise long_side")
