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


def state_dict(seed=0, width=4, blocks=(2, 2, 2, 2), groups=0, group_width=0):
    """A ResNet-18 with few channels, by torchvision's names, as its own module tree would list them.

    With `groups` it has bottlenecks: 1 for a ResNet's, more for a ResNeXt's.
    """
    rng = np.random.default_rng(seed)
    arrays = {"conv1.weight": rng.normal(0, 0.1, (width, 3, 7, 7)), **norm(rng, "bn1", width)}
    inputs = width
    for stage, depth in enumerate(blocks, start=1):
        planes = width * 2 ** (stage - 1)
        inner = planes * group_width // width * groups if groups > 1 else planes
        outputs = 4 * planes if groups else planes
        for block in range(depth):
            name = f"layer{stage}.{block}"
            if groups:
                convs = [(inner, inputs, 1), (inner, inner // groups, 3), (outputs, inner, 1)]
            else:
                convs = [(planes, inputs, 3), (planes, planes, 3)]
            for i, (to, of, side) in enumerate(convs, start=1):
                arrays[f"{name}.conv{i}.weight"] = rng.normal(0, 0.2, (to, of, side, side))
                arrays |= norm(rng, f"{name}.bn{i}", to)
            if block == 0 and (inputs != outputs or stage > 1):
                arrays[f"{name}.downsample.0.weight"] = rng.normal(0, 0.2, (outputs, inputs, 1, 1))
                arrays |= norm(rng, f"{name}.downsample.1", outputs)
            inputs = outputs
    arrays |= {"fc.weight": rng.normal(0, 1, (10, inputs)), "fc.bias": np.zeros(10)}
    return {name: np.asarray(a, np.float32) for name, a in arrays.items()}
