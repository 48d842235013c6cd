"""A state dict as torchvision would make it."""

import numpy as np


def norm(rng, name, channels):
    return {
        f"{name}.weight": rng.normal(1, 0.1, channels),
        f"{name}.bias": rng.normal(0, 0.1, channels),
        f"{name}.running_mean": rng.normal(0, 0.1, channels),
        f"{name}.running_var": rng.uniform(0.5, 2, channels),
        f"{name}.num_batches_tracked": np.array(7),
    }


def state_dict(seed=0, width=4):
    """A ResNet-18 with few channels, by torchvision's names, as its own module tree would list them."""
    rng = np.random.default_rng(seed)
    arrays = {"conv1.weight": rng.normal(0, 0.1, (width, 3, 7, 7)), **norm(rng, "bn1", width)}
    arrays |= {"fc.weight": rng.normal(0, 1, (10, 8 * width)), "fc.bias": np.zeros(10)}
    inputs = width
    for stage in range(1, 5):
        planes = width * 2 ** (stage - 1)
        for block in range(2):
            name = f"layer{stage}.{block}"
            for conv, channels in (("1", inputs), ("2", planes)):
                arrays[f"{name}.conv{conv}.weight"] = rng.normal(0, 0.2, (planes, channels, 3, 3))
                arrays |= norm(rng, f"{name}.bn{conv}", planes)
            if inputs != planes:
                arrays[f"{name}.downsample.0.weight"] = rng.normal(0, 0.2, (planes, inputs, 1, 1))
                arrays |= norm(rng, f"{name}.downsample.1", planes)
            inputs = planes
    return {name: np.asarray(a, np.float32) for name, a in arrays.items()}
