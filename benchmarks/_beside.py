"""Detectors of torchvision, where it is installed, to be timed beside ours.

Like ours they compute in bfloat16 (autocast, channels last) where the config says so, and keep batch norm's statistics
and the first stage as they are. On a GPU backbone and head are compiled; not resizing, losses and NMS: they read values
on the host, and the compiler took minutes over them.
"""

from collections.abc import Callable, Iterable
from typing import Any

from lad_jax.types import Batch, Pictures

try:
    import torch
    import torchvision
except (ImportError, RuntimeError):  # RuntimeError: torchvision is of another torch
    torchvision = None

DETECTORS = ("retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn")


def training(names: Iterable[str], batch: Batch, *, n_classes: int, dtype: str) -> dict[str, Callable[[], None]]:
    """Training steps (losses, gradients, SGD) by name; empty where torchvision is not installed."""
    return {name: _training(name, batch, n_classes, dtype) for name in names if torchvision}


def inference(names: Iterable[str], pictures: Pictures, *, n_classes: int, dtype: str) -> dict[str, Callable[[], None]]:
    """Detection with NMS by name; empty where torchvision is not installed."""
    return {name: _inference(name, pictures, n_classes, dtype) for name in names if torchvision}


def _training(name: str, batch: Batch, n_classes: int, dtype: str) -> Callable[[], None]:
    device = _device()
    detector = _detector(name, batch.pictures, n_classes).train()
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    body = detector.backbone.body
    for module in (body.conv1, body.bn1, body.layer1):
        module.requires_grad_(False)
    trained = [p for p in detector.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, 1e-4, momentum=0.9, weight_decay=1e-4)
    truth = [
        {"boxes": torch.tensor(boxes[mask], device=device), "labels": torch.tensor(labels[mask], device=device).long()}
        for boxes, labels, mask in zip(batch.truth.boxes, batch.truth.labels, batch.truth.mask, strict=True)
    ]

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            terms = detector(_tensors(batch.pictures, device), truth)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
        _wait(device)

    return step


def _inference(name: str, pictures: Pictures, n_classes: int, dtype: str) -> Callable[[], None]:
    device = _device()
    detector = _detector(name, pictures, n_classes).eval()

    @torch.inference_mode()
    def detect() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            detector(_tensors(pictures, device))
        _wait(device)

    return detect


def _detector(name: str, pictures: Pictures, n_classes: int) -> Any:
    """A detector with random weights and a threshold of 0: an untrained one of ours passes its threshold everywhere."""
    height, width = pictures.canvas
    make = getattr(torchvision.models.detection, name)
    detector = make(
        weights=None,
        weights_backbone=None,
        num_classes=n_classes,
        min_size=min(height, width),
        max_size=max(height, width),
        score_thresh=0.0,
        nms_thresh=0.6,
        detections_per_img=100,
    )
    if _device() == "cuda":
        detector.backbone.compile()
        detector.head.compile()
    return detector.to(_device()).to(memory_format=torch.channels_last)


def _tensors(pictures: Pictures, device: str) -> list[Any]:
    """Pictures on the device, from the host's uint8 pixels as for our detectors."""
    images = torch.from_numpy(pictures.images).to(device).permute(0, 3, 1, 2)
    return list((images / 255.0).contiguous(memory_format=torch.channels_last))


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
